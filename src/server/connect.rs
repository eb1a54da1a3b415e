//! One connection, by libpq's rules: which hosts are tried, with TLS or without, within a time limit that covers name
//! resolution, TCP, TLS, start-up and login. Reads nothing from the database.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rand::seq::SliceRandom as _;
use secrecy::ExposeSecret as _;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_postgres::{
    AsyncMessage, Client, Connection, NoTls, SimpleQueryMessage,
    config::{self, SslNegotiation as WireNegotiation},
    tls::TlsStream,
};

pub use super::connect_error::{ConnectError, ConnectErrorKind};
use super::{
    cancel::Canceller,
    errors::{Notice, ServerError},
    guard::{AuthRules, Guard, Limits, SharedSeen, seen},
    socket::{self, Dial, Endpoint, Socket},
    tls::{self, TlsInfo},
    upgrade::Upgrade,
};
use crate::config::{
    Conninfo, Host,
    conninfo::{ChannelBinding, SslMode, SslNegotiation, TargetSession},
};

/// A usable session. It ends when `client` is dropped.
pub struct Connected {
    /// Sends statements.
    pub client: Client,
    /// Moves the bytes; ends with the connection, and says why when it was not us. Abort it to cut a hanging connection.
    pub task: JoinHandle<Result<(), ServerError>>,
    /// Why the connection ended, when it was not us: what waits for an answer is told only that it did.
    pub ending: Arc<OnceLock<ServerError>>,
    /// What the server says beside its answers. When nobody listens, more than [`NOTICES`] are lost.
    pub notices: mpsc::Receiver<Notice>,
    /// Interrupts the statement that runs on this connection.
    pub canceller: Canceller,
    /// What became of the connection string.
    pub facts: ConnectionFacts,
}

/// Notices that are kept until they are read.
pub const NOTICES: usize = 256;

/// How a connection came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// The host as it was written: a name, an address, a socket directory.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address behind the name; none for sockets.
    pub addr: Option<SocketAddr>,
    /// True for a Unix socket.
    pub is_socket: bool,
    /// True when the line does not leave this machine.
    pub is_local: bool,
    /// The role that logged in.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// Encryption, if there is any.
    pub tls: Option<TlsInfo>,
    /// Why the line is in clear although TLS was tried first (`sslmode=prefer`).
    pub tls_fallback: Option<String>,
    /// Process id from BackendKeyData. Behind a pooler it differs from `pg_backend_pid()`.
    pub backend_pid: Option<i32>,
    /// `server_version` as reported at start-up.
    pub server_version: Option<String>,
    /// True for a standby, where the server reports it (from 14).
    pub in_hot_standby: Option<bool>,
}

/// Connects within `deadline`, or within the connection's own `connect_timeout` for each host.
pub async fn connect(conninfo: &Conninfo, deadline: Duration) -> Result<Connected, ConnectError> {
    connect_limited(conninfo, deadline, Limits::default()).await
}

/// As [`connect`], with other limits on what the server may send.
pub async fn connect_limited(
    conninfo: &Conninfo,
    deadline: Duration,
    limits: Limits,
) -> Result<Connected, ConnectError> {
    let wants_tls = conninfo.sslmode != SslMode::Disable && conninfo.hosts.iter().any(|host| !host.is_socket());
    let tls = match wants_tls.then(|| tls::client(&conninfo.tls, conninfo.sslmode)) {
        Some(Ok(client)) => Some(Ok(client)),
        Some(Err(problem)) => Some(Err(ConnectError::new(ConnectErrorKind::Tls, problem.message, problem.remedy))),
        None => None,
    };
    // Where TLS is a wish only, the line may still come about in clear.
    let wish = conninfo.sslmode < SslMode::Require && !conninfo.tls.client_required;
    if let Some(Err(error)) = &tls
        && !wish
    {
        return Err(ConnectError { target: conninfo.to_string(), ..error.clone() });
    }
    let attempts = Attempts { conninfo, limits, tls, phase: AtomicU8::new(0) };
    let mut hosts: Vec<&Host> = conninfo.hosts.iter().collect();
    if conninfo.load_balance {
        hosts.shuffle(&mut rand::rng());
    }
    let passes: &[TargetSession] = match conninfo.target_session_attrs {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        TargetSession::Any => &[TargetSession::Any],
        TargetSession::ReadWrite => &[TargetSession::ReadWrite],
        TargetSession::ReadOnly => &[TargetSession::ReadOnly],
        TargetSession::Primary => &[TargetSession::Primary],
        TargetSession::Standby => &[TargetSession::Standby],
    };
    let end = Instant::now() + deadline;
    let mut tried: Vec<ConnectError> = Vec::new();
    for pass in passes {
        for (i, host) in hosts.iter().enumerate() {
            let left = u32::try_from(hosts.len() - i).unwrap_or(1);
            let limit =
                conninfo.connect_timeout.unwrap_or_else(|| end.saturating_duration_since(Instant::now()) / left);
            let result = match tokio::time::timeout(limit, attempts.host(host, *pass, limit)).await {
                Ok(result) => result,
                Err(_) => Err(attempts.timed_out(host, limit)),
            };
            match result {
                Ok(connected) => return Ok(connected),
                Err(mut error) => {
                    error.target = format!("{}@{host}/{}", conninfo.user, conninfo.dbname);
                    let go_on = error.next_host();
                    tried.push(error);
                    if !go_on {
                        return Err(last(tried, conninfo));
                    }
                }
            }
        }
    }
    Err(last(tried, conninfo))
}

/// The error to report: the last, with the lines of the others.
fn last(mut tried: Vec<ConnectError>, conninfo: &Conninfo) -> ConnectError {
    let Some(mut error) = tried.pop() else {
        let none = ConnectError::new(ConnectErrorKind::Other, "it names no host", "");
        return ConnectError { target: conninfo.to_string(), ..none };
    };
    let mut lines: Vec<String> = tried.iter().map(ConnectError::line).collect();
    lines.append(&mut error.tried);
    lines.dedup();
    error.tried = lines;
    error
}

/// What is being waited for, for the sentence of a timeout.
#[derive(Clone, Copy)]
enum Phase {
    Name = 0,
    Socket = 1,
    Tls = 2,
    Login = 3,
}

/// Whether one attempt uses TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Clear,
    TlsIfOffered,
    Tls,
}

/// An attempt that failed, and whether TLS was in use or being set up.
struct Failed {
    error: ConnectError,
    tls: bool,
}

struct Attempts<'a> {
    conninfo: &'a Conninfo,
    limits: Limits,
    /// For lines with TLS, or why there can be none.
    tls: Option<Result<tls::Client, ConnectError>>,
    phase: AtomicU8,
}

impl Attempts<'_> {
    fn phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn timed_out(&self, host: &Host, limit: Duration) -> ConnectError {
        let phase = self.phase.load(Ordering::Relaxed);
        let what = match phase {
            0 => format!("the name {} was not resolved", host.host),
            1 => format!("{host} does not answer"),
            2 => "the port takes the connection, but the server did not answer (TLS was not agreed on)".to_owned(),
            _ => "the server took the connection and then said nothing more".to_owned(),
        };
        let seconds = limit.as_secs_f32();
        let remedy = if phase < 2 {
            "check host, port and firewalls; connect_timeout=SECONDS waits longer"
        } else {
            "host and port are open: the server hangs, is stopped or overloaded, or is out of processes or disk; look at it where it runs. connect_timeout=SECONDS waits longer"
        };
        ConnectError::new(ConnectErrorKind::Timeout, format!("{what} within {seconds:.1} s"), remedy)
    }

    /// All addresses of a host, until one works or one says no.
    async fn host(&self, host: &Host, want: TargetSession, limit: Duration) -> Result<Connected, ConnectError> {
        self.phase(Phase::Name);
        let end = Instant::now() + limit;
        let endpoints = socket::endpoints(host).await.map_err(|error| {
            let why = super::errors::sentence(&error);
            let why = why.strip_prefix("failed to lookup address information: ").unwrap_or(&why);
            ConnectError::new(
                ConnectErrorKind::Dns,
                format!("the name {} has no address: {why}", host.host),
                "check the host's name; a container's name is known only inside its network",
            )
        })?;
        let mut tried: Vec<ConnectError> = Vec::new();
        let count = endpoints.len();
        for (i, endpoint) in endpoints.into_iter().enumerate() {
            let left = u32::try_from(count - i).unwrap_or(1);
            let share = end.saturating_duration_since(Instant::now()) / left;
            let dial = Dial::new(self.conninfo, host, endpoint);
            match self.endpoint(host, &dial, share).await {
                Ok(connected) => return self.accept(connected, want).await,
                Err(mut error) => {
                    error.target = host.to_string();
                    let go_on = error.next_host();
                    tried.push(error);
                    if !go_on {
                        break;
                    }
                }
            }
        }
        Err(last(tried, self.conninfo))
    }

    /// One address, with TLS and without as `sslmode` says. A second try is made only where it can help: a wrong
    /// password is not sent twice.
    async fn endpoint(&self, host: &Host, dial: &Dial, share: Duration) -> Result<Connected, ConnectError> {
        let (first, second) = match (&dial.endpoint, self.conninfo.sslmode) {
            (Endpoint::Unix(_), _) | (_, SslMode::Disable) => (Line::Clear, None),
            (_, SslMode::Allow) => (Line::Clear, Some(Line::Tls)),
            (_, SslMode::Prefer) => (Line::TlsIfOffered, Some(Line::Clear)),
            (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => (Line::Tls, None),
        };
        let failed = match self.once(host, dial, first, share).await {
            Ok(connected) => return Ok(connected),
            Err(failed) => failed,
        };
        let again = match second {
            Some(Line::Clear)
                if failed.tls && (failed.error.kind == ConnectErrorKind::Tls || failed.error.by_rule()) =>
            {
                Some(Line::Clear)
            }
            Some(Line::Tls) if failed.error.by_rule() => Some(Line::Tls),
            None | Some(_) => None,
        };
        let Some(line) = again else { return Err(failed.error) };
        match self.once(host, dial, line, share).await {
            Ok(mut connected) => {
                if line == Line::Clear {
                    connected.facts.tls_fallback = Some(failed.error.message);
                }
                Ok(connected)
            }
            Err(second) if second.error.by_rule() => Err(failed.error),
            Err(mut second) => {
                let way = if line == Line::Clear { "with TLS" } else { "without TLS" };
                second.error.tried.push(format!("{way}: {}", failed.error.message));
                Err(second.error)
            }
        }
    }

    /// One socket, one login.
    async fn once(&self, host: &Host, dial: &Dial, line: Line, share: Duration) -> Result<Connected, Failed> {
        let clear = |error| Failed { error, tls: false };
        self.phase(Phase::Socket);
        let place = match &dial.endpoint {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => path.display().to_string(),
        };
        let is_socket = matches!(dial.endpoint, Endpoint::Unix(_));
        let mut socket = match tokio::time::timeout(share, dial.open()).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(clear(ConnectError::opening(&error, is_socket, &place))),
            Err(_) => return Err(clear(self.timed_out(host, share))),
        };
        let client = match line {
            Line::Clear => None,
            Line::TlsIfOffered | Line::Tls => self.tls.as_ref(),
        };
        let Some(client) = client else {
            return self.login_clear(host, dial, socket).await.map_err(clear);
        };
        self.phase(Phase::Tls);
        if self.conninfo.tls.negotiation == SslNegotiation::Postgres {
            match socket::ask_for_tls(&mut socket).await {
                Ok(b'S') => {}
                Ok(b'N') if line == Line::TlsIfOffered => {
                    return self.login_clear(host, dial, socket).await.map_err(clear);
                }
                answer => return Err(Failed { error: no_tls(&answer, self.conninfo.sslmode), tls: answer.is_ok() }),
            }
        }
        let client = match client {
            Ok(client) => client,
            Err(error) => return Err(Failed { error: error.clone(), tls: true }),
        };
        let direct = self.conninfo.tls.negotiation == SslNegotiation::Direct;
        self.login_tls(host, dial, socket, client).await.map_err(|error| {
            let error = if direct && error.kind == ConnectErrorKind::Refused { no_direct_tls() } else { error };
            Failed { error, tls: true }
        })
    }

    async fn login_clear(&self, host: &Host, dial: &Dial, socket: Socket) -> Result<Connected, ConnectError> {
        self.phase(Phase::Login);
        let shared = SharedSeen::default();
        let accepted = self.conninfo.sslmode_given && self.conninfo.sslmode == SslMode::Disable;
        let guard = Guard::messages(socket, self.limits, self.rules(dial.local || accepted), shared.clone());
        let mut config = self.config(host);
        config.ssl_mode(config::SslMode::Disable);
        let result = config.connect_raw(guard, NoTls).await;
        drop(config);
        let (client, connection) = result.map_err(|error| self.refused(&error, host, &shared))?;
        Ok(self.connected(client, connection, host, dial, None, &shared))
    }

    async fn login_tls(
        &self,
        host: &Host,
        dial: &Dial,
        socket: Socket,
        client: &tls::Client,
    ) -> Result<Connected, ConnectError> {
        let shared = SharedSeen::default();
        let guard = Guard::handshake(socket, shared.clone());
        let upgrade = Upgrade::new(client, host.tls_name(), self.limits, self.rules(true), shared.clone());
        let mut config = self.config(host);
        // The question was asked above; for the protocol crate TLS starts at once.
        config.ssl_mode(config::SslMode::Require).ssl_negotiation(WireNegotiation::Direct);
        let result = config.connect_raw(guard, upgrade).await;
        drop(config);
        let (session, connection) = result.map_err(|error| self.refused(&error, host, &shared))?;
        Ok(self.connected(session, connection, host, dial, Some(client), &shared))
    }

    fn rules(&self, clear_password: bool) -> AuthRules {
        AuthRules { clear_password, require: self.conninfo.require_auth }
    }

    fn refused(&self, error: &tokio_postgres::Error, host: &Host, shared: &SharedSeen) -> ConnectError {
        ConnectError::login(error, seen(shared), self.conninfo.password_for(host).is_some())
    }

    /// The protocol crate's settings. It holds the password in clear, so it is made late and dropped early.
    fn config(&self, host: &Host) -> tokio_postgres::Config {
        let conninfo = self.conninfo;
        let mut config = tokio_postgres::Config::new();
        config.user(&conninfo.user).dbname(&conninfo.dbname).application_name(&conninfo.application_name);
        if let Some(password) = conninfo.password_for(host) {
            config.password(password.expose_secret());
        }
        if let Some(options) = &conninfo.options {
            config.options(options);
        }
        config.channel_binding(match conninfo.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
        config
    }

    fn connected<T>(
        &self,
        client: Client,
        connection: Connection<Guard<Socket>, T>,
        host: &Host,
        dial: &Dial,
        tls: Option<&tls::Client>,
        shared: &SharedSeen,
    ) -> Connected
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        let seen = seen(shared);
        let facts = ConnectionFacts {
            host: host.host.clone(),
            port: host.port,
            addr: match &dial.endpoint {
                Endpoint::Tcp(address) => Some(*address),
                Endpoint::Unix(_) => None,
            },
            is_socket: matches!(dial.endpoint, Endpoint::Unix(_)),
            is_local: dial.local,
            user: self.conninfo.user.clone(),
            dbname: self.conninfo.dbname.clone(),
            tls: tls.map(|client| tls::info(seen.cipher, client.checked)),
            tls_fallback: None,
            backend_pid: seen.key.map(|(pid, _)| pid),
            server_version: connection.parameter("server_version").map(str::to_owned),
            in_hot_standby: connection.parameter("in_hot_standby").map(|value| value == "on"),
        };
        let canceller = Canceller::new(
            dial.clone(),
            tls.map(|client| (client.clone(), host.tls_name())),
            self.conninfo.tls.negotiation,
            seen.key,
        );
        let (sender, notices) = mpsc::channel(NOTICES);
        let ending = Arc::new(OnceLock::new());
        let task = tokio::spawn(drive(connection, sender, Arc::clone(&ending)));
        Connected { client, task, ending, notices, canceller, facts }
    }

    /// Keeps a connection to the wanted kind of server.
    async fn accept(&self, connected: Connected, want: TargetSession) -> Result<Connected, ConnectError> {
        if want == TargetSession::Any {
            return Ok(connected);
        }
        let sql = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
        let answer = connected.client.simple_query(sql).await;
        let answer = answer.map_err(|error| ConnectError::from_server(&ServerError::from(&error)))?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
            _ => None,
        });
        let Some((standby, read_only)) = row else {
            return Err(ConnectError::new(
                ConnectErrorKind::Other,
                "the server did not say whether it is a standby",
                "",
            ));
        };
        let (fits, what) = match want {
            TargetSession::Any => (true, ""),
            TargetSession::ReadWrite => (!read_only, "its sessions are read-only"),
            TargetSession::ReadOnly => (read_only, "its sessions may write"),
            TargetSession::Primary => (!standby, "it is a standby"),
            TargetSession::Standby | TargetSession::PreferStandby => (standby, "it is not a standby"),
        };
        if fits {
            return Ok(connected);
        }
        Err(ConnectError::new(
            ConnectErrorKind::WrongSession,
            what,
            "target_session_attrs asks for another kind of server",
        ))
    }
}

fn no_direct_tls() -> ConnectError {
    ConnectError::new(
        ConnectErrorKind::Tls,
        "the server closed the connection when TLS began at once",
        "servers before 17 must be asked first: leave sslnegotiation=direct out",
    )
}

fn no_tls(answer: &std::io::Result<u8>, mode: SslMode) -> ConnectError {
    match answer {
        Ok(b'N') => ConnectError::new(
            ConnectErrorKind::Tls,
            "the server does not offer TLS",
            &format!("switch it on there (ssl = on), or do without: sslmode={} asks for it", mode.as_str()),
        ),
        Ok(b'E') => ConnectError::new(
            ConnectErrorKind::Tls,
            "the server answered the question for TLS with an error",
            "the server's log says why; it may be out of processes or memory",
        ),
        Ok(_) => ConnectError::new(
            ConnectErrorKind::Protocol,
            "the answer is not PostgreSQL's protocol",
            "something else listens there; check host and port",
        ),
        Err(error) => match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => ConnectError::new(
                ConnectErrorKind::Refused,
                "the connection was closed before the server answered",
                "the server may be starting; in front of a container a proxy answers even when nothing runs behind it",
            )
            .after_contact(),
            _ => ConnectError::new(ConnectErrorKind::Refused, super::errors::sentence(error), ""),
        },
    }
}

/// Moves bytes until the connection ends. Notices go to whoever listens, without ever waiting for them.
async fn drive<T>(
    mut connection: Connection<Guard<Socket>, T>,
    notices: mpsc::Sender<Notice>,
    ending: Arc<OnceLock<ServerError>>,
) -> Result<(), ServerError>
where
    T: TlsStream + Unpin + Send + 'static,
{
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            None => return Ok(()),
            Some(Ok(AsyncMessage::Notice(notice))) => {
                let _ = notices.try_send(Notice::from(&notice));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                // Noted before the connection is dropped, which is what those who wait will see.
                let error = ServerError::from(&error);
                let _ = ending.set(error.clone());
                return Err(error);
            }
        }
    }
}

//! What became of an attempt, in words that fit psql and us alike, so that the two can be compared.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use pgmoat::{
    config::{Conninfo, Env},
    server::connect::{ConnectError, ConnectErrorKind, connect},
};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Connected: what the server says about the session.
    In(String),
    /// Not connected.
    Out(Why),
}

/// Why there is no connection. What a server said is compared word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The string, a service or a value in it cannot be read.
    Parse,
    HostUnknown,
    Refused,
    TimedOut,
    PasswordNeeded,
    /// The server does not offer TLS.
    NoTls,
    /// Authority, date, revocation.
    Certificate,
    /// The certificate is another host's.
    CertificateName,
    /// A file with a certificate, key or list cannot be used.
    Files,
    /// The server broke off the handshake.
    Alert,
    ChannelBinding,
    /// `require_auth` forbids what the server asks for.
    Method,
    /// The socket is another user's (`requirepeer`).
    Peer,
    WrongSession,
    Server(String),
    Other(String),
}

/// Asked of the server by both: TLS version and client certificate, who, where, what kind of server, what was set.
pub const QUESTION: &str = "select concat_ws('|', \
    (select case when ssl then version || ' ' || coalesce(client_dn, '') else 'clear' end \
       from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()), \
    session_user, current_database(), coalesce(host(inet_server_addr()), 'socket'), current_setting('port'), \
    case when pg_is_in_recovery() then 'standby' else 'primary' end, \
    replace(replace(current_setting('application_name'), 'psql', 'own'), 'pgmoat', 'own'), \
    current_setting('search_path'), current_setting('work_mem'))";

/// psql, with a libpq of a later version where one is given.
pub struct Psql {
    program: PathBuf,
    library: Option<PathBuf>,
}

impl Psql {
    /// The psql of this machine: of Debian's versions 15 to be sure, else what is found by its name.
    pub fn find() -> Option<Self> {
        let debian = PathBuf::from("/usr/lib/postgresql/15/bin/psql");
        let program = if debian.exists() { debian } else { PathBuf::from("psql") };
        Command::new(&program).arg("--version").output().ok()?;
        Some(Self { program, library: None })
    }

    /// The same with the libpq in this directory, if it is one and works.
    pub fn with_library(&self, dir: &Path) -> Option<Self> {
        let later = Self { program: self.program.clone(), library: Some(dir.to_owned()) };
        if !dir.join("libpq.so.5").exists() {
            return None;
        }
        let known = later.ask("host=/nonexistent require_auth=none sslrootcert=system", &Env::default());
        (known == Verdict::Out(Why::Refused)).then_some(later)
    }

    pub fn ask(&self, text: &str, env: &Env) -> Verdict {
        let mut command = Command::new(&self.program);
        command.args(["-X", "-w", "-A", "-t", "-q", "-d", text, "-c", QUESTION]);
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).envs(&env.vars);
        command.env("HOME", env.home.clone().unwrap_or_else(|| "/nonexistent".into()));
        if let Some(library) = &self.library {
            command.env("LD_LIBRARY_PATH", library);
        }
        let output = command.output().unwrap();
        if output.status.success() {
            return Verdict::In(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Verdict::Out(why(&said))
    }
}

/// psql's words. Of several attempts the last one counts.
fn why(said: &str) -> Why {
    let last = said.rsplit("connection to server ").next().unwrap_or_default();
    let attempted = said.contains("connection to server ");
    if let Some(message) = last.split("FATAL:").nth(1) {
        return Why::Server(plain(message));
    }
    let has = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if has(&["is too long"]) {
        Why::Refused
    } else if has(&["could not translate host name"]) {
        Why::HostUnknown
    } else if has(&["invalid integer value", "invalid port number", "could not parse network address"]) {
        Why::Parse
    } else if has(&["timeout expired"]) {
        Why::TimedOut
    } else if has(&["no password supplied"]) {
        Why::PasswordNeeded
    } else if has(&["server does not support SSL"]) {
        Why::NoTls
    } else if has(&["does not match host name", "host name must be specified for a verified"]) {
        Why::CertificateName
    } else if has(&["certificate verify failed"]) {
        Why::Certificate
    } else if has(&["root certificate file", "private key", "certificate file", "without a valid SSL certificate"]) {
        Why::Files
    } else if has(&["requirepeer specifies"]) {
        Why::Peer
    } else if has(&[" alert "]) {
        Why::Alert
    } else if has(&["authentication method requirement"]) {
        Why::Method
    } else if has(&["channel binding"]) && attempted {
        Why::ChannelBinding
    } else if has(&["session is read-only", "session is not read-only", "in hot standby mode"]) {
        Why::WrongSession
    } else if has(&["Connection refused", "No such file or directory", "closed the connection unexpectedly"]) {
        Why::Refused
    } else if !attempted {
        Why::Parse
    } else {
        Why::Other(plain(last))
    }
}

/// One line in lower case, without what differs between the attempt with TLS and the one without.
fn plain(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim().to_lowercase();
    let line = line.strip_suffix(", ssl encryption").unwrap_or(&line);
    line.strip_suffix(", no encryption").unwrap_or(line).to_owned()
}

/// Our attempt, and everything that a person could be shown about it.
pub async fn ours(text: &str, env: &Env, limit: std::time::Duration) -> (Verdict, String) {
    let info = match Conninfo::parse(text, env) {
        Ok(info) => info,
        Err(error) => return (Verdict::Out(Why::Parse), format!("{error}\n{error:?}")),
    };
    let shown = format!("{info}\n{info:?}\n{}\n", info.warnings.join("\n"));
    match connect(&info, limit).await {
        Ok(connected) => {
            let answer = connected.client.simple_query(QUESTION).await.unwrap();
            let row = answer.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            (Verdict::In(row.unwrap()), format!("{shown}{:?}", connected.facts))
        }
        Err(error) => {
            let why = our_why(&error);
            let lacks_remedy =
                matches!(why, Why::NoTls | Why::Certificate | Why::CertificateName | Why::Files | Why::Alert)
                    && error.remedy.is_none();
            let complaint = if lacks_remedy { "NO REMEDY\n" } else { "" };
            (Verdict::Out(why), format!("{shown}{complaint}{error}\n{error:?}"))
        }
    }
}

fn our_why(error: &ConnectError) -> Why {
    if error.sqlstate.is_some() {
        return Why::Server(plain(&error.message));
    }
    let text = &error.message;
    match error.kind {
        ConnectErrorKind::Dns => Why::HostUnknown,
        ConnectErrorKind::Refused if text.contains("requirepeer") => Why::Peer,
        ConnectErrorKind::Refused => Why::Refused,
        ConnectErrorKind::Timeout => Why::TimedOut,
        ConnectErrorKind::PasswordNeeded => Why::PasswordNeeded,
        ConnectErrorKind::WrongSession => Why::WrongSession,
        ConnectErrorKind::Auth if text.contains("channel binding") => Why::ChannelBinding,
        ConnectErrorKind::Auth => Why::Method,
        ConnectErrorKind::Tls if text.contains("does not offer TLS") => Why::NoTls,
        ConnectErrorKind::Tls if text.contains("not valid for name") => Why::CertificateName,
        ConnectErrorKind::Tls if text.contains("fatal alert") => Why::Alert,
        ConnectErrorKind::Tls if text.starts_with("TLS failed: ") => Why::Certificate,
        ConnectErrorKind::Tls if text.starts_with("could not ") => Why::Files,
        ConnectErrorKind::Tls
        | ConnectErrorKind::TooManyConnections
        | ConnectErrorKind::Starting
        | ConnectErrorKind::DatabaseMissing
        | ConnectErrorKind::Protocol
        | ConnectErrorKind::Other => Why::Other(format!("{:?}: {text}", error.kind)),
    }
}

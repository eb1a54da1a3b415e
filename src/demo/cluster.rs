//! One throwaway PostgreSQL cluster: made, started, and gone with the value, or with our process however it ends.
//! Used by the demo and by the integration tests. Knows nothing of the fleet.
//!
//! A private directory holds everything: the data, the socket (superusers log in there without a password, so nobody
//! else may enter it), the log. The loopback port asks for a password, which is made for this cluster.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rand::RngExt as _;

use super::{
    binaries::{self, Binaries, Wanted},
    error::{DemoError, Kind},
    guard::{Guard, Ids, Reply, Request, StopMode},
    user::{ServerUser, closed_to, server_user},
};

/// The superuser that `initdb` makes.
pub const SUPERUSER: &str = "postgres";

/// Bytes a socket's path may have, the final zero not counted: 107 on Linux, 103 on macOS; the smaller one.
const SOCKET_PATH_LIMIT: usize = 103;

/// Settings of every cluster: nothing of it survives, so nothing needs to reach the disk.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "'1GB'"),
    ("autovacuum_naptime", "'60s'"),
    ("logging_collector", "off"),
    ("log_destination", "'stderr'"),
    ("listen_addresses", "'127.0.0.1'"),
    ("dynamic_shared_memory_type", "posix"),
];

/// What a cluster is made of.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Only this major version; any supported one when absent.
    pub major: Option<u32>,
    /// The server to run; found by `major` when absent.
    pub server: Option<Server>,
    /// The loopback port; a free one when 0.
    pub port: u16,
    /// Lines of `postgresql.conf` as (name, value); values are written as given, so text needs its quotes.
    pub settings: Vec<(String, String)>,
    /// Lines for the top of `pg_hba.conf`.
    pub hba: Vec<String>,
    /// Files put into the data directory before the start, private to the server (certificates and keys).
    pub files: Vec<(String, Vec<u8>)>,
    /// A binary that can be the guard; the running one when absent.
    pub guard: Option<PathBuf>,
}

/// What runs the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// Programs of this machine.
    Programs(Binaries),
    /// The official image of this major version, in a container.
    Container {
        /// Major version.
        major: u32,
    },
}

/// A running cluster.
pub struct Cluster {
    guard: Guard,
    root: PathBuf,
    port: u16,
    password: String,
    body: Body,
}

/// What differs between a server of this machine and one in a container.
enum Body {
    Programs { binaries: Binaries, user: Option<ServerUser> },
    Container { major: u32, name: String },
}

impl Cluster {
    /// Makes and starts a cluster; about a second with installed programs. Blocks: call it off the async runtime.
    ///
    /// # Errors
    /// `NoServer` without programs, `Setup` for a port in use or a directory the server may not enter, `Server` with
    /// the end of the log when it does not start.
    pub fn start(options: ClusterOptions) -> Result<Self, DemoError> {
        let server = match options.server.clone() {
            Some(server) => server,
            None => Server::Programs(binaries::find(&Wanted { dir: None, major: options.major })?),
        };
        match server {
            Server::Programs(binaries) => Self::start_programs(binaries, options),
            Server::Container { major } => Self::start_container(major, options),
        }
    }

    fn start_programs(binaries: Binaries, options: ClusterOptions) -> Result<Self, DemoError> {
        let user = server_user()?;
        if let Some(user) = &user
            && let Some(closed) = closed_to(&binaries.dir, user)
        {
            return Err(DemoError::new(
                Kind::Setup,
                format!("run the server programs in {} as {}", binaries.dir.display(), user.name),
                format!("that user may not enter {}", closed.display()),
                "Copy them to a directory that everybody may enter, or run this as an ordinary user.",
            ));
        }
        let ids = user.as_ref().map(|user| (user.uid, user.gid));
        let mut guard = Guard::start(options.guard.as_deref())?;
        let root = make_directory(&mut guard, &parent_directory(user.as_ref())?, ids)?;
        let body = Body::Programs { binaries, user };
        let mut cluster = Self { guard, root, port: options.port, password: new_password(), body };
        cluster.initialise(ids)?;
        let port = options.port;
        cluster.configure(options, ids)?;
        cluster.start_on_a_free_port(port)?;
        Ok(cluster)
    }

    fn initialise(&mut self, ids: Option<Ids>) -> Result<(), DemoError> {
        let what = "make a database cluster";
        let password_file = self.root.join("password");
        private_file(&password_file, self.password.clone().as_bytes(), ids)?;
        let socket_dir = self.socket_dir();
        fs::create_dir(&socket_dir).map_err(|error| setup(what, &socket_dir, &error))?;
        give(&socket_dir, ids).map_err(|error| setup(what, &socket_dir, &error))?;
        let data = self.data_dir();
        let args = [
            format!("--pgdata={}", data.display()),
            format!("--username={SUPERUSER}"),
            format!("--pwfile={}", password_file.display()),
            "--encoding=UTF8".into(),
            "--locale=C".into(),
            "--auth-local=trust".into(),
            "--auth-host=scram-sha-256".into(),
            "--no-sync".into(),
            "--no-instructions".into(),
        ];
        let request =
            Request::Run { program: self.program("initdb"), args: args.into(), ids, log: self.root.join("initdb.log") };
        self.guard.ask(&request).map_err(|cause| DemoError::new(Kind::Server, what, cause, ""))?;
        let _ = fs::remove_file(&password_file);
        Ok(())
    }

    fn configure(&mut self, options: ClusterOptions, ids: Option<Ids>) -> Result<(), DemoError> {
        use std::fmt::Write as _;
        let what = "configure the cluster";
        let data = self.data_dir();
        for (name, content) in options.files {
            private_file(&data.join(name), &content, ids)?;
        }
        let path = data.join("postgresql.conf");
        let failed = |error: io::Error| setup(what, &path, &error);
        let mut text = fs::read_to_string(&path).map_err(failed)?;
        let _ = writeln!(text, "\n# a throwaway cluster\nunix_socket_directories = '{}'", self.socket_dir().display());
        for (name, value) in SETTINGS {
            let _ = writeln!(text, "{name} = {value}");
        }
        for (name, value) in options.settings {
            let _ = writeln!(text, "{name} = {value}");
        }
        fs::write(&path, text).map_err(failed)?;
        if !options.hba.is_empty() {
            let path = data.join("pg_hba.conf");
            let failed = |error: io::Error| setup(what, &path, &error);
            let rest = fs::read_to_string(&path).map_err(failed)?;
            fs::write(&path, format!("{}\n{rest}", options.hba.join("\n"))).map_err(failed)?;
        }
        Ok(())
    }

    /// Between finding a free port and using it somebody else may take it: then the next one.
    fn start_on_a_free_port(&mut self, wanted: u16) -> Result<(), DemoError> {
        let mut attempts = if wanted == 0 { 5 } else { 1 };
        loop {
            attempts -= 1;
            self.port = if wanted == 0 { free_port()? } else { check_port(wanted)? };
            match self.start_server() {
                Err(error) if attempts > 0 && error.cause.contains("Address already in use") => {}
                result => return result,
            }
        }
    }

    /// Starts the server of a stopped cluster again, on the same port.
    ///
    /// # Errors
    /// `Server` with the end of the log.
    pub fn start_server(&mut self) -> Result<(), DemoError> {
        let socket = self.socket_dir().join(format!(".s.PGSQL.{}", self.port));
        if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(DemoError::new(
                Kind::Setup,
                format!("make a socket at {}", socket.display()),
                "the path is too long for a socket",
                "Set TMPDIR to a shorter directory.",
            ));
        }
        let Body::Programs { user, .. } = &self.body else { return Ok(()) };
        let ids = user.as_ref().map(|user| (user.uid, user.gid));
        let request = Request::Serve {
            program: self.program("postgres"),
            data: self.data_dir(),
            args: vec!["-p".into(), self.port.to_string()],
            ids,
            log: self.log(),
        };
        self.guard.ask(&request).map(drop).map_err(|cause| DemoError::new(Kind::Server, "start the server", cause, ""))
    }

    /// Stops the server and leaves the cluster, for a later [`Self::start_server`].
    ///
    /// # Errors
    /// `Server` when the guard is gone.
    pub fn stop_server(&mut self, mode: StopMode) -> Result<(), DemoError> {
        let request = Request::Halt { data: self.data_dir(), mode };
        self.guard.ask(&request).map(drop).map_err(|cause| DemoError::new(Kind::Server, "stop the server", cause, ""))
    }

    /// Stops the server and removes everything. Dropping does the same.
    pub fn stop(self) {}

    /// Leaves the server running for good; returns the command line that ends it.
    ///
    /// # Errors
    /// `Server` when the guard is gone.
    pub fn keep(mut self) -> Result<String, DemoError> {
        self.guard
            .ask(&Request::Keep)
            .map_err(|cause| DemoError::new(Kind::Server, "leave the server running", cause, ""))?;
        Ok(self.stop_command())
    }

    /// The command line that ends the cluster and removes it, for people.
    pub fn stop_command(&self) -> String {
        match &self.body {
            Body::Programs { user, .. } => {
                let pg_ctl = self.program("pg_ctl");
                let stop = format!("{} stop -m immediate -D {}", pg_ctl.display(), self.data_dir().display());
                let root = self.root.display();
                match user {
                    // pg_ctl refuses root as the server does.
                    Some(user) => format!("su {} -s /bin/sh -c '{stop}' && rm -r {root}", user.name),
                    None => format!("{stop} && rm -r {root}"),
                }
            }
            Body::Container { name, .. } => format!("docker rm -f {name} && rm -r {}", self.root.display()),
        }
    }

    fn start_container(major: u32, options: ClusterOptions) -> Result<Self, DemoError> {
        let what = format!("run PostgreSQL {major} in a container");
        let failed = |cause: String| DemoError::new(Kind::Server, &what, cause, "");
        let mut guard = Guard::start(options.guard.as_deref())?;
        let root = make_directory(&mut guard, &parent_directory(None)?, None)?;
        let port = if options.port == 0 { free_port()? } else { check_port(options.port)? };
        let password = new_password();
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let environment = root.join("environment");
        write_private(&environment, format!("POSTGRES_PASSWORD={password}\n").as_bytes(), None)
            .map_err(|error| setup(&what, &environment, &error))?;
        let docker = PathBuf::from("docker");
        let remove = Request::AtEnd { program: docker.clone(), args: vec!["rm".into(), "-f".into(), name.clone()] };
        guard.ask(&remove).map_err(failed)?;
        let mut args: Vec<String> = ["run", "--detach", "--rm", "--name"].map(String::from).into();
        args.extend([name.clone(), "--publish".into(), format!("127.0.0.1:{port}:5432")]);
        args.extend(["--env-file".into(), environment.display().to_string(), format!("postgres:{major}")]);
        let own = SETTINGS.iter().filter(|(name, _)| *name != "listen_addresses");
        let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        for (name, value) in own.chain(options.settings) {
            args.extend(["-c".into(), format!("{name}={}", value.trim_matches('\''))]);
        }
        let request = Request::Run { program: docker, args, ids: None, log: root.join("docker.log") };
        guard.ask(&request).map_err(failed)?;
        wait_for_port(port).map_err(failed)?;
        Ok(Self { guard, root, port, password, body: Body::Container { major, name } })
    }

    /// A connection as `user` to `database`: through the socket without a password, or to a container's port with one
    /// (which is the superuser's).
    pub fn config(&self, user: &str, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(user).dbname(database).port(self.port).connect_timeout(Duration::from_secs(10));
        match self.body {
            Body::Programs { .. } => config.host_path(self.socket_dir()),
            Body::Container { .. } => config.host("127.0.0.1").password(&self.password),
        };
        config
    }

    /// The same as a connection string for libpq and for us.
    pub fn url(&self, user: &str, database: &str) -> String {
        match self.body {
            Body::Programs { .. } => format!(
                "postgresql://{}@/{}?host={}&port={}",
                percent(user),
                percent(database),
                percent(&self.socket_dir().to_string_lossy()),
                self.port
            ),
            Body::Container { .. } => self.tcp_url(user, database),
        }
    }

    /// A connection string over the loopback port, with the password.
    pub fn tcp_url(&self, user: &str, database: &str) -> String {
        format!(
            "postgresql://{}:{}@127.0.0.1:{}/{}",
            percent(user),
            percent(&self.password),
            self.port,
            percent(database)
        )
    }

    /// The superuser's password on the loopback port.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private directory that holds everything; further files of its user may be put there.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.root.join("s")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// Major version of the server.
    pub fn major(&self) -> u32 {
        match &self.body {
            Body::Programs { binaries, .. } => binaries.major,
            Body::Container { major, .. } => *major,
        }
    }

    /// Process id of the guard, for tests.
    pub fn guard_pid(&self) -> u32 {
        self.guard.pid()
    }

    fn program(&self, name: &str) -> PathBuf {
        match &self.body {
            Body::Programs { binaries, .. } => binaries.program(name),
            Body::Container { .. } => PathBuf::from(name),
        }
    }
}

fn private_file(path: &Path, content: &[u8], ids: Option<Ids>) -> Result<(), DemoError> {
    write_private(path, content, ids).map_err(|error| setup("write a file of the cluster", path, &error))
}

fn setup(what: &str, path: &Path, error: &io::Error) -> DemoError {
    DemoError::new(Kind::Setup, what, format_args!("{}: {error}", path.display()), "")
}

fn write_private(path: &Path, content: &[u8], ids: Option<Ids>) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    give(path, ids)
}

fn give(path: &Path, ids: Option<Ids>) -> io::Result<()> {
    ids.map_or(Ok(()), |(uid, gid)| std::os::unix::fs::chown(path, Some(uid), Some(gid)))
}

fn make_directory(guard: &mut Guard, parent: &Path, owner: Option<Ids>) -> Result<PathBuf, DemoError> {
    let what = format!("make a directory in {}", parent.display());
    let request = Request::Directory { parent: parent.to_path_buf(), owner };
    match guard.ask(&request) {
        Ok(Reply::Directory(directory)) => Ok(directory),
        Ok(reply) => Err(DemoError::new(Kind::Setup, what, format_args!("unexpected answer {reply:?}"), "")),
        Err(cause) => Err(DemoError::new(Kind::Setup, what, cause, "Set TMPDIR to a directory that can be written.")),
    }
}

/// Where the cluster's directory is made: the temporary directory, or `/tmp` when that is closed to the server's user
/// or its path is too long for a socket.
fn parent_directory(user: Option<&ServerUser>) -> Result<PathBuf, DemoError> {
    let fits = |dir: &Path| {
        dir.is_dir()
            && dir.as_os_str().len() + "/pgmoat-123456/s/.s.PGSQL.65535".len() <= SOCKET_PATH_LIMIT
            && user.is_none_or(|user| closed_to(dir, user).is_none())
    };
    [std::env::temp_dir(), PathBuf::from("/tmp")].into_iter().find(|dir| fits(dir)).ok_or_else(|| {
        DemoError::new(
            Kind::Setup,
            "find a place for a throwaway cluster",
            format!("{} does not do, and neither does /tmp", std::env::temp_dir().display()),
            "Set TMPDIR to a directory with a short path that the server's user may enter.",
        )
    })
}

fn free_port() -> Result<u16, DemoError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| DemoError::new(Kind::Setup, "find a free port", error, ""))
}

fn check_port(port: u16) -> Result<u16, DemoError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| port).map_err(|error| {
        DemoError::new(Kind::Setup, format!("use port {port}"), error, "Choose another with --port, or leave it out.")
    })
}

/// A container's proxy accepts before its server does: only an answer to the question for TLS proves the server.
fn wait_for_port(port: u16) -> Result<(), String> {
    use std::io::{Read as _, Write as _};
    const TLS_QUESTION: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let limit = Duration::from_secs(60);
    let start = Instant::now();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answers = || -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&TLS_QUESTION)?;
        stream.read_exact(&mut [0])
    };
    while let Err(error) = answers() {
        if start.elapsed() > limit {
            return Err(format!("no server answered on port {port} within {} s ({error})", limit.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// 24 letters and digits: more than 140 bits, and nothing that any quoting could spoil.
fn new_password() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut rng = rand::rng();
    (0..24).filter_map(|_| LETTERS.get(rng.random_range(0..LETTERS.len())).map(|&byte| char::from(byte))).collect()
}

/// Percent-encodes everything but unreserved characters.
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_survive_odd_names() {
        assert_eq!(percent("En-Garde-FlowDB"), "En-Garde-FlowDB");
        assert_eq!(percent("/tmp/a b/ü"), "%2Ftmp%2Fa%20b%2F%C3%BC");
    }

    #[test]
    fn passwords_differ_and_need_no_quotes() {
        let (one, other) = (new_password(), new_password());
        assert_ne!(one, other);
        assert_eq!(one.len(), 24);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_port_in_use_is_refused_with_the_way_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = check_port(listener.local_addr().unwrap().port()).unwrap_err();
        assert_eq!(error.kind, Kind::Setup);
        assert!(error.remedy.contains("--port"));
    }

    #[test]
    fn a_silent_port_is_not_a_server() {
        // Bound and never accepting an answer: the probe must not take the connection for a server.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (silent, _) = listener.accept().unwrap();
            drop(silent);
            let (mut server, _) = listener.accept().unwrap();
            let mut question = [0; 8];
            server.read_exact(&mut question).unwrap();
            server.write_all(b"N").unwrap();
            question
        });
        wait_for_port(port).unwrap();
        assert_eq!(answering.join().unwrap(), [0, 0, 0, 8, 4, 210, 22, 47]);
    }
}

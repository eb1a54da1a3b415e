//! Which databases are here: Compose files, libpq's environment and service file, local sockets and ports, containers.
//! Looks and asks only: nothing that a found file names is run or fetched, no login is tried, no password is printed.
//! Reading is pure and apart from looking around ([`files::Files`], [`Around`]). Must not know the screen or the console.

pub mod compose;
pub mod docker;
pub mod dotenv;
pub mod dsn;
pub mod files;
pub mod fill;
pub mod image;
pub mod meet;
pub mod probe;
pub mod project;
pub mod surroundings;
pub mod yaml;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

use crate::config::Env;
use files::Files;

/// A line of a file; line 0 is the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileLine {
    pub file: PathBuf,
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// Something that could not be read, for people. Holds no value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub at: Option<FileLine>,
    /// Follows the place: "is not used: …".
    pub message: String,
}

impl Problem {
    /// A problem at a line of a file.
    pub fn at(file: &Path, line: usize, message: impl Into<String>) -> Problem {
        Problem { at: Some(FileLine { file: file.to_owned(), line }), message: message.into() }
    }
}

/// How sure it is that this is a PostgreSQL server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    /// Something there looks like one.
    Guess,
    /// More speaks for it than against.
    Likely,
    /// It said so, or its image is one.
    Certain,
}

impl Sure {
    /// As written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Sure::Guess => "guess",
            Sure::Likely => "likely",
            Sure::Certain => "certain",
        }
    }
}

/// How it was found first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// libpq's environment.
    Environment,
    /// A service of a Compose file.
    Compose,
    /// A section of the connection service file.
    ServiceFile,
    /// A running container.
    Container,
    /// A Unix socket.
    Socket,
    /// A port that answers.
    Port,
    /// A connection string of an application.
    Address,
}

impl Source {
    /// As written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Source::Environment => "environment",
            Source::Compose => "compose",
            Source::ServiceFile => "service-file",
            Source::Container => "container",
            Source::Socket => "socket",
            Source::Port => "port",
            Source::Address => "connection-string",
        }
    }
}

/// Where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host's name or address, and a port.
    Tcp { host: String, port: u16 },
    /// The directory of a Unix socket.
    Socket { dir: PathBuf, port: u16 },
    /// Only from inside the network of its project.
    Inside,
    /// Docker chooses the host's port when it starts.
    Chosen,
}

/// Where the password is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// None is needed.
    None(String),
    /// A variable, in a line of a file.
    Written { variable: String, at: FileLine },
    /// A file.
    File(PathBuf),
    /// A variable of this process.
    Environment(String),
    /// libpq's password file has it.
    Pgpass,
    /// A running container's environment.
    Container { variable: String, container: String },
    /// Nobody says.
    Unknown,
}

/// Whether somebody is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It answered as PostgreSQL does; with TLS or without.
    Answers { tls: bool },
    /// Nothing listens there.
    Closed,
    /// No answer in time.
    Silent,
    /// Something else answered.
    Stranger,
    /// There is no way from here.
    Inside,
    /// It was not tried; why.
    NotTried(&'static str),
}

impl Reach {
    /// As written in JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Reach::Answers { .. } => "answers",
            Reach::Closed => "closed",
            Reach::Silent => "silent",
            Reach::Stranger => "not-postgresql",
            Reach::Inside => "inside-only",
            Reach::NotTried(_) => "not-tried",
        }
    }
}

/// What an application beside it says about a database: whose schema, which role.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// The service, or the file that says it.
    pub service: String,
    pub variable: String,
    pub at: FileLine,
    pub database: Option<String>,
    pub user: Option<String>,
    /// Schemas of the search path it asks for, in order.
    pub schemas: Vec<String>,
    /// Dialect and driver, as written.
    pub dialect: String,
    /// For a later login as that role; never shown.
    pub password: Option<SecretString>,
    /// Its Alembic revision scripts, where the directory that it is built from has one folder of them.
    pub revisions: Option<PathBuf>,
}

/// One database, or server, that was found. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct Found {
    /// A name for the configuration; unique in one discovery.
    pub name: String,
    pub source: Source,
    /// Where it was found, for people: `compose.yaml:4`, `container shop-db-1`, `/run/postgresql/.s.PGSQL.5432`.
    pub origins: Vec<String>,
    /// The section of the connection service file.
    pub libpq_service: Option<String>,
    /// Project and service of Compose.
    pub project: Option<(String, String)>,
    /// The port inside the container, where other services of the project reach it.
    pub inner: Option<u16>,
    /// `PostgreSQL 15`, `PgBouncer`; empty where it is not known.
    pub product: String,
    /// The image as written.
    pub image: Option<String>,
    pub place: Place,
    pub user: Option<String>,
    pub database: Option<String>,
    /// Where the password is to be had.
    pub secret: Secret,
    /// The password itself, where it was read anyway; never shown.
    pub password: Option<SecretString>,
    pub sure: Sure,
    pub reach: Reach,
    pub neighbours: Vec<Neighbour>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

impl Found {
    pub(crate) fn new(source: Source, place: Place, sure: Sure) -> Found {
        Found {
            name: String::new(),
            source,
            origins: Vec::new(),
            libpq_service: None,
            project: None,
            inner: None,
            product: String::new(),
            image: None,
            place,
            user: None,
            database: None,
            secret: Secret::Unknown,
            password: None,
            sure,
            reach: Reach::NotTried("nobody asked"),
            neighbours: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A connection string without a password; `None` where there is no way from here.
    #[must_use]
    pub fn conninfo(&self) -> Option<String> {
        if let Some(name) = &self.libpq_service {
            return Some(format!("service={name}"));
        }
        let user = self.user.as_deref().map(|u| format!("{}@", encoded(u))).unwrap_or_default();
        let database = self.database.as_deref().map(encoded).unwrap_or_default();
        match &self.place {
            Place::Tcp { host, port } => {
                let host = encoded(host).replace("%3A", ":");
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                Some(format!("postgresql://{user}{host}:{port}/{database}"))
            }
            Place::Socket { dir, port } => {
                let dir = dir.to_string_lossy();
                Some(format!("postgresql://{user}/{database}?host={}&port={port}", encoded(&dir).replace("%2F", "/")))
            }
            Place::Inside | Place::Chosen => None,
        }
    }

    /// What other services of its project call it, and the port there.
    #[must_use]
    pub fn inside(&self) -> Option<(&str, u16)> {
        let (_, service) = self.project.as_ref()?;
        Some((service, self.inner?))
    }

    /// True when it answered.
    #[must_use]
    pub fn answers(&self) -> bool {
        matches!(self.reach, Reach::Answers { .. })
    }
}

/// Percent escapes for everything but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// One place that was looked at, and what came of it; for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub what: String,
    pub result: String,
}

/// Everything that was found, best first.
#[derive(Debug, Default)]
pub struct Discovery {
    pub found: Vec<Found>,
    pub problems: Vec<Problem>,
    pub looked: Vec<Looked>,
}

/// What is looked around in, and for how long.
pub struct Around<'a> {
    pub env: &'a Env,
    pub files: &'a dyn Files,
    /// The Docker client; `None`: it is not asked.
    pub docker: Option<PathBuf>,
    /// Ports of this machine that are tried.
    pub ports: Vec<u16>,
    /// How long one port may take.
    pub patience: Duration,
    /// How long Docker may take for one answer.
    pub docker_patience: Duration,
}

/// Projects that Compose itself is asked about.
const MOST_QUESTIONS: usize = 4;
/// Ports that are tried on this machine.
const PORTS: std::ops::RangeInclusive<u16> = 5432..=5439;

impl<'a> Around<'a> {
    /// This machine.
    #[must_use]
    pub fn here(env: &'a Env, files: &'a dyn Files) -> Around<'a> {
        Around {
            env,
            files,
            docker: docker::client(env),
            ports: PORTS.collect(),
            patience: Duration::from_millis(400),
            docker_patience: Duration::from_secs(2),
        }
    }
}

/// Looks around from `dir`, or reads the Compose files named in `named`. Takes a few seconds at most: everything that
/// waits has a limit, and all ports are tried at once.
pub async fn discover(dir: &Path, named: &[PathBuf], around: &Around<'_>) -> Discovery {
    let mut out = Discovery::default();
    let variables = surroundings::variables(around.env);
    let projects = project::find(dir, named, around.files, &variables);
    let mut answers = Vec::new();
    let mut used = 0;
    let mut questions = if around.docker.is_some() { MOST_QUESTIONS } else { 0 };
    for project in &projects {
        let config = match &around.docker {
            Some(client) if questions > 0 && !project.remote && project.problems.is_empty() => {
                let config = docker::config(client, project, around).await;
                // Where it does not answer once, it is not waited for again.
                questions = if config.is_some() { questions - 1 } else { 0 };
                config
            }
            _ => None,
        };
        used += usize::from(config.is_some());
        answers.push(config);
    }
    out.looked.push(Looked {
        what: "Compose files".to_owned(),
        result: match (projects.iter().map(|p| p.named.len()).sum::<usize>(), used) {
            (0, _) => format!("none in {}", dir.display()),
            (n, 0) => format!("{}, read by pgmoat itself", crate::text::count(n as u64, "file", "files")),
            (n, _) => format!("{}, as docker compose config reads them", crate::text::count(n as u64, "file", "files")),
        },
    });
    for (project, answer) in projects.iter().zip(&answers) {
        let (found, problems) = project::found(project, answer.as_ref().map(|a| a.as_str()), around.files);
        out.found.extend(found);
        out.problems.extend(problems);
    }
    if projects.is_empty() {
        let (found, problems) = project::found_in_env_file(&dir.join(".env"), around.files);
        out.found.extend(found);
        out.problems.extend(problems);
    }
    let (found, problems, looked) = surroundings::found(around.env);
    out.found.extend(found);
    out.problems.extend(problems);
    out.looked.extend(looked);
    match &around.docker {
        None => out.looked.push(Looked { what: "Docker".to_owned(), result: docker::absent(around.env) }),
        Some(client) => {
            let (containers, result) = docker::containers(client, around).await;
            out.looked.push(Looked { what: "Docker".to_owned(), result });
            meet::containers(&mut out.found, containers);
        }
    }
    let sockets = surroundings::sockets(around.env);
    out.looked.push(Looked {
        what: "local sockets".to_owned(),
        result: match sockets.len() {
            0 => format!("none in {}", surroundings::directories(around.env)),
            n => crate::text::count(n as u64, "socket", "sockets"),
        },
    });
    out.found.extend(sockets);
    probe::all(&mut out.found, around).await;
    let answering = probe::ports(&out.found, around).await;
    out.looked.push(Looked {
        what: "local ports".to_owned(),
        result: match (around.ports.first(), around.ports.last()) {
            (Some(first), Some(last)) => {
                format!("{first} to {last} tried; {} more answered as PostgreSQL", answering.len())
            }
            _ => "none tried".to_owned(),
        },
    });
    out.found.extend(answering);
    meet::finish(&mut out.found, around.env);
    out
}

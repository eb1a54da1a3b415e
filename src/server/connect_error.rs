//! Why a connection could not be made: a closed set of kinds, a sentence, and what to do. Never holds a password.

use std::{error::Error as StdError, fmt, io};

use super::{
    errors::{self, ServerError},
    guard::{Broken, Seen},
    tls,
};

/// What stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// The host's name has no address.
    Dns,
    /// Nobody listens, or nobody can be reached there.
    Refused,
    /// No answer in time.
    Timeout,
    /// Encryption could not be agreed on, or a certificate is not trusted.
    Tls,
    /// The server wants a password and none is at hand.
    PasswordNeeded,
    /// The login was refused.
    Auth,
    /// 53300: no slot is free.
    TooManyConnections,
    /// 57P03: starting up, stopping or recovering.
    Starting,
    /// 3D000: no such database.
    DatabaseMissing,
    /// What answers breaks PostgreSQL's protocol, or sends more than it may.
    Protocol,
    /// No server is of the wanted kind (`target_session_attrs`).
    WrongSession,
    /// Anything else.
    Other,
}

/// A connection that could not be made. Display: *could not connect to …: why*, then the remedy on its own line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// What stood in the way.
    pub kind: ConnectErrorKind,
    /// Five characters, when a server said them.
    pub sqlstate: Option<String>,
    /// `user@host:port/database` of what was tried.
    pub target: String,
    /// One sentence, raw text of the server among it.
    pub message: String,
    /// The server's DETAIL or HINT.
    pub detail: Option<String>,
    /// What to do, one sentence.
    pub remedy: Option<String>,
    /// What went wrong at other hosts and in other ways before, one line each.
    pub tried: Vec<String>,
    /// True when the server asked for a password before this happened.
    pub(super) asked: bool,
    /// True when somebody took the connection first.
    pub(super) contact: bool,
}

impl ConnectError {
    pub(super) fn new(kind: ConnectErrorKind, message: impl Into<String>, remedy: &str) -> Self {
        Self {
            kind,
            sqlstate: None,
            target: String::new(),
            message: message.into(),
            detail: None,
            remedy: (!remedy.is_empty()).then(|| remedy.to_owned()),
            tried: Vec::new(),
            asked: false,
            contact: false,
        }
    }

    /// The same for a connection that was there and ended: other hosts are not tried after it.
    pub(super) fn after_contact(self) -> Self {
        Self { contact: true, ..self }
    }

    /// True when waiting makes no difference until somebody changes something: password, role, database, certificate.
    /// The next attempt then waits long, so that no account is locked.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        use ConnectErrorKind as K;
        match self.kind {
            K::Tls | K::PasswordNeeded | K::Auth | K::DatabaseMissing | K::TooManyConnections => true,
            K::Dns | K::Refused | K::Timeout | K::Starting | K::Protocol | K::WrongSession | K::Other => false,
        }
    }

    /// True when libpq would go on to the next host.
    pub(super) fn next_host(&self) -> bool {
        use ConnectErrorKind as K;
        match self.kind {
            K::Refused => !self.contact,
            K::Dns | K::Timeout | K::Starting | K::WrongSession => true,
            K::Tls
            | K::PasswordNeeded
            | K::Auth
            | K::DatabaseMissing
            | K::TooManyConnections
            | K::Protocol
            | K::Other => false,
        }
    }

    /// True when pg_hba.conf turned this line away before any password was asked for: with or without TLS may differ.
    pub(super) fn by_rule(&self) -> bool {
        self.sqlstate.as_deref() == Some("28000") && !self.asked
    }

    /// A socket that could not be opened.
    pub(super) fn opening(error: &io::Error, socket_file: bool, place: &str) -> Self {
        use ConnectErrorKind as K;
        let why = errors::sentence(error);
        match error.kind() {
            io::ErrorKind::NotFound if socket_file => Self::new(
                K::Refused,
                format!("there is no server socket {place}"),
                "is the server running, and are directory and port right? (unix_socket_directories, port)",
            ),
            io::ErrorKind::InvalidInput if socket_file => Self::new(
                K::Refused,
                format!("the name of the server socket {place} is too long"),
                "the system allows about 100 bytes: give the server a shorter directory (unix_socket_directories)",
            ),
            io::ErrorKind::ConnectionRefused => Self::new(
                K::Refused,
                format!("nobody listens at {place}"),
                "is the server running, and is the port right? For a container: is the port published?",
            ),
            io::ErrorKind::PermissionDenied => {
                Self::new(K::Refused, format!("{place}: {why}"), "check who may use the socket, or a firewall")
            }
            io::ErrorKind::TimedOut => {
                Self::new(K::Timeout, format!("{place} does not answer"), "check host, port and firewalls")
            }
            _ => {
                Self::new(K::Refused, format!("{place} cannot be reached: {why}"), "check host, network and firewalls")
            }
        }
    }

    /// An error between the first byte and a usable session.
    pub(super) fn login(error: &tokio_postgres::Error, seen: Seen, password_given: bool) -> Self {
        use ConnectErrorKind as K;
        let mut refused = if let Some(broken) = errors::find::<Broken>(error) {
            Self::broken(broken)
        } else if let Some(why) = errors::find::<rustls::Error>(error) {
            let (message, remedy) = tls::explain(why);
            Self::new(K::Tls, format!("TLS failed: {message}"), remedy.unwrap_or_default())
        } else if error.as_db_error().is_some() {
            Self::from_server(&ServerError::from(error))
        } else if seen.asked && !password_given {
            Self::new(
                K::PasswordNeeded,
                "the server asks for a password and none is at hand",
                "put it into ~/.pgpass or PGPASSWORD, set password_command for the instance, or give -W to be asked",
            )
        } else if error.is_closed() || early_end(error) {
            Self::new(
                K::Refused,
                if seen.asked {
                    "the server closed the connection during the login"
                } else {
                    "the connection was closed before the server answered"
                },
                "the server may be starting or out of processes (its log says why); in front of a container a proxy answers even when nothing runs behind it",
            )
            .after_contact()
        } else {
            let text = errors::sentence(error);
            let kind = if text.contains("authentication") {
                K::Auth
            } else if text.contains("TLS") {
                K::Tls
            } else {
                K::Protocol
            };
            let remedy = if text.contains("channel binding") {
                "channel_binding=require needs TLS and SCRAM; leave it out, or have the password stored as SCRAM"
            } else {
                ""
            };
            Self::new(kind, text, remedy)
        };
        refused.asked = seen.asked;
        refused
    }

    fn broken(broken: &Broken) -> Self {
        use ConnectErrorKind as K;
        let (kind, remedy) = match broken {
            Broken::NotPostgres => (K::Protocol, "something else listens there; check host and port"),
            Broken::LongMessage { .. } | Broken::LongLogin(_) | Broken::LongResponse(_) | Broken::ManyParameters(_) => {
                (K::Protocol, "that is no honest PostgreSQL server")
            }
            Broken::ClearPassword => (
                K::Auth,
                "use TLS (sslmode=require), or write sslmode=disable to send it readable by anybody on the way",
            ),
            Broken::Method(_) => (K::Auth, "change require_auth, or the server's pg_hba.conf"),
        };
        Self::new(kind, broken.to_string(), remedy)
    }

    /// An error the server sent.
    pub(super) fn from_server(error: &ServerError) -> Self {
        use ConnectErrorKind as K;
        let kind = match error.sqlstate.as_deref().unwrap_or_default() {
            "53300" => K::TooManyConnections,
            "57P03" => K::Starting,
            "3D000" => K::DatabaseMissing,
            "42501" => K::Auth,
            state if state.starts_with("28") => K::Auth,
            _ => K::Other,
        };
        let remedy = match error.sqlstate.as_deref() {
            Some("42501") => Some("the role lacks CONNECT on the database"),
            _ => error.remedy,
        };
        Self {
            sqlstate: error.sqlstate.clone(),
            detail: error.detail.clone().or_else(|| error.hint.clone()),
            ..Self::new(kind, error.message.clone(), remedy.unwrap_or_default())
        }
    }

    /// One line for the list of what was tried.
    pub(super) fn line(&self) -> String {
        format!("{}: {}", self.target, self.message)
    }
}

fn early_end(error: &tokio_postgres::Error) -> bool {
    errors::find::<io::Error>(error).is_some_and(|io| {
        matches!(
            io.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
        )
    })
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not connect to {}: {}", self.target, self.message)?;
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, " ({sqlstate})")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "\n{detail}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n{remedy}")?;
        }
        for line in &self.tried {
            write!(f, "\nbefore that, {line}")?;
        }
        Ok(())
    }
}

impl StdError for ConnectError {}

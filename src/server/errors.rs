//! Errors of a server and of the line to it, as sentences: what happened, the SQLSTATE, and what to do about those we
//! know. The protocol crate prints only "db error"; here the whole chain of causes is read. Texts come from the server as
//! they are and are escaped at output.

use std::{error::Error as StdError, fmt, io};

use tokio_postgres::error::DbError;

use super::guard::Broken;
use crate::text;

/// Characters of a text of the server's that are kept: whoever may raise an error or a warning decides how long it is, and
/// it goes to screens, to standard error and into the journal.
const MOST: usize = 2000;

fn kept(text: &str) -> String {
    text::capped(text, MOST).into_owned()
}

/// An error that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Five characters, when the server said it.
    pub sqlstate: Option<String>,
    /// One sentence: the server's message, or what happened to the line.
    pub message: String,
    /// The server's DETAIL.
    pub detail: Option<String>,
    /// The server's HINT.
    pub hint: Option<String>,
    /// Where in a function or statement, the server's CONTEXT.
    pub context: Option<String>,
    /// What to do, for the errors we know.
    pub remedy: Option<&'static str>,
    /// True when the connection is gone.
    pub closed: bool,
}

impl ServerError {
    /// True when the server gave this SQLSTATE.
    #[must_use]
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate.as_deref() == Some(sqlstate)
    }
}

impl From<&DbError> for ServerError {
    fn from(db: &DbError) -> Self {
        let sqlstate = db.code().code().to_owned();
        Self {
            remedy: remedy(&sqlstate, db.message()),
            closed: sqlstate.starts_with("57P") || matches!(db.severity(), "FATAL" | "PANIC"),
            sqlstate: Some(sqlstate),
            message: kept(db.message()),
            detail: db.detail().map(kept),
            hint: db.hint().map(kept),
            context: db.where_().map(kept),
        }
    }
}

impl From<&tokio_postgres::Error> for ServerError {
    fn from(error: &tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::from(db);
        }
        let broken = find::<Broken>(error);
        let io = find::<io::Error>(error).is_some();
        let message = match broken {
            Some(broken) => broken.to_string(),
            None if error.is_closed() => "the server closed the connection".to_owned(),
            None => sentence(error),
        };
        Self {
            sqlstate: None,
            message,
            detail: None,
            hint: None,
            context: None,
            remedy: None,
            closed: error.is_closed() || broken.is_some() || io,
        }
    }
}

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::from(&error)
    }
}

impl fmt::Display for ServerError {
    /// The message with its SQLSTATE, then detail, hint and remedy on lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, " ({sqlstate})")?;
        }
        for (title, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, "\n{title}: {text}")?;
            }
        }
        match self.remedy {
            Some(remedy) => write!(f, "\n{remedy}"),
            None => Ok(()),
        }
    }
}

impl StdError for ServerError {}

/// What the server says beside its answers (NOTICE, WARNING): results too, for a grant that granted nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING` …, not translated where the server says so.
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// One sentence.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
}

impl From<&DbError> for Notice {
    fn from(db: &DbError) -> Self {
        Self {
            severity: db.parsed_severity().map_or_else(|| db.severity().to_owned(), |s| s.to_string()),
            sqlstate: db.code().code().to_owned(),
            message: kept(db.message()),
            detail: db.detail().map(kept),
        }
    }
}

/// The first error of type `T` in the chain of causes. Errors inside [`io::Error`] count: its `source` skips them.
#[must_use]
pub fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = inner(error);
    }
    None
}

fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

/// The chain of causes from the most general to the root, without repetitions.
#[must_use]
pub fn sentence(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = match error.downcast_ref::<io::Error>() {
            Some(io) => crate::config::conninfo::files::reason(io),
            None => error.to_string(),
        };
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = inner(error);
    }
    parts.join(": ")
}

/// What to do about an error whose SQLSTATE we know (PostgreSQL manual, appendix A).
#[must_use]
pub fn remedy(sqlstate: &str, message: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "01007" | "01006" => {
            "the right is held by grant of another role; that role, or a superuser acting for it, must change it"
        }
        "08P01" if message.contains("options") => {
            "a pooler stands in between and refuses `options`; leave it out of the connection string and PGOPTIONS"
        }
        "22021" => "the text holds a byte that does not fit the database's encoding",
        "25006" => "the server or this session is read-only; writes need the primary",
        "26000" | "42P05" => "a pooler stands in between and handed over another server connection; try again",
        "28P01" => "check the password: the connection string, PGPASSWORD, ~/.pgpass or password_command",
        "28000" if message.contains("pg_hba") => {
            "the server's pg_hba.conf has no line for this host, user, database and encryption; ask whoever runs it for one"
        }
        "28000" => "check user name and method: the role must exist, may log in, and pg_hba.conf must accept it",
        "2BP01" => "other grants depend on it; take those back first",
        "3D000" => "check the database's name; `psql -l` lists them",
        "40001" => "another transaction, or replay on a standby, came first; try again",
        "40P01" => "two transactions waited for each other; try again",
        "42501" => "the connected role lacks the right; connect as an owner or as a superuser",
        "53100" => "the server's disk is full",
        "53200" => "the server is out of memory",
        "53300" if message.contains("reserved") => {
            "only connections reserved for superusers are free (superuser_reserved_connections): a superuser can still come in and end idle sessions; else raise max_connections"
        }
        "53300" if message.contains("clients already") => {
            "no connection is free, not even one reserved for superusers (superuser_reserved_connections); end sessions through one that is open, or stop a client, and raise max_connections"
        }
        "53300" => "no connection is free; end idle sessions, or raise max_connections or the role's limit",
        "55P03" => "somebody else holds the lock; try again, or see who it is in the Sessions pane",
        "57014" => "the statement took longer than its limit, or somebody cancelled it",
        "57P01" => "the server is stopping, or an administrator ended the session",
        "57P02" => "the server crashed and recovers; it will be back soon",
        "57P03" => "the server is starting up, stopping or recovering; try again in a moment",
        "57P05" => "the server ends idle sessions (idle_session_timeout)",
        "58P01" if message.contains("undefined symbol") || message.contains("could not load library") => {
            "the server's packages were upgraded while it ran; restart the server"
        }
        "XX000" if message.contains("concurrently updated") => "somebody else changed the same object; try again",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_chain_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not write")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other(Broken::LongLogin(5)));
        assert_eq!(sentence(&error), "could not write: more than 5 bytes arrived before the login was complete");
        assert_eq!(find::<Broken>(&error), Some(&Broken::LongLogin(5)));
        let plain = Outer(io::Error::from_raw_os_error(111));
        assert_eq!(sentence(&plain), "could not write: connection refused");
    }

    #[test]
    fn known_states_have_remedies() {
        assert!(remedy("08P01", "unsupported startup parameter: options").is_some_and(|r| r.contains("pooler")));
        assert!(remedy("08P01", "x").is_none());
        let full = |message| remedy("53300", message).unwrap();
        let reserved = "remaining connection slots are reserved for roles with the SUPERUSER attribute";
        assert!(full(reserved).contains("a superuser can still come in"));
        assert!(full("sorry, too many clients already").contains("superuser_reserved_connections"));
        assert!(!full("too many connections for role \"app\"").contains("superuser"));
        assert!(remedy("58P01", "undefined symbol: x").is_some_and(|r| r.contains("restart")));
    }
}

//! What can go wrong while reading, as data: a sentence with its cause, what to do, and how long to wait before the next
//! try. Texts of the server are carried as they came and escaped where they are shown.

use std::{fmt, time::Duration};

use tokio_postgres::error::SqlState;

/// A failure of a read. `Display` is one sentence, "could not read the roles: …"; [`ServerError::remedy`] is the next line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerError {
    /// No connection could be made.
    Connect {
        /// The whole sentence.
        sentence: String,
        /// What to do about it.
        remedy: Option<String>,
        /// It will not get better by itself: a wrong password, a full server.
        stubborn: bool,
    },
    /// The server answered with an error.
    Refused { what: &'static str, state: String, message: String, detail: Option<String>, hint: Option<String> },
    /// The connection ended.
    Lost { what: &'static str, cause: String },
    /// No answer in time; the query was cancelled.
    Deadline { what: &'static str, after: Duration },
    /// An answer that does not have the form that was asked for.
    Unreadable { what: &'static str, column: usize, expected: &'static str },
}

impl ServerError {
    pub(crate) fn from_driver(what: &'static str, error: &tokio_postgres::Error) -> ServerError {
        if let Some(db) = error.as_db_error() {
            return ServerError::Refused {
                what,
                state: db.code().code().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
                hint: db.hint().map(str::to_owned),
            };
        }
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        ServerError::Lost { what, cause }
    }

    /// The server's five-character code, when it was the server that said no.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        match self {
            ServerError::Refused { state, .. } => Some(state),
            ServerError::Connect { .. }
            | ServerError::Lost { .. }
            | ServerError::Deadline { .. }
            | ServerError::Unreadable { .. } => None,
        }
    }

    pub(crate) fn is(&self, state: &SqlState) -> bool {
        self.state() == Some(state.code())
    }

    /// The connection cannot be used any more.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        match self {
            ServerError::Connect { .. }
            | ServerError::Lost { .. }
            | ServerError::Deadline { .. }
            | ServerError::Unreadable { .. } => true,
            ServerError::Refused { state, .. } => {
                state.starts_with("57P") || state.starts_with("08") || matches!(state.as_str(), "25P03" | "25P04")
            }
        }
    }

    /// The next try should wait longer than after a mere network fault.
    #[must_use]
    pub fn is_stubborn(&self) -> bool {
        match self {
            ServerError::Connect { stubborn, .. } => *stubborn,
            ServerError::Refused { .. }
            | ServerError::Lost { .. }
            | ServerError::Deadline { .. }
            | ServerError::Unreadable { .. } => false,
        }
    }

    /// What to do, as one sentence, where we know.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            ServerError::Connect { remedy, .. } => remedy.clone(),
            ServerError::Refused { state, hint, .. } => known_remedy(state).map(str::to_owned).or_else(|| hint.clone()),
            ServerError::Lost { .. } => {
                Some("The server or something on the way ended the connection; try again.".into())
            }
            ServerError::Deadline { .. } => {
                Some("The server did not answer in time: look at its load, and for a lock on its catalogs.".into())
            }
            ServerError::Unreadable { .. } => {
                Some("This looks like a fault of this program or an unknown server version; please report it.".into())
            }
        }
    }
}

/// One sentence for the codes that a read can meet.
fn known_remedy(state: &str) -> Option<&'static str> {
    Some(match state {
        "55P03" => "Somebody holds the lock; look at the sessions and try again.",
        "57014" => "It took longer than the statement timeout; look for a lock on the catalogs or for heavy load.",
        "42501" => "The login lacks a privilege; log in as a role that has it.",
        "57P01" | "57P02" => "The server is restarting; try again in a moment.",
        "57P03" => "The server is starting or stopping; try again in a moment.",
        "57P05" | "25P03" => "The server ends idle sessions; the connection is made anew.",
        "40001" => "A standby cancelled the read because replay needed the rows; it is tried again.",
        "58P01" => "A file of the server is missing: it was probably upgraded while running and needs a restart.",
        "53200" => "The server is out of memory or of lock slots (max_locks_per_transaction).",
        "22021" => "Text in the database is not valid in its encoding.",
        _ => return None,
    })
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Connect { sentence, .. } => f.write_str(sentence),
            ServerError::Refused { what, state, message, detail, .. } => {
                write!(f, "could not read {what}: {message} (SQLSTATE {state})")?;
                detail.as_ref().map_or(Ok(()), |detail| write!(f, "; {detail}"))
            }
            ServerError::Lost { what, cause } => write!(f, "could not read {what}: the connection ended: {cause}"),
            ServerError::Deadline { what, after } => {
                write!(f, "could not read {what}: no answer within {} ms", after.as_millis())
            }
            ServerError::Unreadable { what, column, expected } => {
                write!(f, "could not read {what}: column {} does not hold {expected}", column + 1)
            }
        }
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(state: &str) -> ServerError {
        ServerError::Refused {
            what: "the roles",
            state: state.into(),
            message: "no".into(),
            detail: None,
            hint: Some("try".into()),
        }
    }

    #[test]
    fn a_shutdown_ends_the_connection_and_a_lock_does_not() {
        assert!(refused("57P01").ends_connection());
        assert!(refused("25P03").ends_connection());
        assert!(!refused("55P03").ends_connection());
        assert!(!refused("57014").ends_connection());
    }

    #[test]
    fn sentences_name_object_cause_and_code() {
        assert_eq!(refused("42501").to_string(), "could not read the roles: no (SQLSTATE 42501)");
        assert_eq!(refused("XX999").remedy().as_deref(), Some("try"), "an unknown code shows the server's own hint");
    }
}

//! What can go wrong between the wish to read and the picture, as data: a sentence with its cause, what to do, and
//! whether the connection is over. Texts of the server are carried as they came and escaped where they are shown.

use std::{fmt, time::Duration};

use tokio_postgres::error::SqlState;

use super::super::{connect::ConnectError, errors};

/// `Display` is one sentence, "could not read the roles: …"; [`ServerError::remedy`] is the line below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerError {
    /// No connection could be made.
    Connect(Box<ConnectError>),
    /// The server said no, or the connection ended.
    Answer {
        /// What was being read: "the roles".
        what: &'static str,
        error: Box<errors::ServerError>,
    },
    /// No answer in time; the query was cancelled.
    Deadline { what: &'static str, after: Duration },
    /// An answer that does not have the form that was asked for. Columns count from 0.
    Unreadable { what: &'static str, column: usize, expected: &'static str },
    /// The target, which is read-only: nothing was sent.
    ReadOnly(String),
}

impl ServerError {
    pub(crate) fn from_driver(what: &'static str, error: &tokio_postgres::Error) -> ServerError {
        ServerError::Answer { what, error: Box::new(errors::ServerError::from(error)) }
    }

    /// The same with what the connection ended of, where the statement only learned that it did.
    #[must_use]
    pub(crate) fn because(self, ending: Option<&errors::ServerError>) -> ServerError {
        match (self, ending) {
            (ServerError::Answer { what, error }, Some(ending)) if error.closed && error.sqlstate.is_none() => {
                ServerError::Answer { what, error: Box::new(ending.clone()) }
            }
            (error, _) => error,
        }
    }

    /// The server's five-character code, when it was the server that said no.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            ServerError::Connect(error) => error.sqlstate.as_deref(),
            ServerError::Answer { error, .. } => error.sqlstate.as_deref(),
            ServerError::Deadline { .. } | ServerError::Unreadable { .. } | ServerError::ReadOnly(_) => None,
        }
    }

    pub(crate) fn is(&self, state: &SqlState) -> bool {
        match self {
            ServerError::Answer { error, .. } => error.is(state.code()),
            ServerError::Connect(_)
            | ServerError::Deadline { .. }
            | ServerError::Unreadable { .. }
            | ServerError::ReadOnly(_) => false,
        }
    }

    /// The connection cannot be used any more.
    #[must_use]
    pub fn ends_connection(&self) -> bool {
        match self {
            ServerError::Connect(_) | ServerError::Deadline { .. } | ServerError::Unreadable { .. } => true,
            ServerError::ReadOnly(_) => false,
            ServerError::Answer { error, .. } => error.closed || error.sqlstate.is_none(),
        }
    }

    /// The next try should wait longer than after a mere network fault.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            ServerError::Connect(error) => error.is_lasting(),
            ServerError::ReadOnly(_) => true,
            ServerError::Answer { .. } | ServerError::Deadline { .. } | ServerError::Unreadable { .. } => false,
        }
    }

    /// What to do, as one sentence, where we know.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            ServerError::Connect(error) => error.remedy.clone(),
            ServerError::Answer { error, .. } => error.remedy.map(str::to_owned).or_else(|| error.hint.clone()),
            ServerError::Deadline { .. } => {
                Some("look at the server's load, and for a lock on its catalogs; then try again".to_owned())
            }
            ServerError::Unreadable { .. } => {
                Some("this is a fault of the program or an unknown server version; please report it".to_owned())
            }
            ServerError::ReadOnly(_) => Some("leave out --read-only, or set read_only = false".to_owned()),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Connect(error) => {
                write!(f, "could not connect to {}: {}", error.target, error.message)?;
                if let Some(state) = &error.sqlstate {
                    write!(f, " ({state})")?;
                }
                error.detail.as_ref().map_or(Ok(()), |detail| write!(f, "; {detail}"))?;
                error.tried.iter().try_for_each(|line| write!(f, "; before that, {line}"))
            }
            ServerError::Answer { what, error } => {
                write!(f, "could not read {what}: {}", error.message)?;
                if let Some(state) = &error.sqlstate {
                    write!(f, " ({state})")?;
                }
                error.detail.as_ref().map_or(Ok(()), |detail| write!(f, "; {detail}"))
            }
            ServerError::Deadline { what, after } => {
                write!(f, "could not read {what}: no answer within {} ms", after.as_millis())
            }
            ServerError::Unreadable { what, column, expected } => {
                write!(f, "could not read {what}: column {} does not hold {expected}", column + 1)
            }
            ServerError::ReadOnly(target) => write!(f, "could not change {target}: it is read-only here"),
        }
    }
}

impl std::error::Error for ServerError {}

impl From<ConnectError> for ServerError {
    fn from(error: ConnectError) -> ServerError {
        ServerError::Connect(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(sqlstate: Option<&str>, closed: bool) -> ServerError {
        let error = errors::ServerError {
            sqlstate: sqlstate.map(str::to_owned),
            message: "no".into(),
            detail: Some("d".into()),
            hint: Some("try".into()),
            context: None,
            remedy: None,
            closed,
        };
        ServerError::Answer { what: "the roles", error: Box::new(error) }
    }

    #[test]
    fn a_refusal_leaves_the_connection_alone_and_silence_ends_it() {
        assert!(answer(Some("57P01"), true).ends_connection());
        assert!(answer(None, false).ends_connection(), "not the server's word: nobody knows what comes next");
        assert!(!answer(Some("55P03"), false).ends_connection());
    }

    #[test]
    fn sentences_name_object_cause_and_code() {
        assert_eq!(answer(Some("42501"), false).to_string(), "could not read the roles: no (42501); d");
        assert_eq!(answer(Some("XX999"), false).remedy().as_deref(), Some("try"), "the server's own hint");
    }
}

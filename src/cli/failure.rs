//! Why a command could not do what was asked: one sentence, what to do, and the exit code that goes with it. Printed once,
//! by `cli::main`. Holds no password: messages of configuration and server are made without them.

use super::exit_code::Exit;
use crate::config;

/// What every command returns: how it ended, or why it could not.
pub type Outcome = Result<Exit, Failure>;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// `could not <verb> <object>: <cause>`, without a full stop. Raw: escaped when it is printed.
    pub message: String,
    /// What to do, a sentence; `None` where nothing helps.
    pub remedy: Option<String>,
}

impl Failure {
    /// Wrong use, configuration or policy.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Failure {
        let remedy = remedy.into();
        Failure { exit: Exit::Usage, message: message.into(), remedy: Some(remedy).filter(|r| !r.is_empty()) }
    }

    /// The server could not be reached, or failed.
    pub fn server(message: impl Into<String>, remedy: Option<String>) -> Failure {
        Failure { exit: Exit::Server, message: message.into(), remedy }
    }

    /// Refused: nothing was changed.
    pub fn refused(message: impl Into<String>, remedy: &str) -> Failure {
        let remedy = Some(remedy.to_owned()).filter(|r| !r.is_empty());
        Failure { exit: Exit::Refused, message: message.into(), remedy }
    }

    /// A file could not be read or written.
    pub fn file(verb: &str, path: &std::path::Path, cause: &std::io::Error, remedy: &str) -> Failure {
        Failure::usage(format!("could not {verb} {}: {cause}", path.display()), remedy)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Failure {
        Failure::usage(error.message, error.remedy)
    }
}

/// Only standard output can fail so far outside a command's own words.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::usage(
            format!("could not write to standard output: {error}"),
            "Free space on the device, or write somewhere else.",
        )
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

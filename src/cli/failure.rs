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
    /// `could not <verb> <object>: <cause>`, without a full stop, in one line. Raw: escaped when it is printed, a line feed
    /// in a name, too.
    pub message: String,
    /// What belongs to it, a line each; raw likewise.
    pub lines: Vec<String>,
    /// What to do, a sentence; `None` where nothing helps.
    pub remedy: Option<String>,
}

impl Failure {
    /// An empty remedy is none.
    pub fn new(exit: Exit, message: impl Into<String>, remedy: Option<String>) -> Failure {
        Failure { exit, message: message.into(), lines: Vec::new(), remedy: remedy.filter(|r| !r.is_empty()) }
    }

    /// With lines below the message.
    #[must_use]
    pub fn with(mut self, lines: impl IntoIterator<Item = String>) -> Failure {
        self.lines.extend(lines);
        self
    }

    /// Wrong use, configuration or policy.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message, Some(remedy.into()))
    }

    /// The server could not be reached, or failed.
    pub fn server(message: impl Into<String>, remedy: Option<String>) -> Failure {
        Failure::new(Exit::Server, message, remedy)
    }

    /// Refused: nothing was changed.
    pub fn refused(message: impl Into<String>, remedy: &str) -> Failure {
        Failure::new(Exit::Refused, message, Some(remedy.to_owned()))
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
        f.write_str(&self.message)?;
        self.lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Failure {}

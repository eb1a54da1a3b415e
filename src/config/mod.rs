//! What people write: connection strings, the configuration file, where files live, which servers are meant.
//! Knows files and the environment; must not know a server, a screen or the command line's types.

pub mod conninfo;
pub mod entry;
pub mod env;
pub mod file;
pub mod password;
pub mod paths;
pub mod revisions;
pub mod target;

use std::fmt;

pub use conninfo::{Conninfo, Host, Leave};
pub use env::Env;
pub use file::{Config, Instance, Ui};
pub use target::{Environment, Target, TargetOptions};

/// Something a person wrote cannot be used. Exit code 2.
///
/// Neither text holds a password or a part of a string that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// One sentence: *could not … : …*, without a full stop.
    pub message: String,
    /// What to do about it, one sentence without a full stop; may be empty.
    pub remedy: String,
}

impl Error {
    /// An error with its remedy.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n{}", self.remedy) }
    }
}

impl std::error::Error for Error {}

pub use crate::text::nearest;

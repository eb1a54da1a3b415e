//! What can go wrong with a throwaway server, each with what to do about it. Knows nothing of exit codes or screens.

use std::fmt;

/// An error of the demo and of the test clusters. `Display` gives the cause and, on its own line, what to do.
#[derive(Debug)]
pub struct DemoError {
    /// What kind of failure it is; decides the exit code.
    pub kind: Kind,
    /// What was tried: a verb and its object ("start the server in /tmp/x").
    pub what: String,
    /// Why it failed, one line or the end of a log.
    pub cause: String,
    /// What the person can do, in one sentence; may be empty.
    pub remedy: String,
}

/// The kinds that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No server binaries, or none of the wanted major version.
    NoServer,
    /// The person said no, or could not be asked.
    Declined,
    /// The arguments or the machine cannot work (a port in use, a directory the server may not enter).
    Setup,
    /// The server did not start, died, or refused a statement.
    Server,
}

impl DemoError {
    /// An error of the given kind.
    pub fn new(kind: Kind, what: impl Into<String>, cause: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self { kind, what: what.into(), cause: cause.to_string(), remedy: remedy.into() }
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.what, self.cause)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n{}", self.remedy) }
    }
}

impl std::error::Error for DemoError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_stands_on_its_own_line() {
        let error = DemoError::new(Kind::Setup, "use port 5432", "it is taken", "Choose another with --port.");
        assert_eq!(error.to_string(), "could not use port 5432: it is taken\nChoose another with --port.");
    }

    #[test]
    fn without_a_remedy_there_is_one_line() {
        assert_eq!(DemoError::new(Kind::Server, "stop it", "gone", "").to_string(), "could not stop it: gone");
    }
}

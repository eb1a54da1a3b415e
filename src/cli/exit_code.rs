//! The exit codes, all of them. Scripts rely on these numbers; nothing else in the program names one.

use std::process::ExitCode;

/// How a run ended. Ordered by precedence: of several, the greatest in this list is the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Clean, or done.
    Done,
    /// Findings at or above the level, or a negative `explain`.
    Findings,
    /// Could not connect, or the server failed.
    Server,
    /// A usage, configuration or policy error.
    Usage,
    /// Refused or rolled back; nothing changed.
    Refused,
    /// The line was lost in COMMIT, and nobody could say what became of it.
    Unknown,
    /// Ctrl-C.
    Interrupted,
    /// A fault of the program.
    Panic,
}

impl Exit {
    /// Every one, for the manual page.
    pub const ALL: [Exit; 8] = [
        Exit::Done,
        Exit::Findings,
        Exit::Usage,
        Exit::Server,
        Exit::Refused,
        Exit::Unknown,
        Exit::Panic,
        Exit::Interrupted,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Server => 3,
            Exit::Refused => 4,
            Exit::Unknown => 5,
            Exit::Panic => 101,
            Exit::Interrupted => 130,
        }
    }

    /// What it means, for help and the manual page.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "clean, or done",
            Exit::Findings => "findings at or above the level, a plan with steps, or a negative answer of explain",
            Exit::Usage => "usage, configuration or policy error",
            Exit::Server => "could not connect, or the server failed",
            Exit::Refused => "refused or rolled back, nothing changed",
            Exit::Unknown => "outcome unknown: the connection was lost while committing",
            Exit::Panic => "a fault of the program itself",
            Exit::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_server_beats_findings() {
        assert_eq!(Exit::Findings.max(Exit::Server).number(), 3);
        assert_eq!(Exit::Done.max(Exit::Findings).number(), 1);
    }

    #[test]
    fn numbers_are_listed_in_their_order() {
        assert!(Exit::ALL.is_sorted_by_key(|e| e.number()));
    }
}

//! What became of an action, as data. Texts of the server are raw here and escaped where they are shown.

use std::fmt;

use crate::{
    domain::transaction::Transaction,
    plan::Moved,
    server::{
        ServerError,
        errors::{self, Notice},
        read::life::Blocker,
    },
    text,
};

/// See the module. There is no fourth way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed(Done),
    /// Everything was done, proven and rolled back.
    RehearsalProven(Done),
    NothingChanged(Reason),
    /// The line was lost in COMMIT, and nobody could say what became of it.
    Unknown {
        transaction: Transaction,
        why: String,
    },
}

/// An action that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    pub xid: u64,
    /// What the server said beside its answers. A warning is a result.
    pub notices: Vec<Notice>,
    /// How long locks were held, from the first one to the end of the transaction.
    pub lock_held_ms: u64,
    /// Whole transactions that it took.
    pub attempts: u32,
    /// The answer to COMMIT was lost, and the server was asked for it.
    pub resolved: bool,
    /// Committed on this server; a synchronous standby has not said yet that it has it.
    pub awaits_standby: bool,
    /// What others changed between the end and the last look.
    pub moved_since: Vec<Moved>,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Before anything was begun.
    Refused(String),
    /// No connection.
    Unreachable(ServerError),
    /// The state has moved on since the plan was made.
    Stale(Vec<Moved>),
    /// Another console is at work.
    Busy(Vec<Blocker>),
    LockTimeout {
        /// What was waited for.
        what: String,
        blockers: Vec<Blocker>,
        attempts: u32,
        /// How long that took, milliseconds.
        took_ms: u64,
        /// Every attempt that was in vain.
        tries: Vec<Try>,
        error: Box<errors::ServerError>,
    },
    /// The server refused a statement.
    Failed { step: Option<String>, sql: String, error: Box<errors::ServerError> },
    /// The line was lost before COMMIT was sent, or a reading failed.
    Lost(ServerError),
    /// The result was not what was predicted: a fault of the program, found before COMMIT.
    ProofFailed(Vec<Moved>),
    /// The journal could not be written.
    Journal(String),
    /// Somebody wanted to stop.
    Interrupted,
}

/// One attempt that waited for a lock in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Since the action began, milliseconds.
    pub at_ms: u64,
    pub blockers: Vec<Blocker>,
}

impl Outcome {
    pub(crate) fn refused(why: impl Into<String>) -> Outcome {
        Outcome::NothingChanged(Reason::Refused(why.into()))
    }
}

impl Reason {
    /// What to do, one sentence.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Reason::Refused(_) => "make a new plan for this server and database".to_owned(),
            Reason::Unreachable(error) | Reason::Lost(error) => {
                error.remedy().unwrap_or_else(|| "try again when the server answers".to_owned())
            }
            Reason::Stale(_) => "make a new plan: it starts from what is there now".to_owned(),
            Reason::Busy(_) => "try again when it is done".to_owned(),
            Reason::LockTimeout { .. } => "try again when they are done, or end them".to_owned(),
            Reason::Failed { sql, error, .. } if guards(sql, error) => {
                "it stays as it is; whoever owns it can drop it by hand when nobody needs what it holds".to_owned()
            }
            Reason::Failed { error, .. } => {
                error.remedy.map(str::to_owned).or_else(|| error.hint.clone()).unwrap_or_default()
            }
            Reason::ProofFailed(_) => "this is a fault of the program; please report it, with the plan".to_owned(),
            Reason::Journal(_) => "without a journal nothing is changed; free space or repair the directory".to_owned(),
            Reason::Interrupted => String::new(),
        }
    }

    /// As [`Reason::details`], and all that happened before: for the journal.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let Reason::LockTimeout { tries, .. } = self else { return self.details() };
        let told = (1..).zip(tries).flat_map(|(n, one)| {
            let at = format!("attempt {n}, after {}", text::age(i64::try_from(one.at_ms).unwrap_or(i64::MAX)));
            let unseen = one.blockers.is_empty().then(|| format!("{at}: nobody was seen"));
            let seen = one.blockers.iter().map(|b| format!("{at}: {b}")).collect::<Vec<_>>();
            unseen.into_iter().chain(seen)
        });
        told.collect()
    }

    /// What names each thing that stands otherwise, blocks, or was refused: one line each.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        match self {
            Reason::Stale(moved) | Reason::ProofFailed(moved) => moved.iter().map(ToString::to_string).collect(),
            Reason::Busy(blockers) | Reason::LockTimeout { blockers, .. } => {
                blockers.iter().map(ToString::to_string).collect()
            }
            // a check of ours: it says in words what is the matter
            Reason::Failed { sql, error, .. } if guards(sql, error) => Vec::new(),
            Reason::Failed { sql, error, .. } => {
                let extra = error.detail.iter().cloned();
                std::iter::once(sql.clone()).chain(extra).collect()
            }
            Reason::Refused(_)
            | Reason::Unreachable(_)
            | Reason::Lost(_)
            | Reason::Journal(_)
            | Reason::Interrupted => Vec::new(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Refused(why) => f.write_str(why),
            Reason::Unreachable(error) | Reason::Lost(error) => write!(f, "{error}"),
            Reason::Stale(moved) => {
                let n = text::count(moved.len() as u64, "thing has", "things have");
                write!(f, "{n} moved since the plan was made")
            }
            Reason::Busy(_) => f.write_str("another console is at work on this database"),
            Reason::LockTimeout { what, attempts, took_ms, .. } => {
                let took = text::age(i64::try_from(*took_ms).unwrap_or(i64::MAX));
                write!(f, "{what} stayed locked by others through {attempts} attempts in {took}")
            }
            Reason::Failed { sql, error, .. } if guards(sql, error) => {
                write!(f, "{}, and what was written is not taken back", error.message)
            }
            Reason::Failed { step: Some(step), error, .. } => {
                write!(f, "the server refused step {step}: {}", line(error))
            }
            Reason::Failed { step: None, error, .. } => write!(f, "the server refused: {}", line(error)),
            Reason::ProofFailed(_) => f.write_str("the result was not what was predicted, so it was rolled back"),
            Reason::Journal(why) => write!(f, "the journal could not be written: {why}"),
            Reason::Interrupted => f.write_str("interrupted before COMMIT"),
        }
    }
}

/// The statement is a check of ours, and it was what refused.
fn guards(sql: &str, error: &errors::ServerError) -> bool {
    crate::plan::sql::is_guard(sql) && error.is("P0001")
}

fn line(error: &errors::ServerError) -> String {
    match &error.sqlstate {
        Some(state) => format!("{} ({state})", error.message),
        None => error.message.clone(),
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if !self.user.is_empty() {
            write!(f, " of {}", self.user)?;
        }
        if !self.application.is_empty() {
            write!(f, " ({})", self.application)?;
        }
        if !self.state.is_empty() {
            write!(f, ", {}", self.state)?;
        }
        if let Some(ms) = self.transaction_ms {
            write!(f, ", in a transaction for {}", text::age(ms))?;
        }
        if let Some(ms) = self.query_ms.filter(|_| !self.query.is_empty()) {
            write!(f, ", its statement began {} ago", text::age(ms))?;
        }
        if self.query.is_empty() { Ok(()) } else { write!(f, ": {}", self.query) }
    }
}

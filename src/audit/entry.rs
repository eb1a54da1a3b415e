//! What the journal's lines hold, and the entries they add up to: an intent, the transaction that was about to commit,
//! the outcome. Nothing in them is secret: a plan holds a placeholder where a password goes.

use serde::{Deserialize, Serialize};

use crate::{domain::transaction::Transaction, plan::Plan};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Who {
    /// Name in the operating system.
    pub os_user: String,
    pub host: String,
    pub pid: u32,
    /// Role at the database.
    pub role: String,
}

/// What an action is to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Takes it back.
    Undoes(u64),
    /// Does again what that one, an undo, took back.
    Redoes(u64),
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Ending {
    Committed {
        xid: u64,
        lock_held_ms: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notices: Vec<String>,
        /// Found out afterwards: the answer to COMMIT did not arrive.
        #[serde(default)]
        resolved: bool,
    },
    /// Run, proven and rolled back on purpose.
    Rehearsed { lock_held_ms: u64 },
    NotCommitted {
        why: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        details: Vec<String>,
    },
    /// Nobody could say. Looked for again the next time.
    Unknown { why: String },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    Intent {
        who: Who,
        /// `user@host:port/database`, without a password.
        target: String,
        rehearse: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<Link>,
        plan: Box<Plan>,
    },
    Committing {
        transaction: Transaction,
    },
    Outcome {
        ending: Ending,
    },
    /// Sessions are about to be ended.
    Signal(Box<super::SignalIntent>),
    /// What became of each of them.
    Signalled {
        told: Vec<String>,
    },
}

/// One action as the journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: u64,
    /// Microseconds of the Unix epoch.
    pub at_us: i64,
    pub who: Who,
    pub target: String,
    pub rehearse: bool,
    pub link: Option<Link>,
    pub plan: Plan,
    /// `None`: COMMIT was never sent.
    pub transaction: Option<Transaction>,
    pub ending: Option<Ending>,
    pub ended_us: Option<i64>,
    /// The committed action that took this one back; for an undo, the one that did it again.
    pub undone_by: Option<u64>,
    /// Whoever wrote the intent is still there.
    pub running: bool,
}

/// How an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Committed,
    Undone,
    Rehearsed,
    NotCommitted,
    /// Nobody could say.
    Unknown,
    /// The console ended before it could write how it went.
    Unsettled,
}

impl State {
    /// As shown and as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Committed => "committed",
            State::Undone => "undone",
            State::Rehearsed => "rehearsed",
            State::NotCommitted => "not_committed",
            State::Unknown => "unknown",
            State::Unsettled => "unsettled",
        }
    }
}

impl Entry {
    #[must_use]
    pub fn state(&self) -> State {
        match &self.ending {
            None if self.running => State::Running,
            None => State::Unsettled,
            Some(Ending::Committed { .. }) if self.undone_by.is_some() => State::Undone,
            Some(Ending::Committed { .. }) => State::Committed,
            Some(Ending::Rehearsed { .. }) => State::Rehearsed,
            Some(Ending::NotCommitted { .. }) => State::NotCommitted,
            Some(Ending::Unknown { .. }) => State::Unknown,
        }
    }

    /// It changed something that can be taken back, stands, and is not itself the taking back of something.
    #[must_use]
    pub fn can_be_undone(&self) -> bool {
        let way = self.plan.steps.iter().any(|step| step.undo.is_some());
        way && self.state() == State::Committed && !matches!(self.link, Some(Link::Undoes(_)))
    }

    /// It took something back, and that was not done again.
    #[must_use]
    pub fn can_be_redone(&self) -> bool {
        self.state() == State::Committed && matches!(self.link, Some(Link::Undoes(_)))
    }

    /// How it ended has to be found out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state(), State::Unsettled | State::Unknown)
    }

    /// True when both are about the same database, as far as can be told.
    #[must_use]
    pub fn is_about(&self, system_identifier: Option<&str>, database: &str) -> bool {
        let target = &self.plan.target;
        let same = match (target.system_identifier.as_deref(), system_identifier) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        same && target.database == database
    }
}

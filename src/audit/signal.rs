//! Sessions that were ended, as the journal keeps it: nothing takes that back, so it has no plan. Written before the
//! signal, and again with what became of it.

use serde::{Deserialize, Serialize};

use super::Who;

/// What is about to be sent to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalIntent {
    pub who: Who,
    /// `user@host:port/database`, without a password.
    pub target: String,
    pub system_identifier: Option<String>,
    pub database: String,
    /// `cancel` or `terminate`.
    pub signal: String,
    /// `4711 (engarde_user)`, each with the start of its backend.
    pub sessions: Vec<String>,
}

/// One such action as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalEntry {
    pub id: u64,
    /// Microseconds of the Unix epoch.
    pub at_us: i64,
    pub intent: SignalIntent,
    /// One for each session, `sent` or why not; `None`: the console ended before it could write them.
    pub told: Option<Vec<String>>,
}

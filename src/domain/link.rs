//! The state of the connection to an instance, as the console shows it.

/// See the module. Times are milliseconds of the console's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    pub state: LinkState,
    /// How long the last catalog read took.
    pub read_ms: Option<u64>,
    /// When the last answer arrived.
    pub answered_at_ms: Option<u64>,
    /// Paused by the user.
    pub paused: bool,
    /// Interval of the sessions' refresh.
    pub interval_ms: u64,
    /// A notice worth showing: behind a pooler, a slow part that failed.
    pub notice: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LinkState {
    #[default]
    Connecting,
    Ready,
    Lost {
        since_ms: u64,
        /// One sentence without a password.
        reason: String,
        /// What to do, where we know it.
        remedy: Option<String>,
        next_try_ms: u64,
    },
}

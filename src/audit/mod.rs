//! The journal: what was done to which database, by whom, with what outcome, and how to take it back. Append-only lines
//! of JSON, each hashed together with the one before, written and synced before anything happens. Knows no connection and
//! no clock: instants are arguments.

mod entry;
mod journal;
mod signal;

pub use entry::{Ending, Entry, Link, Record, State, Who};
pub use journal::{Journal, JournalError, Open, Read};
pub use signal::{SignalEntry, SignalIntent};

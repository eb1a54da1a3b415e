//! The integration tests: one binary, so that the crate is linked once. Each module is one piece of the outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "everything here is a test; the lint's own exception knows only functions marked as one"
)]

mod act;
mod acting;
mod aimed;
#[expect(dead_code, reason = "the long run moves by hand, too")]
mod applications;
mod apply;
mod beside;
mod cli;
mod connect;
mod cuts;
mod databases;
mod demo;
mod discover;
mod elsewhere;
mod endings;
mod explain;
mod faithful;
mod faults;
mod faulty;
mod findings;
mod forms;
mod hostile;
mod hostile_acts;
mod init;
mod locks;
mod matrix_oracle;
mod moves;
#[expect(dead_code, reason = "the long run uses another scale")]
mod oracle;
mod outages;
mod passwords;
mod platforms;
mod pooler;
mod pty;
mod reach;
mod read;
mod readonly;
mod remedies;
mod sampled;
mod session;
mod stale;
mod standby;
mod support;
mod tenancy;
mod tidy;
mod traps;
mod waiting;
mod wizard;

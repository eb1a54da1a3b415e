//! The integration tests: one binary, so that the crate is linked once. Each module is one piece of the outside.

mod connect;
mod demo;
mod matrix_oracle;
mod oracle;
mod read;
mod session;
mod support;
mod traps;

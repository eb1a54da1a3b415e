//! Talking to PostgreSQL.

pub mod cancel;
pub mod connect;
mod connect_error;
pub mod errors;
pub mod guard;
mod socket;
pub mod tls;
mod upgrade;

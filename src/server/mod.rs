//! Talking to PostgreSQL.

pub mod apply;
pub mod cancel;
pub mod connect;
mod connect_error;
pub mod errors;
pub mod guard;
pub mod isolation;
pub mod read;
pub mod reader;
pub mod session;
pub mod signal;
mod socket;
pub mod tls;
mod upgrade;

pub use read::ServerError;
pub use reader::{ObjectsWanted, Reader, SizesWanted, Want};

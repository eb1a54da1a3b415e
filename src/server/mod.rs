//! Talking to PostgreSQL.

pub mod read;
pub mod reader;
pub mod session;

pub use read::ServerError;
pub use reader::{ObjectsWanted, Reader, SizesWanted, Target, Want};

//! Talking to PostgreSQL.

pub mod read;
pub mod reader;

pub use read::ServerError;
pub use reader::{ObjectsWanted, Reader, SizesWanted, Want};

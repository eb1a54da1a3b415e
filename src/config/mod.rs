//! What people write: configuration, connection strings, the policy's place.
pub mod target;

//! Throwaway PostgreSQL clusters with the fleet of the documents.

pub mod binaries;
pub mod cluster;
pub mod error;
pub mod guard;
pub mod obtain;
mod user;

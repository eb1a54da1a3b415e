//! How to get from what is to what should be.

pub mod sql;

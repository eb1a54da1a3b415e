//! What several test modules share.

#![allow(dead_code, reason = "every module uses its own part of it")]

pub mod cluster;
pub mod meaning;
pub mod pooler;
pub mod terminal;

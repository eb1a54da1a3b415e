//! pgmoat: a terminal console for PostgreSQL databases that several services share by schema.
//!
//! The dependency rule, held by `tests/tidy.rs`:
//! `domain <- policy <- plan <- {server, audit, app}`; `config <- app`; `app <- tui`;
//! `{policy, plan, server, audit, config} <- cli`; `text` is a leaf; `run` and `main` see all.
//! `domain`, `policy`, `plan` and `app` name no terminal, runtime or protocol crate; `tui` never sees `server`.

pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod demo;
pub mod discover;
pub mod domain;
pub mod plan;
pub mod policy;
pub mod run;
pub mod server;
pub mod text;
pub mod tui;

//! The commands that remedies name, as a shell takes them. `target` is what [`Snapshot::target`] says.
//!
//! [`Snapshot::target`]: crate::domain::snapshot::Snapshot::target

use crate::{policy::Service, text::shell_word as word};

/// Moves what a service has in a shared schema to its own.
#[must_use]
pub fn isolate(target: &str, from: &str, service: &Service) -> String {
    let own = service.schemas.first().map(String::as_str).unwrap_or_default();
    format!("pgmoat isolate {target} --from {} --schema {} --role {}", word(from), word(own), word(&service.role))
}

/// Moves a version table to a schema, or splits these rows off it; without any the whole of it.
#[must_use]
pub fn move_versions(target: &str, table: &str, to: &str, rows: &[&str]) -> String {
    let rows = if rows.is_empty() { String::new() } else { format!(" --rows {}", word(&rows.join(","))) };
    format!("pgmoat versions move {target} --from {} --to {}{rows}", word(table), word(to))
}

/// As [`move_versions`], where somebody has to find out which rows.
#[must_use]
pub fn split_versions(target: &str, table: &str, to: &str) -> String {
    format!("{} --rows …", move_versions(target, table, to, &[]))
}

//! `policy check FILE`.

use std::path::Path;

use super::{exit_code::Exit, failure::Outcome, report::Report, resolve};
use crate::{policy, text};

/// Validates a policy file: every problem, with its line, or what it declares.
///
/// # Errors
/// It cannot be read, or is not a policy.
pub fn check(report: &mut Report, file: &Path) -> Outcome {
    let policy = policy::file::load(file).map_err(|e| resolve::policy_failure(&e))?;
    let parts = [
        text::count(policy.services.len() as u64, "service", "services"),
        text::count(policy.roles.len() as u64, "role", "roles"),
        text::count(policy.schemas.len() as u64, "schema", "schemas"),
        text::count(policy.exceptions.len() as u64, "exception", "exceptions"),
    ];
    report.say(&format!("{} is a valid policy: {}.", file.display(), text::list(&parts, parts.len())))?;
    report.flush()?;
    Ok(Exit::Done)
}

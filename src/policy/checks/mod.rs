//! The checks: one file per finding code (or a few codes that are one question), one line each in [`CHECKS`].

#[cfg(test)]
pub mod fixture;

use std::sync::Arc;

use super::{Finding, Group, Policy, Severity, judge::Judge, versions::Versions};
use crate::domain::{
    alembic::Lineages,
    effective::Matrix,
    snapshot::{Catalog, Shapes, Snapshot},
};

/// A finding code and what is said of it everywhere: in `check`, in the console, in the documents.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    pub code: &'static str,
    pub group: Group,
    /// Unless the policy overrides it.
    pub severity: Severity,
    /// Why it matters, one or two sentences.
    pub why: &'static str,
}

/// One check: the codes it can report and how it looks for them.
pub struct Check {
    pub codes: &'static [Code],
    /// Needs [`Snapshot::shapes`]: not run, and said to be "checking", before they were read.
    pub slow: bool,
    /// Runs without a policy too.
    pub without_policy: bool,
    pub run: fn(&Context<'_>, &mut Vec<Finding>),
}

/// What a check may look at.
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub catalog: &'a Catalog,
    pub shapes: Option<&'a Shapes>,
    pub matrix: &'a Matrix,
    /// Cells compared with the policy.
    pub judge: &'a Judge<'a>,
    /// The policy, only when there is one; entries of other instances are already left out.
    pub policy: Option<&'a Policy>,
    pub lineages: &'a Arc<Lineages>,
    pub versions: &'a Versions,
    /// Microseconds since the Unix epoch, by the server's clock.
    pub now_us: i64,
}

impl Context<'_> {
    /// A finding of `code` with what every finding has: group, severity (the policy's where it overrides it), instance,
    /// database, and why it matters. The check fills in the rest; `id` is the code until it does.
    #[must_use]
    pub fn draft(&self, code: &Code) -> Finding {
        Finding {
            id: code.code.to_owned(),
            code: code.code,
            group: code.group,
            severity: self.severity(code.code, code.severity),
            instance: self.snapshot.instance.clone(),
            database: self.catalog.database.name.clone(),
            service: None,
            schema: None,
            role: None,
            object: None,
            privilege: None,
            attribute: None,
            observed: String::new(),
            expected: String::new(),
            via: None,
            message: String::new(),
            why: code.why.to_owned(),
            remedy: String::new(),
            fix: None,
            objects: Vec::new(),
            objects_total: None,
        }
    }

    /// What the policy says about the severity of a code, else `otherwise`.
    #[must_use]
    pub fn severity(&self, code: &str, otherwise: Severity) -> Severity {
        self.policy.and_then(|p| p.severity.get(code)).copied().unwrap_or(otherwise)
    }
}

/// Every check. Order is the order of the contract's table.
pub const CHECKS: &[Check] = &[];

/// Runs every check that can run; findings worst first. Also the groups whose slow part has not arrived.
#[must_use]
pub fn run(
    snapshot: &Snapshot,
    matrix: &Matrix,
    judge: &Judge<'_>,
    policy: Option<&Policy>,
    lineages: &Arc<Lineages>,
    versions: &Versions,
) -> (Vec<Finding>, Vec<Group>) {
    let context = Context {
        snapshot,
        catalog: &snapshot.catalog,
        shapes: snapshot.shapes.as_deref(),
        matrix,
        judge,
        policy,
        lineages,
        versions,
        now_us: snapshot.server.taken_at_us,
    };
    let mut findings = Vec::new();
    let mut checking = Vec::new();
    for check in CHECKS {
        if policy.is_none() && !check.without_policy {
            continue;
        }
        if check.slow && context.shapes.is_none() {
            checking.extend(check.codes.first().map(|c| c.group));
            continue;
        }
        (check.run)(&context, &mut findings);
    }
    checking.dedup();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.group.cmp(&b.group)));
    (findings, checking)
}

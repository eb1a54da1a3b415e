//! The checks: one file per finding code (or a few codes that are one question), one line each in [`CHECKS`].

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod audit_schema_missing;
mod by_set_role;
mod commands;
mod database_privileges;
pub mod declared;
mod default_privileges;
mod definer;
mod entries;
mod existence;
#[cfg(test)]
mod fix_law;
#[cfg(test)]
pub(crate) mod fixture;
mod foreign_key;
mod grant_column_excess;
mod grant_dead;
mod grant_excess;
mod grant_fragile;
mod grant_missing;
mod grant_option_excess;
pub mod living;
mod membership;
mod misplaced;
mod owners;
mod owns_undeclared;
mod public_privilege;
mod rls;
mod rls_bypassed_by_view;
mod rls_policy_ignores_tenant;
mod role_bypasses_rls;
mod role_connection_limit;
mod role_overprivileged;
mod role_password_expiry;
pub mod role_search_path;
mod search_path_shared;
mod setup;
mod table_overlap;
pub mod tenancy;
mod undeclared_access;
mod version_revision;
mod version_table_duplicate;
mod version_table_empty;
mod version_table_misplaced;
mod version_table_missing;
mod version_table_owner;
mod version_table_shadowed;
mod version_table_shared;
mod view_crossing;

use std::{cell::OnceCell, cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::{Finding, Group, Policy, Severity, judge::Judge, versions::Versions};
use crate::domain::{
    Oid,
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
    /// See [`Context::living_by_role`].
    living: OnceCell<BTreeSet<(usize, String)>>,
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
            left: None,
        }
    }

    /// What the policy says about the severity of a code, else `otherwise`.
    #[must_use]
    pub fn severity(&self, code: &str, otherwise: Severity) -> Severity {
        self.policy.and_then(|p| p.severity.get(code)).copied().unwrap_or(otherwise)
    }
}

/// Every check. Order is the order of the contract's table.
pub const CHECKS: &[Check] = &[
    // existence
    existence::SCHEMA_MISSING_CHECK,
    existence::ROLE_MISSING_CHECK,
    existence::CANNOT_LOGIN_CHECK,
    database_privileges::CONNECT_CHECK,
    existence::UNUSED_CHECK,
    // grants
    grant_missing::CHECK,
    grant_excess::CHECK,
    grant_dead::CHECK,
    default_privileges::MISSING_CHECK,
    default_privileges::EXCESS_CHECK,
    public_privilege::CHECK,
    undeclared_access::CHECK,
    grant_option_excess::CHECK,
    database_privileges::EXCESS_CHECK,
    grant_column_excess::CHECK,
    grant_fragile::CHECK,
    // ownership, place
    owners::SCHEMA_CHECK,
    owners::OBJECT_CHECK,
    misplaced::OBJECT_CHECK,
    misplaced::EXTENSION_CHECK,
    // roles
    role_overprivileged::CHECK,
    membership::CHECK,
    role_search_path::CHECK,
    role_connection_limit::CHECK,
    role_password_expiry::CHECK,
    // versions
    version_table_missing::CHECK,
    version_table_misplaced::CHECK,
    version_table_shared::CHECK,
    version_table_duplicate::CHECK,
    version_table_shadowed::CHECK,
    search_path_shared::CHECK,
    version_table_owner::CHECK,
    version_table_empty::CHECK,
    version_revision::CHECK,
    // isolation
    table_overlap::CHECK,
    foreign_key::CHECK,
    view_crossing::CHECK,
    definer::CHECK,
    // tenancy
    rls::CHECK,
    rls_policy_ignores_tenant::CHECK,
    rls_bypassed_by_view::CHECK,
    role_bypasses_rls::CHECK,
    // set-up
    audit_schema_missing::CHECK,
];

/// Schemas whose objects should be read by name, so that findings can list them and have a fix, and so that exceptions
/// for single objects are compared by name. Ascending, without duplicates, whether they were read already or not.
#[must_use]
pub fn schemas_wanting_names(findings: &[Finding], catalog: &Catalog, policy: Option<&Policy>) -> Vec<Oid> {
    let nameless = findings.iter().filter(|f| f.objects.is_empty() && f.objects_total.is_some());
    let owned = findings.iter().filter(|f| f.code == "role-missing" && f.fix.is_none());
    let of_roles = owned.flat_map(|f| {
        let services = policy.map(|p| p.services.as_slice()).unwrap_or_default();
        let of = services.iter().filter(|s| Some(&s.owner) == f.role.as_ref() || Some(&s.role) == f.role.as_ref());
        of.flat_map(|s| s.schemas.iter().map(String::as_str))
    });
    let exceptions = policy.map(|p| p.exceptions.as_slice()).unwrap_or_default();
    let excepted = exceptions.iter().filter(|e| !e.objects.is_empty()).map(|e| e.schema.as_str());
    let mut wanted: Vec<Oid> = nameless
        .filter_map(|f| f.schema.as_deref())
        .chain(of_roles)
        .chain(excepted)
        .filter_map(|name| catalog.schema_named(name).map(|s| s.oid))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

/// What the policy leaves as it is stays listed, with the reason; no plan is to touch it.
fn accept(policy: &Policy, finding: &mut Finding) {
    if let Some(accepted) = policy.accepted.iter().find(|a| a.covers(finding)) {
        finding.left = Some(finding.severity);
        finding.severity = Severity::Info;
        finding.fix = None;
        finding.message = format!("{} Left as it is: {}.", finding.message, accepted.reason.trim_end_matches('.'));
    }
}

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
    run_groups(&Group::ALL, snapshot, matrix, judge, policy, lineages, versions)
}

/// As [`run`], with the checks of these groups alone.
#[must_use]
pub fn run_groups(
    groups: &[Group],
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
        living: OnceCell::new(),
    };
    let mut findings = Vec::new();
    let mut checking = Vec::new();
    for check in CHECKS {
        let asked = check.codes.iter().any(|c| groups.contains(&c.group));
        if !asked || policy.is_none() && !check.without_policy {
            continue;
        }
        if check.slow && context.shapes.is_none() {
            checking.extend(check.codes.first().map(|c| c.group));
            continue;
        }
        (check.run)(&context, &mut findings);
    }
    checking.dedup();
    if let Some(policy) = policy.filter(|p| !p.accepted.is_empty()) {
        for finding in &mut findings {
            accept(policy, finding);
        }
    }
    // By key, because moving thousands of findings would take a second list as large.
    findings.sort_by_cached_key(|f| (Reverse(f.severity), f.group));
    findings.shrink_to_fit();
    (findings, checking)
}

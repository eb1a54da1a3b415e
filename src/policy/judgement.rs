//! Everything that follows from one snapshot and one policy, computed once and shared: the matrix, the compared cells,
//! the version tables' classes, the findings. Pure; the caller chooses the thread.

use std::sync::Arc;

use super::{Accepted, Finding, Policy, checks, desired::Desired, judge::Judge, versions::Versions};
use crate::domain::{alembic::Lineages, effective::Matrix, snapshot::Snapshot};

/// What outlives a judgement that is judged again: it follows from parts of the snapshot that did not change.
#[derive(Clone, Default)]
pub struct Basis {
    pub matrix: Option<Arc<Matrix>>,
    pub desired: Option<Arc<Desired>>,
    pub versions: Option<Arc<Versions>>,
}

impl Basis {
    /// The parts of a judgement that hold for this snapshot, policy and lineages, too.
    #[must_use]
    pub fn of(
        before: &Judgement,
        snapshot: &Snapshot,
        policy: Option<&Arc<Policy>>,
        lineages: &Arc<Lineages>,
    ) -> Basis {
        let was = &before.snapshot;
        let version = was.server.version_num == snapshot.server.version_num;
        let kept = Arc::ptr_eq(&was.catalog, &snapshot.catalog) && version;
        let same_policy = same_policy(before.policy.as_ref(), policy);
        let resolved = version && same_policy && (kept || Desired::holds_for(&was.catalog, &snapshot.catalog));
        let read = kept
            && same_policy
            && Arc::ptr_eq(&was.server, &snapshot.server)
            && Arc::ptr_eq(&was.versions, &snapshot.versions)
            && Arc::ptr_eq(&before.lineages, lineages)
            && same_objects(was, snapshot);
        Basis {
            matrix: kept.then(|| Arc::clone(&before.matrix)),
            desired: before.desired.clone().filter(|_| resolved),
            versions: read.then(|| Arc::clone(&before.versions)),
        }
    }
}

fn same_objects(one: &Snapshot, other: &Snapshot) -> bool {
    let (a, b) = (&one.objects.0, &other.objects.0);
    a.len() == b.len() && a.iter().zip(b).all(|((one, of), (other, by))| one == other && Arc::ptr_eq(of, by))
}

fn same_policy(one: Option<&Arc<Policy>>, other: Option<&Arc<Policy>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// See the module.
pub struct Judgement {
    pub snapshot: Arc<Snapshot>,
    pub policy: Option<Arc<Policy>>,
    /// The policy resolved against the catalog; `None` without one.
    pub desired: Option<Arc<Desired>>,
    pub lineages: Arc<Lineages>,
    pub matrix: Arc<Matrix>,
    pub versions: Arc<Versions>,
    /// Worst first, then in the order of the checks.
    pub findings: Arc<Vec<Finding>>,
    /// Groups of findings whose slow part has not arrived yet.
    pub checking: Vec<super::Group>,
    /// Cells compared with the policy, and how many of them differ; `None` without a policy.
    pub cells: Option<(u64, u64)>,
}

impl Judgement {
    /// Judges a snapshot. `matrix` is reused when the catalog did not change.
    #[must_use]
    pub fn new(
        snapshot: Arc<Snapshot>,
        policy: Option<Arc<Policy>>,
        lineages: Arc<Lineages>,
        matrix: Option<Arc<Matrix>>,
    ) -> Judgement {
        Judgement::on(snapshot, policy, lineages, Basis { matrix, ..Basis::default() })
    }

    /// Judges a snapshot with what is left of an earlier judgement, see [`Basis::of`].
    #[must_use]
    pub fn on(
        snapshot: Arc<Snapshot>,
        policy: Option<Arc<Policy>>,
        lineages: Arc<Lineages>,
        basis: Basis,
    ) -> Judgement {
        let matrix = basis.matrix.unwrap_or_else(|| Arc::new(Matrix::new(&snapshot.catalog, &snapshot.server)));
        let versions =
            basis.versions.unwrap_or_else(|| Arc::new(Versions::new(&snapshot, policy.as_deref(), &lineages, &matrix)));
        let (findings, checking, cells, desired) = {
            let judge = Judge::with(&snapshot, &matrix, policy.as_deref(), basis.desired);
            let (findings, checking) = checks::run(&snapshot, &matrix, &judge, policy.as_deref(), &lineages, &versions);
            (findings, checking, judge.cells(), judge.desired().cloned())
        };
        let findings = Arc::new(findings);
        Judgement { snapshot, policy, desired, lineages, matrix, versions, findings, checking, cells }
    }

    /// The same judgement of a later snapshot in which nothing changed that a check looks at: sessions and sizes do not
    /// count. `None` when it has to be judged.
    #[must_use]
    pub fn unchanged(
        &self,
        snapshot: &Arc<Snapshot>,
        policy: Option<&Arc<Policy>>,
        lineages: &Arc<Lineages>,
    ) -> Option<Judgement> {
        let before = &self.snapshot;
        let shapes = match (&before.shapes, &snapshot.shapes) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same = shapes
            && same_objects(before, snapshot)
            && Arc::ptr_eq(&before.catalog, &snapshot.catalog)
            && Arc::ptr_eq(&before.server, &snapshot.server)
            && Arc::ptr_eq(&before.versions, &snapshot.versions)
            && Arc::ptr_eq(&self.lineages, lineages)
            && before.instance == snapshot.instance
            && same_policy(self.policy.as_ref(), policy);
        same.then(|| Judgement {
            snapshot: Arc::clone(snapshot),
            policy: self.policy.clone(),
            desired: self.desired.clone(),
            lineages: Arc::clone(lineages),
            matrix: Arc::clone(&self.matrix),
            versions: Arc::clone(&self.versions),
            findings: Arc::clone(&self.findings),
            checking: self.checking.clone(),
            cells: self.cells,
        })
    }

    /// Findings that the policy leaves as they are and that are no more there, so that the exception can go. Codes that
    /// nothing here looks for are not meant; empty where not everything could be looked at.
    #[must_use]
    pub fn idle_exceptions(&self) -> Vec<&Accepted> {
        let whole = self.checking.is_empty() && self.snapshot.unavailable.is_empty();
        let Some(policy) = self.policy.as_ref().filter(|_| whole) else { return Vec::new() };
        let known = |a: &Accepted| {
            let code = a.finding.split(':').next().unwrap_or_default();
            checks::CHECKS.iter().flat_map(|c| c.codes).any(|c| c.code == code)
        };
        let covers = |a: &Accepted| self.findings.iter().any(|f| a.covers(f));
        policy.accepted.iter().filter(|a| known(a) && !covers(a)).collect()
    }

    /// The compared cells of this judgement.
    #[must_use]
    pub fn judge(&self) -> Judge<'_> {
        Judge::with(&self.snapshot, &self.matrix, self.policy.as_deref(), self.desired.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Oid, policy::checks::fixture::Fixture};

    #[test]
    fn a_policy_is_resolved_anew_only_where_names_or_owners_moved() {
        let f = || {
            let rules = "[[service]]\nname='s'\nschema='s'\nrole='app'\n[[role]]\nname='r'\naccess={s=['read']}\n";
            Fixture::new().role("app").role("r").schema("s", "app").table("s", "t", "app").policy(rules)
        };
        let policy = f().case().policy.map(Arc::new);
        let lineages = Arc::new(Lineages::default());
        let judged =
            |f: Fixture| Judgement::new(Arc::new(f.case().snapshot), policy.clone(), Arc::clone(&lineages), None);
        let before = judged(f());
        let of = |f: Fixture| Basis::of(&before, &f.case().snapshot, policy.as_ref(), &lineages).desired;
        let granted = || f().grant("s.t", "r", "SELECT").member("app", "r");
        let kept = of(granted()).unwrap();
        assert_eq!(format!("{kept:?}"), format!("{:?}", judged(granted()).desired.unwrap()));
        assert!(of(f().role("another")).is_none() && of(f().schema("another", "app")).is_none());
        let mut moved = f();
        moved.catalog.schemas.iter_mut().filter(|s| s.name == "s").for_each(|s| s.owner = Oid(10));
        assert!(of(moved).is_none());
        let mut raised = f();
        raised.catalog.roles.iter_mut().filter(|r| r.name == "r").for_each(|r| r.superuser = true);
        assert!(of(raised).is_none());
    }

    #[test]
    fn an_exception_for_what_is_no_more_there_is_told() {
        let accepted = ["version-table-missing:s", "grant-excess:nobody:s", "idle-in-transaction:7"]
            .map(|finding| format!("[[exception]]\nfinding='{finding}'\nreason='later'\n"));
        let rules = format!("[[service]]\nname='s'\nschema='s'\nrole='app'\n{}", accepted.concat());
        let case = Fixture::new().role("app").schema("s", "app").policy(&rules).case();
        let judged = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        assert!(judged.findings.iter().any(|f| f.code == "version-table-missing"), "{:?}", judged.checking);
        let idle: Vec<&str> = judged.idle_exceptions().iter().map(|a| a.finding.as_str()).collect();
        assert_eq!(idle, ["grant-excess:nobody:s"]);
    }
}

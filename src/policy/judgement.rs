//! Everything that follows from one snapshot and one policy, computed once and shared: the matrix, the compared cells,
//! the version tables' classes, the findings. Pure; the caller chooses the thread.

use std::sync::Arc;

use super::{Finding, Policy, checks, desired::Desired, judge::Judge, versions::Versions};
use crate::domain::{alembic::Lineages, effective::Matrix, snapshot::Snapshot};

/// See the module.
pub struct Judgement {
    pub snapshot: Arc<Snapshot>,
    pub policy: Option<Arc<Policy>>,
    /// The policy resolved against the catalog; `None` without one.
    pub desired: Option<Arc<Desired>>,
    pub lineages: Arc<Lineages>,
    pub matrix: Arc<Matrix>,
    pub versions: Versions,
    /// Worst first, then in the order of the checks.
    pub findings: Vec<Finding>,
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
        let matrix = matrix.unwrap_or_else(|| Arc::new(Matrix::new(&snapshot.catalog, &snapshot.server)));
        let versions = Versions::new(&snapshot, policy.as_deref(), &lineages, &matrix);
        let (findings, checking, cells, desired) = {
            let judge = Judge::new(&snapshot, &matrix, policy.as_deref());
            let (findings, checking) = checks::run(&snapshot, &matrix, &judge, policy.as_deref(), &lineages, &versions);
            (findings, checking, judge.cells(), judge.desired().cloned())
        };
        Judgement { snapshot, policy, desired, lineages, matrix, versions, findings, checking, cells }
    }

    /// The compared cells of this judgement.
    #[must_use]
    pub fn judge(&self) -> Judge<'_> {
        Judge::with(&self.snapshot, &self.matrix, self.policy.as_deref(), self.desired.clone())
    }
}

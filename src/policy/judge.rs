//! Cells compared with the policy: level, declared access, drift, and what exactly is missing or too much.

use serde::{Deserialize, Serialize};

use super::{Level, Policy};
use crate::domain::{
    ObjectKind, Privilege,
    effective::{Cell, Matrix, Who},
    snapshot::Snapshot,
};

/// How a cell relates to the policy (contract, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    None,
    Missing,
    Excess,
    Both,
    Undeclared,
    Unknown,
}

/// One privilege that is missing from, or too much in, a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: ObjectKind,
    pub privilege: Privilege,
    /// On how many objects it is missing or too much.
    pub count: u32,
    /// Of how many objects of the kind.
    pub total: u32,
}

/// A cell with its judgement.
#[derive(Debug, Clone)]
pub struct Judged {
    pub cell: Cell,
    /// Maximal satisfied levels; `["superuser"]` for a superuser.
    pub level: Vec<&'static str>,
    /// `None` without a policy, and for PUBLIC.
    pub declared: Option<Vec<Level>>,
    /// `None` without a policy, and for PUBLIC.
    pub drift: Option<Drift>,
    pub missing: Vec<Difference>,
    pub excess: Vec<Difference>,
}

/// Compares cells of one snapshot with a policy.
pub struct Judge<'a> {
    snapshot: &'a Snapshot,
    matrix: &'a Matrix,
    policy: Option<&'a Policy>,
}

impl<'a> Judge<'a> {
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, matrix: &'a Matrix, policy: Option<&'a Policy>) -> Judge<'a> {
        Judge { snapshot, matrix, policy }
    }

    /// Counts and compares one cell; `schema` is a position in the catalog.
    #[must_use]
    pub fn cell(&self, who: Who, schema: usize) -> Judged {
        let cell = self.matrix.cell(&self.snapshot.catalog, who, schema);
        let _ = self.policy;
        Judged { cell, level: Vec::new(), declared: None, drift: None, missing: Vec::new(), excess: Vec::new() }
    }

    /// Cells compared and cells that differ, over the whole matrix; `None` without a policy.
    #[must_use]
    pub fn cells(&self) -> Option<(u64, u64)> {
        None
    }
}

//! Every Alembic version table with its class, the service it belongs to, where its revisions stand, and which roles'
//! search paths resolve to it.

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::domain::{Oid, alembic::Lineages, effective::Matrix, snapshot::Snapshot};

/// What a version table is (contract, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Own,
    Misplaced,
    Shared,
    Copy,
    EmptyInUse,
    EmptyBase,
    Ambiguous,
    Unknown,
    Foreign,
}

/// Where one row stands in a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "place", content = "by")]
pub enum Place {
    Head,
    /// Revisions between it and the head.
    Behind(u32),
    /// No lineage knows it.
    Unknown,
    /// Several lineages know it and nothing decides.
    Ambiguous,
    /// There are no revision scripts to tell.
    NoScripts,
}

/// One row of a version table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub revision: String,
    /// Services whose lineage it belongs to; one when it is settled.
    pub services: Vec<String>,
    pub place: Place,
}

/// One version table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Position in [`crate::domain::snapshot::VersionTables`].
    pub table: usize,
    pub oid: Oid,
    pub class: Class,
    /// The service it serves, when one does.
    pub service: Option<String>,
    /// Empty when the rows are unknown.
    pub rows: Vec<Revision>,
    /// Login roles (service roles first) whose effective search path resolves the unqualified name to this table.
    pub resolved_by: Vec<String>,
    /// Sentences: what each application will say at its next start.
    pub next_start: Vec<String>,
}

/// All of them, in the order of the snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(pub Vec<VersionInfo>);

impl Versions {
    #[must_use]
    pub fn new(_snapshot: &Snapshot, _policy: Option<&Policy>, _lineages: &Lineages, _matrix: &Matrix) -> Versions {
        Versions::default()
    }
}

//! The rules an instance is judged by, and how they are read anew when their files change.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{config::revisions, domain::alembic::Lineages, policy::Policy};

/// A policy with the revision scripts it names, and the files both came from.
#[derive(Clone, Default)]
pub struct Rules {
    /// The part of the policy that speaks of the instance.
    pub policy: Option<Arc<Policy>>,
    pub lineages: Arc<Lineages>,
    /// Files and folders, the policy first: when one of them changes, the rules are read again.
    pub files: Vec<PathBuf>,
    /// Why the policy could not be used; the last one that could stays in force.
    pub problem: Option<String>,
}

/// The lineages of a policy's services, from the revision scripts it names. Blocks on files.
#[must_use]
pub fn lineages(policy: &Policy) -> Lineages {
    let services = policy.services.iter();
    revisions::lineages(services.filter_map(|s| Some((s.name.as_str(), s.revisions.as_deref()?))))
}

/// Reads the rules of one instance. Blocks on files.
pub type LoadRules = Arc<dyn Fn() -> Rules + Send + Sync>;

impl Rules {
    /// Columns that tell tenants apart, as the policy declares them.
    pub(super) fn tenant_columns(&self) -> Vec<String> {
        let services = self.policy.iter().flat_map(|p| &p.services);
        let mut columns: Vec<String> = services.filter_map(|s| s.tenant_column.clone()).collect();
        columns.sort();
        columns.dedup();
        columns
    }

    /// The policy's file name.
    pub(super) fn name(&self) -> Option<String> {
        Some(self.files.first()?.file_name()?.to_string_lossy().into_owned())
    }
}

/// When files were changed last.
pub(super) type Times = BTreeMap<PathBuf, Option<SystemTime>>;

/// Looks at files. Blocks on them.
pub(super) fn times<'a>(files: impl IntoIterator<Item = &'a Path>) -> Times {
    let modified = |p: &Path| std::fs::metadata(p).and_then(|m| m.modified()).ok();
    files.into_iter().map(|p| (p.to_path_buf(), modified(p))).collect()
}

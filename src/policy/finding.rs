//! One thing that is wrong, or worth knowing: what, where, why it matters, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    Privilege,
    change::{Change, On},
};

/// How bad it is; ordered from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 4] = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Critical => "critical",
        }
    }

    /// The mark that stands for it without colour.
    #[must_use]
    pub const fn glyph(self) -> &'static str {
        match self {
            Severity::Info => "·",
            Severity::Warning => "▲",
            Severity::Error => "✖",
            Severity::Critical => "‼",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Groups of codes, in the order in which they are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Existence,
    Grants,
    Ownership,
    Roles,
    Versions,
    Isolation,
    Tenancy,
    Setup,
}

impl Group {
    pub const ALL: [Group; 8] = [
        Group::Existence,
        Group::Grants,
        Group::Ownership,
        Group::Roles,
        Group::Versions,
        Group::Isolation,
        Group::Tenancy,
        Group::Setup,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Group::Existence => "existence",
            Group::Grants => "grants",
            Group::Ownership => "ownership",
            Group::Roles => "roles",
            Group::Versions => "versions",
            Group::Isolation => "isolation",
            Group::Tenancy => "tenancy",
            Group::Setup => "set-up",
        }
    }
}

/// How many object names a finding carries (`contract`: the rest is counted in `objects_total`).
pub const MAX_OBJECTS: usize = 100;

/// Up to how many names a GRANT or REVOKE lists before it says ALL … IN SCHEMA.
pub const FEW_NAMES: usize = 10;

/// What a finding that an `[[exception]]` covers expects.
const EXCEPTED: &str = "allowed by an exception";

/// One finding. Texts are raw: they are escaped when they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable while the fault stays the same: code and what it is about, `grant-excess:madansara_user:sankore:table:INSERT`.
    pub id: String,
    pub code: &'static str,
    pub group: Group,
    pub severity: Severity,
    pub instance: String,
    pub database: String,
    pub service: Option<String>,
    pub schema: Option<String>,
    pub role: Option<String>,
    /// A single object: `schema.name`, an extension, a membership's group.
    pub object: Option<String>,
    pub privilege: Option<Privilege>,
    /// An attribute, where there is no privilege: `SUPERUSER`.
    pub attribute: Option<String>,
    /// What is there: "97 of 104 tables".
    pub observed: String,
    /// What should be there.
    pub expected: String,
    /// Through what it is held: "member:engarde_user".
    pub via: Option<String>,
    /// One sentence about this object.
    pub message: String,
    /// Why that matters, one or two sentences.
    pub why: String,
    /// What to do, in words; names the command where a choice is needed.
    pub remedy: String,
    /// What would mend it, `None` when that needs a decision.
    pub fix: Option<Vec<Change>>,
    /// Up to [`MAX_OBJECTS`] names, `schema.name`.
    pub objects: Vec<String>,
    /// Set when there are more than `objects` lists.
    pub objects_total: Option<u64>,
    /// What its severity would be, had the policy not said to leave it as it is.
    #[serde(skip)]
    pub left: Option<Severity>,
}

impl Finding {
    /// Its fix will name its few objects once their names were read; until then it says ALL … IN SCHEMA, which no plan runs.
    #[must_use]
    pub fn awaits_names(&self) -> bool {
        let of = |change: &Change| match change {
            Change::Grant { on, .. } | Change::GrantWith { on, .. } | Change::Revoke { on, .. } => {
                matches!(on, On::AllIn { .. })
            }
            _ => false,
        };
        self.objects.is_empty()
            && self.objects_total.is_some_and(|n| n <= FEW_NAMES as u64)
            && self.fix.iter().flatten().any(of)
    }

    /// An `[[exception]]` covers what it is about: it is listed, and nothing is to be done.
    pub fn stands_by_exception(&mut self) {
        self.severity = Severity::Info;
        self.expected = EXCEPTED.into();
        self.remedy = "Nothing to do while the exception stands.".into();
        self.fix = None;
    }

    /// An `[[exception]]` covers it, by what it is about or by its name: listed, and no difference.
    #[must_use]
    pub fn is_excepted(&self) -> bool {
        self.left.is_some() || self.expected == EXCEPTED
    }
}

/// What a policy leaves as it is and would be wrong without it: "2 critical, 1 warning"; `None` when there is nothing.
#[must_use]
pub fn left_as_they_are<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<String> {
    let left: Vec<Severity> = findings.filter_map(|f| f.left).filter(|s| *s > Severity::Info).collect();
    let parts: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (left.iter().filter(|s| **s == severity).count(), severity.word()))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

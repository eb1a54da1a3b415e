//! Every Alembic version table with its class, the service it belongs to, where its revisions stand, and which roles'
//! search paths resolve to it. Reads names and rows, never what a revision does; says nothing about grants.
//!
//! Nothing is guessed: a row that two lineages know and nothing decides is ambiguous, one that none knows is unknown.

mod counts;
mod forecast;
mod reading;

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, Serialize};

pub use self::counts::TableCounts;
use self::reading::Reading;
use super::{Policy, Service};
use crate::{
    domain::{
        Oid,
        alembic::Lineages,
        effective::Matrix,
        snapshot::{Snapshot, VersionRows, VersionTable},
    },
    text,
};

/// What a version table is (contract, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Where its service should have it, holding nothing of others.
    Own,
    /// One service's, in another place than its own.
    Misplaced,
    /// Of two applications at least.
    Shared,
    /// A hand-made copy, or the rows of a service that has them in its own place too.
    Copy,
    /// Empty although the application's tables exist: the revision is lost.
    EmptyInUse,
    /// Empty, and no table yet: before the first migration.
    EmptyBase,
    /// Several applications know the revision and nothing decides.
    Ambiguous,
    /// No scripts know the revision, or the rows could not be read.
    Unknown,
    /// Not Alembic's, or of an application that the policy does not name.
    Foreign,
}

impl Class {
    pub const ALL: [Class; 9] = [
        Class::Own,
        Class::Misplaced,
        Class::Shared,
        Class::Copy,
        Class::EmptyInUse,
        Class::EmptyBase,
        Class::Ambiguous,
        Class::Unknown,
        Class::Foreign,
    ];

    /// As JSON writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Class::Own => "own",
            Class::Misplaced => "misplaced",
            Class::Shared => "shared",
            Class::Copy => "copy",
            Class::EmptyInUse => "empty-in-use",
            Class::EmptyBase => "empty-base",
            Class::Ambiguous => "ambiguous",
            Class::Unknown => "unknown",
            Class::Foreign => "foreign",
        }
    }
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
    /// Services whose lineage it belongs to; one when it is settled. Without scripts, the service whose table it is.
    pub services: Vec<String>,
    pub place: Place,
}

impl Revision {
    /// The service it belongs to, when scripts settle that.
    #[must_use]
    pub fn settled(&self) -> Option<&str> {
        match (&self.place, self.services.as_slice()) {
            (Place::Head | Place::Behind(_), [one]) => Some(one),
            _ => None,
        }
    }
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
    /// The service whose declared place this is, whoever's rows it holds.
    #[serde(default)]
    pub home: Option<String>,
    /// Empty when the rows are unknown.
    pub rows: Vec<Revision>,
    /// Login roles (service roles first) whose effective search path resolves the unqualified name to this table.
    pub resolved_by: Vec<String>,
    /// Services that will take it for theirs: their role's path resolves their version table's name to it.
    #[serde(default)]
    pub claimed_by: Vec<String>,
    /// Who keeps a revision here, when they are several: services, or login roles where none is declared.
    #[serde(default)]
    pub shared_by: Vec<String>,
    /// The service whose table this is does not find it: the search path of its role leads elsewhere. Not where the policy
    /// says itself what the path is.
    #[serde(default)]
    pub missed: bool,
    /// Sentences: what each application will say at its next start.
    pub next_start: Vec<String>,
    /// One sentence: why it has this class.
    #[serde(default)]
    pub reason: String,
}

/// All of them, in the order of the snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(pub Vec<VersionInfo>);

impl Versions {
    /// Classifies the version tables of one snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, policy: Option<&Policy>, lineages: &Lineages, matrix: &Matrix) -> Versions {
        if snapshot.versions.0.is_empty() {
            return Versions::default();
        }
        let services = policy.map(|p| p.services.as_slice()).unwrap_or_default();
        let foreign = |name: &String| !services.is_empty() && !services.iter().any(|s| s.name == *name);
        let lineages = if lineages.0.keys().any(foreign) {
            // scripts of services that live on another instance explain nothing here
            let here = lineages.0.iter().filter(|(name, _)| !foreign(name));
            Cow::Owned(Lineages(here.map(|(name, l)| (name.clone(), l.clone())).collect()))
        } else {
            Cow::Borrowed(lineages)
        };
        Reading::new(snapshot, services, &lineages, matrix).versions()
    }

    /// The table in a service's declared place.
    #[must_use]
    pub fn home_of(&self, service: &str) -> Option<&VersionInfo> {
        self.0.iter().find(|v| v.home.as_deref() == Some(service))
    }

    /// The tables in declared places, by service.
    #[must_use]
    pub fn homes(&self) -> HashMap<&str, &VersionInfo> {
        self.0.iter().filter_map(|v| Some((v.home.as_deref()?, v))).collect()
    }

    /// The tables that services will take for their own at their next start, by service.
    #[must_use]
    pub fn claims(&self) -> HashMap<&str, &VersionInfo> {
        self.0.iter().flat_map(|v| v.claimed_by.iter().map(move |s| (s.as_str(), v))).collect()
    }
}

/// `schema.table` where a service's version table belongs.
#[must_use]
pub fn declared_place(service: &Service) -> String {
    let schema = service.schemas.first().map(String::as_str).unwrap_or_default();
    format!("{schema}.{}", service.version_table.as_deref().unwrap_or("alembic_version"))
}

/// Why rows are unknown, in words.
#[must_use]
pub fn unread(rows: &VersionRows) -> String {
    match rows {
        VersionRows::Known(_) | VersionRows::Locked(Some(_)) => "they are known".to_owned(),
        VersionRows::Locked(None) => "a migration holds the table at the moment".to_owned(),
        VersionRows::Denied => "this login may not read the table".to_owned(),
        VersionRows::Refused(why) => why.clone(),
        VersionRows::Pending => "they have not been read yet".to_owned(),
    }
}

/// A version table whose rows are not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadTable {
    pub table: String,
    pub why: String,
}

/// Version tables whose rows are not known, but for those that the login may not read: these are told with the grant.
#[must_use]
pub fn unread_tables(snapshot: &Snapshot) -> Vec<UnreadTable> {
    let open = |t: &&VersionTable| t.shape && t.rows.known().is_none() && t.rows != VersionRows::Denied;
    let of = |t: &VersionTable| UnreadTable {
        table: format!("{}.{}", snapshot.catalog.schema_name(t.schema), t.name),
        why: unread(&t.rows),
    };
    snapshot.versions.0.iter().filter(open).map(of).collect()
}

/// A word for copies (`alembic_version_bak`, `alembic_version_old`), or a date in the name.
pub(crate) fn copy_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty());
    let mut digits = 0;
    let dated = lower.chars().filter(|c| *c != '_' && *c != '-').any(|c| {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        digits >= 6
    });
    dated
        || words.into_iter().any(|w| {
            matches!(
                w,
                "bak"
                    | "bck"
                    | "bkp"
                    | "backup"
                    | "backups"
                    | "old"
                    | "copy"
                    | "orig"
                    | "original"
                    | "save"
                    | "saved"
                    | "prev"
                    | "previous"
                    | "before"
                    | "archive"
                    | "archived"
                    | "tmp"
                    | "temp"
            )
        })
}

/// `a, b and c`.
pub(crate) fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn revisions(n: usize) -> String {
    text::count(n as u64, "revision", "revisions")
}

#[cfg(test)]
mod tests;

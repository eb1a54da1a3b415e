//! What *should* be: the policy file, what it desires, and the checks that compare a snapshot with it.
//!
//! [`Policy`] is the file's meaning, every default filled in; `file` reads and validates it, `desired` turns it into
//! expected access, `judge` compares cells, `checks` finds what is wrong, `derive` writes a policy from a database.

pub mod checks;
pub mod derive;
pub mod desired;
pub mod draft;
pub mod file;
pub mod finding;
pub mod instance;
pub mod isolation;
pub mod judge;
pub mod judgement;
pub mod versions;
pub mod write;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use finding::{Finding, Group, Severity, left_as_they_are};

/// A policy file, validated. Field names are those of the file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub undeclared: Undeclared,
    pub services: Vec<Service>,
    pub roles: Vec<RoleRule>,
    pub schemas: Vec<SchemaRule>,
    pub database: DatabaseRule,
    pub exceptions: Vec<Exception>,
    /// `[[exception]]`s that name a finding: left as it is, for now.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    pub allow: Allow,
    pub limits: Limits,
    /// Severities overridden by code.
    pub severity: BTreeMap<String, Severity>,
    /// Folder of the file: `revisions` are relative to it.
    #[serde(skip)]
    pub base: PathBuf,
}

/// Whether a policy declares a service of that name, or one whose schema it is.
#[must_use]
pub fn declares(policy: Option<&Policy>, name: &str) -> bool {
    policy.is_some_and(|p| p.services.iter().any(|s| s.name == name || s.schemas.iter().any(|n| n == name)))
}

/// What happens to roles that the policy does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undeclared {
    Ignore,
    #[default]
    Report,
    Revoke,
}

/// A level of access to a schema (contract, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Usage,
    Read,
    Append,
    Write,
    Reference,
    Execute,
    All,
    Own,
}

impl Level {
    pub const ALL: [Level; 8] = [
        Level::Usage,
        Level::Read,
        Level::Append,
        Level::Write,
        Level::Reference,
        Level::Execute,
        Level::All,
        Level::Own,
    ];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Level::Usage => "usage",
            Level::Read => "read",
            Level::Append => "append",
            Level::Write => "write",
            Level::Reference => "reference",
            Level::Execute => "execute",
            Level::All => "all",
            Level::Own => "own",
        }
    }
}

/// `[[service]]`: one application, its role and its schema(s).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    /// All are `own`; the first holds the version table.
    pub schemas: Vec<String>,
    pub role: String,
    /// Default: the role.
    pub owner: String,
    /// Roles that create objects there; default: owner and role.
    pub creators: Vec<String>,
    /// Schema (or `instance/schema`) to levels.
    pub access: BTreeMap<String, Vec<Level>>,
    /// `None`: not judged beyond the default (own schema first).
    pub search_path: Option<Vec<String>>,
    pub connection_limit: Option<i32>,
    /// `None` when the file says `false`.
    pub version_table: Option<String>,
    /// Folder of revision scripts, made absolute.
    pub revisions: Option<PathBuf>,
    pub tenant_column: Option<String>,
    pub tenant_exempt: bool,
    /// `None`: the instance that names the policy.
    pub instance: Option<String>,
    pub applications: Vec<String>,
    pub member_of: Option<Vec<String>>,
    pub login: Option<bool>,
}

/// `[[role]]`: a role that owns no schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRule {
    pub name: String,
    pub access: BTreeMap<String, Vec<Level>>,
    pub login: Option<bool>,
    pub member_of: Option<Vec<String>>,
    pub connection_limit: Option<i32>,
    pub search_path: Option<Vec<String>>,
    pub instance: Option<String>,
}

/// `[[schema]]`: a schema that no service owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRule {
    pub name: String,
    pub owner: Option<String>,
    pub creators: Vec<String>,
    pub tenant_exempt: bool,
    pub instance: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRule {
    pub public_connect: bool,
    pub public_temporary: bool,
}

impl Default for DatabaseRule {
    fn default() -> Self {
        DatabaseRule { public_connect: true, public_temporary: true }
    }
}

/// `[[exception]]`: a deviation somebody decided on; listed as info, never accused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    pub role: String,
    pub schema: String,
    pub privileges: Vec<crate::domain::Privilege>,
    /// Names in the schema; empty is all.
    pub objects: Vec<String>,
    pub reason: String,
    pub instance: Option<String>,
}

/// `[[exception]]` with a `finding`: somebody decided to leave it as it is for now; listed as info, and no plan touches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// A code, or the id of one finding: `version-table-shared:public.alembic_version`.
    pub finding: String,
    pub reason: String,
    #[serde(default)]
    pub instance: Option<String>,
}

impl Accepted {
    /// It speaks of this finding.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        self.finding == finding.id || self.finding == finding.code
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Allow {
    pub overlap: Vec<String>,
    pub foreign_keys: Vec<AllowedForeignKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedForeignKey {
    pub from: String,
    pub to: String,
}

/// Thresholds; every default is written in `config.example.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Share in use of the connections that are not reserved for superusers, percent.
    pub connections_percent: u8,
    /// A transaction idle longer than this, seconds.
    pub idle_in_transaction_seconds: u32,
    /// A statement running longer than this, seconds.
    pub long_query_seconds: u32,
    /// A session waiting longer than this, seconds.
    pub blocked_seconds: u32,
    /// Cache hits below this share, percent.
    pub cache_hit_percent: u8,
    /// Days before `VALID UNTIL` at which a password's end is reported.
    pub password_expiry_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_percent: 80,
            idle_in_transaction_seconds: 300,
            long_query_seconds: 300,
            blocked_seconds: 30,
            cache_hit_percent: 90,
            password_expiry_days: 14,
        }
    }
}

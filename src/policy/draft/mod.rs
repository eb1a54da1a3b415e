//! A set-up in the making: what somebody answered so far, as data. Proposed from a snapshot and from what applications
//! beside it say, corrected answer by answer, then turned into a policy. Holds no password; knows no screen, no file, no
//! server and no statement.

mod faults;
mod held;
mod propose;
mod shape;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use faults::{Answer, Part, Problem};
pub use propose::{Neighbour, ident as plain_name};

use super::{Accepted, Level, RoleRule, checks::audit_schema_missing::AUDIT};

/// Connections that a new service may have at once, unless somebody says otherwise.
pub const CONNECTIONS: i32 = 10;

/// Everything that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Draft {
    /// Of the policy, and of the instance in the configuration.
    pub name: String,
    pub services: Vec<DraftService>,
    /// Other roles that have access today.
    pub roles: Vec<DraftRole>,
    /// What services may do in the schemas of others.
    pub access: Vec<DraftAccess>,
    /// A role that reads the schema of every chosen service; new or existing.
    pub reporting: Option<String>,
    /// An append-only trail in the schema `audit`: services add to it, the reporting role reads it.
    pub audit: bool,
    /// Findings that are left as they are.
    pub accepted: Vec<Accepted>,
}

/// One service, found or wished for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftService {
    pub name: String,
    pub schema: String,
    /// What it logs in as.
    pub role: String,
    /// Of the schema and its objects; `None`: the role.
    pub owner: Option<String>,
    /// `None`: not declared.
    pub connection_limit: Option<i32>,
    /// It becomes part of the policy.
    pub chosen: bool,
    pub schema_exists: bool,
    pub role_exists: bool,
    /// It has an Alembic version table, or will.
    pub version_table: bool,
    /// An existing role gets a new password too; a new one always does.
    pub new_password: bool,
    /// Groups that an existing role is in and that nobody logs in as: they stay.
    #[serde(default)]
    pub member_of: Vec<String>,
    /// Other schemas in which its role owns tables today, with how many: they stay there, and it goes on finding them,
    /// until they are moved.
    #[serde(default)]
    pub stays: Vec<(String, u32)>,
    /// Its Alembic revision scripts, where they were found.
    #[serde(default)]
    pub revisions: Option<PathBuf>,
    /// Where the proposal comes from, one sentence.
    pub why: String,
}

impl DraftService {
    /// A service of that name that is not there yet: schema by its name, role `NAME_app`, ten connections, a version table.
    #[must_use]
    pub fn template(name: &str) -> DraftService {
        let schema = propose::ident(name);
        DraftService {
            name: name.to_owned(),
            role: format!("{schema}_app"),
            schema,
            owner: None,
            connection_limit: Some(CONNECTIONS),
            chosen: true,
            schema_exists: false,
            role_exists: false,
            version_table: true,
            new_password: false,
            member_of: Vec::new(),
            stays: Vec::new(),
            revisions: None,
            why: "A service of its own: one schema, one role that owns it, nobody else's tables in sight.".to_owned(),
        }
    }

    /// What has to be known of tables that it has elsewhere, a sentence for each schema.
    pub fn staying(&self) -> impl Iterator<Item = String> {
        self.stays.iter().map(|(schema, count)| {
            format!(
                "{} owns {} in {schema}: they stay there, and its search_path stays as it is, until `pgmoat isolate` \
                 moves them.",
                self.role,
                crate::text::count(u64::from(*count), "table", "tables")
            )
        })
    }

    /// Its role gets a password when it is set up.
    #[must_use]
    pub fn gets_password(&self) -> bool {
        self.chosen && (!self.role_exists || self.new_password)
    }
}

/// A role that owns no schema and has access today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftRole {
    /// What it may do, said in levels.
    pub rule: RoleRule,
    /// The policy declares it; otherwise its access is a finding.
    pub chosen: bool,
    pub why: String,
}

/// What a service may do in somebody else's schema; levels add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftAccess {
    /// Name of the service.
    pub of: String,
    pub to: String,
    pub levels: Vec<Level>,
}

/// What can be chosen for a service in a schema, from nothing to most.
pub const CHOICES: &[&[Level]] =
    &[&[], &[Level::Read], &[Level::Append], &[Level::Read, Level::Append], &[Level::Write]];

impl Draft {
    /// Services that become part of the policy.
    pub fn chosen(&self) -> impl Iterator<Item = &DraftService> {
        self.services.iter().filter(|s| s.chosen)
    }

    /// What a service may do in a schema; empty is nothing. Adding to the trail comes with [`Draft::audit`].
    #[must_use]
    pub fn levels(&self, of: &str, to: &str) -> Vec<Level> {
        let said = self.access.iter().find(|a| a.of == of && a.to == to);
        match said {
            Some(access) => access.levels.clone(),
            None if self.audit && to == AUDIT => vec![Level::Append],
            None => Vec::new(),
        }
    }

    /// Decides what a service may do in a schema.
    pub fn set(&mut self, of: &str, to: &str, levels: &[Level]) {
        let levels = levels.to_vec();
        match self.access.iter_mut().find(|a| a.of == of && a.to == to) {
            Some(access) => access.levels = levels,
            None => self.access.push(DraftAccess { of: of.to_owned(), to: to.to_owned(), levels }),
        }
    }

    /// Everything that a service may do in schemas of others; its own schema is not among them.
    #[must_use]
    pub fn access_of(&self, service: &DraftService) -> BTreeMap<String, Vec<Level>> {
        let mut places: Vec<&str> =
            self.access.iter().filter(|a| a.of == service.name).map(|a| a.to.as_str()).collect();
        places.extend(self.audit.then_some(AUDIT));
        let places = places.into_iter().filter(|to| *to != service.schema);
        let all = places.map(|to| (to.to_owned(), self.levels(&service.name, to)));
        all.filter(|(_, levels)| !levels.is_empty()).collect()
    }

    /// Schemas that can be columns of the access matrix: those of chosen services, then whatever else access speaks of or
    /// the trail adds.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let mut places: Vec<String> = Vec::new();
        let named = self.chosen().map(|s| &s.schema).chain(self.access.iter().map(|a| &a.to));
        for schema in named {
            if !places.contains(schema) {
                places.push(schema.clone());
            }
        }
        if self.audit && !places.iter().any(|p| p == AUDIT) {
            places.push(AUDIT.to_owned());
        }
        places
    }

    /// Leaves a finding, or all of a code, as it is.
    pub fn leave(&mut self, finding: &str, reason: &str) {
        self.accepted.retain(|a| a.finding != finding);
        self.accepted.push(Accepted { finding: finding.to_owned(), reason: reason.to_owned(), instance: None });
    }
}

/// How far somebody got, written down so that a cut loses nothing. No password is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Always 1.
    pub schema_version: u32,
    /// Where the set-up was begun.
    pub dir: String,
    /// The question that was asked last; a word of whoever asks.
    pub step: String,
    /// Where to, as a connection string without a password.
    pub url: String,
    /// `development`, `staging` or `production`; empty: not said.
    pub environment: String,
    /// Where the policy will be written; empty: not said.
    pub policy_file: String,
    /// The plan was committed.
    pub applied: bool,
    /// Roles that got a password, and the file it is in.
    pub passwords: Vec<(String, String)>,
    pub draft: Draft,
}

#[cfg(test)]
mod tests;

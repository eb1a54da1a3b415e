//! What several checks ask of the policy and the catalog in the same words: who is declared, whose a schema is, where a
//! role looks. Says nothing by itself.

use std::collections::{HashMap, HashSet};

use super::Context;
use crate::{
    domain::{
        Oid,
        change::Change,
        effective::Who,
        search_path::{Paths, SearchPath, Standing},
        snapshot::{Kind, Membership, Role, Schema},
    },
    policy::{Finding, Service, finding::MAX_OBJECTS},
};

/// A role that the policy speaks of, as a service's or by itself.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    pub name: &'a str,
    /// Position in the catalog.
    pub position: usize,
    pub role: &'a Role,
    pub service: Option<&'a Service>,
    pub member_of: Option<&'a [String]>,
    pub connection_limit: Option<i32>,
    pub search_path: Option<&'a [String]>,
    /// The policy gives it access to something.
    pub access: bool,
}

impl<'a> Context<'a> {
    /// Declared services; none without a policy.
    #[must_use]
    pub fn services(&self) -> &'a [Service] {
        self.policy.map(|p| p.services.as_slice()).unwrap_or_default()
    }

    /// Declared roles that exist, those of services first; owners and creators that are declared nowhere else are not
    /// among them. Roles of the server and the platform are left out.
    #[must_use]
    pub fn declared(&self) -> Vec<Declared<'a>> {
        let find = |name: &str| {
            let position = self.matrix.index.role_named(name)?;
            let role: &'a Role = self.catalog.roles.get(position)?;
            (!role.is_platform()).then_some((position, role))
        };
        let services = self.services().iter().filter_map(|s| {
            let (position, role) = find(&s.role)?;
            Some(Declared {
                name: &s.role,
                position,
                role,
                service: Some(s),
                member_of: s.member_of.as_deref(),
                connection_limit: s.connection_limit,
                search_path: s.search_path.as_deref(),
                access: true,
            })
        });
        let rules = self.policy.map(|p| p.roles.as_slice()).unwrap_or_default();
        let roles = rules.iter().filter_map(|r| {
            let (position, role) = find(&r.name)?;
            Some(Declared {
                name: &r.name,
                position,
                role,
                service: None,
                member_of: r.member_of.as_deref(),
                connection_limit: r.connection_limit,
                search_path: r.search_path.as_deref(),
                access: !r.access.is_empty(),
            })
        });
        let mut seen = HashSet::new();
        let mut all: Vec<Declared<'a>> = services.chain(roles).collect();
        all.retain(|d| seen.insert(d.position));
        all
    }

    /// The service that a schema belongs to.
    #[must_use]
    pub fn service_of(&self, schema: &str) -> Option<&'a Service> {
        let position = self.matrix.index.schema_named(schema);
        match (position, self.judge.desired()) {
            (Some(position), Some(desired)) => {
                let service = desired.schemas.get(position)?.service?;
                self.services().get(service)
            }
            // a schema that is not there is found by its name alone
            _ => self.services().iter().find(|s| s.schemas.iter().any(|n| n == schema)),
        }
    }

    /// A role is one of those that may own a service's things: its role, its owner, its creators.
    #[must_use]
    pub fn belongs(&self, owner: Oid, service: &Service) -> bool {
        let owner = self.real_owner(owner);
        let named = |name: &String| self.matrix.index.role_named(name).and_then(|i| self.catalog.roles.get(i));
        let is = |name: &String| named(name).is_some_and(|r| self.real_owner(r.oid) == owner);
        is(&service.role) || is(&service.owner) || service.creators.iter().any(is)
    }

    /// `pg_database_owner` stands for the database's owner.
    fn real_owner(&self, owner: Oid) -> Oid {
        let role = self.matrix.index.role(owner).and_then(|i| self.catalog.roles.get(i));
        if role.is_some_and(|r| r.name == "pg_database_owner") { self.catalog.database.owner } else { owner }
    }

    /// A schema by its oid, looked up in the index.
    #[must_use]
    pub fn schema(&self, oid: Oid) -> Option<&'a Schema> {
        self.matrix.index.schema(oid).and_then(|i| self.catalog.schemas.get(i))
    }

    /// The name of a schema, looked up in the index.
    #[must_use]
    pub fn schema_name(&self, oid: Oid) -> String {
        self.schema(oid).map_or_else(|| self.catalog.schema_name(oid), |s| s.name.clone())
    }

    /// Direct memberships by member.
    #[must_use]
    pub fn memberships(&self) -> HashMap<Oid, Vec<&'a Membership>> {
        let mut by_member: HashMap<Oid, Vec<&'a Membership>> = HashMap::new();
        for membership in &self.catalog.memberships {
            by_member.entry(membership.member).or_default().push(membership);
        }
        by_member
    }

    /// Where a role looks for unqualified names in this database.
    #[must_use]
    pub fn path(&self, paths: &Paths<'_>, role: usize) -> SearchPath {
        paths.of(self.catalog, self.matrix, role)
    }

    #[must_use]
    pub fn paths(&self) -> Paths<'a> {
        Paths::new(self.catalog, &self.snapshot.server)
    }

    /// The path a service should have: the declared one, or its own schemas and what holds nothing but extensions of
    /// those it has now.
    #[must_use]
    pub fn wanted_path(&self, service: &Service, now: &SearchPath) -> Vec<String> {
        if let Some(path) = &service.search_path {
            return path.clone();
        }
        let mut path = service.schemas.clone();
        for entry in &now.entries {
            let Standing::Used(oid) = entry.standing else { continue };
            let extensions = self.catalog.extensions.iter().any(|e| e.schema == oid);
            if extensions
                && !path.contains(&entry.name)
                && entry.name != "pg_catalog"
                && self.tables_in(oid, |_| true) == 0
            {
                path.push(entry.name.clone());
            }
        }
        path
    }

    /// Tables (partitioned ones too) of a schema whose owner is accepted, members of extensions left out.
    #[must_use]
    pub fn tables_in(&self, schema: Oid, owner: impl Fn(Oid) -> bool) -> u32 {
        let Some(position) = self.matrix.index.schema(schema) else { return 0 };
        let groups = self.matrix.groups(self.catalog, position).filter(|g| !g.extension);
        groups.filter(|g| matches!(g.kind, Kind::Table | Kind::Partitioned) && owner(g.owner)).map(|g| g.count).sum()
    }

    /// `ALTER ROLE … IN DATABASE … SET search_path`.
    #[must_use]
    pub fn set_path(&self, role: &str, path: Vec<String>) -> Change {
        Change::SetRoleSetting {
            role: role.to_owned(),
            database: Some(self.catalog.database.name.clone()),
            name: "search_path".to_owned(),
            value: Some(path),
        }
    }

    /// True when the role has USAGE on a schema and any right on a table in it.
    #[must_use]
    pub fn reaches_tables(&self, role: usize, schema: Oid) -> bool {
        let Some(schema) = self.matrix.index.schema(schema) else { return false };
        let cell = self.matrix.cell(self.catalog, Who::Role(role), schema);
        cell.usage && !cell.tables.on_any().is_empty()
    }
}

/// Lists objects in a finding, the first hundred by name.
pub fn list(finding: &mut Finding, mut objects: Vec<String>) {
    objects.sort();
    objects.dedup();
    if objects.len() > MAX_OBJECTS {
        finding.objects_total = Some(objects.len() as u64);
        objects.truncate(MAX_OBJECTS);
    }
    finding.objects = objects;
}

/// `1 table`, `3 tables`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The names of a path as a list reads: `langflow, public`; an empty one in words.
pub fn shown_path<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let text = names.into_iter().collect::<Vec<_>>().join(", ");
    if text.is_empty() { "nothing".to_owned() } else { text }
}

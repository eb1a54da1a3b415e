//! Services, and other roles that log in, that still work in a schema which is none of their own: they own tables there, find them by their search path,
//! and would not find them by the path that the policy wants. Until those tables are moved nothing may be taken from such
//! a service there: it would stop. No check of its own.

use std::{cell::OnceCell, collections::BTreeSet};

use super::Context;
use crate::{
    domain::{
        Oid,
        search_path::{Paths, SearchPath},
        snapshot::Kind,
    },
    policy::{Service, versions::TableCounts},
    text,
};

/// Tables of a service in one schema that is to leave its path, or that is not in it at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Name of the schema.
    pub schema: String,
    /// Tables, views and what is like them, version tables left out.
    pub count: u32,
    /// Their names, ascending; empty while they are not read.
    pub names: Vec<String>,
}

impl Living {
    /// `2 tables of public (order_items, orders)`.
    #[must_use]
    pub fn words(&self) -> String {
        let many = text::count(u64::from(self.count), "table", "tables");
        match self.names.as_slice() {
            [] => format!("{many} of {}", self.schema),
            names => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("{many} of {} ({})", self.schema, text::list(&names, 6))
            }
        }
    }
}

impl Context<'_> {
    /// What the role of a service owns in schemas that `now` shows and a path of these schemas would not show any more.
    #[must_use]
    pub fn lost(&self, service: &Service, now: &SearchPath, wanted: &[String]) -> Vec<Living> {
        let wanted: BTreeSet<Oid> =
            wanted.iter().filter_map(|name| self.catalog.schema_named(name)).map(|s| s.oid).collect();
        let leaving = now.listed().filter(|oid| !wanted.contains(oid));
        leaving.filter_map(|oid| self.tables_of(&service.role, oid, &wanted)).collect()
    }

    /// Where a service works still although the policy has another place for it; empty for most.
    #[must_use]
    pub fn living(&self, service: &Service, paths: &Paths<'_>) -> Vec<Living> {
        let Some(position) = self.matrix.index.role_named(&service.role) else { return Vec::new() };
        let now = self.path(paths, position);
        let wanted = self.wanted_path(service, &now);
        self.lost(service, &now, &wanted)
    }

    /// Every schema that services work in still, or would again if their path led there, with the position of the role; looked for once.
    #[must_use]
    pub fn living_by_role(&self) -> &BTreeSet<(usize, String)> {
        self.living.get_or_init(|| self.find_living())
    }

    fn find_living(&self) -> BTreeSet<(usize, String)> {
        let paths = self.paths();
        let counts = OnceCell::new();
        let mut found = BTreeSet::new();
        for service in self.services() {
            let Some(position) = self.matrix.index.role_named(&service.role) else { continue };
            let cut_off = self.out_of_sight(service, &self.path(&paths, position), &counts);
            let all = self.living(service, &paths).into_iter().chain(cut_off);
            found.extend(all.map(|l| (position, l.schema)));
        }
        found.extend(self.working());
        found
    }

    /// Roles of the policy that are no service's, log in, and find tables of their own in a schema of others, whether they
    /// may create them there or not.
    fn working(&self) -> Vec<(usize, String)> {
        let paths = self.paths();
        let services: BTreeSet<&String> =
            self.services().iter().flat_map(|s| s.creators.iter().chain([&s.role, &s.owner])).collect();
        let declared = self.policy.iter().flat_map(|p| p.roles.iter().map(|r| &r.name));
        let creators = self.policy.iter().flat_map(|p| p.schemas.iter().flat_map(|s| &s.creators));
        let names: BTreeSet<&String> = declared.chain(creators).filter(|name| !services.contains(name)).collect();
        let mut found = Vec::new();
        for name in names {
            let Some(position) = self.matrix.index.role_named(name) else { continue };
            let Some(role) = self.catalog.roles.get(position).filter(|r| r.login && !r.superuser) else { continue };
            for oid in self.path(&paths, position).listed() {
                let theirs = self.schema(oid).is_some_and(|s| s.owner != role.oid);
                if theirs && let Some(living) = self.tables_of(name, oid, &BTreeSet::new()) {
                    found.push((position, living.schema));
                }
            }
        }
        found
    }

    /// Tables that a service owns without finding any: none stands where it looks, and in none of its own schemas.
    #[must_use]
    pub fn out_of_sight(&self, service: &Service, now: &SearchPath, counts: &OnceCell<TableCounts>) -> Vec<Living> {
        let seen: BTreeSet<Oid> = now.listed().collect();
        let own: BTreeSet<Oid> =
            service.schemas.iter().filter_map(|name| self.catalog.schema_named(name)).map(|s| s.oid).collect();
        let role = self.catalog.role_named(&service.role).map(|r| r.oid);
        let Some(role) = role.filter(|_| !seen.iter().chain(&own).any(|oid| self.holds_tables(*oid))) else {
            return Vec::new();
        };
        // What else the policy gives the role is its place, too.
        let others = self.services().iter().filter(|s| s.role == service.role || s.owner == service.role);
        let rules = self.policy.map(|p| p.schemas.as_slice()).unwrap_or_default();
        let rules = rules.iter().filter(|r| r.owner.as_ref() == Some(&service.role)).map(|r| &r.name);
        let others: BTreeSet<&String> = others.flat_map(|s| &s.schemas).chain(rules).collect();
        let mut elsewhere: Vec<Oid> = counts.get_or_init(|| TableCounts::new(self.snapshot)).schemas_of(role).collect();
        elsewhere.retain(|oid| !self.schema(*oid).is_some_and(|s| others.contains(&s.name)));
        elsewhere.sort_unstable();
        elsewhere.into_iter().filter_map(|oid| self.tables_of(&service.role, oid, &seen)).collect()
    }

    /// What a role owns in a schema, without names that stand in one of these, too.
    fn tables_of(&self, role: &str, schema: Oid, wanted: &BTreeSet<Oid>) -> Option<Living> {
        let role = self.catalog.role_named(role).filter(|r| !r.superuser)?;
        let of = self.schema(schema).filter(|s| !s.is_system() && !s.extension)?;
        let versions = self.snapshot.versions.0.iter().filter(|t| t.schema == schema && t.shape && t.plain);
        let versions: BTreeSet<Oid> = versions.filter(|t| t.owner == role.oid).map(|t| t.oid).collect();
        let position = self.matrix.index.schema(schema)?;
        let groups = self.matrix.groups(self.catalog, position).filter(|g| !g.extension && is_table(g.kind));
        let count: u32 = groups.filter(|g| g.owner == role.oid).map(|g| g.count).sum();
        let count = count.saturating_sub(versions.len() as u32);
        if count == 0 {
            return None;
        }
        let objects = &self.snapshot.objects.0;
        let unread = |oid: &Oid| !objects.contains_key(oid) && self.holds_tables(*oid);
        if !objects.contains_key(&schema) || wanted.iter().any(unread) {
            // What is there under the same name cannot be told: leftovers of a move are the usual case.
            let moved = wanted.iter().any(|oid| self.holds_tables(*oid));
            return (!moved).then(|| Living { schema: of.name.clone(), count, names: Vec::new() });
        }
        let there = |name: &str| {
            let in_one = |oid: &Oid| objects.get(oid).is_some_and(|o| o.relations.iter().any(|r| r.name == name));
            wanted.iter().any(in_one)
        };
        let relations = objects.get(&schema).map(|o| o.relations.as_slice()).unwrap_or_default();
        let mut names: Vec<String> = relations
            .iter()
            .filter(|o| is_table(o.kind) && !o.extension && o.owner == role.oid && !versions.contains(&o.oid))
            .filter(|o| !there(&o.name))
            .map(|o| o.name.clone())
            .collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| Living { schema: of.name.clone(), count: names.len() as u32, names })
    }

    /// There is a table in it that is no version table.
    fn holds_tables(&self, schema: Oid) -> bool {
        let versions = self.snapshot.versions.0.iter().filter(|t| t.schema == schema && t.shape && t.plain).count();
        let Some(position) = self.matrix.index.schema(schema) else { return false };
        let groups = self.matrix.groups(self.catalog, position).filter(|g| !g.extension && is_table(g.kind));
        groups.map(|g| g.count as usize).sum::<usize>() > versions
    }
}

fn is_table(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Partitioned | Kind::View | Kind::MaterializedView | Kind::Foreign)
}

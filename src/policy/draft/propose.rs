//! What could be the answers: services from what stands in the database, from what applications beside it connect as,
//! and access as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{CONNECTIONS, Draft, DraftRole, DraftService, held};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        effective::{Matrix, Who},
        snapshot::{Role, Schema, Snapshot},
    },
    policy::{
        Level, Policy, RoleRule, checks::audit_schema_missing::AUDIT, derive, desired::real_owner,
        versions::TableCounts,
    },
    text,
};

/// What an application beside the database says of it: as whom it connects, to which schemas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbour {
    /// The application's name, as Compose or its file gives it.
    pub service: String,
    pub user: Option<String>,
    /// Schemas of the search path it asks for, in order.
    pub schemas: Vec<String>,
    /// Its revision scripts.
    pub revisions: Option<PathBuf>,
}

/// A name that needs no quotes, made of a text; empty where it holds no letter or digit.
#[must_use]
pub fn ident(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        let c = c.to_ascii_lowercase();
        let plain = c.is_ascii_lowercase() || c.is_ascii_digit();
        if plain {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    let out: String = out.chars().take(48).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) { format!("s_{out}") } else { out }
}

impl Draft {
    /// Sensible answers for what is there: one service for each schema that a login role works in, the roles beside them,
    /// access as it is, a trail where there is one.
    #[must_use]
    pub fn propose(snapshot: &Snapshot, neighbours: &[Neighbour]) -> Draft {
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        let found = derive::guess(snapshot, &matrix).0.for_instance(&snapshot.instance, true);
        let mut draft = Draft {
            name: ident(&snapshot.catalog.database.name),
            audit: snapshot.catalog.schema_named(AUDIT).is_some(),
            ..Draft::default()
        };
        if draft.name.is_empty() {
            "local".clone_into(&mut draft.name);
        }
        draft.found(snapshot, &matrix, &found);
        draft.neighbours(snapshot, neighbours);
        draft.others(snapshot, &matrix, &found);
        draft.as_it_is(snapshot, &matrix);
        draft.services.sort_by(|a, b| (!a.chosen, &a.name).cmp(&(!b.chosen, &b.name)));
        draft
    }

    /// A service of which only parts are said, with the rest as it is there or by template; what is proposed already
    /// under that name is changed. Gives its position.
    pub fn wish(&mut self, snapshot: &Snapshot, name: &str, schema: Option<&str>, role: Option<&str>) -> usize {
        let by_schema = |s: &DraftService| schema.is_some_and(|schema| s.schema == schema);
        let known = self.services.iter().position(|s| s.name == name);
        let known = known.or_else(|| self.services.iter().position(by_schema));
        let at = known.unwrap_or_else(|| {
            self.services.push(DraftService::template(name));
            self.services.len() - 1
        });
        let Some(service) = self.services.get_mut(at) else { return at };
        let called = std::mem::replace(&mut service.name, name.to_owned());
        if let Some(schema) = schema {
            if role.is_none() && service.role == format!("{}_app", service.schema) {
                service.role = format!("{schema}_app");
            }
            schema.clone_into(&mut service.schema);
        }
        if let Some(role) = role.filter(|role| *role != service.role) {
            role.clone_into(&mut service.role);
            service.owner = None;
        }
        service.chosen = true;
        if let Some(there) = snapshot.catalog.role_named(&service.role).filter(|_| known.is_none()) {
            // a role that works already keeps the limit it has
            service.connection_limit = limit(snapshot, Some(there.connection_limit));
        }
        let (schema, role) = (service.schema.clone(), service.role.clone());
        // What is somebody's by name is nobody else's.
        let mut gone: Vec<String> = vec![called];
        gone.retain(|called| called != name);
        self.services.retain(|s| {
            let keep = s.name == name || s.schema != schema;
            gone.extend((!keep).then(|| s.name.clone()));
            keep
        });
        for to in self.access.iter().filter(|a| a.of == name).map(|a| a.to.clone()).collect::<Vec<_>>() {
            self.access.retain(|a| !(gone.contains(&a.of) && a.to == to));
        }
        self.access.iter_mut().filter(|a| gone.contains(&a.of)).for_each(|a| name.clone_into(&mut a.of));
        self.roles.retain(|r| r.rule.name != role);
        self.look(snapshot);
        self.services.iter().position(|s| s.name == name).unwrap_or(at)
    }

    /// The connection limit that a role has; the template's for one that is not there.
    #[must_use]
    pub fn limit_of(snapshot: &Snapshot, role: &str) -> Option<i32> {
        let there = snapshot.catalog.role_named(role);
        there.map_or(Some(CONNECTIONS), |role| limit(snapshot, Some(role.connection_limit)))
    }

    /// Sees anew which schemas and roles are there.
    pub fn look(&mut self, snapshot: &Snapshot) {
        let counts = TableCounts::new(snapshot);
        let places: Vec<(String, String)> = self.services.iter().map(|s| (s.role.clone(), s.schema.clone())).collect();
        for service in &mut self.services {
            let own = |schema: &String| places.iter().any(|(role, place)| *role == service.role && place == schema);
            let role = snapshot.catalog.role_named(&service.role).filter(|r| !r.superuser);
            let mut stays: Vec<(String, u32)> = role
                .into_iter()
                .flat_map(|r| counts.schemas_of(r.oid).map(move |schema| (schema, r.oid)))
                .map(|(schema, role)| (snapshot.catalog.schema_name(schema), counts.owned_in(schema, role)))
                .filter(|(schema, _)| !own(schema))
                .collect();
            stays.sort_unstable();
            service.stays = stays;
            service.schema_exists = snapshot.catalog.schema_named(&service.schema).is_some();
            let role = snapshot.catalog.role_named(&service.role);
            service.role_exists = role.is_some();
            service.member_of = role.map(|r| groups(snapshot, r.oid)).unwrap_or_default();
        }
    }

    /// From the database: what the guess calls a service, and schemas with tables that no single role works in.
    fn found(&mut self, snapshot: &Snapshot, matrix: &Matrix, found: &Policy) {
        let counts = TableCounts::new(snapshot);
        let catalog = &snapshot.catalog;
        for schema in catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension && s.name != AUDIT) {
            let relations = relations(snapshot, schema.oid);
            let guessed = found.services.iter().find(|s| s.schemas.contains(&schema.name));
            let mut service = DraftService::template(&schema.name);
            schema.name.clone_into(&mut service.schema);
            service.version_table = versions(snapshot, schema);
            let count = match catalog.tables_of(schema.oid) {
                0 if relations > 0 => text::count(relations, "object", "objects"),
                n => text::count(n, "table", "tables"),
            };
            let owner =
                guessed.map(|g| g.role.as_str()).or_else(|| most(snapshot, schema.oid).map(|r| r.name.as_str()));
            if let (Some(role), "public") = (owner, schema.name.as_str()) {
                // public is where it stands, not what it is.
                base(role).clone_into(&mut service.name);
            }
            if let Some(guessed) = guessed {
                service.role.clone_from(&guessed.role);
                service.owner = (guessed.owner != guessed.role).then(|| guessed.owner.clone());
                service.connection_limit = limit(snapshot, guessed.connection_limit);
                // An empty public belongs to everybody who connects.
                service.chosen = relations > 0 || schema.name != "public";
                service.why = format!("{} owns or works with everything in {} ({count}).", guessed.role, schema.name);
            } else if relations == 0 {
                let owner = catalog.roles.iter().find(|r| r.oid == real_owner(catalog, schema.owner));
                let Some(owner) = owner.filter(|r| !administers(r)) else { continue };
                service.role.clone_from(&owner.name);
                service.connection_limit = limit(snapshot, Some(owner.connection_limit));
                service.chosen = false;
                service.why = format!("{} owns the empty schema {}, and may not log in.", owner.name, schema.name);
            } else if let Some(role) = most(snapshot, schema.oid) {
                service.role.clone_from(&role.name);
                service.connection_limit = limit(snapshot, Some(role.connection_limit));
                service.chosen = role.login;
                let ends = if role.login { "." } else { ", which may not log in." };
                service.why = format!("Most of the {count} in {} are {}'s{ends}", schema.name, role.name);
            } else {
                service.connection_limit = None;
                service.chosen = false;
                service.why = format!("{} holds {count}, and no service's role owns them.", schema.name);
            }
            service.version_table |= migrates(snapshot, matrix, &counts, &service.role);
            self.services.push(service);
        }
        self.look(snapshot);
    }

    /// From applications beside the database.
    fn neighbours(&mut self, snapshot: &Snapshot, neighbours: &[Neighbour]) {
        let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for n in neighbours {
            users.entry(n.user.as_deref().unwrap_or_default()).or_default().insert(&n.service);
        }
        for neighbour in neighbours {
            let user = neighbour.user.as_deref().filter(|u| !u.is_empty());
            let role = user.and_then(|u| snapshot.catalog.role_named(u));
            let shared = users.get(user.unwrap_or_default()).is_some_and(|s| s.len() > 1);
            let ordinary = !shared && !role.is_some_and(|r| r.superuser || r.is_platform());
            let schema = neighbour.schemas.first().filter(|s| *s != "public");
            let plain = ident(&neighbour.service);
            let known = self.services.iter_mut().find(|s| {
                schema.is_some_and(|schema| s.schema == *schema)
                    || ordinary && user.is_some_and(|u| s.role == u)
                    || schema.is_none() && s.schema == plain
            });
            let as_whom = user.map_or_else(String::new, |u| format!(" as {u}"));
            if let Some(service) = known {
                service.chosen = true;
                if service.revisions.is_none() {
                    service.revisions.clone_from(&neighbour.revisions);
                }
                if service.schema == plain {
                    service.name.clone_from(&neighbour.service);
                }
                if !service.why.contains(&neighbour.service) {
                    service.why = format!("{} {} connects{as_whom}.", service.why, neighbour.service);
                }
                continue;
            }
            let mut service = DraftService::template(&neighbour.service);
            service.revisions.clone_from(&neighbour.revisions);
            if let Some(schema) = schema {
                schema.clone_into(&mut service.schema);
                service.role = format!("{schema}_app");
            }
            if service.schema.is_empty()
                || self.services.iter().any(|s| s.name == service.name || s.schema == service.schema)
            {
                continue;
            }
            service.why = match user.filter(|_| ordinary) {
                Some(user) => {
                    user.clone_into(&mut service.role);
                    if let Some(role) = role {
                        service.connection_limit = limit(snapshot, Some(role.connection_limit));
                    }
                    format!("{} connects as {user}.", neighbour.service)
                }
                None if shared => {
                    format!("{} connects{as_whom}, as others do: it gets a role of its own.", neighbour.service)
                }
                None => format!("{} connects{as_whom}: it gets an ordinary role of its own.", neighbour.service),
            };
            self.services.push(service);
        }
        // scripts that two of them have are those of neither
        let all: Vec<PathBuf> = self.services.iter().filter_map(|s| s.revisions.clone()).collect();
        let shared = |path: &PathBuf| all.iter().filter(|p| *p == path).count() > 1;
        for service in &mut self.services {
            service.revisions = service.revisions.take().filter(|path| !shared(path));
            if let Some(path) = &service.revisions {
                service.why = format!("{} Its revision scripts are in {}.", service.why, path.display());
            }
        }
        self.look(snapshot);
    }

    /// Roles with access that no service logs in as.
    fn others(&mut self, snapshot: &Snapshot, matrix: &Matrix, found: &Policy) {
        let serves = |name: &str| self.services.iter().any(|s| s.chosen && s.role == name);
        let mut roles = Vec::new();
        for rule in found.roles.iter().filter(|r| !serves(&r.name)) {
            let Some(role) = snapshot.catalog.role_named(&rule.name) else { continue };
            let mut access = rule.access.clone();
            for (schema, levels) in places(snapshot, matrix, role) {
                access.insert(schema, levels);
            }
            // A membership alone says nothing of this database.
            if access.is_empty() {
                continue;
            }
            let names: Vec<String> = access.keys().cloned().collect();
            let why = format!("Has access to {} today.", text::list(&names, 4));
            roles.push(DraftRole { rule: RoleRule { access, ..rule.clone() }, chosen: true, why });
        }
        self.roles = roles;
    }

    /// What the services' roles may do in schemas of others today.
    fn as_it_is(&mut self, snapshot: &Snapshot, matrix: &Matrix) {
        for service in self.services.clone() {
            let Some(role) = snapshot.catalog.role_named(&service.role) else { continue };
            let own = |schema: &str| self.services.iter().any(|s| s.role == service.role && s.schema == schema);
            let places = places(snapshot, matrix, role).into_iter().filter(|(schema, _)| !own(schema));
            for (to, levels) in places.collect::<Vec<_>>() {
                self.set(&service.name, &to, &levels);
            }
        }
    }
}

/// What a role holds, schema by schema.
fn places(snapshot: &Snapshot, matrix: &Matrix, role: &Role) -> Vec<(String, Vec<Level>)> {
    let all = snapshot.catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system() && !s.extension);
    let all = all.filter(|(_, s)| real_owner(&snapshot.catalog, s.owner) != role.oid);
    let held = all.map(|(position, s)| (s.name.clone(), held::levels(snapshot, matrix, role, position)));
    held.filter(|(_, levels)| !levels.is_empty()).collect()
}

/// Groups of a role that nobody logs in as; the server's own and the platform's left out.
fn groups(snapshot: &Snapshot, role: Oid) -> Vec<String> {
    let catalog = &snapshot.catalog;
    let of = catalog.memberships.iter().filter(|m| m.member == role);
    let groups = of.filter_map(|m| catalog.roles.iter().find(|r| r.oid == m.role));
    let plain = groups.filter(|g| !g.login && !g.superuser && !g.is_platform());
    let names: BTreeSet<String> = plain.map(|g| g.name.clone()).collect();
    names.into_iter().collect()
}

/// A role's name without what only says that it is one.
fn base(role: &str) -> &str {
    let endings = ["_user", "_app", "_role", "_owner"];
    let stem = endings.iter().find_map(|e| role.strip_suffix(e)).filter(|stem| !stem.is_empty());
    stem.unwrap_or(role)
}

/// A limit as it is; one that the server could not serve becomes the server's own.
fn limit(snapshot: &Snapshot, limit: Option<i32>) -> Option<i32> {
    limit.filter(|limit| *limit >= 0).map(|limit| limit.clamp(1, snapshot.server.max_connections.max(1)))
}

/// Tables and what is like them in a schema, extensions' left out.
fn relations(snapshot: &Snapshot, schema: Oid) -> u64 {
    let groups = snapshot.catalog.relations.iter().filter(|g| g.schema == schema && !g.extension);
    groups.map(|g| u64::from(g.count)).sum()
}

/// A version table stands there, or somewhere under its name; or migrations may yet come.
fn versions(snapshot: &Snapshot, schema: &Schema) -> bool {
    let suffix = format!("_{}", schema.name);
    let tables = || snapshot.versions.0.iter().filter(|t| t.shape && t.plain);
    tables().any(|t| t.schema == schema.oid || t.name.ends_with(&suffix))
}

/// The role may write a version table, and owns tables beside it: its migrations run there, wherever it looks now.
fn migrates(snapshot: &Snapshot, matrix: &Matrix, counts: &TableCounts, role: &str) -> bool {
    let Some(position) = matrix.index.role_named(role) else { return false };
    let Some(of) = snapshot.catalog.roles.get(position).filter(|r| !r.superuser) else { return false };
    let tables = snapshot.versions.0.iter().filter(|t| t.shape && t.plain);
    let writes = Privileges::of(&[Privilege::Insert, Privilege::Update]);
    tables.into_iter().any(|t| {
        counts.owned_in(t.schema, of.oid) > 0
            && matrix
                .rights(&snapshot.catalog, Who::Role(position), ObjectKind::Table, t.owner, &t.acl)
                .contains_all(writes)
    })
}

/// The role that initdb made, or the platform's: no service should be it.
fn administers(role: &Role) -> bool {
    role.oid == Oid(10) || role.is_platform()
}

/// The role that owns most of a schema, when it is no administrator's.
fn most(snapshot: &Snapshot, schema: Oid) -> Option<&Role> {
    let catalog = &snapshot.catalog;
    let mut owned: BTreeMap<Oid, u64> = BTreeMap::new();
    for group in catalog.relations.iter().filter(|g| g.schema == schema && !g.extension) {
        *owned.entry(real_owner(catalog, group.owner)).or_default() += u64::from(group.count);
    }
    let total: u64 = owned.values().sum();
    let (owner, count) = owned.into_iter().max_by_key(|(_, n)| *n)?;
    let role = catalog.roles.iter().find(|r| r.oid == owner)?;
    (count * 2 > total && !administers(role)).then_some(role)
}

//! What a plan does to everybody: each role's effective rights before and after, compared. Pure counting over two matrices.

use std::collections::BTreeSet;

use super::{Effect, Ground, Key};
use crate::domain::{
    ObjectKind, Oid, Privileges,
    effective::{Cell, Matrix, Who},
    snapshot::{Catalog, Snapshot},
};

/// Every role whose effective rights differ between the two, where the ground was touched.
#[must_use]
pub fn effects(before: &Snapshot, after: &Snapshot, ground: &Ground) -> Vec<Effect> {
    let sides = Sides {
        before: Side { catalog: &before.catalog, matrix: Matrix::new(&before.catalog, &before.server) },
        after: Side { catalog: &after.catalog, matrix: Matrix::new(&after.catalog, &after.server) },
    };
    let mut found = Vec::new();
    let mut schemas: BTreeSet<&str> = ground.schemas();
    let mut everywhere: BTreeSet<String> = BTreeSet::new();
    let mut database = false;
    for key in ground.keys() {
        match key {
            Key::Schema { name } => {
                schemas.insert(name);
            }
            Key::Membership { member, .. } => everywhere.extend(sides.heirs(member)),
            Key::Database => database = true,
            Key::Role { name } => {
                if let Some(effect) = sides.superuser(name) {
                    found.push(effect);
                }
            }
            Key::Setting { .. }
            | Key::Object { .. }
            | Key::All { .. }
            | Key::Column { .. }
            | Key::DefaultAcl { .. }
            | Key::Policy { .. }
            | Key::ForeignKey { .. }
            | Key::Extension { .. }
            | Key::VersionRows { .. }
            | Key::AuditFunction { .. }
            | Key::AuditTrigger { .. } => {}
        }
    }
    if database {
        found.extend(sides.on_database());
    }
    for schema in &schemas {
        for role in sides.with_access(schema) {
            found.extend(sides.in_schema(role.as_deref(), schema));
        }
    }
    if !everywhere.is_empty() {
        let all: BTreeSet<&str> = sides
            .before
            .catalog
            .schemas
            .iter()
            .chain(&sides.after.catalog.schemas)
            .filter(|s| !s.is_system())
            .map(|s| s.name.as_str())
            .collect();
        for schema in all.difference(&schemas) {
            for role in &everywhere {
                found.extend(sides.in_schema(Some(role), schema));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

struct Side<'a> {
    catalog: &'a Catalog,
    matrix: Matrix,
}

impl Side<'_> {
    fn who(&self, role: Option<&str>) -> Option<Who> {
        match role {
            None => Some(Who::Public),
            Some(name) => self.matrix.index.role_named(name).map(Who::Role),
        }
    }

    /// The cell, unless a superuser's: that is told once and for all.
    fn cell(&self, role: Option<&str>, schema: &str) -> Cell {
        match (self.who(role), self.matrix.index.schema_named(schema)) {
            (Some(who), Some(schema)) => self.matrix.cell(self.catalog, who, schema),
            _ => Cell::default(),
        }
    }

    fn is_superuser(&self, role: &str) -> bool {
        self.catalog.role_named(role).is_some_and(|r| r.superuser)
    }

    fn on_database(&self, role: Option<&str>) -> Privileges {
        let d = &self.catalog.database;
        self.who(role).map_or(Privileges::NONE, |who| {
            self.matrix.rights(self.catalog, who, ObjectKind::Database, d.owner, &d.acl)
        })
    }

    fn heirs(&self, role: &str) -> Vec<String> {
        let Some(position) = self.matrix.index.role_named(role) else { return Vec::new() };
        let heirs = crate::domain::closure::ones(self.matrix.closure.heirs(position));
        heirs.filter_map(|i| self.catalog.roles.get(i)).map(|r| r.name.clone()).collect()
    }
}

struct Sides<'a> {
    before: Side<'a>,
    after: Side<'a>,
}

impl Sides<'_> {
    fn heirs(&self, role: &str) -> Vec<String> {
        let mut all = self.before.heirs(role);
        all.extend(self.after.heirs(role));
        all
    }

    fn superuser(&self, role: &str) -> Option<Effect> {
        let (was, is) = (self.before.is_superuser(role), self.after.is_superuser(role));
        let every = "every right, without asking for grants (SUPERUSER)".to_owned();
        (was != is).then(|| Effect {
            role: Some(role.to_owned()),
            schema: None,
            gained: if is { vec![every.clone()] } else { Vec::new() },
            lost: if was { vec![every] } else { Vec::new() },
        })
    }

    /// Roles that some entry of the schema, before or after, is for; and PUBLIC.
    fn with_access(&self, schema: &str) -> BTreeSet<Option<String>> {
        let mut roles = BTreeSet::from([None]);
        for side in [&self.before, &self.after] {
            let Some(position) = side.matrix.index.schema_named(schema) else { continue };
            let touched = side.matrix.touched(side.catalog, position);
            roles.extend(touched.into_iter().filter_map(|i| side.catalog.roles.get(i)).map(|r| Some(r.name.clone())));
        }
        roles
    }

    fn in_schema(&self, role: Option<&str>, schema: &str) -> Option<Effect> {
        if role.is_some_and(|r| self.before.is_superuser(r) || self.after.is_superuser(r)) {
            return None;
        }
        let (was, is) = (self.before.cell(role, schema), self.after.cell(role, schema));
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        let mut flag = |was: bool, is: bool, word: &str| match (was, is) {
            (false, true) => gained.push(word.to_owned()),
            (true, false) => lost.push(word.to_owned()),
            _ => {}
        };
        flag(was.owner, is.owner, "ownership");
        flag(was.usage, is.usage, "USAGE");
        flag(was.create, is.create, "CREATE");
        for kind in [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine] {
            let (a, b) = (was.counts(kind), is.counts(kind));
            for privilege in (a.on_any() | b.on_any()).iter() {
                let (had, has) = (a.of(privilege), b.of(privilege));
                let words = |n: u32, of: u32| match (n == of, of) {
                    (true, 1) => format!("{privilege} on the only {}", kind.singular()),
                    (true, _) => format!("{privilege} on all {of} {}", kind.plural()),
                    (false, _) => format!("{privilege} on {n} of {of} {}", kind.plural()),
                };
                if has > had {
                    gained.push(words(has - had, b.total));
                } else if had > has {
                    lost.push(words(had - has, a.total));
                }
            }
        }
        let changed = !gained.is_empty() || !lost.is_empty();
        changed.then(|| Effect { role: role.map(str::to_owned), schema: Some(schema.to_owned()), gained, lost })
    }

    fn on_database(&self) -> Vec<Effect> {
        let names: BTreeSet<Option<&str>> = self
            .before
            .catalog
            .roles
            .iter()
            .chain(&self.after.catalog.roles)
            .filter(|r| !r.superuser && r.oid != Oid::ZERO)
            .map(|r| Some(r.name.as_str()))
            .chain([None])
            .collect();
        // What PUBLIC gains or loses everybody does; it is said once.
        let public = (self.before.on_database(None), self.after.on_database(None));
        names
            .into_iter()
            .filter_map(|role| {
                let (mut was, mut is) = (self.before.on_database(role), self.after.on_database(role));
                if role.is_some() && self.before.who(role).is_some() && self.after.who(role).is_some() {
                    let shared =
                        |own: Privileges, public: Privileges, other: Privileges| own.minus(public.minus(other));
                    (was, is) = (shared(was, public.0, is), shared(is, public.1, was));
                }
                let (gained, lost) = (is.minus(was), was.minus(is));
                let words = |p: Privileges| p.iter().map(|p| p.keyword().to_owned()).collect();
                (!gained.is_empty() || !lost.is_empty()).then(|| Effect {
                    role: role.map(str::to_owned),
                    schema: None,
                    gained: words(gained),
                    lost: words(lost),
                })
            })
            .collect()
    }
}

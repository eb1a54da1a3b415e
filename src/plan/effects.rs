//! What a plan does to everybody: each role's effective rights before and after, compared. Pure counting over two matrices.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Ground, Key};
use crate::domain::{
    Acl, ObjectKind, Oid, Privilege, Privileges,
    closure::{ones, set},
    effective::{Cell, Matrix, Who},
    snapshot::{Catalog, ColumnGrant, Object, Role, Snapshot},
};

/// What an attribute of a role gives that no grant does. It is never inherited, but SET ROLE leads to it.
struct Attribute {
    word: &'static str,
    gives: &'static str,
    of: fn(&Role) -> bool,
}

const ATTRIBUTES: [Attribute; 4] = [
    Attribute { word: "BYPASSRLS", gives: "every row, past row level security", of: |r| r.bypass_rls },
    Attribute { word: "CREATEROLE", gives: "making roles and handing out memberships", of: |r| r.create_role },
    Attribute { word: "CREATEDB", gives: "making databases", of: |r| r.create_db },
    Attribute { word: "REPLICATION", gives: "replication of the whole server", of: |r| r.replication },
];

/// Every role whose effective rights differ between the two, where the ground was touched.
#[must_use]
pub fn effects(before: &Snapshot, after: &Snapshot, ground: &Ground) -> Vec<Effect> {
    let side = |snapshot| -> Side<'_> {
        let snapshot: &Snapshot = snapshot;
        Side { snapshot, catalog: &snapshot.catalog, matrix: Matrix::new(&snapshot.catalog, &snapshot.server) }
    };
    let sides = Sides { before: side(before), after: side(after) };
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
                found.extend(sides.superuser(name));
                found.extend(sides.attributes(name));
            }
            Key::Column { schema, relation, column } => found.extend(sides.on_column(schema, relation, column)),
            Key::Setting { .. }
            | Key::Object { .. }
            | Key::All { .. }
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
    if ground.keys().any(|key| matches!(key, Key::Membership { .. } | Key::Role { .. })) {
        found.extend(sides.becoming_superuser());
        found.extend(ATTRIBUTES.iter().flat_map(|attribute| sides.becoming(attribute)));
    }
    found.extend(sides.through_views());
    for schema in &schemas {
        // what PUBLIC gains or loses, everybody does who may use the schema
        let everybody = sides.in_schema(None, schema).is_some();
        let roles = if everybody { sides.users(schema) } else { sides.with_access(schema) };
        for role in roles {
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
    snapshot: &'a Snapshot,
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

    /// A relation by name, where the names of its schema were read.
    fn relation(&self, schema: Oid, name: &str) -> Option<&Object> {
        self.snapshot.objects.0.get(&schema)?.relations.iter().find(|o| o.name == name)
    }

    fn on_relation(&self, who: Who, object: &Object) -> Privileges {
        self.matrix.rights(self.catalog, who, ObjectKind::Table, object.owner, &object.acl)
    }

    /// What a role may on one column: by its own list, and by the table's.
    fn on_column(&self, role: Option<&str>, schema: &str, relation: &str, column: &str) -> Privileges {
        let (Some(who), Some(of)) = (self.who(role), self.catalog.schema_named(schema)) else {
            return Privileges::NONE;
        };
        let table = self.relation(of.oid, relation).map_or(Privileges::NONE, |o| self.on_relation(who, o));
        let grant = self.column_grant(of.oid, relation, column);
        let own = grant.map(|g| self.matrix.rights(self.catalog, who, ObjectKind::Type, g.owner, &g.acl));
        table.and(Privileges::COLUMN) | own.unwrap_or(Privileges::NONE).and(Privileges::COLUMN)
    }

    fn column_grant(&self, schema: Oid, relation: &str, column: &str) -> Option<&ColumnGrant> {
        let shapes = self.snapshot.shapes.as_deref()?;
        let here = |g: &&ColumnGrant| g.schema == schema && g.relation == relation && g.column == column;
        shapes.column_grants.iter().find(here).filter(|g| g.acl.0.is_some())
    }

    /// Whoever an entry of a list is for, by itself or by inheritance; `None` is PUBLIC.
    fn grantees(&self, acl: &Acl) -> Vec<Option<String>> {
        let entries = acl.0.as_deref().unwrap_or_default();
        let of = entries.iter().flat_map(|entry| match self.catalog.role(entry.grantee) {
            Some(role) => self.heirs(&role.name).into_iter().map(Some).collect(),
            None if entry.is_public() => vec![None],
            None => Vec::new(),
        });
        of.collect()
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

impl Side<'_> {
    /// Roles that are no superusers and may become one with SET ROLE.
    fn near_superusers(&self) -> BTreeSet<&str> {
        let (closure, roles) = (&self.matrix.closure, &self.catalog.roles);
        let superuser = |at: &usize| roles.get(*at).is_some_and(|r| r.superuser);
        let near = roles.iter().enumerate().filter(|(at, r)| !r.superuser && closure.beyond(*at).iter().any(superuser));
        near.map(|(_, r)| r.name.as_str()).collect()
    }

    /// The role has what the attribute gives, by itself or as a superuser.
    fn has(&self, role: &str, attribute: &Attribute) -> bool {
        self.catalog.role_named(role).is_some_and(|r| r.superuser || (attribute.of)(r))
    }

    /// Roles that have not what an attribute gives and may become one that has the attribute with SET ROLE.
    fn near(&self, attribute: &Attribute) -> BTreeSet<&str> {
        let roles = &self.catalog.roles;
        let mut bits = vec![0; roles.len().div_ceil(64)];
        for (at, _) in roles.iter().enumerate().filter(|(_, r)| (attribute.of)(r) && !r.superuser) {
            set(&mut bits, at);
        }
        if bits.iter().all(|word| *word == 0) {
            return BTreeSet::new();
        }
        self.matrix.closure.add_settable_into(&mut bits);
        let near = ones(&bits).filter_map(|at| roles.get(at)).filter(|r| !r.superuser && !(attribute.of)(r));
        near.map(|r| r.name.as_str()).collect()
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

    /// Attributes that a role has on one side alone. Whoever is a superuser on the other has what they give there too.
    fn attributes(&self, role: &str) -> Vec<Effect> {
        let each = |attribute: &Attribute| {
            let (had, has) = (self.before.has(role, attribute), self.after.has(role, attribute));
            let told = self.before.is_superuser(role) || self.after.is_superuser(role);
            let words = || vec![format!("{} ({})", attribute.gives, attribute.word)];
            (had != has && !told).then(|| Effect {
                role: Some(role.to_owned()),
                schema: None,
                gained: if has { words() } else { Vec::new() },
                lost: if had { words() } else { Vec::new() },
            })
        };
        ATTRIBUTES.iter().filter_map(each).collect()
    }

    /// Who may become a role with this attribute by SET ROLE on one side alone, and has on the other nothing that gives as
    /// much.
    fn becoming(&self, attribute: &Attribute) -> Vec<Effect> {
        let (was, is) = (self.before.near(attribute), self.after.near(attribute));
        if was == is {
            return Vec::new();
        }
        let (super_before, super_after) = (self.before.near_superusers(), self.after.near_superusers());
        let words = || vec![format!("{} after SET ROLE to a role with {}", attribute.gives, attribute.word)];
        let effect = |role: &&str, gained, lost| Effect { role: Some((*role).to_owned()), schema: None, gained, lost };
        let lost = was.difference(&is).filter(|r| !self.after.has(r, attribute) && !super_after.contains(*r));
        let gained = is.difference(&was).filter(|r| !self.before.has(r, attribute) && !super_before.contains(*r));
        let lost: Vec<Effect> = lost.map(|role| effect(role, Vec::new(), words())).collect();
        lost.into_iter().chain(gained.map(|role| effect(role, words(), Vec::new()))).collect()
    }

    /// Who may become a superuser with SET ROLE on one side alone.
    fn becoming_superuser(&self) -> Vec<Effect> {
        let (was, is) = (self.before.near_superusers(), self.after.near_superusers());
        let words = || vec!["every right after SET ROLE to a superuser".to_owned()];
        let effect = |role: &&str, gained, lost| Effect { role: Some((*role).to_owned()), schema: None, gained, lost };
        let lost = was.difference(&is).filter(|role| !self.after.is_superuser(role));
        let gained = is.difference(&was).filter(|role| !self.before.is_superuser(role));
        let lost: Vec<Effect> = lost.map(|role| effect(role, Vec::new(), words())).collect();
        lost.into_iter().chain(gained.map(|role| effect(role, words(), Vec::new()))).collect()
    }

    fn effect(&self, role: Option<&str>, schema: &str, was: Privileges, is: Privileges, on: &str) -> Option<Effect> {
        if was == is || role.is_some_and(|r| self.before.is_superuser(r) || self.after.is_superuser(r)) {
            return None;
        }
        let words = |privileges: Privileges| -> Vec<String> {
            Some(privileges).filter(|p| !p.is_empty()).map(|p| format!("{p} {on}")).into_iter().collect()
        };
        let (gained, lost) = (words(is.minus(was)), words(was.minus(is)));
        Some(Effect { role: role.map(str::to_owned), schema: Some(schema.to_owned()), gained, lost })
    }

    /// What changes on one column, for whoever its list names before or after.
    fn on_column(&self, schema: &str, relation: &str, column: &str) -> Vec<Effect> {
        let mut roles: BTreeSet<Option<String>> = BTreeSet::new();
        for side in [&self.before, &self.after] {
            let of = side.catalog.schema_named(schema);
            let grant = of.and_then(|s| side.column_grant(s.oid, relation, column));
            roles.extend(grant.into_iter().flat_map(|g| side.grantees(&g.acl)));
        }
        let on = format!("on column {column} of {relation}");
        let of = roles.iter().filter_map(|role| {
            let role = role.as_deref();
            let was = self.before.on_column(role, schema, relation, column);
            self.effect(role, schema, was, self.after.on_column(role, schema, relation, column), &on)
        });
        of.collect()
    }

    /// Readers of a view that begins or ends to read with its caller's rights: those who may not read what it reads.
    fn through_views(&self) -> Vec<Effect> {
        let views = |side: &Side<'_>| -> BTreeMap<(Oid, String), bool> {
            let all = side.snapshot.shapes.as_deref().map(|s| s.views.as_slice()).unwrap_or_default();
            all.iter().map(|v| ((v.schema, v.view.clone()), v.security_invoker)).collect()
        };
        let (was, is) = (views(&self.before), views(&self.after));
        let turned = is.iter().filter(|(view, invoker)| was.get(*view).is_some_and(|before| before != *invoker));
        let mut found = Vec::new();
        for ((schema, view), invoker) in turned {
            // the side on which the caller's rights count
            let side = if *invoker { &self.after } else { &self.before };
            let Some(object) = side.relation(*schema, view) else { continue };
            let uses = side.snapshot.shapes.iter().flat_map(|s| &s.views);
            let bases: Vec<&Object> = uses
                .filter(|v| v.schema == *schema && v.view == *view)
                .filter_map(|v| side.relation(v.uses_schema, &v.uses))
                .collect();
            let name = side.catalog.schema_name(*schema);
            for (at, role) in side.catalog.roles.iter().enumerate().filter(|(_, r)| !r.superuser) {
                let reads = |o: &Object| side.on_relation(Who::Role(at), o).contains(Privilege::Select);
                if !reads(object) || bases.iter().all(|base| reads(base)) {
                    continue;
                }
                let (none, select) = (Privileges::NONE, Privileges::of(&[Privilege::Select]));
                let (was, is) = if *invoker { (select, none) } else { (none, select) };
                let on = format!("through view {view}: it has no right of its own on what the view reads");
                found.extend(self.effect(Some(&role.name), &name, was, is, &on));
            }
        }
        found
    }

    /// As [`Sides::with_access`], and every role that may use the schema before or after, but the server's own.
    fn users(&self, schema: &str) -> BTreeSet<Option<String>> {
        let mut roles = self.with_access(schema);
        for side in [&self.before, &self.after] {
            let Some(of) = side.catalog.schema_named(schema) else { continue };
            let all = side.catalog.roles.iter().enumerate().filter(|(_, r)| !r.is_platform());
            let may =
                |at: usize| side.matrix.rights(side.catalog, Who::Role(at), ObjectKind::Schema, of.owner, &of.acl);
            let users = all.filter(|(at, _)| may(*at).contains(Privilege::Usage));
            roles.extend(users.map(|(_, r)| Some(r.name.clone())));
        }
        roles
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            change::{Change, Grantee, On, RoleAttributes},
            snapshot::{Kind, ViewUse},
        },
        plan::build,
        policy::checks::fixture::Fixture,
    };

    fn fixture() -> Fixture {
        Fixture::new()
            .role("app")
            .role("dev")
            .schema("shop", "app")
            .grant_schema("shop", "dev", "USAGE")
            .table("shop", "t", "app")
    }

    fn lost(f: Fixture, change: Change) -> Vec<(String, Vec<String>)> {
        let plan = build::of_changes(&f.case().snapshot, [change]).unwrap();
        plan.effects.into_iter().map(|e| (e.role.unwrap_or_else(|| "PUBLIC".into()), e.lost)).collect()
    }

    fn revoke(privilege: Privilege, on: On, from: Grantee) -> Change {
        Change::Revoke { privileges: privilege.into(), on, from, option_only: false, grantor: None }
    }

    #[test]
    fn a_right_on_one_column_is_a_right() {
        let f = fixture().column_grant("shop.t", "note", "dev", "UPDATE");
        let on = On::Columns { schema: "shop".into(), relation: "t".into(), columns: vec!["note".into()] };
        let lost = lost(f, revoke(Privilege::Update, on, Grantee::Role("dev".into())));
        assert_eq!(lost, [("dev".to_owned(), vec!["UPDATE on column note of t".to_owned()])]);
    }

    #[test]
    fn the_way_to_a_superuser_is_lost_with_the_membership() {
        let f = fixture().group("dba").edit_role("dba", |r| r.superuser = true).member("dba", "dev").role("far");
        let f = f.member("dev", "far");
        let change = Change::RevokeRole { role: "dba".into(), member: "dev".into(), grantor: None };
        let every = || vec!["every right after SET ROLE to a superuser".to_owned()];
        assert_eq!(lost(f, change), [("dev".to_owned(), every()), ("far".to_owned(), every())]);
    }

    #[test]
    fn an_attribute_that_no_grant_gives_is_told_of_its_role_and_of_who_may_become_it() {
        // far is in dev and dev in dba, by SET ROLE and by inheritance: neither has the attribute at once
        let f = || {
            let f = fixture().group("dba").edit_role("dba", |r| r.bypass_rls = true).role("far");
            f.member("dba", "dev").membership("dev", "far", |m| m.inherit = false)
        };
        let rows = || vec!["every row, past row level security (BYPASSRLS)".to_owned()];
        let later = || vec!["every row, past row level security after SET ROLE to a role with BYPASSRLS".to_owned()];
        let way = Change::RevokeRole { role: "dba".into(), member: "dev".into(), grantor: None };
        assert_eq!(lost(f(), way), [("dev".to_owned(), later()), ("far".to_owned(), later())]);
        let attributes = RoleAttributes { bypass_rls: Some(false), ..RoleAttributes::default() };
        let taken = Change::AlterRole { name: "dba".into(), attributes };
        let all = [("dba".to_owned(), rows()), ("dev".to_owned(), later()), ("far".to_owned(), later())];
        assert_eq!(lost(f(), taken.clone()), all);
        // who has it otherwise, or is above it, loses nothing
        let f = || f().edit_role("dev", |r| r.bypass_rls = true).edit_role("far", |r| r.superuser = true);
        assert_eq!(lost(f(), taken), all[..1]);
        let make = RoleAttributes { create_role: Some(true), create_db: Some(true), ..RoleAttributes::default() };
        let made = Change::CreateRole { name: "fresh".into(), attributes: make };
        let plan = build::of_changes(&f().case().snapshot, [made]).unwrap();
        let gained: Vec<&str> = plan.effects.iter().flat_map(|e| &e.gained).map(String::as_str).collect();
        assert_eq!(gained, ["making databases (CREATEDB)", "making roles and handing out memberships (CREATEROLE)"]);
    }

    #[test]
    fn what_public_loses_everybody_loses_who_may_use_the_schema() {
        let f = fixture().role("outside").grant("shop.t", "PUBLIC", "SELECT");
        let on = On::Objects { kind: ObjectKind::Table, schema: "shop".into(), names: vec!["t".into()] };
        let lost = lost(f, revoke(Privilege::Select, on, Grantee::Public));
        let roles: Vec<&str> = lost.iter().map(|(role, _)| role.as_str()).collect();
        assert!(roles.contains(&"PUBLIC") && roles.contains(&"dev") && !roles.contains(&"outside"), "{lost:?}");
    }

    #[test]
    fn whoever_read_through_a_view_alone_reads_no_more() {
        let mut f = fixture().object(Kind::View, "shop", "v", "app").grant("shop.v", "dev", "SELECT");
        let (shop, app) = {
            let schema = f.catalog.schema_named("shop").unwrap();
            (schema.oid, schema.owner)
        };
        f.shapes.views.push(ViewUse {
            schema: shop,
            view: "v".into(),
            owner: app,
            materialized: false,
            security_invoker: false,
            uses_schema: shop,
            uses: "t".into(),
            uses_owner: app,
            uses_rls: true,
            uses_force_rls: false,
        });
        let lost = lost(f, Change::SetViewInvoker { schema: "shop".into(), view: "v".into() });
        let through = "SELECT through view v: it has no right of its own on what the view reads".to_owned();
        assert_eq!(lost, [("dev".to_owned(), vec![through])]);
    }
}

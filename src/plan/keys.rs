//! What a change touches, by name: before it and after it.

use std::collections::BTreeSet;

use super::{ground::Key, predict::signature::moved_type};
use crate::domain::{
    ObjectKind, Oid,
    change::{Change, Grantee, ObjectRef, On},
    snapshot::{Object, Snapshot},
};

/// Everything that `change` may leave otherwise than it was, as names before and after.
#[must_use]
pub fn touched(change: &Change, snapshot: &Snapshot) -> BTreeSet<Key> {
    let mut keys = Keys { snapshot, found: BTreeSet::new() };
    keys.of(change);
    keys.found
}

struct Keys<'a> {
    snapshot: &'a Snapshot,
    found: BTreeSet<Key>,
}

fn role(name: &str) -> Key {
    Key::Role { name: name.to_owned() }
}

fn schema(name: &str) -> Key {
    Key::Schema { name: name.to_owned() }
}

fn object(kind: ObjectKind, schema: &str, name: &str) -> Key {
    Key::Object { kind, schema: schema.to_owned(), name: name.to_owned() }
}

fn membership(role: &str, member: &str) -> Key {
    Key::Membership { role: role.to_owned(), member: member.to_owned() }
}

fn version_rows(schema: &str, table: &str) -> Key {
    Key::VersionRows { schema: schema.to_owned(), table: table.to_owned() }
}

impl<'a> Keys<'a> {
    fn objects(&self, schema: &str) -> impl Iterator<Item = &'a Object> + use<'a> {
        let snapshot = self.snapshot;
        let of = snapshot.catalog.schema_named(schema).and_then(|s| snapshot.objects.0.get(&s.oid));
        of.into_iter().flat_map(|list| list.all())
    }

    fn column_keys(&mut self, relation: Oid, schema: &str) {
        let Some(shapes) = &self.snapshot.shapes else { return };
        for g in shapes.column_grants.iter().filter(|g| g.relation_oid == relation) {
            self.found.insert(Key::Column {
                schema: schema.to_owned(),
                relation: g.relation.clone(),
                column: g.column.clone(),
            });
        }
    }

    fn on(&mut self, on: &On) {
        match on {
            On::Database(_) => {
                self.found.insert(Key::Database);
            }
            On::Schema(name) => {
                self.found.insert(schema(name));
            }
            On::AllIn { kind, schema } => {
                self.found.insert(Key::All { kind: *kind, schema: schema.clone() });
                for o in self.objects(schema).filter(|o| o.kind.object_kind() == *kind) {
                    self.found.insert(object(*kind, schema, &o.name));
                }
            }
            On::Objects { kind, schema, names } => {
                self.found.extend(names.iter().map(|name| object(*kind, schema, name)));
            }
            On::Columns { schema, relation, columns } => {
                self.found.extend(columns.iter().map(|column| Key::Column {
                    schema: schema.clone(),
                    relation: relation.clone(),
                    column: column.clone(),
                }));
            }
        }
    }

    /// A right taken from a table is taken from its columns too.
    fn columns_of(&mut self, on: &On) {
        let (schema, names) = match on {
            On::AllIn { kind: ObjectKind::Table, schema } => (schema, None),
            On::Objects { kind: ObjectKind::Table, schema, names } => (schema, Some(names)),
            On::AllIn { .. } | On::Objects { .. } | On::Database(_) | On::Schema(_) | On::Columns { .. } => return,
        };
        let named = |o: &&Object| {
            o.kind.object_kind() == ObjectKind::Table && names.is_none_or(|names| names.contains(&o.name))
        };
        let oids: Vec<Oid> = self.objects(schema).filter(named).map(|o| o.oid).collect();
        for oid in oids {
            self.column_keys(oid, schema);
        }
    }

    /// An object with what changes its owner along with it.
    fn with_owned(&mut self, of: &ObjectRef) {
        let kind = of.kind.object_kind();
        self.found.insert(object(kind, &of.schema, &of.name));
        let found = self.objects(&of.schema).find(|o| o.kind.object_kind() == kind && o.name == of.name);
        let Some(table) = found.map(|o| o.oid) else { return };
        self.column_keys(table, &of.schema);
        let snapshot = self.snapshot;
        for (schema, list) in &snapshot.objects.0 {
            for o in list.relations.iter().filter(|o| o.owned_by == Some(table)) {
                let name = snapshot.catalog.schema_name(*schema);
                self.found.insert(object(o.kind.object_kind(), &name, &o.name));
            }
        }
    }

    fn moves(&mut self, of: &ObjectRef, to: &str) {
        let kind = of.kind.object_kind();
        let snapshot = self.snapshot;
        self.found.insert(object(kind, &of.schema, &of.name));
        self.found.insert(object(kind, to, &of.name));
        let found = self.objects(&of.schema).find(|o| o.kind.object_kind() == kind && o.name == of.name);
        let Some(moved) = found.map(|o| o.oid) else { return };
        let owned: Vec<&Object> = self.objects(&of.schema).filter(|o| o.owned_by == Some(moved)).collect();
        for o in owned {
            self.found.insert(object(o.kind.object_kind(), &of.schema, &o.name));
            self.found.insert(object(o.kind.object_kind(), to, &o.name));
        }
        self.column_keys(moved, &of.schema);
        self.column_keys(moved, to);
        for p in snapshot.catalog.policies.iter().filter(|p| p.relation == moved) {
            for schema in [&of.schema, to] {
                self.found.insert(Key::Policy {
                    schema: schema.to_owned(),
                    table: of.name.clone(),
                    name: p.name.clone(),
                });
            }
        }
        if matches!(kind, ObjectKind::Type | ObjectKind::Table) {
            self.renamed(&of.schema, &[&of.name], to);
        }
        if snapshot.versions.0.iter().any(|v| v.oid == moved && v.rows.known().is_some()) {
            self.found.insert(version_rows(&of.schema, &of.name));
            self.found.insert(version_rows(to, &of.name));
        }
    }

    fn renames(&mut self, schema: &str, names: [&str; 2]) {
        let snapshot = self.snapshot;
        let [name, _] = names;
        let found = self.objects(schema).find(|o| o.kind.object_kind() == ObjectKind::Table && o.name == name);
        let Some(renamed) = found.map(|o| o.oid) else { return };
        let grants = snapshot.shapes.iter().flat_map(|s| &s.column_grants).filter(|g| g.relation_oid == renamed);
        let columns: Vec<&String> = grants.map(|g| &g.column).collect();
        let known = snapshot.versions.0.iter().any(|v| v.oid == renamed && v.rows.known().is_some());
        for name in names {
            self.found.insert(object(ObjectKind::Table, schema, name));
            self.found.extend(columns.iter().map(|column| Key::Column {
                schema: schema.to_owned(),
                relation: name.to_owned(),
                column: (*column).clone(),
            }));
            let policies = snapshot.catalog.policies.iter().filter(|p| p.relation == renamed);
            self.found.extend(policies.map(|p| Key::Policy {
                schema: schema.to_owned(),
                table: name.to_owned(),
                name: p.name.clone(),
            }));
            if known {
                self.found.insert(version_rows(schema, name));
            }
        }
    }

    /// Routines that are written otherwise once these types stand in `to`; those of extensions say nothing of their own.
    fn renamed(&mut self, schema: &str, types: &[&str], to: &str) {
        let snapshot = self.snapshot;
        for (place, list) in &snapshot.objects.0 {
            for o in list.routines.iter().filter(|o| !o.extension) {
                let mut renamed: Option<String> = None;
                for name in types {
                    renamed = moved_type(renamed.as_deref().unwrap_or(&o.name), schema, name, to).or(renamed);
                }
                let Some(renamed) = renamed else { continue };
                let place = snapshot.catalog.schema_name(*place);
                self.found.insert(object(ObjectKind::Routine, &place, &o.name));
                self.found.insert(object(ObjectKind::Routine, &place, &renamed));
            }
        }
    }

    fn extension(&mut self, name: &str, to: &str) {
        self.found.insert(Key::Extension { name: name.to_owned() });
        let snapshot = self.snapshot;
        let Some(extension) = snapshot.catalog.extensions.iter().find(|e| e.name == name) else { return };
        let Some(list) = snapshot.objects.0.get(&extension.schema) else { return };
        let types = list.types_of(extension.oid);
        self.renamed(&snapshot.catalog.schema_name(extension.schema), &types, to);
    }

    fn of(&mut self, change: &Change) {
        let me = &self.snapshot.server.current_user;
        match change {
            Change::CreateSchema { name, .. }
            | Change::DropSchema { name }
            | Change::SetSchemaOwner { schema: name, .. } => {
                self.found.insert(schema(name));
            }
            Change::CreateRole { name, .. } => {
                self.found.insert(role(name));
                if !self.snapshot.server.superuser && self.snapshot.server.version_num >= 160_000 {
                    self.found.insert(membership(name, me));
                }
            }
            Change::AlterRole { name, attributes } => {
                self.found.insert(role(name));
                if attributes.inherit.is_some() && self.snapshot.server.version_num < 160_000 {
                    let catalog = &self.snapshot.catalog;
                    let oid = catalog.role_named(name).map(|r| r.oid);
                    for m in catalog.memberships.iter().filter(|m| Some(m.member) == oid) {
                        self.found.insert(membership(&catalog.role_name(m.role), name));
                    }
                }
            }
            Change::DropRole { name } => {
                self.found.insert(role(name));
                let catalog = &self.snapshot.catalog;
                let Some(oid) = catalog.role_named(name).map(|r| r.oid) else { return };
                for m in catalog.memberships.iter().filter(|m| m.member == oid || m.role == oid) {
                    self.found.insert(membership(&catalog.role_name(m.role), &catalog.role_name(m.member)));
                }
                for s in catalog.settings.iter().filter(|s| s.role == Some(oid)) {
                    self.found.insert(Key::Setting {
                        role: Some(name.clone()),
                        in_database: s.database.is_some(),
                        name: s.name.clone(),
                    });
                }
            }
            Change::SetPassword { role: name } => {
                self.found.insert(role(name));
            }
            Change::GrantRole { role, member }
            | Change::GrantRoleWith { role, member, .. }
            | Change::RevokeRole { role, member, .. } => {
                self.found.insert(membership(role, member));
            }
            // Taking a grant back takes columns along, so they belong to it from the beginning.
            Change::Grant { on, .. } | Change::GrantWith { on, .. } | Change::Revoke { on, .. } => {
                self.on(on);
                self.columns_of(on);
            }
            Change::DefaultPrivileges { creator, schema, kind, .. } => {
                self.found.insert(Key::DefaultAcl { creator: creator.clone(), schema: schema.clone(), kind: *kind });
            }
            Change::SetOwner { object, .. } => self.with_owned(object),
            Change::SetSchema { object, to } => self.moves(object, to),
            Change::MoveVersionTable { schema, name, to } => {
                let of = ObjectRef {
                    kind: crate::domain::snapshot::Kind::Table,
                    schema: schema.clone(),
                    name: name.clone(),
                };
                self.moves(&of, to);
            }
            Change::RenameVersionTable { schema, name, to } => self.renames(schema, [name, to]),
            Change::SetExtensionSchema { extension, to } => self.extension(extension, to),
            Change::SetRoleSetting { role, database, name, .. } => {
                self.found.insert(Key::Setting {
                    role: Some(role.clone()),
                    in_database: database.is_some(),
                    name: name.clone(),
                });
            }
            Change::SetDatabaseSetting { name, .. } => {
                self.found.insert(Key::Setting { role: None, in_database: true, name: name.clone() });
            }
            Change::EnableRls { schema, table }
            | Change::DisableRls { schema, table }
            | Change::ForceRls { schema, table }
            | Change::NoForceRls { schema, table } => {
                self.found.insert(object(ObjectKind::Table, schema, table));
            }
            Change::CreateTenantPolicy { schema, table, name, .. } | Change::DropPolicy { schema, table, name } => {
                self.found.insert(Key::Policy { schema: schema.clone(), table: table.clone(), name: name.clone() });
            }
            Change::ValidateForeignKey { schema, table, name } => {
                self.found.insert(Key::ForeignKey { schema: schema.clone(), table: table.clone(), name: name.clone() });
            }
            Change::CreateVersionTable { schema, name, .. } | Change::DropVersionTable { schema, name } => {
                self.found.insert(object(ObjectKind::Table, schema, name));
                self.found.insert(version_rows(schema, name));
            }
            Change::InsertVersionRows { schema, table, .. } | Change::DeleteVersionRows { schema, table, .. } => {
                self.found.insert(version_rows(schema, table));
            }
            Change::MoveVersionRows { schema, table, to, .. } => {
                self.found.insert(version_rows(schema, table));
                self.found.insert(version_rows(to, table));
            }
            Change::SetFunctionSearchPath { schema, signature, .. }
            | Change::ResetFunctionSearchPath { schema, signature } => {
                self.found.insert(object(ObjectKind::Routine, schema, signature));
            }
            Change::SetViewInvoker { schema, view } | Change::ResetViewInvoker { schema, view } => {
                self.found.insert(object(ObjectKind::Table, schema, view));
            }
            Change::CreateAuditSchema { schema: name, .. } => {
                self.found.insert(schema(name));
                let table = super::sql::AUDIT_TABLE;
                self.found.insert(object(ObjectKind::Table, name, table));
                self.found.insert(object(ObjectKind::Sequence, name, &format!("{table}_id_seq")));
            }
            Change::CreateAuditFunction { schema, .. } | Change::DropAuditFunction { schema } => {
                self.found.insert(object(ObjectKind::Routine, schema, super::sql::AUDIT_SIGNATURE));
                self.found.insert(Key::AuditFunction { schema: schema.clone() });
            }
            Change::CreateAuditTrigger { schema, table, .. } | Change::DropAuditTrigger { schema, table } => {
                self.found.insert(object(ObjectKind::Table, schema, table));
                self.found.insert(Key::AuditTrigger { schema: schema.clone(), table: table.clone() });
            }
        }
    }
}

/// Schemas whose objects must have been read before the change can be planned.
#[must_use]
pub fn schemas(change: &Change) -> Vec<&str> {
    match change {
        Change::Grant { on, .. } | Change::GrantWith { on, .. } | Change::Revoke { on, .. } => match on {
            On::AllIn { schema, .. } | On::Objects { schema, .. } | On::Columns { schema, .. } => vec![schema],
            On::Database(_) | On::Schema(_) => Vec::new(),
        },
        Change::SetOwner { object, .. } => vec![&object.schema],
        Change::SetSchema { object, to } => vec![&object.schema, to],
        Change::MoveVersionTable { schema, to, .. } | Change::MoveVersionRows { schema, to, .. } => vec![schema, to],
        Change::EnableRls { schema, .. }
        | Change::DisableRls { schema, .. }
        | Change::ForceRls { schema, .. }
        | Change::NoForceRls { schema, .. }
        | Change::CreateTenantPolicy { schema, .. }
        | Change::DropPolicy { schema, .. }
        | Change::CreateVersionTable { schema, .. }
        | Change::DropVersionTable { schema, .. }
        | Change::RenameVersionTable { schema, .. }
        | Change::InsertVersionRows { schema, .. }
        | Change::DeleteVersionRows { schema, .. }
        | Change::SetFunctionSearchPath { schema, .. }
        | Change::ResetFunctionSearchPath { schema, .. }
        | Change::SetViewInvoker { schema, .. }
        | Change::ResetViewInvoker { schema, .. }
        | Change::CreateAuditSchema { schema, .. }
        | Change::CreateAuditFunction { schema, .. }
        | Change::DropAuditFunction { schema }
        | Change::DropAuditTrigger { schema, .. } => vec![schema],
        Change::CreateAuditTrigger { schema, audit, .. } => vec![schema, audit],
        Change::DropSchema { name } => vec![name],
        Change::CreateSchema { .. }
        | Change::CreateRole { .. }
        | Change::AlterRole { .. }
        | Change::DropRole { .. }
        | Change::SetPassword { .. }
        | Change::GrantRole { .. }
        | Change::GrantRoleWith { .. }
        | Change::RevokeRole { .. }
        | Change::DefaultPrivileges { .. }
        | Change::SetSchemaOwner { .. }
        | Change::SetExtensionSchema { .. }
        | Change::SetRoleSetting { .. }
        | Change::SetDatabaseSetting { .. }
        | Change::ValidateForeignKey { .. } => Vec::new(),
    }
}

/// The slow parts must have been read before the change can be planned: columns have rights of their own, and the trail's
/// function and triggers are known from there.
#[must_use]
pub fn needs_columns(change: &Change) -> bool {
    match change {
        Change::Grant { on, .. } | Change::GrantWith { on, .. } | Change::Revoke { on, .. } => match on {
            On::AllIn { kind, .. } | On::Objects { kind, .. } => *kind == ObjectKind::Table,
            On::Columns { .. } => true,
            On::Database(_) | On::Schema(_) => false,
        },
        Change::SetOwner { object, .. } => object.kind.object_kind() == ObjectKind::Table,
        Change::CreateAuditFunction { .. }
        | Change::DropAuditFunction { .. }
        | Change::CreateAuditTrigger { .. }
        | Change::DropAuditTrigger { .. } => true,
        _ => false,
    }
}

/// Whoever a grant is for, as names of roles go.
#[must_use]
pub fn grantee(name: Option<&String>) -> Grantee {
    name.map_or(Grantee::Public, |name| Grantee::Role(name.clone()))
}

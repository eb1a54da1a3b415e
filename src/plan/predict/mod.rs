//! What the server makes of a change: a snapshot in, the snapshot that a re-read would give out. Follows the server's own
//! rules (`aclchk.c`, `user.c`, `tablecmds.c`): which grantor a GRANT gets, what OWNER TO does to a list, what moves along
//! with a table. The law *faithful* holds it to real servers. Knows no policy and writes no SQL.

mod acl;
mod fold;
mod made;
mod places;
mod refused;
mod rights;
mod roles;
pub mod signature;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

pub(crate) use self::refused::stirs;
use self::{
    acl::{Acting, built_in, hand_over, same_entries},
    fold::{all_mut, groups, same_owners},
    roles::set_attributes,
};
pub use self::{
    refused::{Refused, in_the_way, refused_for},
    roles::valid_until,
};
use super::{
    ground::{Ground, Key, NOT_MADE, Share},
    sql::AUDIT_FUNCTION,
};
use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid, Privilege,
    change::{Change, Grantee, ObjectRef, On},
    closure::Closure,
    quote_ident, search_path,
    snapshot::{
        Catalog, DefaultKind, Kind, Membership, Object, PolicyExpression, Role, RowPolicy, SchemaObjects, Setting,
        Shapes, Snapshot, TableShape, TenantType, TrailTrigger,
    },
};

/// The bootstrap superuser, whatever its name.
const BOOTSTRAP: Oid = Oid(10);

/// A snapshot that changes are tried on.
#[derive(Clone)]
pub struct Draft {
    snapshot: Snapshot,
    /// Schemas whose groups have to be folded anew.
    touched: BTreeSet<Oid>,
    next: u32,
    me: Oid,
}

/// The snapshot after these changes, made by the login of the snapshot as a plan makes them: whoever acts as another role
/// gives it the USAGE that it needs for that.
///
/// # Errors
/// [`Refused`] with the first change that the server would refuse, as far as the catalog tells.
pub fn predict<'a>(snapshot: &Snapshot, changes: impl IntoIterator<Item = &'a Change>) -> Result<Snapshot, Refused> {
    let mut draft = Draft::new(snapshot);
    for change in changes {
        let [before, after] = draft.lent(change);
        for change in before.iter().chain([change]).chain(&after) {
            draft.apply(change)?;
        }
    }
    Ok(draft.finish())
}

impl Draft {
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Draft {
        let me = snapshot.catalog.roles.iter().find(|r| r.name == snapshot.server.current_user);
        let made = snapshot
            .catalog
            .roles
            .iter()
            .map(|r| r.oid.0)
            .chain(snapshot.catalog.schemas.iter().map(|s| s.oid.0))
            .filter(|oid| *oid >= NOT_MADE.0);
        Draft {
            me: me.map_or(BOOTSTRAP, |r| r.oid),
            next: made.max().map_or(NOT_MADE.0, |oid| oid + 100_000),
            touched: BTreeSet::new(),
            snapshot: snapshot.clone(),
        }
    }

    /// The snapshot as it is now.
    #[must_use]
    pub fn finish(mut self) -> Snapshot {
        self.fold();
        self.snapshot
    }

    /// How things stand now.
    #[must_use]
    pub fn ground(&self, keys: impl IntoIterator<Item = Key>) -> Ground {
        Ground::of(&self.snapshot, keys)
    }

    /// The snapshot as far as it is folded: names, owners and lists are right, counts may be of before.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The connected database's name.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.snapshot.catalog.database.name
    }

    /// The owner of an object, by name.
    #[must_use]
    pub fn owner(&self, kind: ObjectKind, schema: &str, name: &str) -> Option<String> {
        let object = self.find(kind, schema, name)?;
        Some(self.snapshot.catalog.role_name(object.owner))
    }

    fn find(&self, kind: ObjectKind, schema: &str, name: &str) -> Option<&Object> {
        let schema = self.snapshot.catalog.schema_named(schema)?;
        let of = self.snapshot.objects.0.get(&schema.oid)?;
        of.all().find(|o| o.kind.object_kind() == kind && o.name == name)
    }

    /// The built-in default ACL of new objects of a role, by names.
    #[must_use]
    pub fn built_in(&self, kind: DefaultKind, creator: &str) -> Vec<Share> {
        let Some(owner) = self.snapshot.catalog.role_named(creator) else { return Vec::new() };
        let share = |e: &AclEntry| Share {
            grantee: (!e.is_public()).then(|| creator.to_owned()),
            grantor: creator.to_owned(),
            privileges: e.privileges,
            grantable: e.grantable,
        };
        built_in(kind, owner.oid, self.version()).iter().map(share).collect()
    }

    fn catalog(&mut self) -> &mut Catalog {
        Arc::make_mut(&mut self.snapshot.catalog)
    }

    fn shapes(&mut self) -> Option<&mut Shapes> {
        self.snapshot.shapes.as_mut().map(Arc::make_mut)
    }

    fn version(&self) -> u32 {
        self.snapshot.server.version_num
    }

    fn new_oid(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }

    fn role(&self, name: &str) -> Result<Oid, Refused> {
        let found = self.snapshot.catalog.role_named(name);
        found.map(|r| r.oid).ok_or_else(|| Refused::no_role(&self.snapshot.catalog, name))
    }

    fn role_mut(&mut self, name: &str) -> Result<&mut Role, Refused> {
        self.role(name)?;
        let found = self.catalog().roles.iter_mut().find(|r| r.name == name);
        found.ok_or_else(|| Refused::new(format!("there is no role {name}")))
    }

    fn schema(&self, name: &str) -> Result<Oid, Refused> {
        let found = self.snapshot.catalog.schema_named(name);
        found.map(|s| s.oid).ok_or_else(|| Refused::no_schema(&self.snapshot.catalog, name))
    }

    fn grantee(&self, grantee: &Grantee) -> Result<Oid, Refused> {
        match grantee {
            Grantee::Public => Ok(Oid::ZERO),
            Grantee::Role(name) => self.role(name),
        }
    }

    /// The objects of a schema, to be changed.
    fn objects(&mut self, schema: &str) -> Result<(Oid, &mut SchemaObjects), Refused> {
        let oid = self.schema(schema)?;
        let known = self.snapshot.objects.0.get_mut(&oid);
        let objects =
            known.ok_or_else(|| Refused::new(format!("the objects of schema {schema} have not been read")))?;
        self.touched.insert(oid);
        Ok((oid, Arc::make_mut(objects)))
    }

    fn object(&mut self, kind: ObjectKind, schema: &str, name: &str) -> Result<&mut Object, Refused> {
        let (_, objects) = self.objects(schema)?;
        let found = all_mut(objects).find(|o| o.kind.object_kind() == kind && o.name == name);
        found.ok_or_else(|| Refused::new(format!("there is no {} {schema}.{name}", kind.singular())))
    }

    fn superuser(&self) -> bool {
        self.snapshot.catalog.role(self.me).is_none_or(|r| r.superuser)
    }

    /// Whoever runs a statement: the login, or the role it is run as.
    fn acting(&self, by: Option<Oid>) -> Acting {
        let role = by.unwrap_or(self.me);
        let catalog = &self.snapshot.catalog;
        let superuser = catalog.role(role).is_none_or(|r| r.superuser);
        let mut roles = vec![role];
        if !superuser {
            let closure = Closure::new(catalog, self.version());
            let mut at = 0;
            while let Some(role) = roles.get(at).copied() {
                at += 1;
                let position = closure.position(role);
                let parents = position.map(|p| closure.parents(p)).unwrap_or_default();
                for edge in parents.iter().filter(|edge| edge.inherit) {
                    if let Some(group) = catalog.roles.get(edge.role).filter(|g| !roles.contains(&g.oid)) {
                        roles.push(group.oid);
                    }
                }
            }
        }
        Acting { name: catalog.role_name(role), superuser, roles }
    }

    /// The role a change is run as and the schema whose names it has to look up without USAGE on it: the server refuses
    /// that. (`LookupExplicitNamespace`.)
    #[must_use]
    pub fn lacks_usage(&self, change: &Change) -> Option<(String, String)> {
        let (Change::Revoke { on, grantor: Some(by), .. } | Change::GrantWith { on, grantor: Some(by), .. }) = change
        else {
            return None;
        };
        let (On::AllIn { schema, .. } | On::Objects { schema, .. } | On::Columns { schema, .. }) = on else {
            return None;
        };
        let catalog = &self.snapshot.catalog;
        let (of, role) = (catalog.schema_named(schema)?, catalog.role_named(by)?);
        let acting = self.acting(Some(role.oid));
        let may = acting.superuser
            || acting.roles.contains(&of.owner)
            || acting.roles.iter().any(|r| matches!(&*catalog.role_name(*r), "pg_read_all_data" | "pg_write_all_data"))
            || of.acl.in_force(ObjectKind::Schema, of.owner, self.version()).entries().iter().any(|e| {
                e.privileges.contains(Privilege::Usage) && (e.is_public() || acting.roles.contains(&e.grantee))
            });
        (!may).then(|| (by.clone(), schema.clone()))
    }

    /// USAGE for a role that a change is run as, where it has none: given before, taken afterwards.
    #[must_use]
    pub fn lent(&self, change: &Change) -> [Option<Change>; 2] {
        let Some((role, schema)) = self.lacks_usage(change) else { return [None, None] };
        let (privileges, on, role) = (Privilege::Usage.into(), On::Schema(schema), Grantee::Role(role));
        let before = Change::Grant { privileges, on: on.clone(), to: role.clone() };
        let after = Change::Revoke { privileges, on, from: role, option_only: false, grantor: None };
        [Some(before), Some(after)]
    }

    /// The grantor of a membership: the bootstrap superuser for superusers from 16 on, else the login.
    fn membership_grantor(&self) -> Oid {
        if self.version() >= 160_000 && self.superuser() { BOOTSTRAP } else { self.me }
    }

    /// The ACL of a new object of this owner (`get_user_default_acl`).
    fn new_acl(&self, kind: DefaultKind, owner: Oid, schema: Option<Oid>) -> Acl {
        let catalog = &self.snapshot.catalog;
        let find = |schema: Option<Oid>| {
            let found =
                catalog.default_acls.iter().find(|d| d.creator == owner && d.schema == schema && d.kind == kind);
            found.map(|d| d.acl.0.as_deref().unwrap_or_default().to_vec())
        };
        let (global, local) = (find(None), schema.and_then(|s| find(Some(s))));
        if global.is_none() && local.is_none() {
            return Acl::NULL;
        }
        let built_in = built_in(kind, owner, self.version());
        let mut merged = global.unwrap_or_else(|| built_in.clone());
        for entry in local.unwrap_or_default() {
            match merged.iter_mut().find(|e| e.grantee == entry.grantee && e.grantor == entry.grantor) {
                Some(e) => {
                    e.privileges = e.privileges | entry.privileges;
                    e.grantable = e.grantable | entry.grantable;
                }
                None => merged.push(entry),
            }
        }
        if same_entries(&merged, &built_in) { Acl::NULL } else { Acl::from_entries(merged) }
    }

    /// Does what the server would do.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn apply(&mut self, change: &Change) -> Result<(), Refused> {
        if let Some((role, schema)) = self.lacks_usage(change) {
            return Err(Refused::new(format!("{role} has no USAGE on schema {schema}, and acts there")));
        }
        match change {
            Change::CreateSchema { name, owner } => self.create_schema(name, owner),
            Change::DropSchema { name } => self.drop_schema(name),
            Change::CreateRole { name, attributes } => self.create_role(name, attributes),
            Change::AlterRole { name, attributes } => {
                let before_16 = self.version() < 160_000;
                let role = self.role_mut(name)?;
                set_attributes(role, attributes);
                let (oid, inherit) = (role.oid, role.inherit);
                if before_16 {
                    for m in self.catalog().memberships.iter_mut().filter(|m| m.member == oid) {
                        m.inherit = inherit;
                    }
                }
                Ok(())
            }
            Change::DropRole { name } => self.drop_role(name),
            Change::SetPassword { role } => self.role(role).map(|_| ()),
            Change::GrantRole { role, member } => self.grant_role(role, member),
            Change::RevokeRole { role, member, grantor } => {
                let (role, member) = (self.role(role)?, self.role(member)?);
                let grantor = match grantor {
                    Some(name) => Some(self.role(name)?),
                    None if self.version() >= 160_000 => Some(self.membership_grantor()),
                    None => None,
                };
                let alike =
                    |m: &Membership| m.role == role && m.member == member && grantor.is_none_or(|by| m.grantor == by);
                self.catalog().memberships.retain(|m| !alike(m));
                Ok(())
            }
            Change::Grant { privileges, on, to } => {
                let grantee = self.grantee(to)?;
                self.change_acls(on, None, *privileges, grantee, true, false)
            }
            Change::GrantWith { privileges, on, to, option, grantor } => {
                let grantee = self.grantee(to)?;
                let by = match grantor {
                    Some(name) => Some(self.role(name)?),
                    None => None,
                };
                self.change_acls(on, by, *privileges, grantee, true, *option)
            }
            Change::GrantRoleWith { role, member, admin, inherit, set, grantor } => {
                self.grant_role(role, member)?;
                let (group, oid) = (self.role(role)?, self.role(member)?);
                let by = match grantor {
                    Some(name) => self.role(name)?,
                    None => self.membership_grantor(),
                };
                let usual = self.membership_grantor();
                let alike = |m: &&mut Membership| m.role == group && m.member == oid && m.grantor == usual;
                if let Some(m) = self.catalog().memberships.iter_mut().find(alike) {
                    m.grantor = by;
                    m.admin = *admin;
                    m.inherit = inherit.unwrap_or(m.inherit);
                    m.set = set.unwrap_or(m.set);
                }
                Ok(())
            }
            Change::Revoke { privileges, on, from, option_only, grantor } => {
                let grantee = self.grantee(from)?;
                let by = match grantor {
                    Some(name) => Some(self.role(name)?),
                    None => None,
                };
                self.change_acls(on, by, *privileges, grantee, false, *option_only)
            }
            Change::DefaultPrivileges { creator, schema, kind, privileges, grantee, grant } => {
                self.default_privileges(creator, schema.as_deref(), *kind, *privileges, grantee, *grant)
            }
            Change::SetSchemaOwner { schema, owner } => {
                let (oid, new) = (self.schema(schema)?, self.role(owner)?);
                if let Some(s) = self.catalog().schemas.iter_mut().find(|s| s.oid == oid) {
                    let old = s.owner;
                    hand_over(&mut s.acl, old, new);
                    s.owner = new;
                }
                Ok(())
            }
            Change::SetOwner { object, owner } => self.set_owner(object, owner),
            Change::SetSchema { object, to } => self.set_schema(object, to),
            Change::MoveVersionTable { schema, name, to } => {
                let object = ObjectRef { kind: Kind::Table, schema: schema.clone(), name: name.clone() };
                self.set_schema(&object, to)
            }
            Change::RenameVersionTable { schema, name, to } => self.rename_version_table(schema, name, to),
            Change::SetExtensionSchema { extension, to } => {
                let target = self.schema(to)?;
                let found = self.catalog().extensions.iter_mut().find(|e| e.name == *extension);
                let found = found.ok_or_else(|| Refused::new(format!("there is no extension {extension}")))?;
                if !found.relocatable {
                    return Err(Refused::new(format!("extension {extension} cannot be moved")));
                }
                let (oid, source) = (found.oid, found.schema);
                found.schema = target;
                self.move_members(oid, source, target, to)
            }
            Change::SetRoleSetting { role, database, name, value } => {
                let role = self.role(role)?;
                let database = database.as_ref().map(|_| self.snapshot.catalog.database.oid);
                self.set(Some(role), database, name, value.as_deref());
                Ok(())
            }
            Change::SetDatabaseSetting { name, value, .. } => {
                let database = Some(self.snapshot.catalog.database.oid);
                self.set(None, database, name, value.as_deref());
                Ok(())
            }
            Change::EnableRls { schema, table } => self.row_security(schema, table, |o| o.rls = true),
            Change::DisableRls { schema, table } => self.row_security(schema, table, |o| o.rls = false),
            Change::ForceRls { schema, table } => self.row_security(schema, table, |o| o.force_rls = true),
            Change::NoForceRls { schema, table } => self.row_security(schema, table, |o| o.force_rls = false),
            Change::CreateTenantPolicy { schema, table, name, column, setting, as_type } => {
                let relation = self.object(ObjectKind::Table, schema, table)?.oid;
                if self.snapshot.catalog.policies.iter().any(|p| p.relation == relation && p.name == *name) {
                    return Err(Refused::new(format!("policy {name} of {schema}.{table} is there already")));
                }
                self.catalog().policies.push(RowPolicy {
                    relation,
                    name: name.clone(),
                    permissive: true,
                    command: '*',
                    roles: vec![Oid::ZERO],
                });
                let column = quote_ident(column);
                let value = format!("NULLIF(current_setting('{setting}'::text, true), ''::text)");
                let expression = match as_type {
                    None => format!("(({column})::text = {value})"),
                    Some(TenantType::Text) => format!("({column} = {value})"),
                    Some(of) => format!("({column} = ({value})::{})", of.word()),
                };
                if let Some(shapes) = self.shapes() {
                    shapes.policy_expressions.push(PolicyExpression {
                        relation,
                        policy: name.clone(),
                        using: Some(expression.clone()),
                        check: Some(expression),
                    });
                }
                Ok(())
            }
            Change::DropPolicy { schema, table, name } => {
                let relation = self.object(ObjectKind::Table, schema, table)?.oid;
                self.catalog().policies.retain(|p| p.relation != relation || p.name != *name);
                if let Some(shapes) = self.shapes() {
                    shapes.policy_expressions.retain(|p| p.relation != relation || p.policy != *name);
                }
                Ok(())
            }
            Change::ValidateForeignKey { schema, table, name } => {
                let oid = self.schema(schema)?;
                if let Some(shapes) = self.shapes() {
                    let found = shapes
                        .foreign_keys
                        .iter_mut()
                        .find(|k| k.schema == oid && k.table == *table && k.name == *name);
                    if let Some(key) = found {
                        key.validated = true;
                    }
                }
                Ok(())
            }
            Change::CreateVersionTable { schema, name, owner } => self.create_version_table(schema, name, owner),
            Change::DropVersionTable { schema, name } => {
                let oid = self.object(ObjectKind::Table, schema, name)?.oid;
                let (_, objects) = self.objects(schema)?;
                objects.relations.retain(|o| o.oid != oid && o.owned_by != Some(oid));
                objects.indexes.retain(|i| i.table != oid);
                if let Some(shapes) = self.shapes() {
                    shapes.trails.tables.retain(|t| t.oid != oid);
                }
                Arc::make_mut(&mut self.snapshot.versions).0.retain(|v| v.oid != oid);
                Ok(())
            }
            Change::InsertVersionRows { schema, table, rows } => self.version_rows(schema, table, |known| {
                known.extend(rows.iter().cloned());
            }),
            Change::DeleteVersionRows { schema, table, rows } => {
                self.version_rows(schema, table, |known| known.retain(|row| !rows.contains(row)))
            }
            Change::MoveVersionRows { schema, table, to, rows } => {
                let oid = self.schema(schema)?;
                let of = self.snapshot.versions.0.iter().find(|v| v.schema == oid && v.name == *table);
                let known = of.and_then(|v| v.rows.known()).unwrap_or_default();
                if let Some(strange) = rows.iter().find(|r| !known.contains(r)) {
                    return Err(Refused::new(format!("{schema}.{table} holds no row {strange}")));
                }
                self.version_rows(schema, table, |known| known.retain(|row| !rows.contains(row)))?;
                self.version_rows(to, table, |known| known.extend(rows.iter().cloned()))
            }
            Change::SetFunctionSearchPath { schema, signature, path } => {
                let written = search_path::write(path);
                self.definer(schema, signature, Some(written))
            }
            Change::ResetFunctionSearchPath { schema, signature } => self.definer(schema, signature, None),
            Change::SetViewInvoker { schema, view } => self.view(schema, view, true),
            Change::ResetViewInvoker { schema, view } => self.view(schema, view, false),
            Change::CreateAuditSchema { schema, owner } => self.create_audit_schema(schema, owner),
            Change::CreateAuditFunction { schema, owner } => self.create_audit_function(schema, owner),
            Change::DropAuditFunction { schema } => self.drop_audit_function(schema),
            Change::CreateAuditTrigger { schema, table, audit, home } => {
                self.create_audit_trigger(schema, table, audit, home)
            }
            Change::DropAuditTrigger { schema, table } => {
                let relation = self.object(ObjectKind::Table, schema, table)?.oid;
                if let Some(shapes) = self.shapes() {
                    let ours = |t: &TrailTrigger| t.relation == relation && t.name == AUDIT_FUNCTION;
                    shapes.trails.triggers.retain(|t| !ours(t));
                }
                Ok(())
            }
        }
    }

    fn set(&mut self, role: Option<Oid>, database: Option<Oid>, name: &str, value: Option<&[String]>) {
        let settings = &mut self.catalog().settings;
        settings.retain(|s| s.role != role || s.database != database || !s.name.eq_ignore_ascii_case(name));
        if let Some(value) = value {
            let list = search_path::is_list(name);
            let value = match value {
                // The server keeps an empty list as one empty name.
                [] if list => "\"\"".to_owned(),
                names if list => search_path::write(names),
                texts => texts.join(", "),
            };
            settings.push(Setting { database, role, name: name.to_owned(), value });
        }
    }

    fn row_security(&mut self, schema: &str, table: &str, set: fn(&mut Object)) -> Result<(), Refused> {
        let object = self.object(ObjectKind::Table, schema, table)?;
        set(object);
        let (oid, owner, rls, force_rls) = (object.oid, object.owner, object.rls, object.force_rls);
        let schema = self.schema(schema)?;
        if let Some(shapes) = self.shapes() {
            match shapes.tables.iter_mut().find(|t| t.oid == oid) {
                Some(shape) => (shape.rls, shape.force_rls) = (rls, force_rls),
                None => shapes.tables.push(TableShape {
                    oid,
                    schema,
                    name: table.to_owned(),
                    owner,
                    rls,
                    force_rls,
                    tenant_columns: Vec::new(),
                    tenant_types: BTreeMap::new(),
                }),
            }
            for view in shapes.views.iter_mut().filter(|v| v.uses_schema == schema && v.uses == table) {
                (view.uses_rls, view.uses_force_rls) = (rls, force_rls);
            }
        }
        Ok(())
    }

    fn definer(&mut self, schema: &str, signature: &str, path: Option<String>) -> Result<(), Refused> {
        let oid = self.schema(schema)?;
        if let Some(shapes) = self.shapes() {
            let found = shapes.definers.iter_mut().find(|d| d.schema == oid && d.signature == signature);
            let found = found.ok_or_else(|| Refused::new(format!("there is no routine {schema}.{signature}")))?;
            found.search_path = path;
        }
        Ok(())
    }

    fn view(&mut self, schema: &str, view: &str, invoker: bool) -> Result<(), Refused> {
        self.object(ObjectKind::Table, schema, view)?;
        let oid = self.schema(schema)?;
        if let Some(shapes) = self.shapes() {
            for v in shapes.views.iter_mut().filter(|v| v.schema == oid && v.view == view) {
                v.security_invoker = invoker;
            }
        }
        Ok(())
    }

    /// Folds the objects of the touched schemas into groups, and lets the other parts say the same.
    fn fold(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return;
        }
        let objects = self.snapshot.objects.clone();
        let catalog = Arc::make_mut(&mut self.snapshot.catalog);
        for list in [&mut catalog.relations, &mut catalog.routines, &mut catalog.types] {
            list.retain(|g| !touched.contains(&g.schema));
        }
        for schema in &touched {
            let Some(of) = objects.0.get(schema) else { continue };
            catalog.relations.extend(groups(*schema, &of.relations));
            catalog.routines.extend(groups(*schema, &of.routines));
            catalog.types.extend(groups(*schema, &of.types));
        }
        let by_oid: HashMap<Oid, &Object> =
            touched.iter().filter_map(|s| objects.0.get(s)).flat_map(|of| of.all()).map(|o| (o.oid, o)).collect();
        for v in &mut Arc::make_mut(&mut self.snapshot.versions).0 {
            if let Some(object) = by_oid.get(&v.oid) {
                v.owner = object.owner;
                v.acl = object.acl.clone();
            }
        }
        if let Some(shapes) = self.snapshot.shapes.as_mut() {
            same_owners(Arc::make_mut(shapes), &touched, &objects, &by_oid);
        }
    }
}

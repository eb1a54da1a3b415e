//! What the server makes of a change: a snapshot in, the snapshot that a re-read would give out. Follows the server's own
//! rules (`aclchk.c`, `user.c`, `tablecmds.c`): which grantor a GRANT gets, what OWNER TO does to a list, what moves along
//! with a table. The law *faithful* holds it to real servers. Knows no policy and writes no SQL.

mod acl;
mod fold;
pub mod signature;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use self::{
    acl::{Acting, Update, built_in, entries, hand_over, same_entries},
    fold::{all_mut, groups, move_shapes, rename_table, same_owners},
};
use super::{
    ground::{Ground, Key, NOT_MADE, Share},
    sql::{AUDIT_COLUMNS, AUDIT_EVENTS, AUDIT_FUNCTION, AUDIT_PATH, AUDIT_SIGNATURE, audit_body},
};
use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges,
    change::{Change, Grantee, ObjectRef, On, RoleAttributes},
    closure::Closure,
    quote_ident, search_path,
    snapshot::{
        Catalog, ColumnGrant, DefaultAcl, DefaultKind, Definer, IndexName, Kind, Membership, Object, PolicyExpression,
        Role, RowPolicy, Schema, SchemaObjects, Setting, Shapes, Snapshot, TableShape, TenantType, TrailFunction,
        TrailTable, TrailTrigger, VersionRows, VersionTable,
    },
};
use crate::text;

/// The bootstrap superuser, whatever its name.
const BOOTSTRAP: Oid = Oid(10);

/// The server would not do that, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    pub fn new(why: impl Into<String>) -> Refused {
        Refused(why.into())
    }

    /// Nobody has that name; who comes nearest, or who there is.
    #[must_use]
    pub fn no_role(catalog: &Catalog, name: &str) -> Refused {
        Refused::no_role_that(catalog, name, "")
    }

    /// As [`Refused::no_role`], with what the role is wanted for.
    #[must_use]
    pub fn no_role_that(catalog: &Catalog, name: &str, wanted: &str) -> Refused {
        let people = catalog.roles.iter().filter(|r| !r.is_predefined() && !r.is_platform());
        missing("role", name, wanted, people.map(|r| r.name.as_str()))
    }

    /// No schema has that name; which comes nearest, or which there are.
    #[must_use]
    pub fn no_schema(catalog: &Catalog, name: &str) -> Refused {
        Refused::no_schema_that(catalog, name, "")
    }

    /// As [`Refused::no_schema`], with what the schema is wanted for.
    #[must_use]
    pub fn no_schema_that(catalog: &Catalog, name: &str, wanted: &str) -> Refused {
        let people = catalog.schemas.iter().filter(|s| !s.is_system());
        missing("schema", name, wanted, people.map(|s| s.name.as_str()))
    }
}

fn missing<'a>(kind: &str, name: &str, wanted: &str, there: impl Iterator<Item = &'a str>) -> Refused {
    let there: Vec<&str> = there.collect();
    let gap = if wanted.is_empty() { "" } else { " " };
    let head = format!("there is no {kind} {name}{gap}{wanted}");
    Refused(match text::nearest(name, there.iter().copied()) {
        Some(near) => format!("{head}; the nearest is {near}"),
        None if there.is_empty() => head,
        None => format!("{head}; there {} {}", if there.len() == 1 { "is" } else { "are" }, text::list(&there, 6)),
    })
}

/// What has a name already that a relation would have: another relation, an index; a type, where the relation brings one of
/// its own.
fn holder(there: &SchemaObjects, name: &str, brings_type: bool) -> Option<&'static str> {
    let relation = there.relations.iter().find(|o| o.name == name).map(|o| o.kind.word());
    let index = || there.indexes.iter().any(|i| i.name == name).then_some("index");
    let of_type = || (brings_type && there.types.iter().any(|o| o.name == name)).then_some("type");
    relation.or_else(index).or_else(of_type)
}

/// What is in the way of these objects and indexes in the schema they would come to, each with its kind.
#[must_use]
pub fn in_the_way(there: &SchemaObjects, to: &str, going: &[&Object], indexes: &[&IndexName]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |what: &str, name: &str| {
        let words = format!("{what} {to}.{name}");
        if !found.contains(&words) {
            found.push(words);
        }
    };
    for object in going {
        let name = object.name.as_str();
        match object.kind.object_kind() {
            ObjectKind::Routine => {
                let twin = there.routines.iter().find(|o| o.name == name && o.kind == object.kind);
                if let Some(o) = twin {
                    add(o.kind.word(), name);
                }
            }
            ObjectKind::Type => {
                // every relation but a sequence is a type, too
                let row = there.relations.iter().find(|o| o.name == name && o.kind != Kind::Sequence);
                let twin = there.types.iter().find(|o| o.name == name);
                row.or(twin).into_iter().for_each(|o| add(o.kind.word(), name));
            }
            ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => {
                if let Some(what) = holder(there, name, object.kind != Kind::Sequence) {
                    add(what, name);
                }
            }
        }
    }
    for index in indexes {
        if let Some(what) = holder(there, &index.name, false) {
            add(what, &index.name);
        }
    }
    found
}

/// The refusal that names what is in the way.
#[must_use]
pub fn refused_for(clashes: &[String]) -> Option<Refused> {
    let verb = match clashes {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    Some(Refused(format!(
        "{} {verb} there already: rename one side first, or leave it where it is",
        text::list(clashes, 8)
    )))
}

/// Why rows of this table are left alone: what its owner wrote would run with the rights of whoever moves them.
pub(crate) fn stirs(table: &str) -> String {
    format!(
        "a change of the rows of {table} would run what somebody wrote there, with your rights: it has triggers, rules, \
         CHECK constraints, foreign keys, indexes with expressions, row level security or tables that inherit from it. \
         Look at it with \\d {table}; drop what is not needed, or let its owner move the rows by hand"
    )
}

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

    fn create_schema(&mut self, name: &str, owner: &str) -> Result<(), Refused> {
        if self.snapshot.catalog.schema_named(name).is_some() {
            return Err(Refused::new(format!("schema {name} is there already")));
        }
        let owner = self.role(owner)?;
        let acl = self.new_acl(DefaultKind::Schemas, owner, None);
        let oid = self.new_oid();
        let schemas = &mut self.catalog().schemas;
        let at = schemas.partition_point(|s| s.name.as_str() < name);
        schemas.insert(at, Schema { oid, name: name.to_owned(), owner, acl, extension: false });
        self.snapshot.objects.0.insert(oid, Arc::default());
        Ok(())
    }

    fn drop_schema(&mut self, name: &str) -> Result<(), Refused> {
        let (oid, objects) = self.objects(name)?;
        if objects.all().next().is_some() {
            return Err(Refused::new(format!("schema {name} is not empty")));
        }
        self.snapshot.objects.0.remove(&oid);
        let catalog = self.catalog();
        catalog.schemas.retain(|s| s.oid != oid);
        catalog.default_acls.retain(|d| d.schema != Some(oid));
        self.touched.remove(&oid);
        Ok(())
    }

    fn create_role(&mut self, name: &str, attributes: &RoleAttributes) -> Result<(), Refused> {
        if self.snapshot.catalog.role_named(name).is_some() {
            return Err(Refused::new(format!("role {name} is there already")));
        }
        let mut role =
            Role { oid: self.new_oid(), name: name.to_owned(), inherit: true, connection_limit: -1, ..Role::default() };
        set_attributes(&mut role, attributes);
        let (oid, member) = (role.oid, self.me);
        // From 16 on whoever makes a role without being a superuser administers it.
        let administers = self.version() >= 160_000 && !self.superuser();
        let catalog = self.catalog();
        let at = catalog.roles.partition_point(|r| r.name.as_str() < name);
        catalog.roles.insert(at, role);
        if administers {
            let made = Membership { role: oid, member, grantor: BOOTSTRAP, inherit: false, set: false, admin: true };
            catalog.memberships.push(made);
        }
        Ok(())
    }

    fn drop_role(&mut self, name: &str) -> Result<(), Refused> {
        let oid = self.role(name)?;
        let catalog = self.catalog();
        catalog.roles.retain(|r| r.oid != oid);
        catalog.memberships.retain(|m| m.role != oid && m.member != oid);
        catalog.settings.retain(|s| s.role != Some(oid));
        Ok(())
    }

    fn grant_role(&mut self, role: &str, member: &str) -> Result<(), Refused> {
        let (group, oid) = (self.role(role)?, self.role(member)?);
        let closure = Closure::new(&self.snapshot.catalog, self.version());
        let circle = match (closure.position(group), closure.position(oid)) {
            (Some(group), Some(member)) => group == member || closure.path(group, member, |_| true).is_some(),
            _ => false,
        };
        if circle {
            return Err(Refused::new(format!("{role} is a member of {member} already")));
        }
        let inherit = self.snapshot.catalog.role(oid).is_none_or(|r| r.inherit);
        let (grantor, before_16) = (self.membership_grantor(), self.version() < 160_000);
        let memberships = &mut self.catalog().memberships;
        let alike = |m: &&mut Membership| m.role == group && m.member == oid && (before_16 || m.grantor == grantor);
        match memberships.iter_mut().find(alike) {
            Some(_) => {}
            None => {
                memberships.push(Membership { role: group, member: oid, grantor, inherit, set: true, admin: false });
            }
        }
        Ok(())
    }

    fn change_acls(
        &mut self,
        on: &On,
        by: Option<Oid>,
        privileges: Privileges,
        grantee: Oid,
        grant: bool,
        option: bool,
    ) -> Result<(), Refused> {
        let version = self.version();
        let acting = self.acting(by);
        let update = |acl: &mut Acl, kind: ObjectKind, owner: Oid| -> Result<(), Refused> {
            let mut list = entries(acl, kind, owner, version);
            let privileges = privileges.and(kind.all(version));
            let grantor = acting.grantor(&list, owner, privileges)?;
            Update { grantee, grantor, privileges, grant, option }.on(&mut list, owner)?;
            *acl = Acl::from_entries(list);
            Ok(())
        };
        match on {
            On::Database(_) => {
                let d = &mut Arc::make_mut(&mut self.snapshot.catalog).database;
                update(&mut d.acl, ObjectKind::Database, d.owner)
            }
            On::Schema(name) => {
                let oid = self.schema(name)?;
                let found = Arc::make_mut(&mut self.snapshot.catalog).schemas.iter_mut().find(|s| s.oid == oid);
                found.map_or(Ok(()), |s| update(&mut s.acl, ObjectKind::Schema, s.owner))
            }
            On::AllIn { kind, schema } => {
                let (_, objects) = self.objects(schema)?;
                let mut columns = BTreeMap::new();
                for o in all_mut(objects).filter(|o| o.kind.object_kind() == *kind) {
                    update(&mut o.acl, *kind, o.owner)?;
                    columns.insert(o.oid, entries(&o.acl, *kind, o.owner, version));
                }
                self.with_columns(&columns, *kind, grant, grantee, &acting, privileges, option)
            }
            On::Objects { kind, schema, names } => {
                let mut columns = BTreeMap::new();
                for name in names {
                    let o = self.object(*kind, schema, name)?;
                    update(&mut o.acl, *kind, o.owner)?;
                    columns.insert(o.oid, entries(&o.acl, *kind, o.owner, version));
                }
                self.with_columns(&columns, *kind, grant, grantee, &acting, privileges, option)
            }
            On::Columns { schema, relation, columns } => {
                let table = self.object(ObjectKind::Table, schema, relation)?.clone();
                let schema = self.schema(schema)?;
                let Some(shapes) = self.shapes() else {
                    return Err(Refused::new("the privileges on columns have not been read"));
                };
                for column in columns {
                    let at =
                        shapes.column_grants.iter().position(|g| g.relation_oid == table.oid && g.column == *column);
                    let mut list = match at.and_then(|i| shapes.column_grants.get(i)) {
                        Some(g) => g.acl.0.as_deref().unwrap_or_default().to_vec(),
                        None => Vec::new(),
                    };
                    let both: Vec<AclEntry> = entries(&table.acl, ObjectKind::Table, table.owner, version)
                        .into_iter()
                        .chain(list.clone())
                        .collect();
                    let grantor = acting.grantor(&both, table.owner, privileges)?;
                    Update { grantee, grantor, privileges, grant, option }.on(&mut list, table.owner)?;
                    if let Some(i) = at {
                        shapes.column_grants.remove(i);
                    }
                    if !list.is_empty() {
                        shapes.column_grants.push(ColumnGrant {
                            schema,
                            relation: relation.clone(),
                            relation_oid: table.oid,
                            kind: table.kind,
                            owner: table.owner,
                            column: column.clone(),
                            acl: Acl::from_entries(list),
                        });
                    }
                }
                Ok(())
            }
        }
    }

    /// A right taken from a table is taken from its columns too.
    #[expect(clippy::too_many_arguments, reason = "one revocation has that many parts")]
    fn with_columns(
        &mut self,
        tables: &BTreeMap<Oid, Vec<AclEntry>>,
        kind: ObjectKind,
        grant: bool,
        grantee: Oid,
        acting: &Acting,
        privileges: Privileges,
        option: bool,
    ) -> Result<(), Refused> {
        if grant || kind != ObjectKind::Table {
            return Ok(());
        }
        let Some(shapes) = self.snapshot.shapes.as_mut() else { return Ok(()) };
        if !shapes.column_grants.iter().any(|g| tables.contains_key(&g.relation_oid)) {
            return Ok(());
        }
        let shapes = Arc::make_mut(shapes);
        for g in shapes.column_grants.iter_mut().filter(|g| tables.contains_key(&g.relation_oid)) {
            let mut list = g.acl.0.as_deref().unwrap_or_default().to_vec();
            let table = tables.get(&g.relation_oid).map(Vec::as_slice).unwrap_or_default();
            let both: Vec<AclEntry> = table.iter().copied().chain(list.iter().copied()).collect();
            // Where it may take nothing, it takes nothing.
            if let Ok(grantor) = acting.grantor(&both, g.owner, privileges) {
                Update { grantee, grantor, privileges, grant, option }.on(&mut list, g.owner)?;
            }
            g.acl = Acl::from_entries(list);
        }
        shapes.column_grants.retain(|g| g.acl.0.as_deref().is_some_and(|list| !list.is_empty()));
        Ok(())
    }

    /// `SetDefaultACL`: an entry that says no more than the built-in default is not kept.
    fn default_privileges(
        &mut self,
        creator: &str,
        schema: Option<&str>,
        kind: DefaultKind,
        privileges: Privileges,
        grantee: &Grantee,
        grant: bool,
    ) -> Result<(), Refused> {
        let (creator, grantee, version) = (self.role(creator)?, self.grantee(grantee)?, self.version());
        let schema = match schema {
            Some(name) => Some(self.schema(name)?),
            None => None,
        };
        let base = if schema.is_none() { built_in(kind, creator, version) } else { Vec::new() };
        let known = &mut self.catalog().default_acls;
        let at = known.iter().position(|d| d.creator == creator && d.schema == schema && d.kind == kind);
        let mut list = match at.and_then(|i| known.get(i)) {
            Some(d) => d.acl.0.as_deref().unwrap_or_default().to_vec(),
            None => base.clone(),
        };
        Update { grantee, grantor: creator, privileges, grant, option: false }.on(&mut list, creator)?;
        if let Some(i) = at {
            known.remove(i);
        }
        if !same_entries(&list, &base) {
            known.push(DefaultAcl { creator, schema, kind, acl: Acl::from_entries(list) });
        }
        Ok(())
    }

    fn set_owner(&mut self, object: &ObjectRef, owner: &str) -> Result<(), Refused> {
        let new = self.role(owner)?;
        let kind = object.kind.object_kind();
        let found = self.object(kind, &object.schema, &object.name)?;
        if found.owned_by.is_some() {
            return Err(Refused::new(format!(
                "{}.{} belongs to a column: its owner is the table's",
                object.schema, object.name
            )));
        }
        let (table, old) = (found.oid, found.owner);
        hand_over(&mut found.acl, old, new);
        found.owner = new;
        // Sequences of columns follow, wherever they stand.
        let mut touched = Vec::new();
        for (schema, objects) in &mut self.snapshot.objects.0 {
            if objects.relations.iter().any(|o| o.owned_by == Some(table)) {
                touched.push(*schema);
                for o in Arc::make_mut(objects).relations.iter_mut().filter(|o| o.owned_by == Some(table)) {
                    let old = o.owner;
                    hand_over(&mut o.acl, old, new);
                    o.owner = new;
                }
            }
        }
        self.touched.extend(touched);
        if let Some(shapes) = self.shapes() {
            for g in shapes.column_grants.iter_mut().filter(|g| g.relation_oid == table) {
                hand_over(&mut g.acl, g.owner, new);
                g.owner = new;
            }
        }
        Ok(())
    }

    fn set_schema(&mut self, object: &ObjectRef, to: &str) -> Result<(), Refused> {
        let kind = object.kind.object_kind();
        let target = self.schema(to)?;
        let found = self.object(kind, &object.schema, &object.name)?;
        if found.owned_by.is_some() {
            return Err(Refused::new(format!("{}.{} moves with its table", object.schema, object.name)));
        }
        if found.extension {
            return Err(Refused::new(format!("{}.{} belongs to an extension", object.schema, object.name)));
        }
        let moved = found.oid;
        let (source, objects) = self.objects(&object.schema)?;
        if source == target {
            return Ok(());
        }
        let (there, stays): (Vec<IndexName>, Vec<IndexName>) =
            std::mem::take(&mut objects.indexes).into_iter().partition(|i| i.table == moved);
        objects.indexes = stays;
        let mut taken = Vec::new();
        for list in [&mut objects.relations, &mut objects.routines, &mut objects.types] {
            let goes = |o: &Object| o.oid == moved || o.owned_by == Some(moved);
            taken.extend(list.iter().filter(|o| goes(o)).cloned());
            list.retain(|o| !goes(o));
        }
        let (_, objects) = self.objects(to)?;
        let clashes = in_the_way(objects, to, &taken.iter().collect::<Vec<_>>(), &there.iter().collect::<Vec<_>>());
        if let Some(why) = refused_for(&clashes) {
            return Err(why);
        }
        objects.indexes.extend(there);
        for object in taken {
            let list = match object.kind.object_kind() {
                ObjectKind::Routine => &mut objects.routines,
                ObjectKind::Type => &mut objects.types,
                ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => {
                    &mut objects.relations
                }
            };
            let at = list.partition_point(|o| o.name < object.name);
            list.insert(at, object);
        }
        let versions = Arc::make_mut(&mut self.snapshot.versions);
        for v in versions.0.iter_mut().filter(|v| v.oid == moved) {
            v.schema = target;
        }
        if matches!(kind, ObjectKind::Type | ObjectKind::Table) {
            self.rename_signatures(&object.schema, &object.name, to);
        }
        if let Some(shapes) = self.shapes() {
            move_shapes(shapes, &object.name, kind, moved, source, target);
        }
        Ok(())
    }

    fn rename_version_table(&mut self, schema: &str, name: &str, to: &str) -> Result<(), Refused> {
        let renamed = self.object(ObjectKind::Table, schema, name)?.oid;
        let place = self.schema(schema)?;
        if !self.snapshot.versions.0.iter().any(|v| v.oid == renamed && v.shape && v.plain) {
            return Err(Refused::new(format!("{schema}.{name} is no version table")));
        }
        // they are told by their argument types, and would be called otherwise
        let named = |o: &&Object| signature::moved_type(&o.name, schema, name, "").is_some();
        if let Some(routine) = self.snapshot.objects.0.values().flat_map(|list| &list.routines).find(named) {
            return Err(Refused::new(format!("routine {} has an argument of the type of its rows", routine.name)));
        }
        let (_, objects) = self.objects(schema)?;
        if let Some(what) = holder(objects, to, true) {
            return Err(Refused::new(format!("there is a {what} {schema}.{to} already")));
        }
        for object in objects.relations.iter_mut().filter(|o| o.oid == renamed) {
            to.clone_into(&mut object.name);
        }
        objects.relations.sort_by(|a, b| a.name.cmp(&b.name));
        for v in Arc::make_mut(&mut self.snapshot.versions).0.iter_mut().filter(|v| v.oid == renamed) {
            to.clone_into(&mut v.name);
        }
        if let Some(shapes) = self.shapes() {
            rename_table(shapes, renamed, (place, name), to);
        }
        Ok(())
    }

    /// What an extension made goes where it goes. Where the names of its old place are not known nothing is to be moved,
    /// and where those of the new one are not, what arrives is of no account.
    fn move_members(&mut self, extension: Oid, source: Oid, target: Oid, to: &str) -> Result<(), Refused> {
        if source == target {
            return Ok(());
        }
        let Some(objects) = self.snapshot.objects.0.get_mut(&source).map(Arc::make_mut) else { return Ok(()) };
        let goes: BTreeSet<Oid> =
            objects.members.iter().filter(|(_, of)| **of == extension).map(|(oid, _)| *oid).collect();
        let goes = |o: &Object| goes.contains(&o.oid) || o.owned_by.is_some_and(|table| goes.contains(&table));
        let mut taken: [Vec<Object>; 3] = Default::default();
        for (list, taken) in
            [&mut objects.relations, &mut objects.routines, &mut objects.types].into_iter().zip(&mut taken)
        {
            taken.extend(list.extract_if(.., |o| goes(o)));
        }
        let types: Vec<String> = objects.types_of(extension).into_iter().map(str::to_owned).collect();
        objects.members.retain(|_, of| *of != extension);
        objects.member_types.retain(|_, of| *of != extension);
        self.touched.insert(source);
        let moved: Vec<(Oid, ObjectKind, String)> =
            taken.iter().flatten().map(|o| (o.oid, o.kind.object_kind(), o.name.clone())).collect();
        if let Some(objects) = self.snapshot.objects.0.get_mut(&target).map(Arc::make_mut) {
            self.touched.insert(target);
            objects.members.extend(moved.iter().map(|(oid, ..)| (*oid, extension)));
            objects.member_types.extend(types.iter().map(|name| (name.clone(), extension)));
            for (list, taken) in
                [&mut objects.relations, &mut objects.routines, &mut objects.types].into_iter().zip(taken)
            {
                if let Some(twice) = taken.iter().find(|o| list.iter().any(|has| has.name == o.name)) {
                    return Err(Refused::new(format!("{to}.{} is there already", twice.name)));
                }
                list.extend(taken);
                list.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        let place = self.snapshot.catalog.schema_name(source);
        for name in &types {
            self.rename_signatures(&place, name, to);
        }
        for (oid, kind, name) in &moved {
            if let Some(shapes) = self.shapes() {
                move_shapes(shapes, name, *kind, *oid, source, target);
            }
        }
        Ok(())
    }

    /// Routines carry their arguments in their names, and a table is a type, too.
    fn rename_signatures(&mut self, schema: &str, name: &str, to: &str) {
        let renamed = |signature: &str| signature::moved_type(signature, schema, name, to);
        let mut touched = Vec::new();
        for (place, objects) in &mut self.snapshot.objects.0 {
            if objects.routines.iter().any(|o| renamed(&o.name).is_some()) {
                touched.push(*place);
                let routines = &mut Arc::make_mut(objects).routines;
                for o in routines.iter_mut() {
                    o.name = renamed(&o.name).unwrap_or_else(|| std::mem::take(&mut o.name));
                }
                routines.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self.touched.extend(touched);
        if let Some(shapes) = self.shapes() {
            for d in &mut shapes.definers {
                if let Some(signature) = renamed(&d.signature) {
                    d.signature = signature;
                }
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

    /// Made by the login and handed to its owner, as the statements do.
    fn create_table(&mut self, schema: &str, name: &str, owner: &str) -> Result<Object, Refused> {
        let (new, me) = (self.role(owner)?, self.me);
        let at = self.schema(schema)?;
        let mut acl = self.new_acl(DefaultKind::Tables, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let (_, objects) = self.objects(schema)?;
        if let Some(what) = holder(objects, name, true) {
            return Err(Refused::new(format!("{what} {schema}.{name} is there already")));
        }
        let object = Object {
            oid,
            kind: Kind::Table,
            name: name.to_owned(),
            owner: new,
            acl,
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        let place = objects.relations.partition_point(|o| o.name.as_str() < name);
        objects.relations.insert(place, object.clone());
        Ok(object)
    }

    fn create_version_table(&mut self, schema: &str, name: &str, owner: &str) -> Result<(), Refused> {
        let key = format!("{name}_pkc");
        let (_, objects) = self.objects(schema)?;
        if objects.relations.iter().any(|o| o.name == key) || objects.indexes.iter().any(|i| i.name == key) {
            return Err(Refused::new(format!("{schema}.{key}, which its key would be called, is there already")));
        }
        let object = self.create_table(schema, name, owner)?;
        let (_, objects) = self.objects(schema)?;
        objects.indexes.push(IndexName { table: object.oid, name: key });
        let schema = self.schema(schema)?;
        Arc::make_mut(&mut self.snapshot.versions).0.push(VersionTable {
            oid: object.oid,
            schema,
            name: name.to_owned(),
            owner: object.owner,
            acl: object.acl,
            shape: true,
            plain: true,
            stirs: false,
            primary_key: true,
            rows: VersionRows::Known(Vec::new()),
        });
        Ok(())
    }

    fn create_audit_schema(&mut self, schema: &str, owner: &str) -> Result<(), Refused> {
        if self.snapshot.catalog.schema_named(schema).is_none() {
            self.create_schema(schema, owner)?;
        }
        let table = self.create_table(schema, super::sql::AUDIT_TABLE, owner)?;
        let (me, at, new) = (self.me, self.schema(schema)?, self.role(owner)?);
        let mut acl = self.new_acl(DefaultKind::Sequences, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let name = format!("{}_id_seq", super::sql::AUDIT_TABLE);
        let trail = TrailTable {
            schema: at,
            oid: table.oid,
            owner: new,
            plain: true,
            columns: std::iter::once("id").chain(AUDIT_COLUMNS).map(str::to_owned).collect(),
        };
        if let Some(shapes) = self.shapes() {
            shapes.trails.tables.push(trail);
        }
        let sequence = Object { oid, kind: Kind::Sequence, name, acl, owned_by: Some(table.oid), ..table };
        let (_, objects) = self.objects(schema)?;
        let place = objects.relations.partition_point(|o| o.name < sequence.name);
        objects.relations.insert(place, sequence);
        Ok(())
    }

    /// Made by the login and handed to its owner, as the statements do.
    fn create_audit_function(&mut self, schema: &str, owner: &str) -> Result<(), Refused> {
        let (new, me, at) = (self.role(owner)?, self.me, self.schema(schema)?);
        let mut acl = self.new_acl(DefaultKind::Functions, me, Some(at));
        hand_over(&mut acl, me, new);
        let oid = self.new_oid();
        let (_, objects) = self.objects(schema)?;
        if objects.routines.iter().any(|o| o.name == AUDIT_SIGNATURE) {
            return Err(Refused::new(format!("{schema}.{AUDIT_SIGNATURE} is there already")));
        }
        let object = Object {
            oid,
            kind: Kind::Function,
            name: AUDIT_SIGNATURE.to_owned(),
            owner: new,
            acl: acl.clone(),
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        let place = objects.routines.partition_point(|o| o.name < object.name);
        objects.routines.insert(place, object);
        if let Some(shapes) = self.shapes() {
            shapes.definers.push(Definer {
                schema: at,
                signature: AUDIT_SIGNATURE.to_owned(),
                owner: new,
                acl,
                search_path: Some(AUDIT_PATH.to_owned()),
                extension: false,
            });
            shapes.trails.functions.push(TrailFunction {
                schema: at,
                owner: new,
                language: "plpgsql".to_owned(),
                body: audit_body(schema),
                definer: true,
                settings: vec![format!("search_path={AUDIT_PATH}")],
            });
        }
        Ok(())
    }

    fn drop_audit_function(&mut self, schema: &str) -> Result<(), Refused> {
        let at = self.schema(schema)?;
        self.object(ObjectKind::Routine, schema, AUDIT_SIGNATURE)?;
        if let Some(shapes) = self.shapes() {
            if let Some(t) = shapes.trails.triggers.iter().find(|t| t.audit == at) {
                return Err(Refused::new(format!("a trigger of table {} calls {schema}.{AUDIT_SIGNATURE}", t.table)));
            }
            shapes.trails.functions.retain(|f| f.schema != at);
            shapes.definers.retain(|d| d.schema != at || d.signature != AUDIT_SIGNATURE);
        }
        let (_, objects) = self.objects(schema)?;
        objects.routines.retain(|o| o.name != AUDIT_SIGNATURE);
        Ok(())
    }

    fn create_audit_trigger(&mut self, schema: &str, table: &str, audit: &str, home: &[String]) -> Result<(), Refused> {
        let relation = self.object(ObjectKind::Table, schema, table)?.oid;
        self.object(ObjectKind::Routine, audit, AUDIT_SIGNATURE)?;
        let (schema, audit) = (self.schema(schema)?, self.schema(audit)?);
        let Some(shapes) = self.shapes() else { return Ok(()) };
        let triggers = &mut shapes.trails.triggers;
        if triggers.iter().any(|t| t.relation == relation && t.name == AUDIT_FUNCTION) {
            return Err(Refused::new(format!("table {table} has a trigger {AUDIT_FUNCTION} already")));
        }
        triggers.push(TrailTrigger {
            relation,
            schema,
            table: table.to_owned(),
            name: AUDIT_FUNCTION.to_owned(),
            audit,
            events: AUDIT_EVENTS,
            enabled: 'O',
            home: home.to_vec(),
        });
        Ok(())
    }

    fn version_rows(&mut self, schema: &str, table: &str, edit: impl Fn(&mut Vec<String>)) -> Result<(), Refused> {
        let oid = self.schema(schema)?;
        let versions = Arc::make_mut(&mut self.snapshot.versions);
        let found = versions.0.iter_mut().find(|v| v.schema == oid && v.name == table);
        let found = found.ok_or_else(|| Refused::new(format!("there is no version table {schema}.{table}")))?;
        let Some(mut rows) = found.rows.known().map(<[String]>::to_vec) else {
            return Err(Refused::new(format!("the rows of {schema}.{table} are not known")));
        };
        if found.stirs {
            return Err(Refused::new(stirs(&format!("{schema}.{table}"))));
        }
        edit(&mut rows);
        rows.sort();
        if found.primary_key && rows.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Refused::new(format!("a row of {schema}.{table} would be there twice")));
        }
        found.rows = VersionRows::Known(rows);
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

fn set_attributes(role: &mut Role, a: &RoleAttributes) {
    let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
    set(&mut role.superuser, a.superuser);
    set(&mut role.inherit, a.inherit);
    set(&mut role.create_role, a.create_role);
    set(&mut role.create_db, a.create_db);
    set(&mut role.login, a.login);
    set(&mut role.replication, a.replication);
    set(&mut role.bypass_rls, a.bypass_rls);
    role.connection_limit = a.connection_limit.unwrap_or(role.connection_limit);
    if let Some(text) = &a.valid_until {
        role.valid_until_us = until(text);
    }
}

/// Microseconds since the Unix epoch of a `VALID UNTIL` as [`valid_until`] writes it.
fn until(text: &str) -> Option<i64> {
    if text == "infinity" {
        return Some(i64::MAX);
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// A `VALID UNTIL` that the server and `until` read alike.
#[must_use]
pub fn valid_until(us: Option<i64>) -> String {
    match us {
        Some(us) if us != i64::MAX => {
            jiff::Timestamp::from_microsecond(us).map_or_else(|_| "infinity".to_owned(), |t| t.to_string())
        }
        _ => "infinity".to_owned(),
    }
}

//! Small databases for the tests of checks: built in sentences, folded as the reader folds them, judged as a whole.
//!
//! ```text
//! let case = Fixture::new()
//!     .role("langflow_app").role("reader")
//!     .schema("langflow", "langflow_app")
//!     .table("langflow", "flow", "langflow_app")
//!     .grant("langflow.flow", "reader", "SELECT")
//!     .policy("[[service]]\nname='langflow'\nschema='langflow'\nrole='langflow_app'\n")
//!     .case();
//! assert_eq!(case.only("grant-excess").role.as_deref(), Some("reader"));
//! ```
//! A fresh fixture is PostgreSQL 15 with the superuser `postgres` (who owns the database `engarde`), the predefined roles,
//! the schemas `pg_catalog` and `public` (owned by `pg_database_owner`, USAGE for PUBLIC, as since 15).

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::super::{Finding, Policy, file, judge::Judge, versions::Versions};
use crate::domain::{
    Acl, AclEntry, ObjectKind, Oid, Privilege, Privileges,
    alembic::Lineages,
    effective::Matrix,
    snapshot::{
        Catalog, ColumnGrant, Database, DefaultAcl, DefaultKind, Extension, Group, Kind, Membership, Object, Objects,
        Role, Schema, SchemaObjects, Server, Setting, Shapes, Snapshot, VersionRows, VersionTable,
    },
};

/// The superuser of every fixture.
pub const SUPERUSER: &str = "postgres";
/// The database of every fixture.
pub const DATABASE: &str = "engarde";

/// See the module. Names are resolved when they are used, so roles and schemas come first.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub server: Server,
    pub catalog: Catalog,
    /// Every object with its schema; folded by [`Fixture::case`].
    pub objects: Vec<(Oid, Object)>,
    pub shapes: Shapes,
    pub versions: Vec<VersionTable>,
    pub lineages: Lineages,
    pub policy: Option<Policy>,
    /// Objects that belong to an extension, with its oid.
    members: BTreeMap<Oid, Oid>,
    names: bool,
    next: u32,
}

/// A finished fixture with its matrix.
pub struct Case {
    pub snapshot: Snapshot,
    pub matrix: Matrix,
    pub policy: Option<Policy>,
    pub lineages: Arc<Lineages>,
    pub versions: Versions,
}

impl Default for Fixture {
    fn default() -> Self {
        Fixture::new()
    }
}

impl Fixture {
    pub fn new() -> Fixture {
        let mut f = Fixture {
            server: Server {
                version_num: 150_020,
                version: "15.20".into(),
                database: DATABASE.into(),
                database_oid: Oid(5),
                current_user: SUPERUSER.into(),
                superuser: true,
                default_search_path: "\"$user\", public".into(),
                max_connections: 100,
                taken_at_us: 1_800_000_000_000_000,
                local: true,
                ..Server::default()
            },
            catalog: Catalog::default(),
            objects: Vec::new(),
            shapes: Shapes::default(),
            versions: Vec::new(),
            lineages: Lineages::default(),
            policy: None,
            members: BTreeMap::new(),
            names: true,
            next: 16_384,
        };
        f.catalog.roles.push(Role {
            oid: Oid(10),
            name: SUPERUSER.into(),
            superuser: true,
            inherit: true,
            create_role: true,
            create_db: true,
            login: true,
            replication: true,
            bypass_rls: true,
            connection_limit: -1,
            valid_until_us: None,
            platform: false,
        });
        f.catalog.database =
            Database { oid: Oid(5), name: DATABASE.into(), owner: Oid(10), acl: Acl::NULL, connection_limit: -1 };
        for name in ["pg_database_owner", "pg_monitor", "pg_read_all_data", "pg_read_all_stats", "pg_write_all_data"] {
            f = f.group(name);
        }
        f.schema("pg_catalog", SUPERUSER)
            .schema("public", "pg_database_owner")
            .grant_schema("public", "PUBLIC", "USAGE")
    }

    fn oid(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }

    /// 140000, 160000 and so on.
    pub fn version(mut self, version_num: u32) -> Self {
        self.server.version_num = version_num;
        self
    }

    /// An ordinary login role.
    pub fn role(mut self, name: &str) -> Self {
        let oid = self.oid();
        let role = Role { oid, name: name.into(), inherit: true, login: true, connection_limit: -1, ..Role::default() };
        self.catalog.roles.push(role);
        self
    }

    /// A role that cannot log in.
    pub fn group(self, name: &str) -> Self {
        self.role(name).edit_role(name, |r| r.login = false)
    }

    pub fn edit_role(mut self, name: &str, edit: impl FnOnce(&mut Role)) -> Self {
        edit(self.catalog.roles.iter_mut().find(|r| r.name == name).expect(name));
        self
    }

    /// `GRANT group TO member` by the superuser, inherited.
    pub fn member(self, group: &str, member: &str) -> Self {
        self.membership(group, member, |_| ())
    }

    pub fn membership(mut self, group: &str, member: &str, edit: impl FnOnce(&mut Membership)) -> Self {
        let (role, member) = (self.role_oid(group), self.role_oid(member));
        let mut m = Membership { role, member, grantor: Oid(10), inherit: true, set: true, admin: false };
        edit(&mut m);
        self.catalog.memberships.push(m);
        self
    }

    pub fn schema(mut self, name: &str, owner: &str) -> Self {
        let (oid, owner) = (self.oid(), self.role_oid(owner));
        self.catalog.schemas.push(Schema { oid, name: name.into(), owner, acl: Acl::NULL, extension: false });
        self
    }

    pub fn edit_schema(mut self, name: &str, edit: impl FnOnce(&mut Schema)) -> Self {
        edit(self.catalog.schemas.iter_mut().find(|s| s.name == name).expect(name));
        self
    }

    pub fn table(self, schema: &str, name: &str, owner: &str) -> Self {
        self.object(Kind::Table, schema, name, owner)
    }
    pub fn sequence(self, schema: &str, name: &str, owner: &str) -> Self {
        self.object(Kind::Sequence, schema, name, owner)
    }
    /// The name carries the argument types: `f(integer)`.
    pub fn function(self, schema: &str, name: &str, owner: &str) -> Self {
        self.object(Kind::Function, schema, name, owner)
    }

    pub fn object(mut self, kind: Kind, schema: &str, name: &str, owner: &str) -> Self {
        let (oid, schema, owner) = (self.oid(), self.schema_oid(schema), self.role_oid(owner));
        let object = Object {
            oid,
            kind,
            name: name.into(),
            owner,
            acl: Acl::NULL,
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        self.objects.push((schema, object));
        self
    }

    /// Changes one object, given as `schema.name`.
    pub fn edit(mut self, object: &str, edit: impl FnOnce(&mut Object)) -> Self {
        edit(self.find(object));
        self
    }

    /// `GRANT … ON object TO grantee` by the owner; `privileges` as "SELECT, INSERT", grantee `PUBLIC` for everybody.
    pub fn grant(self, object: &str, grantee: &str, privileges: &str) -> Self {
        self.grant_by(object, grantee, privileges, None, false)
    }
    pub fn grant_with_option(self, object: &str, grantee: &str, privileges: &str) -> Self {
        self.grant_by(object, grantee, privileges, None, true)
    }
    pub fn grant_by(mut self, object: &str, grantee: &str, privileges: &str, by: Option<&str>, option: bool) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        let grantor = by.map(|name| self.role_oid(name));
        let object = self.find(object);
        let (kind, owner) = (object.kind.object_kind(), object.owner);
        add(&mut object.acl, kind, owner, version, grantee, grantor, parse(privileges), option);
        self
    }
    /// Takes privileges away from everybody's entry of that grantee.
    pub fn revoke(mut self, object: &str, grantee: &str, privileges: &str) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        let object = self.find(object);
        take(&mut object.acl, object.kind.object_kind(), object.owner, version, grantee, parse(privileges));
        self
    }

    pub fn grant_schema(self, schema: &str, grantee: &str, privileges: &str) -> Self {
        self.grant_schema_by(schema, grantee, privileges, None, false)
    }
    pub fn grant_schema_by(
        self,
        schema: &str,
        grantee: &str,
        privileges: &str,
        by: Option<&str>,
        option: bool,
    ) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        let grantor = by.map(|name| self.role_oid(name));
        self.edit_schema(schema, |s| {
            let owner = s.owner;
            add(&mut s.acl, ObjectKind::Schema, owner, version, grantee, grantor, parse(privileges), option);
        })
    }
    pub fn revoke_schema(self, schema: &str, grantee: &str, privileges: &str) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        self.edit_schema(schema, |s| {
            take(&mut s.acl, ObjectKind::Schema, s.owner, version, grantee, parse(privileges));
        })
    }

    pub fn grant_database(mut self, grantee: &str, privileges: &str) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        let d = &mut self.catalog.database;
        add(&mut d.acl, ObjectKind::Database, d.owner, version, grantee, None, parse(privileges), false);
        self
    }
    pub fn revoke_database(mut self, grantee: &str, privileges: &str) -> Self {
        let grantee = self.grantee(grantee);
        let version = self.server.version_num;
        let d = &mut self.catalog.database;
        take(&mut d.acl, ObjectKind::Database, d.owner, version, grantee, parse(privileges));
        self
    }

    /// `ALTER DEFAULT PRIVILEGES FOR ROLE creator [IN SCHEMA schema] GRANT … ON kind TO grantee`. A global entry starts
    /// from the creator's own rights and PUBLIC's default, as the server stores it.
    pub fn default_acl(
        mut self,
        creator: &str,
        schema: Option<&str>,
        kind: DefaultKind,
        grantee: &str,
        privileges: &str,
    ) -> Self {
        let (creator, grantee) = (self.role_oid(creator), self.grantee(grantee));
        let schema = schema.map(|s| self.schema_oid(s));
        let version = self.server.version_num;
        let list = &mut self.catalog.default_acls;
        let at = list.iter().position(|d| d.creator == creator && d.schema == schema && d.kind == kind);
        let at = at.unwrap_or_else(|| {
            let acl = if schema.is_some() { Acl::from_entries(Vec::new()) } else { Acl::NULL };
            list.push(DefaultAcl { creator, schema, kind, acl });
            list.len() - 1
        });
        let of = match kind {
            DefaultKind::Tables => ObjectKind::Table,
            DefaultKind::Sequences => ObjectKind::Sequence,
            DefaultKind::Functions => ObjectKind::Routine,
            DefaultKind::Types => ObjectKind::Type,
            DefaultKind::Schemas | DefaultKind::LargeObjects => ObjectKind::Schema,
        };
        add(&mut list[at].acl, of, creator, version, grantee, None, parse(privileges), false);
        self
    }

    /// `ALTER ROLE role [IN DATABASE …] SET name = value`; `None` for every role.
    pub fn setting(mut self, role: Option<&str>, in_database: bool, name: &str, value: &str) -> Self {
        let role = role.map(|r| self.role_oid(r));
        let database = in_database.then_some(Oid(5));
        self.catalog.settings.push(Setting { database, role, name: name.into(), value: value.into() });
        self
    }

    pub fn extension(mut self, name: &str, schema: &str, owner: &str) -> Self {
        let (oid, schema, owner) = (self.oid(), self.schema_oid(schema), self.role_oid(owner));
        let extension = Extension { oid, name: name.into(), schema, owner, version: "1.0".into(), relocatable: true };
        self.catalog.extensions.push(extension);
        self
    }

    /// An object, given as `schema.name`, that an extension made.
    pub fn member_of_extension(mut self, object: &str, extension: &str) -> Self {
        let found = self.catalog.extensions.iter().find(|e| e.name == extension).unwrap().oid;
        self.find(object).extension = true;
        self.members.insert(self.object_oid(object), found);
        self
    }

    /// A version table with rows (`None`: not read); the table itself is added too.
    pub fn version_table(mut self, schema: &str, name: &str, owner: &str, rows: Option<&[&str]>) -> Self {
        self = self.table(schema, name, owner);
        let (schema, object) = self.objects.last().cloned().expect("just added");
        let rows =
            rows.map_or(VersionRows::Pending, |r| VersionRows::Known(r.iter().map(|s| (*s).to_owned()).collect()));
        self.versions.push(VersionTable {
            oid: object.oid,
            schema,
            name: name.into(),
            owner: object.owner,
            acl: object.acl,
            shape: true,
            plain: true,
            stirs: false,
            primary_key: true,
            rows,
        });
        self
    }

    /// `GRANT privileges (column) ON object TO grantee`, as the slow parts hold it.
    pub fn column_grant(mut self, object: &str, column: &str, grantee: &str, privileges: &str) -> Self {
        let grantee = self.grantee(grantee);
        let of = self.find(object).clone();
        let schema = self.objects.iter().find(|(_, o)| o.oid == of.oid).map(|(s, _)| *s).expect("found above");
        let entry = AclEntry { grantee, grantor: of.owner, privileges: parse(privileges), grantable: Privileges::NONE };
        let known = |g: &&mut ColumnGrant| g.relation_oid == of.oid && g.column == column;
        if let Some(known) = self.shapes.column_grants.iter_mut().find(known) {
            // One row for each column, one entry for each grantee, as the catalog has it.
            let mut list = known.acl.0.as_deref().unwrap_or_default().to_vec();
            match list.iter_mut().find(|e| e.grantee == grantee && e.grantor == of.owner) {
                Some(held) => held.privileges = held.privileges | entry.privileges,
                None => list.push(entry),
            }
            known.acl = Acl::from_entries(list);
            return self;
        }
        self.shapes.column_grants.push(ColumnGrant {
            schema,
            relation: of.name,
            relation_oid: of.oid,
            kind: of.kind,
            owner: of.owner,
            column: column.into(),
            acl: Acl::from_entries(vec![entry]),
        });
        self
    }

    /// The text of a policy file.
    pub fn policy(mut self, text: &str) -> Self {
        self.policy = Some(file::parse(text, Path::new("test.policy.toml")).unwrap_or_else(|e| panic!("{e}")));
        self
    }

    /// As if the names of objects had not been read.
    pub fn without_names(mut self) -> Self {
        self.names = false;
        self
    }

    pub fn role_oid(&self, name: &str) -> Oid {
        self.catalog.roles.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no role {name}")).oid
    }
    pub fn schema_oid(&self, name: &str) -> Oid {
        self.catalog.schemas.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no schema {name}")).oid
    }
    /// The oid of an object given as `schema.name`.
    pub fn object_oid(&self, object: &str) -> Oid {
        self.position(object).map_or_else(|| panic!("no object {object}"), |i| self.objects[i].1.oid)
    }
    fn grantee(&self, name: &str) -> Oid {
        if name == "PUBLIC" { Oid::ZERO } else { self.role_oid(name) }
    }
    fn position(&self, object: &str) -> Option<usize> {
        let (schema, name) = object.split_once('.').expect("schema.name");
        let schema = self.schema_oid(schema);
        self.objects.iter().position(|(s, o)| *s == schema && o.name == name)
    }
    fn find(&mut self, object: &str) -> &mut Object {
        let at = self.position(object).unwrap_or_else(|| panic!("no object {object}"));
        &mut self.objects[at].1
    }

    /// Folds, sorts and closes everything.
    pub fn case(mut self) -> Case {
        self.catalog.roles.sort_by(|a, b| a.name.cmp(&b.name));
        self.catalog.schemas.sort_by(|a, b| a.name.cmp(&b.name));
        let (relations, routines, types) = fold(&self.objects);
        self.catalog.relations = relations;
        self.catalog.routines = routines;
        self.catalog.types = types;
        self.shapes.sort_column_grants();
        let objects = if self.names { named(self.objects, &self.members) } else { Objects::default() };
        let snapshot = Snapshot {
            instance: "local".into(),
            words: None,
            server: Arc::new(self.server),
            catalog: Arc::new(self.catalog),
            shapes: Some(Arc::new(self.shapes)),
            objects,
            versions: Arc::new(crate::domain::snapshot::VersionTables(self.versions)),
            sizes: Arc::default(),
            activity: None,
            unavailable: Vec::new(),
        };
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        let lineages = Arc::new(self.lineages);
        let versions = Versions::new(&snapshot, self.policy.as_ref(), &lineages, &matrix);
        Case { snapshot, matrix, policy: self.policy, lineages, versions }
    }
}

impl Case {
    pub fn judge(&self) -> Judge<'_> {
        Judge::new(&self.snapshot, &self.matrix, self.policy.as_ref())
    }

    /// Findings of every check, worst first.
    pub fn findings(&self) -> Vec<Finding> {
        let judge = self.judge();
        super::run(&self.snapshot, &self.matrix, &judge, self.policy.as_ref(), &self.lineages, &self.versions).0
    }

    /// Findings of one code.
    pub fn of(&self, code: &str) -> Vec<Finding> {
        self.findings().into_iter().filter(|f| f.code == code).collect()
    }

    /// The only finding of a code.
    pub fn only(&self, code: &str) -> Finding {
        let mut found = self.of(code);
        assert_eq!(found.len(), 1, "{code}: {found:#?}");
        found.remove(0)
    }

    /// Codes found, sorted, without duplicates.
    pub fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.findings().iter().map(|f| f.code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub fn role(&self, name: &str) -> usize {
        self.matrix.index.role_named(name).unwrap_or_else(|| panic!("no role {name}"))
    }
    pub fn schema(&self, name: &str) -> usize {
        self.matrix.index.schema_named(name).unwrap_or_else(|| panic!("no schema {name}"))
    }
}

/// "SELECT, INSERT" as a set.
pub fn parse(privileges: &str) -> Privileges {
    let word = |w: &str| Privilege::from_keyword(w.trim()).unwrap_or_else(|| panic!("no privilege {w}"));
    privileges.split(',').map(word).collect()
}

fn entries(acl: &Acl, kind: ObjectKind, owner: Oid, version: u32) -> Vec<AclEntry> {
    acl.in_force(kind, owner, version).entries().iter().filter(|e| !e.privileges.is_empty()).copied().collect()
}

#[expect(clippy::too_many_arguments, reason = "one grant has that many parts")]
fn add(
    acl: &mut Acl,
    kind: ObjectKind,
    owner: Oid,
    version: u32,
    grantee: Oid,
    grantor: Option<Oid>,
    privileges: Privileges,
    option: bool,
) {
    let mut list = entries(acl, kind, owner, version);
    let grantor = grantor.unwrap_or(owner);
    let grantable = if option { privileges } else { Privileges::NONE };
    match list.iter_mut().find(|e| e.grantee == grantee && e.grantor == grantor) {
        Some(entry) => {
            entry.privileges = entry.privileges | privileges;
            entry.grantable = entry.grantable | grantable;
        }
        None => list.push(AclEntry { grantee, grantor, privileges, grantable }),
    }
    *acl = Acl::from_entries(list);
}

fn take(acl: &mut Acl, kind: ObjectKind, owner: Oid, version: u32, grantee: Oid, privileges: Privileges) {
    let mut list = entries(acl, kind, owner, version);
    for entry in list.iter_mut().filter(|e| e.grantee == grantee) {
        entry.privileges = entry.privileges.minus(privileges);
        entry.grantable = entry.grantable.minus(privileges);
    }
    list.retain(|e| !e.privileges.is_empty());
    *acl = Acl::from_entries(list);
}

/// Relations, routines and types, folded by what decides a privilege.
pub fn fold(objects: &[(Oid, Object)]) -> (Vec<Group>, Vec<Group>, Vec<Group>) {
    let (mut relations, mut routines, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for (schema, object) in objects {
        let list: &mut Vec<Group> = match object.kind.object_kind() {
            ObjectKind::Routine => &mut routines,
            ObjectKind::Type => &mut types,
            ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => &mut relations,
        };
        let alike = list.iter_mut().find(|g| {
            g.schema == *schema
                && g.kind == object.kind
                && g.owner == object.owner
                && g.acl == object.acl
                && g.extension == object.extension
        });
        match alike {
            Some(group) => {
                group.count += 1;
                group.rls += u32::from(object.rls);
            }
            None => list.push(Group {
                schema: *schema,
                kind: object.kind,
                owner: object.owner,
                acl: object.acl.clone(),
                count: 1,
                pages: 0,
                rls: u32::from(object.rls),
                extension: object.extension,
            }),
        }
    }
    (relations, routines, types)
}

fn named(objects: Vec<(Oid, Object)>, members: &BTreeMap<Oid, Oid>) -> Objects {
    let mut by_schema: BTreeMap<Oid, SchemaObjects> = BTreeMap::new();
    for (schema, object) in objects {
        let of = by_schema.entry(schema).or_default();
        if let Some(extension) = members.get(&object.oid) {
            of.members.insert(object.oid, *extension);
            if object.kind == Kind::Type {
                of.member_types.insert(object.name.clone(), *extension);
            }
        }
        match object.kind.object_kind() {
            ObjectKind::Routine => of.routines.push(object),
            ObjectKind::Type => of.types.push(object),
            ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => {
                of.relations.push(object);
            }
        }
    }
    for of in by_schema.values_mut() {
        for list in [&mut of.relations, &mut of.routines, &mut of.types] {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
    Objects(by_schema.into_iter().map(|(k, v)| (k, Arc::new(v))).collect())
}

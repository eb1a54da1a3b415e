//! A small database written by hand, for the tests of checks and version tables.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    domain::{
        Oid,
        alembic::{Lineage, Lineages, tests::lineage},
        effective::Matrix,
        privilege::{Acl, AclEntry, Privilege, Privileges},
        snapshot::{
            Catalog, Database, Group, Kind, Membership, Object, Objects, Role, Schema, SchemaObjects, Server, Setting,
            Shapes, Sizes, Snapshot, TableShape, VersionRows, VersionTable, VersionTables,
        },
    },
    policy::{Finding, Policy, Service, judgement::Judgement, versions::Versions},
};

/// See the module. Roles `postgres` (superuser) and schemas `pg_catalog` and `public` are there from the start.
#[derive(Debug)]
pub struct Sample {
    pub server: Server,
    pub catalog: Catalog,
    pub shapes: Shapes,
    pub objects: Objects,
    pub versions: VersionTables,
    pub policy: Policy,
    pub lineages: Lineages,
    next: u32,
}

impl Sample {
    pub fn new() -> Sample {
        let mut sample = Sample {
            server: Server {
                version_num: 150_000,
                database: "engarde".into(),
                default_search_path: "\"$user\", public".into(),
                current_user: "postgres".into(),
                superuser: true,
                taken_at_us: 1_790_000_000_000_000,
                max_connections: 100,
                ..Server::default()
            },
            catalog: Catalog {
                database: Database {
                    oid: Oid(5),
                    name: "engarde".into(),
                    owner: Oid(10),
                    acl: Acl::NULL,
                    connection_limit: -1,
                },
                roles: vec![Role {
                    oid: Oid(10),
                    name: "postgres".into(),
                    superuser: true,
                    login: true,
                    inherit: true,
                    create_db: true,
                    create_role: true,
                    replication: true,
                    bypass_rls: true,
                    connection_limit: -1,
                    valid_until_us: None,
                }],
                ..Catalog::default()
            },
            shapes: Shapes::default(),
            objects: Objects::default(),
            versions: VersionTables::default(),
            policy: Policy::default(),
            lineages: Lineages::default(),
            next: 100,
        };
        sample.schema("pg_catalog", "postgres").usage("pg_catalog", "PUBLIC");
        sample.schema("public", "postgres").usage("public", "PUBLIC");
        sample
    }

    pub fn oid(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }
    pub fn role_oid(&self, name: &str) -> Oid {
        if name == "PUBLIC" { Oid::ZERO } else { self.catalog.role_named(name).unwrap().oid }
    }
    pub fn schema_oid(&self, name: &str) -> Oid {
        self.catalog.schema_named(name).unwrap().oid
    }

    /// A login role.
    pub fn role(&mut self, name: &str) -> &mut Sample {
        let oid = self.oid();
        self.catalog.roles.push(Role {
            oid,
            name: name.into(),
            inherit: true,
            login: true,
            connection_limit: -1,
            ..Role::default()
        });
        self.catalog.roles.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
    pub fn role_mut(&mut self, name: &str) -> &mut Role {
        self.catalog.roles.iter_mut().find(|r| r.name == name).unwrap()
    }
    pub fn member(&mut self, member: &str, role: &str) -> &mut Sample {
        let (role, member) = (self.role_oid(role), self.role_oid(member));
        self.catalog.memberships.push(Membership {
            role,
            member,
            grantor: Oid(10),
            inherit: true,
            set: true,
            admin: false,
        });
        self
    }
    pub fn schema(&mut self, name: &str, owner: &str) -> &mut Sample {
        let (oid, owner) = (self.oid(), self.role_oid(owner));
        let all =
            AclEntry { grantee: owner, grantor: owner, privileges: Privileges::SCHEMA, grantable: Privileges::NONE };
        let acl = Acl::from_entries(vec![all]);
        self.catalog.schemas.push(Schema { oid, name: name.into(), owner, acl, extension: false });
        self.catalog.schemas.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
    pub fn usage(&mut self, schema: &str, role: &str) -> &mut Sample {
        let grantee = self.role_oid(role);
        let of = self.catalog.schemas.iter_mut().find(|s| s.name == schema).unwrap();
        let mut entries = of.acl.0.as_deref().unwrap().to_vec();
        entries.push(AclEntry {
            grantee,
            grantor: of.owner,
            privileges: Privilege::Usage.into(),
            grantable: Privileges::NONE,
        });
        of.acl = Acl::from_entries(entries);
        self
    }
    /// Tables nobody else has rights on.
    pub fn tables(&mut self, schema: &str, owner: &str, count: u32) -> &mut Sample {
        let (schema, owner) = (self.schema_oid(schema), self.role_oid(owner));
        self.catalog.relations.push(Group {
            schema,
            kind: Kind::Table,
            owner,
            acl: Acl::NULL,
            count,
            pages: 0,
            rls: 0,
            extension: false,
        });
        self
    }
    /// Names of tables, as they are known of schemas that were looked into. Counted as [`Sample::tables`] too.
    pub fn named_tables(&mut self, schema: &str, owner: &str, names: &[&str]) -> &mut Sample {
        self.tables(schema, owner, names.len() as u32);
        let (schema, owner) = (self.schema_oid(schema), self.role_oid(owner));
        let mut of: SchemaObjects = self.objects.0.get(&schema).map(|o| (**o).clone()).unwrap_or_default();
        for name in names {
            let oid = self.oid();
            of.relations.push(Object {
                oid,
                kind: Kind::Table,
                name: (*name).into(),
                owner,
                acl: Acl::NULL,
                extension: false,
                rls: false,
                force_rls: false,
                owned_by: None,
                rows_estimate: None,
            });
        }
        self.objects.0.insert(schema, Arc::new(of));
        self
    }
    /// `ALTER ROLE … IN DATABASE … SET search_path`; `PUBLIC` stands for the database's own setting.
    pub fn path(&mut self, role: &str, value: &str) -> &mut Sample {
        let role = Some(self.role_oid(role)).filter(|r| *r != Oid::ZERO);
        self.catalog.settings.push(Setting {
            database: Some(Oid(5)),
            role,
            name: "search_path".into(),
            value: value.into(),
        });
        self
    }
    /// A version table of Alembic's shape with a primary key, readable by its owner only.
    pub fn version(&mut self, schema: &str, name: &str, owner: &str, rows: &[&str]) -> &mut Sample {
        self.tables(schema, owner, 1);
        let (oid, schema, owner) = (self.oid(), self.schema_oid(schema), self.role_oid(owner));
        self.versions.0.push(VersionTable {
            oid,
            schema,
            name: name.into(),
            owner,
            acl: Acl::NULL,
            shape: true,
            plain: true,
            primary_key: true,
            rows: VersionRows::Known(rows.iter().map(|r| (*r).to_owned()).collect()),
        });
        self
    }
    /// Everything a table can have, to a role, on the version table last added.
    pub fn share_version(&mut self, role: &str) -> &mut Sample {
        let grantee = self.role_oid(role);
        let table = self.versions.0.last_mut().unwrap();
        let entry = |grantee| AclEntry {
            grantee,
            grantor: table.owner,
            privileges: Privileges::TABLE_16,
            grantable: Privileges::NONE,
        };
        let mut entries = table.acl.0.as_deref().map_or_else(|| vec![entry(table.owner)], <[AclEntry]>::to_vec);
        entries.push(entry(grantee));
        table.acl = Acl::from_entries(entries);
        self
    }
    /// A table with what row level security is concerned with.
    pub fn shaped(&mut self, schema: &str, name: &str, owner: &str, change: impl FnOnce(&mut TableShape)) -> Oid {
        let (oid, schema, owner) = (self.oid(), self.schema_oid(schema), self.role_oid(owner));
        let mut shape = TableShape {
            oid,
            schema,
            name: name.into(),
            owner,
            rls: false,
            force_rls: false,
            tenant_columns: Vec::new(),
        };
        change(&mut shape);
        self.shapes.tables.push(shape);
        oid
    }
    /// A declared service with a schema and a role of these names, and the defaults of the policy file.
    pub fn service(&mut self, name: &str, schema: &str, role: &str) -> &mut Sample {
        self.policy.services.push(Service {
            name: name.into(),
            schemas: vec![schema.into()],
            role: role.into(),
            owner: role.into(),
            creators: vec![role.into()],
            access: BTreeMap::new(),
            search_path: None,
            connection_limit: None,
            version_table: Some("alembic_version".into()),
            revisions: None::<PathBuf>,
            tenant_column: None,
            tenant_exempt: false,
            instance: None,
            applications: Vec::new(),
            member_of: None,
            login: None,
        });
        self
    }
    pub fn service_mut(&mut self, name: &str) -> &mut Service {
        self.policy.services.iter_mut().find(|s| s.name == name).unwrap()
    }
    /// Revision scripts of a service, written as `revision < down`.
    pub fn scripts(&mut self, service: &str, scripts: &[&str]) -> &mut Sample {
        self.lineages.0.insert(service.into(), lineage(service, scripts));
        self
    }
    pub fn lineage_mut(&mut self, service: &str) -> &mut Lineage {
        self.lineages.0.get_mut(service).unwrap()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            instance: "local".into(),
            server: Arc::new(self.server.clone()),
            catalog: Arc::new(self.catalog.clone()),
            shapes: Some(Arc::new(self.shapes.clone())),
            objects: self.objects.clone(),
            versions: Arc::new(self.versions.clone()),
            sizes: Arc::new(Sizes::default()),
            activity: None,
            unavailable: Vec::new(),
        }
    }
    /// The version tables judged; without a policy where it names nothing.
    pub fn judged_versions(&self) -> Versions {
        let snapshot = self.snapshot();
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        Versions::new(&snapshot, self.given_policy().as_ref(), &self.lineages, &matrix)
    }
    /// The policy unless it is empty.
    pub fn given_policy(&self) -> Option<Policy> {
        Some(self.policy.clone()).filter(|p| *p != Policy::default())
    }
    /// Findings of one code from a run of every check.
    pub fn findings(&self, code: &str) -> Vec<Finding> {
        let policy = self.given_policy().map(Arc::new);
        let judged = Judgement::new(Arc::new(self.snapshot()), policy, Arc::new(self.lineages.clone()), None);
        judged.findings.into_iter().filter(|f| f.code == code).collect()
    }
    /// The only finding of one code.
    pub fn finding(&self, code: &str) -> Finding {
        let mut all = self.findings(code);
        assert_eq!(all.len(), 1, "{code}: {all:#?}");
        all.remove(0)
    }
}

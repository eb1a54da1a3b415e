//! A large catalog and its policy, as a shared database of 2,000 services has them: 2,513 roles x 2,003 schemas.

use std::sync::Arc;

use pgmoat::{
    domain::{
        Acl, AclEntry, Oid, Privilege, Privileges,
        snapshot::{Catalog, Database, Group, Kind, Membership, Role, Schema, Server, Snapshot},
    },
    policy::{Level, Policy, RoleRule, SchemaRule, Service},
};

pub const SCHEMAS: u32 = 2_000;
pub const TEAMS: u32 = 498;
const FIRST_ROLE: u32 = 20_000;
const FIRST_TEAM: u32 = 30_000;
const FIRST_SCHEMA: u32 = 40_000;
const OWNER: Oid = Oid(15_000);
const ANALYTICS: Oid = Oid(15_001);

fn role(oid: u32, name: String) -> Role {
    Role { oid: Oid(oid), name, inherit: true, login: true, connection_limit: -1, ..Role::default() }
}

fn entry(grantee: Oid, privileges: Privileges) -> AclEntry {
    AclEntry { grantee, grantor: OWNER, privileges, grantable: Privileges::NONE }
}

fn service(i: u32) -> Oid {
    Oid(FIRST_ROLE + i % SCHEMAS)
}

/// One schema for each service: its role works there, analytics, a team and a neighbour read.
fn catalog() -> Catalog {
    let mut roles = vec![role(OWNER.0, "app_owner".into()), role(ANALYTICS.0, "analytics_ro".into())];
    roles.push(Role { superuser: true, ..role(10, "postgres".into()) });
    for (i, name) in ["pg_database_owner", "pg_read_all_data", "pg_write_all_data"].into_iter().enumerate() {
        roles.push(role(100 + i as u32, name.into()));
    }
    roles.extend((0..10).map(|i| role(200 + i, format!("pg_spare_{i}"))));
    roles.extend((0..SCHEMAS).map(|i| role(FIRST_ROLE + i, format!("svc_{i:05}"))));
    roles.extend((0..TEAMS).map(|i| role(FIRST_TEAM + i, format!("team_{i:04}"))));
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    let member =
        |role: Oid, member: Oid| Membership { role, member, grantor: Oid(10), inherit: true, set: true, admin: false };
    let mut memberships: Vec<Membership> =
        (1..TEAMS).map(|i| member(Oid(FIRST_TEAM + (i - 1) / 2), Oid(FIRST_TEAM + i))).collect();
    memberships.extend((0..SCHEMAS).map(|i| member(Oid(FIRST_TEAM + i % TEAMS), service(i))));
    memberships.extend((0..SCHEMAS).step_by(10).map(|i| member(ANALYTICS, service(i))));
    memberships.extend((3..SCHEMAS).step_by(50).map(|i| member(Oid(101), service(i))));

    let all = Privileges::TABLE_16;
    let select = Privileges::of(&[Privilege::Select]);
    let (mut schemas, mut relations, mut routines) = (Vec::new(), Vec::new(), Vec::new());
    for name in ["information_schema", "pg_catalog", "public"] {
        let oid = Oid(11 + schemas.len() as u32);
        schemas.push(Schema { oid, name: name.into(), owner: Oid(10), acl: Acl::NULL, extension: false });
    }
    for i in 0..SCHEMAS {
        let oid = Oid(FIRST_SCHEMA + i);
        let (own, next, team) = (service(i), service(i + 7), Oid(FIRST_TEAM + i % TEAMS));
        let owner = if i % 5 == 0 { own } else { OWNER };
        let usage = Privileges::of(&[Privilege::Usage]);
        let acl = vec![
            entry(owner, Privileges::SCHEMA),
            entry(own, Privileges::SCHEMA),
            entry(ANALYTICS, usage),
            entry(team, usage),
            entry(next, usage),
        ];
        schemas.push(Schema { oid, name: format!("app_{i:05}"), owner, acl: Acl::from_entries(acl), extension: false });
        let table = |more: Vec<AclEntry>, count| {
            let mut acl = vec![
                entry(owner, all),
                entry(own, all),
                entry(ANALYTICS, select),
                entry(team, select),
                entry(next, select),
            ];
            acl.extend(more);
            group(oid, Kind::Table, owner, acl, count)
        };
        relations.push(table(vec![], 47));
        relations.push(table(vec![entry(service(i + 1), Privileges::of(&[Privilege::Insert]))], 1));
        relations.push(group(oid, Kind::Table, owner, vec![entry(owner, all), entry(own, all)], 2));
        let sequence =
            vec![entry(owner, Privileges::SEQUENCE), entry(own, Privileges::SEQUENCE), entry(ANALYTICS, select)];
        relations.push(group(oid, Kind::Sequence, owner, sequence, 50));
        relations.push(table(vec![], 1));
        let execute = vec![
            entry(Oid::ZERO, Privileges::ROUTINE),
            entry(owner, Privileges::ROUTINE),
            entry(own, Privileges::ROUTINE),
        ];
        routines.push(group(oid, Kind::Function, owner, execute, 1));
    }
    schemas.sort_by(|a, b| a.name.cmp(&b.name));
    Catalog {
        database: Database { oid: Oid(5), name: "large".into(), owner: OWNER, acl: Acl::NULL, connection_limit: -1 },
        roles,
        memberships,
        schemas,
        relations,
        routines,
        ..Catalog::default()
    }
}

fn group(schema: Oid, kind: Kind, owner: Oid, acl: Vec<AclEntry>, count: u32) -> Group {
    Group { schema, kind, owner, acl: Acl::from_entries(acl), count, pages: 0, rls: 0, extension: false }
}

/// The services as declared; teams and neighbours are not, so that thousands of cells differ.
pub fn policy() -> Policy {
    let named = |i: u32| format!("svc_{:05}", i % SCHEMAS);
    let services = (0..SCHEMAS)
        .map(|i| Service {
            name: named(i),
            schemas: vec![format!("app_{i:05}")],
            role: named(i),
            owner: if i % 5 == 0 { named(i) } else { "app_owner".into() },
            creators: vec![named(i), "app_owner".into()],
            access: [(format!("app_{:05}", (i + SCHEMAS - 7) % SCHEMAS), vec![Level::Read])].into(),
            search_path: None,
            connection_limit: None,
            version_table: None,
            revisions: None,
            tenant_column: None,
            tenant_exempt: false,
            instance: None,
            applications: Vec::new(),
            member_of: None,
            login: None,
        })
        .collect();
    let reader = RoleRule {
        access: (0..SCHEMAS).map(|i| (format!("app_{i:05}"), vec![Level::Read])).collect(),
        ..RoleRule::named("analytics_ro")
    };
    let public =
        SchemaRule { name: "public".into(), owner: None, creators: Vec::new(), tenant_exempt: false, instance: None };
    Policy { services, roles: vec![reader], schemas: vec![public], ..Policy::default() }
}

/// The catalog as it was read.
pub fn snapshot() -> Snapshot {
    let server = Server { version_num: 150_020, ..Server::default() };
    Snapshot {
        instance: "large".into(),
        words: None,
        server: Arc::new(server),
        catalog: Arc::new(catalog()),
        shapes: None,
        objects: pgmoat::domain::snapshot::Objects::default(),
        versions: Arc::default(),
        sizes: Arc::default(),
        activity: None,
        unavailable: Vec::new(),
    }
}

//! Reading a server: every part against the server's own answer, on every major that this machine has; what a login may
//! not see, what is locked, what has an odd name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pgmoat::{
    config::{Conninfo, env::Env},
    domain::{
        AclEntry, Oid, Privilege,
        snapshot::{Group, Kind, Object, Snapshot, VersionRows},
    },
    server::{ObjectsWanted, Reader, SizesWanted, Want, read::Limits},
};
use tokio_postgres::Client;

use crate::support::cluster::{self, Shared, connect};

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub fn target(shared: &Shared, user: &str, database: &str) -> Conninfo {
    Conninfo::parse(&shared.cluster().url(user, database), &Env::default()).unwrap()
}

async fn open(shared: &Shared, user: &str, database: &str) -> Reader {
    Reader::open(&target(shared, user, database), "test").await.unwrap()
}

async fn everything(shared: &Shared, user: &str, database: &str) -> Snapshot {
    open(shared, user, database).await.snapshot(&Want::everything(vec!["org".into()])).await.unwrap()
}

/// One cell, as text.
async fn ask(client: &Client, sql: &str) -> Option<String> {
    let rows = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    })?
}

/// Rows as lines, columns joined by `|`.
async fn lines(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let mut lines: Vec<String> = rows
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or("-")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// Objects of every kind, with privileges of every sort. `{p}` is put in front of every role.
const FIXTURE: &str = r#"
create role {p}owner; create role {p}app login; create role {p}team noinherit; create role {p}reader connection limit 7;
create role {p}deputy login valid until '2031-02-03 04:05:06+00';
grant {p}team to {p}app with admin option;
grant {p}owner to {p}app;
create schema one authorization {p}owner; create schema "Two ""2""" authorization {p}owner;
create schema empty; revoke all on schema empty from current_user;
grant usage on schema one to {p}app, {p}team; grant usage, create on schema "Two ""2""" to public;
set role {p}owner;
create table one.plain (id bigserial primary key, org int, note text);
create table one.granted (id int generated always as identity, tenant_id int);
create table one.other (id int primary key, tenant_id int, org int);
grant select, insert on one.granted to {p}app with grant option; grant select on one.granted to public;
grant select (id), update (id) on one.plain to {p}reader;
grant select (note) on one.plain to public;
create table one.nobody (id int); revoke all on one.nobody from {p}owner;
create table one.parts (d int, org int) partition by range (d);
create table one.parts_1 partition of one.parts for values from (0) to (9);
create view one.seen as select id from one.plain; grant select on one.seen to {p}app;
create materialized view one.kept as select count(*) from one.plain;
create sequence one.loose; grant usage on sequence one.loose to {p}app;
create type one.mood as enum ('low'); create domain one.short as text check (length(value) < 9);
create type one.pair as (a int, b int); grant usage on type one.pair to {p}app;
create function one.f(int, one.mood) returns int language sql as 'select 1'; revoke execute on function one.f from public;
create function one.f(text) returns int language sql security definer set search_path = one as 'select 1';
create procedure one.p(int) language sql as 'select 1';
create aggregate one.agg (int) (sfunc = int4pl, stype = int);
alter default privileges grant select on tables to {p}app;
alter default privileges in schema one grant execute on functions to {p}team;
alter default privileges in schema one grant all on sequences to {p}app with grant option;
alter default privileges revoke usage on types from public;
create table "Two ""2""".plain (id int references one.other(id), m one.mood);
alter table "Two ""2""".plain add constraint later foreign key (id) references "Two ""2""".plain (id) not valid;
create table "Two ""2""".guarded (tenant_id int, n int);
alter table "Two ""2""".guarded enable row level security;
alter table "Two ""2""".guarded force row level security;
create policy own_rows on "Two ""2""".guarded as restrictive for update to {p}app, {p}team
  using (tenant_id = 1) with check (tenant_id > 0);
create view "Two ""2""".crossing as select o.id, g.n from one.other o join "Two ""2""".guarded g on true;
reset role;
set role {p}app; grant select on one.granted to {p}reader; reset role;
alter role {p}app set search_path = one, public; alter role {p}app in database {db} set work_mem = '8MB';
alter database {db} set datestyle = 'German'; alter database {db} set search_path = one;
alter database {db} connection limit 50;
"#;

fn fixture(prefix: &str, database: &str) -> String {
    // A key to a column that has no unique index cannot be made: the table gets one first.
    FIXTURE
        .replace("alter table \"Two \"\"2\"\"\".plain add constraint later", "alter table \"Two \"\"2\"\"\".plain add primary key (id);\nalter table \"Two \"\"2\"\"\".plain add constraint later")
        .replace("{p}", prefix)
        .replace("{db}", database)
}

async fn furnished(shared: &Shared, stem: &str, prefix: &str) -> (String, Client) {
    let database = shared.database(stem).await;
    let client = connect(shared.cluster(), "postgres", &database).await;
    let sql = fixture(prefix, &database);
    client.batch_execute(&sql).await.unwrap_or_else(|e| panic!("{e:?}"));
    (database, client)
}

/// The list as lines `grantee|grantor|privilege|grantable`.
fn acl_lines(oid: Oid, entries: &[AclEntry]) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in entries {
        for privilege in entry.privileges.iter() {
            let grantable = entry.grantable.contains(privilege);
            lines.push(format!("{oid}|{}|{}|{privilege}|{grantable}", entry.grantee, entry.grantor));
        }
    }
    lines
}

fn objects(snapshot: &Snapshot) -> Vec<&Object> {
    snapshot.objects.0.values().flat_map(|s| s.all()).collect()
}

#[test]
fn every_part_is_what_the_server_says_on_every_major() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let (database, client) = furnished(&shared, "parts", "parts_").await;
            let snapshot = everything(&shared, "postgres", &database).await;
            assert_eq!(snapshot.unavailable, [], "{major}");
            server_part(&snapshot, &client, major).await;
            roles_part(&snapshot, &client, major).await;
            lists_part(&snapshot, &client).await;
            settings_part(&snapshot, &client).await;
            groups_are_the_objects_folded(&snapshot);
            shapes_part(&snapshot);
            sizes_part(&shared, &database, &snapshot, &client).await;
        }
    });
}

async fn server_part(snapshot: &Snapshot, client: &Client, major: u32) {
    let server = &snapshot.server;
    assert_eq!(server.version_num / 10_000, major);
    assert_eq!(Some(server.version.clone()), ask(client, "show server_version").await);
    assert_eq!(server.system_identifier, ask(client, "select system_identifier from pg_control_system()").await);
    assert!(!server.in_recovery && server.superuser && server.sees_activity && server.local);
    assert_eq!((server.replay_lag_ms, &server.tls), (None, &None));
    assert_eq!(server.current_user, "postgres");
    assert_eq!(server.default_search_path, "\"$user\", public", "not the database's own setting");
    assert_eq!(Some(server.max_connections.to_string()), ask(client, "show max_connections").await);
    assert!(server.started_at_us < Some(server.taken_at_us));
    assert_eq!(server.database, snapshot.catalog.database.name);
    assert_eq!(snapshot.catalog.database.connection_limit, 50);
}

async fn roles_part(snapshot: &Snapshot, client: &Client, major: u32) {
    let sql = "select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, \
               rolbypassrls, rolconnlimit, (extract(epoch from rolvaliduntil) * 1000000)::bigint from pg_roles";
    let flag = |on: bool| if on { "t" } else { "f" };
    let mut mine: Vec<String> = snapshot
        .catalog
        .roles
        .iter()
        .map(|r| {
            let until = r.valid_until_us.map_or("-".into(), |us| us.to_string());
            let flags = [r.superuser, r.inherit, r.create_role, r.create_db, r.login, r.replication, r.bypass_rls];
            let flags = flags.map(flag).join("|");
            format!("{}|{}|{flags}|{}|{until}", r.oid, r.name, r.connection_limit)
        })
        .collect();
    mine.sort_unstable();
    assert_eq!(mine, lines(client, sql).await);
    assert!(snapshot.catalog.roles.is_sorted_by(|a, b| a.name < b.name));

    let (inherit, set) = if major >= 16 {
        ("inherit_option", "set_option")
    } else {
        ("(select rolinherit from pg_roles where oid = member)", "true")
    };
    let sql = format!("select roleid, member, grantor, {inherit}, {set}, admin_option from pg_auth_members");
    let mut mine: Vec<String> = snapshot
        .catalog
        .memberships
        .iter()
        .map(|m| {
            let flags = [m.inherit, m.set, m.admin].map(flag).join("|");
            format!("{}|{}|{}|{flags}", m.role, m.member, m.grantor)
        })
        .collect();
    mine.sort_unstable();
    assert_eq!(mine, lines(client, &sql).await);
}

/// Every access control list, entry by entry, against `aclexplode()`.
async fn lists_part(snapshot: &Snapshot, client: &Client) {
    let explode = |catalog: &str, acl: &str, filter: &str| {
        format!(
            "select o.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable::text \
             from {catalog} o, aclexplode(o.{acl}) a where {filter}"
        )
    };
    let user = "nspname !~ '^pg_' and nspname <> 'information_schema'";
    let within = |column: &str| format!("o.{column} in (select oid from pg_namespace where {user})");
    let mut theirs = lines(
        client,
        &explode("pg_class", "relacl", &format!("{} and relkind in ('r','p','v','m','f','S')", within("relnamespace"))),
    )
    .await;
    theirs.extend(lines(client, &explode("pg_proc", "proacl", &within("pronamespace"))).await);
    theirs.extend(lines(client, &explode("pg_type", "typacl", &within("typnamespace"))).await);
    let mut mine: Vec<String> = objects(snapshot)
        .iter()
        .flat_map(|o| o.acl.0.iter().flat_map(|list| acl_lines(o.oid, list)).collect::<Vec<_>>())
        .collect();
    mine.sort_unstable();
    theirs.sort_unstable();
    assert!(mine.len() > 30, "the fixture grants something");
    assert_eq!(mine, theirs);

    let mut theirs = lines(client, &explode("pg_namespace", "nspacl", "nspname !~ '^pg_(toast|temp)'")).await;
    theirs.extend(lines(client, &explode("pg_database", "datacl", "datname = current_database()")).await);
    let mut mine: Vec<String> = Vec::new();
    for schema in &snapshot.catalog.schemas {
        mine.extend(schema.acl.0.iter().flat_map(|list| acl_lines(schema.oid, list)));
    }
    let database = &snapshot.catalog.database;
    mine.extend(database.acl.0.iter().flat_map(|list| acl_lines(database.oid, list)));
    mine.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(mine, theirs);

    let theirs = lines(
        client,
        "select defaclrole, defaclnamespace, a.grantee, a.grantor, a.privilege_type, a.is_grantable::text \
         from pg_default_acl, aclexplode(defaclacl) a",
    )
    .await;
    let mut mine: Vec<String> = Vec::new();
    for default in &snapshot.catalog.default_acls {
        let schema = default.schema.unwrap_or(Oid::ZERO);
        for line in default.acl.0.iter().flat_map(|list| acl_lines(schema, list)) {
            mine.push(format!("{}|{line}", default.creator));
        }
    }
    mine.sort_unstable();
    assert_eq!(mine, theirs);

    // NULL is not the empty list.
    let null = lines(client, &format!("select oid from pg_class where relacl is null and relkind in ('r','v','m','S','p') and relnamespace in (select oid from pg_namespace where {user})")).await;
    let mut mine: Vec<String> = snapshot
        .objects
        .0
        .values()
        .flat_map(|s| s.relations.iter())
        .filter(|o| o.acl.0.is_none())
        .map(|o| o.oid.to_string())
        .collect();
    mine.sort_unstable();
    assert_eq!(mine, null);
    let nobody = objects(snapshot).into_iter().find(|o| o.name == "nobody").unwrap();
    assert_eq!(nobody.acl.0.as_deref(), Some(&[][..]));
}

async fn settings_part(snapshot: &Snapshot, client: &Client) {
    let sql = "select coalesce(nullif(setdatabase, 0)::text, '-'), coalesce(nullif(setrole, 0)::text, '-'), c \
               from pg_db_role_setting, unnest(setconfig) c \
               where setdatabase in (0, (select oid from pg_database where datname = current_database()))";
    let word = |oid: Option<Oid>| oid.map_or("-".into(), |oid| oid.to_string());
    let mut mine: Vec<String> = snapshot
        .catalog
        .settings
        .iter()
        .map(|s| format!("{}|{}|{}={}", word(s.database), word(s.role), s.name, s.value))
        .collect();
    mine.sort_unstable();
    assert_eq!(mine, lines(client, sql).await);
    assert!(mine.len() >= 4);
    let extensions: Vec<_> = snapshot.catalog.extensions.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(extensions, ["plpgsql"]);
}

/// The groups of the catalog and the objects by name are two readings of the same thing.
fn groups_are_the_objects_folded(snapshot: &Snapshot) {
    let system: BTreeSet<Oid> = snapshot.catalog.schemas.iter().filter(|s| s.is_system()).map(|s| s.oid).collect();
    let mut folded: BTreeMap<String, u32> = BTreeMap::new();
    for (schema, objects) in &snapshot.objects.0 {
        for o in objects.all() {
            *folded.entry(format!("{schema} {:?} {} {:?} {}", o.kind, o.owner, o.acl, o.extension)).or_default() += 1;
        }
    }
    let catalog = &snapshot.catalog;
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    for g in catalog.relations.iter().chain(&catalog.routines).chain(&catalog.types) {
        if !system.contains(&g.schema) {
            *groups.entry(format!("{} {:?} {} {:?} {}", g.schema, g.kind, g.owner, g.acl, g.extension)).or_default() +=
                g.count;
        }
    }
    assert_eq!(groups, folded);
    let rls: u32 = catalog.relations.iter().map(|g| g.rls).sum();
    assert_eq!(rls, 1);
}

fn shapes_part(snapshot: &Snapshot) {
    let shapes = snapshot.shapes.as_ref().unwrap();
    let name = |oid: Oid| snapshot.catalog.schema_name(oid);
    let two = "Two \"2\"";

    let grants: Vec<_> =
        shapes.column_grants.iter().map(|g| format!("{}.{}.{}", name(g.schema), g.relation, g.column)).collect();
    assert_eq!(grants, ["one.plain.id", "one.plain.note"]);
    let id = &shapes.column_grants[0].acl.0.as_ref().unwrap()[0];
    assert!(id.privileges.contains(Privilege::Select) && id.privileges.contains(Privilege::Update));
    assert!(shapes.column_grants[1].acl.0.as_ref().unwrap()[0].is_public());

    let keys: BTreeSet<_> = shapes
        .foreign_keys
        .iter()
        .map(|k| {
            format!("{} {}.{} -> {}.{} {}", k.name, name(k.schema), k.table, name(k.to_schema), k.to_table, k.validated)
        })
        .collect();
    assert_eq!(
        keys,
        BTreeSet::from([
            format!("plain_id_fkey {two}.plain -> one.other true"),
            format!("later {two}.plain -> {two}.plain false"),
        ])
    );

    let views: BTreeSet<_> = shapes
        .views
        .iter()
        .map(|v| {
            format!(
                "{}.{} {}.{} {} {}",
                name(v.schema),
                v.view,
                name(v.uses_schema),
                v.uses,
                v.uses_rls,
                v.uses_force_rls
            )
        })
        .collect();
    assert_eq!(
        views,
        BTreeSet::from([
            format!("{two}.crossing one.other false false"),
            format!("{two}.crossing {two}.guarded true true"),
        ])
    );

    let definers: Vec<_> = shapes.definers.iter().map(|d| (d.signature.as_str(), d.search_path.as_deref())).collect();
    assert_eq!(definers, [("f(text)", Some("one"))]);

    let tables: BTreeMap<_, _> = shapes
        .tables
        .iter()
        .map(|t| (format!("{}.{}", name(t.schema), t.name), (t.tenant_columns.join(","), t.rls, t.force_rls)))
        .collect();
    let expected = [
        ("one.granted".to_owned(), ("tenant_id".to_owned(), false, false)),
        ("one.other".to_owned(), ("org,tenant_id".to_owned(), false, false)),
        ("one.plain".to_owned(), ("org".to_owned(), false, false)),
        ("one.parts".to_owned(), ("org".to_owned(), false, false)),
        ("one.parts_1".to_owned(), ("org".to_owned(), false, false)),
        (format!("{two}.guarded"), ("tenant_id".to_owned(), true, true)),
    ];
    assert_eq!(tables, BTreeMap::from(expected));

    let policies = &snapshot.catalog.policies;
    assert_eq!(policies.len(), 1);
    assert_eq!((policies[0].command, policies[0].permissive, policies[0].roles.len()), ('w', false, 2));
    let expression = &shapes.policy_expressions[0];
    assert_eq!(expression.policy, "own_rows");
    assert_eq!(expression.using.as_deref(), Some("(tenant_id = 1)"));
    assert_eq!(expression.check.as_deref(), Some("(tenant_id > 0)"));

    let overlaps: Vec<_> = shapes.overlaps.iter().map(|o| (o.table.as_str(), o.schemas.len())).collect();
    assert_eq!(overlaps, [("plain", 2)]);

    // `mood` is used by its own schema's function, too.
    assert!(shapes.foreign_uses.is_empty(), "{:?}", shapes.foreign_uses);
    assert_eq!(objects(snapshot).iter().filter(|o| o.kind == Kind::Type).count(), 3);
    let sequence = |n: &str| objects(snapshot).into_iter().find(|o| o.name == n).unwrap().owned_by;
    assert!(sequence("plain_id_seq").is_some() && sequence("granted_id_seq").is_some() && sequence("loose").is_none());
}

async fn sizes_part(shared: &Shared, database: &str, snapshot: &Snapshot, client: &Client) {
    assert!(snapshot.sizes.database_bytes > Some(1_000_000));
    client
        .batch_execute("insert into one.plain (note) select repeat('x', 500) from generate_series(1, 300)")
        .await
        .unwrap();
    let one = snapshot.catalog.schema_named("one").unwrap().oid;
    let want = Want { sizes: SizesWanted::Schemas(vec![one]), ..Want::default() };
    let exact = open(shared, "postgres", database).await.snapshot(&want).await.unwrap();
    let size = exact.sizes.schemas[&one];
    let sql = "select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = relnamespace \
               where nspname = 'one' and relkind in ('r', 'm')";
    assert!(size.exact);
    assert_eq!(Some(size.total_bytes().to_string()), ask(client, sql).await);
    assert!(size.index_bytes > 0 && size.table_bytes > 100_000);
    assert_eq!(size.tables, 7, "tables, the partitioned one and the materialized view");
    let plain = ask(client, "select 'one.plain'::regclass::oid").await.unwrap().parse().map(Oid).unwrap();
    let sql = "select pg_table_size('one.plain') - pg_total_relation_size(reltoastrelid) from pg_class where oid = 'one.plain'::regclass";
    assert_eq!(Some(exact.sizes.relations[&plain].table_bytes.to_string()), ask(client, sql).await);
}

#[test]
fn what_only_other_schemas_use_is_found_and_extensions_stand_apart() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let database = shared.database("uses").await;
        let client = connect(shared.cluster(), "postgres", &database).await;
        client
            .batch_execute(
                "create schema a; create schema b;
                 create type public.mood as enum ('x'); create table a.t (m public.mood, l public.mood[]);
                 create type public.both as enum ('x'); create table a.u (m public.both); create table public.v (m public.both);
                 create type public.pair as (x int); create table b.pairs (p public.pair);
                 create domain public.nobody as int;
                 create sequence public.counter; create table b.s (n int default nextval('public.counter'));
                 create function public.stamp() returns trigger language plpgsql as 'begin return new; end';
                 create trigger stamp before insert on a.t for each row execute function public.stamp();",
            )
            .await
            .unwrap();
        let snapshot = everything(&shared, "postgres", &database).await;
        let name = |oid: &Oid| snapshot.catalog.schema_name(*oid);
        let uses: BTreeSet<String> = snapshot
            .shapes
            .as_ref()
            .unwrap()
            .foreign_uses
            .iter()
            .map(|u| format!("{} {} by {} ({})", u.kind.word(), u.name, u.used_by.iter().map(name).collect::<Vec<_>>().join(","), u.example))
            .collect();
        let expected = [
            "type mood by a (table a.t)",
            "type pair by b (table b.pairs)",
            "sequence counter by b (table b.s)",
            "function stamp() by a (table a.t)",
        ];
        assert_eq!(uses, expected.map(str::to_owned).into());
        groups_are_folded_with_composites(&snapshot);
    });
}

/// A composite type is only found by a second look: it must be in the groups all the same.
fn groups_are_folded_with_composites(snapshot: &Snapshot) {
    let public = snapshot.catalog.schema_named("public").unwrap().oid;
    let types: u32 = snapshot.catalog.types.iter().filter(|g| g.schema == public).map(|g| g.count).sum();
    assert_eq!(types, 4);
}

/// Version tables as they occur, and everything that only looks like one.
const VERSIONS: &str = r#"
create schema s; create schema "S ""q""";
create table public.alembic_version (version_num varchar(32) primary key); insert into public.alembic_version values ('b2'), ('a1');
create table "S ""q""".alembic_version (version_num varchar(32));
create table s.alembic_version_auth (version_num varchar(32) primary key); insert into s.alembic_version_auth values ('v3.2.0.a');
create table s.my_versions (version_num text); insert into s.my_versions values (E'odd\t\\n\n');
create table s.also_numbers (version_num text, other int);
create table s.dropped (gone int, version_num varchar(32)); alter table s.dropped drop column gone; insert into s.dropped values ('d1');
create view s.alembic_version as select 'x'::varchar(32) as version_num;
create table s.alembic_version_rls (version_num varchar(32)); alter table s.alembic_version_rls enable row level security;
create table s.alembic_version_parent (version_num varchar(32));
create table s.alembic_version_child () inherits (s.alembic_version_parent);
create table s.alembic_version_null (version_num varchar(32)); insert into s.alembic_version_null values (null);
create unlogged table s.alembic_version_unlogged (version_num varchar(32));
create table s.alembic_version_parted (version_num varchar(32)) partition by list (version_num);
create table s.alembic_version_columns (version_num varchar(32), more int);
create table s.alembic_version_number (version_num int);
create table s.alembic_version_large (version_num text);
alter table s.alembic_version_large alter version_num set storage external;
insert into s.alembic_version_large values (repeat('x', 200000));
create table s.alembic_version_many (version_num text); insert into s.alembic_version_many select 'r' || i from generate_series(1, 100000) i;
create table s.alembic_version_bomb (version_num text); insert into s.alembic_version_bomb select repeat('x', 3000000) from generate_series(1, 1);
create materialized view s.alembic_version_kept as select 'x'::varchar(32) as version_num;
"#;

#[test]
fn version_tables_are_read_and_look_alikes_are_refused_with_the_reason() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let database = shared.database("versions").await;
            let client = connect(shared.cluster(), "postgres", &database).await;
            client.batch_execute(VERSIONS).await.unwrap();
            let want = Want { versions: true, ..Want::default() };
            let snapshot = open(&shared, "postgres", &database).await.snapshot(&want).await.unwrap();
            let found: BTreeMap<String, &VersionRows> = snapshot
                .versions
                .0
                .iter()
                .map(|t| (format!("{}.{}", snapshot.catalog.schema_name(t.schema), t.name), &t.rows))
                .collect();
            let known: BTreeMap<&str, Vec<&str>> = found
                .iter()
                .filter_map(|(name, rows)| Some((name.as_str(), rows.known()?.iter().map(String::as_str).collect())))
                .collect();
            let expected = BTreeMap::from([
                ("public.alembic_version", vec!["a1", "b2"]),
                ("S \"q\".alembic_version", vec![]),
                ("s.alembic_version_auth", vec!["v3.2.0.a"]),
                ("s.my_versions", vec!["odd\t\\n\n"]),
                ("s.dropped", vec!["d1"]),
            ]);
            assert_eq!(known, expected);
            for (name, reason) in [
                ("s.alembic_version", "view"),
                ("s.alembic_version_kept", "materialized"),
                ("s.alembic_version_rls", "row level security"),
                ("s.alembic_version_parent", "inherit"),
                ("s.alembic_version_child", "inherit"),
                ("s.alembic_version_null", "NULL"),
                ("s.alembic_version_unlogged", "unlogged"),
                ("s.alembic_version_parted", "partitioned"),
                ("s.alembic_version_columns", "columns"),
                ("s.alembic_version_number", "columns"),
                ("s.alembic_version_large", "too large"),
                ("s.alembic_version_many", "too large"),
                ("s.alembic_version_bomb", "too large"),
            ] {
                match found.get(name) {
                    Some(VersionRows::Refused(why)) => assert!(why.contains(reason), "{name}: {why}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
            assert_eq!(found.len(), expected.len() + 13, "{found:?}");
            let table = |n: &str| snapshot.versions.0.iter().find(|t| t.name == n).unwrap();
            assert!(table("alembic_version_auth").primary_key && !table("my_versions").primary_key);
            assert!(table("my_versions").shape && !table("alembic_version_columns").shape);
        }
    });
}

#[test]
fn a_bare_login_sees_the_catalog_and_what_is_dark_has_its_grant() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let (database, client) = furnished(&shared, "bare", "bare_").await;
            client
                .batch_execute(
                    "create table one.alembic_version (version_num varchar(32)); insert into one.alembic_version values ('a');
                     create table public.alembic_version (version_num varchar(32)); insert into public.alembic_version values ('b');
                     grant select on public.alembic_version to public; grant usage on schema public to public;
                     create role bare_stranger login",
                )
                .await
                .unwrap();
            let all = everything(&shared, "postgres", &database).await;
            let mine = everything(&shared, "bare_stranger", &database).await;
            assert!(!mine.server.superuser && !mine.server.sees_activity);
            // Roles are shared with the tests beside this one, so they are left out.
            let plain = |s: &Snapshot| {
                let c = &s.catalog;
                // An analysis between the two pictures may change what is estimated.
                let counted = |g: &Group| format!("{:?}", Group { pages: 0, ..g.clone() });
                let groups = c.relations.iter().chain(&c.routines).chain(&c.types).map(counted);
                let lists = c.schemas.iter().map(|x| format!("{x:?}"));
                let defaults = c.default_acls.iter().map(|x| format!("{x:?}"));
                let lines: BTreeSet<String> = groups.chain(lists).chain(defaults).collect();
                let mut told = s.objects.clone();
                for relation in told.0.values_mut().flat_map(|of| &mut Arc::make_mut(of).relations) {
                    relation.rows_estimate = None;
                }
                (lines, serde_json::to_value(&told).unwrap())
            };
            assert_eq!(plain(&mine), plain(&all), "every login may read every list");
            let mut shapes = [&mine, &all].map(|s| (**s.shapes.as_ref().unwrap()).clone());
            for s in &mut shapes {
                s.gate.clear();
            }
            assert_eq!(serde_json::to_value(&shapes[0]).unwrap(), serde_json::to_value(&shapes[1]).unwrap());
            let rows: BTreeMap<_, _> =
                mine.versions.0.iter().map(|t| (mine.catalog.schema_name(t.schema), t.rows.clone())).collect();
            assert_eq!(rows["one"], VersionRows::Denied);
            assert_eq!(rows["public"], VersionRows::Known(vec!["b".into()]));
            let dark: Vec<_> = mine.unavailable.iter().filter_map(|u| u.grant.as_deref()).collect();
            assert!(dark.contains(&"GRANT pg_monitor TO bare_stranger;"), "{dark:?}");
            assert!(dark.iter().any(|g| g.contains("GRANT SELECT ON TABLE one.alembic_version TO bare_stranger")));
            // What is named helps.
            for grant in dark {
                client.batch_execute(grant).await.unwrap_or_else(|e| panic!("{grant}: {e:?}"));
            }
            let lit = everything(&shared, "bare_stranger", &database).await;
            assert_eq!(lit.unavailable, [], "{major}");
            let others = |s: &Snapshot| {
                let activity = s.activity.as_ref().unwrap();
                activity.sessions.iter().any(|x| x.role.as_deref() == Some("postgres") && x.query.is_some())
            };
            assert!(!others(&mine) && others(&lit));
        }
    });
}

#[test]
fn a_locked_table_hides_nothing_but_itself() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let (database, client) = furnished(&shared, "locked", "locked_").await;
        client
            .batch_execute(
                "create table one.alembic_version (version_num text); insert into one.alembic_version values ('a');
                 create table public.alembic_version (version_num text); insert into public.alembic_version values ('b');
                 create table one.walled (tenant_id int); alter table one.walled enable row level security;
                 create policy p on one.walled using (true);",
            )
            .await
            .unwrap();
        let mut reader = open(&shared, "postgres", &database).await;
        let before = reader.snapshot(&Want { versions: true, ..Want::default() }).await.unwrap();
        client
            .batch_execute("begin; lock table one.alembic_version; lock table one.walled; lock table one.plain")
            .await
            .unwrap();
        let begun = std::time::Instant::now();
        let want = Want { sizes: SizesWanted::All, ..Want::everything(vec![]) };
        let snapshot = reader.snapshot(&want).await.unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        let rows = |s: &Snapshot, schema: &str| {
            let oid = s.catalog.schema_named(schema).unwrap().oid;
            s.versions.0.iter().find(|t| t.schema == oid).unwrap().rows.clone()
        };
        assert_eq!(rows(&before, "one"), VersionRows::Known(vec!["a".into()]));
        assert_eq!(rows(&snapshot, "one"), VersionRows::Locked(None));
        assert_eq!(rows(&snapshot, "public"), VersionRows::Known(vec!["b".into()]));
        let shapes = snapshot.shapes.as_ref().unwrap();
        let expressions: Vec<_> = shapes.policy_expressions.iter().map(|e| e.policy.as_str()).collect();
        assert_eq!(expressions, ["own_rows"]);
        assert!(snapshot.unavailable.iter().any(|u| u.what.contains("locked exclusively")), "{:?}", snapshot.unavailable);
        let size = |schema: &str| snapshot.sizes.schemas[&snapshot.catalog.schema_named(schema).unwrap().oid];
        assert!(!size("one").exact && size("Two \"2\"").exact);
        client.batch_execute("rollback").await.unwrap();
    });
}

#[test]
fn reading_writes_nothing_and_the_gate_opens_only_for_writers() {
    runtime().block_on(async {
        // A cluster of its own: others' writes would open the gate.
        let options =
            pgmoat::demo::cluster::ClusterOptions { server: cluster::server(cluster::newest()), ..cluster::options() };
        let own = pgmoat::demo::cluster::Cluster::start(options).unwrap();
        let client = connect(&own, "postgres", "postgres").await;
        client.batch_execute("create table alembic_version (version_num text)").await.unwrap();
        let conninfo = Conninfo::parse(&own.url("postgres", "postgres"), &Env::default()).unwrap();
        let mut reader = Reader::open(&conninfo, "test").await.unwrap();
        let before = reader.gate().await.unwrap();
        let snapshot = reader.snapshot(&Want { sizes: SizesWanted::All, ..Want::everything(vec![]) }).await.unwrap();
        assert_eq!(reader.gate().await.unwrap(), before, "no transaction number was used up");
        assert_eq!(snapshot.catalog.gate, before);
        assert_eq!(snapshot.shapes.as_ref().unwrap().gate, before);
        client.batch_execute("grant select on alembic_version to public").await.unwrap();
        assert_ne!(reader.gate().await.unwrap(), before);
        own.stop();
    });
}

#[test]
fn activity_knows_who_blocks_whom_and_marks_its_own() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let database = shared.database("busy").await;
            let holder = connect(shared.cluster(), "postgres", &database).await;
            let waiter = connect(shared.cluster(), "postgres", &database).await;
            holder.batch_execute("create table t (n int)").await.unwrap();
            holder.batch_execute("begin; lock table t").await.unwrap();
            let holder_pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
            let waiting = tokio::spawn(async move { waiter.batch_execute("select 'é' || count(*) from t").await });
            let mut reader = open(&shared, "postgres", &database).await;
            let tick = loop {
                assert!(!waiting.is_finished(), "it waits for the lock");
                let tick = reader.activity().await.unwrap();
                // counters come late, and later still from a busy server
                let blocked = tick.activity.sessions.iter().any(|s| !s.blocked_by.is_empty());
                if blocked && tick.activity.commits > 0 {
                    break tick;
                }
            };
            let activity = tick.activity;
            let blocked = activity.sessions.iter().find(|s| s.blocked_by == [holder_pid]).unwrap();
            assert_eq!(blocked.wait_type.as_deref(), Some("Lock"));
            assert_eq!(blocked.query.as_deref(), Some("select 'é' || count(*) from t"));
            let blocker = activity.sessions.iter().find(|s| s.pid == holder_pid).unwrap();
            assert_eq!(blocker.state.as_deref(), Some("idle in transaction"));
            assert!(blocker.transaction_age_ms >= Some(0) && blocker.state_age_ms >= Some(0));
            assert!(blocker.backend_start_us.is_some_and(|us| us < activity.taken_at_us));
            assert_eq!(blocker.client.as_deref(), Some("local socket"));
            let own: Vec<_> = activity.sessions.iter().filter(|s| s.own).map(|s| s.pid).collect();
            assert!(own.contains(&reader.pid()) && !own.contains(&holder_pid), "{own:?}");
            assert!(activity.frozen_age.is_some());
            assert_eq!(activity.connections as usize, activity.sessions.len());
            holder.batch_execute("rollback").await.unwrap();
            waiting.await.unwrap().unwrap();
        }
    });
}

/// Names that break decoders, screens or statements.
const NAMES: &[&str] = &[
    "a\"b",
    "a\";drop table t;--",
    "a''b",
    "a\\b",
    "$$",
    "{a,b}",
    "a=r/b",
    "16384",
    "PUBLIC",
    "current_user",
    "select",
    "%s %n",
    "../../etc",
    " lead",
    "trail ",
    "\u{c5}",
    "A\u{30a}",
    "admin\u{200b}",
    "\u{202e}nimda",
    "日本語",
    "\t\n\r",
    "\u{1b}[2J",
    "\u{9b}31m",
    "ééééééééééééééééééééééééééééééé",
];

#[test]
fn odd_names_arrive_byte_for_byte() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let database = shared.database("names").await;
        let client = connect(shared.cluster(), "postgres", &database).await;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        for (i, name) in NAMES.iter().enumerate() {
            let (schema, role) = (quoted(name), quoted(&format!("nm{}", &name.chars().take(20).collect::<String>())));
            client
                .batch_execute(&format!(
                    "create role {role}; create schema {schema} authorization {role};
                     create table {schema}.{schema} (n int); grant select on {schema}.{schema} to {role};
                     create table {schema}.alembic_version (version_num text);
                     insert into {schema}.alembic_version values ('{i}');"
                ))
                .await
                .unwrap_or_else(|e| panic!("{name}: {e:?}"));
        }
        let snapshot = everything(&shared, "postgres", &database).await;
        for (i, name) in NAMES.iter().enumerate() {
            let schema = snapshot.catalog.schema_named(name).unwrap_or_else(|| panic!("schema {name:?}"));
            let objects = &snapshot.objects.0[&schema.oid];
            assert!(objects.relations.iter().any(|o| o.name == *name), "{name:?}");
            let table = snapshot.versions.0.iter().find(|t| t.schema == schema.oid).unwrap();
            assert_eq!(table.rows, VersionRows::Known(vec![i.to_string()]), "{name:?}");
        }
    });
}

#[test]
fn a_database_without_encoding_is_read_as_bytes() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let shared = cluster::shared(major).unwrap();
            let setup = connect(shared.cluster(), "postgres", "postgres").await;
            setup
                .batch_execute(
                    "create database bytes_ascii encoding 'SQL_ASCII' locale 'C' template template0",
                )
                .await
                .unwrap();
            let client = connect(shared.cluster(), "postgres", "bytes_ascii").await;
            client
                .batch_execute(
                    r"set client_encoding = 'SQL_ASCII';
                      do $$ begin
                        execute 'create schema ' || quote_ident(convert_from('\xe9'::bytea, 'SQL_ASCII'));
                        execute 'create schema ' || quote_ident(convert_from('\xc080'::bytea, 'SQL_ASCII'));
                        execute 'create role ' || quote_ident(convert_from('\x6279746573ff'::bytea, 'SQL_ASCII'));
                      end $$;
                      create table alembic_version (version_num text);
                      insert into alembic_version values (convert_from('\x61e9'::bytea, 'SQL_ASCII'));",
                )
                .await
                .unwrap();
            let snapshot = everything(&shared, "postgres", "bytes_ascii").await;
            assert_eq!(snapshot.server.encoding, "SQL_ASCII");
            let odd = |bytes: &[u8]| pgmoat::text::decode(bytes);
            assert!(snapshot.catalog.schema_named(&odd(b"\xe9")).is_some());
            assert!(snapshot.catalog.schema_named(&odd(b"\xc0\x80")).is_some());
            assert!(snapshot.catalog.schema_named("public").is_some());
            assert_eq!(snapshot.versions.0[0].rows, VersionRows::Known(vec![odd(b"a\xe9")]));

            // The role is there for every database, also for one that has an encoding.
            let database = shared.database("utf8").await;
            let other = everything(&shared, "postgres", &database).await;
            assert!(other.catalog.role_named(&odd(b"bytes\xff")).is_some(), "{major}");
            client
                .batch_execute(r"set client_encoding = 'SQL_ASCII'; do $$ begin execute 'drop role ' || quote_ident(convert_from('\x6279746573ff'::bytea, 'SQL_ASCII')); end $$")
                .await
                .unwrap();
        }
    });
}

#[test]
fn a_silent_server_costs_no_more_than_the_limit() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let database = shared.database("silent").await;
        let mut reader = open(&shared, "postgres", &database).await;
        let limit = std::time::Duration::from_millis(700);
        reader.set_limits(Limits { unit: limit, ..Limits::default() });
        let pid = rustix::process::Pid::from_raw(reader.pid()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let begun = std::time::Instant::now();
        let error = reader.catalog().await.unwrap_err();
        let taken = begun.elapsed();
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        assert!(error.to_string().contains("no answer within 700 ms"), "{error}");
        assert!(error.ends_connection() && reader.is_broken());
        assert!(taken < limit + std::time::Duration::from_secs(2), "{taken:?}");
    });
}

#[test]
fn a_locked_catalog_is_an_answer_and_the_connection_stays() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let database = shared.database("vacuum").await;
        let client = connect(shared.cluster(), "postgres", &database).await;
        let mut reader = open(&shared, "postgres", &database).await;
        reader.catalog().await.unwrap();
        client.batch_execute("begin; lock table pg_catalog.pg_policy in access exclusive mode").await.unwrap();
        let error = reader.catalog().await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("55P03"), "{error}");
        assert!(error.to_string().starts_with("could not read the policies: "), "{error}");
        assert!(!reader.is_broken());
        reader.activity().await.unwrap();
        client.batch_execute("rollback").await.unwrap();
        reader.catalog().await.unwrap();
    });
}

#[test]
fn a_terminated_backend_is_told_and_objects_of_one_schema_are_enough() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let (database, client) = furnished(&shared, "ended", "ended_").await;
        let mut reader = open(&shared, "postgres", &database).await;
        let catalog = reader.catalog().await.unwrap().catalog;
        let one = catalog.schema_named("one").unwrap().oid;
        let want = Want { objects: ObjectsWanted::Schemas(vec![one]), ..Want::default() };
        let some = reader.snapshot(&want).await.unwrap();
        assert_eq!(some.objects.0.keys().copied().collect::<Vec<_>>(), [one]);
        assert!(some.shapes.is_none() && some.activity.is_none());
        client.batch_execute(&format!("select pg_terminate_backend({})", reader.pid())).await.unwrap();
        let error = loop {
            if let Err(error) = reader.catalog().await {
                break error;
            }
        };
        assert!(error.ends_connection(), "{error:?}");
        assert!(reader.is_broken());
    });
}

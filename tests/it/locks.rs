//! The locks of an action: what the preview says each kind of step locks is what the server says it holds, on every major;
//! and nothing of ours stands in a queue longer than its lock timeout, whatever is locked.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::{
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, ObjectRef, On, RoleAttributes},
        snapshot::{DefaultKind, Kind},
    },
    plan::{HazardKind, Plan, build},
    server::apply::{ApplyOptions, Outcome, Progress, Reason, apply},
};

use crate::{
    apply::{Beside, Case, case_on, snapshot},
    read::runtime,
    support::cluster::{self, connect},
};

const MADE: &str = "
create schema a; create schema b; create extension if not exists pg_stat_statements schema a;
create type a.mood as enum ('x'); create type a.pair as (x int); create domain a.positive as int;
create sequence a.free; create function a.f() returns int language sql security definer as 'select 1';
create table a.t (id serial primary key, note text, tenant_id uuid);
create table a.plain (id int, tenant_id uuid); create table a.guarded (id int);
alter table a.guarded enable row level security, force row level security;
create policy p on a.guarded using (true);
create table a.ref (id int primary key); create table a.refers (id int references a.ref not null, other int);
alter table a.refers add constraint late foreign key (other) references a.ref not valid;
create table a.whole (id int) partition by range (id); create table a.part partition of a.whole for values from (0) to (9);
create view a.v as select * from a.t; create view a.past as select * from a.guarded;
create view a.inv with (security_invoker = true) as select * from a.guarded;
create materialized view a.m as select * from a.plain;
create table a.alembic_version (version_num varchar(32) not null primary key); insert into a.alembic_version values ('r1'), ('r2');
create table b.alembic_version (version_num varchar(32) not null primary key);
create table b.alembic_version_x (version_num varchar(32) not null primary key)";

/// What is there, for servers that have no options of views.
fn made(major: u32) -> String {
    if major >= 15 { MADE.to_owned() } else { MADE.replace("with (security_invoker = true) ", "") }
}

/// One of every kind of step.
#[expect(clippy::too_many_lines, reason = "a list")]
fn steps(major: u32, role: &str, database: &str) -> Vec<Change> {
    let object = |kind, name: &str| ObjectRef { kind, schema: "a".into(), name: name.into() };
    let (schema, table) = (|| "a".to_owned(), |name: &str| name.to_owned());
    let to = || Grantee::Role(role.to_owned());
    let mut list = vec![
        Change::CreateSchema { name: "made".into(), owner: role.into() },
        Change::CreateRole { name: format!("{role}_made"), attributes: RoleAttributes::default() },
        Change::AlterRole {
            name: role.into(),
            attributes: RoleAttributes { connection_limit: Some(3), ..RoleAttributes::default() },
        },
        Change::GrantRole { role: "pg_monitor".into(), member: role.into() },
        Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema(schema()), to: to() },
        Change::Grant { privileges: Privilege::Create.into(), on: On::Database(database.into()), to: to() },
        Change::Grant {
            privileges: Privilege::Select.into(),
            on: On::AllIn { kind: ObjectKind::Table, schema: schema() },
            to: to(),
        },
        Change::Grant {
            privileges: Privilege::Usage.into(),
            on: On::Objects { kind: ObjectKind::Sequence, schema: schema(), names: vec!["free".into()] },
            to: to(),
        },
        Change::Grant {
            privileges: Privilege::Select.into(),
            on: On::Columns { schema: schema(), relation: table("t"), columns: vec!["note".into()] },
            to: to(),
        },
        Change::Revoke {
            privileges: Privilege::Execute.into(),
            on: On::Objects { kind: ObjectKind::Routine, schema: schema(), names: vec!["f()".into()] },
            from: Grantee::Public,
            option_only: false,
            grantor: None,
        },
        Change::DefaultPrivileges {
            creator: role.into(),
            schema: Some(schema()),
            kind: DefaultKind::Tables,
            privileges: Privilege::Select.into(),
            grantee: Grantee::Public,
            grant: true,
        },
        Change::SetSchemaOwner { schema: schema(), owner: role.into() },
        Change::SetRoleSetting {
            role: role.into(),
            database: Some(database.into()),
            name: "search_path".into(),
            value: Some(vec!["a".into()]),
        },
        Change::SetDatabaseSetting {
            database: database.into(),
            name: "search_path".into(),
            value: Some(vec!["a".into()]),
        },
        Change::SetExtensionSchema { extension: "pg_stat_statements".into(), to: "b".into() },
        Change::EnableRls { schema: schema(), table: table("t") },
        Change::ForceRls { schema: schema(), table: table("t") },
        Change::DisableRls { schema: schema(), table: table("guarded") },
        Change::NoForceRls { schema: schema(), table: table("guarded") },
        Change::CreateTenantPolicy {
            schema: schema(),
            table: table("t"),
            name: "tenant".into(),
            column: "tenant_id".into(),
            setting: "app.tenant".into(),
            as_type: None,
        },
        Change::DropPolicy { schema: schema(), table: table("guarded"), name: "p".into() },
        Change::ValidateForeignKey { schema: schema(), table: table("refers"), name: "late".into() },
        Change::CreateVersionTable { schema: schema(), name: "alembic_version_new".into(), owner: role.into() },
        Change::DropVersionTable { schema: "b".into(), name: "alembic_version_x".into() },
        Change::MoveVersionTable { schema: "b".into(), name: "alembic_version_x".into(), to: "a".into() },
        Change::InsertVersionRows { schema: schema(), table: table("alembic_version"), rows: vec!["r9".into()] },
        Change::DeleteVersionRows { schema: schema(), table: table("alembic_version"), rows: vec!["r1".into()] },
        Change::MoveVersionRows {
            schema: schema(),
            table: table("alembic_version"),
            to: "b".into(),
            rows: vec!["r1".into()],
        },
        Change::SetFunctionSearchPath { schema: schema(), signature: "f()".into(), path: vec!["a".into()] },
        Change::CreateAuditSchema { schema: "audit".into(), owner: role.into() },
    ];
    if major >= 15 {
        list.push(Change::SetViewInvoker { schema: schema(), view: table("past") });
        list.push(Change::ResetViewInvoker { schema: schema(), view: table("inv") });
    }
    for (kind, name) in [
        (Kind::Table, "t"),
        (Kind::Partitioned, "whole"),
        (Kind::Table, "part"),
        (Kind::View, "v"),
        (Kind::MaterializedView, "m"),
        (Kind::Sequence, "free"),
        (Kind::Type, "mood"),
        (Kind::Type, "pair"),
        (Kind::Type, "positive"),
        (Kind::Function, "f()"),
    ] {
        list.push(Change::SetOwner { object: object(kind, name), owner: role.into() });
        list.push(Change::SetSchema { object: object(kind, name), to: "b".into() });
    }
    list
}

/// Locks that somebody can wait behind who reads, writes, or changes a definition: the mode and the relation, as words of
/// the preview. Indexes and owned sequences go with their table, the extension's own things together.
const HELD: &str = "
select distinct upper(regexp_replace(regexp_replace(l.mode, 'Lock$', ''), '([a-z])([A-Z])', '\\1 \\2', 'g')) || ' on ' ||
  coalesce((select 'every table, view and sequence of ' || e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
     where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'), (
    select r.relnamespace::regnamespace || '.' || r.relname from pg_class r where r.oid = coalesce(
      (select i.indrelid from pg_index i where i.indexrelid = c.oid),
      (select d.refobjid from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid
         and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S'), c.oid)))
from pg_locks l join pg_class c on c.oid = l.relation
where l.locktype = 'relation' and l.pid <> pg_backend_pid() and c.oid >= 16384 and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
  and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
  -- Nobody reads or writes these: toast tables, and what a composite type has in place of a table.
  and c.relkind not in ('t', 'c') and not exists (select from pg_index i join pg_class t on t.oid = i.indrelid
    where i.indexrelid = c.oid and t.relkind = 't')";

/// Asks on a thread of its own: whoever is watched stands still meanwhile.
fn ask(config: tokio_postgres::Config, sql: &'static str) -> BTreeSet<String> {
    std::thread::spawn(move || {
        runtime().block_on(async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let rows = client.query(sql, &[]).await.unwrap();
            rows.iter().map(|row| row.get::<_, String>(0)).collect()
        })
    })
    .join()
    .unwrap()
}

/// `ACCESS EXCLUSIVE on a.t` of every sentence about a lock.
fn said(plan: &Plan) -> BTreeSet<String> {
    let hazards = plan.steps.iter().flat_map(|s| &s.hazards).filter(|h| h.kind == HazardKind::Lock);
    hazards
        .map(|h| {
            let after = h.sentence.strip_prefix("Takes ").unwrap_or(&h.sentence);
            let end = after.find(':').into_iter().chain(after.find(" and reads")).min().unwrap();
            after[..end].to_owned()
        })
        .collect()
}

async fn prepared(major: u32, stem: &str) -> (Case, String) {
    let role = format!("{stem}_{major}_role");
    let case = case_on(major, stem, &format!("create role {role} login; {}", made(major))).await;
    (case, role)
}

#[test]
fn the_preview_names_the_locks_that_a_step_holds() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let (case, role) = prepared(major, "locks").await;
            let (mut compared, mut none) = (0, 0);
            let now = snapshot(&case.target).await;
            let mut wrong = Vec::new();
            for change in steps(major, &role, &case.database) {
                let plan = build::of_changes(&now, vec![change.clone()]).unwrap();
                assert!(!plan.is_empty(), "{change:?}");
                let held = Arc::new(Mutex::new(None));
                let (found, config) = (Arc::clone(&held), case.cluster.cluster().config("postgres", &case.database));
                let mut beside = Beside {
                    at: Some(Box::new(move |progress| {
                        if *progress == Progress::Proving {
                            *found.lock().unwrap() = Some(ask(config.clone(), HELD));
                        }
                    })),
                    ..Beside::default()
                };
                let options = ApplyOptions { rehearse: true, ..ApplyOptions::default() };
                let outcome = apply(&case.target, &plan.clone().approve(), &options, &mut beside).await;
                assert!(matches!(outcome, Outcome::RehearsalProven(_)), "{major}: {change:?}: {outcome:?}");
                let held = held.lock().unwrap().take().unwrap();
                compared += 1;
                none += usize::from(held.is_empty());
                // What the plan itself makes is nobody else's yet.
                let held: BTreeSet<String> =
                    held.into_iter().filter(|l| !l.contains("_new") && !l.contains("audit.")).collect();
                if held != said(&plan) {
                    wrong.push(format!("{change:?}:\n   held {held:?}\n   said {:?}", said(&plan)));
                }
            }
            assert!(wrong.is_empty(), "PostgreSQL {major}: {}", wrong.join("\n"));
            println!("PostgreSQL {major}: {compared} kinds of steps, {none} of them lock no table");
        }
    });
}

/// Whatever is locked by somebody else: one attempt, and nobody waits behind us longer than the lock timeout.
#[test]
fn nothing_of_ours_stands_in_a_queue_longer_than_its_lock_timeout() {
    const LIMIT: Duration = Duration::from_millis(300);
    runtime().block_on(async {
        let major = cluster::newest();
        let (case, role) = prepared(major, "queue").await;
        let object = |kind, name: &str| ObjectRef { kind, schema: "a".into(), name: name.into() };
        let owner = |kind, name: &str| Change::SetOwner { object: object(kind, name), owner: role.clone() };
        let place = |kind, name: &str| Change::SetSchema { object: object(kind, name), to: "b".into() };
        let row = |sql: &str| format!("begin; {sql}");
        let on = |schema: &str| On::Schema(schema.to_owned());
        let to = || Grantee::Role(role.clone());
        let cases = [
            (place(Kind::Table, "t"), row("select * from a.t")),
            (owner(Kind::Table, "part"), row("insert into a.whole values (1)")),
            (place(Kind::View, "v"), row("select * from a.v")),
            (owner(Kind::MaterializedView, "m"), row("select * from a.m")),
            (place(Kind::Sequence, "free"), row("select nextval('a.free')")),
            (owner(Kind::Sequence, "free"), row("select last_value from a.free")),
            (
                Change::ValidateForeignKey { schema: "a".into(), table: "refers".into(), name: "late".into() },
                row("create index on a.refers (other)"),
            ),
            (Change::EnableRls { schema: "a".into(), table: "t".into() }, row("select * from a.t for update")),
            (
                Change::InsertVersionRows {
                    schema: "a".into(),
                    table: "alembic_version".into(),
                    rows: vec!["r9".into()],
                },
                row("update a.alembic_version set version_num = 'r3' where version_num = 'r2'"),
            ),
            (
                Change::Grant { privileges: Privilege::Usage.into(), on: on("b"), to: to() },
                row("grant create on schema b to public"),
            ),
            (
                Change::AlterRole {
                    name: role.clone(),
                    attributes: RoleAttributes { connection_limit: Some(3), ..RoleAttributes::default() },
                },
                row(&format!("alter role {role} createdb")),
            ),
            (Change::CreateSchema { name: "twice".into(), owner: role.clone() }, row("create schema twice")),
        ];
        let now = snapshot(&case.target).await;
        let stop = Arc::new(AtomicBool::new(false));
        let config = case.cluster.cluster().config("postgres", &case.database);
        let watching = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let mut worst = 0_f64;
            runtime().block_on(async {
                let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                let sql =
                    "select coalesce(max(extract(epoch from clock_timestamp() - waitstart)), 0)::float8 from pg_locks
                    where not granted and waitstart is not null and pid in (select pid from pg_stat_activity
                      where datname = current_database())";
                while !watching.load(Ordering::Relaxed) {
                    let row = client.query_one(sql, &[]).await.unwrap();
                    worst = worst.max(row.get::<_, f64>(0));
                }
            });
            worst
        });
        for (change, blocked_by) in cases {
            let plan = build::of_changes(&now, vec![change.clone()]).unwrap();
            let blocker = connect(case.cluster.cluster(), "postgres", &case.database).await;
            blocker.batch_execute(&blocked_by).await.unwrap();
            let begun = Instant::now();
            let options = ApplyOptions { lock_attempts: 1, conflicts: 0, ..ApplyOptions::default() };
            let outcome = apply(&case.target, &plan.approve(), &options, &mut Beside::default()).await;
            let took = begun.elapsed();
            let told = matches!(outcome, Outcome::NothingChanged(Reason::LockTimeout { .. }));
            assert!(told, "{change:?}: {outcome:?}");
            assert!(took < LIMIT + Duration::from_secs(3), "{change:?}: {took:?}");
            blocker.batch_execute("rollback").await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        let worst = Duration::from_secs_f64(watcher.join().unwrap());
        println!("queues: the longest that anything of ours was seen waiting for a lock is {worst:?}");
        assert!(worst > Duration::from_millis(100), "it was looked at: {worst:?}");
        // Twice over, for a machine that does something else as well.
        assert!(worst < LIMIT * 3, "{worst:?}");
    });
}

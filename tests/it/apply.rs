//! Plans on real servers: what is committed is what was shown, what was rehearsed leaves nothing, what moved is refused, who
//! blocks is named, and no password is anywhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pgmoat::{
    config::Conninfo,
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    domain::{
        ObjectKind, Privilege, Privileges, Snapshot,
        change::{Change, Grantee, ObjectRef, On, RoleAttributes},
        snapshot::Kind,
        transaction::Transaction,
    },
    plan::{Plan, State, build, ground::Key},
    server::{
        ObjectsWanted, Reader, Want,
        apply::{ApplyOptions, Aside, Outcome, Progress, Reason, apply},
    },
};
use secrecy::SecretString;

use crate::{
    read::runtime,
    support::cluster::{self, connect, conninfo, shared},
};

/// Looks at every progress.
pub type Watcher = Box<dyn FnMut(&Progress) + Send>;

/// What the caller contributes, for tests: passwords by role, what was written down, what was seen.
#[derive(Default)]
pub struct Beside {
    pub passwords: BTreeMap<String, String>,
    pub noted: Vec<Transaction>,
    pub seen: Vec<Progress>,
    /// Refuses to write the transaction down.
    pub full: bool,
    /// Called at every progress.
    pub at: Option<Watcher>,
}

impl Aside for Beside {
    fn password(&mut self, role: &str) -> Option<SecretString> {
        self.passwords.get(role).cloned().map(SecretString::from)
    }
    fn committing(&mut self, transaction: &Transaction) -> Result<(), String> {
        if self.full {
            return Err("no space left on device".to_owned());
        }
        self.noted.push(transaction.clone());
        Ok(())
    }
    fn progress(&mut self, progress: Progress) {
        if let Some(at) = &mut self.at {
            at(&progress);
        }
        self.seen.push(progress);
    }
}

pub async fn snapshot(target: &Conninfo) -> Snapshot {
    let mut reader = Reader::open(target, "test").await.unwrap();
    let want = Want { shapes: true, versions: true, objects: ObjectsWanted::All, ..Want::default() };
    reader.snapshot(&want).await.unwrap()
}

pub async fn plan(target: &Conninfo, changes: Vec<Change>) -> Plan {
    build::of_changes(&snapshot(target).await, changes).unwrap()
}

pub async fn run(target: &Conninfo, plan: &Plan, options: &ApplyOptions) -> Outcome {
    apply(target, &plan.clone().approve(), options, &mut Beside::default()).await
}

pub fn select() -> Privileges {
    Privilege::Select.into()
}

/// A role, a schema of its own, a reader's rights and default privileges: touches five catalogs.
pub fn setup(name: &str) -> Vec<Change> {
    let attributes = RoleAttributes { login: Some(true), ..RoleAttributes::default() };
    vec![
        Change::CreateRole { name: name.into(), attributes },
        Change::CreateSchema { name: name.into(), owner: name.into() },
        Change::Grant {
            privileges: Privilege::Usage.into(),
            on: On::Schema(name.into()),
            to: Grantee::Role("pg_monitor".into()),
        },
        Change::SetRoleSetting {
            role: name.into(),
            database: None,
            name: "search_path".into(),
            value: Some(vec![name.into()]),
        },
    ]
}

pub struct Case {
    pub cluster: Arc<cluster::Shared>,
    pub database: String,
    pub target: Conninfo,
    pub client: tokio_postgres::Client,
}

pub async fn case(stem: &str, sql: &str) -> Case {
    case_on(cluster::newest(), stem, sql).await
}

pub async fn case_on(major: u32, stem: &str, sql: &str) -> Case {
    let cluster = shared(major).unwrap();
    let database = cluster.database(stem).await;
    let client = connect(cluster.cluster(), SUPERUSER, &database).await;
    client.batch_execute(sql).await.unwrap();
    let target = conninfo(cluster.cluster(), SUPERUSER, &database);
    Case { cluster, database, target, client }
}

async fn answer(client: &tokio_postgres::Client, sql: &str) -> String {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect::<Vec<_>>().join(",")
}

#[test]
fn a_plan_is_committed_as_it_was_predicted_on_every_major() {
    runtime().block_on(async {
        for major in cluster::majors() {
            let case = case_on(
                major,
                "apply_all",
                "create schema own; create table own.t (id int);
                 create table own.alembic_version (version_num varchar(32) not null)",
            )
            .await;
            let name = format!("apply_all_{major}");
            let mut changes = setup(&name);
            changes.extend([
                Change::DefaultPrivileges {
                    creator: name.clone(),
                    schema: Some(name.clone()),
                    kind: pgmoat::domain::snapshot::DefaultKind::Tables,
                    privileges: select(),
                    grantee: Grantee::Public,
                    grant: true,
                },
                Change::SetSchema {
                    object: ObjectRef { kind: Kind::Table, schema: "own".into(), name: "t".into() },
                    to: name.clone(),
                },
                Change::SetOwner {
                    object: ObjectRef { kind: Kind::Table, schema: name.clone(), name: "t".into() },
                    owner: name.clone(),
                },
                Change::CreateVersionTable {
                    schema: name.clone(),
                    name: "alembic_version".into(),
                    owner: name.clone(),
                },
                Change::InsertVersionRows {
                    schema: "own".into(),
                    table: "alembic_version".into(),
                    rows: vec!["ab12".into()],
                },
            ]);
            let plan = plan(&case.target, changes).await;
            // A rehearsal proves it and leaves nothing.
            let rehearse = ApplyOptions { rehearse: true, ..ApplyOptions::default() };
            let outcome = run(&case.target, &plan, &rehearse).await;
            assert!(matches!(outcome, Outcome::RehearsalProven(_)), "{major}: {outcome:?}");
            assert_eq!(
                answer(&case.client, &format!("select rolname::text from pg_roles where rolname = '{name}'")).await,
                ""
            );
            let mut beside = Beside::default();
            let outcome = apply(&case.target, &plan.clone().approve(), &ApplyOptions::default(), &mut beside).await;
            let Outcome::Committed(done) = &outcome else { panic!("{major}: {outcome:?}") };
            assert!(done.moved_since.is_empty() && !done.resolved && done.attempts == 1, "{major}: {done:?}");
            assert_eq!(beside.noted.len(), 1);
            assert_eq!(beside.noted[0].xid, done.xid);
            assert!(beside.noted[0].life.is_surely(&beside.noted[0].life), "{major}: the life of the server is known");
            let rows = answer(&case.client, "select version_num::text from own.alembic_version").await;
            assert_eq!(rows, "ab12", "{major}");
            // The same plan again: the ground is another one.
            let outcome = run(&case.target, &plan, &ApplyOptions::default()).await;
            let Outcome::NothingChanged(Reason::Stale(moved)) = &outcome else { panic!("{major}: {outcome:?}") };
            assert!(moved.iter().any(|m| m.key == Key::Role { name: name.clone() }), "{moved:?}");
            // And back.
            let back = build::back(&snapshot(&case.target).await, &plan).unwrap();
            let outcome = run(&case.target, &back, &ApplyOptions::default()).await;
            assert!(matches!(outcome, Outcome::Committed(_)), "{major}: {outcome:?}");
            assert_eq!(answer(&case.client, "select 1::text from own.t union all select 'there'").await, "there");
        }
    });
}

/// Every kind of thing that a plan can stand on, changed between plan and apply: refused, each named.
#[test]
fn whatever_moves_between_plan_and_apply_is_refused() {
    runtime().block_on(async {
        let case = case(
            "apply_stale",
            "create role apply_stale_a; create role apply_stale_b; create role apply_stale_c;
             create schema s authorization apply_stale_a; create table s.t (id int, tenant_id uuid);
             create schema other; create table other.alembic_version (version_num varchar(32) not null);
             insert into other.alembic_version values ('a1');
             create sequence s.q; create function s.f() returns int language sql as 'select 1'",
        )
        .await;
        let table = |schema: &str, name: &str| ObjectRef { kind: Kind::Table, schema: schema.into(), name: name.into() };
        let on = |kind, names: &[&str]| On::Objects {
            kind,
            schema: "s".into(),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        };
        let changes = vec![
            Change::Grant { privileges: select(), on: on(ObjectKind::Table, &["t"]), to: Grantee::Role("apply_stale_b".into()) },
            Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema("s".into()), to: Grantee::Role("apply_stale_b".into()) },
            Change::Grant {
                privileges: Privilege::Execute.into(),
                on: on(ObjectKind::Routine, &["f()"]),
                to: Grantee::Role("apply_stale_b".into()),
            },
            Change::SetOwner { object: table("s", "t"), owner: "apply_stale_b".into() },
            Change::GrantRole { role: "apply_stale_a".into(), member: "apply_stale_b".into() },
            Change::AlterRole {
                name: "apply_stale_b".into(),
                attributes: RoleAttributes { connection_limit: Some(7), ..RoleAttributes::default() },
            },
            Change::SetRoleSetting {
                role: "apply_stale_b".into(),
                database: Some(case.database.clone()),
                name: "search_path".into(),
                value: Some(vec!["s".into()]),
            },
            Change::DefaultPrivileges {
                creator: "apply_stale_a".into(),
                schema: Some("s".into()),
                kind: pgmoat::domain::snapshot::DefaultKind::Tables,
                privileges: select(),
                grantee: Grantee::Role("apply_stale_b".into()),
                grant: true,
            },
            Change::EnableRls { schema: "s".into(), table: "t".into() },
            Change::InsertVersionRows {
                schema: "other".into(),
                table: "alembic_version".into(),
                rows: vec!["b2".into()],
            },
        ];
        let plan = plan(&case.target, changes).await;
        let moves = [
            ("alter table s.t owner to apply_stale_c", "alter table s.t owner to postgres"),
            ("grant insert on s.t to apply_stale_c", "revoke insert on s.t from apply_stale_c"),
            ("grant create on schema s to apply_stale_c", "revoke create on schema s from apply_stale_c"),
            ("grant execute on function s.f() to apply_stale_c", "revoke execute on function s.f() from apply_stale_c"),
            ("grant apply_stale_a to apply_stale_b", "revoke apply_stale_a from apply_stale_b"),
            ("alter role apply_stale_b createdb", "alter role apply_stale_b nocreatedb"),
            ("alter role apply_stale_b in database @ set search_path = x", "alter role apply_stale_b in database @ reset search_path"),
            (
                "alter default privileges for role apply_stale_a in schema s grant insert on tables to apply_stale_c",
                "alter default privileges for role apply_stale_a in schema s revoke insert on tables from apply_stale_c",
            ),
            ("alter table s.t enable row level security", "alter table s.t disable row level security"),
            ("insert into other.alembic_version values ('c3')", "delete from other.alembic_version where version_num = 'c3'"),
            ("alter table s.t rename to u", "alter table s.u rename to t"),
            ("drop function s.f()", "create function s.f() returns int language sql as 'select 1'"),
        ];
        let before = catalog_hash(&case.client).await;
        let mut refused = 0;
        for (there, back) in moves {
            let there = there.replace('@', &case.database);
            case.client.batch_execute(&there).await.unwrap();
            let outcome = run(&case.target, &plan, &ApplyOptions::default()).await;
            let Outcome::NothingChanged(Reason::Stale(moved)) = &outcome else { panic!("{there}: {outcome:?}") };
            assert!(!moved.is_empty());
            refused += 1;
            case.client.batch_execute(&back.replace('@', &case.database)).await.unwrap();
        }
        assert_ne!(before, "");
        println!("stale: {refused} of {} kinds refused", moves.len());
        // A function that was dropped and made anew is another one, although it looks the same.
        let outcome = run(&case.target, &plan, &ApplyOptions::default()).await;
        assert!(matches!(outcome, Outcome::NothingChanged(Reason::Stale(_))), "{outcome:?}");
        // Another cluster, another database, an altered file.
        let mut other = plan.clone();
        other.target.system_identifier = Some("1".into());
        let outcome = run(&case.target, &other, &ApplyOptions::default()).await;
        assert!(matches!(&outcome, Outcome::NothingChanged(Reason::Refused(why)) if why.contains("another cluster")), "{outcome:?}");
        let mut other = plan.clone();
        other.target.database = "elsewhere".into();
        let outcome = run(&case.target, &other, &ApplyOptions::default()).await;
        assert!(matches!(outcome, Outcome::NothingChanged(Reason::Refused(_))), "{outcome:?}");
        let mut other = plan.clone();
        other.ground.0.remove(&Key::Schema { name: "s".into() });
        let outcome = run(&case.target, &other, &ApplyOptions::default()).await;
        assert!(matches!(&outcome, Outcome::NothingChanged(Reason::Refused(why)) if why.contains("altered")), "{outcome:?}");
    });
}

async fn catalog_hash(client: &tokio_postgres::Client) -> String {
    answer(
        client,
        // other tests make roles on the same server: those of this one are called as its database begins
        "with own as (select * from pg_roles where starts_with(current_database(), rolname))
         select md5(string_agg(x, '|' order by x)) from (
           select n.nspname || coalesce(n.nspacl::text, '') || n.nspowner as x from pg_namespace n where n.nspname !~ '^pg_'
           union all select c.oid::text || c.relnamespace || coalesce(c.relacl::text, '') || c.relowner from pg_class c where c.oid > 16383
           union all select d.oid::text || d.defaclacl::text from pg_default_acl d
           union all select 'r' || r.rolname || r.rolsuper || r.rolcanlogin || r.rolconnlimit from own r
           union all select 'm' || m.roleid || '-' || m.member from pg_auth_members m
             where m.roleid in (select oid from own) or m.member in (select oid from own)) as y",
    )
    .await
}

/// What comes out otherwise than predicted is rolled back, and said so.
#[test]
fn a_result_that_was_not_predicted_is_rolled_back() {
    runtime().block_on(async {
        let case = case("apply_proof", "create schema s; create table s.t (id int)").await;
        let grant = Change::Grant { privileges: select(), on: On::Schema("s".into()), to: Grantee::Public };
        let grant = match grant {
            Change::Grant { on, to, .. } => Change::Grant { privileges: Privilege::Usage.into(), on, to },
            other => other,
        };
        let mut plan = plan(&case.target, vec![grant]).await;
        let schema = plan.predicted.0.get_mut(&Key::Schema { name: "s".into() }).unwrap();
        let Some(State::Schema { shares: Some(shares), .. }) = schema else { panic!("{schema:?}") };
        shares.pop();
        let before = catalog_hash(&case.client).await;
        let outcome = run(&case.target, &plan, &ApplyOptions::default()).await;
        let Outcome::NothingChanged(Reason::ProofFailed(moved)) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(moved.len(), 1);
        assert_eq!(catalog_hash(&case.client).await, before);
    });
}

#[test]
fn what_the_journal_cannot_take_is_rolled_back() {
    runtime().block_on(async {
        let case = case("apply_journal", "").await;
        let plan = plan(&case.target, setup("apply_journal")).await;
        let before = catalog_hash(&case.client).await;
        let mut beside = Beside { full: true, ..Beside::default() };
        let outcome = apply(&case.target, &plan.approve(), &ApplyOptions::default(), &mut beside).await;
        assert!(
            matches!(&outcome, Outcome::NothingChanged(Reason::Journal(why)) if why.contains("no space")),
            "{outcome:?}"
        );
        assert_eq!(catalog_hash(&case.client).await, before);
    });
}

/// A reader in a transaction blocks the move: given up after all attempts, with its name; nobody waited longer than the
/// lock timeout; and when it leaves in time, the move is done.
#[test]
fn a_move_makes_nobody_wait_and_names_who_blocks_it() {
    runtime().block_on(async {
        let case = case("apply_locks", "create schema a; create schema b; create table a.t (id int)").await;
        let object = ObjectRef { kind: Kind::Table, schema: "a".into(), name: "t".into() };
        let plan = plan(&case.target, vec![Change::SetSchema { object, to: "b".into() }]).await;
        let mut config = case.cluster.cluster().config(SUPERUSER, &case.database);
        config.application_name("the blocker");
        let (blocker, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        blocker.batch_execute("begin; select * from a.t").await.unwrap();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let worst = Arc::new(Mutex::new(Duration::ZERO));
        let mut readers = Vec::new();
        for _ in 0..6 {
            let client = connect(case.cluster.cluster(), SUPERUSER, &case.database).await;
            let (stop, worst) = (Arc::clone(&stop), Arc::clone(&worst));
            readers.push(tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let begun = Instant::now();
                    // The table is in one schema or the other.
                    let _ = client.simple_query("select * from a.t").await;
                    let took = begun.elapsed();
                    {
                        let mut worst = worst.lock().unwrap();
                        *worst = (*worst).max(took);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }));
        }
        let pause = (Duration::from_millis(10), Duration::from_millis(40));
        let options = ApplyOptions { lock_attempts: 5, pause, ..ApplyOptions::default() };
        let outcome = run(&case.target, &plan, &options).await;
        let Outcome::NothingChanged(Reason::LockTimeout { blockers, attempts: 5, what, .. }) = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(what.contains("a.t"), "{what}");
        assert!(
            blockers.iter().any(|b| b.application == "the blocker" && b.state == "idle in transaction"),
            "{blockers:?}"
        );
        let options = ApplyOptions { lock_attempts: 200, pause, ..ApplyOptions::default() };
        let leaves = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            blocker.batch_execute("commit").await.unwrap();
        };
        let (outcome, ()) = tokio::join!(run(&case.target, &plan, &options), leaves);
        let Outcome::Committed(done) = &outcome else { panic!("{outcome:?}") };
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            reader.await.unwrap();
        }
        let worst = *worst.lock().unwrap();
        println!("locks: {} attempts, held {} ms, the worst reader waited {worst:?}", done.attempts, done.lock_held_ms);
        assert!(worst < Duration::from_millis(1500), "{worst:?}");
    });
}

/// A grant waits for a row, not for a table: the session is seen while we wait.
#[test]
fn a_session_that_holds_a_row_is_named_too() {
    runtime().block_on(async {
        let case = case("apply_row", "create schema s; create role apply_row_a").await;
        let to = Grantee::Role("apply_row_a".into());
        let plan = plan(
            &case.target,
            vec![Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema("s".into()), to }],
        )
        .await;
        let mut config = case.cluster.cluster().config(SUPERUSER, &case.database);
        config.application_name("a deploy");
        let (blocker, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        blocker.batch_execute("begin; grant create on schema s to public").await.unwrap();
        let pause = (Duration::from_millis(10), Duration::from_millis(40));
        let options = ApplyOptions { lock_attempts: 3, pause, ..ApplyOptions::default() };
        let outcome = run(&case.target, &plan, &options).await;
        let Outcome::NothingChanged(Reason::LockTimeout { blockers, .. }) = &outcome else { panic!("{outcome:?}") };
        assert!(blockers.iter().any(|b| b.application == "a deploy"), "{blockers:?}");
        // It commits while we wait: the rows moved under us, and the whole is looked at again.
        let commits = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            blocker.batch_execute("commit").await.unwrap();
        };
        let options = ApplyOptions::default();
        let (outcome, ()) = tokio::join!(run(&case.target, &plan, &options), commits);
        assert!(matches!(outcome, Outcome::NothingChanged(Reason::Stale(_))), "{outcome:?}");
    });
}

/// No password in clear in the server's log with every statement in it, in pg_stat_statements, or in what is seen of a
/// running session; and it works.
#[test]
fn passwords_travel_as_verifiers_only() {
    const CANARY: &str = "canary-5f2e-not-in-any-log";
    let server = cluster::server(cluster::newest());
    let settings =
        vec![("log_statement".to_owned(), "all".to_owned()), ("log_min_duration_statement".to_owned(), "0".to_owned())];
    let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
    runtime().block_on(async {
        let client = connect(&own, SUPERUSER, "postgres").await;
        client.batch_execute("create role canary_role login").await.unwrap();
        let target = conninfo(&own, SUPERUSER, "postgres");
        let plan = plan(&target, vec![Change::SetPassword { role: "canary_role".into() }]).await;
        assert!(!serde_json::to_string(&plan).unwrap().contains(CANARY));
        let outcome = run(&target, &plan, &ApplyOptions::default()).await;
        assert!(
            matches!(&outcome, Outcome::NothingChanged(Reason::Refused(why)) if why.contains("no password")),
            "{outcome:?}"
        );
        let mut beside = Beside::default();
        beside.passwords.insert("canary_role".into(), CANARY.into());
        // A running session is looked at from beside at every step.
        let outcome = apply(&target, &plan.clone().approve(), &ApplyOptions::default(), &mut beside).await;
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        let seen = answer(&client, "select string_agg(query, ' ') from pg_stat_activity").await;
        assert!(!seen.contains(CANARY));
        let stored = answer(&client, "select rolpassword from pg_authid where rolname = 'canary_role'").await;
        assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "{stored}");
        let log = String::from_utf8_lossy(&std::fs::read(own.log()).unwrap()).into_owned();
        assert!(log.contains("ALTER ROLE canary_role PASSWORD 'SCRAM-SHA-256$"), "the log holds the statements: {log}");
        assert!(!log.contains(CANARY), "the password is in the server's log");
        let mut config = own.config("canary_role", "postgres");
        config.password(CANARY);
        let (_client, _connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    });
}

/// Eight at once on the same things: nobody sees an internal error, and all get done or are told why not.
#[test]
fn eight_appliers_at_once_never_trip_over_each_other() {
    runtime().block_on(async {
        let mut roles: Vec<String> = (0..8).map(|i| format!("apply_eight_{i}")).collect();
        let case = case(
            "apply_eight",
            &format!("create schema s; {}", roles.iter().fold(String::new(), |sql, r| sql + "create role " + r + ";")),
        )
        .await;
        let (mut committed, mut stale) = (0, 0);
        for round in 0..3 {
            let tasks: Vec<_> = roles
                .drain(..)
                .map(|role| {
                    let target = case.target.clone();
                    tokio::spawn(async move {
                        let (mut committed, mut stale) = (0, 0);
                        // Whoever was overtaken makes a new plan.
                        for _ in 0..40 {
                            let privileges = if round % 2 == 0 { Privilege::Usage } else { Privilege::Create };
                            let to = Grantee::Role(role.clone());
                            let grant = Change::Grant { privileges: privileges.into(), on: On::Schema("s".into()), to };
                            let plan = plan(&target, vec![grant]).await;
                            if plan.is_empty() {
                                break;
                            }
                            match run(&target, &plan, &ApplyOptions::default()).await {
                                Outcome::Committed(_) => {
                                    committed += 1;
                                    break;
                                }
                                Outcome::NothingChanged(Reason::Stale(_)) => stale += 1,
                                other => panic!("{other:?}"),
                            }
                        }
                        (role, committed, stale)
                    })
                })
                .collect();
            for task in tasks {
                let (role, done, late) = task.await.unwrap();
                roles.push(role);
                committed += done;
                stale += late;
            }
        }
        println!("eight at once: {committed} committed, {stale} told that the state moved, 0 internal errors");
        let held = answer(&case.client, "select count(distinct a.grantee)::text from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = 's' and a.grantee <> n.nspowner").await;
        assert_eq!(held, "8");
    });
}

/// A deploy beside: ALTER TABLE in a loop on the table whose rights change. Its statements wait at most a moment, and none
/// fails more than once for each of ours. It changes the table's own row and adds no columns: those that were dropped
/// count towards the 1600 that a table can have, and a fast machine gets there.
#[test]
fn a_deploy_beside_goes_on() {
    runtime().block_on(async {
        let case = case("apply_deploy", "create schema s; create table s.t (id int); create role apply_deploy_a").await;
        let deploy = connect(case.cluster.cluster(), SUPERUSER, &case.database).await;
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let deploying = tokio::spawn(async move {
            let (mut done, mut failed) = (0_u32, BTreeMap::<String, u32>::new());
            while !flag.load(std::sync::atomic::Ordering::Relaxed) {
                let sql = if done % 2 == 0 {
                    "alter table s.t replica identity full"
                } else {
                    "alter table s.t replica identity default"
                };
                match deploy.batch_execute(sql).await {
                    Ok(()) => done += 1,
                    Err(error) => *failed.entry(error.code().unwrap().code().to_owned()).or_default() += 1,
                }
            }
            (done, failed)
        });
        let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
        for i in 0..30 {
            let to = Grantee::Role("apply_deploy_a".into());
            let on = On::Objects { kind: ObjectKind::Table, schema: "s".into(), names: vec!["t".into()] };
            let change = if i % 2 == 0 {
                Change::Grant { privileges: select(), on, to }
            } else {
                Change::Revoke { privileges: select(), on, from: to, option_only: false, grantor: None }
            };
            let plan = plan(&case.target, vec![change]).await;
            if plan.is_empty() {
                continue;
            }
            let outcome = run(&case.target, &plan, &ApplyOptions::default()).await;
            let word = match &outcome {
                Outcome::Committed(_) => "committed",
                Outcome::NothingChanged(Reason::Failed { error, .. }) if error.is("XX000") => "overtaken",
                Outcome::NothingChanged(Reason::Stale(_)) => "stale",
                other => panic!("{other:?}"),
            };
            *outcomes.entry(word).or_default() += 1;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let (done, failed) = deploying.await.unwrap();
        println!("a deploy beside: {outcomes:?}; the deploy's statements: {done} done, failed {failed:?}");
        assert!(outcomes.get("committed").copied().unwrap_or(0) > 0, "{outcomes:?}");
        assert!(failed.keys().all(|state| state == "XX000"), "{failed:?}");
        let overtaken = failed.get("XX000").copied().unwrap_or(0);
        assert!(overtaken <= 60, "more than once for each attempt of ours: {failed:?}");
    });
}

//! Others at work while the program is: deploys of every kind, writers and readers of what moves, other consoles. Nobody's
//! statement fails for it that would not have, nobody waits long, and nothing is lost.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::{
    demo::cluster::SUPERUSER,
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, On},
    },
    plan::{Plan, moves::isolate},
    server::apply::{ApplyOptions, Outcome, Reason},
};
use tokio_postgres::Client;

use crate::{
    apply::{Case, case, plan, run, select},
    cli::Moat,
    faulty::actions::{self, Make},
    read::runtime,
    support::cluster::{connect, conninfo},
};

/// Does something again and again, until it is told to stop: how often it worked, how often it failed and with which
/// SQLSTATE, and the longest time that one took.
struct Loop {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<(BTreeMap<String, u32>, Duration)>,
}

impl Loop {
    fn new(client: Client, pause: Duration, sql: impl Fn(usize) -> String + Send + 'static) -> Loop {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            let (mut failed, mut longest) = (BTreeMap::<String, u32>::new(), Duration::ZERO);
            for i in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                match client.batch_execute(&sql(i)).await {
                    Ok(()) => {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        *failed.entry(error.code().unwrap().code().to_owned()).or_default() += 1;
                        let _ = client.batch_execute("rollback").await;
                    }
                }
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(pause).await;
            }
            (failed, longest)
        });
        Loop { stop, done, task }
    }

    async fn ends(self) -> (usize, BTreeMap<String, u32>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let (failed, longest) = self.task.await.unwrap();
        (self.done.load(Ordering::Relaxed), failed, longest)
    }
}

async fn worker(case: &Case) -> Client {
    let client = connect(case.cluster.cluster(), SUPERUSER, &case.database).await;
    client.batch_execute("set client_min_messages = error").await.unwrap();
    client
}

/// Roles and schemas come and go, a table is altered, rows are written, while rights on that table change.
#[test]
fn deploys_of_every_kind_go_on_beside() {
    runtime().block_on(async {
        let case = case(
            "beside_deploy",
            "create schema s; create table s.t (id int); create table s.u (id int); create role beside_a",
        )
        .await;
        let role =
            "create role beside_tmp; grant select on s.u to beside_tmp; drop owned by beside_tmp; drop role beside_tmp";
        let schema = "begin; create schema d; create table d.t (id int); drop schema d cascade; commit";
        let no = Duration::from_millis(1);
        let loops = [
            ("roles", Loop::new(worker(&case).await, no, move |_| role.to_owned())),
            ("schemas", Loop::new(worker(&case).await, no, move |_| schema.to_owned())),
            (
                "alter",
                Loop::new(worker(&case).await, no, |i| {
                    format!("alter table s.t replica identity {}", if i % 2 == 0 { "full" } else { "default" })
                }),
            ),
            ("rows", Loop::new(worker(&case).await, no, |i| format!("insert into s.t values ({i}); delete from s.t"))),
        ];
        let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
        for i in 0..30 {
            let to = Grantee::Role("beside_a".into());
            let on = On::Objects { kind: ObjectKind::Table, schema: "s".into(), names: vec!["t".into(), "u".into()] };
            let change = if i % 2 == 0 {
                Change::Grant { privileges: select(), on, to }
            } else {
                Change::Revoke { privileges: select(), on, from: to, option_only: false, grantor: None }
            };
            let plan = plan(&case.target, vec![change]).await;
            if plan.is_empty() {
                continue;
            }
            let word = match run(&case.target, &plan, &ApplyOptions::default()).await {
                Outcome::Committed(_) => "committed",
                Outcome::NothingChanged(Reason::Failed { error, .. }) if error.is("XX000") => "overtaken",
                Outcome::NothingChanged(Reason::LockTimeout { .. }) => "locked",
                Outcome::NothingChanged(Reason::Stale(_)) => "stale",
                other => panic!("{other:?}"),
            };
            *outcomes.entry(word).or_default() += 1;
        }
        println!("beside deploys: {outcomes:?}");
        for (what, one) in loops {
            let (done, failed, longest) = one.ends().await;
            println!("   {what}: {done} done, failed {failed:?}, the longest took {longest:?}");
            assert!(done > 0, "{what}");
            let ours = |state: &str| match what {
                // They change the same row of the catalog as we do.
                "roles" | "alter" => state == "XX000",
                _ => false,
            };
            assert!(failed.keys().all(|state| ours(state)), "{what}: {failed:?}");
        }
        assert!(outcomes.values().sum::<u32>() > 10, "{outcomes:?}");
    });
}

/// The plan that takes `tables` out of schema `i`.
async fn isolation(case: &Case, role: &str, tables: &str) -> Plan {
    let wanted = isolate::Wanted {
        from: "i".into(),
        schema: "iso".into(),
        role: role.into(),
        service: Some("garden".into()),
        tables: vec![tables.into()],
        rows: vec!["g1".into()],
        ..isolate::Wanted::default()
    };
    let make = Make::Isolate(wanted);
    let (snapshot, uses) = actions::reading(&case.target, &make).await;
    actions::plan(&make, &snapshot, &uses).unwrap()
}

fn shared_schema(tables: usize, role: &str) -> String {
    let mut sql = format!(
        "create role {role} login; create schema i; create table i.alembic_version (version_num varchar(32) primary key);
         insert into i.alembic_version values ('g1'), ('o1');"
    );
    for t in 0..tables {
        let _ = write!(
            sql,
            "create table i.t_{t} (id serial primary key, note text); insert into i.t_{t} (note) values ('x');"
        );
        if t % 10 == 0 {
            let _ = write!(sql, "create view i.t_v{t} as select * from i.t_{t}; create sequence i.t_s{t};");
        }
    }
    sql
}

/// Sixty tables with their sequences, views and a version table move at once, beside readers of all of them every 10 ms
/// and a session that reads one for a while: how long the longest of the readers waited.
#[test]
fn nobody_waits_long_for_a_service_of_many_tables() {
    runtime().block_on(async {
        let case = case("beside_many", &shared_schema(60, "beside_many_reader")).await;
        let plan = isolation(&case, "beside_many_app", "t_*").await;
        let mut readers = Vec::new();
        for r in 0..6_usize {
            let client = worker(&case).await;
            client.batch_execute("set search_path = i, iso").await.unwrap();
            let sql = move |i: usize| format!("select * from t_{}", (i * 7 + r * 11) % 60);
            readers.push(Loop::new(client, Duration::from_millis(10), sql));
        }
        let blocker = worker(&case).await;
        blocker.batch_execute("begin; select * from i.t_31").await.unwrap();
        let pause = (Duration::from_millis(10), Duration::from_millis(40));
        let options = ApplyOptions { lock_attempts: 2000, pause, ..ApplyOptions::default() };
        let leaves = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            blocker.batch_execute("commit").await.unwrap();
        };
        let (outcome, ()) = tokio::join!(run(&case.target, &plan, &options), leaves);
        let Outcome::Committed(done) = &outcome else { panic!("{outcome:?}") };
        let (mut reads, mut longest) = (0, Duration::ZERO);
        for reader in readers {
            let (n, failed, worst) = reader.ends().await;
            assert!(failed.is_empty(), "{failed:?}");
            reads += n;
            longest = longest.max(worst);
        }
        let (steps, held) = (plan.steps.len(), done.lock_held_ms);
        println!("many tables: {steps} steps, {} attempts, locks held {held} ms, {reads} reads, the longest waited {longest:?}", done.attempts);
        assert!(longest < Duration::from_millis(1500), "{longest:?}");
    });
}

/// A table moves, and a whole service does, while somebody writes to it without naming its schema: no row is lost and no
/// statement fails.
#[test]
fn who_writes_to_what_moves_goes_on_and_loses_nothing() {
    runtime().block_on(async {
        let case = case("beside_writer", &shared_schema(3, "beside_writer_other")).await;
        let mut writers = Vec::new();
        for w in 0..3 {
            let client = worker(&case).await;
            client.batch_execute("set search_path = i, iso").await.unwrap();
            let sql = move |i: usize| format!("insert into t_{} (note) values ('{w} {i}')", i % 3);
            writers.push(Loop::new(client, Duration::from_millis(1), sql));
        }
        let plan = isolation(&case, "beside_writer_app", "t_*").await;
        let options = ApplyOptions { lock_attempts: 400, pause: (Duration::from_millis(2), Duration::from_millis(10)), ..ApplyOptions::default() };
        let outcome = run(&case.target, &plan, &options).await;
        let Outcome::Committed(done) = &outcome else { panic!("{outcome:?}") };
        let (mut rows, mut longest) = (0, Duration::ZERO);
        for writer in writers {
            let (n, failed, worst) = writer.ends().await;
            assert!(failed.is_empty(), "{failed:?}");
            rows += n;
            longest = longest.max(worst);
        }
        let sql = "select (select count(*) from iso.t_0) + (select count(*) from iso.t_1) + (select count(*) from iso.t_2) - 3";
        let there: i64 = case.client.query_one(sql, &[]).await.unwrap().get(0);
        println!("beside writers: {} attempts, {rows} rows written, the longest took {longest:?}", done.attempts);
        assert_eq!(there, rows as i64, "no row is lost");
        assert!(rows > 0);
    });
}

fn consoles_policy(role: &str, may: bool) -> String {
    let access = if may { "s = [\"read\"]" } else { "" };
    format!(
        "name = \"it\"\nundeclared = \"ignore\"\n[[schema]]\nname = \"s\"\nowner = \"postgres\"\n\
         [[role]]\nname = \"{role}\"\naccess = {{{access}}}\nlogin = false\n"
    )
}

/// Eight consoles, each with a policy of its own for the same schema, each applying it again and again; `PGMOAT_TEST_APPLIES`
/// says how often (2). No internal error is shown, and in the end everything is as the policies say.
#[test]
fn eight_consoles_apply_at_once() {
    let applies: usize = std::env::var("PGMOAT_TEST_APPLIES").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut sql = "create schema s; create table s.t (id int); ".to_owned();
    let roles: Vec<String> = (0..8).map(|i| format!("beside_console_{i}")).collect();
    for role in &roles {
        let _ = write!(sql, "create role {role};");
    }
    let runtime = runtime();
    let case = runtime.block_on(case("beside_consoles", &sql));
    let url = case.cluster.cluster().url(SUPERUSER, &case.database);
    let told: Mutex<BTreeMap<String, u32>> = Mutex::default();
    std::thread::scope(|scope| {
        for role in &roles {
            let (url, told) = (url.as_str(), &told);
            scope.spawn(move || {
                let moat = Moat::new();
                for k in 0..applies {
                    let policy = moat.file("it.policy.toml", &consoles_policy(role, k % 2 == 0));
                    // Whoever was overtaken makes a new plan.
                    for attempt in 0.. {
                        let ran = moat.run(&["apply", url, "--policy", &policy, "--yes"]);
                        assert!(!ran.err.contains("XX000") && !ran.out.contains("XX000"), "{}", ran.err);
                        let word = match ran.code {
                            0 => "done",
                            4 if ran.err.contains("moved since the plan was made") => "moved",
                            4 if ran.err.contains("another console is at work") => {
                                assert!(ran.err.contains("pid "), "who it is: {}", ran.err);
                                "busy"
                            }
                            other => panic!("{other}: {}\n{}", ran.out, ran.err),
                        };
                        if ran.err.contains("waiting for another console") {
                            *told.lock().unwrap().entry("waited".to_owned()).or_default() += 1;
                        }
                        *told.lock().unwrap().entry(word.to_owned()).or_default() += 1;
                        if word == "done" {
                            break;
                        }
                        assert!(attempt < 200, "{role} never gets its turn");
                    }
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    println!("eight consoles, {applies} applies each: {told:?}");
    assert_eq!(told["done"] as usize, 8 * applies);
    let may = applies % 2 == 1;
    runtime.block_on(async {
        for role in &roles {
            let sql = format!(
                "select has_table_privilege('{role}', 's.t', 'select') and has_schema_privilege('{role}', 's', 'usage')"
            );
            assert_eq!(case.client.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0), may, "{role}");
        }
    });
}

/// Who waits for another console is told which session that is, and goes on when it is done.
#[test]
fn who_waits_for_another_console_is_told_which_one() {
    let runtime = runtime();
    let case = runtime
        .block_on(case("beside_other", "create schema s; create table s.t (id int); create role beside_other_a"));
    let cluster = case.cluster.cluster();
    let moat = Moat::new();
    let policy = moat.file("it.policy.toml", &consoles_policy("beside_other_a", true));
    let (other, pid) = runtime.block_on(async {
        let mut config = cluster.config(SUPERUSER, &case.database);
        config.application_name("the other console");
        let (other, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "begin; select pg_advisory_xact_lock(1885826415, 1)";
        other.batch_execute(sql).await.unwrap();
        let pid: i32 = other.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        (other, pid)
    });
    // Given up in time: the sentence names it.
    let target = conninfo(cluster, SUPERUSER, &case.database);
    let outcome = runtime.block_on(async {
        let to = Grantee::Role("beside_other_a".into());
        let plan =
            plan(&target, vec![Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema("s".into()), to }])
                .await;
        run(&target, &plan, &ApplyOptions { console: Duration::from_millis(200), ..ApplyOptions::default() }).await
    });
    let Outcome::NothingChanged(reason @ Reason::Busy(_)) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(reason.to_string(), "another console is at work on this database");
    let who = format!("pid {pid} of postgres (the other console), idle in transaction");
    assert!(reason.details().iter().any(|line| line.starts_with(&who)), "{:?}", reason.details());
    // Waited for: the sentence names it meanwhile.
    let url = cluster.url(SUPERUSER, &case.database);
    let mut command = moat.command(&["apply", &url, "--policy", &policy, "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waiting = lines.by_ref().find(|line| line.contains("waiting for another console"));
    assert!(waiting.is_some(), "it waits");
    let named = lines.next().unwrap();
    assert!(named.contains(&who), "{named}");
    runtime.block_on(async { other.batch_execute("commit").await.unwrap() });
    lines.for_each(drop);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(child.wait().unwrap().success() && out.contains("Done: committed"), "{out}");
}

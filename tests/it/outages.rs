//! Surroundings that fail an action in other ways than a broken line: a pooler between, a standby that does not answer, a
//! journal that takes no more bytes.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use pgmoat::{
    audit::{Ending, Journal},
    config::{Conninfo, Env},
    demo::cluster::{Cluster, ClusterOptions},
    domain::{
        change::{Change, ObjectRef},
        snapshot::Kind,
    },
    plan::build,
    run::act::settle,
    server::{
        apply::{ApplyOptions, Outcome, Reason},
        signal::{Aim, Mark, Signal, Told, look, signal},
    },
};

use crate::{
    apply::{case, plan, run, setup, snapshot},
    cuts::{console, own_cluster},
    faulty::{Real, World, actions},
    read::runtime,
    support::{
        cluster::{self, connect},
        pooler::Pooler,
    },
};

/// One server connection for everybody: what is left behind on it meets the next one.
#[test]
fn an_action_goes_through_a_transaction_pooler() {
    runtime().block_on(async {
        let case = case(
            "pooled_act",
            "create schema a; create schema b; create table a.t (id int);
             create table a.alembic_version (version_num varchar(32) not null primary key);
             insert into a.alembic_version values ('r1'), ('r2');
             create table b.alembic_version (version_num varchar(32) not null primary key)",
        )
        .await;
        let of = case.cluster.cluster();
        let Some(pooler) = Pooler::trusting(of, 1) else { return };
        let url = format!("postgresql://postgres@127.0.0.1:{}/{}", pooler.port, case.database);
        let pooled = Conninfo::parse(&url, &Env::default()).unwrap();
        let object = ObjectRef { kind: Kind::Table, schema: "a".into(), name: "t".into() };
        let mut changes = setup("pooled_act_app");
        changes.push(Change::SetSchema { object, to: "b".into() });
        let (from, table, to) = ("a".to_owned(), "alembic_version".to_owned(), "b".to_owned());
        changes.push(Change::MoveVersionRows { schema: from, table, to, rows: vec!["r2".into()] });
        let there = plan(&case.target, changes).await;
        let rehearse = ApplyOptions { rehearse: true, ..ApplyOptions::default() };
        let (mut done, mut settings) = (0, None);
        for _ in 0..3 {
            let outcome = run(&pooled, &there, &rehearse).await;
            assert!(matches!(outcome, Outcome::RehearsalProven(_)), "{outcome:?}");
            let outcome = run(&pooled, &there, &ApplyOptions::default()).await;
            assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
            let back = build::back(&snapshot(&case.target).await, &there).unwrap();
            let outcome = run(&pooled, &back, &ApplyOptions::default()).await;
            assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
            done += 3;
            // Whoever gets the connection next finds it as it was.
            let (witness, connection) =
                url.parse::<tokio_postgres::Config>().unwrap().connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let sql = "select string_agg(name || '=' || setting, ',' order by name) from pg_settings
                where name ~ 'timeout|search_path|jit|parallel|keepalives|row_security|read_only' ";
            let found: Vec<String> = witness
                .simple_query(sql)
                .await
                .unwrap()
                .iter()
                .filter_map(|m| match m {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
                .collect();
            assert!(found[0].contains("statement_timeout=0"), "{found:?}");
            assert_eq!(*settings.get_or_insert_with(|| found.clone()), found);
        }
        // Somebody else's lock: given up in time, told, and nobody is kept waiting for the one connection.
        let blocker = connect(of, "postgres", &case.database).await;
        blocker.batch_execute("begin; select * from a.t").await.unwrap();
        let pause = (Duration::from_millis(10), Duration::from_millis(40));
        let options = ApplyOptions { lock_attempts: 3, pause, ..ApplyOptions::default() };
        let outcome = run(&pooled, &there, &options).await;
        let Outcome::NothingChanged(Reason::LockTimeout { blockers, .. }) = &outcome else { panic!("{outcome:?}") };
        assert!(!blockers.is_empty(), "who blocks it is seen through a pooler, too");
        println!("through a pooler: {done} actions");
    });
}

/// COMMIT waits for a standby that is not there: it is committed here, that is said, and nobody may end the wait unawares.
#[test]
fn a_standby_that_does_not_answer_is_told_as_it_is() {
    let server = cluster::server(cluster::newest());
    let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
    let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
    runtime().block_on(async {
        let mut world = World::new(&own, "standby").await;
        let admin = connect(&own, "postgres", "postgres").await;
        let names = |value: &str| format!("alter system set synchronous_standby_names = '{value}'");
        let second = Duration::from_secs(1);
        for action in world.some(&[actions::SET_UP, actions::RIGHTS, actions::MOVE]) {
            let plan = world.reset(action).await;
            admin.batch_execute(&names("nobody")).await.unwrap();
            admin.batch_execute("select pg_reload_conf()").await.unwrap();
            let shown = "select setting from pg_settings where name = 'synchronous_standby_names'";
            while world.client.query_one(shown, &[]).await.unwrap().get::<_, String>(0).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let options = ApplyOptions { commit: second, resolve: second * 10, ..ApplyOptions::default() };
            let outcome = world.act(&plan, &options).await;
            let Outcome::Committed(done) = &outcome else { panic!("{outcome:?}") };
            assert!(done.awaits_standby && done.resolved, "{done:?}");
            // What waits is neither cancelled nor ended: that would only hide that nobody else has it.
            let waits = "select pid from pg_stat_activity where wait_event = 'SyncRep'";
            let pid: i32 = admin.query_one(waits, &[]).await.unwrap().get(0);
            let seen = look(world.target(), vec![pid]).await.unwrap().remove(0);
            let aim =
                Aim { pid, mark: Mark::Start(seen.backend_start_us.unwrap()), query_start_us: seen.query_start_us };
            for kind in [Signal::Cancel, Signal::Terminate] {
                let told = signal(world.target(), kind, &[aim]).await.unwrap();
                assert!(matches!(&told[..], [Told::Vanished(why)] if why.contains("waits for a standby")), "{told:?}");
            }
            assert_eq!(admin.query(waits, &[]).await.unwrap().len(), 1, "it still waits");
            admin.batch_execute(&names("")).await.unwrap();
            admin.batch_execute("select pg_reload_conf()").await.unwrap();
            assert_eq!(world.real(action).await, Real::Done, "it was committed all along");
        }
    });
}

/// A disk that takes so many bytes and no more: at every place in the journal, with the error told to the program, and with
/// the program killed by it. Nothing is done that is not written down, and the next one finds its way.
#[test]
fn a_journal_that_takes_no_more_bytes_stops_the_action_and_hides_nothing() {
    if Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: no prlimit on this machine");
        return;
    }
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "journal_full").await;
        let rights = world.action(actions::RIGHTS);
        let home = tempfile::tempdir().unwrap();
        let file = world.plan_file(rights, home.path()).await;
        let output = console(home.path(), &["apply", &world.url(), "--plan", &file, "--yes"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = std::fs::read(home.path().join(".local/state/pgmoat/journal.jsonl")).unwrap();
        let ends: Vec<usize> = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        assert_eq!(ends.len(), 3, "intent, transaction, outcome");
        let mut places = vec![0, 1, ends[0] / 2];
        // Lengths differ by some digits from time to time: one of these falls on every side of every end.
        for (at, next) in ends.iter().zip(ends.iter().skip(1)) {
            places.extend([at - 1, *at, at + 1, usize::midpoint(*at, *next)]);
        }
        places.extend([ends[2] - 10, ends[2] + 1000]);
        let mut ends_seen = Ends::default();
        for (i, limit) in places.into_iter().enumerate() {
            for killing in [false, true].into_iter().take(1 + usize::from(i % 2 == 0)) {
                let home = tempfile::tempdir().unwrap();
                let file = world.plan_file(rights, home.path()).await;
                let plain = console(home.path(), &["apply", &world.url(), "--plan", &file, "--yes"]);
                let trap = if killing { "" } else { "trap '' XFSZ; " };
                let script = format!("{trap}exec prlimit --fsize={limit} -- \"$@\"");
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(script).arg("sh").arg(plain.get_program()).args(plain.get_args()).env_clear();
                command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                let output = command.stdin(Stdio::null()).output().unwrap();
                let what = format!("at {limit}, killing {killing}: {output:?}");
                ends_seen.judge(&mut world, rights, home.path(), &output, &what).await;
            }
        }
        println!("a full journal: {ends_seen:?}");
        let Ends { not_begun, rolled_back, committed, killed } = ends_seen;
        assert!(not_begun > 2 && rolled_back > 2 && committed > 2 && killed > 1);
    });
}

/// A disk that fails: at every write to the journal and at every flush of it, each with two errors. Nothing is done that
/// is not written down, and what was done and could not be written down is told so. `PGMOAT_TEST_LONG`: both errors of
/// both calls.
#[test]
fn a_journal_whose_disk_fails_stops_the_action_and_hides_nothing() {
    let probe = ["-qq", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=99", "true"];
    if !Command::new("strace").args(probe).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no strace on this machine, or it may not look at processes");
        return;
    }
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "journal_io").await;
        let rights = world.action(actions::RIGHTS);
        let (mut seen, mut injected) = (Ends::default(), 0);
        let errors = [("fsync", "EIO"), ("write", "ENOSPC"), ("fsync", "ENOSPC"), ("write", "EIO")];
        let most = if std::env::var_os("PGMOAT_TEST_LONG").is_some() { errors.len() } else { 2 };
        for (call, error) in errors.into_iter().take(most) {
            for at in 1.. {
                let home = tempfile::tempdir().unwrap();
                let state = home.path().join(".local/state/pgmoat");
                let file = world.plan_file(rights, home.path()).await;
                let plain = console(home.path(), &["apply", &world.url(), "--plan", &file, "--yes"]);
                let log = home.path().join("strace");
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={call}")]);
                command.args(["-e", &format!("inject={call}:error={error}:when={at}")]);
                command.arg("-P").arg(state.join("journal.jsonl")).arg("-P").arg(&state);
                command.arg(plain.get_program()).args(plain.get_args()).env_clear();
                command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
                let output = command.stdin(Stdio::null()).output().unwrap();
                let what = format!("{call} {at} fails with {error}: {output:?}");
                let came = std::fs::read_to_string(&log).unwrap().contains("INJECTED");
                if came {
                    injected += 1;
                    assert_ne!(output.status.code(), Some(0), "nothing is said of it: {what}");
                }
                seen.judge(&mut world, rights, home.path(), &output, &what).await;
                if !came {
                    assert!(at > 3, "intent, transaction and outcome are written and flushed: {what}");
                    break;
                }
            }
        }
        println!("a journal on a failing disk: {injected} errors, {seen:?}");
        // Of each error, every intent and every transaction but the last is refused; the last outcome stands.
        let [refused, stood] = [seen.not_begun + seen.rolled_back, seen.committed].map(|n| n as usize);
        assert!(refused >= most * 2 && stood >= most * 2 && seen.killed == 0, "{seen:?}");
    });
}

/// How actions ended whose journal failed.
#[derive(Debug, Default)]
struct Ends {
    /// No intent is in the journal.
    not_begun: u32,
    rolled_back: u32,
    committed: u32,
    killed: u32,
}

impl Ends {
    /// What was said is what is there; what is there was written down; the next one finds its way.
    async fn judge(&mut self, world: &mut World, action: usize, home: &Path, output: &Output, what: &str) {
        let real = world.real(action).await;
        let journal = Journal::in_dir(&home.join(".local/state/pgmoat"));
        let read = journal.read().unwrap();
        assert!(read.damaged <= 1 && read.entries.len() <= 1, "{what}");
        let entry = read.entries.first();
        match (output.status.code(), real) {
            (_, Real::Partial) => panic!("{what}"),
            (Some(4), Real::Nothing) if entry.is_none() => self.not_begun += 1,
            (Some(4), Real::Nothing) => self.rolled_back += 1,
            // Done and told so; that its end is not written down is told apart.
            (Some(0 | 3), Real::Done) => {
                let told = String::from_utf8_lossy(&output.stdout).contains("Done: committed");
                let noted = String::from_utf8_lossy(&output.stderr).contains("could not write the journal");
                assert!(told && noted == (output.status.code() == Some(3)), "{what}");
                self.committed += 1;
            }
            (None, _) => self.killed += 1,
            (Some(_), _) => panic!("{what}"),
        }
        if real == Real::Done {
            assert!(entry.is_some_and(|e| e.transaction.is_some()), "done, and not written down: {what}");
        }
        // The next one settles what is open, and writes behind what was torn.
        let target = Conninfo::parse(&world.url(), &Env::default()).unwrap();
        let identity = world.identity(action).await;
        let found = settle(&target, &journal, identity.as_deref(), world.database()).await.unwrap();
        let right = |ending: &Ending| match ending {
            Ending::Committed { .. } => real == Real::Done,
            Ending::NotCommitted { .. } => real == Real::Nothing,
            _ => false,
        };
        assert!(found.iter().all(|(_, ending)| right(ending)), "{found:?} after {what}");
        let before = journal.read().unwrap().entries.len();
        let file = world.plan_file(action, home).await;
        let next = console(home, &["apply", &world.url(), "--plan", &file, "--yes"]).output().unwrap();
        assert!(next.status.success(), "{next:?} after {what}");
        let read = journal.read().unwrap();
        assert!(read.entries.len() == before + 1 && read.damaged <= 1, "{read:?} after {what}");
        assert!(read.entries.iter().all(|e| !e.is_open()), "{read:?} after {what}");
    }
}

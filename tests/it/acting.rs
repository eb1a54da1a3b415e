//! Acting from the console in a real terminal, on a real server: a finding is fixed with keys alone and taken back, a
//! statement is cancelled, a session ended; and a signal that is meant for somebody else ends nobody.

use std::{path::Path, time::Duration};

use pgmoat::{
    demo::cluster::SUPERUSER,
    server::signal::{Aim, Mark, Signal, Told, look, signal},
};

use crate::{
    read::runtime,
    support::{
        cluster::{self, connect, conninfo, shared},
        terminal::{ENTER, ESC, PATIENCE, Start, Terminal},
    },
};

/// Presses until it is seen to work: a key that comes before the dialog stands there is dropped.
#[track_caller]
pub fn insist(console: &mut Terminal, key: &str, text: &str) {
    for _ in 0..40 {
        console.send(key);
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(1500) {
            if console.text().contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    panic!("{key:?} never led to {text:?}:\n{}", console.text());
}

pub fn configured(home: &Path, url: &str, environment: &str, policy: &str) -> String {
    let config = home.join("config.toml");
    let text = format!(
        "[[instance]]\nname = \"it\"\nurl = \"{url}\"\nenvironment = \"{environment}\"\npolicy = \"it.policy.toml\"\n"
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(home.join("it.policy.toml"), policy).unwrap();
    config.display().to_string()
}

#[test]
fn a_finding_is_fixed_with_keys_alone_and_taken_back() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let (database, admin) = runtime.block_on(async {
        let database = shared.database("act_fix").await;
        let admin = connect(shared.cluster(), SUPERUSER, &database).await;
        admin
            .batch_execute(
                "create role act_app login; create role act_stranger login; create schema act_own authorization act_app; \
                 create table act_own.t (id int); alter table act_own.t owner to act_app; \
                 grant usage on schema act_own to act_stranger",
            )
            .await
            .unwrap();
        (database, admin)
    });
    let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"own\"\nschema = \"act_own\"\nrole = \"act_app\"\nversion_table = false\n\
        [[role]]\nname = \"act_stranger\"\naccess = {}\nlogin = true\n";
    let has = || {
        runtime.block_on(async {
            let row = admin.query_one("select has_schema_privilege('act_stranger', 'act_own', 'usage')", &[]).await;
            row.unwrap().get::<_, bool>(0)
        })
    };
    assert!(has());
    let config = configured(home.path(), &shared.cluster().url(SUPERUSER, &database), "production", policy);
    let mut console = Start::new(home.path(), &["--config", &config]).run();
    console.shows("PRIMARY");
    console.press("8", "act_stranger");
    console.press("/grant-excess\r", "of");
    insist(&mut console, "f", "What is run");
    assert!(console.text().contains("REVOKE USAGE ON SCHEMA act_own FROM act_stranger"), "{}", console.text());
    // A rehearsal proves it and changes nothing.
    insist(&mut console, "r", "Rehearsed: it works");
    assert!(has(), "it was rolled back");
    // The name of the database confirms here, and nothing less.
    insist(&mut console, ENTER, "to go on");
    console.send("y\r");
    console.send("\x1b[200~");
    console.send(&database);
    console.send("\x1b[201~\r");
    console.press("\x7f", "to go on");
    assert!(has());
    console.press(&format!("{database}\r"), "Done and committed");
    assert!(!has(), "and the finding's reason is gone");
    console.send(ESC);
    console.shows_no("What is run");
    console.press("9", "committed");
    insist(&mut console, "u", "Undo entry");
    console.shows("What is run");
    insist(&mut console, ENTER, "to go on");
    console.press(&format!("{database}\r"), "Done and committed");
    assert!(has(), "it was taken back");
    console.send(ESC);
    console.shows("undone");
    let journal = home.path().join(".local/state/pgmoat/journal.jsonl");
    let text = std::fs::read_to_string(journal).unwrap();
    assert_eq!(text.lines().filter(|l| l.contains("\"record\":\"intent\"")).count(), 3, "rehearsal, fix, undo");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn everything_is_fixed_with_keys_alone_and_taken_back() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let (database, admin) = runtime.block_on(async {
        let database = shared.database("act_all").await;
        let admin = connect(shared.cluster(), SUPERUSER, &database).await;
        (database, admin)
    });
    // a schema and a role that are missing: nothing was ever read of the schema that is made
    let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"made\"\nschema = \"act_made\"\nrole = \"act_maker\"\nversion_table = false\n";
    let is_there = || {
        runtime.block_on(async {
            let row = admin.query_one("select to_regnamespace('act_made') is not null", &[]).await;
            row.unwrap().get::<_, bool>(0)
        })
    };
    let config = configured(home.path(), &shared.cluster().url(SUPERUSER, &database), "development", policy);
    let mut console = Start::new(home.path(), &["--config", &config]).run();
    console.shows("PRIMARY");
    console.press("8", "act_made");
    console.press(":", "Go to, or do");
    console.press("everything\r", "What is run");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert!(is_there());
    console.send(ESC);
    console.shows_no("What is run");
    console.press("9", "committed");
    insist(&mut console, "u", "Undo entry");
    console.shows("What is run");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert!(!is_there(), "it was taken back");
    console.send(ESC);
    console.shows("undone");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

/// What an undo could not bring back by turning it round has to be done again as it was done first, or not at all.
#[test]
fn rows_that_were_moved_and_taken_back_are_moved_again_with_keys() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let (database, admin) = runtime.block_on(async {
        let database = shared.database("act_redo").await;
        let admin = connect(shared.cluster(), SUPERUSER, &database).await;
        let made = "create schema re_a; create schema re_b;
                    create table re_a.alembic_version (version_num varchar(32) not null primary key);
                    insert into re_a.alembic_version values ('e1'), ('l2')";
        admin.batch_execute(made).await.unwrap();
        (database, admin)
    });
    let rows = |schema: &str| {
        let sql = format!("select coalesce(string_agg(version_num, ',' order by 1), '') from {schema}.alembic_version");
        runtime.block_on(async { admin.query_one(&sql, &[]).await.unwrap().get::<_, String>(0) })
    };
    let url = shared.cluster().url(SUPERUSER, &database);
    for args in [
        &["versions", "move", &url, "--from", "re_a", "--to", "re_b", "--rows", "l2", "--yes"][..],
        &["undo", &url, "--yes"][..],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        let output = command.args(args).env_clear().env("HOME", home.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(rows("re_a"), "e1,l2");
    let mut console = Start::new(home.path(), &[&url]).run();
    console.shows("PRIMARY");
    console.press("9", "committed");
    insist(&mut console, "u", "Redo entry");
    console.shows("What is run");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert_eq!((rows("re_a").as_str(), rows("re_b").as_str()), ("e1", "l2"));
    console.send(ESC);
    console.shows_no("What is run");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

/// The password of what is done again is kept nowhere: the role gets another one, and that is said before.
#[test]
fn what_set_a_password_is_done_again_with_a_new_one_with_keys() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let database = runtime().block_on(shared.database("act_renewed"));
    let url = shared.cluster().url(SUPERUSER, &database);
    for args in [&["create-schema", &url, "renewed", "--yes"][..], &["undo", &url, "--yes"][..]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        let output = command.args(args).env_clear().env("HOME", home.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let files = || std::fs::read_dir(home.path().join(".local/state/pgmoat/handover")).into_iter().flatten().count();
    assert_eq!(files(), 0, "its password went with the role");
    let mut console = Start::new(home.path(), &[&url]).run();
    console.shows("PRIMARY");
    console.press("9", "committed");
    insist(&mut console, "u", "Redo entry");
    console.shows("renewed_app gets a new one");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    console.shows("Logged in as renewed_app");
    assert_eq!(files(), 1);
    console.send(ESC);
    console.shows_no("Done and committed");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn read_only_keeps_the_key_and_changes_nothing() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let url = shared.cluster().url(SUPERUSER, "postgres");
    let mut console = Start::new(home.path(), &["--read-only", &url]).run();
    console.shows("PRIMARY");
    console.press("6x", "read-only");
    console.press("X", "read-only");
    assert!(console.text().contains("6 Sessions"));
    assert!(!home.path().join(".local/state/pgmoat/journal.jsonl").exists());
}

/// A session that sleeps, and how to ask whether it still does.
async fn sleeper(shared: &cluster::Shared, name: &str) -> (i32, tokio::task::JoinHandle<Option<String>>) {
    let client = connect(shared.cluster(), SUPERUSER, "postgres").await;
    client.batch_execute(&format!("set application_name = '{name}'")).await.unwrap();
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let sleeps = tokio::spawn(async move {
        let error = client.batch_execute("select pg_sleep(600)").await.unwrap_err();
        let state = error.code().map(|c| c.code().to_owned());
        drop(client);
        state
    });
    (pid, sleeps)
}

#[test]
fn a_statement_is_cancelled_and_a_session_terminated_with_keys_alone() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let url = shared.cluster().url(SUPERUSER, "postgres");
    let mut console = Start::new(home.path(), &[&url]).run();
    console.shows("PRIMARY");
    for (key, state, word) in [("x", "57014", "cancelled"), ("X", "57P01", "terminated")] {
        let name = format!("act-sleeper-{word}");
        let (pid, sleeps) = runtime.block_on(sleeper(&shared, &name));
        console.press(&format!("6/{name}\r"), &pid.to_string());
        console.shows("active");
        insist(&mut console, key, "Nobody waits for it");
        assert!(!sleeps.is_finished(), "the key that opens the preview ends nothing");
        insist(&mut console, ENTER, "any other key");
        assert!(!sleeps.is_finished());
        insist(&mut console, "y", "1 session was");
        console.shows(word);
        let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, sleeps).await.unwrap().unwrap() });
        assert_eq!(ended.as_deref(), Some(state), "{key}");
        console.send(&ESC.repeat(3));
        console.shows_no("1 session was");
    }
    console.press("9", "terminate");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn a_wrong_start_ends_nobody() {
    let shared = shared(cluster::newest()).unwrap();
    let target = conninfo(shared.cluster(), SUPERUSER, "postgres");
    runtime().block_on(async {
        let (pid, sleeps) = sleeper(&shared, "act-other").await;
        let seen = loop {
            let seen = look(&target, vec![pid]).await.unwrap().remove(0);
            if seen.state.as_deref() == Some("active") {
                break seen;
            }
        };
        let (start, query) = (seen.backend_start_us.unwrap(), seen.query_start_us.unwrap());
        let aim = |start: i64, query: Option<i64>| Aim { pid, mark: Mark::Start(start), query_start_us: query };
        for (kind, aim) in [
            (Signal::Cancel, aim(start - 1, None)),
            (Signal::Terminate, aim(start + 1, None)),
            (Signal::Cancel, aim(start, Some(query - 1))),
            (Signal::Terminate, Aim { pid: 1, ..aim(start, None) }),
        ] {
            let told = signal(&target, kind, &[aim]).await.unwrap();
            assert!(matches!(told[..], [Told::Vanished(_)]), "{kind:?} {aim:?}: {told:?}");
            assert!(!sleeps.is_finished(), "{kind:?} {aim:?}");
        }
        // Of two, only the right one.
        let (second, other) = sleeper(&shared, "act-second").await;
        let start_of = look(&target, vec![second]).await.unwrap().remove(0).backend_start_us.unwrap();
        let right = Aim { pid: second, mark: Mark::Start(start_of), query_start_us: None };
        let told = signal(&target, Signal::Terminate, &[aim(start + 1, None), right]).await.unwrap();
        assert!(matches!(told[..], [Told::Vanished(_), Told::Ended]), "{told:?}");
        assert_eq!(other.await.unwrap().as_deref(), Some("57P01"));
        assert!(!sleeps.is_finished());
        // A background process is refused, with its name.
        let walwriter = connect(shared.cluster(), SUPERUSER, "postgres")
            .await
            .query_one("select pid from pg_stat_activity where backend_type = 'walwriter'", &[])
            .await
            .unwrap()
            .get::<_, i32>(0);
        let seen = look(&target, vec![walwriter]).await.unwrap().remove(0);
        let told = signal(
            &target,
            Signal::Terminate,
            &[Aim { pid: walwriter, mark: Mark::Start(seen.backend_start_us.unwrap()), query_start_us: None }],
        )
        .await
        .unwrap();
        assert!(matches!(&told[..], [Told::Vanished(why)] if why.contains("walwriter")), "{told:?}");
        sleeps.abort();
    });
}

#[test]
fn the_commands_end_what_they_name_and_exit_4_for_what_is_gone() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let url = shared.cluster().url(SUPERUSER, "postgres");
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgmoat"))
            .args(args)
            .env_clear()
            .env("HOME", home.path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    };
    runtime().block_on(async {
        let (pid, sleeps) = sleeper(&shared, "act-command").await;
        let target = conninfo(shared.cluster(), SUPERUSER, "postgres");
        while look(&target, vec![pid]).await.unwrap()[0].state.as_deref() != Some("active") {}
        let number = pid.to_string();
        let (code, text) = run(&["terminate", &url, &number]);
        assert!(code == Some(4) && text.contains("--yes"), "without a terminal it is not done: {code:?} {text}");
        let (code, text) = run(&["--read-only", "terminate", &url, &number, "--yes"]);
        assert!(code == Some(4) && text.contains("read-only"), "{code:?} {text}");
        assert!(!sleeps.is_finished());
        let (code, text) = run(&["cancel", &url, &number, "--yes"]);
        assert!(code == Some(0) && text.contains("Cancelled"), "{code:?} {text}");
        assert_eq!(sleeps.await.unwrap().as_deref(), Some("57014"));
        let (code, text) = run(&["terminate", &url, "1", "--yes"]);
        assert!(code == Some(4) && text.contains("no such session"), "{code:?} {text}");
        let (code, text) = run(&["terminate", &url, "soon", "--yes"]);
        assert!(code == Some(2), "{code:?} {text}");
    });
}

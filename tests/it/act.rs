//! The commands that act, from outside: what they show, ask, refuse, do, write down and take back, and how they exit.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    time::Duration,
};

use pgmoat::demo::{Demo, DemoOptions, cluster::SUPERUSER};
use serde_json::Value;

use crate::{
    acting::insist,
    cli::{Moat, Ran},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        meaning::Meaning,
        terminal::{ENTER, ESC, PATIENCE, Start},
    },
};

/// Every cell of the matrix, without what says when it was read.
fn matrix(moat: &Moat, config: &str, instance: &str) -> Value {
    moat.run(&["-c", config, "matrix", instance, "--format", "json"]).json()["instances"][0]["cells"].take()
}

/// A database of its own, a policy that wants a right more and one less, and a configuration that names both.
struct Small {
    moat: Moat,
    config: String,
    name: String,
    database: String,
}

impl Small {
    fn new(name: &str, environment: &str) -> Small {
        let cluster = shared(cluster::newest()).unwrap();
        let moat = Moat::new();
        let database = runtime().block_on(async {
            let database = cluster.database(name).await;
            let client = connect(cluster.cluster(), SUPERUSER, &database).await;
            let sql = format!(
                "create role {name}_app login; create role {name}_reader login; create schema {name} authorization {name}_app;
                 create table {name}.t (id int); alter table {name}.t owner to {name}_app;
                 grant usage on schema {name} to {name}_reader; grant select, delete on {name}.t to {name}_reader"
            );
            client.batch_execute(&sql).await.unwrap();
            database
        });
        let policy = moat.file(
            "p.toml",
            &format!(
                "name='{name}'\n[[service]]\nname='{name}'\nschema='{name}'\nrole='{name}_app'\nversion_table=false\n\
                 [[role]]\nname='{name}_reader'\naccess={{{name}=['read']}}\n"
            ),
        );
        let url = cluster.cluster().url(SUPERUSER, &database);
        let text = format!("[[instance]]\nname='small'\nurl='{url}'\npolicy='{policy}'\nenvironment='{environment}'\n");
        let config = moat.file("c.toml", &text);
        Small { moat, config, name: name.to_owned(), database }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let all: Vec<&str> = ["-c", &self.config].iter().chain(args).copied().collect();
        self.moat.run(&all)
    }

    fn sql(&self, sql: &str) {
        let cluster = shared(cluster::newest()).unwrap();
        runtime().block_on(async {
            let client = connect(cluster.cluster(), SUPERUSER, &self.database).await;
            client.batch_execute(sql).await.unwrap();
        });
    }

    fn journal(&self) -> Vec<Value> {
        self.run(&["journal", "--format", "json"]).exits(0).json()["entries"].as_array().unwrap().clone()
    }
}

/// Everything the program reads of an instance, by what it means.
fn meaning(moat: &Moat, config: &str, instance: &str) -> Meaning {
    Meaning::recorded(&moat.run(&["-c", config, "snapshot", instance]).exits(0).out)
}

/// Findings of an instance that have a fix, but for those that a plan said it leaves alone.
fn fixable(moat: &Moat, config: &str, instance: &str) -> Vec<String> {
    let again = moat.run(&["-c", config, "plan", instance, "--format", "json"]);
    let left = again.json();
    assert_eq!(again.code, 0, "the second plan is empty: {left:#}");
    let kept = left["left"].as_array().cloned().unwrap_or_default();
    let check = moat.run(&["-c", config, "check", instance, "--format", "json"]).json();
    let findings = check["findings"].as_array().unwrap().iter();
    findings
        // the policy speaks of the other instance, so that one is judged with it
        .filter(|f| f["instance"] == instance && !f["fix"].is_null())
        .map(|f| f["id"].as_str().unwrap().to_owned())
        .filter(|id| !kept.iter().any(|k| k["finding"] == **id))
        .collect()
}

/// The same as at first but for how some lists are spelled, and the undo named those.
#[track_caller]
fn restored(now: &Meaning, first: &Meaning, told: &str) {
    let differences = first.differences(now);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let respelled = first.respelled(now);
    let said = told.split(" will mean the same as before").next().filter(|said| said.len() < told.len());
    let count = said.and_then(|said| said.lines().last()?.split_whitespace().rev().nth(3)?.parse::<usize>().ok());
    assert!(count.unwrap_or(0) >= respelled.len(), "{count:?} {respelled:#?}\n{told}");
}

#[test]
fn the_demo_is_brought_to_its_policy_and_taken_back() {
    let runtime = runtime();
    let options = DemoOptions {
        major: Some(cluster::newest()),
        quiet: true,
        guard: Some(cluster::guard()),
        ..DemoOptions::default()
    };
    let demo = runtime.block_on(Demo::start(options, &mut |_| {})).unwrap();
    let config = demo.config_path().to_str().unwrap();
    // Rows that break a foreign key are for people to decide about; then it can be validated.
    runtime.block_on(async {
        let client = connect(demo.cluster("engarde").unwrap(), SUPERUSER, "engarde").await;
        client.batch_execute("delete from sankore.winning_patterns where trend_id = 999999").await.unwrap();
    });
    let moat = Moat::new();
    for instance in ["engarde", "flowdb"] {
        let first = meaning(&moat, config, instance);
        let before = matrix(&moat, config, instance);
        let plan = moat.run(&["-c", config, "plan", instance, "--format", "json"]).exits(1).json();
        let steps = plan["steps"].as_array().unwrap().len();
        assert!(steps > 0 && !plan["effects"].as_array().unwrap().is_empty());
        let rehearsed = moat.run(&["-c", config, "apply", instance, "--rehearse"]).exits(0);
        assert!(rehearsed.out.contains("Rehearsed"), "{}", rehearsed.out);
        let rehearsed = meaning(&moat, config, instance);
        assert_eq!(
            (first.differences(&rehearsed), first.respelled(&rehearsed)),
            (Vec::new(), Vec::new()),
            "a rehearsal"
        );
        moat.run(&["-c", config, "apply", instance, "--yes"]).exits(0);
        assert_eq!(fixable(&moat, config, instance), Vec::<String>::new());
        let done = meaning(&moat, config, instance);
        assert!(!first.differences(&done).is_empty());
        let told = moat.run(&["-c", config, "undo", instance, "--yes"]).exits(0).out;
        let back = meaning(&moat, config, instance);
        restored(&back, &first, &told);
        same(&matrix(&moat, config, instance), &before);
        moat.run(&["-c", config, "redo", instance, "--yes"]).exits(0);
        let differences = done.differences(&meaning(&moat, config, instance));
        assert!(differences.is_empty(), "done again: {}", differences.join("\n"));
        moat.run(&["-c", config, "undo", instance, "--yes"]).exits(0);
        let last = meaning(&moat, config, instance);
        assert_eq!((back.differences(&last), back.respelled(&last)), (Vec::new(), Vec::new()), "taken back again");
        println!(
            "{instance}: {steps} steps there and back twice; {} things mean what they meant, spelled otherwise: {:?}",
            first.len(),
            first.respelled(&last)
        );
        if instance == "engarde" {
            with_keys(&moat, config, instance, &first);
        }
    }
    let text = moat.run(&["-c", config, "journal"]).exits(0).out;
    assert!(text.contains("takes back entry") && text.contains("committed"), "{text}");
    runtime.block_on(async { drop(demo) });
}

/// Everything is fixed with keys alone, a second time there is nothing to fix, and `u` takes it back.
fn with_keys(moat: &Moat, config: &str, instance: &str, first: &Meaning) {
    let home = tempfile::tempdir().unwrap();
    let mut console = Start::new(home.path(), &["-c", config, instance]).run();
    console.shows("PRIMARY");
    // Before it is judged there is nothing to fix.
    console.shows("deploy_bot is a superuser");
    // The policy speaks of the other instance, which is open, too.
    console.press("i", "all instances");
    console.press(&format!("{instance}{ENTER}"), &format!("only {instance}"));
    console.press(":", "Go to, or do");
    console.press(&format!("fix everything{ENTER}"), "Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert_eq!(fixable(moat, config, instance), Vec::<String>::new(), "with keys");
    console.send(ESC);
    console.shows_no("Done and committed");
    // Once it was read anew, there is nothing left to fix, for all of it and for a row.
    console.send("R");
    insist(&mut console, &format!("{ESC}:fix everything"), "not now: no finding has a fix");
    console.send(ESC);
    console.press("8", "what is wrong");
    insist(&mut console, "f", "nothing to fix by itself");
    console.press("9", "committed");
    insist(&mut console, "u", "Undo entry");
    console.shows("Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    let differences = first.differences(&meaning(moat, config, instance));
    assert!(differences.is_empty(), "with keys: {}", differences.join("\n"));
    console.send(ESC);
    console.shows_no("Done and committed");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[track_caller]
fn same(a: &Value, b: &Value) {
    let key = |cell: &Value| format!("{} {}", cell["role"], cell["schema"]);
    let list = |v: &Value| v.as_array().unwrap().iter().map(|c| (key(c), c.clone())).collect::<BTreeMap<_, _>>();
    let (a, b) = (list(a), list(b));
    for (key, cell) in &b {
        assert_eq!(a.get(key), Some(cell), "{key}");
    }
    assert_eq!(a.len(), b.len());
}

#[test]
fn a_plan_is_shown_asked_for_and_refused() {
    let small = Small::new("act_shown", "development");
    let ran = small.run(&["plan"]).exits(1);
    for words in ["REVOKE", "act_shown_reader", "Undo:", "Effects on every role", "all or nothing"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let sql = small.run(&["plan", "--format", "sql"]).exits(1).out;
    assert!(sql.contains("REVOKE DELETE ON") && sql.contains("lock_timeout = 300"), "{sql}");
    assert!(
        sql.contains("\\set ON_ERROR_STOP on") && sql.contains("\ncommit;"),
        "one transaction, stopped by an error: {sql}"
    );
    small.run(&["plan", "--only", "no-such-code"]).exits(2).says(&["neither a code nor the id"]);
    small.run(&["plan", "--only", "role-missing"]).exits(0);
    // No terminal, no yes: refused, and nothing is written anywhere.
    small.run(&["apply"]).exits(4).says(&["there is no terminal", "--yes"]);
    small.run(&["--read-only", "apply", "--yes"]).exits(4).says(&["read-only"]);
    small.run(&["--read-only", "apply", "--rehearse"]).exits(4).says(&["read-only"]);
    small.run(&["--read-only", "undo", "--yes"]).exits(4).says(&["read-only"]);
    assert!(small.journal().is_empty());
    // A file of the plan, for its owner only; altered, it is refused.
    let file = small.moat.home.path().join("plan.json");
    let path = file.to_str().unwrap();
    small.run(&["plan", "-o", path]).exits(1);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("REVOKE DELETE ON", "GRANT DELETE ON")).unwrap();
    small.run(&["apply", "--plan", path, "--yes"]).exits(2).says(&["altered"]);
    fs::write(&file, text.replace("_reader", "_public")).unwrap();
    small.run(&["apply", "--plan", path, "--yes"]).exits(2).says(&["altered"]);
    fs::write(&file, &text).unwrap();
    // What moved since is named.
    small.sql("grant insert on act_shown.t to act_shown_reader");
    small.run(&["apply", "--plan", path, "--yes"]).exits(4).says(&["moved since", "table act_shown.t has changed"]);
    small.sql("revoke insert on act_shown.t from act_shown_reader");
    small.run(&["apply", "--plan", path, "--yes"]).exits(0);
    small.run(&["apply", "--plan", path, "--yes"]).exits(4);
    small.run(&["plan"]).exits(0);
    small.run(&["apply", "--yes"]).exits(0);
    let entries = small.journal();
    assert_eq!(entries.len(), 1, "only what was begun is there: {entries:?}");
    assert_eq!(entries[0]["state"], "committed");
    // Undo refuses what moved on, and says what.
    small.sql("grant insert on act_shown.t to act_shown_reader");
    small.run(&["undo", "--yes"]).exits(4).says(&["moved since", "table act_shown.t has changed"]);
    small.sql("revoke insert on act_shown.t from act_shown_reader");
    small.run(&["redo", "--yes"]).exits(4).says(&["nothing in the journal"]);
    small.run(&["undo", "1", "--yes"]).exits(0);
    small.run(&["undo", "1", "--yes"]).exits(4).says(&["did that already"]);
    small.run(&["undo", "77", "--yes"]).exits(2).says(&["no such entry"]);
    small.run(&["plan"]).exits(1);
    assert_eq!(small.journal()[0]["undoes"], 1);
    // What was done again is named where the first can no more be taken back.
    small.run(&["redo", "--yes"]).exits(0);
    small.run(&["undo", "1", "--yes"]).exits(4).says(&["entry 2 did that already", "`pgmoat undo 3`"]);
    let of = |name: &str| {
        small.run(&["journal", name, "--format", "json"]).exits(0).json()["entries"].as_array().unwrap().len()
    };
    assert_eq!((of("small"), of("elsewhere")), (3, 0));
}

#[test]
fn without_a_journal_nothing_is_done() {
    let small = Small::new("act_journal", "development");
    let state = small.moat.home.path().join(".local/state");
    fs::create_dir_all(&state).unwrap();
    // Where the directory should be, there is a file.
    fs::write(state.join("pgmoat"), "").unwrap();
    small.run(&["apply", "--yes"]).exits(4).says(&["the journal could not be written"]);
    fs::remove_file(state.join("pgmoat")).unwrap();
    // A device that is full.
    fs::create_dir(state.join("pgmoat")).unwrap();
    if std::path::Path::new("/dev/full").exists() {
        std::os::unix::fs::symlink("/dev/full", state.join("pgmoat/journal.jsonl")).unwrap();
        small.run(&["apply", "--yes"]).exits(4).says(&["could not"]);
        fs::remove_file(state.join("pgmoat/journal.jsonl")).unwrap();
    }
    small.run(&["plan"]).exits(1);
    small.run(&["apply", "--yes"]).exits(0);
    let mode = |path: &str| fs::metadata(state.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("pgmoat/journal.jsonl"), 0o600);
}

/// Production wants the name of the database; a yes is not enough.
#[test]
fn production_asks_for_the_typed_name() {
    let small = Small::new("act_production", "production");
    let start = || Start::new(small.moat.home.path(), &["-c", &small.config, "apply"]).run();
    let mut terminal = start();
    terminal.shows("Type the name of the database");
    terminal.send("yes");
    terminal.send(ENTER);
    assert_eq!(terminal.ends(Duration::from_secs(20)), 4);
    assert!(small.journal().is_empty());
    let mut terminal = start();
    terminal.shows("Type the name of the database");
    terminal.send(&small.database);
    terminal.send(ENTER);
    assert_eq!(terminal.ends(Duration::from_secs(20)), 0, "{}", terminal.text());
    assert_eq!(small.journal()[0]["state"], "committed");
    assert_eq!(small.name, "act_production");
}

/// Ctrl-C while it waits for a lock: nothing was changed, the exit code says so, and the journal too.
#[test]
fn an_interrupted_action_says_that_nothing_was_changed() {
    let small = Small::new("act_stop", "development");
    let cluster = shared(cluster::newest()).unwrap();
    let runtime = runtime();
    let blocker = runtime.block_on(async {
        let client = connect(cluster.cluster(), SUPERUSER, &small.database).await;
        client.batch_execute("begin; grant insert on act_stop.t to act_stop_app").await.unwrap();
        client
    });
    let mut command = small.moat.command(&["-c", &small.config, "apply", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("locked by others") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended before it was blocked");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4), "{rest}");
    assert!(rest.contains("nothing was changed: interrupted before COMMIT"), "{rest}");
    assert_eq!(small.journal()[0]["state"], "not_committed");
    runtime.block_on(async { blocker.batch_execute("rollback").await.unwrap() });
    small.run(&["plan"]).exits(1);
}

/// Before anything is confirmed the plan says who holds a lock that it needs, and that nobody does.
#[test]
fn a_plan_says_who_is_in_the_way_of_its_locks() {
    let small = Small::new("act_now", "development");
    small.sql("alter table act_now.t add column tenant_id text; create schema other authorization act_now_app");
    let rls = ["setup-rls", "small", "--tables", "act_now.t"];
    let ran = small.run(&rls).exits(4);
    assert!(ran.out.contains("At the moment nobody holds a lock on the table"), "{}", ran.out);
    let cluster = shared(cluster::newest()).unwrap();
    let runtime = runtime();
    let (pid, blocker) = runtime.block_on(async {
        let client = connect(cluster.cluster(), SUPERUSER, &small.database).await;
        client.batch_execute("set application_name = 'report'; begin; select from act_now.t").await.unwrap();
        let row = client.query_one("select pg_backend_pid()", &[]).await.unwrap();
        (row.get::<_, i32>(0), client)
    });
    let ran = small.run(&rls).exits(4);
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = format!("In the way at the moment: pid {pid} of {SUPERUSER} (report), idle in transaction");
    assert!(flat.contains(&named) && flat.contains("It holds a lock on act_now.t"), "{flat}");
    runtime.block_on(async { blocker.batch_execute("rollback").await.unwrap() });
}

/// Whoever reads the output goes away before COMMIT: what was set is written down all the same.
#[test]
fn a_password_that_was_set_is_never_lost_with_the_output() {
    let small = Small::new("act_lost", "development");
    let cluster = shared(cluster::newest()).unwrap();
    let runtime = runtime();
    let blocker = runtime.block_on(async {
        let client = connect(cluster.cluster(), SUPERUSER, &small.database).await;
        client.batch_execute("begin; grant insert on act_lost.t to act_lost_app").await.unwrap();
        client
    });
    let words = ["-c", &small.config, "create-schema", "small", "lost", "--read", "act_lost", "--yes"];
    let mut child = small.moat.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("locked by others") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended before it was blocked");
    }
    drop(child.stdout.take());
    runtime.block_on(async { blocker.batch_execute("rollback").await.unwrap() });
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert_eq!(small.journal()[0]["state"], "committed", "{rest}");
    let files: Vec<_> = fs::read_dir(small.moat.home.path().join(".local/state/pgmoat/handover"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?} {rest}");
    let url = fs::read_to_string(&files[0]).unwrap();
    assert!(url.starts_with("DATABASE_URL=postgresql://lost_app:"), "its password is in it");
    assert!(!rest.contains(url.split([':', '@']).nth(2).unwrap()));
}

/// Names that act on terminals, from the database to the plan, the journal and back.
#[test]
fn hostile_names_act_nowhere() {
    let small = Small::new("act_evil", "development");
    small.sql("grant select, delete on act_evil.t to pg_monitor");
    small.sql("create role \"act_\u{1b}[2J\u{202e}\n'\"\"x\"; grant insert on act_evil.t to \"act_\u{1b}[2J\u{202e}\n'\"\"x\"");
    let policy = small.moat.home.path().join("p.toml");
    let text = format!("undeclared='revoke'\n{}", fs::read_to_string(&policy).unwrap());
    fs::write(&policy, text).unwrap();
    for args in [&["plan"][..], &["plan", "--format", "json"], &["plan", "--format", "sql"], &["apply", "--yes"]] {
        let ran = small.run(args);
        assert!(ran.code < 2, "{args:?}: {}", ran.err);
        assert!(ran.out.contains("act_"), "{}", ran.out);
        for text in [&ran.out, &ran.err] {
            assert!(text.chars().all(|c| c == '\n' || !crate::support::terminal::acts(c)), "{args:?}: {text:?}");
        }
    }
    let journal = fs::read_to_string(small.moat.home.path().join(".local/state/pgmoat/journal.jsonl")).unwrap();
    assert!(journal.chars().all(|c| c == '\n' || !crate::support::terminal::acts(c)));
    assert_eq!(journal.lines().count(), 3, "intent, transaction, outcome: a line each");
    small.run(&["undo", "--yes"]).exits(0);
    let out = small.run(&["journal"]).exits(0).out;
    assert!(out.chars().all(|c| c == '\n' || !crate::support::terminal::acts(c)), "{out:?}");
    small.sql("drop owned by \"act_\u{1b}[2J\u{202e}\n'\"\"x\"; drop role \"act_\u{1b}[2J\u{202e}\n'\"\"x\"");
}

/// A role that lacks rights is told which, before anything runs; and with them it works without being a superuser.
#[test]
fn a_role_that_lacks_rights_is_told_which() {
    let small = Small::new("act_rights", "development");
    let cluster = shared(cluster::newest()).unwrap();
    small.sql("create role act_rights_weak login");
    let weak = cluster.cluster().url("act_rights_weak", &small.database);
    let policy = small.moat.home.path().join("p.toml").to_str().unwrap().to_owned();
    let ran = small.moat.run(&["apply", &weak, "--policy", &policy, "--yes"]).exits(4);
    let ran = ran.says(&["act_rights_weak lacks rights", "membership in role act_rights_app"]);
    assert!(ran.out.contains("cannot do this"), "{}", ran.out);
    assert!(small.journal().is_empty(), "refused before anything was begun");
    small.sql("grant act_rights_app to act_rights_weak");
    let ran = small.moat.run(&["plan", &weak, "--policy", &policy, "--only", "grant-excess"]).exits(1);
    assert!(!ran.out.contains("cannot do this"), "{}", ran.out);
    small.moat.run(&["apply", &weak, "--policy", &policy, "--only", "grant-excess", "--yes"]).exits(0);
    let entries = small.journal();
    assert_eq!(entries[0]["role"], "act_rights_weak");
}

/// The server asks for passwords on its TCP port, so a login shows that the new one works.
#[test]
fn a_service_gets_its_schema_its_role_and_its_password() {
    let small = Small::new("newcomer", "development");
    let run = |args: &[&str]| small.run(args);
    let rehearsed = run(&["create-schema", "small", "shop", "--read", "newcomer", "--rehearse"]).exits(0);
    assert!(rehearsed.out.contains("Rehearsed"), "{}", rehearsed.out);
    let policy = small.moat.home.path().join("p.toml");
    let before = fs::read_to_string(&policy).unwrap();
    let ran = run(&["create-schema", "small", "shop", "--read", "newcomer", "--yes"]).exits(0);
    assert!(
        ran.out.contains("the service is added to p.toml") && ran.out.contains("CONNECTION LIMIT 10"),
        "{}",
        ran.out
    );
    assert!(fs::read_to_string(&policy).unwrap().contains("name = \"shop\""), "declared like by the form");
    for words in ["CREATE SCHEMA shop", "Logged in as shop_app", "what it creates goes to shop", "DATABASE_URL="] {
        assert!(ran.out.contains(words), "{words} is not in {}", ran.out);
    }
    // the password stands in one file, and nowhere else
    let place = ran.out.lines().find_map(|l| l.strip_prefix("The URL with its password is in ")).unwrap().to_owned();
    let url = fs::read_to_string(&place).unwrap();
    let password = url.split([':', '@']).nth(2).unwrap().to_owned();
    assert_eq!(password.len(), 32, "{url}");
    assert!(!ran.out.contains(&password) && !ran.err.contains(&password));
    let journal = small.run(&["journal", "--format", "json"]).out;
    assert!(!journal.contains(&password) && !journal.contains("SCRAM-SHA-256$"), "{journal}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // declared, there is nothing left to say of it
    let check = small.run(&["check", "small", "--format", "json"]).json();
    let about: Vec<&Value> = check["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["severity"] != "info" && (f["role"] == "shop_app" || f["schema"] == "shop"))
        .collect();
    assert!(about.is_empty(), "{about:#?}");
    // a second time there is something in the way
    run(&["create-schema", "small", "shop", "--yes"]).exits(4).says(&["is there already", "pgmoat plan"]);
    // and it is taken back as a whole
    let undone = run(&["undo", "small", "--yes"]).exits(0).out;
    assert!(!small.run(&["matrix", "small", "--format", "json"]).out.contains("shop_app"));
    // with what it left in files
    assert!(undone.contains("shop is taken out of p.toml, if") && undone.contains("shop was taken out of"), "{undone}");
    assert!(undone.contains("The password of shop_app, which is gone, was deleted"), "{undone}");
    assert_eq!(fs::read_to_string(&policy).unwrap(), before);
    assert!(!Path::new(&place).exists());
    let told = run(&["journal"]).exits(0).out;
    assert!(told.contains("Undo entry 2: Create schema shop with role shop_app"), "{told}");
    // done again, it gets another password: said before, and in a file of its own again
    let again = run(&["redo", "small", "--yes"]).exits(0).out;
    assert!(again.contains("is kept nowhere: shop_app gets a new one"), "{again}");
    assert!(again.contains("Logged in as shop_app") && again.contains("Added to"), "{again}");
    assert!(again.contains(&format!("The URL with its password is in {place}")), "{again}");
    let new = fs::read_to_string(&place).unwrap();
    let renewed = new.split([':', '@']).nth(2).unwrap();
    assert!(renewed.len() == 32 && renewed != password && !again.contains(renewed), "{again}");
    let journal = run(&["journal", "--format", "json"]).out;
    assert!(!journal.contains(renewed) && !journal.contains("SCRAM-SHA-256$"), "{journal}");
    run(&["undo", "small", "--yes"]).exits(0);
    assert_eq!(fs::read_to_string(&policy).unwrap(), before);
    assert!(!Path::new(&place).exists());
    run(&["redo", "small", "--rehearse"]).exits(0);
    assert!(!Path::new(&place).exists(), "a rehearsal leaves no password");
    // what somebody altered since is not touched, and said
    run(&["create-schema", "small", "shop", "--yes"]).exits(0);
    let added = fs::read_to_string(&policy).unwrap().replace("connection_limit = 10", "connection_limit = 9");
    fs::write(&policy, &added).unwrap();
    let undone = run(&["undo", "small", "--yes"]).exits(0).out;
    assert!(undone.contains("still declares service shop"), "{undone}");
    assert_eq!(fs::read_to_string(&policy).unwrap(), added);
    fs::write(&policy, before).unwrap();
    run(&["create-schema", "small", "shop", "--leave-policy", "--connection-limit", "0", "--rehearse"]).exits(0);
}

/// A lock that is never given up: what is said fits on a screen, whoever holds it is named with what ends it, and each
/// attempt stands in the journal.
#[test]
fn a_lock_that_stays_is_told_in_a_few_lines() {
    let small = Small::new("act_locked", "development");
    small.sql("create schema act_locked_b");
    let cluster = shared(cluster::newest()).unwrap();
    let runtime = runtime();
    let (holder, pid) = runtime.block_on(async {
        let client = connect(cluster.cluster(), SUPERUSER, &small.database).await;
        client.batch_execute("set application_name = 'a report'; begin; select * from act_locked.t").await.unwrap();
        let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        (client, pid)
    });
    let words = ["move-objects", "small", "--from", "act_locked", "--to", "act_locked_b", "--tables", "t", "--yes"];
    let ran = small.run(&words).exits(4);
    let told: Vec<&str> = ran.err.lines().collect();
    assert!(told.len() <= 8, "{}", ran.err);
    ran.says(&[
        "nothing was changed:",
        "through 20 attempts in ",
        &format!("pid {pid} of {SUPERUSER} (a report), idle in transaction, in a transaction for "),
        ", its statement began ",
        "Journal entry 1 names each attempt",
        &format!("`pgmoat terminate small {pid}`"),
    ]);
    let entry = &small.journal()[0];
    let details = entry["ending"].to_string();
    for words in ["attempt 1, after ", "attempt 20, after "] {
        assert!(details.contains(words), "{words} is not in {details}");
    }
    // and what is named does end it
    small.run(&["terminate", "small", &pid.to_string(), "--yes"]).exits(0);
    small.run(&words).exits(0);
    drop(holder);
}

#[test]
fn a_password_is_set_and_a_superusers_service_gets_a_role_of_its_own() {
    let small = Small::new("rotating", "development");
    let set = small.run(&["set-password", "small", "rotating_app", "--yes"]).exits(0);
    assert!(set.out.contains("The new URL is in") && set.out.contains("cannot be brought back"), "{}", set.out);
    small.sql("create role rotating_boss superuser login; create schema boss authorization rotating_boss");
    small.sql("create table boss.t (id serial); alter table boss.t owner to rotating_boss");
    let ran = small.run(&["replace-role", "small", "rotating_boss", "rotating_new", "--yes"]).exits(0);
    assert!(ran.out.contains("ALTER TABLE boss.t OWNER TO rotating_new"), "{}", ran.out);
    let why = small.run(&["explain", "small", "rotating_new", "DELETE", "boss.t"]).exits(0);
    assert!(why.out.contains("owner"), "{}", why.out);
    small.run(&["set-password", "small", "nobody_here", "--yes"]).exits(4).says(&["there is no role nobody_here"]);
}

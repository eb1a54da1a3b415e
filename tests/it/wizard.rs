//! The guided set-up in a real terminal, with keys alone: from an empty database and from the demo's mess to a check that
//! finds nothing and a service that logs in; cut short and gone on with; on 80 columns.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use pgmoat::{
    config::{Conninfo, Env},
    demo::{Demo, DemoOptions, cluster::SUPERUSER},
    server::apply::login::try_login,
};
use rustix::process::Signal;

use crate::{
    applications::{App, GARDEN, HARBOR, short},
    cli::{Moat, Ran},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        terminal::{CTRL_C, DOWN, ENTER, ESC, PATIENCE, Start, Terminal},
    },
};

const RIGHT: &str = "\x1b[C";

/// Text as a terminal pastes it.
fn pasted(text: &str) -> String {
    format!("\x1b[200~{text}\x1b[201~")
}

fn check(moat: &Moat) -> Ran {
    moat.run(&["check"])
}

/// The hand-over files of a home, newest name last.
fn handed(home: &Path) -> Vec<PathBuf> {
    let dir = home.join(".local/state/pgmoat/handover");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Logs in with what stands in a hand-over file; the schema that it would make things in.
fn logs_in(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let url = text.trim().strip_prefix("DATABASE_URL=").unwrap();
    let conninfo = Conninfo::parse(url, &Env::default()).unwrap();
    runtime().block_on(try_login(&conninfo)).unwrap().current_schema
}

/// A project's migrations, up, down and up again, with what was handed over for a role; nothing where Alembic cannot be had.
fn migrates(files: &[PathBuf], role: &str, app: App) {
    let Some(tools) = short::here() else { return };
    let of = |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().contains(role));
    let text = std::fs::read_to_string(files.iter().find(of).unwrap()).unwrap();
    let url = text.trim().strip_prefix("DATABASE_URL=").unwrap();
    for args in [["upgrade", "heads"].as_slice(), &["check"], &["downgrade", "base"], &["upgrade", "heads"]] {
        let ran = tools.alembic(url, app, args);
        assert_eq!(ran.code, 0, "{role} {args:?}: {}", ran.text);
    }
}

/// Presses until the question is gone: a key that comes before it was drawn is dropped. Then waits for what it leads to.
#[track_caller]
fn answer(console: &mut Terminal, key: &str, question: &str, text: &str) {
    console.shows(question);
    for _ in 0..20 {
        console.send(key);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            if !console.text().contains(question) {
                console.shows(text);
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    panic!("{key:?} never answered {question:?}:\n{}", console.text());
}

const EARLIER: &str = "An earlier set-up was not finished.";
const SHALL: &str = "This would be run. Shall it?";
const FILES: &str = "These files remember it";

/// From the plan on the screen to the proofs.
fn to_the_end(console: &mut Terminal) {
    runs(console);
    answer(console, ENTER, "It is done.", FILES);
    console.shows("[[service]]");
    answer(console, ENTER, FILES, "Hand-over");
}

fn runs(console: &mut Terminal) {
    answer(console, ENTER, SHALL, "Run it now?");
    answer(console, "y", "Run it now?", "It is done.");
}

#[test]
fn an_empty_database_is_set_up_with_keys_alone() {
    let shared = shared(cluster::newest()).unwrap();
    let database = runtime().block_on(shared.database("wizard_empty"));
    let moat = Moat::new();
    let home = moat.home.path();
    // no configuration, no environment, no argument: the program begins with the set-up
    let mut console = Start::new(home, &[]).run();
    console.shows("Which database do you want to set up?");
    console.shows("connection string");
    console.send(&pasted(&shared.cluster().url(SUPERUSER, &database)));
    console.shows("▸ connection string");
    console.press(ENTER, "How careful should pgmoat be here?");
    console.press(ENTER, "This is what is there.");
    console.press(ENTER, "What is the new service called?");
    console.press("wizshop", "wizshop_app");
    console.press(ENTER, "Which services share this database?");
    console.press("a", "What is the new service called?");
    console.press("wizbill", "wizbill_app");
    console.press(ENTER, "For all of them");
    // the role that only reads
    console.press(DOWN, "For dashboards and people");
    console.press(" ", "[x] a role that only reads");
    console.press("e", "What is the role called that only reads?");
    console.press("\x15", "▸ role");
    console.press("wizreads", "wizreads");
    console.press(ENTER, "a role that only reads: wizreads");
    console.press(ENTER, "Who may do what in whose schema?");
    console.press(RIGHT, "in wizbill");
    console.press("r", "It may read its tables.");
    console.press(ENTER, SHALL);
    // statements stand on the first screen that would write
    console.shows("CREATE ROLE");
    to_the_end(&mut console);
    console.shows("It is set up, and it holds.");
    assert_eq!(check(&moat).exits(0).err, "");
    let files = handed(home);
    assert_eq!(files.len(), 3, "{files:?}");
    let schemas: Vec<Option<String>> = files.iter().map(|file| logs_in(file)).collect();
    assert!(schemas.contains(&Some("wizshop".to_owned())) && schemas.contains(&Some("wizbill".to_owned())));
    // real migrations run with what was handed over, and nothing is found afterwards
    migrates(&files, "wizshop_app", GARDEN);
    migrates(&files, "wizbill_app", HARBOR);
    assert_eq!(check(&moat).exits(0).err, "");
    // no password on the screen, in the files for others, or in what remembers the set-up
    let raw = String::from_utf8_lossy(&console.raw()).into_owned();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let secret = text.split(':').nth(2).and_then(|t| t.split('@').next()).unwrap().to_owned();
        assert!(secret.len() > 20 && !raw.contains(&secret));
        for place in [".local/state/pgmoat/journal.jsonl", ".config/pgmoat/config.toml"] {
            assert!(!std::fs::read_to_string(home.join(place)).unwrap().contains(&secret), "{place}");
        }
    }
    let unfinished = std::fs::read_dir(home.join(".local/state/pgmoat/setup")).into_iter().flatten().count();
    assert_eq!(unfinished, 0, "it is finished");
    // and on to the console
    console.press(ENTER, "PRIMARY");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    assert_eq!(console.given_back(), Ok(()));
}

#[test]
fn the_demo_s_mess_becomes_clean_or_is_left_with_a_reason() {
    let runtime = runtime();
    let options = DemoOptions {
        major: Some(cluster::newest()),
        quiet: true,
        guard: Some(cluster::guard()),
        ..DemoOptions::default()
    };
    let demo = runtime.block_on(Demo::start(options, &mut |_| {})).unwrap();
    let url = demo.cluster("engarde").unwrap().url(SUPERUSER, "engarde");
    let moat = Moat::new();
    let home = moat.home.path();
    let mut console = Start::new(home, &["init", &url]).run();
    console.shows("How careful should pgmoat be here?");
    console.press(ENTER, "wrong already");
    console.press(ENTER, "Other roles with access today");
    // a new service beside the mess
    console.press("a", "What is the new service called?");
    console.press("wiznew", "wiznew_app");
    console.press(ENTER, "A service of its own");
    console.press(ENTER, "Who may do what in whose schema?");
    console.press(ENTER, "cannot be settled by a plan");
    answer(&mut console, ENTER, "cannot be settled by a plan", SHALL);
    to_the_end(&mut console);
    console.shows("are left for now");
    let policy = std::fs::read_to_string(home.join("engarde.policy.toml")).unwrap();
    assert!(policy.contains("[[exception]]") && policy.contains("`pgmoat "), "{policy}");
    let checked = check(&moat).exits(0);
    assert!(checked.out.contains("Left as it is"), "{}", checked.out);
    let files = handed(home);
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(logs_in(&files[0]).as_deref(), Some("wiznew"));
    migrates(&files, "wiznew_app", HARBOR);
    check(&moat).exits(0);
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    runtime.block_on(async { drop(demo) });
}

#[test]
fn tables_in_public_are_found_still_after_the_set_up() {
    let shared = shared(cluster::newest()).unwrap();
    let runtime = runtime();
    let database = runtime.block_on(shared.database("wizard_grown"));
    let moat = Moat::new();
    let home = moat.home.path();
    let admin = runtime.block_on(connect(shared.cluster(), SUPERUSER, &database));
    let grown = "create role wizgrown_app login password 'w'; grant create on schema public to wizgrown_app;
        set role wizgrown_app; create table orders (id int primary key); create table items (id int);
        create table alembic_version (version_num varchar(32) primary key);
        insert into alembic_version values ('aaa111'), ('bbb222')";
    runtime.block_on(admin.batch_execute(grown)).unwrap();
    let mut console = Start::new(home, &["init", &shared.cluster().tcp_url(SUPERUSER, &database)]).run();
    console.shows("How careful should pgmoat be here?");
    console.press(ENTER, "This is what is there.");
    // nothing is typed: the service is proposed where its tables are
    console.press(ENTER, "Which services share this database?");
    console.shows("[x] wizgrown   public            wizgrown_app");
    console.press(ENTER, "Who may do what in whose schema?");
    console.press(ENTER, SHALL);
    console.shows("GRANT USAGE ON SCHEMA public TO wizgrown_app");
    let plan = console.text();
    let few = plan.lines().find_map(|line| line.trim().split_once(" statements in one transaction")).unwrap();
    assert!((1..=4).contains(&few.0.parse::<usize>().unwrap()), "{plan}");
    assert!(!plan.contains("REVOKE") && !plan.contains("search_path"), "{plan}");
    to_the_end(&mut console);
    console.shows("It is set up, and it holds.");
    // the application goes on with its default path, and migrates
    let port = shared.cluster().port();
    let url = format!("postgresql://wizgrown_app:w@127.0.0.1:{port}/{database}");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let found: i64 = client.query_one("select count(*) from orders, items", &[]).await.unwrap().get(0);
        assert_eq!(found, 0);
        client.batch_execute("alter table items add column n int; create table more (id int)").await.unwrap();
    });
    // the password was in the connection string alone: it is asked for again, unless p writes it down
    console.shows("p adds it to ~/.pgpass");
    let password = home.join(".pgpass");
    assert!(!password.exists(), "nothing is written before the key");
    console.press("p", "/.pgpass; only you can read it.");
    let line = std::fs::read_to_string(&password).unwrap();
    assert!(line.starts_with(&format!("127.0.0.1:{port}:{database}:{SUPERUSER}:")), "another line");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&password).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    assert_eq!(check(&moat).exits(0).err, "");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn a_set_up_that_was_cut_goes_on_where_it_was() {
    let shared = shared(cluster::newest()).unwrap();
    let database = runtime().block_on(shared.database("wizard_cut"));
    let moat = Moat::new();
    let home = moat.home.path();
    let url = shared.cluster().url(SUPERUSER, &database);
    let mut console = Start::new(home, &["init", &url]).size(80, 24).run();
    console.shows("How careful should pgmoat be here?");
    console.press(ENTER, "This is what is there.");
    console.press(ENTER, "What is the new service called?");
    console.press("wizcut", "wizcut_app");
    console.press(ENTER, "For all of them");
    console.press(ENTER, "Who may do what in whose schema?");
    // back and forth keeps what was answered
    console.press(ESC, "Which services share this database?");
    console.press(ESC, "This is what is there.");
    console.press(ESC, "How careful should pgmoat be here?");
    console.press(ENTER, "This is what is there.");
    console.press(ENTER, "wizcut_app");
    console.press(ENTER, "Who may do what in whose schema?");
    console.signal(Signal::KILL);
    console.ends(PATIENCE);
    drop(console);

    let mut console = Start::new(home, &[]).size(80, 24).run();
    console.shows(EARLIER);
    console.shows("wizcut");
    answer(&mut console, ENTER, EARLIER, "Who may do what in whose schema?");
    // left on purpose, it says how to go on
    console.send(CTRL_C);
    console.shows("`pgmoat init` goes on there");
    assert_eq!(console.ends(PATIENCE), 0);
    drop(console);

    let mut console = Start::new(home, &["init"]).size(80, 24).run();
    answer(&mut console, ENTER, EARLIER, "Who may do what in whose schema?");
    console.press(ENTER, SHALL);
    runs(&mut console);
    // cut between the database and the files: the password is on disk
    console.signal(Signal::KILL);
    console.ends(PATIENCE);
    drop(console);
    assert_eq!(handed(home).len(), 1);

    let mut console = Start::new(home, &["init"]).size(80, 24).run();
    console.shows("the plan was run");
    answer(&mut console, ENTER, EARLIER, "Everything is as you want it");
    console.press(ENTER, FILES);
    console.shows("name = \"wizard_cut");
    answer(&mut console, ENTER, FILES, "logged in as wizcut_app");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    assert_eq!(check(&moat).exits(0).err, "");
    assert_eq!(logs_in(&handed(home)[0]).as_deref(), Some("wizcut"));
}

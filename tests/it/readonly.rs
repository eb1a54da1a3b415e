//! What is read-only stays as it is, whatever is pressed. Every key of the program in every pane of a console in a real
//! terminal: the server was asked what the files of `server/read` hold and nothing else, no transaction wrote, and the
//! catalog is the same. And without any screen between: what is read-only runs no plan and sends no signal.

use std::time::{Duration, Instant};

use pgmoat::{
    app::actions::ACTIONS,
    audit::Journal,
    config::{Config, Env, Target, TargetOptions, target},
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    domain::change::{Change, RoleAttributes},
    plan::Approved,
    run::act::{self, Order},
    server::{
        apply::{ApplyOptions, Outcome, Reason, apply},
        signal::{Aim, Mark, Signal, look, signal},
    },
};

use crate::{
    acting::insist,
    apply::{Beside, plan},
    read::runtime,
    support::{
        cluster::{self, connect, conninfo},
        terminal::{DOWN, ENTER, ESC, PATIENCE, Start, Terminal},
    },
};

/// The statements of every file that reads, as the pieces between what is put in: a list of names, a condition.
struct Allowed(Vec<Vec<String>>);

/// One blank for any space, so that files and the log agree.
fn even(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands between the places that are filled in: `@word` and `@word(…)`.
fn pieces(sql: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = sql;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at);
        let word = after[1..].find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len() - 1) + 1;
        pieces.last_mut().unwrap().push_str(before);
        if word == 1 {
            pieces.last_mut().unwrap().push('@');
            rest = &after[1..];
            continue;
        }
        rest = &after[word..];
        if let Some(inside) = rest.strip_prefix('(') {
            rest = inside.split_once(')').unwrap().1;
        }
        pieces.push(String::new());
    }
    pieces.last_mut().unwrap().push_str(rest);
    pieces.iter().map(|piece| even(piece)).collect()
}

/// The pieces stand in the text in this order, the first at its beginning, the last at its end.
fn is_made_of(text: &str, pieces: &[String]) -> bool {
    let Some((first, more)) = pieces.split_first() else { return false };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for (i, piece) in more.iter().enumerate() {
        let found = if i + 1 == more.len() { rest.rfind(piece.as_str()) } else { rest.find(piece.as_str()) };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

impl Allowed {
    fn new() -> Allowed {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/read");
        let acts = ["begin", "signal_cancel", "signal_terminate", "advisory", "isolation", "xid."];
        let texts = std::fs::read_dir(dir).unwrap().flatten().filter_map(|file| {
            let name = file.file_name().into_string().unwrap();
            let reads = std::path::Path::new(&name).extension().is_some_and(|e| e == "sql")
                && !acts.iter().any(|start| name.starts_with(start));
            reads.then(|| pieces(&std::fs::read_to_string(file.path()).unwrap()))
        });
        let allowed = Allowed(texts.collect());
        assert!(allowed.0.len() > 60);
        allowed
    }

    fn allows(&self, statement: &str) -> bool {
        let text = even(statement);
        if ["commit", "rollback"].contains(&text.as_str()) {
            return true;
        }
        if let Some(rest) = text.strip_prefix("begin isolation level repeatable read read only;") {
            let mut rest = rest.split(';').map(str::trim).filter(|part| !part.is_empty());
            return rest.all(|part| {
                let locks = part.starts_with("lock table only ") && part.ends_with(" in access share mode nowait");
                part.starts_with("set local ") || locks
            });
        }
        if text.starts_with("copy ") {
            return text.ends_with(" (version_num) to stdout");
        }
        // one statement, which has the text of a file
        self.0.iter().any(|pieces| is_made_of(&text, pieces))
    }
}

/// The statements that sessions of ours were heard with since a place in the log.
fn statements(log: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if open {
                let last = all.last_mut().unwrap();
                last.push('\n');
                last.push_str(more);
            }
            continue;
        }
        let said = line.strip_prefix("pgmoat|").and_then(|rest| Some(rest.split_once("|LOG:  ")?.1));
        let begins = |said: &'static str| move |text: &str| text.strip_prefix(said).map(str::to_owned);
        let statement = said.and_then(|text| {
            begins("statement: ")(text)
                .or_else(|| text.strip_prefix("execute ")?.split_once(": ").map(|s| s.1.to_owned()))
        });
        open = statement.is_some();
        all.extend(statement);
    }
    all
}

struct World {
    own: Cluster,
    database: &'static str,
    home: tempfile::TempDir,
    heard: usize,
}

impl World {
    /// A database with something to do for every action; its server writes every statement down.
    fn new() -> World {
        let settings = [("log_statement", "all"), ("log_line_prefix", "'%a|%p|'"), ("autovacuum", "off")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let server = cluster::server(cluster::newest());
        let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
        let world = World { own, database: "ro", home: tempfile::tempdir().unwrap(), heard: 0 };
        runtime().block_on(async {
            let admin = connect(&world.own, SUPERUSER, "postgres").await;
            admin.batch_execute("create role ro_app login; create role ro_stranger login").await.unwrap();
            admin.batch_execute("create database ro").await.unwrap();
            let admin = connect(&world.own, SUPERUSER, world.database).await;
            let made = "create schema own authorization ro_app; create table own.t (id int); alter table own.t owner to ro_app;
                grant usage on schema own to ro_stranger; create schema re_a; create schema re_b;
                create table re_a.alembic_version (version_num varchar(32) not null primary key);
                insert into re_a.alembic_version values ('e1'), ('l2')";
            admin.batch_execute(made).await.unwrap();
        });
        let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"own\"\nschema = \"own\"\nrole = \"ro_app\"\n\
            version_table = false\n[[role]]\nname = \"ro_stranger\"\naccess = {}\nlogin = true\n";
        std::fs::write(world.home.path().join("it.policy.toml"), policy).unwrap();
        // the journal has something that could be taken back
        let moves = ["versions", "move", &world.url(), "--from", "re_a", "--to", "re_b", "--rows", "l2", "--yes"];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        let output = command.args(moves).env_clear().env("HOME", world.home.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        world
    }

    fn url(&self) -> String {
        self.own.url(SUPERUSER, self.database)
    }

    fn configured(&self, name: &str, more: &str) -> String {
        let config = self.home.path().join(format!("{name}.toml"));
        let text = format!(
            "[[instance]]\nname = \"it\"\nurl = \"{}\"\nenvironment = \"development\"\npolicy = \"it.policy.toml\"\n{more}",
            self.url()
        );
        std::fs::write(&config, text).unwrap();
        config.display().to_string()
    }

    /// What sessions of ours asked since the last time.
    fn asked(&mut self) -> Vec<String> {
        let log = String::from_utf8_lossy(&std::fs::read(self.own.log()).unwrap()).into_owned();
        let new = statements(&log[self.heard..]);
        self.heard = log.len();
        new
    }

    /// The number of the next transaction that writes, and everything that an action could change.
    fn state(&self) -> (String, String) {
        let catalogs = "pg_authid pg_auth_members pg_namespace pg_proc pg_default_acl pg_db_role_setting pg_database pg_policy \
            pg_attribute pg_type pg_trigger pg_extension";
        let mut parts: Vec<String> = catalogs
            .split_whitespace()
            .map(|name| format!("select t::text as entry from pg_catalog.{name} as t"))
            .collect();
        parts.push(
            "select (oid, relname, relnamespace, relowner, relkind, relacl)::text from pg_catalog.pg_class".into(),
        );
        parts.push(
            "select v::text from re_a.alembic_version as v union all select v::text from re_b.alembic_version as v"
                .into(),
        );
        let hash = format!(
            "select md5(string_agg(entry, '|' order by entry)) from ({}) as entries",
            parts.join(" union all ")
        );
        runtime().block_on(async {
            let admin = connect(&self.own, SUPERUSER, self.database).await;
            let ask = async |sql: &str| admin.query_one(sql, &[]).await.unwrap().get::<_, String>(0);
            (ask("select pg_snapshot_xmax(pg_current_snapshot())::text").await, ask(&hash).await)
        })
    }
}

/// A key as a terminal sends it.
fn bytes(key: &str) -> String {
    let known = match key {
        "enter" => ENTER,
        "esc" => ESC,
        "up" => "\x1b[A",
        "down" => DOWN,
        "right" => "\x1b[C",
        "left" => "\x1b[D",
        "home" => "\x1b[H",
        "end" => "\x1b[F",
        "pgup" => "\x1b[5~",
        "pgdn" => "\x1b[6~",
        "tab" => "\t",
        "shift-tab" => "\x1b[Z",
        "space" => " ",
        "f1" => "\x1bOP",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    if let Some(letter) = key.strip_prefix("ctrl-") {
        return char::from(letter.as_bytes()[0] & 0x1f).to_string();
    }
    assert_eq!(key.chars().count(), 1, "how does a terminal send {key}?");
    key.to_owned()
}

/// What ends the console or stops it says nothing about what it does.
const LEAVES: [&str; 2] = ["quit", "suspend"];

/// Presses, and gives what comes of it time to stand on the screen: what a dialog is answered before that is dropped.
fn slowly(console: &mut Terminal, keys: &str) {
    let before = console.raw().len();
    console.send(keys);
    let begun = Instant::now();
    while console.raw().len() == before && begun.elapsed() < Duration::from_millis(40) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Every key in every pane, with answers to whatever it may have opened. The number of keys.
fn every_key(console: &mut Terminal, database: &str) -> usize {
    let mut keys = 0;
    for pane in 1..=9 {
        let pane = pane.to_string();
        for action in ACTIONS.iter().filter(|action| !LEAVES.contains(&action.id)) {
            for key in action.keys {
                console.send(&format!("{pane}{DOWN}"));
                slowly(console, &bytes(key));
                if action.acts || action.id == "rehearse" {
                    slowly(console, ENTER);
                    slowly(console, "y");
                }
                console.send(&format!("{ENTER}y{ENTER}yrxXfcmIu{ENTER}"));
                console.send(&ESC.repeat(4));
                keys += 1;
            }
            // those that have no key of their own are in the palette
            if action.acts {
                console.send(&format!("{pane}:{}", action.title));
                slowly(console, ENTER);
                slowly(console, ENTER);
                console.send(&format!("y{ENTER}{database}{ENTER}"));
                console.send(&ESC.repeat(4));
                keys += 1;
            }
        }
        console.send(&pane);
        console.press("?", "what it shows, and its keys");
        console.send(ESC);
        console.shows_no("what it shows, and its keys");
    }
    keys
}

#[test]
fn every_key_in_every_pane_only_reads() {
    let mut world = World::new();
    let allowed = Allowed::new();
    let before = world.state();
    world.asked();
    let (flag, file) = (world.configured("flag", ""), world.configured("file", "read_only = true\n"));
    for (how, args) in [("--read-only", vec!["--read-only", "--config", &flag]), ("read_only", vec!["--config", &file])]
    {
        let mut console = Start::new(world.home.path(), &args).run();
        console.shows("PRIMARY");
        console.press("8", "ro_stranger");
        console.press("9", "committed");
        let keys = every_key(&mut console, world.database);
        console.press("6X", "read-only");
        console.send("q");
        assert_eq!(console.ends(PATIENCE), 0);
        let asked = world.asked();
        let strange: Vec<&String> = asked.iter().filter(|statement| !allowed.allows(statement)).collect();
        println!("{how}: {keys} keys in 9 panes, {} statements, {} outside the list", asked.len(), strange.len());
        assert!(asked.len() > 20);
        assert!(strange.is_empty(), "{how}: {strange:#?}");
        assert_eq!(world.state(), before, "{how}: something was written");
    }
    // The same list notices a console that may act, even where everything is rolled back.
    let mut console = Start::new(world.home.path(), &["--config", &flag]).run();
    console.shows("PRIMARY");
    console.press("8", "ro_stranger");
    console.press("/grant-excess\r", "of");
    insist(&mut console, "f", "What is run");
    insist(&mut console, "r", "Rehearsed: it works");
    console.send("q");
    let asked = world.asked();
    let strange: Vec<&String> = asked.iter().filter(|statement| !allowed.allows(statement)).collect();
    assert!(strange.iter().any(|statement| statement.starts_with("REVOKE ")), "{strange:#?}");
    assert!(strange.iter().any(|statement| statement.contains("read write")), "{strange:#?}");
}

/// No screen, no command and no gate of either stands between here and the server.
#[test]
fn what_is_read_only_runs_no_plan_and_sends_no_signal() {
    let shared = cluster::shared(cluster::newest()).unwrap();
    let url = shared.cluster().url(SUPERUSER, "postgres");
    runtime().block_on(async {
        let admin = connect(shared.cluster(), SUPERUSER, "postgres").await;
        let pid: i32 = admin.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let writes = conninfo(shared.cluster(), SUPERUSER, "postgres");
        let role = Change::CreateRole { name: "ro_made".into(), attributes: RoleAttributes::default() };
        let plan = plan(&writes, vec![role]).await;
        let approved = || -> Approved { plan.clone().approve() };
        let start = look(&writes, vec![pid]).await.unwrap().remove(0).backend_start_us.unwrap();
        let aims = [Aim { pid, mark: Mark::Start(start), query_start_us: None }];
        let options = TargetOptions { targets: vec![url], read_only: true, ..TargetOptions::default() };
        let target: Target = target::resolve_one(&options, &Config::default(), &Env::default()).unwrap();
        let refused = |outcome: &Outcome| {
            matches!(outcome, Outcome::NothingChanged(Reason::Refused(why)) if why.contains("read-only"))
        };
        for rehearse in [false, true] {
            let options = ApplyOptions { rehearse, ..ApplyOptions::default() };
            let outcome = apply(&target.conninfo, &approved(), &options, &mut Beside::default()).await;
            assert!(refused(&outcome), "{outcome:?}");
        }
        for kind in [Signal::Cancel, Signal::Terminate] {
            let error = signal(&target.conninfo, kind, &aims).await.unwrap_err();
            assert!(error.to_string().contains("read-only"), "{error}");
        }
        let home = tempfile::tempdir().unwrap();
        let journal = Journal::in_dir(home.path());
        let order = Order { plan: approved(), link: None, options: ApplyOptions::default() };
        let acted = Box::pin(act::act(&target, &journal, order, &mut |_| None, &mut |_| ())).await;
        assert!(refused(&acted.outcome) && acted.id.is_none(), "{acted:?}");
        let (place, names) = ((None, "postgres".to_owned()), ["x".to_owned()]);
        let error = act::signal(&target, &journal, place, Signal::Terminate, &aims, &names).await.unwrap_err();
        assert!(error.contains("read-only"), "{error}");
        assert!(!journal.path().exists());
        let made = admin.query_one("select to_regrole('ro_made') is null", &[]).await.unwrap();
        assert!(made.get::<_, bool>(0), "and the session that was meant is the one that answers");
    });
}

/// The set-up has a loop, screens and targets of its own: the same holds there.
#[test]
fn the_guided_set_up_only_shows_what_it_would_do() {
    let shared = cluster::shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let database = runtime().block_on(shared.database("ro_guide"));
    let url = shared.cluster().url(SUPERUSER, &database);
    let mut console = Start::new(home.path(), &["--read-only", "init", &url]).run();
    console.shows("How careful should pgmoat be here?");
    console.press(ENTER, "This is what is there.");
    console.press(ENTER, "What is the new service called?");
    console.press("roguide", "roguide_app");
    console.press(ENTER, "For all of them");
    console.press(ENTER, "Who may do what in whose schema?");
    console.press(ENTER, "This would be run. Shall it?");
    insist(&mut console, ENTER, "Run it now?");
    insist(&mut console, "y", "read-only");
    runtime().block_on(async {
        let admin = connect(shared.cluster(), SUPERUSER, &database).await;
        let made = "select to_regrole('roguide_app') is null and to_regnamespace('roguide') is null";
        assert!(admin.query_one(made, &[]).await.unwrap().get::<_, bool>(0));
    });
}

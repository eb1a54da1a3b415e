//! A server full of names, texts, version tables and access lists that mean ill: nothing of it acts on a terminal, hides
//! or merges with another, and no trap laid for a superuser who looks goes off while the console looks again and again.

use std::{
    collections::BTreeSet,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::{
    demo::cluster::{Cluster, ClusterOptions},
    domain::{quote_ident, snapshot::VersionRows},
    server::{Reader, Want},
};
use serde_json::Value;
use tokio_postgres::Client;

use crate::{
    cli::Moat,
    read::runtime,
    support::{
        cluster::{self, connect, conninfo},
        terminal::{ENTER, ESC, PATIENCE, Start, acts, plain},
    },
    traps::{TRAPS, fired, is_superuser},
};

/// Names as schemas, roles and tables may have them, and some as databases have them.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a\"b",
        "a\";drop table t;--",
        "a''b",
        "a\\b",
        "a\\u{1b}b",
        "$$",
        ":x",
        "{a,b}",
        "a=r/b",
        "=UC/postgres",
        "16384",
        "PUBLIC",
        "Public",
        "current_user",
        "CURRENT_ROLE",
        "session_user",
        "PG_X",
        "select",
        "user",
        "null",
        "*",
        "%s %n",
        "../../etc/passwd",
        "-rf",
        "--help",
        " lead",
        "trail ",
        "\u{c5}",
        "A\u{30a}",
        "\u{430}dmin",
        "admin",
        "admin\u{200b}",
        "\u{202e}nimda",
        "\u{2066}x\u{2069}",
        "a\u{2028}b",
        "\u{feff}bom",
        "tag\u{e0041}",
        "\u{130}\u{131}",
        "日本語",
        "👨\u{200d}👩\u{200d}👧",
        "\ttab",
        "line\nfeed",
        "carriage\rreturn",
        "vt\u{b}",
        "del\u{7f}",
        "bs\u{8}",
        "\u{1b}[2Jx",
        "\u{1b}]0;t\u{7}",
        "\u{1b}]52;c;cHduZWQ=\u{7}",
        "\u{1b}]8;;http://x\u{1b}\\",
        "\u{1b}P..\u{1b}\\",
        "\u{1b}[?1049l",
        "\u{1b}[6n",
        "\u{9b}31m",
        "\u{9d}x",
        "so\u{e}",
        "\u{301}mark",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(format!("a{}", "\u{301}".repeat(31)));
    names.push("x".repeat(63));
    names.push("é".repeat(31));
    names
}

/// Version tables that are none, or odd ones; each in a schema of its own, `@` in it.
const VERSION_TABLES: &[&str] = &[
    "create table @.alembic_version (version_num varchar(32)); insert into @.alembic_version values (null)",
    "create table @.alembic_version (version_num varchar(32))",
    "create table @.alembic_version (version_num text); insert into @.alembic_version values ('a'), ('b')",
    "create table @.alembic_version (version_num text); insert into @.alembic_version select g::text from generate_series(1, 50000) g",
    "create table @.alembic_version (version_num text); insert into @.alembic_version values (repeat('x', 5000000))",
    "create table @.alembic_version (version_num text); insert into @.alembic_version values (e'\\x1b[2J\\x1b]0;t\\x07'), (e'\\u202e'), ('''')",
    "create table @.alembic_version (version_num int); insert into @.alembic_version values (7)",
    "create table @.alembic_version (other text); insert into @.alembic_version values ('x')",
    "create table @.alembic_version ()",
    "create view @.alembic_version as select 'v'::text as version_num",
    "create materialized view @.alembic_version as select 'm'::text as version_num",
    "create table @.alembic_version (version_num text) partition by list (version_num)",
    "create table @.alembic_version (version_num text); alter table @.alembic_version enable row level security, force row level security; create policy p on @.alembic_version using (false)",
    "create type @.e as enum (e'\\x1b[31m'); create table @.alembic_version (version_num @.e); insert into @.alembic_version values (e'\\x1b[31m')",
    "create domain @.d as text check (value <> ''); create table @.alembic_version (version_num @.d); insert into @.alembic_version values ('d')",
    "create unlogged table @.alembic_version (version_num text); insert into @.alembic_version values ('u')",
    "create table @.parent (version_num text); create table @.alembic_version () inherits (@.parent); insert into @.alembic_version values ('i')",
    "create sequence @.alembic_version",
    "create table @.alembic_version (version_num text); insert into @.alembic_version select g::text from generate_series(1, 1000000) g",
    "create table @.alembic_version (version_num text); insert into @.alembic_version values (repeat('x', 100000000))",
    "create foreign table @.alembic_version (version_num text) server nowhere",
    "create table @.alembic_version (version_num text) partition by list (version_num);
     create table @.alembic_version_of_a partition of @.alembic_version for values in ('a'); insert into @.alembic_version values ('a')",
    "create table @.alembic_version (version_num text); create table @.child () inherits (@.alembic_version); insert into @.child values ('c')",
];

/// Access lists that are odd; `@` is a name of the corpus.
const ACCESS: &[&str] = &[
    "create schema odd; create table odd.none (id int); revoke all on odd.none from current_user",
    "create table odd.empty (id int); alter table odd.empty owner to @; revoke all on odd.empty from @",
    "create table odd.gone (id int); set allow_system_table_mods = on;
     update pg_catalog.pg_class set relacl = array[pg_catalog.makeaclitem(99999, 10, 'SELECT', false), pg_catalog.makeaclitem(0, 10, 'SELECT', true)]
     where oid = 'odd.gone'::pg_catalog.regclass; reset allow_system_table_mods",
    "create table odd.wide (id int, \"\x1b[2J\" int); grant all on odd.wide to @ with grant option; grant select (\"\x1b[2J\") on odd.wide to public",
    "create function odd.\"\x1b]0;f\x07\"(\"\x1b[2Jarg\" int) returns int language sql security definer as 'select 1'",
    "alter default privileges grant all on tables to @; alter default privileges for role @ in schema odd grant select on tables to public",
    "create role r0 noinherit; do $$ begin for i in 1..50 loop execute format('create role r%s %s in role r%s', i, case when i % 7 = 0 then 'noinherit' else '' end, i - 1); end loop; end $$; grant select on odd.wide to r0; grant @ to r50",
    "comment on schema odd is e'\\x1b[2J'; comment on table odd.wide is e'\\u202e'",
    "alter role @ set search_path = \"\x1b[2J\", odd; alter role @ connection limit 3 valid until '2001-01-01'",
];

async fn all(client: &Client, statements: &[String]) {
    for statement in statements {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement:?}: {error:?}"));
    }
}

/// The server with all of it in the database `hostile`, made once and changed by nobody; sessions with odd texts stay open
/// while they are held.
async fn hostile() -> (&'static Cluster, Vec<Client>) {
    static MADE: OnceLock<Cluster> = OnceLock::new();
    let made = || MADE.get_or_init(|| std::thread::spawn(|| runtime().block_on(made())).join().unwrap());
    let own = tokio::task::spawn_blocking(made).await.unwrap();
    (own, talking(own).await)
}

async fn made() -> Cluster {
    let server = cluster::server(cluster::newest());
    let settings = vec![("track_activity_query_size".to_owned(), "1048576".to_owned())];
    let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
    let setup = connect(&own, "postgres", "postgres").await;
    setup.batch_execute("create database hostile").await.unwrap();
    for database in ["\u{1b}[2Jdb", "\u{202e}bd"] {
        setup.batch_execute(&format!("create database {}", quote_ident(database))).await.unwrap();
    }
    let client = connect(&own, "postgres", "hostile").await;
    let mut statements = vec![
        "create schema tables; create table tables.base (id int);
         create foreign data wrapper w; create server nowhere foreign data wrapper w"
            .to_owned(),
    ];
    for name in names() {
        let quoted = quote_ident(&name);
        statements.push(format!(
            "create role {quoted} login; create schema {quoted} authorization {quoted};
             create table {quoted}.{quoted} ({quoted} int, tenant_id int); create table tables.{quoted} (id int);
             grant select on tables.{quoted} to {quoted}; grant usage on schema tables to {quoted}"
        ));
    }
    let escape = quote_ident("\u{1b}[2Jx");
    for (i, sql) in VERSION_TABLES.iter().enumerate() {
        let schema = quote_ident(&format!("v{i}\u{1b}[31m"));
        statements.push(format!("create schema {schema}; {}", sql.replace('@', &schema)));
    }
    statements.extend(ACCESS.iter().map(|sql| sql.replace('@', &escape)));
    all(&client, &statements).await;
    own
}

/// Sessions that say odd things, one of them a megabyte of it, and one with a table of its own before everybody else's.
async fn talking(own: &Cluster) -> Vec<Client> {
    let mut sessions = Vec::new();
    for (i, name) in ["\u{1b}[2Jx", "\u{202e}nimda", "日本語", "line\nfeed"].iter().enumerate() {
        let session = connect(own, name, "hostile").await;
        let text = format!(
            "begin; select {i} /* \u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{202e} {} 日本 */",
            // longer than what is kept of it, which then ends within a letter
            "\u{e9}z\u{1b}".repeat(i * 100_000)
        );
        session.batch_execute("set application_name = e'\\x1b[2J\\u202e'").await.unwrap();
        session.batch_execute(&text).await.unwrap();
        sessions.push(session);
    }
    let session = connect(own, "postgres", "hostile").await;
    let shadows =
        "create temp table alembic_version (version_num text); insert into alembic_version values (e'\\x1b[2Jtemp')";
    session.batch_execute(shadows).await.unwrap();
    sessions.push(session);
    sessions
}

/// Roles or schemas as the server has them, predefined and system ones left out.
pub async fn stored(client: &Client, sql: &str) -> BTreeSet<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn named(cells: &[Value], key: &str) -> BTreeSet<String> {
    cells.iter().filter_map(|cell| cell[key].as_str().map(str::to_owned)).collect()
}

#[track_caller]
pub fn harmless(what: &str, text: &str) {
    if let Some(at) = text.find(|c| acts(c) && c != '\t') {
        let from = text[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
        panic!("{what}: {:?}", text[from..].chars().take(120).collect::<String>());
    }
}

#[test]
fn no_command_prints_what_acts_and_no_two_names_become_one() {
    runtime().block_on(async {
        let (own, _sessions) = hostile().await;
        let (moat, url) = (Moat::new(), own.url("postgres", "hostile"));
        let recording = moat.file("recording.json", "");
        let derived = moat.file("derived.toml", "");
        let commands: &[&[&str]] = &[
            &["check", "--format", "text"],
            &["check", "--format", "json"],
            &["check", "--format", "sarif"],
            &["matrix", "--format", "text"],
            &["matrix", "--format", "json"],
            &["matrix", "--format", "csv"],
            &["matrix", "--format", "markdown"],
            &["versions", "--format", "text"],
            &["versions", "--format", "json"],
            &["sessions", "--format", "text"],
            &["sessions", "--format", "json"],
            &["snapshot"],
            &["policy", "derive"],
        ];
        for args in commands {
            let what = args.join(" ");
            let words: Vec<&str> = args.iter().copied().chain([url.as_str()]).collect();
            let ran = moat.run(&words);
            assert!(ran.code <= 1, "{what}: {} {}", ran.code, ran.err);
            assert!(!ran.out.is_empty(), "{what}");
            harmless(&what, &ran.out);
            harmless(&what, &ran.err);
            if matches!(args.last(), Some(&("json" | "sarif" | "snapshot"))) {
                let json: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{what}: {error}"));
                if what == "matrix --format json" {
                    let client = connect(own, "postgres", "hostile").await;
                    let cells = json["instances"][0]["cells"].as_array().unwrap();
                    let roles = "select rolname::text from pg_roles where oid >= 16384 or rolname = 'postgres'";
                    assert_eq!(named(cells, "role"), stored(&client, roles).await);
                    let schemas = "select nspname::text from pg_namespace where oid >= 16384 and nspname !~ '^pg_' or nspname = 'public'";
                    assert_eq!(named(cells, "schema"), stored(&client, schemas).await);
                }
            }
            if what == "policy derive" {
                std::fs::write(&derived, &ran.out).unwrap();
            }
            if what == "snapshot" {
                std::fs::write(&recording, &ran.out).unwrap();
            }
        }
        // Names go in as arguments too.
        for name in names() {
            for format in ["text", "json"] {
                let object = format!("schema:{name}");
                let ran = moat.run(&["explain", "--format", format, "--", &url, &name, "USAGE", &object]);
                harmless(&name, &ran.out);
                harmless(&name, &ran.err);
                assert!(ran.code <= 2, "{name:?}: {}", ran.err);
            }
        }
        // What was written is read back.
        let words = ["check", "--snapshot", &recording, "--policy", &derived];
        let ran = moat.run(&words);
        assert!(ran.code <= 1, "{}", ran.err);
        harmless("check of a recording", &ran.out);
    });
}

#[test]
fn no_pane_writes_what_acts() {
    runtime().block_on(async {
        let (own, _sessions) = hostile().await;
        let home = tempfile::tempdir().unwrap();
        for database in ["hostile", "\u{1b}[2Jdb"] {
            let mut console = Start::new(home.path(), &["-h", &own.socket_dir().to_string_lossy(), "-p"]).args(&[
                &own.port().to_string(),
                "-U",
                "postgres",
                "-d",
                database,
            ]);
            console.env.push(("PGPASSWORD".to_owned(), own.password().to_owned()));
            let mut console = console.run();
            console.shows("PRIMARY");
            for pane in "12345678".chars() {
                console.send(&format!("{pane}g"));
                console.press("?", "what it shows, and its keys");
                console.send(ESC);
                for _ in 0..14 {
                    // The row's story, then a page further.
                    console.send(&format!("{ENTER}{ESC}l\x1b[6~"));
                }
                console.send(&format!("G{ENTER}{ESC}{ESC}/u{ENTER}{ESC}s{ESC}"));
                console.send(&pane.to_string());
                console.press("?", "what it shows, and its keys");
                console.send(ESC);
            }
            if database == "hostile" {
                // However slow the machine: keys may come faster than what they show.
                console.shows_no("what it shows, and its keys");
                console.press("2/[2J\r", "── /[2J ");
                console.shows("\\u{1b}[2J");
                console.send(ESC);
                console.shows_no("/[2J");
                console.press("/nimda\r", "── /nimda ");
                console.shows("\\u{202e}");
                // What is shown of it can be typed, too.
                console.send(ESC);
                console.shows_no("/nimda");
                console.press("/{202e}nim\r", "── /{202e}nim ");
                console.shows("\\u{202e}nimda");
            }
            console.send("q");
            assert_eq!(console.ends(PATIENCE), 0);
            let raw = console.raw();
            let text = plain(&raw).unwrap_or_else(|fault| panic!("{database:?}: {fault}"));
            if database == "hostile" {
                // It was really there to be seen.
                assert!(text.contains("\\u{1b}[2J") && text.contains("\\u{202e}"), "nothing hostile was shown");
            }
        }
    });
}

#[test]
fn bytes_that_are_no_text_are_shown_as_such() {
    runtime().block_on(async {
        let server = cluster::server(cluster::newest());
        let own = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
        let setup = connect(&own, "postgres", "postgres").await;
        let create = "create database raw encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'";
        setup.batch_execute(create).await.unwrap();
        let raw = connect(&own, "postgres", "raw").await;
        raw.batch_execute(
            "do $$ begin
               execute format('create schema %I', 'caf' || chr(233)); execute format('create schema %I', 'caf' || chr(234));
               execute format('create role %I', chr(255) || chr(254)); execute format('create role %I', chr(192) || chr(128));
               execute format('create table %I.%I (id int)', 'caf' || chr(233), chr(233));
               execute format('grant usage on schema %I to %I', 'caf' || chr(233), chr(255) || chr(254));
             end $$",
        )
        .await
        .unwrap();
        // More than the 1,024 bytes that are kept of a statement: the cut falls within a letter, which no encoding mends here.
        raw.batch_execute(&format!("select 1 /* {}\u{1b}[2J */", "\u{e9}".repeat(2_000))).await.unwrap();
        let moat = Moat::new();
        for database in ["raw", "postgres"] {
            let ran = moat.run(&["sessions", &own.url("postgres", database)]).exits(0);
            harmless("sessions", &ran.out);
            assert!(ran.out.contains("select 1 /*"), "{}", ran.out);
            let url = own.url("postgres", database);
            for args in [&["check"][..], &["matrix"], &["matrix", "--format", "json"], &["snapshot"], &["policy", "derive"]] {
                let words: Vec<&str> = args.iter().copied().chain([url.as_str()]).collect();
                let ran = moat.run(&words);
                assert!(ran.code <= 1, "{database} {args:?}: {}", ran.err);
                harmless(&format!("{database} {args:?}"), &ran.out);
                if args == ["matrix", "--format", "json"] && database == "raw" {
                    let cells = ran.json()["instances"][0]["cells"].as_array().unwrap().clone();
                    assert_eq!(named(&cells, "schema").len(), 3, "public and two that differ in one byte");
                    assert_eq!(named(&cells, "role").len(), 3, "postgres and two");
                }
            }
            let home = tempfile::tempdir().unwrap();
            let mut console = Start::new(home.path(), &[&url]).run();
            console.shows("PRIMARY");
            if database == "raw" {
                console.press("2", "caf\\xE9");
                console.shows("caf\\xEA");
            }
            console.press("3", "\\xFF\\xFE");
            console.send("q");
            assert_eq!(console.ends(PATIENCE), 0);
            plain(&console.raw()).unwrap();
        }
    });
}

#[test]
fn no_trap_goes_off_while_the_console_looks() {
    runtime().block_on(async {
        let server = cluster::server(cluster::newest());
        let own = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
        let setup = connect(&own, "postgres", "postgres").await;
        setup.batch_execute("create role trap_mallory login").await.unwrap();
        setup.batch_execute("create database trapped owner trap_mallory").await.unwrap();
        let mark = own.socket_dir().join("trap-fired");
        let mallory = connect(&own, "trap_mallory", "trapped").await;
        let traps = TRAPS.replace("{mark}", &mark.to_string_lossy()).replace("{db}", "trapped");
        mallory.batch_execute(&traps).await.unwrap();
        let before = fired(&own.log());

        let moat = Moat::new();
        let url = own.url("postgres", "trapped");
        let config = moat.file(
            "fast.toml",
            &format!(
                "[ui]\nrefresh_ms = 250\ncatalog_refresh_ms = 1000\n[[instance]]\nname = \"trapped\"\nurl = \"{url}\"\n"
            ),
        );
        let home = tempfile::tempdir().unwrap();
        let mut console = Start::new(home.path(), &["--config", &config]).run();
        console.shows("PRIMARY");
        // What mallory does opens the gate, so that everything is read again each time; each is waited for on the screen.
        for round in 0..4 {
            mallory.batch_execute(&format!("create schema trap_round_{round}; analyze")).await.unwrap();
            console.send("2g");
            console.send(&format!("/round_{round}{ENTER}"));
            let seen = Instant::now();
            console.shows_that("the new schema", PATIENCE, |text| {
                text.matches(&format!("trap_round_{round}")).count() >= 1
            });
            assert!(seen.elapsed() < Duration::from_secs(60));
            console.send(ESC);
            for pane in "12345678".chars() {
                console.send(&format!("{pane}{ENTER}{ENTER}{ESC}{ESC}R"));
                console.press("?", "what it shows, and its keys");
                console.send(ESC);
            }
        }
        console.send("q");
        assert_eq!(console.ends(PATIENCE), 0);
        assert_eq!(fired(&own.log()), before, "a trap went off");
        assert!(!mark.exists() && !is_superuser(&setup).await, "mallory is a superuser");
        // They are sharp.
        let look = connect(&own, "postgres", "trapped").await;
        let _ = look.batch_execute("begin; explain select version_num from evil.alembic_version; rollback").await;
        assert!(fired(&own.log()) > before);
    });
}

/// A version table that is dropped, made again, or replaced by a view between the look and the reading: what is read is a
/// table's rows or nothing, and the view is never asked.
#[test]
fn a_version_table_that_is_swapped_while_it_is_read_runs_nothing() {
    runtime().block_on(async {
        let server = cluster::server(cluster::newest());
        let own = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
        let setup = connect(&own, "postgres", "postgres").await;
        setup
            .batch_execute(
                "create role swapper login; create schema swap authorization swapper; set role swapper;
                 create function swap.spring() returns text volatile language plpgsql as $$ begin
                   raise log 'TRAP FIRED for %', current_user; return 'from the view'; end $$; reset role",
            )
            .await
            .unwrap();
        let before = fired(&own.log());
        let (over, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
        let swapping = async {
            let client = connect(&own, "swapper", "postgres").await;
            while !over.load(Ordering::Relaxed) {
                for sql in [
                    "create table swap.alembic_version (version_num varchar(32)); insert into swap.alembic_version values ('a')",
                    "begin; drop table swap.alembic_version; create view swap.alembic_version as select swap.spring() as version_num; commit",
                    "drop view swap.alembic_version",
                    "create table swap.alembic_version (version_num varchar(32)); insert into swap.alembic_version values ('b')",
                    "begin; alter table swap.alembic_version rename to gone;
                     create table swap.alembic_version (version_num varchar(32)); insert into swap.alembic_version values ('c');
                     drop table swap.gone; commit",
                    "drop table swap.alembic_version",
                ] {
                    client.batch_execute(sql).await.unwrap();
                    // Each state stands for a time that changes, so that a slow reader meets all of them too.
                    let pause = u64::from(swaps.load(Ordering::Relaxed)) * 7 % 40;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        };
        let reading = async {
            let mut reader = Reader::open(&conninfo(&own, "postgres", "postgres"), "swap").await.unwrap();
            let want = Want { versions: true, ..Want::default() };
            let (mut seen, begun) = (BTreeSet::new(), Instant::now());
            // Long enough that each state was met, and some were changed on the way.
            while begun.elapsed() < PATIENCE && (seen.len() < 3 || !seen.contains("rows") || swaps.load(Ordering::Relaxed) < 30) {
                let snapshot = reader.snapshot(&want).await.unwrap();
                for table in &snapshot.versions.0 {
                    let rows = match &table.rows {
                        VersionRows::Known(rows) => {
                            assert!(rows.iter().all(|row| ["a", "b", "c"].contains(&row.as_str())), "{rows:?}");
                            "rows".to_owned()
                        }
                        VersionRows::Locked(_) => "locked".to_owned(),
                        VersionRows::Refused(why) => why.clone(),
                        other => panic!("{other:?}"),
                    };
                    seen.insert(rows);
                }
            }
            over.store(true, Ordering::Relaxed);
            seen
        };
        let (seen, ()) = tokio::join!(reading, swapping);
        assert!(seen.len() >= 3 && seen.contains("rows"), "{seen:?}");
        println!("{} rounds of swaps, met: {seen:?}", swaps.load(Ordering::Relaxed));
        assert_eq!(fired(&own.log()), before, "the view was asked");
        let _ = setup.batch_execute("create view careless as select swap.spring(); select * from careless").await;
        assert!(fired(&own.log()) > before, "the trap was meant to be sharp");
    });
}

/// What a server says on the way, at length: warnings, errors, details, hints and contexts of 100 kB with escapes in them.
#[test]
fn what_the_server_says_at_length_acts_nowhere() {
    runtime().block_on(async {
        let server = cluster::server(cluster::newest());
        let own = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
        let setup = connect(&own, "postgres", "postgres").await;
        let evil = r"e'\x1b[2J\x1b]0;t\x07\u202e\u009b31m'";
        setup
            .batch_execute(&format!(
                "create role loud_app; create schema loud authorization loud_app; create table loud.t (id int);
                 create role loud_stranger; grant select on loud.t to loud_stranger;
                 create table public.say (how text); insert into public.say values ('warning');
                 create function public.talk() returns event_trigger language plpgsql as $$
                 declare long text := {evil} || repeat({evil} || ' words ', 4000); declare way text := (select how from public.say);
                 begin
                   raise warning using message = long, detail = long, hint = long;
                   if way = 'error' then
                     execute format('do %L', format('begin raise exception using message = %L, detail = %L, hint = %L, errcode = ''P0001''; end', long, long, long));
                   end if;
                 end $$;
                 create event trigger talk on ddl_command_end execute function public.talk()"
            ))
            .await
            .unwrap();
        // Whatever locales the server has, it may speak in; what is meant is told by codes.
        for locale in ["de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "ru_RU.UTF-8"] {
            if setup.batch_execute(&format!("alter database postgres set lc_messages = '{locale}'")).await.is_ok() {
                break;
            }
        }
        let moat = Moat::new();
        let policy = moat.file(
            "p.toml",
            "undeclared = \"revoke\"\n[[service]]\nname = \"loud\"\nschema = \"loud\"\nrole = \"loud_app\"\nversion_table = false\n",
        );
        let (url, log) = (own.url("postgres", "postgres"), moat.home.path().join("log"));
        let (log, home) = (log.to_str().unwrap(), moat.home.path());
        let act = |code: i32| {
            let ran = moat.run(&["apply", &url, "--policy", &policy, "--yes", "--log", log, "-vv"]);
            for (what, text) in [("stdout", &ran.out), ("stderr", &ran.err)] {
                harmless(what, text);
                assert!(text.len() < 100_000, "{what}: {} bytes", text.len());
            }
            harmless("the log", &std::fs::read_to_string(log).unwrap());
            let journal = std::fs::read_to_string(home.join(".local/state/pgmoat/journal.jsonl")).unwrap();
            harmless("the journal", &journal);
            let longest = journal.lines().map(str::len).max().unwrap_or_default();
            assert!(longest < 100_000, "the journal: a line of {longest} bytes");
            ran.exits(code)
        };
        setup.batch_execute("update public.say set how = 'error'").await.unwrap();
        let refused = act(4);
        assert!(refused.err.contains("\\u{1b}[2J") && refused.err.contains("words"), "the server's own words are shown");
        let ran = moat.run(&["journal"]).exits(0);
        harmless("the journal, told", &ran.out);
        // The same in the console: the words of a refusal on a screen.
        let mut console = Start::new(home, &[&url, "--policy", &policy]).run();
        console.shows("PRIMARY");
        console.press("9", "not done");
        console.send(&format!("{ENTER}{}", "\x1b[6~".repeat(5)));
        console.send(&format!("{ESC}{ESC}q"));
        assert_eq!(console.ends(PATIENCE), 0);
        plain(&console.raw()).unwrap_or_else(|fault| panic!("{fault}"));
        setup.batch_execute("update public.say set how = 'warning'").await.unwrap();
        act(0);
        let ran = moat.run(&["undo", &url, "--yes"]).exits(0);
        harmless("undo", &ran.out);
        harmless("undo", &ran.err);
    });
}

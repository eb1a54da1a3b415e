//! Names that mean ill, in everything that acts: each of them as schema, role, table, column and revision goes through every
//! action on a real server, stands afterwards as it was predicted, and comes back. Nothing of it acts on a terminal, on the
//! way out of a command, in the log, in the journal or in a file, and no two names become one.
//!
//! Plans are made for every name; those of one action are run as one by the program. Names also go through the commands
//! one by one. The short run takes a dozen names, and one for the commands; `PGMOAT_TEST_HOSTILE=all` takes them all.

use std::{collections::BTreeSet, fmt::Write as _, fs, sync::Arc};

use pgmoat::{
    config::Conninfo,
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    domain::{
        alembic::Lineages, change::Change, dependencies::Dependencies, qualified, quote_ident, snapshot::Snapshot,
    },
    plan::{
        Ground, Plan, Refused, audit, build,
        choice::Choice,
        moves::{Answers, Proposal, isolate, tables, versions},
        setup, tenancy,
    },
    server::{
        Reader,
        apply::{ApplyOptions, Outcome, apply},
        signal::{Aim, Mark, Signal, Told, look, signal},
    },
};
use tokio_postgres::{Client, NoTls};

use crate::{
    acting::insist,
    apply::{Beside, snapshot},
    cli::{Moat, Ran},
    hostile::{self, harmless, stored},
    read::runtime,
    support::{
        cluster::{self, connect, conninfo},
        meaning::Meaning,
        terminal::{DOWN, ENTER, ESC, PATIENCE, Start, TAB, plain},
    },
};

fn all() -> bool {
    std::env::var("PGMOAT_TEST_HOSTILE").is_ok_and(|word| word == "all")
}

/// The corpus, or the worst of it.
fn names() -> Vec<String> {
    let mut names = hostile::names();
    if !all() {
        let kept = [
            "a\";drop table t;--",
            "a\\b",
            "=UC/postgres",
            "PUBLIC",
            "*",
            "../../etc/passwd",
            "--help",
            "\ttab",
            "line\nfeed",
        ];
        let worst = ["\u{202e}nimda", "\u{1b}[2Jx", "\u{9b}31m"];
        names.retain(|name| kept.contains(&name.as_str()) || worst.contains(&name.as_str()) || name.len() == 63);
    }
    names
}

/// A server of its own, one database in it, and the program.
struct Place {
    own: Cluster,
    moat: Moat,
    url: String,
    target: Conninfo,
    client: Client,
}

impl Place {
    async fn new() -> Place {
        let server = cluster::server(cluster::newest());
        let settings = vec![("max_connections".to_owned(), "150".to_owned())];
        let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
        let (url, target) = (own.url(SUPERUSER, SUPERUSER), conninfo(&own, SUPERUSER, SUPERUSER));
        let client = connect(&own, SUPERUSER, SUPERUSER).await;
        Place { own, moat: Moat::new(), url, target, client }
    }

    async fn sql(&self, statements: impl IntoIterator<Item = String>) {
        for sql in statements {
            self.client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql:?}: {error:?}"));
        }
    }

    /// A command with the log in a file; nothing that acts comes out of it anywhere.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let log = self.moat.home.path().join("log");
        let log = log.to_str().unwrap();
        let words: Vec<&str> = ["--log", log, "-vv"].iter().chain(args).copied().collect();
        let ran = self.moat.run(&words);
        let what = format!("{args:?}");
        harmless(&what, &ran.out);
        harmless(&what, &ran.err);
        let logged = fs::read_to_string(log).unwrap_or_default();
        assert!(!logged.is_empty(), "{what}: nothing was logged");
        harmless(&format!("the log of {what}"), &logged);
        ran
    }

    /// The journal as it stands in its file: a line is a record.
    fn journal(&self) -> String {
        fs::read_to_string(self.moat.home.path().join(".local/state/pgmoat/journal.jsonl")).unwrap()
    }

    /// Runs the changes of one action for every name as one plan, by the program, and takes them back.
    async fn through(&self, what: &str, changes: Vec<Change>) -> Plan {
        let before = snapshot(&self.target).await;
        let plan = build::of_changes(&before, changes).unwrap_or_else(|why| panic!("{what}: {why}"));
        let plan = plan.called(format!("{what} {}", names().join(" ")));
        let file = self.moat.file("plan.json", &serde_json::to_string(&plan).unwrap());
        self.run(&["apply", &self.url, "--plan", &file, "--yes"]).exits(0);
        let done = snapshot(&self.target).await;
        let moved = plan.predicted.moved(&Ground::of(&done, plan.predicted.keys().cloned()));
        assert!(moved.is_empty(), "{what} was predicted otherwise: {moved:#?}");
        self.run(&["undo", &self.url, "--yes"]).exits(0);
        let differences = Meaning::of(&before).differences(&Meaning::of(&snapshot(&self.target).await));
        assert!(differences.is_empty(), "{what} was not taken back: {}", differences.join("\n"));
        plan
    }
}

/// The changes of several plans, each once, without passwords, which no file of a plan holds.
fn together(plans: impl IntoIterator<Item = Plan>) -> Vec<Change> {
    let mut all = Vec::new();
    for step in plans.into_iter().flat_map(|plan| plan.steps) {
        if !all.contains(&step.change) && !matches!(step.change, Change::SetPassword { .. }) {
            all.push(step.change);
        }
    }
    all
}

/// Answers whatever is asked with yes.
fn answered(mut make: impl FnMut(&Answers) -> Result<Proposal, Refused>) -> Plan {
    let mut answers = Answers::new();
    for _ in 0..5 {
        let proposal = make(&answers).unwrap_or_else(|why| panic!("{why}"));
        if proposal.questions.is_empty() {
            return proposal.plan;
        }
        answers.extend(proposal.questions.into_iter().map(|question| (question.about, true)));
    }
    panic!("it never stops asking: {answers:?}");
}

/// What a plan that moves things out of these schemas has to know.
async fn uses(place: &Place, at: &Snapshot, schemas: &[String]) -> Vec<Dependencies> {
    let mut reader = Reader::open(&place.target, "test").await.unwrap();
    let mut list = Vec::new();
    for schema in schemas {
        let oid = at.catalog.schema_named(schema).unwrap().oid;
        list.push(reader.dependencies(at.server.version_num, oid).await.unwrap());
    }
    list
}

/// A name as a choice of tables writes it.
fn chosen(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[test]
fn every_name_goes_through_every_action_and_comes_back() {
    let runtime = runtime();
    runtime.block_on(async {
        let place = Place::new().await;
        let names = names();
        let next = |i: usize| names[(i + 1) % names.len()].clone();
        let quoted: Vec<String> = names.iter().map(|name| quote_ident(name)).collect();
        place
            .sql(quoted.iter().enumerate().map(|(i, name)| {
                let other = quote_ident(&next(i));
                format!(
                    "create role old_{i} login; create schema old_{i} authorization old_{i};
                     create table old_{i}.{name} (id serial, {name} int); alter table old_{i}.{name} owner to old_{i};
                     create schema share_{i}; create table share_{i}.{other} (id serial primary key, {other} text);
                     create table share_{i}.alembic_version (version_num varchar(32) primary key);
                     insert into share_{i}.alembic_version values ('rev_{i}')"
                )
            }))
            .await;

        // Where none of the names is there yet: it is a new role, a new schema.
        let now = Arc::new(snapshot(&place.target).await);
        let replaced = names.iter().enumerate().map(|(i, name)| setup::replace(&now, None, &format!("old_{i}"), name).unwrap().0);
        place.through("replace-role", together(replaced)).await;

        let shares: Vec<String> = (0..names.len()).map(|i| format!("share_{i}")).collect();
        let deps = uses(&place, &now, &shares).await;
        let lineages = Arc::new(Lineages::default());
        let isolated = names.iter().enumerate().map(|(i, name)| {
            answered(|answers| {
                let wanted = isolate::Wanted {
                    from: shares[i].clone(),
                    schema: name.clone(),
                    role: name.clone(),
                    tables: vec!["*".to_owned()],
                    rows: vec![format!("rev_{i}")],
                    answers: answers.clone(),
                    ..isolate::Wanted::default()
                };
                isolate::plan(&now, &deps[i], None, &lineages, &wanted)
            })
        });
        place.through("isolate", together(isolated)).await;

        let made = names.iter().enumerate().map(|(i, name)| {
            let wanted = setup::Wanted {
                role: Some(name.clone()),
                read: vec![format!("old_{i}")],
                append: vec![format!("share_{i}")],
                password: false,
                ..setup::Wanted::new(name)
            };
            setup::service(&now, None, &wanted).unwrap().plan
        });
        place.through("create-schema", together(made)).await;
        place.run(&["redo", &place.url, "--yes"]).exits(0);
        let is = |list: BTreeSet<String>| list.is_superset(&names.iter().cloned().collect());
        let roles = stored(&place.client, "select rolname::text from pg_roles where oid >= 16384").await;
        let schemas = stored(&place.client, "select nspname::text from pg_namespace where oid >= 16384").await;
        assert!(is(roles.clone()) && is(schemas.clone()), "a name became another");
        assert_eq!((roles.len(), schemas.len()), (2 * names.len(), 3 * names.len()), "no more than were made");

        // Where they are there.
        place
            .sql(quoted.iter().enumerate().map(|(i, name)| {
                format!(
                    "create table {name}.t (id serial primary key, {name} int); alter table {name}.t owner to {name};
                     insert into {name}.alembic_version values ('head_{i}'), ('other_{i}');
                     create table {name}.{name} (version_num varchar(32) primary key); insert into {name}.{name} values ('own_{i}')"
                )
            }))
            .await;
        let now = Arc::new(snapshot(&place.target).await);
        let version = |from: &str, table: &str, to: &str, rows: Vec<String>| {
            answered(|answers| {
                let wanted = versions::Wanted {
                    from: from.to_owned(),
                    table: Some(table.to_owned()),
                    to: to.to_owned(),
                    rows: rows.clone(),
                    owner: None,
                    answers: answers.clone(),
                };
                versions::plan(&now, None, &lineages, &wanted)
            })
        };
        let whole = names.iter().enumerate().map(|(i, name)| version(name, name, &next(i), Vec::new()));
        place.through("versions move", together(whole)).await;
        let rows = names.iter().enumerate().map(|(i, name)| {
            version(name, "alembic_version", &format!("old_{i}"), vec![format!("other_{i}")])
        });
        place.through("versions move --rows", together(rows)).await;

        let deps = uses(&place, &now, &shares).await;
        let moved = names.iter().enumerate().map(|(i, name)| {
            answered(|answers| {
                let wanted = tables::Wanted {
                    from: shares[i].clone(),
                    to: name.clone(),
                    tables: vec!["*".to_owned(), "!alembic_version".to_owned()],
                    owner: Some(next(i)),
                    answers: answers.clone(),
                    ..tables::Wanted::default()
                };
                tables::plan(&now, &deps[i], &wanted)
            })
        });
        place.through("move-objects", together(moved)).await;

        let all: Vec<String> = names.iter().map(|name| format!("{}.*", chosen(name))).collect();
        let wanted = audit::Wanted {
            tables: Choice::parse(&all).unwrap(),
            append: names.clone(),
            read: names.clone(),
            ..audit::Wanted::default()
        };
        let trail = audit::plan(&now, None, &wanted).unwrap();
        place.through("setup-audit", together([trail])).await;
        let by_tenant = names.iter().map(|name| {
            let tables = Choice::parse(&[format!("{}.t", chosen(name))]).unwrap();
            let wanted = tenancy::Wanted { tables, column: Some(name.clone()), setting: None, force: true };
            tenancy::plan(&with_columns(&now, name), None, &wanted).unwrap()
        });
        place.through("setup-rls", together(by_tenant)).await;

        let journal = place.journal();
        harmless("the journal", &journal);
        assert_eq!(journal.lines().count(), 3 * (8 * 2 + 1), "intent, transaction, outcome: a line each");
        let told = place.run(&["journal"]).exits(0).out;
        assert!(told.contains("takes back entry"), "{told}");
        let told = place.run(&["journal", "--format", "json"]).exits(0).json();
        assert_eq!(told["entries"].as_array().unwrap().len(), 8 * 2 + 1);
        passwords(&place, &names).await;
        sessions(&place, &names).await;
        harmless("the journal with signals", &place.journal());
        place.run(&["journal"]).exits(0);
    });
}

/// The shapes as they are when the columns that may hold a tenant are known.
fn with_columns(now: &Snapshot, column: &str) -> Snapshot {
    let mut now = now.clone();
    let mut shapes = now.shapes.as_deref().cloned().unwrap();
    let tables: Vec<_> = now
        .objects
        .0
        .iter()
        .filter(|(schema, _)| now.catalog.schema_name(**schema) == column)
        .flat_map(|(schema, list)| list.relations.iter().map(move |object| (*schema, object)))
        .filter(|(_, object)| object.name == "t")
        .collect();
    for (schema, object) in tables {
        shapes.tables.push(pgmoat::domain::snapshot::TableShape {
            oid: object.oid,
            schema,
            name: object.name.clone(),
            owner: object.owner,
            rls: false,
            force_rls: false,
            tenant_columns: vec![column.to_owned()],
            tenant_types: [(column.to_owned(), pgmoat::domain::snapshot::TenantType::Integer)].into(),
        });
    }
    now.shapes = Some(Arc::new(shapes));
    now
}

/// Every role gets a password and logs in with it.
async fn passwords(place: &Place, names: &[String]) {
    let changes = names.iter().map(|name| Change::SetPassword { role: name.clone() });
    let plan = build::of_changes(&snapshot(&place.target).await, changes).unwrap();
    let passwords = names.iter().map(|name| (name.clone(), format!("secret of {name:?}"))).collect();
    let mut beside = Beside { passwords, ..Beside::default() };
    let outcome = apply(&place.target, &plan.approve(), &ApplyOptions::default(), &mut beside).await;
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    for name in names {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(place.own.port()).user(name).dbname(SUPERUSER);
        config.password(format!("secret of {name:?}"));
        let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
        let connection = tokio::spawn(connection);
        let row = client.query_one("select current_user::text, current_schema()::text", &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (name.as_str(), name.as_str()), "its own schema");
        drop(client);
        let _ = connection.await;
    }
}

/// Sessions of every role with its name in everything they say are cancelled, then terminated.
async fn sessions(place: &Place, names: &[String]) {
    let mut running = Vec::new();
    for name in names {
        let client = connect(&place.own, name, SUPERUSER).await;
        let application = name.replace('\'', "''");
        client
            .batch_execute(&format!("set standard_conforming_strings = on; set application_name = '{application}'"))
            .await
            .unwrap();
        let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let sleep = format!("select pg_sleep(600) as {} -- {}", quote_ident(name), name.replace(['\n', '\r'], " "));
        let client = Arc::new(client);
        let sleeper = Arc::clone(&client);
        let sleeps = tokio::spawn(async move { sleeper.batch_execute(&sleep).await });
        running.push((pid, client, sleeps));
    }
    let pids: Vec<i32> = running.iter().map(|(pid, _, _)| *pid).collect();
    let seen = loop {
        let seen = look(&place.target, pids.clone()).await.unwrap();
        if seen.len() == pids.len() && seen.iter().all(|s| s.state.as_deref() == Some("active")) {
            break seen;
        }
    };
    let out = place.run(&["sessions", &place.url]).exits(0).out;
    assert!(out.contains("\\u{1b}[2Jx") && out.contains("\\u{202e}nimda"), "{out}");
    // One by the command, the others at once.
    let number = pids[0].to_string();
    place.run(&["cancel", &place.url, &number, "--yes"]).exits(0);
    let aim = |s: &pgmoat::server::signal::Seen, query| Aim {
        pid: s.pid,
        mark: Mark::Start(s.backend_start_us.unwrap()),
        query_start_us: query,
    };
    let aims: Vec<Aim> = seen.iter().filter(|s| s.pid != pids[0]).map(|s| aim(s, s.query_start_us)).collect();
    let told = signal(&place.target, Signal::Cancel, &aims).await.unwrap();
    assert!(told.iter().all(|t| *t == Told::Ended), "{told:?}");
    let number = pids[1].to_string();
    place.run(&["terminate", &place.url, &number, "--yes"]).exits(0);
    let aims: Vec<Aim> = seen.iter().filter(|s| s.pid != pids[1]).map(|s| aim(s, None)).collect();
    let told = signal(&place.target, Signal::Terminate, &aims).await.unwrap();
    assert!(told.iter().all(|t| *t == Told::Ended), "{told:?}");
    for (_, client, sleeps) in running {
        let error = sleeps.await.unwrap().unwrap_err();
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57014"), "{error:?}");
        assert!(client.batch_execute("select 1").await.is_err(), "it is over");
    }
}

/// A policy that declares each name as a service of its own, with a neighbour to read. A name with a slash in it is written
/// after that of its instance.
fn policy(names: &[String], instance: &str) -> String {
    let text = |name: &str| serde_json::to_string(name).unwrap().replace('\u{7f}', "\\u007f");
    let mut out = "name = \"hostile\"\nundeclared = \"revoke\"\n".to_owned();
    for (i, name) in names.iter().enumerate() {
        let other = &names[(i + 1) % names.len()];
        let other = if other.contains('/') { format!("{instance}/{other}") } else { other.clone() };
        let (own, other) = (text(name), text(&other));
        let _ = write!(
            out,
            "[[service]]\nname = {own}\nschema = {own}\nrole = {own}\ntenant_column = {own}\naccess = {{ {other} = [\"read\"] }}\n"
        );
    }
    out
}

#[test]
fn a_policy_of_such_names_is_reached_and_taken_back_by_the_commands() {
    let runtime = runtime();
    runtime.block_on(async {
        let place = Place::new().await;
        let names = names();
        for (part, names) in names.chunks(15).enumerate() {
            let database = format!("part_{part}");
            place.sql([format!("create database {database}")]).await;
            to_the_policy(&place, &database, names, part == 0).await;
        }
        // What is not there is named, too.
        for args in [
            &["undo", "\u{1b}[2J", "--yes"][..],
            &["plan", &place.url, "--only", "\u{1b}]0;x\u{7}"],
            &["set-password", "\u{202e}x", "\u{1b}[2J", "--yes"],
            &["explain", &place.url, "\u{1b}[2J", "\u{202e}"],
            &["\u{1b}[2J\u{9b}"],
            &["check", &place.url, "--policy", "\u{1b}[2J/none"],
            &["completions", "\u{1b}[2J"],
        ] {
            assert!(run_plainly(&place, args).code >= 2, "{args:?}");
        }
        harmless("the journal", &place.journal());
    });
}

/// Half of the names are there, with something to grant, something to take, owners and defaults to set right.
async fn to_the_policy(place: &Place, database: &str, names: &[String], whole: bool) {
    let client = connect(&place.own, SUPERUSER, database).await;
    for (i, name) in names.iter().step_by(2).enumerate() {
        let (name, stranger) = (quote_ident(name), format!("{database}_stranger_{i}"));
        let sql = format!(
            "create role {name} login; create role {stranger}; create schema {name}; create table {name}.{name} ({name} int);
             grant usage on schema {name} to {stranger}; grant select on {name}.{name} to {stranger}, public;
             alter default privileges in schema {name} grant all on tables to {stranger}"
        );
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql:?}: {error:?}"));
    }
    let target = conninfo(&place.own, SUPERUSER, database);
    let first = Meaning::of(&snapshot(&target).await);
    let policy = place.moat.file("hostile.policy.toml", &policy(names, "\u{1b}[2J\u{202e}hostile"));
    let url = place.own.url(SUPERUSER, database);
    let instance = "[[instance]]\nname = \"\\u001b[2J\\u202ehostile\"\nenvironment = \"development\"\n";
    let config = place.moat.file("config.toml", &format!("{instance}url = \"{url}\"\npolicy = \"{policy}\"\n"));
    let run = |args: &[&str]| place.run(&[&["-c", config.as_str()], args].concat());
    if whole {
        run(&["policy", "check", &policy]).exits(0);
        run(&["info"]).exits(0);
        run(&["info", &url]).exits(0);
        run(&["info", &url, "--format", "json"]).exits(0).json();
        run(&["plan"]).exits(1);
        run(&["plan", "--format", "json"]).exits(1).json();
        run(&["plan", "--format", "sql"]).exits(1);
        run(&["apply", "--rehearse"]).exits(0);
    }
    let text = run(&["apply", "--yes"]).exits(0).out;
    for words in ["CREATE SCHEMA", "DEFAULT PRIVILEGES", "OWNER TO"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    run(&["plan"]).exits(0);
    let roles = stored(&client, "select rolname::text from pg_roles where oid >= 16384").await;
    assert!(names.iter().all(|name| roles.contains(name)), "a name became another");
    let done = Meaning::of(&snapshot(&target).await);
    if whole {
        for format in ["text", "json"] {
            let ran = run(&["isolation-test", "--format", format]);
            assert!(ran.code <= 1 && ran.out.contains("PUBLIC"), "{} {}", ran.code, ran.err);
        }
    }
    run(&["undo", "--yes"]).exits(0);
    let differences = first.differences(&Meaning::of(&snapshot(&target).await));
    assert!(differences.is_empty(), "undo: {}", differences.join("\n"));
    if whole {
        run(&["redo", "--yes"]).exits(0);
        let differences = done.differences(&Meaning::of(&snapshot(&target).await));
        assert!(differences.is_empty(), "redo: {}", differences.join("\n"));
        run(&["undo", "--yes"]).exits(0);
        for format in ["text", "json"] {
            assert!(run(&["journal", "--format", format]).exits(0).out.contains("PUBLIC"), "{format}");
        }
    }
    // Roles are everybody's: the next part begins without these.
    for name in names {
        let _ = client.batch_execute(&format!("drop owned by {}", quote_ident(name))).await;
        let _ = client.batch_execute(&format!("drop role {}", quote_ident(name))).await;
    }
}

/// A command that may end before it logs anything.
#[track_caller]
fn run_plainly(place: &Place, args: &[&str]) -> Ran {
    let ran = place.moat.run(args);
    harmless(&format!("{args:?}"), &ran.out);
    harmless(&format!("{args:?}"), &ran.err);
    ran
}

#[test]
fn such_names_go_through_the_commands_one_by_one() {
    let runtime = runtime();
    runtime.block_on(async {
        let place = Place::new().await;
        let chosen_names = if all() { names() } else { vec!["--help\u{1b}[2J\u{202e}\n\"';x".to_owned()] };
        for (i, name) in chosen_names.iter().enumerate() {
            by_commands(&place, i, name).await;
        }
        harmless("the journal", &place.journal());
    });
}

async fn by_commands(place: &Place, i: usize, name: &str) {
    let quoted = quote_ident(name);
    place
        .sql([format!(
            "create schema plain_{i}; create table plain_{i}.{quoted} (id serial primary key, {quoted} int);
             create table plain_{i}.alembic_version (version_num varchar(32) primary key);
             insert into plain_{i}.alembic_version values ('a'), ('b'); create schema other_{i};
             create role boss_{i} superuser login; create schema boss_{i} authorization boss_{i};
             create table boss_{i}.{quoted} (id int); alter table boss_{i}.{quoted} owner to boss_{i}"
        )])
        .await;
    let (plain, other) = (format!("plain_{i}"), format!("other_{i}"));
    let url = place.url.as_str();
    let back = || place.run(&["undo", url, "--yes"]).exits(0);
    let first = Meaning::of(&snapshot(&place.target).await);
    let as_first = async |what: &str| {
        let differences = first.differences(&Meaning::of(&snapshot(&place.target).await));
        assert!(differences.is_empty(), "{name:?}, {what}: {}", differences.join("\n"));
    };
    let role = format!("--role={name}");
    let schema = format!("--schema={name}");
    place.run(&["isolate", url, "--from", &plain, &schema, &role, "--tables", "*", "--rows", "a", "--yes"]).exits(0);
    back();
    as_first("isolate").await;
    place.run(&["replace-role", "--yes", "--", url, &format!("boss_{i}"), name]).exits(0);
    back();
    as_first("replace-role").await;
    place.run(&["create-schema", "--read", &plain, &role, "--yes", "--", url, name]).exits(0);
    place.run(&["set-password", "--yes", "--", url, name]).exits(0);
    let handed = place.moat.home.path().join(".local/state/pgmoat/handover");
    let files: Vec<_> = fs::read_dir(&handed).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        harmless("the name of a file", file.to_str().unwrap());
        harmless("the hand-over", &fs::read_to_string(file).unwrap());
    }
    let second = Meaning::of(&snapshot(&place.target).await);
    let as_second = async |what: &str| {
        let differences = second.differences(&Meaning::of(&snapshot(&place.target).await));
        assert!(differences.is_empty(), "{name:?}, {what}: {}", differences.join("\n"));
    };
    let owner = format!("--owner={name}");
    place.run(&["versions", "move", url, "--from", &plain, "--to", &other, "--rows", "a,b", &owner, "--yes"]).exits(0);
    back();
    as_second("versions move").await;
    place.run(&["versions", "move", url, "--from", &plain, "--to", &other, "--rows", "b", &owner, "--yes"]).exits(0);
    back();
    as_second("versions move --rows").await;
    let to = format!("--to={name}");
    place
        .run(&["move-objects", url, "--from", &plain, &to, "--tables", "*", "!alembic_version", &owner, "--yes"])
        .exits(0);
    back();
    as_second("move-objects").await;
    let table = format!("--tables={}.{}", chosen(&plain), chosen(name));
    let (append, read) = (format!("--append={name}"), format!("--read={name}"));
    place.run(&["setup-audit", url, &table, "--schema", "trail", &append, &read, "--yes"]).exits(0);
    back();
    as_second("setup-audit").await;
    place.run(&["setup-rls", url, &table, &format!("--column={name}"), "--force", "--yes"]).exits(0);
    back();
    as_second("setup-rls").await;
    let object = qualified(&plain, name);
    place.run(&["explain", "--", url, name, "SELECT", &object]).exits(0);
    let sleeper = connect(&place.own, name, SUPERUSER).await;
    let pid: i32 = sleeper.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    place.run(&["terminate", url, &pid.to_string(), "--yes"]).exits(0);
    // The set-up itself, last.
    let journal = place.run(&["journal", "--format", "json"]).exits(0).json();
    let entry = journal["entries"].as_array().unwrap().iter().find(|e| {
        e["can_be_undone"] == true && e["plan"]["asked"].as_str().is_some_and(|t| t.starts_with("Create schema"))
    });
    assert!(entry.is_some(), "{journal:#}");
    let id = entry.unwrap()["id"].to_string();
    place.run(&["undo", url, &id, "--yes"]).exits(0);
    as_first("create-schema").await;
}

/// Compose files and `.env` with texts that mean ill, and a database of such names that is set up.
#[test]
fn a_set_up_and_what_is_found_print_nothing_that_acts() {
    let runtime = runtime();
    runtime.block_on(async {
        let place = Place::new().await;
        let names = ["\u{1b}[2Jx", "\u{202e}nimda", "line\nfeed", "--help", "a\"b", "日本語"];
        place
            .sql(names.iter().map(|name| {
                let name = quote_ident(name);
                format!(
                    "create role {name} login; create schema {name} authorization {name}; create table {name}.{name} ({name} int);
                     alter table {name}.{name} owner to {name}"
                )
            }))
            .await;
        let text = |name: &str| serde_json::to_string(name).unwrap();
        let mut compose = "services:\n".to_owned();
        for (i, name) in names.iter().enumerate() {
            compose.extend([format!(
                "  {}:\n    image: {}\n    environment:\n      {}: {}\n      DATABASE_URL: {}\n      POSTGRES_PASSWORD: \"$\"\n",
                text(&format!("{name}{i}")),
                text(&format!("postgres:{name}")),
                text(name),
                text(name),
                text(&format!("postgresql://{name}:x@db/{name}?options=-csearch_path={name}")),
            )]);
        }
        place.moat.file("compose.yaml", &compose);
        place.moat.file(".env", "X=\u{1b}[2J\u{202e}\nDATABASE_URL=postgresql://\u{1b}[2J@/\u{9b}x\n");
        let home = place.moat.home.path().to_str().unwrap();
        for format in ["text", "json"] {
            let ran = run_plainly(&place, &["discover", home, "--format", format]);
            assert!(ran.code <= 2 && format!("{}{}", ran.out, ran.err).contains("compose.yaml"), "{} {}", ran.out, ran.err);
        }
        let broken = format!("{compose}  \u{1b}[2J\u{9b}: [\n");
        place.moat.file("compose.yaml", &broken);
        let ran = run_plainly(&place, &["discover", home]);
        assert!(!ran.out.is_empty() || !ran.err.is_empty());
        place.moat.file("compose.yaml", &compose);
        let set_up = |name: &str| {
            let service = "new\u{1b}[2J=sch\u{1b}[2J:rol\u{202e}\u{9b}";
            let words = ["init", &place.url, "--yes", "--dir", home, "--name", name, "--leave-rest", "--service", service];
            run_plainly(&place, &[&words[..], &["--audit", "--reason", "\u{1b}[2J"]].concat())
        };
        set_up("\u{1b}[2J\u{202e}").exits(2).says(&["cannot be the name of an instance"]);
        set_up("hostile").exits(0);
        let policy = fs::read_to_string(place.moat.home.path().join("hostile.policy.toml")).unwrap();
        harmless("the policy", &policy);
        assert!(policy.contains("\\u001b[2Jx") || policy.contains("\\u001B[2Jx"), "{policy}");
        run_plainly(&place, &["check", "hostile"]).exits(0);
        run_plainly(&place, &["undo", "hostile", "--yes"]).exits(0);
        harmless("the journal", &place.journal());
    });
}

/// What went to the terminal, without the texts for its clipboard, which are letters and digits.
fn without_copies(raw: &[u8]) -> Vec<u8> {
    const BEGIN: &[u8] = b"\x1b]52;c;";
    let mut out = Vec::new();
    let mut rest = raw;
    while let Some(at) = rest.windows(BEGIN.len()).position(|window| window == BEGIN) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + BEGIN.len()..];
        let coded = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)).count();
        assert!(coded > 0);
        rest = &rest[coded..];
        rest = rest.strip_prefix(b"\x1b\\").or_else(|| rest.strip_prefix(b"\x07")).expect("the end of a copy");
    }
    out.extend_from_slice(rest);
    out
}

#[test]
fn no_form_preview_or_list_of_the_console_writes_what_acts() {
    let runtime = runtime();
    runtime.block_on(async {
        let place = Place::new().await;
        let names = names();
        place
            .sql(names.iter().enumerate().map(|(i, name)| {
                let (name, owner) = (quote_ident(name), quote_ident(&names[i.saturating_sub(1)]));
                format!(
                    "create role {name} login; create schema {name}; create table {name}.{name} ({name} int, tenant_id int);
                     create table {name}.alembic_version (version_num varchar(32) primary key);
                     insert into {name}.alembic_version values (e'\\x1b[2J{i}'), (e'\\u202e{i}');
                     do $$ begin if not exists (select from pg_roles where rolname = 'stranger') then create role stranger; end if; end $$;
                     grant select on {name}.{name} to stranger; grant usage on schema {name} to stranger;
                     comment on schema {name} is {}; alter table {name}.{name} owner to {owner}",
                    literal(&names[(i + 1) % names.len()])
                )
            }))
            .await;
        for database in ["\u{1b}[2Jdb", "\u{202e}bd", "line\nfeed"] {
            place.sql([format!("create database {}", quote_ident(database))]).await;
        }
        let policy = place.moat.file("hostile.policy.toml", &policy(&names, "\u{1b}[2Jfirst"));
        let instance = |name: &str, url: &str| {
            format!("[[instance]]\nname = \"{name}\"\nurl = \"{url}\"\npolicy = \"{policy}\"\nenvironment = \"development\"\n")
        };
        let second = place.own.url(SUPERUSER, "\u{1b}[2Jdb");
        let config = place.moat.file(
            "config.toml",
            &(instance("\\u001b[2Jfirst", &place.url) + &instance("\\u202esecond", &second)),
        );
        // Something in the journal.
        place.run(&["-c", &config, "apply", "\u{1b}[2Jfirst", "--only", "schema-owner", "--yes"]).exits(0);
        let home = place.moat.home.path();
        let mut console = Start::new(home, &["-c", &config]).size(130, 45).run();
        console.shows("PRIMARY");
        // One instance, chosen from the list by a name that is typed.
        console.press("i", "second");
        console.press(&format!("second{ENTER}"), "only \\u{202e}second");
        console.press("i", "all instances");
        console.send(&format!("all instances{ENTER}"));
        console.press("9", "committed");
        for keys in ["l", "l", "\x1b[6~"] {
            console.send(keys);
        }
        insist(&mut console, ENTER, "OWNER TO");
        console.send(ESC);
        insist(&mut console, "u", "Undo entry");
        console.shows("Who gains and loses");
        console.send("v");
        console.press("\x1b[6~", "Undo entry");
        console.send("y");
        console.send(ESC);
        console.shows_no("Who gains and loses");
        // A fix of everything that is wrong, in full.
        console.press("8", "what is wrong");
        insist(&mut console, "f", "What is run");
        console.send(&format!("v{}", "\x1b[6~".repeat(8)));
        console.send("y");
        insist(&mut console, ENTER, "any other key");
        console.send("n");
        console.send(&ESC.repeat(2));
        console.shows_no("Who gains and loses");
        // Every pane's keys on such rows, and its selection in the clipboard.
        for pane in "12345678".chars() {
            console.send(&format!("{pane}g"));
            for key in ["a", "b", "y"] {
                console.send(&format!("{key}{ESC}j"));
            }
            console.press("?", "what it shows, and its keys");
            console.send(&ESC.repeat(2));
        }
        // Forms, filled from such rows and by hand.
        for (pane, row, key, title) in [
            ("2", "nimda", "c", "Create a schema"),
            ("7", "nimda", "m", "Move a version table"),
            ("2", "nimda", "I", "Isolate a service"),
            ("7", "[2Jx", "m", "Move a version table"),
        ] {
            console.send(&format!("{pane}/{row}{ENTER}"));
            insist(&mut console, key, title);
            console.send("\x1b[200~\x1b[2J\u{202e}\u{9b}x\x1b[201~");
            for _ in 0..4 {
                console.send(&format!("{TAB}nim\x1b[C"));
            }
            console.send(ENTER);
            console.send(&ESC.repeat(3));
            console.shows_no(title);
            console.press("?", "what it shows, and its keys");
            console.send(&ESC.repeat(3));
        }
        // The palette lists them all.
        console.press(":nimda", "nimda");
        console.send(&format!("\x15[2J{}{}", DOWN.repeat(3), ESC));
        console.press("9", "committed");
        console.send("q");
        assert_eq!(console.ends(PATIENCE), 0);
        let raw = console.raw();
        let copies = raw.windows(7).filter(|window| window == b"\x1b]52;c;").count();
        assert!(copies > 3, "only {copies} copies");
        let text = plain(&without_copies(&raw)).unwrap_or_else(|fault| panic!("{fault}"));
        for words in ["\\u{1b}[2J", "\\u{202e}nimda", "\\u{9b}", "\\u{1b}[2Jfirst"] {
            assert!(text.contains(words), "{words} was never to be seen");
        }
        let log = home.join(".local/state/pgmoat");
        for file in fs::read_dir(log).unwrap().flatten().filter(|f| f.path().is_file()) {
            harmless(&file.path().display().to_string(), &String::from_utf8_lossy(&fs::read(file.path()).unwrap()));
        }
    });
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

//! What `explain` and `matrix` say beside the table privilege itself, against what the server does: an INSERT that lacks its
//! sequence, grants on single columns, what SET ROLE would add, what views ask for beneath them, what ends a right.

use std::fmt::Write as _;

use pgmoat::{
    demo::cluster::SUPERUSER,
    domain::{
        Privilege, Snapshot,
        beneath::Beneath,
        effective::{Matrix, Who},
        explain::{Subject, Verdict, explain},
    },
    plan::sql::statements,
    server::{ObjectsWanted, Reader, Want},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::{
    cli::Moat,
    read::{runtime, target},
    support::cluster::{Shared, connect, majors, shared},
};

struct World {
    runtime: Runtime,
    admin: Client,
    url: String,
    database: String,
}

impl World {
    /// A database of its own with this in it; `{p}` begins the names of its roles.
    fn new(shared: &Shared, stem: &str, sql: &str) -> World {
        let runtime = runtime();
        let (admin, url, database) = runtime.block_on(async {
            let database = shared.database(stem).await;
            let admin = connect(shared.cluster(), SUPERUSER, &database).await;
            (admin, shared.cluster().url(SUPERUSER, &database), database)
        });
        let world = World { runtime, admin, url, database };
        world.sql(&sql.replace("{p}", &format!("{stem}_")));
        world
    }

    fn sql(&self, sql: &str) {
        self.runtime.block_on(self.admin.batch_execute(sql)).unwrap_or_else(|e| panic!("{e:?}: {sql}"));
    }

    /// Everything that `explain` needs of this database.
    fn snapshot(&self, shared: &Shared) -> Snapshot {
        let want = Want { shapes: true, objects: ObjectsWanted::All, ..Want::default() };
        let target = target(shared, SUPERUSER, &self.database);
        self.runtime.block_on(async { Reader::open(&target, "it").await.unwrap().snapshot(&want).await.unwrap() })
    }

    fn asks(&self, sql: &str) -> bool {
        self.runtime.block_on(self.admin.query_one(sql, &[])).unwrap_or_else(|e| panic!("{e:?}: {sql}")).get(0)
    }

    /// Does it, if the server lets it.
    fn perhaps(&self, sql: &str) {
        let _ = self.runtime.block_on(self.admin.batch_execute(sql));
        self.sql("reset role; reset session authorization");
    }

    /// How many rows the statement, run as the role, is about; rolled back.
    fn affects(&self, role: &str, sql: &str) -> Result<u64, String> {
        self.affects_after("", role, sql)
    }

    /// The same after another statement of ours.
    fn affects_after(&self, before: &str, role: &str, sql: &str) -> Result<u64, String> {
        self.sql(&format!("begin; {before}; set local session authorization {role}"));
        let result = self.runtime.block_on(self.admin.execute(sql, &[]));
        self.sql("rollback");
        result.map_err(|e| e.as_db_error().map_or_else(|| e.to_string(), |e| e.message().to_owned()))
    }

    /// What the server says to the statement run as the role; rolled back.
    fn tried(&self, role: &str, sql: &str) -> Result<(), String> {
        self.sql(&format!("begin; set local session authorization {role}"));
        let result = self.runtime.block_on(self.admin.batch_execute(sql));
        self.sql("rollback");
        result.map_err(|e| e.as_db_error().map_or_else(|| e.to_string(), |e| e.message().to_owned()))
    }
}

#[test]
fn an_insert_that_lacks_its_sequence_is_said_to_fail_and_mended_by_what_is_printed() {
    for major in majors() {
        let shared = shared(major).unwrap();
        let world = World::new(
            &shared,
            "lacks",
            "create role {p}app login; create schema shop; create schema other;
             grant usage on schema shop to {p}app;
             create sequence other.\"Far seq\";
             create table shop.serial (id bigserial, note text);
             create table shop.far (n int default 7 + nextval('other.\"Far seq\"'), note text);
             create table shop.identity (id int generated always as identity, note text);
             create table shop.read (id bigint default 0, note text, at oid default 'other.\"Far seq\"'::regclass);
             create view shop.seen as select note from shop.serial; alter view shop.seen alter note set default 'x';
             create table shop.columns (id serial, note text);
             create table shop.fresh (id serial, note text);
             grant insert (note) on shop.columns to {p}app;
             grant insert on shop.serial, shop.far, shop.identity, shop.read to {p}app;
             create function other.never(bigint) returns bigint language plpgsql immutable as
               $$ begin raise exception 'a default was evaluated'; end $$;
             alter table shop.read alter id set default other.never(0);",
        );
        let (app, url) = ("lacks_app", world.url.as_str());
        let moat = Moat::new();
        let ask = |table: &str| -> Value {
            let table = format!("shop.{table}");
            let ran = moat.run(&["explain", url, app, "INSERT", &table, "--format", "json"]);
            ran.json()["answers"][0].clone()
        };
        for (table, sequence) in [("serial", "shop.serial_id_seq"), ("far", "other.\"Far seq\"")] {
            let insert = format!("insert into shop.{table} (note) values ('x')");
            let refused = world.tried(app, &insert).unwrap_err();
            assert!(refused.starts_with("permission denied for sequence"), "{major}: {refused}");
            let answer = ask(table);
            assert_eq!((&answer["held"], &answer["works"]), (&json!(true), &json!(true)), "{major}");
            let lack = &answer["lacks"][0];
            let sentence = lack["sentence"].as_str().unwrap();
            assert!(sentence.contains(&refused), "{major}: the server says {refused}; {sentence}");
            assert!(sentence.contains(sequence), "{major}: {sentence}");
            let fix = lack["fix"][0].as_str().unwrap();
            assert_eq!(fix, format!("GRANT USAGE ON SEQUENCE {sequence} TO {app};"));
            let said = moat.run(&["explain", url, app, "INSERT", &format!("shop.{table}")]).exits(0).out;
            assert!(said.contains("Yes.") && said.contains(fix), "{said}");
            world.sql(fix);
            world.tried(app, &insert).unwrap();
            assert_eq!(ask(table)["lacks"], json!([]), "{major}: {table}");
        }
        world.tried(app, "insert into shop.identity (note) values ('x')").unwrap();
        for none in ["identity", "read", "seen"] {
            assert_eq!(ask(none)["lacks"], json!([]), "{major}: {none}");
        }
        // what gives INSERT gives the sequence with it
        let answer = ask("fresh");
        assert_eq!((&answer["held"], answer["lacks"].as_array().unwrap().len()), (&json!(false), 0), "{major}");
        let fix = answer["fix"].as_array().unwrap();
        assert_eq!(fix.len(), 2, "{major}: {answer:#}");
        for statement in fix {
            world.sql(statement.as_str().unwrap());
        }
        world.tried(app, "insert into shop.fresh (note) values ('x')").unwrap();
        // INSERT on single columns needs the sequence of another just so
        let answer = ask("columns");
        assert_eq!((&answer["held"], &answer["columns"]), (&json!(false), &json!(["note"])), "{major}");
        assert_eq!(answer["lacks"].as_array().unwrap().len(), 1, "{major}: {answer:#}");
        // what a policy leaves as it is stands beside what it declares
        let policy = "name = 'p'\n[[service]]\nname = 'a'\nrole = 'lacks_app'\nschema = 'other'\n\
             [[exception]]\nrole = 'lacks_app'\nschema = 'shop'\nprivileges = ['INSERT']\nobjects = ['serial']\nreason = 'till May'\n";
        let policy = moat.file("policy.toml", policy);
        let told = |table: &str| moat.run(&["explain", url, app, "INSERT", table, "--policy", &policy]).out;
        assert!(told("shop.serial").contains("INSERT on serial of lacks_app (till May)"), "{}", told("shop.serial"));
        assert!(!told("shop.far").contains("till May"));
        // a recording knows it, too
        let path = moat.file("recording.json", "");
        moat.run(&["snapshot", url, "-o", &path]).exits(0);
        let ran =
            moat.run(&["--snapshot", &path, "explain", app, "INSERT", "shop.columns", "--format", "json"]).exits(1);
        assert_eq!(ran.json()["answers"][0]["lacks"], answer["lacks"], "{major}");
    }
}

#[test]
fn the_matrix_marks_single_columns_and_set_role_and_counts_neither() {
    for major in majors() {
        let shared = shared(major).unwrap();
        let without = if major < 16 { "" } else { "with inherit false" };
        let world = World::new(
            &shared,
            "marks",
            &format!(
                "create role {{p}}reader; create role {{p}}some login; create role {{p}}none login;
                 create role {{p}}later login noinherit;
                 grant {{p}}reader to {{p}}later {without};
                 create schema shop; create table shop.t (a int, b int, c int);
                 grant usage on schema shop to {{p}}reader, {{p}}some; grant select on shop.t to {{p}}reader;
                 grant select (a, b), update (b) on shop.t to {{p}}some;"
            ),
        );
        let url = world.url.as_str();
        let moat = Moat::new();
        let cell = |role: &str| {
            let ran = moat.run(&["matrix", url, "--schema", "shop", "--role", role, "--format", "json"]);
            ran.exits(0).json()["instances"][0]["cells"][0].clone()
        };
        let held = world.tried("marks_some", "select a, b from shop.t");
        assert_eq!((held, world.tried("marks_some", "select c from shop.t").is_err()), (Ok(()), true), "{major}");
        let some = cell("marks_some");
        let columns = json!({"total": 2, "select": 2, "insert": 0, "update": 1, "references": 0});
        assert_eq!((&some["columns"], &some["by_set_role"]), (&columns, &json!(false)), "{major}");
        assert_eq!(
            (&some["tables"]["select"], &some["level"]),
            (&json!(0), &json!(["usage"])),
            "never counted: {major}"
        );
        let later = cell("marks_later");
        assert_eq!(
            (&later["usage"], &later["by_set_role"], &later["level"]),
            (&json!(false), &json!(true), &json!([]))
        );
        let nothing = json!({"total": 0, "select": 0, "insert": 0, "update": 0, "references": 0});
        assert_eq!((&later["columns"], &cell("marks_reader")["columns"]), (&nothing, &nothing));
        let text = moat.run(&["matrix", url, "--schema", "shop"]).exits(0).out;
        let of = |role: &str| {
            let line = text.lines().find(|l| l.starts_with(role)).unwrap_or_else(|| panic!("no {role}: {text}"));
            line.trim_start_matches(role).trim().to_owned()
        };
        assert_eq!(
            ["marks_some", "marks_later", "marks_reader", "marks_none"].map(of),
            ["usage cols", "◃", "read", "·"],
            "{major}"
        );
        let compact = ["matrix", url, "--schema", "shop", "--compact", "--format", "csv"];
        let csv = moat.run(&compact).exits(0).out;
        let roles = ["marks_some", "marks_later", "marks_reader", "marks_none"].map(|r| csv.contains(r));
        assert_eq!(roles, [true, true, true, false], "{csv}");
        let said = moat.run(&["explain", url, "marks_some", "SELECT", "shop.t"]).exits(1).out;
        assert!(said.contains("No: on single columns only.") && said.contains("single columns: a and b"), "{said}");
    }
}

/// `explain` of one privilege of one role on `schema.object` or `schema.object.column`.
fn asked(snapshot: &Snapshot, matrix: &Matrix, role: &str, object: &str, privilege: Privilege) -> Verdict {
    let catalog = &snapshot.catalog;
    let mut parts = object.split('.');
    let (schema, name, column) = (parts.next().unwrap(), parts.next().unwrap(), parts.next());
    let schema = catalog.schema_named(schema).unwrap();
    let found = snapshot.objects.0[&schema.oid].relations.iter().find(|o| o.name == name);
    let found = found.unwrap_or_else(|| panic!("no {object}"));
    let subject = match column {
        Some(column) => Subject::Column(schema, found, column),
        None => Subject::Object(schema, found),
    };
    let who = matrix.index.role_named(role).map_or(Who::Public, Who::Role);
    let shapes = snapshot.shapes.as_deref();
    explain(catalog, matrix, shapes, &snapshot.objects, who, &subject, Some(privilege)).remove(0)
}

/// Random tables with random row level security: what is said of each role and statement is what the server then does.
#[test]
fn row_level_security_that_lets_nothing_through_and_the_select_that_a_where_asks_for_are_told() {
    use Privilege::{Delete, Insert, Select, Update};
    let mut met = [0; 7];
    for major in majors() {
        let shared = shared(major).unwrap();
        let rng = &mut StdRng::seed_from_u64(u64::from(major));
        let roles = ["own", "team", "heir", "later", "none", "free"].map(|r| format!("rows_{r}"));
        let mut sql = String::from("create schema w; ");
        for role in &roles {
            let _ = write!(sql, "create role {role} login; grant usage on schema w to {role};");
        }
        sql.push_str("alter role rows_free bypassrls; grant rows_team to rows_heir;");
        sql.push_str("alter role rows_later noinherit; grant rows_team to rows_later;");
        for table in 0..24 {
            let _ = write!(sql, "create table w.t{table} (a int, b int); insert into w.t{table} values (1, 1);");
            let _ = write!(sql, "alter table w.t{table} owner to rows_own;");
            for (chance, what) in [(0.9, "enable"), (0.5, "force")] {
                if rng.random_bool(chance) {
                    let _ = write!(sql, "alter table w.t{table} {what} row level security;");
                }
            }
            for policy in 0..rng.random_range(0..4) {
                let command = ["all", "select", "insert", "update", "delete"].choose(rng).unwrap();
                let kind = if rng.random_bool(0.8) { "permissive" } else { "restrictive" };
                let to = ["public", "rows_team", "rows_none", "rows_own", "rows_heir"].choose(rng).unwrap();
                let body = match *command {
                    "insert" => "with check (true)",
                    "all" | "update" => "using (true) with check (true)",
                    _ => "using (true)",
                };
                let _ = write!(sql, "create policy p{policy} on w.t{table} as {kind} for {command} to {to} {body};");
            }
            let owner = ["rows_own", "rows_team", "rows_free", "rows_none"].choose(rng).unwrap();
            let invoker = if major >= 15 && rng.random_bool(0.3) { "with (security_invoker)" } else { "" };
            let _ = write!(sql, "create view w.v{table} {invoker} as select a, b from w.t{table};");
            let _ = write!(sql, "alter view w.v{table} owner to {owner}; grant all on w.v{table} to rows_heir;");
            for role in roles.iter().skip(1) {
                for right in ["select", "insert", "update", "delete", "select (a)"] {
                    if rng.random_bool(if right == "select (a)" { 0.2 } else { 0.7 }) {
                        let _ = write!(sql, "grant {right} on w.t{table} to {role};");
                    }
                }
            }
        }
        let world = World::new(&shared, "rows", &sql);
        let snapshot = world.snapshot(&shared);
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        for table in 0..24 {
            let v = format!("w.v{table}");
            for (privilege, statement) in [
                (Select, format!("select count(*) from {v} having count(*) > 0")),
                (Insert, format!("insert into {v} values (2, 2)")),
                (Update, format!("update {v} set a = 2")),
                (Delete, format!("delete from {v}")),
            ] {
                let said = asked(&snapshot, &matrix, "rows_heir", &v, privilege);
                let is = world.affects("rows_heir", &statement);
                let what = format!("{major}: {statement}: {is:?}, {said:#?}");
                // where it has single columns only, those that are named decide
                if !said.unsure && !said.beneath.iter().any(|b| !b.columns.is_empty()) {
                    assert_eq!(said.works, is.is_ok(), "{what}");
                }
                if said.works && privilege != Select {
                    assert_eq!(said.no_row, is == Ok(0), "{what}");
                }
                if said.notes.iter().any(|n| n.contains("it finds no row")) {
                    assert!(!matches!(is, Ok(1..)), "{what}");
                    met[4] += 1;
                }
                met[5] += usize::from(said.notes.iter().any(|n| n.contains("goes past it")));
                met[6] += usize::from(privilege == Insert && said.held && !said.works);
            }
            for role in &roles {
                let affects = |sql: &str| world.affects(role, sql);
                let t = format!("w.t{table}");
                for (privilege, statement) in [
                    (Select, format!("select count(*) from {t} having count(*) > 0")),
                    (Insert, format!("insert into {t} values (2, 2)")),
                    (Update, format!("update {t} set a = 2")),
                    (Delete, format!("delete from {t}")),
                ] {
                    let said = asked(&snapshot, &matrix, role, &t, privilege);
                    let is = affects(&statement);
                    let what = format!("{major}: {role}, {statement}: {is:?}, {said:#?}");
                    if said.columns.is_empty() {
                        assert_eq!(said.works, is.is_ok(), "{what}");
                    }
                    if said.works {
                        assert_eq!(said.no_row, is == Ok(0), "{what}");
                        met[0] += usize::from(said.no_row);
                    } else if said.held {
                        assert!(is.unwrap_err().contains("row-level security"), "{what}");
                        assert!(said.missing.is_some() && said.fix.is_empty(), "{what}");
                        met[1] += 1;
                    }
                    if !said.works || !matches!(privilege, Update | Delete) {
                        assert!(said.lacks.is_empty() || privilege == Insert, "{what}");
                        continue;
                    }
                    let reading = affects(&format!("{statement} where b is not null"));
                    let what = format!("{what}, with WHERE: {reading:?}");
                    assert_eq!(said.lacks.is_empty(), reading.is_ok(), "{what}");
                    met[2] += said.lacks.len();
                    if let Some(lack) = said.lacks.first() {
                        let error = reading.clone().unwrap_err();
                        assert!(lack.sentence.contains(&format!("fails with \"{error}\"")), "{what}");
                        if lack.fix.is_empty() {
                            let other = affects(&format!("{statement} where a is not null"));
                            assert!(lack.sentence.contains("has it on a;") && other.is_ok(), "{other:?}, {what}");
                            continue;
                        }
                        let printed: String = lack.fix.iter().flat_map(statements).collect();
                        let mended = world.affects_after(&printed, role, &format!("{statement} where b is not null"));
                        assert!(mended.is_ok(), "{printed}: {mended:?}, {what}");
                    }
                    if reading == Ok(0) && !said.no_row {
                        assert!(said.notes.iter().any(|n| n.contains("no permissive policy for SELECT")), "{what}");
                        met[3] += 1;
                    }
                }
            }
        }
    }
    assert!(met.iter().all(|n| *n > 0), "everything was met: {met:?}");
}

#[test]
fn what_a_view_asks_for_beneath_it_is_told_and_the_grants_that_are_printed_mend_it() {
    for major in majors() {
        let shared = shared(major).unwrap();
        let world = World::new(
            &shared,
            "below",
            "create role {p}app login; create role {p}own; create role {p}mid;
             create schema shop; create schema \"Base s\"; grant usage on schema shop to {p}app;
             create table \"Base s\".t (id serial, a int, \"B c\" int); create table \"Base s\".u (a int);
             create view shop.plain as select a, \"B c\" from \"Base s\".t;
             create view shop.counts as select count(*) as n from \"Base s\".t;
             create view shop.rows as select t as whole from \"Base s\".t;
             create view shop.lock as select a from \"Base s\".t for update;
             create view shop.names as select 'x'::text as a, '\"Base s\".u'::regclass as of_u;
             create view shop.joined as select p.a from shop.plain p, \"Base s\".u where p.a = u.a;
             create view shop.listed as select a, (select max(a) from \"Base s\".u) as m from \"Base s\".t;
             create view shop.spare as select a from shop.listed;
             alter view shop.listed owner to {p}own; alter view shop.spare owner to {p}own;
             create view shop.own_default as select id, a from \"Base s\".t;
             alter view shop.own_default alter id set default 7;
             alter view shop.plain owner to {p}own; alter view shop.counts owner to {p}own;
             alter view shop.rows owner to {p}own; alter view shop.lock owner to {p}own;
             alter view shop.joined owner to {p}mid; alter view shop.own_default owner to {p}own;
             grant select, insert on all tables in schema shop to {p}app;
             grant select (a) on \"Base s\".t to {p}own;",
        );
        let (app, url) = ("below_app", world.url.as_str());
        let moat = Moat::new();
        let ask = |privilege: &str, view: &str| -> Value {
            let view = format!("shop.{view}");
            moat.run(&["explain", url, app, privilege, &view, "--format", "json"]).json()["answers"][0].clone()
        };
        let mended = |privilege: &str, view: &str, statement: &str| {
            for _ in 0..3 {
                let answer = ask(privilege, view);
                let tried = world.tried(app, statement);
                let lacks = answer["lacks"].as_array().unwrap();
                let works = answer["works"] == json!(true) && lacks.is_empty();
                assert_eq!(works, tried.is_ok(), "{major}: {view}: {tried:?}: {answer:#}");
                if works {
                    return;
                }
                let fixes = if answer["works"] == json!(true) { &lacks[0]["fix"] } else { &answer["fix"] };
                assert!(!fixes.as_array().unwrap().is_empty(), "{major}: {view}: {answer:#}");
                fixes.as_array().unwrap().iter().for_each(|sql| world.sql(sql.as_str().unwrap()));
            }
            panic!("{major}: {view} is not mended");
        };
        let said = moat.run(&["explain", url, app, "SELECT", "shop.plain"]).exits(1).out;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "No: it is granted, but fails beneath the view.",
            "The view may be read, and the SELECT fails all the same: no SELECT on table \"Base s\".t, asked of below_own, \
             the owner of shop.plain.",
            "GRANT SELECT (\"B c\") ON TABLE \"Base s\".t TO below_own;",
        ] {
            assert!(said.contains(words), "{major}: {words}: {said}");
        }
        // a name in a constant is not read, and nobody is asked for it
        assert_eq!((&ask("SELECT", "names")["beneath"], &ask("SELECT", "names")["works"]), (&json!([]), &json!(true)));
        assert_eq!(ask("SELECT", "counts")["works"], json!(true), "any column is enough to count rows: {major}");
        // a subquery whose column nobody uses is not asked for; read by itself, the view uses it
        world.tried(app, "select * from shop.spare").unwrap();
        let spare = ask("SELECT", "spare");
        let u = spare["beneath"].as_array().unwrap().iter().find(|b| b["relation"] == json!("\"Base s\".u")).unwrap();
        assert_eq!(
            (&spare["works"], &u["sometimes"], &u["held"]),
            (&json!(true), &json!(true), &json!(false)),
            "{major}"
        );
        assert_eq!(ask("SELECT", "listed")["works"], json!(false), "{major}");
        for view in ["listed", "rows", "lock", "joined"] {
            mended("SELECT", view, &format!("select * from shop.{view}"));
        }
        let insert = "insert into shop.own_default (a) values (1)";
        mended("INSERT", "own_default", insert);
        mended("INSERT", "plain", "insert into shop.plain (a) values (1)");
        let sequence = "select pg_catalog.has_sequence_privilege('below_app', '\"Base s\".t_id_seq', 'usage')";
        assert!(world.asks(sequence), "the sequence is asked of who inserts, not of the owner: {major}");
        let path = moat.file("recording.json", "");
        moat.run(&["snapshot", url, "-o", &path]).exits(0);
        let ran = moat.run(&["--snapshot", &path, "explain", app, "SELECT", "shop.joined"]).exits(0);
        assert!(ran.out.contains("below_mid") && ran.out.contains("below_own"), "{}", ran.out);
        // a recording of before knows nothing of it
        let mut old: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut left = 0;
        for schema in old["objects"].as_object_mut().unwrap().values_mut() {
            left += usize::from(schema.as_object_mut().unwrap().remove("views").is_some());
        }
        assert!(left > 0);
        let path = moat.file("old.json", &old.to_string());
        let ran =
            moat.run(&["--snapshot", &path, "explain", app, "SELECT", "shop.joined", "--format", "json"]).exits(0);
        let note = ran.json()["answers"][0]["notes"][0].as_str().unwrap().to_owned();
        assert!(note.starts_with("What shop.joined asks for beneath it has not been read"), "{note}");
    }
}

#[test]
fn random_views_work_for_whom_explain_says() {
    let (mut reads, mut writes, mut taken) = ([0, 0], [0, 0], [0, 0]);
    for major in majors() {
        let shared = shared(major).unwrap();
        for seed in 0..2 {
            let rng = &mut StdRng::seed_from_u64(seed * 100 + u64::from(major));
            let stem = format!("deep{seed}");
            let roles: Vec<String> = ["a", "b", "c", "d"].map(|r| format!("{stem}_{r}")).to_vec();
            let mut sql = String::from("create schema base; create schema v;");
            for (i, role) in roles.iter().enumerate() {
                let super_ = if i == 3 { "superuser" } else { "" };
                let _ = write!(sql, "create role {role} login {super_}; grant usage on schema v to {role};");
            }
            for t in ["t", "u"] {
                let _ = write!(sql, "create table base.{t} (id serial, a int, b int);");
                for role in &roles {
                    for right in ["select", "insert", "select (a)", "select (b)", "insert (a)"] {
                        if rng.random_bool(if right.contains('(') { 0.15 } else { 0.65 }) {
                            let _ = write!(sql, "grant {right} on base.{t} to {role};");
                        }
                    }
                    if rng.random_bool(0.5) {
                        let _ = write!(sql, "grant usage on sequence base.{t}_id_seq to {role};");
                    }
                }
            }
            let mut sources = vec![("base.t".to_owned(), true), ("base.u".to_owned(), true)];
            for i in 0..16 {
                let (from, simple) = sources.choose(rng).unwrap().clone();
                let other = &sources.choose(rng).unwrap().0;
                let (body, simple) = match rng.random_range(0..22) {
                    0 => (format!("select x.a, 1 as b from {from} x where exists (select 1 from {other})"), false),
                    1 => (format!("select a, (select max(b) from {other}) as b from {from}"), false),
                    2 => (format!("select count(*)::int as a, 1 as b from {from}"), false),
                    3 => (format!("select distinct a, b from {from}"), false),
                    4 => (format!("select a, b from {from} group by a, b"), false),
                    5 => (format!("select a, b from {from} limit 1"), false),
                    6 => (format!("select a, b from {from} union all select a, b from {from}"), false),
                    7 => (format!("with w as (select 1) select a, b from {from}"), false),
                    8 => (format!("select generate_series(1, 2) as a, b from {from}"), false),
                    9 => (format!("select a, (row_number() over ())::int as b from {from}"), false),
                    10 => (format!("select 1 as a, 1 as b from {from} having true"), false),
                    11 => (format!("select a, b from {from} offset 0"), false),
                    12 => {
                        (format!("select a, b from {from} where a in (select max(b) from {from} group by a)"), simple)
                    }
                    _ => (format!("select a, b from {from}"), simple),
                };
                let invoker = major >= 15 && rng.random_bool(0.4);
                let with = if invoker { "with (security_invoker = true)" } else { "" };
                let owner = roles.choose(rng).unwrap();
                let _ = write!(sql, "create view v.v{i} {with} as {body}; alter view v.v{i} owner to {owner};");
                for role in &roles {
                    if rng.random_bool(0.8) {
                        let _ = write!(sql, "grant select, insert on v.v{i} to {role};");
                    }
                }
                sources.push((format!("v.v{i}"), simple));
            }
            let world = World::new(&shared, &stem, &sql);
            let snapshot = world.snapshot(&shared);
            let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
            for (view, simple) in &sources[2..] {
                for role in &roles {
                    let verdict = asked(&snapshot, &matrix, role, view, Privilege::Select);
                    let tried = world.tried(role, &format!("select * from {view}"));
                    let unsure = |b: &Beneath| b.sometimes && b.held == Some(false);
                    if verdict.works && verdict.beneath.iter().any(unsure) {
                        continue;
                    }
                    assert_eq!(verdict.works, tried.is_ok(), "{major}/{seed}: {role} {view}: {tried:?} {verdict:#?}");
                    reads[usize::from(verdict.works)] += 1;
                    let verdict = asked(&snapshot, &matrix, role, view, Privilege::Insert);
                    if role.ends_with("_d") && !verdict.unsure {
                        let takes =
                            "select pg_catalog.pg_relation_is_updatable($1::pg_catalog.regclass, false) & 8 <> 0";
                        let takes = world.asks(&takes.replace("$1", &format!("'{view}'")));
                        let refused = verdict.missing.iter().any(|m| m.contains("takes no INSERT"));
                        assert!(if takes { !refused } else { !verdict.works }, "{major}/{seed}: {view}: {verdict:#?}");
                        taken[usize::from(takes)] += 1;
                    }
                    // what depends on the columns that the INSERT names is not decided
                    if !simple || verdict.beneath.iter().any(|b| b.held.is_none()) {
                        continue;
                    }
                    let works = verdict.works && verdict.lacks.is_empty();
                    let tried = world.tried(role, &format!("insert into {view} (a, b) values (1, 2)"));
                    assert_eq!(works, tried.is_ok(), "{major}/{seed}: {role} {view}: {tried:?} {verdict:#?}");
                    writes[usize::from(works)] += 1;
                }
            }
        }
    }
    println!("SELECT fails {}, works {}; INSERT fails {}, works {}", reads[0], reads[1], writes[0], writes[1]);
    assert!(taken.iter().all(|n| *n >= 5), "views that take an INSERT, and others: {taken:?}");
    assert!(reads.iter().all(|n| *n >= 10) && writes.iter().all(|n| *n >= 3), "{reads:?} {writes:?}");
}

/// Roles that let each other in and pass on what they were given, two tables, grants on both and on their columns.
fn tangled(world: &World, rng: &mut StdRng, roles: &[String], major: u32) {
    // what is passed on twice, and the membership that is
    let chain = format!(
        "grant select, select (a) on shop.t to {0} with grant option;
         set role {0}; grant select, select (a) on shop.t to {1} with grant option; grant select (b) on shop.t to {3};
         set role {1}; grant select, select (a) on shop.t to {5} with grant option;
         set role {5}; grant select on shop.t to {2}; grant select (a) on shop.t to {4};
         reset role; grant {4} to {0} with admin option; set role {0}; grant {4} to {1}; reset role",
        roles[0], roles[1], roles[2], roles[3], roles[4], roles[5]
    );
    world.sql(&chain);
    for _ in 0..roles.len() {
        let (by, group, member) = (roles.choose(rng).unwrap(), roles.choose(rng).unwrap(), roles.choose(rng).unwrap());
        let option = match rng.random_range(0..3) {
            0 => "with admin option",
            1 if major >= 16 => "with inherit false",
            _ => "",
        };
        let by = if rng.random_bool(0.5) { format!("set role {by};") } else { String::new() };
        world.perhaps(&format!("{by} grant {group} to {member} {option}"));
    }
    for _ in 0..40 {
        let right = ["select", "insert", "update", "references"].choose(rng).unwrap();
        let columns = match rng.random_range(0..5) {
            0 => "(a)",
            1 => "(b, \"C d\")",
            _ => "",
        };
        let to = if rng.random_bool(0.1) { "public" } else { roles.choose(rng).unwrap() };
        let option = if to != "public" && rng.random_bool(0.6) { "with grant option" } else { "" };
        let by = if rng.random_bool(0.6) { format!("set role {};", roles.choose(rng).unwrap()) } else { String::new() };
        let table = ["t", "u"].choose(rng).unwrap();
        world.perhaps(&format!("{by} grant {right} {columns} on shop.{table} to {to} {option}"));
    }
}

#[test]
fn columns_are_answered_as_the_server_does_and_what_is_printed_gives_and_ends_the_right() {
    const PRIVILEGES: [Privilege; 4] = [Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::References];
    let rounds: u64 = std::env::var("PGMOAT_EXPLAIN_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for major in majors() {
        let shared = shared(major).unwrap();
        let (mut compared, mut held, mut given, mut ended, mut in_order) = (0, 0, 0, 0, 0);
        for seed in 0..rounds {
            let rng = &mut StdRng::seed_from_u64(seed * 100 + u64::from(major));
            let stem = format!("cols{seed}");
            let roles: Vec<String> = (0..6).map(|i| format!("{stem}_{i}")).collect();
            let mut sql = String::from("create schema shop; create table shop.t (a int, b int, \"C d\" int);");
            sql += "create table shop.u (like shop.t);";
            for role in &roles {
                let _ = write!(sql, "create role {role} login; grant usage on schema shop to {role};");
            }
            let _ = write!(sql, "alter table shop.u owner to {};", roles[0]);
            let world = World::new(&shared, &stem, &sql);
            tangled(&world, rng, &roles, major);
            // whoever grants has to find the table, so that its USAGE goes afterwards
            world.sql(&format!("revoke usage on schema shop from {}", roles[5]));
            let snapshot = world.snapshot(&shared);
            let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
            let who: Vec<&str> = roles.iter().map(String::as_str).chain(["public"]).collect();
            for role in who {
                for (table, column) in
                    ["t", "u"].into_iter().flat_map(|t| ["", "a", "b", "C d"].into_iter().map(move |c| (t, c)))
                {
                    for privilege in PRIVILEGES {
                        let object =
                            if column.is_empty() { format!("shop.{table}") } else { format!("shop.{table}.{column}") };
                        let verdict = asked(&snapshot, &matrix, role, &object, privilege);
                        let truth = if column.is_empty() {
                            format!("select pg_catalog.has_table_privilege('{role}', 'shop.{table}', '{privilege}')")
                        } else {
                            format!(
                                "select pg_catalog.has_column_privilege('{role}', 'shop.{table}', '{column}', '{privilege}')"
                            )
                        };
                        assert_eq!(verdict.held, world.asks(&truth), "{major}/{seed}: {role} {object} {verdict:#?}");
                        assert_eq!(verdict.held, !verdict.paths.is_empty(), "{major}/{seed}: {role} {object}");
                        compared += 1;
                        held += usize::from(verdict.held);
                        if verdict.fix.is_empty() || rng.random_bool(0.5) {
                            continue;
                        }
                        world.sql("begin");
                        let fixes: Vec<String> = verdict.fix.iter().flat_map(statements).collect();
                        for statement in &fixes {
                            let run = world.runtime.block_on(world.admin.batch_execute(statement));
                            run.unwrap_or_else(|e| {
                                panic!("{major}/{seed}: {role} {object}: {e:?}: {fixes:#?} {verdict:#?}")
                            });
                        }
                        assert_eq!(world.asks(&truth), !verdict.works, "{major}/{seed}: {role} {object}: {fixes:#?}");
                        world.sql("rollback");
                        *(if verdict.works { &mut ended } else { &mut given }) += 1;
                        in_order += usize::from(verdict.others.iter().any(|o| o.starts_with("Ends along with it")));
                    }
                }
            }
        }
        println!(
            "{major}: {compared} compared, {held} held; {given} given, {ended} ended, {in_order} with what others were given"
        );
        assert!(held > 50 && given > 20 && ended > 10 && in_order > 0, "{held} {given} {ended} {in_order}");
    }
}

#[test]
fn a_column_is_asked_for_as_sql_names_it_and_what_is_not_there_is_said_with_what_is_near() {
    let major = crate::support::cluster::newest();
    let shared = shared(major).unwrap();
    let world = World::new(
        &shared,
        "near",
        "create role {p}app login; create schema shop; grant usage on schema shop to {p}app;
         create table shop.orders (id int, \"Full name\" text); create sequence shop.numbers;
         create function shop.total(int) returns int language sql as 'select 1';
         grant select (\"Full name\"), insert on shop.orders to {p}app;",
    );
    let (app, url) = ("near_app", world.url.as_str());
    let moat = Moat::new();
    let ask = |words: &[&str]| moat.run(&[&["explain", url], words].concat());
    let said = ask(&[app, "SELECT", "shop.orders.\"Full name\""]).exits(0).out;
    assert!(said.contains("──▶ shop.orders.\"Full name\""), "{said}");
    assert!(said.contains("REVOKE SELECT (\"Full name\") ON TABLE shop.orders FROM near_app;"), "{said}");
    let said = ask(&[app, "SELECT", "shop.orders.id"]).exits(1).out;
    assert!(said.contains("GRANT SELECT (id) ON TABLE shop.orders TO near_app;"), "{said}");
    let said = ask(&[app, "INSERT", "shop.orders.id"]).exits(0).out;
    assert!(said.contains("──▶ shop.orders\n") && said.contains("ends on every column"), "{said}");
    let answers = ask(&[app, "shop.orders.ID", "--format", "json"]).exits(0).json();
    assert_eq!((&answers["kind"], answers["answers"].as_array().unwrap().len()), (&json!("column"), 4));
    for (words, cause, near) in [
        (vec!["near_apps", "SELECT", "shop.orders"], "could not find the role near_apps", "Did you mean near_app?"),
        (vec![app, "SELECT", "shopp.orders"], "could not find the schema shopp", "Did you mean shop?"),
        (vec![app, "SELECT", "shop.order"], "could not find order in the schema shop", "Did you mean shop.orders?"),
        (
            vec![app, "SELECT", "shop.orders.ids"],
            "could not find a column ids in shop.orders",
            "Did you mean shop.orders.id?",
        ),
        (vec![app, "SELECT", "shop.orders.zzzzzz"], "could not find a column zzzzzz", "It has id and Full name."),
        (
            vec![app, "DELETE", "shop.orders.id"],
            "a column does not have it",
            "It has SELECT, INSERT, UPDATE, REFERENCES.",
        ),
        (vec![app, "EXECUTE", "shop.orders"], "could not ask for EXECUTE: a table does not have it", "It has SELECT"),
        (vec![app, "SELECT", "shop.numbers.last_value"], "a sequence has none", "schema.relation.column"),
        (vec![app, "SELECT", "shop.total.x"], "a function has none", "schema.relation.column"),
        (vec![app, "SELCT", "shop.orders"], "could not read the privilege SELCT", "Did you mean SELECT?"),
        (vec![app, "SELECT", "Orders"], "could not find the schema Orders", "with its schema: shop.orders."),
        (vec![app, "SELECT", "nowhere"], "could not find the schema nowhere", "a table is written schema.table"),
    ] {
        let ran = ask(&words).exits(2);
        assert!(ran.err.contains(cause) && ran.err.contains(near), "{words:?}: {}", ran.err);
        assert!(ran.out.is_empty() && ran.err.lines().count() <= 3, "one message: {}", ran.err);
    }
    // a recording has no names of columns
    let path = moat.file("recording.json", "");
    moat.run(&["snapshot", url, "-o", &path]).exits(0);
    let ran = moat.run(&["--snapshot", &path, "explain", app, "SELECT", "shop.orders.id"]).exits(1);
    assert!(ran.out.contains("Names of columns are not recorded"), "{}", ran.out);
}

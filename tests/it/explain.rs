//! What `explain` and `matrix` say beside the table privilege itself, against what the server does: an INSERT that lacks its
//! sequence, grants on single columns, what SET ROLE would add.

use pgmoat::demo::cluster::SUPERUSER;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::{
    cli::Moat,
    read::runtime,
    support::cluster::{Shared, connect, majors, shared},
};

struct World {
    runtime: Runtime,
    admin: Client,
    url: String,
}

impl World {
    /// A database of its own with this in it; `{p}` begins the names of its roles.
    fn new(shared: &Shared, stem: &str, sql: &str) -> World {
        let runtime = runtime();
        let (admin, url) = runtime.block_on(async {
            let database = shared.database(stem).await;
            let admin = connect(shared.cluster(), SUPERUSER, &database).await;
            (admin, shared.cluster().url(SUPERUSER, &database))
        });
        let world = World { runtime, admin, url };
        world.sql(&sql.replace("{p}", &format!("{stem}_")));
        world
    }

    fn sql(&self, sql: &str) {
        self.runtime.block_on(self.admin.batch_execute(sql)).unwrap_or_else(|e| panic!("{e:?}: {sql}"));
    }

    /// What the server says to the statement run as the role; rolled back.
    fn tried(&self, role: &str, sql: &str) -> Result<(), String> {
        self.sql(&format!("begin; set local role {role}"));
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
        // INSERT on single columns needs the sequence of another just so
        let answer = ask("columns");
        assert_eq!((&answer["held"], &answer["columns"]), (&json!(false), &json!(["note"])), "{major}");
        assert_eq!(answer["lacks"].as_array().unwrap().len(), 1, "{major}: {answer:#}");
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

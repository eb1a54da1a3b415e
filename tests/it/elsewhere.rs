//! A policy whose services live in several databases: `check` and the console judge them together, whichever of them
//! was named.

use std::path::Path;

use pgmoat::demo::cluster::SUPERUSER;
use serde_json::Value;

use crate::{
    acting::insist,
    read::runtime,
    support::{
        cluster::{self, Shared, connect, shared},
        terminal::{ESC, PATIENCE, Start},
    },
};

/// A service in each of two databases; the second's table is somebody else's, and its neighbour writes where it may only
/// read.
struct World {
    shared: std::sync::Arc<Shared>,
    home: tempfile::TempDir,
    first: String,
    second: String,
}

impl World {
    fn new(stem: &str) -> World {
        let shared = shared(cluster::newest()).unwrap();
        let (first, second) = runtime().block_on(async {
            let (first, second) = (shared.database(stem).await, shared.database(stem).await);
            let admin = connect(shared.cluster(), SUPERUSER, &first).await;
            let sql = format!(
                "create role {stem}_shop login; create role {stem}_flow login; create role {stem}_other login; \
                 create schema shop authorization {stem}_shop"
            );
            admin.batch_execute(&sql).await.unwrap();
            let admin = connect(shared.cluster(), SUPERUSER, &second).await;
            let sql = format!(
                "create schema flow authorization {stem}_flow; create table flow.t (id int); \
                 alter table flow.t owner to {stem}_other; grant all on flow.t to {stem}_flow; \
                 grant usage on schema flow to {stem}_shop; grant select, insert on flow.t to {stem}_shop"
            );
            admin.batch_execute(&sql).await.unwrap();
            (first, second)
        });
        let home = tempfile::tempdir().unwrap();
        World { shared, home, first, second }
    }

    fn url(&self, database: &str) -> String {
        self.shared.cluster().url(SUPERUSER, database)
    }

    /// The policy, with the instance that the second service lives in.
    fn policy(&self, stem: &str, instance: &str) -> String {
        let path = self.home.path().join("team.policy.toml");
        let text = format!(
            "name = \"team\"\nundeclared = \"ignore\"\n\
             [[service]]\nname = \"shop\"\nschema = \"shop\"\nrole = \"{stem}_shop\"\nversion_table = false\n\
             access = {{ \"{instance}/flow\" = [\"read\"] }}\n\
             [[service]]\nname = \"flow\"\nschema = \"flow\"\nrole = \"{stem}_flow\"\nversion_table = false\n\
             instance = \"{instance}\"\n"
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn configured(&self, instances: &[(&str, &str, Option<&str>)]) -> String {
        let path = self.home.path().join("config.toml");
        let mut text = String::new();
        for (name, database, policy) in instances {
            text.push_str("[[instance]]\nname = \"");
            text.push_str(name);
            text.push_str("\"\nurl = \"");
            text.push_str(&self.url(database));
            text.push_str("\"\n");
            if let Some(policy) = policy {
                text.push_str("policy = \"");
                text.push_str(policy);
                text.push_str("\"\n");
            }
        }
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn check(&self, args: &[&str]) -> (i32, Value, String) {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pgmoat"))
            .env_clear()
            .env("HOME", self.home.path())
            .arg("check")
            .args(args)
            .args(["--format", "json"])
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let json = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        (output.status.code().unwrap(), json, err)
    }
}

/// Instance, database and code of every finding about the table that is somebody else's, or the neighbour that writes.
fn told(json: &Value) -> Vec<(String, String, String)> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let findings = json["findings"].as_array().unwrap();
    let wanted = findings.iter().filter(|f| matches!(f["code"].as_str(), Some("object-owner" | "grant-excess")));
    let mut told: Vec<_> = wanted.map(|f| (text(f, "instance"), text(f, "database"), text(f, "code"))).collect();
    told.sort();
    told.dedup();
    told
}

fn instances(json: &Value) -> Vec<&str> {
    json["summary"]["instances"].as_array().unwrap().iter().map(|i| i["instance"].as_str().unwrap()).collect()
}

#[test]
fn a_service_of_another_configured_instance_is_judged_with_the_rest() {
    let world = World::new("elc");
    let policy = world.policy("elc", "flowdb");
    let place = Path::new(&policy).file_name().unwrap().to_str().unwrap();
    let config = world.configured(&[("main", &world.first, Some(place)), ("flowdb", &world.second, None)]);
    let expected = [
        ("flowdb".to_owned(), world.second.clone(), "grant-excess".to_owned()),
        ("flowdb".to_owned(), world.second.clone(), "object-owner".to_owned()),
    ];
    // whether all, the home or both are named
    for targets in [&[][..], &["main"], &["main", "flowdb"], &["flowdb", "main"]] {
        let (code, json, err) = world.check(&[&["--config", &config], targets].concat());
        assert_eq!((code, told(&json)), (1, expected.to_vec()), "{targets:?} {err}");
        assert_eq!(instances(&json).len(), 2, "each once: {targets:?}");
    }
    // the other one alone is judged by its part
    let (code, json, _) = world.check(&["--config", &config, "flowdb"]);
    assert_eq!((code, told(&json), instances(&json)), (1, expected.to_vec(), vec!["flowdb"]));

    // one that cannot be reached is no clean bill
    let dead = world.configured(&[("main", &world.first, Some(place)), ("flowdb", "no_such_database", None)]);
    let (code, json, err) = world.check(&["--config", &dead, "main"]);
    assert_eq!((code, told(&json)), (3, Vec::new()));
    assert!(err.contains("no_such_database") && err.contains("lives in the instance flowdb"), "{err}");

    let config = world.configured(&[("main", &world.first, Some(place)), ("flowdb", &world.second, None)]);
    let mut console = Start::new(world.home.path(), &["--config", &config, "main"]).run();
    console.shows("PRIMARY");
    console.press("8", "elc_other");
    assert!(console.text().contains("flowdb"), "{}", console.text());
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn an_instance_that_nobody_configured_is_the_database_of_that_name() {
    let world = World::new("eld");
    let (url, second) = (world.url(&world.first), world.second.clone());
    let policy = world.policy("eld", &second);
    let (code, json, err) = world.check(&[&url, "--policy", &policy]);
    let expected = [
        (second.clone(), second.clone(), "grant-excess".to_owned()),
        (second.clone(), second.clone(), "object-owner".to_owned()),
    ];
    assert_eq!((code, told(&json)), (1, expected.to_vec()), "{err}");

    // a name that is no database there is told, and fails nothing
    let stranger = world.policy("eld", "somewhere_else");
    let (code, json, err) = world.check(&[&url, "--policy", &stranger, "--fail-on", "critical"]);
    assert_eq!((code, told(&json)), (0, Vec::new()), "{err}");
    assert!(err.contains("somewhere_else") && err.contains("[[instance]]"), "{err}");
    assert!(json["summary"]["instances"].as_array().unwrap().iter().any(|i| i["error"].is_string()), "{json}");

    // The console has both; and where only the home was opened, the other is judged by its part once it is.
    let policy = world.policy("eld", &second);
    let mut console = Start::new(world.home.path(), &[&url, "--policy", &policy]).run();
    console.shows("PRIMARY");
    console.press("8", "eld_other");
    insist(&mut console, "b", "Open a database of the server of");
    console.send(ESC);
    console.shows_no("Open a database");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

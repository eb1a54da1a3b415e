//! What a finding prints as its remedy runs in a shell as it was printed, for a connection that no configuration names, and
//! settles the finding.

use std::{fmt::Write as _, path::Path, process::Command};

use pgmoat::demo::cluster::SUPERUSER;
use serde_json::Value;

use crate::{
    read::runtime,
    support::cluster::{self, Shared, connect, shared},
};

/// A database with a policy and the scripts of its services.
struct World {
    shared: std::sync::Arc<Shared>,
    home: tempfile::TempDir,
    database: String,
}

impl World {
    /// `services`: name, the table that its one revision makes.
    fn new(stem: &str, sql: &str, services: &[(&str, &str)]) -> World {
        let shared = shared(cluster::newest()).unwrap();
        let database = runtime().block_on(async {
            let database = shared.database(stem).await;
            let admin = connect(shared.cluster(), SUPERUSER, &database).await;
            admin.batch_execute(sql).await.unwrap();
            database
        });
        let home = tempfile::tempdir().unwrap();
        let mut policy = String::from("name = \"team\"\nundeclared = \"ignore\"\n");
        for (name, table) in services {
            let folder = home.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let script = format!(
                "from alembic import op\nimport sqlalchemy as sa\nrevision = '{name}1'\ndown_revision = None\n\n\
                 def upgrade():\n    op.create_table('{table}', sa.Column('id', sa.Integer()))\n"
            );
            std::fs::write(folder.join(format!("{name}1.py")), script).unwrap();
            let _ = write!(
                policy,
                "[[service]]\nname = \"{name}\"\nschema = \"{name}\"\nrole = \"{stem}_{name}\"\nrevisions = \"{name}\"\n"
            );
        }
        std::fs::write(home.path().join("team's policy.toml"), policy).unwrap();
        World { shared, home, database }
    }

    fn url(&self) -> String {
        self.shared.cluster().url(SUPERUSER, &self.database)
    }

    fn check(&self) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        at_home(&mut command, self.home.path());
        command.args(["check", &self.url(), "--policy", "team's policy.toml", "--format", "json"]);
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// Every command of the finding's remedy, in a shell, with nothing asked.
    fn follow(&self, code: &str) -> Vec<String> {
        let json = self.check();
        let found = json["findings"].as_array().unwrap().iter().find(|f| f["code"] == code);
        let remedy = found.unwrap_or_else(|| panic!("no {code}: {json:#}"))["remedy"].as_str().unwrap().to_owned();
        let commands: Vec<String> = remedy.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        for text in &commands {
            let program = Path::new(env!("CARGO_BIN_EXE_pgmoat")).parent().unwrap();
            let mut shell = Command::new("sh");
            at_home(&mut shell, self.home.path());
            shell.env("PATH", format!("{}:/usr/bin:/bin", program.display())).args(["-c", &format!("{text} --yes")]);
            let output = shell.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{text}\n{remedy}\n{output:?}");
        }
        commands
    }

    fn codes(&self) -> Vec<String> {
        let json = self.check();
        json["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect()
    }
}

fn at_home(command: &mut Command, home: &Path) {
    command.env_clear().env("HOME", home).current_dir(home);
}

/// Two services that keep their revisions in one table of `public`, each with its tables in a schema.
fn shared_table(stem: &str, schemas: [&str; 2]) -> String {
    let mut sql = String::from("create table public.alembic_version (version_num varchar(32) primary key);");
    for (service, schema, table) in [("orders", schemas[0], "item"), ("billing", schemas[1], "invoice")] {
        let _ = write!(
            sql,
            "create role {stem}_{service} login; create schema {service} authorization {stem}_{service};
             create table {schema}.{table} (id int); alter table {schema}.{table} owner to {stem}_{service};
             grant select, insert, update, delete on public.alembic_version to {stem}_{service};
             insert into public.alembic_version values ('{service}1');"
        );
    }
    sql
}

#[test]
fn the_rows_of_a_shared_version_table_go_to_services_that_are_told_to_look_there() {
    let stem = "remedies_rows";
    let sql = shared_table(stem, ["orders", "billing"]);
    let world = World::new(stem, &sql, &[("orders", "item"), ("billing", "invoice")]);
    let remedy = world.check()["findings"].to_string();
    assert!(
        remedy.contains("then have the search path of remedies_rows_billing and remedies_rows_orders lead there"),
        "{remedy}"
    );
    let commands = world.follow("version-table-shared");
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(commands.iter().all(|c| c.starts_with("pgmoat versions move 'postgresql://")), "{commands:?}");
    let left = world.codes();
    assert!(!left.iter().any(|c| c == "version-table-shared"), "{left:?}");
    assert_eq!(
        left.iter().filter(|c| *c == "role-search-path").count(),
        2,
        "what was said is still to be done: {left:?}"
    );
    // Until then nobody calls it in order.
    let mut versions = Command::new(env!("CARGO_BIN_EXE_pgmoat"));
    at_home(&mut versions, world.home.path());
    let output = versions.args(["versions", &world.url(), "--policy", "team's policy.toml"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.matches("own, but not found by its service").count(), 2, "{told}");
}

#[test]
fn a_service_whose_tables_stand_beside_the_shared_version_table_goes_as_a_whole() {
    let stem = "remedies_whole";
    let sql = shared_table(stem, ["public", "public"]);
    let world = World::new(stem, &sql, &[("orders", "item"), ("billing", "invoice")]);
    let commands = world.follow("version-table-shared");
    assert!(commands.iter().all(|c| c.starts_with("pgmoat isolate 'postgresql://")), "{commands:?}");
    let left = world.codes();
    let wrong = |code: &String| code.starts_with("version-") || code == "role-search-path" || code == "object-owner";
    assert!(!left.iter().any(wrong), "{left:?}");
}

//! The short run: one project out of a schema that it shares; the long one is
//! `cargo run --release --example applications`.

use std::path::Path;

use pgmoat::{
    demo::cluster::{Cluster, ClusterOptions},
    plan::handover::Handover,
};

use super::{Field, GARDEN, HARBOR, OPTUNA, ORCHARD, Tools, collisions::Alone, tools};
use crate::support::cluster;

/// Alembic, where it can be had.
pub fn here() -> Option<Tools> {
    // One at a time makes it.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tools(&cluster::guard(), &Path::new(env!("CARGO_TARGET_TMPDIR")).join("applications"))
}

/// Commands of the project's cycle that are run.
const CYCLE: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_application_does_what_it_does_in_a_clean_database() {
    let Some(tools) = here() else { return };
    let Some(server) = cluster::server(cluster::newest()) else { return };
    let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
    let mut field = Field::new(&tools, &own, "short");
    let should = field.clean(GARDEN, CYCLE).await;
    assert!(should.said.iter().all(|(_, code, _)| *code == 0), "{should:#?}");
    let shared = field.shared(&[GARDEN, HARBOR]).await;
    field.isolate(&shared, GARDEN, CYCLE, &should).await;
    let (checks, faults, log) = (field.checks, field.faults, field.log.clone());
    drop(field);
    println!("{} commands, {checks} comparisons\n{log}", tools.runs.into_inner());
    assert_eq!(faults, 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_application_does_what_it_does_in_a_clean_database() {
    let Some(tools) = here().filter(|tools| tools.has(OPTUNA)) else { return };
    let Some(server) = cluster::server(cluster::newest()) else { return };
    let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
    let mut field = Field::new(&tools, &own, "real");
    // It starts, says where it is, and is checked.
    let should = field.clean(OPTUNA, 3).await;
    assert!(should.said.iter().all(|(_, code, _)| *code == 0), "{should:#?}");
    let shared = field.shared(&[OPTUNA, GARDEN]).await;
    field.collides(&shared, OPTUNA);
    field.isolate(&shared, OPTUNA, 3, &should).await;
    let (checks, faults, log) = (field.checks, field.faults, field.log.clone());
    drop(field);
    println!("{} commands, {checks} comparisons\n{log}", tools.runs.into_inner());
    assert_eq!(faults, 0, "{log}");
}

/// What a hand-over says for `env.py` and the models: nothing that is there is created again or dropped.
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_hand_over_fit_what_is_there() {
    let Some(tools) = here() else { return };
    let Some(server) = cluster::server(cluster::newest()) else { return };
    let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
    let client = cluster::connect(&own, "postgres", "postgres").await;
    let made = "create role lines_app login; create schema lines authorization lines_app;
                alter role lines_app in database postgres set search_path = lines; grant all on schema public to lines_app";
    client.batch_execute(made).await.unwrap();
    for schema in ["lines", "public"] {
        let handover = Handover {
            host: "localhost",
            port: 5432,
            database: "postgres",
            role: "lines_app",
            schema,
            password: None,
            version_table: Some("alembic_version"),
            inside: None,
        };
        let block: String = handover.alembic().lines().fold(String::new(), |all, line| all + "    " + line + "\n");
        let code = format!(
            r#"
import os
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import *
{metadata}
Table("garden", metadata, Column("id", Integer, primary_key=True))
Table("bed", metadata, Column("id", Integer, primary_key=True), Column("garden", ForeignKey(metadata.schema + ".garden.id")))
class context:
    def configure(**given):
        given.pop("connection")
        context.made = MigrationContext.configure(connection, opts=given)
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    target_metadata = metadata
    metadata.create_all(connection)
{block}
    context.made._ensure_version_table()
    connection.commit()
    left = produce_migrations(context.made, metadata).upgrade_ops.ops
    where = connection.execute(text("select relnamespace::regnamespace::text from pg_class where relname = 'alembic_version'"))
    print([type(op).__name__ for op in left], metadata.schema in [row[0] for row in where])
"#,
            metadata = handover.sqlalchemy(),
        );
        let ran = tools.code(&own.url("lines_app", "postgres"), &code);
        assert_eq!((ran.code, ran.text.trim()), (0, "[] True"), "{schema}");
    }
}

/// Cases that share a cluster, each with roles and a database of its own.
struct Cases<'a> {
    tools: &'a Tools,
    cluster: &'a Cluster,
    checks: u32,
    faults: u32,
    log: String,
}

impl<'a> Cases<'a> {
    fn field(&self, stem: &str) -> Field<'a> {
        Field::new(self.tools, self.cluster, stem)
    }

    fn done(&mut self, field: &Field<'_>) {
        self.checks += field.checks;
        self.faults += field.faults;
        self.log.push_str(&field.log);
    }

    fn end(self) {
        println!("{} comparisons", self.checks);
        assert_eq!(self.faults, 0, "{}", self.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_applications_lose_to_each_other_is_given_back_or_told_apart() {
    let Some(tools) = here() else { return };
    let Some(server) = cluster::server(cluster::newest()) else { return };
    let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
    let mut cases = Cases { tools: &tools, cluster: &own, checks: 0, faults: 0, log: String::new() };
    let alone = Alone::new(&cases.field("alone"), 3, false).await;
    let mut field = cases.field("dropped");
    field.dropped(&alone).await;
    cases.done(&field);
    let mut field = cases.field("emptied");
    field.emptied(&alone).await;
    cases.done(&field);
    let mut field = cases.field("overlapping");
    field.overlapping(&alone).await;
    cases.done(&field);
    cases.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_split_off_paths_are_mended_and_the_next_release_runs() {
    let Some(tools) = here() else { return };
    let Some(server) = cluster::server(cluster::newest()) else { return };
    let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
    let mut cases = Cases { tools: &tools, cluster: &own, checks: 0, faults: 0, log: String::new() };
    let mut field = cases.field("rows");
    field.split(GARDEN).await;
    cases.done(&field);
    let mut field = cases.field("path");
    let alone = Alone { orchard: field.clean(ORCHARD, 3).await, cycle: 3, ..Alone::default() };
    field.by_path(ORCHARD, &alone).await;
    cases.done(&field);
    let mut field = cases.field("next");
    field.next_release(5).await;
    cases.done(&field);
    cases.end();
}

//! The short run: one project out of a schema that it shares; the long one is
//! `cargo run --release --example applications`.

use std::path::Path;

use pgmoat::demo::cluster::{Cluster, ClusterOptions};

use super::{Field, GARDEN, HARBOR, OPTUNA, Tools, tools};
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

//! The short run: one project out of a schema that it shares; the long one is
//! `cargo run --release --example applications`.

use std::path::Path;

use pgmoat::demo::cluster::{Cluster, ClusterOptions};

use super::{Field, GARDEN, HARBOR, tools};
use crate::support::cluster;

/// Commands of the project's cycle that are run.
const CYCLE: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_application_does_what_it_does_in_a_clean_database() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alembic");
    let Some(tools) = tools(&cluster::guard(), &place) else { return };
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

//! The short run of the law *faithful*; the long one is `cargo run --release --example faithful`.

use pgmoat::demo::cluster::{Cluster, ClusterOptions};

use super::{
    Report,
    moves::{self, Moves},
    run,
};
use crate::support::cluster;

/// Over all majors; each is led through fifteen policies.
const SEEDS: u64 = 16;
/// Over all majors; each database is asked for six moves.
const TOWNS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_predicts_is_what_the_server_makes_of_it() {
    let majors = cluster::majors();
    for major in &majors {
        let major = *major;
        let Some(server) = cluster::server(major) else { continue };
        // A cluster of its own: fixes reach roles, and roles are everybody's.
        let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
        let (mut total, mut log) = (Report::default(), String::new());
        for seed in 0..SEEDS / majors.len() as u64 {
            total.add(run(&own, u64::from(major) * 1000 + 500 + seed, 15, &mut log).await);
        }
        println!("PostgreSQL {major}: {total:?}");
        assert_eq!(total.differences, 0, "{log}");
        assert!(total.pairs > 30 && total.undone > 10, "{total:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_is_where_it_was_predicted_and_comes_back() {
    let majors = cluster::majors();
    let (mut total, mut log) = (Moves::default(), String::new());
    for major in &majors {
        let Some(server) = cluster::server(*major) else { continue };
        let own = Cluster::start(ClusterOptions { server: Some(server), ..cluster::options() }).unwrap();
        for seed in 0..TOWNS.div_ceil(majors.len() as u64) {
            total.add(&moves::run(&own, u64::from(*major) * 1000 + seed, 6, &mut log).await);
        }
    }
    println!("moves: {total:?}");
    assert_eq!(total.differences, 0, "{log}");
    assert!(total.plans > 8 && total.undone > 1 && total.kinds.len() == 3, "{total:?}");
}

//! The short run of the law *faithful*; the long one is `cargo run --release --example faithful`.

use pgmoat::demo::cluster::{Cluster, ClusterOptions};

use super::{Report, run};
use crate::support::cluster;

/// Over all majors; each is led through fifteen policies.
const SEEDS: u64 = 16;

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

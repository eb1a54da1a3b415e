//! The matrix against the server: the short run. The long one is `cargo run --release --example oracle`.

use pgmoat::demo::cluster::{Cluster, ClusterOptions};

use crate::{
    oracle::{self, Report, Scale},
    support::cluster,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_count_is_what_the_server_answers() {
    for major in cluster::majors() {
        // A server of its own: roles that other tests make and drop between the picture and the answers are no differences.
        let server = cluster::server(major);
        let own = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
        let (mut total, mut log) = (Report::default(), String::new());
        for seed in 0..3 {
            total.add(oracle::run(&own, u64::from(major) * 1000 + seed, Scale::SMALL, &mut log).await);
        }
        assert_eq!(total.differences, 0, "{log}");
        assert!(total.triples > 2_000, "{major}: only {} triples were compared", total.triples);
        assert!(total.taken * 10 > total.tried * 6, "{major}: the server took only {} of {}", total.taken, total.tried);
    }
}

//! Throwaway clusters: they work on every major, and nothing is left of them.

use crate::support::cluster;

#[test]
fn every_major_starts_serves_and_disappears() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for major in cluster::majors() {
        let start = std::time::Instant::now();
        let server = cluster::server(major);
        let made = pgmoat::demo::cluster::Cluster::start(pgmoat::demo::cluster::ClusterOptions {
            server,
            ..cluster::options()
        })
        .unwrap();
        eprintln!("{major}: started in {:?}", start.elapsed());
        let root = made.root().to_path_buf();
        let version: String = runtime.block_on(async {
            let client = cluster::connect(&made, "postgres", "postgres").await;
            client.query_one("show server_version_num", &[]).await.unwrap().get(0)
        });
        assert_eq!(version.parse::<u32>().unwrap() / 10_000, major);
        let start = std::time::Instant::now();
        made.stop();
        eprintln!("{major}: stopped in {:?}", start.elapsed());
        assert!(!root.exists());
    }
}

//! A standby with real streaming replication, promoted while the console runs: what it shows before, what it refuses and
//! why, and that it acts afterwards without having been started anew.

use std::time::{Duration, Instant};

use pgmoat::demo::cluster::{Cluster, ClusterOptions, SUPERUSER};
use tokio_postgres::Client;

use crate::{
    acting::{configured, insist},
    read::runtime,
    support::{
        cluster::{self, connect, standby_of},
        terminal::{ENTER, ESC, PATIENCE, Start},
    },
};

/// Asks until the answer is true.
async fn becomes_true(client: &Client, sql: &str) {
    let begun = Instant::now();
    while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begun.elapsed() < PATIENCE, "never true: {sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_standby_is_shown_with_its_lag_refuses_and_acts_once_it_is_promoted() {
    let home = tempfile::tempdir().unwrap();
    let mut primary =
        Cluster::start(ClusterOptions { server: cluster::server(cluster::newest()), ..cluster::options() }).unwrap();
    let standby = standby_of(&mut primary);
    let runtime = runtime();
    let (on_primary, on_standby) = runtime.block_on(async {
        let on_primary = connect(&primary, SUPERUSER, "postgres").await;
        let on_standby = connect(&standby, SUPERUSER, "postgres").await;
        on_primary
            .batch_execute(
                "create role st_app login; create role st_stranger login; create schema st_own authorization st_app; \
                 grant usage on schema st_own to st_stranger",
            )
            .await
            .unwrap();
        becomes_true(&on_primary, "select count(*) = 1 from pg_stat_replication where state = 'streaming'").await;
        becomes_true(&on_standby, "select to_regnamespace('st_own') is not null").await;
        (on_primary, on_standby)
    });
    let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"own\"\nschema = \"st_own\"\n\
        role = \"st_app\"\nversion_table = false\n[[role]]\nname = \"st_stranger\"\naccess = {}\nlogin = true\n";
    let config = configured(home.path(), &standby.url(SUPERUSER, "postgres"), "development", policy);
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("[ui]\nrefresh_ms = 300\ncatalog_refresh_ms = 1000\n");
    std::fs::write(&config, text).unwrap();
    let mut console = Start::new(home.path(), &["--config", &config]).run();
    console.shows("STANDBY 0.0 s behind");

    // What is done on the primary arrives here.
    runtime.block_on(async { on_primary.batch_execute("create schema st_streamed").await.unwrap() });
    console.press("2", "st_streamed");

    // It falls behind, and catches up.
    runtime.block_on(async {
        on_standby.batch_execute("select pg_wal_replay_pause()").await.unwrap();
        becomes_true(&on_standby, "select pg_get_wal_replay_pause_state() = 'paused'").await;
        on_primary.batch_execute("create schema st_late").await.unwrap();
    });
    console.shows_that("lag", PATIENCE, |text| {
        let behind = text.split("STANDBY ").nth(1).and_then(|rest| rest.split(" behind").next());
        behind.is_some_and(|age| !age.starts_with("0.") && age.len() < 12)
    });
    assert!(!console.text().contains("st_late"));
    runtime.block_on(async { on_standby.batch_execute("select pg_wal_replay_resume()").await.unwrap() });
    console.shows("st_late");
    console.shows("STANDBY 0.0 s behind");

    // Keys stay where they are and say why nothing happens.
    let why = "this server is a standby";
    console.press("8", "st_stranger");
    console.press("/grant-excess\r", "of");
    insist(&mut console, "f", why);
    insist(&mut console, "c", why);
    insist(&mut console, "a", "behind its primary");
    console.send(ESC);
    console.shows_no("behind its primary");
    let has = || {
        let sql = "select has_schema_privilege('st_stranger', 'st_own', 'usage')";
        runtime.block_on(async { on_standby.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) })
    };
    assert!(has());

    runtime.block_on(async {
        let row = on_standby.query_one("select pg_promote(true, 60)", &[]).await.unwrap();
        assert!(row.get::<_, bool>(0));
    });
    console.shows("PRIMARY");
    console.shows_no("STANDBY");
    insist(&mut console, "f", "What is run");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert!(!has(), "the finding's reason is gone");
    console.send(ESC);
    console.shows_no("What is run");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

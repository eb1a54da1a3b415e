//! The task of an instance: what it tells, when it reads, how it takes a server that goes and comes back.

use std::{sync::Arc, time::Duration};

use pgmoat::{
    config::{Conninfo, env::Env},
    demo::{
        cluster::{Cluster, ClusterOptions},
        guard::StopMode,
    },
    domain::{
        link::{Link, LinkState},
        snapshot::{Snapshot, VersionRows},
    },
    server::session::{self, Command, Event, SessionConfig},
};
use tokio::sync::mpsc;

use crate::{
    read::runtime,
    support::cluster::{self, connect},
};

/// No answer of a healthy server takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Watcher {
    events: mpsc::Receiver<(usize, Event)>,
    commands: mpsc::Sender<Command>,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    fn start(cluster: &Cluster, room: usize, change: impl FnOnce(&mut SessionConfig)) -> Watcher {
        let conninfo = Conninfo::parse(&cluster.url("postgres", "postgres"), &Env::default()).unwrap();
        let mut config = SessionConfig::new(7, "test", conninfo);
        config.refresh = Duration::from_millis(100);
        config.catalog_refresh = Duration::from_millis(100);
        config.slow_refresh = Duration::from_millis(100);
        change(&mut config);
        let (event_sender, events) = mpsc::channel(room);
        let (commands, command_receiver) = mpsc::channel(8);
        let task = session::spawn(config, event_sender, command_receiver);
        Watcher { events, commands, task }
    }

    async fn next(&mut self) -> Event {
        let (index, event) = tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap();
        assert_eq!(index, 7);
        event
    }

    async fn link(&mut self, wanted: impl Fn(&Link) -> bool) -> Link {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            assert!(tokio::time::Instant::now() < end, "no such link came");
            if let Event::Link(link) = self.next().await
                && wanted(&link)
            {
                return link;
            }
        }
    }

    async fn snapshot(&mut self, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            assert!(tokio::time::Instant::now() < end, "no such snapshot came");
            if let Event::Snapshot(snapshot) = self.next().await
                && wanted(&snapshot)
            {
                return snapshot;
            }
        }
    }

    async fn stop(self) {
        self.commands.send(Command::Stop).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

fn own_cluster() -> Cluster {
    Cluster::start(ClusterOptions { server: cluster::server(cluster::newest()), ..cluster::options() }).unwrap()
}

fn ready(link: &Link) -> bool {
    link.state == LinkState::Ready
}

#[test]
fn every_part_comes_and_a_change_is_seen() {
    runtime().block_on(async {
        let own = own_cluster();
        let client = connect(&own, "postgres", "postgres").await;
        client
            .batch_execute(
                "create schema a; create table a.t (tenant_id int); create table a.moved (version_num text);
                 insert into a.moved values ('r1'); create table a.alembic_version (version_num varchar(32));",
            )
            .await
            .unwrap();
        let mut watcher = Watcher::start(&own, 4, |_| ());
        let mut link = Link::default();
        loop {
            match watcher.next().await {
                Event::Link(next) => link = next,
                Event::Snapshot(first) => {
                    assert!(ready(&link), "who sees the first picture may act on it: {:?}", link.state);
                    assert!(first.activity.is_none(), "it is shown before the sessions are asked for");
                    break;
                }
            }
        }
        let whole = watcher
            .snapshot(|s| {
                s.shapes.is_some()
                    && s.activity.is_some()
                    && s.sizes.database_bytes.is_some()
                    && s.versions.0.len() == 2
            })
            .await;
        let a = whole.catalog.schema_named("a").unwrap().oid;
        let moved = whole.versions.0.iter().find(|t| t.name == "moved").unwrap();
        assert_eq!(moved.rows, VersionRows::Known(vec!["r1".into()]), "found by its shape");
        assert!(whole.objects.0.is_empty());

        watcher.commands.send(Command::WantObjects { schemas: vec![a], beneath: true }).await.unwrap();
        watcher.commands.send(Command::WantSizes(vec![a])).await.unwrap();
        let asked = watcher.snapshot(|s| s.objects.0.contains_key(&a) && !s.sizes.relations.is_empty()).await;
        assert_eq!(asked.objects.0[&a].relations.len(), 3);
        assert!(asked.objects.0[&a].views.is_some(), "what views ask for was wanted");
        assert_eq!(asked.sizes.relations.len(), 3);
        assert!(asked.sizes.schemas[&a].exact);
        assert!(Arc::ptr_eq(&asked.catalog, &whole.catalog), "nothing was committed: the part is shared");

        client
            .batch_execute("grant select on a.t to public; insert into a.alembic_version values ('x')")
            .await
            .unwrap();
        let changed = watcher.snapshot(|s| s.catalog.gate != whole.catalog.gate).await;
        assert_eq!(changed.versions.0.iter().filter(|t| t.rows == VersionRows::Known(vec!["x".into()])).count(), 1);
        let t = changed.objects.0[&a].relations.iter().find(|o| o.name == "t").unwrap();
        assert!(t.acl.0.as_ref().unwrap().iter().any(pgmoat::domain::AclEntry::is_public));
        let shapes = whole.shapes.as_ref().unwrap().gate.clone();
        watcher.snapshot(|s| s.shapes.as_ref().unwrap().gate != shapes).await;

        watcher.commands.send(Command::TenantColumns(vec!["version_num".into()])).await.unwrap();
        watcher.snapshot(|s| s.shapes.as_ref().unwrap().tables.iter().any(|t| t.name == "moved")).await;
        watcher.commands.send(Command::WantObjects { schemas: vec![], beneath: false }).await.unwrap();
        watcher.snapshot(|s| s.objects.0.is_empty()).await;
        watcher.stop().await;
        own.stop();
    });
}

#[test]
fn a_server_that_goes_is_lost_with_a_reason_and_found_again() {
    runtime().block_on(async {
        let mut own = own_cluster();
        let mut watcher = Watcher::start(&own, 4, |_| ());
        watcher.link(ready).await;
        let before = watcher.snapshot(|s| s.activity.is_some()).await;
        own.stop_server(StopMode::Fast).unwrap();
        let lost = watcher.link(|l| matches!(l.state, LinkState::Lost { .. })).await;
        let LinkState::Lost { since_ms, reason, next_try_ms, .. } = lost.state else { unreachable!() };
        assert!(!reason.is_empty() && next_try_ms >= since_ms);
        // It keeps trying, and the beginning of the loss stays what it was.
        let again = watcher
            .link(|l| matches!(&l.state, LinkState::Lost { next_try_ms: next, .. } if *next > next_try_ms))
            .await;
        let LinkState::Lost { since_ms: since, reason, remedy, .. } = again.state else { unreachable!() };
        assert_eq!(since, since_ms);
        assert!(reason.starts_with("could not connect to "), "{reason}");
        assert!(remedy.is_some());
        own.start_server().unwrap();
        watcher.commands.send(Command::RefreshNow).await.unwrap();
        watcher.link(ready).await;
        let after = watcher.snapshot(|s| s.server.started_at_us != before.server.started_at_us).await;
        assert_eq!(after.catalog.roles.len(), before.catalog.roles.len());
        watcher.stop().await;
        own.stop();
    });
}

#[test]
fn a_login_that_is_refused_waits_long_and_says_what_to_do() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let mut watcher = Watcher::start(shared.cluster(), 4, |config| {
            config.target.dbname = "no_such_database".into();
        });
        let lost = watcher.link(|l| matches!(l.state, LinkState::Lost { .. })).await;
        let LinkState::Lost { since_ms, reason, remedy, next_try_ms } = lost.state else { unreachable!() };
        assert!(reason.contains("no_such_database") && reason.contains("3D000"), "{reason}");
        assert!(remedy.is_some());
        assert!(next_try_ms - since_ms >= 1000, "no storm of logins");
        watcher.stop().await;
    });
}

#[test]
fn paused_it_reads_only_when_asked() {
    runtime().block_on(async {
        let own = own_cluster();
        let client = connect(&own, "postgres", "postgres").await;
        let mut watcher = Watcher::start(&own, 64, |_| ());
        watcher.link(ready).await;
        let first = watcher.snapshot(|s| s.sizes.database_bytes.is_some()).await;
        watcher.commands.send(Command::Pause(true)).await.unwrap();
        watcher.link(|l| l.paused).await;
        client.batch_execute("create schema meanwhile").await.unwrap();
        // Whatever was under way comes to its end within a few intervals; then there is silence.
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(700), watcher.events.recv()).await {
            if let Some((_, Event::Snapshot(snapshot))) = event {
                assert!(snapshot.catalog.schema_named("meanwhile").is_none(), "it is paused");
            }
        }
        watcher.commands.send(Command::RefreshNow).await.unwrap();
        watcher.snapshot(|s| s.catalog.schema_named("meanwhile").is_some()).await;
        watcher.commands.send(Command::Pause(false)).await.unwrap();
        watcher.commands.send(Command::Interval(Duration::from_millis(150))).await.unwrap();
        let link = watcher.link(|l| !l.paused && l.interval_ms == 150).await;
        assert!(link.read_ms.is_some() && first.activity.is_some());
        watcher.stop().await;
        own.stop();
    });
}

#[test]
fn quiet_it_asks_two_questions_a_tick_and_leaves_no_session_behind() {
    runtime().block_on(async {
        let own = own_cluster();
        let client = connect(&own, "postgres", "postgres").await;
        let mut watcher = Watcher::start(&own, 64, |config| config.slow_refresh = Duration::from_secs(60));
        watcher.snapshot(|s| s.sizes.database_bytes.is_some()).await;
        let sessions =
            "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'";
        let mut most: i64 = 0;
        for _ in 0..200 {
            most = most.max(client.query_one(sessions, &[]).await.unwrap().get(0));
        }
        assert!((1..=2).contains(&most), "{most} sessions");
        // With the gate shut the catalog stays the very same object.
        let one = watcher.snapshot(|_| true).await;
        let other =
            watcher.snapshot(|s| !Arc::ptr_eq(s.activity.as_ref().unwrap(), one.activity.as_ref().unwrap())).await;
        assert!(Arc::ptr_eq(&one.catalog, &other.catalog));
        watcher.stop().await;
        let end = tokio::time::Instant::now() + PATIENCE;
        while client.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(tokio::time::Instant::now() < end, "a session stayed");
        }
        own.stop();
    });
}

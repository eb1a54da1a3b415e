//! Reading through PgBouncer in transaction mode: everything works, it is noticed, and nothing that a read
//! set stays behind for the application that gets the connection next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::{
    config::{Conninfo, env::Env},
    domain::{
        link::LinkState,
        snapshot::{Snapshot, VersionRows},
    },
    server::{
        Reader, Want,
        session::{self, Command, Event, SessionConfig},
    },
};
use tokio::sync::mpsc;
use tokio_postgres::SimpleQueryMessage;

use crate::{
    read::runtime,
    support::{
        cluster::{self, connect},
        pooler::Pooler,
        terminal::PATIENCE,
    },
};

#[test]
fn a_transaction_pooler_is_no_obstacle_and_keeps_none_of_our_settings() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let Some(pooler) = Pooler::trusting(shared.cluster(), 1) else { return };
        let database = shared.database("pooled").await;
        let direct = connect(shared.cluster(), "postgres", &database).await;
        direct
            .batch_execute("create table alembic_version (version_num text); insert into alembic_version values ('p1')")
            .await
            .unwrap();
        let url = format!("postgresql://postgres@127.0.0.1:{}/{database}", pooler.port);
        let conninfo = Conninfo::parse(&url, &Env::default()).unwrap();
        let mut reader = Reader::open(&conninfo, "pooled").await.unwrap();

        // The application shares the one server connection with us.
        let (witness, connection) = format!("{url}?application_name=witness")
            .parse::<tokio_postgres::Config>()
            .unwrap()
            .connect(tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let settings = || async {
            let sql = "select name || '=' || setting from pg_settings where name not in ('application_name') \
                       and (source = 'session' or name ~ 'timeout|search_path|jit|parallel|keepalives|row_security|encoding')";
            let rows = witness.simple_query(sql).await.unwrap();
            let mut lines: Vec<String> = rows
                .iter()
                .filter_map(|m| match m {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
                .collect();
            lines.sort_unstable();
            lines
        };
        let before = settings().await;
        assert!(before.iter().any(|s| s == "statement_timeout=0"), "{before:?}");
        for _ in 0..3 {
            let snapshot = reader.snapshot(&Want::everything(vec![])).await.unwrap();
            assert_eq!(snapshot.unavailable, []);
            assert_eq!(snapshot.versions.0[0].rows, VersionRows::Known(vec!["p1".into()]));
            assert_eq!(settings().await, before);
            reader.gate().await.unwrap();
        }
    });
}

/// How many refreshes: a hundred, or as many as `PGMOAT_POOLER_REFRESHES` says.
fn refreshes() -> u32 {
    std::env::var("PGMOAT_POOLER_REFRESHES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Another client of the pool: works in transactions with settings of its own, and looks between them at what it finds
/// there. Returns how many transactions it had, and what it saw that is not its own.
async fn neighbour(url: String, own: usize, over: Arc<AtomicBool>) -> (u32, Vec<String>) {
    let zone = ["UTC", "Asia/Tokyo", "Africa/Nairobi", "America/Lima"][own];
    let name = format!("neighbour-{own}");
    let (client, connection) = url
        .parse::<tokio_postgres::Config>()
        .unwrap()
        .application_name(&name)
        .connect(tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    // PgBouncer carries these two from one server connection to the next.
    client.batch_execute(&format!("set timezone = '{zone}'")).await.unwrap();
    let (mut transactions, mut seen) = (0, Vec::new());
    let timeout = 10_001 + own;
    let inside = format!(
        "begin; set local statement_timeout = {timeout}; set local lock_timeout = {timeout}; \
         set local search_path = own_{own}; \
         select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' \
             || current_setting('search_path') || ' ' || current_setting('TimeZone') || ' ' \
             || current_setting('transaction_read_only') || ' ' || current_setting('application_name'); commit"
    );
    let wanted = format!("{timeout}ms {timeout}ms own_{own} {zone} off {name}");
    let first = |messages: Vec<SimpleQueryMessage>| {
        messages.into_iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    };
    while !over.load(Ordering::Relaxed) {
        match client.simple_query(&inside).await.map(first) {
            Ok(Some(found)) if found == wanted => transactions += 1,
            other => seen.push(format!("{own} in its transaction: {other:?}, not {wanted:?}")),
        }
        match client.simple_query(STRANGE).await.map(first) {
            Ok(None) => transactions += 1,
            other => seen.push(format!("{own} between its transactions: {other:?}")),
        }
        if seen.len() > 20 {
            break;
        }
    }
    (transactions, seen)
}

/// What a session has that it was not given by its client: a setting of the session but for those that the pooler keeps
/// for each client, or an advisory lock.
const STRANGE: &str = "\
    select name || '=' || setting from pg_settings \
    where source = 'session' and name not in ('application_name', 'TimeZone', 'DateStyle', 'client_encoding', \
        'standard_conforming_strings', 'IntervalStyle') \
    union all \
    select 'lock ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";

#[test]
fn refreshes_and_four_other_clients_share_a_pool_and_nothing_leaks() {
    runtime().block_on(async {
        let shared = cluster::shared(cluster::newest()).unwrap();
        let Some(pooler) = Pooler::trusting(shared.cluster(), 3) else { return };
        let database = shared.database("pooled_many").await;
        let direct = connect(shared.cluster(), "postgres", &database).await;
        direct
            .batch_execute(
                "create table alembic_version (version_num text); insert into alembic_version values ('p1'); \
                 create table changing (id int)",
            )
            .await
            .unwrap();
        let url = format!("postgresql://postgres@127.0.0.1:{}/{database}", pooler.port);
        let over = Arc::new(AtomicBool::new(false));
        let neighbours: Vec<_> =
            (0..4).map(|own| tokio::spawn(neighbour(url.clone(), own, Arc::clone(&over)))).collect();

        let mut config = SessionConfig::new(0, "pooled", Conninfo::parse(&url, &Env::default()).unwrap());
        config.refresh = Duration::from_millis(1);
        config.catalog_refresh = Duration::from_millis(20);
        config.slow_refresh = Duration::from_millis(200);
        let (tell, mut events) = mpsc::channel(4);
        let (commands, inbox) = mpsc::channel(8);
        let task = session::spawn(config, tell, inbox);
        let begun = Instant::now();
        let (mut seen, mut catalogs, mut last) = (0, 0, None::<Arc<Snapshot>>);
        let mut taken_at = 0;
        while seen < refreshes() {
            let (_, event) = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
            match event {
                Event::Link(link) => {
                    assert!(!matches!(link.state, LinkState::Lost { .. }), "{:?}", link.state);
                    assert_eq!(link.notice, None);
                }
                Event::Snapshot(snapshot) => {
                    assert_eq!(snapshot.unavailable, []);
                    let at = snapshot.activity.as_ref().map_or(0, |a| a.taken_at_us);
                    seen += u32::from(at > taken_at);
                    taken_at = taken_at.max(at);
                    if last.as_ref().is_none_or(|l| !Arc::ptr_eq(&l.catalog, &snapshot.catalog)) {
                        catalogs += 1;
                        // so that the next refresh finds something new
                        direct.batch_execute("alter table changing owner to postgres; grant select on changing to public; revoke select on changing from public").await.unwrap();
                    }
                    last = Some(snapshot);
                }
            }
        }
        let took = begun.elapsed();
        let last = last.unwrap();
        assert!(last.server.pooled, "it is noticed that a pooler stands between");
        assert!(last.shapes.is_some(), "the slow parts came through, too");
        assert_eq!(last.versions.0[0].rows, VersionRows::Known(vec!["p1".into()]));
        assert!(catalogs > 1, "the catalog was read again");
        over.store(true, Ordering::Relaxed);
        let mut transactions = 0;
        for neighbour in neighbours {
            let (some, seen) = neighbour.await.unwrap();
            assert_eq!(seen, Vec::<String>::new());
            assert!(some > 0, "it had its turn");
            transactions += some;
        }
        commands.send(Command::Stop).await.unwrap();
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        eprintln!(
            "{seen} refreshes ({catalogs} of the catalog) in {:.1} s beside {transactions} transactions of four clients",
            took.as_secs_f32()
        );

        let straight = Conninfo::parse(&shared.cluster().url("postgres", &database), &Env::default()).unwrap();
        let mut reader = Reader::open(&straight, "direct").await.unwrap();
        assert!(!reader.snapshot(&Want::default()).await.unwrap().server.pooled, "nothing stands between here");
    });
}

#[test]
fn info_says_what_a_pooler_means() {
    let shared = cluster::shared(cluster::newest()).unwrap();
    let Some(pooler) = Pooler::trusting(shared.cluster(), 1) else { return };
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", pooler.port);
    let home = tempfile::tempdir().unwrap();
    let info = |url: &str, more: &[&str]| {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pgmoat"))
            .env_clear()
            .env("HOME", home.path())
            .args(["info", url])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = info(&url, &[]);
    for word in ["pooler", "role settings", "limits", "locks", "sessions", "primary"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&info(&url, &["--format", "json"])).unwrap();
    assert_eq!(json["targets"][0]["pooled"], true);
    assert!(!info(&shared.cluster().url("postgres", "postgres"), &[]).contains("pooler"));
}

//! Reading through PgBouncer in transaction mode with one server connection: everything works, and nothing that a read
//! set stays behind for the application that gets the connection next.

use pgmoat::{
    config::{Conninfo, env::Env},
    domain::snapshot::VersionRows,
    server::{Reader, Want},
};

use crate::{
    read::runtime,
    support::{
        cluster::{self, connect},
        pooler::Pooler,
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

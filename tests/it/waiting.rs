//! Who waits for whom, told to logins that see little: the tree, what the lock is, who may end it and what is missing
//! where a login may not; and a prepared transaction, which has no session that could be ended.

use pgmoat::demo::cluster::{Cluster, ClusterOptions, SUPERUSER};
use tokio_postgres::Client;

use crate::{
    cli::Moat,
    read::runtime,
    support::cluster::{self, connect},
};

async fn pid(client: &Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// Runs a statement that waits, and comes back when it does.
async fn waits(admin: &Client, client: Client, sql: &'static str) -> (i32, tokio::task::JoinHandle<Option<String>>) {
    let pid = pid(&client).await;
    let ends = tokio::spawn(async move {
        let state = client.batch_execute(sql).await.err().and_then(|e| e.code().map(|c| c.code().to_owned()));
        drop(client);
        state
    });
    while !admin
        .query_one("select exists (select from pg_locks where pid = $1 and not granted)", &[&pid])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {
        assert!(!ends.is_finished(), "it waits");
        tokio::task::yield_now().await;
    }
    (pid, ends)
}

#[test]
fn a_login_without_pg_monitor_sees_the_queue_and_ends_what_the_server_lets_it() {
    let settings = vec![("max_prepared_transactions".to_owned(), "3".to_owned())];
    let server = cluster::server(cluster::newest());
    let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
    let moat = Moat::new();
    runtime().block_on(async {
        let admin = connect(&own, SUPERUSER, "postgres").await;
        admin
            .batch_execute(
                "create role app login; create role plain login; create role helper login; \
                 grant pg_signal_backend to helper; create schema shop; create table shop.orders (n int, v int); \
                 insert into shop.orders values (1, 1), (2, 2); grant usage on schema shop to app; \
                 grant select, update on shop.orders to app",
            )
            .await
            .unwrap();
        // The queue for a row, all of an ordinary role: the second waits for the first, the third for the second's turn.
        let holder = connect(&own, "app", "postgres").await;
        holder.batch_execute("begin; update shop.orders set v = 3 where n = 1").await.unwrap();
        let front = pid(&holder).await;
        let second =
            waits(&admin, connect(&own, "app", "postgres").await, "update shop.orders set v = 4 where n = 1").await;
        let third =
            waits(&admin, connect(&own, "app", "postgres").await, "update shop.orders set v = 5 where n = 1").await;
        let (plain, helper) = (own.url("plain", "postgres"), own.url("helper", "postgres"));

        let seen = moat.run(&["sessions", &plain]).exits(0).out;
        let line = |pid: i32| {
            let at = seen.lines().position(|l| l.trim_start().starts_with(&format!("{pid} ")));
            at.map_or_else(|| panic!("{pid}: {seen}"), |at| (at, seen.lines().nth(at).unwrap()))
        };
        assert!(line(front).0 < line(second.0).0 && line(second.0).0 < line(third.0).0, "{seen}");
        assert!(line(second.0).1.contains("└ app") && line(second.0).1.contains(&format!("waits for {front}")));
        assert!(line(third.0).1.contains("its turn to change a row of shop.orders"), "{seen}");
        assert!(!seen.contains("\\n") && seen.contains("(pgmoat)"), "{seen}");

        // Neither the role nor pg_signal_backend: said before anything is asked, with the grant.
        let third_word = third.0.to_string();
        moat.run(&["terminate", &plain, &third_word])
            .exits(4)
            .says(&["members of its role and of pg_signal_backend", "GRANT pg_signal_backend TO plain;"]);
        let boss = pid(&admin).await.to_string();
        moat.run(&["terminate", &helper, &boss]).exits(4).says(&["only a superuser can end that"]);
        // An idle session has no transaction that could be compared: what is missing is said.
        let idle = connect(&own, "app", "postgres").await;
        let number = pid(&idle).await.to_string();
        moat.run(&["terminate", &helper, &number]).exits(4).says(&["GRANT pg_read_all_stats TO helper;"]);

        // Allowed, though the start is hidden: the open transaction tells it from another. It waits itself, so the
        // holder at the front is named.
        let second_word = second.0.to_string();
        let ran = moat.run(&["cancel", &helper, &second_word, "--yes"]).exits(0);
        let said = ran.out.replace('\n', " ");
        assert!(said.contains("would move up") && !said.contains("at once"), "{said}");
        assert!(said.contains(&format!("end who is at the front: {front} (app")), "{said}");
        assert!(said.contains(&format!("Cancelled: {second_word}")), "{said}");
        assert_eq!(second.1.await.unwrap().as_deref(), Some("57014"));
        assert!(!third.1.is_finished());
        let ran = moat.run(&["terminate", &helper, &third_word, "--yes"]).exits(0);
        assert!(ran.out.contains(&format!("Terminated: {third_word}")), "{}", ran.out);
        assert_eq!(third.1.await.unwrap().as_deref(), Some("57P01"));
        holder.batch_execute("prepare transaction 'it''s'").await.unwrap();

        // A prepared transaction holds it now: no pid, but a name, an owner and a way out.
        let last =
            waits(&admin, connect(&own, "app", "postgres").await, "update shop.orders set v = 6 where n = 1").await;
        let (locks, held) = {
            let client = connect(&own, SUPERUSER, "postgres").await;
            waits(&admin, client, "begin; lock table shop.orders in share mode; rollback").await
        };
        let seen = moat.run(&["sessions", &own.url(SUPERUSER, "postgres")]).exits(0).out;
        assert!(seen.contains("waits for a prepared transaction"), "{seen}");
        assert!(seen.contains("prepared transaction 'it''s' of app in postgres, prepared "), "{seen}");
        assert!(seen.contains("ROLLBACK PREPARED 'it''s'"), "{seen}");
        assert!(seen.contains("a SHARE lock on shop.orders"), "{seen}");
        admin.batch_execute("rollback prepared 'it''s'").await.unwrap();
        assert_eq!((last.1.await.unwrap(), held.await.unwrap()), (None, None), "{locks}");
    });
}

/// The mark of a hidden session is its transaction: when that is over, nobody is hit.
#[test]
fn a_transaction_that_is_over_is_no_mark() {
    use pgmoat::server::signal::{Aim, Mark, Signal, Told, VirtualTransaction, signal};
    let shared = cluster::shared(cluster::newest()).unwrap();
    runtime().block_on(async {
        let admin = connect(shared.cluster(), SUPERUSER, "postgres").await;
        admin
            .batch_execute(
                "create role waiting_app login; create role waiting_helper login; \
                 grant pg_signal_backend to waiting_helper",
            )
            .await
            .unwrap();
        let client = connect(shared.cluster(), "waiting_app", "postgres").await;
        let pid = pid(&client).await;
        let mark = "select virtualtransaction from pg_locks where pid = pg_backend_pid() and locktype = 'virtualxid'";
        let mut marks = Vec::new();
        for _ in 0..2 {
            client.batch_execute("begin").await.unwrap();
            let text: String = client.query_one(mark, &[]).await.unwrap().get(0);
            marks.push(Mark::Transaction(VirtualTransaction::parse(&text).unwrap()));
            if marks.len() < 2 {
                client.batch_execute("rollback").await.unwrap();
            }
        }
        let target = cluster::conninfo(shared.cluster(), "waiting_helper", "postgres");
        for kind in [Signal::Cancel, Signal::Terminate] {
            let told = signal(&target, kind, &[Aim { pid, mark: marks[0], query_start_us: None }]).await.unwrap();
            assert!(matches!(&told[..], [Told::Vanished(why)] if why.contains("is over")), "{told:?}");
        }
        client.batch_execute("select 1").await.unwrap();
        let told =
            signal(&target, Signal::Terminate, &[Aim { pid, mark: marks[1], query_start_us: None }]).await.unwrap();
        assert_eq!(told[..], [Told::Ended]);
        assert!(client.batch_execute("select 1").await.is_err());
        // Refused by the server: its own words.
        admin.batch_execute("grant pg_read_all_stats to waiting_app").await.unwrap();
        let stranger = cluster::conninfo(shared.cluster(), "waiting_app", "postgres");
        let start: i64 = admin
            .query_one(
                "select (extract(epoch from backend_start) * 1000000)::bigint from pg_stat_activity \
                 where pid = pg_backend_pid()",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        let boss: i32 = admin.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let told =
            signal(&stranger, Signal::Terminate, &[Aim { pid: boss, mark: Mark::Start(start), query_start_us: None }])
                .await
                .unwrap();
        assert!(
            matches!(&told[..], [Told::Refused(why)] if why.starts_with("the server refuses it to this role: ")),
            "{told:?}"
        );
        admin.batch_execute("drop role waiting_app; drop role waiting_helper").await.unwrap();
    });
}

//! Sessions come, go and come again while others are ended: who is hit is exactly who was meant, by process id and start.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgmoat::{
    demo::cluster::SUPERUSER,
    server::signal::{Aim, Mark, Signal, Told, look, signal},
};

use crate::{
    read::runtime,
    support::cluster::{self, Shared, connect, conninfo},
};

/// Process id and start of a session.
type Session = (i32, i64);

#[derive(Default)]
struct Crowd {
    here: Mutex<BTreeSet<Session>>,
    /// Ended by somebody else.
    ended: Mutex<BTreeSet<Session>>,
    over: AtomicBool,
}

/// One member of the crowd: it comes, stays for a little while or until it is ended, and comes again.
async fn member(shared: Arc<Shared>, crowd: Arc<Crowd>, number: u64) {
    let mut stay = number;
    while !crowd.over.load(Ordering::SeqCst) {
        let client = connect(shared.cluster(), SUPERUSER, "postgres").await;
        let sql = "select pid, (extract(epoch from backend_start) * 1000000)::int8 from pg_stat_activity
            where pid = pg_backend_pid()";
        let Ok(row) = client.query_one(sql, &[]).await else { continue };
        let me: Session = (row.get(0), row.get(1));
        crowd.here.lock().unwrap().insert(me);
        stay = (stay * 7 + 3) % 40;
        let slept = client.batch_execute(&format!("select pg_sleep(0.{stay:02})")).await;
        crowd.here.lock().unwrap().remove(&me);
        if slept.is_err() {
            crowd.ended.lock().unwrap().insert(me);
        }
    }
}

#[test]
fn in_a_crowd_that_comes_and_goes_only_who_was_meant_is_hit() {
    let shared = cluster::shared(cluster::newest()).unwrap();
    let target = conninfo(shared.cluster(), SUPERUSER, "postgres");
    let rounds: u64 = std::env::var("PGMOAT_AIMED_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    runtime().block_on(async {
        let crowd = Arc::new(Crowd::default());
        let members: Vec<_> =
            (1..=8).map(|n| tokio::spawn(member(Arc::clone(&shared), Arc::clone(&crowd), n))).collect();
        let (mut meant, mut sent, mut vanished, mut wrong_starts) = (BTreeSet::new(), 0, 0, 0);
        for round in 0..rounds {
            let here: Vec<Session> = crowd.here.lock().unwrap().iter().copied().collect();
            let pids: Vec<i32> = here.iter().map(|session| session.0).collect();
            // What stands on a screen; then time passes, and some of them are others by now.
            let seen = look(&target, pids).await.unwrap();
            let mut aims = Vec::new();
            for seen in seen.iter().filter(|_| round % 4 != 3).take(3) {
                let Some(backend_start_us) = seen.backend_start_us else { continue };
                meant.insert((seen.pid, backend_start_us));
                aims.push(Aim { pid: seen.pid, mark: Mark::Start(backend_start_us), query_start_us: None });
            }
            // The process id of one that is there, and the start of another one.
            if round % 4 == 3
                && let Some(seen) = seen.first()
                && let Some(start) = seen.backend_start_us
            {
                aims.push(Aim { pid: seen.pid, mark: Mark::Start(start - 1), query_start_us: None });
                wrong_starts += 1;
            }
            tokio::time::sleep(Duration::from_millis(round * 13 % 50)).await;
            for (aim, told) in aims.iter().zip(signal(&target, Signal::Terminate, &aims).await.unwrap()) {
                let Mark::Start(start) = aim.mark else { panic!("{aim:?}") };
                let right = meant.contains(&(aim.pid, start));
                match told {
                    Told::Ended | Told::Sent if right => sent += 1,
                    Told::Vanished(_) => vanished += 1,
                    told => panic!("{aim:?}, of a session that was meant: {right}: {told:?}"),
                }
            }
        }
        crowd.over.store(true, Ordering::SeqCst);
        for member in members {
            member.await.unwrap();
        }
        let ended = crowd.ended.lock().unwrap();
        let wrong: Vec<&Session> = ended.difference(&meant).collect();
        println!(
            "{rounds} rounds: {sent} signals, {vanished} not sent to who was gone, {wrong_starts} of them with a wrong start; \
             {} sessions ended, {} of them not meant",
            ended.len(),
            wrong.len()
        );
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(sent > 0 && vanished >= wrong_starts && wrong_starts > 0);
    });
}

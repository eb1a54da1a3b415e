//! Signals on lines that break. A signal is no transaction: what was sent is sent, and what is told is never more or less
//! than what is known.

use std::time::Duration;

use pgmoat::server::signal::{Aim, Mark, Signal, Told, look, signal};

use super::{
    Report, World, connect,
    proxy::{Fault, How, Way},
};

/// What is claimed about a signal, and whether its aim was hit.
fn is_right(told: &Told, over: bool) -> bool {
    match told {
        Told::Ended => over,
        // It may end a moment later.
        Told::Sent | Told::Unknown(_) => true,
        Told::Vanished(_) | Told::Refused(_) => !over,
    }
}

/// Signals on a line that is cut at up to `count` bytes of the conversation, both ways.
pub async fn signals(world: &World, kind: Signal, count: usize) -> Report {
    let (name, mark): (_, &[u8]) = match kind {
        Signal::Cancel => ("cancel", b"pg_cancel_backend("),
        Signal::Terminate => ("terminate", b"pg_terminate_backend("),
    };
    let mut report = Report::default();
    let mut cases = vec![None];
    while let Some(fault) = cases.pop() {
        // Somebody who would run for long.
        let victim = connect(world.direct()).await;
        let pid: i32 = victim.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let running = tokio::spawn(async move { victim.batch_execute("select pg_sleep(600)").await });
        let active = "select query_start is not null and state = 'active' and query like '%pg_sleep%'
                      from pg_stat_activity where pid = $1";
        while !world.client.query_one(active, &[&pid]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
        world.proxy.arm(None);
        let seen = look(world.target(), vec![pid]).await.unwrap().remove(0);
        let aim = Aim { pid, mark: Mark::Start(seen.backend_start_us.unwrap()), query_start_us: seen.query_start_us };
        world.proxy.arm_at(mark, fault);
        let told = signal(world.target(), kind, &[aim]).await;
        if fault.is_none() {
            assert_eq!(told.as_ref().unwrap()[..], [Told::Ended], "nothing was broken");
            let passed = world.proxy.passed();
            let bytes =
                |way: Way| -> usize { passed.iter().filter(|(w, _)| *w == way).map(|(_, bytes)| bytes.len()).sum() };
            let totals = [(Way::Up, bytes(Way::Up)), (Way::Down, bytes(Way::Down))];
            // Looking whether it ended comes after; most of what decides is at the beginning.
            for (i, (way, total)) in totals.into_iter().enumerate() {
                for k in 0..count / 2 {
                    let at = 1 + k * (total - 1) / (count / 2);
                    let how = if (k + i) % 2 == 0 { How::Fin } else { How::Rst };
                    cases.push(Some(Fault { way, at, how }));
                }
            }
            running.abort();
            continue;
        }
        world.proxy.end().await;
        let hit = world.proxy.was_hit();
        if let Some(fault) = fault.filter(|_| !hit) {
            assert!(fault.at > 1, "the first byte is always passed");
            // How often it is asked whether the statement ended differs from run to run: this time it was over before.
            cases.push(Some(Fault { at: (fault.at * 3 / 4).max(1), ..fault }));
        } else {
            report.trials += 1;
            report.broken += 1;
            *report.actions.entry(name).or_default() += 1;
        }
        // Whoever was signalled is over in a moment: nothing else ends the statement.
        let over = tokio::time::timeout(Duration::from_millis(200), running).await.is_ok();
        let sql = "select pg_terminate_backend($1)";
        let _ = world.client.query(sql, &[&pid]).await;
        let told = match told {
            Ok(told) => told[0].clone(),
            // No connection: nothing was sent.
            Err(error) => Told::Vanished(error.to_string()),
        };
        let cell = match (&told, over) {
            (Told::Ended, true) => (super::Claim::Committed, super::Real::Done),
            (Told::Ended, false) => (super::Claim::Committed, super::Real::Nothing),
            (Told::Sent | Told::Unknown(_), true) => (super::Claim::Unknown, super::Real::Done),
            (Told::Sent | Told::Unknown(_), false) => (super::Claim::Unknown, super::Real::Nothing),
            (Told::Vanished(_) | Told::Refused(_), true) => (super::Claim::Nothing, super::Real::Done),
            (Told::Vanished(_) | Told::Refused(_), false) => (super::Claim::Nothing, super::Real::Nothing),
        };
        *report.cells.entry(cell).or_default() += usize::from(hit);
        if !is_right(&told, over) {
            report.wrong.push(format!("{name}, {fault:?}: told {told:?}, over: {over}"));
        }
    }
    report
}

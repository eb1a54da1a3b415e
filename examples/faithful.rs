//! The long run of the law *faithful*: `cargo run --release --example faithful -- [PAIRS] [MAJOR…]` leads at least that many
//! random states to random policies on real servers, and half of them back, spread over the majors, 14 to 18 by default;
//! `… -- moves [PLANS] [MAJOR…]` moves tables, version tables and whole services about in random databases instead.
//! Exit 1 when a server made anything else of a plan than was predicted, when fewer were led there than asked for, or when
//! a major is not on this machine.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test tool")]

#[path = "../tests/it/faithful/mod.rs"]
mod faithful;
#[expect(dead_code, reason = "its own runs are not used")]
#[path = "../tests/it/oracle/mod.rs"]
mod oracle;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use faithful::{Report, moves::Moves};
use pgmoat::demo::{
    binaries::{self, Binaries, Wanted},
    cluster::{Cluster, ClusterOptions, Server},
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let moving = std::env::args().nth(1).is_some_and(|a| a == "moves");
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let wanted = numbers.first().copied().unwrap_or(2_000);
    let majors: Vec<u32> = numbers.iter().skip(1).map(|n| *n as u32).collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let guard = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pgmoat");
    let (mut here, mut missing) = (Vec::new(), 0);
    for major in majors {
        match binaries::find(&Wanted { dir: None, major: Some(major) }) {
            Ok(found) => here.push((major, found)),
            Err(error) => {
                println!("PostgreSQL {major}: not on this machine ({error})");
                missing += 1;
            }
        }
    }
    let begun = Instant::now();
    // A server and its client take turns, so the majors run side by side.
    let each = wanted.div_ceil(here.len().max(1) as u64);
    let running: Vec<_> = here
        .into_iter()
        .map(|(major, programs)| tokio::spawn(of_major(major, programs, guard.clone(), each, moving)))
        .collect();
    let (mut total, mut moved, mut log) = (Report::default(), Moves::default(), String::new());
    for major in running {
        let (report, moves, text) = major.await.unwrap();
        total.add(report);
        moved.add(&moves);
        log.push_str(&text);
    }
    println!("{log}{total:?}\n{moved:?}");
    let (differ, tried) = (total.differences + moved.differences, total.pairs + moved.plans);
    let took = begun.elapsed().as_secs_f64();
    println!("{tried} of {wanted} in {took:.0} s, {:.1} a second, {missing} majors missing", tried as f64 / took);
    std::process::ExitCode::from(u8::from(differ > 0 || tried < wanted.max(1) || missing > 0))
}

/// As many as wanted on a cluster of its own; said as it goes.
async fn of_major(
    major: u32,
    programs: Binaries,
    guard: PathBuf,
    wanted: u64,
    moving: bool,
) -> (Report, Moves, String) {
    let options =
        ClusterOptions { server: Some(Server::Programs(programs)), guard: Some(guard), ..ClusterOptions::default() };
    let cluster = Cluster::start(options).unwrap();
    let (begun, mut said) = (Instant::now(), Instant::now());
    let (mut pairs, mut moves, mut log) = (Report::default(), Moves::default(), String::new());
    let mut seed = u64::from(major) * 100_000;
    while pairs.pairs + moves.plans < wanted {
        if moving {
            moves.add(&faithful::moves::run(&cluster, seed, 20, &mut log).await);
        } else {
            pairs.add(faithful::run(&cluster, seed, 20, &mut log).await);
        }
        seed += 1;
        if said.elapsed() > Duration::from_secs(30) || pairs.pairs + moves.plans >= wanted {
            said = Instant::now();
            let took = begun.elapsed().as_secs_f64();
            if moving {
                println!("PostgreSQL {major}, {took:.0} s: {moves:?}");
            } else {
                println!("PostgreSQL {major}, {took:.0} s: {pairs:?}");
            }
        }
    }
    (pairs, moves, log)
}

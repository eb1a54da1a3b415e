//! The long run of the law *faithful*: `cargo run --release --example faithful -- [PAIRS] [MAJOR…]` leads at least that many
//! random states to random policies on real servers, and half of them back, spread over the majors, 14 to 18 by default;
//! `… -- moves [PLANS] [MAJOR…]` moves tables, version tables and whole services about in random databases instead.
//! Exit 1 when a server made anything else of a plan than was predicted, when fewer were led there than asked for, or when
//! a major is not on this machine.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test tool")]

#[path = "../tests/it/faithful/mod.rs"]
mod faithful;
#[expect(dead_code, reason = "only its graphs are used")]
#[path = "../tests/it/oracle/mod.rs"]
mod oracle;

use faithful::{Report, moves::Moves};
use pgmoat::demo::{
    binaries::{self, Wanted},
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
    let (mut total, mut moved, mut log) = (Report::default(), Moves::default(), String::new());
    for (major, programs) in &here {
        let options = ClusterOptions {
            server: Some(Server::Programs(programs.clone())),
            guard: Some(guard.clone()),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(options).unwrap();
        let mut seed = u64::from(*major) * 100_000;
        if moving {
            let mut of_major = Moves::default();
            while of_major.plans < wanted.div_ceil(here.len() as u64) {
                of_major.add(&faithful::moves::run(&cluster, seed, 20, &mut log).await);
                seed += 1;
            }
            println!("PostgreSQL {major}: {of_major:?}");
            moved.add(&of_major);
            continue;
        }
        let mut of_major = Report::default();
        while of_major.pairs < wanted.div_ceil(here.len() as u64) {
            of_major.add(faithful::run(&cluster, seed, 20, &mut log).await);
            seed += 1;
        }
        println!("PostgreSQL {major}: {of_major:?}");
        total.add(of_major);
    }
    println!("{log}{total:?}\n{moved:?}");
    let (differ, tried) = (total.differences + moved.differences, total.pairs + moved.plans);
    println!("{tried} of {wanted}, {missing} majors missing");
    std::process::ExitCode::from(u8::from(differ > 0 || tried < wanted.max(1) || missing > 0))
}

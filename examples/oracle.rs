//! The long run of the oracle: `cargo run --release --example oracle -- [TRIPLES] [MAJOR…]` compares at least that many
//! (role, object, privilege) triples with the servers' own answers, spread over the majors, 14 to 18 by default. Exit 1 when
//! any differs, when fewer were compared than asked for, or when a major is not on this machine.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test tool")]

#[expect(dead_code, reason = "the short run uses another scale")]
#[path = "../tests/it/oracle/mod.rs"]
mod oracle;

use oracle::{Report, Scale};
use pgmoat::demo::{
    binaries::{self, Wanted},
    cluster::{Cluster, ClusterOptions, Server},
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let wanted = numbers.first().copied().unwrap_or(1_000_000);
    let majors: Vec<u32> = numbers.iter().skip(1).map(|n| *n as u32).collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let guard = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pgmoat");
    let (mut total, mut log) = (Report::default(), String::new());
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
    for (major, programs) in &here {
        let options = ClusterOptions {
            server: Some(Server::Programs(programs.clone())),
            guard: Some(guard.clone()),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(options).unwrap();
        let (mut of_major, mut seed) = (Report::default(), u64::from(*major) * 100_000);
        while of_major.triples < wanted.div_ceil(here.len() as u64) {
            of_major.add(oracle::run(&cluster, seed, Scale::LARGE, &mut log).await);
            seed += 1;
        }
        println!(
            "PostgreSQL {major}: {} triples in {} cells, {} differences ({} of {} statements taken)",
            of_major.triples, of_major.cells, of_major.differences, of_major.taken, of_major.tried
        );
        total.add(of_major);
    }
    println!("{log}{} of {wanted} triples, {} differences, {missing} majors missing", total.triples, total.differences);
    let short = total.triples < wanted.max(1);
    std::process::ExitCode::from(u8::from(total.differences > 0 || short || missing > 0))
}

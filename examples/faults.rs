//! The long run of what can break: `cargo run --release --example faults -- [FAULTS] [CRASHES] [MAJOR…]` cuts the line of
//! actions at about that many places, also as a role that sees little, lets it fall silent at up to 40 boundaries of each
//! action, crashes the server around COMMIT, and stops it at once at other steps, too. Exit 1 when anything was half done, or claimed wrong.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test tool")]

#[expect(dead_code, reason = "the short run uses more of it")]
#[path = "../tests/it/faulty/mod.rs"]
mod faulty;

use std::{sync::Arc, time::Instant};

use faulty::{Report, World};
use pgmoat::demo::{
    binaries::{self, Wanted},
    cluster::{Cluster, ClusterOptions, Server},
};

/// Databases that are worked on at once.
const WORKERS: usize = 6;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let faults = numbers.first().copied().unwrap_or(10_000);
    let crashes = numbers.get(1).copied().unwrap_or(faults / 10);
    let majors: Vec<usize> = numbers.iter().skip(2).copied().collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let guard = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pgmoat");
    let here: Vec<_> = majors
        .into_iter()
        .filter_map(|major| Some((major, binaries::find(&Wanted { dir: None, major: Some(major as u32) }).ok()?)))
        .collect();
    let mut total = Report::default();
    for (major, programs) in &here {
        let options = ClusterOptions {
            server: Some(Server::Programs(programs.clone())),
            guard: Some(guard.clone()),
            ..ClusterOptions::default()
        };
        let mut cluster = Cluster::start(options).unwrap();
        let begun = Instant::now();
        let mut worlds = Vec::new();
        for i in 0..WORKERS {
            worlds.push(Arc::new(World::new(&cluster, &format!("faults_{i}")).await));
        }
        let cuts = faulty::cuts(&worlds, faults / here.len()).await;
        println!("PostgreSQL {major}: {} ({:?})", cuts.text("cuts"), begun.elapsed());
        let begun = Instant::now();
        let holes = faulty::holes(&worlds, 40.min(faults / 50)).await;
        println!("PostgreSQL {major}: {} ({:?})", holes.text("black holes"), begun.elapsed());
        drop(worlds);
        let begun = Instant::now();
        let mut world = World::new(&cluster, "crashes").await;
        let crashed = faulty::crashes(&mut world, crashes / here.len()).await;
        println!("PostgreSQL {major}: {} ({:?})", crashed.text("crashes"), begun.elapsed());
        let begun = Instant::now();
        let stopped = faulty::stops(&mut cluster, &mut world, crashes / here.len() / 4).await;
        println!("PostgreSQL {major}: {} ({:?})", stopped.text("immediate stops"), begun.elapsed());
        let begun = Instant::now();
        let weak = Arc::new(World::weak(&cluster, "weak").await);
        let seen_little = faulty::cuts(&[weak], faults / here.len() / 10).await;
        println!("PostgreSQL {major}: {} ({:?})", seen_little.text("cuts, as an ordinary role"), begun.elapsed());
        for report in [cuts, holes, crashed, stopped, seen_little] {
            report.wrong.iter().for_each(|words| println!("WRONG: {words}"));
            total.add(report);
        }
    }
    println!("{}", total.text("in all"));
    std::process::ExitCode::from(u8::from(total.partial() > 0 || !total.wrong.is_empty() || total.trials == 0))
}

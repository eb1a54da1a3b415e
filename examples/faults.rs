//! The long run of what can break: `cargo run --release --example faults -- [CUTS] [CRASHES] [MAJOR…]`, after a
//! `cargo build --release`, cuts the line of every action at that many places at least, a fifth of them as an ordinary role
//! that sees little, and crashes the server around COMMIT that many times at least; a quarter more of stops at once, black
//! holes at up to 40 places of every action, consoles killed, and signals on lines that are cut. Spread over the majors,
//! 14 to 18 by default. Exit 1 when anything was half done or claimed wrong, when fewer were broken than asked for, or when
//! a major is not on this machine.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test tool")]

#[expect(dead_code, reason = "the short run uses more of it")]
#[path = "../tests/it/faulty/mod.rs"]
mod faulty;

use std::{collections::BTreeMap, path::Path, time::Instant};

use faulty::{Report, World, actions::REPLACED, signals::signals};
use pgmoat::{
    demo::{
        binaries::{self, Binaries, Wanted},
        cluster::{Cluster, ClusterOptions, Server},
    },
    server::signal::Signal,
};

/// Databases that are worked on at once, and those where most of the time is waiting.
const WORKERS: usize = 5;
const WAITERS: usize = 16;
/// Servers that crash at once.
const CRASHERS: usize = 3;

struct Run<'a> {
    major: u32,
    programs: &'a Binaries,
    moat: &'a Path,
    totals: &'a mut BTreeMap<&'static str, Report>,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.replace('_', "").parse().ok()).collect();
    let cuts = numbers.first().copied().unwrap_or(10_000);
    let crashes = numbers.get(1).copied().unwrap_or(cuts / 10);
    let majors: Vec<u32> = numbers.iter().skip(2).map(|n| *n as u32).collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let moat = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("pgmoat");
    let mut missing = u32::from(!moat.exists());
    if missing > 0 {
        println!("{} is not there: build it first", moat.display());
    }
    let mut here = Vec::new();
    for major in &majors {
        match binaries::find(&Wanted { dir: None, major: Some(*major) }) {
            Ok(found) => here.push((*major, found)),
            Err(error) => {
                println!("PostgreSQL {major}: not on this machine ({error})");
                missing += 1;
            }
        }
    }
    if missing > 0 {
        return 1.into();
    }
    let begun = Instant::now();
    let mut totals = BTreeMap::new();
    let of_each = |n: usize| n.div_ceil(here.len());
    for (major, programs) in &here {
        let mut run = Run { major: *major, programs, moat: &moat, totals: &mut totals };
        run.cuts(of_each(cuts)).await;
        run.waiting(40.min(cuts / 50)).await;
        run.crashes(of_each(crashes)).await;
        run.stops(of_each(crashes / 4)).await;
    }
    let mut all = Report::default();
    for (what, report) in &totals {
        println!("{}", report.text(what));
        for (action, trials) in &report.actions {
            println!("   {trials} of: {action}");
        }
        report.wrong.iter().for_each(|words| println!("WRONG: {words}"));
        all.add(report.clone());
    }
    println!("{} ({:?})", all.text("in all"), begun.elapsed());
    let broken = |stem: &str| -> usize {
        totals.iter().filter(|(what, _)| what.starts_with(stem)).map(|(_, report)| report.broken).sum()
    };
    let (cut, crashed) = (broken("cuts"), broken("crashes"));
    println!("{cut} of {cuts} cuts, {crashed} of {crashes} crashes");
    let held = all.partial() == 0 && all.wrong.is_empty();
    std::process::ExitCode::from(u8::from(!held || cut < cuts || crashed < crashes))
}

impl Run<'_> {
    fn cluster(&self) -> Cluster {
        let options = ClusterOptions {
            server: Some(Server::Programs(self.programs.clone())),
            guard: Some(self.moat.to_owned()),
            ..ClusterOptions::default()
        };
        Cluster::start(options).unwrap()
    }

    fn done(&mut self, what: &'static str, report: Report, begun: Instant) {
        println!("PostgreSQL {}: {} ({:?})", self.major, report.text(what), begun.elapsed());
        self.totals.entry(what).or_default().add(report);
    }

    async fn cuts(&mut self, count: usize) {
        let (major, seed) = (self.major, u64::from(self.major));
        let cluster = self.cluster();
        for (what, ordinary, share) in
            [("cuts", false, count - count / 5), ("cuts, as an ordinary role", true, count / 5)]
        {
            let begun = Instant::now();
            let say = |action: &str, report: &Report| println!("PostgreSQL {major}, {what}: {}", report.text(action));
            let mut worlds = Vec::new();
            for i in 0..WORKERS {
                worlds.push(if ordinary {
                    World::weak(&cluster, &format!("weak_{i}")).await
                } else {
                    World::new(&cluster, &format!("cuts_{i}")).await
                });
            }
            let (_, report) = faulty::cuts(worlds, share, seed, &say).await;
            self.done(what, report, begun);
        }
    }

    async fn waiting(&mut self, of_each: usize) {
        let (major, seed) = (self.major, u64::from(self.major));
        let cluster = self.cluster();
        let begun = Instant::now();
        let say = |action: &str, report: &Report| println!("PostgreSQL {major}, black holes: {}", report.text(action));
        let mut worlds = Vec::new();
        for i in 0..WAITERS {
            worlds.push(World::new(&cluster, &format!("hole_{}", (b'a' + i as u8) as char)).await);
        }
        let all = worlds[0].all();
        let (mut worlds, report) = faulty::holes(worlds, &all, of_each, seed, &say).await;
        self.done("black holes", report, begun);
        let mut world = worlds.remove(0);
        drop(worlds);
        let begun = Instant::now();
        let mut actions = world.all();
        actions.retain(|i| world.names()[*i] != REPLACED);
        let say = |action: &str, report: &Report| println!("PostgreSQL {major}, killed: {}", report.text(action));
        let report = faulty::kills(&mut world, self.moat, &actions, of_each.div_ceil(8), seed, &say).await;
        self.done("consoles killed", report, begun);
        let begun = Instant::now();
        for kind in [Signal::Cancel, Signal::Terminate] {
            let report = signals(&world, kind, of_each).await;
            self.done("signals", report, begun);
        }
    }

    async fn crashes(&mut self, count: usize) {
        let (major, seed, begun) = (self.major, u64::from(self.major), Instant::now());
        // The last one acts as an ordinary role.
        let jobs: Vec<_> = (0..CRASHERS)
            .map(|i| {
                let cluster = self.cluster();
                tokio::spawn(async move {
                    let ordinary = i + 1 == CRASHERS;
                    let what = if ordinary { "crashes, as an ordinary role" } else { "crashes" };
                    let mut world = if ordinary {
                        World::weak(&cluster, "crash").await
                    } else {
                        World::new(&cluster, "crash").await
                    };
                    let say =
                        |action: &str, report: &Report| println!("PostgreSQL {major}, {what}: {}", report.text(action));
                    let (all, seed) = (world.all(), seed * 100 + i as u64);
                    let report = faulty::crashes(&mut world, &all, count.div_ceil(CRASHERS), seed, &say).await;
                    (what, report)
                })
            })
            .collect();
        for job in jobs {
            let (what, report) = job.await.unwrap();
            self.done(what, report, begun);
        }
    }

    async fn stops(&mut self, count: usize) {
        let (major, seed, begun) = (self.major, u64::from(self.major), Instant::now());
        let jobs: Vec<_> = (0..CRASHERS)
            .map(|i| {
                let mut cluster = self.cluster();
                tokio::spawn(async move {
                    let mut world = World::new(&cluster, "stop").await;
                    let what = "immediate stops";
                    let say =
                        |action: &str, report: &Report| println!("PostgreSQL {major}, {what}: {}", report.text(action));
                    let (all, seed) = (world.all(), seed * 100 + i as u64);
                    let count = count.div_ceil(CRASHERS);
                    faulty::stops(&mut cluster, &mut world, &all, count, seed, &say).await
                })
            })
            .collect();
        for job in jobs {
            let report = job.await.unwrap();
            self.done("immediate stops", report, begun);
        }
    }
}

//! Lines that break while something is done, consoles that are killed at it, servers that crash under it: nothing is half
//! done, and what is claimed is what is there. The long run is an example (`faults`).

use std::{path::Path, process::Command};

use pgmoat::{
    demo::cluster::{Cluster, ClusterOptions},
    server::signal::Signal,
};

use crate::{
    faulty::{self, Claim, Report, World, actions, signals::signals},
    read::runtime,
    support::cluster,
};

pub fn own_cluster() -> Cluster {
    cluster_of(cluster::newest())
}

fn cluster_of(major: u32) -> Cluster {
    let server = cluster::server(major);
    Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap()
}

/// The program under test.
pub fn console(home: &Path, args: &[&str]) -> Command {
    faulty::console(Path::new(env!("CARGO_BIN_EXE_pgmoat")), home, args)
}

async fn worlds(cluster: &Cluster, stem: &str, count: usize) -> Vec<World> {
    let mut worlds = Vec::new();
    for i in 0..count {
        worlds.push(World::new(cluster, &format!("{stem}_{i}")).await);
    }
    worlds
}

fn quietly(_: &str, _: &Report) {}

#[track_caller]
fn held(report: &Report, what: &str) {
    println!("{}", report.text(what));
    assert_eq!(report.partial(), 0, "{:#?}", report.wrong);
    assert!(report.wrong.is_empty(), "{:#?}", report.wrong);
    assert!(report.broken * 10 > report.trials * 9, "most faults have to come in time: {}", report.text(what));
}

#[test]
fn a_line_cut_anywhere_leaves_nothing_half_done_and_nobody_misled() {
    let majors = [cluster::majors().into_iter().min().unwrap(), cluster::newest()];
    for (major, most) in majors.into_iter().zip([60, 120]) {
        let cluster = cluster_of(major);
        runtime().block_on(async {
            let worlds = worlds(&cluster, "cuts", 3).await;
            let actions = worlds[0].all().len();
            let (_, report) = faulty::cuts(worlds, most, u64::from(major), &quietly).await;
            held(&report, &format!("PostgreSQL {major}: cuts of {actions} actions"));
            assert_eq!(report.actions.len(), actions, "every action was cut");
            assert_eq!(report.unknown(), 0, "without a crash everything is found out");
        });
    }
}

/// A signal cannot be taken back, and its answer can be lost.
#[test]
fn a_signal_on_a_line_that_is_cut_is_told_as_far_as_it_is_known() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let worlds = worlds(&cluster, "signals", 2).await;
        let (cancel, terminate) =
            tokio::join!(signals(&worlds[0], Signal::Cancel, 8), signals(&worlds[1], Signal::Terminate, 8));
        for (what, report) in [("cancel", cancel), ("terminate", terminate)] {
            held(&report, what);
            assert!(report.unknown() > 0, "some answers are lost for good");
        }
    });
}

#[test]
fn a_line_that_falls_silent_is_found_out_about() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let worlds = worlds(&cluster, "holes", 10).await;
        let some = worlds[0].some(&[actions::SET_UP, actions::MOVE, actions::PASSWORD]);
        let (_, report) = faulty::holes(worlds, &some, 4, 1, &quietly).await;
        held(&report, "black holes");
        assert_eq!(report.unknown(), 0, "the server's own limits end what hangs");
    });
}

#[test]
fn a_crash_around_commit_is_never_told_wrong() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "crashes").await;
        let all = world.all();
        let report = faulty::crashes(&mut world, &all, all.len(), 2, &quietly).await;
        held(&report, "crashes");
        assert_eq!(report.actions.len(), all.len(), "a crash in every action");
    });
}

/// Stopped at once, as by `pg_ctl stop -m immediate`, and started again: what was committed is there.
#[test]
fn a_server_stopped_at_once_is_never_told_wrong() {
    let mut cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "stops").await;
        let some = world.some(&[actions::SET_UP, actions::MOVE, actions::REPLACED]);
        let report = faulty::stops(&mut cluster, &mut world, &some, 5, 3, &quietly).await;
        held(&report, "immediate stops");
    });
}

/// A role that may not see whether the server crashed meanwhile, nor who wrote a row of the catalog.
#[test]
fn a_role_that_sees_little_is_never_told_wrong() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut list = Vec::new();
        for i in 0..2 {
            list.push(World::weak(&cluster, &format!("weak_{i}")).await);
        }
        let all = list[0].all();
        let (mut list, report) = faulty::cuts(list, 60, 4, &quietly).await;
        held(&report, &format!("cuts of {} actions, as an ordinary role", all.len()));
        assert!(all.len() >= 9 && report.actions.len() == all.len(), "{:?}", report.actions);
        assert_eq!(report.unknown(), 0, "without a crash everything is found out");
        let mut world = list.remove(0);
        drop(list);
        let some = world.some(&[actions::RIGHTS, actions::MOVE, actions::PASSWORD]);
        let report = faulty::crashes(&mut world, &some, 6, 5, &quietly).await;
        held(&report, "crashes, as an ordinary role");
    });
}

/// The console is killed while its bytes are on the way; the next one finds out what became of it.
#[test]
fn a_console_killed_at_any_step_is_settled_by_the_next_one() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "killed").await;
        // Its plan needs a password at hand, which a file of a plan does not hold.
        let mut actions = world.all();
        actions.retain(|i| world.names()[*i] != actions::REPLACED);
        let program = Path::new(env!("CARGO_BIN_EXE_pgmoat"));
        let report = faulty::kills(&mut world, program, &actions, 2, 6, &quietly).await;
        held(&report, "consoles killed");
        let found: usize = report.cells.iter().filter(|((claim, _), _)| *claim == Claim::Nothing).map(|(_, n)| n).sum();
        assert!(found > 0 && found < report.trials, "both ends were found by the next one");
    });
}

//! Lines that break while something is done, consoles that are killed at it, servers that crash under it: nothing is half
//! done, and what is claimed is what is there. The long run is an example (`faults`).

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use pgmoat::{
    audit::{Ending, Journal, State},
    config::{Conninfo, Env},
    demo::cluster::{Cluster, ClusterOptions},
    run::act::settle,
};

use crate::{
    faulty::{
        self, Real, Report, World,
        proxy::{Fault, How, Way},
    },
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

async fn worlds(cluster: &Cluster, stem: &str, count: usize) -> Vec<Arc<World>> {
    let mut worlds = Vec::new();
    for i in 0..count {
        worlds.push(Arc::new(World::new(cluster, &format!("{stem}_{i}")).await));
    }
    worlds
}

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
    for (major, most) in majors.into_iter().zip([80, 160]) {
        let cluster = cluster_of(major);
        runtime().block_on(async {
            let worlds = worlds(&cluster, "cuts", 4).await;
            let report = faulty::cuts(&worlds, most).await;
            held(&report, &format!("PostgreSQL {major}: cuts"));
            assert_eq!(report.unknown(), 0, "without a crash everything is found out");
        });
    }
}

#[test]
fn a_line_that_falls_silent_is_found_out_about() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let worlds = worlds(&cluster, "holes", 12).await;
        let report = faulty::holes(&worlds, 4).await;
        held(&report, "black holes");
        assert_eq!(report.unknown(), 0, "the server's own limits end what hangs");
    });
}

#[test]
fn a_crash_around_commit_is_never_told_wrong() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "crashes").await;
        let report = faulty::crashes(&mut world, 8).await;
        held(&report, "crashes");
    });
}

/// Stopped at once, as by `pg_ctl stop -m immediate`, and started again: what was committed is there.
#[test]
fn a_server_stopped_at_once_is_never_told_wrong() {
    let mut cluster = own_cluster();
    runtime().block_on(async {
        let mut world = World::new(&cluster, "stops").await;
        let report = faulty::stops(&mut cluster, &mut world, 5).await;
        held(&report, "immediate stops");
    });
}

/// A role that may not see whether the server crashed meanwhile has only the catalog to go by.
#[test]
fn a_role_that_sees_little_is_never_told_wrong() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let mut list = Vec::new();
        for i in 0..3 {
            list.push(Arc::new(World::weak(&cluster, &format!("weak_{i}")).await));
        }
        let report = faulty::cuts(&list, 60).await;
        held(&report, "cuts, as an ordinary role");
        assert_eq!(report.unknown(), 0, "the catalog says what became of it");
        drop(list);
        let mut world = World::weak(&cluster, "weak_crash").await;
        let report = faulty::crashes(&mut world, 4).await;
        held(&report, "crashes, as an ordinary role");
    });
}

/// The console is killed while its bytes are on the way; the next one finds out what became of it.
#[test]
fn a_console_killed_at_any_step_is_settled_by_the_next_one() {
    let cluster = own_cluster();
    runtime().block_on(async {
        let world = World::new(&cluster, "killed").await;
        let (mut report, mut settled) = (Report::default(), [0; 2]);
        for action in 0..world.actions.len() {
            let points = world.points(action).await;
            let ends: Vec<(Way, usize)> = points.boundaries.iter().copied().skip(1).step_by(3).collect();
            let last = points.commit.iter().rfind(|(way, _)| *way == Way::Down).copied();
            let step = (ends.len() / 3).max(1);
            for (way, at) in ends.into_iter().step_by(step).chain(last) {
                kill(&world, action, way, at, &mut report, &mut settled).await;
            }
        }
        held(&report, "consoles killed");
        println!("consoles killed: {} found committed, {} found not committed by the next one", settled[1], settled[0]);
        assert!(settled[0] > 0);
    });
}

async fn kill(world: &World, action: usize, way: Way, at: usize, report: &mut Report, settled: &mut [usize; 2]) {
    let home = tempfile::tempdir().unwrap();
    let file = world.plan_file(action, home.path()).await;
    world.proxy.arm(Some(Fault { way, at, how: How::Call }));
    let mut child = console(home.path(), &["apply", &world.url(), "--plan", &file, "--yes"]).spawn().unwrap();
    tokio::select! {
        () = world.proxy.called() => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => {
            let _ = child.kill();
            panic!("it never got to {way:?} {at}: {:?}", child.wait_with_output());
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.proxy.arm(None);
    world.proxy.end().await;
    let real = world.real(action).await;
    let journal = Journal::in_dir(&home.path().join(".local/state/pgmoat"));
    let entries = journal.read().unwrap().entries;
    let [entry] = entries.as_slice() else {
        panic!("one intent is written down before anything is begun: {entries:?}")
    };
    assert_eq!(entry.state(), State::Unsettled, "nobody wrote its end");
    let target = Conninfo::parse(&world.url(), &Env::default()).unwrap();
    let found =
        settle(&target, &journal, entry.plan.target.system_identifier.as_deref(), world.database()).await.unwrap();
    let claim = match found.as_slice() {
        [(_, Ending::Committed { .. })] => faulty::Claim::FoundCommitted,
        [(_, Ending::NotCommitted { .. })] => faulty::Claim::Nothing,
        other => panic!("{other:?}"),
    };
    settled[usize::from(real == Real::Done)] += 1;
    report.trials += 1;
    report.broken += 1;
    report.count(claim, real, || format!("killed at {way:?} {at}: claimed {claim:?}, is {real:?}"));
    let after = journal.read().unwrap();
    assert!(!after.entries[0].is_open() && after.damaged == 0 && after.broken_chain.is_none());
}

pub fn console(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgmoat"));
    command.args(args).env_clear().env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

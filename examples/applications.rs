//! Real Alembic on every server this machine has: `cargo run --release --example applications -- [published] [MAJOR…]` lets three
//! projects collide in one schema in every way that is known, then published applications (Optuna, MLflow) with one of them;
//! isolates each, moves some by hand, splits rows off, lets the next release run, and compares what they do with a clean
//! database; `published` leaves the projects alone out. Exit 1 when anything differs or a major is not on this machine, 2 when
//! Alembic or an application could not be installed.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test tool")]

#[expect(dead_code, reason = "the short run uses more of it")]
#[path = "../tests/it/applications/mod.rs"]
mod applications;

use applications::{Field, GARDEN, HARBOR, LIBRARY, MLFLOW, OPTUNA, ORCHARD, Tools, collisions::Alone};
use pgmoat::demo::{
    binaries::{self, Wanted},
    cluster::{Cluster, ClusterOptions, Server},
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let majors: Vec<u32> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let written = !std::env::args().any(|a| a == "published");
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let moat = folder.join("pgmoat");
    let Some(tools) = applications::tools(&moat, &folder.join("applications")) else { return 2.into() };
    if ![OPTUNA, MLFLOW].into_iter().all(|app| tools.has(app)) {
        return 2.into();
    }
    let (mut faults, mut checks, mut missing) = (0, 0, 0);
    for major in majors {
        let programs = match binaries::find(&Wanted { dir: None, major: Some(major) }) {
            Ok(found) => found,
            Err(error) => {
                println!("PostgreSQL {major}: not on this machine ({error})");
                missing += 1;
                continue;
            }
        };
        let options = ClusterOptions {
            server: Some(Server::Programs(programs)),
            guard: Some(moat.clone()),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(options).unwrap();
        if written {
            let mut field = Field::new(&tools, &cluster, "long");
            let shared = field.shared(&[LIBRARY, GARDEN, HARBOR]).await;
            for app in [GARDEN, LIBRARY, HARBOR] {
                let should = field.clean(app, usize::MAX).await;
                field.isolate(&shared, app, usize::MAX, &should).await;
                if app.name == "garden" {
                    field.moved(app, &["beds", "plants"], usize::MAX, &should).await;
                }
            }
            said(major, &field, &mut faults, &mut checks);
            collisions(major, &tools, &cluster, &mut faults, &mut checks).await;
        }
        let mut field = Field::new(&tools, &cluster, "strays");
        let (should, garden) = (field.clean(OPTUNA, usize::MAX).await, field.clean(GARDEN, usize::MAX).await);
        field.failed_start_of(OPTUNA, &should, &garden).await;
        said(major, &field, &mut faults, &mut checks);
        let mut field = Field::new(&tools, &cluster, "rows");
        field.split(MLFLOW).await;
        said(major, &field, &mut faults, &mut checks);
        for (app, other, stem) in [(OPTUNA, GARDEN, "tuning"), (MLFLOW, LIBRARY, "flow")] {
            let mut field = Field::new(&tools, &cluster, stem);
            let should = field.clean(app, usize::MAX).await;
            // Two that keep their revision in the same table, and one that has a table of its own.
            let shared = field.shared(&[app, other, HARBOR]).await;
            field.collides(&shared, app);
            field.isolate(&shared, app, usize::MAX, &should).await;
            field.moved(app, &["*", "!alembic_version"], usize::MAX, &should).await;
            let alone = field.clean(other, usize::MAX).await;
            field.isolate(&shared, other, usize::MAX, &alone).await;
            said(major, &field, &mut faults, &mut checks);
        }
    }
    let runs = tools.runs.into_inner();
    println!("{runs} commands, {checks} comparisons, {faults} differ, {missing} majors missing");
    std::process::ExitCode::from(u8::from(faults > 0 || checks == 0 || missing > 0))
}

/// The written projects in every way that is known, one after the other.
async fn collisions(major: u32, tools: &Tools, cluster: &Cluster, faults: &mut u32, checks: &mut u32) {
    let field = |stem: &str| Field::new(tools, cluster, stem);
    let alone = Alone::new(&field("alone"), usize::MAX, true).await;
    let library = field("alone").clean(LIBRARY, usize::MAX).await;
    for case in ["failed", "dropped", "emptied", "overlapping", "path", "path2", "name", "purged", "split", "next"] {
        let mut field = field(case);
        match case {
            "failed" => field.failed_start(&alone).await,
            "dropped" => field.dropped(&alone).await,
            "emptied" => field.emptied(&alone).await,
            "overlapping" => field.overlapping(&alone).await,
            "path" => field.by_path(ORCHARD, &alone).await,
            "path2" => field.by_path(HARBOR, &alone).await,
            "name" => field.by_name(&library, usize::MAX).await,
            "purged" => field.purged(&alone).await,
            "split" => field.split(GARDEN).await,
            _ => field.next_release(usize::MAX).await,
        }
        said(major, &field, faults, checks);
    }
}

fn said(major: u32, field: &Field<'_>, faults: &mut u32, checks: &mut u32) {
    let (stem, log) = (&field.stem, &field.log);
    println!("PostgreSQL {major}, {stem}: {} comparisons, {} differ\n{log}", field.checks, field.faults);
    *faults += field.faults;
    *checks += field.checks;
}

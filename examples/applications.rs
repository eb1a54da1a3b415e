//! Real Alembic on every server this machine has: `cargo run --release --example applications -- [MAJOR…]` lets three
//! projects collide in one schema, isolates each, moves one by hand, and compares what they do with a clean database.
//! Exit 1 when anything differs, 2 when Alembic could not be installed.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test tool")]

#[path = "../tests/it/applications/mod.rs"]
mod applications;

use applications::{Field, GARDEN, HARBOR, LIBRARY};
use pgmoat::demo::{
    binaries::{self, Wanted},
    cluster::{Cluster, ClusterOptions, Server},
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let majors: Vec<u32> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let majors = if majors.is_empty() { vec![14, 15, 16, 17, 18] } else { majors };
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let moat = folder.join("pgmoat");
    let Some(tools) = applications::tools(&moat, &folder.join("alembic")) else { return 2.into() };
    let (mut faults, mut checks) = (0, 0);
    for major in majors {
        let programs = match binaries::find(&Wanted { dir: None, major: Some(major) }) {
            Ok(found) => found,
            Err(error) => {
                println!("PostgreSQL {major}: not on this machine ({error})");
                continue;
            }
        };
        let options = ClusterOptions {
            server: Some(Server::Programs(programs)),
            guard: Some(moat.clone()),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(options).unwrap();
        let mut field = Field::new(&tools, &cluster, "long");
        let shared = field.shared(&[LIBRARY, GARDEN, HARBOR]).await;
        for app in [GARDEN, LIBRARY, HARBOR] {
            let should = field.clean(app, usize::MAX).await;
            field.isolate(&shared, app, usize::MAX, &should).await;
            if app.name == "garden" {
                field.moved(app, &["beds", "plants"], usize::MAX, &should).await;
            }
        }
        println!("PostgreSQL {major}: {} comparisons, {} differ\n{}", field.checks, field.faults, field.log);
        faults += field.faults;
        checks += field.checks;
    }
    let runs = tools.runs.into_inner();
    println!("{runs} commands, {checks} comparisons, {faults} differ");
    std::process::ExitCode::from(u8::from(faults > 0 || checks == 0))
}

//! Times each part of a read against a server: `read_timing CONNSTR [RUNS]`. A tool for the people who change the
//! queries; it knows nothing that the library does not.
#![expect(clippy::print_stdout, reason = "it is a command that prints")]

use std::time::{Duration, Instant};

use pgmoat::config::{Conninfo, env::Env};
use pgmoat::server::{ObjectsWanted, Reader, SizesWanted, Want};

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |t| t.as_secs_f64() * 1000.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let target = args.next().ok_or("usage: read_timing CONNSTR [RUNS]")?;
    let runs: usize = args.next().map_or(Ok(11), |n| n.parse())?;
    let start = Instant::now();
    let mut reader = Reader::open(&Conninfo::parse(&target, &Env::from_process())?, "timing").await?;
    println!("open               {:9.2} ms", start.elapsed().as_secs_f64() * 1000.0);
    let start = Instant::now();
    let read = reader.catalog().await?;
    println!("catalog, first     {:9.2} ms", start.elapsed().as_secs_f64() * 1000.0);
    let rows = reader.version_rows(&read.candidates).await?;
    println!(
        "{} roles, {} schemas, {} relation groups, {} version tables, {} read",
        read.catalog.roles.len(),
        read.catalog.schemas.len(),
        read.catalog.relations.len(),
        read.candidates.len(),
        rows.len()
    );
    let mut gate = Vec::new();
    let mut catalog = Vec::new();
    let mut versions = Vec::new();
    let mut activity = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        reader.gate().await?;
        gate.push(start.elapsed());
        let start = Instant::now();
        let read = reader.catalog().await?;
        catalog.push(start.elapsed());
        let start = Instant::now();
        reader.version_rows(&read.candidates).await?;
        versions.push(start.elapsed());
        let start = Instant::now();
        reader.activity().await?;
        activity.push(start.elapsed());
    }
    for (name, times) in
        [("gate", &mut gate), ("catalog", &mut catalog), ("versions", &mut versions), ("activity", &mut activity)]
    {
        println!("{name:<18} {:9.2} ms", median(times));
    }
    for (name, want) in [
        ("snapshot, lean", Want { versions: true, activity: true, ..Want::default() }),
        ("snapshot, objects", Want { objects: ObjectsWanted::All, ..Want::default() }),
        ("snapshot, sizes", Want { sizes: SizesWanted::Estimates, ..Want::default() }),
        ("snapshot, all", Want::everything(vec![])),
    ] {
        let start = Instant::now();
        let snapshot = reader.snapshot(&want).await?;
        println!("{name:<18} {:9.2} ms", start.elapsed().as_secs_f64() * 1000.0);
        for part in &snapshot.unavailable {
            println!("    unknown: {} ({})", part.what, part.why);
        }
    }
    Ok(())
}

//! This program against the least that a reader of the same catalogs can cost, in one run on one server:
//!
//! ```text
//! PGMOAT_FLOOR=…/floor PGMOAT_BENCH_URL='host=127.0.0.1 user=postgres dbname=…' cargo bench --bench against_floor
//! ```
//!
//! The floor is a program of one connection and one message; `floor URL --mode full --n N` reads N times what the matrix
//! needs, default privileges, routines' lists, policies, activity and every version row, closes the memberships, and
//! prints what that cost. Rounds of the floor and rounds of this program alternate, and ratios are of the same round, so
//! that a busy machine slows both. Exit 1 when a goal is missed. Goals are ratios, but for what is bounded in itself: bytes,
//! memory, and the first frame. Goals that were set in milliseconds hold for the machine on which the floor was measured,
//! and are told in what the floor takes now: one machine took 709 ms for what another read in 222.
//!
//! `PGMOAT_DRAW` names a program that draws a table of the same size with the library's own widget and prints what a frame
//! took (`visible rows only: nothing changes … med N` and `… page down … med N`, in microseconds); without it a frame is
//! compared with its milliseconds as they stand.
//!
//! `PGMOAT_BENCH_POLICY` names a policy made by `pgmoat policy derive`; without it one is derived first. The same machine
//! must run the server, for its CPU time and memory; `psql` is needed for one comparison. Arguments: `rounds=N` (5),
//! `reads=N` (9, in each round), `frames=N` (39, of each kind in each pane), `console=SECONDS` (60; with 0 neither check nor
//! console are run). `PGMOAT_BENCH_PROGRAM` is the program as people build it: the one
//! that is built beside a bench holds what only tests need, half a MiB of it in memory.

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod measure;
mod relay;
mod screen;

use std::{
    collections::{BTreeMap, HashMap},
    net::ToSocketAddrs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
    time::Instant,
};

use pgmoat::{
    app::panes::PANES,
    config::{Conninfo, env::Env},
    domain::{
        Oid,
        alembic::Lineages,
        effective::Matrix,
        snapshot::{Activity, Objects, Snapshot, VersionRows},
    },
    policy::{
        self, Policy,
        judge::Judge,
        judgement::{Basis, Judgement},
    },
    server::{
        Reader,
        read::{catalog::CatalogRead, versions::Candidate},
        reader::version_tables,
    },
};

use measure::{cpu_ms, median, mib, program};

type Fault = Box<dyn std::error::Error>;

/// A warm refresh with matrix and comparison, against the floor's full read.
const WARM: f64 = 1.5;
/// The fast part of a check from nothing, against the floor's process: 0.6 s where that takes 0.34.
const FAST: f64 = 0.6 / 0.34;
/// A whole check, against psql running the same statements.
const WHOLE: f64 = 1.25;
/// The client's part at large: 15 ms where the floor takes 6.8, which compares with nothing. A small matrix is closed in
/// less time than it takes to look at what a policy declares for each of its schemas.
const CLIENT: f64 = 15.0 / 6.8;
/// The server's CPU time for a tick that finds nothing new, in thousandths of the floor's full read: 1 ms where that takes
/// 211 ms of a large database, 20.6 of a medium one.
const TICK: fn(bool) -> f64 = |large| 1000.0 / if large { 211.0 } else { 20.6 };
/// A frame at any number of rows, in milliseconds, where the widget takes [`WIDGET`].
const FRAME_MS: f64 = 1.0;
/// A frame of the library's table where nothing changes but a digit or the selection, and one of another page, in
/// milliseconds, on the machine of the goal.
const WIDGET: [f64; 2] = [0.367, 0.456];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(floor) = std::env::var_os("PGMOAT_FLOOR").map(PathBuf::from) else {
        println!("PGMOAT_FLOOR does not name the floor program: nothing was compared.");
        return ExitCode::SUCCESS;
    };
    let Ok(url) = std::env::var("PGMOAT_BENCH_URL") else {
        println!("could not compare anything: PGMOAT_BENCH_URL does not say which database to read");
        return ExitCode::FAILURE;
    };
    let number = |name: &str, otherwise: usize| {
        let given = std::env::args().find_map(|a| a.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        given.unwrap_or(otherwise)
    };
    let (rounds, reads, frames, console) =
        (number("rounds", 5), number("reads", 9), number("frames", 39), number("console", 60));
    let plan = Plan { floor, url, rounds, reads, frames, console };
    match compare(&plan).await {
        Ok(goals) if goals.missed == 0 => ExitCode::SUCCESS,
        Ok(goals) => {
            println!("{} of {} goals missed", goals.missed, goals.asked);
            ExitCode::FAILURE
        }
        Err(fault) => {
            println!("could not compare: {fault}");
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    floor: PathBuf,
    url: String,
    rounds: usize,
    reads: usize,
    frames: usize,
    console: usize,
}

#[derive(Default)]
struct Goals {
    asked: usize,
    missed: usize,
}

impl Goals {
    fn at_most(&mut self, what: &str, value: f64, goal: f64, unit: &str) {
        self.asked += 1;
        let kept = value > 0.0 && value <= goal;
        self.missed += usize::from(!kept);
        println!("  {:<6} {what:<58} {value:8.2} {unit} (goal {goal:.2})", if kept { "ok" } else { "MISSED" });
    }
}

fn note(what: &str, value: f64, unit: &str) {
    println!("         {what:<58} {value:8.2} {unit}");
}

/// What the floor says of itself.
struct Floor {
    refresh_ms: f64,
    client_ms: f64,
    server_cpu_ms: f64,
    client_cpu_ms: f64,
    peak_mib: f64,
    backend_mib: f64,
    process_ms: f64,
}

fn floor(plan: &Plan, reads: usize) -> Result<Floor, Fault> {
    let begun = Instant::now();
    let output = Command::new(&plan.floor).args([&plan.url, "--mode", "full", "--n", &reads.to_string()]).output()?;
    let process_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |mark: &str| {
        let rest = text.split_once(mark).map(|(_, rest)| rest.trim_start()).unwrap_or_default();
        let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        number.parse::<f64>().map_err(|_| format!("the floor did not say {mark:?}: {text}{}", text_of(&output.stderr)))
    };
    Ok(Floor {
        refresh_ms: after(" med ")?,
        client_ms: after("close+matrix ")?,
        server_cpu_ms: after("cpu server ")?,
        client_cpu_ms: after(" client ")?,
        peak_mib: after("peak RSS ")?,
        backend_mib: after("backend private ")?,
        process_ms,
    })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A warm console: what it knows from before, and what it reads by.
struct Warm {
    reader: Reader,
    backend: String,
    policy: Arc<Policy>,
    counters: HashMap<Oid, i64>,
    rows: BTreeMap<Oid, VersionRows>,
    judged: Option<Arc<Judgement>>,
}

/// One refresh: milliseconds from the first question to the compared matrix, and of CPU on either side.
#[derive(Default)]
struct Refresh {
    wall: f64,
    read: f64,
    client: f64,
    /// Of it closing and the matrix.
    closing: f64,
    findings: f64,
    server_cpu: f64,
    client_cpu: f64,
    version_rows: usize,
}

impl Warm {
    async fn open(plan: &Plan, policy: &Arc<Policy>) -> Result<Warm, Fault> {
        let reader = Reader::open(&Conninfo::parse(&plan.url, &Env::from_process())?, "bench").await?;
        let backend = reader.pid().to_string();
        let policy = Arc::clone(policy);
        Ok(Warm { reader, backend, policy, counters: HashMap::new(), rows: BTreeMap::new(), judged: None })
    }

    /// As a session does it when the gate opened: sessions and counters, the catalog, and the rows of those version tables
    /// whose counters moved, or of all.
    async fn refresh(&mut self, all: bool) -> Result<Refresh, Fault> {
        let (server, client) = (cpu_ms(&self.backend).unwrap_or(0.0), cpu_ms("self").unwrap_or(0.0));
        let begun = Instant::now();
        let activity = self.reader.activity().await?.activity;
        let CatalogRead { server: facts, catalog, candidates } = self.reader.catalog().await?;
        let moved = |c: &&Candidate| all || self.counters.get(&c.table.oid) != Some(&c.changes);
        let stale: Vec<Candidate> = candidates.iter().filter(moved).cloned().collect();
        let rows = self.reader.version_rows(&stale).await?;
        let version_rows = rows.len();
        self.rows.extend(rows);
        self.counters = candidates.iter().map(|c| (c.table.oid, c.changes)).collect();
        let versions = version_tables(candidates, &self.rows, None);
        let snapshot = picture(facts, catalog, versions, Some(activity));
        let read = begun.elapsed();

        let (policy, lineages) = (Some(Arc::clone(&self.policy)), Arc::new(Lineages::default()));
        let basis = self.judged.as_ref().map(|before| Basis::of(before, &snapshot, policy.as_ref(), &lineages));
        let desired = basis.and_then(|b| b.desired);
        let matrix = Arc::new(Matrix::new(&snapshot.catalog, &snapshot.server));
        let closed = begun.elapsed();
        let judge = Judge::with(&snapshot, &matrix, Some(&self.policy), desired);
        let cells = judge.cells();
        let wall = begun.elapsed();
        drop(judge);
        cells.ok_or("no cell was compared with the policy")?;
        let used = (cpu_ms(&self.backend).unwrap_or(0.0) - server, cpu_ms("self").unwrap_or(0.0) - client);
        let begun = Instant::now();
        let judged = Judgement::new(snapshot, policy, lineages, Some(matrix));
        let findings = ms(begun);
        self.judged = Some(Arc::new(judged));
        Ok(Refresh {
            wall: wall.as_secs_f64() * 1000.0,
            read: read.as_secs_f64() * 1000.0,
            client: wall.saturating_sub(read).as_secs_f64() * 1000.0,
            closing: closed.saturating_sub(read).as_secs_f64() * 1000.0,
            findings,
            server_cpu: used.0,
            client_cpu: used.1,
            version_rows,
        })
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn picture(
    server: pgmoat::domain::snapshot::Server,
    catalog: pgmoat::domain::snapshot::Catalog,
    versions: pgmoat::domain::snapshot::VersionTables,
    activity: Option<Activity>,
) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        instance: "bench".to_owned(),
        words: None,
        server: Arc::new(server),
        catalog: Arc::new(catalog),
        shapes: None,
        objects: Objects::default(),
        versions: Arc::new(versions),
        sizes: Arc::default(),
        activity: activity.map(Arc::new),
        unavailable: Vec::new(),
    })
}

async fn compare(plan: &Plan) -> Result<Goals, Fault> {
    let home = tempfile::tempdir()?;
    let file = derived(plan, home.path())?;
    let policy = Arc::new(policy::file::load(&file)?.for_instance("bench", true));
    let mut goals = Goals::default();
    let large = refreshes(plan, &policy, &mut goals).await?;
    if plan.console > 0 {
        check(plan, &file, home.path(), &policy, large, &mut goals).await?;
        console(plan, &file, home.path(), large, &mut goals)?;
    }
    Ok(goals)
}

fn derived(plan: &Plan, home: &Path) -> Result<PathBuf, Fault> {
    if let Some(given) = std::env::var_os("PGMOAT_BENCH_POLICY") {
        // The console's terminal has a folder of its own.
        return Ok(Path::new(&given).canonicalize()?);
    }
    let file = home.join("derived.policy.toml");
    let begun = Instant::now();
    let derive = pgmoat(home).args(["policy", "derive", "-o"]).arg(&file).arg(&plan.url).output()?;
    if !derive.status.success() {
        return Err(format!("no policy was derived: {}", text_of(&derive.stderr)).into());
    }
    note("pgmoat policy derive, as a process", ms(begun), "ms");
    Ok(file)
}

fn pgmoat(home: &Path) -> Command {
    let mut command = Command::new(program());
    command.env("HOME", home).env_remove("PGMOAT_CONFIG");
    command
}

/// Warm refreshes and quiet ticks. True when the database is a large one.
async fn refreshes(plan: &Plan, policy: &Arc<Policy>, goals: &mut Goals) -> Result<bool, Fault> {
    let mut warm = Warm::open(plan, policy).await?;
    let first = warm.refresh(true).await?;
    let large = first.version_rows > 500;
    let mut ratios: [Vec<f64>; 7] = Default::default();
    let [usual, complete, client, server_cpu, client_cpu, found, backend] = &mut ratios;
    let mut seen: Vec<Refresh> = Vec::new();
    let mut floors = Vec::new();
    for _ in 0..plan.rounds {
        let floor = floor(plan, plan.reads)?;
        let (mut some, mut all) = (Vec::new(), Vec::new());
        for _ in 0..plan.reads {
            some.push(warm.refresh(false).await?);
        }
        backend.push(mib(&warm.backend, "RssAnon").unwrap_or(0.0));
        for _ in 0..plan.reads {
            all.push(warm.refresh(true).await?);
        }
        let of = |list: &[Refresh], get: fn(&Refresh) -> f64| median(&list.iter().map(get).collect::<Vec<_>>());
        usual.push(of(&some, |r| r.wall) / floor.refresh_ms);
        complete.push(of(&all, |r| r.wall) / floor.refresh_ms);
        client.push(of(&some, |r| r.client) / floor.client_ms);
        server_cpu.push(of(&some, |r| r.server_cpu) / floor.server_cpu_ms);
        client_cpu.push(of(&some, |r| r.client_cpu) / floor.client_cpu_ms);
        found.push(of(&some, |r| r.findings));
        seen.append(&mut some);
        floors.push(floor);
    }
    let all = |get: fn(&Refresh) -> f64| median(&seen.iter().map(get).collect::<Vec<_>>());
    let floor_ms = median(&floors.iter().map(|f| f.refresh_ms).collect::<Vec<_>>());
    println!("warm refresh, {} rounds of {} (the floor: {floor_ms:.1} ms):", plan.rounds, plan.reads);
    note("the floor's peak memory", median(&floors.iter().map(|f| f.peak_mib).collect::<Vec<_>>()), "MiB");
    note("first refresh of the connection", first.wall, "ms");
    note("refresh, read and compared", all(|r| r.wall), "ms");
    note("of it until everything was read and decoded", all(|r| r.read), "ms");
    note("of it the client's closing, matrix and comparison", all(|r| r.client), "ms");
    note("of that closing and matrix", all(|r| r.closing), "ms");
    note("every finding besides (in a thread of its own)", median(found), "ms");
    goals.at_most("refresh / floor, version rows whose counters moved", median(usual), WARM, "x");
    note("refresh / floor, every version row again (once a minute)", median(complete), "x");
    note("its server's CPU time / the floor's", median(server_cpu), "x");
    note("its client's CPU time / the floor's", median(client_cpu), "x");
    let what = "closing, matrix, comparison / floor's closing and matrix";
    if large {
        goals.at_most(what, median(client), CLIENT, "x");
    } else {
        note(what, median(client), "x");
    }

    let (ticks, before) = (50, cpu_ms(&warm.backend).unwrap_or(0.0));
    for _ in 0..ticks {
        warm.reader.activity().await?;
    }
    let tick = (cpu_ms(&warm.backend).unwrap_or(0.0) - before) / f64::from(ticks);
    println!("quiet tick: the gate, then two statements");
    note("server's CPU time of a tick", tick, "ms");
    let full = median(&floors.iter().map(|f| f.server_cpu_ms).collect::<Vec<_>>());
    note("the floor's for a full read", full, "ms");
    goals.at_most("a tick, in thousandths of that", 1000.0 * tick / full, TICK(large), "");

    if let Some(judged) = &warm.judged {
        frames(Arc::clone(judged), plan.frames, goals)?;
    }
    println!("memory of the backend:");
    let floor_mib = median(&floors.iter().map(|f| f.backend_mib).collect::<Vec<_>>());
    note("the floor's", floor_mib, "MiB");
    let first_round = backend.first().copied().unwrap_or(0.0);
    // The first refresh has read every version row on this connection.
    goals.at_most("with every version row read", first_round, 32.0, "MiB");
    let mut lean = Warm::open(plan, policy).await?;
    for _ in 0..3 {
        lean.reader.activity().await?;
        lean.reader.catalog().await?;
    }
    goals.at_most("without version rows", mib(&lean.backend, "RssAnon").unwrap_or(0.0), 8.0, "MiB");
    Ok(large)
}

/// `check` as a process, its fast part from nothing, and psql running what it runs.
async fn check(
    plan: &Plan,
    policy: &Path,
    home: &Path,
    loaded: &Arc<Policy>,
    large: bool,
    goals: &mut Goals,
) -> Result<(), Fault> {
    let script = home.join("statements.sql");
    let statements = recorded(plan, policy, home)?;
    std::fs::write(&script, statements.join(";\n") + ";\n")?;
    let (mut fast, mut whole, mut of_floor, mut peaks) = (vec![], vec![], vec![], vec![]);
    let (mut walls, mut psqls) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        let floor = floor(plan, 1)?;
        let begun = Instant::now();
        let mut cold = Warm::open(plan, loaded).await?;
        cold.refresh(true).await?;
        fast.push(ms(begun) / floor.process_ms);
        drop(cold);
        let cost = measure::run(pgmoat(home).arg("check").arg("--policy").arg(policy).arg(&plan.url))?;
        if !matches!(cost.code, Some(0 | 1)) {
            return Err(format!("check ended with {:?}", cost.code).into());
        }
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-f"]).arg(&script).arg(&plan.url).env("PGOPTIONS", "-c jit=off");
        if let Ok(ran) = measure::run(&mut psql)
            && ran.code == Some(0)
        {
            whole.push(cost.wall_ms / ran.wall_ms);
            psqls.push(ran.wall_ms);
        }
        of_floor.push(cost.wall_ms / floor.process_ms);
        walls.push(cost.wall_ms);
        peaks.push(cost.peak_mib);
    }
    println!("check ({} statements):", statements.len());
    goals.at_most("fast part from nothing, judged / floor as a process", median(&fast), FAST, "x");
    note("whole, as a process", median(&walls), "ms");
    note("psql, the same statements", median(&psqls), "ms");
    goals.at_most("whole / psql", median(&whole), WHOLE, "x");
    note("whole / floor as a process", median(&of_floor), "x");
    goals.at_most("peak memory", median(&peaks), if large { 64.0 } else { 20.0 }, "MiB");
    Ok(())
}

/// What a check sends.
fn recorded(plan: &Plan, policy: &Path, home: &Path) -> Result<Vec<String>, Fault> {
    let target = Conninfo::parse(&plan.url, &Env::from_process())?;
    let host = target.hosts.first().ok_or("no host")?;
    if host.is_socket() {
        return Err("the statements of a check are noted on the way over TCP: name a host in PGMOAT_BENCH_URL".into());
    }
    let server = (host.host.as_str(), host.port).to_socket_addrs()?.next().ok_or("the host has no address")?;
    let (at, statements) = relay::start(server)?;
    let mut check = pgmoat(home);
    check.args(["check", "--fail-on", "critical", "-h", "127.0.0.1", "-p", &at.port().to_string()]);
    check.args(["-U", &target.user, "-d", &target.dbname, "--policy"]).arg(policy).env("PGSSLMODE", "disable");
    let output = check.output()?;
    let statements = statements.lock().map_err(|_| "the relay failed")?.clone();
    if statements.is_empty() {
        return Err(format!("no statement of the check was noted: {}", text_of(&output.stderr)).into());
    }
    Ok(statements)
}

fn frames(judged: Arc<Judgement>, times: usize, goals: &mut Goals) -> Result<(), Fault> {
    println!("frames of 200x60:");
    let [still, page] = match std::env::var_os("PGMOAT_DRAW") {
        Some(draw) => screen::widget(Path::new(&draw))?,
        None => WIDGET,
    };
    note("the library's table, nothing or little changes", still, "ms");
    note("the library's table, another page", page, "ms");
    for p in screen::panes(judged, times)? {
        note(&format!("{}: entered", p.pane), p.enter_ms, "ms");
        let what = format!("{}: a digit {:.2} ms, a move {:.2} / the library's", p.pane, p.digit_ms, p.move_ms);
        goals.at_most(&what, p.digit_ms.max(p.move_ms) / still, FRAME_MS / WIDGET[0], "x");
        let what = format!("{}: a page {:.2} ms / the library's", p.pane, p.page_ms);
        goals.at_most(&what, p.page_ms / page, FRAME_MS / WIDGET[1], "x");
        goals.at_most(&format!("{}: bytes of one digit", p.pane), p.digit_bytes as f64, 100.0, "B");
        goals.at_most(&format!("{}: bytes when nothing changed, +1", p.pane), p.quiet_bytes as f64 + 1.0, 1.0, "B");
    }
    Ok(())
}

fn console(plan: &Plan, policy: &Path, home: &Path, large: bool, goals: &mut Goals) -> Result<(), Fault> {
    println!("console on a terminal of 200x60, {} s:", plan.console);
    let paints = (0..5).map(|_| screen::first_paint(home)).collect::<Result<Vec<_>, _>>()?;
    goals.at_most("first frame, the server silent", median(&paints), 50.0, "ms");
    let visit = screen::visit(home, &plan.url, policy, PANES.len(), plan.console as u64)?;
    note("written to the terminal", visit.bytes as f64 / 1024.0, "KiB");
    goals.at_most("peak memory, every pane visited", visit.peak_mib, if large { 64.0 } else { 20.0 }, "MiB");
    Ok(())
}

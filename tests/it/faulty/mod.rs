//! Actions on lines that break: one of every kind again and again, each time broken elsewhere, and what the program claims
//! compared with what is there. Shared by the short run among the tests and the long one among the examples.

pub mod actions;
pub mod proxy;
pub mod signals;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    path::Path,
    pin::Pin,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use pgmoat::{
    audit::{Ending, Journal, State},
    config::{Conninfo, Env},
    demo::{
        cluster::{Cluster, SUPERUSER},
        guard::StopMode,
    },
    domain::transaction::Transaction,
    plan::{Plan, build},
    run::act::settle,
    server::apply::{ApplyOptions, Aside, Outcome, Progress, apply},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use secrecy::SecretString;
use tokio_postgres::NoTls;

use actions::{Make, Recipe};
use proxy::{Fault, How, Points, Proxy, Way, points};

/// What the program claims, in the words of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    Committed,
    /// Committed; the answer was lost, the server was asked.
    FoundCommitted,
    Nothing,
    Unknown,
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Real {
    Nothing,
    Partial,
    Done,
}

/// What many trials showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub trials: usize,
    /// The fault came before the action was over.
    pub broken: usize,
    pub cells: BTreeMap<(Claim, Real), usize>,
    /// Trials whose claim was wrong, in words.
    pub wrong: Vec<String>,
    /// Why nobody could say.
    pub whys: BTreeMap<String, usize>,
    /// Trials by action.
    pub actions: BTreeMap<&'static str, usize>,
}

impl Report {
    pub fn add(&mut self, other: Report) {
        self.trials += other.trials;
        self.broken += other.broken;
        for (cell, n) in other.cells {
            *self.cells.entry(cell).or_default() += n;
        }
        self.wrong.extend(other.wrong);
        for (why, n) in other.whys {
            *self.whys.entry(why).or_default() += n;
        }
        for (action, n) in other.actions {
            *self.actions.entry(action).or_default() += n;
        }
    }

    pub fn partial(&self) -> usize {
        self.cells.iter().filter(|((_, real), _)| *real == Real::Partial).map(|(_, n)| n).sum()
    }

    pub fn unknown(&self) -> usize {
        self.cells.iter().filter(|((claim, _), _)| *claim == Claim::Unknown).map(|(_, n)| n).sum()
    }

    pub fn text(&self, what: &str) -> String {
        let mut text = format!(
            "{what}: {} trials, {} broken on the way, {} partial states, {} wrong claims, {} unknown",
            self.trials,
            self.broken,
            self.partial(),
            self.wrong.len(),
            self.unknown()
        );
        for ((claim, real), n) in &self.cells {
            let _ = write!(text, "; {claim:?}/{real:?} {n}");
        }
        for (why, n) in &self.whys {
            let _ = write!(text, "; unknown because: {why} ({n})");
        }
        text
    }

    pub fn count(&mut self, claim: Claim, real: Real, words: impl FnOnce() -> String) {
        *self.cells.entry((claim, real)).or_default() += 1;
        let right = match claim {
            Claim::Committed | Claim::FoundCommitted => real == Real::Done,
            Claim::Nothing => real == Real::Nothing,
            Claim::Unknown => real != Real::Partial,
        };
        if !right {
            self.wrong.push(words());
        }
    }
}

/// An action with what a world needs to judge it.
struct Prepared {
    plan: Plan,
    /// Where it can be broken.
    points: Points,
    /// Everything as it is before, and after.
    before: Vec<String>,
    after: Vec<String>,
    reset: String,
}

/// One worker's surroundings: a database, actions, a line that breaks.
pub struct World {
    pub client: tokio_postgres::Client,
    pub proxy: Proxy,
    pub recipes: Vec<Recipe>,
    ready: Vec<Option<Arc<Prepared>>>,
    /// The action that was done last, which may stand.
    last: Option<usize>,
    here: Conninfo,
    target: Conninfo,
    direct: tokio_postgres::Config,
    database: String,
    /// The role that acts.
    actor: String,
}

struct Nobody;

impl Aside for Nobody {
    fn password(&mut self, _: &str) -> Option<SecretString> {
        Some(SecretString::from("a new one, of which nobody is told"))
    }
    fn committing(&mut self, _: &Transaction) -> Result<(), String> {
        Ok(())
    }
    fn progress(&mut self, _: Progress) {}
}

pub async fn connect(config: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    // What brings a state back must survive a crash: throwaway servers do not flush by themselves.
    client.batch_execute("set synchronous_commit = on; set client_min_messages = warning").await.unwrap();
    client
}

fn claimed(outcome: &Outcome) -> Claim {
    match outcome {
        Outcome::Committed(done) if done.resolved => Claim::FoundCommitted,
        Outcome::Committed(_) => Claim::Committed,
        Outcome::NothingChanged(_) => Claim::Nothing,
        Outcome::Unknown { .. } => Claim::Unknown,
        Outcome::RehearsalProven(_) => panic!("not a rehearsal"),
    }
}

impl World {
    /// A database of its own for the worker; the name makes its roles unique in the cluster.
    pub async fn new(cluster: &Cluster, name: &str) -> World {
        World::acting_as(cluster, name, SUPERUSER).await
    }

    /// The same, acting as an ordinary role that owns what it acts on, and may see no more of the server than any.
    pub async fn weak(cluster: &Cluster, name: &str) -> World {
        World::acting_as(cluster, name, &format!("{name}_owner")).await
    }

    async fn acting_as(cluster: &Cluster, name: &str, actor: &str) -> World {
        let admin = connect(&cluster.config(SUPERUSER, "postgres")).await;
        admin.batch_execute(&format!("create database {name}")).await.unwrap();
        let direct = cluster.config(SUPERUSER, name);
        let client = connect(&direct).await;
        let ordinary = actor != SUPERUSER;
        client.batch_execute(&actions::ground(name, ordinary.then_some(actor))).await.unwrap();
        let sql = "select name from pg_available_extensions where name = 'citext'";
        let extension = (!client.query(sql, &[]).await.unwrap().is_empty()).then_some("citext");
        match extension {
            Some(extension) => {
                let sql = format!("create schema ea; create schema eb; create extension {extension} schema ea");
                client.batch_execute(&sql).await.unwrap();
            }
            None => println!("SKIPPED: this server has no extension that could move"),
        }
        let mut recipes = actions::actions(name, actor, ordinary, extension);
        recipes.retain(|recipe| recipe.ordinary || !ordinary);
        // What one action leaves behind is what every other one finds.
        for recipe in &recipes {
            client.batch_execute(&recipe.reset).await.unwrap();
        }
        let here = Conninfo::parse(&cluster.url(actor, name), &Env::default()).unwrap();
        let socket = cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port()));
        let proxy = Proxy::start(socket).await;
        let url = format!("postgresql://{actor}@127.0.0.1:{}/{name}?sslmode=disable", proxy.port);
        let ready = recipes.iter().map(|_| None).collect();
        let target = Conninfo::parse(&url, &Env::default()).unwrap();
        let (database, actor) = (name.to_owned(), actor.to_owned());
        World { client, proxy, recipes, ready, last: None, here, target, direct, database, actor }
    }

    /// The database, and how it is reached through the proxy.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn url(&self) -> String {
        format!("postgresql://{}@127.0.0.1:{}/{}?sslmode=disable", self.actor, self.proxy.port, self.database)
    }

    pub fn target(&self) -> &Conninfo {
        &self.target
    }

    /// Past the proxy.
    pub fn direct(&self) -> &tokio_postgres::Config {
        &self.direct
    }

    /// The cluster's identifier.
    pub async fn identity(&mut self, action: usize) -> Option<String> {
        self.prepare(action).await.plan.target.system_identifier.clone()
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.recipes.iter().map(|recipe| recipe.name).collect()
    }

    pub fn action(&self, name: &str) -> usize {
        self.recipes.iter().position(|recipe| recipe.name == name).unwrap()
    }

    /// Those of these names that this world has.
    pub fn some(&self, names: &[&str]) -> Vec<usize> {
        (0..self.recipes.len()).filter(|i| names.contains(&self.recipes[*i].name)).collect()
    }

    pub fn all(&self) -> Vec<usize> {
        (0..self.recipes.len()).collect()
    }

    /// Writes the plan to a file; the state before is there.
    pub async fn plan_file(&mut self, action: usize, dir: &Path) -> String {
        let plan = self.reset(action).await;
        let path = dir.join("plan.json");
        std::fs::write(&path, serde_json::to_string(&plan).unwrap()).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Brings back the state before; gives the plan from there.
    pub async fn reset(&mut self, action: usize) -> Plan {
        let of = self.prepare(action).await;
        self.back(action, &of.reset).await;
        if self.recipes[action].fresh { self.make(action).await } else { of.plan.clone() }
    }

    /// Acts, on a line that nothing breaks.
    pub async fn act(&mut self, plan: &Plan, options: &ApplyOptions) -> Outcome {
        self.proxy.arm(None);
        apply(&self.target, &plan.clone().approve(), options, &mut Nobody).await
    }

    async fn back(&mut self, action: usize, reset: &str) {
        if let Some(last) = self.last.filter(|last| *last != action) {
            let sql = self.clean(last).to_owned();
            self.client.batch_execute(&sql).await.unwrap();
        }
        self.last = Some(action);
        self.client.batch_execute(reset).await.unwrap_or_else(|e| panic!("{reset}: {e:?}"));
    }

    /// What leaves nothing of an action standing.
    fn clean(&self, action: usize) -> &str {
        match &self.recipes[action].make {
            Make::Undo(of) | Make::Redo(of) => &self.recipes[self.action(of)].reset,
            _ => &self.recipes[action].reset,
        }
    }

    /// The plan of an action, from the state that is there.
    async fn make(&self, action: usize) -> Plan {
        let make = &self.recipes[action].make;
        let (snapshot, uses) = actions::reading(&self.here, make).await;
        let done = |of: &str| self.ready[self.action(of)].as_ref().unwrap().plan.clone();
        match make {
            Make::Undo(of) => build::back(&snapshot, &done(of)).unwrap(),
            Make::Redo(of) => build::again(&snapshot, &done(of)).unwrap(),
            _ => actions::plan(make, &snapshot, &uses).unwrap(),
        }
    }

    /// Does an action once or twice where nothing breaks: what it makes, where it can be broken, and that it can be
    /// brought back.
    fn prepare(&mut self, action: usize) -> Pin<Box<dyn Future<Output = Arc<Prepared>> + Send + '_>> {
        Box::pin(self.prepared(action))
    }

    async fn prepared(&mut self, action: usize) -> Arc<Prepared> {
        if let Some(ready) = &self.ready[action] {
            return ready.clone();
        }
        let name = self.recipes[action].name;
        let reset = match self.recipes[action].make {
            Make::Undo(of) => {
                let of = self.action(of);
                let forward = self.prepare(of).await;
                let statements: Vec<&str> = forward.plan.statements().collect();
                format!(
                    "{}; begin; set local search_path = pg_catalog, pg_temp; {} ; commit",
                    forward.reset,
                    statements.join("\n")
                )
            }
            Make::Redo(of) => {
                let of = self.action(of);
                self.prepare(of).await.reset.clone()
            }
            _ => self.recipes[action].reset.clone(),
        };
        // The first time lists of privileges are written out that were not; from then on the ground is the same.
        let mut known: Option<(Plan, Points, Vec<String>)> = None;
        let (plan, points, before, after) = loop {
            self.back(action, &reset).await;
            let (plan, before) = (self.make(action).await, self.image().await);
            if let Some((first, points, after)) = known.take()
                && first.statements().eq(plan.statements())
            {
                break (plan, points, before, after);
            }
            let outcome = self.act(&plan, &ApplyOptions::default()).await;
            assert_eq!(claimed(&outcome), Claim::Committed, "{name}: {outcome:?}");
            self.proxy.end().await;
            self.alone().await;
            let after = self.image().await;
            assert_ne!(before, after, "{name} changes something");
            known = Some((plan, points(&self.proxy.passed()), after));
        };
        let ready = Arc::new(Prepared { plan, points, before, after, reset });
        self.ready[action] = Some(ready.clone());
        ready
    }

    async fn image(&self) -> Vec<String> {
        let roles = format!("{}_", self.database);
        let rows = self.client.query(actions::IMAGE, &[&roles, &actions::OLD_VERIFIER]).await.unwrap();
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
    }

    /// Waits until every backend of the program is gone.
    async fn alone(&self) {
        for _ in 0..2_000 {
            let sql = "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid() and backend_type = 'client backend'";
            let left: i64 = self.client.query_one(sql, &[&self.database]).await.unwrap().get(0);
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What is there once every backend of the program is gone.
    pub async fn real(&mut self, action: usize) -> Real {
        self.alone().await;
        let of = self.prepare(action).await;
        let is = self.image().await;
        if is == of.before {
            Real::Nothing
        } else if is == of.after {
            Real::Done
        } else {
            for (side, lines) in [("before", &of.before), ("after", &of.after)] {
                let less: Vec<_> = lines.iter().filter(|line| !is.contains(line)).collect();
                let more: Vec<_> = is.iter().filter(|line| !lines.contains(line)).collect();
                println!("{}: unlike {side}: lacks {less:#?}, has {more:#?}", self.recipes[action].name);
            }
            Real::Partial
        }
    }

    /// One trial.
    pub async fn trial(&mut self, action: usize, fault: Fault, options: &ApplyOptions, report: &mut Report) {
        let plan = self.reset(action).await;
        self.proxy.arm(Some(fault));
        let outcome = apply(&self.target, &plan.approve(), options, &mut Nobody).await;
        self.proxy.end().await;
        let broken = self.proxy.was_hit();
        let real = self.real(action).await;
        report.broken += usize::from(broken);
        self.told(action, &outcome, real, report, &format!("{fault:?}"));
    }

    fn told(&self, action: usize, outcome: &Outcome, real: Real, report: &mut Report, at: &str) {
        let (name, claim) = (self.recipes[action].name, claimed(outcome));
        report.trials += 1;
        *report.actions.entry(name).or_default() += 1;
        if let Outcome::Unknown { why, .. } = outcome {
            *report.whys.entry(why.clone()).or_default() += 1;
        }
        report.count(claim, real, || format!("{name}, {at}: claimed {claim:?}, is {real:?} ({outcome:?})"));
    }

    /// A server that crashes at this point of the conversation: the backend is killed, everybody is thrown out, the lost
    /// numbers are given to others before anybody can ask.
    /// With a cluster and a way to stop, the server is stopped so and started again instead.
    pub async fn crash(
        &mut self,
        stop: Option<(&mut Cluster, StopMode)>,
        action: usize,
        way: Way,
        at: usize,
        report: &mut Report,
    ) {
        let plan = self.reset(action).await;
        let fault = Fault { way, at, how: How::Call };
        self.proxy.arm(Some(fault));
        let approved = plan.approve();
        let options = ApplyOptions::default();
        let mut aside = Nobody;
        let acting = apply(&self.target, &approved, &options, &mut aside);
        let crash = async {
            self.proxy.called().await;
            self.proxy.hold(true);
            if let Some((cluster, mode)) = stop {
                cluster.stop_server(mode).unwrap();
                cluster.start_server().unwrap();
            } else {
                let pid = self.proxy.pid().and_then(rustix::process::Pid::from_raw).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            // The crash is over when the server takes connections again, and not before it began.
            while !self.client.is_closed() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let other = loop {
                match self.direct.connect(NoTls).await {
                    Ok((client, connection)) => {
                        tokio::spawn(connection);
                        client
                            .batch_execute("set synchronous_commit = on; set client_min_messages = warning")
                            .await
                            .unwrap();
                        break client;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            for _ in 0..30 {
                other.batch_execute("begin; select pg_current_xact_id(); commit").await.unwrap();
            }
            self.proxy.hold(false);
            self.proxy.end().await;
            other
        };
        let (outcome, other) = tokio::select! {
            both = async { tokio::join!(acting, crash) } => both,
            () = tokio::time::sleep(Duration::from_secs(120)) => panic!("a crash at {way:?} {at} never came"),
        };
        self.client = other;
        self.proxy.end().await;
        let real = self.real(action).await;
        report.broken += 1;
        self.told(action, &outcome, real, report, &format!("crash at {way:?} {at}"));
    }

    /// The program itself is killed while its bytes are on the way; the next one finds out what became of it.
    pub async fn kill(&mut self, program: &Path, action: usize, way: Way, at: usize, report: &mut Report) {
        let home = tempfile::tempdir().unwrap();
        let file = self.plan_file(action, home.path()).await;
        let url = self.url();
        self.proxy.arm(Some(Fault { way, at, how: How::Call }));
        let role = format!("{}_pw", self.database);
        let args: Vec<&str> = if self.recipes[action].name == actions::PASSWORD {
            vec!["set-password", &url, &role, "--generate-password", "--yes"]
        } else {
            vec!["apply", &url, "--plan", &file, "--yes"]
        };
        let mut child = console(program, home.path(), &args).spawn().unwrap();
        tokio::select! {
            () = self.proxy.called() => {}
            () = tokio::time::sleep(Duration::from_secs(60)) => {
                let _ = child.kill();
                panic!("{args:?} never got to {way:?} {at}: {:?}", child.wait_with_output());
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        self.proxy.arm(None);
        self.proxy.end().await;
        let real = self.real(action).await;
        let journal = Journal::in_dir(&home.path().join(".local/state/pgmoat"));
        let entries = journal.read().unwrap().entries;
        let [entry] = entries.as_slice() else {
            panic!("one intent is written down before anything is begun: {entries:?}")
        };
        assert_eq!(entry.state(), State::Unsettled, "nobody wrote its end");
        let system = entry.plan.target.system_identifier.as_deref();
        let found = settle(&self.target, &journal, system, &self.database).await.unwrap();
        let claim = match found.as_slice() {
            [(_, Ending::Committed { .. })] => Claim::FoundCommitted,
            [(_, Ending::NotCommitted { .. })] => Claim::Nothing,
            other => panic!("{other:?}"),
        };
        let name = self.recipes[action].name;
        report.trials += 1;
        report.broken += 1;
        *report.actions.entry(name).or_default() += 1;
        report.count(claim, real, || format!("{name}, killed at {way:?} {at}: claimed {claim:?}, is {real:?}"));
        let after = journal.read().unwrap();
        assert!(!after.entries[0].is_open() && after.damaged == 0 && after.broken_chain.is_none());
    }
}

/// The program, with nothing of this environment but where to find programs.
pub fn console(program: &Path, home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// How a line fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cut,
    Hole,
}

/// Some trials of one action.
#[derive(Debug, Clone, Copy)]
struct Task {
    action: usize,
    count: usize,
    seed: u64,
}

/// What a run says while it runs: the action and what its trials showed.
pub type Say<'a> = &'a (dyn Fn(&str, &Report) + Sync);

/// At least `most` cuts that came in time, alike of every action, at random ends of messages and bytes around COMMIT.
pub async fn cuts(worlds: Vec<World>, most: usize, seed: u64, say: Say<'_>) -> (Vec<World>, Report) {
    let actions = worlds[0].all();
    let of_each = most.div_ceil(actions.len());
    spread(worlds, &actions, of_each, seed, Kind::Cut, &ApplyOptions::default(), say).await
}

/// Black holes at `of_each` places of each of these actions.
pub async fn holes(
    worlds: Vec<World>,
    actions: &[usize],
    of_each: usize,
    seed: u64,
    say: Say<'_>,
) -> (Vec<World>, Report) {
    let second = Duration::from_secs(1);
    let options =
        ApplyOptions { answer: second, commit: second, resolve: Duration::from_secs(20), ..ApplyOptions::default() };
    spread(worlds, actions, of_each, seed, Kind::Hole, &options, say).await
}

async fn spread(
    worlds: Vec<World>,
    actions: &[usize],
    of_each: usize,
    seed: u64,
    kind: Kind,
    options: &ApplyOptions,
    say: Say<'_>,
) -> (Vec<World>, Report) {
    // Trials of one task at most: then somebody else may help.
    let most = if kind == Kind::Hole { 6 } else { 40 };
    let mut tasks = VecDeque::new();
    for action in actions {
        for piece in 0..of_each.div_ceil(most) {
            let count = most.min(of_each - piece * most);
            let seed = seed * 1_000_003 + (*action as u64) * 1_009 + piece as u64;
            tasks.push_back(Task { action: *action, count, seed });
        }
    }
    let open: BTreeMap<usize, usize> = actions.iter().map(|a| (*a, of_each.div_ceil(most))).collect();
    let names = worlds[0].names();
    let tasks = Arc::new(Mutex::new(tasks));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let workers: Vec<_> = worlds
        .into_iter()
        .map(|mut world| {
            let (tasks, options, tell) = (tasks.clone(), options.clone(), tell.clone());
            tokio::spawn(async move {
                loop {
                    let Some(task) = tasks.lock().unwrap().pop_front() else { break };
                    let mut report = Report::default();
                    let mut chance = StdRng::seed_from_u64(task.seed);
                    let prepared = world.prepare(task.action).await;
                    while report.broken < task.count && report.trials < task.count * 2 {
                        let fault = fault(&prepared.points, kind, &mut chance);
                        world.trial(task.action, fault, &options, &mut report).await;
                    }
                    let _ = tell.send((task.action, report));
                }
                world
            })
        })
        .collect();
    drop(tell);
    let (mut total, mut open) = (Report::default(), open);
    let mut by_action: BTreeMap<usize, Report> = BTreeMap::new();
    while let Some((action, report)) = told.recv().await {
        let of = by_action.entry(action).or_default();
        of.add(report.clone());
        total.add(report);
        let left = open.get_mut(&action).unwrap();
        *left -= 1;
        if *left == 0 {
            say(names[action], of);
        }
    }
    let mut back = Vec::new();
    for worker in workers {
        back.push(worker.await.unwrap());
    }
    (back, total)
}

/// Half of them anywhere at the end of a message, or a byte beside it; half of them where COMMIT is on its way.
fn fault(points: &Points, kind: Kind, chance: &mut StdRng) -> Fault {
    let commit = points.commit.as_slice();
    // Only what lies close to it decides: a black hole takes its time.
    let commit = if kind == Kind::Hole { &commit[commit.len().saturating_sub(40)..] } else { commit };
    let list = if chance.random_bool(0.5) { points.boundaries.as_slice() } else { commit };
    let (way, at) = list[chance.random_range(0..list.len())];
    let how = match kind {
        Kind::Hole => How::Hole,
        Kind::Cut if chance.random_bool(0.5) => How::Fin,
        Kind::Cut => How::Rst,
    };
    Fault { way, at, how }
}

/// Crashes around COMMIT, at least `count` of them, alike of each of these actions; the cluster is the worker's own.
pub async fn crashes(world: &mut World, actions: &[usize], count: usize, seed: u64, say: Say<'_>) -> Report {
    let mut total = Report::default();
    let mut chance = StdRng::seed_from_u64(seed);
    for (i, action) in actions.iter().enumerate() {
        let of_each = share(count, actions.len(), i);
        let places = places(world, *action).await;
        let mut report = Report::default();
        for _ in 0..of_each {
            let (way, at) = places[chance.random_range(0..places.len())];
            world.crash(None, *action, way, at, &mut report).await;
        }
        say(world.recipes[*action].name, &report);
        total.add(report);
    }
    total
}

/// The server is stopped at once (`immediate`) around COMMIT and at other steps, `count` times, and started again.
pub async fn stops(
    cluster: &mut Cluster,
    world: &mut World,
    actions: &[usize],
    count: usize,
    seed: u64,
    say: Say<'_>,
) -> Report {
    let mut total = Report::default();
    let mut chance = StdRng::seed_from_u64(seed);
    for (i, action) in actions.iter().enumerate() {
        let mut places = places(world, *action).await;
        let ends = world.prepare(*action).await.points.boundaries.clone();
        places.extend((0..8).map(|_| ends[chance.random_range(0..ends.len())]));
        let mut report = Report::default();
        for _ in 0..share(count, actions.len(), i) {
            let (way, at) = places[chance.random_range(0..places.len())];
            world.crash(Some((cluster, StopMode::Immediate)), *action, way, at, &mut report).await;
        }
        say(world.recipes[*action].name, &report);
        total.add(report);
    }
    total
}

/// The program is killed at `of_each` ends of messages of each of these actions, the last time around COMMIT.
pub async fn kills(
    world: &mut World,
    program: &Path,
    actions: &[usize],
    of_each: usize,
    seed: u64,
    say: Say<'_>,
) -> Report {
    let mut total = Report::default();
    let mut chance = StdRng::seed_from_u64(seed);
    for action in actions {
        let (ends, late) = {
            let of = world.prepare(*action).await;
            (of.points.boundaries.clone(), places(world, *action).await)
        };
        let mut report = Report::default();
        for i in 0..of_each {
            let list = if i + 1 == of_each { &late } else { &ends };
            let (way, at) = list[chance.random_range(0..list.len())];
            world.kill(program, *action, way, at, &mut report).await;
        }
        say(world.recipes[*action].name, &report);
        total.add(report);
    }
    total
}

/// The `i`-th of `of` shares of `count`.
fn share(count: usize, of: usize, i: usize) -> usize {
    count / of + usize::from(i < count % of)
}

/// What lies between COMMIT's way there and its answer's way back decides: the last bytes of both.
async fn places(world: &mut World, action: usize) -> Vec<(Way, usize)> {
    let of = world.prepare(action).await;
    let last = |way: Way| {
        let list: Vec<_> = of.points.commit.iter().filter(|(w, _)| *w == way).copied().collect();
        list[list.len().saturating_sub(12)..].to_vec()
    };
    [last(Way::Up), last(Way::Down)].concat()
}

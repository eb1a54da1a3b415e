//! Actions on lines that break: the same few actions again and again, each time broken elsewhere, and what the program
//! claims compared with what is there. Shared by the short run among the tests and the long one among the examples.

pub mod proxy;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pgmoat::{
    config::{Conninfo, Env},
    demo::{
        cluster::{Cluster, SUPERUSER},
        guard::StopMode,
    },
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, ObjectRef, On, RoleAttributes},
        snapshot::{DefaultKind, Kind},
        transaction::Transaction,
    },
    plan::{Plan, build},
    server::{
        ObjectsWanted, Reader, Want,
        apply::{ApplyOptions, Aside, Outcome, Progress, apply},
    },
};
use secrecy::SecretString;
use tokio_postgres::NoTls;

use proxy::{Fault, How, Proxy, Way, points};

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

/// An action that can be done again and again.
pub struct Action {
    pub name: &'static str,
    plan: Plan,
    /// Brings back the state before.
    reset: String,
    /// One boolean for each thing that the action makes.
    facts: String,
}

/// One worker's surroundings: a database, actions, a line that breaks.
pub struct World {
    pub client: tokio_postgres::Client,
    pub proxy: Proxy,
    pub actions: Vec<Action>,
    target: Conninfo,
    direct: tokio_postgres::Config,
    database: String,
    /// The role that acts.
    actor: String,
}

struct Nobody(Option<Transaction>);

impl Aside for Nobody {
    fn password(&mut self, _: &str) -> Option<SecretString> {
        None
    }
    fn committing(&mut self, transaction: &Transaction) -> Result<(), String> {
        self.0 = Some(transaction.clone());
        Ok(())
    }
    fn progress(&mut self, _: Progress) {}
}

pub async fn connect(config: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    // What brings a state back must survive a crash: throwaway servers do not flush by themselves.
    client.batch_execute("set synchronous_commit = on").await.unwrap();
    client
}

fn actions(n: &str, database: &str) -> Vec<(&'static str, Vec<Change>, String, String)> {
    let attributes = RoleAttributes { login: Some(true), ..RoleAttributes::default() };
    let to = || Grantee::Role(format!("{n}_reader"));
    let on = |kind, names: &[&str]| On::Objects {
        kind,
        schema: "s".into(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
    };
    let object = |schema: &str| ObjectRef { kind: Kind::Table, schema: schema.into(), name: "moved".into() };
    vec![
        (
            "a service is set up",
            vec![
                Change::CreateRole { name: format!("{n}_new"), attributes },
                Change::CreateSchema { name: "made".into(), owner: format!("{n}_new") },
                Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema("made".into()), to: to() },
                Change::DefaultPrivileges {
                    creator: format!("{n}_new"),
                    schema: Some("made".into()),
                    kind: DefaultKind::Tables,
                    privileges: Privilege::Select.into(),
                    grantee: to(),
                    grant: true,
                },
                Change::SetRoleSetting {
                    role: format!("{n}_new"),
                    database: Some(database.to_owned()),
                    name: "search_path".into(),
                    value: Some(vec!["made".into()]),
                },
            ],
            format!(
                "do $$ begin if exists (select from pg_roles where rolname = '{n}_new') then
                   drop owned by {n}_new cascade; drop schema if exists made cascade; drop role {n}_new; end if; end $$"
            ),
            format!(
                "select array[exists (select from pg_roles where rolname = '{n}_new'),
                   exists (select from pg_namespace where nspname = 'made'),
                   exists (select from pg_namespace, aclexplode(nspacl) a where nspname = 'made' and a.grantee = '{n}_reader'::regrole),
                   exists (select from pg_default_acl d, aclexplode(d.defaclacl) a where a.grantee = '{n}_reader'::regrole),
                   exists (select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole where r.rolname = '{n}_new')]"
            ),
        ),
        (
            "rights change",
            vec![
                Change::Grant { privileges: Privilege::Select.into(), on: on(ObjectKind::Table, &["t", "u"]), to: to() },
                Change::Grant { privileges: Privilege::Usage.into(), on: on(ObjectKind::Sequence, &["q"]), to: to() },
                Change::Revoke {
                    privileges: Privilege::Usage.into(),
                    on: On::Schema("s".into()),
                    from: Grantee::Public,
                    option_only: false,
                    grantor: None,
                },
            ],
            format!(
                "grant usage on schema s to public; revoke all on s.t, s.u from {n}_reader; revoke all on s.q from {n}_reader"
            ),
            format!(
                "select array[has_table_privilege('{n}_reader', 's.t', 'select'), has_table_privilege('{n}_reader', 's.u', 'select'),
                   has_sequence_privilege('{n}_reader', 's.q', 'usage'), not has_schema_privilege('{n}_reader', 's', 'usage')]"
            ),
        ),
        (
            "a table moves",
            vec![
                Change::SetSchema { object: object("a"), to: "b".into() },
                Change::SetOwner { object: object("b"), owner: format!("{n}_owner") },
                Change::Grant {
                    privileges: Privilege::Select.into(),
                    on: On::Objects { kind: ObjectKind::Table, schema: "b".into(), names: vec!["moved".into()] },
                    to: to(),
                },
            ],
            format!(
                "do $$ begin if to_regclass('b.moved') is not null then
                   revoke all on b.moved from {n}_reader; alter table b.moved owner to postgres; alter table b.moved set schema a;
                 else grant select on a.moved to {n}_reader; revoke all on a.moved from {n}_reader; end if; end $$"
            ),
            format!(
                "select array[to_regclass('b.moved') is not null, to_regclass('a.moved') is null,
                   exists (select from pg_class where relname = 'moved' and relowner = '{n}_owner'::regrole),
                   exists (select from pg_class, aclexplode(relacl) a where relname = 'moved' and a.grantee = '{n}_reader'::regrole)]"
            ),
        ),
    ]
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
        client
            .batch_execute(&format!(
                "create role {name}_reader; create role {name}_owner; create schema s; create table s.t (id int);
                 create table s.u (id int); create sequence s.q; create schema a; create schema b;
                 create table a.moved (id int)"
            ))
            .await
            .unwrap();
        if actor != SUPERUSER {
            let sql = format!(
                "alter role {actor} login; grant create on database {name} to {actor}; alter schema s owner to {actor};
                 alter table s.t owner to {actor}; alter table s.u owner to {actor}; alter sequence s.q owner to {actor};
                 grant usage on schema s to public"
            );
            client.batch_execute(&sql).await.unwrap();
        }
        let here = Conninfo::parse(&cluster.url(actor, name), &Env::default()).unwrap();
        let mut made = Vec::new();
        // Of an ordinary role's, only what needs no more than ownership.
        let may = |title: &str| actor == SUPERUSER || title == "rights change";
        for (title, changes, reset, facts) in actions(name, name).into_iter().filter(|(title, ..)| may(title)) {
            client.batch_execute(&reset).await.unwrap();
            let mut reader = Reader::open(&here, "faults").await.unwrap();
            let want = Want { shapes: true, versions: true, objects: ObjectsWanted::All, ..Want::default() };
            let snapshot = reader.snapshot(&want).await.unwrap();
            let plan = build::of_changes(&snapshot, changes).unwrap();
            made.push(Action { name: title, plan, reset, facts });
        }
        let socket = cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port()));
        let proxy = Proxy::start(socket).await;
        let (database, actor) = (name.to_owned(), actor.to_owned());
        let mut world = World { client, proxy, actions: made, target: here, direct, database, actor };
        world.target = Conninfo::parse(&world.url(), &Env::default()).unwrap();
        world
    }

    /// The database, and how it is reached through the proxy.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn url(&self) -> String {
        format!("postgresql://{}@127.0.0.1:{}/{}?sslmode=disable", self.actor, self.proxy.port, self.database)
    }

    /// Brings back the state before, and writes the plan to a file.
    pub async fn plan_file(&self, action: usize, dir: &std::path::Path) -> String {
        self.client.batch_execute(&self.actions[action].reset).await.unwrap();
        let path = dir.join("plan.json");
        std::fs::write(&path, serde_json::to_string(&self.actions[action].plan).unwrap()).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Brings back the state before.
    pub async fn reset(&self, action: usize) {
        self.client.batch_execute(&self.actions[action].reset).await.unwrap();
    }

    /// Acts, on a line that nothing breaks.
    pub async fn act(&self, action: usize, options: &ApplyOptions) -> Outcome {
        self.proxy.arm(None);
        let approved = self.actions[action].plan.clone().approve();
        apply(&self.target, &approved, options, &mut Nobody(None)).await
    }

    pub fn target(&self) -> &Conninfo {
        &self.target
    }

    pub fn plan(&self, action: usize) -> &Plan {
        &self.actions[action].plan
    }

    /// Where each action can be broken.
    pub async fn points(&self, action: usize) -> proxy::Points {
        let (claim, real, _) = self.once(action, None, &ApplyOptions::default()).await;
        assert_eq!((claim, real), (Claim::Committed, Real::Done), "{}", self.actions[action].name);
        points(&self.proxy.passed())
    }

    async fn once(&self, action: usize, fault: Option<Fault>, options: &ApplyOptions) -> (Claim, Real, Option<String>) {
        let of = &self.actions[action];
        self.client.batch_execute(&of.reset).await.unwrap();
        self.proxy.arm(fault);
        let approved = of.plan.clone().approve();
        let outcome = apply(&self.target, &approved, options, &mut Nobody(None)).await;
        let claim = match &outcome {
            Outcome::Committed(done) if done.resolved => Claim::FoundCommitted,
            Outcome::Committed(_) => Claim::Committed,
            Outcome::NothingChanged(_) => Claim::Nothing,
            Outcome::Unknown { .. } => Claim::Unknown,
            Outcome::RehearsalProven(_) => panic!("not a rehearsal"),
        };
        self.proxy.end().await;
        let why = match outcome {
            Outcome::Unknown { why, .. } => Some(why),
            _ => None,
        };
        (claim, self.real(action).await, why)
    }

    /// What is there once every backend of the program is gone.
    pub async fn real(&self, action: usize) -> Real {
        for _ in 0..2_000 {
            let sql = "select count(*) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid() and backend_type = 'client backend'";
            let left: i64 = self.client.query_one(sql, &[&self.database]).await.unwrap().get(0);
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let facts: Vec<bool> = self.client.query_one(&self.actions[action].facts, &[]).await.unwrap().get(0);
        match facts.iter().filter(|fact| **fact).count() {
            0 => Real::Nothing,
            n if n == facts.len() => Real::Done,
            _ => Real::Partial,
        }
    }

    /// One trial.
    pub async fn trial(&self, action: usize, fault: Fault, options: &ApplyOptions, report: &mut Report) {
        let (claim, real, why) = self.once(action, Some(fault), options).await;
        if let Some(why) = why {
            *report.whys.entry(why).or_default() += 1;
        }
        report.trials += 1;
        report.broken += usize::from(self.proxy.was_hit());
        report
            .count(claim, real, || format!("{}, {fault:?}: claimed {claim:?}, is {real:?}", self.actions[action].name));
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
        self.client.batch_execute(&self.actions[action].reset).await.unwrap();
        let fault = Fault { way, at, how: How::Call };
        self.proxy.arm(Some(fault));
        let approved = self.actions[action].plan.clone().approve();
        let options = ApplyOptions::default();
        let mut aside = Nobody(None);
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
                        client.batch_execute("set synchronous_commit = on").await.unwrap();
                        break client;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
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
        let claim = match &outcome {
            Outcome::Committed(done) if done.resolved => Claim::FoundCommitted,
            Outcome::Committed(_) => Claim::Committed,
            Outcome::NothingChanged(_) => Claim::Nothing,
            Outcome::Unknown { .. } => Claim::Unknown,
            Outcome::RehearsalProven(_) => panic!("not a rehearsal"),
        };
        self.proxy.end().await;
        let real = self.real(action).await;
        report.trials += 1;
        report.broken += 1;
        if let Outcome::Unknown { why, .. } = &outcome {
            *report.whys.entry(why.clone()).or_default() += 1;
        }
        let name = self.actions[action].name;
        report.count(claim, real, || {
            format!("{name}, crash at {way:?} {at}: claimed {claim:?}, is {real:?} ({outcome:?})")
        });
    }
}

/// Every `step`-th of the cuts of every action, over several workers at once.
pub async fn cuts(worlds: &[Arc<World>], most: usize) -> Report {
    let mut cases: Vec<(usize, Fault)> = Vec::new();
    for action in 0..worlds[0].actions.len() {
        let points = worlds[0].points(action).await;
        let all = points.boundaries.iter().chain(&points.commit);
        cases.extend(
            all.flat_map(|(way, at)| [How::Fin, How::Rst].map(|how| (action, Fault { way: *way, at: *at, how }))),
        );
    }
    let step = (cases.len() / most).max(1);
    // A step that is prime to the number of ways keeps both ways in.
    let step = if step.is_multiple_of(2) { step + 1 } else { step };
    let cases: Arc<Vec<(usize, Fault)>> = Arc::new(cases.into_iter().step_by(step).collect());
    each(worlds, cases, ApplyOptions::default()).await
}

/// Black holes at up to `each` boundaries of every action.
pub async fn holes(worlds: &[Arc<World>], of_each: usize) -> Report {
    let mut cases = Vec::new();
    for action in 0..worlds[0].actions.len() {
        let points = worlds[0].points(action).await;
        let mut places = points.boundaries;
        let half = of_each / 2;
        // Half of them around COMMIT, the rest anywhere.
        let late = points.commit.len().saturating_sub(40);
        let tail: Vec<(Way, usize)> = points.commit[late..].to_vec();
        let pick = |list: &[(Way, usize)], n: usize| -> Vec<(Way, usize)> {
            let step = (list.len() / n.max(1)).max(1);
            list.iter().copied().step_by(step).take(n).collect()
        };
        places = [pick(&places, of_each - half), pick(&tail, half)].concat();
        cases.extend(places.into_iter().map(|(way, at)| (action, Fault { way, at, how: How::Hole })));
    }
    let second = Duration::from_secs(1);
    let options =
        ApplyOptions { answer: second, commit: second, resolve: Duration::from_secs(20), ..ApplyOptions::default() };
    each(worlds, Arc::new(cases), options).await
}

async fn each(worlds: &[Arc<World>], cases: Arc<Vec<(usize, Fault)>>, options: ApplyOptions) -> Report {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = worlds
        .iter()
        .map(|world| {
            let (world, cases, next, options) = (world.clone(), cases.clone(), next.clone(), options.clone());
            tokio::spawn(async move {
                let mut report = Report::default();
                while let Some((action, fault)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    world.trial(*action, *fault, &options, &mut report).await;
                }
                report
            })
        })
        .collect();
    let mut report = Report::default();
    for task in tasks {
        report.add(task.await.unwrap());
    }
    report
}

/// Crashes around COMMIT, `count` of them; the cluster is the worker's own.
pub async fn crashes(world: &mut World, count: usize) -> Report {
    let places = places(world).await;
    let mut report = Report::default();
    let mut at = 0;
    while report.trials < count {
        let (action, way, byte) = places[at % places.len()];
        at += 7;
        world.crash(None, action, way, byte, &mut report).await;
    }
    report
}

/// The server is stopped at once (`immediate`) around COMMIT and at other steps, `count` times, and started again.
pub async fn stops(cluster: &mut Cluster, world: &mut World, count: usize) -> Report {
    let mut places = places(world).await;
    for action in 0..world.actions.len() {
        let points = world.points(action).await;
        let some = points.boundaries.len().div_ceil(8).max(1);
        places.extend(points.boundaries.iter().step_by(some).map(|(way, at)| (action, *way, *at)));
    }
    let mut report = Report::default();
    let mut at = 5;
    while report.trials < count {
        let (action, way, byte) = places[at % places.len()];
        at += 11;
        world.crash(Some((cluster, StopMode::Immediate)), action, way, byte, &mut report).await;
    }
    report
}

/// What lies between COMMIT's way there and its answer's way back decides.
async fn places(world: &World) -> Vec<(usize, Way, usize)> {
    let mut places = Vec::new();
    for action in 0..world.actions.len() {
        let points = world.points(action).await;
        // The last bytes of both.
        let of = |way: Way, n: usize| -> Vec<(usize, Way, usize)> {
            let list: Vec<usize> = points.commit.iter().filter(|(w, _)| *w == way).map(|(_, at)| *at).collect();
            list.iter().rev().take(n).map(|at| (action, way, *at)).collect()
        };
        places.extend(of(Way::Up, 12));
        places.extend(of(Way::Down, 12));
    }
    places
}

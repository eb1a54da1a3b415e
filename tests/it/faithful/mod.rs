//! The law *faithful*: on a real server, what a plan's statements leave behind is what the plan predicted, every count of the
//! matrix, read and foreseen, is what `has_*_privilege` answers, planning again finds nothing but what was left alone, and
//! the plan that takes it back restores the rights. Random states, led to random policies; some by the statements alone,
//! some by the whole protocol of an action.

pub mod moves;
#[cfg(test)]
mod short;

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use pgmoat::{
    config::{Conninfo, Env},
    demo::cluster::{Cluster, SUPERUSER},
    domain::{quote_ident, snapshot::Snapshot},
    plan::{Ground, Moved, Plan, audit, build, choice::Choice, predict::predict, undo},
    policy::{Policy, file, judgement::Judgement},
    server::{
        Reader, SizesWanted, Want,
        apply::{ApplyOptions, Outcome, apply},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio_postgres::NoTls;

use crate::oracle::{self, Scale, generate};

/// What some pairs of state and policy showed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    pub pairs: u64,
    pub statements: u64,
    /// Plans that went through the whole protocol of an action.
    pub applied: u64,
    /// Cells of the matrix compared with the server's answers, read or foreseen.
    pub cells: u64,
    /// Plans taken back.
    pub undone: u64,
    pub differences: u64,
    /// Fixes that a plan left alone.
    pub left: u64,
}

impl Report {
    pub fn add(&mut self, other: Report) {
        self.pairs += other.pairs;
        self.statements += other.statements;
        self.applied += other.applied;
        self.cells += other.cells;
        self.undone += other.undone;
        self.differences += other.differences;
        self.left += other.left;
    }
}

/// A column that the random tables have: it stands for a tenant's.
const TENANT: &str = "id";

/// The share of plans that go through the whole protocol.
const SHARE: f64 = 0.4;

/// Names and chance.
struct World {
    rng: StdRng,
    major: u32,
    roles: Vec<String>,
    schemas: Vec<String>,
}

/// Makes a database from a seed and leads it from one random state to one random policy after the other.
pub async fn run(cluster: &Cluster, seed: u64, rounds: u32, log: &mut String) -> Report {
    let (admin, connection) = cluster.config(SUPERUSER, "postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let graph = generate::graph(seed, Scale::SMALL, cluster.major());
    for sql in &graph.cluster {
        let _ = admin.batch_execute(sql).await;
    }
    let (client, connection) = cluster.config(SUPERUSER, &graph.database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    for sql in &graph.inside {
        if client.batch_execute(sql).await.is_err() {
            let _ = client.batch_execute("reset role").await;
        }
    }
    let place = Conninfo::parse(&cluster.url(SUPERUSER, &graph.database), &Env::default()).unwrap();
    let mut reader = Reader::open(&place, "faithful").await.unwrap();
    let mut world =
        World { rng: StdRng::seed_from_u64(seed), major: cluster.major(), roles: Vec::new(), schemas: Vec::new() };
    let mut report = Report::default();
    // The rows of version tables, sizes and sessions are no part of this law.
    let want = Want {
        activity: false,
        versions: false,
        sizes: SizesWanted::None,
        ..Want::everything(vec![TENANT.to_owned()])
    };
    let mut known = None;
    for round in 0..rounds {
        let stands: Arc<Snapshot> = match known.take() {
            Some(known) => known,
            None => Arc::new(reader.snapshot(&want).await.unwrap()),
        };
        world.learn(&stands, seed);
        for _ in 0..world.rng.random_range(0..12) {
            let sql = world.disturbance(&stands);
            if client.batch_execute(&sql).await.is_err() {
                let _ = client.batch_execute("reset role").await;
            }
        }
        let text = world.policy();
        let name = format!("seed {seed}, round {round}");
        let policy = match file::parse(&text, std::path::Path::new("faithful.toml")) {
            Ok(policy) => Arc::new(policy),
            Err(error) => {
                report.differences += 1;
                let _ = writeln!(log, "{name}: {error}\n{text}");
                continue;
            }
        };
        report.pairs += 1;
        let through = world.rng.random_bool(SHARE).then_some(&place);
        let before = Arc::new(reader.snapshot(&want).await.unwrap());
        let plan = build::converge(&judged(&before, &policy), &[]);
        report.left += plan.left.len() as u64;
        for left in &plan.left {
            let _ = writeln!(log, "{name}: {} is left alone: {}", left.finding, left.why);
        }
        if !execute(&client, through, &plan, &name, &mut report, log).await {
            continue;
        }
        let after = Arc::new(reader.snapshot(&want).await.unwrap());
        let stands = Ground::of(&after, plan.predicted.keys().cloned());
        differences(&plan.predicted.moved(&stands), &name, "predicted otherwise", &plan, &mut report, log);
        counts(&client, &before, &after, &plan, &name, &mut report, log).await;
        let again = build::converge(&judged(&after, &policy), &[]);
        let findings = |plan: &Plan| plan.left.iter().map(|left| left.finding.clone()).collect::<BTreeSet<_>>();
        if !again.is_empty() || findings(&again) != findings(&plan) {
            report.differences += 1;
            let sql: Vec<&str> = again.statements().collect();
            let _ = writeln!(log, "{name}: planning again finds {sql:#?}, and leaves {:#?}", again.left);
        }
        known = Some(Arc::clone(&after));
        if world.rng.random_bool(0.3) {
            let wanted = world.trail();
            // Where there is no table, or a trail of another name's sake, there is nothing to try.
            if let Ok(plan) = audit::plan(&after, None, &wanted) {
                known = None;
                let name = format!("{name}, trail");
                if execute(&client, None, &plan, &name, &mut report, log).await {
                    let done = Arc::new(reader.snapshot(&want).await.unwrap());
                    let stands = Ground::of(&done, plan.predicted.keys().cloned());
                    differences(&plan.predicted.moved(&stands), &name, "predicted otherwise", &plan, &mut report, log);
                    let again = audit::plan(&done, None, &wanted).unwrap();
                    if !again.is_empty() {
                        report.differences += 1;
                        let sql: Vec<&str> = again.statements().collect();
                        let _ = writeln!(log, "{name}: planning again finds {sql:#?}");
                    }
                    let back = build::back(&done, &plan).unwrap();
                    if execute(&client, through, &back, &format!("{name}, back"), &mut report, log).await {
                        report.undone += 1;
                        let restored = reader.snapshot(&want).await.unwrap();
                        let stands = Ground::of(&restored, plan.ground.keys().cloned());
                        let version = restored.server.version_num;
                        let mut moved = plan.ground.moved(&stands);
                        moved.retain(|m| match (&m.was, &m.is) {
                            (Some(was), Some(is)) => !undo::means_the_same(was, is, &m.key, version),
                            _ => true,
                        });
                        differences(&moved, &name, "not restored", &plan, &mut report, log);
                    }
                }
            }
            continue;
        }
        if world.rng.random_bool(0.5) {
            match build::back(&after, &plan) {
                Ok(back) => {
                    known = None;
                    if execute(&client, through, &back, &format!("{name}, back"), &mut report, log).await {
                        report.undone += 1;
                        let restored = reader.snapshot(&want).await.unwrap();
                        let stands = Ground::of(&restored, back.predicted.keys().cloned());
                        let moved = back.predicted.moved(&stands);
                        differences(&moved, &name, "the way back predicted otherwise", &back, &mut report, log);
                        let stands = Ground::of(&restored, plan.ground.keys().cloned());
                        let version = restored.server.version_num;
                        let mut moved = plan.ground.moved(&stands);
                        moved.retain(|m| match (&m.was, &m.is) {
                            (Some(was), Some(is)) => !undo::means_the_same(was, is, &m.key, version),
                            _ => true,
                        });
                        differences(&moved, &name, "not restored", &plan, &mut report, log);
                    }
                }
                Err(stale) => {
                    report.differences += 1;
                    let _ = writeln!(log, "{name}: no way back: {stale}");
                }
            }
        }
    }
    drop(client);
    drop(reader);
    for sql in &graph.clean {
        let _ = admin.batch_execute(sql).await;
    }
    // Those too that the last plans made: every role that stays slows down whatever comes after.
    let rows = admin.query("select rolname::text from pg_roles where strpos(rolname, $1) > 0", &[&ours(seed)]).await;
    for row in rows.unwrap() {
        let _ = admin.batch_execute(&format!("drop role {}", quote_ident(row.get(0)))).await;
    }
    report
}

/// What every role of a graph has in its name.
fn ours(seed: u64) -> String {
    format!("_{seed}_")
}

fn judged(snapshot: &Arc<Snapshot>, policy: &Arc<Policy>) -> Judgement {
    Judgement::new(Arc::clone(snapshot), Some(Arc::clone(policy)), Arc::default(), None)
}

fn differences(moved: &[Moved], name: &str, what: &str, plan: &Plan, report: &mut Report, log: &mut String) {
    if moved.is_empty() {
        return;
    }
    report.differences += 1;
    let _ = writeln!(log, "{name}: {what}:");
    for m in moved {
        let _ = writeln!(log, "   {}:\n      {:?}\n      {:?}", m.key, m.was, m.is);
    }
    let sql: Vec<&str> = plan.statements().collect();
    let _ = writeln!(log, "   after {sql:#?}");
}

/// Every count of the matrix, as it was read and as it was foreseen, is what the server answers.
async fn counts(
    client: &tokio_postgres::Client,
    before: &Snapshot,
    after: &Snapshot,
    plan: &Plan,
    name: &str,
    report: &mut Report,
    log: &mut String,
) {
    let answers = oracle::ask(client, after.server.version_num).await;
    let mut cells = oracle::Report::default();
    oracle::judge(after, &after.catalog, &answers, name, &mut cells, log);
    let foreseen = predict(before, plan.steps.iter().map(|step| &step.change)).unwrap();
    oracle::judge(&foreseen, &after.catalog, &answers, &format!("{name}, foreseen"), &mut cells, log);
    report.cells += cells.cells;
    report.differences += cells.differences;
}

/// Runs a plan: by the protocol of an action where `through` says on which database, else its statements as they are, in
/// one transaction.
async fn execute(
    client: &tokio_postgres::Client,
    through: Option<&Conninfo>,
    plan: &Plan,
    name: &str,
    report: &mut Report,
    log: &mut String,
) -> bool {
    if let Some(target) = through.filter(|_| !plan.is_empty()) {
        report.applied += 1;
        report.statements += plan.statements().count() as u64;
        let outcome = apply(target, &plan.clone().approve(), &ApplyOptions::default(), &mut moves::Nobody).await;
        let Outcome::Committed(done) = outcome else {
            report.differences += 1;
            let _ = writeln!(log, "{name}: not applied: {outcome:#?}");
            return false;
        };
        differences(&done.moved_since, name, "moved since", plan, report, log);
        return true;
    }
    let mut done: Vec<&str> = vec!["begin; set local search_path = pg_catalog, pg_temp"];
    done.extend(plan.statements());
    done.push("commit");
    for sql in done {
        report.statements += 1;
        if let Err(error) = client.batch_execute(sql).await {
            report.differences += 1;
            let why = error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
            let _ = writeln!(log, "{name}: the server refuses {sql}: {why}");
            let _ = client.batch_execute("rollback").await;
            return false;
        }
    }
    true
}

impl World {
    fn learn(&mut self, snapshot: &Snapshot, seed: u64) {
        // Roles of other graphs of the same cluster are left alone.
        let ours = ours(seed);
        let roles = snapshot.catalog.roles.iter().filter(|r| r.name.contains(&ours));
        self.roles = roles.map(|r| r.name.clone()).collect();
        let schemas = snapshot.catalog.schemas.iter().filter(|s| !s.is_system());
        self.schemas = schemas.map(|s| s.name.clone()).collect();
    }

    fn role(&mut self) -> String {
        self.roles.choose(&mut self.rng).unwrap().clone()
    }

    fn schema(&mut self) -> String {
        self.schemas.choose(&mut self.rng).unwrap().clone()
    }

    /// One thing that somebody did meanwhile.
    fn disturbance(&mut self, snapshot: &Snapshot) -> String {
        let (a, b, s) = (quote_ident(&self.role()), quote_ident(&self.role()), self.schema());
        let schema = snapshot.catalog.schema_named(&s).unwrap();
        let objects: Vec<_> = snapshot.objects.0.get(&schema.oid).map(|o| o.relations.clone()).unwrap_or_default();
        let s = quote_ident(&s);
        let option = if self.rng.random_bool(0.3) { " with grant option" } else { "" };
        let object = objects.choose(&mut self.rng).map(|o| (o.kind, format!("{s}.{}", quote_ident(&o.name))));
        let table = object.filter(|(kind, _)| kind.object_kind() == pgmoat::domain::ObjectKind::Table);
        match (self.rng.random_range(0..14), table) {
            (0, _) => format!("grant usage on schema {s} to {a}{option}"),
            (1, _) => format!("grant create on schema {s} to {a}"),
            (2, _) => format!("grant usage on schema {s} to public"),
            (3, _) => format!("grant select on all tables in schema {s} to {a}{option}"),
            (4, Some((_, t))) => format!("grant insert, update on {t} to {a}{option}"),
            (5, Some((_, t))) => format!("set role {b}; grant select on {t} to {a}; reset role"),
            (6, Some((_, t))) => format!("grant select (id), update (id) on {t} to {a}"),
            (7, Some((_, t))) => format!("grant select on {t} to public"),
            (8, _) => format!("alter default privileges for role {b} in schema {s} grant select on tables to {a}"),
            (9, _) => format!("alter default privileges for role {b} grant usage on sequences to {a}"),
            (10, _) => format!("alter role {a} connection limit {}", self.rng.random_range(-1..20)),
            (11, _) if self.major >= 16 && self.rng.random_bool(0.5) => format!("grant {a} to {b} with inherit false"),
            (11, _) => format!("grant {a} to {b}"),
            (12, _) => format!("grant usage on all sequences in schema {s} to {a}"),
            _ => format!("alter role {a} set search_path = {s}, public"),
        }
    }

    /// An audit trail for some tables.
    fn trail(&mut self) -> audit::Wanted {
        let words = [format!("\"{}\".*", self.schema().replace('"', "\"\""))];
        audit::Wanted {
            schema: Some(format!("trail {}", self.rng.random_range(0..3))),
            owner: self.rng.random_bool(0.5).then(|| self.role()),
            tables: Choice::parse(&words).unwrap(),
            append: vec![self.role()],
            read: vec![self.role()],
        }
    }

    fn levels(&mut self) -> String {
        let all = ["usage", "read", "append", "write", "reference", "execute", "all"];
        let n = self.rng.random_range(1..=2);
        let list: Vec<String> = all.sample(&mut self.rng, n).map(|l| format!("\"{l}\"")).collect();
        format!("[{}]", list.join(", "))
    }

    fn access(&mut self, own: Option<&str>) -> String {
        let mut list: Vec<(String, String)> = Vec::new();
        for _ in 0..self.rng.random_range(0..3) {
            let schema = self.schema();
            if Some(schema.as_str()) != own && list.iter().all(|(s, _)| *s != schema) {
                let levels = self.levels();
                list.push((schema, levels));
            }
        }
        let list: Vec<String> = list.into_iter().map(|(s, levels)| format!("{} = {levels}", toml(&s))).collect();
        format!("{{ {} }}", list.join(", "))
    }

    /// A policy over the roles and schemas that are there, and some that are not.
    fn policy(&mut self) -> String {
        let undeclared = *["ignore", "report", "revoke"].choose(&mut self.rng).unwrap();
        let mut text = format!("undeclared = \"{undeclared}\"\n");
        let (mut roles, mut schemas) = (Vec::new(), Vec::new());
        for i in 0..self.rng.random_range(1..4) {
            let (mut role, mut schema) = (self.role(), self.schema());
            if self.rng.random_bool(0.1) {
                role =
                    format!("new_{}_{i}", self.roles.first().map_or("", |r| r.as_str()).replace(['"', '\\', '\''], ""));
            }
            if self.rng.random_bool(0.1) {
                schema = format!("new {i} {}", self.rng.random_range(0..3));
            }
            if schemas.contains(&schema) || schema == "public" || roles.contains(&role) {
                continue;
            }
            let access = self.access(Some(&schema));
            let _ = writeln!(
                text,
                "[[service]]\nname = \"service {i}\"\nschema = {}\nrole = {}\nversion_table = false\naccess = {access}",
                toml(&schema),
                toml(&role)
            );
            if self.rng.random_bool(0.4) {
                let owner = self.role();
                let _ = writeln!(text, "owner = {}", toml(&owner));
            }
            if self.rng.random_bool(0.3) {
                let _ = writeln!(text, "tenant_column = \"{TENANT}\"");
            }
            if self.rng.random_bool(0.3) {
                let _ = writeln!(text, "connection_limit = {}", self.rng.random_range(1..20));
            }
            roles.push(role);
            schemas.push(schema);
        }
        for _ in 0..self.rng.random_range(0..3) {
            let role = self.role();
            if roles.contains(&role) {
                continue;
            }
            let access = self.access(None);
            let _ = writeln!(text, "[[role]]\nname = {}\naccess = {access}", toml(&role));
            if self.rng.random_bool(0.3) {
                let group = self.role();
                if group != role {
                    let _ = writeln!(text, "member_of = [{}]", toml(&group));
                }
            }
            roles.push(role);
        }
        if self.rng.random_bool(0.3) {
            let _ = writeln!(text, "[database]\npublic_connect = {}", self.rng.random_bool(0.5));
        }
        text
    }
}

/// A basic string of TOML.
fn toml(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

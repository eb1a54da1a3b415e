//! The law *faithful* for plans that move: random databases with everything that tables bring along, random version tables
//! of several projects, and random requests to move tables, version tables and rows, or a whole service. What is committed
//! is what was predicted, asking again finds nothing to do, and the plan that takes it back restores the database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use pgmoat::{
    config::{Conninfo, Env},
    demo::cluster::{Cluster, SUPERUSER},
    domain::{
        alembic::{Lineage, Lineages, Script},
        dependencies::Dependencies,
        qualified, quote_ident,
        snapshot::Snapshot,
        transaction::Transaction,
    },
    plan::{
        Ground, Plan, Refused, build,
        moves::{Answers, Proposal, isolate, tables, versions},
        undo,
    },
    server::{
        Reader, Want,
        apply::{ApplyOptions, Aside, Outcome, Progress, Reason, apply},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use secrecy::SecretString;
use tokio_postgres::{Client, NoTls};

/// What some requests showed.
#[derive(Debug, Default, Clone)]
pub struct Moves {
    pub plans: u64,
    pub statements: u64,
    pub undone: u64,
    pub redone: u64,
    pub differences: u64,
    /// Requests that were refused with a reason, before anything was planned.
    pub refused: u64,
    /// Committed plans by what was asked for.
    pub kinds: BTreeMap<&'static str, u64>,
    pub took: Duration,
}

impl Moves {
    pub fn add(&mut self, other: &Moves) {
        self.plans += other.plans;
        self.statements += other.statements;
        self.undone += other.undone;
        self.redone += other.redone;
        self.differences += other.differences;
        self.refused += other.refused;
        for (kind, n) in &other.kinds {
            *self.kinds.entry(kind).or_default() += n;
        }
        self.took += other.took;
    }
}

/// Stands aside: no password, nothing written down.
pub struct Nobody;

impl Aside for Nobody {
    fn password(&mut self, _: &str) -> Option<SecretString> {
        None
    }
    fn committing(&mut self, _: &Transaction) -> Result<(), String> {
        Ok(())
    }
    fn progress(&mut self, _: Progress) {}
}

/// Makes a database from a seed and moves things about in it, `rounds` times.
pub async fn run(cluster: &Cluster, seed: u64, rounds: u32, log: &mut String) -> Moves {
    let begun = Instant::now();
    let admin = connect(cluster, "postgres").await;
    let database = format!("moves_{seed}");
    let mut town = Town::new(seed, &database);
    admin.batch_execute(&format!("create database {database}")).await.unwrap();
    for role in &town.roles {
        admin.batch_execute(&format!("create role {} login", quote_ident(role))).await.unwrap();
    }
    let client = connect(cluster, &database).await;
    town.build();
    for sql in town.sql.clone() {
        if let Err(error) = client.batch_execute(&sql).await {
            // Chance makes things that cannot be; what it should always make is looked at in `town`.
            town.impossible.push(format!("{sql}: {}", error.as_db_error().map_or("", |e| e.message())));
            let _ = client.batch_execute("reset role").await;
        }
    }
    let target = Conninfo::parse(&cluster.url(SUPERUSER, &database), &Env::default()).unwrap();
    let mut trial = Trial { reader: Reader::open(&target, "faithful").await.unwrap(), target, client, log };
    let mut report = Moves::default();
    let most = town.sql.len() / 4;
    if town.impossible.len() > most {
        report.differences += 1;
        let _ = writeln!(trial.log, "{database}: most of it could not be made: {:#?}", town.impossible);
    }
    for round in 0..rounds {
        trial.round(&mut town, &format!("seed {seed}, round {round}"), &mut report).await;
    }
    drop(trial);
    admin.batch_execute(&format!("drop database {database} with (force)")).await.unwrap();
    for role in town.roles.iter().chain(&town.made) {
        let _ = admin.batch_execute(&format!("drop role if exists {}", quote_ident(role))).await;
    }
    report.took = begun.elapsed();
    report
}

async fn connect(cluster: &Cluster, database: &str) -> Client {
    let (client, connection) = cluster.config(SUPERUSER, database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What somebody asks for.
#[derive(Debug, Clone)]
enum Asked {
    Tables(tables::Wanted),
    Versions(versions::Wanted),
    Service(isolate::Wanted),
}

impl Asked {
    fn kind(&self) -> &'static str {
        match self {
            Asked::Tables(_) => "move-objects",
            Asked::Versions(_) => "versions move",
            Asked::Service(_) => "isolate",
        }
    }

    fn from(&self) -> &str {
        match self {
            Asked::Tables(wanted) => &wanted.from,
            Asked::Versions(wanted) => &wanted.from,
            Asked::Service(wanted) => &wanted.from,
        }
    }

    fn answers(&mut self) -> &mut Answers {
        match self {
            Asked::Tables(wanted) => &mut wanted.answers,
            Asked::Versions(wanted) => &mut wanted.answers,
            Asked::Service(wanted) => &mut wanted.answers,
        }
    }

    fn plan(&self, at: &Arc<Snapshot>, uses: &Dependencies, lineages: &Arc<Lineages>) -> Result<Proposal, Refused> {
        match self {
            Asked::Tables(wanted) => tables::plan(at, uses, wanted),
            Asked::Versions(wanted) => versions::plan(at, None, lineages, wanted),
            Asked::Service(wanted) => isolate::plan(at, uses, None, lineages, wanted),
        }
    }
}

struct Trial<'a> {
    reader: Reader,
    target: Conninfo,
    client: Client,
    log: &'a mut String,
}

impl Trial<'_> {
    async fn snapshot(&mut self) -> Arc<Snapshot> {
        let want = Want { activity: false, ..Want::everything(Vec::new()) };
        Arc::new(self.reader.snapshot(&want).await.unwrap())
    }

    async fn image(&self) -> Vec<String> {
        let rows = self.client.query(IMAGE, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
    }

    fn differs(&mut self, report: &mut Moves, name: &str, what: &str, words: &str, asked: &Asked, plan: &Plan) {
        report.differences += 1;
        let sql: Vec<&str> = plan.statements().collect();
        let _ = writeln!(self.log, "{name}: {what}: {words}\n   asked {asked:?}\n   with {sql:#?}");
    }

    async fn proposal(&mut self, asked: &Asked, lineages: &Arc<Lineages>) -> Result<Proposal, Refused> {
        let now = self.snapshot().await;
        let uses = match now.catalog.schema_named(asked.from()) {
            Some(schema) => self.reader.dependencies(now.server.version_num, schema.oid).await.unwrap(),
            None => Dependencies::default(),
        };
        asked.plan(&now, &uses, lineages)
    }

    async fn round(&mut self, town: &mut Town, name: &str, report: &mut Moves) {
        let before = self.snapshot().await;
        let mut asked = town.wish(&before);
        let lineages = Arc::clone(&town.lineages);
        // Whatever is asked is answered, one way or the other.
        let plan = loop {
            match self.proposal(&asked, &lineages).await {
                Err(_) => {
                    report.refused += 1;
                    return;
                }
                Ok(proposal) if proposal.questions.is_empty() => break proposal.plan,
                Ok(proposal) => {
                    for question in proposal.questions {
                        let yes = town.rng.random_bool(0.5);
                        asked.answers().insert(question.about, yes);
                    }
                }
            }
        };
        if plan.is_empty() {
            report.refused += 1;
            return;
        }
        town.made.extend(match &asked {
            Asked::Service(wanted) => Some(wanted.role.clone()),
            Asked::Tables(_) | Asked::Versions(_) => None,
        });
        let name = format!("{name}, {}", asked.kind());
        let was = self.image().await;
        if !self.carry_out(&name, "the plan", &asked, &plan, report).await {
            return;
        }
        *report.kinds.entry(asked.kind()).or_default() += 1;
        let is = self.image().await;
        match self.proposal(&asked, &lineages).await {
            Ok(again) if !again.plan.is_empty() => {
                let sql: Vec<&str> = again.plan.statements().collect();
                self.differs(report, &name, "asking again finds", &format!("{sql:#?}"), &asked, &plan);
            }
            Ok(_) | Err(_) => {}
        }
        if town.rng.random_bool(0.3) {
            return;
        }
        let now = self.snapshot().await;
        let back = match build::back(&now, &plan) {
            Ok(back) => back,
            Err(stale) => return self.differs(report, &name, "no way back", &stale.to_string(), &asked, &plan),
        };
        if !self.carry_out(&name, "the way back", &asked, &back, report).await {
            return;
        }
        report.undone += 1;
        let restored = self.snapshot().await;
        let stands = Ground::of(&restored, plan.ground.keys().cloned());
        let version = restored.server.version_num;
        let mut moved = plan.ground.moved(&stands);
        moved.retain(|m| match (&m.was, &m.is) {
            (Some(was), Some(is)) => !undo::means_the_same(was, is, &m.key, version),
            _ => true,
        });
        if !moved.is_empty() {
            self.differs(report, &name, "not restored", &format!("{moved:#?}"), &asked, &plan);
        }
        let image = self.image().await;
        if image != was {
            let words = unlike(&was, &image);
            self.differs(report, &name, "the database is another one after the way back", &words, &asked, &plan);
        } else if town.rng.random_bool(0.5) {
            match build::again(&restored, &plan) {
                Ok(again) => {
                    if self.carry_out(&name, "once more", &asked, &again, report).await {
                        report.redone += 1;
                        let image = named_anew(self.image().await);
                        let is = named_anew(is);
                        if image != is {
                            self.differs(report, &name, "once more, otherwise", &unlike(&is, &image), &asked, &plan);
                        }
                    }
                }
                Err(stale) => self.differs(report, &name, "not once more", &stale.to_string(), &asked, &plan),
            }
        }
    }

    /// Runs a plan as the program does and compares what stands then with what was predicted.
    async fn carry_out(&mut self, name: &str, what: &str, asked: &Asked, plan: &Plan, report: &mut Moves) -> bool {
        report.plans += 1;
        report.statements += plan.statements().count() as u64;
        let outcome = apply(&self.target, &plan.clone().approve(), &ApplyOptions::default(), &mut Nobody).await;
        let Outcome::Committed(_) = outcome else {
            let words = match &outcome {
                Outcome::NothingChanged(reason @ Reason::ProofFailed(moved)) => format!("{reason}: {moved:#?}"),
                Outcome::NothingChanged(reason) => format!("{reason}: {:#?}", reason.details()),
                other => format!("{other:?}"),
            };
            self.differs(report, name, what, &words, asked, plan);
            return false;
        };
        let after = self.snapshot().await;
        let moved = plan.predicted.moved(&Ground::of(&after, plan.predicted.keys().cloned()));
        if !moved.is_empty() {
            self.differs(report, name, what, &format!("predicted otherwise: {moved:#?}"), asked, plan);
        }
        true
    }
}

/// Lines that only one of the two has.
fn unlike(a: &[String], b: &[String]) -> String {
    let (left, right): (BTreeSet<&String>, BTreeSet<&String>) = (a.iter().collect(), b.iter().collect());
    let mut text = String::new();
    for (sign, line) in left.difference(&right).map(|l| ('-', l)).chain(right.difference(&left).map(|l| ('+', l))) {
        let _ = write!(text, "\n   {sign} {line}");
    }
    text
}

/// What was dropped and made again has another oid: lines without them.
fn named_anew(lines: Vec<String>) -> Vec<String> {
    let mut lines: Vec<String> = lines
        .into_iter()
        .map(|line| {
            line.split_once(" #").map_or(line.clone(), |(_, rest)| rest.trim_start_matches(char::is_numeric).to_owned())
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// A database that chance makes.
struct Town {
    rng: StdRng,
    seed: u64,
    database: String,
    roles: Vec<String>,
    /// Roles that plans made.
    made: BTreeSet<String>,
    schemas: Vec<String>,
    /// Tables in their order: schema, name.
    tables: Vec<(String, String)>,
    lineages: Arc<Lineages>,
    sql: Vec<String>,
    impossible: Vec<String>,
}

const NAMES: [&str; 12] =
    ["users", "flow", "job", "Mixed Case", "a\"b", "select", "ünïcode", "a.b", "x$y", "logs", "user", "a'b\\c"];

impl Town {
    fn new(seed: u64, database: &str) -> Town {
        let roles = ["own_a", "own_b", "read_a", "read b", "grp"].map(|r| format!("mv{seed}_{r}")).to_vec();
        Town {
            rng: StdRng::seed_from_u64(seed),
            seed,
            database: database.to_owned(),
            roles,
            made: BTreeSet::new(),
            schemas: ["public", "shared", "Other \"one\""].map(str::to_owned).to_vec(),
            tables: Vec::new(),
            lineages: Arc::default(),
            sql: Vec::new(),
            impossible: Vec::new(),
        }
    }

    fn role(&mut self) -> String {
        quote_ident(self.roles.choose(&mut self.rng).unwrap())
    }

    fn owner(&mut self) -> String {
        let owners = &self.roles[..2];
        quote_ident(owners.choose(&mut self.rng).unwrap())
    }

    fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    fn say(&mut self, sql: String) {
        self.sql.push(sql);
    }

    fn build(&mut self) {
        for schema in self.schemas.clone() {
            let s = quote_ident(&schema);
            if schema != "public" {
                let owner = self.owner();
                self.say(format!("create schema {s} authorization {owner}"));
            }
            for _ in 0..3 {
                let (role, what) = (self.role(), if self.chance(0.8) { "usage" } else { "usage, create" });
                self.say(format!("grant {what} on schema {s} to {role}"));
            }
        }
        let (a, b) = (self.role(), self.role());
        self.say(format!("grant {a} to {b}"));
        for schema in self.schemas.clone() {
            self.default_privileges(&schema);
            self.parts(&schema);
        }
        self.views();
        self.keys();
        self.grants();
        self.versions();
    }

    fn default_privileges(&mut self, schema: &str) {
        let s = quote_ident(schema);
        for _ in 0..2 {
            let (creator, to) = (self.owner(), self.role());
            let (what, kind) =
                [("select", "tables"), ("usage", "sequences"), ("execute", "functions"), ("insert", "tables")]
                    [self.rng.random_range(0..4)];
            self.say(format!(
                "alter default privileges for role {creator} in schema {s} grant {what} on {kind} to {to}"
            ));
        }
    }

    /// Types, sequences, routines and the tables that use them.
    fn parts(&mut self, schema: &str) {
        let s = quote_ident(schema);
        for (make, kind, name) in [
            ("type @.mood as enum ('sad', 'ok')", "type", "mood"),
            ("type @.\"Kind\" as enum ('a')", "type", "\"Kind\""),
            ("domain @.positive as int check (value > 0)", "domain", "positive"),
            ("type @.pair as (a int, b text)", "type", "pair"),
            ("sequence @.free_number", "sequence", "free_number"),
            ("sequence @.\"Other number\"", "sequence", "\"Other number\""),
            ("function @.twice(int) returns int immutable language sql as 'select $1 * 2'", "function", "twice(int)"),
            (
                "function @.touched() returns trigger language plpgsql as 'begin return new; end'",
                "function",
                "touched()",
            ),
        ] {
            let owner = self.owner();
            self.say(format!("create {}", make.replace('@', &s)));
            self.say(format!("alter {kind} {s}.{name} owner to {owner}"));
        }
        let mut names: Vec<&str> = NAMES.to_vec();
        for _ in 0..self.rng.random_range(3..7) {
            let name = names.remove(self.rng.random_range(0..names.len()));
            self.table(schema, name);
        }
    }

    fn table(&mut self, schema: &str, name: &str) {
        let (s, t) = (quote_ident(schema), qualified(schema, name));
        let id = match self.rng.random_range(0..6) {
            0 => "id serial primary key".to_owned(),
            1 => "id int generated by default as identity primary key".to_owned(),
            2 => format!("id int primary key default nextval('{}.free_number')", s.replace('\'', "''")),
            3 => format!("id int primary key default nextval('{}.\"Other number\"'::text)", s.replace('\'', "''")),
            4 => {
                format!("id bigserial, constraint {} primary key (id)", quote_ident(&format!("key of {schema} {name}")))
            }
            _ => "id int primary key".to_owned(),
        };
        let partitioned = self.chance(0.15);
        let mut columns =
            vec![if partitioned { "id int primary key".to_owned() } else { id }, "tenant_id uuid".to_owned()];
        for (p, column) in [
            (0.4, "mood @.mood"),
            (0.2, "kinds @.\"Kind\"[]"),
            (0.2, "n @.positive"),
            (0.15, "both_of @.pair"),
            (0.2, "d int generated always as (@.twice(4)) stored"),
            (0.2, "c int check (@.twice(c) > 0)"),
            (0.2, "serial2 serial"),
        ] {
            if self.chance(p) {
                columns.push(column.replace('@', &s));
            }
        }
        let unlogged = if self.chance(0.1) && !partitioned { "unlogged " } else { "" };
        let by = if partitioned { " partition by range (id)" } else { "" };
        self.say(format!("create {unlogged}table {t} ({}){by}", columns.join(", ")));
        if partitioned {
            for (i, from) in [0, 100].into_iter().enumerate() {
                let part = qualified(schema, &format!("{name} part {i}"));
                self.say(format!("create table {part} partition of {t} for values from ({from}) to ({})", from + 100));
                let owner = self.owner();
                self.say(format!("alter table {part} owner to {owner}"));
            }
        }
        let owner = self.owner();
        self.say(format!("alter table {t} owner to {owner}"));
        if self.chance(0.3) {
            self.say(format!("create index on {t} (tenant_id)"));
        }
        if self.chance(0.2) {
            self.say(format!("create index on {t} (({s}.twice(id)))"));
        }
        if self.chance(0.3) {
            self.say(format!(
                "create trigger touched before insert on {t} for each row execute function {s}.touched()"
            ));
        }
        if self.chance(0.2) {
            self.say(format!("alter table {t} enable row level security; create policy own on {t} using (id > 0)"));
        }
        if self.chance(0.2) && !partitioned {
            self.say(format!("insert into {t} default values"));
        }
        if self.chance(0.15) {
            self.say(format!("comment on table {t} is 'it''s one'"));
        }
        if self.chance(0.15) && !partitioned {
            let child = format!("{name} child");
            self.say(format!("create table {} () inherits ({t})", qualified(schema, &child)));
        }
        if self.chance(0.15) {
            let f = format!("{s}.{}", quote_ident(&format!("of {name}")));
            self.say(format!("create function {f}() returns setof {t} language sql as $$ select * from {t} $$"));
        }
        if self.chance(0.1) {
            let f = format!("{s}.{}", quote_ident(&format!("count {name}")));
            self.say(format!(
                "create function {f}() returns bigint language sql begin atomic select count(*) from {t}; end"
            ));
        }
        self.tables.push((schema.to_owned(), name.to_owned()));
    }

    fn views(&mut self) {
        let mut made: Vec<(String, String)> = Vec::new();
        for i in 0..self.rng.random_range(2..7) {
            let all: Vec<(String, String)> = self.tables.iter().chain(&made).cloned().collect();
            let (schema, of) = all.choose(&mut self.rng).unwrap().clone();
            let home =
                if self.chance(0.8) { schema.clone() } else { self.schemas.choose(&mut self.rng).unwrap().clone() };
            let name = format!("view {i}");
            let (v, of) = (qualified(&home, &name), qualified(&schema, &of));
            let other = self.tables.choose(&mut self.rng).cloned().filter(|_| i % 2 == 0);
            let join =
                other.map(|(s, t)| format!(" left join {} o on o.id = x.id", qualified(&s, &t))).unwrap_or_default();
            let (word, empty) = if self.chance(0.25) { ("materialized view", " with no data") } else { ("view", "") };
            self.say(format!("create {word} {v} as select x.id, x.tenant_id from {of} x{join}{empty}"));
            let owner = self.owner();
            self.say(format!("alter {word} {v} owner to {owner}"));
            made.push((home, name));
        }
    }

    fn keys(&mut self) {
        for i in 0..self.rng.random_range(1..6) {
            let (a, b) =
                (self.tables.choose(&mut self.rng).unwrap().clone(), self.tables.choose(&mut self.rng).unwrap());
            let (a, b) = (qualified(&a.0, &a.1), qualified(&b.0, &b.1));
            let valid = if i % 2 == 0 { " not valid" } else { "" };
            self.say(format!(
                "alter table {a} add constraint \"refers {i}\" foreign key (id) references {b} (id){valid}"
            ));
        }
    }

    fn grants(&mut self) {
        for (schema, table) in self.tables.clone() {
            let t = qualified(&schema, &table);
            for _ in 0..self.rng.random_range(0..4) {
                let role = self.role();
                let option = if self.chance(0.2) { " with grant option" } else { "" };
                let what = ["select", "select, insert", "all", "update (id), select (id)", "references"]
                    [self.rng.random_range(0..5)];
                self.say(format!("grant {what} on {t} to {role}{option}"));
            }
            if self.chance(0.2) {
                let (a, b) = (self.role(), self.role());
                self.say(format!("set role {a}; grant select on {t} to {b}; reset role"));
            }
            if self.chance(0.1) {
                self.say(format!("grant select on {t} to public"));
            }
            if self.chance(0.1) {
                self.say(format!("revoke all on {t} from mv{}_own_a", self.seed));
            }
        }
        for schema in self.schemas.clone() {
            let s = quote_ident(&schema);
            for (what, on) in [
                ("usage", "sequence @.free_number"),
                ("select", "all sequences in schema @"),
                ("usage", "type @.mood"),
                ("execute", "function @.twice(int)"),
                ("select", "all tables in schema @"),
            ] {
                if self.chance(0.4) {
                    let role = self.role();
                    self.say(format!("grant {what} on {} to {role}", on.replace('@', &s)));
                }
            }
            if self.chance(0.3) {
                self.say(format!("revoke execute on function {s}.twice(int) from public"));
            }
        }
    }

    /// Version tables with the rows of several projects, and the projects' scripts.
    fn versions(&mut self) {
        let mut lineages = Lineages::default();
        let mut rows = Vec::new();
        for (service, letter) in [("svc_a", 'a'), ("svc_b", 'b'), ("svc_c", 'c')] {
            let mut lineage = Lineage { service: service.to_owned(), ..Lineage::default() };
            let length = self.rng.random_range(1..4);
            for i in 0..length {
                let own = self.tables.iter().filter(|_| self.rng.random_bool(0.2)).map(|(_, t)| t.clone());
                let creates: Vec<String> = own.collect();
                let script = Script {
                    revision: format!("{letter}{i}{i}{i}"),
                    down: if i == 0 { Vec::new() } else { vec![format!("{letter}{0}{0}{0}", i - 1)] },
                    creates,
                    ..Script::default()
                };
                lineage.scripts.insert(script.revision.clone(), script);
            }
            rows.push(format!("{letter}{0}{0}{0}", self.rng.random_range(0..length)));
            lineages.0.insert(service.to_owned(), lineage);
        }
        rows.push("unknown1".to_owned());
        self.lineages = Arc::new(lineages);
        for (i, schema) in self.schemas.clone().into_iter().enumerate() {
            for name in ["alembic_version", "alembic_version_auth"] {
                if !self.chance(if name.ends_with("auth") { 0.3 } else { 0.8 }) {
                    continue;
                }
                let t = qualified(&schema, name);
                let key = if self.chance(0.8) {
                    format!(", constraint {name}_pkc primary key (version_num)")
                } else {
                    String::new()
                };
                self.say(format!("create table {t} (version_num varchar(32) not null{key})"));
                let owner = self.owner();
                self.say(format!("alter table {t} owner to {owner}"));
                let share = if i == 0 { 0.7 } else { 0.3 };
                for row in rows.clone() {
                    if self.chance(share) {
                        self.say(format!("insert into {t} values ('{row}')"));
                    }
                }
                if self.chance(0.5) {
                    let role = self.role();
                    self.say(format!("grant select, insert, update, delete on {t} to {role}"));
                }
            }
            let (role, s, database) = (self.role(), quote_ident(&schema), self.database.clone());
            if self.chance(0.5) {
                self.say(format!("alter role {role} in database {database} set search_path = {s}, public"));
            }
        }
    }

    /// What somebody asks for next.
    fn wish(&mut self, now: &Snapshot) -> Asked {
        let here: Vec<String> = now.catalog.schemas.iter().filter(|s| !s.is_system()).map(|s| s.name.clone()).collect();
        let kind = self.rng.random_range(0..10);
        // Mostly from where there is something of the sort.
        let holds = |name: &&String| {
            let Some(schema) = now.catalog.schema_named(name) else { return false };
            let some = now.objects.0.get(&schema.oid).is_some_and(|of| !of.relations.is_empty());
            some && (!(4..=6).contains(&kind) || now.versions.0.iter().any(|v| v.schema == schema.oid))
        };
        let full: Vec<&String> = here.iter().filter(holds).collect();
        let from = full.choose(&mut self.rng).map_or("public", |name| name.as_str()).to_owned();
        let others: Vec<&String> = here.iter().filter(|name| **name != from).collect();
        let to = (*others.choose(&mut self.rng).unwrap()).clone();
        let names: Vec<String> = now
            .catalog
            .schema_named(&from)
            .and_then(|s| now.objects.0.get(&s.oid))
            .map(|of| of.relations.iter().map(|o| o.name.clone()).collect())
            .unwrap_or_default();
        let mut globs: Vec<String> =
            (0..self.rng.random_range(1..4)).filter_map(|_| names.choose(&mut self.rng).cloned()).collect();
        if self.chance(0.1) {
            globs = vec!["*".to_owned()];
        }
        if self.chance(0.2) {
            globs.extend(names.choose(&mut self.rng).map(|n| format!("!{n}")));
        }
        let role = |town: &mut Town| town.roles.choose(&mut town.rng).unwrap().clone();
        let of = now.versions.0.iter().filter(|v| now.catalog.schema_name(v.schema) == from);
        let of: Vec<_> = of.collect();
        let version_table = of.choose(&mut self.rng).map(|v| v.name.clone());
        let rows: Vec<String> = of.iter().flat_map(|v| v.rows.known().unwrap_or_default().to_vec()).collect();
        let some = |town: &mut Town, p: f64| -> Vec<String> {
            rows.iter().filter(|_| town.rng.random_bool(p)).cloned().collect::<BTreeSet<_>>().into_iter().collect()
        };
        match kind {
            0..=3 => Asked::Tables(tables::Wanted {
                from,
                to,
                tables: globs,
                owned_by: if self.chance(0.1) { Some(role(self)) } else { None },
                owner: if self.chance(0.6) { Some(role(self)) } else { None },
                answers: Answers::new(),
            }),
            4..=6 => Asked::Versions(versions::Wanted {
                from,
                table: version_table.filter(|_| self.rng.random_bool(0.9)),
                to,
                rows: if self.chance(0.7) { some(self, 0.6) } else { Vec::new() },
                owner: if self.chance(0.5) { Some(role(self)) } else { None },
                answers: Answers::new(),
            }),
            _ => {
                let new = self.rng.random_range(0..1000);
                let service = ["svc_a", "svc_b", "svc_c"][self.rng.random_range(0..3)];
                let scripts = self.chance(0.6);
                let (schema, made) = (format!("new {new}"), format!("mv{}_new{new}", self.seed));
                Asked::Service(isolate::Wanted {
                    from,
                    schema: if self.chance(0.6) { schema } else { to },
                    role: if self.chance(0.6) { made } else { role(self) },
                    service: Some(if scripts { service.to_owned() } else { "svc_d".to_owned() }),
                    tables: if scripts && self.chance(0.6) { Vec::new() } else { globs },
                    rows: if scripts && self.chance(0.6) { Vec::new() } else { some(self, 0.4) },
                    lost: if !scripts && self.chance(0.3) { vec!["lost 1".to_owned()] } else { Vec::new() },
                    version_tables: Vec::new(),
                    keep_readers: Vec::new(),
                    extensions_schema: None,
                    password: false,
                    answers: Answers::new(),
                })
            }
        }
    }
}

/// Places, owners and rights of everything in the database, what is tied to what, settings, and the rows of version tables.
const IMAGE: &str = "
with space as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
acl as (
  select 'relation #' || c.oid::text || ' ' || n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' ||
    c.relowner::regrole || c.relrowsecurity::text || c.relforcerowsecurity::text || coalesce(c.reloptions::text, '') as what,
    coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r' end, c.relowner)) as acl
  from pg_class c join space n on n.oid = c.relnamespace
  union all select 'column ' || a.attrelid::regclass::text || '.' || a.attname, a.attacl
  from pg_attribute a join pg_class c on c.oid = a.attrelid join space n on n.oid = c.relnamespace where a.attacl is not null
  union all select 'type #' || t.oid::text || ' ' || n.nspname || '.' || t.typname || ' ' || t.typowner::regrole,
    coalesce(t.typacl, acldefault('T', t.typowner))
  from pg_type t join space n on n.oid = t.typnamespace
  union all select 'routine #' || p.oid::text || ' ' || n.nspname || '.' || p.proname || ' ' || p.proowner::regrole ||
    coalesce(p.proconfig::text, ''), coalesce(p.proacl, acldefault('f', p.proowner))
  from pg_proc p join space n on n.oid = p.pronamespace
  union all select 'schema #' || n.oid::text || ' ' || n.nspname || ' ' || n.nspowner::regrole,
    coalesce(n.nspacl, acldefault('n', n.nspowner))
  from pg_namespace n where n.nspname !~ '^pg_t'
  union all select 'default ' || defaclrole::regrole || ' ' || coalesce(n.nspname, '') || defaclobjtype::text, defaclacl
  from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
)
select what || ' ' || coalesce((select string_agg(x.grantee::regrole || '=' || x.privilege_type || x.is_grantable::text, ' '
  order by x.grantee, x.privilege_type, x.is_grantable) from (select distinct grantee, privilege_type, is_grantable
  from aclexplode(acl.acl)) x), '') from acl
union all select 'constraint ' || conname || ' of ' || conrelid::regclass || ' ' || convalidated::text || ' ' ||
  pg_get_constraintdef(c.oid) from pg_constraint c join space n on n.oid = c.connamespace
union all select 'trigger ' || pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
  join space n on n.oid = c.relnamespace where not t.tgisinternal
union all select 'default of ' || d.adrelid::regclass || d.adnum || pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
  join pg_class c on c.oid = d.adrelid join space n on n.oid = c.relnamespace
union all select 'view ' || c.oid::regclass || pg_get_viewdef(c.oid) from pg_class c
  join space n on n.oid = c.relnamespace where c.relkind in ('v', 'm')
union all select 'owned ' || d.objid::regclass || ' ' || d.refobjid::regclass || d.refobjsubid from pg_depend d
  join pg_class c on c.oid = d.objid and c.relkind = 'S' join space n on n.oid = c.relnamespace
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
union all select 'role ' || rolname || ' ' || (to_jsonb(r) - 'rolpassword' - 'oid')::text from pg_roles r
union all select 'member ' || roleid::regrole || ' ' || member::regrole || admin_option::text from pg_auth_members
union all select 'setting ' || s.setrole::regrole || array_to_string(setconfig, ';') from pg_db_role_setting s
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
union all select 'row ' || table_schema || '.' || table_name || ' ' || query_to_xml(format(
  'select version_num from %I.%I order by 1', table_schema, table_name), true, true, '')::text
from information_schema.columns where column_name = 'version_num' and table_name ~ '^alembic_version'
order by 1";

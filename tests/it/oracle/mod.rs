//! The oracle: random catalogs, and every count of the matrix compared with what `has_*_privilege` counts.
//!
//! A graph is a seed: roles (nested, NOINHERIT, options of 16 and later, superusers, members of predefined roles, the
//! database's owner), schemas, relations of every kind, sequences, routines, ownership, grants with and without option
//! from several grantors, PUBLIC, default privileges, revoked owners, NULL and empty ACLs, names that need quoting.

pub mod generate;

use std::{collections::BTreeMap, fmt::Write as _};

use pgmoat::{
    config::{Conninfo, Env},
    demo::cluster::{Cluster, SUPERUSER},
    domain::{
        ObjectKind, Privilege,
        effective::{Matrix, Who},
        quote_ident,
        snapshot::{Catalog, Snapshot},
    },
    server::{Reader, Want},
};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// What one graph showed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Report {
    /// (role, object, privilege) triples compared.
    pub triples: u64,
    /// Cells (role, schema) compared.
    pub cells: u64,
    pub differences: u64,
    /// Statements of the generator that the server took, and all.
    pub taken: u64,
    pub tried: u64,
}

impl Report {
    pub fn add(&mut self, other: Report) {
        self.triples += other.triples;
        self.cells += other.cells;
        self.differences += other.differences;
        self.taken += other.taken;
        self.tried += other.tried;
    }
}

/// Privileges of a kind in the order in which the oracle's columns stand.
fn privileges(kind: ObjectKind, version_num: u32) -> Vec<Privilege> {
    kind.all(version_num).iter().collect()
}

fn counting(function: &str, alias: &str, who: &str, list: &[Privilege]) -> String {
    list.iter().fold(String::new(), |mut sql, p| {
        let _ = write!(sql, ", count(*) filter (where {function}({who}, {alias}.oid, '{p}'))");
        sql
    })
}

/// Rows of text from one statement.
async fn rows(client: &tokio_postgres::Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{e:?}: {sql}"));
    let row = |m: &SimpleQueryMessage| match m {
        SimpleQueryMessage::Row(r) => Some((0..r.len()).map(|i| r.get(i).unwrap_or_default().to_owned()).collect()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Makes the graph of a seed in a database of its own, compares, and takes it away again. Differences are described in
/// `log`.
pub async fn run(cluster: &Cluster, seed: u64, scale: generate::Scale, log: &mut String) -> Report {
    let (admin, connection) = cluster.config(SUPERUSER, "postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let graph = generate::graph(seed, scale, cluster.major());
    let mut report = Report::default();
    for sql in &graph.cluster {
        report.tried += 1;
        report.taken += u64::from(admin.batch_execute(sql).await.is_ok());
    }
    let (client, connection) = cluster.config(SUPERUSER, &graph.database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    for sql in &graph.inside {
        report.tried += 1;
        if client.batch_execute(sql).await.is_ok() {
            report.taken += 1;
        } else {
            let _ = client.batch_execute("reset role").await;
        }
    }
    compare(cluster, &client, &graph.database, &mut report, seed, log).await;
    drop(client);
    for sql in &graph.clean {
        let _ = admin.batch_execute(sql).await;
    }
    report
}

async fn compare(
    cluster: &Cluster,
    client: &tokio_postgres::Client,
    database: &str,
    report: &mut Report,
    seed: u64,
    log: &mut String,
) {
    let place = Conninfo::parse(&cluster.url(SUPERUSER, database), &Env::default()).unwrap();
    let mut reader = Reader::open(&place, "oracle").await.unwrap();
    let snapshot = reader.snapshot(&Want::default()).await.unwrap();
    let answers = ask(client, snapshot.server.version_num).await;
    judge(&snapshot, &snapshot.catalog, &answers, &format!("seed {seed}"), report, log);
}

/// Compares every cell of a snapshot's matrix with what the server answered. Roles and schemas are found in `known` by
/// their names: what was only foreseen has no oid yet.
pub fn judge(
    snapshot: &Snapshot,
    known: &Catalog,
    answers: &Answers,
    name: &str,
    report: &mut Report,
    log: &mut String,
) {
    let (catalog, version) = (&snapshot.catalog, snapshot.server.version_num);
    let matrix = Matrix::new(catalog, &snapshot.server);
    let roles: BTreeMap<&str, u32> = known.roles.iter().map(|r| (r.name.as_str(), r.oid.0)).collect();
    let schemas: BTreeMap<&str, u32> = known.schemas.iter().map(|s| (s.name.as_str(), s.oid.0)).collect();
    for (position, schema) in catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system()) {
        let whos = (0..catalog.roles.len()).map(Who::Role).chain([Who::Public]);
        for who in whos {
            let role = match who {
                Who::Public => None,
                Who::Role(i) => Some(&catalog.roles[i]),
            };
            let cell = matrix.cell(catalog, who, position);
            let named = role.map_or("PUBLIC", |r| &r.name);
            let oid = role.map_or(Some(0), |r| roles.get(r.name.as_str()).copied());
            let key = oid.zip(schemas.get(schema.name.as_str()).copied());
            let Some(expected) = key.and_then(|key| answers.get(&key)) else {
                report.differences += 1;
                let _ = writeln!(
                    log,
                    "{name}: the server has no cell {} x {}",
                    quote_ident(named),
                    quote_ident(&schema.name)
                );
                continue;
            };
            let mut got = vec![u64::from(cell.usage), u64::from(cell.create)];
            for kind in [ObjectKind::Table, ObjectKind::Sequence, ObjectKind::Routine] {
                let counts = cell.counts(kind);
                got.push(u64::from(counts.total));
                for p in privileges(kind, version) {
                    got.push(u64::from(counts.of(p)));
                    report.triples += u64::from(counts.total);
                }
            }
            report.triples += 2;
            report.cells += 1;
            if got != *expected {
                report.differences += 1;
                let _ = writeln!(
                    log,
                    "{name}, {version}: {} x {}: the matrix says {got:?}, the server {expected:?}",
                    quote_ident(named),
                    quote_ident(&schema.name)
                );
            }
        }
    }
}

/// Counts by the oids of role (0 is PUBLIC) and schema.
pub type Answers = BTreeMap<(u32, u32), Vec<u64>>;

/// What the server answers for every role (and PUBLIC as 0) and schema: USAGE, CREATE, then for tables, sequences and
/// routines the total and the count of each privilege.
pub async fn ask(client: &tokio_postgres::Client, version: u32) -> Answers {
    let mut out = Answers::new();
    let schemas = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";
    let subjects =
        [("r.oid", "r.oid", "pg_roles r cross join pg_namespace n"), ("0", "'public'::name", "pg_namespace n")];
    for (id, who, from) in subjects {
        let sql = format!(
            "select {id}, n.oid, has_schema_privilege({who}, n.oid, 'USAGE')::int, \
             has_schema_privilege({who}, n.oid, 'CREATE')::int from {from} where {schemas}"
        );
        for row in rows(client, &sql).await {
            let numbers: Vec<u64> = row.iter().map(|v| v.parse().unwrap()).collect();
            out.insert((numbers[0] as u32, numbers[1] as u32), numbers[2..].to_vec());
        }
        let parts = [
            (
                ObjectKind::Table,
                "has_table_privilege",
                "pg_class",
                "c.relkind in ('r','p','v','m','f')",
                "relnamespace",
            ),
            (ObjectKind::Sequence, "has_sequence_privilege", "pg_class", "c.relkind = 'S'", "relnamespace"),
            (ObjectKind::Routine, "has_function_privilege", "pg_proc", "true", "pronamespace"),
        ];
        for (kind, function, table, condition, namespace) in parts {
            let list = privileges(kind, version);
            let counted = counting(function, "c", who, &list);
            // the CASE keeps the planner from asking about relations of the other kinds
            let counted = counted.replace("has_sequence_privilege", "c.relkind = 'S' and has_sequence_privilege");
            let sql = format!(
                "select {id}, n.oid, count(*){counted} from {from} join {table} c on c.{namespace} = n.oid \
                 where {schemas} and {condition} group by 1, 2"
            );
            for row in rows(client, &sql).await {
                let numbers: Vec<u64> = row.iter().map(|v| v.parse().unwrap()).collect();
                let cell = out.get_mut(&(numbers[0] as u32, numbers[1] as u32)).unwrap();
                cell.extend(&numbers[2..]);
            }
            // schemas without an object of the kind
            let length = expected_length(kind, version);
            for (_, cell) in out.iter_mut().filter(|(key, _)| (key.0 == 0) == (id == "0")) {
                cell.resize(length.max(cell.len()), 0);
            }
        }
    }
    out
}

/// Numbers in a cell once `kind` has been counted.
fn expected_length(kind: ObjectKind, version: u32) -> usize {
    let tables = 2 + 1 + privileges(ObjectKind::Table, version).len();
    let sequences = tables + 1 + privileges(ObjectKind::Sequence, version).len();
    match kind {
        ObjectKind::Table => tables,
        ObjectKind::Sequence => sequences,
        _ => sequences + 1 + privileges(ObjectKind::Routine, version).len(),
    }
}

pub use generate::Scale;

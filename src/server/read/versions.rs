//! Version tables of Alembic: finds the candidates and reads their rows without running a stranger's code.
//!
//! A table that somebody else owns can carry code that runs as its reader (partial indexes, policies, views). So a
//! user's relation is never selected from: it is locked in the weakest mode without waiting, checked by oid to be a
//! plain, permanent table without row level security, and then copied out, which evaluates nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use futures_util::{
    StreamExt,
    future::{join, join_all},
};
use tokio_postgres::{Client, Row, error::SqlState};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement, bare,
    fields::{Acls, Fields},
    with_acls,
};
use crate::{
    domain::{
        Oid, qualified,
        snapshot::{Schema, VersionRows, VersionTable},
    },
    text,
};

/// Alembic's own name for it; others are made by adding to it, or chosen freely.
const CUSTOMARY_NAME: &str = "alembic_version";
/// Tables locked and read in one transaction.
const TABLES_PER_TRANSACTION: usize = 100;
/// A larger version table is no version table: heap and TOAST together.
const MOST_BYTES: i64 = 64 * 1024;
/// What of one `COPY` is taken in; compressed values can grow on the way.
const MOST_COPIED: usize = 256 * 1024;

/// Catalogs are counted in, by an index; with EXISTS the planner reads the whole of `pg_index`, twice, for a few tables.
static CANDIDATES: LazyLock<String> =
    LazyLock::new(|| with_acls(include_str!("version_tables.sql")).replace("@stirs", STIRS));
/// True of a table where code that somebody wrote runs when its rows change.
const STIRS: &str = include_str!("version_stirs.sql").trim_ascii_end();
static WRITES: LazyLock<String> = LazyLock::new(|| include_str!("version_writes.sql").replace("@stirs", STIRS));

/// A relation that is, or looks like, a version table; its rows are not read yet.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `rows` is [`VersionRows::Pending`], or why it will never be read.
    pub table: VersionTable,
    /// Name of the schema at the time of the reading.
    pub schema_name: String,
    /// Tuples inserted, updated and deleted so far, by the statistics: a hint, some seconds late.
    pub changes: i64,
}

/// Whether the login may read a table is told from the lists themselves: `has_table_privilege()` would leave an entry of
/// every table and schema in the backend's caches, for as long as it lives.
pub(super) fn candidates_statement() -> Statement {
    Statement::new("the version tables", &CANDIDATES)
}

pub(super) fn candidates(rows: &[Row], schemas: &[Schema], acls: &mut Acls) -> Result<Vec<Candidate>, ServerError> {
    let names: HashMap<Oid, &str> = schemas.iter().map(|s| (s.oid, s.name.as_str())).collect();
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let mut f = Fields::new("the version tables", row);
        let (oid, schema, name, owner) = (f.oid()?, f.oid()?, f.text()?, f.oid()?);
        let traits = Traits {
            kind: f.char()?,
            persistence: f.char()?,
            rls: f.bool()?,
            partition: f.bool()?,
            inherits: f.bool()?,
        };
        let primary_key = f.bool()?;
        let shape = f.bool()?;
        let readable = f.bool()?;
        let changes = f.opt_i64()?.unwrap_or(0);
        let Some(schema_name) = names.get(&schema).map(|name| (*name).to_owned()) else { continue };
        let stirs = f.bool()?;
        let acl = f.acl(acls, owner)?;
        let odd_name = text::undecodable(&name) || text::undecodable(&schema_name);
        let rows = match traits.objection(shape) {
            Some(why) => VersionRows::Refused(why.to_owned()),
            None if odd_name => VersionRows::Refused("its name is not valid text".to_owned()),
            None if !readable => VersionRows::Denied,
            None => VersionRows::Pending,
        };
        if !shape && !name.starts_with(CUSTOMARY_NAME) {
            continue; // found by its column, but it has others
        }
        let plain = traits.kind == 'r';
        let table = VersionTable { oid, schema, name, owner, acl, shape, plain, stirs, primary_key, rows };
        list.push(Candidate { table, schema_name, changes });
    }
    list.sort_unstable_by(|a, b| (&a.schema_name, &a.table.name).cmp(&(&b.schema_name, &b.table.name)));
    Ok(list)
}

/// What decides whether a relation may be copied from.
struct Traits {
    kind: char,
    persistence: char,
    rls: bool,
    partition: bool,
    inherits: bool,
}

impl Traits {
    fn objection(&self, shape: bool) -> Option<&'static str> {
        match self.kind {
            'r' => {}
            'v' => return Some("it is a view, and views are never read"),
            'm' => return Some("it is a materialized view, not a table"),
            'f' => return Some("it is a foreign table"),
            'p' => return Some("it is a partitioned table"),
            _ => return Some("it is not a table"),
        }
        if self.persistence == 'u' {
            return Some("it is unlogged: its rows would not survive a crash");
        }
        if self.persistence != 'p' {
            return Some("it is a temporary table");
        }
        if self.rls {
            return Some("it has row level security");
        }
        if self.partition || self.inherits {
            return Some("it inherits, or is inherited from");
        }
        (!shape).then_some("its columns are not those of a version table")
    }
}

/// Reads the rows of those candidates whose rows are pending. A refusal of one leaves the others alone.
///
/// # Errors
/// Only what ends the connection.
pub async fn rows(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    candidates: &[Candidate],
) -> Result<BTreeMap<Oid, VersionRows>, ServerError> {
    let opening = Opening::new(facts, limits);
    let pending: Vec<&Candidate> = candidates.iter().filter(|c| c.table.rows == VersionRows::Pending).collect();
    let mut found = BTreeMap::new();
    let mut work: Vec<(&[&Candidate], bool)> =
        pending.chunks(TABLES_PER_TRANSACTION).rev().map(|chunk| (chunk, false)).collect();
    while let Some((chunk, again)) = work.pop() {
        let error = match read_chunk(client, &opening, chunk).await {
            Ok(rows) => {
                found.extend(rows);
                continue;
            }
            Err(error) if error.ends_connection() => return Err(error),
            Err(error) => error,
        };
        if let [one] = chunk {
            // Behind a pooler a statement's name may be taken or gone; and a table may have been made anew.
            let passing =
                [&SqlState::DUPLICATE_PSTATEMENT, &SqlState::INVALID_SQL_STATEMENT_NAME, &SqlState::UNDEFINED_TABLE];
            if !again && passing.into_iter().any(|state| error.is(state)) {
                work.push((chunk, true));
            } else {
                found.insert(one.table.oid, refusal(&error));
            }
        } else {
            let (left, right) = chunk.split_at(chunk.len() / 2);
            work.push((right, false));
            work.push((left, false));
        }
    }
    Ok(found)
}

/// The rows of these tables inside an open transaction, which keeps the locks. A table that is locked, or may not be
/// read, is an error here: it ends the transaction.
///
/// # Errors
/// [`ServerError`].
pub(super) async fn rows_inside(
    client: &Client,
    candidates: &[Candidate],
) -> Result<BTreeMap<Oid, VersionRows>, ServerError> {
    let pending: Vec<&Candidate> = candidates.iter().filter(|c| c.table.rows == VersionRows::Pending).collect();
    let mut found = BTreeMap::new();
    for chunk in pending.chunks(TABLES_PER_TRANSACTION) {
        found.extend(locked_chunk(client, &Opening::inside(), chunk).await?);
    }
    Ok(found)
}

fn refusal(error: &ServerError) -> VersionRows {
    if error.is(&SqlState::LOCK_NOT_AVAILABLE) {
        return VersionRows::Locked(None);
    }
    if error.is(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return VersionRows::Denied;
    }
    VersionRows::Refused(if error.is(&SqlState::UNDEFINED_TABLE) || error.is(&SqlState::INVALID_SCHEMA_NAME) {
        "it was moved or dropped while it was read".to_owned()
    } else if error.is(&SqlState::DUPLICATE_PSTATEMENT) || error.is(&SqlState::INVALID_SQL_STATEMENT_NAME) {
        "the connection pooler lost the statement".to_owned()
    } else {
        error.to_string()
    })
}

/// Those of the tables where a change of rows would run what somebody wrote. Names are quoted and have their schema.
///
/// # Errors
/// [`ServerError`].
pub(crate) async fn stirring(client: &Client, names: Vec<String>) -> Result<Vec<String>, ServerError> {
    let what = "what the version tables would run";
    let rows = bare(client, &Statement::new(what, &WRITES).with(Param::Texts(names))).await?;
    rows.iter().map(|row| Fields::new(what, row).text()).collect()
}

/// One transaction: lock all, check all, copy each that passed.
async fn read_chunk(
    client: &Client,
    opening: &Opening,
    chunk: &[&Candidate],
) -> Result<Vec<(Oid, VersionRows)>, ServerError> {
    let result = locked_chunk(client, opening, chunk).await;
    let end = client.batch_execute("commit").await.map_err(|e| ServerError::from_driver("the version tables", &e));
    let rows = result?;
    end?;
    Ok(rows)
}

async fn locked_chunk(
    client: &Client,
    opening: &Opening,
    chunk: &[&Candidate],
) -> Result<Vec<(Oid, VersionRows)>, ServerError> {
    let what = "the version tables";
    let names: Vec<String> = chunk.iter().map(|c| qualified(&c.schema_name, &c.table.name)).collect();
    let lock = names.iter().map(|name| format!("only {name}")).collect::<Vec<_>>().join(", ");
    let open = format!("{}lock table {lock} in access share mode nowait", opening.text);
    let check = Statement::new(what, include_str!("version_check.sql"))
        .with(Param::Oids(chunk.iter().map(|c| c.table.oid.0).collect()));
    let (locked, checked) = join(client.batch_execute(&open), bare(client, &check)).await;
    locked.map_err(|e| ServerError::from_driver(what, &e))?;
    let verdicts = verdicts(&checked?)?;

    let mut found = Vec::with_capacity(chunk.len());
    let mut passed = Vec::with_capacity(chunk.len());
    for (candidate, name) in chunk.iter().zip(&names) {
        match verdicts.get(&candidate.table.oid) {
            Some((seen, _)) if seen != name => {
                found.push((candidate.table.oid, VersionRows::Refused("it was renamed while it was read".to_owned())));
            }
            None => {
                found.push((candidate.table.oid, VersionRows::Refused("it was dropped while it was read".to_owned())));
            }
            Some((_, Some(objection))) => {
                found.push((candidate.table.oid, VersionRows::Refused(objection.clone())));
            }
            Some((_, None)) => passed.push((candidate.table.oid, name)),
        }
    }
    let copies = join_all(passed.iter().map(|(_, name)| copy(client, name))).await;
    for ((oid, _), rows) in passed.into_iter().zip(copies) {
        found.push((oid, rows?));
    }
    Ok(found)
}

/// By oid: the qualified name as it is now, and what speaks against reading it.
fn verdicts(rows: &[Row]) -> Result<HashMap<Oid, (String, Option<String>)>, ServerError> {
    let mut verdicts = HashMap::with_capacity(rows.len());
    for row in rows {
        let mut f = Fields::new("the version tables", row);
        let (oid, schema, name) = (f.oid()?, f.text()?, f.text()?);
        let traits = Traits {
            kind: f.char()?,
            persistence: f.char()?,
            rls: f.bool()?,
            partition: f.bool()?,
            inherits: f.bool()?,
        };
        let bytes = f.i64()?;
        let objection = traits.objection(f.bool()?).map(str::to_owned).or_else(|| {
            let size = text::size(u64::try_from(bytes).unwrap_or(0));
            (bytes > MOST_BYTES).then(|| format!("it is {size} large, too large for a version table"))
        });
        verdicts.insert(oid, (qualified(&schema, &name), objection));
    }
    Ok(verdicts)
}

async fn copy(client: &Client, name: &str) -> Result<VersionRows, ServerError> {
    let what = "the rows of a version table";
    let sql = format!("copy {name} (version_num) to stdout");
    let stream = client.copy_out(sql.as_str()).await.map_err(|e| ServerError::from_driver(what, &e))?;
    let mut stream = std::pin::pin!(stream);
    let mut copied = Vec::new();
    while let Some(piece) = stream.next().await {
        copied.extend_from_slice(&piece.map_err(|e| ServerError::from_driver(what, &e))?);
        if copied.len() > MOST_COPIED {
            return Ok(VersionRows::Refused("its rows are too large for revisions".to_owned()));
        }
    }
    Ok(decode_copy(&copied))
}

/// The text format of `COPY`: a line for each row, `\N` for NULL, backslash escapes.
fn decode_copy(copied: &[u8]) -> VersionRows {
    let mut rows = Vec::new();
    for line in copied.split(|b| *b == b'\n') {
        if line == b"\\N" {
            return VersionRows::Refused("a row holds NULL in place of a revision".to_owned());
        }
        rows.push(unescape(line));
    }
    rows.pop(); // what follows the last line feed
    rows.sort_unstable();
    VersionRows::Known(rows)
}

fn unescape(line: &[u8]) -> String {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next() {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0C,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 0x0B,
                Some(other) => *other,
                None => b'\\',
            },
            plain => *plain,
        });
    }
    text::decode(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_rows_come_back_as_they_were() {
        assert_eq!(
            decode_copy(b"b\\\\x\\n1\na1b2\n"),
            VersionRows::Known(vec!["a1b2".to_owned(), "b\\x\n1".to_owned()]),
        );
        assert_eq!(decode_copy(b""), VersionRows::Known(vec![]), "no row is a fact of its own");
        assert_eq!(decode_copy(b"\n"), VersionRows::Known(vec![String::new()]), "an empty revision is a row");
        assert!(matches!(decode_copy(b"a\n\\N\n"), VersionRows::Refused(_)));
    }

    #[test]
    fn only_a_plain_permanent_table_passes() {
        let plain = || Traits { kind: 'r', persistence: 'p', rls: false, partition: false, inherits: false };
        assert_eq!(plain().objection(true), None);
        assert!(plain().objection(false).is_some());
        for kind in ['v', 'm', 'f', 'p', 'x'] {
            assert!(Traits { kind, ..plain() }.objection(true).is_some());
        }
        assert!(Traits { rls: true, ..plain() }.objection(true).is_some());
        assert!(Traits { inherits: true, ..plain() }.objection(true).is_some());
        assert!(Traits { persistence: 't', ..plain() }.objection(true).is_some());
    }
}

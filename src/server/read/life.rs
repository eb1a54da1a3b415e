//! What an action asks about itself and others: which life of the server it is in, its transaction's number and what
//! became of it, who holds a lock, which transaction wrote a row of the catalog. Decides nothing.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::{Facts, Limits, Opening, Param, ServerError, Statement, bare, fields::Fields, unit};
use crate::{
    domain::{
        ObjectKind, Oid,
        snapshot::DefaultKind,
        transaction::{Life, Transaction},
    },
    plan::Key,
};

/// Where a connection is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Here {
    pub life: Life,
    pub in_recovery: bool,
    pub pid: i32,
    pub backend_start_us: Option<i64>,
    pub database: String,
}

/// # Errors
/// [`ServerError`].
pub(crate) async fn here(client: &Client, facts: &Facts, hidden: bool) -> Result<Here, ServerError> {
    let what = "the identity of the server";
    let sql = if hidden { include_str!("life_hidden.sql") } else { include_str!("life.sql") };
    let rows = bare(client, &Statement::new(what, sql)).await?;
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    let mut f = Fields::new(what, row);
    let in_recovery = f.bool()?;
    let life = Life {
        system_identifier: facts.system_identifier.clone(),
        timeline: f.opt_text()?,
        checkpointer_start_us: f.time_us()?,
        postmaster_start_us: f.time_us()?,
        counting_since_us: None,
    };
    let (pid, backend_start_us, database) = (f.i32()?, f.time_us()?, f.text()?);
    let life = Life { counting_since_us: f.time_us()?, ..life };
    Ok(Here { life, in_recovery, pid, backend_start_us, database })
}

/// The number of the open transaction; it gets one by this if it had none.
///
/// # Errors
/// [`ServerError`].
pub(crate) async fn xid(client: &Client) -> Result<u64, ServerError> {
    let what = "the number of the transaction";
    let rows = bare(client, &Statement::new(what, include_str!("xid.sql"))).await?;
    let text = one_text(what, &rows)?;
    text.parse().map_err(|_| ServerError::Unreadable { what, column: 0, expected: "a number" })
}

/// What `pg_xact_status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Committed,
    Aborted,
    InProgress,
    /// It has committed here and waits for a standby to say that it has it, too.
    AwaitsStandby,
    /// Too old to be known, or not given out yet: after a crash that can be.
    Unknown,
}

/// # Errors
/// [`ServerError`].
pub(crate) async fn status(client: &Client, transaction: &Transaction) -> Result<Status, ServerError> {
    let what = "the fate of the transaction";
    let params = vec![
        transaction.xid.to_string(),
        transaction.pid.to_string(),
        transaction.backend_start_us.unwrap_or(0).to_string(),
    ];
    let statement = Statement::new(what, include_str!("xact_status.sql")).with(Param::Texts(params));
    let rows = match bare(client, &statement).await {
        Ok(rows) => rows,
        Err(error) if error.sqlstate() == Some("22023") => return Ok(Status::Unknown),
        Err(error) => return Err(error),
    };
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    let mut f = Fields::new(what, row);
    let (status, wait) = (f.opt_text()?, f.opt_text()?);
    Ok(match status.as_deref() {
        Some("committed") => Status::Committed,
        Some("aborted") => Status::Aborted,
        Some("in progress") if wait.as_deref() == Some("SyncRep") => Status::AwaitsStandby,
        Some("in progress") => Status::InProgress,
        Some(_) | None => Status::Unknown,
    })
}

/// Takes the lock that keeps two consoles apart, until the transaction ends; false: somebody has it.
///
/// # Errors
/// [`ServerError`].
pub(crate) async fn advisory(client: &Client) -> Result<bool, ServerError> {
    let what = "the lock between consoles";
    let rows = bare(client, &Statement::new(what, include_str!("advisory.sql"))).await?;
    rows.first().map_or(Ok(false), |row| Fields::new(what, row).bool())
}

/// A session that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blocker {
    pub pid: i32,
    /// Empty where it may not be seen.
    pub user: String,
    pub application: String,
    /// `active`, `idle in transaction` and so on; empty where it may not be seen.
    pub state: String,
    /// How long its transaction is open.
    pub transaction_ms: Option<i64>,
    /// How long ago its statement began, or its last one.
    pub query_ms: Option<i64>,
    /// The first 200 characters of what it runs, or ran last.
    pub query: String,
}

/// A session that holds locks on some of the relations that were asked about.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub session: Blocker,
    /// The first of them, quoted and with its schema, as it was asked for.
    pub relation: String,
    pub relations: i64,
    /// One of the locks is in the way of others than writers, too, or is a writer's.
    pub writes: bool,
}

/// The sessions that hold locks on these relations at the moment, longest transaction first; names are quoted and have
/// their schema, and such as do not exist are passed over.
///
/// # Errors
/// [`ServerError`].
pub(crate) async fn holders(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    names: Vec<String>,
) -> Result<Vec<Holder>, ServerError> {
    let what = "the sessions in the way";
    let statement = Statement::new(what, include_str!("holders_now.sql")).with(Param::Texts(names));
    let all = unit(client, &Opening::new(facts, limits), None, &[statement]).await?;
    let rows = all.first().map_or(&[][..], Vec::as_slice);
    rows.iter()
        .map(|row| {
            let mut f = Fields::new(what, row);
            let session = Blocker {
                pid: f.i32()?,
                user: f.opt_text()?.unwrap_or_default(),
                application: f.opt_text()?.unwrap_or_default(),
                state: f.opt_text()?.unwrap_or_default(),
                transaction_ms: f.opt_i64()?,
                query_ms: f.opt_i64()?,
                query: f.opt_text()?.unwrap_or_default(),
            };
            Ok(Holder { session, relation: f.text()?, relations: f.i64()?, writes: f.bool()? })
        })
        .collect()
}

/// Which sessions to ask for.
#[derive(Debug, Clone)]
pub(crate) enum InTheWay {
    /// Whoever holds the lock between consoles.
    Console,
    /// Whoever the backend waits for just now.
    Of(i32),
    /// Whoever holds locks on these relations.
    On(Vec<Oid>),
}

/// # Errors
/// [`ServerError`].
pub(crate) async fn blockers(client: &Client, way: &InTheWay) -> Result<Vec<Blocker>, ServerError> {
    let what = "the sessions in the way";
    let statement = match way {
        InTheWay::Console => Statement::new(what, include_str!("advisory_holder.sql")),
        InTheWay::Of(pid) => Statement::new(what, include_str!("blockers.sql")).with(Param::Ints(vec![*pid])),
        InTheWay::On(oids) => {
            Statement::new(what, include_str!("holders.sql")).with(Param::Oids(oids.iter().map(|oid| oid.0).collect()))
        }
    };
    let rows = bare(client, &statement).await?;
    rows.iter()
        .map(|row| {
            let mut f = Fields::new(what, row);
            Ok(Blocker {
                pid: f.i32()?,
                user: f.opt_text()?.unwrap_or_default(),
                application: f.opt_text()?.unwrap_or_default(),
                state: f.opt_text()?.unwrap_or_default(),
                transaction_ms: f.opt_i64()?,
                query_ms: f.opt_i64()?,
                query: f.opt_text()?.unwrap_or_default(),
            })
        })
        .collect()
}

/// The 32-bit number of the transaction that last wrote the catalog's row of this thing; `None` where there is no such
/// row, it may not be read, or it is not the catalog's.
///
/// # Errors
/// What ends the connection.
pub(crate) async fn writer(client: &Client, facts: &Facts, key: &Key) -> Result<Option<u32>, ServerError> {
    let what = "the writer of a row";
    let text = |list: &[&str]| Param::Texts(list.iter().map(|s| (*s).to_owned()).collect());
    let mut sql = include_str!("xmin.sql");
    let params = match key {
        Key::Role { name } => {
            sql = include_str!("xmin_role.sql");
            text(&["role", name])
        }
        Key::Membership { role, member } => text(&["membership", role, member]),
        Key::Setting { role, in_database, .. } => {
            text(&["setting", role.as_deref().unwrap_or(""), if *in_database { "here" } else { "" }])
        }
        Key::Database => text(&["database"]),
        Key::Schema { name } => text(&["schema", name]),
        Key::Object { kind, schema, name } => match kind {
            ObjectKind::Table | ObjectKind::Sequence => text(&["relation", schema, name]),
            ObjectKind::Type => text(&["type", schema, name]),
            ObjectKind::Routine | ObjectKind::Schema | ObjectKind::Database => return Ok(None),
        },
        Key::Column { schema, relation, column } => text(&["column", schema, relation, column]),
        Key::DefaultAcl { creator, schema, kind } => {
            let letter = match kind {
                DefaultKind::Tables => "r",
                DefaultKind::Sequences => "S",
                DefaultKind::Functions => "f",
                DefaultKind::Types => "T",
                DefaultKind::Schemas => "n",
                DefaultKind::LargeObjects => "L",
            };
            text(&["default", creator, schema.as_deref().unwrap_or(""), letter])
        }
        Key::Policy { schema, table, name } => text(&["policy", schema, table, name]),
        Key::ForeignKey { schema, table, name } => text(&["constraint", schema, table, name]),
        Key::Extension { name } => text(&["extension", name]),
        Key::All { .. } | Key::VersionRows { .. } | Key::AuditFunction { .. } | Key::AuditTrigger { .. } => {
            return Ok(None);
        }
    };
    let statement = Statement::new(what, sql).with(params);
    match unit(client, &Opening::new(facts, Limits::default()), None, &[statement]).await {
        Ok(rows) => {
            let rows = rows.first().map_or(&[][..], Vec::as_slice);
            Ok(if rows.is_empty() { None } else { one_text(what, rows)?.parse().ok() })
        }
        Err(error) if error.ends_connection() => Err(error),
        Err(_) => Ok(None),
    }
}

fn one_text(what: &'static str, rows: &[Row]) -> Result<String, ServerError> {
    let row = rows.first().ok_or(ServerError::Unreadable { what, column: 0, expected: "a row" })?;
    Fields::new(what, row).text()
}

//! Attempts to cross a border, made as the role itself on a connection of its own: by a real login, never by SET ROLE, in a
//! read-only transaction that is rolled back.
//!
//! A stranger's table is only locked, in a mode that asks for the right to read or to write and whose lock is gone at
//! once: the server checks the privileges of schema and table, and runs nothing that belongs to the stranger. Rows are
//! looked for only in tables that the role owns, and only where reading them runs nothing but PostgreSQL's own: a policy
//! that calls a function runs it, with its owner's rights where it is SECURITY DEFINER.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage, error::SqlState, types::Type};

use super::{connect::connect, errors, read::ServerError};
use crate::{
    config::Conninfo,
    domain::{qualified, snapshot::TenantType},
};

/// What errors are about.
const WHAT: &str = "what the role meets";
/// For the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For everything that is tried as one role.
const WHOLE: Duration = Duration::from_secs(60);

/// What is to be tried as one role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Tables of others: schema and name.
    pub tables: Vec<(String, String)>,
    /// Its own tables whose row level security binds it, with the type of the tenant column.
    pub tenants: Vec<(String, String, Option<TenantType>)>,
}

/// What the server said to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Allowed,
    Refused,
    /// Neither, and why.
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub schema: String,
    pub table: String,
    /// In the mode of a SELECT; from 16 on every right to rows lets in.
    pub read: Said,
    /// In the mode of an INSERT, an UPDATE or a DELETE.
    pub write: Said,
}

/// Whether a row was to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    None,
    Some,
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantAttempt {
    pub schema: String,
    pub table: String,
    /// There is something to be seen; `None` is not known.
    pub filled: Option<bool>,
    /// While no tenant is set.
    pub without: Rows,
    /// As a tenant that does not exist.
    pub stranger: Rows,
    /// What reading it would run, in the server's words: it was not read then. Empty where it was.
    pub runs: Vec<String>,
}

/// What one role met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    pub tables: Vec<Attempt>,
    pub tenants: Vec<TenantAttempt>,
}

/// Logs in and tries.
///
/// # Errors
/// Whatever keeps the role out, or ends its connection.
pub async fn attempts(conninfo: &Conninfo, wanted: &Wanted) -> Result<Attempts, ServerError> {
    let connected = connect(conninfo, CONNECT).await?;
    let client = &connected.client;
    let all = async {
        let failed = |e: tokio_postgres::Error| ServerError::from_driver(WHAT, &e);
        client.batch_execute(include_str!("read/isolation_begin.sql")).await.map_err(failed)?;
        let mut met = Attempts::default();
        for (schema, table) in &wanted.tables {
            let name = qualified(schema, table);
            let read = lock(client, &name, "access share").await?;
            let write = lock(client, &name, "row exclusive").await?;
            met.tables.push(Attempt { schema: schema.clone(), table: table.clone(), read, write });
        }
        for (schema, table, of) in &wanted.tenants {
            met.tenants.push(tenant(client, schema, table, *of).await?);
        }
        client.batch_execute("rollback").await.map_err(failed)?;
        Ok(met)
    };
    timeout(WHOLE, all).await.map_err(|_| ServerError::Deadline { what: WHAT, after: WHOLE })?
}

/// A tenant that no application makes.
const fn nobody(of: Option<TenantType>) -> &'static str {
    match of {
        Some(TenantType::Uuid) => "0d5bd5f0-5b5c-4c1f-8d0e-70676d6f6174",
        Some(TenantType::Smallint) => "-32719",
        Some(TenantType::Integer | TenantType::Bigint) => "-2147481719",
        Some(TenantType::Text) | None => "no tenant: an isolation test",
    }
}

async fn lock(client: &Client, table: &str, mode: &str) -> Result<Said, ServerError> {
    let sql = include_str!("read/isolation_lock.sql").replace("@mode", mode).replace("@table", table);
    let Err(error) = client.batch_execute(&sql).await else { return Ok(Said::Allowed) };
    back(client, &error).await?;
    Ok(match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Said::Refused,
        // The privileges are checked before the lock is waited for.
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => Said::Allowed,
        _ => Said::Unknown(words(&error)),
    })
}

/// Under a lock, so that the policies that were looked at are those that run.
async fn tenant(
    client: &Client,
    schema: &str,
    table: &str,
    of: Option<TenantType>,
) -> Result<TenantAttempt, ServerError> {
    let failed = |e: tokio_postgres::Error| ServerError::from_driver(WHAT, &e);
    let name = qualified(schema, table);
    let unread = |why: &str| Rows::Unknown(why.to_owned());
    let mut met = TenantAttempt {
        schema: schema.to_owned(),
        table: table.to_owned(),
        filled: None,
        without: unread("not read"),
        stranger: unread("not read"),
        runs: Vec::new(),
    };
    let sql = include_str!("read/isolation_hold.sql").replace("@table", &name);
    if let Err(error) = client.batch_execute(&sql).await {
        back(client, &error).await?;
        let why = words(&error);
        (met.without, met.stranger) = (unread(&why), unread(&why));
        return Ok(met);
    }
    let names = vec![schema.to_owned(), table.to_owned()];
    // what PostgreSQL brings along is pinned, and recorded nowhere as used
    let found = client.query_typed(include_str!("read/isolation_runs.sql"), &[(&names, Type::TEXT_ARRAY)]).await;
    for row in found.map_err(failed)? {
        met.runs.push(row.try_get(0).map_err(failed)?);
    }
    if met.runs.is_empty() {
        met.filled = filled(client, schema, table).await;
        met.without = rows(client, &name, "").await?;
        met.stranger = rows(client, &name, nobody(of)).await?;
    }
    client.batch_execute("rollback to savepoint held").await.map_err(failed)?;
    Ok(met)
}

async fn rows(client: &Client, table: &str, tenant: &str) -> Result<Rows, ServerError> {
    let sql = include_str!("read/isolation_rows.sql").replace("@tenant", tenant).replace("@table", table);
    match client.simple_query(&sql).await {
        Ok(answers) => {
            let seen = answers.iter().any(|answer| matches!(answer, SimpleQueryMessage::Row(_)));
            Ok(if seen { Rows::Some } else { Rows::None })
        }
        Err(error) => {
            back(client, &error).await?;
            Ok(Rows::Unknown(words(&error)))
        }
    }
}

async fn filled(client: &Client, schema: &str, table: &str) -> Option<bool> {
    let names = vec![schema.to_owned(), table.to_owned()];
    let sql = include_str!("read/isolation_filled.sql");
    let rows = client.query_typed(sql, &[(&names, Type::TEXT_ARRAY)]).await.ok()?;
    rows.first()?.try_get(0).ok()
}

/// After a refusal the transaction goes on from before it; an error that ended the connection ends everything.
async fn back(client: &Client, error: &tokio_postgres::Error) -> Result<(), ServerError> {
    if error.code().is_none() {
        return Err(ServerError::from_driver(WHAT, error));
    }
    let back = client.batch_execute("rollback to savepoint probe").await;
    back.map_err(|e| ServerError::from_driver(WHAT, &e))
}

fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| errors::ServerError::from(e).message)
}

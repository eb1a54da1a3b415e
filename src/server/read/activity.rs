//! Sessions and counters at one instant. Ages are by the server's clock. What the login may not see is left out.
//!
//! Asks the function below the view `pg_stat_activity`: planning the view's two joins cost more than half of a tick.

use tokio_postgres::{Client, Row};

use super::{Facts, Limits, Opening, Param, ServerError, Statement, catalog, fields::Fields, unit};
use crate::{
    domain::snapshot::{Activity, Prepared, Session, VirtualTransaction, WaitedLock},
    text,
};

/// Characters of a query that are carried.
const QUERY_CHARACTERS: usize = 1000;

/// What one tick brings.
#[derive(Debug, Clone, Default)]
pub struct Tick {
    /// Equal text, equal picture.
    pub gate: String,
    pub activity: Activity,
    /// Tuples changed in the catalogs that matter here, by the statistics: a hint, some seconds late.
    pub catalog_changes: i64,
    pub in_recovery: bool,
    /// On a standby that has replayed anything.
    pub replay_lag_ms: Option<i64>,
}

/// The gate, sessions and counters, in one trip.
///
/// # Errors
/// [`ServerError`].
pub async fn activity(client: &Client, facts: &Facts, limits: Limits, own: &[i32]) -> Result<Tick, ServerError> {
    let statements = [
        Statement::new("the sessions", include_str!("activity.sql")).with(Param::Ints(own.to_vec())),
        Statement::new("the counters of the database", include_str!("counters.sql")),
    ];
    let opening = Opening::tick(facts, limits);
    let rows = unit(client, &opening, Some(&catalog::gate_statement()), &statements).await?;
    let [gate, sessions, counters] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what: "the sessions", column: 0, expected: "three results" });
    };
    let mut tick = decode(catalog::gate(gate)?, sessions, counters)?;
    let activity = &mut tick.activity;
    let asked: Vec<i32> = activity.sessions.iter().filter(|s| asks_locks(s)).map(|s| s.pid).collect();
    if !asked.is_empty() {
        match waits(client, facts, limits, asked).await {
            Ok(found) => found.into_iter().for_each(|waits| waits.write(activity)),
            Err(error) if error.ends_connection() => return Err(error),
            Err(_) => activity.locks_unknown = true,
        }
    }
    Ok(tick)
}

/// Fills in the names of relations that somebody waits for. What cannot be read stays a number.
///
/// # Errors
/// Only what ends the connection.
pub async fn names(client: &Client, facts: &Facts, limits: Limits, activity: &mut Activity) -> Result<(), ServerError> {
    let what = "the names of relations";
    let waited = || activity.sessions.iter().filter_map(|s| s.lock.as_ref()?.relation);
    let oids: Vec<u32> = waited().map(|oid| oid.0).collect();
    if oids.is_empty() {
        return Ok(());
    }
    let statement = Statement::new(what, include_str!("relation_names.sql")).with(Param::Oids(oids));
    let rows = match unit(client, &Opening::tick(facts, limits), None, &[statement]).await {
        Ok(mut results) => results.pop().unwrap_or_default(),
        Err(error) if error.ends_connection() => return Err(error),
        Err(_) => return Ok(()),
    };
    for row in &rows {
        let mut f = Fields::new(what, row);
        let (oid, schema, name) = (f.oid()?, f.text()?, f.text()?);
        let locks = activity.sessions.iter_mut().filter_map(|s| s.lock.as_mut());
        locks.filter(|l| l.relation == Some(oid)).for_each(|l| l.name = Some((schema.clone(), name.clone())));
    }
    Ok(())
}

/// It waits for a lock, or hides whether it does.
fn asks_locks(session: &Session) -> bool {
    session.wait_type.as_deref() == Some("Lock") || session.backend_start_us.is_none()
}

/// What `pg_locks` tells of a session: anybody may read that of all.
struct Waits {
    pid: i32,
    kind: Option<String>,
    lock: Option<WaitedLock>,
    transaction: Option<VirtualTransaction>,
    blocked_by: Vec<i32>,
    prepared: Vec<Prepared>,
}

impl Waits {
    fn write(self, activity: &mut Activity) {
        let Some(session) = activity.sessions.iter_mut().find(|s| s.pid == self.pid) else { return };
        if session.backend_start_us.is_none() {
            session.transaction = self.transaction;
            session.blocked_by = self.blocked_by;
            if self.kind.is_some() {
                session.wait_type = Some("Lock".to_owned());
                session.wait = self.kind;
            }
        }
        session.lock = self.lock;
        if session.blocked_by.contains(&0) {
            session.prepared = self.prepared;
        }
    }
}

async fn waits(client: &Client, facts: &Facts, limits: Limits, pids: Vec<i32>) -> Result<Vec<Waits>, ServerError> {
    let what = "the locks";
    let statement = Statement::new(what, include_str!("waits.sql")).with(Param::Ints(pids));
    let rows = unit(client, &Opening::tick(facts, limits), None, &[statement]).await?.pop().unwrap_or_default();
    rows.iter()
        .map(|row| {
            let mut f = Fields::new(what, row);
            let (pid, kind, mode, relation) = (f.i32()?, f.opt_text()?, f.opt_text()?, f.opt_oid()?);
            let transaction = f.opt_text()?.as_deref().and_then(VirtualTransaction::parse);
            let blocked_by = f.ints()?;
            let flat = f.texts()?;
            let prepared = flat.chunks_exact(4).map(|four| match four {
                [gid, owner, database, age] => Prepared {
                    gid: gid.clone(),
                    owner: owner.clone(),
                    database: database.clone(),
                    age_ms: age.parse().ok(),
                },
                _ => Prepared { gid: String::new(), owner: String::new(), database: String::new(), age_ms: None },
            });
            let lock = mode.map(|mode| WaitedLock { mode, relation, name: None });
            Ok(Waits { pid, kind, lock, transaction, blocked_by, prepared: prepared.collect() })
        })
        .collect()
}

fn decode(gate: String, sessions: &[Row], counters: &[Row]) -> Result<Tick, ServerError> {
    let mut tick = Tick { gate, ..Tick::default() };
    let activity = &mut tick.activity;
    if let Some(row) = counters.first() {
        let mut f = Fields::new("the counters of the database", row);
        activity.taken_at_us = f.time_us()?.unwrap_or(0);
        activity.commits = f.count()?;
        activity.rollbacks = f.count()?;
        activity.blocks_read = f.count()?;
        activity.blocks_hit = f.count()?;
        activity.deadlocks = f.count()?;
        activity.temp_bytes = f.count()?;
        activity.frozen_age = f.opt_i32()?.and_then(|age| u64::try_from(age).ok());
        tick.in_recovery = f.bool()?;
        tick.replay_lag_ms = f.opt_i64()?.map(|ms| ms.max(0));
        tick.catalog_changes = f.opt_i64()?.unwrap_or(0);
    }
    for row in sessions {
        activity.sessions.push(session(row)?);
    }
    activity.sessions.sort_unstable_by_key(|s| (s.backend_start_us, s.pid));
    activity.connections = u32::try_from(activity.sessions.len()).unwrap_or(u32::MAX);
    Ok(tick)
}

fn session(row: &Row) -> Result<Session, ServerError> {
    let mut f = Fields::new("the sessions", row);
    let now = f.time_us()?.unwrap_or(0);
    let age = |since: Option<i64>| since.map(|since| now.saturating_sub(since) / 1000);
    let pid = f.i32()?;
    let (database, role) = (f.opt_text()?, f.opt_text()?);
    let application = f.opt_text()?.unwrap_or_default();
    let (address, port) = (f.opt_text()?, f.opt_i32()?);
    let client = match (address, port) {
        (Some(address), _) => Some(address),
        (None, Some(-1)) => Some("local socket".to_owned()),
        (None, _) => None,
    };
    let (state, wait_type, wait) = (f.opt_text()?, f.opt_text()?, f.opt_text()?);
    let backend_start_us = f.time_us()?;
    let (transaction, query_start, state_change) = (f.time_us()?, f.time_us()?, f.time_us()?);
    let query = f.bytes()?.map(query_text);
    // Without the privilege the server fills in "<insufficient privilege>" and leaves the rest NULL.
    let hidden = state.is_none() && backend_start_us.is_none();
    Ok(Session {
        pid,
        database,
        role,
        application,
        client,
        state,
        wait_type,
        wait,
        backend_age_ms: age(backend_start_us),
        transaction_age_ms: age(transaction),
        query_age_ms: age(query_start),
        state_age_ms: age(state_change),
        backend_start_us,
        query_start_us: query_start,
        query: query.filter(|_| !hidden),
        blocked_by: f.ints()?,
        own: f.bool()?,
        ..Session::default()
    })
}

/// The text was cut at a byte: a character that lost its end is dropped.
fn query_text(raw: &[u8]) -> String {
    let whole = (0..4).find_map(|cut| std::str::from_utf8(raw.get(..raw.len().checked_sub(cut)?)?).ok());
    let decoded = whole.map_or_else(|| text::decode(raw), str::to_owned);
    match decoded.char_indices().nth(QUERY_CHARACTERS) {
        Some((end, _)) => decoded.get(..end).unwrap_or_default().to_owned() + "…",
        None => decoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_character_is_dropped_and_a_foreign_byte_is_kept() {
        assert_eq!(query_text("select 'é'".as_bytes().split_at(9).0), "select '");
        assert!(text::undecodable(&query_text(b"select '\xE9' from t")));
        assert_eq!(query_text("x".repeat(1001).as_bytes()).chars().count(), QUERY_CHARACTERS + 1);
    }
}

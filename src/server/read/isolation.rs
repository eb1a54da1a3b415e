//! What roles can reach, as the server answers when it is asked: `has_*_privilege` for every role and schema at once.

use tokio_postgres::Client;

use super::{Facts, Limits, Opening, Param, ServerError, Statement, fields::Fields, unit};
use crate::domain::Oid;

/// One role in one schema, counted by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    pub role: Oid,
    pub schema: Oid,
    pub usage: bool,
    pub create: bool,
    pub tables: u64,
    pub selects: u64,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub truncates: u64,
    /// Tables of which some columns can be read, and not the whole.
    pub columns: u64,
    pub routines: u64,
    pub executes: u64,
}

/// # Errors
/// [`ServerError`].
pub async fn asked(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    roles: &[Oid],
    schemas: &[Oid],
) -> Result<Vec<Asked>, ServerError> {
    let what = "what the roles can reach";
    let numbers = |oids: &[Oid]| Param::Oids(oids.iter().map(|oid| oid.0).collect());
    let statement = Statement::new(what, include_str!("isolation_asked.sql"));
    let statement = statement.with(numbers(roles)).with(numbers(schemas));
    let rows = unit(client, &Opening::new(facts, limits), None, &[statement]).await?;
    let rows = rows.iter().flatten();
    rows.map(|row| {
        let mut f = Fields::new(what, row);
        Ok(Asked {
            role: f.oid()?,
            schema: f.oid()?,
            usage: f.bool()?,
            create: f.bool()?,
            tables: f.count()?,
            selects: f.count()?,
            inserts: f.count()?,
            updates: f.count()?,
            deletes: f.count()?,
            truncates: f.count()?,
            columns: f.count()?,
            routines: f.count()?,
            executes: f.count()?,
        })
    })
    .collect()
}

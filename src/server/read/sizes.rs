//! Sizes: estimates for every schema from the catalog's page counts, exact ones by asking for each relation.
//!
//! An exact size opens the relation: 23 µs and 13 KiB of the backend's memory each, kept until it disconnects. So exact
//! sizes are asked for in slices, on a connection that does not live long, and never behind an exclusive lock.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::{Client, Row, error::SqlState};

use super::{Facts, Limits, Opening, Param, ServerError, Statement, fields::Fields, unit};
use crate::domain::{
    Oid,
    snapshot::{Catalog, ClusterDatabase, Kind, RelationSize, SchemaSize, Sizes},
};

/// Relations asked for in one statement.
const RELATIONS_PER_STATEMENT: usize = 500;
/// `block_size` of every ordinary build.
const PAGE_BYTES: u64 = 8192;

/// Exact sizes by schema: the sum, and the relations it is made of.
pub type Exact = BTreeMap<Oid, (SchemaSize, BTreeMap<Oid, RelationSize>)>;

/// What the catalog's groups tell at once: heap pages only.
#[must_use]
pub fn from_groups(catalog: &Catalog) -> Sizes {
    let mut sizes = Sizes::default();
    for group in &catalog.relations {
        let size = sizes.schemas.entry(group.schema).or_default();
        match group.kind {
            Kind::Table | Kind::MaterializedView => {
                size.table_bytes += group.pages * PAGE_BYTES;
                size.tables += group.count;
            }
            Kind::Partitioned => size.tables += group.count,
            Kind::View
            | Kind::Foreign
            | Kind::Sequence
            | Kind::Function
            | Kind::Procedure
            | Kind::Aggregate
            | Kind::Window
            | Kind::Type => {}
        }
    }
    sizes
}

/// Estimates for all schemas, as of the last VACUUM or ANALYZE, and the size of the whole database.
///
/// # Errors
/// [`ServerError`].
pub async fn estimate(client: &Client, facts: &Facts, limits: Limits) -> Result<Sizes, ServerError> {
    let what = "the page counts";
    let statements = [
        Statement::new(what, include_str!("sizes_estimate.sql")),
        Statement::new(what, include_str!("sizes_estimate_toast.sql")),
        Statement::new("the size of the database", include_str!("sizes_database.sql")),
    ];
    let rows = unit(client, &Opening::new(facts, limits), None, &statements).await?;
    let [pages, toast, database] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what, column: 0, expected: "three results" });
    };
    let mut sizes = Sizes::default();
    for row in pages {
        let mut f = Fields::new(what, row);
        let (schema, kind, count) = (f.oid()?, f.char()?, f.count()?);
        let (bytes, rows) = (f.count()? * PAGE_BYTES, f.count()?);
        let size = sizes.schemas.entry(schema).or_default();
        match kind {
            'i' => size.index_bytes += bytes,
            'p' => size.tables += u32::try_from(count).unwrap_or(u32::MAX),
            _ => {
                size.table_bytes += bytes;
                size.rows += rows;
                size.tables += u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
    }
    for row in toast {
        let mut f = Fields::new(what, row);
        let schema = f.oid()?;
        sizes.schemas.entry(schema).or_default().toast_bytes += f.count()? * PAGE_BYTES;
    }
    sizes.database_bytes = match database.first() {
        Some(row) => Fields::new("the size of the database", row).opt_i64()?.and_then(|n| u64::try_from(n).ok()),
        None => None,
    };
    sizes.databases = databases(client, facts, limits).await?;
    Ok(sizes)
}

/// Every database of the cluster. Files of the others are counted one by one: where that takes too long, or one is being
/// dropped, or a name cannot be told, the rest stands.
async fn databases(client: &Client, facts: &Facts, limits: Limits) -> Result<Vec<ClusterDatabase>, ServerError> {
    let opening = Opening::new(facts, limits);
    let bearable = |read: Result<Vec<Vec<Row>>, ServerError>| match read {
        Err(error) if error.ends_connection() => Err(error),
        read => Ok(read.unwrap_or_default()),
    };
    let what = "the databases";
    let list = [Statement::new(what, include_str!("databases.sql"))];
    let rows = bearable(unit(client, &opening, None, &list).await)?;
    let mut all = rows.iter().flatten().map(database).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let what = "the sizes of the databases";
    let weigh = [Statement::new(what, include_str!("databases_sizes.sql"))];
    for row in bearable(unit(client, &opening, None, &weigh).await)?.iter().flatten() {
        let mut f = Fields::new(what, row);
        let (oid, bytes) = (f.oid()?, f.opt_i64()?);
        if let Some(place) = all.iter_mut().find(|d| d.oid == oid) {
            place.size_bytes = bytes.and_then(|n| u64::try_from(n).ok());
        }
    }
    Ok(all)
}

fn database(row: &Row) -> Result<ClusterDatabase, ServerError> {
    let mut f = Fields::new("the databases", row);
    Ok(ClusterDatabase {
        oid: f.oid()?,
        name: f.text()?,
        takes_connections: f.bool()?,
        template: f.bool()?,
        may_connect: f.bool()?,
        size_bytes: None,
    })
}

/// Exact sizes of the tables and materialized views of the schemas. A schema in which something is locked exclusively,
/// or was dropped meanwhile, is summed up without it and not called exact.
///
/// # Errors
/// [`ServerError`]; a lock that came in between is retried once.
pub async fn exact(client: &Client, facts: &Facts, limits: Limits, schemas: &[Oid]) -> Result<Exact, ServerError> {
    let what = "the sizes of relations";
    let opening = Opening::new(facts, limits);
    let wanted = || Param::Oids(schemas.iter().map(|oid| oid.0).collect());
    let statements = [
        Statement::new(what, include_str!("sizes_relations.sql")).with(wanted()),
        Statement::new(what, include_str!("sizes_partitioned.sql")).with(wanted()),
    ];
    let rows = unit(client, &opening, None, &statements).await?;
    let [relations, partitioned] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what, column: 0, expected: "two results" });
    };
    let mut listed = Vec::with_capacity(relations.len());
    for row in relations {
        let mut f = Fields::new(what, row);
        listed.push((f.oid()?, f.oid()?, f.count()?));
    }
    let empty = SchemaSize { exact: true, ..SchemaSize::default() };
    let mut sizes: Exact = schemas.iter().map(|schema| (*schema, (empty, BTreeMap::new()))).collect();
    for row in partitioned {
        let mut f = Fields::new(what, row);
        let schema = f.oid()?;
        let count = u32::try_from(f.count()?).unwrap_or(u32::MAX);
        sizes.entry(schema).or_default().0.tables += count;
    }
    for slice in listed.chunks(RELATIONS_PER_STATEMENT) {
        let statement = [Statement::new(what, include_str!("sizes_exact.sql"))
            .with(Param::Oids(slice.iter().map(|(oid, ..)| oid.0).collect()))];
        let rows = match unit(client, &opening, None, &statement).await {
            Err(error) if error.is(&SqlState::LOCK_NOT_AVAILABLE) => unit(client, &opening, None, &statement).await?,
            other => other?,
        };
        let measured = measured(rows.first().map_or(&[], Vec::as_slice))?;
        for (oid, schema, rows) in slice {
            let (sum, relations) = sizes.entry(*schema).or_default();
            sum.tables += 1;
            if let Some(size) = measured.get(oid) {
                sum.table_bytes += size.table_bytes;
                sum.index_bytes += size.index_bytes;
                sum.toast_bytes += size.toast_bytes;
                sum.rows += rows;
                relations.insert(*oid, RelationSize { rows: *rows, ..*size });
            } else {
                sum.exact = false;
            }
        }
    }
    Ok(sizes)
}

fn measured(rows: &[Row]) -> Result<HashMap<Oid, RelationSize>, ServerError> {
    let mut sizes = HashMap::with_capacity(rows.len());
    for row in rows {
        let mut f = Fields::new("the sizes of relations", row);
        let oid = f.oid()?;
        let (Some(total), indexes, toast) = (f.opt_i64()?, f.count()?, f.count()?) else { continue };
        let total = u64::try_from(total).unwrap_or(0);
        let table_bytes = total.saturating_sub(indexes).saturating_sub(toast);
        sizes.insert(oid, RelationSize { table_bytes, index_bytes: indexes, toast_bytes: toast, rows: 0 });
    }
    Ok(sizes)
}

/// Exact sizes in place of estimates, for the schemas that the estimates know.
#[must_use]
pub fn merged(estimates: &Sizes, exact: &Exact) -> Sizes {
    let mut sizes = estimates.clone();
    for (schema, (sum, relations)) in exact {
        if let Some(place) = sizes.schemas.get_mut(schema) {
            *place = *sum;
            sizes.relations.extend(relations);
        }
    }
    sizes
}

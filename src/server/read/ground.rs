//! Reads what a plan stands on, inside a transaction that is open: the same statements and decoders as every other read,
//! of nothing but the schemas that the plan touches. Begins and ends no transaction and knows no plan's steps.

use std::sync::Arc;

use tokio_postgres::Client;

use super::{
    Facts, Opening, ServerError, catalog,
    catalog::{CatalogRead, Hints},
    objects, shapes, versions,
};
use crate::{
    domain::{
        Oid,
        snapshot::{Objects, Sizes, Snapshot, VersionTables},
    },
    plan::{Ground, Key},
    server::reader::version_tables,
};

/// How the things among the keys of these grounds stand now, in the transaction that is open on `client`.
///
/// # Errors
/// [`ServerError`]; the transaction is then over, except when an answer could not be decoded.
pub(crate) async fn ground(client: &Client, facts: &Facts, wanted: &Ground) -> Result<Ground, ServerError> {
    let opening = Opening::inside();
    let mut hints = Hints::default();
    let customary = |key: &Key| !matches!(key, Key::VersionRows { table, .. } if !table.starts_with("alembic_version"));
    if !wanted.keys().all(customary) {
        hints.version_tables = shapes::version_tables_by(client, &opening).await?;
    }
    let CatalogRead { server, catalog, mut candidates } = catalog::core(client, facts, &opening, &hints).await?;
    let names = wanted.schemas();
    let schemas: Vec<Oid> = catalog.schemas.iter().filter(|s| names.contains(s.name.as_str())).map(|s| s.oid).collect();
    let objects = if schemas.is_empty() {
        Objects::default()
    } else {
        objects::objects_by(client, &opening, Some(&schemas), &[], false).await?
    };
    let shapes = if wanted.needs_shapes() {
        Some(shapes::standing(client, &opening, wanted.needs_expressions()).await?)
    } else {
        None
    };
    let versions = if wanted.needs_versions() {
        let asked = |schema: &str, table: &str| {
            wanted
                .keys()
                .any(|key| matches!(key, Key::VersionRows { schema: s, table: t } if s == schema && t == table))
        };
        candidates.retain(|c| asked(&c.schema_name, &c.table.name));
        let rows = versions::rows_inside(client, &candidates).await?;
        version_tables(candidates, &rows, None)
    } else {
        VersionTables::default()
    };
    let snapshot = Snapshot {
        instance: String::new(),
        words: None,
        server: Arc::new(server),
        catalog: Arc::new(catalog),
        shapes: shapes.map(Arc::new),
        objects,
        versions: Arc::new(versions),
        sizes: Arc::new(Sizes::default()),
        activity: None,
        unavailable: Vec::new(),
    };
    Ok(Ground::of(&snapshot, wanted.keys().cloned()))
}

//! Part C of a read: what costs a scan of the large catalogs and changes seldom. Read on a connection of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use tokio_postgres::{Client, Row, error::SqlState};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    catalog::{self, relation_kind, routine_kind},
    fields::{Acls, Fields},
    trails, unit, with_acls,
};
use crate::domain::{
    Acl, Oid,
    snapshot::{
        ColumnGrant, Definer, ForeignKey, ForeignUse, Kind, Overlap, PolicyExpression, Shapes, TableShape, TenantType,
        Unavailable, ViewUse,
    },
};

/// The column that is always looked for.
const TENANT_COLUMN: &str = "tenant_id";

static COLUMNS: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("shapes_columns.sql")));
static DEFINERS: LazyLock<String> = LazyLock::new(|| with_acls(include_str!("shapes_definers.sql")));

/// What one reading of the slow parts brings.
#[derive(Debug, Clone, Default)]
pub struct ShapesRead {
    pub shapes: Shapes,
    /// Tables with a column `version_num` of a character type and no other, whatever their names.
    pub version_tables: Vec<Oid>,
    pub unavailable: Vec<Unavailable>,
}

/// # Errors
/// [`ServerError`]; expressions of policies that are behind a lock are left out and named.
pub async fn shapes(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    tenant_columns: &[String],
) -> Result<ShapesRead, ServerError> {
    let opening = Opening::new(facts, limits);
    let mut names: BTreeSet<String> = tenant_columns.iter().cloned().collect();
    names.insert(TENANT_COLUMN.to_owned());
    let statements = [
        Statement::new("the columns", &COLUMNS).with(Param::Texts(names.into_iter().collect())),
        Statement::new("the foreign keys", include_str!("shapes_foreign_keys.sql")),
        Statement::new("the views", include_str!("shapes_views.sql")),
        Statement::new("the SECURITY DEFINER routines", &DEFINERS),
        Statement::new("row level security", include_str!("shapes_rls.sql")),
        Statement::new("tables of the same name", include_str!("shapes_overlaps.sql")),
        Statement::new("who uses types, sequences and routines", include_str!("shapes_uses.sql")),
        trails::tables(),
        trails::functions(),
        trails::triggers(),
    ];
    let rows = unit(client, &opening, Some(&catalog::gate_statement()), &statements).await?;
    let [gate, columns, foreign_keys, views, definers, rls, overlaps, uses, trails @ ..] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what: "the shapes", column: 0, expected: "eleven results" });
    };
    let mut acls = Acls::default();
    let Columns { grants, mut tables, version_tables } = decode_columns(columns, &mut acls)?;
    decode_rls(rls, &mut tables)?;
    let mut read = ShapesRead {
        shapes: Shapes {
            gate: catalog::gate(gate)?,
            column_grants: grants,
            foreign_keys: decode_foreign_keys(foreign_keys)?,
            views: decode_views(views)?,
            definers: decode_definers(definers, &mut acls)?,
            tables: tables.into_values().collect(),
            policy_expressions: Vec::new(),
            overlaps: decode_overlaps(overlaps)?,
            foreign_uses: decode_uses(uses)?,
            trails: trails::decode(trails)?,
        },
        version_tables,
        unavailable: Vec::new(),
    };
    read.shapes.sort_column_grants();
    expressions(client, &opening, &mut read).await?;
    Ok(read)
}

/// Only the column grants; the rest is empty.
///
/// # Errors
/// [`ServerError`].
pub async fn column_grants(client: &Client, facts: &Facts, limits: Limits) -> Result<Shapes, ServerError> {
    let statement = [Statement::new("the columns", &COLUMNS).with(Param::Texts(Vec::new()))];
    let rows = unit(client, &Opening::new(facts, limits), None, &statement).await?;
    let rows = rows.first().map(Vec::as_slice).unwrap_or_default();
    let column_grants = decode_columns(rows, &mut Acls::default())?.grants;
    let mut shapes = Shapes { column_grants, ..Shapes::default() };
    shapes.sort_column_grants();
    Ok(shapes)
}

/// The part that a ground can stand on: column privileges, foreign keys, views, definers, and expressions of policies if
/// they are asked for, of tables that nobody else has locked; the rest is empty.
///
/// # Errors
/// [`ServerError`].
pub(super) async fn standing(client: &Client, opening: &Opening, expressions: bool) -> Result<Shapes, ServerError> {
    let statements = [
        Statement::new("the columns", &COLUMNS).with(Param::Texts(Vec::new())),
        Statement::new("the foreign keys", include_str!("shapes_foreign_keys.sql")),
        Statement::new("the views", include_str!("shapes_views.sql")),
        Statement::new("the SECURITY DEFINER routines", &DEFINERS),
        trails::tables(),
        trails::functions(),
        trails::triggers(),
    ];
    let rows = unit(client, opening, None, &statements).await?;
    let [columns, foreign_keys, views, definers, trails @ ..] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what: "the shapes", column: 0, expected: "seven results" });
    };
    let mut acls = Acls::default();
    let policy_expressions = if expressions {
        let what = "the expressions of policies";
        let rows = unit(client, opening, None, &[Statement::new(what, UNLOCKED_EXPRESSIONS)]).await?;
        decode_expressions(what, rows.iter().flatten())?
    } else {
        Vec::new()
    };
    let mut shapes = Shapes {
        policy_expressions,
        column_grants: decode_columns(columns, &mut acls)?.grants,
        foreign_keys: decode_foreign_keys(foreign_keys)?,
        views: decode_views(views)?,
        definers: decode_definers(definers, &mut acls)?,
        trails: trails::decode(trails)?,
        ..Shapes::default()
    };
    shapes.sort_column_grants();
    Ok(shapes)
}

/// Only the tables that have the shape of a version table, under any name.
///
/// # Errors
/// [`ServerError`].
pub async fn version_tables(client: &Client, facts: &Facts, limits: Limits) -> Result<Vec<Oid>, ServerError> {
    version_tables_by(client, &Opening::new(facts, limits)).await
}

pub(super) async fn version_tables_by(client: &Client, opening: &Opening) -> Result<Vec<Oid>, ServerError> {
    let what = "tables of the shape of a version table";
    let statement = [Statement::new(what, include_str!("shapes_version_tables.sql"))];
    let rows = unit(client, opening, None, &statement).await?;
    rows.iter().flatten().map(|row| Fields::new(what, row).oid()).collect()
}

/// Expressions wait behind an exclusive lock on their table, so they come last and on their own; when one is locked, the
/// others are read without it.
async fn expressions(client: &Client, opening: &Opening, read: &mut ShapesRead) -> Result<(), ServerError> {
    let what = "the expressions of policies";
    let all = [Statement::new(what, include_str!("shapes_policies.sql"))];
    let unlocked = [Statement::new(what, UNLOCKED_EXPRESSIONS)];
    let rows = match unit(client, opening, None, &all).await {
        Ok(rows) => Ok(rows),
        Err(error) if error.ends_connection() => return Err(error),
        Err(error) => {
            if error.is(&SqlState::LOCK_NOT_AVAILABLE) {
                read.unavailable.push(Unavailable {
                    what: "expressions of policies on tables that are locked exclusively".to_owned(),
                    why: error.to_string(),
                    grant: None,
                });
                unit(client, opening, None, &unlocked).await
            } else {
                Err(error)
            }
        }
    };
    match rows {
        Ok(rows) => read.shapes.policy_expressions = decode_expressions(what, rows.iter().flatten())?,
        Err(error) if error.ends_connection() => return Err(error),
        Err(error) => {
            read.unavailable.push(Unavailable { what: what.to_owned(), why: error.to_string(), grant: None });
        }
    }
    Ok(())
}

/// Without those of tables that others have locked exclusively: they would have to be waited for.
const UNLOCKED_EXPRESSIONS: &str = include_str!("shapes_policies_unlocked.sql");

fn decode_expressions<'a>(
    what: &'static str,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<Vec<PolicyExpression>, ServerError> {
    rows.map(|row| {
        let mut f = Fields::new(what, row);
        Ok(PolicyExpression { relation: f.oid()?, policy: f.text()?, using: f.opt_text()?, check: f.opt_text()? })
    })
    .collect()
}

#[derive(Default)]
struct Columns {
    grants: Vec<ColumnGrant>,
    tables: BTreeMap<Oid, TableShape>,
    version_tables: Vec<Oid>,
}

fn decode_columns(rows: &[Row], acls: &mut Acls) -> Result<Columns, ServerError> {
    let mut columns = Columns::default();
    for row in rows {
        let mut f = Fields::new("the columns", row);
        let (schema, relation, oid, kind, owner) = (f.oid()?, f.text()?, f.oid()?, f.char()?, f.oid()?);
        let (rls, force_rls) = (f.bool()?, f.bool()?);
        let (column, tenant, version) = (f.text()?, f.bool()?, f.bool()?);
        let (attributes, of_type) = (f.i16()?, f.oid()?);
        let acl = f.acl(acls, owner)?;
        let Some(kind) = relation_kind(kind) else { continue };
        // Dropped columns count among the attributes: the candidate is looked at again by its oid.
        if version && kind == Kind::Table && attributes <= 8 {
            columns.version_tables.push(oid);
        }
        if tenant && matches!(kind, Kind::Table | Kind::Partitioned) {
            let shape = columns.tables.entry(oid).or_insert_with(|| TableShape {
                oid,
                schema,
                name: relation.clone(),
                owner,
                rls,
                force_rls,
                tenant_columns: Vec::new(),
                tenant_types: BTreeMap::new(),
            });
            shape.tenant_types.extend(TenantType::of(of_type).map(|t| (column.clone(), t)));
            shape.tenant_columns.push(column.clone());
            shape.tenant_columns.sort_unstable();
        }
        if acl != Acl::NULL {
            columns.grants.push(ColumnGrant { schema, relation, relation_oid: oid, kind, owner, column, acl });
        }
    }
    Ok(columns)
}

fn decode_rls(rows: &[Row], tables: &mut BTreeMap<Oid, TableShape>) -> Result<(), ServerError> {
    for row in rows {
        let mut f = Fields::new("row level security", row);
        let shape = TableShape {
            oid: f.oid()?,
            schema: f.oid()?,
            name: f.text()?,
            owner: f.oid()?,
            rls: f.bool()?,
            force_rls: f.bool()?,
            tenant_columns: Vec::new(),
            tenant_types: BTreeMap::new(),
        };
        tables.entry(shape.oid).or_insert(shape);
    }
    Ok(())
}

fn decode_foreign_keys(rows: &[Row]) -> Result<Vec<ForeignKey>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the foreign keys", row);
            Ok(ForeignKey {
                name: f.text()?,
                schema: f.oid()?,
                table: f.text()?,
                to_schema: f.oid()?,
                to_table: f.text()?,
                validated: f.bool()?,
            })
        })
        .collect()
}

fn decode_views(rows: &[Row]) -> Result<Vec<ViewUse>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the views", row);
            Ok(ViewUse {
                schema: f.oid()?,
                view: f.text()?,
                owner: f.oid()?,
                materialized: f.bool()?,
                security_invoker: f.texts()?.iter().any(|option| is_on(option, "security_invoker")),
                uses_schema: f.oid()?,
                uses: f.text()?,
                uses_owner: f.oid()?,
                uses_rls: f.bool()?,
                uses_force_rls: f.bool()?,
            })
        })
        .collect()
}

/// `name=value` with a value that the server takes for true (`parse_bool`: any beginning of true, yes, on, and 1).
pub(super) fn is_on(option: &str, name: &str) -> bool {
    let Some((key, value)) = option.split_once('=') else { return false };
    let value = value.to_ascii_lowercase();
    key == name
        && !value.is_empty()
        && (value == "1" || value == "on" || ["true", "yes"].iter().any(|word| word.starts_with(&value)))
}

fn decode_definers(rows: &[Row], acls: &mut Acls) -> Result<Vec<Definer>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the SECURITY DEFINER routines", row);
            let (schema, signature, owner) = (f.oid()?, f.text()?, f.oid()?);
            let settings = f.texts()?;
            let search_path = settings.iter().find_map(|s| s.strip_prefix("search_path=")).map(str::to_owned);
            Ok(Definer { schema, signature, owner, search_path, extension: f.bool()?, acl: f.acl(acls, owner)? })
        })
        .collect()
}

fn decode_overlaps(rows: &[Row]) -> Result<Vec<Overlap>, ServerError> {
    let mut overlaps = rows
        .iter()
        .map(|row| {
            let mut f = Fields::new("tables of the same name", row);
            let (table, mut schemas) = (f.text()?, f.oids()?);
            schemas.sort_unstable();
            Ok::<_, ServerError>(Overlap { table, schemas })
        })
        .collect::<Result<Vec<_>, _>>()?;
    overlaps.sort_unstable_by(|a, b| a.table.cmp(&b.table));
    Ok(overlaps)
}

fn decode_uses(rows: &[Row]) -> Result<Vec<ForeignUse>, ServerError> {
    let mut uses = rows
        .iter()
        .map(|row| {
            let mut f = Fields::new("who uses types, sequences and routines", row);
            let kind = match f.char()? {
                'T' => Kind::Type,
                'S' => Kind::Sequence,
                routine => routine_kind(routine),
            };
            Ok::<_, ServerError>(ForeignUse {
                kind,
                schema: f.oid()?,
                name: f.text()?,
                owner: f.oid()?,
                used_by: f.oids()?,
                example: f.opt_text()?.unwrap_or_default(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    uses.sort_unstable_by(|a, b| (a.schema, a.kind, &a.name).cmp(&(b.schema, b.kind, &b.name)));
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_on_as_the_server_reads_it() {
        for on in ["true", "TRUE", "t", "yes", "on", "1"] {
            assert!(is_on(&format!("security_invoker={on}"), "security_invoker"), "{on}");
        }
        for off in ["false", "off", "0", "no", "o", ""] {
            assert!(!is_on(&format!("security_invoker={off}"), "security_invoker"), "{off}");
        }
        assert!(!is_on("security_barrier=true", "security_invoker"));
    }
}

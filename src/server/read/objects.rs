//! Names of single objects, for the schemas that somebody looks into, or for all of them.
//! Objects that are alike travel together, so that each access control list is spelled out once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use tokio_postgres::{Client, Row};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    catalog::{relation_kind, routine_kind},
    fields::{Acls, Fields},
    unit, with_acls,
};
use crate::domain::{
    Oid,
    snapshot::{Kind, Object, Objects, SchemaObjects},
};

/// One template for "these schemas" and one for "all": a scan of all needs no comparison per row.
struct Template {
    some: String,
    all: String,
}

impl Template {
    fn new(text: &str) -> Template {
        let text = with_acls(text);
        let (before, rest) = text.split_once("@schemas(").unwrap_or((&text, ")"));
        let (column, after) = rest.split_once(')').unwrap_or((rest, ""));
        Template { some: format!("{before}{column} = any ($1){after}"), all: format!("{before}true{after}") }
    }

    fn statement(&'static self, what: &'static str, schemas: Option<&[Oid]>) -> Statement {
        match schemas {
            Some(schemas) => {
                Statement::new(what, &self.some).with(Param::Oids(schemas.iter().map(|oid| oid.0).collect()))
            }
            None => Statement::new(what, &self.all),
        }
    }
}

static RELATIONS: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects.sql")));
static ROUTINES: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects_routines.sql")));
static TYPES: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects_types.sql")));
static OWNED: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects_owned_sequences.sql")));

/// Reads the objects of the schemas, or of all non-system schemas of `known` when `schemas` is `None`.
///
/// # Errors
/// [`ServerError`].
pub async fn objects(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    schemas: Option<&[Oid]>,
    known: &[Oid],
) -> Result<Objects, ServerError> {
    objects_by(client, &Opening::new(facts, limits), schemas, known).await
}

pub(super) async fn objects_by(
    client: &Client,
    opening: &Opening,
    schemas: Option<&[Oid]>,
    known: &[Oid],
) -> Result<Objects, ServerError> {
    let statements = [
        RELATIONS.statement("the names of relations", schemas),
        ROUTINES.statement("the names of routines", schemas),
        TYPES.statement("the names of types", schemas),
        OWNED.statement("the owners of sequences", schemas),
        Statement::new("the members of extensions", include_str!("objects_extension.sql")),
    ];
    let rows = unit(client, opening, None, &statements).await?;
    let [relations, routines, types, owned, extension] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what: "the objects", column: 0, expected: "five results" });
    };
    let owners = pairs(owned)?;
    let members = extension
        .iter()
        .map(|row| Fields::new("the members of extensions", row).oid())
        .collect::<Result<HashSet<_>, _>>()?;

    let mut found: BTreeMap<Oid, SchemaObjects> = BTreeMap::new();
    for schema in schemas.unwrap_or_default() {
        found.entry(*schema).or_default(); // an empty schema was looked into, too
    }
    if schemas.is_none() {
        for schema in known {
            found.entry(*schema).or_default();
        }
    }
    let mut acls = Acls::default();
    for row in relations {
        let mut f = Fields::new("the names of relations", row);
        let (schema, kind, owner) = (f.oid()?, f.char()?, f.oid()?);
        let acl = f.acl(&mut acls, owner)?;
        let Some(kind) = relation_kind(kind) else { continue };
        let Some(objects) = found.get_mut(&schema) else { continue };
        let (oids, names) = (f.oids()?, f.texts()?);
        let (rls, forced, tuples) = (f.bools()?, f.bools()?, f.longs()?);
        for (i, (oid, name)) in oids.into_iter().zip(names).enumerate() {
            objects.relations.push(Object {
                oid,
                kind,
                name,
                owner,
                acl: acl.clone(),
                extension: members.contains(&oid),
                rls: rls.get(i).copied().unwrap_or(false),
                force_rls: forced.get(i).copied().unwrap_or(false),
                owned_by: owners.get(&oid).copied(),
                rows_estimate: tuples.get(i).filter(|_| kind != Kind::Sequence).and_then(|n| u64::try_from(*n).ok()),
            });
        }
    }
    for (rows, what) in [(routines, "the names of routines"), (types, "the names of types")] {
        let is_type = what == "the names of types";
        for row in rows {
            let mut f = Fields::new(what, row);
            let schema = f.oid()?;
            let kind = if is_type { Kind::Type } else { routine_kind(f.char()?) };
            let owner = f.oid()?;
            let acl = f.acl(&mut acls, owner)?;
            let Some(objects) = found.get_mut(&schema) else { continue };
            let list = if is_type { &mut objects.types } else { &mut objects.routines };
            let (oids, names) = (f.oids()?, f.texts()?);
            list.extend(oids.into_iter().zip(names).map(|(oid, name)| Object {
                oid,
                kind,
                name,
                owner,
                acl: acl.clone(),
                extension: members.contains(&oid),
                rls: false,
                force_rls: false,
                owned_by: None,
                rows_estimate: None,
            }));
        }
    }
    Ok(Objects(
        found
            .into_iter()
            .map(|(schema, mut objects)| {
                for list in [&mut objects.relations, &mut objects.routines, &mut objects.types] {
                    list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                }
                (schema, Arc::new(objects))
            })
            .collect(),
    ))
}

fn pairs(rows: &[Row]) -> Result<HashMap<Oid, Oid>, ServerError> {
    rows.iter()
        .map(|row| {
            let mut f = Fields::new("the owners of sequences", row);
            Ok((f.oid()?, f.oid()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_needs_no_parameter() {
        assert!(!RELATIONS.all.contains("$1") && !RELATIONS.all.contains('@'));
        assert!(RELATIONS.some.contains("c.relnamespace = any ($1)") && !RELATIONS.some.contains('@'));
    }
}

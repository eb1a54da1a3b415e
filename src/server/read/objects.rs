//! Names of single objects, for the schemas that somebody looks into, or for all of them.
//! Objects that are alike travel together, so that each access control list is spelled out once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use tokio_postgres::{Client, Row};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    catalog::{relation_kind, routine_kind},
    fields::{Acls, Fields},
    unit_each, with_acls,
};
use crate::domain::{
    Oid,
    snapshot::{IndexName, Kind, Numbered, Object, Objects, SchemaObjects},
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
static INDEXES: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects_indexes.sql")));
static NUMBERED: LazyLock<Template> = LazyLock::new(|| Template::new(include_str!("objects_numbered.sql")));
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
    objects_by(client, &Opening::new(facts, limits), schemas, known, true).await
}

/// `numbered`: with the columns that take numbers of sequences, see [`SchemaObjects::numbered`].
pub(super) async fn objects_by(
    client: &Client,
    opening: &Opening,
    schemas: Option<&[Oid]>,
    known: &[Oid],
    numbered: bool,
) -> Result<Objects, ServerError> {
    // What the decoding of relations looks up comes first.
    let mut statements = vec![
        Statement::new("the members of extensions", include_str!("objects_extension.sql")),
        OWNED.statement("the owners of sequences", schemas),
        RELATIONS.statement("the names of relations", schemas),
        ROUTINES.statement("the names of routines", schemas),
        TYPES.statement(TYPES_READ, schemas),
    ];
    // Names in the way of what moves: nobody moves everything.
    statements.extend(schemas.map(|_| INDEXES.statement(INDEXES_READ, schemas)));
    statements.extend(numbered.then(|| NUMBERED.statement(NUMBERED_READ, schemas)));
    let mut decoder = Decoder::default();
    // an empty schema was looked into, too
    decoder.found.extend(schemas.unwrap_or(known).iter().map(|schema| (*schema, SchemaObjects::default())));
    unit_each(client, opening, None, &statements, |at, row| match at {
        0 => decoder.member(&row),
        1 => decoder.owned(&row),
        2 => decoder.relations(&row),
        3 => decoder.others("the names of routines", &row),
        4 => decoder.others(TYPES_READ, &row),
        5 if schemas.is_some() => decoder.indexes(&row),
        _ => decoder.numbered(&row),
    })
    .await?;
    Ok(decoder.finish())
}

/// What the statement of types reads.
const TYPES_READ: &str = "the names of types";
/// What the statement of indexes reads.
const INDEXES_READ: &str = "the names of indexes";
/// What the statement of defaults reads.
const NUMBERED_READ: &str = "the defaults that take numbers of sequences";

/// Takes the rows as they come: a database has hundreds of thousands of names.
#[derive(Default)]
struct Decoder {
    /// An object and the extension that it belongs to.
    members: HashMap<Oid, Oid>,
    /// A sequence and the table that owns it; ascending once relations are decoded.
    owners: Vec<(Oid, Oid)>,
    sorted: bool,
    acls: Acls,
    found: BTreeMap<Oid, SchemaObjects>,
}

impl Decoder {
    fn member(&mut self, row: &Row) -> Result<(), ServerError> {
        let mut f = Fields::new("the members of extensions", row);
        let (object, extension) = (f.oid()?, f.oid()?);
        self.members.insert(object, extension);
        let schema = f.oid()?;
        if let Some(name) = f.opt_text()?
            && let Some(objects) = self.found.get_mut(&schema)
        {
            objects.member_types.insert(name, extension);
        }
        Ok(())
    }

    fn owned(&mut self, row: &Row) -> Result<(), ServerError> {
        let mut f = Fields::new("the owners of sequences", row);
        self.owners.push((f.oid()?, f.oid()?));
        Ok(())
    }

    fn relations(&mut self, row: &Row) -> Result<(), ServerError> {
        if !self.sorted {
            self.owners.sort_unstable();
            self.sorted = true;
        }
        let mut f = Fields::new("the names of relations", row);
        let (schema, kind, owner) = (f.oid()?, f.char()?, f.oid()?);
        let acl = f.acl(&mut self.acls, owner)?;
        let Some(kind) = relation_kind(kind) else { return Ok(()) };
        let Some(objects) = self.found.get_mut(&schema) else { return Ok(()) };
        let (oids, names) = (f.oids()?, f.texts()?);
        let (rls, forced, tuples) = (f.bools()?, f.bools()?, f.longs()?);
        objects.relations.reserve_exact(oids.len());
        for (i, (oid, name)) in oids.into_iter().zip(names).enumerate() {
            let extension = self.members.get(&oid);
            objects.members.extend(extension.map(|extension| (oid, *extension)));
            let owner_of = self.owners.binary_search_by_key(&oid, |(sequence, _)| *sequence).ok();
            objects.relations.push(Object {
                oid,
                kind,
                name,
                owner,
                acl: acl.clone(),
                extension: extension.is_some(),
                rls: rls.get(i).copied().unwrap_or(false),
                force_rls: forced.get(i).copied().unwrap_or(false),
                owned_by: owner_of.and_then(|at| self.owners.get(at)).map(|(_, table)| *table),
                rows_estimate: tuples.get(i).filter(|_| kind != Kind::Sequence).and_then(|n| u64::try_from(*n).ok()),
            });
        }
        Ok(())
    }

    /// Routines and types.
    fn others(&mut self, what: &'static str, row: &Row) -> Result<(), ServerError> {
        let is_type = what == TYPES_READ;
        let mut f = Fields::new(what, row);
        let schema = f.oid()?;
        let kind = if is_type { Kind::Type } else { routine_kind(f.char()?) };
        let owner = f.oid()?;
        let acl = f.acl(&mut self.acls, owner)?;
        let Some(objects) = self.found.get_mut(&schema) else { return Ok(()) };
        let list = if is_type { &mut objects.types } else { &mut objects.routines };
        let (oids, names) = (f.oids()?, f.texts()?);
        list.reserve_exact(oids.len());
        let known = &self.members;
        objects.members.extend(oids.iter().filter_map(|oid| Some((*oid, *known.get(oid)?))));
        list.extend(oids.into_iter().zip(names).map(|(oid, name)| Object {
            oid,
            kind,
            name,
            owner,
            acl: acl.clone(),
            extension: known.contains_key(&oid),
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        }));
        Ok(())
    }

    fn indexes(&mut self, row: &Row) -> Result<(), ServerError> {
        let mut f = Fields::new(INDEXES_READ, row);
        let schema = f.oid()?;
        let Some(objects) = self.found.get_mut(&schema) else { return Ok(()) };
        let (tables, names) = (f.oids()?, f.texts()?);
        objects.indexes.extend(tables.into_iter().zip(names).map(|(table, name)| IndexName { table, name }));
        Ok(())
    }

    fn numbered(&mut self, row: &Row) -> Result<(), ServerError> {
        let mut f = Fields::new(NUMBERED_READ, row);
        let (of, table, column) = (f.oid()?, f.oid()?, f.text()?);
        let (schema, sequence, owner) = (f.text()?, f.text()?, f.oid()?);
        let acl = f.acl(&mut self.acls, owner)?;
        let Some(objects) = self.found.get_mut(&of) else { return Ok(()) };
        objects.numbered.push(Numbered { table, column, schema, sequence, owner, acl });
        Ok(())
    }

    fn finish(self) -> Objects {
        let sorted = self.found.into_iter().map(|(schema, mut objects)| {
            for list in [&mut objects.relations, &mut objects.routines, &mut objects.types] {
                list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            }
            objects.numbered.sort_unstable_by(|a, b| (a.table, &a.column).cmp(&(b.table, &b.column)));
            (schema, Arc::new(objects))
        });
        Objects(sorted.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_needs_no_parameter() {
        assert!(!RELATIONS.all.contains("$1") && !RELATIONS.all.contains('@'));
        assert!(!NUMBERED.all.contains("$1") && !NUMBERED.all.contains('@'));
        assert!(RELATIONS.some.contains("c.relnamespace = any ($1)") && !RELATIONS.some.contains('@'));
    }
}

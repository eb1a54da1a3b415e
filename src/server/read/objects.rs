//! Names of single objects, for the schemas that somebody looks into, or for all of them.
//! Objects that are alike travel together, so that each access control list is spelled out once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

use tokio_postgres::{Client, Row};

use super::{
    Facts, Limits, Opening, Param, ServerError, Statement,
    catalog::{relation_kind, routine_kind},
    fields::{Acls, Fields},
    shapes::is_on,
    sublinks, unit, unit_each, with_acls,
};
use crate::domain::{
    Oid, Privilege,
    snapshot::{Asked, IndexName, Kind, Named, Numbered, Object, Objects, SchemaObjects, ViewQuery},
};

/// One template for "these schemas" and one for "all": a scan of all needs no comparison per row.
struct Template {
    some: String,
    all: String,
}

impl Template {
    fn new(text: &str) -> Template {
        let text = with_acls(text);
        let (mut some, mut all) = (String::new(), String::new());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("@schemas(") {
            let (column, after) = after.split_once(')').unwrap_or((after, ""));
            some.extend([before, "(", column, " = any ($1))"]);
            all.extend([before, "true"]);
            rest = after;
        }
        Template { some: some + rest, all: all + rest }
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
static VIEWS: LazyLock<Template> = LazyLock::new(|| {
    Template::new(&include_str!("objects_views.sql").replace("@permissions", &format!("'{PERMISSIONS}'")))
});
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

/// In a stored query: a relation, what is required of it, and the columns that are read, as numbers 7 above the column's. In
/// 14 and 15 these stand in the entry of the range table, a TABLESAMPLE clause between them; from 16 on in an entry of their
/// own. Names cannot look like it: their blanks and braces are stored with a backslash.
const PERMISSIONS: &str = concat!(
    ":relid ([0-9]+) ",
    "(?:[^{}]|:tablesample [{](?:[^{}]|[{](?:[^{}]|[{][^{}]*[}])*[}])*[}])*",
    ":requiredPerms ([0-9]+) :checkAsUser [0-9]+ :selectedCols [(]b([0-9 ]*)[)]"
);

/// What the views of these schemas (or of all, `None`) ask for beneath them, put beside the objects of each schema that was
/// read. Nothing is opened and nothing is run: it stands in the stored rules.
///
/// # Errors
/// [`ServerError`].
pub async fn views(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    schemas: Option<&[Oid]>,
    objects: &mut Objects,
) -> Result<(), ServerError> {
    let any = |of: &Arc<SchemaObjects>| of.relations.iter().any(|o| o.kind == Kind::View);
    let mut found: BTreeMap<Oid, BTreeMap<Oid, ViewQuery>> = BTreeMap::new();
    if objects.0.values().any(any) {
        let statement = [VIEWS.statement(VIEWS_READ, schemas)];
        let rows = unit(client, &Opening::new(facts, limits), None, &statement).await?;
        let mut acls = Acls::default();
        for row in rows.iter().flatten() {
            decode_view(row, &mut acls, &mut found)?;
        }
        place(client, facts, limits, &mut found).await?;
    }
    for (schema, of) in &mut objects.0 {
        Arc::make_mut(of).views = Some(found.remove(schema).unwrap_or_default());
    }
    Ok(())
}

/// Marks what views name in subqueries of select lists.
async fn place(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    found: &mut BTreeMap<Oid, BTreeMap<Oid, ViewQuery>>,
) -> Result<(), ServerError> {
    let what = "the queries of views with subqueries";
    let views: BTreeSet<u32> = found.values().flat_map(|views| views.keys()).map(|view| view.0).collect();
    let statement = Statement::new(what, include_str!("objects_sublinks.sql"));
    let statement = [statement.with(Param::Oids(views.into_iter().collect()))];
    let rows = unit(client, &Opening::new(facts, limits), None, &statement).await?;
    for row in rows.iter().flatten() {
        let mut f = Fields::new(what, row);
        let (view, places) = (f.oid()?, sublinks::places(&f.text()?));
        for asked in found.values_mut().filter_map(|views| views.get_mut(&view)).flat_map(|query| &mut query.asks) {
            asked.named = places.get(&asked.relation).copied().unwrap_or_default();
        }
    }
    Ok(())
}

fn decode_view(
    row: &Row,
    acls: &mut Acls,
    found: &mut BTreeMap<Oid, BTreeMap<Oid, ViewQuery>>,
) -> Result<(), ServerError> {
    let mut f = Fields::new(VIEWS_READ, row);
    let (origin, view, owner) = (f.oid()?, f.oid()?, f.oid()?);
    let invoker = f.texts()?.iter().any(|option| is_on(option, "security_invoker"));
    // of the stored query the head stands before every query inside it, and its end behind them
    let (diverted, unwritable, defaults) = (f.bool()?, f.bool()?, f.texts()?);
    let query = found.entry(origin).or_default().entry(view).or_insert_with(|| ViewQuery {
        owner,
        invoker,
        diverted,
        unwritable,
        defaults,
        asks: Vec::new(),
    });
    let (relation, schema) = (f.oid()?, f.oid()?);
    let (place, name) = (f.opt_text()?.unwrap_or_default(), f.opt_text()?.unwrap_or_default());
    let (kind, owner, bits) = (relation_kind(f.char()?), f.oid()?, f.opt_i32()?.unwrap_or_default());
    let (columns, whole_row) = (f.texts()?, f.bool()?);
    let acl = f.acl(acls, owner)?;
    // ACL_INSERT, ACL_SELECT, ACL_UPDATE, ACL_DELETE of `parsenodes.h`
    let known = [Privilege::Insert, Privilege::Select, Privilege::Update, Privilege::Delete];
    let privileges = known.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, p)| p).collect();
    if let Some(kind) = kind.filter(|_| relation != Oid::ZERO) {
        let named = Named::Always;
        query.asks.push(Asked {
            relation,
            schema,
            place,
            name,
            kind,
            owner,
            acl,
            privileges,
            columns,
            whole_row,
            named,
        });
    }
    Ok(())
}

/// The columns of one relation, in their order.
///
/// # Errors
/// [`ServerError`].
pub async fn columns(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    relation: Oid,
) -> Result<Vec<String>, ServerError> {
    let what = "the columns of a relation";
    let statement = [Statement::new(what, include_str!("columns.sql")).with(Param::Oids(vec![relation.0]))];
    let rows = unit(client, &Opening::new(facts, limits), None, &statement).await?;
    rows.iter().flatten().map(|row| Fields::new(what, row).text()).collect()
}

/// Schema and name of relations that are called by one of these names, wherever they stand; at most 20.
///
/// # Errors
/// [`ServerError`].
pub async fn named(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    names: Vec<String>,
) -> Result<Vec<(String, String)>, ServerError> {
    let what = "relations of a name";
    let statement = [Statement::new(what, include_str!("objects_named.sql")).with(Param::Texts(names))];
    let rows = unit(client, &Opening::new(facts, limits), None, &statement).await?;
    let decode = |row: &Row| {
        let mut f = Fields::new(what, row);
        Ok((f.text()?, f.text()?))
    };
    rows.iter().flatten().map(decode).collect()
}

/// What the statement of views reads.
const VIEWS_READ: &str = "what views ask for beneath them";
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
        assert!(!VIEWS.all.contains("$1") && !VIEWS.all.contains('@') && !VIEWS.some.contains('@'));
    }
}

//! What uses what around one schema: asked for by plans that move things, never by the refresh. Catalogs only.

use tokio_postgres::{Client, Row};

use super::{Facts, Limits, Opening, Param, ServerError, Statement, fields::Fields, unit};
use crate::domain::{
    Oid,
    dependencies::{Body, Class, Dependencies, TextDefault, Thing, Through, Use},
};

const USES: &str = "what uses what";

/// Reads the dependencies around one schema.
///
/// # Errors
/// [`ServerError`].
pub async fn dependencies(
    client: &Client,
    facts: &Facts,
    limits: Limits,
    version_num: u32,
    schema: Oid,
) -> Result<Dependencies, ServerError> {
    let of = |what: &'static str, sql: &'static str| Statement::new(what, sql).with(Param::Oids(vec![schema.0]));
    let mut statements = vec![
        of(USES, include_str!("depends.sql")),
        of("the texts of routines", include_str!("depends_bodies.sql")),
        // pg_get_expr opens the table, and waits where somebody holds it: it is called only for defaults whose stored tree
        // holds a text (type 25) that is looked up as a relation (type 2205), or the schema's name, byte by byte.
        of("defaults that name a schema", include_str!("depends_defaults.sql")),
    ];
    if version_num >= 150_000 {
        statements.push(of("the publications of a schema", include_str!("depends_publications.sql")));
    }
    let rows = unit(client, &Opening::new(facts, limits), None, &statements).await?;
    let [uses, bodies, defaults, publications @ ..] = rows.as_slice() else {
        return Err(ServerError::Unreadable { what: USES, column: 0, expected: "three results" });
    };
    let mut found = Dependencies { schema, ..Dependencies::default() };
    for row in uses {
        found.uses.extend(decode_use(row)?);
    }
    found.uses.sort();
    for row in bodies {
        let mut f = Fields::new("the texts of routines", row);
        found.bodies.push(Body {
            oid: f.oid()?,
            schema: f.oid()?,
            signature: f.text()?,
            security_definer: f.bool()?,
            settings: f.texts()?,
            source: f.text()?,
        });
    }
    for row in defaults {
        let mut f = Fields::new("defaults that name a schema", row);
        found.text_defaults.push(TextDefault {
            relation: f.oid()?,
            table: f.text()?,
            column: f.text()?,
            expression: f.text()?,
        });
    }
    for row in publications.iter().flatten() {
        found.publications.push(Fields::new("the publications of a schema", row).text()?);
    }
    Ok(found)
}

fn decode_use(row: &Row) -> Result<Option<Use>, ServerError> {
    let mut f = Fields::new(USES, row);
    let (class, oid, schema, name) = (f.text()?, f.oid()?, f.oid()?, f.text()?);
    let through = f.text()?;
    let (used_class, used_oid, used_schema, used_name) = (f.opt_text()?, f.oid()?, f.oid()?, f.opt_text()?);
    let extension = f.opt_text()?;
    let (Some(class), Some(through)) = (class_of(&class), through_of(&through)) else { return Ok(None) };
    let used = match (used_class.as_deref().and_then(class_of), used_name) {
        (Some(class), Some(name)) => Some(Thing { class, oid: used_oid, schema: used_schema, name }),
        _ => None,
    };
    Ok(Some(Use { user: Thing { class, oid, schema, name }, through, used, extension }))
}

fn class_of(letter: &str) -> Option<Class> {
    match letter {
        "r" => Some(Class::Relation),
        "p" => Some(Class::Routine),
        "t" => Some(Class::Type),
        _ => None,
    }
}

fn through_of(letter: &str) -> Option<Through> {
    match letter {
        "i" => Some(Through::Itself),
        "h" => Some(Through::Part),
        "d" => Some(Through::Default),
        "q" => Some(Through::Query),
        "t" => Some(Through::Trigger),
        "f" => Some(Through::ForeignKey),
        "c" => Some(Through::Constraint),
        "p" => Some(Through::Policy),
        _ => None,
    }
}

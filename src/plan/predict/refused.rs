//! What the server would not do, and what stands in the way of what somebody wants moved, in words.

use crate::{
    domain::{
        ObjectKind,
        snapshot::{Catalog, IndexName, Kind, Object, SchemaObjects},
    },
    text,
};

/// The server would not do that, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    pub fn new(why: impl Into<String>) -> Refused {
        Refused(why.into())
    }

    /// Nobody has that name; who comes nearest, or who there is.
    #[must_use]
    pub fn no_role(catalog: &Catalog, name: &str) -> Refused {
        Refused::no_role_that(catalog, name, "")
    }

    /// As [`Refused::no_role`], with what the role is wanted for.
    #[must_use]
    pub fn no_role_that(catalog: &Catalog, name: &str, wanted: &str) -> Refused {
        let people = catalog.roles.iter().filter(|r| !r.is_predefined() && !r.is_platform());
        missing("role", name, wanted, people.map(|r| r.name.as_str()))
    }

    /// No schema has that name; which comes nearest, or which there are.
    #[must_use]
    pub fn no_schema(catalog: &Catalog, name: &str) -> Refused {
        Refused::no_schema_that(catalog, name, "")
    }

    /// As [`Refused::no_schema`], with what the schema is wanted for.
    #[must_use]
    pub fn no_schema_that(catalog: &Catalog, name: &str, wanted: &str) -> Refused {
        let people = catalog.schemas.iter().filter(|s| !s.is_system());
        missing("schema", name, wanted, people.map(|s| s.name.as_str()))
    }
}

fn missing<'a>(kind: &str, name: &str, wanted: &str, there: impl Iterator<Item = &'a str>) -> Refused {
    let there: Vec<&str> = there.collect();
    let gap = if wanted.is_empty() { "" } else { " " };
    let head = format!("there is no {kind} {name}{gap}{wanted}");
    Refused(match text::nearest(name, there.iter().copied()) {
        Some(near) => format!("{head}; the nearest is {near}"),
        None if there.is_empty() => head,
        None => format!("{head}; there {} {}", if there.len() == 1 { "is" } else { "are" }, text::list(&there, 6)),
    })
}

/// What has a name already that a relation would have: another relation, an index; a type, where the relation brings one of
/// its own.
pub(super) fn holder(there: &SchemaObjects, name: &str, brings_type: bool) -> Option<&'static str> {
    let relation = there.relations.iter().find(|o| o.name == name).map(|o| o.kind.word());
    let index = || there.indexes.iter().any(|i| i.name == name).then_some("index");
    let of_type = || (brings_type && there.types.iter().any(|o| o.name == name)).then_some("type");
    relation.or_else(index).or_else(of_type)
}

/// What is in the way of these objects and indexes in the schema they would come to, each with its kind.
#[must_use]
pub fn in_the_way(there: &SchemaObjects, to: &str, going: &[&Object], indexes: &[&IndexName]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |what: &str, name: &str| {
        let words = format!("{what} {to}.{name}");
        if !found.contains(&words) {
            found.push(words);
        }
    };
    for object in going {
        let name = object.name.as_str();
        match object.kind.object_kind() {
            ObjectKind::Routine => {
                let twin = there.routines.iter().find(|o| o.name == name && o.kind == object.kind);
                if let Some(o) = twin {
                    add(o.kind.word(), name);
                }
            }
            ObjectKind::Type => {
                // every relation but a sequence is a type, too
                let row = there.relations.iter().find(|o| o.name == name && o.kind != Kind::Sequence);
                let twin = there.types.iter().find(|o| o.name == name);
                row.or(twin).into_iter().for_each(|o| add(o.kind.word(), name));
            }
            ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => {
                if let Some(what) = holder(there, name, object.kind != Kind::Sequence) {
                    add(what, name);
                }
            }
        }
    }
    for index in indexes {
        if let Some(what) = holder(there, &index.name, false) {
            add(what, &index.name);
        }
    }
    found
}

/// The refusal that names what is in the way.
#[must_use]
pub fn refused_for(clashes: &[String]) -> Option<Refused> {
    let verb = match clashes {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    Some(Refused(format!(
        "{} {verb} there already: rename one side first, or leave it where it is",
        text::list(clashes, 8)
    )))
}

/// Why rows of this table are left alone: what its owner wrote would run with the rights of whoever moves them.
pub(crate) fn stirs(table: &str) -> String {
    format!(
        "a change of the rows of {table} would run what somebody wrote there, with your rights: it has triggers, rules, \
         CHECK constraints, foreign keys, indexes with expressions, row level security or tables that inherit from it. \
         Look at it with \\d {table}; drop what is not needed, or let its owner move the rows by hand"
    )
}

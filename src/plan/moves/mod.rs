//! Plans that move: version tables and their rows, tables with what belongs to them, a whole service out of a schema that
//! it shares. Nothing is guessed: what the database and the scripts do not decide becomes a question, with the flag that
//! answers it. Knows no files, no screens and no servers.

pub mod isolate;
pub mod objects;
pub mod tables;
pub mod versions;
mod whereabouts;

use std::collections::BTreeMap;

use super::{Hazard, HazardKind, Plan};
use crate::{
    domain::{
        ObjectKind, Privilege,
        effective::{Matrix, Who},
        snapshot::{Catalog, Snapshot},
    },
    policy::Service,
};

pub use whereabouts::Whereabouts;

/// What somebody said about the questions: by [`Question::about`], yes or no.
pub type Answers = BTreeMap<String, bool>;

/// Something that nothing decides but a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// Names it, for [`Answers`]: `row:1b2c`, `table:users`.
    pub about: String,
    /// What is not known and why, to be answered with yes or no.
    pub sentence: String,
    /// The flag that answers it with yes: `--rows 1b2c`.
    pub flag: String,
}

/// A plan, what it leaves open, and where every role will find its version table.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Without everything that is still a question.
    pub plan: Plan,
    pub questions: Vec<Question>,
    /// Before and after, for every role that looks for one of the version tables.
    pub whereabouts: Vec<Whereabouts>,
    /// The service that is set up by it, as a policy would declare it.
    pub service: Option<Service>,
}

/// `SCHEMA` or `SCHEMA.TABLE`, odd names in double quotes; `None` for anything else.
#[must_use]
pub fn place(text: &str) -> Option<(String, Option<String>)> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => parts.last_mut().into_iter().for_each(|p| p.push('"')),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c => parts.last_mut().into_iter().for_each(|p| p.push(c)),
        }
    }
    match parts.as_slice() {
        [schema] if !quoted => Some((schema.clone(), None)),
        [schema, table] if !quoted => Some((schema.clone(), Some(table.clone()))),
        _ => None,
    }
}

/// `SCHEMA.TABLE` as [`place`] reads it.
#[must_use]
pub fn place_of(schema: &str, table: &str) -> String {
    let part = |name: &str| {
        if name.contains(['.', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
    };
    format!("{}.{}", part(schema), part(table))
}

/// The names or globs of a file: one on each line, `#` begins a remark.
#[must_use]
pub fn listed(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn note(kind: HazardKind, sentence: impl Into<String>) -> Hazard {
    Hazard { kind, sentence: sentence.into() }
}

/// True when the role, given by name, holds the privilege on the schema; false for what is not there.
fn may(catalog: &Catalog, matrix: &Matrix, role: &str, schema: &str, privilege: Privilege) -> bool {
    let (Some(role), Some(schema)) = (matrix.index.role_named(role), catalog.schema_named(schema)) else {
        return false;
    };
    matrix.rights(catalog, Who::Role(role), ObjectKind::Schema, schema.owner, &schema.acl).contains(privilege)
}

/// The owner of a schema by name; the database's owner where `pg_database_owner` stands for it.
fn owner_of_schema(snapshot: &Snapshot, schema: &str) -> Option<String> {
    let catalog = &snapshot.catalog;
    let owner = catalog.role_name(catalog.schema_named(schema)?.owner);
    Some(if owner == "pg_database_owner" { catalog.role_name(catalog.database.owner) } else { owner })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Ground, build, predict::predict, undo};

    #[test]
    fn a_place_may_have_odd_names() {
        assert_eq!(place("public"), Some(("public".into(), None)));
        assert_eq!(place("public.alembic_version_auth"), Some(("public".into(), Some("alembic_version_auth".into()))));
        assert_eq!(place("\"a.b\".\"c\"\"d\""), Some(("a.b".into(), Some("c\"d".into()))));
        assert_eq!(place(&place_of("a.b", "c\"d")), Some(("a.b".into(), Some("c\"d".into()))));
        assert_eq!(place_of("public", "alembic_version"), "public.alembic_version");
        assert_eq!(place("a.b.c"), None);
        assert_eq!(place("\"a"), None);
    }

    /// The plan leads where it says, and the plan that takes it back leads to what was: in meaning, and nothing is left.
    pub(super) fn assert_there_and_back(before: &Snapshot, plan: &Plan) {
        let done = predict(before, plan.steps.iter().map(|s| &s.change)).unwrap();
        let back = build::back(&done, plan).unwrap();
        let restored = predict(&done, back.steps.iter().map(|s| &s.change)).unwrap();
        let restored = Ground::of(&restored, plan.ground.keys().cloned());
        for moved in plan.ground.moved(&restored) {
            let same = match (&moved.was, &moved.is) {
                (Some(was), Some(is)) => undo::means_the_same(was, is, &moved.key, before.server.version_num),
                _ => false,
            };
            assert!(same, "{moved:?}\nafter {:#?}", back.statements().collect::<Vec<_>>());
        }
    }
}

//! What stands under the names of the audit trail: tables, functions and triggers, by the catalog's indexes on names and
//! dependencies, so that it costs next to nothing where there is none. Nothing of it is run.

use tokio_postgres::Row;

use super::{ServerError, Statement, fields::Fields};
use crate::{
    domain::snapshot::{TrailFunction, TrailTable, TrailTrigger, Trails},
    text,
};

const TABLES: &str = "the tables of audit trails";
const FUNCTIONS: &str = "the functions of audit trails";
const TRIGGERS: &str = "the triggers of audit trails";

pub(super) fn tables() -> Statement {
    Statement::new(TABLES, include_str!("trails_tables.sql"))
}

pub(super) fn functions() -> Statement {
    Statement::new(FUNCTIONS, include_str!("trails_functions.sql"))
}

pub(super) fn triggers() -> Statement {
    Statement::new(TRIGGERS, include_str!("trails_triggers.sql"))
}

/// The answers to [`tables`], [`functions`] and [`triggers`], in this order.
pub(super) fn decode(answers: &[Vec<Row>]) -> Result<Trails, ServerError> {
    let [tables, functions, triggers] = answers else {
        return Err(ServerError::Unreadable { what: "the audit trails", column: 0, expected: "three results" });
    };
    let mut trails = Trails::default();
    for row in tables {
        let mut f = Fields::new(TABLES, row);
        let (schema, oid, owner, plain) = (f.oid()?, f.oid()?, f.oid()?, f.bool()?);
        trails.tables.push(TrailTable { schema, oid, owner, plain, columns: f.texts()? });
    }
    for row in functions {
        let mut f = Fields::new(FUNCTIONS, row);
        let (schema, owner, language) = (f.oid()?, f.oid()?, f.text()?);
        let (body, definer, settings) = (f.text()?, f.bool()?, f.texts()?);
        trails.functions.push(TrailFunction { schema, owner, language, body, definer, settings });
    }
    for row in triggers {
        let mut f = Fields::new(TRIGGERS, row);
        let (relation, schema, table, name) = (f.oid()?, f.oid()?, f.text()?, f.text()?);
        let (audit, events, enabled) = (f.oid()?, f.i16()?, f.char()?);
        let home = arguments(f.bytes()?.unwrap_or_default());
        trails.triggers.push(TrailTrigger { relation, schema, table, name, audit, events, enabled, home });
    }
    trails.triggers.sort_unstable_by(|a, b| (a.schema, &a.table).cmp(&(b.schema, &b.table)));
    Ok(trails)
}

/// `tgargs`: each argument ends in a zero byte.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let mut list: Vec<String> = bytes.split(|b| *b == 0).map(text::decode).collect();
    list.pop();
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::sql;

    #[test]
    fn arguments_end_in_zero() {
        assert_eq!(arguments(b""), Vec::<String>::new());
        assert_eq!(arguments(b"a\0b c\0"), ["a", "b c"]);
        assert_eq!(arguments(b"\0"), [""]);
    }

    #[test]
    fn what_is_made_is_what_is_looked_for() {
        assert!(tables().sql.contains(&format!("'{}'", sql::AUDIT_TABLE)));
        assert!(functions().sql.contains(&format!("'{}'", sql::AUDIT_FUNCTION)));
        assert!(triggers().sql.contains(&format!("'{}'", sql::AUDIT_FUNCTION)));
    }
}

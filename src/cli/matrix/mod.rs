//! `matrix`: what every role may effectively do in every schema. Cells are counted when they are written, one at a time:
//! 2,500 roles in 2,000 schemas are five million cells, and none of them is kept.

mod csv;
mod json;
mod table;

use super::{
    args::{self, MatrixFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::Reading,
    report::{self, Report},
};
use crate::{
    config,
    domain::{
        Privilege, Privileges,
        effective::Who,
        snapshot::{Catalog, Schema},
    },
    policy::{
        judge::{Judge, Judged},
        judgement::Judgement,
    },
};

/// What can be granted on single columns.
const OF_COLUMNS: Privileges =
    Privileges::of(&[Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::References]);

/// Prints the matrix of every instance that could be read; the others are said on standard error.
///
/// # Errors
/// A role or schema of the filter that no instance has; standard output cannot be written.
pub fn run(report: &mut Report, readings: &[Reading], args: &args::Matrix) -> Outcome {
    let grids: Vec<Grid<'_>> =
        readings.iter().filter_map(|r| r.judgement.as_ref().ok()).map(|j| Grid::new(j, args)).collect();
    if !grids.is_empty() {
        known(&grids, &args.roles, "role", |g| {
            let public = std::iter::once("PUBLIC");
            public.chain(g.catalog().roles.iter().filter(|r| !r.is_predefined()).map(|r| r.name.as_str())).collect()
        })?;
        known(&grids, &args.schemas, "schema", |g| {
            g.catalog().schemas.iter().filter(|s| !s.is_system()).map(|s| s.name.as_str()).collect()
        })?;
    }
    match args.format {
        MatrixFormat::Text => table::text(report, &grids)?,
        MatrixFormat::Markdown => table::markdown(report, &grids)?,
        MatrixFormat::Json => json::write(report, &grids)?,
        MatrixFormat::Csv => csv::write(report, &grids)?,
    }
    report.flush()?;
    let mut exit = Exit::Done;
    for failure in readings.iter().filter_map(|r| r.judgement.as_ref().err()) {
        report::failure(failure);
        exit = exit.max(failure.exit);
    }
    Ok(exit)
}

/// Every name of a filter must exist somewhere: a slip of the finger must not look like "no access".
fn known<'a>(
    grids: &'a [Grid<'a>],
    wanted: &[String],
    what: &str,
    names: impl Fn(&'a Grid<'a>) -> Vec<&'a str>,
) -> Result<(), Failure> {
    let all: Vec<&str> = grids.iter().flat_map(names).collect();
    for name in wanted {
        if !all.contains(&name.as_str()) {
            let near = config::nearest(name, all.iter().copied());
            let hint = near.map_or_else(
                || format!("Leave --{what} out to see every {what}; predefined roles and system schemas are not in the matrix."),
                |n| format!("Did you mean {n}?"),
            );
            return Err(Failure::usage(format!("could not find the {what} {name}"), hint));
        }
    }
    Ok(())
}

/// The matrix of one instance, with the filters applied.
struct Grid<'a> {
    judgement: &'a Judgement,
    judge: Judge<'a>,
    /// Rows: roles by name, then PUBLIC.
    roles: Vec<Who>,
    /// Columns: positions in [`Catalog::schemas`].
    schemas: Vec<usize>,
    compact: bool,
}

impl<'a> Grid<'a> {
    fn new(judgement: &'a Judgement, args: &args::Matrix) -> Grid<'a> {
        let catalog = &judgement.snapshot.catalog;
        let wanted = |filter: &[String], name: &str| filter.is_empty() || filter.iter().any(|f| f == name);
        let named = catalog.roles.iter().enumerate();
        let mut roles: Vec<Who> = named
            .filter(|(_, r)| !r.is_predefined() && wanted(&args.roles, &r.name))
            .map(|(i, _)| Who::Role(i))
            .collect();
        if wanted(&args.roles, "PUBLIC") {
            roles.push(Who::Public);
        }
        let schemas = catalog.schemas.iter().enumerate();
        Grid {
            judgement,
            judge: judgement.judge(),
            roles,
            schemas: schemas
                .filter(|(_, s)| !s.is_system() && wanted(&args.schemas, &s.name))
                .map(|(i, _)| i)
                .collect(),
            compact: args.compact,
        }
    }

    fn catalog(&self) -> &'a Catalog {
        &self.judgement.snapshot.catalog
    }

    /// Name of a row; `None` is PUBLIC.
    fn role(&self, who: Who) -> Option<&'a str> {
        match who {
            Who::Public => None,
            Who::Role(i) => self.catalog().roles.get(i).map(|r| r.name.as_str()),
        }
    }

    fn schema(&self, position: usize) -> Option<&'a Schema> {
        self.catalog().schemas.get(position)
    }

    /// Counts one cell; `None` when `--compact` leaves it out.
    fn cell(&self, who: Who, schema: usize) -> Option<Judged> {
        let judged = self.judge.cell(who, schema);
        let named = judged.declared.as_ref().is_some_and(|d| !d.is_empty());
        (!self.compact || named || !judged.is_empty()).then_some(judged)
    }

    /// Every cell, row by row, counted when it is asked for.
    fn cells(&self) -> impl Iterator<Item = (Who, usize, Judged)> + '_ {
        self.roles.iter().flat_map(move |who| {
            self.schemas.iter().filter_map(move |schema| Some((*who, *schema, self.cell(*who, *schema)?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::sample::{dead, fixture, printed, reading};

    fn args(format: MatrixFormat) -> args::Matrix {
        args::Matrix { targets: Vec::new(), roles: Vec::new(), schemas: Vec::new(), format, compact: false }
    }

    fn cell<'a>(cells: &'a [Value], role: &Value, schema: &str) -> &'a Value {
        cells.iter().find(|c| c["role"] == *role && c["schema"] == schema).unwrap()
    }

    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn json_is_as_the_contract_has_it() {
        let readings = [reading(fixture())];
        let (text, exit) = printed(|r| run(r, &readings, &args(MatrixFormat::Json)));
        assert_eq!(exit, Exit::Done);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        let instance = &value["instances"][0];
        for key in ["instance", "database", "server_version_num", "taken_at", "cells"] {
            assert!(instance.get(key).is_some(), "{key}");
        }
        let cells = instance["cells"].as_array().unwrap();
        // postgres, langflow_app, reader, the odd one and PUBLIC in public, langflow and audit
        assert_eq!(cells.len(), 15);
        let reader = cell(cells, &json!("reader"), "langflow");
        for key in ["usage", "create", "owner", "tables", "sequences", "routines", "level", "declared", "drift", "via"]
        {
            assert!(reader.get(key).is_some(), "{key}");
        }
        assert_eq!(
            keys(&reader["tables"]),
            ["delete", "insert", "maintain", "references", "select", "total", "trigger", "truncate", "update"]
        );
        assert_eq!(keys(&reader["sequences"]), ["select", "total", "update", "usage"]);
        assert_eq!(keys(&reader["routines"]), ["execute", "total"]);
        assert_eq!(reader["tables"]["maintain"], Value::Null, "15 does not know it");
        assert_eq!((&reader["tables"]["select"], &reader["tables"]["insert"]), (&json!(2), &json!(1)));
        assert_eq!((&reader["declared"], &reader["drift"]), (&json!(["read"]), &json!("excess")));
        assert_eq!(reader["via"], json!(["direct"]));
        let own = cell(cells, &json!("langflow_app"), "langflow");
        assert_eq!((&own["level"], &own["drift"], &own["owner"]), (&json!(["own"]), &json!("none"), &json!(true)));
        let public = cell(cells, &Value::Null, "public");
        assert_eq!(
            (&public["usage"], &public["declared"], &public["drift"]),
            (&json!(true), &Value::Null, &Value::Null)
        );
        assert_eq!(cell(cells, &json!("postgres"), "audit")["level"], json!(["superuser"]));
    }

    #[test]
    fn maintain_is_counted_where_the_server_knows_it() {
        let readings = [reading(fixture().version(170_000))];
        let (text, _) = printed(|r| run(r, &readings, &args(MatrixFormat::Json)));
        let value: Value = serde_json::from_str(&text).unwrap();
        let cells = value["instances"][0]["cells"].as_array().unwrap();
        assert_eq!(cell(cells, &json!("reader"), "langflow")["tables"]["maintain"], 0);
    }

    #[test]
    fn filters_and_compact_leave_cells_out() {
        let readings = [reading(fixture())];
        let some = args::Matrix {
            roles: vec!["reader".into(), "PUBLIC".into()],
            schemas: vec!["langflow".into(), "audit".into()],
            compact: true,
            ..args(MatrixFormat::Json)
        };
        let (text, _) = printed(|r| run(r, &readings, &some));
        let value: Value = serde_json::from_str(&text).unwrap();
        let cells = value["instances"][0]["cells"].as_array().unwrap();
        let shown: Vec<_> = cells.iter().map(|c| (c["role"].clone(), c["schema"].clone())).collect();
        assert_eq!(shown, [(json!("reader"), json!("audit")), (json!("reader"), json!("langflow"))], "declared stays");
    }

    #[test]
    fn an_unknown_name_in_a_filter_is_wrong_use() {
        let readings = [reading(fixture())];
        let wrong = args::Matrix { roles: vec!["raeder".into()], ..args(MatrixFormat::Text) };
        let failure = run(&mut Report::to(Vec::new()), &readings, &wrong).unwrap_err();
        assert_eq!((failure.exit, failure.remedy.as_deref()), (Exit::Usage, Some("Did you mean reader?")));
    }

    #[test]
    fn csv_and_markdown_keep_odd_names_in_their_cells() {
        let readings = [reading(fixture())];
        let (csv, _) = printed(|r| run(r, &readings, &args(MatrixFormat::Csv)));
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 16);
        assert!(lines[0].starts_with("instance,database,role,schema,usage,create,owner,tables_total,tables_select"));
        assert!(csv.contains(r#","od\u{202e}d,""|",langflow,"#), "{csv}");
        let (markdown, _) = printed(|r| run(r, &readings, &args(MatrixFormat::Markdown)));
        assert!(markdown.contains("| role | audit | langflow | public |\n|---|---|---|---|\n"), "{markdown}");
        assert!(
            markdown.lines().filter(|l| l.starts_with('|')).all(|l| l.replace("\\|", "").matches('|').count() == 5)
        );
    }

    #[test]
    fn text_says_what_differs_in_words() {
        let readings = [reading(fixture()), dead()];
        let (text, exit) = printed(|r| run(r, &readings, &args(MatrixFormat::Text)));
        assert_eq!(exit, Exit::Server, "one that could not be read counts");
        let line = text.lines().find(|l| l.starts_with("reader")).unwrap();
        let words: Vec<&str> = line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect();
        assert_eq!(words[..3], ["reader", "read −1", "read +1"], "audit has no tables: USAGE is missing; {text}");
        assert!(text.lines().any(|l| l.starts_with("postgres") && l.contains("su")));
        assert!(!text.contains('\u{202e}'));
    }
}

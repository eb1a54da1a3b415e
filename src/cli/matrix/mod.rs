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
        effective::Who,
        snapshot::{Catalog, Schema},
    },
    policy::{
        judge::{Judge, Judged},
        judgement::Judgement,
    },
};

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
            schemas: schemas.filter(|(_, s)| !s.is_system() && wanted(&args.schemas, &s.name)).map(|(i, _)| i).collect(),
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
        (!self.compact || named || !judged.cell.is_empty()).then_some(judged)
    }

    /// Every cell, row by row, counted when it is asked for.
    fn cells(&self) -> impl Iterator<Item = (Who, usize, Judged)> + '_ {
        self.roles.iter().flat_map(move |who| {
            self.schemas.iter().filter_map(move |schema| Some((*who, *schema, self.cell(*who, *schema)?)))
        })
    }
}

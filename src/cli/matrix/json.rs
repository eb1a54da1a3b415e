//! The matrix for scripts (contract, section 4), streamed: one cell per line.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Grid, Report};
use crate::{
    cli::{failure::Failure, time},
    domain::{ObjectKind, Privileges, effective::Counts},
    policy::{
        Level,
        judge::{Drift, Judged},
    },
};

#[derive(Serialize)]
struct Cell<'a> {
    /// `null` is PUBLIC.
    role: Option<&'a str>,
    schema: &'a str,
    usage: bool,
    create: bool,
    owner: bool,
    tables: Tally<'a>,
    sequences: Tally<'a>,
    routines: Tally<'a>,
    level: &'a [&'static str],
    declared: Option<&'a [Level]>,
    drift: Option<Drift>,
    via: Vec<String>,
    /// Object rights that a missing USAGE on the schema keeps from working.
    dead: bool,
    /// Single columns on which column grants give something: no part of `tables`. `null` where they were not read.
    columns: Option<Tally<'a>>,
    /// SET ROLE would add rights here: no part of the counts.
    by_set_role: bool,
}

/// Counts by privilege: every one that some server knows for the kind, `null` where this server does not.
struct Tally<'a> {
    counts: &'a Counts,
    kind: ObjectKind,
    every: Privileges,
    version_num: u32,
}

impl Serialize for Tally<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.kind.all(self.version_num);
        let every = self.every;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("total", &self.counts.total)?;
        for privilege in every.iter() {
            let count = known.contains(privilege).then(|| self.counts.of(privilege));
            map.serialize_entry(&privilege.keyword().to_lowercase(), &count)?;
        }
        map.end()
    }
}

pub fn write(report: &mut Report, grids: &[Grid<'_>]) -> Result<(), Failure> {
    report.raw("{\"schema_version\":1,\"instances\":[")?;
    for (i, grid) in grids.iter().enumerate() {
        let (snapshot, server) = (&grid.judgement.snapshot, &grid.judgement.snapshot.server);
        report.raw(if i == 0 { "\n{" } else { ",\n{" })?;
        report.raw("\"instance\":")?;
        report.json_part(&snapshot.instance, false)?;
        report.raw(",\"database\":")?;
        report.json_part(&server.database, false)?;
        report.raw(",\"server_version_num\":")?;
        report.json_part(&server.version_num, false)?;
        report.raw(",\"taken_at\":")?;
        report.json_part(&time::rfc3339(server.taken_at_us), false)?;
        report.raw(",\"cells\":[")?;
        let mut separator = "\n";
        for (who, schema, judged) in grid.cells() {
            let Some(schema) = grid.schema(schema) else { continue };
            report.raw(separator)?;
            separator = ",\n";
            report.json_part(&cell(grid.role(who), &schema.name, &judged, server.version_num), false)?;
            if report.gone() {
                return Ok(());
            }
        }
        report.raw("]}")?;
    }
    report.raw("]}\n")
}

fn cell<'a>(role: Option<&'a str>, schema: &'a str, judged: &'a Judged, version_num: u32) -> Cell<'a> {
    let tally =
        |kind: ObjectKind| Tally { counts: judged.cell.counts(kind), kind, every: kind.all(u32::MAX), version_num };
    let of_columns = |counts| Tally { counts, kind: ObjectKind::Table, every: super::OF_COLUMNS, version_num };
    Cell {
        role,
        schema,
        usage: judged.cell.usage,
        create: judged.cell.create,
        owner: judged.cell.owner,
        tables: tally(ObjectKind::Table),
        sequences: tally(ObjectKind::Sequence),
        routines: tally(ObjectKind::Routine),
        level: &judged.level,
        declared: judged.declared.as_deref(),
        drift: judged.drift,
        via: judged.cell.via.iter().map(ToString::to_string).collect(),
        dead: judged.cell.dead,
        columns: judged.columns.as_ref().map(of_columns),
        by_set_role: judged.by_set_role,
    }
}

//! `versions`: every Alembic version table with its rows, owner, class and whose search path leads to it.

use serde::Serialize;

use super::{
    args::TextFormat,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::Reading,
    report::{self, Report},
};
use crate::{
    app::view::Tone,
    domain::snapshot::{Snapshot, VersionRows, VersionTable},
    policy::{
        judgement::Judgement,
        versions::{Class, Place, Revision, VersionInfo},
    },
    text,
};

#[derive(Serialize)]
struct Row<'a> {
    instance: &'a str,
    database: &'a str,
    schema: String,
    table: &'a str,
    class: Class,
    service: Option<&'a str>,
    owner: String,
    /// `null` when they are unknown; `rows_state` says why.
    rows: Option<Vec<At<'a>>>,
    rows_state: &'static str,
    /// In words, where the table was not read.
    rows_reason: Option<&'a str>,
    primary_key: bool,
    resolved_by: &'a [String],
    next_start: &'a [String],
}

#[derive(Serialize)]
struct At<'a> {
    revision: &'a str,
    services: &'a [String],
    place: &'static str,
    /// Revisions between it and the head.
    behind: Option<u32>,
}

/// Prints the version tables of every instance that could be read; the others are said on standard error.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(report: &mut Report, readings: &[Reading], format: TextFormat) -> Outcome {
    match format {
        TextFormat::Text => people(report, readings)?,
        TextFormat::Json => scripts(report, readings)?,
    }
    report.flush()?;
    let mut exit = Exit::Done;
    for failure in readings.iter().filter_map(|r| r.judgement.as_ref().err()) {
        report::failure(failure);
        exit = exit.max(failure.exit);
    }
    Ok(exit)
}

fn tables(judgement: &Judgement) -> impl Iterator<Item = (&VersionTable, &VersionInfo)> {
    let tables = &judgement.snapshot.versions.0;
    judgement.versions.0.iter().filter_map(move |info| Some((tables.get(info.table)?, info)))
}

fn scripts(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    report.raw("{\"schema_version\":1,\"versions\":[")?;
    let mut separator = "\n";
    for judgement in readings.iter().filter_map(|r| r.judgement.as_ref().ok()) {
        for (table, info) in tables(judgement) {
            report.raw(separator)?;
            separator = ",\n";
            report.json_part(&row(&judgement.snapshot, table, info), false)?;
        }
    }
    report.raw("]}\n")
}

fn row<'a>(snapshot: &'a Snapshot, table: &'a VersionTable, info: &'a VersionInfo) -> Row<'a> {
    let (rows_state, rows_reason) = state(&table.rows);
    Row {
        instance: &snapshot.instance,
        database: &snapshot.server.database,
        schema: snapshot.catalog.schema_name(table.schema),
        table: &table.name,
        class: info.class,
        service: info.service.as_deref(),
        owner: snapshot.catalog.role_name(table.owner),
        rows: table.rows.known().map(|_| info.rows.iter().map(at).collect()),
        rows_state,
        rows_reason,
        primary_key: table.primary_key,
        resolved_by: &info.resolved_by,
        next_start: &info.next_start,
    }
}

fn at(revision: &Revision) -> At<'_> {
    let (place, behind) = match revision.place {
        Place::Head => ("head", Some(0)),
        Place::Behind(n) => ("behind", Some(n)),
        Place::Unknown => ("unknown", None),
        Place::Ambiguous => ("ambiguous", None),
        Place::NoScripts => ("no-scripts", None),
    };
    At { revision: &revision.revision, services: &revision.services, place, behind }
}

fn state(rows: &VersionRows) -> (&'static str, Option<&str>) {
    match rows {
        VersionRows::Known(_) => ("known", None),
        VersionRows::Locked(_) => ("locked", Some("locked, probably by a migration")),
        VersionRows::Denied => ("denied", Some("this login may not read it")),
        VersionRows::Refused(why) => ("refused", Some(why)),
        VersionRows::Pending => ("pending", Some("not read")),
    }
}

/// The class in words, and how it looks.
const fn class_words(class: Class) -> (&'static str, &'static str, Tone) {
    match class {
        Class::Own => ("✔", "own", Tone::Good),
        Class::Misplaced => ("✖", "misplaced", Tone::Error),
        Class::Shared => ("✖", "SHARED", Tone::Critical),
        Class::Copy => ("·", "copy", Tone::Dim),
        Class::EmptyInUse => ("✖", "empty, but its tables exist", Tone::Error),
        Class::EmptyBase => ("·", "empty, before the first migration", Tone::Dim),
        Class::Ambiguous => ("?", "ambiguous", Tone::Unknown),
        Class::Unknown => ("?", "unknown", Tone::Unknown),
        Class::Foreign => ("·", "of another application", Tone::Dim),
    }
}

fn people(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    let judged: Vec<&Judgement> = readings.iter().filter_map(|r| r.judgement.as_ref().ok()).collect();
    for (i, judgement) in judged.iter().enumerate() {
        if i > 0 {
            report.blank()?;
        }
        let snapshot = &judgement.snapshot;
        report
            .line()
            .tone(&snapshot.instance, Tone::Title)
            .known(" · ")
            .tone(&snapshot.server.database, Tone::Title)
            .end()?;
        if judgement.versions.0.is_empty() {
            report.line().tone("  No Alembic version table, under any name.", Tone::Dim).end()?;
        }
        for (table, info) in tables(judgement) {
            one(report, snapshot, table, info)?;
        }
    }
    Ok(())
}

fn one(report: &mut Report, snapshot: &Snapshot, table: &VersionTable, info: &VersionInfo) -> Result<(), Failure> {
    let name = format!("{}.{}", snapshot.catalog.schema_name(table.schema), table.name);
    let (glyph, class, tone) = match class_words(info.class) {
        (_, _, Tone::Good) if info.missed => ("▲", "own, but not found by its service", Tone::Warning),
        looks => looks,
    };
    report
        .line()
        .known("  ")
        .painted(glyph, tone)
        .known(" ")
        .cell(&text::safe(&name), 32, Tone::Strong)
        .known("  ")
        .painted(class, tone)
        .tone(&info.service.as_ref().map(|s| format!(" ({s})")).unwrap_or_default(), tone)
        .tone(&format!("   owner {}", snapshot.catalog.role_name(table.owner)), Tone::Dim)
        .end()?;
    for revision in &info.rows {
        let words = match revision.place {
            Place::Head => "head".to_owned(),
            Place::Behind(n) => format!("{n} behind the head"),
            Place::Unknown => "in no known lineage".to_owned(),
            Place::Ambiguous => "in several lineages".to_owned(),
            Place::NoScripts => "no revision scripts to compare with".to_owned(),
        };
        let services = revision.services.join(", ");
        let line = report.line().known("      ").cell(&text::safe(&revision.revision), 24, Tone::Text);
        line.tone(&services, Tone::Text)
            .known(if services.is_empty() { "" } else { "  " })
            .tone(&words, Tone::Dim)
            .end()?;
    }
    if let (_, Some(why)) = state(&table.rows) {
        report.line().known("      ").tone(&format!("rows unknown: {why}"), Tone::Unknown).end()?;
    }
    let whose = if info.resolved_by.is_empty() {
        "no login role's search path leads here".to_owned()
    } else {
        format!("search path of {}", text::list(&info.resolved_by, 6))
    };
    report.paragraph(6, "", &whose, Tone::Dim)?;
    for sentence in &info.next_start {
        report.paragraph(6, "→ ", sentence, Tone::Text)?;
    }
    Ok(())
}

//! The matrix as words, for people: a table of roles by schemas where that fits, else one line per cell that is not empty.
//!
//! ```text
//! role              public     langflow   madansara  sankore
//! engarde_user      own        read       ·          ·
//! madansara_user    ·          ·          own        write +6
//! ```
//! Cells read as in the console's pane Grants: the level, then what differs: `−n` privileges missing, `+n` too much,
//! `dead` what a missing USAGE keeps from working, `su` a superuser.

use super::{Grid, Report};
use crate::{
    app::{self, view::Tone},
    cli::failure::Failure,
    domain::effective::Who,
    text,
};

/// Schemas that a table shows side by side where no terminal sets the width.
const COLUMNS: usize = 12;

/// Cells that are counted ahead to lay a table out; beyond it lines are written one by one.
const LAID_OUT: usize = 50_000;

pub fn text(report: &mut Report, grids: &[Grid<'_>]) -> Result<(), Failure> {
    for (i, grid) in grids.iter().enumerate() {
        if i > 0 {
            report.blank()?;
        }
        heading(report, grid)?;
        match Table::lay_out(grid).filter(|t| t.fits(report.width())) {
            Some(table) => table.write(report)?,
            None => lines(report, grid)?,
        }
    }
    if !grids.is_empty() {
        let legend = "own, all, write … levels · * more than the level (--format csv says what) · some: less than a level · \
                      “·” nothing of its own: what PUBLIC may do, everybody may · −n privileges missing · −own does not own all \
                      it should · +n too much · ! not declared · ◂ through a membership · ◃ more after SET ROLE · cols: on \
                      single columns · dead: no USAGE on the schema · su superuser · ? unknown";
        report.blank()?;
        report.paragraph(0, "", legend, Tone::Dim)?;
    }
    Ok(())
}

fn heading(report: &mut Report, grid: &Grid<'_>) -> Result<(), Failure> {
    let (snapshot, server) = (&grid.judgement.snapshot, &grid.judgement.snapshot.server);
    let policy =
        grid.judgement.policy.as_ref().map_or_else(|| "no policy".to_owned(), |p| format!("policy {}", p.name));
    report
        .line()
        .tone(&snapshot.instance, Tone::Title)
        .known(" · ")
        .tone(&server.database, Tone::Title)
        .tone(&format!("     PostgreSQL {}     {policy}", server.version), Tone::Dim)
        .end()
}

/// One line per cell that says something, by role.
fn lines(report: &mut Report, grid: &Grid<'_>) -> Result<(), Failure> {
    for who in &grid.roles {
        let mut named = false;
        for schema in &grid.schemas {
            let (words, tone) = words(grid, *who, *schema);
            let Some(of) = grid.schema(*schema).filter(|_| words != "·") else { continue };
            if !named {
                report.line().tone(grid.role(*who).unwrap_or("PUBLIC"), Tone::Strong).end()?;
                named = true;
            }
            report
                .line()
                .known("  ")
                .cell(&text::safe(&of.name), 30, Tone::Text)
                .known(" ")
                .painted(&words, tone)
                .end()?;
        }
        if report.gone() {
            break;
        }
    }
    Ok(())
}

struct Table {
    titles: Vec<String>,
    rows: Vec<(String, Vec<(String, Tone)>)>,
    widths: Vec<usize>,
    first: usize,
}

impl Table {
    fn lay_out(grid: &Grid<'_>) -> Option<Table> {
        if grid.roles.len().saturating_mul(grid.schemas.len()) > LAID_OUT {
            return None;
        }
        let titles: Vec<String> =
            grid.schemas.iter().filter_map(|s| grid.schema(*s)).map(|s| text::safe(&s.name).into_owned()).collect();
        let mut widths: Vec<usize> = titles.iter().map(|t| text::width(t)).collect();
        let mut first = text::width("role");
        let mut rows = Vec::new();
        for who in &grid.roles {
            let role = text::safe(grid.role(*who).unwrap_or("PUBLIC")).into_owned();
            first = first.max(text::width(&role));
            let cells: Vec<_> = grid.schemas.iter().map(|s| words(grid, *who, *s)).collect();
            for (width, (words, _)) in widths.iter_mut().zip(&cells) {
                *width = (*width).max(text::width(words));
            }
            if !grid.compact || cells.iter().any(|(words, _)| words != "·") {
                rows.push((role, cells));
            }
        }
        Some(Table { titles, rows, widths, first })
    }

    fn fits(&self, width: Option<usize>) -> bool {
        let needed = self.first + self.widths.iter().map(|w| w + 2).sum::<usize>();
        width.map_or(self.titles.len() <= COLUMNS, |w| needed <= w)
    }

    fn write(&self, report: &mut Report) -> Result<(), Failure> {
        let mut line = report.line().cell("role", self.first, Tone::Dim);
        for (title, width) in self.titles.iter().zip(&self.widths) {
            line = line.known("  ").cell(title, *width, Tone::Title);
        }
        line.end()?;
        for (role, cells) in &self.rows {
            let mut line = report.line().cell(role, self.first, Tone::Text);
            for ((words, tone), width) in cells.iter().zip(&self.widths) {
                line = line.known("  ").cell(words, *width, *tone);
            }
            line.end()?;
        }
        Ok(())
    }
}

pub fn markdown(report: &mut Report, grids: &[Grid<'_>]) -> Result<(), Failure> {
    for (i, grid) in grids.iter().enumerate() {
        if i > 0 {
            report.blank()?;
        }
        let (snapshot, server) = (&grid.judgement.snapshot, &grid.judgement.snapshot.server);
        report.raw(&format!("### {} · {}\n\n", plain(&snapshot.instance), plain(&server.database)))?;
        let titles: Vec<String> = grid.schemas.iter().filter_map(|s| grid.schema(*s)).map(|s| plain(&s.name)).collect();
        report.raw(&format!("| role | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len())))?;
        for who in &grid.roles {
            let cells: Vec<String> = grid.schemas.iter().map(|s| words(grid, *who, *s).0).collect();
            if grid.compact && cells.iter().all(|c| c == "·") {
                continue;
            }
            report.raw(&format!("| {} | {} |\n", plain(grid.role(*who).unwrap_or("PUBLIC")), cells.join(" | ")))?;
            if report.gone() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Text that Markdown shows as it is: every character that could begin markup is escaped.
fn plain(name: &str) -> String {
    let mut out = String::new();
    for c in text::safe(name).chars() {
        if c.is_ascii_punctuation() && !matches!(c, '-' | '.' | ',' | ':' | '/') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A cell as the console shows it, and the tone that matters most.
fn words(grid: &Grid<'_>, who: Who, schema: usize) -> (String, Tone) {
    let line = app::words::cell_of(grid.judgement, who, schema, &grid.judge.cell(who, schema));
    let tones = [Tone::Excess, Tone::Missing, Tone::Warning, Tone::Unknown, Tone::Superuser];
    let found = tones.into_iter().find(|tone| line.0.iter().any(|span| span.tone == *tone));
    let words = line.plain();
    let quiet = if words == "·" { Tone::Dim } else { Tone::Text };
    (words, found.unwrap_or(quiet))
}

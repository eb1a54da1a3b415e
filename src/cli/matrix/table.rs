//! The matrix as words, for people: a table of roles by schemas where that fits, else one line per cell that is not empty.
//!
//! ```text
//! role              public     langflow   madansara  sankore
//! engarde_user      own        read       ·          ·
//! madansara_user    ·          ·          own        write +6
//! ```
//! A cell names the declared level (or, where nothing is declared, the level that is there), then what differs: `−n`
//! privileges missing, `+n` too much, `dead` what a missing USAGE keeps from working, `su` a superuser.

use super::{Grid, Report};
use crate::{
    app::view::Tone,
    cli::failure::Failure,
    domain::effective::Who,
    policy::judge::{Drift, Judged},
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
        let legend = "own, all, write … levels · −n privileges missing · +n too much · dead: no USAGE on the schema · su superuser";
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
            let judged = grid.judge.cell(*who, *schema);
            let (words, tone) = words(*who, &judged);
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
            let cells: Vec<_> = grid.schemas.iter().map(|s| words(*who, &grid.judge.cell(*who, *s))).collect();
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
            let cells: Vec<String> = grid.schemas.iter().map(|s| words(*who, &grid.judge.cell(*who, *s)).0).collect();
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

/// A cell in words. See the module.
fn words(who: Who, judged: &Judged) -> (String, Tone) {
    let cell = &judged.cell;
    if cell.superuser {
        return ("su".to_owned(), Tone::Superuser);
    }
    let declared = judged.declared.as_deref().unwrap_or_default();
    let mut words = if !declared.is_empty() {
        declared.iter().map(|l| l.word()).collect::<Vec<_>>().join("+")
    } else if !judged.level.is_empty() {
        judged.level.join("+")
    } else if cell.dead {
        String::new()
    } else if cell.is_empty() {
        "·".to_owned()
    } else {
        "some".to_owned()
    };
    if !judged.missing.is_empty() {
        words.push_str(&format!(" −{}", judged.missing.len()));
    }
    if !judged.excess.is_empty() {
        words.push_str(&format!(" +{}", judged.excess.len()));
    }
    if cell.dead {
        words.push_str(" dead");
    }
    let tone = match judged.drift {
        Some(Drift::Missing) => Tone::Missing,
        Some(Drift::Excess | Drift::Both | Drift::Undeclared) => Tone::Excess,
        Some(Drift::Unknown) => Tone::Unknown,
        Some(Drift::None) | None if words == "·" || who == Who::Public => Tone::Dim,
        Some(Drift::None) | None => Tone::Text,
    };
    (words.trim_start().to_owned(), tone)
}

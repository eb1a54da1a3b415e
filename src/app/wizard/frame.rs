//! The frame of a question, as data: where one is, what is asked and why, the answers, what was found beside them (to the
//! right, or below where the screen is narrow), and the keys. Knows the pages of the steps, nothing of what they do.

use std::cmp::Ordering;

use tui_input::Input;

use super::{Step, Wizard};
use crate::{
    app::{
        compose::{environment, field, inset, tiny},
        layout::LEAST,
        prose::cut,
        screen::{Area, ColumnView, Face, Part, RowView, Screen, TableView},
        view::{Align, Line, Span, Tone},
        wrap::wrap,
    },
    config::target::Environment,
    text,
};

/// From this many columns what was found stands to the right.
const WIDE: u16 = 100;
/// Least lines of answers before what was found gives way.
const LEAST_BODY: u16 = 6;

/// One screen of the set-up.
pub(super) struct Page {
    pub question: Line,
    /// One line of why.
    pub why: Line,
    pub rows: Vec<Row>,
    /// The row that stays in sight.
    pub at: Option<usize>,
    /// Lines that are scrolled away, where no row is to stay in sight.
    pub offset: usize,
    /// A matrix above the rows.
    pub grid: Option<Grid>,
    /// What was found.
    pub side: Vec<Line>,
    /// Keys and what they do here, most useful first.
    pub keys: Vec<(&'static str, &'static str)>,
}

/// Cells to move in: the first column stays.
pub(super) struct Grid {
    pub titles: Vec<String>,
    pub rows: Vec<Vec<Line>>,
    pub row: usize,
    /// Among the titles; never the first.
    pub column: usize,
}

/// One line of answers.
#[derive(Clone)]
pub(super) enum Row {
    Text(Line),
    /// Something to choose: cells at the right end, and whether the cursor is on it.
    Choice {
        left: Line,
        right: Line,
        here: bool,
    },
    /// A text that is being typed, and in dim what counts while there is none.
    Field {
        label: Line,
        input: Input,
        ghost: String,
    },
}

impl Row {
    pub fn blank() -> Row {
        Row::Text(Line::empty())
    }
    /// Our own words, of less weight.
    pub fn dim(words: &str) -> Row {
        Row::Text(Line::new(words, Tone::Dim))
    }
    pub fn choice(left: Line, here: bool) -> Row {
        Row::Choice { left, right: Line::empty(), here }
    }
}

/// A label and its sentence, for what was found.
pub(super) fn fact(label: &str, sentence: &str) -> Line {
    Line::new(&format!("{label:<10}"), Tone::Dim).and(sentence, Tone::Text)
}

/// What is wrong with an answer: the sentence, and what helps.
pub(super) fn fault(sentence: &str, remedy: &str) -> Vec<Row> {
    let mut rows = vec![Row::Text(Line(vec![Span::known("✖ ", Tone::Error)]).and(sentence, Tone::Error))];
    if !remedy.is_empty() {
        rows.push(Row::Text(Line(vec![Span::known("  → ", Tone::Accent)]).and(remedy, Tone::Text)));
    }
    rows
}

/// The frame.
pub(super) fn compose(wizard: &mut Wizard) -> Screen {
    let (width, height) = wizard.size;
    let mut screen = Screen { width, height, parts: Vec::new() };
    if width < LEAST.0 || height < LEAST.1 {
        screen.parts.push(tiny(width, height));
        return screen;
    }
    let parts = &mut screen.parts;
    parts.push(header(wizard, width));
    let production = wizard.step > Step::Connection && wizard.environment == Environment::Production;
    let mut top = 1;
    if height >= 14 {
        parts.push(Part::Text {
            area: Area::new(0, 1, width, 1),
            lines: vec![steps(wizard, usize::from(width))],
            stale: false,
        });
        let label = if production { Line::empty().known(" PRODUCTION ", Tone::Production) } else { Line::empty() };
        parts.push(Part::Rule { area: Area::new(0, 2, width, 1), label, alarm: production });
        top = 3;
    }
    let page = wizard.page();
    let foot = height - 1;
    let keys: Vec<_> = page.keys.iter().copied().chain(wizard.asks_help()).collect();
    parts.push(footer(wizard, &keys, Area::new(0, foot, width, 1)));
    let roomy = height >= 24;
    let mut y = if roomy { top + 1 } else { top };
    let line = inset(Area::new(0, 0, width, 1));
    let room = usize::from(line.width);
    let mut head = wrap(&page.question, room);
    head.extend(wrap(&page.why, room).into_iter().take(2));
    let head: Vec<Line> = head.into_iter().take(usize::from(foot.saturating_sub(y))).collect();
    let tall = head.len() as u16;
    parts.push(Part::Text { area: Area { y, height: tall, ..line }, lines: head, stale: false });
    y = (y + tall + u16::from(height >= 14)).min(foot);
    let body = Area { y, height: foot - y, ..line };
    if wizard.step == Step::Plan && wizard.earlier.is_empty() && wizard.help.is_none() && wizard.plan.previews() {
        preview(wizard, body, parts);
        return screen;
    }
    let (body, side) = if width >= WIDE && !page.side.is_empty() {
        let left = body.width * 3 / 5;
        let side = Area { x: body.x + left + 3, width: body.width - left - 3, ..body };
        let rule = vec![Line::empty().known("│", Tone::Dim); usize::from(body.height)];
        parts.push(Part::Text { area: Area { x: body.x + left + 1, width: 1, ..body }, lines: rule, stale: false });
        (Area { width: left, ..body }, Some(side))
    } else if !page.side.is_empty() && height >= 14 {
        let needs = page.side.iter().flat_map(|l| wrap(l, usize::from(body.width))).count() as u16;
        let rows = rows(&page, usize::from(body.width)).0.len() + page.grid.as_ref().map_or(0, |g| g.rows.len() + 1);
        let rows = rows as u16;
        let most = body.height.saturating_sub(rows.max(LEAST_BODY) + 1).max(body.height / 3);
        let lines = needs.min(most).min(body.height.saturating_sub(2));
        let rule = Area::new(0, foot - lines - 1, width, 1);
        parts.push(Part::Rule { area: rule, label: Line::empty(), alarm: false });
        let side = Area { y: foot - lines, height: lines, ..body };
        (Area { height: body.height - lines - 1, ..body }, Some(side))
    } else {
        (body, None)
    };
    if let Some(side) = side {
        let mut lines: Vec<Line> = page.side.iter().flat_map(|l| wrap(l, usize::from(side.width))).collect();
        if lines.len() > usize::from(side.height) {
            lines.truncate(usize::from(side.height));
            if let Some(last) = lines.last_mut() {
                *last = cut(std::mem::take(last), usize::from(side.width).saturating_sub(2)).known(" …", Tone::Dim);
            }
        }
        parts.push(Part::Text { area: side, lines, stale: false });
    }
    let body = match &page.grid {
        Some(grid) => {
            let lines = (grid.rows.len() as u16 + 1).min(body.height);
            parts.push(table(grid, Area { height: lines, ..body }));
            Area { y: body.y + lines, height: body.height - lines, ..body }
        }
        None => body,
    };
    let (rows, at) = rows(&page, usize::from(body.width));
    paint(rows, at, page.offset, body, parts);
    screen
}

/// The rows with long texts folded, and the place of the one in sight among them.
fn rows(page: &Page, width: usize) -> (Vec<Row>, Option<(usize, usize)>) {
    let mut out = Vec::new();
    let mut at = None;
    for (i, row) in page.rows.iter().enumerate() {
        let from = out.len();
        match row {
            Row::Text(line) => out.extend(wrap(line, width).into_iter().map(Row::Text)),
            Row::Choice { .. } | Row::Field { .. } => out.push(row.clone()),
        }
        if page.at == Some(i) {
            at = Some((from, out.len()));
        }
    }
    (out, at)
}

fn paint(rows: Vec<Row>, at: Option<(usize, usize)>, offset: usize, area: Area, parts: &mut Vec<Part>) {
    let tall = usize::from(area.height);
    let last = rows.len().saturating_sub(tall);
    let offset = at.map_or(offset, |(from, to)| {
        // what is chosen stays in sight, with a line of what follows
        (to + 1).min(rows.len()).saturating_sub(tall).min(from)
    });
    let offset = offset.min(last);
    let total = rows.len();
    for (y, row) in (area.y..).zip(rows.into_iter().skip(offset).take(tall)) {
        let area = Area { y, height: 1, ..area };
        match row {
            Row::Text(line) => parts.push(Part::Text { area, lines: vec![line], stale: false }),
            Row::Choice { left, right, here } => {
                let face = if here { Face::Selection } else { Face::Ground };
                let mark = if here { "▸ " } else { "  " };
                let left = Line(vec![Span::known(mark, Tone::Accent)]).join(left);
                parts.push(Part::Bar { area, face, left, right });
            }
            Row::Field { label, input, ghost } => {
                let mut part = field(area, label, &input, Line::empty(), Face::Ground);
                if let (Part::Field { text, .. }, true) = (&mut part, input.value().is_empty()) {
                    text.0.push(Span::new(&ghost, Tone::Dim));
                }
                parts.push(part);
            }
        }
    }
    if total > tall {
        parts.push(Part::Scroll { area: Area { x: area.x + area.width, width: 1, ..area }, offset, total });
    }
}

/// The matrix; the selected cell stays in sight.
fn table(grid: &Grid, area: Area) -> Part {
    let width = |at: usize, title: &str| {
        let cells = grid.rows.iter().filter_map(|r| r.get(at)).map(Line::width).max().unwrap_or(0);
        (text::width(&text::safe(title)).max(cells).clamp(4, 22)) as u16
    };
    let widths: Vec<u16> = grid.titles.iter().enumerate().map(|(i, t)| width(i, t)).collect();
    let first = widths.first().copied().unwrap_or(0) + 4;
    let fits = |from: usize| {
        let mut x = first;
        let mut to = from;
        while let Some(w) = widths.get(to).filter(|w| x + **w <= area.width || to == from) {
            x += w + 2;
            to += 1;
        }
        to
    };
    let from = (1..=grid.column).find(|from| fits(*from) > grid.column).unwrap_or(grid.column);
    let to = fits(from);
    let mut columns = Vec::new();
    let mut x = first;
    for (index, title) in grid.titles.iter().enumerate() {
        let wide = widths.get(index).copied().unwrap_or(0);
        let title = Line::new(title, Tone::Title);
        if index == 0 {
            columns.push(ColumnView { x: 2, width: wide, align: Align::Left, title, index });
        } else if (from..to).contains(&index) {
            columns.push(ColumnView { x, width: wide, align: Align::Left, title, index });
            x += wide + 2;
        }
    }
    let tall = usize::from(area.height.saturating_sub(1));
    let offset = (grid.row + 1).saturating_sub(tall).min(grid.rows.len().saturating_sub(tall));
    let rows = grid.rows.iter().enumerate().skip(offset).take(tall).map(|(i, cells)| RowView {
        cells: columns.iter().map(|c| cells.get(c.index).cloned().unwrap_or_default()).collect(),
        selected: i == grid.row,
        marked: false,
        stale: false,
    });
    let rows = rows.collect();
    let cell = columns.iter().position(|c| c.index == grid.column);
    Part::Table(TableView { area, columns, rows, cell, more: (from > 1, to < grid.titles.len()) })
}

/// The plan, as the console shows one.
fn preview(wizard: &mut Wizard, area: Area, parts: &mut Vec<Part>) {
    let Some(preview) = wizard.plan.preview.as_deref_mut() else { return };
    let (lines, total) = preview.page(None, usize::from(area.width), usize::from(area.height));
    let offset = preview.scroll;
    wizard.plan.page = usize::from(area.height);
    parts.push(Part::Text { area, lines, stale: false });
    if total > usize::from(area.height) {
        parts.push(Part::Scroll { area: Area { x: area.x + area.width, width: 1, ..area }, offset, total });
    }
}

/// Whom it is done to, once that is known.
fn header(wizard: &Wizard, width: u16) -> Part {
    let left = Line::empty().known(" pgmoat ", Tone::Strong).known("  set-up", Tone::Dim);
    let mut right = Line::empty();
    if let Some(opened) = wizard.opened.as_deref().filter(|_| wizard.step > Step::Server) {
        let server = &opened.snapshot.server;
        right = right.and(&server.database, Tone::Strong);
        let version = server.version.split(' ').next().unwrap_or_default();
        right = right.and(&format!("  {version}  "), Tone::Dim).and(&server.current_user, Tone::Text);
        if wizard.step > Step::Connection {
            let word = match wizard.environment {
                Environment::Development => " DEVELOPMENT ",
                Environment::Staging => " STAGING ",
                Environment::Production => " PRODUCTION ",
            };
            right = right.known("  ", Tone::Dim).known(word, environment(wizard.environment));
        }
        right = right.known(" ", Tone::Dim);
    }
    Part::Bar { area: Area::new(0, 0, width, 1), face: Face::Header, left, right }
}

/// The steps, where there is room; the present one in any case.
fn steps(wizard: &Wizard, width: usize) -> Line {
    let now = wizard.step;
    let count = format!("{} of {}", now.number(), Step::ALL.len());
    let mut line = Line::empty().known(" ", Tone::Dim);
    for step in Step::ALL {
        line = match step.cmp(&now) {
            Ordering::Less => line.known("✔ ", Tone::Good).known(step.title(), Tone::Dim),
            Ordering::Equal => line.known("▸ ", Tone::Accent).known(step.title(), Tone::Strong),
            Ordering::Greater => line.known("· ", Tone::Dim).known(step.title(), Tone::Dim),
        };
        line = line.known("  ", Tone::Dim);
    }
    if line.width() + count.len() + 2 > width {
        let bar: String = Step::ALL.iter().map(|s| if *s <= now { '▓' } else { '░' }).collect();
        return Line::new(&format!(" {count}  "), Tone::Accent)
            .known(now.title(), Tone::Strong)
            .and(&format!("  {bar}"), Tone::Dim);
    }
    let gap = " ".repeat(width - line.width() - count.len() - 1);
    line.and(&gap, Tone::Dim).and(&count, Tone::Accent)
}

fn footer(wizard: &Wizard, keys: &[(&'static str, &'static str)], area: Area) -> Part {
    if let Some(notice) = &wizard.notice {
        let left = Line::empty().known(" ", Tone::Text).join(notice.line.clone());
        return Part::Bar { area, face: Face::Footer, left, right: Line::empty() };
    }
    // where they do not all fit, the way on, the way back, the way out and what tells all of them stay
    let mut keys = keys.to_vec();
    let wide = |keys: &[(&str, &str)]| -> usize {
        keys.iter().map(|(key, does)| text::width(key) + text::width(does) + 4).sum::<usize>().saturating_sub(2)
    };
    while wide(&keys) > usize::from(area.width) {
        let Some(at) = keys.iter().skip(1).rposition(|(key, _)| !matches!(*key, "Esc" | "q" | "Ctrl-C" | "?" | "F1"))
        else {
            break;
        };
        keys.remove(at + 1);
    }
    let mut left = Line::empty().known(" ", Tone::Dim);
    for (key, does) in keys {
        let gap = if left.width() > 1 { "   " } else { "" };
        let piece = Line::empty().known(gap, Tone::Dim).known(key, Tone::Key).known(" ", Tone::Dim);
        left = left.join(piece.known(does, Tone::Dim));
    }
    Part::Bar { area, face: Face::Footer, left, right: Line::empty() }
}

/// A name in a column of so many cells.
pub(super) fn cell(name: &str, cells: usize) -> String {
    let shown = text::safe(name);
    let shown = text::fit(&shown, cells);
    let gap = " ".repeat(cells.saturating_sub(text::width(&shown)));
    format!("{shown}{gap}")
}

//! What was done from here: when, by whom, to what, with what outcome, and whether it was taken back. Enter shows the
//! statements and those that take them back.
//!
//! ```text
//!    no  when                 who            target             what                          outcome      undone by
//!    12  2026-11-20 21:14:05  ann@host       local · engarde    Fix 3 findings                committed
//! ```

use super::{Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey, Story};
use crate::{
    app::{
        act::{BookEntry, Meaning},
        prose::{self, Prose},
        sql_spans,
        view::{Column, Line, Span, Tone},
        wording,
    },
    plan::sql::printable,
};

pub const SPEC: PaneSpec = PaneSpec {
    id: "journal",
    title: "Journal",
    doc: "What was changed from here: by whom, how it ended, and what takes it back.",
};

/// See the module.
#[derive(Default)]
pub struct Journal {
    /// Positions in the book.
    rows: Vec<usize>,
}

impl Journal {
    fn at<'a>(&self, ctx: &Ctx<'a>, index: usize) -> Option<&'a BookEntry> {
        ctx.book?.entries.get(*self.rows.get(index)?)
    }
}

/// What the entry is to others, in words; empty for most.
fn relation(entry: &BookEntry) -> String {
    match entry.meaning {
        Meaning::New => String::new(),
        Meaning::Undoes(other) => format!("takes back {other}"),
        Meaning::Redoes(other) => format!("does {other} again"),
    }
}

fn way_back(entry: &BookEntry) -> Line {
    match (entry.undone_by, entry.can_undo, entry.can_redo) {
        (Some(by), ..) => Prose::new().text(&format!("It was taken back by {by}.")).line(),
        (_, true, _) => Prose::new().toned("u", Tone::Key).say(" takes it back, after a preview.").line(),
        (_, _, true) => {
            Prose::new().toned("u", Tone::Key).say(" does again what it took back, after a preview.").line()
        }
        _ => Line(vec![Span::known("There is nothing to take back.", Tone::Dim)]),
    }
}

fn story(entry: &BookEntry) -> Story {
    let heading = |text: &'static str| Line(vec![Span::known(text, Tone::Title)]);
    let mut lines = vec![
        Line::new(entry.state, entry.tone).known("  ", Tone::Dim).and(&entry.what, Tone::Strong),
        Prose::new().text(&entry.at).say(" by ").name(&entry.who).say(", on ").text(&entry.target).line(),
    ];
    let relation = relation(entry);
    if !relation.is_empty() {
        lines.push(Line::new(&format!("It {relation}."), Tone::Text));
    }
    lines.extend(entry.details.iter().map(|d| Line::new(d, Tone::Text)));
    lines.push(way_back(entry));
    lines.push(Line::empty());
    lines.push(heading("What was run"));
    for (title, statements) in &entry.steps {
        lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(title, Tone::Strong));
        for line in statements.iter().flat_map(|s| sql_spans::our_lines(s, 2000)) {
            lines.push(Line(vec![Span::known("    ", Tone::Text)]).join(line));
        }
    }
    if !entry.undo.is_empty() {
        lines.push(Line::empty());
        lines.push(heading("What takes it back"));
        for line in entry.undo.iter().flat_map(|s| sql_spans::our_lines(s, 2000)) {
            lines.push(Line(vec![Span::known("    ", Tone::Text)]).join(line));
        }
    }
    let copy = entry.steps.iter().flat_map(|(_, s)| s.iter().map(|s| printable(s))).collect::<Vec<_>>().join("\n");
    let title = Line::new(&format!("entry {}: ", entry.id), Tone::Dim).and(&entry.what, Tone::Title);
    Story { title, lines, copy }
}

impl Pane for Journal {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        let entries = ctx.book.map_or(&[][..], |b| b.entries.as_slice());
        // one instance chosen: what was done to it alone
        let shown = |e: &BookEntry| ctx.only.is_none() || e.instance == ctx.only;
        self.rows = (0..entries.len()).filter(|i| entries.get(*i).is_some_and(shown)).collect();
        let rows = self.rows.iter().filter_map(|i| entries.get(*i));
        rows.map(|e| Entry {
            id: RowId(e.instance.unwrap_or(0), e.id.to_string()),
            text: format!("{} {} {} {}", e.what, e.who, e.target, e.state),
            keys: vec![
                SortKey::Number(e.id as i64),
                SortKey::Number(e.at_us),
                SortKey::Text(e.who.clone()),
                SortKey::Text(e.target.clone()),
                SortKey::Text(e.what.clone()),
                SortKey::Text(e.state.to_owned()),
                SortKey::Number(e.undone_by.map_or(-1, |n| n as i64)),
            ],
        })
        .collect()
    }

    fn columns(&self, _ctx: &Ctx<'_>) -> Vec<Column> {
        vec![
            Column { frozen: true, ..Column::right("no", 3, 6, 0) },
            Column::left("when", 20, 20, 0),
            Column::left("who", 8, 18, 4),
            Column::left("target", 10, 28, 3),
            Column::left("what", 20, u16::MAX, 0),
            Column::left("outcome", 10, 14, 0),
            Column::left("undone by", 9, 14, 2),
        ]
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some(e) = self.at(ctx, index) else { return Vec::new() };
        let relation = match (e.undone_by, e.meaning) {
            (Some(by), _) => by.to_string(),
            (None, _) => relation(e),
        };
        vec![
            Line::new(&e.id.to_string(), Tone::Dim),
            Line::new(&e.at, Tone::Text),
            wording::plain(&e.who),
            wording::plain(&e.target),
            wording::plain(&e.what),
            Line::new(e.state, e.tone),
            Line::new(&relation, Tone::Dim),
        ]
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, width: u16) -> Vec<Line> {
        let Some(e) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = vec![
            Line::new(e.state, e.tone)
                .known("  ", Tone::Dim)
                .and(&e.what, Tone::Strong)
                .known("  ", Tone::Dim)
                .and(&e.target, Tone::Dim),
        ];
        lines.extend(e.details.iter().take(3).map(|d| Line::new(d, Tone::Text)));
        lines.push(way_back(e));
        let statements = e.steps.iter().flat_map(|(_, s)| s);
        for statement in statements.clone().take(2) {
            lines.push(sql_spans::our_line(statement, 400));
        }
        let more = statements.count().saturating_sub(2);
        if more > 0 {
            lines.push(Line::new(&format!("… {more} more"), Tone::Dim));
        }
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        self.at(ctx, index).map_or(Enter::Nothing("nothing is selected"), |e| Enter::Story(story(e)))
    }

    fn enter_word(&self) -> &'static str {
        "statements"
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, _column: usize) -> String {
        self.at(ctx, index).map(|e| story(e).copy).unwrap_or_default()
    }

    fn top(&self, ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        match ctx.book.and_then(|b| b.problem.as_deref()) {
            Some(problem) => {
                let line = Line(vec![Span::known("▲ ", Tone::Warning)]).and(problem, Tone::Warning);
                prose::block(&[line], width, 2)
            }
            None => Vec::new(),
        }
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        let lines = match ctx.book {
            None => vec![Line(vec![Span::known("Reading the journal …", Tone::Dim)])],
            Some(book) => vec![
                Line(vec![Span::known("Nothing was changed from here yet.", Tone::Good)]),
                Prose::new()
                    .say("Every change made from here is written down before it runs, with what takes it back, in ")
                    .name(&book.path)
                    .say(".")
                    .line(),
                Prose::new()
                    .toned("f", Tone::Key)
                    .say(" in Grants or Findings plans a change and shows it first.")
                    .line(),
            ],
        };
        prose::block(&lines, ctx.width.saturating_sub(4), 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{
        act::Book,
        panes::sample::{HOSTILE, Sample, ctx, holds_the_rules},
    };

    fn book(names: &[&str]) -> Book {
        let entries = names
            .iter()
            .enumerate()
            .map(|(i, name)| BookEntry {
                id: (names.len() - i) as u64,
                instance: Some(0),
                at_us: i as i64,
                at: "2026-11-20 21:14:05".into(),
                who: (*name).into(),
                target: format!("local · {name}"),
                what: format!("Fix {name}"),
                state: "committed",
                tone: Tone::Good,
                details: vec![format!("NOTICE: {name}")],
                undone_by: None,
                meaning: Meaning::New,
                can_undo: i == 0,
                can_redo: false,
                steps: vec![(format!("take {name}"), vec![format!("REVOKE ALL ON t FROM \"{name}\";")])],
                undo: vec![format!("GRANT ALL ON t TO \"{name}\";")],
            })
            .collect();
        Book { entries, path: "/state/journal.jsonl".into(), problem: None }
    }

    #[test]
    fn hostile_names_are_shown_and_never_acted_on() {
        let instances = [Sample::new().instance()];
        let book = book(&HOSTILE);
        for width in [80, 200] {
            let ctx = Ctx { book: Some(&book), ..ctx(&instances, width) };
            let mut pane = Journal::default();
            let entries = pane.load(&ctx);
            assert_eq!(entries.len(), HOSTILE.len());
            for i in 0..entries.len() {
                let Enter::Story(story) = pane.enter(&ctx, i, 0) else { panic!("a story") };
                let lines = pane.cells(&ctx, i).into_iter().chain(pane.inspector(&ctx, i, 0, width)).chain(story.lines);
                for line in lines {
                    assert!(!line.plain().chars().any(crate::text::is_unsafe), "{:?}", line.plain());
                }
            }
        }
    }

    #[test]
    fn empty_it_says_what_it_is_for() {
        let instances = [Sample::new().instance()];
        holds_the_rules(&mut Journal::default(), &instances);
        let book = Book { path: "/state/journal.jsonl".into(), ..Book::default() };
        let ctx = Ctx { book: Some(&book), ..ctx(&instances, 80) };
        let text: Vec<String> = Journal::default().empty(&ctx).iter().map(Line::plain).collect();
        assert!(text[0].contains("Nothing was changed") && text.join(" ").contains("journal.jsonl"));
    }

    #[test]
    fn enter_shows_the_statements_and_the_way_back() {
        let instances = [Sample::new().instance()];
        let book = book(&["ann"]);
        let ctx = Ctx { book: Some(&book), ..ctx(&instances, 120) };
        let mut pane = Journal::default();
        pane.load(&ctx);
        let Enter::Story(story) = pane.enter(&ctx, 0, 0) else { panic!("a story") };
        let text: String = story.lines.iter().map(|l| l.plain() + "\n").collect();
        assert!(text.contains("REVOKE ALL ON t") && text.contains("GRANT ALL ON t"), "{text}");
        assert!(text.contains("u takes it back"), "{text}");
    }
}

//! What is there: schemas with owners and version tables, and what is wrong before anything was declared. Asks nothing.

use super::{
    Effect, Step, Wizard,
    frame::{Page, Row, cell},
    moved, vertical,
};
use crate::{
    app::{
        keymap::{Code, Key},
        panes::findings,
        view::{Line, Span, Tone},
    },
    domain::snapshot::{Schema, Snapshot},
    policy::Severity,
    text,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    at: usize,
}

/// Schemas that belong to somebody.
pub(super) fn schemas(snapshot: &Snapshot) -> impl Iterator<Item = &Schema> {
    snapshot.catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension)
}

fn owner<'a>(snapshot: &'a Snapshot, schema: &Schema) -> &'a str {
    snapshot.catalog.roles.iter().find(|r| r.oid == schema.owner).map_or("?", |r| r.name.as_str())
}

/// Names of the version tables of a schema.
fn versions(snapshot: &Snapshot, schema: &Schema) -> Vec<String> {
    let tables = snapshot.versions.0.iter().filter(|t| t.schema == schema.oid && t.shape);
    tables.map(|t| t.name.clone()).collect()
}

impl Wizard {
    pub(super) fn there_key(&mut self, key: Key) -> Vec<Effect> {
        let all = self.opened.as_ref().map_or(0, |o| schemas(&o.snapshot).count());
        if let Some(by) = vertical(key) {
            self.there.at = moved(self.there.at, by, all);
            return Vec::new();
        }
        match key.code {
            Code::Esc => self.back(),
            Code::Enter => self.go(Step::Services),
            Code::Char('q') => self.leave(),
            _ => Vec::new(),
        }
    }

    pub(super) fn there_page(&self) -> Page {
        let mut rows = Vec::new();
        let mut side = Vec::new();
        let mut at = None;
        if let Some(opened) = &self.opened {
            let snapshot = &*opened.snapshot;
            let list: Vec<&Schema> = schemas(snapshot).collect();
            let names = list.iter().map(|s| text::width(&text::safe(&s.name))).max().unwrap_or(0).clamp(6, 24);
            let title = format!("  {}  {}  {:>6}  version table", cell("schema", names), cell("owner", 18), "tables");
            rows.push(Row::Text(Line::new(&title, Tone::Title)));
            for (i, schema) in list.iter().enumerate() {
                let here = i == self.there.at;
                if here {
                    at = Some(rows.len());
                }
                let wrong = opened.wrong.iter().filter(|w| w.2.as_deref() == Some(&schema.name));
                let (wrong, worst) = (wrong.clone().count(), wrong.map(|w| w.0).max());
                let left = Line::new(&cell(&schema.name, names), Tone::Strong)
                    .and(&format!("  {}", cell(owner(snapshot, schema), 18)), Tone::Text)
                    .and(&format!("  {:>6}  ", snapshot.catalog.tables_of(schema.oid)), Tone::Text)
                    .and(&versions(snapshot, schema).join(", "), Tone::Text);
                let right = match worst {
                    None => Line::empty(),
                    Some(worst) => Line::new(&format!("{} {wrong} ", worst.glyph()), findings::tone(worst)),
                };
                rows.push(Row::Choice { left, right, here });
            }
            if list.is_empty() {
                rows.push(Row::dim("  There is no schema yet: the next question begins with an empty database."));
            }
            side = self.there_side(list.get(self.there.at).copied());
        }
        Page {
            question: Line::new("This is what is there.", Tone::Title),
            why: Line::new(
                "Nothing is asked here: what is wrong before anything was declared stands beside it.",
                Tone::Dim,
            ),
            rows,
            at,
            offset: 0,
            grid: None,
            side,
            keys: vec![("Enter", "go on"), ("↑↓", "look at a schema"), ("Esc", "back"), ("q", "leave")],
        }
    }

    fn there_side(&self, schema: Option<&Schema>) -> Vec<Line> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let catalog = &opened.snapshot.catalog;
        let roles: Vec<&str> = catalog
            .roles
            .iter()
            .filter(|r| r.login && !r.is_platform() && !r.is_predefined())
            .map(|r| r.name.as_str())
            .collect();
        let mut side =
            vec![Line::new("Logins", Tone::Title).known("  ", Tone::Dim).and(&text::list(&roles, 8), Tone::Text)];
        side.push(Line::empty());
        if opened.wrong.is_empty() {
            side.push(Line::new("✔ Nothing is wrong that could be seen without knowing what you want.", Tone::Good));
            return side;
        }
        let here = schema.map(|s| s.name.as_str());
        let about = |w: &&(Severity, String, Option<String>)| w.2.as_deref() == here && here.is_some();
        let told = opened.wrong.iter().filter(about).chain(opened.wrong.iter().filter(|w| !about(w)));
        side.push(
            Line::new(&text::count(opened.wrong.len() as u64, "thing is", "things are"), Tone::Title)
                .known(" wrong already", Tone::Title),
        );
        side.extend(told.map(|(severity, sentence, _)| {
            let mark = Span::known(severity.glyph(), findings::tone(*severity));
            Line(vec![mark]).known(" ", Tone::Text).and(sentence, Tone::Text)
        }));
        side
    }
}

//! Panes: each is one file with its rows, columns, sort keys, wording and tests. They are listed in [`PANES`], from which
//! tabs, number keys, the palette and the documentation are derived.
//!
//! A pane turns judgements into entries when data changed ([`Pane::load`]), and entries into cells when they are on
//! screen ([`Pane::cells`]); it never draws, never asks a server, never blocks.

mod blocking;
pub mod findings;
mod fixable;
pub mod grants;
pub mod journal;
pub mod marks;
mod objects;
pub mod overview;
pub mod reach;
mod relation_sizes;
mod role_story;
pub mod roles;
#[cfg(test)]
pub(crate) mod sample;
pub mod schemas;
pub mod session_story;
pub mod sessions;
pub mod sizes;
mod version_story;
pub mod versions;

use crate::{
    app::{
        act::Book,
        instance::Instance,
        view::{Column, Line},
    },
    domain::Oid,
};

/// What a pane may look at.
pub struct Ctx<'a> {
    pub instances: &'a [Instance],
    /// `None`: all instances, with the instance as a column.
    pub only: Option<usize>,
    /// Milliseconds of a monotonic clock, for ages of data.
    pub now_ms: u64,
    /// Cells of the terminal.
    pub width: u16,
    pub height: u16,
    /// The journal; `None` until it was read.
    pub book: Option<&'a Book>,
}

/// How much around the cursor is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The cell, or the row where there are no cells.
    Here,
    Row,
    Column,
}

impl<'a> Ctx<'a> {
    /// The instances in scope, with their positions.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &'a Instance)> {
        let only = self.only;
        self.instances.iter().enumerate().filter(move |(i, _)| only.is_none_or(|o| o == *i))
    }
    /// The table needs a column for the instance.
    #[must_use]
    pub fn several(&self) -> bool {
        self.only.is_none() && self.instances.len() > 1
    }
}

/// Identity of a row, so that the selection follows the object and not the line: instance position and a name or number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub usize, pub String);

/// What a column sorts by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    Number(i64),
    Text(String),
}

/// One row, before it is drawn. The position in the list that [`Pane::load`] returned is its index.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: RowId,
    /// What the filter matches, raw.
    pub text: String,
    /// One key per column that sorts, in the order of all columns.
    pub keys: Vec<SortKey>,
}

/// A long text opened by Enter: evidence, explanation, SQL. Scrolls; `y` copies `copy`.
#[derive(Debug, Clone)]
pub struct Story {
    pub title: Line,
    pub lines: Vec<Line>,
    pub copy: String,
}

/// What Enter leads to.
pub enum Enter {
    /// Nothing more to tell; why, for the status line.
    Nothing(&'static str),
    /// The pane went one level down: its entries are to be loaded anew.
    Down,
    Story(Story),
    /// Another pane, by id, with a row selected where it has one: the row of that id, else the first of that instance
    /// whose id begins with the given text. `Esc` there comes back here.
    Go {
        pane: &'static str,
        row: Option<RowId>,
    },
}

/// What a pane would like to have read for what is on screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Exact sizes of these schemas.
    Sizes { instance: usize, schemas: Vec<Oid> },
    /// Names of the objects of these schemas; `beneath`: what views ask for beneath them, too.
    Objects { instance: usize, schemas: Vec<Oid>, beneath: bool },
}

/// What is the same for every value of a pane.
#[derive(Debug)]
pub struct PaneSpec {
    /// In `:name`, the configuration and the documents.
    pub id: &'static str,
    pub title: &'static str,
    /// One sentence: what it answers.
    pub doc: &'static str,
}

/// Makes a pane in its first state.
pub type NewPane = fn() -> Box<dyn Pane>;

/// Every pane, in the order of tabs and number keys: overview, schemas, roles, grants, sizes, sessions, versions,
/// findings, journal. One line each: `(&schemas::SPEC, || Box::new(schemas::Schemas::default())),`
pub const PANES: &[(&PaneSpec, NewPane)] = &[
    (&overview::SPEC, || Box::new(overview::Overview::default())),
    (&schemas::SPEC, || Box::new(schemas::Schemas::default())),
    (&roles::SPEC, || Box::new(roles::Roles::default())),
    (&grants::SPEC, || Box::new(grants::Grants::default())),
    (&sizes::SPEC, || Box::new(sizes::Sizes::default())),
    (&sessions::SPEC, || Box::new(sessions::Sessions::default())),
    (&versions::SPEC, || Box::new(versions::Versions::default())),
    (&findings::SPEC, || Box::new(findings::Findings::default())),
    (&journal::SPEC, || Box::new(journal::Journal::default())),
];

/// A pane. See the module.
///
/// `columns`, `top`, `empty`, `crumbs` and, for visible rows, `cells` are called for every frame: what costs more than
/// looking something up belongs into [`Pane::load`].
pub trait Pane: Send {
    fn spec(&self) -> &'static PaneSpec;
    /// Builds the entries of the present level. Called when data, scope or level changed, not for every frame.
    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry>;
    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column>;
    /// Cells of one visible row, one per column of [`Pane::columns`].
    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line>;
    /// As [`Pane::cells`], for some columns only, in the order asked for. A pane with hundreds of columns makes just these.
    fn cells_of(&self, ctx: &Ctx<'_>, index: usize, columns: &[usize]) -> Vec<Line> {
        let mut cells = self.cells(ctx, index);
        columns.iter().map(|c| cells.get_mut(*c).map(std::mem::take).unwrap_or_default()).collect()
    }
    /// What the selected row or cell is, why, what it should be: 4 to 8 lines of at most `width` cells.
    fn inspector(&self, ctx: &Ctx<'_>, index: usize, column: usize, width: u16) -> Vec<Line>;
    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, column: usize) -> Enter;
    /// What Enter does here, in a word for the footer.
    fn enter_word(&self) -> &'static str {
        "open"
    }
    /// One level up; false at the top.
    fn back(&mut self) -> bool {
        false
    }
    /// Where we are below the top level: `langflow › flow`.
    fn crumbs(&self) -> Option<String> {
        None
    }
    /// What `y` copies.
    fn copy(&self, ctx: &Ctx<'_>, index: usize, column: usize) -> String;
    /// Lines above the table, at most a third of the body.
    fn top(&self, _ctx: &Ctx<'_>, _width: u16) -> Vec<Line> {
        Vec::new()
    }
    /// What to show in place of an empty table: what this pane shows and how to get there, or that all is well.
    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line>;
    /// The cursor moves by cell, not by row.
    fn by_cell(&self) -> bool {
        false
    }
    /// Column to sort by at first, and whether descending; `None` keeps the order of `load`.
    fn sorted(&self) -> Option<(usize, bool)> {
        None
    }
    /// What would be good to have read for these visible rows, and for the selected one before others.
    fn wants(&self, _ctx: &Ctx<'_>, _visible: &[usize], _selected: Option<usize>) -> Vec<Want> {
        Vec::new()
    }
    /// Ids of the findings with a fix that are meant by this row, cell or column.
    fn fixes(&self, _ctx: &Ctx<'_>, _index: usize, _column: usize, _reach: Reach) -> Vec<String> {
        Vec::new()
    }
    /// Why nothing mends this row by itself, in sentences with what to do: for a row that [`Pane::fixes`] has nothing for.
    fn unfixed(&self, _ctx: &Ctx<'_>, _index: usize) -> Vec<String> {
        Vec::new()
    }
    /// What a person does about this row, where it is a finding.
    fn remedy(&self, _ctx: &Ctx<'_>, _index: usize) -> Option<String> {
        None
    }
    /// A number for the tab: findings, blocked sessions. Asked for when data changed.
    fn badge(&self, _ctx: &Ctx<'_>) -> Option<u64> {
        None
    }
    /// Shows only what differs, or everything again; true when the pane can.
    fn toggle_differences(&mut self) -> bool {
        false
    }
    /// Whether only what differs is shown; `None` where that makes no sense.
    fn differences(&self) -> Option<bool> {
        None
    }
}

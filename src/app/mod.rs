//! The program without a screen: what is shown, what a key does, what is to be done about it. No terminal, no runtime,
//! no server in here; time comes in as [`Msg::Tick`].
//!
//! [`App::update`] takes what happened and returns what is to be done; [`App::view`] returns the frame as data.

pub mod about;
pub mod act;
pub mod actions;
mod compose;
mod fuzzy;
pub mod instance;
pub mod keymap;
mod layout;
mod legend;
mod overlay;
mod palette;
pub mod panes;
pub mod prose;
pub mod screen;
pub mod sql_spans;
mod table;
mod update;
pub mod view;
pub mod wizard;
pub mod wording;
pub mod words;
mod wrap;

use std::sync::Arc;

use crate::{domain::link::Link, plan::Approved, policy::judgement::Judgement};
use act::{ActNews, After, Ask, Book, Meaning, Ready, ending::Ordered};
use fuzzy::findable;
use instance::Instance;
use keymap::{Key, Keymap};
use layout::Layout;
use overlay::Overlay;
use panes::{Ctx, Entry, NewPane, PANES, Pane, PaneSpec, Want};
use screen::Area;
use table::TableState;
use view::{Column, Line, Tone};

/// What happened.
#[derive(Clone)]
pub enum Msg {
    Key(Key),
    Mouse(Mouse),
    /// Text from the clipboard: goes into a text field or nowhere, and never fires keys.
    Paste(String),
    Resize(u16, u16),
    /// News of the instance of that position.
    Instance(usize, InstanceMsg),
    /// Milliseconds of the monotonic clock, and seconds of the local day.
    Tick {
        now_ms: u64,
        day_s: Option<u32>,
    },
    /// Something to tell: a file was written, a copy failed.
    Notice(String, Tone),
    /// The frame of that number ([`App::frame`]) is on the screen.
    Drawn(u64),
    /// A database was opened: the instance of that position, new behind the others or there already.
    Opened(usize, Option<Box<Instance>>),
    /// News of the action of that ticket.
    Act(u64, ActNews),
    /// The journal was read.
    Journal(Arc<Book>),
}

/// News of an instance.
#[derive(Clone)]
pub enum InstanceMsg {
    Link(Link),
    Judgement(Arc<Judgement>),
    /// The policy's file name, and why it could not be read.
    Policy {
        name: Option<String>,
        problem: Option<String>,
    },
}

/// What the mouse did, in cells from the top left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mouse {
    pub kind: MouseKind,
    pub x: u16,
    pub y: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseKind {
    Press,
    WheelUp,
    WheelDown,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Quit,
    /// Give the terminal back and stop the process.
    Suspend,
    /// Paint every cell anew.
    Redraw,
    /// Send to the terminal's clipboard.
    Copy(String),
    /// Write to a new file; the answer comes as [`Msg::Notice`].
    Write {
        path: String,
        text: String,
    },
    /// Read everything now, of one instance or of all.
    Refresh(Option<usize>),
    /// All instances.
    Pause(bool),
    /// Milliseconds between two readings of the sessions, of all instances.
    Interval(u64),
    Want(Want),
    /// Read what is there now and make a plan; it comes back as [`ActNews::Ready`].
    Plan {
        ticket: u64,
        instance: usize,
        ask: Ask,
    },
    /// Run the plan, prove it, roll it back.
    Rehearse {
        ticket: u64,
        instance: usize,
        ready: Arc<Ready>,
    },
    /// Run what was confirmed.
    Apply {
        ticket: u64,
        instance: usize,
        approved: Box<Approved>,
        meaning: Meaning,
        /// What is to be told and made once it is committed.
        after: Box<After>,
    },
    /// Somebody wants the action to stop.
    StopAction(u64),
    /// End the sessions that were confirmed.
    Signal {
        ticket: u64,
        instance: usize,
        ordered: Ordered,
    },
    /// Read the journal; it comes back as [`Msg::Journal`].
    ReadJournal,
    /// Show another database of that instance's server; it comes back as [`Msg::Opened`].
    Open {
        instance: usize,
        database: String,
    },
}

/// Something to say in the footer until the next key, or for some seconds.
struct Notice {
    line: Line,
    until_ms: u64,
}

/// How long a notice stays, milliseconds.
const NOTICE_MS: u64 = 6000;
/// Intervals that `+` and `-` go through, milliseconds.
const INTERVALS_MS: [u64; 7] = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/// One pane with what it shows.
struct Slot {
    spec: &'static PaneSpec,
    pane: Box<dyn Pane>,
    entries: Vec<Entry>,
    /// Positions of the entries that pass the filter, in order.
    order: Vec<usize>,
    columns: Vec<Column>,
    table: TableState,
    /// The tables above the present level.
    above: Vec<TableState>,
    /// Data, scope or level moved since the entries were made.
    moved: bool,
    badge: Option<u64>,
    /// What was asked for last, and under which data.
    asked: (u64, Vec<Want>),
}

/// What a click can hit; as it was drawn last.
#[derive(Default)]
struct Hits {
    /// From, to, pane.
    tabs: Vec<(u16, u16, usize)>,
    tabs_y: u16,
    rows: Area,
    /// Line of the column titles.
    titles_y: u16,
    /// From, to, position of the column.
    columns: Vec<(u16, u16, usize)>,
    choices: Area,
    page: usize,
}

/// See the module.
pub struct App {
    instances: Vec<Instance>,
    only: Option<usize>,
    slots: Vec<Slot>,
    active: usize,
    /// Panes that Enter led away from.
    trail: Vec<usize>,
    overlays: Vec<Overlay>,
    notice: Option<Notice>,
    keymap: Keymap,
    size: (u16, u16),
    now_ms: u64,
    day_s: Option<u32>,
    paused: bool,
    /// Grows with all news that panes make their rows from.
    data: u64,
    hits: Hits,
    /// Number of the last frame that was composed.
    frame: u64,
    /// Number of the last action.
    tickets: u64,
    /// The key that is being handled.
    pressed: Option<Key>,
    /// The console ends as soon as what runs has ended.
    leaving: bool,
    /// The journal as it was read last.
    book: Option<Arc<Book>>,
    /// Forms that were left with something typed, the newest last.
    kept: Vec<act::form::Form>,
}

impl App {
    /// All panes over some instances.
    #[must_use]
    pub fn new(instances: Vec<Instance>, keymap: Keymap) -> App {
        App::with_panes(instances, keymap, PANES)
    }

    /// Some panes over some instances.
    #[must_use]
    pub fn with_panes(instances: Vec<Instance>, keymap: Keymap, panes: &[(&'static PaneSpec, NewPane)]) -> App {
        let slots = panes
            .iter()
            .map(|(spec, new)| {
                let pane = new();
                let table = TableState { sort: pane.sorted(), ..TableState::default() };
                Slot {
                    spec,
                    pane,
                    entries: Vec::new(),
                    order: Vec::new(),
                    columns: Vec::new(),
                    table,
                    above: Vec::new(),
                    moved: true,
                    badge: None,
                    asked: (0, Vec::new()),
                }
            })
            .collect();
        App {
            instances,
            only: None,
            slots,
            active: 0,
            trail: Vec::new(),
            overlays: Vec::new(),
            notice: None,
            keymap,
            size: (0, 0),
            now_ms: 0,
            day_s: None,
            paused: false,
            data: 1,
            hits: Hits::default(),
            frame: 0,
            tickets: 0,
            pressed: None,
            leaving: false,
            book: None,
            kept: Vec::new(),
        }
    }

    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Nothing is read at the moment, because somebody wants it so.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Number of the last frame that [`App::view`] composed.
    #[must_use]
    pub fn frame(&self) -> u64 {
        self.frame
    }

    fn layout(&self) -> Layout {
        Layout::new(self.size.0, self.size.1)
    }

    fn slot(&self) -> Option<&Slot> {
        self.slots.get(self.active)
    }

    /// What panes may look at, and the active one.
    fn here(&mut self) -> Option<(Ctx<'_>, &mut Slot)> {
        let ctx = Ctx {
            instances: &self.instances,
            only: self.only,
            now_ms: self.now_ms,
            width: self.size.0,
            height: self.size.1,
            book: self.book.as_deref(),
        };
        self.slots.get_mut(self.active).map(|slot| (ctx, slot))
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx {
            instances: &self.instances,
            only: self.only,
            now_ms: self.now_ms,
            width: self.size.0,
            height: self.size.1,
            book: self.book.as_deref(),
        }
    }

    /// Makes the active pane's rows when they are out of date.
    fn load(&mut self) {
        if self.slot().is_none_or(|s| !s.moved) {
            return;
        }
        if let Some((ctx, slot)) = self.here() {
            slot.moved = false;
            slot.entries = slot.pane.load(&ctx);
            for entry in &mut slot.entries {
                entry.text = findable(std::mem::take(&mut entry.text));
            }
            let columns = slot.pane.columns(&ctx);
            slot.head(columns);
            slot.table.keep_marks(&slot.entries);
        }
        self.reorder();
    }

    /// The active pane's rows anew from the same entries: filter or sorting changed.
    fn reorder(&mut self) {
        let names: Vec<String> = self.instances.iter().map(|i| i.name.clone()).collect();
        if let Some((_, slot)) = self.here() {
            slot.reorder(&names);
        }
    }

    /// Every pane's data moved.
    fn moved(&mut self) {
        self.data += 1;
        for slot in &mut self.slots {
            slot.moved = true;
        }
        let ctx = Ctx {
            instances: &self.instances,
            only: self.only,
            now_ms: self.now_ms,
            width: self.size.0,
            height: self.size.1,
            book: self.book.as_deref(),
        };
        for slot in &mut self.slots {
            slot.badge = slot.pane.badge(&ctx).filter(|n| *n > 0);
        }
    }

    /// Position in the entries of the selected row.
    fn row(&self) -> Option<usize> {
        let slot = self.slot()?;
        slot.order.get(slot.table.cursor).copied()
    }

    /// The instance the header speaks of: of the selected row, else the chosen one, else the first.
    fn focus(&self) -> Option<usize> {
        let of_row = self.row().and_then(|r| self.slot()?.entries.get(r)).map(|e| e.id.0);
        let all = self.instances.len();
        of_row.filter(|i| *i < all).or(self.only).or((all > 0).then_some(0))
    }

    /// Says something in the footer.
    fn say(&mut self, text: &str, tone: Tone) {
        self.notice = Some(Notice { line: Line::new(text, tone), until_ms: self.now_ms + NOTICE_MS });
    }
}

impl Slot {
    /// Other columns: the cursor and the sorting stay with theirs by title.
    fn head(&mut self, columns: Vec<Column>) {
        let before = std::mem::replace(&mut self.columns, columns);
        if before.len() == self.columns.len() && before.iter().zip(&self.columns).all(|(a, b)| a.title == b.title) {
            return;
        }
        self.table.widths.clear();
        if before.is_empty() {
            return;
        }
        let now = |at: usize| {
            let title = &before.get(at)?.title;
            self.columns.iter().position(|c| c.title == *title)
        };
        let column = now(self.table.column);
        let sort = self.table.sort.and_then(|(at, descending)| now(at).map(|at| (at, descending)));
        self.table.column = column.unwrap_or(self.table.column);
        self.table.sort = sort;
    }

    fn reorder(&mut self, instances: &[String]) {
        self.order = self.table.order(&self.entries, &self.columns, instances);
    }
}

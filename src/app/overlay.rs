//! What lies over a pane: text fields, lists to choose from, long texts. They form a stack; Esc takes the top one away.

use tui_input::{Input, InputRequest};

use super::{
    act::{form::Form, preview::Preview},
    fuzzy::{Fuzzy, How, findable},
    keymap::{Code, Key},
    panes::{RowId, Story},
    table::Filter,
    view::Line,
    wrap::wrap,
};

/// One layer over the pane.
#[derive(Debug)]
pub enum Overlay {
    /// The filter being typed; the one to come back to on Esc.
    Filter {
        input: Input,
        before: Filter,
    },
    /// The name of the file to write a text to.
    Save {
        input: Input,
        text: String,
    },
    Pick(Picker),
    Story(StoryView),
    /// Something asked for field by field.
    Form(Box<Form>),
    /// An action on its way.
    Preview(Box<Preview>),
}

impl Overlay {
    /// Characters go into a text field.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        match self {
            Overlay::Filter { .. } | Overlay::Save { .. } | Overlay::Pick(_) => true,
            // they take all keys themselves
            Overlay::Story(_) | Overlay::Form(_) | Overlay::Preview(_) => false,
        }
    }
}

/// A long text with its place.
#[derive(Debug)]
pub struct StoryView {
    pub title: Line,
    lines: Vec<Line>,
    pub copy: String,
    /// It explains the keys; the help key closes it.
    pub help: bool,
    /// Findings with a fix that it tells of, and their instance.
    pub fixes: Option<(usize, Vec<String>)>,
    pub scroll: usize,
    wrapped: Vec<Line>,
    wrapped_at: usize,
}

impl StoryView {
    #[must_use]
    pub fn new(story: Story, help: bool) -> StoryView {
        let Story { title, lines, copy } = story;
        StoryView { title, lines, copy, help, fixes: None, scroll: 0, wrapped: Vec::new(), wrapped_at: 0 }
    }

    /// The lines that are visible in `width` x `height` cells, and how many there are; corrects the scroll.
    pub fn page(&mut self, width: usize, height: usize) -> (Vec<Line>, usize) {
        if self.wrapped_at != width || self.wrapped.is_empty() {
            self.wrapped = self.lines.iter().flat_map(|l| wrap(l, width)).collect();
            self.wrapped_at = width;
        }
        self.scroll = self.scroll.min(self.wrapped.len().saturating_sub(height));
        (self.wrapped.iter().skip(self.scroll).take(height).cloned().collect(), self.wrapped.len())
    }
}

/// What choosing an item of a list does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Pane(usize),
    /// An action's id.
    Action(&'static str),
    /// One instance, or all.
    Instance(Option<usize>),
    /// Another database of an instance's server, by name.
    Database {
        instance: usize,
        name: String,
    },
    Row {
        pane: &'static str,
        row: RowId,
    },
    /// A column to sort by.
    Sort(usize),
}

/// An item of a list.
#[derive(Debug, Clone)]
pub struct Item {
    pub label: Line,
    /// To the right: a key, a kind.
    pub hint: Line,
    /// What typing is matched with, raw; the list adds how it is shown.
    pub search: String,
    /// Comes first when exactly this was typed.
    pub id: String,
    /// Shown before anything is typed.
    pub at_once: bool,
    pub choice: Choice,
}

/// A list to choose from by typing a few letters.
#[derive(Debug)]
pub struct Picker {
    pub title: Line,
    pub input: Input,
    pub items: Vec<Item>,
    /// Positions of the matching items, best first.
    pub shown: Vec<usize>,
    pub cursor: usize,
    pub offset: usize,
}

/// Matches shown at most: more letters find the rest.
const MOST: usize = 200;

impl Picker {
    /// `at` is the item that is selected at first.
    #[must_use]
    pub fn new(title: Line, items: Vec<Item>, at: usize) -> Picker {
        let found = |item: Item| Item { search: findable(item.search), ..item };
        let items = items.into_iter().map(found).collect();
        let mut picker = Picker { title, input: Input::default(), items, shown: Vec::new(), cursor: 0, offset: 0 };
        picker.search();
        picker.cursor = picker.shown.iter().position(|i| *i == at).unwrap_or(0);
        picker
    }

    fn search(&mut self) {
        let typed = self.input.value().trim();
        self.cursor = 0;
        self.offset = 0;
        if typed.is_empty() {
            self.shown = (0..self.items.len()).filter(|i| self.items.get(*i).is_some_and(|x| x.at_once)).collect();
            return;
        }
        let mut scored: Vec<(bool, u32, usize, usize)> = Vec::new();
        for how in [How::Exactly, How::Loosely] {
            let mut fuzzy = Fuzzy::new(typed, how);
            for (i, item) in self.items.iter().enumerate() {
                if let Some(score) = fuzzy.score(&item.search) {
                    // of two that match alike, the one with less besides
                    scored.push((item.id.eq_ignore_ascii_case(typed), score, item.search.len(), i));
                }
            }
            if !scored.is_empty() {
                break;
            }
        }
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        self.shown = scored.into_iter().take(MOST).map(|(.., i)| i).collect();
    }

    /// The selected item's choice.
    #[must_use]
    pub fn chosen(&self) -> Option<Choice> {
        self.shown.get(self.cursor).and_then(|i| self.items.get(*i)).map(|i| i.choice.clone())
    }

    /// Moves the selection by lines.
    pub fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.shown.len().saturating_sub(1));
    }

    /// Takes a key that is not Enter or Esc.
    pub fn key(&mut self, key: Key) {
        match (key.code, key.ctrl) {
            (Code::Up | Code::BackTab, _) | (Code::Char('p'), true) => self.step(-1),
            (Code::Down | Code::Tab, _) | (Code::Char('n'), true) => self.step(1),
            (Code::PageUp, _) => self.step(-10),
            (Code::PageDown, _) => self.step(10),
            _ => {
                if edit(&mut self.input, key) {
                    self.search();
                }
            }
        }
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) {
        insert(&mut self.input, text);
        self.search();
    }
}

/// Longest text a field takes, characters.
const LONGEST: usize = 400;

/// Lets a key work on a text field; true when its text changed.
pub fn edit(input: &mut Input, key: Key) -> bool {
    let request = match (key.code, key.ctrl) {
        (Code::Char(c), false) if !key.alt && input.value().chars().count() < LONGEST => InputRequest::InsertChar(c),
        (Code::Backspace, false) | (Code::Char('h'), true) => InputRequest::DeletePrevChar,
        (Code::Delete, _) | (Code::Char('d'), true) => InputRequest::DeleteNextChar,
        (Code::Left, false) | (Code::Char('b'), true) => InputRequest::GoToPrevChar,
        (Code::Right, false) | (Code::Char('f'), true) => InputRequest::GoToNextChar,
        (Code::Left, true) => InputRequest::GoToPrevWord,
        (Code::Right, true) => InputRequest::GoToNextWord,
        (Code::Home, _) | (Code::Char('a'), true) => InputRequest::GoToStart,
        (Code::End, _) | (Code::Char('e'), true) => InputRequest::GoToEnd,
        (Code::Backspace | Code::Char('w'), true) => InputRequest::DeletePrevWord,
        (Code::Char('u'), true) => InputRequest::DeleteFromStart,
        (Code::Char('k'), true) => InputRequest::DeleteTillEnd,
        _ => return false,
    };
    input.handle(request).is_some_and(|changed| changed.value)
}

/// Inserts pasted text; line ends and controls become blanks.
pub fn insert(input: &mut Input, text: &str) {
    let room = LONGEST.saturating_sub(input.value().chars().count());
    for c in text.chars().take(room) {
        input.handle(InputRequest::InsertChar(if c.is_control() { ' ' } else { c }));
    }
}

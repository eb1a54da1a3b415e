//! What is on the screen, as data: lines of toned text, tables of visible rows only. `tui` draws it and knows no more.
//! Every text in here is already safe to show: build it with [`Span::new`] from raw text, or [`Span::known`] from ours.

use std::borrow::Cow;

use crate::text;

/// What a piece of text means; a theme gives it a style. Every meaning also has a glyph or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tone {
    Text,
    Dim,
    Strong,
    /// Headings and column titles.
    Title,
    Accent,
    /// A key to press.
    Key,
    Good,
    Info,
    Warning,
    Error,
    Critical,
    /// Privileges that should be there and are not.
    Missing,
    /// Privileges that are there and should not be.
    Excess,
    /// Not seen by this login.
    Unknown,
    Superuser,
    Bar,
    BarRest,
    Production,
    Staging,
    Development,
    SqlKeyword,
    SqlName,
    SqlString,
    SqlComment,
}

impl Tone {
    /// All, for themes and their test. The dotted scope of each is [`Tone::scope`].
    pub const ALL: [Tone; 24] = [
        Tone::Text,
        Tone::Dim,
        Tone::Strong,
        Tone::Title,
        Tone::Accent,
        Tone::Key,
        Tone::Good,
        Tone::Info,
        Tone::Warning,
        Tone::Error,
        Tone::Critical,
        Tone::Missing,
        Tone::Excess,
        Tone::Unknown,
        Tone::Superuser,
        Tone::Bar,
        Tone::BarRest,
        Tone::Production,
        Tone::Staging,
        Tone::Development,
        Tone::SqlKeyword,
        Tone::SqlName,
        Tone::SqlString,
        Tone::SqlComment,
    ];

    /// Name in a theme file.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Tone::Text => "text",
            Tone::Dim => "text.dim",
            Tone::Strong => "text.strong",
            Tone::Title => "text.title",
            Tone::Accent => "text.accent",
            Tone::Key => "text.key",
            Tone::Good => "state.good",
            Tone::Info => "state.info",
            Tone::Warning => "state.warning",
            Tone::Error => "state.error",
            Tone::Critical => "state.critical",
            Tone::Missing => "drift.missing",
            Tone::Excess => "drift.excess",
            Tone::Unknown => "drift.unknown",
            Tone::Superuser => "drift.superuser",
            Tone::Bar => "bar",
            Tone::BarRest => "bar.rest",
            Tone::Production => "environment.production",
            Tone::Staging => "environment.staging",
            Tone::Development => "environment.development",
            Tone::SqlKeyword => "sql.keyword",
            Tone::SqlName => "sql.name",
            Tone::SqlString => "sql.string",
            Tone::SqlComment => "sql.comment",
        }
    }
}

/// A piece of text in one tone, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    text: Cow<'static, str>,
    pub tone: Tone,
}

impl Span {
    /// From a text of unknown origin: escaped.
    #[must_use]
    pub fn new(text: &str, tone: Tone) -> Span {
        Span { text: Cow::Owned(text::safe(text).into_owned()), tone }
    }
    /// From a text of our own: a literal.
    #[must_use]
    pub const fn known(text: &'static str, tone: Tone) -> Span {
        Span { text: Cow::Borrowed(text), tone }
    }
    /// From a text that went through [`text::safe`] already.
    pub(super) fn safe(text: String, tone: Tone) -> Span {
        Span { text: Cow::Owned(text), tone }
    }
    /// A piece of a text that is already safe, by bytes; empty when the range is not one of whole characters.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Span {
        Span { text: Cow::Owned(self.text.get(range).unwrap_or_default().to_owned()), tone: self.tone }
    }
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
    #[must_use]
    pub fn width(&self) -> usize {
        text::width(&self.text)
    }
}

/// One line of spans.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// One span of unknown origin.
    #[must_use]
    pub fn new(text: &str, tone: Tone) -> Line {
        Line(vec![Span::new(text, tone)])
    }
    #[must_use]
    pub fn empty() -> Line {
        Line::default()
    }
    /// Appends a text of unknown origin.
    #[must_use]
    pub fn and(mut self, text: &str, tone: Tone) -> Line {
        self.0.push(Span::new(text, tone));
        self
    }
    /// Appends a text of our own.
    #[must_use]
    pub fn known(mut self, text: &'static str, tone: Tone) -> Line {
        self.0.push(Span::known(text, tone));
        self
    }
    /// Appends the spans of another line.
    #[must_use]
    pub fn join(mut self, other: Line) -> Line {
        self.0.extend(other.0);
        self
    }
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(Span::width).sum()
    }
    /// The text alone.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().map(Span::text).collect()
    }
}

/// How a column's cells are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column as a pane declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub title: Cow<'static, str>,
    /// Cells at least, and at most when there is room; a column of `max` = `u16::MAX` takes what is left.
    pub min: u16,
    pub max: u16,
    pub align: Align,
    /// Dropped first when the screen is narrow: higher goes earlier; 0 never goes.
    pub drop: u8,
    /// Stays in place when the table scrolls sideways.
    pub frozen: bool,
    /// Can be sorted by.
    pub sorts: bool,
}

impl Column {
    #[must_use]
    pub const fn left(title: &'static str, min: u16, max: u16, drop: u8) -> Column {
        Column { title: Cow::Borrowed(title), min, max, align: Align::Left, drop, frozen: false, sorts: true }
    }
    #[must_use]
    pub const fn right(title: &'static str, min: u16, max: u16, drop: u8) -> Column {
        Column { title: Cow::Borrowed(title), min, max, align: Align::Right, drop, frozen: false, sorts: true }
    }
}

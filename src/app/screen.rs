//! One frame as data: what stands where, in what tone. `tui::draw` paints it and knows no more; two equal screens need
//! no second painting. Every text in it is already safe to show.

use super::view::{Align, Line};

/// A rectangle of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Area {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Area {
    #[must_use]
    pub const fn new(x: u16, y: u16, width: u16, height: u16) -> Area {
        Area { x, y, width, height }
    }
    #[must_use]
    pub const fn contains(&self, x: u16, y: u16) -> bool {
        x >= self.x && x - self.x < self.width && y >= self.y && y - self.y < self.height
    }
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }
}

/// What a part of the frame is; a theme gives it a style, mostly a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Face {
    /// The ground of everything.
    Ground,
    Header,
    Tab,
    TabActive,
    Rule,
    /// The selected row, or the selected cell where the cursor moves by cell.
    Selection,
    /// The row of the selected cell.
    Crosshair,
    Footer,
    Popup,
    PopupBorder,
    /// The caret of a text field.
    Caret,
    /// Laid over what an unreachable instance said last.
    Stale,
}

impl Face {
    pub const ALL: [Face; 12] = [
        Face::Ground,
        Face::Header,
        Face::Tab,
        Face::TabActive,
        Face::Rule,
        Face::Selection,
        Face::Crosshair,
        Face::Footer,
        Face::Popup,
        Face::PopupBorder,
        Face::Caret,
        Face::Stale,
    ];

    /// Name in a theme file.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Face::Ground => "ui",
            Face::Header => "ui.header",
            Face::Tab => "ui.tab",
            Face::TabActive => "ui.tab.active",
            Face::Rule => "ui.rule",
            Face::Selection => "ui.selection",
            Face::Crosshair => "ui.crosshair",
            Face::Footer => "ui.footer",
            Face::Popup => "ui.popup",
            Face::PopupBorder => "ui.popup.border",
            Face::Caret => "ui.caret",
            Face::Stale => "ui.stale",
        }
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Screen {
    pub width: u16,
    pub height: u16,
    /// In the order of painting.
    pub parts: Vec<Part>,
}

/// Something on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// One line with a right-aligned end; the right end yields when both do not fit.
    Bar {
        area: Area,
        face: Face,
        left: Line,
        right: Line,
    },
    /// Labels with backgrounds of their own: position, text, and whether it is the active one.
    Tabs {
        area: Area,
        tabs: Vec<(u16, Line, bool)>,
    },
    /// A thin line with words in it; `alarm` paints it in the tone of its first word.
    Rule {
        area: Area,
        label: Line,
        alarm: bool,
    },
    /// Lines from the top, cut at the right.
    Text {
        area: Area,
        lines: Vec<Line>,
        stale: bool,
    },
    Table(TableView),
    /// Shown entries `offset..offset + height` of `total`: a bar at the right edge, nothing when all are shown.
    Scroll {
        area: Area,
        offset: usize,
        total: usize,
    },
    /// A box over the rest: clears its area, with a title in its border.
    Popup {
        area: Area,
        title: Line,
    },
    /// A line of a popup.
    Choice {
        area: Area,
        left: Line,
        right: Line,
        selected: bool,
    },
    /// A text field: the label, the safe text, and the caret's place in cells from its beginning.
    Field {
        area: Area,
        face: Face,
        label: Line,
        text: Line,
        caret: u16,
        right: Line,
    },
}

/// The visible window of a table: titles in the first line, then rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableView {
    pub area: Area,
    pub columns: Vec<ColumnView>,
    pub rows: Vec<RowView>,
    /// Position in `columns` of the selected cell, where the cursor moves by cell.
    pub cell: Option<usize>,
    /// Columns are hidden to the left, to the right.
    pub more: (bool, bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnView {
    /// From the left of the table's area.
    pub x: u16,
    pub width: u16,
    pub align: Align,
    pub title: Line,
    /// Position among the pane's columns.
    pub index: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowView {
    /// One per column of the view.
    pub cells: Vec<Line>,
    pub selected: bool,
    pub marked: bool,
    /// Its instance cannot be reached: the last known state.
    pub stale: bool,
}

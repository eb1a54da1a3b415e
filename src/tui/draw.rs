//! Painting: a frame of the app into cells. Everything is written cell by cell for what is visible, so that a frame
//! costs the same at any number of rows.

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Modifier, Style},
};

use super::theme::Theme;
use crate::{
    app::{
        screen::{Area, Face, Part, Screen, TableView},
        view::{Align, Line, Tone},
    },
    text,
};

/// Paints a whole frame over `buffer`, which must have the frame's size; what does not fit is cut.
pub fn draw(screen: &Screen, theme: &Theme, buffer: &mut Buffer) {
    let ground = theme.face(Face::Ground);
    let mut blank = Cell::default();
    blank.set_style(ground);
    buffer.content.fill(blank);
    let mut painter = Painter { theme, buffer };
    for part in &screen.parts {
        painter.part(part, ground);
    }
}

struct Painter<'a> {
    theme: &'a Theme,
    buffer: &'a mut Buffer,
}

impl Painter<'_> {
    fn part(&mut self, part: &Part, ground: Style) {
        match part {
            Part::Bar { area, face, left, right } => {
                let base = ground.patch(self.theme.face(*face));
                self.bar(*area, base, left, right);
            }
            Part::Tabs { area, tabs } => {
                let rest = ground.patch(self.theme.face(Face::Tab));
                let active = ground.patch(self.theme.face(Face::TabActive));
                self.clear(*area, rest);
                for (x, line, on) in tabs {
                    let base = if *on { active } else { rest };
                    self.line(area.x + x, area.y, area.width.saturating_sub(*x), line, base, false);
                }
            }
            Part::Rule { area, label, alarm } => {
                let tone = label.0.first().filter(|_| *alarm).map(|s| self.theme.tone(s.tone));
                // a tone made for a background would paint the whole line
                let tone = tone.map(|s| Style { bg: None, fg: s.bg.or(s.fg), ..s }.remove_modifier(Modifier::REVERSED));
                let base = ground.patch(tone.unwrap_or_else(|| self.theme.face(Face::Rule)));
                for x in 0..area.width {
                    self.cell(area.x + x, area.y, '─', base);
                }
                if !label.0.is_empty() {
                    self.line(area.x + 2, area.y, area.width.saturating_sub(4), label, ground, false);
                }
            }
            Part::Text { area, lines, stale } => {
                for (y, line) in (area.y..area.y + area.height).zip(lines) {
                    self.line(area.x, y, area.width, line, ground, *stale);
                }
            }
            Part::Table(table) => self.table(table, ground),
            Part::Scroll { area, offset, total } => self.scroll(*area, *offset, *total, ground),
            Part::Popup { area, title } => {
                let base = ground.patch(self.theme.face(Face::Popup));
                let border = ground.patch(self.theme.face(Face::PopupBorder));
                self.clear(*area, base);
                self.frame(*area, border);
                self.line(area.x + 2, area.y, area.width.saturating_sub(4), title, border, false);
            }
            Part::Choice { area, left, right, selected } => {
                let base = ground.patch(self.theme.face(Face::Popup));
                let base = if *selected { base.patch(self.theme.face(Face::Selection)) } else { base };
                let mark = if *selected { "▸ " } else { "  " };
                let mut line = Line::empty().known(mark, Tone::Accent);
                line.0.extend(left.0.iter().cloned());
                self.bar(*area, base, &line, right);
            }
            Part::Field { area, face, label, text, caret, right } => {
                let base = ground.patch(self.theme.face(*face));
                let mut line = label.clone();
                line.0.extend(text.0.iter().cloned());
                self.bar(*area, base, &line, right);
                if *caret < area.width {
                    let style = base.patch(self.theme.face(Face::Caret));
                    if let Some(cell) = self.buffer.cell_mut((area.x + caret, area.y)) {
                        cell.set_style(style);
                    }
                }
            }
        }
    }

    /// A line with a right end; the end yields, then the line is cut.
    fn bar(&mut self, area: Area, base: Style, left: &Line, right: &Line) {
        self.clear(Area { height: area.height.min(1), ..area }, base);
        let (wide, end) = (usize::from(area.width), right.width());
        let shown = end > 0 && left.width().min(wide) + 1 + end <= wide;
        let room = if shown { area.width - end as u16 - 1 } else { area.width };
        self.line(area.x, area.y, room, left, base, false);
        if shown {
            self.line(area.x + area.width - end as u16, area.y, end as u16, right, base, false);
        }
    }

    fn table(&mut self, table: &TableView, ground: Style) {
        let area = table.area;
        if area.is_empty() {
            return;
        }
        let edge = area.x + area.width;
        for column in &table.columns {
            let x = area.x + column.x;
            let width = column.width.min(edge.saturating_sub(x));
            self.aligned((x, area.y, width), column.align, &column.title, ground, false);
        }
        let arrow = ground.patch(self.theme.tone(Tone::Accent));
        if table.more.0 {
            self.cell(area.x, area.y, '‹', arrow);
        }
        if table.more.1 {
            self.cell(edge - 1, area.y, '›', arrow);
        }
        let chosen = self.theme.face(Face::Selection);
        let row_face = if table.cell.is_some() { self.theme.face(Face::Crosshair) } else { chosen };
        for (y, row) in (area.y + 1..area.y + area.height).zip(&table.rows) {
            let base = if row.selected { ground.patch(row_face) } else { ground };
            if row.selected {
                self.clear(Area::new(area.x, y, area.width, 1), base);
                self.cell(area.x, y, '▸', base.patch(self.theme.tone(Tone::Accent)));
            }
            if row.marked {
                self.cell(area.x + 1, y, '•', base.patch(self.theme.tone(Tone::Accent)));
            }
            for (i, (column, cell)) in table.columns.iter().zip(&row.cells).enumerate() {
                let x = area.x + column.x;
                let width = column.width.min(edge.saturating_sub(x));
                let here = row.selected && table.cell == Some(i);
                let base = if here { base.patch(chosen) } else { base };
                if here {
                    self.clear(Area::new(x, y, width, 1), base);
                }
                self.aligned((x, y, width), column.align, cell, base, row.stale);
            }
        }
    }

    fn aligned(&mut self, (x, y, width): (u16, u16, u16), align: Align, line: &Line, base: Style, stale: bool) {
        let wide = line.width();
        let pad = match align {
            Align::Left => 0,
            Align::Right => usize::from(width).saturating_sub(wide) as u16,
        };
        self.line(x + pad, y, width - pad, line, base, stale);
    }

    /// One line of text in at most `width` cells; what is cut ends in an ellipsis.
    fn line(&mut self, x: u16, y: u16, width: u16, line: &Line, base: Style, stale: bool) {
        let cut = line.width() > usize::from(width);
        let room = if cut { width.saturating_sub(1) } else { width };
        let mut at = x;
        for span in &line.0 {
            let left = (x + room).saturating_sub(at);
            if left == 0 {
                break;
            }
            let style = self.style(base, span.tone, stale);
            at = self.text(at, y, left, span.text(), style);
            if span.width() > usize::from(left) {
                break;
            }
        }
        if cut && width > 0 {
            self.cell(at, y, '…', base);
        }
    }

    /// A tone over a base; on a reversed base colours would become backgrounds, so only its weight stays.
    fn style(&self, base: Style, tone: Tone, stale: bool) -> Style {
        let tone = self.theme.tone(tone);
        if base.add_modifier.contains(Modifier::REVERSED) {
            return Style { fg: base.fg, bg: base.bg, ..base.patch(tone) }
                .add_modifier(Modifier::REVERSED)
                .remove_modifier(Modifier::DIM);
        }
        let style = base.patch(tone);
        if stale { style.patch(self.theme.face(Face::Stale)) } else { style }
    }

    /// Writes safe text; returns where it ended.
    fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        if !self.buffer.area.contains((x, y).into()) {
            return x;
        }
        if text.is_ascii() {
            let end = x.saturating_add(width).min(self.buffer.area.right());
            let mut at = x;
            for c in text.bytes() {
                if at >= end {
                    break;
                }
                self.cell(at, y, char::from(c), style);
                at += 1;
            }
            return at;
        }
        self.buffer.set_stringn(x, y, text, usize::from(width), style).0
    }

    fn cell(&mut self, x: u16, y: u16, c: char, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_char(c).set_style(style);
        }
    }

    fn clear(&mut self, area: Area, style: Style) {
        let area = Rect::new(area.x, area.y, area.width, area.height).intersection(self.buffer.area);
        for y in area.y..area.y + area.height {
            for x in area.x..area.x + area.width {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    fn frame(&mut self, area: Area, style: Style) {
        if area.is_empty() {
            return;
        }
        let (right, bottom) = (area.x + area.width - 1, area.y + area.height - 1);
        for x in area.x..=right {
            self.cell(x, area.y, '─', style);
            self.cell(x, bottom, '─', style);
        }
        for y in area.y..=bottom {
            self.cell(area.x, y, '│', style);
            self.cell(right, y, '│', style);
        }
        for (x, y, c) in [(area.x, area.y, '╭'), (right, area.y, '╮'), (area.x, bottom, '╰'), (right, bottom, '╯')]
        {
            self.cell(x, y, c, style);
        }
    }

    fn scroll(&mut self, area: Area, offset: usize, total: usize, ground: Style) {
        let height = usize::from(area.height);
        if height == 0 || total <= height {
            return;
        }
        let thumb = (height * height / total).max(1);
        let start = (offset * (height - thumb)).div_ceil((total - height).max(1)).min(height - thumb);
        let style = ground.patch(self.theme.face(Face::Rule));
        for i in 0..height {
            let c = if (start..start + thumb).contains(&i) { '┃' } else { '│' };
            self.cell(area.x, area.y + i as u16, c, style);
        }
    }
}

/// A buffer's text, line by line, without the blanks at the ends.
#[must_use]
pub fn plain(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in buffer.area.left()..buffer.area.right() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer.cell((x, y)).map_or(" ", ratatui::buffer::Cell::symbol);
            skip = text::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

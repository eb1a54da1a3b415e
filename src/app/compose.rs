//! The frame as data, from the state: header, tabs, body, inspector, footer, and what lies on top. Makes visible rows
//! only.

use super::{
    App, Hits,
    act::{
        Fate,
        ending::Way,
        form::{Form, Row},
        forms,
        preview::{Confirm, Preview, Stage, Subject},
    },
    instance::Instance,
    layout::{LEAST, Layout, Shape},
    overlay::Overlay,
    screen::{Area, ColumnView, Face, Part, RowView, Screen, TableView},
    table::{GAP, MARGIN, kept, places},
    view::{Column, Line, Span, Tone},
    wrap::wrap,
};
use crate::{
    app::{
        panes::{Ctx, Want},
        prose::cut,
    },
    config::target::Environment,
    domain::link::LinkState,
    text,
};

/// Cells of a title that give way to nothing.
const LEAST_TITLE: usize = 8;
/// More columns than this are not looked at all at once.
const MANY_COLUMNS: usize = 48;

/// The tone of an environment.
pub(super) fn environment(environment: Environment) -> Tone {
    match environment {
        Environment::Development => Tone::Development,
        Environment::Staging => Tone::Staging,
        Environment::Production => Tone::Production,
    }
}

impl App {
    /// The frame. Corrects scrolls to the size, and remembers where things are for the mouse.
    pub fn view(&mut self) -> Screen {
        self.load();
        self.frame += 1;
        let layout = self.layout();
        let (width, height) = self.size;
        let mut screen = Screen { width, height, parts: Vec::new() };
        self.hits =
            Hits { tabs_y: u16::MAX, titles_y: u16::MAX, page: usize::from(layout.body.height), ..Hits::default() };
        if layout.shape == Shape::Tiny {
            screen.parts.push(tiny(width, height));
            return screen;
        }
        self.header(&layout, &mut screen.parts);
        if layout.shape != Shape::Narrow {
            self.tabs(&layout, &mut screen.parts);
            self.rule(&layout, &mut screen.parts);
        }
        let page =
            self.overlays.iter().rposition(|o| matches!(o, Overlay::Story(_) | Overlay::Form(_) | Overlay::Preview(_)));
        if let Some(at) = page {
            self.story(at, &layout, &mut screen.parts);
            self.form_page(at, &layout, &mut screen.parts);
            self.preview_page(at, &layout, &mut screen.parts);
        } else {
            self.body(&layout, &mut screen.parts);
            self.inspector(&layout, &mut screen.parts);
        }
        self.footer(&layout, &mut screen.parts);
        self.picker(&layout, &mut screen.parts);
        screen
    }

    /// What the pane would like to have read for the rows seen last; the same only once for the same data.
    pub fn wants(&mut self) -> Vec<Want> {
        let height = usize::from(self.hits.rows.height);
        let data = self.data;
        let Some((ctx, slot)) = self.here() else { return Vec::new() };
        let visible: Vec<usize> = slot.order.iter().skip(slot.table.offset).take(height).copied().collect();
        let selected = slot.order.get(slot.table.cursor).copied();
        let wants = with_exceptions(&ctx, slot.pane.wants(&ctx, &visible, selected));
        let asked = (data, wants.clone());
        if slot.asked == asked {
            return Vec::new();
        }
        slot.asked = asked;
        wants
    }

    /// The instances in scope.
    fn shown(&self) -> impl Iterator<Item = &Instance> {
        self.instances
            .iter()
            .enumerate()
            .filter(|(i, _)| self.only.is_none_or(|o| o == *i))
            .map(|(_, instance)| instance)
    }

    /// Minutes and hours of a moment of the monotonic clock.
    fn clock(&self, at_ms: u64) -> Option<String> {
        let ago = i64::try_from(self.now_ms.saturating_sub(at_ms) / 1000).unwrap_or(0);
        let s = (i64::from(self.day_s?) - ago).rem_euclid(86_400);
        Some(format!("{:02}:{:02}", s / 3600, s % 3600 / 60))
    }

    /// Since when, and when the next try is; of a lost instance.
    fn lost_words(&self, since_ms: u64, next_try_ms: u64) -> String {
        let since = self
            .clock(since_ms)
            .unwrap_or_else(|| format!("{} ago", text::age(self.now_ms.saturating_sub(since_ms) as i64)));
        let retry = next_try_ms.saturating_sub(self.now_ms).div_ceil(1000);
        if retry == 0 { format!("since {since}, trying") } else { format!("since {since}, retry in {retry} s") }
    }

    fn label(&self, instance: &Instance, words: bool) -> Line {
        let (glyph, tone) = match &instance.link.state {
            _ if instance.recorded => ("▣ ", Tone::Dim),
            LinkState::Connecting => ("◌ ", Tone::Dim),
            LinkState::Ready if self.paused => ("‖ ", Tone::Warning),
            LinkState::Ready => ("● ", Tone::Good),
            LinkState::Lost { .. } => ("○ ", Tone::Error),
        };
        let database = instance.judgement.as_ref().map(|j| j.snapshot.server.database.as_str());
        let name = if matches!(instance.link.state, LinkState::Lost { .. }) { Tone::Dim } else { Tone::Text };
        let mut line = Line::empty().known(glyph, tone).and(&instance.name, name);
        if let Some(database) = database.filter(|d| words && *d != instance.name) {
            line = line.known(" ", Tone::Dim).and(database, Tone::Dim);
        }
        if instance.environment == Environment::Production {
            line = line.known(" ", Tone::Text).known(" PRODUCTION ", Tone::Production);
        }
        match &instance.link.state {
            LinkState::Lost { since_ms, next_try_ms, .. } if words => {
                line = line.and(&format!(" (lost {})", self.lost_words(*since_ms, *next_try_ms)), Tone::Error);
            }
            LinkState::Connecting if words && !instance.recorded => line = line.known(" (connecting)", Tone::Dim),
            LinkState::Lost { .. } | LinkState::Connecting | LinkState::Ready => {}
        }
        if instance.recorded && words {
            line = line.known(" (recording)", Tone::Dim);
        }
        line
    }

    fn header(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.header;
        let room = usize::from(area.width);
        let narrow = layout.shape == Shape::Narrow;
        let right = if narrow { self.place() } else { self.server() };
        let name =
            if narrow { Line::empty().known(" ", Tone::Text) } else { Line::empty().known(" pgmoat   ", Tone::Strong) };
        let focus = self.focus();
        let labels = |words: bool, all: bool| -> Line {
            let mut line = name.clone();
            for (i, instance) in self.instances.iter().enumerate() {
                if all || Some(i) == focus {
                    line.0.extend(self.label(instance, words).0);
                    line.0.push(Span::known("    ", Tone::Text));
                }
            }
            let hidden = self.instances.len().saturating_sub(1);
            if !all && hidden > 0 {
                line = line.and(&format!("+{hidden}"), Tone::Dim);
            }
            if self.instances.is_empty() { line.known("no instance", Tone::Dim) } else { line }
        };
        let left = [(true, true), (false, true), (true, false)]
            .into_iter()
            .map(|(words, all)| labels(words, all && !narrow))
            .find(|l| l.width() + right.width() < room)
            .unwrap_or_else(|| labels(false, false));
        parts.push(Part::Bar { area, face: Face::Header, left, right });
    }

    /// `4/8 Grants`.
    fn place(&self) -> Line {
        let Some(slot) = self.slot() else { return Line::empty() };
        let mut line = Line::new(&format!("{}/{} ", self.active + 1, self.slots.len()), Tone::Dim)
            .and(slot.spec.title, Tone::Title);
        if let Some(n) = slot.badge {
            line = line.and(&format!(" {n}"), Tone::Warning);
        }
        line.known(" ", Tone::Text)
    }

    /// The server of the instance in focus: state, version, who we are there, the time.
    fn server(&self) -> Line {
        let mut line = Line::empty();
        if let Some(judgement) = self.focus().and_then(|i| self.instances.get(i)).and_then(|i| i.judgement.as_ref()) {
            let server = &judgement.snapshot.server;
            let version = format!("{}.{}", server.version_num / 10_000, server.version_num % 10_000);
            line = match (server.in_recovery, server.replay_lag_ms) {
                (false, _) => line.known("PRIMARY ", Tone::Dim),
                (true, None) => line.known("STANDBY ", Tone::Warning),
                (true, Some(ms)) => {
                    line.known("STANDBY ", Tone::Warning).and(&format!("{} behind ", text::age(ms)), Tone::Warning)
                }
            };
            line = line.and(&version, Tone::Text).known("  ", Tone::Text);
            line = if server.superuser {
                line.known("superuser", Tone::Dim)
            } else {
                line.and(&server.current_user, Tone::Dim)
            };
            let secure = match (&server.tls, server.local) {
                (Some(_), _) => Span::known("  TLS", Tone::Dim),
                (None, true) => Span::known("", Tone::Dim),
                (None, false) => Span::known("  no TLS", Tone::Warning),
            };
            line.0.push(secure);
        }
        if let Some(s) = self.day_s {
            line = line.and(&format!("  {:02}:{:02}:{:02}", s / 3600, s % 3600 / 60, s % 60), Tone::Dim);
        }
        line.known(" ", Tone::Text)
    }

    fn tabs(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.tabs;
        let tab = |i: usize| -> Option<Line> {
            let slot = self.slots.get(i)?;
            let digit = if i < 9 { format!(" {} ", i + 1) } else { " ".to_owned() };
            let title = if i == self.active { Tone::Strong } else { Tone::Text };
            let mut line = Line::new(&digit, Tone::Key).and(slot.spec.title, title);
            if let Some(n) = slot.badge {
                line = line.and(&format!(" {n}"), Tone::Warning);
            }
            Some(line.known(" ", Tone::Text))
        };
        let all: Vec<Line> = (0..self.slots.len()).filter_map(tab).collect();
        let needed: usize = all.iter().map(Line::width).sum();
        let mut tabs = Vec::new();
        if layout.shape == Shape::Wide && needed <= usize::from(area.width) {
            let mut x = 0;
            for (i, line) in all.into_iter().enumerate() {
                let end = x + line.width() as u16;
                self.hits.tabs.push((x, end, i));
                tabs.push((x, line, i == self.active));
                x = end;
            }
        } else {
            let mut place = Line::empty().known(" ", Tone::Text);
            place.0.extend(self.place().0);
            let x = place.width() as u16 + 1;
            tabs.push((0, place, true));
            let (next, last) = (self.keymap.first("next-pane"), self.slots.len().clamp(1, 9));
            tabs.push((x, Line::new(&format!("{next} next  1-{last} others"), Tone::Dim), false));
        }
        self.hits.tabs_y = area.y;
        parts.push(Part::Tabs { area, tabs });
    }

    /// The rule under the tabs: where we are, what is filtered, and which server is lost or paused.
    fn rule(&self, layout: &Layout, parts: &mut Vec<Part>) {
        let lost = self.shown().find_map(|i| match &i.link.state {
            LinkState::Lost { since_ms, reason, next_try_ms, .. } => Some((i, *since_ms, reason, *next_try_ms)),
            LinkState::Connecting | LinkState::Ready => None,
        });
        let production = self.shown().any(|i| i.environment == Environment::Production);
        let mut label = Line::empty();
        if let Some((instance, since, reason, next)) = lost {
            label = label.and(&format!(" {} lost {}", instance.name, self.lost_words(since, next)), Tone::Error);
            // before the first answer it stands below, with what to do
            if instance.judgement.is_some() {
                label = label.known(": ", Tone::Error).and(reason, Tone::Error);
            }
            label = label.known(" ", Tone::Error);
        } else if production {
            let names: Vec<&str> =
                self.shown().filter(|i| i.environment == Environment::Production).map(|i| i.name.as_str()).collect();
            label = label.and(&format!(" PRODUCTION: {} ", text::list(&names, 3)), Tone::Production);
        }
        if self.paused {
            label = label.known(" paused ", Tone::Warning);
        }
        if let Some(notice) = self.shown().find_map(|i| i.link.notice.as_deref()).filter(|_| lost.is_none()) {
            label = label.known(" ", Tone::Warning).and(notice, Tone::Warning).known(" ", Tone::Warning);
        }
        label.0.extend(self.whereabouts().0);
        parts.push(Part::Rule { area: layout.rule, label, alarm: lost.is_some() || production });
    }

    /// Level, filter, marks and scope, as far as they are not the usual ones.
    fn whereabouts(&self) -> Line {
        let mut line = Line::empty();
        let Some(slot) = self.slot() else { return line };
        if let Some(only) = self.only.and_then(|o| self.instances.get(o)).filter(|_| self.instances.len() > 1) {
            line = line.known(" only ", Tone::Dim).and(&only.name, Tone::Accent).known(" ", Tone::Dim);
        }
        if let Some(crumbs) = slot.pane.crumbs() {
            line = line.known(" ", Tone::Title).and(&crumbs, Tone::Title).known(" ", Tone::Title);
        }
        if slot.pane.differences() == Some(true) {
            line = line.known(" only differences ", Tone::Accent);
        }
        if !slot.table.filter.is_empty() {
            let count = format!(" {} of {} ", slot.order.len(), slot.entries.len());
            line = line.known(" /", Tone::Key).and(slot.table.filter.0.trim(), Tone::Accent).and(&count, Tone::Dim);
        }
        if !slot.table.marks.is_empty() {
            line = line.and(&format!(" {} marked ", slot.table.marks.len()), Tone::Accent);
        }
        line
    }

    fn body(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let mut area = layout.body;
        let shown: Vec<(bool, bool)> =
            self.shown().map(|i| (i.judgement.is_some(), matches!(i.link.state, LinkState::Lost { .. }))).collect();
        let (answered, stale) = (shown.iter().any(|s| s.0), shown.iter().all(|s| s.1) && !shown.is_empty());
        if !answered {
            let lines = self.waiting(area);
            parts.push(Part::Text { area: inset(area), lines, stale: false });
            return;
        }
        let Some((ctx, slot)) = self.here() else {
            parts.push(Part::Text {
                area: inset(area),
                lines: vec![Line::new("There is no pane.", Tone::Dim)],
                stale: false,
            });
            return;
        };
        let mut top = slot.pane.top(&ctx, area.width.saturating_sub(2 * MARGIN));
        let most = if slot.entries.is_empty() { area.height } else { area.height / 3 };
        top.truncate(usize::from(most));
        let used = top.len() as u16;
        if used > 0 {
            parts.push(Part::Text { area: inset(Area { height: used, ..area }), lines: top, stale });
            let used = (used + 1).min(area.height);
            area = Area { y: area.y + used, height: area.height - used, ..area };
        }
        if slot.order.is_empty() {
            let lines = if slot.entries.is_empty() {
                slot.pane.empty(&ctx)
            } else {
                let hidden = text::count(slot.entries.len() as u64, "row is", "rows are");
                vec![
                    Line::new("Nothing matches the filter.", Tone::Text),
                    Line::new(&format!("{hidden} hidden; Esc shows everything again."), Tone::Dim),
                ]
            };
            let width = usize::from(area.width.saturating_sub(2 * MARGIN));
            let lines = lines.iter().flat_map(|l| wrap(l, width)).collect();
            parts.push(Part::Text { area: inset(area), lines, stale });
            return;
        }
        self.table(area, parts);
    }

    /// Before the first answer: what is being tried, or why it fails and what to do.
    fn waiting(&self, area: Area) -> Vec<Line> {
        let mut lines = vec![Line::empty()];
        if self.instances.is_empty() {
            lines.push(Line::new("No instance is configured.", Tone::Text));
        }
        for instance in self.shown() {
            match &instance.link.state {
                LinkState::Connecting => {
                    lines.push(
                        Line::new("Connecting to ", Tone::Text)
                            .and(&instance.name, Tone::Strong)
                            .known(" …", Tone::Text),
                    );
                }
                LinkState::Ready => {
                    lines.push(
                        Line::new("Reading ", Tone::Text).and(&instance.name, Tone::Strong).known(" …", Tone::Text),
                    );
                }
                LinkState::Lost { since_ms, reason, remedy, next_try_ms } => {
                    let words = self.lost_words(*since_ms, *next_try_ms);
                    lines.push(
                        Line::new("✖ Could not connect to ", Tone::Error)
                            .and(&instance.name, Tone::Strong)
                            .and(&format!(" ({words})"), Tone::Dim),
                    );
                    lines.push(Line::new("  ", Tone::Text).and(reason, Tone::Text));
                    lines.extend(remedy.iter().map(|r| Line::new("  ", Tone::Text).and(r, Tone::Accent)));
                }
            }
        }
        let width = usize::from(area.width.saturating_sub(2 * MARGIN));
        lines.iter().flat_map(|l| wrap(l, width)).collect()
    }

    fn table(&mut self, area: Area, parts: &mut Vec<Part>) {
        let lost: Vec<bool> = self.instances.iter().map(|i| matches!(i.link.state, LinkState::Lost { .. })).collect();
        let Some((ctx, slot)) = self.here() else { return };
        let rows = Area { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let height = usize::from(rows.height);
        slot.table.scroll(height, slot.order.len());
        let scrolls = slot.order.len() > height;
        let room = area.width.saturating_sub(MARGIN + u16::from(scrolls) + 1);
        let by_cell = slot.pane.by_cell();
        let columns = &slot.columns;
        let table = &mut slot.table;
        table.column = table.column.min(columns.len().saturating_sub(1));
        if table.widths.len() != columns.len() {
            table.widths = columns.iter().map(|c| needs(c, text::width(&text::safe(&c.title)))).collect();
        }
        let kept = kept(columns, room);
        let movable: Vec<usize> = kept.iter().copied().filter(|i| columns.get(*i).is_some_and(|c| !c.frozen)).collect();
        let whole = |offset: usize, widths: &[u16]| -> bool {
            let all = places(columns, &kept, widths, offset, room);
            all.last().is_some_and(|p| {
                Some(p.index) == kept.last().copied() && p.width >= columns.get(p.index).map_or(0, |c| c.min)
            })
        };
        table.column_offset = table.column_offset.min(movable.len().saturating_sub(1));
        // never scrolled further than the last column needs
        while table.column_offset > 0 && !by_cell && whole(table.column_offset - 1, &table.widths) {
            table.column_offset -= 1;
        }
        if by_cell && columns.get(table.column).is_some_and(|c| c.frozen) {
            table.column_offset = 0;
        }
        if by_cell && let Some(at) = movable.iter().position(|i| *i == table.column) {
            table.column_offset = table.column_offset.min(at);
            loop {
                let seen = places(columns, &kept, &table.widths, table.column_offset, room);
                let fits =
                    |i: usize| seen.iter().any(|p| p.index == i && p.width >= columns.get(i).map_or(0, |c| c.min));
                if fits(table.column) || table.column_offset >= at {
                    break;
                }
                table.column_offset += 1;
            }
        }
        // what the visible cells need, before the columns are placed
        let candidates: Vec<usize> = if columns.len() > MANY_COLUMNS {
            let least: Vec<u16> = columns.iter().map(|c| c.min).collect();
            places(columns, &kept, &least, table.column_offset, room).iter().map(|p| p.index).collect()
        } else {
            kept.clone()
        };
        let window: Vec<usize> = slot.order.iter().skip(table.offset).take(height).copied().collect();
        let mut lines: Vec<Vec<Line>> = window.iter().map(|i| slot.pane.cells_of(&ctx, *i, &candidates)).collect();
        for cells in &lines {
            for (cell, index) in cells.iter().zip(&candidates) {
                if let (Some(width), Some(column)) = (table.widths.get_mut(*index), columns.get(*index)) {
                    *width = (*width).max(needs(column, cell.width()));
                }
            }
        }
        let placed = places(columns, &kept, &table.widths, table.column_offset, room);
        let taken: Vec<Option<usize>> = placed.iter().map(|p| candidates.iter().position(|c| *c == p.index)).collect();
        let views: Vec<ColumnView> = placed
            .iter()
            .filter_map(|p| {
                let column = columns.get(p.index)?;
                Some(ColumnView {
                    x: p.x + MARGIN,
                    width: p.width,
                    align: column.align,
                    title: title(column, p.index, table.sort),
                    index: p.index,
                })
            })
            .collect();
        let cursor = table.cursor.saturating_sub(table.offset);
        let rows_view = window
            .iter()
            .zip(&mut lines)
            .enumerate()
            .map(|(at, (index, cells))| {
                let id = slot.entries.get(*index).map(|e| &e.id);
                RowView {
                    cells: taken
                        .iter()
                        .map(|t| t.and_then(|t| cells.get_mut(t)).map(std::mem::take).unwrap_or_default())
                        .collect(),
                    selected: at == cursor,
                    marked: id.is_some_and(|id| table.marks.contains(id)),
                    stale: id.is_some_and(|id| lost.get(id.0).copied().unwrap_or(false)),
                }
            })
            .collect();
        let cell = by_cell.then(|| views.iter().position(|v| v.index == table.column)).flatten();
        let right = placed.last().map(|p| p.index) != kept.last().copied();
        let view = TableView { area, columns: views, rows: rows_view, cell, more: (table.column_offset > 0, right) };
        let (offset, total) = (table.offset, slot.order.len());
        self.hits.rows = rows;
        self.hits.titles_y = area.y;
        self.hits.columns = view.columns.iter().map(|c| (c.x, c.x + c.width + GAP, c.index)).collect();
        self.hits.page = height;
        parts.push(Part::Table(view));
        if scrolls {
            parts.push(Part::Scroll {
                area: Area { x: area.width.saturating_sub(1), width: 1, ..rows },
                offset,
                total,
            });
        }
    }

    fn inspector(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let production = self.shown().any(|i| i.environment == Environment::Production);
        if !layout.inspector_rule.is_empty() {
            parts.push(Part::Rule { area: layout.inspector_rule, label: frame(production), alarm: production });
        }
        let row = self.row();
        let stale = row
            .and_then(|r| self.slot()?.entries.get(r))
            .and_then(|e| self.instances.get(e.id.0))
            .is_some_and(|i| matches!(i.link.state, LinkState::Lost { .. }));
        let area = inset(layout.inspector);
        let Some((ctx, slot)) = self.here() else { return };
        let Some(row) = row else { return };
        let mut lines = slot.pane.inspector(&ctx, row, slot.table.column, area.width);
        if layout.shape != Shape::Narrow {
            lines = lines.iter().flat_map(|l| wrap(l, usize::from(area.width))).collect();
        }
        let height = usize::from(area.height);
        if lines.len() > height && height > 1 {
            lines.truncate(height);
            if let Some(last) = lines.last_mut() {
                *last = std::mem::take(last).known(" …", Tone::Dim);
            }
        }
        parts.push(Part::Text { area, lines, stale });
    }

    fn story(&mut self, at: usize, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.page();
        let Some(Overlay::Story(story)) = self.overlays.get_mut(at) else { return };
        parts.push(Part::Text {
            area: inset(Area { height: 1, ..area }),
            lines: vec![story.title.clone()],
            stale: false,
        });
        let skip = 2.min(area.height.saturating_sub(1));
        let text = Area { y: area.y + skip, height: area.height - skip, ..area };
        let inner = inset(text);
        let (lines, total) = story.page(usize::from(inner.width), usize::from(inner.height));
        let offset = story.scroll;
        self.hits.page = usize::from(inner.height);
        parts.push(Part::Text { area: inner, lines, stale: false });
        if total > usize::from(inner.height) {
            parts.push(Part::Scroll {
                area: Area { x: area.width.saturating_sub(1), width: 1, ..text },
                offset,
                total,
            });
        }
    }

    /// An action on its way: what it is and where, then its sections.
    fn preview_page(&mut self, at: usize, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.page();
        let (frame, top) = (self.frame, at + 1 == self.overlays.len());
        let Some(Overlay::Preview(preview)) = self.overlays.get_mut(at) else { return };
        if top {
            preview.compose(frame);
        }
        let instance = self.instances.get(preview.instance);
        let place = instance.map(place_of).unwrap_or_default();
        let head = inset(Area { height: 1, ..area });
        // what it is done to matters more than the end of a long title
        let left = cut(preview.title(), usize::from(head.width).saturating_sub(place.width() + 2).max(LEAST_TITLE));
        parts.push(Part::Bar { area: head, face: Face::Ground, left, right: place });
        let skip = 2.min(area.height.saturating_sub(1));
        let text = Area { y: area.y + skip, height: area.height - skip, ..area };
        let inner = inset(text);
        let (lines, total) = preview.page(instance, usize::from(inner.width), usize::from(inner.height));
        let offset = preview.scroll;
        self.hits.page = usize::from(inner.height);
        parts.push(Part::Text { area: inner, lines, stale: false });
        if total > usize::from(inner.height) {
            parts.push(Part::Scroll {
                area: Area { x: area.width.saturating_sub(1), width: 1, ..text },
                offset,
                total,
            });
        }
    }

    /// A form: what it is for and where, then its fields.
    fn form_page(&mut self, at: usize, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.page();
        let (frame, top) = (self.frame, at + 1 == self.overlays.len());
        let Some(Overlay::Form(form)) = self.overlays.get_mut(at) else { return };
        if top {
            form.compose(frame);
        }
        let instance = self.instances.get(form.instance);
        if let Some(instance) = instance {
            forms::check(form, instance);
        }
        let place = instance.map(place_of).unwrap_or_default();
        let head = inset(Area { height: 1, ..area });
        let title = Line::new(form.kind.title(), Tone::Title);
        let title = cut(title, usize::from(head.width).saturating_sub(place.width() + 2).max(LEAST_TITLE));
        parts.push(Part::Bar { area: head, face: Face::Ground, left: title, right: place });
        let skip = 2.min(area.height.saturating_sub(1));
        let text = Area { y: area.y + skip, height: area.height - skip, ..area };
        let inner = inset(text);
        let (rows, total, offset) = form.page(usize::from(inner.width), usize::from(inner.height));
        self.hits.page = 1;
        self.hits.choices = inner;
        for (y, row) in (inner.y..).zip(rows) {
            let area = Area { y, height: 1, ..inner };
            match (row, form.input()) {
                (Row::Edit { label, ghost }, Some(input)) => {
                    let mut part = field(area, label, input, Line::empty(), Face::Ground);
                    if let Part::Field { text, .. } = &mut part {
                        text.0.push(Span::new(&ghost, Tone::Dim));
                    }
                    parts.push(part);
                }
                (Row::Edit { label, .. }, None) => parts.push(Part::Text { area, lines: vec![label], stale: false }),
                (Row::Text(line), _) => parts.push(Part::Text { area, lines: vec![line], stale: false }),
            }
        }
        if total > usize::from(inner.height) {
            parts.push(Part::Scroll {
                area: Area { x: area.width.saturating_sub(1), width: 1, ..text },
                offset,
                total,
            });
        }
    }

    /// The footer of a form.
    fn form_footer(&self, form: &Form, area: Area) -> Part {
        let keys: &[(&str, &'static str)] = match form.input() {
            Some(_) if form.focus().and_then(|p| form.field(p)).is_some_and(|f| !f.choices.is_empty()) => &[
                ("Enter", " to the plan  "),
                ("Tab", " next  "),
                ("→", " complete  "),
                ("Ctrl-N", " choose  "),
                ("Esc", " leave"),
            ],
            Some(_) => &[("Enter", " to the plan  "), ("Tab", " next  "), ("Shift-Tab", " back  "), ("Esc", " leave")],
            None => &[("Enter", " to the plan  "), ("Tab", " next  "), ("Space", " yes or no  "), ("Esc", " leave")],
        };
        let mut left = Line::empty().known(" ", Tone::Text);
        for (key, words) in keys {
            left = left.and(key, Tone::Key).known(words, Tone::Dim);
        }
        if let Some(notice) = &self.notice {
            left = Line::empty().known(" ", Tone::Text).join(notice.line.clone());
        }
        Part::Bar { area, face: Face::Footer, left, right: Line::empty() }
    }

    /// The footer of an action: what is asked, or the keys that go on.
    fn preview_footer(&self, preview: &Preview, area: Area) -> Part {
        let instance = self.instances.get(preview.instance);
        let name = instance.map_or("", |i| i.name.as_str());
        let key = |line: Line, id: &str, words: &'static str| -> Line {
            let key = self.keymap.first(id);
            if key.is_empty() { line } else { line.and(&key, Tone::Key).known(" ", Tone::Dim).known(words, Tone::Dim) }
        };
        let left = match preview.stage() {
            Stage::Confirm(Confirm::Name { input, wanted }) => {
                let label = Line::empty().known(" PRODUCTION ", Tone::Production).known(" type ", Tone::Text);
                let label = label.and(wanted, Tone::Strong).known(" to go on: ", Tone::Text);
                let right = Line::empty()
                    .known("Enter", Tone::Key)
                    .known(" runs it  ", Tone::Dim)
                    .known("Esc", Tone::Key)
                    .known(" leaves ", Tone::Dim);
                return field(area, label, input, right, Face::Footer);
            }
            Stage::Confirm(Confirm::Key(wanted)) => {
                let what = match &preview.subject {
                    Subject::Plan { ready, .. } => {
                        let n = ready.as_ref().map_or(0, |r| r.plan.statements().count());
                        format!(" Run {} on {name}? ", text::count(n as u64, "statement", "statements"))
                    }
                    Subject::End(order) => {
                        let n = text::count(order.aims.len() as u64, "session", "sessions");
                        let verb = order.way.verb();
                        format!(
                            " {}{} {n} on {name}? ",
                            verb.get(..1).unwrap_or("").to_uppercase(),
                            verb.get(1..).unwrap_or("")
                        )
                    }
                };
                Line::new(&what, Tone::Strong)
                    .and(&wanted.to_string(), Tone::Key)
                    .known(" yes   ", Tone::Text)
                    .known("any other key", Tone::Key)
                    .known(" no", Tone::Text)
            }
            Stage::Planning => key(Line::empty().known(" ", Tone::Text), "back", "leave"),
            Stage::Nothing(_) => key(Line::empty().known(" ", Tone::Text), "back", "close"),
            Stage::Shown => {
                let word = match &preview.subject {
                    Subject::Plan { .. } => "apply  ",
                    Subject::End(order) => match order.way {
                        Way::Cancel => "cancel it  ",
                        Way::Terminate => "terminate  ",
                    },
                };
                let mut line = key(Line::empty().known(" ", Tone::Text), "open", word);
                if preview.ready().is_some() {
                    line = key(line, "rehearse", "rehearse  ");
                }
                line = key(line, "back", "leave  ");
                if preview.ready().is_some() {
                    line = key(line, "full-sql", "whole SQL  ");
                    line = key(line, "next-pane", "section  ");
                    line = key(line, "mark", "fold  ");
                    line = key(line, "copy", "copy  ");
                    line = key(line, "write", "write  ");
                }
                line
            }
            Stage::Asking => {
                let line = Line::empty().known(" y", Tone::Key).known(" yes  ", Tone::Dim).known("n", Tone::Key);
                let line = line.known(" no  ", Tone::Dim).known("Y N", Tone::Key).known(" for all open  ", Tone::Dim);
                let line = key(line, "open", "go on  ");
                key(key(line, "down", "next  "), "back", "leave")
            }
            Stage::Running { .. } => key(Line::empty().known(" ", Tone::Text), "back", "ask to stop"),
            Stage::Over(told) => {
                let mut line = Line::empty().known(" ", Tone::Text);
                if told.fate == Fate::Nothing && matches!(preview.subject, Subject::Plan { .. }) {
                    let word = if told.refused.is_empty() { "plan again  " } else { "plan again without it  " };
                    line = key(line, "open", word);
                }
                if preview.handed().is_some() {
                    line = key(line, "copy", "copy the hand-over  ");
                    line = key(line, "write", "write it  ");
                    line = key(line, "reveal", "show or hide the password  ");
                }
                key(line, "back", "close")
            }
        };
        let left = match (&self.notice, preview.stage()) {
            (_, Stage::Confirm(_)) | (None, _) => left,
            (Some(notice), _) => Line::empty().known(" ", Tone::Text).join(notice.line.clone()),
        };
        Part::Bar { area, face: Face::Footer, left, right: Line::empty() }
    }

    fn footer(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let area = layout.footer;
        let right = self.status(layout.shape != Shape::Wide);
        let count = self.slot().map_or_else(String::new, |s| format!("{} of {} ", s.order.len(), s.entries.len()));
        match self.overlays.last() {
            Some(Overlay::Filter { input, .. }) => {
                let hint = Line::empty()
                    .known("!word without  @instance  Enter keeps  Esc leaves  ", Tone::Dim)
                    .and(&count, Tone::Text);
                parts.push(field(area, Line::empty().known(" /", Tone::Key), input, hint, Face::Footer));
            }
            Some(Overlay::Save { input, .. }) => {
                let hint = Line::empty().known("Enter writes  Esc leaves ", Tone::Dim);
                parts.push(field(area, Line::empty().known(" write to: ", Tone::Key), input, hint, Face::Footer));
            }
            Some(Overlay::Preview(preview)) => parts.push(self.preview_footer(preview, area)),
            Some(Overlay::Form(form)) => parts.push(self.form_footer(form, area)),
            Some(Overlay::Pick(_) | Overlay::Story(_)) | None => {
                let left = if let Some(notice) = &self.notice {
                    let mut line = Line::empty().known(" ", Tone::Text);
                    line.0.extend(notice.line.0.iter().cloned());
                    line
                } else {
                    // the age of the data stays; keys yield
                    let room = usize::from(area.width);
                    let fits = |keys: &Line| keys.width() + right.width() < room;
                    (2..=5).rev().map(|most| self.keys(most)).find(fits).unwrap_or_else(|| self.keys(2))
                };
                parts.push(Part::Bar { area, face: Face::Footer, left, right });
            }
        }
    }

    /// The most useful keys here, and help.
    fn keys(&self, most: usize) -> Line {
        let story = matches!(self.overlays.last(), Some(Overlay::Story(_)));
        let picking = matches!(self.overlays.last(), Some(Overlay::Pick(_)));
        if picking {
            return Line::empty()
                .known(" Enter", Tone::Key)
                .known(" choose  ", Tone::Dim)
                .known("↑ ↓", Tone::Key)
                .known(" move  ", Tone::Dim)
                .known("Esc", Tone::Key)
                .known(" leave", Tone::Dim);
        }
        let useful: &[&str] = if story {
            match self.slot().map(|s| s.spec.id) {
                Some("findings" | "grants") => &["back", "fix", "copy", "write"],
                Some("sessions") => &["back", "cancel", "terminate", "copy"],
                Some("journal") => &["back", "undo", "copy", "write"],
                _ => &["back", "copy", "write"],
            }
        } else if let Some(acts) = self.slot().filter(|s| s.above.is_empty()).and_then(|s| acts_of(s.spec.id)) {
            acts
        } else if self.trail.is_empty() && self.slot().is_none_or(|s| s.above.is_empty()) {
            &["open", "differences", "filter", "palette", "sort", "instances", "refresh", "quit"]
        } else {
            &["back", "open", "filter", "sort", "palette"]
        };
        let mut line = Line::empty().known(" ", Tone::Text);
        let mut shown = 0;
        let specs = useful.iter().filter_map(|id| super::actions::ACTIONS.iter().find(|a| a.id == *id));
        let help = super::actions::ACTIONS.iter().filter(|a| a.id == "help");
        for action in specs.filter(|a| a.acts || (a.enabled)(self).is_ok()).take(most - 1).chain(help) {
            let key = self.keymap.first(action.id);
            if key.is_empty() {
                continue;
            }
            let title = match (action.id, self.slot()) {
                ("open", Some(slot)) => slot.pane.enter_word(),
                _ => action.title,
            };
            if shown > 0 {
                line = line.known("  ", Tone::Dim);
            }
            // what acts stays in sight when it is not possible: its key says why
            let possible = !action.acts || (action.enabled)(self).is_ok();
            line = line
                .and(&key, if possible { Tone::Key } else { Tone::Dim })
                .known(" ", Tone::Dim)
                .and(title, Tone::Dim);
            shown += 1;
        }
        line
    }

    /// `read in 21 ms, 0.4 s ago · 2 s`, of the instance in focus.
    fn status(&self, short: bool) -> Line {
        let Some(instance) = self.focus().and_then(|i| self.instances.get(i)) else { return Line::empty() };
        if instance.recorded {
            return Line::empty()
                .known(if short { "a recording " } else { "a recording: nothing here changes " }, Tone::Dim);
        }
        let link = &instance.link;
        let Some(answered) = link.answered_at_ms else { return Line::empty() };
        let age = self.now_ms.saturating_sub(answered);
        let mut line = Line::empty();
        if let Some(read) = link.read_ms.filter(|_| !short) {
            line = line.and(&format!("read in {read} ms, "), Tone::Dim);
        }
        let old = age > 2 * link.interval_ms.max(500) && !self.paused;
        let words = format!("{} ago", text::age(age as i64));
        line = if old { line.and(&format!("▲ {words}"), Tone::Warning) } else { line.and(&words, Tone::Dim) };
        let interval =
            if self.paused { " · paused ".to_owned() } else { format!(" · {} ", seconds(link.interval_ms)) };
        line.and(&interval, if self.paused { Tone::Warning } else { Tone::Dim })
    }

    fn picker(&mut self, layout: &Layout, parts: &mut Vec<Part>) {
        let (width, height) = self.size;
        let Some(Overlay::Pick(picker)) = self.overlays.last_mut() else { return };
        let room = Area::new(0, layout.body.y, width, height.saturating_sub(layout.body.y + 1));
        let wide = room.width.min(100).min(room.width.saturating_sub(4).max(16).min(room.width));
        let tall = (picker.shown.len().max(1) as u16).saturating_add(3).min(room.height).min(24);
        let area = Area::new((room.width - wide) / 2, room.y, wide, tall);
        parts.push(Part::Popup { area, title: picker.title.clone() });
        if area.width < 5 || area.height < 3 {
            return;
        }
        let inner = Area::new(area.x + 2, area.y + 1, area.width - 4, area.height - 2);
        let count = Line::new(&picker.shown.len().to_string(), Tone::Dim);
        let label = Line::empty().known("› ", Tone::Key);
        parts.push(field(Area { height: 1, ..inner }, label, &picker.input, count, Face::Popup));
        let list = Area { y: inner.y + 1, height: inner.height - 1, ..inner };
        let lines = usize::from(list.height);
        picker.offset = picker.offset.min(picker.cursor).max((picker.cursor + 1).saturating_sub(lines));
        for (at, index) in picker.shown.iter().enumerate().skip(picker.offset).take(lines) {
            let Some(item) = picker.items.get(*index) else { continue };
            parts.push(Part::Choice {
                area: Area { y: list.y + (at - picker.offset) as u16, height: 1, ..list },
                left: item.label.clone(),
                right: item.hint.clone(),
                selected: at == picker.cursor,
            });
        }
        if picker.shown.is_empty() && lines > 0 {
            let none = Line::empty().known("nothing of that name", Tone::Dim);
            parts.push(Part::Text { area: Area { height: 1, ..list }, lines: vec![none], stale: false });
        }
        self.hits.choices = list;
    }
}

/// Schemas whose names are read because the policy excepts single objects there. A policy that was derived from a database of
/// thousands of schemas excepts something in every third: there cells are compared by number.
const MOST_EXCEPTED: usize = 16;

/// What the pane wants, and the names in schemas where the policy excepts single objects, if these are few: without them a
/// cell is compared by number alone, and may count as differing where nothing does.
fn with_exceptions(ctx: &Ctx<'_>, mut wants: Vec<Want>) -> Vec<Want> {
    for (at, instance) in ctx.shown() {
        let Some(j) = &instance.judgement else { continue };
        let positions = j.desired.as_ref().map(|d| d.schemas_excepted_singly()).unwrap_or_default();
        if positions.is_empty() || positions.len() > MOST_EXCEPTED {
            continue;
        }
        let excepted = positions.iter().filter_map(|s| j.snapshot.catalog.schemas.get(*s)).map(|s| s.oid);
        let place = wants.iter_mut().find_map(|want| match want {
            Want::Objects { instance, schemas, .. } if *instance == at => Some(schemas),
            Want::Objects { .. } | Want::Sizes { .. } => None,
        });
        match place {
            // in one order, so that the same wish is not read again
            Some(schemas) => {
                schemas.extend(excepted);
                schemas.sort_unstable();
                schemas.dedup();
            }
            None => wants.push(Want::Objects { instance: at, schemas: excepted.collect(), beneath: false }),
        }
    }
    wants
}

/// The most useful keys of panes one acts on.
fn acts_of(pane: &str) -> Option<&'static [&'static str]> {
    match pane {
        "grants" => Some(&["open", "fix", "differences", "filter", "palette", "sort"]),
        "findings" => Some(&["open", "fix", "filter", "mark", "palette"]),
        "sessions" => Some(&["open", "cancel", "terminate", "filter", "mark"]),
        "journal" => Some(&["open", "undo", "filter", "palette"]),
        "schemas" => Some(&["open", "create-schema", "isolate", "filter", "palette"]),
        "versions" => Some(&["open", "move-versions", "isolate", "filter", "palette"]),
        _ => None,
    }
}

/// Where an action takes place: instance, database, how careful to be.
fn place_of(instance: &Instance) -> Line {
    let database = instance.judgement.as_ref().map_or("", |j| j.snapshot.server.database.as_str());
    let mut line = Line::new(&instance.name, Tone::Strong);
    if !database.is_empty() && database != instance.name {
        line = line.known(" · ", Tone::Dim).and(database, Tone::Strong);
    }
    let word = match instance.environment {
        Environment::Development => " DEVELOPMENT ",
        Environment::Staging => " STAGING ",
        Environment::Production => " PRODUCTION ",
    };
    line.known(" · ", Tone::Dim).known(word, environment(instance.environment))
}

/// Cells a column would like for a text.
fn needs(column: &Column, width: usize) -> u16 {
    // room for the mark of the sorting
    let title = text::width(&text::safe(&column.title)) + if column.sorts { 2 } else { 0 };
    u16::try_from(width.max(title)).unwrap_or(u16::MAX).clamp(column.min, column.max.max(column.min))
}

fn title(column: &Column, index: usize, sort: Option<(usize, bool)>) -> Line {
    let line = Line::new(&column.title, Tone::Title);
    match sort {
        Some((at, descending)) if at == index => line.known(if descending { " ▼" } else { " ▲" }, Tone::Accent),
        Some(_) | None => line,
    }
}

/// The second rule of a production's frame names it too.
fn frame(production: bool) -> Line {
    if production { Line::empty().known(" PRODUCTION ", Tone::Production) } else { Line::empty() }
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// An area with a margin to both sides.
pub(super) fn inset(area: Area) -> Area {
    let margin = MARGIN.min(area.width / 2);
    Area { x: area.x + margin, width: area.width - 2 * margin, ..area }
}

/// A text field whose caret stays in sight.
pub(super) fn field(area: Area, label: Line, input: &tui_input::Input, right: Line, face: Face) -> Part {
    let room = usize::from(area.width).saturating_sub(label.width() + 1);
    // escaped piece by piece, so that the caret stands where the character is
    let (mut before, after): (String, String) = {
        let at = input.value().char_indices().nth(input.cursor()).map_or(input.value().len(), |(i, _)| i);
        let (a, b) = input.value().split_at_checked(at).unwrap_or((input.value(), ""));
        (text::safe(a).into_owned(), text::safe(b).into_owned())
    };
    while text::width(&before) > room {
        before.remove(0);
    }
    let caret = (label.width() + text::width(&before)) as u16;
    let shown = Line(vec![Span::safe(before, Tone::Text), Span::safe(after, Tone::Text)]);
    Part::Field { area, face, label, text: shown, caret, right }
}

/// Below the least size: a sentence.
pub(super) fn tiny(width: u16, height: u16) -> Part {
    let words = format!("pgmoat needs at least {}x{} cells; here are {width}x{height}.", LEAST.0, LEAST.1);
    let lines = wrap(&Line::new(&words, Tone::Text), usize::from(width.max(1)));
    Part::Text { area: Area::new(0, 0, width, height), lines, stale: false }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        app::panes::sample::{Sample, ctx},
        policy::{checks::fixture::Fixture, judgement::Judgement},
    };

    #[test]
    fn names_are_wanted_where_the_policy_excepts_single_objects() {
        let wanted = |exceptions: &str| {
            let f = Fixture::new().role("app").role("reader").schema("shop", "app").schema("stock", "app");
            let rules = format!("[[service]]\nname='s'\nschemas=['shop', 'stock']\nrole='app'\n{exceptions}");
            let case = f.policy(&rules).case();
            let j = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
            let oid = |name: &str| j.snapshot.catalog.schema_named(name).unwrap().oid;
            let (shop, stock) = (oid("shop"), oid("stock"));
            let instances = [Instance { judgement: Some(Arc::new(j)), ..Sample::new().instance() }];
            let own = vec![Want::Objects { instance: 0, schemas: vec![stock], beneath: true }];
            let objects = |schemas| vec![Want::Objects { instance: 0, schemas, beneath: true }];
            (with_exceptions(&ctx(&instances, 80), own), objects(vec![shop, stock]), objects(vec![stock]))
        };
        let whole = "[[exception]]\nrole='reader'\nschema='shop'\nprivileges=['SELECT']\nreason='r'\n";
        let (wants, both, stock) = wanted(&format!("{whole}objects=['a']\n"));
        assert_eq!(wants, both);
        assert_ne!(wanted(whole).0, both, "for a whole schema no name is needed");
        assert_eq!(wanted("").0.len(), stock.len());
    }
}

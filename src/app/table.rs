//! The state of one table: which rows are there in which order, where the cursor is, what is marked. The selection
//! follows the object: after every reload the same row is selected, on the same line of the screen where that is
//! possible. Knows neither panes nor instances.

use std::collections::{HashMap, HashSet};

use super::{
    fuzzy::{Fuzzy, How},
    panes::{Entry, RowId, SortKey},
    view::Column,
};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct TableState {
    /// The selected object, also while it is not to be seen.
    pub selected: Option<RowId>,
    /// A person has chosen the row. Until then the first row is selected, so that the worst stays on top.
    pub chosen: bool,
    /// Line of the cursor in the ordered rows.
    pub cursor: usize,
    /// First visible line.
    pub offset: usize,
    /// Selected column, where the cursor moves by cell.
    pub column: usize,
    /// First visible column after the frozen ones.
    pub column_offset: usize,
    /// Column and whether descending.
    pub sort: Option<(usize, bool)>,
    pub filter: Filter,
    pub marks: HashSet<RowId>,
    /// Cells that each column has needed so far: columns grow and do not shrink while one looks at them.
    pub widths: Vec<u16>,
}

impl TableState {
    /// Entries that pass the filter, in order, as positions in `entries`; moves the cursor to the selected object.
    #[must_use]
    pub fn order(&mut self, entries: &[Entry], columns: &[Column], instances: &[String]) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        // what was typed, then the rows of an instance called so, and only then something like it
        for (how, named) in [(How::Exactly, false), (How::Exactly, true), (How::Loosely, false)] {
            let mut sieve = self.filter.sieve(instances, how, named);
            order = entries.iter().enumerate().filter(|(_, e)| sieve.passes(e)).map(|(i, _)| i).collect();
            if !order.is_empty() {
                break;
            }
        }
        if let Some((column, descending)) = self.sort {
            let rank = columns.iter().take(column).filter(|c| c.sorts).count();
            let key = |i: usize| -> Option<&SortKey> {
                let keys = &entries.get(i)?.keys;
                keys.get(if keys.len() == columns.len() { column } else { rank })
            };
            order.sort_by(|a, b| if descending { key(*b).cmp(&key(*a)) } else { key(*a).cmp(&key(*b)) });
        }
        self.follow(entries, &order);
        order
    }

    /// Puts the cursor on the selected object, keeping its line on the screen.
    fn follow(&mut self, entries: &[Entry], order: &[usize]) {
        if !self.chosen {
            self.offset = 0;
            return self.go(0, entries, order);
        }
        let line = self.cursor.saturating_sub(self.offset);
        let wanted = self.selected.as_ref();
        let found = wanted.and_then(|id| order.iter().position(|i| entries.get(*i).is_some_and(|e| e.id == *id)));
        if let Some(at) = found {
            self.cursor = at;
            self.offset = at.saturating_sub(line);
        } else {
            self.go(self.cursor, entries, order);
        }
    }

    /// As [`TableState::go`], by a person's hand: from now on the selection follows the object.
    pub fn choose(&mut self, line: usize, entries: &[Entry], order: &[usize]) {
        self.chosen = true;
        self.go(line, entries, order);
    }

    /// Selects a line of the ordered rows, clamped.
    pub fn go(&mut self, line: usize, entries: &[Entry], order: &[usize]) {
        self.cursor = line.min(order.len().saturating_sub(1));
        self.selected = order.get(self.cursor).and_then(|i| entries.get(*i)).map(|e| e.id.clone());
    }

    /// Scrolls so that the cursor is among `height` visible rows of `rows`, and no line stays empty needlessly.
    pub fn scroll(&mut self, height: usize, rows: usize) {
        self.offset = self.offset.min(rows.saturating_sub(height)).min(self.cursor);
        if height > 0 && self.cursor >= self.offset + height {
            self.offset = self.cursor + 1 - height;
        }
    }

    /// Forgets marks of rows that are gone.
    pub fn keep_marks(&mut self, entries: &[Entry]) {
        if !self.marks.is_empty() {
            let there: HashSet<&RowId> = entries.iter().map(|e| &e.id).collect();
            self.marks.retain(|id| there.contains(id));
        }
    }
}

/// What is typed behind `/`: words that must be found, `!word` that must not, `@instance`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(pub String);

impl Filter {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// `instances` are the names by position.
    fn sieve(&self, instances: &[String], how: How, named: bool) -> Sieve {
        let mut found = String::new();
        let mut without = Vec::new();
        let mut only: Option<HashMap<usize, bool>> = None;
        for word in self.0.split_whitespace() {
            if let Some(name) = word.strip_prefix('@') {
                let name = name.to_lowercase();
                let matches = instances.iter().map(|n| n.to_lowercase().contains(&name));
                only = Some(matches.enumerate().collect());
            } else if let Some(word) = word.strip_prefix('!') {
                if !word.is_empty() {
                    without.push(word.to_lowercase());
                }
            } else {
                found.push_str(word);
                found.push(' ');
            }
        }
        let names = if named { instances.to_vec() } else { Vec::new() };
        Sieve { found: Fuzzy::new(&found, how), any: found.is_empty(), without, only, names }
    }
}

struct Sieve {
    found: Fuzzy,
    any: bool,
    without: Vec<String>,
    only: Option<HashMap<usize, bool>>,
    /// Instances whose name counts as a word of their rows.
    names: Vec<String>,
}

impl Sieve {
    fn passes(&mut self, entry: &Entry) -> bool {
        if let Some(only) = &self.only
            && !only.get(&entry.id.0).copied().unwrap_or(false)
        {
            return false;
        }
        if !self.without.is_empty() {
            let text = entry.text.to_lowercase();
            if self.without.iter().any(|w| text.contains(w)) {
                return false;
            }
        }
        match self.names.get(entry.id.0) {
            _ if self.any => true,
            Some(name) => self.found.score(&format!("{} {name}", entry.text)).is_some(),
            None => self.found.score(&entry.text).is_some(),
        }
    }
}

/// Cells between two columns.
pub const GAP: u16 = 2;
/// Cells for the mark of the selected and of marked rows.
pub const MARGIN: u16 = 2;

/// A column that is shown: its position among all, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub index: usize,
    pub x: u16,
    pub width: u16,
}

/// Columns that stay when the screen has `width` cells: those of the highest `drop` go first, until the least widths fit.
#[must_use]
pub fn kept(columns: &[Column], width: u16) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let least = |kept: &[usize]| -> usize {
        kept.iter().filter_map(|i| columns.get(*i)).map(|c| usize::from(c.min) + usize::from(GAP)).sum()
    };
    while least(&kept) > usize::from(width) + usize::from(GAP) {
        let worst = kept.iter().filter_map(|i| columns.get(*i)).map(|c| c.drop).max().unwrap_or(0);
        if worst == 0 {
            break;
        }
        let last = kept.iter().rposition(|i| columns.get(*i).is_some_and(|c| c.drop == worst));
        if let Some(last) = last {
            kept.remove(last);
        }
    }
    kept
}

/// Places columns into `width` cells. `needs` are the cells each column would like, by position among all columns;
/// `offset` counts scrolled-away columns that are not frozen. The last column may be cut.
#[must_use]
pub fn places(columns: &[Column], kept: &[usize], needs: &[u16], offset: usize, width: u16) -> Vec<Place> {
    let frozen = |i: &usize| columns.get(*i).is_some_and(|c| c.frozen);
    let mut skipped = 0;
    let shown: Vec<usize> = kept
        .iter()
        .copied()
        .filter(|i| {
            if frozen(i) || skipped == offset {
                return true;
            }
            skipped += 1;
            false
        })
        .collect();
    let need = |i: usize, column: &Column| {
        needs.get(i).copied().unwrap_or(column.min).clamp(column.min, column.max.max(column.min))
    };
    // when even the least widths do not fit, the table scrolls: then every column gets what it needs, and those that
    // have no room are a few keys away; else least widths first, and what is left goes to those that need more
    let all: usize = kept.iter().filter_map(|i| columns.get(*i)).map(|c| usize::from(c.min) + usize::from(GAP)).sum();
    let scrolling = all > usize::from(width) + usize::from(GAP);
    let mut widths: Vec<(usize, u16, u16)> = Vec::new();
    let mut used: u16 = 0;
    for i in shown {
        let Some(column) = columns.get(i) else { continue };
        let need = need(i, column);
        let now = if scrolling { need } else { column.min };
        let room = width.saturating_sub(used);
        if room == 0 || (room < column.min && !widths.is_empty()) {
            break;
        }
        let now = now.min(room);
        widths.push((i, now, need));
        used = used.saturating_add(now).saturating_add(GAP);
    }
    let mut spare = width.saturating_sub(used.saturating_sub(GAP));
    // a few cells to each in turn: short columns are soon served, and the one that takes what is left gets more
    loop {
        let before = spare;
        for (i, now, need) in &mut widths {
            let share = if columns.get(*i).is_some_and(|c| c.max == u16::MAX) { 3 } else { 1 };
            let more = need.saturating_sub(*now).min(share).min(spare);
            *now += more;
            spare -= more;
        }
        if spare == before {
            break;
        }
    }
    if let Some((_, now, _)) = widths.iter_mut().find(|(i, ..)| columns.get(*i).is_some_and(|c| c.max == u16::MAX)) {
        *now += spare;
    }
    let mut x = 0;
    widths
        .into_iter()
        .map(|(index, width, _)| {
            let place = Place { index, x, width };
            x += width + GAP;
            place
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(instance: usize, name: &str, n: i64) -> Entry {
        Entry {
            id: RowId(instance, name.to_owned()),
            text: name.to_owned(),
            keys: vec![SortKey::Text(name.to_owned()), SortKey::Number(n)],
        }
    }

    fn columns() -> Vec<Column> {
        vec![
            Column { frozen: true, ..Column::left("name", 6, 20, 0) },
            Column::right("size", 4, 10, 1),
            Column { sorts: false, ..Column::left("note", 4, u16::MAX, 2) },
        ]
    }

    fn names(entries: &[Entry], order: &[usize]) -> Vec<String> {
        order.iter().map(|i| entries[*i].id.1.clone()).collect()
    }

    #[test]
    fn the_selection_follows_its_object_and_keeps_its_line() {
        let mut state = TableState { sort: Some((1, true)), ..TableState::default() };
        let mut entries: Vec<Entry> = (0..100).map(|i| entry(0, &format!("t{i:03}"), i)).collect();
        let order = state.order(&entries, &columns(), &[]);
        state.choose(50, &entries, &order);
        state.scroll(10, order.len());
        let (selected, line) = (state.selected.clone(), state.cursor - state.offset);
        assert_eq!(selected, Some(RowId(0, "t049".to_owned())));
        // the object grows to the top of the sorting, twenty others vanish
        entries[49].keys[1] = SortKey::Number(75);
        entries.retain(|e| !e.id.1.starts_with("t00") && !e.id.1.starts_with("t01"));
        let order = state.order(&entries, &columns(), &[]);
        state.scroll(10, order.len());
        assert_eq!(state.selected, selected);
        assert_eq!(names(&entries, &order)[state.cursor], "t049");
        assert_eq!(state.cursor - state.offset, line);
    }

    #[test]
    fn when_the_object_is_gone_its_neighbour_is_selected() {
        let mut state = TableState::default();
        let mut entries: Vec<Entry> = ["a", "b", "c"].iter().map(|n| entry(0, n, 0)).collect();
        let order = state.order(&entries, &columns(), &[]);
        state.choose(2, &entries, &order);
        entries.pop();
        let order = state.order(&entries, &columns(), &[]);
        assert_eq!(state.selected, Some(RowId(0, "b".to_owned())));
        assert_eq!(names(&entries, &order), ["a", "b"]);
        assert!(state.order(&[], &columns(), &[]).is_empty());
        assert_eq!((state.selected.clone(), state.cursor), (None, 0));
    }

    #[test]
    fn a_filter_finds_excludes_and_names_instances() {
        let entries: Vec<Entry> =
            vec![entry(0, "langflow_app", 1), entry(0, "onside_user", 2), entry(1, "langflow_app", 3)];
        let instances = ["local".to_owned(), "flowdb".to_owned()];
        let mut state = TableState::default();
        for (filter, expected) in [
            ("lang", vec!["langflow_app", "langflow_app"]),
            ("lang @flow", vec!["langflow_app"]),
            ("@local", vec!["langflow_app", "onside_user"]),
            ("!lang", vec!["onside_user"]),
            ("@flowdb onside", vec![]),
            ("flowdb", vec!["langflow_app"]),
            ("flowdb lang", vec!["langflow_app"]),
            ("lngflow", vec!["langflow_app", "langflow_app"]),
            (" ", vec!["langflow_app", "onside_user", "langflow_app"]),
            ("!", vec!["langflow_app", "onside_user", "langflow_app"]),
        ] {
            state.filter = Filter(filter.to_owned());
            let order = state.order(&entries, &columns(), &instances);
            assert_eq!(names(&entries, &order), expected, "{filter}");
        }
    }

    #[test]
    fn sorting_keeps_the_order_of_equals() {
        let entries = vec![entry(0, "b", 1), entry(0, "a", 2), entry(0, "c", 1)];
        let mut state = TableState { sort: Some((1, false)), ..TableState::default() };
        let order = state.order(&entries, &columns(), &[]);
        assert_eq!(names(&entries, &order), ["b", "c", "a"]);
    }

    #[test]
    fn columns_go_then_shrink_then_scroll() {
        let columns = columns();
        assert_eq!(kept(&columns, 80), [0, 1, 2]);
        assert_eq!(kept(&columns, 14), [0, 1]);
        assert_eq!(kept(&columns, 5), [0]);
        let wide = places(&columns, &[0, 1, 2], &[12, 6, 30], 0, 80);
        assert_eq!(wide.iter().map(|p| (p.x, p.width)).collect::<Vec<_>>(), [(0, 12), (14, 6), (22, 58)]);
        let shared = places(&columns, &[0, 1, 2], &[20, 6, 30], 0, 30);
        assert_eq!(shared.iter().map(|p| p.width).collect::<Vec<_>>(), [9, 6, 11], "nobody is left with the least");
        let tight = places(&columns, &[0, 1, 2], &[12, 6, 30], 0, 20);
        assert_eq!(tight.iter().map(|p| p.width).collect::<Vec<_>>(), [7, 5, 4]);
        let scrolled = places(&columns, &[0, 1, 2], &[6, 6, 6], 1, 40);
        assert_eq!(scrolled.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 2], "the frozen column stays");
        assert!(places(&columns, &[0, 1, 2], &[6, 6, 6], 0, 0).is_empty());
    }
}

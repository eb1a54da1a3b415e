//! What happens changes the state: keys, mouse, news of instances. Returns what is to be done outside.

use tui_input::Input;

use super::{
    App, Effect, INTERVALS_MS, InstanceMsg, Mouse, MouseKind, Msg,
    actions::{self, ACTIONS, ActionSpec, Context},
    instance::Instance,
    keymap::{Code, Key},
    overlay::{Choice, Overlay, StoryView, edit, insert},
    panes::{Enter, Reach, RowId, Story},
    table::{Filter, TableState},
    view::{Line, Tone},
};
use crate::domain::snapshot::ClusterDatabase;

/// Lines that a turn of the wheel moves.
const WHEEL: isize = 3;

impl App {
    /// Takes in what happened; returns what is to be done.
    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => return self.key(key),
            Msg::Mouse(mouse) => return self.mouse(mouse),
            Msg::Paste(text) => self.paste(&text),
            Msg::Resize(width, height) => {
                self.size = (width, height);
                let ctx = self.ctx();
                let columns: Vec<_> = self.slots.iter().map(|s| s.pane.columns(&ctx)).collect();
                for (slot, columns) in self.slots.iter_mut().zip(columns) {
                    // a pane that was never looked at has none yet
                    if !slot.columns.is_empty() {
                        slot.head(columns);
                    }
                    slot.table.widths.clear();
                }
            }
            Msg::Instance(at, news) => self.news(at, news),
            Msg::Tick { now_ms, day_s } => {
                self.now_ms = now_ms;
                self.day_s = day_s;
                if self.notice.as_ref().is_some_and(|n| n.until_ms <= now_ms) {
                    self.notice = None;
                }
            }
            Msg::Notice(text, tone) => self.say(&text, tone),
            Msg::Drawn(frame) => self.drawn(frame),
            Msg::Opened(at, instance) => self.opened(at, instance.map(|i| *i)),
            Msg::Act(ticket, news) => return self.act_news(ticket, news),
            Msg::Journal(book) => {
                if self.book.as_ref() != Some(&book) {
                    self.book = Some(book);
                    self.moved();
                }
            }
        }
        Vec::new()
    }

    fn news(&mut self, at: usize, news: InstanceMsg) {
        let Some(instance) = self.instances.get_mut(at) else { return };
        match news {
            InstanceMsg::Link(link) => {
                let same = instance.link.state == link.state && instance.link.notice == link.notice;
                instance.link = link;
                if same {
                    return;
                }
            }
            InstanceMsg::Judgement(judgement) => {
                instance.first_sizes.get_or_insert_with(|| judgement.snapshot.sizes.clone());
                instance.judgement = Some(judgement);
                instance.revision += 1;
            }
            InstanceMsg::Policy { name, problem } => {
                instance.policy_name = name;
                instance.policy_problem = problem;
            }
        }
        self.moved();
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        self.notice = None;
        self.pressed = Some(key);
        self.load();
        if matches!(self.overlays.last(), Some(Overlay::Preview(_))) {
            return self.preview_key(key);
        }
        let action = self.keymap.action(key);
        if matches!(self.overlays.last(), Some(Overlay::Form(_))) {
            let chord = key.ctrl || key.alt;
            return match action.filter(|a| chord && a.context == Context::Always) {
                Some(action) => (action.run)(self),
                None => self.form_key(key),
            };
        }
        if self.overlays.last().is_some_and(Overlay::takes_text) {
            let chord = key.ctrl || key.alt || matches!(key.code, Code::F(_));
            return match action.filter(|a| chord && a.context == Context::Always) {
                Some(action) => (action.run)(self),
                None => self.type_key(key),
            };
        }
        let Some(action) = action else {
            let help = self.keymap.first("help");
            self.say(&format!("{key} does nothing here; {help} shows the keys"), Tone::Dim);
            return Vec::new();
        };
        self.run(action)
    }

    /// Runs an action, or says why not.
    pub(super) fn run(&mut self, action: &ActionSpec) -> Vec<Effect> {
        self.load();
        if action.context == Context::Pane && !self.overlays.is_empty() && !action.acts {
            let back = self.keymap.first("back");
            self.say(&format!("{back} closes this first"), Tone::Dim);
            return Vec::new();
        }
        if let Err(why) = (action.enabled)(self) {
            let words = if action.id == "fix" { self.unfixed() } else { None };
            self.say(&words.unwrap_or_else(|| format!("{}: {why}", action.title)), Tone::Dim);
            return Vec::new();
        }
        (action.run)(self)
    }

    /// A key in a text field.
    fn type_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(top) = self.overlays.last_mut() else { return Vec::new() };
        match (top, key.code) {
            (Overlay::Filter { before, .. }, Code::Esc) => {
                let before = before.clone();
                self.overlays.pop();
                self.set_filter(before);
            }
            (Overlay::Filter { .. }, Code::Enter) => {
                self.overlays.pop();
                // who looked for a row has found it: it stays selected when the filter goes
                if self.slot().is_some_and(|s| !s.table.filter.is_empty() && !s.order.is_empty()) {
                    self.move_cursor(0);
                }
            }
            (Overlay::Save { .. } | Overlay::Pick(_), Code::Esc) => {
                self.overlays.pop();
            }
            // the rows can be looked through while one types
            (Overlay::Filter { .. }, Code::Up) => self.move_cursor(-1),
            (Overlay::Filter { .. }, Code::Down) => self.move_cursor(1),
            (Overlay::Filter { input, .. }, _) => {
                if edit(input, key) {
                    let filter = Filter(input.value().to_owned());
                    self.set_filter(filter);
                }
            }
            (Overlay::Save { input, text }, Code::Enter) => {
                let (path, text) = (input.value().trim().to_owned(), std::mem::take(text));
                self.overlays.pop();
                if !path.is_empty() {
                    return vec![Effect::Write { path, text }];
                }
            }
            (Overlay::Save { input, .. }, _) => {
                edit(input, key);
            }
            (Overlay::Pick(picker), Code::Enter) => {
                if let Some(choice) = picker.chosen() {
                    self.overlays.pop();
                    return self.choose(choice);
                }
            }
            (Overlay::Pick(picker), _) => picker.key(key),
            (Overlay::Story(_) | Overlay::Form(_) | Overlay::Preview(_), _) => {}
        }
        Vec::new()
    }

    fn paste(&mut self, text: &str) {
        match self.overlays.last_mut() {
            Some(Overlay::Filter { input, .. }) => {
                insert(input, text);
                let filter = Filter(input.value().to_owned());
                self.set_filter(filter);
            }
            Some(Overlay::Save { input, .. }) => insert(input, text),
            Some(Overlay::Pick(picker)) => picker.paste(text),
            Some(Overlay::Form(form)) => form.paste(text),
            Some(Overlay::Story(_) | Overlay::Preview(_)) | None => {
                self.say("nothing was pasted: no text field is open", Tone::Dim);
            }
        }
    }

    fn choose(&mut self, choice: Choice) -> Vec<Effect> {
        match choice {
            Choice::Pane(i) => self.go(i),
            Choice::Action(id) => {
                if let Some(action) = ACTIONS.iter().find(|a| a.id == id) {
                    return self.run(action);
                }
            }
            Choice::Instance(only) => {
                if self.only != only {
                    self.only = only;
                    self.moved();
                }
            }
            Choice::Row { pane, row } => {
                if !self.follow(pane, Some(&row)) {
                    self.say("that is not here any more", Tone::Dim);
                }
            }
            Choice::Sort(column) => self.sort_by(column),
            Choice::Database { instance, name } => return self.open_database(instance, &name),
        }
        Vec::new()
    }

    fn set_filter(&mut self, filter: Filter) {
        if let Some((_, slot)) = self.here() {
            slot.table.filter = filter;
        }
        self.reorder();
    }

    pub(super) fn begin_filter(&mut self) {
        let before = self.slot().map(|s| s.table.filter.clone()).unwrap_or_default();
        self.overlays.push(Overlay::Filter { input: Input::new(before.0.clone()), before });
    }

    pub(super) fn begin_save(&mut self) {
        let (Some(text), Some(slot)) = (self.copied(), self.slot()) else { return };
        let text = self.script().unwrap_or(text);
        let name = match self.overlays.last() {
            Some(Overlay::Preview(preview)) => preview.file(),
            _ => format!("pgmoat-{}.txt", slot.spec.id),
        };
        let input = Input::new(name);
        self.overlays.push(Overlay::Save { input, text });
    }

    /// The plan that is open, as a script that is safe to run; a plan that is over is told, not written.
    fn script(&self) -> Option<String> {
        let Some(Overlay::Preview(preview)) = self.overlays.last() else { return None };
        let plan = &preview.ready().filter(|_| preview.handed().is_none())?.plan;
        let judgement = self.instances.get(preview.instance)?.judgement.as_ref();
        Some(crate::plan::script(plan, judgement.map_or(0, |j| j.snapshot.latest_us())))
    }

    /// What `copy` sends: the text that is open, the marked rows, or the selection.
    pub(super) fn copied(&mut self) -> Option<String> {
        if let Some(Overlay::Story(story)) = self.overlays.last() {
            return Some(story.copy.clone());
        }
        if let Some(Overlay::Preview(preview)) = self.overlays.last() {
            return Some(preview.sql());
        }
        let row = self.row()?;
        let (ctx, slot) = self.here()?;
        let column = slot.table.column;
        if slot.table.marks.is_empty() {
            return Some(slot.pane.copy(&ctx, row, column));
        }
        let marked =
            slot.order.iter().filter(|i| slot.entries.get(**i).is_some_and(|e| slot.table.marks.contains(&e.id)));
        Some(marked.map(|i| slot.pane.copy(&ctx, *i, column)).collect::<Vec<_>>().join("\n"))
    }

    /// # Errors
    /// The reason, as the end of a sentence.
    pub(super) fn can_list_databases(&self) -> Result<(), &'static str> {
        let Some(instance) = self.focus().and_then(|i| self.instances.get(i)) else {
            return Err("there is no instance");
        };
        match &instance.judgement {
            None => Err("the server has not answered yet"),
            Some(j) if j.snapshot.sizes.databases.is_empty() => Err("they are not read yet"),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn list_databases(&mut self) {
        if let Some(at) = self.focus() {
            let picker = super::palette::databases(self, at);
            self.overlays.push(Overlay::Pick(picker));
        }
    }

    /// Opens another database of the server of an instance, or says why not.
    fn open_database(&mut self, at: usize, name: &str) -> Vec<Effect> {
        let Some(instance) = self.instances.get(at) else { return Vec::new() };
        let Some(judgement) = &instance.judgement else { return Vec::new() };
        let known = judgement.snapshot.sizes.databases.iter().find(|d| d.name == name);
        let refusal = if judgement.snapshot.server.database == name {
            Some("it is the one that is shown")
        } else if instance.recorded {
            Some("this is a recording, there is no server behind it")
        } else {
            known.map_or(Some("it is not there any more"), ClusterDatabase::closed)
        };
        match refusal {
            Some(why) => {
                self.say(&format!("{name}: {why}"), Tone::Warning);
                Vec::new()
            }
            None => vec![Effect::Open { instance: at, database: name.to_owned() }],
        }
    }

    /// An instance was added behind the others, or is there already: it is looked at.
    fn opened(&mut self, at: usize, instance: Option<Instance>) {
        self.instances.extend(instance);
        if let Some(instance) = self.instances.get(at) {
            let words = format!("looking at {}; {} chooses another", instance.name, self.keymap.first("instances"));
            self.only = Some(at);
            self.moved();
            self.say(&words, Tone::Good);
        }
    }

    /// What is to be known of the server in focus.
    pub(super) fn about(&mut self) {
        let judgement = self.focus().and_then(|i| self.instances.get(i)).and_then(|i| i.judgement.as_ref());
        if let Some(judgement) = judgement {
            let story = super::about::story(&judgement.snapshot);
            self.overlays.push(Overlay::Story(StoryView::new(story, false)));
        }
    }

    pub(super) fn mark(&mut self) {
        let Some(row) = self.row() else { return };
        if let Some((_, slot)) = self.here()
            && let Some(id) = slot.entries.get(row).map(|e| e.id.clone())
            && !slot.table.marks.remove(&id)
        {
            slot.table.marks.insert(id);
        }
        self.move_cursor(1);
    }

    /// Enter.
    pub(super) fn open(&mut self) {
        let Some(row) = self.row() else { return };
        let Some((ctx, slot)) = self.here() else { return };
        slot.table.chosen = true;
        let fixes = slot.pane.fixes(&ctx, row, slot.table.column, Reach::Here);
        let instance = slot.entries.get(row).map_or(0, |e| e.id.0);
        let enter: Enter = slot.pane.enter(&ctx, row, slot.table.column);
        actions::entered(self, enter);
        if let Some(Overlay::Story(story)) = self.overlays.last_mut() {
            story.fixes = Some((instance, fixes));
        }
    }

    /// The pane went one level down.
    pub(super) fn down(&mut self) {
        if let Some((_, slot)) = self.here() {
            let fresh = TableState { sort: slot.pane.sorted(), ..TableState::default() };
            slot.above.push(std::mem::replace(&mut slot.table, fresh));
            slot.columns.clear();
            slot.moved = true;
        }
    }

    pub(super) fn can_go_back(&self) -> bool {
        !self.overlays.is_empty()
            || !self.trail.is_empty()
            || self.slot().is_some_and(|s| {
                !s.table.filter.is_empty()
                    || !s.table.marks.is_empty()
                    || !s.above.is_empty()
                    || s.pane.crumbs().is_some()
            })
    }

    /// One step back.
    pub(super) fn back(&mut self) {
        if self.overlays.pop().is_some() {
            return;
        }
        let Some((_, slot)) = self.here() else { return };
        if !slot.table.filter.is_empty() {
            return self.set_filter(Filter::default());
        }
        if !slot.table.marks.is_empty() {
            slot.table.marks.clear();
            return;
        }
        if slot.pane.back() {
            slot.table = slot.above.pop().unwrap_or_default();
            slot.columns.clear();
            slot.moved = true;
            return;
        }
        if let Some(before) = self.trail.pop() {
            self.active = before;
        }
    }

    /// To the pane of a position; whatever lies on top is closed.
    pub(super) fn go(&mut self, pane: usize) {
        self.overlays.clear();
        self.trail.clear();
        self.active = pane.min(self.slots.len().saturating_sub(1));
    }

    /// To the pane of an id and a row there; false when there is no such pane. The way back is remembered.
    pub(super) fn follow(&mut self, pane: &str, row: Option<&RowId>) -> bool {
        let Some(at) = self.slots.iter().position(|s| s.spec.id == pane) else { return false };
        self.overlays.clear();
        if at != self.active {
            self.trail.push(self.active);
        }
        self.active = at;
        let Some(row) = row else { return true };
        if self.only.is_some_and(|o| o != row.0) {
            self.only = Some(row.0);
            self.moved();
        }
        if let Some((_, slot)) = self.here() {
            while slot.pane.back() {
                slot.table = slot.above.pop().unwrap_or_default();
                slot.columns.clear();
                slot.moved = true;
            }
            slot.table.filter = Filter::default();
            slot.table.chosen = true;
            slot.table.selected = Some(row.clone());
            slot.moved = true;
        }
        self.load();
        let mut hidden = false;
        if let Some((_, slot)) = self.here() {
            let at = |f: &dyn Fn(&RowId) -> bool| {
                slot.order.iter().position(|i| slot.entries.get(*i).is_some_and(|e| f(&e.id)))
            };
            let found = at(&|id| id == row).or_else(|| at(&|id| id.0 == row.0 && id.1.starts_with(&row.1)));
            match found {
                Some(line) => slot.table.choose(line, &slot.entries, &slot.order),
                None => hidden = true,
            }
        }
        if hidden {
            self.say("it is not among the rows of this pane now", Tone::Dim);
        }
        true
    }

    pub(super) fn turn(&mut self, by: isize) {
        let all = self.slots.len();
        if all > 0 {
            let next = (self.active as isize + by).rem_euclid(all as isize);
            self.go(next as usize);
        }
    }

    fn move_cursor(&mut self, by: isize) {
        if let Some((_, slot)) = self.here() {
            let line = slot.table.cursor.saturating_add_signed(by);
            slot.table.choose(line, &slot.entries, &slot.order);
        }
    }

    /// Up and down, in whatever is on top.
    pub(super) fn step(&mut self, by: isize) {
        match self.overlays.last_mut() {
            Some(Overlay::Story(story)) => story.scroll = story.scroll.saturating_add_signed(by),
            Some(Overlay::Pick(picker)) => picker.step(by),
            Some(Overlay::Preview(preview)) => preview.step(by),
            Some(Overlay::Form(form)) => form.step(by.signum()),
            Some(Overlay::Filter { .. } | Overlay::Save { .. }) | None => self.move_cursor(by),
        }
    }

    pub(super) fn page(&mut self, by: isize) {
        let lines = self.hits.page.saturating_sub(1).max(1) as isize;
        self.step(by * lines);
    }

    pub(super) fn sideways(&mut self, by: isize) {
        if let Some((_, slot)) = self.here() {
            let table = &mut slot.table;
            if slot.pane.by_cell() {
                let last = slot.columns.len().saturating_sub(1);
                let mut column = table.column;
                // a column without a title has nothing to stop at
                loop {
                    let next = column.saturating_add_signed(by).min(last);
                    let stop = next == column || slot.columns.get(next).is_some_and(|c| !c.title.is_empty());
                    column = next;
                    if stop {
                        break;
                    }
                }
                table.column = column;
            } else {
                let scrolls = slot.columns.iter().filter(|c| !c.frozen).count();
                table.column_offset = table.column_offset.saturating_add_signed(by).min(scrolls.saturating_sub(1));
            }
        }
    }

    pub(super) fn sorts(&self) -> bool {
        self.slot().is_some_and(|s| s.columns.iter().any(|c| c.sorts))
    }

    fn sort_by(&mut self, column: usize) {
        if let Some((_, slot)) = self.here() {
            let numbers = slot.columns.get(column).is_some_and(|c| c.align == super::view::Align::Right);
            slot.table.sort = Some(match slot.table.sort {
                Some((c, descending)) if c == column => (c, !descending),
                // the largest number is asked for more often than the smallest
                Some(_) | None => (column, numbers),
            });
        }
        self.reorder();
    }

    pub(super) fn differences(&self) -> Option<bool> {
        self.slot().and_then(|s| s.pane.differences())
    }

    pub(super) fn toggle_differences(&mut self) {
        if let Some((_, slot)) = self.here()
            && slot.pane.toggle_differences()
        {
            slot.moved = true;
        }
    }

    pub(super) fn change_interval(&mut self, slower: bool) -> Vec<Effect> {
        let now = self.instances.iter().find(|i| !i.recorded).map_or(2000, |i| i.link.interval_ms);
        let next = if slower {
            INTERVALS_MS.iter().find(|i| **i > now)
        } else {
            INTERVALS_MS.iter().rev().find(|i| **i < now)
        };
        let Some(next) = next.copied() else {
            self.say(if slower { "once a minute is the least" } else { "twice a second is the most" }, Tone::Dim);
            return Vec::new();
        };
        for instance in &mut self.instances {
            instance.link.interval_ms = next;
        }
        vec![Effect::Interval(next)]
    }

    pub(super) fn toggle_help(&mut self) {
        if self.overlays.iter().any(|o| matches!(o, Overlay::Story(s) if s.help)) {
            self.overlays.retain(|o| !matches!(o, Overlay::Story(s) if s.help));
            return;
        }
        let story = self.help();
        self.overlays.push(Overlay::Story(StoryView::new(story, true)));
    }

    /// What this pane shows, and every key that works here.
    fn help(&self) -> Story {
        let mut lines = Vec::new();
        if let Some(slot) = self.slot() {
            lines.push(Line::new(slot.spec.doc, Tone::Text));
            lines.push(Line::empty());
            let legend = super::legend::of(slot.spec.id);
            if !legend.is_empty() {
                lines.push(Line::empty().known("Signs", Tone::Title));
                for (sign, meaning) in legend {
                    let sign = crate::text::fit(sign, 14);
                    let gap = " ".repeat(15_usize.saturating_sub(crate::text::width(&sign)));
                    lines.push(Line::new(&format!("  {sign}{gap}"), Tone::Strong).and(meaning, Tone::Text));
                }
                lines.push(Line::empty());
            }
        }
        // what works here comes first, then what works everywhere; the rest is there to be known
        let preview = matches!(self.overlays.last(), Some(Overlay::Preview(_)));
        let here = |a: &ActionSpec| match a.context {
            Context::Pane => !preview && (a.enabled)(self).is_ok(),
            Context::Preview => preview,
            Context::Reading | Context::Always => false,
        };
        let everywhere = |a: &ActionSpec| matches!(a.context, Context::Reading | Context::Always);
        let mut sections: [(&'static str, Vec<&ActionSpec>); 3] =
            [("Here", Vec::new()), ("Everywhere", Vec::new()), ("Elsewhere, or not now", Vec::new())];
        let [(_, first), (_, second), (_, third)] = &mut sections;
        for action in ACTIONS {
            let list = if here(action) {
                &mut *first
            } else if everywhere(action) {
                &mut *second
            } else {
                &mut *third
            };
            list.push(action);
        }
        for (title, actions) in sections.into_iter().filter(|(_, actions)| !actions.is_empty()) {
            lines.push(Line::empty().known(title, Tone::Title));
            for action in actions {
                let keys = match action.id {
                    "pane-1" => format!("1-{}", self.slots.len().clamp(1, 9)),
                    id if id.starts_with("pane-") => continue,
                    // without a key of its own it is found in the palette
                    id if self.keymap.keys(id).is_empty() => self.keymap.first("palette"),
                    id => self.keymap.all(id),
                };
                let possible = (action.enabled)(self);
                let tone = if possible.is_ok() { Tone::Text } else { Tone::Dim };
                let line = Line::new(&format!("  {keys:<14} "), Tone::Key)
                    .and(&format!("{:<18}", action.title), tone)
                    .and(action.doc, Tone::Dim);
                lines.push(match possible {
                    Err(why) if action.acts => line.and(&format!(" Not now: {why}."), Tone::Dim),
                    _ => line,
                });
            }
            lines.push(Line::empty());
        }
        let commands: Vec<&String> = self.instances.iter().filter_map(|i| i.command.as_ref()).collect();
        if !commands.is_empty() {
            lines.push(Line::empty().known("The same from a shell", Tone::Title));
            lines.extend(commands.into_iter().map(|c| Line::new(&format!("  {c}"), Tone::Text)));
            lines.push(Line::empty());
        }
        lines.push(Line::new(
            "Filters: letters of a name; !word leaves out; @name keeps one instance. Hold Shift to select with the mouse.",
            Tone::Dim,
        ));
        let title = self.slot().map_or("Help", |s| s.spec.title);
        let copy = lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n");
        Story { title: Line::new(title, Tone::Title).known(": what it shows, and its keys", Tone::Dim), lines, copy }
    }

    fn mouse(&mut self, mouse: Mouse) -> Vec<Effect> {
        self.load();
        match mouse.kind {
            MouseKind::WheelUp => self.step(-WHEEL),
            MouseKind::WheelDown => self.step(WHEEL),
            MouseKind::Press => return self.press(mouse.x, mouse.y),
        }
        Vec::new()
    }

    fn press(&mut self, x: u16, y: u16) -> Vec<Effect> {
        self.notice = None;
        // a dialog about an action is answered by keys alone
        if self.overlays.iter().any(|o| matches!(o, Overlay::Preview(_))) {
            return Vec::new();
        }
        if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
            let area = self.hits.choices;
            if area.contains(x, y) {
                form.press(usize::from(y - area.y));
            }
            return Vec::new();
        }
        if let Some(Overlay::Pick(picker)) = self.overlays.last_mut() {
            let area = self.hits.choices;
            if !area.contains(x, y) {
                return Vec::new();
            }
            let line = picker.offset + usize::from(y - area.y);
            if line < picker.shown.len() {
                picker.cursor = line;
                return self.type_key(Key::plain(Code::Enter));
            }
            return Vec::new();
        }
        if y == self.hits.tabs_y
            && let Some((.., pane)) = self.hits.tabs.iter().find(|(from, to, _)| (*from..*to).contains(&x)).copied()
        {
            self.go(pane);
            return Vec::new();
        }
        if !self.overlays.is_empty() {
            return Vec::new();
        }
        let column = self.hits.columns.iter().find(|(from, to, _)| (*from..*to).contains(&x)).map(|c| c.2);
        if y == self.hits.titles_y
            && let Some(column) = column
        {
            if self.slot().is_some_and(|s| s.columns.get(column).is_some_and(|c| c.sorts)) {
                self.sort_by(column);
            }
        } else if self.hits.rows.contains(x, y) {
            let line = usize::from(y - self.hits.rows.y);
            let Some((_, slot)) = self.here() else { return Vec::new() };
            let (line, before) = (slot.table.offset + line, (slot.table.cursor, slot.table.column));
            if line >= slot.order.len() {
                return Vec::new();
            }
            slot.table.choose(line, &slot.entries, &slot.order);
            if slot.pane.by_cell() {
                slot.table.column = column.unwrap_or(slot.table.column);
            }
            // a second press on what is selected opens it
            if before == (slot.table.cursor, slot.table.column) {
                self.open();
            }
        }
        Vec::new()
    }
}

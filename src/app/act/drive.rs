//! Keys and news of an action: what `f`, `u`, `x` and `X` speak of, and how the dialog goes on.

use std::collections::BTreeSet;

use super::{
    ActNews, Ask, Deed, Fate, Progress,
    ending::{self, Way},
    preview::{Confirmed, Preview, Stage, Subject},
};
use crate::{
    app::{
        App, Effect,
        keymap::Key,
        overlay::{Choice, Item, Overlay, Picker},
        panes::{Reach, RowId},
        view::{Line, Tone},
    },
    domain::snapshot::Session,
    text,
};

/// What `f` would settle.
struct Scope {
    instance: usize,
    /// Ids of findings with a fix.
    findings: Vec<String>,
    /// Marked rows that have none, and why.
    without: Vec<(String, String)>,
}

impl App {
    /// The dialog on top.
    fn preview(&mut self) -> Option<&mut Preview> {
        match self.overlays.last_mut() {
            Some(Overlay::Preview(preview)) => Some(preview),
            _ => None,
        }
    }

    /// The dialog that waits for news under a ticket, wherever it lies.
    fn ticketed(&mut self, ticket: u64) -> Option<&mut Preview> {
        self.overlays.iter_mut().find_map(|o| match o {
            Overlay::Preview(preview) if preview.ticket == ticket => Some(&mut **preview),
            _ => None,
        })
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// A frame is on the screen: what stands in it may be answered.
    pub(in crate::app) fn drawn(&mut self, frame: u64) {
        for overlay in &mut self.overlays {
            match overlay {
                Overlay::Preview(preview) => preview.drawn(frame),
                Overlay::Form(form) => form.drawn(frame),
                Overlay::Filter { .. } | Overlay::Save { .. } | Overlay::Pick(_) | Overlay::Story(_) => {}
            }
        }
    }

    /// News of an action.
    pub(in crate::app) fn act_news(&mut self, ticket: u64, news: ActNews) -> Vec<Effect> {
        let leaving = self.leaving;
        let Some(preview) = self.ticketed(ticket) else {
            return if matches!(news, ActNews::Over(_)) { vec![Effect::ReadJournal] } else { Vec::new() };
        };
        match news {
            ActNews::Ready(result) => {
                preview.planned(result);
                Vec::new()
            }
            ActNews::Progress(progress) => {
                preview.progressed(progress);
                Vec::new()
            }
            ActNews::Over(told) => {
                let instance = preview.instance;
                preview.over(told);
                let mut effects = vec![Effect::Refresh(Some(instance)), Effect::ReadJournal];
                if leaving {
                    effects.push(Effect::Quit);
                }
                effects
            }
        }
    }

    /// A key while the dialog is on top.
    pub(in crate::app) fn preview_key(&mut self, key: Key) -> Vec<Effect> {
        let action = self.keymap.action(key).map(|a| a.id);
        let Some(preview) = self.preview() else { return Vec::new() };
        // What was pressed before this stood on the screen was not meant for it; to leave it is never wrong.
        let leaves = action == Some("quit") && key.ctrl || action == Some("suspend");
        let away = action == Some("back") && !matches!(preview.stage(), Stage::Running { .. });
        if !preview.armed() && !leaves && !away {
            return Vec::new();
        }
        match preview.stage() {
            Stage::Confirm(_) if !leaves => return self.confirm_key(key),
            Stage::Running { .. } if action == Some("back") || action == Some("quit") => {
                return self.stop(action == Some("quit"));
            }
            _ => {}
        }
        if !leaves && self.preview().is_some_and(|p| matches!(p.stage(), Stage::Asking) && p.answer(key)) {
            return Vec::new();
        }
        match action {
            Some("open") => self.go_on(),
            Some("back") => {
                self.leave_preview();
                Vec::new()
            }
            Some(
                "rehearse" | "full-sql" | "reveal" | "up" | "down" | "page-up" | "page-down" | "top" | "bottom"
                | "copy" | "write" | "quit" | "suspend" | "redraw" | "help",
            ) => match self.keymap.action(key) {
                Some(action) => self.run(action),
                None => Vec::new(),
            },
            Some("next-pane") => self.turn_section(1),
            Some("previous-pane") => self.turn_section(-1),
            Some("mark") => {
                if let Some(preview) = self.preview() {
                    preview.fold();
                }
                Vec::new()
            }
            _ => {
                let back = self.keymap.first("back");
                self.say(&format!("{key} does nothing here; {back} leaves without doing anything"), Tone::Dim);
                Vec::new()
            }
        }
    }

    fn turn_section(&mut self, by: isize) -> Vec<Effect> {
        if let Some(preview) = self.preview() {
            preview.section(by);
        }
        Vec::new()
    }

    /// Enter: to the confirmation, or away from what is over.
    fn go_on(&mut self) -> Vec<Effect> {
        let Some(preview) = self.preview() else { return Vec::new() };
        let instance = preview.instance;
        let deed = match preview.subject {
            Subject::Plan { .. } => Deed::Change,
            Subject::End(_) => Deed::Signal,
        };
        match preview.stage() {
            Stage::Shown => {
                let Some(of) = self.instances.get(instance) else { return Vec::new() };
                if let Err(why) = of.may(deed) {
                    self.say(why, Tone::Warning);
                    return Vec::new();
                }
                let of = of.clone();
                if let Err(why) = self.allowed() {
                    self.say(why, Tone::Warning);
                    return Vec::new();
                }
                if let Some(preview) = self.preview() {
                    preview.ask(&of);
                }
                Vec::new()
            }
            Stage::Over(told) if told.fate == Fate::Nothing && deed == Deed::Change => self.plan_again(),
            Stage::Nothing(_) | Stage::Over(_) => {
                self.leave_preview();
                Vec::new()
            }
            Stage::Asking => self.answered(),
            Stage::Planning | Stage::Running { .. } | Stage::Confirm(_) => Vec::new(),
        }
    }

    /// What the plan on top needs besides what the instance allows.
    fn allowed(&mut self) -> Result<(), &'static str> {
        let ready = self.preview().and_then(|p| p.ready().cloned());
        match ready {
            Some(ready) if ready.plan.is_empty() => Err("the plan has no step"),
            Some(ready) if !ready.lacks.is_empty() => {
                Err("this login lacks rights for it; the first section names them")
            }
            Some(_) | None => Ok(()),
        }
    }

    fn plan_again(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(preview) = self.preview() else { return Vec::new() };
        let instance = preview.instance;
        match preview.again(ticket) {
            Some(ask) => vec![Effect::Plan { ticket, instance, ask }],
            None => Vec::new(),
        }
    }

    /// The plan again, with what was answered.
    fn answered(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        let Some(preview) = self.preview() else { return Vec::new() };
        let instance = preview.instance;
        match preview.settle(ticket) {
            Ok(ask) => vec![Effect::Plan { ticket, instance, ask }],
            Err(open) => {
                let words = text::count(open as u64, "question is", "questions are");
                self.say(&format!("{words} still open: y says yes, n says no"), Tone::Warning);
                Vec::new()
            }
        }
    }

    fn confirm_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(preview) = self.preview() else { return Vec::new() };
        let (ticket, instance) = (preview.ticket, preview.instance);
        let deed = match preview.subject {
            Subject::Plan { .. } => Deed::Change,
            Subject::End(_) => Deed::Signal,
        };
        // What was allowed when the dialog opened may not be any more.
        if let Some(Err(why)) = self.instances.get(instance).map(|i| i.may(deed)) {
            if let Some(preview) = self.preview() {
                preview.enter(Stage::Shown);
            }
            self.say(why, Tone::Warning);
            return Vec::new();
        }
        let Some(preview) = self.preview() else { return Vec::new() };
        let meaning = preview.ready().map(|r| r.meaning);
        let after = preview.ready().map(|r| r.after.clone()).unwrap_or_default();
        match preview.confirm(key) {
            Confirmed::Plan(approved) => {
                let meaning = meaning.unwrap_or(super::Meaning::New);
                vec![Effect::Apply { ticket, instance, approved, meaning, after: Box::new(after) }]
            }
            Confirmed::End(ordered) => vec![Effect::Signal { ticket, instance, ordered }],
            Confirmed::NotYet => Vec::new(),
            Confirmed::Left => {
                self.say("nothing was done", Tone::Dim);
                Vec::new()
            }
        }
    }

    /// Esc or the key that quits, while something runs.
    fn stop(&mut self, quit: bool) -> Vec<Effect> {
        if quit && self.leaving {
            return vec![Effect::Quit];
        }
        self.leaving |= quit;
        let Some(preview) = self.preview() else { return Vec::new() };
        let ticket = preview.ticket;
        let ask = preview.stop();
        let stoppable = matches!(preview.stage(), Stage::Running { progress: Progress { stoppable: true, .. }, .. });
        let words = match (quit, stoppable) {
            (false, true) => "asked to stop: what was done so far is rolled back",
            (false, false) => "it cannot be stopped any more; wait for the answer",
            (true, true) => "asked to stop; the console ends when it has. Again leaves at once",
            (true, false) => "it cannot be stopped any more; the console ends with the answer. Again leaves at once",
        };
        self.say(words, Tone::Warning);
        if ask { vec![Effect::StopAction(ticket)] } else { Vec::new() }
    }

    pub(in crate::app) fn rehearse(&mut self) -> Vec<Effect> {
        let Some(preview) = self.preview() else { return Vec::new() };
        let (ticket, instance) = (preview.ticket, preview.instance);
        let (Stage::Shown, Some(ready)) = (preview.stage(), preview.ready().cloned()) else { return Vec::new() };
        if let Some(Err(why)) = self.instances.get(instance).map(|i| i.may(Deed::Change)) {
            self.say(why, Tone::Warning);
            return Vec::new();
        }
        if let Err(why) = self.allowed() {
            self.say(why, Tone::Warning);
            return Vec::new();
        }
        if let Some(preview) = self.preview() {
            preview.run(true);
        }
        vec![Effect::Rehearse { ticket, instance, ready }]
    }

    /// Whether there is a plan on top to rehearse.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_rehearse(&self) -> Result<(), &'static str> {
        match self.overlays.last() {
            Some(Overlay::Preview(p)) if matches!(p.stage(), Stage::Shown) && p.ready().is_some() => Ok(()),
            Some(Overlay::Preview(_)) => Err("there is no plan on the screen"),
            _ => Err("it works in the preview of a plan"),
        }
    }

    /// Whether a preview with statements is on top.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn has_plan(&self) -> Result<(), &'static str> {
        match self.overlays.last() {
            Some(Overlay::Preview(p)) if p.ready().is_some() => Ok(()),
            _ => Err("it works in the preview of a plan"),
        }
    }

    /// Whether there is a password on top that could be shown.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_reveal(&self) -> Result<(), &'static str> {
        match self.overlays.last() {
            Some(Overlay::Preview(p)) if p.handed().is_some() => Ok(()),
            _ => Err("it works where a new role was handed over"),
        }
    }

    pub(in crate::app) fn toggle_password(&mut self) {
        if let Some(preview) = self.preview() {
            preview.reveal();
        }
    }

    pub(in crate::app) fn toggle_full(&mut self) {
        if let Some(preview) = self.preview() {
            preview.toggle_full();
        }
    }

    // ── what is meant ──────────────────────────────────────────────────────────────────────────────────────────────

    /// The findings at the cursor, in the open text, or of the marked rows.
    ///
    /// # Errors
    /// Why nothing can be fixed here, as the end of a sentence.
    fn scope(&self, reach: Reach) -> Result<Scope, &'static str> {
        if let Some(Overlay::Story(story)) = self.overlays.last() {
            return match &story.fixes {
                Some((instance, findings)) if !findings.is_empty() => {
                    Ok(Scope { instance: *instance, findings: findings.clone(), without: Vec::new() })
                }
                _ => Err("what is told here has no fix that can be made by itself"),
            };
        }
        let slot = self.slot().ok_or("there is no pane")?;
        let ctx = self.ctx();
        let column = slot.table.column;
        let marked: Vec<usize> = slot
            .order
            .iter()
            .copied()
            .filter(|i| slot.entries.get(*i).is_some_and(|e| slot.table.marks.contains(&e.id)))
            .collect();
        let (rows, reach) = if marked.is_empty() {
            (vec![self.row().ok_or("nothing is selected")?], reach)
        } else {
            (marked, if reach == Reach::Here { Reach::Row } else { reach })
        };
        let places: BTreeSet<usize> = rows.iter().filter_map(|r| slot.entries.get(*r)).map(|e| e.id.0).collect();
        let [instance] = places.iter().copied().collect::<Vec<_>>()[..] else {
            return Err("the marked rows belong to several instances; a plan is for one");
        };
        let (mut findings, mut without) = (Vec::new(), Vec::new());
        let several = rows.len() > 1;
        for row in rows {
            let ids = slot.pane.fixes(&ctx, row, column, reach);
            if let (true, true, Some(entry)) = (several, ids.is_empty(), slot.entries.get(row)) {
                let why = slot.pane.unfixed(&ctx, row);
                let name = entry.id.1.strip_prefix("r:").unwrap_or(&entry.id.1).to_owned();
                without.push((name, if why.is_empty() { "no finding is about it.".to_owned() } else { why.join(" ") }));
            }
            for id in ids {
                if !findings.contains(&id) {
                    findings.push(id);
                }
            }
        }
        if findings.is_empty() {
            return Err("nothing here differs in a way that a statement could mend by itself");
        }
        Ok(Scope { instance, findings, without })
    }

    /// How many findings of an instance have a fix.
    fn fixable(&self, instance: usize) -> usize {
        let judgement = self.instances.get(instance).and_then(|i| i.judgement.as_ref());
        judgement.map_or(0, |j| j.findings.iter().filter(|f| f.fix.as_ref().is_some_and(|x| !x.is_empty())).count())
    }

    /// Whether `f` can do something now.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_fix(&self) -> Result<(), &'static str> {
        self.may_here(Deed::Change)?;
        match self.scope(Reach::Here) {
            Ok(_) => Ok(()),
            Err(why) => {
                let around =
                    self.overlays.is_empty() && (self.scope(Reach::Row).is_ok() || self.scope(Reach::Column).is_ok());
                if around { Ok(()) } else { Err(why) }
            }
        }
    }

    /// Why nothing mends the selected finding by itself and what to do instead, in one line; `None` where something else is
    /// in the way.
    pub(in crate::app) fn unfixed(&self) -> Option<String> {
        self.may_here(Deed::Change).ok()?;
        let slot = self.slot().filter(|slot| slot.table.marks.is_empty())?;
        let row = self.row()?;
        let remedy = slot.pane.remedy(&self.ctx(), row)?;
        let at = slot.entries.get(row).map_or(0, |e| e.id.0);
        let judgement = self.instances.get(at)?.judgement.as_ref()?;
        let why = if judgement.policy.is_none() {
            "without a policy nothing says how it should be"
        } else {
            "no statement can decide this"
        };
        // the story tells all of it
        let (open, read) = (self.keymap.first("open"), !self.overlays.is_empty());
        let more = if read || open.is_empty() { String::new() } else { format!(" {open} tells the rest") };
        let words = format!("nothing to fix by itself: {why}. {remedy}");
        let room = usize::from(self.size.0).saturating_sub(2);
        if text::width(&words) <= room {
            return Some(words);
        }
        let words = format!("nothing to fix by itself. {remedy}");
        if text::width(&words) <= room {
            return Some(words);
        }
        Some(format!("{}{more}", text::fit(&words, room.saturating_sub(text::width(&more)))))
    }

    /// Whether everything can be fixed now.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_fix_all(&self) -> Result<(), &'static str> {
        self.may_here(Deed::Change)?;
        match self.focus().map(|i| self.fixable(i)) {
            Some(n) if n > 0 => Ok(()),
            _ => Err("no finding has a fix that can be made by itself"),
        }
    }

    /// Whether row or column can be fixed.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_fix_reach(&self, reach: Reach) -> Result<(), &'static str> {
        self.may_here(Deed::Change)?;
        if !self.overlays.is_empty() {
            return Err("it works on a pane");
        }
        self.scope(reach).map(|_| ())
    }

    /// `f`: the plan for what is selected; where the cell itself has nothing, what is around it is offered.
    pub(in crate::app) fn fix(&mut self) -> Vec<Effect> {
        match self.scope(Reach::Here) {
            Ok(scope) => self.fix_scope(scope),
            Err(_) => {
                let picker = self.offer();
                self.overlays.push(Overlay::Pick(picker));
                Vec::new()
            }
        }
    }

    pub(in crate::app) fn fix_reach(&mut self, reach: Reach) -> Vec<Effect> {
        match self.scope(reach) {
            Ok(scope) => self.fix_scope(scope),
            Err(why) => {
                self.say(why, Tone::Dim);
                Vec::new()
            }
        }
    }

    fn fix_scope(&mut self, scope: Scope) -> Vec<Effect> {
        let Scope { instance, findings, without } = scope;
        let effects = self.plan(instance, Ask::Fix { findings, except: Vec::new() });
        if let Some(Overlay::Preview(preview)) = self.overlays.last_mut().filter(|_| !effects.is_empty()) {
            preview.leaves(without);
        }
        effects
    }

    pub(in crate::app) fn fix_all(&mut self) -> Vec<Effect> {
        let Some(instance) = self.focus() else { return Vec::new() };
        self.plan(instance, Ask::Fix { findings: Vec::new(), except: Vec::new() })
    }

    /// What could be fixed around a cell.
    fn offer(&self) -> Picker {
        let mut items = Vec::new();
        let mut add = |label: &str, count: usize, id: &'static str| {
            items.push(Item {
                label: Line::new(label, Tone::Text),
                hint: Line::new(&text::count(count as u64, "finding", "findings"), Tone::Dim),
                search: label.to_owned(),
                id: id.to_owned(),
                at_once: true,
                choice: Choice::Action(id),
            });
        };
        let row = self.row().and_then(|r| self.slot()?.entries.get(r)).map_or("this row", |e| e.text.as_str());
        let column = self.slot().and_then(|s| s.columns.get(s.table.column)).map_or("this column", |c| &*c.title);
        for (reach, label, id) in [
            (Reach::Row, format!("everything of {row}"), "fix-row"),
            (Reach::Column, format!("everything in {column}"), "fix-column"),
        ] {
            if let Ok(scope) = self.scope(reach) {
                add(&label, scope.findings.len(), id);
            }
        }
        if let Some(instance) = self.focus() {
            let name = self.instances.get(instance).map_or("this instance", |i| i.name.as_str());
            add(&format!("everything on {name}"), self.fixable(instance), "fix-all");
        }
        Picker::new(Line::new("Nothing to fix in this cell. Fix instead", Tone::Title), items, 0)
    }

    pub(super) fn plan(&mut self, instance: usize, ask: Ask) -> Vec<Effect> {
        if let Some(Err(why)) = self.instances.get(instance).map(|i| i.may(Deed::Change)) {
            self.say(why, Tone::Warning);
            return Vec::new();
        }
        let ticket = self.ticket();
        let subject = Subject::Plan { ask: ask.clone(), ready: None };
        self.overlays.push(Overlay::Preview(Box::new(Preview::new(ticket, instance, subject, self.pressed))));
        vec![Effect::Plan { ticket, instance, ask }]
    }

    /// The entry of the journal that `u` speaks of, and its instance; whether it is an undo that is to be done again.
    ///
    /// # Errors
    /// Why there is none.
    fn entry(&self) -> Result<(usize, u64, bool), &'static str> {
        let book = self.book.as_deref().ok_or("the journal has not been read yet")?;
        let here = self.slot().is_some_and(|s| s.pane.spec().id == "journal");
        if here {
            let id = self.row().and_then(|r| self.slot()?.entries.get(r)).map(|e| e.id.1.clone());
            let entry = id.and_then(|id| book.entries.iter().find(|e| e.id.to_string() == id));
            let entry = entry.ok_or("nothing is selected")?;
            let instance = entry.instance.ok_or("it was done to a database that is not open here")?;
            return match (entry.can_undo, entry.can_redo, entry.undone_by) {
                (true, _, _) => Ok((instance, entry.id, false)),
                (_, true, _) => Ok((instance, entry.id, true)),
                (_, _, Some(_)) => Err("it was taken back already"),
                _ => Err("it changed nothing that could be taken back"),
            };
        }
        let focus = self.focus().ok_or("there is no instance")?;
        let newest = book.entries.iter().find(|e| e.can_undo && e.instance == Some(focus));
        newest.map(|e| (focus, e.id, false)).ok_or("the journal knows nothing that could be taken back here")
    }

    /// Whether `u` can do something now.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_undo(&self) -> Result<(), &'static str> {
        let (instance, ..) = self.entry()?;
        self.instances.get(instance).map_or(Err("there is no instance"), |i| i.may(Deed::Change))
    }

    pub(in crate::app) fn undo(&mut self) -> Vec<Effect> {
        match self.entry() {
            Ok((instance, id, true)) => self.plan(instance, Ask::Redo { entry: Some(id) }),
            Ok((instance, id, false)) => self.plan(instance, Ask::Undo { entry: Some(id) }),
            Err(why) => {
                self.say(why, Tone::Dim);
                Vec::new()
            }
        }
    }

    // ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// The sessions that `x` and `X` speak of: marked ones, or the selected one.
    fn sessions(&self) -> Result<(usize, Vec<Session>), &'static str> {
        let slot = self.slot().ok_or("there is no pane")?;
        if slot.pane.spec().id != "sessions" {
            return Err("sessions are chosen in the pane Sessions");
        }
        let marked: Vec<&RowId> = slot.table.marks.iter().collect();
        let rows: Vec<RowId> = if marked.is_empty() {
            let row = self.row().and_then(|r| slot.entries.get(r)).ok_or("no session is selected")?;
            vec![row.id.clone()]
        } else {
            let mut rows: Vec<RowId> = marked.into_iter().cloned().collect();
            rows.sort();
            rows
        };
        let places: BTreeSet<usize> = rows.iter().map(|r| r.0).collect();
        let [instance] = places.iter().copied().collect::<Vec<_>>()[..] else {
            return Err("the marked sessions belong to several instances; take one at a time");
        };
        let judgement = self.instances.get(instance).and_then(|i| i.judgement.as_ref());
        let activity = judgement.and_then(|j| j.snapshot.activity.as_deref()).ok_or("no session is known yet")?;
        let id = |s: &Session| format!("{}@{}", s.pid, s.backend_start_us.unwrap_or_default());
        let found: Vec<Session> =
            rows.iter().filter_map(|r| activity.sessions.iter().find(|s| id(s) == r.1)).cloned().collect();
        if found.is_empty() {
            return Err("it is not there any more");
        }
        Ok((instance, found))
    }

    /// Whether sessions can be ended now.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_end(&self, way: Way) -> Result<(), &'static str> {
        self.may_here(Deed::Signal)?;
        let (instance, sessions) = self.sessions()?;
        self.instances.get(instance).map_or(Err("there is no instance"), |i| i.may(Deed::Signal))?;
        let judgement =
            self.instances.get(instance).and_then(|i| i.judgement.as_ref()).ok_or("no session is known yet")?;
        let may = |s: &Session| ending::may_end(way, judgement, s).map(|_| ()).map_err(ending::Refusal::why);
        let first = sessions.first().map_or(Err("no session is selected"), may);
        if sessions.len() == 1 {
            return first;
        }
        if sessions.iter().any(|s| may(s).is_ok()) { Ok(()) } else { first }
    }

    pub(in crate::app) fn end(&mut self, way: Way) -> Vec<Effect> {
        let Ok((instance, sessions)) = self.sessions() else { return Vec::new() };
        let Some(judgement) = self.instances.get(instance).and_then(|i| i.judgement.clone()) else { return Vec::new() };
        let order = ending::order(way, &judgement, &sessions.iter().collect::<Vec<_>>());
        let ticket = self.ticket();
        let preview = Preview::new(ticket, instance, Subject::End(order), self.pressed);
        self.overlays.push(Overlay::Preview(Box::new(preview)));
        Vec::new()
    }
}

//! Keys of the forms: `c`, `m` and `I` open one, Enter leads to the plan, Esc away; the plan's dialog leads back to it.

use super::{
    Deed, Fate,
    form::Heard,
    forms::{self, Kind, Seed},
    preview::Stage,
};
use crate::{
    app::{
        App, Effect,
        keymap::{Code, Key},
        overlay::Overlay,
        view::Tone,
    },
    plan::moves::{Answers, place_of},
};

/// Forms that are kept with what was typed into them.
const KEPT: usize = 20;

impl App {
    /// Whether a service can be set up or isolated now.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_fill(&self) -> Result<(), &'static str> {
        self.may_here(Deed::Change)
    }

    /// Whether there is a version table to move.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::app) fn can_move(&self) -> Result<(), &'static str> {
        self.may_here(Deed::Change)?;
        let judgement = self.focus().and_then(|i| self.instances.get(i)?.judgement.as_ref());
        if judgement.is_some_and(|j| j.snapshot.versions.0.iter().any(|v| v.shape && v.plain)) {
            Ok(())
        } else {
            Err("no version table is known here")
        }
    }

    /// Opens a form, filled from what is selected.
    pub(in crate::app) fn fill(&mut self, kind: Kind) -> Vec<Effect> {
        let Some(at) = self.focus() else { return Vec::new() };
        let seed = self.seed(at);
        let Some(instance) = self.instances.get(at) else { return Vec::new() };
        let fresh = forms::new(kind, at, instance, &seed);
        let form = match self.kept.iter().position(|kept| kept.asks_the_same(&fresh)) {
            Some(kept) => {
                let mut form = self.kept.remove(kept);
                form.come_back(Answers::new());
                forms::check(&mut form, instance);
                self.say("as it was left; Ctrl-U empties a field", Tone::Dim);
                form
            }
            None => fresh,
        };
        self.overlays.push(Overlay::Form(Box::new(form)));
        Vec::new()
    }

    /// The schema or the version table that is selected.
    fn seed(&self, at: usize) -> Seed {
        let mut seed = Seed::default();
        let Some(judgement) = self.instances.get(at).and_then(|i| i.judgement.as_ref()) else { return seed };
        let snapshot = &judgement.snapshot;
        let row = self.row().and_then(|r| self.slot()?.entries.get(r)).map(|e| e.id.1.as_str());
        let top = self.slot().filter(|s| s.above.is_empty()).map(|s| s.pane.spec().id);
        match (top, row) {
            (Some("versions"), Some(row)) => {
                let of = |v: &&crate::domain::snapshot::VersionTable| {
                    format!("{}.{}", snapshot.catalog.schema_name(v.schema), v.name) == row
                };
                if let Some(table) = snapshot.versions.0.iter().find(of) {
                    let schema = snapshot.catalog.schema_name(table.schema);
                    seed.table = Some(place_of(&schema, &table.name));
                    seed.schema = Some(schema);
                }
            }
            (Some("schemas"), Some(row)) => {
                seed.schema = snapshot.catalog.schema_named(row).filter(|s| !s.is_system()).map(|s| s.name.clone());
            }
            _ => {}
        }
        let mut plain = snapshot.versions.0.iter().filter(|v| v.shape && v.plain);
        if let (None, Some(only), None) = (&seed.table, plain.next(), plain.next()) {
            seed.table = Some(place_of(&snapshot.catalog.schema_name(only.schema), &only.name));
        }
        seed
    }

    /// A key while a form is on top.
    pub(in crate::app) fn form_key(&mut self, key: Key) -> Vec<Effect> {
        if key.code == Code::F(1) {
            self.toggle_help();
            return Vec::new();
        }
        let Some(Overlay::Form(form)) = self.overlays.last_mut() else { return Vec::new() };
        let heard = form.key(key);
        let at = form.instance;
        if let Some(instance) = self.instances.get(at) {
            forms::check(form, instance);
        }
        match heard {
            Heard::Done => Vec::new(),
            Heard::Leave => {
                self.leave_form();
                Vec::new()
            }
            Heard::GoOn => self.filled(),
        }
    }

    /// Away from the form on top. What was typed is there again when the same is asked.
    fn leave_form(&mut self) {
        let words = match self.overlays.pop() {
            Some(Overlay::Form(form)) if form.touched() => {
                let key = self.keymap.first(form.kind.action());
                self.kept.retain(|kept| !kept.asks_the_same(&form));
                self.kept.push(*form);
                let over = self.kept.len().saturating_sub(KEPT);
                self.kept.drain(..over);
                if key.is_empty() {
                    "nothing was done; what was typed is kept for the next time".to_owned()
                } else {
                    format!("nothing was done; what was typed is kept: {key} opens it as it was left")
                }
            }
            _ => "nothing was done".to_owned(),
        };
        self.say(&words, Tone::Dim);
    }

    /// Enter: to the plan, or to what is wrong.
    fn filled(&mut self) -> Vec<Effect> {
        let Some(Overlay::Form(form)) = self.overlays.last_mut() else { return Vec::new() };
        let at = form.instance;
        let judgement = self.instances.get(at).and_then(|i| i.judgement.clone());
        let Some(judgement) = judgement else { return Vec::new() };
        if let Err(why) = form.complete() {
            if let Some(instance) = self.instances.get(at) {
                forms::check(form, instance);
            }
            self.say(&why, Tone::Warning);
            return Vec::new();
        }
        let (ask, answers) = (forms::ask(form, &judgement), form.answers.clone());
        let effects = self.plan(at, ask);
        if let Some(Overlay::Preview(preview)) = self.overlays.last_mut() {
            preview.remember(answers);
        }
        effects
    }

    /// Away from the dialog on top: back to the form it came from, unless it is done.
    pub(in crate::app) fn leave_preview(&mut self) {
        let Some(Overlay::Preview(preview)) = self.overlays.last() else { return };
        let done = matches!(preview.stage(), Stage::Over(t) if matches!(t.fate, Fate::Committed | Fate::Unknown));
        let answers = preview.answers();
        self.overlays.pop();
        if let Some(Overlay::Form(form)) = self.overlays.last_mut() {
            if done {
                self.overlays.pop();
            } else {
                form.come_back(answers);
            }
        }
    }
}

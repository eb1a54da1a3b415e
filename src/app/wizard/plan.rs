//! What the answers lead to: findings that no plan settles are left for now or stay findings, then the plan, as the console
//! shows one: who gains and loses, every statement, how it is taken back; rehearsed, confirmed, run, or written to a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tui_input::Input;

use super::{
    Effect, Judged, Remaining, Step, Wizard,
    frame::{Page, Row},
    moved, vertical,
};
use crate::{
    app::{
        act::{
            ActNews, Ask, Fate, Progress,
            preview::{Confirm, Confirmed, Preview, Stage, Subject},
        },
        keymap::{Code, Key},
        overlay::{edit, insert},
        panes::findings,
        view::{Line, Span, Tone},
    },
    policy::draft::Draft,
    text,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    /// The ticket of the judgement that is awaited.
    busy: Option<u64>,
    trouble: Vec<String>,
    judged: Option<Box<Judged>>,
    /// The judgement that is awaited asks what nothing settles, whatever was left so far.
    afresh: bool,
    /// Findings that nothing settles: what becomes of them is a question of its own.
    open: Vec<Remaining>,
    /// That question is on the screen.
    asking: bool,
    at: usize,
    /// Left for now, by finding; what is not stays a finding.
    leave: BTreeMap<String, bool>,
    /// What was decided about: it is not asked again on the way to the plan.
    decided: BTreeSet<String>,
    pub preview: Option<Box<Preview>>,
    /// The name of the file is being typed.
    saving: Option<Input>,
    /// The statements were written to a file.
    saved: bool,
    /// Lines of the preview that are visible.
    pub page: usize,
}

impl State {
    /// The plan itself is on the screen.
    pub(super) fn previews(&self) -> bool {
        self.preview.is_some() && self.saving.is_none()
    }

    /// A name is being typed.
    pub(super) fn types(&self) -> bool {
        self.saving.is_some()
    }

    /// It is asked whether to run it: every key is an answer.
    pub(super) fn confirms(&self) -> bool {
        self.preview.as_ref().is_some_and(|p| matches!(p.stage(), Stage::Confirm(_)))
    }
}

impl Wizard {
    /// From the question before: every finding that nothing settles is asked about, with what was answered earlier.
    pub(super) fn enter_plan(&mut self) -> Vec<Effect> {
        self.plan.open.clear();
        let mut draft = self.draft.clone();
        // what is left by code was never asked here
        draft.accepted.retain(|a| !a.finding.contains(':'));
        self.plan.afresh = true;
        self.await_plan(draft)
    }

    /// By the answers as they are now: to the plan, unless something new has to be decided.
    pub(super) fn plan_anew(&mut self) -> Vec<Effect> {
        self.plan.afresh = false;
        self.await_plan(self.draft.clone())
    }

    fn await_plan(&mut self, draft: Draft) -> Vec<Effect> {
        let ticket = self.ticket();
        let state = &mut self.plan;
        state.busy = Some(ticket);
        state.trouble.clear();
        state.judged = None;
        state.asking = false;
        state.preview = None;
        state.saving = None;
        vec![Effect::Judge { ticket, draft: Box::new(draft) }]
    }

    /// One question back: from the plan to what becomes of the findings that it leaves, where there are some.
    fn plan_back(&mut self) -> Vec<Effect> {
        let state = &mut self.plan;
        if state.asking || state.open.is_empty() {
            return self.back();
        }
        state.busy = None;
        state.trouble.clear();
        state.preview = None;
        state.saving = None;
        state.asking = true;
        self.fresh();
        Vec::new()
    }

    pub(super) fn judged(&mut self, ticket: u64, result: Result<Box<Judged>, Vec<String>>) -> Vec<Effect> {
        if self.plan.busy != Some(ticket) {
            return Vec::new();
        }
        self.plan.busy = None;
        self.fresh();
        let judged = match result {
            Ok(judged) => judged,
            Err(why) => {
                self.plan.trouble = why;
                return Vec::new();
            }
        };
        self.draft.look(&judged.snapshot);
        if let Some(opened) = &mut self.opened {
            opened.snapshot = Arc::clone(&judged.snapshot);
        }
        let state = &mut self.plan;
        if state.afresh {
            state.open.clone_from(&judged.remaining);
            state.asking = !state.open.is_empty();
            state.at = 0;
            // what was left and does not arise any more is no exception either
            let (open, decided) = (&state.open, &state.decided);
            let idle = |finding: &String| decided.contains(finding) && !open.iter().any(|r| r.finding == *finding);
            self.draft.accepted.retain(|a| !idle(&a.finding));
            if !state.asking && self.draft.accepted.iter().any(|a| a.finding.contains(':')) {
                return self.plan_anew();
            }
        } else {
            let known = state.open.len();
            let new = judged.remaining.iter().filter(|r| !state.decided.contains(&r.finding));
            state.open.extend(new.cloned());
            state.asking = state.open.len() > known;
            state.at = known.min(state.open.len().saturating_sub(1));
        }
        state.judged = Some(judged);
        if !state.asking {
            self.show_plan();
        }
        Vec::new()
    }

    /// From the judgement to the plan.
    fn show_plan(&mut self) {
        let ready = self.plan.judged.as_ref().and_then(|j| j.ready.clone());
        self.fresh();
        self.plan.preview = ready.map(|ready| {
            let ticket = self.ticket();
            let ask = Ask::Fix { findings: Vec::new(), except: Vec::new() };
            let mut preview = Preview::new(ticket, 0, Subject::Plan { ask, ready: None }, None);
            preview.planned(Ok(ready));
            // who gains is told folded at first: the statements stand on the first screen
            preview.fold();
            Box::new(preview)
        });
    }

    /// A plan is running.
    pub(super) fn runs(&self) -> bool {
        self.plan.preview.as_ref().is_some_and(|p| matches!(p.stage(), Stage::Running { .. }))
    }

    pub(super) fn act_news(&mut self, ticket: u64, news: ActNews) -> Vec<Effect> {
        let Some(preview) = self.plan.preview.as_deref_mut().filter(|p| p.ticket == ticket) else { return Vec::new() };
        match news {
            ActNews::Ready(_) => Vec::new(),
            ActNews::Progress(progress) => {
                preview.progressed(progress);
                Vec::new()
            }
            ActNews::Over(told) => {
                let done = matches!(told.fate, Fate::Committed | Fate::Unknown);
                preview.over(told);
                if done {
                    self.applied = true;
                    // they have one now
                    self.draft.services.iter_mut().for_each(|s| s.new_password = false);
                }
                let mut effects: Vec<Effect> = self.keep().into_iter().collect();
                if self.leaving {
                    effects.extend(self.leave());
                }
                effects
            }
        }
    }

    /// Asks a plan that runs to stop; `leave` ends the set-up when it has, and at once when asked again.
    pub(super) fn stop(&mut self, leave: bool) -> Vec<Effect> {
        if leave && self.leaving {
            return self.leave();
        }
        self.leaving |= leave;
        let Some(preview) = self.plan.preview.as_deref_mut() else { return Vec::new() };
        let ticket = preview.ticket;
        let ask = preview.stop();
        let stoppable = matches!(preview.stage(), Stage::Running { progress: Progress { stoppable: true, .. }, .. });
        let words = match (leave, stoppable) {
            (false, true) => "asked to stop: what was done so far is rolled back",
            (false, false) => "it cannot be stopped any more; wait for the answer",
            (true, true) => "asked to stop; the set-up ends when it has. Again leaves at once",
            (true, false) => "it cannot be stopped any more; the set-up ends with the answer. Again leaves at once",
        };
        self.say(words, Tone::Warning);
        if ask { vec![Effect::Stop(ticket)] } else { Vec::new() }
    }

    pub(super) fn plan_paste(&mut self, text: &str) {
        if let Some(input) = &mut self.plan.saving {
            insert(input, text);
        }
    }

    pub(super) fn plan_key(&mut self, key: Key) -> Vec<Effect> {
        if self.plan.busy.is_some() {
            return match key.code {
                Code::Esc => self.plan_back(),
                Code::Char('q') => self.leave(),
                _ => Vec::new(),
            };
        }
        if !self.plan.trouble.is_empty() {
            return match key.code {
                Code::Esc => self.plan_back(),
                Code::Char('q') => self.leave(),
                Code::Enter | Code::Char('r') if self.plan.afresh => self.enter_plan(),
                Code::Enter | Code::Char('r') => self.plan_anew(),
                _ => Vec::new(),
            };
        }
        if self.plan.saving.is_some() {
            return self.saving_key(key);
        }
        if self.plan.asking {
            return self.asking_key(key);
        }
        if self.plan.preview.is_some() {
            return self.preview_key(key);
        }
        match key.code {
            Code::Esc => self.plan_back(),
            Code::Char('q') => self.leave(),
            Code::Enter => self.go(Step::Files),
            _ => Vec::new(),
        }
    }

    fn leaves(&self, finding: &str) -> bool {
        self.plan.leave.get(finding).copied().unwrap_or(true)
    }

    /// What becomes of findings that nothing settles.
    fn asking_key(&mut self, key: Key) -> Vec<Effect> {
        if let Some(by) = vertical(key) {
            self.plan.at = moved(self.plan.at, by, self.plan.open.len());
            return Vec::new();
        }
        match key.code {
            Code::Esc => return self.plan_back(),
            Code::Char('q') => return self.leave(),
            Code::Char(' ' | 'x') => {
                if let Some(id) = self.plan.open.get(self.plan.at).map(|r| r.finding.clone()) {
                    let now = self.leaves(&id);
                    self.plan.leave.insert(id, !now);
                }
            }
            Code::Char('a' | 'A') => {
                let all = !self.plan.open.iter().all(|r| self.leaves(&r.finding));
                let ids: Vec<String> = self.plan.open.iter().map(|r| r.finding.clone()).collect();
                self.plan.leave.extend(ids.into_iter().map(|id| (id, all)));
            }
            Code::Enter if self.armed => {
                for remaining in self.plan.open.clone() {
                    let finding = remaining.finding;
                    if !self.leaves(&finding) {
                        self.draft.accepted.retain(|a| a.finding != finding);
                    } else if !self.draft.accepted.iter().any(|a| a.finding == finding) {
                        // a reason that somebody gave stays
                        self.draft.leave(&finding, &remaining.reason);
                    }
                    self.plan.decided.insert(finding);
                }
                return self.keep().into_iter().chain(self.plan_anew()).collect();
            }
            _ => {}
        }
        Vec::new()
    }

    fn saving_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(input) = &mut self.plan.saving else { return Vec::new() };
        match key.code {
            Code::Esc => self.plan.saving = None,
            Code::Enter => {
                let path = input.value().trim().to_owned();
                let text = self.plan.judged.as_ref().map(|j| j.script.clone()).unwrap_or_default();
                if path.is_empty() {
                    return Vec::new();
                }
                self.plan.saving = None;
                self.plan.saved = true;
                return vec![Effect::Write { path, text }];
            }
            _ => {
                edit(input, key);
            }
        }
        Vec::new()
    }

    fn preview_key(&mut self, key: Key) -> Vec<Effect> {
        let (environment, page) = (self.environment, self.plan.page.max(2) as isize - 1);
        let database = self.opened.as_ref().map(|o| o.snapshot.server.database.clone()).unwrap_or_default();
        let Some(preview) = self.plan.preview.as_deref_mut() else { return Vec::new() };
        let running = matches!(preview.stage(), Stage::Running { .. });
        if key.code == Code::Esc && running {
            return self.stop(false);
        }
        // What was pressed before this stood on the screen was not meant for it; to leave it is never wrong.
        if !preview.armed() && key.code != Code::Esc {
            return Vec::new();
        }
        if matches!(preview.stage(), Stage::Confirm(_)) {
            let ticket = preview.ticket;
            return match preview.confirm(key) {
                Confirmed::Plan(approved) => {
                    vec![Effect::Apply { ticket, approved }]
                }
                Confirmed::End(_) | Confirmed::NotYet => Vec::new(),
                Confirmed::Left => {
                    self.say("nothing was done", Tone::Dim);
                    Vec::new()
                }
            };
        }
        let shown = matches!(preview.stage(), Stage::Shown);
        let fate = match preview.stage() {
            Stage::Over(told) => Some(told.fate),
            _ => None,
        };
        match (key.code, key.ctrl) {
            (Code::Up, _) | (Code::Char('k'), false) => preview.step(-1),
            (Code::Down, _) | (Code::Char('j'), false) => preview.step(1),
            (Code::PageUp, _) => preview.step(-page),
            (Code::PageDown, _) => preview.step(page),
            (Code::Home, _) => preview.scroll = 0,
            (Code::End, _) => preview.scroll = usize::MAX,
            (Code::Tab, _) => preview.section(1),
            (Code::BackTab, _) => preview.section(-1),
            (Code::Char(' '), _) => preview.fold(),
            (Code::Char('v'), false) => preview.toggle_full(),
            (Code::Char('w'), false) if preview.ready().is_some() => {
                self.plan.saving = Some(Input::new(preview.file()));
            }
            (Code::Char('y'), false) if preview.ready().is_some() => {
                let sql = self.plan.judged.as_ref().map(|j| j.script.clone()).unwrap_or_default();
                self.say("copied", Tone::Dim);
                return vec![Effect::Copy(sql)];
            }
            (Code::Char('q'), false) if !running => return self.leave(),
            (Code::Esc, _) => return self.plan_back(),
            (Code::Char('r'), false) if shown => {
                if let Err(why) = runnable(preview) {
                    self.say(why, Tone::Warning);
                    return Vec::new();
                }
                let (ticket, ready) = (preview.ticket, preview.ready().cloned());
                preview.run(true);
                return ready.map(|ready| Effect::Rehearse { ticket, ready }).into_iter().collect();
            }
            (Code::Char('n'), false) if shown => {
                if self.plan.saved {
                    return self.go(Step::Files);
                }
                self.say("w writes the statements to a file first; then n goes on without running them", Tone::Dim);
            }
            (Code::Enter, _) if shown => {
                if let Err(why) = runnable(preview) {
                    self.say(why, Tone::Warning);
                } else {
                    preview.ask_in(environment, &database);
                }
            }
            (Code::Enter, _) => match fate {
                Some(Fate::Committed) => return self.go(Step::Files),
                Some(Fate::Nothing | Fate::Unknown | Fate::Rehearsed) => return self.plan_anew(),
                None => {}
            },
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn plan_page(&self) -> Page {
        let state = &self.plan;
        let plain = |question: &str, why: &str, rows: Vec<Row>, keys: Vec<(&'static str, &'static str)>| Page {
            question: Line::new(question, Tone::Title),
            why: Line::new(why, Tone::Dim),
            rows,
            at: None,
            offset: 0,
            grid: None,
            side: Vec::new(),
            keys,
        };
        let leave = [("Esc", "back"), ("q", "leave")];
        if state.busy.is_some() {
            let rows = vec![Row::Text(
                Line::empty()
                    .known("◌ ", Tone::Accent)
                    .known("Reading what is there now, judging it by your answers, and making the plan …", Tone::Text),
            )];
            return plain("What has to be done?", "Nothing is changed by looking.", rows, leave.to_vec());
        }
        if !state.trouble.is_empty() {
            let rows = state.trouble.iter().enumerate().map(|(i, line)| {
                let (mark, tone) = if i == 0 { ("✖ ", Tone::Error) } else { ("  → ", Tone::Accent) };
                let text = if i == 0 { Tone::Error } else { Tone::Text };
                Row::Text(Line(vec![Span::known(mark, tone)]).and(line, text))
            });
            let keys = [("Enter", "try again")].into_iter().chain(leave).collect();
            return plain("There is no plan.", "Nothing was changed.", rows.collect(), keys);
        }
        if let Some(input) = &state.saving {
            let field = Row::Field {
                label: Line::new("▸ file  ", Tone::Strong),
                input: input.clone(),
                ghost: "a name".to_owned(),
            };
            let rows = vec![field, Row::dim("        A file that is not there yet. Passwords are not in it.")];
            let keys = vec![("Enter", "write it"), ("Esc", "back to the plan")];
            return plain("Where to with the statements?", "So that somebody else can read or run them.", rows, keys);
        }
        if state.asking {
            return self.asking_page();
        }
        match &state.preview {
            Some(preview) => {
                let (question, why, keys) = self.preview_words(preview);
                Page { question, why, rows: Vec::new(), at: None, offset: 0, grid: None, side: Vec::new(), keys }
            }
            None => {
                let left = self.draft.accepted.len();
                let mut rows =
                    vec![Row::Text(Line::new("✔ Everything is as you want it; no statement has to run.", Tone::Good))];
                if left > 0 {
                    let words = format!(
                        "  {} left as they are, with a reason.",
                        text::count(left as u64, "finding is", "findings are")
                    );
                    rows.push(Row::dim(&words));
                }
                let keys = [("Enter", "go on")].into_iter().chain(leave).collect();
                plain("What has to be done?", "Nothing: the database is what your answers describe.", rows, keys)
            }
        }
    }

    fn asking_page(&self) -> Page {
        let state = &self.plan;
        let mut rows = Vec::new();
        let mut at = None;
        for (i, remaining) in state.open.iter().enumerate() {
            let here = i == state.at;
            if here {
                at = Some(rows.len());
            }
            let left = self.leaves(&remaining.finding);
            let (mark, tone) = if left { ("[x] ", Tone::Accent) } else { ("[ ] ", Tone::Dim) };
            let severity = remaining.severity;
            let left = Line::empty().known(mark, tone).known(severity.glyph(), findings::tone(severity));
            let left = left.known(" ", Tone::Text).and(&remaining.message, Tone::Text);
            rows.push(Row::choice(left, here));
        }
        let mut side = Vec::new();
        if let Some(here) = state.open.get(state.at) {
            side.push(Line::new(&here.message, Tone::Strong));
            side.push(Line::new("later     ", Tone::Dim).and(&here.later, Tone::Accent));
            side.push(Line::new(&here.why, Tone::Text));
            let words = if self.leaves(&here.finding) {
                "It is written into the policy as an exception with this reason, and stays listed as information."
            } else {
                "It stays a finding: pgmoat check goes on failing until it is settled."
            };
            side.push(Line::new(words, Tone::Dim));
        }
        let many = text::count(state.open.len() as u64, "thing cannot", "things cannot");
        Page {
            question: Line::new(&format!("{many} be settled by a plan. Leave them as they are for now?"), Tone::Title),
            why: Line::new(
                "Each needs a decision or a move of its own; the command for it stands in the reason.",
                Tone::Dim,
            ),
            rows,
            at,
            offset: 0,
            grid: None,
            side,
            keys: vec![
                ("Enter", "go on"),
                ("Space", "leave it, or not"),
                ("a", "all or none"),
                ("Esc", "back"),
                ("q", "leave"),
            ],
        }
    }

    /// Question, why, keys of the stage that the plan is in.
    fn preview_words(&self, preview: &Preview) -> (Line, Line, Vec<(&'static str, &'static str)>) {
        let title = |words: &str| Line::new(words, Tone::Title);
        let dim = |words: &str| Line::new(words, Tone::Dim);
        match preview.stage() {
            Stage::Shown => {
                let lacks = preview.ready().is_some_and(|r| !r.lacks.is_empty());
                let mut keys = if lacks { Vec::new() } else { vec![("Enter", "run it"), ("r", "rehearse")] };
                keys.extend([("Tab", "next part"), ("w", "write SQL")]);
                if self.plan.saved {
                    keys.push(("n", "go on without running it"));
                }
                keys.extend([("v", "show all"), ("Space", "fold"), ("y", "copy SQL"), ("↑↓", "read")]);
                keys.extend([("Esc", "back"), ("q", "leave")]);
                (
                    title("This would be run. Shall it?"),
                    dim(
                        "One transaction: all of it or nothing, proven before it is committed, and it can be taken back.",
                    ),
                    keys,
                )
            }
            Stage::Confirm(Confirm::Key(key)) => {
                let words = Line::new("Run it now? ", Tone::Warning).and(&format!(" {key} "), Tone::Key);
                let words = words.known(" runs it, any other key goes back", Tone::Warning);
                (words, dim("Nothing has been changed yet."), vec![("y", "run it"), ("any other key", "back")])
            }
            Stage::Confirm(Confirm::Name { input, wanted }) => {
                let line = Line::new("This is production. Type ", Tone::Warning)
                    .and(wanted, Tone::Strong)
                    .known(" and Enter to run it: ", Tone::Warning)
                    .and(input.value(), Tone::Strong)
                    .known("▏", Tone::Accent);
                (line, dim("Nothing has been changed yet."), vec![("Enter", "run it"), ("Esc", "back")])
            }
            Stage::Running { rehearse, .. } => {
                let words = if *rehearse { "Rehearsing: it is rolled back at the end." } else { "Running." };
                (
                    title(words),
                    dim("It waits for nobody's locks for long, and can be stopped until COMMIT."),
                    vec![("Esc", "stop")],
                )
            }
            Stage::Over(told) => {
                let keys = match told.fate {
                    Fate::Committed => {
                        vec![("Enter", "go on to the files"), ("↑↓", "read"), ("q", "leave")]
                    }
                    Fate::Nothing | Fate::Unknown | Fate::Rehearsed => {
                        vec![("Enter", "look again"), ("Esc", "back"), ("q", "leave")]
                    }
                };
                let words = match told.fate {
                    Fate::Committed => "It is done.",
                    Fate::Rehearsed => "It was rehearsed.",
                    Fate::Nothing => "Nothing was changed.",
                    Fate::Unknown => "Nobody can say whether it was committed.",
                };
                (title(words), Line::empty(), keys)
            }
            Stage::Planning | Stage::Nothing(_) | Stage::Asking => {
                (title("What has to be done?"), Line::empty(), Vec::new())
            }
        }
    }
}

/// Whether the plan can be run by this login.
fn runnable(preview: &Preview) -> Result<(), &'static str> {
    match preview.ready().map(Arc::as_ref) {
        Some(ready) if !ready.lacks.is_empty() => {
            Err("this login lacks rights for it; w writes the statements for somebody who has them")
        }
        Some(_) => Ok(()),
        None => Err("there is no plan on the screen"),
    }
}

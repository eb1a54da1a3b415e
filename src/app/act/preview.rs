//! The dialog an action goes through, as a state machine: planning, shown, confirmed, running, over. What is confirmed
//! leaves it as [`Approved`] or [`Ordered`], and in no other way.

use std::{collections::BTreeSet, sync::Arc};

use tui_input::Input;

use super::{
    Ask, Handed, Progress, Ready, Told,
    asking::{Asking, Stretch},
    ending::{Order, Ordered},
    lines::{self, Section},
};
use crate::{
    app::{
        instance::Instance,
        keymap::{Code, Key},
        overlay::edit,
        prose::fold,
        view::{Line, Span, Tone},
        wrap::wrap,
    },
    config::target::Environment,
    plan::{Approved, moves::Answers, sql::printable},
    text,
};

/// What the dialog is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A plan that was asked for; there once it was made.
    Plan { ask: Ask, ready: Option<Arc<Ready>> },
    /// Sessions to end.
    End(Order),
}

/// How far it is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The plan is being made.
    Planning,
    /// There is no plan: why.
    Nothing(Vec<String>),
    /// The plan leaves something open that only a person can say.
    Asking,
    Shown,
    Confirm(Confirm),
    Running {
        rehearse: bool,
        progress: Progress,
        stopping: bool,
    },
    Over(Told),
}

/// What confirms.
#[derive(Debug, Clone)]
pub enum Confirm {
    /// This key, which is never the one that opened the dialog.
    Key(char),
    /// The database's name, typed. Escapes are typed as they are shown.
    Name { input: Input, wanted: String },
}

/// What a key in the confirmation led to.
#[derive(Debug)]
pub enum Confirmed {
    Plan(Box<Approved>),
    End(Ordered),
    /// Nothing yet.
    NotYet,
    /// Back to looking at it.
    Left,
}

/// See the module.
#[derive(Debug)]
pub struct Preview {
    pub ticket: u64,
    pub instance: usize,
    pub subject: Subject,
    stage: Stage,
    /// The key that opened it.
    opener: Option<Key>,
    /// The frame in which the present stage was first composed.
    composed: Option<u64>,
    /// That frame is on the screen.
    armed: bool,
    /// A rehearsal's result, above the plan.
    rehearsed: Option<Told>,
    full: bool,
    /// What was asked, and what was answered.
    asking: Asking,
    /// Answers of an earlier dialog about the same form.
    before: Answers,
    /// Rows that were marked and have nothing that mends them: what each is called, and why.
    without: Vec<(String, String)>,
    /// The new password is shown.
    revealed: bool,
    pub scroll: usize,
    /// The section the keys for folding speak of.
    at: usize,
    /// Sections that are not as they are at first.
    turned: BTreeSet<usize>,
    page: Page,
}

/// The lines as they are for one width, and where sections begin.
#[derive(Debug, Default)]
struct Page {
    width: usize,
    lines: Vec<Line>,
    starts: Vec<usize>,
    /// What stays in sight.
    selected: Option<Stretch>,
    /// To be made anew.
    stale: bool,
}

impl Preview {
    #[must_use]
    pub fn new(ticket: u64, instance: usize, subject: Subject, opener: Option<Key>) -> Preview {
        let stage = match subject {
            Subject::Plan { .. } => Stage::Planning,
            Subject::End(_) => Stage::Shown,
        };
        Preview {
            ticket,
            instance,
            subject,
            stage,
            opener,
            composed: None,
            armed: false,
            rehearsed: None,
            full: false,
            asking: Asking::default(),
            before: Answers::new(),
            without: Vec::new(),
            revealed: false,
            scroll: 0,
            at: 0,
            turned: BTreeSet::new(),
            page: Page { stale: true, ..Page::default() },
        }
    }

    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Another stage: no key counts before it was seen.
    pub fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.composed = None;
        self.armed = false;
        self.revealed = false;
        self.page.stale = true;
    }

    /// Answers that were given before.
    pub fn remember(&mut self, answers: Answers) {
        self.before = answers;
    }

    /// Says of these marked rows that the plan has nothing for them.
    pub fn leaves(&mut self, without: Vec<(String, String)>) {
        self.without = without;
        self.page.stale = true;
    }

    /// What was answered.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.asking.answers()
    }

    /// A key that answers a question; false when it is none.
    pub fn answer(&mut self, key: Key) -> bool {
        match key.code {
            Code::Char('y' | 'n') if !key.ctrl && !key.alt => self.asking.answer(key == Key::char('y')),
            Code::Char('Y' | 'N') if !key.ctrl && !key.alt => self.asking.answer_rest(key == Key::char('Y')),
            _ => return false,
        }
        self.page.stale = true;
        true
    }

    /// Makes the plan anew with what was answered.
    ///
    /// # Errors
    /// How many questions are open still.
    pub fn settle(&mut self, ticket: u64) -> Result<Ask, usize> {
        let open = self.asking.open();
        if open > 0 {
            self.asking.find_open();
            self.page.stale = true;
            return Err(open);
        }
        let said = self.asking.settled();
        let Subject::Plan { ask, ready } = &mut self.subject else { return Err(0) };
        *ready = None;
        if let Some(answers) = ask.answers() {
            *answers = said;
        }
        let ask = ask.clone();
        self.ticket = ticket;
        self.enter(Stage::Planning);
        Ok(ask)
    }

    /// Up and down: by lines, or by questions.
    pub fn step(&mut self, by: isize) {
        if matches!(self.stage, Stage::Asking) {
            self.asking.step(by);
            self.page.stale = true;
        } else {
            self.scroll = self.scroll.saturating_add_signed(by);
        }
    }

    /// What is handed over, once it is done.
    #[must_use]
    pub fn handed(&self) -> Option<&Handed> {
        match &self.stage {
            Stage::Over(told) => told.aftermath.as_ref()?.handover.as_ref(),
            _ => None,
        }
    }

    /// Shows the new password, or hides it again.
    pub fn reveal(&mut self) {
        self.revealed = !self.revealed;
        self.page.stale = true;
    }

    /// The stage stands in the frame of that number.
    pub fn compose(&mut self, frame: u64) {
        self.composed.get_or_insert(frame);
    }

    /// The frame of that number is on the screen.
    pub fn drawn(&mut self, frame: u64) {
        self.armed |= self.composed.is_some_and(|composed| composed <= frame);
    }

    /// The present stage stands on the screen, so that keys are meant for it.
    #[must_use]
    pub fn armed(&self) -> bool {
        self.armed
    }

    #[must_use]
    pub fn ready(&self) -> Option<&Arc<Ready>> {
        match &self.subject {
            Subject::Plan { ready, .. } => ready.as_ref(),
            Subject::End(_) => None,
        }
    }

    /// The plan has come, or why there is none.
    pub fn planned(&mut self, result: Result<Box<Ready>, Vec<String>>) {
        if !matches!(self.stage, Stage::Planning) {
            return;
        }
        match result {
            Ok(found) if !found.questions.is_empty() => {
                self.asking.add(found.questions, &self.before);
                self.scroll = 0;
                self.enter(Stage::Asking);
            }
            Ok(found) => {
                if let Subject::Plan { ready, .. } = &mut self.subject {
                    *ready = Some(Arc::from(found));
                }
                self.rehearsed = None;
                self.scroll = 0;
                self.enter(Stage::Shown);
            }
            Err(why) => self.enter(Stage::Nothing(why)),
        }
    }

    /// Again from the beginning, from what is there now.
    pub fn again(&mut self, ticket: u64) -> Option<Ask> {
        let refused = match &self.stage {
            Stage::Over(told) => told.refused.clone(),
            _ => Vec::new(),
        };
        let Subject::Plan { ask, ready } = &mut self.subject else { return None };
        if let Ask::Fix { except, .. } = ask {
            except.extend(refused);
        }
        *ready = None;
        let ask = ask.clone();
        self.ticket = ticket;
        self.enter(Stage::Planning);
        Some(ask)
    }

    pub fn progressed(&mut self, news: Progress) {
        if let Stage::Running { progress, .. } = &mut self.stage {
            *progress = news;
            self.page.stale = true;
        }
    }

    /// Asks to stop; true when that is to be passed on.
    pub fn stop(&mut self) -> bool {
        let Stage::Running { progress, stopping, .. } = &mut self.stage else { return false };
        let first = !*stopping && progress.stoppable;
        *stopping = true;
        self.page.stale = true;
        first
    }

    /// It has ended. A rehearsal leads back to the plan.
    pub fn over(&mut self, told: Told) {
        let rehearsed = matches!(self.stage, Stage::Running { rehearse: true, .. });
        self.scroll = 0;
        if rehearsed && told.fate == super::Fate::Rehearsed {
            self.rehearsed = Some(told);
            self.enter(Stage::Shown);
        } else {
            self.enter(Stage::Over(told));
        }
    }

    /// Asks for the confirmation.
    pub fn ask(&mut self, instance: &Instance) {
        let database = instance.judgement.as_ref().map_or("", |j| j.snapshot.server.database.as_str());
        self.ask_in(instance.environment, database);
    }

    /// Asks for the confirmation as it is given in such surroundings.
    pub fn ask_in(&mut self, environment: Environment, database: &str) {
        let key = if self.opener == Some(Key::char('y')) { 'a' } else { 'y' };
        self.enter(Stage::Confirm(match environment {
            Environment::Production => {
                Confirm::Name { input: Input::default(), wanted: text::safe(database).into_owned() }
            }
            Environment::Development | Environment::Staging => Confirm::Key(key),
        }));
    }

    /// A key in the confirmation. Only the whole confirmation makes something of the subject.
    pub fn confirm(&mut self, key: Key) -> Confirmed {
        let Stage::Confirm(confirm) = &mut self.stage else { return Confirmed::NotYet };
        let yes = match confirm {
            Confirm::Key(wanted) => {
                if key != Key::char(*wanted) {
                    self.enter(Stage::Shown);
                    return Confirmed::Left;
                }
                true
            }
            Confirm::Name { input, wanted } => match key.code {
                Code::Esc => {
                    self.enter(Stage::Shown);
                    return Confirmed::Left;
                }
                Code::Enter => input.value() == wanted && !wanted.is_empty(),
                _ => {
                    edit(input, key);
                    return Confirmed::NotYet;
                }
            },
        };
        if !yes {
            return Confirmed::NotYet;
        }
        let confirmed = match &self.subject {
            Subject::Plan { ready: Some(ready), .. } => Confirmed::Plan(Box::new(ready.plan.clone().approve())),
            Subject::Plan { ready: None, .. } => return Confirmed::NotYet,
            Subject::End(order) => Confirmed::End(Ordered::new(order.clone())),
        };
        self.run(false);
        confirmed
    }

    /// It begins to run.
    pub fn run(&mut self, rehearse: bool) {
        self.rehearsed = None;
        self.scroll = 0;
        let progress = Progress {
            words: "connecting".to_owned(),
            details: Vec::new(),
            step: None,
            stoppable: matches!(self.subject, Subject::Plan { .. }),
        };
        self.enter(Stage::Running { rehearse, progress, stopping: false });
    }

    pub fn toggle_full(&mut self) {
        self.full = !self.full;
        self.page.stale = true;
    }

    /// Folds or unfolds the section in focus.
    pub fn fold(&mut self) {
        if !self.turned.remove(&self.at) {
            self.turned.insert(self.at);
        }
        self.page.stale = true;
    }

    /// To the next section, or the one before.
    pub fn section(&mut self, by: isize) {
        let all = self.page.starts.len();
        if all > 0 {
            self.at = (self.at as isize + by).rem_euclid(all as isize) as usize;
            self.scroll = self.page.starts.get(self.at).copied().unwrap_or(0);
            self.page.stale = true;
        }
    }

    /// What `copy` copies.
    #[must_use]
    pub fn sql(&self) -> String {
        if let Some(handed) = self.handed() {
            return handed.text.clone();
        }
        match &self.subject {
            Subject::Plan { ready: Some(ready), .. } => {
                ready.plan.statements().map(printable).collect::<Vec<_>>().join("\n")
            }
            Subject::Plan { ready: None, .. } => String::new(),
            Subject::End(order) => order.aims.iter().map(|aim| aim.pid.to_string()).collect::<Vec<_>>().join("\n"),
        }
    }

    /// Name for a file of the SQL.
    #[must_use]
    pub fn file(&self) -> String {
        if let Some(handed) = self.handed() {
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
            return format!("pgmoat-handover-{}.txt", handed.role.chars().map(plain).take(63).collect::<String>());
        }
        match self.ready() {
            Some(ready) => format!("pgmoat-plan-{}.sql", ready.plan.plan_id),
            None => "pgmoat-sessions.txt".to_owned(),
        }
    }

    /// What it is about, in a few words.
    #[must_use]
    pub fn title(&self) -> Line {
        match &self.subject {
            Subject::Plan { ready: Some(ready), .. } => Line::new(&ready.title, Tone::Title),
            Subject::Plan { ask: Ask::Fix { .. }, .. } => Line::new("Fix", Tone::Title),
            Subject::Plan { ask: Ask::Undo { .. }, .. } => Line::new("Undo", Tone::Title),
            Subject::Plan { ask: Ask::Redo { .. }, .. } => Line::new("Redo", Tone::Title),
            Subject::Plan { ask: Ask::Create { wanted, .. }, .. } => {
                Line::new("Create schema ", Tone::Title).and(&wanted.schema, Tone::Title)
            }
            Subject::Plan { ask: Ask::MoveVersions(wanted), .. } => {
                Line::new(&format!("Move the version table of {} to {}", wanted.from, wanted.to), Tone::Title)
            }
            Subject::Plan { ask: Ask::Isolate { wanted, .. }, .. } => {
                Line::new(&format!("Isolate {} from {}", wanted.schema, wanted.from), Tone::Title)
            }
            Subject::End(order) => {
                let verb = match order.way {
                    super::ending::Way::Cancel => "Cancel the statement of",
                    super::ending::Way::Terminate => "Terminate",
                };
                let what = text::count(order.aims.len() as u64, "session", "sessions");
                Line::new(&format!("{verb} {what}"), Tone::Title)
            }
        }
    }

    /// The visible lines in `width` x `height` cells, and how many there are; corrects the scroll.
    pub fn page(&mut self, instance: Option<&Instance>, width: usize, height: usize) -> (Vec<Line>, usize) {
        if self.page.stale || self.page.width != width {
            self.make(instance, width);
        }
        let all = self.page.lines.len();
        if let Some(selected) = self.page.selected {
            let end = selected.from + selected.lines;
            let top = if selected.from <= 2 { 0 } else { selected.from };
            self.scroll = self.scroll.min(top).max(end.saturating_sub(height));
        }
        self.scroll = self.scroll.min(all.saturating_sub(height));
        (self.page.lines.iter().skip(self.scroll).take(height).cloned().collect(), all)
    }

    fn make(&mut self, instance: Option<&Instance>, width: usize) {
        let mut head: Vec<Line> = Vec::new();
        let plan = self.ready().map(|r| &r.plan);
        match &self.stage {
            Stage::Planning => head.push(Line(vec![
                Span::known("◌ ", Tone::Accent),
                Span::known("Reading what is there now and making the plan …", Tone::Text),
            ])),
            Stage::Nothing(why) => {
                for (i, line) in why.iter().enumerate() {
                    let tone = if i == 0 { Tone::Strong } else { Tone::Text };
                    head.push(Line::new(line, tone));
                }
            }
            Stage::Running { rehearse, progress, stopping } => {
                head.extend(lines::progress(progress, *rehearse, *stopping, plan));
            }
            Stage::Over(told) => head.extend(lines::told(told, self.revealed)),
            Stage::Asking => {
                let (lines, selected) = self.asking.lines(width);
                self.page = Page { width, lines, selected: Some(selected), ..Page::default() };
                return;
            }
            Stage::Shown | Stage::Confirm(_) => {
                if let Some(told) = &self.rehearsed {
                    head.extend(lines::told(told, false));
                }
                if let Some(ready) = self.ready() {
                    head.push(settles(ready));
                    head.push(Line::empty());
                }
            }
        }
        let sections: Vec<Section> = match &self.subject {
            Subject::Plan { ready: Some(ready), .. } => {
                let mut sections = lines::plan(ready, self.full);
                sections.splice(0..0, lines::without(&self.without));
                sections
            }
            Subject::Plan { ready: None, .. } => Vec::new(),
            // what was told of them is over
            Subject::End(_) if matches!(self.stage, Stage::Over(_)) => Vec::new(),
            Subject::End(order) => lines::order(order, instance.and_then(|i| i.judgement.as_deref())),
        };
        // sentences keep their punctuation together; SQL is never cut
        let broken = |line: &Line| match &self.subject {
            Subject::Plan { .. } => wrap(line, width),
            Subject::End(_) => fold(line, width, 4),
        };
        let mut page = Page { width, ..Page::default() };
        page.lines.extend(head.iter().flat_map(|l| wrap(l, width)));
        self.at = self.at.min(sections.len().saturating_sub(1));
        for (i, section) in sections.into_iter().enumerate() {
            page.starts.push(page.lines.len());
            let folded = section.folded != self.turned.contains(&i);
            let tone = if i == self.at { Tone::Accent } else { Tone::Dim };
            let mut title = Line(vec![Span::known(if folded { "▸ " } else { "▾ " }, tone)]).join(section.title);
            if !section.hint.is_empty() {
                title = title.known("  ", Tone::Dim).and(&section.hint, Tone::Dim);
            }
            page.lines.extend(wrap(&title, width));
            if !folded {
                page.lines.extend(section.lines.iter().flat_map(broken));
            }
            page.lines.push(Line::empty());
        }
        self.page = page;
    }
}

/// What the plan does about findings, in one line.
fn settles(ready: &Ready) -> Line {
    let plan = &ready.plan;
    let statements = plan.statements().count() as u64;
    let steps = text::count(statements, "statement", "statements");
    let line = Line::new(&steps, Tone::Strong).known(" in one transaction", Tone::Text);
    if ready.settles == 0 {
        return line.known(".", Tone::Text);
    }
    let settled = text::count(ready.settles as u64, "finding", "findings");
    let verb = if statements == 1 { " settles " } else { " settle " };
    let line = line.known(verb, Tone::Text).and(&settled, Tone::Strong);
    match ready.remaining {
        0 => line.known("; no other finding has a fix.", Tone::Text),
        n => line.and(&format!("; {} more can be fixed.", text::count(n as u64, "finding", "findings")), Tone::Text),
    }
}

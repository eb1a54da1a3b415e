//! The guided set-up, as a state machine of its own beside the console: one question a screen, a sensible answer already
//! chosen, back without losing any. No terminal, no runtime, no server in here: work is asked for by [`Effect`] and comes
//! back as [`Msg`] under the ticket it was given.
//!
//! ```text
//!  Server ─▶ Connection ─▶ What is there ─▶ Services ─▶ Access ─▶ Plan ─▶ Files ─▶ Proofs
//!    ◀──────────── Esc: one back, every answer stays ────────────────┘
//! ```
//! Where something is confirmed, no key counts that was pressed before the question stood on the screen.

mod access;
mod files;
mod frame;
mod help;
mod plan;
mod proofs;
mod reach;
mod server;
mod services;
#[cfg(test)]
mod tests;
mod there;

use std::sync::Arc;

use super::{
    act::{ActNews, Hidden, Ready},
    keymap::{Code, Key},
    screen::Screen,
    view::{Line, Tone},
};
use crate::{
    config::target::Environment,
    domain::snapshot::Snapshot,
    plan::Approved,
    policy::{
        Severity,
        draft::{Draft, Kept, Neighbour},
    },
};

/// The questions, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Server,
    Connection,
    There,
    Services,
    Access,
    Plan,
    Files,
    Proofs,
}

impl Step {
    pub const ALL: [Step; 8] = [
        Step::Server,
        Step::Connection,
        Step::There,
        Step::Services,
        Step::Access,
        Step::Plan,
        Step::Files,
        Step::Proofs,
    ];

    /// From one.
    #[must_use]
    pub fn number(self) -> usize {
        Step::ALL.iter().position(|s| *s == self).map_or(1, |i| i + 1)
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Step::Server => "Server",
            Step::Connection => "Connection",
            Step::There => "What is there",
            Step::Services => "Services",
            Step::Access => "Access",
            Step::Plan => "Plan",
            Step::Files => "Files",
            Step::Proofs => "Proofs",
        }
    }

    /// What it decides, in a sentence or two.
    #[must_use]
    pub const fn decides(self) -> &'static str {
        match self {
            Step::Server => {
                "Decides which database is set up. Until a plan was shown and confirmed it is only read, whichever it is."
            }
            Step::Connection => {
                "Decides how careful pgmoat is here, and what this instance is called. Production is marked in red, and \
                 its name is typed before anything is changed."
            }
            Step::There => {
                "Decides nothing: it shows what was found, and what is wrong before anything was declared. The next \
                 questions begin with a proposal made from it."
            }
            Step::Services => {
                "Decides which services share the database. Each that is marked gets a schema and a role of its own in \
                 the policy; what is not marked is left as it is and stays undeclared."
            }
            Step::Access => {
                "Decides what each service may do in the schemas of the others. The plan grants what is missing and \
                 takes away what is more than that."
            }
            Step::Plan => {
                "Decides what becomes of findings that no plan settles, and then whether the statements are run. Nothing \
                 is run before it was confirmed, and what was run can be taken back with `pgmoat undo`."
            }
            Step::Files => {
                "Decides whether the answers are written down: the policy for your project, and the instance in the \
                 configuration. The files are shown as they will be written."
            }
            Step::Proofs => {
                "Decides nothing: it tries what was set up, and tells what to give to the people of each service."
            }
        }
    }

    /// As it is written down.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Step::Server => "server",
            Step::Connection => "connection",
            Step::There => "there",
            Step::Services => "services",
            Step::Access => "access",
            Step::Plan => "plan",
            Step::Files => "files",
            Step::Proofs => "proofs",
        }
    }

    /// Of a word that was written down; the first that comes after a server is known, when it is none.
    #[must_use]
    pub fn of(word: &str) -> Step {
        Step::ALL.into_iter().find(|s| s.word() == word).unwrap_or(Step::Connection)
    }

    fn before(self) -> Option<Step> {
        Step::ALL.get(self.number().checked_sub(2)?).copied()
    }
}

/// A database that was found, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub name: String,
    /// Without a password; `None`: there is no way from here.
    pub conninfo: Option<String>,
    /// Role or database were not found but guessed: they are to be looked at before it is tried.
    pub guessed: bool,
    /// `PostgreSQL 15, answers`.
    pub state: String,
    pub answers: bool,
    /// Label and sentence: where from, which password, which services.
    pub facts: Vec<(&'static str, String)>,
}

/// What looking around led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Around {
    pub places: Vec<Place>,
    /// Where was looked, and what came of it.
    pub looked: Vec<String>,
}

/// A server that answered.
#[derive(Debug, Clone)]
pub struct Opened {
    pub snapshot: Arc<Snapshot>,
    /// Where it is, without a password.
    pub url: String,
    /// What this login may see and what not, with the grant that would help.
    pub sees: Vec<(Tone, String)>,
    /// What is wrong without any policy: how bad, a sentence, and the schema it is about.
    pub wrong: Vec<(Severity, String, Option<String>)>,
    /// How careful to be, as long as nobody said.
    pub environment: Environment,
    /// What applications beside it say of it.
    pub neighbours: Vec<Neighbour>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The first line says what, the others what to do.
    pub lines: Vec<String>,
    /// The server wants a password.
    pub wants_password: bool,
}

/// A finding that the plan does not settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    pub finding: String,
    pub message: String,
    pub severity: Severity,
    /// Why the plan leaves it.
    pub why: String,
    /// What to begin with later.
    pub later: String,
    /// What is written into the policy when it is left.
    pub reason: String,
}

/// What the answers ask for.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What is there now.
    pub snapshot: Arc<Snapshot>,
    /// The plan as a script; passwords are no part of it.
    pub script: String,
    pub remaining: Vec<Remaining>,
    /// `None`: everything is as it should be.
    pub ready: Option<Box<Ready>>,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub path: String,
    /// What is done to it: `new`, `an instance is added`.
    pub what: String,
    pub text: String,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// `None`: it was not tried, or is only to be known.
    pub holds: Option<bool>,
    pub sentence: String,
    /// What helps, where it does not hold.
    pub remedy: Option<String>,
}

/// What the people of a service get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub service: String,
    /// The file of its owner alone with the URL and its password, where one was made.
    pub file: Option<String>,
    /// Without the password.
    pub text: String,
}

/// The end of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proven {
    pub proofs: Vec<Proof>,
    pub blocks: Vec<Block>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Msg {
    Key(Key),
    Paste(String),
    Resize(u16, u16),
    /// Milliseconds of the monotonic clock.
    Tick(u64),
    /// The frame of that number is on the screen.
    Drawn(u64),
    Notice(String, Tone),
    /// Looked around.
    Found(Arc<Around>),
    Opened(u64, Result<Box<Opened>, Trouble>),
    Judged(u64, Result<Box<Judged>, Vec<String>>),
    /// How the plan goes.
    Act(u64, ActNews),
    Files(u64, Result<Vec<Text>, Vec<String>>),
    /// The files are written, or why not.
    Written(u64, Result<(), Vec<String>>),
    Proven(u64, Box<Proven>),
}

/// How it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// In the middle: the answers are kept.
    Kept,
    /// Done, or nothing was answered.
    Done,
    /// Done, and the console is wanted.
    Console,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Leave(Left),
    Suspend,
    Redraw,
    Copy(String),
    /// Write to a new file; the answer comes as [`Msg::Notice`].
    Write {
        path: String,
        text: String,
    },
    /// Look around for databases.
    Look,
    /// Connect and read. `place` is the position of what was found, for its password and its neighbours.
    Open {
        ticket: u64,
        conninfo: String,
        place: Option<usize>,
        password: Option<Hidden>,
    },
    /// Judge the answers by what is there now, and plan.
    Judge {
        ticket: u64,
        draft: Box<Draft>,
    },
    Rehearse {
        ticket: u64,
        ready: Arc<Ready>,
    },
    Apply {
        ticket: u64,
        approved: Box<Approved>,
    },
    /// Somebody wants the plan to stop.
    Stop(u64),
    /// The files as they would be written.
    Files {
        ticket: u64,
        kept: Box<Kept>,
    },
    /// Write the files that were shown.
    WriteFiles {
        ticket: u64,
    },
    /// Try logins, read the matrix and the version tables again.
    Prove {
        ticket: u64,
    },
    /// Remember the answers for the next start.
    Keep(Box<Kept>),
    /// These answers are not to be gone on with any more.
    Forget(Box<Kept>),
    /// They are gone on with.
    Resume(Box<Kept>),
    /// Write the login's password to the password file.
    Remember,
}

/// Something to say in the footer until the next key, or for some seconds.
struct Notice {
    line: Line,
    until_ms: u64,
}

/// How long a notice stays, milliseconds.
const NOTICE_MS: u64 = 6000;

/// See the module.
pub struct Wizard {
    /// Answers of earlier starts, while it is asked whether to go on with one; and whether they were begun in this folder.
    earlier: Vec<(Kept, bool)>,
    /// The server that was named, in case of beginning anew.
    named: Option<String>,
    /// Cursor of that question.
    earlier_at: usize,
    /// Instances of the configuration, with where they lead.
    taken: Vec<(String, String)>,
    step: Step,
    /// To go on there once the server answered.
    resuming: Option<Step>,
    environment: Environment,
    conninfo: String,
    draft: Draft,
    /// Something was proposed, or answered earlier.
    drafted: bool,
    /// The plan was committed, as far as anybody knows.
    applied: bool,
    /// What was kept and is no question: where it was begun, where passwords are.
    rest: Kept,
    around: Option<Arc<Around>>,
    opened: Option<Box<Opened>>,
    server: server::State,
    reach: reach::State,
    there: there::State,
    services: services::State,
    access: access::State,
    plan: plan::State,
    files: files::State,
    proofs: proofs::State,
    size: (u16, u16),
    frame: u64,
    tickets: u64,
    now_ms: u64,
    notice: Option<Notice>,
    /// The frame in which the present screen stood first, and whether that is on the terminal.
    composed: Option<u64>,
    armed: bool,
    /// Ctrl-C was pressed while a plan runs.
    leaving: bool,
    /// The keys are told; lines that are scrolled away.
    help: Option<usize>,
}

impl Wizard {
    /// The beginning, or the question whether to go on with what was answered earlier (each with whether it was begun in
    /// this folder, those first). `conninfo` is a server that was
    /// named on the command line, `taken` the names of the configuration's instances with their connection strings.
    #[must_use]
    pub fn new(
        earlier: Vec<(Kept, bool)>,
        conninfo: Option<String>,
        taken: Vec<(String, String)>,
    ) -> (Wizard, Vec<Effect>) {
        let asks = !earlier.is_empty();
        // what was begun elsewhere is offered, and not what Enter means
        let elsewhere = earlier.iter().all(|(_, here)| !here);
        let mut wizard = Wizard {
            earlier_at: if elsewhere { earlier.len() } else { 0 },
            earlier,
            named: conninfo.clone().filter(|_| asks),
            taken,
            step: Step::Server,
            resuming: None,
            environment: Environment::Development,
            conninfo: String::new(),
            draft: Draft::default(),
            drafted: false,
            applied: false,
            rest: Kept::default(),
            around: None,
            opened: None,
            server: server::State::default(),
            reach: reach::State::default(),
            there: there::State::default(),
            services: services::State::default(),
            access: access::State::default(),
            plan: plan::State::default(),
            files: files::State::default(),
            proofs: proofs::State::default(),
            size: (0, 0),
            frame: 0,
            tickets: 0,
            now_ms: 0,
            notice: None,
            composed: None,
            armed: false,
            leaving: false,
            help: None,
        };
        let mut effects = vec![Effect::Look];
        if let Some(conninfo) = conninfo.filter(|_| !asks) {
            effects.extend(wizard.connect(conninfo, None, None));
        }
        (wizard, effects)
    }

    /// Number of the last frame that [`Wizard::view`] composed.
    #[must_use]
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// Where it is, for a word of goodbye.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The answers so far.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            schema_version: 1,
            step: self.step.word().to_owned(),
            url: self.conninfo.clone(),
            environment: self.environment.word().to_owned(),
            applied: self.applied,
            draft: self.draft.clone(),
            ..self.rest.clone()
        }
    }

    /// The frame.
    pub fn view(&mut self) -> Screen {
        self.frame += 1;
        let frame = self.frame;
        self.composed.get_or_insert(frame);
        if let Some(preview) = self.plan.preview.as_deref_mut().filter(|_| self.help.is_none()) {
            preview.compose(frame);
        }
        frame::compose(self)
    }

    /// Takes what happened; returns what is to be done.
    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => {
                self.notice = None;
                self.key(key)
            }
            Msg::Paste(text) => {
                self.paste(&text);
                Vec::new()
            }
            Msg::Resize(width, height) => {
                self.size = (width, height);
                Vec::new()
            }
            Msg::Tick(now_ms) => {
                self.now_ms = now_ms;
                self.notice.take_if(|n| n.until_ms <= now_ms);
                Vec::new()
            }
            Msg::Drawn(frame) => {
                self.armed |= self.composed.is_some_and(|c| c <= frame);
                if let Some(preview) = self.plan.preview.as_deref_mut() {
                    preview.drawn(frame);
                }
                Vec::new()
            }
            Msg::Notice(text, tone) => {
                self.say(&text, tone);
                Vec::new()
            }
            Msg::Found(around) => self.found(around),
            Msg::Opened(ticket, result) => self.answered(ticket, result),
            Msg::Judged(ticket, result) => self.judged(ticket, result),
            Msg::Act(ticket, news) => self.act_news(ticket, news),
            Msg::Files(ticket, result) => self.files_shown(ticket, result),
            Msg::Written(ticket, result) => self.written(ticket, result),
            Msg::Proven(ticket, proven) => self.proven(ticket, *proven),
        }
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn say(&mut self, text: &str, tone: Tone) {
        self.notice = Some(Notice { line: Line::new(text, tone), until_ms: self.now_ms + NOTICE_MS });
    }

    /// Another screen: what is confirmed on it waits until it was seen.
    fn fresh(&mut self) {
        self.composed = None;
        self.armed = false;
    }

    /// To a step; the answers are kept from the first one that was given.
    fn go(&mut self, step: Step) -> Vec<Effect> {
        self.step = step;
        self.fresh();
        let mut effects = match step {
            Step::Server | Step::Connection | Step::There => Vec::new(),
            Step::Services => self.enter_services(),
            Step::Access => self.enter_access(),
            Step::Plan => self.enter_plan(),
            Step::Files => self.enter_files(),
            Step::Proofs => self.enter_proofs(),
        };
        effects.extend(self.keep());
        effects
    }

    /// Remembers the answers, once there are some.
    fn keep(&self) -> Option<Effect> {
        match self.step {
            Step::Server => None,
            Step::Proofs => Some(Effect::Forget(Box::new(self.kept()))),
            Step::Connection | Step::There | Step::Services | Step::Access | Step::Plan | Step::Files => {
                Some(Effect::Keep(Box::new(self.kept())))
            }
        }
    }

    /// One question back.
    fn back(&mut self) -> Vec<Effect> {
        match self.step.before() {
            // to the plan itself: what becomes of what it leaves is the question before it
            Some(Step::Plan) => {
                self.step = Step::Plan;
                self.fresh();
                let effects = self.plan_anew();
                effects.into_iter().chain(self.keep()).collect()
            }
            Some(step) => self.go(step),
            None => {
                self.say("this is the first step: Ctrl-C leaves", Tone::Dim);
                Vec::new()
            }
        }
    }

    /// Away from it.
    fn leave(&self) -> Vec<Effect> {
        let left = match self.step {
            Step::Server | Step::Proofs => Left::Done,
            Step::Connection | Step::There | Step::Services | Step::Access | Step::Plan | Step::Files => Left::Kept,
        };
        self.keep().into_iter().chain([Effect::Leave(left)]).collect()
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        match (key.code, key.ctrl) {
            (Code::Char('z'), true) => return vec![Effect::Suspend],
            (Code::Char('l'), true) => return vec![Effect::Redraw],
            (Code::Char('c'), true) => return if self.runs() { self.stop(true) } else { self.leave() },
            _ => {}
        }
        if self.help_key(key) {
            return Vec::new();
        }
        if !self.earlier.is_empty() {
            return self.earlier_key(key);
        }
        match self.step {
            Step::Server => self.server_key(key),
            Step::Connection => self.reach_key(key),
            Step::There => self.there_key(key),
            Step::Services => self.services_key(key),
            Step::Access => self.access_key(key),
            Step::Plan => self.plan_key(key),
            Step::Files => self.files_key(key),
            Step::Proofs => self.proofs_key(key),
        }
    }

    /// What is on the screen.
    fn page(&self) -> frame::Page {
        match self.help {
            Some(scroll) => self.help_page(scroll),
            None => self.question_page(),
        }
    }

    /// The screen of the question.
    fn question_page(&self) -> frame::Page {
        if !self.earlier.is_empty() {
            return self.earlier_page();
        }
        match self.step {
            Step::Server => self.server_page(),
            Step::Connection => self.reach_page(),
            Step::There => self.there_page(),
            Step::Services => self.services_page(),
            Step::Access => self.access_page(),
            Step::Plan => self.plan_page(),
            Step::Files => self.files_page(),
            Step::Proofs => self.proofs_page(),
        }
    }

    fn earlier_page(&self) -> frame::Page {
        let several = self.earlier.len() > 1;
        let mut rows = Vec::new();
        for (at, (kept, here)) in self.earlier.iter().enumerate() {
            let step = Step::of(&kept.step);
            let where_to = format!("{} of {}, {}", step.number(), Step::ALL.len(), step.title());
            let line = if several || !here {
                let line = Line::new("Go on with ", Tone::Text).and(&kept.draft.name, Tone::Strong);
                let line = line.and(&format!(", {where_to}"), Tone::Text);
                if *here { line } else { line.known(", begun in ", Tone::Dim).and(&kept.dir, Tone::Dim) }
            } else {
                Line::new("Go on where it was left: ", Tone::Text).and(&where_to, Tone::Strong)
            };
            rows.push(frame::Row::choice(line, self.earlier_at == at));
        }
        let words = if self.replaces().is_some() {
            "Begin anew; the earlier answers are forgotten"
        } else {
            "Begin anew; what is kept stays"
        };
        rows.push(frame::Row::choice(Line::new(words, Tone::Text), self.earlier_at >= self.earlier.len()));
        let mut side = vec![Line::new("Kept", Tone::Title)];
        if let Some((kept, _)) = self.earlier.get(self.earlier_at).or_else(|| self.earlier.first()) {
            side.push(frame::fact("database", &kept.url));
            if !kept.dir.is_empty() {
                side.push(frame::fact("folder", &kept.dir));
            }
            let services: Vec<&str> = kept.draft.chosen().map(|s| s.name.as_str()).collect();
            if !services.is_empty() {
                side.push(frame::fact("services", &crate::text::list(&services, 8)));
            }
            let done =
                if kept.applied { "the plan was run; files and proofs are left" } else { "nothing was changed yet" };
            side.push(frame::fact("so far", done));
        }
        let question = if several {
            "Earlier set-ups were not finished. Go on with one?"
        } else {
            "An earlier set-up was not finished. Go on with it?"
        };
        let mut keys = vec![("Enter", "do it"), ("↑↓", "choose")];
        keys.extend(several.then_some(("d", "forget it")));
        keys.push(("q", "leave"));
        frame::Page {
            question: Line::new(question, Tone::Title),
            why: Line::new("Its answers were kept, passwords were not.", Tone::Dim),
            rows,
            at: Some(self.earlier_at),
            offset: 0,
            grid: None,
            side,
            keys,
        }
    }

    /// The answers that beginning anew puts away: those of this folder, where they are the only ones.
    fn replaces(&self) -> Option<&Kept> {
        match self.earlier.as_slice() {
            [(kept, true)] => Some(kept),
            _ => None,
        }
    }

    fn paste(&mut self, text: &str) {
        let text = text.trim_end_matches(['\r', '\n']);
        match self.step {
            _ if !self.earlier.is_empty() || self.help.is_some() => {}
            Step::Server => self.server_paste(text),
            Step::Connection => self.reach_paste(text),
            Step::Services => self.services_paste(text),
            Step::Plan => self.plan_paste(text),
            Step::There | Step::Access | Step::Files | Step::Proofs => {}
        }
    }

    /// Whether to go on with what was answered earlier.
    fn earlier_key(&mut self, key: Key) -> Vec<Effect> {
        let all = self.earlier.len();
        match key.code {
            Code::Up | Code::Char('k') => self.earlier_at = moved(self.earlier_at, -1, all + 1),
            Code::Down | Code::Char('j') | Code::Tab => self.earlier_at = moved(self.earlier_at, 1, all + 1),
            Code::Esc => self.say("q leaves", Tone::Dim),
            Code::Char('q') => return vec![Effect::Leave(Left::Done)],
            Code::Char('d') if all > 1 && self.earlier_at < all => {
                let (kept, _) = self.earlier.remove(self.earlier_at);
                self.fresh();
                return vec![Effect::Forget(Box::new(kept))];
            }
            Code::Enter if self.armed => {
                self.fresh();
                let replaced = self.replaces().cloned();
                let mut earlier = std::mem::take(&mut self.earlier);
                if self.earlier_at >= all {
                    let forget = replaced.map(|kept| Effect::Forget(Box::new(kept)));
                    let named = self.named.take().map(|conninfo| self.connect(conninfo, None, None));
                    return forget.into_iter().chain(named.into_iter().flatten()).collect();
                }
                let (kept, _) = earlier.remove(self.earlier_at);
                let url = kept.url.clone();
                self.resuming = Some(Step::of(&kept.step).min(Step::Plan));
                self.environment = careful(&kept.environment);
                self.draft = kept.draft.clone();
                self.drafted = true;
                self.applied = kept.applied;
                self.rest = kept.clone();
                let resume = Effect::Resume(Box::new(kept));
                let place = self.place_of(&url);
                return [resume].into_iter().chain(self.connect(url, place, None)).collect();
            }
            _ => {}
        }
        Vec::new()
    }
}

/// How careful to be, of a word that was written down.
fn careful(word: &str) -> Environment {
    let all = [Environment::Development, Environment::Staging, Environment::Production];
    // what nobody can read is taken most carefully
    all.into_iter().find(|e| e.word() == word).unwrap_or(Environment::Production)
}

/// The cursor after a step in a list of so many.
fn moved(at: usize, by: isize, all: usize) -> usize {
    at.saturating_add_signed(by).min(all.saturating_sub(1))
}

/// Up and down, as everywhere.
fn vertical(key: Key) -> Option<isize> {
    match (key.code, key.ctrl) {
        (Code::Up, _) | (Code::Char('p'), true) | (Code::Char('k'), false) => Some(-1),
        (Code::Down, _) | (Code::Char('n'), true) | (Code::Char('j'), false) => Some(1),
        (Code::PageUp, _) => Some(-10),
        (Code::PageDown, _) => Some(10),
        (Code::Home, _) => Some(isize::MIN),
        (Code::End, _) => Some(isize::MAX),
        _ => None,
    }
}

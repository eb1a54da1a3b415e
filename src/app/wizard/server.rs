//! Which server: one of those that were found, or one that is typed; and its password, where it wants one.

use std::sync::Arc;

use secrecy::SecretString;
use tui_input::Input;

use super::{
    Around, Effect, Left, Opened, Step, Trouble, Wizard,
    frame::{Page, Row, cell, fact, fault},
    moved, vertical,
};
use crate::{
    app::{
        act::Hidden,
        keymap::{Code, Key},
        overlay::{edit, insert},
        view::{Line, Tone},
    },
    policy::draft::Draft,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    at: usize,
    /// A connection string is being typed.
    typing: Option<Input>,
    /// A password is being typed.
    password: Option<Input>,
    /// The ticket of the connection that is tried.
    busy: Option<u64>,
    trouble: Option<Trouble>,
    /// What was found and is meant.
    place: Option<usize>,
}

impl State {
    /// A connection string or a password is being typed.
    pub(super) fn types(&self) -> bool {
        self.busy.is_none() && (self.typing.is_some() || self.password.is_some())
    }
}

/// What is written where somebody types.
const EXAMPLE: &str = "postgresql://USER@HOST/DATABASE";

impl Wizard {
    fn places(&self) -> usize {
        self.around.as_ref().map_or(0, |a| a.places.len())
    }

    /// What was found under this connection string: it may come with a password.
    pub(super) fn place_of(&self, conninfo: &str) -> Option<usize> {
        let places = self.around.as_ref().map(|a| a.places.as_slice()).unwrap_or_default();
        places.iter().position(|p| p.conninfo.as_deref() == Some(conninfo))
    }

    pub(super) fn found(&mut self, around: Arc<Around>) -> Vec<Effect> {
        // the cursor stays on what it was on: the line to type in is the last one
        let last = self.server.at >= self.places() && self.around.is_some();
        let first = around.places.iter().position(|p| p.answers && p.conninfo.is_some());
        self.server.at = if last { around.places.len() } else { first.unwrap_or(around.places.len()) };
        if around.places.is_empty() && self.server.typing.is_none() && self.server.busy.is_none() {
            self.server.typing = Some(Input::default());
        }
        self.around = Some(around);
        // somebody is asked for a password that has been found meanwhile
        let asked = self.server.password.as_ref().is_some_and(|p| p.value().is_empty()) && self.server.place.is_none();
        match self.place_of(&self.conninfo).filter(|_| asked) {
            Some(at) => self.connect(self.conninfo.clone(), Some(at), None),
            None => Vec::new(),
        }
    }

    /// Tries a server.
    pub(super) fn connect(&mut self, conninfo: String, place: Option<usize>, password: Option<Hidden>) -> Vec<Effect> {
        let ticket = self.ticket();
        self.conninfo.clone_from(&conninfo);
        self.server.busy = Some(ticket);
        self.server.place = place;
        self.server.trouble = None;
        self.server.password = None;
        self.fresh();
        vec![Effect::Open { ticket, conninfo, place, password }]
    }

    pub(super) fn answered(&mut self, ticket: u64, result: Result<Box<Opened>, Trouble>) -> Vec<Effect> {
        if self.server.busy != Some(ticket) {
            return Vec::new();
        }
        self.server.busy = None;
        self.fresh();
        let opened = match result {
            Ok(opened) => opened,
            Err(trouble) => {
                if trouble.wants_password {
                    self.server.password = Some(Input::default());
                } else if self.server.typing.is_none() && self.server.place.is_none() {
                    // what was named elsewhere can be mended here
                    self.server.typing = Some(Input::new(self.conninfo.clone()));
                }
                self.server.trouble = Some(trouble);
                return Vec::new();
            }
        };
        let same = |before: &Opened| {
            let (a, b) = (&before.snapshot.server, &opened.snapshot.server);
            a.database == b.database && a.system_identifier == b.system_identifier && a.started_at_us == b.started_at_us
        };
        let known = self.resuming.is_some() || self.opened.as_deref().is_some_and(same);
        if !known || !self.drafted {
            self.environment = opened.environment;
            self.draft = Draft::propose(&opened.snapshot, &opened.neighbours);
            self.drafted = true;
            self.applied = false;
            self.plan = super::plan::State::default();
            self.services = super::services::State::default();
            self.access = super::access::State::default();
        }
        self.conninfo.clone_from(&opened.url);
        self.draft.look(&opened.snapshot);
        self.opened = Some(opened);
        self.enter_reach();
        let to = self.resuming.take().unwrap_or(Step::Connection).max(Step::Connection);
        self.go(to)
    }

    pub(super) fn server_paste(&mut self, text: &str) {
        if self.server.busy.is_some() {
            return;
        }
        if let Some(input) = self.server.password.as_mut().or(self.server.typing.as_mut()) {
            insert(input, text);
        } else {
            self.server.at = self.places();
            let mut input = Input::default();
            insert(&mut input, text);
            self.server.typing = Some(input);
        }
    }

    pub(super) fn server_key(&mut self, key: Key) -> Vec<Effect> {
        if self.server.busy.is_some() {
            if key.code == Code::Esc {
                self.server.busy = None;
                self.resuming = None;
            }
            return Vec::new();
        }
        if let Some(input) = &mut self.server.password {
            match key.code {
                Code::Esc => {
                    self.server.password = None;
                    self.server.trouble = None;
                }
                // an empty one is none
                Code::Enter if self.armed && !input.value().is_empty() => {
                    let password = Hidden(Arc::new(SecretString::from(input.value().to_owned())));
                    let (conninfo, place) = (self.conninfo.clone(), self.server.place);
                    return self.connect(conninfo, place, Some(password));
                }
                Code::Enter => {}
                _ => {
                    edit(input, key);
                }
            }
            return Vec::new();
        }
        let places = self.places();
        if let Some(input) = &mut self.server.typing {
            match key.code {
                Code::Esc if places > 0 => {
                    self.server.typing = None;
                    self.server.trouble = None;
                }
                Code::Esc => return self.back(),
                Code::Up if places > 0 => {
                    self.server.typing = None;
                    self.server.at = places - 1;
                }
                Code::Enter => {
                    let typed = input.value().trim().to_owned();
                    if typed.is_empty() {
                        self.say("type a connection string, as psql takes one", Tone::Dim);
                        return Vec::new();
                    }
                    return self.connect(typed, None, None);
                }
                _ => {
                    if edit(input, key) {
                        self.server.trouble = None;
                    }
                }
            }
            return Vec::new();
        }
        if let Some(by) = vertical(key) {
            self.server.at = moved(self.server.at, by, self.places() + 1);
            self.server.trouble = None;
            return Vec::new();
        }
        match key.code {
            Code::Esc => self.back(),
            Code::Char('q') => vec![Effect::Leave(Left::Done)],
            Code::Char('r') => {
                self.around = None;
                vec![Effect::Look]
            }
            Code::Char('e') => {
                let written = self.here().map(|p| p.conninfo.clone().unwrap_or_default()).unwrap_or_default();
                self.server.typing = Some(Input::new(written));
                self.server.trouble = None;
                Vec::new()
            }
            Code::Enter => match self.here().map(|p| p.conninfo.clone()) {
                Some(Some(conninfo)) if self.here().is_some_and(|p| p.guessed) => {
                    self.server.typing = Some(Input::new(conninfo));
                    Vec::new()
                }
                Some(Some(conninfo)) => {
                    let at = self.server.at;
                    self.connect(conninfo, Some(at), None)
                }
                Some(None) => {
                    self.say("there is no way to it from here; e types how to reach it", Tone::Warning);
                    Vec::new()
                }
                None => {
                    self.server.typing = Some(Input::default());
                    Vec::new()
                }
            },
            _ => Vec::new(),
        }
    }

    fn here(&self) -> Option<&super::Place> {
        self.around.as_ref()?.places.get(self.server.at)
    }

    pub(super) fn server_page(&self) -> Page {
        let state = &self.server;
        let mut rows = Vec::new();
        let mut at = None;
        match &self.around {
            None => rows.push(Row::dim("◌ Looking at Compose files, containers, sockets and ports …")),
            Some(around) => {
                for (i, place) in around.places.iter().enumerate() {
                    let here = i == state.at && state.typing.is_none();
                    if here {
                        at = Some(rows.len());
                    }
                    let (glyph, tone) = if place.answers { ("● ", Tone::Good) } else { ("○ ", Tone::Dim) };
                    let left = Line::empty()
                        .known(glyph, tone)
                        .and(&cell(&place.name, 24), Tone::Strong)
                        .and(&place.state, if place.answers { Tone::Text } else { Tone::Dim });
                    rows.push(Row::choice(left, here));
                }
                let here = state.at >= around.places.len() && state.typing.is_none();
                if here {
                    at = Some(rows.len());
                }
                if state.typing.is_none() {
                    rows.push(Row::choice(Line::new("+ another: type a connection string", Tone::Text), here));
                }
            }
        }
        if let Some(input) = &state.typing {
            rows.push(Row::blank());
            at = Some(rows.len());
            let label = Line::new("▸ connection string  ", Tone::Strong);
            rows.push(Row::Field { label, input: input.clone(), ghost: EXAMPLE.to_owned() });
            if self.here().is_some_and(|p| p.guessed && p.conninfo.as_deref() == Some(input.value())) {
                rows.push(Row::Text(Line::new(
                    "  Role and database are a guess, nothing says them: put in yours, then Enter.",
                    Tone::Warning,
                )));
            }
            rows.push(Row::dim(
                "  What psql takes: a URL, host=… dbname=…, or service=NAME. Leave the password out: it is asked for.",
            ));
        }
        if state.busy.is_some() {
            rows.push(Row::blank());
            at = Some(rows.len());
            let line = Line::empty().known("◌ ", Tone::Accent).known("Connecting to ", Tone::Text);
            rows.push(Row::Text(line.and(&shown(&self.conninfo), Tone::Strong).known(" …", Tone::Text)));
        }
        if let Some(input) = &state.password {
            rows.push(Row::blank());
            let refused = state.trouble.as_ref().and_then(|t| t.lines.first()).cloned().unwrap_or_default();
            rows.push(Row::Text(Line::empty().known("▲ ", Tone::Warning).and(&refused, Tone::Warning)));
            at = Some(rows.len());
            let label = Line::new("▸ password  ", Tone::Strong);
            let covered = Input::new("•".repeat(input.value().chars().count())).with_cursor(input.cursor());
            rows.push(Row::Field { label, input: covered, ghost: "it is kept in memory only".to_owned() });
        } else if let Some(trouble) = &state.trouble {
            rows.push(Row::blank());
            let mut lines = trouble.lines.iter();
            let first = lines.next().map(String::as_str).unwrap_or_default();
            at = Some(rows.len());
            rows.extend(fault(first, ""));
            for line in lines {
                rows.push(Row::Text(Line::empty().known("  → ", Tone::Accent).and(line, Tone::Text)));
            }
        }
        let mut keys: Vec<(&'static str, &'static str)> = Vec::new();
        if state.busy.is_some() {
            keys.push(("Esc", "give up waiting"));
        } else if state.password.is_some() {
            keys.extend([("Enter", "connect"), ("Esc", "another server")]);
        } else if state.typing.is_some() {
            let leave = if self.places() > 0 { ("Esc", "back to the list") } else { ("Ctrl-C", "leave") };
            keys.extend([("Enter", "connect"), leave]);
        } else {
            keys.extend([("Enter", "connect"), ("↑↓", "choose"), ("e", "edit its address"), ("r", "look again")]);
            keys.push(("q", "leave"));
        }
        Page {
            question: Line::new("Which database do you want to set up?", Tone::Title),
            why: Line::new(
                "It is only read until you have seen every statement and confirmed it. Nothing that was found is run.",
                Tone::Dim,
            ),
            rows,
            at,
            offset: 0,
            grid: None,
            side: self.server_side(),
            keys,
        }
    }

    fn server_side(&self) -> Vec<Line> {
        let Some(around) = &self.around else { return Vec::new() };
        if self.resuming.is_some() {
            let mut side = vec![Line::new("Going on with", Tone::Title), fact("database", &shown(&self.conninfo))];
            let services: Vec<&str> = self.draft.chosen().map(|s| s.name.as_str()).collect();
            side.push(fact("services", &crate::text::list(&services, 8)));
            return side;
        }
        let mut side = vec![Line::new("Found", Tone::Title)];
        match self.here().filter(|_| self.server.typing.is_none()) {
            Some(place) => {
                let conninfo = place.conninfo.as_deref().unwrap_or("no address that works from here");
                side.push(Line::new(conninfo, Tone::Accent));
                side.extend(place.facts.iter().map(|(label, sentence)| fact(label, sentence)));
            }
            None => {
                side.extend(around.looked.iter().map(|l| Line::new(l, Tone::Dim)));
                side.push(Line::empty());
                side.push(
                    Line::new("No database at hand? ", Tone::Text)
                        .known("pgmoat demo", Tone::Accent)
                        .known(" starts a throwaway server to look at.", Tone::Text),
                );
            }
        }
        side
    }
}

/// A connection string without what could be a password in it.
fn shown(conninfo: &str) -> String {
    let Some((scheme, rest)) = conninfo.split_once("://") else {
        let plain = |word: &str| !word.trim_start().to_ascii_lowercase().starts_with("password");
        return conninfo.split(' ').filter(|w| plain(w)).collect::<Vec<_>>().join(" ");
    };
    let (before, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let user = before.split_once(':').map_or(before, |(user, _)| user);
    if user.is_empty() { format!("{scheme}://{place}") } else { format!("{scheme}://{user}@{place}") }
}

//! What the server is to its people: how careful to be here, and what it is called.

use tui_input::Input;

use super::{
    Effect, Step, Wizard,
    frame::{Page, Row, cell, fact, fault},
    moved,
};
use crate::{
    app::{
        compose::environment,
        keymap::{Code, Key},
        overlay::{edit, insert},
        view::{Line, Span, Tone},
    },
    config::target::Environment,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    /// Line: three of how careful to be, then the name.
    at: usize,
    input: Input,
}

impl State {
    /// The name is being typed.
    pub(super) fn types(&self) -> bool {
        self.at == CHOICES.len()
    }
}

const CHOICES: [(Environment, &str); 3] = [
    (Environment::Development, "a key confirms what changes it"),
    (Environment::Staging, "the same, and marked as staging"),
    (Environment::Production, "marked in red, and its name is typed before anything changes it"),
];

impl Wizard {
    pub(super) fn enter_reach(&mut self) {
        self.reach.at = CHOICES.iter().position(|(e, _)| *e == self.environment).unwrap_or(0);
        self.reach.input = Input::new(self.draft.name.clone());
    }

    /// What is wrong with the name.
    fn name_fault(&self) -> Option<&'static str> {
        let name = self.reach.input.value().trim();
        if name.is_empty() {
            return Some("an instance needs a name");
        }
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let elsewhere = |(taken, url): &(String, String)| taken == name && *url != self.conninfo;
        if self.taken.iter().any(elsewhere) {
            return Some("the configuration has an instance of that name, which leads elsewhere");
        }
        (!name.chars().all(plain)).then_some("letters, digits, - _ and . make a name that can be typed")
    }

    pub(super) fn reach_paste(&mut self, text: &str) {
        if self.reach.at == CHOICES.len() {
            insert(&mut self.reach.input, text);
        }
    }

    pub(super) fn reach_key(&mut self, key: Key) -> Vec<Effect> {
        let named = self.reach.at == CHOICES.len();
        let by = match (key.code, key.ctrl) {
            (Code::Up | Code::BackTab, _) => Some(-1),
            (Code::Down | Code::Tab, _) => Some(1),
            (Code::Char('k'), false) if !named => Some(-1),
            (Code::Char('j'), false) if !named => Some(1),
            _ => None,
        };
        if let Some(by) = by {
            self.reach.at = moved(self.reach.at, by, CHOICES.len() + 1);
            return Vec::new();
        }
        // what the cursor is on counts when it is taken, not when it is passed
        let here = CHOICES.get(self.reach.at).map(|(environment, _)| *environment);
        if matches!(key.code, Code::Enter | Code::Char(' ')) {
            self.environment = here.unwrap_or(self.environment);
        }
        match key.code {
            Code::Esc => self.back(),
            Code::Enter => match self.name_fault() {
                Some(_) => {
                    self.reach.at = CHOICES.len();
                    Vec::new()
                }
                None => {
                    self.draft.name = self.reach.input.value().trim().to_owned();
                    self.go(Step::There)
                }
            },
            Code::Char('q') if !named => self.leave(),
            _ => {
                if named {
                    edit(&mut self.reach.input, key);
                }
                Vec::new()
            }
        }
    }

    pub(super) fn reach_page(&self) -> Page {
        let mut rows = Vec::new();
        for (i, (choice, why)) in CHOICES.iter().enumerate() {
            let chosen = *choice == self.environment;
            let mark = if chosen { Span::known("◉ ", Tone::Accent) } else { Span::known("○ ", Tone::Dim) };
            let tone = if chosen { environment(*choice) } else { Tone::Text };
            let word = cell(choice.word(), 13);
            let left = Line(vec![mark]).and(word.trim_end(), tone);
            let gap = " ".repeat(word.len() - word.trim_end().len());
            rows.push(Row::choice(left.and(&gap, Tone::Text).known(why, Tone::Dim), self.reach.at == i));
        }
        rows.push(Row::blank());
        let named = self.reach.at == CHOICES.len();
        let at = if named { rows.len() } else { self.reach.at };
        if named {
            let label = Line::new("▸ called       ", Tone::Strong);
            rows.push(Row::Field { label, input: self.reach.input.clone(), ghost: String::new() });
        } else {
            rows.push(Row::Text(Line::new("  called       ", Tone::Text).and(self.reach.input.value(), Tone::Strong)));
        }
        rows.push(Row::dim("               The instance's name in the configuration and on the command line."));
        if let Some(why) = self.name_fault() {
            rows.extend(fault(why, ""));
        }
        Page {
            question: Line::new("You are connected. How careful should pgmoat be here?", Tone::Title),
            why: Line::new(
                "Every change is confirmed in any case; this says how, and how loudly it is marked.",
                Tone::Dim,
            ),
            rows,
            at: Some(at),
            offset: 0,
            grid: None,
            side: self.reach_side(),
            keys: vec![("Enter", "go on"), ("↑↓", "choose"), ("Space", "mark"), ("Esc", "back"), ("Ctrl-C", "leave")],
        }
    }

    fn reach_side(&self) -> Vec<Line> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let server = &opened.snapshot.server;
        let mut side = vec![Line::new("What this login may see", Tone::Title)];
        let role = if server.superuser { "a superuser" } else { "not a superuser" };
        side.push(fact("role", &format!("{}, {role}", server.current_user)));
        let kind = if server.in_recovery { "a standby: nothing can be changed here" } else { "primary" };
        side.push(fact(
            "server",
            &format!("PostgreSQL {}, {kind}", server.version.split(' ').next().unwrap_or_default()),
        ));
        let line = match (&server.tls, server.local) {
            (Some(tls), _) => format!("encrypted, {tls}"),
            (None, true) => "not encrypted, on this machine".to_owned(),
            (None, false) => "NOT encrypted, over a network".to_owned(),
        };
        side.push(fact("line", &line));
        for (tone, sentence) in &opened.sees {
            let glyph = match tone {
                Tone::Good => "✔ ",
                Tone::Warning => "▲ ",
                Tone::Error => "✖ ",
                _ => "· ",
            };
            side.push(Line(vec![Span::known(glyph, *tone)]).and(sentence, Tone::Text));
        }
        side
    }
}

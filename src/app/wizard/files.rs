//! The files that remember the answers: the policy and the entry of the configuration, shown before they are written.

use super::{
    Effect, Step, Text, Wizard,
    frame::{Page, Row},
};
use crate::{
    app::{
        keymap::{Code, Key},
        view::{Line, Span, Tone},
    },
    text,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    /// The ticket of what is awaited: the texts, or their being written.
    busy: Option<u64>,
    texts: Vec<Text>,
    /// Which is shown.
    at: usize,
    scroll: usize,
    trouble: Vec<String>,
}

impl Wizard {
    pub(super) fn enter_files(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        self.files = State { busy: Some(ticket), ..State::default() };
        vec![Effect::Files { ticket, kept: Box::new(self.kept()) }]
    }

    pub(super) fn files_shown(&mut self, ticket: u64, result: Result<Vec<Text>, Vec<String>>) -> Vec<Effect> {
        if self.files.busy != Some(ticket) {
            return Vec::new();
        }
        self.files.busy = None;
        self.fresh();
        match result {
            Ok(texts) => self.files.texts = texts,
            Err(why) => self.files.trouble = why,
        }
        Vec::new()
    }

    pub(super) fn written(&mut self, ticket: u64, result: Result<(), Vec<String>>) -> Vec<Effect> {
        if self.files.busy != Some(ticket) {
            return Vec::new();
        }
        self.files.busy = None;
        self.fresh();
        match result {
            Ok(()) => self.go(Step::Proofs),
            Err(why) => {
                self.files.trouble = why;
                Vec::new()
            }
        }
    }

    pub(super) fn files_key(&mut self, key: Key) -> Vec<Effect> {
        let lines = self.files.texts.get(self.files.at).map_or(0, |t| t.text.lines().count() + 2);
        if let Some(by) = super::vertical(key) {
            self.files.scroll = super::moved(self.files.scroll, by, lines);
            return Vec::new();
        }
        match key.code {
            Code::Esc => self.back(),
            Code::Char('q') => self.leave(),
            Code::Tab | Code::BackTab | Code::Right | Code::Left => {
                let all = self.files.texts.len().max(1);
                self.files.at = (self.files.at + 1) % all;
                self.files.scroll = 0;
                Vec::new()
            }
            Code::Char('y') => {
                let text = self.files.texts.get(self.files.at).map(|t| t.text.clone());
                self.say("copied", Tone::Dim);
                text.map(Effect::Copy).into_iter().collect()
            }
            Code::Enter if self.files.busy.is_none() && !self.files.trouble.is_empty() => self.enter_files(),
            Code::Enter if self.armed && self.files.busy.is_none() => {
                let ticket = self.ticket();
                self.files.busy = Some(ticket);
                vec![Effect::WriteFiles { ticket }]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn files_page(&self) -> Page {
        let state = &self.files;
        let mut rows = Vec::new();
        for (i, line) in state.trouble.iter().enumerate() {
            let (mark, tone) = if i == 0 { ("✖ ", Tone::Error) } else { ("  → ", Tone::Text) };
            rows.push(Row::Text(Line::empty().known(mark, tone).and(line, tone)));
        }
        if state.texts.is_empty() && state.trouble.is_empty() {
            rows.push(Row::dim("◌ Writing down what you answered …"));
        }
        for (i, file) in state.texts.iter().enumerate() {
            let here = i == state.at;
            let tone = if here { Tone::Strong } else { Tone::Text };
            let left = Line::new(&file.path, tone);
            let right = Line::new(&format!("{} ", file.what), if here { Tone::Accent } else { Tone::Dim });
            rows.push(Row::Choice { left, right, here });
        }
        if let Some(file) = state.texts.get(state.at) {
            rows.push(Row::blank());
            rows.extend(file.text.lines().map(|line| {
                let tone = if line.trim_start().starts_with('#') {
                    Tone::SqlComment
                } else if line.starts_with('[') {
                    Tone::Title
                } else {
                    Tone::Text
                };
                Row::Text(Line(vec![Span::safe(text::as_written(line).into_owned(), tone)]))
            }));
        }
        let mut keys = vec![("Enter", "write them"), ("Tab", "the other file"), ("↑↓", "read"), ("y", "copy")];
        if !state.trouble.is_empty() {
            keys = vec![("Enter", "try again")];
        }
        keys.extend([("Esc", "back"), ("q", "leave")]);
        Page {
            question: Line::new("These files remember it. Write them?", Tone::Title),
            why: Line::new(
                "The policy belongs to your project: put it under version control. No password is in either.",
                Tone::Dim,
            ),
            rows,
            at: None,
            offset: state.scroll,
            grid: None,
            side: Vec::new(),
            keys,
        }
    }
}

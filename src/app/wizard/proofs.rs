//! The end: what was tried and found to hold, and what the people of each service get.

use super::{
    Effect, Left, Proven, Wizard,
    frame::{Page, Row},
};
use crate::{
    app::{
        keymap::{Code, Key},
        view::{Line, Tone},
    },
    text,
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    busy: Option<u64>,
    proven: Proven,
    /// Which service's block is shown.
    at: usize,
    scroll: usize,
}

impl Wizard {
    pub(super) fn enter_proofs(&mut self) -> Vec<Effect> {
        let ticket = self.ticket();
        self.proofs = State { busy: Some(ticket), ..State::default() };
        vec![Effect::Prove { ticket }]
    }

    pub(super) fn proven(&mut self, ticket: u64, proven: Proven) -> Vec<Effect> {
        if self.proofs.busy == Some(ticket) {
            self.proofs.busy = None;
            self.proofs.proven = proven;
            self.fresh();
        }
        Vec::new()
    }

    fn forget(&self) -> Effect {
        Effect::Forget(Box::new(self.kept()))
    }

    pub(super) fn proofs_key(&mut self, key: Key) -> Vec<Effect> {
        if let Some(by) = super::vertical(key) {
            self.proofs.scroll = super::moved(self.proofs.scroll, by, self.proofs_page().rows.len());
            return Vec::new();
        }
        let block = self.proofs.proven.blocks.get(self.proofs.at);
        match key.code {
            Code::Esc => self.back(),
            Code::Char('q') => vec![self.forget(), Effect::Leave(Left::Done)],
            Code::Char('p') => vec![Effect::Remember],
            Code::Enter | Code::Char('o') if self.proofs.busy.is_none() => {
                vec![self.forget(), Effect::Leave(Left::Console)]
            }
            Code::Char('r') => self.enter_proofs(),
            Code::Tab | Code::Right => {
                self.proofs.at = (self.proofs.at + 1) % self.proofs.proven.blocks.len().max(1);
                Vec::new()
            }
            Code::BackTab | Code::Left => {
                let all = self.proofs.proven.blocks.len().max(1);
                self.proofs.at = (self.proofs.at + all - 1) % all;
                Vec::new()
            }
            Code::Char('y') => {
                let text = block.map(|b| b.text.clone());
                self.say("copied", Tone::Dim);
                text.map(Effect::Copy).into_iter().collect()
            }
            Code::Char('w') => {
                let written = block.map(|b| {
                    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
                    let name: String = b.service.chars().map(plain).take(63).collect();
                    Effect::Write { path: format!("pgmoat-handover-{name}.txt"), text: b.text.clone() }
                });
                written.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn proofs_page(&self) -> Page {
        let state = &self.proofs;
        let proven = &state.proven;
        let mut rows = Vec::new();
        if state.busy.is_some() {
            rows.push(Row::Text(
                Line::empty()
                    .known("◌ ", Tone::Accent)
                    .known("Logging in as each service, reading the matrix and the version tables again …", Tone::Text),
            ));
        }
        for proof in &proven.proofs {
            let (mark, tone) = match proof.holds {
                Some(true) => ("✔ ", Tone::Good),
                Some(false) => ("✖ ", Tone::Error),
                None => ("○ ", Tone::Dim),
            };
            rows.push(Row::Text(Line::empty().known(mark, tone).and(&proof.sentence, Tone::Text)));
            if let Some(remedy) = &proof.remedy {
                rows.push(Row::Text(Line::empty().known("  → ", Tone::Accent).and(remedy, Tone::Text)));
            }
        }
        if let Some(block) = proven.blocks.get(state.at) {
            let count = format!("  {} of {}", state.at + 1, proven.blocks.len());
            rows.push(Row::blank());
            let title = Line::new("Hand-over: ", Tone::Title).and(&block.service, Tone::Strong);
            rows.push(Row::Text(title.and(&count, Tone::Dim)));
            rows.push(Row::Text(match &block.file {
                Some(file) => Line::new("The URL with its password: ", Tone::Dim).and(file, Tone::Strong),
                None => Line::new("Its password is as it was.", Tone::Dim),
            }));
            rows.push(Row::blank());
            rows.extend(block.text.trim_end().lines().map(|l| Row::Text(Line::new(l, Tone::Text))));
        }
        let failing = proven.proofs.iter().filter(|p| p.holds == Some(false)).count();
        let left = self.draft.accepted.len();
        let question = match (state.busy, failing) {
            (Some(_), _) => Line::new("Does it hold?", Tone::Title),
            (None, 0) if left == 0 => Line::new("It is set up, and it holds.", Tone::Good),
            (None, 0) => {
                let left = text::count(left as u64, "thing is", "things are");
                Line::new(&format!("It is set up; what was tried holds, and {left} left for now."), Tone::Warning)
            }
            (None, 1) => Line::new("It is set up, but one thing does not hold yet.", Tone::Warning),
            (None, n) => Line::new(&format!("It is set up, but {n} things do not hold yet."), Tone::Warning),
        };
        Page {
            question,
            why: Line::new(
                "What was tried, and what to give to the people of each service. Passwords are in files that only you can read.",
                Tone::Dim,
            ),
            rows,
            at: None,
            offset: state.scroll,
            grid: None,
            side: Vec::new(),
            keys: vec![
                ("Enter", "console"),
                ("Tab", "next"),
                ("y", "copy block"),
                ("w", "write it"),
                ("r", "again"),
                ("p", "password to ~/.pgpass"),
                ("Esc", "back"),
                ("q", "leave"),
            ],
        }
    }
}

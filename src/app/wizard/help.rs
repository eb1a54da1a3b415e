//! What a question decides, and every key that works on its screen: told on request, over the question.

use super::{
    Step, Wizard,
    frame::{Page, Row},
    moved, vertical,
};
use crate::app::{
    keymap::{Code, Key},
    view::{Line, Tone},
};

/// Keys that work on every screen.
const EVERYWHERE: [(&str, &str); 3] = [
    ("Ctrl-C", "leaves; from the second question on the answers are kept"),
    ("Ctrl-Z", "gives the terminal back to the shell until `fg`"),
    ("Ctrl-L", "draws the whole screen anew"),
];

/// While it is told.
const KEYS: [(&str, &str); 2] = [("Esc", "back to the question"), ("↑↓", "read")];

impl Wizard {
    /// A text is being typed: a question mark is one of its characters.
    fn types(&self) -> bool {
        self.earlier.is_empty()
            && match self.step {
                Step::Server => self.server.types(),
                Step::Connection => self.reach.types(),
                Step::Services => self.services.types(),
                Step::Plan => self.plan.types(),
                Step::There | Step::Access | Step::Files | Step::Proofs => false,
            }
    }

    /// Every key is an answer to what is asked now.
    fn confirms(&self) -> bool {
        self.earlier.is_empty() && self.step == Step::Plan && self.plan.confirms()
    }

    /// The key that tells, as the footer names it.
    pub(super) fn asks_help(&self) -> Option<(&'static str, &'static str)> {
        match (self.help.is_some() || self.confirms(), self.types()) {
            (true, _) => None,
            (false, true) => Some(("F1", "help")),
            (false, false) => Some(("?", "help")),
        }
    }

    /// Takes a key that is about the help; false when it is the question's.
    pub(super) fn help_key(&mut self, key: Key) -> bool {
        let asks = key.code == Code::F(1) || key.code == Code::Char('?') && !self.types();
        let Some(scroll) = self.help else {
            if asks && !self.confirms() {
                self.help = Some(0);
                return true;
            }
            return false;
        };
        match vertical(key) {
            Some(by) => self.help = Some(moved(scroll, by, self.help_page(0).rows.len())),
            None if asks || matches!(key.code, Code::Esc | Code::Enter | Code::Char('q')) => {
                self.help = None;
                // what came meanwhile was not seen yet
                self.fresh();
            }
            None => {}
        }
        true
    }

    pub(super) fn help_page(&self, offset: usize) -> Page {
        let question = self.question_page();
        let (title, decides) = if self.earlier.is_empty() {
            (self.step.title(), self.step.decides())
        } else {
            ("Earlier set-ups", "Decides whether the answers of an earlier set-up are gone on with, or not.")
        };
        let key =
            |(key, does): (&str, &str)| Row::Text(Line::new(&format!("  {key:<14} "), Tone::Key).and(does, Tone::Text));
        let title_row = |words: &'static str| Row::Text(Line::empty().known(words, Tone::Title));
        let mut rows = vec![Row::Text(Line::new(decides, Tone::Text)), Row::blank(), title_row("Here")];
        rows.extend(question.keys.into_iter().map(key));
        rows.extend([Row::blank(), title_row("Everywhere")]);
        rows.extend(EVERYWHERE.into_iter().map(key));
        rows.push(key((if self.types() { "F1" } else { "? F1" }, "tells the keys, or closes this")));
        Page {
            question: Line::new(title, Tone::Title).known(": what it decides, and its keys", Tone::Dim),
            why: Line::empty(),
            rows,
            at: None,
            offset,
            grid: None,
            side: Vec::new(),
            keys: KEYS.to_vec(),
        }
    }
}

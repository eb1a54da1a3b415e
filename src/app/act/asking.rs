//! What nothing decides but a person: questions that a plan leaves open, answered with yes and no before it is made
//! again. Later questions may hang on earlier answers; when one of those is changed, they are asked anew.

use super::lines::indented;
use crate::{
    app::{
        view::{Line, Span, Tone},
        wrap::{hanging, wrap},
    },
    plan::moves::{Answers, Question},
    text,
};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    list: Vec<Asked>,
    /// The selected one.
    at: usize,
    /// How often a plan came back with questions.
    rounds: usize,
}

/// Some lines of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stretch {
    pub from: usize,
    pub lines: usize,
}

#[derive(Debug, Clone)]
struct Asked {
    question: Question,
    answer: Option<bool>,
    /// The answer that the last plan was made with.
    sent: Option<bool>,
    round: usize,
}

impl Asking {
    /// What a plan left open; answers given before come with it.
    pub fn add(&mut self, questions: Vec<Question>, before: &Answers) {
        self.rounds += 1;
        for question in questions {
            if self.list.iter().any(|a| a.question.about == question.about) {
                continue;
            }
            let answer = before.get(&question.about).copied();
            self.list.push(Asked { question, answer, sent: None, round: self.rounds });
        }
        self.find_open();
    }

    /// How many have no answer.
    #[must_use]
    pub fn open(&self) -> usize {
        self.list.iter().filter(|a| a.answer.is_none()).count()
    }

    /// Selects the first one without an answer, where there is one.
    pub fn find_open(&mut self) {
        if let Some(at) = self.list.iter().position(|a| a.answer.is_none()) {
            self.at = at;
        }
    }

    /// Answers the selected one, and goes on to the next that is open.
    pub fn answer(&mut self, yes: bool) {
        if let Some(asked) = self.list.get_mut(self.at) {
            asked.answer = Some(yes);
        }
        let open = |a: &Asked| a.answer.is_none();
        let after = self.list.iter().skip(self.at).position(open).map(|i| i + self.at);
        if let Some(next) = after.or_else(|| self.list.iter().position(open)) {
            self.at = next;
        }
    }

    /// Answers all that are open.
    pub fn answer_rest(&mut self, yes: bool) {
        for asked in &mut self.list {
            asked.answer.get_or_insert(yes);
        }
    }

    pub fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.list.len().saturating_sub(1));
    }

    /// Everything that was answered, for the next plan. What was asked because of an answer that is another one now is
    /// forgotten: it is asked again if it still matters.
    pub fn settled(&mut self) -> Answers {
        let changed = self.list.iter().filter(|a| a.sent.is_some() && a.sent != a.answer).map(|a| a.round).min();
        if let Some(round) = changed {
            self.list.retain(|a| a.round <= round);
        }
        for asked in &mut self.list {
            asked.sent = asked.answer;
        }
        self.at = self.at.min(self.list.len().saturating_sub(1));
        self.answers()
    }

    /// Everything that was answered.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.list.iter().filter_map(|a| Some((a.question.about.clone(), a.answer?))).collect()
    }

    /// All questions as lines of `width` cells, and where the selected one stands among them.
    #[must_use]
    pub fn lines(&self, width: usize) -> (Vec<Line>, Stretch) {
        let count = text::count(self.list.len() as u64, "thing", "things");
        let intro = Line::new(&count, Tone::Strong).known(
            if self.list.len() == 1 {
                " is not decided by the database or the scripts. Nothing is guessed: say what is right."
            } else {
                " are not decided by the database or the scripts. Nothing is guessed: say what is right."
            },
            Tone::Text,
        );
        let mut lines = wrap(&intro, width);
        lines.push(Line::empty());
        let mut selected = Stretch::default();
        for (i, asked) in self.list.iter().enumerate() {
            let from = lines.len();
            let (word, tone) = match asked.answer {
                Some(true) => ("yes", Tone::Good),
                Some(false) => ("no", Tone::Missing),
                None => ("?", Tone::Warning),
            };
            let here = i == self.at;
            let mark = Span::known(if here { "▸ " } else { "  " }, Tone::Accent);
            let line = Line(vec![mark]).and(&format!("{word:<5}"), tone);
            let line = line.and(&asked.question.sentence, if here { Tone::Strong } else { Tone::Text });
            lines.extend(hanging(&line, width, 7));
            if here {
                let flag = Line::new("yes on the command line: ", Tone::Dim).and(&asked.question.flag, Tone::Dim);
                lines.extend(hanging(&indented(7, flag), width, 7));
                selected = Stretch { from, lines: lines.len() - from };
            }
        }
        (lines, selected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(about: &str) -> Question {
        Question { about: about.into(), sentence: format!("Does {about} go?"), flag: format!("--rows {about}") }
    }

    #[test]
    fn what_hangs_on_a_changed_answer_is_asked_again() {
        let mut asking = Asking::default();
        asking.add(vec![question("a"), question("b")], &Answers::new());
        assert_eq!(asking.open(), 2);
        asking.answer(true);
        assert_eq!(asking.at, 1, "on to the next");
        asking.answer(false);
        assert_eq!(asking.settled(), Answers::from([("a".into(), true), ("b".into(), false)]));
        asking.add(vec![question("c")], &Answers::new());
        assert_eq!((asking.at, asking.open()), (2, 1));
        asking.answer(true);
        assert_eq!(asking.settled().len(), 3);
        asking.step(-9);
        asking.answer(false);
        assert_eq!(asking.settled(), Answers::from([("a".into(), false), ("b".into(), false)]), "c hung on a");
    }

    #[test]
    fn answers_of_before_are_shown_and_can_be_changed() {
        let mut asking = Asking::default();
        asking.add(vec![question("a"), question("b")], &Answers::from([("b".into(), true)]));
        assert_eq!((asking.open(), asking.at), (1, 0));
        asking.answer_rest(false);
        assert_eq!(asking.answers(), Answers::from([("a".into(), false), ("b".into(), true)]));
        let (lines, selected) = asking.lines(40);
        let text: Vec<String> = lines.iter().map(Line::plain).collect();
        assert!(text[selected.from].contains("Does a go?"), "{text:#?}");
        assert!(lines.iter().all(|l| l.width() <= 40), "{text:#?}");
    }
}

//! Sentences of toned words: built piece by piece from our words and strangers' names, and folded to a width.
//! Knows lines and spans, nothing of what they speak of.

use crate::{
    app::view::{Line, Span, Tone},
    text,
};

/// Cells a name may take inside a sentence: room for every honest name (63 bytes), not for hundreds of escapes.
const NAME_CELLS: usize = 64;

/// A sentence in the making.
#[derive(Debug, Clone, Default)]
pub struct Prose(Line);

impl Prose {
    #[must_use]
    pub fn new() -> Prose {
        Prose::default()
    }
    /// Our own words.
    #[must_use]
    pub fn say(self, words: &'static str) -> Prose {
        self.span(Span::known(words, Tone::Text))
    }
    /// Our own words, of less weight.
    #[must_use]
    pub fn dim(self, words: &'static str) -> Prose {
        self.span(Span::known(words, Tone::Dim))
    }
    /// Our own words in a tone.
    #[must_use]
    pub fn toned(self, words: &'static str, tone: Tone) -> Prose {
        self.span(Span::known(words, tone))
    }
    /// A name of the server: strong, escaped, cut when it is made of escapes.
    #[must_use]
    pub fn name(mut self, name: &str) -> Prose {
        self.0.0.extend(fitted(Span::new(name, Tone::Strong), NAME_CELLS));
        self
    }
    /// Names with commas and `and`; beyond `most` they are counted.
    #[must_use]
    pub fn names<S: AsRef<str>>(mut self, names: &[S], most: usize) -> Prose {
        let shown = names.len().min(most.max(1));
        let rest = names.len() - shown;
        for (i, name) in names.iter().take(shown).enumerate() {
            if i > 0 {
                self = self.say(if i + 1 == shown && rest == 0 { " and " } else { ", " });
            }
            self = self.name(name.as_ref());
        }
        if rest > 0 {
            self = self.text(&format!(" and {rest} more"));
        }
        self
    }
    /// A text that may hold names or numbers, escaped.
    #[must_use]
    pub fn text(self, text: &str) -> Prose {
        self.and(text, Tone::Text)
    }
    /// A text that may hold names or numbers, escaped, in a tone.
    #[must_use]
    pub fn and(self, text: &str, tone: Tone) -> Prose {
        self.span(Span::new(text, tone))
    }
    #[must_use]
    pub fn span(mut self, span: Span) -> Prose {
        self.0.0.push(span);
        self
    }
    #[must_use]
    pub fn line(self) -> Line {
        self.0
    }
}

impl From<Prose> for Line {
    fn from(prose: Prose) -> Line {
        prose.0
    }
}

/// Folds one line at blanks to at most `width` cells; following lines are indented by `hang` blanks. A word wider than
/// a line is cut.
#[must_use]
pub fn fold(line: &Line, width: usize, hang: usize) -> Vec<Line> {
    let hang = if width > hang + 8 { hang } else { 0 };
    if line.width() <= width {
        return vec![line.clone()];
    }
    let mut lines = Vec::new();
    let mut now = Line::empty();
    let mut used = 0;
    let mut word: Vec<Span> = Vec::new();
    let mut put = |word: &mut Vec<Span>| {
        let cells: usize = word.iter().map(Span::width).sum();
        let trailing = word.last().map_or(0, |s| s.width() - trimmed(s.clone()).width());
        if used > 0 && used + cells - trailing > width {
            lines.push(trim(std::mem::take(&mut now)));
            used = if hang > 0 && !lines.is_empty() {
                now.0.push(Span::new(&" ".repeat(hang), Tone::Text));
                hang
            } else {
                0
            };
        }
        for span in word.drain(..) {
            let room = width.saturating_sub(used);
            if trimmed(span.clone()).width() > room {
                if room > 0 {
                    let fits = fitted(trimmed(span), room);
                    used += fits.iter().map(Span::width).sum::<usize>();
                    now.0.extend(fits);
                }
            } else {
                used += span.width();
                now.0.push(span);
            }
        }
    };
    for span in &line.0 {
        for piece in words(span) {
            let ends = piece.text().ends_with(' ');
            word.push(piece);
            if ends {
                put(&mut word);
            }
        }
    }
    put(&mut word);
    if !now.0.is_empty() {
        lines.push(trim(now));
    }
    lines
}

/// Folds all lines and keeps at most `most`; the last one says by `…` that there was more.
#[must_use]
pub fn block(lines: &[Line], width: u16, most: usize) -> Vec<Line> {
    let width = usize::from(width);
    let mut out: Vec<Line> = lines.iter().flat_map(|line| fold(line, width, 2)).collect();
    if out.len() > most {
        out.truncate(most);
        if let Some(last) = out.last_mut() {
            let mut line = cut(std::mem::take(last), width.saturating_sub(2));
            line.0.push(Span::known(" …", Tone::Dim));
            *last = line;
        }
    }
    out.into_iter().map(|line| cut(line, width)).collect()
}

/// Cuts one line to at most `cells` cells.
#[must_use]
pub fn cut(line: Line, cells: usize) -> Line {
    if line.width() <= cells {
        return line;
    }
    let mut room = cells;
    let mut out = Line::empty();
    for span in line.0 {
        if room == 0 {
            break;
        }
        for span in fitted(span, room) {
            room = room.saturating_sub(span.width());
            out.0.push(span);
        }
    }
    out
}

/// The span cut to at most `cells` cells, with `…` for what is missing.
fn fitted(span: Span, cells: usize) -> Vec<Span> {
    if span.width() <= cells {
        return vec![span];
    }
    let bytes = text::fit(span.text(), cells).trim_end_matches('…').len();
    let mut out = vec![span.part(0..bytes)];
    if cells > 0 {
        out.push(Span::known("…", span.tone));
    }
    out
}

/// Its words, each with the blanks behind it.
fn words(span: &Span) -> impl Iterator<Item = Span> {
    let mut at = 0;
    span.text().split_inclusive(' ').map(move |word| {
        at += word.len();
        span.part(at - word.len()..at)
    })
}

/// The span without blanks at its end.
fn trimmed(span: Span) -> Span {
    if span.text().ends_with(' ') { span.part(0..span.text().trim_end_matches(' ').len()) } else { span }
}

fn trim(mut line: Line) -> Line {
    if let Some(last) = line.0.pop() {
        line.0.push(trimmed(last));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_keeps_words_and_tones_and_width() {
        let line = Prose::new().say("the schema ").name("langflow").say(", owned by ").name("langflow_app").line();
        let folded = fold(&line, 20, 2);
        assert!(folded.iter().all(|l| l.width() <= 20), "{folded:?}");
        let plain: Vec<String> = folded.iter().map(Line::plain).collect();
        assert_eq!(plain, ["the schema langflow,", "  owned by", "  langflow_app"], "a comma stays with its word");
        assert!(folded[2].0.iter().any(|s| s.tone == Tone::Strong && s.text() == "langflow_app"));
    }

    #[test]
    fn a_word_wider_than_the_line_is_cut_not_lost() {
        let line = Prose::new().say("see ").name(&"x".repeat(60)).line();
        let folded = fold(&line, 20, 2);
        assert!(folded.iter().all(|l| l.width() <= 20));
        assert!(folded.last().unwrap().plain().ends_with('…'));
    }

    #[test]
    fn escapes_survive_folding_once() {
        let line = Prose::new().say("role ").name("a\u{1b}[2J b\\c").line();
        let plain: String = fold(&line, 12, 0).iter().map(Line::plain).collect::<Vec<_>>().join(" ");
        assert_eq!(plain, "role a\\u{1b}[2J b\\\\c");
    }

    #[test]
    fn a_block_says_that_there_was_more() {
        let lines: Vec<Line> = (0..9).map(|i| Line::new(&format!("line {i}"), Tone::Text)).collect();
        let shown = block(&lines, 30, 4);
        assert_eq!(shown.len(), 4);
        assert!(shown[3].plain().ends_with('…'));
        assert_eq!(block(&lines, 30, 9).len(), 9);
    }

    #[test]
    fn lists_of_names_read_as_sentences() {
        assert_eq!(Prose::new().names(&["a", "b", "c"], 5).line().plain(), "a, b and c");
        assert_eq!(Prose::new().names(&["a", "b", "c"], 2).line().plain(), "a, b and 1 more");
    }
}

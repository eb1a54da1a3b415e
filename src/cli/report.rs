//! The only place that prints. Standard output carries data, standard error is for people.
//!
//! Human text goes through [`crate::text::safe`], JSON through [`crate::text::json`]. A reader that went away (a broken
//! pipe) is no error: what follows is dropped, [`Report::gone`] says so to whoever streams, and the exit code stays what
//! the answer made it.

use std::{
    borrow::Cow,
    io::{self, BufWriter, IsTerminal, Write},
};

use serde::Serialize;

use super::failure::Failure;
use crate::{app::view::Tone, plan::sql::printable, text};

/// Where a command's answer goes. See the module.
pub struct Report {
    out: BufWriter<Box<dyn Write + Send>>,
    colour: bool,
    width: Option<usize>,
    gone: bool,
}

impl Report {
    /// Standard output, in colour when that is a terminal that has them and nobody said no.
    #[must_use]
    pub fn stdout(no_color: bool) -> Report {
        let terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let width = terminal.then(|| crossterm::terminal::size().ok()).flatten().map(|(w, _)| usize::from(w));
        Report {
            out: BufWriter::with_capacity(1 << 16, Box::new(io::stdout())),
            colour: terminal && !no_color && !set("NO_COLOR") && !dumb,
            width,
            gone: false,
        }
    }

    /// Somewhere else, without colour: a file, or a test's buffer.
    pub fn to(out: impl Write + Send + 'static) -> Report {
        Report { out: BufWriter::with_capacity(1 << 16, Box::new(out)), colour: false, width: None, gone: false }
    }

    /// True once nobody reads any more: streaming may stop.
    #[must_use]
    pub fn gone(&self) -> bool {
        self.gone
    }

    /// Cells of the terminal; `None` when it is none, and lines are not wrapped.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Starts a line of human text; finish it with [`Words::end`].
    pub fn line(&mut self) -> Words<'_> {
        Words { report: self, text: String::new() }
    }

    /// An empty line.
    ///
    /// # Errors
    /// Standard output cannot be written, for another reason than a reader that went away.
    pub fn blank(&mut self) -> Result<(), Failure> {
        self.raw("\n")
    }

    /// One line of our own words around escaped texts.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn say(&mut self, words: &str) -> Result<(), Failure> {
        self.line().text(words).end()
    }

    /// A paragraph, indented by blanks and wrapped on a terminal.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn paragraph(&mut self, indent: usize, label: &str, words: &str, tone: Tone) -> Result<(), Failure> {
        let label = &text::safe(label);
        let room = self.width.map_or(usize::MAX, |w| w.saturating_sub(indent + text::width(label)).max(24));
        let hang = " ".repeat(indent + text::width(label));
        for (i, part) in wrap(&text::safe(words), room).into_iter().enumerate() {
            if i == 0 {
                let line = self.line().known(&" ".repeat(indent)).painted(label, Tone::Dim);
                line.painted(part, tone).end()?;
            } else {
                self.line().known(&hang).painted(part, tone).end()?;
            }
        }
        Ok(())
    }

    /// Lines of SQL, indented.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn sql(&mut self, indent: usize, sql: &str) -> Result<(), Failure> {
        for part in printable(sql).split('\n') {
            let part = if part.chars().any(text::is_unsafe) { text::safe(part) } else { part.into() };
            let part = part.as_ref();
            self.line().known(&" ".repeat(indent)).painted(part, Tone::Accent).end()?;
        }
        Ok(())
    }

    /// A finished JSON value, pretty, with a line feed.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.json_part(value, true)?;
        self.raw("\n")
    }

    /// A JSON value inside a document that the caller writes piece by piece with [`Report::raw`].
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn json_part(&mut self, value: &impl Serialize, pretty: bool) -> Result<(), Failure> {
        let sink = Escaping(self);
        let written =
            if pretty { serde_json::to_writer_pretty(sink, value) } else { serde_json::to_writer(sink, value) };
        written.map_err(|e| Failure::from(io::Error::from(e)))
    }

    /// Text that is already what it should be: made by a formatter of ours, escaped by the caller.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes()).map_err(Failure::from)
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.gone {
            return Ok(());
        }
        let done = self.out.flush();
        self.forgive(done).map_err(Failure::from)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let done = self.out.write_all(bytes);
        self.forgive(done)
    }

    fn forgive(&mut self, done: io::Result<()>) -> io::Result<()> {
        match done {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            other => other,
        }
    }
}

/// Escapes what acts inside JSON while it streams. `serde_json` hands over whole pieces of UTF-8, never half a character.
struct Escaping<'a>(&'a mut Report);

impl Write for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nearly every piece is plain: looking at its bytes is much cheaper than at its characters.
        if bytes.iter().all(|b| matches!(b, b' '..=b'~' | b'\n')) {
            self.0.bytes(bytes)?;
            return Ok(bytes.len());
        }
        let piece = std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.0.bytes(text::json(piece).as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One line of human text in the making.
pub struct Words<'a> {
    report: &'a mut Report,
    text: String,
}

impl Words<'_> {
    /// Text of unknown origin: escaped.
    #[must_use]
    pub fn text(self, words: &str) -> Self {
        let safe = text::safe(words).into_owned();
        self.known(&safe)
    }
    /// Text that is safe already.
    #[must_use]
    pub fn known(mut self, words: &str) -> Self {
        self.text.push_str(words);
        self
    }
    /// Text of unknown origin in a tone.
    #[must_use]
    pub fn tone(self, words: &str, tone: Tone) -> Self {
        let safe = text::safe(words).into_owned();
        self.painted(&safe, tone)
    }
    /// Safe text in a tone.
    #[must_use]
    pub fn painted(mut self, words: &str, tone: Tone) -> Self {
        match colour_code(tone).filter(|_| self.report.colour && !words.is_empty()) {
            Some(code) => {
                for part in ["\u{1b}[", code, "m", words, "\u{1b}[0m"] {
                    self.text.push_str(part);
                }
            }
            None => self.text.push_str(words),
        }
        self
    }
    /// Safe text padded to a number of cells.
    #[must_use]
    pub fn cell(self, words: &str, cells: usize, tone: Tone) -> Self {
        let pad = " ".repeat(cells.saturating_sub(text::width(words)));
        self.painted(words, tone).known(&pad)
    }
    /// Writes the line, without blanks at its end.
    ///
    /// # Errors
    /// As [`Report::blank`].
    pub fn end(self) -> Result<(), Failure> {
        let line = self.text.trim_end_matches(' ');
        self.report.raw(line)?;
        self.report.raw("\n")
    }
}

/// The terminal's own colours, which people have already chosen to be readable.
const fn colour_code(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Text | Tone::SqlName => None,
        Tone::Dim | Tone::BarRest | Tone::SqlComment | Tone::Superuser => Some("2"),
        Tone::Strong | Tone::Title => Some("1"),
        Tone::Accent | Tone::Key | Tone::Bar | Tone::SqlKeyword => Some("36"),
        Tone::Good | Tone::Development | Tone::SqlString => Some("32"),
        Tone::Info => Some("34"),
        Tone::Warning | Tone::Staging | Tone::Missing | Tone::Unknown => Some("33"),
        Tone::Error | Tone::Excess | Tone::Production => Some("31"),
        Tone::Critical => Some("1;31"),
    }
}

/// Breaks safe text at blanks so that each part has at most `room` cells; a longer word stays whole.
fn wrap(words: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = words;
    while text::width(rest) > room {
        let mut used = 0;
        let mut cut = None;
        for (i, c) in rest.char_indices() {
            if c == ' ' && (used <= room || cut.is_none()) {
                cut = Some(i);
            }
            used += text::width(c.encode_utf8(&mut [0; 4]));
            if used > room && cut.is_some() {
                break;
            }
        }
        let Some((head, tail)) = cut.and_then(|i| rest.split_at_checked(i)) else { break };
        parts.push(head);
        rest = tail.trim_start_matches(' ');
    }
    parts.push(rest);
    parts
}

/// Says something to a person, on standard error: one line, escaped. Nothing can be done when that fails.
pub fn note(words: &str) {
    let mut line: Cow<'_, str> = text::safe(words);
    line.to_mut().push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints an error, once: the sentence, then what to do on a line of its own.
pub fn failure(failure: &Failure) {
    note(&format!("pgmoat: {}", failure.message));
    failure.lines.iter().for_each(|line| note(line));
    if let Some(remedy) = &failure.remedy {
        note(&sentence(remedy));
    }
}

/// A remedy as a sentence: layers below write it without a capital and a full stop, because they put it into others.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if out.ends_with(|c: char| c.is_alphabetic() || matches!(c, '`' | ')')) {
        out.push('.');
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A buffer that a test keeps while a report writes to it.
    #[derive(Clone, Default)]
    pub struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        let mut report = Report::to(Closed);
        assert_eq!(report.raw("x"), Ok(()));
        assert_eq!(report.flush(), Ok(()));
        assert!(report.gone());
        let mut report = Report::to(Full);
        report.raw("x").unwrap();
        assert!(report.flush().is_err());
    }

    #[test]
    fn what_acts_on_a_terminal_never_gets_out() {
        let kept = Kept::default();
        let mut report = Report::to(kept.clone());
        report.say("a\u{1b}[2J\u{202e}b").unwrap();
        report.json(&serde_json::json!({ "k\u{202e}": "a\u{1b}[2J\u{9b}" })).unwrap();
        report.paragraph(2, "Why: ", "x\u{200b}y", Tone::Text).unwrap();
        report.sql(2, "select 1 as \"\u{1b}\";\n-- \u{202e}").unwrap();
        report.flush().unwrap();
        let text = kept.text();
        assert!(text.chars().all(|c| c == '\n' || !text::is_unsafe(c)), "{text:?}");
        let json = text.lines().skip(1).take(3).collect::<String>();
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back, serde_json::json!({ "k\u{202e}": "a\u{1b}[2J\u{9b}" }));
    }

    #[test]
    fn a_remedy_becomes_a_sentence() {
        assert_eq!(sentence("did you mean `x`?"), "Did you mean `x`?");
        assert_eq!(sentence("name one: a, b"), "Name one: a, b.");
        assert_eq!(sentence("  npm pack pg@18.4"), "  npm pack pg@18.4");
        assert_eq!(sentence("-w never asks"), "-w never asks.");
    }

    #[test]
    fn paragraphs_wrap_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("verylongword x", 4), ["verylongword", "x"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("a b", usize::MAX), ["a b"]);
    }
}

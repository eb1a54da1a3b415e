//! What a terminal sends, as keys: bytes in, keys, pastes and mouse out. Written here rather than taken from the
//! terminal library because that one reads on for ever from a terminal that is gone, and because a slow line splits the
//! bytes of one key: `ESC`, a pause, `[A` must not become three keys.
//!
//! Time is an argument; the caller reads the bytes.

use crate::app::{
    Mouse, MouseKind,
    keymap::{Code, Key},
};

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Key(Key),
    Mouse(Mouse),
    Paste(String),
}

/// After this long without another byte an escape character was the Esc key, milliseconds.
const ESC_MS: u64 = 40;
/// How long after that the rest of a split key may still come, and how long an unfinished sequence is waited for.
const LATE_MS: u64 = 1000;
/// Longest control sequence that is looked at, bytes; a longer one is swallowed.
const LONGEST: usize = 64;
/// Longest paste that is taken, bytes; the rest is dropped.
const LONGEST_PASTE: usize = 1 << 20;
/// Ends a paste.
const PASTE_END: &[u8] = b"\x1b[201~";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// An escape character came.
    Escape,
    /// `ESC [`, and the bytes after it.
    Sequence,
    /// `ESC O`.
    Single,
    /// `ESC [ [` of the Linux console.
    Console,
    /// `ESC ]`, `ESC P` and the like: answers of the terminal, up to their end.
    Words,
    /// An escape character inside those.
    WordsEscape,
    Paste,
    /// The rest of a character of several bytes.
    Character(u8),
    /// Three bytes of an old mouse report.
    OldMouse(u8),
}

/// See the module.
#[derive(Debug)]
pub struct Parser {
    state: State,
    bytes: Vec<u8>,
    /// When the last byte came.
    at_ms: u64,
    /// Esc was told at that time: what follows may be the rest of its sequence.
    told_esc_ms: Option<u64>,
    /// The sequence began without its escape character, which was told already.
    resumed: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Parser { state: State::Ground, bytes: Vec::new(), at_ms: 0, told_esc_ms: None, resumed: false }
    }
}

impl Parser {
    /// Takes bytes that came at a time.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64) -> Vec<Event> {
        let mut out = Vec::new();
        self.idle(now_ms, &mut out);
        self.at_ms = now_ms;
        for byte in bytes {
            self.byte(*byte, &mut out);
        }
        out
    }

    /// The time is up: decides what an unfinished sequence was.
    pub fn elapsed(&mut self, now_ms: u64) -> Vec<Event> {
        let mut out = Vec::new();
        self.idle(now_ms, &mut out);
        out
    }

    /// When [`Parser::elapsed`] should be called if nothing comes before.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        match self.state {
            State::Ground | State::Paste => None,
            State::Escape => Some(self.at_ms + ESC_MS),
            State::Sequence | State::Single if self.resumed && self.bytes.is_empty() => Some(self.at_ms + ESC_MS),
            State::Sequence
            | State::Single
            | State::Console
            | State::Words
            | State::WordsEscape
            | State::Character(_)
            | State::OldMouse(_) => Some(self.at_ms + LATE_MS),
        }
    }

    fn idle(&mut self, now_ms: u64, out: &mut Vec<Event>) {
        if self.deadline_ms().is_none_or(|d| now_ms < d) {
            return;
        }
        match self.state {
            State::Escape => {
                out.push(key(Code::Esc));
                self.told_esc_ms = Some(now_ms);
            }
            // it was the key itself after all
            State::Sequence if self.resumed && self.bytes.is_empty() => out.push(key(Code::Char('['))),
            State::Single if self.resumed && self.bytes.is_empty() => out.push(key(Code::Char('O'))),
            State::Ground
            | State::Sequence
            | State::Single
            | State::Console
            | State::Words
            | State::WordsEscape
            | State::Paste
            | State::Character(_)
            | State::OldMouse(_) => {}
        }
        self.ground();
    }

    fn ground(&mut self) {
        self.state = State::Ground;
        self.bytes.clear();
        self.resumed = false;
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<Event>) {
        match self.state {
            State::Ground => self.first(byte, out),
            State::Escape => self.after_escape(byte, out),
            State::Sequence => match byte {
                b'[' if self.bytes.is_empty() && !self.resumed => self.state = State::Console,
                0x40..=0x7E => {
                    if self.bytes.len() <= LONGEST {
                        self.sequence(byte, out);
                    } else {
                        self.ground();
                    }
                }
                0x1B => {
                    self.ground();
                    self.state = State::Escape;
                }
                _ if self.bytes.len() <= LONGEST => self.bytes.push(byte),
                _ => {}
            },
            State::Single => {
                let code = match byte {
                    b'P'..=b'S' => Some(Code::F(byte - b'P' + 1)),
                    b'M' => Some(Code::Enter),
                    _ => arrow(byte),
                };
                out.extend(code.map(key));
                self.ground();
            }
            State::Console => {
                out.extend((b'A'..=b'E').contains(&byte).then(|| key(Code::F(byte - b'A' + 1))));
                self.ground();
            }
            State::Words => match byte {
                0x07 => self.ground(),
                0x1B => self.state = State::WordsEscape,
                _ => {}
            },
            State::WordsEscape => match byte {
                b'\\' => self.ground(),
                0x1B => {}
                _ => self.state = State::Words,
            },
            State::Paste => {
                self.bytes.push(byte);
                if self.bytes.ends_with(PASTE_END) {
                    self.bytes.truncate(self.bytes.len() - PASTE_END.len());
                    out.push(Event::Paste(String::from_utf8_lossy(&self.bytes).into_owned()));
                    self.ground();
                } else if self.bytes.len() > LONGEST_PASTE {
                    // keeps what may be the beginning of the end
                    let keep = self.bytes.len() - PASTE_END.len();
                    self.bytes.remove(keep.saturating_sub(1));
                }
            }
            State::Character(left) => {
                if byte & 0xC0 != 0x80 {
                    self.ground();
                    return self.byte(byte, out);
                }
                self.bytes.push(byte);
                if left > 1 {
                    self.state = State::Character(left - 1);
                    return;
                }
                let c = std::str::from_utf8(&self.bytes).ok().and_then(|s| s.chars().next());
                self.ground();
                out.extend(c.map(|c| key(Code::Char(c))));
            }
            State::OldMouse(left) => {
                if left > 1 {
                    self.state = State::OldMouse(left - 1);
                } else {
                    self.ground();
                }
            }
        }
    }

    fn first(&mut self, byte: u8, out: &mut Vec<Event>) {
        // the rest of a sequence whose escape character was taken for the key
        let late = self.told_esc_ms.take().is_some_and(|t| self.at_ms <= t + LATE_MS);
        match byte {
            b'[' | b'O' if late => {
                self.resumed = true;
                self.state = if byte == b'[' { State::Sequence } else { State::Single };
            }
            0x1B => self.state = State::Escape,
            0x00 => out.push(Event::Key(Key::ctrl(' '))),
            b'\r' | b'\n' => out.push(key(Code::Enter)),
            b'\t' => out.push(key(Code::Tab)),
            0x08 | 0x7F => out.push(key(Code::Backspace)),
            0x01..=0x1A => out.push(Event::Key(Key::ctrl(char::from(byte - 1 + b'a')))),
            0x1C..=0x1F => out.push(Event::Key(Key::ctrl(char::from(byte - 0x1C + b'\\')))),
            0x20..=0x7E => out.push(key(Code::Char(char::from(byte)))),
            0xC2..=0xDF => self.character(byte, 1),
            0xE0..=0xEF => self.character(byte, 2),
            0xF0..=0xF4 => self.character(byte, 3),
            0x80..=0xC1 | 0xF5..=0xFF => {}
        }
    }

    fn character(&mut self, byte: u8, more: u8) {
        self.bytes.push(byte);
        self.state = State::Character(more);
    }

    fn after_escape(&mut self, byte: u8, out: &mut Vec<Event>) {
        self.ground();
        match byte {
            b'[' => self.state = State::Sequence,
            b'O' => self.state = State::Single,
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::Words,
            0x1B => {
                out.push(key(Code::Esc));
                self.state = State::Escape;
            }
            0x20..=0x7E => out.push(Event::Key(Key { code: Code::Char(char::from(byte)), ctrl: false, alt: true })),
            b'\r' => out.push(Event::Key(Key { code: Code::Enter, ctrl: false, alt: true })),
            0x7F => out.push(Event::Key(Key { code: Code::Backspace, ctrl: false, alt: true })),
            _ => self.byte(byte, out),
        }
    }

    /// A finished `ESC [ … end`.
    fn sequence(&mut self, end: u8, out: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.bytes);
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        self.ground();
        if let Some(report) = text.strip_prefix('<') {
            out.extend(mouse(report, end).map(Event::Mouse));
            return;
        }
        let mut numbers = text.split(';').map(|n| n.split(':').next().unwrap_or("").parse::<u16>().unwrap_or(0));
        let first = numbers.next().unwrap_or(0);
        let modifiers = numbers.next().unwrap_or(1).saturating_sub(1);
        let code = match end {
            b'~' => match first {
                1 | 7 => Some(Code::Home),
                2 => Some(Code::Insert),
                3 => Some(Code::Delete),
                4 | 8 => Some(Code::End),
                5 => Some(Code::PageUp),
                6 => Some(Code::PageDown),
                11..=15 => Some(Code::F((first - 10) as u8)),
                17..=21 => Some(Code::F((first - 11) as u8)),
                23 | 24 => Some(Code::F((first - 12) as u8)),
                200 => {
                    self.state = State::Paste;
                    None
                }
                _ => None,
            },
            b'Z' => Some(Code::BackTab),
            b'M' => {
                self.state = State::OldMouse(3);
                None
            }
            b'P'..=b'S' => Some(Code::F(end - b'P' + 1)),
            _ => arrow(end),
        };
        if let Some(code) = code {
            out.push(Event::Key(Key { code, ctrl: modifiers & 4 != 0, alt: modifiers & 2 != 0 }));
        }
    }
}

const fn key(code: Code) -> Event {
    Event::Key(Key::plain(code))
}

const fn arrow(byte: u8) -> Option<Code> {
    match byte {
        b'A' => Some(Code::Up),
        b'B' => Some(Code::Down),
        b'C' => Some(Code::Right),
        b'D' => Some(Code::Left),
        b'F' => Some(Code::End),
        b'H' => Some(Code::Home),
        _ => None,
    }
}

/// `button;column;row` of an SGR report: presses of the first button and the wheel.
fn mouse(report: &str, end: u8) -> Option<Mouse> {
    let mut numbers = report.split(';').map(|n| n.parse::<u16>().ok());
    let (button, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let kind = match (button & !0b1_1100, end) {
        (0, b'M') => MouseKind::Press,
        (64, b'M') => MouseKind::WheelUp,
        (65, b'M') => MouseKind::WheelDown,
        _ => return None,
    };
    Some(Mouse { kind, x: x.saturating_sub(1), y: y.saturating_sub(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut out = parser.feed(bytes, 0);
        out.extend(parser.elapsed(10_000));
        out
    }

    fn named(names: &str) -> Vec<Event> {
        names.split_whitespace().map(|n| Event::Key(n.parse().unwrap())).collect()
    }

    #[test]
    fn keys_of_the_usual_terminals() {
        for (bytes, names) in [
            (&b"aG?"[..], "a G ?"),
            (b"\x1b[A\x1b[B\x1b[C\x1b[D", "up down right left"),
            (b"\x1bOA\x1bOH\x1bOF", "up home end"),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~", "home end home end home end"),
            (b"\x1b[5~\x1b[6~\x1b[2~\x1b[3~", "pgup pgdn insert delete"),
            (b"\x1bOP\x1b[11~\x1b[[A\x1b[24~\x1b[17~", "f1 f1 f1 f12 f6"),
            (b"\x1b[1;5C\x1b[1;3D", "ctrl-right alt-left"),
            (b"\x03\x1a\x0c\r\t\x7f\x08", "ctrl-c ctrl-z ctrl-l enter tab backspace backspace"),
            (b"\x1b[Z", "shift-tab"),
            (b"\x1b", "esc"),
            (b"\x1b\x1b[A", "esc up"),
            (b"\x1bx", "alt-x"),
            ("é日😀".as_bytes(), "é 日 😀"),
            (b"\x1b[I\x1b[O\x1b[?62;c\x1b]11;rgb:0/0/0\x07\x1bP1$r\x1b\\x", "x"),
            (b"\x1b[M !!x", "x"),
            (b"\xff\xc3(", "("),
        ] {
            assert_eq!(keys(bytes), named(names), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_key_split_at_any_byte_stays_one_key_or_becomes_esc_and_that_key() {
        for whole in [&b"\x1b[A"[..], b"\x1bOB", b"\x1b[5~", b"\x1b[1;5C", "é".as_bytes()] {
            let expected = keys(whole);
            for cut in 1..whole.len() {
                // a short pause changes nothing
                let mut parser = Parser::default();
                let mut out = parser.feed(&whole[..cut], 0);
                out.extend(parser.feed(&whole[cut..], ESC_MS - 1));
                assert_eq!(out, expected, "{whole:?} cut at {cut}");
                // a long one may tell Esc, and never letters
                let mut parser = Parser::default();
                let mut out = parser.feed(&whole[..cut], 0);
                out.extend(parser.elapsed(ESC_MS));
                out.extend(parser.feed(&whole[cut..], ESC_MS + 300));
                out.extend(parser.elapsed(100_000));
                out.retain(|e| *e != key(Code::Esc));
                assert_eq!(out, expected, "{whole:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_bracket_key_after_esc_is_itself() {
        let mut parser = Parser::default();
        let mut out = parser.feed(b"\x1b", 0);
        assert_eq!(parser.deadline_ms(), Some(ESC_MS));
        out.extend(parser.elapsed(ESC_MS));
        assert!(parser.feed(b"[", 500).is_empty());
        out.extend(parser.elapsed(500 + ESC_MS));
        out.extend(parser.feed(b"[", 5000));
        assert_eq!(out, named("esc [ ["));
        assert_eq!(parser.deadline_ms(), None);
    }

    #[test]
    fn pastes_are_one_event_whatever_they_hold() {
        let out = keys(b"\x1b[200~q\x1b[Aq\r\n\x1b[201~x");
        assert_eq!(out, [Event::Paste("q\u{1b}[Aq\r\n".to_owned()), key(Code::Char('x'))]);
        let mut long = b"\x1b[200~".to_vec();
        long.extend(std::iter::repeat_n(b'a', LONGEST_PASTE + 100));
        long.extend(b"\x1b[201~x");
        let out = keys(&long);
        assert_eq!(out.len(), 2, "the end of a long paste is found");
        assert_eq!(out[1], key(Code::Char('x')));
    }

    #[test]
    fn mouse_reports() {
        let mouse = |kind, x, y| Event::Mouse(Mouse { kind, x, y });
        assert_eq!(
            keys(b"\x1b[<0;5;7M\x1b[<0;5;7m\x1b[<64;1;1M\x1b[<65;300;200M\x1b[<35;1;1M"),
            [mouse(MouseKind::Press, 4, 6), mouse(MouseKind::WheelUp, 0, 0), mouse(MouseKind::WheelDown, 299, 199),]
        );
    }

    #[test]
    fn any_bytes_at_any_time_are_taken() {
        use proptest::prelude::*;
        proptest!(|(chunks in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..30), 0u64..2000), 0..20))| {
            let mut parser = Parser::default();
            let mut now = 0;
            for (bytes, pause) in chunks {
                now += pause;
                parser.feed(&bytes, now);
                parser.elapsed(now + 20);
                prop_assert!(parser.bytes.len() <= LONGEST_PASTE + 10);
            }
            // whatever came before, the console listens again: out of a paste or an answer by their ends, else by time
            parser.feed(b"\x1b[201~\x1b\\\x07", now);
            now += 10 * LATE_MS;
            parser.elapsed(now);
            let out = parser.feed(b"q", now + 2 * LATE_MS);
            prop_assert_eq!(out, named("q"));
        });
    }
}

//! Untrusted text made printable, its width in cells, and sizes and ages in words. A leaf: it knows nothing else of the
//! program.
//!
//! Names, query texts, comments and messages come from a server that strangers can write to. They travel through the
//! program as decoded text and are escaped once, at output: [`safe`] for screens and human output, [`json`] for JSON.

use std::{borrow::Cow, fmt::Write as _};

/// Bytes that are not UTF-8 are carried as characters of the last private plane, one each, so that two names that
/// differ stay different; [`safe`] shows them as `\xE9`.
const RAW_BYTE_BASE: u32 = 0x0010_FF00;

/// A word of a command line, quoted for a shell where it has to be.
#[must_use]
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_-.,/:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

/// Decodes text of unknown encoding without losing a byte.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push(char::from_u32(RAW_BYTE_BASE + u32::from(*byte)).unwrap_or('\u{FFFD}'));
        }
    }
    out
}

/// True when [`decode`] met a byte that was not UTF-8.
#[must_use]
pub fn undecodable(text: &str) -> bool {
    text.chars().any(|c| u32::from(c) >= RAW_BYTE_BASE)
}

/// How many combining marks may follow a character before the rest is written as escapes.
const MAX_MARKS: usize = 4;

/// True for a character that must not reach a terminal, a log or a person as it is: controls, format characters,
/// line and paragraph separators, private use, unassigned blocks that act, and lone look-alikes of blanks.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    let n = u32::from(c);
    c.is_control()
        || matches!(n,
            0x00AD | 0x034F | 0x061C | 0x070F | 0x08E2 | 0x115F | 0x1160 | 0x17B4 | 0x17B5
            | 0x0600..=0x0605 | 0x06DD | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0x2800 | 0x3164 | 0xD800..=0xF8FF | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFF
            | 0x110BD | 0x110CD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0x10_FFFF)
        || (c.is_whitespace() && c != ' ')
        || n & 0xFFFE == 0xFFFE
        || (0x40000..0xE0000).contains(&n)
}

fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x0483..=0x0489 | 0x0591..=0x05BD | 0x0610..=0x061A | 0x064B..=0x065F
        | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

fn escape(out: &mut String, c: char) {
    let n = u32::from(c);
    let _ = match n {
        0x0A => write!(out, "\\n"),
        0x0D => write!(out, "\\r"),
        0x09 => write!(out, "\\t"),
        _ if (RAW_BYTE_BASE + 0x80..=RAW_BYTE_BASE + 0xFF).contains(&n) => write!(out, "\\x{:02X}", n - RAW_BYTE_BASE),
        _ => write!(out, "\\u{{{n:x}}}"),
    };
}

/// Makes text safe to show: what would act on a terminal, hide or reorder text is written as `\u{..}`. Nothing is
/// dropped and a literal backslash is doubled when an escape could be meant, so two different texts stay different.
#[must_use]
pub fn safe(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, backslashes: bool) -> Cow<'_, str> {
    let mut marks = 0;
    let clean = text.bytes().all(|b| (0x20..0x7F).contains(&b) && (b != b'\\' || !backslashes))
        || text.chars().all(|c| {
            marks = if is_mark(c) { marks + 1 } else { 0 };
            !is_unsafe(c) && (c != '\\' || !backslashes) && marks <= MAX_MARKS
        }) && !text.chars().next().is_some_and(is_mark);
    if clean {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut marks = 0;
    for (i, c) in text.chars().enumerate() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if c == '\\' && backslashes {
            out.push_str("\\\\");
        } else if is_unsafe(c) || marks > MAX_MARKS || (i == 0 && is_mark(c)) {
            escape(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text that people compare with what is in a file, or copy: as it is, only what would act on a terminal, hide or reorder
/// text is written as `\u{..}`. Unlike [`safe`] it doubles no backslash, so it is for texts that we wrote ourselves, in a
/// form that knows escapes.
#[must_use]
pub fn as_written(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// A text of which nobody knows the length, with its middle left out where it has more than `most` characters: how it begins
/// says what it is, and how it ends is often the cause.
#[must_use]
pub fn capped(text: &str, most: usize) -> Cow<'_, str> {
    // no text has more characters than bytes
    let count = if text.len() <= most { 0 } else { text.chars().count() };
    if count <= most {
        return Cow::Borrowed(text);
    }
    let tail = most / 4;
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let (head, end) = (at(most - tail), at(count - tail));
    let (head, end) = (text.get(..head).unwrap_or_default(), text.get(end..).unwrap_or_default());
    Cow::Owned(format!("{head} … {} characters left out … {end}", count - most))
}

/// Escapes control, format and separator characters inside a finished JSON text as `\u….`; its meaning is unchanged.
/// (JSON has them only inside strings, where such an escape is equal to the character.)
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let acts = |c: char| is_unsafe(c) && c != '\n';
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if acts(c) {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Why a name may deceive: outer blanks, several scripts that look alike, characters shown as escapes.
#[must_use]
pub fn deceptive(name: &str) -> Option<&'static str> {
    if name.starts_with(' ') || name.ends_with(' ') {
        return Some("begins or ends with a blank");
    }
    if name.chars().any(is_unsafe) {
        return Some("holds characters that are invisible or act on terminals");
    }
    let latin = name.chars().any(|c| c.is_ascii_alphabetic());
    let alike = name
        .chars()
        .any(|c| matches!(u32::from(c), 0x0370..=0x03FF | 0x0400..=0x052F | 0x0530..=0x058F | 0xFF00..=0xFFEF));
    (latin && alike).then_some("mixes alphabets whose letters look alike")
}

/// Width in terminal cells of text that is already safe.
#[must_use]
pub fn width(text: &str) -> usize {
    // most names are: counting their bytes is all there is to do, and safe text has no control characters
    if text.is_ascii() {
        return text.len();
    }
    unicode_width::UnicodeWidthStr::width(text)
}

/// Cuts safe text to at most `cells` cells, with `…` for what is missing.
#[must_use]
pub fn fit(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + w > cells - 1 {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

/// Bytes as people read them: `1.2 MB`, powers of 1024 as `pg_size_pretty` counts.
#[must_use]
pub fn size(bytes: u64) -> String {
    humansize::format_size(bytes, humansize::WINDOWS.decimal_places(1))
}

/// An age in milliseconds in at most two units: `0.4 s`, `41 s`, `4 m 12 s`, `3 h 5 m`, `12 d 4 h`.
#[must_use]
pub fn age(ms: i64) -> String {
    let ms = ms.max(0);
    let s = ms / 1000;
    match s {
        0..=9 => format!("{}.{} s", s, ms % 1000 / 100),
        10..=59 => format!("{s} s"),
        60..=3599 => match s % 60 {
            0 => format!("{} m", s / 60),
            r => format!("{} m {r} s", s / 60),
        },
        3600..=86_399 => match s % 3600 / 60 {
            0 => format!("{} h", s / 3600),
            r => format!("{} h {r} m", s / 3600),
        },
        _ => match s % 86_400 / 3600 {
            0 => format!("{} d", s / 86_400),
            r => format!("{} d {r} h", s / 86_400),
        },
    }
}

/// `1 table`, `97 tables`.
#[must_use]
pub fn count(n: u64, singular: &str, plural: &str) -> String {
    format!("{n} {}", if n == 1 { singular } else { plural })
}

/// A list for a sentence: `a`, `a and b`, `a, b and c`, and `a, b, c and 7 more` beyond `most`.
pub fn list<S: AsRef<str>>(items: &[S], most: usize) -> String {
    let rest = items.len().saturating_sub(most.max(1));
    let shown = items.get(..items.len() - rest).unwrap_or_default();
    let tail = (rest > 0).then(|| format!("{rest} more"));
    let mut parts: Vec<&str> = shown.iter().map(AsRef::as_ref).collect();
    parts.extend(tail.as_deref());
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
    }
}

/// The candidate that a mistyped word most likely meant: at most two edits away, and no more than half its length.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(d, candidate)| *d <= 2 && *d * 2 <= candidate.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in characters: insertions, deletions, substitutions, and two neighbours exchanged.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (at(&row, j + 1) + 1).min(at(&next, j) + 1).min(at(&row, j) + usize::from(ca != cb));
            let exchanged = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if exchanged {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    at(&row, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_otherwise() {
        for plain in ["orders", "public.alembic_version", "postgresql://me@localhost:5432/shop", "é"] {
            assert_eq!(shell_word(plain), plain);
        }
        for (text, quoted) in
            [("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("?host=/s&port=1", "'?host=/s&port=1'")]
        {
            assert_eq!(shell_word(text), quoted);
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        assert_eq!(capped("12345678", 8), "12345678");
        assert_eq!(capped("éééééééé", 8), "éééééééé");
        assert_eq!(capped("ébcdefghijkü", 8), "ébcdef … 4 characters left out … kü");
        let long = capped(&"x".repeat(100_000), 2000).into_owned();
        assert!(long.chars().count() < 2100 && long.contains("98000 characters left out"), "{long}");
    }

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["refresh_ms", "theme", "mouse"];
        assert_eq!(nearest("refres_ms", words), Some("refresh_ms"));
        assert_eq!(nearest("tehme", words), Some("theme"));
        assert_eq!(nearest("iu", ["ui", "keys"]), Some("ui"));
        assert_eq!(nearest("Mouse", words), Some("mouse"));
        assert_eq!(nearest("colour", words), None);
    }

    #[test]
    fn what_acts_on_a_terminal_becomes_visible() {
        for (raw, shown) in [
            ("a\u{1b}[2J", "a\\u{1b}[2J"),
            ("x\u{202e}nimda", "x\\u{202e}nimda"),
            ("admin\u{200b}", "admin\\u{200b}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("日本語", "日本語"),
            ("a\\u{1b}", "a\\\\u{1b}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(safe(raw), shown);
        }
        assert_ne!(safe("a\u{1b}"), safe("a\\u{1b}"), "an escape and its spelling stay different");
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_distinct() {
        let (a, b) = (decode(&[b'x', 0xE9]), decode(&[b'x', 0xFF]));
        assert_ne!(a, b);
        assert_eq!(safe(&a), "x\\xE9");
        assert!(undecodable(&a) && !undecodable("x"));
    }

    #[test]
    fn stacked_marks_are_capped() {
        let stacked = format!("a{}", "\u{301}".repeat(60));
        let shown = safe(&stacked);
        assert_eq!(shown.chars().filter(|c| is_mark(*c)).count(), MAX_MARKS);
    }

    #[test]
    fn what_is_shown_as_written_keeps_its_backslashes_and_acts_no_more() {
        for same in ["a", "a\\b", r#"name = "C:\\x\u001B""#, "é"] {
            assert_eq!(as_written(same), same);
        }
        assert_eq!(as_written("a\\b\u{1b}[2J"), "a\\b\\u{1b}[2J");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = serde_json::to_string(&"a\u{202e}b\u{1b}\u{e0041}").unwrap_or_default();
        let escaped = json(&text);
        assert!(escaped.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&escaped).ok().as_deref(), Some("a\u{202e}b\u{1b}\u{e0041}"));
    }

    #[test]
    fn ages_and_lists_read_well() {
        assert_eq!(age(400), "0.4 s");
        assert_eq!(age(252_000), "4 m 12 s");
        assert_eq!(age(3 * 3_600_000 + 5 * 60_000), "3 h 5 m");
        assert_eq!(list(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(list(&["a"], 2), "a");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}

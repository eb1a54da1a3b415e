//! SQL as toned spans, by a small scanner: keywords, names in quotes, strings, comments. It colours, it does not parse:
//! text that is cut in the middle of a string or comment keeps that tone to its end.

use crate::{
    app::view::{Line, Span, Tone},
    plan::sql::printable,
    text,
};

/// Words that PostgreSQL's statements are made of; sorted.
const KEYWORDS: &[&str] = &[
    "abort",
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "authorization",
    "begin",
    "between",
    "by",
    "cascade",
    "case",
    "cast",
    "check",
    "cluster",
    "collate",
    "column",
    "comment",
    "commit",
    "concurrently",
    "constraint",
    "copy",
    "create",
    "cross",
    "current",
    "cursor",
    "database",
    "deallocate",
    "declare",
    "default",
    "delete",
    "desc",
    "discard",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "except",
    "execute",
    "exists",
    "explain",
    "extension",
    "false",
    "fetch",
    "filter",
    "for",
    "force",
    "foreign",
    "from",
    "full",
    "function",
    "grant",
    "group",
    "having",
    "if",
    "ilike",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isolation",
    "join",
    "key",
    "lateral",
    "left",
    "level",
    "like",
    "limit",
    "listen",
    "local",
    "lock",
    "materialized",
    "merge",
    "mode",
    "natural",
    "not",
    "notify",
    "nowait",
    "null",
    "of",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "over",
    "owner",
    "partition",
    "policy",
    "prepare",
    "primary",
    "privileges",
    "procedure",
    "public",
    "recursive",
    "references",
    "refresh",
    "reindex",
    "release",
    "rename",
    "replace",
    "reset",
    "restrict",
    "returning",
    "revoke",
    "right",
    "role",
    "rollback",
    "row",
    "rows",
    "savepoint",
    "schema",
    "security",
    "select",
    "sequence",
    "set",
    "share",
    "show",
    "skip",
    "table",
    "temporary",
    "then",
    "to",
    "transaction",
    "trigger",
    "true",
    "truncate",
    "type",
    "union",
    "unique",
    "unlisten",
    "update",
    "usage",
    "using",
    "vacuum",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
    "work",
];

/// What the scanner is inside of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Code,
    /// `'…'`; backslashes escape in `E'…'`.
    String {
        backslash: bool,
    },
    /// `$tag$…$tag$`: the whole opening.
    Dollar(String),
    Quoted,
    LineComment,
    /// Nests.
    BlockComment(usize),
}

/// Scans a text into pieces of one tone; pieces never span a line end.
struct Scanner<'a> {
    rest: &'a str,
    inside: Inside,
}

impl<'a> Scanner<'a> {
    fn new(sql: &'a str) -> Self {
        Scanner { rest: sql, inside: Inside::Code }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (piece, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        piece
    }

    /// Next piece with its tone; `"\n"` is a piece of its own.
    fn next(&mut self) -> Option<(&'a str, Tone)> {
        let first = self.rest.chars().next()?;
        if first == '\n' {
            if self.inside == Inside::LineComment {
                self.inside = Inside::Code;
            }
            return Some((self.take(1), Tone::Text));
        }
        let inside = self.inside.clone();
        Some(match inside {
            Inside::Code => self.code(first),
            Inside::String { backslash } => (self.string(backslash), Tone::SqlString),
            Inside::Dollar(tag) => (self.until(&tag, true), Tone::SqlString),
            Inside::Quoted => (self.until("\"", true), Tone::SqlName),
            Inside::LineComment => (self.until("\n", false), Tone::SqlComment),
            Inside::BlockComment(depth) => (self.block(depth), Tone::SqlComment),
        })
    }

    /// Whether the piece that was just taken belongs to a name in quotes, where blanks mean something, and its tone.
    fn of_name(&self, piece: &str, tone: Tone) -> (bool, Tone) {
        let within = piece == "\n" && self.inside == Inside::Quoted;
        (within || tone == Tone::SqlName, if within { Tone::SqlName } else { tone })
    }

    /// Up to the end of the line or the end mark; the mark included closes.
    fn until(&mut self, mark: &str, closes: bool) -> &'a str {
        let line = self.rest.find('\n').unwrap_or(self.rest.len());
        match self.rest.find(mark).filter(|at| closes && *at <= line) {
            Some(at) => {
                self.inside = Inside::Code;
                self.take(at + mark.len())
            }
            None => self.take(line),
        }
    }

    fn string(&mut self, backslash: bool) -> &'a str {
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => return self.take(at),
                '\\' if backslash && chars.clone().next().is_some_and(|(_, c)| c != '\n') => {
                    chars.next();
                }
                '\'' => {
                    self.inside = Inside::Code;
                    return self.take(at + 1);
                }
                _ => {}
            }
        }
        self.take(self.rest.len())
    }

    fn block(&mut self, mut depth: usize) -> &'a str {
        let mut at = 0;
        let bytes = self.rest.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match (*byte, bytes.get(at + 1).copied()) {
                (b'\n', _) => break,
                (b'/', Some(b'*')) => {
                    depth += 1;
                    at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        self.inside = Inside::Code;
                        return self.take(at);
                    }
                }
                _ => at += 1,
            }
        }
        self.inside = Inside::BlockComment(depth);
        self.take(at)
    }

    fn code(&mut self, first: char) -> (&'a str, Tone) {
        if self.rest.starts_with("--") {
            self.inside = Inside::LineComment;
            return (self.take(2), Tone::SqlComment);
        }
        if self.rest.starts_with("/*") {
            self.inside = Inside::BlockComment(1);
            return (self.take(2), Tone::SqlComment);
        }
        match first {
            '\'' => {
                self.inside = Inside::String { backslash: false };
                (self.take(1), Tone::SqlString)
            }
            '"' => {
                self.inside = Inside::Quoted;
                (self.take(1), Tone::SqlName)
            }
            '$' => self.dollar(),
            c if c.is_alphabetic() || c == '_' => self.word(),
            c if c.is_ascii_digit() => (self.run(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_'), Tone::Text),
            _ => {
                let end = self
                    .rest
                    .char_indices()
                    .skip(1)
                    .find(|(at, c)| {
                        c.is_alphanumeric()
                            || matches!(c, '_' | '\'' | '"' | '$' | '\n')
                            || self.rest.get(*at..).is_some_and(|r| r.starts_with("--") || r.starts_with("/*"))
                    })
                    .map_or(self.rest.len(), |(at, _)| at);
                (self.take(end), Tone::Text)
            }
        }
    }

    fn run(&mut self, more: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !more(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn word(&mut self) -> (&'a str, Tone) {
        if matches!(self.rest.as_bytes(), [b'e' | b'E', b'\'', ..]) {
            self.inside = Inside::String { backslash: true };
            return (self.take(2), Tone::SqlString);
        }
        let word = self.run(|c| c.is_alphanumeric() || c == '_' || c == '$');
        let keyword = word.len() <= 16 && KEYWORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok();
        (word, if keyword { Tone::SqlKeyword } else { Tone::Text })
    }

    /// `$tag$` opens a string, `$1` is a parameter.
    fn dollar(&mut self) -> (&'a str, Tone) {
        let after = self.rest.get(1..).unwrap_or_default();
        let name = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        let tag = !after.starts_with(|c: char| c.is_ascii_digit());
        if tag && after.get(name..).is_some_and(|r| r.starts_with('$')) {
            let opening = self.take(name + 2);
            self.inside = Inside::Dollar(opening.to_owned());
            return (opening, Tone::SqlString);
        }
        (self.take(name + 1), Tone::SqlName)
    }
}

/// The statement on one line: line ends and runs of blanks become one blank, at most `chars` characters are looked at.
#[must_use]
pub fn one_line(sql: &str, chars: usize) -> Line {
    on_one_line(sql, chars, Span::new)
}

/// As [`one_line`], of a statement that we wrote: what is read off the screen can be run, whatever names it holds.
#[must_use]
pub fn our_line(sql: &str, chars: usize) -> Line {
    on_one_line(&printable(sql), chars, ours)
}

fn on_one_line(sql: &str, chars: usize, made: fn(&str, Tone) -> Span) -> Line {
    let sql = sql.trim();
    let end = sql.char_indices().nth(chars).map_or(sql.len(), |(at, _)| at);
    let mut scanner = Scanner::new(sql.get(..end).unwrap_or(sql));
    let mut line = Line::empty();
    let mut blank = true;
    let mut buffer = String::new();
    let mut tone = Tone::Text;
    while let Some((piece, piece_tone)) = scanner.next() {
        let (quoted, piece_tone) = scanner.of_name(piece, piece_tone);
        if piece_tone != tone && !buffer.is_empty() {
            line.0.push(made(&std::mem::take(&mut buffer), tone));
        }
        tone = piece_tone;
        for c in piece.chars() {
            if !quoted && matches!(c, ' ' | '\n' | '\r' | '\t') {
                if !blank {
                    buffer.push(' ');
                }
                blank = true;
            } else {
                buffer.push(c);
                blank = false;
            }
        }
    }
    if !buffer.is_empty() {
        line.0.push(made(&buffer, tone));
    }
    if end < sql.len() {
        line.0.push(Span::known("…", Tone::Dim));
    }
    line
}

/// The statement as it was written, line by line; tabs become four blanks, at most `most` lines.
#[must_use]
pub fn lines(sql: &str, most: usize) -> Vec<Line> {
    on_lines(sql, most, Span::new)
}

/// As [`lines`], of a statement that we wrote: what is read off the screen can be run, whatever names it holds.
#[must_use]
pub fn our_lines(sql: &str, most: usize) -> Vec<Line> {
    on_lines(&printable(sql), most, ours)
}

/// A piece of a printable statement, whose backslashes are escapes of PostgreSQL's own and stand once.
fn ours(piece: &str, tone: Tone) -> Span {
    Span::safe(text::as_written(piece).into_owned(), tone)
}

fn on_lines(sql: &str, most: usize, made: fn(&str, Tone) -> Span) -> Vec<Line> {
    let sql = sql.trim_end().trim_start_matches('\n');
    let mut scanner = Scanner::new(sql);
    let mut out = vec![Line::empty()];
    while let Some((piece, tone)) = scanner.next() {
        let (quoted, tone) = scanner.of_name(piece, tone);
        if piece == "\n" && !quoted {
            if out.len() >= most {
                out.push(Line(vec![Span::known("… cut here", Tone::Dim)]));
                break;
            }
            out.push(Line::empty());
            continue;
        }
        if let Some(line) = out.last_mut() {
            line.0.push(if quoted {
                made(piece, tone)
            } else {
                made(&piece.trim_end_matches('\r').replace('\t', "    "), tone)
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(sql: &str) -> Vec<(String, Tone)> {
        let mut merged: Vec<(String, Tone)> = Vec::new();
        for span in lines(sql, 100).into_iter().flat_map(|l| l.0) {
            match merged.last_mut().filter(|(_, tone)| *tone == span.tone) {
                Some((text, _)) => text.push_str(span.text()),
                None => merged.push((span.text().to_owned(), span.tone)),
            }
        }
        merged
    }

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn our_own_statements_are_shown_as_they_can_be_run() {
        let sql = "GRANT USAGE ON SCHEMA \"a\nb\\c\" TO \"x\\y\";";
        let expected = r#"GRANT USAGE ON SCHEMA U&"a\+00000Ab\\c" TO "x\y";"#;
        assert_eq!(our_line(sql, 200).plain(), expected);
        assert_eq!(our_lines(sql, 9).iter().map(Line::plain).collect::<Vec<_>>(), [expected]);
        assert_eq!(one_line(sql, 200).plain(), r#"GRANT USAGE ON SCHEMA "a\nb\\c" TO "x\\y";"#, "a stranger's");
    }

    #[test]
    fn words_strings_names_and_comments_have_their_tones() {
        let found = tones("select \"User\" from t where a = 'it''s' -- why");
        for (text, tone) in [
            ("select", Tone::SqlKeyword),
            ("\"User\"", Tone::SqlName),
            ("'it''s'", Tone::SqlString),
            ("-- why", Tone::SqlComment),
        ] {
            assert!(found.contains(&(text.to_owned(), tone)), "{text}: {found:?}");
        }
    }

    #[test]
    fn dollar_quotes_escapes_and_nested_comments_close_where_they_should() {
        assert!(tones("do $x$ begin 'a' $y$ $x$ ; select 1").contains(&("select".into(), Tone::SqlKeyword)));
        assert!(tones("select E'a\\'b' , 1 from t").contains(&("from".into(), Tone::SqlKeyword)));
        assert!(tones("/* a /* b */ select */ update t").contains(&("update".into(), Tone::SqlKeyword)));
        assert!(!tones("/* a /* b */ select */ t").contains(&("select".into(), Tone::SqlKeyword)));
        assert_eq!(tones("$1")[0].1, Tone::SqlName);
    }

    #[test]
    fn nothing_is_lost_and_hostile_text_is_escaped() {
        let sql = "select 'a\u{1b}]0;x' /* unfinished";
        assert_eq!(one_line(sql, 500).plain(), "select 'a\\u{1b}]0;x' /* unfinished");
        assert_eq!(one_line("  a\n\t b  c", 500).plain(), "a b c");
        assert_eq!(one_line("select 1", 6).plain(), "select…");
        for odd in ["'", "\"", "$", "$a", "$$", "/*", "--", "E'\\", "é'ü", "a-b", "''", "\\"] {
            assert_eq!(one_line(odd, 50).plain(), crate::text::safe(odd), "{odd}");
        }
    }

    #[test]
    fn names_that_differ_in_blanks_stay_different() {
        for name in ["\"\ttab\"", "\" tab\"", "\"    tab\"", "\"line\nfeed\"", "\"line feed\"", "\"a\r\""] {
            let sql = format!("grant usage on schema {name} to x");
            let shown = sql.replace(name, &crate::text::safe(name));
            assert_eq!(one_line(&sql, 500).plain(), shown);
            assert_eq!(lines(&sql, 9).iter().map(Line::plain).collect::<Vec<_>>(), std::slice::from_ref(&shown));
        }
    }

    #[test]
    fn lines_stay_lines() {
        let shown = lines("select 1,\n\t'a\nb'\nfrom t", 100);
        let plain: Vec<String> = shown.iter().map(Line::plain).collect();
        assert_eq!(plain, ["select 1,", "    'a", "b'", "from t"]);
        assert_eq!(lines("a\nb\nc", 2).len(), 3);
    }
}

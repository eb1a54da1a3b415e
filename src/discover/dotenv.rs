//! Env files as Compose reads them: `KEY=value`, `KEY: value`, `export`, quotes over several lines, comments, variables of
//! earlier lines. Reads no file; errors name a line, never a value.

use secrecy::zeroize::Zeroizing;

use super::fill::{self, Values};

/// Variables in one file.
const MOST_ENTRIES: usize = 2_000;
/// Bytes of all values together: each may name the one before twice.
const MOST_BYTES: usize = 1 << 20;

/// One variable and the line it stands in.
pub struct Entry {
    pub name: String,
    pub value: Zeroizing<String>,
    pub line: usize,
}

/// What an env file says, in its order, and the lines that could not be read with the reason.
#[derive(Default)]
pub struct Dotenv {
    pub entries: Vec<Entry>,
    pub faults: Vec<(usize, String)>,
}

impl Dotenv {
    /// As names and values; of several lines the last wins.
    #[must_use]
    pub fn values(&self) -> Values {
        self.entries.iter().map(|e| (e.name.clone(), e.value.clone())).collect()
    }
}

/// Reads an env file. `outer` knows the variables from outside, which win over the file's own inside of values. With
/// `raw` nothing is filled in and quotes stay (`format: raw` of Compose).
pub fn read(text: &str, raw: bool, outer: &dyn Fn(&str) -> Option<String>) -> Dotenv {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let text = Zeroizing::new(text);
    let mut reader = Reader { found: Dotenv::default(), outer, bytes: 0 };
    let mut rest: &str = &text;
    let mut line = 1;
    while !rest.is_empty() {
        let start = rest.trim_start_matches(|c: char| c.is_whitespace());
        line += newlines(rest, start);
        rest = start;
        if rest.is_empty() {
            break;
        }
        if rest.starts_with('#') {
            rest = rest.find('\n').and_then(|i| rest.get(i..)).unwrap_or_default();
            continue;
        }
        let after = match reader.statement(rest, line, raw) {
            Ok(after) => after,
            Err(why) => {
                reader.found.faults.push((line, why));
                rest.find('\n').and_then(|i| rest.get(i..)).unwrap_or_default()
            }
        };
        line += newlines(rest, after);
        rest = after;
        if reader.found.entries.len() + reader.found.faults.len() > MOST_ENTRIES || reader.bytes > MOST_BYTES {
            reader.found.faults.push((line, "it holds too much; the rest is not read".to_owned()));
            break;
        }
    }
    reader.found
}

/// Line feeds between the start of `from` and the start of its tail `to`.
fn newlines(from: &str, to: &str) -> usize {
    from.get(..from.len() - to.len()).unwrap_or_default().matches('\n').count()
}

struct Reader<'a> {
    found: Dotenv,
    outer: &'a dyn Fn(&str) -> Option<String>,
    bytes: usize,
}

impl Reader<'_> {
    /// One variable; returns what follows it.
    fn statement<'t>(&mut self, text: &'t str, line: usize, raw: bool) -> Result<&'t str, String> {
        let body = text.strip_prefix("export").filter(|t| t.starts_with([' ', '\t'])).map_or(text, str::trim_start);
        let end = body.find(['=', ':', '\n']).unwrap_or(body.len());
        let name = body.get(..end).unwrap_or_default().trim();
        let fits = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if name.is_empty() || !name.chars().all(fits) {
            return Err("the name of a variable holds something else than letters, digits and `_`".to_owned());
        }
        let after = body.get(end..).unwrap_or_default();
        let Some(value) = after.strip_prefix(['=', ':']) else {
            // Only a name: the value is the one from outside, if there is any.
            if let Some(value) = (self.outer)(name) {
                self.push(name, Zeroizing::new(value), line);
            }
            return Ok(after);
        };
        let (value, after) = if raw {
            let (value, after) = value.split_at(value.find('\n').unwrap_or(value.len()));
            (Zeroizing::new(value.to_owned()), after)
        } else {
            let value = value.trim_start_matches([' ', '\t', '\u{b}', '\u{c}', '\r']);
            match value.chars().next() {
                Some(quote @ ('\'' | '"')) => self.quoted(value, quote)?,
                _ => {
                    let (value, after) = value.split_at(value.find('\n').unwrap_or(value.len()));
                    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim_end();
                    (self.filled(value)?, after)
                }
            }
        };
        self.push(name, value, line);
        Ok(after)
    }

    fn push(&mut self, name: &str, value: Zeroizing<String>, line: usize) {
        self.bytes += value.len();
        self.found.entries.push(Entry { name: name.to_owned(), value, line });
    }

    fn filled(&self, template: &str) -> Result<Zeroizing<String>, String> {
        let lookup = |name: &str| {
            let own = || self.found.entries.iter().rev().find(|e| e.name == name).map(|e| e.value.clone());
            (self.outer)(name).map(Zeroizing::new).or_else(own)
        };
        fill::fill(template, &lookup).map(|f| f.text).map_err(|fault| fault.words())
    }

    /// A value in quotes; within double ones escapes and variables are read.
    fn quoted<'t>(&self, text: &'t str, quote: char) -> Result<(Zeroizing<String>, &'t str), String> {
        let mut value = Zeroizing::new(String::new());
        let mut escaped = false;
        for (i, c) in text.char_indices().skip(1) {
            if c == quote && !escaped {
                let after = text.get(i + 1..).unwrap_or_default();
                let value = if quote == '"' { self.filled(&unescaped(&value))? } else { value };
                return Ok((value, after));
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if escaped && c != quote {
                value.push('\\');
            }
            escaped = false;
            value.push(c);
        }
        Err("a quote is not closed".to_owned())
    }
}

/// Escapes of a value in double quotes. `\$` becomes `$$`, which filling in reads as a plain `$`.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.peek().copied() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some(plain @ ('"' | '\\')) => out.push(plain),
            _ => {
                out.push('\\');
                continue;
            }
        }
        chars.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let outer = |name: &str| (name == "OUT").then(|| "outside".to_owned());
        read(text, false, &outer).entries.into_iter().map(|e| (e.name, e.value.to_string())).collect()
    }

    #[test]
    fn every_form_of_a_line() {
        for (line, name, value) in [
            ("A=b", "A", "b"),
            ("A = b ", "A", "b"),
            ("A: b", "A", "b"),
            ("export A=b", "A", "b"),
            ("\texport\tA=b", "A", "b"),
            ("A=", "A", ""),
            ("A=b # c", "A", "b"),
            ("A=b#c", "A", "b#c"),
            ("A='b # c' # d", "A", "b # c"),
            ("A=\"b # c\"", "A", "b # c"),
            ("A='$OUT'", "A", "$OUT"),
            ("A=\"$OUT\"", "A", "outside"),
            ("A=$OUT", "A", "outside"),
            ("A=${N:-x}", "A", "x"),
            ("A=\"\\$OUT\"", "A", "$OUT"),
            ("A=$$OUT", "A", "$OUT"),
            ("A=\"b\\nc\"", "A", "b\nc"),
            ("A='b\\nc'", "A", "b\\nc"),
            ("A=b\\nc", "A", "b\\nc"),
            ("A='it\\'s'", "A", "it's"),
            ("A=\"say \\\"x\\\"\"", "A", "say \"x\""),
            ("A=\"two\nlines\"", "A", "two\nlines"),
            ("A=b c", "A", "b c"),
            ("A=b=c", "A", "b=c"),
            ("A=http://x:1/?y=z", "A", "http://x:1/?y=z"),
            ("A.b-c=1", "A.b-c", "1"),
            ("OUT", "OUT", "outside"),
            ("\u{feff}A=b\r", "A", "b"),
        ] {
            assert_eq!(values(line), [(name.to_owned(), value.to_owned())], "{line:?}");
        }
    }

    #[test]
    fn later_lines_see_earlier_ones_and_the_outside_wins() {
        let found = values("A=1\nB=${A}2\nOUT=own\nC=$OUT\nN\n# D=1\n\nE=$B");
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, [("A", "1"), ("B", "12"), ("OUT", "own"), ("C", "outside"), ("E", "12")]);
        let raw = read("A=\"$OUT\" # x\n", true, &|_| None);
        assert_eq!(raw.entries[0].value.as_str(), "\"$OUT\" # x");
    }

    #[test]
    fn what_cannot_be_read_is_said_by_its_line() {
        let found = read("A=1\n\nB C=2\n=x\nD='open\nE=1\n", false, &|_| None);
        let lines: Vec<_> = found.faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert_eq!(found.entries.iter().map(|e| (e.name.as_str(), e.line)).collect::<Vec<_>>(), [("A", 1), ("E", 6)]);
        assert!(found.faults.iter().all(|(_, why)| !why.contains("open") && !why.contains('2')));
    }

    #[test]
    fn doubling_values_are_stopped() {
        let doubled = (1..60).map(|i| format!("A{i}=$A{p}$A{p}", p = i - 1));
        let text = std::iter::once("A0=xxxxxxxxxxxxxxxx".to_owned()).chain(doubled).collect::<Vec<_>>().join("\n");
        let began = std::time::Instant::now();
        let found = read(&text, false, &|_| None);
        assert!(!found.faults.is_empty());
        assert!(began.elapsed().as_millis() < 500);
    }
}

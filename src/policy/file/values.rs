//! Values of a policy file with their places: every getter notes a problem with its line when the value is not what it
//! should be. Knows nothing of what the keys mean.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Problem;
use crate::domain::Ident;

/// Largest `max_connections` (`MAX_BACKENDS`, utils/guc).
const MOST_CONNECTIONS: i64 = 262_143;

/// The text being read, and what is wrong with it so far.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) problems: Vec<Problem>,
    pub(super) base: PathBuf,
}

/// One table of the file with the words that messages use for it.
pub(super) struct Table<'a, 't> {
    pub(super) title: String,
    pub(super) span: Range<usize>,
    pub(super) keys: &'a DeTable<'t>,
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.keys.get(key)
    }
    /// Where a key stands, for messages about it.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.keys.get_key_value(key).map_or(self.span.clone(), |(k, _)| k.span())
    }
}

impl<'t> Reader<'t> {
    pub(super) fn problem(&mut self, span: Range<usize>, what: impl Into<String>, help: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        self.problems.push(Problem { line, column, what: what.into(), help: help.into() });
    }

    pub(super) fn known(&mut self, table: &Table<'_, '_>, keys: &[&str]) {
        for key in table.keys.keys() {
            let name: &str = key.get_ref();
            if !keys.contains(&name) {
                let what = format!("unknown key `{name}` in {}", table.title);
                self.problem(key.span(), what, choose(name, keys, "keys"));
            }
        }
    }
    pub(super) fn tables<'a>(&mut self, top: &Table<'a, 't>, key: &str) -> Vec<Table<'a, 't>> {
        let Some(value) = top.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let help = format!("write it as [[{key}]], once for each");
            self.problem(top.span_of(key), format!("`{key}` must be a list of tables"), help);
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                self.problem(item.span(), format!("a {key} must be a table"), format!("write it as [[{key}]]"));
                continue;
            };
            let name = ["name", "role"].iter().find_map(|k| match table.get(*k).map(Spanned::get_ref) {
                Some(DeValue::String(name)) => Some(name.as_ref()),
                _ => None,
            });
            let title = name.map_or_else(|| format!("[[{key}]]"), |n| format!("[[{key}]] \"{n}\""));
            out.push(Table { title, span: item.span(), keys: table });
        }
        out
    }

    pub(super) fn table<'a>(&mut self, of: &Table<'a, 't>, key: &str) -> Option<Table<'a, 't>> {
        let value = of.get(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            let title = if of.title == "the policy" { format!("[{key}]") } else { format!("`{key}` of {}", of.title) };
            return Some(Table { title, span: value.span(), keys: table });
        }
        self.problem(value.span(), format!("`{key}` must be a table"), "");
        None
    }

    pub(super) fn string(&mut self, t: &Table<'_, '_>, key: &str) -> Option<String> {
        let value = t.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        let what = format!("`{key}` must be a text, and is {}", shown(value.get_ref()));
        self.problem(value.span(), what, "");
        None
    }

    pub(super) fn required_text(&mut self, t: &Table<'_, '_>, key: &str) -> Option<String> {
        if t.get(key).is_none() {
            let help = if key == "reason" {
                "an exception is a decision: say why, for whoever reads it next year".to_owned()
            } else {
                format!("add `{key} = \"…\"`")
            };
            self.problem(t.span.clone(), format!("{} has no `{key}`", t.title), help);
            return None;
        }
        let text = self.string(t, key)?;
        if text.trim().is_empty() {
            self.problem(span(t, key), format!("`{key}` of {} is empty", t.title), "");
            return None;
        }
        Some(text)
    }

    pub(super) fn required_name(&mut self, t: &Table<'_, '_>, key: &str) -> Option<String> {
        let text = self.required_text(t, key)?;
        self.ident(&text, span(t, key)).then_some(text)
    }

    /// A name that the database could hold.
    pub(super) fn name(&mut self, t: &Table<'_, '_>, key: &str) -> Option<String> {
        let text = self.string(t, key)?;
        self.ident(&text, span(t, key)).then_some(text)
    }

    pub(super) fn ident(&mut self, text: &str, span: Range<usize>) -> bool {
        match Ident::new(text) {
            Ok(_) => true,
            Err(error) => {
                self.problem(span, format!("\"{text}\" cannot be a name: {error}"), "");
                false
            }
        }
    }

    pub(super) fn instance(&mut self, t: &Table<'_, '_>) -> Option<String> {
        let text = self.string(t, "instance")?;
        if text.is_empty() || text.contains('/') {
            let what = format!("\"{text}\" cannot be the name of an instance");
            self.problem(
                span(t, "instance"),
                what,
                "it is the name of an [[instance]] of the configuration, without /",
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn spanned_strings(&mut self, t: &Table<'_, '_>, key: &str) -> Option<Vec<(String, Range<usize>)>> {
        let value = t.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.problem(value.span(), format!("`{key}` must be a list of texts"), format!("{key} = [\"…\"]"));
            return None;
        };
        let mut out = Vec::new();
        for item in items {
            if let DeValue::String(text) = item.get_ref() {
                out.push((text.to_string(), item.span()));
            } else {
                let what = format!("`{key}` must hold texts, and holds {}", shown(item.get_ref()));
                self.problem(item.span(), what, "");
            }
        }
        Some(out)
    }

    pub(super) fn strings(&mut self, t: &Table<'_, '_>, key: &str) -> Option<Vec<String>> {
        Some(self.spanned_strings(t, key)?.into_iter().map(|(text, _)| text).collect())
    }

    pub(super) fn names(&mut self, t: &Table<'_, '_>, key: &str) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for (text, span) in self.spanned_strings(t, key)? {
            if self.ident(&text, span) {
                out.push(text);
            }
        }
        Some(out)
    }

    pub(super) fn boolean(&mut self, t: &Table<'_, '_>, key: &str) -> Option<bool> {
        let value = t.get(key)?;
        if let DeValue::Boolean(b) = value.get_ref() {
            return Some(*b);
        }
        let what = format!("`{key}` must be true or false, and is {}", shown(value.get_ref()));
        self.problem(value.span(), what, "");
        None
    }

    pub(super) fn connection_limit(&mut self, t: &Table<'_, '_>) -> Option<i32> {
        self.integer(t, "connection_limit", -1..=MOST_CONNECTIONS).and_then(|n| i32::try_from(n).ok())
    }

    pub(super) fn integer(
        &mut self,
        t: &Table<'_, '_>,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = t.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok(),
            _ => None,
        };
        if let Some(n) = number.filter(|n| range.contains(n)) {
            return Some(n);
        }
        let what = format!(
            "`{key}` must be a whole number from {} to {}, and is {}",
            range.start(),
            range.end(),
            shown(value.get_ref())
        );
        self.problem(value.span(), what, "");
        None
    }
}

/// Where the value of a key stands.
pub(super) fn span(t: &Table<'_, '_>, key: &str) -> Range<usize> {
    t.get(key).map_or(t.span.clone(), Spanned::span)
}

/// "did you mean …" with the valid set.
pub(super) fn choose(word: &str, known: &[&str], plural: &str) -> String {
    let all = format!("{plural}: {}", known.join(", "));
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    }
}

/// A value in words for a message.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The file's folder, absolute where the working directory is known.
pub(super) fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(parent).unwrap_or_else(|_| parent.to_path_buf())
}

/// The known word nearest to `word`, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|k| (distance(&lower, &k.to_lowercase()), *k))
        .min()
        .filter(|(d, k)| *d <= 1 + k.len().min(word.len()) / 4)
        .map(|(_, k)| k)
}

/// Edits between two words; a swap of neighbours is one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

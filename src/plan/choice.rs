//! Tables that somebody chose on a command line: `GLOB` or `SCHEMA.GLOB`, `!` in front for "not this one", odd names in
//! double quotes, where nothing is special. Knows names only.

use super::{Refused, moves::objects::glob};
use crate::{domain::snapshot::Catalog, text};

/// The choice. See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    no: bool,
    /// `None`: every schema.
    schema: Option<Part>,
    table: Part,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Exactly(String),
    Glob(String),
}

impl Part {
    fn fits(&self, name: &str) -> bool {
        match self {
            Part::Exactly(text) => text == name,
            Part::Glob(pattern) => glob(pattern, name),
        }
    }
    fn is_one(&self) -> bool {
        match self {
            Part::Exactly(_) => true,
            Part::Glob(pattern) => !pattern.contains(['*', '?']),
        }
    }
}

impl Choice {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`Refused`]: a quote that is not closed, or more than two parts.
    pub fn parse(words: &[String]) -> Result<Choice, Refused> {
        words.iter().map(|word| pattern(word)).collect::<Result<Vec<_>, _>>().map(Choice)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn takes(&self, schema: &str, table: &str) -> bool {
        let fits = |p: &&Pattern| p.schema.as_ref().is_none_or(|part| part.fits(schema)) && p.table.fits(table);
        self.0.iter().filter(|p| !p.no).any(|p| fits(&p)) && !self.0.iter().filter(|p| p.no).any(|p| fits(&p))
    }

    /// Some of the tables of that schema may be meant.
    #[must_use]
    pub fn looks_into(&self, schema: &str) -> bool {
        self.0.iter().filter(|p| !p.no).any(|p| p.schema.as_ref().is_none_or(|part| part.fits(schema)))
    }

    /// Exactly this table was named, not some among others.
    #[must_use]
    pub fn names(&self, schema: &str, table: &str) -> bool {
        self.0.iter().filter(|p| !p.no).any(|p| {
            p.table.is_one()
                && p.table.fits(table)
                && p.schema.as_ref().is_some_and(|part| part.is_one() && part.fits(schema))
        })
    }

    /// The table's name was spelled out, with its schema or without one.
    #[must_use]
    pub fn spells(&self, schema: &str, table: &str) -> bool {
        let fits = |p: &Pattern| p.schema.as_ref().is_none_or(|part| part.fits(schema));
        self.0.iter().any(|p| !p.no && p.table.is_one() && p.table.fits(table) && fits(p))
    }

    /// What was typed and takes none of these tables, given as schema and name.
    pub fn idle<'a>(&'a self, tables: &'a [(String, String)]) -> impl Iterator<Item = &'a str> {
        let fits = |p: &Pattern| {
            tables
                .iter()
                .any(|(schema, table)| p.schema.as_ref().is_none_or(|part| part.fits(schema)) && p.table.fits(table))
        };
        self.0.iter().filter(move |p| !p.no && !fits(p)).map(|p| p.text.as_str())
    }
}

/// What was typed takes no table: the one that comes nearest, or what is wrong with its schema. `seen` are tables of the
/// schemas that were looked into.
pub(super) fn no_table(catalog: &Catalog, typed: &str, seen: &[(String, String)]) -> Refused {
    let schema = typed.split_once('.').map(|(schema, _)| schema.trim_matches('"'));
    if let Some(schema) = schema.filter(|s| !s.contains(['*', '?']) && catalog.schema_named(s).is_none()) {
        return Refused::new(format!("{typed} fits no table: {}", Refused::no_schema(catalog, schema)));
    }
    let whole: Vec<String> = seen.iter().map(|(schema, table)| format!("{schema}.{table}")).collect();
    match text::nearest(typed, whole.iter().map(String::as_str)) {
        Some(near) => Refused::new(format!("there is no table {typed}; the nearest is {near}")),
        None => Refused::new(format!("there is no table {typed}")),
    }
}

fn pattern(word: &str) -> Result<Pattern, Refused> {
    let (no, rest) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    let wrong = || {
        Refused::new(format!("{word:?} is no table: GLOB or SCHEMA.GLOB is wanted, with odd names in double quotes"))
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut text = String::new();
    let (mut exact, mut inside) = (false, false);
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.next_if_eq(&'"').is_some() => text.push('"'),
            '"' if inside => inside = false,
            '"' if text.is_empty() && !exact => (exact, inside) = (true, true),
            '"' => return Err(wrong()),
            '.' if !inside => {
                let text = std::mem::take(&mut text);
                parts.push(if exact { Part::Exactly(text) } else { Part::Glob(text) });
                exact = false;
            }
            // nothing but a dot follows a closed quote
            _ if exact && !inside => return Err(wrong()),
            c => text.push(c),
        }
    }
    if inside {
        return Err(wrong());
    }
    parts.push(if exact { Part::Exactly(text) } else { Part::Glob(text) });
    let empty = |part: &Part| matches!(part, Part::Exactly(t) | Part::Glob(t) if t.is_empty());
    if parts.iter().any(empty) {
        return Err(wrong());
    }
    let text = word.to_owned();
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(table), None, None) => Ok(Pattern { no, schema: None, table, text }),
        (Some(schema), Some(table), None) => Ok(Pattern { no, schema: Some(schema), table, text }),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(words: &[&str]) -> Choice {
        Choice::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn globs_with_and_without_a_schema() {
        let c = choice(&["langflow.*", "users", "!*.flow_log"]);
        assert!(c.takes("langflow", "flow") && c.takes("public", "users") && c.takes("langflow", "users"));
        assert!(!c.takes("public", "flow") && !c.takes("langflow", "flow_log"));
        assert!(c.looks_into("anything") && !choice(&["langflow.*"]).looks_into("public"));
        assert!(choice(&["a.b"]).names("a", "b") && !c.names("langflow", "flow") && !c.names("public", "users"));
        let here = [("langflow".to_owned(), "flow".to_owned())];
        assert_eq!(c.idle(&here).collect::<Vec<_>>(), ["users"]);
        assert!(choice(&[]).is_empty() && !choice(&[]).takes("a", "b"));
    }

    #[test]
    fn what_stands_in_quotes_is_itself() {
        let c = choice(&["\"a.b\".\"c\"\"*\"", "!\"x\".*"]);
        assert!(c.takes("a.b", "c\"*") && !c.takes("a.b", "c\"d"));
        for wrong in ["", "a.", ".b", "a.b.c", "\"a", "\"a\"b", "a\"b\"", "!", "\"\""] {
            assert!(Choice::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}

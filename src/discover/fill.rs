//! Compose's interpolation: `$X`, `${X}`, `${X:-default}`, `${X:?message}`, `${X:+instead}`, all without the colon too,
//! nested, and `$$`. The same grammar serves Compose files and env files. Reads nothing; the values come from a [`Scope`].

use std::{collections::BTreeMap, rc::Rc};

use secrecy::zeroize::Zeroizing;

/// The longest text that filling in may make, in bytes.
pub const MOST_BYTES: usize = 64 << 10;
/// How deep `${…}` may be nested.
const MOST_DEPTH: usize = 24;

/// Names and their values. Values may be secrets: they are wiped when dropped.
pub type Values = BTreeMap<String, Zeroizing<String>>;

/// Where names are looked up: the first layer that has one wins.
#[derive(Clone, Default)]
pub struct Scope(Vec<Rc<Values>>);

impl Scope {
    /// A scope of one layer.
    #[must_use]
    pub fn of(values: Values) -> Scope {
        Scope(vec![Rc::new(values)])
    }

    /// This scope with another layer beneath it.
    #[must_use]
    pub fn over(&self, beneath: Values) -> Scope {
        let mut layers = self.0.clone();
        layers.push(Rc::new(beneath));
        Scope(layers)
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|layer| layer.get(name)).map(|value| value.as_str())
    }
}

/// Why a text cannot be filled in. Holds names and the author's message, no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A `$` that begins nothing.
    Malformed,
    /// `${X?…}` without `X`.
    Required { name: String, message: String },
    /// Longer or deeper than is sensible.
    TooMuch,
}

impl Fault {
    /// For people: one clause.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Fault::Malformed => "a `$` in it begins no variable; a literal one is written `$$`".to_owned(),
            Fault::Required { name, message } if message.is_empty() => format!("{name} is not set"),
            Fault::Required { name, message } => {
                let message: String = message.chars().take(120).collect();
                format!("{name} is not set ({message})")
            }
            Fault::TooMuch => "filling it in makes it too long or is nested too deep".to_owned(),
        }
    }
}

/// A text with its variables filled in.
pub struct Filled {
    pub text: Zeroizing<String>,
    /// Names without a value, for which nothing was put in.
    pub unset: Vec<String>,
}

/// Fills in a text.
pub fn fill(template: &str, lookup: &dyn Fn(&str) -> Option<Zeroizing<String>>) -> Result<Filled, Fault> {
    let mut filled = Filled { text: Zeroizing::new(String::new()), unset: Vec::new() };
    fill_into(template, lookup, &mut filled, 0)?;
    Ok(filled)
}

fn push(filled: &mut Filled, text: &str) -> Result<(), Fault> {
    if filled.text.len() + text.len() > MOST_BYTES {
        return Err(Fault::TooMuch);
    }
    filled.text.push_str(text);
    Ok(())
}

fn fill_into(
    template: &str,
    lookup: &dyn Fn(&str) -> Option<Zeroizing<String>>,
    filled: &mut Filled,
    depth: usize,
) -> Result<(), Fault> {
    if depth > MOST_DEPTH {
        return Err(Fault::TooMuch);
    }
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        push(filled, before)?;
        if let Some(tail) = after.strip_prefix('$') {
            push(filled, "$")?;
            rest = tail;
        } else if let Some(inner) = after.strip_prefix('{') {
            let name = name_of(inner);
            let tail = inner.get(name.len()..).unwrap_or_default();
            if name.is_empty() {
                return Err(Fault::Malformed);
            }
            rest = braced(name, tail, lookup, filled, depth)?;
        } else {
            let name = name_of(after);
            if name.is_empty() {
                return Err(Fault::Malformed);
            }
            match lookup(name) {
                Some(value) => push(filled, &value)?,
                None => filled.unset.push(name.to_owned()),
            }
            rest = after.get(name.len()..).unwrap_or_default();
        }
    }
    push(filled, rest)
}

/// What follows the name in `${name…`; returns what follows the closing brace.
fn braced<'a>(
    name: &str,
    tail: &'a str,
    lookup: &dyn Fn(&str) -> Option<Zeroizing<String>>,
    filled: &mut Filled,
    depth: usize,
) -> Result<&'a str, Fault> {
    let value = lookup(name);
    if let Some(after) = tail.strip_prefix('}') {
        match value {
            Some(value) => push(filled, &value)?,
            None => filled.unset.push(name.to_owned()),
        }
        return Ok(after);
    }
    let (empty_counts, tail) = tail.strip_prefix(':').map_or((false, tail), |t| (true, t));
    let operator = tail.chars().next().filter(|c| "-?+".contains(*c)).ok_or(Fault::Malformed)?;
    let inner = tail.get(1..).unwrap_or_default();
    let end = closing(inner).ok_or(Fault::Malformed)?;
    let (word, after) = (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default());
    let value = value.filter(|v| !(empty_counts && v.is_empty()));
    match (operator, value) {
        ('-' | '?', Some(value)) => push(filled, &value)?,
        ('-', None) | ('+', Some(_)) => fill_into(word, lookup, filled, depth + 1)?,
        ('+', None) => {}
        _ => return Err(Fault::Required { name: name.to_owned(), message: word.to_owned() }),
    }
    Ok(after)
}

/// Where the brace closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = '\0';
    for (i, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(i),
            '}' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn name_of(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_alphabetic() || *c == '_' || *i > 0 && c.is_ascii_digit()))
        .map_or(text.len(), |(i, _)| i);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, Fault> {
        let lookup = |name: &str| match name {
            "A" => Some(Zeroizing::new("a".to_owned())),
            "E" => Some(Zeroizing::new(String::new())),
            "D" => Some(Zeroizing::new("$A".to_owned())),
            _ => None,
        };
        fill(template, &lookup).map(|f| f.text.to_string())
    }

    #[test]
    fn every_form_means_what_compose_means() {
        for (template, meant) in [
            ("x", "x"),
            ("$A", "a"),
            ("${A}b", "ab"),
            ("$A$A", "aa"),
            ("$$A", "$A"),
            ("$$$A", "$a"),
            ("${N}", ""),
            ("${N-x}", "x"),
            ("${E-x}", ""),
            ("${E:-x}", "x"),
            ("${A:-x}", "a"),
            ("${N:-$A}", "a"),
            ("${N:-${M:-${A}}}z", "az"),
            ("${N:-a:b#c d}", "a:b#c d"),
            ("${A:+yes}", "yes"),
            ("${E:+yes}", ""),
            ("${E+yes}", "yes"),
            ("${N+yes}", ""),
            ("${A:?must}", "a"),
            ("${E?must}", ""),
            ("${N:-}", ""),
            ("${N:-a{b}", "a{b"),
            ("$D", "$A"),
            ("$a_1 b", " b"),
            ("ü${A}ü", "üaü"),
        ] {
            assert_eq!(filled(template).as_deref(), Ok(meant), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_says_why() {
        for template in ["$", "a$", "$1", "${}", "${A", "${1}", "${A!x}", "${A:x}", "${N:-${A}", "pa$%"] {
            assert_eq!(filled(template), Err(Fault::Malformed), "{template}");
        }
        let Err(Fault::Required { name, message }) = filled("${N:?say it}") else { panic!() };
        assert_eq!((name.as_str(), message.as_str()), ("N", "say it"));
        assert!(filled("${E:?x}").is_err());
    }

    #[test]
    fn it_stays_short() {
        let deep = format!("{}x{}", "${N:-".repeat(1_000), "}".repeat(1_000));
        assert_eq!(filled(&deep), Err(Fault::TooMuch));
        assert_eq!(filled(&"$A".repeat(70_000)), Err(Fault::TooMuch));
    }
}

//! Names of routines as the catalog writes them, `f(public.mood[], integer)`: a type that moves is written otherwise in
//! every routine that takes it. Knows text only.

use crate::domain::qualified;

/// The signature after `schema.name` has moved to schema `to`; `None` when it does not take that type.
#[must_use]
pub fn moved_type(signature: &str, schema: &str, name: &str, to: &str) -> Option<String> {
    let (old, new) = (qualified(schema, name), qualified(to, name));
    let begin = arguments(signature)?;
    let (mut out, mut rest) = signature.split_at_checked(begin)?;
    let mut text = String::from(out);
    let mut found = false;
    let mut start = true;
    while let Some(c) = rest.chars().next() {
        if start
            && let Some(after) = rest.strip_prefix(old.as_str())
            && after.starts_with([',', ')', '['])
        {
            text.push_str(&new);
            rest = after;
            (found, start) = (true, false);
            continue;
        }
        let width = if c == '"' { quoted(rest) } else { c.len_utf8() };
        (out, rest) = rest.split_at_checked(width)?;
        text.push_str(out);
        start = matches!(c, ' ' | '(');
    }
    found.then_some(text)
}

/// The name before the arguments, quotes and all.
#[must_use]
pub fn name(signature: &str) -> &str {
    arguments(signature).and_then(|at| signature.get(..at)).unwrap_or(signature)
}

/// Where the bracket of the arguments opens.
fn arguments(signature: &str) -> Option<usize> {
    let begin = if signature.starts_with('"') { quoted(signature) } else { 0 };
    signature.get(begin..)?.find('(').map(|at| begin + at)
}

/// Bytes of the quoted name that a text begins with.
fn quoted(text: &str) -> usize {
    let mut inside = false;
    for (at, c) in text.char_indices() {
        if c == '"' {
            inside = !inside;
        } else if !inside {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_moves_is_written_otherwise_where_it_is_taken() {
        let moved = |signature: &str| moved_type(signature, "public", "mood", "b");
        assert_eq!(moved("f(public.mood)").as_deref(), Some("f(b.mood)"));
        assert_eq!(moved("f(integer, public.mood[], public.mood)").as_deref(), Some("f(integer, b.mood[], b.mood)"));
        assert_eq!(moved("f(public.moods, xpublic.mood)"), None);
        assert_eq!(moved("\"a(public.mood)\"(text)"), None);
        assert_eq!(moved("f(\" public.mood\".x)"), None);
        let odd = moved_type("\"f \"\"(\"(\"A b\".\"T,\", text)", "A b", "T,", "C d");
        assert_eq!(odd.as_deref(), Some("\"f \"\"(\"(\"C d\".\"T,\", text)"));
        assert_eq!(name("\"f \"\"(\"(text)"), "\"f \"\"(\"");
        assert_eq!(name("f()"), "f");
    }
}

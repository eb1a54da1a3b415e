//! What uses what, around one schema: read on request, for plans that move things out of it. Holds edges of the catalog
//! and texts that name things; says nothing about what should move.

use serde::{Deserialize, Serialize};

use super::ident::Oid;

/// Everything that things of one schema use, and everything that uses them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dependencies {
    pub schema: Oid,
    pub uses: Vec<Use>,
    /// Routines of the schema, and those of others that name it; none of an extension.
    pub bodies: Vec<Body>,
    /// Defaults of columns in this schema that look something up by a text, or hold the schema's name as one.
    pub text_defaults: Vec<TextDefault>,
    /// Publications that publish whatever stands in the schema (since 15).
    pub publications: Vec<String>,
}

/// The catalog that a thing's oid is of: oids are unique in each only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Tables, views, sequences and so on; indexes count as their table, row types as their relation.
    Relation,
    Routine,
    /// Arrays count as their element.
    Type,
}

/// A thing by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thing {
    pub class: Class,
    pub oid: Oid,
    pub schema: Oid,
    /// Routines carry their argument types.
    pub name: String,
}

/// How one thing uses another (`pg_depend`, the catalog of the dependent part).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// A column's type, an index, inheritance, a routine's arguments or SQL body, a type's parts.
    Itself,
    /// A partition of a table: it goes where the table goes.
    Part,
    /// A column's default.
    Default,
    /// What a view reads.
    Query,
    Trigger,
    /// A foreign key: the referenced table need not move along.
    ForeignKey,
    /// A check, of a table or a domain.
    Constraint,
    /// A row level security policy.
    Policy,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Use {
    pub user: Thing,
    pub through: Through,
    /// `None`: something that is no thing of ours, an operator class of an extension.
    pub used: Option<Thing>,
    /// The extension that what is used belongs to.
    pub extension: Option<String>,
}

/// The text of a routine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub oid: Oid,
    pub schema: Oid,
    /// With its argument types.
    pub signature: String,
    pub security_definer: bool,
    /// `name=value` of its SET clauses.
    pub settings: Vec<String>,
    /// At most 64 KiB.
    pub source: String,
}

/// A default that looks something up by a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextDefault {
    pub relation: Oid,
    pub table: String,
    pub column: String,
    pub expression: String,
}

/// True when `word` stands in `text` as a word of its own, in any case: `public` in `public.users`, not in `republic`.
#[must_use]
pub fn names(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    !word.is_empty()
        && text.match_indices(&word).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
            !before.is_some_and(part) && !after.is_some_and(part)
        })
}

/// The lines of a text that name a schema as a schema: `public.` or `'public'`. At most `most` of them, trimmed.
#[must_use]
pub fn lines_naming<'a>(text: &'a str, schema: &str, most: usize) -> Vec<&'a str> {
    text.lines().map(str::trim).filter(|line| names_schema(line, schema)).take(most).collect()
}

/// `schema.`, `"schema".` or the name as a text of its own.
#[must_use]
pub fn names_schema(text: &str, schema: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '.';
    let quoted = format!("\"{schema}\".");
    let literal = format!("'{schema}'");
    let dotted = format!("{schema}.");
    text.contains(&quoted)
        || text.contains(&literal)
        || text.match_indices(&dotted).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            !before.is_some_and(part)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        assert!(names("select * from Public.users", "public") && names("users", "users"));
        assert!(!names("republic publication public_key", "public"));
        assert!(names_schema("x := public.f()", "public") && names_schema("nspname = 'public'", "public"));
        assert!(names_schema("from \"A b\".t", "A b"));
        assert!(!names_schema("grant x to public; a.public.b", "public"));
        assert_eq!(lines_naming("a\n  insert into public.log\nb", "public", 3), ["insert into public.log"]);
    }
}

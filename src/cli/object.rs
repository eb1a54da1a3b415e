//! OBJECT of `explain`: `schema`, `schema.relation`, `schema.relation.column`, `schema.function(args)` or `database:NAME`,
//! with odd names in double quotes as SQL writes them. Reads the words and finds the object in a catalog; asks no server.
//!
//! A bare name is taken as it is typed, and, when nothing is called so, in small letters as SQL would.

use super::failure::Failure;
use crate::{
    config,
    domain::snapshot::{Catalog, Kind, Object, Objects, Schema, SchemaObjects},
};

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    Database(Name),
    Schema(Name),
    /// A relation, type, or a routine that is the only one of its name.
    Object(Name, Name),
    /// A column of a relation.
    Column(Name, Name, Name),
    /// With the argument types as typed.
    Routine(Name, Name, String),
}

/// One identifier as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub quoted: bool,
}

impl Name {
    /// The column of that name.
    pub fn among<'a>(&self, columns: &'a [String]) -> Option<&'a String> {
        self.find(|n| columns.iter().find(|c| *c == n))
    }

    fn find<'a, T>(&self, items: impl Fn(&str) -> Option<&'a T>) -> Option<&'a T> {
        items(&self.text).or_else(|| (!self.quoted).then(|| self.text.to_lowercase()).and_then(|folded| items(&folded)))
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Found<'a> {
    Database,
    Schema(&'a Schema),
    /// In the schema, the object is still to be looked up: [`Words::object`].
    In(&'a Schema),
}

impl Words {
    /// Reads what was typed.
    ///
    /// # Errors
    /// A quote that does not end, an empty part, more than two parts.
    pub fn parse(text: &str) -> Result<Words, Failure> {
        let wrong = |cause: &str| {
            let remedy = "OBJECT is schema, schema.relation, schema.relation.column, schema.function(args) or \
                          database:NAME; put odd names in double quotes, and the whole in single quotes for the shell.";
            Failure::usage(format!("could not read the object {text}: {cause}"), remedy)
        };
        if let Some(rest) = text.strip_prefix("database:") {
            let (name, rest) = name(rest).map_err(wrong)?;
            return if rest.is_empty() { Ok(Words::Database(name)) } else { Err(wrong("a database has one name")) };
        }
        let (first, rest) = name(text).map_err(wrong)?;
        if rest.is_empty() {
            return Ok(Words::Schema(first));
        }
        let rest = rest.strip_prefix('.').ok_or_else(|| wrong("a schema must be named before the object"))?;
        let (second, rest) = name(rest).map_err(wrong)?;
        if rest.is_empty() {
            return Ok(Words::Object(first, second));
        }
        match rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
            Some(args) => return Ok(Words::Routine(first, second, args.to_owned())),
            None if rest.starts_with('(') => return Err(wrong("a parenthesis does not end")),
            None => {}
        }
        let rest = rest.strip_prefix('.').ok_or_else(|| wrong("a name goes on after its double quotes"))?;
        let (third, rest) = name(rest).map_err(wrong)?;
        if rest.is_empty() {
            Ok(Words::Column(first, second, third))
        } else {
            Err(wrong("it has more than three parts"))
        }
    }

    /// Finds the schema (or the database) in a catalog.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn place<'a>(&self, catalog: &'a Catalog) -> Result<Found<'a>, Failure> {
        match self {
            Words::Database(name) => {
                let this = catalog.database.name.as_str();
                if name.text == this || (!name.quoted && name.text.to_lowercase() == this) {
                    return Ok(Found::Database);
                }
                let cause = format!("could not find the database {} here: this is a connection to {this}", name.text);
                Err(Failure::usage(cause, "Connect to the database that is meant."))
            }
            Words::Schema(name) => schema(catalog, name).map(Found::Schema),
            Words::Object(name, _) | Words::Column(name, _, _) | Words::Routine(name, _, _) => {
                schema(catalog, name).map(Found::In)
            }
        }
    }

    /// Finds the object among those of its schema.
    ///
    /// # Errors
    /// There is none of that name, or several.
    pub fn object<'a>(&self, of: &Schema, objects: &'a Objects) -> Result<&'a Object, Failure> {
        let empty = || Failure::usage(format!("could not find objects of {}: none were read", of.name), "");
        let all = objects.0.get(&of.oid).ok_or_else(empty)?;
        match self {
            Words::Database(_) | Words::Schema(_) => Err(empty()),
            Words::Object(_, name) => {
                let relation = |n: &str| all.relations.iter().chain(&all.types).find(|o| o.name == n);
                name.find(relation).map_or_else(|| only_routine(of, all, name), Ok)
            }
            Words::Column(_, name, _) => {
                let relation = |n: &str| all.relations.iter().find(|o| o.name == n && o.kind != Kind::Sequence);
                name.find(relation).ok_or_else(|| {
                    let others = |n: &str| all.all().find(|o| base(&o.name) == n);
                    match name.find(others) {
                        Some(other) => {
                            let cause = format!(
                                "could not ask for a column of {}.{}: a {} has none",
                                of.name,
                                name.text,
                                other.kind.word()
                            );
                            Failure::usage(cause, "Tables and views have columns: schema.relation.column.")
                        }
                        None => missing(of, all, &name.text, &name.text),
                    }
                })
            }
            Words::Routine(_, name, args) => {
                let wanted = arguments(args);
                let here = |n: &str| all.routines.iter().find(|o| base(&o.name) == n && signature(&o.name) == wanted);
                name.find(here).ok_or_else(|| missing(of, all, &format!("{}({args})", name.text), base(&name.text)))
            }
        }
    }
}

fn schema<'a>(catalog: &'a Catalog, name: &Name) -> Result<&'a Schema, Failure> {
    name.find(|n| catalog.schema_named(n)).ok_or_else(|| {
        let cause = format!("could not find the schema {} in {}", name.text, catalog.database.name);
        if name.text == catalog.database.name {
            return Failure::usage(cause, "That is the database's name, which is left out: schema.table.");
        }
        let near = config::nearest(&name.text, catalog.schemas.iter().map(|s| s.name.as_str()));
        let hint = near.map_or_else(
            || "`pgmoat matrix` lists the schemas; a table is written schema.table.".to_owned(),
            |n| format!("Did you mean {n}?"),
        );
        Failure::usage(cause, hint)
    })
}

/// A routine named without its arguments, when there is only one.
fn only_routine<'a>(of: &Schema, all: &'a SchemaObjects, name: &Name) -> Result<&'a Object, Failure> {
    let called = |n: &str| all.routines.iter().filter(|o| base(&o.name) == n).collect::<Vec<_>>();
    let mut found = called(&name.text);
    if found.is_empty() && !name.quoted {
        found = called(&name.text.to_lowercase());
    }
    match found[..] {
        [one] => Ok(one),
        [] => Err(missing(of, all, &name.text, &name.text)),
        _ => {
            let names: Vec<&str> = found.iter().map(|o| o.name.as_str()).collect();
            let cause = format!("could not tell which {} of {} is meant", name.text, of.name);
            Err(Failure::usage(cause, format!("Name its arguments: {}.", crate::text::list(&names, 6))))
        }
    }
}

fn missing(of: &Schema, all: &SchemaObjects, typed: &str, word: &str) -> Failure {
    let near = config::nearest(word, all.all().map(|o| base(&o.name)));
    let hint = near.map_or_else(
        || "Check the spelling; names are taken as they stand in the catalog.".to_owned(),
        |n| format!("Did you mean {}.{n}?", of.name),
    );
    Failure::usage(format!("could not find {typed} in the schema {}", of.name), hint)
}

/// One identifier from the front of a text.
fn name(text: &str) -> Result<(Name, &str), &'static str> {
    if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let (part, after) = rest.split_once('"').ok_or("a double quote does not end")?;
            name.push_str(part);
            rest = after;
            match after.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None if name.is_empty() => return Err("a name is empty"),
                None => return Ok((Name { text: name, quoted: true }, rest)),
            }
        }
    }
    let end = text.find(['.', '(', '"']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() { Err("a name is empty") } else { Ok((Name { text: name.to_owned(), quoted: false }, rest)) }
}

/// Name of a routine without its arguments. A quoted name may hold parentheses: the last opening one that has its end
/// begins the arguments.
fn base(name: &str) -> &str {
    let mut depth = 0usize;
    for (i, c) in name.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth <= 1 => return name.get(..i).unwrap_or(name),
            '(' => depth -= 1,
            _ if depth == 0 => return name,
            _ => {}
        }
    }
    name
}

fn signature(name: &str) -> Vec<String> {
    let rest = name.get(base(name).len()..).unwrap_or_default();
    arguments(rest.trim_start_matches('(').strip_suffix(')').unwrap_or(rest))
}

/// Argument types in the server's own words.
fn arguments(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted) = (0usize, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            if quoted { part.push(c) } else { part.extend(c.to_lowercase()) }
        }
    }
    let parts: Vec<String> = parts.iter().map(|p| type_name(p)).collect();
    if parts.iter().all(String::is_empty) { Vec::new() } else { parts }
}

/// The name that `format_type` gives a type people write shorter.
fn type_name(typed: &str) -> String {
    let words = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let (bare, array) = words.split_once("[]").map_or((words.as_str(), ""), |(b, _)| (b.trim_end(), "[]"));
    let long = match bare {
        "int" | "int4" => "integer",
        "int2" => "smallint",
        "int8" => "bigint",
        "bool" => "boolean",
        "varchar" => "character varying",
        "char" | "bpchar" => "character",
        "float4" => "real",
        "float8" | "float" => "double precision",
        "decimal" => "numeric",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        "varbit" => "bit varying",
        other => other,
    };
    format!("{long}{array}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Acl, Oid};

    fn bare(text: &str) -> Name {
        Name { text: text.into(), quoted: false }
    }
    fn quoted(text: &str) -> Name {
        Name { text: text.into(), quoted: true }
    }

    #[test]
    fn every_form_is_read() {
        for (text, words) in [
            ("public", Words::Schema(bare("public"))),
            ("public.flow", Words::Object(bare("public"), bare("flow"))),
            ("a.f(int, text)", Words::Routine(bare("a"), bare("f"), "int, text".into())),
            ("a.t.c", Words::Column(bare("a"), bare("t"), bare("c"))),
            ("a.\"t.u\".\"c d\"", Words::Column(bare("a"), quoted("t.u"), quoted("c d"))),
            ("a.f()", Words::Routine(bare("a"), bare("f"), String::new())),
            ("database:En-Garde", Words::Database(bare("En-Garde"))),
            ("\"a.b\".\"c\"\"d(\"", Words::Object(quoted("a.b"), quoted("c\"d("))),
            ("\"database:x\"", Words::Schema(quoted("database:x"))),
        ] {
            assert_eq!(Words::parse(text).unwrap(), words, "{text}");
        }
        for wrong in ["", ".x", "a.", "a.b.c.d", "a.b.", "\"a", "\"\"", "a.f(", "a\"b\"", "database:"] {
            assert!(Words::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn object(kind: Kind, name: &str) -> Object {
        Object {
            oid: Oid(1),
            kind,
            name: name.into(),
            owner: Oid(10),
            acl: Acl::default(),
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        }
    }

    #[test]
    fn objects_are_found_as_people_name_them() {
        let of = Schema { oid: Oid(5), name: "s".into(), owner: Oid(10), acl: Acl::default(), extension: false };
        let all = SchemaObjects {
            relations: vec![object(Kind::Table, "flow"), object(Kind::Table, "Flow")],
            routines: vec![
                object(Kind::Function, "f(integer, character varying)"),
                object(Kind::Function, "g()"),
                object(Kind::Function, "g(numeric(10,2)[])"),
            ],
            types: vec![object(Kind::Type, "mood")],
            ..SchemaObjects::default()
        };
        let objects = Objects([(Oid(5), std::sync::Arc::new(all))].into());
        let find = |text: &str| Words::parse(text).unwrap().object(&of, &objects).map(|o| o.name.clone());
        assert_eq!(find("s.flow").unwrap(), "flow");
        assert_eq!(find("s.Flow").unwrap(), "Flow", "as typed first");
        assert_eq!(find("s.FLOW").unwrap(), "flow", "then as SQL folds");
        assert!(find("s.\"FLOW\"").is_err());
        assert_eq!(find("s.mood").unwrap(), "mood");
        assert_eq!(find("s.f").unwrap(), "f(integer, character varying)");
        assert_eq!(find("s.f(INT,varchar)").unwrap(), "f(integer, character varying)");
        assert_eq!(find("s.g()").unwrap(), "g()");
        assert!(find("s.g").unwrap_err().remedy.unwrap().contains("g(numeric(10,2)[])"));
        assert!(find("s.flwo").unwrap_err().remedy.unwrap().contains("s.flow"));
    }
}

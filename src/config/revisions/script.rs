//! What the text of one revision script says: its revision, what it revises, which tables it makes. Reads Python's
//! surface (strings, comments, brackets, lines) and never evaluates anything; knows no files.

use std::collections::HashMap;

use crate::domain::alembic::Script;

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The script, and what in it could not be understood.
    Script(Script, Vec<String>),
    /// Another Python file: it sets neither `revision` nor `down_revision`.
    NotAScript,
    /// It sets them in a way that cannot be read without running it.
    Unreadable(String),
}

/// Reads one script.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    let lines = lines(text);
    let mut constants: HashMap<&str, String> = HashMap::new();
    let mut fields: HashMap<&str, Value> = HashMap::new();
    for line in lines.iter().filter(|l| l.column == 0) {
        let Some((name, value)) = assignment(&line.tokens) else { continue };
        let value = Value::read(value, &constants);
        if let Value::One(text) = &value {
            constants.insert(name, text.clone());
        }
        if matches!(name, "revision" | "down_revision" | "depends_on" | "branch_labels") {
            fields.insert(name, value);
        }
    }
    let Some(revision) = fields.remove("revision") else {
        return match fields.get("down_revision") {
            Some(_) => Parsed::Unreadable("it sets down_revision but no revision".to_owned()),
            None => Parsed::NotAScript,
        };
    };
    let Value::One(revision) = revision else {
        return Parsed::Unreadable("its revision is not a plain text".to_owned());
    };
    let mut doubts = Vec::new();
    let mut list = |name: &str| match fields.remove(name) {
        None | Some(Value::None) => Vec::new(),
        Some(Value::One(one)) => vec![one],
        Some(Value::Many(many)) => many,
        Some(Value::Unreadable) => {
            doubts.push(format!("its {name} cannot be read without running it"));
            Vec::new()
        }
    };
    let mut script = Script {
        down: list("down_revision"),
        depends_on: list("depends_on"),
        branch_labels: list("branch_labels"),
        revision,
        ..Script::default()
    };
    tables(&lines, &constants, &mut script);
    Parsed::Script(script, doubts)
}

/// The text that a Python file gives an argument or a key of this name: `name="x"`, `"name": "x"`, or a constant of the
/// file. `None` where it is not said, said in several ways, or made at run time.
#[must_use]
pub fn named_text(text: &str, name: &str) -> Option<String> {
    let lines = lines(text);
    let mut constants: HashMap<&str, String> = HashMap::new();
    let mut found: Option<String> = None;
    for line in &lines {
        if let Some((constant, value)) = assignment(&line.tokens)
            && let Value::One(text) = Value::read(value, &constants)
        {
            constants.insert(constant, text);
        }
        for (i, token) in line.tokens.iter().enumerate() {
            let value = match (token, line.tokens.get(i + 1..).unwrap_or_default()) {
                (Token::Name(_), [Token::Sign('='), Token::Sign('='), ..]) => continue,
                (Token::Name(n), [Token::Sign('='), value @ ..]) if *n == name => value,
                (Token::Text(t), [Token::Sign(':'), value @ ..]) if t == name => value,
                _ => continue,
            };
            let end = value.iter().position(|t| matches!(t, Token::Sign(',' | ')' | '}'))).unwrap_or(value.len());
            let Value::One(said) = Value::read(value.get(..end)?, &constants) else { return None };
            if said.contains('{') || found.as_ref().is_some_and(|before| *before != said) {
                return None;
            }
            found = Some(said);
        }
    }
    found
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Text(String),
    /// Any other character: operators and brackets, and numbers digit by digit.
    Sign(char),
}

/// One logical line: brackets closed, continuation lines joined.
#[derive(Debug, Default)]
struct Line<'a> {
    /// Blanks before its first token.
    column: usize,
    tokens: Vec<Token<'a>>,
}

#[derive(Debug)]
enum Value {
    None,
    One(String),
    Many(Vec<String>),
    Unreadable,
}

impl Value {
    /// A text, `None`, a known constant, or a tuple, list or set of texts.
    fn read(tokens: &[Token<'_>], constants: &HashMap<&str, String>) -> Value {
        let mut items: Vec<String> = Vec::new();
        // a text follows directly: adjacent literals are one
        let mut open = false;
        let mut brackets = false;
        let mut commas = false;
        let mut none = false;
        for (i, token) in tokens.iter().enumerate() {
            match token {
                Token::Text(text) => {
                    match items.last_mut().filter(|_| open) {
                        Some(last) => last.push_str(text),
                        None => items.push(text.clone()),
                    }
                    open = true;
                    continue;
                }
                Token::Name("None") => none = true,
                Token::Name("tuple" | "list" | "set" | "frozenset") if tokens.get(i + 1) == Some(&Token::Sign('(')) => {
                }
                Token::Name(name) => match constants.get(name) {
                    Some(text) => items.push(text.clone()),
                    None => return Value::Unreadable,
                },
                Token::Sign(',') => commas = true,
                Token::Sign('[' | '{') => brackets = true,
                Token::Sign('(' | ')' | ']' | '}') => {}
                Token::Sign(_) => return Value::Unreadable,
            }
            open = false;
        }
        match (items.len(), none) {
            (0, true) => Value::None,
            (0, false) if brackets || tokens.contains(&Token::Sign('(')) => Value::Many(items),
            (0, false) => Value::Unreadable,
            (1, false) if !brackets && !commas => items.pop().map_or(Value::None, Value::One),
            (_, _) => Value::Many(items),
        }
    }
}

/// `name = value` or `name: type = value`; the value's tokens.
fn assignment<'a, 'b>(tokens: &'b [Token<'a>]) -> Option<(&'a str, &'b [Token<'a>])> {
    let (Token::Name(name), rest) = tokens.split_first()? else { return None };
    match rest.first()? {
        Token::Sign('=') => rest.get(1..).filter(|v| v.first() != Some(&Token::Sign('='))).map(|v| (*name, v)),
        Token::Sign(':') => {
            let mut depth = 0_i32;
            for (i, token) in rest.iter().enumerate() {
                match token {
                    Token::Sign('[' | '(' | '{') => depth += 1,
                    Token::Sign(']' | ')' | '}') => depth -= 1,
                    Token::Sign('=') if depth == 0 => return rest.get(i + 1..).map(|v| (*name, v)),
                    Token::Sign(_) | Token::Name(_) | Token::Text(_) => {}
                }
            }
            None
        }
        Token::Sign(_) | Token::Name(_) | Token::Text(_) => None,
    }
}

/// Tables made and dropped outside `downgrade`, in the order of the text, and whether `public` is named.
fn tables(lines: &[Line<'_>], constants: &HashMap<&str, String>, script: &mut Script) {
    let mut down = false;
    for line in lines {
        let tokens = line.tokens.as_slice();
        if line.column == 0 {
            down = match tokens {
                [Token::Name("def"), Token::Name(name), ..]
                | [Token::Name("async"), Token::Name("def"), Token::Name(name), ..] => name.contains("downgrade"),
                _ => false,
            };
        }
        if down || matches!(tokens, [Token::Text(_)]) {
            continue;
        }
        for (i, token) in tokens.iter().enumerate() {
            let rest = tokens.get(i + 1..).unwrap_or_default();
            match token {
                Token::Text(text) => {
                    script.names_public |= names_public(text);
                    statement(text, script);
                }
                Token::Sign('.') => {
                    let [Token::Name(call), Token::Sign('('), arguments @ ..] = rest else { continue };
                    let (first, rest) = argument(arguments, constants);
                    let Some(first) = first else { continue };
                    match *call {
                        "create_table" => create(script, first),
                        "drop_table" => drop_table(script, &first),
                        "rename_table" => {
                            if let (Some(second), _) = argument(rest, constants) {
                                drop_table(script, &first);
                                create(script, second);
                            }
                        }
                        _ => {}
                    }
                }
                Token::Name(_) | Token::Sign(_) => {}
            }
        }
    }
}

/// The text of the first argument (`"x"`, `name="x"`, a constant), and what follows its comma.
fn argument<'a, 'b>(tokens: &'b [Token<'a>], constants: &HashMap<&str, String>) -> (Option<String>, &'b [Token<'a>]) {
    let tokens = match tokens {
        [Token::Name(_), Token::Sign('='), rest @ ..] => rest,
        all => all,
    };
    let text = match tokens.first() {
        Some(Token::Text(text)) => Some(text.clone()),
        Some(Token::Name(name)) => constants.get(name).cloned(),
        Some(Token::Sign(_)) | None => None,
    };
    let rest = match tokens {
        [_, Token::Sign(','), rest @ ..] => rest,
        _ => &[],
    };
    (text, rest)
}

fn create(script: &mut Script, table: String) {
    if table.contains('{') {
        // a name that is put together at run time
        return;
    }
    script.drops.retain(|t| *t != table);
    if !script.creates.contains(&table) {
        script.creates.push(table);
    }
}

fn drop_table(script: &mut Script, table: &str) {
    let before = script.creates.len();
    script.creates.retain(|t| t != table);
    if script.creates.len() == before && !script.drops.iter().any(|t| t == table) {
        script.drops.push(table.to_owned());
    }
}

/// `CREATE TABLE`, `DROP TABLE`, `ALTER TABLE … RENAME TO` at the start of an SQL text.
fn statement(text: &str, script: &mut Script) {
    let mut words = text.split_whitespace().take(12);
    let mut next = || words.next().unwrap_or_default();
    let (verb, mut object) = (next(), next());
    while matches!(object.to_ascii_uppercase().as_str(), "UNLOGGED" | "TEMP" | "TEMPORARY") {
        if !object.eq_ignore_ascii_case("UNLOGGED") {
            return;
        }
        object = next();
    }
    if !object.eq_ignore_ascii_case("TABLE") {
        return;
    }
    let mut name = next();
    if name.eq_ignore_ascii_case("IF") {
        name = next();
        if name.eq_ignore_ascii_case("NOT") {
            next();
        }
        name = next();
    }
    let Some(table) = bare(name) else { return };
    if verb.eq_ignore_ascii_case("CREATE") {
        create(script, table);
    } else if verb.eq_ignore_ascii_case("DROP") {
        drop_table(script, &table);
    } else if verb.eq_ignore_ascii_case("ALTER")
        && next().eq_ignore_ascii_case("RENAME")
        && next().eq_ignore_ascii_case("TO")
        && let Some(new) = bare(next())
    {
        drop_table(script, &table);
        create(script, new);
    }
}

/// The last part of a name in SQL, without quotes and what clings to it; `None` for placeholders.
fn bare(word: &str) -> Option<String> {
    let word = word.split(['(', ';', ',']).next().unwrap_or_default();
    let name = word.rsplit('.').next().unwrap_or_default().trim_matches('"');
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    plain.then(|| name.to_owned())
}

/// The text is `public`, or SQL with `'public'` or `public.` in it.
fn names_public(text: &str) -> bool {
    if text == "public" {
        return true;
    }
    text.match_indices("public").any(|(i, found)| {
        let before = text.get(..i).and_then(|t| t.chars().next_back());
        let after = text.get(i + found.len()..).and_then(|t| t.chars().next());
        let quoted = before == Some('\'') && after == Some('\'');
        let qualifier = after == Some('.')
            && before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ',' | '"' | '\''))
            && text
                .get(i + found.len() + 1..)
                .and_then(|t| t.chars().next())
                .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '{'));
        quoted || qualifier
    })
}

/// Splits a text into logical lines of tokens. Comments are left out; an unclosed string or bracket runs to the end.
fn lines(text: &str) -> Vec<Line<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut all = Vec::new();
    let mut line = Line::default();
    let mut depth = 0_usize;
    let mut column = 0;
    // after a semicolon the statement stands where the line began
    let mut began = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' | '\r' => {
                if depth == 0 && !line.tokens.is_empty() {
                    all.push(std::mem::take(&mut line));
                }
                column = 0;
                began = None;
                rest = after;
            }
            '#' => rest = after.find('\n').and_then(|i| after.get(i..)).unwrap_or_default(),
            '\\' => rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after),
            ' ' | '\t' | '\u{c}' => {
                column += 1;
                rest = after;
            }
            ';' if depth == 0 => {
                if !line.tokens.is_empty() {
                    began = Some(line.column);
                    all.push(std::mem::take(&mut line));
                }
                rest = after;
            }
            _ => {
                if line.tokens.is_empty() {
                    line.column = began.unwrap_or(column);
                }
                if let Some((text, tail)) = string(rest) {
                    line.tokens.push(Token::Text(text));
                    rest = tail;
                } else if c.is_alphabetic() || c == '_' {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    let (name, tail) = rest.split_at(end);
                    line.tokens.push(Token::Name(name));
                    rest = tail;
                } else {
                    match c {
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    line.tokens.push(Token::Sign(c));
                    rest = after;
                }
            }
        }
    }
    if !line.tokens.is_empty() {
        all.push(line);
    }
    all
}

/// A string literal at the start, with its prefix; its text, and what follows.
fn string(text: &str) -> Option<(String, &str)> {
    let start = text.find(['"', '\'']).filter(|i| *i <= 2)?;
    let (prefix, body) = text.split_at(start);
    if !prefix.chars().all(|c| matches!(c.to_ascii_lowercase(), 'r' | 'b' | 'u' | 'f' | 't')) {
        return None;
    }
    let raw = prefix.contains(['r', 'R']);
    let quote = body.chars().next()?;
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let long = body.starts_with(&triple);
    let closing = if long { triple } else { quote.to_string() };
    let mut rest = body.get(closing.len()..)?;
    let mut out = String::new();
    loop {
        if let Some(tail) = rest.strip_prefix(closing.as_str()) {
            return Some((out, tail));
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => return Some((out, "")),
            // a string of one line ends with the line
            Some('\n') if !long => return Some((out, rest)),
            Some('\\') => {
                let escaped = chars.next();
                match escaped {
                    Some(c) if raw => out.extend(['\\', c]),
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('\n') | None => {}
                    Some(c) => out.push(c),
                }
            }
            Some(c) => out.push(c),
        }
        rest = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        match parse(text) {
            Parsed::Script(script, doubts) => {
                assert!(doubts.is_empty(), "{doubts:?}");
                script
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_said_of_the_version_table_is_read_where_it_is_plain() {
        for (text, said) in [
            (
                "context.configure(\n  connection=c,  # the one\n  version_table=\"auth_version\",\n)\n",
                Some("auth_version"),
            ),
            ("TABLE = 'mine'\ndef run():\n    context.configure(version_table=TABLE)\n", Some("mine")),
            ("options = {'version_table': 'mine', 'x': 1}\ncontext.configure(**options)", Some("mine")),
            ("configure(version_table='a')\nconfigure(version_table='a')", Some("a")),
            ("configure(version_table='a')\nconfigure(version_table='b')", None),
            ("configure(version_table=f'alembic_{name}')", None),
            ("configure(version_table=config.get_main_option('version_table'))", None),
            ("# version_table='x'\nconfigure(version_table_schema='x')", None),
            ("if version_table == 'x': pass", None),
        ] {
            assert_eq!(named_text(text, "version_table").as_deref(), said, "{text}");
        }
        assert_eq!(named_text("configure(version_table_schema='x')", "version_table_schema").as_deref(), Some("x"));
    }

    #[test]
    fn every_form_of_the_fields_is_read() {
        for (text, revision, down) in [
            ("revision = 'a1'\ndown_revision = None\n", "a1", vec![]),
            ("revision: str = \"a1\"\ndown_revision: Union[str, None] = \"b2\"\n", "a1", vec!["b2"]),
            ("revision='v3.2.0.a'\ndown_revision=('b', 'c')  # merge\n", "v3.2.0.a", vec!["b", "c"]),
            (
                "down_revision: str | Sequence[str] | None = (\n    'b',  # one\n    \"c\",\n)\nrevision = u'a'",
                "a",
                vec!["b", "c"],
            ),
            ("revision = ('a'\n  'b')\ndown_revision = ['c']\n", "ab", vec!["c"]),
            ("prior = 'p'\nrevision = 'a'; down_revision = prior\n", "a", vec!["p"]),
            ("revision = \\\n 'a'\ndown_revision = 'b', 'c'\n", "a", vec!["b", "c"]),
            ("\u{feff}\"\"\"notes\n\nrevision = 'no'\n\"\"\"\r\nrevision = 'a'\r\ndown_revision = ()\r\n", "a", vec![]),
            ("# revision = 'no'\nrevision = 'a'\nif x:\n    revision = 'no'\n", "a", vec![]),
        ] {
            let s = script(text);
            assert_eq!((s.revision.as_str(), s.down.iter().map(String::as_str).collect()), (revision, down), "{text}");
        }
        let s = script("revision='a'\nbranch_labels = ('core',)\ndepends_on = {'x', 'y'}\n");
        assert_eq!((s.branch_labels, s.depends_on), (vec!["core".to_owned()], vec!["x".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn what_needs_running_is_said() {
        assert_eq!(parse("import os\n"), Parsed::NotAScript);
        assert!(matches!(parse("revision = make()\n"), Parsed::Unreadable(_)));
        assert!(matches!(parse("down_revision = 'a'\n"), Parsed::Unreadable(_)));
        assert!(
            matches!(parse("revision = 'a'\ndown_revision = f()\n"), Parsed::Script(_, doubts) if doubts.len() == 1)
        );
        assert_eq!(
            parse("revision = 'a' if x else 'b'\n"),
            Parsed::Unreadable("its revision is not a plain text".into())
        );
        assert_eq!(parse("def f(:\n  '"), Parsed::NotAScript, "broken Python ends");
    }

    #[test]
    fn tables_are_those_of_the_upgrade() {
        let s = script(
            r#"
"""Create table nothing."""
revision = "a"
NAME = "constant"
def upgrade():
    """create table prose"""
    op.create_table(
        "flow",  # the main one
        sa.Column("id", sa.Integer()),
    )
    op.create_table(NAME, sa.Column())
    op.create_table(table_name='named')
    op.create_table(f"_{x}" if y else "never")
    op.rename_table("before", "after")
    op.create_table("short"); op.drop_table("short")
    op.drop_table("gone")
    op.execute("CREATE TABLE IF NOT EXISTS public.raw (id int)")
    op.execute("CREATE TEMP TABLE scratch (id int)")
    op.execute(sa.text('''
        ALTER TABLE "x" RENAME TO "y"
    '''))
def downgrade():
    op.create_table("gone")
    op.drop_table("flow", schema="public")
"#,
        );
        assert_eq!(s.creates, ["flow", "constant", "named", "after", "raw", "y"]);
        assert_eq!(s.drops, ["before", "gone", "x"]);
        assert!(s.names_public, "public.raw");
    }

    #[test]
    fn the_schema_public_is_noticed_and_the_word_is_not() {
        let named = |line: &str| script(&format!("revision = 'a'\ndef upgrade():\n    {line}\n")).names_public;
        assert!(named("op.create_table('x', schema='public')"));
        assert!(named("op.execute(\"select 1 where n.nspname = 'public'\")"));
        assert!(named("op.execute('drop index public.ix')"));
        assert!(!named("x = 'this is public. Yes'"));
        assert!(!named("op.add_column('flow', sa.Column('is_public', sa.Boolean()))"));
        assert!(!named("y = 'republic.x'"));
    }
}

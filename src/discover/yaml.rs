//! YAML text as a tree that remembers file and line of every value, keeps texts as they were written, and resolves
//! aliases and merge keys within budgets: a small file that stands for millions of values is refused while it is read.
//! Knows nothing of Compose and reads no file.

use std::{collections::HashMap, fmt, rc::Rc};

use secrecy::zeroize::Zeroizing;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};

/// Values that one document may stand for, aliases and merge keys counted as often as they are used.
pub const MOST_NODES: usize = 50_000;
/// How deep values may be nested.
pub const MOST_DEPTH: usize = 48;
/// Documents in one file.
const MOST_DOCUMENTS: usize = 16;

/// Where a value stands: index of its file, and its line from 1 (0: no line).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    pub file: usize,
    pub line: usize,
}

/// What Compose's own tags ask for when files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    #[default]
    None,
    /// `!reset`: take the value away.
    Reset,
    /// `!override`: replace it instead of merging.
    Override,
}

/// One value.
pub struct Node {
    pub place: Place,
    pub mark: Mark,
    pub kind: Kind,
    size: usize,
    depth: usize,
}

/// What a value is. Texts may be secrets: they are wiped when dropped, and never shown by `Debug`.
pub enum Kind {
    Null,
    Text(Zeroizing<String>),
    List(Vec<Rc<Node>>),
    Map(Vec<(String, Rc<Node>)>),
    /// The text could not be filled in; the reason is one sentence without values.
    Broken(String),
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.kind {
            Kind::Null => "null",
            Kind::Text(_) => "text",
            Kind::List(_) => "list",
            Kind::Map(_) => "map",
            Kind::Broken(_) => "broken",
        };
        write!(f, "{what} at line {}", self.place.line)
    }
}

impl Node {
    /// A value with its size and depth counted.
    #[must_use]
    pub fn new(place: Place, kind: Kind) -> Node {
        let (mut size, mut depth) = (1_usize, 1);
        let mut add = |child: &Rc<Node>| {
            size = size.saturating_add(child.size);
            depth = depth.max(child.depth + 1);
        };
        match &kind {
            Kind::Null | Kind::Text(_) | Kind::Broken(_) => {}
            Kind::List(items) => items.iter().for_each(&mut add),
            Kind::Map(entries) => entries.iter().for_each(|(_, child)| add(child)),
        }
        Node { place, mark: Mark::None, kind, size, depth }
    }

    /// A value with a mark.
    #[must_use]
    pub fn marked(mark: Mark, place: Place, kind: Kind) -> Node {
        Node { mark, ..Node::new(place, kind) }
    }

    /// A text.
    #[must_use]
    pub fn text_at(place: Place, text: impl Into<String>) -> Rc<Node> {
        Rc::new(Node::new(place, Kind::Text(Zeroizing::new(text.into()))))
    }

    /// The values it stands for.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Broken(_) => None,
        }
    }

    /// The value under a key of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries of a map; of anything else none.
    #[must_use]
    pub fn entries(&self) -> &[(String, Rc<Node>)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Text(_) | Kind::List(_) | Kind::Broken(_) => &[],
        }
    }

    /// The items of a list; of anything else none.
    #[must_use]
    pub fn items(&self) -> &[Rc<Node>] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Text(_) | Kind::Map(_) | Kind::Broken(_) => &[],
        }
    }

    /// The texts of a list, or the one text that stands in its place.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Text(text) => vec![text.as_str()],
            Kind::List(items) => items.iter().filter_map(|item| item.text()).collect(),
            Kind::Null | Kind::Map(_) | Kind::Broken(_) => Vec::new(),
        }
    }
}

/// Why a text is not read: line and reason, without any of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub line: usize,
    pub why: String,
}

/// Reads all documents of a text. `file` goes into every [`Place`].
pub fn read(text: &str, file: usize) -> Result<Vec<Rc<Node>>, Refused> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MOST_DEPTH,
        block_nesting_limit: MOST_DEPTH,
    };
    let mut builder = Builder { file, open: Vec::new(), anchors: HashMap::new(), documents: Vec::new(), made: 0 };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|e| {
            let line = e.marker().line();
            Refused { line, why: "it is no valid YAML, or nested too deep".to_owned() }
        })?;
        builder.take(event, span.start.line()).map_err(|why| Refused { line: span.start.line(), why })?;
    }
    Ok(builder.documents)
}

/// A collection that is being read.
struct Open {
    line: usize,
    anchor: usize,
    mark: Mark,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<(String, Rc<Node>)>, merges: Vec<Rc<Node>>, key: Option<String> },
}

struct Builder {
    file: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    documents: Vec<Rc<Node>>,
    /// Values made so far, merged entries counted.
    made: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mark = mark(tag.as_deref());
                let as_text = tag.as_deref().is_some_and(|t| t.core_suffix() == Some("str"));
                let plain = style == ScalarStyle::Plain && !as_text;
                let kind = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Kind::Null
                } else {
                    let written = if plain { number(&text) } else { None };
                    Kind::Text(Zeroizing::new(written.unwrap_or_else(|| text.into_owned())))
                };
                self.finish(Node { mark, ..Node::new(Place { file: self.file, line }, kind) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let mark = mark(tag.as_deref());
                self.open.push(Open { line, anchor, mark, kind: OpenKind::List(Vec::new()) });
                self.deep_enough()
            }
            Event::MappingStart(_, anchor, tag) => {
                let mark = mark(tag.as_deref());
                let kind = OpenKind::Map { entries: Vec::new(), merges: Vec::new(), key: None };
                self.open.push(Open { line, anchor, mark, kind });
                self.deep_enough()
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let kind = match open.kind {
                    OpenKind::List(items) => Kind::List(items),
                    OpenKind::Map { entries, merges, .. } => Kind::Map(self.merged(entries, &merges)?),
                };
                let place = Place { file: self.file, line: open.line };
                self.finish(Node { mark: open.mark, ..Node::new(place, kind) }, open.anchor)
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).map(Rc::clone) else {
                    return Err("an alias refers to a value that holds it".to_owned());
                };
                self.put(node)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                if self.documents.len() > MOST_DOCUMENTS {
                    return Err(format!("it holds more than {MOST_DOCUMENTS} documents"));
                }
                Ok(())
            }
            // The set of events is open; the others carry no value.
            _ => Ok(()),
        }
    }

    fn deep_enough(&self) -> Result<(), String> {
        if self.open.len() > MOST_DEPTH {
            return Err(format!("it is nested deeper than {MOST_DEPTH} levels"));
        }
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.put(node)
    }

    fn put(&mut self, node: Rc<Node>) -> Result<(), String> {
        self.made += 1;
        if node.size > MOST_NODES || self.made > MOST_NODES {
            return Err(format!("it stands for more than {MOST_NODES} values"));
        }
        if node.depth > MOST_DEPTH {
            return Err(format!("it is nested deeper than {MOST_DEPTH} levels"));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, merges, key } => match key.take() {
                None => match &node.kind {
                    Kind::Text(text) => *key = Some(text.to_string()),
                    Kind::Null => *key = Some(String::new()),
                    Kind::List(_) | Kind::Map(_) | Kind::Broken(_) => {
                        return Err("a key is no text".to_owned());
                    }
                },
                Some(name) if name == "<<" => merges.push(node),
                Some(name) => entries.push((name, node)),
            },
        }
        Ok(())
    }

    /// A map with what its `<<` bring: own keys win, of several sources the first.
    fn merged(
        &mut self,
        mut entries: Vec<(String, Rc<Node>)>,
        merges: &[Rc<Node>],
    ) -> Result<Vec<(String, Rc<Node>)>, String> {
        let mut names: std::collections::HashSet<String> = std::collections::HashSet::with_capacity(entries.len());
        for (name, _) in &entries {
            if !names.insert(name.clone()) {
                return Err("a key stands twice in one map".to_owned());
            }
        }
        for source in
            merges.iter().flat_map(|m| if m.items().is_empty() { vec![m] } else { m.items().iter().collect() })
        {
            if !matches!(source.kind, Kind::Map(_) | Kind::Null) {
                return Err("a `<<` brings something that is no map".to_owned());
            }
            for (name, node) in source.entries() {
                self.made += 1;
                if self.made > MOST_NODES {
                    return Err(format!("it stands for more than {MOST_NODES} values"));
                }
                if names.insert(name.clone()) {
                    entries.push((name.clone(), Rc::clone(node)));
                }
            }
        }
        Ok(entries)
    }
}

fn mark(tag: Option<&granit_parser::Tag>) -> Mark {
    match tag.map(|t| (t.handle(), t.suffix())) {
        Some(("!", "reset")) => Mark::Reset,
        Some(("!", "override")) => Mark::Override,
        _ => Mark::None,
    }
}

/// A whole number as Compose hands it on: `0123` is read in base eight, `0x1f` in sixteen, `1_000` without the line.
/// `None`: the text stays as it is.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let odd = digits.starts_with('0') && digits.len() > 1 || digits.contains('_');
    if !odd || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if let Some(octal) = lower.strip_prefix("0o") {
        u64::from_str_radix(octal, 8)
    } else if lower.starts_with('0') {
        u64::from_str_radix(&lower, 8)
    } else {
        lower.parse()
    };
    value.ok().map(|n| format!("{sign}{n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Rc<Node> {
        Rc::clone(&read(text, 3).unwrap()[0])
    }

    fn refused(text: &str) -> String {
        read(text, 0).unwrap_err().why
    }

    #[test]
    fn values_keep_their_line_and_their_words() {
        let root = one("a: yes\nb:\n  - 'null'\n  -\n  - ~\nc: 5432:5432\n");
        assert_eq!(root.get("a").unwrap().text(), Some("yes"));
        let b = root.get("b").unwrap();
        assert_eq!((b.items().len(), b.items()[0].text(), b.items()[1].text()), (3, Some("null"), None));
        assert_eq!(root.get("c").unwrap().place, Place { file: 3, line: 6 });
        assert_eq!(root.get("c").unwrap().text(), Some("5432:5432"));
        assert!(!format!("{root:?}").contains("yes"));
    }

    #[test]
    fn merge_keys_add_what_is_not_there() {
        let root = one("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 9\n");
        let z = root.get("z").unwrap();
        let all: Vec<_> = ["a", "b", "c"].map(|k| z.get(k).unwrap().text().unwrap().to_owned()).into();
        assert_eq!(all, ["9", "2", "4"]);
        assert!(one("a:\n  <<: {b: 1}\n").get("a").unwrap().get("b").is_some());
        assert!(refused("a:\n  <<: 7\n").contains("no map"));
    }

    #[test]
    fn marks_of_compose_are_kept_and_other_tags_are_passed_over() {
        let root = one("a: !reset null\nb: !override [1]\nc: !mine x\nd: !!str null\n");
        let mark = |key: &str| root.get(key).unwrap().mark;
        assert_eq!((mark("a"), mark("b"), mark("c")), (Mark::Reset, Mark::Override, Mark::None));
        assert_eq!(root.get("d").unwrap().text(), Some("null"));
    }

    #[test]
    fn whole_numbers_are_those_of_compose() {
        for (written, meant) in [
            ("0123", "83"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("089", "089"),
            ("0", "0"),
            ("-010", "-8"),
            ("0o17", "15"),
        ] {
            assert_eq!(one(&format!("a: {written}\n")).get("a").unwrap().text(), Some(meant), "{written}");
            assert_eq!(one(&format!("a: '{written}'\n")).get("a").unwrap().text(), Some(written), "{written}");
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        let level = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        let bomb = format!("a0: &a0 [x]\n{}", (1..20).map(level).collect::<Vec<_>>().concat());
        assert!(refused(&bomb).contains("more than"));
        assert!(refused("a: &a\n  b: *a\n").contains("holds it"));
        assert!(refused(&"[".repeat(5_000)).contains("deep"));
        assert!(refused(&format!("a: {}x{}", "{b: ".repeat(60), "}".repeat(60))).contains("deep"));
        let wide = format!("x: &x {{{}}}\n", (0..500).map(|i| format!("k{i}: 1")).collect::<Vec<_>>().join(", "));
        let many = (0..500).map(|i| format!("m{i}:\n  <<: *x\n")).collect::<Vec<_>>().concat();
        assert!(refused(&(wide + &many)).contains("more than"));
        assert!(refused("a: 1\na: 2\n").contains("twice"));
        assert!(refused("{a: b\n---\n").contains("no valid YAML"));
    }
}

//! How Compose lays one file, or one service, over another. Pure.

use std::rc::Rc;

use crate::discover::yaml::{Kind, Mark, Node};

/// Keys whose list is replaced, not extended.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];
/// Keys that may be a list of `name=value` or of names in place of a map.
const MAPS: [&str; 8] =
    ["environment", "labels", "args", "extra_hosts", "networks", "depends_on", "annotations", "sysctls"];

/// `over` laid over `base`.
#[must_use]
pub fn merged(base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
    lay("", base, over)
}

fn lay(key: &str, base: &Rc<Node>, over: &Rc<Node>) -> Rc<Node> {
    if over.mark == Mark::Override {
        return Rc::clone(over);
    }
    let (base, over) = if MAPS.contains(&key) { (as_map(base), as_map(over)) } else { (base.clone(), over.clone()) };
    match (&base.kind, &over.kind) {
        (Kind::Map(under), Kind::Map(upper)) => {
            let mut entries = under.clone();
            for (name, node) in upper {
                let at = entries.iter().position(|(n, _)| n == name);
                match (node.mark, at.and_then(|i| entries.get_mut(i))) {
                    (Mark::Reset, Some(_)) => entries.retain(|(n, _)| n != name),
                    (Mark::Reset, None) => {}
                    (Mark::None | Mark::Override, Some((_, slot))) => *slot = lay(name, slot, node),
                    (Mark::None | Mark::Override, None) => entries.push((name.clone(), Rc::clone(node))),
                }
            }
            Rc::new(Node::new(base.place, Kind::Map(entries)))
        }
        (Kind::List(under), Kind::List(upper)) if !REPLACED.contains(&key) => {
            let all = under.iter().chain(upper).cloned().collect();
            Rc::new(Node::new(over.place, Kind::List(all)))
        }
        // One env file, or one and a list of them.
        (Kind::Text(_), Kind::List(_) | Kind::Text(_)) | (Kind::List(_), Kind::Text(_)) if key == "env_file" => {
            let all = [&base, &over].into_iter().flat_map(|n| match &n.kind {
                Kind::List(items) => items.clone(),
                _ => vec![Rc::clone(n)],
            });
            Rc::new(Node::new(over.place, Kind::List(all.collect())))
        }
        // `build: dir` and `build: {context: dir}`
        (Kind::Text(_), Kind::Map(_)) if key == "build" => lay(key, &context(&base), &over),
        (Kind::Map(_), Kind::Text(_)) if key == "build" => lay(key, &base, &context(&over)),
        // A key without a value says nothing about what is beneath it.
        (_, Kind::Null) if !matches!(base.kind, Kind::Null) && matches!(base.kind, Kind::Map(_) | Kind::List(_)) => {
            base
        }
        _ => over,
    }
}

fn context(node: &Rc<Node>) -> Rc<Node> {
    Rc::new(Node::new(node.place, Kind::Map(vec![("context".to_owned(), Rc::clone(node))])))
}

/// A list of `name=value` (or of names) as a map; anything else as it is.
#[must_use]
pub fn as_map(node: &Rc<Node>) -> Rc<Node> {
    let Kind::List(items) = &node.kind else { return Rc::clone(node) };
    let mut entries: Vec<(String, Rc<Node>)> = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item.text() else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Node::text_at(item.place, value)),
            None => (text, Rc::new(Node::new(item.place, Kind::Null))),
        };
        match entries.iter_mut().find(|(n, _)| n == name) {
            Some((_, slot)) => *slot = value,
            None => entries.push((name.to_owned(), value)),
        }
    }
    Rc::new(Node::marked(node.mark, node.place, Kind::Map(entries)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::yaml;

    fn both(base: &str, over: &str) -> Rc<Node> {
        merged(&yaml::read(base, 0).unwrap()[0], &yaml::read(over, 1).unwrap()[0])
    }

    #[test]
    fn lists_grow_maps_meet_and_marks_decide() {
        let all = both(
            "{ports: ['1'], command: [a], environment: [A=1, B=2], image: x, user: u, expose: [1]}",
            "{ports: ['2'], command: [b], environment: {B: 3, C: }, image: y, user: !reset null, expose: !override [2]}",
        );
        assert_eq!(all.get("ports").unwrap().texts(), ["1", "2"]);
        assert_eq!(all.get("command").unwrap().texts(), ["b"]);
        assert_eq!(all.get("expose").unwrap().texts(), ["2"]);
        assert_eq!(all.get("image").unwrap().text(), Some("y"));
        assert!(all.get("user").is_none());
        let env = all.get("environment").unwrap();
        let named: Vec<_> = env.entries().iter().map(|(n, v)| (n.as_str(), v.text())).collect();
        assert_eq!(named, [("A", Some("1")), ("B", Some("3")), ("C", None)]);
        assert_eq!(env.get("B").unwrap().place.file, 1, "the line is the one that wins");
    }

    #[test]
    fn env_files_add_up_and_a_build_directory_is_a_context() {
        let all = both("{env_file: a, build: ./db}", "{env_file: [b], build: {target: t}}");
        assert_eq!(all.get("env_file").unwrap().texts(), ["a", "b"]);
        assert_eq!(all.get("build").unwrap().get("context").unwrap().text(), Some("./db"));
    }
}

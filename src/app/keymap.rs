//! Keys: their names, and which action each one means. Built from [`ACTIONS`] and the configuration's `[keys]`.
//! Knows no terminal: `tui` turns bytes into [`Key`]s.

use std::{collections::HashMap, fmt, str::FromStr};

use super::actions::{ACTIONS, ActionSpec};

/// What was pressed, without its modifiers. Shift is part of the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// Keys with a name of their own, as written in the configuration.
const NAMES: &[(&str, Code)] = &[
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("shift-tab", Code::BackTab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("insert", Code::Insert),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pgdn", Code::PageDown),
    ("space", Code::Char(' ')),
];

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
}

impl Key {
    #[must_use]
    pub const fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false }
    }
    #[must_use]
    pub const fn char(c: char) -> Key {
        Key::plain(Code::Char(c))
    }
    #[must_use]
    pub const fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c), ctrl: true, alt: false }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        match self.code {
            Code::Char(' ') => f.write_str("Space"),
            Code::Char(c) if self.ctrl => write!(f, "{}", c.to_ascii_uppercase()),
            Code::Char(c) => write!(f, "{c}"),
            Code::F(n) => write!(f, "F{n}"),
            Code::PageUp => f.write_str("PgUp"),
            Code::PageDown => f.write_str("PgDn"),
            Code::BackTab => f.write_str("Shift-Tab"),
            Code::Up => f.write_str("↑"),
            Code::Down => f.write_str("↓"),
            Code::Left => f.write_str("←"),
            Code::Right => f.write_str("→"),
            code @ (Code::Enter
            | Code::Esc
            | Code::Tab
            | Code::Backspace
            | Code::Delete
            | Code::Insert
            | Code::Home
            | Code::End) => write!(f, "{code:?}"),
        }
    }
}

/// A key's name, an action's id or their combination cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "could not read the key `{0}`: no key has that name\nwrite a character, or one of enter, esc, tab, space, up, pgup, home, f1 and so on, with ctrl- or alt- before it"
    )]
    Name(String),
    #[error("could not bind `{0}`: terminals send the same for {1}\nchoose another key")]
    Same(String, &'static str),
    #[error("could not bind a key to `{id}`: no action has that id{}\n`pgmoat keys` lists them", hint(near.as_deref()))]
    Action { id: String, near: Option<String> },
    #[error("could not bind `{key}` to `{one}`: it is the key of `{other}`\ngive `{other}` another key under [keys]")]
    Conflict { key: Key, one: &'static str, other: &'static str },
    #[error("could not take the key from `{0}`: without it the console cannot be left or read\ngive it another key")]
    Needed(&'static str),
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |n| format!(" (did you mean `{n}`?)"))
}

impl FromStr for Key {
    type Err = KeyError;

    /// `x`, `G`, `ctrl-d`, `alt-enter`, `f1`, `space`, `shift-tab`. Names are read in any case.
    fn from_str(text: &str) -> Result<Key, KeyError> {
        let unknown = || KeyError::Name(text.to_owned());
        let mut key = Key::char(' ');
        let mut rest = text.trim();
        let mut shift = false;
        loop {
            let lower = rest.to_ascii_lowercase();
            let strip = |p: &str| (lower.starts_with(p) && rest.len() > p.len()).then(|| rest.get(p.len()..)).flatten();
            if lower == "shift-tab" {
                break;
            } else if let Some(r) = strip("ctrl-") {
                key.ctrl = true;
                rest = r;
            } else if let Some(r) = strip("alt-") {
                key.alt = true;
                rest = r;
            } else if let Some(r) = strip("shift-") {
                shift = true;
                rest = r;
            } else {
                break;
            }
        }
        let lower = rest.to_ascii_lowercase();
        let mut chars = rest.chars();
        key.code = if let (Some(c), None) = (chars.next(), chars.next()) {
            let c = if shift { c.to_ascii_uppercase() } else { c };
            Code::Char(if key.ctrl { c.to_ascii_lowercase() } else { c })
        } else if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == lower) {
            *code
        } else if let Some(n) =
            lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()).filter(|n| (1..=12).contains(n))
        {
            Code::F(n)
        } else {
            return Err(unknown());
        };
        if key.ctrl {
            match key.code {
                Code::Char('[') => return Err(KeyError::Same(text.to_owned(), "Esc")),
                Code::Char('m') => return Err(KeyError::Same(text.to_owned(), "Enter")),
                Code::Char('i') => return Err(KeyError::Same(text.to_owned(), "Tab")),
                Code::Char(c) if !c.is_ascii_graphic() && c != ' ' => return Err(unknown()),
                _ => {}
            }
        }
        Ok(key)
    }
}

/// Which key means which action.
#[derive(Debug, Clone)]
pub struct Keymap {
    actions: HashMap<Key, usize>,
    /// By position in [`ACTIONS`].
    keys: Vec<Vec<Key>>,
}

impl Keymap {
    /// The default keys with the configuration's `[keys]`: action id and keys, several divided by blanks; an empty text
    /// takes the key away. Errors: a name that is no key, an id that is no action, one key for two actions.
    pub fn new<'a>(overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Keymap, KeyError> {
        let mut keys = Vec::with_capacity(ACTIONS.len());
        for action in ACTIONS {
            keys.push(action.keys.iter().map(|k| k.parse()).collect::<Result<Vec<Key>, _>>()?);
        }
        for (id, names) in overrides {
            let slot = ACTIONS.iter().position(|a| a.id == id).and_then(|i| keys.get_mut(i));
            let Some(slot) = slot else {
                let near = crate::config::nearest(id, ACTIONS.iter().map(|a| a.id));
                return Err(KeyError::Action { id: id.to_owned(), near: near.map(str::to_owned) });
            };
            *slot = names.split_whitespace().map(str::parse).collect::<Result<Vec<Key>, _>>()?;
        }
        let mut actions = HashMap::new();
        for (i, (action, keys)) in ACTIONS.iter().zip(&keys).enumerate() {
            if keys.is_empty() && action.needed {
                return Err(KeyError::Needed(action.id));
            }
            for key in keys {
                if let Some(other) =
                    actions.insert(*key, i).and_then(|o: usize| ACTIONS.get(o)).filter(|o| o.id != action.id)
                {
                    return Err(KeyError::Conflict { key: *key, one: action.id, other: other.id });
                }
            }
        }
        Ok(Keymap { actions, keys })
    }

    #[must_use]
    pub fn action(&self, key: Key) -> Option<&'static ActionSpec> {
        self.actions.get(&key).and_then(|i| ACTIONS.get(*i))
    }

    /// The keys of an action, in the order in which they were written.
    #[must_use]
    pub fn keys(&self, id: &str) -> &[Key] {
        let i = ACTIONS.iter().position(|a| a.id == id);
        i.and_then(|i| self.keys.get(i)).map_or(&[], Vec::as_slice)
    }

    /// The first key of an action for footers and sentences; empty when it has none.
    #[must_use]
    pub fn first(&self, id: &str) -> String {
        self.keys(id).first().map_or_else(String::new, Key::to_string)
    }

    /// All keys of an action in words: `q, Ctrl-C`.
    #[must_use]
    pub fn all(&self, id: &str) -> String {
        self.keys(id).iter().map(Key::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, key) in [
            ("q", Key::char('q')),
            ("G", Key::char('G')),
            ("shift-g", Key::char('G')),
            ("ctrl-c", Key::ctrl('c')),
            ("Ctrl-C", Key::ctrl('c')),
            ("-", Key::char('-')),
            ("ctrl--", Key { code: Code::Char('-'), ctrl: true, alt: false }),
            ("alt-Enter", Key { code: Code::Enter, ctrl: false, alt: true }),
            ("f12", Key::plain(Code::F(12))),
            ("space", Key::char(' ')),
            ("shift-tab", Key::plain(Code::BackTab)),
            ("é", Key::char('é')),
        ] {
            assert_eq!(name.parse::<Key>().unwrap(), key, "{name}");
        }
        for bad in ["", "f13", "f0", "ctrl-", "entre", "ctrl-[", "ctrl-m", "ctrl-i", "xy"] {
            assert!(bad.parse::<Key>().is_err(), "{bad} is no key");
        }
    }

    #[test]
    fn default_keys_do_not_collide() {
        let keymap = Keymap::new([]).unwrap();
        let total: usize = ACTIONS.iter().map(|a| a.keys.len()).sum();
        assert_eq!(keymap.actions.len(), total, "every default key means exactly one action");
        for (i, action) in ACTIONS.iter().enumerate() {
            assert_eq!(ACTIONS.iter().position(|a| a.id == action.id), Some(i), "{} is written once", action.id);
        }
    }

    #[test]
    fn no_action_sits_on_the_end_of_a_split_arrow_key() {
        let keymap = Keymap::new([]).unwrap();
        for c in ['A', 'B', 'C', 'D', 'F', 'H', 'O', 'P', 'Q', 'S'] {
            assert!(keymap.action(Key::char(c)).is_none(), "{c}");
        }
    }

    #[test]
    fn the_configuration_moves_keys_and_conflicts_are_said() {
        let moved = Keymap::new([("sort", "ctrl-s f6")]).unwrap();
        assert_eq!(moved.action(Key::ctrl('s')).unwrap().id, "sort");
        assert!(moved.action(Key::char('s')).is_none());
        assert_eq!(moved.all("sort"), "Ctrl-S, F6");
        let conflict = Keymap::new([("sort", "q")]).unwrap_err().to_string();
        assert!(conflict.contains("sort") && conflict.contains("quit"), "{conflict}");
        assert!(Keymap::new([("sort", "q"), ("quit", "ctrl-q")]).is_ok());
        let unknown = Keymap::new([("sorrt", "x")]).unwrap_err().to_string();
        assert!(unknown.contains("did you mean `sort`"), "{unknown}");
        assert_eq!(Keymap::new([("quit", "")]).unwrap_err(), KeyError::Needed("quit"));
        assert!(Keymap::new([("mark", "")]).unwrap().keys("mark").is_empty());
    }
}

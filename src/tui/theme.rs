//! Themes: TOML files in helix's shape that give every tone and face a style. The built-in ones are `themes/*.toml`;
//! people put their own into `themes` beside their configuration. Knows files and colours, not the program's state.

use std::{collections::BTreeMap, fs, path::Path, str::FromStr};

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::{
    app::{screen::Face, view::Tone},
    config::nearest,
};

/// Name and text of the built-in themes; the first is the default.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("terminal", include_str!("../../themes/terminal.toml")),
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("contrast", include_str!("../../themes/contrast.toml")),
];

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// `NO_COLOR`, or a terminal without: bold, dim and reverse stay.
    None,
    Sixteen,
    TwoHundred,
    Full,
}

impl Depth {
    /// What the terminal on stdout says of itself; `no_color` overrides it.
    #[must_use]
    pub fn of_terminal(no_color: bool) -> Depth {
        // the convention: any value that is not empty
        if no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
            return Depth::None;
        }
        match supports_color::on(supports_color::Stream::Stdout) {
            Some(level) if level.has_16m => Depth::Full,
            Some(level) if level.has_256 => Depth::TwoHundred,
            Some(_) => Depth::Sixteen,
            None => Depth::None,
        }
    }
}

/// A theme cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("could not find the theme `{name}`{}\n`pgmoat themes` lists them", .near.as_ref().map_or_else(String::new, |n| format!(": did you mean `{n}`?")))]
    Unknown { name: String, near: Option<String> },
    #[error("could not read the theme `{name}`: {cause}\nmend the file, or choose another theme")]
    Read { name: String, cause: String },
}

/// A style for every tone and face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    tones: Vec<Style>,
    faces: Vec<Style>,
}

/// A theme file.
#[derive(Debug, Deserialize)]
struct File {
    inherits: Option<String>,
    #[serde(default)]
    palette: BTreeMap<String, String>,
    #[serde(flatten)]
    scopes: BTreeMap<String, Scope>,
}

/// A scope's style: a colour's name alone is the foreground.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Scope {
    Foreground(String),
    Style(Parts),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    modifiers: Vec<String>,
}

/// How many themes may inherit from each other.
const MOST_PARENTS: usize = 8;

impl Theme {
    /// The theme of a name: a file in `folder`, else a built-in one.
    pub fn load(name: &str, folder: Option<&Path>, depth: Depth) -> Result<Theme, ThemeError> {
        let mut scopes = BTreeMap::new();
        let mut palette = BTreeMap::new();
        let mut next = Some(name.to_owned());
        for _ in 0..MOST_PARENTS {
            let Some(name) = next else { break };
            let file = File::of(&name, folder)?;
            // the child's words count
            for (key, value) in file.palette {
                palette.entry(key).or_insert(value);
            }
            for (key, value) in file.scopes {
                scopes.entry(key).or_insert((value, name.clone()));
            }
            next = file.inherits;
        }
        // what nothing says is as in the default
        if let Some((first, text)) = BUILT_IN.first()
            && let Ok(file) = toml::from_str::<File>(text)
        {
            for (key, value) in file.scopes {
                let root = key.split('.').next().unwrap_or(&key);
                if !scopes.contains_key(root) && !scopes.keys().any(|k| *k == key) {
                    scopes.insert(key, (value, (*first).to_owned()));
                }
            }
        }
        let style = |scope: &str| -> Result<Style, ThemeError> {
            let mut key = scope;
            loop {
                if let Some((value, name)) = scopes.get(key) {
                    return value
                        .style(&palette, depth)
                        .map_err(|cause| ThemeError::Read { name: name.clone(), cause: format!("`{key}`: {cause}") });
                }
                if let Some((parent, _)) = key.rsplit_once('.') {
                    key = parent;
                } else {
                    let cause = format!("nothing gives `{scope}` a style");
                    return Err(ThemeError::Read { name: name.to_owned(), cause });
                }
            }
        };
        let tones = Tone::ALL.iter().map(|t| style(t.scope())).collect::<Result<Vec<_>, _>>()?;
        let faces = Face::ALL.iter().map(|f| style(f.scope())).collect::<Result<Vec<_>, _>>()?;
        let mut theme = Theme { tones, faces };
        if depth == Depth::None {
            theme.without_colours();
        }
        Ok(theme)
    }

    /// Names that can be chosen: the built-in ones, then those of the folder.
    #[must_use]
    pub fn names(folder: Option<&Path>) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN.iter().map(|(n, _)| (*n).to_owned()).collect();
        let mut own: Vec<String> = folder
            .and_then(|f| fs::read_dir(f).ok())
            .into_iter()
            .flatten()
            .filter_map(|e| e.ok()?.path().file_name()?.to_str()?.strip_suffix(".toml").map(str::to_owned))
            .filter(|n| !names.contains(n))
            .collect();
        own.sort();
        names.append(&mut own);
        names
    }

    #[must_use]
    pub fn tone(&self, tone: Tone) -> Style {
        self.tones.get(tone as usize).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn face(&self, face: Face) -> Style {
        self.faces.get(face as usize).copied().unwrap_or_default()
    }

    /// What a background told is told by reversing.
    fn without_colours(&mut self) {
        for style in self.tones.iter_mut().chain(&mut self.faces) {
            style.fg = None;
            style.bg = None;
        }
        for face in [Face::Selection, Face::Caret, Face::TabActive] {
            if let Some(style) = self.faces.get_mut(face as usize) {
                *style = style.add_modifier(Modifier::REVERSED);
            }
        }
        if let Some(style) = self.tones.get_mut(Tone::Production as usize) {
            *style = style.add_modifier(Modifier::REVERSED | Modifier::BOLD);
        }
    }
}

impl File {
    fn of(name: &str, folder: Option<&Path>) -> Result<File, ThemeError> {
        let failed = |cause: String| ThemeError::Read { name: name.to_owned(), cause };
        let plain = !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        let own = folder.filter(|_| plain).map(|f| f.join(format!("{name}.toml"))).filter(|p| p.is_file());
        let text = match (own, BUILT_IN.iter().find(|(n, _)| *n == name)) {
            (Some(path), _) => fs::read_to_string(path).map_err(|e| failed(e.to_string()))?,
            (None, Some((_, text))) => (*text).to_owned(),
            (None, None) => {
                let names = Theme::names(folder);
                let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                return Err(ThemeError::Unknown { name: name.to_owned(), near });
            }
        };
        let file: File = toml::from_str(&text).map_err(|e| failed(e.message().to_owned()))?;
        let known: Vec<&str> = Tone::ALL.iter().map(|t| t.scope()).chain(Face::ALL.iter().map(|f| f.scope())).collect();
        for key in file.scopes.keys() {
            let prefix =
                known.iter().any(|k| k == key || k.strip_prefix(key.as_str()).is_some_and(|r| r.starts_with('.')));
            if !prefix {
                let near = nearest(key, known.iter().copied());
                let near = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                return Err(failed(format!("nothing is called `{key}`{near}")));
            }
        }
        Ok(file)
    }
}

impl Scope {
    fn style(&self, palette: &BTreeMap<String, String>, depth: Depth) -> Result<Style, String> {
        let parts = match self {
            Scope::Foreground(fg) => Parts { fg: Some(fg.clone()), ..Parts::default() },
            Scope::Style(parts) => parts.clone(),
        };
        let mut style = Style::new();
        if let Some(fg) = parts.fg {
            style.fg = Some(colour(&fg, palette, depth)?);
        }
        if let Some(bg) = parts.bg {
            style.bg = Some(colour(&bg, palette, depth)?);
        }
        for name in parts.modifiers {
            let modifier = match name.as_str() {
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "italic" => Modifier::ITALIC,
                "underlined" => Modifier::UNDERLINED,
                "reversed" => Modifier::REVERSED,
                "crossed_out" => Modifier::CROSSED_OUT,
                _ => return Err(format!("no modifier is called `{name}`")),
            };
            style = style.add_modifier(modifier);
        }
        Ok(style)
    }
}

fn colour(name: &str, palette: &BTreeMap<String, String>, depth: Depth) -> Result<Color, String> {
    let value = palette.get(name).map_or(name, String::as_str);
    if value == "default" {
        return Ok(Color::Reset);
    }
    let colour = Color::from_str(value).map_err(|_| format!("no colour is called `{value}`"))?;
    Ok(reduced(colour, depth))
}

/// The nearest colour a terminal of that depth has.
fn reduced(colour: Color, depth: Depth) -> Color {
    match (colour, depth) {
        (Color::Rgb(r, g, b), Depth::TwoHundred) => Color::Indexed(cube(r, g, b)),
        (Color::Rgb(r, g, b), Depth::Sixteen) => sixteen(r, g, b),
        (Color::Indexed(n @ 16..), Depth::Sixteen) => {
            let (r, g, b) = of_index(n);
            sixteen(r, g, b)
        }
        (other, _) => other,
    }
}

/// The six steps of a channel in the 6x6x6 cube.
const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

fn of_index(n: u8) -> (u8, u8, u8) {
    if n >= 232 {
        let grey = 8 + 10 * (n - 232);
        return (grey, grey, grey);
    }
    let n = n.saturating_sub(16);
    let step = |i: u8| STEPS.get(usize::from(i)).copied().unwrap_or(255);
    (step(n / 36), step(n / 6 % 6), step(n % 6))
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let square = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)
}

fn cube(r: u8, g: u8, b: u8) -> u8 {
    (16..=255).min_by_key(|n| distance(of_index(*n), (r, g, b))).unwrap_or(15)
}

/// By hue rather than by distance: a pale red is red, not grey.
fn sixteen(r: u8, g: u8, b: u8) -> Color {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most - least < 40 {
        return match most {
            0..=50 => Color::Black,
            51..=150 => Color::DarkGray,
            151..=200 => Color::Gray,
            201.. => Color::White,
        };
    }
    let middle = least + (most - least) / 2;
    match (r > middle, g > middle, b > middle) {
        (true, true, _) => Color::Yellow,
        (true, false, true) => Color::Magenta,
        (true, false, false) => Color::Red,
        (false, true, true) => Color::Cyan,
        (false, true, false) => Color::Green,
        (false, false, _) => Color::Blue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: Color) -> f64 {
        let Color::Rgb(r, g, b) = colour else { panic!("{colour:?} is not a 24-bit colour") };
        let part = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_built_in_theme_styles_every_scope_at_every_depth() {
        for (name, _) in BUILT_IN {
            for depth in [Depth::None, Depth::Sixteen, Depth::TwoHundred, Depth::Full] {
                let theme = Theme::load(name, None, depth).unwrap();
                assert_eq!((theme.tones.len(), theme.faces.len()), (Tone::ALL.len(), Face::ALL.len()));
                let selection = theme.face(Face::Selection);
                assert!(
                    selection.bg.is_some() || selection.add_modifier.contains(Modifier::REVERSED),
                    "{name} {depth:?}"
                );
            }
        }
        for (i, tone) in Tone::ALL.iter().enumerate() {
            assert_eq!(*tone as usize, i, "styles are found by position");
        }
        for (i, face) in Face::ALL.iter().enumerate() {
            assert_eq!(*face as usize, i, "styles are found by position");
        }
    }

    #[test]
    fn text_can_be_read_on_every_ground() {
        for (name, least) in [("dark", 4.5), ("light", 4.5), ("contrast", 7.0)] {
            let theme = Theme::load(name, None, Depth::Full).unwrap();
            let ground = theme.face(Face::Ground).bg.unwrap();
            for face in
                [Face::Ground, Face::Header, Face::Footer, Face::Popup, Face::Selection, Face::Crosshair, Face::Tab]
            {
                let bg = theme.face(face).bg.unwrap_or(ground);
                for tone in Tone::ALL {
                    let style = theme.tone(tone);
                    let (fg, bg) = (style.fg.unwrap(), style.bg.unwrap_or(bg));
                    let ratio = contrast(fg, bg);
                    assert!(ratio >= least, "{name}: {tone:?} on {face:?} has {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn without_colours_nothing_has_one_and_production_still_stands_out() {
        let theme = Theme::load("dark", None, Depth::None).unwrap();
        for style in theme.tones.iter().chain(&theme.faces) {
            assert_eq!((style.fg, style.bg), (None, None));
        }
        assert!(theme.tone(Tone::Production).add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn own_themes_inherit_and_mistakes_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("mine.toml", "inherits = \"dark\"\n\"state.error\" = \"pink\"\n[palette]\npink = \"#ff00ff\"\n");
        write("wrong.toml", "\"state.eror\" = \"red\"\n");
        write("colour.toml", "\"state.error\" = \"reddish\"\n");
        write("few.toml", "\"text\" = \"blue\"\n");
        write("loop.toml", "inherits = \"loop\"\n");
        let load = |name: &str| Theme::load(name, Some(folder.path()), Depth::Full);
        let (mine, dark) = (load("mine").unwrap(), load("dark").unwrap());
        assert_eq!(mine.tone(Tone::Error).fg, Some(Color::Rgb(255, 0, 255)));
        assert_eq!(mine.tone(Tone::Good), dark.tone(Tone::Good));
        assert!(load("wrong").unwrap_err().to_string().contains("did you mean `state.error`"));
        assert!(load("colour").unwrap_err().to_string().contains("reddish"));
        assert!(load("loop").is_ok(), "a circle ends");
        let few = load("few").unwrap();
        assert_eq!(few.tone(Tone::Dim).fg, Some(Color::Blue), "what is not said follows its parent");
        assert_eq!(few.tone(Tone::Error), load("terminal").unwrap().tone(Tone::Error));
        assert!(load("drak").unwrap_err().to_string().contains("did you mean `dark`"));
        assert!(load("../etc/passwd").is_err());
        assert_eq!(Theme::names(Some(folder.path())).first().map(String::as_str), Some("terminal"));
        assert!(Theme::names(Some(folder.path())).contains(&"mine".to_owned()));
    }

    #[test]
    fn colours_are_reduced_by_hue() {
        assert_eq!(sixteen(0xf2, 0x8b, 0x82), Color::Red);
        assert_eq!(sixteen(0x8f, 0xce, 0x8a), Color::Green);
        assert_eq!(sixteen(0x6c, 0xc7, 0xd9), Color::Cyan);
        assert_eq!(sixteen(0x12, 0x16, 0x1c), Color::Black);
        assert_eq!(reduced(Color::Rgb(255, 0, 0), Depth::TwoHundred), Color::Indexed(196));
        assert_eq!(reduced(Color::Red, Depth::Sixteen), Color::Red);
    }
}

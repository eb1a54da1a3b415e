//! A form: fields of text and of yes and no, with what counts when nothing is typed, what is wrong while one types, and
//! one line of why for each. Knows nothing of what the fields are for; that is `forms`.
//!
//! ```text
//!    schema         sankore▏
//!                   Its own place in the database, and the service's name in the policy.
//!    role           sankore_app                 (dim: this counts when nothing is typed)
//!    may read       langflow, nowhere
//!                   ✖ there is no schema nowhere
//!    version table  [x] yes
//! ```
//! It hears no key that was pressed before it stood on the screen.

use tui_input::Input;

use super::{
    forms::{Kind, Part},
    lines::indented,
};
use crate::{
    app::{
        keymap::{Code, Key},
        overlay::{edit, insert},
        view::{Line, Span, Tone},
        wrap::wrap,
    },
    plan::moves::Answers,
    text,
};

/// Cells before a value: mark and label.
const COLUMN: usize = 18;

/// See the module.
#[derive(Debug)]
pub struct Form {
    pub instance: usize,
    pub kind: Kind,
    pub fields: Vec<Field>,
    at: usize,
    scroll: usize,
    /// Somebody wanted to go on: faults of empty fields are shown too.
    tried: bool,
    /// What was answered in a preview that one came back from.
    pub answers: Answers,
    /// What the fields said when it was opened.
    opened: Vec<String>,
    composed: Option<u64>,
    armed: bool,
    /// Field of each line as it was drawn last.
    drawn: Vec<Option<usize>>,
}

/// One field.
#[derive(Debug)]
pub struct Field {
    pub part: Part,
    pub label: &'static str,
    /// One sentence.
    pub why: &'static str,
    pub value: Value,
    /// Several values with commas between them.
    pub list: bool,
    /// Counts when nothing is typed.
    pub default: String,
    /// What happens when nothing is typed, in words; for a yes or no, a remark.
    pub hint: String,
    pub fault: Option<String>,
    /// What to know of a value that is taken.
    pub remark: Option<String>,
    /// What could be typed; known for the field in focus alone.
    pub choices: Vec<String>,
}

#[derive(Debug)]
pub enum Value {
    Text(Input),
    Yes(bool),
}

/// A line of a form.
pub enum Row {
    Text(Line),
    /// The field in focus: its label, and in dim what the key that completes would add.
    Edit {
        label: Line,
        ghost: String,
    },
}

/// What a key led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was for the form, or for nobody.
    Done,
    /// To the plan.
    GoOn,
    Leave,
}

impl Field {
    #[must_use]
    pub fn text(part: Part, label: &'static str, why: &'static str) -> Field {
        Field {
            part,
            label,
            why,
            value: Value::Text(Input::default()),
            list: false,
            default: String::new(),
            hint: String::new(),
            fault: None,
            remark: None,
            choices: Vec::new(),
        }
    }

    #[must_use]
    pub fn list(part: Part, label: &'static str, why: &'static str) -> Field {
        Field { list: true, ..Field::text(part, label, why) }
    }

    #[must_use]
    pub fn yes(part: Part, label: &'static str, why: &'static str) -> Field {
        Field { value: Value::Yes(true), ..Field::text(part, label, why) }
    }

    #[must_use]
    pub fn filled(self, text: &str) -> Field {
        Field { value: Value::Text(Input::new(text.to_owned())), ..self }
    }

    /// What was typed, without blanks around it.
    #[must_use]
    pub fn typed(&self) -> &str {
        match &self.value {
            Value::Text(input) => input.value().trim(),
            Value::Yes(_) => "",
        }
    }

    /// What it says, whatever its kind.
    fn said(&self) -> String {
        match &self.value {
            Value::Text(input) => input.value().to_owned(),
            Value::Yes(yes) => yes.to_string(),
        }
    }

    /// The piece that completion works on: of a list what stands after the last comma.
    fn piece(&self) -> &str {
        let Value::Text(input) = &self.value else { return "" };
        let value = input.value();
        if self.list { value.rsplit(',').next().unwrap_or(value).trim_start() } else { value }
    }

    /// Choices that go on from what is typed, best first.
    fn fitting(&self) -> Vec<&str> {
        let piece = self.piece();
        let taken = items(self.typed());
        let free = |c: &&str| !self.list || *c == piece || !taken.iter().any(|t| t == c);
        let begins = self.choices.iter().map(String::as_str).filter(|c| c.starts_with(piece)).filter(free);
        let holds = self.choices.iter().map(String::as_str);
        let holds = holds.filter(|c| !piece.is_empty() && !c.starts_with(piece) && c.contains(piece)).filter(free);
        begins.chain(holds).collect()
    }

    /// What completing would add at the end.
    fn ghost(&self) -> String {
        let piece = self.piece();
        let Value::Text(input) = &self.value else { return String::new() };
        // a whole name says what is meant, however long others go on
        let whole = self.choices.iter().any(|c| *c == piece);
        if piece.is_empty() || whole || input.cursor() != input.value().chars().count() {
            return String::new();
        }
        let first = self.fitting().into_iter().find(|c| c.starts_with(piece) && *c != piece);
        first.and_then(|c| c.get(piece.len()..)).unwrap_or_default().to_owned()
    }

    fn replace_piece(&mut self, with: &str) {
        let kept = self.piece().len();
        if let Value::Text(input) = &mut self.value {
            let value = input.value();
            let before = value.get(..value.len().saturating_sub(kept)).unwrap_or_default();
            *input = Input::new(format!("{before}{with}"));
        }
    }

    /// The next choice in place of the piece, or the one before.
    fn cycle(&mut self, by: isize) {
        let piece = self.piece().to_owned();
        let whole = piece.is_empty() || self.choices.contains(&piece);
        let list: Vec<String> =
            if whole { self.choices.clone() } else { self.fitting().into_iter().map(str::to_owned).collect() };
        if list.is_empty() {
            return;
        }
        let next = match list.iter().position(|c| *c == piece) {
            Some(at) => (at as isize + by).rem_euclid(list.len() as isize) as usize,
            None if by < 0 => list.len() - 1,
            None => 0,
        };
        if let Some(choice) = list.get(next) {
            self.replace_piece(choice);
        }
    }
}

impl Form {
    #[must_use]
    pub fn new(instance: usize, kind: Kind, fields: Vec<Field>) -> Form {
        Form {
            instance,
            kind,
            opened: fields.iter().map(Field::said).collect(),
            fields,
            at: 0,
            scroll: 0,
            tried: false,
            answers: Answers::new(),
            composed: None,
            armed: false,
            drawn: Vec::new(),
        }
    }

    /// It stands in the frame of that number.
    pub fn compose(&mut self, frame: u64) {
        self.composed.get_or_insert(frame);
    }

    /// The frame of that number is on the screen.
    pub fn drawn(&mut self, frame: u64) {
        self.armed |= self.composed.is_some_and(|composed| composed <= frame);
    }

    /// One came back to it from a preview.
    pub fn come_back(&mut self, answers: Answers) {
        self.answers.extend(answers);
        self.composed = None;
        self.armed = false;
    }

    /// Both were opened for the same: what stood in them before anything was typed is equal, wherever the cursor was.
    #[must_use]
    pub fn asks_the_same(&self, other: &Form) -> bool {
        self.kind == other.kind && self.instance == other.instance && self.opened == other.opened
    }

    /// Somebody said something that would be lost with it.
    #[must_use]
    pub fn touched(&self) -> bool {
        !self.answers.is_empty() || !self.fields.iter().map(Field::said).eq(self.opened.iter().cloned())
    }

    #[must_use]
    pub fn field(&self, part: Part) -> Option<&Field> {
        self.fields.iter().find(|f| f.part == part)
    }

    pub fn field_mut(&mut self, part: Part) -> Option<&mut Field> {
        self.fields.iter_mut().find(|f| f.part == part)
    }

    /// The part in focus.
    #[must_use]
    pub fn focus(&self) -> Option<Part> {
        self.fields.get(self.at).map(|f| f.part)
    }

    /// What a field says: what was typed, else what counts then.
    #[must_use]
    pub fn value(&self, part: Part) -> String {
        self.field(part)
            .map_or_else(String::new, |f| if f.typed().is_empty() { f.default.clone() } else { f.typed().to_owned() })
    }

    /// What was typed; `None` when that is nothing.
    #[must_use]
    pub fn typed(&self, part: Part) -> Option<String> {
        self.field(part).map(Field::typed).filter(|t| !t.is_empty()).map(str::to_owned)
    }

    /// The values typed into a list.
    #[must_use]
    pub fn items(&self, part: Part) -> Vec<String> {
        self.field(part).map(|f| items(f.typed())).unwrap_or_default()
    }

    #[must_use]
    pub fn yes(&self, part: Part) -> bool {
        self.field(part).is_some_and(|f| matches!(f.value, Value::Yes(true)))
    }

    /// The field in focus, while text goes into it.
    #[must_use]
    pub fn input(&self) -> Option<&Input> {
        match &self.fields.get(self.at)?.value {
            Value::Text(input) => Some(input),
            Value::Yes(_) => None,
        }
    }

    /// Whether one can go on; goes to the first fault and gives it back when not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn complete(&mut self) -> Result<(), String> {
        self.tried = true;
        match self.fields.iter().enumerate().find_map(|(i, f)| Some((i, f.label, f.fault.clone()?))) {
            Some((at, label, why)) => {
                self.at = at;
                Err(format!("{label}: {why}"))
            }
            None => Ok(()),
        }
    }

    pub fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.fields.len().saturating_sub(1));
    }

    fn turn(&mut self, by: isize) {
        let all = self.fields.len() as isize;
        if all > 0 {
            self.at = (self.at as isize + by).rem_euclid(all) as usize;
        }
    }

    /// Takes a key. What was pressed before the form stood on the screen was not meant for it; to leave is never wrong.
    pub fn key(&mut self, key: Key) -> Heard {
        if key.code == Code::Esc {
            return Heard::Leave;
        }
        if !self.armed {
            return Heard::Done;
        }
        match (key.code, key.ctrl) {
            (Code::Enter, _) => return Heard::GoOn,
            (Code::Tab | Code::Down, _) => self.turn(1),
            (Code::BackTab | Code::Up, _) => self.turn(-1),
            (Code::PageUp, _) => self.step(isize::MIN),
            (Code::PageDown, _) => self.step(isize::MAX),
            _ => {
                if let Some(field) = self.fields.get_mut(self.at) {
                    in_field(field, key);
                }
            }
        }
        Heard::Done
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) {
        if let (true, Some(Field { value: Value::Text(input), .. })) = (self.armed, self.fields.get_mut(self.at)) {
            insert(input, text.trim_end_matches(['\r', '\n']));
        }
    }

    /// A press of the mouse on a line that was drawn: goes there; a second one turns a yes or no round.
    pub fn press(&mut self, line: usize) {
        let Some(at) = self.drawn.get(line).copied().flatten().filter(|_| self.armed) else { return };
        let again = self.at == at;
        self.at = at;
        if let (true, Some(Field { value: Value::Yes(yes), .. })) = (again, self.fields.get_mut(at)) {
            *yes = !*yes;
        }
    }

    /// Whether a field's fault is shown: not for what nobody came to yet.
    fn shows(&self, field: &Field) -> bool {
        let begun = self.fields.iter().any(|f| !f.typed().is_empty() && f.part == self.kind.first());
        self.tried || begun || !field.typed().is_empty()
    }

    /// The visible lines in `width` x `height` cells, and how many there are; corrects the scroll.
    pub fn page(&mut self, width: usize, height: usize) -> (Vec<Row>, usize, usize) {
        let mut rows = self.rows(width, false);
        let wide = self.rows(width, true);
        if wide.len() <= height {
            rows = wide;
        }
        // the field in focus stays in sight, with what is said of it
        let of = |row: &(Option<usize>, Row)| row.0 == Some(self.at);
        let from = rows.iter().position(of).unwrap_or(0);
        let to = rows.iter().rposition(of).map_or(from, |i| i + 1);
        self.scroll = self.scroll.min(from).max(to.saturating_sub(height)).min(rows.len().saturating_sub(height));
        let all = rows.len();
        let shown: Vec<(Option<usize>, Row)> = rows.into_iter().skip(self.scroll).take(height).collect();
        self.drawn = shown.iter().map(|(field, _)| *field).collect();
        (shown.into_iter().map(|(_, row)| row).collect(), all, self.scroll)
    }

    fn rows(&self, width: usize, roomy: bool) -> Vec<(Option<usize>, Row)> {
        let mut rows = Vec::new();
        for (i, field) in self.fields.iter().enumerate() {
            let here = i == self.at;
            let mark = Span::known(if here { "▸ " } else { "  " }, Tone::Accent);
            let label = format!("{:<width$}", field.label, width = COLUMN - 2);
            let label = Line(vec![mark]).and(&label, if here { Tone::Strong } else { Tone::Text });
            let fault = field.fault.as_ref().filter(|_| self.shows(field));
            let tone = if fault.is_some() { Tone::Error } else { Tone::Text };
            match &field.value {
                Value::Text(input) if here => {
                    let empty = if field.default.is_empty() { &field.hint } else { &field.default };
                    let ghost = if input.value().is_empty() { empty.clone() } else { field.ghost() };
                    rows.push((Some(i), Row::Edit { label, ghost }));
                }
                Value::Text(_) => {
                    let line = match (field.typed(), field.default.as_str()) {
                        ("", "") => label.and(&field.hint, Tone::Dim),
                        ("", default) => label.and(default, if fault.is_some() { tone } else { Tone::Dim }),
                        (typed, _) => label.and(typed, tone),
                    };
                    rows.push((Some(i), Row::Text(line)));
                }
                Value::Yes(yes) => {
                    let line = if *yes { label.known("[x] yes", tone) } else { label.known("[ ] no", tone) };
                    let line =
                        if field.hint.is_empty() { line } else { line.known("  ", tone).and(&field.hint, Tone::Dim) };
                    rows.push((Some(i), Row::Text(line)));
                }
            }
            let room = width.saturating_sub(COLUMN).max(8);
            let mut below = |line: &Line| {
                rows.extend(wrap(line, room).into_iter().map(|l| (Some(i), Row::Text(indented(COLUMN, l)))));
            };
            if let Some(why) = fault {
                below(&Line(vec![Span::known("✖ ", Tone::Error)]).and(why, Tone::Error));
            } else if let Some(remark) = &field.remark {
                below(&Line(vec![Span::known("▲ ", Tone::Warning)]).and(remark, Tone::Warning));
            }
            if here || roomy {
                below(&Line::new(field.why, Tone::Dim));
            }
            if here && !field.choices.is_empty() {
                rows.push((Some(i), Row::Text(indented(COLUMN, choices(field, room)))));
            }
        }
        rows.push((None, Row::Text(Line::empty())));
        let words = "Nothing is done yet: the next screen shows every statement and asks first.";
        rows.extend(wrap(&Line::new(words, Tone::Dim), width).into_iter().map(|l| (None, Row::Text(l))));
        rows
    }
}

/// A key in a field.
fn in_field(field: &mut Field, key: Key) {
    let (next, last) = (key == Key::ctrl('n'), key == Key::ctrl('p'));
    if next || last {
        field.cycle(if next { 1 } else { -1 });
        return;
    }
    let ghost = field.ghost();
    match &mut field.value {
        Value::Yes(yes) => match key.code {
            Code::Char(' ') | Code::Left | Code::Right => *yes = !*yes,
            Code::Char('y' | 'x') => *yes = true,
            Code::Char('n') => *yes = false,
            _ => {}
        },
        Value::Text(input) => {
            if matches!(key.code, Code::Right | Code::End) && !key.ctrl && !ghost.is_empty() {
                insert(input, &ghost);
            } else {
                edit(input, key);
            }
        }
    }
}

/// What could be typed, in one line.
fn choices(field: &Field, room: usize) -> Line {
    let fitting = field.fitting();
    if fitting.is_empty() {
        return Line::new("none of the known names goes on like this", Tone::Dim);
    }
    let mut line = Line::empty();
    for (i, choice) in fitting.iter().enumerate() {
        let shown = text::fit(&text::safe(choice), 40).into_owned();
        let gap = if i == 0 { "" } else { " · " };
        if line.width() + gap.len() + text::width(&shown) + 4 > room && i > 0 {
            return line.known(" …", Tone::Dim);
        }
        line = line.known(gap, Tone::Dim);
        line.0.push(Span::safe(shown, if *choice == field.piece() { Tone::Accent } else { Tone::Info }));
    }
    line
}

/// The values of a list: commas and blanks divide them, double quotes keep odd names together.
#[must_use]
pub fn items(text: &str) -> Vec<String> {
    let (mut list, mut now, mut quoted, mut some) = (Vec::new(), String::new(), false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => now.push('"'),
            '"' => {
                quoted = !quoted;
                some = true;
            }
            ',' | ' ' if !quoted => {
                if some {
                    list.push(std::mem::take(&mut now));
                }
                some = false;
            }
            c => {
                now.push(c);
                some = true;
            }
        }
    }
    list.extend(some.then_some(now));
    list
}

/// A value as [`items`] reads it.
#[must_use]
pub fn item(text: &str) -> String {
    if text.is_empty() || text.contains([',', ' ', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_odd_names_together() {
        assert_eq!(items("a, b  c,,d"), ["a", "b", "c", "d"]);
        assert_eq!(items(r#""a b","c""d", "" "#), ["a b", "c\"d", ""]);
        assert!(items("  , ").is_empty());
        for name in ["a", "a b", "c\"d", "e,f", "", "日本"] {
            assert_eq!(items(&item(name)), [name]);
        }
    }

    #[test]
    fn completion_goes_on_from_the_last_name_of_a_list() {
        let mut field = Field::list(Part::Read, "may read", "why").filled("audit, lang");
        field.choices = vec!["audit".into(), "langflow".into(), "public".into()];
        assert_eq!((field.ghost().as_str(), field.fitting()), ("flow", vec!["langflow"]));
        in_field(&mut field, Key::plain(Code::Right));
        assert_eq!(field.typed(), "audit, langflow");
        in_field(&mut field, Key::ctrl('n'));
        assert_eq!(field.typed(), "audit, public");
        in_field(&mut field, Key::ctrl('n'));
        assert_eq!(field.typed(), "audit, audit", "all of them in turn");
        in_field(&mut field, Key::ctrl('p'));
        in_field(&mut field, Key::ctrl('p'));
        assert_eq!(field.typed(), "audit, langflow");
        in_field(&mut field, Key::ctrl('w'));
        assert_eq!(field.typed(), "audit,");
        in_field(&mut field, Key::ctrl('u'));
        assert_eq!(field.typed(), "");
        in_field(&mut field, Key::ctrl('p'));
        assert_eq!(field.typed(), "public", "from the end");
    }
}

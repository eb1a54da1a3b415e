//! Which services share the database: those that were found, those that are wished for; a role that only reads, and the
//! audit trail. A service is added and changed field by field, with what is wrong said while one types.

use tui_input::Input;

use super::{
    Effect, Step, Wizard,
    frame::{Page, Row, cell, fact, fault},
    moved, vertical,
};
use crate::{
    app::{
        keymap::{Code, Key},
        overlay::{edit, insert},
        view::{Line, Tone},
    },
    policy::draft::{Answer, Draft, DraftService, Part, Problem},
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    at: usize,
    form: Option<Form>,
    /// Somebody wanted to go on: what is wrong is shown.
    tried: bool,
}

impl State {
    /// A service is being typed.
    pub(super) fn types(&self) -> bool {
        self.form.is_some()
    }
}

/// A line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Service(usize),
    Role(usize),
    Reporting,
    Audit,
}

/// Fields of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Schema,
    Role,
    Limit,
    Versions,
    Password,
    /// Of the role that only reads.
    Reporting,
}

struct Form {
    /// Position of the service; `None`: a new one.
    of: Option<usize>,
    fields: Vec<(Field, Input)>,
    at: usize,
    versions: bool,
    password: bool,
    /// Somebody typed the limit, or it is that of a service that is known.
    limit_said: bool,
    tried: bool,
}

impl Form {
    fn text(&self, field: Field) -> String {
        let found = self.fields.iter().find(|(f, _)| *f == field);
        found.map(|(_, input)| input.value().trim().to_owned()).unwrap_or_default()
    }

    fn focus(&self) -> Option<Field> {
        self.fields.get(self.at).map(|(f, _)| *f)
    }
}

const fn label(field: Field) -> &'static str {
    match field {
        Field::Name => "service",
        Field::Schema => "schema",
        Field::Role | Field::Reporting => "role",
        Field::Limit => "connections",
        Field::Versions => "version table",
        Field::Password => "new password",
    }
}

const fn why(field: Field) -> &'static str {
    match field {
        Field::Name => "What the application is called, here and in the policy.",
        Field::Schema => "Its own place in the database; made when it is not there.",
        Field::Role => "What it logs in as; made with a password when it is not there. Never a superuser.",
        Field::Limit => {
            "How many connections it may have at once, so that it cannot take everybody's. Empty: not declared."
        }
        Field::Versions => "It migrates with Alembic: its version table stands in its own schema.",
        Field::Password => "The role is there already. A new password means that its clients have to be told.",
        Field::Reporting => "For dashboards and people: it reads every service's schema and changes nothing.",
    }
}

/// Name of the role that only reads, unless somebody says otherwise.
const REPORTING: &str = "reporting";

impl Wizard {
    fn items(&self) -> Vec<Item> {
        let services = (0..self.draft.services.len()).map(Item::Service);
        let roles = (0..self.draft.roles.len()).map(Item::Role);
        services.chain(roles).chain([Item::Reporting, Item::Audit]).collect()
    }

    fn item(&self) -> Option<Item> {
        self.items().get(self.services.at).copied()
    }

    /// What is wrong with the answers of this question.
    fn services_faults(&self) -> Vec<Problem> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let here = |p: &Problem| match p.answer {
            Answer::Services | Answer::Service(..) | Answer::Reporting | Answer::Audit => true,
            Answer::Name | Answer::Access(_) | Answer::Accepted(_) => false,
        };
        self.draft.problems(&opened.snapshot).into_iter().filter(here).collect()
    }

    pub(super) fn enter_services(&mut self) -> Vec<Effect> {
        if let Some(opened) = &self.opened {
            self.draft.look(&opened.snapshot);
        }
        self.services.at = self.services.at.min(self.items().len().saturating_sub(1));
        if self.draft.services.is_empty() && self.services.form.is_none() {
            self.services.form = Some(self.form(None));
        }
        Vec::new()
    }

    fn form(&self, of: Option<usize>) -> Form {
        let service = of.and_then(|i| self.draft.services.get(i));
        let text = |f: &dyn Fn(&DraftService) -> String| Input::new(service.map(f).unwrap_or_default());
        let limit = |s: &DraftService| s.connection_limit.map(|n| n.to_string()).unwrap_or_default();
        let mut fields = vec![
            (Field::Name, text(&|s| s.name.clone())),
            (Field::Schema, text(&|s| s.schema.clone())),
            (Field::Role, text(&|s| s.role.clone())),
            (Field::Limit, text(&limit)),
            (Field::Versions, Input::default()),
        ];
        if service.is_some_and(|s| s.role_exists) {
            fields.push((Field::Password, Input::default()));
        }
        if service.is_none()
            && let Some((_, limit)) = fields.iter_mut().find(|(f, _)| *f == Field::Limit)
        {
            *limit = Input::new(crate::policy::draft::CONNECTIONS.to_string());
        }
        Form {
            of,
            fields,
            at: 0,
            versions: service.is_none_or(|s| s.version_table),
            password: service.is_some_and(|s| s.new_password),
            limit_said: service.is_some(),
            tried: false,
        }
    }

    /// The answers with what stands in the form, and the position of its service.
    fn with_form(&self, form: &Form) -> (Draft, usize) {
        let mut draft = self.draft.clone();
        if form.focus() == Some(Field::Reporting) {
            draft.reporting = Some(form.text(Field::Reporting));
            return (draft, 0);
        }
        let Some(snapshot) = self.opened.as_ref().map(|o| &*o.snapshot) else { return (draft, 0) };
        let (name, schema, role) = (form.text(Field::Name), form.text(Field::Schema), form.text(Field::Role));
        let template = DraftService::template(&name);
        let schema = if schema.is_empty() { template.schema } else { schema };
        let role = if role.is_empty() { format!("{schema}_app") } else { role };
        let limit = form.text(Field::Limit);
        // what is no number is said to be none by its own fault
        let limit = if limit.is_empty() { None } else { Some(limit.parse().unwrap_or(-1)) };
        let at = match form.of {
            Some(at) => {
                let before = draft.services.get(at).map(|s| s.name.clone()).unwrap_or_default();
                for access in draft.access.iter_mut().filter(|a| a.of == before) {
                    access.of.clone_from(&name);
                }
                at
            }
            None => {
                draft.services.push(DraftService::template(&name));
                draft.services.len() - 1
            }
        };
        if let Some(service) = draft.services.get_mut(at) {
            if service.role != role {
                service.owner = None;
            }
            service.name = name;
            service.schema = schema;
            service.role = role;
            service.connection_limit = limit;
            service.version_table = form.versions;
            service.new_password = form.password;
            service.chosen = true;
        }
        draft.look(snapshot);
        (draft, at)
    }

    /// A role that works already keeps the limit it has, unless somebody types another.
    fn follow_role(&mut self) {
        let Some(form) = self.services.form.as_ref().filter(|f| !f.limit_said) else { return };
        let (draft, at) = self.with_form(form);
        let (Some(service), Some(opened)) = (draft.services.get(at), &self.opened) else { return };
        let limit = Draft::limit_of(&opened.snapshot, &service.role).map(|n| n.to_string()).unwrap_or_default();
        let fields = self.services.form.iter_mut().flat_map(|f| &mut f.fields);
        for (_, input) in fields.filter(|(field, _)| *field == Field::Limit) {
            *input = Input::new(limit.clone());
        }
    }

    /// What is wrong in the form, field by field.
    fn form_faults(&self, form: &Form) -> Vec<(Field, Problem)> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let (draft, at) = self.with_form(form);
        let reporting = form.focus() == Some(Field::Reporting);
        let of = |p: Problem| match p.answer {
            Answer::Reporting if reporting => Some((Field::Reporting, p)),
            Answer::Service(i, part) if i == at && !reporting => Some((
                match part {
                    Part::Name => Field::Name,
                    Part::Schema => Field::Schema,
                    Part::Role | Part::Owner => Field::Role,
                    Part::Limit => Field::Limit,
                },
                p,
            )),
            _ => None,
        };
        draft.problems(&opened.snapshot).into_iter().filter_map(of).collect()
    }

    pub(super) fn services_paste(&mut self, text: &str) {
        let Some(form) = self.services.form.as_mut() else { return };
        let Some((field, input)) = form.fields.get_mut(form.at) else { return };
        insert(input, text);
        form.limit_said |= *field == Field::Limit;
        self.follow_role();
    }

    fn form_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(form) = &mut self.services.form else { return Vec::new() };
        let all = form.fields.len();
        match (key.code, key.ctrl) {
            (Code::Esc, _) => {
                self.services.form = None;
                if self.draft.services.is_empty() {
                    return self.back();
                }
            }
            (Code::Tab | Code::Down, _) => form.at = (form.at + 1) % all.max(1),
            (Code::BackTab | Code::Up, _) => form.at = (form.at + all.saturating_sub(1)) % all.max(1),
            (Code::Enter, _) => return self.accept_form(),
            _ => match form.fields.get_mut(form.at) {
                Some((field @ (Field::Versions | Field::Password), _)) => {
                    let yes = if *field == Field::Versions { &mut form.versions } else { &mut form.password };
                    match key.code {
                        Code::Char(' ') | Code::Left | Code::Right => *yes = !*yes,
                        Code::Char('y' | 'x') => *yes = true,
                        Code::Char('n') => *yes = false,
                        _ => {}
                    }
                }
                Some((field, input)) => {
                    let changed = edit(input, key);
                    form.limit_said |= changed && *field == Field::Limit;
                    if changed {
                        self.follow_role();
                    }
                }
                None => {}
            },
        }
        Vec::new()
    }

    fn accept_form(&mut self) -> Vec<Effect> {
        let Some(mut form) = self.services.form.take() else { return Vec::new() };
        let faults = self.form_faults(&form);
        if let Some((field, problem)) = faults.first() {
            form.tried = true;
            form.at = form.fields.iter().position(|(f, _)| f == field).unwrap_or(form.at);
            let words = problem.sentence.clone();
            self.services.form = Some(form);
            self.say(&words, Tone::Warning);
            return Vec::new();
        }
        let (draft, at) = self.with_form(&form);
        if form.focus() != Some(Field::Reporting) {
            self.services.at = at;
        }
        self.draft = draft;
        self.keep().into_iter().collect()
    }

    fn toggle(&mut self) {
        match self.item() {
            Some(Item::Service(at)) => {
                if let Some(service) = self.draft.services.get_mut(at) {
                    service.chosen = !service.chosen;
                }
            }
            Some(Item::Role(at)) => {
                if let Some(role) = self.draft.roles.get_mut(at) {
                    role.chosen = !role.chosen;
                }
            }
            Some(Item::Reporting) => {
                self.draft.reporting = match self.draft.reporting {
                    Some(_) => None,
                    None => Some(REPORTING.to_owned()),
                };
            }
            Some(Item::Audit) => self.draft.audit = !self.draft.audit,
            None => {}
        }
    }

    pub(super) fn services_key(&mut self, key: Key) -> Vec<Effect> {
        if self.services.form.is_some() {
            return self.form_key(key);
        }
        if let Some(by) = vertical(key) {
            self.services.at = moved(self.services.at, by, self.items().len());
            return Vec::new();
        }
        match key.code {
            Code::Esc => return self.back(),
            Code::Char('q') => return self.leave(),
            Code::Char(' ' | 'x') => {
                self.toggle();
                return self.keep().into_iter().collect();
            }
            Code::Char('a') => self.services.form = Some(self.form(None)),
            Code::Char('e') => match self.item() {
                Some(Item::Service(at)) => self.services.form = Some(self.form(Some(at))),
                Some(Item::Reporting) => {
                    let name = self.draft.reporting.clone().unwrap_or_else(|| REPORTING.to_owned());
                    self.services.form = Some(Form {
                        of: None,
                        fields: vec![(Field::Reporting, Input::new(name))],
                        at: 0,
                        versions: false,
                        password: false,
                        limit_said: true,
                        tried: true,
                    });
                }
                Some(Item::Role(_)) => self.say("its access is changed in the next question", Tone::Dim),
                Some(Item::Audit) | None => self.say("there is nothing to edit: Space turns it round", Tone::Dim),
            },
            Code::Char('d') | Code::Delete => match self.item() {
                Some(Item::Service(at)) => {
                    let new = self.draft.services.get(at).is_some_and(|s| !s.schema_exists && !s.role_exists);
                    if new {
                        let gone = self.draft.services.remove(at).name;
                        self.draft.access.retain(|a| a.of != gone);
                        self.services.at = moved(self.services.at, 0, self.items().len());
                        return self.keep().into_iter().collect();
                    }
                    self.say("it is there in the database; Space leaves it out of the set-up", Tone::Dim);
                }
                _ => self.say("Space turns it round", Tone::Dim),
            },
            Code::Enter => {
                if self.services_faults().is_empty() {
                    return self.go(Step::Access);
                }
                self.services.tried = true;
                self.say("something is wrong with an answer; it is said below the list", Tone::Warning);
            }
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn services_page(&self) -> Page {
        match &self.services.form {
            Some(form) => self.form_page(form),
            None => self.list_page(),
        }
    }

    fn list_page(&self) -> Page {
        let draft = &self.draft;
        let wide = draft.services.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).clamp(9, 18);
        let mut rows = Vec::new();
        let mut at = None;
        let title = format!("      {}  {}  role", cell("service", wide), cell("schema", 16));
        rows.push(Row::Text(Line::new(&title, Tone::Title)));
        let mark = |yes: bool| if yes { ("[x] ", Tone::Accent) } else { ("[ ] ", Tone::Dim) };
        for (i, item) in self.items().into_iter().enumerate() {
            let here = i == self.services.at;
            let (left, right) = match item {
                Item::Service(at) => {
                    let Some(s) = draft.services.get(at) else { continue };
                    let (glyph, tone) = mark(s.chosen);
                    let name = if s.chosen { Tone::Strong } else { Tone::Dim };
                    let rest = if s.chosen { Tone::Text } else { Tone::Dim };
                    let left = Line::empty()
                        .known(glyph, tone)
                        .and(&cell(&s.name, wide), name)
                        .and(&format!("  {}", cell(&s.schema, 16)), rest)
                        .and(&format!("  {}", s.role), rest);
                    let new = match (s.schema_exists, s.role_exists) {
                        (false, false) if s.chosen => "new ",
                        (false, true) if s.chosen => "new schema ",
                        (true, false) if s.chosen => "new role ",
                        _ => "",
                    };
                    (left, Line::new(new, Tone::Good))
                }
                Item::Role(at) => {
                    let Some(role) = draft.roles.get(at) else { continue };
                    if at == 0 {
                        rows.push(Row::Text(Line::new("Other roles with access today", Tone::Title)));
                    }
                    let (glyph, tone) = mark(role.chosen);
                    let left = Line::empty().known(glyph, tone).and(&role.rule.name, Tone::Text);
                    (left, Line::new(if role.chosen { "keeps it " } else { "loses it " }, Tone::Dim))
                }
                Item::Reporting => {
                    rows.push(Row::Text(Line::new("For all of them", Tone::Title)));
                    let (glyph, tone) = mark(draft.reporting.is_some());
                    let name = draft.reporting.as_deref().unwrap_or(REPORTING);
                    let left = Line::empty().known(glyph, tone).known("a role that only reads: ", Tone::Text);
                    (left.and(name, if draft.reporting.is_some() { Tone::Strong } else { Tone::Dim }), Line::empty())
                }
                Item::Audit => {
                    let (glyph, tone) = mark(draft.audit);
                    let left = Line::empty().known(glyph, tone);
                    (left.known("an audit trail that everybody adds to and nobody changes", Tone::Text), Line::empty())
                }
            };
            if here {
                at = Some(rows.len());
            }
            rows.push(Row::Choice { left, right, here });
        }
        let faults = self.services_faults();
        if self.services.tried && !faults.is_empty() {
            rows.push(Row::blank());
            rows.extend(faults.iter().take(3).flat_map(|p| fault(&p.sentence, &p.remedy)));
        }
        Page {
            question: Line::new("Which services share this database?", Tone::Title),
            why: Line::new(
                "Each gets one schema and one role of its own, so that none can reach, break or lock another by accident.",
                Tone::Dim,
            ),
            rows,
            at,
            offset: 0,
            grid: None,
            side: self.services_side(),
            keys: vec![
                ("Enter", "go on"),
                ("Space", "in or out"),
                ("a", "add"),
                ("e", "edit"),
                ("d", "delete"),
                ("Esc", "back"),
                ("q", "leave"),
            ],
        }
    }

    fn services_side(&self) -> Vec<Line> {
        let mut side = Vec::new();
        match self.item() {
            Some(Item::Service(at)) => {
                let Some(s) = self.draft.services.get(at) else { return side };
                side.push(Line::new(&s.name, Tone::Title));
                side.push(Line::new(&s.why, Tone::Text));
                side.extend(s.staying().map(|sentence| Line::new(&sentence, Tone::Warning)));
                let is = |there: bool| if there { "there already" } else { "will be made" };
                side.push(fact("schema", &format!("{}, {}", s.schema, is(s.schema_exists))));
                side.push(fact("role", &format!("{}, {}", s.role, is(s.role_exists))));
                if let Some(owner) = &s.owner {
                    side.push(fact("owner", &format!("{owner} owns the schema")));
                }
                let limit = s.connection_limit.map_or_else(|| "not declared".to_owned(), |n| format!("at most {n}"));
                side.push(fact("at once", &limit));
                side.push(fact(
                    "versions",
                    if s.version_table { "an Alembic version table of its own" } else { "none" },
                ));
                if s.gets_password() {
                    side.push(fact("password", "made when the plan runs, in a file that only you can read"));
                } else if s.chosen {
                    side.push(fact("password", "stays as it is"));
                }
            }
            Some(Item::Role(at)) => {
                let Some(role) = self.draft.roles.get(at) else { return side };
                side.push(Line::new(&role.rule.name, Tone::Title));
                side.push(Line::new(&role.why, Tone::Text));
                let words = if role.chosen {
                    "The policy declares what it may do today; the next question can change that."
                } else {
                    "The policy does not know it: the plan takes its access away where it can, the rest is a finding."
                };
                side.push(Line::new(words, Tone::Dim));
            }
            Some(Item::Reporting) => {
                side.push(Line::new("A role that only reads", Tone::Title));
                side.push(Line::new(why(Field::Reporting), Tone::Text));
                side.push(Line::new(
                    "Without it, people use a service's login to look, and can change what they see.",
                    Tone::Dim,
                ));
            }
            Some(Item::Audit) => {
                side.push(Line::new("An audit trail", Tone::Title));
                side.push(Line::new(
                    "A schema audit with one table: every service may add rows, none may change them.",
                    Tone::Text,
                ));
                side.push(Line::new("Useful where one service acts for another; it can be added later.", Tone::Dim));
            }
            None => {}
        }
        side
    }

    fn form_page(&self, form: &Form) -> Page {
        let faults = self.form_faults(form);
        let template = DraftService::template(&form.text(Field::Name));
        let schema = form.text(Field::Schema);
        let schema = if schema.is_empty() { template.schema.clone() } else { schema };
        let begun = form.tried || !form.text(Field::Name).is_empty();
        let mut rows = Vec::new();
        let mut at = None;
        for (i, (field, input)) in form.fields.iter().enumerate() {
            let here = i == form.at;
            if here {
                at = Some(rows.len());
            }
            let mark = if here { "▸ " } else { "  " };
            let head = Line::empty()
                .known(mark, Tone::Accent)
                .and(&cell(label(*field), 15), if here { Tone::Strong } else { Tone::Text });
            let default = match field {
                Field::Schema => template.schema.clone(),
                Field::Role if !schema.is_empty() => format!("{schema}_app"),
                Field::Name => "shop, billing, …".to_owned(),
                Field::Limit => "not declared".to_owned(),
                Field::Role | Field::Versions | Field::Password | Field::Reporting => String::new(),
            };
            match field {
                Field::Versions | Field::Password => {
                    let yes = if *field == Field::Versions { form.versions } else { form.password };
                    rows.push(Row::Text(head.known(if yes { "[x] yes" } else { "[ ] no" }, Tone::Text)));
                }
                Field::Name | Field::Schema | Field::Role | Field::Limit | Field::Reporting if here => {
                    rows.push(Row::Field { label: head, input: input.clone(), ghost: default });
                }
                Field::Name | Field::Schema | Field::Role | Field::Limit | Field::Reporting => {
                    let typed = input.value().trim();
                    let (text, tone) =
                        if typed.is_empty() { (default.as_str(), Tone::Dim) } else { (typed, Tone::Text) };
                    rows.push(Row::Text(head.and(text, tone)));
                }
            }
            for (_, problem) in faults.iter().filter(|(f, _)| f == field && begun) {
                let line = Line::new("                 ✖ ", Tone::Error).and(&problem.sentence, Tone::Error);
                rows.push(Row::Text(line));
            }
            if here {
                rows.push(Row::Text(Line::new(&format!("                 {}", why(*field)), Tone::Dim)));
            }
        }
        let words = match (form.focus(), form.of) {
            (Some(Field::Reporting), _) => "What is the role called that only reads?",
            (_, Some(_)) => "What is this service?",
            (_, None) => "What is the new service called?",
        };
        Page {
            question: Line::new(words, Tone::Title),
            why: Line::new(
                "What stands in grey counts when nothing is typed. Nothing is made before the plan was confirmed.",
                Tone::Dim,
            ),
            rows,
            at,
            offset: 0,
            grid: None,
            side: Vec::new(),
            keys: vec![
                ("Enter", "take it"),
                ("Tab", "next field"),
                ("Space", "yes or no"),
                ("Esc", "back to the list"),
            ],
        }
    }
}

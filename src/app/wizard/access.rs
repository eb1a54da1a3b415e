//! Who may do what in whose schema: a small matrix, cell by cell.

use super::{
    Effect, Step, Wizard,
    frame::{Grid, Page, Row, fault},
};
use crate::{
    app::{
        keymap::{Code, Key},
        view::{Line, Tone},
    },
    domain::{
        Privilege,
        effective::{self, Matrix},
    },
    policy::{
        Level,
        draft::{Answer, CHOICES, Draft, Problem},
    },
};

/// See the module.
#[derive(Default)]
pub(super) struct State {
    row: usize,
    column: usize,
    /// As it was proposed: what no choice says can be come back to.
    found: Option<Draft>,
    tried: bool,
}

/// A line of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// Name, role and schema of a service.
    Service {
        name: String,
        role: String,
        schema: String,
    },
    /// Position among the other roles.
    Role(usize, String),
    Reporting(String),
}

/// Levels in a cell.
fn words(levels: &[Level]) -> String {
    if levels.is_empty() { "·".to_owned() } else { levels.iter().map(|l| l.word()).collect::<Vec<_>>().join("+") }
}

/// What levels mean, in a sentence's end.
fn meaning(levels: &[Level]) -> String {
    let one = |level: &Level| match level {
        Level::Usage => "name what is in it, and nothing more",
        Level::Read => "read its tables",
        Level::Append => "add rows to its tables",
        Level::Write => "read, add, change and delete its rows",
        Level::Reference => "point foreign keys at its tables",
        Level::Execute => "call its functions",
        Level::All => "do everything but own it",
        Level::Own => "own it",
    };
    match levels {
        [] => "do nothing there".to_owned(),
        many => many.iter().map(one).collect::<Vec<_>>().join(" and "),
    }
}

impl Wizard {
    fn whos(&self) -> Vec<Who> {
        let draft = &self.draft;
        let services = draft.chosen().map(|s| Who::Service {
            name: s.name.clone(),
            role: s.role.clone(),
            schema: s.schema.clone(),
        });
        let roles = draft.roles.iter().enumerate().filter(|(_, r)| r.chosen);
        let reads = draft.reporting.clone();
        let roles = roles.filter(|(_, r)| reads.as_ref() != Some(&r.rule.name));
        let roles = roles.map(|(i, r)| Who::Role(i, r.rule.name.clone()));
        services.chain(roles).chain(draft.reporting.clone().map(Who::Reporting)).collect()
    }

    /// Columns: also what other roles reach today.
    fn columns(&self) -> Vec<String> {
        let mut places = self.draft.places();
        for schema in self.draft.roles.iter().filter(|r| r.chosen).flat_map(|r| r.rule.access.keys()) {
            if !places.contains(schema) {
                places.push(schema.clone());
            }
        }
        places
    }

    fn levels_of(&self, who: &Who, to: &str) -> Vec<Level> {
        match who {
            Who::Service { schema, .. } if schema == to => vec![Level::Own],
            Who::Service { name, .. } => self.draft.levels(name, to),
            Who::Role(at, _) => {
                let role = self.draft.roles.get(*at);
                role.and_then(|r| r.rule.access.get(to)).cloned().unwrap_or_default()
            }
            Who::Reporting(_) => {
                let reads = self.draft.chosen().any(|s| s.schema == to) || self.draft.audit;
                if reads { vec![Level::Read] } else { Vec::new() }
            }
        }
    }

    pub(super) fn enter_access(&mut self) -> Vec<Effect> {
        self.access.found.get_or_insert_with(|| self.draft.clone());
        Vec::new()
    }

    fn cell_here(&self) -> Option<(Who, String)> {
        let who = self.whos().get(self.access.row)?.clone();
        let to = self.columns().get(self.access.column)?.clone();
        Some((who, to))
    }

    fn set_cell(&mut self, levels: &[Level]) -> Vec<Effect> {
        match self.cell_here() {
            Some((Who::Service { schema, .. }, to)) if schema == to => {
                self.say("a service owns its schema; that is what the set-up is for", Tone::Dim);
            }
            Some((Who::Service { name, .. }, to)) => self.draft.set(&name, &to, levels),
            Some((Who::Role(at, _), to)) => {
                if let Some(role) = self.draft.roles.get_mut(at) {
                    if levels.is_empty() {
                        role.rule.access.remove(&to);
                    } else {
                        role.rule.access.insert(to, levels.to_vec());
                    }
                }
            }
            Some((Who::Reporting(_), _)) => {
                self.say("it reads every service's schema and nothing else; the question before drops it", Tone::Dim);
            }
            None => {}
        }
        self.keep().into_iter().collect()
    }

    /// The next thing that a cell can say.
    fn turn_cell(&mut self) -> Vec<Effect> {
        let Some((who, to)) = self.cell_here() else { return Vec::new() };
        let now = self.levels_of(&who, &to);
        let mut all: Vec<Vec<Level>> = CHOICES.iter().map(|c| c.to_vec()).collect();
        let found = self.access.found.as_ref().and_then(|draft| match &who {
            Who::Service { name, .. } => Some(draft.levels(name, &to)),
            Who::Role(at, _) => draft.roles.get(*at)?.rule.access.get(&to).cloned(),
            Who::Reporting(_) => None,
        });
        for levels in [found, Some(now.clone())].into_iter().flatten() {
            if !all.contains(&levels) {
                all.push(levels);
            }
        }
        let at = all.iter().position(|l| *l == now).map_or(0, |i| (i + 1) % all.len());
        let next = all.get(at).cloned().unwrap_or_default();
        self.set_cell(&next)
    }

    fn access_faults(&self) -> Vec<Problem> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let here = |p: &Problem| matches!(p.answer, Answer::Access(_));
        self.draft.problems(&opened.snapshot).into_iter().filter(here).collect()
    }

    pub(super) fn access_key(&mut self, key: Key) -> Vec<Effect> {
        let (rows, columns) = (self.whos().len(), self.columns().len());
        let state = &mut self.access;
        match (key.code, key.ctrl) {
            (Code::Up, _) | (Code::Char('k'), false) => state.row = super::moved(state.row, -1, rows),
            (Code::Down, _) | (Code::Char('j'), false) => state.row = super::moved(state.row, 1, rows),
            (Code::Left | Code::BackTab, _) | (Code::Char('h'), false) => {
                state.column = super::moved(state.column, -1, columns);
            }
            (Code::Right | Code::Tab, _) | (Code::Char('l'), false) => {
                state.column = super::moved(state.column, 1, columns);
            }
            (Code::Home, _) => state.column = 0,
            (Code::End, _) => state.column = columns.saturating_sub(1),
            (Code::Char(' '), _) => return self.turn_cell(),
            (Code::Char('r'), false) => return self.set_cell(&[Level::Read]),
            (Code::Char('a'), false) => return self.set_cell(&[Level::Append]),
            (Code::Char('w'), false) => return self.set_cell(&[Level::Write]),
            (Code::Char('n' | '0') | Code::Backspace | Code::Delete, _) => return self.set_cell(&[]),
            (Code::Esc, _) => return self.back(),
            (Code::Char('q'), false) => return self.leave(),
            (Code::Enter, _) => {
                if self.access_faults().is_empty() {
                    return self.go(Step::Plan);
                }
                self.access.tried = true;
                self.say("something is wrong with an answer; it is said below the matrix", Tone::Warning);
            }
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn access_page(&self) -> Page {
        let (whos, columns) = (self.whos(), self.columns());
        let name = |who: &Who| match who {
            Who::Service { name, .. } => Line::new(name, Tone::Strong),
            Who::Role(_, name) | Who::Reporting(name) => Line::new(name, Tone::Text),
        };
        let found = self.access.found.as_ref();
        let cell = |who: &Who, to: &String| {
            let levels = self.levels_of(who, to);
            let own = levels == [Level::Own];
            let before = found.map(|draft| match who {
                Who::Service { schema, .. } if schema == to => vec![Level::Own],
                Who::Service { name, .. } => draft.levels(name, to),
                Who::Role(at, _) => {
                    draft.roles.get(*at).and_then(|r| r.rule.access.get(to)).cloned().unwrap_or_default()
                }
                Who::Reporting(_) => levels.clone(),
            });
            let changed = before.is_some_and(|b| b != levels);
            let tone = if changed {
                Tone::Accent
            } else if own || levels.is_empty() {
                Tone::Dim
            } else {
                Tone::Text
            };
            Line::new(&words(&levels), tone)
        };
        let rows = whos
            .iter()
            .map(|who| std::iter::once(name(who)).chain(columns.iter().map(|to| cell(who, to))).collect::<Vec<_>>());
        let grid = Grid {
            titles: std::iter::once("service").chain(columns.iter().map(String::as_str)).map(str::to_owned).collect(),
            rows: rows.collect(),
            row: self.access.row.min(whos.len().saturating_sub(1)),
            column: self.access.column.min(columns.len().saturating_sub(1)) + 1,
        };
        let mut rows = Vec::new();
        let faults = self.access_faults();
        if self.access.tried && !faults.is_empty() {
            rows.push(Row::blank());
            rows.extend(faults.iter().take(3).flat_map(|p| fault(&p.sentence, &p.remedy)));
        }
        Page {
            question: Line::new("Who may do what in whose schema?", Tone::Title),
            why: Line::new(
                "Chosen is what each was granted itself. Less is better: what is not needed is taken away by the plan.",
                Tone::Dim,
            ),
            rows,
            at: None,
            offset: 0,
            grid: Some(grid),
            side: self.access_side(),
            keys: vec![
                ("Enter", "go on"),
                ("Space", "next level"),
                ("n r a w", "none, read, append, write"),
                ("←↑↓→", "move"),
                ("Esc", "back"),
                ("q", "leave"),
            ],
        }
    }

    /// What a role may do there today because everybody may: no choice of one cell takes that away.
    fn through_public(&self, role: &str, to: &str) -> Option<String> {
        let snapshot = &self.opened.as_ref()?.snapshot;
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        matrix.index.role_named(role)?;
        let cell = matrix.cell(&snapshot.catalog, effective::Who::Public, matrix.index.schema_named(to)?);
        let words: Vec<&str> = cell.tables.on_any().iter().map(Privilege::keyword).collect();
        (cell.usage && !words.is_empty())
            .then(|| format!("Today PUBLIC, which is everybody, has {} on tables there.", crate::text::list(&words, 5)))
    }

    fn access_side(&self) -> Vec<Line> {
        let Some((who, to)) = self.cell_here() else { return Vec::new() };
        let levels = self.levels_of(&who, &to);
        let name = match &who {
            Who::Service { role, .. } => role,
            Who::Role(_, name) | Who::Reporting(name) => name,
        };
        let title = Line::new(name, Tone::Title).known(" in ", Tone::Title).and(&to, Tone::Title);
        let mut side = vec![title];
        let own = levels == [Level::Own];
        if let Some(today) = self.through_public(name, &to).filter(|_| !own) {
            side.push(Line::new(&today, Tone::Warning));
        }
        let owner = self.draft.chosen().find(|s| s.schema == to && s.role == *name).and_then(|s| s.owner.as_ref());
        let sentence = if let Some(owner) = owner.filter(|_| own) {
            format!("It makes, migrates and fills its own tables; {owner} owns the schema.")
        } else if own {
            "It owns the schema: it makes, migrates and fills its own tables.".to_owned()
        } else {
            format!("It may {}.", meaning(&levels))
        };
        side.push(Line::new(&sentence, Tone::Text));
        if !own && levels.is_empty() {
            side.push(Line::new("It cannot even name a table there: not in a query, not in a migration.", Tone::Dim));
        } else if !own {
            side.push(Line::new(
                "It holds for tables that are made later too, whoever of the service makes them.",
                Tone::Dim,
            ));
        }
        side
    }
}

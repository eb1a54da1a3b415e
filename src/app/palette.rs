//! The lists one chooses from: the command palette, the columns to sort by, the instances.

use std::collections::HashSet;

use super::{
    App, about,
    actions::{ACTIONS, Context},
    instance::Instance,
    overlay::{Choice, Item, Picker},
    panes::RowId,
    view::{Line, Tone},
};
use crate::domain::link::LinkState;

/// Everything that can be gone to or done: panes, actions and instances at once; roles, schemas and findings by typing.
pub fn palette(app: &App) -> Picker {
    let mut items = Vec::new();
    for (i, slot) in app.slots.iter().enumerate() {
        items.push(Item {
            label: Line::new(slot.spec.title, Tone::Text).known("  ", Tone::Dim).and(slot.spec.doc, Tone::Dim),
            hint: Line::new(&number(i), Tone::Key),
            search: format!("{} {}", slot.spec.title, slot.spec.id),
            id: slot.spec.id.to_owned(),
            at_once: true,
            choice: Choice::Pane(i),
        });
    }
    for action in ACTIONS {
        // panes are listed above, and moving about is not looked for in a list
        if action.id.starts_with("pane-") || MOVES.contains(&action.id) {
            continue;
        }
        let why =
            if action.context == Context::Pane || app.overlays.is_empty() { (action.enabled)(app).err() } else { None };
        let label = match why {
            None => Line::new(action.title, Tone::Text).known("  ", Tone::Dim).and(action.doc, Tone::Dim),
            Some(why) => Line::new(action.title, Tone::Dim).known("  not now: ", Tone::Dim).and(why, Tone::Dim),
        };
        items.push(Item {
            label,
            hint: Line::new(&app.keymap.all(action.id), Tone::Key),
            search: format!("{} {} {}", action.title, action.id, also(action.id)),
            id: action.id.to_owned(),
            at_once: true,
            choice: Choice::Action(action.id),
        });
    }
    items.extend(instances(app).items.into_iter().filter(|_| app.instances.len() > 1));
    objects(app, &mut items);
    Picker::new(Line::new("Go to, or do", Tone::Title), items, 0)
}

/// Other words that somebody may look for an action by.
fn also(action: &str) -> &'static str {
    match action {
        "undo" => "redo again take back revert",
        _ => "",
    }
}

const MOVES: [&str; 10] = ["up", "down", "left", "right", "page-up", "page-down", "top", "bottom", "open", "palette"];

fn number(i: usize) -> String {
    if i < 9 { (i + 1).to_string() } else { String::new() }
}

/// Roles, schemas and findings of the instances in scope.
fn objects(app: &App, items: &mut Vec<Item>) {
    let there: HashSet<&str> = app.slots.iter().map(|s| s.spec.id).collect();
    let several = app.instances.len() > 1 && app.only.is_none();
    let mut add = |pane: &'static str, kind: &str, instance: usize, text: &str, id: &str, name: &str| {
        if there.contains(pane) {
            let hint = if several { Line::new(name, Tone::Dim).known("  ", Tone::Dim) } else { Line::empty() };
            items.push(Item {
                label: Line::new(text, Tone::Text),
                hint: hint.and(kind, Tone::Dim),
                search: format!("{text} {kind}"),
                id: text.to_owned(),
                at_once: false,
                choice: Choice::Row { pane, row: RowId(instance, id.to_owned()) },
            });
        }
    };
    for (i, instance) in app.instances.iter().enumerate().filter(|(i, _)| app.only.is_none_or(|o| o == *i)) {
        let Some(judgement) = &instance.judgement else { continue };
        let catalog = &judgement.snapshot.catalog;
        for role in catalog.roles.iter().filter(|r| !r.is_predefined()) {
            add("roles", "role", i, &role.name, &role.name, &instance.name);
        }
        for schema in catalog.schemas.iter().filter(|s| !s.is_system()) {
            add("schemas", "schema", i, &schema.name, &schema.name, &instance.name);
        }
        for finding in judgement.findings.iter() {
            add("findings", finding.code, i, &finding.message, &finding.id, &instance.name);
        }
    }
    for (i, instance) in app.instances.iter().enumerate().filter(|(i, _)| app.only.is_none_or(|o| o == *i)) {
        items.extend(databases_of(i, instance, false));
    }
}

/// The databases of the server of an instance.
pub fn databases(app: &App, at: usize) -> Picker {
    let Some(instance) = app.instances.get(at) else { return Picker::new(Line::empty(), Vec::new(), 0) };
    let items = databases_of(at, instance, true);
    let here = instance.judgement.as_ref().map(|j| j.snapshot.server.database.as_str());
    let cursor = items.iter().position(|i| Some(i.id.as_str()) == here).unwrap_or(0);
    Picker::new(
        Line::new("Open a database of the server of ", Tone::Title).and(&instance.name, Tone::Strong),
        items,
        cursor,
    )
}

fn databases_of(at: usize, instance: &Instance, at_once: bool) -> Vec<Item> {
    let Some(judgement) = &instance.judgement else { return Vec::new() };
    let here = judgement.snapshot.server.database.as_str();
    let databases = judgement.snapshot.sizes.databases.iter().filter(|d| at_once || d.closed().is_none());
    databases
        .map(|d| {
            let tone = if d.closed().is_none() { Tone::Text } else { Tone::Dim };
            Item {
                label: Line::new(&d.name, tone),
                hint: Line::new(&about::database(d, here), Tone::Dim)
                    .known(if at_once { "" } else { "  database" }, Tone::Dim),
                search: format!("{} database", d.name),
                id: d.name.clone(),
                at_once,
                choice: Choice::Database { instance: at, name: d.name.clone() },
            }
        })
        .collect()
}

/// The columns one can sort by.
pub fn sort(app: &App) -> Picker {
    let mut items = Vec::new();
    let mut at = 0;
    if let Some(slot) = app.slot() {
        for (i, column) in slot.columns.iter().enumerate().filter(|(_, c)| c.sorts) {
            // a column of marks says what it is by its marks
            let title = if column.title.trim().is_empty() { "mark" } else { column.title.as_ref() };
            let now = slot.table.sort.filter(|(c, _)| *c == i);
            if now.is_some() {
                at = items.len();
            }
            let hint = match now {
                None => Line::empty(),
                Some((_, true)) => Line::empty().known("▼ now; again for ▲", Tone::Dim),
                Some((_, false)) => Line::empty().known("▲ now; again for ▼", Tone::Dim),
            };
            items.push(Item {
                label: Line::new(title, Tone::Text),
                hint,
                search: title.to_owned(),
                id: title.to_owned(),
                at_once: true,
                choice: Choice::Sort(i),
            });
        }
    }
    Picker::new(Line::new("Sort by", Tone::Title), items, at)
}

/// All instances, and each.
pub fn instances(app: &App) -> Picker {
    let mut items = vec![Item {
        label: Line::new("all instances", Tone::Text),
        hint: Line::empty(),
        search: "all instances".to_owned(),
        id: "all".to_owned(),
        at_once: true,
        choice: Choice::Instance(None),
    }];
    for (i, instance) in app.instances.iter().enumerate() {
        let (word, tone) = match &instance.link.state {
            _ if instance.recorded => ("recording", Tone::Dim),
            LinkState::Connecting => ("connecting", Tone::Dim),
            LinkState::Ready => ("ready", Tone::Good),
            LinkState::Lost { .. } => ("lost", Tone::Error),
        };
        let database = instance.judgement.as_ref().map_or("", |j| j.snapshot.server.database.as_str());
        items.push(Item {
            label: Line::new(&instance.name, Tone::Text).known("  ", Tone::Dim).and(database, Tone::Dim),
            hint: Line::new(instance.environment.word(), super::compose::environment(instance.environment))
                .known("  ", Tone::Dim)
                .known(word, tone),
            search: format!("{} {database} instance", instance.name),
            id: instance.name.clone(),
            at_once: true,
            choice: Choice::Instance(Some(i)),
        });
    }
    Picker::new(Line::new("Look at", Tone::Title), items, app.only.map_or(0, |o| o + 1))
}

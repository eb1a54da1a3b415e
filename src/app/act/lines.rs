//! A plan told in sections: who gains and loses, what to know before, the steps with their SQL, how it is taken back,
//! what is left alone. Knows plans and words, nothing of keys.

use secrecy::ExposeSecret as _;

use super::{CellChange, Fate, Handed, Progress, Ready, Told, ending::Order};
use crate::{
    app::{
        prose::Prose,
        sql_spans,
        view::{Line, Span, Tone},
        words,
    },
    domain::effective::Who,
    plan::{Effect, Hazard, HazardKind, Plan, Step},
    policy::judgement::Judgement,
    text,
};

/// Part of a preview that can be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub title: Line,
    /// Beside the title, also when it is folded.
    pub hint: String,
    pub lines: Vec<Line>,
    /// Folded at first.
    pub folded: bool,
}

/// Statements of a step, sentences and roles shown before the key for everything is pressed.
const SHORT: usize = 4;
const SENTENCES: usize = 8;
const ROLES: usize = 12;

pub(super) fn indented(cells: usize, line: Line) -> Line {
    Line(vec![Span::new(&" ".repeat(cells), Tone::Text)]).join(line)
}

fn more(hidden: usize, what: &str) -> Line {
    Line::new(&format!("    … {hidden} more {what}; v shows all"), Tone::Dim)
}

/// The sections of a plan; `full` leaves nothing out.
pub(super) fn plan(ready: &Ready, full: bool) -> Vec<Section> {
    let plan = &ready.plan;
    let mut sections = vec![who(ready, full), before(plan, full), steps(plan, full), undo(plan)];
    if !ready.lacks.is_empty() {
        let lines = ready
            .lacks
            .iter()
            .map(|lack| indented(2, Line(vec![Span::known("✖ ", Tone::Error)]).and(lack, Tone::Text)));
        let section = Section {
            title: title("This login cannot run it"),
            hint: "connect as an owner or as a superuser".to_owned(),
            lines: lines.collect(),
            folded: false,
        };
        sections.insert(0, section);
    }
    if !ready.now.is_empty() {
        let lines = ready.now.iter().map(|sentence| indented(2, Line::new(sentence, Tone::Text)));
        let section =
            Section { title: title("Locks at the moment"), hint: String::new(), lines: lines.collect(), folded: false };
        sections.insert(1 + usize::from(!ready.lacks.is_empty()), section);
    }
    if !plan.left.is_empty() {
        let lines = plan
            .left
            .iter()
            .map(|left| indented(2, Prose::new().and(&left.finding, Tone::Strong).say(": ").text(&left.why).line()));
        sections.push(Section {
            title: title("Left alone"),
            hint: text::count(plan.left.len() as u64, "finding", "findings"),
            lines: lines.collect(),
            folded: false,
        });
    }
    sections
}

/// The marked rows that the plan has nothing for.
pub(super) fn without(rows: &[(String, String)]) -> Option<Section> {
    let line =
        |(name, why): &(String, String)| indented(2, Prose::new().and(name, Tone::Strong).say(": ").text(why).line());
    (!rows.is_empty()).then(|| Section {
        title: title("Marked, without a fix"),
        hint: text::count(rows.len() as u64, "row", "rows"),
        lines: rows.iter().map(line).collect(),
        folded: false,
    })
}

fn title(words: &'static str) -> Line {
    Line(vec![Span::known(words, Tone::Title)])
}

fn role_words(role: Option<&str>) -> &str {
    role.unwrap_or("PUBLIC")
}

fn who(ready: &Ready, full: bool) -> Section {
    let plan = &ready.plan;
    let mut lines = Vec::new();
    let most = if full { usize::MAX } else { ROLES };
    let shown: Vec<&Effect> = plan.effects.iter().take(most).collect();
    let widest = shown.iter().map(|e| place(e, plan).width()).max().unwrap_or(0).min(44);
    for effect in &shown {
        let place = place(effect, plan);
        let gap = " ".repeat((widest + 2).saturating_sub(place.width()).max(2));
        let mut line = indented(2, place);
        let cell = |c: &&CellChange| c.role == effect.role && Some(&c.schema) == effect.schema.as_ref();
        // what looks the same in the matrix is told by the lists below alone
        if let Some(cell) = ready.cells.iter().find(cell).filter(|c| c.before != c.after) {
            line.0.push(Span::new(&gap, Tone::Text));
            line = line.join(cell.before.clone()).known("  →  ", Tone::Dim).join(cell.after.clone());
        }
        lines.push(line);
        for (word, tone, list) in [("− ", Tone::Missing, &effect.lost), ("+ ", Tone::Good, &effect.gained)] {
            if !list.is_empty() {
                let list = gathered(list);
                let word = Span::known(word, tone);
                let verb = if tone == Tone::Missing { "loses " } else { "gains " };
                let line = Line(vec![word, Span::known(verb, Tone::Dim)]).and(&list.join("; "), Tone::Text);
                lines.push(indented(6, line));
            }
        }
    }
    if plan.effects.len() > shown.len() {
        lines.push(more(plan.effects.len() - shown.len(), "changes of somebody's rights"));
    }
    let roles: std::collections::BTreeSet<_> = plan.effects.iter().map(|e| &e.role).collect();
    lines.push(Line::new(
        if roles.is_empty() {
            "  Nobody gains or loses a right by it."
        } else {
            "  Nobody else gains or loses anything."
        },
        Tone::Dim,
    ));
    let hint = match roles.len() {
        0 => "nobody".to_owned(),
        n => text::count(n as u64, "role", "roles"),
    };
    Section { title: title("Who gains and loses"), hint, lines, folded: false }
}

/// Privileges on the same number of the same things are said together.
#[must_use]
pub fn gathered(list: &[String]) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for words in list {
        let (privilege, place) = words.split_once(" on ").unwrap_or((words, ""));
        match groups.iter_mut().find(|(known, _)| *known == place && !place.is_empty()) {
            Some((_, privileges)) => privileges.push(privilege),
            None => groups.push((place, vec![privilege])),
        }
    }
    let said = |(place, privileges): (&str, Vec<&str>)| match place {
        "" => privileges.join(", "),
        place => format!("{} on {place}", privileges.join(", ")),
    };
    groups.into_iter().map(said).collect()
}

fn place(effect: &Effect, plan: &Plan) -> Line {
    let role = text::fit(&text::safe(role_words(effect.role.as_deref())), 40).into_owned();
    let line = Line(vec![Span::safe(role, Tone::Strong)]).known(" × ", Tone::Dim);
    match &effect.schema {
        Some(schema) => line.and(schema, Tone::Strong),
        None => line.known("database ", Tone::Dim).and(&plan.target.database, Tone::Strong),
    }
}

fn kind(kind: HazardKind) -> (&'static str, Tone) {
    match kind {
        HazardKind::Lock => ("■ lock  ", Tone::Warning),
        HazardKind::Loss => ("▲ loss  ", Tone::Warning),
        HazardKind::NoWayBack => ("✖ final ", Tone::Error),
        HazardKind::Application => ("▲ app   ", Tone::Warning),
        HazardKind::Note => ("· note  ", Tone::Dim),
    }
}

fn sentence(hazard: &Hazard) -> Line {
    let (word, tone) = kind(hazard.kind);
    Line(vec![Span::known(word, tone)]).and(&hazard.sentence, Tone::Text)
}

/// What somebody should know before: each sentence once, the worst first.
fn before(plan: &Plan, full: bool) -> Section {
    let mut known: Vec<&Hazard> = Vec::new();
    for hazard in plan.notes.iter().chain(plan.steps.iter().flat_map(|s| &s.hazards)) {
        if !known.contains(&hazard) {
            known.push(hazard);
        }
    }
    let weight = |k: HazardKind| match k {
        HazardKind::NoWayBack => 0,
        HazardKind::Loss => 1,
        HazardKind::Lock => 2,
        HazardKind::Application => 3,
        HazardKind::Note => 4,
    };
    known.sort_by_key(|h| weight(h.kind));
    let most = if full { usize::MAX } else { SENTENCES };
    let mut lines: Vec<Line> = known.iter().take(most).map(|h| indented(2, sentence(h))).collect();
    if known.len() > lines.len() {
        lines.push(more(known.len() - lines.len(), "sentences"));
    }
    if !known.iter().any(|h| h.kind == HazardKind::Lock) {
        lines.push(Line::new("  No table is locked, only rows of the catalog, for some milliseconds.", Tone::Text));
    }
    lines.push(Line::new(
        "  One transaction: all of it or nothing. A lock that is not to be had is given up after 0.3 s and tried again.",
        Tone::Dim,
    ));
    let hint = match known.len() {
        0 => "nothing special".to_owned(),
        n => text::count(n as u64, "thing", "things"),
    };
    Section { title: title("What to know"), hint, lines, folded: false }
}

fn steps(plan: &Plan, full: bool) -> Section {
    let mut lines = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let number = Line::new(&format!("{:>3}  ", i + 1), Tone::Dim);
        lines.push(number.and(&capital(&step.title), Tone::Strong));
        lines.extend(sql(step, full));
        if full {
            lines.extend(step.hazards.iter().map(|h| indented(5, sentence(h))));
        }
    }
    let hint = format!(
        "{}, {}",
        text::count(plan.steps.len() as u64, "step", "steps"),
        text::count(plan.statements().count() as u64, "statement", "statements")
    );
    Section { title: title("What is run"), hint, lines, folded: false }
}

fn sql(step: &Step, full: bool) -> Vec<Line> {
    let most = if full { usize::MAX } else { SHORT };
    let mut lines: Vec<Line> = step
        .sql
        .iter()
        .take(most)
        .flat_map(|statement| {
            if full {
                sql_spans::our_lines(statement, 2000)
            } else {
                let line = sql_spans::our_line(statement, 240);
                vec![line]
            }
        })
        .map(|line| indented(5, line))
        .collect();
    if step.sql.len() > most {
        lines.push(indented(1, more(step.sql.len() - most, "statements")));
    }
    lines
}

/// With a capital: titles of steps begin with a verb.
fn capital(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn undo(plan: &Plan) -> Section {
    let without: Vec<&Step> = plan.steps.iter().filter(|s| s.is_final()).collect();
    let mut lines: Vec<Line> = Vec::new();
    for step in &without {
        let line = Prose::new().toned("✖ ", Tone::Error).text(&step.title).say(": nothing takes this back by itself.");
        lines.push(indented(2, line.line()));
    }
    for statement in plan.steps.iter().rev().filter_map(|s| s.undo.as_ref()).flatten() {
        lines.push(indented(2, sql_spans::our_line(statement, 2000)));
    }
    let hint = match (without.len(), plan.steps.len()) {
        (0, _) => "recorded in the journal; u takes it back".to_owned(),
        (n, all) if n == all => "nothing takes this back".to_owned(),
        (n, all) => format!("{n} of {all} steps cannot be taken back"),
    };
    Section { title: title("The way back"), hint, lines, folded: without.is_empty() }
}

/// The sections of an order to end sessions.
pub(super) fn order(order: &Order, j: Option<&Judgement>) -> Vec<Section> {
    let mut sections: Vec<Section> = j
        .map(|j| super::ending::story(order, j))
        .unwrap_or_default()
        .into_iter()
        .map(|(title, lines)| Section {
            title,
            hint: String::new(),
            lines: lines.into_iter().map(|l| indented(2, l)).collect(),
            folded: false,
        })
        .collect();
    if !order.left.is_empty() {
        let line = |(name, why): &(String, &'static str)| {
            indented(2, Prose::new().and(name, Tone::Strong).say(": ").say(why).say(".").line())
        };
        sections.push(Section {
            title: title("Left alone"),
            hint: text::count(order.left.len() as u64, "session", "sessions"),
            lines: order.left.iter().map(line).collect(),
            folded: false,
        });
    }
    sections
}

/// What an action is doing, above the rest.
pub(super) fn progress(progress: &Progress, rehearse: bool, stopping: bool, plan: Option<&Plan>) -> Vec<Line> {
    let word = if rehearse { "Rehearsing: " } else { "Running: " };
    let mut line =
        Line(vec![Span::known("◌ ", Tone::Accent), Span::known(word, Tone::Accent)]).and(&progress.words, Tone::Strong);
    if let (Some(at), Some(plan)) = (progress.step, plan) {
        line = line.and(&format!("  step {} of {}", at + 1, plan.steps.len()), Tone::Dim);
    }
    let mut lines = vec![line];
    lines.extend(progress.details.iter().take(6).map(|d| indented(4, Line::new(d, Tone::Text))));
    if stopping {
        let words = if progress.stoppable {
            "Asked to stop: everything is rolled back as soon as the server lets go."
        } else {
            "It cannot be stopped any more: COMMIT was sent, and the server decides."
        };
        lines.push(indented(2, Line::new(words, Tone::Warning)));
    }
    lines.push(Line::empty());
    lines
}

/// How it ended, above the rest.
pub(super) fn told(told: &Told, revealed: bool) -> Vec<Line> {
    let (glyph, tone) = match told.fate {
        Fate::Committed => ("✔ ", Tone::Good),
        Fate::Rehearsed => ("✔ ", Tone::Info),
        Fate::Nothing => ("○ ", Tone::Warning),
        Fate::Unknown => ("✖ ", Tone::Critical),
    };
    let mut lines = vec![Line(vec![Span::known(glyph, tone)]).and(&told.title, tone)];
    lines.extend(told.details.iter().map(|d| indented(4, Line::new(d, Tone::Text))));
    if let Some(remedy) = &told.remedy {
        lines.push(indented(2, Line(vec![Span::known("→ ", Tone::Accent)]).and(remedy, Tone::Text)));
    }
    if let Some(aftermath) = &told.aftermath {
        lines.extend(aftermath.said.iter().map(|(tone, words)| {
            let glyph = match tone {
                Tone::Good => "✔ ",
                Tone::Error => "✖ ",
                Tone::Warning => "▲ ",
                _ => "· ",
            };
            indented(2, Line(vec![Span::known(glyph, *tone)]).and(words, Tone::Text))
        }));
        if let Some(handed) = &aftermath.handover {
            lines.push(Line::empty());
            lines.extend(handover(handed, revealed));
        }
    }
    lines.push(Line::empty());
    lines
}

/// What the people of a service need: the file with the password, and the blocks without it.
fn handover(handed: &Handed, revealed: bool) -> Vec<Line> {
    let mut lines = vec![Line(vec![Span::known("Hand-over", Tone::Title)])];
    let line = Line::new("The URL with its password is in a file that only you can read: ", Tone::Text);
    lines.push(indented(2, line.and(&handed.file, Tone::Strong)));
    let line = Line::new("password  ", Tone::Text);
    let line = if revealed {
        line.and(handed.password.0.expose_secret(), Tone::Strong)
    } else {
        line.known("••••••••••••", Tone::Dim)
    };
    lines.push(indented(2, line));
    lines.push(Line::empty());
    lines.extend(handed.text.lines().map(|l| indented(2, Line::new(l, Tone::Text))));
    lines
}

/// Cells of the matrix that a plan changes, from the judgement before and the one it leads to.
#[must_use]
pub fn cells(before: &Judgement, after: &Judgement, plan: &Plan) -> Vec<CellChange> {
    let (was, is) = (before.judge(), after.judge());
    let cell = |j: &Judgement, judge: &crate::policy::judge::Judge<'_>, role: Option<&str>, schema: &str| {
        let who = match role {
            None => Some(Who::Public),
            Some(name) => j.matrix.index.role_named(name).map(Who::Role),
        };
        match (who, j.matrix.index.schema_named(schema)) {
            (Some(who), Some(schema)) => words::cell_of(j, who, schema, &judge.cell(who, schema)),
            _ => Line(vec![Span::known("·", Tone::Dim)]),
        }
    };
    let effects = plan.effects.iter().filter_map(|e| Some((e.role.as_deref(), e.schema.as_deref()?)));
    effects
        .map(|(role, schema)| CellChange {
            role: role.map(str::to_owned),
            schema: schema.to_owned(),
            before: cell(before, &was, role, schema),
            after: cell(after, &is, role, schema),
        })
        .collect()
}

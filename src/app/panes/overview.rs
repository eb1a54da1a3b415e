//! The answer first: how each instance is, and what is wrong, worst first, each with the pane that shows it.
//!
//! ```text
//!  engarde · engarde   development   up 3 d   policy engarde
//!    sessions   34 / 97 ▓▓▓▓▓▓░░░░   langflow_app 10/10 FULL   blocked 3 (4 m 12 s)   idle in tx 1 (11 m)
//!    isolation  14 of 65 role cells differ    versions  1 table is shared    tenancy  8 tables without RLS
//!    size       1.2 GB   langflow 61 %   cache 99.1 %   wraparound 4 %
//! ```

use std::collections::HashMap;

use super::{Ctx, Enter, Entry, Pane, PaneSpec, Reach, RowId, SortKey, Want};
use crate::{
    app::{
        instance::Instance,
        panes::{findings, sessions::last_read},
        view::{Column, Line, Span, Tone},
        wrap::hanging,
    },
    config::target::Environment,
    domain::{link::LinkState, snapshot::Activity},
    policy::{
        Finding, Group, Limits, Severity, finding::FEW_NAMES, judgement::Judgement, left_as_they_are, versions::Class,
    },
    text,
};

pub const SPEC: PaneSpec =
    PaneSpec { id: "overview", title: "Overview", doc: "How each instance is, and what is wrong, worst first." };

/// One line of "what is wrong".
enum Row {
    Finding {
        instance: usize,
        position: usize,
        alike: usize,
    },
    /// Something of this moment: sessions, not the catalog.
    Live {
        instance: usize,
        severity: Severity,
        message: String,
        why: &'static str,
        id: String,
    },
}

#[derive(Default)]
pub struct Overview {
    rows: Vec<Row>,
    /// Built when data changed: position of the instance, all that is said of it, and what there is room for beside others.
    heads: Vec<(usize, Vec<Line>, Vec<Line>)>,
    several: bool,
}

/// Lines of a terminal from which on there is room for more than what is wrong.
const ROOMY: u16 = 30;
/// Cells before the first value of a line about an instance.
const LABEL: usize = 13;
/// How many findings the first screen lists; the rest is one line and the Findings pane.
const LISTED: usize = 200;

fn pane_of(group: Group) -> (&'static str, &'static str) {
    match group {
        Group::Grants => ("grants", "Grants"),
        Group::Versions => ("versions", "Versions"),
        Group::Roles => ("roles", "Roles"),
        Group::Existence | Group::Ownership => ("schemas", "Schemas"),
        Group::Isolation | Group::Tenancy | Group::Setup => ("findings", "Findings"),
    }
}

/// What is wrong at this moment, from the sessions: limits of the policy, or their defaults.
fn live(instance: usize, j: &Judgement) -> Vec<Row> {
    let Some(activity) = &j.snapshot.activity else { return Vec::new() };
    let defaults = Limits::default();
    let limits = j.policy.as_ref().map_or(&defaults, |p| &p.limits);
    let mut rows = Vec::new();
    let mut add = |id: &str, severity, message: String, why| {
        rows.push(Row::Live { instance, severity, message, why, id: format!("live:{id}") });
    };
    let blocked: Vec<_> = activity.sessions.iter().filter(|s| !s.blocked_by.is_empty()).collect();
    let longest = blocked.iter().filter_map(|s| s.query_age_ms).max().unwrap_or(0);
    if !blocked.is_empty() && longest >= i64::from(limits.blocked_seconds) * 1000 {
        let n = text::count(blocked.len() as u64, "session waits", "sessions wait");
        let message = format!("{n} for a lock, the longest for {}.", text::age(longest));
        add(
            "blocked",
            Severity::Error,
            message,
            "Whoever waits holds up everyone behind it. Sessions shows who blocks whom.",
        );
    }
    let idle: Vec<_> = activity
        .sessions
        .iter()
        .filter(|s| s.state.as_deref().is_some_and(|st| st.starts_with("idle in transaction")))
        .filter_map(|s| s.state_age_ms.filter(|age| *age >= i64::from(limits.idle_in_transaction_seconds) * 1000))
        .collect();
    if let Some(longest) = idle.iter().max() {
        let n = text::count(idle.len() as u64, "session sits", "sessions sit");
        let message = format!("{n} idle in a transaction, the longest for {}.", text::age(*longest));
        add(
            "idle",
            Severity::Warning,
            message,
            "An open transaction keeps its locks and keeps VACUUM from cleaning up.",
        );
    }
    for (role, used, limit) in full_roles(j, activity) {
        let message = format!("{role} uses {used} of its {limit} connections.");
        let severity = if used >= limit { Severity::Error } else { Severity::Warning };
        add(&format!("limit:{role}"), severity, message, "At the limit every further log-in of the role is refused.");
    }
    let server = &j.snapshot.server;
    let max = server.usable_connections();
    if server.max_connections > 0 && activity.connections * 100 >= max * u32::from(limits.connections_percent) {
        let message = format!("{} connections are in use.", server.connections_of(activity.connections, "of"));
        add("connections", Severity::Error, message, "When they run out, nobody but a superuser gets in.");
    }
    rows
}

/// Roles near or at their connection limit: name, used, limit.
fn full_roles(j: &Judgement, activity: &Activity) -> Vec<(String, u32, u32)> {
    let percent = j.policy.as_ref().map_or(Limits::default().connections_percent, |p| p.limits.connections_percent);
    let limited = j.snapshot.catalog.roles.iter().filter(|r| r.connection_limit > 0 && !r.superuser);
    limited
        .filter_map(|r| {
            let limit = u32::try_from(r.connection_limit).ok()?;
            let used = activity.sessions.iter().filter(|s| s.role.as_deref() == Some(&r.name)).count() as u32;
            (used * 100 >= limit * u32::from(percent)).then(|| (r.name.clone(), used, limit))
        })
        .collect()
}

fn bar(part: u64, whole: u64, cells: usize) -> [Span; 2] {
    let full =
        if whole == 0 { 0 } else { (part.min(whole) as usize * cells).div_ceil(whole.max(1) as usize).min(cells) };
    [Span::new(&"▓".repeat(full), Tone::Bar), Span::new(&"░".repeat(cells - full), Tone::BarRest)]
}

fn environment_tone(environment: Environment) -> Tone {
    match environment {
        Environment::Development => Tone::Development,
        Environment::Staging => Tone::Staging,
        Environment::Production => Tone::Production,
    }
}

fn title(instance: &Instance, now_ms: u64) -> Line {
    let environment = match instance.environment {
        Environment::Production => "PRODUCTION",
        Environment::Staging => "staging",
        Environment::Development => "development",
    };
    let mut line = Line::new(&instance.name, Tone::Strong);
    if let Some(j) = &instance.judgement {
        line = line.known(" · ", Tone::Dim).and(&j.snapshot.server.database, Tone::Strong);
    }
    line = line.known("   ", Tone::Text).known(environment, environment_tone(instance.environment));
    if let Some(j) = &instance.judgement {
        let server = &j.snapshot.server;
        if let Some(platform) = server.platform {
            line = line.known("   ", Tone::Text).known(platform.name(), Tone::Text);
        }
        if let Some(started) = server.started_at_us {
            let up = text::age((j.snapshot.latest_us() - started) / 1000);
            line = line.and(&format!("   up {up}"), Tone::Dim);
            if let Some(ago) = last_read(instance, now_ms) {
                line = line.and(&format!(" when last read, {ago}"), Tone::Warning);
            }
        }
        if server.in_recovery {
            line = line.known("   STANDBY", Tone::Warning);
            if let Some(lag) = server.replay_lag_ms {
                line = line.and(&format!(", {} behind", text::age(lag)), Tone::Warning);
            }
        }
    }
    match (&instance.policy_name, &instance.policy_problem) {
        (_, Some(problem)) => line.known("   policy: ", Tone::Dim).and(problem, Tone::Error),
        (Some(name), None) => line.known("   policy ", Tone::Dim).and(name, Tone::Text),
        (None, None) => line.known("   no policy", Tone::Dim),
    }
}

fn sessions_line(j: &Judgement) -> Line {
    let head = Line(vec![Span::known("  sessions   ", Tone::Dim)]);
    let Some(activity) = &j.snapshot.activity else { return head.known("not read yet", Tone::Dim) };
    let server = &j.snapshot.server;
    let max = u64::from(server.usable_connections());
    let mut line = head.and(&format!("{} ", server.connections_of(activity.connections, "/")), Tone::Text);
    line.0.extend(bar(u64::from(activity.connections), max, 20));
    for (role, used, limit) in full_roles(j, activity).into_iter().take(2) {
        let word = if used >= limit { " FULL" } else { "" };
        line = line
            .and(&format!("   {role} {used}/{limit}{word}"), if used >= limit { Tone::Error } else { Tone::Warning });
    }
    let blocked = activity.sessions.iter().filter(|s| !s.blocked_by.is_empty());
    let (n, longest) = blocked.fold((0, 0), |(n, l), s| (n + 1, l.max(s.query_age_ms.unwrap_or(0))));
    if n > 0 {
        line = line.and(&format!("   blocked {n} ({})", text::age(longest)), Tone::Error);
    }
    let idle =
        activity.sessions.iter().filter(|s| s.state.as_deref().is_some_and(|t| t.starts_with("idle in transaction")));
    let (n, longest) = idle.fold((0, 0), |(n, l), s| (n + 1, l.max(s.state_age_ms.unwrap_or(0))));
    if n > 0 {
        line = line.and(&format!("   idle in tx {n} ({})", text::age(longest)), Tone::Warning);
    }
    if activity.sessions.iter().any(|s| s.state.is_none() && !s.own) {
        line = line.known("   some states hidden from this login", Tone::Unknown);
    }
    line
}

fn isolation_line(j: &Judgement) -> Line {
    let mut line = Line(vec![Span::known("  isolation  ", Tone::Dim)]);
    line = match j.cells {
        Some((all, 0)) => line.and(&format!("all {all} role cells as declared"), Tone::Good),
        Some((all, differ)) => line.and(&format!("{differ} of {all} role cells differ"), Tone::Error),
        None => line.known("no policy to compare with", Tone::Dim),
    };
    line = line.known("    versions  ", Tone::Dim);
    let shared = j.versions.0.iter().filter(|v| v.class == Class::Shared).count() as u64;
    let tables = j.versions.0.len() as u64;
    let wrong = j.findings.iter().filter(|f| f.group == Group::Versions && f.severity > Severity::Info).count() as u64;
    line = match (shared, wrong) {
        (0, 0) => line.and(&text::count(tables, "version table, in order", "version tables, in order"), Tone::Good),
        (0, n) => line.and(&text::count(n, "problem", "problems"), Tone::Warning),
        (n, _) => line.and(&text::count(n, "table is shared", "tables are shared"), Tone::Critical),
    };
    line = line.known("    tenancy  ", Tone::Dim);
    let unprotected: u64 = j
        .findings
        .iter()
        .filter(|f| f.code == "rls-missing")
        .map(|f| f.objects_total.unwrap_or(f.objects.len() as u64).max(1))
        .sum();
    if j.snapshot.shapes.is_none() {
        line.known("checking", Tone::Dim)
    } else if unprotected > 0 {
        let text = text::count(unprotected, "table without RLS", "tables without RLS");
        line.and(&text, Tone::Error)
    } else if j.policy.as_ref().is_some_and(|p| p.services.iter().any(|s| s.tenant_column.is_some())) {
        line.known("every tenant table is protected", Tone::Good)
    } else {
        line.known("no tenant column declared", Tone::Dim)
    }
}

fn size_line(j: &Judgement) -> Line {
    let mut line = Line(vec![Span::known("  size       ", Tone::Dim)]);
    let sizes = &j.snapshot.sizes;
    // as Sizes counts: of what people's schemas hold, catalogs left out
    let of_people = |oid: &crate::domain::Oid| {
        let position = j.matrix.index.schema(*oid);
        position.and_then(|at| j.snapshot.catalog.schemas.get(at)).is_some_and(|s| !s.is_system())
    };
    let people = || sizes.schemas.iter().filter(|(oid, _)| of_people(oid));
    let sum: u64 = people().map(|(_, size)| size.total_bytes()).sum();
    line = match sizes.database_bytes {
        Some(bytes) => line.and(&text::size(bytes), Tone::Text),
        None => line.and(&format!("~{}", text::size(sum)), Tone::Text),
    };
    if let Some((oid, size)) = people().max_by_key(|(_, s)| s.total_bytes()).filter(|_| sum > 0) {
        let share = size.total_bytes() * 100 / sum.max(1);
        line = line.and(&format!("   {} {share} % of the schemas", j.snapshot.catalog.schema_name(*oid)), Tone::Text);
    }
    if let Some(activity) = &j.snapshot.activity {
        let reads = activity.blocks_hit + activity.blocks_read;
        if reads > 0 {
            let permille = activity.blocks_hit as f64 * 1000.0 / reads as f64;
            let tone = if permille < 900.0 { Tone::Warning } else { Tone::Text };
            line = line.and(&format!("   cache {:.1} %", permille / 10.0), tone);
        }
        if let Some(age) = activity.frozen_age {
            let percent = age * 100 / 2_000_000_000;
            let tone = if percent >= 50 { Tone::Error } else { Tone::Text };
            line = line.and(&format!("   wraparound {percent} %"), tone);
        }
    }
    let others = sizes.databases.iter().filter(|d| !d.template && d.name != j.snapshot.server.database).count() as u64;
    if others > 0 {
        line = line.and(&format!("   + {}", text::count(others, "other database", "other databases")), Tone::Dim);
        line = line.known(" (b)", Tone::Dim);
    }
    line
}

/// A pooler between, and that it means something.
fn pooler_line() -> Line {
    Line(vec![Span::known("  pooler     ", Tone::Dim)])
        .known("a pooler or a proxy stands between", Tone::Warning)
        .known("   role settings, limits and locks mean something else there: ", Tone::Text)
        .known("a says what", Tone::Accent)
}

fn head(instance: &Instance, short: bool, now_ms: u64) -> Vec<Line> {
    let mut lines = vec![title(instance, now_ms)];
    if let LinkState::Lost { reason, remedy, .. } = &instance.link.state {
        lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(reason, Tone::Error));
        if let Some(remedy) = remedy {
            lines.push(Line(vec![Span::known("  ", Tone::Text)]).and(remedy, Tone::Text));
        }
    }
    match &instance.judgement {
        None if instance.link.state == LinkState::Connecting => lines.push(Line::new("  connecting …", Tone::Dim)),
        None => {}
        Some(j) if short => lines.push(sessions_line(j)),
        Some(j) => lines.extend([sessions_line(j), isolation_line(j), size_line(j)]),
    }
    if instance.judgement.as_ref().is_some_and(|j| j.snapshot.server.pooled) {
        lines.push(pooler_line());
    }
    if let Some(j) = &instance.judgement {
        for missing in j.snapshot.unavailable.iter().take(2) {
            let mut line = Line(vec![Span::known("  unknown    ", Tone::Dim)]).and(&missing.what, Tone::Unknown);
            if let Some(grant) = &missing.grant {
                line = line.known(": this would show it: ", Tone::Dim).and(grant, Tone::Text);
            }
            lines.push(line);
        }
    }
    lines
}

/// The command that asks the same of this instance from a shell; on as many lines as it needs, which a shell joins again.
fn shell(command: &str, width: usize) -> Vec<Line> {
    let label = |words: &'static str| Line(vec![Span::known(words, Tone::Dim)]);
    let whole = label("  shell      ").and(command, Tone::Text);
    match command.split_once(" -c ") {
        Some((head, file)) if whole.width() > width => vec![
            label("  shell      ").and(head, Tone::Text).known(" \\", Tone::Text),
            label("             ").and(&format!("-c {file}"), Tone::Text),
        ],
        _ => vec![whole],
    }
}

/// A line about an instance on a screen that has no room for a second one: without its bar, then without the last of what
/// it says, never with half of it.
fn whole(line: &Line, room: usize) -> Line {
    if line.width() <= room {
        return line.clone();
    }
    let bar = |span: &&Span| !matches!(span.tone, Tone::Bar | Tone::BarRest);
    let spans: Vec<Span> = line.0.iter().filter(bar).cloned().collect();
    if spans.iter().map(Span::width).sum::<usize>() <= room {
        return Line(spans);
    }
    let starts: Vec<usize> =
        spans.iter().enumerate().filter(|(i, s)| *i > 1 && s.text().starts_with("   ")).map(|(i, _)| i).collect();
    for end in starts.into_iter().rev() {
        let kept = spans.get(..end).unwrap_or_default();
        if kept.iter().map(Span::width).sum::<usize>() + 2 <= room {
            return Line(kept.to_vec()).known(" …", Tone::Dim);
        }
    }
    Line(spans)
}

impl Overview {
    fn finding<'a>(&self, ctx: &Ctx<'a>, index: usize) -> Option<&'a Finding> {
        match self.rows.get(index)? {
            Row::Finding { instance, position, .. } => {
                ctx.instances.get(*instance)?.judgement.as_ref()?.findings.get(*position)
            }
            Row::Live { .. } => None,
        }
    }
}

impl Pane for Overview {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.several = ctx.several();
        self.heads = ctx
            .shown()
            .map(|(i, instance)| (i, head(instance, false, ctx.now_ms), head(instance, true, ctx.now_ms)))
            .collect();
        let mut ordered: Vec<(Severity, u8, Row)> = Vec::new();
        for (i, instance) in ctx.shown() {
            let Some(j) = &instance.judgement else { continue };
            for row in live(i, j) {
                let Row::Live { severity, .. } = &row else { continue };
                ordered.push((*severity, 0, row));
            }
            let wrong = j.findings.iter().enumerate().filter(|(_, f)| f.severity > Severity::Info);
            let mut folded: Vec<(usize, usize)> = Vec::new();
            let mut places: HashMap<_, usize> = HashMap::new();
            for (position, f) in wrong {
                // one line for what is wrong in one place, however many privileges it concerns
                let place = (f.code, &f.role, &f.schema, if f.role.is_some() { &None } else { &f.object });
                let room = folded.len() < LISTED;
                if let Some((_, alike)) = places.get(&place).and_then(|at| folded.get_mut(*at)) {
                    *alike += 1;
                } else if room {
                    places.insert(place, folded.len());
                    folded.push((position, 0));
                }
            }
            ordered.extend(folded.into_iter().filter_map(|(position, alike)| {
                Some((j.findings.get(position)?.severity, 1, Row::Finding { instance: i, position, alike }))
            }));
        }
        ordered.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.rows = ordered.into_iter().map(|(_, _, row)| row).collect();
        (0..self.rows.len())
            .filter_map(|index| {
                let (id, text) = match self.rows.get(index)? {
                    Row::Finding { instance, .. } => {
                        let f = self.finding(ctx, index)?;
                        (RowId(*instance, f.id.clone()), format!("{} {}", f.message, f.code))
                    }
                    Row::Live { instance, id, message, .. } => (RowId(*instance, id.clone()), message.clone()),
                };
                let place = match self.rows.get(index)? {
                    Row::Live { .. } => "Sessions",
                    Row::Finding { .. } => pane_of(self.finding(ctx, index)?.group).1,
                };
                let mut keys = vec![SortKey::Number(index as i64)];
                if self.several {
                    keys.push(SortKey::Number(id.0 as i64));
                }
                keys.extend([SortKey::Text(text.clone()), SortKey::Text(place.to_owned())]);
                Some(Entry { id, text, keys })
            })
            .collect()
    }

    fn columns(&self, _ctx: &Ctx<'_>) -> Vec<Column> {
        let plain = |c: Column| Column { sorts: false, ..c };
        let mut columns = vec![Column::left("", 1, 1, 0)];
        if self.several {
            columns.push(Column::left("instance", 6, 12, 1));
        }
        columns.push(plain(Column::left("What is wrong, worst first", 30, u16::MAX, 0)));
        columns.push(Column::left("look in", 8, 10, 1));
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let (instance, severity, message, alike, pane) = match self.rows.get(index) {
            None => return Vec::new(),
            Some(Row::Live { instance, severity, message, .. }) => {
                (*instance, *severity, message.as_str(), 0, "Sessions")
            }
            Some(Row::Finding { instance, alike, .. }) => match self.finding(ctx, index) {
                Some(f) => (*instance, f.severity, f.message.as_str(), *alike, pane_of(f.group).1),
                None => return Vec::new(),
            },
        };
        let mut cells = vec![Line(vec![Span::known(severity.glyph(), findings::tone(severity))])];
        if self.several {
            cells.push(Line::new(ctx.instances.get(instance).map_or("", |i| &i.name), Tone::Dim));
        }
        // the number comes first: the end of a long sentence may be cut off
        let more = if alike > 0 { Line::new(&format!("[{} alike] ", alike + 1), Tone::Dim) } else { Line::empty() };
        cells.push(more.and(message, Tone::Text));
        cells.push(Line(vec![Span::known(pane, Tone::Accent)]));
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, _width: u16) -> Vec<Line> {
        match self.rows.get(index) {
            Some(Row::Live { message, why, severity, .. }) => vec![
                Line(vec![Span::known(severity.glyph(), findings::tone(*severity)), Span::known(" ", Tone::Text)])
                    .and(message, Tone::Strong),
                Line(vec![Span::known("Why   ", Tone::Dim), Span::known(why, Tone::Text)]),
                Line(vec![Span::known("Do    Enter opens Sessions.", Tone::Dim)]),
            ],
            Some(Row::Finding { .. }) => self.finding(ctx, index).map(|f| findings::short(f, 7)).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        match self.rows.get(index) {
            Some(Row::Live { .. }) => Enter::Go { pane: "sessions", row: None },
            Some(Row::Finding { .. }) => match self.finding(ctx, index) {
                Some(finding) => Enter::Story(findings::story(finding)),
                None => Enter::Nothing("the finding is gone"),
            },
            None => Enter::Nothing("nothing is selected"),
        }
    }

    fn enter_word(&self) -> &'static str {
        "evidence"
    }

    fn fixes(&self, ctx: &Ctx<'_>, index: usize, _column: usize, _reach: Reach) -> Vec<String> {
        let finding = self.finding(ctx, index).filter(|f| f.fix.as_ref().is_some_and(|fix| !fix.is_empty()));
        finding.map(|f| f.id.clone()).into_iter().collect()
    }

    fn unfixed(&self, ctx: &Ctx<'_>, index: usize) -> Vec<String> {
        match self.rows.get(index) {
            Some(Row::Live { message, .. }) => vec![format!("{message} Sessions shows which, and ends them.")],
            Some(Row::Finding { .. }) => self.finding(ctx, index).map(findings::by_hand).into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn wants(&self, ctx: &Ctx<'_>, visible: &[usize], selected: Option<usize>) -> Vec<Want> {
        let rows = selected.iter().chain(visible).filter_map(|index| match self.rows.get(*index)? {
            Row::Finding { instance, .. } => Some((*instance, self.finding(ctx, *index)?)),
            Row::Live { .. } => None,
        });
        // of others, the statement is the same without names
        let few = |f: &Finding| f.objects_total.unwrap_or(f.objects.len() as u64) <= FEW_NAMES as u64;
        findings::names_wanted(ctx, rows.filter(|(_, f)| f.fix.is_some() && few(f)))
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, _column: usize) -> String {
        match self.rows.get(index) {
            Some(Row::Live { message, .. }) => message.clone(),
            Some(Row::Finding { .. }) => self.finding(ctx, index).map(|f| findings::story(f).copy).unwrap_or_default(),
            None => String::new(),
        }
    }

    fn top(&self, ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        // what was built from data, with the state of the link as it is now
        let mut lines = Vec::new();
        let several = self.heads.len() > 1;
        let tight = self.heads.len() > 3 || several && ctx.height < ROOMY;
        for (i, head, short) in &self.heads {
            if !lines.is_empty() && !tight {
                lines.push(Line::empty());
            }
            let lost = ctx.instances.get(*i).is_some_and(|n| matches!(n.link.state, LinkState::Lost { .. }));
            match ctx.instances.get(*i) {
                Some(instance) if lost || instance.judgement.is_none() => {
                    lines.extend(self::head(instance, tight, ctx.now_ms));
                }
                Some(_) | None => lines.extend(if tight { short } else { head }.iter().cloned()),
            }
            let command = ctx.instances.get(*i).and_then(|n| n.command.as_ref());
            if let Some(command) = command.filter(|_| ctx.height >= ROOMY) {
                lines.extend(shell(command, usize::from(width)));
            }
        }
        lines.push(Line::empty());
        if ctx.height >= ROOMY {
            // a margin of two cells on each side; what continues stands under the first value
            let room = usize::from(width).saturating_sub(4);
            lines = lines
                .iter()
                .flat_map(|l| if l.width() > room { hanging(l, room, LABEL) } else { vec![l.clone()] })
                .collect();
        } else {
            let room = usize::from(width).saturating_sub(4);
            lines = lines.iter().map(|l| whole(l, room)).collect();
        }
        lines
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        if ctx.shown().any(|(_, i)| i.judgement.is_none()) {
            return vec![Line::empty()];
        }
        let found = ctx.shown().filter_map(|(_, i)| i.judgement.as_ref()).flat_map(|j| j.findings.iter());
        let mut lines = match left_as_they_are(found) {
            None => vec![Line::new("Nothing is wrong.", Tone::Good)],
            Some(left) => vec![
                Line::new("Nothing is wrong but what the policy leaves as it is.", Tone::Text),
                Line::new(&format!("Left as it is: {left}. Findings lists them with the reasons."), Tone::Text),
            ],
        };
        if ctx.shown().any(|(_, i)| i.policy_name.is_none()) {
            lines.push(Line::new(
                "Without a policy only what is wrong for everybody is checked. `pgmoat policy derive` writes one from what is there.",
                Tone::Dim,
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        app::panes::sample::{Sample, ctx},
        domain::snapshot::Snapshot,
        plan::build,
        policy::checks::fixture::Fixture,
    };

    fn top(instances: &[Instance], width: u16) -> String {
        let mut pane = Overview::default();
        let ctx = ctx(instances, width);
        pane.load(&ctx);
        pane.top(&ctx, width).iter().map(|l| l.plain() + "\n").collect()
    }

    #[test]
    fn the_sql_of_a_finding_is_what_its_plan_runs() {
        let rules = "[[service]]\nname='s'\nschema='shop'\nrole='app'\ncreators=[]\n[[role]]\nname='reader'\n";
        let f = Fixture::new().role("app").role("reader").schema("shop", "app").table("shop", "t", "app");
        let f = f.table("shop", "u", "app").grant("shop.t", "reader", "SELECT").policy(rules);
        let shown = |f: Fixture| {
            let case = f.case();
            let j = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
            let shop = j.snapshot.catalog.schema_named("shop").unwrap().oid;
            let instances = [Instance { judgement: Some(Arc::new(j)), ..Sample::new().instance() }];
            let ctx = ctx(&instances, 120);
            let mut pane = Overview::default();
            let entries = pane.load(&ctx);
            let at = entries.iter().position(|e| e.id.1 == "grant-excess:reader:shop:table:SELECT").unwrap();
            assert_eq!(
                pane.wants(&ctx, &[at], None),
                [Want::Objects { instance: 0, schemas: vec![shop], beneath: false }]
            );
            let short: String = pane.inspector(&ctx, at, 0, 120).iter().map(|l| l.plain() + "\n").collect();
            let Enter::Story(story) = pane.enter(&ctx, at, 0) else { panic!("a story") };
            let j = instances[0].judgement.as_ref().unwrap();
            let plan = build::converge(j, &[entries[at].id.1.clone()]);
            (short, story.copy, plan.steps.into_iter().flat_map(|s| s.sql).collect::<Vec<_>>())
        };
        let (short, story, plan) = shown(f.clone());
        assert_eq!(plan, ["REVOKE SELECT ON TABLE shop.t FROM reader;"]);
        assert!(short.contains(&plan[0]) && story == plan[0], "{short}{story}");
        let (short, story, _) = shown(f.without_names());
        assert!(!short.contains("ALL TABLES") && short.contains("are being read"), "{short}");
        assert!(!story.contains("ALL TABLES") && story.contains("are being read"), "{story}");
    }

    #[test]
    fn uptime_goes_on_while_the_catalog_rests() {
        let mut instance = Sample::new().instance();
        let mut snapshot = Snapshot::clone(&instance.judgement.as_deref().unwrap().snapshot);
        let taken = snapshot.server.taken_at_us;
        Arc::make_mut(&mut snapshot.server).started_at_us = Some(taken - 60_000_000);
        snapshot.activity = Some(Arc::new(Activity { taken_at_us: taken + 3_540_000_000, ..Activity::default() }));
        instance.judgement = Some(Arc::new(Judgement::new(Arc::new(snapshot), None, Arc::default(), None)));
        let shown = top(&[instance], 120);
        assert!(shown.contains("up 1 h"), "an hour by the sessions' reading, a minute by the catalog's: {shown}");
    }

    #[test]
    fn what_the_policy_leaves_as_it_is_is_not_called_nothing() {
        let mut instance = Sample::new().instance();
        let say = |instance: &Instance| {
            let instances = std::slice::from_ref(instance);
            let ctx = ctx(instances, 120);
            Overview::default().empty(&ctx).iter().map(|l| l.plain() + "\n").collect::<String>()
        };
        let mut sample = Sample::new();
        sample.finding(Severity::Info, Some("s"), None, "Left.");
        let mut judgement = sample.judgement();
        instance.judgement = Some(Arc::new(Sample::new().judgement()));
        assert!(say(&instance).starts_with("Nothing is wrong.\n"));
        for f in Arc::make_mut(&mut judgement.findings) {
            f.left = Some(Severity::Critical);
        }
        instance.judgement = Some(Arc::new(judgement));
        assert!(say(&instance).contains("Left as it is: 1 critical."), "{}", say(&instance));
    }

    #[test]
    fn a_small_screen_shows_no_half_of_a_word() {
        let say = |words: &str| Span::new(words, Tone::Text);
        let line = Line(vec![
            say("  sessions   "),
            say("31 / 97 "),
            Span::new("▓▓▓░░░", Tone::Bar),
            say("   blocked 3 (4 m)"),
            say("   idle 1"),
        ]);
        assert_eq!(whole(&line, 60), line);
        assert_eq!(whole(&line, 48).plain(), "  sessions   31 / 97    blocked 3 (4 m)   idle 1");
        assert_eq!(whole(&line, 43).plain(), "  sessions   31 / 97    blocked 3 (4 m) …");
        assert_eq!(whole(&line, 30).plain(), "  sessions   31 / 97  …");
    }

    #[test]
    fn a_small_screen_shows_every_instance() {
        let instances = [Sample::new().instance(), Sample::new().instance(), Sample::new().instance()];
        let mut pane = Overview::default();
        let lines = |pane: &mut Overview, height| -> Vec<String> {
            let ctx = Ctx { height, ..ctx(&instances, 80) };
            pane.load(&ctx);
            pane.top(&ctx, 80).iter().map(Line::plain).collect()
        };
        let small = lines(&mut pane, 24);
        assert_eq!(small.iter().filter(|l| l.contains("· engarde")).count(), 3, "{small:#?}");
        assert_eq!(small.len(), 7, "two lines each, and one below: {small:#?}");
        assert!(lines(&mut pane, 40).len() > 12);
    }

    #[test]
    fn sizes_and_connections_are_counted_as_their_panes_count_them() {
        let mut sample = Sample::new();
        let (shop, catalog) = (
            sample.schema("shop", crate::app::panes::sample::POSTGRES, crate::domain::Acl::NULL),
            sample.schema("pg_catalog", crate::app::panes::sample::POSTGRES, crate::domain::Acl::NULL),
        );
        let size =
            |bytes| crate::domain::snapshot::SchemaSize { table_bytes: bytes, exact: true, ..Default::default() };
        sample.sizes.schemas = [(shop, size(1000)), (catalog, size(50_000))].into();
        sample.activity = Some(Activity { connections: 31, ..Activity::default() });
        let shown = top(&[sample.instance()], 120);
        assert!(shown.contains("shop 100 % of the schemas"), "{shown}");
        assert!(shown.contains("31 / 97 "), "{shown}");
    }

    #[test]
    fn the_command_for_a_shell_is_there_whole_and_a_shell_joins_its_lines() {
        let command = "pgmoat check engarde -c /var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/\
                       pgmoat-okehhy/demo/config.toml";
        for width in [120, 200] {
            let instance = Instance { command: Some(command.into()), ..Sample::new().instance() };
            let shown = top(&[instance], width);
            let at = shown.find("pgmoat check").unwrap_or_else(|| panic!("{shown}"));
            let joined = shown[at..].replace(" \\\n             ", " ");
            assert!(joined.starts_with(command), "{shown}");
            assert!(shown.lines().all(|l| l.chars().count() <= usize::from(width)), "{shown}");
        }
    }
}

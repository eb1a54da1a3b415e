//! Sessions: who is connected, who waits for whom, which service eats the connections. Blockers stand above those who
//! wait for them, as a tree; the rest follows by service. Ages are the server's.
//!
//! ```text
//!   34 of 100 connections · 2 blocked, longest 4 m 12 s · 1 idle in transaction, 11 m
//!   langflow: langflow_app 10/10 FULL · engarde: engarde_user 12/20
//!
//!   pid          role          service   state                 wait        tx age   query age  blocked by  query
//!   4711         engarde_user  engarde   idle in transaction               11 m                            update …
//!   ├─ 4712      sankore_user  sankore   active                row lock    4 m 12 s 4 m 12 s   4711        update …
//! ```

use std::collections::HashMap;

use crate::{
    app::{
        instance::Instance,
        panes::{
            Ctx, Enter, Entry, Pane, PaneSpec, RowId, SortKey,
            blocking::Forest,
            session_story::{self, wait_words},
        },
        prose::{self, Prose},
        sql_spans,
        view::{Column, Line, Span, Tone},
        wording,
    },
    domain::{
        link::LinkState,
        quote_ident,
        snapshot::{Activity, Session},
    },
    policy::{Limits, judgement::Judgement},
    text,
};

pub static SPEC: PaneSpec = PaneSpec {
    id: "sessions",
    title: "Sessions",
    doc: "Who is connected, who blocks whom, and how many connections each service uses of its limit.",
};

/// Characters of a query looked at for its cell.
const QUERY_CHARS: usize = 300;

/// See the module.
#[derive(Default)]
pub struct Sessions {
    rows: Vec<Row>,
    /// Lines above the table, unfolded: two for each instance.
    top: Vec<Line>,
}

/// One session of one instance, by position.
struct Row {
    instance: usize,
    session: usize,
    branch: String,
    service: Option<String>,
}

/// Services by role and by application name.
struct Services<'a> {
    by_role: HashMap<&'a str, &'a str>,
    by_application: HashMap<&'a str, &'a str>,
    database: &'a str,
}

impl<'a> Services<'a> {
    fn new(j: &'a Judgement) -> Services<'a> {
        let (mut by_role, mut by_application) = (HashMap::new(), HashMap::new());
        for service in j.policy.iter().flat_map(|p| &p.services) {
            by_role.entry(service.role.as_str()).or_insert(service.name.as_str());
            for application in &service.applications {
                by_application.entry(application.as_str()).or_insert(service.name.as_str());
            }
        }
        Services { by_role, by_application, database: &j.snapshot.server.database }
    }

    /// A declared application name tells more than a role, which may serve several services.
    fn of(&self, session: &Session) -> Option<&'a str> {
        if session.database.as_deref().is_some_and(|d| d != self.database) {
            return None;
        }
        let by_application = self.by_application.get(session.application.as_str());
        by_application.or_else(|| self.by_role.get(session.role.as_deref()?)).copied()
    }
}

/// Order of states among sessions of one service: those that work or hold something first.
fn rank(session: &Session) -> u8 {
    match session.state.as_deref() {
        Some("active" | "fastpath function call") => 0,
        Some(state) if state.starts_with("idle in transaction") => 1,
        Some("idle") => 3,
        Some(_) | None => 2,
    }
}

/// The tone of a state; an idle transaction turns red when it is older than the policy allows.
fn state_tone(session: &Session, limits: &Limits) -> Tone {
    match session.state.as_deref() {
        None => Tone::Unknown,
        Some("idle") => Tone::Dim,
        Some("idle in transaction (aborted)") => Tone::Error,
        Some("idle in transaction") => {
            let limit = i64::from(limits.idle_in_transaction_seconds) * 1000;
            if session.state_age_ms.or(session.transaction_age_ms).is_some_and(|ms| ms > limit) {
                Tone::Error
            } else {
                Tone::Warning
            }
        }
        Some(_) => Tone::Text,
    }
}

/// The states of `pg_stat_activity`, short enough for a cell; the inspector has the whole words.
fn state_word(state: &str) -> &str {
    match state {
        "idle in transaction" => "idle in tx",
        "idle in transaction (aborted)" => "failed tx",
        "fastpath function call" => "fastpath",
        "disabled" => "not tracked",
        other => other,
    }
}

fn is_hidden(session: &Session) -> bool {
    session.state.is_none()
}

/// An age, `?` where the session is hidden, nothing where there is none.
fn age_cell(session: &Session, ms: Option<i64>, limit_s: u32) -> Line {
    match ms {
        Some(ms) => {
            let over = limit_s > 0 && ms > i64::from(limit_s) * 1000;
            Line::new(&text::age(ms), if over { Tone::Error } else { Tone::Text })
        }
        None if is_hidden(session) => wording::unknown(),
        None => Line::empty(),
    }
}

fn is_running(session: &Session) -> bool {
    matches!(session.state.as_deref(), Some("active" | "fastpath function call"))
}

/// Pids that a session waits for; 0 is a transaction prepared for two-phase commit.
fn blocked_by(activity: &Activity, session: &Session) -> Line {
    if activity.locks_unknown && is_hidden(session) {
        return wording::unknown();
    }
    let words: Vec<String> = session
        .blocked_by
        .iter()
        .take(4)
        .map(|pid| if *pid == 0 { "a prepared transaction".to_owned() } else { pid.to_string() })
        .collect();
    if words.is_empty() { Line::empty() } else { Line::new(&words.join(", "), Tone::Error) }
}

impl Sessions {
    fn at<'a>(&'a self, ctx: &Ctx<'a>, index: usize) -> Option<(&'a Row, &'a Judgement, &'a Activity, &'a Session)> {
        let row = self.rows.get(index)?;
        let j = ctx.instances.get(row.instance)?.judgement.as_deref()?;
        let activity = j.snapshot.activity.as_deref()?;
        Some((row, j, activity, activity.sessions.get(row.session)?))
    }

    fn entry(&self, ctx: &Ctx<'_>, index: usize) -> Option<Entry> {
        let (row, _, _, session) = self.at(ctx, index)?;
        let text = |t: Option<&str>| SortKey::Text(t.unwrap_or_default().to_owned());
        let number = |n: Option<i64>| SortKey::Number(n.unwrap_or(-1));
        let running = is_running(session);
        let query = session.query.as_deref().unwrap_or_default();
        let short = query.char_indices().nth(QUERY_CHARS).map_or(query, |(at, _)| query.get(..at).unwrap_or(query));
        let mut keys = vec![
            SortKey::Number(i64::from(session.pid)),
            text(session.role.as_deref()),
            text(row.service.as_deref()),
            SortKey::Text(session.application.clone()),
            text(session.client.as_deref()),
            SortKey::Number(i64::from(rank(session))),
            text(session.wait.as_deref()),
            number(session.transaction_age_ms),
            number(session.query_age_ms.filter(|_| running)),
            SortKey::Number(session.blocked_by.len() as i64),
            SortKey::Text(short.to_owned()),
        ];
        if ctx.several() {
            keys.insert(0, SortKey::Number(row.instance as i64));
        }
        let words = [
            Some(session.application.as_str()),
            session.role.as_deref(),
            row.service.as_deref(),
            session.client.as_deref(),
            session.state.as_deref(),
            Some(short),
        ];
        let found: Vec<&str> = words.into_iter().flatten().collect();
        let start = session.backend_start_us.unwrap_or_default();
        Some(Entry {
            id: RowId(row.instance, format!("{}@{start}", session.pid)),
            text: format!("{} {}", session.pid, found.join(" ")),
            keys,
        })
    }
}

/// When a lost instance was last read: "12 s ago"; `None` for one that is there.
#[must_use]
pub fn last_read(instance: &Instance, now_ms: u64) -> Option<String> {
    let LinkState::Lost { since_ms, .. } = instance.link.state else { return None };
    instance.judgement.as_ref()?;
    let answered = instance.link.answered_at_ms.unwrap_or(since_ms);
    let ms = i64::try_from(now_ms.saturating_sub(answered)).unwrap_or(i64::MAX);
    Some(format!("{} ago", text::age(ms)))
}

/// The two lines of one instance: connections and trouble, then services against their limits.
fn summary(j: &Judgement, activity: &Activity, services: &Services<'_>) -> [Line; 2] {
    let server = &j.snapshot.server;
    let limits = j.policy.as_ref().map(|p| p.limits.clone()).unwrap_or_default();
    let percent = u64::from(activity.connections) * 100 / u64::from(server.usable_connections());
    let tone = match percent {
        p if p >= 95 => Tone::Error,
        p if p >= u64::from(limits.connections_percent) => Tone::Warning,
        _ => Tone::Text,
    };
    let mut first =
        Prose::new().and(&format!("{} connections", server.connections_of(activity.connections, "of")), tone);
    let blocked: Vec<&Session> = activity.sessions.iter().filter(|s| !s.blocked_by.is_empty()).collect();
    if let Some(longest) = blocked.iter().map(|s| s.query_age_ms).max() {
        let said = format!("{} blocked", blocked.len());
        first = first.dim(" · ").and(&said, Tone::Error);
        if let Some(ms) = longest {
            first = first.and(&format!(", longest {}", text::age(ms)), Tone::Error);
        }
    }
    let in_transaction = |s: &&Session| s.state.as_deref().is_some_and(|s| s.starts_with("idle in transaction"));
    let idle: Vec<&Session> = activity.sessions.iter().filter(in_transaction).collect();
    if let Some(longest) = idle.iter().map(|s| s.state_age_ms.or(s.transaction_age_ms)).max() {
        first = first.dim(" · ").and(&format!("{} idle in transaction", idle.len()), Tone::Warning);
        if let Some(ms) = longest {
            first = first.and(&format!(", longest {}", text::age(ms)), Tone::Warning);
        }
    }
    [first.line(), totals(j, activity, services)]
}

/// Connections by service and role, the fullest first.
fn totals(j: &Judgement, activity: &Activity, services: &Services<'_>) -> Line {
    let mut used: HashMap<&str, u32> = HashMap::new();
    for role in activity.sessions.iter().filter_map(|s| s.role.as_deref()) {
        *used.entry(role).or_default() += 1;
    }
    let mut groups: Vec<(&str, u32, Option<u32>)> = used
        .into_iter()
        .filter_map(|(name, n)| {
            let role = j.matrix.index.role_named(name).and_then(|at| j.snapshot.catalog.roles.get(at));
            let limit = role.filter(|r| !r.superuser).and_then(|r| u32::try_from(r.connection_limit).ok());
            (limit.is_some() || services.by_role.contains_key(name)).then_some((name, n, limit))
        })
        .collect();
    let full = |n: u32, limit: Option<u32>| limit.map_or(0, |l| u64::from(n) * 1000 / u64::from(l.max(1)));
    groups.sort_by_key(|(name, n, limit)| (std::cmp::Reverse((full(*n, *limit), *n)), *name));
    let mut prose = Prose::new();
    for (i, (role, n, limit)) in groups.iter().take(12).enumerate() {
        if i > 0 {
            prose = prose.dim(" · ");
        }
        if let Some(service) = services.by_role.get(role).filter(|s| *s != role) {
            prose = prose.and(service, Tone::Dim).dim(": ");
        }
        prose = prose.name(role);
        prose = match limit {
            Some(limit) if n >= limit => prose.and(&format!(" {n}/{limit} FULL"), Tone::Error),
            Some(limit) if full(*n, Some(*limit)) >= 800 => prose.and(&format!(" {n}/{limit}"), Tone::Warning),
            Some(limit) => prose.text(&format!(" {n}/{limit}")),
            None => prose.text(&format!(" {n}")),
        };
    }
    prose.line()
}

/// Why states are `?`, and the statement that shows them.
#[must_use]
pub fn hidden_words(j: &Judgement) -> Line {
    let grant = format!("GRANT pg_monitor TO {};", quote_ident(&j.snapshot.server.current_user));
    Prose::new()
        .toned("?", Tone::Unknown)
        .say(" What other roles do is hidden from ")
        .name(&j.snapshot.server.current_user)
        .say(". An administrator can show it: ")
        .and(&grant, Tone::SqlKeyword)
        .line()
}

impl Pane for Sessions {
    fn spec(&self) -> &'static PaneSpec {
        &SPEC
    }

    fn load(&mut self, ctx: &Ctx<'_>) -> Vec<Entry> {
        self.rows.clear();
        self.top.clear();
        let mut trees = Vec::new();
        let mut rest = Vec::new();
        for (instance, of) in ctx.shown() {
            let Some(j) = of.judgement.as_deref() else { continue };
            let Some(activity) = j.snapshot.activity.as_deref() else { continue };
            let services = Services::new(j);
            let [first, second] = summary(j, activity, &services);
            let mut line = if ctx.several() { Prose::new().name(&of.name).say("  ").line() } else { Line::empty() };
            line.0.extend(first.0);
            self.top.push(line);
            if !second.0.is_empty() {
                self.top.push(second);
            }
            if activity.sessions.iter().any(|s| is_hidden(s) && !s.own) {
                self.top.push(hidden_words(j));
            }
            let row = |session: usize, branch: String| {
                let service = activity.sessions.get(session).and_then(|s| services.of(s)).map(str::to_owned);
                Row { instance, session, branch, service }
            };
            let forest = Forest::new(&activity.sessions);
            trees.extend(forest.nodes.into_iter().map(|node| row(node.session, node.branch)));
            let mut free: Vec<Row> = forest.free.into_iter().map(|session| row(session, String::new())).collect();
            free.sort_by_cached_key(|row| {
                let session = activity.sessions.get(row.session);
                let (rank, age) = session.map_or((9, 0), |s| (rank(s), s.transaction_age_ms.unwrap_or(0)));
                let own = session.is_some_and(|s| s.own);
                (own, row.service.is_none(), row.service.clone(), rank, std::cmp::Reverse(age), row.session)
            });
            rest.extend(free);
        }
        self.rows = trees;
        self.rows.extend(rest);
        (0..self.rows.len()).filter_map(|i| self.entry(ctx, i)).collect()
    }

    fn columns(&self, ctx: &Ctx<'_>) -> Vec<Column> {
        // a pid stands whole behind its branch
        let narrow = ctx.width < 100;
        let digits = |row: &Row| {
            let found = ctx.instances.get(row.instance).and_then(|i| i.judgement.as_ref()?.snapshot.activity.as_ref());
            let pid = found.and_then(|a| a.sessions.get(row.session)).map_or(0, |s| s.pid);
            crate::text::width(&row.branch) + pid.to_string().len()
        };
        let pid = u16::try_from(self.rows.iter().map(digits).max().unwrap_or(0))
            .unwrap_or(22)
            .clamp(if narrow { 9 } else { 13 }, if narrow { 16 } else { 22 });
        let mut columns = vec![
            Column { frozen: true, ..Column::left("pid", pid, 22, 0) },
            Column::left("role", 12, 20, 0),
            Column::left("service", 8, 18, 5),
            Column::left("application", 10, 16, 8),
            Column::left("client", 9, 15, 9),
            Column::left("state", 10, 14, 0),
            Column::left("wait", 10, 18, 4),
            Column::right("tx age", 8, 10, 0),
            Column::right("query age", 9, 10, 6),
            Column::left("blocked by", if narrow { 8 } else { 14 }, 22, 3),
            Column::left("query", if narrow { 10 } else { 24 }, u16::MAX, 1),
        ];
        if ctx.several() {
            columns.insert(0, Column { frozen: true, ..Column::left("instance", 8, 16, 2) });
        }
        columns
    }

    fn cells(&self, ctx: &Ctx<'_>, index: usize) -> Vec<Line> {
        let Some((row, j, activity, session)) = self.at(ctx, index) else { return Vec::new() };
        let limits = j.policy.as_ref().map(|p| p.limits.clone()).unwrap_or_default();
        let elsewhere = session.database.as_deref().filter(|d| *d != j.snapshot.server.database);
        let running = is_running(session);
        let mut query = match session.query.as_deref() {
            Some(query) => sql_spans::one_line(query, QUERY_CHARS),
            None => wording::unknown(),
        };
        if !running && session.query.is_some() {
            query.0.iter_mut().for_each(|span| span.tone = Tone::Dim);
        }
        let mut pid = Line(vec![Span::new(&row.branch, Tone::Dim)]);
        let in_tree = !row.branch.is_empty() || !session.blocked_by.is_empty();
        pid.0.push(Span::new(&session.pid.to_string(), if in_tree { Tone::Warning } else { Tone::Strong }));
        let mut cells = vec![
            pid,
            session.role.as_deref().map_or_else(wording::unknown, wording::plain),
            match (&row.service, elsewhere) {
                (Some(service), _) => wording::plain(service),
                (None, Some(database)) => Line::new(&format!("in {database}"), Tone::Dim),
                (None, None) => Line(vec![Span::known("–", Tone::Dim)]),
            },
            wording::plain(&session.application),
            session.client.as_deref().map_or_else(
                || {
                    Line(vec![if is_hidden(session) {
                        Span::known("?", Tone::Unknown)
                    } else {
                        Span::known("local", Tone::Dim)
                    }])
                },
                |client| Line::new(client, Tone::Dim),
            ),
            session
                .state
                .as_deref()
                .map_or_else(wording::unknown, |state| Line::new(state_word(state), state_tone(session, &limits))),
            match wait_words(session) {
                Some((short, _)) => {
                    let lock = session.wait_type.as_deref() == Some("Lock");
                    Line::new(&short, if lock { Tone::Error } else { Tone::Dim })
                }
                None if is_hidden(session) => wording::unknown(),
                None => Line::empty(),
            },
            age_cell(session, session.transaction_age_ms, limits.idle_in_transaction_seconds),
            age_cell(session, session.query_age_ms.filter(|_| running), limits.long_query_seconds),
            blocked_by(activity, session),
            query,
        ];
        if session.own {
            cells.iter_mut().flat_map(|cell| &mut cell.0).for_each(|span| span.tone = Tone::Dim);
        }
        if ctx.several() {
            cells.insert(0, wording::plain(ctx.instances.get(row.instance).map_or("", |i| i.name.as_str())));
        }
        cells
    }

    fn inspector(&self, ctx: &Ctx<'_>, index: usize, _column: usize, width: u16) -> Vec<Line> {
        let Some((row, j, activity, session)) = self.at(ctx, index) else { return Vec::new() };
        let mut lines = session_story::blocking(j, activity, session);
        lines.push(session_story::what_it_is(j, session, row.service.as_deref()));
        lines.extend(session_story::doing(session));
        if is_hidden(session) && !session.own {
            lines.push(hidden_words(j));
        }
        if let Some(query) = session.query.as_deref().filter(|q| !q.trim().is_empty()) {
            let label = if is_running(session) { "running: " } else { "last:    " };
            let mut line = Line(vec![Span::known(label, Tone::Dim)]);
            line.0.extend(sql_spans::one_line(query, 600).0);
            lines.push(line);
        }
        prose::block(&lines, width, 8)
    }

    fn enter(&mut self, ctx: &Ctx<'_>, index: usize, _column: usize) -> Enter {
        let Some((row, j, activity, session)) = self.at(ctx, index) else {
            return Enter::Nothing("nothing is selected");
        };
        Enter::Story(session_story::story(j, activity, session, row.service.as_deref()))
    }

    fn enter_word(&self) -> &'static str {
        "whole query"
    }

    fn copy(&self, ctx: &Ctx<'_>, index: usize, column: usize) -> String {
        let Some((_, _, _, session)) = self.at(ctx, index) else { return String::new() };
        let _ = column;
        session.query.clone().unwrap_or_else(|| session.pid.to_string())
    }

    fn top(&self, ctx: &Ctx<'_>, width: u16) -> Vec<Line> {
        let each = if width < 100 { 1 } else { 2 };
        let old = ctx.shown().filter_map(|(_, instance)| last_read(instance, ctx.now_ms));
        let old: Vec<Line> =
            old.take(1).map(|ago| Line::new(&format!("As it was {ago}, ages too."), Tone::Warning)).collect();
        old.iter()
            .chain(&self.top)
            .flat_map(|line| prose::block(std::slice::from_ref(line), width, each))
            .take(6)
            .collect()
    }

    fn empty(&self, ctx: &Ctx<'_>) -> Vec<Line> {
        let read = ctx.shown().any(|(_, i)| i.judgement.as_ref().is_some_and(|j| j.snapshot.activity.is_some()));
        let said = if read {
            "Nobody is connected, this console aside."
        } else if ctx.shown().all(|(_, i)| i.recorded) {
            "This recording holds no sessions: they are of the moment and were not written down."
        } else {
            "Reading the sessions …"
        };
        prose::block(&[Line(vec![Span::known(said, Tone::Dim)])], ctx.width, 4)
    }

    fn badge(&self, ctx: &Ctx<'_>) -> Option<u64> {
        let judgements = ctx.shown().filter_map(|(_, i)| i.judgement.as_deref());
        let sessions = judgements.filter_map(|j| j.snapshot.activity.as_deref()).flat_map(|a| &a.sessions);
        let blocked = sessions.filter(|s| !s.blocked_by.is_empty()).count();
        (blocked > 0).then_some(blocked as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::{HOSTILE, Sample, ctx, holds_the_rules},
        domain::snapshot::{Prepared, WaitedLock},
    };

    fn incident() -> Sample {
        let mut sample = Sample::new();
        let app = sample.role("langflow_app");
        sample.role("engarde_user");
        sample.role("sankore_user");
        sample.edit_role(app, |r| r.connection_limit = 2);
        sample.service("langflow", "langflow_app");
        sample.service("engarde", "engarde_user").applications = vec!["worker".into()];
        sample.session(50, "postgres", |s| s.own = true);
        sample.session(20, "langflow_app", |s| s.state = Some("idle".into()));
        sample.session(21, "langflow_app", |_| {});
        sample.session(30, "engarde_user", |s| {
            s.state = Some("idle in transaction".into());
            s.state_age_ms = Some(660_000);
            s.transaction_age_ms = Some(661_000);
            s.query = Some("update t\nset a = 'x'".into());
        });
        sample.session(40, "sankore_user", |s| {
            s.blocked_by = vec![30];
            s.wait_type = Some("Lock".into());
            s.wait = Some("transactionid".into());
            s.query_age_ms = Some(252_000);
        });
        sample.activity.as_mut().unwrap().connections = 34;
        sample
    }

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn blockers_come_first_with_their_waiters_below_and_own_sessions_last() {
        let instances = [incident().instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Sessions::default();
        let entries = pane.load(&ctx);
        let pids: Vec<String> = (0..entries.len()).map(|i| pane.cells(&ctx, i)[0].plain()).collect();
        assert_eq!(pids, ["30", "└─ 40", "21", "20", "50"]);
        let blocked = plain(&pane.cells(&ctx, 1));
        assert_eq!(blocked[6], "row lock");
        assert_eq!(blocked[9], "30");
        assert_eq!(plain(&pane.cells(&ctx, 0))[10], "update t set a = 'x'");
        assert!(pane.cells(&ctx, 4).iter().flat_map(|c| &c.0).all(|s| s.tone == Tone::Dim), "own sessions are dim");
        assert_eq!(pane.badge(&ctx), Some(1));
    }

    #[test]
    fn the_top_says_who_is_full_and_how_long_somebody_waits() {
        let instances = [incident().instance()];
        let mut pane = Sessions::default();
        pane.load(&ctx(&instances, 160));
        let top = plain(&pane.top(&ctx(&instances, 160), 160));
        assert_eq!(top[0], "34 of 97 connections · 1 blocked, longest 4 m 12 s · 1 idle in transaction, longest 11 m");
        assert_eq!(top[1], "langflow: langflow_app 2/2 FULL · engarde: engarde_user 1");
        let mut full = incident();
        full.activity.as_mut().unwrap().connections = 98;
        let instances = [full.instance()];
        pane.load(&ctx(&instances, 160));
        let top = plain(&pane.top(&ctx(&instances, 160), 160));
        assert!(top[0].starts_with("97 of 97 (and 1 of 3 reserved) connections · "), "{top:?}");
    }

    #[test]
    fn ages_of_a_lost_server_say_when_they_were_read() {
        let mut instance = incident().instance();
        instance.link.answered_at_ms = Some(1000);
        instance.link.state = LinkState::Lost { since_ms: 4000, reason: "x".into(), remedy: None, next_try_ms: 90_000 };
        let instances = [instance];
        let ctx = Ctx { now_ms: 63_000, ..ctx(&instances, 160) };
        let mut pane = Sessions::default();
        pane.load(&ctx);
        assert_eq!(plain(&pane.top(&ctx, 160))[0], "As it was 1 m 2 s ago, ages too.");
    }

    /// The queue for one row: 41 waits for 30's transaction, 42 for its turn behind 41.
    #[test]
    fn ending_one_that_waits_frees_nobody_for_certain() {
        let mut sample = incident();
        sample.session(41, "engarde_user", |s| s.blocked_by = vec![30]);
        sample.session(42, "sankore_user", |s| s.blocked_by = vec![41]);
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 300);
        let mut pane = Sessions::default();
        let entries = pane.load(&ctx);
        let at = entries.iter().position(|e| e.id.1.starts_with("41@")).unwrap();
        let said = plain(&pane.inspector(&ctx, at, 0, 300)).join(" ");
        assert!(!said.contains("at once"), "{said}");
        assert!(
            said.contains("But it waits itself: if it ended, 42 (sankore_user, active for 1.0 s) would move up"),
            "{said}"
        );
        assert!(said.contains("end who is at the front: 30 (engarde_user, idle in transaction for 11 m)."), "{said}");
        let Enter::Story(story) = pane.enter(&ctx, at, 0) else { panic!("a story") };
        let lines = plain(&story.lines).join("\n");
        assert!(lines.contains("  moves up: 42") && lines.contains("to be ended: 30"), "{lines}");
    }

    #[test]
    fn a_lock_has_its_mode_and_table_and_a_prepared_transaction_its_way_out() {
        let mut sample = incident();
        let schema = sample.schema("shop", crate::app::panes::sample::POSTGRES, crate::domain::Acl::NULL);
        let table = sample.table(schema, "Orders", crate::app::panes::sample::POSTGRES, crate::domain::Acl::NULL);
        sample.session(44, "sankore_user", |s| {
            s.blocked_by = vec![0];
            (s.wait_type, s.wait) = (Some("Lock".into()), Some("relation".into()));
            s.lock = Some(WaitedLock { mode: "ShareRowExclusiveLock".into(), relation: Some(table), name: None });
            s.prepared = vec![Prepared {
                gid: "it's".into(),
                owner: "app".into(),
                database: "engarde".into(),
                age_ms: Some(60_000),
            }];
        });
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 300);
        let mut pane = Sessions::default();
        let entries = pane.load(&ctx);
        let at = entries.iter().position(|e| e.id.1.starts_with("44@")).unwrap();
        let said = plain(&pane.inspector(&ctx, at, 0, 300)).join(" ");
        assert!(
            said.contains("for a SHARE ROW EXCLUSIVE lock on shop.\"Orders\"; held by a transaction prepared"),
            "{said}"
        );
        assert!(said.contains("'it''s' of app in engarde, prepared 1 m ago"), "{said}");
        assert!(said.contains("ROLLBACK PREPARED 'it''s'"), "{said}");
    }

    #[test]
    fn the_inspector_says_who_is_freed() {
        let instances = [incident().instance()];
        let ctx = ctx(&instances, 200);
        let mut pane = Sessions::default();
        pane.load(&ctx);
        let blocker = plain(&pane.inspector(&ctx, 0, 0, 200));
        let freed = "✖ It holds up 1 session. If it ended, 40 (sankore_user, active for 4 m 12 s) would go on at once.";
        assert_eq!(blocker[0], freed);
        assert!(blocker[2].starts_with("It has done nothing for 11 m inside an open transaction"), "{blocker:?}");
        let waiter = plain(&pane.inspector(&ctx, 1, 0, 200));
        assert!(waiter[0].starts_with("✖ It waits, for up to 4 m 12 s, for another transaction to end"), "{waiter:?}");
        assert!(waiter.join(" ").contains("held by 30 (engarde_user, idle in transaction for 11 m)"), "{waiter:?}");
        let Enter::Story(story) = pane.enter(&ctx, 0, 0) else { panic!("a story") };
        let lines = plain(&story.lines);
        assert!(lines.contains(&"  goes on at once: 40 (sankore_user, active for 4 m 12 s)".to_owned()), "{lines:#?}");
        assert!(lines.ends_with(&["update t".to_owned(), "set a = 'x'".to_owned()]), "{lines:#?}");
        assert_eq!(story.copy, "update t\nset a = 'x'");
    }

    #[test]
    fn what_is_hidden_is_a_question_mark_and_names_the_grant() {
        let mut sample = incident();
        sample.server.current_user = "Monitor".into();
        sample.session(60, "langflow_app", |s| {
            s.state = None;
            s.query = None;
            s.transaction_age_ms = None;
            s.query_age_ms = None;
            s.client = None;
        });
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 200);
        let mut pane = Sessions::default();
        let entries = pane.load(&ctx);
        let at = entries.iter().position(|e| e.id.1.starts_with("60@")).unwrap();
        let cells = plain(&pane.cells(&ctx, at));
        assert_eq!([&cells[4], &cells[5], &cells[6], &cells[7], &cells[10]], ["?", "?", "?", "?", "?"]);
        assert_eq!(cells[9], "", "pg_locks is open to everybody: it waits for no lock");
        let said = plain(&pane.inspector(&ctx, at, 0, 200)).join(" ");
        assert!(said.contains("GRANT pg_monitor TO \"Monitor\";"), "{said}");
    }

    #[test]
    fn applications_decide_the_service_before_roles() {
        let mut sample = incident();
        sample.session(70, "langflow_app", |s| s.application = "worker".into());
        sample.session(71, "langflow_app", |s| s.database = Some("other".into()));
        let instances = [sample.instance()];
        let ctx = ctx(&instances, 160);
        let mut pane = Sessions::default();
        let entries = pane.load(&ctx);
        let service = |pid: &str| {
            let at = entries.iter().position(|e| e.id.1.starts_with(pid)).unwrap();
            pane.cells(&ctx, at)[2].plain()
        };
        assert_eq!(service("70@"), "engarde");
        assert_eq!(service("71@"), "in other");
        assert_eq!(service("40@"), "–");
    }

    #[test]
    fn hostile_names_and_both_widths_hold() {
        let mut sample = incident();
        for (i, name) in HOSTILE.iter().enumerate() {
            let role = sample.role(name);
            sample.edit_role(role, |r| r.connection_limit = 1);
            sample.session(100 + i as i32, name, |s| {
                s.application = (*name).into();
                s.client = Some((*name).into());
                s.query = Some((*name).into());
                s.wait_type = Some((*name).into());
                s.wait = Some((*name).into());
                s.blocked_by = vec![30, 99 + i as i32, 0];
            });
        }
        let instances = [sample.instance()];
        holds_the_rules(&mut Sessions::default(), &instances);
        holds_the_rules(&mut Sessions::default(), &[incident().instance(), incident().instance()]);
    }
}

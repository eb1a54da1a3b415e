//! A session told in sentences: what it waits for, whom it holds up, what ending it would free. Used by the pane
//! Sessions for its inspector and for Enter.

use crate::{
    app::{
        panes::{
            Story,
            blocking::{Freed, freed, front},
            sessions::hidden_words,
        },
        prose::Prose,
        sql_spans,
        view::{Line, Span, Tone},
    },
    domain::{
        quote_ident,
        snapshot::{Activity, Session},
    },
    policy::judgement::Judgement,
    text,
};

/// Lines of a query in a story.
const QUERY_LINES: usize = 2000;

/// What a session waits for: short for a cell, long for a sentence. Names of wait events are those of the manual,
/// "Wait Events of Type Lock"; others are shown as the server names them. `None` when it waits for nothing, or only for
/// its client.
#[must_use]
pub fn wait_words(session: &Session) -> Option<(String, String)> {
    let (kind, event) = (session.wait_type.as_deref()?, session.wait.as_deref().unwrap_or_default());
    let both = |short: &str, long: &str| Some((short.to_owned(), long.to_owned()));
    match (kind, event) {
        ("Lock", "relation") => both("table lock", "a lock on a table"),
        ("Lock", "transactionid") => {
            both("row lock", "another transaction to end, because of a row both want to change")
        }
        ("Lock", "tuple") => both("row lock", "its turn to change a row that several want to change"),
        ("Lock", "virtualxid") => both("transaction", "another transaction to end"),
        ("Lock", "advisory") => both("advisory lock", "an advisory lock, which an application asked for"),
        ("Lock", "object") => both("object lock", "a lock on a schema, role or other object"),
        ("Lock", "extend") => both("table growth", "its turn to extend a table"),
        ("Lock", other) => Some((format!("lock: {other}"), format!("a lock of the kind {other}"))),
        ("Client", "ClientRead") if !is_active(session) => None,
        ("Client", "ClientRead") => both("client", "data from its client"),
        ("Client", "ClientWrite") => both("client", "its client to take the data"),
        ("Activity", _) => None,
        (kind, event) => Some((format!("{kind}: {event}"), format!("{event} ({kind})"))),
    }
}

/// The same, with the lock's mode and its relation where both are known: "ACCESS EXCLUSIVE lock on public.t".
#[must_use]
pub fn waited_words(j: &Judgement, session: &Session) -> Option<(String, String)> {
    let (short, long) = wait_words(session)?;
    let Some(lock) = session.lock.as_ref().filter(|_| session.wait_type.as_deref() == Some("Lock")) else {
        return Some((short, long));
    };
    let known = lock.name.as_ref().map(|(schema, name)| (schema.as_str(), name.as_str()));
    let name = known.or_else(|| j.snapshot.relation_name(lock.relation?));
    let name = match (name, lock.relation) {
        (Some((schema, name)), _) => format!("{}.{}", quote_ident(schema), quote_ident(name)),
        (None, Some(oid)) => format!("the relation with oid {oid}"),
        (None, None) => return Some((short, long)),
    };
    Some(match session.wait.as_deref() {
        Some("relation") => {
            let mode = lock_mode(&lock.mode);
            (short, format!("{} {mode} lock on {name}", if mode.starts_with(['A', 'E']) { "an" } else { "a" }))
        }
        Some("tuple") => (short, format!("its turn to change a row of {name} that several want to change")),
        _ => (short, format!("{long} ({name})")),
    })
}

/// `AccessExclusiveLock` as the manual and `LOCK TABLE` write it: ACCESS EXCLUSIVE.
fn lock_mode(mode: &str) -> String {
    let mut words = String::new();
    for c in mode.strip_suffix("Lock").unwrap_or(mode).chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_uppercase());
    }
    words
}

/// Prepared transactions that hold a session up, and how they are ended: one line each.
#[must_use]
pub fn prepared_words(session: &Session) -> Vec<String> {
    session
        .prepared
        .iter()
        .map(|p| {
            let gid = format!("'{}'", p.gid.replace('\'', "''"));
            let age = p.age_ms.map_or_else(String::new, |ms| format!(", prepared {} ago", text::age(ms)));
            format!(
                "prepared transaction {gid} of {} in {}{age} holds it: COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid} there, as that role or a superuser",
                p.owner, p.database
            )
        })
        .collect()
}

fn is_active(session: &Session) -> bool {
    session.state.as_deref() == Some("active")
}

/// `4711 (engarde_user, idle in transaction for 11 m)`
fn named(prose: Prose, activity: &Activity, pid: i32) -> Prose {
    if pid == 0 {
        return prose.say("a transaction prepared for two-phase commit (see pg_prepared_xacts)");
    }
    let prose = prose.and(&pid.to_string(), Tone::Strong);
    let Some(session) = activity.sessions.iter().find(|s| s.pid == pid) else {
        return prose.dim(" (not to be seen)");
    };
    let mut prose = prose.say(" (").and(session.role.as_deref().unwrap_or("?"), Tone::Strong);
    if let Some(state) = session.state.as_deref() {
        prose = prose.say(", ").text(state);
        let age = if is_active(session) { session.query_age_ms } else { session.state_age_ms };
        if let Some(ms) = age {
            prose = prose.text(&format!(" for {}", text::age(ms)));
        }
    }
    prose.say(")")
}

fn named_all(mut prose: Prose, activity: &Activity, pids: &[i32], most: usize) -> Prose {
    for (i, pid) in pids.iter().take(most).enumerate() {
        prose = named(prose.say(if i > 0 { ", " } else { "" }), activity, *pid);
    }
    if pids.len() > most { prose.text(&format!(" and {} more", pids.len() - most)) } else { prose }
}

/// Whom it waits for and whom it holds up; nothing when neither.
#[must_use]
pub fn blocking(j: &Judgement, activity: &Activity, session: &Session) -> Vec<Line> {
    let mut lines = Vec::new();
    if !session.blocked_by.is_empty() {
        let mut prose = Prose::new().toned("✖ It waits", Tone::Error);
        if let Some(ms) = session.query_age_ms {
            prose = prose.and(&format!(", for up to {},", text::age(ms)), Tone::Error);
        }
        let what = waited_words(j, session).map_or_else(|| "a lock".to_owned(), |(_, long)| long);
        prose = prose.text(&format!(" for {what}; held by "));
        lines.push(named_all(prose, activity, &session.blocked_by, 3).say(".").line());
        lines.extend(prepared_words(session).iter().map(|words| Line::new(&format!("The {words}."), Tone::Warning)));
    }
    let held = freed(&activity.sessions, session.pid);
    let waiting = held.at_once.len() + held.still.len() + held.behind.len();
    if waiting > 0 {
        let said = format!("✖ It holds up {}.", text::count(waiting as u64, "session", "sessions"));
        let prose = Prose::new().and(&said, Tone::Error);
        lines.push(if session.blocked_by.is_empty() {
            freed_words(prose.say(" If it ended, "), activity, &held, 3).line()
        } else {
            queued_words(prose, activity, session, &held).line()
        });
    }
    lines
}

fn freed_words(mut prose: Prose, activity: &Activity, held: &Freed, most: usize) -> Prose {
    prose = if held.at_once.is_empty() {
        prose.say("nobody would go on at once")
    } else {
        named_all(prose, activity, &held.at_once, most).say(" would go on at once")
    };
    if !held.still.is_empty() {
        prose = named_all(prose.say("; "), activity, &held.still, most).say(" would still wait for others");
    }
    if !held.behind.is_empty() {
        let said = format!("; {} behind them", text::count(held.behind.len() as u64, "more waits", "more wait"));
        prose = prose.text(&said);
    }
    prose.say(".")
}

/// What becomes of those behind one that waits itself: they take its place in the queue, which frees nobody for certain.
fn queued_words(prose: Prose, activity: &Activity, session: &Session, held: &Freed) -> Prose {
    let next: Vec<i32> = held.at_once.iter().chain(&held.still).copied().collect();
    let mut prose = named_all(prose.say(" But it waits itself: if it ended, "), activity, &next, 3);
    prose = prose.say(" would move up, and may wait in turn for ");
    prose = named_all(prose, activity, &session.blocked_by, 3).say(".");
    match front(&activity.sessions, session.pid).as_slice() {
        [] => prose.say(" They wait for each other in a circle, which the server breaks."),
        ahead => named_all(prose.say(" To free them, end who is at the front: "), activity, ahead, 3).say("."),
    }
}

/// "4711: engarde_user of service engarde, application main, from 10.0.0.1, connected for 3 h."
#[must_use]
pub fn what_it_is(j: &Judgement, session: &Session, service: Option<&str>) -> Line {
    let mut prose = Prose::new().and(&session.pid.to_string(), Tone::Strong).say(": ");
    prose = match session.role.as_deref() {
        Some(role) => prose.name(role),
        None => prose.toned("a role this login may not see", Tone::Unknown),
    };
    if let Some(service) = service {
        prose = prose.say(" of service ").name(service);
    }
    if let Some(database) = session.database.as_deref().filter(|d| *d != j.snapshot.server.database) {
        prose = prose.say(", in database ").name(database);
    }
    if !session.application.is_empty() {
        prose = prose.say(", application ").name(&session.application);
    }
    if let Some(client) = session.client.as_deref() {
        prose = prose.say(", from ").name(client);
    }
    if let Some(ms) = session.backend_age_ms {
        prose = prose.text(&format!(", connected for {}", text::age(ms)));
    }
    if session.own {
        prose = prose.dim("; it is this console's own");
    }
    prose.say(".").line()
}

/// What it is doing and since when.
#[must_use]
pub fn doing(session: &Session) -> Option<Line> {
    let state = session.state.as_deref()?;
    let since = |ms: Option<i64>| ms.map_or_else(String::new, |ms| format!(" for {}", text::age(ms)));
    let mut prose = match state {
        "active" => Prose::new().text(&format!("Its statement has been running{}", since(session.query_age_ms))),
        "idle" => return Some(Line::new(&format!("It has been idle{}, outside any transaction.", since(session.state_age_ms)), Tone::Text)),
        "idle in transaction" => Prose::new().and(
            &format!(
                "It has done nothing{} inside an open transaction: what it locked stays locked, and VACUUM cannot clean behind it",
                since(session.state_age_ms)
            ),
            Tone::Warning,
        ),
        "idle in transaction (aborted)" => Prose::new().and(
            &format!("Its transaction failed and was not ended{}: the application must roll back", since(session.state_age_ms)),
            Tone::Warning,
        ),
        other => Prose::new().say("State: ").text(other).text(&since(session.state_age_ms)),
    };
    if let Some(ms) = session.transaction_age_ms {
        prose = prose.text(&format!("; its transaction began {} ago", text::age(ms)));
    }
    if let Some((_, long)) = wait_words(session).filter(|_| session.blocked_by.is_empty()) {
        prose = prose.text(&format!("; it waits for {long}"));
    }
    Some(prose.say(".").line())
}

/// Everything about one session, its whole query included.
#[must_use]
pub fn story(j: &Judgement, activity: &Activity, session: &Session, service: Option<&str>) -> Story {
    let heading = |text: &'static str| Line(vec![Span::known(text, Tone::Title)]);
    let mut lines = vec![what_it_is(j, session, service)];
    lines.extend(doing(session));
    if session.state.is_none() && !session.own {
        lines.push(hidden_words(j));
    }
    if !session.blocked_by.is_empty() {
        lines.push(Line::empty());
        lines.push(heading("What it waits for"));
        let what = waited_words(j, session).map_or_else(|| "a lock".to_owned(), |(_, long)| long);
        let mut prose = Prose::new().text(&format!("  {what}"));
        if let (Some(kind), Some(event)) = (session.wait_type.as_deref(), session.wait.as_deref()) {
            prose = prose.dim("  (").and(kind, Tone::Dim).dim(" / ").and(event, Tone::Dim).dim(")");
        }
        lines.push(prose.line());
        for pid in &session.blocked_by {
            lines.push(named(Prose::new().say("  held by "), activity, *pid).line());
            let blocker = activity.sessions.iter().find(|s| s.pid == *pid);
            if let Some(query) = blocker.and_then(|b| b.query.as_deref()).filter(|q| !q.is_empty()) {
                let mut line = Line(vec![Span::known("      ", Tone::Text)]);
                line.0.extend(sql_spans::one_line(query, 400).0);
                lines.push(line);
            }
        }
    }
    lines.extend(prepared_words(session).iter().map(|words| Line::new(&format!("  {words}"), Tone::Warning)));
    let held = freed(&activity.sessions, session.pid);
    if held != Freed::default() {
        lines.push(Line::empty());
        let waits = !session.blocked_by.is_empty();
        lines.push(heading(if waits { "Who moves up if it ends" } else { "Who is freed if it ends" }));
        if waits {
            let prose = Prose::new().say("  It waits itself: those behind it may wait in turn for what holds it up.");
            lines.push(prose.line());
            for pid in front(&activity.sessions, session.pid) {
                lines.push(named(Prose::new().say("  at the front, to be ended: "), activity, pid).line());
            }
        }
        for (word, pids) in [
            (if waits { "  moves up: " } else { "  goes on at once: " }, &held.at_once),
            ("  still waits for others: ", &held.still),
            ("  waits behind those: ", &held.behind),
        ] {
            for pid in pids.iter().take(40) {
                lines.push(named(Prose::new().say(word), activity, *pid).line());
            }
            if pids.len() > 40 {
                lines.push(Line::new(&format!("  and {} more", pids.len() - 40), Tone::Dim));
            }
        }
    }
    lines.push(Line::empty());
    lines.push(heading(if is_active(session) { "Its statement" } else { "Its last statement" }));
    match session.query.as_deref() {
        Some(query) if !query.trim().is_empty() => lines.extend(sql_spans::lines(query, QUERY_LINES)),
        Some(_) => lines.push(Line(vec![Span::known("none yet", Tone::Dim)])),
        None => lines.push(Line(vec![Span::known("? hidden from this login", Tone::Unknown)])),
    }
    let title = Prose::new().say("session ").and(&session.pid.to_string(), Tone::Strong);
    let title = match session.role.as_deref() {
        Some(role) => title.say(" of ").name(role),
        None => title,
    };
    Story { title: title.line(), lines, copy: session.query.clone().unwrap_or_default() }
}

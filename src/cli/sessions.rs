//! `sessions`: client connections, whoever blocks somebody first, with those that wait beneath.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    args::TextFormat,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::Reading,
    report::{self, Report},
    time,
};
use crate::{
    app::{panes::session_story, sql_spans, view::Tone},
    domain::snapshot::{Activity, Session, Snapshot},
    policy::{Policy, judgement::Judgement},
    text,
};

#[derive(Serialize)]
struct Row<'a> {
    instance: &'a str,
    pid: i32,
    database: Option<&'a str>,
    role: Option<&'a str>,
    service: Option<&'a str>,
    application: &'a str,
    client: Option<&'a str>,
    state: Option<&'a str>,
    wait_type: Option<&'a str>,
    wait: Option<&'a str>,
    backend_start: Option<String>,
    backend_age_ms: Option<i64>,
    transaction_age_ms: Option<i64>,
    query_age_ms: Option<i64>,
    state_age_ms: Option<i64>,
    query: Option<&'a str>,
    blocked_by: &'a [i32],
    own: bool,
}

/// Prints the sessions of every instance that could be read; the others are said on standard error.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(report: &mut Report, readings: &[Reading], format: TextFormat) -> Outcome {
    match format {
        TextFormat::Text => people(report, readings)?,
        TextFormat::Json => scripts(report, readings)?,
    }
    report.flush()?;
    let mut exit = Exit::Done;
    for failure in readings.iter().filter_map(|r| r.judgement.as_ref().err()) {
        report::failure(failure);
        exit = exit.max(failure.exit);
    }
    Ok(exit)
}

/// The service a session belongs to: by its application's name, else by its role where that serves only one.
fn service<'a>(policy: Option<&'a Policy>, session: &Session) -> Option<&'a str> {
    let services = &policy?.services;
    if let Some(named) = services.iter().find(|s| s.applications.contains(&session.application)) {
        return Some(&named.name);
    }
    let mut of_role = services.iter().filter(|s| Some(&s.role) == session.role.as_ref());
    of_role.next().filter(|_| of_role.next().is_none()).map(|s| s.name.as_str())
}

fn row<'a>(snapshot: &'a Snapshot, policy: Option<&'a Policy>, session: &'a Session) -> Row<'a> {
    Row {
        instance: &snapshot.instance,
        pid: session.pid,
        database: session.database.as_deref(),
        role: session.role.as_deref(),
        service: service(policy, session),
        application: &session.application,
        client: session.client.as_deref(),
        state: session.state.as_deref(),
        wait_type: session.wait_type.as_deref(),
        wait: session.wait.as_deref(),
        backend_start: session.backend_start_us.and_then(time::rfc3339),
        backend_age_ms: session.backend_age_ms,
        transaction_age_ms: session.transaction_age_ms,
        query_age_ms: session.query_age_ms,
        state_age_ms: session.state_age_ms,
        query: session.query.as_deref(),
        blocked_by: &session.blocked_by,
        own: session.own,
    }
}

fn scripts(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    report.raw("{\"schema_version\":1,\"sessions\":[")?;
    let mut separator = "\n";
    for judgement in readings.iter().filter_map(|r| r.judgement.as_ref().ok()) {
        let activity = judgement.snapshot.activity.as_deref();
        for session in activity.iter().flat_map(|a| &a.sessions) {
            report.raw(separator)?;
            separator = ",\n";
            report.json_part(&row(&judgement.snapshot, judgement.policy.as_deref(), session), false)?;
        }
    }
    report.raw("]}\n")
}

fn people(report: &mut Report, readings: &[Reading]) -> Result<(), Failure> {
    for (i, judgement) in readings.iter().filter_map(|r| r.judgement.as_ref().ok()).enumerate() {
        if i > 0 {
            report.blank()?;
        }
        instance(report, judgement)?;
    }
    Ok(())
}

fn instance(report: &mut Report, judgement: &Judgement) -> Result<(), Failure> {
    let (snapshot, server) = (&judgement.snapshot, &judgement.snapshot.server);
    let line = report.line().tone(&snapshot.instance, Tone::Title).known(" · ").tone(&server.database, Tone::Title);
    let Some(activity) = &snapshot.activity else {
        return line.tone("     sessions were not read", Tone::Unknown).end();
    };
    let blocked = activity.sessions.iter().filter(|s| !s.blocked_by.is_empty()).count() as u64;
    let words = format!("     {} connections", server.connections_of(activity.connections, "of"));
    let line = line.tone(&words, Tone::Dim);
    match blocked {
        0 => line.end()?,
        n => line.tone(&format!("     {n} blocked"), Tone::Error).end()?,
    }
    let head =
        format!("  {:>8}  {:<22} {:<20} {:<22} {:>12}  statement", "pid", "role", "application", "state", "since");
    report.line().tone(&head, Tone::Dim).end()?;
    for (depth, session) in tree(activity) {
        one(report, judgement, session, depth)?;
    }
    Ok(())
}

/// Roots first (those who wait for nobody), each followed by who waits for it, one level deeper. A session that waits for
/// several stands under the first of them; those of a cycle, which cannot be reached, follow at the end.
fn tree(activity: &Activity) -> Vec<(usize, &Session)> {
    let by_pid: BTreeMap<i32, &Session> = activity.sessions.iter().map(|s| (s.pid, s)).collect();
    let mut waiting: BTreeMap<i32, Vec<&Session>> = BTreeMap::new();
    let mut roots = Vec::new();
    for session in &activity.sessions {
        match session.blocked_by.iter().find(|pid| by_pid.contains_key(pid) && **pid != session.pid) {
            Some(pid) => waiting.entry(*pid).or_default().push(session),
            None => roots.push(session),
        }
    }
    roots.sort_by_key(|s| (!waiting.contains_key(&s.pid), std::cmp::Reverse(s.transaction_age_ms), s.pid));
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut stack: Vec<(usize, &Session)> = roots.into_iter().rev().map(|s| (0, s)).collect();
    let rest = activity.sessions.iter().rev().map(|s| (0, s));
    stack.splice(0..0, rest);
    while let Some((depth, session)) = stack.pop() {
        if seen.insert(session.pid) {
            out.push((depth, session));
            stack.extend(waiting.get(&session.pid).into_iter().flatten().rev().map(|s| (depth + 1, *s)));
        }
    }
    out
}

fn one(report: &mut Report, judgement: &Judgement, session: &Session, depth: usize) -> Result<(), Failure> {
    let policy = judgement.policy.as_deref();
    let fit = |words: &str, cells: usize| text::fit(&text::safe(words), cells).into_owned();
    let mark = if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
    let role = session.role.as_deref().unwrap_or("?");
    let role = match service(policy, session).filter(|s| *s != role) {
        Some(service) => format!("{mark}{role} ({service})"),
        None => format!("{mark}{role}"),
    };
    let state = session.state.as_deref().unwrap_or("hidden");
    let since = session.state_age_ms.map(text::age).unwrap_or_default();
    let tone = match state {
        "idle in transaction" | "idle in transaction (aborted)" => Tone::Warning,
        "active" => Tone::Text,
        _ => Tone::Dim,
    };
    let tone = if session.blocked_by.is_empty() { tone } else { Tone::Error };
    let waits = match &session.blocked_by[..] {
        [] => String::new(),
        pids => {
            let pid = |pid: &i32| if *pid == 0 { "a prepared transaction".to_owned() } else { pid.to_string() };
            let pids: Vec<String> = pids.iter().map(pid).collect();
            let what =
                session_story::waited_words(judgement, session).map_or_else(|| "a lock".to_owned(), |(_, long)| long);
            format!("waits for {} ({what})  ", text::list(&pids, 4))
        }
    };
    let statement = match session.query.as_deref() {
        _ if session.own => String::new(),
        Some(query) => sql_spans::one_line(query, 400).plain(),
        None => "(hidden)".to_owned(),
    };
    let room = report.width().map_or(200, |w| w.saturating_sub(96).max(20));
    let line = report.line().known("  ").known(&format!("{:>8}", session.pid)).known("  ");
    line.cell(&fit(&role, 22), 22, Tone::Text)
        .known(" ")
        .cell(&fit(&session.application, 20), 20, Tone::Dim)
        .known(" ")
        .cell(&fit(state, 22), 22, tone)
        .known(" ")
        .known(&format!("{since:>12}"))
        .known("  ")
        .tone(&waits, Tone::Error)
        .painted(&text::fit(&statement, room), Tone::Dim)
        .tone(if session.own { "(pgmoat)" } else { "" }, Tone::Dim)
        .end()?;
    for words in session_story::prepared_words(session) {
        report.line().known("            ").tone(&words, Tone::Warning).end()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(pid: i32, blocked_by: &[i32]) -> Session {
        Session { pid, blocked_by: blocked_by.to_vec(), ..Session::default() }
    }

    #[test]
    fn blockers_come_first_and_cycles_are_not_lost() {
        let activity = Activity {
            sessions: vec![
                session(1, &[]),
                session(2, &[3]),
                session(3, &[]),
                session(4, &[2, 3]),
                session(5, &[6]),
                session(6, &[5]),
            ],
            ..Activity::default()
        };
        let order: Vec<(usize, i32)> = tree(&activity).into_iter().map(|(d, s)| (d, s.pid)).collect();
        assert_eq!(order, [(0, 3), (1, 2), (2, 4), (0, 1), (0, 5), (1, 6)]);
    }

    #[test]
    fn rows_have_the_units_in_their_keys() {
        let one = Session { pid: 9, backend_start_us: Some(0), query_age_ms: Some(5), ..Session::default() };
        let snapshot: Snapshot = serde_json::from_value(serde_json::json!({
            "instance": "i", "server": crate::domain::snapshot::Server::default(),
            "catalog": crate::domain::snapshot::Catalog::default(), "shapes": null, "versions": [],
        }))
        .unwrap();
        let value = serde_json::to_value(row(&snapshot, None, &one)).unwrap();
        assert_eq!(value["backend_start"], "1970-01-01T00:00:00Z");
        assert_eq!(value["query_age_ms"], 5);
        assert_eq!(value["blocked_by"], serde_json::json!([]));
        assert_eq!(value["role"], serde_json::Value::Null);
    }
}

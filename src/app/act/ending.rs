//! Ending a statement or a session: who is meant, who may not be, what is lost, who goes on. The order is fixed when the
//! preview opens and names process id *and* start, so that nobody else is ever hit.

use crate::{
    app::{
        panes::session_story,
        prose::Prose,
        sql_spans,
        view::{Line, Span, Tone},
    },
    domain::snapshot::{Activity, Session},
    policy::judgement::Judgement,
    text,
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The statement ends, the session stays.
    Cancel,
    /// The session ends.
    Terminate,
}

impl Way {
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Way::Cancel => "cancel",
            Way::Terminate => "terminate",
        }
    }
}

/// One session that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    pub pid: i32,
    /// Microseconds of the Unix epoch.
    pub backend_start_us: i64,
    /// The statement that was on screen; a cancel hits no other.
    pub query_start_us: Option<i64>,
    /// `4711 (engarde_user)`
    pub name: String,
}

/// What is to be done to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub way: Way,
    pub aims: Vec<Aim>,
    /// Those that were marked and are left alone, and why.
    pub left: Vec<(String, &'static str)>,
}

/// An order that somebody saw and confirmed: the only thing that is ever carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered(Order);

impl Ordered {
    pub(super) fn new(order: Order) -> Ordered {
        Ordered(order)
    }

    #[must_use]
    pub fn order(&self) -> &Order {
        &self.0
    }
}

/// Why a session is not ended.
///
/// # Errors
/// The reason, as the end of a sentence.
pub fn may_end(way: Way, session: &Session) -> Result<i64, &'static str> {
    if session.own {
        return Err("it is this console's own");
    }
    let hidden = "its start is hidden from this login, so it could not be told from another (pg_monitor shows it)";
    let Some(start) = session.backend_start_us else { return Err(hidden) };
    if session.wait.as_deref() == Some("SyncRep") {
        return Err("it has committed and waits for a standby: ending that wait would hide that the standby lacks it");
    }
    let runs = matches!(session.state.as_deref(), Some("active" | "fastpath function call"));
    if way == Way::Cancel && !runs {
        return Err("it runs no statement, so there is nothing to cancel; terminating ends the session");
    }
    Ok(start)
}

/// The order for these sessions.
#[must_use]
pub fn order(way: Way, sessions: &[&Session]) -> Order {
    let mut order = Order { way, aims: Vec::new(), left: Vec::new() };
    for session in sessions {
        let name = name(session);
        match may_end(way, session) {
            Ok(backend_start_us) => {
                let query_start_us = session.query_start_us.filter(|_| way == Way::Cancel);
                order.aims.push(Aim { pid: session.pid, backend_start_us, query_start_us, name });
            }
            Err(why) => order.left.push((name, why)),
        }
    }
    order
}

fn name(session: &Session) -> String {
    match session.role.as_deref() {
        Some(role) => format!("{} ({role})", session.pid),
        None => session.pid.to_string(),
    }
}

/// Each session of the order as a section: what it is, what is lost, who goes on, what it runs.
#[must_use]
pub fn story(order: &Order, j: &Judgement) -> Vec<(Line, Vec<Line>)> {
    let Some(activity) = j.snapshot.activity.as_deref() else { return Vec::new() };
    let found = |aim: &Aim| {
        activity.sessions.iter().find(|s| s.pid == aim.pid && s.backend_start_us == Some(aim.backend_start_us))
    };
    order
        .aims
        .iter()
        .map(|aim| {
            let title = Line::new(&aim.name, Tone::Strong);
            match found(aim) {
                Some(session) => (title, lines(order.way, j, activity, session)),
                None => (title, vec![Line::new("It is gone by now; nothing will be sent.", Tone::Dim)]),
            }
        })
        .collect()
}

fn lines(way: Way, j: &Judgement, activity: &Activity, session: &Session) -> Vec<Line> {
    let mut lines = vec![session_story::what_it_is(j, session, None)];
    lines.extend(session_story::doing(session));
    lines.push(lost(way, session));
    let held = session_story::blocking(activity, session);
    if held.is_empty() {
        lines.push(Line::new("Nobody waits for it.", Tone::Dim));
    }
    lines.extend(held);
    if let Some(query) = session.query.as_deref().filter(|q| !q.trim().is_empty()) {
        let label = if session.state.as_deref() == Some("active") { "running: " } else { "last: " };
        lines.push(Line(vec![Span::known(label, Tone::Dim)]).join(sql_spans::one_line(query, 600)));
    }
    lines
}

/// What ending it costs.
fn lost(way: Way, session: &Session) -> Line {
    let prose = Prose::new();
    match (way, session.transaction_age_ms) {
        (Way::Cancel, Some(ms)) => prose
            .toned("▲ ", Tone::Warning)
            .say("Its statement fails, and with it the transaction that is open for ")
            .text(&text::age(ms))
            .say(": what that changed is rolled back. The session stays."),
        (Way::Cancel, None) => prose.say("Its statement fails. The session stays."),
        (Way::Terminate, Some(ms)) => prose
            .toned("▲ ", Tone::Warning)
            .say("Its transaction, open for ")
            .text(&text::age(ms))
            .say(", is rolled back, and its client loses the connection. Nothing brings that back."),
        (Way::Terminate, None) => {
            prose.say("It has no transaction open, so nothing is lost but the connection of its client.")
        }
    }
    .line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(edit: impl FnOnce(&mut Session)) -> Session {
        let mut session = Session {
            pid: 7,
            role: Some("app".into()),
            state: Some("active".into()),
            backend_start_us: Some(100),
            query_start_us: Some(200),
            ..Session::default()
        };
        edit(&mut session);
        session
    }

    #[test]
    fn some_are_never_ended_and_the_reason_is_said() {
        for way in [Way::Cancel, Way::Terminate] {
            assert_eq!(may_end(way, &session(|_| ())), Ok(100));
            assert!(may_end(way, &session(|s| s.own = true)).is_err());
            assert!(may_end(way, &session(|s| s.backend_start_us = None)).unwrap_err().contains("hidden"));
            assert!(may_end(way, &session(|s| s.wait = Some("SyncRep".into()))).unwrap_err().contains("standby"));
        }
        let idle = session(|s| s.state = Some("idle in transaction".into()));
        assert!(may_end(Way::Cancel, &idle).unwrap_err().contains("nothing to cancel"));
        assert!(may_end(Way::Terminate, &idle).is_ok());
    }

    #[test]
    fn an_order_names_start_and_statement() {
        let (good, own) = (session(|_| ()), session(|s| s.own = true));
        let order = order(Way::Cancel, &[&good, &own]);
        assert_eq!(order.aims.len(), 1);
        assert_eq!((order.aims[0].backend_start_us, order.aims[0].query_start_us), (100, Some(200)));
        assert_eq!(order.left.len(), 1);
    }
}

//! Ending a statement or a session: who is meant, who may not be, what is lost, who goes on. The order is fixed when the
//! preview opens and names process id *and* start, so that nobody else is ever hit.

use crate::{
    app::{
        panes::session_story,
        prose::Prose,
        sql_spans,
        view::{Line, Span, Tone},
    },
    domain::{
        quote_ident,
        snapshot::{Activity, Mark, Session},
    },
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
    /// Its start, or where that is hidden its open transaction.
    pub mark: Mark,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Own,
    /// Neither its start nor a transaction is to be seen.
    Hidden,
    Standby,
    NothingRuns,
    /// `pg_signal_backend` signals nobody who is a superuser.
    Superuser,
    /// The login has neither the role of the session nor `pg_signal_backend`.
    NotAllowed,
}

impl Refusal {
    /// As the end of a sentence.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Refusal::Own => "it is this console's own",
            Refusal::Hidden => {
                "its start is hidden from this login and no transaction of it is open, so it could not be told from another under its number (pg_read_all_stats shows it)"
            }
            Refusal::Standby => {
                "it has committed and waits for a standby: ending that wait would hide that the standby lacks it"
            }
            Refusal::NothingRuns => "it runs no statement, so there is nothing to cancel; terminating ends the session",
            Refusal::Superuser => "its role is a superuser, and only a superuser can end that",
            Refusal::NotAllowed => {
                "the server allows it only to members of its role and of pg_signal_backend, and this login is neither"
            }
        }
    }

    /// What to do, where something helps.
    #[must_use]
    pub fn remedy(self, user: &str) -> String {
        match self {
            Refusal::Hidden => format!("A superuser can show it: GRANT pg_read_all_stats TO {};", quote_ident(user)),
            Refusal::NotAllowed => {
                format!("A superuser can allow it: GRANT pg_signal_backend TO {};", quote_ident(user))
            }
            Refusal::Superuser => "Log in as a superuser.".to_owned(),
            Refusal::Own | Refusal::Standby | Refusal::NothingRuns => String::new(),
        }
    }
}

/// Whether a session may be ended, and by what it is known.
///
/// # Errors
/// Why not.
pub fn may_end(way: Way, j: &Judgement, session: &Session) -> Result<Mark, Refusal> {
    if session.own {
        return Err(Refusal::Own);
    }
    may_signal(j, session)?;
    let mark = session.mark().ok_or(Refusal::Hidden)?;
    if session.wait.as_deref() == Some("SyncRep") {
        return Err(Refusal::Standby);
    }
    // where the state is hidden, whatever its transaction runs is meant
    let idle = session.state.as_deref().is_some_and(|s| !matches!(s, "active" | "fastpath function call"));
    if way == Way::Cancel && idle {
        return Err(Refusal::NothingRuns);
    }
    Ok(mark)
}

/// What the server will say (`pg_signal_backend()` in its sources): superusers end everybody; others end members' sessions
/// of roles that they have the privileges of, or with `pg_signal_backend` all but superusers'.
fn may_signal(j: &Judgement, session: &Session) -> Result<(), Refusal> {
    let (server, matrix) = (&j.snapshot.server, &j.matrix);
    let at = |name: &str| matrix.index.role_named(name);
    let (Some(me), Some(role)) = (at(&server.current_user), session.role.as_deref().and_then(at)) else {
        return Ok(());
    };
    if server.superuser {
        return Ok(());
    }
    if j.snapshot.catalog.roles.get(role).is_some_and(|r| r.superuser) {
        return Err(Refusal::Superuser);
    }
    let has = |group: usize| matrix.closure.inherits(me, group);
    if me == role || has(role) || at("pg_signal_backend").is_some_and(has) { Ok(()) } else { Err(Refusal::NotAllowed) }
}

/// The order for these sessions.
#[must_use]
pub fn order(way: Way, j: &Judgement, sessions: &[&Session]) -> Order {
    let mut order = Order { way, aims: Vec::new(), left: Vec::new() };
    for session in sessions {
        let name = name(session);
        match may_end(way, j, session) {
            Ok(mark) => {
                let query_start_us = session.query_start_us.filter(|_| way == Way::Cancel);
                order.aims.push(Aim { pid: session.pid, mark, query_start_us, name });
            }
            Err(refusal) => order.left.push((name, refusal.why())),
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
    let found = |aim: &Aim| activity.sessions.iter().find(|s| s.pid == aim.pid && s.mark() == Some(aim.mark));
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
    let held = session_story::blocking(j, activity, session);
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
    if session.backend_start_us.is_none() {
        let prose = prose.toned("▲ ", Tone::Warning);
        return match way {
            Way::Cancel => prose.say(
                "What its transaction runs when the signal arrives fails, and that is rolled back; which statement that is, is hidden from this login. The session stays.",
            ),
            Way::Terminate => prose.say(
                "Its open transaction is rolled back, and its client loses the connection; what it did is hidden from this login. Nothing brings that back.",
            ),
        }
        .line();
    }
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
    use crate::{app::panes::sample::Sample, domain::snapshot::VirtualTransaction};

    fn judged(edit: impl FnOnce(&mut Sample)) -> std::sync::Arc<Judgement> {
        let mut sample = Sample::new();
        edit(&mut sample);
        sample.instance().judgement.unwrap()
    }

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
        let j = judged(|_| ());
        let hidden = |transaction| {
            session(|s| {
                s.backend_start_us = None;
                s.state = None;
                s.transaction = transaction;
            })
        };
        let open = VirtualTransaction { slot: 3, number: 9 };
        for way in [Way::Cancel, Way::Terminate] {
            let may = |session: &Session| may_end(way, &j, session);
            assert_eq!(may(&session(|_| ())), Ok(Mark::Start(100)));
            assert_eq!(may(&session(|s| s.own = true)), Err(Refusal::Own));
            assert_eq!(may(&hidden(None)), Err(Refusal::Hidden));
            assert_eq!(may(&hidden(Some(open))), Ok(Mark::Transaction(open)));
            assert_eq!(may(&session(|s| s.wait = Some("SyncRep".into()))), Err(Refusal::Standby));
        }
        let idle = session(|s| s.state = Some("idle in transaction".into()));
        assert_eq!(may_end(Way::Cancel, &j, &idle), Err(Refusal::NothingRuns));
        assert!(may_end(Way::Terminate, &j, &idle).is_ok());
    }

    #[test]
    fn who_may_not_signal_is_told_before() {
        let end = |j: &Judgement, role: &str| may_end(Way::Terminate, j, &session(|s| s.role = Some(role.into())));
        let login = |sample: &mut Sample| {
            sample.role("app");
            let watch = sample.role("Watch");
            (sample.server.current_user, sample.server.superuser) = ("Watch".into(), false);
            watch
        };
        let plain = judged(|sample| {
            login(sample);
        });
        assert_eq!(end(&plain, "app"), Err(Refusal::NotAllowed));
        assert_eq!(
            Refusal::NotAllowed.remedy("Watch"),
            "A superuser can allow it: GRANT pg_signal_backend TO \"Watch\";"
        );
        assert!(end(&plain, "Watch").is_ok(), "its own role's");
        assert_eq!(end(&plain, "postgres"), Err(Refusal::Superuser));
        let member = judged(|sample| {
            let watch = login(sample);
            let signals = sample.role("pg_signal_backend");
            sample.member(signals, watch);
        });
        assert!(end(&member, "app").is_ok());
        assert_eq!(end(&member, "postgres"), Err(Refusal::Superuser));
    }

    #[test]
    fn an_order_names_start_and_statement() {
        let (good, own) = (session(|_| ()), session(|s| s.own = true));
        let order = order(Way::Cancel, &judged(|_| ()), &[&good, &own]);
        assert_eq!(order.aims.len(), 1);
        assert_eq!((order.aims[0].mark, order.aims[0].query_start_us), (Mark::Start(100), Some(200)));
        assert_eq!(order.left.len(), 1);
    }
}

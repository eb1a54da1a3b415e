//! `cancel` and `terminate`: ends one session's statement, or the session. Says first what is lost and who goes on, asks,
//! and hits exactly the session it spoke of: process id and start.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::Arc,
};

use super::{
    args::SignalArgs,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather,
    plan::server_of,
    report::{self, Report, Words},
    resolve::Context,
};
use crate::{
    app::{
        act::ending::{self, Way},
        view::{Line, Tone},
    },
    audit::Journal,
    config::{Target as Server, paths, target::Environment},
    domain::snapshot::Session,
    policy::judgement::Judgement,
    run::act,
    server::{
        Want,
        signal::{self, Aim, Signal, Told},
    },
    text,
};

/// Ends it.
///
/// # Errors
/// Nothing was sent: refused (exit 4, a session that has gone too), no server, wrong use.
pub async fn run(report: &mut Report, context: &Context, args: &SignalArgs, way: Way) -> Outcome {
    let (word, pid) = words(context, args)?;
    let target = context.target(word.as_ref())?;
    let server = server_of(&target)?;
    let verb = way.verb();
    let refused = |why: &str, remedy: &str| Failure::refused(format!("could not {verb} {pid}: {why}"), remedy);
    if server.conninfo.read_only {
        return Err(refused("this instance is read-only", "Leave out --read-only, or set read_only = false for it."));
    }
    if !server.allow_signals {
        return Err(refused("the configuration says allow_signals = false for this instance", ""));
    }
    let dir = paths::state_dir(&context.env)
        .ok_or_else(|| refused("there is no place for the journal without a home directory", "Set XDG_STATE_HOME."))?;
    let asking = gather::Asking::default();
    let want = Want { activity: true, ..Want::default() };
    let (snapshot, reader) = gather::take(&target, &want, &asking).await?;
    drop(reader);
    let server = gather::with_password(server.clone(), &asking).await?;
    let (policy, lineages) = (target.policy.clone(), Arc::clone(&target.lineages));
    let judged = gather::on_a_thread(move || Judgement::new(Arc::new(snapshot), policy, lineages, None)).await?;
    let sessions = judged.snapshot.activity.as_deref().map_or(&[][..], |a| a.sessions.as_slice());
    let Some(session) = sessions.iter().find(|s| s.pid == pid) else {
        return Err(refused(&absent(&server, pid).await, "`pgmoat sessions` lists those that are there."));
    };
    if let Err(refusal) = ending::may_end(way, &judged, session) {
        return Err(refused(refusal.why(), &refusal.remedy(&judged.snapshot.server.current_user)));
    }
    let order = ending::order(way, &judged, &[session]);
    for (title, lines) in ending::story(&order, &judged) {
        written(report.line().known(&capital(verb)).known(" "), &title)?;
        for line in lines {
            written(report.line().known("  "), &line)?;
        }
    }
    report.flush()?;
    if !args.yes {
        ask(&server, way, session).await?;
    }
    let aims: Vec<Aim> =
        order.aims.iter().map(|a| Aim { pid: a.pid, mark: a.mark, query_start_us: a.query_start_us }).collect();
    let names: Vec<String> = order.aims.iter().map(|a| a.name.clone()).collect();
    let kind = match way {
        Way::Cancel => Signal::Cancel,
        Way::Terminate => Signal::Terminate,
    };
    let identity = (judged.snapshot.server.system_identifier.clone(), judged.snapshot.server.database.clone());
    let told = act::signal(&server, &Journal::in_dir(&dir), identity, kind, &aims, &names)
        .await
        .map_err(|why| Failure::server(format!("could not {verb} {pid}: {why}"), None))?;
    let past = match way {
        Way::Cancel => "Cancelled",
        Way::Terminate => "Terminated",
    };
    match told.first() {
        Some(Told::Ended) => report.line().tone(&format!("{past}: {pid}."), Tone::Good).end()?,
        Some(Told::Sent) => {
            report.line().tone(&format!("The signal was sent; {pid} has not ended yet."), Tone::Warning).end()?;
        }
        Some(Told::Vanished(why) | Told::Refused(why)) => return Err(refused(why, "")),
        Some(Told::Unknown(why)) => {
            let line = format!("It is not known whether {pid} was reached: {why}.");
            report.line().tone(&line, Tone::Critical).end()?;
            report.flush()?;
            return Ok(Exit::Unknown);
        }
        None => return Err(refused("nothing was sent", "")),
    }
    report.flush()?;
    Ok(Exit::Done)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// A line of the screen, which is escaped already.
fn written(words: Words<'_>, line: &Line) -> Result<(), Failure> {
    line.0.iter().fold(words, |words, span| words.painted(span.text(), span.tone)).end()
}

/// Why there is no such session: a background process, or nothing at all.
async fn absent(server: &Server, pid: i32) -> String {
    match signal::look(&server.conninfo, vec![pid]).await {
        Ok(seen) => match seen.first().and_then(|s| s.backend_type.clone()) {
            Some(kind) if kind != "client backend" => format!("it is no session of a client but a {kind}"),
            Some(_) | None => "there is no such session".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

/// `TARGET PID`, or `PID` where flags say the target.
fn words(context: &Context, args: &SignalArgs) -> Result<(Option<String>, i32), Failure> {
    let pid = |word: &str| {
        word.parse::<i32>().ok().filter(|n| *n > 0).ok_or_else(|| {
            Failure::usage(
                format!("could not read {word}: the process id of a session is wanted"),
                "`pgmoat sessions` lists them.",
            )
        })
    };
    match args.words.as_slice() {
        [one] => Ok((None, pid(one)?)),
        [target, number] if !context.by_flags() => Ok((Some(target.clone()), pid(number)?)),
        _ => Err(Failure::usage(
            "could not read the command line: a TARGET and a PID are wanted",
            "With -h, -p, -U or -d no TARGET is given.",
        )),
    }
}

/// Asks for a word on a terminal, for the database's name in production; refuses elsewhere.
async fn ask(server: &Server, way: Way, session: &Session) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let cause = "could not ask whether to do this: there is no terminal";
        return Err(Failure::refused(cause, "Say --yes."));
    }
    let production = server.environment == Environment::Production;
    let wanted = if production { server.conninfo.dbname.clone() } else { "yes".to_owned() };
    let word = if production { "the name of the database" } else { "yes" };
    let question = format!(
        "{} {} on {} ({})? Type {word} to go on: ",
        capital(way.verb()),
        session.pid,
        server.name,
        server.environment.word()
    );
    let answer = gather::on_a_thread(move || {
        let mut line = String::new();
        let _ = io::stderr().lock().write_all(text::safe(&question).as_bytes());
        io::stdin().lock().read_line(&mut line).map(|_| line)
    })
    .await??;
    if answer.trim_end_matches(['\r', '\n']) == wanted {
        return Ok(());
    }
    report::note("Nothing was sent.");
    Err(Failure::refused("could not go on: that was something else", ""))
}

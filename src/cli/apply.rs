//! `apply`, `undo`, `redo`: shows what will be done, asks, does it through `run::act`, and says what became of it.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use secrecy::SecretString;

use super::{
    args::{ApplyArgs, BackArgs, RunArgs},
    exit_code::Exit,
    failure::{Failure, Outcome},
    halt::Halt,
    plan::{self, Made, server_of},
    report::{self, Report},
    resolve::{Context, Target},
};
use crate::{
    app::{
        act::{After, Remains},
        view::Tone,
    },
    audit::{Ending, Entry, Journal, Link},
    config::{Target as Server, paths, target::Environment},
    plan::{Hazard, HazardKind, build},
    run::{
        act::{Acted, Order, act, settle},
        aftermath::{Fresh, aftermath, kept},
        handover,
    },
    server::apply::{self, ApplyOptions, Done, Progress, Reason},
    text,
};

/// Applies a plan from a file, or the plan to the policy.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn run(report: &mut Report, context: &Context, args: &ApplyArgs, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let server = writable(&target)?;
    let made = match &args.plan {
        Some(path) => plan::from_file(&target, path).await?,
        None => plan::to_policy(&target, &args.only).await?,
    };
    let journal = journal(context)?;
    let how = Confirmed::by(args.run);
    Box::pin(confirmed(report, server, made, how, &journal, halt)).await
}

/// Does what another command has planned: shows it, asks, does it, tells.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn by_command(
    report: &mut Report,
    context: &Context,
    target: &Target,
    made: Made,
    how: Confirmed,
    halt: &Halt,
) -> Outcome {
    Box::pin(confirmed(report, writable(target)?, made, how, &journal(context)?, halt)).await
}

/// How a plan is to be done.
pub struct Confirmed {
    /// What it takes back or does again.
    pub link: Option<Link>,
    pub rehearse: bool,
    /// Without asking.
    pub yes: bool,
    /// By role.
    pub passwords: HashMap<String, SecretString>,
}

impl Confirmed {
    /// Something new, as the flags say.
    #[must_use]
    pub fn by(RunArgs { rehearse, yes }: RunArgs) -> Confirmed {
        Confirmed { link: None, rehearse, yes, passwords: HashMap::new() }
    }
}

/// Takes an action back.
///
/// # Errors
/// As [`run`].
pub async fn undo(report: &mut Report, context: &Context, args: &BackArgs, halt: &Halt) -> Outcome {
    Box::pin(back(report, context, args, halt, Way::Undo)).await
}

/// Does again what was taken back.
///
/// # Errors
/// As [`run`].
pub async fn redo(report: &mut Report, context: &Context, args: &BackArgs, halt: &Halt) -> Outcome {
    Box::pin(back(report, context, args, halt, Way::Redo)).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Undo,
    Redo,
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Way::Undo => "undo",
            Way::Redo => "redo",
        }
    }
    const fn title(self) -> &'static str {
        match self {
            Way::Undo => "Undo",
            Way::Redo => "Redo",
        }
    }
    fn fits(self, entry: &Entry) -> bool {
        match self {
            Way::Undo => entry.can_be_undone(),
            Way::Redo => entry.can_be_redone(),
        }
    }
}

async fn back(report: &mut Report, context: &Context, args: &BackArgs, halt: &Halt, way: Way) -> Outcome {
    let (word, id) = words(context, args)?;
    let journal = journal(context)?;
    let read = |journal: &Journal| journal.read().map_err(|e| refused(e.to_string(), ""));
    // Without a target, the one of the entry: what was done there is taken back there.
    let word = match word {
        None if !context.by_flags() => {
            let entries = read(&journal)?.entries;
            let entry =
                id.map_or_else(|| entries.iter().rev().find(|e| way.fits(e)), |id| entries.iter().find(|e| e.id == id));
            let name = entry.map(|e| e.plan.target.instance.clone());
            name.filter(|name| context.config.instance(name).is_some())
        }
        word => word,
    };
    let target = context.target(word.as_ref())?;
    let server = writable(&target)?;
    let system = plan::identity(&target).await?;
    let settled = settle(&server.conninfo, &journal, system.0.as_deref(), &system.1).await;
    say_settled(&settled.map_err(|e| refused(e.to_string(), ""))?);
    let entries = read(&journal)?.entries;
    let about = |e: &&Entry| e.is_about(system.0.as_deref(), &system.1);
    let entry = match id {
        Some(id) => entries.iter().find(|e| e.id == id).ok_or_else(|| {
            Failure::usage(
                format!("could not {} {id}: the journal has no such entry", way.word()),
                "`pgmoat journal` lists them.",
            )
        })?,
        None => entries.iter().rev().filter(about).find(|e| way.fits(e)).ok_or_else(|| {
            refused(format!("could not {} anything on {}: nothing in the journal can be", way.word(), target.name), "")
        })?,
    };
    if !way.fits(entry) {
        let why = match (way, entry.undone_by) {
            (_, Some(by)) => {
                let next = |e: &&Entry| e.undone_by.and_then(|by| entries.iter().find(|other| other.id == by));
                let last = std::iter::successors(Some(entry), next).last().unwrap_or(entry);
                let again = if way.fits(last) {
                    format!(
                        "; entry {} turned it round once more, `pgmoat {} {}` takes that",
                        last.id,
                        way.word(),
                        last.id
                    )
                } else {
                    String::new()
                };
                format!("entry {by} did that already{again}")
            }
            (Way::Redo, None) => "it took nothing back".to_owned(),
            (Way::Undo, None) if matches!(entry.link, Some(Link::Undoes(_))) => {
                "it took something back itself; `pgmoat redo` does that again".to_owned()
            }
            (Way::Undo, None) => format!("it is {}", entry.state().word().replace('_', " ")),
        };
        return Err(refused(format!("could not {} entry {}: {why}", way.word(), entry.id), ""));
    }
    if !about(&entry) {
        let cause = format!("could not {} entry {}: it was done to another database", way.word(), entry.id);
        return Err(refused(cause, "Name the target it was done to."));
    }
    let link = match way {
        Way::Undo => Link::Undoes(entry.id),
        Way::Redo => Link::Redoes(entry.id),
    };
    // What is done again is what was done first; where an undo left something behind, the undo turned round.
    let done = match (way, entry.link) {
        (Way::Redo, Some(Link::Undoes(first))) => entries.iter().find(|e| e.id == first).unwrap_or(entry),
        _ => entry,
    };
    let state = state(context)?;
    let mut remains = Remains::default();
    let grounds = [&done.plan.ground, &done.plan.predicted, &entry.plan.ground, &entry.plan.predicted];
    let made = plan::from_ground(&target, &grounds, |snapshot| {
        let made = match way {
            Way::Undo => build::back(snapshot, &done.plan),
            Way::Redo => build::redo(snapshot, &done.plan, &entry.plan),
        };
        let made = made.map(|mut plan| {
            remains = handover::remains(&done.plan, &plan, way == Way::Redo, &state, &target.name);
            let told = handover::promised(&remains).into_iter();
            plan.notes.extend(told.map(|sentence| Hazard { kind: HazardKind::Note, sentence }));
            if way == Way::Redo {
                plan.notes.extend(handover::renewed(done.id, &plan));
                // so that taking it back once more takes the entry out again
                plan.entry.clone_from(&done.plan.entry);
            }
            plan.called(format!("{} entry {}: {}", way.title(), done.id, done.plan.name()))
        });
        made.map_err(|stale| {
            let (why, lines) = match &stale {
                build::Stale::Moved(moved) => {
                    ("the state has moved since".to_owned(), moved.iter().map(ToString::to_string).collect())
                }
                build::Stale::Refused(why) => (why.to_string(), Vec::new()),
            };
            let lines: Vec<String> = lines;
            let cause = format!("could not {} entry {}: {why}", way.word(), entry.id);
            let remedy = format!(
                "`pgmoat journal` shows what was done since; `pgmoat {} {} ID` takes another entry.",
                way.word(),
                target.name
            );
            refused(cause, &remedy).with(lines.iter().map(|line| format!("  {line}")))
        })
    })
    .await?;
    let rehearse = args.run.rehearse;
    let fresh = Fresh::of(&made.plan, server, &state, rehearse);
    let fresh = fresh.map_err(|why| refused(why, "Nothing was changed."))?;
    let passwords = fresh.iter().map(|f| (f.role.clone(), f.password.clone())).collect();
    let how = Confirmed { link: Some(link), passwords, ..Confirmed::by(args.run) };
    let exit = match Box::pin(confirmed(report, server, made, how, &journal, halt)).await {
        // refused is what is known to have changed nothing; anything else may have come after COMMIT
        Err(failure) if failure.exit != Exit::Refused => {
            aside(fresh);
            return Err(failure);
        }
        exit => exit?,
    };
    match exit {
        Exit::Done if !rehearse => {
            let after = After { remains: Some(remains), ..After::default() };
            let made = aftermath(server, fresh, after, None).await;
            for (tone, words) in made.said {
                report.paragraph(0, "", &words, tone)?;
            }
            if let Some(handed) = made.handover {
                report.line().known("The URL with its password is in ").tone(&handed.file, Tone::Strong).end()?;
            }
            report.flush()?;
        }
        // It may be set, or not: then it had better be known.
        Exit::Unknown | Exit::Server => aside(fresh),
        _ => {}
    }
    Ok(exit)
}

/// Keeps passwords that roles may have now, and says where.
fn aside(fresh: Vec<Fresh>) {
    for (_, words) in kept(fresh).said {
        report::note(&format!("pgmoat: {words}"));
    }
}

/// `[TARGET] [ID]`: a single number is an entry, unless an instance has that name.
fn words(context: &Context, args: &BackArgs) -> Result<(Option<String>, Option<u64>), Failure> {
    let id = |word: &String| {
        word.parse::<u64>().map_err(|_| {
            Failure::usage(
                format!("could not read {word}: the number of an entry is wanted"),
                "`pgmoat journal` lists them.",
            )
        })
    };
    match args.words.as_slice() {
        [] => Ok((None, None)),
        [one] if one.parse::<u64>().is_ok() && context.config.instance(one).is_none() => Ok((None, Some(id(one)?))),
        [one] => Ok((Some(one.clone()), None)),
        [target, number, ..] => Ok((Some(target.clone()), Some(id(number)?))),
    }
}

fn journal(context: &Context) -> Result<Journal, Failure> {
    Ok(Journal::in_dir(&state(context)?))
}

fn state(context: &Context) -> Result<PathBuf, Failure> {
    paths::state_dir(&context.env).ok_or_else(|| {
        refused("could not find a place for the journal: there is no home directory".to_owned(), "Set XDG_STATE_HOME.")
    })
}

/// Refuses before anything is read: what follows would be refused in any case.
fn writable(target: &Target) -> Result<&Server, Failure> {
    let server = server_of(target)?;
    if server.conninfo.read_only {
        let cause = format!("could not change {}: it is read-only", server.name);
        return Err(refused(cause, "Leave out --read-only, or set read_only = false for this instance."));
    }
    Ok(server)
}

fn refused(message: String, remedy: &str) -> Failure {
    Failure::refused(message, remedy)
}

/// Shows, asks, acts, tells.
async fn confirmed(
    report: &mut Report,
    server: &Server,
    made: Made,
    how: Confirmed,
    journal: &Journal,
    halt: &Halt,
) -> Outcome {
    let Confirmed { link, rehearse, yes, passwords } = how;
    plan::show(report, &made)?;
    report.flush()?;
    if made.plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !made.lacks.is_empty() {
        let lacks = made.lacks.iter().map(|lack| format!("  {lack}"));
        let cause = format!("could not begin: {} lacks rights", server.conninfo.user);
        return Err(refused(cause, "Connect as an owner or as a superuser.").with(lacks));
    }
    let mut made = made;
    if let Some(role) = made.plan.passwords().find(|role| !passwords.contains_key(*role)) {
        let cause = format!("could not set the password of {role}: this command takes none");
        return Err(refused(cause, "Use the command that made the plan."));
    }
    if !rehearse && !yes {
        ask(server, &made).await?;
    }
    made.plan.target.instance.clone_from(&server.name);
    let plan = made.plan.clone().approve();
    let stop = Some(halt.acting());
    let order = Order { plan, link, options: ApplyOptions { rehearse, stop, ..ApplyOptions::default() } };
    let steps: Vec<String> = made.plan.steps.iter().map(|s| format!("{}: {}", s.id, s.title)).collect();
    let mut watch = |progress: Progress| tell(&progress, &steps);
    let server = super::gather::with_password(server.clone(), &super::gather::Asking::default()).await?;
    let acted = Box::pin(act(&server, journal, order, &mut |role| passwords.get(role).cloned(), &mut watch)).await;
    ended(report, &server, &acted)
}

/// Asks for a word on a terminal, for the database's name in production; refuses elsewhere.
async fn ask(server: &Server, made: &Made) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(refused(
            "could not ask whether to do this: there is no terminal".to_owned(),
            "Say --yes, or try it with --rehearse.",
        ));
    }
    let database = made.plan.target.database.clone();
    let wanted = if server.environment == Environment::Production { database } else { "yes".to_owned() };
    let word = if server.environment == Environment::Production { "the name of the database" } else { "yes" };
    let question = format!(
        "Do this to {} on {} ({})? Type {word} to go on: ",
        made.plan.target.database,
        server.name,
        server.environment.word()
    );
    let answer = super::gather::on_a_thread(move || {
        let mut line = String::new();
        let _ = io::stderr().lock().write_all(text::safe(&question).as_bytes());
        io::stdin().lock().read_line(&mut line).map(|_| line)
    })
    .await??;
    if answer.trim_end_matches(['\r', '\n']) == wanted {
        return Ok(());
    }
    Err(refused("could not go on: that was something else".to_owned(), "Nothing was changed."))
}

pub(super) fn tell(progress: &Progress, steps: &[String]) {
    match progress {
        Progress::WaitingForConsole(blockers) => {
            report::note("pgmoat: waiting for another console");
            name(blockers);
        }
        // said once: how it went on stands in the outcome, and each attempt in the journal
        Progress::WaitingForLock { attempt: 1, of, blockers } => {
            report::note(&format!("pgmoat: locked by others; trying up to {of} times, nothing is held meanwhile"));
            name(blockers);
        }
        Progress::Step(at) => {
            if let Some(step) = steps.get(*at) {
                tracing::info!(%step, "step");
            }
        }
        Progress::Resolving => report::note("pgmoat: the line broke in COMMIT; asking the server what became of it"),
        Progress::WaitingForLock { .. }
        | Progress::Connecting
        | Progress::Comparing
        | Progress::Proving
        | Progress::Committing => {}
    }
}

fn name(blockers: &[apply::Blocker]) {
    for blocker in blockers {
        report::note(&format!("  {blocker}"));
    }
}

fn say_settled(settled: &[(u64, Ending)]) {
    for (id, ending) in settled {
        let how = match ending {
            Ending::Committed { .. } => "it was committed".to_owned(),
            Ending::Rehearsed { .. } => "it was a rehearsal".to_owned(),
            Ending::NotCommitted { why, .. } => format!("nothing was changed: {why}"),
            Ending::Unknown { why } => format!("still unknown: {why}"),
        };
        report::note(&format!("pgmoat: entry {id} of the journal had no end; {how}"));
    }
}

/// Says what became of it, and with which exit code.
pub(super) fn ended(report: &mut Report, server: &Server, acted: &Acted) -> Outcome {
    say_settled(&acted.settled);
    let number = acted.id.map(|id| format!(" Journal entry {id}.")).unwrap_or_default();
    let exit = match &acted.outcome {
        apply::Outcome::Committed(done) => {
            details(report, done)?;
            let doubt = if done.resolved { " The answer was lost; the server was asked." } else { "" };
            let wait = if done.awaits_standby { " A synchronous standby has not answered yet." } else { "" };
            let words = format!("Done: committed as transaction {}.{doubt}{wait}{number}", done.xid);
            report.line().tone(&words, Tone::Good).end()?;
            Exit::Done
        }
        apply::Outcome::RehearsalProven(done) => {
            details(report, done)?;
            let words = format!("Rehearsed: it works, leads where it says, and was rolled back.{number}");
            report.line().tone(&words, Tone::Good).end()?;
            Exit::Done
        }
        apply::Outcome::NothingChanged(reason) => {
            let list = reason.details().into_iter().map(|line| format!("  {line}"));
            let exit = match reason {
                Reason::Unreachable(_) | Reason::Lost(_) => Exit::Server,
                Reason::Refused(_)
                | Reason::Stale(_)
                | Reason::Busy(_)
                | Reason::LockTimeout { .. }
                | Reason::Failed { .. }
                | Reason::ProofFailed(_)
                | Reason::Journal(_)
                | Reason::Interrupted => Exit::Refused,
            };
            let message = format!("nothing was changed: {reason}");
            let (list, remedy) = match reason {
                Reason::LockTimeout { blockers, .. } => {
                    let list = blockers.iter().take(NAMED).map(|b| format!("  {b}"));
                    let more = blockers.len().saturating_sub(NAMED) as u64;
                    let more =
                        (more > 0).then(|| format!("  and {}", text::count(more, "more session", "more sessions")));
                    let whole = acted.id.map(|id| {
                        format!("  Journal entry {id} names each attempt: `pgmoat journal --format json` prints them.")
                    });
                    (list.chain(more).chain(whole).collect(), locked(server, blockers))
                }
                _ => (list.collect::<Vec<_>>(), reason.remedy()),
            };
            report::failure(&Failure::new(exit, message, Some(remedy)).with(list));
            exit
        }
        apply::Outcome::Unknown { transaction, why } => {
            let message = format!("the outcome is unknown: {why}");
            let remedy = format!(
                "ask the server when it answers: SELECT pg_xact_status('{}'); or run `pgmoat journal` and the next \
                 `pgmoat plan`, which look for themselves.{number}",
                transaction.xid
            );
            report::failure(&Failure::new(Exit::Unknown, message, Some(remedy)));
            Exit::Unknown
        }
    };
    report.flush()?;
    let Some(why) = &acted.unwritten else { return Ok(exit) };
    let remedy = "The outcome above stands; the next action settles the entry.".to_owned();
    report::failure(&Failure::new(Exit::Server, why, Some(remedy)));
    Ok(if exit == Exit::Done { Exit::Server } else { exit })
}

/// So many sessions that were in the way are named.
const NAMED: usize = 3;

/// What ends whoever was in the way to the end: the statement of one that runs one, else the session.
fn locked(server: &Server, blockers: &[apply::Blocker]) -> String {
    let target = server.word();
    let command = |b: &apply::Blocker| {
        let verb = if b.state == "active" { "cancel" } else { "terminate" };
        format!("`pgmoat {verb} {target} {}`", b.pid)
    };
    let commands: Vec<String> = blockers.iter().map(command).collect();
    match commands.as_slice() {
        [] => "try again when they are done; `pgmoat sessions` shows who holds what".to_owned(),
        some => format!("try again when they are done, or end them: {}", text::list(some, NAMED)),
    }
}

fn details(report: &mut Report, done: &Done) -> Result<(), Failure> {
    for notice in &done.notices {
        let words = format!("{} {}: {}", notice.severity, notice.sqlstate, notice.message);
        report.paragraph(2, "", &words, Tone::Warning)?;
    }
    for moved in &done.moved_since {
        report.paragraph(2, "Since then: ", &moved.to_string(), Tone::Warning)?;
    }
    let tries = if done.attempts > 1 { format!("; {} attempts", done.attempts) } else { String::new() };
    report.line().tone(&format!("  Locks were held for {} ms{tries}.", done.lock_held_ms), Tone::Dim).end()
}

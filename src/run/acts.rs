//! Actions of the console, each on a task of its own: plans from a fresh reading, rehearsals and applications through
//! [`act`], signals, the journal. What comes of them goes back to the loop as messages; the screen never waits.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    act::{self, Order},
    aftermath::{Fresh, aftermath, kept},
    handover, proposals,
};
use crate::{
    app::{
        Msg,
        act::{ActNews, After, Ask, Book, BookEntry, Fate, Meaning, Progress, Ready, Told, ending, lines},
        view::Tone,
    },
    audit::{Ending, Entry, Journal, Link, State},
    config::Target,
    domain::{Oid, effective::Matrix, snapshot::Snapshot},
    plan::{Approved, Hazard, HazardKind, Key, Plan, build, predict},
    policy::{Finding, judgement::Judgement},
    server::{
        Reader, Want,
        apply::{self, ApplyOptions, Done, Outcome, Reason, now, preflight::preflight},
        signal::{self, Signal},
    },
    text,
};

/// Between two questions about an action whose end is not known.
const AGAIN: Duration = Duration::from_secs(15);
/// How long actions may take at the end to let go and to write that down.
const LETTING_GO: Duration = Duration::from_millis(600);
/// Readings at most until all objects that a plan touches are known.
pub(super) const READINGS: usize = 4;

/// See the module.
pub(super) struct Acts {
    /// By position of the instance; `None` for a recording.
    targets: Vec<Option<Arc<Target>>>,
    state: Option<PathBuf>,
    tell: mpsc::UnboundedSender<Msg>,
    /// Those that run, and how they are asked to stop.
    stops: HashMap<u64, watch::Sender<bool>>,
    /// Size and time of the journal as it was read last.
    seen: Option<(u64, SystemTime)>,
    /// Some entry's end is not known yet: it is asked for again from time to time.
    open: Arc<AtomicBool>,
    asked: Instant,
}

/// How a plan is run, and what is done after it.
pub(super) struct How {
    pub meaning: Meaning,
    pub rehearse: bool,
    pub after: After,
}

/// Which database an instance is: system identifier, where the login may ask, and name.
type Identity = (Option<String>, String);

impl Acts {
    pub(super) fn new(state: Option<PathBuf>, tell: mpsc::UnboundedSender<Msg>) -> Acts {
        let targets = Vec::new();
        Acts { targets, state, tell, stops: HashMap::new(), seen: None, open: Arc::default(), asked: Instant::now() }
    }

    /// The next instance's.
    pub(super) fn add(&mut self, target: Option<Arc<Target>>) {
        self.targets.push(target);
    }

    /// The instance that is this database of the same server by the same login.
    pub(super) fn shown(&self, server: &Target, database: &str) -> Option<usize> {
        self.targets.iter().position(|t| {
            t.as_ref().is_some_and(|t| t.conninfo.dbname == database && t.conninfo.is_beside(&server.conninfo))
        })
    }

    pub(super) fn target(&self, instance: usize) -> Option<Arc<Target>> {
        self.targets.get(instance).cloned().flatten()
    }

    /// Makes a plan; the answer comes as news of the ticket.
    pub(super) fn plan(&self, ticket: u64, instance: usize, ask: Ask, judgement: Option<Arc<Judgement>>) {
        let (target, tell, state) = (self.target(instance), self.tell.clone(), self.state.clone());
        let server = target.clone();
        apart(async move || {
            let made = match (target, judgement) {
                (Some(target), Some(judgement)) => match ask {
                    Ask::Fix { findings, except } => fix(&target, &judgement, findings, except).await,
                    Ask::Undo { entry } => back(&target, &judgement, state, entry, false).await,
                    Ask::Redo { entry } => back(&target, &judgement, state, entry, true).await,
                    Ask::Create { wanted, to_policy } => {
                        proposals::create(&target, &judgement, *wanted, to_policy).await
                    }
                    Ask::MoveVersions(wanted) => proposals::move_versions(&target, &judgement, *wanted).await,
                    Ask::Isolate { wanted, files, to_policy } => {
                        Box::pin(proposals::isolate(&target, &judgement, *wanted, files, to_policy)).await
                    }
                },
                (None, _) => Err(vec!["There is no server behind this instance.".to_owned()]),
                (_, None) => Err(vec!["The server has not answered yet.".to_owned()]),
            };
            let made = match (made, server) {
                (Ok(ready), Some(server)) => Ok(Ready { now: now::in_the_way(&server, &ready.plan).await, ..ready }),
                (made, _) => made,
            };
            let _ = tell.send(Msg::Act(ticket, ActNews::Ready(made.map(Box::new))));
        });
    }

    /// Runs a plan, or rehearses it.
    pub(super) fn act(&mut self, ticket: u64, instance: usize, plan: Approved, how: How) {
        let (stop, stopped) = watch::channel(false);
        self.stops.retain(|_, stop| !stop.is_closed());
        self.stops.insert(ticket, stop);
        let (target, tell, state) = (self.target(instance), self.tell.clone(), self.state.clone());
        apart(async move || {
            let told = Box::pin(run(target, state, tell.clone(), ticket, plan, how, stopped)).await;
            let _ = tell.send(Msg::Act(ticket, ActNews::Over(told)));
        });
    }

    pub(super) fn stop(&self, ticket: u64) {
        if let Some(stop) = self.stops.get(&ticket) {
            stop.send_replace(true);
        }
    }

    /// At the end of the console: see [`leave`].
    pub(super) async fn goodbye(self) {
        leave(&self.stops).await;
    }

    /// Ends sessions.
    pub(super) fn signal(&self, ticket: u64, instance: usize, order: ending::Order, identity: Identity) {
        let (target, tell, state) = (self.target(instance), self.tell.clone(), self.state.clone());
        apart(async move || {
            let told = end(target, state, identity, &order).await;
            let _ = tell.send(Msg::Act(ticket, ActNews::Over(told)));
        });
    }

    /// Reads the journal when it changed, or in any case.
    pub(super) fn journal(&mut self, anyway: bool, identities: Vec<Option<Identity>>) {
        let Some(state) = self.state.clone() else {
            let problem = Some("There is no place for a journal: no home directory is known.".to_owned());
            let _ = self.tell.send(Msg::Journal(Arc::new(Book { problem, ..Book::default() })));
            return;
        };
        let journal = Journal::in_dir(&state);
        let now = std::fs::metadata(journal.path()).ok().and_then(|m| Some((m.len(), m.modified().ok()?)));
        let again = self.open.load(Ordering::SeqCst) && self.asked.elapsed() > AGAIN;
        if now == self.seen && !anyway && !again {
            return;
        }
        self.seen = now;
        self.asked = Instant::now();
        let open = Arc::clone(&self.open);
        let (tell, targets) = (self.tell.clone(), self.targets.clone());
        apart(async move || {
            let names: Vec<String> =
                targets.iter().map(|t| t.as_ref().map_or_else(String::new, |t| t.name.clone())).collect();
            let show = || {
                let _ = tell.send(Msg::Journal(Arc::new(book(&journal, &names, &identities))));
            };
            show();
            // What an earlier console left open is asked about.
            let unsettled = |system: Option<&str>, database: &str| {
                journal.read().is_ok_and(|r| r.entries.iter().any(|e| e.is_open() && e.is_about(system, database)))
            };
            let mut left = false;
            for (target, identity) in targets.iter().zip(&identities) {
                let (Some(target), Some((system, database))) = (target, identity) else { continue };
                if unsettled(system.as_deref(), database) {
                    let _ = act::settle(&target.conninfo, &journal, system.as_deref(), database).await;
                    left |= unsettled(system.as_deref(), database);
                    show();
                }
            }
            open.store(left, Ordering::SeqCst);
        });
    }
}

/// Asks what runs to stop, and waits a moment for it: before COMMIT it changes nothing and writes so into the journal.
/// What does not end in time, or has sent COMMIT, is found out about at the next start.
pub(super) async fn leave(stops: &HashMap<u64, watch::Sender<bool>>) {
    for stop in stops.values() {
        stop.send_replace(true);
    }
    let over = async {
        for stop in stops.values() {
            stop.closed().await;
        }
    };
    let _ = timeout(LETTING_GO, over).await;
}

/// Work with servers on a thread of its own: judging keeps a processor busy, and nothing here has to be passed between
/// threads.
fn apart<W>(work: W)
where
    W: AsyncFnOnce() + Send + 'static,
{
    tokio::task::spawn_blocking(move || Handle::current().block_on(work()));
}

/// Which database a judgement is of.
pub(super) fn identity(judgement: &Judgement) -> Identity {
    let server = &judgement.snapshot.server;
    (server.system_identifier.clone(), server.database.clone())
}

// ── plans ──────────────────────────────────────────────────────────────────────────────────────────────────────────

pub(super) type Made = Result<Ready, Vec<String>>;

pub(super) fn because(error: &crate::server::ServerError) -> Vec<String> {
    let said = format!("There is no plan: {error}");
    said.lines().map(str::to_owned).chain(error.remedy()).collect()
}

/// What is there now: all that a check asks about, but the sizes.
pub(super) async fn picture(target: &Target, judgement: &Judgement) -> Result<(Snapshot, Reader), Vec<String>> {
    let services = judgement.policy.iter().flat_map(|p| &p.services);
    let mut columns: Vec<String> = services.filter_map(|s| s.tenant_column.clone()).collect();
    columns.sort();
    columns.dedup();
    let want = Want { shapes: true, versions: true, activity: true, tenant_columns: columns, ..Want::default() };
    let mut reader = Reader::open(&target.conninfo, &target.name).await.map_err(|e| because(&e))?;
    let snapshot = reader.snapshot(&want).await.map_err(|e| because(&e))?;
    Ok((snapshot, reader))
}

/// Adds the objects of these schemas.
pub(super) async fn complete(
    snapshot: &mut Snapshot,
    reader: &mut Reader,
    schemas: &BTreeSet<String>,
) -> Result<(), Vec<String>> {
    let unread = |oid: &Oid| !snapshot.objects.0.contains_key(oid);
    let found = schemas.iter().filter_map(|name| snapshot.catalog.schema_named(name)).map(|s| s.oid);
    let oids: Vec<Oid> = found.filter(unread).collect();
    if oids.is_empty() {
        return Ok(());
    }
    let objects = reader.objects(Some(&oids), &snapshot.catalog).await.map_err(|e| because(&e))?;
    snapshot.objects.0.extend(objects.0);
    Ok(())
}

pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Vec<String>> {
    let fault = |_| vec!["A part of the program failed; please report it.".to_owned()];
    tokio::task::spawn_blocking(work).await.map_err(fault)
}

async fn fix(target: &Target, before: &Judgement, only: Vec<String>, except: Vec<String>) -> Made {
    let (mut snapshot, mut reader) = picture(target, before).await?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for _ in 0..READINGS {
        complete(&mut snapshot, &mut reader, &wanted).await?;
        let (policy, lineages, read) = (before.policy.clone(), Arc::clone(&before.lineages), snapshot.clone());
        let (only, except) = (only.clone(), except.clone());
        let made = on_a_thread(move || {
            let judged = Judgement::new(Arc::new(read), policy, lineages, None);
            let only = meant(&judged, only, &except);
            // of all, also where few are meant: how many more can be fixed is known once the names are
            let mut missing: BTreeSet<String> = build::schemas_of_fixes(&judged.findings);
            let plan = build::converge(&judged, &only);
            let unread = build::unread(&judged.snapshot, &plan.ground);
            missing.extend(unread.into_iter().filter_map(|key| key.in_schema().map(str::to_owned)));
            let known = |schema: &String| {
                let found = judged.snapshot.catalog.schema_named(schema);
                found.is_none_or(|s| judged.snapshot.objects.0.contains_key(&s.oid))
            };
            missing.retain(|schema| !known(schema));
            if missing.is_empty() { Ok(fixed(&judged, plan, &only)) } else { Err(missing) }
        })
        .await?;
        match made {
            Ok(ready) => return ready,
            Err(missing) => wanted.extend(missing),
        }
    }
    Err(vec![
        "There is no plan: the schemas change faster than they can be read.".to_owned(),
        "Try again in a moment.".to_owned(),
    ])
}

/// The findings that are meant, by id; empty stands for all.
fn meant(judged: &Judgement, only: Vec<String>, except: &[String]) -> Vec<String> {
    if except.is_empty() {
        return only;
    }
    let fixable = judged.findings.iter().filter(|f| f.fix.as_ref().is_some_and(|fix| !fix.is_empty()));
    let wanted = |id: &String| (only.is_empty() || only.contains(id)) && !except.contains(id);
    let mut ids: Vec<String> = fixable.map(|f| f.id.clone()).filter(wanted).collect();
    if ids.is_empty() {
        // nothing is left, which is not the same as everything
        ids.push(String::new());
    }
    ids
}

/// The plan with all that is shown beside it.
fn fixed(judged: &Judgement, plan: Plan, only: &[String]) -> Made {
    if plan.is_empty() {
        let mut why = vec!["There is nothing to do: it is as the policy wants it by now.".to_owned()];
        if !plan.left.is_empty() {
            why = vec!["Nothing of this can be mended by itself:".to_owned()];
            why.extend(plan.left.iter().map(|left| format!("{}: {}", left.finding, left.why)));
        }
        return Err(why);
    }
    let settled: BTreeSet<&String> = plan.steps.iter().flat_map(|s| &s.resolves).collect();
    let meant: Vec<_> = judged.findings.iter().filter(|f| settled.contains(&f.id)).collect();
    let one = meant.first().filter(|_| meant.len() == 1 && !only.is_empty()).map(|f| format!("Fix: {}", f.message));
    let (place, count) = (shared_place(&meant), settled.len());
    let mut made = ready(judged, plan, one.clone().unwrap_or_default(), Meaning::New, count);
    if one.is_none() {
        // how many it settles is known only now
        let findings = text::count(made.settles as u64, "finding", "findings");
        let all = only.is_empty();
        made.title = if all { format!("Fix everything: {findings}") } else { format!("Fix {findings}{place}") };
        made.plan = made.plan.called(made.title.as_str());
    }
    Ok(made)
}

/// `: role × schema`, what of it all these findings are about.
fn shared_place(findings: &[&Finding]) -> String {
    let first = findings.first();
    let role = first.and_then(|f| f.role.as_ref()).filter(|r| findings.iter().all(|f| f.role.as_ref() == Some(r)));
    let schema =
        first.and_then(|f| f.schema.as_ref()).filter(|s| findings.iter().all(|f| f.schema.as_ref() == Some(s)));
    match (role, schema) {
        (Some(role), Some(schema)) => format!(": {role} × {schema}"),
        (Some(role), None) => format!(": {role}"),
        (None, Some(schema)) => format!(": schema {schema}"),
        (None, None) => String::new(),
    }
}

pub(super) fn ready(judged: &Judgement, plan: Plan, title: String, meaning: Meaning, settles: usize) -> Ready {
    let matrix = Matrix::new(&judged.snapshot.catalog, &judged.snapshot.server);
    let lacks = preflight(&judged.snapshot, &matrix, &plan).iter().map(ToString::to_string).collect();
    let (questions, after) = (Vec::new(), After::default());
    let plan = plan.called(title.as_str());
    let (cells, now) = (Vec::new(), Vec::new());
    let mut ready = Ready { title, plan, meaning, cells, settles, remaining: 0, lacks, now, questions, after };
    if let Ok(after) = predict::predict(&judged.snapshot, ready.plan.steps.iter().map(|s| &s.change)) {
        let after = Judgement::new(Arc::new(after), judged.policy.clone(), Arc::clone(&judged.lineages), None);
        ready.cells = lines::cells(judged, &after, &ready.plan);
        let fixable = |f: &&Finding| f.fix.as_ref().is_some_and(|fix| !fix.is_empty());
        ready.remaining = after.findings.iter().filter(fixable).count();
        if settles > 0 {
            // one change may settle more than it was made for
            let left: BTreeSet<&String> = after.findings.iter().map(|f| &f.id).collect();
            ready.settles = judged.findings.iter().filter(fixable).filter(|f| !left.contains(&f.id)).count();
        }
    }
    ready
}

async fn back(target: &Target, before: &Judgement, state: Option<PathBuf>, id: Option<u64>, redo: bool) -> Made {
    let no_journal = || vec!["There is no journal: no home directory is known.".to_owned()];
    let state = state.ok_or_else(no_journal)?;
    let journal = Journal::in_dir(&state);
    let (system, database) = identity(before);
    let unreadable = |e: crate::audit::JournalError| vec![e.to_string()];
    act::settle(&target.conninfo, &journal, system.as_deref(), &database).await.map_err(unreadable)?;
    let entries = journal.read().map_err(unreadable)?.entries;
    let fits = |e: &&Entry| if redo { e.can_be_redone() } else { e.can_be_undone() };
    let about = |e: &&Entry| e.is_about(system.as_deref(), &database);
    let entry = match id {
        Some(id) => entries.iter().find(|e| e.id == id).filter(about).filter(fits),
        None => entries.iter().rev().filter(about).find(fits),
    };
    let Some(entry) = entry.cloned() else {
        return Err(vec!["There is nothing in the journal that could be taken back here by now.".to_owned()]);
    };
    let first = match entry.link {
        Some(Link::Undoes(first)) if redo => entries.iter().find(|e| e.id == first).cloned(),
        _ => None,
    };
    let (mut snapshot, mut reader) = picture(target, before).await?;
    let done = first.unwrap_or_else(|| entry.clone());
    let schemas = [&entry.plan.ground, &entry.plan.predicted, &done.plan.ground, &done.plan.predicted];
    // a schema that goes again has to be known to be empty, too
    let itself = |key: &Key| match key {
        Key::Schema { name } => Some(name.clone()),
        other => other.in_schema().map(str::to_owned),
    };
    let schemas: BTreeSet<String> = schemas.iter().flat_map(|g| g.keys()).filter_map(itself).collect();
    complete(&mut snapshot, &mut reader, &schemas).await?;
    let (policy, lineages) = (before.policy.clone(), Arc::clone(&before.lineages));
    let name = target.name.clone();
    on_a_thread(move || {
        let (made, cannot) = if redo {
            (build::redo(&snapshot, &done.plan, &entry.plan), "cannot be done again")
        } else {
            (build::back(&snapshot, &entry.plan), "cannot be taken back")
        };
        let mut plan = match made {
            Ok(plan) => plan,
            Err(build::Stale::Moved(moved)) => {
                let mut why = vec![format!("Entry {} {cannot}: what it stands on has moved since.", entry.id)];
                why.extend(moved.iter().map(|m| format!("  {m}")));
                return Err(why);
            }
            Err(build::Stale::Refused(why)) => {
                return Err(vec![format!("Entry {} {cannot}: {why}", entry.id)]);
            }
        };
        if plan.is_empty() {
            return Err(vec![format!("There is nothing to do: what entry {} did is not there any more.", entry.id)]);
        }
        let judged = Judgement::new(Arc::new(snapshot), policy, lineages, None);
        let (word, meaning) =
            if redo { ("Redo", Meaning::Redoes(entry.id)) } else { ("Undo", Meaning::Undoes(entry.id)) };
        let title = format!("{word} entry {}: {}", done.id, done.plan.name());
        let remains = handover::remains(&done.plan, &plan, redo, &state, &name);
        let told = handover::promised(&remains).into_iter();
        plan.notes.extend(told.map(|sentence| Hazard { kind: HazardKind::Note, sentence }));
        if redo {
            plan.notes.extend(handover::renewed(done.id, &plan));
            // so that taking it back once more takes the entry out again
            plan.entry.clone_from(&done.plan.entry);
        }
        let made = ready(&judged, plan, title, meaning, 0);
        let after = After { remains: Some(remains), ..After::default() };
        Ok(Ready { after, ..made })
    })
    .await?
}

// ── running ────────────────────────────────────────────────────────────────────────────────────────────────────────

async fn run(
    target: Option<Arc<Target>>,
    state: Option<PathBuf>,
    tell: mpsc::UnboundedSender<Msg>,
    ticket: u64,
    plan: Approved,
    how: How,
    stop: watch::Receiver<bool>,
) -> Told {
    let nothing = |title: &str| Told::new(Fate::Nothing, title);
    let Some(target) = target else { return nothing("Nothing was changed: there is no server behind this instance.") };
    let Some(state) = state else {
        return nothing("Nothing was changed: there is no place for a journal, because no home directory is known.");
    };
    let How { meaning, rehearse, after } = how;
    let link = match meaning {
        Meaning::New => None,
        Meaning::Undoes(id) => Some(Link::Undoes(id)),
        Meaning::Redoes(id) => Some(Link::Redoes(id)),
    };
    let settles: HashMap<String, Vec<String>> =
        plan.plan().steps.iter().map(|s| (s.id.clone(), s.resolves.clone())).collect();
    let titles: Vec<String> = plan.plan().steps.iter().map(|s| s.title.clone()).collect();
    let lasting = plan.plan().steps.iter().filter(|s| s.is_final()).count();
    let options = ApplyOptions { rehearse, stop: Some(stop), ..ApplyOptions::default() };
    let mut watch = |progress: apply::Progress| {
        let _ = tell.send(Msg::Act(ticket, ActNews::Progress(words(&progress, &titles))));
    };
    let fresh = match Fresh::of(plan.plan(), &target, &state, rehearse) {
        Ok(fresh) => fresh,
        Err(why) => return nothing(&format!("Nothing was changed: {why}.")),
    };
    // what is done again brings its entry back as what remained of it
    let entry = plan.plan().entry.clone().filter(|_| !matches!(meaning, Meaning::Redoes(_)));
    let order = Order { plan, link, options };
    let mut password = |role: &str| fresh.iter().find(|f| f.role == role).map(|f| f.password.clone());
    let acted = Box::pin(act::act(&target, &Journal::in_dir(&state), order, &mut password, &mut watch)).await;
    let mut told = outcome(&acted.outcome, acted.id);
    if let Outcome::NothingChanged(Reason::Failed { step: Some(step), .. }) = &acted.outcome {
        told.refused = settles.get(step).cloned().unwrap_or_default();
    }
    if told.fate == Fate::Committed {
        told.remedy = Some(match meaning {
            Meaning::Undoes(id) => again(&Journal::in_dir(&state), id),
            Meaning::New | Meaning::Redoes(_) => way_back(lasting, titles.len()),
        });
    }
    told.details.extend(acted.unwritten.map(|why| format!("The journal does not say so: {why}")));
    match acted.outcome {
        Outcome::Committed(_) => {
            if !fresh.is_empty() {
                let words = "committed; trying a login as the new role".to_owned();
                let progress = Progress { words, details: Vec::new(), step: None, stoppable: false };
                let _ = tell.send(Msg::Act(ticket, ActNews::Progress(progress)));
            }
            told.aftermath = Some(Box::new(aftermath(&target, fresh, after, entry).await));
        }
        // It may be set, or not: then it had better be known.
        Outcome::Unknown { .. } => told.aftermath = Some(Box::new(kept(fresh))),
        Outcome::NothingChanged(_) | Outcome::RehearsalProven(_) => {}
    }
    told
}

/// What takes back a plan of so many steps, of which some last.
fn way_back(lasting: usize, all: usize) -> String {
    match lasting {
        0 => "Once this is closed, u takes it back.".to_owned(),
        n if n == all => "Nothing takes it back.".to_owned(),
        n => format!("Once this is closed, u takes it back, but for {}.", text::count(n as u64, "step", "steps")),
    }
}

/// What does again what an undo of an entry took back.
fn again(journal: &Journal, id: u64) -> String {
    let entries = journal.read().map(|r| r.entries).unwrap_or_default();
    let role = entries.iter().find(|e| e.id == id).and_then(|e| e.plan.sets_password_of());
    match role {
        Some(role) => format!("u on this entry in the journal does it again, with a new password for {role}."),
        None => "u on this entry in the journal does it again.".to_owned(),
    }
}

pub(super) fn words(progress: &apply::Progress, titles: &[String]) -> Progress {
    let list = |blockers: &[apply::Blocker]| blockers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let said = |words: &str| Progress { words: words.to_owned(), details: Vec::new(), step: None, stoppable: true };
    match progress {
        apply::Progress::Connecting => said("connecting"),
        apply::Progress::WaitingForConsole(blockers) => {
            Progress { details: list(blockers), ..said("another console is at work here; waiting for it") }
        }
        apply::Progress::WaitingForLock { attempt, of, blockers } => Progress {
            details: list(blockers),
            ..said(&format!("locked by others; attempt {attempt} of {of}, nothing is held meanwhile"))
        },
        apply::Progress::Comparing => said("comparing what is there with what the plan was made for"),
        apply::Progress::Step(at) => Progress { step: Some(*at), ..said(titles.get(*at).map_or("", String::as_str)) },
        apply::Progress::Proving => said("reading again: is it as predicted?"),
        apply::Progress::Committing => Progress { stoppable: false, ..said("COMMIT is sent; waiting for the answer") },
        apply::Progress::Resolving => {
            Progress { stoppable: false, ..said("the line broke in COMMIT; asking the server what became of it") }
        }
    }
}

pub(super) fn outcome(outcome: &Outcome, id: Option<u64>) -> Told {
    let entry = id.map(|id| format!(" Journal entry {id}.")).unwrap_or_default();
    match outcome {
        Outcome::Committed(done) => Told {
            fate: Fate::Committed,
            title: format!("Done and committed: read again, it is as predicted.{entry}"),
            details: details(done, true),
            remedy: None,
            refused: Vec::new(),
            aftermath: None,
        },
        Outcome::RehearsalProven(done) => Told {
            fate: Fate::Rehearsed,
            title: format!(
                "Rehearsed: it works and leads where it says. It was rolled back, nothing is changed.{entry}"
            ),
            details: details(done, false),
            remedy: None,
            refused: Vec::new(),
            aftermath: None,
        },
        Outcome::NothingChanged(reason) => Told {
            fate: Fate::Nothing,
            title: format!("Nothing was changed: {reason}."),
            details: reason.details(),
            remedy: Some(reason.remedy())
                .filter(|r| !r.is_empty())
                .map(|r| if matches!(reason, Reason::Stale(_)) { format!("{r}; Enter does") } else { r }),
            refused: Vec::new(),
            aftermath: None,
        },
        Outcome::Unknown { transaction, why } => Told {
            fate: Fate::Unknown,
            title: format!("It is not known whether this was committed: {why}.{entry}"),
            details: vec![
                format!("The line was lost while the server was committing transaction {}.", transaction.xid),
                "Nothing is guessed: the journal keeps it as unknown until the server can be asked.".to_owned(),
            ],
            remedy: Some(format!(
                "When the server answers again the console asks by itself. By hand: SELECT pg_xact_status('{}');",
                transaction.xid
            )),
            refused: Vec::new(),
            aftermath: None,
        },
    }
}

fn details(done: &Done, committed: bool) -> Vec<String> {
    let mut list = Vec::new();
    if committed {
        list.push(format!("Transaction {}.", done.xid));
    }
    let tries = if done.attempts > 1 { format!(", after {} attempts", done.attempts) } else { String::new() };
    list.push(format!("Locks were held for {} ms{tries}.", done.lock_held_ms));
    if done.resolved {
        list.push("The answer to COMMIT was lost; the server was asked and has it.".to_owned());
    }
    if done.awaits_standby {
        list.push("Committed here; a synchronous standby has not answered yet.".to_owned());
    }
    list.extend(done.notices.iter().map(|n| format!("{} {}: {}", n.severity, n.sqlstate, n.message)));
    list.extend(done.moved_since.iter().map(|m| format!("Changed by somebody else since: {m}")));
    list
}

// ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────

async fn end(target: Option<Arc<Target>>, state: Option<PathBuf>, identity: Identity, order: &ending::Order) -> Told {
    let nothing = |title: String| Told::new(Fate::Nothing, title);
    let Some(target) = target else { return nothing("Nothing was sent: there is no server here.".to_owned()) };
    let (kind, past) = match order.way {
        ending::Way::Cancel => (Signal::Cancel, "cancelled"),
        ending::Way::Terminate => (Signal::Terminate, "terminated"),
    };
    let aims: Vec<signal::Aim> = order
        .aims
        .iter()
        .map(|aim| signal::Aim { pid: aim.pid, mark: aim.mark, query_start_us: aim.query_start_us })
        .collect();
    let names: Vec<String> = order.aims.iter().map(|aim| aim.name.clone()).collect();
    let Some(state) = state else { return nothing(format!("Nothing was {past}: there is no place for a journal.")) };
    let sent = act::signal(&target, &Journal::in_dir(&state), identity, kind, &aims, &names).await;
    let told = match sent {
        Ok(told) => told,
        Err(why) => return nothing(format!("Nothing was {past}: {why}.")),
    };
    let hit = told.iter().filter(|t| matches!(t, signal::Told::Ended | signal::Told::Sent)).count();
    let details = order
        .aims
        .iter()
        .zip(&told)
        .map(|(aim, told)| match told {
            signal::Told::Ended => format!("{}: {past}", aim.name),
            signal::Told::Sent => format!("{}: the signal was sent; it has not ended yet", aim.name),
            signal::Told::Vanished(why) => format!("{}: nothing was sent, {why}", aim.name),
            signal::Told::Refused(why) => format!("{}: {why}", aim.name),
            signal::Told::Unknown(why) => format!("{}: not known, {why}", aim.name),
        })
        .collect();
    let unknown = told.iter().filter(|t| matches!(t, signal::Told::Unknown(_))).count();
    let title = match (hit, told.len()) {
        _ if unknown > 0 => {
            format!("The line was lost: of {} it is not known.", text::count(unknown as u64, "session", "sessions"))
        }
        (0, _) => format!("Nothing was {past}."),
        (hit, all) if hit == all => format!("{} {past}.", text::count(hit as u64, "session was", "sessions were")),
        (hit, all) => format!("{hit} of {all} sessions were {past}."),
    };
    let fate = match (unknown, hit) {
        (0, 0) => Fate::Nothing,
        (0, _) => Fate::Committed,
        _ => Fate::Unknown,
    };
    Told { fate, title, details, remedy: None, refused: Vec::new(), aftermath: None }
}

// ── the journal ────────────────────────────────────────────────────────────────────────────────────────────────────

fn book(journal: &Journal, names: &[String], identities: &[Option<Identity>]) -> Book {
    let path = journal.path().display().to_string();
    let read = match journal.read() {
        Ok(read) => read,
        Err(error) => return Book { path, problem: Some(error.to_string()), ..Book::default() },
    };
    let problem = match (read.damaged, read.broken_chain) {
        (_, Some(line)) => Some(format!("The journal was altered, or lost a line, before line {line}.")),
        (0, None) => None,
        (n, None) => Some(format!("{} of the journal cannot be read.", text::count(n as u64, "line", "lines"))),
    };
    let mut entries: Vec<BookEntry> = read.entries.iter().map(|e| written(e, names, identities)).collect();
    entries.extend(read.signals.iter().map(|s| signalled(s, names, identities)));
    entries.sort_by_key(|e| std::cmp::Reverse(e.id));
    Book { entries, path, problem }
}

fn local(us: i64) -> String {
    jiff::Timestamp::from_second(us.div_euclid(1_000_000)).map_or_else(
        |_| "an unknown time".to_owned(),
        |t| t.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

fn written(entry: &Entry, names: &[String], identities: &[Option<Identity>]) -> BookEntry {
    let instance = identities
        .iter()
        .position(|i| i.as_ref().is_some_and(|(system, database)| entry.is_about(system.as_deref(), database)));
    let state = entry.state();
    let (word, tone) = match state {
        State::Running => ("running", Tone::Info),
        State::Committed => ("committed", Tone::Good),
        State::Undone => ("undone", Tone::Dim),
        State::Rehearsed => ("rehearsed", Tone::Info),
        State::NotCommitted => ("not done", Tone::Warning),
        State::Unknown => ("UNKNOWN", Tone::Critical),
        State::Unsettled => ("open", Tone::Warning),
    };
    let details = match &entry.ending {
        None => Vec::new(),
        Some(Ending::Committed { xid, lock_held_ms, notices, resolved }) => {
            let mut list = vec![format!("Transaction {xid}; locks were held for {lock_held_ms} ms.")];
            if *resolved {
                list.push("The answer to COMMIT was lost; the server was asked.".to_owned());
            }
            list.extend(notices.iter().cloned());
            list
        }
        Some(Ending::Rehearsed { lock_held_ms }) => {
            vec![format!("Done, proven and rolled back; locks were held for {lock_held_ms} ms.")]
        }
        Some(Ending::NotCommitted { why, details }) => {
            std::iter::once(format!("Nothing was changed: {why}.")).chain(details.iter().cloned()).collect()
        }
        Some(Ending::Unknown { why }) => vec![format!("It is not known whether it was committed: {why}.")],
    };
    let target = match instance.and_then(|i| names.get(i)) {
        Some(name) if *name != entry.plan.target.database => format!("{name} · {}", entry.plan.target.database),
        Some(name) => name.clone(),
        None => entry.target.clone(),
    };
    let undo = entry.plan.steps.iter().rev().filter_map(|s| s.undo.as_ref()).flatten().cloned().collect();
    BookEntry {
        id: entry.id,
        instance,
        at_us: entry.at_us,
        at: local(entry.at_us),
        who: entry.who.os_user.clone(),
        target,
        what: entry.plan.name(),
        state: word,
        tone,
        details,
        undone_by: entry.undone_by,
        meaning: match entry.link {
            None => Meaning::New,
            Some(Link::Undoes(id)) => Meaning::Undoes(id),
            Some(Link::Redoes(id)) => Meaning::Redoes(id),
        },
        can_undo: entry.can_be_undone(),
        can_redo: entry.can_be_redone(),
        steps: entry.plan.steps.iter().map(|s| (s.title.clone(), s.sql.clone())).collect(),
        undo,
    }
}

fn signalled(entry: &crate::audit::SignalEntry, names: &[String], identities: &[Option<Identity>]) -> BookEntry {
    let instance = identities.iter().position(|i| {
        i.as_ref().is_some_and(|(system, database)| {
            entry.intent.database == *database
                && (system.is_none()
                    || entry.intent.system_identifier.is_none()
                    || *system == entry.intent.system_identifier)
        })
    });
    let (state, tone) = match &entry.told {
        Some(told) if told.iter().any(|t| t.starts_with("not known")) => ("UNKNOWN", Tone::Critical),
        Some(told) if told.iter().any(|t| t.starts_with("sent")) => ("sent", Tone::Good),
        Some(_) => ("not sent", Tone::Warning),
        None => ("open", Tone::Warning),
    };
    let told = entry.told.clone().unwrap_or_default();
    let intent = &entry.intent;
    let details =
        intent.sessions.iter().enumerate().map(|(i, s)| format!("{s}: {}", told.get(i).map_or("?", String::as_str)));
    BookEntry {
        id: entry.id,
        instance,
        at_us: entry.at_us,
        at: local(entry.at_us),
        who: intent.who.os_user.clone(),
        target: instance.and_then(|i| names.get(i)).cloned().unwrap_or_else(|| intent.target.clone()),
        what: format!("{} {}", intent.signal, text::list(&intent.sessions, 3)),
        state,
        tone,
        details: details.collect(),
        undone_by: None,
        meaning: Meaning::New,
        can_undo: false,
        can_redo: false,
        steps: Vec::new(),
        undo: Vec::new(),
    }
}

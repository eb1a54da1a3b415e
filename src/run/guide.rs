//! The loop of the guided set-up: the terminal's keys in, what is to be done out to the steps of [`super::setup`], one task
//! each, and their answers back as messages. Holds what the screens must not: the target with its password.

mod facts;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use super::{
    Faults, RunError, Signal, Signals,
    acts::{outcome, ready, words},
    setup::{self, Fresh, Judged, Opened, Trouble, Writing},
};
use crate::{
    app::{
        act::{ActNews, Aftermath, Fate, Hidden, Meaning, Ready, Told},
        view::Tone,
        wizard::{Effect, Left, Msg, Step, Wizard},
    },
    config::{Config, Env, Error, Target, conninfo::Settings, entry::Entry, target},
    discover::{Around, Discovery, Found, discover, files::Disk},
    plan::Approved,
    policy::draft::Kept,
    server::apply::Outcome,
    tui::{
        input,
        terminal::{CLIPBOARD, Terminal, TerminalEvent},
        theme::{Depth, Theme},
    },
};

/// What the set-up is opened with.
pub struct GuideOptions {
    pub theme: String,
    /// Where people keep their own themes.
    pub themes: Option<PathBuf>,
    pub no_color: bool,
    pub env: Env,
    /// Where Compose files are looked for.
    pub dir: PathBuf,
    /// A server that was named.
    pub conninfo: Option<String>,
    /// Nothing is changed on any server: what would be is only shown.
    pub read_only: bool,
    /// The configuration that gets the instance.
    pub config: PathBuf,
    /// Names and connection strings of the instances that it has.
    pub taken: Vec<(String, String)>,
    /// Where the policy is written; `None`: `NAME.policy.toml` in `dir`.
    pub policy: Option<PathBuf>,
    /// Journal, hand-over files, and the answers while it is not finished.
    pub state: Option<PathBuf>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuideEnded {
    /// In the middle, at this step: the answers are kept.
    Kept(Step),
    Done,
    /// Done, and the console is wanted.
    Console,
    /// By a signal, or because the terminal is gone; the answers are kept.
    Interrupted,
}

/// News of the tasks: for the screens, with what is remembered here.
enum News {
    Msg(Msg),
    Found(Box<Discovery>),
    Opened(u64, Result<Box<Connected>, Trouble>),
    Judged(u64, Result<Box<(Opened, Judged, Box<Ready>)>, Trouble>),
    Acted(u64, Box<Told>, Vec<Fresh>),
    Files(u64, Result<Vec<Writing>, Trouble>),
}

/// A server that let us in.
struct Connected {
    opened: Opened,
    url: String,
    place: Option<usize>,
    passing: bool,
}

/// Between two steps of the clock.
const TICK: Duration = Duration::from_secs(1);

/// See the module.
struct Guide {
    options: GuideOptions,
    tell: mpsc::UnboundedSender<News>,
    found: Discovery,
    opened: Option<Arc<Opened>>,
    /// Where the target was found.
    place: Option<usize>,
    judged: Option<Arc<Judged>>,
    writings: Vec<Writing>,
    stops: HashMap<u64, watch::Sender<bool>>,
    passwords: Vec<(String, String)>,
    /// The login's password stands nowhere that the next start looks.
    passing: bool,
}

/// Opens the set-up and runs it until it is left. The terminal is given back when this returns or is dropped.
///
/// # Errors
/// [`RunError`]: the terminal or the theme cannot be used, or a fault.
pub async fn guide(options: GuideOptions) -> Result<GuideEnded, RunError> {
    let theme = Theme::load(&options.theme, options.themes.as_deref(), Depth::of_terminal(options.no_color))?;
    let mut signals = Signals::new()?;
    let clock = Instant::now();
    let (tell, mut terminal_events) = mpsc::channel(256);
    let mut terminal = Terminal::new(theme, false, tell)?;
    let mut faults = Faults::watch(&terminal);
    let (tell, mut news) = mpsc::unbounded_channel();

    let earlier = options.state.as_deref().map(|state| setup::kept(state, &options.dir)).unwrap_or_default();
    let (mut wizard, begun) = Wizard::new(earlier, options.conninfo.clone(), options.taken.clone());
    let mut guide = Guide {
        options,
        tell,
        found: Discovery::default(),
        opened: None,
        place: None,
        judged: None,
        writings: Vec::new(),
        stops: HashMap::new(),
        passwords: Vec::new(),
        passing: false,
    };
    let resize = |wizard: &mut Wizard| {
        let (width, height) = Terminal::size();
        wizard.update(Msg::Resize(width, height));
    };
    resize(&mut wizard);
    terminal.draw(wizard.view())?;
    let mut effects = begun;
    let mut painting: Option<(u64, u64)> = None;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ended = 'guide: loop {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Leave(left) => {
                    break 'guide match left {
                        Left::Kept => GuideEnded::Kept(wizard.step()),
                        Left::Done => GuideEnded::Done,
                        Left::Console => GuideEnded::Console,
                    };
                }
                Effect::Suspend => {
                    terminal.suspend()?;
                    resize(&mut wizard);
                }
                Effect::Redraw => terminal.forget(),
                Effect::Copy(text) if text.len() > CLIPBOARD => {
                    let words = "too long for a terminal's clipboard; w writes it to a file".to_owned();
                    wizard.update(Msg::Notice(words, Tone::Warning));
                }
                Effect::Copy(text) => terminal.copy(&text)?,
                other => guide.start(other),
            }
        }
        if terminal.idle() {
            let before = terminal.sent();
            terminal.draw(wizard.view())?;
            let (pieces, frame) = (terminal.sent(), wizard.frame());
            if pieces == before {
                // nothing differs: this frame is what stands on the screen
                wizard.update(Msg::Drawn(frame));
            } else {
                painting = Some((pieces, frame));
            }
        }
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::End => break GuideEnded::Interrupted,
                Signal::Size => resize(&mut wizard),
                Signal::Stop => effects.push(Effect::Suspend),
                Signal::Continued => terminal.resume()?,
            },
            Some(()) = faults.next() => return Err(RunError::Fault),
            event = terminal_events.recv() => match event {
                Some(TerminalEvent::Closed) | None => break GuideEnded::Interrupted,
                Some(TerminalEvent::Written(out)) => {
                    if let Some((_, frame)) = painting.take_if(|(pieces, _)| *pieces <= out) {
                        effects.extend(wizard.update(Msg::Drawn(frame)));
                    }
                }
                Some(TerminalEvent::Input(event)) => effects.extend(match event {
                    input::Event::Key(key) => wizard.update(Msg::Key(key)),
                    input::Event::Paste(text) => wizard.update(Msg::Paste(text)),
                    input::Event::Mouse(_) => Vec::new(),
                }),
            },
            Some(told) = news.recv() => {
                let msg = guide.take(told);
                effects.extend(wizard.update(msg));
            }
            _ = ticks.tick() => {
                effects.extend(wizard.update(Msg::Tick(clock.elapsed().as_millis() as u64)));
            }
        }
    };
    drop(terminal);
    super::acts::leave(&guide.stops).await;
    Ok(ended)
}

/// Work on a thread of its own: it keeps a processor busy, and nothing in it has to be passed between threads.
fn apart<W>(work: W)
where
    W: AsyncFnOnce() + Send + 'static,
{
    tokio::task::spawn_blocking(move || Handle::current().block_on(work()));
}

impl Guide {
    /// Remembers what came back, and says it to the screens.
    fn take(&mut self, news: News) -> Msg {
        match news {
            News::Msg(msg) => msg,
            News::Found(discovery) => {
                let around = facts::around(&discovery, &self.options.dir);
                self.found = *discovery;
                Msg::Found(Arc::new(around))
            }
            News::Opened(ticket, result) => Msg::Opened(
                ticket,
                match result {
                    Ok(opened) => {
                        let Connected { opened, url, place, passing } = *opened;
                        self.passing = passing;
                        let found = place.and_then(|at| self.found.found.get(at));
                        let shown = facts::opened(&opened, url, found);
                        self.opened = Some(Arc::new(opened));
                        self.place = place;
                        self.judged = None;
                        Ok(Box::new(shown))
                    }
                    Err(trouble) => Err(facts::trouble(&trouble)),
                },
            ),
            News::Judged(ticket, result) => Msg::Judged(
                ticket,
                match result {
                    Ok(judged) => {
                        let (opened, judged, ready) = *judged;
                        let shown = facts::judged(&opened, &judged, ready);
                        self.opened = Some(Arc::new(opened));
                        self.judged = Some(Arc::new(judged));
                        Ok(Box::new(shown))
                    }
                    Err(trouble) => Err(facts::lines(&trouble)),
                },
            ),
            News::Acted(ticket, told, fresh) => {
                for one in fresh {
                    self.passwords.retain(|(role, _)| *role != one.role);
                    self.passwords.push((one.role, one.file.display().to_string()));
                }
                Msg::Act(ticket, ActNews::Over(*told))
            }
            News::Files(ticket, result) => Msg::Files(
                ticket,
                match result {
                    Ok(writings) => {
                        let texts = writings.iter().map(facts::text).collect();
                        self.writings = writings;
                        Ok(texts)
                    }
                    Err(trouble) => Err(facts::lines(&trouble)),
                },
            ),
        }
    }

    /// Begins what is to be done.
    fn start(&mut self, effect: Effect) {
        let tell = self.tell.clone();
        match effect {
            Effect::Look => {
                let (env, dir) = (self.options.env.clone(), self.options.dir.clone());
                apart(async move || {
                    let found = discover(&dir, &[], &Around::here(&env, &Disk)).await;
                    let _ = tell.send(News::Found(Box::new(found)));
                });
            }
            Effect::Open { ticket, conninfo, place, password } => self.open(ticket, conninfo, place, password),
            Effect::Judge { ticket, mut draft } => {
                let Some(opened) = self.opened.clone() else { return };
                apart(async move || {
                    let result = Box::pin(async {
                        // by what is there now: somebody may have changed it since, and so may we
                        let opened = setup::open(&opened.target).await?;
                        draft.look(&opened.snapshot);
                        let judged = setup::judge(&opened, &draft).await?;
                        let ready = proposed(&judged).await?;
                        Ok(Box::new((opened, judged, ready)))
                    });
                    let _ = tell.send(News::Judged(ticket, result.await));
                });
            }
            Effect::Rehearse { ticket, ready } => self.act(ticket, ready.plan.clone().approve(), true),
            Effect::Apply { ticket, approved } => self.act(ticket, *approved, false),
            Effect::Stop(ticket) => {
                if let Some(stop) = self.stops.get(&ticket) {
                    stop.send_replace(true);
                }
            }
            Effect::Files { ticket, kept } => {
                let result = self.files(&kept);
                let _ = tell.send(News::Files(ticket, result));
            }
            Effect::WriteFiles { ticket } => {
                let writings = self.writings.clone();
                apart(async move || {
                    let result = setup::write(&writings).map_err(|t| facts::lines(&t));
                    let _ = tell.send(News::Msg(Msg::Written(ticket, result)));
                });
            }
            Effect::Prove { ticket } => self.prove(ticket),
            Effect::Resume(kept) => self.passwords = kept.passwords,
            Effect::Keep(kept) => {
                let Some(state) = &self.options.state else { return };
                let policy_file = self.options.policy.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
                let kept = Kept { policy_file, passwords: self.passwords.clone(), ..self.placed(*kept) };
                if let Err(trouble) = setup::keep(state, &kept) {
                    let words = format!("{}. {}", trouble.message, trouble.remedy);
                    let _ = tell.send(News::Msg(Msg::Notice(words, Tone::Warning)));
                }
            }
            Effect::Forget(kept) => {
                if let Some(state) = &self.options.state {
                    setup::forget(state, &self.placed(*kept));
                }
            }
            Effect::Remember => {
                let Some(opened) = self.opened.clone() else { return };
                let (words, tone) = match setup::remember_password(&opened.target.conninfo, &self.options.env) {
                    Ok(path) => {
                        self.passing = false;
                        (format!("Written to {}; only you can read it.", path.display()), Tone::Good)
                    }
                    Err(trouble) => (format!("{}. {}", trouble.message, trouble.remedy), Tone::Warning),
                };
                let _ = tell.send(News::Msg(Msg::Notice(words, tone)));
            }
            Effect::Write { path, text } => {
                tokio::task::spawn_blocking(move || {
                    let (words, tone) = super::write(&path, &text);
                    let _ = tell.send(News::Msg(Msg::Notice(words, tone)));
                });
            }
            // the loop's own
            Effect::Leave(_) | Effect::Suspend | Effect::Redraw | Effect::Copy(_) => {}
        }
    }

    /// With the folder that it was begun in.
    fn placed(&self, kept: Kept) -> Kept {
        let dir = if kept.dir.is_empty() { self.options.dir.display().to_string() } else { kept.dir.clone() };
        Kept { dir, ..kept }
    }

    fn open(&self, ticket: u64, conninfo: String, place: Option<usize>, password: Option<Hidden>) {
        let (tell, env, read_only) = (self.tell.clone(), self.options.env.clone(), self.options.read_only);
        let found = place.and_then(|at| self.found.found.get(at)).and_then(|f| f.password.clone());
        apart(async move || {
            let result = Box::pin(connect(conninfo, place, password, found, read_only, &env));
            let _ = tell.send(News::Opened(ticket, result.await));
        });
    }

    fn act(&mut self, ticket: u64, plan: Approved, rehearse: bool) {
        let (Some(opened), tell) = (self.opened.clone(), self.tell.clone()) else { return };
        let nothing = |title: String| Told::new(Fate::Nothing, title);
        let Some(state) = self.options.state.clone() else {
            let told = nothing("Nothing was changed: there is no place for a journal.".to_owned());
            let _ = tell.send(News::Acted(ticket, Box::new(told), Vec::new()));
            return;
        };
        let (stop, stopped) = watch::channel(false);
        self.stops.retain(|_, stop| !stop.is_closed());
        self.stops.insert(ticket, stop);
        // the files of passwords are named by what the instance is called
        let target = Target { name: plan.plan().target.instance.clone(), ..opened.target.clone() };
        apart(async move || {
            let titles: Vec<String> = plan.plan().steps.iter().map(|s| s.title.clone()).collect();
            let said = tell.clone();
            let mut progress = move |p: crate::server::apply::Progress| {
                let news = ActNews::Progress(words(&p, &titles));
                let _ = said.send(News::Msg(Msg::Act(ticket, news)));
            };
            let applied = setup::apply(&target, &state, plan, rehearse, stopped, &mut progress);
            let (told, fresh) = match Box::pin(applied).await {
                Ok(applied) => {
                    let mut told = outcome(&applied.acted.outcome, applied.acted.id);
                    if matches!(applied.acted.outcome, Outcome::Committed(_)) {
                        told.remedy = None;
                    }
                    told.details
                        .extend(applied.acted.unwritten.map(|why| format!("The journal does not say so: {why}")));
                    let said: Vec<_> = applied.passwords.iter().map(facts::password).collect();
                    told.aftermath = (!said.is_empty()).then(|| Box::new(Aftermath { said, handover: None }));
                    (told, applied.passwords)
                }
                Err(trouble) => (nothing(format!("Nothing was changed: {}.", trouble.message)), Vec::new()),
            };
            let _ = tell.send(News::Acted(ticket, Box::new(told), fresh));
        });
    }

    fn files(&self, kept: &Kept) -> Result<Vec<Writing>, Trouble> {
        let lost = || setup::Trouble {
            kind: setup::Kind::Fault,
            message: "could not write the policy: nothing was judged yet".to_owned(),
            remedy: "Go back to the plan.".to_owned(),
        };
        let judged = self.judged.as_ref().ok_or_else(lost)?;
        let entry = Entry {
            name: kept.draft.name.clone(),
            url: kept.url.clone(),
            environment: facts::careful(&kept.environment),
            policy: None,
        };
        let begun = Some(PathBuf::from(&kept.dir)).filter(|dir| dir.is_dir());
        let begun = begun.unwrap_or_else(|| self.options.dir.clone());
        let here = || begun.join(format!("{}.policy.toml", kept.draft.name));
        let path = self.options.policy.clone().unwrap_or_else(here);
        // one of ours may go: it is kept beside the new one
        setup::files(&self.options.config, &entry, &path, &setup::policy_text(&judged.policy, &path), true)
    }

    fn prove(&self, ticket: u64) {
        let (Some(opened), Some(judged), tell) = (self.opened.clone(), self.judged.clone(), self.tell.clone()) else {
            return;
        };
        let mut known: BTreeMap<String, SecretString> = BTreeMap::new();
        let found = self.place.and_then(|at| self.found.found.get(at));
        let inside = found.and_then(Found::inside).map(|(name, port)| (name.to_owned(), port));
        for neighbour in found.iter().flat_map(|f| &f.neighbours) {
            if let (Some(user), Some(password)) = (&neighbour.user, &neighbour.password) {
                known.insert(user.clone(), password.clone());
            }
        }
        let tries = setup::Tries { state: self.options.state.clone(), known };
        let fresh: Vec<Fresh> =
            self.passwords.iter().map(|(role, file)| Fresh { role: role.clone(), file: PathBuf::from(file) }).collect();
        let (env, writings) = (self.options.env.clone(), self.writings.clone());
        let passing = self.passing;
        apart(async move || {
            let inside = inside.as_ref().map(|(name, port)| (name.as_str(), *port));
            let mut proven = Box::pin(facts::proven(&opened, &judged, &tries, &env, &fresh, &writings, inside)).await;
            proven.proofs.extend(facts::asked_again(&opened.target.conninfo).filter(|_| passing));
            let _ = tell.send(News::Msg(Msg::Proven(ticket, Box::new(proven))));
        });
    }
}

/// The plan with all that is shown beside it.
async fn proposed(judged: &Judged) -> Result<Box<Ready>, Trouble> {
    let (judgement, plan) = (Arc::clone(&judged.judgement), judged.plan.clone());
    let settled: std::collections::BTreeSet<&String> = plan.steps.iter().flat_map(|s| &s.resolves).collect();
    let settles = settled.len();
    let made = super::acts::on_a_thread(move || {
        let title = "Set up".to_owned();
        let mut ready = ready(&judgement, plan, title, Meaning::New, settles);
        ready.remaining = 0;
        Box::new(ready)
    });
    made.await.map_err(|why| Trouble {
        kind: setup::Kind::Fault,
        message: why.join(" "),
        remedy: "Please report it.".to_owned(),
    })
}

async fn connect(
    conninfo: String,
    place: Option<usize>,
    password: Option<Hidden>,
    found: Option<SecretString>,
    read_only: bool,
    env: &Env,
) -> Result<Box<Connected>, Trouble> {
    let wrong = |e: Error| Trouble { kind: setup::Kind::Wrong, message: e.message, remedy: e.remedy };
    let targets = vec![conninfo.clone()];
    let options = target::TargetOptions { targets, read_only, ..target::TargetOptions::default() };
    let mut target = target::resolve_one(&options, &Config::default(), env).map_err(wrong)?;
    match password {
        Some(Hidden(typed)) => target.conninfo.password = Some(SecretString::clone(&typed)),
        None if !target.conninfo.has_password() => target.conninfo.password = found,
        None => {}
    }
    let given = Settings::parse(&conninfo).unwrap_or_default();
    let url = target.conninfo.url_of(given).map_err(wrong)?;
    let opened = setup::open(&target).await?;
    let options = target::TargetOptions { targets: vec![url.clone()], ..target::TargetOptions::default() };
    let later = target::resolve_one(&options, &Config::default(), env).is_ok_and(|t| t.conninfo.has_password());
    let passing = !later && opened.target.conninfo.has_password();
    Ok(Box::new(Connected { opened, url, place, passing }))
}

//! The composition root of the console: the one loop that knows app, tui and server. Every instance has its task, every
//! judgement a thread; the loop only passes messages, executes effects and lets the screen be painted.
//!
//! ```text
//!  tty ── keys ──▶ ┌──────┐ ── Msg ──▶ App ── Effect ──▶ sessions, files, clipboard
//!  sessions ─────▶ │ loop │              └─── Screen ──▶ terminal (when it is idle)
//!  judges   ─────▶ └──────┘
//! ```

pub mod act;
mod acts;
pub(crate) mod aftermath;
pub mod guide;
pub mod handover;
mod judge;
mod proposals;
mod rules;
pub mod setup;

use std::{
    panic,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

pub use self::rules::{LoadRules, Rules, lineages};
use self::{
    acts::{Acts, How},
    judge::{Judged, Judges},
};
use crate::{
    app::{
        App, Effect, InstanceMsg, Msg,
        act::After,
        instance::Instance,
        keymap::{KeyError, Keymap},
        panes::Want,
        view::Tone,
    },
    config::{Target, target::Environment},
    domain::{
        link::{Link, LinkState},
        snapshot::Snapshot,
    },
    server::session::{self, Command, Event, SessionConfig},
    tui::{
        input,
        terminal::{CLIPBOARD, Terminal, TerminalEvent},
        theme::{Depth, Theme, ThemeError},
    },
};

/// What the console is opened on, and how.
pub struct ConsoleOptions {
    pub instances: Vec<ConsoleInstance>,
    /// Name of the theme.
    pub theme: String,
    /// Where people keep their own themes.
    pub themes: Option<PathBuf>,
    pub no_color: bool,
    /// Wheel and presses; off leaves selecting text to the terminal.
    pub mouse: bool,
    /// `[keys]`: action id and keys.
    pub keys: Vec<(String, String)>,
    /// Between two readings of the sessions.
    pub refresh: Duration,
    /// Between two readings of the catalog, at least.
    pub catalog_refresh: Duration,
    /// Where the journal is; `None`: nowhere, and then nothing can be changed.
    pub state: Option<PathBuf>,
    /// What another database of a shown server is opened as; blocks on files. `None`: none can be opened.
    pub open: Option<OpenDatabase>,
}

/// From a server that is shown and the name of a database of it to the instance; or why not, in words.
pub type OpenDatabase = Arc<dyn Fn(&Target, &str) -> Result<ConsoleInstance, String> + Send + Sync>;

/// One instance to show.
pub struct ConsoleInstance {
    pub name: String,
    pub environment: Environment,
    pub read_only: bool,
    /// False: no session is ended.
    pub allow_signals: bool,
    pub source: Source,
    /// File name of the policy, for the screen; `None` without one.
    pub policy_name: Option<String>,
    /// Reads the policy and the revision scripts anew, when a file changed. `None`: no policy.
    pub rules: Option<LoadRules>,
    /// As they were read at the start.
    pub first_rules: Rules,
    /// What asks the same from a shell, for the screen.
    pub command: Option<String>,
}

/// Where an instance's picture comes from.
pub enum Source {
    Server(Box<Target>),
    /// A picture taken earlier: shown and judged, marked, never refreshed.
    Recording(Arc<Snapshot>),
}

/// How the console ended when nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Quit,
    /// By a signal, or because the terminal is gone.
    Interrupted,
}

/// The console could not be opened, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Theme(#[from] ThemeError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(
        "could not open the console: the terminal refuses: {0}\nuse it on a terminal, or `pgmoat check` without one"
    )]
    Terminal(#[from] std::io::Error),
    /// A fault of the program; the panic hook has said what.
    #[error("could not go on: a part of the program failed\nplease report it")]
    Fault,
}

/// How many messages are taken in before the screen is painted again.
const BATCH: usize = 256;
/// How long sessions may take to say goodbye at the end.
const GOODBYE: Duration = Duration::from_millis(300);
/// Between two looks at the files of policies and revisions.
const FILES: Duration = Duration::from_secs(2);

/// Opens the console and runs it until it is left. The terminal is given back when this returns or is dropped.
pub async fn console(options: ConsoleOptions) -> Result<Ended, RunError> {
    let theme = Theme::load(&options.theme, options.themes.as_deref(), Depth::of_terminal(options.no_color))?;
    let keymap = Keymap::new(options.keys.iter().map(|(id, keys)| (id.as_str(), keys.as_str())))?;
    let mut signals = Signals::new()?;
    let clock = Instant::now();
    let (tell, mut terminal_events) = mpsc::channel(256);
    let mut terminal = Terminal::new(theme, options.mouse, tell)?;
    let mut faults = Faults::watch(&terminal);

    let instances = options.instances.iter().map(|i| shown(i, options.refresh)).collect();
    let mut run = Run { app: App::new(instances, keymap), sessions: Vec::new(), clock };
    run.tick();
    run.resize();
    terminal.draw(run.app.view())?;

    let (tell, mut session_events) = mpsc::channel(64);
    let (judged, mut judgements) = mpsc::unbounded_channel();
    let mut judges = Judges::new(judged);
    let (told, mut notices) = mpsc::unbounded_channel();
    let (tell_news, mut news) = mpsc::unbounded_channel();
    let mut acts = Acts::new(options.state, tell_news);
    for instance in options.instances {
        run.start(instance, options.refresh, options.catalog_refresh, &tell, &mut judges, &mut acts);
    }
    let (tell_opened, mut opened) = mpsc::unbounded_channel::<(Arc<Target>, Result<ConsoleInstance, String>)>();
    acts.journal(true, run.identities());
    // The frame that is being written, and how many pieces are out when it stands on the screen.
    let mut painting: Option<(u64, u64)> = None;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut files = interval(FILES);
    files.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ended = 'console: loop {
        let mut effects = Vec::new();
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Signal::End => break Ended::Interrupted,
                Signal::Size => run.resize(),
                Signal::Stop => effects.push(Effect::Suspend),
                Signal::Continued => terminal.resume()?,
            },
            Some(()) = faults.next() => return Err(RunError::Fault),
            event = terminal_events.recv() => {
                let mut next = event;
                for _ in 0..BATCH {
                    match next {
                        Some(TerminalEvent::Closed) | None => break 'console Ended::Interrupted,
                        Some(TerminalEvent::Written(out)) => {
                            if let Some((_, frame)) = painting.take_if(|(pieces, _)| *pieces <= out) {
                                run.app.update(Msg::Drawn(frame));
                            }
                        }
                        Some(TerminalEvent::Input(event)) => effects.extend(run.input(event)),
                    }
                    match terminal_events.try_recv() {
                        Ok(event) => next = Some(event),
                        Err(_) => break,
                    }
                }
            }
            Some((index, event)) = session_events.recv() => run.session(index, event, &mut judges),
            Some((index, judged)) = judgements.recv() => {
                let before = run.identities();
                run.judged(index, judged, &mut judges);
                if run.identities() != before {
                    acts.journal(true, run.identities());
                }
            }
            Some(msg) = news.recv() => effects.extend(run.app.update(msg)),
            Some((server, made)) = opened.recv() => {
                run.opened(&server, made, options.catalog_refresh, &tell, &mut judges, &mut acts);
            }
            Some((text, tone)) = notices.recv() => effects.extend(run.app.update(Msg::Notice(text, tone))),
            _ = ticks.tick() => run.tick(),
            _ = files.tick() => {
                judges.look();
                acts.journal(false, run.identities());
            }
        }
        for effect in effects {
            match effect {
                Effect::Quit => break 'console Ended::Quit,
                Effect::Suspend => {
                    terminal.suspend()?;
                    run.tick();
                    run.resize();
                }
                Effect::Redraw => terminal.forget(),
                Effect::Copy(text) if text.len() > CLIPBOARD => {
                    let words = "too long for a terminal's clipboard; w writes it to a file".to_owned();
                    run.app.update(Msg::Notice(words, Tone::Warning));
                }
                Effect::Copy(text) => terminal.copy(&text)?,
                Effect::Write { path, text } => {
                    let told = told.clone();
                    tokio::task::spawn_blocking(move || {
                        let _ = told.send(write(&path, &text));
                    });
                }
                Effect::Refresh(only) => run.command(only, || Command::RefreshNow),
                Effect::Pause(paused) => run.command(None, || Command::Pause(paused)),
                Effect::Interval(ms) => run.command(None, || Command::Interval(Duration::from_millis(ms))),
                Effect::Want(want) => run.want(want),
                Effect::Plan { ticket, instance, ask } => acts.plan(ticket, instance, ask, run.judgement(instance)),
                Effect::Rehearse { ticket, instance, ready } => {
                    let how = How { meaning: ready.meaning, rehearse: true, after: After::default() };
                    acts.act(ticket, instance, ready.plan.clone().approve(), how);
                }
                Effect::Apply { ticket, instance, approved, meaning, after } => {
                    let how = How { meaning, rehearse: false, after: *after };
                    acts.act(ticket, instance, *approved, how);
                }
                Effect::StopAction(ticket) => acts.stop(ticket),
                Effect::Signal { ticket, instance, ordered } => {
                    if let Some(judgement) = run.judgement(instance) {
                        acts.signal(ticket, instance, ordered.order().clone(), acts::identity(&judgement));
                    }
                }
                Effect::ReadJournal => acts.journal(true, run.identities()),
                Effect::Open { instance, database } => match (acts.target(instance), options.open.clone()) {
                    (Some(server), Some(open)) => {
                        let tell_opened = tell_opened.clone();
                        tokio::task::spawn_blocking(move || {
                            let made = open(&server, &database);
                            let _ = tell_opened.send((server, made));
                        });
                    }
                    (None, _) | (_, None) => {
                        let words = format!("{database} cannot be opened from here");
                        run.app.update(Msg::Notice(words, Tone::Warning));
                    }
                },
            }
        }
        if terminal.idle() {
            let before = terminal.sent();
            terminal.draw(run.app.view())?;
            let (pieces, frame) = (terminal.sent(), run.app.frame());
            if pieces == before {
                // nothing differs: this frame is what stands on the screen
                run.app.update(Msg::Drawn(frame));
            } else {
                painting = Some((pieces, frame));
            }
            for want in run.app.wants() {
                run.want(want);
            }
        }
    };
    drop(terminal);
    tokio::join!(run.goodbye(), acts.goodbye());
    Ok(ended)
}

/// An instance as it is shown before anything is known.
fn shown(instance: &ConsoleInstance, refresh: Duration) -> Instance {
    let recorded = matches!(instance.source, Source::Recording(_));
    let state = if recorded { LinkState::Ready } else { LinkState::Connecting };
    Instance {
        name: instance.name.clone(),
        environment: instance.environment,
        read_only: instance.read_only,
        allow_signals: instance.allow_signals,
        policy_name: instance.policy_name.clone(),
        policy_problem: None,
        link: Link { state, interval_ms: refresh.as_millis() as u64, ..Link::default() },
        judgement: None,
        revision: 0,
        first_sizes: None,
        recorded,
        command: instance.command.clone(),
    }
}

/// Writes to a file that is not there yet; what to say about it.
fn write(path: &str, text: &str) -> (String, Tone) {
    use std::io::Write as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    match made.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n"))) {
        Ok(()) => (format!("written to {path}"), Tone::Good),
        Err(error) => (format!("could not write {path}: {error}"), Tone::Error),
    }
}

/// The task of one server.
struct Session {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Session {
    fn start(config: SessionConfig, events: mpsc::Sender<(usize, Event)>) -> Session {
        let (commands, inbox) = mpsc::channel(32);
        Session { commands, task: session::spawn(config, events, inbox) }
    }
}

/// The state of the loop.
struct Run {
    app: App,
    /// By position of the instance; `None` for a recording.
    sessions: Vec<Option<Session>>,
    clock: Instant,
}

impl Run {
    /// Starts the next instance: its task, its judge, its place among those that can be acted on.
    fn start(
        &mut self,
        instance: ConsoleInstance,
        refresh: Duration,
        catalog_refresh: Duration,
        tell: &mpsc::Sender<(usize, Event)>,
        judges: &mut Judges,
        acts: &mut Acts,
    ) {
        let index = self.sessions.len();
        judges.add(instance.rules, instance.first_rules);
        let session = match instance.source {
            Source::Server(target) => {
                let mut config = SessionConfig::new(index, &instance.name, target.conninfo.clone());
                acts.add(Some(Arc::new(*target)));
                config.refresh = refresh;
                config.catalog_refresh = catalog_refresh;
                config.clock = self.clock;
                Some(Session::start(config, tell.clone()))
            }
            Source::Recording(snapshot) => {
                judges.snapshot(index, snapshot);
                acts.add(None);
                None
            }
        };
        self.sessions.push(session);
    }

    /// Another database of a server, beside the instances; one that is there already is looked at.
    fn opened(
        &mut self,
        server: &Target,
        made: Result<ConsoleInstance, String>,
        catalog_refresh: Duration,
        tell: &mpsc::Sender<(usize, Event)>,
        judges: &mut Judges,
        acts: &mut Acts,
    ) {
        let instance = match made {
            Ok(instance) => instance,
            Err(words) => {
                self.app.update(Msg::Notice(words, Tone::Error));
                return;
            }
        };
        let database = match &instance.source {
            Source::Server(target) => target.conninfo.dbname.clone(),
            Source::Recording(_) => return,
        };
        if let Some(at) = acts.shown(server, &database) {
            self.app.update(Msg::Opened(at, None));
            return;
        }
        let refresh = Duration::from_millis(self.app.instances().first().map_or(2000, |i| i.link.interval_ms));
        let (at, shown) = (self.sessions.len(), shown(&instance, refresh));
        self.app.update(Msg::Opened(at, Some(Box::new(shown))));
        self.start(instance, refresh, catalog_refresh, tell, judges, acts);
        if self.app.is_paused() {
            self.command(Some(at), || Command::Pause(true));
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.elapsed().as_millis() as u64
    }

    fn tick(&mut self) {
        let now = jiff::Zoned::now().time();
        let day_s = i64::from(now.hour()) * 3600 + i64::from(now.minute()) * 60 + i64::from(now.second());
        let (now_ms, day_s) = (self.now_ms(), u32::try_from(day_s).ok());
        self.app.update(Msg::Tick { now_ms, day_s });
    }

    fn resize(&mut self) {
        let (width, height) = Terminal::size();
        self.app.update(Msg::Resize(width, height));
    }

    fn input(&mut self, event: input::Event) -> Vec<Effect> {
        #[cfg(debug_assertions)]
        provoked(&event);
        self.app.update(match event {
            input::Event::Key(key) => Msg::Key(key),
            input::Event::Mouse(mouse) => Msg::Mouse(mouse),
            input::Event::Paste(text) => Msg::Paste(text),
        })
    }

    fn session(&mut self, index: usize, event: Event, judges: &mut Judges) {
        match event {
            Event::Link(link) => {
                self.app.update(Msg::Instance(index, InstanceMsg::Link(link)));
            }
            Event::Snapshot(snapshot) => judges.snapshot(index, snapshot),
        }
    }

    fn judged(&mut self, index: usize, judged: Judged, judges: &mut Judges) {
        match judged {
            Judged::Judgement(judgement) => {
                judges.done(index, &judgement);
                self.app.update(Msg::Instance(index, InstanceMsg::Judgement(judgement)));
            }
            Judged::Rules(rules, seen) => {
                let columns = rules.tenant_columns();
                self.command(Some(index), || Command::TenantColumns(columns.clone()));
                let (name, problem) = (rules.name(), rules.problem.clone());
                self.app.update(Msg::Instance(index, InstanceMsg::Policy { name, problem }));
                judges.rules(index, rules, seen);
            }
        }
    }

    fn judgement(&self, index: usize) -> Option<Arc<crate::policy::judgement::Judgement>> {
        self.app.instances().get(index)?.judgement.clone()
    }

    /// Which databases the instances are, as far as they answered.
    fn identities(&self) -> Vec<Option<(Option<String>, String)>> {
        let judgements = self.app.instances().iter().map(|i| i.judgement.as_deref());
        judgements.map(|j| j.map(acts::identity)).collect()
    }

    fn want(&self, want: Want) {
        match want {
            Want::Sizes { instance, schemas } => {
                self.command(Some(instance), || Command::WantSizes(schemas.clone()));
            }
            Want::Objects { instance, schemas, beneath } => {
                self.command(Some(instance), || Command::WantObjects { schemas: schemas.clone(), beneath });
            }
        }
    }

    /// Sends a command to one session or to all. A session that takes none is busy with the last ones.
    fn command(&self, only: Option<usize>, command: impl Fn() -> Command) {
        for (index, session) in self.sessions.iter().enumerate() {
            if let Some(session) = session.as_ref().filter(|_| only.is_none_or(|o| o == index))
                && session.commands.try_send(command()).is_err()
            {
                tracing::warn!(index, "the session takes no command");
            }
        }
    }

    /// Ends the sessions; one that does not listen is left behind.
    async fn goodbye(self) {
        self.command(None, || Command::Stop);
        let tasks: Vec<JoinHandle<()>> = self.sessions.into_iter().flatten().map(|s| s.task).collect();
        let _ = timeout(GOODBYE, async {
            for task in tasks {
                let _ = task.await;
            }
        })
        .await;
    }
}

/// What a signal means here.
enum Signal {
    End,
    Size,
    /// The shell wants the terminal.
    Stop,
    Continued,
}

/// The signals, listened to until the end: a listener that is dropped leaves the process deaf.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    size: tokio::signal::unix::Signal,
    stop: tokio::signal::unix::Signal,
    continued: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use rustix::process::Signal as Number;
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            size: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(Number::TSTP.as_raw()))?,
            continued: signal(SignalKind::from_raw(Number::CONT.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            // a terminal that hangs up also continues what it hung up on, and cannot be taken over any more
            biased;
            _ = self.terminate.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.quit.recv() => Signal::End,
            _ = self.size.recv() => Signal::Size,
            _ = self.stop.recv() => Signal::Stop,
            _ = self.continued.recv() => Signal::Continued,
        }
    }
}

/// A fault of the program on request, for tests: the variable allows it, and what is pasted says where.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "it is what is asked for")]
fn provoked(event: &input::Event) {
    let input::Event::Paste(place) = event else { return };
    if std::env::var_os("PGMOAT_PROVOKE").is_none() {
        return;
    }
    match place.as_str() {
        "panic in the loop" => panic!("provoked in the loop"),
        "panic in a task" => drop(tokio::spawn(async { panic!("provoked in a task") })),
        "panic in a thread" => drop(std::thread::spawn(|| panic!("provoked in a thread"))),
        _ => {}
    }
}

type Hook = dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send;

/// Panics anywhere in the program end the console: the terminal is given back first, then the hook that was there before
/// says what happened, once.
struct Faults {
    told: mpsc::UnboundedReceiver<()>,
    before: Arc<Hook>,
}

impl Faults {
    fn watch(terminal: &Terminal) -> Faults {
        let before: Arc<Hook> = panic::take_hook().into();
        let (tell, told) = mpsc::unbounded_channel();
        let (restore, after) = (terminal.restorer(), Arc::clone(&before));
        let first = std::sync::atomic::AtomicBool::new(true);
        panic::set_hook(Box::new(move |info| {
            restore();
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                after(info);
            }
            let _ = tell.send(());
        }));
        Faults { told, before }
    }

    async fn next(&mut self) -> Option<()> {
        self.told.recv().await
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let before = Arc::clone(&self.before);
        panic::set_hook(Box::new(move |info| before(info)));
    }
}

//! One task per instance: keeps a connection, reads at the right moments, and hands out links and snapshots as data.
//!
//! ```text
//!  Connecting ──▶ Ready ──▶ Lost        Ready, at every tick: gate, sessions, counters
//!                   ▲         │         when the gate opened: catalog, version rows, names that are looked at
//!                   └─────────┘         on a second, short-lived connection: slow parts, exact sizes
//!                    back-off
//! ```
//! The receiver may be slow: of snapshots and links only the newest waits for it. Knows no screen and no policy.

mod cadence;
mod picture;
mod slow;

use std::{future::Future, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use self::{
    cadence::{Backoff, Cadence},
    picture::Picture,
    slow::{Slow, SlowWork},
};
use super::{Reader, ServerError, reader::version_tables};
use crate::config::Conninfo;
use crate::domain::{
    Oid,
    link::{Link, LinkState},
    snapshot::{Snapshot, Unavailable},
};

/// What a task needs to know of its instance.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Comes back with every event.
    pub index: usize,
    /// Name of the instance on screen.
    pub instance: String,
    pub target: Conninfo,
    /// Time between two readings of the sessions (`refresh_ms`).
    pub refresh: Duration,
    /// Least time between two readings of the catalog (`catalog_refresh_ms`).
    pub catalog_refresh: Duration,
    /// Least time between two readings of the slow parts.
    pub slow_refresh: Duration,
    /// Columns that tell tenants apart, beside `tenant_id`.
    pub tenant_columns: Vec<String>,
    /// The zero of the console's clock, in which links tell their times.
    pub clock: std::time::Instant,
}

impl SessionConfig {
    /// The defaults: sessions every 2 s, the catalog at most every 5 s, the slow parts at most every 60 s.
    #[must_use]
    pub fn new(index: usize, instance: &str, target: Conninfo) -> SessionConfig {
        SessionConfig {
            index,
            instance: instance.to_owned(),
            target,
            refresh: Duration::from_secs(2),
            catalog_refresh: Duration::from_secs(5),
            slow_refresh: Duration::from_secs(60),
            tenant_columns: Vec::new(),
            clock: std::time::Instant::now(),
        }
    }
}

/// What the program asks of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read everything at once; when the connection is lost, try again at once.
    RefreshNow,
    Pause(bool),
    /// Time between two readings of the sessions.
    Interval(Duration),
    /// Exact sizes of these schemas, as long as they are on screen; replaces the last such wish.
    WantSizes(Vec<Oid>),
    /// Names of the objects of these schemas, and (`beneath`) what views ask for beneath them; replaces the last such wish.
    WantObjects {
        schemas: Vec<Oid>,
        beneath: bool,
    },
    TenantColumns(Vec<String>),
    Stop,
}

/// What a task tells.
#[derive(Debug, Clone)]
pub enum Event {
    Link(Link),
    /// After any part changed.
    Snapshot(std::sync::Arc<Snapshot>),
}

/// Starts the task of one instance. It ends on [`Command::Stop`] or when either channel is closed.
pub fn spawn(
    config: SessionConfig,
    events: mpsc::Sender<(usize, Event)>,
    commands: mpsc::Receiver<Command>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut task = Task::new(config, events, commands);
        // Stop and closed channels end the loop from wherever it is.
        let _ = Box::pin(task.run()).await;
    })
}

/// The loop is over.
struct Stopped;

/// Why a reading ended early.
enum Halt {
    Stopped,
    Failed(ServerError),
}

impl From<Stopped> for Halt {
    fn from(Stopped: Stopped) -> Halt {
        Halt::Stopped
    }
}

impl From<ServerError> for Halt {
    fn from(error: ServerError) -> Halt {
        Halt::Failed(error)
    }
}

/// What was asked for, changed by commands at any time.
#[derive(Debug)]
struct Wishes {
    paused: bool,
    refresh: Duration,
    now: bool,
    sizes: Vec<Oid>,
    sizes_changed: bool,
    objects: Vec<Oid>,
    /// What views ask for beneath them is wanted, too.
    beneath: bool,
    objects_changed: bool,
    tenant_columns: Vec<String>,
    tenants_changed: bool,
}

impl Wishes {
    fn apply(&mut self, command: Command) -> Result<(), Stopped> {
        match command {
            Command::RefreshNow => self.now = true,
            Command::Pause(paused) => self.paused = paused,
            Command::Interval(refresh) => self.refresh = refresh.max(Duration::from_millis(100)),
            Command::WantSizes(schemas) => {
                self.sizes_changed |= self.sizes != schemas;
                self.sizes = schemas;
            }
            Command::WantObjects { schemas, beneath } => {
                self.objects_changed |= self.objects != schemas || beneath && !self.beneath;
                (self.objects, self.beneath) = (schemas, beneath);
            }
            Command::TenantColumns(columns) => {
                self.tenants_changed |= self.tenant_columns != columns;
                self.tenant_columns = columns;
            }
            Command::Stop => return Err(Stopped),
        }
        Ok(())
    }
}

/// What waits to be taken: the newest of each.
#[derive(Default)]
struct Outbox {
    link: Option<Link>,
    snapshot: Option<std::sync::Arc<Snapshot>>,
}

/// Both ends of the channels; everything that waits goes through [`Wire::attend`], so that commands are heard and events
/// leave while a read is under way.
struct Wire {
    index: usize,
    events: mpsc::Sender<(usize, Event)>,
    commands: mpsc::Receiver<Command>,
    outbox: Outbox,
    wishes: Wishes,
}

impl Wire {
    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        while self.outbox.link.is_some() || self.outbox.snapshot.is_some() {
            let Ok(permit) = self.events.try_reserve() else { return };
            match (self.outbox.link.take(), self.outbox.snapshot.take()) {
                (Some(link), snapshot) => {
                    self.outbox.snapshot = snapshot;
                    permit.send((self.index, Event::Link(link)));
                }
                (None, Some(snapshot)) => permit.send((self.index, Event::Snapshot(snapshot))),
                (None, None) => return,
            }
        }
    }

    /// Waits for `work`, hearing commands meanwhile.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut work = std::pin::pin!(work);
        loop {
            self.flush();
            let waiting = self.outbox.link.is_some() || self.outbox.snapshot.is_some();
            tokio::select! {
                result = &mut work => return Ok(result),
                command = self.commands.recv() => match command {
                    Some(command) => self.wishes.apply(command)?,
                    None => return Err(Stopped),
                },
                room = self.events.reserve(), if waiting => drop(room.map_err(|_| Stopped)?),
                () = self.events.closed() => return Err(Stopped),
            }
        }
    }

    /// Waits until the moment, or until a command changed something.
    async fn idle(&mut self, until: Instant, slow: &mut Option<Slow>) -> Result<Woken, Stopped> {
        loop {
            self.flush();
            let waiting = self.outbox.link.is_some() || self.outbox.snapshot.is_some();
            tokio::select! {
                () = tokio::time::sleep_until(until), if !self.wishes.paused => return Ok(Woken::Due),
                work = slow::next(slow) => return Ok(Woken::Slow(Box::new(work))),
                command = self.commands.recv() => match command {
                    Some(command) => {
                        self.wishes.apply(command)?;
                        return Ok(Woken::Asked);
                    }
                    None => return Err(Stopped),
                },
                room = self.events.reserve(), if waiting => drop(room.map_err(|_| Stopped)?),
                () = self.events.closed() => return Err(Stopped),
            }
        }
    }
}

enum Woken {
    /// The time has come.
    Due,
    /// A command was heard.
    Asked,
    /// The second connection has something.
    Slow(Box<SlowWork>),
}

struct Task {
    config: SessionConfig,
    wire: Wire,
    link: Link,
    picture: Picture,
    cadence: Cadence,
    slow: Option<Slow>,
}

impl Task {
    fn new(config: SessionConfig, events: mpsc::Sender<(usize, Event)>, commands: mpsc::Receiver<Command>) -> Task {
        let wishes = Wishes {
            paused: false,
            refresh: config.refresh,
            now: false,
            sizes: Vec::new(),
            sizes_changed: false,
            objects: Vec::new(),
            beneath: false,
            objects_changed: false,
            tenant_columns: config.tenant_columns.clone(),
            tenants_changed: false,
        };
        Task {
            wire: Wire { index: config.index, events, commands, outbox: Outbox::default(), wishes },
            link: Link::default(),
            picture: Picture::new(&config.instance, config.target.words.clone()),
            cadence: Cadence::new(config.catalog_refresh, config.slow_refresh),
            slow: None,
            config,
        }
    }

    async fn run(&mut self) -> Result<(), Stopped> {
        let mut backoff = Backoff::default();
        loop {
            self.tell_link();
            let opening = Box::pin(Reader::open(&self.config.target, &self.config.instance));
            let error = match self.wire.attend(opening).await? {
                Ok(reader) => {
                    self.cadence.reconnected();
                    Box::pin(self.connected(reader, &mut backoff)).await?
                }
                Err(error) => error,
            };
            self.slow = None;
            self.lost(&error, backoff.next(error.is_lasting())).await?;
        }
    }

    /// Waits for the next try.
    async fn lost(&mut self, error: &ServerError, pause: Duration) -> Result<(), Stopped> {
        let since_ms = match self.link.state {
            LinkState::Lost { since_ms, .. } => since_ms,
            LinkState::Connecting | LinkState::Ready => self.now_ms(),
        };
        self.link.state = LinkState::Lost {
            since_ms,
            reason: error.to_string(),
            remedy: error.remedy(),
            next_try_ms: self.now_ms() + millis(pause),
        };
        self.tell_link();
        let until = Instant::now() + pause;
        loop {
            match self.wire.idle(until, &mut None).await? {
                Woken::Due => return Ok(()),
                Woken::Asked if std::mem::take(&mut self.wire.wishes.now) => return Ok(()),
                Woken::Asked | Woken::Slow(_) => self.tell_link(),
            }
        }
    }

    /// Reads until the connection is lost, and says how.
    async fn connected(&mut self, mut reader: Reader, backoff: &mut Backoff) -> Result<ServerError, Stopped> {
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() && !self.wire.wishes.paused || self.wire.wishes.now {
                let forced = std::mem::take(&mut self.wire.wishes.now);
                next = Instant::now() + self.wire.wishes.refresh;
                match self.tick(&mut reader, forced).await {
                    Ok(()) => {
                        backoff.reset();
                        self.link.notice = None;
                    }
                    Err(Halt::Stopped) => return Err(Stopped),
                    Err(Halt::Failed(error)) if reader.is_broken() => return Ok(error),
                    Err(Halt::Failed(error)) => self.link.notice = Some(error.to_string()),
                }
                self.link.state = LinkState::Ready;
                self.tell_link();
                self.tell_snapshot();
            }
            if std::mem::take(&mut self.wire.wishes.objects_changed) {
                match self.objects(&mut reader).await {
                    Ok(()) => self.tell_snapshot(),
                    Err(Halt::Stopped) => return Err(Stopped),
                    Err(Halt::Failed(error)) if reader.is_broken() => return Ok(error),
                    Err(Halt::Failed(error)) => self.link.notice = Some(error.to_string()),
                }
            }
            self.start_slow();
            match self.wire.idle(next, &mut self.slow).await? {
                Woken::Due => {}
                Woken::Asked => {
                    next = next.min(Instant::now() + self.wire.wishes.refresh);
                    self.tell_link();
                }
                Woken::Slow(work) => self.take_slow(*work, &mut reader),
            }
        }
    }

    /// One tick: sessions, and whatever else is due.
    async fn tick(&mut self, reader: &mut Reader, forced: bool) -> Result<(), Halt> {
        let first = !self.picture.has_catalog();
        if first {
            self.catalog(reader).await?;
            // whoever sees the first picture may act on it
            self.link.answered_at_ms = Some(self.now_ms());
            self.link.state = LinkState::Ready;
            self.tell_link();
            self.tell_snapshot();
        }
        let mut tick = self.wire.attend(reader.activity()).await??;
        self.wire.attend(reader.names(&mut tick.activity)).await??;
        let due = self.cadence.tick(&tick, forced, Instant::now());
        self.picture.tick(tick);
        if due && !first {
            self.catalog(reader).await?;
        }
        self.link.answered_at_ms = Some(self.now_ms());
        Ok(())
    }

    /// The catalog, the rows of version tables, and the names that are looked at.
    async fn catalog(&mut self, reader: &mut Reader) -> Result<(), Halt> {
        reader.set_version_tables(self.picture.shaped_version_tables().to_vec());
        let start = Instant::now();
        let mut read = self.wire.attend(reader.catalog()).await??;
        self.cadence.catalog_read(&read.catalog.gate, start.elapsed(), Instant::now());
        self.link.read_ms = Some(millis(start.elapsed()));
        let candidates = std::mem::take(&mut read.candidates);
        self.picture.set_catalog(read);

        let stale = self.cadence.stale_version_tables(&candidates, Instant::now());
        let rows = self.wire.attend(reader.version_rows(&stale)).await??;
        let versions = version_tables(candidates, &rows, Some(self.picture.versions()));
        self.picture.set_versions(versions);
        self.objects(reader).await
    }

    /// Reads the names of the objects that are looked at, and forgets the others.
    async fn objects(&mut self, reader: &mut Reader) -> Result<(), Halt> {
        let wanted = self.wire.wishes.objects.clone();
        self.picture.forget_objects(&wanted);
        let Some(catalog) = self.picture.catalog().filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let mut objects = self.wire.attend(reader.objects(Some(&wanted), &catalog)).await??;
        if self.wire.wishes.beneath {
            self.wire.attend(reader.views(Some(&wanted), &mut objects)).await??;
        }
        self.picture.set_objects(objects);
        Ok(())
    }

    /// Starts the second connection when something is due for it and none is at work.
    fn start_slow(&mut self) {
        if self.slow.is_some() || self.wire.wishes.paused || !self.picture.has_catalog() {
            return;
        }
        let wishes = &mut self.wire.wishes;
        let tenants = std::mem::take(&mut wishes.tenants_changed);
        let sizes = std::mem::take(&mut wishes.sizes_changed);
        let order =
            self.cadence.slow_order(&self.picture.next_to_sweep(), &wishes.sizes, tenants, sizes, Instant::now());
        let Some(order) = order else { return };
        if let Some(to) = order.swept_to {
            self.picture.swept(to);
        }
        self.slow = Some(Slow::start(
            self.config.target.clone(),
            self.config.instance.clone(),
            order,
            wishes.tenant_columns.clone(),
        ));
    }

    fn take_slow(&mut self, work: SlowWork, reader: &mut Reader) {
        match work {
            SlowWork::Connected { pid } => reader.set_own(vec![pid]),
            SlowWork::Shapes(read) => {
                // A table that was found by its shape is read with the next catalog.
                if self.picture.set_shapes(*read) {
                    self.cadence.read_catalog_soon();
                }
                self.tell_snapshot();
            }
            SlowWork::Estimates(sizes) => {
                self.picture.set_estimates(*sizes);
                self.tell_snapshot();
            }
            SlowWork::Exact(sizes) => {
                self.picture.set_exact(sizes, &self.wire.wishes.sizes);
                self.tell_snapshot();
            }
            SlowWork::Failed { what, error } => {
                self.cadence.slow_failed();
                self.picture.slow_failed(Unavailable { what, why: error.to_string(), grant: None });
                self.tell_snapshot();
            }
            SlowWork::Done => {
                self.slow = None;
                self.cadence.slow_ended(Instant::now());
                reader.set_own(Vec::new());
            }
        }
    }

    /// Milliseconds of the console's clock.
    fn now_ms(&self) -> u64 {
        millis(self.config.clock.elapsed())
    }

    fn tell_link(&mut self) {
        self.link.interval_ms = millis(self.wire.wishes.refresh);
        self.link.paused = self.wire.wishes.paused;
        self.wire.outbox.link = Some(self.link.clone());
        self.wire.flush();
    }

    fn tell_snapshot(&mut self) {
        if let Some(snapshot) = self.picture.snapshot() {
            self.wire.outbox.snapshot = Some(snapshot);
            self.wire.flush();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(room: usize) -> (Wire, mpsc::Receiver<(usize, Event)>, mpsc::Sender<Command>) {
        let (events, receiver) = mpsc::channel(room);
        let (sender, commands) = mpsc::channel(4);
        let wishes = Wishes {
            paused: false,
            refresh: Duration::from_secs(2),
            now: false,
            sizes: Vec::new(),
            sizes_changed: false,
            objects: Vec::new(),
            beneath: false,
            objects_changed: false,
            tenant_columns: Vec::new(),
            tenants_changed: false,
        };
        (Wire { index: 3, events, commands, outbox: Outbox::default(), wishes }, receiver, sender)
    }

    fn read_ms(event: Option<(usize, Event)>) -> Option<u64> {
        match event {
            Some((3, Event::Link(link))) => link.read_ms,
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_receiver_that_does_not_look_gets_the_newest() {
        let (mut wire, mut receiver, _commands) = wire(1);
        for read_ms in 1..=5 {
            wire.outbox.link = Some(Link { read_ms: Some(read_ms), ..Link::default() });
            wire.flush();
        }
        assert_eq!(read_ms(receiver.recv().await), Some(1), "it was in the channel");
        assert_eq!(wire.attend(async { 7 }).await.ok(), Some(7), "waiting sends what waits");
        assert_eq!(read_ms(receiver.recv().await), Some(5), "those between are forgotten");
        assert!(wire.outbox.link.is_none());
    }

    #[tokio::test]
    async fn commands_are_heard_while_a_read_is_under_way() {
        let (mut wire, receiver, commands) = wire(1);
        commands.send(Command::Interval(Duration::ZERO)).await.unwrap();
        commands.send(Command::WantSizes(vec![Oid(5)])).await.unwrap();
        commands.send(Command::Stop).await.unwrap();
        assert!(wire.attend(std::future::pending::<()>()).await.is_err(), "Stop ends the wait");
        assert_eq!(wire.wishes.refresh, Duration::from_millis(100), "no storm of questions");
        assert!(wire.wishes.sizes_changed);
        drop(receiver);
        assert!(wire.attend(std::future::pending::<()>()).await.is_err(), "nobody is listening");
    }
}

//! A line that breaks where it is told: a proxy in front of a server that counts the bytes of the acting connection, from
//! its BEGIN on, in both directions, and at a chosen byte closes, resets, falls silent, or calls somebody.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::Notify,
};

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To the server.
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both sides are closed.
    Fin,
    /// The client's side is reset, the server's closed.
    Rst,
    /// Nothing passes any more, either way; nobody is told.
    Hole,
    /// Nothing passes any more; whoever waits in [`Proxy::called`] is told, and closes it.
    Call,
}

/// Breaks after exactly `at` bytes.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub way: Way,
    pub at: usize,
    pub how: How,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    /// What marks the acting connection; `None`: the beginning of an action.
    mark: Option<&'static [u8]>,
    /// The pieces that passed on the acting connection.
    passed: Vec<(Way, Vec<u8>)>,
    /// The backend of the acting connection.
    pid: Option<i32>,
}

/// See the module.
pub struct Proxy {
    pub port: u16,
    state: Arc<Mutex<State>>,
    hit: Arc<AtomicBool>,
    called: Arc<Notify>,
    /// New connections wait while this is set.
    held: Arc<AtomicBool>,
    /// Ends every connection.
    over: Arc<Notify>,
    open: Arc<AtomicUsize>,
}

/// What marks the acting connection.
const MARK: &[u8] = b"isolation level read committed read write";

impl Proxy {
    pub async fn start(server: PathBuf) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
            hit: Arc::default(),
            called: Arc::default(),
            held: Arc::default(),
            over: Arc::default(),
            open: Arc::default(),
        };
        let (state, hit, called) = (proxy.state.clone(), proxy.hit.clone(), proxy.called.clone());
        let (held, over, open) = (proxy.held.clone(), proxy.over.clone(), proxy.open.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, held) = (server.clone(), held.clone());
                let line = Line { state: state.clone(), hit: hit.clone(), called: called.clone() };
                let (over, open) = (over.clone(), open.clone());
                tokio::spawn(async move {
                    while held.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    let Ok(upstream) = UnixStream::connect(&server).await else { return };
                    open.fetch_add(1, Ordering::SeqCst);
                    tokio::select! {
                        () = line.carry(client, upstream) => {}
                        () = over.notified() => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        proxy
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Forgets what passed, and breaks the next acting connection so.
    pub fn arm(&self, fault: Option<Fault>) {
        *self.lock() = State { fault, ..State::default() };
        self.hit.store(false, Ordering::SeqCst);
    }

    /// As [`Proxy::arm`], for the connection on which these bytes are sent; counted from there.
    pub fn arm_at(&self, mark: &'static [u8], fault: Option<Fault>) {
        *self.lock() = State { fault, mark: Some(mark), ..State::default() };
        self.hit.store(false, Ordering::SeqCst);
    }

    pub fn passed(&self) -> Vec<(Way, Vec<u8>)> {
        self.lock().passed.clone()
    }

    pub fn was_hit(&self) -> bool {
        self.hit.load(Ordering::SeqCst)
    }

    pub fn pid(&self) -> Option<i32> {
        self.lock().pid
    }

    /// Waits for a fault that calls.
    pub async fn called(&self) {
        self.called.notified().await;
    }

    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// Closes every connection.
    pub async fn end(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            self.over.notify_waiters();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

struct Line {
    state: Arc<Mutex<State>>,
    hit: Arc<AtomicBool>,
    called: Arc<Notify>,
}

impl Line {
    async fn carry(&self, mut client: TcpStream, mut server: UnixStream) {
        let _ = client.set_nodelay(true);
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut acting, mut counts) = (false, [0_usize; 2]);
        let mut login: Vec<u8> = Vec::new();
        loop {
            let (way, n) = tokio::select! {
                n = client.read(&mut up) => (Way::Up, n),
                n = server.read(&mut down) => (Way::Down, n),
            };
            let Ok(n @ 1..) = n else { return };
            let bytes = if way == Way::Up { &up[..n] } else { &down[..n] };
            if way == Way::Down && login.len() < 4096 {
                login.extend_from_slice(bytes);
            }
            if way == Way::Up && !acting {
                let mut state = self.state.lock().unwrap();
                let mark = state.mark.unwrap_or(MARK);
                // Only the first one after arming.
                acting = state.pid.is_none() && bytes.windows(mark.len()).any(|w| w == mark);
                if acting {
                    state.pid = Some(backend_pid(&login));
                }
            }
            let mut pass = n;
            let mut fault = None;
            if acting {
                let mut state = self.state.lock().unwrap();
                let count = &mut counts[usize::from(way == Way::Down)];
                if let Some(wanted) = state.fault.filter(|f| f.way == way && f.at <= *count + n) {
                    pass = wanted.at.saturating_sub(*count);
                    fault = Some(wanted);
                }
                *count += pass;
                state.passed.push((way, bytes[..pass].to_vec()));
            }
            let written = match way {
                Way::Up => server.write_all(&bytes[..pass]).await,
                Way::Down => client.write_all(&bytes[..pass]).await,
            };
            if written.is_err() {
                return;
            }
            let Some(fault) = fault else { continue };
            self.hit.store(true, Ordering::SeqCst);
            match fault.how {
                How::Fin => return,
                How::Rst => {
                    let _ = client.set_zero_linger();
                    return;
                }
                How::Hole => std::future::pending::<()>().await,
                How::Call => {
                    self.called.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// The process id in BackendKeyData.
fn backend_pid(login: &[u8]) -> i32 {
    let mut rest = login;
    while let [tag, a, b, c, d, body @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if *tag == b'K' {
            return i32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        }
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    0
}

/// Where it is worth breaking a conversation.
pub struct Points {
    /// Ends of messages, one byte before and one after.
    pub boundaries: Vec<(Way, usize)>,
    /// Every byte from the question for the transaction's number to the answer to COMMIT.
    pub commit: Vec<(Way, usize)>,
}

/// Reads a conversation that nothing broke.
pub fn points(passed: &[(Way, Vec<u8>)]) -> Points {
    let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
    let mut streams = [Vec::new(), Vec::new()];
    let (mut from, mut sent) = ([0, 0], [0, 0]);
    let mut ends: Vec<(Way, usize)> = Vec::new();
    for (way, bytes) in passed {
        let before = [streams[0].len(), streams[1].len()];
        if *way == Way::Up && contains(bytes, b"pg_current_xact_id()::") {
            from = before;
        }
        streams[usize::from(*way == Way::Down)].extend_from_slice(bytes);
        if *way == Way::Up && contains(bytes, b"select 1; commit") {
            sent = [streams[0].len(), streams[1].len()];
        }
    }
    let mut answered = sent[1];
    for way in [Way::Up, Way::Down] {
        let stream = &streams[usize::from(way == Way::Down)];
        let mut at = 0;
        while let Some([tag, a, b, c, d]) = stream.get(at..at + 5).and_then(|head| <[u8; 5]>::try_from(head).ok()) {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            at += length + 1;
            ends.push((way, at));
            if way == Way::Down && tag == b'Z' && at > sent[1] && answered == sent[1] {
                answered = at;
            }
        }
    }
    // What comes after the answer to COMMIT is a last look, which decides nothing: a little of it is enough.
    ends.retain(|(way, at)| *at <= if *way == Way::Up { sent[0] + 100 } else { answered + 100 });
    let mut boundaries: Vec<(Way, usize)> =
        ends.iter().flat_map(|(way, at)| [(*way, at - 1), (*way, *at), (*way, at + 1)]).collect();
    boundaries.sort_unstable();
    boundaries.dedup();
    let commit = (from[0]..=sent[0]).map(|at| (Way::Up, at)).chain((from[1]..=answered).map(|at| (Way::Down, at)));
    Points { boundaries, commit: commit.collect() }
}

//! Servers that stop, die, freeze, are full, say nothing or lie: the console says so in words, its keys answer all the
//! while, its memory stays small, and it finds a server that came back by itself.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pgmoat::demo::{
    cluster::{Cluster, ClusterOptions},
    guard::StopMode,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    read::runtime,
    support::{
        cluster::{self, connect},
        terminal::{LONE_ESC, PATIENCE, Start, Terminal},
    },
};

/// Of fifty keys, forty-nine are answered within this, and what the machine takes to wake processes besides; a
/// release build on a quiet machine needs a tenth of it.
const KEY: Duration = Duration::from_millis(250);
/// A server that is there again is found within this.
const FOUND: Duration = Duration::from_secs(5);
/// The most memory it may ever hold, bytes.
const MEMORY: u64 = 200 << 20;
/// A read is given up after 6 s, a connection after 5; the rest is for pauses between tries and a busy machine.
const NOTICED: Duration = Duration::from_secs(15);

const HELP: &str = "what it shows, and its keys";

fn own_cluster(settings: &[(&str, &str)]) -> Cluster {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let server = cluster::server(cluster::newest());
    Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap()
}

fn start(home: &tempfile::TempDir, target: &str) -> Terminal {
    Start::new(home.path(), &[target]).run()
}

/// Presses keys and watches the screen change; prints what it took, and holds it to the limit.
#[track_caller]
fn keys_answer(console: &mut Terminal, what: &str) {
    // A process that does nothing but answer shows how busy the machine is.
    let mut other = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, mut from) = (other.stdin.take().unwrap(), other.stdout.take().unwrap());
    let (mut took, mut alone, mut echo) = (Vec::new(), Vec::new(), Vec::new());
    let keys = std::env::var("PGMOAT_FAULT_KEYS").map_or(50, |keys| keys.parse::<usize>().unwrap().max(50));
    for _ in 0..keys {
        for _ in 0..2 {
            let begun = Instant::now();
            to.write_all(b"x").unwrap();
            from.read_exact(&mut [0]).unwrap();
            echo.push(begun.elapsed());
        }
        took.push(console.press("?", HELP));
        let begun = Instant::now();
        console.send(LONE_ESC);
        console.shows_no(HELP);
        alone.push(begun.elapsed());
    }
    drop(to);
    other.wait().unwrap();
    took.sort_unstable();
    alone.sort_unstable();
    echo.sort_unstable();
    // A key wakes four threads one after the other: of input, loop, output, and of the test.
    let of = |all: &[Duration], percent: usize| all[(all.len() * percent).div_ceil(100) - 1];
    // Of fifty keys, the slowest is no figure.
    let last = if keys < 100 { 98 } else { 99 };
    let (most, escape, echo) = (of(&took, last), of(&alone, last), of(&echo, 99));
    let limit = KEY + echo * 4;
    let (now, ever) = console.memory();
    println!(
        "{what}: {keys} keys to screen p50 {:?}, p{last} {most:?}; as many Esc, which wait for what may follow, p50 {:?}, \
         p{last} {escape:?}; an echo p99 {echo:?}; memory {} MB",
        of(&took, 50),
        of(&alone, 50),
        now >> 20
    );
    let slowest = most.max(escape);
    assert!(slowest < limit, "{what}: {slowest:?}, more than {limit:?}");
    assert!(ever < MEMORY, "{what}: {} MB", ever >> 20);
}

/// Waits for the loss to be told, with a reason and the time of the next try.
#[track_caller]
fn lost(console: &Terminal, what: &str, reasons: &[&str]) {
    let took = console.shows_that(&format!("{what}: loss and reason of {reasons:?}"), NOTICED, |text| {
        // A sentence may go over several lines.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = text.contains("lost since") && (text.contains("retry in") || text.contains("trying"));
        told && reasons.iter().any(|reason| text.contains(reason))
    });
    println!("{what}: told after {took:?}");
}

/// Waits for the loss to be over. The screen was read by the keys' measure just now, so it is not an old one.
#[track_caller]
fn found(console: &Terminal, what: &str, within: Duration) {
    let took = console.shows_that(&format!("{what}: end of the loss"), PATIENCE, |text| {
        !text.contains("lost since") && text.contains("PRIMARY")
    });
    println!("{what}: found again after {took:?}");
    assert!(took < within, "{what}: found only after {took:?}");
}

/// Processes that stand still until this is dropped.
struct Frozen(Vec<Pid>);

impl Frozen {
    /// The postmaster of a cluster and everything it started.
    fn server(cluster: &Cluster) -> Frozen {
        let pid_file = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        let pids = std::iter::once(postmaster).chain(children.split_whitespace());
        let pids: Vec<Pid> = pids.map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
        for pid in &pids {
            let _ = kill_process(*pid, Signal::STOP);
        }
        Frozen(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

#[test]
fn a_server_that_stops_dies_or_freezes_is_told_and_found_again() {
    let mut own = own_cluster(&[]);
    let home = tempfile::tempdir().unwrap();
    let mut console = start(&home, &own.url("postgres", "postgres"));
    console.shows("PRIMARY");
    keys_answer(&mut console, "healthy");
    for (what, mode) in [("stopped", StopMode::Fast), ("immediate", StopMode::Immediate), ("killed", StopMode::Crash)] {
        own.stop_server(mode).unwrap();
        lost(&console, what, &["terminating connection", "could not connect", "closed the connection"]);
        assert!(console.text().contains("PRIMARY"), "what was known stays on the screen");
        keys_answer(&mut console, what);
        own.start_server().unwrap();
        found(&console, what, FOUND);
    }
    let frozen = Frozen::server(&own);
    lost(&console, "frozen", &["did not answer", "no answer", "took longer", "not answered", "within"]);
    keys_answer(&mut console, "frozen");
    drop(frozen);
    found(&console, "frozen", FOUND);
    // Frozen again, it can be left at once.
    let _frozen = Frozen::server(&own);
    let begun = Instant::now();
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?} to end", begun.elapsed());
}

#[test]
fn a_full_server_is_told_and_its_room_is_taken_when_there_is_some() {
    let own = own_cluster(&[("max_connections", "8")]);
    let runtime = runtime();
    let mut fillers = Vec::new();
    let _superuser = runtime.block_on(async {
        let setup = connect(&own, "postgres", "postgres").await;
        setup.batch_execute("create role faults_worker login").await.unwrap();
        while let Ok((client, connection)) =
            own.config("faults_worker", "postgres").connect(tokio_postgres::NoTls).await
        {
            tokio::spawn(connection);
            fillers.push(client);
        }
        setup
    });
    assert!(fillers.len() >= 3);
    let home = tempfile::tempdir().unwrap();
    let mut console = start(&home, &own.url("faults_worker", "postgres"));
    lost(&console, "full", &["53300"]);
    console.shows("a superuser can still come in");
    keys_answer(&mut console, "full");
    fillers.clear();
    // It waits longer and longer, so as not to add to the crowd; a person need not wait.
    console.send("R");
    found(&console, "full", FOUND);
}

/// What a relay does with what comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// Takes connections and bytes, and passes nothing on: what a firewall that drops packets looks like, but for the
    /// acknowledgements, so that only a deadline notices.
    Shut,
}

/// A relay in front of a server, which can be shut.
struct Relay {
    port: u16,
    line: Arc<Mutex<Line>>,
    over: Arc<AtomicBool>,
}

impl Relay {
    fn start(to: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Relay { port, line: Arc::new(Mutex::new(Line::Shut)), over: Arc::default() };
        let (line, over) = (Arc::clone(&relay.line), Arc::clone(&relay.over));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (line, over) = (Arc::clone(&line), Arc::clone(&over));
                    std::thread::spawn(move || pass(from, to, &line, &over));
                }
            }
        });
        relay
    }

    fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, line: &Mutex<Line>, over: &AtomicBool) {
    let mut bytes = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        while *line.lock().unwrap() == Line::Shut && !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

#[test]
fn a_line_that_says_nothing_is_told_and_used_again() {
    let shared = cluster::shared(cluster::newest()).unwrap();
    let relay = Relay::start(shared.cluster().port());
    let direct = shared.cluster().tcp_url("postgres", "postgres");
    let target = direct.replace(&shared.cluster().port().to_string(), &relay.port.to_string());
    assert_ne!(direct, target);
    let home = tempfile::tempdir().unwrap();
    let mut console = start(&home, &target);
    console.shows("Connecting to");
    keys_answer(&mut console, "silent");
    lost(&console, "silent", &["could not connect"]);
    relay.set(Line::Open);
    found(&console, "silent", FOUND + Duration::from_secs(5));
    relay.set(Line::Shut);
    lost(&console, "shut", &["did not answer", "no answer", "not answered", "within"]);
    keys_answer(&mut console, "shut");
    relay.set(Line::Open);
    found(&console, "shut", FOUND + Duration::from_secs(5));
    keys_answer(&mut console, "open again");
}

/// A server that means ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evil {
    /// No protocol at all.
    Garbage,
    /// A good login, then no protocol.
    GarbageLater,
    /// One row after another, for ever.
    Rows,
    /// The same with rows whose keeping costs more than their bytes.
    SmallRows,
    /// One row that is said to be as long as can be said, and is sent for ever.
    Length,
    Notices,
    Settings,
    /// No login ever, but settings for ever.
    LongLogin,
    /// Messages of no known kind.
    Unknown,
    /// A length that is smaller than itself.
    Short,
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend(body);
    message
}

/// Talks to one client until it goes.
fn evil(mut stream: TcpStream, how: Evil) -> std::io::Result<()> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    if how == Evil::Garbage {
        loop {
            stream.write_all(&[0xA5; 4096])?;
        }
    }
    if head[4..] == 80_877_103_u32.to_be_bytes() {
        stream.write_all(b"N")?;
        stream.read_exact(&mut head)?;
    }
    let rest = u32::from_be_bytes(head[..4].try_into().unwrap()) - 8;
    stream.read_exact(&mut vec![0; rest as usize])?;
    let setting = message(b'S', &[&b"application_name\0"[..], &[b'x'; 200], b"\0"].concat());
    stream.write_all(&message(b'R', &0_u32.to_be_bytes()))?;
    if how == Evil::LongLogin {
        loop {
            stream.write_all(&setting)?;
        }
    }
    stream.write_all(&message(b'S', b"server_version\x0015.4\0"))?;
    stream.write_all(&message(b'S', b"client_encoding\0UTF8\0"))?;
    stream.write_all(&message(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]))?;
    stream.write_all(&message(b'Z', b"I"))?;
    // The opening of a transaction is answered as it should be; what is asked then is not.
    let extended = loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) - 4;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body)?;
        if head[0] != b'Q' {
            break true;
        }
        if !body.to_ascii_lowercase().starts_with(b"begin") {
            break false;
        }
        stream.write_all(&message(b'C', b"BEGIN\0"))?;
        stream.write_all(&message(b'Z', b"T"))?;
    };
    let column = [&b"\x00\x01x\0"[..], &[0; 6], &25_u32.to_be_bytes(), &[0xFF, 0xFF], &[0xFF; 4], &[0, 0]].concat();
    let row = |n: u32| message(b'D', &[&[0, 1][..], &n.to_be_bytes(), &vec![b'y'; n as usize]].concat());
    // A question in the simple or in the extended way is answered in its own.
    let begin = if extended {
        [message(b'1', b""), message(b'2', b""), message(b'T', &column)].concat()
    } else {
        message(b'T', &column)
    };
    let (first, again) = match how {
        Evil::Rows => (begin, row(8000)),
        Evil::SmallRows => (begin, row(1).repeat(500)),
        Evil::Length => ([begin, vec![b'D', 0x7F, 0xFF, 0xFF, 0xFF]].concat(), vec![0; 8000]),
        Evil::Notices => {
            let notice = message(b'N', &[&b"SWARNING\0VWARNING\0C01000\0M"[..], &[b'z'; 8000], b"\0\0"].concat());
            (Vec::new(), notice)
        }
        Evil::Settings => (Vec::new(), setting),
        Evil::Unknown => (Vec::new(), message(b'?', &[7; 8000])),
        Evil::Short => (Vec::new(), vec![b'D', 0, 0, 0, 1]),
        Evil::GarbageLater | Evil::Garbage | Evil::LongLogin => (Vec::new(), vec![0xA5; 8000]),
    };
    stream.write_all(&first)?;
    // What the client says meanwhile is read, or both would wait for each other.
    let mut said = stream.try_clone()?;
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while matches!(said.read(&mut bytes), Ok(1..)) {}
    });
    loop {
        stream.write_all(&again)?;
    }
}

#[test]
fn a_server_that_lies_is_told_and_costs_little() {
    for (how, reason) in [
        (Evil::Garbage, "the answer is not PostgreSQL's protocol"),
        (Evil::GarbageLater, "was announced"),
        (Evil::Rows, "the answer to one request takes more than"),
        (Evil::SmallRows, "the answer to one request takes more than"),
        (Evil::Length, "a message of 2147483643 bytes was announced"),
        (Evil::Notices, "the answer to one request takes more than"),
        (Evil::Settings, "bytes of settings arrived"),
        (Evil::LongLogin, "bytes arrived before the login was complete"),
        (Evil::Unknown, "unknown message tag"),
        (Evil::Short, "the answer is not PostgreSQL's protocol"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (calls, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (Arc::clone(&calls), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || evil(stream, how));
            }
        });
        let home = tempfile::tempdir().unwrap();
        let mut console = start(&home, &format!("postgresql://nobody@127.0.0.1:{port}/x"));
        let what = format!("{how:?}");
        lost(&console, &what, &[reason]);
        keys_answer(&mut console, &what);
        // It tries again and again, and holds nothing of the times before.
        let begun = Instant::now();
        while calls.load(Ordering::SeqCst) < 3 {
            assert!(begun.elapsed() < PATIENCE, "{what}: only {calls:?} calls");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (now, ever) = console.memory();
        println!("{what}: {} MB now, {} MB at most", now >> 20, ever >> 20);
        assert!(ever < MEMORY, "{what}: {} MB", ever >> 20);
        console.send("q");
        assert_eq!(console.ends(PATIENCE), 0);
        over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", port));
    }
}

//! The console on a terminal of its own: how soon it paints, and how much memory it takes with every pane visited.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pgmoat::{
    app::{
        App, InstanceMsg, Msg,
        instance::Instance,
        keymap::{Code, Key, Keymap},
        panes::PANES,
        screen::Screen,
    },
    config::target::Environment,
    domain::link::{Link, LinkState},
    policy::judgement::Judgement,
    tui::{
        draw::draw,
        terminal::frame,
        theme::{Depth, Theme},
    },
};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::measure::{median, mib, program};

type Fault = Box<dyn std::error::Error>;

/// A console that runs.
struct Console {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    first: Arc<Mutex<Option<Instant>>>,
    bytes: Arc<AtomicU64>,
    begun: Instant,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Console {
    fn start(home: &Path, args: &[&str]) -> Result<Console, Fault> {
        let pty = native_pty_system().openpty(PtySize { rows: 60, cols: 200, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(program());
        command.args(args);
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        let mut output = pty.master.try_clone_reader()?;
        let (first, bytes) = (Arc::new(Mutex::new(None)), Arc::new(AtomicU64::new(0)));
        let (seen, counted) = (Arc::clone(&first), Arc::clone(&bytes));
        thread::spawn(move || {
            let mut piece = vec![0; 1 << 16];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                let total = counted.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
                // Turning to the other screen takes some bytes; a painted one takes thousands.
                if total > 1000 {
                    seen.lock().into_iter().for_each(|mut at| *at = at.or_else(|| Some(Instant::now())));
                }
            }
        });
        let begun = Instant::now();
        let child = pty.slave.spawn_command(command)?;
        let keys = pty.master.take_writer()?;
        Ok(Console { child, keys, first, bytes, begun, _master: pty.master })
    }

    fn painted(&self) -> Option<Duration> {
        let at = self.first.lock().ok().and_then(|at| *at);
        at.map(|at| at.duration_since(self.begun))
    }

    fn end(mut self) {
        let _ = self.keys.write_all(b"q").and_then(|()| self.keys.flush());
        thread::sleep(Duration::from_millis(500));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Milliseconds from the start to the first frame, on a server that never answers.
pub fn first_paint(home: &Path) -> Result<f64, Fault> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let port = silent.local_addr()?.port().to_string();
    let console = Console::start(home, &["-w", &format!("host=127.0.0.1 port={port} user=nobody dbname=nothing")])?;
    let patience = Instant::now() + Duration::from_secs(5);
    while console.painted().is_none() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    let painted = console.painted();
    console.end();
    Ok(painted.ok_or("the console painted nothing in 5 s")?.as_secs_f64() * 1000.0)
}

/// What a console took while every pane was visited again and again.
pub struct Visit {
    pub peak_mib: f64,
    pub bytes: u64,
}

/// Opens the console on a server and goes through its panes for a while.
pub fn visit(home: &Path, url: &str, policy: &Path, panes: usize, seconds: u64) -> Result<Visit, Fault> {
    let policy = policy.to_string_lossy();
    let mut console = Console::start(home, &["--policy", &policy, url])?;
    let process = console.child.process_id().ok_or("the console has no process")?.to_string();
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut peak_mib, mut pane) = (0.0_f64, 0);
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(700));
        let key = char::from_digit(pane as u32 % 9 + 1, 10).unwrap_or('1');
        pane = (pane + 1) % panes.clamp(1, 9);
        // The pane, its end and its beginning.
        write!(console.keys, "{key}")?;
        console.keys.flush()?;
        thread::sleep(Duration::from_millis(300));
        write!(console.keys, "G")?;
        console.keys.flush()?;
        let Some(now) = mib(&process, "VmHWM") else { return Err("the console ended early".into()) };
        peak_mib = peak_mib.max(now);
    }
    let bytes = console.bytes.load(Ordering::Relaxed);
    console.end();
    Ok(Visit { peak_mib, bytes })
}

/// What a frame of the library's table takes now, in milliseconds: nothing changes, and another page. The program is
/// ended when it has said so.
pub fn widget(program: &Path) -> Result<[f64; 2], Fault> {
    let mut child = Command::new(program).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut said: [Option<f64>; 2] = [None; 2];
    for line in lines {
        let line = line?;
        let marks = ["visible rows only: nothing changes", "visible rows only: page down"];
        for (of, _) in said.iter_mut().zip(marks).filter(|(_, mark)| line.starts_with(mark)) {
            let number = line.split(" med ").nth(1).and_then(|rest| rest.split_whitespace().next());
            *of = number.and_then(|n| n.parse::<f64>().ok()).map(|us| us / 1000.0);
        }
        if said[1].is_some() {
            break;
        }
    }
    // it may have ended by itself
    let _ = child.kill();
    child.wait()?;
    match said {
        [Some(still), Some(page)] => Ok([still, page]),
        _ => Err(format!("{} did not say what a frame took", program.display()).into()),
    }
}

/// What painting costs in one pane at 200x60, in milliseconds: state, frame as data, cells and bytes.
pub struct Painting {
    pub pane: &'static str,
    /// The pane is entered: its rows are made.
    pub enter_ms: f64,
    pub digit_ms: f64,
    pub move_ms: f64,
    pub page_ms: f64,
    /// Bytes written when nothing changed, and when one digit of the clock did.
    pub quiet_bytes: usize,
    pub digit_bytes: usize,
}

/// Paints every pane of the console on a real picture.
pub fn panes(judged: Arc<Judgement>, times: usize) -> Result<Vec<Painting>, Fault> {
    let theme = Theme::load("dark", None, Depth::Full)?;
    let instance = Instance {
        name: judged.snapshot.instance.clone(),
        environment: Environment::Development,
        read_only: false,
        allow_signals: true,
        policy_name: None,
        policy_problem: None,
        link: Link { state: LinkState::Ready, interval_ms: 2000, answered_at_ms: Some(0), ..Link::default() },
        judgement: None,
        revision: 0,
        first_sizes: None,
        recorded: false,
        command: None,
    };
    let mut app = App::new(vec![instance], Keymap::new([])?);
    app.update(Msg::Resize(AREA.width, AREA.height));
    let clock = |s: u32| Msg::Tick { now_ms: 1000, day_s: Some(43_421 + s % 9) };
    app.update(clock(0));
    app.update(Msg::Instance(0, InstanceMsg::Judgement(judged)));
    let (mut shown, mut next) = (painted(&app.view(), &theme), Buffer::empty(AREA));
    let mut all = Vec::new();
    for (number, (spec, _)) in PANES.iter().enumerate().take(9) {
        let mut step = |app: &mut App, msg: Msg| {
            let begun = Instant::now();
            app.update(msg);
            draw(&app.view(), &theme, &mut next);
            let bytes = frame(Some(&shown), &next).map_or(0, |b| b.len());
            std::mem::swap(&mut shown, &mut next);
            (begun.elapsed().as_secs_f64() * 1000.0, bytes)
        };
        let digit = char::from_digit(number as u32 + 1, 10).ok_or("a pane without a digit")?;
        let (enter_ms, _) = step(&mut app, Msg::Key(Key::char(digit)));
        step(&mut app, clock(0));
        let (_, quiet_bytes) = step(&mut app, clock(0));
        let (_, digit_bytes) = step(&mut app, clock(1));
        let mut times = |app: &mut App, msg: &dyn Fn(u32) -> Msg| {
            let times: Vec<f64> = (2..2 + times as u32).map(|i| step(app, msg(i)).0).collect();
            median(&times)
        };
        all.push(Painting {
            pane: spec.id,
            enter_ms,
            digit_ms: times(&mut app, &clock),
            move_ms: times(&mut app, &|i| Msg::Key(Key::char(if i % 2 == 0 { 'j' } else { 'k' }))),
            page_ms: times(&mut app, &|_| Msg::Key(Key::plain(Code::PageDown))),
            quiet_bytes,
            digit_bytes,
        });
    }
    Ok(all)
}

fn painted(screen: &Screen, theme: &Theme) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    draw(screen, theme, &mut buffer);
    buffer
}

const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 60 };

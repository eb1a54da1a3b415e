//! The program in a terminal: a PTY of a size, what it shows as a grid of text, every byte it wrote, keys, how it ended.
//!
//! Nothing here sleeps for a fixed time: everything waits for a condition, with a deadline that only a fault reaches.

use std::{
    io::{Read as _, Write},
    num::NonZeroU16,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize};
use rustix::process::{Pid, Signal, kill_process};

/// No healthy step takes so long, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Keys as a terminal sends them.
pub const ENTER: &str = "\r";
/// Esc, and then an answer that a terminal might give, which is swallowed: it ends the wait for the rest of a sequence
/// that a lone Esc has to bear.
pub const ESC: &str = "\x1b\x1b]\x07";
/// Esc as a person presses it. Nothing may be sent before it was seen to work.
pub const LONE_ESC: &str = "\x1b";
pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";
pub const TAB: &str = "\t";
pub const DOWN: &str = "\x1b[B";

/// How the program is started.
pub struct Start<'a> {
    /// Its home; everything else of the environment is empty but for `env` and what the system needs.
    pub home: &'a Path,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Columns, lines.
    pub size: (u16, u16),
    pub under: Under,
}

/// What stands between the terminal and the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// Nothing: it leads the terminal's session.
    Nothing,
    /// A shell that outlives it: the only way to see in what state the terminal is left, since the system resets one
    /// whose session leader ends.
    Shell,
    /// A session of its own: nothing tells it by a signal that the terminal is gone.
    Setsid,
}

impl<'a> Start<'a> {
    pub fn new(home: &'a Path, args: &[&str]) -> Start<'a> {
        Start {
            home,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            size: (120, 40),
            under: Under::Nothing,
        }
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub fn size(mut self, columns: u16, lines: u16) -> Self {
        self.size = (columns, lines);
        self
    }

    pub fn under(mut self, under: Under) -> Self {
        self.under = under;
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn run(self) -> Terminal {
        Terminal::start(&self)
    }
}

/// See the module.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    /// The program itself, not the shell above it.
    pub pid: Pid,
    under: Under,
    /// Both `None` once the terminal is gone.
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    seen: Arc<Seen>,
    /// The line's modes before the program began.
    modes: String,
}

#[derive(Default)]
struct Seen {
    state: Mutex<Option<State>>,
    changed: Condvar,
}

struct State {
    grid: vt100::Parser,
    raw: Vec<u8>,
    /// Nothing more is read: the other side is gone, or this one.
    over: bool,
    /// Nothing is read for now.
    held: bool,
    /// This side goes.
    leaves: bool,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

/// What the shell says when the program has ended, followed by the exit code.
const ENDED: &str = "ENDED WITH ";

impl Terminal {
    fn start(start: &Start<'_>) -> Terminal {
        let (cols, rows) = start.size;
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pty = portable_pty::native_pty_system().openpty(size).unwrap();
        let program = env!("CARGO_BIN_EXE_pgmoat");
        let mut command = match start.under {
            Under::Nothing => CommandBuilder::new(program),
            Under::Shell => {
                let mut command = CommandBuilder::new("/bin/sh");
                command.args([
                    "-c",
                    &format!("\"$0\" \"$@\"; code=$?; echo; echo \"{ENDED}$code.\"; read -r _"),
                    program,
                ]);
                command
            }
            Under::Setsid => {
                let mut command = CommandBuilder::new("setsid");
                command.args(["--wait", program]);
                command
            }
        };
        command.args(&start.args);
        command.env_clear();
        command.env("HOME", start.home);
        command.env("TERM", "xterm-256color");
        for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in &start.env {
            command.env(name, value);
        }
        command.cwd(start.home);
        let modes = modes(&*pty.master);
        let grid = vt100::Parser::new(cells(rows), cells(cols), 0);
        let state = State { grid, raw: Vec::new(), over: false, held: false, leaves: false };
        let seen = Arc::new(Seen { state: Mutex::new(Some(state)), changed: Condvar::new() });
        let mut reader = pty.master.try_clone_reader().unwrap();
        let writer = pty.master.take_writer().unwrap();
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let to = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            loop {
                let n = reader.read(&mut bytes).unwrap_or(0);
                let mut state = to.lock();
                if let Some(state) = state.as_mut() {
                    state.raw.extend_from_slice(&bytes[..n]);
                    state.grid.process(&bytes[..n]);
                    state.over = n == 0 || state.leaves;
                }
                to.changed.notify_all();
                while state.as_ref().is_some_and(|state| state.held) {
                    state = to.changed.wait(state).unwrap();
                }
                if state.as_ref().is_none_or(|state| state.over) {
                    return;
                }
            }
        });
        let leader = i32::try_from(child.process_id().unwrap()).unwrap();
        let pid = if start.under == Under::Nothing { leader } else { only_child(leader) };
        Terminal {
            child,
            pid: Pid::from_raw(pid).unwrap(),
            under: start.under,
            master: Some(pty.master),
            writer: Some(writer),
            seen,
            modes,
        }
    }

    /// Sends keys, as bytes.
    pub fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// What stands on the screen, a line feed after each line.
    pub fn text(&self) -> String {
        self.look(|state| state.grid.screen().contents())
    }

    /// Every byte that was written so far.
    pub fn raw(&self) -> Vec<u8> {
        self.look(|state| state.raw.clone())
    }

    fn look<T>(&self, ask: impl FnOnce(&mut State) -> T) -> T {
        ask(self.seen.lock().as_mut().unwrap())
    }

    /// Waits until `done` holds; says what stood on the screen when it never did.
    #[track_caller]
    fn wait(&self, what: &str, within: Duration, mut done: impl FnMut(&mut State) -> bool) -> Duration {
        let begun = Instant::now();
        let mut state = self.seen.lock();
        loop {
            let now = state.as_mut().unwrap();
            if done(now) {
                return begun.elapsed();
            }
            let left = within.saturating_sub(begun.elapsed());
            assert!(!left.is_zero() && !now.over, "no {what} within {within:?}:\n{}", now.grid.screen().contents());
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the text stands on the screen; returns how long that took.
    #[track_caller]
    pub fn shows(&self, text: &str) -> Duration {
        self.shows_within(text, PATIENCE)
    }

    #[track_caller]
    pub fn shows_within(&self, text: &str, within: Duration) -> Duration {
        self.wait(&format!("{text:?}"), within, |state| state.grid.screen().contents().contains(text))
    }

    /// Waits until `done` holds for the text of the screen.
    #[track_caller]
    pub fn shows_that(&self, what: &str, within: Duration, mut done: impl FnMut(&str) -> bool) -> Duration {
        self.wait(what, within, |state| done(&state.grid.screen().contents()))
    }

    /// Sends keys and waits until `text` stands on the screen; returns how long that took.
    #[track_caller]
    pub fn press(&mut self, keys: &str, text: &str) -> Duration {
        let begun = Instant::now();
        self.send(keys);
        self.shows(text);
        begun.elapsed()
    }

    /// Waits until nothing of the text stands there any more.
    #[track_caller]
    pub fn shows_no(&self, text: &str) {
        self.wait(&format!("end of {text:?}"), PATIENCE, |state| !state.grid.screen().contents().contains(text));
    }

    /// Waits until these bytes come after the first `from` that were written.
    #[track_caller]
    pub fn wrote_after(&self, from: usize, bytes: &[u8]) {
        let what = String::from_utf8_lossy(bytes).escape_debug().to_string();
        self.wait(&what, PATIENCE, |state| state.raw[from..].windows(bytes.len()).any(|window| window == bytes));
    }

    /// Changes the size of the terminal; the grid of the test stays as it is.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.master.as_ref().unwrap().resize(size).unwrap();
    }

    /// From now on nothing is read: what the program writes piles up until it can write no more. Waits for that.
    #[track_caller]
    pub fn stops_reading(&mut self) {
        self.look(|state| state.held = true);
        let begun = Instant::now();
        // whole frames, one after the other
        while !self.is_writing() {
            assert!(begun.elapsed() < PATIENCE, "it was never kept from writing");
            self.send("\x0c");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its thread that writes has been in one write for a while.
    fn is_writing(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero())).unwrap();
        let writes = tasks
            .flatten()
            .map(|task| task.path())
            .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "terminal out"));
        let Some(thread) = writes else { return false };
        let at = || std::fs::read_to_string(thread.join("syscall")).unwrap_or_default();
        let first = at();
        // the number of write(2) on the two kinds of machines there are
        let number = if cfg!(target_arch = "x86_64") { "1 " } else { "64 " };
        first.starts_with(number) && {
            std::thread::sleep(Duration::from_millis(50));
            at() == first
        }
    }

    pub fn reads_again(&self) {
        self.look(|state| state.held = false);
        self.seen.changed.notify_all();
    }

    /// The terminal is gone, as a window that is closed.
    #[track_caller]
    pub fn hangs_up(&mut self) {
        self.look(|state| state.leaves = true);
        // what is written for another size wakes whoever reads
        self.resize(40, 10);
        self.wait("end of reading", PATIENCE, |state| state.over);
        (self.writer, self.master) = (None, None);
    }

    /// The program has ended, whether anybody took notice or not.
    pub fn is_gone(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    pub fn ends(&mut self, within: Duration) -> u32 {
        if self.under == Under::Shell {
            self.wait("end", within, |state| state.grid.screen().contents().contains(ENDED));
            // The digits may come in a later piece.
            let mut code = None;
            self.wait("exit code", within, |state| {
                let text = state.grid.screen().contents();
                code = text.split(ENDED).nth(1).and_then(|t| t.split_once('.')).and_then(|(code, _)| code.parse().ok());
                code.is_some()
            });
            return code.unwrap();
        }
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.drain();
                return status.exit_code();
            }
            assert!(begun.elapsed() < within, "it did not end within {within:?}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the program wrote last may not be read yet when it is gone; who holds the terminal besides is not waited for.
    fn drain(&self) {
        let begun = Instant::now();
        let mut state = self.seen.lock();
        while state.as_ref().is_some_and(|state| !state.over && !state.held) {
            let left = Duration::from_secs(1).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The terminal as the program left it, or what differs from how it was.
    pub fn given_back(&self) -> Result<(), String> {
        let now = modes(&**self.master.as_ref().unwrap());
        if now != self.modes {
            return Err(format!("modes before {}\nafter {now}", self.modes));
        }
        self.look(|state| {
            let screen = state.grid.screen();
            let faults = [
                (screen.alternate_screen(), "alternate screen"),
                (screen.hide_cursor(), "hidden cursor"),
                (screen.bracketed_paste(), "marked pastes"),
                (screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None, "mouse"),
                (screen.fgcolor() != vt100::Color::Default, "colour"),
            ];
            let left: Vec<&str> = faults.iter().filter(|(fault, _)| *fault).map(|(_, what)| *what).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("left on: {left:?}")) }
        })
    }

    /// Processor time it has used so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Every Linux counts them in hundredths here, whatever its clock.
        Duration::from_millis(ticks * 10)
    }

    /// Memory that it holds now, and the most that it ever held, bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Ours and nobody else's: a process whose end was taken notice of is left alone.
        if matches!(self.child.try_wait(), Ok(None)) {
            if self.under != Under::Nothing
                && only_child_now(i32::try_from(self.child.process_id().unwrap_or(0)).unwrap_or(0)).is_some()
            {
                let _ = kill_process(self.pid, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        *self.seen.lock() = None;
        self.seen.changed.notify_all();
    }
}

/// The modes of the line, as text that can be compared.
fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

fn only_child_now(of: i32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn only_child(of: i32) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(pid) = only_child_now(of) {
            return pid;
        }
        assert!(begun.elapsed() < PATIENCE, "the shell started nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The text that was written, without the sequences that the program itself sends; the first byte or character that
/// acts on a terminal and is not the program's is an error, with what stands around it.
pub fn plain(raw: &[u8]) -> Result<String, String> {
    /// Taking the screen over, and giving it back.
    const WHOLE: [&str; 5] = [
        "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J",
        "\x1b[?1000h\x1b[?1006h",
        "\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l",
        "\x1b[0m\x1b[2J",
        "\x1b[?2026h",
    ];
    let text = String::from_utf8(raw.to_vec()).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut rest = text.as_str();
    let mut out = String::new();
    'text: while let Some(c) = rest.chars().next() {
        if c == '\x1b' {
            for whole in WHOLE {
                if let Some(after) = rest.strip_prefix(whole) {
                    rest = after;
                    continue 'text;
                }
            }
            if let Some(after) = rest.strip_prefix("\x1b[?2026l") {
                rest = after;
                continue;
            }
            // Places and faces of cells: digits and semicolons, then H or m.
            if let Some(after) = rest.strip_prefix("\x1b[") {
                let end = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
                if let Some(end) = end.strip_prefix(['H', 'm']) {
                    rest = end;
                    continue;
                }
            }
            return Err(format!("a sequence that is not ours: {:?}", rest.chars().take(60).collect::<String>()));
        }
        if acts(c) {
            let before: String = out.chars().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect();
            return Err(format!("U+{:04X} after {before:?}", u32::from(c)));
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Ok(out)
}

/// Controls but CR and LF, format characters, separators of lines, private and surrogate areas: written down here anew,
/// so that it does not err with the program.
pub fn acts(c: char) -> bool {
    (c.is_control() && c != '\r' && c != '\n')
        || matches!(u32::from(c), 0xAD | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x8E2 | 0x180E | 0x200B..=0x200F
            | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE000..=0xF8FF | 0xE0000..=0x10_FFFF)
}

//! The terminal: taken over, written to from a thread of its own, watched, and given back however the program ends.
//!
//! ```text
//!  loop ── frame ──▶ writer thread ── one write ──▶ tty        the loop never waits for a terminal that does not read:
//!   ▲                    │ done                                it paints the next frame when the last one is out
//!   └── keys, closed ── input thread ◀── poll, read ── tty     and leaves when the tty is gone
//! ```
//! Knows frames, keys and the tty; nothing of servers.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::{
    clipboard::CopyToClipboard,
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate, disable_raw_mode, enable_raw_mode},
};
use ratatui::{
    backend::{Backend, CrosstermBackend},
    buffer::{Buffer, Cell},
    layout::Rect,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    termios::{Action, QueueSelector, tcflow, tcflush},
};
use tokio::sync::mpsc;

use super::{draw::draw, input, theme::Theme};
use crate::app::screen::Screen;

/// News of the terminal.
#[derive(Debug)]
pub enum TerminalEvent {
    Input(input::Event),
    /// Everything given to the writer is out: this many pieces since the beginning, see [`Terminal::sent`].
    Written(u64),
    /// The terminal is gone.
    Closed,
}

/// The other screen, no cursor, pastes as one event, and on request presses and wheel of the mouse.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J";
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
/// Everything back, in the other order; an update that was cut short is ended.
const LEAVE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
/// How long to wait for a terminal that does not read when giving it back.
const PATIENCE: Duration = Duration::from_millis(500);
/// Longest text for the clipboard, bytes: terminals drop longer ones without a word.
pub const CLIPBOARD: usize = 74_000;

/// What the writer thread is to write.
enum Job {
    Bytes(Vec<u8>),
    /// Tells when everything before is out.
    Flush(SyncSender<()>),
}

/// The terminal, taken over. Dropping it gives it back.
pub struct Terminal {
    shared: Arc<Shared>,
    theme: Theme,
    /// What the terminal shows; `None` when that is not known.
    shown: Option<Buffer>,
    /// The one before, whose cells the next frame takes.
    spare: Buffer,
    last: Option<Screen>,
    /// Ends the input thread when dropped.
    _wake: UnixStream,
}

/// What the panic hook needs too.
struct Shared {
    jobs: Mutex<SyncSender<Job>>,
    /// Jobs that are not out yet.
    pending: Arc<Mutex<usize>>,
    /// Pieces given to the writer since the beginning.
    sent: AtomicU64,
    /// Taken over at the moment.
    taken: AtomicBool,
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal over. Both stdin and stdout must be terminals; errors are the system's.
    pub fn new(theme: Theme, mouse: bool, events: mpsc::Sender<TerminalEvent>) -> io::Result<Terminal> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let (wake, woken) = UnixStream::pair()?;
        let (jobs, queue) = sync_channel(64);
        let pending = Arc::new(Mutex::new(0));
        let shared = Arc::new(Shared {
            jobs: Mutex::new(jobs),
            pending: Arc::clone(&pending),
            sent: AtomicU64::new(0),
            taken: AtomicBool::new(false),
            mouse,
        });
        let written = events.clone();
        thread::Builder::new()
            .name("terminal out".to_owned())
            .spawn(move || write_all(output, &queue, &pending, &written))?;
        let terminal = Terminal { shared, theme, shown: None, spare: Buffer::default(), last: None, _wake: wake };
        terminal.shared.take()?;
        thread::Builder::new().name("terminal in".to_owned()).spawn(move || read_all(&input, &woken, &events))?;
        Ok(terminal)
    }

    /// Cells of the terminal: width, height. 0x0 when it does not say.
    #[must_use]
    pub fn size() -> (u16, u16) {
        rustix::termios::tcgetwinsize(io::stdout()).map_or((0, 0), |s| (s.ws_col, s.ws_row))
    }

    /// Nothing waits to be written: the next frame can be painted.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.shared.pending() == 0
    }

    /// Pieces given to the writer so far. What was given is on the screen when [`TerminalEvent::Written`] names as many.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Paints a frame: writes what differs from the last one in one piece, and nothing when nothing does.
    pub fn draw(&mut self, screen: Screen) -> io::Result<()> {
        if !self.shared.taken.load(Ordering::SeqCst) || self.last.as_ref() == Some(&screen) {
            return Ok(());
        }
        let area = Rect::new(0, 0, screen.width, screen.height);
        let mut next = std::mem::take(&mut self.spare);
        if next.area != area {
            next = Buffer::empty(area);
        }
        draw(&screen, &self.theme, &mut next);
        let bytes = frame(self.shown.as_ref().filter(|b| b.area == area), &next)?;
        if !bytes.is_empty() {
            self.shared.show(bytes);
        }
        self.spare = self.shown.replace(next).unwrap_or_default();
        self.last = Some(screen);
        Ok(())
    }

    /// The next frame writes every cell.
    pub fn forget(&mut self) {
        self.shown = None;
        self.last = None;
    }

    /// Sends a text to the terminal's clipboard (OSC 52); nobody answers whether it arrived.
    pub fn copy(&self, text: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        queue!(bytes, CopyToClipboard::to_clipboard_from(text))?;
        self.shared.show(bytes);
        Ok(())
    }

    /// Gives the terminal back, stops the process until the shell continues it, and takes the terminal over again.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.shared.give_back();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        self.resume()
    }

    /// After the process was stopped by others and continued: the shell may have changed the terminal's mode.
    pub fn resume(&mut self) -> io::Result<()> {
        if self.shared.taken.swap(false, Ordering::SeqCst) {
            disable_raw_mode()?;
        }
        self.forget();
        self.shared.take()
    }

    /// What gives the terminal back from a panic hook.
    pub fn restorer(&self) -> impl Fn() + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.give_back()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.shared.give_back();
    }
}

impl Shared {
    fn take(&self) -> io::Result<()> {
        enable_raw_mode()?;
        self.taken.store(true, Ordering::SeqCst);
        let mouse = if self.mouse { MOUSE } else { "" };
        self.send(Job::Bytes(format!("{ENTER}{mouse}").into_bytes()));
        Ok(())
    }

    /// Modes first: they can be set on a terminal that does not read. Does nothing the second time.
    fn give_back(&self) {
        {
            let _jobs = self.jobs();
            if !self.taken.swap(false, Ordering::SeqCst) {
                return;
            }
        }
        let _ = disable_raw_mode();
        self.send(Job::Bytes(LEAVE.into()));
        let (done, wait) = sync_channel(1);
        self.send(Job::Flush(done));
        let mut patience = PATIENCE;
        for _ in 0..10 {
            if wait.recv_timeout(patience).is_ok() {
                return;
            }
            // What it has not read by now is thrown away, so that the end is there when it reads again. A writer that
            // waits for room learns of it only when output begins anew, and may have more than there is room for.
            let _ = tcflush(io::stdout(), QueueSelector::OFlush);
            let _ = tcflow(io::stdout(), Action::OOff).and_then(|()| tcflow(io::stdout(), Action::OOn));
            patience = PATIENCE / 10;
        }
    }

    fn pending(&self) -> usize {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jobs(&self) -> MutexGuard<'_, SyncSender<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it written while the terminal is ours: nothing follows what gives it back, whichever thread does that.
    fn show(&self, bytes: Vec<u8>) {
        let jobs = self.jobs();
        if self.taken.load(Ordering::SeqCst) {
            self.put(&jobs, Job::Bytes(bytes));
        }
    }

    fn send(&self, job: Job) {
        self.put(&self.jobs(), job);
    }

    /// Never blocks: a queue that is full belongs to a terminal that reads nothing.
    fn put(&self, jobs: &SyncSender<Job>, job: Job) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if jobs.try_send(job).is_ok() {
            self.sent.fetch_add(1, Ordering::SeqCst);
        } else {
            *self.pending.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        }
    }
}

/// What turns one frame into the next, as one update; empty when they are equal. Without the old one, every cell.
pub fn frame(shown: Option<&Buffer>, next: &Buffer) -> io::Result<Vec<u8>> {
    let empty;
    let before = if let Some(shown) = shown {
        shown
    } else {
        empty = Buffer::empty(next.area);
        &empty
    };
    let cells = changed(before, next);
    if cells.is_empty() && shown.is_some() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::with_capacity(64 + cells.len() * 8);
    queue!(bytes, BeginSynchronizedUpdate)?;
    if shown.is_none() {
        bytes.extend_from_slice(b"\x1b[0m\x1b[2J");
    }
    CrosstermBackend::new(&mut bytes).draw(cells.into_iter())?;
    queue!(bytes, EndSynchronizedUpdate)?;
    Ok(bytes)
}

/// The cells that differ, as [`Buffer::diff`] says, which looks at every cell for how wide it is: in most rows all are one
/// column wide, and there a comparison says everything.
fn changed<'a>(shown: &Buffer, next: &'a Buffer) -> Vec<(u16, u16, &'a Cell)> {
    let area = next.area;
    if shown.area != area || area.is_empty() {
        return shown.diff(next);
    }
    let mut cells = Vec::new();
    let width = usize::from(area.width);
    for ((y, old), new) in (area.y..).zip(shown.content.chunks(width)).zip(next.content.chunks(width)) {
        let begin = cells.len();
        for ((x, was), is) in (area.x..).zip(old).zip(new) {
            let (Some(before), Some(now)) = (narrow(was), narrow(is)) else {
                cells.truncate(begin);
                let row = |content: &[Cell]| Buffer { area: Rect { y, height: 1, ..area }, content: content.to_vec() };
                let of_row = |x: u16| new.get(usize::from(x - area.x));
                let (old, new) = (row(old), row(new));
                let differing = old.diff(&new).into_iter().map(|(x, y, _)| (x, y));
                cells.extend(differing.filter_map(|(x, y)| Some((x, y, of_row(x)?))));
                break;
            };
            let styled = |c: &Cell| (c.fg, c.bg, c.underline_color, c.modifier);
            if before != now || styled(was) != styled(is) {
                cells.push((x, y, is));
            }
        }
    }
    cells
}

/// What a cell shows, where it is sure to be one column wide: ASCII, Latin-1, lines, blocks, arrows, dashes and dots.
#[expect(clippy::inline_always, reason = "for every cell of every frame, and small code is preferred elsewhere")]
#[inline(always)]
fn narrow(cell: &Cell) -> Option<u32> {
    match *cell.symbol().as_bytes() {
        [a @ 0x20..0x7F] => Some(u32::from(a)),
        [a @ 0xC2, b @ (0xA1..=0xAC | 0xAE..)] | [a @ 0xC3, b] => Some(u32::from_be_bytes([0, 0, a, b])),
        [a @ 0xE2, b @ (0x86 | 0x94..=0x96), c]
        | [a @ 0xE2, b @ 0x80, c @ 0x90..=0xA7]
        | [a @ 0xE2, b @ 0x97, c @ ..=0xBC] => Some(u32::from_be_bytes([0, a, b, c])),
        _ => None,
    }
}

/// The writer thread: one write for each job; ends with its queue, or with the terminal.
fn write_all(mut output: File, queue: &Receiver<Job>, pending: &Mutex<usize>, events: &mpsc::Sender<TerminalEvent>) {
    let mut alive = true;
    let mut out = 0;
    while let Ok(job) = queue.recv() {
        out += 1;
        match job {
            Job::Bytes(bytes) => {
                if alive && output.write_all(&bytes).is_err() {
                    alive = false;
                    let _ = events.blocking_send(TerminalEvent::Closed);
                }
            }
            Job::Flush(done) => {
                let _ = done.try_send(());
            }
        }
        let left = {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            *pending = pending.saturating_sub(1);
            *pending
        };
        if left == 0 && alive {
            // nobody hears it any more when the loop is over
            let _ = events.try_send(TerminalEvent::Written(out));
        }
    }
}

/// The input thread: reads while there is something, tells when the terminal is gone, ends when it is no longer wanted.
fn read_all(input: &OwnedFd, woken: &UnixStream, events: &mpsc::Sender<TerminalEvent>) {
    let start = Instant::now();
    let now = || start.elapsed().as_millis() as u64;
    let mut parser = input::Parser::default();
    let mut bytes = [0u8; 4096];
    loop {
        let timeout = parser.deadline_ms().map(|d| {
            let left = d.saturating_sub(now());
            Timespec { tv_sec: (left / 1000) as i64, tv_nsec: (left % 1000 * 1_000_000) as i64 }
        });
        let mut fds = [PollFd::new(input, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
        let [tty, wake] = &fds;
        if !wake.revents().is_empty() {
            return;
        }
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        let news = if tty.revents().contains(PollFlags::IN) {
            match rustix::io::read(input, &mut bytes) {
                Ok(0) => break,
                Ok(n) => parser.feed(bytes.get(..n).unwrap_or_default(), now()),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Vec::new(),
                Err(_) => break,
            }
        } else if tty.revents().intersects(gone) {
            break;
        } else {
            parser.elapsed(now())
        };
        for event in news {
            if events.blocking_send(TerminalEvent::Input(event)).is_err() {
                return;
            }
        }
    }
    let _ = events.blocking_send(TerminalEvent::Closed);
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Style};

    use super::*;

    fn buffer(text: &str) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 3));
        buffer.set_string(0, 1, text, Style::new().fg(Color::Rgb(200, 10, 20)).bg(Color::Rgb(1, 2, 3)));
        buffer
    }

    #[test]
    fn equal_frames_write_nothing_and_one_cell_costs_little() {
        let (a, b) = (buffer("12:03:41"), buffer("12:03:42"));
        assert!(frame(Some(&a), &a).unwrap().is_empty());
        let bytes = frame(Some(&a), &b).unwrap();
        assert!(!bytes.is_empty() && bytes.len() <= 100, "{} bytes", bytes.len());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("\x1b[?2026h") && text.ends_with("\x1b[?2026l"), "{text:?}");
    }

    proptest::proptest! {
        /// What is compared quickly is what the library says, whatever stands there.
        #[test]
        fn the_cells_that_differ_are_the_librarys(
            texts in proptest::collection::vec(("[a-c é·─│▸↑…◃⚠日本👍\u{301}\u{fe0f}\u{ad}♥]{0,20}", 0u16..40, 0u16..3, 0u8..4), 0..12),
            split in 0usize..12,
        ) {
            let painted = |texts: &[(String, u16, u16, u8)]| {
                let mut buffer = Buffer::empty(Rect::new(0, 0, 40, 3));
                for (text, x, y, style) in texts {
                    let style = match style {
                        0 => Style::new(),
                        1 => Style::new().fg(Color::Red),
                        2 => Style::new().bg(Color::Blue).underlined(),
                        _ => Style::new().underline_color(Color::Green).reversed(),
                    };
                    buffer.set_string(*x, *y, text, style);
                }
                buffer
            };
            let (a, b) = (painted(texts.get(..split).unwrap_or(&texts)), painted(&texts));
            proptest::prop_assert_eq!(changed(&a, &b), a.diff(&b));
            proptest::prop_assert_eq!(changed(&b, &a), b.diff(&a));
        }
    }

    #[test]
    fn a_frame_on_an_unknown_screen_clears_it() {
        let bytes = frame(None, &Buffer::empty(Rect::new(0, 0, 4, 2))).unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains("\x1b[2J"));
    }

    #[test]
    fn what_was_written_is_what_a_terminal_shows() {
        let (a, b) = (buffer("langflow 日本語 x"), buffer("sankore é"));
        let mut emulator = vt100::Parser::new(3.try_into().unwrap(), 40.try_into().unwrap(), 0);
        emulator.process(&frame(None, &a).unwrap());
        emulator.process(&frame(Some(&a), &b).unwrap());
        assert_eq!(emulator.screen().contents().trim(), "sankore é");
    }
}

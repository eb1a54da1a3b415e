//! What happens when the program itself is at fault: the terminal is given back, one sentence is printed, and the exit
//! code is 101. No backtrace: it says nothing to the person in front of it and may hold texts of the server.

use std::{io::Write, panic};

use super::report;

/// Takes the place of the standard panic message. The console's own guard adds itself to it where it needs more.
pub fn set_hook() {
    panic::set_hook(Box::new(|info| {
        restore_terminal();
        let payload = info.payload();
        let words = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        tracing::error!(%words, %place, "panic");
        report::note(&format!("pgmoat: a fault of the program itself: {words}{place}"));
        report::note("Please report it, with this line; nothing was changed in any database by it.");
    }));
}

/// Leaves raw mode and the other screen, when they are on.
fn restore_terminal() {
    if !crossterm::terminal::is_raw_mode_enabled().unwrap_or(false) {
        return;
    }
    let _ = crossterm::terminal::disable_raw_mode();
    let mut out = std::io::stdout();
    let _ = crossterm::execute!(
        out,
        crossterm::event::DisableMouseCapture,
        crossterm::event::DisableBracketedPaste,
        crossterm::terminal::LeaveAlternateScreen,
        crossterm::cursor::Show
    );
    let _ = out.flush();
}

/// Keeps passwords out of core files.
pub fn no_core_files() {
    #[cfg(unix)]
    {
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
}

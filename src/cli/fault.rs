//! What happens when the program itself is at fault: one sentence is printed, and the exit code is 101. The console adds
//! that the terminal is given back before. No backtrace: it says nothing to the person in front of it and may hold texts of the server.

use std::panic;

use super::report;

/// Takes the place of the standard panic message.
pub fn set_hook() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let words = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let words = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        tracing::error!(%words, %place, "panic");
        report::note(&format!("pgmoat: a fault of the program itself: {words}{place}"));
        report::note("Please report it, with this line; nothing was changed in any database by it.");
    }));
}

/// Keeps passwords out of core files, and the memory from other processes of the same person (Linux).
pub fn no_core_files() {
    #[cfg(unix)]
    {
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn nothing_is_dumped() {
        super::no_core_files();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }
}

//! The wish to stop, by Ctrl-C or a signal. Before anything is done it ends the program at once; while an action runs it
//! is passed on, and the program ends when the action has said what became of it. A console takes signals itself and is given
//! a moment to leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// How long a console may take to leave.
const MOMENT: Duration = Duration::from_millis(1500);

/// See the module.
#[derive(Clone)]
pub struct Halt {
    wish: watch::Sender<bool>,
    acting: Arc<AtomicBool>,
    /// A console is open.
    open: watch::Sender<bool>,
}

/// A console is open until this is dropped.
pub struct Open(watch::Sender<bool>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl Halt {
    #[must_use]
    pub fn new() -> Halt {
        Halt { wish: watch::Sender::new(false), acting: Arc::default(), open: watch::Sender::new(false) }
    }

    /// From now on a wish is passed on instead of ending the program.
    #[must_use]
    pub fn acting(&self) -> watch::Receiver<bool> {
        self.acting.store(true, Ordering::SeqCst);
        self.wish.subscribe()
    }

    /// A console is opened, which takes signals itself.
    #[must_use]
    pub fn open(&self) -> Open {
        self.open.send_replace(true);
        Open(self.open.clone())
    }

    /// Somebody wants to stop: returns when the program may end for it.
    pub async fn wish(&self) {
        self.wish.send_replace(true);
        if self.acting.load(Ordering::SeqCst) {
            super::report::note("pgmoat: stopping as soon as it is known what became of it");
            std::future::pending::<()>().await;
        }
        let _ = timeout(MOMENT, self.open.subscribe().wait_for(|open| !open)).await;
    }
}

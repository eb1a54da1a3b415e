//! The wish to stop, by Ctrl-C or a signal. Before anything is done it ends the program at once; while an action runs it
//! is passed on, and the program ends when the action has said what became of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

/// See the module.
#[derive(Clone)]
pub struct Halt {
    wish: watch::Sender<bool>,
    acting: Arc<AtomicBool>,
}

impl Halt {
    #[must_use]
    pub fn new() -> Halt {
        Halt { wish: watch::Sender::new(false), acting: Arc::default() }
    }

    /// From now on a wish is passed on instead of ending the program.
    #[must_use]
    pub fn acting(&self) -> watch::Receiver<bool> {
        self.acting.store(true, Ordering::SeqCst);
        self.wish.subscribe()
    }

    /// Somebody wants to stop: returns when the program may end for it.
    pub async fn wish(&self) {
        self.wish.send_replace(true);
        if self.acting.load(Ordering::SeqCst) {
            super::report::note("pgmoat: stopping as soon as it is known what became of it");
            std::future::pending::<()>().await;
        }
    }
}

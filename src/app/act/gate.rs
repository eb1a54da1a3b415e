//! The one place that says whether something may be done to an instance now. Keys stay where they are and say this.

use crate::{app::App, app::instance::Instance, domain::link::LinkState};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Run a plan.
    Change,
    /// Cancel or terminate a session.
    Signal,
}

impl Instance {
    /// Whether it may be done here now, or why not.
    ///
    /// # Errors
    /// The reason, as the end of a sentence.
    pub fn may(&self, deed: Deed) -> Result<(), &'static str> {
        if self.recorded {
            return Err("this is a recording, there is no server behind it");
        }
        if self.read_only {
            return Err(
                "read-only: nothing is changed and no session is ended here (--read-only, or read_only = true)",
            );
        }
        if deed == Deed::Signal && !self.allow_signals {
            return Err("the configuration says allow_signals = false for this instance");
        }
        match self.link.state {
            LinkState::Ready => {}
            LinkState::Connecting => return Err("the server has not answered yet"),
            LinkState::Lost { .. } => return Err("the connection is lost; the console tries to get it back"),
        }
        let Some(judgement) = &self.judgement else { return Err("the server has not answered yet") };
        if deed == Deed::Change && judgement.snapshot.server.in_recovery {
            return Err("this server is a standby: changes are made on the primary");
        }
        Ok(())
    }
}

impl App {
    /// As [`Instance::may`], of the instance in focus.
    pub(in crate::app) fn may_here(&self, deed: Deed) -> Result<(), &'static str> {
        match self.focus().and_then(|i| self.instances.get(i)) {
            Some(instance) => instance.may(deed),
            None => Err("there is no instance"),
        }
    }
}

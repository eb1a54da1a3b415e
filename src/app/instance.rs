//! One instance as the console knows it: its name and surroundings, its link, and the last judged snapshot.

use std::sync::Arc;

use crate::{config::target::Environment, domain::link::Link, policy::judgement::Judgement};

/// See the module.
#[derive(Clone)]
pub struct Instance {
    pub name: String,
    pub environment: Environment,
    pub read_only: bool,
    /// False: no session is ended here.
    pub allow_signals: bool,
    /// File name of its policy, for the screen.
    pub policy_name: Option<String>,
    /// Why the policy could not be loaded, in words.
    pub policy_problem: Option<String>,
    pub link: Link,
    /// `None` until the first answer.
    pub judgement: Option<Arc<Judgement>>,
    /// Grows by one with every new judgement: panes rebuild their rows when it moved.
    pub revision: u64,
    /// Sizes by schema when the console started, for growth.
    pub first_sizes: Option<Arc<crate::domain::snapshot::Sizes>>,
    /// A recording, not a server.
    pub recorded: bool,
    /// What asks the same from a shell, where that is not plain from how the console was opened.
    pub command: Option<String>,
}

//! Small databases and their readings, for the tests of the commands' answers.

use std::sync::Arc;

use super::{
    exit_code::Exit,
    failure::Failure,
    gather::Reading,
    report::{Report, tests::Kept},
};
use crate::policy::{checks::fixture::Fixture, judgement::Judgement};

/// A reader, a service with its own schema, an odd name, and a policy that names the first two.
pub fn fixture() -> Fixture {
    Fixture::new()
        .role("langflow_app")
        .role("reader")
        .role("od\u{202e}d,\"|")
        .schema("langflow", "langflow_app")
        .schema("audit", "postgres")
        .table("langflow", "flow", "langflow_app")
        .table("langflow", "vertex", "langflow_app")
        .grant_schema("langflow", "reader", "USAGE")
        .grant("langflow.flow", "reader", "SELECT")
        .grant("langflow.vertex", "reader", "SELECT, INSERT")
        .policy(
            "[[service]]\nname='langflow'\nschema='langflow'\nrole='langflow_app'\n\
             [[role]]\nname='reader'\naccess={langflow=['read'],audit=['read']}\n",
        )
}

pub fn reading(fixture: Fixture) -> Reading {
    let case = fixture.case();
    let policy = case.policy.clone().map(Arc::new);
    let judgement = Judgement::new(Arc::new(case.snapshot), policy, case.lineages, None);
    Reading { name: judgement.snapshot.instance.clone(), policy_path: None, judgement: Ok(judgement) }
}

/// An instance that could not be reached.
pub fn dead() -> Reading {
    let failure = Failure::server("could not connect to x: refused", None);
    Reading { name: "dead".into(), policy_path: None, judgement: Err(failure) }
}

/// What a command prints, and how it ends.
pub fn printed(command: impl FnOnce(&mut Report) -> Result<Exit, Failure>) -> (String, Exit) {
    let kept = Kept::default();
    let mut report = Report::to(kept.clone());
    let exit = command(&mut report).unwrap();
    report.flush().unwrap();
    (kept.text(), exit)
}

//! What keeps a draft from becoming a policy, answer by answer. Looks up names and nothing else, so that it can be asked
//! after every key.

use std::collections::BTreeSet;

use super::{Draft, DraftService};
use crate::{
    domain::{Ident, snapshot::Snapshot},
    policy::checks::audit_schema_missing::AUDIT,
};

/// Which answer is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Name,
    /// The list of services as a whole.
    Services,
    /// One of them, by position in [`Draft::services`].
    Service(usize, Part),
    /// By position in [`Draft::access`].
    Access(usize),
    Reporting,
    Audit,
    /// By position in [`Draft::accepted`].
    Accepted(usize),
}

/// A part of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Name,
    Schema,
    Role,
    Owner,
    Limit,
}

/// An answer that cannot be, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub answer: Answer,
    pub sentence: String,
    pub remedy: String,
}

struct Found(Vec<Problem>);

impl Found {
    fn say(&mut self, answer: Answer, sentence: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem { answer, sentence: sentence.into(), remedy: remedy.into() });
    }

    /// A name that the server would take.
    fn name(&mut self, answer: Answer, what: &str, text: &str) {
        if let Err(why) = Ident::new(text) {
            self.say(answer, format!("{what} {text:?}: {why}."), "Use another name.");
        } else if text.starts_with("pg_") {
            let sentence = format!("{what} {text}: names that begin with pg_ are PostgreSQL's own.");
            self.say(answer, sentence, "Use another name.");
        } else if what == "Role" && ["public", "none"].contains(&text) {
            let sentence = format!("Role {text}: that word means something else in GRANT.");
            self.say(answer, sentence, "Use another name.");
        }
    }
}

impl Draft {
    /// Everything that is wrong with the answers, in their order; empty: a policy can be made of them.
    #[must_use]
    pub fn problems(&self, snapshot: &Snapshot) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        let odd = |c: char| c == '/' || c == '=' || c.is_control();
        if self.name.is_empty() || self.name.starts_with('-') || self.name.contains(odd) {
            let sentence = format!("{:?} cannot be the name of an instance.", self.name);
            found.say(Answer::Name, sentence, "Use letters, digits, - and _.");
        }
        if self.chosen().next().is_none() {
            let remedy = "Choose a service that was found, or add one.";
            found.say(Answer::Services, "No service is chosen: there is nothing to set up.", remedy);
        }
        let (mut names, mut schemas) = (BTreeSet::new(), BTreeSet::new());
        for (at, service) in self.services.iter().enumerate().filter(|(_, s)| s.chosen) {
            self.service(at, service, snapshot, &mut found);
            if !names.insert(service.name.as_str()) {
                let sentence = format!("Two services are called {}.", service.name);
                found.say(Answer::Service(at, Part::Name), sentence, "Give each a name of its own.");
            }
            if !schemas.insert(service.schema.as_str()) {
                let sentence = format!("Two services have the schema {}.", service.schema);
                found.say(Answer::Service(at, Part::Schema), sentence, "A schema belongs to one service.");
            }
        }
        self.rest(snapshot, &mut found);
        found.0
    }

    fn service(&self, at: usize, service: &DraftService, snapshot: &Snapshot, found: &mut Found) {
        let here = |part| Answer::Service(at, part);
        let catalog = &snapshot.catalog;
        if service.name.trim().is_empty() {
            found.say(here(Part::Name), "The service has no name.", "Give it one.");
        }
        found.name(here(Part::Schema), "Schema", &service.schema);
        found.name(here(Part::Role), "Role", &service.role);
        if service.schema == "information_schema" {
            found.say(here(Part::Schema), "information_schema is PostgreSQL's own.", "Use another name.");
        }
        if let Some(owner) = service.owner.as_ref().filter(|o| **o != service.role)
            && catalog.role_named(owner).is_none()
        {
            let sentence = format!("There is no role {owner} that could own the schema {}.", service.schema);
            found.say(here(Part::Owner), sentence, "Leave it out: the service's role owns its schema.");
        }
        let most = snapshot.server.max_connections.max(1);
        if let Some(limit) = service.connection_limit.filter(|limit| !(1..=most).contains(limit)) {
            let sentence = format!("A connection limit of {limit} for {}: the server takes 1 to {most}.", service.name);
            found.say(here(Part::Limit), sentence, "Use a number in between.");
        }
        // One role has one limit.
        let others = self.services.iter().take(at).filter(|o| o.chosen && o.role == service.role);
        if let Some(other) = others.into_iter().find(|o| o.connection_limit != service.connection_limit) {
            let sentence =
                format!("{} and {} log in as {}, with different limits.", other.name, service.name, service.role);
            found.say(here(Part::Limit), sentence, "Give both the same limit, or a role of its own to each.");
        }
    }

    fn rest(&self, snapshot: &Snapshot, found: &mut Found) {
        let catalog = &snapshot.catalog;
        for (at, access) in self.access.iter().enumerate().filter(|(_, a)| !a.levels.is_empty()) {
            let service = self.services.iter().find(|s| s.name == access.of);
            match service {
                None => {
                    let sentence = format!("There is no service {} that could be given access.", access.of);
                    found.say(Answer::Access(at), sentence, "Name one of the services.");
                }
                Some(service) if !service.chosen => {}
                Some(_) => {
                    let there = catalog.schema_named(&access.to).is_some_and(|s| !s.is_system());
                    let coming = self.chosen().any(|s| s.schema == access.to) || self.audit && access.to == AUDIT;
                    if !there && !coming {
                        let sentence = format!("There is no schema {} for {} to use.", access.to, access.of);
                        found.say(Answer::Access(at), sentence, "Name a schema that is there, or that a service gets.");
                    }
                }
            }
        }
        if let Some(role) = &self.reporting {
            found.name(Answer::Reporting, "Role", role);
            if let Some(service) = self.chosen().find(|s| s.role == *role || s.owner.as_ref() == Some(role)) {
                let sentence = format!("{role} is the role of {}: it does more than read.", service.name);
                found.say(Answer::Reporting, sentence, "Use a role that no service logs in as.");
            }
        }
        if self.audit && self.chosen().any(|s| s.schema == AUDIT) {
            let sentence = format!("The schema {AUDIT} belongs to a service, and cannot be everybody's trail too.");
            found.say(Answer::Audit, sentence, "Give the service another schema, or do without the trail.");
        }
        for (at, accepted) in self.accepted.iter().enumerate() {
            if accepted.reason.trim().is_empty() {
                let sentence = format!("{} is left as it is, and nobody says why.", accepted.finding);
                found.say(Answer::Accepted(at), sentence, "Say why, for whoever reads it next year.");
            }
        }
    }
}

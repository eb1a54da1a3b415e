//! How to get from what is to what should be: changes in order, as SQL, with what they touch, what they promise, what they
//! do to every role, and how to take them back. A plan is data: `server::apply` runs it, the console and the commands show
//! it. Nothing here talks to a server.

pub mod audit;
mod besides;
pub mod build;
pub mod choice;
mod effects;
pub mod ground;
pub mod handover;
pub mod keys;
#[cfg(test)]
mod laws;
pub mod moves;
pub mod predict;
mod script;
pub mod setup;
pub mod sql;
mod story;
mod sweep;
pub mod tenancy;
pub mod undo;
mod unfound;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use ground::{Ground, Key, Moved, State};
pub use predict::Refused;
pub use script::script;

use crate::domain::change::Change;

/// A plan for one database in one state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Always 1.
    pub schema_version: u32,
    /// Of the same target, ground and statements the same: 16 hexadecimal digits.
    pub plan_id: String,
    /// What was asked for, in a few words: `Create schema shop with role shop_app`. Empty where nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub asked: String,
    pub target: Target,
    /// [`Ground::fingerprint`] of `ground`.
    pub base_fingerprint: String,
    /// What the plan stands on: everything it touches, as it was.
    pub ground: Ground,
    pub steps: Vec<Step>,
    /// The same things as they will be.
    pub predicted: Ground,
    /// Every role whose effective privileges change, declared or not.
    pub effects: Vec<Effect>,
    /// What holds for the plan as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Hazard>,
    /// Findings with a fix that the plan leaves alone, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<build::Left>,
    /// What a policy's file gets once it is committed, and loses again when it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<PolicyEntry>,
    /// The policy that it leads to, where it was made from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyUsed>,
}

/// The policy file that a plan was made from, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyUsed {
    /// Absolute.
    pub file: PathBuf,
    /// Of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

impl PolicyUsed {
    #[must_use]
    pub fn new(file: PathBuf, text: &[u8]) -> PolicyUsed {
        PolicyUsed { file, sha256: ground::hexadecimal(&Sha256::digest(text), 32) }
    }
}

/// A service as it is added to a policy's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEntry {
    /// Absolute.
    pub file: PathBuf,
    pub service: String,
    /// The section, exactly as it is written.
    pub text: String,
}

/// The database a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The instance's name in the configuration, or `host:port/db`; not compared.
    pub instance: String,
    /// `None` where the role may not ask; then nothing but the database and the ground tells clusters apart.
    pub system_identifier: Option<String>,
    pub database: String,
    pub server_version_num: u32,
    /// First eight digits of the WAL file's name, which change when a standby is promoted or a backup is restored; `None`
    /// where that was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
}

impl Target {
    /// Why a server on this timeline is not the one the plan is for: since then it went another way.
    #[must_use]
    pub fn went_another_way(&self, timeline: Option<&str>) -> Option<String> {
        let number = |hex: &str| u32::from_str_radix(hex, 16).map_or_else(|_| hex.to_owned(), |n| n.to_string());
        let (then, now) = (self.timeline.as_deref()?, timeline?);
        (then != now).then(|| {
            format!(
                "the plan was made on timeline {}, and this server is on {}: it was promoted or restored since",
                number(then),
                number(now)
            )
        })
    }
}

/// One change of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `s1`, `s2` and so on, in order.
    pub id: String,
    /// What it does, in words.
    pub title: String,
    pub change: Change,
    /// Exactly what is run. A password is [`sql::PASSWORD`] here and a SCRAM verifier on the wire.
    pub sql: Vec<String>,
    /// What takes it back; `None` when nothing can.
    pub undo: Option<Vec<String>>,
    pub hazards: Vec<Hazard>,
    /// Ids of the findings it settles.
    pub resolves: Vec<String>,
}

impl Step {
    /// Nothing takes it back: neither its own way back, nor doing again what it takes back.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.undo.is_none() && self.hazards.iter().any(|h| h.kind == HazardKind::NoWayBack)
    }
}

/// What somebody should know before they confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    pub kind: HazardKind,
    /// One sentence of consequence.
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardKind {
    /// A lock that other sessions may wait behind, or that we may wait for.
    Lock,
    /// Somebody loses a right.
    Loss,
    /// Nothing takes it back.
    NoWayBack,
    /// Something outside the database has to follow: a setting of the application.
    Application,
    /// Anything else worth a sentence.
    Note,
}

/// How one role's effective privileges change in one schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Effect {
    /// `None` is PUBLIC.
    pub role: Option<String>,
    /// `None`: rights on the database.
    pub schema: Option<String>,
    /// In words: `USAGE`, `SELECT on 5 of 7 tables`.
    pub gained: Vec<String>,
    pub lost: Vec<String>,
}

/// A plan that somebody saw and confirmed: the only thing that is ever run.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved(Plan);

impl Plan {
    /// What it is called: what was asked for, else its steps.
    #[must_use]
    pub fn name(&self) -> String {
        match self.steps.as_slice() {
            _ if !self.asked.is_empty() => self.asked.clone(),
            [] => "nothing".to_owned(),
            [one] => one.title.clone(),
            [first, rest @ ..] => {
                format!("{} and {}", first.title, crate::text::count(rest.len() as u64, "step more", "steps more"))
            }
        }
    }

    /// The same plan, called by what was asked for.
    #[must_use]
    pub fn called(mut self, asked: impl Into<String>) -> Plan {
        self.asked = asked.into();
        self
    }

    /// The first role whose password it sets: no journal holds that, so it is another one when it is done again.
    #[must_use]
    pub fn sets_password_of(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match &step.change {
            Change::SetPassword { role } => Some(role.as_str()),
            _ => None,
        })
    }

    /// Says that somebody confirmed exactly this plan.
    #[must_use]
    pub fn approve(self) -> Approved {
        Approved(self)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Every statement, in order.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(|step| step.sql.iter().map(String::as_str))
    }

    /// Roles whose password must be at hand when the plan runs.
    pub fn passwords(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.change {
            Change::SetPassword { role } => Some(role.as_str()),
            _ => None,
        })
    }
}

impl Approved {
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_of_an_older_release_is_read() {
        let written = r#"{"instance":"local","system_identifier":"7","database":"d","server_version_num":150000}"#;
        let old: Target = serde_json::from_str(written).unwrap();
        assert_eq!(old.timeline, None);
        assert_eq!(serde_json::to_string(&old).unwrap(), written);
        assert_eq!(old.went_another_way(Some("00000002")), None, "what is not known refuses nothing");
        let new = Target { timeline: Some("0000000A".into()), ..old };
        assert_eq!(new.went_another_way(None), None);
        assert_eq!(new.went_another_way(Some("0000000A")), None);
        let why = new.went_another_way(Some("0000000B")).unwrap();
        assert!(why.contains("timeline 10") && why.contains("on 11"), "{why}");
    }
}

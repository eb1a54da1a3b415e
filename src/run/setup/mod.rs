//! The steps of a set-up that need a server or a file, for command and console alike: look, connect, judge what was
//! answered, apply, try the logins, write files. What is asked and in which order is theirs; nothing is changed here that
//! was not given as a confirmed plan.

mod ending;
mod judge;
mod kept;

pub use ending::{
    Applied, Block, Fresh, Login, LoginTest, Tries, Writing, apply, files, hand_over, login_tests, pgpass_line,
    policy_text, remember_password, write,
};
pub use judge::{Judged, Open, judge, judge_by};
pub use kept::{forget, keep, kept};

use std::sync::Arc;

use crate::{
    config::Target,
    discover::{self, Found},
    domain::{
        ObjectKind, Privilege, Privileges,
        change::{Change, Grantee, On, RoleAttributes},
        effective::{Matrix, Who},
        snapshot::Snapshot,
    },
    plan::{Refused, sql as statements},
    policy::draft::Neighbour,
    server::{ObjectsWanted, Reader, ServerError, Want, connect::ConnectErrorKind},
};

/// What kept a step from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server wants a password, and none is at hand.
    PasswordNeeded,
    /// The server cannot be reached, or failed.
    Server,
    /// What was asked for cannot be, or a file cannot be used.
    Wrong,
    /// Refused: nothing was changed.
    Refused,
    /// A fault of the program.
    Fault,
}

/// Why a step could not be done, and what to do. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub kind: Kind,
    /// `could not <verb> <object>: <cause>`, without a full stop.
    pub message: String,
    /// A sentence; may be empty.
    pub remedy: String,
}

impl Trouble {
    pub(super) fn new(kind: Kind, message: impl Into<String>, remedy: impl Into<String>) -> Trouble {
        Trouble { kind, message: message.into(), remedy: remedy.into() }
    }
}

impl From<Refused> for Trouble {
    fn from(why: Refused) -> Trouble {
        Trouble::new(Kind::Refused, format!("could not plan that: {why}"), "Nothing was changed.")
    }
}

impl From<ServerError> for Trouble {
    fn from(error: ServerError) -> Trouble {
        let asks = matches!(&error, ServerError::Connect(e) if e.kind == ConnectErrorKind::PasswordNeeded);
        let kind = if asks { Kind::PasswordNeeded } else { Kind::Server };
        Trouble::new(kind, error.to_string(), error.remedy().unwrap_or_default())
    }
}

/// Work that keeps a processor busy.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let fault = |_| Trouble::new(Kind::Fault, "could not go on: a part of the program failed", "Please report it.");
    tokio::task::spawn_blocking(work).await.map_err(fault)
}

/// A server that answered.
#[derive(Clone)]
pub struct Opened {
    pub target: Target,
    /// Everything that a check asks about, with the names of all objects.
    pub snapshot: Arc<Snapshot>,
    pub sees: Vec<Sees>,
}

/// What the login may see and do, in a sentence, and the one statement that would change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sees {
    pub sentence: String,
    /// False: something is missing.
    pub good: bool,
    pub grant: Option<String>,
}

/// Connects and reads. The target's password, where one is needed, is in it already.
///
/// # Errors
/// Whatever keeps us out, or from reading.
pub async fn open(target: &Target) -> Result<Opened, Trouble> {
    let want = Want { shapes: true, versions: true, objects: ObjectsWanted::All, ..Want::default() };
    let mut reader = Reader::open(&target.conninfo, &target.name).await?;
    let snapshot = reader.snapshot(&want).await?;
    let sees = sees(&snapshot);
    Ok(Opened { target: target.clone(), snapshot: Arc::new(snapshot), sees })
}

/// What this login may see and do here.
#[must_use]
pub fn sees(snapshot: &Snapshot) -> Vec<Sees> {
    let (server, catalog) = (&snapshot.server, &snapshot.catalog);
    let me = &server.current_user;
    let mut out = Vec::new();
    let mut good = |sentence: String| out.push(Sees { sentence, good: true, grant: None });
    if server.superuser {
        good(format!("{me} is a superuser: it sees everything and may do everything."));
    } else {
        good(format!("{me} is logged in as an ordinary role: it sees the whole catalog."));
    }
    let mut lacks = |sentence: String, change: Option<Change>| {
        let grant = change.map(|c| statements::statements(&c).join(" "));
        out.push(Sees { sentence, good: false, grant });
    };
    if server.in_recovery {
        lacks("This is a standby: nothing can be set up here, only on the primary.".to_owned(), None);
    }
    let role = catalog.role_named(me).filter(|r| !r.superuser && !server.superuser);
    if let Some(role) = role {
        if !role.create_role {
            let attributes = RoleAttributes { create_role: Some(true), ..RoleAttributes::default() };
            let change = Change::AlterRole { name: me.clone(), attributes };
            lacks(format!("{me} may not create roles: services cannot get a role of their own."), Some(change));
        }
        let matrix = Matrix::new(catalog, &snapshot.server);
        let database = &catalog.database;
        let rights = matrix.index.role(role.oid).map(|position| {
            matrix.rights(catalog, Who::Role(position), ObjectKind::Database, database.owner, &database.acl)
        });
        if !rights.is_some_and(|r| r.contains(Privilege::Create)) {
            let change = Change::Grant {
                privileges: Privileges::from(Privilege::Create),
                on: On::Database(database.name.clone()),
                to: Grantee::Role(me.clone()),
            };
            lacks(format!("{me} may not create schemas in {}.", database.name), Some(change));
        }
    }
    for dark in &snapshot.unavailable {
        let sentence = format!("Not to be seen: {} ({}).", dark.what, dark.why);
        out.push(Sees { sentence, good: false, grant: dark.grant.clone() });
    }
    out
}

/// What the applications beside a database say of it, for [`crate::policy::draft::Draft::propose`].
#[must_use]
pub fn neighbours(found: &Found, database: &str) -> Vec<Neighbour> {
    let here = |n: &&discover::Neighbour| n.database.as_deref().is_none_or(|d| d == database);
    let mut out: Vec<Neighbour> = Vec::new();
    for neighbour in found.neighbours.iter().filter(here) {
        let one = Neighbour {
            service: neighbour.service.clone(),
            user: neighbour.user.clone(),
            schemas: neighbour.schemas.clone(),
            revisions: neighbour.revisions.clone(),
        };
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

//! What the readers work on: every target read (or recorded) and judged. Servers are asked concurrently and each has its
//! own time limits, so one that is dead costs the others nothing but the end of the wait.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    exit_code::Exit,
    failure::Failure,
    report::sentence,
    resolve::{Implied, Source, Target},
};
use crate::{
    config::{self, target::Ask},
    domain::snapshot::Snapshot,
    policy::{
        checks::schemas_wanting_names,
        judgement::{Basis, Judgement},
    },
    server::{ObjectsWanted, Reader, ServerError, Want, connect::ConnectErrorKind},
};

/// One target, read and judged, or why that was not possible.
pub struct Reading {
    /// Name of the instance.
    pub name: String,
    /// The policy's file, for those who point at it.
    pub policy_path: Option<PathBuf>,
    pub judgement: Result<Judgement, Failure>,
}

/// Reads and judges every target, in the order of the targets.
pub async fn readings(targets: Vec<Target>, want: &Want) -> Vec<Reading> {
    let asking = Asking::default();
    let mut tasks = Vec::new();
    for target in targets {
        let want = Want { tenant_columns: target.tenant_columns(), ..want.clone() };
        let (name, policy_path) = (target.name.clone(), target.place.as_ref().map(|p| p.path.clone()));
        tasks.push((name, policy_path, tokio::spawn(reading(target, want, asking.clone()))));
    }
    let mut readings = Vec::new();
    for (name, policy_path, task) in tasks {
        let judgement = match task.await {
            Ok(judgement) => judgement,
            Err(error) => Err(fault(format!("could not read {name}: {error}"))),
        };
        readings.push(Reading { name, policy_path, judgement });
    }
    readings
}

async fn reading(target: Target, want: Want, asking: Asking) -> Result<Judgement, Failure> {
    let (snapshot, reader) = match taken(&target, &want, &asking).await {
        Ok(taken) => taken,
        Err(error) => return Err(implied(error, &target)),
    };
    let judged = judge(&target, snapshot).await?;
    // Findings list the objects they speak of: names are read for those schemas only, and only where there are any.
    let Some(mut reader) = reader.filter(|_| want.shapes && want.objects == ObjectsWanted::None) else {
        return Ok(judged);
    };
    let schemas = schemas_wanting_names(&judged.findings, &judged.snapshot.catalog, judged.policy.as_deref());
    if schemas.is_empty() {
        return Ok(judged);
    }
    match reader.objects(Some(&schemas), &judged.snapshot.catalog).await {
        Ok(objects) => {
            let snapshot = Snapshot { objects, ..(*judged.snapshot).clone() };
            judge_again(&target, judged, snapshot).await
        }
        // The findings stand without the names.
        Err(error) => {
            tracing::warn!(instance = %target.name, %error, "could not read the names of objects");
            Ok(judged)
        }
    }
}

/// Why somewhere was looked that nobody named. A name that nothing says more of, and that is no database there, is told and
/// fails nothing: whoever looks at one server with a policy for several has not done wrong.
fn implied(Refused { failure, sqlstate }: Refused, target: &Target) -> Failure {
    let (Some(place), Some(implied)) = (&target.place, target.implied) else { return failure };
    let (file, name) = (place.path.display(), &target.name);
    let no_such = implied == Implied::ByDatabase && sqlstate.as_deref() == Some("3D000");
    if no_such {
        let message = format!(
            "what {file} says of {name} is not judged: it is no database here, and the configuration has no [[instance]] of \
             that name"
        );
        return Failure::new(Exit::Done, message, None);
    }
    let remedy = format!("{file} says that something lives in the instance {name}, so it is looked at, too.");
    let remedy = failure.remedy.map_or(remedy.clone(), |first| format!("{} {remedy}", sentence(&first)));
    Failure { remedy: Some(remedy), ..failure }
}

/// What a server or a recording refused, with the server's code.
struct Refused {
    failure: Failure,
    sqlstate: Option<String>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused { failure, sqlstate: None }
    }
}

impl From<&ServerError> for Refused {
    fn from(error: &ServerError) -> Refused {
        Refused { failure: refused(error), sqlstate: error.sqlstate().map(str::to_owned) }
    }
}

/// The picture of one target, from its server or from a file. The connection comes along for what is asked for later.
///
/// # Errors
/// No connection, or nothing could be read on it.
pub async fn take(target: &Target, want: &Want, asking: &Asking) -> Result<(Snapshot, Option<Reader>), Failure> {
    taken(target, want, asking).await.map_err(|refused| refused.failure)
}

async fn taken(target: &Target, want: &Want, asking: &Asking) -> Result<(Snapshot, Option<Reader>), Refused> {
    match &target.source {
        Source::Recording(snapshot) => Ok(((**snapshot).clone(), None)),
        Source::Server(server) => {
            let mut reader = connect(server, asking).await?;
            let snapshot = reader.snapshot(want).await.map_err(|e| Refused::from(&e))?;
            Ok((snapshot, Some(reader)))
        }
    }
}

/// One question at a time on the terminal, however many servers want a password.
#[derive(Clone, Default)]
pub struct Asking(Arc<tokio::sync::Mutex<()>>);

/// Connects; a person is asked for a password when the server wants one and none is at hand.
async fn connect(target: &config::Target, asking: &Asking) -> Result<Reader, Refused> {
    let target = at_hand(target.clone(), asking).await?;
    let error = match Reader::open(&target.conninfo, &target.name).await {
        Ok(reader) => return Ok(reader),
        Err(error) => error,
    };
    let wanted = matches!(&error, ServerError::Connect(e) if e.kind == ConnectErrorKind::PasswordNeeded);
    if !wanted || target.ask != Ask::WhenNeeded {
        return Err(Refused::from(&error));
    }
    // Where nobody can be asked, it stays what it was: a server that wants a password.
    let asked = ask(target, asking).await.map_err(|_| Refused::from(&error))?;
    Reader::open(&asked.conninfo, &asked.name).await.map_err(|e| Refused::from(&e))
}

/// A target with the password that its server wants, for the console. A server that cannot be reached is no error here:
/// the console goes on trying.
///
/// # Errors
/// The password command failed, or nobody answered.
pub async fn with_password(target: config::Target, asking: &Asking) -> Result<config::Target, Failure> {
    let target = at_hand(target, asking).await?;
    if target.conninfo.has_password() || target.ask != Ask::WhenNeeded {
        return Ok(target);
    }
    match crate::server::connect::connect(&target.conninfo, PROBE).await {
        Err(error) if error.kind == ConnectErrorKind::PasswordNeeded => ask(target, asking).await,
        Ok(_) | Err(_) => Ok(target),
    }
}

/// How long a server may take to say whether it wants a password, before the console opens without.
const PROBE: Duration = Duration::from_secs(2);

/// The password that can be had without the server's asking.
async fn at_hand(mut target: config::Target, asking: &Asking) -> Result<config::Target, Failure> {
    let turn = if target.ask == Ask::First { Some(asking.0.lock().await) } else { None };
    let target = on_a_thread(move || target.obtain_password().map(|()| target)).await??;
    drop(turn);
    Ok(target)
}

async fn ask(mut target: config::Target, asking: &Asking) -> Result<config::Target, Failure> {
    let _turn = asking.0.lock().await;
    Ok(on_a_thread(move || target.ask_password().map(|()| target)).await??)
}

/// Judging a large database is work for a thread of its own: the others' answers are not to wait for it.
async fn judge(target: &Target, snapshot: Snapshot) -> Result<Judgement, Failure> {
    let (policy, lineages) = (target.policy.clone(), Arc::clone(&target.lineages));
    on_a_thread(move || Judgement::new(Arc::new(snapshot), policy, lineages, None)).await
}

async fn judge_again(target: &Target, before: Judgement, snapshot: Snapshot) -> Result<Judgement, Failure> {
    let (policy, lineages) = (target.policy.clone(), Arc::clone(&target.lineages));
    let basis = Basis::of(&before, &snapshot, policy.as_ref(), &lineages);
    // The findings of a large database are not held twice.
    drop(before);
    on_a_thread(move || Judgement::on(Arc::new(snapshot), policy, lineages, basis)).await
}

/// Runs work that keeps a processor busy, or blocks on files, beside the others' waiting.
///
/// # Errors
/// The work failed, which is a fault of the program.
pub async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| fault(format!("could not judge what was read: {error}")))
}

fn fault(message: String) -> Failure {
    Failure::new(Exit::Panic, message, Some("This is a fault of the program; please report it.".to_owned()))
}

fn refused(error: &ServerError) -> Failure {
    Failure::server(error.to_string(), error.remedy())
}

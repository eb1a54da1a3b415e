//! `create-schema`, `set-password`, `replace-role`: a service gets its schema, its role, a password, and its people what
//! they need to connect. The password is written to a file of its owner, never printed.

mod secret;

use std::{collections::HashMap, path::PathBuf};

use secrecy::SecretString;

use super::{
    apply::{self, Confirmed},
    args::{CreateSchema, PasswordSource, ReplaceRole, RunArgs, SetPassword},
    exit_code::Exit,
    failure::{Failure, Outcome},
    halt::Halt,
    plan,
    report::{self, Report},
    resolve::{Context, Source, Target},
};
use crate::{
    app::view::Tone,
    config::{Target as Server, paths},
    domain::change::Change,
    plan::{
        Plan, PolicyEntry, Refused, build,
        setup::{self, Wanted},
    },
    policy::{Service, declares},
    run::handover::{self, AddError, UNASKED, handed, landed},
    text,
};

/// The whole set-up of one service.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn create_schema(report: &mut Report, context: &Context, args: &CreateSchema, halt: &Halt) -> Outcome {
    let target = context.target(Some(&args.target))?;
    let wanted = Wanted {
        name: None,
        schema: args.name.clone(),
        role: args.role.clone(),
        owner: args.owner.clone(),
        creators: args.creators.clone(),
        read: args.read.clone(),
        append: args.append.clone(),
        search_path: args.search_path.clone(),
        connection_limit: Some(args.connection_limit).filter(|n| *n != 0),
        version_table: !args.no_version_table,
        password: true,
        close_public: !args.leave_public,
    };
    let file = match policy_file(&target) {
        _ if args.leave_policy || declares(target.policy.as_deref(), &args.name) => None,
        Err(why) if args.add_to_policy => return Err(why),
        file => file.ok(),
    };
    let mut entry = None;
    let needs: Vec<String> = setup::schemas(&wanted).into_iter().map(str::to_owned).collect();
    let policy = target.policy.clone();
    let mut service = None;
    let made = plan::from_names(
        &target,
        |_| needs.clone(),
        |snapshot| {
            let made = setup::service(snapshot, policy.as_deref(), &wanted).map_err(|e| refused(&e))?;
            entry = file.as_ref().map(|path| handover::entry(path, &made.service));
            service = Some(made.service);
            Ok(Plan { notes: handover::announced(made.plan.notes, entry.as_ref()), entry: entry.clone(), ..made.plan })
        },
    )
    .await?;
    let Some(service) = service else { return Ok(Exit::Done) };
    let role = service.role.clone();
    let done = run(report, context, &target, made, &role, &args.password, args.run, halt).await?;
    let Some(made) = done.committed else { return Ok(done.exit) };
    ended(report, &made, &service).await?;
    if let Some(entry) = entry {
        add(&entry)?;
        report.line().tone(&format!("Added to {}.", entry.file.display()), Tone::Good).end()?;
    }
    Ok(done.exit)
}

/// A new password for a role.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn set_password(report: &mut Report, context: &Context, args: &SetPassword, halt: &Halt) -> Outcome {
    let target = context.target(Some(&args.target))?;
    let role = args.role.clone();
    let made = plan::from_names(
        &target,
        |_| Vec::new(),
        |snapshot| {
            let plan = build::of_changes(snapshot, [Change::SetPassword { role: role.clone() }]);
            Ok(plan.map_err(|e| refused(&e))?.called(format!("Set the password of {role}")))
        },
    )
    .await?;
    let done = run(report, context, &target, made, &role, &args.password, args.run, halt).await?;
    let Some(made) = done.committed else { return Ok(done.exit) };
    tried(report, &made.server, &role, &made.password, false).await?;
    report.line().known("The new URL is in ").tone(&made.place.display().to_string(), Tone::Strong).end()?;
    Ok(done.exit)
}

/// An ordinary role in place of another.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn replace_role(report: &mut Report, context: &Context, args: &ReplaceRole, halt: &Halt) -> Outcome {
    let target = context.target(Some(&args.target))?;
    let policy = target.policy.clone();
    let mut services: Vec<Service> = Vec::new();
    let (old, new) = (args.old.clone(), args.new.clone());
    let concerned = policy.clone();
    let of = old.clone();
    let needs = move |snapshot: &crate::domain::snapshot::Snapshot| {
        let declared = concerned.iter().flat_map(|p| &p.services).filter(|s| s.role == of);
        let mut names: Vec<String> = declared.flat_map(|s| s.schemas.clone()).collect();
        let owner = snapshot.catalog.role_named(&of).map(|r| r.oid);
        names.extend(snapshot.catalog.schemas.iter().filter(|s| Some(s.owner) == owner).map(|s| s.name.clone()));
        names
    };
    let made = plan::from_names(&target, needs, |snapshot| {
        let (plan, found) = setup::replace(snapshot, policy.as_deref(), &old, &new).map_err(|e| refused(&e))?;
        services = found;
        Ok(plan)
    })
    .await?;
    let done = run(report, context, &target, made, &new, &args.password, args.run, halt).await?;
    let Some(made) = done.committed else { return Ok(done.exit) };
    if let Some(service) = services.first() {
        ended(report, &made, service).await?;
    }
    let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
    if !names.is_empty() && target.policy.is_some() {
        let words = format!(
            "Now say so in the policy: role = {new:?} for {}. Until then `pgmoat check` accuses {new}. {old} stays as it is.",
            text::list(&names, 5)
        );
        report.paragraph(0, "", &words, Tone::Text)?;
    }
    Ok(done.exit)
}

fn refused(why: &Refused) -> Failure {
    Failure::refused(format!("could not plan that: {why}"), "")
}

/// What became of it.
struct Done {
    exit: Exit,
    committed: Option<Made>,
}

/// A password that is set, where it works, and the file it stands in.
struct Made {
    password: SecretString,
    server: Server,
    place: PathBuf,
}

#[expect(clippy::too_many_arguments, reason = "one call from three commands; a struct would only name them again")]
async fn run(
    report: &mut Report,
    context: &Context,
    target: &Target,
    made: plan::Made,
    role: &str,
    source: &PasswordSource,
    flags: RunArgs,
    halt: &Halt,
) -> Result<Done, Failure> {
    let server = match &target.source {
        Source::Server(server) => (**server).clone(),
        Source::Recording(_) => return Err(Failure::usage("could not act on a recording", "Name a server.")),
    };
    let password = secret::obtained(source).await?;
    let url = handed(&server, role, None, Some(&password)).url();
    let noted = if flags.rehearse {
        None
    } else {
        let remedy = "Nothing was changed. Set XDG_STATE_HOME to a directory that can be written.";
        let homeless = "could not find a place for the password: there is no home directory";
        let state = paths::state_dir(&context.env).ok_or_else(|| Failure::refused(homeless, remedy))?;
        let noted = handover::noted(&state, &server.name, role, &url);
        Some(noted.map_err(|why| Failure::refused(why, remedy))?)
    };
    let passwords = HashMap::from([(role.to_owned(), password.clone())]);
    let how = Confirmed { passwords, ..Confirmed::by(flags) };
    let exit = match apply::by_command(report, context, target, made, how, halt).await {
        Ok(exit) => exit,
        Err(failure) => {
            // refused is what is known to have changed nothing; anything else may have come after COMMIT
            if let Some(noted) = noted.filter(|_| failure.exit != Exit::Refused) {
                let place = noted.keep_aside();
                report::note(&format!("pgmoat: if it was set, the password of {role} is in {}", place.display()));
            }
            return Err(failure);
        }
    };
    let committed = match (exit, noted) {
        (Exit::Done, Some(noted)) => Some(Made { password, server, place: noted.keep() }),
        // It may be set, or not: then it had better be known.
        (Exit::Unknown | Exit::Server, Some(noted)) => {
            report::note(&format!("pgmoat: the password it may have now is in {}", noted.keep_aside().display()));
            None
        }
        _ => None,
    };
    Ok(Done { exit, committed })
}

/// Logs in as the new role, and prints what its people need.
async fn ended(report: &mut Report, made: &Made, service: &Service) -> Result<(), Failure> {
    let (server, role) = (&made.server, &service.role);
    tried(report, server, role, &made.password, true).await?;
    report.blank()?;
    report
        .line()
        .known("The URL with its password is in ")
        .tone(&made.place.display().to_string(), Tone::Strong)
        .end()?;
    report.blank()?;
    report.raw(&handed(server, role, Some(service), None).text())?;
    report.flush()
}

/// A login as the role, with its new password, the way its service will do it; for a new role, where that lands.
async fn tried(
    report: &mut Report,
    server: &Server,
    role: &str,
    password: &SecretString,
    new: bool,
) -> Result<(), Failure> {
    match handover::tried(server, role, password).await {
        Ok(seen) => {
            let mut line = report.line().tone("Logged in as ", Tone::Good).tone(&seen.user, Tone::Strong);
            let said = if new { format!(": {}.", landed(&seen)) } else { ".".to_owned() };
            line = line.tone(&said, Tone::Good);
            line.end()?;
            if !seen.password_was_asked {
                report.paragraph(0, "", UNASKED, Tone::Warning)?;
            }
            Ok(())
        }
        Err(error) => {
            let words = format!("It was set up, but a login as {role} fails: {error}");
            report.paragraph(0, "", &words, Tone::Error)
        }
    }
}

fn policy_file(target: &Target) -> Result<PathBuf, Failure> {
    let file = match &target.source {
        Source::Server(server) => server.policy.clone(),
        Source::Recording(_) => None,
    };
    file.ok_or_else(|| {
        Failure::usage(
            format!("could not add the service to a policy: {} has none", target.name),
            "Name one with --policy FILE, or leave out --add-to-policy.",
        )
    })
}

/// Appends the service to a policy file.
fn add(entry: &PolicyEntry) -> Result<(), Failure> {
    handover::add(entry).map_err(|error| match error {
        AddError::File { verb, path, cause } => Failure::file(verb, &path, &cause, "The database is set up."),
        AddError::Policy(error) => super::resolve::policy_failure(&error),
    })
}

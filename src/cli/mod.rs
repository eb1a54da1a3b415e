//! The command line: parse first, then resolve, then one file per subcommand.

mod apply;
pub mod args;
mod check;
mod completions;
mod console;
mod demo;
mod discover;
pub mod exit_code;
mod explain;
pub mod failure;
mod fault;
mod gather;
mod guide;
mod halt;
mod info;
mod init;
mod isolation;
mod journal;
mod keys;
mod logging;
mod matrix;
mod moves;
mod object;
mod plan;
mod policy;
pub mod report;
pub mod resolve;
#[cfg(test)]
mod sample;
mod service;
mod sessions;
mod signal;
mod snapshot;
mod tenancy;
mod terminal;
mod themes;
mod time;
mod versions;

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    thread,
};

use clap::{CommandFactory as _, FromArgMatches as _};

use self::{
    args::{Cli, Command, Global, PolicyCommand, Versions, VersionsAction},
    exit_code::Exit,
    failure::{Failure, Outcome},
    halt::Halt,
    report::Report,
    resolve::Context,
};
use crate::{app::act::ending::Way, config::Env, server::Want};

/// Runs the program and returns its exit code. An error is printed here, once.
#[must_use]
pub fn main() -> ExitCode {
    fault::set_hook();
    fault::no_core_files();
    let parsed = args::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed.map_err(|error| error.format(&mut args::command())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; everything else is wrong use. A closed pipe changes neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report::failure(&failure);
            failure.exit.into()
        }
    }
}

fn start(cli: Cli) -> Outcome {
    fitting(&cli)?;
    let env = Env::from_process();
    let shows = cli.command.is_none() || matches!(&cli.command, Some(Command::Demo(d)) if !d.check);
    let log = info::log_file(&env).filter(|_| shows);
    let _log = logging::start(&cli.global, log.as_deref())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), command = cli.command.as_ref().map(Command::name), "started");
    let halt = Halt::new();
    let alone = matches!(&cli.command, Some(Command::Check(_)));
    let work = async {
        tokio::select! {
            outcome = dispatch(cli, env, &halt) => outcome,
            () = async { interrupted().await; halt.wish().await } => Ok(Exit::Interrupted),
        }
    };
    let outcome = run(alone, work).map_err(|e| {
        Failure::usage(format!("could not start: {e}"), "The system has too few threads or file descriptors left.")
    })?;
    match &outcome {
        Ok(exit) => tracing::info!(code = exit.number(), "ended"),
        Err(failure) => tracing::error!(code = failure.exit.number(), %failure, "ended"),
    }
    outcome
}

/// Does the work on this thread, and what it spawns (whatever talks to servers) on one beside it; `alone`: on this one
/// too. Each thread keeps freed memory to itself, so there are no more; and judging has one of its own anyway.
fn run<T>(alone: bool, work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // what still waits for a server is not worth waiting for at the end, after a fault neither
    let outcome = if alone {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
        runtime.shutdown_background();
        outcome
    } else {
        let handle = runtime.handle().clone();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        thread::Builder::new().name("servers".to_owned()).spawn(move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| handle.block_on(work)));
        drop(end);
        outcome
    };
    Ok(outcome.unwrap_or_else(|fault| panic::resume_unwind(fault)))
}

/// Ctrl-C, hang-up and termination, so that what was started is removed on the way out.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut hangup), Ok(mut terminate)) = (signal(SignalKind::hangup()), signal(SignalKind::terminate())) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = hangup.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// What the parser lets pass: flags that say what to read have no meaning for commands that read nothing, and a command
/// stands before its targets.
fn fitting(cli: &Cli) -> Result<(), Failure> {
    let Some(command) = &cli.command else {
        // Behind a target, the name of a command is read as another target.
        let names = Cli::command();
        let command = cli.targets.iter().find(|t| names.find_subcommand(t.as_str()).is_some());
        return command.map_or(Ok(()), |command| {
            let targets: Vec<&str> = cli.targets.iter().filter(|t| *t != command).map(String::as_str).collect();
            let cause = format!("could not read the command line: {command} stands behind a target");
            Err(Failure::usage(cause, format!("Write the command first: pgmoat {command} {}", targets.join(" "))))
        });
    };
    let name = command.name();
    if command.reads() {
        return Ok(());
    }
    let global = &cli.global;
    let demo = matches!(command, Command::Demo(_));
    let flags = [
        (global.host.is_some(), "-h"),
        (global.port.is_some() && !demo, "-p"),
        (global.user.is_some(), "-U"),
        (global.dbname.is_some(), "-d"),
        (global.snapshot.is_some(), "--snapshot"),
        (global.policy.is_some(), "--policy"),
    ];
    match flags.iter().find(|(given, _)| *given) {
        Some((_, flag)) => {
            let cause = format!("could not use {flag} with {name}: it reads no database that you name");
            Err(Failure::usage(cause, format!("Leave it out; `pgmoat {name} --help` lists what it takes.")))
        }
        None => Ok(()),
    }
}

async fn dispatch(cli: Cli, env: Env, halt: &Halt) -> Outcome {
    let global: &Global = &cli.global;
    let report = &mut Report::stdout(global.no_color);
    let Some(command) = cli.command else {
        return console::run(&Context::new(global, env)?, &cli.targets, halt).await;
    };
    match command {
        Command::Init(args) => init::run(report, global, env, &args, halt).await,
        Command::Demo(args) => demo::run(report, global, &args, env, halt).await,
        Command::Check(args) => {
            let context = Context::new(global, env)?;
            let want = check::wants();
            let targets = context.with_elsewhere(context.targets(&args.targets)?)?;
            let readings = gather::readings(targets, &want).await;
            check::run(report, &readings, args.format, args.fail_on)
        }
        Command::Matrix(args) => {
            let context = Context::new(global, env)?;
            let readings =
                gather::readings(context.targets(&args.targets)?, &Want { columns: true, ..Want::default() }).await;
            matrix::run(report, &readings, &args)
        }
        Command::Explain(args) => {
            let context = Context::new(global, env)?;
            let (target, question) = explain::question(&args.words, context.by_flags())?;
            explain::run(report, &context.target(target.as_ref())?, &question, args.format).await
        }
        Command::Snapshot(args) => {
            let target = Context::new(global, env)?.target(args.target.as_ref())?;
            let want = Want::everything(target.tenant_columns());
            let (snapshot, _) = gather::take(&target, &want, &gather::Asking::default()).await?;
            snapshot::run(report, snapshot, args.output.as_deref())
        }
        Command::Plan(args) => {
            let target = Context::new(global, env)?.target(args.target.as_ref())?;
            plan::run(report, &target, &args).await
        }
        Command::CreateSchema(args) => service::create_schema(report, &Context::new(global, env)?, &args, halt).await,
        Command::SetPassword(args) => service::set_password(report, &Context::new(global, env)?, &args, halt).await,
        Command::ReplaceRole(args) => service::replace_role(report, &Context::new(global, env)?, &args, halt).await,
        Command::Apply(args) => apply::run(report, &Context::new(global, env)?, &args, halt).await,
        Command::Undo(args) => apply::undo(report, &Context::new(global, env)?, &args, halt).await,
        Command::Redo(args) => apply::redo(report, &Context::new(global, env)?, &args, halt).await,
        Command::Journal(args) => journal::run(report, &Context::new(global, env)?, &args),
        Command::Versions(Versions { action: Some(VersionsAction::Move(args)), .. }) => {
            moves::versions(report, &Context::new(global, env)?, &args, halt).await
        }
        Command::MoveObjects(args) => moves::objects(report, &Context::new(global, env)?, &args, halt).await,
        Command::Isolate(args) => moves::isolate(report, &Context::new(global, env)?, &args, halt).await,
        Command::SetupAudit(args) => tenancy::audit(report, &Context::new(global, env)?, &args, halt).await,
        Command::SetupRls(args) => tenancy::rls(report, &Context::new(global, env)?, &args, halt).await,
        Command::IsolationTest(args) => {
            let target = Context::new(global, env.clone())?.target(args.target.as_ref())?;
            isolation::run(report, &env, &target, &args).await
        }
        Command::Versions(Versions { action: None, rows: args }) => {
            let context = Context::new(global, env)?;
            let want = Want { versions: true, ..Want::default() };
            let readings = gather::readings(context.targets(&args.targets)?, &want).await;
            versions::run(report, &readings, args.format)
        }
        Command::Sessions(args) => {
            let context = Context::new(global, env)?;
            let want = Want { activity: true, ..Want::default() };
            let readings = gather::readings(context.targets(&args.targets)?, &want).await;
            sessions::run(report, &readings, args.format)
        }
        Command::Cancel(args) => signal::run(report, &Context::new(global, env)?, &args, Way::Cancel).await,
        Command::Terminate(args) => signal::run(report, &Context::new(global, env)?, &args, Way::Terminate).await,
        Command::Policy(PolicyCommand::Derive(args)) => {
            let target = Context::new(global, env)?.target(args.target.as_ref())?;
            policy::derive(report, &target, args.output.as_deref()).await
        }
        Command::Policy(PolicyCommand::Check { file }) => policy::check(report, &file),
        Command::Discover(args) => discover::run(report, &args, &env).await,
        Command::Info(args) => info::run(report, &Context::new(global, env)?, &args).await,
        Command::Completions { shell } => completions::completions(report, shell),
        Command::Man => completions::man(report),
        Command::Keys { format } => keys::run(report, format),
        Command::Themes => themes::run(report, &env),
    }
}

//! `demo`: throwaway servers with the fleet of services in its broken state, and the console (or the findings) on them.

use std::collections::HashMap;

use super::{
    args::{self, CheckFormat, FailOn, Global},
    check, console,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather,
    halt::Halt,
    report::{self, Report},
    resolve::Context,
    terminal,
};
use crate::{
    config::Env,
    demo::{Demo, DemoError, DemoOptions, Kind},
};

/// Starts the demo, shows it, and removes it.
///
/// # Errors
/// No terminal for the console, no server programs, a server that does not start.
pub async fn run(report: &mut Report, global: &Global, args: &args::Demo, env: Env, halt: &Halt) -> Outcome {
    if !args.check && !args.keep {
        terminal::required("demo --check")?;
    }
    let options =
        DemoOptions { port: global.port, pg_bin: args.pg_bin.clone(), yes: args.yes, ..DemoOptions::default() };
    let mut say = |line: &str| report::note(line);
    let demo = Demo::start(options, &mut say).await.map_err(|e| failed(&e))?;
    let mut global = global.clone();
    (global.config, global.port) = (Some(demo.config_path().to_owned()), None);
    let commands = demo.targets().iter().map(|t| (t.name.to_owned(), t.check())).collect();
    let shown = show(report, &global, args, env, &commands, halt).await;
    if args.keep {
        let words = demo.keep().map_err(|e| failed(&e))?;
        if args.check {
            words.lines().for_each(report::note);
        } else {
            words.lines().try_for_each(|line| report.say(line))?;
        }
        report.flush()?;
    } else {
        tokio::task::spawn_blocking(move || demo.stop()).await.ok();
    }
    shown
}

async fn show(
    report: &mut Report,
    global: &Global,
    args: &args::Demo,
    env: Env,
    commands: &HashMap<String, String>,
    halt: &Halt,
) -> Outcome {
    let context = Context::new(global, env)?;
    if args.check {
        let readings = gather::readings(context.targets(&[])?, &check::wants()).await;
        return check::run(report, &readings, args.format.unwrap_or(CheckFormat::Text), FailOn::Warning);
    }
    if args.keep && terminal::required("demo --check").is_err() {
        return Ok(Exit::Done);
    }
    console::run_with(&context, &[], commands, halt).await
}

fn failed(error: &DemoError) -> Failure {
    let exit = match error.kind {
        Kind::NoServer | Kind::Setup => Exit::Usage,
        Kind::Declined => Exit::Refused,
        Kind::Server => Exit::Server,
    };
    // the program's own words, and what a tool said last, in lines
    let mut cause = error.cause.lines();
    let message = format!("could not {}: {}", error.what, cause.next().unwrap_or_default());
    Failure::new(exit, message, None).with(cause.chain(error.remedy.lines()).map(str::to_owned))
}

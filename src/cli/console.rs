//! The console: what it is opened on, and with which settings. How it runs is `run`'s.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    args,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather, guide,
    halt::Halt,
    resolve::{Context, Source, Target},
    terminal,
};
use crate::{
    config::{self, conninfo::Settings, paths},
    run::{self, ConsoleInstance, ConsoleOptions, Ended, LoadRules, OpenDatabase, RunError},
    text,
};

/// Opens the console on every target that is meant.
///
/// # Errors
/// No terminal; no target; what `resolve` meets; a theme or a key that cannot be used.
pub async fn run(context: &Context, words: &[String], halt: &Halt) -> Outcome {
    run_with(context, words, &HashMap::new(), halt).await
}

/// As `run`; instances by name have a command that asks the same from a shell.
///
/// # Errors
/// As `run`.
pub async fn run_with(context: &Context, words: &[String], commands: &HashMap<String, String>, halt: &Halt) -> Outcome {
    no_command(context, words)?;
    // an unknown word is told before a missing terminal
    let targets = context.targets_or_none(words)?;
    let quoted: Vec<_> = words.iter().map(|word| text::shell_word(word)).collect();
    terminal::required(&std::iter::once("check".into()).chain(quoted).collect::<Vec<_>>().join(" "))?;
    let targets = context.with_elsewhere(targets)?;
    if targets.is_empty() {
        // nothing says which database: then it is asked
        return Box::pin(guide::run(&context.global, context.env.clone(), None, None, halt)).await;
    }
    // Passwords are asked for here: later the terminal belongs to the console.
    let asking = gather::Asking::default();
    let instances = join_all(targets.into_iter().map(|target| instance(target, &asking, commands))).await;
    let (ui, global) = (&context.config.ui, &context.global);
    let options = ConsoleOptions {
        instances: instances.into_iter().collect::<Result<_, _>>()?,
        theme: global.theme.clone().unwrap_or_else(|| ui.theme.clone()),
        themes: paths::config_dir(&context.env).map(|dir| dir.join("themes")),
        no_color: global.no_color,
        mouse: ui.mouse,
        keys: context.config.keys.iter().map(|(id, keys)| (id.clone(), keys.clone())).collect(),
        refresh: Duration::from_millis(ui.refresh_ms),
        catalog_refresh: Duration::from_millis(ui.catalog_refresh_ms),
        state: paths::state_dir(&context.env),
        open: Some(opener(context)),
    };
    let _open = halt.open();
    match run::console(options).await {
        Ok(Ended::Quit) => Ok(Exit::Done),
        Ok(Ended::Interrupted) => Ok(Exit::Interrupted),
        Err(error) => Err(failed(&error)),
    }
}

/// A word that is no instance, and one or two letters away from a command, was meant as that command.
///
/// # Errors
/// It is such a word.
fn no_command(context: &Context, words: &[String]) -> Result<(), Failure> {
    let Some(word) = words.first().filter(|w| context.config.instance(w).is_none() && !Settings::looks_like(w)) else {
        return Ok(());
    };
    let instances: Vec<&str> = context.config.instances.iter().map(|i| i.name.as_str()).collect();
    let commands = args::commands();
    let Some(near) = config::nearest(word, commands.iter().map(String::as_str).chain(instances.iter().copied())) else {
        return Ok(());
    };
    if instances.contains(&near) {
        return Ok(());
    }
    let cause = format!("could not find a command or an instance called {word}");
    Err(Failure::usage(cause, format!("Did you mean `pgmoat {near}`?")))
}

/// How another database of a shown server is opened while the console runs.
fn opener(context: &Context) -> OpenDatabase {
    let context = context.clone();
    Arc::new(move |server, database| {
        let target = context.database(server, database).map_err(|e| e.message)?;
        Ok(beside(target, None))
    })
}

/// What is shown of a target, with the password that is at hand, and the command that asks the same from a shell.
fn beside(target: Target, command: Option<String>) -> ConsoleInstance {
    let place = target.place.clone();
    let policy_name = place.as_ref().and_then(|p| Some(p.path.file_name()?.to_string_lossy().into_owned()));
    let name = target.name.clone();
    let first_rules = place.as_ref().map(|place| place.rules_of(target.policy, target.lineages)).unwrap_or_default();
    let rules = place.map(|place| -> LoadRules { Arc::new(move || place.rules(&name)) });
    match target.source {
        Source::Server(server) => ConsoleInstance {
            name: target.name,
            environment: server.environment,
            read_only: server.conninfo.read_only,
            allow_signals: server.allow_signals,
            source: run::Source::Server(server),
            policy_name,
            rules,
            first_rules,
            command,
        },
        Source::Recording(snapshot) => ConsoleInstance {
            name: target.name,
            environment: crate::config::target::Environment::default(),
            read_only: true,
            allow_signals: false,
            source: run::Source::Recording(Arc::new(*snapshot)),
            policy_name,
            rules,
            first_rules,
            command,
        },
    }
}

async fn instance(
    mut target: Target,
    asking: &gather::Asking,
    commands: &HashMap<String, String>,
) -> Result<ConsoleInstance, Failure> {
    let command = commands.get(&target.name).cloned();
    if let Source::Server(server) = target.source {
        target.source = Source::Server(Box::new(gather::with_password(*server, asking).await?));
    }
    Ok(beside(target, command))
}

/// A console that could not be opened.
pub fn failed(error: &RunError) -> Failure {
    let exit = match error {
        RunError::Theme(_) | RunError::Keys(_) | RunError::Terminal(_) => Exit::Usage,
        RunError::Fault => Exit::Panic,
    };
    let text = error.to_string();
    let (message, remedy) = text.split_once('\n').unwrap_or((&text, ""));
    Failure::new(exit, message, Some(remedy.to_owned()))
}

//! The console: what it is opened on, and with which settings. How it runs is `run`'s.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather, guide,
    resolve::{Context, Source, Target},
    terminal,
};
use crate::{
    config::paths,
    run::{self, ConsoleInstance, ConsoleOptions, Ended, LoadRules, RunError},
};

/// Opens the console on every target that is meant.
///
/// # Errors
/// No terminal; no target; what `resolve` meets; a theme or a key that cannot be used.
pub async fn run(context: &Context, words: &[String]) -> Outcome {
    terminal::required("check")?;
    let targets = context.targets_or_none(words)?;
    if targets.is_empty() {
        // nothing says which database: then it is asked
        return Box::pin(guide::run(&context.global, context.env.clone(), None, None)).await;
    }
    // Passwords are asked for here: later the terminal belongs to the console.
    let asking = gather::Asking::default();
    let instances = join_all(targets.into_iter().map(|target| instance(target, &asking))).await;
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
    };
    match run::console(options).await {
        Ok(Ended::Quit) => Ok(Exit::Done),
        Ok(Ended::Interrupted) => Ok(Exit::Interrupted),
        Err(error) => Err(failed(&error)),
    }
}

async fn instance(target: Target, asking: &gather::Asking) -> Result<ConsoleInstance, Failure> {
    let place = target.place.clone();
    let policy_name = place.as_ref().and_then(|p| Some(p.path.file_name()?.to_string_lossy().into_owned()));
    let name = target.name.clone();
    let rules = place.map(|place| -> LoadRules { Arc::new(move || place.rules(&name)) });
    Ok(match target.source {
        Source::Server(server) => {
            let server = gather::with_password(*server, asking).await?;
            ConsoleInstance {
                name: target.name,
                environment: server.environment,
                read_only: server.read_only,
                allow_signals: server.allow_signals,
                source: run::Source::Server(Box::new(server)),
                policy_name,
                rules,
            }
        }
        Source::Recording(snapshot) => ConsoleInstance {
            name: target.name,
            environment: crate::config::target::Environment::default(),
            read_only: true,
            allow_signals: false,
            source: run::Source::Recording(Arc::new(*snapshot)),
            policy_name,
            rules,
        },
    })
}

/// A console that could not be opened.
pub fn failed(error: &RunError) -> Failure {
    let exit = match error {
        RunError::Theme(_) | RunError::Keys(_) | RunError::Terminal(_) => Exit::Usage,
        RunError::Fault => Exit::Panic,
    };
    let text = error.to_string();
    let (message, remedy) = text.split_once('\n').unwrap_or((&text, ""));
    Failure { exit, message: message.to_owned(), remedy: Some(remedy.to_owned()).filter(|r| !r.is_empty()) }
}

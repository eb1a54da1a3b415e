//! The console: what it is opened on. How it runs is `run`'s.

use std::{path::PathBuf, sync::Arc};

use super::{
    exit_code::Exit,
    failure::{Failure, Outcome},
    resolve::{self, Context},
    terminal,
};
use crate::{
    config::{self, target::Ask},
    run::{self, ConsoleInstance, ConsoleOptions, Ended, LoadRules, Rules, RunError, Source},
};

/// Opens the console on every target that is meant.
///
/// # Errors
/// No terminal; no target; what `resolve` meets; a theme or keys of the configuration that cannot be used.
pub async fn run(context: &Context, words: &[String]) -> Outcome {
    terminal::required("check")?;
    let targets = context.targets_or_none(words)?;
    if targets.is_empty() {
        return Err(Failure::from(config::target::nothing()));
    }
    let mut instances = Vec::new();
    for target in targets {
        instances.push(instance(context, words, target).await?);
    }
    let ui = &context.config.ui;
    let options = ConsoleOptions {
        instances,
        theme: context.global.theme.clone().unwrap_or_else(|| ui.theme.clone()),
        themes: config::paths::config_dir(&context.env).map(|dir| dir.join("themes")),
        no_color: context.global.no_color,
        mouse: ui.mouse,
        keys: context.config.keys.iter().map(|(id, key)| (id.clone(), key.clone())).collect(),
        refresh: std::time::Duration::from_millis(ui.refresh_ms),
        catalog_refresh: std::time::Duration::from_millis(ui.catalog_refresh_ms),
    };
    match run::console(options).await {
        Ok(Ended::Quit) => Ok(Exit::Done),
        Ok(Ended::Interrupted) => Ok(Exit::Interrupted),
        Err(error) => Err(failed(&error)),
    }
}

async fn instance(context: &Context, words: &[String], target: resolve::Target) -> Result<ConsoleInstance, Failure> {
    let policy_name = target.policy_path.as_ref().and_then(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned());
    let rules = target.policy_path.is_some().then(|| rules(context, words, &target));
    let name = target.name.clone();
    let (environment, read_only, source) = match target.source {
        resolve::Source::Recording(snapshot) => {
            (config::Environment::Development, true, Source::Recording(Arc::new(*snapshot)))
        }
        resolve::Source::Server(mut server) => {
            if server.ask == Ask::First || server.password_command.is_some() {
                server = tokio::task::spawn_blocking(move || server.obtain_password().map(|()| server))
                    .await
                    .map_err(|e| Failure::usage(format!("could not ask for the password: {e}"), "Please report it."))??;
            }
            (server.environment, server.read_only, Source::Server(Box::new(server.conninfo.clone())))
        }
    };
    Ok(ConsoleInstance { name, environment, read_only, source, policy_name, rules })
}

/// Reads the policy and the scripts again, as at the start: the same options, the same files.
fn rules(context: &Context, words: &[String], target: &resolve::Target) -> LoadRules {
    let (global, env, words, instance) =
        (context.global.clone(), context.env.clone(), words.to_vec(), target.name.clone());
    let watched: Vec<PathBuf> = target.policy_path.iter().cloned().collect();
    Arc::new(move || {
        let again = || -> Result<Rules, Failure> {
            let context = Context::new(&global, env.clone())?;
            let targets = context.targets_or_none(&words)?;
            let target = targets.into_iter().find(|t| t.name == instance);
            Ok(target.map_or_else(Rules::default, |t| {
                let scripts = t.policy.iter().flat_map(|p| &p.services).filter_map(|s| s.revisions.clone());
                let files = t.policy_path.iter().cloned().chain(scripts).collect();
                Rules { policy: t.policy.clone(), lineages: Arc::clone(&t.lineages), files, problem: None }
            }))
        };
        again().unwrap_or_else(|failure| {
            let problem = failure.message.lines().next().unwrap_or("it cannot be read").to_owned();
            Rules { files: watched.clone(), problem: Some(problem), ..Rules::default() }
        })
    })
}

fn failed(error: &RunError) -> Failure {
    let text = error.to_string();
    let (message, remedy) = text.split_once('\n').map_or((text.as_str(), None), |(m, r)| (m, Some(r.to_owned())));
    let exit = match error {
        RunError::Theme(_) | RunError::Keys(_) | RunError::Terminal(_) => Exit::Usage,
        RunError::Fault => Exit::Panic,
    };
    Failure { exit, message: message.to_owned(), remedy }
}

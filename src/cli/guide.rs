//! The guided set-up on a terminal: what it is opened with, and what comes after it. How it runs is `run`'s.

use std::path::{Path, PathBuf};

use super::{
    args::Global,
    console,
    exit_code::Exit,
    failure::{Failure, Outcome},
    halt::Halt,
    report,
    resolve::Context,
    terminal,
};
use crate::{
    app::wizard::Step,
    config::{Config, Env, TargetOptions, conninfo::Settings, paths, target},
    run::guide::{self, GuideEnded, GuideOptions},
};

/// Opens the set-up, and the console after it when that is wanted.
///
/// # Errors
/// No terminal; a configuration, theme or target that cannot be used.
pub async fn run(global: &Global, env: Env, word: Option<&str>, dir: Option<&Path>, halt: &Halt) -> Outcome {
    terminal::required("init TARGET --yes")?;
    if global.snapshot.is_some() {
        return Err(Failure::usage("could not set up a recording", "Name a server in place of --snapshot."));
    }
    let homeless = || {
        let cause = "could not find a place for the configuration: there is no home directory";
        Failure::usage(cause, "Name one with --config FILE.")
    };
    let (path, _) = paths::config_file(global.config.as_deref(), &env).ok_or_else(homeless)?;
    let whole = |path: &Path| std::path::absolute(path).map_err(|e| Failure::file("find", path, &e, ""));
    let path = whole(&path)?;
    // One that is named and not there yet is made.
    let config = if path.exists() { Config::load(Some(&path), &env)? } else { Config::default() };
    let dir = whole(dir.unwrap_or_else(|| Path::new(".")))?;
    let policy = global.policy.as_deref().map(whole).transpose()?;
    let instance = word.and_then(|word| config.instance(word));
    let options = GuideOptions {
        read_only: global.read_only || instance.is_some_and(|i| i.read_only),
        theme: global.theme.clone().unwrap_or_else(|| config.ui.theme.clone()),
        themes: paths::config_dir(&env).map(|dir| dir.join("themes")),
        no_color: global.no_color,
        env: env.clone(),
        dir,
        conninfo: named(global, &env, &config, word)?,
        taken: config.instances.iter().map(|i| (i.name.clone(), i.url.clone())).collect(),
        config: path.clone(),
        policy,
        state: paths::state_dir(&env),
    };
    let open = halt.open();
    let ended = guide::guide(options).await;
    drop(open);
    let ended = ended.map_err(|error| console::failed(&error))?;
    match ended {
        GuideEnded::Done => Ok(Exit::Done),
        GuideEnded::Interrupted => Ok(Exit::Interrupted),
        GuideEnded::Kept(step) => {
            let (number, all) = (step.number(), Step::ALL.len());
            report::note(&format!("pgmoat: the answers are kept at step {number} of {all}, {}", step.title()));
            report::note("`pgmoat init` goes on there");
            Ok(Exit::Done)
        }
        GuideEnded::Console => Box::pin(opened(global, env, path, halt)).await,
    }
}

/// The console on what the configuration says by now.
async fn opened(global: &Global, env: Env, config: PathBuf, halt: &Halt) -> Outcome {
    let mut global = global.clone();
    global.config = Some(config);
    (global.host, global.port, global.user, global.dbname, global.policy) = (None, None, None, None, None);
    console::run(&Context::new(&global, env)?, &[], halt).await
}

/// The server that was named, as a connection string.
fn named(global: &Global, env: &Env, config: &Config, word: Option<&str>) -> Result<Option<String>, Failure> {
    if let Some(word) = word {
        let known = config.instance(word).map(|i| i.url.clone());
        if known.is_none() && global.connection_flag().is_none() {
            return Ok(Some(word.to_owned()));
        }
        if global.connection_flag().is_none() {
            return Ok(known);
        }
    } else if global.connection_flag().is_none() {
        return Ok(None);
    }
    let options = TargetOptions {
        targets: word.iter().map(|w| (*w).to_owned()).collect(),
        host: global.host.clone(),
        port: global.port.map(|p| p.to_string()),
        user: global.user.clone(),
        dbname: global.dbname.clone(),
        ..TargetOptions::default()
    };
    let target = target::resolve_one(&options, config, env)?;
    Ok(Some(target.conninfo.url_of(Settings::default())?))
}

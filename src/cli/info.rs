//! `info`: every path in use and the server programs found; with a target, what that server is.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    args::{self, TextFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather,
    report::{self, Report},
    resolve::Context,
};
use crate::{
    app::{about, view::Tone},
    config::{Env, conninfo::pgpass, paths},
    demo::binaries,
    domain::{
        platform::Platform,
        snapshot::{ClusterDatabase, Snapshot},
    },
    server::{SizesWanted, Want},
};

/// One path: what it is for, its key in JSON, and where it is.
struct Place {
    what: &'static str,
    key: &'static str,
    path: Option<PathBuf>,
}

/// The log of the console, in the state directory.
#[must_use]
pub fn log_file(env: &Env) -> Option<PathBuf> {
    paths::state_dir(env).map(|dir| dir.join("pgmoat.log"))
}

fn places(context: &Context) -> Vec<Place> {
    let env = &context.env;
    let config = paths::config_file(context.global.config.as_deref(), env).map(|(path, _)| path);
    let state = paths::state_dir(env);
    let themes = paths::config_dir(env).map(|dir| dir.join("themes"));
    let log = context.global.log.clone().or_else(|| log_file(env));
    let place = |what, key, path| Place { what, key, path };
    vec![
        place("configuration", "config", config),
        place("themes", "themes", themes),
        place("state", "state", state.clone()),
        place("journal", "journal", state.map(|dir| dir.join("journal.jsonl"))),
        place("log", "log", log),
        place("server programs fetched", "cache", paths::cache_dir(env)),
        place("passwords", "pgpass", pgpass::path(None, env)),
        place("services", "service_file", service_file(env)),
    ]
}

fn service_file(env: &Env) -> Option<PathBuf> {
    env.var("PGSERVICEFILE").map(PathBuf::from).or_else(|| env.in_home(".pg_service.conf"))
}

/// Prints the paths and programs, or what the servers are that were named.
///
/// # Errors
/// A target that cannot be resolved; standard output cannot be written.
pub async fn run(report: &mut Report, context: &Context, args: &args::Info) -> Outcome {
    if !args.targets.is_empty() || context.by_flags() {
        return servers(report, context, args).await;
    }
    match args.format {
        TextFormat::Text => people(report, context)?,
        TextFormat::Json => report.json(&scripts(context))?,
    }
    report.flush()?;
    Ok(Exit::Done)
}

async fn servers(report: &mut Report, context: &Context, args: &args::Info) -> Outcome {
    let targets = context.targets(&args.targets)?;
    let (want, asking) = (Want { sizes: SizesWanted::Estimates, ..Want::default() }, gather::Asking::default());
    let taken = join_all(targets.iter().map(|target| gather::take(target, &want, &asking))).await;
    let mut all = Vec::new();
    let mut failures = Vec::new();
    for one in taken {
        match one {
            Ok((snapshot, _)) => all.push(snapshot),
            Err(failure) => failures.push(failure),
        }
    }
    match args.format {
        TextFormat::Text => {
            for (i, snapshot) in all.iter().enumerate() {
                if i > 0 {
                    report.blank()?;
                }
                server(report, snapshot)?;
            }
        }
        TextFormat::Json => {
            let all: Vec<Value> = all.iter().map(facts).collect();
            report.json(&json!({ "schema_version": 1, "targets": all }))?;
        }
    }
    report.flush()?;
    failures.iter().for_each(report::failure);
    Ok(failures.iter().map(|f| f.exit).max().unwrap_or(Exit::Done))
}

fn server(report: &mut Report, snapshot: &Snapshot) -> Result<(), Failure> {
    report.line().tone(&snapshot.instance, Tone::Title).end()?;
    for fact in about::facts(snapshot) {
        report.paragraph(2, &format!("{:<10}", fact.label), &fact.text, fact.tone)?;
        for (what, meaning) in fact.means {
            report.paragraph(4, &format!("{what:<14} "), &meaning, Tone::Text)?;
        }
    }
    Ok(())
}

fn facts(snapshot: &Snapshot) -> Value {
    let server = &snapshot.server;
    let databases: Vec<Value> = snapshot.sizes.databases.iter().map(|d| database(d, &server.database)).collect();
    json!({
        "instance": snapshot.instance,
        "database": server.database,
        "server_version": server.version,
        "server_version_num": server.version_num,
        "system_identifier": server.system_identifier,
        "standby": server.in_recovery,
        "replay_lag_ms": server.replay_lag_ms,
        "login": server.current_user,
        "superuser": server.superuser,
        "platform": server.platform.map(Platform::id),
        "platform_roles": snapshot.catalog.roles.iter().filter(|r| r.platform).map(|r| &r.name).collect::<Vec<_>>(),
        "tls": server.tls,
        "pooled": server.pooled,
        "databases": databases,
    })
}

fn database(database: &ClusterDatabase, here: &str) -> Value {
    json!({
        "name": database.name,
        "size_bytes": database.size_bytes,
        "this": database.name == here,
        "template": database.template,
        "may_connect": database.closed().is_none(),
    })
}

fn people(report: &mut Report, context: &Context) -> Result<(), Failure> {
    report.say(&format!("pgmoat {}", env!("CARGO_PKG_VERSION")))?;
    report.blank()?;
    for place in places(context) {
        let line = report.line().known("  ").cell(place.what, 26, Tone::Dim);
        match &place.path {
            Some(path) => {
                let there = if path.exists() { "" } else { "  (not there)" };
                line.text(&path.display().to_string()).tone(there, Tone::Dim).end()?;
            }
            None => line.tone("nowhere: there is no home directory", Tone::Dim).end()?,
        }
    }
    report.blank()?;
    let instances = &context.config.instances;
    report.line().known("  ").cell("instances", 26, Tone::Dim).text(&names(instances.iter().map(|i| &i.name))).end()?;
    let policies = instances.iter().filter_map(|i| i.policy.as_deref()).chain(context.config.default_policy.as_deref());
    for policy in policies {
        let path = context.config.resolve_path(policy, &context.env);
        let there = if path.exists() { "" } else { "  (not there)" };
        let line = report.line().known("  ").cell("policy", 26, Tone::Dim);
        line.text(&path.display().to_string()).tone(there, Tone::Dim).end()?;
    }
    let found = binaries::found();
    if found.is_empty() {
        let line = report.line().known("  ").cell("server programs", 26, Tone::Dim);
        line.text("none found; `pgmoat demo` says how to get some").end()?;
    }
    for server in found {
        let line = report.line().known("  ").cell("server programs", 26, Tone::Dim);
        line.text(&format!("{}  ({}, {})", server.dir.display(), server.version, server.place)).end()?;
    }
    Ok(())
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn scripts(context: &Context) -> Value {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let paths: serde_json::Map<String, Value> = places(context)
        .into_iter()
        .map(|p| {
            let exists = p.path.as_deref().is_some_and(Path::exists);
            (p.key.to_owned(), json!({ "path": p.path.as_deref().map(text), "exists": exists }))
        })
        .collect();
    let servers: Vec<Value> = binaries::found()
        .into_iter()
        .map(|b| json!({ "dir": text(&b.dir), "version": b.version, "found": b.place.to_string() }))
        .collect();
    let instances: Vec<&str> = context.config.instances.iter().map(|i| i.name.as_str()).collect();
    json!({
        "schema_version": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "paths": paths,
        "instances": instances,
        "servers": servers,
    })
}

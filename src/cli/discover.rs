//! `discover`: the databases that were found, which to try, and what to type. Prints no password.
//!
//! ```text
//! 1  shop  PostgreSQL 15, answers
//!    postgresql://shop@localhost:5433/shop
//!    from      compose.yaml:3 (service db); container shop-db-1
//!    password  POSTGRES_PASSWORD in compose.yaml:7
//!    service   web: role web_app, schema web (DATABASE_URL in compose.yaml:15)
//! ```

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{
    args::{self, TextFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    report::Report,
};
use crate::{
    app::view::Tone,
    config::Env,
    discover::{self, Around, Discovery, Found, Neighbour, Place, Reach, Secret, files::Disk},
};

/// Looks around and prints.
///
/// # Errors
/// The directory is none; standard output cannot be written.
pub async fn run(report: &mut Report, args: &args::Discover, env: &Env) -> Outcome {
    let given = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let whole = std::path::absolute(&given).map_err(|e| Failure::file("read", &given, &e, ""))?;
    let (dir, named) = if whole.is_dir() {
        (whole, Vec::new())
    } else if whole.is_file() {
        (whole.parent().map(Path::to_owned).unwrap_or_default(), vec![whole])
    } else {
        let cause = format!("could not look into {}: it does not exist", given.display());
        return Err(Failure::usage(cause, "Name a directory, or a Compose file."));
    };
    let discovery = discover::discover(&dir, &named, &Around::here(env, &Disk)).await;
    match args.format {
        TextFormat::Text => people(report, &discovery, &dir)?,
        TextFormat::Json => report.json(&scripts(&discovery))?,
    }
    report.flush()?;
    Ok(Exit::Done)
}

/// Paths beneath the directory without it.
fn near(words: &str, dir: &Path) -> String {
    words.replace(&format!("{}/", dir.display()), "")
}

fn reach(found: &Found) -> (String, Tone) {
    match &found.reach {
        Reach::Answers { tls: true } => ("answers, with TLS".to_owned(), Tone::Good),
        Reach::Answers { tls: false } => ("answers".to_owned(), Tone::Good),
        Reach::Closed => ("nothing listens there now".to_owned(), Tone::Warning),
        Reach::Silent => ("no answer".to_owned(), Tone::Warning),
        Reach::Stranger => ("something else answers there".to_owned(), Tone::Warning),
        Reach::Inside => ("only inside Docker's network".to_owned(), Tone::Dim),
        Reach::NotTried(why) => (format!("not tried: {why}"), Tone::Dim),
    }
}

fn secret(secret: &Secret) -> String {
    match secret {
        Secret::None(why) => format!("none: {why}"),
        Secret::Written { variable, at } => format!("{variable} in {at}"),
        Secret::File(path) => format!("the file {}", path.display()),
        Secret::Environment(variable) if variable.contains(' ') => format!("in {variable}"),
        Secret::Environment(variable) => format!("{variable} of this shell"),
        Secret::Pgpass => "in libpq's password file".to_owned(),
        Secret::Container { variable, container } => format!("{variable} of container {container}"),
        Secret::Unknown => "not known".to_owned(),
    }
}

fn neighbour(neighbour: &Neighbour) -> String {
    let mut parts = Vec::new();
    parts.extend(neighbour.user.as_deref().map(|u| format!("role {u}")));
    parts.extend(neighbour.database.as_deref().map(|d| format!("database {d}")));
    if !neighbour.schemas.is_empty() {
        parts.push(format!("schema {}", neighbour.schemas.join(", ")));
    }
    format!("{}: {} ({} in {})", neighbour.service, parts.join(", "), neighbour.variable, neighbour.at)
}

/// True when a password is there but nothing hands it to us by itself.
fn must_type(found: &Found) -> bool {
    match &found.secret {
        Secret::Written { .. } | Secret::File(_) | Secret::Container { .. } => true,
        Secret::Environment(variable) => !matches!(variable.as_str(), "PGPASSWORD" | "the service file"),
        Secret::None(_) | Secret::Pgpass | Secret::Unknown => false,
    }
}

/// What to type for a database; letters, digits and `%` only inside the quotes.
fn command(found: &Found) -> Option<String> {
    let conninfo = found.conninfo()?.replace('\'', "");
    Some(format!("pgmoat{} '{conninfo}'", if must_type(found) { " -W" } else { "" }))
}

fn people(report: &mut Report, discovery: &Discovery, dir: &Path) -> Result<(), Failure> {
    for (i, found) in discovery.found.iter().enumerate() {
        let (words, tone) = reach(found);
        let head = report.line().known(&format!("{:<3}", i + 1)).tone(&found.name, Tone::Strong).known("  ");
        head.text(&found.product).known(", ").tone(&words, tone).end()?;
        if let Some(conninfo) = found.conninfo() {
            report.line().known("   ").tone(&conninfo, Tone::Accent).end()?;
        }
        report.paragraph(3, "from      ", &near(&found.origins.join("; "), dir), Tone::Text)?;
        report.paragraph(3, "password  ", &near(&secret(&found.secret), dir), Tone::Text)?;
        for (n, words) in found.neighbours.iter().map(neighbour).enumerate() {
            let label = if n == 0 { "services  " } else { "          " };
            report.paragraph(3, label, &near(&words, dir), Tone::Text)?;
        }
        for (n, words) in found.notes.iter().enumerate() {
            let label = if n == 0 { "note      " } else { "          " };
            report.paragraph(3, label, &near(words, dir), Tone::Dim)?;
        }
        report.blank()?;
    }
    if discovery.found.is_empty() {
        report.say("No database was found.")?;
        report.blank()?;
    }
    for problem in &discovery.problems {
        let place = problem.at.as_ref().map(|at| format!("{at} ")).unwrap_or_default();
        report.paragraph(0, "! ", &near(&format!("{place}{}", problem.message), dir), Tone::Warning)?;
    }
    for looked in &discovery.looked {
        report.line().cell(&looked.what, 22, Tone::Dim).tone(&near(&looked.result, dir), Tone::Dim).end()?;
    }
    report.blank()?;
    let best = discovery.found.iter().find(|f| f.answers() && f.conninfo().is_some());
    match best.and_then(|f| Some((f, command(f)?))) {
        Some((found, command)) => {
            report.line().known("Next: ").tone(&command, Tone::Accent).end()?;
            if must_type(found) {
                report.paragraph(
                    6,
                    "",
                    &near(&format!("It asks for the password: {}.", secret(&found.secret)), dir),
                    Tone::Dim,
                )?;
            }
        }
        None => {
            let closed = discovery.found.iter().find(|f| f.project.is_some() && f.reach == Reach::Closed);
            match closed.and_then(|f| Some((f.project.as_ref()?, command(f)?))) {
                Some(((_, service), command)) => {
                    let start = format!("docker compose up -d {service}");
                    report
                        .line()
                        .known("Next: ")
                        .text(&start)
                        .known("   then   ")
                        .tone(&command, Tone::Accent)
                        .end()?;
                }
                None => report
                    .say("Next: pgmoat 'postgresql://USER@HOST/DATABASE', or `pgmoat demo` for a throwaway server")?,
            }
        }
    }
    Ok(())
}

fn scripts(discovery: &Discovery) -> Value {
    let databases: Vec<Value> = discovery.found.iter().map(database).collect();
    let problems: Vec<Value> = discovery
        .problems
        .iter()
        .map(|p| {
            json!({
                "file": p.at.as_ref().map(|at| at.file.to_string_lossy()),
                "line": p.at.as_ref().map(|at| at.line).filter(|l| *l > 0),
                "message": p.message,
            })
        })
        .collect();
    let looked: Vec<Value> = discovery.looked.iter().map(|l| json!({ "what": l.what, "result": l.result })).collect();
    json!({ "schema_version": 1, "databases": databases, "problems": problems, "looked": looked })
}

fn database(found: &Found) -> Value {
    let (host, port) = match &found.place {
        Place::Tcp { host, port } => (Some(host.clone()), Some(*port)),
        Place::Socket { dir, port } => (Some(dir.to_string_lossy().into_owned()), Some(*port)),
        Place::Inside | Place::Chosen => (None, None),
    };
    let neighbours: Vec<Value> = found
        .neighbours
        .iter()
        .map(|n| {
            json!({
                "service": n.service, "variable": n.variable, "file": n.at.file.to_string_lossy(), "line": n.at.line,
                "role": n.user, "database": n.database, "schemas": n.schemas, "dialect": n.dialect,
                "password_known": n.password.is_some(),
            })
        })
        .collect();
    json!({
        "name": found.name, "source": found.source.word(), "origins": found.origins, "product": found.product,
        "image": found.image, "project": found.project.as_ref().map(|(p, _)| p),
        "service": found.project.as_ref().map(|(_, s)| s), "conninfo": found.conninfo(), "host": host, "port": port,
        "user": found.user, "database": found.database, "password": secret(&found.secret), "sure": found.sure.word(),
        "reach": found.reach.word(), "services": neighbours, "notes": found.notes, "command": command(found),
    })
}

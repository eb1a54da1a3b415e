//! Where several finds are one database they become one; then all get their order and their names. Pure.

use super::{Found, Place, Reach, Secret, Source, docker::Container};
use crate::config::{Conninfo, Env};

/// Containers join the services they run; the others stand for themselves.
pub fn containers(found: &mut Vec<Found>, containers: Vec<(Container, Found)>) {
    for (container, running) in containers {
        let same = |f: &Found| {
            let Some((project, service)) = &f.project else { return false };
            f.source == Source::Compose
                && container.service.as_ref() == Some(service)
                && container.project.as_ref() == Some(project)
        };
        let Some(own) = found.iter_mut().find(|f| same(f)) else {
            let mut running = running;
            if let (Some((project, service)), Some(dir)) = (&running.project, &container.dir) {
                running.notes.push(format!("service {service} of project {project} in {}", dir.display()));
            }
            found.push(running);
            continue;
        };
        own.origins.extend(running.origins);
        // What runs is what counts: its port may be one that Docker chose, its variables older than the file.
        if own.place != running.place && running.place != Place::Inside {
            if matches!(own.place, Place::Inside | Place::Chosen) {
                own.notes.retain(|n| !n.contains("port is published") && !n.contains("for it:"));
            } else {
                own.notes
                    .push("the running container's port is not the file's: it was started before a change".to_owned());
            }
            own.place = running.place;
        }
        for (ours, theirs, what) in
            [(&mut own.user, running.user, "user"), (&mut own.database, running.database, "database")]
        {
            if theirs.is_some() && *ours != theirs {
                own.notes.push(format!("the running container's {what} is not the file's; the container's is shown"));
                *ours = theirs;
            }
        }
        if own.secret == Secret::Unknown {
            own.secret = running.secret;
            own.password = running.password;
        }
    }
}

/// One local spelling for each place.
fn key(found: &Found) -> Option<(String, u16, Option<String>)> {
    let Place::Tcp { host, port } = &found.place else { return None };
    let host = if super::probe::is_local(host) { "localhost" } else { host };
    Some((host.to_owned(), *port, found.database.clone()))
}

/// Connection strings that name a database found otherwise join it; passwords from libpq's file; order; names.
pub fn finish(found: &mut Vec<Found>, env: &Env) {
    let strings = |f: &Found| {
        let by_string = f.source == Source::Environment
            && f.libpq_service.is_none()
            && f.origins.iter().any(|o| o.ends_with("URL)"));
        f.source == Source::Address || by_string
    };
    let (addresses, mut kept): (Vec<Found>, Vec<Found>) = found.drain(..).partition(strings);
    for address in addresses {
        let same = |f: &&mut Found| key(f).is_some() && key(f) == key(&address);
        match kept.iter_mut().find(same) {
            Some(own) => {
                own.origins.extend(address.origins);
                own.neighbours.extend(address.neighbours);
            }
            None => kept.push(address),
        }
    }
    for one in &mut kept {
        let Some(text) = one.conninfo().filter(|_| one.secret == Secret::Unknown) else { continue };
        if Conninfo::parse(&text, env).is_ok_and(|c| c.password.is_none() && c.has_password()) {
            one.secret = Secret::Pgpass;
        }
    }
    kept.sort_by_key(|f| (rank(f), f.source, std::cmp::Reverse(f.sure)));
    let mut taken: Vec<String> = Vec::new();
    let projects: Vec<String> = kept.iter().filter_map(|f| f.project.clone()).map(|(p, _)| p).collect();
    for one in &mut kept {
        let base = base_name(one, &projects);
        let mut name = base.clone();
        let mut n = 2;
        while taken.contains(&name) {
            name = format!("{base}-{n}");
            n += 1;
        }
        taken.push(name.clone());
        one.name = name;
    }
    *found = kept;
}

/// What can be connected to comes first.
fn rank(found: &Found) -> u8 {
    match &found.reach {
        Reach::Answers { .. } if found.origins.is_empty() => 1,
        Reach::Answers { .. } => 0,
        Reach::NotTried(_) => 2,
        Reach::Silent => 3,
        Reach::Closed => 4,
        Reach::Inside => 5,
        Reach::Stranger => 6,
    }
}

/// What it could be called in a configuration: letters, digits, `-`, `_` and `.`.
fn base_name(found: &Found, projects: &[String]) -> String {
    let text = match (&found.libpq_service, &found.project) {
        (Some(service), _) => service.clone(),
        (None, Some((project, service))) if projects.iter().filter(|p| *p == project).count() > 1 => {
            format!("{project}-{service}")
        }
        (None, Some((project, _))) => project.clone(),
        (None, None) => match (&found.place, found.source) {
            (_, Source::Container) => {
                found.origins.first().map(|o| o.trim_start_matches("container ").to_owned()).unwrap_or_default()
            }
            (_, Source::Environment) => found.database.clone().unwrap_or_else(|| "environment".to_owned()),
            (Place::Socket { port, .. }, _) => format!("socket-{port}"),
            (Place::Tcp { host, port }, Source::Port) => format!("{host}-{port}"),
            (Place::Tcp { host, .. }, _) => found.database.clone().unwrap_or_else(|| host.clone()),
            (Place::Inside | Place::Chosen, _) => found.database.clone().unwrap_or_default(),
        },
    };
    let kept: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).take(60).collect();
    let kept = kept.trim_matches('-').to_owned();
    if kept.is_empty() { "database".to_owned() } else { kept }
}

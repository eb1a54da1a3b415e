//! The databases of Compose projects, and what the services beside them say about theirs. Reads through [`Files`] only.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use secrecy::SecretString;

use super::{
    FileLine, Found, Neighbour, Place, Problem, Reach, Secret, Source, Sure,
    compose::{
        self, Project,
        ports::HostPort,
        service::{self, Service, Variable},
    },
    dotenv, dsn,
    files::{Files, tidy},
    fill::Values,
    image::{self, Flavour, Image},
    yaml::Node,
};

/// Directories beneath that are looked into, and directories above.
const MOST_DIRS: usize = 40;
/// Directories that hold other people's things.
const PASSED_OVER: [&str; 8] =
    ["node_modules", "target", "vendor", "venv", "dist", "build", "__pycache__", "site-packages"];

/// The projects of a directory: its own, or the nearest above it; variants beside it; those one level beneath.
#[must_use]
pub fn find(dir: &Path, named: &[PathBuf], files: &dyn Files, variables: &Values) -> Vec<Project> {
    if !named.is_empty() {
        return vec![compose::load(files, named, variables)];
    }
    let dir = tidy(dir);
    let mut sets: Vec<Vec<PathBuf>> = Vec::new();
    let own = compose::files_of(files, &dir, variables);
    if own.is_empty() {
        // As Compose does; a file above that a stranger may have put there is not taken.
        let ours = |set: &Vec<PathBuf>| !set.is_empty() && set.iter().all(|f| files.is_ours(f));
        let above = dir.ancestors().skip(1).take(MOST_DIRS).map(|d| compose::files_of(files, d, &Values::new()));
        sets.extend(above.into_iter().find(ours));
    } else {
        sets.push(own.clone());
    }
    let (plain, dirs) = files.list(&dir);
    for name in plain.iter().filter(|n| is_variant(n)).take(MOST_DIRS) {
        let path = dir.join(name);
        if !own.contains(&path) {
            sets.push(vec![path]);
        }
    }
    let beneath = dirs.iter().filter(|d| !d.starts_with('.') && !PASSED_OVER.contains(&d.as_str()));
    for name in beneath.take(MOST_DIRS) {
        let set = compose::files_of(files, &dir.join(name), &Values::new());
        if !set.is_empty() {
            sets.push(set);
        }
    }
    let mut projects: Vec<Project> = Vec::new();
    for set in sets {
        // What another project includes is a part of it.
        let part = set.first().is_some_and(|first| projects.iter().any(|p| p.files.contains(first)));
        if !part {
            projects.push(compose::load(files, &set, variables));
        }
    }
    projects
}

/// `compose.dev.yaml`, `docker-compose.prod.yml` and the like, but no override and none of the first names.
fn is_variant(name: &str) -> bool {
    let yaml = [".yaml", ".yml"].iter().any(|e| name.ends_with(e));
    let stem = name.starts_with("compose") || name.starts_with("docker-compose");
    yaml && stem && !compose::FIRST.contains(&name) && !compose::SECOND.contains(&name)
}

/// A service that is a server.
struct Server<'a> {
    service: &'a Service,
    image: Image,
    why: Option<&'static str>,
    inner: u16,
}

/// The databases of a project. `config`: what `docker compose config` answered, whose values are taken in place of ours.
#[must_use]
pub fn found(project: &Project, config: Option<&str>, files: &dyn Files) -> (Vec<Found>, Vec<Problem>) {
    let mut problems = project.problems.clone();
    let mut services = service::services(project, files, &mut problems);
    if let Some(theirs) = config.and_then(|text| from_config(project, text, files)) {
        services = with_our_lines(theirs, services);
        problems.clear();
    }
    let servers: Vec<Server<'_>> = services.iter().filter_map(server).collect();
    let mut out: Vec<Found> = servers.iter().map(|s| of_server(project, s, files)).collect();
    let mut hints: Vec<Hint> = Vec::new();
    for service in &services {
        let is_server = servers.iter().any(|s| s.service.name == service.name && s.image.flavour != Flavour::Pooler);
        if !is_server {
            let mut its = hints_of(&service.name, &service.variables, &service.command, &service.at);
            let revisions = service.context.as_deref().filter(|_| !its.is_empty()).and_then(|d| revisions(d, files));
            for hint in &mut its {
                hint.neighbour.revisions.clone_from(&revisions);
            }
            hints.extend(its);
        }
    }
    let env_file = project.dir.join(".env");
    let (own, _) = variables_of(&env_file, files);
    for hint in hints_of(".env", &own, &[], &FileLine::default()).into_iter().filter(|h| h.whole) {
        let said = |h: &Hint| h.dsn.user == hint.dsn.user && h.dsn.database == hint.dsn.database && h.whole;
        if !hints.iter().any(said) {
            hints.push(hint);
        }
    }
    for hint in hints {
        let asked = hint.dsn.host.clone().unwrap_or_default();
        let port = hint.dsn.port.unwrap_or(5432);
        let here = matches!(asked.as_str(), "localhost" | "127.0.0.1" | "::1" | "host.docker.internal" | "0.0.0.0");
        let at = servers.iter().position(|s| s.service.answers_to(&asked) && s.service.name != hint.neighbour.service);
        let by_port = || out.iter().position(|f| here && matches!(&f.place, Place::Tcp { port: p, .. } if *p == port));
        match at.or_else(by_port).and_then(|i| out.get_mut(i)) {
            Some(found) => {
                let same = |n: &Neighbour| {
                    n.service == hint.neighbour.service
                        && n.user == hint.neighbour.user
                        && n.database == hint.neighbour.database
                        && n.schemas == hint.neighbour.schemas
                };
                if !found.neighbours.iter().any(same) {
                    found.neighbours.push(hint.neighbour);
                }
            }
            None if hint.whole && !asked.is_empty() => put_address(&mut out, hint),
            None => {}
        }
    }
    (out, problems)
}

/// The folder of Alembic's revision scripts in a directory or one beneath it; `None` where there is none, or several.
fn revisions(dir: &Path, files: &dyn Files) -> Option<PathBuf> {
    let of = |dir: &Path| -> Vec<PathBuf> {
        let places = ["alembic", "migrations"].map(|name| dir.join(name).join("versions"));
        let is_script = |name: &String| Path::new(name).extension().is_some_and(|end| end == "py");
        let scripts = |place: &PathBuf| files.list(place).0.iter().any(is_script);
        places.into_iter().filter(scripts).collect()
    };
    let mut found = of(dir);
    if found.is_empty() {
        let (_, beneath) = files.list(dir);
        let beneath = beneath.iter().filter(|d| !d.starts_with('.') && !PASSED_OVER.contains(&d.as_str()));
        found = beneath.take(MOST_DIRS).flat_map(|name| of(&dir.join(name))).collect();
    }
    if found.len() == 1 { found.pop() } else { None }
}

/// Connection strings of an env file that belongs to no project.
#[must_use]
pub fn found_in_env_file(path: &Path, files: &dyn Files) -> (Vec<Found>, Vec<Problem>) {
    let (variables, problems) = variables_of(path, files);
    let mut out = Vec::new();
    for hint in hints_of(".env", &variables, &[], &FileLine::default()) {
        if hint.whole && hint.dsn.host.is_some() {
            put_address(&mut out, hint);
        }
    }
    (out, problems)
}

fn variables_of(path: &Path, files: &dyn Files) -> (Vec<Variable>, Vec<Problem>) {
    let Ok(text) = files.read(path) else { return (Vec::new(), Vec::new()) };
    let read = dotenv::read(&text, false, &|_| None);
    let at = |line| FileLine { file: path.to_owned(), line };
    let variables = read.entries.into_iter().map(|e| Variable { name: e.name, value: Some(e.value), at: at(e.line) });
    let problems = read.faults.into_iter().map(|(line, why)| Problem::at(path, line, why));
    (variables.collect(), problems.collect())
}

/// What `docker compose config` printed, as services. Dollars are doubled there.
fn from_config(project: &Project, text: &str, files: &dyn Files) -> Option<Vec<Service>> {
    let root = super::yaml::read(text, usize::MAX).ok()?.into_iter().next()?;
    root.get("services")?;
    let project = Project {
        name: project.name.clone(),
        dir: project.dir.clone(),
        named: Vec::new(),
        files: Vec::new(),
        profiles: Vec::new(),
        root: single_dollars(&root),
        scope: super::fill::Scope::default(),
        remote: false,
        problems: Vec::new(),
    };
    Some(service::services(&project, files, &mut Vec::new()))
}

fn single_dollars(node: &Rc<Node>) -> Rc<Node> {
    use super::yaml::Kind;
    let kind = match &node.kind {
        Kind::Text(text) => Kind::Text(text.replace("$$", "$").into()),
        Kind::List(items) => Kind::List(items.iter().map(single_dollars).collect()),
        Kind::Map(entries) => Kind::Map(entries.iter().map(|(k, n)| (k.clone(), single_dollars(n))).collect()),
        Kind::Null | Kind::Broken(_) => return Rc::clone(node),
    };
    Rc::new(Node::new(node.place, kind))
}

/// Their values with the lines that we know; services that only we know stay.
fn with_our_lines(mut theirs: Vec<Service>, ours: Vec<Service>) -> Vec<Service> {
    for mut own in ours {
        let Some(service) = theirs.iter_mut().find(|s| s.name == own.name) else {
            theirs.push(own);
            continue;
        };
        service.at = own.at.clone();
        service.image = service.image.take().or_else(|| own.image.take());
        for variable in &mut service.variables {
            let line = own.variables.iter().find(|v| v.name == variable.name).map(|v| v.at.clone());
            variable.at = line.unwrap_or_else(|| own.at.clone());
        }
    }
    theirs
}

fn server(service: &Service) -> Option<Server<'_>> {
    let by_image = service.image.as_deref().and_then(image::recognised);
    let has = |name: &str| service.variables.iter().any(|v| v.name == name);
    let variables =
        ["POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"].into_iter().any(has);
    let publishes = service.ports.iter().any(|p| p.target == 5432);
    let guess = |sure| Image { flavour: Flavour::Postgres, product: "PostgreSQL".to_owned(), major: None, sure };
    let (image, why) = match by_image {
        Some(image) => (image, None),
        None if service.looks_like_postgres && (variables || publishes) => {
            (guess(Sure::Likely), Some("its volume or health check is a PostgreSQL server's"))
        }
        // An application may publish anything, and most have POSTGRES_… variables to connect with.
        None if publishes && variables && service.built => {
            (guess(Sure::Guess), Some("it is built here, publishes 5432 and has the variables of a PostgreSQL server"))
        }
        None => return None,
    };
    let inner = inner_port(service, &image);
    Some(Server { service, image, why, inner })
}

/// The port inside the container: from the command, the variables, the default.
fn inner_port(service: &Service, image: &Image) -> u16 {
    let mut words = service.command.iter().map(String::as_str);
    let mut found = None;
    while let Some(word) = words.next() {
        let value = match word {
            "-p" | "--port" => words.next(),
            "-c" => words.next().and_then(|w| w.strip_prefix("port=")),
            _ => ["--port=", "-cport=", "-p"].iter().find_map(|p| word.strip_prefix(p)),
        };
        found = value.and_then(|v| v.parse().ok()).or(found);
    }
    let names: &[&str] = match image.flavour {
        Flavour::Postgres => &["PGPORT"],
        Flavour::Bitnami => &["POSTGRESQL_PORT_NUMBER", "PGPORT"],
        Flavour::Pooler => &["LISTEN_PORT", "PGBOUNCER_PORT", "PGBOUNCER_LISTEN_PORT", "PROXY_PORT_TRANSACTION"],
    };
    let said = || names.iter().find_map(|n| service.variable(n)).and_then(|(v, _)| v.parse().ok());
    let published = |wanted: &[u16]| service.ports.iter().map(|p| p.target).find(|t| wanted.contains(t));
    let default = match image.flavour {
        Flavour::Postgres | Flavour::Bitnami => 5432,
        Flavour::Pooler => published(&[6432, 5432, 6543]).or(service.ports.first().map(|p| p.target)).unwrap_or(6432),
    };
    found.or_else(said).unwrap_or(default)
}

/// Names of the variables for user, database and password, those of the image first.
const fn names(flavour: Flavour) -> (&'static [&'static str], &'static [&'static str], &'static [&'static str]) {
    match flavour {
        Flavour::Postgres => (&["POSTGRES_USER"], &["POSTGRES_DB"], &["POSTGRES_PASSWORD"]),
        Flavour::Bitnami => (
            &["POSTGRESQL_USERNAME", "POSTGRES_USER"],
            &["POSTGRESQL_DATABASE", "POSTGRES_DATABASE", "POSTGRES_DB"],
            &["POSTGRESQL_PASSWORD", "POSTGRES_PASSWORD", "POSTGRESQL_POSTGRES_PASSWORD"],
        ),
        Flavour::Pooler => (&[], &[], &[]),
    }
}

fn of_server(project: &Project, server: &Server<'_>, files: &dyn Files) -> Found {
    let Server { service, image, why, inner } = server;
    let (place, more) = place(service, *inner);
    let mut found = Found::new(Source::Compose, place, image.sure);
    found.origins.push(format!("{} (service {})", service.at, service.name));
    found.project = Some((project.name.clone(), service.name.clone()));
    found.inner = (!service.host_network).then_some(*inner);
    found.product.clone_from(&image.product);
    found.image.clone_from(&service.image);
    found.notes.extend(why.map(|w| format!("taken for a server because {w}")));
    found.notes.extend(more);
    let (users, databases, passwords) = names(image.flavour);
    let is_set = |name: &str| service.variables.iter().any(|v| v.name == name && v.value.is_none());
    for name in users.iter().chain(databases).chain(passwords).filter(|n| is_set(n)) {
        found.notes.push(format!("{name} is not known: a variable it needs is not set, or it is written wrongly"));
    }
    let from_file = |name: &str| {
        let (path, _) = service.variable(&format!("{name}_FILE"))?;
        let text = files.read(&secret_file(project, path)?).ok()?;
        text.lines().next().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty() && l.len() < 200)
    };
    let value = |names: &[&str]| {
        names.iter().find_map(|n| service.variable(n).map(|(v, _)| v.to_owned()).or_else(|| from_file(n)))
    };
    match image.flavour {
        Flavour::Postgres => {
            found.user = value(users).or_else(|| (!users.iter().any(|n| is_set(n))).then(|| "postgres".to_owned()));
            found.database =
                value(databases).or_else(|| found.user.clone().filter(|_| !databases.iter().any(|n| is_set(n))));
        }
        Flavour::Bitnami => {
            found.user = value(users).or_else(|| Some("postgres".to_owned()));
            found.database = value(databases).or_else(|| Some("postgres".to_owned()));
        }
        Flavour::Pooler => {
            let behind = hints_of(&service.name, &service.variables, &[], &service.at).into_iter().next();
            found.user = behind.as_ref().and_then(|h| h.dsn.user.clone());
            found.database = behind.as_ref().and_then(|h| h.dsn.database.clone());
            let host = behind.and_then(|h| h.dsn.host);
            found.notes.push(match host {
                Some(host) => format!("a pooler in front of {host}"),
                None => "a pooler".to_owned(),
            });
        }
    }
    secret(project, service, passwords, &mut found, files);
    if !service.profiles.is_empty() && !service.profiles.iter().any(|p| project.profiles.contains(p)) {
        found.notes.push(format!("it starts only with the profile {}", service.profiles.join(" or ")));
    }
    if service.replicas > 1 {
        found.notes.push(format!("{} containers of it may run", service.replicas));
    }
    found
}

fn place(service: &Service, inner: u16) -> (Place, Option<String>) {
    if service.host_network {
        return (Place::Tcp { host: "localhost".to_owned(), port: inner }, None);
    }
    let fixed = service.ports.iter().filter(|p| p.target == inner).find_map(|p| match p.host {
        HostPort::Fixed(port) => Some((p.ip.clone(), port)),
        HostPort::OneOf(..) | HostPort::Any => None,
    });
    if let Some((ip, port)) = fixed {
        let host = ip.filter(|ip| ip != "127.0.0.1").unwrap_or_else(|| "localhost".to_owned());
        return (Place::Tcp { host, port }, None);
    }
    let shown = service.ports.iter().find(|p| p.target == inner).map(|p| match p.host {
        HostPort::OneOf(from, to) => format!("Docker takes one of the ports {from} to {to} for it"),
        HostPort::Any | HostPort::Fixed(_) => "Docker takes a free port for it".to_owned(),
    });
    match shown {
        Some(words) => {
            (Place::Chosen, Some(format!("{words}: `docker compose port {} {inner}` says which", service.name)))
        }
        None => {
            (Place::Inside, Some(format!("no port is published; `ports: [\"127.0.0.1:5433:{inner}\"]` would show it")))
        }
    }
}

/// The host's file behind `/run/secrets/name`, as the project says.
fn secret_file(project: &Project, path: &str) -> Option<PathBuf> {
    let name = path.strip_prefix("/run/secrets/")?;
    let secrets = project.root.get("secrets")?;
    // A service may give it another name inside.
    let direct = secrets.get(name).and_then(|s| s.get("file"));
    let file =
        direct.or_else(|| secrets.entries().iter().find(|(n, _)| n.ends_with(name)).and_then(|(_, s)| s.get("file")));
    file.and_then(|n| n.text()).map(PathBuf::from)
}

fn secret(project: &Project, service: &Service, passwords: &[&str], found: &mut Found, files: &dyn Files) {
    let trust = service.variable("POSTGRES_HOST_AUTH_METHOD").is_some_and(|(v, _)| v == "trust")
        || service.variable("ALLOW_EMPTY_PASSWORD").is_some_and(|(v, _)| matches!(v, "yes" | "true"));
    if let Some((name, (value, at))) = passwords.iter().find_map(|n| service.variable(n).map(|v| (*n, v))) {
        found.secret = Secret::Written { variable: name.to_owned(), at: at.clone() };
        found.password = Some(SecretString::from(value.to_owned()));
    } else if let Some((_, (path, at))) =
        passwords.iter().find_map(|n| service.variable(&format!("{n}_FILE")).map(|v| (*n, v)))
    {
        let name = path.strip_prefix("/run/secrets/").unwrap_or_default();
        let variable = project.root.get("secrets").and_then(|s| s.get(name)).and_then(|s| s.get("environment"));
        match (secret_file(project, path), variable.and_then(|n| n.text())) {
            (Some(file), _) => {
                found.password =
                    files.read(&file).ok().and_then(|t| t.lines().next().map(|l| SecretString::from(l.to_owned())));
                found.secret = Secret::File(file);
            }
            (None, Some(variable)) => {
                found.password = project.scope.get(variable).map(|v| SecretString::from(v.to_owned()));
                found.secret = Secret::Environment(variable.to_owned());
            }
            (None, None) => found.notes.push(format!("its password is in {path} inside the container ({at})")),
        }
    } else if trust {
        found.secret = Secret::None("the server trusts everybody who reaches it".to_owned());
    }
}

/// A connection string, or variables that together say as much.
pub(super) struct Hint {
    pub dsn: dsn::Dsn,
    pub neighbour: Neighbour,
    /// True for a connection string; false for single variables.
    pub whole: bool,
}

/// Ends of names: of a host among single variables, and of a connection string.
const HOSTS: [&str; 6] = ["HOSTNAME", "HOST", "SERVER", "ADDRESS", "ADDR", "URL_HOST"];
const STRINGS: [&str; 6] = ["URL", "URI", "DSN", "CONNECTION_STRING", "CONN_STR", "CONNECTION"];

/// What the variables and the command of a service say about databases.
pub(super) fn hints_of(service: &str, variables: &[Variable], command: &[String], at: &FileLine) -> Vec<Hint> {
    let get = |name: &str| {
        let found = variables.iter().find(|v| v.name.eq_ignore_ascii_case(name))?;
        found.value.as_ref().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    };
    let first = |prefix: &str, ends: &[&str]| ends.iter().find_map(|e| get(&format!("{prefix}{e}")));
    let users: &[&str] = &["USER", "USERNAME", "USER_NAME", "ROLE"];
    let databases: &[&str] = &["NAME", "DATABASE", "DB", "DBNAME", "DB_NAME", "DATABASE_NAME", "URL_DATABASE"];
    let paths: &[&str] = &["SCHEMA", "SEARCH_PATH", "DB_SCHEMA"];
    let passwords: &[&str] = &["PASSWORD", "PASS", "PWD"];
    let mut out: Vec<Hint> = Vec::new();
    let mut push = |dsn: dsn::Dsn, variable: &str, at: &FileLine, whole: bool| {
        out.push(Hint {
            neighbour: Neighbour {
                service: service.to_owned(),
                variable: variable.to_owned(),
                at: at.clone(),
                database: dsn.database.clone(),
                user: dsn.user.clone(),
                schemas: dsn.schemas.clone(),
                dialect: dsn.dialect.clone(),
                password: dsn.password.clone(),
                revisions: None,
            },
            dsn,
            whole,
        });
    };
    for variable in variables {
        let Some(value) = &variable.value else { continue };
        if let Some(mut dsn) = dsn::read(value) {
            // What a string leaves open may stand beside it: KC_DB_URL and KC_DB_USERNAME.
            let upper = variable.name.to_ascii_uppercase();
            if let Some(prefix) =
                STRINGS.iter().find_map(|e| upper.strip_suffix(e)).map(|p| p.trim_end_matches("JDBC_"))
            {
                dsn.user = dsn.user.or_else(|| first(prefix, users));
                dsn.password = dsn.password.or_else(|| first(prefix, passwords).map(SecretString::from));
                if let Some(path) = first(prefix, paths).filter(|_| dsn.schemas.is_empty()) {
                    dsn.schemas = dsn::schemas(&path);
                }
            }
            push(dsn, &variable.name, &variable.at, true);
            continue;
        }
        let upper = variable.name.to_ascii_uppercase();
        let Some(prefix) = HOSTS.iter().find_map(|end| upper.strip_suffix(end)) else { continue };
        let (host, port) = value.trim().split_once(':').unwrap_or((value.trim(), ""));
        let user = first(prefix, users);
        let database = first(prefix, databases);
        if host.is_empty() || user.is_none() && database.is_none() {
            continue;
        }
        let mut schemas = first(prefix, paths).map(|p| dsn::schemas(&p)).unwrap_or_default();
        if schemas.is_empty() && prefix == "PG" {
            let options = get("PGOPTIONS").map(|o| format!("host=x user=x options='{o}'"));
            schemas = options.and_then(|o| dsn::read(&o)).map(|d| d.schemas).unwrap_or_default();
        }
        let dsn = dsn::Dsn {
            host: Some(host.to_owned()),
            port: port.parse().ok().or_else(|| first(prefix, &["PORT"])?.parse().ok()),
            database,
            user,
            password: first(prefix, passwords).map(SecretString::from),
            schemas,
            dialect: String::new(),
        };
        push(dsn, &variable.name, &variable.at, false);
    }
    for word in command {
        let value = word.find("://").and_then(|i| {
            let start = word.get(..i)?.rfind(['=', '"', '\'']).map_or(0, |s| s + 1);
            word.get(start..)
        });
        if let Some(dsn) = value.and_then(dsn::read) {
            push(dsn, "command", at, true);
        }
    }
    out
}

/// A database that only a connection string speaks of.
fn put_address(out: &mut Vec<Found>, hint: Hint) {
    let host = hint.dsn.host.clone().unwrap_or_default();
    let port = hint.dsn.port.unwrap_or(5432);
    let place = if host.starts_with('/') {
        Place::Socket { dir: PathBuf::from(&host), port }
    } else {
        Place::Tcp { host: host.clone(), port }
    };
    let same = |f: &Found| f.source == Source::Address && f.place == place && f.database == hint.dsn.database;
    if let Some(found) = out.iter_mut().find(|f| same(f)) {
        found.neighbours.push(hint.neighbour);
        return;
    }
    let mut found = Found::new(Source::Address, place, Sure::Likely);
    found.origins.push(format!("{} ({} of {})", hint.neighbour.at, hint.neighbour.variable, hint.neighbour.service));
    "PostgreSQL".clone_into(&mut found.product);
    found.user.clone_from(&hint.dsn.user);
    found.database.clone_from(&hint.dsn.database);
    if hint.dsn.password.is_some() {
        found.secret = Secret::Written { variable: hint.neighbour.variable.clone(), at: hint.neighbour.at.clone() };
    }
    found.password.clone_from(&hint.dsn.password);
    if !host.starts_with('/') && !host.contains(['.', ':']) && host != "localhost" {
        found.reach = Reach::Inside;
        found.notes.push(format!("`{host}` is a name of Docker's network, and no service here has it"));
    }
    found.neighbours.push(hint.neighbour);
    out.push(found);
}

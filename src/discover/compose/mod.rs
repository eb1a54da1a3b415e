//! Compose projects: which files make one, what they say together. Interpolation, overrides, `include`, `extends`, within
//! budgets for files, depth and size; nothing that a file names is run or fetched. Files come through [`Files`].

pub mod merge;
pub mod ports;
pub mod service;

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use secrecy::zeroize::Zeroizing;

use super::{
    Problem, dotenv,
    files::{Files, tidy},
    fill::{self, Scope, Values},
    yaml::{self, Kind, Node, Place},
};

/// Files that one project may read, env files and includes counted.
const MOST_FILES: usize = 64;
/// How deep `include` and `extends` may lead.
const MOST_STEPS: usize = 12;
/// Problems that are told.
const MOST_PROBLEMS: usize = 50;
/// Values of all files together.
const MOST_NODES: usize = 150_000;

/// Names of the first file, in Compose's order, and of the file that is laid over it.
pub const FIRST: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
pub const SECOND: [&str; 4] =
    ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// What a project's files say together.
pub struct Project {
    /// As Compose calls it: the prefix of its containers.
    pub name: String,
    /// The directory that paths start from.
    pub dir: PathBuf,
    /// The files that were named or found, in the order they are laid over each other.
    pub named: Vec<PathBuf>,
    /// Every file that was read; [`Place::file`] is an index of it.
    pub files: Vec<PathBuf>,
    /// Profiles that are switched on.
    pub profiles: Vec<String>,
    /// All files as one.
    pub root: Rc<Node>,
    /// Values for names that an environment leaves open.
    pub scope: Scope,
    /// True when something must be fetched from elsewhere to know all of it.
    pub remote: bool,
    pub problems: Vec<Problem>,
}

impl Project {
    /// `file:line` of a place.
    #[must_use]
    pub fn place(&self, place: Place) -> super::FileLine {
        super::FileLine { file: self.files.get(place.file).cloned().unwrap_or_default(), line: place.line }
    }
}

/// Reads the project that these files make. `variables` are the process's own; `.env` lies beneath them.
pub fn load(files: &dyn Files, named: &[PathBuf], variables: &Values) -> Project {
    let dir = named.first().and_then(|p| p.parent()).map(tidy).unwrap_or_default();
    let mut loader = Loader::new(files);
    let outer = Scope::of(variables.clone());
    let listed = outer.get("COMPOSE_ENV_FILES").filter(|l| !l.is_empty()).map(str::to_owned);
    let env_files = match &listed {
        Some(listed) => listed.split(',').map(|f| dir.join(f.trim())).collect(),
        None => vec![dir.join(".env")],
    };
    let scope = loader.scope(&outer, &env_files, listed.is_some());
    let root = loader.unit(named, &dir, &scope, 0);
    let empty = || Rc::new(Node::new(Place::default(), Kind::Map(Vec::new())));
    let root = root.unwrap_or_else(empty);
    let written = root.get("name").and_then(|n| n.text()).map(str::to_owned);
    let last = dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = scope.get("COMPOSE_PROJECT_NAME").filter(|n| !n.is_empty()).map(str::to_owned).or(written);
    let profiles = scope.get("COMPOSE_PROFILES").unwrap_or_default();
    Project {
        name: project_name(&name.unwrap_or(last)),
        profiles: profiles.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect(),
        named: named.to_vec(),
        root,
        scope,
        dir,
        remote: loader.remote,
        files: loader.read,
        problems: loader.problems,
    }
}

/// The files that make the project of a directory: `COMPOSE_FILE`, else the usual names with the override.
#[must_use]
pub fn files_of(files: &dyn Files, dir: &Path, variables: &Values) -> Vec<PathBuf> {
    let own = files.read(&dir.join(".env")).ok().map(|text| dotenv::read(&text, false, &|_| None).values());
    let get = |name: &str| {
        let found = variables.get(name).or_else(|| own.as_ref().and_then(|own| own.get(name)));
        found.map(|v| v.to_string()).filter(|v| !v.is_empty())
    };
    if let Some(list) = get("COMPOSE_FILE") {
        let separator = get("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| if cfg!(windows) { ";" } else { ":" }.into());
        return list.split(separator.as_str()).filter(|f| !f.is_empty()).map(|f| tidy(&dir.join(f))).collect();
    }
    let pick = |names: &[&str]| names.iter().map(|n| dir.join(n)).find(|p| files.is_file(p));
    pick(&FIRST).into_iter().flat_map(|first| [Some(first), pick(&SECOND)]).flatten().collect()
}

/// Compose's rule for names of projects: small letters, digits, `-` and `_`, beginning with a letter or digit.
fn project_name(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept: String = lower.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

struct Loader<'a> {
    files: &'a dyn Files,
    read: Vec<PathBuf>,
    /// Files that were asked for, those that are not there counted.
    asked: usize,
    /// Files that are being included, to notice a circle.
    including: Vec<PathBuf>,
    nodes: usize,
    remote: bool,
    problems: Vec<Problem>,
}

impl<'a> Loader<'a> {
    fn new(files: &'a dyn Files) -> Self {
        Loader {
            files,
            read: Vec::new(),
            asked: 0,
            including: Vec::new(),
            nodes: 0,
            remote: false,
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, file: &Path, line: usize, message: impl Into<String>) {
        let problem = Problem::at(file, line, message);
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn text(&mut self, path: &Path) -> Result<(usize, Zeroizing<String>), String> {
        self.asked += 1;
        if self.read.len() >= MOST_FILES || self.asked > 2 * MOST_FILES {
            return Err(format!("more than {MOST_FILES} files belong to it"));
        }
        let text = self.files.read(path)?;
        self.read.push(path.to_owned());
        Ok((self.read.len() - 1, text))
    }

    /// A scope with env files beneath it; a later file wins.
    fn scope(&mut self, outer: &Scope, env_files: &[PathBuf], must: bool) -> Scope {
        let mut all = Values::new();
        for path in env_files {
            let text = match self.text(path) {
                Ok((_, text)) => text,
                Err(why) => {
                    if must || self.files.is_file(path) {
                        self.problem(path, 0, format!("could not be read: {why}"));
                    }
                    continue;
                }
            };
            let known = all.clone();
            let lookup =
                |name: &str| outer.get(name).map(str::to_owned).or_else(|| known.get(name).map(|v| v.to_string()));
            let found = dotenv::read(&text, false, &lookup);
            for (line, why) in &found.faults {
                self.problem(path, *line, why.clone());
            }
            all.extend(found.values());
        }
        outer.over(all)
    }

    /// Files laid over each other, with their own `include`s beneath them.
    fn unit(&mut self, paths: &[PathBuf], dir: &Path, scope: &Scope, depth: usize) -> Option<Rc<Node>> {
        let mut whole: Option<Rc<Node>> = None;
        for path in paths {
            let path = tidy(path);
            for document in self.documents(&path, scope) {
                let mut document = self.extended_all(&document, whole.as_ref(), &path, dir, scope);
                if let Some(include) = document.get("include").map(Rc::clone) {
                    self.including.push(path.clone());
                    if let Some(beneath) = self.included(&include, &path, dir, scope, depth) {
                        document = merge::merged(&beneath, &document);
                    }
                    self.including.pop();
                }
                whole = Some(match whole {
                    Some(base) => merge::merged(&base, &document),
                    None => document,
                });
            }
        }
        whole
    }

    /// The documents of a file with their variables filled in.
    fn documents(&mut self, path: &Path, scope: &Scope) -> Vec<Rc<Node>> {
        let (index, text) = match self.text(path) {
            Ok(read) => read,
            Err(why) => {
                self.problem(path, 0, format!("could not be read: {why}"));
                return Vec::new();
            }
        };
        let documents = match yaml::read(&text, index) {
            Ok(documents) => documents,
            Err(refused) => {
                self.problem(path, refused.line, format!("is not used: {}", refused.why));
                return Vec::new();
            }
        };
        let mut out = Vec::new();
        for document in documents {
            self.nodes = self.nodes.saturating_add(document.size());
            if self.nodes > MOST_NODES {
                self.problem(path, 0, "is not used: the project's files hold too many values");
                return Vec::new();
            }
            match document.kind {
                Kind::Map(_) => out.push(filled(&document, scope)),
                Kind::Null => {}
                Kind::Text(_) | Kind::List(_) | Kind::Broken(_) => {
                    self.problem(path, document.place.line, "is not used: it is no Compose file");
                }
            }
        }
        out
    }

    fn included(&mut self, list: &Rc<Node>, path: &Path, dir: &Path, scope: &Scope, depth: usize) -> Option<Rc<Node>> {
        let mut whole: Option<Rc<Node>> = None;
        let items = if list.items().is_empty() { vec![Rc::clone(list)] } else { list.items().to_vec() };
        for item in items {
            let line = item.place.line;
            let texts =
                |key: &str| item.get(key).map(|n| n.texts().iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
            let named = item.text().map(|t| vec![t.to_owned()]).or_else(|| texts("path")).unwrap_or_default();
            if named.iter().any(|n| is_remote(n)) {
                self.remote = true;
                self.problem(path, line, "includes a project from elsewhere: it is not fetched");
                continue;
            }
            let paths: Vec<PathBuf> = named.iter().map(|n| tidy(&dir.join(n))).collect();
            let Some(first) = paths.first() else { continue };
            if depth >= MOST_STEPS || paths.iter().any(|p| self.including.contains(p)) {
                self.problem(path, line, "is not followed: its includes go in a circle, or too deep");
                continue;
            }
            let own_dir = match texts("project_directory").and_then(|t| t.into_iter().next()) {
                Some(text) => tidy(&dir.join(text)),
                None => first.parent().map(Path::to_owned).unwrap_or_default(),
            };
            let env_files = texts("env_file").filter(|t| !t.is_empty());
            let must = env_files.is_some();
            let env_files: Vec<PathBuf> = match env_files {
                Some(listed) => listed.iter().map(|f| dir.join(f)).collect(),
                None => vec![own_dir.join(".env")],
            };
            let inner = self.scope(scope, &env_files, must);
            if let Some(found) = self.unit(&paths, &own_dir, &inner, depth + 1) {
                whole = Some(match whole {
                    Some(base) => merge::merged(&base, &found),
                    None => found,
                });
            }
        }
        whole
    }

    /// A document whose services have what they extend beneath them, and whose paths are whole.
    fn extended_all(
        &mut self,
        document: &Rc<Node>,
        before: Option<&Rc<Node>>,
        path: &Path,
        dir: &Path,
        scope: &Scope,
    ) -> Rc<Node> {
        let Some(services) = document.get("services").map(Rc::clone) else { return whole_paths(document, dir) };
        let mut entries = Vec::with_capacity(services.entries().len());
        for (name, _) in services.entries() {
            let mut trail = Vec::new();
            let found = self.extended(name, &services, before, path, dir, scope, &mut trail);
            entries.extend(found.map(|node| (name.clone(), node)));
        }
        let services = Rc::new(Node::marked(services.mark, services.place, Kind::Map(entries)));
        let rest = document
            .entries()
            .iter()
            .map(|(key, node)| (key.clone(), if key == "services" { Rc::clone(&services) } else { Rc::clone(node) }));
        whole_paths(&Rc::new(Node::new(document.place, Kind::Map(rest.collect()))), dir)
    }

    #[expect(clippy::too_many_arguments, reason = "where the service stands is five things, and the way here a sixth")]
    fn extended(
        &mut self,
        name: &str,
        services: &Rc<Node>,
        before: Option<&Rc<Node>>,
        path: &Path,
        dir: &Path,
        scope: &Scope,
        trail: &mut Vec<(PathBuf, String)>,
    ) -> Option<Rc<Node>> {
        let earlier = || before.and_then(|b| b.get("services")).and_then(|s| s.get(name));
        let own = services.get(name).or_else(earlier).map(Rc::clone)?;
        let service = whole_service(&own, dir);
        let Some(extends) = service.get("extends").map(Rc::clone) else { return Some(service) };
        let step = (path.to_owned(), name.to_owned());
        if trail.contains(&step) || trail.len() >= MOST_STEPS {
            self.problem(path, extends.place.line, "is not followed: `extends` goes in a circle, or too deep");
            return Some(service);
        }
        trail.push(step);
        let word = |key: &str| extends.get(key).and_then(|n| n.text()).map(str::to_owned);
        let base_name = extends.text().map(str::to_owned).or_else(|| word("service")).unwrap_or_default();
        let base = match word("file") {
            None => self.extended(&base_name, services, before, path, dir, scope, trail),
            Some(file) if is_remote(&file) => {
                self.remote = true;
                self.problem(path, extends.place.line, "extends a file from elsewhere: it is not fetched");
                return Some(service);
            }
            Some(file) => {
                let other = tidy(&dir.join(file));
                let other_dir = other.parent().map(Path::to_owned).unwrap_or_default();
                let mut found = None;
                for document in self.documents(&other, scope) {
                    if let Some(services) = document.get("services") {
                        found = self.extended(&base_name, &Rc::clone(services), None, &other, &other_dir, scope, trail);
                    }
                }
                found
            }
        };
        trail.pop();
        match base {
            Some(base) => Some(without(&merge::merged(&base, &service), "extends")),
            None => {
                self.problem(path, extends.place.line, "extends a service that could not be read");
                Some(service)
            }
        }
    }
}

fn without(node: &Rc<Node>, key: &str) -> Rc<Node> {
    let kept = node.entries().iter().filter(|(name, _)| name != key).cloned().collect();
    Rc::new(Node::marked(node.mark, node.place, Kind::Map(kept)))
}

/// True for what Compose would fetch: repositories, registries, addresses.
fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("oci:") || path.contains(".git#")
}

/// A tree with variables filled in; what cannot be is [`Kind::Broken`].
fn filled(node: &Rc<Node>, scope: &Scope) -> Rc<Node> {
    let kind = match &node.kind {
        Kind::Text(text) if text.contains('$') => {
            let lookup = |name: &str| scope.get(name).map(|v| Zeroizing::new(v.to_owned()));
            match fill::fill(text, &lookup) {
                Ok(filled) => Kind::Text(filled.text),
                Err(fault) => Kind::Broken(fault.words()),
            }
        }
        Kind::Null | Kind::Text(_) | Kind::Broken(_) => return Rc::clone(node),
        Kind::List(items) => Kind::List(items.iter().map(|item| filled(item, scope)).collect()),
        Kind::Map(entries) => Kind::Map(entries.iter().map(|(key, item)| (key.clone(), filled(item, scope))).collect()),
    };
    Rc::new(Node::marked(node.mark, node.place, kind))
}

/// The files of top-level secrets, from the directory they are meant from.
fn whole_paths(document: &Rc<Node>, dir: &Path) -> Rc<Node> {
    let Some(secrets) = document.get("secrets") else { return Rc::clone(document) };
    let entries = secrets.entries().iter().map(|(name, secret)| (name.clone(), with_whole(secret, "file", dir)));
    let secrets = Rc::new(Node::marked(secrets.mark, secrets.place, Kind::Map(entries.collect())));
    let rest = document
        .entries()
        .iter()
        .map(|(key, node)| (key.clone(), if key == "secrets" { Rc::clone(&secrets) } else { Rc::clone(node) }));
    Rc::new(Node::new(document.place, Kind::Map(rest.collect())))
}

/// A service whose env files and build directory start from `dir`.
fn whole_service(service: &Rc<Node>, dir: &Path) -> Rc<Node> {
    let entries = service.entries().iter().map(|(key, node)| {
        let node = match key.as_str() {
            "env_file" => whole_env_files(node, dir),
            "build" if node.text().is_some() => whole(node, dir),
            "build" => with_whole(node, "context", dir),
            _ => Rc::clone(node),
        };
        (key.clone(), node)
    });
    let kind = if matches!(service.kind, Kind::Map(_)) { Kind::Map(entries.collect()) } else { Kind::Map(Vec::new()) };
    Rc::new(Node::marked(service.mark, service.place, kind))
}

fn whole_env_files(node: &Rc<Node>, dir: &Path) -> Rc<Node> {
    match &node.kind {
        Kind::Text(_) => whole(node, dir),
        Kind::List(items) => {
            let items = items.iter().map(|item| whole_env_files(item, dir)).collect();
            Rc::new(Node::marked(node.mark, node.place, Kind::List(items)))
        }
        Kind::Map(_) => with_whole(node, "path", dir),
        Kind::Null | Kind::Broken(_) => Rc::clone(node),
    }
}

fn with_whole(map: &Rc<Node>, key: &str, dir: &Path) -> Rc<Node> {
    if !matches!(map.kind, Kind::Map(_)) {
        return Rc::clone(map);
    }
    let entries = map
        .entries()
        .iter()
        .map(|(name, node)| (name.clone(), if name == key { whole(node, dir) } else { Rc::clone(node) }));
    Rc::new(Node::marked(map.mark, map.place, Kind::Map(entries.collect())))
}

fn whole(node: &Rc<Node>, dir: &Path) -> Rc<Node> {
    match node.text() {
        Some(text) if !is_remote(text) && !text.starts_with('~') => {
            Node::text_at(node.place, tidy(&dir.join(text)).to_string_lossy())
        }
        _ => Rc::clone(node),
    }
}

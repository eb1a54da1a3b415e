//! One service of a project: its image, its environment with the lines it comes from, its ports, the names it answers to.
//! Env files and secrets are read here, through [`Files`].

use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;

use super::{
    Project,
    merge::as_map,
    ports::{self, Port},
};
use crate::discover::{
    FileLine, Problem, dotenv,
    files::Files,
    fill::Values,
    yaml::{Kind, Node},
};

/// Services of one project that are looked at.
const MOST_SERVICES: usize = 500;

/// See the module.
pub struct Service {
    pub name: String,
    pub at: FileLine,
    /// The image as written, or the one its Dockerfile starts from.
    pub image: Option<String>,
    /// True when it is built from a directory.
    pub built: bool,
    /// That directory, where it is one of this machine.
    pub context: Option<PathBuf>,
    pub variables: Vec<Variable>,
    pub ports: Vec<Port>,
    /// True when it uses the host's network.
    pub host_network: bool,
    /// Profiles of which one must be switched on.
    pub profiles: Vec<String>,
    /// `command` in words.
    pub command: Vec<String>,
    /// Other names that its neighbours may call it.
    pub names: Vec<String>,
    /// Something in it says that it is a PostgreSQL server: its volume, its health check.
    pub looks_like_postgres: bool,
    /// Containers that may run of it at once.
    pub replicas: u32,
}

/// One variable of a service's environment.
pub struct Variable {
    pub name: String,
    /// `None`: it could not be filled in.
    pub value: Option<Zeroizing<String>>,
    pub at: FileLine,
}

impl Service {
    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(&str, &FileLine)> {
        let found = self.variables.iter().find(|v| v.name == name)?;
        found.value.as_ref().map(|v| (v.as_str(), &found.at)).filter(|(v, _)| !v.is_empty())
    }

    /// True for a name under which its neighbours reach it.
    #[must_use]
    pub fn answers_to(&self, host: &str) -> bool {
        self.name == host || self.names.iter().any(|n| n == host)
    }
}

/// The services of a project.
pub fn services(project: &Project, files: &dyn Files, problems: &mut Vec<Problem>) -> Vec<Service> {
    let Some(all) = project.root.get("services") else { return Vec::new() };
    all.entries().iter().take(MOST_SERVICES).map(|(name, node)| service(project, files, name, node, problems)).collect()
}

fn service(project: &Project, files: &dyn Files, name: &str, node: &Node, problems: &mut Vec<Problem>) -> Service {
    let word = |key: &str| node.get(key).and_then(|n| n.text()).map(str::to_owned).filter(|t| !t.is_empty());
    let variables = variables(project, files, node, problems);
    let (ports, faults) = node.get("ports").map(|list| ports::ports(list)).unwrap_or_default();
    for (place, why) in faults {
        let at = project.place(place);
        problems.push(Problem::at(&at.file, at.line, format!("service {name}: {why}")));
    }
    if let Some(Kind::Broken(why)) = node.get("image").map(|n| &n.kind) {
        let at = project.place(node.place);
        problems.push(Problem::at(&at.file, at.line, format!("service {name}: its image is unknown: {why}")));
    }
    let aliases =
        node.get("networks").into_iter().flat_map(|n| n.entries().iter()).filter_map(|(_, n)| n.get("aliases"));
    let mut names: Vec<String> = aliases.flat_map(|n| n.texts()).map(str::to_owned).collect();
    names.extend(word("container_name"));
    names.extend(word("hostname"));
    let command = node.get("command").map(|n| match &n.kind {
        Kind::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        _ => n.texts().into_iter().map(str::to_owned).collect(),
    });
    let build = node.get("build");
    Service {
        image: word("image").or_else(|| build.and_then(|b| base_image(files, b))),
        built: build.is_some(),
        context: build.and_then(|b| context(b)),
        host_network: word("network_mode").is_some_and(|m| m == "host"),
        profiles: node.get("profiles").map(|p| p.texts().into_iter().map(str::to_owned).collect()).unwrap_or_default(),
        command: command.unwrap_or_default(),
        looks_like_postgres: looks_like_postgres(node),
        replicas: replicas(node),
        at: project.place(node.get("image").or(build).map_or(node.place, |n| n.place)),
        name: name.to_owned(),
        names,
        variables,
        ports,
    }
}

fn replicas(node: &Node) -> u32 {
    let deploy = node.get("deploy").and_then(|d| d.get("replicas"));
    let scale = node.get("scale").or(deploy).and_then(|n| n.text());
    scale.and_then(|t| t.parse().ok()).unwrap_or(1)
}

/// A health check by `pg_isready`, or a volume where the server keeps its data.
fn looks_like_postgres(node: &Node) -> bool {
    let check = node.get("healthcheck").and_then(|h| h.get("test"));
    let asks = check.is_some_and(|t| t.texts().iter().any(|w| w.contains("pg_isready")));
    let keeps = |text: &str| {
        text.split(':').any(|p| p.starts_with("/var/lib/postgresql") || p.starts_with("/bitnami/postgresql"))
    };
    let volumes = node.get("volumes").map(|v| v.items().to_vec()).unwrap_or_default();
    let stored = volumes.iter().any(|v| v.text().or_else(|| v.get("target")?.text()).is_some_and(keeps));
    asks || stored
}

/// The directory that something is built from; `None` where it is fetched.
fn context(build: &Node) -> Option<PathBuf> {
    let dir = build.text().or_else(|| build.get("context").and_then(|n| n.text()))?;
    (!dir.contains("://")).then(|| PathBuf::from(dir))
}

/// The image that the last stage of a Dockerfile starts from.
fn base_image(files: &dyn Files, build: &Node) -> Option<String> {
    let word = |key: &str| build.get(key).and_then(|n| n.text());
    if let Some(inline) = word("dockerfile_inline") {
        return last_stage(inline);
    }
    let path = context(build)?.join(word("dockerfile").unwrap_or("Dockerfile"));
    last_stage(&files.read(&path).ok()?)
}

/// The last `FROM`, through the names of earlier stages; variables get the defaults of their `ARG`.
fn last_stage(dockerfile: &str) -> Option<String> {
    let mut arguments = Values::new();
    let mut stages: Vec<(String, String)> = Vec::new();
    for line in dockerfile.lines().take(5_000) {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("ARG") if stages.is_empty() => {
                if let Some((name, value)) = words.next().and_then(|w| w.split_once('=')) {
                    arguments.insert(name.to_owned(), Zeroizing::new(value.trim_matches(['"', '\'']).to_owned()));
                }
            }
            Some("FROM") => {
                let image = words.find(|w| !w.starts_with("--")).unwrap_or_default();
                let lookup = |name: &str| arguments.get(name).cloned();
                let image = crate::discover::fill::fill(image, &lookup).map(|f| f.text.to_string()).unwrap_or_default();
                let image = stages.iter().find(|(n, _)| *n == image).map_or(image.clone(), |(_, i)| i.clone());
                let name = words.nth(1).unwrap_or_default().to_owned();
                stages.push((name, image));
            }
            _ => {}
        }
    }
    stages.pop().map(|(_, image)| image).filter(|i| !i.is_empty())
}

/// The environment of a service: its env files in their order, then what `environment` says.
fn variables(project: &Project, files: &dyn Files, node: &Node, problems: &mut Vec<Problem>) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    let mut put = |variable: Variable| match found.iter_mut().find(|v| v.name == variable.name) {
        Some(slot) => *slot = variable,
        None => found.push(variable),
    };
    if let Some(list) = node.get("env_file") {
        let items: Vec<&Node> =
            if list.items().is_empty() { vec![list] } else { list.items().iter().map(AsRef::as_ref).collect() };
        for item in items.into_iter().take(32) {
            let word = |key: &str| item.get(key).and_then(|n| n.text());
            let Some(path) = item.text().or_else(|| word("path")) else { continue };
            let path = PathBuf::from(path);
            let text = match files.read(&path) {
                Ok(text) => text,
                Err(why) => {
                    if word("required") != Some("false") {
                        problems.push(Problem::at(&path, 0, format!("could not be read: {why}")));
                    }
                    continue;
                }
            };
            let outer = |name: &str| project.scope.get(name).map(str::to_owned);
            let read = dotenv::read(&text, word("format") == Some("raw"), &outer);
            problems.extend(read.faults.into_iter().map(|(line, why)| Problem::at(&path, line, why)));
            for entry in read.entries {
                let at = FileLine { file: path.clone(), line: entry.line };
                put(Variable { name: entry.name, value: Some(entry.value), at });
            }
        }
    }
    let written = node.get("environment").map(as_map);
    for (name, value) in written.iter().flat_map(|m| m.entries()).take(1_000) {
        let at = project.place(value.place);
        match &value.kind {
            Kind::Text(text) => put(Variable { name: name.clone(), value: Some(text.clone()), at }),
            // Without a value it is the one from outside; where there is none, it is not set.
            Kind::Null => {
                if let Some(outside) = project.scope.get(name) {
                    put(Variable { name: name.clone(), value: Some(Zeroizing::new(outside.to_owned())), at });
                }
            }
            Kind::Broken(_) | Kind::List(_) | Kind::Map(_) => put(Variable { name: name.clone(), value: None, at }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_says_what_it_starts_from() {
        for (text, image) in [
            ("FROM postgres:15\nRUN x\n", Some("postgres:15")),
            ("ARG V=16\nFROM --platform=linux/amd64 postgres:${V} AS base\nFROM base\n", Some("postgres:16")),
            ("FROM golang:1 AS build\nFROM alpine\n", Some("alpine")),
            ("from postgres\n", Some("postgres")),
            ("# nothing\n", None),
        ] {
            assert_eq!(last_stage(text).as_deref(), image, "{text}");
        }
    }
}

//! What Docker says, when it answers in time: how it reads a project's files, and which containers run. Only the client's
//! own questions are asked (`compose config`, `ps`, `inspect`); nothing is started.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use secrecy::{SecretString, zeroize::Zeroizing};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::{
    Around, Found, Place, Secret, Source,
    compose::Project,
    image::{self, Flavour},
};
use crate::config::Env;

/// The longest answer that is read, in bytes.
const MOST_BYTES: u64 = 8 << 20;
/// Containers that are looked at.
const MOST: usize = 200;

/// The client: the first `docker` of the absolute directories of `PATH`. `None` also when it would speak with another
/// machine.
#[must_use]
pub fn client(env: &Env) -> Option<PathBuf> {
    if remote(env) {
        return None;
    }
    let paths = std::env::split_paths(env.var("PATH")?).filter(|dir| dir.is_absolute());
    paths.map(|dir| dir.join(if cfg!(windows) { "docker.exe" } else { "docker" })).find(|path| path.is_file())
}

fn remote(env: &Env) -> bool {
    env.var("DOCKER_HOST").is_some_and(|host| !(host.starts_with("unix://") || host.starts_with("npipe://")))
}

/// Why Docker was not asked.
#[must_use]
pub fn absent(env: &Env) -> String {
    if remote(env) { "not asked: DOCKER_HOST is another machine".to_owned() } else { "not installed".to_owned() }
}

/// How `docker compose` itself reads a project, as JSON; `None` when it does not answer.
pub async fn config(client: &PathBuf, project: &Project, around: &Around<'_>) -> Option<Zeroizing<String>> {
    let mut arguments = vec!["compose".to_owned()];
    for file in &project.named {
        arguments.extend(["-f".to_owned(), file.to_str()?.to_owned()]);
    }
    arguments.extend(["--project-directory".to_owned(), project.dir.to_str()?.to_owned()]);
    arguments.extend(["--profile", "*", "config", "--format", "json"].map(str::to_owned));
    let answer = run(client, &arguments, around).await.ok()?;
    answer.trim_start().starts_with('{').then_some(answer)
}

/// The output of the client, when it ends well and in time.
async fn run(client: &PathBuf, arguments: &[String], around: &Around<'_>) -> Result<Zeroizing<String>, String> {
    let mut command = tokio::process::Command::new(client);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env_clear().envs(&around.env.vars);
    let asked = async {
        let mut child = command.spawn().map_err(|e| format!("could not be run: {e}"))?;
        let (mut out, mut errors) = (Zeroizing::new(Vec::new()), Vec::new());
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            let (mut stdout, mut stderr) = (stdout.take(MOST_BYTES), stderr.take(64 << 10));
            let both = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut errors));
            both.0.map_err(|e| format!("could not be read: {e}"))?;
        }
        let status = child.wait().await.map_err(|e| format!("could not be waited for: {e}"))?;
        if !status.success() {
            let errors = String::from_utf8_lossy(&errors);
            let down = errors.contains("daemon running") || errors.contains("annot connect");
            return Err(if down { "no daemon answers".to_owned() } else { "the client failed".to_owned() });
        }
        std::str::from_utf8(&out).map(|t| Zeroizing::new(t.to_owned())).map_err(|_| "no UTF-8".to_owned())
    };
    let limit: Duration = around.docker_patience;
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// A running container, as far as we need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// Compose's labels: project, service, directory.
    pub project: Option<String>,
    pub service: Option<String>,
    pub dir: Option<PathBuf>,
}

/// Running servers, each with what Compose's labels say of it; and the outcome in words.
pub async fn containers(client: &PathBuf, around: &Around<'_>) -> (Vec<(Container, Found)>, String) {
    let words = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let ids = match run(client, &words(&["ps", "-q", "--no-trunc"]), around).await {
        Ok(ids) => ids,
        Err(why) => return (Vec::new(), why),
    };
    let ids: Vec<&str> =
        ids.split_whitespace().filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit())).take(MOST).collect();
    if ids.is_empty() {
        return (Vec::new(), "answers; no container runs".to_owned());
    }
    let mut arguments = words(&["inspect", "--type", "container"]);
    arguments.extend(words(&ids));
    match run(client, &arguments, around).await {
        Ok(text) => {
            let found = read(&text);
            (found.clone(), format!("answers; {} of {} containers are servers", found.len(), ids.len()))
        }
        Err(why) => (Vec::new(), why),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Inspected {
    name: String,
    config: Config,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    image: String,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    cmd: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    network_mode: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    host_ip: String,
    host_port: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress")]
    address: String,
}

/// The servers among the containers of `docker inspect`.
#[must_use]
pub fn read(text: &str) -> Vec<(Container, Found)> {
    let all: Vec<Inspected> = serde_json::from_str(text).unwrap_or_default();
    all.into_iter().filter_map(server).collect()
}

fn server(inspected: Inspected) -> Option<(Container, Found)> {
    let Inspected { name, config, host_config, network_settings } = inspected;
    let name = name.trim_start_matches('/').to_owned();
    let env: BTreeMap<String, Zeroizing<String>> = config
        .env
        .unwrap_or_default()
        .into_iter()
        .filter_map(|e| e.split_once('=').map(|(n, v)| (n.to_owned(), Zeroizing::new(v.to_owned()))))
        .collect();
    let labels = config.labels.unwrap_or_default();
    let (product, flavour, sure) = match image::recognised(&config.image) {
        Some(image) => (image.product, image.flavour, image.sure),
        // Every image made from the official one keeps these.
        None if env.contains_key("PGDATA") && env.contains_key("PG_MAJOR") => {
            (format!("PostgreSQL {}", env.get("PG_MAJOR")?.as_str()), Flavour::Postgres, super::Sure::Certain)
        }
        None => return None,
    };
    let get = |names: &[&'static str]| {
        names.iter().find_map(|n| env.get(*n).filter(|v| !v.is_empty()).map(|v| (*n, v.to_string())))
    };
    let command = config.cmd.unwrap_or_default().join(" ");
    let flags = command.split_whitespace();
    let by_flag = flags.clone().zip(flags.skip(1)).find_map(|(a, b)| match a {
        "-p" | "--port" => b.parse().ok(),
        "-c" => b.strip_prefix("port=")?.parse().ok(),
        _ => None,
    });
    let default = if flavour == Flavour::Pooler { 6432 } else { 5432 };
    let said = get(&["PGPORT", "POSTGRESQL_PORT_NUMBER", "LISTEN_PORT"]).and_then(|(_, v)| v.parse().ok());
    let inner: u16 = by_flag.or(said).unwrap_or(default);
    let place = place(&host_config, &network_settings, inner);
    let mut found = Found::new(Source::Container, place, sure);
    found.origins.push(format!("container {name}"));
    found.product = product;
    found.image = Some(config.image).filter(|i| !i.is_empty());
    if flavour != Flavour::Pooler {
        let user = get(&["POSTGRES_USER", "POSTGRESQL_USERNAME"]).map_or_else(|| "postgres".to_owned(), |(_, v)| v);
        let database = get(&["POSTGRES_DB", "POSTGRESQL_DATABASE"]).map(|(_, v)| v);
        found.database = database.or_else(|| Some(user.clone()));
        found.user = Some(user);
        if let Some((variable, value)) = get(&["POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD"]) {
            found.secret = Secret::Container { variable: variable.to_owned(), container: name.clone() };
            found.password = Some(SecretString::from(value));
        } else if get(&["POSTGRES_HOST_AUTH_METHOD"]).is_some_and(|(_, v)| v == "trust") {
            found.secret = Secret::None("the server trusts everybody who reaches it".to_owned());
        }
    }
    let label = |key: &str| labels.get(&format!("com.docker.compose.{key}")).cloned().filter(|v| !v.is_empty());
    let container = Container {
        name,
        project: label("project"),
        service: label("service"),
        dir: label("project.working_dir").map(PathBuf::from),
    };
    found.project = container.project.clone().zip(container.service.clone());
    Some((container, found))
}

fn place(host: &HostConfig, network: &NetworkSettings, inner: u16) -> Place {
    if host.network_mode == "host" {
        return Place::Tcp { host: "localhost".to_owned(), port: inner };
    }
    let bindings = network.ports.as_ref().and_then(|p| p.get(&format!("{inner}/tcp"))).and_then(Option::as_ref);
    let bound = bindings.into_iter().flatten().find_map(|b| Some((b.host_ip.as_str(), b.host_port.parse().ok()?)));
    if let Some((ip, port)) = bound {
        let here = matches!(ip, "" | "0.0.0.0" | "::" | "127.0.0.1");
        return Place::Tcp { host: if here { "localhost".to_owned() } else { ip.to_owned() }, port };
    }
    let networks = network.networks.iter().flat_map(BTreeMap::values).flatten();
    // Linux routes to containers by their own address; elsewhere they live in a virtual machine.
    match networks.map(|n| n.address.as_str()).find(|a| a.parse::<std::net::IpAddr>().is_ok()) {
        Some(address) if cfg!(target_os = "linux") => Place::Tcp { host: address.to_owned(), port: inner },
        _ => Place::Inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Sure;
    use secrecy::ExposeSecret as _;

    const TWO: &str = r#"[
      {"Name": "/shop-db-1", "Config": {"Image": "postgres:15-alpine", "Cmd": ["postgres"],
        "Env": ["POSTGRES_USER=ann", "POSTGRES_PASSWORD=CANARY", "POSTGRES_DB=shop", "PG_MAJOR=15", "PGDATA=/x"],
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "db",
                   "com.docker.compose.project.working_dir": "/srv/shop"}},
       "HostConfig": {"NetworkMode": "shop_default"},
       "NetworkSettings": {"Ports": {"5432/tcp": [{"HostIp": "0.0.0.0", "HostPort": "49153"}]},
                           "Networks": {"shop_default": {"IPAddress": "172.18.0.2"}}}},
      {"Name": "/own", "Config": {"Image": "acme/db:1", "Cmd": ["postgres", "-p", "5440"], "Env": ["PG_MAJOR=16", "PGDATA=/x"], "Labels": null},
       "HostConfig": {"NetworkMode": "host"}, "NetworkSettings": {"Ports": {}, "Networks": null}},
      {"Name": "/hidden", "Config": {"Image": "bitnami/postgresql:15", "Env": ["POSTGRESQL_USERNAME=bob"], "Labels": {}},
       "HostConfig": {"NetworkMode": "x"},
       "NetworkSettings": {"Ports": {"5432/tcp": null}, "Networks": {"x": {"IPAddress": "172.19.0.3"}}}},
      {"Name": "/web", "Config": {"Image": "nginx", "Env": ["POSTGRES_PASSWORD=x"]}}
    ]"#;

    #[test]
    fn containers_say_who_and_where_they_are() {
        let found = read(TWO);
        assert_eq!(found.len(), 3);
        let (container, db) = &found[0];
        assert_eq!((container.project.as_deref(), container.service.as_deref()), (Some("shop"), Some("db")));
        assert_eq!(db.conninfo().unwrap(), "postgresql://ann@localhost:49153/shop");
        assert_eq!(db.password.as_ref().unwrap().expose_secret(), "CANARY");
        assert!(!format!("{db:?}").contains("CANARY"));
        assert_eq!((found[1].1.product.as_str(), found[1].1.sure), ("PostgreSQL 16", Sure::Certain));
        assert_eq!(found[1].1.place, Place::Tcp { host: "localhost".into(), port: 5440 });
        if cfg!(target_os = "linux") {
            assert_eq!(found[2].1.place, Place::Tcp { host: "172.19.0.3".into(), port: 5432 });
        }
        assert_eq!(found[2].1.user.as_deref(), Some("bob"));
        assert!(read("{").is_empty() && read("[{}]").is_empty());
    }

    #[test]
    fn only_a_client_of_this_machine_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("docker"), "").unwrap();
        let env = |path: String, host: &str| Env {
            vars: [("PATH".to_owned(), path), ("DOCKER_HOST".to_owned(), host.to_owned())].into(),
            ..Env::default()
        };
        let path = dir.path().display().to_string();
        assert!(client(&env(path.clone(), "")).is_some());
        assert!(client(&env(path.clone(), "unix:///x")).is_some());
        assert!(client(&env(path, "ssh://elsewhere")).is_none());
        assert!(client(&env(".:bin".into(), "")).is_none(), "a relative directory may be anybody's");
    }
}

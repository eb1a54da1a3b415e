//! Discovery: Compose projects of real shapes, hostile ones, sockets and ports of a real server, Docker where it answers.

mod cases;
mod docker;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pgmoat::{
    config::Env,
    demo::cluster::Cluster,
    discover::{self, Around, Discovery, Found, Reach, Source, files::Disk},
};
use serde_json::Value;

use crate::{
    cli::{Moat, Ran},
    support::cluster,
};

/// An environment of a test: nothing but what it is given.
pub fn env(vars: &[(&str, &str)], sockets: &[PathBuf]) -> Env {
    Env {
        vars: vars.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        os_user: Some("me".into()),
        socket_dirs: sockets.to_vec(),
        ..Env::default()
    }
}

async fn around(env: &Env, dir: &Path, ports: Vec<u16>) -> Discovery {
    let around = Around { docker: None, ports, patience: Duration::from_secs(5), ..Around::here(env, &Disk) };
    discover::discover(dir, &[], &around).await
}

/// A server of this machine on a free port and a socket.
fn server() -> Option<(Cluster, PathBuf, u16)> {
    let shared = cluster::server(cluster::newest())?;
    let options = pgmoat::demo::cluster::ClusterOptions { server: Some(shared), ..cluster::options() };
    let cluster = Cluster::start(options).unwrap();
    let (dir, port) = (cluster.socket_dir(), cluster.port());
    Some((cluster, dir, port))
}

#[tokio::test]
async fn a_real_server_is_found_by_socket_port_project_environment_and_service() {
    let Some((_cluster, socket, port)) = server() else { return };
    let dir = tempfile::tempdir().unwrap();
    // By its socket and its port, without anybody naming it.
    let bare = env(&[], std::slice::from_ref(&socket));
    let all = around(&bare, dir.path(), vec![port, 1]).await;
    let sources: Vec<Source> = all.found.iter().map(|f| f.source).collect();
    assert_eq!(sources, [Source::Socket, Source::Port], "{all:?}");
    assert!(all.found.iter().all(Found::answers), "{all:?}");
    let conninfo = all.found[0].conninfo().unwrap();
    assert_eq!(conninfo, format!("postgresql:///?host={}&port={port}", socket.display()));
    assert!(all.found[1].notes[0].contains("same server"), "{all:?}");
    // By a Compose file that publishes the port; the port is not told twice.
    let text = format!("services:\n  db:\n    image: postgres:16\n    ports: ['{port}:5432']\n");
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let all = around(&env(&[], &[]), dir.path(), vec![port]).await;
    assert_eq!(all.found.len(), 1, "{all:?}");
    assert_eq!((all.found[0].source, all.found[0].answers()), (Source::Compose, true));
    // By the environment and by a service file.
    let services = dir.path().join("services.conf");
    std::fs::write(&services, format!("[shop]\nhost=127.0.0.1\nport={port}\ndbname=shop\nuser=ann\n")).unwrap();
    let port = port.to_string();
    let file = services.display().to_string();
    let own = [("PGHOST", socket.to_str().unwrap()), ("PGPORT", port.as_str()), ("PGSERVICEFILE", file.as_str())];
    let elsewhere = tempfile::tempdir().unwrap();
    let all = around(&env(&own, &[]), elsewhere.path(), vec![]).await;
    let named: Vec<(Source, bool)> = all.found.iter().map(|f| (f.source, f.answers())).collect();
    assert!(named.contains(&(Source::Environment, true)) && named.contains(&(Source::ServiceFile, true)), "{all:?}");
    let service = all.found.iter().find(|f| f.source == Source::ServiceFile).unwrap();
    assert_eq!(service.conninfo().unwrap(), "service=shop");
}

#[tokio::test]
async fn other_machines_are_not_called_because_a_file_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let text = "services:\n  w:\n    image: w\n    environment: {DATABASE_URL: 'postgres://u:CANARY@192.0.2.1/x'}\n  d:\n    image: postgres\n    ports: ['198.51.100.1:1:5432']\n";
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let all = around(&env(&[], &[]), dir.path(), vec![]).await;
    assert_eq!(all.found.len(), 2);
    assert!(all.found.iter().all(|f| matches!(f.reach, Reach::NotTried(_))), "{all:?}");
}

fn run(args: &[&str]) -> Ran {
    Moat::new().run(args)
}

#[test]
fn the_command_prints_what_was_found_and_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "services:\n  db:\n    image: postgres:15\n    environment:\n      POSTGRES_USER: shop\n      POSTGRES_PASSWORD: CANARY\n    ports: ['{free}:5432']\n  web:\n    image: web\n    environment:\n      DATABASE_URL: postgresql://web_app:CANARY@db/shop?options=-csearch_path=web\n"
    );
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let path = dir.path().to_str().unwrap();
    let ran = run(&["discover", path]).exits(0);
    for words in [
        "PostgreSQL 15, nothing listens there now",
        &format!("postgresql://shop@localhost:{free}/shop"),
        "POSTGRES_PASSWORD in compose.yaml:6",
        "web: role web_app, database shop, schema web (DATABASE_URL in compose.yaml:11)",
    ] {
        assert!(ran.out.contains(words), "no {words:?} in {}", ran.out);
    }
    assert!(!format!("{}{}", ran.out, ran.err).contains("CANARY"));
    let ran = run(&["discover", path, "--format", "json"]).exits(0);
    let json: Value = ran.json();
    assert!(!ran.out.contains("CANARY"));
    let own = json["databases"].as_array().unwrap().iter().find(|d| d["source"] == "compose").unwrap();
    assert_eq!(own["reach"], "closed");
    assert_eq!(own["services"][0]["schemas"], serde_json::json!(["web"]));
    assert_eq!(own["command"], format!("pgmoat -W 'postgresql://shop@localhost:{free}/shop'"));
    // The file itself in place of its directory, and what is not there.
    let file = dir.path().join("compose.yaml");
    assert!(run(&["discover", file.to_str().unwrap()]).exits(0).out.contains("web_app"));
    run(&["discover", "/does/not/exist"]).exits(2).says(&["does not exist"]);
    run(&["discover", "-h", "x"]).exits(2);
}

#[test]
fn an_empty_place_says_where_it_looked() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&["discover", dir.path().to_str().unwrap()]).exits(0);
    assert!(
        ran.out.contains("Compose files") && ran.out.contains("local ports") && ran.out.contains("Next: "),
        "{}",
        ran.out
    );
}

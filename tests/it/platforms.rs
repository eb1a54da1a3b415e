//! Servers that look like those of managed services: named, and their own roles kept out of findings. On a server of
//! one's own a role with such a name is judged like any other.

use pgmoat::{
    config::{Conninfo, env::Env},
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    domain::{
        platform::{PLATFORMS, Platform},
        snapshot::Snapshot,
    },
    server::{Reader, Want},
};
use serde_json::Value;
use tokio_postgres::Client;

use crate::{
    read::runtime,
    support::cluster::{self, connect},
};

/// A server whose configuration has a setting of every platform; without their superusers that says nothing.
fn hosted() -> Cluster {
    let settings = PLATFORMS.iter().filter(|f| f.platform != Platform::Aurora);
    let settings = settings.filter_map(|f| f.settings.first()).map(|name| ((*name).to_owned(), "'on'".to_owned()));
    let server = cluster::server(cluster::newest());
    Cluster::start(ClusterOptions { server, settings: settings.collect(), ..cluster::options() }).unwrap()
}

async fn look(conninfo: &str) -> Snapshot {
    let mut reader = Reader::open(&Conninfo::parse(conninfo, &Env::default()).unwrap(), "it").await.unwrap();
    reader.snapshot(&Want::default()).await.unwrap()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

#[test]
fn each_is_told_by_its_superuser_and_one_more_sign() {
    runtime().block_on(async {
        let own = hosted();
        let url = own.url(SUPERUSER, "postgres");
        let admin = connect(&own, SUPERUSER, "postgres").await;
        assert_eq!(look(&url).await.server.platform, None, "settings alone are anybody's");
        for facts in PLATFORMS.iter().filter(|f| !f.keepers.is_empty()) {
            let keeper = facts.keepers[0];
            if facts.platform == Platform::Aurora {
                run(&admin, "alter database postgres set apg_plan_mgmt.max_plans = 1").await;
            }
            // not a superuser: a name, no more
            run(&admin, &format!("create role {keeper} login")).await;
            let plain = look(&url).await;
            assert_eq!(plain.server.platform, None, "{}", facts.name);
            assert!(plain.catalog.roles.iter().all(|r| !r.platform));
            run(&admin, &format!("alter role {keeper} superuser")).await;
            let found = look(&url).await;
            assert_eq!(found.server.platform, Some(facts.platform));
            let marked: Vec<&str> = found.catalog.roles.iter().filter(|r| r.platform).map(|r| &*r.name).collect();
            assert_eq!(marked, [keeper]);
            run(&admin, &format!("alter role {keeper} nosuperuser")).await;
            assert_eq!(look(&url).await.server.platform, None, "it is looked at anew");
            run(&admin, &format!("drop role {keeper}; alter database postgres reset all")).await;
        }

        // Railway leaves nothing in its servers: it is known by its hosts.
        let place = format!(
            "hostaddr=127.0.0.1 port={} user={SUPERUSER} password={} dbname=postgres",
            own.port(),
            own.password()
        );
        assert_eq!(look(&format!("host=x.proxy.rlwy.net {place}")).await.server.platform, Some(Platform::Railway));
        assert_eq!(look(&format!("host=x.rds.amazonaws.com {place}")).await.server.platform, None);
    });
}

#[test]
fn nobody_is_accused_of_a_platforms_roles_and_people_are_not_hidden_behind_such_names() {
    let runtime = runtime();
    let own =
        Cluster::start(ClusterOptions { server: cluster::server(cluster::newest()), ..cluster::options() }).unwrap();
    let admin = runtime.block_on(async {
        let admin = connect(&own, SUPERUSER, "postgres").await;
        run(
            &admin,
            "create role app login; create schema app authorization app; create table app.t (); \
             alter table app.t owner to app; \
             create role rdsadmin superuser login; create role rds_superuser createrole createdb; \
             create role rds_iam; create role rds_reports login; \
             grant usage on schema app to rds_superuser, rds_iam, rds_reports; \
             grant select on app.t to rds_superuser, rds_iam, rds_reports",
        )
        .await;
        admin
    });
    let home = tempfile::tempdir().unwrap();
    let policy = home.path().join("it.policy.toml");
    std::fs::write(
        &policy,
        "name = \"it\"\nundeclared = \"report\"\n[[service]]\nname = \"app\"\nschema = \"app\"\nrole = \"app\"\n\
         version_table = false\n",
    )
    .unwrap();
    let url = own.url(SUPERUSER, "postgres");
    let pgmoat = |args: &[&str]| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pgmoat"));
        let output = command.env_clear().env("HOME", home.path()).args(args).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // whom a finding speaks of, and the platform
    let accused = || {
        let (out, err) = pgmoat(&["check", &url, "--policy", policy.to_str().unwrap(), "--format", "json"]);
        let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        let findings = json["findings"].as_array().unwrap();
        let mut roles: Vec<String> = findings
            .iter()
            .filter_map(|f| f["role"].as_str())
            .filter(|r| r.starts_with("rds"))
            .map(Into::into)
            .collect();
        roles.sort();
        roles.dedup();
        (roles, json["summary"]["instances"][0]["platform"].clone())
    };
    let (roles, platform) = accused();
    assert_eq!(platform, "rds");
    assert_eq!(roles, ["rds_reports"], "a role of the people's, whatever it is called");
    let (text, _) = pgmoat(&["check", &url, "--policy", policy.to_str().unwrap()]);
    assert!(text.contains(" on Amazon RDS"), "{text}");
    let (text, _) = pgmoat(&["info", &url]);
    assert!(text.contains("Amazon RDS") && text.contains("rds_iam"), "{text}");

    // The same roles where the superuser of that name is none: an ordinary server, and everybody is judged.
    runtime.block_on(run(&admin, "alter role rdsadmin nosuperuser; grant usage on schema app to rdsadmin"));
    let (roles, platform) = accused();
    assert_eq!(platform, Value::Null);
    assert_eq!(roles, ["rds_iam", "rds_reports", "rds_superuser", "rdsadmin"]);
}

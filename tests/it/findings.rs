//! The demo's fleet under the checks: as declared nothing is accused, broken almost every code is shown.

use std::{collections::BTreeSet, sync::Arc};

use pgmoat::{
    config::revisions,
    demo::{
        Demo, DemoOptions,
        cluster::SUPERUSER,
        fleet::{INSTANCES, State},
    },
    policy::{self, Finding, Severity, checks::CHECKS, judgement::Judgement},
    server::{Reader, Want},
};

use crate::support::cluster;

/// Codes that the demo cannot show: everything is on one machine.
const NOT_SHOWN: &[&str] = &["plain-connection"];

fn findings(state: State, major: u32) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let options =
            DemoOptions { major: Some(major), state, guard: Some(cluster::guard()), ..DemoOptions::default() };
        let demo = Demo::start(options, &mut |_| ()).await.unwrap();
        let whole = policy::file::load(demo.policy_path()).unwrap();
        let mut all = Vec::new();
        for instance in INSTANCES {
            let policy = whole.for_instance(instance.name, instance.name == "engarde");
            let folders = policy.services.iter().filter_map(|s| Some((s.name.as_str(), s.revisions.as_deref()?)));
            let lineages = Arc::new(revisions::lineages(folders));
            let target = cluster::conninfo(demo.cluster(instance.name).unwrap(), SUPERUSER, instance.database);
            let mut reader = Reader::open(&target, instance.name).await.unwrap();
            let snapshot = reader.snapshot(&Want::everything(vec!["tenant_id".into()])).await.unwrap();
            assert!(snapshot.unavailable.is_empty(), "{:?}", snapshot.unavailable);
            let judgement = Judgement::new(Arc::new(snapshot), Some(Arc::new(policy)), lineages, None);
            assert!(judgement.checking.is_empty(), "{:?}", judgement.checking);
            all.extend(judgement.findings.iter().cloned());
        }
        all
    })
}

#[test]
fn the_fleet_as_declared_is_accused_of_nothing() {
    for major in cluster::majors() {
        let accused: Vec<String> = findings(State::AsDeclared, major)
            .into_iter()
            .filter(|finding| finding.severity > Severity::Info)
            .map(|finding| format!("{} {}: {}", finding.instance, finding.id, finding.message))
            .collect();
        assert!(accused.is_empty(), "{major}:\n{}", accused.join("\n"));
    }
}

#[test]
fn the_broken_fleet_shows_every_code_it_can() {
    let codes = CHECKS.iter().flat_map(|check| check.codes).map(|code| code.code);
    let expected: BTreeSet<&str> = codes.filter(|code| !NOT_SHOWN.contains(code)).collect();
    for major in cluster::majors() {
        let found = findings(State::Broken, major);
        if std::env::var_os("PGMOAT_TEST_LIST").is_some() {
            for f in &found {
                println!("{major} {} {} {} | {} | {}", f.instance, f.severity, f.id, f.message, f.observed);
            }
        }
        let shown: BTreeSet<&str> = found.iter().map(|finding| finding.code).collect();
        let missing: Vec<&&str> = expected.difference(&shown).collect();
        assert!(missing.is_empty(), "{major} does not show {missing:?}");
    }
}

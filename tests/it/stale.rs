//! Plans for a state that is no more: another kind of relation under the name, a server that went another way, a policy
//! that was changed. What else can move is in `apply`.

use pgmoat::{
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    domain::{
        ObjectKind,
        change::{Change, Grantee, ObjectRef, On},
        snapshot::Kind,
    },
    server::apply::{ApplyOptions, Outcome, Reason},
};

use crate::{
    apply::{case_on, plan, run, select},
    cli::Moat,
    read::runtime,
    support::cluster::{self, connect, conninfo, standby_of},
};

fn grant(schema: &str, name: &str, role: &str) -> Change {
    let on = On::Objects { kind: ObjectKind::Table, schema: schema.into(), names: vec![name.into()] };
    Change::Grant { privileges: select(), on, to: Grantee::Role(role.into()) }
}

#[test]
fn another_kind_of_relation_under_the_same_name_is_another_thing() {
    runtime().block_on(async {
        let (mut refused, mut kinds) = (0, 0);
        for major in [*cluster::majors().iter().min().unwrap(), cluster::newest()] {
            let role = format!("stale_kind_{major}");
            let sql = format!(
                "create role {role}; create schema s; create schema o; create table s.t (id int); create table s.u (id int);
                 create sequence s.w"
            );
            let case = case_on(major, "stale_kind", &sql).await;
            let object = |name: &str| ObjectRef { kind: Kind::Table, schema: "s".into(), name: name.into() };
            let plans = [
                ("t", plan(&case.target, vec![grant("s", "t", &role)]).await),
                ("u", plan(&case.target, vec![Change::SetSchema { object: object("u"), to: "o".into() }]).await),
            ];
            let mut moves = vec![
                "drop table s.@; create view s.@ as select 1 as id",
                "drop view s.@; create materialized view s.@ as select 1 as id",
                "drop materialized view s.@; create table s.@ (id int) partition by list (id)",
                "drop table s.@; create sequence s.@",
            ];
            if major < 16 {
                // Until 16 a rule made a view of a table, with the same oid.
                moves.insert(0, "create rule \"_RETURN\" as on select to s.@ do instead select 1 as id");
                moves[1] = "drop view s.@; create view s.@ as select 1 as id";
            }
            for (name, plan) in &plans {
                for there in &moves {
                    case.client.batch_execute(&there.replace('@', name)).await.unwrap();
                    let outcome = run(&case.target, plan, &ApplyOptions::default()).await;
                    let Outcome::NothingChanged(reason @ Reason::Stale(_)) = &outcome else {
                        panic!("{major}: {there}: {outcome:?}")
                    };
                    let said = reason.details().join("; ");
                    assert!(said.contains(&format!("s.{name}")), "{major}: {there}: {said}");
                    refused += 1;
                }
            }
            kinds += moves.len();
        }
        println!("relkind: {refused} of {} refused", kinds * 2);
    });
}

/// A backup that was restored, or a standby that was promoted: everything looks the same, and what the plan was made for
/// went on elsewhere.
#[test]
fn a_plan_does_not_follow_a_server_onto_another_timeline() {
    let server = cluster::server(cluster::newest());
    let mut primary = Cluster::start(ClusterOptions { server, ..cluster::options() }).unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let admin = connect(&primary, SUPERUSER, "postgres").await;
        let sql =
            "create role stale_line; create schema s; create table s.t (id int); grant usage on schema s to stale_line";
        admin.batch_execute(sql).await.unwrap();
    });
    let moat = Moat::new();
    let policy = moat.file(
        "stale.policy.toml",
        "name = \"stale\"\nundeclared = \"ignore\"\n[[schema]]\nname = \"s\"\nowner = \"postgres\"\n[[role]]\nname = \"stale_line\"\naccess = {}\nlogin = false\n",
    );
    let file = moat.home.path().join("plan.json").to_str().unwrap().to_owned();
    let url = primary.url(SUPERUSER, "postgres");
    moat.run(&["plan", &url, "--policy", &policy, "-o", &file]).exits(1);
    let target = conninfo(&primary, SUPERUSER, "postgres");
    let made = runtime.block_on(plan(&target, vec![grant("s", "t", "stale_line")]));
    assert_eq!(made.target.timeline.as_deref(), Some("00000001"));
    let standby = standby_of(&mut primary);
    runtime.block_on(async {
        let on_standby = connect(&standby, SUPERUSER, "postgres").await;
        let row = on_standby.query_one("select pg_promote(true, 60)", &[]).await.unwrap();
        assert!(row.get::<_, bool>(0));
        let promoted = conninfo(&standby, SUPERUSER, "postgres");
        let outcome = run(&promoted, &made, &ApplyOptions::default()).await;
        let Outcome::NothingChanged(Reason::Refused(why)) = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains("made on timeline 1, and this server is on 2"), "{why}");
        let sql = "select has_table_privilege('stale_line', 's.t', 'select')";
        assert!(!on_standby.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
    });
    let there = standby.url(SUPERUSER, "postgres");
    moat.run(&["apply", &there, "--policy", &policy, "--plan", &file, "--yes"])
        .exits(4)
        .says(&["made on timeline 1, and this server is on 2", "Make a new plan"]);
    // Where it was made it is good, and a new one is good there.
    moat.run(&["apply", &url, "--policy", &policy, "--plan", &file, "--yes"]).exits(0);
    moat.run(&["apply", &there, "--policy", &policy, "--yes"]).exits(0);
}

#[test]
fn a_plan_is_refused_when_its_policy_has_changed() {
    let runtime = runtime();
    let case = runtime.block_on(case_on(
        cluster::newest(),
        "stale_policy",
        "create role stale_policy_a; create schema s; create table s.t (id int);
         grant usage on schema s to stale_policy_a",
    ));
    let url = case.cluster.cluster().url(SUPERUSER, &case.database);
    let moat = Moat::new();
    let text = |access: &str| {
        format!(
            "name = \"p\"\nundeclared = \"ignore\"\n[[schema]]\nname = \"s\"\nowner = \"postgres\"\n\
             [[role]]\nname = \"stale_policy_a\"\naccess = {{{access}}}\nlogin = false\n"
        )
    };
    let policy = moat.file("p.policy.toml", &text(""));
    let file = moat.home.path().join("plan.json").to_str().unwrap().to_owned();
    moat.run(&["plan", &url, "--policy", &policy, "-o", &file]).exits(1);
    let plan = std::fs::read_to_string(&file).unwrap();
    assert!(plan.contains("\"sha256\""), "{plan}");
    let has = || {
        let sql = "select has_schema_privilege('stale_policy_a', 's', 'usage')";
        runtime.block_on(async { case.client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) })
    };
    let apply = ["apply", &url, "--policy", &policy, "--plan", &file, "--yes"];
    moat.file("p.policy.toml", &text("s = [\"read\"]"));
    moat.run(&apply).exits(4).says(&["p.policy.toml has changed since it was made", "Make a new plan"]);
    // Found again where nobody names it.
    moat.run(&["apply", &url, "--plan", &file, "--yes"]).exits(4).says(&["has changed since it was made"]);
    assert!(has());
    std::fs::remove_file(&policy).unwrap();
    moat.file("p.policy.toml", &text(""));
    // A plan that was written by a release that did not say which policy it came from.
    let mut value: serde_json::Value = serde_json::from_str(&plan).unwrap();
    value.as_object_mut().unwrap().remove("policy").unwrap();
    value["target"].as_object_mut().unwrap().remove("timeline").unwrap();
    let old = moat.file("old.json", &value.to_string());
    moat.run(&["apply", &url, "--policy", &policy, "--plan", &old, "--rehearse"]).exits(0);
    moat.run(&apply).exits(0);
    assert!(!has());
}

/// A policy that declares nothing and revokes what it does not declare.
#[test]
fn what_takes_from_everybody_is_said_before_anything_else() {
    let runtime = runtime();
    let case = runtime.block_on(case_on(
        cluster::newest(),
        "stale_empty",
        "create role stale_empty_a; create role stale_empty_b; create role stale_empty_c; create schema s;
         create table s.t (id int); grant usage on schema s to stale_empty_a, stale_empty_b, stale_empty_c; grant select on s.t to stale_empty_a",
    ));
    let url = case.cluster.cluster().url(SUPERUSER, &case.database);
    let moat = Moat::new();
    let policy = moat.file("empty.policy.toml", "name = \"empty\"\nundeclared = \"revoke\"\n");
    let words = "This takes everything from everybody";
    let ran = moat.run(&["plan", &url, "--policy", &policy]).exits(1);
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words) && flat.contains("stale_empty_a"), "{}", ran.out);
    let file = moat.home.path().join("plan.json").to_str().unwrap().to_owned();
    moat.run(&["plan", &url, "--policy", &policy, "-o", &file]).exits(1);
    // A file that says less is not believed.
    let mut value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("notes").unwrap();
    let less = moat.file("less.json", &value.to_string());
    for args in [&["--policy", &policy][..], &["--policy", &policy, "--plan", &less]] {
        let ran = moat.run(&[&["apply", &url, "--rehearse"][..], args].concat()).exits(0);
        let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{}", ran.out);
    }
    // Without a terminal nobody is asked, and nothing is done.
    moat.run(&["apply", &url, "--policy", &policy]).exits(4);
    let ran = moat.run(&["check", &url, "--policy", &policy]);
    assert!(ran.out.contains("undeclared-access"), "{}", ran.out);
}

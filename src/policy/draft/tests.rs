//! Drafts on made-up databases: what is proposed, what is wrong, which policy comes out.

use super::*;
use crate::{
    domain::snapshot::Snapshot,
    policy::{Policy, checks::fixture::Fixture, file},
};

fn of(fixture: Fixture) -> Snapshot {
    fixture.case().snapshot
}

/// The policy that a draft makes, through its text.
fn policy(draft: &Draft, snapshot: &Snapshot) -> Policy {
    let text = draft.policy_text(snapshot);
    let read = file::parse(&text, "shop.policy.toml".as_ref()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(Policy { base: read.base.clone(), ..draft.policy(snapshot) }, read, "{text}");
    read
}

fn two() -> Snapshot {
    let f = Fixture::new().role("app").role("bill_user").role("analyst");
    let f =
        f.schema("orders", "app").table("orders", "a", "app").table("orders", "b", "app").table("orders", "c", "app");
    let f = f.schema("billing", "bill_user").table("billing", "x", "bill_user");
    let f = f.grant_schema("orders", "bill_user", "USAGE").grant_schema("orders", "analyst", "USAGE");
    let f = f.grant("orders.a", "bill_user", "SELECT").grant("orders.b", "bill_user", "SELECT");
    of(f.grant("orders.c", "analyst", "SELECT"))
}

#[test]
fn what_is_there_is_proposed_as_it_is() {
    let snapshot = two();
    let draft = Draft::propose(&snapshot, &[]);
    let services: Vec<(&str, &str, &str)> =
        draft.chosen().map(|s| (s.name.as_str(), s.schema.as_str(), s.role.as_str())).collect();
    assert_eq!(services, [("billing", "billing", "bill_user"), ("orders", "orders", "app")]);
    assert!(draft.services.iter().all(|s| s.schema_exists && s.role_exists && !s.gets_password()));
    assert_eq!(draft.levels("billing", "orders"), [Level::Read], "two tables of three");
    assert_eq!(draft.levels("orders", "billing"), []);
    let analyst = draft.roles.iter().find(|r| r.rule.name == "analyst").unwrap();
    assert_eq!(analyst.rule.access.get("orders").map(Vec::as_slice), Some([Level::Usage].as_slice()), "one of three");
    assert_eq!(draft.problems(&snapshot), []);
    assert!(draft.passwords(&snapshot).is_empty());
    policy(&draft, &snapshot);
}

#[test]
fn what_a_service_owns_itself_and_a_version_table_say_nothing_of_its_neighbours_tables() {
    let f = Fixture::new().role("app").role("bill_user").schema("orders", "app").schema("billing", "bill_user");
    let f = f
        .grant_schema("public", "app", "USAGE, CREATE")
        .table("public", "orders", "app")
        .table("public", "items", "app");
    let f = f.table("public", "bills", "bill_user").version_table(
        "public",
        "alembic_version",
        "postgres",
        Some(&["aa", "bb"]),
    );
    let mut f = f.grant("public.alembic_version", "app", "SELECT, INSERT, UPDATE, DELETE");
    f.versions[0].acl = f.objects.iter().find(|(_, o)| o.name == "alembic_version").unwrap().1.acl.clone();
    let levels = |f: Fixture| Draft::propose(&of(f), &[]).levels("orders", "public");
    assert_eq!(levels(f.clone()), [Level::Usage], "three of four by its own entries, none of them a neighbour's");
    assert_eq!(levels(f.grant("public.bills", "app", "SELECT")), [Level::Read]);
}

#[test]
fn who_writes_a_version_table_beside_its_tables_has_migrations() {
    let f = Fixture::new().role("app").role("bill_user").schema("billing", "bill_user");
    let f = f.table("public", "orders", "app").table("public", "bills", "bill_user");
    let f = f.version_table("public", "alembic_version", "app", Some(&["aa", "bb"]));
    let migrates = |f: Fixture| {
        let draft = Draft::propose(&of(f), &[]);
        draft.services.iter().find(|s| s.schema == "billing").unwrap().version_table
    };
    assert!(!migrates(f.clone()), "it may not write it");
    let mut f = f.grant("public.alembic_version", "bill_user", "SELECT, INSERT, UPDATE, DELETE");
    f.versions[0].acl = f.objects.iter().find(|(_, o)| o.name == "alembic_version").unwrap().1.acl.clone();
    assert!(migrates(f));
}

#[test]
fn a_schema_with_a_slash_in_its_name_is_granted_access_to() {
    let f = Fixture::new().role("app").role("analyst").schema("a/b", "app").table("a/b", "t", "app");
    let f = f.grant_schema("a/b", "analyst", "USAGE").grant("a/b.t", "analyst", "SELECT");
    let snapshot = of(f);
    let mut draft = Draft::propose(&snapshot, &[]);
    draft.wish(&snapshot, "web", None, None);
    draft.set("web", "a/b", &[Level::Read]);
    let made = policy(&draft, &snapshot);
    assert!(made.elsewhere().is_empty(), "no instance is called a: {:?}", made.elsewhere());
    let here = made.for_instance(&snapshot.instance, true);
    let web = here.services.iter().find(|s| s.name == "web").unwrap();
    assert_eq!(web.access.get("a/b").map(Vec::as_slice), Some([Level::Read].as_slice()));
    let analyst = here.roles.iter().find(|r| r.name == "analyst").unwrap();
    assert_eq!(analyst.access.get("a/b").map(Vec::as_slice), Some([Level::Read].as_slice()));
}

#[test]
fn an_empty_database_proposes_nothing_and_takes_a_template() {
    let snapshot = of(Fixture::new());
    let mut draft = Draft::propose(&snapshot, &[]);
    assert_eq!(draft.chosen().count(), 0);
    assert!(draft.problems(&snapshot).iter().any(|p| p.answer == Answer::Services));
    draft.wish(&snapshot, "Web API", None, None);
    draft.wish(&snapshot, "billing", Some("accounts"), None);
    draft.set("billing", "web_api", &[Level::Read]);
    draft.reporting = Some("reporting".into());
    draft.audit = true;
    assert_eq!(draft.problems(&snapshot), []);
    let made = policy(&draft, &snapshot);
    let services: Vec<(&str, &str)> = made.services.iter().map(|s| (s.schemas[0].as_str(), s.role.as_str())).collect();
    assert_eq!(services, [("web_api", "web_api_app"), ("accounts", "accounts_app")]);
    assert_eq!(made.services[1].access["web_api"], [Level::Read]);
    assert!(made.services.iter().all(|s| s.access["audit"] == [Level::Append]));
    let reporting = made.roles.iter().find(|r| r.name == "reporting").unwrap();
    assert_eq!(reporting.access.keys().collect::<Vec<_>>(), ["accounts", "audit", "web_api"]);
    assert_eq!(draft.passwords(&snapshot), ["web_api_app", "accounts_app", "reporting"]);
    assert_eq!(draft.places(), ["web_api", "accounts", "audit"]);
}

#[test]
fn what_applications_say_is_heard() {
    let snapshot = two();
    let say = |service: &str, user: &str, schemas: &[&str]| Neighbour {
        service: service.into(),
        user: Some(user.into()),
        schemas: schemas.iter().map(|s| (*s).to_owned()).collect(),
        revisions: Some(format!("/src/{user}/alembic/versions").into()),
    };
    let told = [
        say("shop-orders", "app", &[]),
        say("stock", "stock_rw", &["inventory"]),
        say("a", "postgres", &[]),
        say("b", "postgres", &[]),
    ];
    let draft = Draft::propose(&snapshot, &told);
    let by = |name: &str| draft.services.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name}"));
    assert!(by("orders").why.contains("shop-orders connects as app"), "{}", by("orders").why);
    assert_eq!((by("stock").schema.as_str(), by("stock").role.as_str()), ("inventory", "stock_rw"));
    assert_eq!(by("a").role, "a_app", "a superuser's name is not handed on");
    let scripts = |name: &str| by(name).revisions.as_deref().map(|path| path.display().to_string());
    assert_eq!(scripts("orders").as_deref(), Some("/src/app/alembic/versions"));
    assert_eq!((scripts("a"), scripts("b")), (None, None), "what two have is neither's");
    assert!(by("a").why.contains("as others do"), "{}", by("a").why);
    assert_eq!(draft.problems(&snapshot), []);
}

#[test]
fn a_wish_takes_what_is_proposed_under_its_schema() {
    let snapshot = two();
    let mut draft = Draft::propose(&snapshot, &[]);
    let at = draft.wish(&snapshot, "invoices", Some("billing"), None);
    let service = draft.services.get(at).unwrap();
    assert_eq!((service.name.as_str(), service.role.as_str()), ("invoices", "bill_user"));
    assert_eq!(draft.levels("invoices", "orders"), [Level::Read]);
    assert_eq!(draft.problems(&snapshot), []);
    let at = draft.wish(&snapshot, "invoices", Some("orders"), Some("analyst"));
    assert_eq!(draft.services.get(at).map(|s| s.role.as_str()), Some("analyst"));
    assert_eq!(draft.chosen().count(), 1, "a schema is one service's");
    assert!(draft.roles.is_empty(), "it serves now");
}

#[test]
fn answers_that_cannot_be_are_said_where_they_are() {
    let snapshot = two();
    let wrong = |change: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::propose(&snapshot, &[]);
        change(&mut draft);
        let found = draft.problems(&snapshot);
        assert!(found.iter().all(|p| !p.sentence.is_empty() && !p.remedy.is_empty()), "{found:?}");
        found.into_iter().map(|p| p.answer).collect::<Vec<_>>()
    };
    assert_eq!(wrong(&|d| d.name = "a/b".into()), [Answer::Name]);
    assert_eq!(wrong(&|d| d.services[0].schema = "pg_x".into()), [Answer::Service(0, Part::Schema)]);
    assert_eq!(wrong(&|d| d.services[0].schema = "orders".into()), [Answer::Service(1, Part::Schema)]);
    assert_eq!(wrong(&|d| d.services[1].name = "billing".into()), [Answer::Service(1, Part::Name)]);
    assert_eq!(wrong(&|d| d.services[1].role = "none".into()), [Answer::Service(1, Part::Role)]);
    assert_eq!(wrong(&|d| d.services[1].owner = Some("nobody".into())), [Answer::Service(1, Part::Owner)]);
    assert_eq!(wrong(&|d| d.services[1].connection_limit = Some(0)), [Answer::Service(1, Part::Limit)]);
    assert_eq!(wrong(&|d| d.services.iter_mut().for_each(|s| s.chosen = false)), [Answer::Services]);
    assert_eq!(wrong(&|d| d.set("billing", "nowhere", &[Level::Read])), [Answer::Access(1)]);
    assert_eq!(wrong(&|d| d.set("billing", "nowhere", &[])), []);
    assert_eq!(wrong(&|d| d.reporting = Some("app".into())), [Answer::Reporting]);
    assert_eq!(wrong(&|d| d.leave("table-overlap", " ")), [Answer::Accepted(0)]);
    let trail = wrong(&|d| {
        d.audit = true;
        d.services[0].schema = "audit".into();
    });
    assert_eq!(trail, [Answer::Audit]);
}

#[test]
fn what_is_left_becomes_an_exception_and_is_not_accused() {
    let snapshot = two();
    let mut draft = Draft::propose(&snapshot, &[]);
    draft.leave("grant-excess", "until March");
    draft.leave("grant-excess", "until \"May\"");
    let made = policy(&draft, &snapshot);
    assert_eq!(made.accepted.len(), 1);
    let accused = |policy: &Policy| {
        let snapshot = std::sync::Arc::new(snapshot.clone());
        let judged = crate::policy::judgement::Judgement::new(
            snapshot,
            Some(std::sync::Arc::new(policy.clone())),
            std::sync::Arc::default(),
            None,
        );
        let excess = judged.findings.iter().filter(|f| f.code == "grant-excess");
        excess.map(|f| (f.severity, f.fix.is_some(), f.message.clone())).collect::<Vec<_>>()
    };
    let without = accused(&Policy { accepted: Vec::new(), ..made.clone() });
    assert!(!without.is_empty() && without.iter().all(|(s, fix, _)| *s > crate::policy::Severity::Info && *fix));
    let with = accused(&made);
    assert_eq!(with.len(), without.len(), "it is listed");
    assert!(with.iter().all(|(s, fix, words)| *s == crate::policy::Severity::Info && !fix && words.contains("May")));
    let odd = file::parse("[[exception]]\nfinding='no-such-code:x'\nreason='r'\n", "p.toml".as_ref()).unwrap_err();
    assert!(odd.to_string().contains("no-such-code"), "{odd}");
    let both = "[[exception]]\nfinding='table-overlap'\nreason='r'\nrole='x'\n";
    assert!(file::parse(both, "p.toml".as_ref()).unwrap_err().to_string().contains("`role`"));
}

#[test]
fn names_are_made_plain() {
    for (given, plain) in [("Web API", "web_api"), ("--x--", "x"), ("3d", "s_3d"), ("日本", ""), ("a_b", "a_b")] {
        assert_eq!(plain_name(given), plain);
    }
}

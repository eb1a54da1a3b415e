//! One service out of a shared schema, on made-up databases: what is asked, what goes, what is said, and back again.

use std::collections::BTreeMap;

use super::*;
use crate::{
    domain::{
        Oid,
        alembic::tests::{lineage, lineages},
        dependencies::{Body, Class, TextDefault, Thing, Through, Use},
        snapshot::Kind,
    },
    plan::moves::tests::assert_there_and_back,
    policy::checks::fixture::Fixture,
};

/// The documents' BEFORE: two applications in public, one role, one version table.
fn before() -> Fixture {
    let mut f = Fixture::new()
        .role("old")
        .role("analytics")
        .table("public", "flow", "old")
        .table("public", "vertex", "old")
        .table("public", "tenants", "old")
        .sequence("public", "flow_number", "old")
        .sequence("public", "shelf", "old")
        .object(Kind::Type, "public", "mood", "old")
        .object(Kind::Type, "public", "level", "old")
        .object(Kind::View, "public", "flows", "old")
        .object(Kind::View, "public", "both", "old")
        .function("public", "stamp()", "old")
        .function("public", "wetter(public.mood)", "old")
        .function("public", "report()", "old")
        .grant("public.flow", "analytics", "SELECT")
        .grant("public.vertex", "analytics", "SELECT")
        .version_table("public", "alembic_version", "old", Some(&["e1", "l2"]));
    let mut l = lineage("langflow", &["l1", "l2 < l1", "l3 < l2"]);
    l.scripts.get_mut("l1").unwrap().creates = vec!["flow".into(), "vertices".into()];
    l.scripts.get_mut("l2").unwrap().creates = vec!["vertex".into()];
    l.scripts.get_mut("l2").unwrap().drops = vec!["vertices".into()];
    l.scripts.get_mut("l3").unwrap().creates = vec!["message".into()];
    let mut e = lineage("engarde", &["e1"]);
    e.scripts.get_mut("e1").unwrap().creates = vec!["tenants".into()];
    f.lineages = lineages([l, e]);
    f.policy("[[service]]\nname='engarde'\nschema='public'\nrole='old'\n")
}

fn edges(f: &Fixture, list: &[(&str, Through, &str)]) -> Dependencies {
    let thing = |name: &str| {
        let class = match name {
            "mood" | "level" => Class::Type,
            n if n.contains('(') => Class::Routine,
            _ => Class::Relation,
        };
        Thing { class, oid: f.object_oid(&format!("public.{name}")), schema: f.schema_oid("public"), name: name.into() }
    };
    let edge = |(user, through, used): &(&str, Through, &str)| Use {
        user: thing(user),
        through: *through,
        used: Some(thing(used)),
        extension: None,
    };
    let body = |signature: &str, source: &str| Body {
        oid: f.object_oid(&format!("public.{signature}")),
        schema: f.schema_oid("public"),
        signature: signature.into(),
        security_definer: false,
        settings: Vec::new(),
        source: source.into(),
    };
    Dependencies {
        schema: f.schema_oid("public"),
        uses: list.iter().map(edge).collect(),
        text_defaults: vec![TextDefault {
            relation: f.object_oid("public.vertex"),
            table: "vertex".into(),
            column: "shelf".into(),
            expression: "nextval(('public.shelf'::text)::regclass)".into(),
        }],
        bodies: vec![body("stamp()", "insert into public.vertex"), body("report()", "select 1 from flow")],
        ..Dependencies::default()
    }
}

const EDGES: &[(&str, Through, &str)] = &[
    ("flow", Through::Default, "flow_number"),
    ("flow", Through::Itself, "mood"),
    ("flow", Through::Itself, "level"),
    ("tenants", Through::Itself, "level"),
    ("vertex", Through::Trigger, "stamp()"),
    ("vertex", Through::ForeignKey, "tenants"),
    ("wetter(public.mood)", Through::Itself, "mood"),
    ("flows", Through::Query, "flow"),
    ("both", Through::Query, "flow"),
    ("both", Through::Query, "tenants"),
];

fn wanted() -> Wanted {
    Wanted {
        from: "public".into(),
        schema: "langflow".into(),
        role: "langflow_app".into(),
        service: Some("langflow".into()),
        ..Wanted::default()
    }
}

fn proposal(f: Fixture, wanted: &Wanted) -> Result<Proposal, Refused> {
    let dependencies = edges(&f, EDGES);
    let case = f.case();
    let snapshot = Arc::new(case.snapshot);
    let proposal = plan(&snapshot, &dependencies, case.policy.as_ref(), &case.lineages, wanted)?;
    assert_there_and_back(&snapshot, &proposal.plan);
    Ok(proposal)
}

#[test]
fn where_nothing_is_found_it_is_said_what_can_be_named() {
    let mut f = before().schema("shop", "old").object(Kind::Type, "public", "state", "old");
    f.lineages.0.insert("shop".into(), lineage("shop", &["s1"]));
    f.shapes.foreign_uses.push(crate::domain::snapshot::ForeignUse {
        kind: Kind::Type,
        schema: f.schema_oid("public"),
        name: "state".into(),
        owner: f.role_oid("old"),
        used_by: vec![f.schema_oid("shop")],
        example: "table shop.item".into(),
    });
    let (schema, role, service) = ("shop".to_owned(), "shop_app".to_owned(), Some("shop".to_owned()));
    let answers = BTreeMap::from([("row:l2".to_owned(), false)]);
    let why = proposal(f, &Wanted { schema, role, service, answers, ..wanted() }).unwrap_err().to_string();
    assert!(why.contains("no table and no revision in public is shop's") && why.contains("--rows its"), "{why}");
    assert!(why.contains("type public.state, which only shop uses, is moved by the finding"), "{why}");
}

#[test]
fn everything_that_is_open_is_asked_and_nothing_else() {
    let open = proposal(before(), &wanted()).unwrap();
    let asked: Vec<&str> = open.questions.iter().map(|q| q.about.as_str()).collect();
    assert_eq!(asked, ["reader:analytics", "routine:report()", "table:both", "type:level"]);
    assert_eq!(open.questions[3].flag, "--tables level");
    assert!(open.questions[3].sentence.contains("public.tenants"), "{}", open.questions[3].sentence);
}

#[test]
fn the_whole_way_in_one_plan() {
    let decided = Wanted {
        tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
        keep_readers: vec!["analytics".into()],
        ..wanted()
    };
    let done = proposal(before(), &decided).unwrap();
    assert_eq!(done.questions, []);
    let sql: Vec<&str> = done.plan.statements().collect();
    for expected in [
        "CREATE ROLE langflow_app LOGIN;",
        "CREATE SCHEMA langflow AUTHORIZATION langflow_app;",
        "WITH moved AS (DELETE FROM public.alembic_version WHERE version_num IN ('l2') RETURNING version_num) INSERT \
         INTO langflow.alembic_version (version_num) SELECT version_num FROM moved;",
        "ALTER FUNCTION public.stamp() SET SCHEMA langflow;",
        "ALTER FUNCTION public.wetter(public.mood) SET SCHEMA langflow;",
        "ALTER FUNCTION langflow.wetter(public.mood) OWNER TO langflow_app;",
        "ALTER TYPE public.mood SET SCHEMA langflow;",
        "ALTER SEQUENCE public.flow_number SET SCHEMA langflow;",
        "ALTER SEQUENCE public.shelf SET SCHEMA langflow;",
        "ALTER TABLE public.flow SET SCHEMA langflow;",
        "ALTER TABLE langflow.vertex OWNER TO langflow_app;",
        "ALTER VIEW public.flows SET SCHEMA langflow;",
        "GRANT SELECT ON TABLE langflow.flow TO old;",
        "GRANT USAGE ON SCHEMA langflow TO analytics;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE langflow_app IN SCHEMA langflow GRANT SELECT ON TABLES TO analytics;",
        "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow;",
    ] {
        assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
    }
    assert!(!sql.iter().any(|s| s.contains("level") || s.contains("report") || s.contains("public.both")), "{sql:#?}");
    let notes: Vec<&str> = done.plan.notes.iter().map(|n| n.sentence.as_str()).collect();
    assert!(notes.iter().any(|n| n.contains("insert into public.vertex")), "{notes:#?}");
    assert!(notes.iter().any(|n| n.contains("default of langflow.vertex.shelf")), "{notes:#?}");
    assert!(notes.iter().any(|n| n.contains("langflow.vertex to public.tenants")), "{notes:#?}");
    let place = done.whereabouts.iter().find(|w| w.role == "langflow_app").unwrap();
    assert!(place.holds() && place.after.as_deref() == Some("langflow"), "{place:?}");
}

#[test]
fn tables_that_no_script_creates_are_asked_about_when_keys_tie_them_to_what_goes() {
    let f = before().table("public", "runs", "old").table("public", "metrics", "old").table("public", "apart", "old");
    let edges = edges(&f, &[("runs", Through::ForeignKey, "flow"), ("runs", Through::ForeignKey, "metrics")]);
    let case = f.case();
    let snapshot = Arc::new(case.snapshot);
    let made = plan(&snapshot, &edges, case.policy.as_ref(), &case.lineages, &wanted()).unwrap();
    let asked: Vec<&str> =
        made.questions.iter().map(|q| q.sentence.as_str()).filter(|s| s.starts_with("Table")).collect();
    let [metrics, runs] = asked[..] else { panic!("{asked:#?}") };
    assert!(metrics.contains("metrics is tied to runs"), "{metrics}");
    assert!(runs.contains("runs is tied to flow"), "{runs}");
}

/// The server would refuse each in turn, after everything was asked and answered.
#[test]
fn names_that_are_taken_where_it_goes_are_told_before_anything_is_asked() {
    let with = |names: &[(&str, Kind)]| {
        let f = names.iter().fold(before().role("late").schema("langflow", "old"), |f, (name, kind)| {
            f.object(*kind, "langflow", name, "old")
        });
        let edges = edges(&f, EDGES);
        let case = f.case();
        let mut snapshot = case.snapshot;
        let oid = |schema: &str| snapshot.catalog.schema_named(schema).unwrap().oid;
        let (from, to) = (oid("public"), oid("langflow"));
        let of = |o: &crate::domain::snapshot::SchemaObjects, name: &str| {
            o.relations.iter().find(|r| r.name == name).map(|r| r.oid)
        };
        let flow = of(&snapshot.objects.0[&from], "flow").unwrap();
        let index = |table, name: &str| crate::domain::snapshot::IndexName { table, name: name.into() };
        Arc::make_mut(snapshot.objects.0.get_mut(&from).unwrap()).indexes = vec![index(flow, "flow_pkey")];
        Arc::make_mut(snapshot.objects.0.entry(to).or_default()).indexes = vec![index(Oid(1), "flow_idx")];
        plan(&Arc::new(snapshot), &edges, case.policy.as_ref(), &case.lineages, &wanted())
    };
    let open = with(&[]).unwrap();
    assert!(!open.questions.is_empty(), "nothing is in the way, and it asks");
    let why = with(&[("flow_pkey", Kind::Table), ("vertex", Kind::Type), ("flow_number", Kind::View)]);
    let why = why.unwrap_err().to_string();
    for taken in ["table langflow.flow_pkey", "type langflow.vertex", "view langflow.flow_number", "are there already"]
    {
        assert!(why.contains(taken), "{taken}: {why}");
    }
    let unsure = with(&[("both", Kind::Table)]).unwrap();
    let question = unsure.questions.iter().find(|q| q.about == "table:both").unwrap();
    assert!(question.sentence.contains("It cannot yet: table langflow.both is there already"), "{question:?}");
}

#[test]
fn a_reader_that_is_not_kept_loses_what_it_held() {
    let decided = Wanted {
        tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
        keep_readers: vec!["!analytics".into()],
        ..wanted()
    };
    let done = proposal(before(), &decided).unwrap();
    let sql: Vec<&str> = done.plan.statements().collect();
    assert!(sql.contains(&"REVOKE SELECT ON TABLE langflow.flow FROM analytics;"), "{sql:#?}");
    assert!(!sql.iter().any(|s| s.contains("TO analytics")), "{sql:#?}");
}

#[test]
fn a_lost_revision_is_asked_for_and_written_where_it_belongs() {
    let mut lost = before();
    lost.versions[0].rows = crate::domain::snapshot::VersionRows::Known(vec!["e1".into()]);
    let tables = ["!report*", "!both", "!level"].map(str::to_owned).to_vec();
    let decided = Wanted { tables, keep_readers: vec!["analytics".into()], ..wanted() };
    let open = proposal(lost.clone(), &decided).unwrap();
    let asked: Vec<&str> = open.questions.iter().map(|q| q.about.as_str()).collect();
    assert!(asked.contains(&"revision:lost"), "{asked:?}");

    let with = |revision: &str| Wanted { lost: vec![revision.into()], ..decided.clone() };
    let done = proposal(lost.clone(), &with("l2")).unwrap();
    assert_eq!(done.questions, []);
    let sql: Vec<&str> = done.plan.statements().collect();
    let place = |text: &str| sql.iter().position(|s| s.starts_with(text)).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
    let made = place("CREATE TABLE langflow.alembic_version");
    assert!(made < place("INSERT INTO langflow.alembic_version (version_num) VALUES ('l2');"), "{sql:#?}");
    assert_eq!(done.service.unwrap().version_table.as_deref(), Some("alembic_version"));
    assert!(!sql.iter().any(|s| s.contains("public.alembic_version")), "the other's row stays: {sql:#?}");
    let later = proposal(lost.clone(), &with("l3")).unwrap();
    assert!(later.plan.notes.iter().any(|n| n.sentence.contains("message, and it is not there")), "{later:#?}");

    let without = proposal(lost.clone(), &with(NONE)).unwrap();
    assert!(without.plan.notes.iter().any(|n| n.sentence.contains("No row of a version table goes")));
    assert!(!without.questions.iter().any(|q| q.about == "revision:lost"));
    let unknown = proposal(lost, &with("zz")).unwrap_err().to_string();
    assert!(unknown.contains("zz is in none of langflow's revision scripts"), "{unknown}");
    let there = proposal(before(), &with("l1")).unwrap_err().to_string();
    assert!(there.contains("not lost: public.alembic_version holds l2"), "{there}");
}

#[test]
fn what_says_nothing_is_refused() {
    let cases = [
        (Wanted { service: Some("other".into()), ..wanted() }, "name its revision scripts"),
        (Wanted { from: "nowhere".into(), ..wanted() }, "there is no schema nowhere"),
        (Wanted { schema: "public".into(), ..wanted() }, "the shared schema itself"),
        (Wanted { role: "pg_x".into(), ..wanted() }, "PostgreSQL's own"),
        (Wanted { rows: vec!["zz".into()], ..wanted() }, "there is no row zz"),
    ];
    for (wanted, expected) in cases {
        let why = proposal(before(), &wanted).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn an_extension_is_left_within_reach() {
    let f = before()
        .extension("pg_trgm", "public", "postgres")
        .object(Kind::Type, "public", "gtrgm", "postgres")
        .function("public", "similarity(text, text)", "postgres")
        .function("public", "gtrgm_out(public.gtrgm)", "postgres")
        .function("public", "mine(public.gtrgm)", "old")
        .member_of_extension("public.gtrgm", "pg_trgm")
        .member_of_extension("public.similarity(text, text)", "pg_trgm")
        .member_of_extension("public.gtrgm_out(public.gtrgm)", "pg_trgm");
    let mut dependencies = edges(&f, EDGES);
    let user = dependencies.uses[0].user.clone();
    let extension = Some("pg_trgm".to_owned());
    dependencies.uses.push(Use { user, through: Through::Itself, used: None, extension });
    let case = f.case();
    let snapshot = Arc::new(case.snapshot);
    let ask = |wanted: &Wanted| {
        let made = plan(&snapshot, &dependencies, case.policy.as_ref(), &case.lineages, wanted).unwrap();
        assert_there_and_back(&snapshot, &made.plan);
        made
    };
    let asked = ask(&wanted());
    assert!(asked.questions.iter().any(|q| q.flag == "--extensions-schema extensions"), "{:?}", asked.questions);
    let done = ask(&Wanted { extensions_schema: Some("extensions".into()), ..wanted() });
    let sql: Vec<&str> = done.plan.statements().collect();
    for expected in [
        "ALTER EXTENSION pg_trgm SET SCHEMA extensions;",
        "GRANT USAGE ON SCHEMA extensions TO PUBLIC;",
        "GRANT USAGE ON SCHEMA extensions TO langflow_app;",
        "ALTER ROLE langflow_app IN DATABASE engarde SET search_path = langflow, extensions;",
    ] {
        assert!(sql.contains(&expected), "{expected} is not in {sql:#?}");
    }
    let said = |text: &str| done.plan.notes.iter().any(|n| n.sentence.contains(text));
    assert!(said("analytics, old and postgres find pg_trgm by public"), "{:#?}", done.plan.notes);
    // Its members go with it, and so does the new schema when all of that is taken back.
    let after = predict::predict(&snapshot, done.plan.steps.iter().map(|s| &s.change)).unwrap();
    let names = |schema: &str| -> Vec<String> {
        let oid = after.catalog.schema_named(schema).unwrap().oid;
        after.objects.0[&oid].all().map(|o| o.name.clone()).collect()
    };
    assert_eq!(names("extensions"), ["gtrgm_out(extensions.gtrgm)", "similarity(text, text)", "gtrgm"]);
    assert!(names("public").contains(&"mine(extensions.gtrgm)".to_owned()), "{:?}", names("public"));
    let back = build::back(&after, &done.plan).unwrap();
    let back: Vec<&str> = back.statements().collect();
    let place = |sql: &str| back.iter().position(|s| *s == sql).unwrap_or_else(|| panic!("{sql}: {back:#?}"));
    assert!(
        place("ALTER EXTENSION pg_trgm SET SCHEMA public;") < place("DROP SCHEMA extensions RESTRICT;"),
        "{back:#?}"
    );
}

#[test]
fn globs() {
    use crate::plan::moves::objects::glob;
    assert!(glob("a*", "abc") && glob("*", "") && glob("a?c", "abc") && glob("*b*", "abc") && glob("a*c*e", "abcde"));
    assert!(!glob("a", "ab") && !glob("a?", "a") && !glob("*d", "abc"));
}

#[test]
fn what_stays_goes_on_or_it_is_said() {
    let f = before().role("webr").grant("public.flows", "webr", "SELECT, INSERT").edit("public.flow", |o| o.rls = true);
    let decided = Wanted {
        tables: ["!report*", "!both", "!level", "!flows"].map(str::to_owned).to_vec(),
        keep_readers: vec!["analytics".into()],
        ..wanted()
    };
    let done = proposal(f, &decided).unwrap();
    let sql: Vec<&str> = done.plan.statements().collect();
    assert!(sql.contains(&"GRANT SELECT, INSERT ON TABLE langflow.flow TO old;"), "{sql:#?}");
    for expected in ["The policies of flow spare the owner: until now old", "Type public.level stays, and flow uses it"]
    {
        assert!(done.plan.notes.iter().any(|n| n.sentence.contains(expected)), "{:#?}", done.plan.notes);
    }
}

#[test]
fn what_was_passed_on_goes_before_the_option_and_comes_from_the_owner_where_it_stays() {
    let f = before()
        .role("aa")
        .role("bb")
        .role("cc")
        .grant_with_option("public.flow", "aa", "SELECT")
        .grant_by("public.flow", "bb", "SELECT", Some("aa"), false)
        .grant_by("public.flow", "cc", "SELECT", Some("aa"), false);
    let decided = Wanted {
        tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
        keep_readers: ["analytics", "!aa", "!bb", "cc"].map(str::to_owned).to_vec(),
        ..wanted()
    };
    let done = proposal(f, &decided).unwrap();
    let sql: Vec<&str> = done.plan.statements().collect();
    let place = |text: &str| sql.iter().position(|s| *s == text).unwrap_or_else(|| panic!("{text}: {sql:#?}"));
    let last = place("REVOKE SELECT ON TABLE langflow.flow FROM aa;");
    assert!(place("REVOKE SELECT ON TABLE langflow.flow FROM bb;") < last, "{sql:#?}");
    assert!(place("GRANT SELECT ON TABLE langflow.flow TO cc;") < last, "{sql:#?}");
    assert!(place("GRANT USAGE ON SCHEMA langflow TO aa;") < last, "it looks the table up: {sql:#?}");
    assert!(place("REVOKE USAGE ON SCHEMA langflow FROM aa;") < last, "{sql:#?}");
}

#[test]
fn a_reader_that_stays_is_to_be_declared() {
    let decided = Wanted {
        tables: ["!report*", "!both", "!level"].map(str::to_owned).to_vec(),
        keep_readers: vec!["analytics".into()],
        ..wanted()
    };
    let said = |policy: &str| {
        let done = proposal(before().policy(policy), &decided).unwrap();
        done.plan.notes.into_iter().map(|n| n.sentence).find(|s| s.contains("the policy does not say so"))
    };
    let told = said("[[role]]\nname='analytics'\naccess={ public = ['read'] }\n").unwrap();
    assert!(told.starts_with("analytics keeps what it reads"), "{told}");
    assert!(told.contains("declare it for langflow"), "{told}");
    assert_eq!(said("[[role]]\nname='analytics'\naccess={ langflow = ['read'] }\n"), None);
    assert_eq!(said("undeclared='ignore'\n"), None);
}

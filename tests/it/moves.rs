//! Tables and services that move, on a real server: what was shown is committed, what stays goes on working, and all of it
//! comes back.

use std::sync::Arc;

use pgmoat::{
    domain::{alembic::Lineages, dependencies::Dependencies},
    plan::{
        Plan, build,
        moves::{Proposal, isolate},
    },
    server::{
        Reader,
        apply::{ApplyOptions, Outcome},
    },
};

use crate::{
    apply::{Case, case, run, snapshot},
    read::runtime,
};

async fn dependencies(case: &Case, schema: &str) -> Dependencies {
    let now = snapshot(&case.target).await;
    let mut reader = Reader::open(&case.target, "test").await.unwrap();
    let oid = now.catalog.schema_named(schema).unwrap().oid;
    reader.dependencies(now.server.version_num, oid).await.unwrap()
}

async fn isolated(case: &Case, wanted: &isolate::Wanted) -> Proposal {
    let dependencies = dependencies(case, &wanted.from).await;
    let now = Arc::new(snapshot(&case.target).await);
    isolate::plan(&now, &dependencies, None, &Arc::new(Lineages::default()), wanted).unwrap()
}

/// `texts` as an owned list.
fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

async fn committed(case: &Case, plan: &Plan) {
    let outcome = run(&case.target, plan, &ApplyOptions::default()).await;
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?} {:#?}", plan.statements().collect::<Vec<_>>());
}

async fn taken_back(case: &Case, plan: &Plan) {
    let back = build::back(&snapshot(&case.target).await, plan).unwrap();
    committed(case, &back).await;
}

#[test]
fn an_extension_that_got_a_schema_of_its_own_comes_back_and_the_schema_goes() {
    runtime().block_on(async {
        let case = case(
            "moves_extension",
            "create extension citext schema public; create role moves_extension_old;
             create table public.word (w public.citext); create index on public.word (w);
             create function public.shout(public.citext) returns text language sql as 'select upper($1::text)';
             alter table public.word owner to moves_extension_old",
        )
        .await;
        let wanted = isolate::Wanted {
            from: "public".into(),
            schema: "words".into(),
            role: "moves_extension_new".into(),
            tables: list(&["word", "shout*"]),
            extensions_schema: Some("extensions".into()),
            ..isolate::Wanted::default()
        };
        let plan = isolated(&case, &wanted).await.plan;
        committed(&case, &plan).await;
        let place = "select 1 from pg_proc where oid = 'words.shout(extensions.citext)'::regprocedure";
        case.client.execute(place, &[]).await.unwrap();
        taken_back(&case, &plan).await;
        let place = "select 1 from pg_proc where oid = 'public.shout(public.citext)'::regprocedure";
        case.client.execute(place, &[]).await.unwrap();
        let left = "select 1 from pg_namespace where nspname in ('extensions', 'words')";
        assert_eq!(case.client.execute(left, &[]).await.unwrap(), 0);
    });
}

//! The ways in which applications collide in one schema, each made by what applications do, and the way out of each: the
//! isolated one upgrades, downgrades and checks as in a clean database, and what is another's is untouched.

use super::{
    App, Field, GARDEN, GARDEN_NEXT, HARBOR, IMAGE, LIBRARY, ORCHARD, Ran, SUPERUSER, Shared, Told, first, joined,
    texts,
};

const HEAD: &str = "d4e5f6a7b8c9";

/// What the projects do where each is alone.
#[derive(Default)]
pub struct Alone {
    pub garden: Told,
    pub harbor: Told,
    pub orchard: Told,
    /// Commands of a cycle that are run.
    pub cycle: usize,
    /// Every plan is rehearsed, and taken back once.
    pub there_and_back: bool,
}

impl Alone {
    pub async fn new(field: &Field<'_>, cycle: usize, there_and_back: bool) -> Alone {
        Alone {
            garden: field.clean(GARDEN, cycle).await,
            harbor: field.clean(HARBOR, cycle).await,
            orchard: field.clean(ORCHARD, cycle).await,
            cycle,
            there_and_back,
        }
    }
}

impl Field<'_> {
    /// The database that all share, with these applications started by one role, one after the other.
    async fn ground(&mut self, apps: &[App]) -> Shared {
        let old = self.role("old");
        let database = self.database("shared", &old).await;
        let client = self.client(SUPERUSER, &database).await;
        let reader = self.role("reader");
        client.batch_execute(&format!("create role {reader} login")).await.unwrap();
        for app in apps {
            self.must(&self.tools.alembic(&self.url(&old, &database), *app, first(*app)), app.name);
        }
        Shared { database, client: std::sync::Arc::new(client), reader }
    }

    fn said(&mut self, ran: &Ran, code: i32, words: &[&str]) {
        let text = joined(&ran.text);
        let says = words.iter().all(|w| text.contains(w));
        self.same(&format!("says {words:?}: {}", ran.text), &(ran.code, says), &(code, true));
    }

    fn old(&self, shared: &Shared) -> String {
        self.url(&self.role("old"), &shared.database)
    }

    fn admin(&self, shared: &Shared) -> String {
        self.url(SUPERUSER, &shared.database)
    }

    /// A policy in which garden lives in public and the other in a schema of its own.
    fn policy(&self, app: App) -> String {
        let path = self.tools.home.path().join(format!("{}.policy.toml", self.stem));
        let (garden, other) = (self.tools.folder(GARDEN), self.tools.folder(app));
        let text = format!(
            "[[service]]\nname = 'garden'\nschema = 'public'\nrole = '{}'\nrevisions = '{}'\n\n\
             [[service]]\nname = '{}'\nschema = '{}'\nrole = '{}'\nrevisions = '{}'\n",
            self.role("old"),
            garden.display(),
            app.name,
            app.name,
            self.role(app.name),
            other.display()
        );
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What is found, as people read it.
    fn check(&self, shared: &Shared, app: App) -> Ran {
        self.tools.moat(&["check", &self.admin(shared), "--policy", &self.policy(app)])
    }

    /// Nothing is guessed, a revision of others is refused, and the one that is given is written.
    async fn found_again(&mut self, shared: &Shared, app: App, lost: &[&str], more: &[&str], back: bool) -> Ran {
        let (url, role) = (self.admin(shared), self.role(app.name));
        let folder = self.tools.folder(app);
        let mut args = vec!["isolate", &url, "--from", "public", "--schema", app.name, "--role", &role];
        args.extend(["--revisions", folder.to_str().unwrap(), "--keep-reader", &shared.reader, "--yes"]);
        args.extend(more);
        let before = texts(&shared.client, IMAGE).await;
        self.said(&self.tools.moat(&args), 4, &["not decided", "--lost-revision"]);
        let strange = [args.as_slice(), &["--lost-revision", "ffff"]].concat();
        self.said(&self.tools.moat(&strange), 4, &["ffff is in none of", "revision scripts"]);
        self.same("nothing was done", &texts(&shared.client, IMAGE).await, &before);
        let given: Vec<&str> = lost.iter().flat_map(|r| ["--lost-revision", *r]).collect();
        self.isolate_with(shared, app, &[more, given.as_slice()].concat(), back).await
    }

    /// One is started beside the other: it makes its tables, fails on the other's revision, and leaves them.
    pub async fn failed_start(&mut self, alone: &Alone) {
        let shared = self.ground(&[GARDEN]).await;
        let ran = self.tools.start(&self.old(&shared), HARBOR, &["create"]);
        self.said(&ran, 1, &["Can't locate revision identified by 'd4e5f6a7b8c9'"]);
        let strays = "select relname::text from pg_class where relnamespace = 'public'::regnamespace
            and relname in ('ships', 'cargo', 'pilots') order by 1";
        self.same("strays", &texts(&shared.client, strays).await.len(), &3);
        self.isolate_with(&shared, GARDEN, &[], alone.there_and_back).await;
        self.as_clean(&shared, GARDEN, alone.cycle, &alone.garden).await;
        self.same("the strays stay", &texts(&shared.client, strays).await.len(), &3);
        // The other begins in a schema of its own, whatever it left.
        let (url, role) = (self.admin(&shared), self.role("harbor"));
        let made = self.tools.moat(&["create-schema", &url, "harbor", "--role", &role, "--leave-public", "--yes"]);
        self.said(&made, 0, &[]);
        let ran = self.tools.alembic(&self.url(&role, &shared.database), HARBOR, first(HARBOR));
        self.said(&ran, 0, &[]);
        let told = self.told(HARBOR, &role, &shared.database, "harbor", alone.cycle).await;
        self.same("harbor: as in a clean database", &told, &alone.harbor);
    }

    /// As it is with a published application that makes its tables first: they are at its head.
    pub async fn failed_start_of(&mut self, app: App, should: &Told, garden: &Told) {
        let shared = self.ground(&[GARDEN]).await;
        let ran = self.tools.alembic(&self.old(&shared), app, first(app));
        // What it asks first is its own question, before Alembic's.
        self.said(&ran, 1, &["is no longer compatible with the table schema"]);
        self.isolate_with(&shared, GARDEN, &[], true).await;
        self.as_clean(&shared, GARDEN, usize::MAX, garden).await;
        self.isolate_with(&shared, app, &["--lost-revision", "v3.2.0.a"], true).await;
        self.as_clean(&shared, app, usize::MAX, should).await;
    }

    /// One drops the other's version table, migrates anew, and reports success.
    pub async fn dropped(&mut self, alone: &Alone) {
        let shared = self.ground(&[GARDEN]).await;
        let ran = self.tools.start(&self.old(&shared), HARBOR, &["drop"]);
        self.said(&ran, 0, &[]);
        let ran = self.tools.alembic(&self.old(&shared), GARDEN, first(GARDEN));
        self.said(&ran, 255, &["Can't locate revision identified by 'v1.0."]);
        let found = self.check(&shared, HARBOR);
        let lost =
            "public.alembic_version is garden's place, but holds harbor's revision: garden's own is not there any";
        self.said(&found, 1, &["version-table-misplaced", lost, "--lost-revision"]);
        self.found_again(&shared, GARDEN, &[HEAD], &[], alone.there_and_back).await;
        self.as_clean(&shared, GARDEN, alone.cycle, &alone.garden).await;
        // With both of its heads.
        self.isolate_with(&shared, HARBOR, &[], alone.there_and_back).await;
        self.as_clean(&shared, HARBOR, alone.cycle, &alone.harbor).await;
    }

    /// One takes a table of the other for its own, puts foreign keys on it, drops the version table and fails: a new one
    /// that is empty, and strays tied to the other's tables.
    pub async fn emptied(&mut self, alone: &Alone) {
        let shared = self.ground(&[GARDEN]).await;
        let ran = self.tools.start(&self.old(&shared), ORCHARD, &["create", "drop"]);
        self.said(&ran, 1, &["column \"description\"", "does not exist"]);
        let rows = texts(&shared.client, "select version_num::text from alembic_version").await;
        self.same("an empty version table", &rows.len(), &0);
        let ran = self.tools.alembic(&self.old(&shared), GARDEN, first(GARDEN));
        self.said(&ran, 1, &["relation \"bed_number\" already exists"]);
        let found = self.check(&shared, ORCHARD);
        let empty = "public.alembic_version is empty although garden has tables";
        self.said(&found, 1, &["version-table-empty", empty, "never stamp head unseen"]);
        let done = self.found_again(&shared, GARDEN, &[HEAD], &["--tables", "!crates"], alone.there_and_back).await;
        let stays = "public.alembic_version stays, empty: drop it by hand";
        self.said(&done, 0, &["public.crates to garden.beds. They keep working", stays]);
        let key = "select pg_get_constraintdef(oid) from pg_constraint
            where conrelid = 'public.crates'::regclass and contype = 'f'";
        let key = texts(&shared.client, key).await;
        self.same("the foreign key", &key, &vec!["FOREIGN KEY (bed_id) REFERENCES garden.beds(id)".to_owned()]);
        // Nobody's strays; with them garden could not drop its table.
        shared.client.batch_execute("drop table public.crates, public.alembic_version").await.unwrap();
        self.as_clean(&shared, GARDEN, alone.cycle, &alone.garden).await;
    }

    /// A revision id of both: the row that one of them cannot hold beside its own is the other's, whoever's scripts are
    /// known.
    pub async fn overlapping(&mut self, alone: &Alone) {
        let shared = self.ground(&[]).await;
        let old = self.old(&shared);
        self.must(&self.tools.alembic(&old, HARBOR, &["upgrade", "a1b2c3d4e5f6"]), "harbor's first revision");
        shared.client.batch_execute("drop table alembic_version").await.unwrap();
        self.must(&self.tools.alembic(&old, GARDEN, first(GARDEN)), "garden");
        shared.client.batch_execute("insert into alembic_version values ('a1b2c3d4e5f6')").await.unwrap();
        let ran = self.tools.alembic(&old, GARDEN, first(GARDEN));
        self.said(&ran, 255, &["overlaps with other requested revisions"]);
        self.isolate_with(&shared, GARDEN, &[], alone.there_and_back).await;
        let rows = texts(&shared.client, "select version_num::text from public.alembic_version").await;
        self.same("harbor's row stays", &rows, &vec!["a1b2c3d4e5f6".to_owned()]);
        self.as_clean(&shared, GARDEN, alone.cycle, &alone.garden).await;
        self.isolate_with(&shared, HARBOR, &[], alone.there_and_back).await;
        let ran = self.tools.alembic(&self.url(&self.role("harbor"), &shared.database), HARBOR, first(HARBOR));
        self.said(&ran, 0, &[]);
        self.as_clean(&shared, HARBOR, alone.cycle, &alone.harbor).await;
    }

    /// One has a schema and a role of its own, and the other's schema in its search path: it takes the other's version
    /// table, or a table of the same name, for its own.
    pub async fn by_path(&mut self, app: App, alone: &Alone) {
        let shared = self.ground(&[GARDEN]).await;
        let (role, name) = (self.role(app.name), app.name);
        let made = format!(
            "create role {role} login; create schema {name} authorization {role};
             grant select, references on all tables in schema public to {role};
             alter role {role} in database {} set search_path = {name}, public",
            shared.database
        );
        shared.client.batch_execute(&made).await.unwrap();
        let url = self.url(&role, &shared.database);
        let standing = super::standing("none");
        let ran = self.tools.start(&url, app, &["create"]);
        self.said(&ran, 1, &["Can't locate revision identified by 'd4e5f6a7b8c9'"]);
        let stays = texts(&shared.client, &standing).await;
        let policy = self.policy(app);
        let admin = self.admin(&shared);
        self.said(&self.check(&shared, app), 1, &["version-table-shadowed", "search-path-shared"]);
        let only = ["--only", "version-table-shadowed", "--only", "search-path-shared", "--yes"];
        let mended = self.tools.moat(&[["apply", &admin, "--policy", &policy].as_slice(), &only].concat());
        self.said(&mended, 0, &["search_path"]);
        // What the failed start left in its own schema goes; what it is about is begun anew.
        shared
            .client
            .batch_execute(&format!("set search_path = {name}; drop table if exists cargo, pilots, ships, crates"))
            .await
            .unwrap();
        shared.client.batch_execute("reset search_path").await.unwrap();
        self.said(&self.tools.alembic(&url, app, first(app)), 0, &[]);
        let told = self.told(app, &role, &shared.database, name, alone.cycle).await;
        let should = if app.name == "orchard" { &alone.orchard } else { &alone.harbor };
        self.same(&format!("{name}: as in a clean database"), &told, should);
        self.same("garden is untouched", &texts(&shared.client, &standing).await, &stays);
        let told = self.tools.alembic(&self.old(&shared), GARDEN, &["check"]);
        self.said(&told, 0, &["No new upgrade operations"]);
    }

    /// A version table with a name of its own: no revision collides, and each sees the other's tables as its own to drop.
    pub async fn by_name(&mut self, library: &Told, cycle: usize) {
        let shared = self.ground(&[GARDEN, LIBRARY]).await;
        let ran = self.tools.alembic(&self.old(&shared), GARDEN, &["check"]);
        self.said(&ran, 255, &["remove_table", "books"]);
        self.isolate_with(&shared, LIBRARY, &[], true).await;
        self.as_clean(&shared, LIBRARY, cycle, library).await;
        let ran = self.tools.alembic(&self.old(&shared), GARDEN, &["check"]);
        self.said(&ran, 0, &["No new upgrade operations"]);
    }

    /// The customary advice: `stamp --purge`, then DELETE. Each loses what was the other's.
    pub async fn purged(&mut self, alone: &Alone) {
        let shared = self.shared(&[GARDEN, HARBOR]).await;
        let old = self.old(&shared);
        self.said(&self.tools.alembic(&old, HARBOR, &["stamp", "--purge", "heads"]), 0, &[]);
        let rows = texts(&shared.client, "select version_num::text from alembic_version order by 1").await;
        self.same("garden's row is gone", &rows, &vec!["v1.0.cargo".to_owned(), "v1.0.pilots".to_owned()]);
        shared.client.batch_execute("delete from alembic_version").await.unwrap();
        let found = self.check(&shared, HARBOR);
        self.said(&found, 1, &["version-table-empty", "--lost-revision"]);
        // By hand, as is advised: with the application's own Alembic.
        self.said(&self.tools.alembic(&old, GARDEN, &["stamp", HEAD]), 0, &[]);
        self.isolate_with(&shared, GARDEN, &[], alone.there_and_back).await;
        self.as_clean(&shared, GARDEN, alone.cycle, &alone.garden).await;
        let heads = ["v1.0.cargo", "v1.0.pilots"];
        self.found_again(&shared, HARBOR, &heads, &[], alone.there_and_back).await;
        self.as_clean(&shared, HARBOR, alone.cycle, &alone.harbor).await;
    }

    /// The rows of one are split off, its tables stay: it upgrades and downgrades, and that this is a stop-gap is said.
    pub async fn split(&mut self, app: App) {
        let shared = self.ground(&[HARBOR]).await;
        let (role, schema) = (self.role("split"), "own");
        let grant = format!(
            "create table harbor as select * from alembic_version; drop table alembic_version;
             create role {role} login; grant create on schema public to {role}; create schema {schema} authorization {role}"
        );
        shared.client.batch_execute(&grant).await.unwrap();
        let url = self.url(&role, &shared.database);
        self.must(&self.tools.alembic(&url, app, first(app)), app.name);
        let rows = texts(&shared.client, "select version_num::text from alembic_version").await.join(",");
        let both = format!(
            "insert into alembic_version select * from harbor; drop table harbor; grant all on alembic_version to {}",
            self.role("old")
        );
        shared.client.batch_execute(&both).await.unwrap();
        self.said(
            &self.tools.alembic(&url, app, &["current"]),
            if app.packages.is_empty() { 255 } else { 1 },
            &["Can't locate"],
        );
        let standing = super::standing("alembic_version");
        let admin = self.admin(&shared);
        let args = [
            "versions", "move", &admin, "--from", "public", "--to", schema, "--owner", &role, "--rows", &rows, "--yes",
        ];
        let before = texts(&shared.client, &standing).await;
        let done = self.tools.moat(&args);
        let setting = format!("ALTER ROLE {role} IN DATABASE {} SET search_path = {schema}, public;", shared.database);
        self.said(&done, 0, &[setting.as_str(), "a stop-gap", "needs CREATE on public", "`pgmoat isolate`"]);
        self.same("no table moved", &texts(&shared.client, &standing).await, &before);
        shared.client.batch_execute(&setting).await.unwrap();
        self.said(&self.tools.alembic(&url, app, &["current"]), 0, &[]);
        self.said(&self.tools.alembic(&url, app, &["downgrade", "-1"]), 0, &[]);
        self.said(&self.tools.alembic(&url, app, &["upgrade", "heads"]), 0, &[]);
        let own = texts(&shared.client, &format!("select version_num::text from {schema}.alembic_version")).await;
        self.same("its row is back at the head", &own.join(","), &rows);
        let rows = texts(&shared.client, "select version_num::text from public.alembic_version order by 1").await;
        self.same("harbor's rows stay", &rows, &vec!["v1.0.cargo".to_owned(), "v1.0.pilots".to_owned()]);
        // What the remark warns of.
        let sees = self.tools.alembic(&url, app, &["check"]);
        self.same("autogenerate sees the other", &(sees.code != 0 && sees.text.contains("ships")), &true);
        if app.name == "garden" {
            let revoke = format!("revoke create on schema public from public, {role}");
            shared.client.batch_execute(&revoke).await.unwrap();
            let ran = self.tools.alembic(&url, GARDEN_NEXT, first(GARDEN_NEXT));
            self.said(&ran, 1, &["permission denied for schema public"]);
            shared.client.batch_execute(&format!("grant create on schema public to {role}")).await.unwrap();
            self.said(&self.tools.alembic(&url, GARDEN_NEXT, first(GARDEN_NEXT)), 0, &[]);
            let made = texts(&shared.client, "select oid::regclass::text from pg_class where relname = 'tools'").await;
            self.same("a new table goes to its own schema", &made, &vec![format!("{schema}.tools")]);
        }
        self.said(&self.tools.alembic(&self.old(&shared), HARBOR, &["current"]), 0, &["v1.0.cargo", "v1.0.pilots"]);
    }

    /// The next release, in the new schema under the new role, after the old one was isolated.
    pub async fn next_release(&mut self, cycle: usize) {
        let role = self.role("next_clean");
        let database = self.database("next_clean", &role).await;
        self.must(&self.tools.alembic(&self.url(&role, &database), GARDEN, first(GARDEN)), "the old release");
        let should = self.told(GARDEN_NEXT, &role, &database, "public", cycle).await;
        let all = should.said.iter().all(|(_, code, _)| *code == 0);
        self.same(&format!("the next release in a clean database {:?}", should.said), &all, &true);
        let shared = self.shared(&[GARDEN, HARBOR]).await;
        self.isolate_with(&shared, GARDEN, &[], false).await;
        self.as_clean(&shared, GARDEN_NEXT, cycle, &should).await;
    }
}

//! `init --yes`: a database set up in one go, from nothing, from what applications say, and from a mess; afterwards the
//! check that it wrote finds nothing, every service logs in, real migrations run, and a second run has nothing to do.

use std::{fs, path::Path};

use pgmoat::demo::{
    Demo, DemoOptions,
    cluster::{Cluster, ClusterOptions, SUPERUSER},
};
use tokio_postgres::{Client, NoTls};

use crate::{
    applications::{App, GARDEN, short},
    cli::{Moat, Ran},
    support::cluster::{self, connect},
};

/// A server of its own, and a home with the administrator's password in it.
struct Place {
    cluster: Cluster,
    moat: Moat,
    url: String,
}

impl Place {
    async fn new(database: &str) -> Option<Place> {
        let server = cluster::server(cluster::newest())?;
        let options = ClusterOptions { server: Some(server), ..cluster::options() };
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(options)).await.unwrap().unwrap();
        let admin = connect(&cluster, SUPERUSER, "postgres").await;
        admin.batch_execute(&format!("create database {database}")).await.unwrap();
        let moat = Moat::new();
        // Only the administrator's: a service that does not use its own password is found out.
        let line = format!("*:{}:*:{SUPERUSER}:{}\n", cluster.port(), cluster.password());
        private(&moat, ".pgpass", &line);
        let url = format!("postgresql://{SUPERUSER}@127.0.0.1:{}/{database}", cluster.port());
        fs::create_dir(moat.home.path().join("project")).unwrap();
        Some(Place { cluster, moat, url })
    }

    fn dir(&self) -> std::path::PathBuf {
        self.moat.home.path().join("project")
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.moat.command(args).current_dir(self.dir()).output().unwrap())
    }

    fn state(&self) -> std::path::PathBuf {
        self.moat.home.path().join(".local/state/pgmoat")
    }

    /// Set-ups that are not finished.
    fn kept(&self) -> usize {
        fs::read_dir(self.state().join("setup")).into_iter().flatten().count()
    }

    /// What stands in a hand-over file.
    fn handed(&self, instance: &str, role: &str) -> String {
        let path = self.state().join(format!("handover/{instance}-{role}.env"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.trim().strip_prefix("DATABASE_URL=").unwrap().to_owned()
    }

    /// A session with what was handed over.
    async fn session(&self, url: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

fn private(moat: &Moat, name: &str, text: &str) {
    let path = moat.file(name, text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

async fn refused(client: &Client, sql: &str) -> bool {
    client.batch_execute(sql).await.is_err_and(|e| e.code().is_some_and(|c| c.code() == "42501"))
}

fn password(url: &str) -> String {
    url.split("://").nth(1).unwrap().split(['@', ':']).nth(1).unwrap().to_owned()
}

/// Every file below a directory that holds a text.
fn holding(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, text, found);
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}

const ANSWERS: &[&str] = &[
    "--yes",
    "--service",
    "garden",
    "--service",
    "billing=accounts:billing_user",
    "--access",
    "billing:garden=read",
    "--connection-limit",
    "billing=4",
    "--no-version-table",
    "billing",
    "--reporting",
    "reporting",
    "--audit",
];

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_server() {
    let Some(place) = Place::new("shop").await else { return };
    let answers = [&["init", &place.url], ANSWERS].concat();
    let left = ["--leave", "schema-unused", "--reason", "see C:\\it"];
    let rehearsed = place.run(&[answers.as_slice(), &left, &["--rehearse"]].concat()).exits(0);
    assert!(rehearsed.out.contains("was rolled back"), "{}", rehearsed.out);
    // a file is shown as it would be written: escaped once, by TOML
    assert!(rehearsed.out.contains("reason = \"see C:\\\\it\"\n"), "{}", rehearsed.out);
    // what is no service is not left out
    let mistyped = [answers.as_slice(), &["--without", "gardn"]].concat();
    place.run(&mistyped).exits(2).says(&["there is no service gardn", "Did you mean garden?", "billing"]);
    assert!(!place.dir().join("shop.policy.toml").exists(), "a rehearsal writes nothing");
    // Refused by the server: nothing is changed, and the answers are kept.
    let admin = connect(&place.cluster, SUPERUSER, "shop").await;
    let guard = "create function no() returns event_trigger language plpgsql as
        $$ begin raise exception 'not today'; end $$;
        create event trigger no on ddl_command_start when tag in ('CREATE SCHEMA') execute function no()";
    admin.batch_execute(guard).await.unwrap();
    place.run(&answers).exits(4).says(&["not today"]);
    assert!(place.kept() == 1 && !place.dir().join("shop.policy.toml").exists());
    admin.batch_execute("drop event trigger no; drop function no()").await.unwrap();
    let ran = place.run(&["init", "--resume", "--yes"]).exits(0);
    for words in [
        "CREATE SCHEMA garden AUTHORIZATION garden_app;",
        "CREATE SCHEMA accounts AUTHORIZATION billing_user;",
        "CREATE ROLE billing_user LOGIN CONNECTION LIMIT 4;",
        "Logged in as garden_app: what it creates goes to garden.",
        "Logged in as billing_user: what it creates goes to accounts.",
        "DATABASE_URL=postgresql://garden_app:PASSWORD@127.0.0.1:",
        "shop is set up: `pgmoat check shop` finds nothing.",
        "[[instance]]",
        "[[service]]",
    ] {
        assert!(ran.out.contains(words), "{words:?} is not in: {}", ran.out);
    }
    let checked = place.run(&["check"]).exits(0);
    assert!(checked.out.contains("policy shop"), "{}", checked.out);
    place.run(&["policy", "check", "shop.policy.toml"]).exits(0);
    place.run(&["plan", "shop"]).exits(0);

    // Passwords are in the files for them, and nowhere else.
    let urls = ["garden_app", "billing_user", "reporting"].map(|role| place.handed("shop", role));
    for (role, url) in ["garden_app", "billing_user", "reporting"].iter().zip(&urls) {
        assert!(!ran.out.contains(&password(url)) && !ran.err.contains(&password(url)));
        let mut found = Vec::new();
        holding(place.moat.home.path(), &password(url), &mut found);
        assert_eq!(found, [format!("shop-{role}.env")]);
        let wrong = url.replace(&password(url), "something-else");
        assert!(tokio_postgres::connect(&wrong, NoTls).await.is_err(), "{role} gets in with any password");
    }

    // Each works in its own place and reaches what was answered, and no more.
    let [garden, billing, reporting] = urls.each_ref();
    let (g, b, r) = (place.session(garden).await, place.session(billing).await, place.session(reporting).await);
    match short::here() {
        Some(tools) => {
            let upgraded = tools.alembic(garden, GARDEN, &["upgrade", "head"]);
            assert_eq!(upgraded.code, 0, "{}", upgraded.text);
            let checked = tools.alembic(garden, GARDEN, &["check"]);
            assert_eq!(checked.code, 0, "{}", checked.text);
        }
        // What Alembic would do.
        None => g.batch_execute("create table beds (id int); insert into alembic_version values ('a')").await.unwrap(),
    }
    for reader in [&b, &r] {
        reader.batch_execute("select * from garden.beds").await.unwrap();
        assert!(refused(reader, "delete from garden.beds").await && refused(reader, "create table garden.x ()").await);
    }
    b.batch_execute("create table invoices (id int); insert into audit.cross_schema_access (query) values ('x')")
        .await
        .unwrap();
    assert!(refused(&g, "select * from accounts.invoices").await);
    assert!(refused(&b, "delete from audit.cross_schema_access").await);
    r.batch_execute("select * from accounts.invoices; select * from audit.cross_schema_access").await.unwrap();
    drop((g, b, r));
    place.run(&["check"]).exits(0);

    // Again: nothing to do, nothing done.
    let journal = fs::read_to_string(place.state().join("journal.jsonl")).unwrap();
    let again = place.run(&answers).exits(0);
    assert!(again.out.contains("There is nothing to do"), "{}", again.out);
    assert_eq!(fs::read_to_string(place.state().join("journal.jsonl")).unwrap(), journal);
    assert_eq!(place.kept(), 0, "nothing is kept of what is complete");
    // What the team's policy does not say is not slipped into it.
    let more = place.run(&[answers.as_slice(), &["--service", "stock"]].concat()).exits(2);
    more.says(&["--service stock", "--replace"]);
    place.run(&mistyped).exits(2).says(&["there is no service gardn", "Did you mean garden?", "billing"]);

    // Cut after COMMIT: the files are written, and the logins work with the passwords of the first run.
    fs::remove_file(place.dir().join("shop.policy.toml")).unwrap();
    fs::remove_file(place.moat.home.path().join(".config/pgmoat/config.toml")).unwrap();
    let resumed = place.run(&answers).exits(0);
    for words in ["Written: ", "Logged in as garden_app", "Logged in as billing_user"] {
        assert!(resumed.out.contains(words), "{words:?} is not in: {}", resumed.out);
    }
    assert_eq!(fs::read_to_string(place.state().join("journal.jsonl")).unwrap(), journal);
    place.run(&["check"]).exits(0);

    // The same name for another database.
    let elsewhere = place.run(&["init", &place.url.replace("/shop", "/postgres"), "--yes", "--name", "shop"]);
    elsewhere.exits(2).says(&["leads elsewhere", "--name"]);
    // The team's policy on a server that has never seen it.
    let admin = connect(&place.cluster, SUPERUSER, "postgres").await;
    admin.batch_execute("create database staging").await.unwrap();
    let staged = place.url.replace("/shop", "/staging");
    let ran = place.run(&["init", &staged, "--yes", "--name", "staging", "--policy", "shop.policy.toml"]).exits(0);
    assert!(ran.out.contains("staging is set up"), "{}", ran.out);
    let [garden, ..] = urls.each_ref();
    let g = place.session(&garden.replace("/shop", "/staging")).await;
    g.batch_execute("create table garden.beds (id int)").await.unwrap();
}

/// The demo's service of that name, and its release after the one that made the tables.
const ONSIDE: App = App { name: "onside", table: "content_tags", ..GARDEN };

#[tokio::test(flavor = "multi_thread")]
async fn from_the_demos_mess() {
    let options = DemoOptions { quiet: true, guard: Some(cluster::guard()), ..DemoOptions::default() };
    let demo = Demo::start(options, &mut |_| ()).await.unwrap();
    let own = demo.cluster("engarde").unwrap();
    let moat = Moat::new();
    // Every role of the demo has the same password.
    private(&moat, ".pgpass", &format!("*:{}:*:*:{}\n", own.port(), own.password()));
    let url = format!("postgresql://{SUPERUSER}@127.0.0.1:{}/engarde", own.port());
    let policy = moat.home.path().join("team/engarde.policy.toml");
    let policy = policy.to_str().unwrap();
    let answers = [
        "init",
        &url,
        "--yes",
        "--policy",
        policy,
        "--service",
        "capilytics",
        "--new-password",
        "capilytics",
        "--undeclared",
        "metabase",
    ];

    let refused = moat.run(&answers).exits(4);
    assert!(!Path::new(policy).exists() && !moat.home.path().join(".local/state/pgmoat/journal.jsonl").exists());
    let refused = refused.says(&["membership-excess:onside_user:engarde_user", "table-overlap:langflow:public"]);
    refused.says(&["undeclared-access:metabase", "pgmoat isolate", "--leave-rest"]);

    let ran = moat.run(&[answers.as_slice(), &["--leave-rest"]].concat()).exits(0);
    for role in ["engarde_user", "langflow_app", "madansara_user", "sankore_user", "onside_user", "capilytics_user"] {
        assert!(ran.out.contains(&format!("Logged in as {role}: ")), "{role} is not in: {}", ran.out);
    }
    let written = fs::read_to_string(policy).unwrap();
    for words in ["finding = \"table-overlap:langflow:public\"", "begin with `pgmoat isolate --help`", "read, append"] {
        let words = words.replace("read, append", "langflow = [\"read\"]");
        assert!(written.contains(&words), "{words} is not in: {written}");
    }
    assert!(!written.contains("name = \"metabase\""), "{written}");
    let checked = moat.run(&["check", "--format", "json"]).exits(0).json();
    let worst: Vec<&str> =
        checked["findings"].as_array().unwrap().iter().filter_map(|f| f["severity"].as_str()).collect();
    assert!(!worst.is_empty() && worst.iter().all(|s| *s == "info"), "{worst:?}");
    moat.run(&["plan", "engarde"]).exits(0);
    assert!(ran.out.contains("ALTER ROLE capilytics_user LOGIN;"), "{}", ran.out);
    // The next release of one of its services: it could not even use its schema before.
    if let Some(tools) = short::here() {
        let url = format!("postgresql://onside_user:{}@127.0.0.1:{}/engarde", own.password(), own.port());
        for args in [["upgrade", "heads"], ["downgrade", "-1"], ["upgrade", "heads"]] {
            let migrated = tools.alembic(&url, ONSIDE, &args);
            assert_eq!(migrated.code, 0, "{args:?}: {}", migrated.text);
        }
        let admin = connect(own, SUPERUSER, "engarde").await;
        let made =
            "select oid::regclass::text from pg_class where relname in ('content_tags', 'ix_content_analysis_model')
            order by 1";
        let made = admin.query(made, &[]).await.unwrap();
        let made: Vec<String> = made.iter().map(|row| row.get(0)).collect();
        assert_eq!(made, ["onside.content_tags", "onside.ix_content_analysis_model"]);
        let checked = moat.run(&["check"]).exits(0);
        assert!(!checked.out.contains("content_tags"), "{}", checked.out);
    }
    let again = moat.run(&answers[..5]).exits(0);
    assert!(again.out.contains("There is nothing to do"), "{}", again.out);
    // What somebody leaves is theirs to take up again.
    fs::write(policy, written.split("\n[[exception]]").next().unwrap()).unwrap();
    moat.run(&["check"]).exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_what_applications_say() {
    let Some(place) = Place::new("shop").await else { return };
    let (port, secret) = (place.cluster.port(), place.cluster.password());
    let compose = format!(
        "services:\n  db:\n    image: postgres:15\n    environment:\n      POSTGRES_PASSWORD: {secret}\n      POSTGRES_DB: shop\n    ports:\n      - \"127.0.0.1:{port}:5432\"\n  \
         web:\n    build: ./web\n    environment:\n      DATABASE_URL: postgresql://web_rw:x@db:5432/shop?options=-csearch_path%3Dweb\n  \
         job-runner:\n    image: job\n    environment:\n      DATABASE_URL: postgresql://postgres:{secret}@db:5432/shop\n"
    );
    fs::write(place.dir().join("compose.yaml"), compose).unwrap();
    let scripts = place.dir().join("web/alembic/versions");
    fs::create_dir_all(&scripts).unwrap();
    fs::write(scripts.join("1_first.py"), "revision = \"1a2b3c4d5e6f\"\ndown_revision = None\n").unwrap();
    let sql = place.dir().join("plan.sql");
    let rehearsed = place.run(&["init", &place.url, "--yes", "--rehearse"]).exits(0);
    assert!(
        rehearsed.out.contains("CREATE SCHEMA web AUTHORIZATION web_rw;"),
        "a target does not hide them: {}",
        rehearsed.out
    );
    fs::remove_file(place.moat.home.path().join(".pgpass")).unwrap();
    let saved = place.run(&["init", "--save-sql", sql.to_str().unwrap()]).exits(0);
    saved.says(&[&format!("localhost:{port}"), "compose.yaml"]);
    let script = fs::read_to_string(&sql).unwrap();
    for words in [
        "CREATE SCHEMA web AUTHORIZATION web_rw;",
        "CREATE SCHEMA job_runner AUTHORIZATION job_runner_app;",
        "\nbegin",
        "\ncommit;",
        "-- The way back, once it was committed",
        "afterwards: \\password web_rw",
    ] {
        assert!(script.contains(words), "{words:?} is not in: {script}");
    }
    assert!(!script.contains("SCRAM") && !script.contains(secret), "{script}");
    // Whoever may, runs it; then the policy that was written is kept.
    let plain = script.replace("\\set ON_ERROR_STOP on", "");
    // On another database it ends before its first step.
    let elsewhere = connect(&place.cluster, SUPERUSER, "postgres").await;
    let refused = elsewhere.batch_execute(&plain).await.unwrap_err();
    let words = refused.as_db_error().map(|e| e.message().to_owned());
    assert_eq!(words.as_deref(), Some("this is the database postgres, and the script was made for shop"));
    drop(elsewhere);
    // Nor on another cluster's of the same name.
    let there = connect(&place.cluster, SUPERUSER, "shop").await;
    let id = "select system_identifier::text from pg_control_system()";
    let id: String = there.query_one(id, &[]).await.unwrap().get(0);
    let other = plain.replace(&format!("<> ''{id}''"), "<> ''1''");
    assert_ne!(other, plain);
    let refused = there.batch_execute(&other).await.unwrap_err();
    let words = refused.as_db_error().map(|e| e.message().to_owned());
    assert_eq!(words.as_deref(), Some("this is another cluster than the one the script was made for"));
    drop(there);
    connect(&place.cluster, SUPERUSER, "shop").await.batch_execute(&plain).await.unwrap();
    let checked = place.moat.command(&["check"]).env("PGPASSWORD", secret).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    let config = fs::read_to_string(place.moat.home.path().join(".config/pgmoat/config.toml")).unwrap();
    assert!(!config.contains(secret), "{config}");
    let policy = fs::read_to_string(place.dir().join("shop.policy.toml")).unwrap();
    assert!(policy.contains("revisions = \"web/alembic/versions\""), "{policy}");
    // Their passwords, after all: without a target, from the same directory.
    place.run(&["init", "--yes"]).exits(0);
    let with = ["init", "--yes", "--replace", "--new-password", "web", "--new-password", "job-runner"];
    let ran = place.run(&with).exits(0);
    assert!(ran.out.contains("Logged in as web_rw: what it creates goes to web."), "{}", ran.out);
    assert!(ran.out.contains("DATABASE_URL: \"postgresql://web_rw:PASSWORD@db:5432/shop\""), "{}", ran.out);
    let web = place.session(&place.handed("shop", "web_rw")).await;
    web.batch_execute("create table pages (id int)").await.unwrap();
}

/// What a set-up printed, without the ways back of its steps.
fn forward(out: &str) -> impl Iterator<Item = &str> {
    let mut back = false;
    out.lines().filter(move |line| {
        // a way back stands between its word and the next step
        back = line.starts_with("       Undo:") || back && line.starts_with("         ");
        !back
    })
}

/// A database that has grown: the tables of two services and one version table with a row of each in `public`, worked with
/// by the default path.
const GROWN: &str = "
    create role orders_app login password 'o'; create role billing_app login password 'b';
    grant create on schema public to orders_app, billing_app;
    set role orders_app;
    create table orders (id int primary key); create table order_items (id int primary key, o int references orders);
    create table alembic_version (version_num varchar(32) primary key);
    insert into alembic_version values ('aaa111'), ('bbb222');
    grant select, insert, update, delete on alembic_version to billing_app;
    grant select, references on orders to billing_app;
    reset role; set role billing_app;
    create table invoices (id int primary key, o int references orders); create table payments (id int primary key);
    reset role; create table products (id int primary key);";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_has_grown_goes_on_working() {
    let Some(place) = Place::new("grown").await else { return };
    connect(&place.cluster, SUPERUSER, "grown").await.batch_execute(GROWN).await.unwrap();
    let port = place.cluster.port();
    let url = |role: &str, password: &str| format!("postgresql://{role}:{password}@127.0.0.1:{port}/grown");
    let services = ["--service", "orders", "--service", "billing", "--service", "catalog"];
    let more = ["--access", "billing:orders=read", "--reporting", "reporting2"];
    let answers = [&["init", &place.url, "--yes"], services.as_slice(), &more].concat();
    let isolate = ["isolate", "grown", "--from", "public", "--schema", "orders", "--role", "orders_app"];

    // nothing knows the name yet
    let here = format!("postgresql://postgres@127.0.0.1:{port}/grown");
    let command = format!("`pgmoat {} --rows …`", isolate.join(" ").replace(" grown ", &format!(" {here} ")));
    let refused = place.run(&answers).exits(4);
    let refused = refused.says(&["role-search-path:orders_app", "role-search-path:billing_app", &command]);
    refused.says(&["version-table-shared:public.alembic_version"]);
    let ran = place.run(&[answers.as_slice(), &["--leave-rest"]].concat()).exits(0);
    for words in [
        "CREATE SCHEMA orders AUTHORIZATION orders_app;",
        "owns 2 tables in public: they stay there",
        "but for what is left",
    ] {
        assert!(ran.out.contains(words), "{words:?} is not in: {}", ran.out);
    }
    for words in [
        "ALTER ROLE orders_app",
        "ALTER ROLE billing_app",
        "TABLE orders.alembic_version",
        "TABLE billing.alembic_version",
        "FROM billing_app",
        "finds nothing",
    ] {
        let found = forward(&ran.out).find(|line| line.contains(words));
        assert!(found.is_none(), "{words:?} is in: {}", ran.out);
    }
    // the new one has what it needs
    assert!(ran.out.contains("CREATE TABLE catalog.alembic_version"), "{}", ran.out);

    // both applications work as before, and can migrate
    let (o, b) = (place.session(&url("orders_app", "o")).await, place.session(&url("billing_app", "b")).await);
    o.batch_execute("select count(*) from orders; create table returns (id int); drop table returns").await.unwrap();
    b.batch_execute("select * from orders, invoices; update alembic_version set version_num = 'bbb333' where version_num = 'bbb222'")
        .await
        .unwrap();
    let checked = place.run(&["check", "--format", "json"]).exits(0).json();
    let findings = checked["findings"].as_array().unwrap();
    for id in ["role-search-path:orders_app", "version-table-shared:public.alembic_version"] {
        let found = findings.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("{id}: {findings:#?}"));
        assert_eq!(found["severity"], "info");
    }
    let policy = fs::read_to_string(place.dir().join("grown.policy.toml")).unwrap();
    assert!(policy.contains(&format!("`pgmoat {}`", isolate.join(" "))), "{policy}");
    place.run(&["plan", "grown"]).exits(0);

    // the command that is named, and what it asks for
    let asked = place.run(&[isolate.as_slice(), &["--yes"]].concat()).exits(4);
    asked.says(&["--tables orders", "--tables order_items", "--rows aaa111", "--keep-reader billing_app"]);
    let said = ["--tables", "orders", "order_items", "!invoices", "--rows", "aaa111"];
    let said = [isolate.as_slice(), &said, &["--keep-reader", "billing_app", "--yes"]].concat();
    place.run(&said).exits(0);
    let o = place.session(&url("orders_app", "o")).await;
    o.batch_execute("select count(*) from orders, order_items; select 1 / count(*) from alembic_version")
        .await
        .unwrap();
    let findings = place.run(&["check", "--format", "json"]).json();
    let found = findings["findings"].as_array().unwrap().iter().any(|f| f["id"] == "role-search-path:orders_app");
    assert!(!found, "{findings:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_cut_off_is_no_service_that_works() {
    let Some(place) = Place::new("grown").await else { return };
    let admin = connect(&place.cluster, SUPERUSER, "grown").await;
    admin.batch_execute(GROWN).await.unwrap();
    // what a set-up that looks at the policy alone would make
    let cut = "create schema orders authorization orders_app; create schema billing authorization billing_app;
        alter role orders_app in database grown set search_path = orders;
        alter role billing_app in database grown set search_path = billing;
        create table orders.alembic_version (version_num varchar(32) primary key);
        alter table orders.alembic_version owner to orders_app";
    admin.batch_execute(cut).await.unwrap();
    let answers = ["init", &place.url, "--yes", "--service", "orders", "--service", "billing"];
    let refused = place.run(&answers).exits(4);
    let refused = refused.says(&["orders_app looks in orders and finds none of its tables", "order_items"]);
    let command =
        format!("pgmoat isolate postgresql://postgres@127.0.0.1:{}/grown --from public", place.cluster.port());
    let refused = refused.says(&["version-table-shared:public.alembic_version", &command]);
    refused.says(&["version-table-empty:orders.alembic_version"]);
    place.run(&[&answers[..], &["--leave-rest"]].concat()).exits(0);
    let versions = place.run(&["versions", "grown"]).out;
    assert!(versions.contains("makes its tables a second time"), "{versions}");
    assert!(!versions.contains("will find that its tables already exist"), "{versions}");
}

#[test]
fn set_ups_of_two_folders_do_not_replace_each_other() {
    let moat = Moat::new();
    let state = moat.home.path().join(".local/state/pgmoat");
    for project in ["a", "b"] {
        let dir = moat.home.path().join(project);
        fs::create_dir(&dir).unwrap();
        let kept = pgmoat::policy::draft::Kept {
            schema_version: 1,
            dir: dir.to_string_lossy().into_owned(),
            step: "access".into(),
            url: format!("postgresql://127.0.0.1:1/{project}"),
            ..Default::default()
        };
        pgmoat::run::setup::keep(&state, &kept).unwrap();
    }
    let resume = |dir: &str| {
        let dir = moat.home.path().join(dir);
        Ran::new(moat.command(&["init", "--resume", "--yes"]).current_dir(dir).output().unwrap())
    };
    resume("a").exits(3).says(&["127.0.0.1:1/a"]);
    resume("b").exits(3).says(&["127.0.0.1:1/b"]);
    resume(".").exits(2).says(&["2 were cut short", "127.0.0.1:1/a in ", "127.0.0.1:1/b in ", "--dir"]);
}

#[test]
fn what_cannot_be_is_said_before_anything_is_done() {
    let moat = Moat::new();
    moat.run(&["init"]).exits(2).says(&["is not a terminal", "--yes", "pgmoat init --help"]);
    moat.run(&["init", "postgresql://127.0.0.1:1/x"]).exits(2).says(&["is not a terminal"]);
    moat.run(&["init", "postgresql://127.0.0.1:1/x", "--yes"]).exits(3).says(&["127.0.0.1"]);
    moat.run(&["init", "--yes", "--resume"]).exits(2).says(&["no set-up was cut short"]);
    moat.run(&["init", "--yes", "--dir", "/nowhere"]).exits(2).says(&["/nowhere"]);
    moat.run(&["init", "--yes", "--snapshot", "x.json"]).exits(2).says(&["recording"]);
    moat.run(&["init", "--yes", "--audit", "--no-audit"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_names_the_flag_that_helps() {
    let Some(place) = Place::new("lonely").await else { return };
    let compose = "services:\n  db:\n    image: postgres:15\n    environment:\n      POSTGRES_DB: elsewhere\n    ports:\n      - \"127.0.0.1:1:5432\"\n  \
         web:\n    image: web\n    environment:\n      DATABASE_URL: postgresql://web_rw:x@db:5432/elsewhere\n";
    fs::write(place.dir().join("compose.yaml"), compose).unwrap();
    let ran = place.run(&["init", &place.url, "--yes"]).exits(2);
    ran.says(&["--service NAME", "compose.yaml"]);
}

//! The forms of the console in a real terminal, on a real server: a service is set up, a version table split, a service
//! isolated, with keys alone; the password goes to a file and over no screen.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use pgmoat::demo::cluster::SUPERUSER;
use tokio_postgres::Client;

use crate::{
    acting::{configured, insist},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        terminal::{ENTER, ESC, PATIENCE, Start, TAB, Terminal},
    },
};

struct Place {
    home: tempfile::TempDir,
    admin: Client,
    config: String,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new(name: &str, environment: &str, sql: &str, policy: &str) -> Place {
        let shared = shared(cluster::newest()).unwrap();
        let home = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let (database, admin) = runtime.block_on(async {
            let database = shared.database(name).await;
            let admin = connect(shared.cluster(), SUPERUSER, &database).await;
            admin.batch_execute(sql).await.unwrap();
            (database, admin)
        });
        let config = configured(home.path(), &shared.cluster().url(SUPERUSER, &database), environment, policy);
        Place { home, admin, config, runtime }
    }

    fn console(&self, size: (u16, u16)) -> Terminal {
        let console = Start::new(self.home.path(), &["--config", &self.config]).size(size.0, size.1).run();
        console.shows("PRIMARY");
        console
    }

    fn one(&self, sql: &str) -> String {
        let row = self.runtime.block_on(async { self.admin.query_one(sql, &[]).await.unwrap() });
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    fn state(&self) -> std::path::PathBuf {
        self.home.path().join(".local/state/pgmoat")
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_service_is_set_up_with_keys_alone_and_its_password_is_on_no_screen() {
    let place = Place::new(
        "form_create",
        "development",
        "create role frm_old login; create schema frm_old authorization frm_old; create table frm_old.t (id int); \
         alter table frm_old.t owner to frm_old",
        "name = \"it\"\nundeclared = \"report\"\n# a remark that stays\n[[service]]\nname = \"frm_old\"\n\
         schema = \"frm_old\"\nrole = \"frm_old\"\nversion_table = false\n",
    );
    let mut console = place.console((80, 24));
    console.press("2", "frm_old");
    insist(&mut console, "c", "Create a schema");
    // a name that is taken is said while one types, and Enter does not go on from it
    console.press("frm_old", "is there already");
    console.press(ENTER, "schema: schema frm_old is there already");
    assert!(!console.text().contains("What is run"));
    // corrected by hand, by paste, with a neighbour completed
    console.send("\x15");
    console.send("\x1b[200~frm_shop\x1b[201~");
    console.shows("frm_shop_app");
    console.send(&TAB.repeat(4));
    console.press("frm_o", "▸ may read");
    console.press("\x1b[C", "frm_old");
    insist(&mut console, ENTER, "Who gains and loses");
    assert_eq!(place.one("select to_regnamespace('frm_shop')::text"), "", "nothing is done yet");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    console.shows("Logged in as frm_shop_app: what it creates goes to frm_shop");
    console.shows("Added to");
    let text = console.text();
    assert!(text.contains("Hand-over") && text.contains("••••"), "{text}");
    // what is there now
    assert_eq!(
        place.one("select nspowner::regrole::text from pg_namespace where nspname = 'frm_shop'"),
        "frm_shop_app"
    );
    let may = "select has_table_privilege('frm_shop_app', 'frm_old.t', 'select')::text || \
               has_table_privilege('frm_shop_app', 'frm_old.t', 'insert')::text";
    assert_eq!(place.one(may), "truefalse");
    assert_eq!(place.one("select rolconnlimit::text from pg_roles where rolname = 'frm_shop_app'"), "10");
    let file = place.state().join("handover/it-frm_shop_app.env");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let url = fs::read_to_string(&file).unwrap();
    let password = url.split(':').nth(2).unwrap().split('@').next().unwrap().to_owned();
    assert_eq!(password.len(), 32, "{url}");
    let policy = fs::read_to_string(place.home.path().join("it.policy.toml")).unwrap();
    assert!(policy.contains("# a remark that stays") && policy.contains("schema = \"frm_shop\""), "{policy}");
    // in sight only while somebody wants it
    assert!(!String::from_utf8_lossy(&console.raw()).contains(&password), "the password went over the screen");
    console.press("V", &password);
    console.send("V");
    console.shows_no(&password);
    console.send(ESC);
    console.shows_no("Hand-over");
    console.shows("frm_shop");
    // and back
    console.press("9", "committed");
    insist(&mut console, "u", "Undo entry");
    console.shows("Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    assert_eq!(place.one("select to_regnamespace('frm_shop')::text"), "");
    assert_eq!(place.one("select to_regrole('frm_shop_app')::text"), "");
    // what it left in files went with it
    console.shows("The password of frm_shop_app, which is gone, was deleted");
    assert!(!file.exists());
    let policy = fs::read_to_string(place.home.path().join("it.policy.toml")).unwrap();
    assert!(policy.contains("# a remark that stays") && !policy.contains("frm_shop"), "{policy}");
    console.send(ESC);
    console.shows("undone");
    console.shows("Create schema frm_shop with role");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    for name in ["journal.jsonl", "pgmoat.log"] {
        let text = fs::read_to_string(place.state().join(name)).unwrap_or_default();
        assert!(!text.contains(&password), "{name} holds the password");
    }
}

#[test]
fn production_wants_the_name_before_a_service_is_set_up_and_read_only_opens_no_form() {
    let place = Place::new("form_prod", "production", "select 1", "name = \"it\"\n");
    let database = place.one("select current_database()::text");
    let mut console = place.console((120, 40));
    console.press("2", "public");
    insist(&mut console, "c", "Create a schema");
    console.press("frm_prod", "frm_prod_app");
    insist(&mut console, ENTER, "Who gains and loses");
    insist(&mut console, ENTER, "to go on");
    console.send("y\r");
    console.press("\x7f", "to go on");
    assert_eq!(place.one("select to_regnamespace('frm_prod')::text"), "");
    console.press(&format!("{database}\r"), "Done and committed");
    assert_eq!(place.one("select to_regnamespace('frm_prod')::text"), "frm_prod");
    console.send("\x03");
    assert_eq!(console.ends(PATIENCE), 0);
    let mut console = Start::new(place.home.path(), &["--config", &place.config, "--read-only"]).run();
    console.shows("PRIMARY");
    console.press("2c", "read-only");
    console.press("7m", "read-only");
    console.press("I", "read-only");
    assert!(!console.text().contains("Create a schema"));
}

/// One shared version table, two services with scripts, a row that nobody knows.
const SHARED: &str = "create role frm@_one login; create role frm@_two login; grant all on schema public to frm@_one, frm@_two;
    create schema frm@_two authorization frm@_two;
    create table public.alembic_version (version_num varchar(32) constraint alembic_version_pkc primary key);
    alter table public.alembic_version owner to frm@_one; grant select, insert, update, delete on public.alembic_version to frm@_two;
    insert into public.alembic_version values ('one_head'), ('two_head');
    create table public.flow (id serial primary key); alter table public.flow owner to frm@_one;
    create table public.bystander (id int, word text default 'waiting');
    create table public.odd (id int); alter table public.odd owner to frm@_two;
    grant select on public.flow to frm@_reader";

fn of(name: &str, text: &str) -> String {
    text.replace('@', name)
}

fn shared_table(name: &str) -> Place {
    let sql = format!("create role frm{name}_reader login; {}", of(name, SHARED));
    let policy = of(
        name,
        "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"one\"\nschema = \"public\"\nrole = \"frm@_one\"\n\
         revisions = \"one\"\n[[service]]\nname = \"two\"\nschema = \"frm@_two\"\nrole = \"frm@_two\"\nrevisions = \"two\"\n",
    );
    let place = Place::new(&format!("form_{name}"), "development", &sql, &policy);
    for (service, table) in [("one", "bills"), ("two", "flow")] {
        let dir = place.home.path().join(service);
        fs::create_dir_all(&dir).unwrap();
        let script = format!(
            "from alembic import op\nrevision = '{service}_head'\ndown_revision = None\n\ndef upgrade():\n    \
             op.create_table('{table}')\n"
        );
        fs::write(dir.join("a.py"), script).unwrap();
    }
    place
}

#[test]
fn a_row_is_split_off_a_shared_version_table_with_keys_alone() {
    let place = shared_table("mv");
    let mut console = place.console((80, 24));
    console.press("7", "SHARED");
    insist(&mut console, "m", "Move a version table");
    console.shows("public.alembic_version");
    console.shows("frmmv_two");
    insist(&mut console, ENTER, "Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    console.shows("frmmv_two finds frmmv_two.alembic_version");
    assert_eq!(place.one("select string_agg(version_num, ',') from frmmv_two.alembic_version"), "two_head");
    assert_eq!(place.one("select string_agg(version_num, ',') from public.alembic_version"), "one_head");
    console.send(ESC);
    console.shows("frmmv_two.alembic_version");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn a_service_is_isolated_with_keys_alone_and_asked_about_what_nothing_decides() {
    let place = shared_table("is");
    // somebody holds a table that stays: nothing here waits for it
    place.runtime.block_on(async {
        place.admin.batch_execute("begin; lock table public.bystander in access exclusive mode").await.unwrap();
    });
    let mut console = place.console((120, 40));
    console.press("7", "SHARED");
    insist(&mut console, "I", "Isolate a service");
    console.shows("frmis_two");
    insist(&mut console, ENTER, "not decided");
    let text = console.text();
    assert!(text.contains("public.odd") && text.contains("frmis_reader"), "{text}");
    console.press(ENTER, "still open");
    // the reader keeps its right, and the table that no script creates stays
    let first_is_reader = text.find("frmis_reader").unwrap() < text.find("public.odd").unwrap();
    console.send(if first_is_reader { "yn" } else { "ny" });
    insist(&mut console, ENTER, "Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    console.shows("frmis_two finds frmis_two.alembic_version");
    place.runtime.block_on(async { place.admin.batch_execute("commit").await.unwrap() });
    let place_of = |table: &str| {
        place.one(&format!("select relnamespace::regnamespace::text from pg_class where relname = '{table}'"))
    };
    assert_eq!((place_of("flow").as_str(), place_of("odd").as_str()), ("frmis_two", "public"));
    let reads = "select has_table_privilege('frmis_reader', 'frmis_two.flow', 'select')::text || \
                 has_schema_privilege('frmis_reader', 'frmis_two', 'usage')::text";
    assert_eq!(place.one(reads), "truetrue");
    assert_eq!(place.one("select string_agg(version_num, ',') from frmis_two.alembic_version"), "two_head");
    console.send(ESC);
    console.shows("frmis_two.alembic_version");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

//! The other databases of a server: listed with what is in the way, opened from the running console with a session of
//! their own, acted on there and nowhere else.

use pgmoat::demo::cluster::SUPERUSER;
use serde_json::Value;

use crate::{
    acting::{configured, insist},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        terminal::{ENTER, ESC, PATIENCE, Start},
    },
};

#[test]
fn another_database_is_opened_from_the_console_and_acted_on() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let (first, second) = runtime.block_on(async {
        let (first, second) = (shared.database("dbs_first").await, shared.database("dbs_second").await);
        connect(shared.cluster(), SUPERUSER, &second).await.batch_execute("create schema dbs_there").await.unwrap();
        (first, second)
    });
    let in_database = |database: &str, sql: &str| {
        runtime.block_on(async {
            let client = connect(shared.cluster(), SUPERUSER, database).await;
            client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0)
        })
    };
    let url = shared.cluster().url(SUPERUSER, &first);
    let policy = "name = \"it\"\nundeclared = \"ignore\"\n";
    let config = configured(home.path(), &url, "development", policy);
    let mut console = Start::new(home.path(), &["--config", &config]).run();
    console.shows("PRIMARY");
    // They come with the slow parts. Each list is opened by one press: a second would be typed into it.
    console.shows("(b)");
    console.press("b", "Open a database of the server of it");
    console.shows("this one");
    console.press("template0", "takes no connections");
    console.press(ENTER, "template0: takes no connections");
    console.press("b", "Open a database of the server of it");
    console.send(&second);
    console.shows(&second);
    console.press(ENTER, &format!("looking at it/{second}"));
    console.press("2", "dbs_there");
    let own = format!(
        "select exists (select from pg_stat_activity where datname = '{second}' and application_name like 'pgmoat%')"
    );
    assert!(in_database("postgres", &own), "it has a session of its own");

    // What is done now is done there.
    console.press("c", "Create a schema");
    // What came before the form was drawn is dropped, all of it.
    insist(&mut console, "dbs_made", "dbs_made_app");
    insist(&mut console, ENTER, "Who gains and loses");
    insist(&mut console, ENTER, "any other key");
    insist(&mut console, "y", "Done and committed");
    let made = "select to_regnamespace('dbs_made') is not null";
    assert!(in_database(&second, made) && !in_database(&first, made));
    console.send(ESC);
    console.shows_no("Done and committed");

    // Opened once, looked at again; the palette knows them, too.
    console.press("i", "all instances");
    console.press("it\r", &first);
    console.shows_no("dbs_there");
    console.press(":", "Go to, or do");
    console.send(&format!("{second} database"));
    console.shows(&format!("{second} database"));
    console.press(ENTER, &format!("looking at it/{second}"));
    console.shows("dbs_there");
    console.press("i", "all instances");
    assert_eq!(console.text().matches(&format!("it/{second}  {second}")).count(), 1, "{}", console.text());
    console.send(ESC);
    console.shows_no("all instances");
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
}

#[test]
fn info_lists_them_and_says_what_is_in_the_way() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (open, closed) = runtime().block_on(async {
        let (open, closed) = (shared.database("dbs_open").await, shared.database("dbs_closed").await);
        let admin = connect(shared.cluster(), SUPERUSER, "postgres").await;
        let sql = format!("create role dbs_guest login; revoke connect on database {closed} from public");
        admin.batch_execute(&sql).await.unwrap();
        (open, closed)
    });
    let info = |more: &[&str]| {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_pgmoat"))
            .env_clear()
            .env("HOME", home.path())
            .args(["info", &shared.cluster().url("dbs_guest", &open)])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&info(&["--format", "json"])).unwrap();
    let database = |name: &str| {
        let all = json["targets"][0]["databases"].as_array().unwrap();
        all.iter().find(|d| d["name"] == name).unwrap_or_else(|| panic!("no {name}: {json}")).clone()
    };
    let (open, closed, template) = (database(&open), database(&closed), database("template0"));
    assert!(open["this"] == true && open["may_connect"] == true && open["size_bytes"].as_u64() > Some(1 << 20));
    assert!(closed["may_connect"] == false && closed["size_bytes"].is_null(), "{closed}");
    assert!(template["may_connect"] == false && template["template"] == true);
    let text = info(&[]);
    assert!(text.contains("this login may not CONNECT to it") && text.contains("this one"), "{text}");
}

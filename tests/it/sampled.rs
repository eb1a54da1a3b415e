//! No transaction of the console's is open while it waits for a person, a redraw or a pause: its sessions are looked at every
//! 50 ms while it is driven through a plan, a preview left open, a rehearsal, an application, its undo and refreshes.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use pgmoat::demo::cluster::SUPERUSER;

use crate::{
    acting::{configured, insist},
    read::runtime,
    support::{
        cluster::{self, connect, shared},
        terminal::{ENTER, ESC, PATIENCE, Start, Terminal},
    },
};

const EVERY: Duration = Duration::from_millis(50);
/// So long a transaction may rest between two statements of ours.
const REST_MS: f64 = 200.0;

/// What was seen of the sessions so far.
#[derive(Default)]
struct Samples {
    /// Looks at the server, sessions of ours in them, and those in a transaction.
    looks: AtomicUsize,
    sessions: AtomicUsize,
    open: AtomicUsize,
    /// Those that rested too long: for how many milliseconds, and after which statement.
    resting: Mutex<Vec<(f64, String)>>,
    /// The longest rest that was seen, milliseconds.
    longest: Mutex<f64>,
    over: AtomicBool,
}

impl Samples {
    async fn take(&self, client: &tokio_postgres::Client, database: &str) {
        let sql = "select state, extract(epoch from clock_timestamp() - state_change)::float8 * 1000, xact_start is not null, query
            from pg_stat_activity where application_name = 'pgmoat' and datname = $1 and backend_type = 'client backend'";
        let mut ticks = tokio::time::interval(EVERY);
        while !self.over.load(Ordering::SeqCst) {
            ticks.tick().await;
            let rows = client.query(sql, &[&database]).await.unwrap();
            self.looks.fetch_add(1, Ordering::SeqCst);
            for row in rows {
                let (state, age_ms): (Option<String>, Option<f64>) = (row.get(0), row.get(1));
                self.sessions.fetch_add(1, Ordering::SeqCst);
                self.open.fetch_add(usize::from(row.get::<_, bool>(2)), Ordering::SeqCst);
                if let (Some(state), Some(age_ms)) = (state, age_ms)
                    && state.starts_with("idle in transaction")
                {
                    let mut longest = self.longest.lock().unwrap();
                    *longest = longest.max(age_ms);
                    if age_ms > REST_MS {
                        self.resting.lock().unwrap().push((age_ms, row.get(3)));
                    }
                }
            }
        }
    }

    /// Waits for so many more looks: the console is left as it is meanwhile.
    fn more(&self, looks: usize) {
        let until = self.looks.load(Ordering::SeqCst) + looks;
        while self.looks.load(Ordering::SeqCst) < until {
            std::thread::sleep(EVERY);
        }
    }
}

/// One way through everything; what was granted too much is there again at its end.
fn round(console: &mut Terminal, samples: &Samples, database: &str) {
    console.press("8", "act_idle_stranger");
    insist(console, "f", "What is run");
    // somebody reads it
    samples.more(30);
    insist(console, "r", "Rehearsed: it works");
    samples.more(5);
    insist(console, ENTER, "to go on");
    // somebody makes up their mind
    samples.more(30);
    console.press(&format!("{database}\r"), "Done and committed");
    samples.more(5);
    console.send(ESC);
    console.shows_no("What is run");
    for _ in 0..3 {
        console.send("R");
        samples.more(5);
    }
    console.press("9", "committed");
    // the newest
    console.send("g");
    insist(console, "u", "Undo entry");
    console.shows("What is run");
    samples.more(10);
    insist(console, ENTER, "to go on");
    console.press(&format!("{database}\r"), "Done and committed");
    console.send(ESC);
    console.shows_no("What is run");
    console.send("R");
    samples.more(10);
}

#[test]
fn nothing_of_ours_rests_in_a_transaction() {
    let shared = shared(cluster::newest()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let samples = Arc::new(Samples::default());
    let (database, sampling) = runtime.block_on(async {
        let database = shared.database("act_idle").await;
        let admin = connect(shared.cluster(), SUPERUSER, &database).await;
        let made = "create role act_idle_app login; create role act_idle_stranger login;
            create schema own authorization act_idle_app; create table own.t (id int); alter table own.t owner to act_idle_app;
            create table own.alembic_version (version_num varchar(32) not null primary key);
            grant usage on schema own to act_idle_stranger";
        admin.batch_execute(made).await.unwrap();
        let (samples, named) = (Arc::clone(&samples), database.clone());
        let looker = connect(shared.cluster(), SUPERUSER, "postgres").await;
        (database, tokio::spawn(async move { samples.take(&looker, &named).await }))
    });
    let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"own\"\nschema = \"own\"\nrole = \"act_idle_app\"\n\
        [[role]]\nname = \"act_idle_stranger\"\naccess = {}\nlogin = true\n";
    let config = configured(home.path(), &shared.cluster().url(SUPERUSER, &database), "production", policy);
    let mut console = Start::new(home.path(), &["--config", &config]).run();
    console.shows("PRIMARY");
    console.press("8", "act_idle_stranger");
    console.press("/grant-excess\r", "of");
    let rounds = std::env::var("PGMOAT_SAMPLED_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        round(&mut console, &samples, &database);
    }
    console.send("q");
    assert_eq!(console.ends(PATIENCE), 0);
    samples.over.store(true, Ordering::SeqCst);
    runtime.block_on(sampling).unwrap();
    let (looks, sessions) = (samples.looks.load(Ordering::SeqCst), samples.sessions.load(Ordering::SeqCst));
    let (open, longest) = (samples.open.load(Ordering::SeqCst), *samples.longest.lock().unwrap());
    let resting = samples.resting.lock().unwrap();
    println!(
        "{looks} looks, {sessions} sessions of ours in them, {open} in a transaction; {} rested in one for more than \
         {REST_MS} ms, the longest for {longest:.0} ms",
        resting.len()
    );
    assert!(looks > 100 && sessions >= looks / 2, "the console's sessions were not seen");
    assert!(resting.is_empty(), "{resting:#?}");
}

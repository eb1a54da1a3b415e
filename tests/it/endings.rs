//! The console gives its terminal back however it ends and whatever it is doing: every way to end, while it rests, while a
//! question to a frozen server runs, while an action waits for a lock, while COMMIT waits. Afterwards the journal is settled,
//! by the console itself where nothing was sent yet, else by looking, and the server holds nothing of ours.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use pgmoat::{
    audit::{Ending, Entry, Journal},
    demo::cluster::{Cluster, ClusterOptions, SUPERUSER},
    run::act::settle,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Client;

use crate::{
    acting::{configured, insist},
    read::runtime,
    support::{
        cluster::{self, connect, conninfo},
        terminal::{CTRL_Z, ENTER, PATIENCE, Start, Terminal, Under},
    },
};

/// How long the console may take to end.
const END: Duration = Duration::from_secs(2);
/// The most of one processor while nobody reads: a build without optimisation judges for some of it; what spins takes all.
const BUSY: f64 = 0.3;

/// What it does when it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// A question is on its way to a server that stands still.
    Asking,
    /// An action waits for a lock, tries again, waits.
    Acting,
    /// COMMIT was sent, and waits for a standby that is not there.
    Committing,
}

/// How it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Signal(Signal),
    /// In the loop, in a task, in a thread.
    Panic(&'static str),
    /// The terminal goes away. A signal tells it, or nothing but the terminal itself.
    HangUp(Under),
    /// The terminal stops reading; then somebody asks it to end.
    Unread,
}

const ENDS: [End; 10] = [
    End::Signal(Signal::TERM),
    End::Signal(Signal::HUP),
    End::Signal(Signal::INT),
    End::Signal(Signal::QUIT),
    End::Panic("panic in the loop"),
    End::Panic("panic in a task"),
    End::Panic("panic in a thread"),
    End::HangUp(Under::Nothing),
    End::HangUp(Under::Setsid),
    End::Unread,
];

/// Backends that stand still until this is dropped.
struct Frozen(Vec<Pid>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

struct World {
    own: Cluster,
    runtime: tokio::runtime::Runtime,
    admin: Client,
}

impl World {
    fn new() -> World {
        let server = cluster::server(cluster::newest());
        let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
        let own = Cluster::start(ClusterOptions { server, settings, ..cluster::options() }).unwrap();
        let runtime = runtime();
        let admin = runtime.block_on(async {
            let admin = connect(&own, SUPERUSER, "postgres").await;
            let made = "set synchronous_commit = local; create role end_app login; create role end_stranger login;
                create role end_other; create schema own authorization end_app; grant usage on schema own to end_stranger";
            admin.batch_execute(made).await.unwrap();
            admin
        });
        World { own, runtime, admin }
    }

    fn run(&self, sql: &str) {
        self.runtime.block_on(self.admin.batch_execute(sql)).unwrap();
    }

    fn answer<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> T {
        self.runtime.block_on(async { self.admin.query_one(sql, &[]).await.unwrap().get(0) })
    }

    /// Waits for an answer of true.
    #[track_caller]
    fn until(&self, sql: &str) {
        let begun = Instant::now();
        while !self.answer::<bool>(sql) {
            assert!(begun.elapsed() < PATIENCE, "never: {sql}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn has(&self) -> bool {
        self.answer("select has_schema_privilege('end_stranger', 'own', 'usage')")
    }

    fn console(&self, home: &Path, under: Under) -> Terminal {
        let policy = "name = \"it\"\nundeclared = \"ignore\"\n[[service]]\nname = \"own\"\nschema = \"own\"\nrole = \"end_app\"\n\
            version_table = false\n[[role]]\nname = \"end_stranger\"\naccess = {}\nlogin = true\n";
        let config = configured(home, &self.own.url(SUPERUSER, "postgres"), "development", policy);
        let console = Start::new(home, &["--config", &config]).env("PGMOAT_PROVOKE", "1").under(under).run();
        console.shows("PRIMARY");
        console
    }

    /// The sessions of the console stand still, in the middle of whatever they do.
    fn freeze(&self) -> Frozen {
        let pids: Vec<i32> = self.runtime.block_on(async {
            let sql = "select pid from pg_stat_activity where application_name = 'pgmoat'";
            self.admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
        });
        assert!(!pids.is_empty());
        let pids: Vec<Pid> = pids.into_iter().map(|pid| Pid::from_raw(pid).unwrap()).collect();
        for pid in &pids {
            kill_process(*pid, Signal::STOP).unwrap();
        }
        Frozen(pids)
    }

    /// Brings the console to what it shall be doing. What is returned keeps it there.
    fn begin(&self, doing: Doing, console: &mut Terminal) -> Option<Frozen> {
        match doing {
            Doing::Nothing => None,
            Doing::Asking => {
                let frozen = self.freeze();
                console.press("R", "reading");
                Some(frozen)
            }
            Doing::Acting => {
                self.run("begin; grant usage on schema own to end_other");
                fix(console);
                insist(console, "y", "locked by others");
                None
            }
            Doing::Committing => {
                self.run("alter system set synchronous_standby_names = 'nobody'");
                self.run("select pg_reload_conf()");
                self.until("select current_setting('synchronous_standby_names') = 'nobody'");
                fix(console);
                insist(console, "y", "COMMIT is sent");
                self.until("select exists (select from pg_stat_activity where wait_event = 'SyncRep')");
                None
            }
        }
    }

    /// Afterwards: nothing of ours is left on the server, and the journal tells what became of it, found out by looking.
    fn settled(&self, doing: Doing, end: End, home: &Path, what: &str) {
        match doing {
            Doing::Nothing | Doing::Asking => {}
            Doing::Acting => self.run("rollback"),
            Doing::Committing => {
                self.run("alter system reset synchronous_standby_names");
                self.run("select pg_reload_conf()");
            }
        }
        self.until("select not exists (select from pg_stat_activity where application_name = 'pgmoat')");
        let journal = Journal::in_dir(&home.join(".local/state/pgmoat"));
        let target = conninfo(&self.own, SUPERUSER, "postgres");
        let before = journal.read().unwrap().entries;
        let settled = self.runtime.block_on(settle(&target, &journal, None, "postgres")).unwrap();
        match doing {
            Doing::Nothing | Doing::Asking => assert!(settled.is_empty(), "{what}: {settled:?}"),
            Doing::Acting => {
                // Asked to end, it lets go of the lock and writes that down; a fault leaves both to the next start.
                let why = match (end, &settled[..]) {
                    (End::Panic(_), [(_, Ending::NotCommitted { why, .. })]) => why,
                    (End::Panic(_), _) => panic!("{what}: {settled:?}"),
                    (_, []) => match &before[..] {
                        [Entry { ending: Some(Ending::NotCommitted { why, .. }), .. }] => why,
                        _ => panic!("{what}: {before:?}"),
                    },
                    _ => panic!("{what}: {settled:?}, {before:?}"),
                };
                let words = match end {
                    End::Panic(_) => "ended before it sent",
                    // looked at for long, it has given up by itself
                    End::Unread if long() => "stayed locked by others",
                    _ => "interrupted before COMMIT",
                };
                assert!(why.contains(words), "{what}: {why}");
                assert!(self.has(), "{what}: and it is so");
            }
            Doing::Committing => {
                // Found out by asking the server: by the console, where the answer to COMMIT was so late that it asked, else
                // at the next start. One record can be told from the other by nothing, and a fault leaves no time to ask.
                let entries = journal.read().unwrap().entries;
                let endings: Vec<_> = entries.iter().map(|e| &e.ending).collect();
                assert!(
                    matches!(&endings[..], [Some(Ending::Committed { resolved: true, .. })]),
                    "{what}: {endings:?}"
                );
                assert!(!matches!(end, End::Panic(_)) || settled.len() == 1, "{what}: {settled:?}");
                assert!(!self.has(), "{what}: and it is so");
                self.run("grant usage on schema own to end_stranger");
            }
        }
        assert!(journal.read().unwrap().entries.iter().all(|entry| !entry.is_open()), "{what}");
    }

    fn ends(&self, doing: Doing, end: End) {
        let home = tempfile::tempdir().unwrap();
        let what = format!("{doing:?}, {end:?}");
        let under = if let End::HangUp(under) = end { under } else { Under::Shell };
        let mut console = self.console(home.path(), under);
        let frozen = self.begin(doing, &mut console);
        let mut busy = String::new();
        let begun = match end {
            End::Signal(signal) => {
                let begun = Instant::now();
                console.signal(signal);
                begun
            }
            End::Panic(place) => {
                let begun = Instant::now();
                console.send(&format!("\x1b[200~{place}\x1b[201~"));
                begun
            }
            End::HangUp(_) => {
                let begun = Instant::now();
                console.hangs_up();
                begun
            }
            End::Unread => {
                console.stops_reading();
                let (cpu, begun) = (console.cpu(), Instant::now());
                let look = if long() { Duration::from_secs(20) } else { Duration::from_secs(1) };
                while begun.elapsed() < look {
                    std::thread::sleep(Duration::from_millis(50));
                }
                let share = console.cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
                busy = format!(", {:.1} % of a processor while nobody read", share * 100.0);
                assert!(share < BUSY, "{what}: {share} of a processor");
                let begun = Instant::now();
                console.signal(Signal::TERM);
                begun
            }
        };
        while !console.is_gone() {
            assert!(begun.elapsed() < PATIENCE, "{what}: it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        println!("{what}: ended after {} ms{busy}", took.as_millis());
        assert!(took < END, "{what}: it took {took:?} to end");
        if under == Under::Shell {
            console.reads_again();
            let code = console.ends(PATIENCE);
            let panics = matches!(end, End::Panic(_));
            assert_eq!(code, if panics { 101 } else { 130 }, "{what}:\n{}", console.text());
            console.given_back().unwrap_or_else(|left| panic!("{what}: {left}"));
            assert_eq!(console.text().contains("provoked in"), panics, "{what}:\n{}", console.text());
        }
        drop(frozen);
        self.settled(doing, end, home.path(), &what);
    }

    /// Stopped and continued by a key and by a signal; then it does what it did before.
    fn stops(&self, doing: Doing) {
        let home = tempfile::tempdir().unwrap();
        let mut console = self.console(home.path(), Under::Shell);
        let frozen = self.begin(doing, &mut console);
        for how in ["Ctrl-Z", "SIGTSTP"] {
            let what = format!("{doing:?}, {how}");
            if how == "Ctrl-Z" {
                console.send(CTRL_Z);
            } else {
                console.signal(Signal::TSTP);
            }
            let begun = Instant::now();
            let stat = format!("/proc/{}/stat", console.pid.as_raw_nonzero());
            while !std::fs::read_to_string(&stat).unwrap().contains(") T ") || console.given_back().is_err() {
                assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", console.given_back());
                std::thread::sleep(Duration::from_millis(2));
            }
            println!("{what}: stopped after {} ms", begun.elapsed().as_millis());
            let before = console.raw().len();
            console.signal(Signal::CONT);
            console.wrote_after(before, b"\x1b[?1049h");
            assert!(console.given_back().is_err(), "{what}: it has the terminal again");
        }
        drop(frozen);
        match doing {
            Doing::Acting => {
                self.run("rollback");
                console.shows("Done and committed");
                self.run("grant usage on schema own to end_stranger");
            }
            Doing::Nothing | Doing::Asking | Doing::Committing => {
                console.press("?", "what it shows, and its keys");
            }
        }
        // a key that comes before a result has been written out is one for the screen before it
        std::thread::sleep(Duration::from_secs(1));
        console.send("q");
        assert_eq!(console.ends(PATIENCE), 0);
        console.given_back().unwrap_or_else(|left| panic!("{doing:?}, continued: {left}"));
        self.until("select not exists (select from pg_stat_activity where application_name = 'pgmoat')");
    }
}

/// Every cell, and long looks at the processor.
fn long() -> bool {
    std::env::var_os("PGMOAT_ENDINGS_ALL").is_some()
}

/// The preview of what mends the one finding, confirmed but for the last key.
fn fix(console: &mut Terminal) {
    console.press("8", "end_stranger");
    console.press("/grant-excess\r", "of");
    insist(console, "f", "What is run");
    insist(console, ENTER, "any other key");
}

#[test]
fn while_it_rests() {
    let world = World::new();
    // What only signals and a terminal that is gone do here is shown in `pty`.
    let elsewhere = |end: &End| matches!(end, End::Signal(_) | End::HangUp(_)) && !long();
    for end in ENDS.into_iter().filter(|end| !elsewhere(end)) {
        world.ends(Doing::Nothing, end);
    }
}

#[test]
fn while_a_question_runs() {
    let world = World::new();
    for end in ENDS {
        world.ends(Doing::Asking, end);
    }
    world.stops(Doing::Asking);
}

#[test]
fn while_an_action_waits_for_a_lock() {
    let world = World::new();
    for end in ENDS {
        world.ends(Doing::Acting, end);
    }
    world.stops(Doing::Acting);
}

#[test]
fn while_commit_waits() {
    let world = World::new();
    let short = [End::Signal(Signal::TERM), End::Panic("panic in the loop"), End::HangUp(Under::Setsid)];
    for end in ENDS.into_iter().filter(|end| long() || short.contains(end)) {
        world.ends(Doing::Committing, end);
    }
}

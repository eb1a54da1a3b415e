//! The console in a real terminal: it gives the terminal back however it ends, survives every size, paints before a
//! server answers, and no key in any pane makes it fall.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    cli,
    support::{
        cluster::{self, Shared},
        terminal::{CTRL_C, CTRL_Z, DOWN, ENTER, ESC, LONE_ESC, PATIENCE, Start, TAB, Terminal, Under},
    },
};

/// How long the console may take to end.
const END: Duration = Duration::from_secs(2);

fn shared() -> Arc<Shared> {
    cluster::shared(cluster::newest()).unwrap()
}

fn url(shared: &Shared) -> String {
    shared.cluster().url("postgres", "postgres")
}

/// The console on a server that answers, once the answer stands there.
fn console(home: &tempfile::TempDir, under: Under) -> Terminal {
    let console = Start::new(home.path(), &[&url(&shared())]).under(under).run();
    console.shows("PRIMARY");
    console
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Ends the program and measures it; then the terminal must be as before.
#[track_caller]
fn ends(console: &mut Terminal, how: &str, code: u32, end: impl FnOnce(&mut Terminal)) {
    let begun = Instant::now();
    end(console);
    assert_eq!(console.ends(PATIENCE), code, "{how}:\n{}", console.text());
    let took = begun.elapsed();
    assert!(took < END, "{how}: it took {took:?} to end");
    console.given_back().unwrap_or_else(|left| panic!("{how}: {left}"));
}

#[test]
fn however_it_ends_the_terminal_is_given_back() {
    let signals = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];
    let keys = [("q", 0), (CTRL_C, 0)];
    for (key, code) in keys {
        let home = home();
        let mut console = console(&home, Under::Shell);
        assert!(console.given_back().is_err(), "while it runs the terminal is the console's");
        ends(&mut console, &format!("{key:?}"), code, |console| console.send(key));
    }
    for signal in signals {
        let home = home();
        let mut console = console(&home, Under::Shell);
        // Something lies on top, and a text field has the keys.
        console.press("?", "what it shows, and its keys");
        console.press(&format!("{ESC}:"), "Overview");
        ends(&mut console, &format!("{signal:?}"), 130, |console| console.signal(signal));
    }
}

/// The comparison above is sharp: what cannot give the terminal back does not pass it.
#[test]
fn a_killed_console_is_seen_not_to_give_the_terminal_back() {
    let home = home();
    let mut console = console(&home, Under::Shell);
    console.signal(Signal::KILL);
    assert_eq!(console.ends(PATIENCE), 137);
    assert!(console.given_back().is_err());
}

#[test]
fn stopped_and_continued_it_works_on() {
    let home = home();
    let mut console = console(&home, Under::Shell);
    for how in ["Ctrl-Z", "SIGTSTP", "SIGSTOP"] {
        match how {
            "Ctrl-Z" => console.send(CTRL_Z),
            "SIGTSTP" => console.signal(Signal::TSTP),
            _ => console.signal(Signal::STOP),
        }
        let stat = format!("/proc/{}/stat", console.pid.as_raw_nonzero());
        let begun = Instant::now();
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(begun.elapsed() < PATIENCE, "{how}: it did not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
        if how != "SIGSTOP" {
            // it has stopped; what it wrote before may still be on its way to whoever reads the terminal
            let mut given = console.given_back();
            while given.is_err() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
                given = console.given_back();
            }
            given.unwrap_or_else(|left| panic!("{how}: {left}"));
        }
        let before = console.raw().len();
        console.signal(Signal::CONT);
        console.wrote_after(before, b"\x1b[?1049h");
        console.press("?", "what it shows, and its keys");
        console.send(LONE_ESC);
        console.shows_no("what it shows, and its keys");
        assert!(console.given_back().is_err(), "{how}: it has the terminal again");
    }
    ends(&mut console, "q", 0, |console| console.send("q"));
}

/// The holder of the terminal dies, as a window that is closed; what is in it must end and not spin. Once it is told by
/// a signal, once nothing but the terminal itself tells it.
#[test]
fn a_terminal_that_is_gone_ends_it() {
    for under in ["Nothing", "Setsid"] {
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pty::as_a_child_holds_a_terminal", "--nocapture"])
            .env("PGMOAT_TEST_TERMINAL", under)
            .env("PGMOAT_TEST_TARGET", url(&shared()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(holder.stdout.take().unwrap()));
        let pid = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("HOLDS ")?.to_owned())).unwrap();
        holder.kill().unwrap();
        holder.wait().unwrap();
        let begun = Instant::now();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                break;
            }
            let took = begun.elapsed();
            assert!(took < END, "{under}: still there after {took:?}: {stat}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs as a child of the test above. By itself it does nothing.
#[test]
fn as_a_child_holds_a_terminal() {
    let Ok(under) = std::env::var("PGMOAT_TEST_TERMINAL") else { return };
    let under = if under == "Setsid" { Under::Setsid } else { Under::Nothing };
    let home = home();
    let console = Start::new(home.path(), &[&std::env::var("PGMOAT_TEST_TARGET").unwrap()]).under(under).run();
    console.shows("PRIMARY");
    println!("\nHOLDS {}", console.pid.as_raw_nonzero());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_storm_of_sizes_is_survived() {
    let home = home();
    let mut console = console(&home, Under::Shell);
    let mut x: u32 = 7;
    let mut next = |most: u32| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((x >> 16) % most) as u16
    };
    for round in 0..200 {
        let (cols, rows) = match round % 10 {
            0 => (1, 1),
            1 => (0, 0),
            2 => (1, 300),
            3 => (500, 1),
            _ => (next(250), next(90)),
        };
        console.resize(cols, rows);
        console.send(["?", ESC, TAB, DOWN, ENTER][round % 5]);
    }
    console.resize(120, 40);
    console.send(&ESC.repeat(3));
    console.send("1");
    console.press("?", "what it shows, and its keys");
    ends(&mut console, "q", 0, |console| console.send("q"));
}

/// The numbers of every `ESC[…m` that was written.
fn faces(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw).into_owned();
    text.split("\x1b[")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('m')?.0.to_owned()))
        .filter(|numbers| numbers.chars().all(|c| c.is_ascii_digit() || c == ';'))
        .collect()
}

fn coloured(face: &str) -> bool {
    face.split(';').any(|n| matches!(n.parse::<u32>(), Ok(30..=38 | 40..=48 | 58 | 90..=97 | 100..=107)))
}

#[test]
fn without_colours_there_are_none() {
    let home = home();
    let url = url(&shared());
    let every_pane = |console: &mut Terminal| {
        for key in "123456789".chars() {
            console.send(&key.to_string());
            console.press("?", "what it shows, and its keys");
            console.send(ESC);
            console.shows_no("what it shows, and its keys");
        }
        faces(&console.raw())
    };
    for (args, env) in [(&[url.as_str()][..], Some("1")), (&["--no-color", url.as_str()], None)] {
        let mut start = Start::new(home.path(), args);
        if let Some(value) = env {
            start = start.env("NO_COLOR", value);
        }
        let mut console = start.run();
        console.shows("PRIMARY");
        let seen = every_pane(&mut console);
        let colours: Vec<_> = seen.iter().filter(|face| coloured(face)).collect();
        assert!(colours.is_empty(), "{args:?} {env:?}: {colours:?}");
    }
    // And with colours there are some, so the above can fail.
    let mut console = console(&home, Under::Nothing);
    assert!(every_pane(&mut console).iter().any(|face| coloured(face)));
}

#[test]
fn it_paints_and_hears_before_a_server_answers() {
    // It takes connections (the system does) and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = home();
    let target = format!("postgresql://nobody@{}/x", silent.local_addr().unwrap());
    let mut console = Start::new(home.path(), &[&target]).under(Under::Shell).run();
    console.shows("Connecting to");
    for (keys, text) in [
        ("2", "Schemas"),
        ("?", "Schemas: what it shows, and its keys"),
        (ESC, "Connecting to"),
        (":", "Overview"),
        (ESC, "Connecting to"),
    ] {
        console.press(keys, text);
    }
    assert!(console.text().contains("Connecting to") && !console.text().contains("PRIMARY"));
    ends(&mut console, "q", 0, |console| console.send("q"));
}

/// The titles of the panes, by their number key.
const PANES: [&str; 9] =
    ["Overview", "Schemas", "Roles", "Grants", "Sizes", "Sessions", "Versions", "Findings", "Journal"];

#[test]
fn every_key_works_in_every_pane_of_the_demo() {
    let home = home();
    for (cols, rows) in [(80, 24), (120, 40)] {
        let start = Start::new(home.path(), &["--config", cli::config()]);
        let mut console = start.size(cols, rows).under(Under::Shell).run();
        console.shows("engarde");
        for (at, title) in PANES.iter().enumerate() {
            let number = (at + 1).to_string();
            for keys in [
                &["j", "k", "l", "h", "G", "g", " ", "d", "R", "+", "-", "p", "p", "y"][..],
                &[ENTER, ENTER, ENTER, DOWN, "j", ESC, ESC, ESC],
                &["s", DOWN, ENTER, "s", ESC, "i", DOWN, ENTER, ESC, "i", ENTER],
                &[":", "ver", ENTER, ":", ESC],
                &["/", "a", "!b", ENTER, DOWN, ENTER, ESC, ESC, "/", "@flowdb", ENTER, ESC],
                &["w", ESC, "c", "f", "m", "I", "x", "X", "u", "Z", "\x1b[1;5A", "\x1bOP"],
            ] {
                console.send(&number);
                for key in keys {
                    console.send(key);
                }
                console.send(&ESC.repeat(4));
                console.send(&number);
                console.press("?", &format!("{title}: what it shows, and its keys"));
                console.send(ESC);
                console.shows_no("what it shows, and its keys");
            }
        }
        let raw = String::from_utf8_lossy(&console.raw()).into_owned();
        assert!(!raw.contains("panicked"), "{}", console.text());
        ends(&mut console, "q", 0, |console| console.send("q"));
    }
}

#[test]
fn a_pasted_text_is_no_keys() {
    let home = home();
    let mut console = console(&home, Under::Nothing);
    console.press("2?", "Schemas: what it shows, and its keys");
    console.send(ESC);
    console.shows_no("what it shows, and its keys");
    console.press("\x1b[200~3q\r:quit\rX\x03\x1b[201~", "nothing was pasted");
    // Not another pane, and not the end.
    console.press("?", "Schemas: what it shows, and its keys");
    console.send(ESC);
    console.shows_no("what it shows, and its keys");
    // In a text field it is text, the line feed included; the field stays open.
    console.press("/\x1b[200~needle\rq\x1b[201~", "needle");
    console.press("more", "more");
    assert!(console.is_alive());
}

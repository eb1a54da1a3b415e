//! A crowd of sessions that come and go under the same process ids while keys are pressed at random: every signal that is
//! ordered is for a session that stood in the preview, by process id and start.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    ActNews, Fate, Told,
    ending::Way,
    tests::{Bench, instance},
};
use crate::{
    app::{
        Effect, InstanceMsg, Msg,
        keymap::{Code, Key},
        overlay::Overlay,
        panes::sample::Sample,
    },
    config::target::Environment,
    domain::snapshot::{Mark, Session},
};

/// A session as it was once on the server. Each has a role of its own, so that what stands on a screen is known.
#[derive(Debug, Clone)]
struct Life {
    pid: i32,
    start_us: i64,
    role: String,
    query_start_us: i64,
    active: bool,
    age_ms: i64,
}

impl Life {
    fn name(&self) -> String {
        format!("{} ({})", self.pid, self.role)
    }
}

struct Storm {
    x: u64,
    bench: Bench,
    /// By process id: there are few, so that each comes back soon.
    now: BTreeMap<i32, Life>,
    /// Every one that ever was.
    ever: BTreeMap<(i32, i64), Life>,
    clock_us: i64,
    /// By ticket of a preview: the names that stood on the screen with it.
    shown: BTreeMap<u64, BTreeSet<String>>,
    /// Signals that were ordered; aims whose process id belonged to another session by then; those at the wrong one.
    signals: usize,
    aims: usize,
    reused: usize,
    wrong: Vec<String>,
}

const PIDS: i32 = 12;

impl Storm {
    fn new(seed: u64) -> Storm {
        let bench = Bench::over(instance(&["sankore"], Environment::Development));
        Storm {
            x: seed,
            bench,
            now: BTreeMap::new(),
            ever: BTreeMap::new(),
            clock_us: 1_000,
            shown: BTreeMap::new(),
            signals: 0,
            aims: 0,
            reused: 0,
            wrong: Vec::new(),
        }
    }

    fn next(&mut self, most: u64) -> u64 {
        self.x ^= self.x << 13;
        self.x ^= self.x >> 7;
        self.x ^= self.x << 17;
        self.x % most
    }

    /// Some sessions end, others begin under their process ids, others do something else; then the console is told.
    fn turn(&mut self) {
        for pid in 100..100 + PIDS {
            self.clock_us += 1;
            match self.next(8) {
                0 => {
                    self.now.remove(&pid);
                }
                1 | 2 => {
                    let role = format!("r{}", self.ever.len());
                    let (start_us, active) = (self.clock_us, self.next(3) > 0);
                    let life = Life { pid, start_us, role, query_start_us: start_us, active, age_ms: 0 };
                    self.ever.insert((pid, start_us), life.clone());
                    self.now.insert(pid, life);
                }
                3 => {
                    let (active, age_ms) = (self.next(3) > 0, self.next(100_000));
                    if let Some(life) = self.now.get_mut(&pid) {
                        life.active = active;
                        life.query_start_us = self.clock_us;
                        life.age_ms = i64::try_from(age_ms).unwrap();
                    }
                }
                _ => {}
            }
        }
        let mut sample = Sample::new();
        for life in self.now.values() {
            sample.session(life.pid, &life.role, |session: &mut Session| {
                session.backend_start_us = Some(life.start_us);
                session.query_start_us = Some(life.query_start_us);
                session.state = Some(if life.active { "active" } else { "idle in transaction" }.into());
                session.query_age_ms = Some(life.age_ms);
                session.transaction_age_ms = Some(life.age_ms);
            });
        }
        let judgement = Arc::new(sample.judgement());
        self.bench.app.update(Msg::Instance(0, InstanceMsg::Judgement(judgement)));
    }

    fn preview(&self) -> Option<u64> {
        match self.bench.app.overlays.last() {
            Some(Overlay::Preview(preview)) => Some(preview.ticket),
            _ => None,
        }
    }

    /// What is composed stands on the screen; its names are remembered.
    fn drawn(&mut self) {
        self.bench.drawn();
        let Some(ticket) = self.preview() else { return };
        let text = self.bench.text();
        let names = self.ever.values().map(Life::name).filter(|name| text.contains(name.as_str()));
        self.shown.entry(ticket).or_default().extend(names);
    }

    fn key(&mut self, key: Key) {
        let before = self.bench.effects.len();
        self.bench.key(key);
        let new: Vec<Effect> = self.bench.effects.drain(before..).collect();
        for effect in new {
            let Effect::Signal { ticket, ordered, .. } = effect else { continue };
            let order = ordered.order().clone();
            self.signals += 1;
            for aim in &order.aims {
                self.aims += 1;
                let Mark::Start(start_us) = aim.mark else { panic!("{aim:?}") };
                let meant = self.ever.get(&(aim.pid, start_us));
                let shown = self.shown.get(&ticket);
                let stood = meant.is_some_and(|life| shown.is_some_and(|names| names.contains(&life.name())));
                // a cancel is for one statement, which is never newer than the one that ran when the preview opened
                let statement = order.way == Way::Terminate || aim.query_start_us.is_some();
                if !stood || !statement || meant.map(Life::name) != Some(aim.name.clone()) {
                    self.wrong.push(format!("{aim:?}, shown were {shown:?}"));
                }
                let another = |life: &Life| life.start_us != start_us;
                self.reused += usize::from(self.now.get(&aim.pid).is_some_and(another));
            }
            let told = Told::new(Fate::Committed, "1 session was ended.");
            self.bench.app.update(Msg::Act(ticket, ActNews::Over(told)));
        }
    }

    fn press(&mut self) {
        let key = match (self.preview().is_some(), self.next(16)) {
            (true, 0..=6) | (false, 7) => Key::plain(Code::Enter),
            (true, 7..=11) | (false, 11) => Key::char('y'),
            (_, 13) => Key::char('j'),
            (_, 14) => Key::char('k'),
            (false, 0 | 1) => Key::char('x'),
            (false, 2 | 3) => Key::char('X'),
            (false, 4 | 5) => Key::char(' '),
            (false, 6) => Key::char('s'),
            (false, 8) => Key::char('G'),
            (false, 9) => Key::char('g'),
            (false, 10) => Key::char('6'),
            _ => Key::plain(Code::Esc),
        };
        self.key(key);
    }
}

#[test]
fn in_a_storm_of_sessions_only_those_on_the_screen_are_ended() {
    let keys: usize = std::env::var("PGMOAT_STORM_KEYS").map_or(500, |keys| keys.parse().unwrap());
    let mut storm = Storm::new(0x9E37_79B9_7F4A_7C15);
    storm.bench.app.update(Msg::Resize(160, 200));
    storm.turn();
    storm.drawn();
    storm.bench.keys("6");
    for _ in 0..keys {
        if storm.next(3) > 0 {
            storm.turn();
        }
        storm.press();
        // a frame is late now and then
        if storm.next(5) > 0 {
            storm.drawn();
        }
    }
    println!(
        "{keys} keys, {} sessions in all: {} signals for {} sessions, {} of which were another's process id by then; {} wrong",
        storm.ever.len(),
        storm.signals,
        storm.aims,
        storm.reused,
        storm.wrong.len()
    );
    assert!(storm.wrong.is_empty(), "{:#?}", storm.wrong);
    assert!(storm.signals * 100 > keys && storm.reused > 0, "too little was ordered to show anything");
}

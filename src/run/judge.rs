//! Judging, on a thread of its own: of the snapshots of an instance the newest wins, one is judged at a time, and the
//! matrix is kept while the catalog stays the same, and everything while nothing changed but sessions and sizes. The rules are read here too, and again when their files change.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc as blocking},
    thread,
};

use tokio::sync::mpsc;

use super::rules::{LoadRules, Rules, Times, times};
use crate::{
    domain::snapshot::Snapshot,
    policy::judgement::{Basis, Judgement},
};

/// What a thread came to.
pub(super) enum Judged {
    Judgement(Arc<Judgement>),
    Rules(Rules, Times),
}

type Job = Box<dyn FnOnce() + Send>;

/// See the module.
pub(super) struct Judges {
    all: Vec<Judge>,
    tell: mpsc::UnboundedSender<(usize, Judged)>,
    /// To the thread that judges, once there is something to do. One for all: a judgement takes and gives back tens of
    /// MiB, and the C library's allocator keeps what was given back apart for every thread.
    bench: Option<blocking::Sender<Job>>,
}

#[derive(Default)]
struct Judge {
    load: Option<LoadRules>,
    /// `None` until they were read.
    rules: Option<Rules>,
    /// When their files were changed, as of the last reading.
    seen: Times,
    loading: bool,
    /// The newest snapshot that is not judged yet.
    waiting: Option<Arc<Snapshot>>,
    /// The last one, to be judged again by other rules.
    last: Option<Arc<Snapshot>>,
    judging: bool,
    /// What the newest snapshot is compared with.
    before: Option<Arc<Judgement>>,
}

impl Judges {
    pub(super) fn new(tell: mpsc::UnboundedSender<(usize, Judged)>) -> Judges {
        Judges { all: Vec::new(), tell, bench: None }
    }

    /// The next instance, its rules as they were read already, and how to read them anew.
    pub(super) fn add(&mut self, load: Option<LoadRules>, first: Rules) {
        let seen = times(first.files.iter().map(PathBuf::as_path));
        let (rules, loading) = (load.is_none().then(Rules::default), load.is_some());
        self.all.push(Judge { load, rules, loading, ..Judge::default() });
        if loading {
            // the way that all others come
            let _ = self.tell.send((self.all.len() - 1, Judged::Rules(first, seen)));
        }
    }

    /// A new picture.
    pub(super) fn snapshot(&mut self, index: usize, snapshot: Arc<Snapshot>) {
        if let Some(judge) = self.all.get_mut(index) {
            judge.waiting = Some(snapshot);
        }
        self.start(index);
    }

    /// A judgement has arrived.
    pub(super) fn done(&mut self, index: usize, judgement: &Arc<Judgement>) {
        if let Some(judge) = self.all.get_mut(index) {
            judge.judging = false;
            judge.before = Some(Arc::clone(judgement));
        }
        self.start(index);
    }

    /// Rules have arrived. When they could not be read the last policy stays in force, and the files are watched on.
    pub(super) fn rules(&mut self, index: usize, mut rules: Rules, seen: Times) {
        if let Some(judge) = self.all.get_mut(index) {
            judge.loading = false;
            judge.seen = seen;
            if let (Some(before), true) = (&judge.rules, rules.problem.is_some()) {
                rules.policy.clone_from(&before.policy);
                rules.lineages = Arc::clone(&before.lineages);
            }
            judge.rules = Some(rules);
            if judge.waiting.is_none() {
                judge.waiting.clone_from(&judge.last);
            }
        }
        self.start(index);
    }

    /// Looks whether files of rules changed, and reads them again.
    pub(super) fn look(&mut self) {
        for index in 0..self.all.len() {
            self.load(index);
        }
    }

    /// Reads the rules of an instance when they were not read yet, or their files changed.
    fn load(&mut self, index: usize) {
        let Some(judge) = self.all.get_mut(index).filter(|j| !j.loading) else { return };
        let Some(load) = judge.load.clone() else { return };
        if judge.rules.is_some() && times(judge.seen.keys().map(PathBuf::as_path)) == judge.seen {
            return;
        }
        judge.loading = true;
        let tell = self.tell.clone();
        self.work(move || {
            let rules = load();
            let seen = times(rules.files.iter().map(PathBuf::as_path));
            // nobody listens when the console is over
            let _ = tell.send((index, Judged::Rules(rules, seen)));
        });
    }

    /// Judges what waits, if the rules are there and nothing is being judged.
    fn start(&mut self, index: usize) {
        let Some(judge) = self.all.get_mut(index).filter(|j| !j.judging) else { return };
        let Some(rules) = judge.rules.clone() else { return };
        let Some(snapshot) = judge.waiting.take() else { return };
        judge.judging = true;
        judge.last = Some(Arc::clone(&snapshot));
        let tell = self.tell.clone();
        let (policy, lineages) = (rules.policy, rules.lineages);
        let before = judge.before.as_ref();
        if let Some(judgement) = before.and_then(|b| b.unchanged(&snapshot, policy.as_ref(), &lineages)) {
            let _ = tell.send((index, Judged::Judgement(Arc::new(judgement))));
            return;
        }
        let basis = before.map(|b| Basis::of(b, &snapshot, policy.as_ref(), &lineages)).unwrap_or_default();
        self.work(move || {
            let judgement = Judgement::on(snapshot, policy, lineages, basis);
            let _ = tell.send((index, Judged::Judgement(Arc::new(judgement))));
        });
    }

    /// Does it one after the other, in the background.
    fn work(&mut self, job: impl FnOnce() + Send + 'static) {
        let mut job: Job = Box::new(job);
        if let Some(bench) = &self.bench {
            match bench.send(job) {
                Ok(()) => return,
                Err(unsent) => job = unsent.0,
            }
        }
        let (bench, jobs) = blocking::channel::<Job>();
        let judging = move || {
            for job in jobs {
                // one that panics has told so, and the next snapshot may be another matter
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        match thread::Builder::new().name("judging".to_owned()).spawn(judging) {
            Ok(_) => {
                let _ = bench.send(job);
                self.bench = Some(bench);
            }
            Err(_) => drop(tokio::task::spawn_blocking(job)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{
        domain::snapshot::{Catalog, Server},
        policy::Policy,
    };

    fn snapshot(catalog: &Arc<Catalog>) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            instance: "local".to_owned(),
            words: None,
            server: Arc::new(Server { version_num: 150_000, ..Server::default() }),
            catalog: Arc::clone(catalog),
            shapes: None,
            objects: crate::domain::snapshot::Objects::default(),
            versions: Arc::default(),
            sizes: Arc::default(),
            activity: None,
            unavailable: Vec::new(),
        })
    }

    struct Bench {
        judges: Judges,
        news: mpsc::UnboundedReceiver<(usize, Judged)>,
    }

    impl Bench {
        fn new(load: Option<LoadRules>) -> Bench {
            let (tell, news) = mpsc::unbounded_channel();
            let mut judges = Judges::new(tell);
            let rules = load.as_ref().map(|load| load()).unwrap_or_default();
            judges.add(load, rules);
            Bench { judges, news }
        }

        /// Takes in the next news as the loop does.
        async fn next(&mut self) -> Option<Arc<Judgement>> {
            match self.news.recv().await.unwrap() {
                (index, Judged::Judgement(judgement)) => {
                    self.judges.done(index, &judgement);
                    Some(judgement)
                }
                (index, Judged::Rules(rules, seen)) => {
                    self.judges.rules(index, rules, seen);
                    None
                }
            }
        }

        async fn judgement(&mut self) -> Arc<Judgement> {
            loop {
                if let Some(judgement) = self.next().await {
                    return judgement;
                }
            }
        }
    }

    #[tokio::test]
    async fn the_newest_snapshot_wins_and_the_matrix_is_kept() {
        let mut bench = Bench::new(None);
        let catalog = Arc::new(Catalog::default());
        let all: Vec<_> = (0..4).map(|_| snapshot(&catalog)).collect();
        for one in &all {
            bench.judges.snapshot(0, Arc::clone(one));
        }
        let first = bench.judgement().await;
        let second = bench.judgement().await;
        assert!(Arc::ptr_eq(&first.snapshot, &all[0]) && Arc::ptr_eq(&second.snapshot, &all[3]), "two were left out");
        assert!(Arc::ptr_eq(&first.matrix, &second.matrix), "the catalog is the same");
        bench.judges.snapshot(0, snapshot(&Arc::new(Catalog::default())));
        assert!(!Arc::ptr_eq(&bench.judgement().await.matrix, &second.matrix), "another catalog");
    }

    #[tokio::test]
    async fn rules_are_waited_for_and_read_again_when_their_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engarde.policy.toml");
        fs::write(&path, "first").unwrap();
        let readings = Arc::new(AtomicUsize::new(0));
        let load: LoadRules = {
            let (path, readings) = (path.clone(), Arc::clone(&readings));
            Arc::new(move || {
                readings.fetch_add(1, Ordering::SeqCst);
                let name = fs::read_to_string(&path).unwrap();
                let bad = name == "bad";
                Rules {
                    policy: (!bad).then(|| Arc::new(Policy { name, ..Policy::default() })),
                    files: vec![path.clone()],
                    problem: bad.then(|| "it is bad".to_owned()),
                    ..Rules::default()
                }
            })
        };
        let mut minutes = 0;
        let mut change = |text: &str| {
            minutes += 1;
            fs::write(&path, text).unwrap();
            let later = SystemTime::now() + Duration::from_secs(60 * minutes);
            fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        };
        let name = |j: &Judgement| j.policy.as_ref().map(|p| p.name.clone()).unwrap();

        let mut bench = Bench::new(Some(load));
        let picture = snapshot(&Arc::new(Catalog::default()));
        bench.judges.snapshot(0, Arc::clone(&picture));
        assert_eq!(name(bench.judgement().await.as_ref()), "first", "not judged before the rules were read");
        bench.judges.look();
        assert_eq!(readings.load(Ordering::SeqCst), 1, "nothing changed");

        change("second");
        bench.judges.look();
        let judgement = bench.judgement().await;
        assert_eq!(name(judgement.as_ref()), "second");
        assert!(Arc::ptr_eq(&judgement.snapshot, &picture), "judged again without a new reading");

        change("bad");
        bench.judges.look();
        assert_eq!(name(bench.judgement().await.as_ref()), "second", "the last good policy stays in force");
        change("third");
        bench.judges.look();
        assert_eq!(name(bench.judgement().await.as_ref()), "third", "and the file was watched on");
    }
}

//! Reach: a table of connection strings, with their environment and files, against servers of every kind. psql is asked
//! first and we must end as it does: connected to the same server in the same way, or refused for the same reason.

pub mod certificates;
mod rows;
mod verdict;
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pgmoat::demo::cluster::Server;
use rows::{Expected, Row};
use tokio::{sync::Semaphore, task::JoinSet};
use verdict::{Psql, Verdict, ours};
use world::World;

use crate::support::cluster;

/// For a server that does not answer although nothing in the row says so.
const LIMIT: Duration = Duration::from_secs(20);
/// Attempts at a time; the machine has others to do, too.
const AT_ONCE: usize = 6;

/// What psql and we made of one row.
struct Compared {
    row: Row,
    theirs: Verdict,
    ours: Verdict,
    shown: String,
}

impl Compared {
    /// What is wrong, if anything is.
    fn complaint(&self) -> Option<String> {
        let as_said = |expected: &Expected, got: &Verdict| match (expected, got) {
            (Expected::In, Verdict::In(_)) => true,
            (Expected::Out(why), Verdict::Out(got)) => why == got,
            (Expected::In, Verdict::Out(_)) | (Expected::Out(_), Verdict::In(_)) => false,
        };
        let mut wrong = Vec::new();
        match &self.row.ours {
            Some(why) if !as_said(why, &self.ours) => wrong.push(format!("on purpose: {why:?}")),
            Some(_) if self.ours == self.theirs => wrong.push("differs no more".to_owned()),
            None if self.ours != self.theirs => wrong.push("differs".to_owned()),
            Some(_) | None => {}
        }
        if let Some(why) = &self.row.later
            && !as_said(why, &self.ours)
        {
            wrong.push(format!("expected {why:?}"));
        }
        wrong
            .extend(self.row.says.iter().filter(|words| !self.shown.contains(**words)).map(|w| format!("unsaid: {w}")));
        wrong.extend(self.shown.contains("canary").then(|| "a password is shown".to_owned()));
        wrong.extend(self.shown.contains("NO REMEDY").then(|| "no remedy".to_owned()));
        (!wrong.is_empty()).then(|| {
            let Row { text, env, home, cert, .. } = &self.row;
            format!(
                "{}\n  {text}\n  {env:?} home {home:?} cert {cert}\n  psql: {:?}\n  ours: {:?}\n  {}\n",
                wrong.join("; "),
                self.theirs,
                self.ours,
                self.shown.lines().last().unwrap_or_default(),
            )
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_string_ends_as_with_psql() {
    let Some(psql) = Psql::find() else {
        eprintln!("SKIPPED: no psql on this machine.");
        return;
    };
    let Some(world) = World::start().await else { return };
    let begun = Instant::now();
    let later = cluster::server(18).and_then(|server| match server {
        Server::Programs(programs) => psql.with_library(&programs.dir.join("../lib")),
        Server::Container { .. } => None,
    });
    if later.is_none() {
        eprintln!("No libpq of version 18 here: for its words, what is written down counts.");
    }
    let (psql, later) = (Arc::new(psql), later.map(Arc::new));
    let mut rest = rows::all(&world);
    let (mut count, mut asked, mut wrong) = (0, 0, Vec::new());
    while let Some(cert) = rest.first().map(|row| row.cert) {
        if cert != certificates::GOOD {
            world.serve(cert).await;
        }
        let batch: Vec<Row> = rest.extract_if(.., |row| row.cert == cert).collect();
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for row in batch {
            let env = world.env(row.home, &row.env);
            let oracle = if row.later.is_none() { Some(Arc::clone(&psql)) } else { later.clone() };
            let permits = Arc::clone(&permits);
            running.spawn(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                let (text, surroundings) = (row.text.clone(), env.clone());
                let theirs = tokio::task::spawn_blocking(move || oracle.map(|psql| psql.ask(&text, &surroundings)));
                let (ours, shown) = ours(&row.text, &env, LIMIT).await;
                let theirs = theirs.await.unwrap();
                (theirs.is_some(), Compared { theirs: theirs.unwrap_or_else(|| ours.clone()), row, ours, shown })
            });
        }
        while let Some(done) = running.join_next().await {
            let (by_psql, compared) = done.unwrap();
            count += 1;
            asked += usize::from(by_psql);
            wrong.extend(compared.complaint());
        }
    }
    eprintln!(
        "REACH: {count} connection strings, {asked} of them asked of psql, {:.1} s",
        begun.elapsed().as_secs_f32()
    );
    assert!(count >= 120, "the table has only {count} rows");
    assert!(wrong.is_empty(), "{} of {count} differ from psql:\n{}", wrong.len(), wrong.join("\n"));
}

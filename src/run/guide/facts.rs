//! What the steps found out, in the words of the screens.

use std::path::Path;

use super::super::{
    handover,
    setup::{self, Fresh, Judged, Kind, Login, Opened, Tries, Trouble, Writing},
};
use crate::{
    app::{
        act::Ready,
        view::Tone,
        wizard::{self, Around, Block, Place, Proof, Proven, Remaining, Text},
        wording,
    },
    config::{Env, target::Environment},
    discover::{Discovery, Found, Reach, Secret},
    policy::{Policy, Service, Severity, judgement::Judgement, versions::declared_place},
    text,
};

/// How careful to be, of a word.
pub(super) fn careful(word: &str) -> Option<Environment> {
    let all = [Environment::Development, Environment::Staging, Environment::Production];
    all.into_iter().find(|e| e.word() == word)
}

/// What to say of a trouble: what, then what to do.
pub(super) fn lines(trouble: &Trouble) -> Vec<String> {
    let said = trouble.message.lines().chain(trouble.remedy.lines());
    let mut lines: Vec<String> = said.map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if let Some(first) = lines.first_mut() {
        let mut letters = first.chars();
        if let Some(c) = letters.next() {
            *first = c.to_uppercase().chain(letters).collect();
        }
    }
    lines
}

pub(super) fn trouble(trouble: &Trouble) -> wizard::Trouble {
    // a wrong one is asked for again
    let wants = trouble.kind == Kind::PasswordNeeded || trouble.message.contains("28P01");
    wizard::Trouble { lines: lines(trouble), wants_password: wants }
}

// ── what was found ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Paths beneath the directory without it.
fn near(words: &str, dir: &Path) -> String {
    words.replace(&format!("{}/", dir.display()), "")
}

fn reach(found: &Found) -> String {
    match &found.reach {
        Reach::Answers { tls: true } => "answers, with TLS".to_owned(),
        Reach::Answers { tls: false } => "answers".to_owned(),
        Reach::Closed => "nothing listens there now".to_owned(),
        Reach::Silent => "no answer".to_owned(),
        Reach::Stranger => "something else answers there".to_owned(),
        Reach::Inside => "only inside Docker's network".to_owned(),
        Reach::NotTried(why) => format!("not tried: {why}"),
    }
}

fn secret(secret: &Secret) -> String {
    match secret {
        Secret::None(why) => format!("none: {why}"),
        Secret::Written { variable, at } => format!("{variable} in {at}, used when the server asks"),
        Secret::File(path) => format!("the file {}, used when the server asks", path.display()),
        Secret::Environment(variable) => format!("{variable} of this shell"),
        Secret::Pgpass => "in libpq's password file".to_owned(),
        Secret::Container { variable, container } => format!("{variable} of container {container}"),
        Secret::Unknown => "asked for when the server wants one".to_owned(),
    }
}

/// With the role and the database that a server has at first, where nothing says another.
fn complete(found: &Found) -> Found {
    let first = || Some("postgres".to_owned());
    Found {
        user: found.user.clone().or_else(first),
        database: found.database.clone().or_else(|| found.user.clone()).or_else(first),
        ..found.clone()
    }
}

/// What looking around led to.
pub(super) fn around(discovery: &Discovery, dir: &Path) -> Around {
    let place = |found: &Found| {
        let mut facts = vec![("from", near(&found.origins.join("; "), dir))];
        facts.push(("password", near(&secret(&found.secret), dir)));
        for neighbour in &found.neighbours {
            let role = neighbour.user.as_deref().map_or_else(String::new, |u| format!(" as {u}"));
            let schemas = match neighbour.schemas.as_slice() {
                [] => String::new(),
                some => format!(", schema {}", some.join(", ")),
            };
            facts.push(("service", format!("{}{role}{schemas}", neighbour.service)));
        }
        facts.extend(found.notes.iter().map(|note| ("note", near(note, dir))));
        let product = if found.product.is_empty() { "a database" } else { &found.product };
        Place {
            name: found.name.clone(),
            conninfo: complete(found).conninfo(),
            guessed: found.libpq_service.is_none() && (found.user.is_none() || found.database.is_none()),
            state: format!("{product}, {}", reach(found)),
            answers: found.answers(),
            facts,
        }
    };
    let looked = discovery.looked.iter().map(|l| format!("{}: {}", l.what, near(&l.result, dir)));
    Around { places: discovery.found.iter().map(place).collect(), looked: looked.collect() }
}

/// A server that answered.
pub(super) fn opened(opened: &Opened, url: String, found: Option<&Found>) -> wizard::Opened {
    let server = &opened.snapshot.server;
    let sees = opened.sees.iter().map(|seen| {
        let grant = seen.grant.as_ref().map_or_else(String::new, |grant| format!(" What would help: {grant}"));
        (if seen.good { Tone::Good } else { Tone::Warning }, format!("{}{grant}", seen.sentence))
    });
    let plain = Judgement::new(std::sync::Arc::clone(&opened.snapshot), None, std::sync::Arc::default(), None);
    let wrong = plain.findings.iter().filter(|f| f.severity > Severity::Info);
    let wrong = wrong.map(|f| (wording::tone(f.severity), f.message.clone(), f.schema.clone()));
    wizard::Opened {
        snapshot: std::sync::Arc::clone(&opened.snapshot),
        url,
        sees: sees.collect(),
        wrong: wrong.collect(),
        environment: opened.target.environment,
        neighbours: found.map(|f| setup::neighbours(f, &server.database)).unwrap_or_default(),
    }
}

/// What the answers ask for.
pub(super) fn judged(opened: &Opened, judged: &Judged, ready: Box<Ready>) -> wizard::Judged {
    let day = jiff::Zoned::now().date().to_string();
    let remaining = judged.open.iter().map(|open| Remaining {
        finding: open.id.clone(),
        message: open.message.clone(),
        tone: wording::tone(open.severity),
        why: format!("{} {}", open.why, open.remedy),
        later: open.command.clone().unwrap_or_else(|| "in the pane Findings of the console".to_owned()),
        reason: open.reason(&day),
    });
    wizard::Judged {
        snapshot: std::sync::Arc::clone(&opened.snapshot),
        remaining: remaining.collect(),
        script: setup::sql(&judged.plan, &judged.plan.target.instance),
        ready: (!ready.plan.is_empty()).then_some(ready),
    }
}

/// Where a password was written down.
pub(super) fn password(fresh: &Fresh) -> (Tone, String) {
    let words = format!("The password of {} is in {}; only you can read it.", fresh.role, fresh.file.display());
    (Tone::Good, words)
}

/// A file as it will be.
pub(super) fn text(writing: &Writing) -> Text {
    let what = match &writing.before {
        None => "new",
        Some(_) if !writing.changes() => "stays as it is",
        Some(_) if writing.private => "is added to",
        Some(_) => "replaces the one that is there",
    };
    Text { path: writing.path.display().to_string(), what: what.to_owned(), text: writing.text.clone() }
}

// ── proofs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What holds: logins, the matrix, version tables, and what `check` would say.
pub(super) async fn proven(
    opened: &Opened,
    judged: &Judged,
    tries: &Tries,
    env: &Env,
    fresh: &[Fresh],
    writings: &[Writing],
) -> Proven {
    let mut proofs = Vec::new();
    let mut unasked: Vec<String> = Vec::new();
    let policy = &judged.policy;
    for test in setup::login_tests(&opened.target, &logins(policy, fresh), tries, env).await {
        let whose = test.services.join(", ");
        let serves = policy.services.iter().any(|s| s.role == test.role);
        proofs.push(match test.login {
            Login::In { lands, asked, .. } => {
                let sentence = if serves {
                    format!("{whose}: logged in as {}; {lands}.", test.role)
                } else {
                    format!("{whose}: logged in; it reads and makes nothing.")
                };
                if !asked {
                    unasked.push(test.role);
                }
                Proof { holds: Some(true), sentence, remedy: None }
            }
            Login::Out(why) => Proof {
                holds: Some(false),
                sentence: format!(
                    "{whose}: a login as {} fails: {}",
                    test.role,
                    why.lines().next().unwrap_or_default()
                ),
                remedy: why
                    .contains("28P01")
                    .then(|| format!("`pgmoat set-password` gives {} a password that is known.", test.role)),
            },
            Login::Untried(why) => Proof {
                holds: None,
                sentence: format!("{whose}: a login as {} was not tried: {why}.", test.role),
                remedy: None,
            },
        });
    }
    if !unasked.is_empty() {
        let words = "The server asked for no password: pg_hba.conf lets this connection in without one, as";
        let sentence = format!("{words} {}.", text::list(&unasked, 4));
        proofs.push(Proof { holds: None, sentence, remedy: None });
    }
    match setup::open(&opened.target).await {
        Ok(now) => {
            let lineages = std::sync::Arc::default();
            match setup::judge_by(
                &now.snapshot,
                &judged.plan.target.instance,
                std::sync::Arc::clone(policy),
                lineages,
                Vec::new(),
            )
            .await
            {
                Ok(again) => proofs.extend(held(&again, judged)),
                Err(trouble) => proofs.push(failed(&trouble)),
            }
        }
        Err(trouble) => proofs.push(failed(&trouble)),
    }
    proofs.extend(writings.iter().map(|w| match std::fs::read_to_string(&w.path) {
        Ok(text) if text == w.text => {
            Proof { holds: Some(true), sentence: format!("Written: {}", w.path.display()), remedy: None }
        }
        Ok(_) => {
            Proof { holds: Some(false), sentence: format!("{} is another by now.", w.path.display()), remedy: None }
        }
        Err(error) => Proof {
            holds: Some(false),
            sentence: format!("could not read {}: {error}", w.path.display()),
            remedy: None,
        },
    }));
    let blocks = setup::hand_over(&opened.target, &policy.services, fresh).into_iter().map(|block| Block {
        service: block.service,
        file: block.file.map(|f| f.display().to_string()),
        text: block.text,
    });
    // what does not hold is read first
    proofs.sort_by_key(|p| p.holds != Some(false));
    let others = fresh.iter().filter(|f| !policy.services.iter().any(|s| s.role == f.role)).map(|f| Block {
        service: f.role.clone(),
        file: Some(f.file.display().to_string()),
        text: format!("DATABASE_URL={}\n", handover::handed(&opened.target, &f.role, None, None).url()),
    });
    Proven { proofs, blocks: blocks.chain(others).collect() }
}

/// The services, and every other role that got a password, as who logs in.
fn logins(policy: &Policy, fresh: &[Fresh]) -> Policy {
    let mut all = policy.clone();
    let serves = |role: &str| policy.services.iter().any(|s| s.role == role);
    if let Some(first) = policy.services.first() {
        all.services.extend(fresh.iter().filter(|f| !serves(&f.role)).map(|f| Service {
            name: f.role.clone(),
            role: f.role.clone(),
            login: None,
            instance: None,
            ..first.clone()
        }));
    }
    all
}

fn failed(trouble: &Trouble) -> Proof {
    Proof {
        holds: Some(false),
        sentence: format!("The database cannot be read again: {}", trouble.message),
        remedy: Some(trouble.remedy.clone()).filter(|r| !r.is_empty()),
    }
}

/// The database against the policy, read again.
fn held(again: &Judged, judged: &Judged) -> Vec<Proof> {
    let mut proofs = Vec::new();
    let judgement = &again.judgement;
    let findings: Vec<_> = judgement.findings.iter().filter(|f| f.severity > Severity::Info).collect();
    if let Some((all, different)) = judgement.cells {
        // what is left for now differs still
        let holds = different == 0 || findings.is_empty();
        proofs.push(Proof {
            holds: Some(holds),
            sentence: match (different, holds) {
                (0, _) => format!("The matrix is as declared, in all {all} cells."),
                (n, true) => format!("The matrix is as declared, but for {n} of {all} cells that are left for now."),
                (n, false) => format!("{n} of {all} cells of the matrix differ from what is declared."),
            },
            remedy: (!holds).then(|| "`pgmoat plan` shows what they lack.".to_owned()),
        });
    }
    for service in judged.policy.services.iter().filter(|s| s.version_table.is_some()) {
        let place = declared_place(service);
        let home = judgement.versions.home_of(&service.name);
        let (holds, sentence) = match home {
            None => (true, format!("{}: its first migration makes {place}.", service.name)),
            Some(home) if home.resolved_by.contains(&service.role) => {
                (true, format!("{}: {} finds its version table {place}.", service.name, service.role))
            }
            Some(_) => (false, format!("{}: {} does not find its version table {place}.", service.name, service.role)),
        };
        let remedy = (!holds).then(|| "`pgmoat versions` tells where it looks.".to_owned());
        proofs.push(Proof { holds: Some(holds), sentence, remedy });
    }
    let left = judged.policy.accepted.len() as u64;
    let accepted = match left {
        0 => String::new(),
        n => format!("; {} left for now", text::count(n, "finding is", "findings are")),
    };
    proofs.push(Proof {
        holds: Some(findings.is_empty()),
        sentence: match findings.as_slice() {
            [] => format!("`pgmoat check` finds nothing to settle{accepted}."),
            [first, ..] => {
                let many = text::count(findings.len() as u64, "finding", "findings");
                format!("`pgmoat check` has {many}, first: {}", first.message)
            }
        },
        remedy: (!findings.is_empty()).then(|| "Enter opens the console; pane Findings settles them.".to_owned()),
    });
    proofs
}

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
    },
    config::{Conninfo, Env, target::Environment},
    discover::{Discovery, Found, Reach, Secret},
    policy::{
        Finding, Policy, Service, Severity,
        checks::role_search_path,
        judgement::Judgement,
        versions::{Class, TableCounts, VersionInfo, declared_place},
    },
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
    let wrong = wrong.map(|f| (f.severity, f.message.clone(), f.schema.clone()));
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
        severity: open.severity,
        why: format!("{} {}", open.why, open.remedy),
        later: open.command.clone().unwrap_or_else(|| "in the pane Findings of the console".to_owned()),
        reason: open.reason(&day),
    });
    wizard::Judged {
        snapshot: std::sync::Arc::clone(&opened.snapshot),
        remaining: remaining.collect(),
        script: crate::plan::script(&judged.plan, opened.snapshot.latest_us()),
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
    inside: Option<(&str, u16)>,
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
    let blocks = setup::hand_over(&opened.target, &policy.services, fresh, inside).into_iter().map(|block| Block {
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

/// What a service whose tables are not in its own schema finds of them.
fn tables(finding: &Finding) -> Option<Proof> {
    let service = finding.service.as_ref().filter(|_| finding.code == role_search_path::ROLE.code)?;
    let role = finding.role.as_deref().unwrap_or_default();
    let objects: Vec<&str> = finding.objects.iter().map(String::as_str).collect();
    let named = finding.remedy.split('`').nth(1).filter(|word| word.starts_with("pgmoat "));
    if finding.id.ends_with(role_search_path::UNSEEN) {
        let sentence = format!("{service}: {role} finds none of its tables: {}.", text::list(&objects, 6));
        return Some(Proof { holds: Some(false), sentence, remedy: Some(finding.remedy.clone()) });
    }
    let remedy = format!("The key I in the console moves them to its own schema; so does `{}`.", named?);
    let sentence = format!("{service}: {role} finds its tables where they were: {}.", text::list(&objects, 6));
    (!objects.is_empty()).then_some(Proof { holds: None, sentence, remedy: Some(remedy) })
}

/// That the next start asks for the password, and what spares it.
pub(super) fn asked_again(conninfo: &Conninfo) -> Option<Proof> {
    let line = setup::pgpass_line(conninfo)?;
    let remedy = format!(
        "p adds it to ~/.pgpass, as the line {line}, readable by you alone; or give the instance a password_command."
    );
    let sentence = format!("The password of {} is kept nowhere: the next start asks for it again.", conninfo.user);
    Some(Proof { holds: None, sentence, remedy: Some(remedy) })
}

/// The version table that holds the revision of a service and is not its own place.
fn stands(judgement: &Judgement, service: &str) -> Option<String> {
    let of = |v: &&VersionInfo| {
        let named = v.class == Class::Misplaced && v.service.as_deref() == Some(service);
        named || v.class == Class::Shared && v.rows.iter().any(|r| r.settled() == Some(service))
    };
    place_of(judgement, judgement.versions.0.iter().find(of)?)
}

fn place_of(judgement: &Judgement, info: &VersionInfo) -> Option<String> {
    let table = judgement.snapshot.versions.0.get(info.table)?;
    Some(format!("{}.{}", judgement.snapshot.catalog.schema_name(table.schema), table.name))
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
    let claims = judgement.versions.claims();
    let counts = TableCounts::new(&judgement.snapshot);
    for service in judged.policy.services.iter().filter(|s| s.version_table.is_some()) {
        let (name, role, place) = (&service.name, &service.role, declared_place(service));
        let (holds, sentence) = match judgement.versions.home_of(name) {
            Some(home) if home.class == Class::EmptyInUse => {
                (Some(false), format!("{name}: its version table {place} is empty, and its tables are there."))
            }
            Some(home) if home.resolved_by.contains(role) => {
                (Some(true), format!("{name}: {role} finds its version table {place}."))
            }
            Some(_) => (Some(false), format!("{name}: {role} does not find its version table {place}.")),
            None => match (claims.get(name.as_str()).and_then(|v| place_of(judgement, v)), stands(judgement, name)) {
                (Some(table), _) => (None, format!("{name}: {role} finds its revision in {table}, as before.")),
                (None, Some(table)) => {
                    let sentence = format!(
                        "{name}: its revision stands in {table}, where {role} does not look: `pgmoat isolate` takes it out \
                         with its tables, before anybody logs in as {role}."
                    );
                    (Some(false), sentence)
                }
                (None, None) if counts.in_use(&judgement.snapshot.catalog, service) => {
                    (Some(false), format!("{name}: it has tables, and {place} is not there to say their revision."))
                }
                (None, None) => (Some(true), format!("{name}: its first migration makes {place}.")),
            },
        };
        let remedy = (holds == Some(false)).then(|| "`pgmoat versions` tells where it looks.".to_owned());
        proofs.push(Proof { holds, sentence, remedy });
    }
    proofs.extend(judgement.findings.iter().filter_map(tables));
    let left = judged.policy.accepted.len() as u64;
    proofs.push(Proof {
        holds: Some(findings.is_empty()),
        sentence: match findings.as_slice() {
            [] if left == 0 => "`pgmoat check` finds nothing to settle.".to_owned(),
            [] => {
                let left = text::count(left, "finding is", "findings are");
                format!("`pgmoat check` finds nothing else: {left} left for now.")
            }
            [first, ..] => {
                let many = text::count(findings.len() as u64, "finding", "findings");
                format!("`pgmoat check` has {many}, first: {}", first.message)
            }
        },
        remedy: (!findings.is_empty()).then(|| "Enter opens the console; pane Findings settles them.".to_owned()),
    });
    proofs
}

//! What comes after COMMIT in the console: the passwords that the plan set, a login with them, the hand-over, the policy's
//! entry, where roles find their version tables. Knows no plan's inside and no screen.

use std::{path::Path, sync::Arc};

use secrecy::SecretString;

use super::handover;
use crate::{
    app::{
        act::{After, Aftermath, Handed, Hidden},
        view::Tone,
    },
    config::Target,
    plan::{Plan, PolicyEntry},
    server::apply::password,
};

/// A password that a plan sets, made here; on disk before it is set, unless it is a rehearsal.
pub(crate) struct Fresh {
    pub role: String,
    pub password: SecretString,
    pub noted: Option<handover::Noted>,
}

impl Fresh {
    /// One for each role that gets one.
    ///
    /// # Errors
    /// In words, when it cannot be written down: then nothing may be set.
    pub(crate) fn of(plan: &Plan, target: &Target, state: &Path, rehearse: bool) -> Result<Vec<Fresh>, String> {
        let made = plan.passwords().map(|role| {
            let password = password::generate();
            let noted = if rehearse {
                None
            } else {
                let url = handover::handed(target, role, None, Some(&password)).url();
                Some(handover::noted(state, &target.name, role, &url)?)
            };
            Ok(Fresh { role: role.to_owned(), password, noted })
        });
        made.collect()
    }
}

/// What is found out and made once it is committed: logins, the hand-over, the policy's entry, where version tables are.
pub(crate) async fn aftermath(
    target: &Target,
    fresh: Vec<Fresh>,
    after: After,
    entry: Option<PolicyEntry>,
) -> Aftermath {
    let mut made = Aftermath::default();
    let several = fresh.len() > 1;
    for Fresh { role, password, noted } in fresh {
        let Some(file) = noted.map(handover::Noted::keep) else { continue };
        match handover::tried(target, &role, &password).await {
            Ok(seen) => {
                made.said.push((Tone::Good, format!("Logged in as {}: {}.", seen.user, handover::landed(&seen))));
                if !seen.password_was_asked {
                    made.said.push((Tone::Warning, handover::UNASKED.to_owned()));
                }
            }
            Err(error) => {
                made.said.push((Tone::Error, format!("It was set up, but a login as {role} fails: {error}")));
            }
        }
        let service = after.service.as_ref().filter(|s| s.role == role);
        let text = match service {
            Some(service) => handover::handed(target, &role, Some(service), None).text(),
            None => format!("DATABASE_URL={}\n", handover::handed(target, &role, None, None).url()),
        };
        let (file, password) = (file.display().to_string(), Hidden(Arc::new(password)));
        if several {
            made.said.push((Tone::Text, format!("The URL of {role} with its password is in {file}.")));
        }
        made.handover = Some(Handed { role, file, text, password });
    }
    if let Some(remains) = &after.remains {
        let told = handover::cleared(remains).into_iter();
        made.said.extend(told.map(|(good, words)| (if good { Tone::Good } else { Tone::Warning }, words)));
    }
    if let Some(entry) = entry {
        made.said.push(match handover::add(&entry) {
            Ok(()) => (Tone::Good, format!("Added to {}.", entry.file.display())),
            Err(error) => (Tone::Error, format!("The database is set up, but the policy is as it was: {error}")),
        });
    }
    for place in &after.whereabouts {
        let tone = if place.holds() { Tone::Good } else { Tone::Warning };
        made.said.push((tone, place.now()));
    }
    made.said.extend(after.needs.into_iter().map(|need| (Tone::Warning, need)));
    made
}

/// Nobody knows whether it was committed: the passwords that roles may have by now are kept.
pub(crate) fn kept(fresh: Vec<Fresh>) -> Aftermath {
    let kept = fresh.into_iter().filter_map(|f| f.noted.map(|noted| (f.role, noted.keep_aside())));
    let said = kept.map(|(role, path)| {
        (Tone::Warning, format!("The password that {role} may have now is in {}.", path.display()))
    });
    Aftermath { said: said.collect(), handover: None }
}

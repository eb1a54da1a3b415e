//! Who holds rights on what goes: each keeps them or loses them, as somebody says.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use crate::{
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, On},
        effective::Matrix,
    },
    plan::{
        Hazard, HazardKind,
        moves::{
            Question, note,
            objects::{Bundle, Choice, Held, Mover},
        },
    },
    policy::{Policy, Service, Undeclared},
    text,
};

/// Those who hold rights on what goes keep them or lose them, as somebody says. Also gives who keeps them.
pub(super) fn readers(
    mover: &Mover<'_>,
    matrix: &Matrix,
    bundle: &Bundle<'_>,
    wanted: &Wanted,
    held: &BTreeMap<Option<String>, Vec<Held>>,
    tables: &[String],
    questions: &mut Vec<Question>,
) -> (Vec<Change>, BTreeSet<Grantee>) {
    let mut changes = Vec::new();
    let mut kept: Vec<(Grantee, &[Held])> = Vec::new();
    let mut stopped: Vec<(Grantee, &Held)> = Vec::new();
    for (name, list) in held {
        let shown = name.as_deref().unwrap_or("PUBLIC");
        let who = name.clone().map_or(Grantee::Public, Grantee::Role);
        let about = format!("reader:{shown}");
        match (Choice { patterns: &wanted.keep_readers, answers: Some(&wanted.answers) }).of(&about, shown) {
            Some(true) => {
                // what is dead there stays dead: nobody gets in by a move
                if mover.lets_in(matrix, &who) {
                    changes.extend(mover.keep(&who, &wanted.role, Mover::reads_most(bundle, &who, list)));
                }
                kept.push((who, list));
            }
            Some(false) => stopped.extend(list.iter().map(|h| (who.clone(), h))),
            None => questions.push(Question {
                about,
                sentence: format!(
                    "{shown} holds rights on {} of what goes. Does it keep them?",
                    text::count(list.len() as u64, "object", "objects")
                ),
                flag: format!("--keep-reader {}", text::shell_word(shown)),
            }),
        }
    }
    let mut stays: BTreeSet<Grantee> = kept.iter().map(|(who, _)| who.clone()).collect();
    // Named, without a grant of its own until now: the old owner, or somebody who read as its member.
    for name in wanted.keep_readers.iter().filter(|n| !n.starts_with('!') && !n.contains(['*', '?'])) {
        if held.contains_key(&Some(name.clone())) || *name == wanted.role || name == "PUBLIC" || tables.is_empty() {
            continue;
        }
        let who = Grantee::Role(name.clone());
        changes.push(Change::Grant {
            privileges: Privilege::Select.into(),
            on: On::Objects { kind: ObjectKind::Table, schema: wanted.schema.clone(), names: tables.to_vec() },
            to: who.clone(),
        });
        changes.extend(mover.keep(&who, &wanted.role, true));
        stays.insert(who);
    }
    // What somebody who stays holds from somebody who goes it gets from the owner.
    let gone: BTreeSet<&Grantee> = stopped.iter().map(|(who, _)| who).collect();
    let from_gone = |h: &&Held| h.grantor.clone().is_some_and(|by| gone.contains(&Grantee::Role(by)));
    let passed: Vec<(Grantee, &Held)> =
        kept.iter().flat_map(|(who, list)| list.iter().filter(from_gone).map(|h| (who.clone(), h))).collect();
    changes.extend(passed.iter().flat_map(|(who, h)| h.by_owner(&wanted.schema, who)));
    // What was passed on is taken before the option that it was passed on with.
    stopped.extend(passed);
    stopped.sort_by_key(|(_, h)| std::cmp::Reverse(h.depth));
    changes.extend(stopped.iter().map(|(who, h)| h.revoke(&wanted.schema, who)));
    (changes, stays)
}

/// Readers that stay without the policy saying so: the next check would accuse them.
pub(super) fn undeclared_readers(
    policy: Option<&Policy>,
    service: &Service,
    stays: &BTreeSet<Grantee>,
    schema: &str,
) -> Option<Hazard> {
    let policy = policy.filter(|p| p.undeclared != Undeclared::Ignore)?;
    let said = |name: &str| {
        let of_rule = policy.roles.iter().filter(|r| r.name == name).map(|r| &r.access);
        let of_services = policy.services.iter().filter(|s| s.role == name || s.owner == name).map(|s| &s.access);
        let mut access = of_rule.chain(of_services);
        name == service.role || service.creators.iter().any(|c| c == name) || access.any(|a| a.contains_key(schema))
    };
    let names = stays.iter().filter_map(|who| match who {
        Grantee::Role(name) => Some(name.as_str()),
        Grantee::Public => None,
    });
    let names: Vec<&str> = names.filter(|name| !said(name)).collect();
    names.first()?;
    let verb = if names.len() == 1 { "keeps" } else { "keep" };
    Some(note(
        HazardKind::Note,
        format!(
            "{} {verb} what it reads, and the policy does not say so: declare it for {} before the next check names it as \
             excess, as an [[exception]] with these tables or as access to all of them.",
            text::list(&names, 4),
            schema
        ),
    ))
}

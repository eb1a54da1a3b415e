//! What the flags say: put into a draft, or compared with a policy that is there.

use super::place::Place;
use crate::{
    cli::{args::Init, failure::Failure},
    domain::snapshot::Snapshot,
    policy::{
        Level, Policy,
        checks::audit_schema_missing::AUDIT,
        draft::{Draft, DraftService},
    },
    text,
};

/// Today, as it stands in a reason: `2026-11-21`.
pub fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

fn wrong(flag: &str, text: &str, remedy: &str) -> Failure {
    Failure::usage(format!("could not read {flag} {text}"), remedy)
}

/// One `--service`: name, schema, role.
fn service(text: &str) -> Result<(&str, Option<&str>, Option<&str>), Failure> {
    let (name, rest) = text.split_once('=').map_or((text, None), |(name, rest)| (name, Some(rest)));
    let (schema, role) = match rest {
        None => (None, None),
        Some(rest) => rest.split_once(':').map_or((Some(rest), None), |(schema, role)| (Some(schema), Some(role))),
    };
    let empty = |part: Option<&str>| part.is_some_and(str::is_empty);
    if name.is_empty() || empty(schema) || empty(role) {
        return Err(wrong("--service", text, "For example --service orders, or --service orders=shop:orders_app."));
    }
    Ok((name, schema, role))
}

/// One `--access`: service, schema, levels.
fn access(text: &str) -> Result<(&str, &str, Vec<Level>), Failure> {
    let help = "For example --access billing:orders=read,append; levels: none, usage, read, append, write, reference, \
                execute, all.";
    let bad = || wrong("--access", text, help);
    let (place, words) = text.rsplit_once('=').ok_or_else(bad)?;
    let (of, to) = place.split_once(':').ok_or_else(bad)?;
    let mut levels = Vec::new();
    for word in words.split(',').map(str::trim).filter(|w| *w != "none") {
        let level = Level::ALL.into_iter().find(|l| l.word() == word && *l != Level::Own).ok_or_else(bad)?;
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
    if of.is_empty() || to.is_empty() { Err(bad()) } else { Ok((of, to, levels)) }
}

/// The draft with what the flags say.
///
/// # Errors
/// A flag that cannot be read, or that speaks of a service that is not there.
pub fn given(mut draft: Draft, snapshot: &Snapshot, args: &Init, place: &Place) -> Result<Draft, Failure> {
    draft.name = args.name.clone().unwrap_or_else(|| place.instance_name(&draft.name));
    place.free(&draft.name)?;
    if args.only_named {
        draft.services.iter_mut().for_each(|s| s.chosen = false);
    }
    for text in &args.services {
        let (name, schema, role) = service(text)?;
        draft.wish(snapshot, name, schema, role);
    }
    for name in &args.without {
        find(&mut draft, "--without", name)?.chosen = false;
    }
    let pair = |flag: &str, text: &str| match text.rsplit_once('=') {
        Some((name, value)) if !value.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(wrong(flag, text, "It is written SERVICE=VALUE.")),
    };
    for text in &args.owners {
        let (name, owner) = pair("--owner", text)?;
        find(&mut draft, "--owner", &name)?.owner = Some(owner);
    }
    for text in &args.limits {
        let (name, limit) = pair("--connection-limit", text)?;
        let limit = match limit.as_str() {
            "none" => None,
            number => Some(number.parse().map_err(|_| {
                wrong("--connection-limit", text, "For example --connection-limit orders=10, or orders=none.")
            })?),
        };
        find(&mut draft, "--connection-limit", &name)?.connection_limit = limit;
    }
    for name in &args.no_version_table {
        find(&mut draft, "--no-version-table", name)?.version_table = false;
    }
    for name in &args.new_password {
        find(&mut draft, "--new-password", name)?.new_password = true;
    }
    for text in &args.access {
        let (of, to, levels) = access(text)?;
        find(&mut draft, "--access", of)?;
        draft.set(of, to, &levels);
    }
    for name in &args.undeclared {
        let role = draft.roles.iter_mut().find(|r| r.rule.name == *name);
        let Some(role) = role else {
            let names: Vec<String> = draft.roles.iter().map(|r| r.rule.name.clone()).collect();
            let there = match names.as_slice() {
                [] => "No role has access besides the services'.".to_owned(),
                names => format!("Roles with access besides the services' are {}.", text::list(names, 8)),
            };
            return Err(no_such("--undeclared", "role", name, &names, &there));
        };
        role.chosen = false;
    }
    if args.reporting.is_some() {
        draft.reporting.clone_from(&args.reporting);
    }
    draft.audit = (draft.audit || args.audit) && !args.no_audit;
    let reason = args.reason.clone().unwrap_or_else(|| format!("left at the set-up on {}", today()));
    for finding in &args.leave {
        draft.leave(finding, &reason);
    }
    Ok(draft)
}

fn find<'a>(draft: &'a mut Draft, flag: &str, name: &str) -> Result<&'a mut DraftService, Failure> {
    let names: Vec<String> = draft.services.iter().map(|s| s.name.clone()).collect();
    let found = draft.services.iter_mut().find(|s| s.name == name);
    found.ok_or_else(|| {
        let there = match names.as_slice() {
            [] => "There is none yet: name it with --service.".to_owned(),
            [one] => format!("There is {one}; others are named with --service."),
            all => format!("There are {}; others are named with --service.", text::list(all, 8)),
        };
        no_such(flag, "service", name, &names, &there)
    })
}

/// A flag that speaks of something that is not there; what it may have meant, and all that is there.
fn no_such(flag: &str, what: &str, name: &str, names: &[String], there: &str) -> Failure {
    let near = text::nearest(name, names.iter().map(String::as_str));
    let near = near.map(|near| format!("Did you mean {near}? ")).unwrap_or_default();
    Failure::usage(format!("could not follow {flag}: there is no {what} {name}"), format!("{near}{there}"))
}

/// Services that flags speak of besides those that they ask for.
fn named(args: &Init) -> impl Iterator<Item = (&'static str, &str)> {
    let whole = [
        ("--without", &args.without),
        ("--no-version-table", &args.no_version_table),
        ("--new-password", &args.new_password),
    ];
    let whole = whole.into_iter().flat_map(|(flag, list)| list.iter().map(move |name| (flag, name.as_str())));
    let pairs = [("--owner", &args.owners), ("--connection-limit", &args.limits)];
    let pairs = pairs.into_iter().flat_map(|(flag, list)| list.iter().map(move |text| (flag, text.as_str())));
    whole.chain(pairs.filter_map(|(flag, text)| Some((flag, text.rsplit_once('=')?.0))))
}

/// The policy that is there declares everything that the flags ask for.
///
/// # Errors
/// It does not: it is the team's, and is not changed unasked. Or a flag speaks of a service that is neither there nor in
/// what would be proposed without it.
pub fn declared(policy: &Policy, draft: &Draft, args: &Init, path: &std::path::Path) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let known = |name: &str| policy.services.iter().find(|s| s.name == name);
    for text in &args.services {
        let (name, schema, role) = service(text)?;
        let fits = known(name).is_some_and(|s| {
            schema.is_none_or(|schema| s.schemas.iter().any(|n| n == schema)) && role.is_none_or(|r| s.role == r)
        });
        missing.extend((!fits).then(|| format!("--service {text}")));
    }
    for text in &args.access {
        let (of, to, levels) = access(text)?;
        let has = known(of).and_then(|s| s.access.get(to)).cloned().unwrap_or_default();
        let fits = levels.iter().all(|l| has.contains(l)) && has.iter().all(|l| levels.contains(l));
        missing.extend((!fits).then(|| format!("--access {text}")));
    }
    if let Some(role) = args.reporting.as_ref().filter(|r| !policy.roles.iter().any(|rule| rule.name == **r)) {
        missing.push(format!("--reporting {role}"));
    }
    if args.audit && !policy.schemas.iter().any(|s| s.name == AUDIT) {
        missing.push("--audit".to_owned());
    }
    for name in &args.without {
        missing.extend(known(name).map(|_| format!("--without {name}")));
    }
    if missing.is_empty() {
        for (flag, name) in named(args) {
            let mut names: Vec<String> = policy.services.iter().map(|s| s.name.clone()).collect();
            if flag == "--without" {
                // the policy was written without those
                names.extend(draft.services.iter().map(|s| s.name.clone()));
                names.sort_unstable();
                names.dedup();
            }
            if !names.iter().any(|n| n == name) {
                let there = match names.as_slice() {
                    [] => format!("The policy {} has none.", path.display()),
                    names => format!("By the policy {} and the database: {}.", path.display(), text::list(names, 8)),
                };
                return Err(no_such(flag, "service", name, &names, &there));
            }
        }
        return Ok(());
    }
    let cause = format!("could not follow {}: the policy {} says otherwise", text::list(&missing, 4), path.display());
    let remedy = "Change the policy and run `pgmoat apply`, add a service with `pgmoat create-schema`, or begin anew \
                  with --replace.";
    Err(Failure::usage(cause, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_or_explained() {
        assert_eq!(service("orders").unwrap(), ("orders", None, None));
        assert_eq!(service("orders=shop:app").unwrap(), ("orders", Some("shop"), Some("app")));
        assert_eq!(access("a:b=read,append").unwrap(), ("a", "b", vec![Level::Read, Level::Append]));
        assert_eq!(access("a:b=none").unwrap().2, vec![]);
        for bad in ["", "=x", "a=", "a=b:"] {
            assert!(service(bad).unwrap_err().remedy.is_some_and(|r| r.contains("--service")), "{bad}");
        }
        for bad in ["a:b", "a=read", "a:b=own", "a:b=reed", ":b=read"] {
            assert!(access(bad).unwrap_err().remedy.is_some_and(|r| r.contains("levels")), "{bad}");
        }
    }
}

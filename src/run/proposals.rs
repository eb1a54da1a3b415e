//! Plans for what a form asks: a service set up, a version table moved, a service isolated. Each is made from a fresh
//! reading of what it concerns, with what uses what where that matters; what stays open goes back as questions.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{
    acts::{Made, READINGS, because, complete, on_a_thread, picture, ready},
    handover,
};
use crate::{
    app::act::{After, IsolateFiles, Meaning, Ready},
    config::{Target, revisions},
    domain::{alembic::Lineages, dependencies::Dependencies, snapshot::Snapshot},
    plan::{
        HazardKind, Refused, build,
        moves::{self, Proposal, Whereabouts, isolate, tables, versions},
        setup,
    },
    policy::{Policy, Service, judgement::Judgement},
    text,
};

/// A service set up.
pub(super) async fn create(target: &Target, before: &Judgement, wanted: setup::Wanted, to_policy: bool) -> Made {
    let names = setup::schemas(&wanted).into_iter().map(str::to_owned).collect();
    let title = wanted.asked();
    let make = move |snapshot: &Arc<Snapshot>, _: &Dependencies, policy: Option<&Policy>, _: &Arc<Lineages>| {
        let made = setup::service(snapshot, policy, &wanted)?;
        let (questions, whereabouts) = (Vec::new(), Vec::new());
        Ok(Proposal { plan: made.plan, questions, whereabouts, service: Some(made.service) })
    };
    let ready = proposed(target, before, Arc::clone(&before.lineages), None, names, title, make).await?;
    Ok(written_down(ready, target, to_policy))
}

/// The plan says that the service will be added to the policy's file.
fn written_down(mut ready: Ready, target: &Target, to_policy: bool) -> Ready {
    if let (true, Some(path), Some(service)) = (to_policy, &target.policy, &ready.after.service) {
        let entry = handover::entry(path, service);
        ready.plan.notes = handover::announced(ready.plan.notes, Some(&entry));
        ready.plan.entry = Some(entry);
    }
    ready
}

/// A version table moved, or rows of it.
pub(super) async fn move_versions(target: &Target, before: &Judgement, wanted: versions::Wanted) -> Made {
    let names = versions::schemas(&wanted).into_iter().map(str::to_owned).collect();
    let title = wanted.asked();
    let make = move |snapshot: &Arc<Snapshot>, _: &Dependencies, policy: Option<&Policy>, lineages: &Arc<Lineages>| {
        versions::plan(snapshot, policy, lineages, &wanted)
    };
    proposed(target, before, Arc::clone(&before.lineages), None, names, title, make).await
}

/// A service out of the schema that it shares.
pub(super) async fn isolate(
    target: &Target,
    before: &Judgement,
    mut wanted: isolate::Wanted,
    files: IsolateFiles,
    to_policy: bool,
) -> Made {
    if let Some(path) = files.tables.map(at_home) {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let remedy = "It holds one name or glob on each line. Esc leads back to the form.".to_owned();
            vec![format!("There is no plan: could not read the tables from {}: {error}", path.display()), remedy]
        })?;
        wanted.tables.extend(moves::listed(&text));
    }
    let folders = files.revisions;
    let service = wanted.service.clone().unwrap_or_else(|| wanted.schema.clone());
    let mut lineages = Arc::clone(&before.lineages);
    if !folders.is_empty() {
        let (name, shown) = (service.clone(), folders.iter().map(|p| p.display().to_string()).collect::<Vec<_>>());
        let folders: Vec<PathBuf> = folders.into_iter().map(at_home).collect();
        let read = on_a_thread(move || revisions::read_many(&name, &folders)).await?;
        if read.scripts.is_empty() {
            let mut why = vec![format!("There is no revision script in {}.", text::list(&shown, 4))];
            why.extend(read.problems.iter().map(ToString::to_string));
            why.push("Name the folder that holds them, or the alembic.ini.".to_owned());
            return Err(why);
        }
        Arc::make_mut(&mut lineages).0.insert(service.clone(), read);
    }
    let names = BTreeSet::from([wanted.from.clone(), wanted.schema.clone()]);
    let title = wanted.asked();
    let around = Some(wanted.from.clone());
    let make =
        move |snapshot: &Arc<Snapshot>,
              dependencies: &Dependencies,
              policy: Option<&Policy>,
              lineages: &Arc<Lineages>| { isolate::plan(snapshot, dependencies, policy, lineages, &wanted) };
    let ready = proposed(target, before, lineages, around, names, title, make).await?;
    Ok(written_down(ready, target, to_policy))
}

/// `~/x` as a shell means it.
fn at_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path,
    }
}

/// Reads, plans, and reads again what the plan turned out to stand on, until that is everything.
async fn proposed<F>(
    target: &Target,
    before: &Judgement,
    lineages: Arc<Lineages>,
    around: Option<String>,
    names: BTreeSet<String>,
    title: String,
    make: F,
) -> Made
where
    F: Fn(&Arc<Snapshot>, &Dependencies, Option<&Policy>, &Arc<Lineages>) -> Result<Proposal, Refused>
        + Send
        + Sync
        + 'static,
{
    let (mut snapshot, mut reader) = picture(target, before).await?;
    let mut wanted = names;
    let mut dependencies = Dependencies::default();
    let schema = around.as_deref().and_then(|name| snapshot.catalog.schema_named(name)).map(|s| s.oid);
    if let (Some(schema), Some(from)) = (schema, &around) {
        let read = reader.dependencies(snapshot.server.version_num, schema).await;
        dependencies = read.map_err(|e| because(&e))?;
        wanted.extend(tables::schemas(from, from, &snapshot, &dependencies));
    }
    let (make, dependencies) = (Arc::new(make), Arc::new(dependencies));
    for _ in 0..READINGS {
        complete(&mut snapshot, &mut reader, &wanted).await?;
        let (read, policy, lineages) = (snapshot.clone(), before.policy.clone(), Arc::clone(&lineages));
        let (make, dependencies, title) = (Arc::clone(&make), Arc::clone(&dependencies), title.clone());
        let made = on_a_thread(move || {
            let read = Arc::new(read);
            let proposal = match make(&read, &dependencies, policy.as_deref(), &lineages) {
                Ok(proposal) => proposal,
                Err(why) => {
                    let remedy = "Nothing was changed. Esc leads back to the form.".to_owned();
                    return Ok(Err(vec![format!("There is no plan: {why}."), remedy]));
                }
            };
            let known = |schema: &String| {
                let found = read.catalog.schema_named(schema);
                found.is_none_or(|s| read.objects.0.contains_key(&s.oid))
            };
            let unread = build::unread(&read, &proposal.plan.ground);
            let unread: BTreeSet<String> =
                unread.into_iter().filter_map(|key| key.in_schema().map(str::to_owned)).filter(|s| !known(s)).collect();
            if !unread.is_empty() {
                return Err(unread);
            }
            let policy = declared(policy, proposal.service.as_ref());
            Ok(shown(&Judgement::new(read, policy, lineages, None), proposal, title))
        })
        .await?;
        match made {
            Ok(made) => return made,
            Err(unread) => wanted.extend(unread),
        }
    }
    Err(vec![
        "There is no plan: the schemas change faster than they can be read.".to_owned(),
        "Try again in a moment.".to_owned(),
    ])
}

/// The policy with the service in it, so that cells before and after are compared with what will be declared.
fn declared(policy: Option<Arc<Policy>>, service: Option<&Service>) -> Option<Arc<Policy>> {
    let Some(service) = service else { return policy };
    let mut policy = policy?;
    let all = &mut Arc::make_mut(&mut policy).services;
    all.retain(|s| s.name != service.name);
    all.push(service.clone());
    Some(policy)
}

fn shown(judged: &Judgement, proposal: Proposal, title: String) -> Made {
    let Proposal { plan, questions, whereabouts, service } = proposal;
    if plan.is_empty() && questions.is_empty() {
        return Err(vec!["There is nothing to do: it is so already.".to_owned()]);
    }
    let told: BTreeSet<String> = whereabouts.iter().map(Whereabouts::sentence).collect();
    let needs = plan.notes.iter().filter(|n| n.kind == HazardKind::Application && !told.contains(&n.sentence));
    let needs = needs.map(|n| n.sentence.clone()).collect();
    let after = After { service, whereabouts, needs, ..After::default() };
    let made: Ready = ready(judged, plan, title, Meaning::New, 0);
    Ok(Ready { questions, after, ..made })
}

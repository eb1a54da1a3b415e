//! `plan`: what would be done to reach the policy, as text, SQL or JSON; and how the commands that act make, read and show
//! a plan. Runs nothing.

mod shown;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    args::{PlanArgs, PlanFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::{self, Asking},
    report::{self, Report},
    resolve::{Source, Target},
    snapshot::private_file,
};
use crate::{
    domain::{Oid, dependencies::Dependencies, effective::Matrix, snapshot::Snapshot},
    plan::{self, Ground, Key, Plan, PolicyUsed, build, script},
    policy::judgement::Judgement,
    server::{
        Reader, Want,
        apply::{
            now,
            preflight::{Lack, preflight},
        },
    },
    text,
};

pub use shown::write as show;

/// Readings at most until all objects that a plan touches are known.
const READINGS: usize = 4;

/// A plan with the picture it was made of.
pub struct Made {
    pub plan: Plan,
    pub snapshot: Snapshot,
    /// Steps that the connected role cannot do.
    pub lacks: Vec<Lack>,
    /// Who is in the way of its locks at the moment.
    pub now: Vec<String>,
}

impl Made {
    fn new(plan: Plan, snapshot: Snapshot) -> Made {
        let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
        let lacks = preflight(&snapshot, &matrix, &plan);
        Made { plan, snapshot, lacks, now: Vec::new() }
    }

    /// With who is in the way of its locks at the moment, where there is a server to ask.
    async fn looked(mut self, reader: Option<&mut Reader>) -> Made {
        if let Some(reader) = reader {
            self.now = now::on(reader, &self.plan).await;
        }
        self
    }
}

/// Prints the plan to the policy.
///
/// # Errors
/// No policy, no server, or no place to write to.
pub async fn run(report: &mut Report, target: &Target, args: &PlanArgs) -> Outcome {
    let made = to_policy(target, &args.only).await?;
    let format = args.format.unwrap_or(if args.output.is_some() { PlanFormat::Json } else { PlanFormat::Text });
    match &args.output {
        None => write(report, &made, format)?,
        Some(path) => {
            let failed = |e: std::io::Error| Failure::file("write", path, &e, "Choose another place with -o.");
            let file = private_file(path).map_err(failed)?;
            let mut to = Report::to(file.try_clone().map_err(failed)?);
            write(&mut to, &made, format)?;
            file.sync_all().map_err(failed)?;
            let next = match format {
                PlanFormat::Json => format!(" `pgmoat apply TARGET --plan {}` runs it.", path.display()),
                PlanFormat::Text | PlanFormat::Sql => String::new(),
            };
            report::note(&format!("pgmoat: wrote {}: {}{next}", path.display(), shown::sum(&made.plan)));
        }
    }
    Ok(if made.plan.is_empty() { Exit::Done } else { Exit::Findings })
}

fn write(report: &mut Report, made: &Made, format: PlanFormat) -> Result<(), Failure> {
    match format {
        PlanFormat::Text => shown::write(report, made)?,
        PlanFormat::Sql => report.raw(&script(&made.plan, made.snapshot.server.taken_at_us))?,
        PlanFormat::Json => report.json(&made.plan)?,
    }
    report.flush()
}

/// Plans to the target's policy; `only` names codes or ids of findings.
///
/// # Errors
/// No policy, an `only` that names nothing, or no picture of the server.
pub async fn to_policy(target: &Target, only: &[String]) -> Result<Made, Failure> {
    if target.policy.is_none() {
        return Err(Failure::usage(
            format!("could not plan for {}: it has no policy", target.name),
            "Name one with --policy FILE; `pgmoat policy derive` writes one from the database as it is.",
        ));
    }
    let (mut snapshot, mut reader) = picture(target).await?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for _ in 0..READINGS {
        complete(&mut snapshot, reader.as_mut(), &wanted).await?;
        let (policy, lineages, read) = (target.policy.clone(), target.lineages.clone(), snapshot.clone());
        let only = only.to_vec();
        let (findings, plan) = gather::on_a_thread(move || {
            let judged = Judgement::new(read.into(), policy, lineages, None);
            let known = |o: &String| judged.findings.iter().any(|f| f.id == *o) || is_code(o);
            let unknown = only.iter().find(|o| !known(o)).cloned();
            let schemas = build::schemas_of_fixes(&judged.findings);
            (unknown.map_or(Ok(schemas), Err), build::converge(&judged, &only))
        })
        .await?;
        let schemas = findings.map_err(|unknown| {
            Failure::usage(
                format!("could not plan for {unknown}: that is neither a code nor the id of a finding"),
                "`pgmoat check --format json` lists both.",
            )
        })?;
        let missing = unread(&snapshot, &plan.ground);
        let first: Vec<String> = schemas.into_iter().chain(missing).filter(|s| !is_read(&snapshot, s)).collect();
        if first.is_empty() || reader.is_none() {
            let settled: BTreeSet<&String> = plan.steps.iter().flat_map(|s| &s.resolves).collect();
            let asked = format!("Fix {}", text::count(settled.len() as u64, "finding", "findings"));
            let plan = Plan { policy: policy_used(target)?, ..plan.called(asked) };
            return Ok(Made::new(plan, snapshot).looked(reader.as_mut()).await);
        }
        wanted.extend(first);
    }
    Err(Failure::server(
        format!("could not plan for {}: its schemas change faster than they can be read", target.name),
        Some("Try again in a moment.".to_owned()),
    ))
}

fn is_code(word: &str) -> bool {
    crate::policy::checks::CHECKS.iter().any(|check| check.codes.iter().any(|code| code.code == word))
}

/// A plan made of a fresh picture in which everything these grounds speak of is known.
///
/// # Errors
/// No picture of the server, or what `make` says.
pub async fn from_ground(
    target: &Target,
    grounds: &[&Ground],
    make: impl FnOnce(&Snapshot) -> Result<Plan, Failure>,
) -> Result<Made, Failure> {
    let (mut snapshot, mut reader) = picture(target).await?;
    // A schema that is to go must be known to be empty.
    let whole = |key: &Key| match key {
        Key::Schema { name } => Some(name.clone()),
        key => key.in_schema().map(str::to_owned),
    };
    let wanted = grounds.iter().flat_map(|g| g.keys()).filter_map(whole).collect();
    complete(&mut snapshot, reader.as_mut(), &wanted).await?;
    let plan = make(&snapshot)?;
    // What it touches besides: then the making has to see that, too.
    Ok(Made::new(plan, snapshot).looked(reader.as_mut()).await)
}

/// A plan made of a fresh picture in which the objects of these schemas, and of those the plan touches, are known.
///
/// # Errors
/// No picture of the server, or what `make` says.
pub async fn from_names(
    target: &Target,
    schemas: impl Fn(&Snapshot) -> Vec<String>,
    make: impl FnMut(&Arc<Snapshot>) -> Result<Plan, Failure>,
) -> Result<Made, Failure> {
    from_columns(target, &[], schemas, make).await
}

/// As [`from_names`], where tables with one of these columns have to be known, besides those of the policy.
///
/// # Errors
/// As [`from_names`].
pub async fn from_columns(
    target: &Target,
    columns: &[String],
    schemas: impl Fn(&Snapshot) -> Vec<String>,
    mut make: impl FnMut(&Arc<Snapshot>) -> Result<Plan, Failure>,
) -> Result<Made, Failure> {
    let tenant_columns = target.tenant_columns().into_iter().chain(columns.iter().cloned()).collect();
    let want = Want { shapes: true, versions: true, tenant_columns, ..Want::default() };
    let (mut snapshot, mut reader) = gather::take(target, &want, &Asking::default()).await?;
    let mut wanted: BTreeSet<String> = schemas(&snapshot).into_iter().collect();
    for _ in 0..READINGS {
        complete(&mut snapshot, reader.as_mut(), &wanted).await?;
        let shared = Arc::new(snapshot);
        let plan = make(&shared)?;
        snapshot = Arc::unwrap_or_clone(shared);
        let missing: Vec<String> =
            unread(&snapshot, &plan.ground).into_iter().filter(|s| !wanted.contains(s)).collect();
        if missing.is_empty() || reader.is_none() {
            return Ok(Made::new(plan, snapshot).looked(reader.as_mut()).await);
        }
        wanted.extend(missing);
    }
    Err(Failure::server(
        format!("could not plan for {}: its schemas change faster than they can be read", target.name),
        Some("Try again in a moment.".to_owned()),
    ))
}

/// As [`from_names`], where the making also needs to know what uses what around one schema.
///
/// # Errors
/// No picture of the server, or what `make` says.
pub async fn from_dependencies(
    target: &Target,
    around: Option<&str>,
    schemas: &[String],
    mut make: impl FnMut(&Arc<Snapshot>, &Dependencies) -> Result<Plan, Failure>,
) -> Result<Made, Failure> {
    server_of(target)?;
    let (mut snapshot, mut reader) = picture(target).await?;
    let mut wanted: BTreeSet<String> = schemas.iter().cloned().collect();
    let mut dependencies = Dependencies::default();
    let oid = around.and_then(|name| snapshot.catalog.schema_named(name)).map(|s| s.oid);
    if let (Some(oid), Some(reader), Some(from)) = (oid, reader.as_mut(), around) {
        let read = reader.dependencies(snapshot.server.version_num, oid).await;
        dependencies = read.map_err(|e| Failure::server(e.to_string(), e.remedy()))?;
        wanted.extend(crate::plan::moves::tables::schemas(from, from, &snapshot, &dependencies));
    }
    for _ in 0..READINGS {
        complete(&mut snapshot, reader.as_mut(), &wanted).await?;
        let shared = Arc::new(snapshot);
        let plan = make(&shared, &dependencies)?;
        snapshot = Arc::unwrap_or_clone(shared);
        let missing: Vec<String> =
            unread(&snapshot, &plan.ground).into_iter().filter(|s| !wanted.contains(s)).collect();
        if missing.is_empty() {
            return Ok(Made::new(plan, snapshot).looked(reader.as_mut()).await);
        }
        wanted.extend(missing);
    }
    Err(Failure::server(
        format!("could not plan for {}: its schemas change faster than they can be read", target.name),
        Some("Try again in a moment.".to_owned()),
    ))
}

/// A plan that was written to a file, made anew from the server as it is now: what is shown and run is never the file's
/// own words.
///
/// # Errors
/// The file is no plan, was altered, or the state has moved on.
pub async fn from_file(target: &Target, path: &Path) -> Result<Made, Failure> {
    let remedy = "Make one with `pgmoat plan TARGET -o FILE`.";
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read the plan", path, &e, remedy))?;
    let wrong = |why: String| Failure::usage(format!("could not use the plan {}: {why}", path.display()), remedy);
    let file: Plan = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if file.schema_version != 1 {
        return Err(wrong(format!("it has form {}, and this release reads form 1", file.schema_version)));
    }
    if file.ground.fingerprint() != file.base_fingerprint {
        return Err(wrong("it was altered: its fingerprint is not that of the state it names".to_owned()));
    }
    let written = |step: &plan::Step| step.sql == plan::sql::statements(&step.change);
    if let Some(step) = file.steps.iter().find(|step| !written(step)) {
        return Err(wrong(format!("it was altered: step {} has other statements than its change", step.id)));
    }
    let refused = |why: String| Failure::refused(why, "Make a new plan: it starts from what is there now.");
    if let Some(why) = file.policy.as_ref().and_then(|used| policy_moved(target, used)) {
        return Err(refused(format!("could not use the plan {}: {why}", path.display())));
    }
    let grounds = [&file.ground, &file.predicted];
    from_ground(target, &grounds, |snapshot| {
        if let Some(why) = elsewhere(&file, snapshot) {
            return Err(refused(why));
        }
        let now = Ground::of(snapshot, file.ground.keys().cloned());
        let moved = file.ground.moved(&now);
        if !moved.is_empty() {
            let why = format!("could not use the plan {}: the state has moved since it was made", path.display());
            return Err(refused(why).with(moved.iter().map(|m| format!("  {m}"))));
        }
        let changes = file.steps.iter().map(|step| step.change.clone());
        let mut plan = build::of_changes(snapshot, changes).map_err(|e| refused(e.to_string()))?;
        let same = plan.statements().eq(file.statements())
            && plan.predicted.moved(&file.predicted).is_empty()
            && plan.ground.moved(&file.ground).is_empty();
        if !same {
            return Err(refused("could not use the plan: it does not lead where it says from here".to_owned()));
        }
        for (step, of) in plan.steps.iter_mut().zip(&file.steps) {
            step.resolves.clone_from(&of.resolves);
        }
        plan.policy.clone_from(&file.policy);
        Ok(plan.called(file.asked.as_str()))
    })
    .await
}

/// The target's policy as it stands in its file now.
fn policy_used(target: &Target) -> Result<Option<PolicyUsed>, Failure> {
    let Some(place) = &target.place else { return Ok(None) };
    let failed = |e: std::io::Error| Failure::file("read the policy", &place.path, &e, "");
    let text = std::fs::read(&place.path).map_err(failed)?;
    Ok(Some(PolicyUsed::new(std::path::absolute(&place.path).map_err(failed)?, &text)))
}

/// Why a plan that was made from this policy no longer leads to what is wanted here. A plan that is taken to where there
/// is no policy is only compared with the state.
fn policy_moved(target: &Target, used: &PolicyUsed) -> Option<String> {
    let file = target.place.as_ref().map_or(&used.file, |place| &place.path);
    match std::fs::read(file) {
        Ok(text) if PolicyUsed::new(used.file.clone(), &text) == *used => None,
        Ok(_) => Some(format!("the policy {} has changed since it was made", file.display())),
        Err(_) if target.place.is_none() => None,
        Err(error) => Some(format!("the policy {} cannot be read any more: {error}", file.display())),
    }
}

fn elsewhere(plan: &Plan, snapshot: &Snapshot) -> Option<String> {
    let (target, server) = (&plan.target, &snapshot.server);
    match (&target.system_identifier, &server.system_identifier) {
        (Some(a), Some(b)) if a != b => {
            return Some(format!("could not use the plan: it is for cluster {a}, and this is {b}"));
        }
        _ => {}
    }
    if target.database != server.database {
        let (a, b) = (&target.database, &server.database);
        return Some(format!("could not use the plan: it is for database {a}, and this is {b}"));
    }
    target.went_another_way(server.timeline.as_deref()).map(|why| format!("could not use the plan: {why}"))
}

async fn picture(target: &Target) -> Result<(Snapshot, Option<Reader>), Failure> {
    let want = Want { shapes: true, versions: true, tenant_columns: target.tenant_columns(), ..Want::default() };
    gather::take(target, &want, &Asking::default()).await
}

fn is_read(snapshot: &Snapshot, schema: &str) -> bool {
    let found = snapshot.catalog.schema_named(schema);
    found.is_none_or(|s| snapshot.objects.0.contains_key(&s.oid))
}

fn unread(snapshot: &Snapshot, ground: &Ground) -> Vec<String> {
    build::unread(snapshot, ground).into_iter().filter_map(|key| key.in_schema().map(str::to_owned)).collect()
}

/// Adds the objects of these schemas.
async fn complete(
    snapshot: &mut Snapshot,
    reader: Option<&mut Reader>,
    schemas: &BTreeSet<String>,
) -> Result<(), Failure> {
    let Some(reader) = reader else { return Ok(()) };
    let oids: Vec<Oid> = schemas
        .iter()
        .filter_map(|name| snapshot.catalog.schema_named(name))
        .map(|s| s.oid)
        .filter(|oid| !snapshot.objects.0.contains_key(oid))
        .collect();
    if oids.is_empty() {
        return Ok(());
    }
    let objects =
        reader.objects(Some(&oids), &snapshot.catalog).await.map_err(|e| Failure::server(e.to_string(), e.remedy()))?;
    snapshot.objects.0.extend(objects.0);
    Ok(())
}

/// The cluster's identifier, where the role may ask, and the database.
///
/// # Errors
/// The server does not answer.
pub async fn identity(target: &Target) -> Result<(Option<String>, String), Failure> {
    let (snapshot, _) = gather::take(target, &Want::default(), &Asking::default()).await?;
    Ok((snapshot.server.system_identifier.clone(), snapshot.server.database.clone()))
}

/// The server that a target leads to.
///
/// # Errors
/// It is a recording.
pub fn server_of(target: &Target) -> Result<&crate::config::Target, Failure> {
    match &target.source {
        Source::Server(server) => Ok(server),
        Source::Recording(_) => {
            Err(Failure::usage("could not act on a recording", "Name a server: a TARGET, or -h, -p, -U and -d."))
        }
    }
}

//! `isolation-test`: what each service's role reaches of the others' schemas. Each answer says how it is known: reasoned
//! from the catalog, asked of the server, or tried by a real login as the role, which is made where a password is at hand
//! or none is wanted. Nothing is changed, and nothing of a stranger's is run: tables whose policies call functions are left
//! out of what is tried, and named.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    args::{IsolationTest, TextFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::{self, Asking},
    report::Report,
    resolve::{Source, Target},
};
use crate::{
    app::view::Tone,
    config::{
        Conninfo, Env,
        conninfo::pgpass::{self, Pgpass},
    },
    domain::{
        ObjectKind, Oid, Privilege, closure,
        effective::Who,
        snapshot::{Kind, TenantType},
    },
    policy::{
        Group, Level, Severity,
        isolation::{Border, Verdict, borders, roles, words},
        judge::Drift,
        judgement::Judgement,
    },
    server::{
        ObjectsWanted, Want,
        connect::ConnectErrorKind,
        isolation::{Attempt, Attempts, Rows, Said, Wanted, attempts},
        read::{ServerError, isolation::Asked},
    },
    text,
};

/// Tables of one schema that a role tries, and of its own that it looks into.
const TRIES: usize = 25;
/// Tables of others that a role tries altogether.
const ALL_TRIES: usize = 500;
/// What the catalog would have refused and the server did not.
const LET_THROUGH: &str = "is let through";

#[derive(Serialize)]
struct Answer {
    schema_version: u32,
    instance: String,
    database: String,
    borders: Vec<BorderOut>,
    logins: Vec<LoginOut>,
    tenants: Vec<TenantOut>,
    /// Findings about row level security.
    tenancy: Vec<FindingOut>,
    breaches: usize,
}

#[derive(Serialize)]
struct BorderOut {
    role: String,
    service: Option<String>,
    schema: String,
    schema_service: Option<String>,
    usage: bool,
    create: bool,
    tables: TablesOut,
    routines: RoutinesOut,
    by_set_role: Vec<String>,
    through_public: Vec<String>,
    declared: Option<Vec<Level>>,
    verdict: Verdict,
    /// The policy names the schema or the role nowhere: it gives nothing there.
    undeclared: bool,
    /// What is beyond, or missing, in words.
    beyond: Vec<String>,
    missing: Vec<String>,
    /// `catalog`, `asked`, `tried`.
    known_by: Vec<&'static str>,
    tried: Option<TriedOut>,
    /// Where two ways of knowing disagree.
    contradictions: Vec<String>,
}

#[derive(Serialize)]
struct TablesOut {
    total: u64,
    select: u64,
    insert: u64,
    update: u64,
    delete: u64,
    truncate: u64,
    /// Some columns only; `null` where nobody was asked.
    columns: Option<u64>,
}

#[derive(Serialize)]
struct RoutinesOut {
    total: u64,
    execute: u64,
}

#[derive(Serialize)]
struct TriedOut {
    tables: usize,
    of: usize,
    /// Tables that let the role in at all: with SELECT, and from 16 on with any right to rows.
    let_in: usize,
    /// Tables that let it in to write.
    let_write: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct LoginOut {
    role: String,
    tried: bool,
    /// Why not.
    reason: Option<String>,
}

#[derive(Serialize)]
struct TenantOut {
    role: String,
    schema: String,
    table: String,
    row_security: bool,
    /// The policies bind this role.
    bound: bool,
    known_by: Vec<&'static str>,
    /// There is a row at all; `null` is not known.
    filled: Option<bool>,
    /// `none`, `some` or `unknown`; `null` where it was not tried.
    rows_without_tenant: Option<&'static str>,
    rows_of_a_stranger: Option<&'static str>,
    /// What reading the table would run that is not PostgreSQL's own: it was left out of what was tried.
    left_out_for: Vec<String>,
    leaks: bool,
}

#[derive(Serialize)]
struct FindingOut {
    code: &'static str,
    message: String,
}

/// Reads, asks, tries, tells.
///
/// # Errors
/// No picture of the server, a role that does not exist.
pub async fn run(report: &mut Report, env: &Env, target: &Target, args: &IsolationTest) -> Outcome {
    let tenant_columns = target.tenant_columns();
    let want = Want { shapes: true, objects: ObjectsWanted::All, tenant_columns, ..Want::default() };
    let (snapshot, reader) = gather::take(target, &want, &Asking::default()).await?;
    let judgement = {
        let (policy, lineages) = (target.policy.clone(), target.lineages.clone());
        gather::on_a_thread(move || Judgement::new(snapshot.into(), policy, lineages, None)).await?
    };
    let wanted = if args.roles.is_empty() { roles(&judgement) } else { args.roles.clone() };
    let there = |role: &&String| judgement.snapshot.catalog.role_named(role).is_some();
    if let Some(unknown) = args.roles.iter().find(|r| !there(r)) {
        return Err(super::explain::no_role(&judgement.snapshot.catalog, unknown));
    }
    if wanted.is_empty() {
        return Err(Failure::usage(
            "could not test anything: no policy names a service, and no login owns a schema",
            "Name roles with --role, or a policy with --policy FILE.",
        ));
    }
    let found = borders(&judgement, &wanted);
    let asked = match reader {
        None => BTreeMap::new(),
        Some(mut reader) => {
            let of = |oid: fn(&Border) -> Oid| {
                found.iter().map(oid).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
            };
            let answers = reader.isolation(&of(|b| b.role_oid), &of(|b| b.schema_oid)).await;
            let answers = answers.map_err(|e| Failure::server(e.to_string(), e.remedy()))?;
            answers.into_iter().map(|a| ((a.role, a.schema), a)).collect()
        }
    };
    let mut tried = BTreeMap::new();
    let mut logins = Vec::new();
    for role in wanted.iter().filter(there) {
        let met = match &target.source {
            Source::Recording(_) => Err("there is no server, only a recording of one".to_owned()),
            Source::Server(_) if args.no_login => Err("--no-login".to_owned()),
            Source::Server(server) => log_in(env, &server.conninfo, &judgement, role, &found).await,
        };
        logins.push(LoginOut { role: role.clone(), tried: met.is_ok(), reason: met.as_ref().err().cloned() });
        if let Ok(met) = met {
            tried.insert(role.clone(), met);
        }
    }
    let missing: Vec<&String> = wanted.iter().filter(|r| !there(r)).collect();
    let answer = answer(&judgement, &wanted, &found, &asked, &tried, logins);
    match args.format {
        TextFormat::Json => report.json(&answer)?,
        TextFormat::Text => people(report, &answer, &missing, judgement.policy.is_some())?,
    }
    report.flush()?;
    Ok(if answer.breaches > 0 { Exit::Findings } else { Exit::Done })
}

/// Tries as the role, with the password that is at hand for it; the console's own is nobody else's.
async fn log_in(
    env: &Env,
    own: &Conninfo,
    judgement: &Judgement,
    role: &str,
    found: &[Border],
) -> Result<Attempts, String> {
    let catalog = &judgement.snapshot.catalog;
    match catalog.role_named(role) {
        Some(r) if !r.login => return Err("it cannot log in".to_owned()),
        Some(r) if r.superuser => return Err("it is a superuser: nothing would be refused".to_owned()),
        _ => {}
    }
    let mut conninfo = own.clone();
    if own.user != role {
        role.clone_into(&mut conninfo.user);
        conninfo.password = None;
        let file = pgpass::path(None, env).map(|path| Pgpass::read(&path)).unwrap_or_default();
        for host in &mut conninfo.hosts {
            let names: Vec<&str> = if host.is_socket() { vec![&host.host, "localhost"] } else { vec![&host.host] };
            host.password = file.password(&names, host.port, &conninfo.dbname, role);
        }
    }
    let wanted = Wanted { tables: strangers(judgement, role, found), tenants: tenants_of(judgement, role) };
    attempts(&conninfo, &wanted).await.map_err(|error| match &error {
        ServerError::Connect(e) if e.kind == ConnectErrorKind::PasswordNeeded => {
            "the server wants a password, and none is at hand (~/.pgpass)".to_owned()
        }
        error => error.to_string(),
    })
}

/// Some plain tables of every schema that is not the role's.
fn strangers(judgement: &Judgement, role: &str, found: &[Border]) -> Vec<(String, String)> {
    let snapshot = &judgement.snapshot;
    let mut list = Vec::new();
    for border in found.iter().filter(|b| b.role == role) {
        let Some(objects) = snapshot.objects.0.get(&border.schema_oid) else { continue };
        let tables = objects.relations.iter().filter(|o| o.kind == Kind::Table && !o.extension);
        list.extend(tables.take(TRIES).map(|o| (border.schema.clone(), o.name.clone())));
    }
    list.truncate(ALL_TRIES);
    list
}

/// A table with a tenant column, of a schema of the role's own.
struct Tenant {
    schema: String,
    table: String,
    rls: bool,
    owns: bool,
    bound: bool,
    of: Option<TenantType>,
}

fn tenant_tables(judgement: &Judgement, role: &str) -> Vec<Tenant> {
    let (snapshot, catalog) = (&judgement.snapshot, &judgement.snapshot.catalog);
    let Some(position) = judgement.matrix.index.role_named(role) else { return Vec::new() };
    let bypasses = catalog.roles.get(position).is_some_and(closure::bypasses_rls);
    let mut list = Vec::new();
    for shape in snapshot.shapes.iter().flat_map(|s| &s.tables) {
        let Some(schema) = catalog.schema(shape.schema) else { continue };
        let services = judgement.policy.iter().flat_map(|p| &p.services).filter(|s| s.role == role);
        let service = services.clone().find(|s| s.schemas.contains(&schema.name) && !s.tenant_exempt);
        let owns = judgement.matrix.owns(Who::Role(position), shape.owner);
        let its_own = if judgement.policy.is_some() { service.is_some() } else { owns };
        let column = service.and_then(|s| s.tenant_column.clone()).unwrap_or_else(|| "tenant_id".to_owned());
        if !its_own || !shape.tenant_columns.contains(&column) {
            continue;
        }
        list.push(Tenant {
            schema: schema.name.clone(),
            table: shape.name.clone(),
            rls: shape.rls,
            owns,
            bound: shape.rls && !bypasses && (!owns || shape.force_rls),
            of: shape.tenant_types.get(&column).copied(),
        });
    }
    list.sort_by(|a, b| (&a.schema, &a.table).cmp(&(&b.schema, &b.table)));
    list
}

/// Those that the role itself owns: what runs when they are read is its own.
fn tenants_of(judgement: &Judgement, role: &str) -> Vec<(String, String, Option<TenantType>)> {
    let tables = tenant_tables(judgement, role).into_iter().filter(|t| t.bound && t.owns);
    tables.take(TRIES).map(|t| (t.schema, t.table, t.of)).collect()
}

fn answer(
    judgement: &Judgement,
    wanted: &[String],
    found: &[Border],
    asked: &BTreeMap<(Oid, Oid), Asked>,
    tried: &BTreeMap<String, Attempts>,
    logins: Vec<LoginOut>,
) -> Answer {
    let of = |b: &Border| border(judgement, b, asked.get(&(b.role_oid, b.schema_oid)), tried.get(&b.role));
    let borders: Vec<BorderOut> = found.iter().map(of).collect();
    let tenants: Vec<TenantOut> = wanted
        .iter()
        .flat_map(|role| tenant_tables(judgement, role).into_iter().map(move |t| (role, t)))
        .map(|(role, t)| tenant(role, t, tried.get(role)))
        .collect();
    let tested = |service: &String| found.iter().any(|b| b.service.as_ref() == Some(service));
    let about = judgement.findings.iter().filter(|f| f.group == Group::Tenancy && f.severity > Severity::Info);
    let about = about.filter(|f| f.service.as_ref().is_none_or(tested));
    let tenancy: Vec<FindingOut> = about.map(|f| FindingOut { code: f.code, message: f.message.clone() }).collect();
    let through = |b: &BorderOut| b.contradictions.iter().any(|words| words.contains(LET_THROUGH));
    let broken = borders.iter().filter(|b| b.verdict.is_breach() || through(b)).count();
    let leaks = tenants.iter().filter(|t| t.leaks).count();
    Answer {
        schema_version: 1,
        instance: judgement.snapshot.instance.clone(),
        database: judgement.snapshot.server.database.clone(),
        breaches: broken + leaks + tenancy.len(),
        borders,
        logins,
        tenants,
        tenancy,
    }
}

fn border(judgement: &Judgement, b: &Border, asked: Option<&Asked>, tried: Option<&Attempts>) -> BorderOut {
    let cell = &b.judged.cell;
    let count = |p: Privilege| u64::from(cell.tables.of(p));
    let reasoned = Asked {
        role: b.role_oid,
        schema: b.schema_oid,
        usage: cell.usage,
        create: cell.create,
        tables: u64::from(cell.tables.total),
        selects: count(Privilege::Select),
        inserts: count(Privilege::Insert),
        updates: count(Privilege::Update),
        deletes: count(Privilege::Delete),
        truncates: count(Privilege::Truncate),
        columns: 0,
        routines: u64::from(cell.routines.total),
        executes: u64::from(cell.routines.of(Privilege::Execute)),
    };
    let mut known_by = vec!["catalog"];
    let mut contradictions = Vec::new();
    if let Some(asked) = asked {
        known_by.push("asked");
        if (Asked { columns: 0, ..*asked }) != reasoned {
            contradictions.push("the server answers otherwise than the catalog was read a moment before".to_owned());
        }
    }
    let tried = tried.and_then(|met| {
        let here = || met.tables.iter().filter(|a| a.schema == b.schema);
        here().next()?;
        known_by.push("tried");
        for attempt in here() {
            contradictions.extend(contradiction(judgement, b, attempt));
        }
        let unclear = |a: &&Attempt| matches!(a.read, Said::Unknown(_)) || matches!(a.write, Said::Unknown(_));
        Some(TriedOut {
            tables: here().count(),
            of: usize::try_from(cell.tables.total).unwrap_or(usize::MAX),
            let_in: here().filter(|a| a.read == Said::Allowed).count(),
            let_write: here().filter(|a| a.write == Said::Allowed).count(),
            unknown: here().filter(unclear).count(),
        })
    });
    let shown = asked.copied().unwrap_or(reasoned);
    let position = judgement.matrix.index.role_named(&b.role).zip(judgement.matrix.index.schema(b.schema_oid));
    let undeclared = b.judged.drift == Some(Drift::Undeclared);
    let all = position.filter(|_| undeclared).map(|(role, schema)| judgement.judge().beyond(role, role, schema));
    let mut beyond: Vec<String> = b.judged.excess.iter().chain(all.iter().flatten()).map(words).collect();
    if b.verdict == Verdict::Beyond {
        beyond.extend(b.by_columns.iter().cloned());
        beyond.extend(b.through_public.iter().map(|what| format!("{what}, through PUBLIC")));
        beyond.extend(b.by_set_role.iter().map(|role| format!("whatever {role} may, after SET ROLE")));
    }
    BorderOut {
        role: b.role.clone(),
        service: b.service.clone(),
        schema: b.schema.clone(),
        schema_service: b.of.clone(),
        usage: shown.usage,
        create: shown.create,
        tables: TablesOut {
            total: shown.tables,
            select: shown.selects,
            insert: shown.inserts,
            update: shown.updates,
            delete: shown.deletes,
            truncate: shown.truncates,
            columns: asked.map(|a| a.columns),
        },
        routines: RoutinesOut { total: shown.routines, execute: shown.executes },
        by_set_role: b.by_set_role.clone(),
        through_public: b.through_public.clone(),
        declared: b.judged.declared.clone(),
        verdict: b.verdict,
        undeclared,
        beyond,
        missing: b.judged.missing.iter().map(words).collect(),
        known_by,
        tried,
        contradictions,
    }
}

/// What a login met otherwise than the catalog says.
fn contradiction(judgement: &Judgement, b: &Border, attempt: &Attempt) -> Option<String> {
    let (snapshot, catalog) = (&judgement.snapshot, &judgement.snapshot.catalog);
    let position = judgement.matrix.index.role_named(&b.role)?;
    let object = snapshot.objects.0.get(&b.schema_oid)?.relations.iter().find(|o| o.name == attempt.table)?;
    let held = judgement.matrix.rights(catalog, Who::Role(position), ObjectKind::Table, object.owner, &object.acl);
    let has = |list: &[Privilege]| list.iter().any(|p| held.contains(*p));
    let strong = [Privilege::Update, Privilege::Delete, Privilege::Truncate, Privilege::Maintain];
    let usage = b.judged.cell.usage;
    // From 16 on whoever may lock in a stronger mode may lock in this one, too.
    let sixteen = snapshot.server.version_num >= 160_000;
    let adds = held.contains(Privilege::Insert) || has(&strong);
    let read = usage && (held.contains(Privilege::Select) || sixteen && adds);
    let write = usage && adds;
    let expected = |may: bool| if may { Said::Allowed } else { Said::Refused };
    let off = |said: &Said, may: bool| !matches!(said, Said::Unknown(_)) && *said != expected(may);
    let said = |said: &Said| if *said == Said::Allowed { LET_THROUGH } else { "is refused" };
    let name = format!("{}.{}", attempt.schema, attempt.table);
    if off(&attempt.read, read) {
        return Some(format!("a login that looks at {name} {}, against the catalog", said(&attempt.read)));
    }
    off(&attempt.write, write)
        .then(|| format!("a login that writes to {name} {}, against the catalog", said(&attempt.write)))
}

fn tenant(role: &str, t: Tenant, tried: Option<&Attempts>) -> TenantOut {
    let met = tried.and_then(|met| met.tenants.iter().find(|a| a.schema == t.schema && a.table == t.table));
    let word = |rows: &Rows| match rows {
        Rows::None => "none",
        Rows::Some => "some",
        Rows::Unknown(_) => "unknown",
    };
    let left_out_for = met.map(|m| m.runs.clone()).unwrap_or_default();
    let met = met.filter(|m| m.runs.is_empty());
    let leaks = met.is_some_and(|m| m.without == Rows::Some || m.stranger == Rows::Some);
    let mut known_by = vec!["catalog"];
    known_by.extend(met.map(|_| "tried"));
    TenantOut {
        role: role.to_owned(),
        row_security: t.rls,
        bound: t.bound,
        known_by,
        filled: met.and_then(|m| m.filled),
        rows_without_tenant: met.map(|m| word(&m.without)),
        rows_of_a_stranger: met.map(|m| word(&m.stranger)),
        left_out_for,
        leaks,
        schema: t.schema,
        table: t.table,
    }
}

fn people(report: &mut Report, answer: &Answer, missing: &[&String], policy: bool) -> Result<(), Failure> {
    for login in &answer.logins {
        let mine = || answer.borders.iter().filter(|b| b.role == login.role);
        let service = mine().find_map(|b| b.service.as_deref()).map(|s| format!(" (service {s})")).unwrap_or_default();
        let how = match (login.tried, mine().any(|b| b.known_by.contains(&"asked"))) {
            (true, _) => "asked of the server, and tried by a login that was rolled back".to_owned(),
            (false, true) => format!("asked of the server; not tried: {}", login.reason.as_deref().unwrap_or("")),
            (false, false) => "reasoned from the catalog only".to_owned(),
        };
        report
            .line()
            .tone(&format!("{}{service}", login.role), Tone::Strong)
            .tone(&format!("   {how}"), Tone::Dim)
            .end()?;
        let width = mine().map(|b| text::width(&text::safe(&b.schema))).max().unwrap_or(0).min(32);
        for b in mine() {
            line(report, b, width)?;
        }
        report.blank()?;
    }
    for role in missing {
        report.paragraph(0, "", &format!("{role} does not exist: there is nothing to test."), Tone::Warning)?;
    }
    if !answer.tenants.is_empty() || !answer.tenancy.is_empty() {
        report.line().tone("Tenants", Tone::Strong).end()?;
        tenants(report, answer)?;
        report.blank()?;
    }
    let n = answer.breaches as u64;
    if n > 0 {
        let words = format!("{}: not isolated.", text::count(n, "breach", "breaches"));
        report.line().tone(&words, Tone::Error).end()
    } else if policy {
        report.line().tone("Isolated: nothing is reached that is not declared.", Tone::Good).end()
    } else {
        let words = "Not judged: no policy says what should be reached (`pgmoat policy derive` writes one).";
        report.paragraph(0, "", words, Tone::Dim)
    }
}

fn line(report: &mut Report, b: &BorderOut, width: usize) -> Result<(), Failure> {
    let (verdict, tone) = match b.verdict {
        Verdict::Closed => (String::new(), Tone::Dim),
        Verdict::Declared if b.declared.as_ref().is_some_and(Vec::is_empty) => {
            ("only what everybody (PUBLIC) has".to_owned(), Tone::Dim)
        }
        Verdict::Declared => ("as declared".to_owned(), Tone::Good),
        Verdict::Less => (format!("less than declared: {} is missing", text::list(&b.missing, 4)), Tone::Missing),
        Verdict::Beyond if b.undeclared => {
            let held = text::list(&b.beyond, 6);
            let dots = if held.is_empty() { "" } else { ": " };
            (format!("more than declared{dots}{held}; the policy gives it nothing there"), Tone::Error)
        }
        Verdict::Beyond => (format!("more than declared: {}", text::list(&b.beyond, 6)), Tone::Error),
        Verdict::Superuser => ("a superuser: no border holds it".to_owned(), Tone::Error),
        Verdict::Unjudged => ("not judged".to_owned(), Tone::Dim),
    };
    let name = text::safe(&b.schema);
    let pad = " ".repeat(width.saturating_sub(text::width(&name)));
    let line = report.line().known("  ").known(&name).known(&pad).known("  ").text(&reach(b));
    let gap = if verdict.is_empty() { "" } else { "   " };
    line.known(gap).tone(&verdict, tone).end()?;
    if let Some(tried) = b.tried.as_ref().filter(|t| t.tables > 0) {
        let unknown = if tried.unknown == 0 { String::new() } else { format!(", {} could not be told", tried.unknown) };
        let words = format!(
            "tried on {} of {}: let in by {}, to write by {}{unknown}",
            tried.tables,
            text::count(tried.of as u64, "table", "tables"),
            tried.let_in,
            tried.let_write
        );
        report.paragraph(4 + width, "", &words, Tone::Dim)?;
    }
    for contradiction in &b.contradictions {
        report.paragraph(4 + width, "", contradiction, Tone::Error)?;
    }
    Ok(())
}

/// `USAGE, SELECT on 7 of 9 tables`, or `nothing`.
fn reach(b: &BorderOut) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(b.usage.then(|| "USAGE".to_owned()));
    parts.extend(b.create.then(|| "CREATE".to_owned()));
    let t = &b.tables;
    let each = [
        (t.select, "SELECT"),
        (t.insert, "INSERT"),
        (t.update, "UPDATE"),
        (t.delete, "DELETE"),
        (t.truncate, "TRUNCATE"),
    ];
    let held = each.into_iter().filter(|(n, _)| *n > 0);
    parts.extend(held.map(|(n, word)| format!("{word} on {n} of {}", text::count(t.total, "table", "tables"))));
    parts.extend(t.columns.filter(|n| *n > 0).map(|n| format!("columns of {}", text::count(n, "table", "tables"))));
    // EXECUTE is everybody's by default; it is said where it is too much.
    if b.beyond.iter().any(|words| words.starts_with("EXECUTE")) {
        let of = text::count(b.routines.total, "routine", "routines");
        parts.push(format!("EXECUTE on {} of {of}", b.routines.execute));
    }
    if parts.is_empty() {
        return "nothing".to_owned();
    }
    let dead = if b.usage { "" } else { " (dead without USAGE)" };
    format!("{}{dead}", parts.join(", "))
}

fn tenants(report: &mut Report, answer: &Answer) -> Result<(), Failure> {
    for t in &answer.tenants {
        let name = format!("{}.{} as {}", t.schema, t.table, t.role);
        let tried = |rows: Option<&str>| rows.unwrap_or("unknown").to_owned();
        let (words, tone) = match (t.row_security, t.bound, t.rows_without_tenant) {
            (false, ..) => ("no row level security: every tenant's rows are seen".to_owned(), Tone::Warning),
            (true, false, _) => ("its policies do not bind this role".to_owned(), Tone::Warning),
            (true, true, None) if !t.left_out_for.is_empty() => (
                format!(
                    "bound by its policies (by the catalog; left out of what was tried: reading it runs {}, which is not \
                     PostgreSQL's own)",
                    text::list(&t.left_out_for, 3)
                ),
                Tone::Text,
            ),
            (true, true, None) => ("bound by its policies (by the catalog; not tried)".to_owned(), Tone::Text),
            (true, true, Some(_)) if t.leaks => ("rows are seen that belong to other tenants".to_owned(), Tone::Error),
            (true, true, Some(without)) => {
                let empty = match t.filled {
                    Some(true) => "",
                    Some(false) => "; it is empty, so that proves little",
                    None => "; whether it holds any is not known",
                };
                let stranger = tried(t.rows_of_a_stranger);
                (
                    format!(
                        "tried: rows without a tenant: {without}, as a tenant that does not exist: {stranger}{empty}"
                    ),
                    Tone::Good,
                )
            }
        };
        report.paragraph(2, &format!("{name}  "), &words, tone)?;
    }
    for finding in &answer.tenancy {
        report.paragraph(2, &format!("{}  ", finding.code), &finding.message, Tone::Error)?;
    }
    Ok(())
}

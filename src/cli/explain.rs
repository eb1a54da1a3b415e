//! `explain`: why a role may, or may not, do something. The answer itself is `domain::explain`'s; here words are turned
//! into its question, and its answer into text or JSON.
//!
//! ```text
//! May onside_user INSERT on public.campaigns?   Yes.
//!   onside_user ── inherits ──▶ engarde_user ── owner ──▶ public.campaigns
//!   To end it:
//!     REVOKE engarde_user FROM onside_user;
//! ```
//!
//! A column is asked about as SQL names one, `schema.relation.column`.

use std::{fmt::Write as _, sync::Arc};

use serde::Serialize;

use super::{
    args::TextFormat,
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather,
    object::{Found, Words},
    report::Report,
    resolve::Target,
};
use crate::{
    app::{self, view::Tone},
    config,
    domain::{
        Oid, Privilege, beneath,
        change::Change,
        effective::{Matrix, Who},
        explain::{Path, Source, Subject, Verdict, explain},
        qualified,
        snapshot::{Catalog, Kind, Object, Schema, SchemaObjects, Snapshot},
    },
    plan,
    policy::{
        Exception, Level,
        judge::{Judge, covers},
    },
    server::{Reader, ServerError, Want},
    text,
};

/// What was asked, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub role: String,
    /// `None`: every privilege that the object knows.
    pub privilege: Option<Privilege>,
    pub object: Words,
}

/// Splits the words into the target (unless flags name it) and the question.
///
/// # Errors
/// Too few or too many words, an unknown privilege, an object that cannot be read.
pub fn question(words: &[String], target_by_flags: bool) -> Result<(Option<String>, Question), Failure> {
    let (target, rest) = match words {
        rest if target_by_flags => (None, rest),
        [target, rest @ ..] => (Some(target.clone()), rest),
        [] => (None, words),
    };
    let (role, privilege, object) = match rest {
        [role, object] => (role, None, object),
        [role, privilege, object] => (role, Some(privilege), object),
        _ => {
            let (count, usage) = if target_by_flags {
                ("two or three", "pgmoat explain (-h HOST … | --snapshot FILE) ROLE [PRIVILEGE] OBJECT")
            } else {
                ("three or four", "pgmoat explain TARGET ROLE [PRIVILEGE] OBJECT")
            };
            let cause = format!("could not read the question: {} words, expected {count}", words.len());
            return Err(Failure::usage(cause, format!("Usage: {usage}")));
        }
    };
    let privilege = privilege.map(|word| privilege_named(word)).transpose()?;
    Ok((target, Question { role: role.clone(), privilege, object: Words::parse(object)? }))
}

fn privilege_named(word: &str) -> Result<Privilege, Failure> {
    Privilege::from_keyword(word).ok_or_else(|| {
        let names: Vec<String> = Privilege::ALL.iter().map(|p| p.keyword().to_lowercase()).collect();
        let near = config::nearest(word, names.iter().map(String::as_str)).map(str::to_uppercase);
        let all = || format!("Privileges are {}.", names.join(", ").to_uppercase());
        let hint = near.map_or_else(all, |n| format!("Did you mean {n}?"));
        Failure::usage(format!("could not read the privilege {word}: there is none of that name"), hint)
    })
}

/// Reads what the question needs and answers it.
///
/// # Errors
/// No connection; an unknown role or object; a privilege that the object does not have.
pub async fn run(report: &mut Report, target: &Target, question: &Question, format: TextFormat) -> Outcome {
    let want = Want { shapes: true, tenant_columns: target.tenant_columns(), ..Want::default() };
    let (mut snapshot, reader) = gather::take(target, &want, &gather::Asking::default()).await?;
    // An unknown name is a slip of the finger, found before more is read.
    who(&snapshot.catalog, &question.role)?;
    let mut columns = None;
    let place = match question.object.place(&snapshot.catalog) {
        Ok(place) => place,
        Err(failure) => return Err(elsewhere(failure, &question.object, &snapshot, reader).await),
    };
    if let (Found::In(schema), Some(mut reader)) = (place, reader) {
        let refused = |e: ServerError| Failure::server(e.to_string(), e.remedy());
        snapshot.objects = reader.objects(Some(&[schema.oid]), &snapshot.catalog).await.map_err(refused)?;
        let object = question.object.object(schema, &snapshot.objects)?.clone();
        if let Words::Column(..) = question.object {
            columns = Some(reader.columns(object.oid).await.map_err(refused)?);
        }
        if object.kind == Kind::View {
            reader.views(Some(&[schema.oid]), &mut snapshot.objects).await.map_err(refused)?;
            // an INSERT through it may end elsewhere
            let further = beneath::further(&snapshot.objects);
            if !further.is_empty() {
                let more = reader.objects(Some(&further), &snapshot.catalog).await.map_err(refused)?;
                snapshot.objects.0.extend(more.0);
            }
        }
    }
    let answer = Answer::new(target, &snapshot, question, columns.as_deref())?;
    match format {
        TextFormat::Text => answer.people(report)?,
        TextFormat::Json => report.json(&answer.scripts())?,
    }
    report.flush()?;
    Ok(if answer.verdicts.iter().any(|v| v.works) { Exit::Done } else { Exit::Findings })
}

/// A word alone is a schema; where there is none of that name, it may have been meant as a relation.
async fn elsewhere(failure: Failure, object: &Words, snapshot: &Snapshot, reader: Option<Reader>) -> Failure {
    let Words::Schema(name) = object else { return failure };
    let mut names = vec![name.text.clone()];
    if !name.quoted {
        names.push(name.text.to_lowercase());
    }
    let found = match reader {
        Some(mut reader) => reader.named(names).await.unwrap_or_default(),
        None => {
            let of = |(schema, objects): (&Oid, &Arc<SchemaObjects>)| {
                let here = objects.relations.iter().filter(|o| names.contains(&o.name)).map(|o| o.name.clone());
                let schema = snapshot.catalog.schema_name(*schema);
                here.map(|name| (schema.clone(), name)).collect::<Vec<_>>()
            };
            snapshot.objects.0.iter().flat_map(of).collect()
        }
    };
    let found: Vec<String> = found.iter().map(|(schema, name)| qualified(schema, name)).collect();
    if found.is_empty() {
        return failure;
    }
    let remedy = format!("A relation is named with its schema: {}.", crate::text::list(&found, 4));
    Failure { remedy: Some(remedy), ..failure }
}

fn who(catalog: &Catalog, role: &str) -> Result<Who, Failure> {
    let position = |name: &str| catalog.roles.iter().position(|r| r.name == name).map(Who::Role);
    let unquoted = role.strip_prefix('"').and_then(|r| r.strip_suffix('"')).map(|r| r.replace("\"\"", "\""));
    position(role)
        .or_else(|| unquoted.as_deref().and_then(position))
        .or_else(|| role.eq_ignore_ascii_case("public").then_some(Who::Public))
        .ok_or_else(|| no_role(catalog, role))
}

/// Nobody has that name; who comes nearest.
pub fn no_role(catalog: &Catalog, name: &str) -> Failure {
    let hint = config::nearest(name, catalog.roles.iter().map(|r| r.name.as_str()))
        .map_or_else(|| "`pgmoat matrix` lists the roles.".to_owned(), |n| format!("Did you mean {n}?"));
    Failure::usage(format!("could not find the role {name}"), hint)
}

/// The relation has no column of that name; which comes nearest.
fn no_column(schema: &Schema, object: &Object, name: &str, columns: &[String]) -> Failure {
    let whole = format!("{}.{}", schema.name, object.name);
    let hint = config::nearest(name, columns.iter().map(String::as_str)).map_or_else(
        || format!("It has {}.", crate::text::list(columns, 12)),
        |near| format!("Did you mean {whole}.{near}?"),
    );
    Failure::usage(format!("could not find a column {name} in {whole}"), hint)
}

struct Answer<'a> {
    snapshot: &'a Snapshot,
    role: String,
    subject: Subject<'a>,
    verdicts: Vec<Verdict>,
    declared: Option<Vec<Level>>,
    /// Exceptions of the policy that speak of the role and the object.
    excepted: Vec<Exception>,
}

impl<'a> Answer<'a> {
    /// `columns`: those of the relation, where a server was asked for them.
    fn new(
        target: &Target,
        snapshot: &'a Snapshot,
        question: &'a Question,
        columns: Option<&'a [String]>,
    ) -> Result<Answer<'a>, Failure> {
        let catalog = &snapshot.catalog;
        let who = who(catalog, &question.role)?;
        let found = question.object.place(catalog)?;
        let mut unsure = None;
        let subject = match (&found, &question.object) {
            (Found::Database, _) => Subject::Database,
            (Found::Schema(schema), _) => Subject::Schema(schema),
            (Found::In(schema), Words::Column(_, _, name)) => {
                let object = question.object.object(schema, &snapshot.objects)?;
                let column = match columns {
                    Some(columns) => {
                        name.among(columns).ok_or_else(|| no_column(schema, object, &name.text, columns))?.as_str()
                    }
                    None => {
                        unsure =
                            Some("Names of columns are not recorded: whether there is one of that name is unknown.");
                        name.text.as_str()
                    }
                };
                Subject::Column(schema, object, column)
            }
            (Found::In(schema), _) => Subject::Object(schema, question.object.object(schema, &snapshot.objects)?),
        };
        let known = subject.privileges(snapshot.server.version_num);
        if let Some(privilege) = question.privilege.filter(|p| !known.contains(*p)) {
            let cause = format!("could not ask for {privilege}: a {} does not have it", subject.word());
            return Err(Failure::usage(cause, format!("It has {known}.")));
        }
        let matrix = Matrix::new(catalog, &snapshot.server);
        let shapes = snapshot.shapes.as_deref();
        let mut verdicts = explain(catalog, &matrix, shapes, &snapshot.objects, who, &subject, question.privilege);
        for verdict in &mut verdicts {
            verdict.notes.extend(unsure.map(str::to_owned));
        }
        let schema = match found {
            Found::Database => None,
            Found::Schema(schema) | Found::In(schema) => matrix.index.schema(schema.oid),
        };
        let judge = Judge::new(snapshot, &matrix, target.policy.as_deref());
        let declared = schema.and_then(|position| judge.cell(who, position).declared);
        let excepted = match (schema, judge.desired()) {
            (Some(position), Some(desired)) => excepted(desired.exceptions_of(who, position), &subject),
            _ => Vec::new(),
        };
        let role = match who {
            Who::Public => "PUBLIC".to_owned(),
            Who::Role(i) => catalog.roles.get(i).map(|r| r.name.clone()).unwrap_or_default(),
        };
        Ok(Answer { snapshot, role, subject, verdicts, declared, excepted })
    }

    fn object(&self) -> String {
        self.subject.name(&self.snapshot.catalog)
    }

    fn people(&self, report: &mut Report) -> Result<(), Failure> {
        for (i, verdict) in self.verdicts.iter().enumerate() {
            if i > 0 {
                report.blank()?;
            }
            self.verdict(report, verdict)?;
        }
        if let Some(declared) = &self.declared {
            let words: Vec<&str> = declared.iter().map(|l| l.word()).collect();
            let words = if words.is_empty() { "no access".to_owned() } else { words.join(", ") };
            report.blank()?;
            report.paragraph(0, "Declared: ", &words, Tone::Text)?;
        }
        for exception in &self.excepted {
            let privileges: Vec<&str> = exception.privileges.iter().map(|p| p.keyword()).collect();
            let on = match exception.objects.as_slice() {
                [] => String::new(),
                some => format!(" on {}", text::list(some, 8)),
            };
            let words = format!("{}{on} of {} ({})", privileges.join(", "), exception.role, exception.reason);
            report.paragraph(0, "Excepted: ", &words, Tone::Text)?;
        }
        Ok(())
    }

    fn verdict(&self, report: &mut Report, verdict: &Verdict) -> Result<(), Failure> {
        let (answer, tone) = match (verdict.held, verdict.works) {
            (_, true) if verdict.no_row => ("Yes, but it finds no row.", Tone::Warning),
            (_, true) if verdict.unsure => ("Yes, on the view; what is beneath it decides.", Tone::Warning),
            (_, true) => ("Yes.", Tone::Good),
            (true, false) if verdict.beneath.iter().any(beneath::Beneath::fails) => {
                ("No: it is granted, but fails beneath the view.", Tone::Warning)
            }
            (true, false) => ("No: it is granted, but does not work.", Tone::Warning),
            (false, false) if !verdict.columns.is_empty() => ("No: on single columns only.", Tone::Warning),
            (false, false) => ("No.", Tone::Error),
        };
        let phrase = app::words::phrase(verdict.privilege);
        let asked = format!("May {} {phrase} {} {}?", self.role, self.subject.word(), self.object());
        report.line().tone(&asked, Tone::Strong).known("   ").painted(answer, tone).end()?;
        for path in &verdict.paths {
            report.line().known("  ").tone(&self.path(path), Tone::Text).end()?;
        }
        if let Some(missing) = &verdict.missing {
            report.paragraph(2, "", missing, Tone::Text)?;
        }
        for path in &verdict.by_set_role {
            report
                .line()
                .known("  ")
                .tone("after SET ROLE only:  ", Tone::Dim)
                .tone(&self.path(path), Tone::Dim)
                .end()?;
        }
        for beneath in &verdict.beneath {
            let tone = if beneath.held == Some(true) { Tone::Text } else { Tone::Warning };
            report.paragraph(2, "▾ ", &beneath.sentence(), tone)?;
        }
        for note in &verdict.notes {
            report.paragraph(2, "· ", note, Tone::Dim)?;
        }
        for lack in &verdict.lacks {
            report.paragraph(2, "! ", &lack.sentence, Tone::Warning)?;
            for statement in written(&lack.fix) {
                report.sql(4, &statement)?;
            }
        }
        let statements = written(&verdict.fix);
        if !statements.is_empty() {
            let label = if verdict.works { "To end it:" } else { "To give it:" };
            report.line().known("  ").painted(label, Tone::Dim).end()?;
            for statement in &statements {
                report.sql(4, statement)?;
            }
        }
        for sentence in &verdict.others {
            report.paragraph(2, "! ", sentence, Tone::Warning)?;
        }
        Ok(())
    }

    /// `onside_user ── inherits ──▶ engarde_user ── owner ──▶ public.campaigns`
    fn path(&self, path: &Path) -> String {
        let mut words = self.role.clone();
        for hop in &path.groups {
            let how = match (hop.implicit, hop.inherits) {
                (true, _) => "is implicitly in",
                (false, true) => "inherits",
                (false, false) => "member of, does not inherit",
            };
            let _ = write!(words, " ── {how} ──▶ {}", hop.role);
        }
        let how = match &path.source {
            Source::Superuser => "superuser".to_owned(),
            Source::OwnerByDefault | Source::Entry { owner: true, .. } => "owner".to_owned(),
            Source::PublicByDefault => "PUBLIC, by PostgreSQL's default".to_owned(),
            Source::Predefined(name) => format!("{name}, on every object"),
            Source::Entry { grantee, grantor, grantable, .. } => {
                let to = if grantee == "PUBLIC" { "to PUBLIC " } else { "" };
                let option = if *grantable { " with grant option" } else { "" };
                format!("granted {to}by {grantor}{option}")
            }
        };
        let end = if path.column { self.object() } else { self.subject.whole(&self.snapshot.catalog) };
        format!("{words} ── {how} ──▶ {end}")
    }

    fn scripts(&self) -> Out<'_> {
        let answer = |v: &'_ Verdict| VerdictOut {
            privilege: v.privilege.keyword(),
            held: v.held,
            works: v.works,
            no_row: v.no_row,
            unsure: v.unsure,
            paths: v.paths.iter().map(path_out).collect(),
            by_set_role: v.by_set_role.iter().map(path_out).collect(),
            missing: v.missing.clone(),
            fix: written(&v.fix),
            notes: v.notes.clone(),
            columns: v.columns.clone(),
            lacks: v.lacks.iter().map(|l| LackOut { sentence: l.sentence.clone(), fix: written(&l.fix) }).collect(),
            beneath: v.beneath.iter().map(beneath_out).collect(),
            others: v.others.clone(),
        };
        Out {
            schema_version: 1,
            instance: &self.snapshot.instance,
            database: &self.snapshot.server.database,
            role: Some(self.role.as_str()).filter(|r| *r != "PUBLIC"),
            kind: self.subject.word(),
            object: self.object(),
            declared: self.declared.as_deref(),
            excepted: self.excepted.iter().map(exception_out).collect(),
            answers: self.verdicts.iter().map(answer).collect(),
        }
    }
}

/// Those of a role's exceptions in a schema that speak of the subject.
fn excepted<'e>(all: impl Iterator<Item = &'e Exception>, subject: &Subject<'_>) -> Vec<Exception> {
    let speaks = |e: &&Exception| match subject.object() {
        Some((_, object)) => covers(e, &object.name),
        None => e.objects.is_empty(),
    };
    all.filter(speaks).cloned().collect()
}

fn written(changes: &[Change]) -> Vec<String> {
    changes.iter().flat_map(plan::sql::statements).collect()
}

#[derive(Serialize)]
struct Out<'a> {
    schema_version: u32,
    instance: &'a str,
    database: &'a str,
    /// `null` is PUBLIC.
    role: Option<&'a str>,
    kind: &'static str,
    object: String,
    declared: Option<&'a [Level]>,
    /// What the policy leaves as it is of the role, or of a group that it declares for it.
    excepted: Vec<ExceptionOut<'a>>,
    answers: Vec<VerdictOut>,
}

#[derive(Serialize)]
struct ExceptionOut<'a> {
    role: &'a str,
    privileges: Vec<&'static str>,
    /// Names in the schema; empty is all.
    objects: &'a [String],
    reason: &'a str,
}

fn exception_out(exception: &Exception) -> ExceptionOut<'_> {
    ExceptionOut {
        role: &exception.role,
        privileges: exception.privileges.iter().map(|p| p.keyword()).collect(),
        objects: &exception.objects,
        reason: &exception.reason,
    }
}

#[derive(Serialize)]
struct VerdictOut {
    privilege: &'static str,
    /// As `has_*_privilege` answers.
    held: bool,
    /// Held, the schema may be used too, nothing beneath a view is lacking, and row level security does not refuse every new
    /// row.
    works: bool,
    /// It works, and row level security lets no row through.
    no_row: bool,
    unsure: bool,
    paths: Vec<PathOut>,
    by_set_role: Vec<PathOut>,
    missing: Option<String>,
    /// Gives what is missing, or ends what is there.
    fix: Vec<String>,
    notes: Vec<String>,
    /// Columns on which a column grant gives what is not held on the whole relation.
    columns: Vec<String>,
    /// What besides the privilege is needed in some cases, and is not there.
    lacks: Vec<LackOut>,
    /// Of a view: what the statement asks for beneath it.
    beneath: Vec<BeneathOut>,
    /// Who else loses something where `fix` ends it.
    others: Vec<String>,
}

#[derive(Serialize)]
struct BeneathOut {
    relation: String,
    kind: &'static str,
    privilege: &'static str,
    /// The view that names the relation.
    view: String,
    /// Of whom it is asked.
    asked_of: String,
    /// Of whoever runs the statement, not of the view's owner.
    invoker: bool,
    /// `null` is unknown, or for single columns only.
    held: Option<bool>,
    columns: Vec<String>,
    /// Asked for only where the subquery of a select list that names it is needed.
    sometimes: bool,
    sentence: String,
    fix: Vec<String>,
}

fn beneath_out(b: &beneath::Beneath) -> BeneathOut {
    BeneathOut {
        relation: b.relation.clone(),
        kind: b.kind,
        privilege: b.privilege.keyword(),
        view: b.view.clone(),
        asked_of: b.asked_of.clone(),
        invoker: b.invoker,
        held: b.held,
        columns: b.columns.clone(),
        sometimes: b.sometimes,
        sentence: b.sentence(),
        fix: written(&b.fix),
    }
}

#[derive(Serialize)]
struct LackOut {
    sentence: String,
    fix: Vec<String>,
}

#[derive(Serialize)]
struct PathOut {
    groups: Vec<HopOut>,
    source: &'static str,
    grantee: Option<String>,
    grantor: Option<String>,
    grantable: bool,
    /// Held on the column itself, not on the whole relation.
    column: bool,
}

#[derive(Serialize)]
struct HopOut {
    role: String,
    inherits: bool,
    implicit: bool,
}

fn path_out(path: &Path) -> PathOut {
    let hops = path.groups.iter();
    let groups = hops.map(|h| HopOut { role: h.role.clone(), inherits: h.inherits, implicit: h.implicit }).collect();
    let column = path.column;
    let out = |source, grantee, grantor, grantable| PathOut { groups, source, grantee, grantor, grantable, column };
    match &path.source {
        Source::Superuser => out("superuser", None, None, false),
        Source::OwnerByDefault => out("owner", None, None, true),
        Source::PublicByDefault => out("public-default", Some("PUBLIC".to_owned()), None, false),
        Source::Predefined(name) => out("predefined", Some(name.clone()), None, false),
        Source::Entry { grantee, grantor, grantable, owner } => {
            let source = if *owner { "owner" } else { "grant" };
            out(source, Some(grantee.clone()), Some(grantor.clone()), *grantable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_target_is_a_word_unless_flags_name_it() {
        let (target, asked) = question(&words("local app select public.flow"), false).unwrap();
        assert_eq!((target.as_deref(), asked.role.as_str()), (Some("local"), "app"));
        assert_eq!(asked.privilege, Some(Privilege::Select));
        let (target, asked) = question(&words("app public"), true).unwrap();
        assert_eq!((target, asked.privilege), (None, None));
        assert!(question(&words("local app"), false).is_err());
        assert!(question(&words("local app SELECT public.flow"), true).is_err());
        let failure = question(&words("local app SELCT public.flow"), false).unwrap_err();
        assert_eq!(failure.remedy.as_deref(), Some("Did you mean SELECT?"));
    }
}

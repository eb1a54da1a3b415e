//! `versions move`, `move-objects`, `isolate`: what is moved is proposed, what nothing decides is asked on a terminal and
//! listed elsewhere; then it is shown, confirmed, proven and journalled like every other plan.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    apply::{self, Confirmed},
    args::{Isolate, MoveObjects, MoveVersions},
    failure::{Failure, Outcome},
    halt::Halt,
    plan::{self, Made},
    report::Report,
    resolve::{Context, Target},
};
use crate::{
    config::revisions,
    domain::{dependencies::Dependencies, snapshot::Snapshot},
    plan::{
        HazardKind, Refused,
        moves::{self, Answers, Proposal, Question, isolate, tables, versions},
    },
    text,
};

/// Moves a version table, or splits rows off it.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn versions(report: &mut Report, context: &Context, args: &MoveVersions, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let (from, table) = place(&args.from)?;
    let mut wanted = versions::Wanted {
        from: from.clone(),
        table,
        to: args.to.clone(),
        rows: args.rows.clone(),
        owner: args.owner.clone(),
        answers: Answers::new(),
    };
    let (policy, lineages) = (target.policy.clone(), Arc::clone(&target.lineages));
    let names = vec![from.clone(), args.to.clone()];
    let made = proposed(&target, None, &names, args.run.yes, "move that", |snapshot, _, answers| {
        wanted.answers.clone_from(answers);
        versions::plan(snapshot, policy.as_deref(), &lineages, &wanted)
    })
    .await?;
    apply::by_command(report, context, &target, made, Confirmed::by(args.run), halt).await
}

/// Moves tables with what belongs to them.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn objects(report: &mut Report, context: &Context, args: &MoveObjects, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let mut wanted = tables::Wanted {
        from: args.from.clone(),
        to: args.to.clone(),
        tables: patterns(&args.tables, args.tables_from.as_deref())?,
        owned_by: args.owned_by.clone(),
        owner: args.owner.clone(),
        answers: Answers::new(),
    };
    let names = vec![args.from.clone(), args.to.clone()];
    let made =
        proposed(&target, Some(&args.from), &names, args.run.yes, "move that", |snapshot, dependencies, answers| {
            wanted.answers.clone_from(answers);
            tables::plan(snapshot, dependencies, &wanted)
        })
        .await?;
    apply::by_command(report, context, &target, made, Confirmed::by(args.run), halt).await
}

/// Takes one service out of a schema that it shares.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn isolate(report: &mut Report, context: &Context, args: &Isolate, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let policy = target.policy.clone();
    let services = policy.iter().flat_map(|p| &p.services);
    let known = services.clone().find(|s| s.schemas.contains(&args.schema)).map(|s| s.name.clone());
    let name = known.unwrap_or_else(|| args.schema.clone());
    let mut lineages = Arc::clone(&target.lineages);
    if !args.revisions.is_empty() {
        let folders: Vec<PathBuf> = args.revisions.clone();
        let service = name.clone();
        let read = super::gather::on_a_thread(move || revisions::read_many(&service, &folders)).await?;
        for problem in &read.problems {
            super::report::note(&format!("pgmoat: {problem}"));
        }
        if read.scripts.is_empty() {
            let folders: Vec<String> = args.revisions.iter().map(|p| p.display().to_string()).collect();
            return Err(Failure::usage(
                format!("could not find a revision script in {}", text::list(&folders, 4)),
                "Name the folder that holds them, or the alembic.ini.",
            ));
        }
        Arc::make_mut(&mut lineages).0.insert(name.clone(), read);
    }
    let mut wanted = isolate::Wanted {
        from: args.from.clone(),
        schema: args.schema.clone(),
        role: args.role.clone(),
        service: Some(name),
        tables: patterns(&args.tables, args.tables_from.as_deref())?,
        rows: args.rows.clone(),
        lost: args.lost_revisions.clone(),
        version_tables: args.version_tables.clone(),
        keep_readers: args.keep_readers.clone(),
        extensions_schema: args.extensions_schema.clone(),
        password: false,
        answers: Answers::new(),
    };
    let names = vec![args.from.clone(), args.schema.clone()];
    let role = args.role.clone();
    let what = format!("isolate {}", args.schema);
    let made = proposed(&target, Some(&args.from), &names, args.run.yes, &what, |snapshot, dependencies, answers| {
        wanted.answers.clone_from(answers);
        let mut proposal = isolate::plan(snapshot, dependencies, policy.as_deref(), &lineages, &wanted)?;
        if snapshot.catalog.role_named(&role).is_none() {
            let (target, word) = (snapshot.target(), text::shell_word(&role));
            let sentence = format!("{role} has no password yet: `pgmoat set-password {target} {word}` gives it one.");
            proposal.plan.notes.push(crate::plan::Hazard { kind: HazardKind::Application, sentence });
        }
        Ok(proposal)
    })
    .await?;
    apply::by_command(report, context, &target, made, Confirmed::by(args.run), halt).await
}

/// Plans, asks what is open, and plans again, until nothing is.
async fn proposed(
    target: &Target,
    dependencies_of: Option<&str>,
    names: &[String],
    yes: bool,
    what: &str,
    mut make: impl FnMut(&Arc<Snapshot>, &Dependencies, &Answers) -> Result<Proposal, Refused>,
) -> Result<Made, Failure> {
    let mut answers = Answers::new();
    loop {
        let mut questions: Vec<Question> = Vec::new();
        let made = plan::from_dependencies(target, dependencies_of, names, |snapshot, dependencies| {
            let proposal = make(snapshot, dependencies, &answers)
                .map_err(|why| Failure::refused(format!("could not {what}: {why}"), "Nothing was changed."))?;
            questions = proposal.questions;
            Ok(proposal.plan)
        })
        .await?;
        if questions.is_empty() {
            return Ok(made);
        }
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if yes || !terminal {
            // What a yes to these leads to is asked in the same breath.
            answers.extend(questions.iter().map(|q| (q.about.clone(), true)));
            let mut then: Vec<Question> = Vec::new();
            let further = plan::from_dependencies(target, dependencies_of, names, |snapshot, dependencies| {
                let proposal = make(snapshot, dependencies, &answers)
                    .map_err(|why| Failure::refused(why.to_string(), "Nothing was changed."))?;
                then = proposal.questions;
                Ok(proposal.plan)
            });
            // where a yes to all of them cannot be, nothing more is known
            let _ = further.await;
            then.retain(|q| !answers.contains_key(&q.about));
            return Err(undecided(what, &questions, &then));
        }
        for question in questions {
            let yes = ask(&question).await?;
            answers.insert(question.about, yes);
        }
    }
}

/// What somebody has to say, with the flags that say it.
fn undecided(what: &str, questions: &[Question], then: &[Question]) -> Failure {
    let shown = |q: &Question| [format!("  {}", q.sentence), format!("    yes: {}", q.flag)];
    let mut lines: Vec<String> = questions.iter().flat_map(shown).collect();
    if !then.is_empty() {
        lines.push("and where all of that is a yes:".to_owned());
        lines.extend(then.iter().flat_map(shown));
    }
    let count = text::count((questions.len() + then.len()) as u64, "thing is", "things are");
    Failure::refused(
        format!("could not {what}: {count} not decided"),
        "Say it with the flag shown; a name with ! in front says no (--tables '!name', --keep-reader '!name').",
    )
    .with(lines)
}

/// Asks one question on the terminal until the answer is yes or no.
async fn ask(question: &Question) -> Result<bool, Failure> {
    let words = format!("{} [y/n] ", question.sentence);
    let answer = super::gather::on_a_thread(move || -> io::Result<Option<bool>> {
        loop {
            io::stderr().lock().write_all(text::safe(&words).as_bytes())?;
            let mut line = String::new();
            if io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim().to_lowercase().as_str() {
                "y" | "yes" => return Ok(Some(true)),
                "n" | "no" => return Ok(Some(false)),
                _ => {}
            }
        }
    })
    .await??;
    answer.ok_or_else(|| Failure::refused("could not go on: a question has no answer", "Nothing was changed."))
}

/// `SCHEMA` or `SCHEMA.TABLE`, odd names in double quotes.
fn place(text: &str) -> Result<(String, Option<String>), Failure> {
    moves::place(text).ok_or_else(|| {
        Failure::usage(
            format!("could not read {text}: SCHEMA or SCHEMA.TABLE is wanted"),
            "Put odd names into double quotes.",
        )
    })
}

/// The globs, and those of a file.
fn patterns(given: &[String], file: Option<&Path>) -> Result<Vec<String>, Failure> {
    let mut all = given.to_vec();
    if let Some(path) = file {
        let remedy = "It holds one name or glob on each line.";
        let text =
            std::fs::read_to_string(path).map_err(|e| Failure::file("read the tables from", path, &e, remedy))?;
        all.extend(moves::listed(&text));
    }
    Ok(all)
}

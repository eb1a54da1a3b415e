//! `journal`: what was done, newest first:
//!
//! ```text
//!  12  2026-11-20 18:02:59 UTC  committed      ann as postgres   engarde@local    3 steps
//!      Create schema langflow with role langflow_app
//!      s1  Create schema langflow for langflow_app
//! ```
//! Reads the file and nothing else.

use serde_json::{Value, json};

use super::{
    args::{JournalArgs, TextFormat},
    exit_code::Exit,
    failure::{Failure, Outcome},
    report::Report,
    resolve::{Context, Source},
    time,
};
use crate::{
    app::view::Tone,
    audit::{Ending, Entry, Journal, Link, SignalEntry, State},
    config::paths,
    text,
};

/// The database that an entry is about, by any name that somebody may give it.
struct Meant(Vec<String>);

impl Meant {
    fn new(context: &Context, words: &[String]) -> Meant {
        let mut names = words.to_vec();
        for target in words.iter().filter_map(|word| context.target(Some(word)).ok()) {
            if let Source::Server(server) = &target.source {
                names.push(server.conninfo.to_string());
            }
            names.push(target.name);
        }
        Meant(names)
    }

    fn is(&self, target: &str, instance: Option<&str>) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == target || Some(name.as_str()) == instance)
    }
}

/// Prints every entry, or those of some databases.
///
/// # Errors
/// The journal is there and cannot be read, or standard output cannot be written.
pub fn run(report: &mut Report, context: &Context, args: &JournalArgs) -> Outcome {
    let mut read = match paths::state_dir(&context.env) {
        Some(dir) => Journal::in_dir(&dir).read().map_err(|e| Failure::usage(e.to_string(), ""))?,
        None => crate::audit::Read::default(),
    };
    let meant = Meant::new(context, &args.targets);
    read.entries.retain(|entry| meant.is(&entry.target, Some(&entry.plan.target.instance)));
    read.signals.retain(|signal| meant.is(&signal.intent.target, None));
    match args.format {
        TextFormat::Json => {
            let entries: Vec<Value> = read.entries.iter().rev().map(entry_json).collect();
            report.json(&json!({
                "schema_version": 1,
                "entries": entries,
                "signals": read.signals.iter().rev().map(signal_json).collect::<Vec<_>>(),
                "damaged_lines": read.damaged,
                "first_broken_line": read.broken_chain,
            }))?;
        }
        TextFormat::Text => {
            let mut signals = read.signals.iter().rev().peekable();
            for entry in read.entries.iter().rev() {
                while let Some(signal) = signals.next_if(|s| s.id > entry.id) {
                    write_signal(report, signal)?;
                }
                write(report, entry)?;
            }
            for signal in signals {
                write_signal(report, signal)?;
            }
            if read.entries.is_empty() && read.signals.is_empty() {
                let place = if args.targets.is_empty() { "" } else { " there" };
                report.say(&format!("Nothing was done{place} yet."))?;
            }
            if read.damaged > 0 {
                let words = text::count(read.damaged as u64, "line is", "lines are");
                report.paragraph(0, "! ", &format!("{words} damaged and left out."), Tone::Warning)?;
            }
            if let Some(line) = read.broken_chain {
                let words = format!("The journal was altered, or lost a line, before line {line}.");
                report.paragraph(0, "! ", &words, Tone::Error)?;
            }
        }
    }
    report.flush()?;
    Ok(Exit::Done)
}

fn write(report: &mut Report, entry: &Entry) -> Result<(), Failure> {
    let state = entry.state();
    let tone = match state {
        State::Committed => Tone::Good,
        State::Undone | State::Rehearsed | State::NotCommitted => Tone::Dim,
        State::Running => Tone::Info,
        State::Unknown | State::Unsettled => Tone::Error,
    };
    report
        .line()
        .cell(&format!("{:>4}", entry.id), 6, Tone::Accent)
        .cell(&time::readable(entry.at_us), 25, Tone::Text)
        .cell(&state.word().replace('_', " "), 15, tone)
        .text(&format!("{} as {} on {}", entry.who.os_user, entry.who.role, entry.target))
        .end()?;
    report.paragraph(6, "", &entry.plan.name(), Tone::Strong)?;
    let link = match entry.link {
        Some(Link::Undoes(id)) => Some(format!("takes back entry {id}")),
        Some(Link::Redoes(id)) => Some(format!("does again what entry {id} took back")),
        None => None,
    };
    let undone = entry.undone_by.map(|by| match entry.link {
        Some(Link::Undoes(_)) => format!("done again by entry {by}"),
        Some(Link::Redoes(_)) | None => format!("taken back by entry {by}"),
    });
    for words in link.iter().chain(&undone) {
        report.paragraph(6, "", words, Tone::Dim)?;
    }
    match &entry.ending {
        Some(Ending::NotCommitted { why, .. } | Ending::Unknown { why }) => {
            report.paragraph(6, "because ", why, Tone::Dim)?;
        }
        Some(Ending::Committed { .. } | Ending::Rehearsed { .. }) | None => {}
    }
    for step in &entry.plan.steps {
        report.line().known("      ").cell(&step.id, 5, Tone::Dim).text(&step.title).end()?;
        for statement in &step.sql {
            report.sql(11, statement)?;
        }
    }
    Ok(())
}

fn write_signal(report: &mut Report, entry: &SignalEntry) -> Result<(), Failure> {
    let intent = &entry.intent;
    report
        .line()
        .cell(&format!("{:>4}", entry.id), 6, Tone::Accent)
        .cell(&time::readable(entry.at_us), 25, Tone::Text)
        .cell(if entry.told.is_some() { "signal" } else { "unsettled" }, 15, Tone::Dim)
        .text(&format!("{} as {} on {}", intent.who.os_user, intent.who.role, intent.target))
        .end()?;
    for (at, session) in intent.sessions.iter().enumerate() {
        let told = entry.told.as_ref().and_then(|t| t.get(at)).map_or("not known", String::as_str);
        report.paragraph(6, "", &format!("{} {session}: {told}", intent.signal), Tone::Text)?;
    }
    Ok(())
}

fn signal_json(entry: &SignalEntry) -> Value {
    json!({
        "id": entry.id,
        "at": time::rfc3339(entry.at_us),
        "signal": entry.intent.signal,
        "os_user": entry.intent.who.os_user,
        "host": entry.intent.who.host,
        "role": entry.intent.who.role,
        "target": entry.intent.target,
        "sessions": entry.intent.sessions,
        "told": entry.told,
    })
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "at": time::rfc3339(entry.at_us),
        "ended_at": entry.ended_us.and_then(time::rfc3339),
        "state": entry.state().word(),
        "os_user": entry.who.os_user,
        "host": entry.who.host,
        "role": entry.who.role,
        "target": entry.target,
        "rehearse": entry.rehearse,
        "undoes": match entry.link { Some(Link::Undoes(id)) => Some(id), _ => None },
        "redoes": match entry.link { Some(Link::Redoes(id)) => Some(id), _ => None },
        "undone_by": entry.undone_by,
        "can_be_undone": entry.can_be_undone(),
        "can_be_redone": entry.can_be_redone(),
        "xid": entry.transaction.as_ref().map(|t| t.xid.to_string()),
        "ending": entry.ending,
        "plan": entry.plan,
    })
}

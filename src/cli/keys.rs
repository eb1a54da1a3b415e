//! `keys`: every key of the console, from the slice of actions that the console itself is driven by.

use super::{args::KeysFormat, exit_code::Exit, failure::Outcome, report::Report};
use crate::{
    app::{
        actions::{ACTIONS, ActionSpec},
        view::Tone,
    },
    text,
};

/// Prints the default keys.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(report: &mut Report, format: KeysFormat) -> Outcome {
    match format {
        KeysFormat::Text => {
            let (keys, ids) = (widest(|a| a.keys.join(" ")), widest(|a| a.id.to_owned()));
            for action in ACTIONS {
                report
                    .line()
                    .cell(&action.keys.join(" "), keys, Tone::Key)
                    .known("  ")
                    .cell(action.id, ids, Tone::Text)
                    .known("  ")
                    .painted(action.doc, Tone::Dim)
                    .end()?;
            }
        }
        KeysFormat::Markdown => {
            report.raw("| key | action | where | what it does |\n|---|---|---|---|\n")?;
            for action in ACTIONS {
                let keys: Vec<String> = action.keys.iter().map(|k| format!("`{}`", k.replace('|', "\\|"))).collect();
                let place = action.context.word();
                report.raw(&format!("| {} | `{}` | {place} | {} |\n", keys.join(" "), action.id, action.doc))?;
            }
        }
    }
    report.flush()?;
    Ok(Exit::Done)
}

fn widest(of: impl Fn(&ActionSpec) -> String) -> usize {
    ACTIONS.iter().map(|a| text::width(&of(a))).max().unwrap_or(0)
}

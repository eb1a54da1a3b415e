//! `themes`: the themes to choose from, one name a line.

use super::{exit_code::Exit, failure::Outcome, report::Report};
use crate::{
    app::view::Tone,
    config::{Env, paths},
    text,
    tui::theme::{BUILT_IN, Theme},
};

/// Prints the built-in themes, then those in the configuration's folder.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(report: &mut Report, env: &Env) -> Outcome {
    let folder = paths::config_dir(env).map(|dir| dir.join("themes"));
    let names = Theme::names(folder.as_deref());
    let width = names.iter().map(|n| text::width(&text::safe(n))).max().unwrap_or(0);
    for (i, name) in names.iter().enumerate() {
        let from = match (BUILT_IN.iter().any(|(n, _)| n == name), &folder) {
            (true, _) if i == 0 => "built in, the default".to_owned(),
            (true, _) | (false, None) => "built in".to_owned(),
            (false, Some(folder)) => folder.join(format!("{name}.toml")).display().to_string(),
        };
        report.line().cell(&text::safe(name), width, Tone::Text).known("  ").tone(&from, Tone::Dim).end()?;
    }
    report.flush()?;
    Ok(Exit::Done)
}

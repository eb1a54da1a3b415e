//! The console: what it is opened on. How it runs is `run`'s.

use super::{
    exit_code::Exit,
    failure::{Failure, Outcome},
    resolve::Context,
    terminal,
};
use crate::run;

/// Opens the console on every target that is meant.
///
/// # Errors
/// No terminal; no target; what `resolve` meets.
pub async fn run(context: &Context, words: &[String]) -> Outcome {
    terminal::required("check")?;
    let targets = context.targets_or_none(words)?;
    if targets.is_empty() {
        return Err(Failure::from(crate::config::target::nothing()));
    }
    run::console(context, targets).await?;
    Ok(Exit::Done)
}

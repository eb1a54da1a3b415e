//! Whether a console can be opened here. Asks before anything is connected or started.

use std::io::{self, IsTerminal as _};

use super::failure::Failure;

/// What the console needs of its surroundings. `instead` is the command that does without.
///
/// # Errors
/// Standard input or output is no terminal, or TERM says that it can do nothing.
pub fn required(instead: &str) -> Result<(), Failure> {
    let term = std::env::var("TERM").unwrap_or_default();
    let cause = match (io::stdin().is_terminal(), io::stdout().is_terminal()) {
        (false, _) => "standard input is not a terminal",
        (_, false) => "standard output is not a terminal",
        (true, true) if term == "dumb" => "TERM is dumb: this terminal cannot place text",
        (true, true) => return Ok(()),
    };
    let remedy = format!("Without a console: `pgmoat {instead}`.");
    Err(Failure::usage(format!("could not open the console: {cause}"), remedy))
}

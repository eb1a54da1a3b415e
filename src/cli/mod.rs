//! The command line: parse first, then resolve, then one file per subcommand.

/// Runs the program and returns its exit code.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

//! The binary: parses, chooses the mode, prints an error once and sets the exit code.

fn main() -> std::process::ExitCode {
    match pgmoat::demo::guard::dispatch() {
        Some(code) => code,
        None => pgmoat::cli::main(),
    }
}

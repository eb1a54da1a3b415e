//! `completions` and `man`: generated from the definitions of `args`.

use clap_complete::Shell;

use super::{
    args,
    exit_code::Exit,
    failure::{Failure, Outcome},
    report::Report,
};

/// Prints the completions for a shell.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(report: &mut Report, shell: Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "pgmoat", &mut text);
    report.raw(&String::from_utf8_lossy(&text))?;
    report.flush()?;
    Ok(Exit::Done)
}

/// Prints the manual page: one page for everything, a section per command.
///
/// # Errors
/// Standard output cannot be written.
pub fn man(report: &mut Report) -> Outcome {
    let page = page()?;
    report.raw(&page)?;
    report.flush()?;
    Ok(Exit::Done)
}

fn page() -> Result<String, Failure> {
    let mut command = args::command();
    command.build();
    let mut page = Vec::new();
    let root = clap_mangen::Man::new(command.clone()).section("1").manual("pgmoat");
    root.render_title(&mut page)?;
    root.render_name_section(&mut page)?;
    root.render_synopsis_section(&mut page)?;
    root.render_description_section(&mut page)?;
    root.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    for sub in command.get_subcommands() {
        commands(sub, &mut page)?;
    }
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        page.extend_from_slice(format!(".TP\n.B {}\n{}\n", exit.number(), exit.meaning()).as_bytes());
    }
    page.extend_from_slice(FILES.as_bytes());
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// One command and those below it, as subsections. Options that every command takes stand once, at the top.
fn commands(command: &clap::Command, page: &mut Vec<u8>) -> Result<(), Failure> {
    if command.has_subcommands() {
        for sub in command.get_subcommands() {
            commands(sub, page)?;
        }
        return Ok(());
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut own = command.clone();
    for id in command.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().clone()) {
        own = own.mut_arg(id, |arg| arg.hide(true));
    }
    page.extend_from_slice(format!(".SS \"{name}\"\n").as_bytes());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.extend_from_slice(format!("{}\n.PP\n", about.replace('-', "\\-")).as_bytes());
    let mut options = Vec::new();
    clap_mangen::Man::new(own).render_options_section(&mut options)?;
    for line in String::from_utf8_lossy(&options).lines().filter(|l| !l.starts_with(".SH")) {
        page.extend_from_slice(line.as_bytes());
        page.push(b'\n');
    }
    Ok(())
}

const FILES: &str = r".SH FILES
.TP
.I config.toml
In the configuration directory of the platform (XDG is respected), or where \-\-config or PGMOAT_CONFIG point. The file
.I config.example.toml
of the source lists every setting with its default.
.TP
.I ~/.pgpass, pg_service.conf
As libpq reads them.
.PP
\fBpgmoat info\fR prints every path in use.
.SH ENVIRONMENT
.TP
.B PGMOAT_CONFIG, PGMOAT_PG_BIN
The configuration file; the directory of the server binaries for the demo.
.TP
.B PGHOST, PGPORT, PGUSER, PGDATABASE, PGSERVICE, PGPASSWORD, PGPASSFILE, PGSSLMODE …
As libpq reads them.
.TP
.B NO_COLOR, TERM
No colours when NO_COLOR is set or TERM is dumb.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_command_and_exit_code() {
        let page = page().unwrap();
        for sub in args::command().get_subcommands() {
            assert!(page.contains(&format!("pgmoat {}", sub.get_name())), "{}", sub.get_name());
        }
        assert!(page.contains("EXIT STATUS") && page.contains("fail\\-on"));
        assert_eq!(page.matches("PGMOAT_PG_BIN]").count(), 1, "global options stand once");
        assert_eq!(page.matches("\\-\\-read\\-only").count(), 2, "synopsis and options only: {page}");
    }
}

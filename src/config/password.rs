//! Passwords from outside the files: a command that prints one, or a person at the terminal. Never from an argument.

use std::{
    io::{self, Read as _, Write as _},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use secrecy::{SecretString, zeroize::Zeroize as _};

use super::Error;

/// How long a password command may take.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// The longest password that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// Runs a command with `sh -c` and returns the first line it prints. Its own questions (a passphrase, say) must be asked
/// outside our terminal; its error output is not shown except for its last line on failure. Blocks up to `limit`.
pub fn from_command(command: &str, limit: Duration) -> Result<SecretString, Error> {
    let failed = |why: &str, remedy: &str| Error::new(format!("could not run password_command: {why}"), remedy);
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        // A group of its own, so that everything the command started can be ended with it.
        shell.process_group(0);
    }
    let mut child = shell.spawn().map_err(|e| failed(&e.to_string(), ""))?;
    let (sender, finished) = mpsc::channel();
    if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.by_ref().take(LONGEST).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
            text
        });
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.by_ref().take(LONGEST).read_to_end(&mut text);
            let _ = io::copy(&mut stdout, &mut io::sink());
            let _ = sender.send((text, errors.join().unwrap_or_default()));
        });
    }
    let Ok((mut output, errors)) = finished.recv_timeout(limit) else {
        end(&mut child);
        let seconds = limit.as_secs_f32();
        return Err(failed(
            &format!("it did not finish within {seconds:.0} s"),
            "run it by hand once: does it ask something?",
        ));
    };
    let status = child.wait().map_err(|e| failed(&e.to_string(), ""))?;
    let line = output.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let password = std::str::from_utf8(line).map(|l| SecretString::from(l.to_owned()));
    let empty = line.is_empty();
    output.zeroize();
    if !status.success() {
        let errors = String::from_utf8_lossy(&errors);
        let said = errors.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it printed no reason");
        let code = status.code().map_or_else(|| "a signal".to_owned(), |c| format!("code {c}"));
        return Err(failed(&format!("it ended with {code}: {}", said.trim()), "run it by hand to see what is wrong"));
    }
    match password {
        Ok(password) if !empty => Ok(password),
        Ok(_) => Err(failed("the first line it printed is empty", "it must print the password and nothing before it")),
        Err(_) => Err(failed("what it printed is not UTF-8", "")),
    }
}

fn end(child: &mut std::process::Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Asks on the terminal without showing what is typed. `for_whom` is shown: `user@host:port/db`, already safe to print.
/// Errors: there is no terminal, or Ctrl-C or Ctrl-D was pressed.
#[cfg(unix)]
pub fn ask(for_whom: &str) -> Result<SecretString, Error> {
    use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex};

    const CTRL_C: u8 = 3;
    let none = |_| {
        Error::new(
            "could not ask for a password: there is no terminal",
            "put it into ~/.pgpass or PGPASSWORD, or set password_command for the instance",
        )
    };
    let mut tty = std::fs::File::options().read(true).write(true).open("/dev/tty").map_err(none)?;
    let before = termios::tcgetattr(&tty).map_err(|e| none(io::Error::from(e)))?;
    let mut silent = before.clone();
    // Ctrl-C must not end the program while the terminal is silent: it ends the line instead, and we see it.
    silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
    silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    let asked = |e: io::Error| Error::new(format!("could not ask for a password: {e}"), "");
    // Silent before the question, so that nothing typed after seeing it is ever shown.
    termios::tcsetattr(&tty, OptionalActions::Flush, &silent).map_err(|e| asked(e.into()))?;
    let mut line = Vec::new();
    let read = write!(tty, "Password for {for_whom}: ")
        .and_then(|()| tty.flush())
        .and_then(|()| read_line(&mut tty, &mut line, CTRL_C));
    let restored = termios::tcsetattr(&tty, OptionalActions::Flush, &before).map_err(io::Error::from);
    read.and(restored).map_err(asked)?;
    let cancelled = line.contains(&CTRL_C) || !line.ends_with(b"\n");
    let text = std::str::from_utf8(&line).map(|l| SecretString::from(l.trim_end_matches(['\n', '\r']).to_owned()));
    line.zeroize();
    if cancelled {
        let _ = writeln!(tty);
        return Err(Error::new("could not go on: no password was given", ""));
    }
    text.map_err(|_| Error::new("could not use the password: it is not UTF-8", ""))
}

/// The terminal hands over whole lines; one that `stop` ended has no line feed.
#[cfg(unix)]
fn read_line(tty: &mut std::fs::File, line: &mut Vec<u8>, stop: u8) -> io::Result<()> {
    let mut piece = [0; 4096];
    loop {
        let count = tty.read(&mut piece)?;
        line.extend(piece.iter().take(count));
        if count == 0 || line.ends_with(b"\n") || line.contains(&stop) || line.len() > 1 << 16 {
            piece.zeroize();
            return Ok(());
        }
    }
}

/// Asks on the terminal; not available here.
#[cfg(not(unix))]
pub fn ask(_for_whom: &str) -> Result<SecretString, Error> {
    Err(Error::new("could not ask for a password on this system", "put it into pgpass.conf or PGPASSWORD"))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn run(command: &str) -> Result<String, Error> {
        from_command(command, Duration::from_secs(10)).map(|p| p.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_is_the_password() {
        assert_eq!(run("printf 'a b\\nsecond\\n'").unwrap(), "a b");
        assert_eq!(run("printf 'crlf\\r\\n'").unwrap(), "crlf");
        assert_eq!(run("printf no-newline").unwrap(), "no-newline");
        assert_eq!(run("yes x | head -c 300000").unwrap(), "x");
    }

    #[test]
    fn failures_say_why_and_not_what_was_printed() {
        for (command, why) in [
            ("echo CANARY; echo locked >&2; exit 3", "code 3: locked"),
            ("echo CANARY; exit 1", "no reason"),
            ("true", "empty"),
            ("printf '\\377CANARY\\n'", "UTF-8"),
            ("kill -9 $$", "signal"),
        ] {
            let error = run(command).unwrap_err();
            assert!(error.message.contains(why), "{command}: {error}");
            assert!(!error.to_string().contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("pid");
        let command = format!("sh -c 'echo $$ > {}; sleep 60'; true", mark.display());
        let error = from_command(&command, Duration::from_millis(700)).unwrap_err();
        assert!(error.message.contains("did not finish"), "{error}");
        let pid: i32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        let gone = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        });
        assert!(gone, "process {pid} is still there");
    }

    /// Plays a person at a terminal: this test starts itself again there, as the program that asks.
    #[test]
    fn the_terminal_is_asked_in_silence() {
        use std::io::{Read as _, Write as _};
        const ROLE: &str = "PGMOAT_TEST_ASKS";
        if std::env::var_os(ROLE).is_some() {
            match ask("u@h:1/d") {
                Ok(password) => println!("GOT [{}]", password.expose_secret()),
                Err(error) => println!("ERROR [{error}]"),
            }
            return;
        }
        for (typed, expected) in [
            ("pass word\r", "GOT [pass word]"),
            ("abc\u{3}", "ERROR [could not go on"),
            ("\u{4}", "ERROR [could not go on"),
        ] {
            let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
            let mut command = portable_pty::CommandBuilder::new(std::env::current_exe().unwrap());
            command.args(["--exact", "config::password::tests::the_terminal_is_asked_in_silence", "--nocapture"]);
            command.env(ROLE, "1");
            let mut child = pty.slave.spawn_command(command).unwrap();
            let (mut reader, mut writer) = (pty.master.try_clone_reader().unwrap(), pty.master.take_writer().unwrap());
            let mut shown = String::new();
            let mut piece = [0; 1024];
            while !shown.contains("u@h:1/d: ") {
                let count = reader.read(&mut piece).unwrap();
                assert!(count > 0, "{shown}");
                shown.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
            writer.write_all(typed.as_bytes()).unwrap();
            child.wait().unwrap();
            let tty = std::fs::File::open(pty.master.tty_name().unwrap()).unwrap();
            let modes = rustix::termios::tcgetattr(&tty).unwrap().local_modes;
            assert!(modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ISIG), "restored");
            drop((tty, pty.slave));
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                shown.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
            assert!(shown.contains(expected), "{shown}");
            assert_eq!(shown.matches("pass word").count(), usize::from(typed.starts_with("pass")), "echoed: {shown}");
        }
    }
}

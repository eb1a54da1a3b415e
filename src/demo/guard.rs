//! The guard: a small process of our own binary that owns the throwaway servers. It starts them, and when the pipe to
//! the console closes, for whatever reason (`kill -9` included), it stops them and removes their directories.
//! It speaks one JSON object per line over stdin and stdout and writes nothing else anywhere; it knows nothing of
//! fleets, policies or screens.
//!
//! It leaves the console's session first thing, so Ctrl-C, a closed terminal and signals to the process group do not
//! reach it; a signal sent to it alone is ignored too: the pipe decides.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::error::{DemoError, Kind};

/// The first argument that makes the binary a guard.
pub const ARGUMENT: &str = "__guard";

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(4);
/// How long a server may take to accept connections.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long the removal of a directory is tried again while dying processes still write into it.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

/// User and group ids to start a program as.
pub type Ids = (u32, u32);

/// What the console asks of the guard.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Make a private directory below `parent`, owned by `owner`, and remove it at the end.
    Directory {
        /// Where; must exist.
        parent: PathBuf,
        /// Whom it is given to; ourselves when absent.
        owner: Option<Ids>,
    },
    /// Run a program to its end.
    Run {
        /// The program's path.
        program: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// Whom to run it as.
        ids: Option<Ids>,
        /// Receives both of its outputs.
        log: PathBuf,
    },
    /// Start a server and wait until it accepts connections.
    Serve {
        /// The `postgres` binary.
        program: PathBuf,
        /// Its data directory.
        data: PathBuf,
        /// Further arguments.
        args: Vec<String>,
        /// Whom to run it as.
        ids: Option<Ids>,
        /// Receives its log.
        log: PathBuf,
    },
    /// Stop a server started before.
    Halt {
        /// Its data directory.
        data: PathBuf,
        /// How.
        mode: StopMode,
    },
    /// Run this program when everything ends (a container is removed by it).
    AtEnd {
        /// The program's path.
        program: PathBuf,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Forget everything, leave it running, and exit.
    Keep,
}

/// How a server is stopped; the names of `pg_ctl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopMode {
    /// Disconnects everybody and shuts down cleanly.
    Fast,
    /// Drops everything at once; the next start recovers.
    Immediate,
    /// Kills the postmaster as a power cut would.
    Crash,
}

/// What the guard answers, one per request, and [`Reply::Ready`] once at its start.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The guard has left the console's session.
    Ready,
    /// The directory that was made.
    Directory(PathBuf),
    /// It was done.
    Done,
    /// It failed; the text is for people.
    Failed(String),
}

/// If the program was started as a guard, runs it and returns its exit code.
pub fn dispatch() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    (args.next()? == ARGUMENT).then(|| run(args))
}

/// The guard's life: until stdin ends. Takes no arguments; any are ignored.
pub fn run(_args: impl Iterator<Item = OsString>) -> ExitCode {
    // Fails only for a process group leader, which the console never makes of it.
    let _ = rustix::process::setsid();
    let _ = std::env::set_current_dir("/");
    let Ok(_deaf) = Deaf::new() else { return ExitCode::FAILURE };
    say(&Reply::Ready);
    let mut held = Held { requests: requests(), directories: Vec::new(), servers: Vec::new(), at_end: Vec::new() };
    while let Ok(request) = held.requests.recv() {
        if let Request::Keep = request {
            say(&Reply::Done);
            return ExitCode::SUCCESS;
        }
        let reply = match held.answer(request) {
            Ok(reply) => reply,
            Err(Trouble::Failed(why)) => Reply::Failed(why),
            Err(Trouble::Abandoned) => break,
        };
        say(&reply);
    }
    held.clear();
    ExitCode::SUCCESS
}

/// Signals that would end the guard are taken and dropped while this lives.
struct Deaf {
    _runtime: tokio::runtime::Runtime,
    _signals: Vec<tokio::signal::unix::Signal>,
}

impl Deaf {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
            .into_iter()
            .map(signal)
            .collect::<io::Result<Vec<_>>>()?;
        drop(entered);
        Ok(Self { _runtime: runtime, _signals: signals })
    }
}

/// Reads requests in a thread, so that the end of the pipe is noticed while a child runs.
fn requests() -> Receiver<Request> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            let Ok(request) = serde_json::from_str(&line) else { return };
            if sender.send(request).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(reply: &Reply) {
    // A console that is gone cannot be told; the end of stdin says so next.
    if let Ok(mut line) = serde_json::to_vec(reply) {
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

/// Why a request was not answered as asked.
enum Trouble {
    /// It failed.
    Failed(String),
    /// The console went away meanwhile.
    Abandoned,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Everything that must be gone at the end.
struct Held {
    requests: Receiver<Request>,
    directories: Vec<PathBuf>,
    servers: Vec<Server>,
    at_end: Vec<(PathBuf, Vec<String>)>,
}

struct Server {
    data: PathBuf,
    child: Child,
}

impl Held {
    fn answer(&mut self, request: Request) -> Result<Reply, Trouble> {
        match request {
            Request::Directory { parent, owner } => {
                let directory = tempfile::Builder::new().prefix("pgmoat-").tempdir_in(parent)?.keep();
                self.directories.push(directory.clone());
                if let Some((uid, gid)) = owner {
                    std::os::unix::fs::chown(&directory, Some(uid), Some(gid))?;
                }
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
                Ok(Reply::Directory(directory))
            }
            Request::Run { program, args, ids, log } => {
                let mut child = command(&program, ids, &log)?.args(args).spawn()?;
                let status = loop {
                    if let Some(status) = child.try_wait()? {
                        break status;
                    }
                    if self.abandoned() {
                        // Its own children are in its group.
                        if let Some(pid) = pid(&child) {
                            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                        }
                        let _ = child.wait();
                        return Err(Trouble::Abandoned);
                    }
                };
                if status.success() { Ok(Reply::Done) } else { Err(Trouble::Failed(ending(&program, status, &log))) }
            }
            Request::Serve { program, data, args, ids, log } => {
                // A file left by a crash would be taken for the new server's.
                let status_file = data.join("postmaster.pid");
                let child = command(&program, ids, &log)?.arg("-D").arg(&data).args(args).spawn()?;
                self.servers.push(Server { data, child });
                self.wait_until_ready(&program, &status_file, &log)
            }
            Request::Halt { data, mode } => {
                if let Some(at) = self.servers.iter().position(|server| server.data == data) {
                    self.servers.swap_remove(at).stop(mode);
                }
                Ok(Reply::Done)
            }
            Request::AtEnd { program, args } => {
                self.at_end.push((program, args));
                Ok(Reply::Done)
            }
            Request::Keep => Ok(Reply::Done),
        }
    }

    /// True when the console is gone. Waits a moment for that, which is also the pace of polling.
    fn abandoned(&self) -> bool {
        matches!(self.requests.recv_timeout(POLL), Err(RecvTimeoutError::Disconnected))
    }

    /// The last server of the list is the one being started.
    fn wait_until_ready(&mut self, program: &Path, status_file: &Path, log: &Path) -> Result<Reply, Trouble> {
        let start = Instant::now();
        loop {
            let Some(server) = self.servers.last_mut() else { return Ok(Reply::Done) };
            if let Some(status) = server.child.try_wait()? {
                self.servers.pop();
                return Err(Trouble::Failed(ending(program, status, log)));
            }
            if accepts_connections(status_file, server.child.id()) {
                return Ok(Reply::Done);
            }
            if start.elapsed() > START_LIMIT {
                if let Some(server) = self.servers.pop() {
                    server.stop(StopMode::Immediate);
                }
                let limit = START_LIMIT.as_secs();
                return Err(Trouble::Failed(format!("it did not accept connections within {limit} s\n{}", tail(log))));
            }
            if self.abandoned() {
                return Err(Trouble::Abandoned);
            }
        }
    }

    fn clear(&mut self) {
        for server in self.servers.drain(..) {
            server.stop(StopMode::Immediate);
        }
        for (program, args) in self.at_end.drain(..) {
            let quiet = (Stdio::null(), Stdio::null(), Stdio::null());
            let _ = Command::new(program).args(args).stdin(quiet.0).stdout(quiet.1).stderr(quiet.2).status();
        }
        for directory in self.directories.drain(..) {
            remove(&directory);
        }
    }
}

impl Server {
    fn stop(mut self, mode: StopMode) {
        let signal = match mode {
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
            StopMode::Crash => Signal::KILL,
        };
        let Some(pid) = pid(&self.child) else { return };
        let start = Instant::now();
        let _ = rustix::process::kill_process(pid, signal);
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > STOP_LIMIT {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = self.child.wait();
                return;
            }
            thread::sleep(POLL);
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// A command in a process group of its own, with `log` for both outputs and without the environment that the programs
/// of PostgreSQL would obey.
fn command(program: &Path, ids: Option<Ids>, log: &Path) -> io::Result<Command> {
    let out = fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("LC_") || text == "LANG" {
            command.env_remove(&name);
        }
    }
    command.env("LC_ALL", "C");
    if let Some((uid, gid)) = ids {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// `postmaster.pid` holds the server's process id in its first line and its state in the eighth (since version 10).
fn accepts_connections(status_file: &Path, server: u32) -> bool {
    let Ok(text) = fs::read_to_string(status_file) else { return false };
    let mut lines = text.lines();
    lines.next().is_some_and(|pid| pid.trim() == server.to_string())
        && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

fn ending(program: &Path, status: std::process::ExitStatus, log: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("{name} ended with exit code {code}"),
        (None, Some(signal)) => format!("{name} was ended by signal {signal}"),
        (None, None) => format!("{name} ended"),
    };
    format!("{how}\n{}", tail(log))
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(12);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Removes a directory, again while processes that are just dying still add files.
fn remove(directory: &Path) {
    let start = Instant::now();
    while let Err(error) = fs::remove_dir_all(directory) {
        if error.kind() == io::ErrorKind::NotFound || start.elapsed() > REMOVE_LIMIT {
            return;
        }
        thread::sleep(POLL);
    }
}

/// The console's end: owns the guard process. Dropping it ends the servers and waits until they are gone.
pub struct Guard {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    /// What it must remove, should it be gone before us.
    directories: Vec<PathBuf>,
}

impl Guard {
    /// Starts a guard. `program` is a binary that calls [`dispatch`]; by default the running one.
    ///
    /// # Errors
    /// `Setup` when the program cannot be run or is no guard.
    pub fn start(program: Option<&Path>) -> Result<Self, DemoError> {
        let failed = |cause: &dyn std::fmt::Display| {
            DemoError::new(Kind::Setup, "start the process that guards the servers", cause, "")
        };
        let program = match program {
            Some(program) => program.to_path_buf(),
            None => std::env::current_exe().map_err(|error| failed(&error))?,
        };
        let mut child = Command::new(&program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&format_args!("{}: {error}", program.display())))?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&"it has no pipes"));
        };
        let mut guard =
            Self { child, requests: Some(requests), replies: BufReader::new(replies), directories: Vec::new() };
        match guard.reply() {
            Ok(Reply::Ready) => Ok(guard),
            Ok(_) | Err(_) => Err(failed(&format_args!("{} did not answer as a guard", program.display()))),
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// The guard's own words when it failed, or that it is gone.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, String> {
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let gone = |error: io::Error| format!("the guard process is gone ({error})");
        let pipe = self.requests.as_mut().ok_or("the guard process has ended")?;
        pipe.write_all(&line).and_then(|()| pipe.flush()).map_err(gone)?;
        match self.reply().map_err(gone)? {
            Reply::Failed(why) => Err(why),
            Reply::Directory(directory) => {
                self.directories.push(directory.clone());
                Ok(Reply::Directory(directory))
            }
            Reply::Done => {
                if let Request::Keep = request {
                    self.directories.clear();
                }
                Ok(Reply::Done)
            }
            Reply::Ready => Ok(Reply::Ready),
        }
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    /// Process id of the guard, for tests and messages.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.requests.take());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < STOP_LIMIT + REMOVE_LIMIT {
            thread::sleep(POLL);
        }
        for directory in self.directories.drain(..).filter(|directory| directory.exists()) {
            end_orphan(&directory);
        }
    }
}

/// Somebody killed the guard: what it held is ended from here, found by the file that the server keeps.
fn end_orphan(directory: &Path) {
    let status_file = directory.join("data/postmaster.pid");
    let server =
        fs::read_to_string(&status_file).ok().and_then(|text| Pid::from_raw(text.lines().next()?.parse().ok()?));
    if let Some(pid) = server {
        let _ = rustix::process::kill_process(pid, Signal::QUIT);
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT && rustix::process::test_kill_process(pid).is_ok() {
            thread::sleep(POLL);
        }
    }
    remove(directory);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_that_of_this_server() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        assert!(!accepts_connections(&file, 17));
        fs::write(&file, "17\n/data\n1\n5432\n/tmp\nlocalhost\n123 4\nstarting\n").unwrap();
        assert!(!accepts_connections(&file, 17));
        fs::write(&file, "17\n/data\n1\n5432\n/tmp\nlocalhost\n123 4\nready   \n").unwrap();
        assert!(accepts_connections(&file, 17));
        assert!(!accepts_connections(&file, 18));
    }

    #[test]
    fn the_end_of_a_log_is_what_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let lines: Vec<String> = (0..40).map(|n| format!("line {n}\n")).collect();
        fs::write(&file, lines.join("\n")).unwrap();
        let tail = tail(&file);
        assert!(tail.starts_with("line 28\n") && tail.ends_with("line 39"), "{tail}");
    }
}

//! What can be typed: commands, flags and their help, once. Help, completions and the manual page are derived from here;
//! what the words mean for a run is decided in `resolve`.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments are help texts: brackets there mean what may be left out"
)]

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::{config::Environment, plan::setup::CONNECTIONS, policy::Severity};

/// See the module.
#[derive(Debug, Parser)]
#[command(
    name = "pgmoat",
    bin_name = "pgmoat",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    about = "A terminal console for PostgreSQL databases that several services share by schema",
    long_about = "A terminal console for PostgreSQL databases that several services share by schema: who may do what, \
                  which Alembic version table belongs to whom, and what differs from the policy.\n\n\
                  A TARGET is the name of an instance in the configuration, or a connection string as libpq takes them. \
                  Without one, all instances of the configuration are meant; without a configuration, libpq's \
                  environment (PGHOST, PGSERVICE and so on).",
    after_help = "Exit codes: 0 clean or done, 1 findings or a plan with steps, 2 usage, configuration or policy error, 3 could \
                  not connect or the server failed, 4 refused or rolled back, nothing changed, 5 outcome unknown, 130 \
                  interrupted.",
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Instances of the configuration, or connection strings; the console opens on them
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Print help
    #[arg(long, short = '?', action = ArgAction::Help, global = true)]
    help: Option<bool>,

    /// Host name, address, or directory of a Unix socket
    #[arg(short = 'h', long, value_name = "HOST", global = true, help_heading = "Connection, in place of a TARGET")]
    pub host: Option<String>,
    /// Port of the server; for the demo, the port it shall listen on
    #[arg(short = 'p', long, value_name = "PORT", global = true, help_heading = "Connection, in place of a TARGET")]
    pub port: Option<u16>,
    /// Role to log in as
    #[arg(
        short = 'U',
        long = "username",
        alias = "user",
        value_name = "USER",
        global = true,
        help_heading = "Connection, in place of a TARGET"
    )]
    pub user: Option<String>,
    /// Database, or a connection string
    #[arg(short = 'd', long, value_name = "DBNAME", global = true, help_heading = "Connection, in place of a TARGET")]
    pub dbname: Option<String>,
    /// Never ask for a password
    #[arg(short = 'w', long, global = true, help_heading = "Connection, in place of a TARGET")]
    pub no_password: bool,
    /// Ask for a password before connecting
    #[arg(
        short = 'W',
        long,
        global = true,
        conflicts_with = "no_password",
        help_heading = "Connection, in place of a TARGET"
    )]
    pub password: bool,
    /// Read a recording made by `pgmoat snapshot` in place of a server
    #[arg(long, value_name = "FILE", global = true, help_heading = "Connection, in place of a TARGET")]
    pub snapshot: Option<PathBuf>,

    /// Policy to compare with, in place of the configured one
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub policy: Option<PathBuf>,
    /// Configuration file [env: PGMOAT_CONFIG]
    #[arg(short = 'c', long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Change nothing, and end no session
    #[arg(long, global = true, help_heading = "Global options")]
    pub read_only: bool,
    /// Theme of the console; `pgmoat themes` lists them
    #[arg(long, value_name = "NAME", global = true, help_heading = "Global options")]
    pub theme: Option<String>,
    /// No colours (also: NO_COLOR)
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_color: bool,
    /// Say more in the log; twice for details
    #[arg(short = 'v', long, action = ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
    /// Write the log to this file
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub log: Option<PathBuf>,
}

/// The definitions as people meet them: the help of a command lists those flags of all commands that mean something to it.
#[must_use]
pub fn command() -> clap::Command {
    let root = Cli::command();
    let everywhere: Vec<Arg> = root.get_arguments().filter(|a| a.is_global_set()).cloned().collect();
    let names: Vec<String> = root.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    names.iter().fold(root, |root, name| root.mut_subcommand(name, |sub| fitted(sub, name, &everywhere)))
}

/// The names of the commands.
#[must_use]
pub fn commands() -> Vec<String> {
    Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect()
}

/// A command, and those below it, with what means nothing to them out of sight.
fn fitted(command: clap::Command, name: &str, everywhere: &[Arg]) -> clap::Command {
    let below: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let command = below.iter().fold(command, |command, sub| {
        let name = format!("{name} {sub}");
        command.mut_subcommand(sub, |of| fitted(of, &name, everywhere))
    });
    let silent = meaningless(name);
    // definitions of its own stand for those of the commands above
    everywhere.iter().filter(|a| a.get_id() != "help").fold(command, |command, arg| {
        let out_of_sight = silent.contains(&arg.get_id().as_str());
        command.arg(arg.clone().hide(out_of_sight))
    })
}

/// Flags of all commands that mean nothing to this one.
fn meaningless(name: &str) -> Vec<&'static str> {
    const PLACE: [&str; 6] = ["host", "user", "dbname", "no_password", "password", "snapshot"];
    const CONSOLE: [&str; 2] = ["theme", "read_only"];
    let of = |lists: &[&[&'static str]]| lists.concat();
    match name {
        "demo" => of(&[&PLACE, &["policy", "config"]]),
        "journal" => of(&[&PLACE, &CONSOLE, &["port", "policy"]]),
        "discover" | "policy check" | "completions" | "man" | "keys" | "themes" => {
            of(&[&PLACE, &CONSOLE, &["port", "policy", "config"]])
        }
        "check" | "matrix" | "explain" | "plan" | "versions" | "info" => CONSOLE.to_vec(),
        "snapshot" | "sessions" | "policy derive" => of(&[&CONSOLE, &["policy"]]),
        "isolation-test" => of(&[&CONSOLE, &["snapshot"]]),
        "init" => vec!["snapshot"],
        "cancel" | "terminate" | "undo" | "redo" | "set-password" => of(&[&["snapshot", "theme", "policy"]]),
        // the words above commands of their own, and what acts
        "policy" => Vec::new(),
        _ => vec!["snapshot", "theme"],
    }
}

/// The commands, in the order of help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a database up for its services: asks on a terminal, or takes every answer from flags with --yes
    Init(Box<Init>),
    /// Start a throwaway server with a broken fleet of services, and look around
    Demo(Demo),
    /// What is wrong: findings, worst first; exit 1 when there are any
    Check(Check),
    /// The effective grant matrix: what every role may do in every schema
    Matrix(Matrix),
    /// Why a role may, or may not, do something: every path, or the missing link
    Explain(Explain),
    /// Everything read from one database, as JSON; readers take it back with --snapshot
    Snapshot(SnapshotOut),
    /// The plan that leads to the policy: steps, SQL, hazards, effects on every role, undo; exit 1 when there are any
    Plan(PlanArgs),
    /// Run a plan, proven before COMMIT, all or nothing
    Apply(ApplyArgs),
    /// What was done, newest first
    Journal(JournalArgs),
    /// Take an action back: by default the newest that can be
    Undo(BackArgs),
    /// Do again what was taken back
    Redo(BackArgs),
    /// The whole set-up of one service: role, schema, rights, defaults, search path, version table; prints what its people need
    CreateSchema(CreateSchema),
    /// A new password for a role
    SetPassword(SetPassword),
    /// A new, ordinary role for a service that runs as a superuser or as somebody else
    ReplaceRole(ReplaceRole),
    /// Every Alembic version table, under any name, with its rows, owner and class; or move one
    Versions(Versions),
    /// Move tables with their sequences, types, views and functions to another schema
    MoveObjects(MoveObjects),
    /// Take one service out of a schema that it shares: role, schema, tables, version rows, rights, search path
    Isolate(Isolate),
    /// The audit trail: a schema whose table services may add to and nobody may change; logs writes to chosen tables
    SetupAudit(SetupAudit),
    /// Row level security by tenant on chosen tables
    SetupRls(SetupRls),
    /// What each service's role can really reach of the others' schemas; exit 1 when that is more than is declared
    IsolationTest(IsolationTest),
    /// Connections with the tree of who blocks whom
    Sessions(Rows),
    /// Cancel the statement that a session runs
    Cancel(SignalArgs),
    /// End a session
    Terminate(SignalArgs),
    /// Write a policy from a live database, or validate one
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Databases found around here: Compose files, libpq's environment, service file, local sockets and ports, containers
    Discover(Discover),
    /// Every path in use, and the server binaries found; or what a server is
    Info(Info),
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The manual page, as roff: pgmoat man | man -l -
    Man,
    /// Every key of the console
    Keys {
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        format: KeysFormat,
    },
    /// The themes to choose from
    Themes,
}

impl Command {
    /// As it is typed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Command::Init(_) => "init",
            Command::Demo(_) => "demo",
            Command::Check(_) => "check",
            Command::Matrix(_) => "matrix",
            Command::Explain(_) => "explain",
            Command::Snapshot(_) => "snapshot",
            Command::Plan(_) => "plan",
            Command::Apply(_) => "apply",
            Command::Journal(_) => "journal",
            Command::Undo(_) => "undo",
            Command::Redo(_) => "redo",
            Command::CreateSchema(_) => "create-schema",
            Command::SetPassword(_) => "set-password",
            Command::ReplaceRole(_) => "replace-role",
            Command::Versions(Versions { action: None, .. }) => "versions",
            Command::Versions(_) => "versions move",
            Command::MoveObjects(_) => "move-objects",
            Command::Isolate(_) => "isolate",
            Command::SetupAudit(_) => "setup-audit",
            Command::SetupRls(_) => "setup-rls",
            Command::IsolationTest(_) => "isolation-test",
            Command::Sessions(_) => "sessions",
            Command::Cancel(_) => "cancel",
            Command::Terminate(_) => "terminate",
            Command::Policy(PolicyCommand::Derive(_)) => "policy derive",
            Command::Policy(PolicyCommand::Check { .. }) => "policy check",
            Command::Discover(_) => "discover",
            Command::Info(_) => "info",
            Command::Completions { .. } => "completions",
            Command::Man => "man",
            Command::Keys { .. } => "keys",
            Command::Themes => "themes",
        }
    }

    /// True for those that read databases: the others take neither connection flags nor `--snapshot` nor `--policy`.
    #[must_use]
    pub const fn reads(&self) -> bool {
        match self {
            Command::Init(_)
            | Command::Check(_)
            | Command::Info(_)
            | Command::Matrix(_)
            | Command::Explain(_)
            | Command::Snapshot(_)
            | Command::Plan(_)
            | Command::Apply(_)
            | Command::Undo(_)
            | Command::Redo(_)
            | Command::CreateSchema(_)
            | Command::SetPassword(_)
            | Command::ReplaceRole(_)
            | Command::Versions(_)
            | Command::MoveObjects(_)
            | Command::Isolate(_)
            | Command::SetupAudit(_)
            | Command::SetupRls(_)
            | Command::IsolationTest(_)
            | Command::Sessions(_)
            | Command::Cancel(_)
            | Command::Terminate(_)
            | Command::Policy(PolicyCommand::Derive(_)) => true,
            Command::Demo(_)
            | Command::Policy(PolicyCommand::Check { .. })
            | Command::Journal(_)
            | Command::Discover(_)
            | Command::Completions { .. }
            | Command::Man
            | Command::Keys { .. }
            | Command::Themes => false,
        }
    }
}

/// Every answer of the set-up is a flag; what no flag says is as it is proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_help = "With --yes nothing is asked: what no flag says is as it is proposed from what stands in the \
                        database and in Compose files. --policy names the file that the policy is written to [default: \
                        NAME.policy.toml in DIR]; --config the configuration that gets the instance.\n\n\
                        pgmoat init shop --yes --service orders --service billing --access billing:orders=read \
                        --reporting reporting --audit")]
pub struct Init {
    /// The database: a connection string, or an instance of the configuration [default: what is found around here]
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Where to look for Compose files, and where the policy is written [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// What the instance and the policy are called [default: the database's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How careful to be with it [default: development on this machine, production elsewhere]
    #[arg(long, value_name = "WORD", value_enum)]
    pub environment: Option<EnvironmentWord>,
    /// A service, new or found [default: schema NAME, role NAME_app]
    #[arg(long = "service", value_name = "NAME[=SCHEMA[:ROLE]]")]
    pub services: Vec<String>,
    /// A service that is proposed and shall not be part of it
    #[arg(long = "without", value_name = "SERVICE")]
    pub without: Vec<String>,
    /// Only the services named by --service
    #[arg(long)]
    pub only_named: bool,
    /// Owner of a service's schema, when that is not its role
    #[arg(long = "owner", value_name = "SERVICE=ROLE")]
    pub owners: Vec<String>,
    /// How many connections a service may have at once; `none` does not say
    #[arg(long = "connection-limit", value_name = "SERVICE=N")]
    pub limits: Vec<String>,
    /// A service without Alembic
    #[arg(long = "no-version-table", value_name = "SERVICE")]
    pub no_version_table: Vec<String>,
    /// A service whose existing role gets a new password
    #[arg(long = "new-password", value_name = "SERVICE")]
    pub new_password: Vec<String>,
    /// What a service may do in another's schema: none, usage, read, append, write, reference, execute, all
    #[arg(long = "access", value_name = "SERVICE:SCHEMA=LEVEL,…")]
    pub access: Vec<String>,
    /// A role with access today that the policy shall not declare: its access is a finding
    #[arg(long = "undeclared", value_name = "ROLE")]
    pub undeclared: Vec<String>,
    /// A role, new or there, that reads the schemas of all services
    #[arg(long, value_name = "ROLE")]
    pub reporting: Option<String>,
    /// An append-only audit trail that services add to
    #[arg(long)]
    pub audit: bool,
    /// No audit trail, though there is a schema of that name
    #[arg(long, conflicts_with = "audit")]
    pub no_audit: bool,
    /// A finding that is left as it is, by code or id: an exception in the policy
    #[arg(long = "leave", value_name = "CODE|ID")]
    pub leave: Vec<String>,
    /// Leave whatever the plan cannot settle; the exceptions name the commands that do
    #[arg(long)]
    pub leave_rest: bool,
    /// Why it is left [default: left at the set-up, and which command to begin with]
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Write the policy in place of one that says otherwise; that one is kept as FILE.before
    #[arg(long)]
    pub replace: bool,
    /// Write the plan as SQL for somebody else to run, and change nothing in the database
    #[arg(long, value_name = "FILE", conflicts_with = "rehearse")]
    pub save_sql: Option<PathBuf>,
    /// Begin with the answers of a set-up that was cut short in this folder; TARGET chooses among several
    #[arg(long)]
    pub resume: bool,
    #[command(flatten)]
    pub run: RunArgs,
}

/// An environment as a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvironmentWord {
    Development,
    Staging,
    Production,
}

impl From<EnvironmentWord> for Environment {
    fn from(word: EnvironmentWord) -> Environment {
        match word {
            EnvironmentWord::Development => Environment::Development,
            EnvironmentWord::Staging => Environment::Staging,
            EnvironmentWord::Production => Environment::Production,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Print the findings instead of opening the console; exits as `check` does
    #[arg(long)]
    pub check: bool,
    /// Form of the findings
    #[arg(long, value_enum, requires = "check")]
    pub format: Option<CheckFormat>,
    /// Leave everything running at the end, and say how to reach and how to stop it
    #[arg(long)]
    pub keep: bool,
    /// Directory of the server's binaries (initdb, postgres) [env: PGMOAT_PG_BIN]
    #[arg(long, value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// Do not ask before server binaries are fetched
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Instances of the configuration, or connection strings
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: CheckFormat,
    /// Severity from which on the exit code is 1
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FailOn::Warning)]
    pub fail_on: FailOn,
}

#[derive(Debug, Clone, Args)]
pub struct Matrix {
    /// Instances of the configuration, or connection strings
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Only these roles; PUBLIC is one
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Only these schemas
    #[arg(long = "schema", value_name = "SCHEMA")]
    pub schemas: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: MatrixFormat,
    /// Leave out cells without access that the policy does not name
    #[arg(long)]
    pub compact: bool,
}

#[derive(Debug, Clone, Args)]
#[command(override_usage = "pgmoat explain [OPTIONS] TARGET ROLE [PRIVILEGE] OBJECT\n       \
                            pgmoat explain (-h HOST … | --snapshot FILE) ROLE [PRIVILEGE] OBJECT")]
pub struct Explain {
    /// TARGET ROLE [PRIVILEGE] OBJECT; OBJECT is schema, schema.relation, schema.relation.column, schema.function(args) or
    /// database:NAME, with odd names in double quotes
    #[arg(value_name = "WORD", required = true, num_args = 1..)]
    pub words: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

#[derive(Debug, Clone, Args)]
pub struct SnapshotOut {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Write to this file, readable by its owner only
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Commands that list rows of every target.
#[derive(Debug, Clone, Args)]
pub struct Rows {
    /// Instances of the configuration, or connection strings
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

/// Commands that end something of one session.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "pgmoat cancel|terminate [OPTIONS] TARGET PID\n       \
                            pgmoat cancel|terminate -h HOST … PID")]
pub struct SignalArgs {
    /// TARGET PID: an instance of the configuration or a connection string, and the session's process id
    #[arg(value_name = "WORD", required = true, num_args = 1..=2)]
    pub words: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Versions {
    /// What to do with one of them; without it, all are listed
    #[command(subcommand)]
    pub action: Option<VersionsAction>,
    #[command(flatten)]
    pub rows: Rows,
}

#[derive(Debug, Clone, Subcommand)]
pub enum VersionsAction {
    /// Move a version table to its service's schema, or split rows off it
    Move(MoveVersions),
}

#[derive(Debug, Clone, Args)]
pub struct MoveVersions {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Where it stands; the table may be left out where there is one only
    #[arg(long, value_name = "SCHEMA[.TABLE]")]
    pub from: String,
    /// Where it goes
    #[arg(long, value_name = "SCHEMA")]
    pub to: String,
    /// Only these rows; without, those of the service that the schema belongs to
    #[arg(long, value_name = "REV", value_delimiter = ',', num_args = 1..)]
    pub rows: Vec<String>,
    /// Who owns it afterwards; without, the service's owner
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct MoveObjects {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Where they stand
    #[arg(long, value_name = "SCHEMA")]
    pub from: String,
    /// Where they go
    #[arg(long, value_name = "SCHEMA")]
    pub to: String,
    /// Tables by name, `*` and `?` stand for others; `!NAME` stays. Decides about types, sequences, views and functions too
    #[arg(long, value_name = "GLOB", num_args = 1.., required_unless_present_any = ["tables_from", "owned_by"])]
    pub tables: Vec<String>,
    /// The same from a file, one on each line
    #[arg(long, value_name = "FILE")]
    pub tables_from: Option<PathBuf>,
    /// All tables of this role
    #[arg(long, value_name = "ROLE")]
    pub owned_by: Option<String>,
    /// Who owns them afterwards; without, whoever does now
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct Isolate {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// The shared schema
    #[arg(long, value_name = "SCHEMA")]
    pub from: String,
    /// The service's own schema, new or existing
    #[arg(long, value_name = "SCHEMA")]
    pub schema: String,
    /// The service's own role, new or existing
    #[arg(long, value_name = "ROLE")]
    pub role: String,
    /// Its revision scripts; without, those that the policy names
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub revisions: Vec<PathBuf>,
    /// Tables that are its own besides; `!NAME` is not. Decides about types, sequences, views and functions too
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub tables: Vec<String>,
    /// The same from a file, one on each line
    #[arg(long, value_name = "FILE")]
    pub tables_from: Option<PathBuf>,
    /// Rows of the version table that are its own; without, those that its scripts know
    #[arg(long, value_name = "REV", value_delimiter = ',', num_args = 1..)]
    pub rows: Vec<String>,
    /// The revision its tables stand at, where no version table holds it any more: it is written into its own. `-`: none
    #[arg(long = "lost-revision", value_name = "REV", value_delimiter = ',', allow_hyphen_values = true)]
    pub lost_revisions: Vec<String>,
    /// Only this version table; without, every one that holds a row of it
    #[arg(long = "version-table", value_name = "NAME")]
    pub version_tables: Vec<String>,
    /// Somebody with rights on its tables who keeps them; `!ROLE` loses them, `PUBLIC` is everybody
    #[arg(long = "keep-reader", value_name = "ROLE")]
    pub keep_readers: Vec<String>,
    /// Where extensions go that it needs; the shared schema leaves them there
    #[arg(long, value_name = "SCHEMA")]
    pub extensions_schema: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SetupAudit {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Tables whose writes are logged when they come from elsewhere: GLOB or SCHEMA.GLOB, odd names in double quotes;
    /// `!GLOB` is not. Without, there is the trail and its rights only
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub tables: Vec<String>,
    /// The trail's schema [default: audit]
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// Its owner [default: as the policy says, else the database's]
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    /// A role that may add rows, besides those of the policy
    #[arg(long, value_name = "ROLE")]
    pub append: Vec<String>,
    /// A role that may read it, besides those of the policy
    #[arg(long, value_name = "ROLE")]
    pub read: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SetupRls {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// The tables: GLOB or SCHEMA.GLOB, odd names in double quotes; `!GLOB` is not
    #[arg(long, value_name = "GLOB", num_args = 1.., required = true)]
    pub tables: Vec<String>,
    /// The column that holds the tenant [default: as the policy says, else tenant_id]
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,
    /// The session's setting that names the tenant [default: app.current_tenant_id]
    #[arg(long, value_name = "SETTING")]
    pub setting: Option<String>,
    /// Bind the owner of every table, not only of those whose owner logs in as a service
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct IsolationTest {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Only these roles
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Do not log in as any role: ask the server only
    #[arg(long)]
    pub no_login: bool,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Write a policy that declares a database as it is
    Derive(Derive),
    /// Validate a policy file
    Check {
        /// The policy file
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub struct Derive {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Write to this file instead of standard output; an existing file is never overwritten
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Only findings of this code, or the one with this id
    #[arg(long, value_name = "CODE|ID")]
    pub only: Vec<String>,
    /// Form of the answer: text, or with -o json
    #[arg(long, value_enum)]
    pub format: Option<PlanFormat>,
    /// Write to this file, readable by its owner only
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// A plan that `pgmoat plan -o FILE` wrote; without one, the plan to the policy
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    pub plan: Option<PathBuf>,
    /// Only findings of this code, or the one with this id
    #[arg(long, value_name = "CODE|ID")]
    pub only: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// How a plan is run, alike in every command that runs one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// Run it, prove the result, and roll back
    #[arg(long)]
    pub rehearse: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct BackArgs {
    /// [TARGET] [ID]: an instance or connection string, and the number of an entry of the journal
    #[arg(value_name = "WORD", num_args = 0..=2)]
    pub words: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Where a new password comes from; without a word about it, one is made.
#[derive(Debug, Clone, Args)]
pub struct PasswordSource {
    /// Take the password from the first line of standard input
    #[arg(long, conflicts_with = "generate_password")]
    pub password_stdin: bool,
    /// Make one (the default)
    #[arg(long)]
    pub generate_password: bool,
}

#[derive(Debug, Clone, Args)]
pub struct CreateSchema {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// The schema, and the service's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The role the service logs in as [default: NAME_app]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Owner of the schema and its objects [default: the role]
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    /// A role that will create objects there [default: the owner and the role]
    #[arg(long = "creator", value_name = "ROLE")]
    pub creators: Vec<String>,
    /// A neighbour's schema it may read
    #[arg(long, value_name = "SCHEMA")]
    pub read: Vec<String>,
    /// A neighbour's schema it may add rows to
    #[arg(long, value_name = "SCHEMA")]
    pub append: Vec<String>,
    /// Its search path [default: its own schema alone]
    #[arg(long, value_name = "SCHEMA,…", value_delimiter = ',')]
    pub search_path: Option<Vec<String>>,
    /// How many connections it may have at once; 0: no limit
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS)]
    pub connection_limit: i32,
    /// No version table before the first migration
    #[arg(long)]
    pub no_version_table: bool,
    /// Leave PUBLIC its right to create in schema public, where it has it
    #[arg(long)]
    pub leave_public: bool,
    /// Do not add the service to the target's policy file
    #[arg(long)]
    pub leave_policy: bool,
    /// Refuse when there is no policy file to add the service to
    #[arg(long, conflicts_with = "leave_policy")]
    pub add_to_policy: bool,
    #[command(flatten)]
    pub password: PasswordSource,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SetPassword {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: String,
    #[arg(value_name = "ROLE")]
    pub role: String,
    #[command(flatten)]
    pub password: PasswordSource,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ReplaceRole {
    /// An instance of the configuration, or a connection string
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// The role the service runs as now
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The role to be made
    #[arg(value_name = "NEW")]
    pub new: String,
    #[command(flatten)]
    pub password: PasswordSource,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Clone, Args)]
pub struct JournalArgs {
    /// Only what was done there: an instance, a connection string, or DATABASE@HOST as the journal shows it
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

#[derive(Debug, Clone, Args)]
pub struct Discover {
    /// Where to look for Compose files, or one of them [default: the current directory]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

#[derive(Debug, Clone, Args)]
pub struct Info {
    /// Instances of the configuration, or connection strings: says what each of these servers is
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: TextFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TextFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    Text,
    Sql,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum KeysFormat {
    #[default]
    Text,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    #[default]
    Text,
    Json,
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum MatrixFormat {
    #[default]
    Text,
    Json,
    Csv,
    Markdown,
}

/// A severity as a flag's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Info,
    Warning,
    Error,
    Critical,
}

impl From<FailOn> for Severity {
    fn from(level: FailOn) -> Severity {
        match level {
            FailOn::Info => Severity::Info,
            FailOn::Warning => Severity::Warning,
            FailOn::Error => Severity::Error,
            FailOn::Critical => Severity::Critical,
        }
    }
}

impl Global {
    /// A connection flag that was given, by its letter; they stand in place of a TARGET.
    #[must_use]
    pub fn connection_flag(&self) -> Option<&'static str> {
        let given = [
            (self.host.is_some(), "-h"),
            (self.port.is_some(), "-p"),
            (self.user.is_some(), "-U"),
            (self.dbname.is_some(), "-d"),
        ];
        given.into_iter().find(|(is, _)| *is).map(|(_, flag)| flag)
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn options_stand_between_the_words_of_a_question() {
        for line in ["pgmoat explain local -c f role t", "pgmoat explain local role --format json t -c f"] {
            let cli = parse(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            let Some(Command::Explain(asked)) = cli.command else { panic!("{line}") };
            assert_eq!(asked.words, ["local", "role", "t"], "{line}");
        }
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn psql_letters_and_targets_are_understood() {
        let cli = parse("pgmoat -h db -p 5433 -U ann -d engarde").unwrap();
        assert_eq!((cli.global.host.as_deref(), cli.global.port), (Some("db"), Some(5433)));
        assert_eq!((cli.global.user.as_deref(), cli.global.dbname.as_deref()), (Some("ann"), Some("engarde")));
        assert!(cli.command.is_none());
        let cli = parse("pgmoat local staging").unwrap();
        assert_eq!(cli.targets, ["local", "staging"]);
        let cli = parse("pgmoat check -h db --format json --fail-on error").unwrap();
        assert_eq!(cli.global.host.as_deref(), Some("db"));
        let Some(Command::Check(check)) = cli.command else { panic!() };
        assert_eq!((check.format, check.fail_on), (CheckFormat::Json, FailOn::Error));
        let cli = parse("pgmoat -c x.toml --read-only check local").unwrap();
        assert_eq!(cli.global.config, Some("x.toml".into()));
        assert!(cli.global.read_only && matches!(cli.command, Some(Command::Check(c)) if c.targets == ["local"]));
        assert!(parse("pgmoat -w -W").is_err());
    }

    #[test]
    fn help_is_a_question_mark_and_h_is_a_host() {
        for line in ["pgmoat -?", "pgmoat --help", "pgmoat check -?"] {
            assert_eq!(parse(line).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp, "{line}");
        }
        assert!(parse("pgmoat -h").is_err(), "-h wants a host");
    }

    /// `journal --help` once listed `-h HOST`, which `journal` refuses.
    #[test]
    fn the_help_of_a_command_lists_what_it_takes() {
        let help = |line: &str| {
            let error = command().try_get_matches_from(line.split_whitespace()).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp, "{line}");
            error.to_string()
        };
        command().debug_assert();
        for name in ["journal", "discover", "keys", "themes", "man", "completions", "policy check"] {
            let help = help(&format!("pgmoat {name} --help"));
            for flag in ["--host", "--port", "--dbname", "--snapshot", "--policy <", "--read-only", "--theme"] {
                assert!(!help.contains(flag), "{name}: {flag}\n{help}");
            }
            assert!(help.contains("--verbose"), "{help}");
        }
        let demo = help("pgmoat demo --help");
        assert!(demo.contains("--port") && demo.contains("--theme") && !demo.contains("--host"), "{demo}");
        for name in ["check", "explain", "policy derive", "plan", "apply", "versions move", "create-schema"] {
            let help = help(&format!("pgmoat {name} --help"));
            assert!(help.contains("--host") && help.contains("--config") && !help.contains("--theme"), "{help}");
            let acts = ["apply", "versions move", "create-schema"].contains(&name);
            assert_eq!((help.contains("--read-only"), help.contains("--snapshot")), (acts, !acts), "{name}\n{help}");
        }
        let all = help("pgmoat --help");
        assert!(all.contains("--host") && all.contains("--theme") && all.contains("--read-only"), "{all}");
    }

    /// What is out of sight is heard as before: where it was refused, it is refused in words.
    #[test]
    fn flags_out_of_sight_still_reach_the_program() {
        let cli = |line: &str| {
            Cli::from_arg_matches(&command().try_get_matches_from(line.split_whitespace()).unwrap()).unwrap()
        };
        assert_eq!(cli("pgmoat journal -h db").global.host.as_deref(), Some("db"));
        assert_eq!(cli("pgmoat -h db journal").global.host.as_deref(), Some("db"));
        assert_eq!(cli("pgmoat policy check --policy a b").global.policy, Some("a".into()));
        assert!(cli("pgmoat check --read-only").global.read_only && cli("pgmoat --read-only check").global.read_only);
    }

    #[test]
    fn the_demo_takes_its_port_and_a_format_only_with_check() {
        let cli = parse("pgmoat demo --check --format sarif --port 5555").unwrap();
        assert_eq!(cli.global.port, Some(5555));
        assert!(parse("pgmoat demo --format json").is_err());
    }

    #[test]
    fn every_answer_of_the_set_up_has_a_flag() {
        let line = "pgmoat init shop --yes --name s --environment staging --service a --service b=c:d --without e --only-named \
                    --owner a=o --connection-limit a=5 --no-version-table b --new-password b --access a:c=read,append \
                    --undeclared f --reporting r --audit --leave table-overlap --leave-rest --reason later --replace";
        let Some(Command::Init(args)) = parse(line).unwrap().command else { panic!() };
        assert_eq!((args.target.as_deref(), args.services.len(), args.run.yes), (Some("shop"), 2, true));
        assert_eq!(args.environment.map(Environment::from), Some(Environment::Staging));
        assert!(parse("pgmoat init --audit --no-audit").is_err());
        assert!(parse("pgmoat init --save-sql x.sql --rehearse").is_err());
    }

    #[test]
    fn tenancy_takes_tables_and_says_what_it_lacks() {
        let cli = parse("pgmoat setup-rls local --tables langflow.* !x --column org --setting app.org --force --yes")
            .unwrap();
        let Some(Command::SetupRls(args)) = cli.command else { panic!() };
        assert_eq!((args.target.as_deref(), args.tables.len()), (Some("local"), 2));
        assert!(args.force && args.run.yes && !args.run.rehearse);
        assert!(parse("pgmoat setup-rls local").is_err(), "tables are wanted");
        let cli = parse("pgmoat setup-audit local --append a --append b --read c --rehearse").unwrap();
        let Some(Command::SetupAudit(args)) = cli.command else { panic!() };
        assert_eq!((args.append.len(), args.read.len(), args.tables.len()), (2, 1, 0));
        let cli = parse("pgmoat isolation-test -h db --role app --no-login --format json").unwrap();
        let Some(Command::IsolationTest(args)) = cli.command else { panic!() };
        assert!(args.no_login && args.roles == ["app"] && args.format == TextFormat::Json);
    }

    /// Remedies tell people what to type: it must be there.
    #[test]
    fn every_command_that_is_named_exists() {
        fn files(dir: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    files(&path, out);
                } else if path.extension().is_some_and(|e| e == "rs" || e == "md") {
                    out.push(path);
                }
            }
        }
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = vec![root.join("README.md")];
        files(&root.join("src"), &mut all);
        let command = Cli::command();
        let mut seen = 0;
        for path in all {
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices("`pgmoat ") {
                let rest = &text[at + "`pgmoat ".len()..];
                let word = rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or("");
                let rest = &rest[word.len()..];
                if word.is_empty() || word.starts_with('-') || rest.starts_with("://") || rest.starts_with('=') {
                    continue;
                }
                seen += 1;
                assert!(command.find_subcommand(word).is_some(), "{} names `pgmoat {word}`", path.display());
            }
        }
        assert!(seen > 20, "only {seen} were found");
    }

    #[test]
    fn the_readme_names_every_command() {
        let readme = include_str!("../../README.md");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(readme.contains(&format!("`pgmoat {name}")) || readme.contains(&format!("`{name}`")), "{name}");
        }
    }
}

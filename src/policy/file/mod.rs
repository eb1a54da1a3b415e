//! The policy file: read, checked, every default filled in. All problems of a file are reported at once, each with its
//! line and what would be right. Knows nothing of databases: whether a role exists is a finding, not an error here.

mod contradictions;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Accepted, Allow, AllowedForeignKey, DatabaseRule, Exception, Level, Limits, Policy, RoleRule, SchemaRule, Service,
    Severity, Undeclared, checks, desired::PUBLIC,
};
use crate::domain::Privilege;
use values::{Reader, Table, choose, folder, shown, span};

pub use values::nearest;

/// Codes of findings that come from live figures rather than from the catalog; their severity can be set too.
const LIVE_CODES: &[&str] = &[
    "connections-near-limit",
    "role-connections-near-limit",
    "idle-in-transaction",
    "session-blocked",
    "long-query",
    "cache-hit-low",
    "replication-lag",
    "slow-query",
    "dead-tuples",
    "wraparound",
];

/// Name of Alembic's table when the file does not say.
pub const VERSION_TABLE: &str = "alembic_version";

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub what: String,
    /// What would be right; may be empty.
    pub help: String,
}

/// Why a policy file could not be used.
#[derive(Debug)]
pub enum PolicyError {
    /// It could not be read.
    Read { path: PathBuf, cause: std::io::Error },
    /// It is not a valid policy; in the order of the lines.
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyError::Read { path, cause } => {
                write!(f, "could not read the policy {}: {cause}", path.display())?;
                f.write_str("\ngive its path with --policy, or write one with `pgmoat policy derive`")
            }
            PolicyError::Invalid { path, problems } => {
                for (i, p) in problems.iter().enumerate() {
                    if i > 0 {
                        f.write_str("\n")?;
                    }
                    write!(f, "could not use the policy {}: line {}: {}", path.display(), p.line, p.what)?;
                    if !p.help.is_empty() {
                        write!(f, "\n  {}", p.help)?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PolicyError::Read { cause, .. } => Some(cause),
            PolicyError::Invalid { .. } => None,
        }
    }
}

/// Reads and checks a policy file.
///
/// # Errors
/// [`PolicyError::Read`] when it cannot be read, [`PolicyError::Invalid`] with every problem when it is not a policy.
pub fn load(path: &Path) -> Result<Policy, PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|cause| PolicyError::Read { path: path.to_path_buf(), cause })?;
    parse(&text, path)
}

/// Checks the text of a policy; `path` is where it stands, for messages, for its default name, and for `revisions`.
///
/// # Errors
/// [`PolicyError::Invalid`] with every problem.
pub fn parse(text: &str, path: &Path) -> Result<Policy, PolicyError> {
    let mut reader = Reader { text, problems: Vec::new(), base: folder(path) };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.problem(error.span().unwrap_or(0..0), error.message().trim_end(), "");
    }
    let policy = if reader.problems.is_empty() { reader.policy(document.get_ref(), path) } else { Policy::default() };
    if reader.problems.is_empty() {
        return Ok(policy);
    }
    let mut problems = reader.problems;
    problems.sort_by_key(|p| (p.line, p.column));
    Err(PolicyError::Invalid { path: path.to_path_buf(), problems })
}

const SERVICE_KEYS: &[&str] = &[
    "name",
    "schema",
    "schemas",
    "role",
    "owner",
    "creators",
    "access",
    "search_path",
    "connection_limit",
    "version_table",
    "revisions",
    "tenant_column",
    "tenant_exempt",
    "instance",
    "applications",
    "member_of",
    "login",
];
const ROLE_KEYS: &[&str] = &["name", "access", "login", "member_of", "connection_limit", "search_path", "instance"];
const SCHEMA_KEYS: &[&str] = &["name", "owner", "creators", "tenant_exempt", "instance"];
const EXCEPTION_KEYS: &[&str] = &["role", "schema", "privileges", "objects", "finding", "reason", "instance"];
/// Of an exception that names a finding.
const ACCEPTED_KEYS: &[&str] = &["finding", "reason", "instance"];
const TOP_KEYS: &[&str] =
    &["name", "undeclared", "service", "role", "schema", "database", "exception", "allow", "limits", "severity"];
const LIMIT_KEYS: &[&str] = &[
    "connections_percent",
    "idle_in_transaction_seconds",
    "long_query_seconds",
    "blocked_seconds",
    "cache_hit_percent",
    "password_expiry_days",
];

/// Longest time a limit may be, one year in seconds.
const YEAR_SECONDS: i64 = 31_536_000;

impl<'t> Reader<'t> {
    fn policy(&mut self, document: &DeTable<'t>, path: &Path) -> Policy {
        let top = Table { title: "the policy".to_owned(), span: 0..0, keys: document };
        self.known(&top, TOP_KEYS);
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let mut policy = Policy {
            name: self.string(&top, "name").unwrap_or_else(|| stem.trim_end_matches(".policy").to_owned()),
            undeclared: self.undeclared(&top),
            base: self.base.clone(),
            ..Policy::default()
        };
        for table in self.tables(&top, "service") {
            policy.services.extend(self.service(&table));
        }
        for table in self.tables(&top, "role") {
            policy.roles.extend(self.role(&table));
        }
        for table in self.tables(&top, "schema") {
            policy.schemas.extend(self.schema(&table));
        }
        for table in self.tables(&top, "exception") {
            if table.get("finding").is_some() {
                policy.accepted.extend(self.accepted(&table));
            } else {
                policy.exceptions.extend(self.exception(&table));
            }
        }
        if let Some(table) = self.table(&top, "database") {
            policy.database = self.database(&table);
        }
        if let Some(table) = self.table(&top, "allow") {
            policy.allow = self.allow(&table);
        }
        if let Some(table) = self.table(&top, "limits") {
            policy.limits = self.limits(&table);
        }
        if let Some(table) = self.table(&top, "severity") {
            policy.severity = self.severity(&table);
        }
        if self.problems.is_empty() {
            self.contradictions(&top, &policy);
        }
        policy
    }

    fn undeclared(&mut self, top: &Table<'_, '_>) -> Undeclared {
        const WORDS: &[&str] = &["ignore", "report", "revoke"];
        match self.string(top, "undeclared").as_deref() {
            None | Some("report") => Undeclared::Report,
            Some("ignore") => Undeclared::Ignore,
            Some("revoke") => Undeclared::Revoke,
            Some(other) => {
                let what = format!("`undeclared` cannot be \"{other}\"");
                self.problem(span(top, "undeclared"), what, choose(other, WORDS, "values"));
                Undeclared::Report
            }
        }
    }

    fn service(&mut self, t: &Table<'_, 't>) -> Option<Service> {
        self.known(t, SERVICE_KEYS);
        let name = self.required_text(t, "name");
        let role = self.required_name(t, "role").filter(|name| self.ordinary_role(t, "role", name));
        let schemas = self.schemas_of(t);
        let owner = self.name(t, "owner").or_else(|| role.clone());
        let (role, owner) = (role?, owner?);
        let creators = self.names(t, "creators").unwrap_or_else(|| {
            let mut both = vec![owner.clone()];
            both.extend((owner != role).then(|| role.clone()));
            both
        });
        Some(Service {
            name: name?,
            schemas: schemas?,
            creators,
            access: self.access(t),
            search_path: self.names(t, "search_path"),
            connection_limit: self.connection_limit(t),
            version_table: self.version_table(t),
            revisions: self.string(t, "revisions").map(|r| self.base.join(r)),
            tenant_column: self.name(t, "tenant_column"),
            tenant_exempt: self.boolean(t, "tenant_exempt").unwrap_or(false),
            instance: self.instance(t),
            applications: self.strings(t, "applications").unwrap_or_default(),
            member_of: self.names(t, "member_of"),
            login: self.boolean(t, "login"),
            role,
            owner,
        })
    }

    /// `schema` or `schemas`, never both.
    fn schemas_of(&mut self, t: &Table<'_, '_>) -> Option<Vec<String>> {
        match (t.get("schema").is_some(), t.get("schemas").is_some()) {
            (true, true) => {
                let what = format!("{} has `schema` and `schemas`", t.title);
                self.problem(
                    t.span_of("schemas"),
                    what,
                    "keep one of them; the first of `schemas` holds the version table",
                );
                None
            }
            (true, false) => {
                let schema = self.name(t, "schema")?;
                self.ordinary_schema(span(t, "schema"), &schema).then(|| vec![schema])
            }
            (false, true) => {
                let list = self.names(t, "schemas")?;
                for (name, span) in self.spanned_strings(t, "schemas")? {
                    if !self.ordinary_schema(span, &name) {
                        return None;
                    }
                }
                if list.is_empty() {
                    self.problem(t.span_of("schemas"), "`schemas` is empty", "name at least one schema");
                    return None;
                }
                let mut seen = BTreeSet::new();
                if let Some(twice) = list.iter().find(|s| !seen.insert(s.as_str())) {
                    let what = format!("schema \"{twice}\" stands twice in `schemas`");
                    self.problem(t.span_of("schemas"), what, "keep one");
                    return None;
                }
                Some(list)
            }
            (false, false) => {
                let what = format!("{} names no schema", t.title);
                self.problem(t.span.clone(), what, "add `schema = \"…\"`, or `schemas = [\"…\", \"…\"]`");
                None
            }
        }
    }

    /// Names that begin with `pg_` are PostgreSQL's own: nothing is granted to its roles, nothing set up in its schemas.
    fn ordinary_role(&mut self, t: &Table<'_, '_>, key: &str, name: &str) -> bool {
        let own = name.starts_with("pg_");
        if own {
            let what = format!("\"{name}\" is a role of PostgreSQL's own, which no policy is about");
            let help = format!("name a role of yours; who is to have what {name} has gets `member_of = [\"{name}\"]`");
            self.problem(span(t, key), what, help);
        }
        !own
    }

    fn ordinary_schema(&mut self, at: Range<usize>, name: &str) -> bool {
        let own = name.starts_with("pg_") || name == "information_schema";
        if own {
            let what = format!("\"{name}\" is a schema of PostgreSQL's own, which no policy is about");
            self.problem(at, what, "name the schema that holds the service's own tables");
        }
        !own
    }

    fn version_table(&mut self, t: &Table<'_, '_>) -> Option<String> {
        match t.get("version_table").map(Spanned::get_ref) {
            None | Some(DeValue::Boolean(true)) => Some(VERSION_TABLE.to_owned()),
            Some(DeValue::Boolean(false)) => None,
            Some(DeValue::String(_)) => self.name(t, "version_table"),
            Some(_) => {
                let what = "`version_table` must be a name, or false for none";
                self.problem(span(t, "version_table"), what, format!("the default is \"{VERSION_TABLE}\""));
                None
            }
        }
    }

    fn role(&mut self, t: &Table<'_, 't>) -> Option<RoleRule> {
        self.known(t, ROLE_KEYS);
        let name = self.required_name(t, "name").filter(|name| self.ordinary_role(t, "name", name));
        // a role that is really called so says whether it logs in
        if let Some(name) = name.as_deref().filter(|n| n.eq_ignore_ascii_case(PUBLIC))
            && (name == "public" || t.get("login").is_none())
        {
            let what = format!("\"{name}\" is everybody, and no role");
            let help = "take it out: no level is given to PUBLIC; what it may have all the same is an [[exception]] with \
                        `role = \"PUBLIC\"`, and whether it may CONNECT stands under [database]";
            self.problem(span(t, "name"), what, help);
        }
        Some(RoleRule {
            access: self.access(t),
            login: self.boolean(t, "login"),
            member_of: self.names(t, "member_of"),
            connection_limit: self.connection_limit(t),
            search_path: self.names(t, "search_path"),
            instance: self.instance(t),
            name: name?,
        })
    }

    fn schema(&mut self, t: &Table<'_, 't>) -> Option<SchemaRule> {
        self.known(t, SCHEMA_KEYS);
        let name = self.required_name(t, "name").filter(|name| self.ordinary_schema(span(t, "name"), name));
        let owner = self.name(t, "owner");
        Some(SchemaRule {
            creators: self.names(t, "creators").unwrap_or_else(|| owner.iter().cloned().collect()),
            owner,
            tenant_exempt: self.boolean(t, "tenant_exempt").unwrap_or(false),
            instance: self.instance(t),
            name: name?,
        })
    }

    fn exception(&mut self, t: &Table<'_, 't>) -> Option<Exception> {
        self.known(t, EXCEPTION_KEYS);
        let role = self.required_text(t, "role");
        let schema = self.required_text(t, "schema");
        let reason = self.required_text(t, "reason");
        let privileges = self.privileges(t);
        Some(Exception {
            objects: self.strings(t, "objects").unwrap_or_default(),
            instance: self.instance(t),
            role: role?,
            schema: schema?,
            privileges: privileges?,
            reason: reason?,
        })
    }

    /// An exception for a finding, by code or id.
    fn accepted(&mut self, t: &Table<'_, 't>) -> Option<Accepted> {
        self.known(t, ACCEPTED_KEYS);
        let finding = self.required_text(t, "finding")?;
        let code = finding.split(':').next().unwrap_or_default();
        let mut codes = checks::CHECKS.iter().flat_map(|c| c.codes).map(|c| c.code).chain(LIVE_CODES.iter().copied());
        if !codes.any(|known| known == code) {
            let all: Vec<&str> = checks::CHECKS.iter().flat_map(|c| c.codes).map(|c| c.code).collect();
            let what = format!("there is no finding with the code \"{code}\"");
            self.problem(span(t, "finding"), what, choose(code, &all, "codes"));
        }
        let reason = self.required_text(t, "reason")?;
        Some(Accepted { finding, reason, instance: self.instance(t) })
    }

    fn privileges(&mut self, t: &Table<'_, '_>) -> Option<Vec<Privilege>> {
        let words: Vec<&str> = Privilege::ALL.into_iter().map(Privilege::keyword).collect();
        if t.get("privileges").is_none() {
            let what = format!("{} names no privileges", t.title);
            self.problem(t.span.clone(), what, format!("add `privileges = […]` with some of {}", words.join(", ")));
            return None;
        }
        let mut list = Vec::new();
        for (word, span) in self.spanned_strings(t, "privileges")? {
            if let Some(privilege) = Privilege::from_keyword(&word) {
                list.push(privilege);
            } else {
                self.problem(span, format!("unknown privilege \"{word}\""), choose(&word, &words, "privileges"));
            }
        }
        if list.is_empty() && self.spanned_strings(t, "privileges").is_some_and(|l| l.is_empty()) {
            self.problem(t.span_of("privileges"), "`privileges` is empty", "name what the exception is about");
            return None;
        }
        list.sort_unstable();
        list.dedup();
        Some(list)
    }

    fn access(&mut self, t: &Table<'_, 't>) -> BTreeMap<String, Vec<Level>> {
        let mut out = BTreeMap::new();
        let Some(inner) = self.table(t, "access") else { return out };
        let words: Vec<&str> = Level::ALL.into_iter().map(Level::word).collect();
        for (key, value) in inner.keys {
            let schema: &str = key.get_ref();
            self.ident(schema.split_once('/').map_or(schema, |(_, s)| s), key.span());
            let DeValue::Array(items) = value.get_ref() else {
                let what = format!("the access to \"{schema}\" must be a list of levels");
                self.problem(value.span(), what, format!("for example [\"read\"]; levels: {}", words.join(", ")));
                continue;
            };
            let mut levels = Vec::new();
            for item in items {
                let DeValue::String(word) = item.get_ref() else {
                    self.problem(item.span(), "a level must be a word", format!("levels: {}", words.join(", ")));
                    continue;
                };
                match Level::ALL.into_iter().find(|l| l.word() == word.as_ref()) {
                    Some(Level::Own) => {
                        let what = format!("\"own\" cannot be given by `access` (to \"{schema}\")");
                        let help = "a schema has one owner: name it as `schema` of the [[service]] or as `owner` of the [[schema]]";
                        self.problem(item.span(), what, help);
                    }
                    Some(level) => levels.push(level),
                    None => {
                        let help = choose(word, &words, "levels");
                        self.problem(item.span(), format!("unknown level \"{word}\" for \"{schema}\""), help);
                    }
                }
            }
            levels.sort_unstable();
            levels.dedup();
            out.insert(schema.to_owned(), levels);
        }
        out
    }

    fn database(&mut self, t: &Table<'_, '_>) -> DatabaseRule {
        self.known(t, &["public_connect", "public_temporary"]);
        let default = DatabaseRule::default();
        DatabaseRule {
            public_connect: self.boolean(t, "public_connect").unwrap_or(default.public_connect),
            public_temporary: self.boolean(t, "public_temporary").unwrap_or(default.public_temporary),
        }
    }

    fn allow(&mut self, t: &Table<'_, 't>) -> Allow {
        self.known(t, &["overlap", "foreign_keys"]);
        let mut foreign_keys = Vec::new();
        match t.get("foreign_keys").map(|v| (v.get_ref(), v.span())) {
            None => {}
            Some((DeValue::Array(items), _)) => {
                for item in items {
                    let DeValue::Table(table) = item.get_ref() else {
                        self.problem(item.span(), "an allowed foreign key is a table", "{ from = \"…\", to = \"…\" }");
                        continue;
                    };
                    let inner = Table { title: "an allowed foreign key".to_owned(), span: item.span(), keys: table };
                    self.known(&inner, &["from", "to"]);
                    let (from, to) = (self.required_name(&inner, "from"), self.required_name(&inner, "to"));
                    if let (Some(from), Some(to)) = (from, to) {
                        foreign_keys.push(AllowedForeignKey { from, to });
                    }
                }
            }
            Some((_, span)) => {
                self.problem(span, "`foreign_keys` must be a list", "[{ from = \"public\", to = \"langflow\" }]");
            }
        }
        Allow { overlap: self.strings(t, "overlap").unwrap_or_default(), foreign_keys }
    }

    fn limits(&mut self, t: &Table<'_, '_>) -> Limits {
        self.known(t, LIMIT_KEYS);
        let d = Limits::default();
        let mut number = |key: &str, most: i64, default: u32| {
            self.integer(t, key, 1..=most).and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
        };
        Limits {
            connections_percent: number("connections_percent", 100, d.connections_percent.into()) as u8,
            idle_in_transaction_seconds: number(
                "idle_in_transaction_seconds",
                YEAR_SECONDS,
                d.idle_in_transaction_seconds,
            ),
            long_query_seconds: number("long_query_seconds", YEAR_SECONDS, d.long_query_seconds),
            blocked_seconds: number("blocked_seconds", YEAR_SECONDS, d.blocked_seconds),
            cache_hit_percent: number("cache_hit_percent", 100, d.cache_hit_percent.into()) as u8,
            password_expiry_days: number("password_expiry_days", 3650, d.password_expiry_days),
        }
    }

    fn severity(&mut self, t: &Table<'_, '_>) -> BTreeMap<String, Severity> {
        let words: Vec<&str> = Severity::ALL.into_iter().map(Severity::word).collect();
        let codes: Vec<&str> =
            checks::CHECKS.iter().flat_map(|c| c.codes).map(|c| c.code).chain(LIVE_CODES.iter().copied()).collect();
        let mut out = BTreeMap::new();
        for (key, value) in t.keys {
            let code: &str = key.get_ref();
            if !codes.contains(&code) {
                self.problem(key.span(), format!("unknown finding code `{code}`"), choose(code, &codes, "codes"));
                continue;
            }
            let word = match value.get_ref() {
                DeValue::String(word) => word.as_ref(),
                _ => "",
            };
            if let Some(severity) = Severity::ALL.into_iter().find(|s| s.word() == word) {
                out.insert(code.to_owned(), severity);
            } else {
                let what = format!("the severity of `{code}` cannot be {}", shown(value.get_ref()));
                self.problem(value.span(), what, choose(word, &words, "severities"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn problems(text: &str) -> Vec<Problem> {
        match parse(text, Path::new("/etc/x/engarde.policy.toml")) {
            Err(PolicyError::Invalid { problems, .. }) => problems,
            Err(other) => panic!("{other}"),
            Ok(policy) => panic!("accepted: {policy:?}"),
        }
    }

    #[test]
    fn defaults_are_filled_in() {
        let text = "[[service]]\nname = 'l'\nschema = 'langflow'\nrole = 'langflow_app'\nrevisions = '../r'\n";
        let policy = parse(text, Path::new("/etc/x/engarde.policy.toml")).unwrap();
        assert_eq!(policy.name, "engarde");
        assert_eq!(policy.undeclared, Undeclared::Report);
        let service = &policy.services[0];
        assert_eq!(
            (service.owner.as_str(), service.creators.as_slice()),
            ("langflow_app", &["langflow_app".into()][..])
        );
        assert_eq!(service.version_table.as_deref(), Some("alembic_version"));
        assert_eq!(service.revisions.as_deref(), Some(Path::new("/etc/x/../r")));
        assert_eq!(service.search_path, None);
        assert!(policy.database.public_connect);
    }

    #[test]
    fn an_owner_of_its_own_creates_too() {
        let text = "[[service]]\nname='l'\nschemas=['a','b']\nrole='app'\nowner='admin'\nversion_table=false\n";
        let policy = parse(text, Path::new("p.toml")).unwrap();
        assert_eq!(policy.services[0].creators, ["admin", "app"]);
        assert_eq!(policy.services[0].version_table, None);
        assert!(policy.base.is_absolute());
    }

    #[test]
    fn an_empty_file_declares_nothing() {
        let policy = parse("", Path::new("p.toml")).unwrap();
        assert!(policy.services.is_empty() && policy.roles.is_empty());
        assert_eq!(policy.undeclared, Undeclared::Report);
    }

    #[rstest]
    #[case::unknown_key(
        "[[service]]\nname='l'\nschema='s'\nrole='r'\nacess={}\n",
        5,
        "unknown key `acess`",
        "`access`"
    )]
    #[case::unknown_table("[[servise]]\nname='l'\n", 1, "unknown key `servise`", "`service`")]
    #[case::unknown_level("[[role]]\nname='r'\naccess={s=['raed']}\n", 3, "unknown level \"raed\"", "`read`")]
    #[case::own_is_not_given("[[role]]\nname='r'\naccess={s=['own']}\n", 3, "\"own\" cannot be given", "one owner")]
    #[case::both(
        "[[service]]\nname='l'\nrole='r'\nschema='s'\nschemas=['s']\n",
        5,
        "`schema` and `schemas`",
        "keep one"
    )]
    #[case::no_schema("[[service]]\nname='l'\nrole='r'\n", 1, "names no schema", "schema =")]
    #[case::no_role("\n[[service]]\nname='l'\nschema='s'\n", 2, "has no `role`", "role =")]
    #[case::no_reason("[[exception]]\nrole='r'\nschema='s'\nprivileges=['SELECT']\n", 1, "no `reason`", "say why")]
    #[case::blank_reason("[[exception]]\nrole='r'\nschema='s'\nprivileges=['SELECT']\nreason=' '\n", 5, "is empty", "")]
    #[case::privilege(
        "[[exception]]\nrole='r'\nschema='s'\nprivileges=['INSRT']\nreason='x'\n",
        4,
        "unknown privilege",
        "INSERT"
    )]
    #[case::nan("[limits]\nconnections_percent=nan\n", 2, "whole number from 1 to 100, and is nan", "")]
    #[case::huge("[limits]\nblocked_seconds=99999999999999999999999\n", 2, "whole number", "")]
    #[case::zero("[limits]\nconnections_percent=0\n", 2, "whole number from 1", "")]
    #[case::limit("[[role]]\nname='r'\nconnection_limit=-2\n", 3, "whole number from -1", "")]
    #[case::undeclared("undeclared='revok'\n", 1, "cannot be \"revok\"", "`revoke`")]
    #[case::type_error("[[role]]\nname='r'\nlogin='yes'\n", 3, "must be true or false", "")]
    #[case::long_name(
        "[[role]]\nname='rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr'\n",
        2,
        "64 bytes",
        ""
    )]
    #[case::code("[severity]\nno-such-code='info'\n", 2, "unknown finding code", "codes:")]
    #[case::severity("[severity]\nlong-query='warn'\n", 2, "cannot be \"warn\"", "severities")]
    #[case::syntax("[[service]\n", 1, "", "")]
    #[case::twice("[[role]]\nname='r'\n[[role]]\nname='r'\n", 4, "declared twice", "levels add up")]
    #[case::role_of_service(
        "[[service]]\nname='l'\nschema='s'\nrole='r'\n[[role]]\nname='r'\n",
        6,
        "too",
        "[[service]]"
    )]
    #[case::owned_twice(
        "[[service]]\nname='a'\nschema='s'\nrole='r'\n[[service]]\nname='b'\nschema='s'\nrole='q'\n",
        7,
        "belongs to service \"a\" and to service \"b\"",
        "access"
    )]
    #[case::schema_of_service("[[service]]\nname='a'\nschema='s'\nrole='r'\n[[schema]]\nname='s'\n", 6, "already", "")]
    #[case::system_schema(
        "[[service]]\nname='a'\nschema='pg_catalog'\nrole='r'\n",
        3,
        "\"pg_catalog\" is a schema of PostgreSQL's own",
        "the service's own tables"
    )]
    #[case::system_schemas(
        "[[service]]\nname='a'\nschemas=['s','information_schema']\nrole='r'\n",
        3,
        "\"information_schema\" is a schema",
        ""
    )]
    #[case::schema_rule("[[schema]]\nname='pg_toast'\n", 2, "\"pg_toast\" is a schema", "")]
    #[case::predefined(
        "[[service]]\nname='a'\nschema='s'\nrole='pg_read_all_data'\n",
        4,
        "\"pg_read_all_data\" is a role of PostgreSQL's own",
        "member_of = [\"pg_read_all_data\"]"
    )]
    #[case::predefined_rule("[[role]]\nname='pg_monitor'\n", 2, "\"pg_monitor\" is a role", "member_of")]
    #[case::everybody(
        "[[role]]\nname='PUBLIC'\naccess={s=['read']}\n",
        2,
        "is everybody, and no role",
        "[[exception]]"
    )]
    #[case::everybody_small("[[role]]\nname='public'\nlogin=false\n", 2, "is everybody, and no role", "")]
    #[case::circle(
        "[[role]]\nname='a'\nmember_of=['b']\n[[service]]\nname='s'\nschema='s'\nrole='b'\nmember_of=['c']\n[[role]]\nname='c'\nmember_of=['pg_monitor','a']\n",
        3,
        "\"a\" is a member of itself: a, b, c, a",
        "take one of these"
    )]
    #[case::own_member("[[role]]\nname='a'\nmember_of=['a']\n", 3, "\"a\" is a member of itself", "take")]
    #[case::different(
        "[[service]]\nname='a'\nschema='s'\nrole='r'\nconnection_limit=5\n[[service]]\nname='b'\nschema='t'\nrole='r'\nconnection_limit=6\n",
        10,
        "different `connection_limit`",
        "two roles"
    )]
    fn each_problem_names_its_line_and_the_way_out(
        #[case] text: &str,
        #[case] line: usize,
        #[case] what: &str,
        #[case] help: &str,
    ) {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, line, "{found:?}");
        assert!(found[0].what.contains(what), "{found:?}");
        assert!(found[0].help.contains(help), "{found:?}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let found = problems("[[role]]\nnme='r'\n[limits]\nblocked_seconds=0\n");
        assert_eq!(found.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 4]);
        let error = parse("[[role]]\nnme='r'\n", Path::new("a.toml")).unwrap_err().to_string();
        assert!(error.contains("a.toml: line 2: unknown key `nme`"), "{error}");
    }

    #[test]
    fn groups_of_groups_and_odd_names_are_no_problem() {
        let fine = |text: &str| parse(text, Path::new("p.toml")).unwrap();
        let role = |name: &str, of: &str| format!("[[role]]\nname='{name}'\nmember_of=[{of}]\n");
        // two ways to one group, a group that is declared nowhere, and another instance
        let many = role("a", "'b','c'") + &role("b", "'d'") + &role("c", "'d'") + &role("d", "'rdsadmin','pg_monitor'");
        fine(&(many + "[[role]]\nname='d'\nmember_of=['a']\ninstance='flowdb'\n"));
        fine("[[service]]\nname='a'\nschema='PG_X'\nrole='PG_X'\nowner='pg_database_owner'\n");
        fine("[[role]]\nname='PUBLIC'\nlogin=true\n");
    }

    #[test]
    fn the_same_schema_of_another_instance_is_another() {
        let text = "[[service]]\nname='a'\nschema='public'\nrole='r'\n[[service]]\nname='b'\nschema='public'\nrole='r'\ninstance='flowdb'\n";
        assert!(parse(text, Path::new("p.toml")).is_ok());
    }

    #[test]
    fn the_demos_policy_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/fleet/engarde.policy.toml");
        let policy = load(&path).unwrap_or_else(|e| panic!("{e}"));
        assert!(policy.services.len() > 5 && policy.for_instance("flowdb", false).services.len() == 1);
    }

    #[test]
    fn the_examples_thresholds_are_the_defaults() {
        let example = include_str!("../../../config.example.toml");
        let (_, limits) = example.split_once("# [limits]\n").expect("the example shows the thresholds");
        let text = format!("[limits]\n{}", limits.replace("\n# ", "\n").trim_start_matches("# "));
        let policy = parse(&text, Path::new("example.toml")).unwrap();
        assert_eq!(policy.limits, Limits::default());
        assert_eq!(limits.lines().count(), 6, "one line for each");
    }

    #[test]
    fn a_missing_file_says_how_to_get_one() {
        let error = load(Path::new("/nonexistent/p.toml")).unwrap_err().to_string();
        assert!(error.starts_with("could not read the policy /nonexistent/p.toml"), "{error}");
        assert!(error.contains("policy derive"));
    }
}

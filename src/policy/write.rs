//! A policy as TOML that a person reads: sorted, in sections, defaults left out. What it writes, `file` reads back to the
//! same policy.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Limits, Policy, Service, Undeclared, file::VERSION_TABLE};

/// The text of a policy file.
#[must_use]
pub fn text(policy: &Policy) -> String {
    let mut out = Lines(String::new());
    out.line("# Who may do what in this database. It goes into version control and never holds a password.");
    out.line("# Levels: usage, read, append, write, reference, execute, all.");
    out.text("name", &policy.name);
    let undeclared = match policy.undeclared {
        Undeclared::Ignore => "ignore",
        Undeclared::Report => "report",
        Undeclared::Revoke => "revoke",
    };
    out.entry(
        "undeclared",
        &format!("{:<30}# ignore | report | revoke: roles that are not named here", quote(undeclared)),
    );
    services(policy, &mut out);
    roles(policy, &mut out);
    schemas(policy, &mut out);
    database(policy, &mut out);
    exceptions(policy, &mut out);
    rest(policy, &mut out);
    out.0
}

/// One service as a section of its own, to be added at a file's end.
#[must_use]
pub fn service(service: &Service) -> String {
    let mut out = Lines(String::new());
    one_service(service, &mut out);
    out.0
}

fn services(policy: &Policy, out: &mut Lines) {
    out.section(!policy.services.is_empty(), "services: each owns a schema and logs in with its own role");
    for service in &policy.services {
        one_service(service, out);
    }
}

fn one_service(service: &Service, out: &mut Lines) {
    out.line("\n[[service]]");
    out.text("name", &service.name);
    match service.schemas.as_slice() {
        [one] => out.text("schema", one),
        several => out.list("schemas", several),
    }
    out.text("role", &service.role);
    if service.owner != service.role {
        out.text("owner", &service.owner);
    }
    let mut creators = vec![service.owner.clone()];
    creators.extend((service.owner != service.role).then(|| service.role.clone()));
    if service.creators != creators {
        out.creators(&service.creators);
    }
    out.access(&service.access);
    out.option("search_path", service.search_path.as_ref().map(|p| list(p)));
    out.option("connection_limit", service.connection_limit.map(|n| n.to_string()));
    match service.version_table.as_deref() {
        None => out.entry("version_table", "false"),
        Some(VERSION_TABLE) => {}
        Some(name) => out.text("version_table", name),
    }
    out.option("revisions", service.revisions.as_ref().map(|r| quote(&r.to_string_lossy())));
    out.option("tenant_column", service.tenant_column.as_deref().map(quote));
    out.flag("tenant_exempt", service.tenant_exempt.then_some(true));
    out.option("instance", service.instance.as_deref().map(quote));
    out.option("applications", (!service.applications.is_empty()).then(|| list(&service.applications)));
    out.option("member_of", service.member_of.as_ref().map(|m| list(m)));
    out.flag("login", service.login);
}

fn roles(policy: &Policy, out: &mut Lines) {
    out.section(!policy.roles.is_empty(), "roles that own no schema");
    for role in &policy.roles {
        out.line("\n[[role]]");
        out.text("name", &role.name);
        out.access(&role.access);
        out.flag("login", role.login);
        out.option("member_of", role.member_of.as_ref().map(|m| list(m)));
        out.option("connection_limit", role.connection_limit.map(|n| n.to_string()));
        out.option("search_path", role.search_path.as_ref().map(|p| list(p)));
        out.option("instance", role.instance.as_deref().map(quote));
    }
}

fn schemas(policy: &Policy, out: &mut Lines) {
    out.section(!policy.schemas.is_empty(), "schemas that no service owns");
    for schema in &policy.schemas {
        out.line("\n[[schema]]");
        out.text("name", &schema.name);
        out.option("owner", schema.owner.as_deref().map(quote));
        if schema.creators != schema.owner.iter().cloned().collect::<Vec<_>>() {
            out.creators(&schema.creators);
        }
        out.flag("tenant_exempt", schema.tenant_exempt.then_some(true));
        out.option("instance", schema.instance.as_deref().map(quote));
    }
}

fn database(policy: &Policy, out: &mut Lines) {
    out.line("\n[database]");
    out.flag("public_connect", Some(policy.database.public_connect));
    out.flag("public_temporary", Some(policy.database.public_temporary));
}

fn exceptions(policy: &Policy, out: &mut Lines) {
    let some = !(policy.exceptions.is_empty() && policy.accepted.is_empty());
    out.section(some, "deviations that somebody decided on: listed, never accused");
    for exception in &policy.exceptions {
        out.line("\n[[exception]]");
        out.text("role", &exception.role);
        out.text("schema", &exception.schema);
        let privileges: Vec<String> = exception.privileges.iter().map(ToString::to_string).collect();
        out.list("privileges", &privileges);
        if !exception.objects.is_empty() {
            out.list("objects", &exception.objects);
        }
        out.text("reason", &exception.reason);
        out.option("instance", exception.instance.as_deref().map(quote));
    }
    for accepted in &policy.accepted {
        out.line("\n[[exception]]");
        out.text("finding", &accepted.finding);
        out.text("reason", &accepted.reason);
        out.option("instance", accepted.instance.as_deref().map(quote));
    }
}

fn rest(policy: &Policy, out: &mut Lines) {
    if !policy.allow.overlap.is_empty() || !policy.allow.foreign_keys.is_empty() {
        out.line("\n[allow]");
        if !policy.allow.overlap.is_empty() {
            out.list("overlap", &policy.allow.overlap);
        }
        let keys = policy.allow.foreign_keys.iter();
        let keys: Vec<String> =
            keys.map(|k| format!("{{ from = {}, to = {} }}", quote(&k.from), quote(&k.to))).collect();
        out.option("foreign_keys", (!keys.is_empty()).then(|| format!("[{}]", keys.join(", "))));
    }
    let (limits, default) = (&policy.limits, Limits::default());
    if *limits != default {
        out.line("\n[limits]");
        let all = [
            ("connections_percent", u32::from(limits.connections_percent), u32::from(default.connections_percent)),
            ("idle_in_transaction_seconds", limits.idle_in_transaction_seconds, default.idle_in_transaction_seconds),
            ("long_query_seconds", limits.long_query_seconds, default.long_query_seconds),
            ("blocked_seconds", limits.blocked_seconds, default.blocked_seconds),
            ("cache_hit_percent", u32::from(limits.cache_hit_percent), u32::from(default.cache_hit_percent)),
            ("password_expiry_days", limits.password_expiry_days, default.password_expiry_days),
        ];
        for (key, value, _) in all.iter().filter(|(_, value, default)| value != default) {
            out.entry(key, &value.to_string());
        }
    }
    if !policy.severity.is_empty() {
        out.line("\n[severity]");
        for (code, severity) in &policy.severity {
            out.text(code, severity.word());
        }
    }
}

/// The text so far.
struct Lines(String);

impl Lines {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
    fn section(&mut self, some: bool, title: &str) {
        if some {
            let _ = writeln!(self.0, "\n# --- {title} {}", "-".repeat(100usize.saturating_sub(title.len())));
        }
    }
    fn entry(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {value}");
    }
    fn text(&mut self, key: &str, value: &str) {
        self.entry(key, &quote(value));
    }
    fn list(&mut self, key: &str, values: &[String]) {
        self.entry(key, &list(values));
    }
    fn option(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.entry(key, &value);
        }
    }
    fn flag(&mut self, key: &str, value: Option<bool>) {
        self.option(key, value.map(|v| v.to_string()));
    }
    fn creators(&mut self, creators: &[String]) {
        let note = if creators.is_empty() { "   # default privileges are kept for nobody" } else { "" };
        self.entry("creators", &format!("{}{note}", list(creators)));
    }
    fn access(&mut self, access: &BTreeMap<String, Vec<super::Level>>) {
        if access.is_empty() {
            return;
        }
        let parts: Vec<String> = access
            .iter()
            .map(|(schema, levels)| {
                let levels: Vec<String> = levels.iter().map(|l| l.word().to_owned()).collect();
                format!("{} = {}", key(schema), list(&levels))
            })
            .collect();
        self.entry("access", &format!("{{ {} }}", parts.join(", ")));
    }
}

/// A TOML string.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if crate::text::is_unsafe(c) => {
                let n = u32::from(c);
                let _ = if n > 0xFFFF { write!(out, "\\U{n:08X}") } else { write!(out, "\\u{n:04X}") };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, bare where TOML allows it.
fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { text.to_owned() } else { quote(text) }
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|v| quote(v)).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::file;

    #[test]
    fn what_is_written_is_read_back() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/fleet/engarde.policy.toml");
        let policy = file::load(&path).unwrap();
        let again = file::parse(&text(&policy), &path).unwrap_or_else(|e| panic!("{e}\n{}", text(&policy)));
        assert_eq!(again, policy);
    }

    #[test]
    fn odd_names_survive() {
        let mut policy = file::parse(
            "[[service]]\nname='l'\nschema='s'\nrole='r'\nversion_table=false\ncreators=[]\nlogin=false\n[severity]\nlong-query='info'\n",
            Path::new("p.toml"),
        )
        .unwrap();
        policy.services[0].role = "a\"b\\c\u{1b}\u{202e}é日".to_owned();
        policy.services[0].owner = policy.services[0].role.clone();
        policy.services[0].access.insert("x y/z".to_owned(), vec![crate::policy::Level::Read]);
        let again =
            file::parse(&text(&policy), Path::new("p.toml")).unwrap_or_else(|e| panic!("{e}\n{}", text(&policy)));
        assert_eq!(again, policy);
    }
}

//! Changes as SQL: the only file that writes statements that change a database. Names are quoted as the server quotes
//! them, texts are escaped as literals; nothing is executed here.

use std::fmt::Write as _;

use postgres_protocol::escape::escape_literal;

use crate::{
    domain::{
        ObjectKind, Privilege, Privileges,
        change::{Change, Grantee, ObjectRef, On, RoleAttributes},
        qualified, quote_ident,
        search_path::is_list,
        snapshot::{DefaultKind, Kind, TenantType},
    },
    policy::Finding,
    text,
};

/// Stands for a password in what is shown and stored; the SCRAM verifier takes its place when the statement is run.
pub const PASSWORD: &str = "<a SCRAM verifier, made when this runs>";

/// The statements of a finding's fix, in order; `None` where it has none.
#[must_use]
pub fn fix_sql(finding: &Finding) -> Option<Vec<String>> {
    finding.fix.as_ref().map(|changes| changes.iter().flat_map(statements).collect())
}

/// The statements of one change, in order, each ending in a semicolon. They belong into one transaction: a grant that
/// another role made is revoked between `SET ROLE` and `RESET ROLE`.
#[must_use]
pub fn statements(change: &Change) -> Vec<String> {
    match change {
        Change::CreateSchema { name, owner } => {
            vec![format!("CREATE SCHEMA {} AUTHORIZATION {};", quote_ident(name), quote_ident(owner))]
        }
        Change::CreateRole { name, attributes } => role("CREATE", name, attributes),
        Change::AlterRole { attributes, .. } if *attributes == RoleAttributes::default() => Vec::new(),
        Change::AlterRole { name, attributes } => role("ALTER", name, attributes),
        Change::GrantRole { role, member } => {
            vec![format!("GRANT {} TO {};", quote_ident(role), quote_ident(member))]
        }
        Change::GrantRoleWith { role, member, admin, inherit, set, grantor } => {
            let mut options: Vec<String> = [("INHERIT", inherit), ("SET", set)]
                .into_iter()
                .filter_map(|(word, on)| on.map(|on| format!("{word} {}", if on { "TRUE" } else { "FALSE" })))
                .collect();
            if *admin {
                options.insert(0, if options.is_empty() { "ADMIN OPTION" } else { "ADMIN TRUE" }.to_owned());
            }
            let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
            let by = grantor.as_ref().map(|g| format!(" GRANTED BY {}", quote_ident(g))).unwrap_or_default();
            vec![format!("GRANT {} TO {}{with}{by};", quote_ident(role), quote_ident(member))]
        }
        Change::RevokeRole { role, member, grantor } => {
            let by = grantor.as_ref().map(|g| format!(" GRANTED BY {}", quote_ident(g))).unwrap_or_default();
            vec![format!("REVOKE {} FROM {}{by};", quote_ident(role), quote_ident(member))]
        }
        Change::Grant { privileges, on, to } => {
            what(*privileges, on).map(|what| format!("GRANT {what} TO {};", grantee(to))).into_iter().collect()
        }
        Change::GrantWith { privileges, on, to, option, grantor } => {
            let Some(what) = what(*privileges, on) else { return Vec::new() };
            let with = if *option { " WITH GRANT OPTION" } else { "" };
            as_role(grantor.as_deref(), format!("GRANT {what} TO {}{with};", grantee(to)))
        }
        Change::Revoke { privileges, on, from, option_only, grantor } => {
            let Some(what) = what(*privileges, on) else { return Vec::new() };
            let option = if *option_only { "GRANT OPTION FOR " } else { "" };
            as_role(grantor.as_deref(), format!("REVOKE {option}{what} FROM {};", grantee(from)))
        }
        Change::DefaultPrivileges { creator, schema, kind, privileges, grantee: who, grant } => {
            let place = schema.as_ref().map(|s| format!(" IN SCHEMA {}", quote_ident(s))).unwrap_or_default();
            let (verb, preposition) = if *grant { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
            let (list, kind, who) = (keywords(*privileges), default_kind(*kind), grantee(who));
            let creator = quote_ident(creator);
            if list.is_empty() {
                return Vec::new();
            }
            vec![format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {creator}{place} {verb} {list} ON {kind} {preposition} {who};"
            )]
        }
        Change::SetSchemaOwner { schema, owner } => {
            vec![format!("ALTER SCHEMA {} OWNER TO {};", quote_ident(schema), quote_ident(owner))]
        }
        Change::SetOwner { object, owner } => vec![format!("{} OWNER TO {};", alter(object), quote_ident(owner))],
        Change::SetSchema { object, to } => vec![format!("{} SET SCHEMA {};", alter(object), quote_ident(to))],
        Change::SetExtensionSchema { extension, to } => {
            vec![format!("ALTER EXTENSION {} SET SCHEMA {};", quote_ident(extension), quote_ident(to))]
        }
        Change::SetRoleSetting { role, database, name, value } => {
            let place = database.as_ref().map(|d| format!(" IN DATABASE {}", quote_ident(d))).unwrap_or_default();
            vec![format!("ALTER ROLE {}{place} {};", quote_ident(role), setting(name, value.as_deref()))]
        }
        Change::SetDatabaseSetting { database, name, value } => {
            vec![format!("ALTER DATABASE {} {};", quote_ident(database), setting(name, value.as_deref()))]
        }
        Change::EnableRls { schema, table } => {
            vec![format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", qualified(schema, table))]
        }
        Change::ForceRls { schema, table } => {
            vec![format!("ALTER TABLE {} FORCE ROW LEVEL SECURITY;", qualified(schema, table))]
        }
        Change::CreateTenantPolicy { schema, table, name, column, setting, as_type } => {
            vec![tenant_policy(&qualified(schema, table), name, column, setting, *as_type)]
        }
        Change::ValidateForeignKey { schema, table, name } => {
            vec![format!("ALTER TABLE {} VALIDATE CONSTRAINT {};", qualified(schema, table), quote_ident(name))]
        }
        Change::CreateVersionTable { schema, name, owner } => version_table(schema, name, owner),
        Change::MoveVersionTable { schema, name, to } => {
            vec![format!("ALTER TABLE {} SET SCHEMA {};", qualified(schema, name), quote_ident(to))]
        }
        Change::RenameVersionTable { schema, name, to } => {
            vec![format!("ALTER TABLE {} RENAME TO {};", qualified(schema, name), quote_ident(to))]
        }
        Change::SetFunctionSearchPath { schema, signature, path } => {
            let path = setting("search_path", Some(path));
            vec![format!("ALTER ROUTINE {}.{signature} {path};", quote_ident(schema))]
        }
        Change::SetViewInvoker { schema, view } => {
            vec![format!("ALTER VIEW {} SET (security_invoker = true);", qualified(schema, view))]
        }
        Change::CreateAuditSchema { schema, owner } => audit_schema(schema, owner),
        Change::CreateAuditFunction { schema, owner } => audit_function(schema, owner),
        Change::DropAuditFunction { schema } => {
            vec![format!("DROP FUNCTION {} RESTRICT;", named(true, schema, AUDIT_SIGNATURE))]
        }
        Change::CreateAuditTrigger { schema, table, audit, home } => {
            let home: Vec<String> = home.iter().map(|role| literal(role)).collect();
            vec![format!(
                "CREATE TRIGGER {AUDIT_FUNCTION} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {} FOR EACH STATEMENT \
                 EXECUTE FUNCTION {}({});",
                qualified(schema, table),
                qualified(audit, AUDIT_FUNCTION),
                home.join(", ")
            )]
        }
        Change::DropAuditTrigger { schema, table } => {
            vec![format!("DROP TRIGGER {AUDIT_FUNCTION} ON {};", qualified(schema, table))]
        }
        Change::DropSchema { name } => vec![format!("DROP SCHEMA {} RESTRICT;", quote_ident(name))],
        Change::DropRole { name } => vec![format!("DROP ROLE {};", quote_ident(name))],
        Change::DropVersionTable { schema, name } => drop_made(schema, name),
        Change::SetPassword { role } => vec![format!("ALTER ROLE {} PASSWORD '{PASSWORD}';", quote_ident(role))],
        Change::DisableRls { schema, table } => {
            vec![format!("ALTER TABLE {} DISABLE ROW LEVEL SECURITY;", qualified(schema, table))]
        }
        Change::NoForceRls { schema, table } => {
            vec![format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY;", qualified(schema, table))]
        }
        Change::DropPolicy { schema, table, name } => {
            vec![format!("DROP POLICY {} ON {};", quote_ident(name), qualified(schema, table))]
        }
        Change::ResetFunctionSearchPath { schema, signature } => {
            vec![format!("ALTER ROUTINE {}.{signature} RESET search_path;", quote_ident(schema))]
        }
        Change::ResetViewInvoker { schema, view } => {
            vec![format!("ALTER VIEW {} RESET (security_invoker);", qualified(schema, view))]
        }
        Change::InsertVersionRows { rows, .. }
        | Change::DeleteVersionRows { rows, .. }
        | Change::MoveVersionRows { rows, .. }
            if rows.is_empty() =>
        {
            Vec::new()
        }
        Change::InsertVersionRows { schema, table, rows } => {
            let rows: Vec<String> = rows.iter().map(|row| format!("({})", literal(row))).collect();
            vec![format!("INSERT INTO {} (version_num) VALUES {};", qualified(schema, table), rows.join(", "))]
        }
        Change::DeleteVersionRows { schema, table, rows } => {
            let rows: Vec<String> = rows.iter().map(|row| literal(row)).collect();
            vec![format!("DELETE FROM {} WHERE version_num IN ({});", qualified(schema, table), rows.join(", "))]
        }
        Change::MoveVersionRows { schema, table, to, rows } => {
            let rows: Vec<String> = rows.iter().map(|row| literal(row)).collect();
            vec![format!(
                "WITH moved AS (DELETE FROM {} WHERE version_num IN ({}) RETURNING version_num) INSERT INTO {} \
                 (version_num) SELECT version_num FROM moved;",
                qualified(schema, table),
                rows.join(", "),
                qualified(to, table)
            )]
        }
    }
}

/// The same statement without a character that a terminal, an editor or a reader could take for something else: names and
/// texts that have such characters are written with PostgreSQL's own escapes, so that it still means what it meant.
#[must_use]
pub fn printable(statement: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    // without its backslashes, which are themselves here
    let odd =
        |text: &str| text.chars().any(|c| !plain(c)) && text::safe(&text.replace('\\', "")) != text.replace('\\', "");
    let mut out = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, from) = rest.split_at(at);
        let quote = from.get(..1).unwrap_or_default();
        let inside = from.get(1..).unwrap_or_default();
        let mut end = 0;
        while let Some(next) = inside.get(end..).and_then(|t| t.find(quote)) {
            end += next;
            if !inside.get(end + 1..).is_some_and(|t| t.starts_with(quote)) {
                break;
            }
            end += 2;
        }
        let (body, after) = inside.split_at_checked(end).unwrap_or((inside, ""));
        out.push_str(before);
        if odd(body) {
            let escaped = before.ends_with('E') && quote == "'";
            out.push_str(if quote == "\"" {
                "U&"
            } else if escaped {
                ""
            } else {
                "E"
            });
            out.push_str(quote);
            for c in body.chars() {
                let _ = match c {
                    '\\' if !escaped => write!(out, "\\\\"),
                    c if plain(c) => write!(out, "{c}"),
                    c if quote == "\"" => write!(out, "\\+{:06X}", u32::from(c)),
                    c => write!(out, "\\U{:08X}", u32::from(c)),
                };
            }
        } else {
            out.push_str(quote);
            out.push_str(body);
        }
        out.push_str(quote);
        rest = after.strip_prefix(quote).unwrap_or(after);
    }
    out.push_str(rest);
    out
}

/// Runs a statement as another role: only a grant's own grantor can take it back.
fn as_role(role: Option<&str>, statement: String) -> Vec<String> {
    match role {
        None => vec![statement],
        Some(role) => vec![format!("SET ROLE {};", quote_ident(role)), statement, "RESET ROLE;".to_owned()],
    }
}

fn grantee(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Public => "PUBLIC".to_owned(),
        Grantee::Role(name) => quote_ident(name),
    }
}

fn keywords(privileges: Privileges) -> String {
    let known = privileges.iter().filter(|p| *p != Privilege::Unknown);
    known.map(Privilege::keyword).collect::<Vec<_>>().join(", ")
}

/// `SELECT, INSERT ON TABLE s.a, s.b`; `None` for what cannot be said (no privilege, no object, ALL of a kind that has no
/// such form).
fn what(privileges: Privileges, on: &On) -> Option<String> {
    let list = keywords(privileges);
    if list.is_empty() {
        return None;
    }
    Some(match on {
        On::Database(name) => format!("{list} ON DATABASE {}", quote_ident(name)),
        On::Schema(name) => format!("{list} ON SCHEMA {}", quote_ident(name)),
        On::AllIn { kind, schema } => {
            let kind = match kind {
                ObjectKind::Table => "TABLES",
                ObjectKind::Sequence => "SEQUENCES",
                ObjectKind::Routine => "ROUTINES",
                ObjectKind::Type | ObjectKind::Schema | ObjectKind::Database => return None,
            };
            format!("{list} ON ALL {kind} IN SCHEMA {}", quote_ident(schema))
        }
        On::Objects { names, .. } if names.is_empty() => return None,
        On::Objects { kind, schema, names } => {
            let word = match kind {
                ObjectKind::Table => "TABLE",
                ObjectKind::Sequence => "SEQUENCE",
                ObjectKind::Routine => "ROUTINE",
                ObjectKind::Type => "TYPE",
                ObjectKind::Schema | ObjectKind::Database => return None,
            };
            let names: Vec<String> = names.iter().map(|n| named(*kind == ObjectKind::Routine, schema, n)).collect();
            format!("{list} ON {word} {}", names.join(", "))
        }
        On::Columns { columns, .. } if columns.is_empty() => return None,
        On::Columns { schema, relation, columns } => {
            let columns: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
            let columns = columns.join(", ");
            let each: Vec<String> = privileges
                .iter()
                .filter(|p| *p != Privilege::Unknown)
                .map(|p| format!("{} ({columns})", p.keyword()))
                .collect();
            format!("{} ON TABLE {}", each.join(", "), qualified(schema, relation))
        }
    })
}

/// `schema.name`. A routine's name carries its argument types and is written as the server writes it, quotes included.
fn named(routine: bool, schema: &str, name: &str) -> String {
    if routine { format!("{}.{name}", quote_ident(schema)) } else { qualified(schema, name) }
}

fn default_kind(kind: DefaultKind) -> &'static str {
    match kind {
        DefaultKind::Tables => "TABLES",
        DefaultKind::Sequences => "SEQUENCES",
        DefaultKind::Functions => "FUNCTIONS",
        DefaultKind::Types => "TYPES",
        DefaultKind::Schemas => "SCHEMAS",
        DefaultKind::LargeObjects => "LARGE OBJECTS",
    }
}

/// `ALTER VIEW s.v`: the form that fits the object. ROUTINE is the one that takes aggregates as they are named here.
fn alter(object: &ObjectRef) -> String {
    let (word, routine) = match object.kind {
        Kind::Table | Kind::Partitioned => ("TABLE", false),
        Kind::View => ("VIEW", false),
        Kind::MaterializedView => ("MATERIALIZED VIEW", false),
        Kind::Foreign => ("FOREIGN TABLE", false),
        Kind::Sequence => ("SEQUENCE", false),
        Kind::Function | Kind::Window => ("FUNCTION", true),
        Kind::Procedure => ("PROCEDURE", true),
        Kind::Aggregate => ("ROUTINE", true),
        Kind::Type => ("TYPE", false),
    };
    format!("ALTER {word} {}", named(routine, &object.schema, &object.name))
}

fn role(verb: &str, name: &str, a: &RoleAttributes) -> Vec<String> {
    let mut words: Vec<String> = [
        (a.superuser, "SUPERUSER"),
        (a.create_db, "CREATEDB"),
        (a.create_role, "CREATEROLE"),
        (a.inherit, "INHERIT"),
        (a.login, "LOGIN"),
        (a.replication, "REPLICATION"),
        (a.bypass_rls, "BYPASSRLS"),
    ]
    .into_iter()
    .filter_map(|(value, word)| value.map(|on| if on { word.to_owned() } else { format!("NO{word}") }))
    .collect();
    words.extend(a.connection_limit.map(|n| format!("CONNECTION LIMIT {n}")));
    words.extend(a.valid_until.as_ref().map(|t| format!("VALID UNTIL {}", literal(t))));
    let space = if words.is_empty() { "" } else { " " };
    vec![format!("{verb} ROLE {}{space}{};", quote_ident(name), words.join(" "))]
}

pub(super) fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// `SET name = value` or `RESET name`. A search path is a list of names, and so are some others; everything else is written as texts.
fn setting(name: &str, value: Option<&[String]>) -> String {
    let parts: Vec<String> = name.split('.').map(quote_ident).collect();
    let shown = parts.join(".");
    let Some(value) = value else { return format!("RESET {shown}") };
    let list: Vec<String> = value.iter().map(|v| if is_list(name) { quote_ident(v) } else { literal(v) }).collect();
    let list = if list.is_empty() { "''".to_owned() } else { list.join(", ") };
    format!("SET {shown} = {list}")
}

/// An unset or empty setting matches no row. Where the column's type is known the setting is read as a value of it, so
/// that an index on the column is used; otherwise both are compared as texts.
fn tenant_policy(table: &str, name: &str, column: &str, setting: &str, of: Option<TenantType>) -> String {
    let value = format!("NULLIF(current_setting({}, true), '')", literal(setting));
    let column = quote_ident(column);
    let condition = match of {
        None => format!("{column}::text = {value}"),
        Some(TenantType::Text) => format!("{column} = {value}"),
        Some(of) => format!("{column} = {value}::{}", of.word()),
    };
    format!("CREATE POLICY {} ON {table} USING ({condition}) WITH CHECK ({condition});", quote_ident(name))
}

/// As Alembic itself makes it.
fn version_table(schema: &str, name: &str, owner: &str) -> Vec<String> {
    let table = qualified(schema, name);
    let key = quote_ident(&format!("{}_pkc", cut(name, crate::domain::ident::MAX_IDENT_BYTES - "_pkc".len())));
    vec![
        format!("CREATE TABLE {table} (version_num varchar(32) NOT NULL, CONSTRAINT {key} PRIMARY KEY (version_num));"),
        format!("ALTER TABLE {table} OWNER TO {};", quote_ident(owner)),
    ]
}

/// Drops a table that a plan made. What a version table holds is compared before, by `COPY`; of the audit trail the file's
/// size tells that nothing was ever written. Never a SELECT: a planner that looks at somebody's table may run what is
/// somebody's.
fn drop_made(schema: &str, name: &str) -> Vec<String> {
    let table = qualified(schema, name);
    let drop = format!("DROP TABLE {table} RESTRICT;");
    if name != AUDIT_TABLE {
        return vec![drop];
    }
    let message = literal(&format!("{table} holds rows, or held some"));
    let body = format!(
        "BEGIN IF pg_catalog.pg_relation_size({}) > 0 THEN RAISE EXCEPTION USING MESSAGE = {message}; END IF; END",
        literal(&table)
    );
    vec![format!("DO {};", literal(&body)), drop]
}

/// A statement that changes nothing and refuses to go on, in words of ours, where something would be lost.
#[must_use]
pub fn is_guard(sql: &str) -> bool {
    sql.starts_with("DO ")
}

/// At most `bytes` bytes of a name.
fn cut(name: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(name.len())).rev().find(|i| name.is_char_boundary(*i)).unwrap_or(0);
    name.get(..end).unwrap_or(name)
}

/// The table that writes across schemas are logged to.
pub const AUDIT_TABLE: &str = "cross_schema_access";

/// The columns of [`AUDIT_TABLE`] that [`AUDIT_FUNCTION`] and people count on.
pub const AUDIT_COLUMNS: [&str; 6] = ["timestamp", "source_schema", "target_schema", "user_role", "query", "tenant_id"];

/// The trigger function that writes the trail, and the name of its triggers.
pub const AUDIT_FUNCTION: &str = "log_write_from_elsewhere";
/// The same as a routine is named.
pub const AUDIT_SIGNATURE: &str = crate::domain::snapshot::TrailFunction::SIGNATURE;
/// Its own search path: nothing that it names is looked up where somebody else may create.
pub const AUDIT_PATH: &str = "pg_catalog, pg_temp";
/// `pg_trigger.tgtype` of its triggers: after INSERT, DELETE, UPDATE and TRUNCATE, once for each statement.
pub const AUDIT_EVENTS: i16 = 4 | 8 | 16 | 32;

/// What the trigger function does: one row for each statement that somebody from elsewhere writes with.
#[must_use]
pub fn audit_body(schema: &str) -> String {
    format!(
        "
DECLARE
    tenant text := current_setting('app.current_tenant_id', true);
BEGIN
    IF session_user = ANY (TG_ARGV) THEN
        RETURN NULL;
    END IF;
    INSERT INTO {} (source_schema, target_schema, user_role, query, tenant_id)
    VALUES (
        (
            SELECT n.nspname FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner
            WHERE r.rolname = session_user ORDER BY n.oid LIMIT 1
        ),
        TG_TABLE_SCHEMA, session_user, left(current_query(), 10000),
        CASE WHEN tenant ~* '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' THEN tenant::uuid END
    );
    RETURN NULL;
END
",
        qualified(schema, AUDIT_TABLE)
    )
}

fn audit_function(schema: &str, owner: &str) -> Vec<String> {
    let function = named(true, schema, AUDIT_SIGNATURE);
    let body = audit_body(schema);
    // A name in it may hold the quote itself.
    let mut quote = "$audit$".to_owned();
    while body.contains(&quote) {
        quote.insert(1, 'x');
    }
    vec![
        format!(
            "CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {AUDIT_PATH} AS \
             {quote}{body}{quote};"
        ),
        format!("ALTER FUNCTION {function} OWNER TO {};", quote_ident(owner)),
    ]
}

/// The schema and table that writes across schemas are logged to.
fn audit_schema(schema: &str, owner: &str) -> Vec<String> {
    let table = qualified(schema, AUDIT_TABLE);
    let owner = quote_ident(owner);
    vec![
        format!("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {owner};", quote_ident(schema)),
        format!(
            "CREATE TABLE {table} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \"timestamp\" timestamptz \
             NOT NULL DEFAULT now(),\n    source_schema text,\n    target_schema text,\n    user_role text NOT NULL DEFAULT \
             session_user,\n    query text,\n    tenant_id uuid\n);"
        ),
        format!("ALTER TABLE {table} OWNER TO {owner};"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    fn on(kind: ObjectKind, names: &[&str]) -> On {
        On::Objects { kind, schema: "sankore".into(), names: names.iter().map(|n| (*n).to_owned()).collect() }
    }
    fn to(name: &str) -> Grantee {
        Grantee::Role(name.into())
    }
    fn grant(privileges: &[Privilege], on: On) -> Change {
        Change::Grant { privileges: Privileges::of(privileges), on, to: to("app") }
    }
    fn revoke(grantor: Option<&str>, option_only: bool) -> Change {
        let privileges = Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]);
        let on = on(ObjectKind::Table, &["ad_trends"]);
        Change::Revoke { privileges, on, from: to("madansara_user"), option_only, grantor: grantor.map(str::to_owned) }
    }
    fn object(kind: Kind, name: &str) -> ObjectRef {
        ObjectRef { kind, schema: "s".into(), name: name.into() }
    }
    fn owner(kind: Kind, name: &str) -> Change {
        Change::SetOwner { object: object(kind, name), owner: "app".into() }
    }

    #[rstest]
    #[case(revoke(None, false), &["REVOKE INSERT, UPDATE, DELETE ON TABLE sankore.ad_trends FROM madansara_user;"])]
    #[case(revoke(None, true), &["REVOKE GRANT OPTION FOR INSERT, UPDATE, DELETE ON TABLE sankore.ad_trends FROM madansara_user;"])]
    #[case(revoke(Some("a b"), false), &["SET ROLE \"a b\";", "REVOKE INSERT, UPDATE, DELETE ON TABLE sankore.ad_trends FROM madansara_user;", "RESET ROLE;"])]
    #[case(grant(&[Privilege::Usage, Privilege::Create], On::Schema("user".into())), &["GRANT USAGE, CREATE ON SCHEMA \"user\" TO app;"])]
    #[case(grant(&[Privilege::Connect], On::Database("En-Garde-FlowDB".into())), &["GRANT CONNECT ON DATABASE \"En-Garde-FlowDB\" TO app;"])]
    #[case(grant(&[Privilege::Select], On::AllIn { kind: ObjectKind::Table, schema: "s".into() }), &["GRANT SELECT ON ALL TABLES IN SCHEMA s TO app;"])]
    #[case(grant(&[Privilege::Execute], On::AllIn { kind: ObjectKind::Routine, schema: "s".into() }), &["GRANT EXECUTE ON ALL ROUTINES IN SCHEMA s TO app;"])]
    #[case(grant(&[Privilege::Execute], on(ObjectKind::Routine, &["f(integer)", "\"G h\"(text, sankore.\"T\")"])), &["GRANT EXECUTE ON ROUTINE sankore.f(integer), sankore.\"G h\"(text, sankore.\"T\") TO app;"])]
    #[case(grant(&[Privilege::Usage], on(ObjectKind::Sequence, &["a", "B"])), &["GRANT USAGE ON SEQUENCE sankore.a, sankore.\"B\" TO app;"])]
    #[case(
        grant(&[Privilege::Select, Privilege::Update], On::Columns { schema: "s".into(), relation: "t".into(), columns: vec!["a".into(), "B".into()] }),
        &["GRANT SELECT (a, \"B\"), UPDATE (a, \"B\") ON TABLE s.t TO app;"]
    )]
    #[case(grant(&[], On::Schema("s".into())), &[])]
    #[case(grant(&[Privilege::Usage], On::AllIn { kind: ObjectKind::Type, schema: "s".into() }), &[])]
    #[case(Change::GrantRole { role: "g".into(), member: "m".into() }, &["GRANT g TO m;"])]
    #[case(Change::RevokeRole { role: "g".into(), member: "m".into(), grantor: Some("admin".into()) }, &["REVOKE g FROM m GRANTED BY admin;"])]
    #[case(Change::CreateSchema { name: "s".into(), owner: "app".into() }, &["CREATE SCHEMA s AUTHORIZATION app;"])]
    #[case(
        Change::CreateRole { name: "app".into(), attributes: RoleAttributes { login: Some(true), connection_limit: Some(10), ..RoleAttributes::default() } },
        &["CREATE ROLE app LOGIN CONNECTION LIMIT 10;"]
    )]
    #[case(Change::CreateRole { name: "app".into(), attributes: RoleAttributes::default() }, &["CREATE ROLE app;"])]
    #[case(Change::AlterRole { name: "app".into(), attributes: RoleAttributes::default() }, &[])]
    #[case(
        Change::AlterRole { name: "app".into(), attributes: RoleAttributes { superuser: Some(false), bypass_rls: Some(false), valid_until: Some("infinity".into()), ..RoleAttributes::default() } },
        &["ALTER ROLE app NOSUPERUSER NOBYPASSRLS VALID UNTIL 'infinity';"]
    )]
    #[case(
        Change::DefaultPrivileges { creator: "app".into(), schema: Some("s".into()), kind: DefaultKind::Tables, privileges: Privilege::Select.into(), grantee: to("reader"), grant: true },
        &["ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA s GRANT SELECT ON TABLES TO reader;"]
    )]
    #[case(
        Change::DefaultPrivileges { creator: "app".into(), schema: None, kind: DefaultKind::Functions, privileges: Privilege::Execute.into(), grantee: Grantee::Public, grant: false },
        &["ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"]
    )]
    #[case(Change::SetSchemaOwner { schema: "s".into(), owner: "app".into() }, &["ALTER SCHEMA s OWNER TO app;"])]
    #[case(owner(Kind::Partitioned, "t"), &["ALTER TABLE s.t OWNER TO app;"])]
    #[case(owner(Kind::View, "v"), &["ALTER VIEW s.v OWNER TO app;"])]
    #[case(owner(Kind::MaterializedView, "v"), &["ALTER MATERIALIZED VIEW s.v OWNER TO app;"])]
    #[case(owner(Kind::Foreign, "t"), &["ALTER FOREIGN TABLE s.t OWNER TO app;"])]
    #[case(owner(Kind::Procedure, "p(integer)"), &["ALTER PROCEDURE s.p(integer) OWNER TO app;"])]
    #[case(owner(Kind::Aggregate, "a()"), &["ALTER ROUTINE s.a() OWNER TO app;"])]
    #[case(owner(Kind::Type, "T"), &["ALTER TYPE s.\"T\" OWNER TO app;"])]
    #[case(Change::SetSchema { object: object(Kind::Sequence, "q"), to: "t".into() }, &["ALTER SEQUENCE s.q SET SCHEMA t;"])]
    #[case(Change::SetExtensionSchema { extension: "uuid-ossp".into(), to: "extensions".into() }, &["ALTER EXTENSION \"uuid-ossp\" SET SCHEMA extensions;"])]
    #[case(
        Change::SetRoleSetting { role: "app".into(), database: Some("db".into()), name: "search_path".into(), value: Some(vec!["$user".into(), "public".into()]) },
        &["ALTER ROLE app IN DATABASE db SET search_path = \"$user\", public;"]
    )]
    #[case(
        Change::SetRoleSetting { role: "app".into(), database: None, name: "app.tenant".into(), value: Some(vec!["it's".into()]) },
        &["ALTER ROLE app SET app.tenant = 'it''s';"]
    )]
    #[case(Change::SetRoleSetting { role: "app".into(), database: None, name: "search_path".into(), value: None }, &["ALTER ROLE app RESET search_path;"])]
    #[case(Change::SetDatabaseSetting { database: "db".into(), name: "search_path".into(), value: Some(vec![]) }, &["ALTER DATABASE db SET search_path = '';"])]
    #[case(Change::EnableRls { schema: "s".into(), table: "t".into() }, &["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY;"])]
    #[case(Change::ForceRls { schema: "s".into(), table: "t".into() }, &["ALTER TABLE s.t FORCE ROW LEVEL SECURITY;"])]
    #[case(
        Change::CreateTenantPolicy { schema: "s".into(), table: "t".into(), name: "tenant".into(), column: "tenant_id".into(), setting: "app.current_tenant_id".into(), as_type: None },
        &["CREATE POLICY tenant ON s.t USING (tenant_id::text = NULLIF(current_setting('app.current_tenant_id', true), '')) WITH CHECK (tenant_id::text = NULLIF(current_setting('app.current_tenant_id', true), ''));"]
    )]
    #[case(
        Change::CreateTenantPolicy { schema: "s".into(), table: "t".into(), name: "p".into(), column: "T".into(), setting: "a.b".into(), as_type: Some(TenantType::Uuid) },
        &["CREATE POLICY p ON s.t USING (\"T\" = NULLIF(current_setting('a.b', true), '')::uuid) WITH CHECK (\"T\" = NULLIF(current_setting('a.b', true), '')::uuid);"]
    )]
    #[case(
        Change::CreateTenantPolicy { schema: "s".into(), table: "t".into(), name: "p".into(), column: "t".into(), setting: "a.b".into(), as_type: Some(TenantType::Text) },
        &["CREATE POLICY p ON s.t USING (t = NULLIF(current_setting('a.b', true), '')) WITH CHECK (t = NULLIF(current_setting('a.b', true), ''));"]
    )]
    #[case(
        Change::CreateAuditTrigger { schema: "s".into(), table: "T".into(), audit: "audit".into(), home: vec!["it's".into(), "b".into()] },
        &["CREATE TRIGGER log_write_from_elsewhere AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON s.\"T\" FOR EACH STATEMENT EXECUTE FUNCTION audit.log_write_from_elsewhere('it''s', 'b');"]
    )]
    #[case(Change::DropAuditTrigger { schema: "s".into(), table: "T".into() }, &["DROP TRIGGER log_write_from_elsewhere ON s.\"T\";"])]
    #[case(Change::DropAuditFunction { schema: "audit".into() }, &["DROP FUNCTION audit.log_write_from_elsewhere() RESTRICT;"])]
    #[case(Change::ValidateForeignKey { schema: "s".into(), table: "t".into(), name: "t_fk".into() }, &["ALTER TABLE s.t VALIDATE CONSTRAINT t_fk;"])]
    #[case(
        Change::CreateVersionTable { schema: "s".into(), name: "alembic_version".into(), owner: "app".into() },
        &["CREATE TABLE s.alembic_version (version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));", "ALTER TABLE s.alembic_version OWNER TO app;"]
    )]
    #[case(Change::RenameVersionTable { schema: "s".into(), name: "a b".into(), to: "C".into() }, &["ALTER TABLE s.\"a b\" RENAME TO \"C\";"])]
    #[case(Change::MoveVersionTable { schema: "public".into(), name: "alembic_version".into(), to: "s".into() }, &["ALTER TABLE public.alembic_version SET SCHEMA s;"])]
    #[case(
        Change::SetFunctionSearchPath { schema: "s".into(), signature: "f(text)".into(), path: vec!["s".into(), "pg_temp".into()] },
        &["ALTER ROUTINE s.f(text) SET search_path = s, pg_temp;"]
    )]
    #[case(Change::SetViewInvoker { schema: "s".into(), view: "v".into() }, &["ALTER VIEW s.v SET (security_invoker = true);"])]
    fn a_change_reads_as_a_person_would_write_it(#[case] change: Change, #[case] expected: &[&str]) {
        assert_eq!(statements(&change), expected);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let evil = "x\"; DROP TABLE t; --";
        let change = Change::SetSchemaOwner { schema: evil.into(), owner: evil.into() };
        assert_eq!(
            statements(&change),
            ["ALTER SCHEMA \"x\"\"; DROP TABLE t; --\" OWNER TO \"x\"\"; DROP TABLE t; --\";"]
        );
        let backslash = Change::SetRoleSetting {
            role: "r".into(),
            database: None,
            name: "statement_timeout".into(),
            value: Some(vec!["\\'; --".into()]),
        };
        assert_eq!(statements(&backslash), ["ALTER ROLE r SET statement_timeout = E'\\\\''; --';"]);
    }

    #[test]
    fn a_long_version_tables_key_keeps_its_ending() {
        let name = "é".repeat(31);
        let change = Change::CreateVersionTable { schema: "s".into(), name, owner: "app".into() };
        let create = &statements(&change)[0];
        assert!(create.contains(&format!("\"{}_pkc\"", "é".repeat(29))), "{create}");
    }

    #[test]
    fn an_unknown_privilege_is_never_written() {
        assert!(statements(&grant(&[Privilege::Unknown], On::Schema("s".into()))).is_empty());
    }

    #[test]
    fn the_function_of_the_trail_is_quoted_whatever_its_schema_is_called() {
        let sql = statements(&Change::CreateAuditFunction { schema: "a$audit$b".into(), owner: "o".into() });
        assert!(sql[0].contains("AS $xaudit$\n") && sql[0].ends_with("$xaudit$;"), "{}", sql[0]);
        assert!(sql[0].contains("SECURITY DEFINER SET search_path = pg_catalog, pg_temp"));
        assert_eq!(sql[1], "ALTER FUNCTION \"a$audit$b\".log_write_from_elsewhere() OWNER TO o;");
    }

    #[test]
    fn the_audit_schema_has_its_table() {
        let sql = statements(&Change::CreateAuditSchema { schema: "audit".into(), owner: "postgres".into() });
        assert!(sql[0].starts_with("CREATE SCHEMA") && sql[1].contains("audit.cross_schema_access"));
    }

    #[test]
    fn a_printed_statement_means_what_it_meant_and_shows_what_it_is() {
        for (statement, printed) in [
            ("GRANT USAGE ON SCHEMA \"a b\" TO \"é\";", "GRANT USAGE ON SCHEMA \"a b\" TO \"é\";"),
            ("DROP SCHEMA \"a\nb\\c\";", "DROP SCHEMA U&\"a\\+00000Ab\\\\c\";"),
            ("DROP SCHEMA \"back\\slash\";", "DROP SCHEMA \"back\\slash\";"),
            ("DROP SCHEMA \"q\"\"\u{202e}\"; SELECT 1;", "DROP SCHEMA U&\"q\"\"\\+00202E\"; SELECT 1;"),
            ("COMMENT ON ROLE x IS 'it''s \u{1b}[2J\\';", "COMMENT ON ROLE x IS E'it''s \\U0000001B[2J\\\\';"),
            ("SELECT E'a\\\\\u{1b}';", "SELECT E'a\\\\\\U0000001B';"),
        ] {
            assert_eq!(printable(statement), printed);
        }
        let names =
            ["\ttab", " tab", "    tab", "line\nfeed", "line feed", "a\r", "a", "line\\nfeed", "line\\+00000Afeed"];
        let shown: BTreeSet<String> =
            names.iter().map(|name| printable(&format!("DROP SCHEMA {};", quote_ident(name)))).collect();
        assert_eq!(shown.len(), names.len(), "names that differ stay different: {shown:#?}");
        assert!(shown.iter().all(|s| !s.chars().any(text::is_unsafe)));
    }
}

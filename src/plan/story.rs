//! What a change is called, and what somebody should know before it runs: one sentence of consequence each.

use super::{Hazard, HazardKind};
use crate::domain::{
    Acl, ObjectKind, Privilege, Privileges,
    change::{Change, Grantee, ObjectRef, On, RoleAttributes},
    effective::{Matrix, Who},
    snapshot::{DefaultKind, Snapshot},
};

/// The change in a few words.
#[must_use]
pub fn title(change: &Change) -> String {
    match change {
        Change::CreateSchema { name, owner } => format!("create schema {name}, owned by {owner}"),
        Change::DropSchema { name } => format!("drop schema {name}, which is empty"),
        Change::CreateRole { name, attributes } => match attributes.login {
            Some(true) => format!("create role {name}, which may log in"),
            _ => format!("create role {name}"),
        },
        Change::AlterRole { name, attributes } => format!("change role {name}: {}", attribute_words(attributes)),
        Change::DropRole { name } => format!("drop role {name}"),
        Change::SetPassword { role } => format!("set the password of {role}"),
        Change::GrantRole { role, member } | Change::GrantRoleWith { role, member, .. } => {
            format!("make {member} a member of {role}")
        }
        Change::RevokeRole { role, member, .. } => format!("end the membership of {member} in {role}"),
        Change::Grant { privileges, on, to } | Change::GrantWith { privileges, on, to, option: false, .. } => {
            format!("grant {} {} to {}", words(*privileges), place(on), who(to))
        }
        Change::GrantWith { privileges, on, to, .. } => {
            format!("grant {} {} to {}, who may pass that on", words(*privileges), place(on), who(to))
        }
        Change::Revoke { privileges, on, from, option_only: false, .. } => {
            format!("take {} {} from {}", words(*privileges), place(on), who(from))
        }
        Change::Revoke { privileges, on, from, .. } => {
            format!("keep {} from passing on {} {}", who(from), words(*privileges), place(on))
        }
        Change::DefaultPrivileges { creator, schema, kind, privileges, grantee, grant } => {
            let place = schema.as_ref().map(|s| format!(" in {s}")).unwrap_or_default();
            let verb = if *grant { "grant" } else { "no longer grant" };
            let (kind, list, to) = (default_kind(*kind), words(*privileges), who(grantee));
            format!("{verb} {list} on {kind} that {creator} will create{place} to {to}")
        }
        Change::SetSchemaOwner { schema, owner } => format!("make {owner} the owner of schema {schema}"),
        Change::SetOwner { object, owner } => format!("make {owner} the owner of {}", named(object)),
        Change::SetSchema { object, to } => format!("move {} to schema {to}", named(object)),
        Change::MoveVersionTable { schema, name, to } => {
            format!("move version table {schema}.{name} to schema {to}")
        }
        Change::RenameVersionTable { schema, name, to } => format!("rename version table {schema}.{name} to {to}"),
        Change::SetExtensionSchema { extension, to } => format!("move extension {extension} to schema {to}"),
        Change::SetRoleSetting { role, database, name, value } => {
            let place = if database.is_some() { " in this database" } else { "" };
            match value {
                Some(value) => format!("set {name} of {role}{place} to {}", value.join(", ")),
                None => format!("reset {name} of {role}{place}"),
            }
        }
        Change::SetDatabaseSetting { database, name, value } => match value {
            Some(value) => format!("set {name} of database {database} to {}", value.join(", ")),
            None => format!("reset {name} of database {database}"),
        },
        Change::EnableRls { schema, table } => format!("turn on row level security on {schema}.{table}"),
        Change::DisableRls { schema, table } => format!("turn off row level security on {schema}.{table}"),
        Change::ForceRls { schema, table } => {
            format!("let row level security bind the owner of {schema}.{table}, too")
        }
        Change::NoForceRls { schema, table } => {
            format!("no longer let row level security bind the owner of {schema}.{table}")
        }
        Change::CreateTenantPolicy { schema, table, name, column, .. } => {
            format!("create policy {name} on {schema}.{table}: rows of one {column} only")
        }
        Change::DropPolicy { schema, table, name } => format!("drop policy {name} on {schema}.{table}"),
        Change::ValidateForeignKey { schema, table, name } => {
            format!("check foreign key {name} of {schema}.{table}")
        }
        Change::CreateVersionTable { schema, name, owner } => {
            format!("create the version table {schema}.{name}, owned by {owner}")
        }
        Change::DropVersionTable { schema, name } => format!("drop table {schema}.{name}, which is empty"),
        Change::InsertVersionRows { schema, table, rows } => {
            format!("write {} into {schema}.{table}", rows.join(", "))
        }
        Change::DeleteVersionRows { schema, table, rows } => {
            format!("take {} out of {schema}.{table}", rows.join(", "))
        }
        Change::MoveVersionRows { schema, table, to, rows } => {
            format!("move {} from {schema}.{table} to {to}.{table}", rows.join(", "))
        }
        Change::SetFunctionSearchPath { schema, signature, path } => {
            format!("let {schema}.{signature} always run with search_path {}", path.join(", "))
        }
        Change::ResetFunctionSearchPath { schema, signature } => {
            format!("let {schema}.{signature} run with its caller's search_path")
        }
        Change::SetViewInvoker { schema, view } => format!("let view {schema}.{view} read with its caller's rights"),
        Change::ResetViewInvoker { schema, view } => format!("let view {schema}.{view} read with its owner's rights"),
        Change::CreateAuditSchema { schema, .. } => format!("create the audit schema {schema} with its table"),
        Change::CreateAuditFunction { schema, .. } => {
            format!("create the function of the audit trail {schema}, which writes a row for each statement")
        }
        Change::DropAuditFunction { schema } => format!("drop the function of the audit trail {schema}"),
        Change::CreateAuditTrigger { schema, table, home, .. } => {
            let but =
                if home.is_empty() { String::new() } else { format!(" of others than {}", crate::text::list(home, 4)) };
            format!("log the writes{but} to {schema}.{table}")
        }
        Change::DropAuditTrigger { schema, table } => format!("no longer log the writes to {schema}.{table}"),
    }
}

/// What can go wrong, who will notice, and what cannot be taken back.
#[must_use]
pub fn hazards(change: &Change, before: &Snapshot) -> Vec<Hazard> {
    let hazard = |kind: HazardKind, sentence: String| Hazard { kind, sentence };
    let waits = |what: &str| {
        format!(
            "Takes ACCESS EXCLUSIVE on {what}: nobody reads or writes it until COMMIT. It is asked for in attempts of at \
             most 0.3 s, so others wait no longer than that."
        )
    };
    let sessions = |role: &str| {
        let own = |s: &&crate::domain::snapshot::Session| s.role.as_deref() == Some(role) && !s.own;
        before.activity.as_ref().map_or(0, |a| a.sessions.iter().filter(own).count())
    };
    match change {
        Change::SetSchema { object, to } => {
            let mut list = Vec::new();
            if is_relation(object) {
                list.push(hazard(HazardKind::Lock, waits(&format!("{}.{}", object.schema, object.name))));
            }
            list.push(hazard(
                HazardKind::Application,
                format!(
                    "Code that writes {}.{} with its schema, or whose search_path has no {to}, will not find it.",
                    object.schema, object.name
                ),
            ));
            list
        }
        Change::MoveVersionTable { schema, name, to } => vec![
            hazard(HazardKind::Lock, waits(&format!("{schema}.{name}"))),
            hazard(
                HazardKind::Application,
                format!(
                    "Alembic has to find {to}.{name} at its next start, by its role's search_path or by \
                     version_table_schema in env.py. Otherwise the next upgrade begins as in an empty database."
                ),
            ),
        ],
        Change::RenameVersionTable { schema, name, to } => vec![
            hazard(HazardKind::Lock, waits(&format!("{schema}.{name}"))),
            hazard(
                HazardKind::Application,
                format!(
                    "It is called {to} from then on: an application whose env.py says version_table={name:?} will not \
                     find it, and its next upgrade begins as in an empty database."
                ),
            ),
        ],
        Change::MoveVersionRows { schema, table, to, .. } => vec![
            hazard(HazardKind::Lock, waits(&format!("{schema}.{table}"))),
            hazard(HazardKind::Lock, waits(&format!("{to}.{table}"))),
            hazard(
                HazardKind::Application,
                format!(
                    "The application that these revisions belong to has to find {to}.{table} at its next start; in \
                     {schema}.{table} it would meet only what is left there, and not its own revision."
                ),
            ),
        ],
        Change::SetOwner { object, .. } if is_relation(object) => {
            vec![hazard(HazardKind::Lock, waits(&format!("{}.{}", object.schema, object.name)))]
        }
        Change::EnableRls { schema, table } => vec![
            hazard(HazardKind::Lock, waits(&format!("{schema}.{table}"))),
            hazard(
                HazardKind::Loss,
                format!(
                    "From COMMIT on, roles see and write only those rows of {schema}.{table} that a policy of it lets \
                     through: where none does, no row, and no error. Superusers and BYPASSRLS still see all; so does the \
                     owner, unless it is forced."
                ),
            ),
        ],
        Change::CreateAuditTrigger { schema, table, .. } => vec![hazard(
            HazardKind::Lock,
            format!(
                "Takes SHARE ROW EXCLUSIVE on {schema}.{table}: nobody writes to it until COMMIT, reading goes on. It is \
                 asked for in attempts of at most 0.3 s."
            ),
        )],
        Change::DropAuditTrigger { schema, table }
        | Change::ForceRls { schema, table }
        | Change::DisableRls { schema, table }
        | Change::NoForceRls { schema, table }
        | Change::CreateTenantPolicy { schema, table, .. }
        | Change::DropPolicy { schema, table, .. }
        | Change::InsertVersionRows { schema, table, .. }
        | Change::DeleteVersionRows { schema, table, .. }
        | Change::DropVersionTable { schema, name: table } => {
            vec![hazard(HazardKind::Lock, waits(&format!("{schema}.{table}")))]
        }
        Change::SetViewInvoker { schema, view } | Change::ResetViewInvoker { schema, view } => {
            vec![hazard(HazardKind::Lock, waits(&format!("{schema}.{view}")))]
        }
        Change::ValidateForeignKey { schema, table, .. } => vec![hazard(
            HazardKind::Lock,
            format!(
                "Takes SHARE UPDATE EXCLUSIVE on {schema}.{table} and reads all of it: reads and writes go on, other \
                 changes to its definition wait until COMMIT."
            ),
        )],
        // Nobody had an earlier one, and dropping the role takes it along.
        Change::SetPassword { role } if before.catalog.role_named(role).is_none() => vec![hazard(
            HazardKind::Note,
            format!("The password of {role} is made when this runs, and stands in no plan, journal or log."),
        )],
        Change::SetPassword { role } => {
            let n = sessions(role);
            let open = match n {
                0 => String::new(),
                1 => " The session that is open now stays as it is.".to_owned(),
                n => format!(" The {n} sessions that are open now stay as they are."),
            };
            vec![hazard(
                HazardKind::NoWayBack,
                format!(
                    "The old password cannot be brought back: every client of {role} needs the new one for its next \
                     connection.{open}"
                ),
            )]
        }
        Change::Revoke { privileges, on: On::Schema(schema), from: Grantee::Public, option_only: false, .. }
            if privileges.contains(Privilege::Create) =>
        {
            vec![who_creates_no_more(before, schema)]
        }
        Change::Revoke { option_only: false, from: Grantee::Role(role), .. } => {
            let n = sessions(role);
            if n == 0 {
                return Vec::new();
            }
            let whose = crate::text::count(n as u64, "session", "sessions");
            vec![hazard(
                HazardKind::Loss,
                format!("{role} has {whose} open: statements that need the right fail from COMMIT on."),
            )]
        }
        Change::RevokeRole { role, member, .. } => vec![hazard(
            HazardKind::Loss,
            format!("{member}, and whoever is a member of it, loses what only {role} gave."),
        )],
        Change::AlterRole { name, attributes } if attributes.superuser == Some(false) => vec![hazard(
            HazardKind::Loss,
            format!(
                "{name} is asked for grants from then on, in open sessions too: what it does without them stops working."
            ),
        )],
        Change::AlterRole { name, attributes } if attributes.login == Some(false) => {
            vec![hazard(HazardKind::Loss, format!("{name} cannot log in any more; open sessions go on."))]
        }
        Change::SetRoleSetting { role, .. } if before.catalog.role_named(role).is_none() => Vec::new(),
        Change::SetRoleSetting { role, name, .. } => vec![hazard(
            HazardKind::Application,
            format!("Sessions of {role} that are open keep their {name} until they connect again."),
        )],
        Change::SetDatabaseSetting { name, .. } => vec![hazard(
            HazardKind::Application,
            format!("Sessions that are open keep their {name} until they connect again."),
        )],
        Change::SetExtensionSchema { extension, to } => vec![
            hazard(HazardKind::Lock, waits(&format!("every table, view and sequence of {extension}"))),
            hazard(
                HazardKind::Application,
                format!("Code that calls functions of {extension} without their schema needs {to} in its search_path."),
            ),
        ],
        Change::SetFunctionSearchPath { schema, signature, .. } => vec![hazard(
            HazardKind::Note,
            format!("What {schema}.{signature} names without a schema must stand in that path."),
        )],
        Change::CreateSchema { .. }
        | Change::DropSchema { .. }
        | Change::CreateRole { .. }
        | Change::AlterRole { .. }
        | Change::DropRole { .. }
        | Change::GrantRole { .. }
        | Change::GrantRoleWith { .. }
        | Change::Grant { .. }
        | Change::GrantWith { .. }
        | Change::Revoke { .. }
        | Change::DefaultPrivileges { .. }
        | Change::SetSchemaOwner { .. }
        | Change::SetOwner { .. }
        | Change::CreateVersionTable { .. }
        | Change::ResetFunctionSearchPath { .. }
        | Change::CreateAuditSchema { .. }
        | Change::CreateAuditFunction { .. }
        | Change::DropAuditFunction { .. } => Vec::new(),
    }
}

/// Who may create in a schema because everybody may, and loses that with PUBLIC's right.
fn who_creates_no_more(before: &Snapshot, schema: &str) -> Hazard {
    let catalog = &before.catalog;
    let matrix = Matrix::new(catalog, &before.server);
    let mut losing: Vec<(&str, bool)> = Vec::new();
    if let Some(of) = catalog.schema_named(schema) {
        let in_force = of.acl.in_force(ObjectKind::Schema, of.owner, before.server.version_num);
        let others = Acl::from_entries(in_force.entries().iter().filter(|e| !e.is_public()).copied().collect());
        for (i, role) in catalog.roles.iter().enumerate() {
            let may = |acl: &Acl| {
                let rights = matrix.rights(catalog, Who::Role(i), ObjectKind::Schema, of.owner, acl);
                rights.contains(Privilege::Create)
            };
            if role.login && !role.superuser && !role.is_platform() && may(&of.acl) && !may(&others) {
                let owns = catalog.relations.iter().any(|g| g.schema == of.oid && g.owner == role.oid);
                losing.push((&role.name, owns));
            }
        }
    }
    let names: Vec<&str> = losing.iter().map(|(name, _)| *name).collect();
    let owners: Vec<&str> = losing.iter().filter(|(_, owns)| *owns).map(|(name, _)| *name).collect();
    if names.is_empty() {
        let sentence = format!("No role that logs in could create in schema {schema} only because everybody may.");
        return Hazard { kind: HazardKind::Note, sentence };
    }
    let loses = if names.len() == 1 { "loses" } else { "lose" };
    let list = crate::text::list(&names, 6);
    let further = match (owners.as_slice(), names.len()) {
        ([], _) => String::new(),
        ([_], 1) => " It owns tables there: its next migration that makes one fails.".to_owned(),
        ([one], _) => format!(" {one} owns tables there: its next migration that makes one fails."),
        (some, _) => {
            let some = crate::text::list(some, 6);
            format!(" {some} own tables there: their next migration that makes one fails.")
        }
    };
    let sentence =
        format!("{list} could create in schema {schema} only because everybody may, and {loses} that.{further}");
    Hazard { kind: HazardKind::Loss, sentence }
}

/// Others can wait for a lock on it.
fn is_relation(object: &ObjectRef) -> bool {
    matches!(object.kind.object_kind(), ObjectKind::Table | ObjectKind::Sequence)
}

fn who(grantee: &Grantee) -> &str {
    match grantee {
        Grantee::Public => "everybody (PUBLIC)",
        Grantee::Role(name) => name,
    }
}

fn words(privileges: Privileges) -> String {
    privileges.iter().map(|p| p.keyword().to_owned()).collect::<Vec<_>>().join(", ")
}

fn place(on: &On) -> String {
    match on {
        On::Database(name) => format!("on database {name}"),
        On::Schema(name) => format!("on schema {name}"),
        On::AllIn { kind, schema } => format!("on all {} of {schema}", kind.plural()),
        On::Objects { kind, schema, names } => match names.as_slice() {
            [one] => format!("on {} {schema}.{one}", kind.singular()),
            many => format!("on {} {} of {schema}", many.len(), kind.plural()),
        },
        On::Columns { schema, relation, columns } => {
            format!("on {} of {schema}.{relation}", columns.join(", "))
        }
    }
}

fn named(object: &ObjectRef) -> String {
    format!("{} {}.{}", object.kind.word(), object.schema, object.name)
}

fn default_kind(kind: DefaultKind) -> &'static str {
    match kind {
        DefaultKind::Tables => "tables",
        DefaultKind::Sequences => "sequences",
        DefaultKind::Functions => "routines",
        DefaultKind::Types => "types",
        DefaultKind::Schemas => "schemas",
        DefaultKind::LargeObjects => "large objects",
    }
}

fn attribute_words(a: &RoleAttributes) -> String {
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
    words.extend(a.connection_limit.map(|n| match n {
        -1 => "no limit of connections".to_owned(),
        1 => "at most one connection".to_owned(),
        n => format!("at most {n} connections"),
    }));
    words.extend(a.valid_until.as_ref().map(|t| format!("password valid until {t}")));
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

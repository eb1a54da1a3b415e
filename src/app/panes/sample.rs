//! A small snapshot made by hand, for the tests of panes. Numbers are handed out in order; `postgres` is a superuser
//! and exists from the start.

use std::sync::Arc;

use crate::{
    app::{instance::Instance, panes::Ctx},
    config::target::Environment,
    domain::{
        Acl, AclEntry, Oid, Privilege, Privileges, Snapshot,
        alembic::Lineages,
        link::Link,
        snapshot::{
            Activity, Catalog, Database, Group, Kind, Membership, Object, Objects, Role, Schema, SchemaObjects, Server,
            Session, Shapes, Sizes, VersionTable, VersionTables,
        },
    },
    policy::{Finding, Group as FindingGroup, Policy, Service, Severity, judgement::Judgement, versions::Versions},
};

/// Names that no screen may take literally.
pub const HOSTILE: [&str; 6] = [
    "a\u{1b}[2J\u{1b}]0;x\u{7}",
    "x\u{202e}nimda",
    "two\nlines",
    "q\"uo'te\\",
    "日本語のとても長い名前日本語のとても",
    " ",
];

/// See the module.
pub struct Sample {
    next: u32,
    pub server: Server,
    pub catalog: Catalog,
    pub objects: Objects,
    pub sizes: Sizes,
    pub first_sizes: Option<Sizes>,
    pub activity: Option<Activity>,
    pub shapes: Option<Shapes>,
    pub tables: Vec<VersionTable>,
    pub versions: Option<Versions>,
    pub policy: Option<Policy>,
    pub lineages: Lineages,
    pub findings: Vec<Finding>,
}

/// The superuser every sample has.
pub const POSTGRES: Oid = Oid(10);

impl Sample {
    pub fn new() -> Sample {
        let server = Server {
            version_num: 150_020,
            version: "15.20".into(),
            database: "engarde".into(),
            database_oid: Oid(5),
            current_user: "postgres".into(),
            superuser: true,
            sees_activity: true,
            taken_at_us: 1_800_000_000_000_000,
            default_search_path: "\"$user\", public".into(),
            max_connections: 100,
            reserved_connections: 3,
            ..Server::default()
        };
        let postgres = Role {
            oid: POSTGRES,
            name: "postgres".into(),
            superuser: true,
            inherit: true,
            create_role: true,
            create_db: true,
            login: true,
            replication: true,
            bypass_rls: true,
            connection_limit: -1,
            valid_until_us: None,
            platform: false,
        };
        let catalog = Catalog {
            database: Database {
                oid: Oid(5),
                name: "engarde".into(),
                owner: POSTGRES,
                acl: Acl::NULL,
                connection_limit: -1,
            },
            roles: vec![postgres],
            ..Catalog::default()
        };
        Sample {
            next: 16_384,
            server,
            catalog,
            objects: Objects::default(),
            sizes: Sizes::default(),
            first_sizes: None,
            activity: None,
            shapes: Some(Shapes::default()),
            tables: Vec::new(),
            versions: None,
            policy: None,
            lineages: Lineages::default(),
            findings: Vec::new(),
        }
    }

    fn number(&mut self) -> Oid {
        self.next += 1;
        Oid(self.next)
    }

    pub fn role(&mut self, name: &str) -> Oid {
        let oid = self.number();
        let role = Role { oid, name: name.into(), inherit: true, login: true, connection_limit: -1, ..Role::default() };
        self.catalog.roles.push(role);
        oid
    }

    pub fn edit_role(&mut self, oid: Oid, edit: impl FnOnce(&mut Role)) {
        edit(self.catalog.roles.iter_mut().find(|r| r.oid == oid).unwrap());
    }

    pub fn member(&mut self, role: Oid, member: Oid) {
        let membership = Membership { role, member, grantor: POSTGRES, inherit: true, set: true, admin: false };
        self.catalog.memberships.push(membership);
    }

    pub fn schema(&mut self, name: &str, owner: Oid, acl: Acl) -> Oid {
        let oid = self.number();
        self.catalog.schemas.push(Schema { oid, name: name.into(), owner, acl, extension: false });
        oid
    }

    pub fn acl(entries: &[(Oid, &[Privilege])]) -> Acl {
        let entry = |(grantee, list): &(Oid, &[Privilege])| AclEntry {
            grantee: *grantee,
            grantor: POSTGRES,
            privileges: Privileges::of(list),
            grantable: Privileges::NONE,
        };
        Acl::from_entries(entries.iter().map(entry).collect())
    }

    /// Folded objects only.
    pub fn group(&mut self, schema: Oid, kind: Kind, owner: Oid, acl: Acl, count: u32) {
        let group = Group { schema, kind, owner, acl, count, pages: u64::from(count) * 2, rls: 0, extension: false };
        match kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => self.catalog.routines.push(group),
            Kind::Type => self.catalog.types.push(group),
            Kind::Table | Kind::Partitioned | Kind::View | Kind::MaterializedView | Kind::Foreign | Kind::Sequence => {
                self.catalog.relations.push(group);
            }
        }
    }

    /// A relation by name; its schema counts as looked into.
    pub fn table(&mut self, schema: Oid, name: &str, owner: Oid, acl: Acl) -> Oid {
        let oid = self.number();
        self.group(schema, Kind::Table, owner, acl.clone(), 1);
        let mut of = self.objects.0.get(&schema).map_or_else(SchemaObjects::default, |o| (**o).clone());
        of.relations.push(Object {
            oid,
            kind: Kind::Table,
            name: name.into(),
            owner,
            acl,
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: Some(1234),
        });
        self.objects.0.insert(schema, Arc::new(of));
        oid
    }

    pub fn session(&mut self, pid: i32, role: &str, edit: impl FnOnce(&mut Session)) {
        let mut session = Session {
            pid,
            database: Some("engarde".into()),
            role: Some(role.into()),
            application: "main".into(),
            client: Some("127.0.0.1".into()),
            state: Some("active".into()),
            query: Some("select 1".into()),
            backend_start_us: Some(i64::from(pid)),
            query_age_ms: Some(1000),
            transaction_age_ms: Some(2000),
            ..Session::default()
        };
        edit(&mut session);
        self.activity.get_or_insert_default().sessions.push(session);
    }

    pub fn service(&mut self, name: &str, role: &str) -> &mut Service {
        let policy = self.policy.get_or_insert_default();
        policy.services.push(Service {
            name: name.into(),
            schemas: vec![name.into()],
            role: role.into(),
            owner: role.into(),
            creators: vec![role.into()],
            access: std::collections::BTreeMap::default(),
            search_path: None,
            connection_limit: None,
            version_table: Some("alembic_version".into()),
            revisions: None,
            tenant_column: None,
            tenant_exempt: false,
            instance: None,
            applications: Vec::new(),
            member_of: None,
            login: None,
        });
        policy.services.last_mut().unwrap()
    }

    pub fn finding(&mut self, severity: Severity, schema: Option<&str>, role: Option<&str>, message: &str) {
        self.findings.push(Finding {
            id: format!("code:{message}"),
            code: "grant-excess",
            group: FindingGroup::Grants,
            severity,
            instance: "local".into(),
            database: "engarde".into(),
            service: None,
            schema: schema.map(Into::into),
            role: role.map(Into::into),
            object: None,
            privilege: None,
            attribute: None,
            observed: String::new(),
            expected: String::new(),
            via: None,
            message: message.into(),
            why: String::new(),
            remedy: String::new(),
            fix: None,
            objects: Vec::new(),
            objects_total: None,
            left: None,
        });
    }

    pub fn judgement(self) -> Judgement {
        let mut catalog = self.catalog;
        catalog.roles.sort_by(|a, b| a.name.cmp(&b.name));
        catalog.schemas.sort_by(|a, b| a.name.cmp(&b.name));
        let snapshot = Snapshot {
            instance: "local".into(),
            words: None,
            server: Arc::new(self.server),
            catalog: Arc::new(catalog),
            shapes: self.shapes.map(Arc::new),
            objects: self.objects,
            versions: Arc::new(VersionTables(self.tables)),
            sizes: Arc::new(self.sizes),
            activity: self.activity.map(Arc::new),
            unavailable: Vec::new(),
        };
        let mut judgement =
            Judgement::new(Arc::new(snapshot), self.policy.map(Arc::new), Arc::new(self.lineages), None);
        if let Some(versions) = self.versions {
            judgement.versions = Arc::new(versions);
        }
        judgement.findings = Arc::new(self.findings);
        judgement.checking = Vec::new();
        judgement
    }

    pub fn instance(mut self) -> Instance {
        let first_sizes = self.first_sizes.take().map(Arc::new);
        Instance {
            name: "local".into(),
            environment: Environment::Development,
            read_only: false,
            allow_signals: true,
            policy_name: self.policy.as_ref().map(|_| "engarde.policy.toml".into()),
            policy_problem: None,
            link: Link::default(),
            judgement: Some(Arc::new(self.judgement())),
            revision: 1,
            first_sizes,
            recorded: false,
            command: None,
        }
    }
}

/// A context over these instances, all in scope.
pub fn ctx(instances: &[Instance], width: u16) -> Ctx<'_> {
    Ctx { instances, only: None, now_ms: 0, width, height: 40, book: None }
}

/// What every pane must keep: cells match columns, keys match columns, inspectors and tops fit, nothing on screen acts
/// on a terminal, and the columns that never go fit 80 cells.
pub fn holds_the_rules(pane: &mut dyn crate::app::panes::Pane, instances: &[Instance]) {
    for width in [80, 200] {
        let ctx = ctx(instances, width);
        let entries = pane.load(&ctx);
        let columns = pane.columns(&ctx);
        let least = |most: u8| -> u16 { columns.iter().filter(|c| c.drop <= most).map(|c| c.min + 2).sum() };
        if width == 80 {
            assert!(least(0) <= 76, "{} cells for the columns that never go", least(0));
        } else {
            assert!(least(u8::MAX) <= 196, "{} cells for all columns", least(u8::MAX));
        }
        let check = |lines: &[crate::app::view::Line], most: usize| {
            assert!(lines.len() <= most, "{} lines of {most}", lines.len());
            for line in lines {
                assert!(line.width() <= most_width(width), "{} cells: {}", line.width(), line.plain());
                assert!(!line.plain().chars().any(crate::text::is_unsafe), "{:?}", line.plain());
            }
        };
        check(&pane.top(&ctx, width), 8);
        check(&pane.empty(&ctx), 12);
        for (i, entry) in entries.iter().enumerate() {
            assert_eq!(entry.keys.len(), columns.len(), "one key for each column");
            let cells = pane.cells(&ctx, i);
            assert_eq!(cells.len(), columns.len(), "one cell for each column");
            for cell in &cells {
                assert!(!cell.plain().chars().any(crate::text::is_unsafe), "{:?}", cell.plain());
            }
            let inspector = pane.inspector(&ctx, i, 0, width);
            assert!(!inspector.is_empty(), "an inspector always says something");
            check(&inspector, 8);
        }
        let ids: std::collections::HashSet<_> = entries.iter().map(|e| &e.id).collect();
        assert_eq!(ids.len(), entries.len(), "identities are unique");
    }
}

fn most_width(width: u16) -> usize {
    usize::from(width)
}

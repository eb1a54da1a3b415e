//! Row level security by tenant: for chosen tables a policy that compares the tenant column with a setting of the session,
//! switched on, and forced where the service owns its tables. Says who is bound afterwards and who passes by. Idempotent:
//! what stands already is left alone. Knows no servers and no screens.

use std::collections::BTreeSet;

use super::{
    Hazard, HazardKind, Plan, Refused, build,
    choice::{Choice, no_table},
};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        change::Change,
        closure,
        effective::{Matrix, Who},
        quote_ident,
        snapshot::{Kind, Object, Role, RowPolicy, Shapes, Snapshot, TenantType},
    },
    policy::{
        Policy,
        checks::tenancy::{POLICY_NAME, SETTING},
    },
    text,
};

/// The column that tells tenants apart where nothing else is said.
pub const COLUMN: &str = "tenant_id";

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub tables: Choice,
    /// Default: what the policy declares for the schema, else [`COLUMN`].
    pub column: Option<String>,
    /// The session's setting; default: `app.current_tenant_id`.
    pub setting: Option<String>,
    /// Binds the owner of every table, not only of those whose owner is a service.
    pub force: bool,
}

/// One chosen table.
struct Table<'a> {
    schema: &'a str,
    object: &'a Object,
    column: String,
}

impl Table<'_> {
    fn name(&self) -> String {
        format!("{}.{}", self.schema, self.object.name)
    }
}

/// Schemas whose objects must have been read before [`plan`].
#[must_use]
pub fn schemas(snapshot: &Snapshot, tables: &Choice) -> Vec<String> {
    let schemas = snapshot.catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension);
    schemas.filter(|s| tables.looks_into(&s.name)).map(|s| s.name.clone()).collect()
}

/// The plan; empty when everything stands as it should.
///
/// # Errors
/// [`Refused`]: nothing is chosen, a chosen table lacks the column, a policy of the name does something else.
pub fn plan(snapshot: &Snapshot, policy: Option<&Policy>, wanted: &Wanted) -> Result<Plan, Refused> {
    let setting = wanted.setting.as_deref().unwrap_or(SETTING);
    check_setting(setting)?;
    let shapes = snapshot.shapes.as_deref().ok_or_else(|| Refused::new("the columns have not been read yet"))?;
    let (tables, skipped) = chosen(snapshot, shapes, policy, wanted)?;
    let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
    let mut changes = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut forced: BTreeSet<Oid> = BTreeSet::new();
    for table in &tables {
        let (schema, name) = (table.schema.to_owned(), table.object.name.clone());
        let policies: Vec<&RowPolicy> =
            snapshot.catalog.policies.iter().filter(|p| p.relation == table.object.oid).collect();
        let asks = |p: &&&RowPolicy| asks_for(shapes, p, &table.column, setting);
        if !policies.iter().any(|p| p.command == '*' && p.roles == [Oid::ZERO] && asks(&p)) {
            if policies.iter().any(|p| p.name == POLICY_NAME) {
                return Err(Refused::new(format!(
                    "policy {POLICY_NAME} of {} is there already and does not compare {} with {setting} for everybody",
                    table.name(),
                    table.column
                )));
            }
            changes.push(Change::CreateTenantPolicy {
                schema: schema.clone(),
                table: name.clone(),
                name: POLICY_NAME.to_owned(),
                column: table.column.clone(),
                setting: setting.to_owned(),
                as_type: type_of(shapes, table),
            });
        }
        open.extend(
            policies.iter().filter(|p| p.permissive && !asks(p)).map(|p| format!("{} on {}", p.name, table.name())),
        );
        if !table.object.rls {
            changes.push(Change::EnableRls { schema: schema.clone(), table: name.clone() });
        }
        if table.object.force_rls {
            forced.insert(table.object.oid);
        } else if wanted.force || owner_is_a_service(snapshot, &matrix, policy, table) {
            forced.insert(table.object.oid);
            changes.push(Change::ForceRls { schema, table: name });
        }
    }
    let mut plan = build::of_changes(snapshot, changes)?;
    if !plan.is_empty() {
        plan.notes.extend(notes(snapshot, &matrix, shapes, &tables, &forced, setting, &open));
    }
    if !skipped.is_empty() {
        let sentence = format!("Left alone, because they lack the column: {}.", text::list(&skipped, 8));
        plan.notes.push(Hazard { kind: HazardKind::Note, sentence });
    }
    let count = text::count(tables.len() as u64, "table", "tables");
    Ok(plan.called(format!("Set up row level security on {count}")))
}

/// A custom setting has a prefix of its own; anything else is PostgreSQL's, or cannot be set.
fn check_setting(setting: &str) -> Result<(), Refused> {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    };
    let parts: Vec<&str> = setting.split('.').collect();
    if parts.len() < 2 || !parts.iter().all(|part| word(part)) {
        return Err(Refused::new(format!("setting {setting:?}: a name with a prefix is wanted, as in {SETTING}")));
    }
    Ok(())
}

/// The chosen tables that have the column, and the names of those that were only swept up by a glob and lack it.
fn chosen<'a>(
    snapshot: &'a Snapshot,
    shapes: &Shapes,
    policy: Option<&Policy>,
    wanted: &Wanted,
) -> Result<(Vec<Table<'a>>, Vec<String>), Refused> {
    let (mut tables, mut skipped, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for schema in snapshot.catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension) {
        let declared = policy.iter().flat_map(|p| &p.services).find(|s| s.schemas.contains(&schema.name));
        let column = wanted.column.clone().or_else(|| declared.and_then(|s| s.tenant_column.clone()));
        let column = column.unwrap_or_else(|| COLUMN.to_owned());
        let relations = snapshot.objects.0.get(&schema.oid).map(|o| o.relations.as_slice()).unwrap_or_default();
        for object in relations.iter().filter(|o| !o.extension && wanted.tables.takes(&schema.name, &o.name)) {
            if !matches!(object.kind, Kind::Table | Kind::Partitioned) {
                if wanted.tables.names(&schema.name, &object.name) {
                    let kind = object.kind.word();
                    return Err(Refused::new(format!("{}.{} is a {kind}, not a table", schema.name, object.name)));
                }
                continue;
            }
            seen.push((schema.name.clone(), object.name.clone()));
            let has = shapes.tables.iter().any(|t| t.oid == object.oid && t.tenant_columns.contains(&column));
            if has {
                tables.push(Table { schema: &schema.name, object, column: column.clone() });
            } else if wanted.tables.names(&schema.name, &object.name) {
                return Err(Refused::new(format!("{}.{} has no column {column}", schema.name, object.name)));
            } else {
                skipped.push(format!("{}.{}", schema.name, object.name));
            }
        }
    }
    if let Some(idle) = wanted.tables.idle(&seen).next() {
        return Err(no_table(&snapshot.catalog, idle, &seen));
    }
    if tables.is_empty() {
        let column = wanted.column.as_deref().unwrap_or(COLUMN);
        return Err(Refused::new(format!("none of the chosen tables has a column {column}")));
    }
    Ok((tables, skipped))
}

fn type_of(shapes: &Shapes, table: &Table<'_>) -> Option<TenantType> {
    let shape = shapes.tables.iter().find(|t| t.oid == table.object.oid)?;
    shape.tenant_types.get(&table.column).copied()
}

/// Both expressions of the policy compare the column with the setting; without a second one the first counts for both.
fn asks_for(shapes: &Shapes, policy: &RowPolicy, column: &str, setting: &str) -> bool {
    let Some(found) =
        shapes.policy_expressions.iter().find(|e| e.relation == policy.relation && e.policy == policy.name)
    else {
        return false;
    };
    let column = quote_ident(column);
    let asks = |expression: &str| {
        let expression = expression.to_lowercase();
        let call = format!("current_setting('{}'", setting.to_lowercase());
        // The column is a word: neither the beginning nor the end of another name.
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let column = column.to_lowercase();
        let named = expression.match_indices(&column).any(|(at, found)| {
            let before = expression.get(..at).and_then(|text| text.chars().next_back());
            let after = expression.get(at + found.len()..).and_then(|text| text.chars().next());
            !before.is_some_and(word) && !after.is_some_and(word)
        });
        // An alternative opens what the comparison closes; looking closer is the business of a person.
        expression.contains(&call) && named && !expression.replace(&column, "").contains(" or ")
    };
    found.using.as_deref().is_some_and(asks) && found.check.as_deref().is_none_or(asks)
}

/// Whoever owns the table logs in as a service does, so that its policies have to bind the owner too.
fn owner_is_a_service(snapshot: &Snapshot, matrix: &Matrix, policy: Option<&Policy>, table: &Table<'_>) -> bool {
    let catalog = &snapshot.catalog;
    let services = policy.iter().flat_map(|p| &p.services).filter(|s| s.schemas.iter().any(|n| n == table.schema));
    let mut roles = services.filter_map(|s| matrix.index.role_named(&s.role));
    if roles.any(|role| matrix.owns(Who::Role(role), table.object.owner)) {
        return true;
    }
    catalog.role(table.object.owner).is_some_and(|owner| owner.login && !owner.superuser)
}

fn notes(
    snapshot: &Snapshot,
    matrix: &Matrix,
    shapes: &Shapes,
    tables: &[Table<'_>],
    forced: &BTreeSet<Oid>,
    setting: &str,
    open: &[String],
) -> Vec<Hazard> {
    let mut notes = Vec::new();
    let mut say = |kind: HazardKind, sentence: String| notes.push(Hazard { kind, sentence });
    let catalog = &snapshot.catalog;
    let rows: Privileges =
        [Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete].into_iter().collect();
    let (mut bound, mut owners) = (BTreeSet::new(), BTreeSet::new());
    for (i, role) in catalog.roles.iter().enumerate().filter(|(_, r)| r.login && !r.is_platform()) {
        if closure::bypasses_rls(role) {
            continue;
        }
        for table in tables {
            let object = table.object;
            let held = matrix.rights(catalog, Who::Role(i), ObjectKind::Table, object.owner, &object.acl);
            if held.and(rows).is_empty() {
                continue;
            }
            let passes = matrix.owns(Who::Role(i), object.owner) && !forced.contains(&object.oid);
            if passes {
                owners.insert(role.name.clone())
            } else {
                bound.insert(role.name.clone())
            };
        }
    }
    let listed = |names: &BTreeSet<String>| text::list(&names.iter().cloned().collect::<Vec<_>>(), 8);
    let who = if bound.is_empty() { "Whoever reads or writes them".to_owned() } else { listed(&bound) };
    say(
        HazardKind::Application,
        format!(
            "{who}: sees and writes only rows of the tenant that {setting} names, and no row while it is not set. The \
             application has to set it in every transaction: SELECT set_config('{setting}', …, true)."
        ),
    );
    let typed: BTreeSet<&str> =
        tables.iter().filter_map(|t| type_of(shapes, t)).map(TenantType::word).filter(|word| *word != "text").collect();
    if !typed.is_empty() {
        let kinds = typed.into_iter().collect::<Vec<_>>().join(" or ");
        say(
            HazardKind::Application,
            format!("A value of {setting} that is no {kinds} is an error for every statement."),
        );
    }
    let name = |of: fn(&Role) -> bool| -> BTreeSet<String> {
        catalog.roles.iter().filter(|r| r.login && of(r)).map(|r| r.name.clone()).collect()
    };
    let superusers = name(|r| r.superuser);
    let bypass = name(|r| r.bypass_rls && !r.superuser);
    for (names, why) in
        [(superusers, "superuser"), (bypass, "BYPASSRLS"), (owners, "owner of tables that do not force it")]
    {
        if !names.is_empty() {
            say(HazardKind::Note, format!("Not bound by any policy ({why}): {}.", listed(&names)));
        }
    }
    let uses = |v: &&crate::domain::snapshot::ViewUse| {
        let here = |t: &Table<'_>| {
            t.object.name == v.uses && catalog.schema(v.uses_schema).is_some_and(|s| s.name == t.schema)
        };
        !v.security_invoker && tables.iter().any(here)
    };
    let views: BTreeSet<String> =
        shapes.views.iter().filter(uses).map(|v| format!("{}.{}", catalog.schema_name(v.schema), v.view)).collect();
    let known = if views.is_empty() { String::new() } else { format!(" Known now: {}.", listed(&views)) };
    say(
        HazardKind::Note,
        format!(
            "Views without security_invoker, materialized views and SECURITY DEFINER functions read with their owner's \
             rights, past policies that do not bind that owner; `pgmoat check` names such views afterwards.{known}"
        ),
    );
    if !open.is_empty() {
        say(
            HazardKind::Note,
            format!("Policies add up, and these do not ask for the tenant: {}.", text::list(open, 6)),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{domain::snapshot::TableShape, plan::predict::predict, policy::checks::fixture::Fixture};

    /// `shop`, whose login owns its tables `a` (with a tenant column) and `b` (without).
    fn fixture(of: Option<TenantType>, column: &str) -> Snapshot {
        let f = Fixture::new().role("shop_app").role("reader").schema("shop", "shop_app");
        let mut f = f.table("shop", "a", "shop_app").table("shop", "b", "shop_app").grant("shop.a", "reader", "SELECT");
        let (oid, schema, owner) = (f.object_oid("shop.a"), f.schema_oid("shop"), f.role_oid("shop_app"));
        f.shapes.tables.push(TableShape {
            oid,
            schema,
            name: "a".into(),
            owner,
            rls: false,
            force_rls: false,
            tenant_columns: vec![column.to_owned()],
            tenant_types: of.map(|of| (column.to_owned(), of)).into_iter().collect(),
        });
        f.case().snapshot
    }

    fn wanted(tables: &[&str], column: Option<&str>) -> Wanted {
        let tables: Vec<String> = tables.iter().map(|t| (*t).to_owned()).collect();
        let column = column.map(str::to_owned);
        Wanted { tables: Choice::parse(&tables).unwrap(), column, setting: None, force: false }
    }

    #[test]
    fn a_table_is_secured_once_whatever_its_column_is_called() {
        for column in ["tenant_id", "Tenant \"or\" id", "a or b", "select"] {
            for of in [None, Some(TenantType::Uuid), Some(TenantType::Bigint), Some(TenantType::Text)] {
                let base = fixture(of, column);
                let wanted = wanted(&["shop.*"], Some(column));
                let made = plan(&base, None, &wanted).unwrap();
                let sql: Vec<&str> = made.statements().collect();
                assert_eq!(sql.len(), 3, "{sql:#?}");
                assert!(sql[0].starts_with("CREATE POLICY tenant_isolation ON shop.a") && sql[2].contains("FORCE"));
                assert!(made.notes.iter().any(|n| n.sentence.starts_with("reader and shop_app: ")), "{:?}", made.notes);
                let done = predict(&base, made.steps.iter().map(|s| &s.change)).unwrap();
                let again = plan(&done, None, &wanted).unwrap();
                assert!(again.is_empty(), "{column}: {:#?}", again.statements().collect::<Vec<_>>());
                let back = build::back(&done, &made).unwrap();
                assert_eq!(back.steps.len(), 3);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let base = fixture(None, "tenant_id");
        let refused = |wanted: &Wanted| plan(&base, None, wanted).unwrap_err().to_string();
        assert!(refused(&wanted(&["shop.b"], None)).contains("shop.b has no column tenant_id"));
        assert!(refused(&wanted(&["shop.c"], None)).contains("there is no table shop.c"));
        assert!(refused(&wanted(&["shop.?"], Some("x"))).contains("none of the chosen tables"));
        for setting in ["tenant", "search_path", "a.b'c", ".a", "a.", ""] {
            let wanted = Wanted { setting: Some(setting.into()), ..wanted(&["shop.a"], None) };
            assert!(refused(&wanted).contains("a name with a prefix"), "{setting}");
        }
        let left = plan(&base, None, &wanted(&["shop.*"], None)).unwrap();
        assert!(left.notes.iter().any(|n| n.sentence.contains("lack the column: shop.b")));
    }

    #[test]
    fn a_policy_that_does_something_else_stands_in_the_way_and_open_ones_are_named() {
        let mut base = fixture(Some(TenantType::Uuid), "tenant_id");
        let relation = base.shapes.as_ref().unwrap().tables[0].oid;
        let mut add = |name: &str, using: &str| {
            let row = RowPolicy { relation, name: name.into(), permissive: true, command: '*', roles: vec![Oid::ZERO] };
            Arc::make_mut(&mut base.catalog).policies.push(row);
            let shapes = Arc::make_mut(base.shapes.as_mut().unwrap());
            shapes.policy_expressions.push(crate::domain::snapshot::PolicyExpression {
                relation,
                policy: name.into(),
                using: Some(using.into()),
                check: None,
            });
        };
        add("open", "(tenant_id_old = (current_setting('app.current_tenant_id'::text))::uuid)");
        let made = plan(&base, None, &wanted(&["shop.a"], None)).unwrap();
        assert!(made.notes.iter().any(|n| n.sentence.contains("open on shop.a")), "{:?}", made.notes);
        let mut base = fixture(Some(TenantType::Uuid), "tenant_id");
        let row =
            RowPolicy { relation, name: POLICY_NAME.into(), permissive: true, command: '*', roles: vec![Oid::ZERO] };
        Arc::make_mut(&mut base.catalog).policies.push(row);
        assert!(plan(&base, None, &wanted(&["shop.a"], None)).unwrap_err().to_string().contains("is there already"));
    }
}

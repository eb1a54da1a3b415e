//! The borders between services: for each service's role and each schema that is not its own, what it reaches, what was
//! declared, and whether that is more. Reasoned from the catalog; what a server says when asked, and what a login meets,
//! are held against it elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Level,
    judge::{Difference, Drift, Judged, covers},
    judgement::Judgement,
};
use crate::{
    domain::{
        ObjectKind, Oid, Privilege, Privileges,
        effective::{Via, Who},
        snapshot::{ColumnGrant, Role, Schema},
    },
    text,
};

/// How a border stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is reached, and nothing is declared.
    Closed,
    /// What is reached is what is declared.
    Declared,
    /// Less is reached than is declared.
    Less,
    /// More is reached than is declared.
    Beyond,
    /// A superuser: no border holds it.
    Superuser,
    /// Something is reached, and no policy says whether it should be.
    Unjudged,
}

impl Verdict {
    /// The service is not isolated here.
    #[must_use]
    pub const fn is_breach(self) -> bool {
        matches!(self, Verdict::Beyond | Verdict::Superuser)
    }
}

/// One role at one schema that is not its own.
#[derive(Debug, Clone)]
pub struct Border {
    pub role: String,
    pub role_oid: Oid,
    /// The service that logs in as the role.
    pub service: Option<String>,
    pub schema: String,
    pub schema_oid: Oid,
    /// The service that the schema belongs to.
    pub of: Option<String>,
    pub judged: Judged,
    /// Roles that own the schema or tables of it and that this one may become by SET ROLE, without having their rights now.
    pub by_set_role: Vec<String>,
    /// Rights beyond what is declared that everybody has: `CREATE on the schema`.
    pub through_public: Vec<String>,
    /// Rights on single columns beyond what is declared: `SELECT on columns of 1 table`.
    pub by_columns: Vec<String>,
    pub verdict: Verdict,
}

/// Roles to be looked at: those of the policy's services; without a policy, logins that own a schema.
#[must_use]
pub fn roles(judgement: &Judgement) -> Vec<String> {
    let catalog = &judgement.snapshot.catalog;
    let names: BTreeSet<String> = match &judgement.policy {
        Some(policy) => policy.services.iter().map(|s| s.role.clone()).collect(),
        None => {
            let owners: BTreeSet<Oid> =
                catalog.schemas.iter().filter(|s| !s.is_system() && !s.extension).map(|s| s.owner).collect();
            let owns = |r: &&Role| r.login && !r.superuser && !r.is_platform() && owners.contains(&r.oid);
            catalog.roles.iter().filter(owns).map(|r| r.name.clone()).collect()
        }
    };
    names.into_iter().collect()
}

/// Every border of these roles, by role and schema; roles that do not exist have none.
#[must_use]
pub fn borders(judgement: &Judgement, roles: &[String]) -> Vec<Border> {
    let catalog = &judgement.snapshot.catalog;
    let judge = judgement.judge();
    let mut found = Vec::new();
    for name in roles {
        let Some(position) = judgement.matrix.index.role_named(name) else { continue };
        let Some(role) = catalog.roles.get(position) else { continue };
        let services = || judgement.policy.iter().flat_map(|p| &p.services);
        let service = services().find(|s| s.role == *name);
        let become_able: Vec<usize> = judgement.matrix.closure.settable(position);
        for (at, schema) in catalog.schemas.iter().enumerate().filter(|(_, s)| !s.is_system() && !s.extension) {
            if is_own(judgement, name, position, schema) {
                continue;
            }
            let judged = judge.cell(Who::Role(position), at);
            let groups = || judgement.matrix.groups(catalog, at).map(|g| g.owner);
            let owners: BTreeSet<Oid> = groups().chain([schema.owner]).collect();
            let by_set_role: Vec<String> = become_able
                .iter()
                .filter(|i| !judgement.matrix.closure.inherits(position, **i))
                .filter_map(|i| catalog.roles.get(*i))
                .filter(|r| owners.contains(&r.oid))
                .map(|r| r.name.clone())
                .collect();
            let through_public = through_public(judgement, &judged, at);
            let by_columns = by_columns(judgement, position, &judged, at);
            let more = !by_set_role.is_empty() || !through_public.is_empty() || !by_columns.is_empty();
            let mut verdict = verdict(role, &judged, more, judgement.policy.is_some());
            if verdict == Verdict::Closed && !by_columns.is_empty() {
                verdict = Verdict::Unjudged;
            }
            found.push(Border {
                role: name.clone(),
                role_oid: role.oid,
                service: service.map(|s| s.name.clone()),
                schema: schema.name.clone(),
                schema_oid: schema.oid,
                of: services().find(|s| s.schemas.contains(&schema.name)).map(|s| s.name.clone()),
                judged,
                by_set_role,
                through_public,
                by_columns,
                verdict,
            });
        }
    }
    found
}

/// Rights on single columns that the role has, from whomever, and neither the declared levels nor exceptions cover: they are
/// in no table's list. Empty while they are not read.
fn by_columns(judgement: &Judgement, role: usize, judged: &Judged, schema: usize) -> Vec<String> {
    let (Some(shapes), Some(of)) = (&judgement.snapshot.shapes, judgement.snapshot.catalog.schemas.get(schema)) else {
        return Vec::new();
    };
    // Without USAGE, from whomever, they are dead.
    if !judged.cell.usage || judged.cell.superuser {
        return Vec::new();
    }
    let (matrix, desired) = (&judgement.matrix, judgement.desired.as_deref());
    let allowed = desired.and_then(|d| d.want(role, schema)).map(|want| want.allowed.of(ObjectKind::Table));
    let excepted = |grant: &ColumnGrant, privilege: Privilege| {
        let mut exceptions = desired.into_iter().flat_map(|d| d.exceptions_of(Who::Role(role), schema));
        exceptions.any(|e| e.privileges.contains(&privilege) && covers(e, &grant.relation))
    };
    let mut found: BTreeMap<Privilege, BTreeSet<Oid>> = BTreeMap::new();
    for grant in shapes.column_grants.iter().filter(|g| g.schema == of.oid) {
        let holds = |grantee: Oid| matrix.closure.position(grantee).is_some_and(|g| matrix.closure.inherits(role, g));
        for entry in grant.acl.0.iter().flat_map(|e| e.iter()).filter(|e| e.is_public() || holds(e.grantee)) {
            let beyond = entry.privileges.minus(allowed.unwrap_or(Privileges::NONE));
            for privilege in beyond.iter().filter(|p| !excepted(grant, *p)) {
                found.entry(privilege).or_default().insert(grant.relation_oid);
            }
        }
    }
    let words = |(privilege, tables): (Privilege, BTreeSet<Oid>)| {
        format!("{privilege} on columns of {}", text::count(tables.len() as u64, "table", "tables"))
    };
    found.into_iter().map(words).collect()
}

/// What PUBLIC may do with the schema and its rows and the declared levels do not cover; the matrix compares PUBLIC with
/// nothing, but it crosses the border all the same.
fn through_public(judgement: &Judgement, judged: &Judged, schema: usize) -> Vec<String> {
    let Some(levels) = &judged.declared else { return Vec::new() };
    let cell = judgement.matrix.cell(&judgement.snapshot.catalog, Who::Public, schema);
    let covered = |by: &[Level]| levels.iter().any(|level| by.contains(level));
    let mut found = Vec::new();
    if cell.create && !covered(&[Level::All, Level::Own]) {
        found.push("CREATE on the schema".to_owned());
    }
    // Without USAGE, from whomever, rights on tables are dead.
    if !judged.cell.usage {
        return found;
    }
    let whole = [Level::Write, Level::All, Level::Own];
    for (privilege, by) in [
        (Privilege::Select, &[&whole[..], &[Level::Read]].concat()[..]),
        (Privilege::Insert, &[&whole[..], &[Level::Append]].concat()),
        (Privilege::Update, &whole),
        (Privilege::Delete, &whole),
        (Privilege::Truncate, &[Level::All, Level::Own]),
    ] {
        let count = cell.judged_tables.of(privilege);
        if count > 0 && !covered(by) {
            found.push(words(&Difference {
                kind: ObjectKind::Table,
                privilege,
                count,
                total: cell.judged_tables.total,
            }));
        }
    }
    found
}

/// Schemas of the services that run as the role; without a policy, those that it owns.
fn is_own(judgement: &Judgement, role: &str, position: usize, schema: &Schema) -> bool {
    match &judgement.policy {
        Some(policy) => policy.services.iter().any(|s| s.role == role && s.schemas.contains(&schema.name)),
        None => {
            let itself = judgement.snapshot.catalog.roles.get(position).map(|r| r.oid);
            itself == Some(schema.owner)
        }
    }
}

/// The drift, single columns apart: they are told by [`Border::by_columns`], which knows the dead ones.
fn but_for_columns(judged: &Judged) -> Option<Drift> {
    let on_columns = !judged.column_excess.is_empty() && judged.excess.is_empty();
    let by_others = judged.cell.via.iter().all(|via| *via == Via::Public);
    match judged.drift {
        Some(Drift::Excess) if on_columns => Some(Drift::None),
        Some(Drift::Both) if on_columns => Some(Drift::Missing),
        Some(Drift::Undeclared) if on_columns && by_others => Some(Drift::None),
        drift => drift,
    }
}

fn verdict(role: &Role, judged: &Judged, more: bool, policy: bool) -> Verdict {
    if role.superuser {
        return Verdict::Superuser;
    }
    let reaches = !judged.cell.is_empty();
    match but_for_columns(judged) {
        Some(Drift::Excess | Drift::Both | Drift::Undeclared) => Verdict::Beyond,
        _ if more && policy => Verdict::Beyond,
        Some(Drift::Missing) => Verdict::Less,
        Some(Drift::None) => {
            let declared = judged.declared.as_ref().is_some_and(|levels: &Vec<Level>| !levels.is_empty());
            if declared || reaches { Verdict::Declared } else { Verdict::Closed }
        }
        // No policy, or one that leaves this to others.
        None | Some(Drift::Unknown) => {
            if reaches {
                Verdict::Unjudged
            } else {
                Verdict::Closed
            }
        }
    }
}

/// `INSERT on 3 of 7 tables`.
#[must_use]
pub fn words(difference: &Difference) -> String {
    match difference.kind {
        ObjectKind::Schema => format!("{} on the schema", difference.privilege),
        kind if difference.count == difference.total && difference.total == 1 => {
            format!("{} on the only {}", difference.privilege, kind.singular())
        }
        kind => format!("{} on {} of {} {}", difference.privilege, difference.count, difference.total, kind.plural()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::checks::fixture::Fixture;

    const POLICY: &str = "
        [[service]]
        name = 'shop'
        schema = 'shop'
        role = 'shop_app'
        version_table = false
        access = { stock = ['read'] }
        [[service]]
        name = 'stock'
        schema = 'stock'
        role = 'stock_app'
        version_table = false
    ";

    fn fixture() -> Fixture {
        let f =
            Fixture::new().role("shop_app").role("stock_app").schema("shop", "shop_app").schema("stock", "stock_app");
        f.table("shop", "orders", "shop_app").table("stock", "items", "stock_app")
    }

    fn of(f: Fixture, policy: bool) -> Vec<(String, String, Verdict)> {
        let f = if policy { f.policy(POLICY) } else { f };
        let case = f.case();
        let judgement = Judgement::new(Arc::new(case.snapshot), case.policy.map(Arc::new), case.lineages, None);
        let found = borders(&judgement, &roles(&judgement));
        let ours = |b: &Border| b.schema == "shop" || b.schema == "stock";
        found.into_iter().filter(ours).map(|b| (b.role, b.schema, b.verdict)).collect()
    }

    fn one(f: Fixture, policy: bool, role: &str) -> Verdict {
        of(f, policy).into_iter().find(|(r, ..)| r == role).unwrap().2
    }

    #[test]
    fn each_role_is_held_against_its_neighbours_only() {
        let found = of(fixture(), true);
        let pairs: Vec<(&str, &str)> = found.iter().map(|(r, s, _)| (r.as_str(), s.as_str())).collect();
        assert_eq!(pairs, [("shop_app", "stock"), ("stock_app", "shop")]);
    }

    #[test]
    fn a_right_on_a_column_crosses_the_border() {
        let reads = || fixture().grant_schema("stock", "shop_app", "USAGE").grant("stock.items", "shop_app", "SELECT");
        let column = |f: Fixture, to: &str, what: &str| f.column_grant("stock.items", "price", to, what);
        assert_eq!(one(column(reads(), "shop_app", "SELECT"), true, "shop_app"), Verdict::Declared, "it reads anyway");
        assert_eq!(one(column(reads(), "shop_app", "UPDATE"), true, "shop_app"), Verdict::Beyond);
        assert_eq!(one(column(reads(), "PUBLIC", "UPDATE"), true, "shop_app"), Verdict::Beyond);
        assert_eq!(one(column(fixture(), "shop_app", "UPDATE"), true, "shop_app"), Verdict::Less, "dead without USAGE");
        let open = fixture().grant_schema("shop", "PUBLIC", "USAGE").column_grant(
            "shop.orders",
            "note",
            "stock_app",
            "SELECT",
        );
        assert_eq!(one(open.clone(), true, "stock_app"), Verdict::Beyond, "through everybody's USAGE");
        assert_eq!(one(open, false, "stock_app"), Verdict::Unjudged);
    }

    #[test]
    fn every_verdict() {
        let reads = || fixture().grant_schema("stock", "shop_app", "USAGE").grant("stock.items", "shop_app", "SELECT");
        assert_eq!(one(fixture(), true, "shop_app"), Verdict::Less);
        assert_eq!(one(reads(), true, "shop_app"), Verdict::Declared);
        assert_eq!(one(reads().grant("stock.items", "shop_app", "DELETE"), true, "shop_app"), Verdict::Beyond);
        assert_eq!(one(fixture(), true, "stock_app"), Verdict::Closed);
        assert_eq!(
            one(fixture().edit_role("stock_app", |r| r.superuser = true), true, "stock_app"),
            Verdict::Superuser
        );
        let by_set =
            fixture().membership("shop_app", "stock_app", |m| (m.inherit, m.set) = (false, true)).version(160_000);
        assert_eq!(one(by_set, true, "stock_app"), Verdict::Beyond, "SET ROLE crosses the border");
        let public = || fixture().grant_schema("shop", "PUBLIC", "CREATE");
        assert_eq!(one(public(), true, "stock_app"), Verdict::Beyond, "what everybody may crosses it, too");
        let dead = fixture().grant("shop.orders", "PUBLIC", "SELECT");
        assert_ne!(one(dead, true, "stock_app"), Verdict::Beyond, "dead without USAGE");
        let alive = fixture().grant("shop.orders", "PUBLIC", "SELECT").grant_schema("shop", "PUBLIC", "USAGE");
        assert_eq!(one(alive, true, "stock_app"), Verdict::Beyond);
        assert_eq!(one(reads(), false, "shop_app"), Verdict::Unjudged);
        assert_eq!(one(fixture(), false, "shop_app"), Verdict::Closed);
        assert!(Verdict::Beyond.is_breach() && Verdict::Superuser.is_breach() && !Verdict::Less.is_breach());
    }
}

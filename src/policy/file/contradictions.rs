//! Rules that say different things of one role or schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::values::{Reader, Table, span};
use crate::policy::{Policy, Service};

/// What a role of an instance is declared a member of, and where it says so.
type Members<'p> = BTreeMap<(Option<&'p str>, &'p str), (&'p [String], Range<usize>)>;

impl<'t> Reader<'t> {
    pub(super) fn contradictions(&mut self, top: &Table<'_, 't>, policy: &Policy) {
        let (services, roles, schemas) =
            (self.tables(top, "service"), self.tables(top, "role"), self.tables(top, "schema"));
        self.owned_twice(policy, &services, &schemas);
        self.circles(policy, &services, &roles);
        let mut names: BTreeMap<(Option<&str>, &str), &Service> = BTreeMap::new();
        let mut by_role: BTreeMap<(Option<&str>, &str), &Service> = BTreeMap::new();
        for (service, table) in policy.services.iter().zip(&services) {
            let instance = service.instance.as_deref();
            if names.insert((instance, &service.name), service).is_some() {
                let what = format!("two services are called \"{}\"", service.name);
                self.problem(span(table, "name"), what, "give each a name of its own");
            }
            let Some(other) = by_role.insert((instance, &service.role), service) else { continue };
            let different = [
                ("login", differ(other.login.as_ref(), service.login.as_ref())),
                ("connection_limit", differ(other.connection_limit.as_ref(), service.connection_limit.as_ref())),
                ("search_path", differ(other.search_path.as_ref(), service.search_path.as_ref())),
                ("member_of", differ(other.member_of.as_ref(), service.member_of.as_ref())),
            ];
            for (key, _) in different.iter().filter(|(_, d)| *d) {
                let what = format!(
                    "role \"{}\" serves \"{}\" and \"{}\", which declare different `{key}`",
                    service.role, other.name, service.name
                );
                self.problem(table.span_of(key), what, "one role has one of each: declare it once, or use two roles");
            }
        }
        let mut seen: BTreeSet<(Option<&str>, &str)> = BTreeSet::new();
        for (rule, table) in policy.roles.iter().zip(&roles) {
            let key = (rule.instance.as_deref(), rule.name.as_str());
            if !seen.insert(key) {
                let what = format!("role \"{}\" is declared twice", rule.name);
                self.problem(span(table, "name"), what, "put both into one [[role]]; levels add up");
            }
            if let Some(service) = by_role.get(&key) {
                let what = format!("role \"{}\" is the role of service \"{}\" too", rule.name, service.name);
                let help = "a [[role]] owns no schema: put what it may do into the [[service]]";
                self.problem(span(table, "name"), what, help);
            }
        }
    }

    /// PostgreSQL refuses a membership that closes a circle. Each circle is told once, where its first role stands.
    fn circles(&mut self, policy: &Policy, services: &[Table<'_, 't>], roles: &[Table<'_, 't>]) {
        let mut members: Members<'_> = BTreeMap::new();
        for (service, table) in policy.services.iter().zip(services) {
            if let Some(groups) = service.member_of.as_deref().filter(|groups| !groups.is_empty()) {
                let key = (service.instance.as_deref(), service.role.as_str());
                members.entry(key).or_insert((groups, span(table, "member_of")));
            }
        }
        for (rule, table) in policy.roles.iter().zip(roles) {
            if let Some(groups) = rule.member_of.as_deref().filter(|groups| !groups.is_empty()) {
                let key = (rule.instance.as_deref(), rule.name.as_str());
                members.entry(key).or_insert((groups, span(table, "member_of")));
            }
        }
        let mut told: BTreeSet<(Option<&str>, &str)> = BTreeSet::new();
        for (key, (_, at)) in &members {
            if told.contains(key) {
                continue;
            }
            let Some(circle) = circle(&members, *key) else { continue };
            let names: Vec<&str> = circle.iter().copied().chain([key.1]).collect();
            told.extend(circle.iter().map(|name| (key.0, *name)));
            let what = format!("role \"{}\" is a member of itself: {}", key.1, names.join(", "));
            self.problem(at.clone(), what, "PostgreSQL refuses that: take one of these out of its `member_of`");
        }
    }

    /// A schema belongs to one service, or to one `[[schema]]`.
    fn owned_twice(&mut self, policy: &Policy, services: &[Table<'_, 't>], schemas: &[Table<'_, 't>]) {
        let mut owned: BTreeMap<(Option<&str>, &str), String> = BTreeMap::new();
        for (service, table) in policy.services.iter().zip(services) {
            for schema in &service.schemas {
                let key = (service.instance.as_deref(), schema.as_str());
                if let Some(first) = owned.insert(key, format!("service \"{}\"", service.name)) {
                    let what = format!("schema \"{schema}\" belongs to {first} and to service \"{}\"", service.name);
                    let at = if table.get("schema").is_some() { "schema" } else { "schemas" };
                    self.problem(span(table, at), what, "a schema belongs to one service; others get `access` to it");
                }
            }
        }
        for (rule, table) in policy.schemas.iter().zip(schemas) {
            let key = (rule.instance.as_deref(), rule.name.as_str());
            if let Some(first) = owned.insert(key, "another [[schema]]".to_owned()) {
                let what = format!("schema \"{}\" is declared by {first} already", rule.name);
                self.problem(span(table, "name"), what, "keep one of them");
            }
        }
    }
}

/// The roles from one by its groups back to itself, itself first.
fn circle<'p>(members: &Members<'p>, start: (Option<&'p str>, &'p str)) -> Option<Vec<&'p str>> {
    let mut came: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = vec![start.1];
    while let Some(role) = open.pop() {
        let groups = members.get(&(start.0, role)).map(|(groups, _)| *groups).unwrap_or_default();
        for group in groups {
            if group == start.1 {
                let mut path = vec![role];
                while let Some(before) = path.last().filter(|r| **r != start.1).and_then(|r| came.get(r)) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            if !came.contains_key(group.as_str()) {
                came.insert(group, role);
                open.push(group);
            }
        }
    }
    None
}

fn differ<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

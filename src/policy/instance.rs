//! Which part of a policy speaks of one instance. A policy may describe services of several instances; its entries
//! without `instance` belong to the instance that names the policy, and an access key may be `instance/schema`. What stands
//! before the first slash is the instance; nothing there is the entry's own, so that `/a/b` is its schema `a/b`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Level, Policy, RoleRule};

type Access = BTreeMap<String, Vec<Level>>;

impl Policy {
    /// The instances that entries or access keys name: where things of this policy live besides home. It may name home.
    #[must_use]
    pub fn elsewhere(&self) -> BTreeSet<&str> {
        let services = self.services.iter().map(|s| (s.instance.as_deref(), Some(&s.access)));
        let roles = self.roles.iter().map(|r| (r.instance.as_deref(), Some(&r.access)));
        let schemas = self.schemas.iter().map(|s| (s.instance.as_deref(), None));
        let exceptions = self.exceptions.iter().map(|e| (e.instance.as_deref(), None));
        let mut names = BTreeSet::new();
        for (instance, access) in services.chain(roles).chain(schemas).chain(exceptions) {
            names.extend(instance);
            let keys = access.into_iter().flat_map(BTreeMap::keys);
            let named = keys.filter_map(|key| key.split_once('/')).map(|(instance, _)| instance);
            names.extend(named.filter(|instance| !instance.is_empty()));
        }
        names
    }

    /// The part of the policy that speaks of `instance`; `home` when that instance names the policy. Access that an
    /// entry of another instance is given here (`instance/schema`) becomes a `[[role]]` of its own.
    #[must_use]
    pub fn for_instance(&self, instance: &str, home: bool) -> Policy {
        let here = |of: Option<&String>| of.map_or(home, |name| name == instance);
        let mut part = Policy {
            name: self.name.clone(),
            undeclared: self.undeclared,
            services: Vec::new(),
            roles: Vec::new(),
            schemas: self.schemas.iter().filter(|s| here(s.instance.as_ref())).cloned().collect(),
            database: self.database.clone(),
            exceptions: self.exceptions.iter().filter(|e| here(e.instance.as_ref())).cloned().collect(),
            accepted: self.accepted.iter().filter(|e| here(e.instance.as_ref())).cloned().collect(),
            allow: self.allow.clone(),
            limits: self.limits.clone(),
            severity: self.severity.clone(),
            base: self.base.clone(),
        };
        let mut guests: BTreeMap<&str, Access> = BTreeMap::new();
        for service in &self.services {
            let local = here(service.instance.as_ref());
            let access = access_here(&service.access, instance, local);
            if local {
                part.services.push(super::Service { access, ..service.clone() });
            } else if !access.is_empty() {
                merge(guests.entry(&service.role).or_default(), access);
            }
        }
        for rule in &self.roles {
            let local = here(rule.instance.as_ref());
            let access = access_here(&rule.access, instance, local);
            if local {
                part.roles.push(RoleRule { access, ..rule.clone() });
            } else if !access.is_empty() {
                merge(guests.entry(&rule.name).or_default(), access);
            }
        }
        for (name, access) in guests {
            if let Some(service) = part.services.iter_mut().find(|s| s.role == name) {
                merge(&mut service.access, access);
            } else if let Some(rule) = part.roles.iter_mut().find(|r| r.name == name) {
                merge(&mut rule.access, access);
            } else {
                part.roles.push(RoleRule { access, ..RoleRule::named(name) });
            }
        }
        part
    }
}

impl RoleRule {
    /// A rule that declares nothing but the name.
    #[must_use]
    pub fn named(name: &str) -> RoleRule {
        RoleRule {
            name: name.to_owned(),
            access: BTreeMap::new(),
            login: None,
            member_of: None,
            connection_limit: None,
            search_path: None,
            instance: None,
        }
    }
}

/// A schema of an entry's own instance as the policy's file names it.
#[must_use]
pub fn access_key(schema: &str) -> String {
    if schema.contains('/') { format!("/{schema}") } else { schema.to_owned() }
}

/// Access to schemas of the entry's own instance as the policy's file names it.
#[must_use]
pub fn as_in_file(access: &Access) -> Access {
    access.iter().map(|(schema, levels)| (access_key(schema), levels.clone())).collect()
}

/// The access keys that speak of `instance`, without the prefix.
fn access_here(access: &Access, instance: &str, local: bool) -> Access {
    let mut out = Access::new();
    let here = format!("{instance}/");
    for (key, levels) in access {
        let schema = match (key.strip_prefix(&here), key.split_once('/')) {
            (Some(schema), _) => schema,
            (None, None) if local => key,
            (None, Some(("", schema))) if local => schema,
            (None, _) => continue,
        };
        merge(&mut out, BTreeMap::from([(schema.to_owned(), levels.clone())]));
    }
    out
}

fn merge(into: &mut Access, more: Access) {
    for (schema, levels) in more {
        let list = into.entry(schema).or_default();
        list.extend(levels);
        list.sort_unstable();
        list.dedup();
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Level, file};

    const TEXT: &str = r#"
        [[service]]
        name = "backend"
        schema = "public"
        role = "engarde_user"
        access = { audit = ["read"], "flowdb/public" = ["read"] }
        [[service]]
        name = "flow"
        schema = "public"
        role = "langflow_user"
        instance = "flowdb"
        access = { "engarde/audit" = ["append"] }
        [[exception]]
        role = "x"
        schema = "public"
        privileges = ["SELECT"]
        reason = "r"
    "#;

    #[test]
    fn each_instance_gets_its_own_part() {
        let policy = file::parse(TEXT, "p.toml".as_ref()).unwrap();
        let home = policy.for_instance("engarde", true);
        assert_eq!(home.services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["backend"]);
        assert_eq!(home.services[0].access.keys().collect::<Vec<_>>(), ["audit"]);
        assert_eq!(home.roles[0].name, "langflow_user");
        assert_eq!(home.roles[0].access["audit"], vec![Level::Append]);
        assert_eq!(home.exceptions.len(), 1);
        let other = policy.for_instance("flowdb", false);
        assert_eq!(other.services.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["flow"]);
        assert_eq!(other.roles[0].name, "engarde_user");
        assert_eq!(other.roles[0].access["public"], vec![Level::Read]);
        assert!(other.exceptions.is_empty());
    }

    #[test]
    fn a_schema_with_a_slash_in_its_name_is_named() {
        let text = "[[role]]\nname='r'\naccess={'/a/b'=['read'], 'flowdb/c/d'=['append'], 'home/e/f'=['usage']}\n";
        let policy = file::parse(text, "p.toml".as_ref()).unwrap();
        assert_eq!(policy.elsewhere().into_iter().collect::<Vec<_>>(), ["flowdb", "home"]);
        assert_eq!(policy.for_instance("home", true).roles[0].access.keys().collect::<Vec<_>>(), ["a/b", "e/f"]);
        assert_eq!(policy.for_instance("flowdb", false).roles[0].access.keys().collect::<Vec<_>>(), ["c/d"]);
        // and what is written of one is read as the same
        let here = super::Access::from([("a/b".to_owned(), vec![Level::Read]), ("/".to_owned(), vec![Level::Usage])]);
        assert_eq!(super::access_here(&super::as_in_file(&here), "home", true), here);
        // its name is a name as any other
        let long = format!("[[role]]\nname='r'\naccess={{'/{}/b'=['read']}}\n", "x".repeat(63));
        assert!(file::parse(&long, "p.toml".as_ref()).is_err());
    }

    #[test]
    fn every_other_instance_is_named_once() {
        let policy = file::parse(TEXT, "p.toml".as_ref()).unwrap();
        assert_eq!(policy.elsewhere().into_iter().collect::<Vec<_>>(), ["engarde", "flowdb"]);
    }

    #[test]
    fn an_instance_that_is_not_named_gets_nothing() {
        let policy = file::parse(TEXT, "p.toml".as_ref()).unwrap();
        let other = policy.for_instance("third", false);
        assert!(other.services.is_empty() && other.roles.is_empty());
    }
}

//! Roles: made, dropped, made members, and their attributes (`user.c`).

use super::{BOOTSTRAP, Draft, Refused};
use crate::domain::{
    change::RoleAttributes,
    closure::Closure,
    snapshot::{Membership, Role},
};

impl Draft {
    pub(super) fn create_role(&mut self, name: &str, attributes: &RoleAttributes) -> Result<(), Refused> {
        if self.snapshot.catalog.role_named(name).is_some() {
            return Err(Refused::new(format!("role {name} is there already")));
        }
        let mut role =
            Role { oid: self.new_oid(), name: name.to_owned(), inherit: true, connection_limit: -1, ..Role::default() };
        set_attributes(&mut role, attributes);
        let (oid, member) = (role.oid, self.me);
        // From 16 on whoever makes a role without being a superuser administers it.
        let administers = self.version() >= 160_000 && !self.superuser();
        let catalog = self.catalog();
        let at = catalog.roles.partition_point(|r| r.name.as_str() < name);
        catalog.roles.insert(at, role);
        if administers {
            let made = Membership { role: oid, member, grantor: BOOTSTRAP, inherit: false, set: false, admin: true };
            catalog.memberships.push(made);
        }
        Ok(())
    }

    pub(super) fn drop_role(&mut self, name: &str) -> Result<(), Refused> {
        let oid = self.role(name)?;
        let catalog = self.catalog();
        catalog.roles.retain(|r| r.oid != oid);
        catalog.memberships.retain(|m| m.role != oid && m.member != oid);
        catalog.settings.retain(|s| s.role != Some(oid));
        Ok(())
    }

    pub(super) fn grant_role(&mut self, role: &str, member: &str) -> Result<(), Refused> {
        let (group, oid) = (self.role(role)?, self.role(member)?);
        let closure = Closure::new(&self.snapshot.catalog, self.version());
        let circle = match (closure.position(group), closure.position(oid)) {
            (Some(group), Some(member)) => group == member || closure.path(group, member, |_| true).is_some(),
            _ => false,
        };
        if circle {
            return Err(Refused::new(format!("{role} is a member of {member} already")));
        }
        let inherit = self.snapshot.catalog.role(oid).is_none_or(|r| r.inherit);
        let (grantor, before_16) = (self.membership_grantor(), self.version() < 160_000);
        let memberships = &mut self.catalog().memberships;
        let alike = |m: &&mut Membership| m.role == group && m.member == oid && (before_16 || m.grantor == grantor);
        match memberships.iter_mut().find(alike) {
            Some(_) => {}
            None => {
                memberships.push(Membership { role: group, member: oid, grantor, inherit, set: true, admin: false });
            }
        }
        Ok(())
    }
}

pub(super) fn set_attributes(role: &mut Role, a: &RoleAttributes) {
    let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
    set(&mut role.superuser, a.superuser);
    set(&mut role.inherit, a.inherit);
    set(&mut role.create_role, a.create_role);
    set(&mut role.create_db, a.create_db);
    set(&mut role.login, a.login);
    set(&mut role.replication, a.replication);
    set(&mut role.bypass_rls, a.bypass_rls);
    role.connection_limit = a.connection_limit.unwrap_or(role.connection_limit);
    if let Some(text) = &a.valid_until {
        role.valid_until_us = until(text);
    }
}

/// Microseconds since the Unix epoch of a `VALID UNTIL` as [`valid_until`] writes it.
fn until(text: &str) -> Option<i64> {
    if text == "infinity" {
        return Some(i64::MAX);
    }
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// A `VALID UNTIL` that the server and `until` read alike.
#[must_use]
pub fn valid_until(us: Option<i64>) -> String {
    match us {
        Some(us) if us != i64::MAX => {
            jiff::Timestamp::from_microsecond(us).map_or_else(|_| "infinity".to_owned(), |t| t.to_string())
        }
        _ => "infinity".to_owned(),
    }
}

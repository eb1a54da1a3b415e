//! Extensions of the shared schema that something of the service needs: left within its reach, and within everybody else's.

use std::collections::BTreeSet;

use super::Wanted;
use crate::{
    domain::{
        ObjectKind, Privilege,
        change::{Change, Grantee, On},
        effective::Matrix,
        quote_ident,
        search_path::Paths,
        snapshot::{Role, Snapshot},
    },
    plan::{
        Hazard, HazardKind, Refused,
        moves::{Question, note},
        setup,
    },
    text,
};

/// Extensions that what goes needs: left within reach. Gives back what the search path needs besides.
pub(super) fn extensions(
    snapshot: &Snapshot,
    needed: &BTreeSet<String>,
    wanted: &Wanted,
    changes: &mut Vec<Change>,
    questions: &mut Vec<Question>,
    notes: &mut Vec<Hazard>,
) -> Result<Option<String>, Refused> {
    let catalog = &snapshot.catalog;
    let Some(place) = &wanted.extensions_schema else {
        for name in needed {
            questions.push(Question {
                about: format!("extension:{name}"),
                sentence: format!(
                    "Extension {name} stands in {}, and what goes needs it: with {} alone in its search_path {} cannot \
                     name it. Does it move to a schema of its own? With --extensions-schema {} it stays, and {} looks \
                     there, too.",
                    wanted.from,
                    wanted.schema,
                    wanted.role,
                    text::shell_word(&wanted.from),
                    wanted.role
                ),
                flag: "--extensions-schema extensions".to_owned(),
            });
        }
        // Answered with yes: the customary place.
        let yes = |n: &&String| wanted.answers.get(&format!("extension:{n}")) == Some(&true);
        let moved: BTreeSet<String> = needed.iter().filter(yes).cloned().collect();
        let open = |q: &Question| !q.about.starts_with("extension:") || !wanted.answers.contains_key(&q.about);
        questions.retain(open);
        if moved.is_empty() {
            return Ok(None);
        }
        let answered = Wanted { extensions_schema: Some("extensions".to_owned()), ..wanted.clone() };
        return extensions(snapshot, &moved, &answered, changes, questions, notes);
    };
    if catalog.schema_named(place).is_none() {
        setup::name("schema", place)?;
        let owner = catalog.role_name(catalog.database.owner);
        changes.push(Change::CreateSchema { name: place.clone(), owner });
    }
    if *place != wanted.from {
        let stands = |name: &&String| {
            catalog.extensions.iter().any(|e| e.name == **name && catalog.schema_name(e.schema) == wanted.from)
        };
        let moved: Vec<&String> = needed.iter().filter(stands).collect();
        changes.extend(
            moved.iter().map(|name| Change::SetExtensionSchema { extension: (*name).clone(), to: place.clone() }),
        );
        if !moved.is_empty() {
            changes.extend(as_before(snapshot, &wanted.from, place, &wanted.role));
            let lost = without(snapshot, &wanted.from, place, &wanted.role);
            if !lost.is_empty() {
                let sentence = format!(
                    "{} find {} by {} in their search_path, and need {place} there, too, from then on: ALTER ROLE … IN \
                     DATABASE {} SET search_path = …, {place}. With --extensions-schema {} it stays where it is.",
                    text::list(&lost, 6),
                    text::list(&moved, 4),
                    wanted.from,
                    quote_ident(&catalog.database.name),
                    text::shell_word(&wanted.from)
                );
                notes.push(note(HazardKind::Application, sentence));
            }
        }
    }
    changes.push(Change::Grant {
        privileges: Privilege::Usage.into(),
        on: On::Schema(place.clone()),
        to: Grantee::Role(wanted.role.clone()),
    });
    Ok(Some(place.clone()))
}

/// USAGE on an extension's new place for everybody who had it on the old one: they go on calling what they called.
fn as_before(snapshot: &Snapshot, from: &str, place: &str, but: &str) -> Vec<Change> {
    let catalog = &snapshot.catalog;
    let Some(old) = catalog.schema_named(from) else { return Vec::new() };
    let list = old.acl.in_force(ObjectKind::Schema, old.owner, snapshot.server.version_num);
    let mut grantees: BTreeSet<Option<String>> = BTreeSet::new();
    for entry in list.entries().iter().filter(|e| e.privileges.contains(Privilege::Usage)) {
        let role = catalog.role(entry.grantee);
        if entry.is_public() {
            grantees.insert(None);
        } else if let Some(role) = role.filter(|r| !r.superuser && !r.is_platform() && r.name != but)
            && !role.name.starts_with("pg_")
        {
            grantees.insert(Some(role.name.clone()));
        }
    }
    let grant =
        |to: Grantee| Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema(place.to_owned()), to };
    grantees.into_iter().map(|name| grant(name.map_or(Grantee::Public, Grantee::Role))).collect()
}

/// Logins that look into the old place of an extension and not into the new one.
fn without(snapshot: &Snapshot, from: &str, place: &str, but: &str) -> Vec<String> {
    let catalog = &snapshot.catalog;
    let matrix = Matrix::new(catalog, &snapshot.server);
    let paths = Paths::new(catalog, &snapshot.server);
    let old = catalog.schema_named(from).map(|s| s.oid);
    let judged = |role: &Role| role.login && !role.is_platform() && role.name != but;
    let roles = catalog.roles.iter().enumerate().filter(|(_, role)| judged(role));
    let loses = |at: usize| {
        let path = paths.of(catalog, &matrix, at);
        path.listed().any(|s| Some(s) == old) && !path.entries.iter().any(|e| e.name == place)
    };
    roles.filter(|(at, _)| loses(*at)).map(|(_, role)| role.name.clone()).collect()
}

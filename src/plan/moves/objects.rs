//! What goes along when tables leave a schema, and what does not follow by itself: free sequences behind defaults, types,
//! trigger functions, views; rights of those who read them. What others use too is asked about.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Answers, Question, may, note, tables::everybody_may_use};
use crate::{
    domain::{
        AclEntry, ObjectKind, Oid, Privilege, Privileges,
        change::{Change, Grantee, ObjectRef, On},
        dependencies::{Class, Dependencies, Thing, Through, Use, lines_naming, names, names_schema},
        effective::{Matrix, Who},
        snapshot::{DefaultKind, IndexName, Kind, Object, Snapshot},
    },
    plan::{Hazard, HazardKind, predict},
    text,
};

/// Lines of a routine's text that are shown.
const LINES: usize = 3;

/// A thing by catalog and oid.
type Id = (Class, Oid);

/// Names somebody chose: globs, those with `!` in front say no.
#[derive(Debug, Clone, Default)]
pub struct Choice<'a> {
    pub patterns: &'a [String],
    pub answers: Option<&'a Answers>,
}

impl Choice<'_> {
    /// Yes or no, where the patterns or the answers say; the last pattern that fits decides.
    pub(super) fn of(&self, about: &str, name: &str) -> Option<bool> {
        let fits = |p: &&String| glob(p.strip_prefix('!').unwrap_or(p), name);
        let said = self.patterns.iter().rfind(fits).map(|p| !p.starts_with('!'));
        said.or_else(|| self.answers.and_then(|a| a.get(about).copied()))
    }
}

/// Everything that goes, in an order in which it can, and what is to be said about it.
#[derive(Debug, Default)]
pub(super) struct Bundle<'a> {
    pub going: Vec<&'a Object>,
    pub questions: Vec<Question>,
    pub notes: Vec<Hazard>,
    /// Extensions in the schema that something of the bundle needs.
    pub extensions: BTreeSet<String>,
    /// Objects that stay and that something of the bundle uses, with the privilege it takes.
    pub used: BTreeSet<(ObjectKind, String, String, Privilege)>,
    /// Views that stay and read something of the bundle: their owner and the relation's name, with what those who use the
    /// view hold on it.
    pub readers: BTreeMap<(String, String), Privileges>,
}

/// Moving things out of one schema.
pub(super) struct Mover<'a> {
    pub snapshot: &'a Snapshot,
    pub dependencies: &'a Dependencies,
    pub from: &'a str,
    pub to: &'a str,
    /// Owner of what goes; `None`: as it is.
    pub owner: Option<&'a str>,
    pub choice: Choice<'a>,
}

impl<'a> Mover<'a> {
    fn here(&self) -> Vec<&'a Object> {
        let schema = self.snapshot.catalog.schema_named(self.from).map(|s| s.oid);
        let of = schema.and_then(|oid| self.snapshot.objects.0.get(&oid));
        of.into_iter().flat_map(|list| list.all()).filter(|o| !o.extension).collect()
    }

    /// Tables with what belongs to them. `seeds` are relations of the schema.
    pub(super) fn bundle(&self, seeds: &BTreeSet<Oid>) -> Bundle<'a> {
        let here: HashMap<Id, &Object> =
            self.here().into_iter().filter(|o| o.owned_by.is_none()).map(|o| (id(o), o)).collect();
        let uses = self.uses(&here);
        let graph = Graph::new(&uses);
        let mut bundle = Bundle::default();
        let mut going: BTreeSet<Id> =
            seeds.iter().map(|oid| (Class::Relation, *oid)).filter(|i| here.contains_key(i)).collect();
        self.grow(&here, &graph, &mut going, &mut bundle);
        self.by_name(&here, &mut going, &mut bundle);
        let order = |kind: Kind| match kind {
            Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => 0,
            Kind::Type => 1,
            Kind::Sequence => 2,
            Kind::Table | Kind::Partitioned | Kind::Foreign => 3,
            Kind::View | Kind::MaterializedView => 4,
        };
        bundle.going = going.iter().filter_map(|i| here.get(i).copied()).collect();
        bundle.going.sort_by(|a, b| (order(a.kind), &a.name).cmp(&(order(b.kind), &b.name)));
        self.edges(&uses, &going, &mut bundle);
        self.staying_types(&uses, &going, &mut bundle);
        self.row_security(&mut bundle);
        self.texts(&going, &mut bundle);
        bundle
    }

    /// What the catalog knows, and sequences that a default looks up by a text.
    fn uses(&self, here: &HashMap<Id, &'a Object>) -> Vec<Use> {
        let mut uses = self.dependencies.uses.clone();
        for default in &self.dependencies.text_defaults {
            let texts = default.expression.split('\'').skip(1).step_by(2);
            for text in texts {
                let name = text.strip_prefix(&format!("{}.", self.from)).unwrap_or(text).trim_matches('"');
                let sequence = here.values().find(|o| o.kind == Kind::Sequence && o.name == name);
                let thing = |class: Class, oid: Oid, name: &str| Thing {
                    class,
                    oid,
                    schema: self.dependencies.schema,
                    name: name.to_owned(),
                };
                uses.extend(sequence.map(|o| Use {
                    user: thing(Class::Relation, default.relation, &default.table),
                    through: Through::Default,
                    used: Some(thing(Class::Relation, o.oid, &o.name)),
                    extension: None,
                }));
            }
        }
        uses
    }

    /// Adds what belongs to the tables alone; asks about what others use too.
    fn grow(
        &self,
        here: &HashMap<Id, &'a Object>,
        graph: &Graph<'_>,
        going: &mut BTreeSet<Id>,
        bundle: &mut Bundle<'a>,
    ) {
        let mut refused: BTreeSet<Id> = BTreeSet::new();
        loop {
            // Everything that could belong, then without what does not.
            let mut all = going.clone();
            loop {
                let more: Vec<Id> = here
                    .iter()
                    .filter(|(i, o)| !all.contains(i) && !refused.contains(i) && touches(o, **i, graph, &all))
                    .map(|(i, _)| *i)
                    .collect();
                if more.is_empty() {
                    break;
                }
                all.extend(more);
            }
            let mut blocked = None;
            for i in all.iter().filter(|i| !going.contains(i)) {
                let Some(object) = here.get(i) else { continue };
                let said = self.choice.of(&about(object), &object.name);
                if said == Some(true) {
                    continue;
                }
                let why = if said == Some(false) {
                    Some(String::new())
                } else {
                    straddles(object, *i, graph, &all, here, self.snapshot)
                };
                if let Some(why) = why {
                    blocked = Some((*i, *object, why));
                    break;
                }
            }
            let Some((i, object, why)) = blocked else {
                *going = all;
                return;
            };
            refused.insert(i);
            if !why.is_empty() {
                bundle.questions.push(Question {
                    about: about(object),
                    sentence: format!("{} {}.{} {why}. Does it go along?", object.kind.word(), self.from, object.name),
                    flag: format!("--tables {}", text::shell_word(&object.name)),
                });
            }
        }
    }

    /// Routines that the catalog ties to nothing, and whose text names a table that goes.
    fn by_name(&self, here: &HashMap<Id, &'a Object>, going: &mut BTreeSet<Id>, bundle: &mut Bundle<'a>) {
        let tables: Vec<&str> = going
            .iter()
            .filter(|(class, _)| *class == Class::Relation)
            .filter_map(|i| here.get(i).map(|o| o.name.as_str()))
            .collect();
        for body in &self.dependencies.bodies {
            let i = (Class::Routine, body.oid);
            let Some(object) = here.get(&i).filter(|_| !going.contains(&i)) else { continue };
            let named: Vec<&str> = tables.iter().copied().filter(|t| names(&body.source, t)).collect();
            let about = about(object);
            if bundle.questions.iter().any(|q| q.about == about) {
                continue;
            }
            match self.choice.of(&about, &object.name) {
                Some(true) => {
                    going.insert(i);
                }
                Some(false) => {}
                None if named.is_empty() => {}
                None => bundle.questions.push(Question {
                    about,
                    sentence: format!(
                        "{} {}.{} names {} in its text, and nothing else says whose it is. Does it go along?",
                        object.kind.word(),
                        self.from,
                        object.name,
                        text::list(&named, 4)
                    ),
                    flag: format!("--tables {}", text::shell_word(&object.name)),
                }),
            }
        }
    }

    /// What crosses the border afterwards.
    fn edges(&self, uses: &[Use], going: &BTreeSet<Id>, bundle: &mut Bundle<'a>) {
        let catalog = &self.snapshot.catalog;
        let from = catalog.schema_named(self.from).map(|s| s.oid);
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for edge in uses {
            let user = (edge.user.class, edge.user.oid);
            if going.contains(&user)
                && let Some(name) = &edge.extension
                && catalog.extensions.iter().any(|e| e.name == *name && Some(e.schema) == from)
            {
                bundle.extensions.insert(name.clone());
            }
            let Some(used) = &edge.used else { continue };
            let (goes, stays) = (going.contains(&user), !going.contains(&(used.class, used.oid)));
            let place = |thing: &Thing, goes: bool| {
                let schema = if goes { self.to.to_owned() } else { catalog.schema_name(thing.schema) };
                format!("{schema}.{}", thing.name)
            };
            match edge.through {
                Through::ForeignKey if goes == stays => {
                    keys.insert(format!("{} to {}", place(&edge.user, goes), place(used, !stays)));
                }
                Through::Query if goes && stays && edge.extension.is_none() && used.class == Class::Relation => {
                    let schema = catalog.schema_name(used.schema);
                    bundle.used.insert((ObjectKind::Table, schema, used.name.clone(), Privilege::Select));
                }
                Through::Query if !goes && !stays => {
                    let Some(view) = self.object(&edge.user) else { continue };
                    let place = (catalog.role_name(view.owner), used.name.clone());
                    let held = bundle.readers.entry(place).or_default();
                    *held = *held | Self::through(view, user, uses);
                }
                Through::Default if goes && stays => {
                    let sequence = self.object(used).filter(|o| o.kind == Kind::Sequence && o.owned_by.is_none());
                    if sequence.is_some() {
                        let schema = catalog.schema_name(used.schema);
                        bundle.used.insert((ObjectKind::Sequence, schema, used.name.clone(), Privilege::Usage));
                    }
                }
                _ => {}
            }
        }
        if !keys.is_empty() {
            let list: Vec<String> = keys.into_iter().collect();
            let sentence = format!(
                "Foreign keys cross from one schema to another afterwards: {}. They keep working; a table can then be \
                 dropped or emptied only by whoever may do it on both sides.",
                text::list(&list, 6)
            );
            bundle.notes.push(note(HazardKind::Note, sentence));
        }
        if !self.dependencies.publications.is_empty() && !bundle.going.is_empty() {
            let sentence = format!(
                "What goes is no longer published by {}, which publishes all tables of {}.",
                text::list(&self.dependencies.publications, 4),
                self.from
            );
            bundle.notes.push(note(HazardKind::Application, sentence));
        }
    }

    /// What a view's owner needs on what the view reads, so that whoever uses the view goes on: to read it, and to write it
    /// where the view is of one relation and somebody holds that on the view.
    fn through(view: &Object, id: Id, uses: &[Use]) -> Privileges {
        let reads = uses.iter().filter(|e| (e.user.class, e.user.oid) == id && e.through == Through::Query);
        let relations: BTreeSet<Oid> =
            reads.filter_map(|e| e.used.as_ref()).filter(|u| u.class == Class::Relation).map(|u| u.oid).collect();
        let select: Privileges = Privilege::Select.into();
        if view.kind != Kind::View || relations.len() != 1 {
            return select;
        }
        let writes = Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]);
        let others = view.acl.0.as_deref().unwrap_or_default().iter().filter(|e| e.grantee != view.owner);
        others.fold(select, |held, e| held | e.privileges.and(writes))
    }

    /// Types that stay, and what goes uses: their names are looked up from another schema then.
    fn staying_types(&self, uses: &[Use], going: &BTreeSet<Id>, bundle: &mut Bundle<'a>) {
        let catalog = &self.snapshot.catalog;
        let from = catalog.schema_named(self.from).map(|s| s.oid);
        let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for edge in uses.iter().filter(|e| going.contains(&(e.user.class, e.user.oid)) && e.extension.is_none()) {
            let Some(used) = edge.used.as_ref().filter(|u| u.class == Class::Type && Some(u.schema) == from) else {
                continue;
            };
            if !going.contains(&(used.class, used.oid)) {
                types.entry(used.name.as_str()).or_default().insert(edge.user.name.as_str());
            }
        }
        for (name, users) in types {
            let users: Vec<&str> = users.into_iter().collect();
            let sentence = format!(
                "Type {from}.{name} stays, and {} uses it: code of {} has to write {from}.{name}, or {from} in its                  search_path, and needs USAGE on {from}.",
                text::list(&users, 4),
                self.owner.unwrap_or(self.to),
                from = self.from
            );
            bundle.notes.push(note(HazardKind::Application, sentence));
        }
    }

    /// An owner is exempt from the policies of its tables, and views read with their owner's exemption: that goes along.
    fn row_security(&self, bundle: &mut Bundle<'a>) {
        let (Some(new), catalog) = (self.owner, &self.snapshot.catalog) else { return };
        let mut tables: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for o in bundle.going.iter().filter(|o| o.rls && !o.force_rls) {
            let exempt = catalog.role(o.owner).is_some_and(|r| r.superuser || r.bypass_rls);
            let old = catalog.role_name(o.owner);
            if old != new && !exempt {
                tables.entry(old).or_default().push(&o.name);
            }
        }
        for (old, tables) in tables {
            let sentence = format!(
                "The policies of {} spare the owner: until now {old}, then {new}. {old}, and everybody who reads through a                  view of {old}, sees only the rows that policies give {old}, without an error where they give none.",
                text::list(&tables, 4)
            );
            bundle.notes.push(note(HazardKind::Loss, sentence));
        }
    }

    fn object(&self, thing: &Thing) -> Option<&'a Object> {
        let of = self.snapshot.objects.0.get(&thing.schema)?;
        of.all().find(|o| id(o) == (thing.class, thing.oid))
    }

    /// Texts that name the old schema: shown with the change they need, never changed.
    fn texts(&self, going: &BTreeSet<Id>, bundle: &mut Bundle<'a>) {
        let catalog = &self.snapshot.catalog;
        let tables: Vec<&str> = bundle.going.iter().map(|o| o.name.as_str()).collect();
        for body in &self.dependencies.bodies {
            let goes = going.contains(&(Class::Routine, body.oid));
            let lines: Vec<&str> = lines_naming(&body.source, self.from, usize::MAX)
                .into_iter()
                .filter(|line| goes || tables.iter().any(|t| names(line, t)))
                .collect();
            let schema = if goes { self.to.to_owned() } else { catalog.schema_name(body.schema) };
            if !lines.is_empty() {
                let shown: Vec<&str> = lines.iter().copied().take(LINES).collect();
                let more = if lines.len() > LINES {
                    format!(" and {}", text::count((lines.len() - LINES) as u64, "line more", "lines more"))
                } else {
                    String::new()
                };
                bundle.notes.push(note(
                    HazardKind::Application,
                    format!(
                        "Routine {schema}.{} names {} in its text: \"{}\"{more}. Where it means what goes, it needs {} \
                         instead; its text is not changed here.",
                        body.signature,
                        self.from,
                        shown.join("\" and \""),
                        self.to
                    ),
                ));
            }
            let path = body.settings.iter().find(|s| s.starts_with("search_path=") && names(s, self.from));
            if let Some(path) = path.filter(|_| goes) {
                bundle.notes.push(note(
                    HazardKind::Application,
                    format!(
                        "Routine {schema}.{} runs with {path}: what it names without a schema is looked for there, not \
                         in {}. It needs ALTER ROUTINE … SET search_path.",
                        body.signature, self.to
                    ),
                ));
            }
            let definer = bundle.going.iter().find(|o| o.oid == body.oid && body.security_definer);
            if let (Some(definer), Some(new)) = (definer, self.owner) {
                let old = catalog.role_name(definer.owner);
                let exempt = old == new || catalog.role(definer.owner).is_some_and(|r| r.superuser);
                let sentence = if exempt {
                    format!(
                        "Routine {schema}.{} runs with the rights of its owner {old}, and keeps it.",
                        body.signature
                    )
                } else {
                    format!(
                        "Routine {schema}.{} runs with the rights of its owner {old}, and keeps it: on what {new} owns \
                         then, {old} has only what it is granted. It needs those grants, or ALTER ROUTINE … OWNER TO \
                         {new}.",
                        body.signature
                    )
                };
                let kind = if exempt { HazardKind::Note } else { HazardKind::Application };
                bundle.notes.push(note(kind, sentence));
            }
        }
        for default in &self.dependencies.text_defaults {
            let literal = default.expression.split('\'').skip(1).step_by(2).any(|t| names_schema(t, self.from));
            let text = default.expression.contains("::text");
            if literal && text && going.contains(&(Class::Relation, default.relation)) {
                bundle.notes.push(note(
                    HazardKind::Application,
                    format!(
                        "The default of {}.{}.{} looks something up by a text: {}. It needs ALTER TABLE … SET DEFAULT.",
                        self.to, default.table, default.column, default.expression
                    ),
                ));
            }
        }
    }

    /// A relation of the schema that things leave.
    pub(super) fn object_named(&self, name: &str) -> Option<&'a Object> {
        let oid = self.snapshot.catalog.schema_named(self.from).map(|s| s.oid)?;
        self.snapshot.objects.0.get(&oid)?.relations.iter().find(|o| o.name == name)
    }

    /// What stands in the way of the bundle where it goes: all of it, not the first that a server would stumble over.
    pub(super) fn clashes(&self, going: &[&Object]) -> Vec<String> {
        let objects = |schema: &str| {
            let oid = self.snapshot.catalog.schema_named(schema).map(|s| s.oid)?;
            self.snapshot.objects.0.get(&oid)
        };
        let (Some(from), Some(to)) = (objects(self.from), objects(self.to)) else { return Vec::new() };
        let with = |oid: Oid| going.iter().any(|o| o.oid == oid);
        let mut all: Vec<&Object> = going.to_vec();
        all.extend(from.relations.iter().filter(|o| o.owned_by.is_some_and(with)));
        let indexes: Vec<&IndexName> = from.indexes.iter().filter(|i| with(i.table)).collect();
        predict::in_the_way(to, self.to, &all, &indexes)
    }

    /// The changes that move the bundle and hand it over.
    pub(super) fn changes(&self, bundle: &Bundle<'_>) -> Vec<Change> {
        let catalog = &self.snapshot.catalog;
        let definer = |o: &Object| self.dependencies.bodies.iter().any(|b| b.oid == o.oid && b.security_definer);
        let mut changes = Vec::new();
        for o in &bundle.going {
            let object = |schema: &str| ObjectRef { kind: o.kind, schema: schema.to_owned(), name: o.name.clone() };
            changes.push(Change::SetSchema { object: object(self.from), to: self.to.to_owned() });
            let Some(owner) = self.owner.filter(|owner| catalog.role_name(o.owner) != **owner) else { continue };
            let routine = o.kind.object_kind() == ObjectKind::Routine;
            if !(routine && definer(o)) {
                changes.push(Change::SetOwner { object: object(self.to), owner: owner.to_owned() });
            }
        }
        changes
    }

    /// Rights that what goes and what stays need of each other, as far as they lack them in `after`.
    pub(super) fn rights(&self, bundle: &Bundle<'_>, after: &Snapshot) -> Vec<Change> {
        let matrix = Matrix::new(&after.catalog, &after.server);
        let lacks = |role: &str, kind: ObjectKind, schema: &str, name: &str, privilege: Privilege| {
            let Some(position) = matrix.index.role_named(role) else { return false };
            let of = after.catalog.schema_named(schema).and_then(|s| after.objects.0.get(&s.oid));
            let object = of.and_then(|list| list.all().find(|o| o.kind.object_kind() == kind && o.name == name));
            object.is_some_and(|o| {
                !matrix.rights(&after.catalog, Who::Role(position), kind, o.owner, &o.acl).contains(privilege)
            })
        };
        let grant = |role: &str, kind: ObjectKind, schema: &str, name: &str, privileges: Privileges| Change::Grant {
            privileges,
            on: On::Objects { kind, schema: schema.to_owned(), names: vec![name.to_owned()] },
            to: Grantee::Role(role.to_owned()),
        };
        let mut changes = Vec::new();
        for ((owner, relation), held) in &bundle.readers {
            let missing: Privileges =
                held.iter().filter(|p| lacks(owner, ObjectKind::Table, self.to, relation, *p)).collect();
            if !missing.is_empty() {
                changes.push(grant(owner, ObjectKind::Table, self.to, relation, missing));
            }
        }
        for (kind, schema, name, privilege) in &bundle.used {
            let Some(owner) = self.owner else { continue };
            if lacks(owner, *kind, schema, name, *privilege) {
                changes.push(grant(owner, *kind, schema, name, (*privilege).into()));
            }
        }
        changes
    }

    /// Who holds rights on what goes, apart from owners and `but`: by name (`None` is PUBLIC), with the objects.
    pub(super) fn grantees(&self, bundle: &Bundle<'_>, but: &[&str]) -> BTreeMap<Option<String>, Vec<Held>> {
        let catalog = &self.snapshot.catalog;
        let mut found: BTreeMap<Option<String>, Vec<Held>> = BTreeMap::new();
        let owned: BTreeSet<Oid> = bundle.going.iter().map(|o| o.oid).collect();
        let follows = self.here().into_iter().filter(|o| o.owned_by.is_some_and(|t| owned.contains(&t)));
        for o in bundle.going.iter().copied().chain(follows) {
            let kind = o.kind.object_kind();
            if !matches!(kind, ObjectKind::Table | ObjectKind::Sequence) {
                continue;
            }
            for entry in o.acl.0.as_deref().unwrap_or_default() {
                let role = catalog.role(entry.grantee);
                let name = (!entry.is_public()).then(|| catalog.role_name(entry.grantee));
                let skipped = entry.grantee == o.owner
                    || role.is_some_and(|r| r.superuser)
                    || name.as_ref().is_some_and(|n| but.contains(&n.as_str()));
                if !skipped {
                    found.entry(name).or_default().push(Held {
                        kind,
                        object: o.name.clone(),
                        column: None,
                        privileges: entry.privileges,
                        grantable: entry.grantable,
                        grantor: (entry.grantor != o.owner).then(|| catalog.role_name(entry.grantor)),
                        depth: depth(o.acl.0.as_deref().unwrap_or_default(), o.owner, entry.grantor),
                    });
                }
            }
        }
        let shapes = self.snapshot.shapes.as_deref().map(|s| s.column_grants.as_slice()).unwrap_or_default();
        for g in shapes.iter().filter(|g| owned.contains(&g.relation_oid)) {
            for entry in g.acl.0.as_deref().unwrap_or_default() {
                let name = (!entry.is_public()).then(|| catalog.role_name(entry.grantee));
                let superuser = catalog.role(entry.grantee).is_some_and(|r| r.superuser);
                if entry.grantee == g.owner || superuser || name.as_ref().is_some_and(|n| but.contains(&n.as_str())) {
                    continue;
                }
                found.entry(name).or_default().push(Held {
                    kind: ObjectKind::Table,
                    object: g.relation.clone(),
                    column: Some(g.column.clone()),
                    privileges: entry.privileges,
                    grantable: entry.grantable,
                    grantor: (entry.grantor != g.owner).then(|| catalog.role_name(entry.grantor)),
                    depth: depth(g.acl.0.as_deref().unwrap_or_default(), g.owner, entry.grantor),
                });
            }
        }
        found
    }

    /// True for a role that reads most of the tables that go: it will want to read the next one, too. PUBLIC is never
    /// given that by itself.
    pub(super) fn reads_most(bundle: &Bundle<'_>, who: &Grantee, held: &[Held]) -> bool {
        let tables = bundle.going.iter().filter(|o| matches!(o.kind, Kind::Table | Kind::Partitioned | Kind::Foreign));
        let tables: BTreeSet<&str> = tables.map(|o| o.name.as_str()).collect();
        let reads =
            |h: &&Held| h.kind == ObjectKind::Table && h.column.is_none() && h.privileges.contains(Privilege::Select);
        let read: BTreeSet<&str> = held.iter().filter(reads).map(|h| h.object.as_str()).collect();
        *who != Grantee::Public && tables.intersection(&read).count() * 2 > tables.len()
    }

    /// Who may use the schema that they leave.
    pub(super) fn lets_in(&self, matrix: &Matrix, who: &Grantee) -> bool {
        let catalog = &self.snapshot.catalog;
        match who {
            Grantee::Public => everybody_may_use(catalog, matrix, self.from),
            Grantee::Role(name) => may(catalog, matrix, name, self.from, Privilege::Usage),
        }
    }

    /// USAGE on the new schema for one who holds rights on what goes, and SELECT on what will be made there where `future`
    /// says so.
    pub(super) fn keep(&self, who: &Grantee, creator: &str, future: bool) -> Vec<Change> {
        let usage =
            Change::Grant { privileges: Privilege::Usage.into(), on: On::Schema(self.to.to_owned()), to: who.clone() };
        let defaults = future.then(|| Change::DefaultPrivileges {
            creator: creator.to_owned(),
            schema: Some(self.to.to_owned()),
            kind: DefaultKind::Tables,
            privileges: Privilege::Select.into(),
            grantee: who.clone(),
            grant: true,
        });
        std::iter::once(usage).chain(defaults).collect()
    }
}

/// One entry of an object's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub kind: ObjectKind,
    pub object: String,
    /// The right is on this column only.
    pub column: Option<String>,
    pub privileges: Privileges,
    /// The part of them that it may pass on.
    pub grantable: Privileges,
    /// `None`: the owner.
    pub grantor: Option<String>,
    /// Grant options between the owner and the grantor: what stands on more of them is taken first.
    pub depth: usize,
}

impl Held {
    fn on(&self, schema: &str) -> On {
        match &self.column {
            Some(column) => {
                On::Columns { schema: schema.to_owned(), relation: self.object.clone(), columns: vec![column.clone()] }
            }
            None => On::Objects { kind: self.kind, schema: schema.to_owned(), names: vec![self.object.clone()] },
        }
    }

    /// Takes it away, once the object stands in `schema`.
    pub(super) fn revoke(&self, schema: &str, from: &Grantee) -> Change {
        Change::Revoke {
            privileges: self.privileges,
            on: self.on(schema),
            from: from.clone(),
            option_only: false,
            grantor: self.grantor.clone(),
        }
    }

    /// The same from the owner, for one whose grantor loses what it passed on.
    pub(super) fn by_owner(&self, schema: &str, to: &Grantee) -> Vec<Change> {
        let (on, to) = (self.on(schema), to.clone());
        let plain = self.privileges.minus(self.grantable);
        let mut changes = Vec::new();
        if !plain.is_empty() {
            changes.push(Change::Grant { privileges: plain, on: on.clone(), to: to.clone() });
        }
        if !self.grantable.is_empty() {
            changes.push(Change::GrantWith { privileges: self.grantable, on, to, option: true, grantor: None });
        }
        changes
    }
}

/// How many grant options lie between the owner of a list and a grantor in it.
pub(super) fn depth(list: &[AclEntry], owner: Oid, grantor: Oid) -> usize {
    let (mut at, mut depth) = (vec![grantor], 0);
    // A chain has no more links than the list has entries.
    while at.iter().any(|who| *who != owner) && depth <= list.len() {
        depth += 1;
        at = list
            .iter()
            .filter(|e| e.grantee != owner && at.contains(&e.grantee) && !e.grantable.is_empty())
            .map(|e| e.grantor)
            .collect();
    }
    depth
}

/// Edges by either end.
struct Graph<'a> {
    users: HashMap<Id, Vec<&'a Use>>,
    used: HashMap<Id, Vec<&'a Use>>,
}

impl<'a> Graph<'a> {
    fn new(uses: &'a [Use]) -> Graph<'a> {
        let mut graph = Graph { users: HashMap::new(), used: HashMap::new() };
        for edge in uses {
            let Some(used) = &edge.used else { continue };
            graph.users.entry((used.class, used.oid)).or_default().push(edge);
            graph.used.entry((edge.user.class, edge.user.oid)).or_default().push(edge);
        }
        graph
    }

    fn users(&self, of: Id) -> impl Iterator<Item = &'a Use> + use<'a, '_> {
        self.users.get(&of).into_iter().flatten().copied()
    }

    fn used(&self, by: Id) -> impl Iterator<Item = (&'a Use, &'a Thing)> + use<'a, '_> {
        self.used.get(&by).into_iter().flatten().filter_map(|edge| Some((*edge, edge.used.as_ref()?)))
    }
}

fn id(object: &Object) -> Id {
    let class = match object.kind.object_kind() {
        ObjectKind::Routine => Class::Routine,
        ObjectKind::Type => Class::Type,
        ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Schema | ObjectKind::Database => Class::Relation,
    };
    (class, object.oid)
}

fn about(object: &Object) -> String {
    format!("{}:{}", object.kind.object_kind().singular(), object.name)
}

fn user(edge: &Use) -> Id {
    (edge.user.class, edge.user.oid)
}

/// Something of what goes ties the object to it.
fn touches(object: &Object, i: Id, graph: &Graph<'_>, going: &BTreeSet<Id>) -> bool {
    let serves = || graph.users(i).any(|e| e.through != Through::ForeignKey && going.contains(&user(e)));
    let takes = |through: &[Through]| {
        graph.used(i).any(|(e, used)| through.contains(&e.through) && going.contains(&(used.class, used.oid)))
    };
    match object.kind {
        Kind::Sequence | Kind::Type => serves(),
        Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => serves() || takes(&[Through::Itself]),
        Kind::View | Kind::MaterializedView => takes(&[Through::Query]),
        Kind::Table | Kind::Partitioned | Kind::Foreign => takes(&[Through::Part]),
    }
}

/// Why the object is not of what goes alone; `None` when it is.
fn straddles(
    object: &Object,
    i: Id,
    graph: &Graph<'_>,
    going: &BTreeSet<Id>,
    here: &HashMap<Id, &Object>,
    snapshot: &Snapshot,
) -> Option<String> {
    let name = |thing: &Thing| format!("{}.{}", snapshot.catalog.schema_name(thing.schema), thing.name);
    let others = || {
        let stays = |e: &&Use| !going.contains(&user(e)) && e.through != Through::ForeignKey;
        let list: BTreeSet<String> = graph.users(i).filter(stays).map(|e| name(&e.user)).collect();
        (!list.is_empty())
            .then(|| format!("is used by what stays, too: {}", text::list(&list.into_iter().collect::<Vec<_>>(), 4)))
    };
    let reads = |through: Through| {
        let stays = |used: &&Thing| {
            let of = (used.class, used.oid);
            here.contains_key(&of) && !going.contains(&of)
        };
        let uses = graph.used(i).filter(|(e, _)| e.through == through).map(|(_, used)| used);
        let list: BTreeSet<String> = uses.filter(stays).map(name).collect();
        (!list.is_empty())
            .then(|| format!("uses what stays, too: {}", text::list(&list.into_iter().collect::<Vec<_>>(), 4)))
    };
    match object.kind {
        Kind::Sequence | Kind::Type => others(),
        Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Window => {
            others().or_else(|| reads(Through::Itself))
        }
        Kind::View | Kind::MaterializedView => reads(Through::Query),
        Kind::Table | Kind::Partitioned | Kind::Foreign => None,
    }
}

/// `*` stands for any text, `?` for one character; nothing else is special.
#[must_use]
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some('?') => (p, n) = (p + 1, n + 1),
            Some(c) if name.get(n) == Some(c) => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

//! Why a role may, or may not, do something with an object: every path, or the missing link, and the smallest change.
//! The answer is what `has_*_privilege` says; whether it *works* (schema USAGE) is told beside it.

use super::{
    beneath::{Below, Beneath, Found},
    change::{Change, Grantee, On},
    closure::Edge,
    effective::{Matrix, Who},
    ending::{Ending, ending},
    ident::{Oid, qualified, quote_ident},
    privilege::{Acl, AclEntry, ObjectKind, Privilege, Privileges},
    rows::{Guarded, Rows, reads_none, rows},
    snapshot::{Catalog, ColumnGrant, Kind, Numbered, Object, Objects, Schema, SchemaObjects, Shapes},
};

/// What is asked about.
#[derive(Debug, Clone)]
pub enum Subject<'a> {
    Database,
    Schema(&'a Schema),
    Object(&'a Schema, &'a Object),
    /// A column of a relation.
    Column(&'a Schema, &'a Object, &'a str),
}

impl Subject<'_> {
    /// A column's is its relation's.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        match self {
            Subject::Database => ObjectKind::Database,
            Subject::Schema(_) => ObjectKind::Schema,
            Subject::Object(_, object) | Subject::Column(_, object, _) => object.kind.object_kind(),
        }
    }

    /// Every privilege that it can have.
    #[must_use]
    pub fn privileges(&self, version_num: u32) -> Privileges {
        match self {
            Subject::Column(..) => Privileges::COLUMN,
            Subject::Database | Subject::Schema(_) | Subject::Object(..) => self.kind().all(version_num),
        }
    }

    pub(super) fn schema(&self) -> Option<&Schema> {
        match self {
            Subject::Database => None,
            Subject::Schema(schema) | Subject::Object(schema, _) | Subject::Column(schema, _, _) => Some(schema),
        }
    }

    /// The object, or that of the column.
    #[must_use]
    pub fn object(&self) -> Option<(&Schema, &Object)> {
        match self {
            Subject::Database | Subject::Schema(_) => None,
            Subject::Object(schema, object) | Subject::Column(schema, object, _) => Some((schema, object)),
        }
    }

    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Subject::Column(_, _, column) => Some(column),
            Subject::Database | Subject::Schema(_) | Subject::Object(..) => None,
        }
    }

    /// As SQL names it: `public.campaigns`, `public.campaigns.note`.
    #[must_use]
    pub fn name(&self, catalog: &Catalog) -> String {
        match self.column() {
            Some(column) => format!("{}.{}", self.whole(catalog), quote_ident(column)),
            None => self.whole(catalog),
        }
    }

    /// The name of the whole, without a column.
    #[must_use]
    pub fn whole(&self, catalog: &Catalog) -> String {
        match self {
            Subject::Database => quote_ident(&catalog.database.name),
            Subject::Schema(schema) => quote_ident(&schema.name),
            Subject::Object(schema, object) | Subject::Column(schema, object, _) => object_name(schema, object),
        }
    }

    /// `table`, `schema`, `materialized view`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Subject::Database => "database",
            Subject::Schema(_) => "schema",
            Subject::Object(_, object) => object.kind.word(),
            Subject::Column(..) => "column",
        }
    }

    pub(super) fn owner_and_acl<'s>(&'s self, catalog: &'s Catalog) -> (Oid, &'s Acl) {
        match self {
            Subject::Database => (catalog.database.owner, &catalog.database.acl),
            Subject::Schema(schema) => (schema.owner, &schema.acl),
            Subject::Object(_, object) | Subject::Column(_, object, _) => (object.owner, &object.acl),
        }
    }

    /// What GRANT names: the column alone, where one is asked about.
    fn on(&self, catalog: &Catalog) -> On {
        match self {
            Subject::Column(schema, object, column) => On::Columns {
                schema: schema.name.clone(),
                relation: object.name.clone(),
                columns: vec![(*column).to_owned()],
            },
            Subject::Database | Subject::Schema(_) | Subject::Object(..) => self.object_on(catalog),
        }
    }

    /// What GRANT names as a whole.
    pub(super) fn object_on(&self, catalog: &Catalog) -> On {
        match self {
            Subject::Database => On::Database(catalog.database.name.clone()),
            Subject::Schema(schema) => On::Schema(schema.name.clone()),
            Subject::Object(schema, object) | Subject::Column(schema, object, _) => On::Objects {
                kind: object.kind.object_kind(),
                schema: schema.name.clone(),
                names: vec![object.name.clone()],
            },
        }
    }
}

fn object_name(schema: &Schema, object: &Object) -> String {
    if object.kind.object_kind() == ObjectKind::Routine {
        let (name, arguments) = object.name.split_once('(').unwrap_or((&object.name, ")"));
        return format!("{}({arguments}", qualified(&schema.name, name));
    }
    qualified(&schema.name, &object.name)
}

/// The end of a path: what the last role on it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The role is a superuser.
    Superuser,
    /// An entry of the object's ACL.
    Entry { grantee: String, grantor: String, grantable: bool, owner: bool },
    /// The ACL is NULL: the owner has everything.
    OwnerByDefault,
    /// The ACL is NULL: PUBLIC's built-in share.
    PublicByDefault,
    /// A predefined role.
    Predefined(String),
}

/// One way by which a role comes to a privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Groups on the way, nearest first; empty when the role itself (or PUBLIC) holds it.
    pub groups: Vec<Hop>,
    pub source: Source,
    /// An entry of the column's own list; else of the whole.
    pub column: bool,
}

/// One membership on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    pub role: String,
    pub inherits: bool,
    pub implicit: bool,
}

/// The answer for one privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub privilege: Privilege,
    /// What `has_*_privilege` answers.
    pub held: bool,
    /// Held, the schema may be used too, nothing that a view asks for beneath it is lacking, and row level security does not
    /// refuse every new row.
    pub works: bool,
    /// It works, and row level security lets no row through: no policy is for the role and the statement.
    pub no_row: bool,
    /// It is there, and not everything was told that decides whether the statement works beneath a view.
    pub unsure: bool,
    /// Every path, shortest first; empty when not held.
    pub paths: Vec<Path>,
    /// Paths that need SET ROLE first: not part of the answer.
    pub by_set_role: Vec<Path>,
    /// The missing link in words, when not held or not working.
    pub missing: Option<String>,
    /// The smallest changes that give it, or that end it when it is held. Empty where only a person can decide.
    pub fix: Vec<Change>,
    /// What else belongs to the truth: row level security, column grants, security definer.
    pub notes: Vec<String>,
    /// Columns on which a column grant gives the privilege that is not held on the whole relation.
    pub columns: Vec<String>,
    /// What besides the privilege is needed in some cases, and is not there.
    pub lacks: Vec<Lack>,
    /// Of a view: what the statement asks for beneath it.
    pub beneath: Vec<Beneath>,
    /// Who else loses something when `fix` ends it.
    pub others: Vec<String>,
}

/// Something that is needed besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What fails without it, and how.
    pub sentence: String,
    /// The smallest change that gives it.
    pub fix: Vec<Change>,
}

impl Verdict {
    /// Some row can be put in, as far as the relation itself goes.
    fn inserts(&self) -> bool {
        self.held || !self.columns.is_empty()
    }

    /// Where INSERT itself is not held yet: what gives it gives the sequences of the defaults too, lest it fail the next time.
    fn give_what_it_lacks(&mut self) {
        for lack in std::mem::take(&mut self.lacks) {
            for change in lack.fix {
                let Change::Grant { on: On::Objects { schema, names, .. }, .. } = &change else { continue };
                let sequences: Vec<String> = names.iter().map(|name| qualified(schema, name)).collect();
                self.notes.push(format!(
                    "A default takes the next number of {}: who inserts needs USAGE there, too.",
                    sequences.join(", ")
                ));
                self.fix.push(change);
            }
        }
    }
}

/// Columns of a relation that take the next number of a sequence where an INSERT leaves them out, though `who` may not take
/// it: `nextval` asks for USAGE or UPDATE of whoever runs the INSERT. Empty where defaults were not read.
#[must_use]
pub fn lacking<'a>(
    catalog: &Catalog,
    matrix: &Matrix,
    objects: &'a Objects,
    who: Who,
    schema: &Schema,
    object: &Object,
) -> Vec<&'a Numbered> {
    let enough = Privileges::of(&[Privilege::Usage, Privilege::Update]);
    let numbered = objects.0.get(&schema.oid).map(|o| o.numbered.as_slice()).unwrap_or_default();
    let of_table = numbered.iter().filter(|n| n.table == object.oid);
    of_table
        .filter(|n| matrix.rights(catalog, who, ObjectKind::Sequence, n.owner, &n.acl).and(enough).is_empty())
        .collect()
}

/// One sentence for each sequence.
fn lacks(
    catalog: &Catalog,
    matrix: &Matrix,
    objects: &Objects,
    who: Who,
    schema: &Schema,
    object: &Object,
) -> Vec<Lack> {
    let name = match who {
        Who::Public => "PUBLIC".to_owned(),
        Who::Role(role) => role_name(catalog, role),
    };
    let to = || match who {
        Who::Public => Grantee::Public,
        Who::Role(_) => Grantee::Role(name.clone()),
    };
    let mut lacking = lacking(catalog, matrix, objects, who, schema, object);
    lacking.sort_by(|a, b| (&a.schema, &a.sequence).cmp(&(&b.schema, &b.sequence)));
    let alike = lacking.chunk_by(|a, b| (&a.schema, &a.sequence) == (&b.schema, &b.sequence));
    let told = alike.filter_map(|columns| {
        let first = columns.first()?;
        let quoted: Vec<String> = columns.iter().map(|n| quote_ident(&n.column)).collect();
        let (word, their) = if quoted.len() == 1 { ("column", "its default") } else { ("columns", "their defaults") };
        let takes = if quoted.len() == 1 { "takes" } else { "take" };
        Some(Lack {
            sentence: format!(
                "An INSERT that leaves out the {word} {} fails with \"permission denied for sequence {}\": {their} {takes} the \
                 next number of {}, on which {name} has neither USAGE nor UPDATE.",
                crate::text::list(&quoted, 4),
                first.sequence,
                qualified(&first.schema, &first.sequence),
            ),
            fix: vec![Change::Grant {
                privileges: Privilege::Usage.into(),
                on: On::Objects {
                    kind: ObjectKind::Sequence,
                    schema: first.schema.clone(),
                    names: vec![first.sequence.clone()],
                },
                to: to(),
            }],
        })
    });
    told.collect()
}

/// Explains one privilege, or each that the object knows when `privilege` is `None`.
#[must_use]
pub fn explain(
    catalog: &Catalog,
    matrix: &Matrix,
    shapes: Option<&Shapes>,
    objects: &Objects,
    who: Who,
    subject: &Subject<'_>,
    privilege: Option<Privilege>,
) -> Vec<Verdict> {
    let asked: Vec<Privilege> = match privilege {
        Some(p) => vec![p],
        None => subject.privileges(matrix.version_num).iter().collect(),
    };
    let answer = |p: Privilege| {
        let found = subject.object().and_then(|(schema, object)| {
            Below { catalog, matrix, shapes, objects, who, privilege: p }.find(schema, object)
        });
        let mut verdict = verdict(catalog, matrix, shapes, who, subject, p, found.as_ref());
        if let Some((schema, object)) = subject.object()
            && p == Privilege::Insert
            && (verdict.inserts() || !verdict.fix.is_empty())
        {
            verdict.lacks = lacks(catalog, matrix, objects, who, schema, object);
            if let Some(found) = &found {
                through(catalog, matrix, objects, who, found, &mut verdict);
            }
            if !verdict.inserts() {
                verdict.give_what_it_lacks();
            }
        }
        verdict.lacks.extend(to_read(catalog, matrix, shapes, who, subject, &verdict));
        verdict
    };
    asked.into_iter().map(answer).collect()
}

/// An UPDATE or a DELETE asks for SELECT on the columns that it reads: most have a WHERE. Told where it is not there, and the
/// statement itself works.
fn to_read(
    catalog: &Catalog,
    matrix: &Matrix,
    shapes: Option<&Shapes>,
    who: Who,
    subject: &Subject<'_>,
    verdict: &Verdict,
) -> Option<Lack> {
    let privilege = verdict.privilege;
    let (schema, object) = subject.object().filter(|_| verdict.works)?;
    let reads = matches!(privilege, Privilege::Update | Privilege::Delete);
    let held = matrix.rights(catalog, who, object.kind.object_kind(), object.owner, &object.acl);
    if !reads || object.kind.object_kind() != ObjectKind::Table || held.contains(Privilege::Select) {
        return None;
    }
    let (name, to) = match who {
        Who::Public => ("PUBLIC".to_owned(), Grantee::Public),
        Who::Role(role) => (role_name(catalog, role), Grantee::Role(role_name(catalog, role))),
    };
    let whole = Change::Grant {
        privileges: Privilege::Select.into(),
        on: On::Objects { kind: ObjectKind::Table, schema: schema.name.clone(), names: vec![object.name.clone()] },
        to,
    };
    // which columns that leaves, and whether any, is not known here: then only a person can say what should be granted
    let columns = granted_columns(catalog, matrix, shapes?, who, object.oid, Privilege::Select);
    let quoted: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
    let has = if quoted.is_empty() {
        format!("{name} has none: it fails")
    } else {
        format!("{name} has it on {}; where it reads another one, it fails", crate::text::list(&quoted, 8))
    };
    let (article, value) = match privilege {
        Privilege::Update => ("An", ", or a new value made from an old one,"),
        _ => ("A", ""),
    };
    Some(Lack {
        sentence: format!(
            "{article} {privilege} with a WHERE{value} asks for SELECT on the columns that it reads, and {has} \
             with \"permission denied for {} {}\".",
            match object.kind {
                Kind::View => "view",
                Kind::Foreign => "foreign table",
                _ => "table",
            },
            object.name,
        ),
        fix: if quoted.is_empty() { vec![whole] } else { Vec::new() },
    })
}

/// What an INSERT through a view needs of the table that it ends in: the next number of a sequence is asked of whoever runs
/// it, not of the view's owner. A default of the view's own column comes before the table's.
fn through(catalog: &Catalog, matrix: &Matrix, objects: &Objects, who: Who, found: &Found, verdict: &mut Verdict) {
    let Some((schema, table)) = found.target else { return };
    let (Some(of), Some(schema)) = (objects.0.get(&schema), catalog.schema(schema)) else {
        let place = catalog.schema_name(schema);
        verdict.notes.push(format!(
            "The objects of {place} have not been read: whether the INSERT needs a sequence there is unknown."
        ));
        return;
    };
    let Some(object) = of.relations.iter().find(|o| o.oid == table) else { return };
    let numbered = of.numbered.iter().filter(|n| n.table == table && !found.defaults.contains(&n.column));
    let of = SchemaObjects { numbered: numbered.cloned().collect(), ..SchemaObjects::default() };
    let left = Objects([(schema.oid, std::sync::Arc::new(of))].into());
    verdict.lacks.extend(lacks(catalog, matrix, &left, who, schema, object));
}

fn role_name(catalog: &Catalog, position: usize) -> String {
    catalog.roles.get(position).map(|r| r.name.clone()).unwrap_or_default()
}

fn hops(catalog: &Catalog, edges: &[Edge]) -> Vec<Hop> {
    edges.iter().map(|e| Hop { role: role_name(catalog, e.role), inherits: e.inherit, implicit: e.implicit }).collect()
}

/// Paths to one privilege: those in effect, and those that need SET ROLE. `column`: the column's own list.
fn paths(
    catalog: &Catalog,
    matrix: &Matrix,
    who: Who,
    subject: &Subject<'_>,
    column: Option<&Acl>,
    privilege: Privilege,
) -> (Vec<Path>, Vec<Path>) {
    let (mut effective, mut reach) = (Vec::new(), Vec::new());
    let (kind, (owner, acl)) = (subject.kind(), subject.owner_and_acl(catalog));
    let of_whole = acl.in_force(kind, owner, matrix.version_num);
    let of_column = column.and_then(|acl| acl.0.as_deref()).unwrap_or_default();
    let entries = || {
        let own = of_column.iter().map(|e| (e, true));
        let entries = of_whole.entries().iter().map(|e| (e, false)).chain(own);
        entries.filter(|(e, _)| e.privileges.contains(privilege))
    };
    let source = |e: &AclEntry, own: bool| {
        let listed = if own { column.unwrap_or(acl) } else { acl };
        source(catalog, listed, owner, e, privilege)
    };
    let Who::Role(role) = who else {
        let held = entries().filter(|(e, _)| e.is_public());
        effective.extend(held.map(|(e, own)| Path { groups: Vec::new(), source: source(e, own), column: own }));
        return (effective, reach);
    };
    if catalog.roles.get(role).is_some_and(|r| r.superuser) {
        effective.push(Path { groups: Vec::new(), source: Source::Superuser, column: false });
    }
    let holders = entries().map(|(e, own)| {
        let grantee = if e.is_public() { Some(role) } else { matrix.closure.position(e.grantee) };
        (grantee, source(e, own), own)
    });
    let predefined = predefined_roles(kind, privilege).iter().filter_map(|name| {
        matrix.index.role_named(name).map(|i| (Some(i), Source::Predefined((*name).to_owned()), false))
    });
    for (grantee, source, column) in holders.chain(predefined) {
        let Some(grantee) = grantee else { continue };
        if let Some(edges) = matrix.closure.path(role, grantee, |e| e.inherit) {
            effective.push(Path { groups: hops(catalog, &edges), source, column });
        } else if let Some((_, edges)) = by_set_role(matrix, role, grantee) {
            reach.push(Path { groups: hops(catalog, &edges), source, column });
        }
    }
    if effective.is_empty() {
        reach.extend(becoming_superuser(catalog, matrix, role));
    }
    effective.sort_by_key(|p| p.groups.len());
    // a superuser may do more than any group
    reach.sort_by_key(|p| (p.source != Source::Superuser, p.groups.len()));
    (effective, reach)
}

/// The role to become by SET ROLE so that a group's privileges are inherited, and the way: SET ROLE goes over memberships
/// with SET alone, and what was become inherits what it inherits.
fn by_set_role(matrix: &Matrix, role: usize, group: usize) -> Option<(usize, Vec<Edge>)> {
    let ways = matrix.closure.settable(role).into_iter().filter_map(|became| {
        let mut edges = matrix.closure.path(role, became, |e| e.set && !e.implicit)?;
        edges.extend(matrix.closure.path(became, group, |e| e.inherit)?);
        Some((became, edges))
    });
    ways.min_by_key(|(_, edges)| edges.len())
}

/// The shortest way to a superuser by SET ROLE: SUPERUSER is never inherited.
fn becoming_superuser(catalog: &Catalog, matrix: &Matrix, role: usize) -> Option<Path> {
    let superuser = |became: &usize| catalog.roles.get(*became).is_some_and(|r| r.superuser);
    let ways = matrix.closure.settable(role).into_iter().filter(superuser);
    let shortest = ways.filter_map(|became| matrix.closure.path(role, became, |e| e.set && !e.implicit));
    let mut groups = hops(catalog, &shortest.min_by_key(Vec::len)?);
    groups.last_mut()?.inherits = false;
    Some(Path { groups, source: Source::Superuser, column: false })
}

/// Predefined roles that give a privilege on every object of a kind, as far as this server knows them.
fn predefined_roles(kind: ObjectKind, privilege: Privilege) -> &'static [&'static str] {
    match (kind, privilege) {
        (ObjectKind::Table | ObjectKind::Sequence, Privilege::Select) => &["pg_read_all_data"],
        (ObjectKind::Table | ObjectKind::Sequence, Privilege::Insert | Privilege::Update | Privilege::Delete) => {
            &["pg_write_all_data"]
        }
        (ObjectKind::Table, Privilege::Maintain) => &["pg_maintain"],
        (ObjectKind::Schema, Privilege::Usage) => &["pg_read_all_data", "pg_write_all_data"],
        _ => &[],
    }
}

fn source(catalog: &Catalog, acl: &Acl, owner: Oid, entry: &AclEntry, privilege: Privilege) -> Source {
    match (&acl.0, entry.is_public()) {
        (None, true) => Source::PublicByDefault,
        (None, false) => Source::OwnerByDefault,
        (Some(_), _) => Source::Entry {
            grantee: catalog.role_name(entry.grantee),
            grantor: catalog.role_name(entry.grantor),
            grantable: entry.grantable.contains(privilege),
            owner: entry.grantee == owner,
        },
    }
}

/// The column's own list, where a column is asked about and one was read.
fn own_list<'a>(subject: &Subject<'_>, shapes: Option<&'a Shapes>) -> Option<&'a ColumnGrant> {
    let ((_, object), column) = (subject.object()?, subject.column()?);
    shapes?.column_grants.iter().find(|g| g.relation_oid == object.oid && g.column == column)
}

/// What `has_*_privilege` answers: of a column, the whole's right is enough.
fn has(
    catalog: &Catalog,
    matrix: &Matrix,
    who: Who,
    subject: &Subject<'_>,
    column: Option<&ColumnGrant>,
    privilege: Privilege,
) -> bool {
    let (owner, acl) = subject.owner_and_acl(catalog);
    matrix.rights(catalog, who, subject.kind(), owner, acl).contains(privilege)
        || column.is_some_and(|g| column_rights(catalog, matrix, who, g).contains(privilege))
}

/// Has USAGE on the schema of an object; of what stands in none, nothing is needed.
fn may_use_schema(catalog: &Catalog, matrix: &Matrix, who: Who, subject: &Subject<'_>) -> bool {
    subject.object().is_none_or(|(schema, _)| {
        matrix.rights(catalog, who, ObjectKind::Schema, schema.owner, &schema.acl).contains(Privilege::Usage)
    })
}

fn verdict(
    catalog: &Catalog,
    matrix: &Matrix,
    shapes: Option<&Shapes>,
    who: Who,
    subject: &Subject<'_>,
    privilege: Privilege,
    found: Option<&Found>,
) -> Verdict {
    let own = own_list(subject, shapes);
    let held = has(catalog, matrix, who, subject, own, privilege);
    let (effective, by_set_role) = paths(catalog, matrix, who, subject, own.map(|g| &g.acl), privilege);
    let usable = may_use_schema(catalog, matrix, who, subject);
    let name = match who {
        Who::Public => "PUBLIC".to_owned(),
        Who::Role(role) => role_name(catalog, role),
    };
    let there = match who {
        Who::Role(role) if !by_set_role.is_empty() => {
            works_after_set_role(catalog, matrix, role, subject, own, privilege)
        }
        Who::Role(_) | Who::Public => false,
    };
    let asked =
        Asked { catalog, who, name: &name, subject, privilege, held, usable, by_set_role: &by_set_role, there, found };
    let columns = match (subject, shapes) {
        (Subject::Object(_, object), Some(shapes)) if !held => {
            granted_columns(catalog, matrix, shapes, who, object.oid, privilege)
        }
        _ => Vec::new(),
    };
    let guarded = subject.object().map(|(schema, object)| Guarded::object(schema, object));
    let rows = guarded.map(|guarded| rows(catalog, matrix, who, &guarded, privilege));
    let beneath_refused = found.and_then(|found| found.refused.clone());
    let refused = match &rows {
        Some(Rows::Refused(why)) if held => Some(why.clone()),
        _ => beneath_refused.clone(),
    };
    let never = subject.object().and_then(|(_, object)| never(object.kind, privilege));
    let works = held && usable && never.is_none() && refused.is_none() && !found.is_some_and(Found::fails);
    let missing = asked.missing().or(refused);
    // no grant lets work what is refused to whoever has the right
    let (fix, others) = if never.is_some() || beneath_refused.is_some() {
        (Vec::new(), Vec::new())
    } else if works {
        let Ending { changes, others } = ending(catalog, matrix, shapes, who, subject, privilege);
        let others = if changes.is_empty() { Vec::new() } else { others };
        (changes, others)
    } else {
        (asked.giving(), Vec::new())
    };
    let mut notes = notes(catalog, subject, privilege, (held, shapes.map(|_| columns.as_slice())));
    let of_rows = rows.iter().filter_map(|rows| row_note(rows, privilege, held));
    let of_rows: Vec<String> =
        of_rows.chain(reading_note(catalog, matrix, who, subject, privilege, (held, rows.as_ref()))).collect();
    notes.splice(0..0, of_rows);
    notes.extend(found.iter().flat_map(|f| f.rows.iter().chain(&f.unknown).cloned()));
    notes.extend(never.map(str::to_owned));
    notes.extend(beneath_refused.filter(|why| missing.as_ref() != Some(why)));
    Verdict {
        privilege,
        held,
        works,
        no_row: works && (matches!(rows, Some(Rows::None(_))) || found.is_some_and(|found| found.no_row)),
        unsure: works && found.is_some_and(Found::is_unsure),
        paths: effective,
        by_set_role,
        missing,
        fix,
        notes,
        columns,
        lacks: Vec::new(),
        beneath: found.map(|f| f.asked.clone()).unwrap_or_default(),
        others,
    }
}

/// Why no right on a relation of this kind lets the statement work: it holds, and the server refuses what it is for.
fn never(kind: Kind, privilege: Privilege) -> Option<&'static str> {
    use Privilege::{Delete, Insert, Truncate, Update};
    match (kind, privilege) {
        (Kind::MaterializedView, Insert | Update | Delete | Truncate) => Some(
            "A materialized view takes no INSERT, UPDATE, DELETE or TRUNCATE, whoever has the right: REFRESH fills it.",
        ),
        (Kind::View, Truncate) => Some("TRUNCATE takes tables alone: no right on a view lets it work."),
        _ => None,
    }
}

/// A role that SET ROLE leads to has the privilege, and may use the schema.
fn works_after_set_role(
    catalog: &Catalog,
    matrix: &Matrix,
    role: usize,
    subject: &Subject<'_>,
    own: Option<&ColumnGrant>,
    privilege: Privilege,
) -> bool {
    matrix
        .closure
        .settable(role)
        .into_iter()
        .map(Who::Role)
        .any(|who| may_use_schema(catalog, matrix, who, subject) && has(catalog, matrix, who, subject, own, privilege))
}

/// What is asked about one privilege, and what is known of the answer.
struct Asked<'a> {
    catalog: &'a Catalog,
    who: Who,
    name: &'a str,
    subject: &'a Subject<'a>,
    privilege: Privilege,
    held: bool,
    /// The schema around it may be used.
    usable: bool,
    by_set_role: &'a [Path],
    /// SET ROLE is enough for it to work.
    there: bool,
    /// What a view asks for beneath it.
    found: Option<&'a Found>,
}

impl Asked<'_> {
    /// What stands in the way, in words; `None` where nothing does.
    fn missing(&self) -> Option<String> {
        let Asked { catalog, who, name, subject, privilege, held, usable, by_set_role, there, found } = *self;
        let schema = subject.schema().map(|s| quote_ident(&s.name)).unwrap_or_default();
        match (held, usable) {
            (true, true) => found.and_then(|found| beneath_fails(privilege, found)),
            (true, false) => Some(format!(
                "{name} holds {privilege}, but has no USAGE on schema {schema}: the grant is dead until it has. The error will \
                 be \"permission denied for schema\", or \"relation does not exist\" for an unqualified name."
            )),
            (false, _) => {
                if let Some(Path { groups, source: Source::Superuser, .. }) = by_set_role.first() {
                    let superuser = groups.last().map(|h| h.role.as_str()).unwrap_or_default();
                    return Some(format!(
                        "{name} does not hold {privilege}, but may become {superuser}, a superuser, with SET ROLE: nothing is \
                         refused to it after that."
                    ));
                }
                if let Some(path) = by_set_role.first() {
                    let also = if there { "" } else { ", but no USAGE on its schema" };
                    let stop = path.groups.iter().find(|h| !h.inherits).map(|h| h.role.clone()).unwrap_or_default();
                    return Some(format!(
                        "{name} is a member of {stop} but does not inherit its privileges: it would have {privilege} after SET \
                         ROLE{also}."
                    ));
                }
                let also = if usable { "" } else { ", and USAGE on its schema is missing too" };
                let others = if who == Who::Public { "" } else { ", to PUBLIC, or to a role it inherits from" };
                Some(format!(
                    "No entry gives {privilege} on {} {} to {name}{others}{also}.",
                    subject.word(),
                    subject.name(catalog)
                ))
            }
        }
    }

    /// The smallest change that gives it.
    fn giving(&self) -> Vec<Change> {
        let Asked { catalog, who, name, subject, privilege, held, usable, .. } = *self;
        let to = match who {
            Who::Public => Grantee::Public,
            Who::Role(_) => Grantee::Role(name.to_owned()),
        };
        let mut changes = Vec::new();
        if let (false, Some(schema)) = (usable, subject.schema()) {
            changes.push(Change::Grant {
                privileges: Privilege::Usage.into(),
                on: On::Schema(schema.name.clone()),
                to: to.clone(),
            });
        }
        if !held {
            changes.push(Change::Grant { privileges: privilege.into(), on: subject.on(catalog), to });
        }
        for change in self.found.iter().flat_map(|f| &f.asked).flat_map(|b| &b.fix) {
            if !changes.contains(change) {
                changes.push(change.clone());
            }
        }
        changes
    }
}

/// The view's own right is there, and the statement fails beneath it.
fn beneath_fails(privilege: Privilege, found: &Found) -> Option<String> {
    let lacking: Vec<String> = found.asked.iter().filter(|b| b.fails()).map(|b| format!("no {}", b.words())).collect();
    let may = match privilege {
        Privilege::Select => "The view may be read",
        _ => "The view may be written to",
    };
    (!lacking.is_empty())
        .then(|| format!("{may}, and the {privilege} fails all the same: {}.", crate::text::list(&lacking, 6)))
}

/// What row level security makes of it; of a right that is not held, only what no grant would change.
fn row_note(rows: &Rows, privilege: Privilege, held: bool) -> Option<String> {
    let said = match rows {
        Rows::Refused(why) if !held => return Some(why.clone()),
        Rows::Free | Rows::Refused(_) => return None,
        Rows::None(why) => return Some(why.clone()),
        Rows::Some | Rows::Bypassed if !held => return None,
        Rows::Bypassed => "Row level security is on, but does not bind this role: it sees and writes every row.",
        Rows::Some if privilege == Privilege::Insert => {
            "Row level security is on: a new row that no policy for INSERT lets through is refused with an error."
        }
        Rows::Some if privilege == Privilege::Update => {
            "Row level security is on: the role changes those rows that a policy lets through; where none does, it finds no row, \
             without an error, and a new row that no policy lets through is refused with one."
        }
        Rows::Some => {
            "Row level security is on: the role sees and writes those rows that a policy lets through; where none does, it \
             finds no row, without an error."
        }
    };
    Some(said.to_owned())
}

/// Where the policies for the statement itself let rows through, and those for SELECT none.
fn reading_note(
    catalog: &Catalog,
    matrix: &Matrix,
    who: Who,
    subject: &Subject<'_>,
    privilege: Privilege,
    (held, rows): (bool, Option<&Rows>),
) -> Option<String> {
    let (_, object) = subject.object().filter(|_| held && rows == Some(&Rows::Some))?;
    reads_none(catalog, matrix, who, object, privilege)
}

/// `columns`: those on which the privilege is granted, where that was read.
fn notes(
    catalog: &Catalog,
    subject: &Subject<'_>,
    privilege: Privilege,
    (held, columns): (bool, Option<&[String]>),
) -> Vec<String> {
    let mut notes = Vec::new();
    let Some((_, object)) = subject.object() else { return notes };
    if !held && object.kind.object_kind() == ObjectKind::Table {
        match columns {
            None => notes.push("Column grants have not been read.".to_owned()),
            Some([]) => {}
            Some(columns) => {
                let quoted: Vec<String> = columns.iter().map(|c| quote_ident(c)).collect();
                notes.push(format!(
                    "It holds {privilege} on single columns: {}. They do not show in the table's own list.",
                    crate::text::list(&quoted, 8)
                ));
            }
        }
    }
    if object.kind == Kind::MaterializedView && held && privilege == Privilege::Select {
        notes.push(format!(
            "A materialized view holds what its owner, {}, could read at the last REFRESH: nothing beneath it is asked for.",
            catalog.role_name(object.owner)
        ));
    }
    notes
}

/// What `who` holds on a column by its own list; nothing is held there by default or by a predefined role.
#[must_use]
pub fn column_rights(catalog: &Catalog, matrix: &Matrix, who: Who, grant: &ColumnGrant) -> Privileges {
    if grant.acl.0.is_none() {
        return Privileges::NONE;
    }
    matrix.rights(catalog, who, ObjectKind::Type, grant.owner, &grant.acl)
}

/// Columns of a relation on which `who` holds a privilege by a column grant.
#[must_use]
pub fn granted_columns(
    catalog: &Catalog,
    matrix: &Matrix,
    shapes: &Shapes,
    who: Who,
    relation: Oid,
    privilege: Privilege,
) -> Vec<String> {
    let holds = |grant: &&ColumnGrant| {
        grant.relation_oid == relation && column_rights(catalog, matrix, who, grant).contains(privilege)
    };
    shapes.column_grants.iter().filter(holds).map(|g| g.column.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::snapshot::{Membership, Role, Server};

    fn role(oid: u32, name: &str, inherit: bool) -> Role {
        Role { oid: Oid(oid), name: name.into(), inherit, login: true, ..Role::default() }
    }

    fn world(inherit: bool, usage: bool) -> (Catalog, Object) {
        let usage_entry = AclEntry {
            grantee: Oid(2),
            grantor: Oid(1),
            privileges: Privilege::Usage.into(),
            grantable: Privileges::NONE,
        };
        let catalog = Catalog {
            roles: vec![role(1, "engarde_user", true), role(2, "onside_user", inherit), role(3, "team", true)],
            memberships: vec![Membership {
                role: Oid(3),
                member: Oid(2),
                grantor: Oid(1),
                inherit,
                set: true,
                admin: false,
            }],
            schemas: vec![Schema {
                oid: Oid(100),
                name: "public".into(),
                owner: Oid(1),
                acl: Acl::from_entries(if usage { vec![usage_entry] } else { vec![] }),
                extension: false,
            }],
            ..Catalog::default()
        };
        let object = Object {
            oid: Oid(200),
            kind: Kind::Table,
            name: "campaigns".into(),
            owner: Oid(1),
            acl: Acl::from_entries(vec![AclEntry {
                grantee: Oid(3),
                grantor: Oid(1),
                privileges: Privilege::Insert.into(),
                grantable: Privileges::NONE,
            }]),
            extension: false,
            rls: false,
            force_rls: false,
            owned_by: None,
            rows_estimate: None,
        };
        (catalog, object)
    }

    fn ask(catalog: &Catalog, object: &Object, privilege: Privilege) -> Verdict {
        let matrix = Matrix::new(catalog, &Server { version_num: 150_000, ..Server::default() });
        let subject = Subject::Object(&catalog.schemas[0], object);
        explain(catalog, &matrix, None, &Objects::default(), Who::Role(1), &subject, Some(privilege)).remove(0)
    }

    #[test]
    fn a_path_through_a_group_is_ended_at_the_membership() {
        let (catalog, object) = world(true, true);
        let verdict = ask(&catalog, &object, Privilege::Insert);
        assert!(verdict.held && verdict.works);
        assert_eq!(verdict.paths[0].groups[0].role, "team");
        assert_eq!(
            verdict.fix,
            vec![Change::RevokeRole { role: "team".into(), member: "onside_user".into(), grantor: None }]
        );
    }

    #[test]
    fn what_set_role_brings_is_not_said_to_be_missing() {
        let (mut catalog, object) = world(false, false);
        catalog.schemas[0].owner = Oid(3);
        catalog.schemas[0].acl = Acl::NULL;
        let verdict = ask(&catalog, &object, Privilege::Insert);
        assert!(!verdict.held && verdict.missing.unwrap().ends_with("it would have INSERT after SET ROLE."));
        // not INHERIT, which would turn on whatever its groups may do anywhere
        assert!(verdict.fix.iter().all(|c| matches!(c, Change::Grant { .. })), "{:?}", verdict.fix);
        // a membership that only inherits does not lead on by SET ROLE
        catalog.roles.push(role(4, "between", true));
        catalog.memberships[0].member = Oid(4);
        let only_inherits =
            Membership { role: Oid(4), member: Oid(2), inherit: true, set: false, ..catalog.memberships[0] };
        catalog.memberships.push(only_inherits);
        let verdict = ask(&catalog, &object, Privilege::Insert);
        assert!(verdict.by_set_role.is_empty() && verdict.missing.unwrap().starts_with("No entry gives INSERT"));
    }

    #[test]
    fn public_is_named_once() {
        let (catalog, object) = world(true, true);
        let matrix = Matrix::new(&catalog, &Server { version_num: 150_000, ..Server::default() });
        let subject = Subject::Object(&catalog.schemas[0], &object);
        let verdicts =
            explain(&catalog, &matrix, None, &Objects::default(), Who::Public, &subject, Some(Privilege::Insert));
        let missing = verdicts[0].missing.clone().unwrap();
        assert!(missing.contains(" to PUBLIC, and USAGE on its schema is missing too."), "{missing}");
    }

    #[test]
    fn an_insert_that_lacks_the_sequence_is_held_and_said_to_fail() {
        let (catalog, object) = world(true, true);
        let acl = |privilege: Privilege| {
            let entry = AclEntry {
                grantee: Oid(3),
                grantor: Oid(1),
                privileges: privilege.into(),
                grantable: Privileges::NONE,
            };
            Acl::from_entries(vec![entry])
        };
        let ask = |who: Who, acl: Acl| {
            let numbered = Numbered {
                table: object.oid,
                column: "id".into(),
                schema: "public".into(),
                sequence: "campaigns_id_seq".into(),
                owner: Oid(1),
                acl,
            };
            let of = super::super::snapshot::SchemaObjects { numbered: vec![numbered], ..Default::default() };
            let objects = Objects([(Oid(100), std::sync::Arc::new(of))].into());
            let matrix = Matrix::new(&catalog, &Server { version_num: 150_000, ..Server::default() });
            let subject = Subject::Object(&catalog.schemas[0], &object);
            explain(&catalog, &matrix, None, &objects, who, &subject, Some(Privilege::Insert)).remove(0)
        };
        let verdict = ask(Who::Role(1), acl(Privilege::Select));
        assert!(verdict.held && verdict.works && verdict.lacks.len() == 1);
        let Lack { sentence, fix } = &verdict.lacks[0];
        assert!(sentence.contains("leaves out the column id fails"), "{sentence}");
        assert!(sentence.contains("public.campaigns_id_seq, on which onside_user has neither USAGE nor UPDATE"));
        let on =
            On::Objects { kind: ObjectKind::Sequence, schema: "public".into(), names: vec!["campaigns_id_seq".into()] };
        let to = Grantee::Role("onside_user".into());
        assert_eq!(fix, &vec![Change::Grant { privileges: Privilege::Usage.into(), on, to }]);
        for enough in [Privilege::Usage, Privilege::Update] {
            assert!(ask(Who::Role(1), acl(enough)).lacks.is_empty(), "{enough}, through the group");
        }
        let verdict = ask(Who::Public, Acl::NULL);
        assert!(!verdict.held && verdict.lacks.is_empty(), "what may not be inserted lacks nothing");
        let given = |change: &Change| matches!(change, Change::Grant { on: On::Objects { kind, .. }, .. } if *kind == ObjectKind::Sequence);
        assert_eq!(
            verdict.fix.iter().filter(|c| given(c)).count(),
            1,
            "it is given with the INSERT: {:?}",
            verdict.fix
        );
        assert!(verdict.notes.iter().any(|n| n.contains("public.campaigns_id_seq: who inserts needs USAGE")));
    }

    #[test]
    fn a_missing_link_is_named() {
        let (catalog, object) = world(false, true);
        let verdict = ask(&catalog, &object, Privilege::Insert);
        assert!(!verdict.held);
        assert_eq!(verdict.by_set_role.len(), 1);
        assert!(verdict.missing.as_deref().unwrap_or_default().contains("does not inherit"));
        assert!(verdict.missing.unwrap().contains("but no USAGE on its schema"), "nor has the group");
        let (catalog, object) = world(true, false);
        let verdict = ask(&catalog, &object, Privilege::Insert);
        assert!(verdict.held && !verdict.works, "a grant without USAGE is dead");
        assert_eq!(verdict.fix.len(), 1);
    }

    #[test]
    fn what_no_right_lets_work_is_no_yes() {
        let (catalog, object) = world(true, true);
        assert!(ask(&catalog, &object, Privilege::Insert).works);
        let filled = Object { kind: Kind::MaterializedView, ..object };
        let verdict = ask(&catalog, &filled, Privilege::Insert);
        assert!(verdict.held && !verdict.works && verdict.fix.is_empty(), "{verdict:?}");
        assert!(verdict.notes.iter().any(|n| n.contains("REFRESH")), "{verdict:?}");
        let view = Object { kind: Kind::View, ..filled };
        assert!(ask(&catalog, &view, Privilege::Insert).works, "of a view that decides what is beneath it");
    }
}

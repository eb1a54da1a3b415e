//! What a view asks for beneath it: the rights that the server asks for when a statement on a view is run, relation by
//! relation, and of whom. Knows the rights, not how they are told.
//!
//! The relations that an ordinary view names are asked of its owner; those that a `security_invoker` view names (since 15)
//! of whoever runs the statement, also when it is read by way of another's view. USAGE on their schemas is not asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    change::{Change, Grantee, On},
    effective::{Matrix, Who},
    explain::column_rights,
    ident::{Oid, qualified, quote_ident},
    privilege::{ObjectKind, Privilege, Privileges},
    rows::{Guarded, Rows, rows},
    snapshot::{Asked, Catalog, ColumnGrant, Kind, Named, Object, Objects, Schema, Shapes, ViewQuery},
};

/// The first oid of what is not the system's (`FirstNormalObjectId`).
const FIRST_NORMAL: u32 = 16384;

/// One right that is asked for beneath a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beneath {
    /// As SQL names it.
    pub relation: String,
    pub kind: &'static str,
    pub privilege: Privilege,
    /// The view whose query names the relation.
    pub view: String,
    /// Of whom it is asked; PUBLIC where PUBLIC was asked about.
    pub asked_of: String,
    /// Of whoever runs the statement, not of the view's owner.
    pub invoker: bool,
    /// `None`: it depends, or what decides has not been read.
    pub held: Option<bool>,
    /// Columns for want of which it is lacking; or those that alone have it, where it depends on them.
    pub columns: Vec<String>,
    /// It is named in a subquery of a select list, and asked for only where the column that this makes is used.
    pub sometimes: bool,
    /// The smallest change that gives it.
    pub fix: Vec<Change>,
}

impl Beneath {
    /// The statement fails for want of it, whichever columns it uses.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.held == Some(false) && !self.sometimes
    }

    /// "SELECT on table shop.t, asked of own, the owner of shop.v"
    #[must_use]
    pub fn words(&self) -> String {
        let Beneath { relation, kind, privilege, view, asked_of, invoker, .. } = self;
        let why = if *invoker { format!("since {view} is security_invoker") } else { format!("the owner of {view}") };
        format!("{privilege} on {kind} {relation}, asked of {asked_of}, {why}")
    }

    /// The whole sentence, with the answer.
    #[must_use]
    pub fn sentence(&self) -> String {
        let quoted: Vec<String> = self.columns.iter().map(|c| quote_ident(c)).collect();
        let columns = crate::text::list(&quoted, 8);
        let answer = match (self.held, quoted.is_empty()) {
            (Some(true), _) => "there".to_owned(),
            (Some(false), true) => "lacking".to_owned(),
            (Some(false), false) => format!("lacking on {columns}"),
            (None, true) => "unknown, since column grants have not been read".to_owned(),
            (None, false) => format!("there on {columns} only"),
        };
        let when = if self.sometimes { ", where the subquery that reads it is needed" } else { "" };
        format!("Beneath it: {}{when}: {answer}.", self.words())
    }
}

/// What is asked for beneath a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub asked: Vec<Beneath>,
    /// What could not be told, in sentences.
    pub unknown: Vec<String>,
    /// The table that an INSERT through the view ends in, where that is known, and the columns of the views on the way that
    /// have defaults of their own.
    pub target: Option<(Oid, Oid)>,
    /// What row level security beneath it makes of the statement, in sentences.
    pub rows: Vec<String>,
    /// Row level security of the table that a write ends in lets no row through, or refuses every new one, and why.
    pub no_row: bool,
    pub refused: Option<String>,
    pub defaults: BTreeSet<String>,
}

impl Found {
    /// The statement fails for want of one of them.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.refused.is_some() || self.asked.iter().any(Beneath::fails)
    }

    /// It does not fail for what is known, and not everything is.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        let open = |b: &Beneath| b.held.is_none() || b.held == Some(false) && b.sometimes;
        !self.fails() && (!self.unknown.is_empty() || self.asked.iter().any(open))
    }
}

/// Follows what a view asks for.
pub struct Below<'a> {
    pub catalog: &'a Catalog,
    pub matrix: &'a Matrix,
    pub shapes: Option<&'a Shapes>,
    pub objects: &'a Objects,
    pub who: Who,
    pub privilege: Privilege,
}

impl Below<'_> {
    /// What a statement that needs the privilege on the view asks for beneath it; `None` where it is no view, or no statement
    /// of its own belongs to the privilege.
    #[must_use]
    pub fn find(&self, schema: &Schema, object: &Object) -> Option<Found> {
        let writes = matches!(self.privilege, Privilege::Insert | Privilege::Update | Privilege::Delete);
        if object.kind != Kind::View || !(writes || self.privilege == Privilege::Select) {
            return None;
        }
        let mut found = Found::default();
        let name = qualified(&schema.name, &object.name);
        let mut seen = BTreeSet::from([object.oid]);
        if writes {
            self.written(schema.oid, object.oid, &name, &mut found, &mut seen);
        } else {
            self.read((schema.oid, object.oid, &name), Named::BySelectList, &mut found, &mut BTreeMap::new());
        }
        Some(found)
    }

    fn query(&self, schema: Oid, view: Oid, name: &str, found: &mut Found) -> Option<&ViewQuery> {
        let of = |schema: Oid| self.objects.0.get(&schema)?.views.as_ref()?.get(&view);
        let query = of(schema).or_else(|| self.objects.0.keys().find_map(|schema| of(*schema)));
        if query.is_none() {
            found.unknown.push(format!(
                "What {name} asks for beneath it has not been read: whether the {} works there is unknown.",
                self.privilege
            ));
        }
        query
    }

    /// `sure`: what is named no less surely than so is asked for in any case; of the view itself every column is read, of
    /// those beneath it perhaps not.
    fn read(
        &self,
        (schema, view, name): (Oid, Oid, &str),
        sure: Named,
        found: &mut Found,
        seen: &mut BTreeMap<Oid, Named>,
    ) {
        let Some(query) = self.query(schema, view, name, found) else { return };
        for asked in &query.asks {
            let sometimes = asked.named > sure || seen.get(&view) == Some(&Named::Within);
            for privilege in asked.privileges.iter() {
                self.ask(query, name, asked, privilege, Some(sometimes), found);
            }
            // the server's own views read what their owner, a superuser, may read
            if asked.kind != Kind::View || asked.relation.0 < FIRST_NORMAL {
                continue;
            }
            let way = if sometimes { Named::Within } else { Named::Always };
            if seen.get(&asked.relation).is_none_or(|known| way < *known) {
                seen.insert(asked.relation, way);
                let further = qualified(&asked.place, &asked.name);
                self.read((asked.schema, asked.relation, &further), Named::Always, found, seen);
            }
        }
    }

    /// A view that takes writes by itself reads one relation, to which they go on (`rewriteTargetView`).
    fn written(&self, schema: Oid, view: Oid, name: &str, found: &mut Found, seen: &mut BTreeSet<Oid>) {
        let Some(query) = self.query(schema, view, name, found) else { return };
        let privilege = self.privilege;
        if query.diverted {
            found.unknown.push(format!(
                "{name} has a trigger or rule of its own for writes: what becomes of the {privilege}, and what that needs, is \
                 not told here."
            ));
            return;
        }
        if query.unwritable {
            found.refused = Some(format!(
                "{name} takes no {privilege}, whoever has the right: its query has aggregates, GROUP BY, DISTINCT, LIMIT, WITH or \
                 the like, and it has no INSTEAD OF trigger."
            ));
            return;
        }
        let relations: BTreeSet<Oid> = query.asks.iter().map(|a| a.relation).collect();
        let (Some(asked), 1) = (query.asks.first(), relations.len()) else {
            found.unknown.push(format!(
                "{name} does not read one relation alone: whether it can be written to, and what the {privilege} needs beneath \
                 it, is not told here."
            ));
            return;
        };
        found.defaults.extend(query.defaults.iter().cloned());
        self.ask(query, name, asked, privilege, None, found);
        if asked.kind == Kind::View && asked.relation.0 >= FIRST_NORMAL {
            if seen.insert(asked.relation) {
                self.written(asked.schema, asked.relation, &qualified(&asked.place, &asked.name), found, seen);
            }
        } else {
            found.target = Some((asked.schema, asked.relation));
        }
    }

    /// `reads`: the columns are those that the view's query uses, whatever the statement names; perhaps only sometimes.
    fn ask(
        &self,
        query: &ViewQuery,
        view: &str,
        asked: &Asked,
        privilege: Privilege,
        reads: Option<bool>,
        found: &mut Found,
    ) {
        let (of, known) = match (query.invoker, self.matrix.closure.position(query.owner)) {
            (true, _) => (self.who, true),
            (false, Some(owner)) => (Who::Role(owner), true),
            (false, None) => (Who::Public, false),
        };
        let asked_of = match of {
            Who::Public if known => "PUBLIC".to_owned(),
            Who::Public => self.catalog.role_name(query.owner),
            Who::Role(role) => self.catalog.roles.get(role).map(|r| r.name.clone()).unwrap_or_default(),
        };
        if known {
            self.guard((of, &asked_of), query.invoker, view, asked, privilege, found);
        }
        let kind = asked.kind.object_kind();
        let whole = self.matrix.rights(self.catalog, of, kind, asked.owner, &asked.acl).contains(privilege);
        let (held, columns) = match (whole, known) {
            (true, true) => (Some(true), Vec::new()),
            (_, false) => (None, Vec::new()),
            (false, true) => self.by_columns(of, asked, privilege, reads.is_some()),
        };
        let to = match of {
            Who::Public => Grantee::Public,
            Who::Role(_) => Grantee::Role(asked_of.clone()),
        };
        let single = held == Some(false) && !columns.is_empty();
        let on = if single {
            On::Columns { schema: asked.place.clone(), relation: asked.name.clone(), columns: columns.clone() }
        } else {
            On::Objects { kind, schema: asked.place.clone(), names: vec![asked.name.clone()] }
        };
        let grant = || Change::Grant { privileges: privilege.into(), on, to };
        let beneath = Beneath {
            relation: qualified(&asked.place, &asked.name),
            kind: asked.kind.word(),
            privilege,
            view: view.to_owned(),
            asked_of,
            invoker: query.invoker,
            held,
            columns,
            sometimes: reads == Some(true),
            fix: (held == Some(false)).then(grant).into_iter().collect(),
        };
        let alike = |b: &Beneath| {
            (&b.relation, b.privilege, &b.asked_of, &b.view)
                == (&beneath.relation, privilege, &beneath.asked_of, &beneath.view)
        };
        match found.asked.iter_mut().find(|b| alike(b)) {
            // named twice, with other columns or less surely: what fails in any case is told
            Some(known) if rank(known) > rank(&beneath) => {}
            Some(known) if rank(known) < rank(&beneath) => *known = beneath,
            Some(known) => {
                known.columns.extend(beneath.columns);
                known.columns.sort();
                known.columns.dedup();
                for change in beneath.fix {
                    if !known.fix.contains(&change) {
                        known.fix.push(change);
                    }
                }
            }
            None => found.asked.push(beneath),
        }
    }

    /// What row level security of a table makes of a statement that comes to it through a view.
    fn guard(
        &self,
        (of, name): (Who, &str),
        invoker: bool,
        view: &str,
        asked: &Asked,
        privilege: Privilege,
        found: &mut Found,
    ) {
        let Some(table) = self.shapes.and_then(|s| s.tables.iter().find(|t| t.oid == asked.relation)) else { return };
        let guarded = Guarded {
            oid: table.oid,
            name: qualified(&asked.place, &asked.name),
            owner: table.owner,
            rls: table.rls,
            force_rls: table.force_rls,
        };
        let told = match rows(self.catalog, self.matrix, of, &guarded, privilege) {
            Rows::Free => return,
            Rows::Bypassed if invoker => return,
            Rows::Bypassed => format!(
                "Beneath it: row level security of {} does not bind {name}, the owner of {view}: whoever uses the view goes past it.",
                guarded.name
            ),
            Rows::Some => format!(
                "Beneath it: row level security of {} is on: its policies decide which rows, as for {name}.",
                guarded.name
            ),
            Rows::None(why) => {
                found.no_row |= privilege == self.privilege && privilege != Privilege::Select;
                format!("Beneath it: {why}")
            }
            Rows::Refused(why) => {
                found.refused = Some(why);
                return;
            }
        };
        if !found.rows.contains(&told) {
            found.rows.push(told);
        }
    }

    /// The answer where the relation's own list does not give it.
    fn by_columns(&self, of: Who, asked: &Asked, privilege: Privilege, reads: bool) -> (Option<bool>, Vec<String>) {
        let single = Privileges::COLUMN.contains(privilege) && asked.kind.object_kind() == ObjectKind::Table;
        if !single {
            return (Some(false), Vec::new());
        }
        // grants on columns of the system's relations are not read
        let Some(shapes) = self.shapes.filter(|_| asked.relation.0 >= FIRST_NORMAL) else { return (None, Vec::new()) };
        let here = |g: &&ColumnGrant| g.relation_oid == asked.relation;
        let holds = |g: &&ColumnGrant| column_rights(self.catalog, self.matrix, of, g).contains(privilege);
        let has: Vec<&str> =
            shapes.column_grants.iter().filter(here).filter(holds).map(|g| g.column.as_str()).collect();
        if has.is_empty() {
            return (Some(false), Vec::new());
        }
        if !reads {
            return (None, has.into_iter().map(str::to_owned).collect());
        }
        if privilege != Privilege::Select {
            // to lock rows, the right on any column is enough
            return (Some(true), Vec::new());
        }
        // where it names no column, any is enough
        let lacking: Vec<String> = asked.columns.iter().filter(|c| !has.contains(&c.as_str())).cloned().collect();
        (Some(lacking.is_empty()), lacking)
    }
}

/// Of two answers about one relation, the one that decides more.
fn rank(beneath: &Beneath) -> (bool, bool, bool) {
    (beneath.fails(), beneath.held == Some(false), !beneath.sometimes)
}

/// Schemas of the relations that the views of what was read ask for, and that were not read themselves.
#[must_use]
pub fn further(objects: &Objects) -> Vec<Oid> {
    let queries = objects.0.values().filter_map(|o| o.views.as_ref()).flat_map(|v| v.values());
    let schemas: BTreeSet<Oid> = queries.flat_map(|q| &q.asks).map(|a| a.schema).collect();
    schemas.into_iter().filter(|schema| !objects.0.contains_key(schema)).collect()
}

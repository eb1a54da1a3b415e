//! Revision graphs of Alembic script directories: heads, what lies between, which tables must exist at a revision, and
//! whose row a row is. Pure; reading the scripts is `config::revisions`.
//!
//! Nothing here trusts the scripts: ids may be missing, doubled or circular, and are not unique between projects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One revision script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    pub revision: String,
    /// Empty at a base.
    pub down: Vec<String>,
    /// Revisions or branch labels that must have run before.
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
    /// Tables it leaves behind that were not there before, as far as its text shows (`op.create_table`, the new name of
    /// `op.rename_table`). What `downgrade` does is not counted.
    pub creates: Vec<String>,
    /// Tables that are gone after it (`op.drop_table`, the old name of `op.rename_table`).
    pub drops: Vec<String>,
    /// It names the schema `public` literally: in a schema of its own it may look in the wrong place.
    pub names_public: bool,
}

/// The revision graph of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    pub service: String,
    pub scripts: BTreeMap<String, Script>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
    /// The name of the version table and its schema, where `env.py` says them plainly.
    pub version_table: Option<String>,
    pub version_table_schema: Option<String>,
}

/// Lineages by service name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineages(pub BTreeMap<String, Lineage>);

impl Lineages {
    /// The scripts of a service, when there are any.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<&Lineage> {
        self.0.get(service).filter(|l| !l.scripts.is_empty())
    }

    /// Services whose scripts hold a revision, by name.
    #[must_use]
    pub fn holding(&self, revision: &str) -> Vec<&str> {
        self.0.iter().filter(|(_, l)| l.contains(revision)).map(|(name, _)| name.as_str()).collect()
    }
}

impl Lineage {
    /// What `env.py` says otherwise of where and under which name the version table is, as it would have to be changed.
    #[must_use]
    pub fn looks_elsewhere(&self, schema: &str, table: &str) -> Option<String> {
        let other = |said: &Option<String>, is: &str| said.clone().filter(|said| said != is);
        let of = |setting: &str, said: &str, is: &str| format!("{setting}={said:?}, not {is:?}");
        let parts = [
            other(&self.version_table_schema, schema).map(|said| of("version_table_schema", &said, schema)),
            other(&self.version_table, table).map(|said| of("version_table", &said, table)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    #[must_use]
    pub fn contains(&self, revision: &str) -> bool {
        self.scripts.contains_key(revision)
    }

    /// Revisions that no other revises (`alembic heads`), sorted. Empty only for an empty or fully circular graph.
    #[must_use]
    pub fn heads(&self) -> Vec<&str> {
        let revised: HashSet<&str> = self.scripts.values().flat_map(|s| s.down.iter().map(String::as_str)).collect();
        self.scripts.keys().map(String::as_str).filter(|r| !revised.contains(r)).collect()
    }

    /// Revisions that revise nothing, sorted.
    #[must_use]
    pub fn bases(&self) -> Vec<&str> {
        self.scripts.values().filter(|s| s.down.is_empty()).map(|s| s.revision.as_str()).collect()
    }

    /// The revision that an id or a branch label stands for.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Script> {
        self.scripts.get(name).or_else(|| self.scripts.values().find(|s| s.branch_labels.iter().any(|l| l == name)))
    }

    /// Revisions that must have run when these have, themselves included; unknown ones are left out.
    #[must_use]
    pub fn ancestors<'a>(&'a self, of: impl IntoIterator<Item = &'a str>) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        let mut open: Vec<&str> = of.into_iter().collect();
        while let Some(name) = open.pop() {
            let Some(script) = self.find(name) else { continue };
            if seen.insert(script.revision.as_str()) {
                open.extend(script.down.iter().chain(&script.depends_on).map(String::as_str));
            }
        }
        seen
    }

    /// Revisions that come after one by revising it or what revises it, itself not included.
    #[must_use]
    pub fn descendants<'a>(&'a self, of: &str) -> HashSet<&'a str> {
        let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
        for script in self.scripts.values() {
            for down in &script.down {
                next.entry(down).or_default().push(&script.revision);
            }
        }
        let mut seen = HashSet::new();
        let mut open: Vec<&str> = next.get(of).cloned().unwrap_or_default();
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(next.get(name).into_iter().flatten());
            }
        }
        seen.remove(of);
        seen
    }

    /// True when one of the two must have run before the other: a version table of one lineage never holds both.
    #[must_use]
    pub fn related(&self, a: &str, b: &str) -> bool {
        a != b && (self.ancestors([a]).contains(b) || self.ancestors([b]).contains(a))
    }

    /// How many revisions an upgrade to the heads after `revision` would run, when `rows` is what the table holds; 0 at a
    /// head. `None` for a revision that is not of this lineage.
    #[must_use]
    pub fn behind(&self, revision: &str, rows: &[&str]) -> Option<u32> {
        if !self.contains(revision) {
            return None;
        }
        let after = self.descendants(revision);
        let heads: Vec<&str> = self.heads().into_iter().filter(|h| *h == revision || after.contains(h)).collect();
        let done: HashSet<&str> = rows.iter().copied().filter(|r| *r != revision && !after.contains(r)).collect();
        let done = self.ancestors(done.into_iter().filter_map(|r| self.scripts.get(r)).map(|s| s.revision.as_str()));
        let mine = self.ancestors(self.scripts.get(revision).map(|s| s.revision.as_str()));
        let wanted = self.ancestors(heads);
        Some(wanted.iter().filter(|r| !mine.contains(*r) && !done.contains(*r)).count() as u32)
    }

    /// Tables that exist when `revision` has run, as far as the scripts show, sorted.
    #[must_use]
    pub fn tables_at(&self, revision: &str) -> BTreeSet<&str> {
        let mut tables = BTreeSet::new();
        let Some(script) = self.scripts.get(revision) else { return tables };
        for name in self.in_order(&self.ancestors([script.revision.as_str()])) {
            let Some(script) = self.scripts.get(name) else { continue };
            for dropped in &script.drops {
                tables.remove(dropped.as_str());
            }
            tables.extend(script.creates.iter().map(String::as_str));
        }
        tables
    }

    /// Every table that any of the scripts creates.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<&str> {
        self.scripts.values().flat_map(|s| s.creates.iter().map(String::as_str)).collect()
    }

    /// The revisions of a set, each after what it revises and depends on; circular ones last, by name.
    fn in_order<'a>(&'a self, set: &HashSet<&'a str>) -> Vec<&'a str> {
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
        for name in set {
            let Some(script) = self.scripts.get(*name) else { continue };
            let before: BTreeSet<&str> = script
                .down
                .iter()
                .chain(&script.depends_on)
                .filter_map(|d| self.find(d))
                .map(|s| s.revision.as_str())
                .collect();
            missing.insert(&script.revision, before.len());
            for b in before {
                next.entry(b).or_default().push(&script.revision);
            }
        }
        let mut ready: Vec<&str> = missing.iter().filter(|(_, n)| **n == 0).map(|(name, _)| *name).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(name) = ready.pop() {
            missing.remove(name);
            order.push(name);
            for after in next.get(name).into_iter().flatten() {
                if let Some(n) = missing.get_mut(after) {
                    *n -= 1;
                    if *n == 0 {
                        ready.push(after);
                    }
                }
            }
        }
        order.extend(missing.into_keys());
        order
    }

    /// True when both are scripts of one project, perhaps of different releases: more than half of the smaller set is in
    /// the other. A single script proves nothing unless both are that script.
    #[must_use]
    pub fn same_project(&self, other: &Lineage) -> bool {
        let (few, many) = if self.scripts.len() <= other.scripts.len() { (self, other) } else { (other, self) };
        let shared = few.scripts.keys().filter(|r| many.contains(r)).count();
        shared * 2 > few.scripts.len() && (few.scripts.len() > 1 || many.scripts.len() == 1)
    }

    /// Scripts that name the schema `public`, sorted.
    pub fn naming_public(&self) -> impl Iterator<Item = &str> {
        self.scripts.values().filter(|s| s.names_public).map(|s| s.revision.as_str())
    }

    /// What is wrong with the graph itself, in words: revisions that no script defines, circles.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for script in self.scripts.values() {
            for down in script.down.iter().filter(|d| !self.contains(d)) {
                faults.push(format!("revision {} revises {down}, which no script defines", script.revision));
            }
            for needs in script.depends_on.iter().filter(|d| self.find(d).is_none()) {
                faults.push(format!("revision {} depends on {needs}, which no script defines", script.revision));
            }
        }
        let set: HashSet<&str> = self.scripts.keys().map(String::as_str).collect();
        let from_heads = self.ancestors(self.heads());
        if set.iter().any(|r| !from_heads.contains(r)) {
            faults.push("some revisions revise each other in a circle".to_owned());
        }
        faults
    }
}

/// What else is known of a candidate for a row, from the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// Nothing that decides.
    #[default]
    Open,
    /// It can be ruled out: the tables it must have do not exist, belong to another, or it keeps its revision elsewhere.
    Against,
}

/// Whose rows the rows of one version table are.
///
/// `candidates` are the services whose lineage holds each row (position by position with `rows`). A candidate is ruled
/// out where it also owns a row that comes before or after, since one lineage never holds both; then by `evidence`
/// (service, row). Where several of one project remain, `home` decides if it is among them. A row whose only candidate
/// also owns one that comes after it is nobody's that is known. The result holds, for each row, what remains: one name is
/// settled, several are ambiguous, none is unknown.
pub fn owners(
    lineages: &Lineages,
    rows: &[String],
    home: Option<&str>,
    mut evidence: impl FnMut(&str, &str) -> Evidence,
) -> Vec<Vec<String>> {
    let known: Vec<Vec<&str>> = rows.iter().map(|row| lineages.holding(row)).collect();
    let mut left = known.clone();
    loop {
        let settled: Vec<(&str, &str)> = rows
            .iter()
            .zip(&left)
            .filter_map(|(row, names)| match names.as_slice() {
                [one] => Some((row.as_str(), *one)),
                _ => None,
            })
            .collect();
        let mut changed = false;
        for (row, names) in rows.iter().zip(&mut left).filter(|(_, names)| names.len() > 1) {
            let keep: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| {
                    !settled
                        .iter()
                        .any(|(other, owner)| owner == name && lineages.of(name).is_some_and(|l| l.related(row, other)))
                })
                .collect();
            if !keep.is_empty() && keep.len() < names.len() {
                *names = keep;
                changed = true;
            }
        }
        if !changed {
            for (row, names) in rows.iter().zip(&mut left).filter(|(_, names)| names.len() > 1) {
                let keep: Vec<&str> = names.iter().copied().filter(|n| evidence(n, row) == Evidence::Open).collect();
                if !keep.is_empty() && keep.len() < names.len() {
                    *names = keep;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    for names in left.iter_mut().filter(|names| names.len() > 1) {
        let Some(home) = home.filter(|h| names.contains(h)) else { continue };
        let one_project = lineages
            .of(home)
            .is_some_and(|l| names.iter().all(|n| lineages.of(n).is_some_and(|other| l.same_project(other))));
        if one_project {
            *names = vec![home];
        }
    }
    // What one lineage never holds beside what comes after it is another's, whose scripts are not known.
    let single = |names: &[&str]| if let [one] = names { Some((*one).to_owned()) } else { None };
    let of: Vec<Option<String>> = left.iter().map(|names| single(names)).collect();
    for ((row, names), owner) in rows.iter().zip(&mut left).zip(&of) {
        let Some(lineage) = owner.as_deref().and_then(|one| lineages.of(one)) else { continue };
        let after = |(other, of): (&String, &Option<String>)| {
            other != row && of == owner && lineage.ancestors([other.as_str()]).contains(row.as_str())
        };
        if rows.iter().zip(&of).any(after) {
            names.clear();
        }
    }
    left.into_iter().map(|names| names.into_iter().map(str::to_owned).collect()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Scripts written as `revision < down, down`.
    pub(crate) fn lineage(service: &str, scripts: &[&str]) -> Lineage {
        let mut lineage = Lineage { service: service.into(), ..Lineage::default() };
        for text in scripts {
            let (revision, down) = text.split_once('<').unwrap_or((text, ""));
            let down = down.split(',').map(|d| d.trim().to_owned()).filter(|d| !d.is_empty()).collect();
            let revision = revision.trim().to_owned();
            lineage.scripts.insert(revision.clone(), Script { revision, down, ..Script::default() });
        }
        lineage
    }
    pub(crate) fn lineages(all: impl IntoIterator<Item = Lineage>) -> Lineages {
        Lineages(all.into_iter().map(|l| (l.service.clone(), l)).collect())
    }
    fn rows(list: &[&str]) -> Vec<String> {
        list.iter().map(|r| (*r).to_owned()).collect()
    }

    #[test]
    fn counts_run_through_branches_and_merges() {
        // a - b - c - m - n, and a - d - m
        let l = lineage("x", &["a", "b < a", "c < b", "d < a", "m < c, d", "n < m"]);
        assert_eq!((l.heads(), l.bases()), (vec!["n"], vec!["a"]));
        assert_eq!(l.behind("n", &["n"]), Some(0));
        assert_eq!(l.behind("m", &["m"]), Some(1));
        assert_eq!(l.behind("a", &["a"]), Some(5), "both arms count");
        assert_eq!(l.behind("c", &["c", "d"]), Some(2), "the other row has done its arm");
        assert_eq!(l.behind("c", &["c"]), Some(3));
        assert_eq!(l.behind("zz", &["zz"]), None);
    }

    #[test]
    fn two_heads_are_both_heads() {
        let l = lineage("x", &["a", "b < a", "c < a"]);
        assert_eq!(l.heads(), vec!["b", "c"]);
        assert_eq!(l.behind("b", &["b", "c"]), Some(0));
        assert_eq!(l.behind("c", &["b", "c"]), Some(0));
        assert_eq!(l.behind("a", &["a"]), Some(2));
    }

    #[test]
    fn dependencies_count_and_may_be_labels() {
        let mut l = lineage("x", &["a", "b < a", "p", "q < p"]);
        l.scripts.get_mut("a").unwrap().branch_labels = vec!["core".into()];
        l.scripts.get_mut("q").unwrap().depends_on = vec!["core".into()];
        assert!(l.ancestors(["q"]).contains("a"));
        assert_eq!(l.behind("p", &["p"]), Some(2), "q needs a");
        assert_eq!(l.behind("p", &["p", "b"]), Some(1));
        assert!(l.related("q", "a"));
        assert!(l.faults().is_empty());
    }

    #[test]
    fn circles_and_gaps_are_tolerated_and_said() {
        let l = lineage("x", &["a < b", "b < a", "c < gone"]);
        assert_eq!(l.heads(), vec!["c"]);
        assert_eq!(l.behind("a", &["a"]), Some(0));
        assert!(l.tables_at("a").is_empty());
        let faults = l.faults();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("gone") && faults[1].contains("circle"));
    }

    #[test]
    fn tables_follow_the_order_of_the_revisions() {
        let mut l = lineage("x", &["z", "y < z", "x < y"]);
        l.scripts.get_mut("z").unwrap().creates = vec!["flow".into(), "old".into()];
        l.scripts.get_mut("y").unwrap().drops = vec!["old".into(), "flow".into()];
        l.scripts.get_mut("x").unwrap().creates = vec!["flow".into()];
        assert_eq!(l.tables_at("z").len(), 2);
        assert!(l.tables_at("y").is_empty());
        assert_eq!(l.tables_at("x").into_iter().collect::<Vec<_>>(), vec!["flow"]);
    }

    #[test]
    fn an_id_of_two_projects_goes_to_the_one_that_can_hold_it() {
        // a1b2c3d4e5f6 is a real revision of airflow and langflow; langflow's e5… comes after its own a1…
        let all = lineages([
            lineage("airflow", &["a1b2c3d4e5f6", "z9 < a1b2c3d4e5f6"]),
            lineage("langflow", &["l0", "a1b2c3d4e5f6 < l0", "e5a7c9b1d3f2 < a1b2c3d4e5f6"]),
        ]);
        let both = rows(&["a1b2c3d4e5f6", "e5a7c9b1d3f2"]);
        let found = owners(&all, &both, Some("langflow"), |_, _| Evidence::Open);
        assert_eq!(found, vec![rows(&["airflow"]), rows(&["langflow"])]);
        let alone = rows(&["a1b2c3d4e5f6"]);
        let found = owners(&all, &alone, Some("langflow"), |_, _| Evidence::Open);
        assert_eq!(found[0].len(), 2, "nothing decides: ambiguous, not guessed");
        let found = owners(
            &all,
            &alone,
            None,
            |service, _| {
                if service == "airflow" { Evidence::Against } else { Evidence::Open }
            },
        );
        assert_eq!(found[0], rows(&["langflow"]));
        let found = owners(&all, &alone, None, |_, _| Evidence::Against);
        assert_eq!(found[0].len(), 2, "evidence against all decides nothing");
        assert_eq!(owners(&all, &rows(&["ffff"]), None, |_, _| Evidence::Open), vec![rows(&[])]);
        // without the scripts of the other it is nobody's that is known, and not langflow's
        let known = lineages([lineage("langflow", &["l0", "a1b2c3d4e5f6 < l0", "e5a7c9b1d3f2 < a1b2c3d4e5f6"])]);
        let found = owners(&known, &both, Some("langflow"), |_, _| Evidence::Open);
        assert_eq!(found, vec![rows(&[]), rows(&["langflow"])]);
    }

    #[test]
    fn two_installations_of_one_project_are_told_apart_by_place() {
        let scripts = ["a", "b < a", "c < b"];
        let all = lineages([lineage("one", &scripts), lineage("two", &scripts[..2])]);
        assert_eq!(owners(&all, &rows(&["b"]), Some("two"), |_, _| Evidence::Open), vec![rows(&["two"])]);
        assert_eq!(owners(&all, &rows(&["b"]), None, |_, _| Evidence::Open)[0].len(), 2);
    }
}

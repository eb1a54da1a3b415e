//! The newest of each part, and snapshots made of them; parts that did not change are shared. Knows no time.

use std::{collections::BTreeMap, sync::Arc};

use super::super::read::{
    activity::Tick,
    catalog::CatalogRead,
    shapes::ShapesRead,
    sizes::{self, Exact},
    unavailable,
};
use crate::domain::{
    Oid,
    snapshot::{Activity, Catalog, Objects, Server, Shapes, Sizes, Snapshot, Unavailable, VersionTables},
};

/// Schemas whose sizes are swept in one go.
const SWEEP: usize = 40;

pub(super) struct Picture {
    instance: String,
    words: Option<String>,
    server: Arc<Server>,
    catalog: Option<Arc<Catalog>>,
    shapes: Option<Arc<Shapes>>,
    shaped_version_tables: Vec<Oid>,
    objects: Objects,
    versions: Arc<VersionTables>,
    estimates: Option<Sizes>,
    exact: Exact,
    /// Estimates and exact sizes together.
    sizes: Arc<Sizes>,
    /// The last schema of the sweep.
    swept_to: Oid,
    activity: Option<Arc<Activity>>,
    slow_unavailable: Vec<Unavailable>,
}

impl Picture {
    pub(super) fn new(instance: &str, words: Option<String>) -> Picture {
        Picture {
            instance: instance.to_owned(),
            words,
            server: Arc::default(),
            catalog: None,
            shapes: None,
            shaped_version_tables: Vec::new(),
            objects: Objects::default(),
            versions: Arc::default(),
            estimates: None,
            exact: BTreeMap::new(),
            sizes: Arc::default(),
            swept_to: Oid::ZERO,
            activity: None,
            slow_unavailable: Vec::new(),
        }
    }

    pub(super) fn has_catalog(&self) -> bool {
        self.catalog.is_some()
    }

    pub(super) fn catalog(&self) -> Option<Arc<Catalog>> {
        self.catalog.clone()
    }

    pub(super) fn versions(&self) -> &VersionTables {
        &self.versions
    }

    pub(super) fn shaped_version_tables(&self) -> &[Oid] {
        &self.shaped_version_tables
    }

    pub(super) fn set_catalog(&mut self, read: CatalogRead) {
        self.server = Arc::new(read.server);
        self.catalog = Some(Arc::new(read.catalog));
        self.weigh();
    }

    pub(super) fn tick(&mut self, tick: Tick) {
        self.activity = Some(Arc::new(tick.activity));
        if (tick.in_recovery, tick.replay_lag_ms) != (self.server.in_recovery, self.server.replay_lag_ms) {
            let mut server = Server::clone(&self.server);
            server.in_recovery = tick.in_recovery;
            server.replay_lag_ms = tick.replay_lag_ms;
            self.server = Arc::new(server);
        }
    }

    pub(super) fn set_versions(&mut self, versions: VersionTables) {
        self.versions = Arc::new(versions);
    }

    /// Drops the names of the schemas that are not wanted any more.
    pub(super) fn forget_objects(&mut self, wanted: &[Oid]) {
        self.objects.0.retain(|schema, _| wanted.contains(schema));
    }

    pub(super) fn set_objects(&mut self, objects: Objects) {
        self.objects = objects;
    }

    /// True when there are version tables among them that the catalog was not asked about yet.
    pub(super) fn set_shapes(&mut self, read: ShapesRead) -> bool {
        let unasked = read.version_tables.iter().any(|oid| !self.versions.0.iter().any(|t| t.oid == *oid));
        self.shapes = Some(Arc::new(read.shapes));
        let changed = self.shaped_version_tables != read.version_tables;
        self.shaped_version_tables = read.version_tables;
        self.slow_unavailable = read.unavailable;
        unasked && changed
    }

    /// A slow part that failed is named until the slow parts are read again.
    pub(super) fn slow_failed(&mut self, part: Unavailable) {
        self.slow_unavailable.retain(|known| known.what != part.what);
        self.slow_unavailable.push(part);
    }

    pub(super) fn set_estimates(&mut self, sizes: Sizes) {
        self.estimates = Some(sizes);
        self.weigh();
    }

    /// Single relations are kept for the schemas that are looked at.
    pub(super) fn set_exact(&mut self, exact: Exact, on_screen: &[Oid]) {
        for (schema, (sum, relations)) in exact {
            self.exact.insert(schema, (sum, if on_screen.contains(&schema) { relations } else { BTreeMap::new() }));
        }
        for (schema, (_, relations)) in &mut self.exact {
            if !on_screen.contains(schema) {
                relations.clear();
            }
        }
        self.weigh();
    }

    /// The sweep got so far.
    pub(super) fn swept(&mut self, to: Oid) {
        self.swept_to = to;
    }

    /// The next slice of schemas for the sweep; it begins anew after the last.
    pub(super) fn next_to_sweep(&mut self) -> Vec<Oid> {
        let Some(catalog) = &self.catalog else { return Vec::new() };
        let mut schemas: Vec<Oid> = catalog.schemas.iter().filter(|s| !s.is_system()).map(|s| s.oid).collect();
        schemas.sort_unstable();
        let mut rest: Vec<Oid> = schemas.iter().copied().filter(|oid| *oid > self.swept_to).collect();
        if rest.is_empty() {
            self.swept_to = Oid::ZERO;
            rest = schemas;
        }
        rest.truncate(SWEEP);
        rest
    }

    fn weigh(&mut self) {
        let Some(catalog) = &self.catalog else { return };
        self.exact.retain(|oid, _| catalog.schema(*oid).is_some());
        let mut sizes = sizes::from_groups(catalog);
        if let Some(estimates) = &self.estimates {
            sizes.database_bytes = estimates.database_bytes;
            sizes.databases.clone_from(&estimates.databases);
            for (schema, size) in &estimates.schemas {
                if let Some(place) = sizes.schemas.get_mut(schema) {
                    *place = *size;
                }
            }
        }
        self.sizes = Arc::new(sizes::merged(&sizes, &self.exact));
    }

    /// `None` until the catalog was read once.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let catalog = self.catalog.clone()?;
        let mut unavailable = unavailable::parts(&self.server, &self.versions, &catalog);
        unavailable.extend(self.slow_unavailable.iter().cloned());
        Some(Arc::new(Snapshot {
            instance: self.instance.clone(),
            words: self.words.clone(),
            server: self.server.clone(),
            catalog,
            shapes: self.shapes.clone(),
            objects: self.objects.clone(),
            versions: self.versions.clone(),
            sizes: self.sizes.clone(),
            activity: self.activity.clone(),
            unavailable,
        }))
    }
}

//! When to read what: pure decisions about time, gates and hints. Knows no connection.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::super::read::{activity::Tick, versions::Candidate};
use crate::domain::{Oid, snapshot::VersionRows};

/// Up to so many version tables are read whenever the gate opened; beyond that, those whose counters moved.
const FEW_VERSION_TABLES: usize = 100;
/// All version tables are read again after this long.
const VERSIONS_FULL: Duration = Duration::from_secs(60);
/// Exact sizes that are on screen are read again after this long.
const SIZES_ON_SCREEN: Duration = Duration::from_secs(30);
/// Between two second connections.
const SLOW_PAUSE: Duration = Duration::from_secs(1);
/// Reading the catalog of a busy cluster may take one part in so many of the time.
const CATALOG_SHARE: u32 = 100;
/// … but it is never put off for longer than this.
const CATALOG_LONGEST: Duration = Duration::from_secs(60);

/// What the second connection is to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub shapes: bool,
    /// Exact sizes of these schemas, those on screen first.
    pub exact: Vec<Oid>,
    /// The last schema of the sweep that is part of it.
    pub swept_to: Option<Oid>,
}

#[derive(Debug)]
pub(super) struct Cadence {
    catalog_refresh: Duration,
    slow_refresh: Duration,
    /// Gate of the last tick.
    gate: String,
    catalog_gate: Option<String>,
    catalog_at: Option<Instant>,
    catalog_cost: Duration,
    /// Counters of the catalogs: at the last tick, and when the catalog was read.
    changes: i64,
    changes_read: Option<i64>,
    in_recovery: Option<bool>,
    soon: bool,
    shapes_gate: Option<String>,
    shapes_at: Option<Instant>,
    slow_ended: Option<Instant>,
    sizes_at: Option<Instant>,
    sweep_at: Option<Instant>,
    versions_at: Option<Instant>,
    versions_seen: HashMap<Oid, i64>,
}

impl Cadence {
    pub(super) fn new(catalog_refresh: Duration, slow_refresh: Duration) -> Cadence {
        Cadence {
            catalog_refresh,
            slow_refresh,
            gate: String::new(),
            catalog_gate: None,
            catalog_at: None,
            catalog_cost: Duration::ZERO,
            changes: 0,
            changes_read: None,
            in_recovery: None,
            soon: false,
            shapes_gate: None,
            shapes_at: None,
            slow_ended: None,
            sizes_at: None,
            sweep_at: None,
            versions_at: None,
            versions_seen: HashMap::new(),
        }
    }

    /// Another server may have answered: nothing that was read counts as current.
    pub(super) fn reconnected(&mut self) {
        let (catalog_refresh, slow_refresh) = (self.catalog_refresh, self.slow_refresh);
        *self = Cadence { soon: true, ..Cadence::new(catalog_refresh, slow_refresh) };
    }

    pub(super) fn read_catalog_soon(&mut self) {
        self.soon = true;
    }

    /// Takes in a tick; true when the catalog should be read now.
    pub(super) fn tick(&mut self, tick: &Tick, forced: bool, now: Instant) -> bool {
        self.gate.clone_from(&tick.gate);
        self.changes = tick.catalog_changes;
        // A promotion changes what the gate means.
        let promoted = self.in_recovery.is_some_and(|before| before != tick.in_recovery);
        self.in_recovery = Some(tick.in_recovery);
        if forced {
            self.shapes_at = None;
            self.sizes_at = None;
            self.versions_at = None;
        }
        if forced || promoted || std::mem::take(&mut self.soon) {
            return true;
        }
        let (Some(gate), Some(at)) = (&self.catalog_gate, self.catalog_at) else { return true };
        if *gate == self.gate {
            return false;
        }
        // Something was committed, not necessarily in the catalogs. When their counters did not move, an expensive read
        // is put off for a while; the counters come late, so not for long.
        let moved = self.changes_read != Some(self.changes);
        let unhurried = (self.catalog_cost * CATALOG_SHARE).min(CATALOG_LONGEST);
        let least = if moved { self.catalog_refresh } else { self.catalog_refresh.max(unhurried) };
        now.duration_since(at) >= least
    }

    pub(super) fn catalog_read(&mut self, gate: &str, cost: Duration, now: Instant) {
        self.catalog_gate = Some(gate.to_owned());
        self.catalog_at = Some(now);
        self.catalog_cost = cost;
        // The first read comes before the first tick: the counters of then are not known.
        self.changes_read = (!self.gate.is_empty()).then_some(self.changes);
        if self.gate.is_empty() {
            gate.clone_into(&mut self.gate);
        }
    }

    /// Which of the version tables to read along with a catalog that was just read.
    pub(super) fn stale_version_tables(&mut self, candidates: &[Candidate], now: Instant) -> Vec<Candidate> {
        let pending = |c: &&Candidate| c.table.rows == VersionRows::Pending;
        let all = candidates.iter().filter(pending).count() <= FEW_VERSION_TABLES
            || self.versions_at.is_none_or(|at| now.duration_since(at) >= VERSIONS_FULL);
        let stale = candidates
            .iter()
            .filter(pending)
            .filter(|c| all || self.versions_seen.get(&c.table.oid) != Some(&c.changes));
        let stale: Vec<Candidate> = stale.cloned().collect();
        if all {
            self.versions_at = Some(now);
        }
        self.versions_seen = candidates.iter().map(|c| (c.table.oid, c.changes)).collect();
        stale
    }

    /// What was ordered did not come: it is ordered again when its time comes, gate or not.
    pub(super) fn slow_failed(&mut self) {
        self.shapes_gate = None;
    }

    pub(super) fn slow_ended(&mut self, now: Instant) {
        self.slow_ended = Some(now);
    }

    /// What the second connection should read now. `sweep` is the next slice of schemas whose sizes are not exact or
    /// old.
    pub(super) fn slow_order(
        &mut self,
        sweep: &[Oid],
        on_screen: &[Oid],
        tenants_changed: bool,
        sizes_changed: bool,
        now: Instant,
    ) -> Option<Order> {
        let passed = |at: Option<Instant>, least: Duration| at.is_none_or(|at| now.duration_since(at) >= least);
        // The last one's backend may still be there for a moment; only what somebody waits for may come beside it.
        if !tenants_changed && !sizes_changed && !passed(self.slow_ended, SLOW_PAUSE) {
            return None;
        }
        let opened = self.shapes_gate.as_deref() != Some(self.gate.as_str());
        let shapes = tenants_changed || (opened && passed(self.shapes_at, self.slow_refresh));
        let screen = !on_screen.is_empty() && (sizes_changed || passed(self.sizes_at, SIZES_ON_SCREEN));
        // The first sweep waits until everything else is there.
        let sweeps =
            self.shapes_at.is_some() && !shapes && !sweep.is_empty() && passed(self.sweep_at, self.slow_refresh);
        let mut order = Order { shapes, ..Order::default() };
        if shapes {
            self.shapes_gate = Some(self.gate.clone());
            self.shapes_at = Some(now);
        }
        if screen {
            self.sizes_at = Some(now);
            order.exact.extend(on_screen);
        }
        if sweeps {
            self.sweep_at = Some(now);
            order.swept_to = sweep.last().copied();
            let listed: HashSet<Oid> = order.exact.iter().copied().collect();
            order.exact.extend(sweep.iter().filter(|oid| !listed.contains(oid)));
        }
        (order != Order::default()).then_some(order)
    }
}

/// Pauses between tries: doubled up to 4 s, or up to 30 s for what will not pass by itself, each between half and all of
/// it, so that many consoles do not come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(super) fn next(&mut self, lasting: bool) -> Duration {
        let (first, longest) = if lasting { (8_000, 30_000) } else { (250, 4_000) };
        let full = 2_u64.saturating_pow(self.tries).saturating_mul(first).min(longest);
        self.tries = self.tries.saturating_add(1);
        Duration::from_millis(full / 2 + rand::random_range(0..=full / 2))
    }

    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(gate: &str, changes: i64) -> Tick {
        Tick { gate: gate.into(), catalog_changes: changes, ..Tick::default() }
    }

    fn read_once(cost: Duration) -> (Cadence, Instant) {
        let now = Instant::now();
        let mut cadence = Cadence::new(Duration::from_secs(5), Duration::from_secs(60));
        assert!(cadence.tick(&tick("1", 7), false, now), "nothing was read yet");
        cadence.catalog_read("1", cost, now);
        (cadence, now)
    }

    #[test]
    fn a_shut_gate_reads_nothing() {
        let (mut cadence, now) = read_once(Duration::from_millis(20));
        assert!(!cadence.tick(&tick("1", 7), false, now + Duration::from_secs(3600)));
        assert!(cadence.tick(&tick("1", 7), true, now + Duration::from_secs(3600)), "but asking does");
    }

    #[test]
    fn an_open_gate_reads_no_more_often_than_allowed() {
        let (mut cadence, now) = read_once(Duration::from_millis(20));
        assert!(!cadence.tick(&tick("2", 8), false, now + Duration::from_secs(4)));
        assert!(cadence.tick(&tick("2", 8), false, now + Duration::from_secs(5)));
    }

    #[test]
    fn an_expensive_read_waits_for_the_counters_but_not_for_ever() {
        let (mut cadence, now) = read_once(Duration::from_millis(300));
        assert!(!cadence.tick(&tick("2", 7), false, now + Duration::from_secs(29)), "other tables were written");
        assert!(cadence.tick(&tick("2", 7), false, now + Duration::from_secs(30)), "the counters may be late");
        let (mut cadence, now) = read_once(Duration::from_millis(300));
        assert!(cadence.tick(&tick("2", 8), false, now + Duration::from_secs(5)), "the catalogs were written");
    }

    #[test]
    fn slow_parts_need_an_open_gate_and_a_minute() {
        let (mut cadence, now) = read_once(Duration::from_millis(20));
        let order = cadence.slow_order(&[], &[], false, false, now).unwrap();
        assert!(order.shapes);
        assert_eq!(
            cadence.slow_order(&[], &[], false, false, now + Duration::from_secs(540)),
            None,
            "the gate is shut"
        );
        cadence.tick(&tick("2", 7), false, now);
        assert_eq!(cadence.slow_order(&[], &[], false, false, now + Duration::from_secs(59)), None);
        assert!(cadence.slow_order(&[], &[], false, false, now + Duration::from_secs(60)).unwrap().shapes);
    }

    #[test]
    fn slow_parts_that_failed_are_tried_again_behind_a_shut_gate() {
        let (mut cadence, now) = read_once(Duration::from_millis(20));
        assert!(cadence.slow_order(&[], &[], false, false, now).unwrap().shapes);
        cadence.slow_failed();
        cadence.slow_ended(now);
        assert_eq!(cadence.slow_order(&[], &[], false, false, now + Duration::from_secs(59)), None);
        assert!(cadence.slow_order(&[], &[], false, false, now + Duration::from_secs(60)).unwrap().shapes);
    }

    #[test]
    fn sizes_on_screen_come_at_once_and_the_others_by_and_by() {
        let (mut cadence, now) = read_once(Duration::from_millis(20));
        let order = cadence.slow_order(&[Oid(1), Oid(2)], &[Oid(2)], false, true, now).unwrap();
        assert_eq!(order.exact, [Oid(2)], "the sweep waits for the slow parts");
        let order = cadence.slow_order(&[Oid(1), Oid(2)], &[Oid(2)], false, true, now).unwrap();
        assert_eq!(order.exact, [Oid(2), Oid(1)]);
        assert_eq!(cadence.slow_order(&[Oid(1)], &[Oid(2)], false, false, now), None);
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        for (lasting, longest) in [(false, 4_000), (true, 30_000)] {
            let mut backoff = Backoff::default();
            let pauses: Vec<_> = (0..40).map(|_| backoff.next(lasting).as_millis()).collect();
            assert!(pauses.iter().all(|p| *p <= longest));
            assert!(pauses.iter().skip(10).all(|p| *p >= longest / 2));
        }
    }
}

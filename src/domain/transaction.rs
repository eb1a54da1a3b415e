//! Which transaction, on which life of which server: what must be known to find out later what became of it. Knows no
//! connection; `server::apply` asks and compares.

use serde::{Deserialize, Serialize};

/// One transaction that was about to commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// `pg_current_xact_id()`, 64 bits.
    pub xid: u64,
    pub life: Life,
    /// Process id of the backend.
    pub pid: i32,
    /// Its start, in microseconds of the Unix epoch: a process id alone comes back.
    pub backend_start_us: Option<i64>,
}

/// A server between two crashes. A transaction id says nothing outside of it: what was not written down before a crash
/// is given to somebody else after it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Life {
    /// `pg_control_system()`; `None` where the role may not ask.
    pub system_identifier: Option<String>,
    /// First eight digits of the WAL file's name; changes when a standby is promoted.
    pub timeline: Option<String>,
    /// Start of the checkpointer: anew after every crash, while the postmaster's own start stays. `None` where the role
    /// may not see it (pg_read_all_stats).
    pub checkpointer_start_us: Option<i64>,
    /// Start of the postmaster.
    pub postmaster_start_us: Option<i64>,
    /// Since when the server counts, where the checkpointer's start may not be seen: anybody may ask, and a crash makes
    /// it begin anew. Somebody can make it begin anew without a crash, too: then nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counting_since_us: Option<i64>,
}

impl Life {
    /// True when both are certainly the same life; false when they differ or when that cannot be told.
    #[must_use]
    pub fn is_surely(&self, other: &Life) -> bool {
        self.system_identifier == other.system_identifier
            && self.timeline.is_some()
            && self.timeline == other.timeline
            && match (self.checkpointer_start_us, other.checkpointer_start_us) {
                (Some(mine), Some(others)) => mine == others,
                (None, None) => self.counting_since_us.is_some() && self.counting_since_us == other.counting_since_us,
                (Some(_), None) | (None, Some(_)) => false,
            }
            && self.postmaster_start_us == other.postmaster_start_us
    }

    /// True when both name a cluster, and not the same.
    #[must_use]
    pub fn is_elsewhere(&self, other: &Life) -> bool {
        matches!((&self.system_identifier, &other.system_identifier), (Some(a), Some(b)) if a != b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_the_same() {
        let life = Life {
            system_identifier: Some("1".into()),
            timeline: Some("00000001".into()),
            checkpointer_start_us: Some(5),
            postmaster_start_us: Some(4),
            counting_since_us: None,
        };
        assert!(life.is_surely(&life));
        assert!(!Life { checkpointer_start_us: None, ..life.clone() }.is_surely(&life));
        let hidden = Life { checkpointer_start_us: None, ..life.clone() };
        assert!(!hidden.is_surely(&hidden), "two unknowns are not one known");
        let counting = |us| Life { counting_since_us: Some(us), ..hidden.clone() };
        assert!(counting(7).is_surely(&counting(7)));
        assert!(!counting(7).is_surely(&counting(8)) && !counting(7).is_surely(&hidden));
        assert!(!Life { checkpointer_start_us: Some(6), ..life.clone() }.is_surely(&life));
        assert!(!Life { timeline: Some("00000002".into()), ..life.clone() }.is_surely(&life));
        assert!(!Life { system_identifier: None, ..life.clone() }.is_elsewhere(&life));
        assert!(Life { system_identifier: Some("2".into()), ..life.clone() }.is_elsewhere(&life));
    }
}

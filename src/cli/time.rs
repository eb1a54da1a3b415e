//! Instants as people and scripts read them. Knows microseconds of the Unix epoch and nothing of clocks.

/// RFC 3339 in UTC: `2026-11-20T18:02:59.5Z`. An instant that no calendar holds (infinity) is `None`.
#[must_use]
pub fn rfc3339(us: i64) -> Option<String> {
    (us != i64::MAX).then(|| jiff::Timestamp::from_microsecond(us).ok().map(|t| t.to_string())).flatten()
}

/// `2026-11-20 18:02:59 UTC`, for people.
#[must_use]
pub fn readable(us: i64) -> String {
    let whole = us.div_euclid(1_000_000);
    jiff::Timestamp::from_second(whole)
        .map_or_else(|_| "an unknown time".to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_700_000_000_500_000).as_deref(), Some("2023-11-14T22:13:20.5Z"));
        assert_eq!(rfc3339(i64::MAX), None);
        assert_eq!(readable(1_700_000_000_500_000), "2023-11-14 22:13:20 UTC");
    }
}

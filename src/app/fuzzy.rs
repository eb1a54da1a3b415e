//! Fuzzy matching behind one type, so that filter and palette agree on what matches. Knows texts only.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

/// Least share of the points of a match without gaps, in percent, that counts as a match: a few gaps are meant, letters
/// scattered over a sentence are not.
const TIGHT_PERCENT: u32 = 85;
/// Points of one matching character, as the matcher counts.
const POINTS: u32 = 16;

/// Matches texts against what somebody typed: every word must be found, in any order, small letters in any case.
pub struct Fuzzy {
    words: Vec<(Pattern, u32)>,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Fuzzy {
    #[must_use]
    pub fn new(typed: &str) -> Fuzzy {
        let words = typed
            .split_whitespace()
            .map(|word| {
                let pattern = Pattern::new(word, CaseMatching::Smart, Normalization::Smart, AtomKind::Fuzzy);
                (pattern, word.chars().count() as u32 * POINTS * TIGHT_PERCENT / 100)
            })
            .collect();
        Fuzzy { words, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// Points of a match, more is better; `None` when it does not match. Everything matches nothing typed.
    pub fn score(&mut self, text: &str) -> Option<u32> {
        let mut total = 0;
        for (pattern, least) in &self.words {
            let points = pattern.score(Utf32Str::new(text, &mut self.buffer), &mut self.matcher)?;
            if points < *least {
                return None;
            }
            total += points;
        }
        Some(total)
    }
}

/// The candidate nearest to a mistyped word: at most two edits away.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    candidates
        .into_iter()
        .map(|c| (edits(&word, c), c))
        .filter(|(d, _)| *d <= 2)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Insertions, deletions and substitutions between two words.
fn edits(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *cell;
            left = (above + 1).min(left + 1).min(diagonal + usize::from(*ca != cb));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(typed: &str, text: &str) -> bool {
        Fuzzy::new(typed).score(text).is_some()
    }

    #[test]
    fn words_match_with_small_gaps_in_any_order() {
        assert!(hits("lang", "langflow_app can write to public"));
        assert!(hits("lngflow", "langflow_app"));
        assert!(hits("public lang", "langflow_app can write to public"));
        assert!(hits("", "anything"));
        assert!(!hits("sankore", "langflow_app can write to public"));
        assert!(!hits("apic", "langflow_a can write to p u b l i c"), "letters scattered over a sentence");
        assert!(hits("ENG", "ENGARDE") && !hits("ENG", "engarde"), "capitals are meant");
    }

    #[test]
    fn the_beginning_of_a_word_beats_its_middle() {
        let mut fuzzy = Fuzzy::new("ro");
        assert!(fuzzy.score("Roles") > fuzzy.score("macro"));
    }

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        assert_eq!(nearest("sorrt", ["quit", "sort"]), Some("sort"));
        assert_eq!(nearest("zzzzzz", ["quit", "sort"]), None);
        assert_eq!(edits(&['a', 'b', 'c'], "abd"), 1);
    }
}

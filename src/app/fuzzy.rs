//! Fuzzy matching behind one type, so that filter and palette agree on what matches. Knows texts only.

use std::borrow::Cow;

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

/// What a text is found by: the text, and where it is shown otherwise because something in it would act on a terminal, also
/// as it is shown. Made once for a text, not for each key.
#[must_use]
pub fn findable(text: String) -> String {
    match crate::text::safe(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => format!("{text} {shown}"),
    }
}

/// How words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As they were typed. Asked first: whoever types a word that is there means it.
    Exactly,
    /// With small gaps.
    Loosely,
}

impl Fuzzy {
    #[must_use]
    pub fn new(typed: &str, how: How) -> Fuzzy {
        let kind = match how {
            How::Exactly => AtomKind::Substring,
            How::Loosely => AtomKind::Fuzzy,
        };
        let words = typed
            .split_whitespace()
            .map(|word| {
                let pattern = Pattern::new(word, CaseMatching::Smart, Normalization::Smart, kind);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(typed: &str, text: &str) -> bool {
        Fuzzy::new(typed, How::Loosely).score(text).is_some()
    }

    #[test]
    fn words_match_with_small_gaps_in_any_order() {
        assert!(hits("lang", "langflow_app can write to public"));
        assert!(hits("lngflow", "langflow_app"));
        assert!(hits("public lang", "langflow_app can write to public"));
        assert!(hits("", "anything"));
        assert!(!hits("sankore", "langflow_app can write to public"));
        assert!(!hits("aoit", "langflow_app can write to public"), "letters scattered over a sentence");
        assert!(hits("ENG", "ENGARDE") && !hits("ENG", "engarde"), "capitals are meant");
    }

    #[test]
    fn what_is_shown_is_found_as_well_as_what_is_there() {
        let name = findable("a\u{202e}b owner".to_owned());
        for typed in ["a\u{202e}b", "202e", "\\u{202e}b", "owner"] {
            assert!(Fuzzy::new(typed, How::Exactly).score(&name).is_some(), "{typed:?}");
        }
        assert_eq!(findable("plain".to_owned()), "plain");
    }

    #[test]
    fn exactly_means_that_the_words_are_there() {
        let mut exact = Fuzzy::new("row level", How::Exactly);
        assert!(exact.score("no row level security").is_some() && exact.score("level of the row").is_some());
        assert!(Fuzzy::new("rls", How::Exactly).score("a superuser: no grant, no role else").is_none());
    }

    #[test]
    fn the_beginning_of_a_word_beats_its_middle() {
        let mut fuzzy = Fuzzy::new("ro", How::Loosely);
        assert!(fuzzy.score("Roles") > fuzzy.score("macro"));
    }
}

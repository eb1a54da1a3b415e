//! Long lines broken at blanks, with their indentation or column kept. Knows toned text only.

use unicode_width::UnicodeWidthChar;

use super::view::{Line, Span, Tone};

/// Breaks a line into lines of at most `width` cells; what continues is indented as the line began, or stands under its
/// last column where two blanks or more divide it into columns. A word that is wider than the line is cut.
#[must_use]
pub fn wrap(line: &Line, width: usize) -> Vec<Line> {
    if line.width() <= width || width == 0 {
        return vec![line.clone()];
    }
    let indent = indent(line, width / 2);
    let mut out = Vec::new();
    let mut now = Line::empty();
    let mut used = 0;
    let pieces: Vec<Span> = words(line).map(|(span, word)| span.part(word)).collect();
    let is_blank = |piece: &Span| piece.text().starts_with(' ');
    let mut inside = false;
    for (i, piece) in pieces.iter().enumerate() {
        let mut wide = piece.width();
        let blank = is_blank(piece);
        // a word may be of several tones: it stays together where it fits on a line
        let word: usize = pieces.iter().skip(i).take_while(|p| !is_blank(p)).map(Span::width).sum();
        let need = if !blank && !inside && word + indent <= width { word } else { wide };
        inside = !blank;
        let piece = piece.clone();
        if used + need > width {
            if blank && used > 0 {
                continue;
            }
            if used > indent || (used > 0 && out.is_empty()) {
                out.push(std::mem::take(&mut now));
                used = indent;
                now.0.extend((indent > 0).then(|| Span::new(&" ".repeat(indent), Tone::Text)));
            }
            // wider than a whole line
            let mut rest = piece;
            while used + wide > width {
                let cut = cut_at(rest.text(), (width - used).max(1));
                now.0.push(rest.part(0..cut));
                out.push(std::mem::take(&mut now));
                used = indent;
                now.0.extend((indent > 0).then(|| Span::new(&" ".repeat(indent), Tone::Text)));
                rest = rest.part(cut..rest.text().len());
                wide = rest.width();
            }
            if wide > 0 {
                now.0.push(rest);
            }
        } else if !(blank && used == indent && !out.is_empty()) {
            now.0.push(piece);
        } else {
            continue;
        }
        used += wide;
    }
    if !now.0.is_empty() {
        out.push(now);
    }
    out
}

/// Cells before the first word, or before the last column that begins within `most` cells.
fn indent(line: &Line, most: usize) -> usize {
    let (mut at, mut blanks, mut indent) = (0, 0, 0);
    let mut begun = false;
    for c in line.0.iter().flat_map(|s| s.text().chars()) {
        if c == ' ' {
            blanks += 1;
        } else {
            if at <= most && (!begun || blanks >= 2) {
                indent = at;
            }
            (begun, blanks) = (true, 0);
        }
        at += c.width().unwrap_or(0);
    }
    indent.min(most)
}

/// Runs of blanks and runs of others, with their spans.
fn words(line: &Line) -> impl Iterator<Item = (&Span, std::ops::Range<usize>)> {
    line.0.iter().flat_map(|span| {
        let mut start = 0;
        let mut out = Vec::new();
        let mut last: Option<bool> = None;
        for (i, c) in span.text().char_indices() {
            if last.is_some_and(|l| l != (c == ' ')) {
                out.push((span, start..i));
                start = i;
            }
            last = Some(c == ' ');
        }
        if start < span.text().len() {
            out.push((span, start..span.text().len()));
        }
        out
    })
}

/// Bytes of the longest beginning of at most `cells` cells, at least one character.
fn cut_at(text: &str, cells: usize) -> usize {
    let mut used = 0;
    for (i, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > cells && i > 0 {
            return i;
        }
    }
    text.len()
}

/// Wrapped, with what continues under the column of that cell.
#[must_use]
pub fn hanging(line: &Line, width: usize, column: usize) -> Vec<Line> {
    let room = width.saturating_sub(column).max(8);
    let (mut head, mut rest, mut used) = (Vec::new(), Vec::new(), 0);
    for span in &line.0 {
        if used < column {
            head.push(span.clone());
        } else {
            rest.push(span.clone());
        }
        used += span.width();
    }
    let mut wrapped = wrap(&Line(rest), room).into_iter();
    let mut lines = vec![Line(head).join(wrapped.next().unwrap_or_default())];
    lines.extend(wrapped.map(|l| Line(vec![Span::new(&" ".repeat(column), Tone::Text)]).join(l)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: usize) -> Vec<String> {
        wrap(&Line::new(text, Tone::Text), width).iter().map(Line::plain).collect()
    }

    #[test]
    fn lines_break_at_blanks_and_keep_their_indentation() {
        assert_eq!(wrapped("one two three", 20), ["one two three"]);
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("  one two three", 8), ["  one ", "  two ", "  three"]);
        assert_eq!(wrapped("  k  open  goes one level down", 22), ["  k  open  goes one ", "           level down"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("日本語日本語", 5), ["日本", "語日", "本語"]);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_too_wide_whatever_the_width() {
        let line = Line::new("  SELECT relation, 日本語 FROM ", Tone::Text)
            .and("pg_class", Tone::SqlName)
            .and(" WHERE x", Tone::Text);
        let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
        for width in 3..60 {
            let out = wrap(&line, width);
            let all: String = out.iter().map(Line::plain).collect();
            assert_eq!(letters(&all), letters(&line.plain()), "{width}");
            assert!(out.iter().all(|l| l.width() <= width), "{width}: {out:?}");
        }
    }
}

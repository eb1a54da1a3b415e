//! Where the parts of the frame stand, from the size alone: so that nothing moves when data changes.
//!
//! ```text
//!  header      pgmoat   ● local engarde   ○ staging (refused, retry 8 s)          PRIMARY 15.20  superuser  12:03:41
//!  tabs        1 Overview  2 Schemas  3 Roles …
//!  rule        ──────────────────────────────────────────────────
//!  body
//!  rule        ──────────────────────────────────────────────────
//!  inspector   3 to 8 lines
//!  footer      Enter open  / filter  ? help                                   read in 21 ms, 0.4 s ago · 2 s
//! ```

use super::screen::Area;

/// Below this, a sentence.
pub const LEAST: (u16, u16) = (20, 5);
/// Below this, one pane and one line of inspector.
const NARROW: (u16, u16) = (60, 16);
/// Below this many columns, tabs become `4/9 Grants` and secondary columns go.
const WIDE: u16 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but a sentence.
    Tiny,
    /// One pane and a one-line inspector.
    Narrow,
    /// Short tabs.
    Medium,
    Wide,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub shape: Shape,
    pub header: Area,
    /// Empty when narrow: the header names the pane.
    pub tabs: Area,
    pub rule: Area,
    pub body: Area,
    pub inspector_rule: Area,
    pub inspector: Area,
    pub footer: Area,
}

impl Layout {
    #[must_use]
    pub fn new(width: u16, height: u16) -> Layout {
        let line = |y: u16| Area::new(0, y, width, 1);
        let none = Area::default();
        if width < LEAST.0 || height < LEAST.1 {
            return Layout {
                shape: Shape::Tiny,
                header: none,
                tabs: none,
                rule: none,
                body: Area::new(0, 0, width, height),
                inspector_rule: none,
                inspector: none,
                footer: none,
            };
        }
        if width < NARROW.0 || height < NARROW.1 {
            return Layout {
                shape: Shape::Narrow,
                header: line(0),
                tabs: none,
                rule: none,
                body: Area::new(0, 1, width, height - 3),
                inspector_rule: none,
                inspector: line(height - 2),
                footer: line(height - 1),
            };
        }
        let shape = if width < WIDE { Shape::Medium } else { Shape::Wide };
        let lines = match (shape, height) {
            (Shape::Wide, 40..) => 8,
            (Shape::Wide, 30..) => 6,
            (_, 24..) => 5,
            (_, 20..) => 4,
            _ => 3,
        };
        let body = height - 5 - lines;
        Layout {
            shape,
            header: line(0),
            tabs: line(1),
            rule: line(2),
            body: Area::new(0, 3, width, body),
            inspector_rule: line(3 + body),
            inspector: Area::new(0, 4 + body, width, lines),
            footer: line(height - 1),
        }
    }

    /// Body and inspector as one, for a long text.
    #[must_use]
    pub fn page(&self) -> Area {
        let end = self.footer.y.max(self.body.y);
        Area { height: if self.footer.is_empty() { self.body.height } else { end - self.body.y }, ..self.body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_every_size_without_a_gap_or_an_overlap() {
        for width in 0..210 {
            for height in 0..70 {
                let l = Layout::new(width, height);
                let parts = [l.header, l.tabs, l.rule, l.body, l.inspector_rule, l.inspector, l.footer];
                let mut y = 0;
                for part in parts.iter().filter(|p| p.height > 0) {
                    assert_eq!(part.y, y, "{width}x{height}");
                    y += part.height;
                }
                assert_eq!(y, height, "{width}x{height}");
                if l.shape != Shape::Tiny {
                    assert!(l.body.height >= 2, "{width}x{height} leaves room for a title and a row");
                }
            }
        }
    }
}

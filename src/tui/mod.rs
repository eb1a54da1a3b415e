//! The screen: a terminal that is always given back, its keys, and painting frames. Knows the app's frames and messages,
//! never a server.

pub mod draw;
pub mod input;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod theme;

/// What a frame looks like, as text.
#[cfg(test)]
pub(crate) fn text_of(screen: &crate::app::screen::Screen) -> String {
    let theme = theme::Theme::load("dark", None, theme::Depth::Full).unwrap();
    let area = ratatui::layout::Rect::new(0, 0, screen.width, screen.height);
    let mut buffer = ratatui::buffer::Buffer::empty(area);
    draw::draw(screen, &theme, &mut buffer);
    draw::plain(&buffer)
}

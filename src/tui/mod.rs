//! The screen: a terminal that is always given back, its keys, and painting frames. Knows the app's frames and messages,
//! never a server.

pub mod draw;
pub mod input;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod theme;

//! The program without a screen: what is shown, what a key does, what is to be done about it. No terminal, no runtime,
//! no server in here.

pub mod instance;
pub mod panes;
pub mod prose;
pub mod sql_spans;
pub mod view;
pub mod wording;

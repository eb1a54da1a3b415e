//! The composition root: the one loop that knows app, tui and server.

//! The dialogs as a state machine.

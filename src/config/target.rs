//! Which database is meant: a name of the configuration, a connection string, or psql's letters.

use serde::{Deserialize, Serialize};

/// How careful to be: colour and words on screen, and production asks for a typed name before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    #[default]
    Development,
    Staging,
    Production,
}

impl Environment {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Environment::Development => "development",
            Environment::Staging => "staging",
            Environment::Production => "production",
        }
    }
}

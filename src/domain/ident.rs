//! Names and numbers of database objects: [`Oid`], [`Ident`] and how an identifier is written in SQL.
//! Knows nothing of connections, screens or statements.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An object identifier as the catalogs hold it (`pg_class.oid` and so on). Zero is "none", and PUBLIC in an ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oid(pub u32);

impl Oid {
    /// The absent object; as a grantee it stands for PUBLIC (`aclexplode`, since 8.x).
    pub const ZERO: Oid = Oid(0);

    /// First identifier that a user's object can have (`FirstNormalObjectId` in `access/transam.h`).
    pub const FIRST_NORMAL: Oid = Oid(16384);
}

/// Positions by object identifier. Looked up for every entry of every list: a multiplication is all the hashing that
/// numbers given out one after the other need.
pub type ByOid = std::collections::HashMap<Oid, usize, std::hash::BuildHasherDefault<OidHasher>>;

/// By a number that puts two positions together: looked up for every cell of a frame.
pub type ByPair<T> = std::collections::HashMap<u64, T, std::hash::BuildHasherDefault<OidHasher>>;

/// The key of two positions in a [`ByPair`].
#[must_use]
pub const fn pair(a: usize, b: usize) -> u64 {
    (a as u64) << 32 ^ b as u64
}

/// Fibonacci hashing of one number; see [`ByOid`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OidHasher(u64);

impl std::hash::Hasher for OidHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write_u32(&mut self, oid: u32) {
        self.0 = (self.0 ^ u64::from(oid)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
    fn write_u64(&mut self, pair: u64) {
        self.0 = (self.0 ^ pair ^ pair >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
    fn write_usize(&mut self, position: usize) {
        self.write_u64(position as u64);
    }
    fn write_isize(&mut self, variant: isize) {
        self.write_u64(variant as u64);
    }
    fn write_u8(&mut self, byte: u8) {
        self.write_u32(u32::from(byte));
    }
    fn write_u16(&mut self, bits: u16) {
        self.write_u32(u32::from(bits));
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
}

/// Positions by name. A policy of thousands of services looks them up by the ten thousand for every catalog.
pub type ByName = std::collections::HashMap<String, usize, std::hash::BuildHasherDefault<NameHasher>>;

/// Hashes names eight bytes at a time; see [`ByName`].
#[derive(Debug, Clone, Copy, Default)]
pub struct NameHasher(u64);

impl std::hash::Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Longest identifier in bytes (`NAMEDATALEN - 1`); the server cuts longer ones with only a NOTICE.
pub const MAX_IDENT_BYTES: usize = 63;

/// A name that may be written into SQL: not empty, no NUL, at most [`MAX_IDENT_BYTES`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// Why a text cannot be an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("a name cannot hold a NUL byte")]
    Nul,
    #[error("the name is {0} bytes long; PostgreSQL keeps {MAX_IDENT_BYTES} and cuts the rest: shorten it by {over}", over = *.0 - MAX_IDENT_BYTES)]
    TooLong(usize),
}

impl Ident {
    /// Checks a text from a person.
    ///
    /// # Errors
    /// [`IdentError`] when it is empty, holds NUL or is longer than 63 *bytes*.
    pub fn new(text: impl Into<String>) -> Result<Self, IdentError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdentError::Empty);
        }
        if text.contains('\0') {
            return Err(IdentError::Nul);
        }
        if text.len() > MAX_IDENT_BYTES {
            return Err(IdentError::TooLong(text.len()));
        }
        Ok(Ident(text))
    }

    /// The name as the catalog holds it, unquoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Ident {
    type Error = IdentError;
    fn try_from(text: String) -> Result<Self, IdentError> {
        Ident::new(text)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> String {
        ident.0
    }
}

/// As SQL writes it: quoted where `quote_ident()` would quote.
impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote_ident(&self.0))
    }
}

/// Writes a name as the server's `quote_ident()` does: bare when it is safe, else in double quotes.
#[must_use]
pub fn quote_ident(name: &str) -> String {
    let mut chars = name.chars();
    let bare = matches!(chars.next(), Some('a'..='z' | '_'))
        && chars.all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
        && KEYWORDS.binary_search(&name).is_err();
    if bare { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// What SQL makes of a name that was written without the double quotes it needs; `None` where it needs none.
#[must_use]
pub fn unquoted(name: &str) -> Option<String> {
    if quote_ident(name) == name {
        return None;
    }
    let small = name.to_lowercase();
    Some(if small != name && quote_ident(&small) == small {
        format!("without them PostgreSQL reads {small}")
    } else if KEYWORDS.binary_search(&name).is_ok() {
        "without them PostgreSQL takes it for a word of SQL".to_owned()
    } else {
        "without them it is a syntax error".to_owned()
    })
}

/// `schema.name`, each part quoted where needed.
#[must_use]
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}

/// Keywords that are not unreserved in any of 14 to 18 (`pg_get_keywords()` where `catcode <> 'U'`), and
/// `public`/`none`/role specifications, which mean something else where a role is expected. Sorted.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn quoting_follows_the_server() {
        for (name, sql) in [
            ("langflow", "langflow"),
            ("user", "\"user\""),
            ("a\"b", "\"a\"\"b\""),
            ("PUBLIC", "\"PUBLIC\""),
            ("16384", "\"16384\""),
            ("none", "\"none\""),
            ("a$b", "\"a$b\""),
        ] {
            assert_eq!(quote_ident(name), sql);
        }
    }

    #[test]
    fn length_counts_bytes() {
        assert!(Ident::new("é".repeat(31)).is_ok());
        assert_eq!(Ident::new("é".repeat(32)), Err(IdentError::TooLong(64)));
        assert_eq!(Ident::new(""), Err(IdentError::Empty));
        assert_eq!(Ident::new("a\0b"), Err(IdentError::Nul));
    }
}

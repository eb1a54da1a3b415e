//! Decodes the binary columns of a row from left to right, and access control lists with a dictionary. Knows no table.

use std::{collections::HashSet, error::Error, sync::Arc};

use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::ServerError;
use crate::{
    domain::{Acl, AclEntry, Oid, Privilege, Privileges},
    text,
};

/// A column's bytes as they came, whatever its type; `None` is NULL.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }
    fn from_sql_null(_: &Type) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Microseconds between the Unix epoch and PostgreSQL's (2000-01-01).
const EPOCH_US: i64 = 946_684_800_000_000;

/// Reads the columns of one row in their order.
pub(super) struct Fields<'r> {
    what: &'static str,
    row: &'r Row,
    at: usize,
}

impl<'r> Fields<'r> {
    pub(super) fn new(what: &'static str, row: &'r Row) -> Fields<'r> {
        Fields { what, row, at: 0 }
    }

    fn bad(&self, expected: &'static str) -> ServerError {
        ServerError::Unreadable { what: self.what, column: self.at, expected }
    }

    /// The next column's bytes.
    pub(super) fn bytes(&mut self) -> Result<Option<&'r [u8]>, ServerError> {
        let at = self.at;
        self.at += 1;
        self.row.try_get::<_, Raw<'r>>(at).map(|raw| raw.0).map_err(|_| self.bad("a column"))
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<Option<[u8; N]>, ServerError> {
        match self.bytes()? {
            None => Ok(None),
            Some(raw) => raw.try_into().map(Some).map_err(|_| self.bad(expected)),
        }
    }

    fn needed<T>(&self, value: Option<T>) -> Result<T, ServerError> {
        value.ok_or_else(|| self.bad("a value"))
    }

    pub(super) fn opt_text(&mut self) -> Result<Option<String>, ServerError> {
        Ok(self.bytes()?.map(text::decode))
    }
    pub(super) fn text(&mut self) -> Result<String, ServerError> {
        let value = self.opt_text()?;
        self.needed(value)
    }
    /// `oid` and `regclass`; NULL is [`Oid::ZERO`].
    pub(super) fn oid(&mut self) -> Result<Oid, ServerError> {
        Ok(self.array("an oid")?.map_or(Oid::ZERO, |raw| Oid(u32::from_be_bytes(raw))))
    }
    /// `boolean`; NULL is false.
    pub(super) fn opt_oid(&mut self) -> Result<Option<Oid>, ServerError> {
        Ok(self.array("an oid")?.map(|raw| Oid(u32::from_be_bytes(raw))))
    }
    pub(super) fn bool(&mut self) -> Result<bool, ServerError> {
        Ok(self.array::<1>("a boolean")?.is_some_and(|raw| raw != [0]))
    }
    /// `"char"`; NULL is NUL.
    pub(super) fn char(&mut self) -> Result<char, ServerError> {
        Ok(self.array::<1>("a character")?.map_or('\0', |[c]| char::from(c)))
    }
    pub(super) fn i16(&mut self) -> Result<i16, ServerError> {
        let value = self.array("a 2-byte integer")?.map(i16::from_be_bytes);
        self.needed(value)
    }
    pub(super) fn opt_i32(&mut self) -> Result<Option<i32>, ServerError> {
        Ok(self.array("a 4-byte integer")?.map(i32::from_be_bytes))
    }
    pub(super) fn i32(&mut self) -> Result<i32, ServerError> {
        let value = self.opt_i32()?;
        self.needed(value)
    }
    pub(super) fn opt_i64(&mut self) -> Result<Option<i64>, ServerError> {
        Ok(self.array("an 8-byte integer")?.map(i64::from_be_bytes))
    }
    pub(super) fn i64(&mut self) -> Result<i64, ServerError> {
        let value = self.opt_i64()?;
        self.needed(value)
    }
    /// A count; NULL and negative are 0.
    pub(super) fn count(&mut self) -> Result<u64, ServerError> {
        Ok(self.opt_i64()?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }
    /// `timestamptz` as microseconds since the Unix epoch; infinity is `i64::MAX`.
    pub(super) fn time_us(&mut self) -> Result<Option<i64>, ServerError> {
        Ok(self.opt_i64()?.map(|us| if us == i64::MAX || us == i64::MIN { us } else { us.saturating_add(EPOCH_US) }))
    }

    fn elements(&mut self) -> Result<Option<Elements<'r>>, ServerError> {
        let Some(raw) = self.bytes()? else { return Ok(None) };
        Elements::new(raw).map(Some).ok_or_else(|| self.bad("a one-dimensional array"))
    }
    /// `oid[]`; NULL is empty.
    pub(super) fn oids(&mut self) -> Result<Vec<Oid>, ServerError> {
        let Some(elements) = self.elements()? else { return Ok(Vec::new()) };
        elements
            .map(|raw| raw.and_then(|raw| raw.try_into().ok()).map(|raw| Oid(u32::from_be_bytes(raw))))
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad("an array of oids"))
    }
    /// `integer[]`; NULL is empty.
    pub(super) fn ints(&mut self) -> Result<Vec<i32>, ServerError> {
        let Some(elements) = self.elements()? else { return Ok(Vec::new()) };
        elements
            .map(|raw| raw.and_then(|raw| raw.try_into().ok()).map(i32::from_be_bytes))
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad("an array of integers"))
    }
    /// `bigint[]`; NULL is empty.
    pub(super) fn longs(&mut self) -> Result<Vec<i64>, ServerError> {
        let Some(elements) = self.elements()? else { return Ok(Vec::new()) };
        elements
            .map(|raw| raw.and_then(|raw| raw.try_into().ok()).map(i64::from_be_bytes))
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad("an array of 8-byte integers"))
    }
    /// `text[]` and `name[]`; NULL is empty, a NULL element is an empty text.
    pub(super) fn texts(&mut self) -> Result<Vec<String>, ServerError> {
        Ok(self
            .elements()?
            .map_or_else(Vec::new, |e| e.map(|raw| raw.map_or_else(String::new, text::decode)).collect()))
    }
    /// `boolean[]`; NULL is empty.
    pub(super) fn bools(&mut self) -> Result<Vec<bool>, ServerError> {
        Ok(self.elements()?.map_or_else(Vec::new, |e| e.map(|raw| raw.is_some_and(|raw| raw != [0])).collect()))
    }

    /// The three columns `… is null, codes, grantors` of an `@acl()`.
    pub(super) fn acl(&mut self, acls: &mut Acls, owner: Oid) -> Result<Acl, ServerError> {
        let null = self.bool()?;
        let codes = self.longs()?;
        let grantors = self.oids()?;
        if null {
            return Ok(Acl::NULL);
        }
        let mut entries: Vec<AclEntry> = Vec::with_capacity(codes.len() / 4 + 1);
        let mut others = grantors.into_iter();
        for code in codes {
            let grantee = Oid(u32::try_from(code >> 8).map_err(|_| self.bad("a grantee"))?);
            let grantor = if code & 2 == 2 { owner } else { others.next().ok_or_else(|| self.bad("a grantor"))? };
            let privilege = Privileges::from(Privilege::from_code(((code >> 2) & 63) as u8));
            let grantable = if code & 1 == 1 { privilege } else { Privileges::NONE };
            match entries.last_mut() {
                Some(last) if last.grantee == grantee && last.grantor == grantor => {
                    last.privileges = last.privileges | privilege;
                    last.grantable = last.grantable | grantable;
                }
                _ => entries.push(AclEntry { grantee, grantor, privileges: privilege, grantable }),
            }
        }
        Ok(acls.fold(entries))
    }
}

/// The elements of a binary array of at most one dimension.
struct Elements<'r> {
    rest: &'r [u8],
    left: usize,
}

impl<'r> Elements<'r> {
    fn new(raw: &'r [u8]) -> Option<Elements<'r>> {
        let (dimensions, rest) = number(raw)?;
        if dimensions == 0 {
            return Some(Elements { rest: &[], left: 0 });
        }
        let (_, rest) = number(rest)?; // has NULLs
        let (_, rest) = number(rest)?; // element type
        let (left, rest) = number(rest)?;
        let (_, rest) = number(rest)?; // lower bound
        (dimensions == 1).then_some(Elements { rest, left: usize::try_from(left).ok()? })
    }
}

fn number(raw: &[u8]) -> Option<(i32, &[u8])> {
    let (head, rest) = raw.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*head), rest))
}

impl<'r> Iterator for Elements<'r> {
    type Item = Option<&'r [u8]>;
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = number(self.rest)?;
        let Ok(length) = usize::try_from(length) else {
            self.rest = rest;
            return Some(None);
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(value))
    }
}

/// Equal lists share one allocation.
#[derive(Default)]
pub(super) struct Acls(HashSet<Arc<[AclEntry]>>);

impl Acls {
    pub(super) fn fold(&mut self, entries: Vec<AclEntry>) -> Acl {
        if let Some(known) = self.0.get(entries.as_slice()) {
            return Acl(Some(known.clone()));
        }
        let list: Arc<[AclEntry]> = entries.into();
        self.0.insert(list.clone());
        Acl(Some(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_taken_apart() {
        let mut raw = Vec::new();
        for n in [1i32, 1, 25, 3, 1] {
            raw.extend(n.to_be_bytes());
        }
        raw.extend([0, 0, 0, 1, b'a', 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        let all: Vec<_> = Elements::new(&raw).unwrap().collect();
        assert_eq!(all, [Some(&b"a"[..]), None, Some(&b""[..])]);
        assert_eq!(Elements::new(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25]).unwrap().count(), 0);
        assert!(Elements::new(&[0, 0]).is_none());
    }

    #[test]
    fn a_cut_array_ends_early_instead_of_reading_on() {
        let mut raw = Vec::new();
        for n in [1i32, 0, 26, 2, 1, 4] {
            raw.extend(n.to_be_bytes());
        }
        assert_eq!(Elements::new(&raw).unwrap().count(), 0);
    }

    #[test]
    fn equal_lists_share() {
        let entry =
            AclEntry { grantee: Oid(1), grantor: Oid(2), privileges: Privileges::TABLE, grantable: Privileges::NONE };
        let mut acls = Acls::default();
        let (Acl(Some(a)), Acl(Some(b))) = (acls.fold(vec![entry]), acls.fold(vec![entry])) else { panic!() };
        assert!(Arc::ptr_eq(&a, &b));
    }
}

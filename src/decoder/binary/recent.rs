//! Attributes that came before. A body has the same few again and again, byte for byte, and what they say of their
//! element is the same as long as the prefixes in them stand for the same namespaces.

use std::borrow::Cow;

use super::is_attribute;
use crate::decoder::elements::{Attributes, Named, Qualified, Said, Scope, Space, Start, split};

/// The longest attributes that are remembered, in bytes, and how many of them.
const LONGEST: usize = 256;
const PLACES: usize = 64;

/// How many bytes tell attributes apart, as a rule.
const TOLD_BY: usize = 16;

/// What the attributes of elements said, by their bytes.
#[derive(Debug)]
pub(super) struct Recent<'a> {
    told: Vec<Told<'a>>,
    /// For each key one more than the place in `told`, or none.
    places: [u8; PLACES],
}

/// What the attributes of an element said.
#[derive(Debug)]
struct Told<'a> {
    written: &'a [u8],
    said: Option<Said>,
    bound: Option<Bound<'a>>,
    /// What other prefixes stood for, which were bound elsewhere.
    relied: [Option<Bound<'a>>; 2],
}

/// A prefix and what it stands for.
type Bound<'a> = (&'a [u8], Option<Space>);

impl Default for Recent<'_> {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            places: [0; PLACES],
        }
    }
}

impl<'a> Recent<'a> {
    /// Tells `start` what the attributes say that `rest` begins with, and binds their prefixes, where the same came
    /// before. Gives back how many bytes they take.
    pub(super) fn tell(
        &self,
        rest: &[u8],
        scope: &mut Scope<'a>,
        start: &mut Start<Qualified<'a>>,
    ) -> Option<usize> {
        let place = usize::from(self.places[key(rest)?]).checked_sub(1)?;
        let told = self.told.get(place)?;
        let behind = rest.strip_prefix(told.written)?;
        if is_attribute(behind.first().copied()) {
            return None;
        }
        let is_same = |(prefix, space): &Bound<'a>| scope.resolve(prefix) == space.as_ref();
        if !told.relied.iter().flatten().all(is_same) {
            return None;
        }
        if let Some((prefix, space)) = &told.bound {
            scope.bind_to(prefix, space.clone()).ok()?;
        }
        start.tell(told.said.clone());
        Some(told.written.len())
    }

    /// Remembers what the attributes that `rest` begins with, of so many bytes, said of the element `start`.
    pub(super) fn learn(
        &mut self,
        rest: &'a [u8],
        length: usize,
        attributes: &Attributes<'a>,
        scope: &Scope<'a>,
        start: &Start<Qualified<'a>>,
    ) {
        let told = told(&rest[..length], attributes, scope, start);
        let (Some(told), Some(key)) = (told, key(rest)) else {
            return;
        };
        match usize::from(self.places[key]) {
            0 => {
                if self.told.is_empty() {
                    // Few bodies have more.
                    self.told.reserve(16);
                }
                self.told.push(told);
                // There are never more than places.
                self.places[key] = u8::try_from(self.told.len()).unwrap_or(0);
            }
            place => self.told[place - 1] = told,
        }
    }
}

/// What is to be remembered of attributes; nothing of unusual ones.
fn told<'a>(
    written: &'a [u8],
    attributes: &Attributes<'a>,
    scope: &Scope<'a>,
    start: &Start<Qualified<'a>>,
) -> Option<Told<'a>> {
    let said = start.said();
    let is_plain = said.is_none_or(|said| {
        let is_plain_type = matches!(said.named, Named::Nothing | Named::Known(_) | Named::Pairs);
        is_plain_type && said.identity.is_none()
    });
    if !is_plain || written.len() > LONGEST {
        return None;
    }
    let mut own = scope.own();
    let bound = own.next();
    if own.next().is_some() || matches!(bound, Some((_, Some(Space::Other(_))))) {
        return None;
    }
    let mut relied = [None, None];
    let mut free = relied.iter_mut();
    let mut rely = |prefix: &'a [u8]| {
        if bound.is_some_and(|(own, _)| own == prefix) {
            return Some(());
        }
        let space = scope.resolve(prefix);
        if matches!(space, Some(Space::Other(_))) {
            return None;
        }
        *free.next()? = Some((prefix, space.cloned()));
        Some(())
    };
    for (tag, value) in attributes.iter() {
        rely(tag.prefix)?;
        if tag.name == b"type" {
            let Cow::Borrowed(value) = value else {
                return None;
            };
            rely(split(value.trim_ascii()).prefix)?;
        }
    }
    Some(Told {
        written,
        said: said.cloned(),
        bound: bound.map(|(prefix, space)| (prefix, space.cloned())),
        relied,
    })
}

/// Where to look for attributes that begin like this. A name is behind its record and its length, `type` or `nil` as a
/// rule, and the length of a value behind the record of that. What follows is no part of them.
fn key(rest: &[u8]) -> Option<usize> {
    let (first, second) = rest.first_chunk::<TOLD_BY>()?.split_first_chunk()?;
    let second: [u8; 8] = second.try_into().ok()?;
    let (head, tail) = (u64::from_le_bytes(*first), u64::from_le_bytes(second));
    let (head, tail) = match first {
        [_, 3, ..] => (head & 0xffff_ffff_ffff, 0),
        [_, 4, .., length @ 0..8] => (head, tail & ((1 << (8 * length)) - 1)),
        _ => (head, tail),
    };
    let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - PLACES.ilog2())).ok()
}

//! Where the values of a context lie: one after the other in one place, and their texts in another. A context
//! of a thousand values takes a handful of allocations, and giving it up as many.
//!
//! Values come in the order in which they are met: what lies in a collection follows it at once, and each
//! collection says how many places that takes, so that a reader can step over it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::NumberKind;

/// A text, by its place among the texts of a tape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        size(self.start)..size(self.start) + size(self.length)
    }
}

/// What a value is called where it lies. Items of arrays have the empty name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name {
    /// By the contract.
    Known(&'static str),
    /// By the body.
    Sent(Span),
}

impl Name {
    /// The name of what has none.
    pub(crate) const NONE: Self = Self::Known("");
}

/// How much a collection holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    /// Places behind its own, of all that lies in it at any depth.
    places: u32,
    /// Its own entries, members or items.
    pub(super) entries: u32,
}

/// A type, by its place among the types of a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeAt(u32);

/// One value, without its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot {
    Null,
    Bool(bool),
    Number(NumberKind, Span),
    String(Span),
    Guid(Span),
    DateTime(Span),
    /// Among the bytes of the tape.
    Bytes(Span),
    Array(Extent),
    Bag(Extent),
    Object(Option<TypeAt>, Extent),
    Context(Extent),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    name: Name,
    slot: Slot,
}

/// Values, one after the other.
#[derive(Debug, Clone, Default)]
struct Nodes(Vec<Node>);

impl Nodes {
    fn slot(&self, at: usize) -> Slot {
        self.0.get(at).map_or(Slot::Null, |node| node.slot)
    }

    fn name(&self, at: usize) -> Name {
        self.0.get(at).map_or(Name::NONE, |node| node.name)
    }

    /// The place behind the value at `at` and all that lies in it.
    fn behind(&self, at: usize) -> usize {
        let within = match self.slot(at) {
            Slot::Array(extent)
            | Slot::Bag(extent)
            | Slot::Object(_, extent)
            | Slot::Context(extent) => extent.places,
            _ => 0,
        };
        at + 1 + size(within)
    }
}

/// The values of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape {
    nodes: Nodes,
    texts: Box<str>,
    bytes: Vec<u8>,
    types: Vec<Type>,
}

/// The name of a type, and its namespace.
type Type = (Name, Option<Span>);

impl Tape {
    /// The place of the value that holds all others.
    pub(super) const ROOT: usize = 0;

    pub(super) fn slot(&self, at: usize) -> Slot {
        self.nodes.slot(at)
    }

    pub(super) fn name(&self, at: usize) -> &str {
        self.text_of(self.nodes.name(at))
    }

    /// The place behind the value at `at` and all that lies in it.
    pub(super) fn behind(&self, at: usize) -> usize {
        self.nodes.behind(at)
    }

    pub(super) fn text(&self, span: Span) -> &str {
        self.texts.get(span.range()).unwrap_or_default()
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes.get(span.range()).unwrap_or_default()
    }

    fn text_of(&self, name: Name) -> &str {
        match name {
            Name::Known(name) => name,
            Name::Sent(span) => self.text(span),
        }
    }

    /// True where the value that holds all others is a context.
    pub(crate) fn is_context(&self) -> bool {
        matches!(self.slot(Self::ROOT), Slot::Context(_))
    }

    /// The name and the namespace of a type.
    pub(super) fn type_name(&self, at: TypeAt) -> (&str, Option<&str>) {
        match self.types.get(size(at.0)) {
            Some((name, namespace)) => (self.text_of(*name), namespace.map(|span| self.text(span))),
            None => ("", None),
        }
    }

    /// How many bytes it takes, once it is finished.
    pub(crate) fn memory(&self) -> usize {
        memory(&self.nodes, self.texts.as_bytes(), &self.bytes, &self.types)
    }
}

fn memory(nodes: &Nodes, texts: &[u8], bytes: &[u8], types: &[Type]) -> usize {
    size_of_val(nodes.0.as_slice()) + texts.len() + bytes.len() + size_of_val(types)
}

/// Offsets into a tape have 32 bits, which the limits of a [`Writer`] ensure.
fn size(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn offset(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// What a context has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Members, entries and items.
    Values,
    /// Bytes.
    Bytes,
}

/// How much a body holds as a rule.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected {
    /// Values.
    pub(crate) values: usize,
    /// Bytes of text.
    pub(crate) texts: usize,
}

/// Writes a tape, within its limits.
#[derive(Debug)]
pub(crate) struct Writer {
    nodes: Nodes,
    /// UTF-8, which is found out at the end, for all texts at once: to ask for each takes much longer.
    texts: Vec<u8>,
    bytes: Vec<u8>,
    types: Vec<Type>,
    /// True where a text begins within a character: all of them may be UTF-8 then, and this one is not.
    is_torn: bool,
    /// The texts, once it is known that they are UTF-8.
    sealed: Option<Box<str>>,
    most_values: usize,
    most_bytes: usize,
}

impl Writer {
    /// The most bytes that a tape can hold: no place lies further than 32 bits can tell.
    pub(crate) const MOST_BYTES: usize = 1 << 30;

    /// With room for what is expected; it grows where that is not enough.
    pub(crate) fn new(expected: Expected, most_values: usize, most_bytes: usize) -> Self {
        Self {
            nodes: Nodes(Vec::with_capacity(expected.values)),
            texts: Vec::with_capacity(expected.texts),
            bytes: Vec::new(),
            types: Vec::new(),
            is_torn: false,
            sealed: None,
            most_values,
            most_bytes: most_bytes.min(Self::MOST_BYTES),
        }
    }

    /// Gives up all that was written.
    pub(crate) fn clear(&mut self) {
        self.nodes.0.clear();
        self.texts.clear();
        self.bytes.clear();
        self.types.clear();
        self.is_torn = false;
        self.sealed = None;
    }

    /// Whether all texts are UTF-8. No more are taken after it.
    pub(crate) fn seal(&mut self) -> bool {
        let texts = simdutf8::basic::from_utf8(&self.texts);
        self.sealed = texts.ok().filter(|_| !self.is_torn).map(Box::from);
        self.sealed.is_some()
    }

    /// The tape; none where a text is not UTF-8.
    pub(crate) fn finish(mut self) -> Option<Tape> {
        if self.sealed.is_none() {
            self.seal();
        }
        self.nodes.0.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.types.shrink_to_fit();
        Some(Tape {
            nodes: self.nodes,
            texts: self.sealed?,
            bytes: self.bytes,
            types: self.types,
        })
    }

    /// Keeps a text.
    pub(crate) fn text(&mut self, text: &[u8]) -> Span {
        self.is_torn |= matches!(text, [0x80..=0xbf, ..]);
        let start = offset(self.texts.len());
        self.texts.extend_from_slice(text);
        Span {
            start,
            length: offset(text.len()),
        }
    }

    /// Keeps the text that `write` adds.
    pub(crate) fn write<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Span, E> {
        let start = self.texts.len();
        write(&mut self.texts)?;
        self.is_torn |= matches!(self.texts.get(start), Some(0x80..=0xbf));
        Ok(Span {
            start: offset(start),
            length: offset(self.texts.len() - start),
        })
    }

    /// Puts a text into lower case.
    pub(crate) fn lowercase(&mut self, span: Span) {
        if let Some(text) = self.texts.get_mut(span.range()) {
            text.make_ascii_lowercase();
        }
    }

    /// The text at `span`.
    pub(crate) fn shown(&self, span: Span) -> &[u8] {
        self.texts.get(span.range()).unwrap_or_default()
    }

    fn shown_name(&self, name: Name) -> &[u8] {
        match name {
            Name::Known(name) => name.as_bytes(),
            Name::Sent(span) => self.shown(span),
        }
    }

    /// The name of the value at `at`.
    pub(super) fn name(&self, at: usize) -> &[u8] {
        self.shown_name(self.nodes.name(at))
    }

    /// Gives up a text, which must be the last one kept.
    pub(crate) fn forget(&mut self, span: Span) {
        self.texts.truncate(size(span.start));
    }

    /// Keeps what `write` adds to the bytes; nothing, where it gives none.
    pub(crate) fn bytes(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Span> {
        let bytes = &mut self.bytes;
        let start = bytes.len();
        if write(bytes).is_none() {
            bytes.truncate(start);
            return None;
        }
        Some(Span {
            start: offset(start),
            length: offset(bytes.len() - start),
        })
    }

    /// Keeps a type that the contract knows.
    pub(crate) fn known_type(&mut self, name: &'static str) -> TypeAt {
        let is_it = |(known, namespace): Type| {
            matches!(known, Name::Known(known) if std::ptr::eq(known, name)) && namespace.is_none()
        };
        self.recent_type(is_it)
            .unwrap_or_else(|| self.add_type((Name::Known(name), None)))
    }

    /// Keeps a type of which only the body tells.
    pub(crate) fn sent_type(&mut self, name: &str, namespace: Option<&str>) -> TypeAt {
        let namespace = namespace.map(str::as_bytes);
        let is_it = |(known, space): Type| {
            self.shown_name(known) == name.as_bytes()
                && space.map(|space| self.shown(space)) == namespace
        };
        if let Some(place) = self.recent_type(is_it) {
            return place;
        }
        let name = Name::Sent(self.text(name.as_bytes()));
        let namespace = namespace.map(|namespace| self.text(namespace));
        self.add_type((name, namespace))
    }

    /// One of the last types: those of a body are few, and come again.
    fn recent_type(&self, is_it: impl Fn(Type) -> bool) -> Option<TypeAt> {
        let recent = self.types.len().saturating_sub(RECENT_TYPES);
        let found = self.types[recent..].iter().position(|known| is_it(*known));
        found.map(|place| TypeAt(offset(recent + place)))
    }

    fn add_type(&mut self, added: Type) -> TypeAt {
        self.types.push(added);
        TypeAt(offset(self.types.len() - 1))
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, name: Name, slot: Slot) -> Result<(), Full> {
        if self.place() >= self.most_values {
            return Err(Full::Values);
        }
        self.nodes.0.push(Node { name, slot });
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<(), Full> {
        let memory = memory(&self.nodes, &self.texts, &self.bytes, &self.types);
        match memory <= self.most_bytes {
            true => Ok(()),
            false => Err(Full::Bytes),
        }
    }

    /// How many values there are: the place of the next one.
    pub(crate) fn place(&self) -> usize {
        self.nodes.0.len()
    }

    /// Begins a collection: what is pushed from now on lies in it, until it is closed.
    pub(crate) fn open(&mut self, name: Name) -> Result<usize, Full> {
        let at = self.place();
        self.push(name, Slot::Null)?;
        Ok(at)
    }

    /// Ends the collection that began at `at`, with so many entries.
    pub(crate) fn close(&mut self, at: usize, entries: usize, slot: impl FnOnce(Extent) -> Slot) {
        let extent = Extent {
            places: offset(self.place() - at - 1),
            entries: offset(entries),
        };
        self.replace(at, slot(extent));
    }

    /// Makes another value of the one at `at`.
    pub(crate) fn replace(&mut self, at: usize, slot: Slot) {
        if let Some(node) = self.nodes.0.get_mut(at) {
            node.slot = slot;
        }
    }

    /// Takes the last value's name from `name`, where it was pushed before that was known.
    pub(crate) fn rename(&mut self, at: usize, name: Name) {
        if let Some(node) = self.nodes.0.get_mut(at) {
            node.name = name;
        }
    }

    /// The value at `at`.
    pub(crate) fn slot(&self, at: usize) -> Slot {
        self.nodes.slot(at)
    }

    /// Gives up all values from `place` on.
    pub(crate) fn truncate(&mut self, place: usize) {
        self.nodes.0.truncate(place);
    }

    /// Adds a copy of the value at `at` with all that lies in it.
    pub(crate) fn copy(&mut self, at: usize, name: Name) -> Result<(), Full> {
        let (behind, place) = (self.nodes.behind(at), self.place());
        let count = behind.min(place) - at.min(place);
        if place + count > self.most_values {
            return Err(Full::Values);
        }
        self.nodes.0.extend_from_within(at..at + count);
        self.rename(place, name);
        self.check_bytes()
    }

    /// The places of what lies directly in the collection at `at`, which must be the last one.
    pub(super) fn entries(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.place();
        std::iter::successors(Some(at + 1), |at| Some(self.nodes.behind(*at)))
            .take_while(move |at| *at < end)
    }

    /// True where one of the values that lie directly in the collection at `at`, which is the last one, has
    /// this name.
    pub(super) fn has(&self, at: usize, name: &[u8]) -> bool {
        self.entries(at).any(|entry| self.name(entry) == name)
    }

    /// Of values of one name that lie directly in the collection at `at`, which is the last one, keeps the last
    /// one, in the place of the first. Calls `repeated` with each name that comes again. Gives back how many
    /// are left.
    pub(crate) fn keep_last(&mut self, at: usize, mut repeated: impl FnMut(&[u8])) -> usize {
        let entries: Vec<usize> = self.entries(at).collect();
        let mut kept: Vec<usize> = Vec::with_capacity(entries.len());
        let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(entries.len());
        for entry in entries {
            match places.entry(self.name(entry)) {
                Entry::Occupied(place) => {
                    repeated(place.key());
                    kept[*place.get()] = entry;
                }
                Entry::Vacant(place) => {
                    place.insert(kept.len());
                    kept.push(entry);
                }
            }
        }
        self.keep(at, &kept);
        kept.len()
    }

    /// Keeps of what lies in the collection at `at`, which is the last one, the values at these places.
    fn keep(&mut self, at: usize, places: &[usize]) {
        let mut end = at + 1;
        if places.is_sorted() {
            // All move towards the front: what is still to be read is not written over.
            for place in places {
                let behind = self.nodes.behind(*place);
                self.nodes.0.copy_within(*place..behind, end);
                end += behind - place;
            }
            return self.truncate(end);
        }
        let mut nodes = Vec::with_capacity(self.place() - at);
        for place in places {
            nodes.extend_from_slice(&self.nodes.0[*place..self.nodes.behind(*place)]);
        }
        self.truncate(end);
        self.nodes.0.extend_from_slice(&nodes);
    }

    /// Makes a bag of the array at `at`, which is the last collection, where each of its items is a pair of a
    /// text and a value: an object with the members `key` and `value` alone. Else it stays an array. Gives back
    /// whether it is a bag.
    pub(crate) fn pair_up(&mut self, at: usize) -> bool {
        let pairs: Option<Vec<(Span, usize)>> =
            self.entries(at).map(|item| self.pair(item)).collect();
        let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else {
            return false;
        };
        let values: Vec<usize> = pairs.iter().map(|(_, value)| *value).collect();
        self.keep(at, &values);
        let entries: Vec<usize> = self.entries(at).collect();
        for (entry, (key, _)) in entries.into_iter().zip(pairs) {
            self.rename(entry, Name::Sent(key));
        }
        true
    }

    /// The key of a pair, and the place of its value.
    fn pair(&self, at: usize) -> Option<(Span, usize)> {
        let Slot::Object(kind, extent) = self.slot(at) else {
            return None;
        };
        let is_pair_type = kind.is_none_or(|TypeAt(at)| {
            let known = self.types.get(size(at));
            known.is_some_and(|(name, _)| self.shown_name(*name).starts_with(b"KeyValue"))
        });
        let (key, value) = (at + 1, at + 2);
        let is_named = matches!(self.name(key), b"key" | b"Key")
            && matches!(self.name(value), b"value" | b"Value");
        match self.slot(key) {
            Slot::String(text) if is_pair_type && extent.entries == 2 && is_named => {
                Some((text, value))
            }
            _ => None,
        }
    }
}

/// How many of the last types are looked through for one that comes again.
const RECENT_TYPES: usize = 8;

//! Where the values of a context lie: one after the other in one place, and their texts in another. A context
//! of a thousand values takes a handful of allocations, and giving it up as many.
//!
//! Values come in the order in which they are met: what lies in a collection follows it at once, and each
//! collection says how many places that takes, so that a reader can step over it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::NumberKind;

/// A text, by its place among the texts of a tape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
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

/// The values of one body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    texts: String,
    bytes: Vec<u8>,
    types: Vec<Type>,
}

/// The name of a type, and its namespace.
type Type = (Name, Option<Span>);

impl Tape {
    /// The place of the value that holds all others.
    pub(super) const ROOT: usize = 0;

    pub(super) fn slot(&self, at: usize) -> Slot {
        self.nodes.get(at).map_or(Slot::Null, |node| node.slot)
    }

    pub(super) fn name(&self, at: usize) -> &str {
        self.nodes
            .get(at)
            .map_or("", |node| self.text_of(node.name))
    }

    /// The place behind the value at `at` and all that lies in it.
    pub(super) fn behind(&self, at: usize) -> usize {
        let within = match self.slot(at) {
            Slot::Array(extent)
            | Slot::Bag(extent)
            | Slot::Object(_, extent)
            | Slot::Context(extent) => extent.places,
            _ => 0,
        };
        at + 1 + size(within)
    }

    pub(super) fn text(&self, span: Span) -> &str {
        self.texts
            .get(size(span.start)..size(span.start) + size(span.length))
            .unwrap_or_default()
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.bytes
            .get(size(span.start)..size(span.start) + size(span.length))
            .unwrap_or_default()
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
        self.nodes.len() * size_of::<Node>()
            + self.texts.len()
            + self.bytes.len()
            + self.types.len() * size_of::<Type>()
    }
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

/// Writes a tape, within its limits.
#[derive(Debug)]
pub(crate) struct Writer {
    tape: Tape,
    most_values: usize,
    most_bytes: usize,
}

impl Writer {
    /// The most bytes that a tape can hold: no place lies further than 32 bits can tell.
    pub(crate) const MOST_BYTES: usize = 1 << 30;

    /// With room for what a body of so many bytes holds as a rule; it grows where that is not enough.
    pub(crate) fn new(body: usize, most_values: usize, most_bytes: usize) -> Self {
        Self {
            tape: Tape {
                nodes: Vec::with_capacity(8 + body / 60),
                texts: String::with_capacity(body / 3),
                bytes: Vec::new(),
                types: Vec::new(),
            },
            most_values,
            most_bytes: most_bytes.min(Self::MOST_BYTES),
        }
    }

    /// Gives up all that was written.
    pub(crate) fn clear(&mut self) {
        self.tape.nodes.clear();
        self.tape.texts.clear();
        self.tape.bytes.clear();
        self.tape.types.clear();
    }

    pub(crate) fn finish(mut self) -> Tape {
        let tape = &mut self.tape;
        tape.nodes.shrink_to_fit();
        tape.texts.shrink_to_fit();
        tape.bytes.shrink_to_fit();
        tape.types.shrink_to_fit();
        self.tape
    }

    /// Keeps a text.
    pub(crate) fn text(&mut self, text: &str) -> Span {
        let start = offset(self.tape.texts.len());
        self.tape.texts.push_str(text);
        Span {
            start,
            length: offset(text.len()),
        }
    }

    /// Keeps what `write` adds to the texts.
    pub(crate) fn write<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<Span, E> {
        let start = self.tape.texts.len();
        write(&mut self.tape.texts)?;
        Ok(Span {
            start: offset(start),
            length: offset(self.tape.texts.len() - start),
        })
    }

    /// Puts a text into lower case.
    pub(crate) fn lowercase(&mut self, span: Span) {
        let place = size(span.start)..size(span.start) + size(span.length);
        if let Some(text) = self.tape.texts.get_mut(place) {
            text.make_ascii_lowercase();
        }
    }

    /// The text at `span`.
    pub(crate) fn shown(&self, span: Span) -> &str {
        self.tape.text(span)
    }

    /// Gives up a text, which must be the last one kept.
    pub(crate) fn forget(&mut self, span: Span) {
        self.tape.texts.truncate(size(span.start));
    }

    /// Keeps what `write` adds to the bytes; nothing, where it gives none.
    pub(crate) fn bytes(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Span> {
        let bytes = &mut self.tape.bytes;
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
        let is_it = |_: &Tape, (known, namespace): Type| {
            matches!(known, Name::Known(known) if std::ptr::eq(known, name)) && namespace.is_none()
        };
        self.recent_type(is_it)
            .unwrap_or_else(|| self.add_type((Name::Known(name), None)))
    }

    /// Keeps a type of which only the body tells.
    pub(crate) fn sent_type(&mut self, name: &str, namespace: Option<&str>) -> TypeAt {
        let is_it = |tape: &Tape, (known, space): Type| {
            tape.text_of(known) == name && space.map(|space| tape.text(space)) == namespace
        };
        if let Some(place) = self.recent_type(is_it) {
            return place;
        }
        let name = Name::Sent(self.text(name));
        let namespace = namespace.map(|namespace| self.text(namespace));
        self.add_type((name, namespace))
    }

    /// One of the last types: those of a body are few, and come again.
    fn recent_type(&self, is_it: impl Fn(&Tape, Type) -> bool) -> Option<TypeAt> {
        let types = &self.tape.types;
        let recent = types.len().saturating_sub(RECENT_TYPES);
        let found = types[recent..]
            .iter()
            .position(|known| is_it(&self.tape, *known));
        found.map(|place| TypeAt(offset(recent + place)))
    }

    fn add_type(&mut self, added: Type) -> TypeAt {
        self.tape.types.push(added);
        TypeAt(offset(self.tape.types.len() - 1))
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, name: Name, slot: Slot) -> Result<(), Full> {
        let tape = &mut self.tape;
        if tape.nodes.len() >= self.most_values {
            return Err(Full::Values);
        }
        tape.nodes.push(Node { name, slot });
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<(), Full> {
        match self.tape.memory() <= self.most_bytes {
            true => Ok(()),
            false => Err(Full::Bytes),
        }
    }

    /// How many values there are: the place of the next one.
    pub(crate) fn place(&self) -> usize {
        self.tape.nodes.len()
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
        if let Some(node) = self.tape.nodes.get_mut(at) {
            node.slot = slot;
        }
    }

    /// Takes the last value's name from `name`, where it was pushed before that was known.
    pub(crate) fn rename(&mut self, at: usize, name: Name) {
        if let Some(node) = self.tape.nodes.get_mut(at) {
            node.name = name;
        }
    }

    /// The value at `at`.
    pub(crate) fn slot(&self, at: usize) -> Slot {
        self.tape.slot(at)
    }

    /// Gives up all values from `place` on.
    pub(crate) fn truncate(&mut self, place: usize) {
        self.tape.nodes.truncate(place);
    }

    /// Adds a copy of the value at `at` with all that lies in it.
    pub(crate) fn copy(&mut self, at: usize, name: Name) -> Result<(), Full> {
        let (behind, place) = (self.tape.behind(at), self.place());
        let count = behind.min(place) - at.min(place);
        if place + count > self.most_values {
            return Err(Full::Values);
        }
        self.tape.nodes.extend_from_within(at..at + count);
        self.rename(place, name);
        self.check_bytes()
    }

    /// The places of what lies directly in the collection at `at`, which must be the last one.
    fn entries(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.place();
        std::iter::successors(Some(at + 1), |at| Some(self.tape.behind(*at)))
            .take_while(move |at| *at < end)
    }

    /// True where one of the values that lie directly in the collection at `at`, which is the last one, has
    /// this name.
    fn has(&self, at: usize, name: &str) -> bool {
        self.entries(at).any(|entry| self.tape.name(entry) == name)
    }

    /// Of values of one name that lie directly in the collection at `at`, which is the last one, keeps the last
    /// one, in the place of the first. Calls `repeated` with each name that comes again. Gives back how many
    /// are left.
    pub(crate) fn keep_last(&mut self, at: usize, mut repeated: impl FnMut(&str)) -> usize {
        let entries: Vec<usize> = self.entries(at).collect();
        let mut kept: Vec<usize> = Vec::with_capacity(entries.len());
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
        for entry in entries {
            match places.entry(self.tape.name(entry)) {
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
        let mut nodes = Vec::with_capacity(self.place() - at);
        for place in places {
            nodes.extend_from_slice(&self.tape.nodes[*place..self.tape.behind(*place)]);
        }
        self.tape.nodes.truncate(at + 1);
        self.tape.nodes.extend_from_slice(&nodes);
    }

    /// Makes a bag of the array at `at`, which is the last collection, where each of its items is a pair of a
    /// text and a value: an object with the members `key` and `value` alone. Else it stays an array. Gives back
    /// whether it is a bag, and how many entries it has before [`Writer::keep_last`].
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
        let is_pair_type =
            kind.is_none_or(|kind| self.tape.type_name(kind).0.starts_with("KeyValue"));
        let (key, value) = (at + 1, at + 2);
        let is_named = matches!(self.tape.name(key), "key" | "Key")
            && matches!(self.tape.name(value), "value" | "Value");
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

/// The names in a collection that is being written, to find out whether one comes again: the first ones by a
/// filter that says "perhaps" and a look at them all, the rest by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: u64,
    filter: [u64; 4],
    count: usize,
    hashes: Option<HashSet<u64>>,
    is_repeated: bool,
}

/// How many names are looked through one by one.
const FEW: usize = 48;

impl Names {
    /// Takes the name of the next value, before that is pushed into the collection at `at`.
    pub(crate) fn add(&mut self, name: &str, writer: &Writer, at: usize) {
        if self.is_repeated {
            return;
        }
        self.count += 1;
        if self.count > FEW {
            return self.add_hash(name, writer, at);
        }
        // Multiplying leaves its best bits at the top.
        let [.., place] = mixed(name).to_le_bytes();
        let (word, bit) = (usize::from(place >> 6), 1 << (place & 63));
        let is_perhaps = self.filter[word] & bit != 0;
        self.filter[word] |= bit;
        if is_perhaps && writer.has(at, name) {
            self.is_repeated = true;
        }
    }

    fn add_hash(&mut self, name: &str, writer: &Writer, at: usize) {
        let hashes = self.hashes.get_or_insert_with(|| {
            let earlier = writer.entries(at).map(|at| mixed(writer.tape.name(at)));
            earlier.collect()
        });
        // Two names of one number are looked at more closely in the end, once.
        self.is_repeated = !hashes.insert(mixed(name));
    }

    /// Takes the name of the next value by the place of that name in the contract.
    pub(crate) fn add_known(&mut self, place: usize) {
        let bit = u32::try_from(place)
            .ok()
            .and_then(|place| 1_u64.checked_shl(place));
        match bit {
            Some(bit) => {
                self.is_repeated |= self.known & bit != 0;
                self.known |= bit;
            }
            None => self.is_repeated = true,
        }
    }

    /// Takes nothing for granted: a name may have come again.
    pub(crate) fn doubt(&mut self) {
        self.is_repeated = true;
    }

    /// True where a name came again, or may have.
    pub(crate) fn is_repeated(&self) -> bool {
        self.is_repeated
    }
}

/// A number that names that differ seldom share. Whoever makes some that do gains nothing by it: where two share
/// one, all names are looked at once.
fn mixed(name: &str) -> u64 {
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let last = rest.iter().fold(rest.len() as u64 + 1, |word, byte| {
        word << 8 | u64::from(*byte)
    });
    let mut mixed = 0_u64;
    for word in words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain([last])
    {
        mixed = (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mixed
}

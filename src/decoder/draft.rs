//! What is being made of a body while it is read: values and notes.

use std::borrow::Cow;

use super::contract::{CONTEXT, Contract};
use super::{Decoder, Dictionary, Limits};
use crate::context::{
    ExecutionContext, Expected, Name, Names, Note, Slot, Span, Tape, TypeAt, Writer,
};

/// How many notes are kept: a body of repeated keys must not grow without end.
pub(super) const MAX_NOTES: usize = 20;

/// How many bytes of a path and how many characters of a key a note shows: both are the sender's.
const MAX_NOTE_PATH: usize = 512;
const MAX_NOTE_NAME: usize = 64;

/// What is wrong with a text of other bytes.
pub(super) const NOT_UTF8: &str = "not UTF-8";

/// What stops a reader, with the offset into the body. In a box: it is rare, and every step of a reader hands a
/// result on.
#[derive(Debug)]
pub(super) struct Fault(Box<(usize, Cow<'static, str>)>);

impl Fault {
    pub(super) fn new(offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::boxed(offset, reason.into())
    }

    /// Kept out of what calls it: no sound body comes here.
    #[cold]
    #[inline(never)]
    fn boxed(offset: usize, reason: Cow<'static, str>) -> Self {
        Self(Box::new((offset, reason)))
    }

    pub(super) fn into_parts(self) -> (usize, Cow<'static, str>) {
        *self.0
    }
}

/// What is being made of a body.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) values: Writer,
    pub(super) notes: Notes,
    pub(super) limits: Limits,
    /// The sender's own, where it is known.
    pub(super) dictionary: Option<Dictionary>,
}

impl Draft {
    /// For a body that holds about so much.
    pub(super) fn new(expected: Expected, decoder: &Decoder) -> Self {
        let limits = decoder.limits;
        Self {
            values: Writer::new(
                expected,
                limits.attributes.saturating_add(1),
                limits.expansion,
            ),
            notes: Notes::default(),
            limits,
            dictionary: decoder.dictionary.clone(),
        }
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.notes = Notes::default();
    }

    /// The values of a context and the notes on them; a fault where it is none.
    pub(super) fn finish(self) -> Result<(Tape, Vec<Note>), Fault> {
        let tape = self.values.finish();
        let tape = tape.ok_or_else(|| Fault::new(0, NOT_UTF8))?;
        if !tape.is_context() {
            let reason = "no execution context: the body names another type";
            return Err(Fault::new(0, reason));
        }
        let members = ExecutionContext::of(&tape).members();
        if members.get("MessageName").is_none() {
            let reason = "no execution context: MessageName is missing";
            return Err(Fault::new(0, reason));
        }
        Ok((tape, self.notes.list))
    }

    /// Begins an entry of the bag at `bag`.
    pub(super) fn begin_pair(&self, bag: usize) -> Pair {
        Pair {
            bag,
            noted: self.notes.count(),
            key: None,
            value: None,
        }
    }

    /// Takes the key of a pair, in place of an earlier one. A value that was read before it has not been looked for
    /// among `names`.
    pub(super) fn take_key(&mut self, pair: &mut Pair, key: Span, names: &mut Names) {
        if pair.key.replace(key).is_some() {
            self.notes.repeated("member", b"key");
        }
        if pair.value.is_some() {
            names.doubt();
        }
    }

    /// Begins the value of a pair, in place of an earlier one. Gives back its name, as far as that is known.
    pub(super) fn begin_value(&mut self, pair: &mut Pair, names: &mut Names) -> Name {
        match pair.value {
            None => pair.value = Some(self.values.place()),
            Some(at) => {
                self.values.truncate(at);
                self.notes.repeated("member", b"value");
            }
        }
        let Some(key) = pair.key else {
            return Name::NONE;
        };
        names.add(self.values.shown(key), &self.values, pair.bag);
        Name::Sent(key)
    }

    /// Ends a pair; a pair without a value has null. An error, as a fragment, where it has no key or there is no
    /// room for it.
    pub(super) fn end_pair(
        &mut self,
        pair: &Pair,
        names: &mut Names,
    ) -> Result<(), Cow<'static, str>> {
        let key = pair.key.ok_or("a key/value pair without a key")?;
        self.notes_within(pair.noted, key);
        match pair.value {
            Some(at) => {
                self.values.rename(at, Name::Sent(key));
                Ok(())
            }
            None => {
                names.add(self.values.shown(key), &self.values, pair.bag);
                let pushed = self.values.push(Name::Sent(key), Slot::Null);
                pushed.map_err(|full| self.limits.reason(full))
            }
        }
    }

    /// Ends the bag at `at`, whose keys are `names`.
    pub(super) fn close_bag(&mut self, at: usize, count: usize, names: &mut Names) {
        let count = self.unrepeated(at, count, names, "key");
        self.values.close(at, count, Slot::Bag);
    }

    /// Ends the complex value at `at`, whose members are `names`.
    pub(super) fn close_members(
        &mut self,
        at: usize,
        count: usize,
        names: &mut Names,
        contract: Option<&'static Contract>,
        sent_type: Option<TypeAt>,
    ) {
        let count = self.unrepeated(at, count, names, "member");
        let is_context = contract.is_some_and(|contract| std::ptr::eq(contract, &CONTEXT));
        if is_context {
            return self.values.close(at, count, Slot::Context);
        }
        let type_at = sent_type.or_else(|| {
            let contract = contract.filter(|contract| !contract.name.is_empty())?;
            Some(self.values.known_type(contract.name))
        });
        self.values
            .close(at, count, |extent| Slot::Object(type_at, extent));
    }

    fn unrepeated(&mut self, at: usize, count: usize, names: &mut Names, kind: &str) -> usize {
        if !names.settle() {
            return count;
        }
        let notes = &mut self.notes;
        self.values.keep_last(at, |name| notes.repeated(kind, name))
    }

    /// Makes a bag of the array at `at`, which was declared as `object`, where its items are pairs.
    /// True where it was one.
    pub(super) fn pair_up(&mut self, at: usize) -> bool {
        let is_bag = self.values.pair_up(at);
        if is_bag {
            let notes = &mut self.notes;
            let count = self.values.keep_last(at, |key| notes.repeated("key", key));
            self.values.close(at, count, Slot::Bag);
        }
        is_bag
    }

    /// Says that the notes after the first `count` lie under the key `key`.
    pub(super) fn notes_within(&mut self, count: usize, key: Span) {
        if self.notes.count() > count {
            let key = String::from_utf8_lossy(self.values.shown(key));
            self.notes.within(count, &key);
        }
    }

    /// Says that the notes after the first `count` lie in the member `name`.
    pub(super) fn notes_within_name(&mut self, count: usize, name: Name) {
        match name {
            Name::Known(name) => self.notes.within(count, name),
            Name::Sent(name) => self.notes_within(count, name),
        }
    }
}

/// An entry of a bag that is being read: its key and its value come in any order.
#[derive(Debug)]
pub(super) struct Pair {
    bag: usize,
    /// How many notes there were before it.
    noted: usize,
    key: Option<Span>,
    /// Where its value is.
    value: Option<usize>,
}

/// The notes on one body. A path grows on the way out, so that it costs nothing while there is nothing
/// to say.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Note>,
}

impl Notes {
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn add(&mut self, text: impl Into<String>) {
        if self.list.len() < MAX_NOTES {
            self.list.push(Note {
                path: String::new(),
                text: text.into(),
            });
        }
    }

    pub(super) fn repeated(&mut self, kind: &str, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        let name = shortened(&name);
        self.add(format!(
            "the {kind} {name:?} came again, the last value is kept"
        ));
    }

    /// Notes that there is no place for a member.
    pub(super) fn left_out(&mut self, kind: &str, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        let name = shortened(&name);
        self.add(format!("the {kind} {name:?} is left out"));
    }

    /// Says that the notes after the first `count` lie in the item `place`.
    pub(super) fn within_item(&mut self, count: usize, place: usize) {
        if self.list.len() > count {
            self.within(count, &format!("[{place}]"));
        }
    }

    /// Says that the notes after the first `count` lie in the member, key or item `name`.
    pub(super) fn within(&mut self, count: usize, name: &str) {
        if self.list.len() == count {
            return;
        }
        for note in self.list.iter_mut().skip(count) {
            let separator = match note.path.as_bytes().first() {
                None | Some(b'[') => "",
                Some(_) => ".",
            };
            if note.path.len() < MAX_NOTE_PATH {
                note.path = format!("{}{separator}{}", shortened(name), note.path);
            }
        }
    }
}

/// True for the names of what a document adds to a context: a member that is called so would pass for that.
pub(super) fn is_taken(name: &[u8]) -> bool {
    const TAKEN: &[&[u8]] = &[
        b"@format",
        b"@namespace",
        b"@notes",
        b"@truncated",
        b"@type",
        b"@value",
    ];
    name.first() == Some(&b'@') && TAKEN.contains(&name)
}

pub(super) fn shortened(name: &str) -> &str {
    let end = name
        .char_indices()
        .nth(MAX_NOTE_NAME)
        .map_or(name.len(), |(at, _)| at);
    &name[..end]
}

//! Elements that later ones stand for: `z:Id` and `z:Ref`, which a serializer writes that preserves object
//! references.
//!
//! Source: `DataContractSerializer.PreserveObjectReferences` in the .NET documentation.

use std::collections::HashMap;
use std::rc::Rc;

use crate::context::{Names, Slot, Span, Writer};

/// What came of an element that may be referred to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Referent {
    /// A value with all that lies in it, by its place.
    Value(usize),
    /// The key of an entry.
    Text(Span),
}

impl Referent {
    /// Its text, where it is one.
    pub(super) fn text(self, values: &Writer) -> Option<Span> {
        match self {
            Self::Text(text) => Some(text),
            Self::Value(at) => match values.slot(at) {
                Slot::String(text) => Some(text),
                _ => None,
            },
        }
    }
}

/// The elements that came to an end and may be referred to.
#[derive(Debug, Default)]
pub(super) struct References {
    known: HashMap<Rc<[u8]>, Referent>,
    /// The values among them, in the order in which they ended. What lies behind a place ends after all that lies
    /// before it and ended already, so that it is found at the end of these.
    values: Vec<(usize, Rc<[u8]>)>,
}

impl References {
    pub(super) fn add(&mut self, id: Box<[u8]>, referent: Referent) {
        let id: Rc<[u8]> = id.into();
        if let Referent::Value(at) = referent {
            self.values.push((at, Rc::clone(&id)));
        }
        self.known.insert(id, referent);
    }

    pub(super) fn get(&self, id: &[u8]) -> Option<Referent> {
        self.known.get(id).copied()
    }

    /// Gives up what lies in the collection at `at` if some of its names came again, because then its values have
    /// moved.
    pub(super) fn forget(&mut self, at: usize, names: &mut Names) {
        // Nearly no body has a reference.
        if !self.known.is_empty() && names.settle() {
            self.forget_from(at + 1);
        }
    }

    /// Gives up all values from `place` on, which have moved or are gone.
    pub(super) fn forget_from(&mut self, place: usize) {
        while let Some((at, id)) = self.values.pop_if(|(at, _)| *at >= place) {
            if matches!(self.known.get(&id), Some(Referent::Value(known)) if *known == at) {
                self.known.remove(&id);
            }
        }
    }
}

//! What types the objects of a body say they are of: the member `__type`.
//!
//! The serializer writes it first, and the same few types again and again, so that what one means is kept.

use std::borrow::Cow;

use super::lexer::Lexer;
use crate::context::TypeAt;
use crate::decoder::contract::{self, CLR, Contract, PAIR, Shape, pair_of};
use crate::decoder::elements::Space;
use crate::decoder::{Draft, Fault, Limits};

/// A type that a body names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hint {
    /// What is known about it.
    pub(super) contract: Option<&'static Contract>,
    /// Its name; none where a declared collection has items of no other type, as XML has it too.
    pub(super) type_at: Option<TypeAt>,
}

/// The types of a body.
#[derive(Debug)]
pub(super) struct Hints<'a> {
    text: &'a str,
    /// Hints as they are written, and what they mean.
    known: Vec<(&'a str, Hint)>,
    /// For each object whose hint is not its first member, by the place where it begins, the hint.
    later: Option<Vec<(usize, &'a str)>>,
}

/// How many types are remembered.
const KNOWN: usize = 16;

impl<'a> Hints<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            known: Vec::new(),
            later: None,
        }
    }

    /// What a hint means that is written as `raw`, with its escapes.
    pub(super) fn read(&mut self, raw: &'a str, draft: &mut Draft) -> Result<Hint, Fault> {
        if let Some((_, hint)) = self.known.iter().find(|(known, _)| *known == raw) {
            return Ok(*hint);
        }
        let hint = parse(&Lexer::unescaped(raw)?, draft);
        if self.known.len() < KNOWN {
            self.known.push((raw, hint));
        }
        Ok(hint)
    }

    /// The hint of the object that begins where `start` stands, at whatever place among its members it is. The
    /// first time this looks through the whole body once.
    pub(super) fn later(
        &mut self,
        start: &Lexer<'a>,
        draft: &mut Draft,
    ) -> Result<Option<Hint>, Fault> {
        let limits = draft.limits;
        let later = self.later.get_or_insert_with(|| all(self.text, limits));
        match later.binary_search_by_key(&start.place(), |(place, _)| *place) {
            Ok(place) => {
                let raw = later[place].1;
                self.read(raw, draft).map(Some)
            }
            Err(_) => Ok(None),
        }
    }
}

/// The hints of all objects of a text by their beginnings, up to where it is broken or too deep.
fn all(text: &str, limits: Limits) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut lexer = Lexer::new(text);
    // For each open object its beginning, until its hint is found; nothing for arrays.
    let mut open: Vec<Option<usize>> = Vec::new();
    while let Some(next) = lexer.peek() {
        match next {
            // The reader does not count the objects of pairs.
            b'{' | b'[' if limits.level(open.len() / 2).is_err() => break,
            b'{' => open.push(Some(lexer.place())),
            b'[' => open.push(None),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                let Ok(name) = lexer.raw_string() else { break };
                let is_hint = lexer.peek() == Some(b':')
                    && Lexer::unescaped(name).is_ok_and(|name| name == "__type");
                if !is_hint {
                    continue;
                }
                lexer.step();
                let object = open.last_mut().and_then(Option::take);
                match (object, lexer.peek()) {
                    (Some(object), Some(b'"')) => match lexer.raw_string() {
                        Ok(raw) => found.push((object, raw)),
                        Err(_) => break,
                    },
                    // A member of this name may be something else; the hint may come yet.
                    (object, _) => {
                        if let Some(last) = open.last_mut() {
                            *last = object;
                        }
                    }
                }
                continue;
            }
            _ => {}
        }
        lexer.step();
    }
    found.sort_unstable_by_key(|(place, _)| *place);
    found
}

/// `Name:Namespace`, with `#` for the namespaces of CLR types.
fn parse(hint: &str, draft: &mut Draft) -> Hint {
    let (name, namespace) = hint.split_once(':').unwrap_or((hint, ""));
    if let Some(contract) = pair_of(name) {
        return Hint {
            contract: Some(contract),
            type_at: None,
        };
    }
    let namespace = match namespace.strip_prefix('#') {
        Some(clr) => Cow::Owned(format!("{CLR}{clr}")),
        None => Cow::Borrowed(namespace.strip_prefix('\\').unwrap_or(namespace)),
    };
    let space = Space::of(namespace.as_bytes()).unwrap_or(Space::WellKnown);
    let contract = match contract::known(name.as_bytes(), &space) {
        Some(Shape::Complex(contract)) => Some(contract),
        _ if name.starts_with("KeyValuePairOf") => Some(&PAIR),
        _ => None,
    };
    let is_foreign = matches!(space, Space::Other(_));
    let type_at = match contract {
        Some(contract) if contract.name == name && !is_foreign => {
            draft.values.known_type(contract.name)
        }
        _ => draft
            .values
            .sent_type(name, is_foreign.then_some(&*namespace)),
    };
    Hint {
        contract,
        type_at: Some(type_at),
    }
}

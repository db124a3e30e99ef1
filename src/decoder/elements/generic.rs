//! Elements that no contract describes: what they are is told by what is in them.

use super::stream::CUT;
use super::{Elements, Piece, Reader, Space, Text, is_taken};
use crate::context::{Name, Names, Slot, Span, Writer};
use crate::decoder::Fault;
use crate::decoder::contract::{self, Shape};

impl<'a, E: Elements<'a>> Reader<'_, E> {
    /// Reads an element that no contract describes: as text, as a list where its elements say so, else
    /// as members.
    pub(super) fn generic(
        &mut self,
        name: Name,
        type_name: Option<&(String, Option<String>)>,
    ) -> Result<(), Fault> {
        let at = self.open(name)?;
        let mut text = Text::default();
        let mut children = Children::default();
        loop {
            match self.elements.next()? {
                Piece::Text(more) if text.is_empty() => text = more,
                Piece::Text(more) => {
                    text.append(&more);
                    self.elements.room(text.len())?;
                }
                Piece::Start => {
                    // Beside elements a text says nothing, and is not to wait for them.
                    text = Text::default();
                    self.generic_child(at, &mut children)?;
                }
                Piece::End => break,
                Piece::Nothing => return Err(self.elements.fault(CUT)),
            }
        }
        if children.count > 0 {
            self.close_generic(at, &mut children, type_name);
            return Ok(());
        }
        let Some((type_name, namespace)) = type_name else {
            let text = self.draft.values.text(&text);
            self.draft.values.replace(at, Slot::String(text));
            return Ok(());
        };
        if !text.is_empty() {
            let text = self.draft.values.text(&text);
            self.push(Name::Known("@value"), Slot::String(text))?;
        }
        let values = &mut self.draft.values;
        let type_at = values.sent_type(type_name, namespace.as_deref());
        values.close(at, usize::from(!text.is_empty()), |extent| {
            Slot::Object(Some(type_at), extent)
        });
        Ok(())
    }

    fn generic_child(&mut self, at: usize, children: &mut Children) -> Result<(), Fault> {
        if is_taken(self.elements.start().name()) {
            return self.leave_out();
        }
        let noted = self.draft.notes.count();
        // Of an array of primitives the names of the items are their types.
        let is_item = self.elements.is_in(&Space::Arrays);
        let shape = match is_item {
            true => {
                let name = self.elements.start().name();
                contract::known(name, &Space::Arrays).unwrap_or(Shape::Any)
            }
            false => Shape::Any,
        };
        let name = self.sent_name()?;
        children.add(name, is_item, &self.draft.values, at);
        self.value(Name::Sent(name), shape)?;
        self.draft.notes_within(noted, name);
        Ok(())
    }

    /// Ends an element without a contract that has elements: it is a list where they say so.
    fn close_generic(
        &mut self,
        at: usize,
        children: &mut Children,
        type_name: Option<&(String, Option<String>)>,
    ) {
        let first = children.first.map(|name| self.draft.values.shown(name));
        let is_pair = first.is_some_and(|name| name.starts_with(b"KeyValue"));
        let are_repeated = children.are_same && (children.count > 1 || is_pair);
        if children.are_items || are_repeated {
            return self.close_list(at, children.count);
        }
        self.close_members(at, children.count, &mut children.names, None, type_name);
    }
}

/// What lies in an element without a contract.
struct Children {
    names: Names,
    first: Option<Span>,
    count: usize,
    /// True where all are items of an array of primitives.
    are_items: bool,
    /// True where all have one name: such are the items of a list; a single one is too if its name says "pair".
    are_same: bool,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            names: Names::default(),
            first: None,
            count: 0,
            are_items: true,
            are_same: true,
        }
    }
}

impl Children {
    fn add(&mut self, name: Span, is_item: bool, values: &Writer, at: usize) {
        let first = *self.first.get_or_insert(name);
        let name = values.shown(name);
        self.are_same &= values.shown(first) == name;
        self.names.add(name, values, at);
        self.are_items &= is_item;
        self.count += 1;
    }
}

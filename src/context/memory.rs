//! How much memory a context takes: a body of a megabyte can say so much that it takes forty.

use super::{ExecutionContext, Value};

/// What the allocator adds to each piece of memory.
const PIECE: usize = 16;

impl ExecutionContext {
    /// About how many bytes it takes, all that it points to included.
    pub fn memory(&self) -> usize {
        let members = self.members();
        size_of::<Self>() + table(members.table_size(), members.iter())
    }
}

impl Value {
    /// About how many bytes it points to; its own place is counted where it lies.
    fn memory(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Number(number) => heap(number.as_str()),
            Self::String(text) => heap(text),
            Self::Guid(text) => heap(text),
            Self::DateTime(date) => heap(date.as_str()),
            Self::Bytes(bytes) => PIECE + bytes.capacity(),
            Self::Array(items) => {
                let places = PIECE + items.capacity() * size_of::<Self>();
                places + items.iter().map(Self::memory).sum::<usize>()
            }
            Self::Bag(bag) => table(bag.table_size(), bag.iter()),
            Self::Object(object) => 2 * PIECE + table(object.table_size(), object.iter()),
            Self::Context(context) => PIECE + context.memory(),
        }
    }
}

/// A text, of which a short one may also lie in its own place.
fn heap(text: &str) -> usize {
    PIECE + text.len()
}

/// A table of `size` bytes, and what its entries point to.
fn table<'a>(size: usize, entries: impl Iterator<Item = (&'a str, &'a Value)>) -> usize {
    let pointed = entries.map(|(name, value)| PIECE + name.len() + value.memory());
    PIECE + size + pointed.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use crate::decoder::{Hint, decode};

    fn memory(input: &str) -> usize {
        let body = format!(
            r#"{{"MessageName":"Update","OrganizationId":"b015df52-a05f-ee11-a382-000d3a64db73","InputParameters":[{{"key":"k","value":{input}}}]}}"#
        );
        decode(body.as_bytes(), Hint::default())
            .unwrap()
            .context
            .memory()
    }

    #[test]
    fn what_takes_many_values_counts_as_many() {
        let text = format!("\"{}\"", "x".repeat(100_000));
        let numbers = format!("[{}0]", "0,".repeat(50_000));
        assert!(
            (100_000..130_000).contains(&memory(&text)),
            "{}",
            memory(&text)
        );
        assert!(memory(&numbers) > 50_000 * 40, "{}", memory(&numbers));
    }
}

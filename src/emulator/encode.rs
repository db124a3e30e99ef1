//! Writes AMQP values, compounds and frames into a buffer.
//!
//! Implements the encodings of AMQP 1.0 part 1, section 1.6, and the frame of part 2, section 2.3.
//! No list is written as `list0`, which the Python SDK does not read.

use super::condition::Refusal;

/// A field that a caller has encoded already, or none.
pub(crate) type Encoded<'a> = Option<&'a [u8]>;

/// The descriptors of the performatives, SASL frames and sections that are written here.
pub(crate) mod code {
    pub(crate) const OPEN: u8 = 0x10;
    pub(crate) const BEGIN: u8 = 0x11;
    pub(crate) const ATTACH: u8 = 0x12;
    pub(crate) const FLOW: u8 = 0x13;
    pub(crate) const TRANSFER: u8 = 0x14;
    pub(crate) const DISPOSITION: u8 = 0x15;
    pub(crate) const DETACH: u8 = 0x16;
    pub(crate) const END: u8 = 0x17;
    pub(crate) const CLOSE: u8 = 0x18;
    pub(crate) const ERROR: u8 = 0x1d;
    pub(crate) const ACCEPTED: u8 = 0x24;
    pub(crate) const REJECTED: u8 = 0x25;
    pub(crate) const SASL_MECHANISMS: u8 = 0x40;
    pub(crate) const SASL_OUTCOME: u8 = 0x44;
    pub(crate) const HEADER: u8 = 0x70;
    pub(crate) const DELIVERY_ANNOTATIONS: u8 = 0x71;
    pub(crate) const MESSAGE_ANNOTATIONS: u8 = 0x72;
    pub(crate) const PROPERTIES: u8 = 0x73;
    pub(crate) const APPLICATION_PROPERTIES: u8 = 0x74;
    pub(crate) const DATA: u8 = 0x75;
    pub(crate) const AMQP_SEQUENCE: u8 = 0x76;
    pub(crate) const AMQP_VALUE: u8 = 0x77;
    pub(crate) const FOOTER: u8 = 0x78;
}

/// Appends encoded values to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder(pub(crate) Vec<u8>);

impl Encoder {
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    pub(crate) fn encoded(&mut self, field: Encoded<'_>) {
        match field {
            Some(encoded) => self.raw(encoded),
            None => self.null(),
        }
    }

    pub(crate) fn null(&mut self) {
        self.0.push(0x40);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.0.push(if value { 0x41 } else { 0x42 });
    }

    pub(crate) fn ubyte(&mut self, value: u8) {
        self.raw(&[0x50, value]);
    }

    pub(crate) fn ushort(&mut self, value: u16) {
        self.fixed(0x60, value.to_be_bytes());
    }

    pub(crate) fn uint(&mut self, value: u32) {
        self.fixed(0x70, value.to_be_bytes());
    }

    pub(crate) fn optional_uint(&mut self, value: Option<u32>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    pub(crate) fn ulong(&mut self, value: u64) {
        self.fixed(0x80, value.to_be_bytes());
    }

    pub(crate) fn int(&mut self, value: i32) {
        self.fixed(0x71, value.to_be_bytes());
    }

    pub(crate) fn long(&mut self, value: i64) {
        self.fixed(0x81, value.to_be_bytes());
    }

    /// Milliseconds since 1970.
    pub(crate) fn timestamp(&mut self, value: i64) {
        self.fixed(0x83, value.to_be_bytes());
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.variable(0xa1, 0xb1, value.as_bytes());
    }

    pub(crate) fn symbol(&mut self, value: &str) {
        self.variable(0xa3, 0xb3, value.as_bytes());
    }

    pub(crate) fn binary(&mut self, value: &[u8]) {
        self.variable(0xa0, 0xb0, value);
    }

    /// A descriptor as smallulong; its value follows.
    pub(crate) fn descriptor(&mut self, code: u8) {
        self.raw(&[0x00, 0x53, code]);
    }

    pub(crate) fn list(&mut self, count: u32, fields: impl FnOnce(&mut Self)) {
        self.compound(0xd0, count, fields);
    }

    /// A map of `pairs` keys and as many values, written in turn.
    pub(crate) fn map(&mut self, pairs: u32, entries: impl FnOnce(&mut Self)) {
        self.compound(0xd1, pairs * 2, entries);
    }

    pub(crate) fn array_of_strings<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a str>) {
        self.array(0xb1, values);
    }

    pub(crate) fn array_of_symbols<'a>(&mut self, values: impl ExactSizeIterator<Item = &'a str>) {
        self.array(0xb3, values);
    }

    /// A described list, as performatives and most sections are.
    pub(crate) fn composite(&mut self, code: u8, count: u32, fields: impl FnOnce(&mut Self)) {
        self.descriptor(code);
        self.list(count, fields);
    }

    /// One AMQP frame on `channel`.
    pub(crate) fn frame(&mut self, channel: u16, body: impl FnOnce(&mut Self)) {
        self.any_frame(0x00, channel, body);
    }

    /// One SASL frame.
    pub(crate) fn sasl_frame(&mut self, body: impl FnOnce(&mut Self)) {
        self.any_frame(0x01, 0, body);
    }

    fn any_frame(&mut self, kind: u8, channel: u16, body: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.raw(&[0, 0, 0, 0, 2, kind]);
        self.raw(&channel.to_be_bytes());
        body(self);
        self.patch(start, self.0.len() - start);
    }

    /// `error`, with all of its three fields, or null.
    pub(crate) fn error(&mut self, error: Option<&Refusal>) {
        let Some(refusal) = error else {
            return self.null();
        };
        self.composite(code::ERROR, 3, |list| {
            list.symbol(&refusal.condition);
            list.string(&refusal.description);
            list.null();
        });
    }

    fn fixed<const N: usize>(&mut self, code: u8, bytes: [u8; N]) {
        self.0.push(code);
        self.raw(&bytes);
    }

    fn variable(&mut self, short: u8, long: u8, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(len) => self.raw(&[short, len]),
            Err(_) => self.fixed(long, size(bytes.len())),
        }
        self.raw(bytes);
    }

    fn array<'a>(&mut self, element: u8, values: impl ExactSizeIterator<Item = &'a str>) {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.compound(0xf0, count, |array| {
            array.0.push(element);
            for value in values {
                array.raw(&size(value.len()));
                array.raw(value.as_bytes());
            }
        });
    }

    fn compound(&mut self, code: u8, count: u32, contents: impl FnOnce(&mut Self)) {
        self.0.push(code);
        let start = self.0.len();
        self.raw(&[0; 4]);
        self.raw(&count.to_be_bytes());
        contents(self);
        self.patch(start, self.0.len() - start - 4);
    }

    fn patch(&mut self, at: usize, value: usize) {
        self.0[at..at + 4].copy_from_slice(&size(value));
    }
}

/// Lengths are of buffers that are bounded far below 4 GiB.
pub(crate) fn size(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::primitives::{Array, OrderedMap, Symbol, Value};

    use super::*;

    fn check(write: impl FnOnce(&mut Encoder), expected: Value) {
        let mut out = Encoder::default();
        write(&mut out);
        assert_eq!(serde_amqp::from_slice::<Value>(&out.0).unwrap(), expected);
    }

    #[test]
    fn values_are_read_back_by_another_decoder() {
        let long = "x".repeat(300);
        check(Encoder::null, Value::Null);
        check(|out| out.boolean(true), Value::Bool(true));
        check(|out| out.ubyte(7), Value::Ubyte(7));
        check(|out| out.ushort(700), Value::Ushort(700));
        check(|out| out.uint(70_000), Value::Uint(70_000));
        check(|out| out.ulong(u64::MAX), Value::Ulong(u64::MAX));
        check(|out| out.int(-7), Value::Int(-7));
        check(|out| out.long(i64::MIN), Value::Long(i64::MIN));
        check(|out| out.timestamp(-7), Value::Timestamp((-7).into()));
        check(|out| out.string("é"), Value::String("é".into()));
        check(|out| out.string(&long), Value::String(long.clone()));
        check(
            |out| out.symbol(&long),
            Value::Symbol(Symbol::from(long.as_str())),
        );
        check(
            |out| out.binary(&[7; 300]),
            Value::Binary(vec![7; 300].into()),
        );
    }

    #[test]
    fn compounds_carry_their_size_and_count() {
        let text = |text: &str| Value::String(text.to_owned());
        check(|out| out.list(0, |_| {}), Value::List(vec![]));
        check(
            |out| out.list(2, |list| (1..3).for_each(|item| list.int(item))),
            Value::List(vec![Value::Int(1), Value::Int(2)]),
        );
        check(
            |out| {
                out.map(1, |map| {
                    map.string("key");
                    map.null();
                });
            },
            Value::Map(OrderedMap::from_iter([(text("key"), Value::Null)])),
        );
        check(
            |out| out.array_of_strings(["a", "b"].into_iter()),
            Value::Array(Array::from(vec![text("a"), text("b")])),
        );
    }
}

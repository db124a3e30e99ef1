//! What is done with the bodies of each format.

use std::error::Error;
use std::hint::black_box;

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{Decoded, decode_as};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Something that is done with a body.
pub(crate) type Work = fn(&[u8], &mut Scratch) -> Result<(), Box<dyn Error>>;

/// A format, and what is done with its bodies.
pub(crate) struct Kind {
    pub(crate) format: WireFormat,
    pub(crate) name: &'static str,
    pub(crate) extension: &'static str,
    /// How the member of a context begins that is called so.
    pub(crate) member: fn(&str) -> Vec<u8>,
    /// Megabytes a second that are wanted of the decoder; half of it with the document.
    pub(crate) target: f64,
    pub(crate) floors: &'static [(&'static str, Work)],
    pub(crate) decode: Work,
    pub(crate) document: Work,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        format: WireFormat::Json,
        name: "JSON",
        extension: "json",
        member: |name| format!("\"{name}\":").into_bytes(),
        target: 350.0,
        floors: &[
            ("serde_json to Value", value),
            ("serde_json to IgnoredAny", ignored),
            ("simd-json to a tape", tape),
            ("copied", copied),
        ],
        decode: |body, _| keep(decode_as(WireFormat::Json, body)?),
        document: |body, scratch| write(&decode_as(WireFormat::Json, body)?, scratch),
    },
    Kind {
        format: WireFormat::Xml,
        name: "XML",
        extension: "xml",
        member: |name| format!("<{name}").into_bytes(),
        target: 400.0,
        floors: &[("quick-xml, every event", events), ("copied", copied)],
        decode: |body, _| keep(decode_as(WireFormat::Xml, body)?),
        document: |body, scratch| write(&decode_as(WireFormat::Xml, body)?, scratch),
    },
    Kind {
        format: WireFormat::Binary,
        name: "binary",
        extension: "bin",
        member: |name| [&b"\x40"[..], &[name.len() as u8], name.as_bytes()].concat(),
        target: 500.0,
        floors: &[("copied", copied)],
        decode: |body, _| keep(decode_as(WireFormat::Binary, body)?),
        document: |body, scratch| write(&decode_as(WireFormat::Binary, body)?, scratch),
    },
];

/// Memory that is used again for each body.
pub(crate) struct Scratch {
    written: Vec<u8>,
    buffers: simd_json::Buffers,
    tape: simd_json::Tape<'static>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            written: Vec::new(),
            buffers: simd_json::Buffers::default(),
            tape: simd_json::Tape(Vec::new()),
        }
    }
}

fn keep(decoded: Decoded) -> Result<(), Box<dyn Error>> {
    black_box(decoded);
    Ok(())
}

fn write(decoded: &Decoded, scratch: &mut Scratch) -> Result<(), Box<dyn Error>> {
    scratch.written.clear();
    serde_json::to_writer(&mut scratch.written, &decoded.document(false))?;
    black_box(&scratch.written);
    Ok(())
}

fn value(body: &[u8], _: &mut Scratch) -> Result<(), Box<dyn Error>> {
    black_box(serde_json::from_slice::<Value>(body)?);
    Ok(())
}

fn ignored(body: &[u8], _: &mut Scratch) -> Result<(), Box<dyn Error>> {
    black_box(serde_json::from_slice::<IgnoredAny>(body)?);
    Ok(())
}

/// It reads in place, so that a copy is what it is given.
fn tape(body: &[u8], scratch: &mut Scratch) -> Result<(), Box<dyn Error>> {
    let Scratch {
        written,
        buffers,
        tape,
    } = scratch;
    written.clear();
    written.extend_from_slice(body);
    let mut filled = std::mem::replace(tape, simd_json::Tape(Vec::new())).reset();
    simd_json::fill_tape(written, buffers, &mut filled)?;
    black_box(&filled);
    *tape = filled.reset();
    Ok(())
}

fn events(body: &[u8], _: &mut Scratch) -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::from_reader(body);
    while !matches!(black_box(reader.read_event()?), Event::Eof) {}
    Ok(())
}

fn copied(body: &[u8], _: &mut Scratch) -> Result<(), Box<dyn Error>> {
    black_box(body.to_vec());
    Ok(())
}

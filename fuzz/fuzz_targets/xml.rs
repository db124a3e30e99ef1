//! The decoder of text XML with anything for a body: it must neither panic, nor spin, nor grow.
//!
//!     cargo +nightly fuzz run xml fuzz/corpus/xml tests/data/corpus/odd tests/data/corpus/features
//!     cargo fuzz run --sanitizer none xml fuzz/corpus/xml tests/data/corpus/odd tests/data/corpus/features
#![no_main]

mod outcome;

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::decode_as;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| outcome::check(&decode_as(WireFormat::Xml, data), data));

//! The decoder with anything for a body and anything that comes with it: it must neither panic, nor spin, nor
//! grow, and what a body says must not depend on its label or on the encoding of its text.
//!
//!     cargo +nightly fuzz run decode fuzz/corpus/decode tests/data/corpus/odd tests/data/corpus/features
//!     cargo fuzz run --sanitizer none decode fuzz/corpus/decode tests/data/corpus/odd tests/data/corpus/features
//!
//! The last byte says which labels the body comes with.
#![no_main]

mod outcome;

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{Decoded, Hint, decode, decode_as};
use libfuzzer_sys::fuzz_target;

/// Labels, of which one is none.
const LABELS: [Option<&str>; 8] = [
    None,
    Some("application/json"),
    Some("application/xml; charset=utf-16"),
    Some("application/msbin1"),
    Some("text/XML"),
    Some("application/soap+msbin1"),
    Some("/"),
    Some(""),
];

fuzz_target!(|data: &[u8]| {
    let label = data.last().map_or(0, |last| usize::from(*last));
    let hint = Hint {
        content_type: LABELS[label % 8],
        property: LABELS[label / 8 % 8],
    };
    let result = decode(data, hint);
    outcome::check(&result, data);
    let Ok(decoded) = result else { return };
    assert_eq!(decode_as(decoded.format, data).as_ref(), Ok(&decoded));
    in_utf_16(data, &decoded);
});

/// The same text in UTF-16 says the same.
fn in_utf_16(body: &[u8], decoded: &Decoded) {
    let Ok(text) = std::str::from_utf8(body) else {
        return;
    };
    // What begins with zeros between its bytes is in UTF-16 already.
    if decoded.format == WireFormat::Binary || text.contains('\0') {
        return;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let body: Vec<u8> = text.encode_utf16().flat_map(encode).collect();
        assert_eq!(decode(&body, Hint::default()).as_ref(), Ok(decoded));
    }
}

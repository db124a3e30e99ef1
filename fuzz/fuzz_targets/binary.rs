//! The decoder of .NET's binary format with anything for a body: it must neither panic, nor spin, nor grow.
//!
//!     cargo +nightly fuzz run binary fuzz/corpus/binary tests/data/corpus/odd tests/data/corpus/features
//!     cargo fuzz run --sanitizer none binary fuzz/corpus/binary tests/data/corpus/odd tests/data/corpus/features
#![no_main]

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{Hint, decode, decode_as};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for result in [
        decode_as(WireFormat::Binary, data),
        decode(data, Hint::default()),
    ] {
        match result {
            Ok(decoded) => {
                assert!(decoded.notes.len() <= 20);
                // A byte may be an item of an array, with a name of 64 bytes at the most.
                let memory = decoded.memory();
                assert!(memory <= 10_000 + 2_000 * data.len(), "{memory} bytes");
            }
            Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
        }
    }
});

//! Damaged bodies: every prefix and every change of one byte must give a context or an error, soon.

use dataverse_listener::decoder::{Hint, decode};

use super::bytes;

const CASES: &[&str] = &[
    "a03-delete.json",
    "a03-delete.xml",
    "a24-arrays.json",
    "a24-arrays.bin",
    "a11-primitives.bin",
    "../binary/x01-string-wrapped-json.bin",
];

fn survives(body: &[u8]) {
    match decode(body, Hint::default()) {
        Ok(decoded) => drop(serde_json::to_vec(&decoded.document(false)).unwrap()),
        Err(error) => assert!(error.to_string().lines().count() == 1, "{error}"),
    }
}

#[test]
fn no_prefix_makes_the_decoder_panic() {
    for case in CASES {
        let body = bytes(case);
        for end in 0..body.len() {
            survives(&body[..end]);
        }
        assert!(
            decode(&body[..body.len() - 1], Hint::default()).is_err(),
            "{case}"
        );
    }
}

#[test]
fn no_changed_byte_makes_the_decoder_panic() {
    for case in CASES {
        let mut body = bytes(case);
        for at in 0..body.len() {
            let original = body[at];
            // One bit, and a byte that means something.
            let other = b"\"<>{}[]&\\:;\0\xff\x01\x03\x80\xa4"[at % 17];
            for changed in [original ^ 1, other] {
                body[at] = changed;
                survives(&body);
            }
            body[at] = original;
        }
    }
}

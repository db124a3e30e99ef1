//! Damaged bodies: every prefix and every change of one byte must give a context or an error, soon.

use dataverse_listener::decoder::{Hint, decode};

use super::file;

const CASES: &[&str] = &["a03-delete.json", "a03-delete.xml", "a24-arrays.json"];

fn survives(body: &[u8]) {
    match decode(body, Hint::default()) {
        Ok(decoded) => drop(serde_json::to_vec(&decoded.document(false)).unwrap()),
        Err(error) => assert!(error.to_string().lines().count() == 1, "{error}"),
    }
}

#[test]
fn no_prefix_makes_the_decoder_panic() {
    for case in CASES {
        let body = file(case);
        for end in 0..body.len() {
            survives(&body.as_bytes()[..end]);
        }
        assert!(
            decode(&body.as_bytes()[..body.len() - 1], Hint::default()).is_err(),
            "{case}"
        );
    }
}

#[test]
fn no_changed_byte_makes_the_decoder_panic() {
    for case in CASES {
        let mut body = file(case).into_bytes();
        for at in 0..body.len() {
            let original = body[at];
            // One bit, and a byte that means something, by turns.
            body[at] = if at % 2 == 0 {
                original ^ 1
            } else {
                b"\"<>{}[]&\\:;\0\xff"[at / 2 % 13]
            };
            survives(&body);
            body[at] = original;
        }
    }
}

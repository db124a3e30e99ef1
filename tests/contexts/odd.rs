//! What is odd and has no truth.

use dataverse_listener::context::{ExecutionContext, Value, WireFormat};
use dataverse_listener::decoder::{Decoder, Dictionary, Hint, ToldBy, decode, decode_as};

use super::corpus::bytes;
use super::tree::assert_same;
use super::{decoded, typed};

const FORMATS: [&str; 3] = ["json", "xml", "bin"];

fn parameter<'a>(context: ExecutionContext<'a>, name: &str) -> Value<'a> {
    context.input_parameters().unwrap().get(name).unwrap()
}

#[test]
fn what_no_number_can_be_is_not_a_number() {
    for format in FORMATS {
        let decoded = decoded(&format!("odd/x14-nan-inf.{format}"));
        let context = decoded.context();
        let text = |name| parameter(context, name).as_number().unwrap().as_str();
        let texts = ["nan", "inf", "ninf", "fnan", "finf"].map(text);
        assert_eq!(texts, ["NaN", "INF", "-INF", "NaN", "INF"], "{format}");
        assert!(!parameter(context, "nan").as_number().unwrap().is_finite());
    }
}

#[test]
fn a_type_that_nobody_models_is_kept_with_what_comes_behind_it() {
    for format in FORMATS {
        let decoded = decoded(&format!("odd/x13-grantaccess-unmodelled-type.{format}"));
        let context = decoded.context();
        let access = parameter(context, "PrincipalAccess").as_object().unwrap();
        assert!(access.is("PrincipalAccess"), "{format}");
        // Flags are names in XML and a number in JSON.
        let mask = access.get("AccessMask").unwrap();
        match mask.as_i64() {
            Some(number) => assert_eq!((format, number), ("json", 262_147)),
            None => assert_eq!(
                mask.as_str(),
                Some("ReadAccess WriteAccess ShareAccess"),
                "{format}"
            ),
        }
        let team = access.get("Principal").unwrap().as_object().unwrap();
        assert_eq!(team.text("LogicalName"), Some("team"), "{format}");
        assert_eq!(
            parameter(context, "After").as_str(),
            Some("still here"),
            "{format}"
        );
    }
}

#[test]
fn of_a_repeated_key_the_last_value_is_kept_and_a_note_says_so() {
    for format in FORMATS {
        let decoded = decoded(&format!("odd/x27-duplicate-keys.{format}"));
        assert_eq!(
            parameter(decoded.context(), "dup").as_i64(),
            Some(2),
            "{format}"
        );
        let notes: Vec<_> = decoded.notes.iter().map(ToString::to_string).collect();
        let note = r#"InputParameters: the key "dup" came again, the last value is kept"#;
        assert_eq!(notes, [note], "{format}");
    }
}

#[test]
fn half_a_surrogate_pair_is_noted_where_it_was() {
    let notes = |body: &[u8]| {
        let decoded = decode(body, Hint::default()).unwrap();
        let notes = decoded.notes.iter().map(ToString::to_string);
        notes.collect::<Vec<_>>()
    };
    let what = "half a surrogate pair, shown as U+FFFD";
    for name in [
        "x19-lone-high-surrogate",
        "x20-lone-low-surrogate",
        "x21-reversed-surrogates",
    ] {
        let body = bytes(&format!("odd/{name}.json"));
        assert_eq!(
            notes(&body),
            [format!("InputParameters.s: {what}")],
            "{name}"
        );
    }
    let body = br#"{"MessageName":"Update","a\ud83d":1,"SharedVariables":[
        {"key":"a","value":"\\ud83d \ud83d\ude00"},{"key":"b","value":["x","\ude00"]}]}"#;
    assert_eq!(
        notes(body),
        [
            format!("a\u{fffd}: {what}"),
            format!("SharedVariables.b[1]: {what}")
        ]
    );
}

const NUMBERED: &str = "odd/x11-static-dictionary.bin";

/// A decoder with the strings that lie beside that body.
fn with_strings() -> Decoder {
    let strings = String::from_utf8(bytes("odd/x11-static-dictionary.strings.txt")).unwrap();
    Decoder {
        dictionary: Some(Dictionary::from_lines(&strings)),
        ..Decoder::default()
    }
}

#[test]
fn strings_of_another_dictionary_are_a_context_with_that_dictionary() {
    let body = bytes(NUMBERED);
    let labelled = Hint {
        content_type: None,
        property: Some("application/msbin1"),
    };
    // The same message as another file, which has a truth.
    let expected = decoded("odd/x03-indented-declaration-bom.xml");
    for hint in [Hint::default(), labelled] {
        let decoded = with_strings().decode(&body, hint).unwrap();
        assert_eq!(decoded.format, WireFormat::Binary);
        assert_eq!(decoded.notes, []);
        let (actual, expected) = (decoded.context(), expected.context());
        assert_same(&typed::context(actual), &typed::context(expected), NUMBERED);
    }
    let told = with_strings().recognize(&body, Hint::default());
    assert_eq!(told.format, Some(WireFormat::Binary));
    assert_eq!(told.told_by, ToldBy::FirstBytes);
}

#[test]
fn strings_of_another_dictionary_are_no_context_without_it_and_the_error_says_what_to_do() {
    let body = bytes(NUMBERED);
    let hint = Hint {
        content_type: None,
        property: Some("application/msbin1"),
    };
    for error in [
        decode(&body, hint).unwrap_err(),
        decode_as(WireFormat::Binary, &body).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "binary at byte 1: the root element has a number for a name; where the sender has a dictionary of its own, give its strings (decode.dictionary)"
        );
    }
    let error = decode(&body, Hint::default()).unwrap_err();
    assert_eq!(error.format, None, "{error}");
    assert!(
        error.to_string().ends_with("(decode.dictionary)"),
        "{error}"
    );
}

#[test]
fn the_strings_of_another_dictionary_do_no_harm_to_other_bodies() {
    for name in super::corpus::decodable() {
        let body = bytes(&name);
        let plain = decode(&body, Hint::default());
        assert_eq!(
            with_strings().decode(&body, Hint::default()),
            plain,
            "{name}"
        );
    }
}

#[test]
fn no_changed_byte_makes_the_decoder_with_a_dictionary_panic() {
    let mut body = bytes(NUMBERED);
    let decoder = with_strings();
    for at in 0..body.len() {
        let original = body[at];
        for changed in [original ^ 1, 0x42, 0xaa, 0] {
            body[at] = changed;
            let hint = Hint::default();
            if let Err(error) = decoder.decode(&body, hint) {
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
            }
        }
        body[at] = original;
        assert!(decoder.decode(&body[..at], Hint::default()).is_err());
    }
}

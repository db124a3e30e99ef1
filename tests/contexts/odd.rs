//! What is odd and has no truth.

use dataverse_listener::context::{ExecutionContext, Value, WireFormat};
use dataverse_listener::decoder::{Hint, decode, decode_as};

use super::corpus::bytes;
use super::decoded;

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
fn strings_of_another_dictionary_are_no_context() {
    let body = bytes("odd/x11-static-dictionary.bin");
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
            "binary at byte 50: no execution context: another root element"
        );
    }
    let error = decode(&body, Hint::default()).unwrap_err();
    assert_eq!(error.format, None, "{error}");
}

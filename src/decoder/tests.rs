//! The choice of a format, errors and limits.

use super::*;
use crate::context::Value;

const CONTEXT_XML: &str = r#"<RemoteExecutionContext xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"
    xmlns:i="http://www.w3.org/2001/XMLSchema-instance">BODY<MessageName>Update</MessageName></RemoteExecutionContext>"#;

/// How deep values may lie in one another, where nothing else is asked for.
const NESTING: usize = 256;

/// A JSON context with these members.
fn json(members: &str) -> String {
    format!(r#"{{"MessageName":"Update"{members}}}"#)
}

/// An XML context with these members before its message name.
fn xml(members: &str) -> String {
    CONTEXT_XML.replace("BODY", members)
}

fn decoded(body: &str) -> Decoded {
    let limits = Limits {
        size: 8 << 20,
        ..Limits::default()
    };
    let decoder = Decoder {
        limits,
        ..Decoder::default()
    };
    decoder.decode(body.as_bytes(), Hint::default()).unwrap()
}

fn document(body: &str) -> serde_json::Value {
    serde_json::to_value(decoded(body).document(false)).unwrap()
}

#[test]
fn the_bytes_win_over_a_label_that_contradicts_them() {
    let (json, xml) = (json(""), xml(""));
    for (content_type, property) in [
        (None, None),
        (Some("application/json"), None),
        (Some("application/xml; charset=utf-8"), None),
        (None, Some("application/json")),
        (Some("text/plain"), Some("application/soap+xml")),
        (Some("application/msbin1"), Some("")),
    ] {
        let hint = Hint {
            content_type,
            property,
        };
        assert_eq!(
            decode(json.as_bytes(), hint).unwrap().format,
            WireFormat::Json,
            "{hint:?}"
        );
        assert_eq!(
            decode(xml.as_bytes(), hint).unwrap().format,
            WireFormat::Xml,
            "{hint:?}"
        );
    }
}

#[test]
fn the_label_names_the_format_of_a_body_that_begins_as_none() {
    let check = |body: &str, content_type, property, expected: &str| {
        let error = decode(
            body.as_bytes(),
            Hint {
                content_type,
                property,
            },
        )
        .unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    };
    check(
        "[]",
        Some("application/json"),
        Some("application/xml"),
        "json at 1:1: an object is expected",
    );
    check(
        "?",
        None,
        Some("text/xml"),
        "xml at 1:2: an element is expected",
    );
    check(
        "@\u{6}string",
        None,
        None,
        "binary at byte 9: no execution context: another root element",
    );
    check(
        "@string",
        None,
        None,
        "unknown format at 1:1: the body begins with 0x40, as neither JSON nor XML does",
    );
    check(
        "",
        Some("application/json"),
        None,
        "unknown format at 1:1: the body is empty",
    );
    check(
        " \n",
        None,
        None,
        "unknown format at 2:1: the body is empty",
    );
}

#[test]
fn marks_blanks_and_padding_around_a_body_are_tolerated() {
    for body in [json(""), xml("")] {
        let plain = decoded(&body);
        for around in [
            format!("\u{feff}{body}"),
            format!(" \r\n{body}\n"),
            format!("{body}\n\0\0"),
            format!("\u{feff}\n{body}\0"),
        ] {
            assert_eq!(decoded(&around), plain, "{around:?}");
        }
    }
    assert_eq!(
        decoded(&format!("<?xml version=\"1.0\"?><!-- c -->{}", xml(""))),
        decoded(&xml(""))
    );
}

#[test]
fn an_error_says_where_and_why_and_shows_no_data() {
    let check = |body: &str, expected: &str| {
        let error = decode(body.as_bytes(), Hint::default()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    };
    check("{\n  \"é\": secret}", "json at 2:8: a value is expected");
    check(
        "{\"a\":1 \"b\":2}",
        "json at 1:8: a comma or a closing bracket is expected",
    );
    check(
        "{\"MessageName\":\"Upd",
        "json at 1:20: the body ends within a string",
    );
    check(
        "{\"MessageName\":\"Update\"",
        "json at 1:24: the body ends where a comma or a closing bracket is expected",
    );
    check(
        &json(",\"InputParameters\":[{\"value\":1}]"),
        "json at 1:55: a key/value pair without a key",
    );
    check("{} {}", "json at 1:4: the body goes on after its end");
    check(
        "{\"BusinessEventId\":\"x\"}",
        "json at 1:1: no execution context: MessageName is missing",
    );
    check(
        "<a/>",
        "xml at 1:5: no execution context: another root element",
    );
    check(
        "<RemoteExecutionContext/>",
        "xml at 1:26: no execution context: another root element",
    );
    check(
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>",
        "xml at 1:31: a document type declaration",
    );
    check(
        &xml("<Depth>&secret;</Depth>").replace('\n', ""),
        "xml at 1:151: an entity that is not predefined",
    );
    check(
        &xml("<Depth>1</Deep>").replace('\n', ""),
        "xml at 1:144: an end tag without its start tag",
    );
    check(
        &xml("").replace("</Remote", "<!-- </Remote"),
        "xml at 2:90: comment not closed: `-->` not found before end of input",
    );
    check(
        xml("").trim_end_matches("</RemoteExecutionContext>"),
        "xml at 2:90: the body ends within an element",
    );
}

#[test]
fn a_body_that_is_not_utf_8_is_refused_where_it_is_not() {
    let error = decode(b"{\"a\":\n\"\xff\"}", Hint::default()).unwrap_err();
    assert_eq!(error.to_string(), "json at 2:2: not UTF-8");
}

#[test]
fn deep_bodies_are_refused_and_do_not_exhaust_the_stack() {
    let nest = |levels: usize, open: &str, close: &str| {
        format!("{}{}", open.repeat(levels), close.repeat(levels))
    };
    for levels in [NESTING - 2, NESTING + 2, 5_000] {
        for body in [
            json(&format!(",\"a\":{}", nest(levels, "[", "]"))),
            json(&format!(
                ",\"a\":{}",
                nest(levels, "{\"a\":", "}").replace(":}", ":1}")
            )),
            json(&format!(
                ",\"ParentContext\":{}",
                nest(levels, "{\"ParentContext\":", "}").replace(":}", ":1}")
            )),
            xml(&nest(levels, "<a>", "</a>")),
            xml(&nest(levels, "<ParentContext>", "</ParentContext>")),
        ] {
            match decode(body.as_bytes(), Hint::default()) {
                Ok(decoded) => {
                    assert!(levels < NESTING, "{levels} levels");
                    assert_eq!(decoded, decoded.clone());
                    assert!(serde_json::to_string(&decoded.document(false)).is_ok());
                }
                Err(error) => {
                    assert!(levels > NESTING, "{levels} levels: {error}");
                    assert_eq!(
                        error.reason,
                        "nested deeper than 256 levels (decode.max_nesting)"
                    );
                }
            }
        }
    }
}

#[test]
fn sixty_parents_fit_with_what_they_hold() {
    let parent = r#"{"MessageName":"Update","InputParameters":[{"key":"Target","value":{"__type":"Entity:http://schemas.microsoft.com/xrm/2011/Contracts","Attributes":[{"key":"a","value":[[1]]}]}}],"ParentContext":"#;
    let body = format!("{}null{}", parent.repeat(61), "}".repeat(61));
    let decoded = decoded(&body);
    let parents =
        std::iter::successors(Some(decoded.context()), |context| context.parent_context());
    assert_eq!(parents.count(), 61);
}

#[test]
fn of_repeated_keys_and_members_the_last_is_kept_and_a_note_says_so() {
    let body = json(
        r#","Depth":1,"Depth":2,"SharedVariables":[{"key":"a","value":1},{"key":"b","value":[[{"key":"k","value":1},{"key":"k","value":2}]]},{"key":"a","value":null}]"#,
    );
    let document = document(&body);
    assert_eq!(document["Depth"], 2);
    assert_eq!(
        document["SharedVariables"].to_string(),
        r#"{"a":null,"b":[{"k":2}]}"#
    );
    let notes = [
        r#"SharedVariables.b[0]: the key "k" came again, the last value is kept"#,
        r#"SharedVariables: the key "a" came again, the last value is kept"#,
        r#"the member "Depth" came again, the last value is kept"#,
    ];
    assert_eq!(document["@notes"], serde_json::json!(notes));
    let many = json(&format!(
        r#","SharedVariables":[{}]"#,
        [r#"{"key":"a","value":1}"#; 1000].join(",")
    ));
    assert_eq!(decoded(&many).notes.len(), draft::MAX_NOTES);
}

#[test]
fn a_key_that_comes_again_is_found_wherever_it_lies() {
    for count in [2, 10, 48, 49, 50, 51, 300] {
        for repeated in [0, count / 3, count - 2] {
            let key = |place: usize| match place == count - 1 {
                true => format!("key {repeated}"),
                false => format!("key {place}"),
            };
            let pairs: Vec<_> = (0..count)
                .map(|place| format!(r#"{{"key":"{}","value":{place}}}"#, key(place)))
                .collect();
            let body = json(&format!(r#","SharedVariables":[{}]"#, pairs.join(",")));
            let decoded = decoded(&body);
            let variables = decoded.context().shared_variables().unwrap();
            let last = variables.get(&format!("key {repeated}"));
            assert_eq!(
                (variables.len(), last.and_then(|value| value.as_i64())),
                (count - 1, i64::try_from(count - 1).ok()),
                "{repeated} of {count}"
            );
            assert_eq!(decoded.notes.len(), 1, "{repeated} of {count}");
        }
    }
}

#[test]
fn a_hundred_thousand_attributes_take_no_longer_than_their_number() {
    let entries: Vec<_> = (0..100_000)
        .map(|n| format!(r#"{{"key":"k{n}","value":{n}}}"#))
        .collect();
    let body = json(&format!(r#","SharedVariables":[{}]"#, entries.join(",")));
    let decoded = decoded(&body);
    let variables = decoded.context().shared_variables().unwrap();
    assert_eq!(variables.len(), 100_000);
    assert_eq!(
        variables.get("k99999").and_then(|value| value.as_i64()),
        Some(99_999)
    );
}

#[test]
fn a_note_does_not_grow_with_the_keys_that_lead_to_it() {
    let key = "ä".repeat(5_000);
    let levels = NESTING / 2 - 5;
    let inner = format!(r#"[{{"key":"{key}","value":1}},{{"key":"{key}","value":2}}]"#);
    let open = format!(r#"[{{"key":"{key}","value":"#);
    let body = json(&format!(
        r#","SharedVariables":{}{inner}{}"#,
        open.repeat(levels),
        "}]".repeat(levels)
    ));
    let notes = decoded(&body).notes;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].to_string().len() < 1_000, "{}", notes[0]);
}

#[test]
fn a_text_that_is_not_of_its_type_is_kept_with_a_note() {
    for body in [
        json(r#","UserId":"me","OperationCreatedOn":"now""#),
        xml("<UserId>me</UserId><OperationCreatedOn>now</OperationCreatedOn>"),
    ] {
        let document = document(&body);
        assert_eq!(
            (&document["UserId"], &document["OperationCreatedOn"]),
            (&"me".into(), &"now".into())
        );
        let notes = [
            "UserId: not a guid, kept as text",
            "OperationCreatedOn: not a date and time, kept as text",
        ];
        assert_eq!(document["@notes"], serde_json::json!(notes));
    }
}

#[test]
fn null_empty_and_absent_are_three_things() {
    for body in [
        json(
            r#","OrganizationName":null,"InitiatingUserAgent":"","SharedVariables":[],"OutputParameters":null"#,
        ),
        xml(
            r#"<OrganizationName i:nil="true"/><InitiatingUserAgent/><SharedVariables></SharedVariables><OutputParameters i:nil="1"/>"#,
        ),
    ] {
        let document = document(&body);
        assert_eq!(document["OrganizationName"], serde_json::Value::Null);
        assert_eq!(document["InitiatingUserAgent"], "");
        assert_eq!(document["SharedVariables"], serde_json::json!({}));
        assert_eq!(
            document.get("OutputParameters"),
            Some(&serde_json::Value::Null)
        );
        assert_eq!(document.get("SecondaryEntityName"), None);
    }
}

#[test]
fn an_unknown_type_keeps_its_name_its_namespace_and_its_members() {
    let (name, namespace) = ("Thing", "http://schemas.datacontract.org/2004/07/Contoso");
    let typed = format!(r#"xmlns:t="{namespace}" i:type="t:{name}""#);
    for body in [
        json(
            r##","SharedVariables":[{"key":"x","value":{"A":"b","__type":"Thing:#Contoso","N":null}}]"##,
        ),
        json(&format!(
            r#","SharedVariables":[{{"value":{{"__type":"{name}:{namespace}","A":"b","N":null}},"key":"x"}}]"#
        )),
        xml(&format!(
            "<SharedVariables><p><key>x</key><value {typed}><t:A>b</t:A><t:N i:nil=\"true\"/></value></p></SharedVariables>"
        )),
    ] {
        let expected =
            serde_json::json!({"@type": name, "@namespace": namespace, "A": "b", "N": null});
        assert_eq!(document(&body)["SharedVariables"]["x"], expected, "{body}");
    }
}

#[test]
fn a_type_is_found_behind_the_members_too() {
    let first = r#""__type":"Money:http://schemas.microsoft.com/xrm/2011/Contracts""#;
    for money in [
        format!(r#"{{{first},"Value":1.50}}"#),
        format!(r#"{{"Value":1.50,{first}}}"#),
    ] {
        let document = document(&json(&format!(
            r#","InputParameters":[{{"key":"m","value":{money}}}]"#
        )));
        assert_eq!(
            document["InputParameters"]["m"].to_string(),
            r#"{"@type":"Money","Value":1.50}"#
        );
    }
}

#[test]
fn prefixes_do_not_matter_and_namespaces_do() {
    let body = r#"<z:RemoteExecutionContext xmlns:z="http://schemas.microsoft.com/xrm/2011/Contracts"
        xmlns:n="http://www.w3.org/2001/XMLSchema-instance" xmlns:i="urn:other"><z:MessageName>Update</z:MessageName>
        <z:OrganizationName i:nil="true">x</z:OrganizationName><z:SharedVariables xmlns:g="urn:g"><z:P><g:key>m</g:key>
        <g:value n:type="z:Money"><z:Value>1.50</z:Value></g:value></z:P></z:SharedVariables></z:RemoteExecutionContext>"#;
    let document = document(body);
    assert_eq!(document["OrganizationName"], "x");
    assert_eq!(
        document["SharedVariables"]["m"].to_string(),
        r#"{"@type":"Money","Value":1.50}"#
    );
}

#[test]
fn text_in_xml_is_neither_trimmed_nor_refused() {
    let name = |text: &str| {
        document(&xml(&format!(
            "<OrganizationName>{text}</OrganizationName>"
        )))["OrganizationName"]
            .clone()
    };
    for (text, expected) in [
        ("  a ", "  a "),
        (" ", " "),
        ("a&#xD;\nb&#10;", "a\r\nb\n"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
        ("&#x1;&#x0;&#xFFFE;", "\u{1}\0\u{fffe}"),
        ("&#xD83D;", "\u{fffd}"),
        ("a<![CDATA[<b>&amp;]]><!-- c -->d", "a<b>&amp;d"),
    ] {
        assert_eq!(name(text), expected, "{text}");
    }
}

#[test]
fn numbers_that_json_does_not_have_are_strings_in_the_document() {
    let body = json(
        r#","SharedVariables":[{"key":"a","value":[NaN,INF,-INF,-0,1E+16,79228162514264337593543950335]}]"#,
    );
    let decoded = decoded(&body);
    let text = serde_json::to_string(&decoded.document(false)).unwrap();
    assert!(
        text.contains(r#"{"a":["NaN","INF","-INF",-0,1E+16,79228162514264337593543950335]}"#),
        "{text}"
    );
    let values = decoded
        .context()
        .shared_variables()
        .unwrap()
        .get("a")
        .unwrap()
        .as_array()
        .unwrap();
    let values: Vec<Value<'_>> = values.iter().collect();
    assert!(
        values[0]
            .as_number()
            .is_some_and(|number| number.as_f64().is_nan() && !number.is_finite())
    );
    assert_eq!(
        values[2].as_number().map(|number| number.as_f64()),
        Some(f64::NEG_INFINITY)
    );
}

#[test]
fn a_context_is_truncated_when_flagged_or_when_what_it_must_have_is_empty() {
    let check = |members: &str, flagged, expected| {
        let decoded = decoded(&json(members));
        assert_eq!(
            decoded.document(flagged).truncated,
            expected,
            "{members} {flagged}"
        );
    };
    let emptied =
        r#","InputParameters":[],"ParentContext":null,"PostEntityImages":[],"PreEntityImages":[]"#;
    check(emptied, false, true);
    check(emptied, true, true);
    check(
        r#","InputParameters":[{"key":"Target","value":null}]"#,
        false,
        false,
    );
    check(
        r#","InputParameters":[{"key":"Target","value":null}]"#,
        true,
        true,
    );
    check(
        r#","InputParameters":[],"PreEntityImages":[{"key":"a","value":null}]"#,
        false,
        false,
    );
    check(
        r#","InputParameters":[],"ParentContext":{"MessageName":"Update"}"#,
        false,
        false,
    );
    check(
        r#","InputParameters":[],"MessageName":"new_Anything""#,
        false,
        false,
    );
}

#[test]
fn a_reference_to_a_value_that_another_took_the_place_of_is_to_nothing() {
    let decoded = decoded(&xml(
        r#"<SharedVariables xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/">
            <p><key>a</key><value><x z:Id="1">gone</x></value><value>one</value></p>
            <p><key>b</key><value z:Ref="1"/></p></SharedVariables>"#,
    ));
    let variables = decoded.context().shared_variables().unwrap();
    assert_eq!(variables.get("a"), Some(Value::String("one")));
    assert_eq!(variables.get("b"), Some(Value::Null));
    let notes: Vec<_> = decoded.notes.iter().map(ToString::to_string).collect();
    let expected = [
        r#"SharedVariables.a: the member "value" came again, the last value is kept"#,
        "SharedVariables.b: a reference to an element that is not there, or that this one lies in",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn as_many_references_and_pairs_as_fit_take_no_longer_than_their_number() {
    let referred: String = (0..90_000).map(|n| format!(r#"<x z:Id="{n}"/>"#)).collect();
    let pairs: String = (0..90_000)
        .map(|n| format!("<p><key>{n}</key><value/></p>"))
        .collect();
    let decoded = decoded(&xml(&format!(
        r#"<SharedVariables xmlns:z="http://schemas.microsoft.com/2003/10/Serialization/">
            <p><key>a</key><value>{referred}</value></p>{pairs}</SharedVariables>"#,
    )));
    assert_eq!(decoded.context().shared_variables().unwrap().len(), 90_001);
}

#[test]
fn a_hundred_thousand_items_of_a_long_type_take_no_longer_than_their_number() {
    let arrays = "ArrayOf".repeat(140);
    let decoded = decoded(&xml(&format!(
        r#"<SharedVariables><p><key>a</key><value xmlns:q="u" i:type="q:{arrays}X">{}</value></p></SharedVariables>"#,
        "<x/>".repeat(100_000)
    )));
    let variables = decoded.context().shared_variables().unwrap();
    let items = variables.get("a").and_then(|value| value.as_array());
    assert_eq!(items.map(|items| items.len()), Some(100_000));
}

#[test]
fn a_type_that_comes_late_counts_also_behind_what_is_deep() {
    let (open, close) = (
        r#"{"SharedVariables":[{"key":"k","value":{"Parent":0,"__type":"X"}},{"key":"p","value":{"__type":"RemoteExecutionContext:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts","ParentContext":"#,
        "}}]}",
    );
    // Three brackets a level, of which the reader counts two and another for the parent.
    let levels = 80;
    let deep = format!("{}null{}", open.repeat(levels), close.repeat(levels));
    let late =
        r#"{"Value":1,"__type":"Money:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts"}"#;
    let decoded = decoded(&json(&format!(
        r#","ParentContext":{deep},"OutputParameters":[{{"key":"late","value":{late}}}]"#
    )));
    let outputs = decoded.context().output_parameters().unwrap();
    let money = outputs.get("late").unwrap().as_object().unwrap();
    assert!(money.is("Money"));
}

//! What the contracts allow and no body of the corpus has.

use dataverse_listener::context::WireFormat;
use dataverse_listener::decoder::{Decoder, Hint, Outcome, decode};
use serde_json::{Value, json};

const XRM: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

/// The document of a JSON context with this value among its parameters.
fn of_json(value: &str) -> Value {
    document(&format!(
        r#"{{"MessageName":"Update","InputParameters":[{{"key":"k","value":{value}}}]}}"#
    ))
}

/// The same of an XML context with this element.
fn of_xml(element: &str) -> Value {
    document(&format!(
        r#"<RemoteExecutionContext xmlns="{XRM}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"
            xmlns:g="http://schemas.datacontract.org/2004/07/System.Collections.Generic"
            xmlns:x="http://www.w3.org/2001/XMLSchema"
            xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays"><MessageName>Update</MessageName>
            <InputParameters><p><g:key>k</g:key>{element}</p></InputParameters></RemoteExecutionContext>"#
    ))
}

fn document(body: &str) -> Value {
    let decoded = decode(body.as_bytes(), Hint::default());
    let decoded = decoded.unwrap_or_else(|error| panic!("{body}: {error}"));
    serde_json::to_value(decoded.document(false)).unwrap()
}

/// The value among the parameters.
fn value(document: &Value) -> &Value {
    &document["InputParameters"]["k"]
}

#[test]
fn an_operator_has_the_name_of_its_number() {
    // Of the hierarchy, where the numbers that the documentation tells beside the names are others.
    for (number, name) in [
        (0, "Equal"),
        (45, "ChildOf"),
        (74, "EqualUserOrUserTeams"),
        (75, "Under"),
        (76, "NotUnder"),
        (77, "UnderOrEqual"),
        (78, "Above"),
        (79, "AboveOrEqual"),
        (80, "EqualUserOrUserHierarchy"),
        (88, "DoesNotContainValues"),
    ] {
        let document = of_json(&format!(
            r#"{{"__type":"ConditionExpression:{XRM}","AttributeName":"parent","Operator":{number},"Values":[]}}"#
        ));
        assert_eq!(value(&document)["Operator"], name, "{number}");
    }
}

#[test]
fn a_query_that_aggregates_says_the_same_in_both_formats() {
    let expected = json!({
        "@type": "ColumnSet",
        "AttributeExpressions": [{
            "@type": "AttributeExpression", "AggregateType": "CountColumn", "Alias": "n", "AttributeName": "name",
            "DateTimeGrouping": "Month", "HasGroupBy": false,
        }],
    });
    let json = of_json(&format!(
        r#"{{"__type":"ColumnSet:{XRM}","AttributeExpressions":[{{"AggregateType":2,"Alias":"n","AttributeName":"name","DateTimeGrouping":3,"HasGroupBy":false}}]}}"#
    ));
    let xml = of_xml(
        r#"<g:value i:type="ColumnSet"><AttributeExpressions><AttributeExpression><AggregateType>CountColumn</AggregateType><Alias>n</Alias><AttributeName>name</AttributeName><DateTimeGrouping>Month</DateTimeGrouping><HasGroupBy>false</HasGroupBy></AttributeExpression></AttributeExpressions></g:value>"#,
    );
    assert_eq!((value(&json), value(&xml)), (&expected, &expected));
}

#[test]
fn collections_of_pairs_are_the_same_in_both_formats() {
    let pair = |name: &str, key: &str, value: &str| {
        format!(
            r#"[{{"__type":"{name}:#System.Collections.Generic","key":{key},"value":{value}}}]"#
        )
    };
    let relationship = r#"{"PrimaryEntityRole":1,"SchemaName":"s"}"#;
    let relationship_xml = "<g:key><PrimaryEntityRole>Referenced</PrimaryEntityRole><SchemaName>s</SchemaName></g:key>";
    for (json, xml, expected) in [
        (
            pair(
                "KeyValuePairOfstringEntitygUGIFE1S",
                r#""image""#,
                r#"{"EntityState":1,"Id":"6420F0CC-916B-EE11-9AE6-000D3A688809","LogicalName":"account"}"#,
            ),
            r#"<g:value i:type="EntityImageCollection"><p><g:key>image</g:key><g:value><EntityState>Created</EntityState><Id>6420f0cc-916b-ee11-9ae6-000d3a688809</Id><LogicalName>account</LogicalName></g:value></p></g:value>"#.to_owned(),
            json!({"image": {
                "@type": "Entity", "EntityState": "Created", "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809", "LogicalName": "account",
            }}),
        ),
        (
            pair(
                "KeyValuePairOfRelationshipEntityCollectionX_PsK4FkN",
                relationship,
                r#"{"Entities":[{"LogicalName":"account"}],"EntityName":"account"}"#,
            ),
            format!(
                r#"<g:value i:type="RelatedEntityCollection"><p>{relationship_xml}<g:value><Entities><Entity><LogicalName>account</LogicalName></Entity></Entities><EntityName>account</EntityName></g:value></p></g:value>"#
            ),
            json!([{
                "key": {"@type": "Relationship", "PrimaryEntityRole": "Referenced", "SchemaName": "s"},
                "value": {
                    "@type": "EntityCollection", "Entities": [{"@type": "Entity", "LogicalName": "account"}], "EntityName": "account",
                },
            }]),
        ),
        (
            pair(
                "KeyValuePairOfRelationshipQueryBaseX_PsK4FkN",
                relationship,
                &format!(r#"{{"__type":"FetchExpression:{XRM}","Query":"q"}}"#),
            ),
            format!(
                r#"<g:value i:type="RelationshipQueryCollection"><p>{relationship_xml}<g:value i:type="FetchExpression"><Query>q</Query></g:value></p></g:value>"#
            ),
            json!([{
                "key": {"@type": "Relationship", "PrimaryEntityRole": "Referenced", "SchemaName": "s"},
                "value": {"@type": "FetchExpression", "Query": "q"},
            }]),
        ),
    ] {
        let (of_json, of_xml) = (of_json(&json), of_xml(&xml));
        assert_eq!(value(&of_json), &expected, "{json}");
        assert_eq!(value(&of_xml), &expected, "{xml}");
    }
}

#[test]
fn a_dictionary_is_a_bag_where_its_keys_are_texts_and_else_a_list() {
    for (items, expected) in [
        ("", json!({})),
        (
            "<a:p><a:Key>b</a:Key><a:Value>1</a:Value></a:p><a:p><a:Key>a</a:Key><a:Value i:nil='true'/></a:p>",
            json!({"b": "1", "a": null}),
        ),
        (
            "<a:p><a:Key><SchemaName>s</SchemaName></a:Key><a:Value i:type='x:int'>1</a:Value></a:p>",
            json!([{"Key": {"SchemaName": "s"}, "Value": 1}]),
        ),
        (
            "<a:p><a:Key i:nil='true'/><a:Value>1</a:Value></a:p>",
            json!([{"Key": null, "Value": "1"}]),
        ),
    ] {
        let document = of_xml(&format!(
            "<g:value i:type='a:ArrayOfKeyValueOfanyTypeanyType'>{items}</g:value>"
        ));
        assert_eq!(value(&document), &expected, "{items}");
    }
}

#[test]
fn a_type_that_stands_for_a_declared_one_has_its_members_in_both_formats() {
    let expected = json!([{
        "@type": "Account", "@namespace": "http://schemas.datacontract.org/2004/07/Contoso",
        "Attributes": {}, "FormattedValues": {}, "Id": "6420f0cc-916b-ee11-9ae6-000d3a688809", "LogicalName": "account",
    }]);
    let json = of_json(&format!(
        r#"{{"__type":"EntityCollection:{XRM}","Entities":[{{"__type":"Account:#Contoso","Attributes":[],"FormattedValues":[],"Id":"6420F0CC-916B-EE11-9AE6-000D3A688809","LogicalName":"account"}}]}}"#
    ));
    let xml = of_xml(
        "<g:value i:type='EntityCollection'><Entities><Entity xmlns:q='http://schemas.datacontract.org/2004/07/Contoso' i:type='q:Account'><Attributes/><FormattedValues/><Id>6420f0cc-916b-ee11-9ae6-000d3a688809</Id><LogicalName>account</LogicalName></Entity></Entities></g:value>",
    );
    for document in [json, xml] {
        assert_eq!(value(&document)["Entities"], expected);
    }
}

#[test]
fn a_member_cannot_pass_for_what_the_document_adds() {
    let body = r#"{"@format":"xml","MessageName":"Update","@truncated":true,"@notes":[],"@other":1,
        "InputParameters":[{"key":"k","value":{"@type":"Entity","@namespace":"n","Value":1}},{"key":"@type","value":2}]}"#;
    let decoded = decode(body.as_bytes(), Hint::default()).unwrap();
    let text = serde_json::to_string(&decoded.document(false)).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"@format":"json","@truncated":false,"@notes":["the member \"@format\" is left out","#,
            r#""the member \"@truncated\" is left out","the member \"@notes\" is left out","#,
            r#""InputParameters.k: the member \"@type\" is left out","#,
            r#""InputParameters.k: the member \"@namespace\" is left out"],"#,
            r#""MessageName":"Update","@other":1,"InputParameters":{"k":{"Value":1},"@type":2}}"#,
        )
    );
    let document = of_xml("<g:value><@type>Entity</@type><Value>1</Value></g:value>");
    assert_eq!(value(&document), &json!({"Value": "1"}));
}

#[test]
fn what_a_pair_has_beside_its_key_and_its_value_is_noted() {
    let notes = json!([
        r#"InputParameters.k: the member of a pair "valeu" is left out"#,
        r#"InputParameters.k: the member "value" came again, the last value is kept"#,
        r#"InputParameters.k: the member "key" came again, the last value is kept"#,
    ]);
    let json = document(
        r#"{"MessageName":"Update","InputParameters":[{"__type":"KeyValuePairOfstringanyType:#System.Collections.Generic",
            "valeu":0,"key":"j","value":1,"value":2,"key":"k"}]}"#,
    );
    let xml = of_xml(
        "<g:valeu>0</g:valeu><g:value i:type='x:int'>1</g:value><g:value i:type='x:int'>2</g:value><g:key>k</g:key>",
    );
    for document in [json, xml] {
        assert_eq!(value(&document), 2);
        assert_eq!(document["@notes"], notes);
    }
}

#[test]
fn references_in_the_attributes_of_xml_are_resolved() {
    let document = of_xml(
        "<g:value xmlns:q='http://example.com/?a=1&amp;b=&#50;' i:type='q:Terms'><q:Days>30</q:Days></g:value>",
    );
    assert_eq!(
        value(&document),
        &json!({"@type": "Terms", "@namespace": "http://example.com/?a=1&b=2", "Days": "30"})
    );
    // A namespace of Microsoft's in another spelling is the same one.
    let document = of_xml(
        "<g:value xmlns:q='http://www.w3.org/2001/&#x58;MLSchema' i:type='q:&#x69;nt'>1</g:value>",
    );
    assert_eq!(value(&document), 1);
    for (broken, reason) in [
        ("a='&other;'", "an entity that is not predefined"),
        ("a='&amp'", "an ampersand that begins no reference"),
        ("xmlns:q='&#xz;'", "a broken character reference"),
    ] {
        let body = format!("<RemoteExecutionContext xmlns='{XRM}' {broken}/>");
        let error = decode(body.as_bytes(), Hint::default()).unwrap_err();
        assert_eq!(
            (error.format, &*error.reason),
            (Some(WireFormat::Xml), reason)
        );
    }
}

#[test]
fn an_array_of_others_is_known_in_utf_16_without_a_mark() {
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let body: Vec<u8> = " [1]".encode_utf16().flat_map(encode).collect();
        let read = Decoder::default().read(&body, Hint::default());
        let Ok(Outcome::Foreign(foreign)) = read else {
            panic!("{read:?}")
        };
        assert_eq!(foreign.json.get(), "[1]");
    }
}

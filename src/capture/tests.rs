//! Files that are whole, cut off, damaged, or of something else.

use apache_avro::types::Value as Avro;
use apache_avro::{Codec, Writer};

use super::*;

const VALUES: &str =
    r#"{"type":"map","values":["long","double","string","bytes","null","boolean"]}"#;

fn schema(more: &str) -> Schema {
    let text = format!(
        r#"{{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[
            {{"name":"SequenceNumber","type":"long"}},
            {{"name":"Offset","type":"string"}},
            {{"name":"EnqueuedTimeUtc","type":"string"}},
            {{"name":"SystemProperties","type":{VALUES}}},
            {{"name":"Properties","type":{VALUES}}},
            {{"name":"Body","type":["null","bytes"]}}{more}]}}"#
    );
    Schema::parse_str(&text).unwrap()
}

fn event(number: i64) -> Vec<(&'static str, Avro)> {
    let property = |index, value| Avro::Union(index, Box::new(value));
    let properties = [
        ("Long", property(0, Avro::Long(1 << 60))),
        ("Double", property(1, Avro::Double(0.5))),
        ("Text", property(2, Avro::String("text".into()))),
        ("Bytes", property(3, Avro::Bytes(vec![0, 255]))),
        ("Null", property(4, Avro::Null)),
        ("Bool", property(5, Avro::Boolean(true))),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value));
    let body = format!("body of {number}").into_bytes();
    vec![
        ("SequenceNumber", Avro::Long(number)),
        ("Offset", Avro::String(format!("{}", 100 * number))),
        (
            "EnqueuedTimeUtc",
            Avro::String("6/25/2026 3:47:29 PM".into()),
        ),
        ("SystemProperties", Avro::Map([].into())),
        ("Properties", Avro::Map(properties.into())),
        ("Body", property(1, Avro::Bytes(body))),
    ]
}

fn record(fields: Vec<(&str, Avro)>) -> Avro {
    let fields = fields.into_iter();
    Avro::Record(fields.map(|(name, value)| (name.into(), value)).collect())
}

/// A file of events 0, 1, ..., `block` of them in each block.
fn file(events: i64, block: i64, codec: Codec) -> Vec<u8> {
    let schema = schema("");
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
    for number in 0..events {
        writer.append_value(record(event(number))).unwrap();
        if (number + 1) % block == 0 {
            writer.flush().unwrap();
        }
    }
    writer.into_inner().unwrap()
}

/// The numbers of the events that are read, and what ended the reading.
fn read(file: &[u8]) -> (Vec<i64>, Option<CaptureError>) {
    let mut numbers = Vec::new();
    let capture = match Capture::open(file) {
        Ok(capture) => capture,
        Err(error) => return (numbers, Some(error)),
    };
    for record in capture {
        match record {
            Ok(record) => numbers.push(record.sequence_number.0),
            Err(error) => return (numbers, Some(error)),
        }
    }
    (numbers, None)
}

#[test]
fn an_event_is_read_with_all_that_the_file_knows_of_it() {
    let file = file(1, 1, Codec::Null);
    let records: Vec<Record> = Capture::open(&file[..])
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(record.offset.as_str(), "0");
    assert_eq!(record.body.as_deref(), Some(&b"body of 0"[..]));
    let time = record.enqueued_at().unwrap();
    assert_eq!(time.format(&Rfc3339).unwrap(), "2026-06-25T15:47:29Z");
    for (name, value) in [
        ("Long", serde_json::json!(1_i64 << 60)),
        ("Double", serde_json::json!(0.5)),
        ("Text", serde_json::json!("text")),
        ("Bytes", serde_json::json!("AP8=")),
        ("Null", serde_json::Value::Null),
        ("Bool", serde_json::json!(true)),
    ] {
        assert_eq!(record.properties.get(name), Some(&value), "{name}");
    }
}

#[test]
fn a_time_is_read_as_capture_writes_it_and_as_rfc_3339() {
    for (text, time) in [
        ("12/1/2026 12:00:05 AM", Some("2026-12-01T00:00:05Z")),
        ("1/12/2026 12:00:05 PM", Some("2026-01-12T12:00:05Z")),
        ("2026-06-11T00:00:08.225Z", Some("2026-06-11T00:00:08.225Z")),
        ("13/1/2026 1:00:00 PM", None),
        ("", None),
    ] {
        let record = Record {
            sequence_number: SequenceNumber(0),
            offset: Offset::new("0"),
            enqueued_time: text.into(),
            system_properties: Properties::default(),
            properties: Properties::default(),
            body: None,
        };
        let read = record.enqueued_at().map(|time| time.format(&Rfc3339));
        assert_eq!(read.transpose().unwrap().as_deref(), time, "{text}");
    }
}

#[test]
fn a_file_that_was_cut_off_anywhere_gives_its_whole_blocks_and_an_error() {
    for codec in [Codec::Null, Codec::Snappy] {
        let file = file(6, 2, codec);
        let mut whole = Vec::new();
        for end in 0..file.len() {
            let (numbers, error) = read(&file[..end]);
            assert_eq!(numbers, (0..numbers.len() as i64).collect::<Vec<_>>());
            match error {
                Some(CaptureError::CutOff(_)) => {}
                None => whole.push(numbers.len()),
                Some(other) => panic!("cut at {end}: {other}"),
            }
        }
        // Behind the header and behind each block nothing is missing that could be missed.
        assert_eq!(whole, [0, 2, 4]);
        assert_eq!(read(&file).0.len(), 6);
    }
}

#[test]
fn the_block_and_the_last_event_are_named() {
    let file = file(6, 2, Codec::Null);
    let (numbers, error) = read(&file[..file.len() - 1]);
    assert_eq!(numbers, [0, 1, 2, 3]);
    let text = error.unwrap().to_string();
    assert!(
        text.starts_with("the file ends within the block at byte ")
            && text.ends_with(", behind event 3: it was cut off"),
        "{text}"
    );
}

#[test]
fn no_change_of_a_byte_makes_it_panic_or_go_on_for_ever() {
    let file = file(2, 1, Codec::Null);
    for place in 0..file.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[place] ^= change;
            assert!(read(&changed).0.len() <= 2, "byte {place}");
        }
    }
}

#[test]
fn a_block_without_events_does_not_end_the_file() {
    let file = file(2, 1, Codec::Null);
    let header = Capture::open(&file[..])
        .map(|capture| capture.block as usize)
        .unwrap();
    let marker = &file[header - 16..header];
    let empty = [&[0, 0], marker].concat();
    let with_empty = [&file[..header], &empty, &empty, &file[header..], &empty].concat();
    let (numbers, error) = read(&with_empty);
    assert_eq!(numbers, [0, 1]);
    assert!(error.is_none(), "{error:?}");
}

#[test]
fn a_file_that_is_compressed_otherwise_is_refused_by_the_name_of_that() {
    let file = file(1, 1, Codec::Snappy);
    let name = b"\x0csnappy";
    let at = file.windows(7).position(|bytes| bytes == name).unwrap();
    for (other, expected) in [
        ("zstandard", "zstandard"),
        (&"x".repeat(50), &"x".repeat(40)),
    ] {
        let length = u8::try_from(2 * other.len()).unwrap();
        let other = [&file[..at], &[length], other.as_bytes(), &file[at + 7..]].concat();
        let error = read(&other).1.unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "it is compressed with {expected:?}; deflate and snappy are read, and what is not compressed"
            )
        );
    }
}

#[test]
fn a_block_that_claims_more_than_is_taken_into_memory_is_refused() {
    let file = file(1, 1, Codec::Null);
    let header = Capture::open(&file[..])
        .map(|capture| capture.block as usize)
        .unwrap();
    // One event, in a block of 2^61 bytes.
    let claim = [0x02, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    let (numbers, error) = read(&[&file[..header], &claim].concat());
    assert_eq!(numbers, [0; 0]);
    assert!(
        matches!(error, Some(CaptureError::TooLarge(_))),
        "{error:?}"
    );
}

#[test]
fn an_event_with_very_many_properties_is_refused() {
    let schema = schema("");
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Null).unwrap();
    let mut fields = event(5);
    let null = Avro::Union(4, Box::new(Avro::Null));
    let many = (0..10_001).map(|number| (number.to_string(), null.clone()));
    fields[4].1 = Avro::Map(many.collect());
    writer.append_value(record(fields)).unwrap();
    let (_, error) = read(&writer.into_inner().unwrap());
    let text = error.unwrap().to_string();
    assert!(text.contains("more than 10000 properties"), "{text}");
}

#[test]
fn records_that_are_no_events_are_refused_and_a_field_that_came_since_is_passed_over() {
    let open = |schema: &Schema| {
        let mut writer = Writer::with_codec(schema, Vec::new(), Codec::Null).unwrap();
        writer.flush().unwrap();
        // The header alone.
        let file = writer.into_inner().unwrap();
        Capture::open(&file[..]).map(drop)
    };
    open(&schema(r#",{"name":"New","type":["null","string"]}"#)).unwrap();
    for (schema, reason) in [
        (Schema::Long, "it holds no records"),
        (
            Schema::parse_str(
                r#"{"type":"record","name":"Message","fields":[{"name":"Body","type":"bytes"}]}"#,
            )
            .unwrap(),
            "its records have no field SequenceNumber",
        ),
        (
            schema(
                r#",{"name":"Within","type":["null","Microsoft.ServiceBus.Messaging.EventData"]}"#,
            ),
            "a field of its records is of another type than Capture has",
        ),
    ] {
        let error = open(&schema).unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

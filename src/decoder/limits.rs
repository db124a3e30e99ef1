//! What a body may cost. A body is somebody else's: a megabyte of it can nest thousands of values in one
//! another, or say so much with each byte that what is made of it takes a hundred megabytes.

use std::borrow::Cow;

use crate::context::Full;

/// What a body may cost before it is refused as undecodable. The error names the limit by its key in the table
/// `[decode]` of the daemon's configuration. The module [`decoder`](super) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes a body may have.
    pub size: usize,
    /// How deep values may lie in one another, [`Limits::MAX_NESTING`] at the most: more counts as that.
    pub nesting: usize,
    /// How many members, entries and items a context may hold in all.
    pub attributes: usize,
    /// How many bytes of memory a context may take, by the measure of
    /// [`Decoded::memory`](super::Decoded::memory), a gigabyte at the most: more counts as that. While it is
    /// made, it may take some times as much for a moment.
    pub expansion: usize,
}

impl Limits {
    /// The deepest nesting that can be asked for: values are read, written and freed level by level, and a
    /// thread with 2 MiB of stack must bear it in a debug build too.
    pub const MAX_NESTING: usize = 320;
}

impl Default for Limits {
    /// A body as large as the service takes it but on a Dedicated cluster. Sixty parents and two hundred
    /// nested arrays, the deepest that the serializers were seen to write, fit.
    fn default() -> Self {
        Self {
            size: 1 << 20,
            nesting: 256,
            attributes: 200_000,
            expansion: 64 << 20,
        }
    }
}

/// Why a limit does not allow more, as a fragment.
pub(super) type Exceeded = Cow<'static, str>;

impl Limits {
    /// Whether a value may lie within so many others.
    pub(super) fn level(&self, depth: usize) -> Result<(), Exceeded> {
        let most = self.nesting.min(Self::MAX_NESTING);
        match depth < most {
            true => Ok(()),
            false => Err(format!("nested deeper than {most} levels (decode.max_nesting)").into()),
        }
    }

    /// What to say where there is too much of something.
    pub(super) fn reason(&self, full: Full) -> Exceeded {
        let most = self.attributes;
        match full {
            Full::Values => format!("more than {most} attributes (decode.max_attributes)").into(),
            Full::Bytes => self.too_large(),
        }
    }

    pub(super) fn too_large(&self) -> Exceeded {
        let most = self.expansion;
        format!("more than {most} bytes of memory (decode.max_expansion)").into()
    }

    /// Whether a body may have so many bytes.
    pub(super) fn size(&self, bytes: usize) -> Result<(), Exceeded> {
        let most = self.size;
        match bytes <= most {
            true => Ok(()),
            false => Err(format!("more than {most} bytes (decode.max_size)").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::WireFormat;
    use crate::decoder::{DecodeError, Decoded, Decoder, Hint};
    use crate::pretty;

    const XRM: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
    const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";

    fn decode(body: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
        let decoder = Decoder {
            limits,
            ..Decoder::default()
        };
        decoder.decode(body, Hint::default())
    }

    /// A JSON context with these members before its message name.
    fn json(members: &str) -> String {
        format!(r#"{{{members},"MessageName":"Update"}}"#)
    }

    /// The same in XML.
    fn xml(members: &str) -> String {
        format!(
            r#"<RemoteExecutionContext xmlns="{XRM}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:a="{ARRAYS}">{members}<MessageName>Update</MessageName></RemoteExecutionContext>"#
        )
    }

    fn string(text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        let low = u8::try_from(length & 0x7f).unwrap();
        let mut bytes = match length {
            0..=0x7f => vec![low],
            _ => vec![low | 0x80, u8::try_from(length >> 7).unwrap()],
        };
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn element(name: &str) -> Vec<u8> {
        [vec![0x40], string(name)].concat()
    }

    /// The same in the binary format.
    fn binary(members: &[u8]) -> Vec<u8> {
        [
            element("RemoteExecutionContext"),
            vec![0x08],
            string(XRM),
            b"\x09\x01i".to_vec(),
            string("http://www.w3.org/2001/XMLSchema-instance"),
            members.to_vec(),
            element("MessageName"),
            vec![0x99],
            string("Update"),
            vec![0x01],
        ]
        .concat()
    }

    /// What nests, and how: what opens a level and what closes it.
    const NESTS: &[(WireFormat, &str, &str)] = &[
        (WireFormat::Json, "[", "]"),
        (WireFormat::Json, r#"{"a":"#, "}"),
        (WireFormat::Json, r#"{"Value":"#, "}"),
        (WireFormat::Json, r#"[{"Value":"#, "}]"),
        (WireFormat::Json, r#"[{"key":"k","value":"#, "}]"),
        (WireFormat::Json, r#"{"ParentContext":"#, "}"),
        (
            WireFormat::Json,
            r#"{"ParentContext":{"SharedVariables":[{"key":"k","value":"#,
            "}]}}",
        ),
        (
            WireFormat::Json,
            r#"{"__type":"EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts","Entities":[{"RelatedEntities":[{"value":"#,
            "}]}]}",
        ),
        (
            WireFormat::Json,
            r#"{"__type":"QueryExpression:http://schemas.microsoft.com/xrm/2011/Contracts","Criteria":{"Filters":[{"Conditions":[{"Values":["#,
            "]}]}]}}",
        ),
        (WireFormat::Xml, "<a>", "</a>"),
        (WireFormat::Xml, "<ParentContext>", "</ParentContext>"),
        (
            WireFormat::Xml,
            "<Value><Value>x</Value></Value><Value>",
            "</Value>",
        ),
        (WireFormat::Xml, r#"<p i:type="a:ArrayOfanyType">"#, "</p>"),
        (
            WireFormat::Xml,
            r#"<p i:type="a:ArrayOfKeyValueOfstringanyType"><p><Key>k</Key><Value>"#,
            "</Value></p></p>",
        ),
        (
            WireFormat::Xml,
            r#"<p i:type="EntityCollection"><Entities><Entity><RelatedEntities><p><value>"#,
            "</value></p></RelatedEntities></Entity></Entities></p>",
        ),
        (WireFormat::Binary, "\u{40}\u{1}a", "\u{1}"),
        (WireFormat::Binary, "\u{40}\u{d}ParentContext", "\u{1}"),
    ];

    /// A body in which one of [`NESTS`] lies in itself so many times.
    fn nested(&(format, open, close): &(WireFormat, &str, &str), levels: usize) -> Vec<u8> {
        let core = if format == WireFormat::Json { "1" } else { "" };
        let nest = format!("{}{core}{}", open.repeat(levels), close.repeat(levels));
        match format {
            WireFormat::Json => json(&format!(
                r#""InputParameters":[{{"key":"k","value":{nest}}}],"ParentContext":{nest}"#
            ))
            .into_bytes(),
            WireFormat::Xml => xml(&format!(
                "<InputParameters><p><key>k</key><value>{nest}</value></p></InputParameters><ParentContext>{nest}</ParentContext>"
            ))
            .into_bytes(),
            WireFormat::Binary => binary(nest.as_bytes()),
        }
    }

    #[test]
    fn what_nests_as_deep_as_can_be_asked_for_fits_a_stack_of_2_mib() {
        let most = Limits::MAX_NESTING;
        let limits = Limits {
            nesting: usize::MAX,
            ..Limits::default()
        };
        let handle = move || {
            for nest in NESTS {
                let (format, open, _) = nest;
                let levels: Vec<usize> = (1..=most).collect();
                let fitting =
                    levels.partition_point(|levels| decode(&nested(nest, *levels), limits).is_ok());
                assert!(fitting >= most / 7 - 2, "{open}: {fitting}");
                let decoded = decode(&nested(nest, fitting), limits).unwrap();
                assert_eq!(decoded.format, *format);
                let document = decoded.document(false);
                assert!(serde_json::to_vec(&document).unwrap().len() > fitting);
                let mut page = Vec::new();
                pretty::write_context(&document, true, &mut page).unwrap();
                assert!(decoded.memory() > fitting);
                assert_eq!(decoded, decoded.clone());
                let error = decode(&nested(nest, most + 1), limits).unwrap_err();
                assert!(
                    error.reason.starts_with("nested deeper than "),
                    "{open}: {error}"
                );
            }
        };
        // The rest is for whoever lets it decode.
        let thread = std::thread::Builder::new().stack_size((2 << 20) - (256 << 10));
        thread.spawn(handle).unwrap().join().unwrap();
    }

    /// Bodies that say much with little, in each of the formats.
    fn swollen(count: usize) -> Vec<(&'static str, Vec<u8>)> {
        let array = [
            vec![0x03],
            element("A"),
            vec![0x01, 0xb5],
            int31(count),
            vec![1; count],
        ];
        let texts = [vec![0xa4], b"\xaa\x04".repeat(count), vec![0xa6]].concat();
        let entity = format!("EntityCollection:{XRM}");
        let long = "n".repeat(1000);
        let bodies = [
            (
                "an array of booleans",
                binary(&[element("M"), array.concat(), vec![0x01]].concat()),
            ),
            (
                "a list of texts of the dictionary",
                binary(&[element("M"), texts.clone(), vec![0x01]].concat()),
            ),
            (
                "lists one after the other",
                binary(&[element("M"), texts.repeat(3), vec![0x01]].concat()),
            ),
            (
                "empty arrays",
                json(&format!(r#""a":[{}[]]"#, "[],".repeat(count))).into(),
            ),
            (
                "numbers",
                json(&format!(r#""a":[{}0]"#, "0,".repeat(count))).into(),
            ),
            (
                "pairs",
                json(&format!(
                    r#""SharedVariables":[{}{{"key":"","value":0}}]"#,
                    each(count, |n| format!(r#"{{"key":"{n:06}","value":0}},"#))
                ))
                .into(),
            ),
            (
                "members",
                json(&format!(
                    "{}\"a\":0",
                    each(count, |n| format!("\"{n:06}\":0,"))
                ))
                .into(),
            ),
            (
                "rows without a column",
                json(&format!(
                    r#""a":{{"__type":"{entity}","Entities":[{}{{}}]}}"#,
                    "{},".repeat(count)
                ))
                .into(),
            ),
            (
                "elements of a long type",
                xml(&format!(
                    r#"<a xmlns:q="{long}">{}</a>"#,
                    r#"<b i:type="q:c"/>"#.repeat(count)
                ))
                .into(),
            ),
            (
                "elements",
                xml(&format!("<a>{}</a>", "<b/>".repeat(count))).into(),
            ),
        ];
        bodies.into()
    }

    fn each(count: usize, write: impl Fn(usize) -> String) -> String {
        (0..count).map(write).collect()
    }

    fn int31(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    }

    #[test]
    fn a_context_takes_no_more_memory_than_it_may_and_no_less_is_reckoned() {
        let any = Limits {
            size: usize::MAX,
            attributes: usize::MAX,
            expansion: usize::MAX,
            ..Limits::default()
        };
        for (called, body) in swollen(3000) {
            let memory = decode(&body, any).unwrap().memory();
            let fits = |expansion| decode(&body, Limits { expansion, ..any });
            assert!(fits(3 * memory).is_ok(), "{called}: {memory}");
            let error = fits(memory / 2).unwrap_err();
            let expected = format!(
                "more than {} bytes of memory (decode.max_expansion)",
                memory / 2
            );
            assert_eq!(error.reason, expected, "{called}");
            // What is accepted is no larger than that.
            for part in 2..12 {
                let expansion = memory * part / 4;
                if let Ok(decoded) = fits(expansion) {
                    let memory = decoded.memory();
                    assert!(
                        memory <= expansion + 1000,
                        "{called}: {memory} of {expansion}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_body_of_a_megabyte_stops_at_the_limits_or_stays_within_them() {
        let usual = Limits::default();
        let mut stopped = Vec::new();
        let samples = swollen(1000).into_iter().zip(swollen(2000));
        for (place, ((called, short), (_, long))) in samples.enumerate() {
            let unit = (long.len() - short.len()) / 1000;
            let (_, body) = swollen((usual.size - 3000) / unit).swap_remove(place);
            assert!(body.len() > usual.size / 2, "{called}");
            match decode(&body, usual) {
                Ok(decoded) => assert!(decoded.memory() <= usual.expansion, "{called}"),
                Err(error) => stopped.push((called, error.reason)),
            }
        }
        let attributes = "more than 200000 attributes (decode.max_attributes)";
        let expected = [
            ("an array of booleans", attributes),
            ("empty arrays", attributes),
            ("numbers", attributes),
            ("rows without a column", attributes),
            ("elements", attributes),
        ];
        assert_eq!(
            stopped,
            expected.map(|(called, reason)| (called, reason.into()))
        );
    }

    #[test]
    fn a_limit_that_is_reached_is_told_with_its_key() {
        let none = Limits {
            size: 400,
            nesting: 4,
            attributes: 3,
            expansion: 10_000,
        };
        for (members, expected) in [
            (
                format!(r#""a":"{}""#, "x".repeat(400)),
                "json at 1:1: more than 400 bytes (decode.max_size)",
            ),
            (
                r#""a":[[[[]]]]"#.to_owned(),
                "json at 1:9: nested deeper than 4 levels (decode.max_nesting)",
            ),
            (
                r#""a":1,"b":2,"c":3"#.to_owned(),
                "json at 1:42: more than 3 attributes (decode.max_attributes)",
            ),
            (
                r#""ParentContext":{}"#.to_owned(),
                "json at 1:43: more than 100 bytes of memory (decode.max_expansion)",
            ),
        ] {
            let limits = match members.contains("Parent") {
                true => Limits {
                    expansion: 100,
                    ..none
                },
                false => none,
            };
            let error = decode(json(&members).as_bytes(), limits).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(decode(json(r#""a":[1]"#).as_bytes(), none).is_ok());
    }
}

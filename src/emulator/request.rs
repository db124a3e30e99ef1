//! Requests to `$cbs` and `$management`, and the responses that go back on another link.
//!
//! Both nodes speak as AMQP Management (OASIS draft) has it: an operation in the application
//! properties, a reply-to, and a response whose correlation-id is the request's message-id in its
//! own type.

use super::encode::{Encoder, code};
use super::message::Sections;
use super::scan::{self, Malformed};

/// A node that answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Takes tokens.
    Cbs,
    /// Tells about the hub and its partitions.
    Management,
}

/// A request, as far as the two nodes read it.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    message_id: Option<&'a [u8]>,
    pub(crate) reply_to: Option<&'a str>,
    /// Keys and values in turn.
    properties: Vec<&'a [u8]>,
    /// The text of an amqp-value body.
    pub(crate) body: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Reads a message; other bodies than a text, and none at all, are let pass.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut request = Self::default();
        for section in Sections(message) {
            let section = section?;
            match section.code {
                code::PROPERTIES => {
                    let fields = scan::elements(section.value)?;
                    request.message_id = fields.first().copied();
                    request.reply_to = fields.get(4).and_then(|field| scan::as_text(field));
                }
                code::APPLICATION_PROPERTIES => {
                    request.properties = scan::elements(section.value)?;
                }
                code::AMQP_VALUE => request.body = scan::as_text(section.value),
                _ => {}
            }
        }
        Ok(request)
    }

    /// A text among the application properties.
    pub(crate) fn property(&self, name: &str) -> Option<&'a str> {
        self.properties
            .chunks_exact(2)
            .find(|pair| scan::as_text(pair[0]) == Some(name))
            .and_then(|pair| scan::as_text(pair[1]))
    }

    /// Encodes the response to this request.
    pub(crate) fn answer(&self, response: &Response) -> Vec<u8> {
        let mut out = Encoder::default();
        out.composite(code::PROPERTIES, 13, |list| {
            list.null(); // message-id
            list.null(); // user-id
            match self.reply_to {
                Some(to) => list.string(to),
                None => list.null(),
            }
            list.null(); // subject
            list.null(); // reply-to
            list.encoded(self.message_id); // correlation-id
            (0..7).for_each(|_| list.null()); // content-type to reply-to-group-id
        });
        out.descriptor(code::APPLICATION_PROPERTIES);
        out.map(2, |map| {
            map.string("status-code");
            map.int(response.status);
            map.string("status-description");
            map.string(&response.description);
        });
        out.descriptor(code::AMQP_VALUE);
        out.raw(&response.body);
        out.0
    }
}

/// What a node answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: i32,
    pub(crate) description: String,
    /// One encoded value.
    body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: i32, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
            body: vec![0x40],
        }
    }

    /// 200, with what `write` encodes.
    pub(crate) fn ok(write: impl FnOnce(&mut Encoder)) -> Self {
        let mut body = Encoder::default();
        write(&mut body);
        Self {
            status: 200,
            description: "OK".to_owned(),
            body: body.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::messaging::message::__private::Deserializable;
    use fe2o3_amqp::types::messaging::{Body, Message, MessageId};
    use fe2o3_amqp::types::primitives::{SimpleValue, Value};

    use super::*;

    fn request(message_id: impl FnOnce(&mut Encoder)) -> Vec<u8> {
        let mut out = Encoder::default();
        out.composite(code::PROPERTIES, 5, |list| {
            message_id(list);
            list.null();
            list.null();
            list.null();
            list.string("me");
        });
        out.descriptor(code::APPLICATION_PROPERTIES);
        out.map(1, |map| {
            map.string("operation");
            map.string("READ");
        });
        out.0
    }

    fn answered(request: &[u8]) -> Message<Body<Value>> {
        let request = Request::parse(request).unwrap();
        let bytes = request.answer(&Response::new(404, "none"));
        serde_amqp::from_slice::<Deserializable<Message<Body<Value>>>>(&bytes)
            .unwrap()
            .0
    }

    #[test]
    fn the_correlation_id_has_the_type_of_the_message_id() {
        for (write, expected) in [
            (
                (|list: &mut Encoder| list.ulong(7)) as fn(&mut Encoder),
                MessageId::Ulong(7),
            ),
            (|list| list.string("a"), MessageId::String("a".into())),
            (
                |list| list.raw(&[0x98; 17]),
                MessageId::Uuid([0x98; 16].into()),
            ),
        ] {
            let properties = answered(&request(write)).properties.unwrap();
            assert_eq!(properties.correlation_id, Some(expected));
            assert_eq!(properties.to.as_deref(), Some("me"));
        }
    }

    #[test]
    fn the_status_is_an_int_and_is_described() {
        let properties = answered(&request(Encoder::null))
            .application_properties
            .unwrap();
        assert_eq!(
            properties.0.get("status-code"),
            Some(&SimpleValue::Int(404))
        );
        assert_eq!(
            properties.0.get("status-description"),
            Some(&SimpleValue::String("none".into()))
        );
    }

    #[test]
    fn a_request_without_a_body_is_read() {
        let bytes = request(Encoder::null);
        let request = Request::parse(&bytes).unwrap();
        assert_eq!(request.property("operation"), Some("READ"));
        assert_eq!(request.property("name"), None);
        assert_eq!((request.reply_to, request.body), (Some("me"), None));
    }
}

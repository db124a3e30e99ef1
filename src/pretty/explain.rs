//! What was found in a body, and what told it.

use super::value::{Name, Quoted};
use crate::context::{Document, ExecutionContext, WireFormat};
use crate::decoder::{self, Decoder, Encoding, Hint, Recognition, ToldBy};

/// One thing that is known of a body: a word for it, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// What it is about: `format`, `encoding`, ...
    pub about: &'static str,
    /// What is known, on one line, and nothing in it that could do something to a terminal.
    pub text: String,
}

/// So many parents are named: a chain may have two hundred.
const PARENTS: usize = 10;

/// What is known of a body, from its first byte to its context, where it has one. `decoder` is what read it.
pub(crate) fn facts(
    body: &[u8],
    hint: Hint<'_>,
    decoder: &Decoder,
    document: Option<&Document<'_>>,
) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    let found = decoder.recognize(body, hint);
    facts.add("format", format(&found, decoder.format));
    facts.add("encoding", written(found.encoding));
    facts.add(
        "size",
        match found.size {
            1 => "1 byte".into(),
            size => format!("{size} bytes"),
        },
    );
    if let Some(document) = document {
        facts.context(document.context);
        facts.unknown(document.context);
        for note in document.notes {
            facts.add("note", Name(&note.to_string()).to_string());
        }
        facts.add("truncated", truncated(document));
    }
    facts.0
}

struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, about: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.0.push(Fact { about, text });
    }

    fn context(&mut self, context: ExecutionContext<'_>) {
        self.add("message", operation(context));
        let mode = match context.mode() {
            Some(0) => "0 (synchronous)".into(),
            Some(1) => "1 (asynchronous)".into(),
            other => number(other),
        };
        self.add(
            "step",
            format!(
                "stage {}, mode {mode}, depth {}",
                stage(context),
                number(context.depth())
            ),
        );
        let parents =
            std::iter::successors(context.parent_context(), |parent| parent.parent_context());
        let mut more = 0_usize;
        for (place, parent) in parents.enumerate() {
            if place < PARENTS {
                let text = format!("{}, stage {}", operation(parent), stage(parent));
                self.add("parent", text);
            } else {
                more += 1;
            }
        }
        if more > 0 {
            self.add("parent", format!("and {more} more"));
        }
    }

    fn unknown(&mut self, context: ExecutionContext<'_>) {
        let found = decoder::unknown_in(context);
        for path in &found.members {
            self.add("unknown member", Name(path).to_string());
        }
        if found.more_members > 0 {
            self.add("unknown member", format!("and {} more", found.more_members));
        }
        for unknown in &found.types {
            let namespace = unknown.namespace.as_deref();
            self.add(
                "unknown type",
                format!(
                    "{} of {} at {}",
                    Name(&unknown.name),
                    Name(namespace.unwrap_or("Microsoft's contracts")),
                    Name(&unknown.path)
                ),
            );
        }
        if found.more_types > 0 {
            self.add("unknown type", format!("and {} more", found.more_types));
        }
    }
}

fn format(found: &Recognition<'_>, named: Option<WireFormat>) -> String {
    let looks = found.format.map_or("none", WireFormat::as_str);
    if let Some(named) = named {
        return match found.format == Some(named) {
            true => format!("{named}, as --format says and its first bytes too"),
            false => format!("{named}, as --format says; its first bytes say {looks}"),
        };
    }
    let first = found.first.map(first_byte).unwrap_or_default();
    match found.told_by {
        ToldBy::Label(label) => {
            format!(
                "{looks}: {} names it, and it begins with {first}",
                Quoted(label)
            )
        }
        ToldBy::LabelAlone(label) => format!(
            "{looks}: {} names it, although it begins with {first}, as no format does",
            Quoted(label)
        ),
        ToldBy::FirstBytes => format!("{looks}: it begins with {first}"),
        ToldBy::FirstBytesAgainst(label) => format!(
            "{looks}: it begins with {first}, although {} names another",
            Quoted(label)
        ),
        ToldBy::Nothing if found.first.is_none() => "none: there is nothing in it".into(),
        ToldBy::Nothing => format!("none: it begins with {first}, as no format does"),
    }
}

fn first_byte(byte: u8) -> String {
    match byte.is_ascii_graphic() {
        true => char::from(byte).to_string(),
        false => format!("0x{byte:02x}"),
    }
}

fn written(encoding: Encoding) -> String {
    match encoding {
        Encoding::Utf8 { is_marked: false } => "UTF-8".into(),
        Encoding::Utf8 { is_marked: true } => "UTF-8 with a byte order mark".into(),
        Encoding::Utf16 => "UTF-16".into(),
        Encoding::NotUtf8 { byte } => format!("not UTF-8 from byte {byte} on"),
        Encoding::Binary => ".NET binary XML".into(),
        Encoding::StringInBinary { format } => {
            let inside = format.map_or("neither JSON nor XML", WireFormat::as_str);
            format!(".NET binary XML with nothing but a string in it: {inside}")
        }
    }
}

/// The message and its table.
fn operation(context: ExecutionContext<'_>) -> String {
    let message = context.message_name().unwrap_or("(no message)");
    match context.primary_entity_name() {
        None | Some("none") => Name(message).to_string(),
        Some(table) => format!("{} of {}", Name(message), Name(table)),
    }
}

fn stage(context: ExecutionContext<'_>) -> String {
    let name = match context.stage() {
        Some(10) => "pre-validation",
        Some(20) => "pre-operation",
        Some(30) => "main operation",
        Some(40) => "post-operation",
        other => return number(other),
    };
    format!("{} ({name})", number(context.stage()))
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "unknown".into(), |number| number.to_string())
}

fn truncated(document: &Document<'_>) -> &'static str {
    match (document.truncated, document.context.is_truncated()) {
        (false, _) => "no",
        (true, true) => {
            "yes: parameters, images and parent are all empty, without which this message cannot be"
        }
        (true, false) => "yes: a property of the event says so",
    }
}

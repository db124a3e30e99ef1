//! A file, whatever it holds: one body, or the events of a capture.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::capture::{Capture, CaptureError, MAGIC};

/// No event is larger than 20 MB on any tier of Event Hubs, so neither is a body worth reading.
pub(super) const LARGEST: u64 = 32 << 20;

/// What a file holds.
pub(super) enum Source {
    /// One body.
    Body(Vec<u8>),
    /// Events, or why they cannot be read.
    Capture(Box<Result<Capture<Stream>, CaptureError>>),
}

/// A file behind its first bytes, and these once more.
pub(super) type Stream = io::Chain<io::Cursor<Vec<u8>>, BufReader<Box<dyn Read>>>;

/// Reads a body, or the head of a capture: its first bytes tell which it is, whatever the file is called.
pub(super) fn read(path: &Path) -> io::Result<Source> {
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    let mut file = BufReader::new(file);
    let mut body = Vec::new();
    file.by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut body)?;
    if body == MAGIC {
        let stream = io::Cursor::new(body).chain(file);
        return Ok(Source::Capture(Box::new(Capture::open(stream))));
    }
    file.take(LARGEST + 1 - body.len() as u64)
        .read_to_end(&mut body)?;
    if body.len() as u64 > LARGEST {
        return Err(io::Error::other(too_large()));
    }
    Ok(Source::Body(body))
}

/// What is said of a body beyond the limit.
pub(super) fn too_large() -> String {
    format!("larger than {LARGEST} bytes, and so no body of an event")
}

//! The lines of a file, compressed or not, one after the other, and how far one has come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::progress::Mark;

/// No line of a dead-letter file is longer, in bytes: an event has at most 20 MB, and its body stands in
/// there twice as base64, or once beside what was decoded of it.
pub(super) const LONGEST: u64 = 64 << 20;

/// A file that is read line by line.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    lines: u64,
    bytes: u64,
    digest: Sha256,
    longest: u64,
}

/// One line, without its line feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line that is whole.
    Whole(Vec<u8>),
    /// The last one, which has no line feed: it is whole, or it is still being written, or was torn.
    Unended(Vec<u8>),
    /// The beginning of one that is too long. [`Lines::rest`] gives what follows.
    TooLong(Vec<u8>),
}

impl Lines {
    /// Opens a file at its beginning. Of one that is not compressed only what is there now is read: a sink
    /// may be writing to it.
    pub(super) fn open(path: &Path, file: File) -> io::Result<Self> {
        let input: Box<dyn BufRead + Send> = match path.extension().and_then(|name| name.to_str()) {
            Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file)))),
            Some("zst") => Box::new(BufReader::new(zstd::Decoder::new(file)?)),
            _ => {
                let length = file.metadata()?.len();
                Box::new(BufReader::with_capacity(64 << 10, file.take(length)))
            }
        };
        Ok(Self::new(input, LONGEST))
    }

    fn new(input: Box<dyn BufRead + Send>, longest: u64) -> Self {
        Self {
            input,
            lines: 0,
            bytes: 0,
            digest: Sha256::new(),
            longest,
        }
    }

    /// How far it has been read.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            lines: self.lines,
            bytes: self.bytes,
            digest: self.digest.clone(),
        }
    }

    /// Goes on after so many lines of so many bytes; false when the file has not as many.
    pub(super) fn skip(&mut self, lines: u64, bytes: u64) -> io::Result<bool> {
        while self.bytes < bytes {
            let left = usize::try_from(bytes - self.bytes).unwrap_or(usize::MAX);
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                return Ok(false);
            }
            let length = piece.len().min(left);
            self.digest.update(&piece[..length]);
            self.input.consume(length);
            self.bytes += length as u64;
        }
        self.lines = lines;
        Ok(true)
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        // It grows with what is there, whatever the limit.
        (&mut self.input)
            .take(self.longest + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.count(&line);
        self.lines += 1;
        Ok(Some(if line.last() == Some(&b'\n') {
            line.pop();
            Line::Whole(line)
        } else if line.len() as u64 > self.longest {
            Line::TooLong(line)
        } else {
            Line::Unended(line)
        }))
    }

    /// What follows of a line that is too long, piece by piece, without its line feed.
    pub(super) fn rest(&mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        loop {
            let piece = self.input.fill_buf()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |end| end + 1);
            each(&piece[..end.unwrap_or(length)])?;
            self.digest.update(&piece[..length]);
            self.bytes += length as u64;
            self.input.consume(length);
            if end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(text: &'static str, longest: u64) -> Lines {
        // Small pieces, so that lines lie across them.
        let input = BufReader::with_capacity(3, Cursor::new(text));
        Lines::new(Box::new(input), longest)
    }

    #[test]
    fn a_text_falls_into_lines() {
        let mut lines = lines("one\n\nthree\nfou", 100);
        for expected in ["one", "", "three"] {
            let line = lines.next().unwrap();
            assert_eq!(line, Some(Line::Whole(expected.into())));
        }
        assert_eq!(lines.next().unwrap(), Some(Line::Unended("fou".into())));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!((lines.lines, lines.bytes), (4, 14));
    }

    #[test]
    fn a_line_that_is_too_long_is_read_in_pieces() {
        for (text, next) in [
            ("12345678\n9\n", Some(Line::Whole("9".into()))),
            ("12345678", None),
        ] {
            let mut lines = lines(text, 4);
            let Some(Line::TooLong(mut line)) = lines.next().unwrap() else {
                panic!("it is too long");
            };
            lines
                .rest(|piece| {
                    line.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
            assert_eq!(line, b"12345678");
            assert_eq!(lines.next().unwrap(), next);
        }
    }

    #[test]
    fn after_a_skip_it_is_as_if_everything_had_been_read() {
        let mut read = lines("one\ntwo\nthree\n", 100);
        read.next().unwrap();
        read.next().unwrap();
        let mut skipped = lines("one\ntwo\nthree\n", 100);
        assert!(skipped.skip(2, 8).unwrap());
        assert_eq!(skipped.mark().sha256(), read.mark().sha256());
        assert_eq!(skipped.next().unwrap(), Some(Line::Whole("three".into())));
        assert!(!skipped.skip(9, 15).unwrap());
    }

    #[test]
    fn archives_are_read_as_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"one\n").unwrap();
        // Two archives, one behind the other, are one.
        let gzip = [gzip.finish().unwrap(), {
            let mut more = GzEncoder::new(Vec::new(), Compression::default());
            more.write_all(b"two\n").unwrap();
            more.finish().unwrap()
        }]
        .concat();
        let zstd = [&b"one\n"[..], b"two\n"].map(|line| zstd::encode_all(line, 0).unwrap());
        for (name, content) in [
            ("a.ndjson", b"one\ntwo\n".to_vec()),
            ("a.ndjson.gz", gzip),
            ("a.ndjson.zst", zstd.concat()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let mut lines = Lines::open(&path, File::open(&path).unwrap()).unwrap();
            for expected in ["one", "two"] {
                let line = lines.next().unwrap();
                assert_eq!(line, Some(Line::Whole(expected.into())), "{name}");
            }
            assert_eq!(lines.next().unwrap(), None, "{name}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"one\n").unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&b"one\n"[..], 0).unwrap();
        for (name, content) in [("a.gz", gzip), ("a.zst", zstd)] {
            let path = folder.path().join(name);
            std::fs::write(&path, &content[..content.len() - 2]).unwrap();
            let mut lines = Lines::open(&path, File::open(&path).unwrap()).unwrap();
            let mut last = lines.next();
            while let Ok(Some(_)) = last {
                last = lines.next();
            }
            last.expect_err(name);
        }
    }

    #[test]
    fn what_is_written_meanwhile_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        std::fs::write(&path, "one\n").unwrap();
        let mut lines = Lines::open(&path, File::open(&path).unwrap()).unwrap();
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::Whole("one".into())));
        assert_eq!(lines.next().unwrap(), None);
    }
}

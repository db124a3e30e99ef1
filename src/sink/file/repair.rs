//! Half a line at the end of a file, left by a crash in the middle of writing. It was never accepted, so it
//! will be delivered again, and is cut off.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Cuts off what stands behind the last line feed of a file of `length` bytes; how many bytes those were.
///
/// # Errors
/// When the file cannot be read or cut.
pub(super) fn cut_torn_line(file: &File, length: u64) -> io::Result<u64> {
    let whole = whole_lines(file, length)?;
    if whole < length {
        file.set_len(whole)?;
    }
    Ok(length - whole)
}

/// However long the half line is, this much of it is in memory.
const PIECE: u64 = 64 << 10;

/// Where the last whole line ends, searched from the end on.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut piece = Vec::new();
    let mut end = length;
    // Nearly always it is the last byte.
    let mut size = 1;
    while end > 0 {
        let start = end.saturating_sub(size);
        piece.resize(usize::try_from(end - start).map_err(io::Error::other)?, 0);
        file.read_exact_at(&mut piece, start)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
        size = PIECE;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[u8]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let cut = cut_torn_line(&file, text.len() as u64).unwrap();
        assert_eq!(cut, (text.len() - expected.len()) as u64);
        let mut left = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut left).unwrap();
        assert_eq!(left, expected);
    }

    #[test]
    fn half_a_line_is_cut_off_and_nothing_else() {
        check(b"", b"");
        check(b"one\n", b"one\n");
        check(b"one\ntwo\n", b"one\ntwo\n");
        check(b"one\ntw", b"one\n");
        check(b"one\n\0\0\0", b"one\n");
        check(b"on", b"");
        check(b"\n", b"\n");
        check(b"\n\n", b"\n\n");
    }

    #[test]
    fn however_long_half_a_line_is_its_beginning_is_found() {
        let piece = usize::try_from(PIECE).unwrap();
        for length in [piece - 1, piece, piece + 1, piece + 2, 3 * piece] {
            let mut text = b"one\n".to_vec();
            text.resize(4 + length, b'x');
            check(&text, b"one\n");
            check(&text[4..], b"");
        }
    }
}

//! Writing that says how far it came: what is half written must not be begun again.

use std::io::{self, Write};

/// Writes all of `text`, and says how much was written when that ends early.
pub(super) fn write(output: &mut impl Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match output.write(&text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_closed_pipe_says_how_much_was_written() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (written, result) = write(&mut File::from(OwnedFd::from(writer)), b"text");
        assert_eq!(written, 0);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_has_room_is_written() {
        let mut room = [0; 3];
        let (written, result) = write(&mut &mut room[..], b"text");
        assert_eq!((written, &room), (3, b"tex"));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}

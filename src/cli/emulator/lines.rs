//! Lines of standard input, each when it comes. A thread waits for them: no runtime can be kept from ending
//! by somebody who says nothing.

use std::io::{self, BufRead, Read};
use std::thread;

use tokio::sync::mpsc;

/// The longest line that is taken, in bytes.
const MAX_LINE: usize = 1024;

/// A line, or none where it was too long to be one.
pub(super) type Line = Option<String>;

/// Lines as they come.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Line>);

impl Lines {
    /// Begins to read standard input.
    pub(super) fn of_standard_input() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(1);
        thread::Builder::new()
            .name("commands".to_owned())
            .spawn(move || {
                let mut input = io::stdin().lock();
                // A terminal that is gone has said its last as well.
                while let Ok(Some(line)) = next_line(&mut input) {
                    if sender.blocking_send(line).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self(receiver))
    }

    /// The next line; once the input has ended there is none, however long one waits. Cancel-safe.
    pub(super) async fn next(&mut self) -> Line {
        match self.0.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}

/// The next line, none at the end of the input.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(None));
    }
    Ok(Some(Some(String::from_utf8_lossy(&line).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_has_no_end_takes_no_memory_and_hides_no_other() {
        let long = "x".repeat(MAX_LINE);
        let text = format!("one\r\n{long}\n{long}y\n\nlast");
        let mut input = text.as_bytes();
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input).unwrap() {
            lines.push(line.map(|line| line.trim_end().to_owned()));
        }
        let line = |text: &str| Some(text.to_owned());
        assert_eq!(
            lines,
            [line("one"), line(&long), None, line(""), line("last")]
        );
    }
}

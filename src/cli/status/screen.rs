//! A terminal that is drawn on again and again, and left as it was.

use std::io::{Write, stdout};

use rustix::termios::tcgetwinsize;

use super::super::exit::Failure;
use super::super::print;

/// The other screen of a terminal, without a cursor; dropped, the first one is back.
#[derive(Debug)]
pub(super) struct Screen(());

// Sources: "XTerm Control Sequences" (DECSET 1049, 25), ECMA-48 (CUP, EL, ED).
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\r\n";
const END_OF_SCREEN: &str = "\x1b[J";

impl Screen {
    pub(super) fn open() -> Result<Self, Failure> {
        print(OPEN)?;
        Ok(Self(()))
    }

    /// Draws as much of `text` as there is room for.
    pub(super) fn draw(&self, text: &str) -> Result<(), Failure> {
        let (rows, columns) = tcgetwinsize(stdout()).map_or((usize::MAX, usize::MAX), |size| {
            (size.ws_row.into(), size.ws_col.into())
        });
        print(&drawing(text, rows, columns))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut output = stdout().lock();
        // Where the terminal is gone there is nothing to be restored.
        output
            .write_all(CLOSE.as_bytes())
            .and_then(|()| output.flush())
            .ok();
    }
}

/// Nothing is cleared before it is drawn: that would flicker. A terminal that does not know its size says zero.
fn drawing(text: &str, rows: usize, columns: usize) -> String {
    let [rows, columns] = [rows, columns].map(|size| if size == 0 { usize::MAX } else { size });
    let mut drawn = HOME.to_owned();
    for line in text.lines().take(rows.saturating_sub(1)) {
        drawn.extend(line.chars().take(columns));
        drawn.push_str(END_OF_LINE);
    }
    drawn.push_str(END_OF_SCREEN);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_drawn_than_there_is_room_for() {
        let text = "äbc\nd\ne\n";
        for (rows, columns, expected) in [
            (0, 0, "\x1b[Häbc\x1b[K\r\nd\x1b[K\r\ne\x1b[K\r\n\x1b[J"),
            (3, 2, "\x1b[Häb\x1b[K\r\nd\x1b[K\r\n\x1b[J"),
            (1, 1, "\x1b[H\x1b[J"),
        ] {
            assert_eq!(drawing(text, rows, columns), expected, "{rows} x {columns}");
        }
    }
}

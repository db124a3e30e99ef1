//! A message that has come in part.
//!
//! Source: AMQP 1.0, section 2.6.14 (transferring a message over several frames).

use bytes::{Bytes, BytesMut};

/// What has come of a message so far. Large pieces stay where they were read, and are put together once.
#[derive(Debug)]
pub(super) struct Partial {
    pub delivery_id: u32,
    pub settled: bool,
    size: usize,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    /// A slice of a buffer.
    Slice(Bytes),
    /// Small pieces, copied: each would keep a whole buffer.
    Copy(BytesMut),
}

/// Smaller pieces are copied: a slice of a read keeps all of it.
const SMALL: usize = 16 * 1024;

impl Partial {
    pub(super) fn new(delivery_id: u32) -> Self {
        Self {
            delivery_id,
            settled: false,
            size: 0,
            pieces: Vec::new(),
        }
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        let is_small = piece.len() < SMALL;
        match self.pieces.last_mut() {
            Some(Piece::Copy(copy)) if is_small => copy.extend_from_slice(&piece),
            _ if is_small => self.pieces.push(Piece::Copy(BytesMut::from(&piece[..]))),
            _ => self.pieces.push(Piece::Slice(piece)),
        }
    }

    /// The whole message, once its last piece has come.
    pub(super) fn join(self) -> Bytes {
        let mut pieces = self.pieces;
        if let [Piece::Copy(copy)] = pieces.as_mut_slice() {
            return std::mem::take(copy).freeze();
        }
        let mut whole = BytesMut::with_capacity(self.size);
        for piece in pieces {
            match piece {
                Piece::Slice(slice) => whole.extend_from_slice(&slice),
                Piece::Copy(copy) => whole.extend_from_slice(&copy),
            }
        }
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_make_the_message() {
        let sizes = [1, 2, 20_000, 3, SMALL, SMALL - 1, 0, 50_000];
        let text: Vec<u8> = (0..sizes.iter().sum()).map(|at: usize| at as u8).collect();
        let mut rest = Bytes::from(text.clone());
        let mut partial = Partial::new(7);
        for size in sizes {
            partial.push(rest.split_to(size));
        }
        assert_eq!(partial.size(), text.len());
        assert_eq!(partial.join(), text);
    }

    #[test]
    fn small_pieces_are_kept_as_one() {
        let buffer = Bytes::from(vec![7; 10_000]);
        let mut partial = Partial::new(0);
        for at in 0..10_000 {
            partial.push(buffer.slice(at..=at));
        }
        assert_eq!(partial.pieces.len(), 1);
        assert_eq!(partial.join(), buffer);
    }
}

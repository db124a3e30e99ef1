//! The names in a collection that is being written: whether one comes again.

use super::tape::Writer;

/// The names in a collection that is being written, to find out whether one comes again: the first ones by a
/// filter that says "perhaps" and a look at them all, more of them by numbers made of them, which are put in order in
/// the end: nobody can choose names that make that slow.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: u64,
    filter: [u64; 4],
    count: usize,
    /// A number for each name, where there are more than a few.
    numbers: Vec<u64>,
    is_repeated: bool,
}

/// How many names are looked through one by one.
const FEW: usize = 24;

impl Names {
    /// Takes the name of the next value, before that is pushed into the collection at `at`.
    pub(crate) fn add(&mut self, name: &[u8], writer: &Writer, at: usize) {
        if self.is_repeated {
            return;
        }
        self.count += 1;
        if self.count > FEW {
            return self.add_number(name, writer, at);
        }
        // Multiplying leaves its best bits at the top.
        let [.., place] = mixed(name).to_le_bytes();
        let (word, bit) = (usize::from(place >> 6), 1 << (place & 63));
        let is_perhaps = self.filter[word] & bit != 0;
        self.filter[word] |= bit;
        if is_perhaps && writer.has(at, name) {
            self.is_repeated = true;
        }
    }

    fn add_number(&mut self, name: &[u8], writer: &Writer, at: usize) {
        if self.numbers.is_empty() {
            let earlier = writer.entries(at).map(|at| mixed(writer.name(at)));
            self.numbers.extend(earlier);
        }
        self.numbers.push(mixed(name));
    }

    /// Takes the name of the next value by the place of that name in the contract.
    pub(crate) fn add_known(&mut self, place: usize) {
        let bit = u32::try_from(place)
            .ok()
            .and_then(|place| 1_u64.checked_shl(place));
        match bit {
            Some(bit) => {
                self.is_repeated |= self.known & bit != 0;
                self.known |= bit;
            }
            None => self.is_repeated = true,
        }
    }

    /// Takes nothing for granted: a name may have come again.
    pub(crate) fn doubt(&mut self) {
        self.is_repeated = true;
    }

    /// True where a name came again, or may have: two names of one number are looked at more closely then, once.
    /// After it no more are added.
    pub(crate) fn settle(&mut self) -> bool {
        if !self.is_repeated {
            let mut numbers = std::mem::take(&mut self.numbers);
            numbers.sort_unstable();
            self.is_repeated = !numbers.is_sorted_by(|one, next| one < next);
        }
        self.is_repeated
    }
}

/// A number that names that differ seldom share. Whoever makes some that do gains nothing by it: where two share
/// one, all names are looked at once.
fn mixed(name: &[u8]) -> u64 {
    let (words, rest) = name.as_chunks::<8>();
    let last = rest.iter().fold(rest.len() as u64 + 1, |word, byte| {
        word << 8 | u64::from(*byte)
    });
    let mut mixed = 0_u64;
    for word in words
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .chain([last])
    {
        mixed = (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mixed
}

//! Which partition a partition key belongs to.
//!
//! The hash is Bob Jenkins' `lookup3` (hashlittle2, public domain, burtleburtle.net/bob/c/lookup3.c)
//! with both seeds 0, as the buffered producers of Microsoft's SDKs compute it for the gateway.

/// The partition of `key` in a hub of `partitions`: the remainder is truncated, then made positive.
pub(crate) fn partition_of(key: &str, partitions: u16) -> u16 {
    let hash = i32::from(key_hash(key));
    u16::try_from((hash % i32::from(partitions.max(1))).unsigned_abs()).unwrap_or(0)
}

/// The low 16 bits of both halves of the hash, combined.
fn key_hash(key: &str) -> i16 {
    let (b, c) = lookup3(key.as_bytes());
    let low = ((b ^ c) & 0xffff) as u16;
    i16::from_be_bytes(low.to_be_bytes())
}

fn lookup3(key: &[u8]) -> (u32, u32) {
    let seed = 0xdead_beef_u32.wrapping_add(u32::try_from(key.len()).unwrap_or(u32::MAX));
    let mut state = [seed; 3];
    let mut rest = key;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        add(&mut state, block);
        mix(&mut state);
        rest = after;
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        finish(&mut state);
    }
    (state[1], state[2])
}

/// Adds up to 12 bytes, the missing ones being 0, as three little-endian words.
fn add(state: &mut [u32; 3], block: &[u8]) {
    for (word, bytes) in state.iter_mut().zip(block.chunks(4)) {
        let sum = bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
        *word = word.wrapping_add(sum);
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    *a = a.wrapping_sub(*c) ^ c.rotate_left(4);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(6);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(8);
    *b = b.wrapping_add(*a);
    *a = a.wrapping_sub(*c) ^ c.rotate_left(16);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(19);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(4);
    *b = b.wrapping_add(*a);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
    *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
    *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
    *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_sdks() {
        for (key, hash) in [
            ("7149583486996073602", 12977),
            ("FWfAT", -22341),
            ("alphabet", -23478),
            ("TestKey", 11417),
            ("key-2", -12361),
        ] {
            assert_eq!(key_hash(key), hash, "{key}");
        }
    }

    #[test]
    fn the_remainder_of_a_negative_hash_is_truncated() {
        assert_eq!(partition_of("key-2", 8), 1);
        assert_eq!(partition_of("key-2", 4), 1);
        assert_eq!(partition_of("key-2", 1), 0);
    }
}

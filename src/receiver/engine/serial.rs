//! Serial numbers: delivery ids, transfer ids and delivery counts begin anew after 2^32 - 1.
//!
//! Source: AMQP 1.0, section 2.8.10 (sequence-no), and RFC 1982.

/// How far `later` is ahead of `earlier`; none where it lies behind.
pub(super) fn ahead(later: u32, earlier: u32) -> Option<u32> {
    let distance = later.wrapping_sub(earlier);
    (distance < 1 << 31).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_behind_the_largest() {
        let check = |later, earlier, expected| assert_eq!(ahead(later, earlier), expected);
        check(5, 5, Some(0));
        check(7, 5, Some(2));
        check(5, 7, None);
        check(2, u32::MAX - 1, Some(4));
        check(u32::MAX, 2, None);
        check(1 << 31, 1, Some((1 << 31) - 1));
        check(1 << 31, 0, None);
    }
}

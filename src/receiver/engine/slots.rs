//! Tables whose numbers are given anew once their places are free: channels, handles, nodes.

/// The first free place.
pub(super) fn free<T>(slots: &[Option<T>]) -> usize {
    let free = slots.iter().position(Option::is_none);
    free.unwrap_or(slots.len())
}

/// Puts something at a place; gives what was there.
pub(super) fn put<T>(slots: &mut Vec<Option<T>>, at: usize, value: T) -> Option<T> {
    if slots.len() <= at {
        slots.resize_with(at + 1, || None);
    }
    slots[at].replace(value)
}

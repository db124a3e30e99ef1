//! The name of a request: the same for every attempt, before and after a restart, so that a receiver can
//! tell what it has seen (`webhook-id`, `Idempotency-Key`).
//!
//! Source: Standard Webhooks, "Webhook metadata". A full stop must not be in it: signatures are made
//! over texts with full stops between their parts.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::super::delivery::Delivery;

/// The name of a request with these messages.
///
/// Of one message it is the event's own. Of several it is made of theirs: the same batch has the same
/// name, but after a restart the batches may be others.
pub(super) fn of(batch: &[Delivery]) -> String {
    if let [one] = batch {
        return of_one(one);
    }
    let mut hasher = Sha256::new();
    for delivery in batch {
        hasher.update(of_one(delivery));
        hasher.update([0]);
    }
    format!("batch-{}", text(hasher))
}

/// The event's id as far as it can be read, and a digest that makes it unique. A dead letter is not what
/// the event itself is: whoever gets both must not take one for the other.
fn of_one(delivery: &Delivery) -> String {
    let identity = delivery.message().identity();
    let mut hasher = Sha256::new();
    let dead = delivery.dead_letter().map(|dead| dead.sink.as_deref());
    let dead = dead.map(|sink| sink.unwrap_or_default());
    for part in [Some(&*identity.source), Some(&*identity.id), dead] {
        let Some(part) = part else { continue };
        hasher.update(part);
        hasher.update([0]);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let plain = |c| if is_plain(c) { c } else { '_' };
    let readable: String = identity.id.chars().take(80).map(plain).collect();
    format!("{readable}-{}", text(hasher))
}

/// Half of a digest, as hexadecimal text.
fn text(hasher: Sha256) -> String {
    let mut text = String::with_capacity(32);
    for byte in &hasher.finalize()[..16] {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

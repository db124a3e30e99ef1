//! What the log is told of a partition's losses: the first of a trouble, then one a minute, and its end.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::{PartitionId, SequenceNumber};

/// A trouble that goes on is told so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What has been told of one partition.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The last trouble told, so that it is not told again and again.
    trouble: Option<Trouble>,
    /// How often a link was attached since one has worked: the first is told.
    attached: u32,
}

/// A trouble that was told.
#[derive(Debug)]
struct Trouble {
    reason: String,
    at: Instant,
    /// When it began.
    since: Instant,
    /// How often it came since.
    again: u32,
    /// True once it was told that it is over.
    is_over: bool,
}

impl Telling {
    /// A link is attached; `after` is the last event that was taken.
    pub(super) fn attached(&mut self, partition: &PartitionId, after: Option<SequenceNumber>) {
        let after = after.map(|number| number.0);
        self.attached = self.attached.saturating_add(1);
        if let Some(trouble) = self.trouble.as_mut().filter(|trouble| !trouble.is_over) {
            trouble.is_over = true;
            let (failures, lost_for) = (trouble.again + 1, trouble.since.elapsed());
            tracing::info!(%partition, after, failures, ?lost_for, "partition attached again");
        } else if self.attached == 1 {
            tracing::info!(%partition, after, "partition attached");
        } else {
            tracing::debug!(%partition, after, "partition attached");
        }
    }

    /// True when a trouble was told and no link has worked since.
    #[inline]
    pub(super) fn is_of_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// The first event after a loss that was told says what has piled up meanwhile; where nothing has, that the link
    /// is attached again was all there is to say.
    #[cold]
    pub(super) fn read_again(&self, partition: &PartitionId, behind: Option<u64>) {
        if let Some(behind) = behind.filter(|behind| *behind > 0) {
            tracing::info!(%partition, behind, "partition read again");
        }
    }

    /// A link has worked: the next trouble is another one.
    #[inline]
    pub(super) fn worked(&mut self) {
        self.attached = 0;
        self.trouble = None;
    }

    /// The link is lost, and tried again after `delay`.
    pub(super) fn lost(&mut self, partition: &PartitionId, reason: String, delay: Duration) {
        let same = self.trouble.as_mut();
        if let Some(trouble) = same.filter(|trouble| trouble.reason == reason) {
            trouble.again += 1;
            if trouble.at.elapsed() < TELL_EVERY {
                tracing::debug!(%partition, "partition lost again: {reason}; reconnecting in {delay:.1?}");
                return;
            }
            trouble.at = Instant::now();
            let again = trouble.again;
            tracing::warn!(%partition, again, "partition still lost: {reason}; reconnecting in {delay:.1?}");
            return;
        }
        tracing::warn!(%partition, "partition lost: {reason}; reconnecting in {delay:.1?}");
        let before = self.trouble.take().filter(|trouble| !trouble.is_over);
        let since = before.map_or_else(Instant::now, |trouble| trouble.since);
        self.trouble = Some(Trouble {
            reason,
            at: Instant::now(),
            since,
            again: 0,
            is_over: false,
        });
    }
}

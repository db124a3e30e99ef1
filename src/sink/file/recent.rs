//! What was written a short while ago, for a file that turns out to be truncated or deleted.
//!
//! logrotate's `copytruncate` copies a file, makes the copy safe, and then truncates the file: what was
//! written in between is in neither. Nobody can see from outside when the copy was finished, so what was
//! written shortly before is written again. It is in the file twice rather than in none.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The last lines written to all files of a sink, within bounds of time and of bytes.
#[derive(Debug)]
pub(super) struct Recent {
    window: Duration,
    limit: usize,
    /// In the order of their times.
    writes: VecDeque<Write>,
    bytes: usize,
    files: HashMap<Arc<str>, Last>,
}

/// What is known of a file besides its writes.
#[derive(Debug)]
struct Last {
    /// Where the file ended after the last write to it.
    end: u64,
    at: Instant,
    /// The youngest write that was let go for want of room.
    forgotten: Option<Instant>,
}

#[derive(Debug)]
struct Write {
    path: Arc<str>,
    at: Instant,
    text: Vec<u8>,
}

/// What was written to one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The texts of the writes, in their order.
    pub texts: Vec<Vec<u8>>,
    /// True when not all of the window had room.
    pub is_incomplete: bool,
}

impl Recent {
    /// Remembers what is not older than `window`, up to `limit` bytes in all.
    pub(super) fn new(window: Duration, limit: usize) -> Self {
        Self {
            window,
            limit,
            writes: VecDeque::new(),
            bytes: 0,
            files: HashMap::new(),
        }
    }

    /// Remembers what was written to the file `path`, which has its `end` there now. Gives back a buffer to be
    /// used again.
    pub(super) fn push(
        &mut self,
        path: &Arc<str>,
        text: Vec<u8>,
        end: u64,
        now: Instant,
    ) -> Vec<u8> {
        if self.window.is_zero() {
            return emptied(text);
        }
        // A large buffer with little in it is not kept for that.
        let (text, spare) = if text.len() < text.capacity() / 2 {
            (text.as_slice().to_vec(), emptied(text))
        } else {
            (text, Vec::new())
        };
        self.bytes += text.capacity();
        self.writes.push_back(Write {
            path: Arc::clone(path),
            at: now,
            text,
        });
        let forgotten = self.files.get(path).and_then(|last| last.forgotten);
        let last = Last {
            end,
            at: now,
            forgotten,
        };
        self.files.insert(Arc::clone(path), last);
        while self.bytes > self.limit {
            let Some(oldest) = self.writes.pop_front() else {
                break;
            };
            self.bytes -= oldest.text.capacity();
            if let Some(last) = self.files.get_mut(&oldest.path) {
                last.forgotten = Some(oldest.at);
            }
        }
        spare
    }

    /// Where the file `path` ended after the last write to it that is not too old; it is truncated where it
    /// is shorter now.
    pub(super) fn end(&self, path: &str) -> Option<u64> {
        self.files.get(path).map(|last| last.end)
    }

    /// The files of which [`Recent::expire`] would forget something `now`.
    pub(super) fn due(&self, now: Instant) -> HashSet<Arc<str>> {
        let is_old = is_old(self.window, now);
        let writes = self.writes.iter().take_while(|write| is_old(write.at));
        let missing = self
            .files
            .iter()
            .filter(|(_, last)| last.forgotten.is_some_and(is_old));
        writes
            .map(|write| &write.path)
            .chain(missing.map(|(path, _)| path))
            .cloned()
            .collect()
    }

    /// Forgets what is too old `now`; every file that is due must just have been found whole.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_old = is_old(self.window, now);
        while let Some(oldest) = self.writes.front()
            && is_old(oldest.at)
        {
            self.bytes -= oldest.text.capacity();
            self.writes.pop_front();
        }
        self.files.retain(|_, last| {
            last.forgotten = last.forgotten.filter(|at| !is_old(*at));
            !is_old(last.at)
        });
    }

    /// Takes what was written to the file `path`.
    pub(super) fn take(&mut self, path: &str) -> Taken {
        let (taken, kept) = self
            .writes
            .drain(..)
            .partition(|write| *write.path == *path);
        self.writes = kept;
        let taken: VecDeque<Write> = taken;
        self.bytes = self.writes.iter().map(|write| write.text.capacity()).sum();
        Taken {
            texts: taken.into_iter().map(|write| write.text).collect(),
            is_incomplete: self
                .files
                .remove(path)
                .is_some_and(|last| last.forgotten.is_some()),
        }
    }
}

fn is_old(window: Duration, now: Instant) -> impl Fn(Instant) -> bool + Copy {
    move |at| now.saturating_duration_since(at) > window
}

fn emptied(mut text: Vec<u8>) -> Vec<u8> {
    text.clear();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn texts(recent: &mut Recent, path: &str) -> (Vec<String>, bool) {
        let taken = recent.take(path);
        let texts = taken
            .texts
            .into_iter()
            .map(|text| String::from_utf8(text).unwrap());
        (texts.collect(), taken.is_incomplete)
    }

    #[test]
    fn what_was_written_to_a_file_is_given_once_in_its_order() {
        let (mut recent, now) = (Recent::new(10 * SECOND, 1000), Instant::now());
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        recent.push(&a, b"1".to_vec(), 0, now);
        recent.push(&b, b"2".to_vec(), 0, now);
        recent.push(&a, b"3".to_vec(), 0, now + SECOND);
        assert_eq!(
            texts(&mut recent, "a"),
            (vec!["1".into(), "3".into()], false)
        );
        assert_eq!(texts(&mut recent, "a"), (vec![], false));
        assert_eq!(texts(&mut recent, "b"), (vec!["2".into()], false));
        assert_eq!(recent.bytes, 0);
    }

    #[test]
    fn what_is_old_is_forgotten_and_that_is_complete() {
        let (mut recent, now) = (Recent::new(10 * SECOND, 1000), Instant::now());
        let path = Arc::from("a");
        recent.push(&path, b"1".to_vec(), 0, now);
        recent.push(&path, b"2".to_vec(), 0, now + 5 * SECOND);
        recent.expire(now + 10 * SECOND);
        recent.expire(now + 11 * SECOND);
        assert_eq!(texts(&mut recent, "a"), (vec!["2".into()], false));
    }

    #[test]
    fn what_has_no_room_is_known_to_be_missing() {
        let (mut recent, now) = (Recent::new(10 * SECOND, 10), Instant::now());
        let path = Arc::from("a");
        recent.push(&path, b"12345".to_vec(), 0, now);
        recent.push(&path, b"67890".to_vec(), 0, now);
        recent.push(&path, b"x".to_vec(), 0, now);
        assert_eq!(recent.bytes, 6);
        assert_eq!(texts(&mut recent, "b"), (vec![], false));
        assert_eq!(
            texts(&mut recent, "a"),
            (vec!["67890".into(), "x".into()], true)
        );
        // More than there is room for at all.
        recent.push(&path, vec![b'x'; 11], 0, now + SECOND);
        assert_eq!(texts(&mut recent, "a"), (vec![], true));
        assert_eq!(texts(&mut recent, "a"), (vec![], false));
        recent.push(&path, vec![b'x'; 11], 0, now);
        recent.expire(now + 11 * SECOND);
        assert_eq!(texts(&mut recent, "a"), (vec![], false));
    }

    #[test]
    fn where_a_file_ended_is_known_for_as_long_as_anything_of_it() {
        let (mut recent, now) = (Recent::new(10 * SECOND, 3), Instant::now());
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        recent.push(&a, b"1".to_vec(), 5, now);
        recent.push(&a, b"2".to_vec(), 6, now + SECOND);
        recent.push(&b, b"long".to_vec(), 9, now + 2 * SECOND);
        assert_eq!((recent.end("a"), recent.end("b")), (Some(6), Some(9)));
        // Nothing had room at the end; that something is missing is known.
        assert!(recent.due(now + 11 * SECOND).is_empty());
        assert_eq!(recent.due(now + 12 * SECOND), [a].into());
        recent.expire(now + 12 * SECOND);
        assert_eq!((recent.end("a"), recent.end("b")), (None, Some(9)));
        assert_eq!(texts(&mut recent, "b"), (vec![], true));
        assert_eq!(recent.end("b"), None);
    }

    #[test]
    fn a_large_buffer_is_not_kept_for_a_short_text() {
        let (mut recent, now) = (Recent::new(SECOND, 1000), Instant::now());
        let mut text = Vec::with_capacity(10_000);
        text.extend_from_slice(b"short");
        let spare = recent.push(&Arc::from("a"), text, 0, now);
        assert!(spare.is_empty() && spare.capacity() >= 10_000);
        assert_eq!(recent.bytes, 5);
    }

    #[test]
    fn without_a_window_nothing_is_remembered() {
        let (mut recent, now) = (Recent::new(Duration::ZERO, 1000), Instant::now());
        recent.push(&Arc::from("a"), b"1".to_vec(), 0, now);
        assert_eq!(recent.take("a"), Taken::default());
    }
}

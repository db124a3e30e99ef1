//! The file that a window is kept in, from one run to the next.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `DVLDUPL1`: what it is, and the version of this table |
//! | 8 | how many events |
//! | 36 for each | the key, 16; the place of the partition in the table behind; the sequence number, 8; the enqueued time in milliseconds since 1970, 8 |
//! | 4 | how many partitions |
//! | 2 + n for each | the length of the partition's id, and the id in UTF-8 |
//! | 32 | the SHA-256 of all before |
//!
//! The place of a partition has 4 bytes; numbers are little-endian; the oldest event comes first. The file
//! is written beside and renamed, so that it is the old one or the new one, never half of one.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::window::{Key, Record, Sighting};
use crate::durable::{self, DRAFT};
use crate::event::{PartitionId, SequenceNumber};
use crate::message::Place;

const MAGIC: [u8; 8] = *b"DVLDUPL1";

/// Beyond so many bytes of partition ids it is no file of ours.
const MOST_TEXT: usize = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// Cut off or changed: nothing in it can be trusted.
    #[error("it is damaged")]
    Damaged,
    /// Something else is in it.
    #[error("it is not a file of duplicates")]
    Foreign,
    /// It could not be read.
    #[error("it cannot be read")]
    Unread(#[from] io::Error),
}

/// What a file has.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) records: VecDeque<Record>,
    /// False where it has more than these.
    pub(super) is_whole: bool,
}

/// The last `limit` events in the file at `path`; none where there is no file.
pub(super) fn load(path: &Path, limit: usize) -> Result<Option<Kept>, Unfit> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // To open a pipe would wait for somebody who writes into it.
        Ok(found) if !found.is_file() => return Err(Unfit::Foreign),
        found => found?,
    };
    read(BufReader::new(File::open(path)?), limit).map(Some)
}

/// Reads no more into memory than `limit` events, however many the file claims to have.
fn read(reader: impl Read, limit: usize) -> Result<Kept, Unfit> {
    let mut reader = Hashed::new(reader);
    check_magic(&mut reader)?;
    let count = u64::from_le_bytes(reader.take()?);
    let mut found = VecDeque::new();
    for _ in 0..count {
        let key = Key(reader.take()?);
        let partition = u32::from_le_bytes(reader.take()?);
        let numbers: [i64; 2] = [reader.take()?, reader.take()?].map(i64::from_le_bytes);
        if found.len() == limit {
            found.pop_front();
        }
        found.push_back((key, partition, numbers));
    }
    let partitions = read_partitions(&mut reader)?;
    let expected: [u8; 32] = reader.hasher.clone().finalize().into();
    if reader.take::<32>()? != expected || reader.inner.read(&mut [0])? > 0 {
        return Err(Unfit::Damaged);
    }
    let resolve = |(key, partition, [sequence_number, enqueued]): (Key, u32, [i64; 2])| {
        let partition = partitions.get(usize::try_from(partition).ok()?)?.clone();
        let place = Place {
            partition,
            sequence_number: SequenceNumber(sequence_number),
        };
        Some((key, Sighting { place, enqueued }))
    };
    let records: Option<_> = found.into_iter().map(resolve).collect();
    Ok(Kept {
        records: records.ok_or(Unfit::Damaged)?,
        is_whole: count <= limit as u64,
    })
}

/// What is too short to be told is taken for a file of ours that was cut off.
fn check_magic(reader: &mut Hashed<impl Read>) -> Result<(), Unfit> {
    for expected in MAGIC {
        if reader.take()? != [expected] {
            return Err(Unfit::Foreign);
        }
    }
    Ok(())
}

fn read_partitions(reader: &mut Hashed<impl Read>) -> Result<Vec<PartitionId>, Unfit> {
    let mut partitions = Vec::new();
    let mut bytes = 0;
    for _ in 0..u32::from_le_bytes(reader.take()?) {
        let length = usize::from(u16::from_le_bytes(reader.take()?));
        bytes += 2 + length;
        if bytes > MOST_TEXT {
            return Err(Unfit::Damaged);
        }
        let mut id = vec![0; length];
        reader.fill(&mut id)?;
        let id = std::str::from_utf8(&id).map_err(|_| Unfit::Damaged)?;
        partitions.push(PartitionId::new(id));
    }
    Ok(partitions)
}

/// Replaces the file at `path` by one with `count` events, given in parts.
///
/// # Errors
/// When it cannot be written; the old one is still there.
pub(super) fn replace(
    path: &Path,
    count: usize,
    parts: impl Iterator<Item = Vec<Record>>,
) -> io::Result<()> {
    let beside = durable::beside(path, DRAFT);
    // One that was left behind may be of anybody: it is not written into.
    durable::remove(&beside)?;
    let written = write_file(&beside, count, parts).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // The reason is told; that it also cannot be cleared away adds nothing.
        fs::remove_file(&beside).ok();
        return Err(error);
    }
    if let Err(error) = durable::sync_directory(durable::directory_of(path)) {
        // It is in its place, though perhaps not after a power failure.
        tracing::debug!(path = %path.display(), %error, "the folder of the duplicates is not synced");
    }
    Ok(())
}

fn write_file(
    path: &Path,
    count: usize,
    parts: impl Iterator<Item = Vec<Record>>,
) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)?;
    let mut writer = BufWriter::new(&file);
    write(&mut writer, count, parts)?;
    writer.flush()?;
    drop(writer);
    file.sync_all()
}

fn write(
    writer: impl Write,
    count: usize,
    parts: impl Iterator<Item = Vec<Record>>,
) -> io::Result<()> {
    let mut writer = Hashed::new(writer);
    writer.put(&MAGIC)?;
    writer.put(&(count as u64).to_le_bytes())?;
    let mut partitions = Vec::new();
    let mut places = HashMap::new();
    for (Key(key), Sighting { place, enqueued }) in parts.flatten() {
        let index = *places.entry(place.partition).or_insert_with_key(|id| {
            partitions.push(id.clone());
            partitions.len() as u32 - 1
        });
        writer.put(&key)?;
        writer.put(&index.to_le_bytes())?;
        writer.put(&place.sequence_number.0.to_le_bytes())?;
        writer.put(&enqueued.to_le_bytes())?;
    }
    writer.put(&(partitions.len() as u32).to_le_bytes())?;
    for partition in &partitions {
        let id = partition.as_str().as_bytes();
        let length = u16::try_from(id.len()).map_err(io::Error::other)?;
        writer.put(&length.to_le_bytes())?;
        writer.put(id)?;
    }
    let hash = writer.hasher.finalize();
    writer.inner.write_all(&hash)
}

/// A reader or writer that hashes what passes.
struct Hashed<T> {
    inner: T,
    hasher: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
        }
    }
}

impl<R: Read> Hashed<R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Unfit> {
        match self.inner.read_exact(bytes) {
            Ok(()) => {
                self.hasher.update(&*bytes);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Unfit::Damaged),
            Err(error) => Err(error.into()),
        }
    }
}

impl<W: Write> Hashed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn records(count: u8) -> VecDeque<Record> {
        let record = |number: u8| {
            let place = Place {
                partition: PartitionId::new(&(number % 3).to_string()),
                sequence_number: SequenceNumber(number.into()),
            };
            let enqueued = i64::MAX - i64::from(number);
            (Key([number; 16]), Sighting { place, enqueued })
        };
        (0..count).map(record).collect()
    }

    fn written(records: &VecDeque<Record>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let parts = records.iter().map(|record| vec![record.clone()]);
        write(&mut bytes, records.len(), parts).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_the_oldest_left_out_beyond_the_limit() {
        for (count, limit, from) in [(0, 5, 0), (5, 5, 0), (5, 6, 0), (5, 2, 3)] {
            let records = records(count);
            let found = read(&*written(&records), limit).unwrap();
            assert!(
                found.records.iter().eq(records.range(from..)),
                "{count} {limit}"
            );
            assert_eq!(found.is_whole, from == 0, "{count} {limit}");
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory() {
        let mut bytes = written(&records(1));
        bytes[8..16].fill(0xff);
        assert!(matches!(read(&*bytes, usize::MAX), Err(Unfit::Damaged)));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_not_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("duplicates");
        assert!(load(&path, 9).unwrap().is_none());
        fs::write(durable::beside(&path, DRAFT), "left behind").unwrap();
        for count in [3, 2] {
            replace(&path, count.into(), std::iter::once(records(count).into())).unwrap();
            assert_eq!(load(&path, 9).unwrap().unwrap().records, records(count));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_of_ours_is_told_apart_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("duplicates");
        assert!(matches!(load(folder.path(), 9), Err(Unfit::Foreign)));
        for (text, is_foreign) in [("", false), ("DVL", false), ("x", true), ("DVLDUPL2", true)] {
            fs::write(&path, text).unwrap();
            let unfit = load(&path, 9).unwrap_err();
            assert_eq!(matches!(unfit, Unfit::Foreign), is_foreign, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_damaged_file_is_never_believed(count in 0..9u8, limit in 1..9usize, flip in 1..=255u8) {
            let bytes = written(&records(count));
            for index in 0..bytes.len() {
                prop_assert!(read(&bytes[..index], limit).is_err());
                let mut changed = bytes.clone();
                changed[index] ^= flip;
                prop_assert!(read(&*changed, limit).is_err());
            }
        }
    }
}

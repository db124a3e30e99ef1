//! Files of Event Hubs Capture: Avro container files in which each record is an event.
//!
//! One block of the file is in memory at a time. Source: *Exploring captured Avro files in Azure Event
//! Hubs*, whose schema is the record `EventData` of `Microsoft.ServiceBus.Messaging`.

mod counted;
mod fields;

use std::io::Read;
use std::rc::Rc;
use std::sync::Once;

use apache_avro::Schema;
use apache_avro::error::Details;
use apache_avro::reader::{Reader, ReaderDeser};
use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::event::{Offset, Properties, SequenceNumber};
use counted::{Counted, Progress};
use fields::Fields;

/// What every Avro container file begins with.
pub(crate) const MAGIC: &[u8] = b"Obj\x01";

/// How many bytes a block may take, packed or unpacked. Capture ends a block after a few events.
const LARGEST_BLOCK: usize = 128 << 20;

/// How much of the name of a codec an error shows, in characters.
const LONGEST_NAME: usize = 40;

/// How Capture writes a time: `6/25/2020 3:47:29 PM`, in UTC.
const TIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[month padding:none]/[day padding:none]/[year] [hour repr:12 padding:none]:[minute]:[second] [period]"
);

/// An event as it was captured.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its number in its partition.
    pub sequence_number: SequenceNumber,
    /// Where it lay in its partition.
    pub offset: Offset,
    /// When the service took it, as the file says it.
    pub enqueued_time: String,
    /// What AMQP and the service add to an event, `x-opt-partition-key` for instance.
    pub system_properties: Properties,
    /// The application properties, in the order of the file.
    pub properties: Properties,
    /// The payload; `None` where the event had none.
    pub body: Option<Vec<u8>>,
}

impl Record {
    /// When the service took it; `None` where the file says it in a way that nobody here knows.
    pub(crate) fn enqueued_at(&self) -> Option<OffsetDateTime> {
        let text = self.enqueued_time.as_str();
        PrimitiveDateTime::parse(text, TIME)
            .map(PrimitiveDateTime::assume_utc)
            .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
            .ok()
    }
}

/// Why a file cannot be read on. Never holds what the events say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// It is an Avro file of something else.
    #[error("an Avro file, but not of Event Hubs Capture: {0}")]
    Foreign(String),
    /// It is compressed in a way that Capture has not. The name is the file's.
    #[error("it is compressed with {0:?}; deflate and snappy are read, and what is not compressed")]
    Compressed(String),
    /// It ends too early.
    #[error("the file ends within {0}: it was cut off")]
    CutOff(Place),
    /// It is not what it should be.
    #[error("damaged in {place}: {reason}")]
    Damaged {
        /// Where.
        place: Place,
        /// What Avro says to it.
        reason: String,
    },
    /// There is more in a block than is taken into memory.
    #[error("{0} holds, or says that it holds, more than {LARGEST_BLOCK} bytes")]
    TooLarge(Place),
    /// It, or what it is read from, fails.
    #[error("cannot be read in {place}: {reason}")]
    Unreadable {
        /// Where.
        place: Place,
        /// What the system says to it.
        reason: String,
    },
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// What stands before the first block.
    Header,
    /// A block of events.
    Block {
        /// The byte that it begins at, counted from 0.
        byte: u64,
        /// The last event that was read before the fault.
        last: Option<SequenceNumber>,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("its header"),
            Self::Block { byte, last: None } => write!(f, "the block at byte {byte}"),
            Self::Block {
                byte,
                last: Some(last),
            } => write!(f, "the block at byte {byte}, behind event {last}"),
        }
    }
}

/// A file that is read record by record. After an error there is nothing more.
pub(crate) struct Capture<R: Read> {
    records: ReaderDeser<'static, Counted<R>, Fields>,
    progress: Rc<Progress>,
    block: u64,
    last: Option<SequenceNumber>,
    is_over: bool,
}

impl<R: Read> Capture<R> {
    /// Reads the header. Many small reads: `file` should have a buffer.
    ///
    /// # Errors
    /// Where that is damaged, or the records are no events.
    pub(crate) fn open(file: R) -> Result<Self, CaptureError> {
        // It holds for the process. A length is claimed before there is anything behind it.
        static BOUNDED: Once = Once::new();
        BOUNDED.call_once(|| {
            apache_avro::util::max_allocation_bytes(LARGEST_BLOCK);
        });
        let progress = Rc::new(Progress::default());
        let reader = Reader::new(Counted::new(file, Rc::clone(&progress)))
            .map_err(|error| wrong(&progress, Place::Header, &error))?;
        fields::check(reader.writer_schema()).map_err(CaptureError::Foreign)?;
        Ok(Self {
            block: progress.position(),
            records: reader.into_deser_iter(),
            progress,
            last: None,
            is_over: false,
        })
    }

    fn place(&self) -> Place {
        Place::Block {
            byte: self.block,
            last: self.last,
        }
    }
}

impl<R: Read> Iterator for Capture<R> {
    type Item = Result<Record, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let before = self.progress.position();
            let next = self.records.next();
            let has_moved = self.progress.position() != before;
            if has_moved {
                self.block = before;
            }
            match next {
                Some(Ok(fields)) => {
                    let record = Record::from(fields);
                    self.last = Some(record.sequence_number);
                    return Some(Ok(record));
                }
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(wrong(&self.progress, self.place(), &error)));
                }
                // The crate takes an end within the first number of a block for the end of the file.
                None if self.progress.is_at_end() => {
                    self.is_over = true;
                    return has_moved.then(|| Err(CaptureError::CutOff(self.place())));
                }
                // And a block without events, behind which there may be others.
                None => {}
            }
        }
        None
    }
}

fn wrong(progress: &Progress, place: Place, error: &apache_avro::Error) -> CaptureError {
    if let Some(reason) = progress.failure() {
        return CaptureError::Unreadable { place, reason };
    }
    if progress.is_at_end() {
        return CaptureError::CutOff(place);
    }
    match error.details() {
        Details::MemoryAllocation { .. } => CaptureError::TooLarge(place),
        Details::CodecNotSupported(name) => {
            CaptureError::Compressed(name.chars().take(LONGEST_NAME).collect())
        }
        _ => CaptureError::Damaged {
            place,
            reason: error.to_string(),
        },
    }
}

/// How the fields of an event are named in the schema.
const SEQUENCE_NUMBER: &str = "SequenceNumber";
const OFFSET: &str = "Offset";
const ENQUEUED_TIME: &str = "EnqueuedTimeUtc";
const SYSTEM_PROPERTIES: &str = "SystemProperties";
const PROPERTIES: &str = "Properties";
const BODY: &str = "Body";

/// What a field must be, so that it can be read.
type IsFit = fn(&Schema) -> bool;

#[cfg(test)]
mod tests;

//! What happens to a file that was closed for good: it gets the name of an archive, is compressed in the
//! background, and one day is deleted.
//!
//! An archive is compressed beside itself, made safe, given its name, and only then deleted: a crash
//! leaves the archive, or both. Whoever finds both compresses it once more.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::Mode;
use time::OffsetDateTime;

use super::archive::{Compression, Name, Stamp};
use super::root::{Folder, Root, cannot};

/// Makes `file` an archive. Nobody may write to it any more.
///
/// # Errors
/// When it cannot be renamed; then it is where it was.
pub(super) fn put_away(folder: &Folder, file: &str, now: OffsetDateTime) -> io::Result<()> {
    let newest = archives(folder, file)?
        .into_iter()
        .map(|name| name.stamp)
        .max();
    let name = Name {
        stamp: Stamp::next(now, newest),
        compression: Compression::None,
        is_part: false,
    };
    folder.rename(file, &name.of(file))?;
    folder.sync()
}

/// What becomes of archives.
#[derive(Debug, Clone)]
pub(super) struct Upkeep {
    pub root: Root,
    pub compress: Compression,
    pub keep: Option<NonZeroUsize>,
}

impl Upkeep {
    /// Deletes the archives of a file that are not kept, compresses those that are to be compressed, and
    /// removes what a crash has left. Ends early when `is_over`.
    ///
    /// # Errors
    /// When one of them cannot be compressed or deleted; it stays as it is.
    pub(super) fn look_after(&self, path: &str, is_over: &AtomicBool) -> io::Result<()> {
        let (folder, file) = self.root.folder_of(path)?;
        let mut names = archives(&folder, file)?;
        names.sort_unstable_by_key(|name| name.stamp);
        let (parts, mut names): (Vec<Name>, Vec<Name>) =
            names.into_iter().partition(|name| name.is_part);
        for part in parts {
            folder.remove(&part.of(file))?;
        }
        for old in self.not_kept(&names) {
            let is_old = |name: &Name| name.stamp == old;
            for name in names.iter().filter(|name| is_old(name)) {
                folder.remove(&name.of(file))?;
            }
            names.retain(|name| !is_old(name));
        }
        if self.compress == Compression::None {
            return Ok(());
        }
        for plain in names
            .iter()
            .filter(|name| name.compression == Compression::None)
        {
            if is_over.load(Relaxed) {
                return Ok(());
            }
            let place = self.root.path(path).with_file_name(plain.of(file));
            compress(&folder, file, *plain, self.compress, is_over)
                .map_err(cannot("compress", &place))?;
        }
        Ok(())
    }

    /// The stamps of the archives that are too many, of `names` in their order.
    fn not_kept(&self, names: &[Name]) -> Vec<Stamp> {
        let mut stamps: Vec<Stamp> = names.iter().map(|name| name.stamp).collect();
        stamps.dedup();
        let kept = self.keep.map_or(usize::MAX, NonZeroUsize::get);
        stamps.truncate(stamps.len().saturating_sub(kept));
        stamps
    }
}

/// The archives of `file` that are in its folder.
fn archives(folder: &Folder, file: &str) -> io::Result<Vec<Name>> {
    let names = folder.names()?;
    Ok(names
        .iter()
        .filter_map(|name| Name::read(name, file))
        .collect())
}

/// Compresses one archive, and deletes it when the compressed one is safe.
fn compress(
    folder: &Folder,
    file: &str,
    plain: Name,
    compression: Compression,
    is_over: &AtomicBool,
) -> io::Result<()> {
    let compressed = Name {
        compression,
        ..plain
    };
    let part = Name {
        is_part: true,
        ..compressed
    };
    let written = write_compressed(
        folder,
        &plain.of(file),
        &part.of(file),
        compression,
        is_over,
    );
    if !matches!(written, Ok(true)) {
        // What cannot be removed now is found the next time.
        drop(folder.remove(&part.of(file)));
        return written.map(drop);
    }
    folder.rename(&part.of(file), &compressed.of(file))?;
    folder.sync()?;
    folder.remove(&plain.of(file))
}

/// Writes what is in the file `from` compressed to the new file `to`, and makes that safe; false when it
/// ended early because it `is_over`.
fn write_compressed(
    folder: &Folder,
    from: &str,
    to: &str,
    compression: Compression,
    is_over: &AtomicBool,
) -> io::Result<bool> {
    let mut source = folder.read(from)?;
    let mode = Mode::from_raw_mode(source.metadata()?.mode() & 0o777);
    let mut target = folder.create(to, mode)?;
    let is_whole = match compression {
        Compression::None => io::copy(&mut source, &mut target).map(|_| true)?,
        Compression::Gzip => {
            let encoder =
                flate2::write::GzEncoder::new(&mut target, flate2::Compression::default());
            copy(&mut source, encoder, is_over, |encoder| {
                encoder.finish().map(drop)
            })?
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(&mut target, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            encoder.include_checksum(true)?;
            copy(&mut source, encoder, is_over, |encoder| {
                encoder.finish().map(drop)
            })?
        }
    };
    if is_whole {
        target.sync_all()?;
    }
    Ok(is_whole)
}

/// Writes all of `source` to `encoder` and finishes that; false when it ended early because it `is_over`.
fn copy<W: Write>(
    source: &mut File,
    mut encoder: W,
    is_over: &AtomicBool,
    finish: impl FnOnce(W) -> io::Result<()>,
) -> io::Result<bool> {
    let mut piece = vec![0; 128 << 10];
    while !is_over.load(Relaxed) {
        match source.read(&mut piece)? {
            0 => return finish(encoder).map(|()| true),
            count => encoder.write_all(&piece[..count])?,
        }
    }
    Ok(false)
}

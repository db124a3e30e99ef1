//! The keys of a sink of type `file`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::archive::Compression;
use super::path::PathTemplate;
use super::rotation::{Every, Rotation};
use crate::settings::{Mistake, Settings, Size};
use crate::sink::body::Body;

/// The settings of a sink of type `file`.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// Where the files are; absolute.
    pub directory: PathBuf,
    /// Which file a message belongs to.
    pub path: PathTemplate,
    /// What of a message is written.
    pub body: Body,
    /// The mode of a file that is created.
    pub mode: u32,
    /// So many files are open at once, at the most.
    pub open_files: NonZeroUsize,
    /// When a message counts as accepted.
    pub fsync: Fsync,
    /// When a file becomes an archive.
    pub rotation: Rotation,
    /// So many archives of each file are kept; none for all.
    pub keep: Option<NonZeroUsize>,
    /// How archives are stored.
    pub compress: Compression,
    /// What was written in this time is written again when a file was truncated.
    pub rewrite_window: Duration,
    /// So much of that is remembered, in bytes.
    pub rewrite_bytes: usize,
}

/// When what was written is made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fsync {
    /// Before it counts as accepted.
    Always,
    /// So long after it was accepted, about. Less than the rewrite window: what could not be made safe is
    /// written again.
    Interval(Duration),
    /// When the operating system likes.
    Never,
}

impl Fsync {
    /// True when this daemon has to see to it.
    pub(super) fn is_wanted(self) -> bool {
        self != Self::Never
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Policy {
    #[default]
    Always,
    Interval,
    Never,
}

/// Where nothing is said: of files, how many are open.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");
const MODE: u32 = 0o640;
const FSYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Longer than logrotate takes to make a copy of a gigabyte safe, as a rule.
const REWRITE_WINDOW: Duration = Duration::from_secs(10);
const REWRITE_BYTES: usize = 8 << 20;

impl Config {
    /// Reads the keys of the sink. What is mistaken has its default.
    pub(super) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let config = Self {
            directory: directory(&mut settings),
            path: path(&mut settings),
            body: settings.choice_or_default("body"),
            mode: mode(&mut settings),
            open_files: settings.with_default("open_files", OPEN_FILES),
            fsync: fsync(&mut settings),
            rotation: Rotation {
                bytes: rotate_bytes(&mut settings),
                every: settings.parsed::<Every>("rotate_every"),
            },
            keep: settings.optional("keep"),
            compress: settings.choice_or_default("compress"),
            rewrite_window: settings.with_default("rewrite_window", REWRITE_WINDOW),
            rewrite_bytes: settings
                .with_default("rewrite_bytes", Size(REWRITE_BYTES))
                .0,
        };
        if let Fsync::Interval(interval) = config.fsync
            && interval >= config.rewrite_window
        {
            settings.mistake(
                "fsync_interval",
                "must be less than rewrite_window: what is not safe yet is remembered for that long (where they are not given, they are 1s and 10s)",
            );
        }
        if !config.rotation.is_wanted() {
            let reason = "needs rotate_bytes or rotate_every: without them there are no archives";
            if config.keep.is_some() {
                settings.mistake("keep", reason);
            }
            if config.compress != Compression::None {
                settings.mistake("compress", reason);
            }
        }
        (config, settings.finish())
    }

    /// What no other sink may write to; none where it is not known where that is.
    pub(super) fn claim(&self) -> Option<String> {
        let place = self.directory.join(self.path.as_str());
        place.is_absolute().then(|| place.display().to_string())
    }
}

fn directory(settings: &mut Settings) -> PathBuf {
    let Some(directory) = settings.required::<PathBuf>("directory") else {
        return PathBuf::new();
    };
    std::path::absolute(&directory).unwrap_or_else(|_| {
        settings.mistake("directory", "must be the path of a directory");
        directory
    })
}

fn path(settings: &mut Settings) -> PathTemplate {
    let read = settings
        .optional::<String>("path")
        .map(|text| PathTemplate::parse(&text));
    match read {
        Some(Ok(path)) => return path,
        Some(Err(reason)) => settings.mistake("path", reason),
        None => {}
    }
    let default = PathTemplate::default();
    settings.in_force("path", &default.as_str().to_owned());
    default
}

fn mode(settings: &mut Settings) -> u32 {
    let text = settings.with_default("mode", format!("{MODE:04o}"));
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 && mode & 0o200 != 0 => mode,
        _ => {
            settings.mistake(
                "mode",
                "must be a text such as \"0640\", with which the owner may write",
            );
            MODE
        }
    }
}

fn rotate_bytes(settings: &mut Settings) -> Option<u64> {
    let Size(bytes) = settings.optional("rotate_bytes")?;
    if bytes == 0 {
        settings.mistake("rotate_bytes", "must be more than nothing");
    }
    Some(bytes as u64)
}

fn fsync(settings: &mut Settings) -> Fsync {
    let policy = settings.choice_or_default("fsync");
    let interval = settings.optional::<Duration>("fsync_interval");
    if policy != Policy::Interval && interval.is_some() {
        settings.mistake("fsync_interval", "needs fsync = \"interval\"");
    }
    match policy {
        Policy::Always => Fsync::Always,
        Policy::Interval => {
            let interval = interval.unwrap_or(FSYNC_INTERVAL);
            settings.in_force("fsync_interval", &interval);
            Fsync::Interval(interval)
        }
        Policy::Never => Fsync::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> (Config, Vec<String>) {
        let file = config::File::from_str(toml, config::FileFormat::Toml);
        let table = config::Config::builder().add_source(file).build().unwrap();
        let (config, mistakes) =
            Config::read(Settings::new("sink[0]", table.try_deserialize().unwrap()));
        (config, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_directory_is_enough() {
        let (config, mistakes) = read("directory = \"/var/log/events\"");
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(config.claim().unwrap(), "/var/log/events/events.ndjson");
        assert_eq!(
            (config.mode, config.open_files.get(), config.fsync),
            (0o640, 64, Fsync::Always)
        );
        assert_eq!((config.keep, config.compress), (None, Compression::None));
        assert!(!config.rotation.is_wanted());
    }

    #[test]
    fn every_key_is_read() {
        let (config, mistakes) = read(
            r#"
            directory = "/d"
            path = "{table}.ndjson"
            body = "context"
            mode = "600"
            open_files = 3
            fsync = "interval"
            fsync_interval = "5s"
            rotate_bytes = "64MiB"
            rotate_every = "day"
            keep = 7
            compress = "zstd"
            rewrite_window = "1min"
            rewrite_bytes = "1MiB"
            "#,
        );
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(config.claim().unwrap(), "/d/{table}.ndjson");
        assert_eq!(
            (config.body, config.mode, config.open_files.get()),
            (Body::Context, 0o600, 3)
        );
        assert_eq!(config.fsync, Fsync::Interval(Duration::from_secs(5)));
        assert_eq!(config.rotation.bytes, Some(64 << 20));
        assert_eq!(config.rotation.every, "day".parse().ok());
        assert_eq!(
            (config.keep.map(NonZeroUsize::get), config.compress),
            (Some(7), Compression::Zstd)
        );
        assert_eq!(
            (config.rewrite_window, config.rewrite_bytes),
            (Duration::from_secs(60), 1 << 20)
        );
    }

    #[test]
    fn a_relative_directory_is_made_absolute() {
        assert!(read("directory = \"out\"").0.directory.is_absolute());
    }

    #[test]
    fn every_mistake_is_told() {
        for (toml, expected) in [
            ("", "sink[0].directory: is missing; give a path"),
            (
                "directory = \"\"",
                "sink[0].directory: must be the path of a directory",
            ),
            (
                "directory = \"d\"\npath = \"../x\"",
                "sink[0].path: must be a relative path, without \"..\" or empty parts",
            ),
            (
                "directory = \"d\"\nmode = \"rw\"",
                "sink[0].mode: must be a text such as \"0640\", with which the owner may write",
            ),
            (
                "directory = \"d\"\nmode = \"0440\"",
                "sink[0].mode: must be a text such as \"0640\", with which the owner may write",
            ),
            (
                "directory = \"d\"\nfsync_interval = \"1s\"",
                "sink[0].fsync_interval: needs fsync = \"interval\"",
            ),
            (
                "directory = \"d\"\nfsync = \"interval\"\nfsync_interval = \"10s\"",
                "sink[0].fsync_interval: must be less than rewrite_window: what is not safe yet is remembered for that long (where they are not given, they are 1s and 10s)",
            ),
            (
                "directory = \"d\"\nfsync = \"interval\"\nrewrite_window = \"0s\"",
                "sink[0].fsync_interval: must be less than rewrite_window: what is not safe yet is remembered for that long (where they are not given, they are 1s and 10s)",
            ),
            (
                "directory = \"d\"\nrotate_bytes = 0",
                "sink[0].rotate_bytes: must be more than nothing",
            ),
            (
                "directory = \"d\"\nrotate_every = \"week\"",
                "sink[0].rotate_every: must be \"hour\", \"day\" or a duration such as \"15min\"",
            ),
            (
                "directory = \"d\"\nkeep = 3",
                "sink[0].keep: needs rotate_bytes or rotate_every: without them there are no archives",
            ),
            (
                "directory = \"d\"\ncompress = \"gzip\"",
                "sink[0].compress: needs rotate_bytes or rotate_every: without them there are no archives",
            ),
            (
                "directory = \"d\"\ncompress = \"xz\"",
                "sink[0].compress: must be one of none, gzip, zstd",
            ),
            (
                "directory = \"d\"\nroatte_bytes = 1",
                "sink[0].roatte_bytes: unknown key; did you mean \"rotate_bytes\"?",
            ),
        ] {
            assert_eq!(read(toml).1, [expected], "{toml}");
        }
    }
}

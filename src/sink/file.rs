//! The sink that writes files: one JSON document a line, rotated by itself or by others, and repaired after
//! a crash.
//!
//! What it promises: a line that was accepted is in a file, whole, and by default on the disk. Files may be
//! moved away, truncated, deleted or opened anew at any time, and the disk may be full.

mod archive;
mod archiver;
mod background;
mod files;
mod line;
mod now;
mod open_file;
mod output;
mod path;
mod recent;
mod repair;
mod root;
mod rotation;
mod settings;

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;

use super::body::Body;
use super::trouble::Trouble;
use super::{Delivery, DeliveryError, Progress, Queue, Sink, SinkConfig, SinkWorker, spawn};
use crate::causes::Causes;
use crate::settings::{Mistake, Settings};
use archiver::Upkeep;
use background::Background;
use files::Files;
use now::Now;
use root::{Root, cannot};
use settings::Config;

pub(super) fn parse(settings: Settings) -> (Box<dyn SinkConfig>, Vec<Mistake>) {
    let (config, mistakes) = Config::read(settings);
    (Box::new(config), mistakes)
}

impl SinkConfig for Config {
    fn start(self: Box<Self>, queue: Queue) -> io::Result<SinkWorker> {
        let sink = FileSink::open(&self, Arc::clone(&queue.name))?;
        Ok(spawn(sink, queue))
    }

    fn claim(&self) -> Option<String> {
        Self::claim(self)
    }

    fn unfit_for_dead_letters(&self) -> Option<&'static str> {
        (self.body != Body::Message)
            .then_some("it takes body = \"message\" to keep the reason and the body")
    }
}

struct FileSink {
    name: Arc<str>,
    /// Absent while another thread works on it.
    files: Option<Box<Files>>,
    background: Background,
    trouble: Trouble,
    /// Held as long as this process writes there.
    _lock: File,
}

impl FileSink {
    fn open(config: &Config, name: Arc<str>) -> io::Result<Self> {
        let root = Root::new(config.directory.clone(), config.mode);
        root.create()?;
        let lock = lock(&root, config)?;
        let mut files = Files::new(config, root.clone(), Now::read());
        match files.open_constant() {
            // It will be tried again; a disk that is full now may not be so for ever.
            Err(error) if is_full(&error) => {
                tracing::warn!(sink = &*name, error = %Causes(&error), "file not opened yet")
            }
            opened => opened?,
        }
        let upkeep = Upkeep {
            root,
            compress: config.compress,
            keep: config.keep,
        };
        let mut sink = Self {
            name,
            files: Some(Box::new(files)),
            background: Background::new(config.rotation.is_wanted().then_some(upkeep)),
            trouble: Trouble::default(),
            _lock: lock,
        };
        sink.note();
        Ok(sink)
    }

    /// Lets a thread that may wait for the disk do something with the files.
    async fn on_files<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Files) -> T + Send + 'static,
    ) -> Result<T, DeliveryError> {
        let internal = || DeliveryError::Failed(io::Error::other("internal error"));
        let mut files = self.files.take().ok_or_else(internal)?;
        let working = tokio::task::spawn_blocking(move || {
            let result = work(&mut files);
            (files, result)
        });
        let (files, result) = working.await.map_err(|_| internal())?;
        self.files = Some(files);
        self.note();
        self.background.drive().await;
        Ok(result)
    }

    /// Hands over the files whose archives are to be looked after.
    fn note(&mut self) {
        let archived = self.files.as_mut().map(|files| files.take_archived());
        self.background.add(archived.unwrap_or_default());
    }

    fn tell(&mut self, outcome: Result<io::Result<()>, DeliveryError>) {
        match outcome {
            Ok(Ok(())) => self.trouble.over(&self.name),
            Ok(Err(error)) => self.trouble.failed(&self.name, &Causes(&error), None),
            Err(error) => self.trouble.failed(&self.name, &error, None),
        }
    }
}

impl Sink for FileSink {
    async fn deliver(&mut self, messages: &[Delivery]) -> Progress {
        let rendered = self.files.as_mut().map(|files| files.render(messages));
        if let Some(Err(error)) = rendered {
            return Progress::failed(0, DeliveryError::Unfit(Causes(&error).to_string()));
        }
        let written = self.on_files(|files| files.write(Now::read())).await;
        match written {
            Ok((accepted, Ok(()))) => Progress {
                accepted,
                error: None,
            },
            Ok((accepted, Err(error))) => {
                Progress::failed(accepted, DeliveryError::Unavailable(error))
            }
            Err(error) => Progress::failed(0, error),
        }
    }

    async fn reopen(&mut self) {
        let closed = self.on_files(|files| files.close(Now::read())).await;
        self.background.retry();
        self.tell(closed);
    }

    async fn tend(&mut self) {
        let tended = self.on_files(|files| files.tend(Now::read())).await;
        self.tell(tended);
    }

    async fn close(mut self) -> io::Result<()> {
        let closed = self.on_files(|files| files.close(Now::read())).await;
        self.background.stop().await;
        match closed {
            Ok(closed) => closed,
            Err(_) => Err(io::Error::other("internal error")),
        }
    }
}

/// Keeps another process from writing to the same files.
fn lock(root: &Root, config: &Config) -> io::Result<File> {
    let mut name = format!(".{}", config.path.as_str().replace('/', "%2F"));
    while name.len() > 200 {
        name.pop();
    }
    name.push_str(".lock");
    let place = root.path(&name);
    let lock = root
        .open_lock(&name)
        .map_err(cannot("open the lock file", &place))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let reason = format!(
                "another process writes to the same files: {} is locked",
                place.display()
            );
            Err(io::Error::new(io::ErrorKind::ResourceBusy, reason))
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(file = %place.display(), %error, "the file system has no locks: see to it that no other process writes there");
            Ok(lock)
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests;

//! The daemon as a child process, and the configuration that it is started with.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes this long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is looked at while it is waited for.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// Waits until there is something, and panics with `what` when there is nothing for too long.
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: waited in vain");
        std::thread::sleep(TICK);
    }
}

/// What is needed to start the daemon, as often as one likes.
#[derive(Debug)]
pub(crate) struct Setup {
    configuration: PathBuf,
    log: PathBuf,
}

/// A running daemon. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Setup {
    /// With this configuration; `folder` takes its file and the log.
    pub(crate) fn new(folder: &Path, configuration: &str) -> Self {
        let path = folder.join("daemon.toml");
        fs::write(&path, configuration).unwrap();
        Self {
            configuration: path,
            log: folder.join("daemon.log"),
        }
    }

    /// Starts it. What it says replaces what the one before it said.
    pub(crate) fn start(&self) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dataverse-listener"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DATAVERSE_LISTENER") {
                command.env_remove(name);
            }
        }
        let child = command
            .env("DATAVERSE_LISTENER__HTTP__LISTEN", "none")
            .args(["run", "--grace", "5", "--config"])
            .arg(&self.configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&self.log).unwrap())
            .spawn()
            .unwrap();
        Daemon {
            child,
            log: self.log.clone(),
        }
    }
}

impl Daemon {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Panics with the end of the log where it has ended.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!(
                "the daemon ended by itself, {status}; it said:\n{}",
                self.said()
            );
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name: TERM, HUP.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        until("the end of the daemon", || self.ended())
    }

    /// Waits until it has said something with `text` in it.
    pub(crate) fn says(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            let is_over = self.ended().is_some() && !self.said().contains(text);
            if is_over || Instant::now() > deadline {
                panic!("{text:?} was not said, but:\n{}", self.said());
            }
            std::thread::sleep(TICK);
        }
    }

    /// The end of what it has said.
    pub(crate) fn said(&self) -> String {
        said(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn said(log: &Path) -> String {
    const MOST: i64 = 8 << 10;
    let mut file = File::open(log).unwrap();
    if file.seek(SeekFrom::End(-MOST)).is_err() {
        file.rewind().unwrap();
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

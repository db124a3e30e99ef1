//! Programs as children, and waits that end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes this long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test, without anything of the environment that could change what it does.
pub(crate) fn command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dataverse-listener"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("DATAVERSE_LISTENER")
            || name.starts_with("AZURE_")
            || name.starts_with("OTEL_")
            || name == "EVENTHUB_CONNECTION_STRING"
            || name == "NO_COLOR"
            || name == "NOTIFY_SOCKET"
            || name.to_lowercase().ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    // Tests run side by side, and there is one default port. Whoever wants a listener says where.
    command.env(HTTP_LISTEN, "none");
    command
}

/// Where the HTTP listener of a daemon is.
pub(crate) const HTTP_LISTEN: &str = "DATAVERSE_LISTENER__HTTP__LISTEN";

/// A running child process, with what it prints.
pub(crate) struct Program {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen_stderr: String,
}

/// How a child process ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
}

#[cfg_attr(
    not(feature = "emulator"),
    expect(dead_code, reason = "most tests that use these need a hub")
)]
impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_stdout(command, Stdio::piped())
    }

    /// With its standard output going somewhere else.
    pub(crate) fn start_with_stdout(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        Self::spawn(command.stdin(Stdio::null()), stdout)
    }

    /// With something to be said to it.
    pub(crate) fn start_with_input(command: &mut Command) -> (Self, ChildStdin) {
        let mut program = Self::spawn(command.stdin(Stdio::piped()), Stdio::piped());
        let input = program.child.stdin.take().unwrap();
        (program, input)
    }

    fn spawn(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        let mut child = command
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().map_or_else(|| channel().1, lines);
        let stderr = lines(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
            seen_stderr: String::new(),
        }
    }

    /// With its standard output going to a terminal.
    pub(crate) fn start_on_terminal(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let inside = fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut program = Self::start_with_stdout(&mut command, inside);
        program.stdout = lines(fs::File::from(terminal));
        // The command holds our copy of the inside; reading ends when nobody has it any more.
        drop(command);
        program
    }

    /// The next line of standard output.
    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .expect("a line on standard output")
    }

    /// The next `count` lines of standard output as JSON.
    pub(crate) fn documents(&self, count: usize) -> Vec<Value> {
        (0..count)
            .map(|_| serde_json::from_str(&self.line()).unwrap())
            .collect()
    }

    /// The lines of standard output until none has come for so long.
    pub(crate) fn lines_until_quiet(&self, lasting: Duration) -> Vec<String> {
        std::iter::from_fn(|| self.stdout.recv_timeout(lasting).ok()).collect()
    }

    /// Waits for a line on standard error that has `text` in it.
    pub(crate) fn says(&mut self, text: &str) {
        self.line_with(text);
    }

    /// The same; that line.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.stderr.recv_timeout(deadline - Instant::now()) {
            self.seen_stderr.push_str(&line);
            self.seen_stderr.push('\n');
            if line.contains(text) {
                return line;
            }
        }
        panic!("{text:?} was not said, but:\n{}", self.seen_stderr);
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: TERM, INT, KILL, STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Reads one line and closes the pipe, as `head -1` does.
    pub(crate) fn hang_up_and_wait(mut self) -> Ended {
        self.line();
        self.stdout = channel().1;
        self.wait()
    }

    /// The same; what it says when that ends it well.
    pub(crate) fn hang_up(self) -> String {
        let ended = self.hang_up_and_wait();
        assert!(
            ended.status.success(),
            "{:?} {}",
            ended.status,
            ended.stderr
        );
        ended.stderr
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        // The readers end with the process: waiting for them is waiting for it.
        let mut stdout = Vec::new();
        while let Ok(line) = self
            .stdout
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            stdout.push(line);
        }
        while let Ok(line) = self
            .stderr
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen_stderr.push_str(&line);
            self.seen_stderr.push('\n');
        }
        if Instant::now() >= deadline {
            self.child.kill().unwrap();
            panic!("the program did not end; it said:\n{}", self.seen_stderr);
        }
        Ended {
            status: self.child.wait().unwrap(),
            stdout,
            stderr: std::mem::take(&mut self.seen_stderr),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // A send fails when the test has seen enough: then our end of the pipe closes.
        BufReader::new(stream)
            .lines()
            .map_while(Result::ok)
            .take_while(|line| sender.send(line.clone()).is_ok())
            .for_each(drop);
    });
    receiver
}

/// The bodies of tests/data/corpus, without the odd ones, with this extension, sorted by name.
pub(crate) fn bodies(extension: &str) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus");
    let mut found = Vec::new();
    for folder in ["features", "random", "public"] {
        for entry in fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(extension) && !name.contains(".expected") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "bodies with {extension}");
    found
}

/// A configuration file that lives as long as the test.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

/// A configuration file with this text.
pub(crate) fn file(toml: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.toml");
    fs::write(&path, toml).unwrap();
    File {
        path,
        _folder: folder,
    }
}

/// `run` with this configuration and these variables.
pub(crate) fn daemon(file: &File, variables: &[(&str, &str)]) -> Program {
    Program::start(
        command(["run", "--config", file.path.to_str().unwrap()]).envs(variables.iter().copied()),
    )
}

/// A TOML text as the JSON that schemas speak of.
pub(crate) fn json_of_toml(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

//! A small file system of the test's own, which can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the process that may mount.
const INSIDE: &str = "LOSS_INSIDE";

/// How large the file system is, in MiB.
const SIZE: usize = 48;

/// A mounted file system in memory. It is gone with the name space that it is mounted in.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
}

impl Disk {
    /// Mounts it, where this process may.
    ///
    /// # Panics
    /// When it cannot be mounted: a proof that leaves a fault out in silence is none.
    pub(crate) fn mount(path: &Path) -> Self {
        let options = format!("size={SIZE}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .output()
            .expect("the program `mount`");
        assert!(
            mounted.status.success(),
            "cannot mount a file system to fill: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self {
            path: path.to_owned(),
        }
    }

    /// Leaves no room.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let mut piece = vec![0; 1 << 20];
        // Large pieces first, then what is left of it.
        while piece.len() >= 4096 {
            while ballast.write_all(&piece).is_ok() {}
            piece.truncate(piece.len() / 16);
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

/// True where this process may mount. Else the test `name` is run to its end in one that may.
pub(crate) fn may_mount(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let ways: [&[&str]; 2] = [&["--map-root-user", "--mount"], &["--mount"]];
    let way = ways.into_iter().find(|way| is_allowed(way)).expect(
        "the long form fills a file system, and may not mount one: it needs root, or user name spaces",
    );
    let status = Command::new("unshare")
        .args(way)
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "the test failed in its own name space");
    false
}

fn is_allowed(way: &[&str]) -> bool {
    let tried = Command::new("unshare").args(way).arg("true").output();
    tried.is_ok_and(|tried| tried.status.success())
}

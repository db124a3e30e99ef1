//! A text that must not be seen: a key, a token, a connection string.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

/// Holds a secret and shows `***` wherever it is printed; [`Secret::reveal`] is the only way to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes the text of a file, without a byte order mark and without the line ends behind it, which
    /// editors put there.
    ///
    /// # Errors
    /// When the file cannot be read, is no text, or is larger than any secret.
    pub(crate) fn from_file(path: &Path) -> io::Result<Self> {
        const LARGEST: u64 = 64 << 10;
        let text = durable::read_text(path, LARGEST)?;
        let text = text.trim_start_matches('\u{feff}');
        Ok(Self::new(text.trim_end_matches(['\r', '\n'])))
    }

    /// The text itself, for the one place that signs or sends with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Where a file lies that a setting or an option names: a relative name is looked for among the credentials
/// that systemd has given the service (`LoadCredential=`), and then in the working directory.
///
/// Source: "System and Service Credentials", systemd.exec(5).
pub(crate) fn locate(file: &Path) -> PathBuf {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
    locate_in(credentials.as_deref().map(Path::new), file)
}

/// Where there is none at all, its absence is told of the place that was meant: among the credentials.
fn locate_in(credentials: Option<&Path>, file: &Path) -> PathBuf {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    match credentials.map(|credentials| credentials.join(file)) {
        Some(credential) if is_there(&credential) || !is_there(file) => credential,
        _ => file.to_owned(),
    }
}

/// The URL of a proxy as it may be shown: without user, password, path and query. What is none is `***`.
pub(crate) fn without_user(url: &str) -> String {
    let url = url.trim();
    if url.eq_ignore_ascii_case("none") {
        return url.to_owned();
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".to_owned();
    };
    let authority = rest.split(['/', '\\', '?', '#']).next();
    let authority = authority.unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{authority}"),
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("SAS_KEY_VALUE");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal(), "SAS_KEY_VALUE");
    }

    #[test]
    fn a_relative_name_is_that_of_a_credential_before_it_is_one_in_the_working_directory() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("given"), "").unwrap();
        let check = |file: &str, expected: &Path| {
            let found = locate_in(Some(folder.path()), Path::new(file));
            assert_eq!(found, expected, "{file}");
            assert_eq!(locate_in(None, Path::new(file)), Path::new(file));
        };
        // Tests run where Cargo.toml and Cargo.lock are.
        check("given", &folder.path().join("given"));
        check("Cargo.toml", &folder.path().join("Cargo.toml"));
        check("Cargo.lock", Path::new("Cargo.lock"));
        check("nowhere", &folder.path().join("nowhere"));
        check("/etc/hostname", Path::new("/etc/hostname"));
    }

    #[test]
    fn a_url_is_shown_without_a_user() {
        for (url, expected) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://u:hunter2@proxy:3128", "http://***@proxy:3128"),
            ("http://u:hunter@2@proxy/", "http://***@proxy"),
            ("http://proxy/hunter2?key=hunter@2", "http://proxy"),
            ("http:u:hunter2@proxy", "***"),
            ("http:///u:hunter2@proxy", "http://"),
            ("none", "none"),
        ] {
            assert_eq!(without_user(url), expected);
        }
    }

    #[test]
    fn what_an_editor_adds_to_a_file_is_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (text, expected) in [
            ("word", "word"),
            ("word\n", "word"),
            ("word\r\n\r\n", "word"),
            ("\u{feff}word\n", "word"),
            (" two words \n", " two words "),
            ("", ""),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Secret::from_file(&path).unwrap().reveal(), expected);
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(Secret::from_file(&path).is_err());
        let error = Secret::from_file(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 65536 bytes");
    }
}

//! A text that must not be seen: a key, a token, a connection string.

use std::fmt;
use std::io;
use std::path::Path;

/// Holds a secret and shows `***` wherever it is printed; [`Secret::reveal`] is the only way to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes the text of a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn from_file(path: &Path) -> io::Result<Self> {
        std::fs::read_to_string(path).map(Self)
    }

    /// The text itself, for the one place that signs or sends with it.
    pub fn reveal(&self) -> &str {
        &self.0
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
}

//! Errors of which it is known what to do about them.

use std::fmt;
use std::io;

/// What went wrong on the way, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Curable {
    /// What went wrong, as a fragment.
    pub(crate) cause: String,
    /// What to do, as a fragment.
    pub(crate) cure: String,
}

impl Curable {
    /// An error of this cause and this cure.
    pub(super) fn error(cause: impl Into<String>, cure: impl Into<String>) -> io::Error {
        io::Error::other(Self {
            cause: cause.into(),
            cure: cure.into(),
        })
    }

    /// What is known of an error.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Curable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.cure)
    }
}

impl std::error::Error for Curable {}

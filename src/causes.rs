//! An error with everything that caused it, on one line.

use std::error::Error;
use std::fmt;

/// Shows an error, and behind a colon each of its causes.
pub(crate) struct Causes<'a>(pub &'a dyn Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the hub cannot be reached")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_causes_stand_behind_the_error() {
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(
            Causes(&error).to_string(),
            "the hub cannot be reached: connection refused"
        );
    }
}

//! What to do when the place where reading should go on does not exist any more.
//!
//! The service keeps events for a time (its retention), and a hub that is deleted and made again counts anew.
//! Either way nobody can be given the next event, so somebody must have said what to read instead.

use std::fmt;
use std::str::FromStr;

use super::position::StartPosition;

/// Where to go on when the next event is not kept any more, or the hub is another one under the old name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LostPosition {
    /// At the oldest event that is still kept: no more is passed over than is gone.
    #[default]
    Earliest,
    /// Elsewhere: `latest`, a time, or so long ago.
    From(StartPosition),
    /// Nowhere: somebody must decide.
    Stop,
}

/// A text names no policy. The text is not repeated: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("that is no policy; there is earliest, latest, time:2026-01-31T12:00:00Z, -2h and stop")]
pub struct LostPositionError;

impl FromStr for LostPosition {
    type Err = LostPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("stop") {
            return Ok(Self::Stop);
        }
        match text.parse() {
            Ok(StartPosition::Earliest) => Ok(Self::Earliest),
            // An offset and a number mean nothing to a hub that counts anew.
            Ok(StartPosition::Offset(_) | StartPosition::Sequence(_)) | Err(_) => {
                Err(LostPositionError)
            }
            Ok(start) => Ok(Self::From(start)),
        }
    }
}

impl fmt::Display for LostPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::From(start) => start.fmt(f),
            Self::Stop => f.write_str("stop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        for text in [
            "earliest",
            "latest",
            "stop",
            "-2h",
            "time:2026-01-31T12:00:00Z",
        ] {
            assert_eq!(text.parse::<LostPosition>().unwrap().to_string(), text);
        }
        for text in ["", "sequence:4", "offset:4", "none"] {
            assert_eq!(
                text.parse::<LostPosition>(),
                Err(LostPositionError),
                "{text}"
            );
        }
    }
}

//! What a status means for the messages of a request: one table, and the table `status` that overrides it.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;

use super::super::DeliveryError;
use crate::settings::{Mistake, Settings};

/// What is done after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Action {
    /// The messages are delivered.
    Accept,
    /// They are tried again, not before the server wants.
    Retry,
    /// They are tried again, and somebody must see to it.
    Hold,
    /// They are never accepted.
    Refuse,
    /// Nothing is sent any more until somebody says so.
    Pause,
}

/// What each status means.
///
/// A receiver that is new, moved or without its key answers 401, 403 or 404, and yet every event is
/// wanted: such answers hold. Only what speaks of the message itself refuses it.
fn usual(status: u16) -> Action {
    match status {
        200..=299 => Action::Accept,
        408 | 425 | 429 => Action::Retry,
        400 | 413 | 415 | 422 => Action::Refuse,
        410 => Action::Pause,
        501 | 505 => Action::Hold,
        500..=599 => Action::Retry,
        _ => Action::Hold,
    }
}

/// The table above with what the configuration changes in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policy {
    statuses: BTreeMap<u16, Action>,
    /// By their first digit.
    classes: BTreeMap<u16, Action>,
}

impl Policy {
    /// Reads the table `status` of a sink: its keys are statuses, or classes such as `4xx`.
    pub(super) fn read(mut settings: Settings) -> (Self, Vec<Mistake>) {
        let mut policy = Self::default();
        for (key, text) in settings.entries::<String>() {
            let Ok(action) = Action::from_str(&text, false) else {
                let names: Vec<_> = Action::value_variants()
                    .iter()
                    .filter_map(ValueEnum::to_possible_value)
                    .collect();
                let names: Vec<_> = names.iter().map(|value| value.get_name()).collect();
                settings.mistake(&key, format!("must be one of {}", names.join(", ")));
                continue;
            };
            if let Some(class) = class(&key) {
                policy.classes.insert(class, action);
            } else if let Some(status) = status(&key) {
                policy.statuses.insert(status, action);
            } else {
                settings.mistake(
                    &key,
                    "is no status; write one from 200 to 599, or all of a kind: 2xx, 3xx, 4xx, 5xx",
                );
            }
        }
        (policy, settings.finish())
    }

    /// What is done after this status: what the configuration says of it, else of its class, else the
    /// usual.
    pub(super) fn action(&self, status: u16) -> Action {
        let configured = self.statuses.get(&status);
        let configured = configured.or_else(|| self.classes.get(&(status / 100)));
        configured.copied().unwrap_or_else(|| usual(status))
    }
}

fn class(key: &str) -> Option<u16> {
    let digit = key.strip_suffix("xx").or_else(|| key.strip_suffix("XX"))?;
    digit.parse().ok().filter(|class| (2..=5).contains(class))
}

fn status(key: &str) -> Option<u16> {
    key.parse()
        .ok()
        .filter(|status| (200..=599).contains(status))
}

/// An answer, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    /// Its status.
    pub(super) status: u16,
    /// Its header `Retry-After`.
    pub(super) retry_after: Option<&'a str>,
    /// Where its header `Location` points to: a host.
    pub(super) location: Option<&'a str>,
}

impl Answer<'_> {
    /// What comes of it when `host` gave it: delivered, or why not. No wait is longer than `limit`.
    pub(super) fn judge(
        self,
        host: &dyn std::fmt::Display,
        policy: &Policy,
        now: SystemTime,
        limit: Duration,
    ) -> Result<(), DeliveryError> {
        let status = self.status;
        let mut reason = format!("{host} answered {status}");
        if (300..400).contains(&status) {
            let whither = self.location.map(|host| format!(" to {host}"));
            let whither = whither.unwrap_or_default();
            reason.push_str(&format!(
                ", a redirect{whither}; it is not followed, change the url"
            ));
        }
        Err(match policy.action(status) {
            Action::Accept => return Ok(()),
            Action::Hold => DeliveryError::Held(reason),
            Action::Refuse => DeliveryError::Refused(reason),
            Action::Pause => DeliveryError::Paused(reason),
            Action::Retry => match self.retry_after.and_then(|text| wait(text, now)) {
                Some(asked) if asked > limit => DeliveryError::Busy {
                    after: limit,
                    reason: format!(
                        "{reason}; it asked for more than retry.limit, which is waited for"
                    ),
                },
                Some(after) => DeliveryError::Busy { after, reason },
                None => DeliveryError::Unavailable(io::Error::other(reason)),
            },
        })
    }
}

/// How long `Retry-After` asks to wait: a number of seconds, or a date; none where it is neither.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not even fit a number is long enough for any limit.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes::Causes;
    use crate::sink::webhook::tests::table;

    const NOW: Duration = Duration::from_secs(1_700_000_000); // Tue, 14 Nov 2023 22:13:20 GMT

    const LIMIT: Duration = Duration::from_secs(300);

    fn judge(answer: Answer<'_>) -> Result<(), DeliveryError> {
        let now = SystemTime::UNIX_EPOCH + NOW;
        answer.judge(&"hooks.example.com", &Policy::default(), now, LIMIT)
    }

    fn answer(status: u16) -> Answer<'static> {
        Answer {
            status,
            retry_after: None,
            location: None,
        }
    }

    #[test]
    fn each_status_has_its_meaning() {
        for (expected, statuses) in [
            ("", &[200, 201, 202, 204, 299][..]),
            (
                "the sink is unavailable: ",
                &[408, 425, 429, 500, 502, 503, 504, 507, 599],
            ),
            (
                "somebody must see to it: ",
                &[401, 402, 403, 404, 405, 406, 407, 409, 411, 412, 414, 416],
            ),
            (
                "somebody must see to it: ",
                &[417, 421, 423, 424, 426, 428, 431, 451, 499, 501, 505],
            ),
            ("refused: ", &[400, 413, 415, 422]),
            ("the sink pauses until SIGHUP or a restart: ", &[410]),
        ] {
            for status in statuses {
                let said = judge(answer(*status)).map_err(|error| Causes(&error).to_string());
                let expected = match expected {
                    "" => Ok(()),
                    kind => Err(format!("{kind}hooks.example.com answered {status}")),
                };
                assert_eq!(said, expected);
            }
        }
    }

    #[test]
    fn a_redirect_is_told_and_not_followed() {
        let to = |location| Answer {
            location,
            ..answer(301)
        };
        for (location, expected) in [
            (
                Some("other.example"),
                "hooks.example.com answered 301, a redirect to other.example; it is not followed, change the url",
            ),
            (
                None,
                "hooks.example.com answered 301, a redirect; it is not followed, change the url",
            ),
        ] {
            let Err(DeliveryError::Held(reason)) = judge(to(location)) else {
                panic!("held");
            };
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn a_server_is_waited_for_as_long_as_it_asks_up_to_the_limit() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, expected) in [
            ("0", seconds(0)),
            ("7", seconds(7)),
            (" 120 ", seconds(120)),
            ("3600", seconds(300)),
            ("1000000000000", seconds(300)),
            ("99999999999999999999999999", seconds(300)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", seconds(30)),
            ("Tuesday, 14-Nov-23 22:13:50 GMT", seconds(30)),
            ("Mon, 14 Nov 2033 22:13:50 GMT", seconds(300)),
            ("Tue, 14 Nov 2023 22:00:00 GMT", seconds(0)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            for status in [429, 503] {
                let asked = Answer {
                    retry_after: Some(text),
                    ..answer(status)
                };
                let after = match judge(asked).unwrap_err() {
                    DeliveryError::Busy { after, .. } => Some(after),
                    DeliveryError::Unavailable(_) => None,
                    other => panic!("{other}"),
                };
                assert_eq!(after, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_wait_that_is_cut_short_is_told() {
        let asked = Answer {
            retry_after: Some("3600"),
            ..answer(429)
        };
        assert_eq!(
            judge(asked).unwrap_err().to_string(),
            "the sink is busy: hooks.example.com answered 429; it asked for more than retry.limit, which is waited for"
        );
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let (policy, mistakes) = Policy::read(table(
            "404 = \"refuse\"\n\"409\" = \"accept\"\n\"4xx\" = \"retry\"\n\"5XX\" = \"hold\"\n503 = \"retry\"\n429 = \"pause\"",
        ));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        for (status, expected) in [
            (404, Action::Refuse),
            (409, Action::Accept),
            (429, Action::Pause),
            (400, Action::Retry),
            (410, Action::Retry),
            (500, Action::Hold),
            (503, Action::Retry),
            (301, Action::Hold),
            (200, Action::Accept),
        ] {
            assert_eq!(policy.action(status), expected, "{status}");
        }
    }

    #[test]
    fn a_status_that_there_is_not_is_told() {
        let (_, mistakes) = Policy::read(table(
            "\"4x\" = \"hold\"\n\"600\" = \"hold\"\n\"1xx\" = \"hold\"\n\"404\" = \"drop\"\n\"405\" = 1",
        ));
        let mut said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        said.sort();
        let no_status =
            "is no status; write one from 200 to 599, or all of a kind: 2xx, 3xx, 4xx, 5xx";
        assert_eq!(
            said,
            [
                format!("sink[0].1xx: {no_status}"),
                "sink[0].404: must be one of accept, retry, hold, refuse, pause".to_owned(),
                "sink[0].405: must be a text".to_owned(),
                format!("sink[0].4x: {no_status}"),
                format!("sink[0].600: {no_status}"),
            ]
        );
    }
}

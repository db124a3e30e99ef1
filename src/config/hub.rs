//! The `[[hub]]` table: what to read, and the secret that opens it.

use std::path::PathBuf;

use crate::receiver::{self, ConnectionString, StartPosition};
use crate::secret::Secret;
use crate::settings::{Mistake, Settings};

/// Reads one `[[hub]]` table; none where it has a mistake that leaves nothing to read.
pub(super) fn read(mut settings: Settings) -> (Option<receiver::Config>, Vec<Mistake>) {
    let connection_string = connection_string(&mut settings);
    let name = settings.optional::<String>("name");
    let consumer_group = settings.with_default("consumer_group", "$Default".to_owned());
    let start = settings.parsed("start").unwrap_or(StartPosition::Earliest);
    let config = connection_string.and_then(|connection_string| {
        receiver::Config::new(connection_string, name.as_deref(), &consumer_group, start)
            .map_err(|error| settings.mistake("name", error.to_string()))
            .ok()
    });
    (config, settings.finish())
}

fn connection_string(settings: &mut Settings) -> Option<ConnectionString> {
    let inline = settings.optional::<Secret>("connection_string");
    let file = settings.optional::<PathBuf>("connection_string_file");
    let (key, text) = match (inline, file) {
        (Some(_), Some(_)) => {
            settings.mistake(
                "connection_string",
                "is given twice: here and by connection_string_file",
            );
            return None;
        }
        (Some(inline), None) => ("connection_string", inline),
        (None, Some(file)) => match Secret::from_file(&file) {
            Ok(text) => ("connection_string_file", text),
            Err(error) => {
                let reason = format!("{} cannot be read: {error}", file.display());
                settings.mistake("connection_string_file", reason);
                return None;
            }
        },
        (None, None) => {
            settings.mistake(
                "connection_string",
                "is missing; give it, or connection_string_file",
            );
            return None;
        }
    };
    text.reveal()
        .trim()
        .parse()
        .map_err(|error: receiver::ConnectionStringError| settings.mistake(key, error.to_string()))
        .ok()
}

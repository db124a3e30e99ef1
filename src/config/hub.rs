//! The `[[hub]]` table: what to read, and the secret that opens it.

use crate::receiver::{self, ConnectionString, StartPosition};
use crate::settings::{Mistake, Settings};

/// Reads one `[[hub]]` table; none where it has a mistake that leaves nothing to read.
pub(super) fn read(mut settings: Settings) -> (Option<receiver::Config>, Vec<Mistake>) {
    let connection_string = connection_string(&mut settings);
    let name = settings.optional::<String>("name");
    let consumer_group = settings.with_default("consumer_group", "$Default".to_owned());
    let start = settings.parsed("start").unwrap_or(StartPosition::Earliest);
    let engine = settings.choice("engine").unwrap_or_default();
    let config = connection_string.and_then(|connection_string| {
        receiver::Config::new(connection_string, name.as_deref(), &consumer_group, start)
            .map_err(|error| settings.mistake("name", error.to_string()))
            .ok()
    });
    let lost_position = settings.parsed("lost_position").unwrap_or_default();
    let config = config.map(|config| receiver::Config {
        engine,
        lost_position,
        ..config
    });
    (config, settings.finish())
}

fn connection_string(settings: &mut Settings) -> Option<ConnectionString> {
    let key = settings.given("connection_string", "connection_string_file");
    let text = settings.required_secret("connection_string", "connection_string_file")?;
    text.reveal()
        .trim()
        .parse()
        .map_err(|error: receiver::ConnectionStringError| settings.mistake(key, error.to_string()))
        .ok()
}

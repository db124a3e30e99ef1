//! The `[[hub]]` table: what to read, and the secret that opens it.

use std::collections::BTreeMap;

use crate::event::PartitionId;
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
    let owner_level = settings.optional::<i64>("owner_level").filter(|level| {
        let is_level = *level >= 0;
        if !is_level {
            settings.mistake("owner_level", "must be 0 or more");
        }
        is_level
    });
    let (starts, mut mistakes) = starts(settings.table("starts"));
    let config = config.map(|config| receiver::Config {
        engine,
        lost_position,
        owner_level,
        starts,
        ..config
    });
    mistakes.extend(settings.finish());
    (config, mistakes)
}

/// Where to begin in single partitions.
fn starts(mut settings: Settings) -> (BTreeMap<PartitionId, StartPosition>, Vec<Mistake>) {
    let mut starts = BTreeMap::new();
    for (partition, text) in settings.entries::<String>() {
        match text.parse() {
            Ok(start) => {
                starts.insert(PartitionId::new(&partition), start);
            }
            Err(error) => settings.mistake(&partition, receiver::PositionError::to_string(&error)),
        }
    }
    (starts, settings.into_mistakes())
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

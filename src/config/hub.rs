//! The `[[hub]]` table: what to read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::opening;
use crate::event::PartitionId;
use crate::receiver::{
    self, Authorities, LostPosition, Proxy, ProxyCredential, StartPosition, Transport,
};
use crate::secret;
use crate::settings::{Mistake, Settings};

/// Reads one `[[hub]]` table; none where it has a mistake that leaves nothing to read.
pub(super) fn read(mut settings: Settings) -> (Option<receiver::Config>, Vec<Mistake>) {
    let transport = transport(&mut settings);
    let connection_string = opening::read(&mut settings, &transport);
    let name = settings.optional::<String>("name");
    let consumer_group = settings.with_default("consumer_group", "$Default".to_owned());
    let start = settings.parsed_or("start", StartPosition::Earliest);
    let engine = settings.choice_or_default("engine");
    let config = connection_string.and_then(|connection_string| {
        receiver::Config::new(connection_string, name.as_deref(), &consumer_group, start)
            .map_err(|error| settings.mistake("name", error.to_string()))
            .ok()
    });
    let lost_position = settings.parsed_or("lost_position", LostPosition::default());
    let owner_level = settings.optional::<i64>("owner_level").filter(|level| {
        let is_level = *level >= 0;
        if !is_level {
            settings.mistake("owner_level", "must be 0 or more");
        }
        is_level
    });
    let partition_check =
        settings.with_default("partition_check", receiver::DEFAULT_PARTITION_CHECK);
    let (starts, mut mistakes) = starts(settings.table("starts"));
    let config = config.map(|config| receiver::Config {
        engine,
        lost_position,
        owner_level,
        starts,
        transport,
        partition_check,
        ..config
    });
    mistakes.extend(settings.finish());
    (config, mistakes)
}

/// True for a key that names a file which is read again when it changes, by whoever uses the hub.
pub(super) fn is_watched(key: &str) -> bool {
    const FILES: [&str; 3] = [
        ".connection_string_file",
        ".client_secret_file",
        ".client_certificate_file",
    ];
    key.starts_with("hub[") && FILES.iter().any(|file| key.ends_with(file))
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

/// How the service is reached.
fn transport(settings: &mut Settings) -> Transport {
    Transport {
        kind: settings.choice_or_default("transport"),
        endpoint: settings.parsed("endpoint"),
        authorities: settings.optional::<PathBuf>("ca_file").and_then(|path| {
            Authorities::from_file(&path)
                .map_err(|error| settings.mistake("ca_file", error.to_string()))
                .ok()
        }),
        proxy: proxy(settings),
    }
}

/// What lies between. A URL with a password in it may lie in a file, as every secret may.
fn proxy(settings: &mut Settings) -> Proxy {
    let key = settings.given("proxy", "proxy_file");
    let is_given = settings.has(key);
    let proxy = settings.secret("proxy", "proxy_file").and_then(|text| {
        settings.mask("proxy", secret::without_user(text.reveal()));
        let proxy = text.reveal().parse::<Proxy>();
        proxy
            .map_err(|error| settings.mistake(key, error.to_string()))
            .ok()
    });
    let credential = settings.proxy_user().and_then(|(user, password)| {
        ProxyCredential::new(&user, &password)
            .map_err(|error| settings.mistake("proxy_user", error.to_string()))
            .ok()
    });
    match (proxy, credential) {
        // What is wrong with the proxy itself was said.
        (None, Some(_)) if is_given => Proxy::default(),
        (proxy, Some(credential)) => proxy
            .unwrap_or_default()
            .with_credential(credential)
            .map_err(|error| settings.mistake("proxy_user", error.to_string()))
            .unwrap_or_default(),
        (proxy, None) => proxy.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::TransportKind;

    const HUB: &str = "connection_string = \"Endpoint=sb://ns/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=eh\"\n";

    fn transport_of(keys: &str) -> (Transport, Vec<String>) {
        let (config, mistakes) = read(Settings::of_toml("hub[0]", &format!("{HUB}{keys}")));
        let mistakes = mistakes.iter().map(ToString::to_string).collect();
        (config.unwrap().transport, mistakes)
    }

    #[test]
    fn the_way_to_the_service_is_read() {
        let (transport, mistakes) = transport_of("");
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(transport.kind, TransportKind::Amqp);
        assert_eq!(transport.proxy, Proxy::Environment);
        assert!(transport.endpoint.is_none() && transport.authorities.is_none());
        let (transport, mistakes) = transport_of(
            "transport = \"websocket\"\nendpoint = \"10.0.0.1:8443\"\nproxy = \"http://proxy.example\"\nproxy_user = \"u\"\nproxy_password = \"hunter2\"\n",
        );
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(transport.kind, TransportKind::Websocket);
        assert_eq!(transport.endpoint, "10.0.0.1:8443".parse().ok());
        let credential = ProxyCredential::new("u", &"hunter2".into()).unwrap();
        let proxy: Proxy = "http://proxy.example".parse().unwrap();
        let told = proxy.with_credential(credential);
        assert_eq!(Ok(transport.proxy), told);
        let (transport, mistakes) = transport_of("proxy = \"http://u:hunter2@proxy.example\"");
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!(Ok(transport.proxy), told);
        let (transport, _) = transport_of("proxy = \"none\"");
        assert_eq!(transport.proxy, Proxy::None);
    }

    #[track_caller]
    fn check(keys: &str, expected: &[&str]) {
        let (_, mistakes) = transport_of(keys);
        let expected: Vec<String> = expected
            .iter()
            .map(|text| format!("hub[0].{text}"))
            .collect();
        assert_eq!(mistakes, expected);
    }

    #[test]
    fn every_mistake_in_the_way_to_the_service_is_told_and_no_secret() {
        check(
            "transport = \"wss\"\nendpoint = \"\"\nca_file = \"/none\"\nproxy = \"http://u:hunter2%ff@proxy\"\nproxy_user = \"u:hunter2\"\nproxy_password = \"hunter2\"\nproxi = 1",
            &[
                "transport: must be one of amqp, websocket",
                "endpoint: names no host; give host or host:port",
                "ca_file: /none cannot be read: No such file or directory (os error 2)",
                "proxy: has a user or a password in it that is no text when it is decoded",
                "proxy_user: must not have a colon or a control character in it",
                "proxi: unknown key; did you mean \"proxy\"?",
            ],
        );
        check(
            "proxy = \"socks5://proxy\"\nproxy_user = \"u\"\nproxy_password = \"hunter2\"",
            &["proxy: must be \"none\", or begin with http://"],
        );
        check(
            "proxy = \"http://proxy\"\nproxy_user = \"u\"",
            &["proxy_user: is of no use without proxy_password or proxy_password_file"],
        );
        check(
            "proxy = \"http://proxy\"\nproxy_password = \"hunter2\"",
            &["proxy_password: is of no use without proxy_user"],
        );
        check(
            "proxy = \"http://u:hunter2@proxy\"\nproxy_user = \"u\"\nproxy_password = \"hunter2\"",
            &["proxy_user: is given twice: here and in the URL of the proxy"],
        );
        check(
            "proxy = \"http://u:hunter2@proxy\"\nproxy_file = \"/none\"",
            &["proxy: is given twice: here and by proxy_file"],
        );
        for proxy in ["", "proxy = \"none\"\n"] {
            check(
                &format!("{proxy}proxy_user = \"u\"\nproxy_password = \"hunter2\""),
                &["proxy_user: is of no use without the http:// proxy it is for"],
            );
        }
    }
}

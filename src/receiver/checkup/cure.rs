//! What is wrong and what to do about it, a sentence each, for every way in which a step can fail.
//!
//! Source: "AMQP errors in Azure Event Hubs" and "Troubleshoot connectivity issues - Azure Event Hubs" at
//! learn.microsoft.com; the codes of "Microsoft Entra authentication and authorization error codes".

use std::io;

use tokio_rustls::rustls::{self, CertificateError};

use crate::receiver::error::ReceiverError;
use crate::receiver::trail::Step;
use crate::receiver::transport::Curable;
use crate::receiver::{Config, Credential, TransportKind};

/// The cause and the cure of an error, neither with a dot at its end.
pub(super) fn of(step: Step, error: &ReceiverError, config: &Config) -> (String, String) {
    if let ReceiverError::Unreachable { source, .. } = error {
        return match Curable::of(source) {
            Some(Curable { cause, cure }) => (cause.clone(), cure.clone()),
            None => (source.to_string(), of_the_way(step, source, config)),
        };
    }
    (error.to_string(), of_the_service(step, error, config))
}

/// What to do where no connection came about.
fn of_the_way(step: Step, error: &io::Error, config: &Config) -> String {
    let has_proxy = config.transport.has_proxy(&config.connection_string);
    let around = match (config.transport.kind, has_proxy) {
        (TransportKind::Amqp, false) => {
            ", or go by port 443 (--transport websocket) or by a proxy (--proxy)"
        }
        (TransportKind::Websocket, false) => ", or go by a proxy (--proxy)",
        (_, true) => "",
    };
    match (step, error.kind()) {
        (Step::NameResolution | Step::Tcp, _) if has_proxy => {
            "see whether the proxy's host and port are right, and whether it runs".to_owned()
        }
        (Step::NameResolution, _) => {
            "see whether the host in Endpoint is spelt right, and whether this machine resolves other \
             names; a private endpoint needs its DNS zone here"
                .to_owned()
        }
        (Step::Tcp, io::ErrorKind::ConnectionRefused) => format!(
            "nothing listens there: see whether host and port are right{around}"
        ),
        (Step::Tcp, _) => format!(
            "something between lets nothing through to that port: have it opened{around}"
        ),
        (Step::Proxy, io::ErrorKind::PermissionDenied) => {
            "give the right proxy_user and proxy_password_file (--proxy-user, --proxy-password-file), or \
             correct those in HTTPS_PROXY"
                .to_owned()
        }
        (Step::Proxy, _) => {
            "see whether that is an HTTP proxy, and ask whoever runs it whether it opens tunnels (CONNECT) to \
             that host and port"
                .to_owned()
        }
        (Step::Tls, _) => of_tls(error).to_owned(),
        (Step::WebSocket, _) => {
            "see whether Event Hubs answers there at all, and whether something between lets WebSockets \
             through"
                .to_owned()
        }
        _ => "the way was open a moment ago: try again".to_owned(),
    }
}

fn of_tls(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => {
            "see whether the host in Endpoint is the namespace itself, also where endpoint (--endpoint) leads \
             elsewhere; or something between answers in its place"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => {
            "see whether the clock of this machine is right; if it is, whoever runs that server must renew its \
             certificate"
        }
        _ if error.kind() == io::ErrorKind::TimedOut => {
            "see whether that port speaks TLS, and whether something between swallows what it does not know"
        }
        _ => "see whether that port speaks TLS, and whether something between takes it apart",
    }
}

/// What to do where the service, or what is taken for it, answers otherwise than it should.
fn of_the_service(step: Step, error: &ReceiverError, config: &Config) -> String {
    let Config {
        event_hub,
        consumer_group,
        connection_string,
        ..
    } = config;
    let namespace = connection_string.namespace();
    match error {
        ReceiverError::Unauthorized { .. } if step == Step::Clock => {
            "set the clock of this machine".to_owned()
        }
        ReceiverError::Unauthorized { reason, .. } => of_the_credential(reason, config),
        ReceiverError::NotFound { .. } => match step {
            Step::ConsumerGroup => format!(
                "make the consumer group {consumer_group:?} in the portal, or name another \
                 (consumer_group, --consumer-group); $Default is always there"
            ),
            _ => format!(
                "see whether {event_hub:?} is spelt as in the portal (EntityPath, name, --hub), and whether it \
                 is a hub of the namespace {namespace}"
            ),
        },
        ReceiverError::Stolen { .. } => {
            "read through another consumer group, end that reader, or take the partition from it with \
             owner_level"
                .to_owned()
        }
        ReceiverError::Quota { .. } => {
            "end one of these readers, or read through another consumer group; those named \
             dataverse-listener-... are of this program"
                .to_owned()
        }
        ReceiverError::Busy { .. } => {
            "wait a moment; if it stays so, give the namespace more throughput units".to_owned()
        }
        ReceiverError::Refused { reason, .. } if reason.contains("entity-disabled") => {
            format!("enable {event_hub:?} in the portal")
        }
        ReceiverError::Disconnected { .. } => match step {
            Step::Credential => {
                "see whether this machine reaches the authority: login.microsoftonline.com or that of \
                 AZURE_AUTHORITY_HOST for an app registration and a workload identity, 169.254.169.254 for a \
                 managed identity; no proxy counts there"
                    .to_owned()
            }
            Step::Amqp => {
                "see whether Event Hubs answers there at all; without TLS (UseDevelopmentEmulator=true) only \
                 an emulator does"
                    .to_owned()
            }
            _ => "try again; if it stays so, see the health of the namespace in the portal".to_owned(),
        },
        _ => "do as the service says, or try the other engine (engine = \"fe2o3\")".to_owned(),
    }
}

/// What to do where the service says `reason` of the credential.
fn of_the_credential(reason: &str, config: &Config) -> String {
    let reason = reason.to_ascii_lowercase();
    let says = |word: &str| reason.contains(word);
    if says("ip has been prevented") {
        return "let the address of this machine through in the networking settings of the namespace, or come by \
                its private endpoint; the credential may be right"
            .to_owned();
    }
    if says("localauthdisabled") {
        return "the namespace takes no keys and no signatures: open it with an identity of Microsoft Entra ID, \
                namespace and credential in [[hub]]"
            .to_owned();
    }
    match config.connection_string.credential() {
        Credential::SharedAccessKey { name, .. } => match () {
            () if says("claim") => format!(
                "give the policy {name:?} the claim Listen, or take the connection string of one that has it"
            ),
            () if says("expired") => {
                "set the clock of this machine: tokens are signed by it, and good for an hour".to_owned()
            }
            () if says("audience") => {
                "take a connection string of this hub or of its namespace".to_owned()
            }
            () if says("signature") => format!(
                "the key does not fit the policy {name:?}: copy the connection string anew from the portal; the \
                 key may have been made anew"
            ),
            () => format!(
                "see in the portal whether the policy {name:?} is still there, for this hub or its namespace, \
                 and copy its connection string anew"
            ),
        },
        Credential::SharedAccessSignature(_) => match () {
            () if says("claim") => {
                "have a signature made with the key of a policy that has the claim Listen".to_owned()
            }
            () if says("expired") => {
                "have a new signature made, or give the key instead, which needs none; see whether the clock of \
                 this machine is right"
                    .to_owned()
            }
            () => "have a new signature made for this hub: the key of the old one may have been made anew"
                .to_owned(),
        },
        Credential::Entra(_) => of_the_identity(&reason),
    }
}

/// What the authority's codes ask for, in small letters.
const CODES: &[(&str, &str)] = &[
    (
        "aadsts7000215",
        "the secret is wrong: take its value, not its id, from the app registration",
    ),
    (
        "aadsts7000222",
        "the secret has expired: make a new one in the app registration",
    ),
    (
        "aadsts700016",
        "see whether client_id is right, and whether that application is in the directory of tenant_id",
    ),
    (
        "aadsts90002",
        "see whether tenant_id is right: there is no such directory",
    ),
    (
        "aadsts900023",
        "see whether tenant_id is right: it is the name of no directory",
    ),
    (
        "aadsts70021",
        "add a federated credential for this service account to the application",
    ),
];

fn of_the_identity(reason: &str) -> String {
    let known = CODES.iter().find(|(code, _)| reason.contains(code));
    let cure = match known {
        Some((_, cure)) => cure,
        None if reason.contains("aadsts") || reason.contains("no token") => {
            "see whether credential, tenant_id and client_id in [[hub]] are those of the identity"
        }
        None => {
            "give the identity the role Azure Event Hubs Data Receiver for this hub or its namespace, and wait \
             some minutes"
        }
    };
    cure.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::seam::Failure;
    use crate::receiver::{ConnectionString, Identity, Proof, StartPosition, Transport};

    const KEY: &str = "SharedAccessKeyName=policy;SharedAccessKey=hunter2";
    const GIVEN: &str = "SharedAccessSignature=SharedAccessSignature sr=x&sig=hunter2&se=1";

    fn config(target: ConnectionString) -> Config {
        Config::new(target, Some("h"), "group", StartPosition::Latest).unwrap()
    }

    fn of_string(credential: &str) -> Config {
        let text = format!("Endpoint=sb://ns.example/;{credential}");
        config(text.parse().unwrap())
    }

    fn of_identity() -> Config {
        let proof = Proof::ClientSecret {
            tenant_id: "t".into(),
            client_id: "c".into(),
            secret: "hunter2".into(),
        };
        let identity = Identity::new(proof, &Transport::default()).unwrap();
        config(ConnectionString::of_identity("ns.example", identity).unwrap())
    }

    #[track_caller]
    fn check(config: &Config, step: Step, condition: &str, description: &str, expected: &str) {
        let failure = Failure::Condition {
            condition: condition.to_owned(),
            description: description.to_owned(),
        };
        let error = ReceiverError::judge(failure, "event hub \"h\"", "ns.example:5671");
        let (cause, cure) = of(step, &error, config);
        assert!(cause.contains(description), "{cause}");
        assert!(cure.contains(expected), "{cure}");
        assert!(
            !format!("{cause}{cure}").contains("hunter2"),
            "{cause} {cure}"
        );
    }

    #[test]
    fn what_is_said_of_a_credential_has_a_cure_for_its_kind() {
        let unauthorized = "amqp:unauthorized-access";
        let signature = "InvalidSignature: The token has an invalid signature";
        let expired = "ExpiredToken: The token is expired";
        let claim = "Unauthorized access. 'Listen' claim(s) are required to perform this operation";
        let audience = "InvalidAudience: The token was issued for another audience";
        let key = of_string(KEY);
        let given = of_string(GIVEN);
        let identity = of_identity();
        for (config, said, expected) in [
            (
                &key,
                signature,
                "the key does not fit the policy \"policy\"",
            ),
            (&key, expired, "set the clock"),
            (&key, claim, "give the policy \"policy\" the claim Listen"),
            (&key, audience, "a connection string of this hub"),
            (
                &key,
                "Ip has been prevented to connect to the endpoint",
                "let the address of this machine through",
            ),
            (
                &given,
                "LocalAuthDisabled: Authorization failed because SAS authentication has been disabled",
                "an identity of Microsoft Entra ID",
            ),
            (&key, "No.", "whether the policy \"policy\" is still there"),
            (&given, signature, "have a new signature made"),
            (&given, expired, "have a new signature made"),
            (&given, claim, "a policy that has the claim Listen"),
            (&identity, claim, "Azure Event Hubs Data Receiver"),
            (
                &identity,
                "AADSTS7000215: Invalid client secret",
                "the secret is wrong",
            ),
            (&identity, "AADSTS90002: Tenant 't' not found", "tenant_id"),
            (
                &identity,
                "AADSTS700016: Application not found",
                "client_id",
            ),
            (
                &identity,
                "AADSTS50034: Something",
                "tenant_id and client_id",
            ),
        ] {
            let said = said.trim_end_matches('.');
            check(config, Step::Token, unauthorized, said, expected);
        }
    }

    #[test]
    fn what_the_service_refuses_has_a_cure() {
        let config = of_string(KEY);
        for (step, condition, expected) in [
            (Step::EventHub, "amqp:not-found", "whether \"h\" is spelt"),
            (
                Step::ConsumerGroup,
                "amqp:not-found",
                "make the consumer group \"group\"",
            ),
            (Step::Attach, "amqp:link:stolen", "owner_level"),
            (
                Step::Attach,
                "amqp:resource-limit-exceeded",
                "another consumer group",
            ),
            (
                Step::Attach,
                "com.microsoft:server-busy",
                "throughput units",
            ),
            (
                Step::Attach,
                "com.microsoft:entity-disabled",
                "enable \"h\"",
            ),
            (Step::Attach, "amqp:internal-error", "try again"),
            (Step::Attach, "amqp:not-allowed", "as the service says"),
        ] {
            check(&config, step, condition, "text", expected);
        }
    }

    #[test]
    fn what_is_wrong_on_the_way_has_a_cure_for_each_step() {
        let way = |step, kind: io::ErrorKind, proxy: &str| {
            let mut config = of_string(KEY);
            config.transport.proxy = proxy.parse().unwrap();
            let failure = Failure::Unreachable(io::Error::new(kind, "text"));
            let error = ReceiverError::judge(failure, "h", "ns.example:5671");
            of(step, &error, &config)
        };
        let (refused, late) = (io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut);
        for (step, kind, proxy, expected) in [
            (
                Step::NameResolution,
                io::ErrorKind::Other,
                "none",
                "spelt right",
            ),
            (Step::Tcp, refused, "none", "nothing listens there"),
            (
                Step::Tcp,
                late,
                "none",
                "go by port 443 (--transport websocket)",
            ),
            (Step::Tcp, refused, "http://p", "the proxy's host and port"),
            (Step::Proxy, late, "http://p", "whether it opens tunnels"),
            (
                Step::Proxy,
                io::ErrorKind::PermissionDenied,
                "http://p",
                "give the right proxy_user",
            ),
            (Step::Tls, late, "none", "swallows"),
            (Step::WebSocket, late, "none", "lets WebSockets"),
        ] {
            let (cause, cure) = way(step, kind, proxy);
            assert_eq!(cause, "text");
            assert!(cure.contains(expected), "{step}: {cure}");
        }
    }

    #[test]
    fn a_certificate_that_does_not_fit_has_a_cure_of_its_own() {
        let cure = |error| {
            let error = io::Error::other(rustls::Error::InvalidCertificate(error));
            of_tls(&error)
        };
        assert!(cure(CertificateError::NotValidForName).contains("Endpoint"));
        assert!(cure(CertificateError::Expired).contains("clock"));
        assert!(cure(CertificateError::BadEncoding).contains("takes it apart"));
    }
}

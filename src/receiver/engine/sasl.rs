//! Saying who one is before AMQP begins.
//!
//! Source: AMQP 1.0, section 5.3 (SASL); RFC 4505 (ANONYMOUS), RFC 4616 (PLAIN), RFC 4422 appendix A
//! (EXTERNAL). `MSSBCBS` is what Event Hubs calls a client that will prove itself over `$cbs`.

use fe2o3_amqp::types::primitives::{Binary, Symbol};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslMechanisms, SaslOutcome};

use super::fault::Cause;
use crate::secret::Secret;

/// Who one says one is.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nobody: who one is is proved later, over `$cbs`.
    Anonymous,
    /// Whom TLS has shown already.
    External,
    /// A user with a password.
    Plain {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl Identity {
    /// The mechanisms that fit, the best first.
    fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::Anonymous => &["ANONYMOUS", "MSSBCBS"],
            Self::External => &["EXTERNAL"],
            Self::Plain { .. } => &["PLAIN"],
        }
    }

    /// The answer to what the peer offers.
    pub(super) fn answer(&self, offered: &SaslMechanisms, host: &str) -> Result<SaslInit, Cause> {
        let offered = &offered.sasl_server_mechanisms.0;
        let fits = |name: &&&str| offered.iter().any(|symbol| symbol.as_str() == **name);
        let Some(mechanism) = self.mechanisms().iter().find(fits) else {
            let wanted = self.mechanisms().join(" or ");
            return Err(Cause::Sasl(format!("the peer does not offer {wanted}")));
        };
        Ok(SaslInit {
            mechanism: Symbol::from(*mechanism),
            initial_response: self.response(),
            hostname: Some(host.to_owned()),
        })
    }

    fn response(&self) -> Option<Binary> {
        match self {
            Self::Anonymous => None,
            Self::External => Some(Binary::from(Vec::new())),
            Self::Plain { user, password } => {
                let text = format!("\0{user}\0{}", password.reveal());
                Some(Binary::from(text.into_bytes()))
            }
        }
    }
}

const UNSURE: &str = "the peer cannot say whether the credentials are good";

/// Whether the peer lets one in.
pub(super) fn judge(outcome: &SaslOutcome) -> Result<(), Cause> {
    match outcome.code {
        SaslCode::Ok => Ok(()),
        SaslCode::Auth => Err(Cause::Sasl("the peer refuses the credentials".to_owned())),
        // It has said nothing of the credentials: the next attempt may fare better.
        SaslCode::Sys | SaslCode::SysTemp => Err(Cause::Peer {
            condition: "amqp:internal-error".to_owned(),
            description: UNSURE.to_owned(),
        }),
        SaslCode::SysPerm => Err(Cause::Sasl(UNSURE.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::primitives::Array;

    use super::*;

    fn offer(names: &[&str]) -> SaslMechanisms {
        let symbols: Vec<Symbol> = names.iter().map(|name| Symbol::from(*name)).collect();
        SaslMechanisms {
            sasl_server_mechanisms: Array::from(symbols),
        }
    }

    #[test]
    fn a_mechanism_is_chosen_by_who_one_is() {
        let plain = Identity::Plain {
            user: "guest".into(),
            password: Secret::new("pass"),
        };
        let service = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];
        for (identity, offered, expected, response) in [
            (&Identity::Anonymous, &service[..], "ANONYMOUS", None),
            (&Identity::Anonymous, &["MSSBCBS"], "MSSBCBS", None),
            (&Identity::External, &service, "EXTERNAL", Some(&b""[..])),
            (&plain, &service, "PLAIN", Some(&b"\0guest\0pass"[..])),
        ] {
            let init = identity.answer(&offer(offered), "host").unwrap();
            assert_eq!(init.mechanism.as_str(), expected);
            assert_eq!(init.initial_response.as_ref().map(|r| r.as_ref()), response);
        }
    }

    #[test]
    fn only_what_is_said_of_the_credentials_is_held_against_them() {
        let check = |code, expected: &str| {
            let outcome = SaslOutcome {
                code,
                additional_data: None,
            };
            let judged = format!("{:?}", judge(&outcome));
            assert!(judged.contains(expected), "{judged}");
        };
        check(SaslCode::Ok, "Ok");
        check(SaslCode::Auth, "Sasl(");
        check(SaslCode::SysPerm, "Sasl(");
        check(SaslCode::Sys, "Peer { condition: \"amqp:internal-error\"");
        check(
            SaslCode::SysTemp,
            "Peer { condition: \"amqp:internal-error\"",
        );
    }

    #[test]
    fn an_offer_without_a_fitting_mechanism_is_refused_by_name() {
        let refused = Identity::Anonymous.answer(&offer(&["PLAIN"]), "host");
        let Err(Cause::Sasl(text)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(text, "the peer does not offer ANONYMOUS or MSSBCBS");
    }
}

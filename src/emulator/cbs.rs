//! `$cbs`: takes tokens.
//!
//! Source: "AMQP claims-based security" (OASIS working draft) and the AMQP protocol guide for Azure
//! Event Hubs: operation `put-token`, the audience in `name`, the token as an amqp-value text.

use super::access::Access;
use super::hub::Hub;
use super::request::{Request, Response};

/// Answers one request. The service accepts with 202, which some clients insist on.
pub(crate) fn answer(request: &Request<'_>, access: &mut Access, hub: &Hub, now: i64) -> Response {
    if request.property("operation") != Some("put-token") {
        return Response::new(400, "BadRequest: The only operation of $cbs is put-token.");
    }
    let (Some(name), Some(token)) = (request.property("name"), request.body) else {
        return Response::new(400, "BadRequest: put-token needs a name and a token.");
    };
    let kind = request.property("type").unwrap_or_default();
    let put = match kind.eq_ignore_ascii_case("jwt") && hub.takes_jwt() {
        true => access.put_jwt(name, token, now),
        false => access.put_token(&hub.key(), kind, name, token, now),
    };
    match put {
        Ok(()) => Response::new(202, "Accepted"),
        Err(error) => Response::new(401, error.to_string()),
    }
}

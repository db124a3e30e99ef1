//! What an AMQP error says is wrong.
//!
//! Source: AMQP 1.0, section 2.8.14 (error), and the conditions in 2.8.15 to 2.8.18.

use fe2o3_amqp::types::definitions::ErrorCondition;
use fe2o3_amqp::types::primitives::Symbol;

/// The symbol of a condition, `amqp:not-found`.
pub(crate) fn symbol(condition: &ErrorCondition) -> String {
    let symbol = match condition {
        ErrorCondition::AmqpError(condition) => Symbol::from(condition),
        ErrorCondition::ConnectionError(condition) => Symbol::from(condition),
        ErrorCondition::SessionError(condition) => Symbol::from(condition),
        ErrorCondition::LinkError(condition) => Symbol::from(condition),
        ErrorCondition::Custom(symbol) => symbol.clone(),
    };
    symbol.0
}

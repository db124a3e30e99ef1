//! The texts that Dataverse puts beside values, in the language and time zone of a user.

use time::OffsetDateTime;
use time::macros::{format_description, offset};

use super::contract::{Date, Decimal, Text, Value};
use super::row::Row;
use super::tables::{Kind, Labels};

impl Row {
    /// The text beside the value of a column, where there is one.
    pub(crate) fn formatted(&self, name: &str, value: &Value) -> Option<Text> {
        match value {
            Value::Money(amount) => {
                let symbol = if name.ends_with("_base") {
                    "€"
                } else {
                    self.currency_symbol()
                };
                Some(format!("{symbol}{}", grouped(*amount)).into())
            }
            Value::Choice(option) => self.label(name, *option).map(Into::into),
            Value::Choices(options) => {
                let labels = options
                    .iter()
                    .filter_map(|option| self.label(name, *option));
                Some(labels.collect::<Vec<_>>().join("; ").into())
            }
            Value::Bool(flag) => Some(if *flag { "Yes" } else { "No" }.into()),
            Value::Int(number) => Some(
                grouped(Decimal {
                    digits: i64::from(*number),
                    scale: 0,
                })
                .into(),
            ),
            Value::Decimal(number) => Some(grouped(*number).into()),
            Value::Double(number) => Some(format!("{number:.5}").into()),
            Value::Date(Date::Utc(at) | Date::Unspecified(at)) => Some(local_text(*at).into()),
            Value::EntityReference(reference) => reference.name.clone(),
            _ => None,
        }
    }

    fn currency_symbol(&self) -> &'static str {
        match self.get("exchangerate") {
            Some(Value::Decimal(rate)) if rate.digits != 10_000_000_000 => "$",
            _ => "€",
        }
    }

    fn label(&self, name: &str, option: i32) -> Option<&'static str> {
        let label = |options: Labels| options.iter().find(|(number, _)| *number == option);
        match name {
            "statecode" => self
                .table
                .states
                .iter()
                .find(|state| state.0 == option)
                .map(|state| state.1),
            "statuscode" => self
                .table
                .states
                .iter()
                .find_map(|state| label(state.2))
                .map(|found| found.1),
            _ => match self.table.column(name)?.kind {
                Kind::Choice(options) | Kind::Choices(options) => {
                    label(options).map(|found| found.1)
                }
                _ => None,
            },
        }
    }
}

/// With thousands separated, as the user's settings have it.
fn grouped(number: Decimal) -> String {
    let text = number.to_string();
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

/// In the time zone of the user.
fn local_text(at: OffsetDateTime) -> String {
    let format = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
    );
    let local = at.checked_to_offset(offset!(+1)).unwrap_or(at);
    local
        .format(format)
        .expect("these components are in every date")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let check = |digits, scale, expected: &str| {
            assert_eq!(grouped(Decimal { digits, scale }), expected);
        };
        check(1, 0, "1");
        check(1_000, 0, "1,000");
        check(987_654_321, 0, "987,654,321");
        check(215_432, 2, "2,154.32");
        check(-123_456, 0, "-123,456");
    }
}

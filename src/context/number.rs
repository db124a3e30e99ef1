//! Numbers with the digits that were sent.

/// A number as it was written, so that decimals keep their scale and 64-bit integers stay exact.
///
/// It has no unit: an amount of money is in the currency that another column of the row names.
///
/// # Examples
///
/// ```
/// use dataverse_listener::context::{Number, NumberKind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let number = |text| Number::new(text, NumberKind::Unknown);
///
/// // The scale is kept: a decimal type of your choice can read it from the text.
/// let price = number("1250.00").ok_or("no number")?;
/// assert_eq!(price.as_str(), "1250.00");
/// assert_eq!(price.as_f64(), 1250.0);
/// assert_eq!(price.as_i64(), None);
///
/// // An integer is exact where the nearest floating-point value is another number.
/// let largest = number("9223372036854775807").ok_or("no number")?;
/// assert_eq!(largest.as_i64(), Some(i64::MAX));
/// assert_eq!(largest.as_f64(), 9_223_372_036_854_775_808.0);
///
/// // XML can say what JSON cannot.
/// assert!(number("NaN").is_some_and(|number| !number.is_finite() && number.as_f64().is_nan()));
/// assert!(number("1,250").is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a> {
    text: &'a str,
    kind: NumberKind,
}

impl<'a> Number<'a> {
    /// Takes the text of a number: what JSON allows (RFC 8259, section 6), or `NaN`, `INF`, `-INF` as XML Schema
    /// writes them. `None` for anything else.
    pub fn new(text: &'a str, kind: NumberKind) -> Option<Self> {
        is_number(text.as_bytes()).then_some(Self { text, kind })
    }

    /// Takes a text that was checked before.
    pub(super) fn checked(text: &'a str, kind: NumberKind) -> Self {
        Self { text, kind }
    }

    /// The digits as they were sent.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// What kind of number the wire said it is.
    pub fn kind(&self) -> NumberKind {
        self.kind
    }

    /// The value, where it is written as an integer and fits: neither `1.0` nor `1E+3` is one.
    pub fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// The nearest floating-point value; infinite where a number is too large for it.
    pub fn as_f64(&self) -> f64 {
        match self.text {
            "INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or(f64::NAN),
        }
    }

    /// Whether both have the same value, whatever their scales and kinds: `1250`, `1250.00` and `1.25E+3`. `NaN` is
    /// the same as itself.
    pub fn is_same(&self, other: &Number<'_>) -> bool {
        self.text == other.text
            || matches!((parts(self.text), parts(other.text)), (Some(one), Some(other)) if one == other)
    }

    /// False for `NaN`, `INF` and `-INF`, which JSON has no number for.
    pub fn is_finite(&self) -> bool {
        !is_special(self.text.as_bytes())
    }
}

/// What the wire says about a number: XML names the type, JSON does not. The binary format does as XML does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Not said, as in JSON.
    Unknown,
    /// A signed or unsigned integer of 8 to 64 bits.
    Integer,
    /// A decimal (`System.Decimal`, `Money.Value`).
    Decimal,
    /// A floating-point number of 32 bits.
    Float,
    /// A floating-point number of 64 bits.
    Double,
}

/// True for the text of a number: what JSON allows, or `NaN`, `INF`, `-INF`.
pub(crate) fn is_number(text: &[u8]) -> bool {
    is_json_number(text) || is_special(text)
}

/// A number as its sign, its digits from the first to the last that is no zero, and the power of ten of the last of
/// them; `None` of what is none, or has too large an exponent.
fn parts(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    if kept.is_empty() {
        return Some((false, String::new(), 0));
    }
    if !kept.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let zeros = i64::try_from(digits.len() - kept.len()).ok()?;
    let power = i64::from(exponent) + zeros - i64::try_from(fraction.len()).ok()?;
    let is_negative = unsigned.len() < mantissa.len();
    Some((is_negative, kept.trim_start_matches('0').to_owned(), power))
}

fn is_special(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"INF" | b"-INF")
}

fn is_json_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = split_digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(rest) => match split_digits(rest) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            matches!(split_digits(digits), ([_, ..], []))
        }
        _ => false,
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_value_are_the_same_however_they_are_written() {
        let number = |text| Number::new(text, NumberKind::Unknown).unwrap();
        for (one, other, expected) in [
            ("1250", "1250.00", true),
            ("1250.0000000000", "1.25E+3", true),
            ("-0.50", "-5e-1", true),
            ("0", "-0.000", true),
            ("0E+5", "0.0", true),
            ("100", "1E+2", true),
            ("0.001", "1E-3", true),
            ("NaN", "NaN", true),
            ("1E+99999999999", "1E+99999999999", true),
            ("1E+99999999999", "1", false),
            ("1", "-1", false),
            ("1", "10", false),
            ("1.01", "1.1", false),
            ("INF", "-INF", false),
            (
                "79228162514264337593543950335",
                "79228162514264337593543950334",
                false,
            ),
        ] {
            assert_eq!(
                number(one).is_same(&number(other)),
                expected,
                "{one} {other}"
            );
            assert_eq!(
                number(other).is_same(&number(one)),
                expected,
                "{other} {one}"
            );
        }
    }

    #[test]
    fn a_number_is_what_json_allows_or_not_a_number_at_all() {
        for text in [
            "0",
            "-0",
            "1.10",
            "79228162514264337593543950335",
            "1E+16",
            "4.9e-324",
            "NaN",
            "-INF",
        ] {
            assert_eq!(
                Number::new(text, NumberKind::Unknown).unwrap().as_str(),
                text
            );
        }
        for text in [
            "", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "nan", "1 ", "--1",
        ] {
            assert_eq!(Number::new(text, NumberKind::Unknown), None, "{text}");
        }
    }
}

//! Text records as the text that `DataContractSerializer` writes for the same values in XML.
//!
//! Source: \[MC-NBFX\], section 2.2.3; the lexical forms of XML Schema as `XmlConvert` writes them.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smol_str::SmolStr;

use super::cursor::Cursor;
use super::letter;
use crate::decoder::elements::Text;
use crate::decoder::{Fault, date};

/// The first record that is a text; so are all above it.
pub(super) const FIRST: u8 = 0x80;

const START_LIST: u8 = 0xa4;
const END_LIST: u8 = 0xa6;
const BYTES_FIRST: u8 = 0x9e;
const BYTES_LAST: u8 = 0xa3;
const UTF16_FIRST: u8 = 0xb6;
const UTF16_LAST: u8 = 0xbb;

/// How many bytes each item of an array of these records takes; `None` where arrays hold no such records.
pub(super) fn width(record: u8) -> Option<usize> {
    Some(match record {
        0xb5 => 1,
        0x8b => 2,
        0x8d | 0x91 => 4,
        0x8f | 0x93 | 0x97 | 0xaf => 8,
        0x95 | 0xb1 => 16,
        _ => return None,
    })
}

/// Reads a text record whose first byte was read. True where it ends its element too.
///
/// `is_single` tells that 32-bit numbers are meant as such: elsewhere they stand for 64-bit numbers that
/// happen to fit, whose digits are others.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    record: u8,
    is_single: bool,
) -> Result<(Text<'a>, bool), Fault> {
    match record {
        START_LIST => list(cursor, is_single),
        BYTES_FIRST..=BYTES_LAST => bytes(cursor, record),
        UTF16_FIRST..=UTF16_LAST => characters(cursor, record),
        _ => Ok((value(cursor, record & !1, is_single)?, record & 1 == 1)),
    }
}

/// Reads the value of an attribute.
pub(super) fn attribute<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, [u8]>, Fault> {
    match cursor.byte()? {
        // `i:type` and `i:nil`, as the serializer writes them.
        0x98 => {
            let length = cursor.byte()?;
            cursor.take(length.into()).map(Cow::Borrowed)
        }
        0x86 => Ok(Cow::Borrowed(b"true")),
        record @ FIRST.. => match read(cursor, record, false)? {
            (_, true) => Err(cursor.fault("the end of an element in an attribute")),
            (text, false) => Ok(Cow::Owned(text.to_vec())),
        },
        _ => Err(cursor.fault("an attribute without a value")),
    }
}

/// Reads the items of a list, which XML separates by blanks.
fn list<'a>(cursor: &mut Cursor<'a>, is_single: bool) -> Result<(Text<'a>, bool), Fault> {
    let mut text = Vec::new();
    let mut is_first = true;
    loop {
        let record = cursor.byte()?;
        if record & !1 == END_LIST {
            return Ok((Text::Sent(Cow::Owned(text)), record & 1 == 1));
        }
        // No list lies in a list, and only its end may end the element.
        if record & 1 == 1 || record == START_LIST {
            return Err(cursor.fault("a record that does not belong into a list"));
        }
        if !std::mem::take(&mut is_first) {
            text.push(b' ');
        }
        match record {
            // What one item has is not continued by the next.
            BYTES_FIRST..=BYTES_LAST => {
                let length = length(cursor, record, BYTES_FIRST)?;
                text.extend_from_slice(STANDARD.encode(cursor.take(length)?).as_bytes());
            }
            _ => text.extend_from_slice(&value(cursor, record, is_single)?),
        }
        // Two bytes may stand for ninety.
        cursor.room(text.len())?;
    }
}

/// Reads bytes and those of the records that follow at once: the writer splits an array of bytes in two,
/// so that the first part is base64 without padding.
fn bytes<'a>(cursor: &mut Cursor<'a>, mut record: u8) -> Result<(Text<'a>, bool), Fault> {
    let mut bytes = Vec::new();
    loop {
        let length = length(cursor, record & !1, BYTES_FIRST)?;
        bytes.extend_from_slice(cursor.take(length)?);
        let next = cursor.peek().filter(|_| record & 1 == 0);
        match next {
            Some(next @ BYTES_FIRST..=BYTES_LAST) => {
                cursor.byte()?;
                record = next;
            }
            _ => return Ok((STANDARD.encode(&bytes).into(), record & 1 == 1)),
        }
    }
}

/// Reads UTF-16. Whoever copies a text part by part may part a surrogate pair too: what the record ends with is looked
/// for its other half in those that follow at once.
fn characters<'a>(cursor: &mut Cursor<'a>, mut record: u8) -> Result<(Text<'a>, bool), Fault> {
    let mut parts: Cow<'a, [u8]> = Cow::Borrowed(units(cursor, record)?);
    while let (0, [.., 0xd8..=0xdb], Some(next @ UTF16_FIRST..=UTF16_LAST)) =
        (record & 1, &*parts, cursor.peek())
    {
        cursor.byte()?;
        record = next;
        parts.to_mut().extend_from_slice(units(cursor, record)?);
    }
    Ok((utf16(&parts).into(), record & 1 == 1))
}

/// Reads the bytes of a record of UTF-16.
fn units<'a>(cursor: &mut Cursor<'a>, record: u8) -> Result<&'a [u8], Fault> {
    let length = length(cursor, record & !1, UTF16_FIRST)?;
    let bytes = cursor.take(length)?;
    match length % 2 {
        0 => Ok(bytes),
        _ => Err(cursor.fault("UTF-16 of an odd number of bytes")),
    }
}

/// Reads a length of 8, 16 or 32 bits: of the records of one kind the first has 8, the next 16.
fn length(cursor: &mut Cursor<'_>, kind: u8, first: u8) -> Result<usize, Fault> {
    match kind - first {
        0 => cursor.byte().map(usize::from),
        2 => cursor.array().map(|bytes| u16::from_le_bytes(bytes).into()),
        _ => {
            let length = i32::from_le_bytes(cursor.array()?);
            usize::try_from(length).map_err(|_| cursor.fault("a negative length"))
        }
    }
}

/// A whole number as text: nearly all numbers are such.
fn made<'a>(number: impl Into<i128>) -> Text<'a> {
    let number: i128 = number.into();
    Text::Made(written(number < 0, number.unsigned_abs(), 0))
}

/// A number in decimal digits, of which so many are behind its point.
fn written(is_negative: bool, mut rest: u128, scale: usize) -> SmolStr {
    // A sign, a point, the 39 digits of the largest number, and a zero before the point.
    let mut text = [0; 42];
    let mut first = text.len();
    let mut put = |byte| {
        first -= 1;
        text[first] = byte;
    };
    let mut count = 0;
    while count <= scale || rest > 0 {
        if count == scale && scale > 0 {
            put(b'.');
        }
        // Nearly all fit 64 bits, which are divided much faster.
        let digit = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 10);
                small % 10
            }
            Err(_) => {
                let digit = rest % 10;
                rest /= 10;
                digit as u64
            }
        };
        put(b'0' + digit as u8);
        count += 1;
    }
    if is_negative {
        put(b'-');
    }
    // Digits are text.
    SmolStr::new(str::from_utf8(&text[first..]).unwrap_or_default())
}

fn value<'a>(cursor: &mut Cursor<'a>, kind: u8, is_single: bool) -> Result<Text<'a>, Fault> {
    Ok(match kind {
        0x80 => "0".into(),
        0x82 => "1".into(),
        0x84 => "false".into(),
        0x86 => "true".into(),
        0x88 => made(i8::from_le_bytes(cursor.array()?)),
        0x8a => made(i16::from_le_bytes(cursor.array()?)),
        0x8c => made(i32::from_le_bytes(cursor.array()?)),
        0x8e => made(i64::from_le_bytes(cursor.array()?)),
        0x90 => {
            let number = f32::from_le_bytes(cursor.array()?);
            match is_single {
                true => floating(&format!("{number:e}"), 7),
                false => floating(&format!("{:e}", f64::from(number)), 15),
            }
            .into()
        }
        0x92 => floating(&format!("{:e}", f64::from_le_bytes(cursor.array()?)), 15).into(),
        0x94 => Text::Made(decimal(cursor)?),
        0x96 => date::from_binary(u64::from_le_bytes(cursor.array()?)).into(),
        0x98 | 0x9a | 0x9c => {
            let length = length(cursor, kind, 0x98)?;
            cursor.text(length)?.into()
        }
        0xa8 => "".into(),
        0xaa => cursor.dictionary()?.into(),
        0xac => format!("urn:uuid:{}", uuid(cursor.array()?)).into(),
        0xae => duration(i64::from_le_bytes(cursor.array()?)).into(),
        0xb0 => uuid(cursor.array()?).into(),
        0xb2 => made(u64::from_le_bytes(cursor.array()?)),
        0xb4 => match cursor.byte()? {
            0 => "false".into(),
            1 => "true".into(),
            _ => return Err(cursor.fault("a boolean that is neither 0 nor 1")),
        },
        UTF16_FIRST..=UTF16_LAST => utf16(units(cursor, kind)?).into(),
        0xbc => {
            let prefix = cursor.byte()?;
            let prefix =
                letter(prefix).ok_or_else(|| cursor.fault("a prefix that is no letter"))?;
            format!(
                "{}:{}",
                String::from_utf8_lossy(prefix),
                cursor.dictionary()?
            )
            .into()
        }
        _ => return Err(cursor.fault("no such record")),
    })
}

/// Half a surrogate pair is no character: it becomes U+FFFD, as it does in Microsoft's XML.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks().0.iter();
    char::decode_utf16(units.map(|unit| u16::from_le_bytes(*unit)))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The form that .NET writes a floating-point number in, from the shortest digits that tell it apart:
/// with an exponent where the digits before the point are more than `plain` or the zeros behind it more
/// than three.
fn floating(scientific: &str, plain: usize) -> String {
    let (sign, unsigned) = match scientific.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", scientific),
    };
    let Some((mantissa, exponent)) = unsigned.split_once('e') else {
        return match unsigned {
            "inf" => format!("{sign}INF"),
            _ => "NaN".to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let before_point = exponent + 1;
    let longest = i32::try_from(digits.len().max(plain)).unwrap_or(i32::MAX);
    if before_point > longest || before_point < -3 {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}E{mark}{:02}", exponent.abs());
    }
    let Ok(whole) = usize::try_from(before_point) else {
        return fraction(sign, &digits, before_point.unsigned_abs());
    };
    match digits.split_at_checked(whole) {
        Some(("", _)) => fraction(sign, &digits, 0),
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, rest)) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{digits}{}", "0".repeat(whole - digits.len())),
    }
}

/// A number below one, with so many zeros behind its point.
fn fraction(sign: &str, digits: &str, zeros: u32) -> String {
    let zeros = usize::try_from(zeros).unwrap_or(0);
    format!("{sign}0.{}{digits}", "0".repeat(zeros))
}

/// Reads a `System.Decimal`: two bytes of nothing, scale, sign, and 96 bits, the high 32 first.
fn decimal(cursor: &mut Cursor<'_>) -> Result<SmolStr, Fault> {
    let [_, _, scale, sign] = cursor.array()?;
    let high = u32::from_le_bytes(cursor.array()?);
    let low = u64::from_le_bytes(cursor.array()?);
    if scale > 28 || !matches!(sign, 0 | 0x80) {
        return Err(cursor.fault("a decimal with a scale or a sign that it cannot have"));
    }
    let digits = u128::from(high) << 64 | u128::from(low);
    Ok(written(sign != 0, digits, scale.into()))
}

/// The text of a UUID, of which the first three parts come with their low bytes first.
fn uuid(bytes: [u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let mut text = String::with_capacity(36);
    for (place, byte) in [d, c, b, a, f, e, h, g].into_iter().chain(rest).enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // A string takes everything.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// A `TimeSpan` in ticks of 100 ns as a duration: `-P1DT2H3M4.5S`.
fn duration(ticks: i64) -> String {
    const SECOND: u64 = 10_000_000;
    let sign = if ticks < 0 { "-" } else { "" };
    let ticks = ticks.unsigned_abs();
    let (seconds, fraction) = (ticks / SECOND, ticks % SECOND);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    let part = |number: u64, unit| match number {
        0 => String::new(),
        number => format!("{number}{unit}"),
    };
    let date = part(days, 'D');
    let mut time = part(hours, 'H') + &part(minutes, 'M');
    let fraction = format!(".{fraction:07}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    if seconds != 0 || !fraction.is_empty() || ticks == 0 {
        time.push_str(&format!("{seconds}{fraction}S"));
    }
    let mark = if time.is_empty() { "" } else { "T" };
    format!("{sign}P{date}{mark}{time}")
}

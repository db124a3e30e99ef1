//! The JSON that `DataContractJsonSerializer` writes, token by token.
//!
//! An own reader because that dialect is not quite JSON: it has bare `NaN`, `INF` and `-INF` and halves
//! of surrogate pairs, which strict readers refuse, and its numbers must keep their digits.
//! Strings without escapes are borrowed from the text.

use std::borrow::Cow;

use memchr::memchr2;

use crate::decoder::Fault;

/// A text and how far it was read.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// True where half a surrogate pair was met.
    has_half: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            has_half: false,
        }
    }

    /// The next byte that is not white space, which is left to be read.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at).copied() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                next => return next,
            }
        }
    }

    /// Reads `byte` if it comes next.
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let comes = self.peek() == Some(byte);
        if comes {
            self.at += 1;
        }
        comes
    }

    /// Reads `byte` or fails for want of what it is called.
    pub(super) fn expect(&mut self, byte: u8, called: &'static str) -> Result<(), Fault> {
        if self.accept(byte) {
            Ok(())
        } else {
            Err(self.missing(called))
        }
    }

    /// Reads the comma before another item, or the end of the list; true where another item follows.
    pub(super) fn another(&mut self, end: u8, is_first: bool) -> Result<bool, Fault> {
        match self.peek() {
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ if is_first => Ok(true),
            _ => Err(self.missing("a comma or a closing bracket")),
        }
    }

    /// Reads a literal word.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.missing("a value"))
    }

    /// Reads a whole number of which nothing but its digits is written; none where there is another thing.
    pub(super) fn whole_number(&mut self) -> Option<&'a str> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_number = digits == 1 || (digits > 1 && rest[0] != b'0');
        let is_end = matches!(rest.get(digits), Some(b',' | b']' | b'}'));
        (is_number && is_end).then(|| {
            let number = &self.text[self.at..self.at + digits];
            self.at += digits;
            number
        })
    }

    /// Reads whatever could be a number: digits, signs, letters.
    pub(super) fn number(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'a'..=b'z' | b'A'..=b'Z'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Reads the name of a member and the colon behind it, if it is this one and written plainly.
    pub(super) fn accept_name(&mut self, name: &str) -> bool {
        self.peek();
        let after = self.text.as_bytes()[self.at..]
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .and_then(|rest| rest.strip_prefix(b"\":"));
        let is_it = after.is_some();
        if is_it {
            self.at += name.len() + 3;
        }
        is_it
    }

    /// Reads the name of a member and the colon behind it.
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"', "a string")?;
        let name = match self.string_start()? {
            (plain, true) => Cow::Borrowed(plain),
            (plain, false) => {
                let mut name = plain.to_owned();
                self.string_rest(|part| name.push_str(part))?;
                Cow::Owned(name)
            }
        };
        self.expect(b':', "a colon")?;
        Ok(name)
    }

    /// Reads a string behind its first quote up to its first backslash, or to its end; true where that was
    /// the end.
    pub(super) fn string_start(&mut self) -> Result<(&'a str, bool), Fault> {
        let start = self.at;
        self.at = self.plain_end()?;
        let plain = &self.text[start..self.at];
        let is_end = self.text.as_bytes()[self.at] == b'"';
        if is_end {
            self.at += 1;
        }
        Ok((plain, is_end))
    }

    /// Reads a string in quotes as it is written, without the quotes.
    pub(super) fn raw_string(&mut self) -> Result<&'a str, Fault> {
        let start = self.at + 1;
        self.skip_string()?;
        Ok(&self.text[start..self.at - 1])
    }

    /// The text of a string that [`Lexer::raw_string`] gave.
    pub(super) fn unescaped(raw: &str) -> Result<Cow<'_, str>, Fault> {
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(raw));
        }
        let quoted = format!("{raw}\"");
        let mut text = String::with_capacity(raw.len());
        Lexer::new(&quoted).string_rest(|part| text.push_str(part))?;
        Ok(Cow::Owned(text))
    }

    /// How far the text was read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Steps over the next byte, which is no part of a longer character.
    pub(super) fn step(&mut self) {
        self.at += 1;
    }

    /// Reads over a value without looking into it.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None => return Err(self.missing("a value")),
                Some(b'"') => {
                    self.skip_string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(b',' | b':') => self.at += 1,
                Some(_) if self.number().is_empty() => return Err(self.missing("a value")),
                Some(_) => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// What is wrong here.
    pub(super) fn fault(&self, reason: impl Into<Cow<'static, str>>) -> Fault {
        Fault::new(self.at, reason)
    }

    fn missing(&self, called: &str) -> Fault {
        match self.text.len() - self.at {
            0 => self.fault(format!("the body ends where {called} is expected")),
            _ => self.fault(format!("{called} is expected")),
        }
    }

    /// Where the next quote or backslash is.
    fn plain_end(&self) -> Result<usize, Fault> {
        match memchr2(b'"', b'\\', &self.text.as_bytes()[self.at..]) {
            Some(end) => Ok(self.at + end),
            None => Err(Fault::new(self.text.len(), "the body ends within a string")),
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at = self.plain_end()?;
            if self.text.as_bytes()[self.at] == b'"' {
                self.at += 1;
                return Ok(());
            }
            // Over the backslash and what it escapes, which may be a character of several bytes.
            let escaped = self.text[self.at + 1..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
            self.at += 1 + escaped;
        }
    }

    /// Reads the rest of a string from a backslash, or anything else in it, on, and hands it to `keep` part by part.
    pub(super) fn string_rest(&mut self, mut keep: impl FnMut(&str)) -> Result<(), Fault> {
        loop {
            let plain = self.at;
            self.at = self.plain_end()?;
            keep(&self.text[plain..self.at]);
            if self.text.as_bytes()[self.at] == b'"' {
                self.at += 1;
                return Ok(());
            }
            keep(self.escape()?.encode_utf8(&mut [0; 4]));
        }
    }

    /// Reads a backslash and what follows it.
    fn escape(&mut self) -> Result<char, Fault> {
        let escape = self.text.as_bytes().get(self.at + 1).copied();
        let character = match escape {
            Some(b'u') => return self.unicode_escape(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.fault("no such escape")),
        };
        self.at += 2;
        Ok(character)
    }

    /// Reads `\uXXXX`, or two of them that make one character. Half of a pair alone is no character:
    /// it becomes U+FFFD, as it does in Microsoft's XML.
    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let Some(first) = self.code_unit(self.at) else {
            return Err(self.fault("four hexadecimal digits are expected"));
        };
        self.at += 6;
        let pair = self
            .code_unit(self.at)
            .map(|second| char::decode_utf16([first, second]).next());
        match (char::from_u32(first.into()), pair) {
            (Some(character), _) => Ok(character),
            (None, Some(Some(Ok(character)))) => {
                self.at += 6;
                Ok(character)
            }
            _ => {
                self.has_half = true;
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    /// Whether half a surrogate pair was met since this was asked last.
    pub(super) fn take_half(&mut self) -> bool {
        std::mem::take(&mut self.has_half)
    }

    fn code_unit(&self, at: usize) -> Option<u16> {
        let escape = self.text.as_bytes().get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return None,
            };
            Some(unit << 4 | u16::from(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Result<String, Fault> {
        let mut lexer = Lexer::new(text);
        lexer.expect(b'"', "a string")?;
        let mut string = String::new();
        lexer.string_rest(|part| string.push_str(part))?;
        Ok(string)
    }

    #[test]
    fn escapes_are_read_and_half_a_pair_is_replaced() {
        for (text, expected) in [
            (r#""plain é""#, "plain é"),
            (r#""a\/b\\c\"d""#, "a/b\\c\"d"),
            (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
            (r#""\u0000\u00e9\u2028""#, "\0é\u{2028}"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d!""#, "\u{fffd}!"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83dA""#, "\u{fffd}A"),
        ] {
            assert_eq!(string(text).unwrap(), expected, "{text}");
            let mut lexer = Lexer::new(text);
            lexer.skip().unwrap();
            assert_eq!(lexer.peek(), None, "{text}");
        }
    }

    #[test]
    fn a_broken_string_is_refused_where_it_breaks() {
        for (text, offset) in [
            ("\"abc", 4),
            (r#""\"#, 1),
            (r#""\x""#, 1),
            (r#""\u12""#, 1),
            (r#""\u12g4""#, 1),
            ("x", 0),
        ] {
            assert_eq!(string(text).unwrap_err().into_parts().0, offset, "{text}");
        }
    }
}

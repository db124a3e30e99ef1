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
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
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
        if self.accept(end) {
            return Ok(false);
        }
        if !is_first {
            self.expect(b',', "a comma or a closing bracket")?;
        }
        Ok(true)
    }

    /// Reads a literal word.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.missing("a value"))
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

    /// Reads a string in quotes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at = self.plain_end()?;
        if self.text.as_bytes()[self.at] == b'"' {
            let plain = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.escaped(start).map(Cow::Owned)
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
        Fault {
            offset: self.at,
            reason: reason.into(),
        }
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
            None => Err(Fault {
                offset: self.text.len(),
                reason: "the body ends within a string".into(),
            }),
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

    /// Reads on from the first backslash of the string that began at `start`.
    fn escaped(&mut self, start: usize) -> Result<String, Fault> {
        let plain = &self.text[start..self.at];
        // Room for as much again, or for a type's name with its namespace.
        let mut string = String::with_capacity((2 * plain.len()).max(64));
        string.push_str(plain);
        loop {
            if self.text.as_bytes()[self.at] == b'"' {
                self.at += 1;
                return Ok(string);
            }
            string.push(self.escape()?);
            let plain = self.at;
            self.at = self.plain_end()?;
            string.push_str(&self.text[plain..self.at]);
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
            _ => Ok(char::REPLACEMENT_CHARACTER),
        }
    }

    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Lexer::new(text).string().unwrap(), expected, "{text}");
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
            assert_eq!(
                Lexer::new(text).string().unwrap_err().offset,
                offset,
                "{text}"
            );
        }
    }
}

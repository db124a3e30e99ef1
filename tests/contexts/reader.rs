//! A reader of JSON for truth files and documents. The well-kept ones stop at a depth of 128, which a truth
//! file of two hundred arrays exceeds, and refuse halves of surrogate pairs, which truth files have.

use super::tree::Tree;

/// A text and how far it was read. What is no JSON fails the test.
pub(crate) struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    /// Reads the whole text.
    pub(crate) fn document(mut self) -> Tree {
        let tree = self.value();
        assert!(self.rest.trim().is_empty(), "{}", self.place());
        tree
    }

    fn place(&self) -> String {
        format!(
            "no JSON at byte {} of {}",
            self.text.len() - self.rest.len(),
            self.text.len()
        )
    }

    fn peek(&mut self) -> char {
        self.rest = self.rest.trim_start();
        let next = self.rest.chars().next();
        next.unwrap_or_else(|| panic!("{}", self.place()))
    }

    fn accept(&mut self, token: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) {
        assert!(self.accept(token), "{}", self.place());
    }

    fn value(&mut self) -> Tree {
        match self.peek() {
            '{' => Tree::Object(self.list("{", "}", |reader| {
                let name = reader.string();
                reader.expect(":");
                (name, reader.value())
            })),
            '[' => Tree::Array(self.list("[", "]", Self::value)),
            '"' => Tree::String(self.string()),
            't' => self.word("true", Tree::Bool(true)),
            'f' => self.word("false", Tree::Bool(false)),
            'n' => self.word("null", Tree::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, tree: Tree) -> Tree {
        self.expect(word);
        tree
    }

    fn list<T>(&mut self, open: &str, close: &str, item: impl Fn(&mut Self) -> T) -> Vec<T> {
        self.expect(open);
        let mut items = Vec::new();
        while !self.accept(close) {
            if !items.is_empty() {
                self.expect(",");
            }
            items.push(item(self));
        }
        items
    }

    fn number(&mut self) -> Tree {
        let is_part = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        assert!(number.parse::<f64>().is_ok(), "{}", self.place());
        self.rest = rest;
        Tree::Number(number.to_owned())
    }

    fn string(&mut self) -> String {
        self.expect("\"");
        let mut units: Vec<u16> = Vec::new();
        loop {
            let mut characters = self.rest.chars();
            let character = characters
                .next()
                .unwrap_or_else(|| panic!("{}", self.place()));
            self.rest = characters.as_str();
            match character {
                '"' => return String::from_utf16_lossy(&units),
                '\\' => units.push(self.escape()),
                plain => units.extend_from_slice(plain.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn escape(&mut self) -> u16 {
        let (escape, rest) = self.rest.split_at(1);
        self.rest = rest;
        let code = match escape {
            "b" => 0x08,
            "f" => 0x0c,
            "n" => 0x0a,
            "r" => 0x0d,
            "t" => 0x09,
            "u" => {
                let (digits, rest) = self.rest.split_at(4);
                self.rest = rest;
                return u16::from_str_radix(digits, 16).unwrap();
            }
            other => other.as_bytes()[0],
        };
        u16::from(code)
    }
}

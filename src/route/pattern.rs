//! What a text must be like: itself, or a name with `*` and `?` in it.
//!
//! Not file globs: those know of `/` and of bytes, and the texts here are names and values of rows, in
//! which `?` is one character of any alphabet and upper and lower case are the same in all of them.

use std::str::Chars;

/// Some texts, of which one must fit. Upper and lower case are not told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(Box<str>),
    Wild(Box<[Token]>),
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This character, in either case.
    One(char),
    /// Any character: `?`.
    Any,
    /// Any characters, or none: `*`.
    Many,
}

impl Patterns {
    /// Reads texts in which `*` stands for any characters and `?` for one. Every text is a pattern.
    pub(super) fn new(texts: &[String]) -> Self {
        Self(texts.iter().map(|text| Pattern::new(text)).collect())
    }

    /// True where one of them is like `text`.
    pub(super) fn fits(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Exact(exact) => is_same(exact, text),
            Pattern::Wild(tokens) => is_like(tokens, text),
        })
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        if !text.contains(['*', '?']) {
            return Self::Exact(text.into());
        }
        let mut tokens: Vec<Token> = text.chars().map(Token::new).collect();
        // Two stars mean no more than one.
        tokens.dedup_by(|next, last| (*next, *last) == (Token::Many, Token::Many));
        Self::Wild(tokens.into())
    }
}

impl Token {
    fn new(character: char) -> Self {
        match character {
            '*' => Self::Many,
            '?' => Self::Any,
            other => Self::One(folded(other)),
        }
    }

    fn takes(self, character: char) -> bool {
        match self {
            Self::One(one) => one == folded(character),
            Self::Any | Self::Many => true,
        }
    }
}

/// The lower case of a character, where that is one character.
fn folded(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || !other.is_ascii() && one.chars().map(folded).eq(other.chars().map(folded))
}

/// Only the last star ever takes more: what the ones before it took was enough to come so far.
fn is_like(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut star: Option<(usize, Chars<'_>)> = None;
    loop {
        match tokens.get(at) {
            Some(Token::Many) if at + 1 == tokens.len() => return true,
            Some(Token::Many) => {
                at += 1;
                star = Some((at, rest.clone()));
                continue;
            }
            Some(token) => match rest.clone().next() {
                Some(character) if token.takes(character) => {
                    at += 1;
                    rest.next();
                    continue;
                }
                Some(_) => {}
                None => return false,
            },
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((behind, from)) = &mut star else {
            return false;
        };
        from.next();
        (at, rest) = (*behind, from.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Patterns::new(&[pattern.to_owned()]).fits(text)
    }

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, text, expected) in [
            ("account", "Account", true),
            ("account", "accounts", false),
            ("", "", true),
            ("", "a", false),
            ("new_*", "new_inspection", true),
            ("new_*", "NEW_", true),
            ("*", "", true),
            ("**", "a/b", true),
            ("?*", "", false),
            ("*?", "a", true),
            ("c?ntact", "contact", true),
            ("c?ntact", "coontact", false),
            ("*ab*ab", "abxab", true),
            ("*ab*ab", "ab", false),
            ("a*b*c", "a-b-b-c-c", true),
            ("a*b*c", "a-c-b", false),
            ("*aab", "aaab", true),
            ("*[x]", "a[x]", true),
            ("*[x]", "ax", false),
            ("a{b,c}*", "ab", false),
            ("a{b,c}*", "a{b,c}d", true),
            ("a\\*", "a\\b", true),
            ("https://*/x", "https://contoso/a/x", true),
            ("*", "two\nlines", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn characters_of_any_alphabet_are_characters_in_either_case() {
        for (pattern, text, expected) in [
            ("M?ller", "Müller", true),
            ("M??ller", "Müller", false),
            ("MÜLLER", "müller", true),
            ("MÜLL*", "müller", true),
            ("müller", "Muller", false),
            ("*é", "CAFÉ", true),
            ("ΑΘΗΝΑ?", "αθηνας", true),
            ("?", "İ", true),
            ("İ", "İ", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn one_of_several_is_enough() {
        let patterns = Patterns::new(&["a".to_owned(), "b*".to_owned()]);
        assert!(patterns.fits("A") && patterns.fits("bc"));
        assert!(!patterns.fits("c"));
    }

    #[test]
    fn a_long_text_does_not_cost_its_square() {
        let text = "a".repeat(1 << 20);
        assert!(!fits("*a*a*a*a*a*a*a*ab", &text));
    }

    /// What a pattern means, said the short and slow way.
    fn means(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| means(rest, &text[taken..])),
            (['?', pattern @ ..], [_, text @ ..]) => means(pattern, text),
            ([one, pattern @ ..], [other, text @ ..]) => {
                folded(*one) == folded(*other) && means(pattern, text)
            }
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_text_fits_where_the_pattern_means_it(pattern in "[abÄä*?]{0,8}", text in "[aAbäÄ]{0,10}") {
            let (pattern_chars, text_chars): (Vec<char>, Vec<char>) =
                (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), means(&pattern_chars, &text_chars));
        }

        #[test]
        fn every_text_fits_itself(text in "\\PC{0,12}") {
            prop_assert!(fits(&text, &text));
        }
    }
}

//! XML under construction, as `XmlDictionaryWriter` makes it: empty elements close themselves, and
//! the first free letter becomes the prefix of a namespace where that is first needed.

use std::fmt::{Display, Write as _};

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A document under construction.
#[derive(Default)]
pub(crate) struct Markup {
    text: String,
    /// The last start tag still takes attributes, and closes itself if nothing follows.
    tag_is_open: bool,
    /// The prefixes in scope and their namespaces, besides the default one and `i`.
    scope: Vec<(char, &'static str)>,
}

impl Markup {
    /// A whole document, in UTF-8 without a declaration.
    pub(crate) fn document(
        root: &str,
        default_namespace: &str,
        inside: impl FnOnce(&mut Self),
    ) -> Vec<u8> {
        let mut xml = Self::default();
        xml.element(root, |xml| {
            xml.append(format_args!(
                " xmlns=\"{default_namespace}\" xmlns:i=\"{INSTANCE}\""
            ));
            inside(xml);
        });
        xml.text.into_bytes()
    }

    /// A value whose text needs no escape.
    pub(crate) fn primitive(&mut self, name: &str, namespace: &'static str, value: impl Display) {
        self.foreign(name, namespace, |xml, _| {
            xml.close_tag();
            xml.append(format_args!("{value}"));
        });
    }

    /// A value of a type in the default namespace.
    pub(crate) fn own(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.append(format_args!(" i:type=\"{name}\""));
        inside(self);
    }

    /// A value of a type elsewhere. The declaration of the prefix follows the attribute that uses it.
    pub(crate) fn foreign(
        &mut self,
        name: &str,
        namespace: &'static str,
        inside: impl FnOnce(&mut Self, char),
    ) {
        let (prefix, is_new) = self.bind(namespace);
        self.append(format_args!(" i:type=\"{prefix}:{name}\""));
        if is_new {
            self.declare(prefix, namespace);
        }
        inside(self, prefix);
    }

    /// The prefix of a namespace, declared here if it is not yet.
    pub(crate) fn prefix(&mut self, namespace: &'static str) -> char {
        let (prefix, is_new) = self.bind(namespace);
        if is_new {
            self.declare(prefix, namespace);
        }
        prefix
    }

    /// The prefix of `namespace` in scope, or the first free letter.
    fn bind(&mut self, namespace: &'static str) -> (char, bool) {
        if let Some((prefix, _)) = self.scope.iter().rfind(|(_, bound)| *bound == namespace) {
            return (*prefix, false);
        }
        let is_free = |letter: &char| self.scope.iter().all(|(prefix, _)| prefix != letter);
        let prefix = ('a'..'i')
            .find(is_free)
            .expect("no more than four are ever in scope");
        self.scope.push((prefix, namespace));
        (prefix, true)
    }

    fn declare(&mut self, prefix: char, namespace: &str) {
        self.append(format_args!(" xmlns:{prefix}=\"{namespace}\""));
    }

    /// Says of the open element that it is null.
    pub(crate) fn nil(&mut self) {
        self.append(format_args!(" i:nil=\"true\""));
    }

    /// An element with any text, or null.
    pub(crate) fn nullable(&mut self, name: &str, text: Option<&str>) {
        self.element(name, |xml| match text {
            Some(text) => xml.content(text),
            None => xml.nil(),
        });
    }

    /// An element with a text that needs no escape.
    pub(crate) fn leaf(&mut self, name: &str, value: impl Display) {
        self.close_tag();
        self.append(format_args!("<{name}>{value}</{name}>"));
    }

    /// Prefixes bound inside go out of scope with it.
    pub(crate) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.close_tag();
        self.append(format_args!("<{name}"));
        self.tag_is_open = true;
        let outer_scope = self.scope.len();
        inside(self);
        self.scope.truncate(outer_scope);
        if self.tag_is_open {
            self.text.push_str("/>");
            self.tag_is_open = false;
        } else {
            self.append(format_args!("</{name}>"));
        }
    }

    /// Any text within the open element.
    pub(crate) fn content(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.close_tag();
        for character in text.chars() {
            match character {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '\r' => self.text.push_str("&#xD;"),
                _ => self.text.push(character),
            }
        }
    }

    fn close_tag(&mut self) {
        if self.tag_is_open {
            self.text.push('>');
            self.tag_is_open = false;
        }
    }

    fn append(&mut self, what: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(what)
            .expect("a String takes everything");
    }
}

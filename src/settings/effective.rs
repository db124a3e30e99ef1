//! The configuration in force: every key that was read, with the value it was given or its default, as TOML.
//!
//! It comes of reading: [`super::Settings`] writes down what it gives out, so that no key can be forgotten. A
//! secret is written down as `***`.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use toml_writer::TomlWrite;

/// One table and the tables in it. Clones are the same table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effective(Rc<RefCell<Table>>);

#[derive(Debug, Default)]
struct Table {
    keys: Vec<Entry>,
    /// In the order of reading; those of a list stand behind each other.
    tables: Vec<Child>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    value: Shown,
    source: Source,
}

#[derive(Debug)]
struct Child {
    key: String,
    is_in_list: bool,
    table: Effective,
}

/// A value as people may see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    /// A text, or what is written as one: a path, a duration, a secret that is masked.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A whole number.
    Number(i64),
    /// A number with a fraction.
    Fraction(f64),
    /// True or false.
    Fact(bool),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Nobody has said anything.
    Default,
    /// The file.
    File,
    /// The variable of this name.
    Variable(String),
}

impl Effective {
    /// Writes down what is in force for `key`, in place of what was written down before.
    pub(super) fn note(&self, key: &str, value: Shown, source: Source) {
        let mut table = self.0.borrow_mut();
        match table.keys.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => (entry.value, entry.source) = (value, source),
            None => table.keys.push(Entry {
                key: key.to_owned(),
                value,
                source,
            }),
        }
    }

    /// Shows `value` for `key` instead of what was written down, where something was.
    pub(super) fn replace(&self, key: &str, value: Shown) {
        let mut table = self.0.borrow_mut();
        if let Some(entry) = table.keys.iter_mut().find(|entry| entry.key == key) {
            entry.value = value;
        }
    }

    /// True when something is written down for `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.borrow().keys.iter().any(|entry| entry.key == key)
    }

    /// The table `key` in this one, or one more of the tables of that key.
    pub(super) fn child(&self, key: &str, is_in_list: bool) -> Self {
        let table = Self::default();
        self.0.borrow_mut().tables.push(Child {
            key: key.to_owned(),
            is_in_list,
            table: table.clone(),
        });
        table
    }

    /// True when nothing is in force in it; a table of a list is something by itself.
    fn is_empty(&self) -> bool {
        let table = self.0.borrow();
        let mut tables = table.tables.iter();
        table.keys.is_empty() && tables.all(|child| !child.is_in_list && child.table.is_empty())
    }

    /// Writes the keys of this table and then the tables in it, whose names begin with `path`.
    fn write(&self, path: &[&str], out: &mut String) -> fmt::Result {
        let table = self.0.borrow();
        for Entry { key, value, source } in &table.keys {
            out.key(key.as_str())?;
            out.push_str(" = ");
            value.write(out)?;
            match source {
                Source::Default => out.push_str("  # default"),
                Source::File => {}
                Source::Variable(name) => {
                    out.push_str("  # ");
                    out.push_str(name);
                }
            }
            out.newline()?;
        }
        for child in &table.tables {
            let path: Vec<&str> = path.iter().copied().chain([child.key.as_str()]).collect();
            if child.is_in_list || !child.table.0.borrow().keys.is_empty() {
                header(&path, child.is_in_list, out)?;
            } else if child.table.is_empty() {
                continue;
            }
            child.table.write(&path, out)?;
        }
        Ok(())
    }
}

/// As TOML, each key with a comment where it is not from the file: `default`, or the variable.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&[], &mut out)?;
        f.write_str(out.trim_start())
    }
}

impl Shown {
    fn write(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::Text(text) => out.value(text.as_str()),
            Self::Texts(texts) => {
                out.open_array()?;
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    out.value(text.as_str())?;
                }
                out.close_array()
            }
            Self::Number(number) => out.value(*number),
            Self::Fraction(number) => out.value(*number),
            Self::Fact(fact) => out.value(*fact),
        }
    }
}

fn header(path: &[&str], is_in_list: bool, out: &mut String) -> fmt::Result {
    out.newline()?;
    match is_in_list {
        true => out.open_array_of_tables_header()?,
        false => out.open_table_header()?,
    }
    for (index, part) in path.iter().enumerate() {
        if index > 0 {
            out.key_sep()?;
        }
        out.key(*part)?;
    }
    match is_in_list {
        true => out.close_array_of_tables_header()?,
        false => out.close_table_header()?,
    }
    out.newline()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_toml() {
        let root = Effective::default();
        let hub = root.child("hub", true);
        hub.note("name", Shown::Text("a \"b\"\n".to_owned()), Source::File);
        hub.child("starts", false);
        let sink = root.child("sink", true);
        let variable = Source::Variable("DATAVERSE_LISTENER__SINK__GZIP".to_owned());
        sink.note("gzip", Shown::Fact(true), variable);
        let deep = sink.child("deep", false).child("a.b", false);
        deep.note("c d", Shown::Number(7), Source::Default);
        let second = root.child("sink", true);
        second.note("token", Shown::Text("hunter2".to_owned()), Source::File);
        second.replace("token", Shown::Text("***".to_owned()));
        second.replace("absent", Shown::Text("***".to_owned()));
        let texts = ["x", "y"].map(str::to_owned).to_vec();
        root.child("route", true)
            .note("table", Shown::Texts(texts), Source::File);
        let expected = "[[hub]]\nname = \"\"\"\na \"b\"\n\"\"\"\n\n\
            [[sink]]\ngzip = true  # DATAVERSE_LISTENER__SINK__GZIP\n\n\
            [sink.deep.\"a.b\"]\n\"c d\" = 7  # default\n\n\
            [[sink]]\ntoken = \"***\"\n\n\
            [[route]]\ntable = [\"x\", \"y\"]\n";
        assert_eq!(root.to_string(), expected);
    }
}

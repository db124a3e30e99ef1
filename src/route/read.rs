//! Routes and filters as people write them: `[[route]]` tables, and `--where` on a command line.

use std::collections::HashSet;

use super::filter::{Condition, Filter, KEYS, Key};
use super::pattern::Patterns;
use super::range::Ranges;
use crate::settings::{Mistake, Settings, Words, nearest};
use crate::sink::check_name;

/// One `[[route]]` table: what matches, and the names of the sinks.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(super) filter: Filter,
    pub(super) sinks: Vec<String>,
    /// True of the route that takes what no other one does.
    pub(super) is_default: bool,
}

impl Config {
    /// A route of one filter to one sink.
    pub(crate) fn to(filter: Filter, sink: &str) -> Self {
        Self {
            filter,
            sinks: vec![sink.to_owned()],
            is_default: false,
        }
    }

    /// The default route that counts what nobody else takes, and passes it over.
    pub(crate) fn rest() -> Self {
        let undecodable = Condition::Undecodable(true);
        Self {
            filter: Filter {
                all: vec![undecodable],
                none: Vec::new(),
            },
            sinks: Vec::new(),
            is_default: true,
        }
    }

    /// Reads one `[[route]]` table; `known` are the names of the sinks there are.
    pub(crate) fn read(mut settings: Settings, known: &[&str]) -> (Self, Vec<Mistake>) {
        let is_default = settings.with_default("default", false);
        let mut mistakes = Vec::new();
        let mut filter = Filter {
            all: conditions(&mut settings, &mut mistakes),
            none: Vec::new(),
        };
        if let Some(mut not) = settings.optional_table("not") {
            let group = conditions(&mut not, &mut mistakes);
            if group.is_empty() {
                not.mistake(
                    "",
                    "holds no key, so that nothing would match; leave it out",
                );
            }
            judge(&group, &mut not);
            if let [Condition::Undecodable(false)] = group[..] {
                not.mistake(
                    "undecodable",
                    "takes nothing that can be decoded, and alone no event at all; write undecodable = true outside of not",
                );
            }
            filter.none.push(group);
            mistakes.extend(not.finish());
        }
        judge(&filter.all, &mut settings);
        let has_more = filter.all.len() > usize::from(filter.takes_undecodable());
        if is_default && (has_more || !filter.none.is_empty()) {
            settings.mistake(
                "default",
                "takes what no other route does, so it has no other keys but undecodable",
            );
        }
        let sinks: Option<Vec<String>> = settings.required("sinks");
        if !is_default && sinks.as_ref().is_some_and(Vec::is_empty) {
            settings.mistake("sinks", "names no sink; name at least one");
        }
        let sinks = sinks.unwrap_or_default();
        for sink in &sinks {
            check_name(&mut settings, "sinks", sink, known);
        }
        mistakes.extend(settings.finish());
        let route = Self {
            filter,
            sinks,
            is_default,
        };
        (route, mistakes)
    }

    /// What is wrong with all the routes together, where something is.
    pub(crate) fn judge(routes: &[Self]) -> Option<&'static str> {
        let defaults = routes.iter().filter(|route| route.is_default).count();
        match defaults {
            _ if routes.is_empty() => None,
            0 => Some(
                "does not say what becomes of events that match no route; add a [[route]] with default = true, and sinks = [] where they are to be counted and passed over",
            ),
            1 => None,
            _ => Some("has default = true in several tables; only one can take the rest"),
        }
    }
}

/// Reads the keys of a filter.
fn conditions(settings: &mut Settings, mistakes: &mut Vec<Mistake>) -> Vec<Condition> {
    let mut found = Vec::new();
    for (name, key) in KEYS {
        if let Key::Fact(fact) = key {
            found.extend(settings.optional::<bool>(name).map(fact));
            continue;
        }
        let Some(Words(words)) = settings.optional(name) else {
            continue;
        };
        match key.condition(&words) {
            Ok(condition) => found.push(condition),
            Err(reason) => settings.mistake(name, reason),
        }
    }
    let attributes = entries(settings, "attribute", mistakes);
    if !attributes.is_empty() {
        found.push(Condition::Attributes(attributes));
    }
    let properties = entries(settings, "property", mistakes).into_iter();
    found.extend(properties.map(|(name, patterns)| Condition::Property(name, patterns)));
    found
}

/// Reads a table of names, each with the values that fit.
fn entries(
    settings: &mut Settings,
    key: &'static str,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Patterns)> {
    let Some(mut table) = settings.optional_table(key) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut is_empty = true;
    for (name, Words(words)) in table.entries() {
        is_empty = false;
        match patterns(&words) {
            Ok(patterns) => found.push((name, patterns)),
            Err(reason) => table.mistake(&name, reason),
        }
    }
    let found_wrong = table.finish();
    if is_empty && found_wrong.is_empty() {
        settings.mistake(key, NONE);
    }
    mistakes.extend(found_wrong);
    found
}

/// Notes a mistake where the conditions together hold of no event that there can be.
fn judge(conditions: &[Condition], settings: &mut Settings) {
    if let Some((key, reason)) = contradiction(conditions) {
        settings.mistake(key, reason);
    }
}

/// The key that asks for what is no context, where something of a context is asked for as well, and what is
/// wrong with that.
fn contradiction(conditions: &[Condition]) -> Option<(&'static str, &'static str)> {
    let asks = |wanted: fn(&Condition) -> bool, refused: fn(&Condition) -> bool| {
        conditions.iter().any(wanted) && conditions.iter().any(refused)
    };
    if asks(
        |one| matches!(one, Condition::Undecodable(true)),
        Condition::needs_decoded,
    ) {
        return Some(("undecodable", UNDECODABLE_AND_MORE));
    }
    asks(
        |one| matches!(one, Condition::Foreign(true)),
        Condition::needs_own,
    )
    .then_some(("foreign", FOREIGN_AND_MORE))
}

const NONE: &str = "names none, so that nothing matches; leave it out for any";
const FOREIGN_AND_MORE: &str = "true takes events that are no execution contexts, and of those only format, partition and property are known; use the other keys in a route of their own";
const UNDECODABLE_AND_MORE: &str = "true takes what cannot be decoded, and of that only format, partition and property are known; use the other keys in a route of their own";

fn patterns(words: &[String]) -> Result<Patterns, String> {
    match words {
        [] => Err(NONE.to_owned()),
        words => Ok(Patterns::new(words)),
    }
}

/// The same for what is never empty.
fn names(words: &[String]) -> Result<Patterns, String> {
    if words.iter().any(String::is_empty) {
        return Err("holds an empty text, which nothing is".to_owned());
    }
    patterns(words)
}

impl Key {
    fn condition(&self, words: &[String]) -> Result<Condition, String> {
        Ok(match self {
            Self::Said(said) => Condition::Said(*said, names(words)?),
            Self::Number(number, named) => {
                patterns(words)?;
                Condition::Number(*number, Ranges::new(words, named)?)
            }
            Self::Envelope(text, choices) => {
                let names = names(words)?;
                if let Some(choices) = choices {
                    check_choices(words, choices)?;
                }
                Condition::Envelope(*text, names)
            }
            Self::Fact(fact) => fact(match words {
                [word] if word == "true" => true,
                [word] if word == "false" => false,
                _ => return Err("must be true or false".to_owned()),
            }),
        })
    }
}

fn check_choices(words: &[String], choices: &[&str]) -> Result<(), String> {
    let is_choice = |word: &String| {
        let pattern = Patterns::new(std::slice::from_ref(word));
        choices.iter().any(|choice| pattern.fits(choice))
    };
    if words.iter().all(is_choice) {
        return Ok(());
    }
    Err(match choices {
        [others @ .., last] if !others.is_empty() => {
            format!("must be {} or {last}", others.join(", "))
        }
        _ => format!("must be {}", choices.concat()),
    })
}

impl Filter {
    /// Reads a filter as it stands on a command line: `message=Update,table=account|contact`, with `,`
    /// between the keys, `|` between what a key may be, and `!=` for what it must not be. Columns and
    /// properties are `attribute.NAME` and `property.NAME`. Without text, everything that can be decoded
    /// matches. For a comma or a bar in a value stands `?`.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment that names the key.
    pub(crate) fn parse_where(text: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut attributes = Vec::new();
        let mut seen = HashSet::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (name, is_not, words) = split(part)?;
            if !seen.insert((name, is_not)) {
                return Err(format!(
                    "{name} is given twice; write \"|\" between its values"
                ));
            }
            let condition = condition(name, &words).map_err(|reason| format!("{name} {reason}"))?;
            match (condition, is_not) {
                (Condition::Undecodable(wanted), true) => {
                    filter.all.push(Condition::Undecodable(!wanted));
                }
                (Condition::Foreign(wanted), true) => filter.all.push(Condition::Foreign(!wanted)),
                (Condition::Attributes(of_one_row), false) => attributes.extend(of_one_row),
                (condition, false) => filter.all.push(condition),
                (condition, true) => filter.none.push(vec![condition]),
            }
        }
        if !attributes.is_empty() {
            filter.all.push(Condition::Attributes(attributes));
        }
        if let Some((key, reason)) = contradiction(&filter.all) {
            return Err(format!("{key}={reason}"));
        }
        Ok(filter)
    }
}

/// The name of a key, whether it is negated, and the values behind it.
fn split(part: &str) -> Result<(&str, bool, Vec<String>), String> {
    let (name, values) = part
        .split_once('=')
        .ok_or_else(|| format!("\"{}\" has no \"=\"", part.trim()))?;
    let (name, is_not) = match name.strip_suffix('!') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let words = values.split('|').map(|word| word.trim().to_owned());
    Ok((name.trim(), is_not, words.collect()))
}

fn condition(name: &str, words: &[String]) -> Result<Condition, String> {
    match name.split_once('.') {
        Some(("attribute", column)) if !column.is_empty() => {
            let wanted = vec![(column.to_owned(), patterns(words)?)];
            return Ok(Condition::Attributes(wanted));
        }
        Some(("property", property)) if !property.is_empty() => {
            return Ok(Condition::Property(property.to_owned(), patterns(words)?));
        }
        _ => {}
    }
    let key = KEYS.iter().find(|(known, _)| *known == name);
    let (_, key) = key.ok_or_else(|| unknown(name))?;
    key.condition(words)
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = KEYS
        .iter()
        .map(|(name, _)| *name)
        .chain(["attribute.NAME", "property.NAME"])
        .collect();
    match nearest(name, &known) {
        Some(near) => format!("is no key; did you mean {near}?"),
        None => format!("is no key; the keys are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINKS: [&str; 2] = ["a", "b"];

    #[track_caller]
    fn check(toml: &str, expected: &[&str]) {
        let (_, mistakes) = Config::read(Settings::of_toml("route[0]", toml), &SINKS);
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{toml}");
    }

    #[test]
    fn every_key_is_read() {
        check(
            "message = \"Update\"\ntable = [\"a*\", \"b\"]\nstage = 40\nmode = \"async\"\ndepth = [1, \"3..\"]\norganization = \"o\"\nuser = \"u\"\nchanged = \"c\"\nformat = \"xml\"\npartition = [0, 1]\ntruncated = false\nundecodable = false\nattribute = { name = \"x\", statuscode = [1, 2], donotemail = true }\nproperty = { \"http://schemas.microsoft.com/xrm/2011/Claims/User\" = \"*\" }\nnot = { table = \"z\", attribute = { name = \"y\" } }\nsinks = \"a\"",
            &[],
        );
        check("default = true\nsinks = []", &[]);
        check(
            "default = true\nundecodable = true\nsinks = [\"a\", \"b\"]",
            &[],
        );
    }

    #[test]
    fn mistakes_name_the_key_and_what_to_do() {
        for (toml, expected) in [
            (
                "sinks = []",
                "route[0].sinks: names no sink; name at least one",
            ),
            (
                "table = []\nsinks = \"a\"",
                "route[0].table: names none, so that nothing matches; leave it out for any",
            ),
            (
                "tabel = \"x\"\nsinks = \"a\"",
                "route[0].tabel: unknown key; did you mean \"table\"?",
            ),
            (
                "sinks = \"c\"",
                "route[0].sinks: there is no sink \"c\"; did you mean \"a\"?",
            ),
            (
                "stage = \"late\"\nsinks = \"a\"",
                "route[0].stage: must be numbers, or ranges such as \"2..\" or \"1..3\", or prevalidation, preoperation, mainoperation, postoperation",
            ),
            (
                "attribute = { name = [] }\nsinks = \"a\"",
                "route[0].attribute.name: names none, so that nothing matches; leave it out for any",
            ),
            (
                "attribute = {}\nsinks = \"a\"",
                "route[0].attribute: names none, so that nothing matches; leave it out for any",
            ),
            (
                "table = [\"x\", \"\"]\nsinks = \"a\"",
                "route[0].table: holds an empty text, which nothing is",
            ),
            (
                "format = [\"json\", \"yaml\"]\nsinks = \"a\"",
                "route[0].format: must be json, xml or binary",
            ),
            (
                "undecodable = true\nmessage = \"Update\"\nsinks = \"a\"",
                "route[0].undecodable: true takes what cannot be decoded, and of that only format, partition and property are known; use the other keys in a route of their own",
            ),
            (
                "foreign = true\nmessage = \"Update\"\nsinks = \"a\"",
                "route[0].foreign: true takes events that are no execution contexts, and of those only format, partition and property are known; use the other keys in a route of their own",
            ),
            (
                "not = { undecodable = false }\nsinks = \"a\"",
                "route[0].not.undecodable: takes nothing that can be decoded, and alone no event at all; write undecodable = true outside of not",
            ),
            (
                "not = {}\nsinks = \"a\"",
                "route[0].not: holds no key, so that nothing would match; leave it out",
            ),
            (
                "not = { not = { table = \"x\" }, table = \"y\" }\nsinks = \"a\"",
                "route[0].not.not: unknown key; the keys here are message, table, stage, mode, depth, organization, user, changed, format, partition, truncated, undecodable, foreign, attribute, property",
            ),
            (
                "default = true\ntable = \"x\"\nsinks = []",
                "route[0].default: takes what no other route does, so it has no other keys but undecodable",
            ),
            (
                "truncated = 1\nsinks = \"a\"",
                "route[0].truncated: must be true or false",
            ),
        ] {
            check(toml, &[expected]);
        }
    }

    #[test]
    fn routes_need_exactly_one_that_takes_the_rest() {
        let route = |toml| Config::read(Settings::of_toml("route", toml), &SINKS).0;
        let (one, rest) = (
            route("table = \"x\"\nsinks = \"a\""),
            route("default = true\nsinks = []"),
        );
        assert_eq!(Config::judge(&[]), None);
        assert_eq!(Config::judge(&[one.clone(), rest.clone()]), None);
        assert!(Config::judge(&[one]).unwrap().contains("default = true"));
        assert!(
            Config::judge(&[rest.clone(), rest])
                .unwrap()
                .contains("several")
        );
    }

    #[test]
    fn a_wrong_where_is_told() {
        for (text, expected) in [
            ("table", "\"table\" has no \"=\""),
            ("tabel=x", "tabel is no key; did you mean table?"),
            (
                "mode=late",
                "mode must be numbers, or ranges such as \"2..\" or \"1..3\", or sync, async",
            ),
            ("truncated=maybe", "truncated must be true or false"),
            (
                "table=a,table=b",
                "table is given twice; write \"|\" between its values",
            ),
            ("table=", "table holds an empty text, which nothing is"),
            ("format=yaml", "format must be json, xml or binary"),
            (
                "attribute.=x",
                "attribute. is no key; did you mean attribute.NAME?",
            ),
            (
                "undecodable=true,table=x",
                "undecodable=true takes what cannot be decoded, and of that only format, partition and property are known; use the other keys in a route of their own",
            ),
        ] {
            assert_eq!(Filter::parse_where(text).unwrap_err(), expected, "{text}");
        }
    }
}

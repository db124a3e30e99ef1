//! `schema config`: the schema and the reader of the configuration know the same keys, values and defaults.
//!
//! What the reader knows is taken from what it says to mistakes, so that nothing can be known to it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::examples::{examples, secrets};
use crate::world::{Program, command, file, json_of_toml};

/// Something that no key and no value is called.
const WRONG: &str = "zzzzzzzzzzzzzzzz";

/// Every table with keys of its own: where it is in [`EVERY_TABLE`], and where in the schema.
const TABLES: &[(&str, &str)] = &[
    ("", ""),
    ("hub[0]", "/$defs/hub"),
    ("decode", "/$defs/decode"),
    ("delivery", "/$defs/delivery"),
    ("checkpoint", "/$defs/checkpoint"),
    ("dead_letter", "/$defs/dead_letter"),
    ("duplicates", "/$defs/duplicates"),
    ("health", "/$defs/health"),
    ("http", "/$defs/http"),
    ("log", "/$defs/log"),
    ("otlp", "/$defs/otlp"),
    ("sink[0]", "/$defs/sink_stdout"),
    ("sink[1]", "/$defs/sink_file"),
    ("sink[2]", "/$defs/sink_webhook"),
    ("sink[2].retry", "/$defs/retry"),
    ("sink[2].signature", "/$defs/signature"),
    ("sink[2].tls", "/$defs/tls"),
    ("sink[2].auth", "/$defs/auth/oneOf/0"),
    ("sink[3].auth", "/$defs/auth/oneOf/1"),
    ("sink[4].auth", "/$defs/auth/oneOf/2"),
    ("sink[5].auth", "/$defs/auth/oneOf/2"),
    ("route[0]", "/$defs/route"),
    ("route[0].not", "/$defs/not"),
];

/// Each of them, with nothing but what makes it be read; `KEY` is where a test puts a key of its own.
const EVERY_TABLE: &str = r#"
KEY
[[hub]]
connection_string = "Endpoint=sb://h;SharedAccessKeyName=k;SharedAccessKey=v;EntityPath=e"
KEY
[decode]
KEY
[delivery]
KEY
[checkpoint]
KEY
[dead_letter]
KEY
[duplicates]
action = "count"
KEY
[health]
KEY
[http]
KEY
[log]
KEY
[otlp]
endpoint = "https://h"
KEY
[[sink]]
name = "a"
type = "stdout"
KEY
[[sink]]
name = "b"
type = "file"
directory = "/tmp"
fsync = "interval"
KEY
[[sink]]
name = "c"
type = "webhook"
url = "https://h"
batch_events = 2
KEY
[sink.retry]
KEY
[sink.signature]
secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
KEY
[sink.tls]
KEY
[sink.auth]
type = "basic"
user = "u"
password = "p"
KEY
[[sink]]
name = "d"
type = "webhook"
url = "https://h"
auth = { type = "bearer", token = "t", KEY }
[[sink]]
name = "e"
type = "webhook"
url = "https://h"
auth = { type = "header", name = "n", value = "v", KEY }
[[sink]]
name = "f"
type = "webhook"
url = "https://h"
auth = { type = "query", name = "n", value = "v", KEY }
[[route]]
default = true
sinks = "a"
KEY
"#;

/// Where there is no table `not`, for a default route has none.
const NOT: &str = "[route.not]\ntable = 'x'\nKEY\n";

fn schema() -> Value {
    let ended = Program::start(&mut command(["schema", "config"])).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let schema: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    schema
}

/// What `check` says to this configuration: of each key, the mistake.
fn mistakes(toml: &str) -> BTreeMap<String, String> {
    let file = file(toml);
    let path = file.path.to_str().unwrap();
    let ended = Program::start(&mut command(["check", "--config", path])).wait();
    assert_eq!(ended.status.code(), Some(78), "{toml}");
    let lines = ended.stderr.lines().filter_map(|line| {
        let said = line.strip_prefix(path)?.split_once(": ")?.1;
        let (key, reason) = said.split_once(": ")?;
        Some((key.to_owned(), reason.to_owned()))
    });
    lines.collect()
}

/// The names behind "... are a, b" or "there is a, b" or "one of a, b".
fn names(reason: &str) -> BTreeSet<String> {
    let list = ["the keys here are ", "there is ", "must be one of "]
        .iter()
        .find_map(|before| Some(reason.split_once(before)?.1));
    let list = list.unwrap_or_else(|| panic!("no list of names: {reason}"));
    list.split(", ").map(str::to_owned).collect()
}

/// What a reference of the schema stands for, with what stands beside it.
fn resolve(schema: &Value, value: &Value) -> Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
        return value.clone();
    };
    let target = schema
        .pointer(reference.strip_prefix('#').unwrap())
        .unwrap();
    let mut resolved = resolve(schema, target);
    let beside = value.as_object().unwrap().clone();
    resolved.as_object_mut().unwrap().extend(beside);
    resolved.as_object_mut().unwrap().remove("$ref");
    resolved
}

/// The keys of a table in the schema.
fn keys(schema: &Value, pointer: &str) -> BTreeMap<String, Value> {
    let table = schema.pointer(pointer).unwrap();
    assert_eq!(table["additionalProperties"], false, "{pointer}");
    let keys = table["properties"].as_object().unwrap().iter();
    keys.map(|(key, value)| (key.clone(), resolve(schema, value)))
        .collect()
}

/// Where the schema has tables with keys of their own.
fn tables(value: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v))
            .collect(),
        _ => return,
    };
    if value.get("properties").is_some_and(Value::is_object) {
        found.insert(pointer.to_owned());
    }
    for (key, child) in children {
        tables(child, &format!("{pointer}/{key}"), found);
    }
}

#[test]
fn every_key_of_the_reader_is_in_the_schema_and_the_other_way_round() {
    let schema = schema();
    let key = |toml: &str| toml.replace("KEY", &format!("{WRONG} = 1"));
    let mut said = mistakes(&key(EVERY_TABLE));
    said.extend(mistakes(&key(&format!("{EVERY_TABLE}{NOT}"))));
    let mut seen = BTreeSet::new();
    for (place, pointer) in TABLES {
        let key = match *place {
            "" => WRONG.to_owned(),
            place => format!("{place}.{WRONG}"),
        };
        let reason = said.get(&key).unwrap_or_else(|| panic!("{key}: {said:?}"));
        let known: BTreeSet<String> = keys(&schema, pointer).into_keys().collect();
        assert_eq!(known, names(reason), "{place}");
        seen.insert((*pointer).to_owned());
    }
    let mut there = BTreeSet::new();
    tables(&schema, "", &mut there);
    assert_eq!(there, seen, "tables of the schema that TABLES lacks");
}

#[test]
fn every_key_says_what_it_is_and_every_secret_is_marked() {
    let schema = schema();
    for (_, pointer) in TABLES {
        let keys = keys(&schema, pointer);
        for (key, value) in &keys {
            let description = value["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{pointer}: {key}");
            let has_file = keys.contains_key(&format!("{key}_file"));
            assert_eq!(value["writeOnly"] == true, has_file, "{pointer}: {key}");
        }
    }
}

#[test]
fn the_values_that_a_key_can_have_are_those_of_the_reader() {
    let schema = schema();
    let mut checked = 0;
    for (place, pointer) in TABLES {
        for (key, value) in keys(&schema, pointer) {
            let Some(values) = value["enum"].as_array().filter(|_| key != "type") else {
                continue;
            };
            let values: BTreeSet<String> = values
                .iter()
                .map(|value| value.as_str().unwrap().to_owned())
                .collect();
            let toml = with_key(place, &format!("{key} = \"{WRONG}\""));
            let toml = match key.as_str() {
                "credential" => toml.replace("connection_string", "namespace"),
                _ => toml,
            };
            let said = mistakes(&toml);
            let full = format!("{place}.{key}");
            let reason = said
                .get(&full)
                .unwrap_or_else(|| panic!("{full}: {said:?}"));
            assert_eq!(values, names(reason), "{full}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
    let sinks = ["sink_file", "sink_stdout", "sink_webhook"];
    let kinds = sinks.map(|kind| schema["$defs"][kind]["properties"]["type"]["const"].clone());
    let said = mistakes(
        &EVERY_TABLE
            .replace("\"stdout\"", &format!("\"{WRONG}\""))
            .replace("KEY", ""),
    );
    assert_eq!(
        BTreeSet::from(kinds.map(|kind| kind.as_str().unwrap().to_owned())),
        names(&said["sink[0].type"])
    );
    let said = mistakes(
        &EVERY_TABLE
            .replace("\"basic\"", &format!("\"{WRONG}\""))
            .replace("KEY", ""),
    );
    let kinds = ["basic", "bearer", "header", "query"].map(str::to_owned);
    assert_eq!(BTreeSet::from(kinds), names(&said["sink[2].auth.type"]));
    let statuses = &schema["$defs"]["sink_webhook"]["properties"]["status"]["patternProperties"];
    let actions = statuses.as_object().unwrap().values().next().unwrap()["enum"].clone();
    let actions = actions.as_array().unwrap().iter();
    let said = mistakes(&with_key(
        "sink[2]",
        &format!("status = {{ 404 = \"{WRONG}\" }}"),
    ));
    assert_eq!(
        actions
            .map(|action| action.as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>(),
        names(&said["sink[2].status.404"])
    );
}

#[test]
fn the_help_names_the_variable_for_the_file_of_every_secret() {
    let schema = schema();
    let help = |arguments: &[&str]| {
        let arguments = arguments.iter().copied().chain(["--help"]);
        Program::start(&mut command(arguments))
            .wait()
            .stdout
            .join("\n")
    };
    let said = help(&["run"]);
    for (place, pointer) in TABLES {
        // Of several sinks the first: which one does not matter.
        let place = place.replace("hub[0]", "hub");
        let place = match place.split_once(']') {
            Some((_, table)) => format!("sink.0{table}"),
            None => place,
        };
        let keys = keys(&schema, pointer).into_iter();
        for (key, _) in keys.filter(|(_, value)| value["writeOnly"] == true) {
            let variable = format!("{place}.{key}_file")
                .replace('.', "__")
                .to_uppercase();
            let variable = format!("    DATAVERSE_LISTENER__{variable}");
            assert!(said.lines().any(|line| line == variable), "{variable}");
        }
    }
    let list = said.split_once("Variables of the environment:").unwrap().1;
    for arguments in [
        &["check"][..],
        &["doctor"],
        &["redrive"],
        &["replay"],
        &["checkpoint", "list"],
        &["checkpoint", "set"],
        &["checkpoint", "reset"],
        &["checkpoint", "export"],
        &["checkpoint", "import"],
    ] {
        assert!(help(arguments).contains(list), "{arguments:?}");
    }
}

/// [`EVERY_TABLE`] with a line in one table, instead of one of the same key.
fn with_key(place: &str, line: &str) -> String {
    let key = line.split(' ').next().unwrap();
    let index = TABLES
        .iter()
        .position(|(known, _)| *known == place)
        .unwrap();
    // The tables stand in EVERY_TABLE in the order of TABLES.
    let mut parts: Vec<String> = EVERY_TABLE.split("KEY").map(str::to_owned).collect();
    let own = parts[index].rfind('[').unwrap_or_default();
    let (before, own) = parts[index].split_at(own);
    let kept: Vec<&str> = own
        .lines()
        .filter(|other| !other.starts_with(&format!("{key} = ")))
        .collect();
    parts[index] = format!("{before}{}\n{line}\n", kept.join("\n"));
    parts.concat()
}

#[test]
fn the_defaults_of_the_schema_are_those_in_force() {
    let schema = schema();
    let toml = EVERY_TABLE.replace(", KEY", "").replace("KEY", "");
    let given = json_of_toml(&toml);
    let printed = print(&file(&toml).path);
    let printed = json_of_toml(&printed);
    let mut checked = 0;
    for (place, pointer) in TABLES {
        let place = format!(
            "/{}",
            place.replace('[', "/").replace(']', "").replace('.', "/")
        );
        let Some(table) = printed.pointer(place.trim_end_matches('/')) else {
            // Tables in which nothing is in force, of the schema neither.
            let keys = keys(&schema, pointer);
            assert!(
                keys.values().all(|value| value.get("default").is_none()),
                "{place}"
            );
            continue;
        };
        for (key, value) in keys(&schema, pointer) {
            let is_given = given
                .pointer(&format!("{}/{key}", place.trim_end_matches('/')))
                .is_some();
            let in_force = table
                .get(&key)
                .filter(|value| !value.is_object() && !value.is_array());
            if is_given {
                continue;
            }
            assert_eq!(value.get("default"), in_force, "{place}: {key}");
            checked += usize::from(in_force.is_some());
        }
    }
    assert!(checked > 30, "{checked}");
}

/// What `check --print` prints.
fn print(path: &Path) -> String {
    let secrets = secrets();
    let arguments = ["check", "--print", "--config", path.to_str().unwrap()];
    let mut check = command(arguments);
    check.env("CREDENTIALS_DIRECTORY", secrets.path());
    // Tests side by side have no port in common: else this would be in force.
    check.env_remove("DATAVERSE_LISTENER__HTTP__LISTEN");
    let ended = Program::start(&mut check).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    ended.stdout.join("\n")
}

#[test]
fn every_example_is_as_the_schema_says_and_so_is_what_is_in_force_in_it() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for path in examples() {
        for toml in [std::fs::read_to_string(&path).unwrap(), print(&path)] {
            if let Err(error) = validator.validate(&json_of_toml(&toml)) {
                panic!("{}: {error} at {}", path.display(), error.instance_path());
            }
        }
    }
}

#[test]
fn the_example_of_every_key_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dataverse-listener.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let schema = schema();
    for (_, pointer) in TABLES {
        for key in keys(&schema, pointer).into_keys() {
            // The file form of a secret is explained at the top.
            let named = key.strip_suffix("_file").unwrap_or(&key);
            assert!(text.contains(named), "{pointer}: {key}");
        }
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for wrong in [
        "tpyo = 1",
        "[decode]\nmax_nesting = 321",
        "[delivery]\nin_flight_events = 0",
        "[delivery]\nin_flight_events = \"many\"",
        "[[sink]]\nname = \"a\"\ntype = \"stdoot\"",
        "[[sink]]\nname = \"a\"\ntype = \"stdout\"\ndirectory = \"/x\"",
        "[[sink]]\nname = \"a\"\ntype = \"webhook\"\nauth = { type = \"bearer\", user = \"u\" }",
        "[[sink]]\nname = \"a\"\ntype = \"webhook\"\nstatus = { 600 = \"hold\" }",
        "[[hub]]\nstart = \"yesterday\"",
        "[checkpoint]\ninterval = 5",
        "[[route]]\ntable = \"account\"",
    ] {
        assert!(!validator.is_valid(&json_of_toml(wrong)), "{wrong}");
    }
}

//! The folders of the corpus: what is in them, and what is to be read from each body.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dataverse_listener::context::WireFormat;

use super::tree::Tree;
use super::{losses, truth};

/// A folder, and how many bodies it has, so that one that is missing is missed. Three numbers are those in
/// JSON, in XML and in the binary format.
pub(crate) struct Folder {
    pub(crate) name: &'static str,
    messages: usize,
    bodies: [usize; 3],
    /// How many of the bodies have a truth to be compared with.
    pub(crate) told: [usize; 3],
    /// How many bodies are compared with the XML of the same message.
    pub(crate) agreeing: usize,
}

pub(crate) const FOLDERS: &[Folder] = &[
    // One feature each, as the .NET Framework writes them.
    Folder {
        name: "features",
        messages: 30,
        bodies: [30, 30, 30],
        told: [30, 30, 30],
        agreeing: 60,
    },
    // The same as .NET Core writes them, where that differs, by the same truth.
    Folder {
        name: "features-dotnet-core",
        messages: 30,
        bodies: [1, 1, 30],
        told: [1, 1, 30],
        agreeing: 31,
    },
    // Realistic ones.
    Folder {
        name: "random",
        messages: 80,
        bodies: [80, 80, 80],
        told: [80, 80, 80],
        agreeing: 160,
    },
    // Odd wrappings, encodings and shapes.
    Folder {
        name: "odd",
        messages: 28,
        bodies: [20, 21, 16],
        told: [18, 19, 13],
        agreeing: 27,
    },
];

/// What has no truth: a type that nobody knows, and what no number can be. And what is refused without more: strings
/// in a dictionary that does not come with the body. [`super::odd`] reads them.
const UNTOLD: &[&str] = &[
    "x11-static-dictionary",
    "x13-grantaccess-unmodelled-type",
    "x14-nan-inf",
];

impl Folder {
    /// Every body, in the order of the names.
    pub(crate) fn bodies(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        for file in files(self.name) {
            let (id, ending) = file.split_once('.').unwrap();
            if let Some(place) = ENDINGS.iter().position(|known| *known == ending) {
                bodies.push(Body {
                    folder: self.name,
                    id: id.to_owned(),
                    format: FORMATS[place],
                });
            }
        }
        let ids: BTreeSet<_> = bodies.iter().map(|body| &body.id).collect();
        assert_eq!(ids.len(), self.messages, "messages in {}", self.name);
        let of = |format| bodies.iter().filter(|body| body.format == format).count();
        assert_eq!(FORMATS.map(of), self.bodies, "bodies in {}", self.name);
        bodies
    }
}

const ENDINGS: [&str; 3] = ["json", "xml", "bin"];
const FORMATS: [WireFormat; 3] = [WireFormat::Json, WireFormat::Xml, WireFormat::Binary];

/// A body of a message.
pub(crate) struct Body {
    folder: &'static str,
    id: String,
    pub(crate) format: WireFormat,
}

impl Body {
    /// Its file, with the folder.
    pub(crate) fn path(&self) -> String {
        format!(
            "{}/{}.{}",
            self.folder, self.id, ENDINGS[self.format as usize]
        )
    }

    /// Whether it is read as it was written.
    pub(crate) fn is_decodable(&self) -> bool {
        self.id != UNTOLD[0]
    }

    /// Whether a note must say what the context cannot show: keys that came more than once, and in JSON halves of
    /// surrogate pairs, which are none any more in XML.
    pub(crate) fn is_noted(&self) -> bool {
        let is = |start| self.id.starts_with(start);
        is("x27-")
            || (self.format == WireFormat::Json && ["x19-", "x20-", "x21-"].into_iter().any(is))
    }

    /// The XML of the same message, where this is another format; not where enums differ, which are names
    /// there and numbers in JSON.
    pub(crate) fn xml(&self) -> Option<String> {
        let path = match self.folder {
            _ if self.format == WireFormat::Xml || self.id == UNTOLD[1] => return None,
            "features-dotnet-core" if self.format == WireFormat::Binary => {
                format!("features/{}.xml", self.id)
            }
            folder => format!("{folder}/{}.xml", self.id),
        };
        file(&path).exists().then_some(path)
    }

    /// What the context must be by its truth; `None` where there is no such file.
    pub(crate) fn expected(&self) -> Option<Tree> {
        if UNTOLD.contains(&&*self.id) {
            return None;
        }
        let is_core = self.folder == "features-dotnet-core";
        let folder = if is_core { "features" } else { self.folder };
        let truth = |ending: &str| Tree::parse(&text(&format!("{folder}/{}.{ending}", self.id)));
        let (whole, of_json) = ("expected.json", "expected-json.json");
        Some(match (self.format, &*self.id) {
            (WireFormat::Json, "x07-iso-dates") => {
                losses::iso_dates(truth::json_context(&truth(of_json)))
            }
            // A string in the binary format that holds the other formats.
            (WireFormat::Json, _) | (_, "x01-string-wrapped-json") => {
                truth::json_context(&truth(of_json))
            }
            (WireFormat::Xml, _) | (_, "x02-string-wrapped-xml") => truth::context(&truth(whole)),
            (WireFormat::Binary, _) => {
                truth::binary_context(&truth(whole), is_core).with(&losses::unsigned_floating)
            }
        })
    }
}

/// Every body that decodes, those that were published too.
pub(crate) fn decodable() -> Vec<String> {
    let told = FOLDERS.iter().flat_map(Folder::bodies);
    let told = told
        .filter(|body| body.id != UNTOLD[0])
        .map(|body| body.path());
    let published = files("public")
        .into_iter()
        .map(|name| format!("public/{name}"));
    told.chain(published).collect()
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(file(folder)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/corpus")
        .join(name)
}

/// A file of the corpus, named with its folder.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    fs::read(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

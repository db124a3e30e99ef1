//! The bodies that are read: those of the corpus, and larger ones made of one of them.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use dataverse_listener::decoder::{Decoded, decode_as};
use memchr::memmem;

use crate::work::Kind;

/// The body that larger ones are made of, and two of its attributes: from the first up to the second it has
/// attributes of all the usual types. Their names are equally long.
const GROWN: (&str, &str, &str) = ("features/a01-create-account", "accountid", "processid");

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus")
}

/// The bodies of the corpus in a format, the smallest first. Beside NAME.json lies NAME.expected.json, which is none.
pub(crate) fn random(kind: &Kind) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let folder = corpus().join("random");
    let mut bodies = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        let ends = name.to_str().and_then(|name| name.split_once('.'));
        if ends.is_none_or(|(_, rest)| rest != kind.extension) {
            continue;
        }
        let path = folder.join(name);
        let body = fs::read(&path)?;
        decode_as(kind.format, &body).map_err(|error| format!("{}: {error}", path.display()))?;
        bodies.push(body);
    }
    if bodies.is_empty() {
        let extension = kind.extension;
        return Err(format!("{}: no file ends with .{extension}", folder.display()).into());
    }
    bodies.sort_by_key(Vec::len);
    Ok(bodies)
}

/// Members that such a body does not have, from the first up to the second: what one byte costs is to be the same in
/// all of it, and a small one is to be as much attributes as a large one, as far as that goes.
const CUT: &[(&str, &str)] = &[
    ("BusinessUnitId", "InputParameters"),
    ("IsExecutingOffline", "MessageName"),
    ("Mode", "UserId"),
];

/// A body with as many attributes as it takes to be of this size.
///
/// The bytes from one name to another that is as long are whole attributes in every format, wherever one begins.
pub(crate) fn grown(kind: &Kind, size: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let (name, first, last) = GROWN;
    let mut body = fs::read(corpus().join(name).with_extension(kind.extension))?;
    for (first, last) in CUT {
        let find = |name: &str| {
            let member = (kind.member)(name);
            memmem::find(&body, &member).ok_or_else(|| format!("{}: no {name}", kind.name))
        };
        let cut = find(first)?..find(last)?;
        body.drain(cut);
    }
    let find = |name: &str| {
        memmem::find(&body, name.as_bytes()).ok_or_else(|| format!("{}: no {name}", kind.name))
    };
    let (start, end) = (find(first)?, find(last)?);
    let attributes = &body[start..end];
    let decoded = decode_as(kind.format, &body)?;
    let all = names(&decoded);
    let names_of_them: Vec<&str> = all
        .iter()
        .copied()
        .take_while(|name| *name != last)
        .collect();

    let rest = body.len() - attributes.len();
    let copies = size.saturating_sub(rest).div_ceil(attributes.len());
    let mut made = body[..start].to_vec();
    for copy in 0..copies {
        made.extend(renamed(attributes, &names_of_them, copy)?);
    }
    made.extend(&body[end..]);

    let found = names(&decode_as(kind.format, &made)?)
        .iter()
        .collect::<BTreeSet<_>>()
        .len();
    let wanted = all.len() - names_of_them.len() + copies * names_of_them.len();
    if found != wanted {
        return Err(format!("{}: {found} attributes in a body for {wanted}", kind.name).into());
    }
    Ok(made)
}

/// The attributes with names of which the first bytes are a number: names repeated would be repeated members.
fn renamed(attributes: &[u8], names: &[&str], number: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let number = format!("{number:04}");
    let mut made = attributes.to_vec();
    let mut from = 0;
    for name in names {
        let at = memmem::find(&made[from..], name.as_bytes());
        let at = from + at.ok_or_else(|| format!("no {name} after byte {from}"))?;
        made[at..at + number.len()].copy_from_slice(number.as_bytes());
        from = at + name.len();
    }
    Ok(made)
}

/// The names of the attributes of the target.
fn names(decoded: &Decoded) -> Vec<&str> {
    let row = decoded
        .context()
        .target()
        .and_then(|target| target.entity());
    let attributes = row.and_then(|row| row.attributes());
    let attributes = attributes
        .into_iter()
        .flat_map(|attributes| attributes.iter());
    attributes.map(|(name, _)| name).collect()
}

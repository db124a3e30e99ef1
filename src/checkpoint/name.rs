//! Names of namespaces, event hubs, consumer groups and partitions as names of files: each its own, none
//! of them a way out of the directory.
//!
//! What the service takes for one name is one here: it compares all but partitions without regard to case.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands for itself: small letters, digits, and a few marks. Capital letters do not: there are
/// file systems that take them for small ones.
const ENCODED: &AsciiSet = &{
    let mut set = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'$');
    let mut letter = b'A';
    while letter <= b'Z' {
        set = set.add(letter);
        letter += 1;
    }
    set
};

/// What an empty name is written as; nothing else is.
const EMPTY: &str = "%";

/// The name of a file for the name of a partition.
pub(super) fn of_partition(name: &str) -> String {
    let encoded = utf8_percent_encode(name, ENCODED).to_string();
    match encoded.strip_prefix('.') {
        // A hidden file, this directory, or the one above.
        Some(rest) => format!("%2E{rest}"),
        None if encoded.is_empty() => EMPTY.to_owned(),
        None => encoded,
    }
}

/// The name of a file for the name of anything else, whatever its case.
pub(super) fn of_any_case(name: &str) -> String {
    of_partition(&name.to_lowercase())
}

/// The name that a file was named for; none where it was named by somebody else.
pub(super) fn read(file: &str) -> Option<String> {
    let name = match file {
        EMPTY => String::new(),
        _ => percent_decode_str(file).decode_utf8().ok()?.into_owned(),
    };
    (of_partition(&name) == file).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stand_for_themselves_and_others_are_encoded() {
        for (name, expected) in [
            (
                "contoso.servicebus.windows.net",
                "contoso.servicebus.windows.net",
            ),
            ("Dataverse-Events_1", "dataverse-events_1"),
            ("$Default", "$default"),
            ("0", "0"),
            ("", "%"),
            ("%", "%25"),
            (".", "%2E"),
            ("..", "%2E."),
            ("../../etc", "%2E.%2F..%2Fetc"),
            ("a/b", "a%2Fb"),
            ("ä\0", "%C3%A4%00"),
        ] {
            assert_eq!(of_any_case(name), expected, "{name:?}");
        }
        assert_eq!(of_partition("A"), "%41");
    }

    #[test]
    fn what_nobody_here_named_is_not_read() {
        for file in ["lost+found", "Backup", "%2e", "%41%", "%FF", ".x", "a b"] {
            assert_eq!(read(file), None, "{file}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_name_is_one_ordinary_file_of_its_own(name in any::<String>()) {
            let file = of_partition(&name);
            let components: Vec<_> = Path::new(&file).components().collect();
            prop_assert!(matches!(components[..], [Component::Normal(_)]), "{}", file);
            prop_assert!(!file.bytes().any(|byte| byte.is_ascii_control() || byte == b'/'));
            prop_assert_eq!(read(&file), Some(name));
        }
    }
}

//! Numbers that a value may be: `40`, `2..`, `1..3`, or by their names.

/// Some ranges of numbers, of which one must hold the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Reads numbers, `2..` (2 and more), `..2`, `1..3` (3 among them), or one of the `names` that a
    /// number has.
    ///
    /// # Errors
    /// What there may be, as a fragment.
    pub(super) fn new(texts: &[String], names: &[(&str, i64)]) -> Result<Self, String> {
        texts
            .iter()
            .map(|text| range(text, names).ok_or_else(|| expected(names)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn hold(&self, number: i64) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&number))
    }
}

fn range(text: &str, names: &[(&str, i64)]) -> Option<(i64, i64)> {
    let one = |text: &str| -> Option<i64> {
        let named = names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        named
            .map(|(_, number)| *number)
            .or_else(|| text.parse().ok())
    };
    let text = text.trim();
    match text.split_once("..") {
        None => one(text).map(|number| (number, number)),
        Some((first, "")) => one(first).map(|first| (first, i64::MAX)),
        Some(("", last)) => one(last).map(|last| (i64::MIN, last)),
        Some((first, last)) => one(first)
            .zip(one(last))
            .filter(|(first, last)| first <= last),
    }
}

fn expected(names: &[(&str, i64)]) -> String {
    let mut text = "must be numbers, or ranges such as \"2..\" or \"1..3\"".to_owned();
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        text.push_str(", or ");
        text.push_str(&names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_ranges_and_names() {
        let names = [("sync", 0), ("async", 1)];
        for (text, holds, not) in [
            ("2", vec![2], vec![1, 3]),
            ("2..", vec![2, i64::MAX], vec![1]),
            ("..2", vec![i64::MIN, 2], vec![3]),
            ("1..3", vec![1, 2, 3], vec![0, 4]),
            ("Async", vec![1], vec![0]),
        ] {
            let ranges = Ranges::new(&[text.to_owned()], &names).unwrap();
            assert!(holds.iter().all(|n| ranges.hold(*n)), "{text}");
            assert!(!not.iter().any(|n| ranges.hold(*n)), "{text}");
        }
        for text in ["", "x", "3..1", "..", "1..x"] {
            assert_eq!(
                Ranges::new(&[text.to_owned()], &names).unwrap_err(),
                "must be numbers, or ranges such as \"2..\" or \"1..3\", or sync, async",
                "{text}"
            );
        }
    }
}

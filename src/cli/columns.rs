//! Rows of texts as columns for a person.

/// A column stands this far from the one before it.
const GAP: &str = "  ";

/// The rows, a line each, every column as wide as its widest cell; those numbered in `right` are numbers and end where
/// their column ends.
pub(super) fn columns<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|cells| cells[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in rows {
        let padded = cells.iter().zip(widths).enumerate();
        let padded = padded.map(|(column, (cell, width))| match right.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:width$}"),
        });
        let line = padded.collect::<Vec<_>>().join(GAP);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_and_words_begin_where_their_column_does() {
        let rows = [
            ["NAME", "EVENTS", ""],
            ["ä", "12", "remark"],
            ["longer", "1,234,567", ""],
        ];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(&rows, &[1]),
            "NAME       EVENTS\nä              12  remark\nlonger  1,234,567\n"
        );
    }
}

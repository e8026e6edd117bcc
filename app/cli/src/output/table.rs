//! Aligned columns, as Docker prints them.

/// Narrowest column, and the space between two.
const NARROWEST: usize = 10;
const GAP: usize = 3;

/// Aligns lines whose cells are parted by tabs. The last cell of a line is not padded.
pub(crate) fn aligned(lines: &[String]) -> String {
    aligned_from(NARROWEST, lines)
}

/// The same, with a width that no column is narrower than.
pub(crate) fn aligned_from(narrowest: usize, lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split('\t').collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(&rows, column).max(narrowest))
        .collect();
    let mut text = String::new();
    for row in rows {
        let last = row.len() - 1;
        for (cell, width) in row[..last].iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
        }
        text.push_str(row[last]);
        text.push('\n');
    }
    text
}

/// The width of a column; the last cell of a row does not count, since nothing stands behind it.
fn width(rows: &[Vec<&str>], column: usize) -> usize {
    let cells = rows
        .iter()
        .filter(|row| row.len() > column + 1)
        .map(|row| row[column].chars().count());
    cells.max().unwrap_or(0) + GAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_three() {
        let lines = [
            "ID\tNAME\tX".to_owned(),
            "0123456789ab\tq\tlong tail".to_owned(),
        ];
        assert_eq!(
            aligned(&lines),
            "ID             NAME      X\n0123456789ab   q         long tail\n"
        );
        assert_eq!(aligned(&["alone".to_owned()]), "alone\n");
        assert_eq!(aligned(&[]), "");
    }
}

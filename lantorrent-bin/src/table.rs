//! Tables of aligned columns.

use crate::text::clean;

/// Rows under a heading. Cells may hold text from a peer.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned)] }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell).into_owned()));
    }

    /// The table as lines, each with a line end and without trailing blanks.
    pub(crate) fn render(&self) -> String {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_clean() {
        let mut table = Table::new(["node", "outcome"]);
        table.row(["größer".into(), "ok\x1b[1m".into()]);
        table.row(["b".into(), String::new()]);
        assert_eq!(table.render(), "node    outcome\ngrößer  ok\\u{1b}[1m\nb\n");
    }
}

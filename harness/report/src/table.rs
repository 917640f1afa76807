//! A table that is aligned as text and a table as Markdown.

use std::fmt::Write as _;

/// A column: its head, and whether it is aligned to the right, as numbers are.
pub type Column = (&'static str, bool);

/// The table, with an empty line after it; nothing where there are no rows. What stands in the first column is named once,
/// so that its rows are seen to belong together.
pub fn table<const N: usize>(columns: [Column; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut lines = vec![columns.map(|(head, _)| head.to_owned())];
    let mut last = String::new();
    for mut row in rows {
        if row[0] == last {
            row[0].clear();
        } else {
            last.clone_from(&row[0]);
        }
        lines.push(row.map(|text| text.replace('|', "\\|")));
    }
    if lines.len() == 1 {
        return String::new();
    }
    let widths: [usize; N] =
        std::array::from_fn(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default());
    let mut out = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths).zip(columns).map(|((text, width), (_, right))| {
            if right { format!(" {text:>width$} ") } else { format!(" {text:width$} ") }
        });
        let _ = writeln!(out, "|{}|", cells.collect::<Vec<_>>().join("|"));
        if number == 0 {
            let rule = |(width, (_, right)): (usize, Column)| {
                format!("{}{}", "-".repeat(width + 1), if right { ':' } else { '-' })
            };
            let _ = writeln!(out, "|{}|", widths.into_iter().zip(columns).map(rule).collect::<Vec<_>>().join("|"));
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_names_the_first_column_once_and_escapes() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let found = table([("cell", false), ("n", true)], [row("one", "1,000"), row("one", "2"), row("t|o", "3")]);
        let expected = "| cell |     n |\n|------|------:|\n| one  | 1,000 |\n|      |     2 |\n| t\\|o |     3 |\n\n";
        assert_eq!(found, expected);
        assert_eq!(table([("cell", false)], []), "");
    }
}

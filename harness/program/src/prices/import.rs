//! From a list that a user downloaded to a file of `prices/`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context, Result, bail};
use wsceiling_model::platforms::{PriceRecord, RowFault};

pub use super::row::Defaults;
use super::row::{Cells, price};
use super::{csv_list, json_list};

/// Largest list in JSON, in bytes; lists in CSV are read row by row.
const JSON_MAX: u64 = 64 << 20;

/// The rows of a list, before anybody looks at what is in them.
#[derive(Debug, Default, PartialEq)]
pub struct Lines {
    /// Line and cells of each row.
    pub rows: Vec<(usize, Cells)>,
    /// Rows that cannot be read.
    pub bad: Vec<RowFault>,
    /// Names of columns that nobody reads.
    pub unread: Vec<String>,
    /// Rows that are about something else than a plain machine.
    pub other: usize,
}

/// What came of a list.
#[derive(Debug, Default, PartialEq)]
pub struct Import {
    /// The prices.
    pub rows: Vec<PriceRecord>,
    /// Rows that cannot be taken, in the order of their lines.
    pub bad: Vec<RowFault>,
    /// See [`Lines::unread`].
    pub unread: Vec<String>,
    /// See [`Lines::other`].
    pub other: usize,
}

/// Reads a list, CSV or JSON by what is in it.
///
/// # Errors
/// When the file cannot be read, or is no list.
pub fn read(path: &Path, defaults: &Defaults) -> Result<Import> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("failed to open {shown}"))?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().with_context(|| format!("failed to read {shown}"))?;
    let first = String::from_utf8_lossy(start);
    let is_json = first.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with(['[', '{']);
    let lines = if is_json {
        let mut text = String::new();
        reader.take(JSON_MAX + 1).read_to_string(&mut text).with_context(|| format!("failed to read {shown}"))?;
        if text.len() as u64 > JSON_MAX {
            bail!("{shown} is longer than 64 MiB (hint: keep the plans that you need, or give the list as CSV)");
        }
        json_list::rows(&text).map_err(|fault| anyhow::anyhow!("{shown}:{}: {}", fault.line, fault.what))?
    } else {
        csv_list::rows(reader).with_context(|| shown.to_string())?
    };
    Ok(import(lines, defaults))
}

fn import(lines: Lines, defaults: &Defaults) -> Import {
    let Lines { rows, bad, unread, other } = lines;
    let mut import = Import { bad, unread, other, ..Import::default() };
    for (line, cells) in rows {
        let row = match price(&cells, defaults) {
            Ok(row) => row,
            Err(what) => {
                import.bad.push(RowFault { line, what });
                continue;
            }
        };
        match import.rows.iter().find(|known| known.full_name().eq_ignore_ascii_case(&row.full_name())) {
            None => import.rows.push(row),
            Some(known) if *known == row => {}
            Some(_) => {
                let what = format!("`{}` is there twice, with other numbers", row.full_name());
                import.bad.push(RowFault { line, what });
            }
        }
    }
    import.bad.sort_by_key(|fault| fault.line);
    import
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            provider: Some("acme".into()),
            currency: Some("EUR".into()),
            source: "list".into(),
            seen: "2026-11-01".into(),
            today: "2026-11-29".into(),
            ..Defaults::default()
        }
    }

    fn read_text(text: &str) -> Result<Import> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, text).unwrap();
        read(&path, &defaults())
    }

    #[test]
    fn the_same_rows_come_of_csv_and_json() {
        let csv = read_text("plan,cpus,memory,price\na,1,1GiB,5\nb,2,2GiB,9.5\n").unwrap();
        let json = read_text(
            r#"[{"plan":"a","cpus":1,"memory":"1GiB","price":5},{"plan":"b","cpus":2,"memory":"2GiB","price":"9.5"}]"#,
        );
        assert_eq!(csv, json.unwrap());
        assert_eq!(csv.rows.iter().map(PriceRecord::full_name).collect::<Vec<_>>(), ["acme/a", "acme/b"]);
    }

    #[test]
    fn bad_rows_are_named_by_their_lines_and_the_others_are_taken() {
        let import =
            read_text("plan,cpus,memory,price\na,1,1GiB,5\nb,none,2GiB,9\n\nA,1,1GiB,6\na,1,1GiB,5\nc,1\n").unwrap();
        assert_eq!(import.rows.len(), 1);
        let lines: Vec<usize> = import.bad.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [3, 5, 7]);
        assert!(import.bad[1].what.contains("there twice"), "{:?}", import.bad);
    }

    #[test]
    fn what_is_no_list_says_so_with_the_file() {
        let says = |text: &str| format!("{:#}", read_text(text).unwrap_err());
        assert!(says("[\n{\"plan\": }]").contains("list:2: "), "{}", says("[\n{\"plan\": }]"));
        assert!(says("hello").contains("names the columns"));
        assert!(says("").contains("names the columns"));
        assert!(format!("{:#}", read(Path::new("/no/such/list"), &defaults()).unwrap_err()).contains("/no/such/list"));
    }
}

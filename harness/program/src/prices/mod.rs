//! Lists of prices: the ones that a matrix can name, and those that a user has downloaded. Nothing is fetched from anywhere.

mod csv_list;
pub mod import;
mod json_list;
mod row;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wsceiling_model::platforms::{Catalogue, read_prices};

/// Folder of the lists that a user has imported.
pub const FOLDER: &str = "prices";
/// Faults of one file that are told.
const FAULTS_MAX: usize = 5;

/// This moment (RFC 3339, UTC): ages of rows count to its day.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// The prices of the program, of `prices/` in the current folder, and of `prices/` beside a matrix file. Of two rows for one
/// plan the one that was seen later counts; of one day, that of the later folder.
pub fn catalogue(matrix: Option<&Path>) -> Catalogue {
    let beside = matrix.map(|matrix| matrix.parent().unwrap_or(Path::new("")).join(FOLDER));
    let mut folders: Vec<PathBuf> = vec![PathBuf::from(FOLDER)];
    let real = |folder: &Path| folder.canonicalize().ok();
    folders.extend(beside.filter(|beside| real(beside) != real(Path::new(FOLDER))));
    let mut catalogue = Catalogue::on(&now());
    for folder in folders {
        add_folder(&mut catalogue, &folder);
    }
    catalogue
}

/// Adds the rows of every `*.toml` of a folder, which need not be there.
pub fn add_folder(catalogue: &mut Catalogue, folder: &Path) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => return catalogue.add_unreadable(format!("{}: {error}", folder.display())),
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for path in files {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                catalogue.add_unreadable(format!("{}: {error}", path.display()));
                continue;
            }
        };
        match read_prices(&text) {
            Ok(rows) => catalogue.add(rows),
            Err(faults) => {
                for fault in faults.iter().take(FAULTS_MAX) {
                    let one_line = fault.what.replace('\n', " ");
                    catalogue.add_unreadable(format!("{}, line {}: {one_line}", path.display(), fault.line));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[[price]]\nprovider = \"acme\"\nplan = \"s\"\ncpus = 1.0\nmemory_bytes = 1073741824\nprice = 3.0\n\
                       currency = \"EUR\"\nsource = \"a list\"\nseen = \"2026-11-01\"\nmethod = \"as listed\"\n";

    #[test]
    fn every_list_of_a_folder_counts_and_a_bad_one_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), ROW).unwrap();
        std::fs::write(folder.path().join("b.toml"), ROW.replace("\"s\"", "\"m\"")).unwrap();
        std::fs::write(folder.path().join("notes.md"), "no prices").unwrap();
        let mut catalogue = Catalogue::on("2026-11-29");
        add_folder(&mut catalogue, folder.path());
        assert!(catalogue.plan("acme/s").is_ok() && catalogue.plan("acme/m").is_ok());
        assert!(catalogue.unreadable().is_empty());
        std::fs::write(folder.path().join("c.toml"), ROW.replace("cpus = 1.0", "cpus = 0.0")).unwrap();
        add_folder(&mut catalogue, folder.path());
        let said = &catalogue.unreadable()[0];
        assert!(said.contains("c.toml, line ") && said.contains("`cpus`"), "{said}");
        add_folder(&mut catalogue, &folder.path().join("absent"));
        assert_eq!(catalogue.unreadable().len(), 1);
    }
}

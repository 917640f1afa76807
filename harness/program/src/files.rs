//! Files of a report, below a folder.

use std::io;
use std::path::Path;

/// A sink of `wsceiling_report` that writes below `folder`. Folders are made where they are missing, files of an earlier
/// rendering are overwritten, nothing else is touched.
pub fn below(folder: &Path) -> impl FnMut(&str, &[u8]) -> io::Result<()> + '_ {
    move |name, bytes| write(&folder.join(name), bytes)
}

/// Writes one file, making its folder first.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes)
}

/// Bytes of all files below a folder; links count nothing.
pub fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += size(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_files_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut write = below(folder.path());
        for text in ["old", "new"] {
            write("cells/a.html", text.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("cells/a.html")).unwrap(), "new");
        assert!(below(&folder.path().join("cells/a.html"))("x", b"").is_err(), "a file is no folder");
        write("b.svg", b"12345").unwrap();
        assert_eq!(size(folder.path()).unwrap(), 3 + 5);
    }
}

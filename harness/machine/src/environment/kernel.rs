//! The kernel's files, behind one value, so that everything that reads them can be tested on captured trees.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// No kernel file that is read whole is longer than this; it bounds what a strange file can cost.
const LONGEST_FILE_BYTES: u64 = 4 << 20;

/// Where `/proc`, `/sys` and `/etc` are read: the machine, or a folder that looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    root: PathBuf,
}

impl Kernel {
    /// The machine that this process runs on.
    pub fn real() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A tree of captured files: `/proc/stat` is read at `<root>/proc/stat`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether this is the machine itself, and not a captured tree.
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Place of an absolute path in this tree.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// Opens a file for reading.
    pub fn open(&self, absolute: impl AsRef<Path>) -> io::Result<File> {
        File::open(self.path(absolute))
    }

    /// Whether there is a file or folder.
    pub fn exists(&self, absolute: impl AsRef<Path>) -> bool {
        self.path(absolute).exists()
    }

    /// Reads a file whole.
    pub fn read(&self, absolute: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(absolute)?.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a file as trimmed text; `None` where it cannot be read or is empty.
    pub fn text(&self, absolute: impl AsRef<Path>) -> Option<String> {
        let bytes = self.read(absolute).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Reads a file that holds one number.
    pub fn number(&self, absolute: impl AsRef<Path>) -> Option<u64> {
        self.text(absolute)?.parse().ok()
    }

    /// Names in a folder, in no order; names that are not text are left out.
    pub fn names(&self, absolute: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.path(absolute))?;
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
    }

    /// Numeric names in a folder (process, thread and descriptor numbers), ascending; empty where it cannot be read.
    pub fn numbered(&self, absolute: impl AsRef<Path>) -> Vec<u32> {
        let names = self.names(absolute).unwrap_or_default();
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Target of a symbolic link, as text.
    pub fn link(&self, absolute: impl AsRef<Path>) -> Option<String> {
        std::fs::read_link(self.path(absolute)).ok()?.into_os_string().into_string().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_below_its_root_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("proc/7")).unwrap();
        std::fs::create_dir_all(folder.path().join("proc/12")).unwrap();
        std::fs::write(folder.path().join("proc/number"), " 42\n").unwrap();
        let kernel = Kernel::at(folder.path());
        assert_eq!(kernel.number("/proc/number"), Some(42));
        assert_eq!(kernel.numbered("/proc"), [7, 12]);
        assert_eq!(kernel.text("/proc/stat"), None);
        assert!(!kernel.is_real());
        assert!(Kernel::real().text("/proc/stat").is_some());
    }
}

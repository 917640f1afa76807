//! Trees of captured kernel files for tests.

use std::path::Path;

use tempfile::TempDir;

use crate::environment::kernel::Kernel;

/// A folder that looks like the root of a machine.
pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A capture is one text: `=== PATH` begins a file, `--> PATH TARGET` is a symbolic link.
    pub(crate) fn from_capture(text: &str) -> Self {
        let tree = Self::new();
        let mut file: Option<(&str, String)> = None;
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("=== ") {
                if let Some((path, content)) = file.replace((path, String::new())) {
                    tree.write(path, &content);
                }
            } else if let Some((path, target)) = line.strip_prefix("--> ").and_then(|link| link.split_once(' ')) {
                tree.link(path, target);
            } else if let Some((_, content)) = &mut file {
                content.push_str(line);
                content.push('\n');
            }
        }
        if let Some((path, content)) = file {
            tree.write(path, &content);
        }
        tree
    }

    pub(crate) fn kernel(&self) -> Kernel {
        Kernel::at(self.0.path())
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.kernel().path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.kernel().path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        let path = self.kernel().path(path);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

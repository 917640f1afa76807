//! A folder as the caller read it.

use std::collections::{BTreeMap, BTreeSet};

/// The texts of a folder's files, by their paths from it, with `/` between the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its own name; the target is called like it.
    pub name: String,
    /// Texts by path. A file whose text does not matter, like a lock file, may have an empty one.
    pub files: BTreeMap<String, String>,
    /// Names of the folders in it, also of those whose files were left out (`node_modules`).
    pub folders: BTreeSet<String>,
}

impl Folder {
    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether a folder is there.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.folders.contains(name)
    }

    /// Source files with one of these endings, without tests and what browsers load; nearest first.
    pub(crate) fn sources(&self, endings: &[&str]) -> Vec<(&str, &str)> {
        let ending = |path: &str| path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending));
        let wanted = self.files.iter().filter(|(path, _)| ending(path) && !is_aside(path));
        let mut wanted: Vec<(&str, &str)> = wanted.map(|(path, text)| (path.as_str(), text.as_str())).collect();
        wanted.sort_by_key(|(path, _)| (path.matches('/').count(), *path));
        wanted
    }

    /// The first of these files that is there.
    pub(crate) fn first<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Option<&'p str> {
        paths.into_iter().find(|path| self.has(path))
    }
}

/// Whether a path looks like a test, a client or a page.
fn is_aside(path: &str) -> bool {
    let folder =
        |part: &str| ["test", "tests", "__tests__", "spec", "public", "static", "client", "frontend"].contains(&part);
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    // In Go a `client.go` is the server's side of a client more often than a program.
    let programs = file.rsplit_once('.').is_none_or(|(_, ending)| ending != "go");
    let aside = (programs && (stem == "client" || stem.ends_with("-client") || stem.ends_with("_client")))
        || ["browser", "test", "tests", "conftest"].contains(&stem)
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || [".test.", ".spec.", ".config.", ".d."].iter().any(|mark| file.contains(mark));
    aside || parts.any(folder)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder of these files.
    pub(crate) fn folder(files: &[(&str, &str)]) -> Folder {
        let text = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Folder { name: "chat".into(), files: files.iter().map(text).collect(), folders: BTreeSet::new() }
    }

    #[test]
    fn the_nearest_source_comes_first_and_tests_and_clients_do_not() {
        let files = [
            "a/app.js",
            "server.js",
            "client.js",
            "public/page.js",
            "app.test.js",
            "vite.config.js",
            "test_app.js",
            "app_test.js",
            "conftest.js",
            "a.py",
        ];
        let folder = folder(&files.map(|path| (path, "")));
        let found: Vec<_> = folder.sources(&["js"]).into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, ["server.js", "a/app.js"]);
    }
}

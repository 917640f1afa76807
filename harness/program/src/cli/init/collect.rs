//! Reads what `init` looks at: manifests and sources of a folder, and no more of them than a person would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use wsceiling_detect::Folder;

/// Folders of what others wrote or programs made; their names count and their files do not.
const LEFT_OUT: [&str; 14] = [
    "node_modules",
    "target",
    "vendor",
    "dist",
    "build",
    "out",
    "venv",
    "env",
    "__pycache__",
    "coverage",
    "reports",
    "tmp",
    "log",
    "site-packages",
];
/// Endings of the files that are read.
const ENDINGS: [&str; 16] =
    ["js", "mjs", "cjs", "ts", "mts", "tsx", "py", "go", "rs", "rb", "ru", "php", "json", "jsonc", "toml", "yml"];
/// Names of more of them.
const NAMES: [&str; 7] =
    ["Dockerfile", "Gemfile", "Pipfile", "go.mod", "requirements.txt", "compose.yaml", "docker-compose.yaml"];
/// Lock files, of which only the name says something.
const LOCKS: [&str; 9] = [
    "bun.lock",
    "bun.lockb",
    "deno.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "Gemfile.lock",
    "bunfig.toml",
    "uv.lock",
];
/// Deepest folder that is looked at.
const DEEPEST: usize = 4;
/// Most files that are read, and most bytes of each.
const MOST_FILES: usize = 500;
const MOST_BYTES: u64 = 256 << 10;

/// Reads the folder.
///
/// # Errors
/// When it is none, or cannot be listed. What cannot be read below it is left out.
pub(super) fn folder(path: &Path) -> io::Result<Folder> {
    let absolute = path.canonicalize()?;
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut folder = Folder { name, files: BTreeMap::new(), folders: BTreeSet::new() };
    let mut level = look(&mut folder, &absolute, "")?;
    // Level by level, so that the nearest files are read where there are too many.
    for _ in 1..DEEPEST {
        let below = level.iter().filter_map(|(path, inner)| look(&mut folder, path, inner).ok()).flatten().collect();
        level = below;
    }
    Ok(folder)
}

/// Reads the files of one folder, and gives the folders below it.
fn look(folder: &mut Folder, path: &Path, inner: &str) -> io::Result<Vec<(PathBuf, String)>> {
    let mut entries: Vec<_> = fs::read_dir(path)?.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut below = Vec::new();
    for entry in entries {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let inner = if inner.is_empty() { name.clone() } else { format!("{inner}/{name}") };
        // A link to a file is followed; one to a folder may lead in a circle.
        if kind.is_dir() {
            folder.folders.insert(inner.clone());
            if !LEFT_OUT.contains(&name.as_str()) && !name.starts_with('.') {
                below.push((path, inner));
            }
        } else if folder.files.len() < MOST_FILES && fs::metadata(&path).is_ok_and(|data| data.is_file()) {
            folder.files.extend(text(&path, &name).map(|text| (inner, text)));
        }
    }
    Ok(below)
}

/// The text of a file that is of interest.
fn text(path: &Path, name: &str) -> Option<String> {
    if LOCKS.contains(&name) {
        return Some(String::new());
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    if !NAMES.contains(&name) && !ending.is_some_and(|ending| ENDINGS.contains(&ending)) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    // What is so long was made by a program.
    (bytes.len() as u64 <= MOST_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_left_out_and_its_folder_is_known() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("package.json", b"{}");
        write("src/app.ts", b"a\xff");
        write("node_modules/ws/index.js", b"x");
        write(".git/config.toml", b"x");
        write("bun.lockb", b"\x00\x01");
        write("picture.png", b"\x00");
        write("a/b/c/d/e.js", b"x");
        std::os::unix::fs::symlink("src/app.ts", root.path().join("linked.ts")).unwrap();
        std::os::unix::fs::symlink(".", root.path().join("round")).unwrap();
        write("large.js", &vec![b' '; MOST_BYTES as usize + 1]);
        let found = folder(root.path()).unwrap();
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["bun.lockb", "linked.ts", "package.json", "src/app.ts"]);
        assert_eq!(found.files["src/app.ts"], "a\u{fffd}");
        assert!(found.folders.contains("node_modules"));
        assert_eq!(Some(found.name.as_str()), root.path().canonicalize().unwrap().file_name().unwrap().to_str());
        assert!(folder(&root.path().join("none")).is_err());
    }
}

//! Packing a program as the root file system of an image: the very file that bare runs, what it loads, and the files
//! that the target declares, all at the paths they have on this machine. The same content gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::elf::{self, Kind};
use super::io_error::describe;
use super::label::hex_sha256;

/// Most bytes that are packed: the engine and the harness hold all of it in memory for a moment.
const MOST_BYTES: u64 = 1 << 30;
/// Scripts whose interpreter is a script, and so on, end here (the kernel's own limit is 4).
const MOST_SCRIPTS: u32 = 4;

/// A packed root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The tar archive.
    pub tar: Vec<u8>,
    /// SHA-256 of the archive, hex.
    pub sha256: String,
    /// Folders of all packed programs, for the variable `PATH`.
    pub path: String,
    /// Something is packed below `/tmp`, so that nothing may be mounted over it.
    pub uses_tmp: bool,
}

/// An entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder,
    File(PathBuf),
    Link(PathBuf),
}

#[derive(Debug, Default)]
struct Packer {
    entries: BTreeMap<PathBuf, Entry>,
    programs: BTreeSet<PathBuf>,
    bytes: u64,
}

/// Packs a program and more files; `folder` is the working directory and what relative files are relative to.
pub fn pack(program: &Path, files: &[PathBuf], folder: &Path) -> Result<Packed, String> {
    let mut packer = Packer::default();
    packer.program(program, 0)?;
    for file in files {
        packer.tree(&folder.join(file))?;
    }
    packer.folder(folder);
    packer.folder(Path::new("/tmp"));
    // The loader finds libraries outside of its default folders through this cache; it is absent on musl.
    if packer.entries.keys().any(|path| path.to_string_lossy().contains("/ld-linux")) {
        let _ = packer.file(Path::new("/etc/ld.so.cache"));
    }
    let path: Vec<_> = packer.programs.iter().map(|folder| folder.display().to_string()).collect();
    let uses_tmp = packer.entries.keys().any(|path| path.parent().is_some_and(|above| above.starts_with("/tmp")));
    let tar = packer.archive()?;
    Ok(Packed { sha256: hex_sha256(&tar), tar, path: path.join(":"), uses_tmp })
}

impl Packer {
    /// Adds an executable and what it needs.
    fn program(&mut self, program: &Path, depth: u32) -> Result<(), String> {
        let real = self.file(program)?;
        self.programs.extend(program.parent().map(Path::to_owned));
        let bytes = fs::read(&real).map_err(|error| unreadable(&real, &error))?;
        match elf::kind(&bytes) {
            Kind::Static | Kind::Data => Ok(()),
            Kind::Dynamic { loader } => {
                self.file(&loader)?;
                for library in elf::libraries(&real, &loader)? {
                    self.file(&library)?;
                }
                Ok(())
            }
            Kind::Script { .. } if depth == MOST_SCRIPTS => {
                Err(format!("{} is a script of a script, and so on without an end", program.display()))
            }
            Kind::Script { interpreter, argument } => {
                self.program(&interpreter, depth + 1)?;
                match argument.filter(|_| interpreter.ends_with("env")).and_then(|argument| env_program(&argument)) {
                    Some(name) => {
                        let found = which::which(&name).map_err(|_| {
                            format!("{} asks env(1) for `{name}`, which is not on PATH", program.display())
                        })?;
                        self.program(&found, depth + 1)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Adds a file or a folder with everything in it. Links inside of a folder stay links.
    fn tree(&mut self, path: &Path) -> Result<(), String> {
        let data = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !data.is_dir() {
            return self.file(path).map(drop);
        }
        let real = self.link(path)?;
        self.folder(&real);
        let entries = fs::read_dir(&real).map_err(|error| unreadable(&real, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&real, &error))?.path();
            let kind = fs::symlink_metadata(&entry).map_err(|error| unreadable(&entry, &error))?.file_type();
            if kind.is_symlink() {
                let target = fs::read_link(&entry).map_err(|error| unreadable(&entry, &error))?;
                self.entries.insert(entry, Entry::Link(target));
            } else if kind.is_dir() {
                self.tree(&entry)?;
            } else if kind.is_file() {
                self.file(&entry)?;
            }
        }
        Ok(())
    }

    /// Adds a file under its real path, and a link to that where it was asked for by another one.
    fn file(&mut self, path: &Path) -> Result<PathBuf, String> {
        let real = self.link(path)?;
        if self.entries.contains_key(&real) {
            return Ok(real);
        }
        let data = fs::metadata(&real).map_err(|error| unreadable(&real, &error))?;
        if !data.is_file() {
            return Err(format!("cannot pack {}: it is not a file", path.display()));
        }
        self.bytes += data.len();
        if self.bytes > MOST_BYTES {
            return Err(format!("cannot pack {}: there is more than {} MiB to pack", path.display(), MOST_BYTES >> 20));
        }
        real.parent().iter().for_each(|parent| self.folder(parent));
        self.entries.insert(real.clone(), Entry::File(real.clone()));
        Ok(real)
    }

    fn link(&mut self, path: &Path) -> Result<PathBuf, String> {
        let real = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
        // The path without `.` and `..`, whose folders may be links on this machine and are plain folders in the image.
        let parent = path.parent().map_or_else(|| Ok(PathBuf::from("/")), fs::canonicalize);
        let asked = match path.file_name() {
            Some(_) if path.is_absolute() && !path.components().any(|part| part.as_os_str() == "..") => path.to_owned(),
            Some(name) => parent.map_err(|error| unreadable(path, &error))?.join(name),
            None => real.clone(),
        };
        let asked: PathBuf = asked.components().collect();
        if asked != real && !real.starts_with(&asked) && !self.entries.contains_key(&asked) {
            asked.parent().iter().for_each(|parent| self.folder(parent));
            self.entries.insert(asked, Entry::Link(real.clone()));
        }
        Ok(real)
    }

    /// Adds a folder and those above it, without their content.
    fn folder(&mut self, path: &Path) {
        for folder in path.ancestors().filter(|folder| folder.parent().is_some()) {
            self.entries.entry(folder.to_owned()).or_insert(Entry::Folder);
        }
    }

    fn archive(&self) -> Result<Vec<u8>, String> {
        let mut builder = tar::Builder::new(Vec::with_capacity(self.bytes as usize + 4096));
        for (path, entry) in &self.entries {
            self.append(&mut builder, path, entry).map_err(|error| unreadable(path, &error))?;
        }
        builder.into_inner().map_err(|error| format!("cannot pack: {}", describe(&error)))
    }

    fn append(&self, builder: &mut tar::Builder<Vec<u8>>, path: &Path, entry: &Entry) -> std::io::Result<()> {
        // An entry below a link would land somewhere else: the link's target has it already.
        if path.ancestors().skip(1).any(|above| matches!(self.entries.get(above), Some(Entry::Link(_)))) {
            return Ok(());
        }
        let relative = path.strip_prefix("/").unwrap_or(path);
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match entry {
            Entry::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(if path == Path::new("/tmp") { 0o1777 } else { 0o755 });
                builder.append_data(&mut header, relative, std::io::empty())
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                builder.append_link(&mut header, relative, target)
            }
            Entry::File(source) => {
                let content = fs::read(source)?;
                let executable = fs::metadata(source)?.permissions().mode() & 0o111 != 0;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(if executable { 0o755 } else { 0o644 });
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, relative, content.as_slice())
            }
        }
    }
}

/// The program in the argument of `#!/usr/bin/env`: behind `-S` and variables.
fn env_program(argument: &str) -> Option<String> {
    argument.split_whitespace().find(|word| !word.starts_with('-') && !word.contains('=')).map(ToOwned::to_owned)
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot pack {}: {}", path.display(), describe(error))
}

/// A folder as an archive, for an image that the engine builds from a Dockerfile. Links stay links.
pub fn tar_of_folder(folder: &Path) -> Result<Vec<u8>, String> {
    let mut packer = Packer::default();
    let real = fs::canonicalize(folder).map_err(|error| unreadable(folder, &error))?;
    packer.tree(&real)?;
    let below = |path: &Path| path.strip_prefix(&real).ok().map(|below| Path::new("/").join(below));
    let entries = packer.entries.iter().filter_map(|(path, entry)| Some((below(path)?, entry.clone())));
    packer.entries = entries.filter(|(path, _)| path != Path::new("/")).collect();
    packer.archive()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(tar: &[u8]) -> Vec<(String, char, u32)> {
        let mut archive = tar::Archive::new(tar);
        let describe = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let entry = entry.unwrap();
            assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
            let kind = match entry.header().entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                _ => 'f',
            };
            (entry.path().unwrap().display().to_string(), kind, entry.header().mode().unwrap())
        };
        archive.entries().unwrap().map(describe).collect()
    }

    #[test]
    fn a_program_is_packed_with_its_libraries_its_files_and_nothing_twice() {
        let root = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(root.path()).unwrap();
        fs::create_dir_all(folder.join("app/deep")).unwrap();
        fs::write(folder.join("app/deep/data.json"), "{}").unwrap();
        std::os::unix::fs::symlink("deep", folder.join("app/short")).unwrap();
        let packed = pack(Path::new("/bin/sh"), &["app".into(), "app/deep/data.json".into()], &folder).unwrap();
        let list = listing(&packed.tar);
        let kind = |path: &str| list.iter().filter(|(p, _, _)| p == path.trim_start_matches('/')).collect::<Vec<_>>();
        let app = folder.join("app").display().to_string();
        assert_eq!(kind(&format!("{app}/deep/data.json")).len(), 1);
        assert_eq!(kind(&format!("{app}/deep/data.json"))[0].2, 0o644);
        assert_eq!(kind(&format!("{app}/short"))[0].1, 'l');
        assert!(list.iter().any(|(path, _, _)| path.contains("libc")), "{list:?}");
        let shell = fs::canonicalize("/bin/sh").unwrap();
        assert_eq!(kind(&shell.display().to_string())[0].2, 0o755);
        assert!(packed.path.split(':').any(|folder| folder == "/bin"));
        assert_eq!(kind("tmp")[0].2, 0o1777);
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_whatever_the_times() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        fs::write(&file, "1").unwrap();
        let pack = || pack(Path::new("/bin/sh"), std::slice::from_ref(&file), root.path()).unwrap();
        let first = pack();
        fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(pack().sha256, first.sha256);
        fs::write(&file, "2").unwrap();
        assert_ne!(pack().sha256, first.sha256);
    }

    #[test]
    fn a_script_brings_its_interpreter_and_the_one_that_env_finds() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("server");
        fs::write(&script, "#!/usr/bin/env -S sh -u\n").unwrap();
        let list = listing(&pack(&script, &[], root.path()).unwrap().tar);
        let shell = fs::canonicalize(which::which("sh").unwrap()).unwrap().display().to_string();
        assert!(list.iter().any(|(path, _, _)| *path == shell[1..]), "{list:?}");
        assert!(list.iter().any(|(path, _, _)| path.ends_with("bin/env")));
        fs::write(&script, "#!/usr/bin/env no-such-program-x\n").unwrap();
        assert!(pack(&script, &[], root.path()).unwrap_err().contains("`no-such-program-x`, which is not on PATH"));
        fs::write(&script, format!("#!{}\n", script.display())).unwrap();
        assert!(pack(&script, &[], root.path()).unwrap_err().contains("without an end"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = pack(Path::new("/bin/sh"), &["missing.ts".into()], Path::new("/tmp")).unwrap_err();
        assert_eq!(error, "cannot pack /tmp/missing.ts: no such file or directory");
    }

    #[test]
    fn a_build_folder_is_archived_from_its_own_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("src")).unwrap();
        fs::write(root.path().join("Dockerfile"), "FROM scratch").unwrap();
        fs::write(root.path().join("src/a"), "").unwrap();
        let paths: Vec<_> = listing(&tar_of_folder(root.path()).unwrap()).into_iter().map(|entry| entry.0).collect();
        assert_eq!(paths, ["Dockerfile", "src", "src/a"]);
    }
}

//! What an executable needs beside itself: the dynamic loader and the shared libraries of an ELF file, or the
//! interpreter of a script. See elf(5), ld.so(8) (`--list`) and execve(2) (`#!`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::io_error::describe;

/// What a file is to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file that needs nothing.
    Static,
    /// An ELF file with a dynamic loader.
    Dynamic {
        /// Path of the loader.
        loader: PathBuf,
    },
    /// A script: the words behind `#!`.
    Script {
        /// The interpreter.
        interpreter: PathBuf,
        /// The one argument that the kernel passes to it.
        argument: Option<String>,
    },
    /// Anything else.
    Data,
}

/// Type of the program header that names the loader.
const PT_INTERP: u64 = 3;

/// Tells what a file is from its bytes.
pub fn kind(bytes: &[u8]) -> Kind {
    if bytes.starts_with(b"\x7fELF") {
        return match loader(bytes) {
            Some(loader) => Kind::Dynamic { loader },
            None => Kind::Static,
        };
    }
    let Some(rest) = bytes.strip_prefix(b"#!") else { return Kind::Data };
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(255)]).trim().to_owned();
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter.to_owned(), Some(argument.trim().to_owned())),
        None => (line, None),
    };
    if interpreter.is_empty() { Kind::Data } else { Kind::Script { interpreter: interpreter.into(), argument } }
}

/// The loader of an ELF file, 32 or 64 bit, little or big endian.
fn loader(bytes: &[u8]) -> Option<PathBuf> {
    let wide = *bytes.get(4)? == 2;
    let big = *bytes.get(5)? == 2;
    let number = |offset: u64, length: u64| -> Option<u64> {
        let start = usize::try_from(offset).ok()?;
        let field = bytes.get(start..start.checked_add(length as usize)?)?;
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if big { field.iter().fold(0, add) } else { field.iter().rev().fold(0, add) })
    };
    let (table, entry, count) = if wide {
        (number(32, 8)?, number(54, 2)?, number(56, 2)?)
    } else {
        (number(28, 4)?, number(42, 2)?, number(44, 2)?)
    };
    let header = (0..count)
        .map_while(|index| table.checked_add(index * entry))
        .find(|&header| number(header, 4) == Some(PT_INTERP))?;
    let (offset, length) = if wide {
        (number(header.checked_add(8)?, 8)?, number(header.checked_add(32)?, 8)?)
    } else {
        (number(header.checked_add(4)?, 4)?, number(header.checked_add(16)?, 4)?)
    };
    let start = usize::try_from(offset).ok()?;
    let text = bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)?;
    let text = text.split(|&byte| byte == 0).next()?;
    Some(PathBuf::from(std::str::from_utf8(text).ok()?))
}

/// Shared libraries of a dynamic executable with everything they need in turn, as its own loader finds them on this
/// machine. The loader only resolves names (`--list`, which glibc's and musl's know); no code of the program runs.
pub fn libraries(executable: &Path, loader: &Path) -> Result<Vec<PathBuf>, String> {
    let what = || format!("cannot list the shared libraries of {}", executable.display());
    let output = Command::new(loader)
        .arg("--list")
        .arg(executable)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} with {}: {}", what(), loader.display(), describe(&error)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", what(), error.lines().chain(text.lines()).next().unwrap_or("no message")));
    }
    listed(&text).map_err(|missing| format!("{} needs {missing}, which is not on this machine", executable.display()))
}

/// The paths in the loader's list; `Err`: the library that was not found.
fn listed(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, found) = line.split_once(" => ").map_or((line, line), |(name, found)| (name.trim(), found));
        if found.starts_with("not found") {
            return Err(name.to_owned());
        }
        // The kernel's own `linux-vdso.so.1` has no path.
        let path = found.rsplit_once(" (0x").map_or(found, |(path, _)| path).trim();
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_data_are_told_apart() {
        let script = |interpreter: &str, argument: Option<&str>| Kind::Script {
            interpreter: interpreter.into(),
            argument: argument.map(ToOwned::to_owned),
        };
        assert_eq!(kind(b"#!/bin/sh\nexit"), script("/bin/sh", None));
        assert_eq!(kind(b"#! /usr/bin/env -S bun run \n"), script("/usr/bin/env", Some("-S bun run")));
        assert_eq!(kind(b"#!\n"), Kind::Data);
        assert_eq!(kind(b"console.log(1)"), Kind::Data);
        assert_eq!(kind(b""), Kind::Data);
    }

    #[test]
    fn this_test_program_is_dynamic_and_its_libraries_are_found() {
        let executable = std::env::current_exe().unwrap();
        match kind(&std::fs::read(&executable).unwrap()) {
            Kind::Dynamic { loader } => {
                let libraries = libraries(&executable, &loader).unwrap();
                assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libc")), "{libraries:?}");
                assert!(libraries.iter().all(|path| path.is_file()));
            }
            kind => assert_eq!(kind, Kind::Static),
        }
    }

    #[test]
    fn the_loaders_list_is_parsed() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \tlibsp.so => /opt/a b/libsp.so (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/opt/a b/libsp.so", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(listed(text), Ok(expected.map(PathBuf::from).to_vec()));
        assert_eq!(listed("\tstatically linked\n"), Ok(vec![]));
        assert_eq!(listed("\tlibmissing.so.1 => not found\n"), Err("libmissing.so.1".to_owned()));
    }

    #[test]
    fn damaged_files_are_survived() {
        let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.truncate(70);
        assert_eq!(kind(&bytes), Kind::Static);
        bytes[32..40].fill(0xff);
        assert_eq!(kind(&bytes), Kind::Static);
        assert_eq!(kind(b"\x7fELF"), Kind::Static);
    }
}

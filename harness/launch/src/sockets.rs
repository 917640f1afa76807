//! Folders of unix-domain sockets: one a launch, short enough for the kernel, gone with the last instance.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::label::{Life, PREFIX, Stamp};

/// Most bytes of a socket's path: `sun_path` has 108 with the final zero, unix(7).
const LONGEST: usize = 107;

/// A folder that only this user can enter.
#[derive(Debug)]
pub struct SocketFolder {
    path: PathBuf,
}

impl SocketFolder {
    /// Makes a folder below the one for temporary files, or below `/tmp` where that has a long name.
    pub fn create() -> io::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(temporary: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", Stamp::own().for_file_name(), NEXT.fetch_add(1, Ordering::Relaxed));
        let fits = |below: &Path| below.join(&name).join("9999").as_os_str().len() <= LONGEST;
        let below = if fits(temporary) { temporary } else { Path::new("/tmp") };
        let path = below.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path })
    }

    /// Path of an instance's socket.
    pub fn socket(&self, instance: u32) -> PathBuf {
        self.path.join(instance.to_string())
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // The instances are gone; a socket that one of them left is nobody's.
        let _ = remove(&self.path);
    }
}

/// Removes the sockets in a folder and the folder; anything else in it is not ours, and then both stay.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_socket() {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Removes the folders that killed harnesses have left below the folders for temporary files.
pub fn clean(cleaned: &mut super::Cleaned) {
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
    places.dedup();
    for entry in places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten() {
        let name = entry.file_name();
        let stamp = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.rsplit_once('-'));
        let Some(stamp) = stamp.and_then(|(stamp, _)| stamp.parse::<Stamp>().ok()) else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let words = format!("folder {}", entry.path().display());
        match stamp.life() {
            Life::Gone => match remove(&entry.path()) {
                Ok(()) => cleaned.removed.push(words),
                Err(error) => {
                    cleaned.faults.push(format!("cannot remove {words}: {}", super::io_error::describe(&error)));
                }
            },
            Life::Alive | Life::Elsewhere => cleaned.left.push(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_folder_takes_sockets_of_this_user_and_goes_with_them() {
        let folder = SocketFolder::create().unwrap();
        let path = folder.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let _listener = UnixListener::bind(folder.socket(255)).unwrap();
        assert_ne!(SocketFolder::create().unwrap().path, path);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_long_name_of_the_temporary_folder_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let long = root.path().join("x".repeat(90));
        fs::create_dir(&long).unwrap();
        let folder = SocketFolder::below(&long).unwrap();
        assert!(folder.socket(255).as_os_str().len() <= LONGEST);
        assert!(folder.path.starts_with("/tmp"));
        UnixListener::bind(folder.socket(255)).unwrap();
    }

    #[test]
    fn what_a_dead_harness_left_is_cleaned_and_what_is_not_a_socket_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("left");
        fs::create_dir(&folder).unwrap();
        UnixListener::bind(folder.join("0")).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("precious"), "").unwrap();
        assert!(remove(&folder).is_err());
        assert!(folder.join("precious").exists());
    }
}

//! The cgroup below which the harness may make cgroups for bare instances.
//!
//! On v1 that is below the harness's own folder of each controller. On v2 a folder that has processes cannot give
//! controllers to its children ("no internal processes", except in the root), so the nearest folder above that is ours
//! to write and has no processes but the harness is taken, and the harness moves into a leaf of its own if it must.
//! See the kernel's `cgroup-v1/cgroups.rst` and `cgroup-v2.rst`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::io_error;
use super::label::{PREFIX, Stamp};
use wsceiling_machine::environment::hierarchy::{Hierarchies, Membership};
use wsceiling_machine::environment::kernel::Kernel;

/// Controllers that the harness limits and reads.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];

/// Where cgroups may be made.
#[derive(Debug)]
pub enum CgroupParent {
    /// Version 1: a parent folder for each controller, and the unified folder in hybrid mode.
    V1 {
        /// Parent folder by controller.
        parents: BTreeMap<&'static str, PathBuf>,
        /// Parent folder in the unified hierarchy, for its pressure files.
        unified: Option<PathBuf>,
    },
    /// Version 2: one parent folder.
    V2(V2Parent),
    /// Nowhere.
    Nowhere {
        /// Why.
        reason: String,
    },
}

/// The parent folder on version 2, with what must be undone in the end.
#[derive(Debug)]
pub struct V2Parent {
    /// Parent folder.
    pub parent: PathBuf,
    /// Controllers that its children have.
    pub controllers: Vec<&'static str>,
    /// Controllers that the harness switched on there.
    switched_on: Vec<&'static str>,
    /// The leaf that the harness moved into, and the folder that it came from.
    moved: Option<(PathBuf, PathBuf)>,
}

impl CgroupParent {
    /// Looks for it on this machine. Moves the harness on v2 where that is needed, see the module's docs.
    pub fn find() -> Self {
        let kernel = Kernel::real();
        Self::among(&Hierarchies::read(&kernel).memberships_of(&kernel, "self"))
    }

    /// Looks for it among the cgroups that the harness is in.
    pub fn among(memberships: &[Membership]) -> Self {
        let mut parents = BTreeMap::new();
        let mut reasons = Vec::new();
        for name in CONTROLLERS {
            let Some(membership) = memberships.iter().find(|membership| membership.has(name)) else { continue };
            match probe(&membership.folder) {
                Ok(()) => drop(parents.insert(name, membership.folder.clone())),
                Err(error) => reasons.push(refused(&membership.folder, &error)),
            }
        }
        let unified = memberships.iter().find(|membership| membership.is_unified());
        if !parents.is_empty() {
            let unified = unified.map(|membership| membership.folder.clone()).filter(|folder| probe(folder).is_ok());
            return Self::V1 { parents, unified };
        }
        if let Some(reason) = reasons.into_iter().next() {
            return Self::Nowhere { reason };
        }
        match unified {
            Some(membership) => V2Parent::find(membership).map_or_else(|reason| Self::Nowhere { reason }, Self::V2),
            None => Self::Nowhere { reason: "no cgroup hierarchy with cpu, memory or pids is mounted".to_owned() },
        }
    }
}

impl V2Parent {
    fn find(membership: &Membership) -> Result<Self, String> {
        let mut first_reason = None;
        for folder in membership.folder.ancestors().take_while(|folder| folder.starts_with(&membership.mount)) {
            match Self::at(folder, &membership.folder) {
                Ok(found) => return Ok(found),
                Err(reason) => drop(first_reason.get_or_insert(reason)),
            }
        }
        Err(first_reason.unwrap_or_else(|| format!("{} is not in a cgroup", membership.folder.display())))
    }

    fn at(folder: &Path, own: &Path) -> Result<Self, String> {
        let here = |error: io::Error| refused(folder, &error);
        let available = words(&folder.join("cgroup.controllers")).map_err(here)?;
        let wanted: Vec<_> = CONTROLLERS.into_iter().filter(|name| available.iter().any(|word| word == name)).collect();
        if wanted.is_empty() {
            return Err(format!("{} has none of the controllers cpu, memory and pids", folder.display()));
        }
        // Moving a process needs write access to the `cgroup.procs` of the nearest folder above both ends.
        fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs")).map_err(here)?;
        probe(folder).map_err(here)?;
        // Only the real root has no type; there, processes may stay beside children with controllers.
        let is_root = !folder.join("cgroup.type").exists();
        let processes = words(&folder.join("cgroup.procs")).map_err(here)?;
        let me = std::process::id().to_string();
        if !is_root && processes.iter().any(|pid| *pid != me) {
            return Err(format!(
                "other processes are in {} and keep its controllers from being used",
                folder.display()
            ));
        }
        let mut found = Self { parent: folder.to_owned(), controllers: vec![], switched_on: vec![], moved: None };
        if !is_root && !processes.is_empty() {
            found.move_harness(own).map_err(here)?;
        }
        found.switch_on(&wanted).map_err(here)?;
        Ok(found)
    }

    fn move_harness(&mut self, own: &Path) -> io::Result<()> {
        let leaf = self.parent.join(format!("{PREFIX}harness@{}", Stamp::own().for_file_name()));
        fs::create_dir(&leaf)?;
        if let Err(error) = fs::write(leaf.join("cgroup.procs"), std::process::id().to_string()) {
            let _ = fs::remove_dir(&leaf);
            return Err(error);
        }
        self.moved = Some((leaf, own.to_owned()));
        Ok(())
    }

    fn switch_on(&mut self, wanted: &[&'static str]) -> io::Result<()> {
        let file = self.parent.join("cgroup.subtree_control");
        let already = words(&file)?;
        let mut fault = None;
        for &name in wanted {
            if already.iter().any(|word| word == name) {
                self.controllers.push(name);
                continue;
            }
            match fs::write(&file, format!("+{name}")) {
                Ok(()) => {
                    self.controllers.push(name);
                    self.switched_on.push(name);
                }
                Err(error) => fault = Some(error),
            }
        }
        match fault {
            Some(error) if self.controllers.is_empty() => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for V2Parent {
    /// Leaves the tree as it was found: controllers off, the harness back where it came from, its leaf gone.
    fn drop(&mut self) {
        for name in &self.switched_on {
            let _ = fs::write(self.parent.join("cgroup.subtree_control"), format!("-{name}"));
        }
        if let Some((leaf, own)) = self.moved.take() {
            let _ = fs::write(own.join("cgroup.procs"), std::process::id().to_string());
            let _ = fs::remove_dir(leaf);
        }
    }
}

/// Whether a cgroup can be made below a folder: by making one.
fn probe(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!("{PREFIX}probe@{}", Stamp::own().for_file_name()));
    match fs::create_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::remove_dir(&probe),
    }
}

fn refused(folder: &Path, error: &io::Error) -> String {
    format!("no cgroup can be made in {}: {}", folder.display(), io_error::describe(error))
}

fn words(path: &Path) -> io::Result<Vec<String>> {
    Ok(fs::read_to_string(path)?.split_whitespace().map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(controllers: &[&str], mount: &Path, below: &str) -> Membership {
        let controllers = controllers.iter().map(|&name| name.to_owned()).collect();
        Membership { controllers, path: Path::new("/").join(below), mount: mount.to_owned(), folder: mount.join(below) }
    }

    /// A folder of files that looks like a cgroup of v2 to the code above.
    fn fake(folder: &Path, processes: &str, root: bool) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        fs::write(folder.join("cgroup.subtree_control"), "memory pids\n").unwrap();
        fs::write(folder.join("cgroup.procs"), processes).unwrap();
        if !root {
            fs::write(folder.join("cgroup.type"), "domain\n").unwrap();
        }
    }

    #[test]
    fn nothing_mounted_is_a_reason_and_not_a_fault() {
        let CgroupParent::Nowhere { reason } = CgroupParent::among(&[]) else { panic!("a parent from nothing") };
        assert_eq!(reason, "no cgroup hierarchy with cpu, memory or pids is mounted");
    }

    #[test]
    fn v1_takes_every_controller_that_can_be_written() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/mine")).unwrap();
        let memberships = [
            membership(&["memory"], &root.path().join("memory"), "mine"),
            membership(&["pids"], &root.path().join("pids"), "x"),
        ];
        let CgroupParent::V1 { parents, unified } = CgroupParent::among(&memberships) else { panic!("no v1 parent") };
        assert_eq!(parents.into_iter().collect::<Vec<_>>(), [("memory", root.path().join("memory/mine"))]);
        assert_eq!(unified, None);
        assert_eq!(fs::read_dir(root.path().join("memory/mine")).unwrap().count(), 0, "the probe is gone");
    }

    #[test]
    fn a_tree_that_cannot_be_written_gives_the_reason() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory"), "a file, in which nobody can make a folder").unwrap();
        let CgroupParent::Nowhere { reason } =
            CgroupParent::among(&[membership(&["memory"], &root.path().join("memory"), "")])
        else {
            panic!("a found in a file")
        };
        assert!(reason.starts_with("no cgroup can be made in /"), "{reason}");
        assert!(reason.ends_with(": not a directory"), "{reason}");
    }

    #[test]
    fn v2_climbs_past_a_folder_with_other_processes_and_switches_on_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), "", true);
        fake(&root.path().join("slice"), "", false);
        fake(&root.path().join("slice/scope"), "1\n2\n", false);
        let CgroupParent::V2(found) = CgroupParent::among(&[membership(&[], root.path(), "slice/scope")]) else {
            panic!("no v2 found")
        };
        assert_eq!(found.parent, root.path().join("slice"));
        assert_eq!(found.controllers, ["cpu", "memory", "pids"]);
        assert_eq!((&found.switched_on, &found.moved), (&vec!["cpu"], &None));
        drop(found);
        assert_eq!(fs::read_to_string(root.path().join("slice/cgroup.subtree_control")).unwrap(), "-cpu");
    }

    #[test]
    fn v2_moves_the_harness_out_of_its_own_folder_and_back() {
        let root = tempfile::tempdir().unwrap();
        let me = std::process::id().to_string();
        fake(root.path(), &format!("{me}\n"), false);
        let leaf = root.path().join(format!("{PREFIX}harness@{}", Stamp::own().for_file_name()));
        let CgroupParent::V2(found) = CgroupParent::among(&[membership(&[], root.path(), "")]) else {
            panic!("no v2 found")
        };
        assert_eq!(fs::read_to_string(leaf.join("cgroup.procs")).unwrap(), me);
        drop(found);
        assert_eq!(fs::read_to_string(root.path().join("cgroup.procs")).unwrap(), me);
    }

    #[test]
    fn v2_with_nothing_but_crowded_folders_says_so() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), "1\n", false);
        let CgroupParent::Nowhere { reason } = CgroupParent::among(&[membership(&[], root.path(), "")]) else {
            panic!("a found among others")
        };
        assert!(reason.starts_with("other processes are in "), "{reason}");
    }
}

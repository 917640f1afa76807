//! A bare instance's own cgroup: made with the limits of its size before the instance starts, gone after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroup_parent::CgroupParent;
use super::io_error::describe;
use wsceiling_machine::cgroup::Cgroup;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::AppliedLimit;

/// Period of the CPU quota in microseconds: the kernel's and Docker's default.
pub const CPU_PERIOD_US: u64 = 100_000;

/// A cgroup that is removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct OwnCgroup {
    /// Its folders by controller.
    pub cgroup: Cgroup,
    folders: Vec<PathBuf>,
}

impl OwnCgroup {
    /// Makes a cgroup called `name` (one component of a path) with the limits of a size. Also returns how each limit was
    /// applied: a machine that does not let the harness make cgroups is a fact to record, not an error.
    pub fn create(cgroup_parent: &CgroupParent, name: &str, size: Option<&Size>) -> (Option<Self>, Vec<AppliedLimit>) {
        let made = match cgroup_parent {
            CgroupParent::V1 { parents, unified } => Self::make_v1(parents, unified.as_deref(), name),
            CgroupParent::V2(v2) => Self::make(&v2.parent, name).map(|folder| {
                let cgroup = Cgroup::unified(folder.clone(), |name| v2.controllers.contains(&name));
                Self { cgroup, folders: vec![folder] }
            }),
            CgroupParent::Nowhere { reason } => Err(reason.clone()),
        };
        match made {
            Ok(own) => {
                let limits = own.apply(size);
                (Some(own), limits)
            }
            Err(reason) => {
                let refused = |(name, value)| AppliedLimit::not_enforced(name, value, reason.clone());
                (None, wanted(size).map(refused).collect())
            }
        }
    }

    fn make(parent: &Path, name: &str) -> Result<PathBuf, String> {
        let folder = parent.join(name);
        fs::create_dir(&folder)
            .map_err(|error| format!("cannot make the cgroup {}: {}", folder.display(), describe(&error)))?;
        Ok(folder)
    }

    fn make_v1(
        parents: &std::collections::BTreeMap<&'static str, PathBuf>,
        unified: Option<&Path>,
        name: &str,
    ) -> Result<Self, String> {
        let mut own = Self { cgroup: Cgroup { version: 1, ..Cgroup::default() }, folders: vec![] };
        for (&controller, parent) in parents {
            let folder = parent.join(name);
            if !own.folders.contains(&folder) {
                Self::make(parent, name)?;
                own.folders.push(folder.clone());
            }
            let slot = match controller {
                "cpu" => &mut own.cgroup.cpu,
                "cpuacct" => &mut own.cgroup.cpuacct,
                "memory" => &mut own.cgroup.memory,
                _ => &mut own.cgroup.pids,
            };
            *slot = Some(folder);
        }
        if let Some(folder) = unified.and_then(|parent| Self::make(parent, name).ok()) {
            own.folders.push(folder.clone());
            own.cgroup.pressure = Some(folder);
        }
        Ok(own)
    }

    fn apply(&self, size: Option<&Size>) -> Vec<AppliedLimit> {
        wanted(size)
            .map(|(name, value)| match self.write_limit(name, value) {
                Ok(by) => AppliedLimit::enforced(name, value, &by),
                Err(reason) => AppliedLimit::not_enforced(name, value, reason),
            })
            .collect()
    }

    fn write_limit(&self, name: &str, value: f64) -> Result<String, String> {
        let v1 = self.cgroup.version == 1;
        let quota = (value * CPU_PERIOD_US as f64).round() as u64;
        let (folder, file, text) = match (name, v1) {
            ("cpus", true) => (&self.cgroup.cpu, "cpu.cfs_quota_us", quota.to_string()),
            ("cpus", false) => (&self.cgroup.cpu, "cpu.max", format!("{quota} {CPU_PERIOD_US}")),
            ("memory_bytes", true) => (&self.cgroup.memory, "memory.limit_in_bytes", format!("{value:.0}")),
            ("memory_bytes", false) => (&self.cgroup.memory, "memory.max", format!("{value:.0}")),
            _ => (&self.cgroup.pids, "pids.max", format!("{value:.0}")),
        };
        let version = self.cgroup.version;
        let folder =
            folder.as_ref().ok_or_else(|| format!("the cgroup has no {file}: its controller is not available"))?;
        if file == "cpu.cfs_quota_us" {
            let _ = fs::write(folder.join("cpu.cfs_period_us"), CPU_PERIOD_US.to_string());
        }
        fs::write(folder.join(file), &text)
            .map_err(|error| format!("cannot write {text} to {file}: {}", describe(&error)))?;
        // Swap would let a server hold more than its memory. Docker switches it off in the same way. Neither file
        // exists on a kernel without swap accounting; then the limit is one of memory alone.
        match file {
            "memory.limit_in_bytes" => drop(fs::write(folder.join("memory.memsw.limit_in_bytes"), &text)),
            "memory.max" => drop(fs::write(folder.join("memory.swap.max"), "0")),
            _ => {}
        }
        Ok(format!("cgroup{version} {file}"))
    }

    /// The `cgroup.procs` files that a process enters by writing `0` into each.
    pub fn procs_files(&self) -> io::Result<Vec<File>> {
        self.folders.iter().map(|folder| OpenOptions::new().write(true).open(folder.join("cgroup.procs"))).collect()
    }

    /// Kills everything that is inside.
    pub fn kill(&self) {
        for folder in &self.folders {
            kill_tree(folder);
        }
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            remove_tree(folder);
        }
    }
}

/// Limits that a size asks of a cgroup.
fn wanted(size: Option<&Size>) -> impl Iterator<Item = (&'static str, f64)> {
    let number = |value: Option<u64>| value.map(|value| value as f64);
    [
        ("cpus", size.and_then(|size| size.cpus)),
        ("memory_bytes", size.and_then(|size| number(size.memory_bytes))),
        ("pids", size.and_then(|size| number(size.pids))),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// Processes inside a cgroup folder and the folders below it.
pub fn members(folder: &Path) -> Vec<i32> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    pids.extend(children(folder).iter().flat_map(|child| members(child)));
    pids
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn kill_tree(folder: &Path) {
    // `cgroup.kill` (v2, since Linux 5.14) takes forks along; elsewhere a second look finds them.
    let written =
        OpenOptions::new().write(true).open(folder.join("cgroup.kill")).and_then(|mut file| file.write_all(b"1"));
    if written.is_err() {
        for pid in members(folder).into_iter().filter(|&pid| pid > 1) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Removes a cgroup folder, the folders below it and whatever runs inside. A folder is busy for a moment after its last
/// process died, so this waits up to half a second. Returns whether it is gone.
pub fn remove_tree(folder: &Path) -> bool {
    for _ in 0..250 {
        for child in children(folder) {
            remove_tree(&child);
        }
        match fs::remove_dir(folder) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(_) => kill_tree(folder),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size() -> Size {
        Size { cpus: Some(0.5), memory_bytes: Some(64 << 20), pids: Some(32), ..Size::unlimited("small") }
    }

    #[test]
    fn without_a_parent_every_limit_is_recorded_with_the_reason() {
        let cgroup_parent = CgroupParent::Nowhere { reason: "permission denied".to_owned() };
        let (own, limits) = OwnCgroup::create(&cgroup_parent, "x", Some(&size()));
        assert!(own.is_none());
        let names: Vec<_> = limits.iter().map(|limit| (limit.name.as_str(), limit.value)).collect();
        assert_eq!(names, [("cpus", 0.5), ("memory_bytes", 67_108_864.0), ("pids", 32.0)]);
        assert!(limits.iter().all(|limit| limit.enforced_by.is_none() && limit.reason.is_some()));
    }

    #[test]
    fn v1_limits_are_written_to_the_files_of_their_controllers() {
        let root = tempfile::tempdir().unwrap();
        let parents = ["cpu", "memory"].map(|name| (name, root.path().join(name)));
        for (_, folder) in &parents {
            fs::create_dir(folder).unwrap();
        }
        let cgroup_parent = CgroupParent::V1 { parents: parents.into_iter().collect(), unified: None };
        let (own, limits) = OwnCgroup::create(&cgroup_parent, "x", Some(&size()));
        let cgroup = own.as_ref().unwrap().cgroup.clone();
        let read =
            |folder: &Option<PathBuf>, file: &str| fs::read_to_string(folder.as_ref().unwrap().join(file)).unwrap();
        assert_eq!(read(&cgroup.cpu, "cpu.cfs_quota_us"), "50000");
        assert_eq!(read(&cgroup.cpu, "cpu.cfs_period_us"), "100000");
        assert_eq!(read(&cgroup.memory, "memory.limit_in_bytes"), "67108864");
        assert_eq!(limits[1].enforced_by.as_deref(), Some("cgroup1 memory.limit_in_bytes"));
        assert_eq!(limits[2].reason.as_deref(), Some("the cgroup has no pids.max: its controller is not available"));
        // Ordinary files stay in an ordinary folder: the removal must end and not hang.
        for folder in [cgroup.cpu, cgroup.memory].into_iter().flatten() {
            fs::remove_dir_all(folder).unwrap();
        }
        drop(own);
    }

    #[test]
    fn a_size_without_limits_and_no_size_ask_for_nothing() {
        assert_eq!((wanted(Some(&Size::unlimited("none"))).count(), wanted(None).count()), (0, 0));
    }
}

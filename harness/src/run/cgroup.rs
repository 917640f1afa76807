//! Finding the cgroup of a process that somebody else started, as the engine does with containers.

use std::path::{Path, PathBuf};

use crate::environment::hierarchy::{Hierarchies, memberships};
use crate::environment::kernel::Kernel;
use crate::run::launch::Cgroup;

/// Folders of the cgroup that a process runs in, on v1, v2 and hybrid.
///
/// `None` where it has none of its own: it is gone, it runs in the root cgroup or in the one of this process, or its
/// folders are not mounted here. A controller for which that holds is absent in the same way.
pub fn cgroup_of_pid(pid: u32) -> Option<Cgroup> {
    cgroup_of_pid_in(&Kernel::real(), pid)
}

/// [`cgroup_of_pid`], read from a tree.
pub fn cgroup_of_pid_in(kernel: &Kernel, pid: u32) -> Option<Cgroup> {
    let found = Finder::new(kernel, pid)?;
    let v1 = |controller| found.v1(controller);
    let (cpu, memory, pids) = (v1("cpu").or_else(|| v1("cpuacct")), v1("memory"), v1("pids"));
    let unified = found.unified();
    if cpu.is_some() || memory.is_some() || pids.is_some() {
        return Some(Cgroup { version: 1, cpu, cpuacct: v1("cpuacct"), memory, pids, pressure: unified });
    }
    // In hybrid mode the unified tree has no controllers to speak of: nothing but pressure can be read there.
    let folder = unified.filter(|_| found.hierarchies.mount_point("cpu") == found.hierarchies.unified_point())?;
    let controllers = kernel.text(folder.join("cgroup.controllers")).unwrap_or_default();
    let with = |name: &str| controllers.split_whitespace().any(|word| word == name).then(|| folder.clone());
    // cpu.stat has the usage in every folder, with and without the controller.
    let (memory, pids) = (with("memory"), with("pids"));
    Some(Cgroup {
        version: 2,
        cpu: Some(folder.clone()),
        cpuacct: Some(folder.clone()),
        memory,
        pids,
        pressure: Some(folder),
    })
}

/// Folder of the `cpuacct` controller of a process, where that has a mount of its own beside `cpu` (v1).
pub(super) fn cpuacct_of_pid(kernel: &Kernel, pid: u32) -> Option<PathBuf> {
    Finder::new(kernel, pid)?.v1("cpuacct")
}

struct Finder {
    hierarchies: Hierarchies,
    theirs: Vec<(Vec<String>, PathBuf)>,
    ours: Vec<(Vec<String>, PathBuf)>,
}

impl Finder {
    fn new(kernel: &Kernel, pid: u32) -> Option<Self> {
        let theirs = memberships(&kernel.read(format!("/proc/{pid}/cgroup")).ok()?);
        let ours = memberships(&kernel.read("/proc/self/cgroup").unwrap_or_default());
        Some(Self { hierarchies: Hierarchies::read(kernel), theirs, ours })
    }

    fn v1(&self, controller: &str) -> Option<PathBuf> {
        let is = |names: &[String]| names.iter().any(|name| name == controller);
        self.hierarchies.v1_folder(controller, self.own(is)?)
    }

    fn unified(&self) -> Option<PathBuf> {
        self.hierarchies.unified_folder(self.own(<[String]>::is_empty)?)
    }

    /// Path of the process in a hierarchy, unless everything, or this process too, is accounted there.
    fn own(&self, is: impl Fn(&[String]) -> bool) -> Option<&Path> {
        let path_in = |all: &'_ [(Vec<String>, PathBuf)]| all.iter().position(|(names, _)| is(names));
        let path = &self.theirs[path_in(&self.theirs)?].1;
        let shared = path_in(&self.ours).is_some_and(|index| self.ours[index].1 == *path);
        (path != Path::new("/") && !shared).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sample::tree::Tree;

    const V1: &str = "1 0 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
        2 0 0:2 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n\
        3 0 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        4 0 0:4 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

    fn find(mounts: &str, ours: &str, theirs: &str, controllers: &[(&str, &str)]) -> Option<Cgroup> {
        let tree = Tree::new();
        tree.write("/proc/self/mountinfo", mounts);
        tree.write("/proc/self/cgroup", ours);
        tree.write("/proc/9/cgroup", theirs);
        for (path, text) in controllers {
            tree.write(path, text);
        }
        cgroup_of_pid_in(&tree.kernel(), 9)
    }

    #[test]
    fn a_container_on_v1_has_a_folder_for_each_controller() {
        let theirs = "4:pids:/docker/ab\n3:memory:/docker/ab\n2:cpuacct:/docker/ab\n1:cpu:/docker/ab\n0::/\n";
        let found = find(V1, "3:memory:/\n", theirs, &[]).unwrap();
        assert_eq!(found.version, 1);
        assert_eq!(found.cpu, Some("/sys/fs/cgroup/cpu/docker/ab".into()));
        assert_eq!(found.memory, Some("/sys/fs/cgroup/memory/docker/ab".into()));
        assert_eq!(found.pids, Some("/sys/fs/cgroup/pids/docker/ab".into()));
        assert_eq!(found.pressure, None);
    }

    #[test]
    fn hybrid_adds_the_folder_with_the_pressure() {
        let mounts = format!("{V1}5 0 0:5 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        let controllers = [("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n")];
        let found = find(&mounts, "", "3:memory:/docker/ab\n0::/docker/ab\n", &controllers).unwrap();
        assert_eq!(found.version, 1);
        assert_eq!(found.pressure, Some("/sys/fs/cgroup/unified/docker/ab".into()));
        assert_eq!(found.cpu, None);
    }

    #[test]
    fn version_2_is_one_folder_and_lacks_what_its_parent_does_not_give() {
        let mounts = "5 0 0:5 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let scope = "/sys/fs/cgroup/system.slice/docker-ab.scope";
        let own = format!("{scope}/cgroup.controllers");
        let controllers = [("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"), (own.as_str(), "cpu memory\n")];
        let found = find(mounts, "0::/user.slice\n", "0::/system.slice/docker-ab.scope\n", &controllers).unwrap();
        assert_eq!(found.version, 2);
        assert_eq!(found.cpu, Some(scope.into()));
        assert_eq!(found.memory, Some(scope.into()));
        assert_eq!(found.pids, None);
        assert_eq!(found.pressure, Some(scope.into()));
    }

    #[test]
    fn the_root_and_our_own_cgroup_are_nobodys_own() {
        assert_eq!(find(V1, "", "3:memory:/\n1:cpu:/\n", &[]), None);
        assert_eq!(find(V1, "3:memory:/job\n", "3:memory:/job\n", &[]), None);
        assert_eq!(find(V1, "", "", &[]), None);
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(cgroup_of_pid(u32::MAX), None);
    }
}

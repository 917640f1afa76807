//! The cgroup of a component: its folders by controller, on v1, v2 and both at once (hybrid).

use std::path::{Path, PathBuf};

use crate::environment::hierarchy::{CgroupVersion, Hierarchies, Membership};
use crate::environment::kernel::Kernel;
use crate::environment::parse::keyed;

/// Folders of a component's own cgroup, by controller. On v2 all of them are the same folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Version of the hierarchy that has the controllers: 1 or 2.
    pub version: u8,
    /// Folder of `cpu` (v1: `cpu.stat` counts throttling), or the unified folder.
    pub cpu: Option<PathBuf>,
    /// Folder of `cpuacct` (v1: `cpuacct.usage`), often the same as `cpu` but not where they are mounted apart; or the
    /// unified folder.
    pub cpuacct: Option<PathBuf>,
    /// Folder of `memory`, or the unified folder.
    pub memory: Option<PathBuf>,
    /// Folder of `pids`, or the unified folder.
    pub pids: Option<PathBuf>,
    /// Folder that has the `*.pressure` files: the unified folder, also in hybrid mode.
    pub pressure: Option<PathBuf>,
}

impl Cgroup {
    /// The unified folder of v2, with those of `memory` and `pids` that its parent gives it.
    pub fn unified(folder: PathBuf, has: impl Fn(&str) -> bool) -> Self {
        let with = |name| has(name).then(|| folder.clone());
        Self {
            version: 2,
            // `cpu.stat` has the usage in every folder, with and without the controller.
            cpu: Some(folder.clone()),
            cpuacct: Some(folder.clone()),
            memory: with("memory"),
            pids: with("pids"),
            pressure: Some(folder),
        }
    }

    /// Processes that the kernel has killed for memory in this cgroup: v1 `memory.oom_control` (since Linux 4.13), v2
    /// `memory.events`, both the line `oom_kill`.
    pub fn oom_kills(&self) -> Option<u64> {
        let file = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        keyed(&std::fs::read(self.memory.as_ref()?.join(file)).ok()?, "oom_kill")
    }
}

/// The cgroup that a process of this machine has of its own, whoever started it.
///
/// `None` where it has none: it is gone, it runs in the root cgroup or in the one of this process, or its folders are not
/// mounted here. A controller for which that holds is absent in the same way.
pub fn cgroup_of_pid(pid: u32) -> Option<Cgroup> {
    cgroup_of_pid_in(&Kernel::real(), pid)
}

/// [`cgroup_of_pid`], read from a tree.
pub fn cgroup_of_pid_in(kernel: &Kernel, pid: u32) -> Option<Cgroup> {
    let hierarchies = Hierarchies::read(kernel);
    let ours = hierarchies.memberships_of(kernel, "self");
    let mut own = hierarchies.memberships_of(kernel, pid);
    own.retain(|membership| membership.path != Path::new("/") && !ours.contains(membership));
    let folder = |is: &dyn Fn(&Membership) -> bool| own.iter().find(|one| is(one)).map(|one| one.folder.clone());
    let v1 = |controller: &str| folder(&|one| one.has(controller));
    let (cpu, cpuacct, memory, pids) = (v1("cpu"), v1("cpuacct"), v1("memory"), v1("pids"));
    let pressure = folder(&Membership::is_unified);
    if [&cpu, &cpuacct, &memory, &pids].into_iter().any(Option::is_some) {
        return Some(Cgroup { version: 1, cpu, cpuacct, memory, pids, pressure });
    }
    // In hybrid mode the unified tree has no controllers to speak of: nothing but pressure can be read there.
    let folder = pressure.filter(|_| hierarchies.version() == CgroupVersion::V2)?;
    let controllers = kernel.text(folder.join("cgroup.controllers")).unwrap_or_default();
    Some(Cgroup::unified(folder, |name| controllers.split_whitespace().any(|word| word == name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

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
        assert_eq!(found.cpuacct, Some("/sys/fs/cgroup/cpuacct/docker/ab".into()));
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

    #[test]
    fn controllers_that_are_mounted_together_share_a_folder() {
        let mounts = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
                      34 25 0:30 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory\n";
        let theirs = "4:cpu,cpuacct:/user.slice\n3:memory:/user.slice\n2:pids:/x\n";
        let found = find(mounts, "", theirs, &[]).unwrap();
        assert_eq!(found.cpu, Some("/sys/fs/cgroup/cpu,cpuacct/user.slice".into()));
        assert_eq!(found.cpuacct, found.cpu);
        assert_eq!((found.pids, found.pressure), (None, None));
    }

    #[test]
    fn kills_are_counted_from_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .unwrap();
        std::fs::write(folder.path().join("memory.events"), "low 0\nmax 9\noom 1\noom_kill 2\n").unwrap();
        let memory = Some(folder.path().to_owned());
        assert_eq!(Cgroup { version: 1, memory: memory.clone(), ..Cgroup::default() }.oom_kills(), Some(3));
        assert_eq!(Cgroup { version: 2, memory, ..Cgroup::default() }.oom_kills(), Some(2));
        assert_eq!(Cgroup { version: 2, ..Cgroup::default() }.oom_kills(), None);
    }
}

//! Which cgroup hierarchies the machine has, where they are mounted, and which of their folders a process is in.
//!
//! Sources: `/proc/PID/mountinfo` (`Documentation/filesystems/proc.rst`), `/proc/PID/cgroup` (`man 7 cgroups`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component as Part, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kernel::Kernel;
use super::parse::{lines, words};

/// Which cgroup version has the controllers of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupVersion {
    /// No cgroup file system is mounted.
    None,
    /// Only hierarchies of version 1.
    V1,
    /// Controllers on version 1, and a unified tree (with `*.pressure`) beside them.
    Hybrid,
    /// The unified tree has the controllers.
    V2,
}

impl std::fmt::Display for CgroupVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::V1 => "v1",
            Self::Hybrid => "hybrid (v1 controllers, v2 pressure)",
            Self::V2 => "v2",
        })
    }
}

/// One mounted cgroup file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// Folder inside the hierarchy that is mounted: `/`, or a container's own part.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
    /// Controllers of a version 1 hierarchy; `None`: the unified tree.
    v1: Option<Vec<String>>,
}

/// The cgroup of a process in one mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Controllers of a v1 hierarchy (`name=systemd` counts as one); empty: the unified tree.
    pub controllers: Vec<String>,
    /// Path in the hierarchy; `/` is its root, in which everything is accounted.
    pub path: PathBuf,
    /// Where the hierarchy is mounted.
    pub mount: PathBuf,
    /// The folder of the process.
    pub folder: PathBuf,
}

impl Membership {
    /// Whether this is in the unified tree.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Whether this is in the hierarchy of a v1 controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }
}

/// The mounted cgroup file systems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    mounts: Vec<Mount>,
    v2_controllers: Vec<String>,
}

/// Options of a v1 mount that are no controllers.
const NOT_CONTROLLERS: [&str; 6] = ["rw", "ro", "clone_children", "xattr", "noprefix", "cpuset_v2_mode"];

impl Hierarchies {
    /// Reads the mounts of this process.
    pub fn read(kernel: &Kernel) -> Self {
        let text = kernel.read("/proc/self/mountinfo").unwrap_or_default();
        let mounts: Vec<Mount> = lines(&text).filter_map(mount).collect();
        let unified = mounts.iter().find(|mount| mount.v1.is_none());
        let v2_controllers = unified
            .and_then(|mount| kernel.text(mount.point.join("cgroup.controllers")))
            .map(|text| text.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default();
        Self { mounts, v2_controllers }
    }

    /// Which version has the controllers.
    pub fn version(&self) -> CgroupVersion {
        let unified = self.mounts.iter().any(|mount| mount.v1.is_none());
        let v1 = ["cpu", "memory", "pids", "cpuacct"].iter().any(|name| self.v1_mount(name).is_some());
        match (v1, unified) {
            (true, true) => CgroupVersion::Hybrid,
            (true, false) => CgroupVersion::V1,
            (false, true) => CgroupVersion::V2,
            (false, false) => CgroupVersion::None,
        }
    }

    /// All controllers, sorted.
    pub fn controllers(&self) -> Vec<String> {
        let v1 = self.mounts.iter().filter_map(|mount| mount.v1.as_ref()).flatten();
        let named = v1.filter(|name| !name.contains('='));
        let mut all: Vec<String> = named.chain(&self.v2_controllers).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Where the hierarchy of a controller is mounted, whichever its version.
    pub fn mount_point(&self, controller: &str) -> Option<&Path> {
        let of_unified = || self.unified().filter(|_| self.v2_controllers.iter().any(|name| name == controller));
        self.v1_mount(controller).or_else(of_unified).map(|mount| mount.point.as_path())
    }

    /// Where the unified tree is mounted.
    pub fn unified_point(&self) -> Option<&Path> {
        self.unified().map(|mount| mount.point.as_path())
    }

    /// The memberships of a process, a number or `self`. Hierarchies that are not mounted, or only in a part that does not
    /// show the process, are left out; a process that is gone has none.
    pub fn memberships_of(&self, kernel: &Kernel, process: impl std::fmt::Display) -> Vec<Membership> {
        self.memberships(&kernel.read(format!("/proc/{process}/cgroup")).unwrap_or_default())
    }

    /// The memberships that a `/proc/PID/cgroup` lists.
    fn memberships(&self, text: &[u8]) -> Vec<Membership> {
        entries(text).filter_map(|(controllers, path)| self.membership(controllers, path)).collect()
    }

    fn membership(&self, controllers: Vec<String>, path: PathBuf) -> Option<Membership> {
        let is_here = |mount: &&Mount| match &mount.v1 {
            None => controllers.is_empty(),
            Some(names) => !controllers.is_empty() && controllers.iter().all(|name| names.contains(name)),
        };
        let shown = |mount: &Mount| Some((mount.point.clone(), folder(mount, &path)?));
        let (mount, folder) = self.mounts.iter().filter(is_here).find_map(shown)?;
        Some(Membership { controllers, path, mount, folder })
    }

    fn v1_mount(&self, controller: &str) -> Option<&Mount> {
        let has = |mount: &&Mount| mount.v1.as_ref().is_some_and(|names| names.iter().any(|name| name == controller));
        self.mounts.iter().find(has)
    }

    fn unified(&self) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.v1.is_none())
    }
}

/// A path of `/proc/PID/cgroup` below a mount. `None`: the mount does not show that cgroup.
fn folder(mount: &Mount, path: &Path) -> Option<PathBuf> {
    // A cgroup outside of our namespace is shown as `/../..`: nothing that is mounted here leads to it.
    if path.components().any(|part| part == Part::ParentDir) {
        return None;
    }
    let below = path.strip_prefix(&mount.root).ok()?;
    // Joined part by part, since an empty path would leave a slash at the end.
    Some(mount.point.components().chain(below.components()).collect())
}

/// `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu`
fn mount(line: &[u8]) -> Option<Mount> {
    let all: Vec<&[u8]> = words(line).collect();
    let dash = all.iter().position(|word| *word == b"-")?;
    let v1 = match *all.get(dash + 1)? {
        b"cgroup2" => None,
        b"cgroup" => {
            let options = String::from_utf8_lossy(all.get(dash + 3)?);
            Some(options.split(',').filter(|word| !NOT_CONTROLLERS.contains(word)).map(str::to_owned).collect())
        }
        _ => return None,
    };
    Some(Mount { root: unescape(all.get(3)?), point: unescape(all.get(4)?), v1 })
}

/// Mount paths carry space, tab, newline and backslash as three octal digits behind a backslash.
fn unescape(word: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((byte, tail)) = rest.split_first() {
        let octal = (*byte == b'\\').then(|| tail.get(..3)).flatten();
        let escaped = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(plain))
}

/// Lines of `/proc/PID/cgroup`: the controllers (empty for the unified tree) and the path.
fn entries(text: &[u8]) -> impl Iterator<Item = (Vec<String>, PathBuf)> {
    lines(text).filter_map(|line| {
        let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
        let controllers = String::from_utf8_lossy(parts.next()?).into_owned();
        let path = PathBuf::from(OsString::from_vec(parts.next()?.to_vec()));
        Some((controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(), path))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::tree::Tree;

    fn read(mountinfo: &str, controllers: &str) -> Hierarchies {
        let tree = Tree::new();
        tree.write("/proc/self/mountinfo", mountinfo);
        tree.write("/sys/fs/cgroup/cgroup.controllers", controllers);
        Hierarchies::read(&tree.kernel())
    }

    fn folders(hierarchies: &Hierarchies, cgroup: &str) -> Vec<String> {
        hierarchies
            .memberships(cgroup.as_bytes())
            .iter()
            .map(|membership| membership.folder.display().to_string())
            .collect()
    }

    #[test]
    fn version_2_has_its_controllers_in_the_unified_tree() {
        let found = read(
            "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
            "cpuset cpu io memory pids\n",
        );
        assert_eq!(found.version(), CgroupVersion::V2);
        assert_eq!(found.mount_point("memory"), Some(Path::new("/sys/fs/cgroup")));
        assert_eq!(found.mount_point("devices"), None);
        assert_eq!(found.controllers(), ["cpu", "cpuset", "io", "memory", "pids"]);
        assert_eq!(folders(&found, "0::/a/b\n"), ["/sys/fs/cgroup/a/b"]);
    }

    #[test]
    fn hybrid_has_controllers_on_v1_also_where_two_share_a_mount() {
        let found = read(
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             38 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "",
        );
        assert_eq!(found.version(), CgroupVersion::Hybrid);
        let memberships = found.memberships(b"2:cpu,cpuacct:/x\n1:pids:/y\n0::/z\n");
        assert!(memberships[0].has("cpuacct") && !memberships[0].is_unified() && memberships[1].is_unified());
        assert_eq!(memberships[0].folder, Path::new("/sys/fs/cgroup/cpu,cpuacct/x"));
        assert_eq!(memberships[1].folder, Path::new("/sys/fs/cgroup/unified/z"));
        assert_eq!(memberships.len(), 2, "pids is not mounted: {memberships:?}");
    }

    #[test]
    fn a_mount_of_a_part_of_the_hierarchy_shows_that_part_only() {
        let found = read("32 31 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "");
        assert_eq!(found.version(), CgroupVersion::V1);
        assert_eq!(folders(&found, "4:memory:/docker/abc/inner\n"), ["/sys/fs/cgroup/memory/inner"]);
        assert_eq!(folders(&found, "4:memory:/docker/abc\n"), ["/sys/fs/cgroup/memory"]);
        assert_eq!(folders(&found, "4:memory:/docker/other\n4:memory:/../other\n"), [""; 0]);
    }

    #[test]
    fn of_two_mounts_of_a_hierarchy_the_one_that_shows_the_cgroup_counts() {
        let found = read(
            "32 31 0:29 /docker/abc /mnt/part ro - cgroup cgroup rw,memory\n\
             33 31 0:29 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            "",
        );
        assert_eq!(folders(&found, "4:memory:/docker/abc/x\n"), ["/mnt/part/x"]);
        assert_eq!(folders(&found, "4:memory:/other\n"), ["/sys/fs/cgroup/memory/other"]);
    }

    #[test]
    fn mount_paths_are_unescaped() {
        assert_eq!(unescape(br"/my\040folder\\x"), PathBuf::from(r"/my folder\\x"));
        assert_eq!(unescape(br"/end\04"), PathBuf::from(r"/end\04"));
        let found = read("x\n1 2 3\n30 23 0:26 / /mnt/c\\040g rw - cgroup2 cgroup2 rw\n- - -\n", "");
        assert_eq!(folders(&found, "nonsense\n0::/a\n"), ["/mnt/c g/a"]);
    }

    #[test]
    fn this_process_is_below_the_mounts() {
        let kernel = Kernel::real();
        let hierarchies = Hierarchies::read(&kernel);
        let memberships = hierarchies.memberships_of(&kernel, "self");
        assert_eq!(memberships.is_empty(), hierarchies.version() == CgroupVersion::None);
        assert!(
            memberships.iter().all(|membership| membership.folder.starts_with(&membership.mount)),
            "{memberships:?}"
        );
        assert_eq!(hierarchies.memberships_of(&kernel, u32::MAX), []);
    }

    #[test]
    fn a_cgroup_path_may_hold_colons() {
        let found: Vec<_> = entries(b"4:memory:/a:b\n0::/system.slice/docker-1.scope\ngarbage\n").collect();
        assert_eq!(found[0], (vec!["memory".to_owned()], "/a:b".into()));
        assert_eq!(found[1], (vec![], "/system.slice/docker-1.scope".into()));
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (mount(&text), entries(&text).count(), unescape(&text));
        }
    }
}

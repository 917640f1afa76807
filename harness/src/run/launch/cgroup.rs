//! Where the cgroups of a process are: `/proc/PID/cgroup` and `/proc/self/mountinfo`, for v1, v2 and both at once
//! (hybrid). See cgroups(7), and proc(5) for the fields of `mountinfo`.

use std::path::{Component, Path, PathBuf};

use super::Cgroup;

/// The folder of one process in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Controllers of a v1 hierarchy (`name=systemd` counts as one); empty: the unified hierarchy of v2.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted.
    pub mount: PathBuf,
    /// The folder of the process.
    pub folder: PathBuf,
}

impl Place {
    /// Whether this is the unified hierarchy.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }
}

/// A mounted hierarchy.
struct Mount {
    root: PathBuf,
    point: PathBuf,
    unified: bool,
    options: Vec<String>,
}

/// The places of a process, from the texts of its `/proc/PID/cgroup` and of `mountinfo`. Hierarchies that are not
/// mounted, or that are mounted from another root than the process is under, are left out.
pub fn places(cgroup: &str, mountinfo: &str) -> Vec<Place> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(parse_mount).collect();
    cgroup.lines().filter_map(|line| place(line, &mounts)).collect()
}

fn place(line: &str, mounts: &[Mount]) -> Option<Place> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, Path::new(parts.next()?));
    // A path through `..` is outside of this cgroup namespace: there is no folder for it here.
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let controllers: Vec<String> =
        controllers.split(',').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
    mounts
        .iter()
        .filter(|mount| match controllers.as_slice() {
            [] => mount.unified,
            names => !mount.unified && names.iter().all(|name| mount.options.contains(name)),
        })
        .find_map(|mount| {
            let below = path.strip_prefix(&mount.root).ok()?;
            Some(Place {
                controllers: controllers.clone(),
                mount: mount.point.clone(),
                folder: mount.point.components().chain(below.components()).collect(),
            })
        })
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (unescape(before.next()?), unescape(before.next()?));
    let mut after = after.split(' ');
    let unified = match after.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let options = after.nth(1).unwrap_or("").split(',').map(ToOwned::to_owned).collect();
    Some(Mount { root, point, unified, options })
}

/// Undoes the kernel's octal escapes (`\040` for a blank).
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = octal.filter(|_| first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// The places of a living process of this machine.
pub fn places_of(pid: u32) -> Vec<Place> {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    places(&read(format!("/proc/{pid}/cgroup")), &read("/proc/self/mountinfo".to_owned()))
}

/// The folders of a process, by controller: v1's where a controller is mounted there, else the unified folder.
pub fn cgroup_from(places: &[Place]) -> Option<Cgroup> {
    let v1 = |name: &str| {
        places.iter().find(|place| place.controllers.iter().any(|c| c == name)).map(|place| place.folder.clone())
    };
    let unified = places.iter().find(|place| place.is_unified()).map(|place| place.folder.clone());
    let (cpu, cpuacct, memory, pids) = (v1("cpu"), v1("cpuacct"), v1("memory"), v1("pids"));
    let version = if cpu.is_some() || memory.is_some() { 1 } else { 2 };
    if version == 2 {
        let folder = unified?;
        let same = Some(folder);
        let (cpu, cpuacct, memory) = (same.clone(), same.clone(), same.clone());
        return Some(Cgroup { version, cpu, cpuacct, memory, pids: same.clone(), pressure: same });
    }
    Some(Cgroup { version, cpu, cpuacct, memory, pids, pressure: unified })
}

/// The cgroup of a living process; `None`: it is gone, or nothing of it is mounted here.
pub fn cgroup_of_pid(pid: u32) -> Option<Cgroup> {
    cgroup_from(&places_of(pid))
}

/// Processes that the kernel has killed for memory in this cgroup: v1 `memory.oom_control` (since Linux 4.13), v2
/// `memory.events`, both the line `oom_kill`.
pub fn oom_kills(cgroup: &Cgroup) -> Option<u64> {
    let file = if cgroup.version == 1 { "memory.oom_control" } else { "memory.events" };
    let text = std::fs::read_to_string(cgroup.memory.as_ref()?.join(file)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 master:2 - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hybrid_takes_the_controllers_from_v1_and_the_pressure_from_v2() {
        let text = "9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n2:cpuacct:/\n1:cpu:/docker/c0\n0::/docker/c0\n";
        let cgroup = cgroup_from(&places(text, HYBRID_MOUNTS)).unwrap();
        assert_eq!(cgroup.version, 1);
        assert_eq!(cgroup.cpu.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu/docker/c0")));
        assert_eq!(cgroup.cpuacct.as_deref(), Some(Path::new("/sys/fs/cgroup/cpuacct")));
        assert_eq!(cgroup.memory.as_deref(), Some(Path::new("/sys/fs/cgroup/memory/a/b")));
        assert_eq!(cgroup.pids.as_deref(), Some(Path::new("/sys/fs/cgroup/pids")));
        assert_eq!(cgroup.pressure.as_deref(), Some(Path::new("/sys/fs/cgroup/unified/docker/c0")));
    }

    #[test]
    fn v1_controllers_that_are_mounted_together_share_a_folder() {
        let mounts = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
                      34 25 0:30 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory\n";
        let cgroup =
            cgroup_from(&places("4:cpu,cpuacct:/user.slice\n3:memory:/user.slice\n2:pids:/x\n", mounts)).unwrap();
        assert_eq!(cgroup.cpu, cgroup.cpuacct);
        assert_eq!(cgroup.cpu.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/user.slice")));
        assert_eq!((cgroup.pids, cgroup.pressure), (None, None));
    }

    #[test]
    fn v2_has_one_folder_for_everything() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let text = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope\n";
        let folder = Path::new("/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope");
        let cgroup = cgroup_from(&places(text, mounts)).unwrap();
        assert_eq!(cgroup.version, 2);
        for part in [&cgroup.cpu, &cgroup.cpuacct, &cgroup.memory, &cgroup.pids, &cgroup.pressure] {
            assert_eq!(part.as_deref(), Some(folder));
        }
    }

    #[test]
    fn inside_a_container_the_mounts_root_is_taken_off() {
        let mounts = "300 299 0:32 /docker/c0 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let inside = places("4:memory:/docker/c0/child\n", mounts);
        assert_eq!(inside[0].folder, Path::new("/sys/fs/cgroup/memory/child"));
        assert_eq!(places("4:memory:/docker/other\n", mounts), []);
        assert_eq!(places("0::/../../elsewhere\n", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), []);
    }

    #[test]
    fn escaped_mount_points_and_damaged_lines_are_survived() {
        let mounts = "x\n1 2 3\n30 23 0:26 / /mnt/c\\040g rw - cgroup2 cgroup2 rw\n- - -\n";
        assert_eq!(places("nonsense\n0::/a\n", mounts)[0].folder, Path::new("/mnt/c g/a"));
        assert_eq!(cgroup_from(&places("", "")), None);
    }

    #[test]
    fn this_process_has_places() {
        for place in places_of(std::process::id()) {
            assert!(place.folder.starts_with(&place.mount));
        }
    }

    #[test]
    fn kills_are_counted_from_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .unwrap();
        std::fs::write(folder.path().join("memory.events"), "low 0\nmax 9\noom 1\noom_kill 2\n").unwrap();
        let memory = Some(folder.path().to_owned());
        assert_eq!(oom_kills(&Cgroup { version: 1, memory: memory.clone(), ..Cgroup::default() }), Some(3));
        assert_eq!(oom_kills(&Cgroup { version: 2, memory, ..Cgroup::default() }), Some(2));
        assert_eq!(oom_kills(&Cgroup { version: 2, ..Cgroup::default() }), None);
    }
}

//! Cleaning up after runs that were killed: containers, networks and images by label, cgroups and folders by name, processes
//! by their environment. What belongs to a run whose harness lives is never touched.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::EngineStatus;
use super::docker::{Engine, Whose};
use super::label::{ENV_HARNESS, Life, Stamp, stamp_of_cgroup};
use super::own_cgroup::{members, remove_tree};
use wsceiling_machine::environment::hierarchy::Hierarchies;
use wsceiling_machine::environment::kernel::Kernel;

/// Most folders of a cgroup hierarchy that are looked at.
const MOST_FOLDERS: usize = 200_000;

/// What `clean` removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// What was removed: `container NAME`, `network NAME`, `image TAG`, `cgroup PATH`, `folder PATH`, `process PID (NAME)`.
    pub removed: Vec<String>,
    /// What was left alone, because its run lives or cannot be seen from here.
    pub left: Vec<String>,
    /// Removals that failed, with the reason.
    pub faults: Vec<String>,
    /// Why the engine was not looked at; `None`: it was.
    pub engine: Option<String>,
}

/// Removes everything that killed runs have left on this machine.
pub async fn clean() -> Cleaned {
    let mut cleaned = Cleaned::default();
    clean_processes(Path::new("/proc"), &mut cleaned);
    clean_cgroups(&mut cleaned);
    super::sockets::clean(&mut cleaned);
    match Engine::connect().await {
        Ok(engine) => {
            let swept = engine.sweep(&Whose::TheDead).await;
            cleaned.removed.extend(swept.removed);
            cleaned.left.extend(swept.left);
            cleaned.faults.extend(swept.faults);
        }
        Err(EngineStatus::Down { reason, .. }) => cleaned.engine = Some(reason),
        Err(_) => {}
    }
    cleaned
}

fn clean_processes(proc: &Path, cleaned: &mut Cleaned) {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for pid in pids.filter(|&pid| pid > 1 && pid.cast_unsigned() != std::process::id()) {
        let folder = proc.join(pid.to_string());
        // The environment of other users' processes cannot be read, and they could not be ended either.
        let Some(stamp) = fs::read(folder.join("environ")).ok().and_then(|environ| stamp_in(&environ)) else {
            continue;
        };
        let program = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        let name = format!("process {pid} ({})", program.trim());
        match stamp.life() {
            Life::Gone => match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) => cleaned.removed.push(name),
                Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => cleaned.faults.push(format!("cannot kill {name}: {}", error.desc().to_lowercase())),
            },
            Life::Alive | Life::Elsewhere => cleaned.left.push(name),
        }
    }
}

/// The harness's stamp in the bytes of `/proc/PID/environ`.
fn stamp_in(environ: &[u8]) -> Option<Stamp> {
    let entry = environ
        .split(|&byte| byte == 0)
        .find_map(|entry| entry.strip_prefix(ENV_HARNESS.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
    std::str::from_utf8(entry).ok()?.parse().ok()
}

fn clean_cgroups(cleaned: &mut Cleaned) {
    let kernel = Kernel::real();
    let memberships = Hierarchies::read(&kernel).memberships_of(&kernel, "self");
    let mut mounts: Vec<PathBuf> = memberships.into_iter().map(|one| one.mount).collect();
    mounts.sort();
    mounts.dedup();
    for folder in mounts.iter().flat_map(|mount| find_cgroups(mount)) {
        let Some(stamp) = stamp_of_cgroup(&folder) else { continue };
        let name = format!("cgroup {}", folder.display());
        match stamp.life() {
            Life::Gone => {
                let processes = members(&folder).len();
                if remove_tree(&folder) {
                    cleaned.removed.push(name);
                } else {
                    cleaned.faults.push(format!("cannot remove {name}, with {processes} processes in it"));
                }
            }
            Life::Alive | Life::Elsewhere => cleaned.left.push(name),
        }
    }
}

/// Folders below `root` that carry the name of an instance's cgroup. Their own content is not searched.
fn find_cgroups(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open, mut seen) = (Vec::new(), vec![root.to_owned()], 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            seen += 1;
            if stamp_of_cgroup(&entry.path()).is_some() {
                found.push(entry.path());
            } else if seen < MOST_FOLDERS {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::cgroup_name;

    #[test]
    fn the_stamp_is_read_from_an_environment() {
        let own = Stamp::own();
        let environ = format!("PATH=/bin\0{ENV_HARNESS}X=1\0{ENV_HARNESS}={own}\0LAST=\u{e4}\0");
        assert_eq!(stamp_in(environ.as_bytes()), Some(own));
        assert_eq!(stamp_in(b"PATH=/bin\0"), None);
        assert_eq!(stamp_in(format!("{ENV_HARNESS}=1:2").as_bytes()), None);
    }

    #[test]
    fn cgroups_are_found_by_name_at_any_depth() {
        let root = tempfile::tempdir().unwrap();
        let mine = root.path().join("a/b").join(cgroup_name("run", "cell.1.0-0"));
        fs::create_dir_all(mine.join("inner")).unwrap();
        fs::create_dir_all(root.path().join("a/wsceiling-of-a-user")).unwrap();
        assert_eq!(find_cgroups(root.path()), [mine]);
    }

    #[test]
    fn a_process_of_this_live_harness_is_left_alone_and_one_of_a_dead_harness_is_killed() {
        use std::os::unix::process::ExitStatusExt as _;
        let own = Stamp::own();
        let dead = Stamp { start: own.start + 1, ..own };
        let sleeper = |stamp: Stamp| {
            std::process::Command::new("sleep").arg("60").env(ENV_HARNESS, stamp.to_string()).spawn().unwrap()
        };
        let mut alive = sleeper(own);
        let mut cleaned = Cleaned::default();
        // Another test that cleans at the same moment may be the one that ends the orphan, and names it.
        let named = (0..20).any(|_| {
            let mut orphan = sleeper(dead);
            clean_processes(Path::new("/proc"), &mut cleaned);
            assert_eq!(orphan.wait().unwrap().signal(), Some(9));
            cleaned.removed.contains(&format!("process {} (sleep)", orphan.id()))
        });
        assert!(named, "{cleaned:?}");
        assert!(alive.try_wait().unwrap().is_none());
        assert!(cleaned.left.contains(&format!("process {} (sleep)", alive.id())), "{cleaned:?}");
        alive.kill().unwrap();
        alive.wait().unwrap();
    }
}

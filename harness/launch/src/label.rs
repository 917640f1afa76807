//! Labels: how everything that a run creates says whose it is, so that `clean` finds what a killed run left behind and
//! never touches what belongs to a run that is still alive.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

/// Label of every container, network and image of this program.
pub const LABEL: &str = "dev.wsceiling";
/// Label that carries the run's id.
pub const LABEL_RUN: &str = "dev.wsceiling.run";
/// Label that carries the harness's [`Stamp`].
pub const LABEL_HARNESS: &str = "dev.wsceiling.harness";
/// Environment variable of a bare instance that carries the run's id.
pub const ENV_RUN: &str = "WSCEILING_RUN";
/// Environment variable of a bare instance that carries the harness's [`Stamp`].
pub const ENV_HARNESS: &str = "WSCEILING_HARNESS";
/// Environment variable of a worker in a swarm that carries the name of its node.
pub const ENV_NODE: &str = "WSCEILING_NODE";
/// Environment variable of a worker in a swarm that carries its number, from 1.
pub const ENV_SLOT: &str = "WSCEILING_SLOT";
/// Start of the name of everything that has a name: containers, networks, cgroups.
pub const PREFIX: &str = "wsceiling-";
/// Longest name made of a run's id and a trial's; a cgroup folder may have 255 bytes, with the stamp.
const NAME_MAX: usize = 140;

/// A process that cannot be confused with a later one of the same number: `pid:start:namespace:machine`.
///
/// `start` is field 22 of `/proc/PID/stat` (clock ticks since boot, proc(5)); `namespace` is the inode of its PID
/// namespace, because a PID means nothing in another one; `machine` says on which machine that is, because several may
/// share an engine, and the first namespace of every machine has the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start: u64,
    /// Inode of the PID namespace; 0 where it could not be read.
    pub namespace: u64,
    /// Hash of the machine's id; 0 in stamps that have none.
    pub machine: u64,
}

/// Whether a stamp's process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It lives.
    Alive,
    /// It is gone.
    Gone,
    /// It lives in another PID namespace or on another machine, which cannot be seen from here.
    Elsewhere,
}

impl Stamp {
    /// The stamp of this process.
    pub fn own() -> Self {
        static OWN: OnceLock<Stamp> = OnceLock::new();
        *OWN.get_or_init(|| {
            let pid = std::process::id();
            Self { pid, start: start_of(pid).unwrap_or(0), namespace: own_namespace(), machine: own_machine() }
        })
    }

    /// Whether the process lives.
    pub fn life(self) -> Life {
        if self.namespace != own_namespace() || self.machine != own_machine() {
            return Life::Elsewhere;
        }
        if start_of(self.pid) == Some(self.start) { Life::Alive } else { Life::Gone }
    }

    /// The stamp in a form that fits a file name: `pid-start-namespace-machine`.
    pub fn for_file_name(self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.pid, self.start, self.namespace, self.machine)
    }
}

impl FromStr for Stamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not the stamp of a harness");
        let mut parts = text.split([':', '-']).map(str::parse::<u64>);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(fault);
        let (pid, start, namespace) = (next()?, next()?, next()?);
        // Without a machine it is a stamp of an earlier version, of whom nobody knows where it ran.
        let machine = next().unwrap_or(0);
        Ok(Self { pid: u32::try_from(pid).map_err(|_| fault())?, start, namespace, machine })
    }
}

/// The stamp of a living process of this PID namespace.
pub fn stamp_of(pid: u32) -> Option<Stamp> {
    Some(Stamp { pid, start: start_of(pid)?, namespace: own_namespace(), machine: own_machine() })
}

/// Start of a living process in clock ticks since boot; `None`: it is gone, or a zombie.
fn start_of(pid: u32) -> Option<u64> {
    start_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The start time in a text of `/proc/PID/stat`. The name of the program, in parentheses, may hold anything.
fn start_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn own_namespace() -> u64 {
    std::fs::read_link("/proc/self/ns/pid")
        .ok()
        .and_then(|link| link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok())
        .unwrap_or(0)
}

/// Hash of `/etc/machine-id` (machine-id(5)), which outlives a restart of the machine; where there is none, of the id of
/// its boot (random(4)).
fn own_machine() -> u64 {
    static OWN: OnceLock<u64> = OnceLock::new();
    *OWN.get_or_init(|| {
        let files = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"];
        let id = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).find(|id| !id.trim().is_empty());
        let digest = Sha256::digest(id.unwrap_or_default().trim().as_bytes());
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    })
}

/// A text that is safe as one component of a path, a cgroup's name and a container's name: `[A-Za-z0-9._-]`, not
/// starting with a dot, at most 140 bytes (a longer one keeps its start and gets a hash of the whole).
pub fn safe_name(text: &str) -> String {
    let mut safe: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    if safe.is_empty() || safe.starts_with('.') {
        safe.insert(0, '_');
    }
    if safe.len() > NAME_MAX {
        safe.truncate(NAME_MAX - 13);
        safe.push('-');
        safe.push_str(&hex_sha256(text.as_bytes())[..12]);
    }
    safe
}

/// Name of a cgroup folder: `wsceiling-<run>-<name>@<stamp>`.
pub fn cgroup_name(run_id: &str, name: &str) -> String {
    format!("{PREFIX}{}@{}", safe_name(&format!("{run_id}-{name}")), Stamp::own().for_file_name())
}

/// The stamp in the name of a cgroup folder that [`cgroup_name`] made.
pub fn stamp_of_cgroup(folder: &Path) -> Option<Stamp> {
    folder.file_name()?.to_str()?.strip_prefix(PREFIX)?.rsplit_once('@')?.1.parse().ok()
}

/// SHA-256 in hexadecimal.
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file in hexadecimal, read in pieces.
pub fn hex_sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_stamp_survives_both_forms() {
        let own = Stamp::own();
        assert!(own.start > 0);
        assert_eq!(own.life(), Life::Alive);
        assert_eq!(own.to_string().parse(), Ok(own));
        assert_eq!(own.for_file_name().parse(), Ok(own));
    }

    #[test]
    fn a_reused_pid_is_not_the_same_process_and_another_namespace_cannot_be_judged() {
        let own = Stamp::own();
        assert_eq!(Stamp { start: own.start + 1, ..own }.life(), Life::Gone);
        assert_eq!(Stamp { namespace: own.namespace + 1, ..own }.life(), Life::Elsewhere);
        // A container of another machine on the same engine: its harness has a number that is nobody's here.
        let other = Stamp { pid: u32::MAX, machine: own.machine ^ 1, ..own };
        assert_eq!((other.life(), Stamp { machine: own.machine, ..other }.life()), (Life::Elsewhere, Life::Gone));
        // One that does not say where it ran is left alone too.
        let old: Stamp = format!("{}:{}:{}", u32::MAX, own.start, own.namespace).parse().unwrap();
        assert_eq!(old.life(), Life::Elsewhere);
    }

    #[test]
    fn the_start_time_is_found_behind_a_hostile_program_name_and_zombies_are_gone() {
        let fields: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = |state: &str| format!("17 (a) S 1 ) b) {state} {}", fields.join(" "));
        assert_eq!(start_in(&stat("S")), Some(22));
        assert_eq!(start_in(&stat("Z")), None);
        assert_eq!(start_in(""), None);
    }

    #[test]
    fn names_hold_no_path_and_stay_short_and_distinct() {
        assert_eq!(safe_name("../../etc/passwd"), "_..-..-etc-passwd");
        assert_eq!(safe_name("echo-docker-x2.1.0"), "echo-docker-x2.1.0");
        let (long, longer) = ("a".repeat(300), "a".repeat(301));
        assert_eq!(safe_name(&long).len(), NAME_MAX);
        assert_ne!(safe_name(&long), safe_name(&longer));
    }

    #[test]
    fn the_stamp_is_read_back_from_a_cgroup_name() {
        let name = cgroup_name("2026-11-24T03-14-41Z-default", "echo-bare-x1.1.0-0");
        assert_eq!(stamp_of_cgroup(Path::new("/sys/fs/cgroup").join(&name).as_path()), Some(Stamp::own()));
        assert_eq!(stamp_of_cgroup(Path::new("/sys/fs/cgroup/wsceiling-mine")), None);
    }
}

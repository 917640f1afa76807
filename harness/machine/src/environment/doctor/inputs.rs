//! What the judgement is made from.

use std::io;
use std::net::UdpSocket;
use std::path::Path;

use serde::Serialize;

use super::Noise;
use crate::environment::facts::{CLOCKSOURCE, governor};
use crate::environment::hierarchy::{CgroupVersion, Hierarchies};
use crate::environment::kernel::Kernel;
use crate::environment::parse::{hex, lines, number, words};
use crate::environment::{MachineFacts, machine_in};

/// Everything that [`super::diagnose`] looks at, beside the engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inputs {
    /// Numbers of the machine.
    pub machine: MachineFacts,
    /// Whether cgroups can be made.
    pub cgroup: CgroupProbe,
    /// How quiet it is; `None`: not measured.
    pub noise: Option<Noise>,
    /// Entries of the connection tracking table of our namespace now.
    pub conntrack_count: Option<u64>,
    /// Sockets in TIME_WAIT now.
    pub time_wait: Option<u64>,
    /// More source addresses than 127.0.0.1 can be bound on loopback.
    pub loopback_sources: bool,
    /// Clock behind time stamps.
    pub clocksource: Option<String>,
    /// CPU frequency governor.
    pub governor: Option<String>,
}

/// Whether the harness can make cgroups of its own, with limits, for bare instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupProbe {
    /// One was made and removed again.
    Writable,
    /// The kernel refused.
    Denied {
        /// Folder in which it was tried.
        folder: String,
        /// What the kernel said.
        error: String,
    },
    /// Controllers that no hierarchy has.
    Missing(Vec<String>),
}

impl Inputs {
    /// Reads and measures this machine; takes half a second.
    pub fn measure(kernel: &Kernel) -> Self {
        Self {
            machine: machine_in(kernel),
            cgroup: probe(kernel),
            noise: Some(Noise::measure(kernel)),
            conntrack_count: conntrack_count(kernel),
            time_wait: time_wait(kernel),
            loopback_sources: UdpSocket::bind("127.0.0.2:0").is_ok(),
            clocksource: kernel.text(CLOCKSOURCE),
            governor: governor(kernel),
        }
    }
}

const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// Makes a cgroup for each controller and removes it, in the root of its hierarchy or below our own cgroup.
fn probe(kernel: &Kernel) -> CgroupProbe {
    let hierarchies = Hierarchies::read(kernel);
    let missing = NEEDED.into_iter().filter(|name| hierarchies.mount_point(name).is_none());
    let missing: Vec<String> = missing.map(str::to_owned).collect();
    if !missing.is_empty() {
        return CgroupProbe::Missing(missing);
    }
    let own = hierarchies.memberships_of(kernel, "self");
    for controller in NEEDED {
        let Some(root) = hierarchies.mount_point(controller) else { continue };
        let own = own.iter().find(|place| place.has(controller) || place.is_unified() && place.mount == root);
        let v2 = hierarchies.version() == CgroupVersion::V2;
        let Err(error) = try_in(kernel, root, v2) else { continue };
        if own.is_none_or(|own| try_in(kernel, &own.folder, v2).is_err()) {
            return CgroupProbe::Denied { folder: root.display().to_string(), error: error.to_string() };
        }
    }
    CgroupProbe::Writable
}

fn try_in(kernel: &Kernel, folder: &Path, v2: bool) -> io::Result<()> {
    let probe = kernel.path(folder.join(format!("wsceiling-doctor-{}", std::process::id())));
    std::fs::create_dir(&probe)?;
    std::fs::remove_dir(&probe)?;
    if v2 {
        // Controllers of the new folder are switched on in its parent. Opening changes nothing, but asks for the right.
        std::fs::OpenOptions::new().write(true).open(kernel.path(folder.join("cgroup.subtree_control")))?;
    }
    Ok(())
}

/// The column `entries` is the same on every CPU's line.
fn conntrack_count(kernel: &Kernel) -> Option<u64> {
    let text = kernel.read("/proc/self/net/stat/nf_conntrack").ok()?;
    words(lines(&text).nth(1)?).next().and_then(hex)
}

fn time_wait(kernel: &Kernel) -> Option<u64> {
    let text = kernel.read("/proc/self/net/sockstat").ok()?;
    let mut tcp = words(lines(&text).find_map(|line| line.strip_prefix(b"TCP:"))?);
    tcp.find(|word| *word == b"tw")?;
    tcp.next().and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn this_machine_can_be_measured() {
        let inputs = Inputs::measure(&Kernel::real());
        assert!(inputs.loopback_sources);
        assert!(inputs.time_wait.is_some());
        assert!(inputs.machine.memory_bytes.is_some());
    }

    #[test]
    fn a_probe_leaves_nothing_behind_and_says_what_is_missing() {
        let tree = Tree::new();
        let kernel = tree.kernel();
        assert_eq!(probe(&kernel), CgroupProbe::Missing(NEEDED.map(str::to_owned).to_vec()));
        for (path, text) in [
            ("/proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 c rw\n"),
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("/sys/fs/cgroup/cgroup.subtree_control", ""),
        ] {
            tree.write(path, text);
        }
        assert_eq!(probe(&kernel), CgroupProbe::Writable);
        assert_eq!(kernel.names("/sys/fs/cgroup").unwrap().len(), 2);
        tree.remove("/sys/fs/cgroup/cgroup.subtree_control");
        assert!(matches!(probe(&kernel), CgroupProbe::Denied { .. }));
    }
}

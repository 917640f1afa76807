//! Numbers of the machine that walls are computed from.

use serde::{Deserialize, Serialize};

use super::facts::{cores, sysctl_path};
use super::hierarchy::{CgroupVersion, Hierarchies};
use super::kernel::Kernel;
use super::parse::{keyed, limit, port_ranges};

/// What Linux gives where the file is not readable (`ip_local_port_range`).
const DEFAULT_PORTS: (u16, u16) = (32_768, 60_999);

/// Numbers of the machine, for walls and plans. An `Option` is `None` where it could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Soft limit of descriptors of this process; `None` also where it is unlimited.
    pub nofile_soft: Option<u64>,
    /// Hard limit, to which every worker can raise its own; `None` also where it is unlimited.
    pub nofile_hard: Option<u64>,
    /// Largest limit that even a privileged process can set (`fs.nr_open`).
    pub nr_open: Option<u64>,
    /// Descriptors of the whole machine (`fs.file-max`).
    pub file_max: Option<u64>,
    /// First and last port that the kernel gives out by itself.
    pub port_range: (u16, u16),
    /// Ports of that range and beyond it that it never gives out.
    pub reserved_ports: Vec<(u16, u16)>,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// Memory it can still give without swapping.
    pub memory_available_bytes: Option<u64>,
    /// CPUs that are online.
    pub cores: Option<u32>,
    /// CPUs that this process may use (affinity and quota of its cgroup).
    pub cores_usable: Option<u32>,
    /// Longest accept queue (`net.core.somaxconn`).
    pub somaxconn: Option<u64>,
    /// Entries of the connection tracking table of our namespace; `None` where nothing is tracked.
    pub conntrack_max: Option<u64>,
    /// Memory of all TCP sockets: no pressure below the first, pressure from the second, drops from the third.
    pub tcp_mem_pages: Option<[u64; 3]>,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// epoll watches of one user.
    pub epoll_watches: Option<u64>,
    /// Largest process and thread number.
    pub pid_max: Option<u64>,
    /// Threads of the whole machine.
    pub threads_max: Option<u64>,
    /// Mappings of one process; a thread takes two.
    pub max_map_count: Option<u64>,
    /// Which cgroup version has the controllers.
    pub cgroup: CgroupVersion,
}

/// Numbers of this machine.
pub fn machine() -> MachineFacts {
    machine_in(&Kernel::real())
}

/// [`machine`], read from a tree.
pub fn machine_in(kernel: &Kernel) -> MachineFacts {
    let info = kernel.read("/proc/meminfo").unwrap_or_default();
    let bytes = |key| keyed(&info, key).map(|kib| kib.saturating_mul(1024));
    let limits = kernel.read("/proc/self/limits").unwrap_or_default();
    let (nofile_soft, nofile_hard) = limit(&limits, "Max open files").unwrap_or_default();
    let sysctl = |name: &str| kernel.number(sysctl_path(name));
    let usable = || std::thread::available_parallelism().ok().map(|count| count.get() as u32);
    let reserved = kernel.text(sysctl_path("net.ipv4.ip_local_reserved_ports")).unwrap_or_default();
    MachineFacts {
        nofile_soft,
        nofile_hard,
        nr_open: sysctl("fs.nr_open"),
        file_max: sysctl("fs.file-max"),
        port_range: port_range(kernel).unwrap_or(DEFAULT_PORTS),
        reserved_ports: port_ranges(&reserved),
        memory_bytes: bytes("MemTotal"),
        memory_available_bytes: bytes("MemAvailable"),
        cores: cores(kernel),
        cores_usable: if kernel.is_real() { usable() } else { cores(kernel) },
        somaxconn: sysctl("net.core.somaxconn"),
        conntrack_max: sysctl("net.netfilter.nf_conntrack_max"),
        tcp_mem_pages: tcp_mem(kernel),
        page_bytes: page_bytes(),
        epoll_watches: sysctl("fs.epoll.max_user_watches"),
        pid_max: sysctl("kernel.pid_max"),
        threads_max: sysctl("kernel.threads-max"),
        max_map_count: sysctl("vm.max_map_count"),
        cgroup: Hierarchies::read(kernel).version(),
    }
}

impl From<&MachineFacts> for wsceiling_model::plan::Machine {
    /// What cannot be read is no wall: it counts as unlimited.
    fn from(facts: &MachineFacts) -> Self {
        let reserved = (facts.port_range.1 - facts.port_range.0) as u32 + 1 - facts.ports_per_pair();
        Self {
            nofile_hard: facts.nofile_hard.unwrap_or(u64::MAX),
            port_range: facts.port_range,
            reserved_ports: reserved,
            memory_bytes: facts.memory_bytes.unwrap_or(u64::MAX),
            cores: facts.cores_usable.or(facts.cores).unwrap_or(1),
        }
    }
}

impl MachineFacts {
    /// Ports of the kernel's range that are not reserved: the connections from one source address to one destination
    /// address and port that the kernel can make by itself.
    pub fn ports_per_pair(&self) -> u32 {
        let (first, last) = self.port_range;
        let is_reserved = |port: u16| self.reserved_ports.iter().any(|(from, to)| (*from..=*to).contains(&port));
        (first..=last).filter(|port| !is_reserved(*port)).count() as u32
    }

    /// Most connections of one worker process, which needs some descriptors for itself.
    pub fn connections_per_worker(&self) -> Option<u64> {
        self.nofile_hard.map(|limit| limit.saturating_sub(WORKER_DESCRIPTORS))
    }
}

/// Descriptors a worker needs beside its connections: standard streams, epoll, timers, with room to spare.
const WORKER_DESCRIPTORS: u64 = 32;

fn port_range(kernel: &Kernel) -> Option<(u16, u16)> {
    let text = kernel.text(sysctl_path("net.ipv4.ip_local_port_range"))?;
    let mut ports = text.split_whitespace().map(str::parse);
    Some((ports.next()?.ok()?, ports.next()?.ok()?)).filter(|(first, last)| first <= last)
}

fn tcp_mem(kernel: &Kernel) -> Option<[u64; 3]> {
    let text = kernel.text(sysctl_path("net.ipv4.tcp_mem"))?;
    let pages: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    pages.try_into().ok()
}

fn page_bytes() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn reserved_ports_are_not_given_out() {
        let mut machine = machine();
        machine.port_range = (32_768, 60_999);
        machine.reserved_ports = vec![];
        assert_eq!(machine.ports_per_pair(), 28_232);
        machine.reserved_ports = vec![(8080, 8080), (60_000, 60_009), (60_005, 60_019)];
        assert_eq!(machine.ports_per_pair(), 28_212);
    }

    #[test]
    fn a_machine_without_files_has_defaults_for_ports_only() {
        let machine = machine_in(&Tree::new().kernel());
        assert_eq!(machine.port_range, DEFAULT_PORTS);
        assert_eq!((machine.nofile_hard, machine.cores, machine.tcp_mem_pages), (None, None, None));
        assert_eq!(machine.cgroup, CgroupVersion::None);
        assert_eq!(machine.connections_per_worker(), None);
    }

    #[test]
    fn strange_files_are_no_numbers() {
        let tree = Tree::new();
        tree.write("/proc/sys/net/ipv4/ip_local_port_range", "60000 1024");
        tree.write("/proc/sys/net/ipv4/tcp_mem", "1 2");
        let machine = machine_in(&tree.kernel());
        assert_eq!(machine.port_range, DEFAULT_PORTS);
        assert_eq!(machine.tcp_mem_pages, None);
    }
}

//! The facts, group by group. Each is read with the means of [`Kernel`]; what is not there is left out.

use std::process::{Command, Stdio};

use super::hierarchy::Hierarchies;
use super::insert;
use super::kernel::Kernel;
use super::parse::{keyed, limit, lines};
use wsceiling_model::record::Environment;

/// Settings that change how many connections fit, or how they behave. Documented in
/// `Documentation/networking/ip-sysctl.rst`, `.../nf_conntrack-sysctl.rst` and `Documentation/admin-guide/sysctl/`.
const SYSCTLS: [&str; 35] = [
    "fs.epoll.max_user_watches",
    "fs.file-max",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.sched_autogroup_enabled",
    "kernel.threads-max",
    "net.core.netdev_budget",
    "net.core.netdev_max_backlog",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "vm.max_map_count",
    "vm.overcommit_memory",
];

/// File of a setting: the first two dots of a name are folders, a third may be part of the name but is not here.
pub(super) fn sysctl_path(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

pub(super) fn sysctls(kernel: &Kernel, environment: &mut Environment) {
    for name in SYSCTLS {
        let value = kernel.text(sysctl_path(name));
        let value = value.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        insert(environment, &format!("sysctl.{name}"), value);
    }
}

pub(super) fn kernel(kernel: &Kernel, environment: &mut Environment) {
    insert(environment, "kernel.release", kernel.text("/proc/sys/kernel/osrelease"));
    insert(environment, "kernel.architecture", Some(std::env::consts::ARCH));
    insert(environment, "kernel.distribution", distribution(kernel));
    insert(environment, "kernel.clocksource", kernel.text(CLOCKSOURCE));
    insert(environment, "kernel.container", container(kernel));
}

/// The clock behind every time stamp.
pub(super) const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

fn distribution(kernel: &Kernel) -> Option<String> {
    let text = kernel.text("/etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned()).filter(|name| !name.is_empty())
}

/// Whether the harness itself runs in a container.
fn container(kernel: &Kernel) -> Option<&'static str> {
    let engines = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    engines.into_iter().find(|(file, _)| kernel.exists(file)).map(|(_, engine)| engine)
}

pub(super) fn cpu(kernel: &Kernel, environment: &mut Environment) {
    let info = kernel.read("/proc/cpuinfo").unwrap_or_default();
    insert(environment, "cpu.model", cpuinfo(&info, "model name"));
    insert(environment, "cpu.cores", cores(kernel));
    insert(environment, "cpu.governor", governor(kernel));
    insert(environment, "cpu.turbo", turbo(kernel));
    insert(environment, "cpu.smt", kernel.text("/sys/devices/system/cpu/smt/control"));
    insert(environment, "cpu.virtualisation", virtualisation(kernel, &info));
    if kernel.is_real() {
        insert(environment, "cpu.cores_usable", std::thread::available_parallelism().ok());
    }
}

/// First value of a key in `/proc/cpuinfo`.
fn cpuinfo(info: &[u8], key: &str) -> Option<String> {
    let value = lines(info).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    value.filter(|value| !value.is_empty())
}

/// CPUs of the machine that are online.
pub(super) fn cores(kernel: &Kernel) -> Option<u32> {
    let text = kernel.read("/proc/stat").ok()?;
    let is_core =
        |line: &&[u8]| line.strip_prefix(b"cpu").and_then(|rest| rest.first()).is_some_and(u8::is_ascii_digit);
    Some(lines(&text).filter(is_core).count() as u32).filter(|count| *count > 0)
}

/// Frequency governor; several where CPUs differ.
pub(super) fn governor(kernel: &Kernel) -> Option<String> {
    let policies = kernel.names("/sys/devices/system/cpu/cpufreq").ok()?;
    let file = |policy: String| kernel.text(format!("/sys/devices/system/cpu/cpufreq/{policy}/scaling_governor"));
    let mut governors: Vec<String> = policies.into_iter().filter_map(file).collect();
    governors.sort();
    governors.dedup();
    (!governors.is_empty()).then(|| governors.join(", "))
}

fn turbo(kernel: &Kernel) -> Option<&'static str> {
    let no_turbo = kernel.number("/sys/devices/system/cpu/intel_pstate/no_turbo").map(|off| off == 0);
    let boost = || kernel.number("/sys/devices/system/cpu/cpufreq/boost").map(|on| on == 1);
    no_turbo.or_else(boost).map(|on| if on { "on" } else { "off" })
}

/// Name of the hypervisor's product, or that there is one.
fn virtualisation(kernel: &Kernel, cpuinfo_text: &[u8]) -> Option<String> {
    let flags = cpuinfo(cpuinfo_text, "flags")?;
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return Some("none".to_owned());
    }
    let name = |file: &str| kernel.text(format!("/sys/class/dmi/id/{file}"));
    let product = [name("sys_vendor"), name("product_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(if product.is_empty() { "virtual machine".to_owned() } else { product })
}

pub(super) fn memory(kernel: &Kernel, environment: &mut Environment) {
    let info = kernel.read("/proc/meminfo").unwrap_or_default();
    let bytes = |key| keyed(&info, key).map(|kib| kib.saturating_mul(1024));
    insert(environment, "memory.total_bytes", bytes("MemTotal"));
    insert(environment, "memory.swap_bytes", bytes("SwapTotal"));
    let huge = kernel.text("/sys/kernel/mm/transparent_hugepage/enabled");
    insert(environment, "memory.transparent_huge_pages", huge.as_deref().and_then(chosen));
}

/// `always [madvise] never` -> `madvise`
fn chosen(text: &str) -> Option<&str> {
    Some(text.split_once('[')?.1.split_once(']')?.0)
}

pub(super) fn limits(kernel: &Kernel, environment: &mut Environment) {
    let text = kernel.read("/proc/self/limits").unwrap_or_default();
    for (row, name) in [("Max open files", "nofile"), ("Max processes", "nproc")] {
        let Some((soft, hard)) = limit(&text, row) else { continue };
        let words = |value: Option<u64>| Some(value.map_or("unlimited".to_owned(), |value| value.to_string()));
        insert(environment, &format!("limits.{name}_soft"), words(soft));
        insert(environment, &format!("limits.{name}_hard"), words(hard));
    }
}

pub(super) fn cgroup(kernel: &Kernel, environment: &mut Environment) {
    let hierarchies = Hierarchies::read(kernel);
    insert(environment, "cgroup.version", Some(hierarchies.version()));
    let controllers = hierarchies.controllers();
    insert(environment, "cgroup.controllers", (!controllers.is_empty()).then(|| controllers.join(" ")));
    let own = hierarchies.memberships_of(kernel, "self");
    let v1 = |controller, file| kernel.text(own.iter().find(|place| place.has(controller))?.folder.join(file));
    let v2 = |file| kernel.text(own.iter().find(|place| place.is_unified())?.folder.join(file));
    let memory = v1("memory", "memory.limit_in_bytes").or_else(|| v2("memory.max"));
    insert(environment, "cgroup.own_memory_limit", memory.and_then(|text| real_limit(&text)));
    let quota = v1("cpu", "cpu.cfs_quota_us").or_else(|| v2("cpu.max"));
    insert(environment, "cgroup.own_cpu_quota_us", quota.and_then(|text| real_limit(&text)));
}

/// Version 1 says "no limit" as a number near 2^63 or as -1, version 2 as `max`.
fn real_limit(text: &str) -> Option<u64> {
    let value: u64 = text.split_whitespace().next()?.parse().ok()?;
    (value < 1 << 62).then_some(value)
}

/// Revision of the sources, where they are there with their history.
pub(super) fn source(environment: &mut Environment) {
    let folder = env!("CARGO_MANIFEST_DIR");
    let revision = git(folder, &["rev-parse", "HEAD"]).filter(|revision| !revision.is_empty());
    let Some(revision) = revision else { return };
    insert(environment, "source.revision", Some(revision));
    insert(environment, "source.dirty", git(folder, &["status", "--porcelain"]).map(|changes| !changes.is_empty()));
}

fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    // Reading the status may otherwise write the index, and wait for its lock.
    let mut command = Command::new("git");
    command.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(folder).args(arguments);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(super) fn toolchain(environment: &mut Environment) {
    insert(environment, "toolchain.wsceiling", Some(env!("CARGO_PKG_VERSION")));
    insert(environment, "toolchain.rustc", option_env!("WSCEILING_RUSTC"));
    insert(environment, "toolchain.target", option_env!("WSCEILING_TARGET"));
    insert(environment, "toolchain.opt_level", option_env!("WSCEILING_OPT_LEVEL"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tree::Tree;

    #[test]
    fn facts_of_a_captured_machine() {
        let machine = Tree::new();
        for (path, text) in [
            ("/proc/stat", "cpu  1 1\ncpu0 1\ncpu1 1\nintr 5\n"),
            ("/proc/cpuinfo", "processor : 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor\n"),
            ("/sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("/sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "performance\n"),
            ("/sys/devices/system/cpu/cpufreq/policy1/scaling_governor", "powersave\n"),
            ("/sys/devices/system/cpu/cpufreq/boost", "0\n"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("/etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            ("/proc/self/limits", "Max open files   1024   unlimited   files\n"),
            ("/proc/sys/net/ipv4/tcp_mem", "1\t2\t3\n"),
            ("/proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 c rw\n"),
            ("/proc/self/cgroup", "0::/job\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "memory cpu\n"),
            ("/sys/fs/cgroup/job/memory.max", "1048576\n"),
            ("/sys/fs/cgroup/job/cpu.max", "max 100000\n"),
        ] {
            machine.write(path, text);
        }
        let facts = super::super::capture_in(&machine.kernel()).facts;
        let expected = [
            ("cpu.cores", "2"),
            ("cpu.governor", "performance, powersave"),
            ("cpu.model", "AMD EPYC"),
            ("cpu.turbo", "off"),
            ("cpu.virtualisation", "QEMU"),
            ("kernel.distribution", "Debian GNU/Linux 12"),
            ("limits.nofile_hard", "unlimited"),
            ("memory.transparent_huge_pages", "madvise"),
            ("sysctl.net.ipv4.tcp_mem", "1 2 3"),
            ("cgroup.controllers", "cpu memory"),
            ("cgroup.own_memory_limit", "1048576"),
        ];
        for (name, value) in expected {
            assert_eq!(facts.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!facts.contains_key("cgroup.own_cpu_quota_us"));
    }

    #[test]
    fn no_limit_is_no_fact() {
        assert_eq!(real_limit("9223372036854771712"), None);
        assert_eq!(real_limit("-1"), None);
        assert_eq!(real_limit("max 100000"), None);
        assert_eq!(real_limit("50000 100000"), Some(50_000));
    }

    #[test]
    fn settings_are_where_the_kernel_keeps_them() {
        assert_eq!(sysctl_path("net.ipv4.tcp_mem"), "/proc/sys/net/ipv4/tcp_mem");
        assert!(SYSCTLS.is_sorted());
    }
}

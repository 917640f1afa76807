//! The judgement, one function a finding. Thresholds stand where they are used, with their reason in the wording.

use super::{CgroupProbe, Doctor, EngineStatus, Finding, Inputs, Level, Noise};
use crate::environment::hierarchy::CgroupVersion;
use wsceiling_model::format::count;

/// Judges a machine.
pub fn diagnose(inputs: &Inputs, engine: &EngineStatus) -> Doctor {
    let all = [
        Some(of_engine(engine)),
        Some(cgroup(inputs)),
        Some(cores(inputs)),
        Some(memory(inputs)),
        Some(descriptors(inputs)),
        Some(ports(inputs)),
        Some(time_wait(inputs)),
        Some(conntrack(inputs)),
        Some(accept_queue(inputs)),
        Some(tcp_memory(inputs)),
        Some(epoll(inputs)),
        Some(threads(inputs)),
        inputs.noise.map(noise),
        inputs.governor.as_deref().map(frequency),
        Some(clock(inputs)),
    ];
    Doctor { findings: all.into_iter().flatten().collect() }
}

/// A finding whose hint is for levels above `ok` alone.
fn finding(
    name: &'static str,
    level: Level,
    value: impl Into<String>,
    meaning: impl Into<String>,
    hint: &str,
) -> Finding {
    let hint = (level > Level::Ok && !hint.is_empty()).then(|| hint.to_owned());
    Finding { name, value: value.into(), level, meaning: meaning.into(), hint }
}

/// What a finding says whose number could not be read.
fn unknown(name: &'static str, what: &str) -> Finding {
    finding(name, Level::Note, "unknown", format!("{what} cannot be read, so no wall is computed from it"), "")
}

fn of_engine(engine: &EngineStatus) -> Finding {
    match engine {
        EngineStatus::Up { server, api, cgroup_driver } => {
            let driver = cgroup_driver.as_ref().map_or(String::new(), |driver| format!(", cgroup driver {driver}"));
            finding("engine", Level::Ok, format!("docker {server}, api {api}{driver}"), "docker cells can run", "")
        }
        EngineStatus::Down { reason, hint } => {
            finding("engine", Level::Warn, reason, "docker cells will be skipped; bare cells can run", hint)
        }
    }
}

fn cgroup(inputs: &Inputs) -> Finding {
    let version = inputs.machine.cgroup;
    let without = "bare instances run without the limits of their size, and their CPU and memory come from /proc";
    match &inputs.cgroup {
        CgroupProbe::Writable => {
            let sockets = match version {
                CgroupVersion::V2 => {
                    "socket buffers count as an instance's memory (v2), so compare with other v2 machines"
                }
                _ => "socket buffers do not count as an instance's memory (v1), so compare with other v1 machines",
            };
            let meaning = format!("bare instances get the limits of their size and exact numbers; {sockets}");
            finding("cgroup", Level::Ok, format!("{version}, own cgroups can be made"), meaning, "")
        }
        CgroupProbe::Denied { folder, error } => {
            let value = format!("{version}, own cgroups cannot be made in {folder}: {error}");
            let hint = "run as root, or below a delegated cgroup: `systemd-run --user --scope -p Delegate=yes ...`";
            finding("cgroup", Level::Warn, value, without, hint)
        }
        CgroupProbe::Missing(controllers) => {
            let value = format!("{version}, no controller for {}", controllers.join(", "));
            finding("cgroup", Level::Warn, value, without, "mount the cgroup file system, or use docker cells")
        }
    }
}

fn cores(inputs: &Inputs) -> Finding {
    let machine = &inputs.machine;
    let Some(usable) = machine.cores_usable.or(machine.cores) else { return unknown("cores", "the number of cores") };
    let value = match machine.cores {
        Some(all) if all != usable => format!("{usable} of {all} usable"),
        _ => usable.to_string(),
    };
    let hint = "measure on a machine with 4 cores or more for numbers that stand alone";
    match usable {
        0 | 1 => {
            let meaning = "generator and instances take turns on one core: ceilings and latencies are far too low";
            finding("cores", Level::Warn, value, meaning, hint)
        }
        2 | 3 => {
            let meaning = "generator and instances share cores: compare cells with each other, not with other machines";
            finding("cores", Level::Note, value, meaning, hint)
        }
        _ => finding("cores", Level::Ok, value, "generator, front and instances get cores of their own", ""),
    }
}

/// Client, server and kernel together, of a lean server; only for an order of magnitude.
const BYTES_PER_CONNECTION: u64 = 30_000;

fn memory(inputs: &Inputs) -> Finding {
    let Some(available) = inputs.machine.memory_available_bytes else { return unknown("memory", "available memory") };
    let total = inputs.machine.memory_bytes.map_or(String::new(), |total| format!(" of {}", bytes(total)));
    let value = format!("{} available{total}", bytes(available));
    let room = count(available / BYTES_PER_CONNECTION / 1000 * 1000);
    let meaning = format!("room for some {room} connections, at 30 kB for both ends of a lean server");
    let level = match available >> 20 {
        0..256 => Level::Problem,
        256..1024 => Level::Warn,
        _ => Level::Ok,
    };
    finding("memory", level, value, meaning, "end other programs, or ask for fewer connections")
}

fn descriptors(inputs: &Inputs) -> Finding {
    let machine = &inputs.machine;
    let Some(per_worker) = machine.connections_per_worker() else {
        let meaning = "workers and bare instances may open as many connections as the machine allows";
        return finding("descriptors", Level::Ok, "no hard limit", meaning, "");
    };
    let value = format!("hard limit {} a process", count(machine.nofile_hard.unwrap_or_default()));
    let meaning = format!(
        "a worker holds {} connections, so more workers are started for more; a bare instance stops there",
        count(per_worker)
    );
    let level = match per_worker {
        0..512 => Level::Problem,
        512..8192 => Level::Warn,
        8192..65_536 => Level::Note,
        _ => Level::Ok,
    };
    let hint =
        "raise it for instances with `ulimit -Hn` as root, LimitNOFILE= (systemd) or limits.conf; workers need nothing";
    finding("descriptors", level, value, meaning, hint)
}

fn ports(inputs: &Inputs) -> Finding {
    let machine = &inputs.machine;
    let (first, last) = machine.port_range;
    let per_pair = machine.ports_per_pair();
    let value = format!("{first} to {last}: {} to each address of an instance", count(u64::from(per_pair)));
    if inputs.loopback_sources {
        let meaning =
            "the generator binds ports itself and uses more source addresses of 127.0.0.0/8 for more connections";
        return finding("ports", Level::Ok, value, meaning, "");
    }
    let level = if per_pair < 20_000 { Level::Warn } else { Level::Note };
    let meaning = "no second source address can be bound, so this is a wall for each instance";
    finding("ports", level, value, meaning, "widen net.ipv4.ip_local_port_range, or use more instances")
}

fn time_wait(inputs: &Inputs) -> Finding {
    let Some(sockets) = inputs.time_wait else { return unknown("time-wait", "the number of sockets in TIME_WAIT") };
    let value = format!("{} sockets", count(sockets));
    if sockets < 1000 {
        return finding("time-wait", Level::Ok, value, "no earlier load holds ports", "");
    }
    let meaning = "ports of an earlier load are still taken and may be refused to this one";
    finding("time-wait", Level::Warn, value, meaning, "wait 60 s")
}

fn conntrack(inputs: &Inputs) -> Finding {
    let Some(max) = inputs.machine.conntrack_max else {
        let meaning = "connections take no entry in a table";
        return finding("conntrack", Level::Ok, "not loaded", meaning, "");
    };
    let used = inputs.conntrack_count.unwrap_or(0);
    let free = max.saturating_sub(used);
    let value = format!("{} of {} entries used", count(used), count(max));
    let meaning = format!(
        "a container's connections take an entry each, those over loopback too while NAT rules exist: {} are free",
        count(free)
    );
    let level = match free {
        0..10_000 => Level::Warn,
        10_000..100_000 => Level::Note,
        _ => Level::Ok,
    };
    finding("conntrack", level, value, meaning, "raise net.netfilter.nf_conntrack_max")
}

fn accept_queue(inputs: &Inputs) -> Finding {
    let Some(longest) = inputs.machine.somaxconn else { return unknown("accept-queue", "net.core.somaxconn") };
    let meaning =
        format!("at most {} connections wait to be accepted, whatever backlog a server asks for", count(longest + 1));
    let level = if longest < 1024 { Level::Warn } else { Level::Ok };
    let value = format!("somaxconn {}", count(longest));
    finding("accept-queue", level, value, meaning, "raise net.core.somaxconn to 4096, or open connections more slowly")
}

fn tcp_memory(inputs: &Inputs) -> Finding {
    let machine = &inputs.machine;
    let Some([_, pressure, max]) = machine.tcp_mem_pages else { return unknown("tcp-memory", "net.ipv4.tcp_mem") };
    let in_bytes = |pages: u64| pages.saturating_mul(machine.page_bytes);
    let value = format!("pressure at {}, drops at {}", bytes(in_bytes(pressure)), bytes(in_bytes(max)));
    let meaning = "for the unread data of all sockets of the machine together; idle connections take almost none";
    let level = if in_bytes(max) < 256 << 20 { Level::Warn } else { Level::Ok };
    finding("tcp-memory", level, value, meaning, "raise net.ipv4.tcp_mem (pages)")
}

fn epoll(inputs: &Inputs) -> Finding {
    let Some(watches) = inputs.machine.epoll_watches else { return unknown("epoll", "fs.epoll.max_user_watches") };
    let meaning = format!(
        "a user's watches: client and bare server take two a connection, so {} connections",
        count(watches / 2)
    );
    let level = if watches < 400_000 { Level::Warn } else { Level::Ok };
    finding("epoll", level, format!("{} watches", count(watches)), meaning, "raise fs.epoll.max_user_watches")
}

fn threads(inputs: &Inputs) -> Finding {
    let machine = &inputs.machine;
    let limits = [machine.pid_max, machine.threads_max, machine.max_map_count.map(|maps| maps / 2)];
    let Some(least) = limits.into_iter().flatten().min() else { return unknown("threads", "kernel.pid_max") };
    let value = format!("up to {}", count(least));
    let meaning = "a server with a thread for each connection stops there; others do not come near it";
    let level = if least < 4096 { Level::Note } else { Level::Ok };
    finding("threads", level, value, meaning, "raise kernel.pid_max, kernel.threads-max and vm.max_map_count")
}

fn noise(noise: Noise) -> Finding {
    let percent = |ratio: f64| format!("{:.1} %", ratio * 100.0);
    let steal = noise.steal_ratio.map_or(String::new(), |ratio| format!(", steal {}", percent(ratio)));
    let others = noise.others_ratio.map_or(String::new(), |ratio| format!(", other programs {}", percent(ratio)));
    let interrupted = percent(noise.interrupted_ratio);
    let value = format!("interrupted {interrupted}, at most {:.0} us{steal}{others}", noise.longest_us);
    let is_loud = noise.interrupted_ratio > 0.1 || noise.steal_ratio.is_some_and(|ratio| ratio > 0.05);
    let is_busy = noise.others_ratio.is_some_and(|ratio| ratio > 0.25);
    let is_audible = noise.interrupted_ratio > 0.02 || noise.steal_ratio.is_some_and(|ratio| ratio > 0.01);
    let level = match (is_loud || is_busy, is_audible || noise.longest_us > 10_000.0) {
        (true, _) => Level::Warn,
        (_, true) => Level::Note,
        _ => Level::Ok,
    };
    let meaning = match level {
        Level::Ok => "quiet: repeats should agree",
        _ => "something else uses these cores: repeats will spread and latencies have a tail that is not the server's",
    };
    finding(
        "noise",
        level,
        value,
        meaning,
        "end other programs, or use a machine or core of your own; more repeats help too",
    )
}

fn frequency(governor: &str) -> Finding {
    if governor == "performance" {
        return finding("frequency", Level::Ok, governor, "cores keep their speed", "");
    }
    let meaning = "cores change their speed with the load, so CPU per connection is not proportional";
    finding("frequency", Level::Note, governor, meaning, "`cpupower frequency-set -g performance`")
}

fn clock(inputs: &Inputs) -> Finding {
    let Some(clock) = inputs.clocksource.as_deref() else { return unknown("clock", "the clock source") };
    if ["hpet", "acpi_pm", "jiffies", "refined-jiffies"].contains(&clock) {
        let meaning = "every time stamp is a slow access to a device: the generator needs more CPU for each message";
        return finding("clock", Level::Warn, clock, meaning, "boot with clocksource=tsc if the machine's is stable");
    }
    finding("clock", Level::Ok, clock, "time stamps are cheap", "")
}

/// `1.5 GiB`
fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or(format!("{bytes} B"), |(size, name)| format!("{:.1} {name}", bytes as f64 / size as f64))
}

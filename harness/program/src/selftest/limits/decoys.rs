//! Servers that show the sign of one cause and are stopped by another. The expected cause is the one that stops them.

use super::{InjectedLimit, Kind, Need, Numbers};
use wsceiling_model::record::Cause;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut all = said(numbers);
    all.extend(near(numbers));
    all.extend(queues(numbers));
    all.extend(harmless(numbers));
    for limit in &mut all {
        limit.kind = Kind::Decoys;
    }
    all
}

/// A line in the log at the start names one limit, and another one is met.
fn said(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let signs = [
        ("said-descriptors", "descriptors", "no descriptors"),
        ("said-heap", "heap", "no heap"),
        ("said-thread", "thread", "no thread"),
        ("said-ports", "ports", "no ports"),
        ("said-connections", "worker-connections", "no worker_connections"),
    ];
    let mut all = Vec::new();
    for (index, (name, sign, words)) in signs.into_iter().enumerate() {
        let cap = numbers.pick(430, 250..=650);
        let (mib, kib) = (numbers.pick(32, 28..=38), numbers.pick(64, 60..=90));
        let upgrade = numbers.pick(5000, 4500..=7000);
        let new = |cause, real: String| {
            InjectedLimit::new(name, cause, format!("its log says at the start that there are {words}; {real}"))
        };
        let limit = match index % 3 {
            0 => new(Cause::CpuQuota, format!("0.25 CPU, {} ms for each upgrade", f64::from(upgrade) / 1e3))
                .needs(Need::Cgroups)
                .planted(format!("--say {sign} --work {upgrade}"))
                .load("rate = \"200/s\"")
                .size("cpus = 0.25"),
            1 => new(Cause::MemoryLimit, format!("{mib} MiB, {kib} KiB a connection"))
                .needs(Need::Cgroups)
                .planted(format!("--say {sign} --state {}", kib * 1024))
                .size(format!("memory = \"{mib}MiB\"")),
            _ => new(Cause::ApplicationCap, format!("the server answers 503 above {cap}"))
                .planted(format!("--say {sign} --cap {cap} --at-cap refuse")),
        };
        all.push(if index % 3 == 1 { limit.quick() } else { limit });
    }
    all
}

/// A resource is at nine tenths of its limit when another limit is met.
fn near(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (cap, other) = (numbers.pick(450, 300..=650), numbers.pick(400, 300..=600));
    // The runtime has about a dozen descriptors of its own.
    let nofile = (cap + 12) * 10 / 9;
    let close = |name, what: String| InjectedLimit::new(name, Cause::ApplicationCap, what);
    vec![
        close("near-descriptors", format!("descriptors at 90 % of {nofile}; the server answers 503 above {cap}"))
            .planted(format!("--cap {cap} --at-cap refuse"))
            .size(format!("nofile = {nofile}")),
        close("near-memory", format!("memory at 90 % of 80 MiB; the server closes what is above {other}"))
            .needs(Need::Cgroups)
            .planted(format!("--cap {other} --ballast {}", 66 << 20))
            .size("memory = \"80MiB\""),
    ]
}

/// A short accept queue overflows, because who empties it cannot.
fn queues(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (backlog, accept) = (numbers.pick(16, 8..=32), numbers.pick(5000, 4000..=7000));
    let stall = numbers.pick(1800, 1600..=2400);
    vec![
        InjectedLimit::new(
            "queue-of-quota",
            Cause::CpuQuota,
            format!("a backlog of {backlog} overflows, since 0.25 CPU and {} ms an accept", f64::from(accept) / 1e3),
        )
        .needs(Need::Cgroups)
        .planted(format!("--backlog {backlog} --accept-work {accept}"))
        .load("rate = \"200/s\"")
        .size("cpus = 0.25"),
        InjectedLimit::new(
            "queue-of-sleep",
            Cause::ServerWaits,
            format!("a backlog of {backlog} overflows, since the only thread sleeps {stall} ms every two seconds"),
        )
        .planted(format!("--backlog {backlog} --threads 1 --stall-every 2000000 --stall {}", stall * 1000)),
    ]
}

/// What goes on beside a limit, and what is no limit of any kind.
fn harmless(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (cap, lives) = (numbers.pick(420, 250..=650), numbers.pick(700, 500..=1200));
    let share = numbers.pick(2, 2..=3);
    vec![
        InjectedLimit::new(
            "helper-restarts",
            Cause::ApplicationCap,
            format!("a helper process ends every {lives} ms; the server answers 503 above {cap}"),
        )
        .planted(format!("--helper {} --cap {cap} --at-cap refuse", lives * 1000)),
        InjectedLimit::new(
            "random-refusals",
            Cause::Unknown,
            format!("the server closes {share} % of the connections at random"),
        )
        .planted(format!("--refuse {share}")),
    ]
}

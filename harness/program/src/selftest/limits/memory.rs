//! Servers that run out of memory: the cgroup's, and the runtime's own.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

const MEMORY: Cause = Cause::MemoryLimit;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut mib = |usual| numbers.pick(usual, usual * 8 / 10..=usual * 5 / 4);
    let (kill, two, again, container, thrash, heap) = (mib(32), mib(24), mib(28), mib(40), mib(64), mib(16));
    let mut kib = |usual| numbers.pick(usual, usual * 9 / 10..=usual * 3 / 2);
    let (kill_each, two_each, again_each, container_each, thrash_each) = (kib(64), kib(100), kib(80), kib(96), kib(32));
    let state = |kib: u32| format!("--state {}", kib * 1024);
    let size = |mib: u32| format!("memory = \"{mib}MiB\"");
    let mut all = growing(numbers);
    all.extend([
        InjectedLimit::new("memory-kill", MEMORY, format!("{kill} MiB, {kill_each} KiB a connection"))
            .quick()
            .needs(Need::Cgroups)
            .planted(state(kill_each))
            .size(size(kill)),
        InjectedLimit::new(
            "memory-kill-two",
            MEMORY,
            format!("{two} MiB for each of two instances, {two_each} KiB a connection"),
        )
        .needs(Need::Cgroups)
        .planted(state(two_each))
        .size(size(two))
        .instances(2),
        InjectedLimit::new(
            "memory-restart",
            MEMORY,
            format!("{again} MiB, {again_each} KiB a connection; it is started again"),
        )
        .needs(Need::Cgroups)
        .planted(format!("{} --supervise", state(again_each)))
        .size(size(again)),
        InjectedLimit::new(
            "memory-docker",
            MEMORY,
            format!("{container} MiB of a container, {container_each} KiB a connection"),
        )
        .docker()
        .planted(state(container_each))
        .size(size(container)),
        InjectedLimit::new(
            "memory-thrash",
            MEMORY,
            format!(
                "{thrash} MiB of a container, `app` with {thrash_each} KiB a connection: first its page cache goes"
            ),
        )
        .docker()
        .app(format!("--state {thrash_each}KiB --threads 1"))
        .load("step = 500")
        .load("max = 2500")
        .load("rate = \"1000/s\"")
        .size(size(thrash)),
        InjectedLimit::new("heap-node", Cause::RuntimeHeap, format!("Node with a heap of {heap} MB"))
            .node(format!("--max-old-space-size={heap} --max-semi-space-size=1"))
            .load("step = 1000")
            .load("max = 10000")
            .load("rate = \"1500/s\"")
            .load("message = { bytes = 64, every = \"5s\" }"),
    ]);
    all
}

/// Memory that grows while the connections stay as many.
fn growing(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (kept, leaked) = (numbers.pick(16, 12..=24), numbers.pick(8, 6..=10));
    let limit = |name, what: String, args: String, mib: u32| {
        InjectedLimit::new(name, Cause::MemoryGrowth, what)
            .needs(Need::Cgroups)
            .planted(args)
            .size(format!("memory = \"{mib}MiB\""))
            .load("hold = \"3s\"")
            .load("message = { bytes = 64, every = \"500ms\" }")
    };
    let keeps = format!("24 MiB, and the server keeps {kept} KiB of each message");
    let leaks = format!("64 MiB, and the server leaks {leaked} MiB a second");
    vec![
        limit("growth-messages", keeps, format!("--keep {}", kept * 1024), 24),
        limit("growth-time", leaks, format!("--leak {}", leaked << 20), 64),
    ]
}

//! Servers that need more CPU than they may or can use.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

const QUOTA: Cause = Cause::CpuQuota;
const THREAD: Cause = Cause::SingleThread;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (quota, upgrade) = (numbers.pick_hundredths(25, 15..=35), numbers.pick(4000, 3000..=6000));
    let (container, message) = (numbers.pick_hundredths(20, 12..=25), numbers.pick(3000, 2000..=5000));
    let (thread, acceptor) = (numbers.pick(6000, 4000..=9000), numbers.pick(6000, 4000..=9000));
    let each = numbers.pick(8000, 6000..=12_000) * std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let lock = numbers.pick(4000, 3000..=7000);
    let ms = |micros: u32| f64::from(micros) / 1e3;
    vec![
        InjectedLimit::new("cpu-quota", QUOTA, format!("{quota} CPU, {} ms for each upgrade", ms(upgrade)))
            .quick()
            .needs(Need::Cgroups)
            .planted(format!("--work {upgrade}"))
            .load("rate = \"200/s\"")
            .size(format!("cpus = {quota}")),
        InjectedLimit::new(
            "cpu-quota-docker",
            QUOTA,
            format!("--cpus {container}, {} ms for each message", ms(message)),
        )
        .docker()
        .planted(format!("--message-work {message}"))
        .size(format!("cpus = {container}")),
        InjectedLimit::new(
            "single-thread",
            THREAD,
            format!("one thread with {} ms for each upgrade, cores to spare", ms(thread)),
        )
        .needs(Need::Cores(2))
        .planted(format!("--threads 1 --work {thread}"))
        .load("rate = \"400/s\"")
        .load("step = 1000")
        .load("max = 2000"),
        InjectedLimit::new(
            "single-acceptor",
            THREAD,
            format!("one thread accepts, with {} ms for each connection; others serve", ms(acceptor)),
        )
        .needs(Need::Cores(2))
        .planted(format!("--accept-work {acceptor}"))
        .load("rate = \"400/s\"")
        .load("step = 1000")
        .load("max = 2000"),
        InjectedLimit::new(
            "global-lock",
            Cause::GlobalLock,
            format!("a thread for each connection, {} ms under one mutex for each upgrade and message", ms(lock)),
        )
        .needs(Need::Cores(2))
        .planted(format!("--thread-per-connection --lock-work {lock}"))
        .load("rate = \"400/s\"")
        .load("step = 1000")
        .load("max = 2000"),
        InjectedLimit::new(
            "machine-full",
            Cause::CpuSaturated,
            format!("all cores with {} ms for each upgrade", ms(each)),
        )
        .planted(format!("--work {each}"))
        .load("rate = \"500/s\"")
        .load("step = 1000")
        .load("max = 2000"),
    ]
}

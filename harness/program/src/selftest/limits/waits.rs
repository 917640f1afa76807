//! Servers that are idle and slow: a short queue, a lock, a slow consumer, a hang.

use super::{InjectedLimit, Numbers};
use wsceiling_model::record::Cause;

const WAITS: Cause = Cause::ServerWaits;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (backlog, pause) = (numbers.pick(8, 4..=24), numbers.pick(4, 3..=7));
    let (lock, reply) = (numbers.pick(2000, 1600..=3000), numbers.pick(1200, 1100..=2000));
    let (frozen, deadlock) = (numbers.pick(500, 250..=700), numbers.pick(350, 250..=700));
    let (places, held) = (numbers.pick(4, 2..=8), numbers.pick(40, 30..=60));
    let (stall, turn) = (numbers.pick(2600, 2400..=3200), numbers.pick(4, 3..=7));
    let handler = numbers.pick(1300, 1100..=2000);
    let half = numbers.pick(450, 250..=700);
    vec![
        InjectedLimit::new(
            "short-backlog",
            Cause::AcceptQueue,
            format!("a backlog of {backlog}, a pause of {pause} ms after each accept, a burst"),
        )
        .planted(format!("--backlog {backlog} --accept-pause {}", pause * 1000))
        .load("rate = \"5000/s\"")
        .load("step = 400")
        .load("gates = { p99 = \"400ms\" }"),
        InjectedLimit::new("lock", WAITS, format!("a lock is held for {lock} us for each reply, one message a second"))
            .planted(format!("--serial-pause {lock}"))
            .load("max = 1200"),
        InjectedLimit::new(
            "slow-consumer",
            WAITS,
            format!("the server takes {reply} ms for a message, one comes each second"),
        )
        .planted(format!("--reply-pause {}", reply * 1000)),
        InjectedLimit::new(
            "slow-and-full",
            WAITS,
            format!("60 MiB from the start, and the server takes {handler} ms for a message"),
        )
        .planted(format!("--ballast {} --reply-pause {}", 60 << 20, handler * 1000)),
        InjectedLimit::new("pool", WAITS, format!("a pool of {places} places, each message has one for {held} ms"))
            .planted(format!("--pool {places} --reply-pause {}", held * 1000))
            .load("max = 1200"),
        InjectedLimit::new(
            "lock-threads",
            WAITS,
            format!("a thread for each connection, and a lock held over a sleep of {turn} ms for each reply"),
        )
        .planted(format!("--thread-per-connection --serial-pause {}", turn * 1000))
        .load("max = 1200"),
        InjectedLimit::new("stalls", WAITS, format!("the only thread stands still for {stall} ms every two seconds"))
            .planted(format!("--threads 1 --stall-every 2000000 --stall {}", stall * 1000)),
        InjectedLimit::new("hang-frozen", Cause::Hang, format!("the server is stopped at {frozen} connections"))
            .planted(format!("--fail-at {frozen} --fail freeze")),
        InjectedLimit::new(
            "hang-deadlock",
            Cause::Hang,
            format!("every thread waits for ever from {deadlock} connections on"),
        )
        .planted(format!("--fail-at {deadlock} --fail deadlock")),
        InjectedLimit::new(
            "hang-half",
            Cause::Hang,
            format!("every second connection gets nothing any more from {half} connections on"),
        )
        .planted(format!("--fail-at {half} --fail half")),
    ]
}

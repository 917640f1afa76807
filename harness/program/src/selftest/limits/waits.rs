//! Servers that are idle and slow: a short queue, a lock, a slow consumer, a hang.

use super::{InjectedLimit, Numbers};
use wsceiling_model::record::Cause;

const WAITS: Cause = Cause::ServerWaits;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (backlog, pause) = (numbers.pick(8, 4..=24), numbers.pick(4, 3..=7));
    let (lock, reply) = (numbers.pick(2000, 1600..=3000), numbers.pick(1200, 1100..=2000));
    let (frozen, deadlock) = (numbers.pick(500, 250..=700), numbers.pick(350, 250..=700));
    vec![
        InjectedLimit::new(
            "short-backlog",
            Cause::AcceptQueue,
            format!("a backlog of {backlog}, a pause of {pause} ms after each accept, a burst"),
        )
        .quick()
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
        InjectedLimit::new("hang-frozen", Cause::Hang, format!("the server is stopped at {frozen} connections"))
            .quick()
            .planted(format!("--fail-at {frozen} --fail freeze")),
        InjectedLimit::new(
            "hang-deadlock",
            Cause::Hang,
            format!("every thread waits for ever from {deadlock} connections on"),
        )
        .planted(format!("--fail-at {deadlock} --fail deadlock")),
    ]
}

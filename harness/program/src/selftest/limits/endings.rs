//! Servers that end.

use super::{InjectedLimit, Numbers};
use wsceiling_model::record::Cause;

const CRASH: Cause = Cause::Crash;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut at = |usual| numbers.pick(usual, usual * 6 / 10..=usual * 7 / 5);
    let (exit, abort, segv, one, again) = (at(500), at(450), at(350), at(200), at(450));
    vec![
        InjectedLimit::new("crash-exit", CRASH, format!("the server exits with code 3 at {exit} connections"))
            .quick()
            .planted(format!("--fail-at {exit} --fail exit")),
        InjectedLimit::new("crash-abort", CRASH, format!("the server aborts at {abort} connections"))
            .planted(format!("--fail-at {abort} --fail abort")),
        InjectedLimit::new(
            "crash-segv",
            CRASH,
            format!("the server in a container dies of SIGSEGV at {segv} connections"),
        )
        .docker()
        .planted(format!("--fail-at {segv} --fail segv")),
        InjectedLimit::new("crash-one-of-two", CRASH, format!("one of two instances exits at {one} connections"))
            .planted(format!("--fail-at {one} --fail exit"))
            .instances(2),
        InjectedLimit::new(
            "crash-restart",
            CRASH,
            format!("the server aborts at {again} connections and is started again"),
        )
        .planted(format!("--fail-at {again} --fail abort --supervise")),
    ]
}

//! Servers that let in only so many connections a second, and one whose user may have no more threads.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

const RATE: Cause = Cause::RateLimit;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut rate = || numbers.pick(100, 60..=150);
    let forms = [
        ("rate-429", "too-many", "answers 429 above", rate()),
        ("rate-503", "refuse", "answers 503 above", rate()),
        ("rate-close", "close", "closes what comes above", rate()),
    ];
    let mut all: Vec<InjectedLimit> = forms
        .into_iter()
        .map(|(name, how, words, rate)| {
            InjectedLimit::new(name, RATE, format!("the server {words} {rate} upgrades a second"))
                .planted(format!("--rate {rate} --at-rate {how}"))
                .load("rate = \"300/s\"")
                .load("step = 600")
                .load("max = 1200")
        })
        .collect();
    let threads = numbers.pick(320, 200..=550);
    let user = InjectedLimit::new(
        "user-processes",
        Cause::UserProcesses,
        format!("the user may have {threads} processes and threads, a thread for each connection"),
    );
    all.push(user.needs(Need::Root).planted(format!("--thread-per-connection --nproc {threads}")).unprivileged());
    all
}

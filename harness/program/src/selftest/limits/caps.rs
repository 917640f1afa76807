//! Limits that the server sets itself: of connections, and of their time.

use super::{InjectedLimit, Numbers};
use wsceiling_model::record::Cause;

const CAP: Cause = Cause::ApplicationCap;
const LIFETIME: Cause = Cause::Lifetime;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut cap = |usual| numbers.pick(usual, 220..=700);
    let (close, refuse, stop, container) = (cap(500), cap(450), cap(350), cap(300));
    let (idle, lifetime) = (numbers.pick(2000, 1500..=3000), numbers.pick(3000, 2000..=4000));
    let (silent, later) = (numbers.pick(450, 220..=700), numbers.pick(400, 220..=700));
    let jittered = numbers.pick(3000, 2000..=4000);
    vec![
        InjectedLimit::new("cap-close", CAP, format!("the server closes every connection above {close}"))
            .quick()
            .planted(format!("--cap {close}")),
        InjectedLimit::new("cap-503", CAP, format!("the server answers 503 above {refuse} connections"))
            .app(format!("--connections {refuse}")),
        InjectedLimit::new("cap-stop", CAP, format!("the server accepts nothing above {stop} connections, backlog 64"))
            .planted(format!("--cap {stop} --at-cap stop --backlog 64")),
        InjectedLimit::new(
            "cap-silent",
            CAP,
            format!("the server accepts and never answers from connection {silent} on"),
        )
        .planted(format!("--cap {silent} --at-cap silent")),
        InjectedLimit::new("cap-later", CAP, format!("the server upgrades and closes with 1013 above {later}"))
            .planted(format!("--cap {later} --at-cap later")),
        InjectedLimit::new(
            "cap-docker",
            CAP,
            format!("a container whose server answers 503 above {container} connections"),
        )
        .docker()
        .planted(format!("--cap {container} --at-cap refuse")),
        InjectedLimit::new(
            "idle-timeout",
            LIFETIME,
            format!("the server closes what sent nothing for {idle} ms; clients send every 60 s"),
        )
        .planted(format!("--idle {}", idle * 1000))
        .load("rate = \"200/s\"")
        .load("step = 1000")
        .load("max = 1000")
        .load("message = { bytes = 64, every = \"60s\" }"),
        InjectedLimit::new("lifetime", LIFETIME, format!("the server ends each connection after {lifetime} ms"))
            .planted(format!("--lifetime {}", lifetime * 1000))
            .load("rate = \"150/s\"")
            .load("step = 1000")
            .load("max = 1000"),
        InjectedLimit::new(
            "lifetime-jitter",
            LIFETIME,
            format!("the server ends each connection after {jittered} ms, a quarter more or less"),
        )
        .planted(format!("--lifetime {} --jitter 25", jittered * 1000))
        .load("rate = \"150/s\"")
        .load("step = 1000")
        .load("max = 1000"),
    ]
}

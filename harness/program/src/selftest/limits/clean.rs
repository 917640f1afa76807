//! Cells that reach all that is asked for: nobody may be accused.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let max = numbers.pick(2000, 1000..=2500);
    let wide = |limit: InjectedLimit| {
        limit.load(format!("step = {}", max / 2)).load(format!("max = {}", max / 2 * 2)).load("rate = \"1000/s\"")
    };
    let clean = |name, how: &str| InjectedLimit::new(name, Cause::None, format!("nothing; {how}"));
    let connections = format!("{max} connections");
    vec![
        wide(clean("clean-echo", &connections)),
        wide(clean("clean-app", &connections)).app(""),
        wide(clean("clean-echo-docker", &connections)).docker(),
        wide(clean("clean-app-docker", &connections)).docker().app(""),
        clean("clean-node", "800 connections to Node").node(""),
        clean("clean-messages", "800 connections with four messages a second each")
            .scenario("echo")
            .load("message = { bytes = 256, every = \"250ms\" }"),
        clean("clean-churn", "800 connections that come and go").scenario("churn"),
        clean("clean-broadcast", "800 connections in rooms of 50")
            .app("")
            .scenario("broadcast")
            .load("broadcast = { room = 50 }"),
        clean("clean-nginx", "800 connections through nginx").nginx().front("worker_connections = 4096"),
        clean("clean-haproxy", "800 connections through haproxy").haproxy(),
        clean(
            "clean-near-limits",
            "limits that are near and not met: 1 CPU, 64 MiB, 1,000 descriptors, 20 processes; 800 connections",
        )
        .needs(Need::Cgroups)
        .echo("--threads 2")
        .size("cpus = 1")
        .size("memory = \"64MiB\"")
        .size("nofile = 1000")
        .size("pids = 20"),
    ]
}

//! A generator that is the limit.

use super::{InjectedLimit, Need, Numbers};
use wsceiling_model::record::Cause;

const CLIENT: Cause = Cause::ClientLimited;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let ports = numbers.pick(500, 250..=700);
    let descriptors = numbers.pick(430, 250..=700);
    let starved = numbers.pick_hundredths(3, 2..=4);
    let behind = numbers.pick_hundredths(3, 2..=4);
    vec![
        InjectedLimit::new("client-ports", CLIENT, format!("the generator has {ports} ports"))
            .load(format!("generator = {{ ports = {ports} }}")),
        InjectedLimit::new(
            "client-descriptors",
            CLIENT,
            format!("each worker of the generator may have {descriptors} descriptors"),
        )
        .load(format!("generator = {{ descriptors = {descriptors} }}"))
        .load("workers = 1"),
        InjectedLimit::new(
            "client-starved",
            CLIENT,
            format!("the generator may use {starved} CPU, for 8,000 messages a second"),
        )
        .needs(Need::Cgroups)
        .load(format!("generator = {{ cpus = {starved} }}"))
        .load("message = { bytes = 64, every = \"100ms\" }"),
        InjectedLimit::new(
            "client-slow-reader",
            CLIENT,
            format!("{behind} CPU to read the 4 KiB messages of rooms of 300"),
        )
        .needs(Need::Cgroups)
        .app("--connections 4000")
        .scenario("broadcast")
        .load(format!("generator = {{ cpus = {behind} }}"))
        .load("broadcast = { room = 300, every = \"10ms\", bytes = 4096 }"),
    ]
}

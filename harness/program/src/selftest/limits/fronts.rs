//! Limits of what stands before the instances, and of instances behind it.

use super::{InjectedLimit, Numbers};
use wsceiling_model::record::Cause;

const CAP: Cause = Cause::ProxyCap;
const PORTS: Cause = Cause::PortExhaustion;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut all = nginx(numbers);
    all.extend(haproxy(numbers));
    all.extend(hop(numbers));
    all
}

fn nginx(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (connections, descriptors) = (numbers.pick(500, 300..=1200), numbers.pick(600, 400..=1200));
    let (idle, crash, ports) = (numbers.pick(2, 2..=3), numbers.pick(400, 250..=700), numbers.pick(400, 250..=700));
    vec![
        InjectedLimit::new("nginx-connections", CAP, format!("nginx with {connections} worker_connections"))
            .nginx()
            .front(format!("worker_connections = {connections}")),
        InjectedLimit::new("nginx-descriptors", CAP, format!("nginx with {descriptors} descriptors"))
            .nginx()
            .front("worker_connections = 4096")
            .front(format!("nofile = {descriptors}")),
        InjectedLimit::new("nginx-ports", PORTS, format!("nginx in a container with {ports} ports towards the server"))
            .docker()
            .nginx()
            .front("worker_connections = 4096")
            .front(format!("ports = {ports}")),
        InjectedLimit::new(
            "nginx-idle",
            Cause::Lifetime,
            format!("nginx closes what was silent for {idle} s; clients send every 60 s"),
        )
        .nginx()
        .front("worker_connections = 4096")
        .front(format!("idle_timeout = \"{idle}s\""))
        .load("rate = \"200/s\"")
        .load("step = 1000")
        .load("max = 1000")
        .load("message = { bytes = 64, every = \"60s\" }"),
        InjectedLimit::new(
            "nginx-crash",
            Cause::Crash,
            format!("the server behind nginx exits at {crash} connections"),
        )
        .nginx()
        .front("worker_connections = 4096")
        .planted(format!("--fail-at {crash} --fail exit")),
    ]
}

fn haproxy(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (process, frontend) = (numbers.pick(350, 220..=700), numbers.pick(420, 220..=700));
    let (each, ports, nofile) =
        (numbers.pick(150, 100..=350), numbers.pick(450, 250..=700), numbers.pick(380, 250..=700));
    vec![
        InjectedLimit::new("haproxy-maxconn", CAP, format!("haproxy with a maxconn of {process}"))
            .quick()
            .haproxy()
            .front(format!("maxconn = {process}")),
        InjectedLimit::new(
            "haproxy-frontend-maxconn",
            CAP,
            format!("haproxy whose frontend has a maxconn of {frontend}"),
        )
        .haproxy()
        .front("maxconn = 4000")
        .front(format!("frontend_maxconn = {frontend}")),
        InjectedLimit::new(
            "haproxy-server-maxconn",
            CAP,
            format!("haproxy with a maxconn of {each} for each of two servers, 503 after 500 ms"),
        )
        .haproxy()
        .front(format!("server_maxconn = {each}"))
        .front("queue_timeout = \"500ms\"")
        .instances(2),
        InjectedLimit::new("haproxy-ports", PORTS, format!("haproxy with {ports} ports towards the server"))
            .haproxy()
            .front(format!("ports = {ports}")),
        InjectedLimit::new(
            "haproxy-descriptors",
            Cause::ServerDescriptors,
            format!("the server behind haproxy has {nofile} descriptors"),
        )
        .haproxy()
        .size(format!("nofile = {nofile}")),
    ]
}

/// One relay towards one address: as many of it, however many instances are behind it.
fn hop(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let ports = numbers.pick(430, 250..=700);
    let hop = |name, instances, before| {
        InjectedLimit::new(name, PORTS, format!("a relay with {ports} ports towards one address, before {before}"))
            .front("kind = \"relay\"")
            .front("spread = \"one-address\"")
            .front(format!("ports = {ports}"))
            .instances(instances)
    };
    vec![hop("hop-one", 1, "one instance"), hop("hop-two", 2, "two instances"), hop("hop-four", 4, "four instances")]
}

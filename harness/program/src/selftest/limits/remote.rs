//! Servers at a distance, of which only the address is known: an edge with a limit stands before them, or what tells about
//! them is wrong. Of an edge, only what the client saw can be judged; a wrong exporter may hide a cause, and must not make one.

use super::injected_limit::{Metrics, Remote};
use super::{InjectedLimit, Kind, Numbers};
use wsceiling_model::record::Cause;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut all = told_rightly(numbers);
    all.extend(told_wrongly(numbers));
    all.extend(edges(numbers));
    for limit in &mut all {
        limit.kind = Kind::Remote;
    }
    all
}

/// The exporter is right, so that the cause is proven as it is locally.
fn told_rightly(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (nofile, fails) = (numbers.pick(400, 250..=600), numbers.pick(450, 270..=630));
    let descriptors = Remote { nofile: Some(nofile), ..Remote::server("") };
    let restarts = Remote::server(format!("--fail-at {fails} --fail abort --supervise"));
    vec![
        InjectedLimit::new(
            "remote-descriptors",
            Cause::ServerDescriptors,
            format!("nofile {nofile} of a server elsewhere, whose exporter tells it"),
        )
        .remote(descriptors),
        InjectedLimit::new(
            "remote-restart",
            Cause::Crash,
            format!("a server elsewhere aborts at {fails} connections and is started again"),
        )
        .remote(restarts),
    ]
}

/// The server has a number of its own, and its exporter is of no use.
fn told_wrongly(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let ways = [
        ("remote-exporter-ends", Metrics::Ends, "ends in the middle of the load"),
        ("remote-401", Metrics::Refused, "answers 401"),
        ("remote-old", Metrics::Old, "tells numbers that are ten minutes old"),
        ("remote-reset", Metrics::Forgets, "begins its counter of CPU anew"),
        ("remote-other", Metrics::OfAnother, "tells about another process"),
    ];
    let one = |(name, metrics, words)| {
        let cap = numbers.pick(400, 250..=600);
        let what = format!("a server elsewhere answers 503 above {cap} connections, and its exporter {words}");
        let server = Remote::server(format!("--cap {cap} --at-cap refuse"));
        InjectedLimit::new(name, Cause::ApplicationCap, what).remote(Remote { metrics, ..server })
    };
    ways.map(one).into()
}

/// The edge has the limit, and the server has none.
fn edges(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (number, known) = (numbers.pick(400, 250..=600), numbers.pick(350, 250..=600));
    let (lifetime, idle) = (numbers.pick(3000, 2000..=4000), numbers.pick(2000, 1500..=3000));
    let (too_many, busy) = (numbers.pick(100, 60..=150), numbers.pick(90, 60..=150));
    let kib = numbers.pick(140, 129..=200);
    let edge = |name, cause, what: String, args: String| {
        InjectedLimit::new(name, cause, what).remote(Remote { edge: Some(args), ..Remote::server("") })
    };
    vec![
        edge(
            "edge-number",
            Cause::ApplicationCap,
            format!("an edge lets {number} connections through, and answers 503"),
            format!("--connections {number}"),
        ),
        edge(
            "edge-said",
            Cause::PlatformCap,
            format!("an edge like Heroku's lets {known} connections through, and answers with its code H11"),
            format!("--connections {known} --refuse heroku"),
        )
        .target("platform = \"heroku\""),
        edge(
            "edge-documented",
            Cause::PlatformCap,
            "an edge like Cloud Run's lets 80 connections through, which is documented".into(),
            "--like cloud-run".into(),
        )
        .target("platform = \"cloud-run\"")
        .load("step = 50")
        .load("max = 200"),
        edge(
            "edge-lifetime",
            Cause::Lifetime,
            format!("an edge ends each connection after {lifetime} ms"),
            format!("--lifetime {lifetime}ms"),
        )
        .load("rate = \"150/s\"")
        .load("step = 1000")
        .load("max = 1000"),
        edge(
            "edge-idle",
            Cause::Lifetime,
            format!("an edge ends what was silent for {idle} ms; clients send every 60 s"),
            format!("--idle {idle}ms"),
        )
        .load("rate = \"200/s\"")
        .load("step = 1000")
        .load("max = 1000")
        .load("message = { bytes = 64, every = \"60s\" }"),
        edge(
            "edge-1009",
            Cause::PlatformCap,
            format!("an edge like API Gateway's takes messages up to 128 KiB; clients send {kib} KiB"),
            "--like aws-api-gateway".into(),
        )
        .target("platform = \"aws-api-gateway\"")
        .load("step = 20")
        .load("max = 60")
        .load(format!("message = {{ bytes = \"{kib}KiB\", every = \"1s\" }}")),
        edge(
            "edge-rate-429",
            Cause::RateLimit,
            format!("an edge answers 429 above {too_many} connections a second"),
            format!("--rate {too_many}/s"),
        )
        .load("rate = \"300/s\"")
        .load("step = 600")
        .load("max = 1200"),
        edge(
            "edge-rate-503",
            Cause::RateLimit,
            format!("an edge answers 503 above {busy} connections a second"),
            format!("--rate {busy}/s --at-rate 503"),
        )
        .load("rate = \"300/s\"")
        .load("step = 600")
        .load("max = 1200"),
    ]
}

//! Servers at a distance, of which only the address is known: an edge with a limit stands before them, or what tells about
//! them is wrong. Of an edge, only what the client saw can be judged; a wrong exporter may hide a cause, and must not make one.

use super::injected_limit::{Metrics, Remote};
use super::{InjectedLimit, Kind, Numbers};
use wsceiling_model::record::Cause;

pub(super) fn limits(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let mut all = told_rightly(numbers);
    all.extend(told_wrongly(numbers));
    all.extend(edges_with_a_number(numbers));
    all.extend(edges_with_a_time(numbers));
    all.extend(edges_with_a_rate(numbers));
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
fn edge(name: &'static str, cause: Cause, what: String, args: String) -> InjectedLimit {
    InjectedLimit::new(name, cause, what).remote(Remote { edge: Some(args), ..Remote::server("") })
}

fn edges_with_a_number(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (number, known) = (numbers.pick(400, 250..=600), numbers.pick(350, 250..=600));
    let kib = numbers.pick(140, 129..=200);
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
            "edge-1009",
            Cause::PlatformCap,
            format!("an edge like API Gateway's takes messages up to 128 KiB; clients send {kib} KiB"),
            "--like aws-api-gateway".into(),
        )
        .target("platform = \"aws-api-gateway\"")
        .load("step = 20")
        .load("max = 60")
        .load(format!("message = {{ bytes = \"{kib}KiB\", every = \"1s\" }}")),
    ]
}

fn edges_with_a_time(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let (lifetime, idle) = (numbers.pick(3000, 2000..=4000), numbers.pick(2000, 1500..=3000));
    let ends = |limit: InjectedLimit, rate: &str| limit.load(rate).load("step = 1000").load("max = 1000");
    let active = edge(
        "edge-lifetime",
        Cause::Lifetime,
        format!("an edge ends each connection after {lifetime} ms"),
        format!("--lifetime {lifetime}ms"),
    );
    let silent = edge(
        "edge-idle",
        Cause::Lifetime,
        format!("an edge ends what was silent for {idle} ms; clients send every 60 s"),
        format!("--idle {idle}ms"),
    );
    vec![
        ends(active, "rate = \"150/s\""),
        ends(silent, "rate = \"200/s\"").load("message = { bytes = 64, every = \"60s\" }"),
    ]
}

fn edges_with_a_rate(numbers: &mut Numbers) -> Vec<InjectedLimit> {
    let ways = [("edge-rate-429", 429, 100), ("edge-rate-503", 503, 90)];
    let one = |(name, status, usual)| {
        let rate = numbers.pick(usual, 60..=150);
        let what = format!("an edge answers {status} above {rate} connections a second");
        let limit = edge(name, Cause::RateLimit, what, format!("--rate {rate}/s --at-rate {status}"));
        limit.load("rate = \"300/s\"").load("step = 600").load("max = 1200")
    };
    ways.map(one).into()
}

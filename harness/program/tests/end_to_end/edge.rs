//! A remote target behind the edge of a platform: each limit of the edge gives the outcome and the record that it would give
//! behind a real one.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::server::{self, server};
use crate::support::{Bench, shipped, text};

/// The edge before an echo server; killed when dropped.
struct Edge {
    child: Child,
    address: SocketAddr,
    /// The server's own address.
    own: SocketAddr,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edge(options: &str) -> Edge {
    let own = server(server::echo);
    let mut command = Command::new(shipped("edge"));
    command.args(["--listen", "127.0.0.1:0", "--upstream", &own.to_string()]).args(options.split_whitespace());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
    Edge { child, address, own }
}

/// The only trial of a matrix with the edge as its target.
fn trial(edge: &Edge, target: &str, load: &str) -> Value {
    let bench = Bench::new(&format!(
        "[run]\nname = \"test\"\nrepeats = 1\nready_within = \"10s\"\nsample_every = \"50ms\"\n\
         [targets.shop]\nurl = \"ws://{}/\"\nsettle = \"0s\"\n{target}\n[load]\nconnect_timeout = \"4s\"\n\
         handshake_timeout = \"4s\"\n{load}\n[axes]\ntarget = [\"shop\"]\n",
        edge.address
    ));
    let output = bench.run();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output));
    bench.trials().remove(0)
}

/// Steps of 50 up to 100.
const STAIRS: &str = "step = 50\nmax = 100\nrate = \"500/s\"\nhold = \"300ms\"\nnarrow = 1\n\
                      message = { bytes = 32, every = \"200ms\" }";

/// The failures of the last failed step, the most frequent reason first.
fn most_frequent_failure(trial: &Value) -> (String, String) {
    let steps = trial["steps"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["passed"] == false).unwrap();
    let errors = failed["errors"].as_array().unwrap();
    let most = errors.iter().max_by_key(|error| error["count"].as_u64()).unwrap_or_else(|| panic!("{failed}"));
    (most["stage"].as_str().unwrap().to_owned(), most["cause"].as_str().unwrap().to_owned())
}

fn failure(at: &str, reason: &str) -> (String, String) {
    (at.to_owned(), reason.to_owned())
}

#[test]
fn without_limits_a_server_behind_the_edge_holds_what_it_holds_itself() {
    let trial = trial(&edge("--like cloudflare"), "", STAIRS);
    assert_eq!((&trial["outcome"], trial["ceiling"]["last_good"].as_u64()), (&Value::from("ok"), Some(100)), "{trial}");
}

#[test]
fn a_number_is_the_ceiling_and_the_status_of_the_refusals_is_recorded() {
    for (style, status) in [("heroku", "http 503"), ("cloudflare", "http 522")] {
        let trial = trial(&edge(&format!("--connections 70 --refuse {style}")), "", STAIRS);
        assert_eq!(trial["outcome"], "ceiling", "{trial}");
        let (good, bad) = (trial["ceiling"]["last_good"].as_u64(), trial["ceiling"]["first_bad"].as_u64());
        assert!(good <= Some(70) && bad > Some(70), "{trial}");
        assert_eq!(most_frequent_failure(&trial), failure("handshake", status));
    }
}

#[test]
fn the_servers_own_address_holds_what_the_edge_does_not_let_through() {
    let edge = edge("--connections 70");
    let bench = Bench::new(&format!(
        "[run]\nname = \"test\"\nrepeats = 1\n[targets.public]\nurl = \"ws://{}/\"\nsettle = \"0s\"\n\
         front_of = \"own\"\n[targets.own]\nurl = \"ws://{}/\"\nsettle = \"0s\"\n[load]\n{STAIRS}\n\
         [axes]\ntarget = [\"public\", \"own\"]\n",
        edge.address, edge.own
    ));
    bench.run();
    let trials = bench.trials();
    let outcome = |cell: &str| trials.iter().find(|trial| trial["trial"]["cell"] == cell).unwrap()["outcome"].clone();
    assert_eq!((outcome("public-remote-x1"), outcome("own-remote-x1")), ("ceiling".into(), "ok".into()));
}

#[test]
fn a_lifetime_loses_connections_that_are_active() {
    let load = "step = 50\nmax = 100\nrate = \"500/s\"\nhold = \"3s\"\nnarrow = 0\n\
                message = { bytes = 32, every = \"100ms\" }";
    let trial = trial(&edge("--lifetime 2s"), "", load);
    assert_eq!(trial["outcome"], "ceiling", "{trial}");
    assert_eq!(most_frequent_failure(&trial).0, "open", "{trial}");
}

#[test]
fn silence_loses_connections_that_say_nothing_for_longer_than_the_edge_waits() {
    let load = |every: &str| {
        format!(
            "step = 50\nmax = 50\nrate = \"500/s\"\nhold = \"3s\"\nnarrow = 0\n\
             message = {{ bytes = 32, every = \"{every}\" }}"
        )
    };
    let edge = edge("--idle 1500ms");
    let quiet = trial(&edge, "", &load("1m"));
    assert_eq!(quiet["outcome"], "ceiling", "{quiet}");
    assert_eq!(most_frequent_failure(&quiet).0, "open", "{quiet}");
    assert_eq!(trial(&edge, "", &load("200ms"))["outcome"], "ok");
}

#[test]
fn messages_that_are_too_long_are_closed_with_1009() {
    let load = STAIRS.replace("bytes = 32", "bytes = \"20KiB\"");
    let trial = trial(&edge("--message-max 16KiB"), "", &load);
    assert_eq!(trial["outcome"], "ceiling", "{trial}");
    assert_eq!(most_frequent_failure(&trial), failure("open", "close 1009"), "{trial}");
}

#[test]
fn a_rate_refuses_a_load_that_opens_faster() {
    let load = STAIRS.replace("step = 50\nmax = 100\nrate = \"500/s\"", "step = 200\nmax = 200\nrate = \"100/s\"");
    for (options, status) in [("--rate 20/s", "http 429"), ("--rate 20/s --at-rate 503", "http 503")] {
        let trial = trial(&edge(options), "stop_at_failures = 1.0", &load);
        assert_eq!(trial["outcome"], "ceiling", "{trial}");
        assert_eq!(most_frequent_failure(&trial), failure("handshake", status), "{trial}");
        let opened = trial["steps"][0]["opened"].as_u64();
        assert!(opened > Some(20), "the second after lets in again: {trial}");
    }
}

#[test]
fn who_refuses_for_coming_too_fast_lets_those_in_that_are_asked_for_again() {
    let load = STAIRS.replace(
        "step = 50\nmax = 100\nrate = \"500/s\"\nhold = \"300ms\"\nnarrow = 1",
        "step = 300\nmax = 300\nrate = \"400/s\"\nhold = \"300ms\"\nnarrow = 0",
    );
    let trial = trial(&edge("--rate 40/s --at-rate 503"), "", &load);
    let steps = trial["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{trial}");
    assert!(steps[0]["open"].as_u64() < Some(150), "the load ended with the first refusals: {trial}");
    let (kind, issued, opened) = (&steps[1]["kind"], &steps[1]["issued"], &steps[1]["opened"]);
    assert_eq!((kind.as_str(), issued.as_u64(), opened.as_u64()), (Some("again"), Some(20), Some(20)), "{trial}");
}

#[test]
fn an_edge_that_lets_nobody_in_again_leaves_a_whole_record_without_a_narrowed_bracket() {
    // All of the first second is used up, also for the check before the bracket is narrowed.
    let trial = trial(&edge("--rate 20/s"), "", STAIRS);
    assert_eq!(trial["outcome"], "ceiling", "{trial}");
    assert_eq!(most_frequent_failure(&trial), failure("handshake", "http 429"), "{trial}");
    assert!(trial["generator"]["workers"].as_u64() >= Some(1), "{trial}");
}

#[test]
fn a_redirect_is_a_row_that_says_so() {
    let trial = trial(&edge("--redirect"), "", STAIRS);
    assert!(matches!(trial["outcome"].as_str(), Some("failed-to-start" | "failed-verification")), "{trial}");
    assert!(trial["reason"].to_string().contains("301"), "{trial}");
}

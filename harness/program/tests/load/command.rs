//! The command line, thresholds and the JSON form.

use serde_json::Value;

use crate::server::{echo, server};
use crate::tool::{closed, load, short};

#[test]
fn thresholds_decide_the_exit_code_and_are_printed() {
    let url = format!("ws://{}", server(echo));
    let passes =
        ["-t", "connected>=99.9%", "-t", "p99<10s", "-t", "lost==0", "-t", "handshake.p99<10s", "-t", "rate>1/s"];
    let arguments = [&["-n", "20", "--hold", "300ms"], passes.as_slice()].concat();
    let ran = load(&url, &arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out.matches("PASS  ").count(), 5, "{ran:?}");
    let ran = load(&url, &[arguments.as_slice(), &["-t", "p50<1ns"]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("FAIL  p50<1ns  (") && ran.out.contains("1 of 6 thresholds not met"), "{ran:?}");
    // A threshold of one's own replaces the strict ones.
    let ran = load(&closed(), &["-n", "3", "-t", "failed<=3"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("3 of 3 connects failed"), "{ran:?}");
}

#[test]
fn bad_usage_is_exit_code_2_with_a_hint() {
    for (arguments, says) in [
        (vec!["localhost:8080"], "hint: ws://localhost:8080"),
        (vec!["http://localhost"], "ws:// instead of http://"),
        (vec!["ws://x", "--threshold", "speed>1"], "hint: connected"),
        (vec!["ws://x", "--rate", "fast"], "hint"),
        (vec!["ws://x", "--hold", "5"], "hint"),
        (vec!["ws://x", "-n", "0"], "0"),
        (vec!["ws://x", "--stage", "1,2"], "hint: 1000,500/s,30s"),
        (vec!["ws://x", "--stage", "1,2/s,1s", "-n", "5"], "cannot be used with"),
        (vec!["ws://x", "--header", "Upgrade: x"], "cannot be set"),
        (vec!["ws://x", "--header", "a b: x"], "bad header"),
        (vec!["ws://x", "--payload", "a", "--payload-file", "b"], "cannot be used with"),
        (vec!["ws://x", "--payload-file", "/no/such/file"], "/no/such/file"),
        (vec!["ws://x", "--binary"], "--binary needs"),
        (vec!["ws://x", "--scenario", "broadcast"], "--protocol app"),
        (vec!["ws://x", "--protocol", "app", "--payload", "x"], "no --payload"),
        (vec!["ws://x", "--bearer"], "--token"),
        (vec!["ws://me:x@x", "--token", "T", "--bearer"], "more than once"),
        (vec!["ws://x", "--message-bytes", "1GiB"], "16 MiB"),
    ] {
        let ran = load(arguments[0], &arguments[1..]);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(says), "{arguments:?}: {ran:?}");
        assert!(ran.out.is_empty(), "{ran:?}");
    }
}

/// Every name of an object's members, with those inside.
fn names(value: &Value, under: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.push(format!("{under}{name}"));
                names(value, &format!("{under}{name}."), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, under, found)),
        _ => {}
    }
}

/// Every field of the JSON form.
const FIELDS: &str = "
    format program url started duration_s ended request.scenario request.expect request.message_bytes
    request.every_s addresses.url addresses.address addresses.used addresses.failure addresses.open tls assumptions
    connections.requested connections.due connections.issued connections.opened connections.failed connections.lost
    connections.peak connections.open connections.held rate.requested_per_s rate.issued_per_s rate.achieved_per_s
    messages.due messages.sent messages.answered messages.unasked messages.due_per_s messages.answered_per_s
    messages.answered_while_opening latency.connect.p50_us latency.handshake.p99_us latency.reply.p999_us
    latency.reply.histogram server server_notes own.workers own.descriptor_limit own.source_addresses own.ports_per_pair own.cpu_s
    own.cpu_ratio own.busiest_worker_ratio own.memory_bytes own.memory_per_connection_bytes own.lag.p99_us
    own.limited_by own.statement stages.to stages.rate_per_s stages.hold_s stages.opened stages.open stages.held
    stages.lost stages.failed stages.messages_due stages.messages_answered stages.reply.p99_us
    stages.held_to_its_end thresholds.threshold thresholds.value thresholds.limit thresholds.unit thresholds.passed
    passed verdict
";

#[test]
fn the_json_form_has_every_field_whatever_happened() {
    let good = short(&format!("ws://{}", server(echo)), &[]).json();
    let bad = short(&closed(), &[]).json();
    for outcome in [&good, &bad] {
        let mut found = Vec::new();
        names(outcome, "", &mut found);
        for name in FIELDS.split_whitespace() {
            assert!(found.iter().any(|found| found == name), "{name} is missing: {outcome:#}");
        }
    }
    assert_eq!((good["format"].as_u64(), good["passed"].as_bool()), (Some(1), Some(true)));
    assert_eq!(bad["passed"].as_bool(), Some(false));
    assert!(bad["latency"]["reply"]["p99_us"].is_null());
    assert!(bad["errors"][0]["hint"].is_string() && bad["errors"][0]["first_ms"].is_u64());
}

#[test]
fn stages_go_up_and_down() {
    let url = format!("ws://{}", server(echo));
    let stages = ["--stage", "10,500/s,200ms", "--stage", "30,500/s,200ms", "--stage", "5,500/s,200ms"];
    let ran = load(&url, &[stages.as_slice(), &["--format", "json"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let json = ran.json();
    let held: Vec<_> = json["stages"].as_array().unwrap().iter().map(|stage| stage["held"].as_u64().unwrap()).collect();
    assert_eq!(held, [10, 30, 5]);
    assert_eq!((json["connections"]["opened"].as_u64(), json["connections"]["peak"].as_u64()), (Some(30), Some(30)));
    let ran = load(&url, &stages);
    assert!(ran.out.contains("stages"), "{ran:?}");
}

use super::*;

fn outcome() -> Outcome {
    let mut outcome = Outcome::default();
    outcome.connections.requested = 1000;
    outcome.connections.opened = 999;
    outcome.connections.failed = 1;
    outcome.connections.lost = 2;
    outcome.connections.open = 997;
    outcome.connections.held = 997;
    outcome.messages.due = 10;
    outcome.messages.answered = 9;
    outcome.rate.achieved_per_s = 480.5;
    outcome.latency.reply = Latency { count: 9, p99_us: Some(1500), max_us: Some(2000), ..Latency::default() };
    outcome
}

fn passes(text: &str) -> bool {
    Threshold::parse(text).unwrap().judge(&outcome()).passed
}

#[test]
fn conditions_are_judged() {
    for text in [
        "connected>=99.9%",
        "connected>=999",
        "failed==1",
        "failed<=0.1%",
        "lost<3",
        "lost!=0",
        "lost<1%",
        "held==100%",
        "held==997",
        "answered>=90%",
        "unanswered==1",
        "p99<2ms",
        "reply.p99<=1.5ms",
        "max<=2ms",
        " p99 < 2ms ",
        "rate>480/s",
        "rate>480",
        "lost=2",
    ] {
        assert!(passes(text), "{text}");
    }
    for text in ["connected==100%", "lost==0", "p99<1500us", "rate>=500/s", "answered==100%", "p99>1500us"] {
        assert!(!passes(text), "{text}");
    }
}

#[test]
fn connections_that_replace_others_are_wanted_too() {
    let mut outcome = outcome();
    outcome.connections.due = 2000;
    outcome.connections.opened = 1500;
    assert_eq!(Threshold::parse("connected>=0%").unwrap().judge(&outcome).value, Some(0.75));
}

#[test]
fn what_was_not_measured_fails() {
    for text in ["p50<1h", "connect.p99<1h", "tls.p99<1h", "handshake.max>=0s", "lag.p99<1h"] {
        assert!(!passes(text), "{text}");
    }
    let nothing = Outcome::default();
    assert!(!Threshold::parse("held==100%").unwrap().judge(&nothing).passed);
    let judged = Threshold::parse("held==100%").unwrap().judge(&nothing);
    assert_eq!(judged.to_string(), "FAIL  held==100%  (nothing was measured)");
}

#[test]
fn bad_conditions_are_said_with_a_hint() {
    for (text, says) in [
        ("p99", "no comparison"),
        ("p99!200ms", "no comparison"),
        ("speed>1", "nothing that is measured"),
        ("lag.speed>1", "nothing that is measured"),
        ("p99<200", "no unit"),
        ("lost==none", "no number"),
        ("lost>=-1", "no number"),
        ("connected>=NaN%", "no number"),
    ] {
        let error = Threshold::parse(text).unwrap_err();
        assert!(error.contains(says) && error.contains("hint"), "{text}: {error}");
    }
}

#[test]
fn the_defaults_are_three() {
    assert_eq!(defaults().len(), 3);
}

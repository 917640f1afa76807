//! Judging an outcome by the gates.

use super::gate::{Gate, JudgedGate, Measure, Percentile, Which};
use super::outcome::Outcome;
use wsceiling_model::record::Latency;

/// Judges an outcome by a gate.
pub(super) fn judge(gate: &Gate, outcome: &Outcome) -> JudgedGate {
    gate.judge(value(gate, outcome))
}

/// What the gate is about, in the unit of its limit; `None`: nothing was measured.
fn value(gate: &Gate, outcome: &Outcome) -> Option<f64> {
    let counts = &outcome.connections;
    // Part and whole. What has no whole has no share, and fails.
    let (part, whole) = match gate.measure() {
        Measure::Connected => (counts.opened, counts.wanted()),
        Measure::Held => (counts.held, counts.open),
        Measure::Answered => (outcome.messages.answered, outcome.messages.due),
        Measure::Failed => (counts.failed, counts.wanted()),
        Measure::Lost => (counts.lost, counts.opened),
        Measure::Unanswered => {
            (outcome.messages.due - outcome.messages.answered.min(outcome.messages.due), outcome.messages.due)
        }
        Measure::Rate => return Some(outcome.rate.achieved_per_s),
        Measure::Latency(which, percentile) => return percentile.of(which.of(outcome)).map(|us| us as f64),
    };
    if gate.is_share() { (whole > 0).then(|| part as f64 / whole as f64) } else { Some(part as f64) }
}

impl Which {
    fn of(self, outcome: &Outcome) -> &Latency {
        match self {
            Self::Reply => outcome.latency.replies(),
            Self::Connect => &outcome.latency.connect,
            Self::Tls => &outcome.latency.tls,
            Self::Handshake => &outcome.latency.handshake,
            Self::Lag => &outcome.own.lag,
        }
    }
}

impl Percentile {
    fn of(self, latency: &Latency) -> Option<u64> {
        match self {
            Self::P50 => latency.p50_us,
            Self::P90 => latency.p90_us,
            Self::P99 => latency.p99_us,
            Self::P999 => latency.p999_us,
            Self::Max => latency.max_us,
        }
    }
}

#[cfg(test)]
mod tests {
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

    fn judged(text: &str, outcome: &Outcome) -> JudgedGate {
        judge(&Gate::parse(text).unwrap(), outcome)
    }

    fn passes(text: &str) -> bool {
        judged(text, &outcome()).passed
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
        assert_eq!(judged("connected>=0%", &outcome).value, Some(0.75));
    }

    #[test]
    fn what_was_not_measured_fails() {
        for text in ["p50<1h", "connect.p99<1h", "tls.p99<1h", "handshake.max>=0s", "lag.p99<1h"] {
            assert!(!passes(text), "{text}");
        }
        let nothing = Outcome::default();
        let judged = judged("held==100%", &nothing);
        assert!(!judged.passed);
        assert_eq!(judged.to_string(), "FAIL  held==100%  (nothing was measured)");
    }
}

//! The symptoms of a trial in words.

use super::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::gate::Rule;
use wsceiling_model::record::{Component, GateName, Metric};

/// Most failures that a sentence names.
const MOST_NAMED: usize = 3;

/// How long an accept queue must stay at least half full to stand, and the share of that time.
const STANDS_MS: f64 = 1000.0;
const STANDS: f64 = 0.8;

impl TrialContext<'_> {
    /// Whether the accept queue of an instance stayed full from a moment on. A short queue is empty again a moment after a
    /// burst; one that stays full is not emptied.
    pub(crate) fn queue_stands(&self, component: Component, from_ms: f64) -> bool {
        let Some(step) = self.failed else { return false };
        let points =
            self.series.between(component, Metric::ListenQueue, from_ms, step.opened_ms.max(from_ms + STANDS_MS));
        let Some(backlog) = self.highest(component, Metric::ListenBacklog) else { return false };
        let full = points.iter().filter(|(_, waiting)| *waiting >= backlog / 2.0).count() as f64;
        let lasted = points.last().zip(points.first()).map_or(0.0, |(last, first)| last.0 - first.0);
        lasted >= STANDS_MS && full >= STANDS * points.len() as f64
    }

    /// `378 connect timeout, 129 handshake timeout`, or the gates that failed; `None` where no step failed.
    pub(crate) fn seen_words(&self) -> Option<String> {
        let step = self.failed?;
        let mut errors: Vec<_> = self.failures.iter().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        let named = errors.iter().take(2);
        let named: Vec<String> =
            named.map(|error| format!("{} {} {}", format::whole(error.count as f64), error.at, error.reason)).collect();
        let gates = || step.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.name.label().to_owned());
        Some(if named.is_empty() { gates().collect::<Vec<_>>().join(", ") } else { named.join(", ") })
    }

    /// `1,024 of 2,000 connects failed (724 handshake timeout, 300 connect timeout)`.
    pub(crate) fn symptom_words(&self) -> String {
        let Some(step) = self.failed else { return "no step failed".into() };
        let mut errors: Vec<_> = self.failures.iter().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        let named: Vec<String> = errors
            .iter()
            .take(MOST_NAMED)
            .map(|error| format!("{} {} {}", format::whole(error.count as f64), error.at, error.reason))
            .collect();
        if !named.is_empty() {
            let all = format::connections(self.failed_count());
            return format!("{all} failed in the step to {} ({})", format::whole(step.target.into()), named.join(", "));
        }
        let gates: Vec<String> = step
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| match (gate.name, gate.value) {
                (GateName::P99Us, Some(p99)) => {
                    format!(
                        "the 99th percentile of replies rose to {}, the gate is {}",
                        format::micros(p99),
                        format::micros(gate.limit)
                    )
                }
                (name, Some(value)) => {
                    let said = match name.rule() {
                        Rule::AtLeast => format!("only {} {name}", format::quantity(name.unit(), value)),
                        Rule::AtMost => format!("{} rose to {}", name.label(), format::quantity(name.unit(), value)),
                    };
                    format!("{said}, the gate is {}", format::quantity(name.unit(), gate.limit))
                }
                (_, None) if step.messages_due > 0 => {
                    format!(
                        "no reply came in the whole hold to {} messages that were due",
                        format::whole(step.messages_due as f64)
                    )
                }
                (name, None) => format!("nothing to measure for gate {name}"),
            })
            .collect();
        if gates.is_empty() { "a step failed without a failed connection".into() } else { gates.join(" and ") }
    }
}

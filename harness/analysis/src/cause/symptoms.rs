//! The symptoms of a trial in words and as evidence.

use super::{Evidence, Facts, words};
use wsceiling_model::record::{Component, GateName, Metric};

/// Most failures that a sentence names.
const MOST_NAMED: usize = 3;

impl Facts<'_> {
    /// `1,024 of 2,000 connects failed (724 handshake timeout, 300 connect timeout)`.
    pub(super) fn symptom_words(&self) -> String {
        let Some(step) = self.failed else { return "no step failed".into() };
        let mut errors: Vec<_> = self.failures().iter().collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        let named: Vec<String> = errors
            .iter()
            .take(MOST_NAMED)
            .map(|error| format!("{} {} {}", words::count(error.count as f64), error.at, error.reason))
            .collect();
        if !named.is_empty() {
            let all = words::count(self.failed_count());
            return format!(
                "{all} connections failed in the step to {} ({})",
                words::count(step.target.into()),
                named.join(", ")
            );
        }
        let gates: Vec<String> = step
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| match (gate.name, gate.value) {
                (GateName::P99Us, Some(p99)) => {
                    format!(
                        "the 99th percentile of replies rose to {}, the gate is {}",
                        words::micros(p99),
                        words::micros(gate.limit)
                    )
                }
                (name, Some(value)) => {
                    format!("only {} {name}, the gate is {}", words::percent(value), words::percent(gate.limit))
                }
                (_, None) if step.messages_due > 0 => {
                    format!(
                        "no reply came in the whole hold to {} messages that were due",
                        words::count(step.messages_due as f64)
                    )
                }
                (name, None) => format!("nothing to measure for gate {name}"),
            })
            .collect();
        if gates.is_empty() { "a step failed without a failed connection".into() } else { gates.join(" and ") }
    }

    /// Each kind of failure of the failed step.
    pub(super) fn failures_evidence(&self) -> Vec<Evidence> {
        let each = self.failures().iter().map(|error| Evidence {
            component: Component::Generator,
            name: format!("{}: {}", error.at, error.reason),
            before: Some("0".into()),
            after: Some(words::count(error.count as f64)),
            source: "own tally of the generator".into(),
        });
        each.collect()
    }

    /// What a person would look at first.
    pub(super) fn overview_evidence(&self) -> Vec<Evidence> {
        const SERVER: [Metric; 5] = [
            Metric::MemoryCurrent,
            Metric::BusiestThread,
            Metric::Descriptors,
            Metric::ListenQueue,
            Metric::ListenOverflows,
        ];
        let mut all: Vec<Evidence> =
            self.instances().flat_map(|instance| self.all_evidence(instance, &SERVER)).collect();
        all.extend(self.evidence(Component::Generator, Metric::Lag));
        all
    }
}

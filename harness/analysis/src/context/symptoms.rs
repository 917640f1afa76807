//! The symptoms of a trial in words.

use super::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::GateName;
use wsceiling_model::record::gate::Rule;

/// Most failures that a sentence names.
const MOST_NAMED: usize = 3;

impl TrialContext<'_> {
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
            let all = format::whole(self.failed_count());
            return format!(
                "{all} connections failed in the step to {} ({})",
                format::whole(step.target.into()),
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

//! The cgroup is slowed down for its memory, and nobody is killed.

use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Metric};

/// Share of the last 10 s in which everything waited for memory.
const PRESSURE: f64 = 10.0;

pub(super) const RULE: Rule =
    Rule { cause: Cause::MemoryPressure, consequences: &[Cause::AcceptQueue, Cause::SynQueue, Cause::Hang], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let slow = trial.slowness();
    if slow < 0.2 {
        return None;
    }
    let high = trial.server_rise(Metric::MemoryHighEvents);
    let pressed = trial.instances().find_map(|instance| {
        let points = trial.series.between(instance, Metric::PsiMemoryFull, trial.from, trial.to);
        points.iter().find(|(_, share)| *share > PRESSURE).map(|(t, _)| (instance, *t))
    });
    let (component, onset_ms) = match (high, pressed) {
        (Some(rise), _) => (rise.component, rise.onset_ms),
        (None, Some(found)) => found,
        (None, None) => return None,
    };
    let times = high.map_or(String::new(), |rise| format!(" {} times", format::whole(rise.by)));
    Some(Candidate {
        sentence: format!(
            "At {} the kernel slowed {component} down for its memory{times}; nothing was killed, and {}.",
            format::connections(trial.held_at_failure()),
            trial.symptom_words()
        ),
        fix: "raise memory.high (or the limit), or make a connection cheaper".into(),
        evidence: trial
            .all_evidence(component, &[Metric::MemoryHighEvents, Metric::PsiMemoryFull, Metric::MemoryCurrent]),
        proof: Proof {
            moved: true,
            arithmetic: high.is_some() && pressed.is_some(),
            timely: trial.first_failure_ms.is_none_or(|first| onset_ms <= first + 1000.0 + trial.tick_ms()),
            explains: slow,
            onset_ms: Some(onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    fn slow() -> Script {
        // Section 8: memory.high 16M: held 749 and rising, 591 handshake and 660 connect timeouts, high 250, full 52.6.
        let fail = Fail::slope(749).error(FailedAt::Handshake, "timeout", 591).error(FailedAt::Connect, "timeout", 660);
        script().load(2000, 2000).fail(fail)
    }

    #[test]
    fn slowed_down_at_high_is_sure_with_pressure() {
        let verdict = slow()
            .set(Component::Instance(0), Metric::MemoryHighEvents, rising(250.0))
            .set(Component::Instance(0), Metric::PsiMemoryFull, |m| Some(if m.failing { 52.6 } else { 0.0 }))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryPressure, 0.85), "{verdict:?}");
    }

    #[test]
    fn a_little_pressure_is_not() {
        let calm =
            slow().set(Component::Instance(0), Metric::PsiMemoryFull, |m| Some(if m.failing { 4.0 } else { 0.0 }));
        assert_ne!(cause(calm), Cause::MemoryPressure);
    }
}

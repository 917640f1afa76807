//! The cgroup is slowed down for its memory, and nobody is killed.

use super::{Candidate, Facts, Proof, Rule, words};
use wsceiling_model::record::Metric;

/// Share of the last 10 s in which everything waited for memory.
const PRESSURE: f64 = 10.0;

pub(super) const RULE: Rule =
    Rule { cause: "memory-pressure", consequences: &["accept-queue", "syn-queue", "hang"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let slow = facts.slowness();
    if slow < 0.2 {
        return None;
    }
    let high = facts.server_rise(Metric::MemoryHighEvents);
    let pressed = facts.instances().find_map(|instance| {
        let track = facts.tracks.between(instance, Metric::PsiMemoryFull, facts.from, facts.to);
        track.iter().find(|(_, share)| *share > PRESSURE).map(|(t, _)| (instance, *t))
    });
    let (component, onset_ms) = match (high, pressed) {
        (Some(rise), _) => (rise.component, rise.onset_ms),
        (None, Some(found)) => found,
        (None, None) => return None,
    };
    let times = high.map_or(String::new(), |rise| format!(" {} times", words::count(rise.by)));
    Some(Candidate {
        sentence: format!(
            "At {} the kernel slowed {component} down for its memory{times}; nothing was killed, and {}.",
            words::connections(facts.held_at_failure()),
            facts.symptom_words()
        ),
        fix: "raise memory.high (or the limit), or make a connection cheaper".into(),
        evidence: facts
            .all_evidence(component, &[Metric::MemoryHighEvents, Metric::PsiMemoryFull, Metric::MemoryCurrent]),
        proof: Proof {
            moved: true,
            arithmetic: high.is_some() && pressed.is_some(),
            timely: facts.first_failure_ms.is_none_or(|first| onset_ms <= first + 1000.0 + facts.beat_ms()),
            explains: slow,
            onset_ms: Some(onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Component, FailedAt, Metric};

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
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("memory-pressure", 0.85), "{verdict:?}");
    }

    #[test]
    fn a_little_pressure_is_not() {
        let calm =
            slow().set(Component::Instance(0), Metric::PsiMemoryFull, |m| Some(if m.failing { 4.0 } else { 0.0 }));
        assert_ne!(cause(calm), "memory-pressure");
    }
}

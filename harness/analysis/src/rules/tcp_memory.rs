//! The kernel's memory for TCP buffers, one pool for the whole machine, is used up.

use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

pub(super) const RULE: Rule = Rule {
    cause: Cause::TcpMemory,
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::PathDied, Cause::Hang],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let aborted = trial.server_rise(Metric::AbortOnMemory);
    let pressure = trial.server_rise(Metric::MemoryPressures);
    let pages = trial.highest(Component::Host, Metric::SocketsMemory);
    let limits = trial.setting("tcp_mem");
    let over = |at: usize| pages.zip(limits.get(at).copied()).is_some_and(|(pages, limit)| pages > limit);
    // Pressure alone, with memory below the mark, is over as soon as it began.
    let rise = aborted.or(pressure.filter(|_| over(1)))?;
    let mut evidence =
        trial.all_evidence(rise.component, &[Metric::AbortOnMemory, Metric::MemoryPressures, Metric::RcvQDrops]);
    evidence.extend(trial.evidence(Component::Host, Metric::SocketsMemory));
    let used = pages.map_or(String::new(), |pages| format!(" ({} pages in use)", format::whole(pages)));
    Some(Candidate {
        sentence: format!(
            "At {} the kernel had no memory left for TCP buffers{used}: writers stalled or were reset.",
            format::connections(trial.held_at_failure())
        ),
        fix: "raise net.ipv4.tcp_mem, read faster, or give sockets smaller buffers".into(),
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: over(1) || over(2),
            timely: trial.at_first_failure(rise.onset_ms),
            explains: 1.0,
            onset_ms: Some(rise.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, Metric};

    fn stalling(pages: f64) -> Script {
        script()
            .good(1000)
            .fail(Fail::late(900_000).held(0.4))
            .set(Component::Instance(0), Metric::MemoryPressures, rising(1.0))
            .set(Component::Host, Metric::SocketsMemory, move |m| Some(if m.failing { pages } else { 700.0 }))
            .fact("sysctl.net.ipv4.tcp_mem", "5000\t8000\t12000")
    }

    #[test]
    fn pressure_above_the_mark_is_sure() {
        let verdict = stalling(12_100.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TcpMemory, 0.85));
    }

    #[test]
    fn pressure_below_it_is_not() {
        assert_ne!(cause(stalling(4000.0)), Cause::TcpMemory);
    }
}

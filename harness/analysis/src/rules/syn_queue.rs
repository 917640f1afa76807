//! The queue of half-open connections was full and new ones were dropped.

use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

pub(super) const RULE: Rule = Rule { cause: Cause::SynQueue, consequences: &[], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let slow = trial.slowness();
    let dropped = trial.server_rise(Metric::ReqQFullDrops)?;
    if slow < 0.2 {
        return None;
    }
    let component = dropped.component;
    let drops = trial.risen(component, Metric::ListenDrops);
    let overflows = trial.risen(component, Metric::ListenOverflows);
    let mut evidence: Vec<Evidence> = trial.all_evidence(
        component,
        &[Metric::ReqQFullDrops, Metric::ReqQFullCookies, Metric::ListenDrops, Metric::ListenOverflows],
    );
    evidence.extend(trial.evidence(Component::Generator, Metric::SynRetransmits));
    Some(Candidate {
        sentence: format!(
            "At {} the queue of half-open connections was full and {} were dropped (SYN cookies are off).",
            format::connections(trial.held_at_failure()),
            format::whole(dropped.by)
        ),
        fix: "turn net.ipv4.tcp_syncookies on, or raise net.ipv4.tcp_max_syn_backlog".into(),
        evidence,
        proof: Proof {
            moved: true,
            // What this queue drops is in ListenDrops, and never in ListenOverflows.
            arithmetic: drops >= dropped.by && overflows == 0.0,
            timely: trial.at_first_failure(dropped.onset_ms),
            explains: slow,
            onset_ms: Some(dropped.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, Metric};

    fn flooded() -> Script {
        // Y1, cookies off: 925 ms, QFullDrop +546, ListenDrops +1623, no overflow.
        script().load(600, 600).fail(Fail::late(925_000)).set(
            Component::Instance(0),
            Metric::ListenDrops,
            rising(1623.0),
        )
    }

    #[test]
    fn dropped_half_open_connections_are_the_queue() {
        let verdict = flooded().set(Component::Instance(0), Metric::ReqQFullDrops, rising(546.0)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SynQueue, 0.85));
    }

    #[test]
    fn cookies_alone_stop_nobody() {
        let cookies = flooded().set(Component::Instance(0), Metric::ReqQFullCookies, rising(1325.0));
        assert_ne!(cause(cookies), Cause::SynQueue);
    }
}

//! The connection tracking table is full: new connections are dropped without a word.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of the drops that may be clashes of entries (those are another cause).
const CLASHES: f64 = 0.1;

pub(super) const RULE: Rule = Rule {
    cause: Cause::ConntrackFull,
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::SynQueue],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let components = [Component::Host, Component::Generator].into_iter().chain(trial.instances());
    let drops = components
        .filter_map(|component| trial.rise(component, Metric::ConntrackDrops))
        .max_by(|a, b| a.by.total_cmp(&b.by))?;
    let clashes = trial.risen(drops.component, Metric::ConntrackInsertFailed);
    if clashes > CLASHES * drops.by {
        return None;
    }
    let count = trial.highest(drops.component, Metric::ConntrackCount);
    let most = trial.setting("nf_conntrack_max").first().copied();
    // Below its limit a table drops for other reasons (an invalid packet), which stop nobody.
    if count.zip(most).is_some_and(|(count, most)| count < 0.9 * most) {
        return None;
    }
    let table = most.map_or(String::new(), |most| format!(" of {} entries", format::whole(most)));
    Some(Candidate {
        sentence: format!(
            "At {} the connection tracking table{table} was full and {} packets of new connections were dropped without \
             an answer.",
            format::connections(trial.held_at_failure()),
            format::whole(drops.by)
        ),
        fix: "raise net.netfilter.nf_conntrack_max, or take these connections out of tracking (NOTRACK)".into(),
        evidence: trial.all_evidence(
            drops.component,
            &[Metric::ConntrackDrops, Metric::ConntrackInsertFailed, Metric::ConntrackCount],
        ),
        proof: Proof {
            moved: true,
            arithmetic: count.zip(most).is_some_and(|(count, most)| near(count, most)),
            timely: trial.at_first_failure(drops.onset_ms),
            explains: trial.slowness(),
            onset_ms: Some(drops.onset_ms),
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    fn dropping(count: f64) -> Script {
        // K1: nf_conntrack_max 12000, 1,500 connect timeouts, drop +7097, insert_failed 0.
        let fail = Fail::plateau(12_000).error(FailedAt::Connect, "timeout", 1500);
        script()
            .load(4500, 18_000)
            .good(9000)
            .fail(fail)
            .set(Component::Instance(0), Metric::ConntrackDrops, rising(7097.0))
            .set(Component::Instance(0), Metric::ConntrackInsertFailed, |_| Some(0.0))
            .set(Component::Instance(0), Metric::ConntrackCount, move |m| Some(m.open.min(count)))
            .fact("sysctl.net.netfilter.nf_conntrack_max", "12000")
    }

    #[test]
    fn a_full_table_is_sure() {
        let verdict = dropping(12_000.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ConntrackFull, 0.85), "{}", verdict.sentence);
    }

    #[test]
    fn a_table_with_room_is_not_the_cause() {
        assert_ne!(cause(dropping(3000.0)), Cause::ConntrackFull);
    }
}

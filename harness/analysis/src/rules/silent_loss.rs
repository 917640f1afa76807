//! Connects vanish and no counter within sight moves: the loss is on a path that cannot be read from here.

use super::rule::{Candidate, Proof, Rule};
use crate::context::{TrialContext, is_timeout};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

pub(super) const RULE: Rule = Rule { cause: Cause::SilentLoss, consequences: &[], judge };

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let explains = trial.share(|error| error.at == FailedAt::Connect && is_timeout(error));
    let resent = trial.rise(Component::Generator, Metric::SynRetransmits)?;
    let opened = trial.failed?.opened as f64;
    // What no counter was read of, nobody knows to have stayed away.
    let counted = trial.instances().all(|c| trial.series.near(c, Metric::PassiveOpens, trial.to).is_some());
    let accepted = trial.server_rise(Metric::PassiveOpens).map_or(0.0, |rise| rise.by);
    let dropped = trial.server_rise(Metric::ListenDrops).is_some();
    let failed = trial.failed_count();
    // The server took what opened, and nearly nothing of what failed ever reached it.
    if !counted || explains < 0.5 || dropped || accepted > opened + 0.1 * failed || resent.by < failed {
        return None;
    }
    let mut evidence = trial.failures_evidence();
    evidence.extend(trial.evidence(Component::Generator, Metric::SynRetransmits));
    evidence
        .extend(trial.instances().flat_map(|c| trial.all_evidence(c, &[Metric::PassiveOpens, Metric::ListenDrops])));
    Some(Candidate {
        sentence: format!(
            "At {} connects were lost on the way: {} were sent again, the server never saw them and dropped none.",
            format::connections(trial.held_at_failure()),
            format::whole(resent.by)
        ),
        fix: "look at what is between: address translation, a balancer, connection tracking of the provider".into(),
        evidence,
        proof: Proof { moved: true, arithmetic: false, timely: true, explains, onset_ms: trial.first_failure_ms },
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    fn lost() -> Script {
        let fail = Fail::plateau(1200).error(FailedAt::Connect, "timeout", 300);
        script().good(1000).fail(fail).set(Component::Generator, Metric::SynRetransmits, rising(1100.0))
    }

    #[test]
    fn loss_that_the_server_never_saw_is_silent() {
        let verdict = lost().verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SilentLoss, 0.60), "{verdict:?}");
    }

    #[test]
    fn where_nobody_counted_what_arrived_nothing_is_said_about_it() {
        assert_ne!(cause(lost().set(Component::Instance(0), Metric::PassiveOpens, |_| None)), Cause::SilentLoss);
    }

    #[test]
    fn loss_that_the_server_counted_is_not() {
        assert_ne!(cause(lost().set(Component::Instance(0), Metric::ListenDrops, rising(900.0))), Cause::SilentLoss);
    }
}

//! Demand or capacity: what the same client opened elsewhere says about a plateau.

use std::fmt::Write as _;

use crate::context::TrialContext;
use crate::pattern::FailurePattern;
use crate::verdict::{Evidence, EvidenceName, Verdict};
use wsceiling_model::format;
use wsceiling_model::record::{Component, DialRecord, client_limits};

/// Adds to a verdict that is not the client's what the client had to give.
pub(crate) fn add(trial: &TrialContext<'_>, verdict: &mut Verdict) {
    let Some(headroom) = &trial.record.headroom else { return };
    let sink = headroom.sink.as_ref().map(|dial| (EvidenceName::OpenedToSink, dial));
    let direct = headroom.direct.as_ref().map(|dial| (EvidenceName::OpenedDirectly, dial));
    let dials = sink.into_iter().chain(direct);
    verdict.evidence.extend(dials.map(|(name, dial)| Evidence {
        component: Component::Generator,
        name,
        before: Some(format!("{} asked for", format::whole(f64::from(dial.asked)))),
        after: Some(format::whole(dial.opened as f64)),
        source: "the same client after the trial, in trials.jsonl".into(),
    }));
    if !matches!(verdict.pattern, FailurePattern::Plateau | FailurePattern::Slope) {
        return;
    }
    if let Some(dial) = headroom.sink.as_ref().filter(|dial| is_all(dial)) {
        let all = format::whole(dial.opened as f64);
        let rate = format::whole(dial.achieved_per_s);
        let _ = write!(
            verdict.sentence,
            " The client had more to give: it opened {all} at {rate} a second to a server that does nothing."
        );
    }
    if let Some(dial) = headroom.direct.as_ref().filter(|dial| is_all(dial)) {
        let all = format::whole(dial.opened as f64);
        let _ = write!(verdict.sentence, " Without the front the instances took all of {all}.");
    }
}

/// Whether nearly all that was asked for was opened.
pub(crate) fn is_all(dial: &DialRecord) -> bool {
    dial.opened as f64 >= client_limits::ISSUED_SHARE * f64::from(dial.asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fail, Judged as _, Script, script};
    use wsceiling_model::record::{Cause, FailedAt, HeadroomRecord};

    fn stalled(sink: u64, direct: Option<u64>) -> Script {
        let dial = |opened: u64| DialRecord { asked: 500, opened, requested_per_s: 2000.0, achieved_per_s: 1900.0 };
        let fail = Fail::plateau(700).error(FailedAt::Handshake, "timeout", 300);
        let mut script = script().load(500, 1000).good(500).fail(fail);
        script.headroom = Some(HeadroomRecord { sink: Some(dial(sink)), direct: direct.map(dial) });
        script
    }

    #[test]
    fn a_client_that_opens_all_elsewhere_had_more_to_give() {
        let verdict = stalled(500, Some(500)).verdict();
        assert_ne!(verdict.cause, Cause::ClientLimited);
        let expected = "The client had more to give: it opened 500 at 1,900 a second to a server that does nothing. \
                        Without the front the instances took all of 500.";
        assert!(verdict.sentence.ends_with(expected), "{}", verdict.sentence);
        assert!(verdict.evidence.iter().any(|row| row.name == EvidenceName::OpenedDirectly), "{verdict:?}");
    }

    #[test]
    fn a_client_that_cannot_open_more_to_a_server_that_does_nothing_is_the_limit() {
        let verdict = stalled(300, None).verdict();
        assert_eq!(verdict.cause, Cause::ClientLimited);
        let expected = "it opened only 300 of 500 connections to a server that does nothing";
        assert!(verdict.sentence.contains(expected), "{}", verdict.sentence);
        assert_ne!(stalled(480, None).verdict().cause, Cause::ClientLimited);
    }
}

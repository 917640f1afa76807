//! Demand or capacity: what the same client opened elsewhere says about a plateau.

use std::fmt::Write as _;

use super::{Evidence, Facts, Shape, Verdict, words};
use wsceiling_model::record::{Component, DialRecord, client_limits};

/// Adds to a verdict that is not the client's what the client had to give.
pub(super) fn add(facts: &Facts<'_>, verdict: &mut Verdict) {
    let Some(headroom) = &facts.record.headroom else { return };
    let sink = headroom.sink.as_ref().map(|dial| ("opened to a server that does nothing", dial));
    let direct = headroom.direct.as_ref().map(|dial| ("opened without the front", dial));
    let dials = sink.into_iter().chain(direct);
    verdict.evidence.extend(dials.map(|(name, dial)| Evidence {
        component: Component::Generator,
        name: name.into(),
        before: Some(format!("{} asked for", words::count(f64::from(dial.asked)))),
        after: Some(words::count(dial.opened as f64)),
        source: "the same client after the trial, in trials.jsonl".into(),
    }));
    if !matches!(verdict.shape, Shape::Plateau | Shape::Slope) {
        return;
    }
    if let Some(dial) = headroom.sink.as_ref().filter(|dial| is_all(dial)) {
        let all = words::count(dial.opened as f64);
        let rate = words::count(dial.achieved_per_s);
        let _ = write!(
            verdict.sentence,
            " The client had more to give: it opened {all} at {rate} a second to a server that does nothing."
        );
    }
    if let Some(dial) = headroom.direct.as_ref().filter(|dial| is_all(dial)) {
        let all = words::count(dial.opened as f64);
        let _ = write!(verdict.sentence, " Without the front the instances took all of {all}.");
    }
}

/// Whether nearly all that was asked for was opened.
pub(super) fn is_all(dial: &DialRecord) -> bool {
    dial.opened as f64 >= client_limits::ISSUED_SHARE * f64::from(dial.asked)
}

#[cfg(test)]
mod tests {
    use super::super::rules::testing::{Fail, Judged as _, Script, script};
    use super::*;
    use wsceiling_model::record::{FailedAt, HeadroomRecord};

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
        assert_ne!(verdict.cause, "client-limited");
        let expected = "The client had more to give: it opened 500 at 1,900 a second to a server that does nothing. \
                        Without the front the instances took all of 500.";
        assert!(verdict.sentence.ends_with(expected), "{}", verdict.sentence);
        assert!(verdict.evidence.iter().any(|row| row.name == "opened without the front"), "{verdict:?}");
    }

    #[test]
    fn a_client_that_cannot_open_more_to_a_server_that_does_nothing_is_the_limit() {
        let verdict = stalled(300, None).verdict();
        assert_eq!(verdict.cause, "client-limited");
        let expected = "it opened only 300 of 500 connections to a server that does nothing";
        assert!(verdict.sentence.contains(expected), "{}", verdict.sentence);
        assert_ne!(stalled(480, None).verdict().cause, "client-limited");
    }
}

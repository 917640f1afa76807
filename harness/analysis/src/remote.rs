//! Verdicts on a server that the harness did not start. What samples prove counts as it does locally; what only the client saw
//! is never sure, and the verdict says which counter would decide. Where the edge before the server answered by itself, that is
//! said too: it is no answer of the server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::context::{TrialContext, describe_answer};
use crate::rules::Candidate;
use crate::verdict::{EvidenceName, Verdict, confidence};
use wsceiling_model::format;
use wsceiling_model::record::{Answer, Cause, Component, Metric};

/// Causes that no counter of the server proves: what is between could do the same.
const SEEN_BY_THE_CLIENT: [Cause; 5] =
    [Cause::Lifetime, Cause::PathDied, Cause::RateLimit, Cause::PlatformCap, Cause::ApplicationCap];
/// Share of the failures from which an answer of the edge is worth a sentence.
const NOTABLE: f64 = 0.1;

/// Takes back what cannot be known from a distance: numbers that match prove nothing that happens between.
pub(crate) fn weaken(trial: &TrialContext<'_>, cause: Cause, candidate: &mut Candidate) {
    if trial.distance.is_some() && SEEN_BY_THE_CLIENT.contains(&cause) {
        candidate.proof.arithmetic = false;
    }
}

/// Adds what was answered, and, where only the client saw what stopped it, which counter would decide.
pub(crate) fn add(trial: &TrialContext<'_>, verdict: &mut Verdict) {
    verdict.evidence.extend(trial.answers_evidence());
    let Some(distance) = &trial.distance else { return };
    add_answers(trial, verdict);
    if !SEEN_BY_THE_CLIENT.contains(&verdict.cause) && has_server_evidence(verdict) {
        return;
    }
    verdict.confidence = verdict.confidence.min(confidence::MOVED);
    if let Some(missing) = trial.missing(deciding(verdict.cause)) {
        let _ = write!(verdict.sentence, " Only the client saw it: {missing}.");
    } else if verdict.cause != Cause::Unknown && !distance.has_own_address {
        verdict.sentence.push_str(
            " Only the client saw it: the server's own address beside this one (`front_of`) tells what is between.",
        );
    }
}

/// Whether a sampled number of the server, its machine or what stands before it is part of the evidence.
fn has_server_evidence(verdict: &Verdict) -> bool {
    verdict.evidence.iter().any(|row| {
        let server = matches!(row.component, Component::Instance(_) | Component::Front(_) | Component::Host);
        server && !matches!(row.name, EvidenceName::LogLine | EvidenceName::LogLines(_))
    })
}

/// The counters that would tell whether it was the server, the most telling first.
const fn deciding(cause: Cause) -> &'static [Metric] {
    match cause {
        // Its own limits are all that can clear the server of a number.
        Cause::PlatformCap | Cause::ApplicationCap | Cause::RateLimit => &[Metric::Descriptors, Metric::CpuUsage],
        // A server that restarted lost all of them.
        Cause::PathDied | Cause::Lifetime | Cause::Crash => &[Metric::Established, Metric::Descriptors],
        Cause::Hang | Cause::ServerWaits => &[Metric::CpuUsage, Metric::ListenOverflows],
        Cause::SilentLoss => &[Metric::ListenOverflows],
        _ => &[Metric::Descriptors, Metric::CpuUsage, Metric::MemoryCurrent],
    }
}

/// Says which answers are the edge's own, and where a redirect leads.
fn add_answers(trial: &TrialContext<'_>, verdict: &mut Verdict) {
    for answered in trial.edge_answers().iter().filter(|answered| answered.share >= NOTABLE) {
        let count = format::whole(answered.answer.count as f64);
        let (title, meaning) = (&answered.edge.title, &answered.known.meaning);
        let _ = write!(
            verdict.sentence,
            " The edge of {title} answered {count} of them, not your server: {} ({meaning}; {}, seen {}).",
            short(answered.answer),
            answered.known.source,
            answered.known.seen
        );
    }
    let mut answers = trial.failed.into_iter().flat_map(|step| &step.answers);
    if let Some((answer, location)) = answers.find_map(|answer| Some((answer, redirect(answer)?))) {
        let _ = write!(
            verdict.sentence,
            " {} upgrades were redirected to {location} ({}): the address of the target must be the `wss://` one there.",
            format::whole(answer.count as f64),
            answer.status
        );
    }
}

/// Where a redirect to TLS leads.
fn redirect(answer: &Answer) -> Option<&str> {
    let location = answer.header("location").filter(|location| location.starts_with("https://"))?;
    matches!(answer.status, 301 | 302 | 307 | 308).then_some(location)
}

/// `503 H11`
fn short(answer: &Answer) -> String {
    match &answer.code {
        Some(code) => format!("{} {code}", answer.status),
        None => describe_answer(&Answer { headers: BTreeMap::new(), ..answer.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fail, Judged as _, remote, script};
    use wsceiling_model::record::{AgeCounts, Ages, FailedAt, FailureReason, LostAges};

    const SERVER: Component = Component::Instance(0);

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { count: 400, status, headers, ..Answer::default() }
    }

    #[test]
    fn what_samples_prove_is_as_sure_as_it_is_locally() {
        let script = |script: crate::testing::Script| {
            let fail = Fail::plateau(995).error(FailedAt::Handshake, "timeout", 5);
            script.load(500, 1000).good(500).fail(fail).set(SERVER, Metric::Descriptors, |m| Some(10.0 + m.open)).set(
                SERVER,
                Metric::DescriptorLimit,
                |_| Some(1005.0),
            )
        };
        let (here, there) = (script(script_here()).verdict(), script(remote("render")).verdict());
        assert_eq!((there.cause, there.confidence), (Cause::ServerDescriptors, here.confidence), "{there:?}");
    }

    fn script_here() -> crate::testing::Script {
        script()
    }

    #[test]
    fn a_lifetime_that_only_the_client_saw_is_capped() {
        let fail =
            |script: crate::testing::Script| script.load(1500, 5000).rate(500.0).fail(Fail::lifetime(2.0, "eof"));
        assert_eq!(fail(script()).verdict().confidence.to_bits(), 0.85_f64.to_bits());
        let verdict = fail(remote("render")).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.60), "{verdict:?}");
        let blind = fail(remote("render")).unsampled().verdict();
        assert!(blind.sentence.contains("has no `established_count`"), "{}", blind.sentence);
    }

    #[test]
    fn a_documented_timeout_is_named_with_its_source() {
        let ages = |ms: u64| Ages {
            min_ms: ms,
            p10_ms: ms,
            median_ms: ms,
            p90_ms: ms + 100,
            max_ms: ms + 100,
            counts: AgeCounts::default(),
        };
        let lost = |age, quiet| LostAges {
            reason: FailureReason::Eof,
            count: 400,
            silent: 0,
            age: ages(age),
            quiet: ages(quiet),
        };
        let judged = |platform: &str, age, quiet| {
            let fail = Fail::lifetime(0.8, "eof");
            remote(platform)
                .load(500, 1000)
                .rate(500.0)
                .good(500)
                .fail(fail)
                .lost_ages(vec![lost(age, quiet)])
                .verdict()
        };
        let verdict = judged("google-lb", 30_100, 2000);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Lifetime, 0.60), "{verdict:?}");
        assert!(verdict.sentence.contains("documents a lifetime of 30.0 s"), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("second-hand"), "{}", verdict.sentence);
        let other = judged("google-lb", 45_000, 2000);
        assert!(!other.sentence.contains("documents"), "{}", other.sentence);
    }

    #[test]
    fn the_edge_that_answers_by_itself_is_named_and_a_server_behind_it_is_not() {
        let judged = |answer: Answer| {
            let fail = Fail::plateau(600).error(FailedAt::Handshake, "http 522", 400);
            remote("render").load(500, 1000).good(500).fail(fail).answered(answer).verdict().sentence
        };
        let edge = [("server", "cloudflare"), ("cf-ray", "present")];
        let sentence = judged(answer(522, &edge));
        assert!(
            sentence.contains("The edge of Cloudflare proxy answered 400 of them, not your server: 522"),
            "{sentence}"
        );
        // The same status without the marks of the edge, and another status with them.
        for answer in [answer(522, &[("server", "nginx")]), answer(500, &edge)] {
            let sentence = judged(answer);
            assert!(!sentence.contains("not your server"), "{sentence}");
        }
    }

    #[test]
    fn a_redirect_to_tls_is_told() {
        let fail = Fail::plateau(0).error(FailedAt::Handshake, "http 301", 500);
        let answer = answer(301, &[("location", "https://example.com")]);
        let verdict = remote("render").load(500, 500).fail(fail).answered(answer).verdict();
        assert!(verdict.sentence.contains("redirected to https://example.com (301)"), "{}", verdict.sentence);
    }
}

//! All connections went away at once while every instance lives: something between client and server ended them.

use super::{Candidate, Facts, Proof, Rule, Shape, words};
use crate::record::{ErrorTally, Stage};

pub(super) const RULE: Rule =
    Rule { cause: "path-died", consequences: &["application-cap", "accept-queue", "syn-queue", "hang"], judge };

fn judge(facts: &Facts<'_>) -> Option<Candidate> {
    let step = facts.failed?;
    if !matches!(facts.shape, Shape::Collapse | Shape::Sawtooth) || facts.exits().next().is_some() {
        return None;
    }
    let open = |error: &&ErrorTally| error.stage == Stage::Open;
    // 1001 going away, 1012 service restart: RFC 6455 section 7.4.1 and the IANA registry of close codes.
    let planned = |error: &ErrorTally| matches!(error.cause.as_str(), "close 1001" | "close 1012");
    let lost = || step.errors.iter().filter(open);
    let announced: f64 = lost().filter(|error| planned(error)).map(|error| error.count as f64).sum();
    let (said, why) = if announced * 2.0 > lost().map(|error| error.count as f64).sum() {
        (true, "with a close code that announces a restart: a deploy, or a balancer that drains")
    } else {
        (false, "without a word, and no instance ended: a proxy, a port forwarder or a route between them did")
    };
    Some(Candidate {
        short: format!("all closed at once {why}"),
        sentence: format!("At {} all connections were closed at once, {why}.", words::connections(facts.peak())),
        fix: "measure the server's own address without what stands before it, and look at that part's log".into(),
        evidence: facts.failures_evidence(),
        proof: Proof {
            moved: said,
            arithmetic: false,
            timely: true,
            explains: facts.share(|error| error.stage == Stage::Open),
            onset_ms: facts.first_failure_ms,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fail, cause, script};
    use crate::record::Stage;

    #[test]
    fn a_collapse_without_an_end_is_the_path() {
        // DP: the port forwarder ended, the container is healthy.
        let fail =
            Fail::collapse(1331).error(Stage::Open, "eof", 1331).error(Stage::Connect, "errno ECONNREFUSED", 100);
        let verdict = script().good(1000).fail(fail).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("path-died", 0.30), "{}", verdict.sentence);
    }

    #[test]
    fn an_announced_restart_is_told_apart() {
        let verdict = script().good(1000).fail(Fail::collapse(1331).error(Stage::Open, "close 1012", 1331)).verdict();
        assert_eq!((verdict.cause.as_str(), verdict.confidence), ("path-died", 0.60));
        assert!(verdict.sentence.contains("announces a restart"), "{}", verdict.sentence);
    }

    #[test]
    fn a_plateau_is_not_the_path() {
        let fail = Fail::plateau(1331).error(Stage::Handshake, "eof", 169);
        assert_ne!(cause(script().good(1000).fail(fail)), "path-died");
    }
}

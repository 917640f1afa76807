//! All connections went away at once while every instance lives: something between client and server ended them.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::{TrialContext, describe_hop};
use crate::pattern::FailurePattern;
use wsceiling_model::format;
use wsceiling_model::matrix::FrontKind;
use wsceiling_model::record::{Cause, Component, FailedAt, FailureReason, FailureTally, FrontRecord, HopKind, Metric};

pub(super) const RULE: Rule = Rule {
    cause: Cause::PathDied,
    consequences: &[Cause::ApplicationCap, Cause::AcceptQueue, Cause::SynQueue, Cause::Hang],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let step = trial.failed?;
    // Who closes those that it has just let in keeps all others.
    let kept = trial.closes_newest();
    if !matches!(trial.pattern, FailurePattern::Collapse | FailurePattern::Sawtooth) || trial.ended() || kept {
        return None;
    }
    let open = |error: &&FailureTally| error.at == FailedAt::Open;
    // 1001 going away, 1012 service restart: RFC 6455 section 7.4.1 and the IANA registry of close codes.
    let planned = |error: &FailureTally| matches!(error.reason, FailureReason::Close(Some(1001 | 1012)));
    let lost = || step.errors.iter().filter(open);
    let announced: f64 = lost().filter(|error| planned(error)).map(|error| error.count as f64).sum();
    if let Some(front) = trial.fronts().find(|front| front.exit.as_ref().is_some_and(|exit| !exit.requested)) {
        return Some(front_ended(trial, front));
    }
    let (said, why) = if announced * 2.0 > lost().map(|error| error.count as f64).sum() {
        (true, "with a close code that announces a restart: a deploy, or a balancer that drains")
    } else {
        (false, "without a word, and no instance ended: a proxy, a port forwarder or a route between them did")
    };
    Some(Candidate {
        sentence: format!("At {} all connections were closed at once, {why}.", format::connections(trial.peak())),
        fix: "measure the server's own address without what stands before it, and look at that part's log".into(),
        evidence: trial.failures_evidence(),
        proof: Proof {
            moved: said,
            arithmetic: false,
            timely: true,
            explains: trial.share(|error| error.at == FailedAt::Open),
            onset_ms: trial.first_failure_ms,
        },
    })
}

/// The front itself is gone, which its own process says.
fn front_ended(trial: &TrialContext<'_>, front: &FrontRecord) -> Candidate {
    let component = Component::Front(front.index);
    let peak = trial.peak();
    // Per connection the userland proxy has two sockets and four ends of pipes (Go's splice), other proxies two sockets.
    let each = if front.kind == HopKind::Proxy(FrontKind::DockerPublish) { 6.0 } else { 2.0 };
    let limit = trial.series.get(component, Metric::DescriptorLimit).last().map(|(_, limit)| *limit);
    let idle = trial.series.get(component, Metric::Descriptors).iter().map(|(_, count)| *count).reduce(f64::min);
    let room = limit.zip(idle).map(|(limit, idle)| (limit - idle) / each);
    // Those that it cut off before their upgrade was through had descriptors as well.
    let cut = |error: &&FailureTally| error.at == FailedAt::Handshake && error.reason == FailureReason::Eof;
    let cut: f64 = trial.failures.iter().filter(cut).map(|error| error.count as f64).sum();
    let full = room.filter(|room| near(peak + cut, *room));
    let why = full.map_or_else(String::new, |_| {
        format!(" It had used up its descriptors: {} for each connection.", format::whole(each))
    });
    let mut evidence = trial.all_evidence(component, &[Metric::Descriptors, Metric::DescriptorLimit]);
    evidence.extend(TrialContext::front_evidence(front));
    evidence.extend(trial.failures_evidence());
    let exit = front.exit.as_ref();
    Candidate {
        sentence: format!(
            "At {} {} ended, which stood before the instances, and every connection with it; the instances live.{why}",
            format::connections(peak),
            describe_hop(front.kind)
        ),
        fix: match full {
            Some(_) => "raise the descriptor limit of that process, or connect to the instances' own addresses".into(),
            None => "look at the log of that process, and connect to the instances' own addresses".into(),
        },
        evidence,
        proof: Proof {
            moved: true,
            arithmetic: full.is_some(),
            timely: true,
            explains: trial.share(|error| error.at == FailedAt::Open || error.reason.is_broken()),
            onset_ms: exit.map(|exit| exit.t_ms),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::testing::{Fail, Judged as _, cause, script};
    use wsceiling_model::matrix::{Front, FrontKind};
    use wsceiling_model::record::{Cause, Component, Exit, FailedAt, Metric};

    #[test]
    fn a_collapse_without_an_end_is_the_path() {
        // DP: the port forwarder ended, the container is healthy.
        let fail =
            Fail::collapse(1331).error(FailedAt::Open, "eof", 1331).error(FailedAt::Connect, "errno ECONNREFUSED", 100);
        let verdict = script().good(1000).fail(fail).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PathDied, 0.30), "{}", verdict.sentence);
    }

    #[test]
    fn who_closes_the_newest_and_keeps_the_others_is_no_path() {
        let newest = script().load(200, 800).good(200).good(400).fail(Fail::closes_newest(400, "close 1013"));
        newest.with(|_, trial| {
            assert!(trial.closes_newest());
            assert!((RULE.judge)(trial).is_none());
        });
    }

    #[test]
    fn a_userland_proxy_that_ended_is_named_with_its_arithmetic() {
        // DP: nofile 20000, 9 + 6 descriptors a connection, gone at 3331.
        let fail =
            Fail::collapse(3331).error(FailedAt::Open, "eof", 3331).error(FailedAt::Connect, "errno ECONNREFUSED", 400);
        let proxy = Component::Front(0);
        let script = script().load(1000, 6000).good(3000).fail(fail);
        let ended = |front: &mut wsceiling_model::record::FrontRecord| {
            front.exit = Some(Exit { code: None, signal: None, oom_killed: None, requested: false, t_ms: 5000.0 });
        };
        let verdict = script
            .fronted(Front::new("docker-publish", FrontKind::DockerPublish), ended)
            .set(proxy, Metric::Descriptors, |m| Some(9.0 + 6.0 * m.open))
            .set(proxy, Metric::DescriptorLimit, |_| Some(20_000.0))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PathDied, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("6 for each connection"), "{}", verdict.sentence);
    }

    #[test]
    fn an_announced_restart_is_told_apart() {
        let verdict =
            script().good(1000).fail(Fail::collapse(1331).error(FailedAt::Open, "close 1012", 1331)).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::PathDied, 0.60));
        assert!(verdict.sentence.contains("announces a restart"), "{}", verdict.sentence);
    }

    #[test]
    fn a_plateau_is_not_the_path() {
        let fail = Fail::plateau(1331).error(FailedAt::Handshake, "eof", 169);
        assert_ne!(cause(script().good(1000).fail(fail)), Cause::PathDied);
    }
}

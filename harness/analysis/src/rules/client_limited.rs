//! The load generator was the limit: nothing may be said about the server.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::TrialContext;
use crate::headroom::is_all;
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::record::client_limits::{CORE, ISSUED_SHARE, LAG_US, OWN_SHARE, is_own, issued_share, own_share};
use wsceiling_model::record::{Cause, Component, Errno, Metric, StepRecord};

/// Share of the upgrade time that the delay may be, and the delay below which that share says nothing.
const LAG_SHARE: f64 = 0.2;
const LAG_FLOOR_US: f64 = 20_000.0;
/// Share of the trouble that must be slowness for a busy client to explain it.
const SLOW: f64 = 0.5;
/// Share of the enforcement periods in which the generator's own quota may run out.
const THROTTLED: f64 = 0.05;

pub(super) const RULE: Rule = Rule { cause: Cause::ClientLimited, consequences: &[], judge };

/// One sign that the client was the limit.
struct Sign {
    words: String,
    evidence: Vec<Evidence>,
    /// Share of the failures it explains.
    explains: f64,
    /// Its number is the number of connections at which it stopped.
    exact: bool,
    fix: &'static str,
}

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let mut signs: Vec<Sign> = Vec::new();
    if let Some(step) = trial.failed {
        signs.extend(own_errors(trial, step));
        // A server that ended did so however slow its client was.
        let alive = !trial.ended();
        signs.extend(behind(step).filter(|_| alive));
        // A busy client makes answers late; it makes no server refuse.
        if alive && trial.slowness() >= SLOW {
            signs.extend([late(trial, step), busy(trial), throttled(trial), spent(trial)].into_iter().flatten());
        }
    }
    let limited_by = trial.record.generator.iter().flat_map(|generator| &generator.limited_by);
    let told: Vec<String> = limited_by.map(ToString::to_string).collect();
    if signs.is_empty() && !told.is_empty() {
        signs.push(Sign {
            words: told.join("; "),
            evidence: Vec::new(),
            explains: 0.0,
            exact: false,
            fix: "give the generator more workers, source addresses or CPU (`workers` in [load], a lower `rate`)",
        });
    }
    let first = signs.first()?;
    let server = trial
        .server_cores()
        .map_or(String::new(), |cores| format!(", which used {} of a core meanwhile", format::percent(cores)));
    let all: Vec<&str> = signs.iter().map(|sign| sign.words.as_str()).collect();
    let sentence =
        format!("The load generator was the limit: {}. This says nothing about the server{server}.", all.join("; "));
    let explains: f64 = signs.iter().map(|sign| sign.explains).fold(0.0, f64::max);
    let proof = Proof {
        moved: true,
        arithmetic: signs.iter().any(|sign| sign.exact) || signs.len() > 1,
        timely: true,
        explains,
        onset_ms: trial.first_failure_ms,
    };
    let fix = first.fix.to_owned();
    let mut evidence: Vec<Evidence> = signs.into_iter().flat_map(|sign| sign.evidence).collect();
    evidence.extend(told.into_iter().map(|text| Evidence {
        component: Component::Generator,
        name: EvidenceName::LimitedBy,
        before: None,
        after: Some(text),
        source: "the generator's own judgement, in trials.jsonl".into(),
    }));
    Some(Candidate { sentence, fix, evidence, proof })
}

/// Errors of the client's own kernel.
fn own_errors(trial: &TrialContext<'_>, step: &StepRecord) -> Option<Sign> {
    let explains = own_share(step);
    if explains < OWN_SHARE {
        return None;
    }
    let worst = step.errors.iter().filter(|error| is_own(error)).max_by_key(|error| error.count)?;
    let generator = trial.record.generator.as_ref();
    let descriptors = worst.reason.errno().is_some_and(Errno::is_descriptors);
    let (capacity, of, fix) = if descriptors {
        let capacity = generator.map(|g| f64::from(g.workers) * g.descriptor_limit as f64);
        (
            capacity,
            "descriptors",
            "start more workers (`workers` in [load]) or raise the descriptor limit (`ulimit -n`)",
        )
    } else {
        let pairs = |g: &wsceiling_model::record::GeneratorRecord| {
            g.ports_per_pair as f64 * g.sources.len().max(1) as f64 * f64::from(trial.cell.instances)
        };
        (generator.map(pairs), "local ports", "use more source addresses; loopback has 127.0.0.0/8 for free")
    };
    let held = trial.peak();
    let has = capacity.map_or(String::new(), |n| format!(", it has {}", format::whole(n)));
    Some(Sign {
        words: format!("it ran out of {of} at {}{has} ({} {})", format::connections(held), worst.at, worst.reason),
        evidence: trial.failures_evidence(),
        explains,
        exact: capacity.is_some_and(|capacity| near(capacity, held)),
        fix,
    })
}

/// Connects that the schedule asked for and that were not issued.
fn behind(step: &StepRecord) -> Option<Sign> {
    let share = issued_share(step)?;
    (share < ISSUED_SHARE).then(|| Sign {
        words: format!(
            "it issued {} of the {} connects due",
            format::whole(step.issued as f64),
            format::whole(step.due as f64)
        ),
        evidence: vec![Evidence {
            component: Component::Generator,
            name: EvidenceName::IssuedOfDue,
            before: None,
            after: Some(format::percent(share)),
            source: "the generator's own count, in trials.jsonl".into(),
        }],
        explains: 1.0,
        exact: false,
        fix: "lower `rate` in [load], or give the generator more workers or CPU",
    })
}

/// Until when a busy or late client speaks for itself: a second past the moment at which the first connection that
/// failed began to suffer. What the client does later may be what the server's end makes it do: thousands of
/// connections that are closed at once, or a machine that stands still, make any client late.
fn until(trial: &TrialContext<'_>) -> f64 {
    trial.first_failure_ms.map_or(trial.to, |first| (first + 1000.0).min(trial.to))
}

/// The loop ran behind its schedule.
fn late(trial: &TrialContext<'_>, step: &StepRecord) -> Option<Sign> {
    // One worker that is behind spoils its share of the connections, however punctual the others are.
    let p99 = step.slowest_worker.map_or(step.lag_us_p99, |slow| slow.lag_us_p99) as f64;
    let lag = trial.first_failure_ms.map_or(Some(p99), |_| {
        // Most of the samples up to then: a single hiccup makes nobody a limit.
        let points = trial.series.between(Component::Generator, Metric::Lag, trial.from, until(trial));
        let mut lags: Vec<f64> = points.iter().map(|(_, lag)| *lag).collect();
        lags.sort_by(f64::total_cmp);
        lags.get(lags.len() / 2).map(|lag| lag.min(p99))
    })?;
    let upgrade = step.handshake.p50_us.unwrap_or(u64::MAX) as f64;
    let late = lag > LAG_US as f64 || (lag > LAG_FLOOR_US && lag > LAG_SHARE * upgrade);
    late.then(|| Sign {
        words: format!("its loop ran {} behind its schedule", format::micros(lag)),
        evidence: trial.all_evidence(Component::Generator, &[Metric::Lag, Metric::BusiestThread]),
        explains: trial.slowness(),
        exact: false,
        fix: "give the generator more CPU of its own, or lower `rate` in [load]",
    })
}

/// A worker had no core left for a second.
fn busy(trial: &TrialContext<'_>) -> Option<Sign> {
    let over = |value: f64| value >= CORE;
    let points = trial.series.between(Component::Generator, Metric::BusiestThread, trial.from, until(trial));
    let long = super::intervals::longest(points, over).filter(|(from, to)| to - from >= 1000.0)?;
    Some(Sign {
        words: format!("a worker used a whole core for {}", format::micros((long.1 - long.0) * 1e3)),
        evidence: trial.all_evidence(Component::Generator, &[Metric::BusiestThread, Metric::CpuUsage, Metric::Lag]),
        explains: trial.slowness(),
        exact: false,
        fix: "start more workers (`workers` in [load]), or give the generator more cores",
    })
}

/// It could not open as many to a server that does nothing.
fn spent(trial: &TrialContext<'_>) -> Option<Sign> {
    let dial = trial.record.headroom.as_ref()?.sink.as_ref().filter(|dial| !is_all(dial))?;
    let (opened, asked) = (format::whole(dial.opened as f64), format::whole(f64::from(dial.asked)));
    Some(Sign {
        words: format!("it opened only {opened} of {asked} connections to a server that does nothing"),
        evidence: vec![Evidence {
            component: Component::Generator,
            name: EvidenceName::OpenedToSink,
            before: Some(format!("{asked} asked for")),
            after: Some(opened),
            source: "the same client after the trial, in trials.jsonl".into(),
        }],
        explains: trial.slowness(),
        exact: false,
        fix: "give the generator more CPU of its own, more workers, or lower `rate` in [load]",
    })
}

/// The generator's own CPU quota ran out.
fn throttled(trial: &TrialContext<'_>) -> Option<Sign> {
    let periods = trial.rise(Component::Generator, Metric::CpuPeriods)?.by;
    let out = trial.rise(Component::Generator, Metric::CpuThrottledPeriods)?.by;
    (out > THROTTLED * periods).then(|| Sign {
        words: format!("its CPU quota ran out in {} of {} periods", format::whole(out), format::whole(periods)),
        evidence: trial.all_evidence(
            Component::Generator,
            &[Metric::CpuThrottledPeriods, Metric::CpuPeriods, Metric::CpuThrottled],
        ),
        explains: trial.slowness(),
        exact: false,
        fix: "raise the generator's own CPU quota",
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    #[test]
    fn a_client_that_becomes_late_because_the_server_stood_still_is_not_the_limit() {
        // The app of the default matrix at 128 MiB in a container: it thrashes from 3,075 connections on, and the
        // machine stands still with it, so that the client's loop is 2.5 s late when its timeouts come.
        let stalled = script()
            .load(1000, 4000)
            .good(1000)
            .fail(Fail::plateau(1500).held(0.0).error(FailedAt::Handshake, "timeout", 500).lag_p99(2_541_567))
            .set(Component::Generator, Metric::Lag, |m| Some(if m.since_trouble_s > 3.0 { 2_500_000.0 } else { 130.0 }))
            .set(Component::Instance(0), Metric::PidsMaxEvents, rising(500.0));
        assert_eq!(cause(stalled), Cause::PidsLimit);
    }

    #[test]
    fn a_bind_that_was_made_again_is_no_failure_of_the_client() {
        let fail = Fail::plateau(1300).error(FailedAt::Bind, "errno EADDRINUSE (retried)", 20);
        let fail = fail.error(FailedAt::Handshake, "http 503", 200);
        assert_eq!(cause(script().good(1000).fail(fail)), Cause::ApplicationCap);
    }

    #[test]
    fn own_ports_that_run_out_are_the_clients_limit() {
        // P1 of the catalogue: 1,000 ports, 1,500 attempts.
        let fail = Fail::plateau(1000).error(FailedAt::Connect, "errno EADDRNOTAVAIL", 500);
        let verdict = script().load(500, 1500).good(500).fail(fail).generator(|g| g.ports_per_pair = 1000).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ClientLimited, 0.85));
        assert!(verdict.sentence.contains("ran out of local ports at 1,000 connections"), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("says nothing about the server"));
    }

    #[test]
    fn a_throttled_generator_is_the_limit_though_latency_looks_like_the_servers() {
        // G1: mean handshake 648 ms, own quota out in 38 of 39 periods, lag 296 ms, server 1.8 % busy.
        let verdict = script()
            .good(1000)
            .fail(Fail::late(700_000).lag_p99(296_000))
            .set(Component::Generator, Metric::CpuPeriods, |m| Some(m.since_failed_s.max(0.0) * 10.0))
            .set(Component::Generator, Metric::CpuThrottledPeriods, |m| Some(m.since_failed_s.max(0.0) * 9.7))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ClientLimited, 0.85));
        assert!(verdict.sentence.contains("296 ms behind"), "{}", verdict.sentence);
    }

    #[test]
    fn a_worker_without_a_core_left_is_the_limit() {
        let busy =
            script().good(1000).fail(Fail::late(700_000)).set(Component::Generator, Metric::BusiestThread, |m| {
                Some(if m.since_failed_s >= 0.0 { 0.97 } else { 0.3 })
            });
        assert_eq!(busy.verdict().cause, Cause::ClientLimited);
    }

    #[test]
    fn connects_that_were_due_and_not_issued_are_the_clients() {
        assert_eq!(cause(script().good(1000).fail(Fail::late(700_000).issued(0.9))), Cause::ClientLimited);
    }

    #[test]
    fn a_server_that_refuses_is_not_a_client_limit() {
        let fail = Fail::plateau(1200).error(FailedAt::Connect, "errno ECONNREFUSED", 300);
        assert_ne!(cause(script().good(1000).fail(fail)), Cause::ClientLimited);
        // A server that ended is no client limit either, however busy the client was.
        let fail = Fail::collapse(1300).error(FailedAt::Open, "eof", 1300);
        let ended = script().good(1000).fail(fail).exit(|exit| exit.code = Some(1));
        assert_eq!(cause(ended.set(Component::Generator, Metric::BusiestThread, |_| Some(0.99))), Cause::Crash);
        // A short burst of a busy core is how a worker opens a step.
        let burst =
            script().good(1000).fail(Fail::late(700_000)).set(Component::Generator, Metric::BusiestThread, |m| {
                Some(if (0.0..0.6).contains(&m.since_failed_s) { 0.97 } else { 0.2 })
            });
        assert_ne!(cause(burst), Cause::ClientLimited);
    }
}

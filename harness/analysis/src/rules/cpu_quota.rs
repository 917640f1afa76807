//! The instance used its CPU quota up.

use super::rule::{Candidate, Proof, Rule};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of the enforcement periods that ran out.
const THROTTLED: f64 = 0.20;
/// Share of the quota that must have been used for it to be the limit at all: a server with many threads can run out in
/// single periods with half of its quota used.
const USED: f64 = 0.80;
/// Share of the quota from which the arithmetic matches, and up to where.
const MATCHES: std::ops::RangeInclusive<f64> = 0.95..=1.10;

pub(super) const RULE: Rule = Rule {
    cause: Cause::CpuQuota,
    consequences: &[
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
        Cause::SingleThread,
        Cause::GlobalLock,
        // Who is stopped for its quota waits for a core, as far as the machine's pressure shows.
        Cause::CpuSaturated,
        Cause::MemoryPressure,
        Cause::ServerWaits,
    ],
    judge,
};

/// Throttling of one instance between the first and the last sample in which it was throttled.
struct Throttling {
    component: Component,
    from: f64,
    to: f64,
    out: f64,
    periods: f64,
    cores: Option<f64>,
}

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    let slow = trial.slowness();
    if slow < 0.2 {
        return None;
    }
    let worst = trial
        .instances()
        .filter_map(|instance| throttling(trial, instance))
        .max_by(|a, b| (a.out / a.periods).total_cmp(&(b.out / b.periods)))?;
    let quota = quota(trial, worst.component);
    let used = worst.cores.zip(quota).map(|(cores, quota)| cores / quota);
    if worst.out < THROTTLED * worst.periods || used.is_some_and(|used| used < USED) {
        return None;
    }
    let may = quota.map_or(String::new(), |quota| format!(" of {quota} CPU"));
    let component = worst.component;
    Some(Candidate {
        sentence: format!(
            "At {} {component} had used up its quota{may}: it was stopped in {} of {} periods, and {}.",
            format::connections(trial.held_at_failure()),
            format::whole(worst.out),
            format::whole(worst.periods),
            trial.symptom_words()
        ),
        fix: "give it more CPU (`cpus` of the size), open more slowly, or spend less CPU on each upgrade and message"
            .into(),
        evidence: trial.all_evidence(
            component,
            &[
                Metric::CpuThrottledPeriods,
                Metric::CpuPeriods,
                Metric::CpuThrottled,
                Metric::CpuUsage,
                Metric::ListenQueue,
            ],
        ),
        proof: Proof {
            moved: true,
            arithmetic: used.is_some_and(|used| MATCHES.contains(&used)),
            // It must have lasted into the failures, not ended before them.
            timely: trial.lasts_into_failures(worst.from, worst.to),
            explains: slow,
            onset_ms: Some(worst.from),
        },
    })
}

/// CPUs that an instance may use; `None`: no quota was applied.
pub(super) fn quota(trial: &TrialContext<'_>, component: Component) -> Option<f64> {
    let Component::Instance(index) = component else { return None };
    let instance = trial.record.instances.iter().find(|instance| instance.index == index)?;
    let applied = instance.limits.iter().find(|limit| limit.name == "cpus" && limit.enforced_by.is_some());
    applied.map(|limit| limit.value).or(trial.size?.cpus)
}

fn throttling(trial: &TrialContext<'_>, component: Component) -> Option<Throttling> {
    let end = trial.failed?.ended_ms;
    let points = trial.series.between(component, Metric::CpuThrottledPeriods, trial.from - trial.tick_ms(), end);
    let rises: Vec<(f64, f64)> =
        points.windows(2).filter(|pair| pair[1].1 > pair[0].1).map(|pair| (pair[0].0, pair[1].0)).collect();
    let (from, to) = (rises.first()?.0, rises.last()?.1);
    let gain = |metric| Some(trial.series.at(component, metric, to)? - trial.series.at(component, metric, from)?);
    let (out, periods) = (gain(Metric::CpuThrottledPeriods)?, gain(Metric::CpuPeriods)?);
    (periods >= 3.0).then(|| Throttling {
        component,
        from,
        to,
        out,
        periods,
        cores: busy_cores(trial, component, &rises),
    })
}

/// CPU used in the intervals that were throttled, in cores.
fn busy_cores(trial: &TrialContext<'_>, component: Component, intervals: &[(f64, f64)]) -> Option<f64> {
    // In the first and the last one the work may have begun or ended.
    let inner = intervals.get(1..intervals.len().saturating_sub(1)).filter(|inner| inner.len() >= 2);
    let intervals = inner.unwrap_or(intervals);
    let mut used_us = 0.0;
    let mut lasted_ms = 0.0;
    for (from, to) in intervals {
        let at = |t| trial.series.at(component, Metric::CpuUsage, t);
        used_us += at(*to)? - at(*from)?;
        lasted_ms += to - from;
    }
    (lasted_ms > 0.0).then(|| used_us / lasted_ms / 1e3)
}

#[cfg(test)]
mod tests {
    use crate::pattern::FailurePattern;
    use crate::testing::{Fail, Judged as _, Script, cause, rising, script};
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const SERVER: Component = Component::Instance(0);

    fn throttled(used: f64) -> Script {
        // Q1: --cpus 0.2, 500/s: 1769 at 190/s, 136 of 142 periods, ListenOverflows +6354.
        let fail =
            Fail::slope(1769).error(FailedAt::Handshake, "timeout", 724).error(FailedAt::Connect, "timeout", 507);
        script()
            .load(3000, 3000)
            .rate(500.0)
            .size(|size| size.cpus = Some(0.2))
            .fail(fail)
            .set(SERVER, Metric::CpuPeriods, |m| Some((m.since_failed_s.max(0.0) * 10.0).floor()))
            .set(SERVER, Metric::CpuThrottledPeriods, |m| Some((m.since_failed_s.max(0.0) * 9.5).floor()))
            .set(SERVER, Metric::CpuUsage, move |m| Some(5000.0 + m.since_failed_s.max(0.0) * 1e6 * used))
            .set(SERVER, Metric::ListenOverflows, rising(6354.0))
    }

    #[test]
    fn a_quota_that_is_used_up_is_sure_and_overflows_are_its_consequence() {
        let verdict = throttled(0.2).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::CpuQuota, 0.85), "{verdict:?}");
        assert_eq!(verdict.pattern, FailurePattern::Slope);
        assert!(verdict.runner_up.is_none());
        assert!(verdict.sentence.contains("quota of 0.2 CPU"), "{}", verdict.sentence);
    }

    #[test]
    fn throttling_with_half_of_the_quota_used_is_not_the_limit() {
        assert_ne!(cause(throttled(0.1)), Cause::CpuQuota);
    }

    #[test]
    fn a_refusal_is_not_explained_by_a_quota() {
        let fail = Fail::plateau(1200).error(FailedAt::Handshake, "http 503", 300);
        let refused = script()
            .good(1000)
            .fail(fail)
            .set(SERVER, Metric::CpuPeriods, |m| Some(m.since_failed_s.max(0.0) * 10.0))
            .set(SERVER, Metric::CpuThrottledPeriods, |m| Some(m.since_failed_s.max(0.0) * 9.0));
        assert_ne!(cause(refused), Cause::CpuQuota);
    }

    #[test]
    fn intervals_in_which_the_work_begins_or_ends_do_not_count_for_the_arithmetic() {
        // 0.25 CPU for 3 s; the last period between samples that was throttled used a third of its share.
        let ends = throttled(0.2).set(SERVER, Metric::CpuUsage, |m| {
            let s = m.since_failed_s.max(0.0);
            Some(5000.0 + 0.2e6 * (s.min(5.0) + 0.3 * (s.clamp(5.0, 5.25) - 5.0)))
        });
        let ends =
            ends.set(SERVER, Metric::CpuThrottledPeriods, |m| Some((m.since_failed_s.clamp(0.0, 5.2) * 9.5).floor()));
        assert_eq!(ends.verdict().confidence.to_bits(), 0.85_f64.to_bits());
    }
}

//! An instance is at the memory limit of its cgroup. Mostly the kernel kills it; where there is page cache left to take
//! back (the program's own code is some) it may take that over and over instead, and the instance crawls.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::TrialContext;
use wsceiling_model::format;
use wsceiling_model::record::{Cause, Component, Metric};

pub(super) const RULE: Rule = Rule {
    cause: Cause::MemoryLimit,
    consequences: &[
        Cause::Crash,
        Cause::PathDied,
        Cause::MemoryPressure,
        Cause::CpuQuota,
        Cause::CpuSaturated,
        Cause::SingleThread,
        Cause::ApplicationCap,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::Hang,
        Cause::Lifetime,
    ],
    judge,
};

/// Share of the limit that memory which cannot be taken back must fill for the rest to be too small to work in.
const FULL: f64 = 0.98;
/// Pages that an instance at its limit reads back from the disk in a second, from which it does little else. How much page cache
/// is too little depends on the program: Bun's own code is 90 MiB, so it crawls with 10 MiB of cache left.
const READ_BACK_PER_S: f64 = 20.0;
/// It must read so many times as many as in the steps that passed: a server may read files.
const READ_BACK_TIMES: f64 = 3.0;
/// Share of the last 10 s in which everything waited for memory, from which it does nothing else of note.
const WAITING: f64 = 5.0;

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    kill(trial).or_else(|| thrash(trial))
}

fn kill(trial: &TrialContext<'_>) -> Option<Candidate> {
    let killed = trial.exits().find(|(_, exit)| exit.oom_killed == Some(true) || killed_near_limit(trial, exit.signal));
    let counter = trial.server_rise(Metric::OomKills);
    let component = match (killed, counter) {
        (Some((instance, _)), _) => Component::Instance(instance.index),
        (None, Some(rise)) => rise.component,
        (None, None) => return None,
    };
    let onset_ms = counter.map(|rise| rise.onset_ms).into_iter().chain(killed.map(|(_, exit)| exit.t_ms));
    let onset_ms = onset_ms.min_by(f64::total_cmp);
    let limit = limit(trial, component);
    let growth = growth(trial, component, limit);
    let peak = trial.peak() * trial.share_of(component);
    let highest = trial.highest(component, Metric::MemoryPeak);
    let arithmetic = limit.is_some_and(|limit| {
        highest.is_some_and(|highest| near(highest, limit)) || growth.is_some_and(|growth| growth.reaches(limit, peak))
    });
    let sentence = format!(
        "At {} the kernel killed {component}{}; its connections were lost at once.",
        format::connections(trial.peak()),
        detail(limit, growth)
    );
    let metrics =
        [Metric::OomKills, Metric::MemoryPeak, Metric::MemoryCurrent, Metric::MemoryAnon, Metric::MemoryKernel];
    let mut evidence = trial.exit_evidence();
    evidence.extend(trial.all_evidence(component, &metrics));
    evidence.extend(trial.evidence(Component::Host, Metric::HostOomKills));
    let timely = onset_ms.is_some_and(|t| trial.at_first_failure(t));
    let proof = Proof { moved: true, arithmetic, timely, explains: 1.0, onset_ms };
    Some(Candidate { sentence, fix: FIX.into(), evidence, proof })
}

const FIX: &str =
    "raise the memory limit above memory per connection x connections, or make a connection cheaper (buffers)";

/// ` (128 MiB limit, 42 KiB per connection)`.
fn detail(limit: Option<f64>, growth: Option<Growth>) -> String {
    let mut words = Vec::new();
    words.extend(limit.map(|limit| format!("{} limit", format::bytes(limit))));
    words.extend(growth.map(|growth| format!("{} per connection", format::bytes(growth.per_connection))));
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// Memory that cannot be taken back fills the limit, nobody is killed, and the instance waits for its own pages.
fn thrash(trial: &TrialContext<'_>) -> Option<Candidate> {
    let slow = trial.slowness();
    if slow < 0.2 {
        return None;
    }
    let since = |instance| full_since(trial, instance).or_else(|| reads_back_since(trial, instance));
    let (component, onset_ms) = trial.instances().find_map(|instance| Some((instance, since(instance)?)))?;
    let limit = limit(trial, component)?;
    let waits = trial.most(component, Metric::PsiMemoryFull).is_some_and(|(_, share)| share >= WAITING);
    let faults = trial.rise(component, Metric::MajorFaults);
    let first = trial.first_failure_ms.unwrap_or(onset_ms);
    let metrics = [
        Metric::MemoryCurrent,
        Metric::MemoryFile,
        Metric::MemoryLimitHits,
        Metric::MajorFaults,
        Metric::PsiMemoryFull,
        Metric::CpuUsage,
    ];
    let growth = growth(trial, component, Some(limit));
    let again = faults.map_or(String::new(), |rise| format!(", {} times from the disk", format::whole(rise.by)));
    Some(Candidate {
        sentence: format!(
            "At {} {component} had filled its memory{} and was not killed: the kernel took its last page cache away and \
             it read it back over and over{again}; {}.",
            format::connections(trial.held_at_failure()),
            detail(Some(limit), growth),
            trial.symptom_words()
        ),
        fix: FIX.into(),
        evidence: trial.all_evidence(component, &metrics),
        proof: Proof {
            moved: true,
            // That it is full is the arithmetic; that it suffers from it is seen by what waits.
            arithmetic: waits || faults.is_some(),
            timely: onset_ms <= first + 1000.0 + trial.tick_ms(),
            explains: slow,
            onset_ms: Some(onset_ms),
        },
    })
}

/// First moment from which memory that cannot be taken back filled the limit, up to the end of the step.
fn full_since(trial: &TrialContext<'_>, component: Component) -> Option<f64> {
    let limit = limit(trial, component)?;
    let end = trial.failed?.ended_ms;
    let used = trial.series.between(component, Metric::MemoryCurrent, trial.from, end);
    let cache = |t| trial.series.at(component, Metric::MemoryFile, t);
    let is_full = |(t, used): &&(f64, f64)| cache(*t).is_some_and(|cache| used - cache >= FULL * limit);
    let full: Vec<_> = used.iter().filter(is_full).collect();
    // It stays so: a limit that is met for a moment slows nobody down.
    (full.len() >= 2 && 2 * full.len() >= used.len() / 2).then(|| full[0].0)
}

/// First moment at the limit from which an instance reads its own pages back faster than it did in the steps that passed, up to
/// the end of the step.
fn reads_back_since(trial: &TrialContext<'_>, component: Component) -> Option<f64> {
    let limit = limit(trial, component)?;
    let failed = trial.failed?;
    let begin = trial.record.steps.iter().find(|step| step.launch == failed.launch)?.started_ms;
    let between = |from, to| trial.series.between(component, Metric::MajorFaults, from, to);
    let per_s = |from: &(f64, f64), to: &(f64, f64)| 1e3 * (to.1 - from.1) / (to.0 - from.0).max(1.0);
    let before = between(begin, trial.from);
    let usual = before.first().zip(before.last()).map_or(0.0, |(first, last)| per_s(first, last));
    let least = READ_BACK_PER_S.max(READ_BACK_TIMES * usual);
    let faults = between(trial.from, failed.ended_ms);
    let last = *faults.last()?;
    let is_full = |t| trial.series.at(component, Metric::MemoryCurrent, t).is_some_and(|used| used >= FULL * limit);
    let mut pairs = faults.windows(2).filter(|pair| per_s(&pair[0], &pair[1]) >= least);
    // It goes on to the end: a program is read once when it starts.
    pairs.find(|pair| is_full(pair[1].0) && per_s(&pair[0], &last) >= least).map(|pair| pair[0].0)
}

/// SIGKILL from nobody we know of, while the machine counted an OOM kill and the instance was at its limit. An engine
/// sometimes reports such an end without its flag.
fn killed_near_limit(trial: &TrialContext<'_>, signal: Option<i32>) -> bool {
    signal == Some(9)
        && trial.rise(Component::Host, Metric::HostOomKills).is_some()
        && trial.instances().any(|instance| {
            let most = trial.highest(instance, Metric::MemoryCurrent);
            most.zip(limit(trial, instance)).is_some_and(|(most, limit)| most >= 0.9 * limit)
        })
}

/// Memory limit of an instance: the one that was applied, else the size's.
pub(super) fn limit(trial: &TrialContext<'_>, component: Component) -> Option<f64> {
    let launch = trial.failed?.launch;
    let own = |instance: &&wsceiling_model::record::InstanceRecord| {
        instance.launch == launch && Component::Instance(instance.index) == component
    };
    let limits = trial.record.instances.iter().find(own).map_or(&[][..], |instance| &instance.limits);
    let applied = limits.iter().find(|limit| limit.name == "memory_bytes");
    match applied {
        Some(limit) => limit.enforced_by.is_some().then_some(limit.value),
        None => trial.size?.memory_bytes.map(|bytes| bytes as f64),
    }
}

/// How memory grew with the connections of an instance, up to its last sample.
#[derive(Clone, Copy)]
struct Growth {
    per_connection: f64,
    last_bytes: f64,
    /// Open then, as counted at that sample and one sample later: the count is up to one sample behind.
    last_open: [f64; 2],
}

impl Growth {
    /// Whether memory meets the limit where the connections were lost. The last sample is up to one sample old, so it is
    /// carried on along the growth.
    fn reaches(self, limit: f64, peak: f64) -> bool {
        let at_peak = |open: f64| self.last_bytes + self.per_connection * (peak - open).max(0.0);
        near(self.last_bytes, limit) || self.last_open.iter().any(|open| near(at_peak(*open), limit))
    }
}

/// Memory that cannot be taken back, over the settled moments of the launch: while connections are opening, memory and
/// the generator's count are not of the same moment. Met within the first step there is one such moment; the limit,
/// where the connections were at their most, is the other end.
fn growth(trial: &TrialContext<'_>, component: Component, limit: Option<f64>) -> Option<Growth> {
    let launch = trial.failed?.launch;
    let steps = || trial.record.steps.iter().filter(|step| step.launch == launch);
    let begin = steps().next()?.started_ms;
    let share = trial.share_of(component);
    let settled = steps().filter(|step| step.passed).filter_map(|step| {
        let (t, used) = unreclaimable(trial, component, step.ended_ms)?;
        (t >= step.opened_ms).then_some((step.open as f64 * share, used))
    });
    let idle = unreclaimable(trial, component, begin).filter(|(t, _)| *t <= begin).map(|(_, used)| (0.0, used));
    let mut points: Vec<(f64, f64)> = idle.into_iter().chain(settled).collect();
    if points.len() == 1 {
        points.extend(limit.map(|limit| (trial.peak() * share, limit)));
    }
    let (first, last) = (*points.first()?, *points.last()?);
    (last.0 > first.0 && last.1 > first.1).then(|| (last.1 - first.1) / (last.0 - first.0)).map(|per_connection| {
        let (t, last_bytes) = trial.most(component, Metric::MemoryCurrent).unwrap_or((begin, first.1));
        let open = |t| trial.series.near(Component::Generator, Metric::Open, t).map_or(0.0, |(_, open)| open * share);
        Growth { per_connection, last_bytes, last_open: [open(t), open(t + trial.tick_ms())] }
    })
}

/// Memory without the page cache at the last sample up to a moment.
fn unreclaimable(trial: &TrialContext<'_>, component: Component, t: f64) -> Option<(f64, f64)> {
    let (t, used) = trial.series.near(component, Metric::MemoryCurrent, t)?;
    Some((t, used - trial.series.at(component, Metric::MemoryFile, t).unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fail, Judged as _, cause, script};
    use crate::verdict::EvidenceName;
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric};

    const MIB: f64 = 1024.0 * 1024.0;

    fn killed() -> crate::testing::Script {
        // M1: --memory 64m, 36.7 kB a connection, 1830 -> 0.
        let fail = Fail::collapse(1830)
            .error(FailedAt::Open, "eof", 1830)
            .error(FailedAt::Handshake, "reset", 47)
            .error(FailedAt::Connect, "errno ECONNREFUSED", 109)
            .error(FailedAt::Connect, "timeout", 14);
        script().load(1000, 4000).size(|size| size.memory_bytes = Some(64 << 20)).good(1000).fail(fail)
    }

    #[test]
    fn a_kill_at_the_limit_is_sure() {
        let verdict = killed()
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .set(Component::Instance(0), Metric::MemoryCurrent, |m| Some(36_670.0 * m.open))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryLimit, 0.85));
        assert!(
            verdict.sentence.starts_with("At 1,830 connections the kernel killed instance-0 (64.0 MiB limit, 35.8 KiB")
        );
        assert!(verdict.evidence.iter().any(|evidence| evidence.name == EvidenceName::Exit));
        assert_eq!(verdict.runner_up, None, "its consequences are dropped");
    }

    /// The default matrix's app in a container of 128 MiB: it stays at the limit, answers nobody and is not killed.
    fn thrashing(anon: f64) -> crate::testing::Script {
        let server = Component::Instance(0);
        let fail = Fail::plateau(3075).held(0.0).error(FailedAt::Handshake, "timeout", 925);
        script()
            .load(2000, 8000)
            .rate(4000.0)
            .size(|size| size.memory_bytes = Some(128 << 20))
            .good(2000)
            .fail(fail)
            .set(server, Metric::MemoryCurrent, |m| Some((83.2 + 0.0417 * (m.open - 2000.0)).min(128.0) * MIB))
            .set(server, Metric::MemoryFile, move |m| {
                Some(if m.since_trouble_s > 0.0 { 128.0 - anon } else { 4.25 } * MIB)
            })
            .set(server, Metric::PsiMemoryFull, |m| Some((m.since_trouble_s * 5.0).clamp(0.0, 28.6)))
            .set(server, Metric::CpuUsage, |m| Some(m.since_trouble_s.max(0.0) * 0.6e6))
            .set(server, Metric::BusiestThread, |_| Some(0.7))
    }

    #[test]
    fn a_limit_that_is_met_without_a_kill_is_the_limit_and_what_crawls_is_its_consequence() {
        let verdict = thrashing(127.87).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryLimit, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("had filled its memory (128 MiB limit, 4"), "{}", verdict.sentence);
        assert!(verdict.sentence.contains("was not killed"), "{}", verdict.sentence);
        assert_eq!(verdict.runner_up, None, "memory-pressure is the same cause once more");
    }

    /// Bun at 192 MiB: 10 MiB of cache are left, which is less than its own code needs.
    fn reading_back(anon: f64, before_per_s: f64, after_per_s: f64) -> crate::testing::Script {
        thrashing(anon).set(Component::Instance(0), Metric::PsiMemoryFull, |_| None).set(
            Component::Instance(0),
            Metric::MajorFaults,
            move |m| Some(29.0 + before_per_s * m.t_ms / 1e3 + after_per_s * m.since_trouble_s.max(0.0)),
        )
    }

    #[test]
    fn a_limit_at_which_a_server_reads_its_own_code_back_is_the_limit() {
        let verdict = reading_back(121.0, 0.5, 150.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryLimit, 0.85), "{verdict:?}");
        assert!(verdict.sentence.contains("times from the disk"), "{}", verdict.sentence);
        assert_ne!(cause(reading_back(121.0, 0.5, 5.0)), Cause::MemoryLimit, "few pages cost nobody much");
        assert_ne!(cause(reading_back(121.0, 150.0, 50.0)), Cause::MemoryLimit, "it always reads files");
        let below =
            reading_back(100.0, 0.5, 150.0).set(Component::Instance(0), Metric::MemoryCurrent, |_| Some(115.0 * MIB));
        assert_ne!(cause(below), Cause::MemoryLimit, "its disk is slow, and its memory not full");
    }

    #[test]
    fn a_limit_that_is_met_by_page_cache_alone_is_not() {
        // A server that reads files fills any limit with cache, which costs nobody anything.
        assert_ne!(cause(thrashing(90.0)), Cause::MemoryLimit);
    }

    #[test]
    fn all_that_was_lost_at_once_was_open_though_no_sample_saw_it() {
        // Two instances with 3,000 each after a good step, 194 more between two samples, then both are killed.
        let fail = Fail::collapse(6194).error(FailedAt::Open, "eof", 6194).error(FailedAt::Handshake, "reset", 664);
        let verdict = script()
            .load(2000, 8000)
            .rate(4000.0)
            .good_up_to(6000)
            .fail(fail)
            .set(Component::Generator, Metric::Open, |m| {
                Some(if m.since_trouble_s < 0.2 { m.open.min(6000.0) } else { 0.0 })
            })
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .verdict();
        assert!(verdict.sentence.starts_with("At 6,194 connections"), "{}", verdict.sentence);
    }

    #[test]
    fn a_kill_far_below_the_limit_is_less_sure() {
        let verdict = killed()
            .exit(|exit| (exit.signal, exit.oom_killed) = (Some(9), Some(true)))
            .set(Component::Instance(0), Metric::MemoryCurrent, |_| Some(20.0 * MIB))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::MemoryLimit, 0.60));
    }

    #[test]
    fn a_crash_below_the_limit_is_not_the_limit() {
        assert_eq!(cause(killed().exit(|exit| exit.signal = Some(11))), Cause::Crash);
    }
}

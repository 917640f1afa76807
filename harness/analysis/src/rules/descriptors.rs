//! An instance has as many descriptors as it may.

use super::rule::{Candidate, Proof, Rule, near};
use crate::context::TrialContext;
use crate::verdict::Evidence;
use wsceiling_model::format;
use wsceiling_model::record::log_patterns;
use wsceiling_model::record::{Cause, Component, Metric};

/// Share of the limit from which an instance counts as having reached it.
const FULL: f64 = 0.98;
/// So many connections are no difference, however few there are in all.
const FEW: f64 = 2.0;
/// Where the log says so: less room than for so many connections. For a moment one may need more than it keeps, such as the
/// pipes to a process that is just started.
const ROOM: f64 = 3.0;
pub(super) const RULE: Rule = Rule {
    cause: Cause::ServerDescriptors,
    // A server that exits on EMFILE looks like a crash, one that retries at once like a full CPU.
    consequences: &[
        Cause::Crash,
        Cause::PathDied,
        Cause::CpuQuota,
        Cause::SingleThread,
        Cause::CpuSaturated,
        Cause::Hang,
        Cause::AcceptQueue,
        Cause::SynQueue,
        Cause::ApplicationCap,
    ],
    judge,
};

fn judge(trial: &TrialContext<'_>) -> Option<Candidate> {
    // A log says what it likes; a table with room says otherwise.
    let said = trial.log_line(log_patterns::DESCRIPTORS).filter(|(component, _)| may_be_full(trial, *component));
    let no_room = |(component, _): (Component, &str)| {
        let each = growth(trial, component)?.each;
        full(trial, component, |count, limit| limit - count < ROOM * each)
    };
    let share = |instance| full(trial, instance, |count, limit| count >= FULL * limit);
    let full = trial.instances().find_map(share).or_else(|| said.and_then(no_room));
    let (component, onset) = match (full, said) {
        (Some((component, onset)), _) => (component, Some(onset)),
        (None, Some((component, _))) => (component, None),
        (None, None) => return None,
    };
    // An instance that ended may have had no sample in the step.
    let limit = trial.series.near(component, Metric::DescriptorLimit, trial.to).map(|(_, value)| value);
    let held = trial.held_at_failure() * trial.share_of(component);
    let growth = growth(trial, component);
    let predicted = limit.zip(growth).map(|(limit, growth)| growth.connections_at(limit));
    let arithmetic = predicted.is_some_and(|predicted| near(predicted, held) || (predicted - held).abs() <= FEW);
    let mut evidence = trial.all_evidence(component, &[Metric::Descriptors, Metric::DescriptorLimit]);
    evidence.extend(said.map(|(component, line)| Evidence::log_line(component, line)));
    evidence.extend(trial.all_evidence(component, &[Metric::ListenQueue, Metric::ListenOverflows]));
    let may = limit.map_or(String::new(), |limit| format!(" of the {} it may have", format::whole(limit)));
    let exits = trial.exits().next().map_or("", |_| ", and ended because of it");
    Some(Candidate {
        sentence: format!(
            "At {} {component} had no descriptor left{may}{exits}: each connection takes {}.",
            format::connections(trial.held_at_failure()),
            growth.map_or_else(|| "one".to_owned(), |growth| format::trimmed((growth.each * 10.0).round() / 10.0))
        ),
        fix: "raise the server's descriptor limit (LimitNOFILE, docker --ulimit nofile, `nofile` of the size)".into(),
        evidence,
        proof: Proof {
            // A server that ended with the last one was not seen with a full table.
            moved: full.is_some() || arithmetic || trial.ended(),
            arithmetic,
            timely: onset.is_none_or(|onset| trial.at_first_failure(onset)),
            explains: 1.0,
            onset_ms: onset.or(trial.first_failure_ms),
        },
    })
}

/// Whether the table can have been full between two samples: what was seen, and what may have come until the next one, or
/// until the instance ended. True where nothing was seen.
fn may_be_full(trial: &TrialContext<'_>, component: Component) -> bool {
    let seen = trial.most(component, Metric::Descriptors);
    let before = || trial.series.near(component, Metric::Descriptors, trial.from);
    let Some((seen_ms, most)) = seen.or_else(before) else { return true };
    let limit = trial.series.near(component, Metric::DescriptorLimit, trial.to).map(|(_, limit)| limit);
    let per_s = trial.failed.map_or(0.0, |step| step.requested_per_s);
    let ended_ms = trial.exits().map(|(_, exit)| exit.t_ms).fold(seen_ms, f64::max);
    // Accepted in a burst, and for each connection as many as were seen for those before.
    let each = (most / trial.held_at_failure().max(1.0)).clamp(1.0, 8.0);
    let unseen_ms = (2.0 * trial.tick_ms()).max(ended_ms - seen_ms.max(trial.from));
    let more = each * per_s * unseen_ms / 1e3;
    limit.is_none_or(|limit| limit <= 0.0 || most + more >= FULL * limit)
}

/// First moment at which the descriptors were at the limit, if any: `is_full` of how many there were and may be.
fn full(
    trial: &TrialContext<'_>,
    component: Component,
    is_full: impl Fn(f64, f64) -> bool,
) -> Option<(Component, f64)> {
    let points = trial.series.between(component, Metric::Descriptors, trial.from, trial.to);
    let limit = |t| trial.series.near(component, Metric::DescriptorLimit, t).map(|(_, limit)| limit);
    let at = points.iter().find(|(t, count)| limit(*t).is_some_and(|limit| limit > 0.0 && is_full(*count, limit)))?;
    Some((component, at.0))
}

/// How descriptors grow with connections: a server may need more than one for each, and some for itself.
#[derive(Clone, Copy)]
struct Growth {
    /// Connections and descriptors at the last settled moment.
    last: (f64, f64),
    /// Descriptors of one connection more.
    each: f64,
}

impl Growth {
    fn connections_at(self, limit: f64) -> f64 {
        self.last.0 + (limit - self.last.1) / self.each
    }
}

/// The growth over the settled moments before the failed step.
fn growth(trial: &TrialContext<'_>, component: Component) -> Option<Growth> {
    let launch = trial.failed?.launch;
    let steps = || trial.record.steps.iter().filter(|step| step.launch == launch);
    let begin = steps().next()?.started_ms;
    let share = trial.share_of(component);
    let count = |t: f64| trial.series.near(component, Metric::Descriptors, t);
    let settled = steps().filter(|step| step.passed).filter_map(|step| {
        let (t, count) = count(step.ended_ms)?;
        (t >= step.opened_ms).then_some((step.open as f64 * share, count))
    });
    let idle = count(begin).filter(|(t, _)| *t <= begin).map(|(_, count)| (0.0, count));
    let points: Vec<(f64, f64)> = idle.into_iter().chain(settled).collect();
    let (first, last) = (points.first()?, points.last()?);
    let each = if last.0 > first.0 { (last.1 - first.1) / (last.0 - first.0) } else { 1.0 };
    (each > 0.0).then_some(Growth { last: *last, each })
}

#[cfg(test)]
mod tests {
    use crate::context::TrialContext;
    use crate::judge;
    use crate::testing::{Fail, Judged as _, Script, cause, header, rising, script};
    use crate::time_series::TimeSeries;
    use wsceiling_model::record::{Cause, Component, FailedAt, Metric, Sample, StepKind, StepRecord};

    const SERVER: Component = Component::Instance(0);

    fn stalled() -> Script {
        // S1: nofile 1000, backlog 128: 993 held, 129 handshake and 378 connect timeouts, EMFILE spin.
        let fail =
            Fail::plateau(993).error(FailedAt::Handshake, "timeout", 129).error(FailedAt::Connect, "timeout", 378);
        script().load(500, 1500).good(500).fail(fail).set(SERVER, Metric::DescriptorLimit, |_| Some(1000.0))
    }

    #[test]
    fn a_full_table_is_sure_and_its_overflow_and_spin_are_consequences() {
        let verdict = stalled()
            .set(SERVER, Metric::Descriptors, |m| Some(7.0 + m.open))
            .set(SERVER, Metric::ListenOverflows, rising(1712.0))
            .set(SERVER, Metric::ListenQueue, |m| Some(if m.since_trouble_s > 0.0 { 129.0 } else { 0.0 }))
            .set(SERVER, Metric::ListenBacklog, |_| Some(128.0))
            .set(SERVER, Metric::BusiestThread, |m| Some(if m.since_trouble_s > 0.0 { 0.99 } else { 0.1 }))
            .verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ServerDescriptors, 0.85));
        assert_eq!(verdict.runner_up, None, "{verdict:?}");
        assert!(verdict.sentence.contains("of the 1,000 it may have"), "{}", verdict.sentence);
    }

    #[test]
    fn an_exit_on_emfile_is_the_descriptors_and_not_a_crash() {
        // S3: exit 1 on EMFILE.
        let fail =
            Fail::collapse(992).error(FailedAt::Open, "eof", 992).error(FailedAt::Connect, "errno ECONNREFUSED", 490);
        let verdict = script()
            .load(500, 1500)
            .good(500)
            .fail(fail)
            .exit(|exit| exit.code = Some(1))
            .set(SERVER, Metric::DescriptorLimit, |_| Some(1000.0))
            .log("accept: Too many open files (os error 24)")
            .verdict();
        assert_eq!(verdict.cause, Cause::ServerDescriptors);
    }

    #[test]
    fn the_descriptors_of_a_server_that_is_launched_again_are_not_those_of_the_one_that_ended() {
        let fail =
            Fail::collapse(992).error(FailedAt::Open, "eof", 992).error(FailedAt::Connect, "errno ECONNREFUSED", 8);
        let ended = |limit: f64| {
            let script = script()
                .load(500, 1000)
                .rate(400.0)
                .good(500)
                .fail(fail.clone())
                .exit(|exit| exit.code = Some(1))
                .set(SERVER, Metric::DescriptorLimit, move |_| Some(limit))
                .set(SERVER, Metric::Descriptors, |m| Some(7.0 + m.open))
                .log("accept: Too many open files (os error 24)");
            let (header, cell) = (header(&script), script.cell.clone());
            let (mut record, mut samples) = script.finish();
            let failed = record.steps.last().unwrap().clone();
            let until = record.instances[0].exit.as_ref().unwrap().t_ms.min(failed.started_ms);
            samples.retain(|sample| sample.component != SERVER || sample.t_ms < until);
            // It is up again before the next step starts.
            let idle = vec![(Metric::Descriptors, 7.0), (Metric::DescriptorLimit, limit)];
            samples.push(Sample { t_ms: failed.ended_ms + 30.0, component: SERVER, values: idle });
            let (started_ms, ended_ms) = (failed.ended_ms + 60.0, failed.ended_ms + 2_000.0);
            record.steps.push(StepRecord { kind: StepKind::Narrow, launch: 1, started_ms, ended_ms, ..failed });
            let series = TimeSeries::new(&samples);
            judge::judge(&TrialContext::new(&header, &cell, &record, &series).unwrap()).unwrap().cause
        };
        assert_eq!(ended(1000.0), Cause::ServerDescriptors);
        assert_eq!(ended(20_000.0), Cause::Crash, "there was room");
    }

    #[test]
    fn a_line_in_the_log_does_not_fill_a_table_that_has_room() {
        // A server that mentions EMFILE and is stopped by something else at 377 connections.
        let said = |line: &str| {
            let fail = Fail::plateau(377).error(FailedAt::Handshake, "timeout", 123);
            script()
                .load(500, 500)
                .fail(fail)
                .set(SERVER, Metric::DescriptorLimit, |_| Some(20_000.0))
                .set(SERVER, Metric::Descriptors, |m| Some(9.0 + m.open))
                .log(line)
        };
        assert_ne!(cause(said("accept: Too many open files (os error 24)")), Cause::ServerDescriptors);
    }

    #[test]
    fn a_connection_that_needs_more_for_a_moment_than_it_keeps_finds_the_table_full() {
        // A process for each connection: 4 descriptors, and a few more while it is started. 193 of 200, 46 connections.
        let forks = |line: Option<&str>, limit: f64| {
            let fail = Fail::plateau(46).error(FailedAt::Open, "reset", 14);
            let script = script()
                .load(20, 80)
                .rate(400.0)
                .good(20)
                .good(40)
                .fail(fail)
                .set(SERVER, Metric::DescriptorLimit, move |_| Some(limit))
                .set(SERVER, Metric::Descriptors, |m| Some(9.0 + 4.0 * m.open));
            line.into_iter().fold(script, Script::log)
        };
        let line = "could not launch process /usr/bin/cat (fork/exec /usr/bin/cat: too many open files)";
        let verdict = forks(Some(line), 200.0).verdict();
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ServerDescriptors, 0.85), "{verdict:?}");
        assert_ne!(cause(forks(None, 200.0)), Cause::ServerDescriptors);
        assert!(forks(Some(line), 230.0).verdict().confidence < 0.85);
    }

    #[test]
    fn descriptors_with_room_are_not_the_cause() {
        assert_ne!(cause(stalled().set(SERVER, Metric::Descriptors, |_| Some(700.0))), Cause::ServerDescriptors);
    }
}

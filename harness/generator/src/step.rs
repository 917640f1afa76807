//! From the windows of all workers to the record of one step.

use anyhow::Result;

use super::ages;
use super::histogram;
use super::ipc::{Failure, Histogram, Window};
use wsceiling_model::matrix::Gates;
use wsceiling_model::record::{
    Answer, FailedAt, FailureReason, FailureTally, Latency, SlowestWorker, StepKind, StepRecord, StormRecord, gate,
};

/// What the coordinator knows of a step beside the workers' windows.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Why it was driven.
    pub kind: StepKind,
    /// Launch of the instances.
    pub launch: u32,
    /// Connections wanted.
    pub target: u32,
    /// Connects per second asked for.
    pub per_second: f64,
    /// Start of the trial on `CLOCK_MONOTONIC`, in nanoseconds.
    pub epoch_ns: u64,
    /// Start and end of the opening, end of the hold where a probe followed, and end of all, in milliseconds since the trial's
    /// start.
    pub started_ms: f64,
    /// See [`Self::started_ms`].
    pub opened_ms: f64,
    /// See [`Self::started_ms`].
    pub probe_from_ms: Option<f64>,
    /// See [`Self::started_ms`].
    pub ended_ms: f64,
    /// What the coordinator knows of a storm.
    pub storm: Option<StormFrame>,
}

/// What the coordinator knows of a storm beside the workers' windows.
#[derive(Debug, Clone, Copy)]
pub struct StormFrame {
    /// Connections that were open and were closed.
    pub dropped: u64,
    /// Time that took, in milliseconds.
    pub closing_ms: f64,
    /// Time over which reconnects were spread.
    pub jitter: std::time::Duration,
}

/// The workers' windows of one step, one a worker each.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepWindows<'a> {
    /// Of the opening, or of the closing where connections went.
    pub opening: &'a [Window],
    /// Of the hold; empty: it was not reached.
    pub hold: &'a [Window],
    /// Of the probe; empty: there was none.
    pub probe: &'a [Window],
}

impl<'a> StepWindows<'a> {
    /// All of them.
    pub fn all(self) -> impl Iterator<Item = &'a Window> {
        self.opening.iter().chain(self.measured())
    }

    /// Those that the messages of the hold are counted in.
    pub fn measured(self) -> impl Iterator<Item = &'a Window> {
        self.hold.iter().chain(self.probe)
    }

    /// Those that tell the state at the step's end.
    pub fn last(self) -> &'a [Window] {
        [self.probe, self.hold, self.opening].into_iter().find(|windows| !windows.is_empty()).unwrap_or_default()
    }
}

/// Merges the windows of a step and judges the gates.
///
/// # Errors
/// When a worker's histogram cannot be decoded.
pub fn record(frame: Frame, windows: StepWindows<'_>, gates: Gates) -> Result<StepRecord> {
    let StepWindows { opening, hold, probe } = windows;
    let last = windows.last();
    let sum = |windows: &[Window], field: fn(&Window) -> u64| windows.iter().map(field).sum::<u64>();
    let of_the_hold = |field: fn(&Window) -> u64| windows.measured().map(field).sum::<u64>();
    let opened = sum(opening, |window| window.opened);
    // In a storm everything is due at once: that the generator needs time to issue it is no lag, and told apart.
    let with_opening = if frame.storm.is_some() { &[] } else { opening };
    let timed = StepWindows { opening: with_opening, ..windows };
    let lag = latency(timed.all().map(|window| &window.lag))?;
    let seconds = ((frame.opened_ms - frame.started_ms) / 1000.0).max(1e-9);
    let mut step = StepRecord {
        kind: frame.kind,
        launch: frame.launch,
        target: frame.target,
        started_ms: frame.started_ms,
        opened_ms: frame.opened_ms,
        ended_ms: frame.ended_ms,
        due: sum(opening, |window| window.due),
        issued: sum(opening, |window| window.issued),
        opened,
        opened_after_failure: Some(sum(opening, |window| window.opened_after_failure)),
        last_opened_ms: last_opened_ms(opening, frame.epoch_ns),
        open: sum(last, |window| window.open.iter().sum()),
        held: sum(last, |window| window.held.iter().sum()),
        lost: windows.all().map(|window| window.lost).sum(),
        open_ages: last.iter().map(|window| &window.open_ages).sum(),
        requested_per_s: frame.per_second,
        achieved_per_s: opened as f64 / seconds,
        messages_due: of_the_hold(|window| window.messages_due),
        messages_sent: of_the_hold(|window| window.messages_sent),
        messages_answered: of_the_hold(|window| window.messages_answered),
        messages_opening: sum(opening, |window| window.messages_sent),
        probe_from_ms: frame.probe_from_ms,
        probes: sum(probe, |window| window.probes),
        probes_answered: sum(probe, |window| window.probes_answered),
        slowest_reply_us: windows.all().map(|window| window.slowest_reply_us).max().filter(|slowest| *slowest > 0),
        connect: latency(windows.all().map(|window| &window.connect))?,
        handshake: latency(windows.all().map(|window| &window.handshake))?,
        reply: latency(windows.measured().map(|window| &window.reply))?,
        probe: latency(probe.iter().map(|window| &window.probe))?,
        passed: false,
        gates: Vec::new(),
        spread: spread(last),
        upstream_spread: Vec::new(),
        replacing: sum(last, |window| window.replacing),
        errors: tallies(windows.all().flat_map(|window| &window.failures), frame.epoch_ns),
        lost_ages: ages::lost(windows.all())?,
        answers: answers(windows.all()),
        accepted: windows.all().find_map(|window| window.accepted.clone()),
        lag_us_max: lag.max_us.unwrap_or(0),
        lag_us_p99: lag.p99_us.unwrap_or(0),
        slowest_worker: slowest([with_opening, hold, probe])?,
        storm: frame.storm.map(|storm| storm_record(storm, frame.target, opening)).transpose()?,
    };
    step.gates = gate::judge(&step, &gates);
    step.passed = step.gates.iter().all(|gate| gate.passed);
    Ok(step)
}

/// When the last upgrade was accepted; `None`: none was.
fn last_opened_ms(opening: &[Window], epoch_ns: u64) -> Option<f64> {
    let last = opening.iter().map(|window| window.last_opened_ns).max().filter(|last| *last > 0)?;
    Some(last.saturating_sub(epoch_ns) as f64 / 1e6)
}

/// The worker that was furthest behind in those windows, which are one a worker each, or none.
fn slowest(windows: [&[Window]; 3]) -> Result<Option<SlowestWorker>> {
    let mut all = Vec::new();
    for worker in 0..windows.iter().map(|windows| windows.len()).max().unwrap_or(0) {
        let lag = latency(windows.iter().filter_map(|windows| windows.get(worker)).map(|window| &window.lag))?;
        if let (Some(lag_us_max), Some(lag_us_p99)) = (lag.max_us, lag.p99_us) {
            all.push(SlowestWorker { worker: worker as u32, lag_us_max, lag_us_p99 });
        }
    }
    Ok(all.into_iter().max_by_key(|slow| (slow.lag_us_p99, slow.lag_us_max)))
}

/// Share of the wanted connections that have to be back.
const BACK: f64 = 0.999;

fn storm_record(storm: StormFrame, target: u32, opening: &[Window]) -> Result<StormRecord> {
    let restored = histogram::merge(opening.iter().map(|window| &window.restored))?;
    let wanted = (f64::from(target) * BACK).ceil().max(1.0);
    let share = wanted / (restored.len() as f64).max(1.0);
    let back = (share <= 1.0).then(|| restored.value_at_quantile(share) as f64 / 1000.0);
    Ok(StormRecord {
        dropped: storm.dropped,
        closing_ms: storm.closing_ms,
        jitter_ms: storm.jitter.as_millis() as u64,
        lag_us_max: latency(opening.iter().map(|window| &window.lag))?.max_us.unwrap_or(0),
        restored: histogram::latency(&restored),
        restored_ms_p999: back,
    })
}

fn latency<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Result<Latency> {
    Ok(histogram::latency(&histogram::merge(parts)?))
}

fn spread(windows: &[Window]) -> Vec<u64> {
    let destinations = windows.iter().map(|window| window.open.len()).max().unwrap_or(0);
    (0..destinations).map(|index| windows.iter().filter_map(|window| window.open.get(index)).sum()).collect()
}

fn answers<'a>(windows: impl Iterator<Item = &'a Window>) -> Vec<Answer> {
    Answer::merge(windows.flat_map(|window| &window.answers).cloned(), StepRecord::ANSWERS_MAX)
}

/// Failures of all windows, those of one kind together.
pub(crate) fn tallies<'a>(failures: impl Iterator<Item = &'a Failure>, epoch_ns: u64) -> Vec<FailureTally> {
    let mut tallies = std::collections::BTreeMap::<(FailedAt, &FailureReason), (u64, u64)>::new();
    for failure in failures {
        let tally = tallies.entry((failure.at, &failure.reason)).or_insert((0, u64::MAX));
        tally.0 += failure.count;
        tally.1 = tally.1.min(failure.first_ns.saturating_sub(epoch_ns) / 1_000_000);
    }
    tallies
        .into_iter()
        .map(|((at, reason), (count, first_ms))| FailureTally { at, reason: reason.clone(), count, first_ms })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use wsceiling_model::record::GateName;

    const FRAME: Frame = Frame {
        kind: StepKind::Staircase,
        launch: 0,
        target: 100,
        per_second: 100.0,
        epoch_ns: 5_000_000,
        started_ms: 0.0,
        opened_ms: 1000.0,
        probe_from_ms: None,
        ended_ms: 2000.0,
        storm: None,
    };

    fn hold(open: Vec<u64>, held: Vec<u64>, replies_us: &[u64]) -> Window {
        let mut replies = hdrhistogram::Histogram::<u64>::new(3).unwrap();
        for us in replies_us {
            replies.record(*us).unwrap();
        }
        Window { open, held, reply: Histogram::from(&replies), ..Window::default() }
    }

    fn of(opening: &[Window], hold: &[Window]) -> StepRecord {
        record(FRAME, StepWindows { opening, hold, probe: &[] }, Gates::default()).unwrap()
    }

    #[test]
    fn the_workers_windows_add_up() {
        let windows = [hold(vec![30, 20], vec![30, 20], &[1000]), hold(vec![25, 25], vec![25, 25], &[2000])];
        let step = of(&[], &windows);
        assert_eq!((step.open, step.held, step.spread.as_slice()), (100, 100, [55, 45].as_slice()));
        assert_eq!(step.reply.count, 2);
        assert!(step.passed);
    }

    #[test]
    fn late_answers_belong_to_the_hold_and_the_state_is_that_after_the_probe() {
        let opening = [Window { messages_sent: 60, lost: 1, ..Window::default() }];
        let counts = |due, sent, answered| Window {
            messages_due: due,
            messages_sent: sent,
            messages_answered: answered,
            ..Window::default()
        };
        let during = [Window { open: vec![100], held: vec![90], reply: values([1000]), lost: 2, ..counts(30, 20, 10) }];
        let after = [Window {
            open: vec![99],
            held: vec![98],
            reply: values([2000, 9000]),
            probes: 70,
            probes_answered: 69,
            probe: values([3000]),
            lost: 4,
            ..counts(5, 15, 24)
        }];
        let windows = StepWindows { opening: &opening, hold: &during, probe: &after };
        let frame = Frame { probe_from_ms: Some(1500.0), ..FRAME };
        let step = record(frame, windows, Gates::default()).unwrap();
        assert_eq!((step.messages_due, step.messages_sent, step.messages_answered), (35, 35, 34));
        assert_eq!((step.messages_opening, step.probes, step.probes_answered), (60, 70, 69));
        assert_eq!((step.open, step.held, step.spread.as_slice(), step.lost), (99, 98, [99].as_slice(), 7));
        assert_eq!((step.reply.count, step.probe.count, step.probe_from_ms), (3, 1, Some(1500.0)));
        assert!(step.reply.max_us.is_some_and(|max| max >= 9000));
    }

    #[test]
    fn where_nothing_of_the_load_was_due_the_p99_is_that_of_the_probe() {
        let after =
            [Window { probes: 1, probes_answered: 1, probe: values([7000]), ..hold(vec![100], vec![100], &[]) }];
        let step = record(FRAME, StepWindows { probe: &after, ..StepWindows::default() }, Gates::default()).unwrap();
        assert!(step.passed && step.gates[2].value.is_some_and(|us| (us - 7000.0).abs() < 10.0), "{:?}", step.gates);
    }

    fn values(us: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = histogram::new();
        us.into_iter().for_each(|us| histogram.record(us).unwrap());
        Histogram::from(&histogram)
    }

    #[test]
    fn the_worker_that_is_furthest_behind_is_named() {
        let window = |lags: &[u64]| Window { lag: values(lags.iter().copied()), ..hold(vec![1], vec![1], &[1]) };
        let opening = [window(&[5]), window(&[9000]), window(&[7])];
        let hold = [window(&[5]), window(&[5]), window(&[])];
        let slowest = of(&opening, &hold).slowest_worker.unwrap();
        assert_eq!((slowest.worker, slowest.lag_us_max / 100), (1, 90));
    }

    #[test]
    fn a_storm_is_over_when_99_9_percent_are_back_and_never_if_they_are_not() {
        let storm = StormFrame { dropped: 1000, closing_ms: 2.0, jitter: Duration::from_millis(1500) };
        let frame = Frame { target: 1000, storm: Some(storm), ..FRAME };
        // Longer than what other histograms hold: a jitter may be long.
        let opening = |count: u64| Window {
            restored: values((1..=count).map(|at| at * 100_000)),
            lag: values([777]),
            ..Window::default()
        };
        let back = |opening: &[Window]| {
            let hold = [hold(vec![1000], vec![1000], &[5])];
            let step = record(frame, StepWindows { opening, hold: &hold, probe: &[] }, Gates::default()).unwrap();
            (step.storm.unwrap(), step.lag_us_max)
        };
        let (storm, lag) = back(&[opening(999)]);
        assert!((storm.restored_ms_p999.unwrap() - 99_900.0).abs() < 100.0, "{storm:?}");
        assert_eq!((storm.restored.count, storm.jitter_ms, storm.lag_us_max, lag), (999, 1500, 777, 0));
        assert_eq!(back(&[opening(998)]).0.restored_ms_p999, None);
        assert_eq!(back(&[opening(499), opening(500)]).0.restored.count, 999);
    }

    #[test]
    fn a_step_without_replies_fails_its_latency_gate_instead_of_passing_on_nothing() {
        let step = of(&[], &[hold(vec![100], vec![100], &[])]);
        let failed: Vec<_> =
            step.gates.iter().filter(|gate| !gate.passed).map(|gate| (gate.name, gate.value)).collect();
        assert!(!step.passed);
        assert_eq!(failed, [(GateName::P99Us, None)]);
    }

    #[test]
    fn open_connections_that_did_not_answer_are_not_held() {
        let step = of(&[], &[hold(vec![100], vec![97], &[10])]);
        let failed: Vec<_> = step.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.name).collect();
        assert_eq!(failed, [GateName::Echoed]);
    }

    #[test]
    fn failures_of_one_kind_are_one_tally_with_the_earliest_moment() {
        let failure =
            |count, first_ns| Failure { at: FailedAt::Handshake, reason: FailureReason::Eof, count, first_ns };
        let windows = [
            Window { failures: vec![failure(2, 9_000_000)], ..Window::default() },
            Window { failures: vec![failure(3, 7_000_000)], ..Window::default() },
        ];
        let step = of(&windows, &[]);
        assert_eq!(
            step.errors,
            [FailureTally { at: FailedAt::Handshake, reason: FailureReason::Eof, count: 5, first_ms: 2 }]
        );
    }
}

//! From the workers' windows to the numbers of the outcome.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use super::cost::Cost;
use super::drive::{Ended, Run, StageRun};
use super::hints;
use super::options::Options;
use super::outcome::{
    AddressUsed, Connections, ErrorSummary, FORMAT, Latencies, Messages, Outcome, Own, Rate, Requested, StageSummary,
};
use super::preflight::Preflight;
use crate::histogram;
use crate::ipc::{Failure, Histogram, Window};
use crate::step::{self, Frame};
use wsceiling_model::record::{FailedAt, FailureReason, FailureTally, Latency, client_limits};

/// Puts together what the workers reported; nothing is judged yet.
///
/// # Errors
/// When a worker's histogram cannot be decoded.
pub(super) fn outcome(
    options: &Options,
    preflight: &Preflight,
    run: Run,
    wall: SystemTime,
    took: Duration,
) -> Result<Outcome> {
    Ok(Outcome {
        format: FORMAT,
        program: concat!("wsceiling ", env!("CARGO_PKG_VERSION")).to_owned(),
        url: options.places.iter().map(|place| place.shown.as_str()).collect::<Vec<_>>().join(", "),
        started: jiff::Timestamp::try_from(wall).map(|time| time.to_string()).unwrap_or_default(),
        duration_s: took.as_secs_f64(),
        request: Requested {
            scenario: Some(options.scenario),
            expect: preflight.expect,
            message_bytes: options
                .payload
                .as_ref()
                .map_or(u64::from(options.message_bytes), |own| own.bytes.len() as u64),
            every_s: options.every.as_secs_f64(),
        },
        addresses: addresses(options, preflight, &run),
        tls: preflight.tls.clone(),
        assumptions: preflight.assumptions.clone(),
        connections: connections(options, &run),
        rate: rate(&run),
        messages: messages(&run),
        latency: Latencies {
            connect: latency(all(&run).map(|window| &window.connect))?,
            tls: latency(all(&run).map(|window| &window.tls))?,
            handshake: latency(all(&run).map(|window| &window.handshake))?,
            reply: latency(measured(&run).map(|window| &window.reply))?,
            probe: latency(all(&run).map(|window| &window.probe))?,
        },
        closing: run.closing.clone(),
        errors: errors(&run),
        stages: run.stages.iter().map(stage).collect::<Result<_>>()?,
        own: own(&run)?,
        ended: run.ended,
        ..Outcome::default()
    })
}

fn all(run: &Run) -> impl Iterator<Item = &Window> {
    run.stages.iter().flat_map(|stage| stage.windows().all())
}

/// Whether messages are counted in holds; else in the openings, because no hold was reached.
fn has_holds(run: &Run) -> bool {
    run.stages.iter().any(|stage| !stage.hold.is_empty())
}

/// The windows that messages are counted in.
fn measured(run: &Run) -> impl Iterator<Item = &Window> {
    let has_holds = has_holds(run);
    run.stages.iter().flat_map(move |stage| {
        let opening = if has_holds { [].as_slice() } else { &stage.opening };
        opening.iter().chain(stage.windows().measured())
    })
}

/// The windows that tell the state at the end.
fn last(run: &Run) -> &[Window] {
    run.stages.iter().rev().map(|stage| stage.windows().last()).find(|windows| !windows.is_empty()).unwrap_or_default()
}

fn sum<'a>(windows: impl Iterator<Item = &'a Window>, field: fn(&Window) -> u64) -> u64 {
    windows.map(field).sum()
}

fn open(window: &Window) -> u64 {
    window.open.iter().sum()
}

fn held(window: &Window) -> u64 {
    window.held.iter().sum()
}

/// Failures before the upgrade; what was retried with another port is none.
fn failed(window: &Window) -> u64 {
    let counts = |failure: &&Failure| failure.at != FailedAt::Open && !failure.reason.is_retried();
    window.failures.iter().filter(counts).map(|failure| failure.count).sum()
}

fn latency<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Result<Latency> {
    Ok(histogram::latency(&histogram::merge(parts)?))
}

fn addresses(options: &Options, preflight: &Preflight, run: &Run) -> Vec<AddressUsed> {
    let mut index = 0;
    let with_open = preflight.addresses.iter().map(|address| {
        let mut open = 0;
        if address.resolved.used {
            open = last(run).iter().filter_map(|window| window.open.get(index)).sum();
            index += 1;
        }
        let url = options.places[address.place].shown.clone();
        AddressUsed { url, address: address.resolved.clone(), open }
    });
    with_open.collect()
}

fn connections(options: &Options, run: &Run) -> Connections {
    let mut before = 0;
    let mut requested = 0;
    for stage in &options.stages {
        requested += u64::from(stage.to.saturating_sub(before));
        before = stage.to;
    }
    let ended = last(run);
    let mut connections = Connections {
        requested,
        due: sum(all(run), |window| window.due),
        issued: sum(all(run), |window| window.issued),
        opened: sum(all(run), |window| window.opened),
        failed: sum(all(run), failed),
        lost: sum(all(run), |window| window.lost),
        peak: run.peak,
        open: sum(ended.iter(), open),
        held: sum(ended.iter(), held),
    };
    // A worker that died reported no window; its last states are all that is known.
    if matches!(run.ended, Ended::GeneratorFailed(_)) {
        connections.due = connections.due.max(run.last.due);
        connections.issued = connections.issued.max(run.last.issued);
        connections.failed = connections.failed.max(run.last.failed);
        connections.lost = connections.lost.max(run.last.lost);
        connections.open = run.last.open;
        connections.held = run.last.held;
        let opened = connections.issued.saturating_sub(connections.failed).min(connections.open + connections.lost);
        connections.opened = connections.opened.max(opened);
    }
    connections
}

fn rate(run: &Run) -> Rate {
    let added = |stage: &&StageRun| u64::from(stage.stage.to).saturating_sub(stage.open_before);
    let Some(stage) = run.stages.iter().max_by_key(added) else { return Rate::default() };
    let windows = || stage.opening.iter();
    let from_ns = windows().map(|window| window.from_ns).min().unwrap_or(0);
    let per_second = |count: u64, last_ns: Option<u64>| {
        // The first connect is due at the start, so there is one interval less than connects.
        let passed_s = last_ns.unwrap_or(0).saturating_sub(from_ns) as f64 / 1e9;
        if count > 1 && passed_s > 0.0 { (count - 1) as f64 / passed_s } else { 0.0 }
    };
    Rate {
        requested_per_s: stage.stage.per_second,
        issued_per_s: per_second(
            sum(windows(), |window| window.issued),
            windows().map(|window| window.last_issued_ns).max(),
        ),
        achieved_per_s: per_second(
            sum(windows(), |window| window.opened),
            windows().map(|window| window.last_opened_ns).max(),
        ),
    }
}

/// Length of the windows of all workers, which run side by side, in seconds.
fn seconds(windows: &[Window]) -> f64 {
    let length = |window: &Window| window.to_ns.saturating_sub(window.from_ns);
    windows.iter().map(length).max().unwrap_or(0) as f64 / 1e9
}

fn messages(run: &Run) -> Messages {
    let has_holds = has_holds(run);
    let seconds: f64 =
        run.stages.iter().map(|stage| seconds(if has_holds { &stage.hold } else { &stage.opening })).sum();
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let due = sum(measured(run), |window| window.messages_due);
    let answered = sum(measured(run), |window| window.messages_answered);
    let opening = run.stages.iter().flat_map(|stage| &stage.opening);
    Messages {
        due,
        sent: sum(measured(run), |window| window.messages_sent),
        answered,
        unasked: sum(all(run), |window| window.unasked),
        due_per_s: per_second(due),
        answered_per_s: per_second(answered),
        answered_while_opening: sum(opening, |window| window.messages_answered),
        probes: sum(all(run), |window| window.probes),
        probes_answered: sum(all(run), |window| window.probes_answered),
    }
}

fn errors(run: &Run) -> Vec<ErrorSummary> {
    let mut tallies = BTreeMap::<(FailedAt, &FailureReason), (u64, u64)>::new();
    for failure in all(run).flat_map(|window| &window.failures) {
        let tally = tallies.entry((failure.at, &failure.reason)).or_insert((0, u64::MAX));
        tally.0 += failure.count;
        tally.1 = tally.1.min(failure.first_ns.saturating_sub(run.epoch_ns) / 1_000_000);
    }
    let mut errors: Vec<_> = tallies
        .into_iter()
        .map(|((at, reason), (count, first_ms))| ErrorSummary {
            hint: hints::hint(at, reason),
            tally: FailureTally { at, reason: reason.clone(), count, first_ms },
        })
        .collect();
    errors.sort_by_key(|error| std::cmp::Reverse(error.tally.count));
    errors
}

fn stage(stage: &StageRun) -> Result<StageSummary> {
    let windows = stage.windows();
    Ok(StageSummary {
        to: stage.stage.to,
        rate_per_s: stage.stage.per_second,
        hold_s: stage.stage.hold.as_secs_f64(),
        opened: sum(windows.all(), |window| window.opened),
        open: sum(windows.last().iter(), open),
        held: sum(windows.last().iter(), held),
        lost: sum(windows.all(), |window| window.lost),
        failed: sum(windows.all(), failed),
        messages_due: sum(windows.measured(), |window| window.messages_due),
        messages_answered: sum(windows.measured(), |window| window.messages_answered),
        reply: latency(windows.measured().map(|window| &window.reply))?,
        probes: sum(windows.all(), |window| window.probes),
        probes_answered: sum(windows.all(), |window| window.probes_answered),
        probe: latency(windows.all().map(|window| &window.probe))?,
        held_to_its_end: !stage.hold.is_empty(),
    })
}

fn own(run: &Run) -> Result<Own> {
    let cost = run.cost.as_ref();
    let busiest = cost.and_then(Cost::busiest_worker_ratio);
    let mut limited_by = Vec::new();
    for stage in &run.stages {
        for reason in client_limits::signs(&as_step(stage, run.epoch_ns)?, busiest) {
            let reason = reason.to_string();
            if !limited_by.contains(&reason) {
                limited_by.push(reason);
            }
        }
    }
    Ok(Own {
        workers: run.workers.clone(),
        cpu_s: cost.and_then(Cost::cpu_s),
        cpu_ratio: cost.and_then(Cost::cpu_ratio),
        busiest_worker_ratio: busiest,
        memory_bytes: cost.and_then(Cost::peak_bytes),
        memory_per_connection_bytes: cost.and_then(Cost::bytes_per_connection),
        lag: latency(all(run).map(|window| &window.lag))?,
        limited_by,
        statement: String::new(),
    })
}

/// A stage in the form that the rules for the generator's own limits read.
fn as_step(stage: &StageRun, epoch_ns: u64) -> Result<wsceiling_model::record::StepRecord> {
    let frame = Frame {
        kind: wsceiling_model::record::StepKind::Staircase,
        launch: 0,
        target: stage.stage.to,
        per_second: stage.stage.per_second,
        epoch_ns,
        started_ms: 0.0,
        opened_ms: 0.0,
        probe_from_ms: None,
        ended_ms: 0.0,
        storm: None,
    };
    // No rule reads the gates, which a stage does not have.
    step::record(frame, stage.windows(), wsceiling_model::matrix::Gates::default())
}

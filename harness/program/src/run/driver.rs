//! Drives a step on the real generator: connections come or go, are held, asked whether they are, and become a row; what ends meanwhile is seen.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::agreement;
use super::runner::TrialRunner;
use super::search::LoadDriver;
use super::watching;
use wsceiling_generator::coordinator::{Generator, Observer, Watching, Windows};
use wsceiling_generator::failure_stop::{FailureStop, Stopped};
use wsceiling_generator::{ipc, step};
use wsceiling_model::matrix::Phase;
use wsceiling_model::record::{
    Component, Event, EventKind, FailedAt, FailureReason, FailureTally, Metric, StepKind, StepRecord,
};

/// How long the ends of connections may take to arrive after the last instance has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl LoadDriver for TrialRunner<'_> {
    async fn step(&mut self, kind: StepKind, phase: Phase) -> Result<StepRecord> {
        let driven = self.drive(kind, phase).await;
        if let Some(lost) = driven.as_ref().err().and_then(|error| error.downcast_ref()) {
            let t_ms = self.setup.now_ms();
            let event = self.load_side.event_of(lost, t_ms).await;
            self.servers.events.push(event);
        }
        driven
    }

    async fn restart(&mut self) -> Result<()> {
        Ok(self.relaunch().await?)
    }

    fn is_client_limited(&self, failed: &StepRecord) -> bool {
        !self.client_limits_in(failed).is_empty()
    }

    fn ended_early(&self) -> bool {
        self.ended_early
    }

    async fn rest(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

impl TrialRunner<'_> {
    async fn drive(&mut self, kind: StepKind, phase: Phase) -> Result<StepRecord> {
        let Self { setup, sampler, servers, load_side, .. } = self;
        let generator = load_side.generator.as_mut().context("the generator is not running")?;
        let (busiest, far) = (&mut load_side.busiest, load_side.far);
        busiest.begin_step();
        let mut all_gone: Option<Instant> = None;
        let may_fail = setup.target().remote.as_ref().map(|remote| remote.stop_at_failures);
        let mut failures = FailureStop::new(may_fail, &generator.status());
        let started_ms = setup.now_ms();
        servers.mark_logs(started_ms);
        let mut observe = |status: &ipc::Status| {
            watching::push_status(sampler, status);
            if far {
                watching::push_usage(sampler, status);
                busiest.saw(status.usage.and_then(|usage| usage.core_ratio));
            } else {
                busiest.saw(sampler.latest(Component::Generator, Metric::BusiestThread));
            }
            if let Some(Stopped { failed, issued }) = failures.look(status) {
                let what = EventKind::OpenedNoMore { failed, issued };
                servers.events.push(Event { t_ms: setup.now_ms(), component: None, what });
            }
            if !servers.note_exits() {
                return if failures.stopped { Watching::OpenNoMore } else { Watching::GoOn };
            }
            let since = *all_gone.get_or_insert_with(Instant::now);
            if since.elapsed() < LAST_WORDS { Watching::GoOn } else { Watching::GiveUp }
        };
        let (opening, storm) = open_or_close(generator, phase, &mut observe).await?;
        let opened_ms = setup.now_ms();
        let hold = generator.hold(phase.hold, &mut observe).await?;
        let probe_from_ms = setup.now_ms();
        let within = generator.probe_within(phase.hold, phase.per_second);
        let probe = generator.probe(within, &mut observe).await?;
        self.ended_early = failures.stopped;
        let frame = step::Frame {
            kind,
            launch: self.launch,
            target: phase.to,
            per_second: phase.per_second,
            epoch_ns: self.epoch_ns,
            started_ms,
            opened_ms,
            probe_from_ms: Some(probe_from_ms),
            ended_ms: setup.now_ms(),
            storm,
        };
        let windows = step::StepWindows { opening: &opening.workers, hold: &hold.workers, probe: &probe.workers };
        let mut record = step::record(frame, windows, setup.matrix.load.gates)?;
        count_abandoned(&mut record, opening.abandoned + hold.abandoned + probe.abandoned);
        record.upstream_spread = agreement::upstream_spread(servers.fronts()).await;
        busiest.end_step(record.passed);
        self.contradictions.extend(agreement::contradictions(setup, servers, sampler, &record));
        Ok(record)
    }
}

/// Lets connections come or go until there are as many as the phase wants.
async fn open_or_close(
    generator: &mut Generator,
    phase: Phase,
    observe: &mut Observer<'_>,
) -> Result<(Windows, Option<step::StormFrame>)> {
    let Some(jitter) = phase.storm else {
        let windows = if generator.open() > u64::from(phase.to) {
            generator.shrink_to(phase.to, phase.per_second, observe).await?
        } else {
            generator.open_to(phase.to, phase.per_second, observe).await?
        };
        return Ok((windows, None));
    };
    let begun = Instant::now();
    let dropped = generator.open();
    generator.close_to(0, observe).await?;
    let closing_ms = begun.elapsed().as_secs_f64() * 1000.0;
    let windows = generator.reconnect(phase.to, jitter, observe).await?;
    Ok((windows, Some(step::StormFrame { dropped, closing_ms, jitter })))
}

/// Connections to instances that are gone, whose end the client's kernel was never told (a container takes its address
/// with it), are lost like the others.
fn count_abandoned(record: &mut StepRecord, count: u64) {
    if count > 0 {
        record.lost += count;
        let first_ms = record.ended_ms as u64;
        record.errors.push(FailureTally { at: FailedAt::Open, reason: FailureReason::NoInstanceLeft, count, first_ms });
    }
}

//! One step: connections come or go, are held, and become a row; what happens meanwhile is seen.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{Climber, median, words};
use crate::run::fronted;
use crate::run::staircase::Stairs;
use wsceiling_generator::coordinator::{self, Generator, Watching, Windows};
use wsceiling_generator::{ipc, step};
use wsceiling_launch::Group;
use wsceiling_machine::sample::Sampler;
use wsceiling_model::matrix::Phase;
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::{
    Component, Event, FailedAt, FailureReason, FailureTally, Metric, StepKind, StepRecord, client,
};

/// How long the ends of connections may take to arrive after the last instance has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Stairs for Climber<'_> {
    async fn step(&mut self, kind: StepKind, phase: Phase) -> Result<StepRecord> {
        let load = &self.context.matrix.load;
        let generator = self.generator.as_mut().ok_or_else(|| anyhow!("the generator is not running"))?;
        let group = self.group.as_mut().ok_or_else(|| anyhow!("no instance is running"))?;
        let fronts = &mut self.fronts;
        let (sampler, events, ratios) = (&self.sampler, &mut self.events, &mut self.worker_ratios);
        ratios.clear();
        let mut all_gone: Option<Instant> = None;
        let mut observe = |status: &ipc::Status| {
            push(sampler, status);
            ratios.extend(sampler.latest(Component::Generator, Metric::BusiestThread));
            if let Some(fronts) = fronts {
                fronted::note_exits(fronts, events);
            }
            if !note_exits(group, events) {
                return Watching::GoOn;
            }
            let since = *all_gone.get_or_insert_with(Instant::now);
            if since.elapsed() < LAST_WORDS { Watching::GoOn } else { Watching::GiveUp }
        };
        let now_ms = || self.epoch.elapsed().as_secs_f64() * 1000.0;
        let started_ms = now_ms();
        let (opening, storm) = change(generator, phase, &mut observe).await?;
        let opened_ms = now_ms();
        let hold = generator.hold(phase.hold, &mut observe).await?;
        let frame = step::Frame {
            kind,
            launch: self.launch,
            target: phase.to,
            per_second: phase.per_second,
            epoch_ns: self.epoch_ns,
            started_ms,
            opened_ms,
            ended_ms: now_ms(),
            storm,
        };
        let mut record = step::record(frame, &opening.workers, &hold.workers, load.gates)?;
        count_abandoned(&mut record, opening.abandoned + hold.abandoned);
        if let Some(fronts) = &self.fronts {
            record.upstream_spread = fronted::upstream_spread(fronts).await;
        }
        if !record.passed && self.failed_ratio.is_none() {
            self.failed_ratio = median(&self.worker_ratios);
        }
        self.compare_with_kernel(&record);
        Ok(record)
    }

    async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.launch += 1;
        self.events.push(Event {
            t_ms: self.now_ms(),
            component: None,
            what: "relaunched to narrow the bracket".into(),
        });
        let trial = self.context.trial.clone();
        self.start().await.map_err(|failure| {
            let row = failure.into_row(&trial);
            anyhow!(row.reason.unwrap_or_default())
        })
    }

    fn client_limited(&self, failed: &StepRecord) -> bool {
        !client::limits(failed, self.ended_in(failed)).is_empty()
    }
}

impl Climber<'_> {
    /// Whether the kernel of each server agrees with the client's count of open connections.
    fn compare_with_kernel(&mut self, step: &StepRecord) {
        if !step.passed || self.context.cell.scenario == Scenario::Churn {
            return;
        }
        if self.fronts.is_some() {
            let (open, onwards) = (step.open, step.upstream_spread.iter().sum::<u64>());
            if !step.upstream_spread.is_empty() && (onwards as f64) < open as f64 * 0.99 - 5.0 {
                self.contradictions.push(format!(
                    "the generator counts {open} open connections, the front has only {onwards} to the instances"
                ));
            }
            return;
        }
        // The kernel counts TCP connections only.
        if self.group.iter().flat_map(Group::instances).any(|instance| instance.socket.is_some()) {
            return;
        }
        for (index, &open) in step.spread.iter().enumerate() {
            let component = Component::Instance(index as u32);
            let Some(established) = self.sampler.latest(component, Metric::Established) else { continue };
            if established < open as f64 * 0.99 - 5.0 {
                self.contradictions.push(format!(
                    "the generator counts {open} open connections to instance {index}, its kernel only {established}"
                ));
            }
        }
    }
}

/// Lets connections come or go until there are as many as the phase wants.
async fn change(
    generator: &mut Generator,
    phase: Phase,
    observe: &mut coordinator::Observer<'_>,
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

/// Adds the generator's own numbers to its next sample.
fn push(sampler: &Sampler, status: &ipc::Status) {
    sampler.push(
        Component::Generator,
        vec![
            (Metric::Open, status.open as f64),
            (Metric::Held, status.held as f64),
            (Metric::Due, status.due as f64),
            (Metric::Issued, status.issued as f64),
            (Metric::Failed, status.failed as f64),
            (Metric::Lost, status.lost as f64),
            (Metric::Lag, status.lag_us_max as f64),
        ],
    );
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

/// Writes down each end of an instance once, when it is first seen; says whether all have ended.
fn note_exits(group: &mut Group, events: &mut Vec<Event>) -> bool {
    let exits = group.exits();
    let all = !exits.is_empty() && exits.iter().all(Option::is_some);
    for (index, exit) in exits.into_iter().enumerate() {
        let Some(exit) = exit else { continue };
        let event = Event {
            t_ms: exit.t_ms,
            component: Some(Component::Instance(index as u32)),
            what: format!("the instance ended: {}", words(&exit)),
        };
        if !events.contains(&event) {
            events.push(event);
        }
    }
    all
}

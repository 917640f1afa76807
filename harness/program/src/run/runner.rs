//! The parts of a running trial, and their order of coming and going: instances, front, generator, and back.

use std::time::Duration;

use anyhow::Result;

use super::headroom;
use super::load_side::LoadSide;
use super::long_side::LongSide;
use super::remote_metrics::RemoteMetrics;
use super::row::{self, StartFailure};
use super::search::Found;
use super::servers::Servers;
use super::setup::TrialSetup;
use super::watching;
use wsceiling_generator::coordinator;
use wsceiling_machine::sample::{Sampled, Sampler};
use wsceiling_model::record::{
    ClientLimit, Component, Contradiction, Event, EventKind, GeneratorRecord, HeadroomRecord, Reason, Sample,
    StepRecord, TrialRecord, client_limits,
};

/// The parts of a running trial.
pub struct TrialRunner<'a> {
    pub(super) setup: TrialSetup<'a>,
    /// Start of the trial on the generator's clock.
    pub(super) epoch_ns: u64,
    pub(super) sampler: Sampler,
    pub(super) servers: Servers,
    pub(super) load_side: LoadSide,
    pub(super) long: LongSide,
    metrics: RemoteMetrics,
    /// Launches so far, less one: each step of narrowing has a launch of its own.
    pub(super) launch: u32,
    /// So many connects of the last step failed that no more were made.
    pub(super) ended_early: bool,
    pub(super) contradictions: Vec<Contradiction>,
}

impl<'a> TrialRunner<'a> {
    /// Nothing is launched yet; the machine itself is sampled from here on.
    pub fn new(setup: TrialSetup<'a>) -> Self {
        Self {
            epoch_ns: coordinator::monotonic_ns().saturating_sub(setup.epoch.elapsed().as_nanos() as u64),
            sampler: Sampler::start_on(own_machine(&setup), setup.matrix.run.sample_every, setup.epoch, Vec::new()),
            servers: Servers::default(),
            load_side: LoadSide::default(),
            long: LongSide::default(),
            metrics: RemoteMetrics::default(),
            launch: 0,
            ended_early: false,
            contradictions: Vec::new(),
            setup,
        }
    }

    /// Launches the instances and verifies each, then the front and the target through it, then starts the generator.
    pub async fn start(&mut self) -> Result<(), StartFailure> {
        let Self { setup, servers, load_side, long, launch, metrics, .. } = self;
        servers.launch(setup, *launch).await?;
        metrics.start(setup, &self.sampler).await?;
        self.sampler.replace(watching::watches(servers, load_side));
        servers.verify(setup).await?;
        servers.start_front(setup, *launch).await?;
        self.sampler.replace(watching::watches(servers, load_side));
        let started = load_side.start(setup, *launch, servers).await;
        started.map_err(|error| StartFailure::generator(&error))?;
        long.start(setup, *launch, servers).await;
        self.sampler.replace(watching::watches(servers, load_side));
        watching::wait_for_first_sample(&self.sampler).await;
        self.sampler.check().map_err(|error| StartFailure::sampler(&error))
    }

    /// Starts everything anew, with no connection.
    pub(super) async fn relaunch(&mut self) -> Result<(), StartFailure> {
        // Somebody else's server goes on, and so do the connections beside the load.
        if self.servers.remote().is_none() {
            self.long.stop(&self.setup, self.epoch_ns, Duration::ZERO).await;
        }
        self.load_side.remember(self.setup.placement, &self.servers);
        self.load_side.stop(&self.setup).await;
        self.servers.stop().await;
        self.launch += 1;
        let t_ms = self.setup.now_ms();
        let what = if self.servers.remote().is_some() { EventKind::Reconnected } else { EventKind::Relaunched };
        self.servers.events.push(Event { t_ms, component: None, what });
        self.start().await
    }

    /// Why the first step that failed says nothing about the server; empty: it may say something.
    pub fn client_limits(&self, found: &Found) -> Vec<ClientLimit> {
        found.first_failed().map_or_else(Vec::new, |step| self.client_limits_in(step))
    }

    pub(super) fn client_limits_in(&self, failed: &StepRecord) -> Vec<ClientLimit> {
        client_limits::limits(failed, self.servers.ended_in(failed))
    }

    /// Counts that should agree and do not.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        self.contradictions.clone()
    }

    /// What the record says of the generator, where it ran. If it was not started anew, that is the one before.
    pub fn generator_record(&self, reason: Option<&Reason>) -> Option<GeneratorRecord> {
        let limited_by = match reason {
            Some(Reason::ClientLimited { limits }) => limits.clone(),
            _ => Vec::new(),
        };
        self.load_side.record(self.setup.placement, &self.servers, limited_by)
    }

    /// What the same client opens elsewhere, where the trial ended on a plateau; the generator and the front are stopped
    /// for it. What cannot be asked is absent: it is a question beside the trial.
    pub async fn headroom(&mut self, found: &Found) -> Option<HeadroomRecord> {
        let failed = found.first_failed()?;
        let asked = headroom::is_open(failed, self.servers.ended_in(failed))
            // Without its cgroup it would be another client.
            && self.setup.matrix.load.generator.cpus.is_none();
        if !asked {
            return None;
        }
        self.sampler.replace(Vec::new());
        self.long.stop(&self.setup, self.epoch_ns, Duration::ZERO).await;
        self.load_side.stop(&self.setup).await;
        let direct = if self.servers.fronts().is_some() {
            self.servers.stop_front().await;
            headroom::direct(&self.setup, &self.servers, self.launch, failed).await
        } else {
            None
        };
        self.servers.stop().await;
        let sink = headroom::sink(&self.setup, self.launch, failed).await;
        (sink.is_some() || direct.is_some()).then_some(HeadroomRecord { sink, direct })
    }

    /// Keeps the connections beside the load for as long as the matrix asks, where it asks; those of the load are closed for it.
    pub async fn stay(&mut self) {
        let stay = LongSide::wanted(&self.setup).map_or(Duration::ZERO, |long| long.stay);
        if !stay.is_zero() {
            self.load_side.stop(&self.setup).await;
            self.long.stop(&self.setup, self.epoch_ns, stay).await;
        }
    }

    /// Stops everything and adds to the row what was seen of it; returns all samples.
    pub async fn finish(mut self, record: &mut TrialRecord) -> Vec<Sample> {
        self.stop().await;
        let seen = self.metrics.stop().await;
        let sampled = self.sampler.stop().unwrap_or_else(|error| {
            row::unsampled(record, &error);
            Sampled::default()
        });
        let Servers { mut instances, front_records, mut events, .. } = self.servers;
        row::add_ends(&mut instances, &seen.events);
        events.extend(seen.events);
        events.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        record.instances = instances;
        record.fronts = front_records;
        record.events = events;
        record.sources = sampled.sources;
        record.last_close_ms = self.load_side.last_close_ms;
        record.long = self.long.record;
        record.warnings.extend(self.long.warning);
        record.warnings.extend(seen.warnings);
        row::add_unenforced(record);
        sampled.samples
    }

    /// Ends the generator, then the front and the instances.
    async fn stop(&mut self) {
        self.long.stop(&self.setup, self.epoch_ns, Duration::ZERO).await;
        self.load_side.stop(&self.setup).await;
        self.servers.stop().await;
    }
}

/// The name of the harness's own machine: beside a remote target, `host` is that of the server.
fn own_machine(setup: &TrialSetup<'_>) -> Component {
    if setup.target().remote.is_some() { Component::ClientHost } else { Component::Host }
}

/// Time that instances and fronts, processes and containers alike, get between SIGTERM and SIGKILL. `docs/targets.md`
/// states it.
pub const GRACE: Duration = Duration::from_millis(500);

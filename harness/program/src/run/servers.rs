//! The server side of a trial: the instances and the front before them, and what the record says of both.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;

use super::front_records;
use super::remote::{self, RemoteServers};
use super::row::StartFailure;
use super::runner::GRACE;
use super::setup::TrialSetup;
use super::verify::{self, VerifyError};
use wsceiling_generator::coordinator::RemoteClient;
use wsceiling_launch::{Fronts, Group, Launched, log_tail};
use wsceiling_model::record::{Component, Event, EventKind, Exit, FrontRecord, InstanceRecord, LogSign, StepRecord};

/// Lines of a log that a record keeps.
pub(super) const TAIL_LINES: usize = 20;
/// Time between two looks at whether something has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Instances and front, running or not, and all of them that ever ran in the trial.
#[derive(Default)]
pub struct Servers {
    group: Option<Group>,
    /// The servers of a remote target, which nobody here starts or stops.
    remote: Option<RemoteServers>,
    fronts: Option<Fronts>,
    pub(super) instances: Vec<InstanceRecord>,
    pub(super) front_records: Vec<FrontRecord>,
    pub(super) events: Vec<Event>,
    /// Moments of the running launch, and the bytes in the log of each instance then.
    log_marks: Vec<(f64, Vec<u64>)>,
}

impl Servers {
    /// Launches the instances. They run then, and need not listen yet.
    pub async fn launch(&mut self, setup: &mut TrialSetup<'_>, launch: u32) -> Result<(), StartFailure> {
        if let Some(target) = &setup.target().remote {
            // The connections of the trial before are on their way out.
            tokio::time::sleep(target.settle).await;
            self.remote = Some(RemoteServers::find(setup, target).await?);
            self.instances.extend(remote::records(target, launch));
            return Ok(());
        }
        let group = setup.launcher.launch(&setup.launch(launch)).await?;
        let record = |instance: &Launched| instance_record(instance, launch, setup);
        self.instances.extend(group.instances().iter().map(record));
        self.group = Some(group);
        self.log_marks.clear();
        Ok(())
    }

    /// Remembers how long the logs are, so that it is known later which lines were written after this moment.
    pub fn mark_logs(&mut self, now_ms: f64) {
        self.log_marks.extend(self.group.as_ref().map(|group| (now_ms, group.log_lengths())));
    }

    /// Waits until each instance is ready, and verifies it; an instance that ends fails the trial at once.
    pub async fn verify(&mut self, setup: &TrialSetup<'_>) -> Result<(), StartFailure> {
        if let Some(remote) = &self.remote {
            return remote.verify(setup).await;
        }
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let within = setup.matrix.run.ready_within;
        let endpoints: Vec<_> = group.instances().iter().map(Launched::endpoint).collect();
        let check = |endpoint| verify::verify(endpoint, setup.target(), within, std::future::pending());
        let all = join_all(endpoints.into_iter().map(check));
        tokio::pin!(all);
        let failure = |group: &Group, index: usize, error: &VerifyError| {
            let tail = group.log_tail(index, TAIL_LINES);
            Err(StartFailure::not_verified(Component::Instance(index as u32), error, tail))
        };
        let results = loop {
            tokio::select! {
                results = &mut all => break results,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let ended = group.exits().into_iter().enumerate().find_map(|(index, exit)| Some((index, exit?)));
                    if let Some((index, exit)) = ended {
                        // A last look at what it wrote: the log may still be on its way.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        return failure(group, index, &VerifyError::Exited(exit));
                    }
                }
            }
        };
        for (index, result) in results.into_iter().enumerate() {
            if let Err(error) = result {
                return failure(group, index, &error);
            }
        }
        Ok(())
    }

    /// Starts the front, where the cell has one, and verifies the target through it.
    pub async fn start_front(&mut self, setup: &mut TrialSetup<'_>, launch: u32) -> Result<(), StartFailure> {
        let Some(group) = &self.group else { return Ok(()) };
        let launched = setup.launcher.launch_front(&setup.launch(launch), group.instances()).await;
        let Some(mut fronts) = launched.map_err(StartFailure::front)? else { return Ok(()) };
        self.front_records.extend(front_records::records(&fronts, launch, setup.logs.parent()));
        let within = setup.matrix.run.ready_within;
        let mut verified = Ok(());
        for address in fronts.destinations().to_vec() {
            let check = verify::verify_front(address, setup.target(), within, first_exit(&mut fronts)).await;
            verified = verified.and(check.map(drop));
        }
        let tail = || fronts.hops().flat_map(|hop| log_tail(&hop.launched.log, TAIL_LINES)).collect();
        let verified = verified.map_err(|error| StartFailure::not_verified(Component::Front(0), &error, tail()));
        self.fronts = Some(fronts);
        verified
    }

    /// The instances that run.
    pub fn running(&self) -> impl Iterator<Item = &Launched> {
        self.group.iter().flat_map(Group::instances)
    }

    /// The front, while it runs.
    pub fn fronts(&self) -> Option<&Fronts> {
        self.fronts.as_ref()
    }

    /// Addresses of the instances, whether or not a front stands before them.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running().map(|instance| instance.address).collect()
    }

    /// The servers of a remote target, once they are found.
    pub fn remote(&self) -> Option<&RemoteServers> {
        self.remote.as_ref()
    }

    /// What the generator is told beside the addresses; `None`: nothing.
    pub fn client(&self, setup: &TrialSetup<'_>) -> Option<RemoteClient> {
        match (&self.remote, &setup.target().remote) {
            (Some(found), Some(target)) => Some(found.client(setup, target)),
            _ => remote::started_client(setup),
        }
    }

    /// Addresses that the generator connects to: of the front, or else of the instances.
    pub fn destinations(&self) -> Vec<SocketAddr> {
        if let Some(remote) = &self.remote {
            return remote.destinations();
        }
        let of_instances = || self.running().map(Launched::load_address).collect();
        self.fronts.as_ref().map_or_else(of_instances, Fronts::load_destinations)
    }

    /// Unix-domain sockets that instances listen on, in the place of addresses.
    pub fn sockets(&self) -> Vec<PathBuf> {
        self.running().filter_map(|instance| instance.socket.clone()).collect()
    }

    /// Writes down each end once, when it is first seen; says whether all instances have ended.
    pub fn note_exits(&mut self) -> bool {
        self.group.iter().for_each(Group::free_logs);
        self.fronts.iter().for_each(Fronts::free_logs);
        let ends = self.fronts.as_mut().map(Fronts::exits).unwrap_or_default();
        for (hop, exit) in self.fronts.iter().flat_map(Fronts::hops).zip(ends) {
            let Some(exit) = exit.filter(|exit| !exit.requested) else { continue };
            let component = Some(Component::Front(hop.launched.index));
            let what = EventKind::FrontEnded { front: hop.kind, exit: exit.clone() };
            note(&mut self.events, Event { t_ms: exit.t_ms, component, what });
        }
        let ends = self.group.as_mut().map(Group::exits).unwrap_or_default();
        let all = !ends.is_empty() && ends.iter().all(Option::is_some);
        for (index, exit) in (0..).zip(ends) {
            let Some(exit) = exit else { continue };
            let (t_ms, component) = (exit.t_ms, Some(Component::Instance(index)));
            note(&mut self.events, Event { t_ms, component, what: EventKind::InstanceEnded { exit } });
        }
        all
    }

    /// Whether an instance or the front ended by itself in a step.
    pub fn ended_in(&self, step: &StepRecord) -> bool {
        let within = step.started_ms..=step.ended_ms;
        let ends = |what: &EventKind| matches!(what, EventKind::InstanceEnded { .. } | EventKind::FrontEnded { .. });
        self.events.iter().any(|event| ends(&event.what) && within.contains(&event.t_ms))
    }

    /// Ends the front, then the instances.
    pub async fn stop(&mut self) {
        self.stop_front().await;
        let Some(mut group) = self.group.take() else { return };
        let exits = group.stop(GRACE).await;
        let first = self.instances.len() - exits.len().min(self.instances.len());
        for (index, (record, exit)) in self.instances[first..].iter_mut().zip(exits).enumerate() {
            let by_itself = exit.as_ref().is_some_and(|exit| !exit.requested);
            record.exit = exit;
            let marks: Vec<u64> = self.log_marks.iter().filter_map(|(_, bytes)| bytes.get(index)).copied().collect();
            let sign = |(passed, line): (usize, String)| LogSign {
                line,
                after_ms: passed.checked_sub(1).and_then(|last| self.log_marks.get(last)).map(|(t_ms, _)| *t_ms),
            };
            record.log_signs = group.log_signs(index, &marks).into_iter().map(sign).collect();
            if by_itself {
                record.log_tail = group.log_tail(index, TAIL_LINES);
            }
        }
        group.cut_logs();
    }

    /// Ends the front; the instances go on.
    pub async fn stop_front(&mut self) {
        let Some(mut fronts) = self.fronts.take() else { return };
        let exits = fronts.stop(GRACE).await;
        let first = self.front_records.len() - exits.len().min(self.front_records.len());
        for ((record, hop), exit) in self.front_records[first..].iter_mut().zip(fronts.hops()).zip(exits) {
            front_records::close(record, hop, exit);
        }
        fronts.cut_logs();
    }
}

fn note(events: &mut Vec<Event>, event: Event) {
    if !events.contains(&event) {
        events.push(event);
    }
}

/// Resolves when a hop of the front has ended.
async fn first_exit(fronts: &mut Fronts) -> Exit {
    loop {
        if let Some(exit) = fronts.exits().into_iter().flatten().next() {
            return exit;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The record of an instance that has not ended.
fn instance_record(instance: &Launched, launch: u32, setup: &TrialSetup<'_>) -> InstanceRecord {
    let log = setup.logs.parent().and_then(|folder| instance.log.strip_prefix(folder).ok());
    InstanceRecord {
        index: instance.index,
        launch,
        address: instance.endpoint().to_string(),
        pid: Some(instance.pid),
        container: instance.container.clone(),
        image: instance.image.clone(),
        command: instance.command.clone(),
        binary_sha256: instance.binary_sha256.clone(),
        limits: instance.limits.clone(),
        exit: None,
        log: log.map(|path| path.display().to_string()),
        log_tail: Vec::new(),
        log_signs: Vec::new(),
    }
}

//! Sampling: kernel files of every component are read at a steady beat by a thread of its own.
//!
//! A component's numbers come from its own cgroup where it has one, else from `/proc`; which file gave which number is
//! recorded. What cannot be read, or vanishes with its process or container, is absent from then on: it is never an
//! error. The parts: `component` joins `controllers` (cgroups), `processes` with `threads`, and `network` with
//! `listen`, and for a front `pairs` and `stats`; `host` is the machine; `context` keeps files open between beats; `row` collects.

mod component;
mod context;
mod controllers;
mod diag;
mod host;
mod listen;
mod network;
mod pairs;
mod pressure;
mod processes;
mod row;
mod station;
mod stats;
mod threads;
#[cfg(test)]
pub(crate) mod tree;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::environment::kernel::Kernel;
pub use pairs::connections_to;
use station::Station;
use wsceiling_model::record::{Component, Metric, Sample};

/// A component to sample. There is one watch a component; the host needs none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Which one.
    pub component: Component,
    /// Its processes on the host; children are found by the sampler where there is no cgroup of its own.
    pub pids: Vec<u32>,
    /// Its own cgroup, where it has one.
    pub cgroup: Option<Cgroup>,
    /// More cgroups, where it has several: their numbers are added up.
    pub more: Vec<Cgroup>,
    /// Port that it listens on, for the accept queue; `None`: it does not listen.
    pub listens_on: Option<u16>,
    /// What only a front has.
    pub front: Option<FrontWatch>,
}

/// What is sampled of a front beside what every component has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontWatch {
    /// Addresses that it connects to.
    pub upstreams: Vec<SocketAddr>,
    /// Source ports of each pair of one of its addresses and one of those.
    pub ports_per_pair: Option<u64>,
    /// Where haproxy tells its counters.
    pub stats: Option<SocketAddr>,
}

/// What was sampled, from start to stop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    /// Rows in the order they were read; those of one beat have the same moment.
    pub samples: Vec<Sample>,
    /// Where each number of a component was read: metric name -> source.
    pub sources: BTreeMap<Component, BTreeMap<String, String>>,
    /// CPU time of the sampler's thread; `None`: not known.
    pub own_cpu: Option<Duration>,
}

/// A running sampler. Dropping it ends its thread and throws the samples away.
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Sampled>>,
}

struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// What the sampler's thread and its callers leave for each other.
#[derive(Default)]
struct Desk {
    stop: bool,
    watches: Option<Vec<Watch>>,
    /// A beat is under way.
    sampling: bool,
    pushed: BTreeMap<Component, Vec<(Metric, f64)>>,
    latest: BTreeMap<Component, Vec<(Metric, f64)>>,
}

/// A beat shorter than this would measure itself.
const SHORTEST_BEAT: Duration = Duration::from_millis(5);

impl Sampler {
    /// Starts sampling the host and the watched components: now, then every `every` on absolute deadlines (a missed one
    /// is left out, not made up for), and once more at the stop. Moments count from `epoch`, the trial's start.
    ///
    /// Where no thread can be started, nothing is sampled and [`Sampled`] is empty.
    pub fn start(every: Duration, epoch: Instant, watches: Vec<Watch>) -> Self {
        Self::start_in(Kernel::real(), every, epoch, watches)
    }

    /// [`Self::start`], reading a tree.
    pub fn start_in(kernel: Kernel, every: Duration, epoch: Instant, watches: Vec<Watch>) -> Self {
        let desk = Desk { watches: Some(watches), ..Desk::default() };
        let shared = Arc::new(Shared { desk: Mutex::new(desk), changed: Condvar::new() });
        let every = every.max(SHORTEST_BEAT);
        let run = {
            let shared = Arc::clone(&shared);
            move || shared.run(kernel, every, epoch)
        };
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(run).ok();
        Self { shared, thread }
    }

    /// Samples other components, at once and from then on. A watch that stays the same goes on without a gap.
    pub fn replace(&self, watches: Vec<Watch>) {
        self.shared.lock().watches = Some(watches);
        self.shared.changed.notify_one();
    }

    /// Whether the components that were last asked for have been sampled.
    pub fn has_begun(&self) -> bool {
        let desk = self.shared.lock();
        desk.watches.is_none() && !desk.sampling
    }

    /// Adds numbers that the caller knows to the next row of a component. Of several numbers of one metric the last
    /// counts; of [`Metric::Lag`] the largest.
    pub fn push(&self, component: Component, values: Vec<(Metric, f64)>) {
        let mut desk = self.shared.lock();
        let row = desk.pushed.entry(component).or_default();
        for (metric, value) in values {
            match row.iter_mut().find(|(known, _)| *known == metric) {
                Some((Metric::Lag, largest)) => *largest = largest.max(value),
                Some((_, last)) => *last = value,
                None => row.push((metric, value)),
            }
        }
    }

    /// A number of the last row of a component; `None` where that row does not have it.
    pub fn latest(&self, component: Component, metric: Metric) -> Option<f64> {
        let desk = self.shared.lock();
        let row = desk.latest.get(&component)?;
        row.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }

    /// Takes a last sample and ends.
    pub fn stop(mut self) -> Sampled {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<Sampled> {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        self.thread.take()?.join().ok()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// A panic of another thread leaves the desk as it is; its values stand each for itself.
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sampler's thread.
    fn run(&self, kernel: Kernel, every: Duration, epoch: Instant) -> Sampled {
        let mut station = Station::new(kernel, epoch);
        let mut due = Instant::now();
        loop {
            let (stop, watches, pushed) = self.wait_until(due);
            if let Some(watches) = watches {
                station.replace(watches);
            }
            let latest = station.beat(pushed);
            let mut desk = self.lock();
            desk.latest.extend(latest);
            desk.sampling = false;
            drop(desk);
            if stop {
                let mut sampled = station.finish();
                sampled.own_cpu = own_cpu();
                return sampled;
            }
            // A beat out of turn leaves the grid as it is.
            if Instant::now() >= due {
                due = next_beat(due, every, Instant::now());
            }
        }
    }

    /// Waits for the next beat, or for the stop, and takes what was left on the desk.
    #[expect(clippy::type_complexity, reason = "it is the desk without what goes the other way")]
    fn wait_until(&self, due: Instant) -> (bool, Option<Vec<Watch>>, BTreeMap<Component, Vec<(Metric, f64)>>) {
        let mut desk = self.lock();
        while !desk.stop && desk.watches.is_none() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            desk = self.changed.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        desk.sampling = true;
        (desk.stop, desk.watches.take(), std::mem::take(&mut desk.pushed))
    }
}

/// The first deadline after `now` on the grid of `due`.
fn next_beat(due: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let missed = late.as_nanos() / every.as_nanos().max(1);
    due + every * (u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1)
}

fn own_cpu() -> Option<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

#[cfg(test)]
mod tests;

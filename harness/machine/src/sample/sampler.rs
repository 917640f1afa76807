//! The sampler's thread, and what its callers exchange with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wsceiling_model::record::{Component, Metric, Sample};

use super::sample_loop::SampleLoop;
use super::watch::{Sampled, Watch};
use crate::environment::kernel::Kernel;

/// A running sampler. Dropping it ends its thread and throws the samples away.
pub struct Sampler {
    exchange: Arc<Exchange>,
    thread: Result<JoinHandle<Sampled>, SamplerError>,
}

/// Why there are no samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// The kernel refused the thread: its words.
    #[error("the sampler's thread could not be started: {0}")]
    NotStarted(String),
    /// It panicked.
    #[error("the sampler ended before the trial")]
    Ended,
}

/// [`Shared`], and a wake-up for the sampler's thread.
struct Exchange {
    shared: Mutex<Shared>,
    changed: Condvar,
}

/// What the sampler's thread and its callers leave for each other.
#[derive(Default)]
struct Shared {
    stop: bool,
    watches: Option<Vec<Watch>>,
    /// A tick is under way.
    sampling: bool,
    pushed: BTreeMap<Component, Vec<(Metric, f64)>>,
    /// Whole rows of others.
    told: Vec<ToldRow>,
    latest: BTreeMap<Component, Vec<(Metric, f64)>>,
}

/// A row that somebody else read, at a moment of its own, with the place where each of its numbers was read.
pub(super) struct ToldRow {
    pub(super) sample: Sample,
    pub(super) sources: Vec<(Metric, Arc<str>)>,
}

/// Takes whole rows from elsewhere, for as long as anybody wants; rows that come after the sampler's end are dropped.
#[derive(Clone)]
pub struct Inlet(Arc<Exchange>);

impl Inlet {
    /// Adds a row of a component that the sampler does not read itself, with the place where each number was read.
    pub fn add(&self, sample: Sample, sources: Vec<(Metric, Arc<str>)>) {
        let mut shared = self.0.lock();
        let latest = shared.latest.entry(sample.component).or_default();
        for &(metric, value) in &sample.values {
            match latest.iter_mut().find(|(known, _)| *known == metric) {
                Some((_, last)) => *last = value,
                None => latest.push((metric, value)),
            }
        }
        shared.told.push(ToldRow { sample, sources });
    }
}

/// A tick shorter than this would measure itself.
const SHORTEST_TICK: Duration = Duration::from_millis(5);

impl Sampler {
    /// Starts sampling the host and the watched components: now, then every `every` on absolute deadlines (a missed one
    /// is left out, not made up for), and once more at the stop. Moments count from `epoch`, the trial's start.
    ///
    /// Where no thread can be started, nothing is sampled: [`Self::check`] and [`Self::stop`] say so.
    pub fn start(every: Duration, epoch: Instant, watches: Vec<Watch>) -> Self {
        Self::start_on(Component::Host, every, epoch, watches)
    }

    /// [`Self::start`] where this machine has another name: [`Component::ClientHost`] where the servers run elsewhere, and
    /// [`Component::Host`] is a machine that others tell of.
    pub fn start_on(machine: Component, every: Duration, epoch: Instant, watches: Vec<Watch>) -> Self {
        Self::start_in(Kernel::real(), machine, every, epoch, watches)
    }

    /// [`Self::start_on`], reading a tree.
    pub fn start_in(kernel: Kernel, machine: Component, every: Duration, epoch: Instant, watches: Vec<Watch>) -> Self {
        let shared = Shared { watches: Some(watches), ..Shared::default() };
        let exchange = Arc::new(Exchange { shared: Mutex::new(shared), changed: Condvar::new() });
        let every = every.max(SHORTEST_TICK);
        let run = {
            let exchange = Arc::clone(&exchange);
            move || exchange.run(SampleLoop::new(kernel, machine, epoch), every)
        };
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(run);
        let thread = thread.map_err(|error| SamplerError::NotStarted(error.to_string()));
        Self { exchange, thread }
    }

    /// Samples other components, at once and from then on. A watch that stays the same goes on without a gap.
    pub fn replace(&self, watches: Vec<Watch>) {
        self.exchange.lock().watches = Some(watches);
        self.exchange.changed.notify_one();
    }

    /// Whether the components that were last asked for have been sampled.
    pub fn has_begun(&self) -> bool {
        let shared = self.exchange.lock();
        shared.watches.is_none() && !shared.sampling
    }

    /// Adds numbers that the caller knows to the next row of a component. Of several numbers of one metric the last
    /// counts; of [`Metric::Lag`] the largest.
    pub fn push(&self, component: Component, values: Vec<(Metric, f64)>) {
        let mut shared = self.exchange.lock();
        let row = shared.pushed.entry(component).or_default();
        for (metric, value) in values {
            match row.iter_mut().find(|(known, _)| *known == metric) {
                Some((Metric::Lag, largest)) => *largest = largest.max(value),
                Some((_, last)) => *last = value,
                None => row.push((metric, value)),
            }
        }
    }

    /// Where whole rows from elsewhere come in.
    pub fn inlet(&self) -> Inlet {
        Inlet(Arc::clone(&self.exchange))
    }

    /// A number of the last row of a component; `None` where that row does not have it.
    pub fn latest(&self, component: Component, metric: Metric) -> Option<f64> {
        let shared = self.exchange.lock();
        let row = shared.latest.get(&component)?;
        row.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }

    /// Whether it samples.
    pub fn check(&self) -> Result<(), SamplerError> {
        match &self.thread {
            Ok(thread) if thread.is_finished() => Err(SamplerError::Ended),
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Takes a last sample and ends. An error: there are no samples, or not all.
    pub fn stop(mut self) -> Result<Sampled, SamplerError> {
        self.end()
    }

    fn end(&mut self) -> Result<Sampled, SamplerError> {
        self.exchange.lock().stop = true;
        self.exchange.changed.notify_one();
        std::mem::replace(&mut self.thread, Err(SamplerError::Ended))?.join().map_err(|_| SamplerError::Ended)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Exchange {
    /// A panic of another thread leaves the values as they are; each stands for itself.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sampler's thread.
    fn run(&self, mut sample_loop: SampleLoop, every: Duration) -> Sampled {
        let mut due = Instant::now();
        loop {
            let (stop, watches, pushed) = self.wait_until(due);
            sample_loop.take(std::mem::take(&mut self.lock().told));
            if let Some(watches) = watches {
                sample_loop.replace(watches);
            }
            let latest = sample_loop.tick(pushed);
            let mut shared = self.lock();
            shared.latest.extend(latest);
            shared.sampling = false;
            drop(shared);
            if stop {
                let mut sampled = sample_loop.finish();
                sampled.own_cpu = own_cpu();
                return sampled;
            }
            // A tick out of turn leaves the grid as it is.
            if Instant::now() >= due {
                due = next_tick(due, every, Instant::now());
            }
        }
    }

    /// Waits for the next tick, or for the stop, and takes what the callers left.
    #[expect(clippy::type_complexity, reason = "what the callers left, without what goes the other way")]
    fn wait_until(&self, due: Instant) -> (bool, Option<Vec<Watch>>, BTreeMap<Component, Vec<(Metric, f64)>>) {
        let mut shared = self.lock();
        while !shared.stop && shared.watches.is_none() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            shared = self.changed.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        shared.sampling = true;
        (shared.stop, shared.watches.take(), std::mem::take(&mut shared.pushed))
    }
}

/// The first deadline after `now` on the grid of `due`.
fn next_tick(due: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let missed = late.as_nanos() / every.as_nanos().max(1);
    due + every * (u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1)
}

fn own_cpu() -> Option<Duration> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_without_a_thread_or_with_one_that_panicked_says_so() {
        let with = |thread| {
            let (shared, changed) = (Mutex::new(Shared::default()), Condvar::new());
            Sampler { exchange: Arc::new(Exchange { shared, changed }), thread }
        };
        let never = || SamplerError::NotStarted("Resource temporarily unavailable".into());
        assert_eq!(with(Err(never())).check(), Err(never()));
        assert_eq!(with(Err(never())).stop(), Err(never()));
        let dead = std::thread::spawn(|| std::panic::resume_unwind(Box::new("a reader panicked")));
        while !dead.is_finished() {
            std::thread::yield_now();
        }
        let dead = with(Ok(dead));
        assert_eq!(dead.check(), Err(SamplerError::Ended));
        assert_eq!(dead.stop(), Err(SamplerError::Ended));
        assert_eq!(Sampler::start(Duration::from_secs(9), Instant::now(), Vec::new()).check(), Ok(()));
    }

    #[test]
    fn ticks_stay_on_their_grid_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let every = Duration::from_millis(250);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(next_tick(start, every, at(3)), at(250));
        assert_eq!(next_tick(at(250), every, at(249)), at(500));
        assert_eq!(next_tick(start, every, at(250)), at(500));
        assert_eq!(next_tick(start, every, at(1100)), at(1250));
    }
}

//! The tasks of a trial: one for each source.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use wsceiling_model::record::{Event, Metric, Sample, Warning};

use crate::engine::Engines;
use crate::source::Source;
use crate::track::Track;

/// A row for `samples.csv`, with the place where each number was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The numbers, on the trial's clock.
    pub sample: Sample,
    /// `prometheus http://10.0.0.2:9100/metrics node_filefd_allocated`, without secrets.
    pub sources: Vec<(Metric, Arc<str>)>,
}

/// What came of all sources beside the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scraped {
    /// Restarts, and ends of containers, in the order of their moments.
    pub events: Vec<Event>,
    /// Why numbers are missing, for each source and kind of failure.
    pub warnings: Vec<Warning>,
}

/// Sources that are being read. Dropping it ends that; [`Self::stop`] also tells what happened.
pub struct Scraper {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Track>>,
    /// Sources that were read once.
    begun: Arc<AtomicUsize>,
}

impl Scraper {
    /// Reads each source now and then at its own pace; a missed moment is left out, not made up for. Rows go to `push` when
    /// they are read; their moments count from `epoch`, the trial's start. Needs a tokio runtime.
    pub fn start(
        sources: &[Source],
        epoch: Instant,
        engines: &Arc<dyn Engines>,
        push: impl Fn(Row) + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let push: Arc<dyn Fn(Row) + Send + Sync> = Arc::new(push);
        let begun: Arc<AtomicUsize> = Arc::default();
        let start = |source: &Source| {
            let (engines, push) = (Arc::clone(engines), Arc::clone(&push));
            tokio::spawn(run(source.clone(), epoch, engines, push, Arc::clone(&begun), stopped.clone()))
        };
        Self { tasks: sources.iter().map(start).collect(), stop, begun }
    }

    /// Whether each source was read once, with or without success: what counters are compared with before a load.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed) >= self.tasks.len()
    }

    /// Ends reading at once; a reading that is under way is dropped.
    pub async fn stop(mut self) -> Scraped {
        self.stop.send_replace(true);
        let mut scraped = Scraped::default();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has told nothing; there is none.
            let Ok(track) = task.await else { continue };
            let (events, warnings) = track.finish();
            scraped.events.extend(events);
            scraped.warnings.extend(warnings);
        }
        scraped.events.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
        scraped
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn run(
    source: Source,
    epoch: Instant,
    engines: Arc<dyn Engines>,
    push: Arc<dyn Fn(Row) + Send + Sync>,
    begun: Arc<AtomicUsize>,
    mut stopped: watch::Receiver<bool>,
) -> Track {
    let since = || epoch.elapsed().as_secs_f64() * 1000.0;
    let unix_now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let epoch_unix_s = unix_now_s - epoch.elapsed().as_secs_f64();
    let mut track = Track::new(source.component, source.name.clone(), source.every, epoch_unix_s);
    let mut reader = source.reader(&engines);
    let mut due = tokio::time::Instant::now();
    let mut first = true;
    loop {
        let asked_ms = since();
        let reading = tokio::select! {
            reading = reader.read() => reading,
            () = until(&mut stopped) => return track,
        };
        let now_ms = since();
        // What prints by itself was so when it came.
        let middle_ms = if reader.sets_the_pace() { now_ms } else { f64::midpoint(asked_ms, now_ms) };
        track.take(reading, middle_ms, now_ms).into_iter().for_each(|row| push(row));
        if std::mem::take(&mut first) {
            begun.fetch_add(1, Ordering::Relaxed);
        }
        if reader.sets_the_pace() {
            continue;
        }
        due += source.every * missed(due.elapsed(), source.every);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = until(&mut stopped) => return track,
        }
    }
}

/// Periods from the last deadline to the next one that is still ahead.
fn missed(late: Duration, every: Duration) -> u32 {
    u32::try_from(late.as_nanos() / every.as_nanos().max(1)).unwrap_or(u32::MAX - 1).saturating_add(1)
}

/// Waits for the stop.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // Its sender lives as long as the task is wanted.
    let _ = stopped.wait_for(|&stop| stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_moment_is_left_out() {
        let every = Duration::from_millis(100);
        for (late_ms, periods) in [(0, 1), (99, 1), (100, 2), (350, 4)] {
            assert_eq!(missed(Duration::from_millis(late_ms), every), periods);
        }
    }
}

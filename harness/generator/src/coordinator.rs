//! The coordinator's side of the generator: starts worker processes, gives each its share, and merges what they report.

mod clock;
mod line;
mod long;
mod relate;
mod start;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::AsyncWrite;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use clock::Clock;
use line::Received;
pub use line::{Node, WorkerLine, WorkerLost};
pub use long::LongProbe;
pub use relate::NodeClock;
pub use start::{GeneratorSetup, RemoteClient, place_of_workers, workers_for, workers_needed};

use super::ipc::{Command, Failure, Report, Status, Usage, Window};

/// A worker that lives and does not answer: it gets too little CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker did not answer in time")]
pub struct WorkerSilent;

/// How long past its schedule and timeouts a worker may take to answer before it counts as lost.
const SLACK: Duration = Duration::from_secs(5);

/// How long a worker may take to end.
const END: Duration = Duration::from_secs(2);

/// The running workers.
pub struct Generator {
    workers: Vec<Worker>,
    reports: mpsc::UnboundedReceiver<(usize, Received)>,
    source_addresses: Vec<String>,
    ports_per_pair: u64,
    timeouts: Duration,
    /// Pings so far.
    pings: u64,
    /// Turns true when the workers are to end what is under way.
    stop: Option<watch::Receiver<bool>>,
}

struct Worker {
    index: usize,
    /// Held so that the process is killed when the generator is dropped; `None`: somebody else started it.
    child: Option<Child>,
    commands: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its id on the host; `None`: it is not one of this host's processes.
    pid: Option<u32>,
    /// Where it runs, if it dialled.
    node: Option<Node>,
    /// The addresses that it connects from, if they are its own.
    addresses: Vec<IpAddr>,
    /// How its clock relates to the coordinator's.
    clock: Clock,
    descriptor_limit: u64,
    status: Status,
    open: u64,
}

/// Sees the sum of the workers' states whenever one of them reports; says whether to go on.
pub type Observer<'a> = dyn FnMut(&Status) -> Watching + Send + 'a;

/// What the observer of a window wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// Go on.
    GoOn,
    /// Open no more connections in this window; what is open stays.
    OpenNoMore,
    /// There is no server left: close everything now instead of waiting for every timeout.
    GiveUp,
}

/// What the workers did in one window.
#[derive(Debug, Default)]
pub struct Windows {
    /// One a worker.
    pub workers: Vec<Window>,
    /// Connections that were still open on the client's side when the observer gave up.
    pub abandoned: u64,
}

impl Generator {
    /// Number of workers.
    pub fn workers(&self) -> u32 {
        self.workers.len() as u32
    }

    /// Process ids of the workers that run on this host.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(|worker| worker.pid).collect()
    }

    /// Connections open at the end of the last command.
    pub fn open(&self) -> u64 {
        self.workers.iter().map(|worker| worker.open).sum()
    }

    /// Smallest descriptor limit of the workers.
    pub fn descriptor_limit(&self) -> u64 {
        self.workers.iter().map(|worker| worker.descriptor_limit).min().unwrap_or(0)
    }

    /// Source addresses in use, as text.
    pub fn source_addresses(&self) -> &[String] {
        &self.source_addresses
    }

    /// Source ports of each (source, destination) pair.
    pub fn ports_per_pair(&self) -> u64 {
        self.ports_per_pair
    }

    /// Opens connections until `total` are open, `per_second` of them over all workers. One window a worker.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn open_to(&mut self, total: u32, per_second: f64, observe: &mut Observer<'_>) -> Result<Windows> {
        let shares = shares(total, self.workers.len());
        let missing: Vec<u32> = self
            .workers
            .iter()
            .zip(shares)
            .map(|(worker, share)| share.saturating_sub(worker.open.min(u64::from(u32::MAX)) as u32))
            .collect();
        let count: u32 = missing.iter().sum();
        let start_ns = self.relate_clocks().await?;
        for (worker, &count_here) in self.workers.iter_mut().zip(&missing) {
            let per_second = (per_second * f64::from(count_here) / f64::from(count.max(1))).max(f64::MIN_POSITIVE);
            let start_ns = worker.clock.to_worker(start_ns);
            worker.send(&Command::Open { count: count_here, per_second, start_ns }).await?;
        }
        let scheduled = Duration::from_secs_f64(f64::from(count) / per_second);
        self.windows(scheduled + self.timeouts + SLACK, observe).await
    }

    /// Holds what is open for `length` while the load goes on. One window a worker. [`Self::probe`] completes it.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn hold(&mut self, length: Duration, observe: &mut Observer<'_>) -> Result<Windows> {
        for worker in &mut self.workers {
            worker.send(&Command::Hold { length }).await?;
        }
        self.windows(length + SLACK, observe).await
    }

    /// Asks each open connection once that was not answered in the hold before, so that each is known to be held or not, and
    /// waits for what is unanswered for up to a second. It would take `within` to ask all. One window a worker.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn probe(&mut self, within: Duration, observe: &mut Observer<'_>) -> Result<Windows> {
        for worker in &mut self.workers {
            worker.send(&Command::Probe { within }).await?;
        }
        self.windows(within + SLACK, observe).await
    }

    /// Time in which [`Self::probe`] may ask all that are open after a hold: connections are asked no faster than they were
    /// opened, unless the hold is shorter than that takes.
    pub fn probe_within(&self, hold: Duration, opened_per_second: f64) -> Duration {
        probe_within(self.open(), hold, opened_per_second)
    }

    /// Closes connections with a close frame until `total` are open, `per_second` of them over all workers. One window a
    /// worker.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn shrink_to(&mut self, total: u32, per_second: f64, observe: &mut Observer<'_>) -> Result<Windows> {
        let shares = shares(total, self.workers.len());
        let excess: Vec<u64> =
            self.workers.iter().zip(&shares).map(|(worker, &share)| worker.open.saturating_sub(share.into())).collect();
        let count = excess.iter().sum::<u64>() as f64;
        let start_ns = self.relate_clocks().await?;
        for ((worker, keep), excess) in self.workers.iter_mut().zip(shares).zip(excess) {
            let per_second = (per_second * excess as f64 / count.max(1.0)).max(f64::MIN_POSITIVE);
            let start_ns = worker.clock.to_worker(start_ns);
            worker.send(&Command::Shrink { keep, per_second, start_ns }).await?;
        }
        let scheduled = Duration::from_secs_f64(count / per_second);
        self.windows(scheduled + self.timeouts + SLACK, observe).await
    }

    /// Opens `total` connections, each at a random moment of `jitter` from now. One window a worker.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn reconnect(&mut self, total: u32, jitter: Duration, observe: &mut Observer<'_>) -> Result<Windows> {
        let start_ns = self.relate_clocks().await?;
        let shares = shares(total, self.workers.len());
        for (worker, count) in self.workers.iter_mut().zip(shares) {
            let start_ns = worker.clock.to_worker(start_ns);
            worker.send(&Command::Reconnect { count, jitter, start_ns }).await?;
        }
        self.windows(jitter + self.timeouts + SLACK, observe).await
    }

    /// Closes connections, newest first, until `total` are left.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn close_to(&mut self, total: u32, observe: &mut Observer<'_>) -> Result<()> {
        let shares = shares(total, self.workers.len());
        for (worker, keep) in self.workers.iter_mut().zip(shares) {
            worker.send(&Command::CloseTo { keep }).await?;
        }
        let mut left = self.workers.len();
        while left > 0 {
            match self.next(SLACK).await? {
                (index, Report::Closed { open }) => {
                    self.workers[index].open = open;
                    left -= 1;
                }
                (index, Report::Status(status)) => {
                    self.workers[index].status = status;
                    observe(&self.status());
                }
                (index, Report::Fatal { message }) => bail!("worker {index} failed: {message}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends openings and holds early from the moment that `stop` turns true; they report what they did until then.
    pub fn stop_on(&mut self, stop: watch::Receiver<bool>) {
        self.stop = Some(stop);
    }

    /// From now on nothing is ended early.
    pub fn ignore_stop(&mut self) {
        self.stop = None;
    }

    /// Closes every connection with RST and ends the workers.
    pub async fn quit(mut self) {
        for worker in &mut self.workers {
            // A worker that is gone already has closed its connections too.
            let _ = worker.send(&Command::Quit).await;
        }
        for child in self.workers.iter_mut().filter_map(|worker| worker.child.as_mut()) {
            if tokio::time::timeout(END, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }

    async fn windows(&mut self, within: Duration, observe: &mut Observer<'_>) -> Result<Windows> {
        let mut abandoned = None;
        let mut deadline = tokio::time::Instant::now() + within;
        let mut stopping = false;
        let mut windows: Vec<Option<Window>> = self.workers.iter().map(|_| None).collect();
        while windows.iter().any(Option::is_none) {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let next = if stopping {
                Some(self.next(left).await?)
            } else {
                let mut stop = self.stop.clone();
                tokio::select! {
                    next = self.next(left) => Some(next?),
                    () = is_set(&mut stop) => None,
                }
            };
            let Some(next) = next else {
                stopping = true;
                deadline = tokio::time::Instant::now() + SLACK;
                self.send_all(&Command::Stop).await?;
                continue;
            };
            match next {
                (index, Report::Opened(window) | Report::Held(window) | Report::Probed(window)) => {
                    self.workers[index].open = window.open.iter().sum();
                    windows[index] = Some(*window);
                }
                (index, Report::Status(status)) => {
                    self.workers[index].status = status;
                    let sum = self.status();
                    match observe(&sum) {
                        Watching::GiveUp if abandoned.is_none() => {
                            abandoned = Some(sum.open);
                            self.close_all().await?;
                        }
                        Watching::OpenNoMore if !stopping => {
                            stopping = true;
                            self.send_all(&Command::Stop).await?;
                        }
                        _ => {}
                    }
                }
                (index, Report::Fatal { message }) => bail!("worker {index} failed: {message}"),
                _ => {}
            }
        }
        Ok(Windows { workers: windows.into_iter().flatten().collect(), abandoned: abandoned.unwrap_or(0) })
    }

    /// Closes every connection and ends a running opening; the workers answer with its window.
    async fn close_all(&mut self) -> Result<()> {
        self.send_all(&Command::CloseTo { keep: 0 }).await
    }

    async fn send_all(&mut self, command: &Command) -> Result<()> {
        for worker in &mut self.workers {
            worker.send(command).await?;
        }
        Ok(())
    }

    async fn next(&mut self, within: Duration) -> Result<(usize, Report)> {
        let (index, report, _) = self.next_at(within).await?;
        Ok((index, report))
    }

    /// The next report, and when it arrived.
    async fn next_at(&mut self, within: Duration) -> Result<(usize, Report, u64)> {
        match tokio::time::timeout(within, self.reports.recv()).await {
            Ok(Some((index, Received::Report(mut report, at_ns)))) => {
                self.workers[index].clock.translate(&mut report);
                Ok((index, report, at_ns))
            }
            Ok(Some((index, Received::Ended(why)))) => Err(self.workers[index].lost(why).await),
            Ok(None) => bail!("every worker has ended"),
            Err(_) => bail!(WorkerSilent),
        }
    }

    /// Sum over the workers; the lag is the largest. A worker that has ended has no connections.
    pub fn status(&self) -> Status {
        let usage = self.usage();
        self.workers.iter().fold(Status::default(), |sum, worker| {
            let status = &worker.status;
            Status {
                now_ns: sum.now_ns.max(status.now_ns),
                open: sum.open + status.open,
                held: sum.held + status.held,
                due: sum.due + status.due,
                issued: sum.issued + status.issued,
                failed: sum.failed + status.failed,
                lost: sum.lost + status.lost,
                lag_us_max: sum.lag_us_max.max(status.lag_us_max),
                top_failure: more_frequent(sum.top_failure, status.top_failure.as_ref()),
                reply_us_p99: sum.reply_us_p99.max(status.reply_us_p99),
                usage,
            }
        })
    }

    /// What all workers use together, as they say; `None`: not all of them say.
    fn usage(&self) -> Option<Usage> {
        let all: Option<Vec<Usage>> = self.workers.iter().map(|worker| worker.status.usage).collect();
        all?.into_iter().reduce(Usage::and)
    }
}

/// Waits until the flag is set; forever where there is none.
async fn is_set(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(stop) = stop
        && stop.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// `total` spread over `workers` as evenly as can be.
fn shares(total: u32, workers: usize) -> Vec<u32> {
    let workers = workers.max(1) as u32;
    (0..workers).map(|worker| total / workers + u32::from(worker < total % workers)).collect()
}

/// See [`Generator::probe_within`].
fn probe_within(open: u64, hold: Duration, opened_per_second: f64) -> Duration {
    Duration::try_from_secs_f64(open as f64 / opened_per_second).map_or(hold, |opening| opening.min(hold))
}

/// The failure that happened more often.
fn more_frequent(one: Option<Failure>, other: Option<&Failure>) -> Option<Failure> {
    match (one, other) {
        (Some(one), Some(other)) if one.count >= other.count => Some(one),
        (one, other) => other.cloned().or(one),
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of the machine share.
pub fn monotonic_ns() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_no_faster_than_the_opening_and_no_longer_than_the_hold() {
        let hold = Duration::from_secs(2);
        assert_eq!(probe_within(1000, hold, 1000.0), Duration::from_secs(1));
        assert_eq!(probe_within(5000, hold, 1000.0), hold);
        assert_eq!(probe_within(0, hold, 1000.0), Duration::ZERO);
        assert_eq!(probe_within(5000, hold, 0.0), hold);
    }

    #[test]
    fn shares_add_up_and_differ_by_at_most_one() {
        assert_eq!(shares(10, 3), [4, 3, 3]);
        assert_eq!(shares(2, 3), [1, 1, 0]);
    }
}

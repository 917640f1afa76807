//! As many connections as somebody wants at each moment, until nothing is wanted any more.
//!
//! What failed or was lost is opened again. The workers open in slices of two seconds, so that causes are known soon, and
//! end what they do within a fifth of a second when something else is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit};
use tokio::time::{Instant, sleep, timeout};

use super::options::{Answers, Options};
use super::progress::Progress;
use super::{close, drive, preflight};
use crate::addresses;
use crate::client::{Expect, Payload};
use crate::coordinator::{Generator, Watching};
use crate::ipc::{Status, Window};
use crate::step;
use wsceiling_model::record::{FailedAt, FailureReason, FailureTally, client_limits};

/// Time between two looks at what is wanted.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Length of a slice of an opening.
const SLICE_S: f64 = 2.0;
/// Time between two looks at what was lost, where nothing is to be opened.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Rest after a slice of which no connect succeeded; it doubles from one to the next.
const REST_MIN: Duration = Duration::from_secs(1);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(8);
/// Workers that have not closed everything so long after nothing was wanted are killed.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
/// Most reasons why it did not do what was wanted.
const NOTES: usize = 20;

/// What is wanted at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Connections.
    pub connections: u32,
    /// Most connects per second, above 0.
    pub per_second: f64,
    /// What each connection says; `None`: nothing. Another message closes all connections and opens them anew.
    pub message: Option<Said>,
}

/// What a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Bytes of a message.
    pub bytes: u32,
    /// Time between two of them.
    pub every: Duration,
}

/// Who wants connections, and hears what became of them.
pub trait Keeper: Sync {
    /// What is wanted at this moment; `None`: nothing any more.
    fn wanted(&self) -> Option<Wanted>;
    /// What there is, a few times a second.
    fn hear(&self, kept: &Kept);
}

/// What there is, and was so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Connections that may have been opened by now, at the wanted rate.
    pub granted: u32,
    /// Connections open.
    pub open: u32,
    /// Connects that failed, without those for which this machine itself had no port, descriptor or memory.
    pub failed: u64,
    /// Open connections lost.
    pub lost: u64,
    /// Both by cause, with those of this machine itself; known after each slice.
    pub failures: Vec<FailureTally>,
    /// Why it did not do what was wanted, one line each.
    pub notes: Vec<String>,
}

/// Keeps what is wanted until nothing is any more; `epoch_ns` is the moment on `CLOCK_MONOTONIC` that failures are timed from.
/// The server must have agreed to it: this asks nobody. The workers end with the thread of the runtime that runs it.
pub async fn keep(options: &Options, keeper: &dyn Keeper, epoch_ns: u64) {
    let mut book = Book { keeper, epoch_ns, kept: Kept::default(), lost_before: 0, tallies: BTreeMap::new() };
    while let Some(wanted) = keeper.wanted() {
        if wanted.connections == 0 {
            sleep(LOOK_EVERY).await;
            continue;
        }
        let result = tokio::select! {
            result = hold(options, wanted, &mut book) => result,
            // What is dropped with it kills the workers, and the kernel closes what they had open.
            () = overdue(keeper, CLOSED_WITHIN) => Err(anyhow::anyhow!("a worker did not close its connections in time and was killed")),
        };
        book.ended();
        if let Err(error) = result {
            book.note(format!("{error:#}"));
            let _ = timeout(REST_MAX, changed(keeper, wanted)).await;
        }
    }
}

/// Ends when nothing was wanted for so long that all should be closed.
async fn overdue(keeper: &dyn Keeper, within: Duration) {
    let mut since = Instant::now();
    loop {
        if keeper.wanted().is_some_and(|wanted| wanted.connections > 0) {
            since = Instant::now();
        } else if since.elapsed() >= within {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Starts workers, and keeps what is wanted until that is nothing, or more than these workers can do.
async fn hold(options: &Options, first: Wanted, book: &mut Book<'_>) -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let needed = |wanted: Wanted| drive::workers_needed(wanted.connections, options.workers, hard, cores);
    let workers = needed(first);
    let Some(mut generator) = start(options, first, workers, book.keeper).await? else { return Ok(()) };
    let mut pace = Pace::new();
    // No worker has more than its share of so many.
    let mut most = 0;
    while let Some(wanted) = book.keeper.wanted() {
        if wanted.connections == 0 || wanted.message != first.message || needed(wanted) > workers {
            break;
        }
        let open = narrow(generator.open());
        let windows = if wanted.connections < most {
            let per_second = close::per_second(u64::from(open.saturating_sub(wanted.connections)));
            let mut observe = |status: &Status| book.watch(status, wanted);
            let windows = generator.shrink_to(wanted.connections, per_second, &mut observe).await?;
            most = if book.keeper.wanted() == Some(wanted) { wanted.connections } else { most };
            windows
        } else if open < wanted.connections && pace.may_open() {
            most = wanted.connections;
            let to = pace.slice(open, wanted);
            book.kept.granted = pace.granted;
            let mut observe = |status: &Status| book.watch(status, wanted);
            let windows = generator.open_to(to, wanted.per_second, &mut observe).await?;
            pace.opened(&windows.workers, wanted.per_second);
            windows
        } else {
            generator.hold(pace.look_again(), &mut |status| book.watch(status, wanted)).await?
        };
        pace.granted = pace.granted.min(wanted.connections);
        book.kept.granted = pace.granted;
        book.settle(&windows.workers, &generator);
    }
    close::politely(&mut generator, &Progress::stderr(true)).await;
    generator.quit().await;
    Ok(())
}

/// When how many may be opened.
struct Pace {
    /// Connections that may have been opened by now.
    granted: u32,
    /// When the slice began that is under way, or was.
    began: Instant,
    /// No earlier than this another one.
    next: Instant,
    /// How long it rested after a slice of which no connect succeeded.
    rest: Duration,
}

impl Pace {
    fn new() -> Self {
        let now = Instant::now();
        Self { granted: 0, began: now, next: now, rest: Duration::ZERO }
    }

    fn may_open(&self) -> bool {
        Instant::now() >= self.next
    }

    /// How long to hold what is open.
    fn look_again(&self) -> Duration {
        let left = self.next.saturating_duration_since(Instant::now());
        if left.is_zero() { LOOK_AGAIN } else { left.min(LOOK_AGAIN) }
    }

    /// Begins a slice; how many are to be open after it.
    fn slice(&mut self, open: u32, wanted: Wanted) -> u32 {
        self.began = Instant::now();
        let more = (wanted.per_second * SLICE_S).max(1.0) as u32;
        self.granted = self.granted.max(open).saturating_add(more).min(wanted.connections);
        self.granted.min(open.saturating_add(more))
    }

    /// A slice is over: slices together are no faster than each of them, and a server that refuses all is spared.
    fn opened(&mut self, windows: &[Window], per_second: f64) {
        let sum = |field: fn(&Window) -> u64| windows.iter().map(field).sum::<u64>();
        let (issued, opened) = (sum(|window| window.issued), sum(|window| window.opened));
        self.rest = match (issued, opened) {
            (0, _) | (_, 1..) => Duration::ZERO,
            _ => (self.rest * 2).clamp(REST_MIN, REST_MAX),
        };
        let paced = self.began + Duration::from_secs_f64(issued as f64 / per_second);
        self.next = paced.max(Instant::now() + self.rest);
    }
}

/// Starts that many workers; `None`: something else was wanted meanwhile.
async fn start(options: &Options, wanted: Wanted, workers: u32, keeper: &dyn Keeper) -> Result<Option<Generator>> {
    let mut options = options.clone();
    // Whether the server answers messages is not asked: a ping follows each, which every server answers.
    options.answers = Answers::These(Expect::None);
    if let Some(said) = wanted.message {
        options.every = said.every;
        options.payload = Some(Payload { bytes: vec![b'x'; said.bytes as usize], binary: false });
    }
    let starting = async {
        let preflight = preflight::preflight(&options, &Progress::stderr(true)).await?;
        let (destinations, _) = drive::targets(&preflight);
        let sources = addresses::sources(&destinations, workers, std::process::id());
        let config = drive::config(&options, &preflight, workers);
        let configs = (0..).zip(sources).map(|(worker, sources)| {
            let mut config = config(worker, sources);
            config.client.silent = wanted.message.is_none();
            config
        });
        Generator::configure(configs.collect()).await
    };
    tokio::select! {
        generator = starting => generator.map(Some),
        () = changed(keeper, wanted) => Ok(None),
    }
}

/// Waits until something else is wanted.
async fn changed(keeper: &dyn Keeper, wanted: Wanted) {
    while keeper.wanted() == Some(wanted) {
        sleep(LOOK_EVERY).await;
    }
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What is kept count of.
struct Book<'k> {
    keeper: &'k dyn Keeper,
    epoch_ns: u64,
    kept: Kept,
    /// Lost connections of workers that have ended.
    lost_before: u64,
    tallies: BTreeMap<(FailedAt, FailureReason), (u64, u64)>,
}

impl Book<'_> {
    /// Tells how it is; whether to go on with what was wanted.
    fn watch(&mut self, status: &Status, wanted: Wanted) -> Watching {
        self.kept.open = narrow(status.open);
        self.kept.lost = self.lost_before + status.lost;
        self.keeper.hear(&self.kept);
        if self.keeper.wanted() == Some(wanted) { Watching::GoOn } else { Watching::OpenNoMore }
    }

    /// Counts the failures of the windows that have ended.
    fn settle(&mut self, windows: &[Window], generator: &Generator) {
        for tally in step::tallies(windows.iter().flat_map(|window| &window.failures), self.epoch_ns) {
            let all = self.tallies.entry((tally.at, tally.reason)).or_insert((0, tally.first_ms));
            all.0 += tally.count;
        }
        let tally = |((at, reason), (count, first_ms)): (&(FailedAt, FailureReason), &(u64, u64))| FailureTally {
            at: *at,
            reason: reason.clone(),
            count: *count,
            first_ms: *first_ms,
        };
        self.kept.failures = self.tallies.iter().map(tally).collect();
        self.kept.failed = failed(&self.kept.failures);
        self.kept.open = narrow(generator.open());
        self.kept.lost = self.kept.lost.max(self.lost_before + generator.status().lost);
        self.keeper.hear(&self.kept);
    }

    /// The workers have ended, and their connections with them.
    fn ended(&mut self) {
        self.lost_before = self.kept.lost;
        (self.kept.granted, self.kept.open) = (0, 0);
        self.keeper.hear(&self.kept);
    }

    fn note(&mut self, note: String) {
        if self.kept.notes.len() < NOTES && !self.kept.notes.contains(&note) {
            self.kept.notes.push(note);
            self.keeper.hear(&self.kept);
        }
    }
}

/// Connects that failed by the server's doing, or on the way to it.
fn failed(failures: &[FailureTally]) -> u64 {
    let counts = |tally: &&FailureTally| {
        tally.at != FailedAt::Open && !client_limits::is_retried(tally) && !client_limits::is_own(tally)
    };
    failures.iter().filter(counts).map(|tally| tally.count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::Errno;

    fn wanted(connections: u32, per_second: f64) -> Wanted {
        Wanted { connections, per_second, message: None }
    }

    fn slice(issued: u64, opened: u64) -> [Window; 1] {
        [Window { issued, opened, ..Window::default() }]
    }

    #[test]
    fn slices_together_are_no_faster_than_the_rate() {
        let mut pace = Pace::new();
        assert!(pace.may_open());
        assert_eq!((pace.slice(0, wanted(1_000, 50.0)), pace.granted), (100, 100));
        // All were open at once, and two seconds' worth of connects were made.
        pace.opened(&slice(100, 100), 50.0);
        assert!(!pace.may_open() && pace.next >= pace.began + Duration::from_secs(2));
        assert!(pace.look_again() <= LOOK_AGAIN && !pace.look_again().is_zero());
        assert_eq!((pace.slice(990, wanted(1_000, 50.0)), pace.granted), (1_000, 1_000));
        assert_eq!(pace.slice(0, wanted(1_000, 0.1)), 1, "one at a time");
        pace.opened(&slice(1, 1), 0.1);
        assert!(pace.next >= pace.began + Duration::from_secs(10));
    }

    #[test]
    fn a_server_that_refuses_all_is_spared_and_what_it_may_hold_still_grows() {
        let mut pace = Pace::new();
        let rests: Vec<u64> = (0..5)
            .map(|_| {
                pace.slice(700, wanted(1_000, 50.0));
                pace.opened(&slice(100, 0), 50.0);
                pace.rest.as_secs()
            })
            .collect();
        assert_eq!(rests, [1, 2, 4, 8, 8]);
        assert_eq!(pace.granted, 1_000);
        pace.opened(&slice(100, 1), 50.0);
        assert_eq!(pace.rest, Duration::ZERO);
    }

    /// Wants the same all the time.
    struct Always(Option<Wanted>);

    impl Keeper for Always {
        fn wanted(&self) -> Option<Wanted> {
            self.0
        }

        fn hear(&self, _: &Kept) {}
    }

    #[tokio::test]
    async fn workers_are_overdue_only_where_nothing_is_wanted() {
        let within = Duration::from_millis(50);
        for (wants, ends) in [(Some(wanted(1, 1.0)), false), (Some(wanted(0, 1.0)), true), (None, true)] {
            let keeper = Always(wants);
            let ended = timeout(Duration::from_secs(1), overdue(&keeper, within)).await.is_ok();
            assert_eq!(ended, ends, "{wants:?}");
        }
    }

    #[test]
    fn what_this_machine_lacks_is_no_failure_of_the_server() {
        let tally = |at, reason| FailureTally { at, reason, count: 3, first_ms: 0 };
        let failures = [
            tally(FailedAt::Handshake, FailureReason::Http(503)),
            tally(FailedAt::Connect, FailureReason::Errno(Errno::ConnectionRefused)),
            tally(FailedAt::Connect, FailureReason::Errno(Errno::AddressNotAvailable)),
            tally(FailedAt::Bind, FailureReason::Retried(Errno::AddressInUse)),
            tally(FailedAt::Socket, FailureReason::Errno(Errno::ProcessFiles)),
            tally(FailedAt::Open, FailureReason::Reset),
        ];
        assert_eq!(failed(&failures), 6);
    }
}

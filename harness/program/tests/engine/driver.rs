//! Plays the coordinator: a worker on a thread, commands in, reports out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use wsceiling_generator::ipc::{Command, Report, Status, Window, WorkerConfig};
use wsceiling_generator::worker;
use wsceiling_model::matrix::Scenario;
use wsceiling_model::record::FailedAt;

/// A worker on a thread.
pub struct Worker {
    commands: UnixStream,
    reports: BufReader<UnixStream>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// A configuration that tests change where they need to.
pub fn config(destinations: &[SocketAddr]) -> WorkerConfig {
    WorkerConfig {
        host: "localhost".to_owned(),
        scenario: Scenario::Idle,
        room: 4,
        publish_bytes: 100,
        seed: 1,
        status_every: Duration::from_millis(20),
        ..WorkerConfig::new(destinations.to_vec())
    }
}

impl Worker {
    /// A worker that has not been told anything.
    pub fn silent() -> Self {
        let (commands, input) = UnixStream::pair().unwrap();
        let (reports, output) = UnixStream::pair().unwrap();
        reports.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let thread = std::thread::spawn(move || worker::serve(input, output));
        Self { commands, reports: BufReader::new(reports), thread }
    }

    /// A configured worker.
    pub fn start(config: WorkerConfig) -> Self {
        let mut worker = Self::silent();
        worker.send(&Command::Configure(Box::new(config)));
        assert!(matches!(worker.report(), Report::Ready { descriptor_limit: 1.., .. }));
        worker
    }

    pub fn send(&mut self, command: &Command) {
        let mut line = serde_json::to_vec(command).unwrap();
        line.push(b'\n');
        self.write(&line);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.commands.write_all(bytes).unwrap();
    }

    fn any_report(&mut self) -> Report {
        let mut line = String::new();
        self.reports.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    /// The next report that is not a status.
    pub fn report(&mut self) -> Report {
        loop {
            let report = self.any_report();
            if !matches!(report, Report::Status(_)) {
                return report;
            }
        }
    }

    /// Waits for a status.
    pub fn status(&mut self, mut wanted: impl FnMut(&Status) -> bool) -> Status {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            match self.any_report() {
                Report::Status(status) if wanted(&status) => return status,
                report => assert!(Instant::now() < patience, "still {report:?}"),
            }
        }
    }

    pub fn begin_open(&mut self, count: u32, per_second: f64) {
        self.send(&Command::Open { count, per_second, start_ns: now_ns() });
    }

    pub fn open(&mut self, count: u32) -> Window {
        self.begin_open(count, 5000.0);
        match self.report() {
            Report::Opened(window) => *window,
            other => panic!("{other:?}"),
        }
    }

    pub fn hold(&mut self, length: Duration) -> Window {
        self.send(&Command::Hold { length });
        match self.report() {
            Report::Held(window) => *window,
            other => panic!("{other:?}"),
        }
    }

    /// Asks who was not answered in the hold before, all of them within a fifth of a second.
    pub fn probe(&mut self) -> Window {
        self.send(&Command::Probe { within: Duration::from_millis(200) });
        match self.report() {
            Report::Probed(window) => *window,
            other => panic!("{other:?}"),
        }
    }

    /// A hold and its probe.
    pub fn hold_and_probe(&mut self, length: Duration) -> (Window, Window) {
        (self.hold(length), self.probe())
    }

    pub fn close_to(&mut self, keep: u32) -> u64 {
        self.send(&Command::CloseTo { keep });
        match self.report() {
            Report::Closed { open } => open,
            other => panic!("{other:?}"),
        }
    }

    pub fn quit(mut self) {
        self.send(&Command::Quit);
        self.join().unwrap();
    }

    /// Ends the input and waits for the worker.
    pub fn join(self) -> anyhow::Result<()> {
        drop(self.commands);
        self.thread.join().unwrap()
    }
}

/// Messages that were due in a hold up to its probe, on average: a busy machine ends the hold later than it was asked to.
pub fn due_in(held: &Window, probe: &Window, connections: u32, every: Duration) -> f64 {
    let length_s = probe.from_ns.saturating_sub(held.from_ns) as f64 / 1e9;
    f64::from(connections) * length_s / every.as_secs_f64()
}

/// Now, on the clock of the workers.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Failures as text, in order: `handshake: http 503 x3`.
pub fn failures(windows: &[&Window]) -> Vec<String> {
    let mut all: Vec<(FailedAt, String, u64)> = Vec::new();
    for failure in windows.iter().flat_map(|window| &window.failures) {
        match all.iter_mut().find(|known| known.0 == failure.at && known.1 == failure.reason.to_string()) {
            Some(known) => known.2 += failure.count,
            None => all.push((failure.at, failure.reason.to_string(), failure.count)),
        }
    }
    all.sort();
    all.into_iter().map(|(stage, cause, count)| format!("{stage:?}: {cause} x{count}").to_lowercase()).collect()
}

//! A program that prints JSON lines: one after another, or one for each start.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};
use wsceiling_model::matrix::names;
use wsceiling_model::record::{Metric, ScrapeFault};

use crate::reading::{Number, Reading, short};

/// Longest line.
const LONGEST_LINE: u64 = 64 << 10;
/// Lines that come faster are left out, so that no program fills the memory.
const SHORTEST_GAP: Duration = Duration::from_millis(20);

/// The program, running or not.
pub(crate) struct Reader {
    command: Vec<String>,
    folder: PathBuf,
    every: Duration,
    within: Duration,
    running: Option<Running>,
    next_start: Instant,
    last_line: Option<Instant>,
}

/// A process with its children, ended on drop.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    printed: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The shell of a script dies by `kill_on_drop`, what the script has started does not.
        if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
    }
}

impl Reader {
    pub fn new(command: Vec<String>, folder: &Path, every: Duration, within: Duration) -> Self {
        // Absolute: a relative program would be looked for in the folder that the command is started in, once more.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let next_start = Instant::now();
        Self { command, folder, every, within, running: None, next_start, last_line: None }
    }

    /// Waits for the next line; starts the program where it does not run.
    pub async fn read(&mut self) -> Reading {
        loop {
            let mut running = match self.running.take() {
                Some(running) => running,
                None => match self.start().await {
                    Ok(running) => running,
                    Err(fault) => return Reading::failed(fault),
                },
            };
            let patience = self.every * 3 + self.within;
            let Ok(line) = timeout(patience, line(&mut running.lines)).await else {
                // It is asked for the next one: the program may only be slow.
                self.running = Some(running);
                return Reading::failed(ScrapeFault::TooSlow { within_ms: patience.as_millis() as u64 });
            };
            match line {
                Ok(Some(line)) => {
                    running.printed = true;
                    self.running = Some(running);
                    let now = Instant::now();
                    if line.is_empty() || self.last_line.is_some_and(|last| now - last < SHORTEST_GAP) {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    self.last_line = Some(now);
                    return parse(&line);
                }
                Ok(None) => {
                    if let Some(fault) = ended(running).await {
                        return Reading::failed(fault);
                    }
                }
                Err(fault) => return Reading::failed(fault),
            }
        }
    }

    /// Starts the program when it is its time.
    async fn start(&mut self) -> Result<Running, ScrapeFault> {
        sleep_until(self.next_start).await;
        self.next_start = Instant::now() + self.every;
        let [program, args @ ..] = self.command.as_slice() else {
            return Err(ScrapeFault::NotStarted { what: "it is empty".to_owned() });
        };
        // A path is relative to the matrix file, a name is found on PATH.
        let program = if program.contains('/') { self.folder.join(program) } else { program.into() };
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).process_group(0).kill_on_drop(true);
        // What it says of its errors may hold a secret.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let not_started = |what: String| ScrapeFault::NotStarted { what: short(&what, 120) };
        let mut child = command.spawn().map_err(|error| not_started(error.to_string()))?;
        let stdout = child.stdout.take().ok_or_else(|| not_started("it has no output".to_owned()))?;
        Ok(Running { child, lines: BufReader::new(stdout), printed: false })
    }
}

/// What the end of a program means; `None`: it did what it was to do.
async fn ended(mut running: Running) -> Option<ScrapeFault> {
    let Ok(Ok(status)) = timeout(Duration::from_secs(1), running.child.wait()).await else {
        // It closed its output and lives on; dropping it ends it.
        return Some(ScrapeFault::CommandFailed { how: "its output closed".to_owned() });
    };
    if status.success() && running.printed {
        return None;
    }
    let how = if status.success() { "no line printed".to_owned() } else { status.to_string() };
    Some(ScrapeFault::CommandFailed { how })
}

/// The next line; `None`: the output has ended.
async fn line(lines: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>, ScrapeFault> {
    let mut bytes = Vec::new();
    let read = lines.take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes).await;
    match read {
        Err(_) | Ok(0) => Ok(None),
        Ok(length) if length as u64 > LONGEST_LINE => Err(ScrapeFault::TooLarge { limit_bytes: LONGEST_LINE }),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
    }
}

/// Numbers of a line; what is wrong with one of them leaves the others.
pub(crate) fn parse(line: &str) -> Reading {
    // Without the text itself: what a program prints by mistake may be a secret.
    let malformed = |what: &str| ScrapeFault::Malformed { line: 1, what: what.to_owned() };
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return Reading::failed(malformed("no JSON object"));
    };
    let mut reading = Reading::default();
    let at_unix_s = object.get("t").and_then(Value::as_f64);
    if object.get("t").is_some_and(|t| !t.is_number() && !t.is_null()) {
        return Reading::failed(malformed("`t` is no number of seconds"));
    }
    for (name, value) in object.iter().filter(|(name, value)| *name != "t" && !value.is_null()) {
        let Some(metric) = Metric::from_name(name) else {
            let known = Metric::ALL.iter().map(|metric| metric.name());
            let near = names::nearest(name, known).unwrap_or("cpu_usage_us_total").to_owned();
            reading.faults.push(ScrapeFault::UnknownName { name: short(name, 60), near });
            continue;
        };
        if let Some(value) = value.as_f64() {
            reading.add(Number { metric, value, at_unix_s, name: name.clone() });
            continue;
        }
        let found = match value {
            Value::String(_) => "a text",
            Value::Bool(_) => "true or false",
            Value::Array(_) => "a list",
            _ => "an object",
        };
        let metric = metric.name().to_owned();
        reading.faults.push(ScrapeFault::NotANumber { metric, value: found.to_owned() });
    }
    if reading.numbers.is_empty() && reading.faults.is_empty() {
        reading.faults.push(ScrapeFault::NothingKnown { series: 0 });
    }
    reading
}

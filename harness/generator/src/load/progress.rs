//! Progress on standard error: a line that changes on a terminal, a line every few seconds elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::options::Stage;
use crate::ipc::{Failure, Status};
use wsceiling_model::format::{self, count as grouped};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Where progress goes.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    last: Mutex<Cell<Option<Before>>>,
    /// The last known top cause: a status knows that of its window only.
    top: Mutex<Option<Failure>>,
}

/// The state at the line before, for rates.
#[derive(Debug, Clone, Copy)]
struct Before {
    after: Duration,
    issued: u64,
}

/// A moment of the run.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Since the start.
    pub after: Duration,
    /// The stage under way, its index and the number of stages.
    pub stage: &'a Stage,
    /// See [`Self::stage`].
    pub index: usize,
    /// See [`Self::stage`].
    pub all: usize,
    /// Connections are held, not opened.
    pub holding: bool,
    /// The workers together.
    pub status: &'a Status,
}

impl Progress {
    /// On standard error; nothing but remarks where it is to be quiet.
    pub fn stderr(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, quiet, last: Mutex::new(Cell::new(None)), top: Mutex::new(None) }
    }

    /// A remark. What is a warning is said also where it is to be quiet.
    pub fn note(&self, remark: &str) {
        match &self.bar {
            Some(bar) => bar.println(remark),
            None if self.quiet && !remark.starts_with("warning") => {}
            None => eprintln!("{remark}"),
        }
    }

    /// The state of the run, shown if it is time to.
    pub fn show(&self, moment: &Moment<'_>) {
        if self.quiet {
            return;
        }
        let (Ok(last), Ok(mut top)) = (self.last.lock(), self.top.lock()) else { return };
        if moment.status.top_failure.is_some() {
            top.clone_from(&moment.status.top_failure);
        }
        let every = if self.bar.is_some() { Duration::ZERO } else { LINE_EVERY };
        let before = last.get();
        let (since, issued) = before.map_or((Duration::ZERO, 0), |before| (before.after, before.issued));
        if moment.after < since + every {
            return;
        }
        let passed = moment.after.saturating_sub(since).as_secs_f64();
        let rate = moment.status.issued.saturating_sub(issued) as f64 / passed.max(1e-3);
        let line = line(moment, rate, top.as_ref());
        match &self.bar {
            Some(bar) => {
                bar.set_length(u64::from(moment.stage.to));
                bar.set_position(moment.status.open);
                bar.set_message(line.join("\n  "));
                bar.tick();
                // A rate over a moment jumps; over some seconds it can be read.
                if passed < LINE_EVERY.as_secs_f64() {
                    return;
                }
            }
            None => eprintln!("{}", line.join(", ")),
        }
        last.set(Some(Before { after: moment.after, issued: moment.status.issued }));
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What is shown: the counts, then the latencies and causes.
fn line(moment: &Moment<'_>, rate: f64, top: Option<&Failure>) -> [String; 2] {
    let status = moment.status;
    let stage = if moment.all > 1 { format!("stage {}/{} ", moment.index + 1, moment.all) } else { String::new() };
    let mut counts = format!(
        "{:>6.1} s  {stage}open {} of {}, held {}, failed {}, lost {}",
        moment.after.as_secs_f64(),
        grouped(status.open),
        grouped(u64::from(moment.stage.to)),
        grouped(status.held),
        grouped(status.failed),
        grouped(status.lost),
    );
    if !moment.holding {
        counts = format!("{counts}, {rate:.0}/s of {:.0}/s", moment.stage.per_second);
    }
    let mut details = Vec::new();
    if let Some(p99) = status.reply_us_p99 {
        details.push(format!("reply p99 {}", format::micros(p99 as f64)));
    }
    details.push(format!("own lag {}", format::micros(status.lag_us_max as f64)));
    if let Some(top) = top {
        details.push(format!("most failures: {} x {}", grouped(top.count), top.reason));
    }
    [counts, details.join(", ")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record;

    #[test]
    fn a_line_tells_the_top_cause_the_rate_and_the_lag() {
        let failure =
            Failure { at: record::FailedAt::Connect, reason: record::FailureReason::Timeout, count: 7, first_ns: 0 };
        let status = Status {
            open: 1200,
            held: 1100,
            failed: 8,
            lost: 1,
            lag_us_max: 300,
            reply_us_p99: Some(2500),
            ..Status::default()
        };
        let stage = Stage { to: 2000, per_second: 500.0, hold: Duration::from_secs(1) };
        let mut moment =
            Moment { after: Duration::from_secs(3), stage: &stage, index: 0, all: 1, holding: false, status: &status };
        let [counts, details] = line(&moment, 480.0, Some(&failure));
        assert_eq!(counts, "   3.0 s  open 1,200 of 2,000, held 1,100, failed 8, lost 1, 480/s of 500/s");
        assert_eq!(details, "reply p99 2.50 ms, own lag 300 µs, most failures: 7 x timeout");
        moment.holding = true;
        assert!(!line(&moment, 0.0, None).concat().contains("/s"));
    }
}

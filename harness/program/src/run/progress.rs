//! Progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Experiment, Outcome, TrialRecord};

/// Where progress goes.
#[derive(Clone)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar where standard error is a terminal, lines where it is not.
    pub fn stderr() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar }
    }

    /// A handle for another task.
    #[must_use]
    pub fn handle(&self) -> Self {
        self.clone()
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Trial number `order` of `all` begins.
    pub fn trial(&self, order: usize, all: usize, trial: &TrialId) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(all as u64);
                bar.set_position(order as u64 - 1);
                bar.set_message(trial.to_string());
            }
            None => eprintln!("[{order}/{all}] {trial}"),
        }
    }

    /// An experiment begins.
    pub fn experiment(&self, trial: &TrialId, experiment: &Experiment) {
        self.note(&format!("{trial}: is it {}? {}", experiment.suspect, experiment.change));
    }

    /// A trial ended.
    pub fn ended(&self, trial: &TrialId, record: &TrialRecord) {
        self.note(&format!("  {trial}: {}", outcome(record)));
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// An outcome in one line.
fn outcome(record: &TrialRecord) -> String {
    let good = record.ceiling.map_or(0, |bracket| bracket.last_good);
    let seconds = record.duration_ms / 1000.0;
    let reason = record.reason.as_deref().unwrap_or("no reason known");
    match (record.outcome, record.ceiling.and_then(|bracket| bracket.first_bad)) {
        (Outcome::Ok, _) => format!("at least {good} ({seconds:.1} s)"),
        (Outcome::Ceiling, Some(bad)) => format!("holds {good}, fails at {bad} ({seconds:.1} s)"),
        (outcome, _) => format!("{outcome}: {reason}"),
    }
}

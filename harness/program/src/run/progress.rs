//! Progress on standard error: a bar on a terminal, plain lines elsewhere. What happens is a [`ProgressEvent`]; its words
//! are made here.

use std::collections::BTreeSet;
use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use wsceiling_launch::LaunchError;
use wsceiling_model::matrix::Runtime;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Experiment, Outcome, TrialRecord};

/// Something that a user who watches is told.
#[derive(Clone, Copy)]
pub enum ProgressEvent<'a> {
    /// A part of preparing that is not about one target.
    Preparing(&'a str),
    /// Cargo builds these packages.
    Building(&'a BTreeSet<&'a str>),
    /// A command makes the program of a target.
    Making(&'a str, &'a [String]),
    /// A target is found, or packed.
    Target(&'a str, Runtime),
    /// A front is found, or packed.
    Front(&'a str, Runtime),
    /// It cannot run; its trials are skipped.
    Unprepared(&'a str, Runtime, &'a LaunchError),
    /// The run folder is there.
    Recording(&'a Path),
    /// Trial number `.0` of `.1` begins.
    Trial(usize, usize, &'a TrialId),
    /// An experiment begins.
    Experiment(&'a TrialId, &'a Experiment),
    /// A trial ended.
    Ended(&'a TrialRecord),
    /// A limit of the selftest is injected: its name, and what is limited.
    Injecting(&'a str, &'a str),
    /// The user wants it to stop.
    Stopping,
}

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

    /// Tells the user.
    pub fn tell(&self, event: ProgressEvent<'_>) {
        match (&self.bar, event) {
            (Some(bar), ProgressEvent::Trial(order, all, trial)) => {
                bar.set_length(all as u64);
                bar.set_position(order as u64 - 1);
                bar.set_message(trial.to_string());
            }
            (Some(bar), event) => bar.println(event.to_string()),
            (None, event) => eprintln!("{event}"),
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl fmt::Display for ProgressEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing(what) => f.write_str(what),
            Self::Building(packages) => {
                let packages: Vec<_> = packages.iter().copied().collect();
                write!(
                    f,
                    "cargo builds {}, optimised like the harness; the first time this can take a minute",
                    packages.join(", ")
                )
            }
            Self::Making(name, command) => write!(f, "building {name}: {}", command.join(" ")),
            Self::Target(name, runtime) => write!(f, "preparing {name} for {runtime}"),
            Self::Front(name, runtime) => write!(f, "preparing the front {name} for {runtime}"),
            Self::Unprepared(name, runtime, error) => write!(f, "{name} cannot run in {runtime}: {error}"),
            Self::Recording(folder) => write!(f, "recording to {}", folder.display()),
            Self::Trial(order, all, trial) => write!(f, "[{order}/{all}] {trial}"),
            Self::Experiment(trial, experiment) => {
                write!(f, "{trial}: is it {}? {}", experiment.suspect, experiment.change)
            }
            Self::Ended(record) => {
                write!(f, "  {}: ", record.trial)?;
                ended(f, record)
            }
            Self::Injecting(name, what) => write!(f, "injecting {name}: {what}"),
            Self::Stopping => f.write_str("stopping: ending the trial, then rendering what was done"),
        }
    }
}

/// How a trial ended.
fn ended(f: &mut fmt::Formatter<'_>, record: &TrialRecord) -> fmt::Result {
    let seconds = record.duration_ms / 1000.0;
    let good = record.ceiling.map_or(0, |bracket| bracket.last_good);
    match (record.outcome, record.ceiling.and_then(|bracket| bracket.first_bad), &record.reason) {
        (Outcome::Ok, ..) => write!(f, "at least {good} ({seconds:.1} s)"),
        (Outcome::Ceiling, Some(bad), _) => write!(f, "holds {good}, fails at {bad} ({seconds:.1} s)"),
        (outcome, _, Some(reason)) => write!(f, "{outcome}: {reason}"),
        (outcome, _, None) => write!(f, "{outcome}: no reason known"),
    }
}

//! `wsceiling doctor`: what this machine means for a run, before one is started.
//!
//! `inputs` measures, [`diagnose`] judges without looking at the machine, [`render_text`] writes.

mod findings;
mod inputs;
mod noise;
mod text;

use serde::Serialize;

pub use findings::diagnose;
pub use inputs::{CgroupProbe, Inputs};
pub use noise::Noise;
pub use text::render_text;

/// What the container engine said; the caller asks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineStatus {
    /// It answered.
    Up {
        /// Version of the engine: `20.10.24`.
        server: String,
        /// Version of its API that will be spoken: `1.41`.
        api: String,
        /// `cgroupfs` or `systemd`.
        cgroup_driver: Option<String>,
    },
    /// It did not.
    Down {
        /// Why.
        reason: String,
        /// What to do about it.
        hint: String,
    },
}

/// How much a finding matters for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing to know.
    Ok,
    /// Worth knowing when reading results.
    Note,
    /// Some cells will be skipped, limited or less exact.
    Warn,
    /// A run makes no sense before this is solved.
    Problem,
}

/// One property of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Short, stable name: `engine`, `descriptors`, ...
    pub name: &'static str,
    /// What was found.
    pub value: String,
    /// How much it matters.
    pub level: Level,
    /// What it means for a run.
    pub meaning: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All findings, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doctor {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Doctor {
    /// Number of findings of a level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// Whether a run makes no sense.
    pub fn has_problem(&self) -> bool {
        self.count(Level::Problem) > 0
    }
}

#[cfg(test)]
mod tests;

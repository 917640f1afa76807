//! The night of a finished run, from its findings.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::night::{Axes, CellLine, Header, Kind, Machine, Night, SCHEMA, TrialLine};
use crate::{robust, series};
use wsceiling_analysis::{CellFindings, FailurePattern, Findings, TrialFindings};
use wsceiling_model::matrix::{Cell, Runtime};
use wsceiling_model::record::{AppliedLimit, Outcome, RunHeader};

/// The name of a target that is a control, and what the names of several begin with.
pub const CONTROL: &str = "control";
/// Most characters of a reason.
const REASON_MAX: usize = 200;
/// A step has opened all that it asked for from this share on.
const ALL: f64 = 0.999;

/// Where a run was made, beside what its record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Id of the job's run.
    pub run: String,
    /// Attempt of that run, from 1.
    pub attempt: u32,
    /// The commit that was measured.
    pub commit: Option<String>,
    /// Its branch or tag.
    pub reference: Option<String>,
    /// Address of the job.
    pub job: Option<String>,
    /// Version of the runner's image.
    pub image: Option<String>,
}

/// The run's start is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the run began at `{0}`, which is no time; hint: `started` in run.json is RFC 3339")]
pub struct NoTime(pub String);

/// The night of a run. `each` has the findings of each repetition alone, as if the run had no other: the coefficients of a
/// trial come from there.
///
/// # Errors
/// When the run's start is no time.
pub fn night(findings: &Findings, each: &BTreeMap<u32, Findings>, about: &About) -> Result<Night, NoTime> {
    let run = &findings.header;
    let enforced = Enforced::new(findings);
    let cells = findings.cells.iter().map(|cell| {
        let alone = |repeat: u32| each.get(&repeat)?.cells.iter().find(|other| other.cell.id == cell.cell.id);
        cell_line(run, cell, &enforced.of(&cell.cell, cell), alone)
    });
    Ok(Night {
        header: header(run, Kind::Run, moment(&run.started)?, about),
        cells: cells.collect(),
        selftests: Vec::new(),
        experiments: Vec::new(),
    })
}

/// The header of a file about a run.
fn header(run: &RunHeader, kind: Kind, started: Timestamp, about: &About) -> Header {
    let fact = |name: &str| run.environment.facts.get(name).map(|value| one_line(value));
    Header {
        schema: SCHEMA,
        wsceiling: run.wsceiling.clone(),
        kind,
        started,
        run: about.run.clone(),
        attempt: about.attempt,
        commit: about.commit.clone().or_else(|| fact("source.revision")),
        reference: about.reference.clone(),
        matrix: one_line(&run.run.name),
        matrix_sha256: run.matrix_sha256.clone(),
        job: about.job.clone(),
        machine: Machine {
            cpu: fact("cpu.model"),
            cores: fact("cpu.cores").and_then(|cores| cores.parse().ok()),
            cgroup: fact("cgroup.version"),
            kernel: fact("kernel.release"),
            rustc: fact("toolchain.rustc"),
            image: about.image.clone(),
        },
    }
}

/// A moment of a record, to the second, as the file has it.
///
/// # Errors
/// When it is none.
pub fn moment(text: &str) -> Result<Timestamp, NoTime> {
    let moment: Option<Timestamp> = text.parse().ok();
    moment.and_then(|moment| Timestamp::from_second(moment.as_second()).ok()).ok_or_else(|| NoTime(text.to_owned()))
}

fn cell_line<'a>(
    run: &RunHeader,
    found: &CellFindings,
    limits: &BTreeMap<String, bool>,
    alone: impl Fn(u32) -> Option<&'a CellFindings>,
) -> CellLine {
    let cell = &found.cell;
    let opening = |cell: &CellFindings| cell.cpu.as_ref()?.opening.map(|found| found.value);
    let cpu = |cell: &CellFindings| cell.cpu.as_ref()?.per_connection.map(|found| found.value);
    let memory = |cell: &CellFindings| cell.memory.as_ref().map(|found| found.per_connection.value);
    let trials: Vec<TrialLine> = found
        .trials
        .iter()
        .map(|trial| {
            let alone = alone(trial.trial.repeat);
            TrialLine {
                repeat: trial.trial.repeat,
                outcome: trial.record.outcome,
                stopped: trial.bracket.and_then(|_| stopped(trial)).and_then(rounded),
                last_good: trial.bracket.map(|bracket| bracket.last_good),
                first_bad: trial.bracket.and_then(|bracket| bracket.first_bad),
                memory: alone.and_then(memory).and_then(rounded),
                cpu: alone.and_then(cpu).and_then(rounded),
                opening: alone.and_then(opening).and_then(rounded),
            }
        })
        .collect();
    let measured = found.ceiling.is_some() && matches!(found.outcome, Outcome::Ok | Outcome::Ceiling);
    let stops: Vec<f64> = trials.iter().filter_map(|trial| trial.stopped).collect();
    let reason = found.reason.as_deref().filter(|_| !measured).map(one_line);
    CellLine {
        id: cell.id.clone(),
        series: series::key(run, cell, limits),
        axes: Axes {
            target: cell.target.clone(),
            runtime: cell.runtime,
            instances: cell.instances,
            front: cell.front.clone(),
            size: cell.size.clone(),
            scenario: cell.scenario,
        },
        control: cell.target == CONTROL || cell.target.starts_with("control-"),
        outcome: found.outcome,
        reason,
        cause: found.verdict.as_ref().map(|verdict| verdict.cause),
        confidence: found.verdict.as_ref().map(|verdict| verdict.confidence).and_then(rounded),
        limits: limits.clone(),
        ceiling: robust::median(&stops).filter(|_| measured).and_then(rounded),
        at_least: found.ceiling.as_ref().is_some_and(|ceiling| ceiling.at_least),
        memory: memory(found).and_then(rounded),
        cpu: cpu(found).and_then(rounded),
        opening: opening(found).and_then(rounded),
        trials,
    }
}

/// Connections at which a trial stopped. A step that lost or refused connections says it itself: what was open at its end, or
/// the most before a collapse. Where all were open and something else failed, such as the latency, it lies between the
/// last good and the first bad number.
pub fn stopped(trial: &TrialFindings) -> Option<f64> {
    let record = &trial.record;
    let bracket = record.ceiling?;
    let Some(failed) = record.steps.iter().find(|step| !step.passed) else {
        return record.steps.last().map(|step| step.open as f64);
    };
    let fell = trial.verdict.as_ref().is_some_and(|verdict| {
        matches!(verdict.pattern, FailurePattern::Collapse | FailurePattern::Sawtooth | FailurePattern::Churn)
    });
    if fell {
        return Some(bracket.peak as f64);
    }
    if (failed.open as f64) < ALL * f64::from(failed.target) {
        return Some(failed.open as f64);
    }
    let bad = bracket.first_bad.unwrap_or(bracket.last_good);
    Some(f64::midpoint(bracket.last_good as f64, bad as f64))
}

/// Which limits were enforced, by runtime: a trial that never started says nothing about them, and its cell would else leave
/// its own series for a night.
struct Enforced(BTreeMap<&'static str, BTreeMap<String, bool>>);

impl Enforced {
    fn new(findings: &Findings) -> Self {
        let mut all: BTreeMap<&'static str, BTreeMap<String, bool>> = BTreeMap::new();
        for cell in &findings.cells {
            let of_runtime = all.entry(runtime(&cell.cell)).or_default();
            for limit in limits(cell) {
                *of_runtime.entry(limit.name.clone()).or_insert(true) &= limit.enforced_by.is_some();
            }
        }
        Self(all)
    }

    /// Those of the cell's size; of a cell that launched something, what was seen there.
    fn of(&self, cell: &Cell, found: &CellFindings) -> BTreeMap<String, bool> {
        let mut own: BTreeMap<String, bool> = BTreeMap::new();
        for limit in limits(found) {
            *own.entry(limit.name.clone()).or_insert(true) &= limit.enforced_by.is_some();
        }
        if own.is_empty() && cell.size.is_some() && cell.runtime != Runtime::Remote {
            return self.0.get(runtime(cell)).cloned().unwrap_or_default();
        }
        own
    }
}

fn runtime(cell: &Cell) -> &'static str {
    cell.runtime.name()
}

/// The limits of all launched instances.
fn limits(cell: &CellFindings) -> impl Iterator<Item = &AppliedLimit> {
    cell.trials.iter().flat_map(|trial| &trial.record.instances).flat_map(|instance| &instance.limits)
}

/// Six significant digits, which is more than is known of any number, so that a night stays small.
fn rounded(value: f64) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then(|| format!("{value:.5e}").parse().unwrap_or(value))
}

/// At most [`REASON_MAX`] characters without control characters.
fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_kept_and_nonsense_is_nothing() {
        assert_eq!(rounded(7_300.123_456), Some(7_300.12));
        assert_eq!(rounded(0.0), Some(0.0));
        assert_eq!([rounded(f64::NAN), rounded(-1.0), rounded(f64::INFINITY)], [None; 3]);
    }

    #[test]
    fn text_of_a_server_is_one_short_line() {
        assert_eq!(one_line("a\u{1b}[31m\n b"), "a [31m b");
        assert_eq!(one_line(&"x".repeat(900)).len(), REASON_MAX);
    }

    #[test]
    fn a_moment_is_kept_to_the_second() {
        assert_eq!(moment("2026-11-29T02:17:05.7Z").unwrap().to_string(), "2026-11-29T02:17:05Z");
        assert_eq!(moment("soon"), Err(NoTime("soon".into())));
    }
}

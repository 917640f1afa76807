//! What an experiment is planned on: a trial that failed, what it was measured with, and how its load is fitted to what is
//! predicted.

use super::measure::measured;
use crate::context::TrialContext;
use wsceiling_model::matrix::{CellSetup, Change, Knob, Load};
use wsceiling_model::record::{
    Cause, Component, Experiment, GateName, Measure, Metric, RunHeader, StepRecord, Tolerance,
};

/// Share of a predicted number that a step of the experiment adds, and steps up to its end: the prediction lies between
/// the last two.
const STEP: f64 = 0.3;
const STEPS: u32 = 4;
/// Share of a trial's longest time that the load alone may take.
const TIME: f64 = 0.7;
/// How far above the last good number a step must be to say something new.
const ABOVE: f64 = 1.25;

/// A trial to plan an experiment on.
pub(super) struct ExperimentPlan<'a> {
    pub trial: &'a TrialContext<'a>,
    pub header: &'a RunHeader,
    pub setup: CellSetup,
    pub failed: &'a StepRecord,
    pub suspect: Cause,
}

impl<'a> ExperimentPlan<'a> {
    /// `None` where no step failed, or the record does not say what the cell was measured with.
    pub fn new(header: &'a RunHeader, trial: &'a TrialContext<'a>, suspect: Cause) -> Option<Self> {
        Some(Self { trial, header, setup: header.setup(trial.cell)?, failed: trial.failed?, suspect })
    }

    /// An experiment that multiplies a knob; `predicted` from what was measured before.
    pub fn experiment(
        &self,
        knob: Knob,
        (from, to): (f64, f64),
        measure: Measure,
        tolerance: Tolerance,
        predicted: impl Fn(f64) -> f64,
    ) -> Option<Experiment> {
        let before = measured(self.trial, measure)?;
        let predicted = predicted(before);
        let change = Change { knob, from, to };
        let mut changed = self.setup.clone();
        change.apply(&mut changed);
        let load = self.load(changed.load, measure, tolerance, predicted)?;
        Some(Experiment { suspect: self.suspect, change, measure, before, predicted, tolerance, load })
    }

    /// An experiment with a limit whose multiple the number of connections follows exactly.
    pub fn scaled(&self, knob: Knob, (from, to): (f64, f64)) -> Option<Experiment> {
        let predicted = |before: f64| (before * to / from).round();
        self.experiment(knob, (from, to), Measure::Connections, Tolerance::Exact, predicted)
    }

    /// An experiment after which a step that failed must pass.
    pub fn passes(&self, knob: Knob, change: (f64, f64)) -> Option<Experiment> {
        let asked = f64::from(self.failed.target);
        self.experiment(knob, change, Measure::Passed, Tolerance::Exact, |before| asked.max((before * ABOVE).ceil()))
    }

    /// The load with which the prediction can be seen, and not much more.
    fn load(&self, mut load: Load, measure: Measure, tolerance: Tolerance, predicted: f64) -> Option<Load> {
        load.narrow = 0;
        let staircase = load.stages.is_empty();
        match (measure, tolerance) {
            (_, Tolerance::Same) => {}
            (Measure::Opened | Measure::Answered, _) if !staircase => {}
            // All that was asked for is seen with what was asked for; any other number lies between two steps.
            (Measure::Connections, _) if staircase && predicted as u32 != self.failed.target => {
                load.step = ((predicted * STEP).ceil() as u32).max(1);
                load.max = load.step.checked_mul(STEPS)?;
            }
            // Rates are compared at the same number of connections: those that are held take CPU too.
            _ if staircase => {
                load.step = load.step.min(self.failed.target);
                // The end of the load is not the prediction: what holds everything that is asked of it holds more.
                load.max = if measure == Measure::Passed {
                    (predicted as u32).checked_add(load.step)?
                } else {
                    self.failed.target
                };
            }
            // Stages are what the user wants to know; they are not bent.
            _ if predicted * 1.05 > f64::from(load.max) && measure != Measure::Overflows => return None,
            _ => {}
        }
        let fits = load.shortest().as_secs_f64() <= TIME * self.header.run.trial_within.as_secs_f64();
        fits.then_some(load)
    }

    /// A number of an instance, or of the front, as it was when the failed launch had no connection yet.
    pub fn idle(&self, component: Component, metric: Metric) -> Option<f64> {
        let launch = self.failed.launch;
        let begin = self.trial.record.steps.iter().find(|step| step.launch == launch)?.started_ms;
        self.trial.series.near(component, metric, begin).map(|(_, value)| value)
    }

    /// The first instance: experiments change all alike.
    pub fn instance(&self) -> Option<Component> {
        self.trial.instances().next()
    }

    /// A whole number among the facts of the machine.
    pub fn fact(&self, name: &str) -> Option<f64> {
        self.header.environment.facts.get(name)?.parse().ok()
    }

    /// Cores that the run could use.
    pub fn cores(&self) -> f64 {
        self.fact("cpu.cores_usable").or_else(|| self.fact("cpu.cores")).unwrap_or(1.0)
    }

    /// Descriptors that the machine lets a process have.
    pub fn most_descriptors(&self) -> f64 {
        self.fact("limits.nofile_hard").unwrap_or(f64::INFINITY)
    }

    /// Whether the step failed since too few connections were open, and not since answers came late.
    pub fn too_few_open(&self) -> bool {
        self.failed.gates.iter().any(|gate| gate.name == GateName::Connected && !gate.passed)
    }
}

/// Half as much again, or a third less where the machine allows no more.
pub(super) fn half_more(from: f64, most: f64) -> f64 {
    let more = (from * 1.5).round();
    if more <= most { more } else { (from / 1.5).round() }
}

//! The experiment of a trial that confirms a cause: one thing is changed, and what that must do is said before.

use serde::{Deserialize, Serialize};

use super::{Cause, RunHeader};
use crate::matrix::{Cell, CellSetup, Change, Load};

/// What a trial puts to the test. It was written down before the trial ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The cause that is suspected.
    pub suspect: Cause,
    /// The one thing that differs from the cell.
    pub change: Change,
    /// What is compared.
    pub measure: Measure,
    /// What the cell's own trials gave, in the measure's unit.
    pub before: f64,
    /// What this trial must give if the suspect is the cause.
    pub predicted: f64,
    /// How near it must come.
    pub tolerance: Tolerance,
    /// The load: that of the matrix, but for a change of the load itself and for steps that reach beyond what is
    /// predicted.
    pub load: Load,
}

/// What an experiment compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Connections at which it stopped: open in the end on a plateau, the most at any moment where they were lost.
    Connections,
    /// The largest step that passed.
    Passed,
    /// Upgrades per second in the step that failed, or in the last one.
    Opened,
    /// Messages answered per second in the hold of that step.
    Answered,
    /// Connections that found the accept queue full.
    Overflows,
}

/// How near to its prediction a number must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tolerance {
    /// A number of connections, which a limit sets exactly: within 10 %.
    Exact,
    /// A rate on a machine with other things to do, or a limit of which a part is used otherwise: half of the predicted
    /// move is enough.
    Half,
    /// The same number once more: within 1 %.
    Same,
}

impl Experiment {
    /// Applies the change and the load to the set-up of the cell.
    pub fn apply(&self, setup: &mut CellSetup) {
        self.change.apply(setup);
        setup.load = self.load.clone();
    }

    /// A cell and its run as the experiment had them.
    pub fn header(&self, header: &RunHeader, cell: &Cell) -> (RunHeader, Cell) {
        let mut changed = header.clone();
        let Some(mut setup) = header.setup(cell) else { return (changed, cell.clone()) };
        self.apply(&mut setup);
        changed.load = setup.load;
        put(&mut changed.targets, Some(setup.target), |target| &target.name);
        put(&mut changed.sizes, setup.size, |size| &size.name);
        put(&mut changed.fronts, setup.front, |front| &front.name);
        (changed, setup.cell)
    }
}

impl RunHeader {
    /// What a cell is measured with.
    pub fn setup(&self, cell: &Cell) -> Option<CellSetup> {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        let (size, front) = (named(&cell.size), named(&cell.front));
        Some(CellSetup {
            cell: cell.clone(),
            load: self.load.clone(),
            target: self.targets.iter().find(|target| target.name == cell.target)?.clone(),
            size: self.sizes.iter().find(|known| known.name == size).cloned(),
            front: self.fronts.iter().find(|known| known.name == front).cloned(),
        })
    }
}

/// Puts an item into a list in the place of the one with its name, or at its end.
fn put<T>(all: &mut Vec<T>, item: Option<T>, name: impl Fn(&T) -> &String) {
    let Some(item) = item else { return };
    match all.iter().position(|known| name(known) == name(&item)) {
        Some(at) => all[at] = item,
        None => all.push(item),
    }
}

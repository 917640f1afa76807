//! Two arms of trials, before and after a change: is a number worse, and what does it rest on?
//!
//! A change is confirmed if three things hold: the exact test of `permutation` says so, it survives Holm's correction
//! over all numbers that are tested together, and the medians moved by more than the floor. The probability that anything
//! is confirmed worse although nothing changed is then at most [`LEVEL`], and the same again for better. `docs/compare.md`
//! has the reasoning and what it costs.

use serde::Serialize;

use super::findings::TrialFindings;
use super::numbers::Quantity;
use super::statistics::median;
use super::{holm, permutation};

/// Probability of a false confirmation, over all numbers that are tested together.
pub const LEVEL: f64 = 0.01;

/// No change below this share of the older value is ever confirmed: it is not worth a word.
pub const FLOOR: f64 = 0.02;

/// What became of a number, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// A side has no number.
    NotMeasured,
    /// Both sides have one, and nothing can be said of the change: see [`Silence`].
    CannotKnow,
    /// No change beyond the floor.
    Same,
    /// A change beyond the floor that chance explains.
    NotConfirmed,
    /// A change for the better that chance does not explain.
    ConfirmedBetter,
    /// A change for the worse that chance does not explain.
    ConfirmedWorse,
}

/// Why nothing can be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Silence {
    /// So few trials of so many numbers prove nothing, however far they are apart.
    TooFewTrials {
        /// Valid trials of each cell that are needed.
        needed: u32,
    },
    /// Neither side met its ceiling.
    AtLeast,
    /// The machines are of different classes.
    OtherMachine,
    /// The runs used different loads.
    OtherLoad,
    /// The sizes differ, or one run enforced limits that the other did not.
    OtherLimits,
    /// The fronts have different settings.
    OtherFront,
    /// It is a part of another number, which is judged.
    PartOfCpu,
    /// It was not asked for.
    NotAsked,
    /// The same target, measured twice in the run, differs from itself.
    DiffersFromItself,
}

/// The trials of one side that tell a number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Arm {
    pub values: Vec<f64>,
    /// Those that met no ceiling: their number is a lower bound, the same for all, since all had the same load.
    pub unmet: usize,
}

/// A number of two arms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub quantity: Quantity,
    pub before: Arm,
    pub after: Arm,
    /// The medians have to move by more than this share.
    pub floor: f64,
    /// A reason not to test it.
    pub silence: Option<Silence>,
}

/// How pairs are tested.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The share by which the arms may differ without a change: what is tested is that they differ by more.
    pub margin: f64,
    /// Cells that the older arm is made of; they have as many trials as the newer one each.
    pub cells_before: usize,
}

/// A number before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which.
    #[serde(rename = "name")]
    pub quantity: Quantity,
    /// Median of the trials before; `None`: not measured.
    pub before: Option<f64>,
    /// The same after.
    pub after: Option<f64>,
    /// The median before is a lower bound.
    pub before_at_least: bool,
    /// The median after is.
    pub after_at_least: bool,
    /// Valid trials that tell the number before.
    pub trials_before: u32,
    /// The same after.
    pub trials_after: u32,
    /// `after / before - 1`; `None`: a side is not measured, or nothing before.
    pub ratio: Option<f64>,
    /// Every trial of one side is beyond every trial of the other.
    pub apart: bool,
    /// One-sided p-value in the direction of the change, with Holm's correction; `None`: not tested.
    pub p: Option<f64>,
    /// The smallest share by which it could have got worse and been confirmed, with trials that scatter as these do;
    /// `None`: not tested, or not known.
    pub provable: Option<f64>,
    /// What became of it.
    pub judgement: Judgement,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Silence>,
}

/// Changes, in the order of their pairs.
pub(super) struct Judged {
    pub changes: Vec<Change>,
    /// How many were tested together.
    pub tested: usize,
}

impl Arm {
    /// A number of these trials.
    pub fn of<'a>(trials: impl Iterator<Item = &'a TrialFindings>, quantity: Quantity) -> Self {
        let mut arm = Self::default();
        for numbers in trials.map(|trial| &trial.numbers) {
            if let Some(value) = numbers.get(quantity).filter(|value| value.is_finite()) {
                arm.values.push(value);
                arm.unmet += usize::from(quantity == Quantity::Ceiling && numbers.at_least);
            }
        }
        arm
    }

    /// Whether the median is a lower bound: half of the trials or more met no ceiling.
    fn is_at_least(&self) -> bool {
        self.unmet > 0 && 2 * self.unmet >= self.values.len()
    }

    fn is_unmet(&self) -> bool {
        self.unmet == self.values.len()
    }
}

impl Pair {
    /// Whether it can be tested, given enough trials. What decides is the same whichever arm a trial is of.
    fn is_open(&self) -> bool {
        let measured = !self.before.values.is_empty() && !self.after.values.is_empty();
        self.silence.is_none() && measured && !(self.before.is_unmet() && self.after.is_unmet())
    }

    fn smallest_p(&self) -> f64 {
        permutation::smallest_p(self.before.values.len(), self.after.values.len())
    }

    /// The p-values of worse and better.
    fn p_values(&self, margin: f64) -> Option<(f64, f64)> {
        let up = permutation::p_larger(&times(&self.before.values, 1.0 + margin), &self.after.values)?;
        let down = permutation::p_larger(&self.after.values, &times(&self.before.values, 1.0 - margin))?;
        Some(if self.quantity.is_cost() { (up, down) } else { (down, up) })
    }

    /// See [`Change::provable`].
    fn provable(&self, margin: f64, level: f64) -> Option<f64> {
        let (before, after) = (&self.before.values, &self.after.values);
        let share = if self.quantity.is_cost() {
            (1.0 + margin) * permutation::provable_factor(before, after, level)? - 1.0
        } else {
            1.0 - (1.0 - margin) / permutation::provable_factor(after, before, level)?
        };
        Some(share.max(self.floor).max(margin))
    }

    /// The change without a judgement.
    fn change(&self) -> Change {
        let (before, after) = (median(&self.before.values), median(&self.after.values));
        let ratio = before.zip(after).filter(|(before, _)| *before > 0.0).map(|(before, after)| after / before - 1.0);
        let unmeasured = before.is_none() || after.is_none();
        Change {
            quantity: self.quantity,
            before,
            after,
            before_at_least: self.before.is_at_least(),
            after_at_least: self.after.is_at_least(),
            trials_before: self.before.values.len() as u32,
            trials_after: self.after.values.len() as u32,
            ratio,
            apart: is_below(&self.before.values, &self.after.values)
                || is_below(&self.after.values, &self.before.values),
            p: None,
            provable: None,
            judgement: if unmeasured { Judgement::NotMeasured } else { Judgement::CannotKnow },
            why: self.silence,
        }
    }

    /// What the test made of it: the corrected p-values of worse and better.
    fn judge(&self, change: &mut Change, (worse, better): (f64, f64), margin: f64) {
        let floor = self.floor.max(margin);
        let grew = change.after > change.before;
        let got_worse = grew == self.quantity.is_cost();
        let beyond = change.ratio.map_or(change.after != change.before, |ratio| ratio.abs() > floor);
        change.p = Some(if got_worse { worse } else { better });
        change.judgement = match (beyond, got_worse) {
            (true, true) if worse <= LEVEL => Judgement::ConfirmedWorse,
            (true, false) if better <= LEVEL => Judgement::ConfirmedBetter,
            _ if change.before_at_least && change.after_at_least => Judgement::CannotKnow,
            (true, _) => Judgement::NotConfirmed,
            (false, _) => Judgement::Same,
        };
        if change.judgement == Judgement::CannotKnow {
            change.why = Some(Silence::AtLeast);
        }
    }
}

fn times(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|value| value * factor).collect()
}

fn is_below(low: &[f64], high: &[f64]) -> bool {
    let most = low.iter().copied().max_by(f64::total_cmp);
    let least = high.iter().copied().min_by(f64::total_cmp);
    most.zip(least).is_some_and(|(most, least)| most < least)
}

/// Fewest trials of each cell with which so many numbers can be tested.
fn needed(numbers: usize, cells_before: usize) -> u32 {
    let enough = |trials: &u32| {
        let after = *trials as usize;
        permutation::smallest_p(after * cells_before, after) <= LEVEL / numbers.max(1) as f64
    };
    (1..=50).find(enough).unwrap_or(50)
}

/// Tests all pairs together.
pub(super) fn judge(pairs: &[Pair], rules: Rules) -> Judged {
    let mut changes: Vec<Change> = pairs.iter().map(Pair::change).collect();
    let open: Vec<usize> = (0..pairs.len()).filter(|at| pairs[*at].is_open()).collect();
    let enough = |at: &usize| pairs[*at].smallest_p() <= LEVEL / open.len() as f64;
    let (tested, few): (Vec<usize>, Vec<usize>) = open.iter().copied().partition(enough);
    for at in few {
        changes[at].why = Some(Silence::TooFewTrials { needed: needed(open.len(), rules.cells_before) });
    }
    let p: Vec<(f64, f64)> = tested.iter().map(|at| pairs[*at].p_values(rules.margin).unwrap_or((1.0, 1.0))).collect();
    let worse = holm::adjusted(&p.iter().map(|(worse, _)| *worse).collect::<Vec<_>>());
    let better = holm::adjusted(&p.iter().map(|(_, better)| *better).collect::<Vec<_>>());
    let level = LEVEL / tested.len().max(1) as f64;
    for ((at, worse), better) in tested.iter().zip(worse).zip(better) {
        changes[*at].provable = pairs[*at].provable(rules.margin, level);
        pairs[*at].judge(&mut changes[*at], (worse, better), rules.margin);
    }
    for (pair, change) in pairs.iter().zip(&mut changes) {
        let unmet = pair.before.is_unmet() && pair.after.is_unmet() && change.judgement == Judgement::CannotKnow;
        if unmet && pair.quantity == Quantity::Ceiling {
            change.why = Some(pair.silence.unwrap_or(Silence::AtLeast));
        }
    }
    Judged { changes, tested: tested.len() }
}

#[cfg(test)]
mod tests;

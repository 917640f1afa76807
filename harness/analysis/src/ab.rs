//! A/B: two targets of one run, whose trials all ran in one shuffle. That is an experiment: what the machine did meanwhile
//! fell on both by chance alone, so the exact test of `permutation` needs no assumption about it.
//!
//! The base may be in the run twice, under another name: the same bytes. Then its trials count as one arm, which proves
//! smaller changes, and the difference between the two is shown as the noise of the run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arms::{self, Arm, Change, FLOOR, Judgement, LEVEL, Pair, Rules, Silence};
use super::findings::{CellFindings, Findings};
use super::numbers::Quantity;
use wsceiling_model::matrix::{Cell, Order, names};
use wsceiling_model::record::{Cause, Hint, Outcome};

/// The question to a run.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The target before the change.
    pub base: String,
    /// The target after it.
    pub head: String,
    /// The target that is the base once more.
    pub again: Option<String>,
    /// Numbers that are judged, decided on before the run; empty: all.
    pub only: Vec<Quantity>,
    /// No smaller change is confirmed, as a share; at least [`FLOOR`] applies.
    pub floor: f64,
    /// The same for single numbers, where more is known of their noise.
    pub floors: BTreeMap<Quantity, f64>,
}

impl Question {
    /// No smaller change of this number is confirmed.
    fn floor_of(&self, quantity: Quantity) -> f64 {
        self.floor.max(FLOOR).max(self.floors.get(&quantity).copied().unwrap_or_default())
    }
}

/// Why a run cannot answer it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The trials ran in rounds.
    #[error(
        "the trials of this run ran in rounds, so no exact test may compare its targets\n\
         hint: set `order = \"shuffled\"` in `[run]` and measure again; `compare` puts two runs side by side"
    )]
    InRounds,
    /// A target that the run does not have.
    #[error("the run has no target `{name}`\nhint: {hint}")]
    UnknownTarget {
        /// Its name.
        name: String,
        /// What to write instead.
        hint: String,
    },
    /// One target in two roles.
    #[error(
        "`{name}` is given twice\nhint: base, head and the base again are three targets of the matrix; two may start the \
         same program"
    )]
    Twice {
        /// Its name.
        name: String,
    },
    /// No cell of one has its like among those of the other.
    #[error(
        "no cell of `{head}` has its like among the cells of `{base}`\n\
         hint: both need the same runtime, instances, front, size and scenario"
    )]
    NothingInCommon {
        /// The base.
        base: String,
        /// The head.
        head: String,
    },
}

/// What a run says of two of its targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ab {
    /// `<start> <name>` of the run.
    pub run: String,
    /// The older target.
    pub base: String,
    /// The newer one.
    pub head: String,
    /// The older one once more.
    pub again: Option<String>,
    /// Seed of the shuffle.
    pub seed: u64,
    /// Probability of a false `confirmed-worse`.
    pub level: f64,
    /// Numbers that were tested together.
    pub tested: u32,
    /// Cells of the newer target, in the order of the run.
    pub cells: Vec<AbCell>,
    /// The gravest of all judgements.
    pub judgement: Judgement,
    /// Numbers with each judgement.
    pub counts: Counts,
    /// Cells of the older target whose like the newer one does not have.
    pub only_base: Vec<String>,
}

/// How many numbers have a judgement. What was not asked for, or is a part of another number, does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Confirmed worse.
    pub worse: u32,
    /// Confirmed better.
    pub better: u32,
    /// Changed, and not confirmed.
    pub not_confirmed: u32,
    /// The same.
    pub same: u32,
    /// Nothing can be said.
    pub cannot_know: u32,
    /// Not measured on a side.
    pub not_measured: u32,
}

/// A cell of the newer target, with its like of the older one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AbCell {
    /// Its id.
    pub cell: String,
    /// Id of the older one; `None`: there is none.
    pub base: Option<String>,
    /// How the trials of the older one ended.
    pub outcome_base: Option<Outcome>,
    /// How its own did.
    pub outcome_head: Outcome,
    /// What stopped the older one.
    pub cause_base: Option<Cause>,
    /// What stopped it.
    pub cause_head: Option<Cause>,
    /// Why it, or the older one, was not measured.
    pub reason: Option<String>,
    /// What to do about that.
    pub hint: Option<Hint>,
    /// The numbers.
    pub changes: Vec<Change>,
    /// Noise of the run: the base against itself, for each of the numbers that both have.
    pub noise: Vec<Change>,
    /// The gravest of the judgements.
    pub judgement: Judgement,
}

impl AbCell {
    /// What the base did against itself.
    pub fn noise_of(&self, quantity: Quantity) -> Option<&Change> {
        self.noise.iter().find(|noise| noise.quantity == quantity)
    }
}

/// A cell of the head with those of the base and of the base again.
struct Alike<'a> {
    head: &'a CellFindings,
    base: Option<&'a CellFindings>,
    again: Option<&'a CellFindings>,
}

/// A question with what the run has to answer it.
struct Asked<'a> {
    question: &'a Question,
    alike: Vec<Alike<'a>>,
    noise: Vec<Vec<Change>>,
    /// Of each cell.
    pairs: Vec<Vec<Pair>>,
}

/// Judges the newer target of a run against the older one.
///
/// # Errors
/// When the run is no experiment on these targets.
pub fn judge_targets(findings: &Findings, question: &Question) -> Result<Ab, NoAnswer> {
    let asked = Asked::new(findings, question, false)?;
    let judged = judge_pairs([&asked]);
    let mut changes = judged.changes.into_iter();
    Ok(asked.answer(findings, &mut changes, judged.tested))
}

/// Judges several targets against their older ones. All numbers are tested together, so that the probability of a false
/// conviction holds for the run as a whole. Of a newer target only the cells that the older one has are judged.
///
/// # Errors
/// When the run is no experiment on some of them.
pub fn judge_together(findings: &Findings, questions: &[Question]) -> Result<Vec<Ab>, NoAnswer> {
    let asked = questions.iter().map(|question| Asked::new(findings, question, true));
    let all: Vec<Asked<'_>> = asked.collect::<Result<_, NoAnswer>>()?;
    let judged = judge_pairs(&all);
    let mut changes = judged.changes.into_iter();
    Ok(all.iter().map(|asked| asked.answer(findings, &mut changes, judged.tested)).collect())
}

fn judge_pairs<'a>(asked: impl IntoIterator<Item = &'a Asked<'a>>) -> arms::Judged {
    let (mut flat, mut again) = (Vec::new(), false);
    for asked in asked {
        flat.extend(asked.pairs.iter().flatten().cloned());
        again |= asked.question.again.is_some();
    }
    arms::judge(&flat, Rules { margin: 0.0, cells_before: 1 + usize::from(again) })
}

impl<'a> Asked<'a> {
    /// `paired`: of the newer target only the cells that the older one has.
    fn new(findings: &'a Findings, question: &'a Question, paired: bool) -> Result<Self, NoAnswer> {
        check(findings, question)?;
        let alike: Vec<Alike<'_>> = of_target(findings, &question.head)
            .map(|head| Alike {
                head,
                base: like(findings, &question.base, head),
                again: question.again.as_ref().and_then(|again| like(findings, again, head)),
            })
            .filter(|cell| !paired || cell.base.is_some())
            .collect();
        if alike.iter().all(|cell| cell.base.is_none()) {
            return Err(NoAnswer::NothingInCommon { base: question.base.clone(), head: question.head.clone() });
        }
        let noise = noise(&alike);
        let pairs = alike.iter().zip(&noise).map(|(cell, noise)| pairs(cell, noise, question)).collect();
        Ok(Self { question, alike, noise, pairs })
    }

    /// The answer, of the next of all changes.
    fn answer(&self, findings: &Findings, changes: &mut impl Iterator<Item = Change>, tested: usize) -> Ab {
        let question = self.question;
        let cells: Vec<AbCell> = self
            .alike
            .iter()
            .zip(&self.pairs)
            .zip(&self.noise)
            .map(|((cell, pairs), noise)| ab_cell(cell, changes.by_ref().take(pairs.len()).collect(), noise.clone()))
            .collect();
        let only_base =
            of_target(findings, &question.base).filter(|base| like(findings, &question.head, base).is_none());
        Ab {
            run: format!("{} {}", findings.header.started, findings.header.run.name),
            base: question.base.clone(),
            head: question.head.clone(),
            again: question.again.clone(),
            seed: findings.header.run.seed,
            level: LEVEL,
            tested: tested as u32,
            judgement: cells.iter().map(|cell| cell.judgement).max().unwrap_or(Judgement::NotMeasured),
            counts: counts(&cells),
            only_base: only_base.map(|cell| cell.cell.id.clone()).collect(),
            cells,
        }
    }
}

fn check(findings: &Findings, question: &Question) -> Result<(), NoAnswer> {
    let mut known: Vec<&str> = findings.cells.iter().map(|cell| cell.cell.target.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let roles: Vec<&String> = [&question.base, &question.head].into_iter().chain(&question.again).collect();
    for (at, name) in roles.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let hint = names::unknown_hint(name, &known, "its targets are");
            return Err(NoAnswer::UnknownTarget { name: (*name).clone(), hint });
        }
        if roles[..at].contains(name) {
            return Err(NoAnswer::Twice { name: (*name).clone() });
        }
    }
    if findings.header.run.order == Order::Shuffled { Ok(()) } else { Err(NoAnswer::InRounds) }
}

fn of_target<'a>(findings: &'a Findings, target: &'a str) -> impl Iterator<Item = &'a CellFindings> {
    findings.cells.iter().filter(move |cell| cell.cell.target == target)
}

/// The cell of a target that is like this one.
fn like<'a>(findings: &'a Findings, target: &'a str, cell: &CellFindings) -> Option<&'a CellFindings> {
    of_target(findings, target).find(|other| are_alike(&other.cell, &cell.cell))
}

/// Whether two cells differ in nothing but their target.
fn are_alike(a: &Cell, b: &Cell) -> bool {
    (a.runtime, a.instances, &a.front, &a.size, a.scenario) == (b.runtime, b.instances, &b.front, &b.size, b.scenario)
}

/// The base against itself, all cells tested together.
fn noise(alike: &[Alike<'_>]) -> Vec<Vec<Change>> {
    let pairs = |cell: &Alike<'_>| {
        let (Some(base), Some(again)) = (cell.base, cell.again) else { return Vec::new() };
        let pair = |quantity| Pair {
            quantity,
            before: Arm::of(base.trials.iter(), quantity),
            after: Arm::of(again.trials.iter(), quantity),
            floor: FLOOR,
            silence: None,
        };
        let known = |pair: &Pair| !pair.before.values.is_empty() && !pair.after.values.is_empty();
        Quantity::JUDGED.into_iter().map(pair).filter(known).collect()
    };
    let pairs: Vec<Vec<Pair>> = alike.iter().map(pairs).collect();
    let flat: Vec<Pair> = pairs.iter().flatten().cloned().collect();
    let mut changes = arms::judge(&flat, Rules { margin: 0.0, cells_before: 1 }).changes.into_iter();
    pairs.iter().map(|pairs| changes.by_ref().take(pairs.len()).collect()).collect()
}

/// The numbers of a cell that either target has. What the base does against itself is the least that the head has to do.
fn pairs(cell: &Alike<'_>, noise: &[Change], question: &Question) -> Vec<Pair> {
    let before: Vec<_> = cell.base.into_iter().chain(cell.again).flat_map(|cell| &cell.trials).collect();
    let pair = |quantity: Quantity| {
        let noise = noise.iter().find(|noise| noise.quantity == quantity);
        let moved = noise.and_then(|noise| noise.ratio).map_or(0.0, f64::abs);
        let differs = noise
            .is_some_and(|noise| matches!(noise.judgement, Judgement::ConfirmedWorse | Judgement::ConfirmedBetter));
        let silence = if !Quantity::JUDGED.contains(&quantity) {
            Some(Silence::PartOfCpu)
        } else if !question.only.is_empty() && !question.only.contains(&quantity) {
            Some(Silence::NotAsked)
        } else {
            differs.then_some(Silence::DiffersFromItself)
        };
        Pair {
            quantity,
            before: Arm::of(before.iter().copied(), quantity),
            after: Arm::of(cell.head.trials.iter(), quantity),
            floor: question.floor_of(quantity).max(moved),
            silence,
        }
    };
    let known = |pair: &Pair| !pair.before.values.is_empty() || !pair.after.values.is_empty();
    Quantity::ALL.into_iter().map(pair).filter(known).collect()
}

fn ab_cell(cell: &Alike<'_>, changes: Vec<Change>, noise: Vec<Change>) -> AbCell {
    let cause = |cell: &CellFindings| cell.verdict.as_ref().map(|verdict| verdict.cause);
    let unmeasured = [Some(cell.head), cell.base].into_iter().flatten().find(|cell| cell.ceiling.is_none());
    AbCell {
        cell: cell.head.cell.id.clone(),
        base: cell.base.map(|base| base.cell.id.clone()),
        outcome_base: cell.base.map(|base| base.outcome),
        outcome_head: cell.head.outcome,
        cause_base: cell.base.and_then(cause),
        cause_head: cause(cell.head),
        reason: unmeasured.and_then(|cell| cell.reason.clone()),
        hint: unmeasured.and_then(|cell| cell.hint.clone()),
        judgement: changes.iter().map(|change| change.judgement).max().unwrap_or(Judgement::NotMeasured),
        changes,
        noise,
    }
}

fn counts(cells: &[AbCell]) -> Counts {
    let mut counts = Counts::default();
    for cell in cells {
        if cell.changes.is_empty() {
            counts.not_measured += 1;
        }
        for change in &cell.changes {
            if matches!(change.why, Some(Silence::PartOfCpu | Silence::NotAsked)) {
                continue;
            }
            *match change.judgement {
                Judgement::ConfirmedWorse => &mut counts.worse,
                Judgement::ConfirmedBetter => &mut counts.better,
                Judgement::NotConfirmed => &mut counts.not_confirmed,
                Judgement::Same => &mut counts.same,
                Judgement::CannotKnow => &mut counts.cannot_know,
                Judgement::NotMeasured => &mut counts.not_measured,
            } += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests;

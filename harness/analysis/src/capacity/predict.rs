//! What so many instances of a size hold.

use serde::Serialize;

use super::first::{Chance, Z_90, first};
use super::limits::{Beyond, Limit, Limits, Origin};
use super::line::scatter;
use super::restart::{Restart, restart};
use super::set_up::{same_limits, size_of, stopped};
use crate::findings::CellFindings;
use wsceiling_model::matrix::Size;
use wsceiling_model::record::Cause;

/// What a prediction rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "beyond")]
pub enum Basis {
    /// A cell of the run has this size and number of instances, and met its limit.
    Measured,
    /// Between what was measured.
    Interpolated,
    /// Beyond what was measured, in these respects.
    Extrapolated(Vec<Beyond>),
}

/// What a cell of this size and number of instances did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Its id.
    pub cell: String,
    /// Connections at which it stopped, or that it held.
    pub connections: u64,
    /// It met no ceiling.
    pub at_least: bool,
}

/// What so many instances of a size hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Instances.
    pub instances: u32,
    /// Connections that all instances hold together: the median.
    pub held: f64,
    /// The 90 % interval.
    pub interval: (f64, f64),
    /// What stops them there.
    pub cause: Cause,
    /// Probability that it is that.
    pub probability: f64,
    /// What stops them otherwise, and its probability; `None`: nothing else is near.
    pub otherwise: Option<(Cause, f64)>,
    /// Where the limit is known from.
    pub origin: Origin,
    /// Whether that was measured.
    pub basis: Basis,
    /// The cell of that size, where the run has one.
    pub measured: Option<Measured>,
    /// A restart of everyone who is held; `None`: the rate of opening is not known.
    pub restart: Option<Restart>,
}

/// Causes less likely than this are not told.
const UNLIKELY: f64 = 0.05;

/// `None`: nothing is known to limit this size, or it holds nothing.
pub(super) fn predict(limits: &Limits<'_, '_>, size: &Size, instances: u32) -> Option<Prediction> {
    let all = limits.at(size, instances);
    let found = first(&all.iter().map(|limit| limit.chance).collect::<Vec<_>>())?;
    let ((cause, probability), otherwise) = causes(&all, &found.probabilities)?;
    let limit = all.iter().filter(|limit| limit.cause == cause);
    let limit = limit.min_by(|a, b| a.chance.connections.total_cmp(&b.chance.connections))?;
    let mut beyond = limit.beyond.clone();
    beyond.sort_unstable();
    let basis = if beyond.is_empty() { Basis::Interpolated } else { Basis::Extrapolated(beyond) };
    let predicted = Prediction {
        instances,
        held: found.connections,
        interval: found.interval,
        cause,
        probability,
        otherwise,
        origin: limit.origin,
        basis,
        measured: None,
        restart: None,
    };
    let mut predicted = with_measured(limits, size, predicted);
    predicted.restart = restart(limits.set_up, size, limits.usable_cpus(size), predicted.held, instances);
    Some(predicted)
}

/// A cause and its probability.
type Likely = (Cause, f64);

/// The likeliest cause, and the next one.
fn causes(all: &[Limit], probabilities: &[f64]) -> Option<(Likely, Option<Likely>)> {
    let mut causes: Vec<(Cause, f64)> = Vec::new();
    for (limit, probability) in all.iter().zip(probabilities) {
        match causes.iter_mut().find(|(cause, _)| *cause == limit.cause) {
            Some((_, sum)) => *sum += probability,
            None => causes.push((limit.cause, *probability)),
        }
    }
    causes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Some((*causes.first()?, causes.get(1).copied().filter(|(_, probability)| *probability >= UNLIKELY)))
}

/// With what a cell of this very size measured, under the messages of the run: a ceiling that was met is better known than any
/// prediction, and one that was not met is a lower bound.
fn with_measured(limits: &Limits<'_, '_>, size: &Size, predicted: Prediction) -> Prediction {
    let set_up = limits.set_up;
    let is_this = |cell: &&&CellFindings| {
        cell.cell.instances == predicted.instances && same_limits(size_of(set_up.header, &cell.cell), Some(size))
    };
    let Some(cell) = set_up.cells.iter().find(is_this) else { return predicted };
    let Some(ceiling) = &cell.ceiling else { return predicted };
    let as_run = set_up.asked == set_up.run;
    let (Some(met), true) = (stopped(set_up.header, cell), as_run) else {
        let held = ceiling.connections as f64;
        let floor = |value: f64| if as_run { value.max(held) } else { value };
        let measured = Measured { cell: cell.cell.id.clone(), connections: ceiling.connections, at_least: true };
        return Prediction {
            held: floor(predicted.held),
            interval: (floor(predicted.interval.0), floor(predicted.interval.1)),
            measured: as_run.then_some(measured),
            ..predicted
        };
    };
    let held = met.held();
    let spread = Z_90 * scatter(&[met.met(0.0)]).0;
    let chance = Chance { connections: held, spread };
    let measured = Measured { cell: cell.cell.id.clone(), connections: held as u64, at_least: false };
    Prediction {
        held: chance.connections,
        interval: (held * (-spread).exp(), held * spread.exp()),
        cause: met.cause,
        probability: cell.verdict.as_ref().map_or(1.0, |verdict| verdict.confidence),
        otherwise: None,
        origin: Origin::Met,
        basis: Basis::Measured,
        measured: Some(measured),
        ..predicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_one_cause_are_as_likely_as_all_of_them_together() {
        let limit = |cause| Limit {
            cause,
            origin: Origin::Counted,
            chance: Chance { connections: 1.0, spread: 0.1 },
            beyond: Vec::new(),
        };
        let all = [Cause::ProxyCap, Cause::CpuQuota, Cause::ProxyCap].map(limit);
        let found = causes(&all, &[0.25, 0.5, 0.25 + 1e-9]).unwrap();
        assert_eq!((found.0.0, found.1.map(|(cause, _)| cause)), (Cause::ProxyCap, Some(Cause::CpuQuota)));
        assert_eq!(causes(&all, &[0.02, 0.96, 0.02]).unwrap(), ((Cause::CpuQuota, 0.96), None), "not near enough");
    }
}

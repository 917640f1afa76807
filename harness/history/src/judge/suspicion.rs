//! Whether a number of a night is suspicious, and why.

use serde::Serialize;

use super::control::{Control, explains};
use crate::change_points::{can_change_by, recent_change_points};
use crate::fence::{Deviations, Fence, fence};
use crate::history::{History, Point, Series};
use crate::night::{CellLine, Metric};
use crate::rules::Rules;
use crate::series::{Seam, seams};
use wsceiling_model::record::{Cause, Outcome};

/// A usual ending has this share of the nights before.
const USUAL: f64 = 0.8;

/// Why something is suspected.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Why {
    /// It is outside of the fence of the nights before.
    BeyondFence,
    /// From a night on it is another number.
    ChangePoint {
        /// Probability by chance.
        p: f64,
        /// Nights that have the new number.
        nights: usize,
    },
    /// The history does not suspect it; tonight's experiment on its cell proves it.
    Proven,
    /// It ends as it never did in the nights before.
    EndsDifferently {
        /// How it usually ends.
        usual: String,
        /// How it ended.
        tonight: String,
    },
}

/// A suspicion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspicion {
    /// Why.
    pub why: Vec<Why>,
    /// The change as a difference of logarithms; `None`: it is of no number.
    pub change: Option<f64>,
    /// The change over the floor.
    pub strength: Option<f64>,
    /// The last night that had the old number.
    pub from: usize,
    /// The first that has the new one.
    pub to: usize,
    /// What changed between both beside the code.
    pub seams: Vec<Seam>,
    /// The controls did the same, so the machine explains it.
    pub excused: bool,
}

/// What the nights before say of a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The fence; `None`: too few nights.
    pub fence: Option<Fence>,
    /// The suspicion.
    pub suspicion: Option<Suspicion>,
}

/// What a number is compared with.
pub struct Asked<'a> {
    /// The smallest change that is believed, as a difference of logarithms.
    pub floor: f64,
    /// How far from the median is news, with as many numbers as are tested in the night.
    pub deviations: &'a Deviations,
    /// The same of one number alone, for what is left without what the controls did.
    pub alone: &'a Deviations,
    /// What the controls did.
    pub control: &'a Control,
    /// See [`Rules`].
    pub rules: &'a Rules,
}

/// Checks the last of these points against those before.
pub fn check(history: &History, series: &Series, metric: Metric, points: &[Point], asked: &Asked<'_>) -> Checked {
    let Some((last, before)) = points.split_last() else { return Checked { fence: None, suspicion: None } };
    let rest = asked.control.rest(points);
    // Without a control all of the change is left.
    let is_excused = |change: f64, of_rest: &dyn Fn(&[Point]) -> Option<f64>| match &rest {
        Some(rest) => explains(change, of_rest(rest)),
        None => false,
    };
    let (fence, beyond) = beyond(points, asked.deviations, asked);
    let mut why = Vec::new();
    let mut excused = true;
    let mut found: Option<(f64, usize, usize)> = None;
    if let (Some(change), Some(previous)) = (beyond, before.last()) {
        why.push(Why::BeyondFence);
        excused &= is_excused(change, &|rest| self::beyond(rest, asked.alone, asked).1);
        found = Some((change, previous.night, last.night));
    }
    if let Some((change, p, at)) = changed(series, metric, points, asked) {
        why.push(Why::ChangePoint { p, nights: points.len() - at });
        excused &= is_excused(change, &|rest| changed(series, metric, rest, asked).map(|(change, ..)| change));
        // The night of a change point is surer than that of one value.
        let largest = found.map_or(change, |(beyond, ..)| if beyond.abs() > change.abs() { beyond } else { change });
        found = Some((largest, points[at - 1].night, points[at].night));
    }
    let suspicion = found.map(|(change, from, to)| Suspicion {
        why,
        change: Some(change),
        strength: Some(change.abs() / asked.floor),
        from,
        to,
        seams: seams(history.header(from), history.header(to)),
        excused,
    });
    Checked { fence, suspicion }
}

/// The fence of all points but the last, and by how much the last is off, if it is outside and that is above the floor.
fn beyond(points: &[Point], deviations: &Deviations, asked: &Asked<'_>) -> (Option<Fence>, Option<f64>) {
    let Some((last, before)) = points.split_last() else { return (None, None) };
    let values: Vec<f64> = before.iter().map(|point| point.ln).collect();
    let Some(fence) = fence(&values, deviations, asked.rules) else { return (None, None) };
    let change = last.ln - fence.median;
    (Some(fence), (fence.is_beyond(last.ln) && change.abs() > asked.floor).then_some(change))
}

/// The last recent change point above the floor, unless what came after took it back: its change, its probability, and the
/// index of its first point.
fn changed(series: &Series, metric: Metric, points: &[Point], asked: &Asked<'_>) -> Option<(f64, f64, usize)> {
    let &Asked { floor, rules, .. } = asked;
    let start = points.len().saturating_sub(rules.window);
    let values: Vec<f64> = points[start..].iter().map(|point| point.ln).collect();
    let search = rules.search(&series.key, metric);
    if !can_change_by(&values, rules.recent, floor, &search) {
        return None;
    }
    let recent = recent_change_points(&values, rules.recent, &search);
    let net = recent.last()?.after - recent.first()?.before;
    let last = recent.iter().rfind(|point| point.change().abs() > floor).filter(|_| net.abs() > floor)?;
    Some((last.change(), last.p, start + last.at))
}

/// Whether a cell ends as it never did in the nights before, which agreed.
pub fn ends_differently(history: &History, series: &Series, night: usize, rules: &Rules) -> Option<Suspicion> {
    let now = history.line(series.at(night)?);
    let tonight = ending(now)?;
    let before = series.places.iter().rev().filter(|place| place.night < night).take(rules.nights);
    let nights: Vec<_> = before.map(|place| (place.night, ending(history.line(*place)))).collect();
    if nights.len() < rules.noise_least || nights.iter().any(|(_, other)| *other == Some(tonight)) {
        return None;
    }
    let (from, usual) = nights.iter().find_map(|(night, ending)| Some((*night, (*ending)?)))?;
    let same = nights.iter().filter(|(_, other)| *other == Some(usual)).count();
    if (same as f64) < USUAL * nights.len() as f64 {
        return None;
    }
    Some(Suspicion {
        why: vec![Why::EndsDifferently { usual: words(usual), tonight: words(tonight) }],
        change: None,
        strength: None,
        from,
        to: night,
        seams: seams(history.header(from), history.header(night)),
        excused: false,
    })
}

/// How a cell ended; `None`: that says nothing about a server, since the machine, the client or the user ended it.
fn ending(line: &CellLine) -> Option<(Outcome, Option<Cause>)> {
    match line.outcome {
        Outcome::Invalid | Outcome::Skipped | Outcome::Killed => None,
        Outcome::Ceiling => Some((Outcome::Ceiling, line.cause)),
        outcome => Some((outcome, None)),
    }
}

fn words((outcome, cause): (Outcome, Option<Cause>)) -> String {
    match (outcome, cause) {
        (Outcome::Ok, _) => "reached the end".into(),
        (Outcome::Ceiling, Some(cause)) => cause.to_string(),
        (outcome, _) => outcome.to_string(),
    }
}

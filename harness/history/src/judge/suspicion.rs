//! Whether a number of a night is suspicious, and why.

use serde::Serialize;

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
}

/// What the nights before say of a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The fence; `None`: too few nights.
    pub fence: Option<Fence>,
    /// The suspicion.
    pub suspicion: Option<Suspicion>,
}

/// Checks the last of these points against those before.
pub fn check(
    history: &History,
    series: &Series,
    metric: Metric,
    points: &[Point],
    floor: f64,
    deviations: &Deviations,
    rules: &Rules,
) -> Checked {
    let Some((last, before)) = points.split_last() else { return Checked { fence: None, suspicion: None } };
    let values: Vec<f64> = before.iter().map(|point| point.ln).collect();
    let fence = fence(&values, deviations, rules);
    let mut why = Vec::new();
    let mut found: Option<(f64, usize, usize)> = None;
    if let (Some(fence), Some(previous)) = (fence, before.last()) {
        let change = last.ln - fence.median;
        if fence.is_beyond(last.ln) && change.abs() > floor {
            why.push(Why::BeyondFence);
            found = Some((change, previous.night, last.night));
        }
    }
    if let Some((change, p, at)) = changed(series, metric, points, floor, rules) {
        why.push(Why::ChangePoint { p, nights: points.len() - at });
        // The night of a change point is surer than that of one value.
        let largest = found.map_or(change, |(beyond, ..)| if beyond.abs() > change.abs() { beyond } else { change });
        found = Some((largest, points[at - 1].night, points[at].night));
    }
    let suspicion = found.map(|(change, from, to)| Suspicion {
        why,
        change: Some(change),
        strength: Some(change.abs() / floor),
        from,
        to,
        seams: seams(history.header(from), history.header(to)),
    });
    Checked { fence, suspicion }
}

/// The last recent change point above the floor, unless what came after took it back: its change, its probability, and the
/// index of its first point.
fn changed(series: &Series, metric: Metric, points: &[Point], floor: f64, rules: &Rules) -> Option<(f64, f64, usize)> {
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

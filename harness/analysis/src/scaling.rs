//! How the ceiling goes with the number of instances, and what that says of where the limit is.
//!
//! Twice as many instances that hold twice as much are each at a limit of their own (or at one of each pair of
//! addresses). Instances that hold the same together as one alone, evenly spread, share what stops them.

use super::findings::{CellFindings, Reading, Scaling, ScalingPoint};
use super::pattern::FailurePattern;
use wsceiling_model::format;
use wsceiling_model::matrix::Cell;
use wsceiling_model::record::{Cause, Outcome, StepRecord};

/// Share of a full gain from which instances count as adding up, and gain up to which they count as adding nothing.
const ADDS_UP: f64 = 0.85;
const ADDS_NOTHING: f64 = 1.15;
/// The fullest instance has at most so much more than the emptiest in an even spread.
const EVEN: f64 = 1.2;
/// Causes that belong to the machine, which all instances of a run share.
const OF_THE_MACHINE: [Cause; 4] = [Cause::CpuSaturated, Cause::HostMemory, Cause::TcpMemory, Cause::ConntrackFull];

/// The set-ups that were measured with at least two numbers of instances.
pub(super) fn scaling(cells: &[CellFindings]) -> Vec<Scaling> {
    let mut groups: Vec<Vec<&CellFindings>> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.ceiling.is_some()) {
        match groups.iter_mut().find(|group| same(&group[0].cell, &cell.cell)) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups.into_iter().filter_map(of_group).collect()
}

/// Whether two cells differ in nothing but their instances.
fn same(a: &Cell, b: &Cell) -> bool {
    let alike = Cell { id: b.id.clone(), instances: b.instances, ..a.clone() };
    alike == *b
}

fn of_group(mut group: Vec<&CellFindings>) -> Option<Scaling> {
    group.sort_by_key(|cell| cell.cell.instances);
    let first = group.first()?.ceiling.as_ref()?.connections;
    let points: Vec<ScalingPoint> = group.iter().filter_map(|cell| point(cell, first)).collect();
    let [lone, more @ ..] = &points[..] else { return None };
    let gained = |point: &ScalingPoint| point.ratio.unwrap_or(f64::INFINITY);
    let adds_up =
        |point: &ScalingPoint| gained(point) >= ADDS_UP * f64::from(point.instances) / f64::from(lone.instances);
    // Where the load ended first, the gain is at least this much: it can show that they add up, and nothing else.
    let most = more.iter().rfind(|point| !point.at_least || adds_up(point));
    let unmet = lone.at_least || most.is_none() || group.iter().all(|cell| churns(cell));
    let most = most.or(more.last())?;
    let gain = gained(most);
    let machine = group.iter().filter_map(|cell| cell.verdict.as_ref());
    let machine = machine.filter(|verdict| OF_THE_MACHINE.contains(&verdict.cause)).count();
    let uneven = points.iter().any(|point| !is_even(&point.spread));
    let reading = if unmet {
        Reading::OfferedLoad
    } else if adds_up(most) {
        Reading::PerInstance
    } else if machine * 2 >= group.len() {
        Reading::SharedMachine
    } else if (1.0 / ADDS_NOTHING..=ADDS_NOTHING).contains(&gain) && !uneven {
        Reading::SharedHop
    } else {
        Reading::Partly
    };
    Some(Scaling { what: what(&group[0].cell), sentence: sentence(&points, reading, gain), points, reading })
}

fn point(found: &CellFindings, first: u64) -> Option<ScalingPoint> {
    let ceiling = found.ceiling.as_ref()?;
    Some(ScalingPoint {
        cell: found.cell.id.clone(),
        instances: found.cell.instances,
        connections: ceiling.connections,
        at_least: ceiling.at_least,
        ratio: (first > 0).then(|| ceiling.connections as f64 / first as f64),
        spread: last_step(found).map(|step| spread(step, found.cell.instances)).unwrap_or_default(),
        cause: found.verdict.as_ref().map(|verdict| verdict.cause).filter(|cause| *cause != Cause::None),
    })
}

/// The step whose spread is shown, of the first valid trial.
fn last_step(found: &CellFindings) -> Option<&StepRecord> {
    let valid = |outcome| matches!(outcome, Outcome::Ok | Outcome::Ceiling);
    telling(&found.trials.iter().find(|trial| valid(trial.record.outcome))?.record.steps)
}

/// The step that failed, or the last good one where none did or where the failed one had lost most: after a collapse
/// there is nothing left to spread.
fn telling(steps: &[StepRecord]) -> Option<&StepRecord> {
    let good = steps.iter().rfind(|step| step.passed);
    let failed = steps.iter().find(|step| !step.passed);
    failed.filter(|step| good.is_none_or(|good| step.open >= good.open / 2)).or(good).or(failed)
}

fn spread(step: &StepRecord, instances: u32) -> Vec<u64> {
    let known = [&step.upstream_spread, &step.spread].into_iter().find(|spread| spread.len() == instances as usize);
    known.cloned().unwrap_or_default()
}

fn is_even(spread: &[u64]) -> bool {
    let (least, most) = (spread.iter().min(), spread.iter().max());
    // A handful more on one of them is chance.
    least.zip(most).is_none_or(|(least, most)| *most as f64 <= EVEN * *least as f64 + 10.0)
}

/// As many connections close as open: held is rate times lifetime, whatever stands behind it.
fn churns(found: &CellFindings) -> bool {
    found.verdict.as_ref().is_some_and(|verdict| verdict.pattern == FailurePattern::Churn)
}

/// `echo docker nginx small`.
fn what(cell: &Cell) -> String {
    let mut parts = vec![cell.target.clone(), cell.runtime.to_string()];
    parts.extend(cell.front.clone());
    parts.extend(cell.size.clone());
    if cell.scenario != wsceiling_model::matrix::Scenario::Idle {
        parts.push(cell.scenario.to_string());
    }
    parts.join(" ")
}

fn sentence(points: &[ScalingPoint], reading: Reading, gain: f64) -> String {
    let list = |texts: Vec<String>| match &texts[..] {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    };
    let count = |point: &ScalingPoint| {
        format!("{}{}", if point.at_least { "at least " } else { "" }, format::whole(point.connections as f64))
    };
    let held = list(points.iter().map(count).collect());
    let instances = list(points.iter().map(|point| point.instances.to_string()).collect());
    let causes: Vec<Cause> = points.iter().filter_map(|point| point.cause).collect();
    let cause = match &causes[..] {
        [first, rest @ ..] if rest.iter().all(|cause| cause == first) => format!(" ({first})"),
        _ => String::new(),
    };
    let meaning = match reading {
        Reading::PerInstance => format!(
            "the limit{cause} is one of each instance, or of each pair of addresses, and more instances raise it"
        ),
        Reading::SharedHop => format!(
            "more instances only spread the connections out, so the limit{cause} is in something they all share"
        ),
        Reading::SharedMachine => {
            format!("the instances share one machine, and its limit{cause} does not grow with them")
        }
        Reading::OfferedLoad if points.first().is_some_and(|point| !point.at_least) => {
            "with more of them the load ended first, so it does not tell".to_owned()
        }
        Reading::OfferedLoad => "no ceiling was met, so this load does not tell".to_owned(),
        Reading::Partly => format!("that is {} times as much: some of the limit is shared", format::number(gain)),
    };
    format!("Held {held} with {instances} instances: {meaning}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Ceiling;
    use crate::verdict::Verdict;
    use wsceiling_model::matrix::{Runtime, Scenario};

    fn cell(instances: u32, connections: u64, cause: Cause) -> CellFindings {
        let at_least = cause == Cause::None;
        let ceiling = Ceiling {
            connections,
            low: connections,
            high: (!at_least).then_some(connections + 10),
            at_least,
            unmet: u32::from(at_least),
            peak: connections,
            valid: 1,
            trials: 1,
        };
        let verdict = Verdict {
            pattern: FailurePattern::Plateau,
            cause,
            sentence: String::new(),
            fix: None,
            confidence: 0.85,
            evidence: Vec::new(),
            onset_ms: None,
            runner_up: None,
            chain: Vec::new(),
            seen: None,
        };
        CellFindings {
            cell: Cell {
                id: format!("echo-docker-x{instances}-edge"),
                target: "echo".into(),
                runtime: Runtime::Docker,
                instances,
                front: Some("edge".into()),
                size: None,
                scenario: Scenario::Idle,
            },
            size: None,
            endings: Vec::new(),
            outcome: Outcome::Ceiling,
            reason: None,
            hint: None,
            ceiling: Some(ceiling),
            confirmations: crate::confirm::Confirmations::default(),
            wall: None,
            verdict: Some(verdict),
            memory: None,
            cpu: None,
            connections_per_price: None,
            trials: Vec::new(),
        }
    }

    fn reading(held: [u64; 3], cause: Cause) -> Scaling {
        let cells: Vec<_> = [1, 2, 4].into_iter().zip(held).map(|(n, held)| cell(n, held, cause)).collect();
        let mut found = scaling(&cells);
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn the_shape_over_instances_says_where_the_limit_is() {
        let shared = reading([2000, 2000, 2010], Cause::PortExhaustion);
        assert_eq!(shared.reading, Reading::SharedHop);
        assert_eq!(
            shared.sentence,
            "Held 2,000, 2,000 and 2,010 with 1, 2 and 4 instances: more instances only spread the connections out, so \
             the limit (port-exhaustion) is in something they all share."
        );
        assert_eq!(reading([993, 1986, 3972], Cause::ServerDescriptors).reading, Reading::PerInstance);
        assert_eq!(reading([2000, 2100, 2100], Cause::CpuSaturated).reading, Reading::SharedMachine);
        assert_eq!(reading([2000, 3000, 4000], Cause::Unknown).reading, Reading::Partly);
        assert_eq!(reading([2000, 1000, 500], Cause::Unknown).reading, Reading::Partly);
        assert_eq!(reading([4000, 4000, 4000], Cause::None).reading, Reading::OfferedLoad);
        // A gate on latency is a ceiling like any other.
        assert_eq!(reading([300, 647, 1800], Cause::CpuQuota).reading, Reading::PerInstance);
        assert_eq!(reading([0, 0, 10], Cause::Unknown).points[1].ratio, None);
    }

    #[test]
    fn a_group_that_meets_no_ceiling_only_with_more_instances_still_grows() {
        let found = scaling(&[cell(1, 1000, Cause::ServerDescriptors), cell(2, 2000, Cause::None)]);
        assert_eq!(found[0].reading, Reading::PerInstance);
        // Two hold twice as much; how much four would hold, the load does not tell.
        let cells = [cell(1, 900, Cause::CpuQuota), cell(2, 1800, Cause::CpuQuota), cell(4, 2400, Cause::None)];
        assert_eq!(scaling(&cells)[0].reading, Reading::PerInstance);
        let found = scaling(&[cell(1, 2000, Cause::CpuQuota), cell(2, 2400, Cause::None)]);
        assert_eq!(found[0].reading, Reading::OfferedLoad);
        assert!(found[0].sentence.contains("the load ended first"), "{}", found[0].sentence);
    }

    #[test]
    fn the_spread_of_a_step_that_lost_everything_is_not_shown() {
        let step = |passed, open| StepRecord { open, passed, ..StepRecord::default() };
        let shown = |steps: &[StepRecord]| telling(steps).map(|step| step.open);
        assert_eq!(shown(&[step(true, 100), step(false, 180)]), Some(180));
        assert_eq!(shown(&[step(true, 100), step(true, 200), step(false, 0)]), Some(200));
        assert_eq!(shown(&[step(false, 7)]), Some(7));
        assert_eq!(shown(&[]), None);
    }

    #[test]
    fn set_ups_that_differ_in_more_than_instances_are_not_compared() {
        let mut other = cell(2, 2000, Cause::Unknown);
        other.cell.front = None;
        assert!(scaling(&[cell(1, 1000, Cause::Unknown), other]).is_empty());
        assert!(scaling(&[cell(1, 1000, Cause::Unknown)]).is_empty());
    }

    #[test]
    fn an_uneven_spread_is_no_shared_hop() {
        assert!(is_even(&[500, 505]) && is_even(&[]) && is_even(&[3, 9]));
        assert!(!is_even(&[100, 900]));
    }
}

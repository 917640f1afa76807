//! How the ceiling goes with the number of instances, and what that says of where the limit is.
//!
//! Twice as many instances that hold twice as much are each at a limit of their own (or at one of each pair of
//! addresses). Instances that hold the same together as one alone, evenly spread, share what stops them.

use super::findings::{CellFindings, Reading, Scaling, ScalingPoint};
use super::pattern::FailurePattern;
use wsceiling_model::format;
use wsceiling_model::matrix::Cell;
use wsceiling_model::record::{Cause, Outcome, RunHeader, StepRecord};

/// Share of a full gain from which instances count as adding up, and gain up to which they count as adding nothing.
const ADDS_UP: f64 = 0.85;
const ADDS_NOTHING: f64 = 1.15;
/// The fullest instance has at most so much more than the emptiest in an even spread.
const EVEN: f64 = 1.2;
/// Causes that belong to the machine, which all instances of a run share.
const OF_THE_MACHINE: [Cause; 4] = [Cause::CpuSaturated, Cause::HostMemory, Cause::TcpMemory, Cause::ConntrackFull];

/// The set-ups that were measured with at least two numbers of instances.
pub(super) fn scaling(header: &RunHeader, cells: &[CellFindings]) -> Vec<Scaling> {
    let set_up = |cell: &Cell| Cell { id: String::new(), instances: 0, ..set_up(header, cell) };
    groups(cells, set_up).into_iter().filter_map(of_group).collect()
}

/// What cells that differ in nothing but their size say, where the size moves nothing.
pub(super) fn sizes(header: &RunHeader, cells: &[CellFindings]) -> Vec<String> {
    let set_up = |cell: &Cell| Cell { id: String::new(), size: None, ..set_up(header, cell) };
    groups(cells, set_up).iter().filter_map(|group| of_sizes(group)).collect()
}

/// Cells with a ceiling, those of one set-up together.
fn groups(cells: &[CellFindings], set_up: impl Fn(&Cell) -> Cell) -> Vec<Vec<&CellFindings>> {
    let mut groups: Vec<Vec<&CellFindings>> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.ceiling.is_some()) {
        match groups.iter_mut().find(|group| set_up(&group[0].cell) == set_up(&cell.cell)) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// The set-up of a cell. Servers that somebody else runs are a target each; those on one platform are compared.
fn set_up(header: &RunHeader, cell: &Cell) -> Cell {
    let target = header.targets.iter().find(|target| target.name == cell.target);
    match target.and_then(|target| target.remote.as_ref()?.platform.as_ref()) {
        Some(platform) => Cell { target: platform.clone(), size: None, ..cell.clone() },
        None => cell.clone(),
    }
}

/// `None`: one size, no ceiling, or the size moves it.
fn of_sizes(group: &[&CellFindings]) -> Option<String> {
    let held: Vec<(&str, f64)> = group
        .iter()
        .filter_map(|cell| {
            let ceiling = cell.ceiling.as_ref().filter(|ceiling| !ceiling.at_least)?;
            Some((cell.cell.size.as_deref()?, ceiling.connections as f64))
        })
        .collect();
    let most = held.iter().map(|(_, held)| *held).fold(0.0, f64::max);
    let least = held.iter().map(|(_, held)| *held).fold(f64::INFINITY, f64::min);
    let all = held.len() == group.len() && held.len() > 1 && least > 0.0 && most <= ADDS_NOTHING * least;
    let churning = group.iter().all(|cell| churns(cell));
    (all && !churning).then(|| {
        let each = held.iter().map(|(size, held)| format!("{} with size {size}", format::whole(*held)));
        let each = each.collect::<Vec<_>>().join(", ");
        let what = what(&Cell { size: None, ..group[0].cell.clone() });
        format!(
            "{what}: held {each}: the size does not move the limit, so it is in something that they share{}",
            pair_words(&held)
        )
    })
}

/// Source ports of one pair of addresses with the kernel's default `ip_local_port_range`.
const PORTS_OF_A_PAIR: f64 = 28_232.0;

/// What the number of ports between two addresses says, where one of the numbers is that.
fn pair_words(held: &[(&str, f64)]) -> String {
    let is_pair = |held: f64| (held - PORTS_OF_A_PAIR).abs() <= 0.01 * PORTS_OF_A_PAIR;
    if held.iter().any(|(_, held)| is_pair(*held)) {
        "; 28,232 is what one pair of addresses has of ports by default".to_owned()
    } else {
        String::new()
    }
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
        Reading::SharedHop => {
            let held: Vec<(&str, f64)> = points.iter().map(|point| ("", point.connections as f64)).collect();
            format!(
                "more instances only spread the connections out, so the limit{cause} is in something they all share{}",
                pair_words(&held)
            )
        }
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
    use crate::testing::remote_header;
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
            price: None,
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
            edge: None,
            long: None,
            trials: Vec::new(),
        }
    }

    fn reading(held: [u64; 3], cause: Cause) -> Scaling {
        let cells: Vec<_> = [1, 2, 4].into_iter().zip(held).map(|(n, held)| cell(n, held, cause)).collect();
        let mut found = scaling(&remote_header("other", None, None), &cells);
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
        let found = scaling(
            &remote_header("other", None, None),
            &[cell(1, 1000, Cause::ServerDescriptors), cell(2, 2000, Cause::None)],
        );
        assert_eq!(found[0].reading, Reading::PerInstance);
        // Two hold twice as much; how much four would hold, the load does not tell.
        let cells = [cell(1, 900, Cause::CpuQuota), cell(2, 1800, Cause::CpuQuota), cell(4, 2400, Cause::None)];
        assert_eq!(scaling(&remote_header("other", None, None), &cells)[0].reading, Reading::PerInstance);
        let found =
            scaling(&remote_header("other", None, None), &[cell(1, 2000, Cause::CpuQuota), cell(2, 2400, Cause::None)]);
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
        assert!(scaling(&remote_header("other", None, None), &[cell(1, 1000, Cause::Unknown), other]).is_empty());
        assert!(scaling(&remote_header("other", None, None), &[cell(1, 1000, Cause::Unknown)]).is_empty());
    }

    #[test]
    fn a_size_that_moves_nothing_is_told_and_one_that_does_is_not() {
        let sized = |size: &str, held| {
            let mut cell = cell(2, held, Cause::Unknown);
            cell.cell.size = Some(size.into());
            cell
        };
        let told =
            |small, large| sizes(&remote_header("other", None, None), &[sized("small", small), sized("large", large)]);
        let words = told(28_200, 28_232);
        assert!(
            words[0].contains("28,200 with size small, 28,232 with size large: the size does not move"),
            "{words:?}"
        );
        assert!(words[0].contains("one pair of addresses"), "{words:?}");
        assert!(told(10_000, 10_100).iter().all(|words| !words.contains("pair of addresses")));
        assert!(told(10_000, 20_000).is_empty());
    }

    #[test]
    fn servers_of_one_platform_are_compared_though_each_is_a_target() {
        let on = |target: &str, instances| {
            let mut cell = cell(instances, 10_000, Cause::PlatformCap);
            cell.cell.target = target.into();
            cell
        };
        let mut header = remote_header("one", Some("railway"), None);
        let mut other = header.targets[0].clone();
        other.name = "four".into();
        header.targets.push(other);
        let found = scaling(&header, &[on("one", 1), on("four", 4)]);
        assert_eq!(found[0].reading, Reading::SharedHop);
        header.targets[1].remote.as_mut().unwrap().platform = None;
        assert!(scaling(&header, &[on("one", 1), on("four", 4)]).is_empty());
    }

    #[test]
    fn an_uneven_spread_is_no_shared_hop() {
        assert!(is_even(&[500, 505]) && is_even(&[]) && is_even(&[3, 9]));
        assert!(!is_even(&[100, 900]));
    }
}

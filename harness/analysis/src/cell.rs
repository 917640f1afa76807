//! What was found about one cell: its trials and experiments put together.

use super::cell_verdict::{confirmed, same_number_each_time};
use super::cost::{MemoryCost, Traffic};
use super::endings::endings;
use super::findings::{CellFindings, SizeWords, TrialFindings};
use super::numbers::TrialNumbers;
use super::trial::{AnalysedTrial, effective, is_valid};
use super::verdict::Verdict;
use super::{ceiling, cost, long, numbers, prices, walls};
use wsceiling_model::format;
use wsceiling_model::matrix::{Cell, Runtime, Size};
use wsceiling_model::record::{Component, Hint, Outcome, Reason, RunHeader, TrialRecord, Wall, WallName};

/// Puts a cell together from its trials and experiments.
pub(super) fn cell_findings(
    header: &RunHeader,
    cell: &Cell,
    mut trials: Vec<(&TrialRecord, AnalysedTrial)>,
    experiments: Vec<(&TrialRecord, AnalysedTrial)>,
    remarks: &mut Vec<String>,
) -> CellFindings {
    let size = cell.size.as_ref().and_then(|name| header.sizes.iter().find(|size| &size.name == name));
    let valid: Vec<usize> =
        (0..trials.len()).filter(|at| is_valid(trials[*at].0, trials[*at].1.verdict.as_ref())).collect();
    let brackets: Vec<_> = valid.iter().filter_map(|at| trials[*at].0.ceiling).collect();
    let ceiling = ceiling::ceiling(&brackets, trials.len());
    let traffic = Traffic::configured(&header.load, cell.scenario);
    let costs: Vec<_> = valid.iter().map(|at| &trials[*at].1.costs).collect();
    let costs = cost::of_cell(&costs, traffic, cell.runtime == Runtime::Remote);
    same_number_each_time(cell, &mut trials, &valid);
    let judged = if valid.is_empty() { (0..trials.len()).collect() } else { valid.clone() };
    let judged: Vec<&AnalysedTrial> = judged.iter().map(|at| &trials[*at].1).collect();
    let (verdict, confirmations) = confirmed(&judged, experiments);
    let stopped: Vec<f64> = judged.iter().filter_map(|own| own.measured).collect();
    let predicted = trials.iter().map(|(record, _)| record.walls.as_slice()).find(|walls| !walls.is_empty());
    let scored = walls::score(predicted.unwrap_or_default(), &stopped, verdict.as_ref().map(|it| it.cause));
    let ended = |(record, own): &(&TrialRecord, AnalysedTrial)| {
        let verdict = own.verdict.as_ref();
        (effective(record, verdict), verdict.map(|verdict| verdict.cause))
    };
    let endings = endings(trials.iter().map(ended));
    let (outcome, reason, hint) = outcome(&trials, verdict.as_ref());
    for (record, own) in &trials {
        if effective(record, own.verdict.as_ref()) != record.outcome {
            let why = own.verdict.as_ref().map_or("", |verdict| verdict.sentence.as_str());
            remarks.push(format!("{}: not counted: {why}", record.trial));
        }
    }
    let price = prices::of_instance(header, cell, size);
    let of_all = price.as_ref().map(|price| price.per_month * f64::from(cell.instances));
    let per_price = ceiling.as_ref().zip(of_all).filter(|(_, price)| *price > 0.0);
    let wall = memory_wall(cell, size, costs.memory.as_ref());
    let long = long::of_cell(header, cell, trials.iter().map(|(record, _)| *record));
    CellFindings {
        edge: None,
        long,
        cell: cell.clone(),
        size: size.map(size_words),
        price,
        endings,
        outcome,
        reason,
        hint,
        connections_per_price: per_price.map(|(ceiling, price)| ceiling.connections as f64 / price),
        ceiling,
        verdict,
        confirmations,
        wall: scored,
        memory: costs.memory,
        cpu: costs.cpu,
        trials: trial_findings(header, cell, trials, &valid, wall.as_ref()),
    }
}

/// The trials one by one; those that are not valid have neither a bracket nor numbers.
fn trial_findings(
    header: &RunHeader,
    cell: &Cell,
    trials: Vec<(&TrialRecord, AnalysedTrial)>,
    valid: &[usize],
    wall: Option<&Wall>,
) -> Vec<TrialFindings> {
    let one = |(at, (record, own)): (usize, (&TrialRecord, AnalysedTrial))| {
        let is_valid = valid.contains(&at);
        TrialFindings {
            trial: record.trial.clone(),
            record: record.clone(),
            bracket: record.ceiling.filter(|_| is_valid),
            numbers: if is_valid { numbers::of_trial(header, cell, record, &own) } else { TrialNumbers::default() },
            verdict: own.verdict,
            walls: with_fitted(record, wall),
            series: own.series,
        }
    };
    trials.into_iter().enumerate().map(one).collect()
}

/// The outcome that most trials had, ties for the worst, with the reason of its first trial.
fn outcome(
    trials: &[(&TrialRecord, AnalysedTrial)],
    verdict: Option<&Verdict>,
) -> (Outcome, Option<String>, Option<Hint>) {
    let each: Vec<Outcome> = trials.iter().map(|(record, own)| effective(record, own.verdict.as_ref())).collect();
    let count = |outcome: Outcome| each.iter().filter(|other| **other == outcome).count();
    let Some(most) = each.iter().copied().max_by_key(|outcome| (count(*outcome), *outcome)) else {
        let hint = "continue the run with `--resume`".into();
        return (Outcome::Killed, Some("the run ended before this cell".into()), Some(hint));
    };
    let first = trials.iter().zip(&each).find(|(_, outcome)| **outcome == most).map(|((record, _), _)| record);
    let client = || verdict.filter(|_| most == Outcome::Invalid).map(|verdict| verdict.sentence.clone());
    let own = first.and_then(|record| record.reason.as_ref());
    let reason = own.map(ToString::to_string).or_else(client);
    let fix = || verdict.filter(|_| most == Outcome::Invalid).and_then(|verdict| verdict.fix.clone());
    (most, reason, own.and_then(Reason::hint).or_else(|| fix().map(Hint::Advice)))
}

fn size_words(size: &Size) -> SizeWords {
    let mut parts = Vec::new();
    parts.extend(size.cpus.map(|cpus| format!("{cpus} cpu{}", if cpus > 1.0 { "s" } else { "" })));
    parts.extend(size.memory_bytes.map(|bytes| format::bytes(bytes as f64)));
    parts.extend(size.nofile.map(|count| format!("{} descriptors", format::whole(count as f64))));
    parts.extend(size.pids.map(|count| format!("{} processes", format::whole(count as f64))));
    let text = if parts.is_empty() { "no limits".into() } else { parts.join(", ") };
    SizeWords { text }
}

/// Where the memory limit stands for the whole cell, from the fitted cost.
fn memory_wall(cell: &Cell, size: Option<&Size>, memory: Option<&MemoryCost>) -> Option<Wall> {
    let (limit, memory) = (size?.memory_bytes? as f64, memory?);
    let instances = f64::from(cell.instances);
    let (room, each) = (limit * instances - memory.baseline, memory.per_connection.value);
    (each > 0.0 && room > 0.0).then(|| Wall {
        name: WallName::Memory,
        component: Component::Instance(0),
        connections: (room / each) as u64,
        why: format!(
            "({} x {} - {} idle) / {} per connection",
            cell.instances,
            format::bytes(limit),
            format::bytes(memory.baseline),
            format::bytes(each)
        ),
    })
}

/// Walls of a trial; the fitted memory wall takes the place of an estimated one.
fn with_fitted(record: &TrialRecord, fitted: Option<&Wall>) -> Vec<Wall> {
    let replaced = |wall: &&Wall| fitted.is_none_or(|fitted| fitted.name != wall.name);
    let mut walls: Vec<Wall> = record.walls.iter().filter(replaced).cloned().collect();
    if !record.steps.is_empty() {
        walls.extend(fitted.cloned());
    }
    walls
}

//! From a record to findings: each trial is analysed as its samples stream by, then the cells are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::cause::{self, Facts, Verdict};
use super::confirm;
use super::confirmed::confirmed;
use super::cost::{self, TrialCosts};
use super::tracks::Tracks;
use super::{CellFindings, Cost, Findings, Series, SizeWords, TrialFindings, ceiling, scaling, series, walls, words};
use wsceiling_model::matrix::{Cell, Size};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{
    Component, Experiment, Hint, Measure, Outcome, Reason, RunHeader, Sample, TrialRecord, Wall, WallName,
};

/// What the samples of one trial gave.
#[derive(Default)]
pub(super) struct Analysed {
    pub verdict: Option<Verdict>,
    /// The runner-up as a verdict of its own.
    pub second: Option<Verdict>,
    /// Experiments that would confirm the cause, and the runner-up.
    pub experiments: [Vec<Experiment>; 2],
    /// Of an experiment: what it measured. Of any other trial: the connections at which it stopped.
    pub measured: Option<f64>,
    series: Vec<Series>,
    costs: TrialCosts,
}

/// Analyses a run trial by trial, so that the samples of one trial at a time are in memory.
///
/// ```text
/// Analysis::new(header, trials) -> samples(trial, rows), once a trial -> finish() -> Findings
/// ```
pub struct Analysis<'a> {
    header: &'a RunHeader,
    records: BTreeMap<&'a TrialId, &'a TrialRecord>,
    cells: BTreeMap<&'a str, &'a Cell>,
    analysed: BTreeMap<&'a TrialId, Analysed>,
}

impl<'a> Analysis<'a> {
    /// Begins with what `run.json` and `trials.jsonl` say.
    pub fn new(header: &'a RunHeader, trials: &'a [TrialRecord]) -> Self {
        Self {
            header,
            records: trials.iter().map(|record| (&record.trial, record)).collect(),
            cells: header.cells.iter().map(|cell| (cell.id.as_str(), cell)).collect(),
            analysed: BTreeMap::new(),
        }
    }

    /// Analyses a trial with its samples, in the order of time. A trial without a line in `trials.jsonl` is passed over.
    pub fn samples(&mut self, trial: &TrialId, samples: &[Sample]) {
        let Some((&id, record)) = self.records.get_key_value(trial) else { return };
        if let Some(cell) = self.cells.get(trial.cell.as_str()) {
            self.analysed.insert(id, analyse(self.header, cell, record, samples));
        }
    }

    /// Puts the cells together; trials that had no samples are analysed from their line alone.
    pub fn finish(mut self) -> Findings {
        for (&id, record) in &self.records {
            if let (false, Some(cell)) = (self.analysed.contains_key(id), self.cells.get(id.cell.as_str())) {
                self.analysed.insert(id, analyse(self.header, cell, record, &[]));
            }
        }
        let Self { header, records, mut analysed, .. } = self;
        let mut remarks = Vec::new();
        let mut found = Vec::new();
        // With `--only` the plan has fewer cells than the matrix.
        let planned: BTreeSet<&str> = header.plan.iter().map(|trial| trial.cell.as_str()).collect();
        for cell in header.cells.iter().filter(|cell| planned.contains(cell.id.as_str())) {
            let mut own: Vec<(&TrialRecord, Analysed)> = records
                .values()
                .filter(|record| record.trial.cell == cell.id)
                .map(|record| (*record, analysed.remove(&record.trial).unwrap_or_default()))
                .collect();
            own.sort_by_key(|(record, _)| record.trial.repeat);
            let (experiments, own) = own.into_iter().partition(|(record, _)| record.trial.confirm);
            found.push(of_cell(header, cell, own, experiments, &mut remarks));
        }
        remarks.extend(missing(header, &records));
        remarks.extend(warnings(&records));
        let scaling = scaling::scaling(&found);
        Findings { header: header.clone(), cells: found, scaling, remarks }
    }
}

fn analyse(header: &RunHeader, cell: &Cell, record: &TrialRecord, samples: &[Sample]) -> Analysed {
    let tracks = Tracks::new(samples);
    let mut analysed =
        Analysed { series: series::series(&tracks), costs: cost::of_trial(record, &tracks), ..Analysed::default() };
    let changed = record.experiment.as_ref().map(|experiment| experiment.header(header, cell));
    let (header, cell) = changed.as_ref().map_or((header, cell), |(header, cell)| (header, cell));
    let Some(facts) = Facts::new(header, cell, record, &tracks) else { return analysed };
    analysed.verdict = cause::judge(&facts);
    if let Some(experiment) = &record.experiment {
        analysed.measured = confirm::measured(&facts, experiment.measure);
        return analysed;
    }
    analysed.measured = confirm::measured(&facts, Measure::Connections);
    let suspects = analysed.verdict.as_ref().map(|verdict| (&verdict.cause, verdict.runner_up.as_ref()));
    if let Some((first, second)) = suspects {
        let of = |cause: &str| confirm::experiments(header, &facts, cause);
        analysed.experiments = [of(first), second.map_or_else(Vec::new, |(cause, _)| of(cause))];
        analysed.second = second.and_then(|(cause, _)| cause::judge_as(&facts, cause));
    }
    analysed
}

/// Whether a ceiling may be read from a trial: it ended as one does, and its client was not the limit.
fn is_valid(record: &TrialRecord, verdict: Option<&Verdict>) -> bool {
    effective(record, verdict) <= Outcome::Ceiling
}

/// The outcome after judging: a trial whose client was the limit is invalid, whatever the harness made of it.
fn effective(record: &TrialRecord, verdict: Option<&Verdict>) -> Outcome {
    let client = verdict.is_some_and(|verdict| verdict.cause == "client-limited");
    if client && record.outcome == Outcome::Ceiling { Outcome::Invalid } else { record.outcome }
}

fn of_cell(
    header: &RunHeader,
    cell: &Cell,
    mut trials: Vec<(&TrialRecord, Analysed)>,
    experiments: Vec<(&TrialRecord, Analysed)>,
    remarks: &mut Vec<String>,
) -> CellFindings {
    let size = cell.size.as_ref().and_then(|name| header.sizes.iter().find(|size| &size.name == name));
    let valid: Vec<usize> =
        (0..trials.len()).filter(|at| is_valid(trials[*at].0, trials[*at].1.verdict.as_ref())).collect();
    let brackets: Vec<_> = valid.iter().filter_map(|at| trials[*at].0.ceiling).collect();
    let ceiling = ceiling::ceiling(&brackets, trials.len());
    let costs = cost::of_cell(&valid.iter().map(|at| &trials[*at].1.costs).collect::<Vec<_>>());
    same_number_each_time(cell, &mut trials, &valid);
    let judged = if valid.is_empty() { (0..trials.len()).collect() } else { valid.clone() };
    let judged: Vec<&Analysed> = judged.iter().map(|at| &trials[*at].1).collect();
    let (verdict, confirmations) = confirmed(&judged, experiments);
    let stopped: Vec<f64> = judged.iter().filter_map(|own| own.measured).collect();
    let predicted = trials.iter().map(|(record, _)| record.walls.as_slice()).find(|walls| !walls.is_empty());
    let scored = walls::score(predicted.unwrap_or_default(), &stopped, verdict.as_ref().map(|it| it.cause.as_str()));
    let (outcome, reason, hint) = outcome(&trials, verdict.as_ref());
    for (record, own) in &trials {
        if effective(record, own.verdict.as_ref()) != record.outcome {
            let why = own.verdict.as_ref().map_or("", |verdict| verdict.sentence.as_str());
            remarks.push(format!("{}: not counted: {why}", record.trial));
        }
    }
    let price = size.and_then(|size| size.price_per_month).map(|price| price * f64::from(cell.instances));
    let per_price = ceiling.as_ref().zip(price).filter(|(_, price)| *price > 0.0);
    let wall = memory_wall(cell, size, costs.memory.as_ref());
    CellFindings {
        cell: cell.clone(),
        size: size.map(size_words),
        outcome,
        reason,
        hint,
        connections_per_price: per_price.map(|(ceiling, price)| ceiling.connections as f64 / price),
        ceiling,
        verdict,
        confirmations,
        wall: scored,
        memory_per_connection: costs.memory,
        cpu_per_connection: costs.cpu,
        cpu_per_open: costs.open,
        trials: trials
            .into_iter()
            .enumerate()
            .map(|(at, (record, own))| TrialFindings {
                trial: record.trial.clone(),
                record: record.clone(),
                bracket: record.ceiling.filter(|_| valid.contains(&at)),
                verdict: own.verdict,
                walls: with_fitted(record, wall.as_ref()),
                series: own.series,
            })
            .collect(),
    }
}

/// The cause that most trials agree on (ties: the surest), with the surest verdict of those.
pub(super) fn agreed<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Option<Verdict> {
    let mut by_cause: Vec<(usize, &Verdict)> = Vec::new();
    for verdict in verdicts {
        match by_cause.iter_mut().find(|(_, known)| known.cause == verdict.cause) {
            Some((count, best)) => {
                *count += 1;
                if verdict.confidence > best.confidence {
                    *best = verdict;
                }
            }
            None => by_cause.push((1, verdict)),
        }
    }
    let order = |(count, verdict): &(usize, &Verdict)| (*count, (verdict.confidence * 1000.0) as u64);
    // The first of equals, so that the answer does not depend on how a maximum is searched.
    let best = by_cause.iter().map(order).max()?;
    by_cause.into_iter().find(|entry| order(entry) == best).map(|(_, verdict)| verdict.clone())
}

/// A suspected cap that was met at the same number in at least three trials is more than a symptom.
fn same_number_each_time(cell: &Cell, trials: &mut [(&TrialRecord, Analysed)], valid: &[usize]) {
    let suspected =
        |at: &&usize| trials[**at].1.verdict.as_ref().is_some_and(|verdict| verdict.cause == "application-cap");
    let which: Vec<usize> = valid.iter().filter(suspected).copied().collect();
    let held = |at: &usize| {
        let failed = trials[*at].0.steps.iter().find(|step| !step.passed);
        failed.map_or(0.0, |step| step.open as f64)
    };
    let numbers: Vec<f64> = which.iter().map(held).collect();
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    if which.len() < 3 || which.len() < valid.len() || most - least > 0.01 * most {
        return;
    }
    for at in which {
        if let Some(verdict) = &mut trials[at].1.verdict {
            verdict.confidence = verdict.confidence.max(0.60);
            verdict.evidence.push(cause::Evidence {
                component: Component::Generator,
                name: "held at the refusal in each trial".into(),
                before: None,
                after: Some(numbers.iter().map(|held| words::count(*held)).collect::<Vec<_>>().join(", ")),
                source: format!("trials of {}", cell.id),
            });
        }
    }
}

/// The outcome that most trials had, ties for the worst, with the reason of its first trial.
fn outcome(trials: &[(&TrialRecord, Analysed)], verdict: Option<&Verdict>) -> (Outcome, Option<String>, Option<Hint>) {
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
    parts.extend(size.memory_bytes.map(|bytes| words::bytes(bytes as f64)));
    parts.extend(size.nofile.map(|count| format!("{} descriptors", words::count(count as f64))));
    parts.extend(size.pids.map(|count| format!("{} processes", words::count(count as f64))));
    let text = if parts.is_empty() { "no limits".into() } else { parts.join(", ") };
    SizeWords { text, price_per_month: size.price_per_month }
}

/// Where the memory limit stands for the whole cell, from the fitted cost.
fn memory_wall(cell: &Cell, size: Option<&Size>, memory: Option<&Cost>) -> Option<Wall> {
    let (limit, memory) = (size?.memory_bytes? as f64, memory?);
    let instances = f64::from(cell.instances);
    let room = limit * instances - memory.baseline;
    (memory.per_connection > 0.0 && room > 0.0).then(|| Wall {
        name: WallName::Memory,
        component: Component::Instance(0),
        connections: (room / memory.per_connection) as u64,
        why: format!(
            "({} x {} - {} idle) / {} per connection",
            cell.instances,
            words::bytes(limit),
            words::bytes(memory.baseline),
            words::bytes(memory.per_connection)
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

/// Trials of the plan without a line.
fn missing(header: &RunHeader, records: &BTreeMap<&TrialId, &TrialRecord>) -> Option<String> {
    let missing: Vec<&TrialId> = header.plan.iter().filter(|trial| !records.contains_key(trial)).collect();
    let first = missing.first()?;
    let all = if missing.len() == 1 { first.to_string() } else { format!("{first} and {} more", missing.len() - 1) };
    Some(format!("{} of {} trials have no result: {all}", missing.len(), header.plan.len()))
}

/// Each remark of the trials once, with how many of them have it.
fn warnings(records: &BTreeMap<&TrialId, &TrialRecord>) -> Vec<String> {
    let ordinary = || records.values().filter(|record| !record.trial.confirm);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for warning in ordinary().flat_map(|record| &record.warnings) {
        *counts.entry(warning.to_string()).or_default() += 1;
    }
    let all = ordinary().count();
    counts.into_iter().map(|(text, count)| format!("{text} ({count} of {all} trials)")).collect()
}

//! From a record to findings: each trial is analysed as its samples stream by, then the cells are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::cell_findings;
use super::edge;
use super::findings::Findings;
use super::prices;
use super::scaling;
use super::trial::{AnalysedTrial, analyse};
use wsceiling_model::matrix::Cell;
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{RunHeader, Sample, TrialRecord};

/// Analyses a run trial by trial, so that the samples of one trial at a time are in memory.
///
/// ```text
/// Analysis::new(header, trials) -> samples(trial, rows), once a trial -> finish() -> Findings
/// ```
pub struct Analysis<'a> {
    header: &'a RunHeader,
    records: BTreeMap<&'a TrialId, &'a TrialRecord>,
    cells: BTreeMap<&'a str, &'a Cell>,
    analysed: BTreeMap<&'a TrialId, AnalysedTrial>,
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
            let mut own: Vec<(&TrialRecord, AnalysedTrial)> = records
                .values()
                .filter(|record| record.trial.cell == cell.id)
                .map(|record| (*record, analysed.remove(&record.trial).unwrap_or_default()))
                .collect();
            own.sort_by_key(|(record, _)| record.trial.repeat);
            let (experiments, own) = own.into_iter().partition(|(record, _)| record.trial.confirm);
            found.push(cell_findings(header, cell, own, experiments, &mut remarks));
        }
        edge::apply(header, &mut found);
        remarks.extend(scaling::sizes(header, &found));
        remarks.extend(prices::remarks(header, &found));
        remarks.extend(missing(header, &records));
        remarks.extend(warnings(&records));
        Findings { header: header.clone(), scaling: scaling::scaling(header, &found), cells: found, remarks }
    }
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

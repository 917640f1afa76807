//! Rules of `samples.csv`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use super::{Found, Trials};
use crate::rows::{self, Columns, lossy};
use wsceiling_model::matrix::Runtime;
use wsceiling_model::record::{Component, Metric, RunHeader, Sample, TrialRecord};

const FILE: &str = "samples.csv";
const REPAIR: &str = "restore the file; `--resume` repairs what a killed run left, nothing repairs a change by hand";

/// Numbers that cannot be 0 all the time while something runs: a 0 there is a missing number that was written as one.
const NEVER_ALL_ZERO: [Metric; 5] =
    [Metric::CpuUsage, Metric::MemoryCurrent, Metric::Pids, Metric::Descriptors, Metric::DescriptorLimit];

pub(super) fn check(run: &Path, header: &RunHeader, trials: &Trials, found: &mut Found) {
    let file = match File::open(run.join(FILE)) {
        Ok(file) => file,
        Err(error) => {
            found.add(FILE, None, format!("cannot be read: {error}"), "restore the file from the run");
            return;
        }
    };
    let mut reader = csv::ReaderBuilder::new().quoting(false).flexible(true).from_reader(file);
    let columns = match reader.byte_headers().map_err(|error| error.to_string()).and_then(|names| {
        unknown_columns(names, found);
        Columns::parse(names.iter())
    }) {
        Ok(columns) => columns,
        Err(what) => return found.add(FILE, Some(1), what, REPAIR),
    };
    let mut row = csv::ByteRecord::new();
    let mut seen = BTreeSet::new();
    let mut state: Option<TrialState<'_>> = None;
    loop {
        match reader.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return found.add(FILE, None, format!("cannot be read: {error}"), REPAIR),
        }
        let line = row.position().map(csv::Position::line);
        let name = String::from_utf8_lossy(&row[0]).into_owned();
        if state.as_ref().is_none_or(|state| state.name != name) {
            if let Some(state) = state.take() {
                state.finish(found);
            }
            if !seen.insert(name.clone()) {
                found.add(FILE, line, format!("samples of {} are in two places", lossy(&row[0])), REPAIR);
            }
            if !trials.contains_key(&name) {
                found.add(FILE, line, format!("samples of {}, which has no line", lossy(&row[0])), REPAIR);
            }
            state = Some(TrialState::new(name, header, trials));
        }
        if let Some(state) = state.as_mut() {
            state.row(&columns, &row, line, found);
        }
    }
    if let Some(state) = state {
        state.finish(found);
    }
}

fn unknown_columns(names: &csv::ByteRecord, found: &mut Found) {
    let names: Vec<&[u8]> = names.iter().skip(rows::FIXED.len()).collect();
    for name in &names {
        if std::str::from_utf8(name).ok().and_then(Metric::from_name).is_none() {
            found.add(FILE, Some(1), format!("unknown column `{}`", lossy(name)), "remove it: each column is a metric");
        }
    }
    for metric in Metric::ALL {
        match names.iter().filter(|name| **name == metric.name().as_bytes()).count() {
            // Who wrote the record may not have known it: what was not sampled is absent.
            0 | 1 => {}
            n => found.add(FILE, Some(1), format!("column `{}` is there {n} times", metric.name()), REPAIR),
        }
    }
}

/// What was seen of the rows of one trial.
struct TrialState<'a> {
    name: String,
    record: Option<&'a TrialRecord>,
    instances: u32,
    /// It has no front in the record, and none may be sampled.
    frontless: bool,
    resets_allowed: u32,
    last_t: BTreeMap<Component, f64>,
    last: BTreeMap<(Component, Metric), (f64, u32)>,
    present: BTreeSet<(Component, Metric)>,
    not_zero: BTreeSet<(Component, Metric)>,
    first_line: Option<u64>,
    sample: Sample,
}

impl<'a> TrialState<'a> {
    fn new(name: String, header: &RunHeader, trials: &'a Trials) -> Self {
        let record = trials.get(&name).map(|(_, record)| record);
        let cell = record.and_then(|record| header.cells.iter().find(|cell| cell.id == record.trial.cell));
        let launches = record.and_then(|record| record.instances.iter().map(|instance| instance.launch).max());
        Self {
            name,
            record,
            instances: cell.map_or(u32::MAX, |cell| cell.instances),
            // What stands before a remote target is somebody else's, and may be sampled all the same.
            frontless: record.is_some_and(|record| record.fronts.is_empty())
                && cell.is_some_and(|cell| cell.runtime != Runtime::Remote),
            resets_allowed: launches.unwrap_or(0),
            last_t: BTreeMap::new(),
            last: BTreeMap::new(),
            present: BTreeSet::new(),
            not_zero: BTreeSet::new(),
            first_line: None,
            sample: Sample { t_ms: 0.0, component: Component::Host, values: Vec::new() },
        }
    }

    fn row(&mut self, columns: &Columns, row: &csv::ByteRecord, line: Option<u64>, found: &mut Found) {
        self.first_line = self.first_line.or(line);
        let mut sample =
            std::mem::replace(&mut self.sample, Sample { t_ms: 0.0, component: Component::Host, values: Vec::new() });
        if let Err(what) = columns.read(row, &mut sample) {
            found.add(FILE, line, what, REPAIR);
        } else {
            self.sample(&sample, line, found);
        }
        self.sample = sample;
    }

    fn sample(&mut self, sample: &Sample, line: Option<u64>, found: &mut Found) {
        let component = sample.component;
        let fault = |found: &mut Found, what: String| found.add(FILE, line, format!("{}: {what}", self.name), REPAIR);
        if let Component::Instance(index) = component
            && index >= self.instances
        {
            fault(found, format!("{component} is sampled, the cell has {} instances", self.instances));
        }
        if matches!(component, Component::Front(_)) && self.frontless {
            fault(found, format!("{component} is sampled, the trial has no front"));
        }
        let before = self.last_t.insert(component, sample.t_ms);
        if before.is_some_and(|before| before >= sample.t_ms) {
            fault(found, format!("time of {component} does not rise at {} ms", sample.t_ms));
        }
        if self.record.is_some_and(|record| sample.t_ms > record.duration_ms) {
            fault(found, format!("{component} is sampled at {} ms, after the trial's end", sample.t_ms));
        }
        for &(metric, value) in &sample.values {
            let name = metric.name();
            if value < 0.0 {
                let fix = "a number that could not be read is an empty field, never a negative number";
                found.add(FILE, line, format!("{}: {component} {name} is {value}", self.name), fix);
            }
            self.present.insert((component, metric));
            if value != 0.0 {
                self.not_zero.insert((component, metric));
            }
            if !name.ends_with("_total") {
                continue;
            }
            let entry = self.last.entry((component, metric)).or_insert((value, 0));
            if value < entry.0 {
                entry.1 += 1;
                if entry.1 > self.resets_allowed {
                    fault(found, format!("{component} {name} falls from {} to {value}", entry.0));
                }
            }
            entry.0 = value;
        }
    }

    fn finish(self, found: &mut Found) {
        let Some(record) = self.record else { return };
        for (component, metric) in &self.present {
            let name = metric.name();
            let source = record.sources.get(component).and_then(|sources| sources.get(name));
            if source.is_none() {
                let what = format!("{}: {component} {name} has no source in trials.jsonl", self.name);
                found.add(FILE, self.first_line, what, "every number says where it was read");
            }
            // `/proc/PID/stat` counts in ticks of 10 ms: a short trial may not fill one.
            let coarse = *metric == Metric::CpuUsage && source.is_some_and(|source| source.contains("/proc/PID/stat"));
            // A server that ended before any load may have been sampled only before it ran.
            let coarse = coarse || (*metric == Metric::CpuUsage && record.steps.is_empty());
            if NEVER_ALL_ZERO.contains(metric) && !coarse && !self.not_zero.contains(&(*component, *metric)) {
                let what = format!("{}: {component} {name} is 0 in every sample", self.name);
                found.add(FILE, self.first_line, what, "a number that could not be read is an empty field, never 0");
            }
        }
    }
}

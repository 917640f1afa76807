//! Rules of a line of `trials.jsonl`.

use std::path::{Component as Part, Path};

use super::header::is_sha256;
use super::{Found, steps};
use wsceiling_model::matrix::{Cell, Runtime};
use wsceiling_model::record::{
    Bracket, Component, GeneratorRecord, InstanceRecord, Outcome, Reason, RunHeader, TrialRecord,
};

const FILE: &str = "trials.jsonl";

/// Collects the faults of one line.
pub(super) struct Line<'a> {
    found: &'a mut Found,
    number: u64,
    name: String,
}

impl Line<'_> {
    pub(super) fn fault(&mut self, what: impl AsRef<str>, fix: &str) {
        self.found.add(FILE, Some(self.number), format!("{}: {}", self.name, what.as_ref()), fix);
    }

    /// A fault of the program that wrote the record, not of the one who keeps it.
    pub(super) fn contradiction(&mut self, what: impl AsRef<str>) {
        self.fault(
            what,
            "the numbers contradict each other: run the cell again and report this as a fault of wsceiling",
        );
    }
}

pub(super) fn check(run: &Path, header: &RunHeader, number: u64, record: &TrialRecord, found: &mut Found) {
    let mut line = Line { found, number, name: record.trial.to_string() };
    planned(header, record, &mut line);
    let Some(cell) = header.cells.iter().find(|cell| cell.id == record.trial.cell) else { return };
    let changed = record.experiment.as_ref().map(|experiment| experiment.header(header, cell));
    let (header, cell) = changed.as_ref().map_or((header, cell), |(header, cell)| (header, cell));
    outcome(record, &mut line);
    times(record, &mut line);
    if let Some(bracket) = record.ceiling {
        ceiling(record, bracket, &mut line);
    }
    let dials = record.headroom.iter().flat_map(|headroom| [&headroom.sink, &headroom.direct]).flatten();
    for dial in dials.filter(|dial| dial.opened > u64::from(dial.asked)) {
        line.contradiction(format!("the client opened {} of {} elsewhere", dial.opened, dial.asked));
    }
    for instance in &record.instances {
        self::instance(run, cell.instances, instance, record, &mut line);
    }
    fronts(run, cell, record, &mut line);
    let components = record.sources.keys().chain(record.walls.iter().map(|wall| &wall.component));
    for component in components.chain(record.events.iter().filter_map(|event| event.component.as_ref())) {
        if let Component::Instance(index) = component
            && *index >= cell.instances
        {
            line.contradiction(format!("{component} is named, the cell has {} instances", cell.instances));
        }
        // What stands before a remote target is somebody else's, and may be sampled all the same.
        if let (Component::Front(_), None) = (component, &cell.front)
            && cell.runtime != Runtime::Remote
        {
            line.contradiction(format!("{component} is named, the cell has no front"));
        }
    }
    steps::check(header, cell, record, &mut line);
}

/// A trial is one of the plan, or an experiment on a cell of the plan.
fn planned(header: &RunHeader, record: &TrialRecord, line: &mut Line<'_>) {
    const MIXED: &str = "a line of another run was mixed in; remove it";
    let trial = &record.trial;
    if !trial.confirm && !header.plan.contains(trial) {
        line.fault("the trial is not in the plan", MIXED);
    }
    if trial.confirm && !header.plan.iter().any(|planned| planned.cell == trial.cell) {
        line.fault("it is an experiment on a cell that is not in the plan", MIXED);
    }
    match &record.experiment {
        Some(_) if !trial.confirm => line.contradiction("a trial of the plan has an experiment"),
        None if trial.confirm => line.contradiction("an experiment does not say what it changes"),
        Some(experiment) => {
            let numbers = [experiment.before, experiment.predicted, experiment.change.from, experiment.change.to];
            if numbers.iter().any(|number| *number < 0.0) {
                line.contradiction("a number of its experiment is negative");
            }
        }
        None => {}
    }
}

fn fronts(run: &Path, cell: &Cell, record: &TrialRecord, line: &mut Line<'_>) {
    if cell.front.is_none() && !record.fronts.is_empty() {
        line.contradiction("a front is there, the cell has none");
    }
    for (number, front) in record.fronts.iter().enumerate() {
        let name = format!("front {} of launch {}", front.index, front.launch);
        let same =
            |other: &wsceiling_model::record::FrontRecord| (other.index, other.launch) == (front.index, front.launch);
        if record.fronts[..number].iter().any(same) {
            line.contradiction(format!("{name} is there twice"));
        }
        if let Some(hash) = front.binary_sha256.as_ref().filter(|hash| !is_sha256(hash)) {
            line.contradiction(format!("the hash of {name} is not a SHA-256 in hex: `{hash}`"));
        }
        if front.log_tail.len() > 20 {
            line.contradiction(format!("{name} has {} log lines, at most 20 are kept", front.log_tail.len()));
        }
        if front.known_lines.values().any(|count| *count == 0) {
            line.contradiction(format!("{name} counts a known line that it does not have"));
        }
        for (what, path) in [("log", &front.log), ("configuration", &front.config)] {
            if let Some(path) = path {
                file(run, &format!("the {what} of {name}"), path, line);
            }
        }
    }
}

fn outcome(record: &TrialRecord, line: &mut Line<'_>) {
    let words =
        serde_json::to_value(record.outcome).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            line.contradiction(format!("the outcome is `{words}`, {what}"));
        }
    };
    let has = |text: Option<String>| text.is_some_and(|text| !text.is_empty());
    let reason = record.reason.as_ref();
    let first_bad = record.ceiling.and_then(|bracket| bracket.first_bad);
    let any_failed = record.steps.iter().any(|step| !step.passed);
    match record.outcome {
        Outcome::Ok => {
            must(record.ceiling.is_some() && first_bad.is_none(), "so it needs a bracket without a first bad number");
            must(!record.steps.is_empty() && !any_failed, "so it needs steps that all passed");
        }
        Outcome::Ceiling => {
            must(first_bad.is_some(), "so it needs a bracket with a first bad number");
            must(any_failed, "so it needs a step that failed");
        }
        Outcome::Skipped => {
            must(has(reason.and_then(Reason::hint).map(|hint| hint.to_string())), "so it needs a hint");
            must(record.started.is_none(), "so it has no start");
            let nothing = record.instances.is_empty() && record.fronts.is_empty();
            must(record.steps.is_empty() && nothing, "so nothing of it may have run");
        }
        _ => {}
    }
    if matches!(record.outcome, Outcome::Ok | Outcome::Ceiling) {
        must(reason.is_none(), "so it has no reason");
        must(record.generator.is_some(), "so it needs its generator");
        must(!record.instances.is_empty(), "so it needs its instances");
        must(record.generator.as_ref().is_none_or(|g| g.limited_by.is_empty()), "but its client was the limit");
    } else {
        must(has(reason.map(ToString::to_string)), "so it needs a reason");
    }
    must(record.outcome == Outcome::Skipped || record.started.is_some(), "so it needs a start");
    let as_many = |g: &GeneratorRecord| g.nodes.is_empty() || g.nodes.len() == g.workers as usize;
    must(record.generator.as_ref().is_none_or(as_many), "so its generator needs a node for each worker, or none");
}

fn times(record: &TrialRecord, line: &mut Line<'_>) {
    if let Some(started) = &record.started
        && started.parse::<jiff::Timestamp>().is_err()
    {
        line.contradiction(format!("`started` is not a moment in RFC 3339: `{started}`"));
    }
    let end = record.duration_ms;
    let moments = [("to_first_connect_ms", record.to_first_connect_ms), ("last_close_ms", record.last_close_ms)];
    let exits = record.instances.iter().filter_map(|i| i.exit.as_ref()).map(|exit| ("an exit", Some(exit.t_ms)));
    let events = record.events.iter().map(|event| ("an event", Some(event.t_ms)));
    for (name, moment) in moments.into_iter().chain(exits).chain(events) {
        if let Some(moment) = moment
            && !(0.0..=end).contains(&moment)
        {
            line.contradiction(format!("{name} at {moment} ms is outside of the trial's {end} ms"));
        }
    }
}

fn ceiling(record: &TrialRecord, bracket: Bracket, line: &mut Line<'_>) {
    let Bracket { last_good, first_bad, peak } = bracket;
    if first_bad.is_some_and(|bad| bad <= last_good) {
        line.contradiction(format!("the first bad number {first_bad:?} is not above the last good one {last_good}"));
    }
    let passed = |step: &&wsceiling_model::record::StepRecord| step.passed;
    let best = record.steps.iter().filter(passed).map(|step| step.open.max(step.target.into())).max().unwrap_or(0);
    if last_good > best {
        line.contradiction(format!("the last good number {last_good} is above every step that passed ({best})"));
    }
    let held = record.steps.iter().map(|step| step.held).max().unwrap_or(0);
    if peak < held {
        line.contradiction(format!("the peak {peak} is below the {held} held at the end of a step"));
    }
}

fn instance(run: &Path, instances: u32, instance: &InstanceRecord, record: &TrialRecord, line: &mut Line<'_>) {
    let name = format!("instance {} of launch {}", instance.index, instance.launch);
    if instance.index >= instances {
        line.contradiction(format!("{name} is there, the cell has {instances} instances"));
    }
    let same = |other: &&InstanceRecord| (other.index, other.launch) == (instance.index, instance.launch);
    if record.instances.iter().filter(same).count() > 1 {
        line.contradiction(format!("{name} is there twice"));
    }
    if let Some(hash) = instance.binary_sha256.as_ref().filter(|hash| !is_sha256(hash)) {
        line.contradiction(format!("the hash of {name} is not a SHA-256 in hex: `{hash}`"));
    }
    if instance.log_tail.len() > 20 {
        line.contradiction(format!("{name} has {} log lines, at most 20 are kept", instance.log_tail.len()));
    }
    for limit in &instance.limits {
        if limit.enforced_by.is_none() && limit.reason.is_none() {
            line.contradiction(format!("limit {} of {name} is not enforced and no reason is given", limit.name));
        }
    }
    if let Some(log) = &instance.log {
        file(run, &format!("the log of {name}"), log, line);
    }
}

/// A file that the line names is within the run folder, and there.
fn file(run: &Path, name: &str, log: &str, line: &mut Line<'_>) {
    let path = Path::new(log);
    if path.components().any(|part| !matches!(part, Part::Normal(_))) {
        line.fault(format!("{name} is outside of the run folder: `{log}`"), "a log is `logs/<name>`");
    } else if !run.join(path).is_file() {
        line.fault(format!("{name} is not there: `{log}`"), "restore the file; the record needs its logs");
    }
}

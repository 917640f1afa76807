//! One trial of a cell's page: its timeline, steps, failures, instances and the source of every number.

use std::collections::BTreeMap;

use serde::Serialize;

use super::instance::{self, InstanceView};
use super::{Fact, FigureView};
use crate::describe::{self, Badge};
use crate::plot::{self, Figure};
use crate::text;
use wsceiling_analysis::{CellFindings, TrialFindings};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, FailedAt, FailureReason, FailureTally, Gate, Latency, StepRecord, WorkerNode};

/// Characters of a line of a log or a command that are shown.
const LINE_CHARS: usize = 400;

/// A wall beyond this is none: no machine holds as many.
const BEYOND: u64 = 100_000_000;

/// A trial on its cell's page.
#[derive(Serialize)]
pub struct TrialView {
    pub id: String,
    repeat: u32,
    badge: Badge,
    summary: String,
    reason: Option<String>,
    hint: Option<String>,
    log: Option<String>,
    facts: Vec<Fact>,
    timeline: Option<FigureView>,
    more: Option<FigureView>,
    events: Vec<Fact>,
    steps: Vec<StepRow>,
    spreads: bool,
    percentiles: Vec<PercentileRow>,
    errors: Vec<ErrorRow>,
    walls: Vec<WallRow>,
    instances: Vec<InstanceView>,
    warnings: Vec<String>,
    sources: Vec<SourceRow>,
    select: String,
}

#[derive(Serialize)]
struct StepRow {
    id: String,
    number: usize,
    kind: &'static str,
    target: String,
    open: String,
    held: String,
    lost: String,
    rate: String,
    upgrade: String,
    reply: String,
    answered: String,
    lag: String,
    spread: String,
    passed: bool,
    gates: Vec<GateView>,
}

#[derive(Serialize)]
struct GateView {
    passed: bool,
    text: String,
}

#[derive(Serialize)]
struct PercentileRow {
    step: String,
    what: &'static str,
    values: Vec<String>,
}

#[derive(Serialize)]
struct ErrorRow {
    stage: &'static str,
    cause: String,
    meaning: &'static str,
    first: String,
    steps: Vec<ErrorStep>,
}

/// How often in which step.
#[derive(Serialize)]
struct ErrorStep {
    step: usize,
    count: String,
}

#[derive(Serialize)]
struct WallRow {
    name: String,
    component: String,
    connections: String,
    why: String,
}

#[derive(Serialize)]
struct SourceRow {
    component: String,
    metric: String,
    source: String,
}

/// Id of a trial's section, used by links from the tables above it.
pub fn anchor(trial: &TrialFindings) -> String {
    format!("trial-{}", trial.trial.repeat)
}

/// What a trial held, in a word.
pub fn held(trial: &TrialFindings) -> String {
    trial.bracket.map_or_else(
        || format::UNKNOWN.to_owned(),
        |bracket| match bracket.first_bad {
            Some(_) => format::count(bracket.last_good),
            None => format!("at least {}", format::count(bracket.last_good)),
        },
    )
}

/// A trial of the cell `cell`; `root` leads from the page to the run folder, the figures are those of [`figures`].
pub fn view(
    cell: &CellFindings,
    trial: &TrialFindings,
    root: &str,
    timeline: Option<FigureView>,
    more: Option<FigureView>,
) -> TrialView {
    let record = &trial.record;
    let id = anchor(trial);
    let (reason, hint) = record.reason.as_ref().map(|reason| (reason.to_string(), reason.hint())).unzip();
    let hint = hint.flatten();
    // The verdict above it says the same of the trial that is shown first.
    let in_verdict = record.reason.is_some() && reason == cell.reason && hint == cell.hint;
    let log = hint.as_ref().and_then(text::quoted_log).map(|lines| lines.join("\n"));
    let text = |text: &Option<String>| text.as_deref().map(text::sentence).filter(|text| !text.is_empty());
    TrialView {
        repeat: trial.trial.repeat,
        badge: describe::badge(record.outcome),
        summary: trial.bracket.map(|_| format!("held {}", held(trial))).unwrap_or_default(),
        reason: text(&reason).filter(|_| !in_verdict),
        hint: text(&hint.as_ref().map(ToString::to_string)).filter(|_| log.is_none() && !in_verdict),
        log: log.filter(|_| !in_verdict),
        facts: facts(trial),
        timeline,
        more,
        events: events(trial),
        steps: record.steps.iter().enumerate().map(|(at, step)| step_row(&id, at, step)).collect(),
        spreads: record.steps.iter().any(|step| by_instance(step).len() > 1),
        percentiles: record.steps.iter().enumerate().flat_map(|(at, step)| percentiles(at, step)).collect(),
        errors: errors(&record.steps),
        walls: walls(trial),
        instances: {
            let fronts = record.fronts.iter().map(|front| instance::front(front, root));
            fronts.chain(record.instances.iter().map(|instance| instance::view(instance, root))).collect()
        },
        warnings: record.warnings.iter().map(|warning| text::sentence(&warning.to_string())).collect(),
        sources: sources(trial),
        select: format!("grep '\"cell\":\"{}\",\"repeat\":{}[,}}]' trials.jsonl", cell.cell.id, trial.trial.repeat),
        id,
    }
}

/// The timeline of a trial and the plot of its other series; on a phone as well where `open`.
pub fn figures(cell: &str, trial: &TrialFindings, open: bool) -> (Option<Figure>, Option<Figure>) {
    let draw = |more: bool, name: &str, label: &str| {
        let ran = !trial.record.steps.is_empty();
        (ran && plot::has_timeline(trial, more)).then(|| {
            let file = format!("{}.{}-{name}", cell, trial.trial.repeat);
            let label = format!("{label} of trial {} of {cell}", trial.trial.repeat);
            Figure::draw(file, label, open && !more, |form| plot::timeline(form, trial, more))
        })
    };
    let timeline = draw(false, "timeline", "Connections, memory and CPU over time");
    let more = if open { draw(true, "more", "More time series") } else { None };
    (timeline, more)
}

fn facts(trial: &TrialFindings) -> Vec<Fact> {
    let record = &trial.record;
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| facts.extend(value.map(|value| Fact::new(name, value)));
    add("started", record.started.as_deref().map(text::time));
    add("duration", Some(format::millis(record.duration_ms)));
    add("first connect", record.to_first_connect_ms.map(|ms| format!("{} after the start", format::millis(ms))));
    if let Some(generator) = &record.generator {
        let workers = format::counted(u64::from(generator.workers), "worker", "workers");
        let limit = format::count(generator.descriptor_limit);
        add("generator", Some(format!("{workers}, descriptor limit {limit} each")));
        add("nodes", nodes(&generator.nodes));
        let sources = generator.sources.len() as u64;
        let ports = format::count(generator.ports_per_pair);
        let addresses = format::counted(sources, "source address", "source addresses");
        add("ports", Some(format!("{ports} per pair of addresses, {addresses}")));
        add("generator CPU", generator.cpu_us.map(|us| format::micros(us as f64)));
        add(
            "busiest worker",
            generator.busiest_worker_ratio.map(|ratio| format!("{} of one core", format::percent(ratio))),
        );
        add(
            "cores",
            Some(format!("generator on {}, servers on {}", cores(&generator.cpus), cores(&generator.server_cpus))),
        );
        let limited =
            generator.limited_by.iter().map(|limit| text::one_line(&limit.to_string())).collect::<Vec<_>>().join("; ");
        add(Cause::ClientLimited.name(), (!limited.is_empty()).then_some(limited));
    }
    facts
}

/// The nodes of a swarm that workers ran on, with how many each had.
fn nodes(workers: &[WorkerNode]) -> Option<String> {
    let mut counts = BTreeMap::new();
    for worker in workers {
        *counts.entry(text::one_line(&worker.node)).or_insert(0) += 1;
    }
    let each = |(node, count): (String, u64)| format!("{node} ({})", format::counted(count, "worker", "workers"));
    (!workers.is_empty()).then(|| counts.into_iter().map(each).collect::<Vec<_>>().join(", "))
}

fn cores(cpus: &[u32]) -> String {
    if cpus.is_empty() {
        return "any core (not pinned)".to_owned();
    }
    cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn events(trial: &TrialFindings) -> Vec<Fact> {
    let event = |event: &&wsceiling_model::record::Event| {
        let who = event.component.map(|component| format!("{component}: ")).unwrap_or_default();
        Fact::new(&format::moment(event.t_ms), format!("{who}{}", text::one_line(&event.what.to_string())))
    };
    plot::numbered_events(trial).iter().map(event).collect()
}

/// Connections by instance: behind a front those that it has onwards.
fn by_instance(step: &StepRecord) -> &[u64] {
    if step.upstream_spread.is_empty() { &step.spread } else { &step.upstream_spread }
}

/// Microseconds that a histogram may not have.
fn micros(us: Option<u64>) -> String {
    us.map_or_else(|| format::UNKNOWN.to_owned(), |us| format::micros(us as f64))
}

fn step_row(id: &str, at: usize, step: &StepRecord) -> StepRow {
    let by_instance = by_instance(step);
    let spread: Vec<String> = by_instance.iter().take(16).map(|open| format::count(*open)).collect();
    let rest = if by_instance.len() > 16 { " + …" } else { "" };
    let pair = |latency: &Latency| format!("{} / {}", micros(latency.p50_us), micros(latency.p99_us));
    StepRow {
        id: format!("{id}-step-{}", at + 1),
        number: at + 1,
        kind: describe::step_kind(step.kind),
        target: format::count(u64::from(step.target)),
        open: format::count(step.open),
        held: format::count(step.held),
        lost: format::count(step.lost),
        rate: format!("{} / {}/s", format::whole(step.achieved_per_s), format::whole(step.requested_per_s)),
        upgrade: pair(&step.handshake),
        reply: pair(&step.reply),
        answered: format!("{} / {}", format::count(step.messages_answered), format::count(step.messages_due)),
        lag: format::micros(step.lag_us_max as f64),
        spread: format!("{}{rest}", spread.join(" + ")),
        passed: step.passed,
        gates: step.gates.iter().map(gate).collect(),
    }
}

/// `PASS 3.70 ms p99 < 50.0 ms`.
fn gate(gate: &Gate) -> GateView {
    let word = if gate.passed { "PASS" } else { "FAIL" };
    let value = |value| format::quantity(gate.name.unit(), value);
    let measured = gate.value.map_or_else(|| "nothing measured,".to_owned(), value);
    let (name, rule) = (gate.name.label(), gate.name.rule().sign());
    GateView { passed: gate.passed, text: format!("{word} {measured} {name} {rule} {}", value(gate.limit)) }
}

fn percentiles(at: usize, step: &StepRecord) -> Vec<PercentileRow> {
    [("reply", &step.reply), ("upgrade", &step.handshake), ("connect", &step.connect)]
        .into_iter()
        .chain(step.storm.as_ref().map(|storm| ("reconnect after the storm", &storm.restored)))
        .filter(|(_, latency)| latency.count > 0)
        .map(|(what, latency)| PercentileRow {
            step: (at + 1).to_string(),
            what,
            values: [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us]
                .map(micros)
                .into_iter()
                .chain([format::count(latency.count)])
                .collect(),
        })
        .collect()
}

/// A row for each kind of failure, in the order in which they came up.
fn errors(steps: &[StepRecord]) -> Vec<ErrorRow> {
    let mut rows: Vec<(FailedAt, &FailureReason, ErrorRow)> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for tally in &step.errors {
            let place = rows.iter().position(|(at, reason, _)| *at == tally.at && **reason == tally.reason);
            let place = place.unwrap_or_else(|| {
                rows.push((tally.at, &tally.reason, error_row(tally)));
                rows.len() - 1
            });
            rows[place].2.steps.push(ErrorStep { step: at + 1, count: format::count(tally.count) });
        }
    }
    rows.into_iter().map(|(_, _, row)| row).collect()
}

fn error_row(tally: &FailureTally) -> ErrorRow {
    ErrorRow {
        stage: describe::stage(tally.at),
        cause: text::shorten(&tally.reason.to_string(), LINE_CHARS),
        meaning: describe::failure(tally.at, &tally.reason),
        first: format::moment(tally.first_ms as f64),
        steps: Vec::new(),
    }
}

fn walls(trial: &TrialFindings) -> Vec<WallRow> {
    let mut walls: Vec<_> = trial.walls.iter().collect();
    walls.sort_by_key(|wall| wall.connections);
    walls
        .into_iter()
        .map(|wall| WallRow {
            name: wall.name.to_string(),
            component: wall.component.to_string(),
            connections: if wall.connections > BEYOND {
                format!("over {}", format::count(BEYOND))
            } else {
                format::count(wall.connections)
            },
            why: text::one_line(&wall.why),
        })
        .collect()
}

fn sources(trial: &TrialFindings) -> Vec<SourceRow> {
    let row = |component: String, metric: &str, source: &str| SourceRow {
        component,
        metric: text::one_line(metric),
        source: text::one_line(source),
    };
    let all = trial.record.sources.iter();
    all.flat_map(|(component, sources)| {
        sources.iter().map(move |(metric, source)| row(component.to_string(), metric, source))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::GateName;

    fn text(name: GateName, value: Option<f64>, limit: f64, passed: bool) -> String {
        gate(&Gate { name, value, limit, passed }).text
    }

    #[test]
    fn gates_read_as_measured_against_limit() {
        assert_eq!(text(GateName::P99Us, Some(3_700.0), 50_000.0, true), "PASS 3.70 ms p99 < 50.0 ms");
        assert_eq!(text(GateName::Connected, Some(0.998), 0.999, false), "FAIL 99.8 % connected ≥ 99.9 %");
        assert_eq!(text(GateName::Echoed, None, 0.999, false), "FAIL nothing measured, echoed ≥ 99.9 %");
    }
}

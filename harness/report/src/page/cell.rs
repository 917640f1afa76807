//! The page of a cell: its verdict with the evidence, its costs, and its trials.

use std::panic::resume_unwind;

use serde::Serialize;

use super::costs::{self, CostView};
use super::experiment::{self, ExperimentRow};
use super::trial::{self, TrialView};
use super::verdict::{self, VerdictView};
use super::{FigureView, Link, Pages, RunPage, raw_data};
use crate::RenderError;
use crate::cost_words;
use crate::describe::{self, Badge};
use crate::output::Output;
use crate::plot::{self, Figure};
use crate::text;
use wsceiling_analysis::{CellFindings, Findings, TrialFindings};
use wsceiling_model::format;
use wsceiling_model::record::{Cause, StepRecord};

/// From a cell's page to the run folder.
const ROOT: &str = "../";
/// Trials with a timeline at most.
const TIMELINES_MAX: usize = 3;
/// Trials with tables at most; every trial has a row in the table of trials, and the rest is in the record.
const TRIALS_MAX: usize = 12;

#[derive(Serialize)]
struct CellPage {
    title: String,
    root: &'static str,
    run: String,
    set_up: String,
    badge: Badge,
    previous: Option<Link>,
    next: Option<Link>,
    verdict: VerdictView,
    notes: Vec<String>,
    experiments: Vec<ExperimentRow>,
    costs: Vec<CostView>,
    no_cost: Option<&'static str>,
    price: Option<String>,
    latency: Option<FigureView>,
    spread: Option<FigureView>,
    spread_note: Option<String>,
    cost_figures: Vec<FigureView>,
    rows: Vec<TrialRow>,
    trials: Vec<TrialView>,
    shown: String,
    left_out: Option<String>,
    raw: Vec<Link>,
    command: String,
}

/// A trial in the table of trials.
#[derive(Serialize)]
struct TrialRow {
    href: Option<String>,
    repeat: u32,
    badge: Badge,
    held: String,
    first_bad: String,
    peak: String,
    cause: String,
    duration: String,
    reason: String,
}

/// The pages of the cells.
pub const PAGE: RunPage = RunPage {
    templates: &[
        ("cell.html", include_str!("../templates/cell.html")),
        ("trial.html", include_str!("../templates/trial.html")),
    ],
    links: &[],
    write,
};

/// Hands over the pages of all cells, in order. As many are rendered at once as there are cores.
fn write(pages: &Pages, findings: &Findings, output: &mut Output<'_>) -> Result<(), RenderError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cells: Vec<usize> = (0..findings.cells.len()).collect();
    cells.chunks(cores).try_for_each(|chunk| {
        let rendered: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = chunk.iter().map(|at| scope.spawn(|| render(pages, findings, *at))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        rendered.into_iter().try_for_each(|files| files?.iter().try_for_each(|(name, text)| output.put(name, text)))
    })
}

/// The page of a cell and its plots, as names and texts of files.
fn render(pages: &Pages, findings: &Findings, at: usize) -> Result<Vec<(String, String)>, RenderError> {
    let cell = &findings.cells[at];
    let mut figures = Vec::new();
    let shown = verdict::shown_trial(cell);
    let open: Vec<usize> = detailed(cell, shown);
    let neighbour = |at: Option<usize>| {
        at.and_then(|at| findings.cells.get(at))
            .map(|cell| Link::new(format!("{}.html", cell.cell.id), &cell.cell.id, ""))
    };
    let page = CellPage {
        title: cell.cell.id.clone(),
        root: ROOT,
        run: text::one_line(&findings.header.run.name),
        set_up: describe::set_up(cell),
        badge: describe::badge(cell.outcome),
        previous: neighbour(at.checked_sub(1)),
        next: neighbour(at.checked_add(1)),
        verdict: verdict::verdict(cell, ROOT),
        notes: describe::notes(cell).map(str::to_owned).collect(),
        experiments: experiment::rows(cell),
        costs: costs::costs(cell),
        no_cost: no_cost(cell),
        price: price(findings, cell),
        latency: latency(findings, cell, shown, &mut figures),
        spread_note: (cell.cell.instances < 2).then(|| "One instance holds all connections.".to_owned()),
        spread: spread(cell, shown, &mut figures),
        cost_figures: costs::figures(cell, ROOT, &mut figures),
        rows: cell.trials.iter().enumerate().map(|(at, trial)| trial_row(trial, open.contains(&at))).collect(),
        trials: trials(cell, &open, shown, &mut figures),
        shown: cell.trials.get(shown).map(trial::anchor).unwrap_or_default(),
        left_out: left_out(cell.trials.len(), open.len()),
        raw: raw_data(ROOT),
        command: describe::command(findings, Some(&cell.cell)),
    };
    let mut files = vec![(format!("cells/{}.html", cell.cell.id), pages.render("cell.html", &page)?)];
    files.extend(figures.iter().map(|figure| (figure.file(), figure.standalone())));
    Ok(files)
}

/// Trials with tables of their own: the one shown first, then the others in order.
fn detailed(cell: &CellFindings, shown: usize) -> Vec<usize> {
    let others = (0..cell.trials.len()).filter(|at| *at != shown);
    let first = (!cell.trials.is_empty()).then_some(shown);
    first.into_iter().chain(others).take(TRIALS_MAX).collect()
}

fn left_out(all: usize, open: usize) -> Option<String> {
    let shown = format::count(open as u64);
    let trials = format::counted(all as u64, "trial", "trials");
    match (all > open, open > TIMELINES_MAX) {
        (true, _) => Some(format!(
            "{shown} of {trials} are shown below, {TIMELINES_MAX} of them over time. All are in trials.jsonl and samples.csv."
        )),
        (false, true) => Some(format!("{TIMELINES_MAX} of {trials} are shown over time. All are in samples.csv.")),
        (false, false) => None,
    }
}

/// Why there is no cost, where there is a ceiling.
fn no_cost(cell: &CellFindings) -> Option<&'static str> {
    let none = describe::measured(cell) && cell.memory.is_none() && cell.cpu.is_none();
    none.then(|| {
        if cost_words::is_sampled(cell) {
            "Too few steps passed to fit a line. Lower `step` in the matrix for more, smaller steps."
        } else {
            "Nobody sampled the server. Say in the matrix where its metrics can be read: `[[targets.NAME.metrics]]`."
        }
    })
}

fn price(findings: &Findings, cell: &CellFindings) -> Option<String> {
    let thousand = describe::money(cell, describe::price_per_thousand(cell)?);
    let most = if cell.ceiling.as_ref().is_some_and(|ceiling| ceiling.at_least) { "At most " } else { "" };
    let price = cell.price.as_ref()?;
    let machine = match &price.row {
        None => format!("{} per instance, in the currency of the matrix", format::price(price.per_month)),
        Some(row) => {
            let (amount, plan) = (row.amount(), row.full_name());
            format!("{amount} per instance of {plan}, {}", row.reference(&findings.header.started))
        }
    };
    Some(text::one_line(&format!("{most}{thousand} per month for 1,000 connections, at {machine}.")))
}

fn trial_row(trial: &TrialFindings, has_section: bool) -> TrialRow {
    let number = |value: Option<u64>| value.map_or_else(|| format::UNKNOWN.to_owned(), format::count);
    let verdict = trial.verdict.as_ref().filter(|verdict| verdict.cause != Cause::None);
    TrialRow {
        href: has_section.then(|| format!("#{}", trial::anchor(trial))),
        repeat: trial.trial.repeat,
        badge: describe::badge(trial.record.outcome),
        held: trial::held(trial),
        first_bad: number(trial.bracket.and_then(|bracket| bracket.first_bad)),
        peak: number(trial.bracket.map(|bracket| bracket.peak)),
        cause: verdict.map_or_else(|| format::UNKNOWN.to_owned(), |verdict| verdict.cause.to_string()),
        duration: format::millis(trial.record.duration_ms),
        reason: trial
            .record
            .reason
            .as_ref()
            .map(|reason| text::shorten(&text::sentence(&reason.to_string()), 160))
            .unwrap_or_default(),
    }
}

fn trials(cell: &CellFindings, open: &[usize], shown: usize, figures: &mut Vec<Figure>) -> Vec<TrialView> {
    const HOW: &str = "Bands are steps: light while connections open, darker while they are held, red if a gate failed. The \
        number above a band is its target. Dashed lines are walls: limits known before the trial. The vertical line marks \
        the moment of the cause. Numbers below the first plot are the events listed below. A gap is a sample that could \
        not be read.";
    let mut views = Vec::new();
    for (place, at) in open.iter().enumerate() {
        let trial = &cell.trials[*at];
        let (timeline, more) =
            if place < TIMELINES_MAX { trial::figures(&cell.cell.id, trial, *at == shown) } else { (None, None) };
        let view = |figure: &Option<Figure>, title: &str, how: &str| {
            figure.as_ref().map(|figure| FigureView::new(figure, ROOT, "", title, how))
        };
        let seen = view(&timeline, "Over time", HOW);
        let rest = view(&more, "More time series", &further(trial));
        views.push(trial::view(cell, trial, ROOT, seen, rest));
        figures.extend([timeline, more].into_iter().flatten());
    }
    views
}

/// What the plot of the further series shows and what it leaves out.
fn further(trial: &TrialFindings) -> String {
    let zero = plot::at_zero(trial);
    let rest = if zero.is_empty() { String::new() } else { format!(" Always 0: {}.", zero.join("; ")) };
    format!("The remaining time series of this trial.{rest}")
}

fn latency(findings: &Findings, cell: &CellFindings, shown: usize, figures: &mut Vec<Figure>) -> Option<FigureView> {
    let steps: Vec<&StepRecord> = cell.trials.get(shown)?.record.steps.iter().collect();
    let others: Vec<&StepRecord> = cell
        .trials
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != shown)
        .flat_map(|(_, trial)| &trial.record.steps)
        .collect();
    let mut all = steps.iter().chain(&others);
    if !all.any(|step| step.reply.p99_us.is_some() || step.handshake.p99_us.is_some()) {
        return None;
    }
    let gate_us = findings.header.load.gates.p99.as_secs_f64() * 1e6;
    let label = format!("Latency of replies and upgrades against connections, {}", cell.cell.id);
    let figure = Figure::draw(format!("{}-latency", cell.cell.id), label, true, |form| {
        plot::latency(form, &steps, &others, Some(gate_us))
    });
    let how = "p50: half of the replies were faster. p99: 99 of 100 were faster. Time counts from the moment a message was \
               due. Lines show the trial that is open below, faint marks the other trials, and a cross marks a step \
               that failed. The scale is logarithmic: each grid line is ten times the one below.";
    let view = FigureView::new(&figure, ROOT, "latency", "Latency of each step", how);
    figures.push(figure);
    Some(view)
}

/// Connections of each instance in the last good step of the shown trial, else in its last step.
fn spread(cell: &CellFindings, shown: usize, figures: &mut Vec<Figure>) -> Option<FigureView> {
    const BARS_MAX: usize = 64;
    let steps = &cell.trials.get(shown)?.record.steps;
    let good = steps.iter().filter(|step| step.passed && step.kind.finds_ceiling()).max_by_key(|step| step.target);
    let step = good.or(steps.last()).filter(|step| step.spread.len() > 1)?;
    let bars = &step.spread[..step.spread.len().min(BARS_MAX)];
    let label = format!("Connections of each instance, {}", cell.cell.id);
    let name = format!("{}-spread", cell.cell.id);
    let figure = Figure::draw(name, label, true, |form| plot::spread(form, bars));
    let how = format!(
        "Open connections of each instance at the end of the step to {} connections. Equal bars: the load was spread \
         evenly.",
        format::count(u64::from(step.target))
    );
    let view = FigureView::new(&figure, ROOT, "spread", "Spread over the instances", &how);
    figures.push(figure);
    Some(view)
}

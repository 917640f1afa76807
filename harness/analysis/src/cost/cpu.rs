//! The CPU of a cell by what causes it.

use super::jackknife;
use super::knee::{self, Surprise};
use super::result::{Check, CostPoint, CpuCost, Estimate, Together, Traffic};
use super::terms::{self, BASELINE, IDLE, MESSAGE, OPENING, Told};
use super::windows::{Phase, Window};
use crate::least_squares::{Row, Solution, TERMS, non_negative};

/// The error of a window is in proportion to its CPU, plus this share of the mean window's: a counter's grain and a moment
/// of something else, so that a window with next to nothing in it does not weigh more than all others.
const GRAIN: f64 = 0.1;
/// The server without connections may use so many times what was seen before the first one, and so many micro-cores more.
const SEEN_TIMES: f64 = 2.0;
const SEEN_MORE: f64 = 100_000.0;
/// The configured load is one that was driven if it is within this share of what the windows had.
const AS_DRIVEN: f64 = 0.1;

/// Fits the windows of the valid trials of a cell, one slice each. `None`: nothing was measured.
pub(super) fn of_cell(trials: &[&[Window]], configured: Traffic, source: String) -> Option<CpuCost> {
    let mut levels: Vec<u32> = trials.iter().flat_map(|trial| trial.iter()).map(|window| window.level).collect();
    levels.sort_unstable();
    levels.dedup();
    // The idle server stands in as the second point where there is only one step, and a probe that is cut where no other
    // has messages enough.
    let of_use = |window: &&Window| match window.phase {
        Phase::Idle => levels.len() == 1,
        Phase::CutProbe => levels.len() < 3,
        Phase::Opening | Phase::Hold | Phase::Probe => true,
    };
    let all: Vec<&Window> = trials.iter().flat_map(|trial| trial.iter()).filter(of_use).collect();
    let predict = |others: &[u32], level: u32| {
        let own =
            |levels: &[u32]| all.iter().copied().filter(|window| levels.contains(&window.level)).collect::<Vec<_>>();
        Fit::new(&own(others))?.surprise(&own(&[level]))
    };
    let knee = knee::knee(&levels, predict);
    let within = knee.map_or(&levels[..], |knee| &levels[..levels.partition_point(|level| *level < knee.beyond)]);
    let fitted: Vec<&Window> = all.iter().copied().filter(|window| within.contains(&window.level)).collect();
    let fit = Fit::new(&fitted)?;
    let without = fit.without_each(&fitted);
    let one = |term: usize| fit.told.knows(term).then(|| estimate(&fit, &without, |it| it[term]));
    let load = ConfiguredLoad::new(&fit, &fitted, configured);
    let measured = messages_per_s(&fitted);
    let mut cost = CpuCost {
        idle: one(IDLE),
        message: one(MESSAGE),
        opening: one(OPENING),
        baseline: one(BASELINE),
        per_connection: load.as_ref().map(ConfiguredLoad::cost),
        configured,
        together: fit
            .told
            .together
            .then(|| Together { cost: estimate(&fit, &without, |it| it[IDLE]), messages_per_s: measured }),
        untold: terms::untold(&fit.told, measured, configured),
        check: Check { knee, residual: fit.solution.residual, held_out: knee::held_out(within, predict) },
        windows: fitted.len(),
        points: Vec::new(),
        source,
    };
    if let Some(sentence) = contradiction(trials, cost.baseline) {
        cost = CpuCost {
            idle: None,
            message: None,
            opening: None,
            baseline: None,
            per_connection: None,
            together: None,
            untold: vec![sentence],
            ..cost
        };
    }
    let line = cost.line();
    let holds = all.iter().filter(|window| window.phase == Phase::Hold);
    let drawn = load.as_ref().map_or(&fit, |load| &load.fit);
    cost.points = holds.filter_map(|window| point(window, drawn, line)).collect();
    Some(cost)
}

/// What the fit says of the server without connections, where it was seen to use far less before the first one: something
/// works that is neither a connection, a message nor an opening, so none of them has its cost.
fn contradiction(trials: &[&[Window]], baseline: Option<Estimate>) -> Option<String> {
    let before = || trials.iter().flat_map(|trial| trial.iter()).filter(|window| window.phase == Phase::Idle);
    let seconds: f64 = before().map(|window| window.asked.seconds).sum();
    let seen = before().map(|window| window.cpu_us).sum::<f64>() / seconds;
    let fitted = baseline.filter(|_| seconds > 0.0)?.value;
    (fitted > SEEN_TIMES * seen + SEEN_MORE).then(|| {
        let share = |microcores: f64| wsceiling_model::format::percent(microcores / 1e6);
        format!(
            "Before the first connection the server used {} of a core, and later {} beside what connections, messages and \
             openings explain: something else works meanwhile, a garbage collector or a task of its own, so no cost of \
             theirs is known.",
            share(seen),
            share(fitted)
        )
    })
}

/// An estimate that is made of the coefficients.
fn estimate(fit: &Fit, without: &[Option<Fit>], of: impl Fn(&[f64; TERMS]) -> f64) -> Estimate {
    let each: Vec<Option<f64>> =
        without.iter().map(|fit| fit.as_ref().map(|fit| of(&fit.solution.coefficients))).collect();
    jackknife::estimate(of(&fit.solution.coefficients), &each)
}

/// What tells the cost of a connection under the load that the matrix configures.
struct ConfiguredLoad {
    fit: Fit,
    without: Vec<Option<Fit>>,
    /// What of each term a connection takes in a second.
    weights: [f64; TERMS],
}

impl ConfiguredLoad {
    /// `None`: the windows do not tell. Where idle connections and their messages are not told apart, their sum is known
    /// all the same for as many messages as the windows had.
    fn new(fit: &Fit, windows: &[&Window], configured: Traffic) -> Option<Self> {
        let messages_per_s = configured.messages_per_s;
        let driven = || windows.iter().filter(|window| window.phase != Phase::Opening);
        let driven = || driven().map(|window| window.asked.messages / window.asked.connection_seconds);
        let least = driven().fold(f64::INFINITY, f64::min) * (1.0 - AS_DRIVEN);
        let most = driven().fold(0.0, f64::max) * (1.0 + AS_DRIVEN);
        let tells = if fit.told.together {
            (least..=most).contains(&messages_per_s)
        } else {
            fit.told.knows(IDLE) && (fit.told.knows(MESSAGE) || messages_per_s <= 0.0)
        };
        if !tells || (configured.openings_per_s > 0.0 && !fit.told.knows(OPENING)) {
            return None;
        }
        let told = Told { fitted: fit.told.for_load, ..fit.told };
        let fit = Fit::of(windows, told)?;
        let mut weights = [0.0; TERMS];
        (weights[IDLE], weights[OPENING]) = (1.0, configured.openings_per_s);
        weights[MESSAGE] = if told.fitted[MESSAGE] { messages_per_s } else { 0.0 };
        Some(Self { without: fit.without_each(windows), fit, weights })
    }

    /// Micro-cores of a connection.
    fn cost(&self) -> Estimate {
        estimate(&self.fit, &self.without, |it| it.iter().zip(&self.weights).map(|(a, b)| a * b).sum())
    }
}

impl CpuCost {
    /// CPU against connections while they are held: slope and value without connections, in CPU microseconds per second
    /// (micro-cores). At the configured load, else at that of [`Self::together`]; `None`: neither is known.
    pub fn line(&self) -> Option<(f64, f64)> {
        let slope = self.per_connection.or(self.together.map(|together| together.cost))?;
        Some((slope.value, self.baseline.map_or(0.0, |baseline| baseline.value)))
    }
}

/// A hold as a point of a plot: on the line, times observed over predicted; without one as it was measured.
fn point(window: &Window, fit: &Fit, line: Option<(f64, f64)>) -> Option<CostPoint> {
    let connections = window.asked.connection_seconds / window.asked.seconds;
    let predicted = fit.solution.predict(&regressors(window));
    let value = match line {
        Some((slope, baseline)) if predicted > 0.0 => (baseline + slope * connections) * window.cpu_us / predicted,
        _ => window.cpu_us / window.asked.seconds,
    };
    value.is_finite().then_some(CostPoint { connections, value, repeat: window.repeat })
}

/// Messages per second and connection, over holds and probes.
fn messages_per_s(windows: &[&Window]) -> f64 {
    let held = || windows.iter().filter(|window| window.phase != Phase::Opening);
    let seconds: f64 = held().map(|window| window.asked.connection_seconds).sum();
    if seconds > 0.0 { held().map(|window| window.asked.messages).sum::<f64>() / seconds } else { 0.0 }
}

fn regressors(window: &Window) -> [f64; TERMS] {
    let asked = &window.asked;
    let mut x = [0.0; TERMS];
    (x[IDLE], x[MESSAGE], x[OPENING], x[BASELINE]) =
        (asked.connection_seconds, asked.messages, asked.openings, asked.seconds);
    x
}

/// A fit of windows.
struct Fit {
    told: Told,
    solution: Solution,
    /// See [`GRAIN`], in CPU microseconds.
    grain: f64,
}

impl Fit {
    fn new(windows: &[&Window]) -> Option<Self> {
        let told = terms::told(&rows(windows, grain(windows)?, |window| window.cpu_us));
        Self::of(windows, told)
    }

    /// Twice: the second time by the CPU that the first one predicts, since what was observed too small by chance would
    /// weigh more than what was observed too large.
    fn of(windows: &[&Window], told: Told) -> Option<Self> {
        let grain = grain(windows)?;
        let first = non_negative(&rows(windows, grain, |window| window.cpu_us), told.fitted)?;
        let rows = rows(windows, grain, |window| first.predict(&regressors(window)));
        Some(Self { told, solution: non_negative(&rows, told.fitted)?, grain })
    }

    /// The fits that leave one trial out each, with the same terms.
    fn without_each(&self, windows: &[&Window]) -> Vec<Option<Self>> {
        let mut repeats: Vec<u32> = windows.iter().map(|window| window.repeat).collect();
        repeats.sort_unstable();
        repeats.dedup();
        let rest = |repeat: u32| windows.iter().copied().filter(|window| window.repeat != repeat).collect::<Vec<_>>();
        repeats.iter().map(|repeat| Self::of(&rest(*repeat), self.told)).collect()
    }

    /// The windows of a step, all together, against what this fit predicts for them.
    fn surprise(&self, step: &[&Window]) -> Option<Surprise> {
        let mut total = [0.0; TERMS];
        let (mut observed, mut sigma) = (0.0, 0.0);
        for window in step {
            let x = regressors(window);
            total.iter_mut().zip(&x).for_each(|(total, x)| *total += x);
            observed += window.cpu_us;
            sigma += self.solution.predict(&x) + self.grain;
        }
        let predicted = self.solution.predict(&total);
        let error = self.solution.residual.map(|residual| residual * sigma.hypot(self.solution.leverage(&total)));
        let errors = error.map(|error| (observed - predicted).abs() / error);
        (predicted > 0.0).then_some(Surprise { ratio: observed / predicted, errors })
    }
}

fn grain(windows: &[&Window]) -> Option<f64> {
    let mean = windows.iter().map(|window| window.cpu_us).sum::<f64>() / windows.len() as f64;
    (mean > 0.0).then_some(mean * GRAIN)
}

fn rows(windows: &[&Window], grain: f64, size: impl Fn(&Window) -> f64) -> Vec<Row> {
    let row = |window: &Window| Row { x: regressors(window), y: window.cpu_us, sigma: size(window) + grain };
    windows.iter().map(|window| row(window)).collect()
}

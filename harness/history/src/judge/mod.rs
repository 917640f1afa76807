//! The judge: what became of each cell and each number in a night.
//!
//! A suspect is beyond its fence, behind a recent change point, or ends as it never did. The strongest are nominated for an
//! experiment, which alone convicts. What the controls did as well is the machine's, and not nominated.

mod control;
mod suspicion;
mod word;

use serde::Serialize;

use crate::fence::{Deviations, Fence, fence};
use crate::history::{History, Point, Series};
use crate::night::{CellLine, Header, Metric};
use crate::noise::{Noise, noise};
use crate::rules::Rules;
use crate::series::Seam;
use control::Control;
use suspicion::Asked;
pub use suspicion::{Suspicion, Why};
pub use word::Word;

/// Version of the judgement as a file.
pub const SCHEMA: u32 = 1;

/// What became of a night.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The night.
    pub night: Header,
    /// Nights of the history until then, this one among them.
    pub nights: usize,
    /// Control cells that were outside of their fence; any makes it a machine night, in which numbers may move with them.
    pub controls_moved: Vec<Moved>,
    /// Control cells that were judged.
    pub controls: usize,
    /// The noise of the machine's class.
    pub noise: Vec<Noise>,
    /// The cells, in the order of the run. Sentinels and controls are not among them.
    pub cells: Vec<CellJudgement>,
    /// What is suspected, the strongest first.
    pub suspects: Vec<Suspect>,
    /// The cells to put to the test, with the commit to compare with.
    pub nominated: Vec<Nominated>,
}

impl Judgement {
    /// Whether a control moved.
    pub fn is_machine_night(&self) -> bool {
        !self.controls_moved.is_empty()
    }

    /// Whether anything is confirmed to be worse.
    pub fn is_worse(&self) -> bool {
        self.cells.iter().any(|cell| cell.word == Word::ConfirmedWorse)
    }
}

/// A control that moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Id of the cell.
    pub cell: String,
    /// The number.
    pub metric: Metric,
    /// By which share.
    pub ratio: f64,
}

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellJudgement {
    /// Id of the cell.
    pub cell: String,
    /// Its series.
    pub series: String,
    /// The gravest of its numbers, or that there is none.
    pub word: Word,
    /// Why it was not measured.
    pub reason: Option<String>,
    /// Its numbers.
    pub numbers: Vec<Number>,
}

/// What became of a number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Number {
    /// Which.
    pub metric: Metric,
    /// The word.
    pub word: Word,
    /// Its value in the night.
    pub value: f64,
    /// It is a lower bound, and was not tested.
    pub at_least: bool,
    /// Median of the nights before; `None`: too few.
    pub usual: Option<f64>,
    /// Ends of the fence.
    pub fence: Option<(f64, f64)>,
    /// The smallest share that is believed; `None`: not known yet.
    pub floor: Option<f64>,
}

/// What is suspected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// Id of the cell.
    pub cell: String,
    /// Its series.
    pub series: String,
    /// The number; `None`: how it ended.
    pub metric: Option<Metric>,
    /// The word.
    pub word: Word,
    /// An experiment was made on it.
    pub tried: bool,
    /// By which share it changed.
    pub ratio: Option<f64>,
    /// The change over the floor.
    pub strength: Option<f64>,
    /// Why.
    pub why: Vec<Why>,
    /// Commit of the last night that had the old number.
    pub from: Option<String>,
    /// Commit of the first that has the new one.
    pub to: Option<String>,
    /// What changed between both beside the code.
    pub seams: Vec<Seam>,
}

impl Suspect {
    /// Whether both sides of the change are known to be of one commit.
    fn is_same_code(&self) -> bool {
        self.from.is_some() && self.from == self.to
    }
}

/// A cell to put to the test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nominated {
    /// Id of the cell.
    pub cell: String,
    /// Its series.
    pub series: String,
    /// The last good commit; `None`: not known.
    pub base: Option<String>,
}

/// Judges a night by itself and the nights before it.
pub fn judge(history: &History, night: usize, rules: &Rules) -> Judgement {
    judge_with(history, &history.series(), night, rules)
}

/// The same, with the series of the history.
pub fn judge_with(history: &History, series: &[Series], night: usize, rules: &Rules) -> Judgement {
    let class = history.header(night).machine.class();
    let noise: Vec<Noise> =
        Metric::ALL.into_iter().map(|metric| noise(history, series, night, &class, metric, rules)).collect();
    let tonight: Vec<&Series> = series.iter().filter(|series| series.at(night).is_some()).collect();
    let controls: Vec<&Series> = tonight.iter().copied().filter(|series| series.control).collect();
    let mut judge = Judge {
        history,
        night,
        rules,
        noise,
        controls: Metric::ALL.map(|metric| Control::new(history, &controls, metric, night)),
        alone: Deviations::new(1, rules),
        deviations: Deviations::new(1, rules),
        machine_night: false,
        suspects: Vec::new(),
    };
    let tests = tonight.iter().filter(|series| !series.control).map(|series| judge.testable(series)).sum();
    judge.deviations = Deviations::new(tests, rules);
    let of_controls = Deviations::new(controls.len() * Metric::ALL.len(), rules);
    let controls_moved: Vec<Moved> = controls.iter().flat_map(|series| judge.moved(series, &of_controls)).collect();
    judge.machine_night = !controls_moved.is_empty();
    let mut cells: Vec<(usize, CellJudgement)> = Vec::new();
    for series in tonight.iter().filter(|series| !series.control) {
        let Some(place) = series.at(night) else { continue };
        cells.push((place.cell, judge.cell(series, history.line(place))));
    }
    cells.sort_by_key(|(order, _)| *order);
    let mut suspects = judge.suspects;
    // What has no strength ends differently, which is more than any change of a number.
    suspects.sort_by(|a, b| strength(b).total_cmp(&strength(a)).then_with(|| a.cell.cmp(&b.cell)));
    Judgement {
        schema: SCHEMA,
        night: history.header(night).clone(),
        nights: night + 1,
        nominated: nominated(&suspects, rules),
        controls: controls.len(),
        controls_moved,
        noise: judge.noise,
        cells: cells.into_iter().map(|(_, cell)| cell).collect(),
        suspects,
    }
}

fn strength(suspect: &Suspect) -> f64 {
    suspect.strength.unwrap_or(f64::INFINITY)
}

/// The cells of the strongest suspects that no experiment has tried and no control has excused. Where the number changed
/// from one night to the next with the same code, there is no older code to compare with.
fn nominated(suspects: &[Suspect], rules: &Rules) -> Vec<Nominated> {
    let mut all: Vec<Nominated> = Vec::new();
    let open = |suspect: &&Suspect| suspect.word == Word::Suspected && !suspect.tried && !suspect.is_same_code();
    for suspect in suspects.iter().filter(open) {
        if all.len() < rules.nominated && all.iter().all(|other| other.series != suspect.series) {
            all.push(Nominated {
                cell: suspect.cell.clone(),
                series: suspect.series.clone(),
                base: suspect.from.clone(),
            });
        }
    }
    all
}

struct Judge<'a> {
    history: &'a History,
    night: usize,
    rules: &'a Rules,
    noise: Vec<Noise>,
    /// What the controls did, by [`Metric`].
    controls: [Control; Metric::ALL.len()],
    /// How far from the median is news, of one number.
    alone: Deviations,
    /// The same, with as many numbers as are tested in the night.
    deviations: Deviations,
    machine_night: bool,
    suspects: Vec<Suspect>,
}

impl Judge<'_> {
    fn floor(&self, metric: Metric) -> Option<f64> {
        self.noise.iter().find(|noise| noise.metric == metric)?.floor
    }

    /// The points of a number until the night.
    fn points(&self, series: &Series, metric: Metric) -> Vec<Point> {
        let mut points = self.history.points(series, metric);
        points.retain(|point| point.night <= self.night);
        points
    }

    /// Whether the last point is the night's and there are enough before it for a fence.
    fn is_testable(&self, points: &[Point]) -> bool {
        points.len() > self.rules.fence_least && points.last().is_some_and(|last| last.night == self.night)
    }

    /// How many numbers of a series are tested.
    fn testable(&self, series: &Series) -> usize {
        let known = |metric: &Metric| self.floor(*metric).is_some();
        Metric::ALL.into_iter().filter(known).filter(|metric| self.is_testable(&self.points(series, *metric))).count()
    }

    /// Numbers of a control that are outside of their fence.
    fn moved(&self, series: &Series, deviations: &Deviations) -> Vec<Moved> {
        let mut moved = Vec::new();
        for metric in Metric::ALL {
            let points = self.points(series, metric);
            if !self.is_testable(&points) {
                continue;
            }
            let Some((last, before)) = points.split_last() else { continue };
            let values: Vec<f64> = before.iter().map(|point| point.ln).collect();
            let Some(fence) = fence(&values, deviations, self.rules) else { continue };
            let change = last.ln - fence.median;
            if fence.is_beyond(last.ln) && change.abs() > self.floor(metric).unwrap_or(self.rules.floor_least) {
                moved.push(Moved { cell: series.cell.clone(), metric, ratio: change.exp_m1() });
            }
        }
        moved
    }

    fn cell(&mut self, series: &Series, line: &CellLine) -> CellJudgement {
        let numbers: Vec<Number> =
            Metric::ALL.into_iter().filter_map(|metric| self.number(series, line, metric)).collect();
        let mut word = numbers.iter().map(|number| number.word).max().unwrap_or(Word::NotMeasured);
        if let Some(mut suspicion) = suspicion::ends_differently(self.history, series, self.night, self.rules) {
            // How a server ends has no size to compare with that of a control.
            suspicion.excused = self.machine_night;
            let own = self.word(series, None, &suspicion).0;
            word = word.max(own);
            self.suspect(series, None, &suspicion);
        }
        CellJudgement { cell: line.id.clone(), series: series.key.clone(), word, reason: line.reason.clone(), numbers }
    }

    fn number(&mut self, series: &Series, line: &CellLine, metric: Metric) -> Option<Number> {
        let value = line.value(metric)?;
        let floor = self.floor(metric);
        let points = self.points(series, metric);
        let at_least = metric == Metric::Ceiling && line.at_least;
        let mut number = Number {
            metric,
            // A lower bound is not compared, so no noise is asked for.
            word: if floor.is_some() || at_least { Word::Same } else { Word::NoiseUnknown },
            value,
            at_least,
            usual: None,
            fence: None,
            floor: floor.map(f64::exp_m1),
        };
        if !self.is_testable(&points) {
            return Some(number);
        }
        // Without a floor there is still a fence to draw.
        let least = floor.unwrap_or(self.rules.floor_least);
        let asked = Asked {
            floor: least,
            deviations: &self.deviations,
            alone: &self.alone,
            control: &self.controls[metric as usize],
            rules: self.rules,
        };
        let checked = suspicion::check(self.history, series, metric, &points, &asked);
        if let Some(Fence { median, low, high }) = checked.fence {
            number.usual = Some(median.exp());
            number.fence = Some((low.exp(), high.exp()));
        }
        match checked.suspicion.filter(|_| floor.is_some()) {
            Some(suspicion) => {
                number.word = self.word(series, Some(metric), &suspicion).0;
                self.suspect(series, Some(metric), &suspicion);
            }
            None => {
                if let Some(word) = self.convicted_tonight(series, metric) {
                    number.word = word;
                }
            }
        }
        Some(number)
    }

    /// The word for a suspicion, and whether an experiment was made on it.
    fn word(&self, series: &Series, metric: Option<Metric>, suspicion: &Suspicion) -> (Word, bool) {
        let since = (self.night + 1).saturating_sub(self.rules.recent);
        let tried = metric.and_then(|metric| self.history.experiment(since..=self.night, &series.key, metric));
        let word = match tried {
            Some(found) if found.confirmed => {
                let change = (found.value_after / found.value_before).ln();
                if found.metric.is_worse(change) { Word::ConfirmedWorse } else { Word::ConfirmedBetter }
            }
            Some(_) if !suspicion.seams.is_empty() => Word::Seam,
            None if suspicion.excused => Word::MachineNight,
            _ => Word::Suspected,
        };
        (word, tried.is_some())
    }

    /// What tonight's experiment proves of a number that the history does not suspect: it was tested with those of its cell.
    fn convicted_tonight(&mut self, series: &Series, metric: Metric) -> Option<Word> {
        let night = self.night;
        let found = self.history.experiment(night..=night, &series.key, metric).filter(|found| found.confirmed)?;
        let change = (found.value_after / found.value_before).ln();
        let word = if metric.is_worse(change) { Word::ConfirmedWorse } else { Word::ConfirmedBetter };
        self.suspects.push(Suspect {
            cell: series.cell.clone(),
            series: series.key.clone(),
            metric: Some(metric),
            word,
            tried: true,
            ratio: Some(change.exp_m1()),
            strength: self.floor(metric).map(|floor| change.abs() / floor),
            why: vec![Why::Proven],
            from: Some(found.before.clone()),
            to: Some(found.after.clone()),
            seams: Vec::new(),
        });
        Some(word)
    }

    fn suspect(&mut self, series: &Series, metric: Option<Metric>, suspicion: &Suspicion) {
        let (word, tried) = self.word(series, metric, suspicion);
        let commit = |night: usize| self.history.header(night).commit.clone();
        self.suspects.push(Suspect {
            cell: series.cell.clone(),
            series: series.key.clone(),
            metric,
            word,
            tried,
            ratio: suspicion.change.map(f64::exp_m1),
            strength: suspicion.strength,
            why: suspicion.why.clone(),
            from: commit(suspicion.from),
            to: commit(suspicion.to),
            seams: suspicion.seams.clone(),
        });
    }
}

#[cfg(test)]
mod tests;

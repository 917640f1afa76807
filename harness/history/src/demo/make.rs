//! Making the nights of a plan.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::cells::AGAIN;
use super::{DemoCell, Event, Plan, What};
use crate::digest::sha256;
use crate::night::{CellLine, Experiment, Header, Kind, Machine, Metric, Night, Right, SCHEMA, Selftest, TrialLine};
use wsceiling_model::record::{Cause, Outcome};

/// The 400th night of a plan of so many, 2026-11-29T02:17:05Z, in seconds of Unix time. Longer plans begin earlier.
const LAST: i64 = 1_795_918_625;
const LAST_NIGHT: usize = 399;
const DAY: i64 = 86_400;
/// Trials of a cell.
const TRIALS: u32 = 3;
const CPU: &str = "Example EPYC 7763";
const KERNEL: &str = "6.17.4";
const HARNESS: &str = "0.1.0";
/// How much of what a night does to all measurements each metric has.
const OF_NIGHT: [f64; 4] = [-0.5, 0.1, 1.0, 1.0];

/// The nights of a plan, the oldest first, and the files of its experiments.
pub fn demo(plan: &Plan) -> Vec<Night> {
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let mut own: Vec<[f64; 4]> = plan.cells.iter().map(|_| [0.0; 4].map(|_: f64| normal(&mut rng))).collect();
    let mut shared = normal(&mut rng);
    let mut commit = 0;
    let mut nights = Vec::new();
    for night in 0..plan.nights {
        let next = |value: &mut f64, rng: &mut fastrand::Rng| {
            *value = plan.carry * *value + (1.0 - plan.carry * plan.carry).sqrt() * normal(rng);
        };
        own.iter_mut().flatten().for_each(|value| next(value, &mut rng));
        next(&mut shared, &mut rng);
        let scatter: Vec<f64> = (0..plan.cells.len() * 3).map(|_| normal(&mut rng)).collect();
        // Some nights measure the commit of the night before, but not where the code changes.
        let changes = plan.events.iter().any(|event| event.night == night && event.what.is_code());
        commit += usize::from(rng.f64() < 0.7 || changes);
        let selftest = selftest(plan.seed, night, &mut rng);
        let maker = Maker { plan, night, shared, own: &own, scatter: &scatter, commit };
        if !maker.is_missing() {
            nights.push(maker.night(selftest));
            nights.extend(maker.experiments());
        }
    }
    nights
}

/// A normal number (Box and Muller 1958).
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let (u, v) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A night is made from these.
struct Maker<'a> {
    plan: &'a Plan,
    night: usize,
    shared: f64,
    own: &'a [[f64; 4]],
    scatter: &'a [f64],
    commit: usize,
}

impl<'a> Maker<'a> {
    /// What has happened until this night.
    fn events(&self) -> impl Iterator<Item = &'a Event> {
        let night = self.night;
        self.plan.events.iter().filter(move |event| event.night <= night)
    }

    /// The same, of a cell. A sentinel is what its cell is.
    fn events_of(&self, cell: &DemoCell) -> impl Iterator<Item = &'a Event> {
        let id = cell.id.replacen(AGAIN, "", 1);
        self.events().filter(move |event| event.cells.is_empty() || id == event.cells)
    }

    fn is_missing(&self) -> bool {
        self.events().any(|event| matches!(event.what, What::Gap(nights) if self.night < event.night + nights))
    }

    /// The CPU of the night, and how much more expensive it is.
    fn cpu(&self) -> (&'static str, f64) {
        let other = self.events().find_map(|event| match event.what {
            What::Cpu(model, factor, nights) if self.night < event.night + nights => Some((model, factor)),
            _ => None,
        });
        other.unwrap_or((CPU, 1.0))
    }

    fn header(&self, kind: Kind) -> Header {
        let mut machine = Machine {
            cpu: Some(self.cpu().0.to_owned()),
            cores: Some(4),
            cgroup: Some("2".into()),
            kernel: Some(KERNEL.into()),
            rustc: Some("1.95.0".into()),
            image: Some("20251020.1".into()),
        };
        let mut wsceiling = HARNESS;
        for event in self.events() {
            match event.what {
                What::Kernel(release) => machine.kernel = Some(release.to_owned()),
                What::Harness(version) => wsceiling = version,
                _ => {}
            }
        }
        let last = self.plan.nights.saturating_sub(1).max(LAST_NIGHT);
        let started = Timestamp::from_second(LAST - i64::try_from(last - self.night).unwrap_or_default() * DAY)
            .unwrap_or_default();
        Header {
            schema: SCHEMA,
            wsceiling: wsceiling.to_owned(),
            kind,
            started,
            run: format!("{}", 9_000_000 + self.night),
            attempt: 1,
            commit: Some(commit(self.plan.seed, self.commit)),
            reference: Some("refs/heads/main".into()),
            matrix: "nightly".into(),
            matrix_sha256: digest("matrix"),
            job: None,
            machine,
        }
    }

    fn night(&self, selftest: Selftest) -> Night {
        let cells = self.plan.cells.iter().enumerate().map(|(at, cell)| self.cell(at, cell)).collect();
        Night { header: self.header(Kind::Run), cells, selftests: vec![selftest], experiments: Vec::new() }
    }

    /// A number of a cell in this night.
    fn value(&self, at: usize, cell: &DemoCell, metric: Metric) -> f64 {
        let column = metric as usize;
        let noise = self.plan.noise * self.own[at][column] + self.plan.shared * self.shared * OF_NIGHT[column];
        let of_cpu = matches!(metric, Metric::Cpu | Metric::Opening);
        let mut value = cell.base[column] * noise.exp() * if of_cpu { self.cpu().1 } else { 1.0 };
        for event in self.events_of(cell) {
            let tonight = event.night == self.night;
            match event.what {
                What::Step(of, factor) if of == metric && !cell.control => value *= factor,
                What::Spike(of, factor) if of == metric && tonight => value *= factor,
                What::Drift(of, share, nights) if of == metric => {
                    value *= (1.0 + share).powf((self.night - event.night + 1).min(nights) as f64);
                }
                What::Machine(factor) if of_cpu && tonight => value *= factor,
                _ => {}
            }
        }
        value
    }

    fn cell(&self, at: usize, cell: &DemoCell) -> CellLine {
        let fails = self.events_of(cell).any(|event| event.what == What::DoesNotStart && event.night == self.night);
        let cause = self.events_of(cell).fold(cell.cause, |cause, event| match event.what {
            What::Cause(other) => other,
            _ => cause,
        });
        let outcome = match (fails, cell.at_least) {
            (true, _) => Outcome::FailedToStart,
            (false, true) => Outcome::Ok,
            (false, false) => Outcome::Ceiling,
        };
        let measured = |value: f64| (!fails).then(|| (value * 1e3).round() / 1e3);
        let [ceiling, memory, cpu, opening] = Metric::ALL.map(|metric| self.value(at, cell, metric));
        let ceiling = if cell.at_least { cell.base[0] } else { ceiling };
        let trial = |repeat: u32| {
            let scatter = 1.0 + 0.004 * self.scatter[at * TRIALS as usize + repeat as usize - 1];
            let stopped = if cell.at_least { ceiling } else { (ceiling * scatter).round() };
            TrialLine {
                repeat,
                outcome,
                stopped: measured(stopped),
                last_good: (!fails).then_some((stopped * 0.985) as u64),
                first_bad: (!fails && !cell.at_least).then_some((stopped * 1.015) as u64),
                memory: measured(memory * scatter),
                cpu: measured(cpu / scatter),
                opening: measured(opening / scatter),
            }
        };
        CellLine {
            id: cell.id.clone(),
            series: self.series(cell),
            axes: cell.axes.clone(),
            control: cell.control,
            outcome,
            reason: fails.then(|| "exited with code 1 after 0.21 s, before it listened".to_owned()),
            cause: (!fails).then_some(if cell.at_least { Cause::None } else { cause }),
            confidence: (!fails).then_some(0.85),
            limits: BTreeMap::from([("cpus".into(), true), ("memory_bytes".into(), true)]),
            ceiling: measured(ceiling.round()),
            at_least: cell.at_least,
            memory: measured(memory),
            cpu: measured(cpu),
            opening: measured(opening),
            trials: (1..=TRIALS).map(trial).collect(),
        }
    }

    /// The series of a cell: that of its id without what makes it a sentinel, of its CPU, and of the matrix as it is.
    fn series(&self, cell: &DemoCell) -> String {
        let edits = self.events_of(cell).filter(|event| event.what == What::Edited).count();
        digest(&format!("{} {} {edits}", cell.id.replacen(AGAIN, "", 1), self.cpu().0))
    }

    /// The file of the night's experiments.
    fn experiments(&self) -> Option<Night> {
        let mut experiments = Vec::new();
        for event in self.events().filter(|event| event.night == self.night) {
            let (metric, factor) = match event.what {
                What::Confirmed(metric, factor) => (metric, Some(factor)),
                What::NotConfirmed(metric) => (metric, None),
                _ => continue,
            };
            let Some(cell) = self.plan.cells.iter().find(|cell| cell.id == event.cells) else { continue };
            let before = cell.base[metric as usize];
            experiments.push(Experiment {
                cell: cell.id.clone(),
                series: self.series(cell),
                metric,
                before: commit(self.plan.seed, self.commit.saturating_sub(1)),
                after: commit(self.plan.seed, self.commit),
                value_before: before,
                value_after: before * factor.unwrap_or(1.002),
                p: if factor.is_some() { 0.0012 } else { 0.41 },
                confirmed: factor.is_some(),
            });
        }
        let header = self.header(Kind::Experiment);
        (!experiments.is_empty()).then_some(Night { header, cells: Vec::new(), selftests: Vec::new(), experiments })
    }
}

/// A selftest of twelve limits, of which one is missed in a while.
fn selftest(seed: u64, night: usize, rng: &mut fastrand::Rng) -> Selftest {
    let missed = u32::from(rng.f64() < 0.04);
    let row = |name: &str, right, of| Right { name: name.to_owned(), right, of };
    Selftest {
        seeds: vec![format!("seed {}", seed + night as u64)],
        passed: missed == 0,
        kinds: vec![row("plain", 9 - missed, 9), row("decoys", 2, 2), row("clean", 1, 1)],
        confidence: vec![row("0.60", 3, 3), row("0.85", 9 - missed, 9)],
        sure_and_wrong: if missed == 0 { Vec::new() } else { vec!["accept-queue-small.1".into()] },
        clean_accused: Vec::new(),
    }
}

fn commit(seed: u64, number: usize) -> String {
    digest(&format!("commit {seed} {number}"))[..40].to_owned()
}

fn digest(text: &str) -> String {
    sha256(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::union::Files;

    #[test]
    fn a_plan_gives_the_same_bytes_again_and_reads_without_a_fault() {
        let nights = demo(&Plan::site(1));
        let files = |nights: &[Night]| -> Files {
            nights.iter().map(|night| (night.file_name(), night.to_bytes().unwrap())).collect()
        };
        let all = files(&nights);
        assert_eq!(all, files(&demo(&Plan::site(1))));
        assert_ne!(all, files(&demo(&Plan::site(2))));
        let history = History::read(&all, "2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(history.faults, []);
        assert_eq!(history.nights.len(), 400 - 6);
        assert_eq!(history.experiments.len(), 4);
    }

    #[test]
    fn a_year_of_the_nightly_matrix_stays_small() {
        let nights = demo(&Plan::matrix(1, 2));
        let night = nights[1].to_bytes().unwrap().len();
        assert!(night * 365 < 15 * 1024 * 1024, "{night} bytes a night");
    }
}

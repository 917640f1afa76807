//! Costs of simulated servers, whose law is known.

use super::*;
use wsceiling_model::record::{Metric, Sample};
use wsceiling_simulate::law::{self, Drive, LAW, Law, Scatter};

/// A machine on which nothing else runs.
const QUIET: Scatter = Scatter { trials: 0.0, samples: 0.0, bytes: 0.0 };
/// Trials differ by 4 %, moments by 5 %.
const USUAL: Scatter = Scatter { trials: 0.04, samples: 0.05, bytes: 50_000.0 };

/// The costs of a cell of some trials; `number` tells cells apart.
fn cell(law: &Law, drive: &Drive, scatter: Scatter, trials: u32, number: u32) -> Costs {
    let configured = Traffic { messages_per_s: 1.0 / drive.every_s, openings_per_s: 0.0 };
    let trials: Vec<TrialCosts> = (1..=trials)
        .map(|repeat| {
            let (record, samples) = law::trial("cell", number * 1000 + repeat, law, drive, scatter);
            of_trial(&record, &TimeSeries::new(&samples), configured)
        })
        .collect();
    of_cell(&trials.iter().collect::<Vec<_>>(), configured, false)
}

fn cpu(law: &Law, drive: &Drive, scatter: Scatter, trials: u32) -> CpuCost {
    cell(law, drive, scatter, trials, 0).cpu.unwrap()
}

fn headline(law: &Law, drive: &Drive) -> f64 {
    law.idle + law.message / drive.every_s
}

fn is_near(found: Option<Estimate>, truth: f64, share: f64) -> bool {
    found.is_some_and(|found| (found.value - truth).abs() <= share * truth)
}

#[test]
fn the_law_is_found_whatever_the_hold_and_the_interval() {
    let mut told = Vec::new();
    for hold in [0.6, 2.0, 6.0] {
        for every in [1.0, 5.0, 20.0] {
            let drive = Drive::new(hold, every);
            let found = cpu(&LAW, &drive, USUAL, 3);
            let what = format!("hold {hold}, every {every}: {found:?}");
            assert!(is_near(found.per_connection, headline(&LAW, &drive), 0.1), "{what}");
            assert!(is_near(found.opening, LAW.opening, 0.1), "{what}");
            // Without a probe messages are in proportion to connections; with one that asks a few more, nearly.
            let in_proportion = hold >= every / 2.0;
            assert_eq!(found.together.is_some(), in_proportion, "{what}");
            assert_eq!(found.untold.len(), usize::from(in_proportion), "{what}");
            assert_eq!(found.check.knee, None, "{what}");
            assert!(found.check.held_out.unwrap().abs() < 0.1 && found.check.residual.unwrap() < 0.1, "{what}");
            if !in_proportion {
                told.push([found.idle, found.message, found.opening].map(Option::unwrap));
            }
        }
    }
    let half = |found: Estimate| found.interval.map(|(low, high)| (high - low) / 2.0).unwrap();
    for a in &told {
        for b in &told {
            for (a, b) in a.iter().zip(b) {
                assert!((a.value - b.value).abs() <= half(*a).hypot(half(*b)), "{a:?} {b:?}");
            }
        }
    }
    assert_eq!(told.len(), 5);
}

#[test]
fn without_scatter_it_is_found_to_a_percent() {
    let found = cpu(&LAW, &Drive::new(2.0, 5.0), QUIET, 2);
    for (found, law) in [
        (found.idle, LAW.idle),
        (found.message, LAW.message),
        (found.opening, LAW.opening),
        (found.baseline, LAW.baseline),
        (found.per_connection, LAW.idle + LAW.message / 5.0),
    ] {
        assert!(is_near(found, law, 0.01), "{found:?} {law}");
    }
    let (slope, baseline) = found.line().unwrap();
    assert_eq!(found.points.len(), 12);
    for point in &found.points {
        let on_line = baseline + slope * point.connections;
        assert!((point.value - on_line).abs() < 0.02 * on_line, "{point:?}");
    }
}

fn usage(sample: &mut Sample) -> Option<&mut f64> {
    sample.values.iter_mut().find(|(metric, _)| *metric == Metric::CpuUsage).map(|(_, used)| used)
}

#[test]
fn a_server_that_works_by_itself_once_it_has_connections_has_no_cost_of_theirs() {
    // A garbage collector that runs all the time as soon as the heap is full: 1.15 cores, and nothing before.
    let law = Law { baseline: 1_150_000.0, ..LAW };
    let (record, mut samples) = law::trial("cell", 1, &law, &Drive::new(2.0, 5.0), QUIET);
    let configured = Traffic { messages_per_s: 0.2, openings_per_s: 0.0 };
    let of = |samples: &[Sample]| {
        let trial = of_trial(&record, &TimeSeries::new(samples), configured);
        of_cell(&[&trial], configured, false).cpu.unwrap()
    };
    // Who works as much without any connection does so for itself.
    assert!(is_near(of(&samples).baseline, law.baseline, 0.01));
    let started_ms = record.steps[0].started_ms;
    let mut last = 0.0;
    for sample in samples.iter_mut().filter(|sample| sample.t_ms <= started_ms) {
        last = usage(sample).map_or(last, |used| *used);
    }
    for sample in samples.iter_mut().filter(|sample| sample.t_ms <= started_ms) {
        if let Some(used) = usage(sample) {
            *used = last;
        }
    }
    let found = of(&samples);
    assert_eq!((found.per_connection, found.baseline, found.opening), (None, None, None));
    assert!(found.untold[0].contains("and later 115 %"), "{:?}", found.untold);
}

#[test]
fn cost_and_points_are_those_of_the_load_that_the_matrix_configures() {
    let (record, samples) = law::trial("cell", 1, &LAW, &Drive::new(2.0, 5.0), QUIET);
    let configured = Traffic { messages_per_s: 1.0, openings_per_s: 0.0 };
    let trial = of_trial(&record, &TimeSeries::new(&samples), configured);
    let found = of_cell(&[&trial], configured, false).cpu.unwrap();
    assert!(is_near(found.per_connection, LAW.idle + LAW.message, 0.01), "{found:?}");
    for point in &found.points {
        let on_line = LAW.baseline + (LAW.idle + LAW.message) * point.connections;
        assert!((point.value - on_line).abs() < 0.02 * on_line, "{point:?}");
    }
}

#[test]
fn an_interval_over_three_trials_covers_the_truth_in_nine_of_ten_cells() {
    const CELLS: u32 = 300;
    let drive = Drive { steps: (1..=5).map(|step| step * 400).collect(), ..Drive::new(0.6, 5.0) };
    let truths = [LAW.idle, LAW.message, LAW.opening, LAW.baseline, headline(&LAW, &drive), LAW.bytes];
    let mut covered = [0; 6];
    for number in 0..CELLS {
        let Costs { cpu, memory } = cell(&LAW, &drive, USUAL, 3, number);
        let (cpu, memory) = (cpu.unwrap(), memory.unwrap());
        let found = [cpu.idle, cpu.message, cpu.opening, cpu.baseline, cpu.per_connection, Some(memory.per_connection)];
        for ((found, truth), covered) in found.iter().zip(truths).zip(&mut covered) {
            let (low, high) = found.unwrap().interval.unwrap();
            *covered += u32::from((low..=high).contains(&truth));
        }
    }
    let share = covered.map(|covered| f64::from(covered) / f64::from(CELLS));
    assert!(share.iter().all(|share| (0.90..=1.0).contains(share)), "{share:?}");
}

#[test]
fn one_trial_has_no_interval_and_two_have_a_wide_one() {
    let drive = Drive::new(0.6, 5.0);
    let width = |trials| {
        let found = cpu(&LAW, &drive, USUAL, trials).message.unwrap();
        found.interval.map(|(low, high)| high - low)
    };
    assert_eq!(width(1), None);
    assert!(width(2).unwrap() > width(3).unwrap());
}

#[test]
fn a_thrashing_last_step_ends_the_linear_range_and_does_not_bend_it() {
    let drive = Drive::new(0.6, 5.0);
    let thrashing = Law { thrash: Some((2_600.0, 1.6)), ..LAW };
    let found = cpu(&thrashing, &drive, USUAL, 3);
    let knee = found.check.knee.unwrap();
    assert_eq!((knee.linear_up_to, knee.beyond), (2_500, 3_000));
    assert!((1.5..1.7).contains(&knee.ratio), "{knee:?}");
    assert!(is_near(found.message, LAW.message, 0.1) && is_near(found.opening, LAW.opening, 0.1), "{found:?}");
    assert!(is_near(found.per_connection, headline(&LAW, &drive), 0.1), "{found:?}");
    // The step beyond is drawn, above the line.
    let (slope, baseline) = found.line().unwrap();
    let beyond = found.points.iter().filter(|point| point.connections > 2_900.0);
    assert!(beyond.clone().count() == 3 && beyond.clone().all(|p| p.value > 1.3 * (baseline + slope * p.connections)));
    // One that is 10 % dearer is no knee.
    let warmer = Law { thrash: Some((2_600.0, 1.1)), ..LAW };
    assert_eq!(cpu(&warmer, &drive, USUAL, 3).check.knee, None);
}

#[test]
fn one_step_has_the_idle_server_as_its_second_point() {
    let drive = Drive { steps: vec![1000], ..Drive::new(0.6, 5.0) };
    let found = cell(&LAW, &drive, QUIET, 2, 0);
    let cpu = found.cpu.unwrap();
    assert!(is_near(cpu.baseline, LAW.baseline, 0.02) && is_near(cpu.message, LAW.message, 0.1), "{cpu:?}");
    assert!(is_near(Some(found.memory.unwrap().per_connection), LAW.bytes, 0.01));
}

#[test]
fn no_coefficient_is_negative_and_no_part_of_memory() {
    let nearly_nothing = Law { idle: 0.0, baseline: 0.0, cache_lost: 300.0, ..LAW };
    for number in 0..20 {
        let found = cell(&nearly_nothing, &Drive::new(0.6, 5.0), USUAL, 3, number);
        let (cpu, memory) = (found.cpu.unwrap(), found.memory.unwrap());
        for estimate in [cpu.idle, cpu.message, cpu.opening, cpu.baseline].into_iter().flatten() {
            assert!(estimate.value >= 0.0 && estimate.interval.unwrap().0 >= 0.0, "{cpu:?}");
        }
        let cache = memory.parts.iter().find(|part| part.name == "page cache").unwrap();
        assert_eq!((cache.per_connection, cache.falls), (0.0, true));
        assert!(is_near(Some(memory.per_connection), LAW.bytes, 0.1), "{memory:?}");
    }
}

#[test]
fn connections_are_not_billed_for_growth() {
    let drive = Drive::new(2.0, 5.0);
    let leak = Law { leak_per_message: 1_000.0, ..LAW };
    let found = cell(&leak, &drive, USUAL, 3, 0).memory.unwrap();
    assert!(is_near(Some(found.per_connection), LAW.bytes, 0.05), "{found:?}");
    let anon = found.parts.iter().find(|part| part.name == "anonymous").unwrap();
    assert!((anon.per_connection - LAW.bytes).abs() < 0.05 * LAW.bytes, "{found:?}");
    assert!((found.growth.unwrap().bytes_per_message - 1_000.0).abs() < 100.0, "{found:?}");
}

#[test]
fn a_step_that_takes_more_memory_than_the_smaller_ones_say_is_beyond_the_knee() {
    let (record, mut samples) = law::trial("cell", 1, &LAW, &Drive::new(0.6, 5.0), Scatter { trials: 0.0, ..USUAL });
    let beyond = record.steps[5].started_ms;
    for sample in samples.iter_mut().filter(|sample| sample.t_ms > beyond) {
        for (_, value) in sample.values.iter_mut().filter(|(metric, _)| *metric == Metric::MemoryCurrent) {
            *value += 8e6;
        }
    }
    let trial = of_trial(&record, &TimeSeries::new(&samples), Traffic::default());
    let found = of_cell(&[&trial], Traffic::default(), false).memory.unwrap();
    assert_eq!(found.check.knee.map(|knee| knee.linear_up_to), Some(2_500));
    assert!(is_near(Some(found.per_connection), LAW.bytes, 0.05), "{found:?}");
}

#[test]
fn the_memory_of_a_server_that_goes_on_is_that_of_its_first_trial() {
    let drive = Drive::new(2.0, 1.0);
    let configured = Traffic { messages_per_s: 1.0, openings_per_s: 0.0 };
    // In the second trial the heap has what the first one took, so that nothing grows.
    let full = Law { bytes: 0.0, ..LAW };
    let trial = |repeat, law: &Law| {
        let (record, samples) = law::trial("cell", repeat, law, &drive, QUIET);
        of_trial(&record, &TimeSeries::new(&samples), configured)
    };
    let (first, second) = (trial(1, &LAW), trial(2, &full));
    let memory = |goes_on| of_cell(&[&first, &second], configured, goes_on).memory.unwrap();
    assert!(is_near(Some(memory(true).per_connection), LAW.bytes, 0.02), "{:?}", memory(true));
    assert!(memory(true).source.contains("the server goes on"));
    assert!(memory(false).per_connection.value < 0.6 * LAW.bytes, "{:?}", memory(false));
}

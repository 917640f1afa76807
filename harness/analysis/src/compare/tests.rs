//! Two runs that are known, and how often two runs of the same code are told apart.

use super::*;
use crate::numbers::TrialNumbers;
use crate::testing::run_of as run;
use fastrand::Rng;

/// So many trials, each 0.5 % from the next.
fn trials(count: usize, ceiling: f64, memory: f64) -> Vec<[f64; 4]> {
    let near = |at: usize| 1.0 + 0.005 * (at as f64 - count as f64 / 2.0);
    (0..count).map(|at| [ceiling * near(at), memory * near(at), 20.0, 100.0]).collect()
}

fn judgements(comparison: &Comparison) -> Vec<(Judgement, Option<Silence>)> {
    comparison.cells[0].changes.iter().map(|change| (change.judgement, change.why)).collect()
}

#[test]
fn seven_trials_show_that_memory_grew_by_a_half_and_three_do_not() {
    let compared = |count| compare(&run(&[("a", trials(count, 5e3, 8e3))]), &run(&[("a", trials(count, 5e3, 12e3))]));
    let seven = compared(7);
    let part = (Judgement::CannotKnow, Some(Silence::PartOfCpu));
    let same = (Judgement::Same, None);
    assert_eq!(judgements(&seven), [same, (Judgement::ConfirmedWorse, None), same, same, part]);
    assert_eq!((seven.worse, seven.better, seven.broken, seven.tested), (1, 0, 0, 4));
    assert_eq!(seven.cells[0].judgement, Judgement::ConfirmedWorse);
    let three = compared(3);
    let few = (Judgement::CannotKnow, Some(Silence::TooFewTrials { needed: 6 }));
    assert_eq!(judgements(&three), [few, few, few, few, part]);
    assert_eq!((three.worse, three.tested), (0, 0));
    // What changed is shown all the same.
    let memory = &three.cells[0].changes[1];
    assert!(memory.apart && (memory.ratio.unwrap() - 0.5).abs() < 1e-9, "{memory:?}");
}

#[test]
fn other_machines_loads_limits_and_fronts_are_told_and_not_judged() {
    let before = run(&[("a", trials(7, 5e3, 8e3))]);
    let after = run(&[("a", trials(7, 4e3, 12e3))]);
    assert_eq!(compare(&before, &after).worse, 1);
    let silent = |change: fn(&mut Findings), why: Silence| {
        let mut other = after.clone();
        change(&mut other);
        let compared = compare(&before, &other);
        assert_eq!((compared.worse, compared.tested), (0, 0), "{why:?}");
        assert_eq!(judgements(&compared)[0], (Judgement::CannotKnow, Some(why)));
    };
    silent(
        |run| {
            run.header.environment.facts.insert("cpu.model".into(), "Another".into());
        },
        Silence::OtherMachine,
    );
    silent(|run| run.header.load.max += 1, Silence::OtherLoad);
    silent(
        |run| {
            run.cells[0].cell.size = Some("small".into());
            run.header.sizes = vec![Size { cpus: Some(1.0), ..Size::unlimited("small") }];
        },
        Silence::OtherLimits,
    );
    silent(
        |run| {
            let mut instance = wsceiling_simulate::script::Script::new(run.cells[0].cell.clone(), 1)
                .good_up_to(500)
                .finish()
                .0
                .instances
                .remove(0);
            instance.limits = vec![wsceiling_model::record::AppliedLimit::enforced("pids", 9.0, "docker")];
            run.cells[0].trials[0].record.instances = vec![instance];
        },
        Silence::OtherLimits,
    );
    // Another kernel is a fact beside the numbers, and a price limits nothing.
    let mut kernel = after.clone();
    kernel.header.environment.facts.insert("kernel.release".into(), "6.19".into());
    kernel.header.sizes.iter_mut().for_each(|size| size.price_per_month = Some(9.0));
    let compared = compare(&before, &kernel);
    assert_eq!((compared.worse, compared.environment.len()), (1, 1));
}

#[test]
fn a_target_that_no_longer_starts_is_broken_and_one_that_was_not_measured_is_not() {
    let before = run(&[("a", trials(3, 5e3, 8e3))]);
    for (outcome, broken) in [
        (Outcome::FailedToStart, 1),
        (Outcome::FailedVerification, 1),
        (Outcome::TimedOut, 1),
        (Outcome::Skipped, 0),
        (Outcome::Killed, 0),
        (Outcome::Invalid, 0),
    ] {
        let mut after = before.clone();
        let cell = &mut after.cells[0];
        (cell.outcome, cell.ceiling) = (outcome, None);
        for trial in &mut cell.trials {
            trial.record.outcome = outcome;
            (trial.bracket, trial.numbers) = (None, TrialNumbers::default());
        }
        let compared = compare(&before, &after);
        assert_eq!((compared.worse, compared.broken), (0, broken), "{outcome}");
        assert_eq!(compared.cells[0].judgement, Judgement::NotMeasured);
        // One trial that did start: a machine that has its moods.
        after.cells[0].trials[0].record.outcome = Outcome::Skipped;
        assert_eq!(compare(&before, &after).broken, 0, "{outcome}");
    }
}

/// Pairs of runs of the same code in which a number was judged worse, of 1,000: eight cells, noise of 4 % from trial to
/// trial, and from night to night so much for the whole machine and as much again for each number.
fn alarms(count: usize, nights: f64) -> f64 {
    let mut random = Rng::with_seed(8);
    let mut normal = move || (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos();
    let names: Vec<String> = (0..8).map(|at| format!("cell{at}")).collect();
    let cells: Vec<_> = names.iter().map(|name| (name.as_str(), trials(count, 1e3, 1e3))).collect();
    let made = run(&cells);
    let mut night = || {
        let mut night = made.clone();
        let machine = normal();
        for cell in &mut night.cells {
            let own: [f64; 4] = std::array::from_fn(|_| nights * (machine + normal()));
            for trial in &mut cell.trials {
                let [ceiling, memory, cpu, opening] = own.map(|own| Some(1000.0 * (own + 0.04 * normal()).exp()));
                let numbers = &mut trial.numbers;
                (numbers.ceiling, numbers.memory_per_connection_bytes) = (ceiling, memory);
                (numbers.cpu_per_connection_us_per_s, numbers.cpu_per_open_us) = (cpu, opening);
            }
        }
        night
    };
    let worse = (0..1000).filter(|_| compare(&night(), &night()).worse > 0).count();
    worse as f64 / 1000.0
}

#[test]
fn the_same_code_on_two_nights_is_seldom_worse() {
    for (count, nights) in [(3, 0.03), (8, 0.0), (8, 0.02), (8, 0.03)] {
        let found = alarms(count, nights);
        println!("{count} trials, nights differ by {nights}: {found}");
        assert!(found <= 0.05, "{count} trials, nights differ by {nights}: {found}");
    }
    // What two runs cannot know: nights that differ by far more than is allowed for look like a change.
    for nights in [0.04, 0.10] {
        let wild = alarms(8, nights);
        println!("8 trials, nights differ by {nights}: {wild}");
        assert!(wild > 0.03, "{nights}: {wild}");
    }
}

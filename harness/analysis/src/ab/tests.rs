//! Experiments whose outcome is known.

use super::*;
use crate::testing::run_of;
use wsceiling_model::record::Outcome;

/// Seven trials of about 5,000 connections, 8,000 bytes, 20 micro-cores and 100 us, times these factors, 0.5 % apart.
fn trials(factors: [f64; 4]) -> Vec<[f64; 4]> {
    let one = |at: i32| {
        let near = 1.0 + 0.005 * f64::from(at);
        std::array::from_fn(|number| [5e3, 8e3, 20.0, 100.0][number] * factors[number] * near)
    };
    (-3..=3).map(one).collect()
}

const AS_IT_WAS: [f64; 4] = [1.0; 4];

fn shuffled(cells: &[(&str, Vec<[f64; 4]>)]) -> Findings {
    let mut run = run_of(cells);
    run.header.run.order = Order::Shuffled;
    run
}

fn question(again: bool) -> Question {
    Question { base: "base".into(), head: "head".into(), again: again.then(|| "again".into()), ..Question::default() }
}

fn judgements(ab: &Ab) -> Vec<Judgement> {
    ab.cells[0].changes.iter().map(|change| change.judgement).collect()
}

#[test]
fn a_head_that_costs_more_memory_is_confirmed_worse_and_nothing_else_is() {
    let run = shuffled(&[("base", trials(AS_IT_WAS)), ("head", trials([1.0, 1.2, 1.0, 0.8]))]);
    let ab = judge_targets(&run, &question(false)).unwrap();
    let expected = [
        Judgement::Same,
        Judgement::ConfirmedWorse,
        Judgement::Same,
        Judgement::ConfirmedBetter,
        Judgement::CannotKnow,
    ];
    assert_eq!(judgements(&ab), expected);
    assert_eq!((ab.judgement, ab.tested, ab.seed), (Judgement::ConfirmedWorse, 4, 1));
    assert_eq!(ab.counts, Counts { worse: 1, better: 1, same: 2, ..Counts::default() });
    assert_eq!(ab.cells[0].base.as_deref(), Some("base-remote-x1"));
    let provable = ab.cells[0].changes[1].provable.unwrap();
    assert!((FLOOR..0.05).contains(&provable), "{provable}");
}

#[test]
fn the_base_again_makes_smaller_changes_provable_and_shows_the_noise() {
    let cells = [("base", trials(AS_IT_WAS)), ("head", trials([1.0, 1.2, 1.0, 1.0]))];
    let alone = judge_targets(&shuffled(&cells), &question(false)).unwrap();
    let [base, head] = cells;
    let again = ("again", trials([1.0, 1.001, 1.0, 1.0]));
    let both = judge_targets(&shuffled(&[base, head, again]), &question(true)).unwrap();
    let memory = &both.cells[0].changes[1];
    assert_eq!((memory.judgement, memory.trials_before, memory.trials_after), (Judgement::ConfirmedWorse, 14, 7));
    assert!(memory.p < alone.cells[0].changes[1].p, "{memory:?}");
    assert!(memory.provable <= alone.cells[0].changes[1].provable, "{memory:?}");
    let noise = both.cells[0].noise_of(Quantity::Memory).unwrap();
    assert!((noise.ratio.unwrap() - 0.001).abs() < 1e-9 && noise.judgement == Judgement::Same, "{noise:?}");
    assert!(alone.cells[0].noise.is_empty());
}

#[test]
fn a_change_within_the_noise_of_the_run_is_none() {
    // The base moved by 6 % against itself, which is no proof; the head by 5 % against both.
    let mut again = trials([1.0, 1.06, 1.0, 1.0]);
    (again[0][1], again[1][1]) = (7_900.0, 7_950.0);
    let head = trials([1.0, 1.05, 1.0, 1.0]);
    let run = shuffled(&[("base", trials(AS_IT_WAS)), ("again", again), ("head", head)]);
    let ab = judge_targets(&run, &question(true)).unwrap();
    let noise = ab.cells[0].noise_of(Quantity::Memory).unwrap();
    assert_eq!(noise.judgement, Judgement::NotConfirmed, "{noise:?}");
    let floor = noise.ratio.unwrap();
    let memory = &ab.cells[0].changes[1];
    assert!(memory.provable.unwrap() >= floor && floor > 0.05, "{floor} {memory:?}");
    assert_eq!(memory.judgement, Judgement::Same, "{memory:?}");
}

#[test]
fn a_base_that_differs_from_itself_convicts_nobody() {
    let again = trials([1.0, 1.3, 1.0, 1.0]);
    let head = trials([1.0, 1.6, 1.0, 1.0]);
    let run = shuffled(&[("base", trials(AS_IT_WAS)), ("again", again), ("head", head)]);
    let memory = &judge_targets(&run, &question(true)).unwrap().cells[0].changes[1];
    assert_eq!((memory.judgement, memory.why), (Judgement::CannotKnow, Some(Silence::DiffersFromItself)));
}

#[test]
fn numbers_that_nobody_asked_for_are_shown_and_not_judged() {
    let run = shuffled(&[("base", trials(AS_IT_WAS)), ("head", trials([0.8, 1.2, 1.0, 1.0]))]);
    let question = Question { only: vec![Quantity::Ceiling], ..question(false) };
    let ab = judge_targets(&run, &question).unwrap();
    assert_eq!((ab.tested, ab.counts), (1, Counts { worse: 1, ..Counts::default() }));
    assert_eq!(ab.cells[0].changes[1].why, Some(Silence::NotAsked));
    let wide = Question { floor: 0.5, ..question };
    assert_eq!(judge_targets(&run, &wide).unwrap().counts.same, 1);
}

#[test]
fn a_head_that_does_not_start_is_not_measured_and_says_why() {
    let mut run = shuffled(&[("base", trials(AS_IT_WAS)), ("head", trials(AS_IT_WAS))]);
    let head = &mut run.cells[1];
    (head.outcome, head.ceiling) = (Outcome::FailedToStart, None);
    (head.reason, head.hint) = (Some("exited with code 3".into()), Some("read its log".into()));
    for trial in &mut head.trials {
        (trial.bracket, trial.numbers) = (None, crate::numbers::TrialNumbers::default());
    }
    let ab = judge_targets(&run, &question(false)).unwrap();
    assert_eq!((ab.judgement, ab.tested, ab.counts.worse), (Judgement::NotMeasured, 0, 0));
    assert_eq!(ab.counts.not_measured, 4, "{:?}", ab.counts);
    assert_eq!(ab.cells[0].reason.as_deref(), Some("exited with code 3"));
}

#[test]
fn cells_are_paired_by_all_but_their_target() {
    let mut run = shuffled(&[("base", trials(AS_IT_WAS)), ("head", trials(AS_IT_WAS)), ("head", trials(AS_IT_WAS))]);
    run.cells[2].cell.instances = 2;
    run.cells[2].cell.id = "head-remote-x2".into();
    let mut lonely = run.cells[0].clone();
    (lonely.cell.instances, lonely.cell.id) = (4, "base-remote-x4".into());
    run.cells.push(lonely);
    let ab = judge_targets(&run, &question(false)).unwrap();
    let pairs: Vec<_> = ab.cells.iter().map(|cell| (cell.cell.as_str(), cell.base.as_deref())).collect();
    assert_eq!(pairs, [("head-remote-x1", Some("base-remote-x1")), ("head-remote-x2", None)]);
    assert_eq!(ab.only_base, ["base-remote-x4"]);
}

#[test]
fn several_targets_are_judged_together_and_each_has_its_own_floor() {
    let cells = [
        ("base", trials(AS_IT_WAS)),
        ("head", trials([1.0, 1.2, 1.0, 1.0])),
        ("old", trials(AS_IT_WAS)),
        ("new", trials([1.0, 1.2, 1.0, 1.3])),
    ];
    let mut run = shuffled(&cells);
    // A cell of the head that this base does not have belongs to another question.
    let mut lonely = run.cells[1].clone();
    (lonely.cell.instances, lonely.cell.id) = (2, "head-remote-x2".into());
    run.cells.push(lonely);
    let other = Question {
        base: "old".into(),
        head: "new".into(),
        floors: BTreeMap::from([(Quantity::Memory, 0.25)]),
        ..Question::default()
    };
    let both = judge_together(&run, &[question(false), other.clone()]).unwrap();
    assert_eq!([both[0].tested, both[1].tested], [8, 8], "all numbers are tested together");
    assert_eq!(both[0].cells.len(), 1);
    let memory = |ab: &Ab| ab.cells[0].changes[1].clone();
    let alone = judge_targets(&run, &question(false)).unwrap();
    assert!(memory(&both[0]).p > memory(&alone).p, "{:?} {:?}", memory(&both[0]), memory(&alone));
    assert_eq!(memory(&both[0]).judgement, Judgement::ConfirmedWorse);
    assert_eq!(memory(&both[1]).judgement, Judgement::Same, "its floor is 25 %");
    assert_eq!(both[1].cells[0].changes[3].judgement, Judgement::ConfirmedWorse);
    let none = judge_together(&run, &[question(false), Question { base: "gone".into(), ..other }]);
    assert!(matches!(none, Err(NoAnswer::UnknownTarget { .. })));
}

#[test]
fn what_is_no_experiment_is_refused_with_a_hint() {
    let run = shuffled(&[("base", trials(AS_IT_WAS)), ("head", trials(AS_IT_WAS))]);
    let refused = |run: &Findings, question: &Question| judge_targets(run, question).unwrap_err().to_string();
    let mut rounds = run.clone();
    rounds.header.run.order = Order::Rounds;
    assert!(refused(&rounds, &question(false)).contains("order = \"shuffled\""));
    let unknown = refused(&run, &Question { head: "haed".into(), ..question(false) });
    assert!(unknown.contains("no target `haed`") && unknown.contains("`head`"), "{unknown}");
    assert!(refused(&run, &question(true)).contains("no target `again`"));
    let twice = refused(&run, &Question { again: Some("base".into()), ..question(false) });
    assert!(twice.contains("`base` is given twice"), "{twice}");
    let mut apart = run.clone();
    apart.cells[1].cell.instances = 2;
    assert!(refused(&apart, &question(false)).contains("has its like"));
}

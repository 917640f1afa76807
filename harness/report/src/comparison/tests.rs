//! Comparisons made by hand, as text and as a page.

use super::*;
use wsceiling_analysis::{Quantity, Silence};
use wsceiling_model::record::{Cause, Outcome};

/// A change of medians over seven trials a side.
pub(crate) fn change(quantity: Quantity, a: f64, b: f64, judgement: Judgement) -> Change {
    let judged = !matches!(judgement, Judgement::CannotKnow | Judgement::NotMeasured);
    Change {
        quantity,
        before: Some(a),
        after: Some(b),
        before_at_least: false,
        after_at_least: false,
        trials_before: 7,
        trials_after: 7,
        ratio: (a != 0.0).then(|| b / a - 1.0),
        apart: judgement >= Judgement::ConfirmedBetter,
        p: judged.then_some(if judgement >= Judgement::ConfirmedBetter { 12.0 / 3432.0 } else { 0.31 }),
        provable: judged.then_some(0.153),
        judgement,
        why: None,
    }
}

fn cell(id: &str, outcomes: (Outcome, Outcome), changes: Vec<Change>) -> CellComparison {
    CellComparison {
        cell: id.into(),
        outcome_a: outcomes.0,
        outcome_b: outcomes.1,
        cause_a: Some(Cause::None),
        cause_b: matches!(outcomes.1, Outcome::Ok | Outcome::Ceiling)
            .then(|| if outcomes.1 == Outcome::Ok { Cause::None } else { Cause::MemoryLimit }),
        reason: None,
        hint: None,
        judgement: changes.iter().map(|change| change.judgement).max().unwrap_or(Judgement::NotMeasured),
        changes,
        broken: false,
    }
}

/// A comparison with everything in it.
pub(crate) fn two_runs() -> Comparison {
    let fact = |name: &str, a: Option<&str>, b: Option<&str>| FactDifference {
        name: name.into(),
        a: a.map(str::to_owned),
        b: b.map(str::to_owned),
    };
    let fell = Change { before_at_least: true, ..change(Quantity::Ceiling, 8e3, 6e3, Judgement::ConfirmedWorse) };
    let few = Some(Silence::TooFewTrials { needed: 7 });
    let far = Change { apart: true, why: few, ..change(Quantity::Memory, 8e3, 16e3, Judgement::CannotKnow) };
    let near = Change { why: few, ..change(Quantity::Cpu, 20.0, 21.0, Judgement::CannotKnow) };
    let part =
        Change { why: Some(Silence::PartOfCpu), ..change(Quantity::MessageCpu, 20.0, 21.0, Judgement::CannotKnow) };
    let reason = Some("exited with code 3 after 0.21 s, before it listened".to_owned());
    Comparison {
        a: "2026-11-24T03:56:16Z default".into(),
        b: "2026-11-24T04:26:16Z default".into(),
        environment: vec![fact("kernel.release", Some("6.1"), Some("6.18 `x`")), fact("cpu.boost", None, Some("1"))],
        load: Vec::new(),
        cells: vec![
            cell(
                "app-bare-x1-small",
                (Outcome::Ok, Outcome::Ceiling),
                vec![
                    fell,
                    change(Quantity::Memory, 8_038.0, 12_345.0, Judgement::ConfirmedWorse),
                    change(Quantity::Cpu, 18.4, 18.5, Judgement::Same),
                    part,
                ],
            ),
            cell(
                "echo-bare-x1-small",
                (Outcome::Ok, Outcome::Ok),
                vec![
                    change(Quantity::Memory, 8_038.0, 9_100.0, Judgement::NotConfirmed),
                    change(Quantity::OpeningCpu, 96.8, 41.0, Judgement::ConfirmedBetter),
                ],
            ),
            cell("few-bare-x1-small", (Outcome::Ok, Outcome::Ok), vec![far, near]),
            cell("bun-docker-x1-small", (Outcome::Ok, Outcome::Skipped), Vec::new()),
            CellComparison {
                broken: true,
                reason,
                hint: Some("read its log".into()),
                ..cell("gone-bare-x1-small", (Outcome::Ok, Outcome::FailedToStart), Vec::new())
            },
        ],
        only_a: vec!["bun-bare-x1-small".into()],
        only_b: Vec::new(),
        tested: 5,
        worse: 1,
        better: 1,
        broken: 1,
    }
}

#[test]
fn a_comparison_reads_as_text_and_as_markdown() {
    insta::assert_snapshot!("comparison", comparison(&two_runs()));
}

#[test]
fn runs_that_agree_say_so_in_a_line() {
    let mut same = two_runs();
    let changes = vec![change(Quantity::Ceiling, 1.0, 1.0, Judgement::Same)];
    same.cells = vec![cell("echo", (Outcome::Ok, Outcome::Ok), changes)];
    (same.worse, same.better, same.broken, same.tested) = (0, 0, 0, 1);
    (same.environment, same.only_a) = (Vec::new(), Vec::new());
    let text = comparison(&same);
    assert!(text.contains("0 cells confirmed worse, 0 better; 1 number was judged."), "{text}");
    assert!(!text.contains('|') && text.contains("1 number more without a change"), "{text}");
}

#[test]
fn other_loads_are_listed_and_nothing_is_judged() {
    let mut other = two_runs();
    let name = "load.hold".to_owned();
    other.load = vec![FactDifference { name, a: Some("1s".into()), b: Some("2s".into()) }];
    for change in other.cells.iter_mut().flat_map(|cell| &mut cell.changes) {
        (change.judgement, change.why) = (Judgement::CannotKnow, Some(Silence::OtherLoad));
    }
    let text = comparison(&other);
    assert!(text.contains("- not judged, 8 numbers: the loads differ\n"), "{text}");
    assert!(text.contains("- `load.hold`: `1s` → `2s`"), "{text}");
}

#[test]
fn a_cell_that_was_not_measured_again_is_not_worse() {
    let before = crate::fixture::findings();
    for (outcome, broken, word) in
        [(Outcome::Killed, 0, "not measured"), (Outcome::FailedToStart, 1, "can no longer be measured")]
    {
        let mut after = before.clone();
        let cell = &mut after.cells[0];
        (cell.outcome, cell.ceiling, cell.verdict) = (outcome, None, None);
        for trial in &mut cell.trials {
            trial.record.outcome = outcome;
            (trial.bracket, trial.numbers) = (None, wsceiling_analysis::TrialNumbers::default());
        }
        let compared = wsceiling_analysis::compare(&before, &after);
        assert_eq!((compared.worse, compared.better, compared.broken), (0, 0, broken), "{outcome}");
        assert!(comparison(&compared).contains(word), "{}", comparison(&compared));
    }
}

#[test]
fn the_page_and_the_text_escape_what_the_records_say() {
    let mut hostile = two_runs();
    hostile.environment[0].b = Some("<script>alert(1)</script>".into());
    hostile.b = "<b> [x](http://e) @f".into();
    hostile.cells[4].reason = Some("<img src=x> | @f".into());
    let html = comparison_page(&hostile).unwrap();
    assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("<b>"), "{html}");
    assert!(html.contains("confirmed worse") && html.contains("at least 8,000") && html.contains("not judged"));
    let text = comparison(&hostile);
    assert!(
        !text.contains("<img") && !text.contains("<b>") && !text.contains("[x](") && !text.contains(" @f"),
        "{text}"
    );
}

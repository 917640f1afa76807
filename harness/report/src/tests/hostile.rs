//! Text that would be markup, findings with nothing in them, and numbers out of this world.

use super::{pages, rendered};
use crate::fixture::{self, Behaviour};
use crate::terminal;
use wsceiling_analysis::{
    CellFindings, Check, CostPoint, CpuCost, Estimate, EvidenceName, Findings, GrowsWith, Growth, MemoryCost, Part,
    Together, Traffic, TrialFindings,
};
use wsceiling_model::matrix::Runtime;
use wsceiling_model::record::{Cause, FailedAt, FailureReason, Outcome, Reason};

const HOSTILE: &str =
    "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\u{1b}[31m|`=x";

/// The run with hostile text wherever the record holds text.
fn hostile() -> Findings {
    let mut findings = fixture::findings();
    let evil = || HOSTILE.to_owned();
    findings.remarks.push(evil());
    let header = &mut findings.header;
    header.run.name = evil();
    header.started = evil();
    header.wsceiling = evil();
    header.matrix_path = evil();
    header.matrix_text = evil();
    header.matrix_sha256 = evil();
    header.environment.facts.insert(evil(), evil());
    header.environment.facts.insert("cpu.model".into(), evil());
    for cell in &mut findings.cells {
        cell.cell.target = evil();
        cell.cell.size = Some(evil());
        cell.reason = Some(evil());
        cell.hint = Some(evil().as_str().into());
        if let Some(size) = &mut cell.size {
            size.text = evil();
        }
        if let Some(memory) = &mut cell.memory {
            memory.source = evil();
            memory.parts.push(Part { name: evil(), per_connection: 1.0, falls: true });
        }
        if let Some(cpu) = &mut cell.cpu {
            cpu.source = evil();
        }
        for verdict in cell.verdict.iter_mut().chain(cell.trials.iter_mut().filter_map(|trial| trial.verdict.as_mut()))
        {
            verdict.sentence = evil();
            verdict.fix = Some(evil());
            for evidence in &mut verdict.evidence {
                (evidence.source, evidence.before) = (evil(), Some(evil()));
                evidence.name = EvidenceName::Failures(FailedAt::Open, FailureReason::Other(evil()));
            }
        }
        for trial in &mut cell.trials {
            hostile_trial(trial);
        }
    }
    findings
}

fn hostile_trial(trial: &mut TrialFindings) {
    let evil = || HOSTILE.to_owned();
    let record = &mut trial.record;
    record.started = Some(evil());
    record.reason = Some(Reason::words(&evil(), None));
    record.warnings = vec![evil().as_str().into()];
    record.sources.values_mut().for_each(|sources| drop(sources.insert(evil(), evil())));
    record.events.iter_mut().for_each(|event| event.what = evil().as_str().into());
    for instance in &mut record.instances {
        instance.address = evil();
        instance.image = Some(evil());
        instance.container = Some(evil());
        instance.command = vec![evil()];
        instance.binary_sha256 = Some(evil());
        instance.log = Some("javascript:alert(1)".into());
        instance.log_tail = vec![evil()];
        for limit in &mut instance.limits {
            (limit.name, limit.enforced_by, limit.reason) = (evil(), None, Some(evil()));
        }
    }
    for step in &mut record.steps {
        step.errors.iter_mut().for_each(|error| error.reason = FailureReason::Other(evil()));
    }
    trial.walls.iter_mut().for_each(|wall| wall.why = evil());
}

#[test]
fn text_of_a_record_is_never_markup() {
    let findings = hostile();
    for (path, text) in rendered(&findings) {
        let markup = path.extension().is_some_and(|extension| extension != "csv");
        for danger in ["<script", "<img", "href=\"javascript", "49"].iter().take(if markup { 3 } else { 0 }) {
            assert!(!text.contains(danger), "{} contains {danger}", path.display());
        }
        assert!(!text.contains('\u{1b}'), "{} drives a terminal", path.display());
    }
    assert!(!terminal(&findings, 120, false).contains('\u{1b}'));
}

#[test]
fn a_run_without_anything_is_still_a_report() {
    let mut nothing = fixture::run(Vec::new());
    nothing.remarks.clear();
    let all = pages(&nothing);
    assert_eq!(all.len(), 4, "the page, its capacity and its documentation");
    assert!(all.iter().any(|(_, html)| html.contains("The matrix has no cells.")));
    assert_eq!(terminal(&nothing, 80, true).lines().next(), Some("0 cells, 0 trials."));

    let skipped = fixture::failed("bun", Outcome::Skipped, "no program `bun` on PATH", "install bun");
    let mut without_trials = skipped.clone();
    without_trials.cell.id = "none".into();
    without_trials.trials.clear();
    let all = pages(&fixture::run(vec![skipped, without_trials]));
    assert_eq!(all.len(), 6);
    assert!(all.iter().any(|(_, html)| html.contains("No cell has a ceiling.")));
    assert!(all.iter().any(|(_, html)| html.contains("No trial of this cell is in the record.")));
}

/// A cell with every number that can be missing missing, or broken.
fn broken(value: f64) -> CellFindings {
    let behaviour = Behaviour { ceiling: Some(5_000), bytes: value, microcores: value, cause: Cause::Unknown };
    let mut cell = fixture::measured("x", Runtime::Bare, 2, behaviour, 2);
    let points = vec![CostPoint { connections: value, value, repeat: 1 }];
    let broken = Estimate { value, interval: Some((value, value)) };
    let check = Check { knee: None, residual: Some(value), held_out: Some(value) };
    cell.memory = Some(MemoryCost {
        per_connection: broken,
        baseline: value,
        points: points.clone(),
        parts: vec![Part { name: "a".into(), per_connection: value, falls: false }],
        growth: Some(Growth { bytes_per_second: value, bytes_per_message: value, with: GrowsWith::Both, share: value }),
        check,
        source: String::new(),
    });
    cell.cpu = Some(CpuCost {
        idle: None,
        message: Some(broken),
        opening: Some(broken),
        baseline: Some(broken),
        per_connection: Some(broken),
        configured: Traffic { messages_per_s: value, openings_per_s: value },
        together: Some(Together { cost: broken, messages_per_s: value }),
        untold: Vec::new(),
        check,
        windows: 0,
        points,
        source: String::new(),
    });
    cell.connections_per_price = Some(value);
    if let Some(ceiling) = &mut cell.ceiling {
        ceiling.high = Some(u64::MAX);
    }
    for trial in &mut cell.trials {
        trial.record.generator = None;
        trial.record.duration_ms = value;
        trial.record.events.iter_mut().for_each(|event| event.t_ms = value);
        trial
            .series
            .iter_mut()
            .for_each(|series| series.points.iter_mut().for_each(|point| *point = (value, Some(value))));
        for step in &mut trial.record.steps {
            (step.started_ms, step.opened_ms, step.ended_ms, step.achieved_per_s) = (value, value, value, value);
            (step.reply, step.handshake) = Default::default();
            step.gates.iter_mut().for_each(|gate| gate.value = Some(value));
            step.spread = vec![u64::MAX, 0];
        }
        if let Some(verdict) = &mut trial.verdict {
            verdict.onset_ms = Some(value);
            verdict.confidence = value;
        }
    }
    cell
}

#[test]
fn numbers_out_of_this_world_are_dashes_and_not_faults() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e-300, 1e300] {
        for (path, text) in rendered(&fixture::run(vec![broken(value)])) {
            for nonsense in ["NaN", "infinity", " inf ", "-inf"] {
                assert!(!text.contains(nonsense), "{value}: {} contains {nonsense}", path.display());
            }
        }
        terminal(&fixture::run(vec![broken(value)]), 100, true);
    }
}

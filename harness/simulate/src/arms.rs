//! Runs of several targets that differ in the memory of a connection: what `verdict` and `history convict` compare.

use std::path::{Path, PathBuf};

use crate::script::{Script, cell};
use crate::{Trial, header, write};
use wsceiling_model::matrix::{Cell, Order, Runtime};
use wsceiling_model::plan::TrialId;
use wsceiling_model::record::{Component, Metric};

/// The cell of a target, whose name may have a hyphen.
fn cell_of(target: &str) -> Cell {
    Cell { target: target.to_owned(), ..cell(&format!("{target}-bare-x1-small"), Runtime::Bare, 1) }
}

/// A trial that holds 2,000 connections; each takes so many bytes, a little more or less from trial to trial.
fn trial(target: &str, repeat: u32, bytes: f64) -> Trial {
    let own = bytes * (1.0 + 0.004 * (f64::from(repeat * 5 % 7) - 3.0));
    let (mut record, samples) = Script::new(cell_of(target), repeat)
        .noisy()
        .load(500, 2000)
        .good_up_to(2000)
        .set(Component::Instance(0), Metric::MemoryAnon, move |m| Some(2.1e6 + m.open * own))
        .set(Component::Instance(0), Metric::MemoryCurrent, move |m| {
            Some(2.1e6 + 1_648_800.0 + m.open * (own + 1600.0))
        })
        .finish();
    record.warnings.clear();
    (record, samples)
}

/// Writes a run of these targets, each with the bytes of a connection, into the folder of reports, and says where it is.
pub fn run(reports: &Path, name: &str, targets: &[(&str, f64)], repeats: u32, order: Order) -> PathBuf {
    let cells = targets.iter().map(|(target, _)| cell_of(target)).collect();
    let trials: Vec<Trial> = (1..=repeats)
        .flat_map(|repeat| targets.iter().map(move |(target, bytes)| trial(target, repeat, *bytes)))
        .collect();
    let plan: Vec<TrialId> = trials.iter().map(|(record, _)| record.trial.clone()).collect();
    let mut header = header(name, "", cells, plan, repeats);
    header.run.order = order;
    write(reports, &header, &trials)
}

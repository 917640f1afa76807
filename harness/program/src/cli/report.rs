//! `report RUN`: the pages of a run folder, from its record alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::outputs::Outputs;
use super::{DONE, Format, color_stdout, say};
use wsceiling_analysis as analyse;
use wsceiling_analysis::confirm::Confirmation;
use wsceiling_report as render;
use wsceiling_runfolder as record;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder
    run: PathBuf,
    /// Format of the verdicts on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    outputs: Outputs,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    if record::VisitorsRun::is_one(&arguments.run) {
        return visitors(&arguments.run, arguments.format);
    }
    render(&arguments.run, arguments.format, &arguments.outputs)?;
    Ok(DONE)
}

/// Renders the page of a run with visitors, and prints what it found.
fn visitors(folder: &Path, format: Format) -> Result<u8> {
    let line = super::visitors::record::render(folder)?;
    let index = folder.join(render::INDEX);
    match format {
        Format::Text => say(&format!("{line}\nreport: {}\n", index.display()))?,
        Format::Json => say(&format!("{}\n", json!({ "report": index, "visitors": line })))?,
    }
    Ok(DONE)
}

/// Renders the pages, then prints the verdicts and the path of the report, and writes the summaries.
pub(super) fn render(folder: &Path, format: Format, outputs: &Outputs) -> Result<()> {
    let findings = findings(folder)?;
    let index = folder.join(render::INDEX);
    render::render(&findings, &mut crate::files::below(folder))
        .with_context(|| format!("failed to render the report of {}", folder.display()))?;
    let json = || -> Result<String> { Ok(format!("{}\n", serde_json::to_string_pretty(&summary(&findings, &index))?)) };
    match format {
        Format::Text => {
            let verdicts = render::terminal(&findings, terminal_width(), color_stdout());
            say(&format!("{verdicts}report: {}\n", index.display()))?;
        }
        Format::Json => say(&json()?)?,
    }
    let more = vec![("run", folder.display().to_string()), ("report", index.display().to_string())];
    outputs.write(&findings, json, more)
}

/// What the record of a run folder says.
pub(super) fn findings(folder: &Path) -> Result<analyse::Findings> {
    let run = record::Run::open(folder)?;
    Ok(crate::folder::findings(&run)?)
}

/// The verdicts for a script.
fn summary(findings: &analyse::Findings, report: &Path) -> serde_json::Value {
    let cells = findings.cells.iter().map(|cell| {
        json!({
            "id": cell.cell.id,
            "outcome": cell.outcome,
            "reason": cell.reason,
            "hint": cell.hint.as_ref().map(ToString::to_string),
            "ceiling": cell.ceiling,
            "verdict": cell.verdict,
            "wall": cell.wall,
            "front_of": cell.edge,
            "long": cell.long,
            "experiments": cell.confirmations.tried.iter().map(experiment).collect::<Vec<_>>(),
            "endings": cell.endings,
            "memory_per_connection_bytes": cell.memory.as_ref().map(|memory| memory.per_connection.value),
            "memory_growth": cell.memory.as_ref().and_then(|memory| memory.growth),
            "memory_check": cell.memory.as_ref().map(|memory| memory.check),
            "cpu_per_connection_us_per_s": cpu(cell, |cpu| cpu.per_connection),
            "cpu_per_idle_connection_us_per_s": cpu(cell, |cpu| cpu.idle),
            "cpu_per_message_us": cpu(cell, |cpu| cpu.message),
            "cpu_per_open_us": cpu(cell, |cpu| cpu.opening),
            "cpu_baseline_us_per_s": cpu(cell, |cpu| cpu.baseline),
            "cpu_together": cell.cpu.as_ref().and_then(|cpu| cpu.together),
            "cpu_check": cell.cpu.as_ref().map(|cpu| cpu.check),
            "price": cell.price,
            "connections_per_price": cell.connections_per_price,
        })
    });
    json!({ "report": report, "cells": cells.collect::<Vec<_>>(), "scaling": findings.scaling, "remarks": findings.remarks })
}

/// One of the coefficients.
fn cpu(cell: &analyse::CellFindings, pick: fn(&analyse::CpuCost) -> Option<analyse::Estimate>) -> Option<f64> {
    cell.cpu.as_ref().and_then(pick).map(|found| found.value)
}

fn experiment(tried: &Confirmation) -> serde_json::Value {
    json!({
        "trial": tried.trial.to_string(),
        "suspect": tried.experiment.suspect,
        "change": tried.experiment.change,
        "measure": tried.experiment.measure,
        "before": tried.experiment.before,
        "predicted": tried.experiment.predicted,
        "after": tried.after,
        "finding": tried.finding,
        "sentence": tried.sentence,
    })
}

/// Columns of the terminal; where the output goes elsewhere those that `COLUMNS` asks for, else 100.
fn terminal_width() -> usize {
    let asked = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    terminal.filter(|columns| *columns > 0).or_else(asked).unwrap_or(100)
}

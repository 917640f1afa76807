//! The summary of a run; as Markdown it is `summary.md`, the verdict table for a CI job or a comment.

use std::fmt::Write as _;

use super::markdown::{code, escape};
use super::openmetrics::{Family, Labels, start};
use super::{Annotation, Case, Level, Status, Summarise};
use crate::cost_words;
use crate::describe;
use crate::text;
use crate::{RenderError, results};
use wsceiling_analysis::{CellFindings, CpuCost, Estimate, Findings};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::Outcome;

/// Characters of the cause in a row.
const WHY_CHARS: usize = 160;

/// The summary.
pub fn markdown(findings: &Findings) -> String {
    let header = &findings.header;
    let mut out = format!("## wsceiling: {}\n\n", escape(&header.run.name));
    let _ = writeln!(out, "{} {}\n", escape(&describe::run_in_a_line(findings)), escape(&text::time(&header.started)));
    for remark in &findings.remarks {
        let _ = writeln!(out, "- {}", escape(remark));
    }
    if !findings.remarks.is_empty() {
        out.push('\n');
    }
    let priced = findings.cells.iter().any(|cell| describe::price_per_thousand(cell).is_some());
    let (head, rule) = if priced { (" 1,000 for a month |", "---:|") } else { ("", "") };
    let _ = writeln!(
        out,
        "| cell | ceiling | what stopped it | memory / connection | CPU / connection | CPU by cause |{head}"
    );
    let _ = writeln!(out, "|---|---:|---|---:|---:|---|{rule}");
    for cell in &findings.cells {
        row(&mut out, cell, priced);
    }
    let _ = writeln!(out, "\nRepeat: {}", code(&describe::command(findings, None)));
    out
}

fn row(out: &mut String, cell: &CellFindings, priced: bool) {
    let with = |value: String, interval: String| {
        if interval.is_empty() { value } else { format!("{value} ({interval})") }
    };
    let ceiling = cell.ceiling.as_ref().map_or_else(
        || format!("**{}**", describe::badge(cell.outcome).text),
        |ceiling| {
            let words = with(format!("**{}**", describe::ceiling(ceiling)), describe::ceiling_interval(ceiling));
            if describe::measured(cell) { words } else { format!("{} {words}", describe::badge(cell.outcome).text) }
        },
    );
    let hint = cell.hint.as_ref().filter(|_| !describe::measured(cell));
    let hint = hint.map(|hint| format!("; hint: {}", text::hint(hint, WHY_CHARS))).unwrap_or_default();
    let tried = cell.confirmations.tried.last().map(|tried| format!(" Tried: {}", describe::experiment(tried)));
    let tried = tried.unwrap_or_default();
    let disagreement = describe::disagreement(cell).map(|words| format!("{words} ")).unwrap_or_default();
    let _ = write!(
        out,
        "| {} | {ceiling} | {} | {} | {} | {} |",
        code(&cell.cell.id).replace('|', "\\|"),
        escape(&format!("{disagreement}{}{tried}{hint}", text::shorten(&describe::why(cell), WHY_CHARS))),
        cost_words::with_interval(cost_words::memory(cell), Unit::Bytes),
        cost_words::with_interval(cost_words::cpu(cell), Unit::Microcores),
        escape(&by_cause(cell)),
    );
    if priced {
        let price = describe::price_per_thousand(cell)
            .map_or_else(|| format::UNKNOWN.to_owned(), |price| describe::money(cell, price));
        let _ = write!(out, " {} |", escape(&price));
    }
    out.push('\n');
}

/// What CPU is spent on, and up to where that holds.
fn by_cause(cell: &CellFindings) -> String {
    let Some(cpu) = &cell.cpu else { return String::new() };
    let knee = cost_words::knee(&cpu.check).map(|knee| format!("; {knee}")).unwrap_or_default();
    format!("{}{knee}", cost_words::by_cause(cpu))
}

impl Summarise for Findings {
    fn markdown(&self) -> String {
        markdown(self)
    }

    fn csv(&self) -> Result<String, RenderError> {
        results::table(self)
    }

    fn families(&self) -> Vec<Family> {
        families(self)
    }

    fn cases(&self) -> (String, Vec<Case>) {
        let case = |cell: &CellFindings| Case {
            class: cell.cell.target.clone(),
            name: cell.cell.id.clone(),
            status: status(cell),
            seconds: Some(cell.trials.iter().map(|trial| trial.record.duration_ms).sum::<f64>() / 1e3),
        };
        (self.header.run.name.clone(), self.cells.iter().map(case).collect())
    }

    fn annotations(&self) -> Vec<Annotation> {
        let annotation = |cell: &CellFindings| {
            let (level, message) = match status(cell) {
                Status::Passed(_) => return None,
                Status::Failed(message) | Status::Error(message) => (Level::Error, message),
                Status::Skipped(message) => (Level::Warning, message),
            };
            let title = format!("{}: {}", cell.cell.id, describe::badge(cell.outcome).text);
            Some(Annotation { level, title, message })
        };
        self.cells.iter().filter_map(annotation).collect()
    }

    fn outputs(&self) -> Vec<(&'static str, String)> {
        let count = |outcomes: &[Outcome]| {
            self.cells.iter().filter(|cell| outcomes.contains(&cell.outcome)).count().to_string()
        };
        vec![
            ("cells", self.cells.len().to_string()),
            ("measured", count(&[Outcome::Ok, Outcome::Ceiling])),
            ("failed", count(&[Outcome::FailedToStart, Outcome::FailedVerification, Outcome::TimedOut])),
        ]
    }
}

/// A ceiling is a result and no failure; a target that does not run is one.
fn status(cell: &CellFindings) -> Status {
    let why = || {
        let hint = cell.hint.as_ref().map(|hint| format!("; hint: {}", text::hint(hint, WHY_CHARS)));
        format!("{}{}", text::shorten(&describe::why(cell), WHY_CHARS), hint.unwrap_or_default())
    };
    match cell.outcome {
        Outcome::Ok | Outcome::Ceiling => Status::Passed(cell.ceiling.as_ref().map(describe::ceiling)),
        Outcome::Invalid | Outcome::Skipped | Outcome::Killed => Status::Skipped(why()),
        Outcome::FailedToStart | Outcome::FailedVerification | Outcome::TimedOut => Status::Failed(why()),
    }
}

fn labels(cell: &CellFindings) -> Labels {
    let own = &cell.cell;
    vec![
        ("cell", own.id.clone()),
        ("target", own.target.clone()),
        ("runtime", own.runtime.to_string()),
        ("instances", own.instances.to_string()),
        ("front", own.front.clone().unwrap_or_default()),
        ("size", own.size.clone().unwrap_or_default()),
        ("scenario", own.scenario.to_string()),
    ]
}

fn families(findings: &Findings) -> Vec<Family> {
    let of_cells = |name, unit, help, value: &dyn Fn(&CellFindings) -> Option<f64>| Family {
        name,
        unit,
        help,
        samples: findings.cells.iter().filter_map(|cell| Some((labels(cell), value(cell)?))).collect(),
    };
    let cpu = |pick: fn(&CpuCost) -> Option<Estimate>, unit: f64| {
        move |cell: &CellFindings| cell.cpu.as_ref().and_then(pick).map(|found| found.value * unit)
    };
    let outcomes = findings.cells.iter().map(|cell| {
        let mut labels = labels(cell);
        let cause = cell.verdict.as_ref().map(|verdict| verdict.cause.to_string());
        labels.push(("outcome", describe::badge(cell.outcome).slug.to_owned()));
        labels.push(("cause", cause.unwrap_or_default()));
        (labels, 1.0)
    });
    vec![
        start(&findings.header.started, &findings.header.run.name),
        of_cells("wsceiling_ceiling_connections", "connections", "Connections that the cell held.", &|cell| {
            cell.ceiling.as_ref().map(|ceiling| ceiling.connections as f64)
        }),
        of_cells("wsceiling_ceiling_at_least", "", "1 where no ceiling was met, so that it holds more.", &|cell| {
            cell.ceiling.as_ref().map(|ceiling| f64::from(u8::from(ceiling.at_least)))
        }),
        of_cells("wsceiling_memory_per_connection_bytes", "bytes", "Memory of one more connection.", &|cell| {
            cell.memory.as_ref().map(|memory| memory.per_connection.value)
        }),
        of_cells(
            "wsceiling_cpu_per_connection_cores",
            "cores",
            "CPU of one more connection under the configured load.",
            &cpu(|cpu| cpu.per_connection, 1e-6),
        ),
        of_cells(
            "wsceiling_cpu_per_opening_seconds",
            "seconds",
            "CPU of opening a connection.",
            &cpu(|cpu| cpu.opening, 1e-6),
        ),
        of_cells(
            "wsceiling_cpu_per_message_seconds",
            "seconds",
            "CPU of a message and its answer.",
            &cpu(|cpu| cpu.message, 1e-6),
        ),
        Family {
            name: "wsceiling_cell_outcome",
            unit: "",
            help: "1 for the outcome of the cell and what stopped it.",
            samples: outcomes.collect(),
        },
    ]
}

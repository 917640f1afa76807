//! `verdict RUN`: is one target of a shuffled run worse than another?

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::outputs::Outputs;
use super::{DONE, FAILED, Format, USAGE, report::findings, say};
use wsceiling_analysis::ab::{self, Question};
use wsceiling_analysis::{FLOOR, Quantity};
use wsceiling_report as render;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder; its matrix has `order = "shuffled"`
    run: PathBuf,
    /// The target before the change
    #[arg(long, value_name = "TARGET")]
    base: String,
    /// The target after it
    #[arg(long, value_name = "TARGET")]
    head: String,
    /// A target that is the base once more: it shows the noise of the run, and proves smaller changes
    #[arg(long, value_name = "TARGET")]
    again: Option<String>,
    /// Judge this number only, if you decided so before the run; may be given again. Fewer numbers prove smaller changes
    #[arg(long, value_name = "NUMBER")]
    number: Vec<Quantity>,
    /// Confirm no smaller change, as a share
    #[arg(long, value_name = "SHARE", default_value_t = FLOOR, value_parser = share)]
    floor: f64,
    /// Format of the judgement on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    outputs: Outputs,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (FLOOR..1.0).contains(share));
    share.ok_or_else(|| format!("a share is a number from {FLOOR} to 1, like 0.05"))
}

/// Exit code 1 means confirmed worse, and nothing else: what cannot be judged is 2.
pub(super) fn run(arguments: Arguments) -> u8 {
    judge(arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        USAGE
    })
}

fn judge(arguments: Arguments) -> Result<u8> {
    let Arguments { run, base, head, again, number, floor, format, outputs } = arguments;
    let question = Question { base, head, again, only: number, floor, floors: BTreeMap::new() };
    let judged = ab::judge_targets(&findings(&run)?, &question)?;
    let json = || -> Result<String> { Ok(format!("{}\n", serde_json::to_string_pretty(&judged)?)) };
    match format {
        Format::Text => say(&render::ab(&judged))?,
        Format::Json => say(&json()?)?,
    }
    outputs.write(&judged, json, Vec::new())?;
    Ok(if judged.counts.worse > 0 { FAILED } else { DONE })
}

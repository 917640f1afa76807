//! `plan FILE`, or `plan --url URL`: what would run.

use anyhow::Result;
use clap::Args;

use super::source::Source;
use super::{DONE, FAILED, Format, make_plan, runtime};
use crate::run::remote_metrics;
use wsceiling_machine::environment;
use wsceiling_model::plan;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Show this cell only; may be given again, `*` stands for any characters
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Ask each source of the metrics of remote targets once, and say what it gives
    #[arg(long)]
    check: bool,
    /// Format of the plan on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let (matrix, _) = match arguments.source.load() {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let chosen = match make_plan(&matrix, &arguments.only) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let machine = (&environment::machine()).into();
    match arguments.format {
        Format::Text => print!("{}", plan::describe(&matrix, &chosen, &machine)),
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&plan::Description::new(&matrix, &chosen, &machine))?);
        }
    }
    if !arguments.check {
        return Ok(DONE);
    }
    let checked = runtime()?.block_on(remote_metrics::check(&matrix));
    for (line, _) in &checked {
        eprintln!("{line}");
    }
    Ok(if checked.iter().all(|(_, gives)| *gives) { DONE } else { FAILED })
}

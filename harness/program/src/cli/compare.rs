//! `compare A B`: two runs side by side.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::outputs::Outputs;
use super::{DONE, FAILED, Format, report::findings, say};
use wsceiling_analysis as analyse;
use wsceiling_report as render;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run folder to compare with
    before: PathBuf,
    /// The run folder to judge
    after: PathBuf,
    /// Write the comparison as a page, too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the comparison on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    outputs: Outputs,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let (before, after) = (findings(&arguments.before)?, findings(&arguments.after)?);
    let comparison = analyse::compare(&before, &after);
    let json = || -> Result<String> { Ok(format!("{}\n", serde_json::to_string_pretty(&comparison)?)) };
    match arguments.format {
        Format::Text => say(&render::comparison(&comparison))?,
        Format::Json => say(&json()?)?,
    }
    if let Some(file) = &arguments.out {
        let page = render::comparison_page(&comparison)?;
        crate::files::write(file, page.as_bytes()).with_context(|| format!("failed to write {}", file.display()))?;
        eprintln!("page: {}", file.display());
    }
    arguments.outputs.write(&comparison, json, Vec::new())?;
    Ok(if comparison.worse + comparison.broken > 0 { FAILED } else { DONE })
}

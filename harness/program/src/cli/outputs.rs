//! `--summary FILE` and `--github`: the outcome of a command for other programs, and for GitHub's runner.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use wsceiling_report::summary::{self, Form, Summarise};

/// Where else the outcome goes.
#[derive(Debug, Default, Args)]
pub(super) struct Outputs {
    /// Write a summary too, as the ending says: .md, .json, .csv, .prom (OpenMetrics) or .xml (JUnit); may be given again
    #[arg(long, value_name = "FILE", value_parser = SummaryFile::parse)]
    summary: Vec<SummaryFile>,
    /// In a GitHub workflow: annotate, add to the summary of the job, set outputs of the step
    #[arg(long)]
    github: bool,
}

/// A file with the form that its name asks for.
#[derive(Debug, Clone)]
struct SummaryFile {
    path: PathBuf,
    form: Form,
}

impl SummaryFile {
    fn parse(path: &str) -> Result<Self, String> {
        let path = PathBuf::from(path);
        Ok(Self { form: Form::of(&path)?, path })
    }
}

impl Outputs {
    /// Writes all that was asked for. `json` makes the outcome as JSON; `more` are outputs that only the caller knows.
    pub fn write(
        &self,
        of: &dyn Summarise,
        json: impl Fn() -> Result<String>,
        more: Vec<(&'static str, String)>,
    ) -> Result<()> {
        for file in &self.summary {
            let text = summary::summary(of, file.form, &json)?;
            crate::files::write(&file.path, text.as_bytes())
                .with_context(|| format!("failed to write the summary {}", file.path.display()))?;
            eprintln!("summary: {}", file.path.display());
        }
        if !self.github {
            return Ok(());
        }
        // The runner reads commands from both streams, and standard output may be JSON.
        eprint!("{}", summary::annotations(&of.annotations()));
        append("GITHUB_STEP_SUMMARY", |used| summary::job_summary(&of.markdown(), used))?;
        let values: Vec<_> = of.outputs().into_iter().chain(more).collect();
        append("GITHUB_OUTPUT", |_| summary::outputs(&values))
    }
}

/// Appends to the file that a variable of the runner names; `text` is told how many bytes it has. Elsewhere there is none.
fn append(variable: &str, text: impl FnOnce(u64) -> String) -> Result<()> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        eprintln!("{variable} is not set, so nothing is written there");
        return Ok(());
    };
    let used = fs::metadata(&path).map_or(0, |file| file.len());
    let write = || OpenOptions::new().create(true).append(true).open(&path)?.write_all(text(used).as_bytes());
    write().with_context(|| format!("failed to append to {} ({variable})", path.display()))
}

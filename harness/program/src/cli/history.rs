//! `history`: nights kept in small files, merged as sets, and judged.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use super::experiment::{Convict, Experiment};
use super::{DONE, FAILED, say};
use crate::history;
use wsceiling_history::demo::{Plan, demo};
use wsceiling_history::{History, Judgement, Rules, judge};
use wsceiling_report as render;

/// Faults of a history that are named.
const FAULTS: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add the night of a run folder; a night that is there is never overwritten
    Add(Add),
    /// Judge the last night: which cells changed, which need an experiment
    Judge(Judge),
    /// Write the matrix of an experiment: the nominated cells of the last night, old code against new, in one shuffle
    Experiment(Experiment),
    /// Judge the run of such a matrix, and keep what it found
    Convict(Convict),
    /// Merge histories into the first, as sets of files
    Merge(Merge),
    /// Write a history made from a seed: 400 nights in which everything happens
    #[command(hide = true)]
    Demo(Demo),
}

#[derive(Debug, Args)]
struct Add {
    /// The run folder
    run: PathBuf,
    /// The history; made if it is not there
    history: PathBuf,
    /// A finished selftest of the same night; may be given again
    #[arg(long, value_name = "DIR")]
    selftest: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Judge {
    /// The history
    history: PathBuf,
    /// Write the judgement as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Merge {
    /// The histories; the first one takes what the others have
    #[arg(required = true)]
    histories: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Demo {
    /// Where to write it
    history: PathBuf,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many nights of the cells of the nightly matrix, in which nothing happens, instead
    #[arg(long, value_name = "N")]
    nights: Option<usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    match &arguments.verb {
        Verb::Add(add) => add.run(),
        Verb::Judge(judge) => judge.run(),
        Verb::Experiment(experiment) => experiment.run(),
        Verb::Convict(convict) => convict.run(),
        Verb::Merge(merge) => merge.run(),
        Verb::Demo(demo) => demo.run(),
    }
}

/// Reads a history and says on standard error what of it was left out.
pub(super) fn read(folder: &std::path::Path) -> Result<History> {
    let history = History::read(&history::read(folder)?, jiff::Timestamp::now());
    for fault in history.faults.iter().take(FAULTS) {
        eprintln!("left out {fault}");
    }
    if let Some(more) = history.faults.len().checked_sub(FAULTS).filter(|more| *more > 0) {
        eprintln!("left out {more} more");
    }
    Ok(history)
}

impl Add {
    fn run(&self) -> Result<u8> {
        let about = history::about(|name| std::env::var(name).ok());
        let night = history::night(&self.run, &self.selftest, &about)
            .with_context(|| format!("failed to read {}", self.run.display()))?;
        super::experiment::add_night(&self.history, &night)
            .with_context(|| format!("the night of {} is not added", self.run.display()))?;
        Ok(DONE)
    }
}

impl Judge {
    fn run(&self) -> Result<u8> {
        let history = read(&self.history)?;
        let last = history.nights.len().checked_sub(1);
        let judgement: Option<Judgement> = last.map(|night| judge(&history, night, &Rules::default()));
        if let Some(file) = &self.json {
            let faults: Vec<String> = history.faults.iter().map(ToString::to_string).collect();
            let value = json!({ "faults": faults, "judgement": judgement });
            let text = format!("{}\n", serde_json::to_string_pretty(&value)?);
            crate::files::write(file, text.as_bytes())
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        match &judgement {
            Some(judgement) => say(&render::judgement(judgement))?,
            None => say("there is no night to judge yet\n")?,
        }
        let worse = judgement.is_some_and(|judgement| judgement.is_worse());
        Ok(if worse || !history.faults.is_empty() { FAILED } else { DONE })
    }
}

impl Merge {
    fn run(&self) -> Result<u8> {
        let (refused, new) = history::merge(&self.histories)?;
        for refused in &refused {
            eprintln!(
                "refused {}: it has different bytes in these histories; all are kept: {}",
                refused.file,
                refused.kept.join(", ")
            );
        }
        let into = self.histories.first().map(|folder| folder.display().to_string()).unwrap_or_default();
        say(&format!("{into}: {new} new files\n"))?;
        Ok(if refused.is_empty() { DONE } else { FAILED })
    }
}

impl Demo {
    fn run(&self) -> Result<u8> {
        let plan = self.nights.map_or_else(|| Plan::site(self.seed), |nights| Plan::matrix(self.seed, nights));
        let nights = demo(&plan);
        for night in &nights {
            let bytes = night.to_bytes().context("failed to write a night")?;
            history::add(&self.history, &night.file_name(), &bytes)?;
        }
        say(&format!("{}: {} files\n", self.history.display(), nights.len()))?;
        Ok(DONE)
    }
}

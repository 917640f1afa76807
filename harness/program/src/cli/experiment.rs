//! `history experiment` and `history convict`: old code against new, for what the history suspects.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{DONE, USAGE, load_matrix, report::findings, say};
use crate::history::{self, Added};
use wsceiling_history::experiment::{self, NotTried, SCHEMA, Setup, WhyNot};
use wsceiling_history::{Night, Rules, judge};
use wsceiling_machine::environment;
use wsceiling_model::matrix::{Matrix, parse_with};
use wsceiling_model::plan::{Description, Plan};
use wsceiling_report as render;

#[derive(Debug, Args)]
pub(super) struct Experiment {
    /// The history; its last night is the one that was just measured
    history: PathBuf,
    /// The matrix of the night
    matrix: PathBuf,
    /// The folder of the matrix file in a checkout of an older commit; may be given again
    #[arg(long, value_name = "COMMIT=FOLDER", value_parser = checkout)]
    old: Vec<(String, PathBuf)>,
    /// Where to write the matrix: in the folder of MATRIX, since paths in it are relative
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where to write what is compared with what, for `history convict`
    #[arg(long, value_name = "FILE")]
    setup: PathBuf,
    /// Longest time of the run: the last nominated cells are left out until the worst case fits, but for one
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Convict {
    /// The run folder of the matrix that `history experiment` wrote
    run: PathBuf,
    /// What it wrote beside it
    setup: PathBuf,
    /// The history that keeps what was found; the experiment of a night is never overwritten
    history: PathBuf,
}

fn checkout(text: &str) -> Result<(String, PathBuf), String> {
    let pair = text.split_once('=').filter(|(commit, folder)| !commit.is_empty() && !folder.is_empty());
    let (commit, folder) = pair.ok_or("a checkout is COMMIT=FOLDER, like 0123abc=../old/ci")?;
    Ok((commit.to_owned(), PathBuf::from(folder)))
}

impl Experiment {
    pub(super) fn run(&self) -> Result<u8> {
        ensure!(
            folder_of(&self.out)? == folder_of(&self.matrix)?,
            "{} is in another folder than {}; hint: paths in a matrix are relative to its folder, so write both there",
            self.out.display(),
            self.matrix.display()
        );
        let matrix = match load_matrix(&self.matrix) {
            Ok(matrix) => matrix,
            Err(code) => return Ok(code),
        };
        let history = super::history::read(&self.history)?;
        let Some(last) = history.nights.len().checked_sub(1) else {
            say("there is no night to judge yet\n")?;
            return Ok(DONE);
        };
        let mut judgement = judge(&history, last, &Rules::default());
        let mut folders: BTreeMap<String, PathBuf> = BTreeMap::new();
        for (commit, folder) in &self.old {
            let folder = folder.canonicalize();
            let folder = folder.with_context(|| format!("the checkout of {commit} cannot be used"))?;
            folders.insert(commit.clone(), folder);
        }
        let seed = u64::try_from(judgement.night.started.as_second()).unwrap_or_default();
        let mut too_long = Vec::new();
        let (setup, text) = loop {
            let (setup, not_tried) = experiment::setup(&judgement, &matrix, &folders);
            let Some(setup) = setup else {
                explain(&not_tried)?;
                say("nothing is put to the test\n")?;
                return Ok(DONE);
            };
            let text = setup.matrix(&matrix, &folders, seed)?;
            let Some(worst) = worst(&text, &self.out) else { return Ok(USAGE) };
            let fits = self.minutes.is_none_or(|minutes| worst <= Duration::from_secs(60 * minutes));
            let several = setup.pairs.iter().map(|pair| pair.cells.len()).sum::<usize>() > 1;
            if fits || !several {
                too_long.extend(not_tried);
                break (setup, text);
            }
            let last = judgement.nominated.pop().map(|nominated| nominated.cell).unwrap_or_default();
            too_long.push(NotTried { cell: last, why: WhyNot::NoTime });
        };
        explain(&too_long)?;
        crate::files::write(&self.out, text.as_bytes())
            .with_context(|| format!("failed to write {}", self.out.display()))?;
        let json = format!("{}\n", serde_json::to_string_pretty(&setup)?);
        crate::files::write(&self.setup, json.as_bytes())
            .with_context(|| format!("failed to write {}", self.setup.display()))?;
        for pair in &setup.pairs {
            for tried in &pair.cells {
                say(&format!("{}: tonight against {}\n", tried.cell, pair.commit))?;
            }
        }
        say(&format!("{}\n", self.out.display()))?;
        Ok(DONE)
    }
}

impl Convict {
    pub(super) fn run(&self) -> Result<u8> {
        let text =
            fs::read_to_string(&self.setup).with_context(|| format!("failed to read {}", self.setup.display()))?;
        let setup: Setup = serde_json::from_str(&text).with_context(|| {
            format!("{} is no set-up; hint: `history experiment --setup FILE` writes it", self.setup.display())
        })?;
        ensure!(
            setup.schema <= SCHEMA,
            "{} needs a newer wsceiling: its schema is {}",
            self.setup.display(),
            setup.schema
        );
        let about = history::about(|name| std::env::var(name).ok());
        let (night, judged) = experiment::results(&findings(&self.run)?, &setup, &about)
            .with_context(|| format!("{} is not the experiment of {}", self.run.display(), self.setup.display()))?;
        for pair in &judged {
            say(&format!("{}\n", render::ab(pair)))?;
        }
        if night.experiments.is_empty() {
            say("no number could be tested, so the history keeps nothing of it\n")?;
        } else {
            add_night(&self.history, &night)?;
        }
        Ok(DONE)
    }
}

/// Adds the file of a night, or of its experiment, to a history.
pub(super) fn add_night(folder: &Path, night: &Night) -> Result<()> {
    let (name, bytes) = (night.file_name(), night.to_bytes().context("failed to write the night")?);
    // What cannot be read back must not become part of a history.
    let (_, faults) = wsceiling_history::night::read(&name, &bytes, jiff::Timestamp::now());
    for fault in &faults {
        eprintln!("error: {fault}");
    }
    ensure!(faults.is_empty(), "it cannot be believed, see above");
    let path = folder.join(&name);
    match history::add(folder, &name, &bytes)? {
        Added::New => say(&format!("added {}\n", path.display()))?,
        Added::Kept => say(&format!("{} is there already, with the same bytes\n", path.display()))?,
    }
    Ok(())
}

/// Says on standard output which cells are not put to the test.
fn explain(not_tried: &[NotTried]) -> Result<()> {
    for one in not_tried {
        say(&format!("{one}\n"))?;
    }
    Ok(())
}

/// The longest that a run of this matrix can take; `None`: it has faults, which are printed.
fn worst(text: &str, path: &Path) -> Option<Duration> {
    match parse_with(text, path, &crate::prices::catalogue(Some(path))) {
        Ok(loaded) => Some(high(&loaded.matrix)),
        Err(faults) => {
            eprintln!("{}", faults.render(super::color_stderr()));
            None
        }
    }
}

fn high(matrix: &Matrix) -> Duration {
    let machine = (&environment::machine()).into();
    Duration::from_millis(Description::new(matrix, &Plan::new(matrix), &machine).estimate.high_ms)
}

fn folder_of(file: &Path) -> Result<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().with_context(|| format!("{} cannot be used", folder.display()))
}

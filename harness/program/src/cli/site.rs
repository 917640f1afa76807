//! `site DIR`: a static site of all runs in a folder, and of the history of their nights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::{DONE, FAILED, report::findings};
use crate::files;
use wsceiling_analysis::Findings;
use wsceiling_history::{Assessment, History, Rules};
use wsceiling_report as render;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder with run folders
    reports: PathBuf,
    /// History of the nights (see `history add`): trends, changes, noise, accuracy, a feed and badges become pages
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// Most bytes of the site; run folders that do not fit, the oldest first, are moved to `DIR-left-out`
    #[arg(long, value_name = "BYTES")]
    budget: Option<u64>,
}

/// Bytes that the pages of the site need for each run, at most.
const LINKS: u64 = 2_000;

/// A run of the site.
type Rendered = (String, Findings);

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let folder = &arguments.reports;
    let history = arguments.history.as_deref().map(super::history::read).transpose()?;
    if history.is_some() {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    let mut budget = Budget::new(arguments.budget);
    if let Some(history) = history.as_ref().filter(|_| arguments.budget.is_some()) {
        budget.spend(history_bytes(history)?);
    }
    let (mut runs, mut whole) = (Vec::new(), true);
    // Names of run folders begin with their time: the newest are kept.
    for name in run_folders(folder)?.into_iter().rev() {
        let run = folder.join(&name);
        if budget.is_spent() {
            leave_out(folder, &name)?;
            continue;
        }
        match rendered(&run) {
            Ok(found) if budget.spend(files::size(&run)? + LINKS) => runs.push((name, found)),
            Ok(_) => leave_out(folder, &name)?,
            // A broken run folder must not take the whole site down; it is named and left out.
            Err(error) => {
                whole = false;
                eprintln!("left out {name}: {error:#}");
                budget.spend(files::size(&run)?);
            }
        }
    }
    runs.reverse();
    let nights = history.as_ref().map_or(0, |history| history.nights.len());
    let nothing = runs.is_empty() && history.is_none();
    anyhow::ensure!(!nothing, "no run folder in {}; hint: run a matrix first", folder.display());
    whole &= history.as_ref().is_none_or(|history| history.faults.is_empty());
    write(folder, &runs, history.as_ref()).context("failed to write the site")?;
    if history.is_some() && nights == 0 {
        eprintln!("the history has no night yet");
    }
    println!("site: {}", folder.join(render::INDEX).display());
    Ok(if whole { DONE } else { FAILED })
}

fn run_folders(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| folder.join(name).join("run.json").is_file())
        .collect();
    names.sort();
    Ok(names)
}

/// Renders the report of a run into its folder.
fn rendered(run: &Path) -> Result<Findings> {
    let found = findings(run)?;
    render::render(&found, &mut files::below(run)).with_context(|| format!("failed to render {}", run.display()))?;
    Ok(found)
}

fn write(folder: &Path, runs: &[Rendered], history: Option<&History>) -> Result<(), render::RenderError> {
    let runs: Vec<_> = runs.iter().map(|(folder, findings)| render::SiteRun { folder, findings }).collect();
    let mut sink = files::below(folder);
    match history {
        None => render::render_site(&runs, &mut sink),
        Some(history) => {
            let assessment = Assessment::new(history, &Rules::default());
            render::render_history(&assessment, &runs, &mut sink)
        }
    }
}

/// Bytes of the pages of a history.
fn history_bytes(history: &History) -> Result<u64> {
    let mut bytes = 0;
    let assessment = Assessment::new(history, &Rules { permutations: 0, ..Rules::default() });
    render::render_history(&assessment, &[], &mut |_, page| {
        bytes += page.len() as u64;
        Ok(())
    })
    .context("failed to render the history")?;
    Ok(bytes)
}

/// Moves a run folder out of the site. Nothing is deleted: its record may be the only one.
fn leave_out(folder: &Path, name: &str) -> Result<()> {
    let absolute = std::path::absolute(folder).with_context(|| format!("failed to find {}", folder.display()))?;
    let own = absolute.file_name().map_or_else(|| "site".into(), |own| own.to_string_lossy().into_owned());
    let beside = absolute.with_file_name(format!("{own}-left-out"));
    std::fs::create_dir_all(&beside).with_context(|| format!("failed to make {}", beside.display()))?;
    let to = beside.join(name);
    std::fs::rename(absolute.join(name), &to).with_context(|| format!("failed to move {name} to {}", to.display()))?;
    eprintln!("no room for {name}: moved to {}", to.display());
    Ok(())
}

/// What a site may still grow by.
struct Budget {
    left: Option<u64>,
    spent: bool,
}

impl Budget {
    const fn new(bytes: Option<u64>) -> Self {
        Self { left: bytes, spent: false }
    }

    /// Whether something older did not fit, so that nothing older than that may follow.
    const fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes that many bytes, if there are so many left.
    fn spend(&mut self, bytes: u64) -> bool {
        let Some(left) = &mut self.left else { return true };
        if let Some(rest) = left.checked_sub(bytes) {
            *left = rest;
        } else {
            (*left, self.spent) = (0, true);
        }
        !self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_ends_the_budget() {
        let mut budget = Budget::new(Some(100));
        assert!(budget.spend(60) && !budget.is_spent());
        assert!(!budget.spend(50) && budget.is_spent());
        assert!(!budget.spend(1), "nothing that is older than what did not fit");
        assert!(Budget::new(None).spend(u64::MAX));
    }
}

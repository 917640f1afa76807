//! `site DIR`: a static site of all runs in a folder.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::{DONE, report::findings};
use crate::files;
use wsceiling_report as render;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder with run folders
    reports: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let folder = &arguments.reports;
    let entries = std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| folder.join(name).join("run.json").is_file())
        .collect();
    names.sort();
    let mut runs = Vec::new();
    for name in names {
        let run = folder.join(&name);
        match findings(&run) {
            Ok(found) => {
                render::render(&found, &mut files::below(&run))
                    .with_context(|| format!("failed to render {}", run.display()))?;
                runs.push((name, found));
            }
            // A broken run folder must not take the whole site down; it is named and left out.
            Err(error) => eprintln!("left out {name}: {error:#}"),
        }
    }
    anyhow::ensure!(!runs.is_empty(), "no run folder in {}; hint: run a matrix first", folder.display());
    let runs: Vec<_> = runs.iter().map(|(folder, findings)| render::SiteRun { folder, findings }).collect();
    render::render_site(&runs, &mut files::below(folder)).context("failed to write the site")?;
    println!("site: {}", folder.join(render::INDEX).display());
    Ok(DONE)
}

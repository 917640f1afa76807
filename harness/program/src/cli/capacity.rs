//! `capacity RUN`: what other sizes would hold, and the cheapest that holds a goal; `--validate`: how good such predictions are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};

use super::{DONE, FAILED, USAGE, report::findings, say};
use crate::capacity as words;
use crate::prices::catalogue;
use wsceiling_analysis::Findings;
use wsceiling_analysis::capacity::{self, CapacityPlan, Message, PlanSize, Question, RESERVE, Validation};
use wsceiling_report as render;

/// Where a validation stands in a page that has more.
const BEGIN: &str = "<!-- capacity: begin -->";
const END: &str = "<!-- capacity: end -->";

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["connections", "validate"])),
    after_help = "Examples:\n  wsceiling capacity RUN --connections 100000 --message 'every 30s, 200 B' --sizes 'hetzner/*'\n  \
                  wsceiling capacity RUN --connections 20000 --sizes 1cpu,512MiB --sizes 2cpu,4GiB,nofile=100000,price=12\n  \
                  wsceiling capacity RUN --validate --held-out c75,m192,x2\n\
                  Each prediction has a 90 % interval and says whether it lies between what was measured or beyond.\n\
                  docs/capacity.md says how it is made and what it cannot know."
)]
pub(super) struct Arguments {
    /// The run folder; with --validate several, whose cells count together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Connections to hold
    #[arg(long, value_name = "N")]
    connections: Option<u64>,
    /// What each connection sends [default: as in the run]
    #[arg(long, value_name = "'every 30s, 200 B'", value_parser = words::message)]
    message: Option<Message>,
    /// Share of what an instance holds that stays free
    #[arg(long, value_name = "SHARE", default_value_t = RESERVE, value_parser = words::share)]
    reserve: f64,
    /// A size to choose: of the matrix, limits (1cpu,512MiB), a plan (hetzner/cx23), or all of a provider (hetzner/*); may be
    /// given again [default: those of the matrix]
    #[arg(long, value_name = "SIZE")]
    sizes: Vec<String>,
    /// Plan only set-ups with this in their names: `echo docker`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Most instances that a plan has
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    instances_max: u32,
    /// Write the plan as a page, too; it links to the pages of the run's folder, so put it there
    #[arg(long, value_name = "FILE", conflicts_with = "validate")]
    out: Option<PathBuf>,
    /// Leave cells out, predict them from the others, and compare; exit code 1 if the bar is not reached
    #[arg(long)]
    validate: bool,
    /// With --validate: cells, sizes, or numbers of instances (x2) to leave out together, with commas between
    /// [default: each size in turn, and all numbers of instances but the smallest]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "validate")]
    held_out: Vec<String>,
    /// With --validate: write the outcome into this file, between its marks `<!-- capacity: begin -->` and `end` where it has them
    #[arg(long, value_name = "FILE", requires = "validate")]
    markdown: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8> {
    let found: Vec<Findings> = arguments.runs.iter().map(|run| findings(run)).collect::<Result<_>>()?;
    match (arguments.validate, found.as_slice()) {
        (true, all) => validate(arguments, all),
        (false, [one]) => plan(arguments, one),
        (false, _) => {
            eprintln!("error: a plan is made from one run\nhint: only --validate takes several");
            Ok(USAGE)
        }
    }
}

fn plan(arguments: &Arguments, found: &Findings) -> Result<u8> {
    let Some(sizes) = sizes(arguments, found) else { return Ok(USAGE) };
    let question = Question {
        goal: arguments.connections.unwrap_or_default(),
        message: arguments.message,
        reserve: arguments.reserve,
        sizes,
        only: arguments.only.clone(),
        instances_max: arguments.instances_max,
    };
    let plan = match capacity::plan(found, &question) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(USAGE);
        }
    };
    say(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&plan)?) } else { render::capacity(&plan) })?;
    if let Some(file) = &arguments.out {
        write_page(file, found, &plan)?;
    }
    Ok(DONE)
}

/// The sizes that were asked for; `None`: one is unknown, and that was said.
fn sizes(arguments: &Arguments, found: &Findings) -> Option<Vec<PlanSize>> {
    let prices = catalogue(None);
    for fault in prices.unreadable() {
        eprintln!("warning: {fault}");
    }
    let mut sizes = Vec::new();
    let mut faults = 0;
    for text in &arguments.sizes {
        match words::sizes(text, &found.header, &prices) {
            Ok(own) => sizes.extend(own),
            Err(error) => {
                eprintln!("error: --sizes: {error}");
                faults += 1;
            }
        }
    }
    (faults == 0).then_some(sizes)
}

fn write_page(file: &Path, found: &Findings, plan: &CapacityPlan) -> Result<()> {
    let page = render::capacity_page(found, plan)?;
    crate::files::write(file, page.as_bytes()).with_context(|| format!("failed to write {}", file.display()))?;
    eprintln!("page: {}", file.display());
    Ok(())
}

fn validate(arguments: &Arguments, found: &[Findings]) -> Result<u8> {
    let validation = match capacity::validate(found, &arguments.held_out) {
        Ok(validation) => validation,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(USAGE);
        }
    };
    let text = render::capacity_validation(&validation);
    say(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&validation)?) } else { text.clone() })?;
    if let Some(file) = &arguments.markdown {
        write_markdown(file, &text)?;
    }
    Ok(code(&validation))
}

fn code(validation: &Validation) -> u8 {
    if validation.passed { DONE } else { FAILED }
}

/// Writes the outcome between the marks of a file, or a file of its own.
fn write_markdown(file: &Path, text: &str) -> Result<()> {
    let before = match std::fs::read_to_string(file) {
        Ok(before) => before,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", file.display())),
    };
    let whole = match between(&before, text) {
        Some(whole) => whole,
        None if before.is_empty() => text.to_owned(),
        None => anyhow::bail!(
            "{} has other text and no marks `{BEGIN}` and `{END}`: it was left as it is (hint: add the two lines where the \
             outcome belongs, or name a new file)",
            file.display()
        ),
    };
    crate::files::write(file, whole.as_bytes()).with_context(|| format!("failed to write {}", file.display()))?;
    eprintln!("written: {}", file.display());
    Ok(())
}

/// The text of a page with the outcome between its marks; `None`: it has none.
fn between(page: &str, text: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n\n{text}\n{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_replaces_what_is_between_the_marks_and_nothing_else() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let once = between(&page, "new\n").unwrap();
        assert_eq!(once, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n"));
        assert_eq!(between(&once, "new\n").unwrap(), once);
        assert_eq!(between("# A\n", "new\n"), None);
    }

    #[test]
    fn a_file_without_marks_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        write_markdown(&file, "new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
        let error = write_markdown(&file, "newer\n").unwrap_err().to_string();
        assert!(error.contains("no marks") && std::fs::read_to_string(&file).unwrap() == "new\n", "{error}");
    }
}

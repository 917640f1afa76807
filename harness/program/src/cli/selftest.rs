//! `selftest`: injected limits, and whether each is found.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::signals::stops_of_a_run;
use super::{DONE, FAILED, Format, STOPPED, USAGE, runtime};
use crate::run::progress::Progress;
use crate::selftest;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Inject a dozen limits only, once each
    #[arg(long)]
    quick: bool,
    /// Run the experiments on each cause that is found, for every limit whose cause has one, once each
    #[arg(long)]
    confirm: bool,
    /// Inject this limit only; may be given again, a `*` at the end stands for any characters
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Draw the numbers of the limits with this seed, where the same limit is still met [default: round numbers]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Trials of each limit [default: 3; 1 with --quick or --confirm]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: Option<u32>,
    /// Keep one core busy with another program meanwhile
    #[arg(long)]
    noise: bool,
    /// Inject nothing: score this finished selftest, together with others if it is given again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["quick", "confirm", "only", "seed", "repeats", "noise"])]
    pool: Vec<PathBuf>,
    /// Folder that the selftest's folder is made in
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Folder of the workspace whose `targets/` to start
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// Format of the result on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let unknown = selftest::unknown(&arguments.only);
    if !unknown.is_empty() {
        let limits = selftest::limits::limits(None);
        let names: Vec<&str> = limits.iter().map(|limit| limit.name).collect();
        eprintln!("error: no limit is called {}\nhint: there are {}", unknown.join(", "), names.join(", "));
        return Ok(USAGE);
    }
    let options = selftest::Options {
        quick: arguments.quick,
        confirm: arguments.confirm,
        only: arguments.only,
        seed: arguments.seed,
        repeats: arguments.repeats,
        noise: arguments.noise,
        reports: arguments.reports,
        workspace: arguments.workspace,
    };
    let injected = async {
        let progress = Progress::stderr();
        let cancel = stops_of_a_run(&progress)?;
        let done = selftest::run(&options, &progress, cancel).await;
        progress.finish();
        done
    };
    let done = if arguments.pool.is_empty() {
        runtime()?.block_on(injected)?
    } else {
        selftest::pool(&arguments.pool, &options.reports)?
    };
    match arguments.format {
        Format::Text => {
            print!("{}", selftest::terminal(&done.score));
            if arguments.confirm {
                print!("{}", selftest::confirmations(&done.confirmed));
            }
            println!("report: {}", done.folder.join("index.html").display());
        }
        Format::Json => println!("{}", serde_json::to_string_pretty(&done.score)?),
    }
    let confirmed = done.confirmed.iter().all(|row| row.as_it_must);
    Ok(match (done.stopped, done.score.passed && confirmed) {
        (true, _) => STOPPED,
        (false, true) => DONE,
        (false, false) => FAILED,
    })
}

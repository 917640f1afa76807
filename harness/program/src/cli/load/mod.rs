//! `load URL`: the generator alone against any server.

mod arguments;
mod check;
mod swarm;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::signals::on_signals;
use super::{DONE, FAILED, Format, STOPPED, USAGE, runtime};
use wsceiling_generator::load::drive::Ended;
use wsceiling_generator::load::progress::Progress;
use wsceiling_generator::load::{self, text};

pub(super) use arguments::Arguments;

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (quiet, format) = (arguments.quiet, arguments.format);
    let (tasks, registry) = (arguments.swarm, arguments.registry.clone());
    let mut options = match arguments.into_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(USAGE);
        }
    };
    let progress = Arc::new(Progress::stderr(quiet));
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let stopping = Arc::clone(&progress);
        let note = move || stopping.note("stopping: the summary of what was done follows");
        let interrupt = on_signals(note, Duration::MAX, "ended at once")?;
        let Some(tasks) = tasks else { return load::run(&options, &progress, interrupt).await };
        swarm::run(&mut options, tasks, registry.as_deref(), &progress, interrupt).await
    });
    progress.finish();
    let outcome = outcome?;
    match format {
        Format::Text => print!("{}", text::render(&outcome)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&outcome)?),
    }
    Ok(match outcome.ended {
        Ended::Interrupted => STOPPED,
        _ if outcome.passed => DONE,
        _ => FAILED,
    })
}

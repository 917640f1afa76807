//! `load URL`: the generator alone against any server.

mod arguments;
pub(in crate::cli) mod check;
pub(in crate::cli) mod metrics;
mod swarm;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::signals::on_signals;
use super::{DONE, FAILED, Format, STOPPED, USAGE, runtime};
use wsceiling_generator::load::drive::Ended;
use wsceiling_generator::load::outcome::Outcome;
use wsceiling_generator::load::progress::Progress;
use wsceiling_generator::load::{self, text};

pub(super) use arguments::{Arguments, parse_url};

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    let (quiet, format) = (arguments.quiet, arguments.format);
    let (tasks, registry) = (arguments.swarm, arguments.registry.clone());
    let sources = match metrics::sources(&arguments.metrics) {
        Ok(sources) => sources,
        Err(code) => return Ok(code),
    };
    let mut options = match arguments.into_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(USAGE);
        }
    };
    let progress = Arc::new(Progress::stderr(quiet));
    let shortest = options.stages.iter().map(|stage| stage.hold).min().unwrap_or_default();
    metrics::too_seldom(&sources, shortest).for_each(|note| progress.note(&note));
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let stopping = Arc::clone(&progress);
        let note = move || stopping.note("stopping: the summary of what was done follows");
        let interrupt = on_signals(note, Duration::MAX, "ended at once")?;
        let watch = if sources.is_empty() { None } else { Some(metrics::Watch::start(sources).await) };
        let outcome = match tasks {
            None => load::run(&options, &progress, interrupt).await,
            Some(tasks) => swarm::run(&mut options, tasks, registry.as_deref(), &progress, interrupt).await,
        };
        let Some(watch) = watch else { return outcome };
        let (server, server_notes) = watch.stop().await;
        outcome.map(|outcome| Outcome { server, server_notes, ..outcome })
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

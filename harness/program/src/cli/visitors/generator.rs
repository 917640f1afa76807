//! The built-in generator beside the visitors: it follows the setting of the run.

use std::sync::Arc;
use std::time::Duration;

use super::arguments::Serve;
use crate::cli::load::check;
use wsceiling_generator::coordinator::monotonic_ns;
use wsceiling_generator::load::keep::{self, Keeper, Kept, Said, Wanted};
use wsceiling_generator::load::options::Options;
use wsceiling_generator::tls::{Client, Settings, Trust};
use wsceiling_model::visitors::{GeneratorSummary, GeneratorTick, Setting, VisitorMessage};
use wsceiling_visitors::Collector;

/// How the generator reaches the target; what is wrong, in a line. It comes from a page of the first site, as browsers do.
pub(super) fn options(arguments: &Serve) -> Result<Options, String> {
    let target = &arguments.target;
    let tls = target.secure.then(|| settings(arguments)).transpose()?;
    let origin = arguments.site.first().map(|site| ("Origin".to_owned(), site.clone()));
    let place = check::place(target.clone(), None);
    // Its line says so, and is there before this is used.
    Ok(Options { authorised: true, headers: origin.into_iter().collect(), ..Options::of(place, tls) })
}

fn settings(arguments: &Serve) -> Result<Settings, String> {
    let trust = match &arguments.ca {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Trust::These(text.map_err(|error| format!("failed to read {}: {error}", path.display()))?)
        }
        None => Trust::System,
    };
    let settings = Settings { server_name: arguments.target.host.clone(), trust, identity: None, resume: true };
    // The machine's own authorities are only looked for when the generator starts.
    if arguments.ca.is_some() {
        Client::new(&settings)?;
    }
    Ok(settings)
}

/// Runs it until the run has ended.
pub(super) async fn run(collector: Arc<Collector>, options: Options) {
    let passed_ns = u64::try_from(collector.epoch().elapsed().as_nanos()).unwrap_or(u64::MAX);
    keep::keep(&options, &OfRun(&collector), monotonic_ns().saturating_sub(passed_ns)).await;
}

/// The run, as the generator sees it.
struct OfRun<'c>(&'c Collector);

impl Keeper for OfRun<'_> {
    fn wanted(&self) -> Option<Wanted> {
        self.0.wanted_of_generator().map(wanted)
    }

    fn hear(&self, kept: &Kept) {
        let Kept { granted, open, failed, lost, failures, notes } = kept.clone();
        let counters = GeneratorTick { granted, open, failed, lost, ..GeneratorTick::default() };
        self.0.generator_says(counters, GeneratorSummary { failures, notes });
    }
}

fn wanted(setting: Setting) -> Wanted {
    let said = |message: VisitorMessage| Said { bytes: message.bytes, every: Duration::from_millis(message.every_ms) };
    Wanted { connections: setting.generator, per_second: setting.rate_per_s, message: setting.message.map(said) }
}

//! A run with visitors, from the target's consent to the report.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::arguments::Serve;
use super::{DONE, STOPPED, USAGE, generator, on_signals, record, runtime, say, target};
use crate::cli::load::metrics;
use crate::run::engines::RemoteEngines;
use wsceiling_generator::load::options::Options as LoadOptions;
use wsceiling_model::visitors::StoppedBy;
use wsceiling_report as render;
use wsceiling_runfolder::VisitorsWriter;
use wsceiling_scrape::{Engines, Scraper, Source};
use wsceiling_visitors::{Collector, Operator, Options, Proof, ProofAnswer, serve_operator, serve_visitors};

/// Descriptors that are not for visitors' browsers.
const OWN_DESCRIPTORS: u64 = 256;
/// Longest time after the end until every visitor has heard of it and said so: two reports of each.
const FAREWELL: Duration = Duration::from_secs(13);

pub(super) fn run(arguments: &Serve) -> Result<u8> {
    let checked = arguments.options().and_then(|options| Ok((options, generator::options(arguments)?)));
    let (options, load) = match checked {
        Ok(checked) => checked,
        Err(why) => {
            eprintln!("error: {why}");
            return Ok(USAGE);
        }
    };
    let sources = match metrics::sources(&arguments.metrics) {
        Ok(sources) => sources,
        Err(code) => return Ok(code),
    };
    runtime()?.block_on(async {
        let note =
            || eprintln!("stopping: visitors and the generator close everything within 7 s, and the report follows");
        let interrupt =
            on_signals(note, Duration::MAX, "ended at once; visitors close everything within 15 s, the generator now")?;
        serve(arguments, options, load, sources, interrupt).await
    })
}

async fn serve(
    arguments: &Serve,
    options: Options,
    load: LoadOptions,
    sources: Vec<Source>,
    mut interrupt: watch::Receiver<bool>,
) -> Result<u8> {
    // Addresses first: what is wrong with them is known before anybody is asked for consent.
    let mut visitors = Vec::new();
    for address in &arguments.listen {
        visitors.push(TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?);
    }
    let at = arguments.operator;
    let operator = TcpListener::bind(at).await.with_context(|| format!("failed to listen on {at} for the operator"))?;
    let consent = target::agreed(&options.target, arguments.token.as_ref(), arguments.ca.as_deref(), &mut interrupt);
    let Some(proof) = consent.await? else { return Ok(STOPPED) };

    let collector = Arc::new(Collector::new(options).context("failed to make a key")?);
    let names = sources.iter().map(|source| source.name.clone()).collect();
    let (writer, header) = record::create(&arguments.reports, &collector, names)?;
    let connections = descriptors() / visitors.len().max(1);
    let mut tasks = JoinSet::new();
    for listener in visitors {
        eprintln!("visitors: http://{}/wsceiling.js", listener.local_addr()?);
        tasks.spawn(serve_visitors(listener, Arc::clone(&collector), connections));
    }
    eprintln!("operator: http://{}/", operator.local_addr()?);
    let page = record::live_page(header);
    tasks.spawn(serve_operator(operator, Operator { collector: Arc::clone(&collector), page }));
    let scraper = read(&sources, &collector);
    let (place, ca) = (collector.options().target.clone(), arguments.ca.clone());
    let asking = Arc::clone(&collector);
    tasks.spawn(async move { look_at_the_target(&asking, &place, &proof, ca.as_deref()).await });
    // Not before here: the target has agreed.
    tasks.spawn(generator::run(Arc::clone(&collector), load));

    let folder = writer.path().to_owned();
    let interrupted = watch_over(&collector, writer, interrupt, scraper).await;
    drop(tasks);
    let interrupted = interrupted?;
    let line = record::render(&folder)?;
    say(&format!("{line}\nreport: {}\n", folder.join(render::INDEX).display()))?;
    Ok(if interrupted { STOPPED } else { DONE })
}

/// Reads the server's own numbers while the run lasts.
fn read(sources: &[Source], collector: &Arc<Collector>) -> Option<Scraper> {
    let engines: Arc<dyn Engines> = Arc::new(RemoteEngines);
    let into = Arc::clone(collector);
    let push = move |row| into.server(record::server_row(&row));
    (!sources.is_empty()).then(|| Scraper::start(sources, collector.epoch(), &engines, push))
}

/// Asks the target again and again whether it still agrees.
async fn look_at_the_target(
    collector: &Collector,
    place: &wsceiling_model::url::Url,
    proof: &Proof,
    ca: Option<&std::path::Path>,
) {
    loop {
        tokio::time::sleep(target::LOOK_AGAIN).await;
        match target::ask(place, proof, ca).await {
            ProofAnswer::Holds => collector.target_says(true),
            ProofAnswer::Denies(_) => collector.target_says(false),
            // A server at its ceiling may not answer; that is what is being measured.
            ProofAnswer::Unclear(_) => {}
        }
    }
}

/// Writes the record each second until the end, and then until visitors have heard of it. Whether a signal ended it.
async fn watch_over(
    collector: &Collector,
    mut writer: VisitorsWriter,
    mut interrupt: watch::Receiver<bool>,
    scraper: Option<Scraper>,
) -> Result<bool> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut farewell = None;
    let mut interrupted = false;
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = interrupt.wait_for(|stop| *stop), if !interrupted => {
                interrupted = true;
                collector.stop(StoppedBy::Signal);
            }
        }
        writer.append(&collector.tick())?;
        if collector.is_stopped() {
            let end = *farewell.get_or_insert_with(|| tokio::time::Instant::now() + FAREWELL);
            if collector.all_have_ended() || tokio::time::Instant::now() >= end {
                break;
            }
        }
    }
    if let Some(scraper) = scraper {
        let scraped = scraper.stop().await;
        let events = scraped.events.iter().map(|event| format!("{} after {:.1} s", event.what, event.t_ms / 1e3));
        collector.note(events.chain(scraped.warnings.iter().map(ToString::to_string)).collect());
    }
    writer.append(&collector.finish())?;
    Ok(interrupted)
}

/// Connections that visitors' browsers may have to the collector, with as many descriptors as the system allows.
fn descriptors() -> usize {
    let most = wsceiling_visitors::raise_descriptors();
    usize::try_from(most.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(usize::MAX).clamp(64, 200_000)
}

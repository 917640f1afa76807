//! Opens connections to a WebSocket server that echoes, holds them for 5 s, and prints what it measured.
//!
//! ```console
//! $ cargo run -p wsceiling-generator --example hold_connections -- ws://127.0.0.1:9001/ 1000
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use wsceiling_generator::client::{ClientConfig, Expect, Script};
use wsceiling_generator::coordinator::{Generator, Watching, Windows};
use wsceiling_generator::ipc::{Histogram, Status, Window, WorkerConfig};
use wsceiling_generator::load::url::Url;
use wsceiling_generator::{addresses, histogram, worker};

/// Connects per second.
const PER_SECOND: f64 = 500.0;

/// Time that the connections are held.
const HOLD: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().context("usage: hold_connections URL [CONNECTIONS]")?;
    // The coordinator starts this program again for each worker.
    if first == "worker" {
        return worker::run(std::io::stdin(), std::io::stdout());
    }
    let url = Url::parse(&first).map_err(anyhow::Error::msg)?;
    let connections = arguments.next().map_or(Ok(100), |text| text.parse()).context("a number of connections")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(hold(&url, connections))
}

async fn hold(url: &Url, connections: u32) -> Result<()> {
    if url.secure || url.socket.is_some() {
        bail!("this example speaks ws:// over TCP only");
    }
    let destination = tokio::net::lookup_host((url.host.as_str(), url.port)).await?.next().context("no address")?;
    // Every message is to come back, perhaps among others.
    let script = Script { payload: None, expect: Expect::Among, workers: 1 };
    let config = WorkerConfig {
        host: url.host_header(),
        path: url.path.clone(),
        sources: addresses::sources(&[destination], 1, std::process::id()).remove(0),
        message_every: Duration::from_secs(1),
        client: ClientConfig { script: Some(script), ..ClientConfig::default() },
        ..WorkerConfig::new(vec![destination])
    };
    let mut generator = Generator::configure(vec![config]).await?;
    let mut show = |status: &Status| {
        eprint!("\r{} open, {} held, {} failed  ", status.open, status.held, status.failed);
        Watching::GoOn
    };
    let opening = generator.open_to(connections, PER_SECOND, &mut show).await?;
    let hold = generator.hold(HOLD, &mut show).await?;
    // Those that did not say anything in the hold are asked whether they are held.
    let probe = generator.probe(generator.probe_within(HOLD, PER_SECOND), &mut show).await?;
    eprintln!();
    generator.quit().await;
    report(&opening, &hold, &probe)
}

/// Prints the sums over all workers.
fn report(opening: &Windows, hold: &Windows, probe: &Windows) -> Result<()> {
    let sum = |windows: &Windows, field: fn(&Window) -> u64| windows.workers.iter().map(field).sum::<u64>();
    println!("opened   {}", sum(opening, |window| window.opened));
    println!("held     {}", sum(probe, |window| window.held.iter().sum()));
    let answered = |window: &Window| window.messages_answered;
    println!("replies  {}", sum(hold, answered) + sum(probe, answered));
    percentiles("upgrade", &[opening], |window| &window.handshake)?;
    percentiles("reply", &[hold, probe], |window| &window.reply)?;
    let all = opening.workers.iter().chain(&hold.workers).chain(&probe.workers);
    for failure in all.flat_map(|window| &window.failures) {
        println!("failed   {} x {}: {}", failure.count, failure.at, failure.reason);
    }
    Ok(())
}

fn percentiles(name: &str, windows: &[&Windows], field: fn(&Window) -> &Histogram) -> Result<()> {
    let merged = histogram::merge(windows.iter().flat_map(|windows| &windows.workers).map(field))?;
    let us = |quantile| merged.value_at_quantile(quantile);
    println!("{name:<8} p50 {} us, p99 {} us, max {} us", us(0.5), us(0.99), merged.max());
    Ok(())
}

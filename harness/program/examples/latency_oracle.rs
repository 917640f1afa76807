//! Percentiles of reply times beside the exact ones: `cargo run --example latency_oracle`. `ci/bench latency` runs it.
//!
//! Servers on threads of this program answer after times that are known: one stalls for a second, one takes between 0 and
//! 80 ms, one makes messages queue up behind each other. A generator with one worker loads each, as a matrix does.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio_tungstenite::tungstenite::accept;

use wsceiling_generator::coordinator::{Generator, Watching};
use wsceiling_generator::ipc::WorkerConfig;
use wsceiling_generator::{histogram, worker};
use wsceiling_model::matrix::{Scenario, ThinkTime};

/// Connections: each has a thread of the server.
const CONNECTIONS: u32 = 100;

/// Mean time between two messages of a connection.
const EVERY: Duration = Duration::from_millis(100);

/// Time that they are measured.
const HOLD: Duration = Duration::from_secs(30);

/// How long a server takes for a message that it received now.
type Delay = Box<dyn FnMut() -> Duration + Send>;

struct Case {
    name: &'static str,
    spread: ThinkTime,
    /// Makes the delays of a connection, by its number; the moment is set when the hold begins.
    delays: fn(u64, Arc<OnceLock<Instant>>) -> Delay,
    /// The quantile in milliseconds.
    exact: fn(f64) -> f64,
}

/// Start and length of the stall, from the start of the hold.
const STALL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

const CASES: [Case; 3] = [
    Case {
        name: "a stall of 1 s in 30 s",
        spread: ThinkTime::Fixed,
        delays: |_, begin| {
            Box::new(move || {
                let since = begin.get().map_or(Duration::ZERO, Instant::elapsed);
                let end = STALL.0 + STALL.1;
                if (STALL.0..end).contains(&since) { end.saturating_sub(since) } else { Duration::ZERO }
            })
        },
        // A thirtieth of the messages waits for what is left of the second.
        exact: |quantile| (1000.0 - (1.0 - quantile) * HOLD.as_secs_f64() * 1000.0).max(0.0),
    },
    Case {
        name: "0 to 80 ms",
        spread: ThinkTime::Fixed,
        delays: |seed, _| {
            let mut random = fastrand::Rng::with_seed(seed);
            Box::new(move || Duration::from_secs_f64(random.f64() * 0.08))
        },
        exact: |quantile| 80.0 * quantile,
    },
    Case {
        name: "a queue (M/M/1, load 0.3)",
        spread: ThinkTime::Exponential,
        delays: |seed, _| {
            let mut random = fastrand::Rng::with_seed(seed);
            Box::new(move || Duration::from_secs_f64(-0.03 * (1.0 - random.f64()).ln()))
        },
        exact: |quantile| -30.0 / 0.7 * (1.0 - quantile).ln(),
    },
];

fn main() -> Result<()> {
    // The generator starts its own program as a worker.
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return worker::run(std::io::stdin(), std::io::stdout());
    }
    println!("{:<28} {:>8} {:>12} {:>12} {:>10}", "server", "", "exact ms", "measured ms", "off");
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        for case in &CASES {
            measure(case).await?;
        }
        Ok(())
    })
}

/// Loads the server of a case and prints its row.
async fn measure(case: &Case) -> Result<()> {
    let begin: Arc<OnceLock<Instant>> = Arc::default();
    let address = serve(case.delays, &begin)?;
    let config = WorkerConfig {
        scenario: Scenario::Echo,
        message_every: EVERY,
        message_spread: case.spread,
        ..WorkerConfig::new(vec![address])
    };
    let mut generator = Generator::configure(vec![config]).await?;
    let mut observe = |_: &_| Watching::GoOn;
    generator.open_to(CONNECTIONS, 200.0, &mut observe).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _ = begin.set(Instant::now());
    let hold = generator.hold(HOLD, &mut observe).await?;
    let probe = generator.probe(Duration::from_secs(1), &mut observe).await?;
    generator.quit().await;
    let windows = || hold.workers.iter().chain(&probe.workers);
    let reply = histogram::merge(windows().map(|window| &window.reply))?;
    let due: u64 = windows().map(|window| window.messages_due).sum();
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let (exact, measured) = ((case.exact)(quantile), reply.value_at_quantile(quantile) as f64 / 1e3);
        let off = (measured - exact).abs();
        let verdict = if off <= 1.0 || off <= exact * 0.02 { "" } else { "  more than 2 % and 1 ms" };
        let title = if name == "p50" { case.name } else { "" };
        println!("{title:<28} {name:>8} {exact:>12.2} {measured:>12.2} {off:>10.2}{verdict}");
    }
    println!("{:<28} {:>8} {} due, {} in the distribution", "", "", due, reply.len());
    Ok(())
}

/// A server that takes the delays of a case, with a thread for each connection.
fn serve(delays: fn(u64, Arc<OnceLock<Instant>>) -> Delay, begin: &Arc<OnceLock<Instant>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr()?;
    let begin = Arc::clone(begin);
    std::thread::spawn(move || {
        for (number, stream) in (1..).zip(listener.incoming().map_while(Result::ok)) {
            let mut delay = delays(number, Arc::clone(&begin));
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let Ok(mut socket) = accept(stream) else { return };
                while let Ok(message) = socket.read() {
                    std::thread::sleep(delay());
                    if socket.send(message).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

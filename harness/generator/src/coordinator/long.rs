//! A few connections beside the load, on workers of their own: some that speak, some that are silent. What ends them, and at
//! which age, tells a lifetime from an idle timeout.

use std::time::Duration;

use anyhow::Result;

use super::{Generator, GeneratorSetup, Watching, Windows, start};
use crate::client::ClientConfig;
use crate::ipc::{Command, Window, WorkerConfig};
use crate::{ages, step};
use wsceiling_model::matrix::{LongConnections, Scenario};
use wsceiling_model::record::LongSide;

/// Connections opened per second: they must not be load.
const PER_SECOND: f64 = 50.0;
/// Nobody looks at their state meanwhile.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Numbers of their workers begin here, so that their keys are not those of the load.
const FIRST_WORKER: u32 = 1000;
/// Shortest end: what was lost until then is reported with it.
const SHORTEST: Duration = Duration::from_millis(1);

/// Connections that are kept beside the load.
pub struct LongProbe {
    generator: Generator,
    /// Of each worker: whether it is silent, and what its opening came to.
    sides: Vec<(bool, Window)>,
}

impl LongProbe {
    /// Opens them, from ports that the kernel chooses.
    ///
    /// # Errors
    /// When a worker does not start or does not answer. A connection that does not open is no error.
    pub async fn start(setup: &GeneratorSetup<'_>, long: LongConnections) -> Result<Self> {
        let (speaking, silent) = long.sides();
        let sides: Vec<(bool, u32)> =
            [(false, speaking), (true, silent)].into_iter().filter(|(_, count)| *count > 0).collect();
        let configs = (FIRST_WORKER..).zip(&sides).map(|(worker, (silent, _))| {
            let base = start::config(setup, worker, Vec::new());
            WorkerConfig {
                // They are neither members of rooms nor closed by the client.
                scenario: Scenario::Idle,
                status_every: STATUS_EVERY,
                cpus: Vec::new(),
                client: ClientConfig { silent: *silent, ..base.client.clone() },
                ..base
            }
        });
        let mut generator = Generator::configure(configs.collect()).await?;
        let start_ns = generator.relate_clocks().await?;
        for (worker, (_, count)) in generator.workers.iter_mut().zip(&sides) {
            worker.send(&Command::Open { count: *count, per_second: PER_SECOND, start_ns }).await?;
        }
        let most = sides.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let within = Duration::from_secs_f64(f64::from(most) / PER_SECOND) + generator.timeouts + super::SLACK;
        let Windows { workers, .. } = generator.windows(within, &mut |_| Watching::GoOn).await?;
        Ok(Self { generator, sides: sides.into_iter().map(|(silent, _)| silent).zip(workers).collect() })
    }

    /// Connections that were opened.
    pub fn opened(&self) -> u64 {
        self.sides.iter().map(|(_, window)| window.opened).sum()
    }

    /// Keeps them for `stay` more, then ends them. `epoch_ns`: start of the trial on `CLOCK_MONOTONIC`.
    ///
    /// # Errors
    /// When a worker died or does not answer.
    pub async fn finish(mut self, stay: Duration, epoch_ns: u64) -> Result<Vec<LongSide>> {
        let Windows { workers, .. } = self.generator.hold(stay.max(SHORTEST), &mut |_| Watching::GoOn).await?;
        let sides =
            self.sides.iter().zip(&workers).map(|((silent, opening), hold)| side(*silent, opening, hold, epoch_ns));
        let sides = sides.collect();
        self.generator.quit().await;
        sides
    }
}

fn side(silent: bool, opening: &Window, hold: &Window, epoch_ns: u64) -> Result<LongSide> {
    let both = || [opening, hold].into_iter();
    Ok(LongSide {
        silent,
        opened: opening.opened,
        open: hold.open.iter().sum(),
        lost: ages::lost(both())?,
        errors: step::tallies(both().flat_map(|window| &window.failures), epoch_ns),
    })
}

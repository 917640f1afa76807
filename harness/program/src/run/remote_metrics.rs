//! Numbers of a remote target, read from where it runs while a trial lasts.

use std::sync::Arc;
use std::time::Duration;

use super::engines::RemoteEngines;
use super::row::StartFailure;
use super::setup::TrialSetup;
use wsceiling_machine::sample::Sampler;
use wsceiling_model::matrix::Matrix;
use wsceiling_model::record::{Outcome, Reason};
use wsceiling_scrape::{Engines, PrepareError, Scraped, Scraper};

/// Longest time that every source gets to be read once before anything is connected. What is slower is missing at first.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// What reads the numbers, once it is started.
#[derive(Default)]
pub struct RemoteMetrics(Option<Scraper>);

impl RemoteMetrics {
    /// Starts reading, where the target says where, and waits until each source was asked once. It goes on until
    /// [`Self::stop`], however often the load begins anew.
    pub async fn start(&mut self, setup: &TrialSetup<'_>, sampler: &Sampler) -> Result<(), StartFailure> {
        let Some(remote) = setup.target().remote.as_ref().filter(|_| self.0.is_none()) else { return Ok(()) };
        if remote.metrics.is_empty() {
            return Ok(());
        }
        let sources =
            wsceiling_scrape::prepare(&remote.metrics, &setup.matrix.folder).map_err(|all| unprepared(&all))?;
        let engines: Arc<dyn Engines> = Arc::new(RemoteEngines);
        let inlet = sampler.inlet();
        let scraper = Scraper::start(&sources, setup.epoch, &engines, move |row| inlet.add(row.sample, row.sources));
        let begun = async {
            while !scraper.has_begun() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // The first failure of each source is a warning of the trial.
        let _ = tokio::time::timeout(FIRST_WITHIN, begun).await;
        self.0 = Some(scraper);
        Ok(())
    }

    /// Ends it; what was seen beside the numbers.
    pub async fn stop(&mut self) -> Scraped {
        match self.0.take() {
            Some(scraper) => scraper.stop().await,
            None => Scraped::default(),
        }
    }
}

/// Asks each source of the metrics of the remote targets of a matrix once. A line each: what it gives, or why it does not;
/// and whether it gives a number.
pub async fn check(matrix: &Matrix) -> Vec<(String, bool)> {
    let used = |name: &str| matrix.cells.iter().any(|cell| cell.target == name);
    let mut lines = Vec::new();
    for target in matrix.targets.values().filter(|target| used(&target.name)) {
        let Some(remote) = &target.remote else { continue };
        match wsceiling_scrape::prepare(&remote.metrics, &matrix.folder) {
            Err(errors) => lines.extend(errors.iter().map(|error| (format!("{}: {error}", target.name), false))),
            Ok(sources) => {
                let checked = wsceiling_scrape::check(&sources, Arc::new(RemoteEngines)).await;
                lines.extend(checked.iter().map(|it| (format!("{}: {it}", target.name), it.gives_numbers())));
            }
        }
    }
    lines
}

fn unprepared(errors: &[PrepareError]) -> StartFailure {
    let what = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let hint = "`wsceiling plan --check FILE` says what each source gives".to_owned();
    StartFailure { outcome: Outcome::Skipped, reason: Reason::Missing { what, hint } }
}

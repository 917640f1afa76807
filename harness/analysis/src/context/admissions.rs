//! Who was let in while others were refused. A limit of number lets nobody in any more, one of rate does.

use super::TrialContext;

/// Fewer than these say nothing: an upgrade may be under way on one thread while another refuses.
const FEW: f64 = 10.0;
/// The same as a share of those that were let in or refused.
const FEW_SHARE: f64 = 0.03;
/// Shortest time over which a rate can be told.
const SHORTEST_MS: f64 = 500.0;

/// What a step let in after its first refusal; of a step past the edge, all that it let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admissions {
    /// Connections wanted at the end of the step.
    pub target: u32,
    /// Connections that were let in.
    pub opened: f64,
    /// Connections that were refused.
    pub refused: f64,
    /// Of all, more than so many are news.
    few: f64,
    /// From the first refusal to the last that was let in.
    ms: f64,
}

impl Admissions {
    /// Whether some were let in while others were refused.
    pub(crate) fn went_on(&self) -> bool {
        self.opened > self.few
    }

    /// Whether nobody was, though there was the time for it.
    pub(crate) fn stood(&self) -> bool {
        !self.went_on()
    }

    /// Share of those that came then that were refused.
    pub(crate) fn refused_share(&self) -> f64 {
        self.refused / (self.opened + self.refused).max(1.0)
    }

    /// How many a second, where it can be told.
    pub(crate) fn per_second(&self) -> Option<f64> {
        (self.went_on() && self.ms >= SHORTEST_MS).then(|| self.opened / self.ms * 1e3)
    }
}

/// Upgrades that succeed for so much of the time that others wait in vain are slow, and not at an end.
const GOES_ON: f64 = 0.25;

impl TrialContext<'_> {
    /// Whether upgrades went on succeeding long after the first that failed had begun: a slow server, and not one that is
    /// full. `None`: nothing failed, or the record does not tell.
    pub(crate) fn goes_on(&self) -> Option<bool> {
        let (step, begun) = (self.failed?, self.first_failure_ms?);
        let waited = self.failures.iter().map(|error| error.first_ms as f64 - begun).fold(0.0, f64::max);
        Some(step.last_opened_ms? - begun >= (GOES_ON * waited).max(SHORTEST_MS))
    }

    /// For the failed step, and then for the one past the edge, which may have passed. Empty: the record does not tell.
    pub(crate) fn admissions(&self) -> Vec<Admissions> {
        let Some(failed) = self.failed else { return Vec::new() };
        let same_launch = self.record.steps.iter().filter(|step| step.launch == failed.launch);
        let each = same_launch.filter(|step| step.started_ms >= failed.started_ms).filter_map(|step| {
            let past_the_edge = step.started_ms > failed.started_ms;
            let after = step.opened_after_failure?;
            let opened = if past_the_edge { step.opened } else { after } as f64;
            let refused = step.issued.saturating_sub(step.opened) as f64;
            let first = step.errors.iter().map(|error| error.first_ms as f64).fold(f64::INFINITY, f64::min);
            let ms = if past_the_edge { 0.0 } else { step.last_opened_ms.unwrap_or(first) - first };
            Some(Admissions {
                target: step.target,
                opened,
                refused,
                few: FEW.max(FEW_SHARE * (step.opened as f64 + refused)),
                ms,
            })
        });
        each.collect()
    }
}

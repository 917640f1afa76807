//! Who was let in while others were refused. A limit of number lets nobody in any more, one of rate does.

use super::TrialContext;
use crate::verdict::{Evidence, EvidenceName};
use wsceiling_model::format;
use wsceiling_model::record::{Component, Metric, StepKind, StepRecord};

/// Fewer than these say nothing: an upgrade may be under way on one thread while another refuses.
const FEW: f64 = 10.0;
/// The same as a share of those that were let in or refused.
const FEW_SHARE: f64 = 0.03;
/// Who is asked again slowly, a moment later, and lets in this share goes on; a number of which a few have become free, or one
/// of several processes that has room, lets in less.
const AGAIN_SHARE: f64 = 0.75;
/// Shortest time over which a rate can be told.
const SHORTEST_MS: f64 = 500.0;

/// What a step let in after its first refusal; of a step past the edge, or asked again, all that it let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admissions {
    /// Why the step was driven.
    pub kind: StepKind,
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

    /// Whether they were asked again, after the load had ended early.
    pub(crate) fn asked_again(&self) -> bool {
        self.kind == StepKind::Again
    }

    /// How many it let in, as evidence.
    pub(crate) fn evidence(&self) -> Evidence {
        let target = format::whole(f64::from(self.target));
        let again = if self.asked_again() { "asked again, slowly: " } else { "" };
        Evidence {
            component: Component::Generator,
            name: EvidenceName::OpenedAfterRefusal,
            before: None,
            after: Some(format::whole(self.opened)),
            source: format!("{again}step to {target}"),
        }
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

    /// Whether only the newest connections are closed, at once, and all older ones stay: as many are open in the end as were
    /// before and were not closed, and nobody is lost once nobody comes any more.
    pub(crate) fn closes_newest(&self) -> bool {
        self.failed.is_some_and(|step| self.closes_newest_in(step, self.open_before(step)))
    }

    /// Whether the step past the edge shows the same at the same number.
    pub(crate) fn closes_newest_again(&self) -> bool {
        let Some(failed) = self.failed else { return false };
        let again = self.record.steps.iter().find(|step| step.kind == StepKind::PastEdge);
        again.is_some_and(|step| {
            let same = step.open.abs_diff(failed.open) as f64 <= FEW.min(FEW_SHARE * failed.open as f64);
            same && self.closes_newest_in(step, failed.open as f64)
        })
    }

    fn closes_newest_in(&self, step: &StepRecord, before: f64) -> bool {
        let lost = |t| self.series.near(Component::Generator, Metric::Lost, t).map(|(_, lost)| lost);
        let (new, open) = (step.opened as f64, step.open as f64);
        let of_the_new = (step.lost as f64 - (new - (open - before))).abs() <= FEW_SHARE * new.max(1.0) + 2.0;
        let settled = lost(step.opened_ms + 2.0 * self.tick_ms()).zip(lost(step.ended_ms));
        let quiet = settled.is_some_and(|(then, end)| end - then <= FEW_SHARE * step.lost as f64);
        step.lost > 0 && open >= before && open < before + new && of_the_new && quiet
    }

    /// Connections that were open when a step began.
    fn open_before(&self, step: &StepRecord) -> f64 {
        let before = self.record.steps.iter().take_while(|other| other.started_ms < step.started_ms);
        before.filter(|other| other.launch == step.launch).last().map_or(0.0, |other| other.open as f64)
    }

    /// Whether some were let in while others were refused, and more would be. Where each of several processes has a number of
    /// its own, the others go on after the first is full; the step past the edge, in which nobody is let in, tells it. So do
    /// those that are asked again after an early end.
    pub(crate) fn keeps_letting_in(&self) -> bool {
        let all = self.admissions();
        match all.as_slice() {
            [.., again] if again.asked_again() => again.went_on(),
            [_, .., last] if last.opened + last.refused >= 2.0 * FEW => last.went_on(),
            all => all.iter().any(Admissions::went_on),
        }
    }

    /// For the failed step, and then for the one past the edge, or asked again, which may have passed. Empty: the record does not tell.
    pub(crate) fn admissions(&self) -> Vec<Admissions> {
        let Some(failed) = self.failed else { return Vec::new() };
        let same_launch = self.record.steps.iter().filter(|step| step.launch == failed.launch);
        let each = same_launch.filter(|step| step.started_ms >= failed.started_ms).filter_map(|step| {
            let past_the_edge = step.started_ms > failed.started_ms;
            let again = step.kind == StepKind::Again;
            let after = step.opened_after_failure?;
            let opened = if past_the_edge { step.opened } else { after } as f64;
            let refused = step.issued.saturating_sub(step.opened) as f64;
            let first = step.errors.iter().map(|error| error.first_ms as f64).fold(f64::INFINITY, f64::min);
            let ms = if past_the_edge { 0.0 } else { step.last_opened_ms.unwrap_or(first) - first };
            let asked = step.opened as f64 + refused;
            Some(Admissions {
                kind: step.kind,
                target: step.target,
                opened,
                refused,
                // Of none that was asked for, none is let in.
                few: if again { (AGAIN_SHARE * asked - 1.0).max(0.0) } else { FEW.max(FEW_SHARE * asked) },
                ms,
            })
        });
        each.collect()
    }
}

//! The failures of the step that failed.

use super::TrialContext;
use wsceiling_model::matrix::Load;
use wsceiling_model::record::{FailedAt, FailureTally, Gate, GateName};

/// Share of the client's patience within which an answer comes at once.
const AT_ONCE: f64 = 0.1;
/// Answers from which a percentile says something.
const ANSWERS_MIN: u64 = 50;

impl TrialContext<'_> {
    /// How many failures the failed step has.
    pub(crate) fn failed_count(&self) -> f64 {
        self.failures.iter().map(|error| error.count as f64).sum()
    }

    /// Share of the failures that a cause's symptoms cover; 0 where nothing failed.
    pub(crate) fn share(&self, covers: impl Fn(&FailureTally) -> bool) -> f64 {
        let covered: f64 = self.failures.iter().filter(|error| covers(error)).map(|error| error.count as f64).sum();
        if covered > 0.0 { covered / self.failed_count() } else { 0.0 }
    }

    /// How far the trial's trouble is that of a server that is too slow: connects or upgrades that time out, or, where
    /// nothing failed, a gate on replies or latency.
    pub(crate) fn slowness(&self) -> f64 {
        let Some(step) = self.failed else { return 0.0 };
        if self.failures.is_empty() {
            return if step.lost == 0 { 1.0 } else { 0.0 };
        }
        // A gate with nothing to measure says nothing about slowness, unless messages were due and none was answered.
        let late = |gate: &Gate| {
            gate.name != GateName::Connected && !gate.passed && (gate.value.is_some() || step.messages_due > 0)
        };
        if self.exits().next().is_some() || !step.gates.iter().any(late) {
            return self.share(is_timeout);
        }
        // Late answers are trouble of their own beside the failures of a few; and who answers late also loses
        // connections: it drops slow readers, or a heartbeat runs out.
        if step.gates.iter().any(|gate| gate.name == GateName::Connected && gate.passed) {
            return 1.0;
        }
        self.share(|error| is_timeout(error) || error.at == FailedAt::Open)
    }

    /// Whether those that are connected get their answers at once while newcomers wait in vain. A server that gets no CPU is
    /// slow to all of them.
    pub(crate) fn slow_to_newcomers_only(&self) -> bool {
        let Some(step) = self.failed else { return false };
        let at_once = self.patience.as_micros() as f64 * AT_ONCE;
        self.share(is_timeout) >= 0.8
            && step.reply.count >= ANSWERS_MIN
            && step.messages_answered as f64 >= 0.99 * step.messages_due as f64
            && step.reply.p99_us.is_some_and(|p99| (p99 as f64) < at_once)
    }

    /// Share of the failures that look as a proxy at its limit makes them look: it lets go, stalls, or answers 5xx.
    pub(crate) fn turned_away(&self) -> f64 {
        self.share(|error| {
            let refused = error.reason.http_status().is_some_and(|status| status >= 500);
            error.reason.is_broken() || is_timeout(error) || refused
        })
    }

    /// Open connections that were lost.
    pub(crate) fn lost(&self) -> f64 {
        let open = self.failures.iter().filter(|error| error.at == FailedAt::Open);
        open.map(|error| error.count as f64).sum()
    }

    /// When the first open connection was lost.
    pub(crate) fn first_lost_ms(&self) -> Option<f64> {
        let lost = self.failures.iter().filter(|error| error.at == FailedAt::Open);
        lost.map(|error| error.first_ms as f64).min_by(f64::total_cmp)
    }

    /// When the first connection of the failed launch was opened.
    pub(crate) fn first_opened_ms(&self) -> Option<f64> {
        let launch = self.failed?.launch;
        Some(self.record.steps.iter().find(|other| other.launch == launch)?.started_ms)
    }

    /// How long connections live before they are closed from outside: from the first opening to the first loss.
    pub(crate) fn lifetime_ms(&self) -> Option<f64> {
        Some(self.first_lost_ms()? - self.first_opened_ms()?)
    }
}

/// How long a failed connection had waited when its failure was noticed.
pub(super) fn waited_ms(error: &FailureTally, load: &Load) -> f64 {
    if !is_timeout(error) {
        return 0.0;
    }
    let limit = if error.at == FailedAt::Handshake { load.handshake_timeout } else { load.connect_timeout };
    limit.as_secs_f64() * 1e3
}

/// The client gave up waiting.
pub(crate) fn is_timeout(error: &FailureTally) -> bool {
    error.at != FailedAt::Open && error.reason.is_timeout()
}

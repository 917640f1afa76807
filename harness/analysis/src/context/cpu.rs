//! Who used the CPU, who waited for it, and what was left.

use super::TrialContext;
use wsceiling_model::record::{Component, Metric};

/// Share of the cores given to the instances from which they, and not one thread, are the limit.
const ALL_CORES: f64 = 0.9;

impl TrialContext<'_> {
    /// CPU that a component used between two moments, in cores.
    pub(crate) fn cores(&self, component: Component, from: f64, to: f64) -> Option<f64> {
        let points = self.series.between(component, Metric::CpuUsage, from, to);
        let ((t0, v0), (t1, v1)) = (*points.first()?, *points.last()?);
        (t1 > t0 && v1 >= v0).then(|| (v1 - v0) / (t1 - t0) / 1e3)
    }

    /// CPU of all instances in the failed step, in cores.
    pub(crate) fn server_cores(&self) -> Option<f64> {
        let all: Vec<f64> = self.instances().filter_map(|c| self.cores(c, self.from, self.to)).collect();
        (!all.is_empty()).then(|| all.iter().sum())
    }

    /// Cores of the machine.
    pub(crate) fn cores_of_the_machine(&self) -> Option<f64> {
        self.environment.facts.get("cpu.cores").and_then(|cores| cores.parse().ok())
    }

    /// Share of the machine's CPU time that was idle.
    pub(crate) fn idle_share(&self, from: f64, to: f64) -> Option<f64> {
        let gain = |metric| {
            let at = |t| self.series.near(Component::Host, metric, t).map(|(_, value)| value);
            Some(at(to)? - at(from)?)
        };
        let (idle, busy) = (gain(Metric::HostIdle)?, gain(Metric::HostBusy)?);
        (idle + busy > 0.0).then(|| idle / (idle + busy))
    }

    /// Whether the instances used all of the cores that they were pinned to.
    pub(crate) fn all_cores_used(&self, from: f64, to: f64) -> bool {
        let pinned = self.record.generator.as_ref().map_or(0, |generator| generator.server_cpus.len());
        let used: f64 = self.instances().filter_map(|instance| self.cores(instance, from, to)).sum();
        pinned > 0 && used >= ALL_CORES * pinned as f64
    }

    /// Share of the time in which the busiest thread of an instance ran or waited for a core, in most samples of the step that
    /// failed; of all instances the largest. Below one it had time left, however full the machine was.
    pub(crate) fn wanted_a_core(&self) -> Option<f64> {
        let wanted = |instance| {
            let runs = self.series.between(instance, Metric::BusiestThread, self.from, self.failed?.ended_ms);
            let waits = |t| self.series.at(instance, Metric::ThreadWait, t);
            let mut shares: Vec<f64> = runs.iter().filter_map(|(t, runs)| Some(runs + waits(*t)?)).collect();
            shares.sort_by(f64::total_cmp);
            shares.get(shares.len() / 2).copied()
        };
        self.instances().filter_map(wanted).reduce(f64::max)
    }

    /// Largest share of the time in which an instance, or one of its threads, waited for a core.
    pub(crate) fn waited_for_a_core(&self) -> Option<f64> {
        let pressure = |instance| self.highest(instance, Metric::PsiCpuSome).map(|percent| percent / 100.0);
        // One sample may be a hiccup: what most of them have counts.
        let thread = |instance| {
            let points = self.series.between(instance, Metric::ThreadWait, self.from, self.failed?.ended_ms);
            let mut shares: Vec<f64> = points.iter().map(|(_, share)| *share).collect();
            shares.sort_by(f64::total_cmp);
            shares.get(shares.len() / 2).copied()
        };
        let waited = |instance| pressure(instance).into_iter().chain(thread(instance)).reduce(f64::max);
        self.instances().filter_map(waited).reduce(f64::max)
    }
}

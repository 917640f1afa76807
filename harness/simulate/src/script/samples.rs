//! The samples of a simulated trial: the numbers of its machine, its generator and its instances.

use std::collections::BTreeMap;

use super::course::{Leg, Moment};
use super::{LEAD_MS, Script};
use wsceiling_model::matrix::Runtime;
use wsceiling_model::record::{Component, Metric, Sample, TrialRecord};

/// Time between two samples.
const BEAT_MS: f64 = 250.0;

impl Script {
    /// The line and the samples.
    pub fn finish(self) -> (TrialRecord, Vec<Sample>) {
        let end = self.legs.last().map_or(LEAD_MS, |leg| leg.end);
        let mut rng = fastrand::Rng::with_seed(u64::from(self.repeat) * 7919 + self.cell.id.len() as u64);
        let mut samples = Vec::new();
        let mut sources: BTreeMap<Component, BTreeMap<String, String>> = BTreeMap::new();
        let mut used = Counters::default();
        for beat in 0..=((end + 500.0) / BEAT_MS) as u32 {
            let t_ms = f64::from(beat) * BEAT_MS;
            let moment = self.moment(t_ms);
            used.advance(&moment, f64::from(self.cell.instances));
            for component in self.components(t_ms) {
                let mut values = self.values(component, &moment, &used, &mut rng);
                values.retain(|(_, value)| value.is_finite());
                for (metric, _) in &values {
                    let source = source(self.cell.runtime, component, *metric);
                    sources.entry(component).or_default().entry(metric.name().into()).or_insert(source);
                }
                samples.push(Sample { t_ms, component, values });
            }
        }
        (self.record(end, sources), samples)
    }

    fn components(&self, t_ms: f64) -> Vec<Component> {
        if !self.sampled {
            return vec![Component::Generator];
        }
        let mut all = vec![Component::Host, Component::Generator];
        let dead = |index: u32| index == 0 && self.exit.as_ref().is_some_and(|exit| exit.t_ms < t_ms);
        all.extend(self.fronts.iter().map(|front| Component::Front(front.index)));
        all.extend((0..self.cell.instances).filter(|index| !dead(*index)).map(Component::Instance));
        all
    }

    fn values(
        &self,
        component: Component,
        moment: &Moment,
        used: &Counters,
        rng: &mut fastrand::Rng,
    ) -> Vec<(Metric, f64)> {
        let noise = if self.noise { 1.0 + (rng.f64() - 0.5) * 0.004 } else { 1.0 };
        let instances = f64::from(self.cell.instances);
        let defaults = match component {
            Component::Host | Component::ClientHost => host(moment, used),
            Component::Generator => generator(moment, used, self.legs.last()),
            Component::Front(_) => Vec::new(),
            Component::Instance(_) => instance(moment, used, instances, noise, self.size.nofile),
        };
        let mut values: BTreeMap<Metric, f64> = defaults.into_iter().collect();
        for ((of, metric), value) in &self.overrides {
            if *of == component {
                match value(moment) {
                    Some(value) => values.insert(*metric, value),
                    None => values.remove(metric),
                };
            }
        }
        values.into_iter().collect()
    }
}

/// Integrals over time.
#[derive(Debug, Default)]
struct Counters {
    t_ms: f64,
    server_us: f64,
    server_cores: f64,
    client_us: f64,
    client_cores: f64,
    opened: f64,
}

impl Counters {
    fn advance(&mut self, moment: &Moment, instances: f64) {
        let dt_us = (moment.t_ms - self.t_ms) * 1e3;
        let opened = moment.opened - self.opened;
        if dt_us > 0.0 {
            let server = opened * 120.0 + dt_us * (0.002 * instances + 12e-6 * moment.open);
            let client = opened * 70.0 + dt_us * (0.004 + 9e-6 * moment.open);
            (self.server_cores, self.client_cores) = (server / dt_us, client / dt_us);
            self.server_us += server;
            self.client_us += client;
        }
        (self.t_ms, self.opened) = (moment.t_ms, moment.opened);
    }
}

fn host(moment: &Moment, used: &Counters) -> Vec<(Metric, f64)> {
    let busy = used.server_us + used.client_us + moment.t_ms * 40.0;
    vec![
        (Metric::HostBusy, 9e9 + busy),
        (Metric::HostIdle, 4e10 + (moment.t_ms * 4000.0 - busy).max(0.0)),
        (Metric::HostSteal, 1_200_000.0),
        (Metric::HostMemoryAvailable, 9.1e9 - moment.open * 11_000.0),
        (Metric::HostOomKills, 3.0),
        (Metric::HostDescriptors, 2100.0 + moment.open * 2.0),
        (Metric::SocketsMemory, 60.0 + moment.open / 40.0),
        (Metric::SocketsOrphan, 0.0),
        (Metric::PsiCpuSome, 3.1),
    ]
}

fn generator(moment: &Moment, used: &Counters, last: Option<&Leg>) -> Vec<(Metric, f64)> {
    let fail = last.and_then(|leg| leg.fail.as_ref()).filter(|_| moment.failing);
    let issued = fail.map_or(1.0, |fail| fail.issued);
    vec![
        (Metric::CpuUsage, 20_000.0 + used.client_us),
        (Metric::BusiestThread, used.client_cores.min(1.0)),
        (Metric::MemoryCurrent, 6.5e6 + moment.open * 5200.0),
        (Metric::Pids, 2.0),
        (Metric::Descriptors, 14.0 + moment.open),
        (Metric::DescriptorLimit, 20_000.0),
        (Metric::SynRetransmits, 41.0),
        (Metric::ActiveOpens, 900.0 + moment.opened),
        (Metric::Established, moment.open),
        (Metric::Open, moment.open.round()),
        (Metric::Held, (moment.open * fail.map_or(1.0, |fail| fail.held)).round()),
        (Metric::Due, moment.due.round()),
        (Metric::Issued, (moment.due * issued).round()),
        (Metric::Failed, moment.failed.round()),
        (Metric::Lost, moment.lost.round()),
        (Metric::Lag, fail.map_or(420.0, |fail| fail.lag_us as f64)),
    ]
}

fn instance(moment: &Moment, used: &Counters, instances: f64, noise: f64, nofile: Option<u64>) -> Vec<(Metric, f64)> {
    let own = moment.open / instances;
    let (anon, kernel, file) = (2.6e6 + own * 6200.0 * noise, 420_000.0 + own * 1600.0, 1_228_800.0);
    vec![
        (Metric::CpuUsage, 5000.0 + used.server_us / instances),
        (Metric::BusiestThread, (used.server_cores / instances).min(1.0)),
        (Metric::MemoryCurrent, (anon + kernel + file).round()),
        (Metric::MemoryAnon, anon.round()),
        (Metric::MemoryKernel, kernel.round()),
        (Metric::MemoryFile, file),
        (Metric::OomKills, 0.0),
        (Metric::Pids, 3.0),
        (Metric::Descriptors, 9.0 + own.round()),
        (Metric::DescriptorLimit, nofile.map_or(20_000.0, |limit| limit as f64)),
        (Metric::ListenQueue, 0.0),
        (Metric::ListenBacklog, 1024.0),
        (Metric::ListenOverflows, 7.0),
        (Metric::ListenDrops, 7.0),
        (Metric::ReqQFullDrops, 0.0),
        (Metric::AbortOnMemory, 0.0),
        (Metric::MemoryPressures, 0.0),
        (Metric::PassiveOpens, 850.0 + (moment.opened / instances).round()),
        (Metric::Established, own.round()),
        (Metric::SocketsInUse, 4.0 + own.round()),
        (Metric::SocketsTimeWait, 0.0),
    ]
}

/// Where a number is read.
fn source(runtime: Runtime, component: Component, metric: Metric) -> String {
    let name = metric.name();
    match component {
        Component::Host | Component::ClientHost => "/proc".into(),
        Component::Generator if matches!(metric, Metric::CpuUsage | Metric::MemoryCurrent) => {
            "proc of the workers".into()
        }
        Component::Generator => "the workers' reports".into(),
        Component::Front(_) => "the front".into(),
        Component::Instance(_) if name.starts_with("memory") => format!("{runtime} cgroup1 memory.usage_in_bytes"),
        Component::Instance(_) if name.starts_with("cpu") => format!("{runtime} cgroup1 cpuacct.usage"),
        Component::Instance(_) => {
            format!("{runtime} /proc/<pid>/{}", if name.contains("opens") { "net/snmp" } else { "net/netstat" })
        }
    }
}

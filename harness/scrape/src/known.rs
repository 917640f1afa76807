//! Which series of which exporter is which number.
//!
//! Names: node_exporter 1.5 (`collector/`), client libraries' `process_*`
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), cAdvisor (`docs/storage/prometheus.md`),
//! kubelet `/metrics/resource` (KEP-2371), haproxy's own exporter (`addons/promex/README`).

use std::collections::{BTreeMap, BTreeSet};

use wsceiling_model::record::{Component, Metric, ScrapeFault};

use crate::reading::{Number, Reading, short};
use crate::text::Series;

/// Whose numbers an exporter tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Process,
    Container,
    Machine,
    Proxy,
}

impl Scope {
    fn is_of(self, part: Component) -> bool {
        match part {
            Component::Instance(_) => matches!(self, Self::Process | Self::Container),
            Component::Front(_) => self != Self::Machine,
            _ => self == Self::Machine,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Process => "a process",
            Self::Container => "containers",
            Self::Machine => "a machine",
            Self::Proxy => "a proxy",
        }
    }
}

/// How several series of one name become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Over these labels they are added up.
    Sum(&'static [&'static str]),
    /// Over these labels the largest counts.
    Max(&'static [&'static str]),
}

/// A series, and the number that it is.
struct Known {
    scope: Scope,
    series: &'static str,
    /// A label with the values that count.
    only: Option<(&'static str, &'static [&'static str])>,
    metric: Metric,
    factor: f64,
    join: Join,
}

/// From seconds to the unit of the record.
const US: f64 = 1e6;
/// Labels of the processes of one server.
const PROCESSES: &[&str] = &["pid", "worker"];

const fn plain(scope: Scope, series: &'static str, metric: Metric, factor: f64) -> Known {
    Known { scope, series, only: None, metric, factor, join: Join::Sum(&[]) }
}

const fn process(series: &'static str, metric: Metric, factor: f64) -> Known {
    Known { join: Join::Sum(PROCESSES), ..plain(Scope::Process, series, metric, factor) }
}

const fn cpus(modes: &'static [&'static str], metric: Metric) -> Known {
    let known = plain(Scope::Machine, "node_cpu_seconds_total", metric, US);
    Known { only: Some(("mode", modes)), join: Join::Sum(&["cpu", "mode"]), ..known }
}

const fn machine(series: &'static str, metric: Metric) -> Known {
    Known { join: Join::Sum(&["cpu"]), ..plain(Scope::Machine, series, metric, 1.0) }
}

const fn container(series: &'static str, metric: Metric, factor: f64) -> Known {
    Known { join: Join::Sum(&["cpu"]), ..plain(Scope::Container, series, metric, factor) }
}

/// Of several rows for one metric the first that has series counts.
static KNOWN: &[Known] = &[
    container("container_cpu_usage_seconds_total", Metric::CpuUsage, US),
    container("container_cpu_cfs_throttled_seconds_total", Metric::CpuThrottled, US),
    container("container_cpu_cfs_periods_total", Metric::CpuPeriods, 1.0),
    container("container_cpu_cfs_throttled_periods_total", Metric::CpuThrottledPeriods, 1.0),
    container("container_memory_usage_bytes", Metric::MemoryCurrent, 1.0),
    container("container_memory_working_set_bytes", Metric::MemoryCurrent, 1.0),
    container("container_memory_rss", Metric::MemoryAnon, 1.0),
    container("container_memory_cache", Metric::MemoryFile, 1.0),
    container("container_memory_max_usage_bytes", Metric::MemoryPeak, 1.0),
    container("container_memory_failcnt", Metric::MemoryLimitHits, 1.0),
    container("container_oom_events_total", Metric::OomKills, 1.0),
    container("container_threads", Metric::Pids, 1.0),
    process("process_cpu_seconds_total", Metric::CpuUsage, US),
    process("process_resident_memory_bytes", Metric::MemoryCurrent, 1.0),
    process("process_threads", Metric::Pids, 1.0),
    process("process_num_threads", Metric::Pids, 1.0),
    Known { join: Join::Max(PROCESSES), ..process("process_open_fds", Metric::Descriptors, 1.0) },
    Known { join: Join::Max(PROCESSES), ..process("process_max_fds", Metric::DescriptorLimit, 1.0) },
    cpus(&["idle", "iowait"], Metric::HostIdle),
    cpus(&["steal"], Metric::HostSteal),
    cpus(&["user", "nice", "system", "irq", "softirq"], Metric::HostBusy),
    plain(Scope::Machine, "node_cpu_usage_seconds_total", Metric::HostBusy, US),
    machine("node_memory_MemAvailable_bytes", Metric::HostMemoryAvailable),
    machine("node_vmstat_oom_kill", Metric::HostOomKills),
    machine("node_filefd_allocated", Metric::HostDescriptors),
    machine("node_softnet_dropped_total", Metric::SoftnetDrops),
    machine("node_netstat_TcpExt_ListenOverflows", Metric::ListenOverflows),
    machine("node_netstat_TcpExt_ListenDrops", Metric::ListenDrops),
    machine("node_netstat_TcpExt_TCPSynRetrans", Metric::SynRetransmits),
    machine("node_netstat_TcpExt_TCPReqQFullDrop", Metric::ReqQFullDrops),
    machine("node_netstat_TcpExt_TCPReqQFullDoCookies", Metric::ReqQFullCookies),
    machine("node_netstat_TcpExt_TCPAbortOnMemory", Metric::AbortOnMemory),
    machine("node_netstat_TcpExt_TCPMemoryPressures", Metric::MemoryPressures),
    machine("node_netstat_TcpExt_TCPRcvQDrop", Metric::RcvQDrops),
    machine("node_netstat_Tcp_PassiveOpens", Metric::PassiveOpens),
    machine("node_netstat_Tcp_ActiveOpens", Metric::ActiveOpens),
    machine("node_netstat_Tcp_OutRsts", Metric::OutRsts),
    machine("node_netstat_Tcp_CurrEstab", Metric::Established),
    machine("node_sockstat_TCP_inuse", Metric::SocketsInUse),
    machine("node_sockstat_TCP_tw", Metric::SocketsTimeWait),
    machine("node_sockstat_TCP_orphan", Metric::SocketsOrphan),
    machine("node_sockstat_TCP_mem", Metric::SocketsMemory),
    machine("node_nf_conntrack_entries", Metric::ConntrackCount),
    machine("node_nf_conntrack_stat_drop", Metric::ConntrackDrops),
    machine("node_nf_conntrack_stat_insert_failed", Metric::ConntrackInsertFailed),
    plain(Scope::Proxy, "haproxy_process_current_connections", Metric::FrontConnections, 1.0),
    plain(Scope::Proxy, "haproxy_process_max_connections", Metric::FrontConnectionsLimit, 1.0),
    plain(Scope::Proxy, "haproxy_frontend_current_sessions", Metric::FrontSessions, 1.0),
    plain(Scope::Proxy, "haproxy_frontend_limit_sessions", Metric::FrontSessionsLimit, 1.0),
];

/// Start times, in seconds since 1970.
const STARTS: [(Scope, &str); 3] = [
    (Scope::Container, "container_start_time_seconds"),
    (Scope::Process, "process_start_time_seconds"),
    (Scope::Machine, "node_boot_time_seconds"),
];

/// No limit, as exporters write it: 2^64 - 1, or -1 which is left out anyway.
const NO_LIMIT: f64 = 1e18;

/// Whether a series of that name is looked at.
pub(crate) fn is_wanted(name: &str) -> bool {
    is_exporter(name)
        || STARTS.iter().any(|(_, start)| *start == name)
        || KNOWN.iter().any(|known| known.series == name)
}

/// Series that only an exporter has: the `process_*` beside them are its own, and nobody asks for those.
fn is_exporter(name: &str) -> bool {
    name.ends_with("_exporter_build_info") || name == "cadvisor_version_info" || name == "kubelet_node_name"
}

/// The numbers of one part; `total` series came, of which `found` are those that are wanted.
pub(crate) fn numbers(
    found: &[Series<'_>],
    total: usize,
    part: Component,
    labels: &BTreeMap<String, String>,
) -> Reading {
    let mut reading = Reading::default();
    let exporter = found.iter().any(|series| is_exporter(series.name));
    let counts = |scope: Scope| !(exporter && scope == Scope::Process);
    let matching = |name: &str| -> Vec<&Series<'_>> {
        let chosen = |series: &&Series<'_>| labels.iter().all(|(name, value)| series.label(name) == Some(value));
        found.iter().filter(|series| series.name == name).filter(chosen).collect()
    };
    let mut elsewhere = BTreeSet::new();
    let mut done: Vec<Metric> = Vec::new();
    let mut any = false;
    for known in KNOWN.iter().filter(|known| counts(known.scope)) {
        any |= found.iter().any(|series| series.name == known.series);
        let series = known.chosen(matching(known.series));
        if series.is_empty() || done.contains(&known.metric) {
            continue;
        }
        if !known.scope.is_of(part) {
            elsewhere.insert(known.scope);
            continue;
        }
        done.push(known.metric);
        match known.join(&series) {
            Ok(value) if known.metric == Metric::DescriptorLimit && !(0.0..NO_LIMIT).contains(&value) => {}
            Ok(value) => reading.add(Number {
                metric: known.metric,
                value: value * known.factor,
                at_unix_s: series.iter().filter_map(|series| series.at_unix_s).reduce(f64::min),
                name: known.series.to_owned(),
            }),
            Err(fault) => reading.faults.push(fault),
        }
    }
    for (_, name) in STARTS.iter().filter(|(scope, _)| scope.is_of(part) && counts(*scope)) {
        if let [one] = matching(name)[..] {
            reading.started_unix_s =
                reading.started_unix_s.or(Some(one.value).filter(|at| at.is_finite() && *at > 0.0));
        }
    }
    if done.is_empty() {
        reading.faults.push(nothing(part, labels, elsewhere, any, total));
    }
    reading
}

/// Why a text has no number for a part.
fn nothing(
    part: Component,
    labels: &BTreeMap<String, String>,
    elsewhere: BTreeSet<Scope>,
    any: bool,
    total: usize,
) -> ScrapeFault {
    if !elsewhere.is_empty() {
        let gives: Vec<&str> = elsewhere.into_iter().map(Scope::words).collect();
        return ScrapeFault::WrongPart { gives: gives.join(" and "), part: part.to_string() };
    }
    if any && !labels.is_empty() {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
        return ScrapeFault::NoSeries { what: format!("labels = {{ {} }}", labels.join(", ")) };
    }
    ScrapeFault::NothingKnown { series: total as u64 }
}

impl Known {
    /// Of the series of its name those that count.
    fn chosen<'s, 't>(&self, mut series: Vec<&'s Series<'t>>) -> Vec<&'s Series<'t>> {
        if let Some((label, values)) = self.only {
            series.retain(|series| series.label(label).is_some_and(|value| values.contains(&value)));
        }
        // cAdvisor has the sum beside the CPUs.
        if series.iter().any(|series| series.label("cpu") == Some("total")) {
            series.retain(|series| series.label("cpu") == Some("total"));
        }
        series
    }

    /// One number of several series.
    fn join(&self, series: &[&Series<'_>]) -> Result<f64, ScrapeFault> {
        let (Join::Sum(over) | Join::Max(over)) = self.join;
        let of = |series: &Series<'_>| -> BTreeMap<String, String> {
            series.labels.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect()
        };
        let all: Vec<BTreeMap<String, String>> = series.iter().map(|series| of(series)).collect();
        let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
        let values = |name: &String| -> BTreeSet<&str> {
            all.iter().map(|labels| labels.get(name).map_or("", String::as_str)).collect()
        };
        let mut differing: Vec<&String> =
            names.into_iter().filter(|name| !over.contains(&name.as_str()) && values(name).len() > 1).collect();
        // The label that a person would choose by.
        let rank =
            |name: &&String| ["container", "pod", "name", "instance"].iter().position(|it| it == name).unwrap_or(9);
        differing.sort_by_key(rank);
        if let Some(label) = differing.first() {
            let mut shown: Vec<String> =
                values(label).iter().take(4).map(|value| format!("`{}`", short(value, 40))).collect();
            if values(label).len() > 4 {
                shown.push("...".to_owned());
            }
            return Err(ScrapeFault::Ambiguous {
                series: self.series.to_owned(),
                matching: series.len() as u64,
                label: (*label).clone(),
                values: shown.join(", "),
            });
        }
        let different: BTreeSet<&BTreeMap<String, String>> = all.iter().collect();
        if different.len() < series.len() {
            return Err(ScrapeFault::Duplicated { series: self.series.to_owned() });
        }
        let values = series.iter().map(|series| series.value);
        // What is not a number makes the whole none.
        let not_finite = values.clone().find(|value| !value.is_finite());
        Ok(not_finite.unwrap_or_else(|| match self.join {
            Join::Sum(_) => values.sum(),
            Join::Max(_) => values.fold(f64::MIN, f64::max),
        }))
    }
}

//! Lines of the plots, thinned.

use serde::Serialize;

use super::time_series::{Points, TimeSeries};
use wsceiling_model::format::Unit;
use wsceiling_model::record::{Component, Metric};

/// A line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlotSeries {
    /// What it shows.
    pub name: SeriesName,
    /// Whose.
    pub component: Component,
    /// Milliseconds since the trial's start, and the value; `None` is a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

/// What a line of a plot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesName {
    /// Connections that are open.
    Open,
    /// Open connections whose last message came back.
    Held,
    /// Connects that failed so far.
    Failed,
    /// Open connections lost so far.
    Lost,
    /// How far the generator is behind its schedule.
    Lag,
    /// Memory charged to the component.
    Memory,
    /// CPU in use.
    Cpu,
    /// CPU of the machine that nobody uses.
    Idle,
    /// CPU that the quota withheld.
    Throttled,
    /// CPU of the busiest thread.
    BusiestThread,
    /// Open descriptors.
    Descriptors,
    /// Processes and threads.
    Pids,
    /// Connections that wait to be accepted.
    ListenQueue,
}

impl SeriesName {
    /// Unit of its values.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Lag => Unit::Micros,
            Self::Memory => Unit::Bytes,
            Self::Cpu | Self::Idle | Self::Throttled | Self::BusiestThread => Unit::Cores,
            Self::Open
            | Self::Held
            | Self::Failed
            | Self::Lost
            | Self::Descriptors
            | Self::Pids
            | Self::ListenQueue => Unit::Count,
        }
    }
}

/// Most points of a line.
pub(super) const MOST_POINTS: usize = 400;

/// How a line is made of sampled points.
#[derive(Clone, Copy)]
enum Kind {
    /// The value itself.
    Gauge,
    /// Rise per second, times the factor.
    Rate(f64),
}

/// Name, metric, kind; every component that has the metric gets a line.
const LINES: [(SeriesName, Metric, Kind); 14] = [
    (SeriesName::Open, Metric::Open, Kind::Gauge),
    (SeriesName::Held, Metric::Held, Kind::Gauge),
    (SeriesName::Failed, Metric::Failed, Kind::Gauge),
    (SeriesName::Lost, Metric::Lost, Kind::Gauge),
    (SeriesName::Lag, Metric::Lag, Kind::Gauge),
    (SeriesName::Memory, Metric::MemoryCurrent, Kind::Gauge),
    (SeriesName::Cpu, Metric::CpuUsage, Kind::Rate(1e-6)),
    (SeriesName::Cpu, Metric::HostBusy, Kind::Rate(1e-6)),
    (SeriesName::Idle, Metric::HostIdle, Kind::Rate(1e-6)),
    (SeriesName::Throttled, Metric::CpuThrottled, Kind::Rate(1e-6)),
    (SeriesName::BusiestThread, Metric::BusiestThread, Kind::Gauge),
    (SeriesName::Descriptors, Metric::Descriptors, Kind::Gauge),
    (SeriesName::Pids, Metric::Pids, Kind::Gauge),
    (SeriesName::ListenQueue, Metric::ListenQueue, Kind::Gauge),
];

/// All lines of a trial, in the order of [`LINES`].
pub(super) fn plot_series(series: &TimeSeries) -> Vec<PlotSeries> {
    let mut all = Vec::new();
    for (name, metric, kind) in LINES {
        for component in series.components() {
            let points = series.get(component, metric);
            if points.is_empty() {
                continue;
            }
            let moments = series.moments(component);
            let whole = match kind {
                Kind::Gauge => with_gaps(moments, points),
                Kind::Rate(factor) => with_gaps(moments, &rate(points, factor)),
            };
            all.push(PlotSeries { name, component, points: thin(&whole) });
        }
    }
    all
}

/// Rise per second between neighbours, at the later moment; a fall is a counter that began anew and has no rate.
fn rate(points: &[(f64, f64)], factor: f64) -> Points {
    points
        .windows(2)
        .filter(|pair| pair[1].1 >= pair[0].1 && pair[1].0 > pair[0].0)
        .map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) * 1e3 * factor))
        .collect()
}

/// Puts a gap wherever the component was sampled without this number, and where sampling itself paused.
fn with_gaps(moments: &[f64], read: &[(f64, f64)]) -> Vec<(f64, Option<f64>)> {
    let mut ticks: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    ticks.sort_by(f64::total_cmp);
    let pause = ticks.get(ticks.len() / 2).map_or(f64::INFINITY, |tick| tick * 4.0);
    let (Some((first, _)), Some((last, _))) = (read.first(), read.last()) else { return Vec::new() };
    let mut points: Vec<(f64, Option<f64>)> = Vec::with_capacity(read.len());
    let mut values = read.iter().peekable();
    for &moment in moments.iter().filter(|moment| (*first..=*last).contains(*moment)) {
        let value = values.next_if(|(t, _)| t.total_cmp(&moment).is_eq()).map(|(_, value)| *value);
        if let Some((before, Some(_))) = points.last()
            && moment - before > pause
        {
            points.push((f64::midpoint(*before, moment), None));
        }
        // One gap is enough to break a line.
        if value.is_some() || points.last().is_some_and(|(_, before)| before.is_some()) {
            points.push((moment, value));
        }
    }
    points
}

/// Keeps the lowest and the highest point of each interval, and a gap where it has one, so that no spike, no fall to 0
/// and no gap is thinned away.
fn thin(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let interval = points.len().div_ceil(MOST_POINTS / 3);
    let mut kept = Vec::with_capacity(MOST_POINTS);
    for part in points.chunks(interval) {
        let by_value = |a: &&(f64, Option<f64>), b: &&(f64, Option<f64>)| {
            a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal)
        };
        let present = || part.iter().filter(|(_, value)| value.is_some());
        let mut few: Vec<(f64, Option<f64>)> =
            [present().min_by(by_value), present().max_by(by_value), part.iter().find(|(_, value)| value.is_none())]
                .into_iter()
                .flatten()
                .copied()
                .collect();
        few.sort_by(|a, b| a.0.total_cmp(&b.0));
        few.dedup();
        kept.extend(few);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_model::record::Sample;

    #[test]
    fn a_long_line_keeps_its_spike_its_fall_and_its_gap() {
        let mut points: Vec<(f64, Option<f64>)> = (0..5000).map(|at| (f64::from(at), Some(100.0))).collect();
        points[1234].1 = Some(9999.0);
        points[2345].1 = Some(0.0);
        points[3456].1 = None;
        let thinned = thin(&points);
        assert!(thinned.len() <= MOST_POINTS, "{}", thinned.len());
        for at in [1234, 2345, 3456] {
            assert!(thinned.contains(&points[at]), "{at}");
        }
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_missing_number_is_a_gap_and_never_a_zero() {
        let sample = |t_ms, values| Sample { t_ms, component: Component::Instance(0), values };
        let series = TimeSeries::new(&[
            sample(0.0, vec![(Metric::MemoryCurrent, 5.0), (Metric::CpuUsage, 0.0)]),
            sample(250.0, vec![(Metric::CpuUsage, 125_000.0)]),
            sample(500.0, vec![(Metric::MemoryCurrent, 7.0), (Metric::CpuUsage, 1000.0)]),
            sample(750.0, vec![(Metric::CpuUsage, 126_000.0)]),
        ]);
        let lines = plot_series(&series);
        let line = |name| lines.iter().find(|line| line.name == name).unwrap().points.clone();
        assert_eq!(line(SeriesName::Memory), vec![(0.0, Some(5.0)), (250.0, None), (500.0, Some(7.0))]);
        // The counter began anew at 500: no rate there, half a core before and after.
        assert_eq!(line(SeriesName::Cpu), vec![(250.0, Some(0.5)), (500.0, None), (750.0, Some(0.5))]);
        assert!(lines.iter().all(|line| line.name != SeriesName::Descriptors));
    }
}

//! Lines of the plots, thinned.

use super::Series;
use super::tracks::{Track, Tracks};
use wsceiling_model::record::Metric;

/// Most points of a line.
pub(super) const MOST_POINTS: usize = 400;

/// How a line is made of a track.
#[derive(Clone, Copy)]
enum Kind {
    /// The value itself.
    Gauge,
    /// Rise per second, times the factor.
    Rate(f64),
}

/// Name, metric, unit, kind; every component that has the metric gets a line.
const LINES: [(&str, Metric, &str, Kind); 14] = [
    ("open", Metric::Open, "connections", Kind::Gauge),
    ("held", Metric::Held, "connections", Kind::Gauge),
    ("failed", Metric::Failed, "count", Kind::Gauge),
    ("lost", Metric::Lost, "count", Kind::Gauge),
    ("lag", Metric::Lag, "us", Kind::Gauge),
    ("memory", Metric::MemoryCurrent, "bytes", Kind::Gauge),
    ("cpu", Metric::CpuUsage, "cores", Kind::Rate(1e-6)),
    ("cpu", Metric::HostBusy, "cores", Kind::Rate(1e-6)),
    ("idle", Metric::HostIdle, "cores", Kind::Rate(1e-6)),
    ("throttled", Metric::CpuThrottled, "cores", Kind::Rate(1e-6)),
    ("busiest-thread", Metric::BusiestThread, "cores", Kind::Gauge),
    ("descriptors", Metric::Descriptors, "count", Kind::Gauge),
    ("pids", Metric::Pids, "count", Kind::Gauge),
    ("listen-queue", Metric::ListenQueue, "count", Kind::Gauge),
];

/// All lines of a trial, in the order of [`LINES`].
pub(super) fn series(tracks: &Tracks) -> Vec<Series> {
    let mut all = Vec::new();
    for (name, metric, unit, kind) in LINES {
        for component in tracks.components() {
            let track = tracks.get(component, metric);
            if track.is_empty() {
                continue;
            }
            let moments = tracks.moments(component);
            let whole = match kind {
                Kind::Gauge => with_gaps(moments, track),
                Kind::Rate(factor) => with_gaps(moments, &rate(track, factor)),
            };
            all.push(Series { name: name.into(), component, unit: unit.into(), points: thin(&whole) });
        }
    }
    all
}

/// Rise per second between neighbours, at the later moment; a fall is a counter that began anew and has no rate.
fn rate(track: &[(f64, f64)], factor: f64) -> Track {
    track
        .windows(2)
        .filter(|pair| pair[1].1 >= pair[0].1 && pair[1].0 > pair[0].0)
        .map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) * 1e3 * factor))
        .collect()
}

/// Puts a gap wherever the component was sampled without this number, and where sampling itself paused.
fn with_gaps(moments: &[f64], track: &[(f64, f64)]) -> Vec<(f64, Option<f64>)> {
    let mut beats: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    beats.sort_by(f64::total_cmp);
    let pause = beats.get(beats.len() / 2).map_or(f64::INFINITY, |beat| beat * 4.0);
    let (Some((first, _)), Some((last, _))) = (track.first(), track.last()) else { return Vec::new() };
    let mut points: Vec<(f64, Option<f64>)> = Vec::with_capacity(track.len());
    let mut values = track.iter().peekable();
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

/// Keeps the lowest and the highest point of each stretch, and a gap where it has one, so that no spike, no fall to 0
/// and no gap is thinned away.
fn thin(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 3);
    let mut kept = Vec::with_capacity(MOST_POINTS);
    for part in points.chunks(stretch) {
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
    use wsceiling_model::record::{Component, Sample};

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
        let tracks = Tracks::new(&[
            sample(0.0, vec![(Metric::MemoryCurrent, 5.0), (Metric::CpuUsage, 0.0)]),
            sample(250.0, vec![(Metric::CpuUsage, 125_000.0)]),
            sample(500.0, vec![(Metric::MemoryCurrent, 7.0), (Metric::CpuUsage, 1000.0)]),
            sample(750.0, vec![(Metric::CpuUsage, 126_000.0)]),
        ]);
        let lines = series(&tracks);
        let line = |name: &str| lines.iter().find(|line| line.name == name).unwrap().points.clone();
        assert_eq!(line("memory"), vec![(0.0, Some(5.0)), (250.0, None), (500.0, Some(7.0))]);
        // The counter began anew at 500: no rate there, half a core before and after.
        assert_eq!(line("cpu"), vec![(250.0, Some(0.5)), (500.0, None), (750.0, Some(0.5))]);
        assert!(lines.iter().all(|line| line.name != "descriptors"));
    }
}

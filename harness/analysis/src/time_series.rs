//! The samples of a trial as one series for each number of each component.

use wsceiling_model::record::{Component, Metric, Sample};

/// Moments in milliseconds with a value each, in order of time.
pub(crate) type Points = Vec<(f64, f64)>;

/// All series of a trial.
#[derive(Debug, Default)]
pub(crate) struct TimeSeries {
    /// Component, moments it was sampled at, the points of each of [`Metric::ALL`].
    components: Vec<(Component, Vec<f64>, Vec<Points>)>,
}

impl TimeSeries {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        let mut series = Self::default();
        for sample in samples {
            let at = series.components.iter().position(|(component, ..)| *component == sample.component);
            let at = at.unwrap_or_else(|| {
                series.components.push((sample.component, Vec::new(), vec![Points::new(); Metric::ALL.len()]));
                series.components.len() - 1
            });
            let (_, moments, numbers) = &mut series.components[at];
            moments.push(sample.t_ms);
            for &(metric, value) in &sample.values {
                numbers[metric as usize].push((sample.t_ms, value));
            }
        }
        series.components.sort_by_key(|(component, ..)| *component);
        series
    }

    /// Components that were sampled: host, generator, instances.
    pub(crate) fn components(&self) -> impl Iterator<Item = Component> {
        self.components.iter().map(|(component, ..)| *component)
    }

    /// Instances that were sampled.
    pub(crate) fn instances(&self) -> impl Iterator<Item = Component> {
        self.components().filter(|component| matches!(component, Component::Instance(_)))
    }

    /// Moments at which a component was sampled.
    pub(crate) fn moments(&self, component: Component) -> &[f64] {
        self.find(component).map_or(&[], |(_, moments, _)| moments)
    }

    /// A whole series; empty where the number was never read.
    pub(crate) fn get(&self, component: Component, metric: Metric) -> &[(f64, f64)] {
        self.find(component).map_or(&[], |(.., numbers)| &numbers[metric as usize])
    }

    /// The part of a series within two moments, both included.
    pub(crate) fn between(&self, component: Component, metric: Metric, from: f64, to: f64) -> &[(f64, f64)] {
        let points = self.get(component, metric);
        let first = points.partition_point(|(t, _)| *t < from);
        let last = points.partition_point(|(t, _)| *t <= to);
        &points[first..last.max(first)]
    }

    /// The value at a moment, between its two neighbours on a straight line; `None` outside of the series.
    pub(crate) fn at(&self, component: Component, metric: Metric, t: f64) -> Option<f64> {
        let points = self.get(component, metric);
        let after = points.partition_point(|(moment, _)| *moment < t);
        let (t1, v1) = *points.get(after)?;
        if t1 <= t {
            return Some(v1);
        }
        let (t0, v0) = *points.get(after.checked_sub(1)?)?;
        Some(v0 + (v1 - v0) * (t - t0) / (t1 - t0))
    }

    /// The last value at or before a moment, else the first one after it.
    pub(crate) fn near(&self, component: Component, metric: Metric, t: f64) -> Option<(f64, f64)> {
        let points = self.get(component, metric);
        let after = points.partition_point(|(moment, _)| *moment <= t);
        points.get(after.saturating_sub(1)).copied()
    }

    fn find(&self, component: Component) -> Option<&(Component, Vec<f64>, Vec<Points>)> {
        self.components.iter().find(|(known, ..)| *known == component)
    }
}

//! The numbers of one component at one tick, and where each was read.

use std::collections::BTreeMap;

use wsceiling_model::record::Metric;

/// A row under construction; its memory is used again for the next one.
pub(super) struct Row {
    values: Vec<(Metric, f64)>,
    sources: [Option<&'static str>; Metric::ALL.len()],
    /// Sources that were replaced by another one, as happens with a relaunch under other circumstances.
    earlier: BTreeMap<Metric, Vec<&'static str>>,
}

impl Row {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), sources: [None; Metric::ALL.len()], earlier: BTreeMap::new() }
    }

    /// Adds a number; the last one counts where there are several.
    pub(super) fn set(&mut self, metric: Metric, value: f64, source: &'static str) {
        self.values.push((metric, value));
        let place = &mut self.sources[metric as usize];
        if *place != Some(source)
            && let Some(before) = place.replace(source)
        {
            let earlier = self.earlier.entry(metric).or_default();
            if !earlier.contains(&before) {
                earlier.push(before);
            }
        }
    }

    /// Adds the numbers of another row to those that are here. What only one of them has is left out: half a sum would
    /// look like a whole one.
    pub(super) fn add(&mut self, other: &mut Self) {
        let (own, others) = (self.take(), other.take());
        let sum = |(metric, value): (Metric, f64)| {
            let other = others.iter().find(|(known, _)| *known == metric)?.1;
            Some((metric, value + other))
        };
        self.values = own.into_iter().filter_map(sum).collect();
    }

    /// Takes over the numbers of another row, with their sources.
    pub(super) fn append(&mut self, other: &mut Self) {
        for (metric, value) in other.take() {
            if let Some(source) = other.sources[metric as usize] {
                self.set(metric, value, source);
            }
        }
    }

    /// [`Self::set`] for a whole number that may be missing.
    pub(super) fn count(&mut self, metric: Metric, value: Option<u64>, source: &'static str) {
        if let Some(value) = value {
            self.set(metric, value as f64, source);
        }
    }

    /// The numbers in the order of [`Metric::ALL`], each metric once.
    pub(super) fn take(&mut self) -> Vec<(Metric, f64)> {
        let mut values = self.values.clone();
        self.values.clear();
        values.sort_by_key(|(metric, _)| *metric);
        // The sort is stable, so of equals the one added last stands last.
        values.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        values
    }

    /// Name of each metric -> where it was read.
    pub(super) fn sources(&self) -> BTreeMap<String, String> {
        let named = Metric::ALL.iter().filter_map(|metric| {
            let last = self.sources[*metric as usize]?;
            let before = self.earlier.get(metric).into_iter().flatten().filter(|source| **source != last);
            let all: Vec<&str> = before.copied().chain([last]).collect();
            Some((metric.name().to_owned(), all.join(", later ")))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_the_order_of_the_columns_and_the_last_one_counts() {
        let mut row = Row::new();
        row.set(Metric::Open, 1.0, "generator");
        row.count(Metric::CpuUsage, Some(5), "a");
        row.count(Metric::Pids, None, "a");
        row.set(Metric::Open, 2.0, "generator");
        assert_eq!(row.take(), [(Metric::CpuUsage, 5.0), (Metric::Open, 2.0)]);
        assert_eq!(row.take(), []);
    }

    #[test]
    fn rows_of_several_cgroups_add_up_where_all_have_a_number() {
        let row = |cpu: f64, memory: Option<u64>| {
            let mut row = Row::new();
            row.set(Metric::CpuUsage, cpu, "a");
            row.count(Metric::MemoryCurrent, memory, "b");
            row
        };
        let mut sum = row(1.0, Some(5));
        sum.add(&mut row(2.0, Some(6)));
        let mut whole = Row::new();
        whole.append(&mut sum);
        assert_eq!(whole.take(), [(Metric::CpuUsage, 3.0), (Metric::MemoryCurrent, 11.0)]);
        assert_eq!(whole.sources()["cpu_usage_us_total"], "a");
        let mut sum = row(1.0, Some(5));
        sum.add(&mut row(2.0, None));
        assert_eq!(sum.take(), [(Metric::CpuUsage, 3.0)]);
    }

    #[test]
    fn every_source_of_a_number_is_named() {
        let mut row = Row::new();
        row.set(Metric::CpuUsage, 1.0, "cgroup1 cpuacct.usage");
        row.set(Metric::CpuUsage, 1.0, "/proc/PID/stat");
        row.set(Metric::CpuUsage, 1.0, "/proc/PID/stat");
        let sources = row.sources();
        assert_eq!(sources["cpu_usage_us_total"], "cgroup1 cpuacct.usage, later /proc/PID/stat");
        assert_eq!(sources.len(), 1);
    }

    #[test]
    fn the_order_of_all_metrics_is_their_number() {
        assert!(Metric::ALL.iter().enumerate().all(|(index, metric)| *metric as usize == index));
    }
}

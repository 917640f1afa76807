//! From the workers' histograms of ages to those of the record.

use anyhow::Result;

use super::histogram;
use super::ipc::{Histogram, Lost, Window};
use wsceiling_model::record::{AgeCounts, Ages, FailureReason, LostAges};

/// What was lost in all windows, by reason, the most frequent first.
///
/// # Errors
/// When a worker's histogram cannot be decoded.
pub fn lost<'a>(windows: impl Iterator<Item = &'a Window>) -> Result<Vec<LostAges>> {
    let mut by_reason = std::collections::BTreeMap::<&FailureReason, Vec<&Lost>>::new();
    for lost in windows.flat_map(|window| &window.losses) {
        by_reason.entry(&lost.reason).or_default().push(lost);
    }
    let of = |(reason, all): (&FailureReason, Vec<&Lost>)| -> Result<LostAges> {
        let (count, age) = merged(all.iter().map(|lost| &lost.age))?;
        let (_, quiet) = merged(all.iter().map(|lost| &lost.quiet))?;
        Ok(LostAges { reason: reason.clone(), count, silent: all.iter().map(|lost| lost.silent).sum(), age, quiet })
    };
    let mut all = by_reason.into_iter().map(of).collect::<Result<Vec<_>>>()?;
    all.sort_by_key(|lost| std::cmp::Reverse(lost.count));
    Ok(all)
}

fn merged<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Result<(u64, Ages)> {
    let merged = histogram::merge(parts)?;
    let mut counts = AgeCounts::default();
    for value in merged.iter_recorded() {
        let age_ms = u32::try_from(value.value_iterated_to()).unwrap_or(u32::MAX);
        counts.add_all(age_ms, value.count_at_value());
    }
    let at = |quantile| merged.value_at_quantile(quantile);
    let ages = Ages {
        min_ms: merged.min(),
        p10_ms: at(0.1),
        median_ms: at(0.5),
        p90_ms: at(0.9),
        max_ms: merged.max(),
        counts,
    };
    Ok((merged.len(), ages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(reason: FailureReason, silent: u64, ages_ms: &[u64]) -> Window {
        let mut age = histogram::new();
        for ms in ages_ms {
            age.record(*ms).unwrap();
        }
        let lost = Lost { reason, silent, age: Histogram::from(&age), quiet: Histogram::from(&age) };
        Window { losses: vec![lost], ..Window::default() }
    }

    #[test]
    fn ages_of_all_workers_are_one_distribution_for_each_reason() {
        let windows = [
            lost(FailureReason::Eof, 1, &[10]),
            lost(FailureReason::close(1001), 1, &[60_000; 9]),
            lost(FailureReason::close(1001), 2, &[61_000]),
        ];
        let all = super::lost(windows.iter()).unwrap();
        assert_eq!(all.iter().map(|lost| (lost.count, lost.silent)).collect::<Vec<_>>(), [(10, 3), (1, 1)]);
        let age = &all[0].age;
        let near = |ms: u64, wanted: u64| ms.abs_diff(wanted) <= wanted / 1000;
        assert!(near(age.min_ms, 60_000) && near(age.median_ms, 60_000) && near(age.max_ms, 61_000), "{age:?}");
        assert_eq!(age.counts.count(), 10);
        assert_eq!(all[1].age.counts.each().collect::<Vec<_>>(), [(10, 1)]);
        assert_eq!(super::lost([Window::default()].iter()).unwrap(), []);
    }
}

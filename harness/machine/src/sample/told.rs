//! Rows that others have read: of servers that run elsewhere. Each has a moment of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use wsceiling_model::record::{Component, Metric, Sample};

use super::sampler::ToldRow;

/// Rows of others, and where their numbers were read.
#[derive(Default)]
pub(super) struct Told {
    samples: Vec<Sample>,
    sources: BTreeMap<(Component, Metric), Vec<Arc<str>>>,
}

impl Told {
    pub(super) fn add(&mut self, ToldRow { sample, sources }: ToldRow) {
        for (metric, source) in sources {
            let known = self.sources.entry((sample.component, metric)).or_default();
            if !known.contains(&source) {
                known.push(source);
            }
        }
        self.samples.push(sample);
    }

    /// All rows in the order of their moments, with the sampler's own; a component has one row at a moment.
    pub(super) fn finish(
        mut self,
        own: Vec<Sample>,
        sources: &mut BTreeMap<Component, BTreeMap<String, String>>,
    ) -> Vec<Sample> {
        for ((component, metric), places) in self.sources {
            let named = sources.entry(component).or_default().entry(metric.name().to_owned());
            let told = places.join(", later ");
            named.and_modify(|before| *before = format!("{before}, later {told}")).or_insert(told);
        }
        if self.samples.is_empty() {
            return own;
        }
        let mut all = own;
        all.append(&mut self.samples);
        all.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms).then(a.component.cmp(&b.component)));
        all.dedup_by(|later, kept| {
            let same = later.t_ms.total_cmp(&kept.t_ms).is_eq() && later.component == kept.component;
            if same {
                kept.values.append(&mut later.values);
                kept.values.sort_by_key(|(metric, _)| *metric);
                kept.values.dedup_by_key(|(metric, _)| *metric);
            }
            same
        });
        all
    }
}

//! The loop of the sampler: at each tick it reads every component once and keeps its row.

use std::collections::BTreeMap;
use std::time::Instant;

use super::component::Reader;
use super::context::Context;
use super::host::Host;
use super::network::Namespaces;
use super::row::Row;
use super::sampler::ToldRow;
use super::told::Told;
use super::watch::{Sampled, Watch};
use crate::environment::kernel::Kernel;
use wsceiling_model::record::{Component, Metric, Sample};

type Values = Vec<(Metric, f64)>;

/// Everything the sampler's thread holds.
pub(super) struct SampleLoop {
    context: Context,
    /// The name of this machine.
    machine: Component,
    epoch: Instant,
    host: Host,
    readers: Vec<Reader>,
    namespaces: Namespaces,
    /// Row of each component that was ever sampled, with its sources.
    rows: BTreeMap<Component, Row>,
    samples: Vec<Sample>,
    told: Told,
}

impl SampleLoop {
    pub(super) fn new(kernel: Kernel, machine: Component, epoch: Instant) -> Self {
        let context = Context::new(kernel);
        let namespaces = Namespaces::new(&context);
        let (rows, readers, samples) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { context, machine, epoch, host: Host::new(), readers, namespaces, rows, samples, told: Told::default() }
    }

    pub(super) fn replace(&mut self, watches: Vec<Watch>) {
        let mut before = std::mem::take(&mut self.readers);
        for watch in watches {
            let same = before.iter().position(|reader| *reader.watch() == watch);
            let reader = same.map(|index| before.swap_remove(index));
            let reader = reader.unwrap_or_else(|| Reader::new(&mut self.context, watch));
            self.readers.push(reader);
        }
    }

    /// Reads everything once; gives the new rows.
    pub(super) fn tick(&mut self, mut pushed: BTreeMap<Component, Values>) -> Vec<(Component, Values)> {
        self.context.now = Instant::now();
        self.namespaces.begin();
        let first = self.samples.len();
        self.sample_host(pushed.remove(&self.machine));
        let mut readers = std::mem::take(&mut self.readers);
        for reader in &mut readers {
            let row = self.rows.entry(reader.component()).or_insert_with(Row::new);
            reader.sample(&mut self.context, &mut self.namespaces, row);
            self.keep(reader.component(), pushed.remove(&reader.component()));
        }
        self.readers = readers;
        for (component, values) in pushed {
            self.keep(component, Some(values));
        }
        self.samples[first..].iter().map(|sample| (sample.component, sample.values.clone())).collect()
    }

    /// Keeps rows that others have read.
    pub(super) fn take(&mut self, rows: Vec<ToldRow>) {
        for row in rows {
            self.told.add(row);
        }
    }

    pub(super) fn finish(self) -> Sampled {
        let mut sources = self.rows.iter().map(|(component, row)| (*component, row.sources())).collect();
        let samples = self.told.finish(self.samples, &mut sources);
        Sampled { samples, sources, own_cpu: None }
    }

    /// The machine, and the network namespace that its forwarding and connection tracking for containers happen in.
    fn sample_host(&mut self, pushed: Option<Values>) {
        let row = self.rows.entry(self.machine).or_insert_with(Row::new);
        self.host.sample(&mut self.context, row);
        let ours = self.namespaces.ours().unwrap_or("ours").to_owned();
        self.namespaces.sample(&mut self.context, &ours, "self", None, row);
        self.keep(self.machine, pushed);
    }

    fn keep(&mut self, component: Component, pushed: Option<Values>) {
        let row = self.rows.entry(component).or_insert_with(Row::new);
        for (metric, value) in pushed.unwrap_or_default() {
            row.set(metric, value, "generator");
        }
        let t_ms = self.context.now.saturating_duration_since(self.epoch).as_secs_f64() * 1000.0;
        self.samples.push(Sample { t_ms, component, values: row.take() });
    }
}

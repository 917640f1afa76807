//! Reading: the TOML document becomes the wire form of a matrix, and every fault on the way is collected.
//!
//! The document is walked by hand and not through serde's traits: those stop at the first fault, and a user who fixes
//! ten faults wants to see ten. Every key is read with its own bounds; what is read here is already of the domain's
//! types, only names that point elsewhere in the file are still checked in [`super::validate`].

mod axes;
mod front;
mod gates;
mod load;
mod message;
mod metrics;
mod problem;
mod remote;
mod sink;
mod size;
mod stage;
mod table;
mod target;
mod value;

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::diagnostics::Diagnostic;
use super::{Load, MetricSource, RunSettings};
use crate::platforms::Catalogue;
pub(super) use axes::{Axes, Axis, Exclude, Include, NO_FRONT};
pub(super) use front::Described as DescribedFront;
pub use gates::Gates;
pub(super) use remote::RemotePlaces;
pub(super) use sink::{Sink, Span};
pub(super) use size::DescribedSize;
use table::Table;
pub(super) use target::DescribedTarget;

/// The wire form: tables as they stand in the file, every value with its place where a later check needs it.
pub(super) struct Wire {
    pub run: RunSettings,
    pub load: Load,
    /// Where keys of `[run]` and `[load]` stand, by `run.repeats`-like path; absent keys are absent.
    pub spans: BTreeMap<String, Span>,
    pub targets: BTreeMap<String, DescribedTarget>,
    pub sizes: BTreeMap<String, DescribedSize>,
    pub fronts: BTreeMap<String, DescribedFront>,
    pub axes: Option<Axes>,
    pub exclude: Vec<Exclude>,
    pub include: Vec<Include>,
    /// `[axes]` is there, well formed or not.
    pub axes_given: bool,
    /// Axes, excludes and includes were read without a fault, so that what is absent from them is really absent.
    pub rules_complete: bool,
}

/// Reads the whole document; the plans of sizes are looked up in the catalogue.
pub(super) fn document(document: &DeTable<'_>, catalogue: &Catalogue, sink: &Sink) -> Wire {
    let mut root = Table::root(document, sink);
    let mut spans = BTreeMap::new();
    let run = load::run(root.table("run"), &mut spans);
    let load = load::load(root.table("load"), &mut spans);
    let mut targets = BTreeMap::new();
    for (name, span, table) in root.named_tables("targets") {
        check_name("target", &name, &span, sink);
        let target = target::target(&name, &span, table);
        targets.insert(name, target);
    }
    let mut sizes = BTreeMap::new();
    for (name, span, table) in root.named_tables("sizes") {
        check_name("size", &name, &span, sink);
        let size = size::size(&name, &span, table, catalogue);
        sizes.insert(name, size);
    }
    let mut fronts = BTreeMap::new();
    for (name, span, table) in root.named_tables("fronts") {
        check_name("front", &name, &span, sink);
        if name == NO_FRONT {
            let fault = Diagnostic::new("`none` cannot be the name of a front").at(span.clone());
            sink.fault(fault.label("it stands for no front").hint("give it another name"));
        }
        let front = front::front(&name, &span, table);
        fronts.insert(name, front);
    }
    let before = sink.faults();
    let axes_given = root.has("axes");
    let axes = root.table("axes").map(axes::axes);
    let exclude = root.tables("exclude").into_iter().map(axes::exclude).collect();
    let include = root.tables("include").into_iter().map(axes::include).collect();
    let rules_complete = sink.faults() == before;
    root.finish();
    Wire { run, load, spans, targets, sizes, fronts, axes, exclude, include, axes_given, rules_complete }
}

/// Reads a document that has nothing but sources of metrics, `[[metrics]]`.
pub(super) fn metric_sources(document: &DeTable<'_>, sink: &Sink) -> Vec<MetricSource> {
    let mut root = Table::root(document, sink);
    let sources: Vec<MetricSource> = root.tables("metrics").into_iter().map(metrics::metrics).collect();
    if sources.is_empty() && !root.has("metrics") {
        let fault = Diagnostic::new("no `[[metrics]]`: nothing says what to read").absence();
        sink.fault(fault.hint("add a table `[[metrics]]` with `part = \"host\"` and `prometheus = \"http://...\"`"));
    }
    root.finish();
    sources
}

/// A name becomes part of ids, file names and container names.
fn check_name(what: &str, name: &str, span: &Span, sink: &Sink) {
    if let Some(why) = super::names::unsafe_name(name) {
        let fault = Diagnostic::new(format!("`{name}` cannot be the name of a {what}")).at(span.clone()).label(why);
        sink.fault(fault.hint(value::name_hint(name)));
    }
}

//! `[run]` and `[load]`: numbers with their defaults and bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sink::{Sink, Span};
use super::table::{Table, set};
use super::value::{
    HOUR, MOST_CONNECTIONS, MOST_STEPS, MS, SECOND, boolean, bytes, duration, integer, integer32, name, number, one_of,
    rate, registry,
};
use super::{gates, message, stage};
use crate::format;
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::{Broadcast, GeneratorLimits, Load, LongConnections, Message, RunSettings, Size};

fn remember(table: &Table<'_, '_>, keys: &[&str], spans: &mut BTreeMap<String, Span>) {
    spans.extend(keys.iter().filter_map(|key| table.key_span(key).map(|span| (table.path(key), span))));
}

pub(super) fn run(table: Option<Table<'_, '_>>, spans: &mut BTreeMap<String, Span>) -> RunSettings {
    let mut run = RunSettings::default();
    let Some(mut table) = table else { return run };
    remember(&table, &["repeats", "sample_every", "trial_within"], spans);
    set(&mut run.name, table.get("name", name));
    set(&mut run.seed, table.get("seed", integer(0, i64::MAX as u64)));
    set(&mut run.order, table.get("order", one_of));
    set(&mut run.repeats, table.get("repeats", integer32(1, 1000)));
    set(&mut run.sample_every, table.get("sample_every", duration(20 * MS, 10 * SECOND)));
    set(&mut run.ready_within, table.get("ready_within", duration(100 * MS, HOUR)));
    set(&mut run.trial_within, table.get("trial_within", duration(SECOND, 24 * HOUR)));
    set(&mut run.confirm, table.get("confirm", boolean));
    set(&mut run.confirm_max, table.get("confirm_max", integer32(1, 20)));
    table.finish();
    run
}

pub(super) fn load(table: Option<Table<'_, '_>>, spans: &mut BTreeMap<String, Span>) -> Load {
    let mut load = Load::default();
    let Some(mut table) = table else { return load };
    remember(&table, &["broadcast", "churn", "gates", "registry", "workers_in"], spans);
    let step = table.get_at("step", integer32(1, MOST_CONNECTIONS));
    let max = table.get_at("max", integer32(1, MOST_CONNECTIONS));
    set(&mut load.step, step.as_ref().map(|step| *step.get_ref()));
    set(&mut load.max, max.as_ref().map(|max| *max.get_ref()));
    set(&mut load.rate, table.get("rate", rate(0.1, 1e6)));
    set(&mut load.hold, table.get("hold", duration(100 * MS, HOUR)));
    set(&mut load.resolution, table.get("resolution", number(0.001, 1.0)));
    set(&mut load.narrow, table.get("narrow", integer32(0, 20)));
    set(&mut load.connect_timeout, table.get("connect_timeout", duration(10 * MS, Duration::from_secs(300))));
    set(&mut load.handshake_timeout, table.get("handshake_timeout", duration(10 * MS, Duration::from_secs(300))));
    load.workers = table.get("workers", integer32(1, 1024));
    load.workers_in = table.get("workers_in", one_of);
    load.registry = table.get("registry", registry);
    if let Some(below) = table.table("message") {
        message::message(below, &mut load.message);
    }
    if let Some(below) = table.table("gates") {
        gates::read(below, &mut load.gates);
    }
    if let Some(below) = table.table("broadcast") {
        broadcast(below, &mut load.broadcast);
    }
    if let Some(mut below) = table.table("churn") {
        set(&mut load.churn.lifetime, below.get("lifetime", duration(10 * MS, HOUR)));
        below.finish();
    }
    if let Some(mut below) = table.table("generator") {
        load.generator = GeneratorLimits {
            cpus: below.get("cpus", number(*Size::CPUS.start(), *Size::CPUS.end())),
            // Below 128 a worker has hardly any beside its own.
            descriptors: below.get("descriptors", integer(128, 1 << 30)),
            ports: below.get("ports", integer32(1, 64_512)),
        };
        below.finish();
    }
    if let Some(below) = table.table("long") {
        load.long = Some(long(below));
    }
    stage::stages(&mut table, &mut load);
    match (step, max) {
        _ if !load.stages.is_empty() => {}
        (Some(_), Some(max)) => staircase(&load, max.span(), table.sink()),
        // Without the other one there are ten steps.
        (Some(step), None) => load.max = step.into_inner().saturating_mul(10).min(MOST_CONNECTIONS),
        (None, Some(max)) => load.step = max.into_inner().div_ceil(10),
        (None, None) => {}
    }
    table.finish();
    load
}

/// Steps and their end have to fit each other.
fn staircase(load: &Load, spot: Span, sink: &Sink) {
    let (step, max) = (load.step, load.max);
    if max < step {
        let fault = Diagnostic::new(format!("`load.max` is {max}, less than one step of {step}")).at(spot);
        sink.fault(fault.label("no step fits").hint(format!("lower `step` or raise `max` to {step} or more")));
    } else if max.div_ceil(step) > MOST_STEPS {
        let steps = format::count(max.div_ceil(step) as u64);
        let fault = Diagnostic::new(format!("{steps} steps of {step} lead to {max}, at most {MOST_STEPS} are driven"));
        let least = max.div_ceil(MOST_STEPS);
        sink.fault(fault.at(spot).label("too many steps").hint(format!("raise `step` to {least} or more")));
    }
}

fn long(mut table: Table<'_, '_>) -> LongConnections {
    let mut long = LongConnections::default();
    // More would be load.
    set(&mut long.connections, table.get("connections", integer32(0, 1000)));
    set(&mut long.silent, table.get("silent", number(0.0, 1.0)));
    set(&mut long.stay, table.get("stay", duration(Duration::ZERO, 24 * HOUR)));
    table.finish();
    long
}

fn broadcast(mut table: Table<'_, '_>, broadcast: &mut Broadcast) {
    set(&mut broadcast.room, table.get("room", integer32(2, 1_000_000)));
    set(&mut broadcast.every, table.get("every", duration(MS, HOUR)));
    set(&mut broadcast.bytes, table.get("bytes", bytes(1, Message::BYTES_MAX)).map(|bytes| bytes as u32));
    table.finish();
}

//! Rules of the steps of a trial.

use base64::Engine as _;
use hdrhistogram::serialization::Deserializer;

use super::trial::Line;
use wsceiling_model::matrix::{Cell, FrontKind, Gates};
use wsceiling_model::record::{Gate, HopKind, Latency, RunHeader, StepRecord, TrialRecord};

pub(super) fn check(header: &RunHeader, cell: &Cell, record: &TrialRecord, line: &mut Line<'_>) {
    let mut before = 0.0;
    // Connections that were being replaced when the step before ended (churn): issued there, opened in this one.
    let mut under_way = 0;
    for (number, step) in (1..).zip(&record.steps) {
        let mut fault = |what: String| line.contradiction(format!("step {number}: {what}"));
        if !(before <= step.started_ms && step.started_ms <= step.opened_ms && step.opened_ms <= step.ended_ms) {
            fault(format!(
                "its moments are out of order: previous end {before}, start {}, opened {}, end {} ms",
                step.started_ms, step.opened_ms, step.ended_ms
            ));
        }
        before = step.ended_ms;
        if step.ended_ms > record.duration_ms {
            fault(format!("it ends at {} ms, the trial at {} ms", step.ended_ms, record.duration_ms));
        }
        if let Some(from_ms) = step.probe_from_ms.filter(|from_ms| !(step.opened_ms..=step.ended_ms).contains(from_ms))
        {
            let (opened, end) = (step.opened_ms, step.ended_ms);
            fault(format!("its probe begins at {from_ms} ms, not between opened {opened} and end {end} ms"));
        }
        counts(step, under_way, &mut fault);
        under_way = step.replacing;
        // The generator sees the front's address instead of the instances'; each instance published on its own has one.
        let published = record.fronts.iter().any(|front| front.kind == HopKind::Proxy(FrontKind::DockerPublish));
        let addresses = match &record.generator {
            Some(generator) if !generator.destinations.is_empty() => generator.destinations.len(),
            _ if cell.front.is_some() && !published => 1,
            _ => cell.instances as usize,
        };
        if step.spread.len() != addresses {
            fault(format!("the spread has {} entries for {addresses} addresses", step.spread.len()));
        }
        if !matches!(step.upstream_spread.len(), 0) && step.upstream_spread.len() != cell.instances as usize {
            let found = step.upstream_spread.len();
            fault(format!("the upstream spread has {found} entries for {} instances", cell.instances));
        }
        gates(step, &header.load.gates, &mut fault);
        let launched = record.instances.iter().any(|instance| instance.launch == step.launch);
        if !launched {
            fault(format!("it ran against launch {}, which is not there", step.launch));
        }
        for (name, latency) in
            [("connect", &step.connect), ("handshake", &step.handshake), ("reply", &step.reply), ("probe", &step.probe)]
        {
            if let Err(what) = check_latency(latency) {
                fault(format!("{name} latency: {what}"));
            }
        }
    }
}

fn counts(step: &StepRecord, under_way: u64, fault: &mut impl FnMut(String)) {
    let chains = [
        ("issued", step.issued, "due", step.due),
        ("held", step.held, "open", step.open),
        ("messages sent", step.messages_sent, "messages due", step.messages_due),
        ("probes answered", step.probes_answered, "probes", step.probes),
        ("probes answered", step.probes_answered, "reply times of probes", step.probe.count),
    ];
    if step.opened > step.issued.saturating_add(under_way) {
        fault(format!("{} opened is above {} issued", step.opened, step.issued));
    }
    for (less, a, more, b) in chains {
        if a > b {
            fault(format!("{a} {less} is above {b} {more}"));
        }
    }
    if step.probe_from_ms.is_none() && (step.probes > 0 || step.probe.count > 0) {
        fault(format!("there are {} probes and no moment at which they began", step.probes));
    }
    // Every message of the load is answered, or has waited until the end.
    if step.probe_from_ms.is_some() {
        let (replies, answered, due) = (step.reply.count, step.messages_answered, step.messages_due);
        if !(answered..=due).contains(&replies) {
            fault(format!("{replies} reply times are not between {answered} answered and {due} due messages"));
        }
    }
    let sum: u128 = step.spread.iter().copied().map(u128::from).sum();
    if sum != u128::from(step.open) {
        fault(format!("the spread sums to {sum}, open is {}", step.open));
    }
    for error in &step.errors {
        if error.count == 0 {
            fault(format!("a failure `{}` is there 0 times", error.reason));
        }
        if error.first_ms as f64 > step.ended_ms + 1.0 {
            fault(format!("its first `{}` at {} ms is after its end", error.reason, error.first_ms));
        }
    }
}

fn gates(step: &StepRecord, limits: &Gates, fault: &mut impl FnMut(String)) {
    for gate in &step.gates {
        let (limit, value) = (gate.name.limit(limits), gate.name.measure(step));
        if (gate.limit - limit).abs() > limit.abs() * 1e-9 {
            fault(format!("the limit of gate {} is {}, the matrix says {limit}", gate.name, gate.limit));
        }
        // A share of what was asked for cannot tell more than a thousandth: connections come and go while it is read.
        let near = |a: f64, b: f64| (a - b).abs() <= 0.001_f64.max(b.abs() * 0.001);
        if let (Some(found), Some(expected)) = (gate.value, value)
            && !near(found, expected)
        {
            fault(format!("gate {} has value {found}, its numbers give {expected}", gate.name));
        }
        if gate.passed != Gate::new(gate.name, gate.value, gate.limit).passed {
            fault(format!("gate {} says passed = {}, its value says otherwise", gate.name, gate.passed));
        }
    }
    if step.passed != step.gates.iter().all(|gate| gate.passed) || step.gates.is_empty() {
        fault("`passed` does not follow from its gates".into());
    }
}

fn check_latency(latency: &Latency) -> Result<(), String> {
    let percentiles = [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us];
    let present: Vec<u64> = percentiles.into_iter().flatten().collect();
    let wanted = if latency.count == 0 { 0 } else { percentiles.len() };
    if present.len() != wanted || latency.histogram.is_some() != (latency.count > 0) {
        return Err(format!("{} values do not fit the percentiles and histogram that are there", latency.count));
    }
    if !present.is_sorted() {
        return Err(format!("its percentiles fall: {present:?} us"));
    }
    let Some(text) = &latency.histogram else { return Ok(()) };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|error| format!("the histogram is not base64: {error}"))?;
    let histogram: hdrhistogram::Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("the histogram does not decode: {error}"))?;
    if histogram.len() != latency.count {
        return Err(format!("the histogram holds {} values, count is {}", histogram.len(), latency.count));
    }
    let p99 = histogram.value_at_quantile(0.99);
    if latency.p99_us.is_some_and(|told| told.abs_diff(p99) > (p99 / 100).saturating_add(1)) {
        return Err(format!("p99 is {:?} us, the histogram says {p99} us", latency.p99_us));
    }
    Ok(())
}

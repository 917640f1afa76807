//! The words for what a connection costs.

use wsceiling_analysis::{CellFindings, Check, CpuCost, Estimate, PlotSeries, Traffic};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::record::Component;

/// An estimate, or a dash.
pub fn estimate(estimate: Option<Estimate>, unit: Unit) -> String {
    estimate.map_or_else(|| format::UNKNOWN.to_owned(), |found| format::quantity(unit, found.value))
}

/// Its interval: `7.10 to 8.20 µcore`; empty where there is none.
pub fn interval(estimate: Option<Estimate>, unit: Unit) -> String {
    estimate
        .and_then(|found| {
            let (low, high) = found.interval?;
            (low.is_finite() && high.is_finite()).then(|| format::range(unit, (low, high), found.value))
        })
        .unwrap_or_default()
}

/// Both: `7.60 µcore (7.10 to 8.20 µcore)`.
pub fn with_interval(found: Option<Estimate>, unit: Unit) -> String {
    let (value, interval) = (estimate(found, unit), interval(found, unit));
    if interval.is_empty() { value } else { format!("{value} ({interval})") }
}

/// What one more connection takes of memory.
pub fn memory(cell: &CellFindings) -> Option<Estimate> {
    cell.memory.as_ref().map(|memory| memory.per_connection)
}

/// What one more connection takes of CPU under the load that the matrix configures.
pub fn cpu(cell: &CellFindings) -> Option<Estimate> {
    cell.cpu.as_ref()?.per_connection
}

/// Whether anything of the server was read while it was loaded.
pub fn is_sampled(cell: &CellFindings) -> bool {
    let instance = |series: &PlotSeries| matches!(series.component, Component::Instance(_));
    cell.trials.iter().any(|trial| trial.series.iter().any(instance))
}

/// Why a table has no CPU per connection.
pub fn no_cpu(cell: &CellFindings) -> &'static str {
    match (&cell.cpu, is_sampled(cell)) {
        (Some(_), _) => "not told apart",
        (None, true) => "too few steps",
        (None, false) => "not sampled",
    }
}

/// CPU microseconds of one opening, as those of a thousand.
pub fn of_thousand(opening: Option<Estimate>) -> Option<Estimate> {
    opening.map(|found| Estimate {
        value: found.value * 1e3,
        interval: found.interval.map(|(low, high)| (low * 1e3, high * 1e3)),
    })
}

/// `an idle connection 8.00 µcore, a message 60.0 µs, 1,000 openings 150 ms`; what is not known is left out.
pub fn by_cause(cpu: &CpuCost) -> String {
    let parts = [
        ("an idle connection", cpu.idle, Unit::Microcores),
        ("a message", cpu.message, Unit::Micros),
        ("1,000 openings", of_thousand(cpu.opening), Unit::Micros),
    ];
    let known = parts.into_iter().filter_map(|(name, found, unit)| {
        let found = found.filter(|found| found.value.is_finite())?;
        Some(format!("{name} {}", format::quantity(unit, found.value)))
    });
    let mut words: Vec<String> = known.collect();
    words.extend(cpu.together.filter(|_| cpu.idle.is_none()).map(|together| {
        let messages = format::number(together.messages_per_s);
        format!("a connection with {messages} messages per second {}", estimate(Some(together.cost), Unit::Microcores))
    }));
    words.join(", ")
}

/// `linear up to 2,500 connections; 3,000 take 1.60 times as much as that says`; nothing where it is linear as far as the
/// steps go.
pub fn knee(check: &Check) -> Option<String> {
    let knee = check.knee?;
    let count = |connections: u32| format::count(u64::from(connections));
    let (up_to, beyond) = (count(knee.linear_up_to), count(knee.beyond));
    Some(format!("linear up to {up_to} connections; {beyond} take {} times what that says", format::number(knee.ratio)))
}

/// What a connection does in a second: `0.200 messages per second`.
pub fn traffic(load: Traffic) -> String {
    let mut words = format!("{} messages per second", format::number(load.messages_per_s));
    if load.openings_per_s > 0.0 {
        words = format!("{words}, {} replacements per second", format::number(load.openings_per_s));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsceiling_analysis::{Knee, Together};

    fn found(value: f64) -> Estimate {
        Estimate { value, interval: Some((value * 0.9, value * 1.1)) }
    }

    fn cpu() -> CpuCost {
        CpuCost {
            idle: Some(found(8.0)),
            message: Some(found(60.0)),
            opening: Some(found(150.0)),
            baseline: None,
            per_connection: Some(found(20.0)),
            configured: Traffic { messages_per_s: 0.2, openings_per_s: 0.0 },
            together: None,
            untold: Vec::new(),
            check: Check::default(),
            windows: 9,
            points: Vec::new(),
            source: String::new(),
        }
    }

    #[test]
    fn an_estimate_without_interval_or_with_a_broken_one_shows_none() {
        let mut cost = Estimate { value: 1_024.0, interval: None };
        assert_eq!(with_interval(Some(cost), Unit::Bytes), "1.00 KiB");
        cost.interval = Some((f64::NAN, 1.0));
        assert_eq!(interval(Some(cost), Unit::Bytes), "");
        assert_eq!(estimate(None, Unit::Bytes), format::UNKNOWN);
        assert_eq!(with_interval(Some(found(60.0)), Unit::Micros), "60 µs (54.0 to 66.0 µs)");
    }

    #[test]
    fn cpu_by_cause_says_what_is_known() {
        assert_eq!(by_cause(&cpu()), "an idle connection 8.00 µcore, a message 60 µs, 1,000 openings 150 ms");
        let together = Some(Together { cost: Estimate { value: 20.0, interval: None }, messages_per_s: 0.2 });
        let sum = CpuCost { idle: None, message: None, together, ..cpu() };
        assert_eq!(by_cause(&sum), "1,000 openings 150 ms, a connection with 0.200 messages per second 20.0 µcore");
    }

    #[test]
    fn a_knee_says_where_the_cost_stops_being_linear() {
        assert_eq!(knee(&Check::default()), None);
        let check = Check { knee: Some(Knee { linear_up_to: 2_500, beyond: 3_000, ratio: 1.6 }), ..Check::default() };
        assert_eq!(knee(&check).unwrap(), "linear up to 2,500 connections; 3,000 take 1.60 times what that says");
    }
}

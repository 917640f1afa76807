//! The words for predictions: what they rest on, what stops a size, and what is to be known of a plan.

use super::text;
use wsceiling_analysis::InstancePrice;
use wsceiling_analysis::capacity::{
    Basis, Beyond, CapacityPlan, Coefficients, Known, Message, MessageRange, Origin, Plan, Prediction, Restart, Scale,
    ScaleOver, SetUpPlan, SizePlan, Validation,
};
use wsceiling_model::format::{self, Unit};
use wsceiling_model::matrix::units::{format_bytes, format_duration};
use wsceiling_model::record::Cause;

/// What no prediction of this kind can know, a sentence each: on the page and in the documentation.
pub const LIMITS_OF_METHOD: [&str; 5] = [
    "All numbers come from one machine. Another processor, kernel or provider has other costs: measure a size there before \
     you buy many.",
    "Client and servers shared the cores of that machine. On small machines the generator takes CPU that a server of your \
     own would have.",
    "There was no network card: the connections went over loopback or a bridge. Bandwidth, interrupts, a provider's balancer \
     and its limits are not in the numbers.",
    "Several instances ran beside each other on that machine. That they add up on machines of their own is arithmetic, not \
     measured.",
    "Memory counts as the limit of an instance. An operating system beside it takes its own part of a rented machine.",
];

/// `4,450`.
pub fn held(prediction: &Prediction) -> String {
    format::whole(rounded(prediction.held))
}

/// `measured: at least 8,000` where its cell met no ceiling; nothing where it met one, or there is none.
pub fn measured(prediction: &Prediction) -> Option<String> {
    let least = prediction.measured.as_ref().filter(|measured| measured.at_least)?;
    Some(format!("measured: at least {}", format::count(least.connections)))
}

/// `4,200 to 4,710`.
pub fn interval((low, high): (f64, f64)) -> String {
    format!("{} to {}", format::whole(rounded(low)), format::whole(rounded(high)))
}

/// Three significant digits: a prediction has no more.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() || value < 1.0 {
        return value;
    }
    let grain = 10f64.powi((value.log10().floor() as i32 - 2).max(0));
    (value / grain).round() * grain
}

/// `memory-limit (98 %), else cpu-quota`; of a measured cell with the confidence of its verdict.
pub fn cause(prediction: &Prediction) -> String {
    let sure = format::percent((prediction.probability * 100.0).round() / 100.0);
    let otherwise = prediction.otherwise.map(|(cause, _)| format!(", else {cause}")).unwrap_or_default();
    format!("{} ({sure}){otherwise}", prediction.cause)
}

/// `measured`, `interpolated`, `extrapolated: more instances than measured`.
pub fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Measured => "measured".to_owned(),
        Basis::Interpolated => "interpolated".to_owned(),
        Basis::Extrapolated(beyond) => {
            let words: Vec<&str> = beyond.iter().map(|one| beyond_words(*one)).collect();
            format!("extrapolated: {}", words.join(", "))
        }
    }
}

/// `measured`, `interpolated` or `extrapolated`, without the reasons.
pub fn basis_word(basis: &Basis) -> &'static str {
    match basis {
        Basis::Measured => "measured",
        Basis::Interpolated => "interpolated",
        Basis::Extrapolated(_) => "extrapolated",
    }
}

fn beyond_words(beyond: Beyond) -> &'static str {
    match beyond {
        Beyond::Memory => "memory beyond the sizes that met it",
        Beyond::Cpus => "CPU beyond the sizes that met it",
        Beyond::Cores => "cores beyond those seen in use are not counted",
        Beyond::Instances => "more instances than measured",
        Beyond::Connections => "more connections an instance than measured",
        Beyond::Messages => "messages more often or longer than measured",
        Beyond::NeverMet => "no cell met this limit",
    }
}

/// Where the limit is known from.
pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Met => "from cells that met it",
        Origin::Costs => "from costs alone",
        Origin::Counted => "counted",
        Origin::Seen => "a number that the size does not move",
        Origin::Documented => "documented by the platform",
    }
}

/// `12.3 s at 8,000/s`.
pub fn restart(restart: Option<Restart>) -> String {
    restart.map_or_else(
        || format::UNKNOWN.to_owned(),
        |restart| {
            let by = if restart.by_cpu { ", by CPU" } else { "" };
            format!("{} at {}{by}", format::micros(restart.seconds * 1e6), format::rate(rounded(restart.per_second)))
        },
    )
}

/// `10.98 EUR`; a dash without a price.
pub fn price(price: Option<&InstancePrice>, amount: Option<f64>) -> String {
    let currency = price.and_then(InstancePrice::currency).map(|currency| format!(" {}", text::one_line(currency)));
    amount.map_or_else(
        || format::UNKNOWN.to_owned(),
        |amount| format!("{}{}", format::price(amount), currency.unwrap_or_default()),
    )
}

/// `0.5 cpu, 128MiB`.
pub fn limits(size: &SizePlan) -> String {
    let mut parts = Vec::new();
    parts.extend(size.cpus.map(|cpus| format!("{} cpu{}", format::trimmed(cpus), if cpus > 1.0 { "s" } else { "" })));
    parts.extend(size.memory_bytes.map(format_bytes));
    if parts.is_empty() { "no limits".to_owned() } else { parts.join(", ") }
}

/// `3`, or `too many`.
pub fn instances(plan: Option<&Plan>) -> String {
    plan.map_or_else(|| "too many".to_owned(), |plan| format::count(u64::from(plan.prediction.instances)))
}

/// `a message every 30s, 200 B`.
pub fn message(message: Message) -> String {
    if message.per_second() > 0.0 {
        format!("a message every {}, {} B", format_duration(message.every), message.bytes)
    } else {
        "no messages".to_owned()
    }
}

/// What a connection takes, in words.
pub fn costs(of: &Coefficients) -> Vec<(&'static str, String)> {
    let known = |known: Option<Known>, unit: Unit| {
        let cost = known?;
        Some(format!("{} ± {}", format::quantity(unit, cost.value), format::quantity(unit, cost.error)))
    };
    let mut rows: Vec<(&'static str, Option<String>)> = vec![("memory of a connection", known(of.memory, Unit::Bytes))];
    let parts: Vec<String> = of
        .parts
        .iter()
        .filter(|(_, bytes)| *bytes > 0.0)
        .map(|(name, bytes)| format!("{} {}", text::one_line(name), format::bytes(*bytes)))
        .collect();
    rows.push(("of this", (!parts.is_empty()).then(|| parts.join(", "))));
    rows.push(("memory of an idle instance", known(of.memory_idle, Unit::Bytes)));
    rows.push(("CPU of a connection with its messages", known(of.cpu, Unit::Microcores)));
    rows.push(("CPU of an idle connection", known(of.idle, Unit::Microcores)));
    rows.push(("CPU of a message", known(of.message, Unit::Micros)));
    rows.push(("CPU of an opening", known(of.opening, Unit::Micros)));
    rows.push(("fastest opening seen, an instance", of.opened_per_s.map(format::rate)));
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What is to be known of a set-up's plan, a sentence each.
pub fn notes(of: &SetUpPlan) -> Vec<String> {
    let mut notes = Vec::new();
    let (_, most) = of.instances_measured;
    let over = |over: ScaleOver| of.scales.iter().filter(move |scale| scale.over == over);
    notes.extend(over(ScaleOver::Instances).map(|found| scale(found, "instances")));
    notes.extend(over(ScaleOver::Cpus).map(|found| scale(found, "CPUs")));
    if over(ScaleOver::Instances).next().is_none() {
        notes.push(format!(
            "Fewer than three numbers of instances were measured with the same cause, so no law of scaling is fitted: each \
             instance counts as one alone. Up to {} ran, and they shared the machine.",
            format::count(u64::from(most))
        ));
    }
    let range = match of.coefficients.messages {
        MessageRange::Within => None,
        MessageRange::MoreOften => Some("more often than"),
        MessageRange::Longer => Some("longer than"),
        MessageRange::MoreOftenAndLonger => Some("more often and longer than"),
    };
    notes.extend(range.map(|range| {
        format!(
            "The messages asked for ({}) are {range} those of the run ({}): their CPU is an extrapolation, and that of longer \
             messages is taken to be that of the shorter ones.",
            message(of.message),
            message(of.run_message)
        )
    }));
    let by_descriptors = |size: &SizePlan| size.one.as_ref().is_some_and(|one| one.cause == Cause::ServerDescriptors);
    if of.sizes.iter().any(by_descriptors) {
        notes.push(
            "Descriptors of an instance are those that the size says, else those of the machine that was measured. Give the \
             size with `nofile=` where yours has more: `--sizes 2cpu,4GiB,nofile=200000,price=6`, `--sizes \
             'hetzner/*,nofile=200000'`."
                .to_owned(),
        );
    }
    if of.grows {
        notes.push(
            "Memory grew while the connections stayed as many: no number of connections is safe for ever. See memory-growth."
                .to_owned(),
        );
    }
    notes
}

fn scale(found: &Scale, what: &str) -> String {
    format!(
        "{} numbers of {what} that met {} were fitted: {} of the work takes turns, each pair costs {} of one's work; measured \
         from {} to {}.",
        found.points,
        found.cause,
        format::percent((found.serial * 1e4).round() / 1e4),
        format::percent((found.contention * 1e4).round() / 1e4),
        format::trimmed(found.range.0),
        format::trimmed(found.range.1)
    )
}

/// The cheapest plans in words, a line each; what none holds is said.
pub fn cheapest(plan: &CapacityPlan, of: &SetUpPlan) -> Vec<String> {
    let lines = of.cheapest.iter().filter_map(|at| {
        let size = of.sizes.get(*at)?;
        let found = size.plan.as_ref()?;
        let count = format::counted(u64::from(found.prediction.instances), "instance", "instances");
        let verb = if found.prediction.instances == 1 { "holds" } else { "hold" };
        let cost = found.per_month.map(|amount| format!(", {} a month", price(size.price.as_ref(), Some(amount))));
        let sure = if found.sure { ", even at the low end of the interval" } else { "" };
        Some(format!(
            "{count} of {} ({}) {verb} {}{sure}{}",
            text::one_line(&size.size),
            limits(size),
            held(&found.prediction),
            cost.unwrap_or_default()
        ))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        vec![format!("No size holds {} with the instances that were tried.", format::count(plan.goal))]
    } else {
        lines
    }
}

/// `100,000 connections with 30 % in reserve`.
pub fn goal(plan: &CapacityPlan) -> String {
    format!("{} connections with {} in reserve", format::count(plan.goal), format::percent(plan.reserve))
}

/// The outcome of a validation in a sentence.
pub fn in_a_line(validation: &Validation) -> String {
    let total = validation.total;
    let share = |count: u32, of: u32| {
        let percent = if of == 0 { f64::NAN } else { f64::from(count) / f64::from(of) };
        format!("{count} of {of} ({})", format::percent((percent * 1000.0).round() / 1000.0))
    };
    format!(
        "Within 10 %: {}; within 20 %: {}; cause right: {}; in the 90 % interval: {}. {}.",
        share(total.within_10, total.cells),
        share(total.within_20, total.cells),
        share(total.causes_right, total.causes),
        share(total.covered, total.cells),
        if validation.passed { "The bar is reached" } else { "The bar is not reached" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_has_three_digits() {
        assert_eq!(interval((4_453.2, 99_961.0)), "4,450 to 100,000");
        assert_eq!(interval((7.4, 123.0)), "7 to 123");
        assert_eq!(rounded(f64::NAN).to_bits(), f64::NAN.to_bits());
    }

    #[test]
    fn what_it_rests_on_is_said_in_words() {
        assert_eq!(basis(&Basis::Interpolated), "interpolated");
        let both = Basis::Extrapolated(vec![Beyond::Memory, Beyond::NeverMet]);
        assert_eq!(basis(&both), "extrapolated: memory beyond the sizes that met it, no cell met this limit");
        let silent = Message { every: std::time::Duration::ZERO, bytes: 64 };
        assert_eq!(message(silent), "no messages");
        assert_eq!(price(None, None), "–");
    }
}

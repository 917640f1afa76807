//! Numbers and units as people read them: thousands separators, three significant digits, a unit beside each number, and a
//! dash where nothing is known. Plans, verdicts, pages and the `load` tool all write their numbers with this module.
//!
//! The notation of the matrix (`512MiB`, `1m30s`), which is read back, is in [`crate::matrix::units`].

use std::fmt::Write as _;
use std::time::Duration;

/// Stands where a number is not known; never a zero in its place.
pub const UNKNOWN: &str = "–";

/// What a number counts. Its text takes the largest unit that the number reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Connections, descriptors and other whole things; no unit is printed.
    Count,
    /// Bytes, in binary steps.
    Bytes,
    /// CPU cores.
    Cores,
    /// Millionths of a core: CPU microseconds per second.
    Microcores,
    /// Microseconds.
    Micros,
    /// Part of a whole, 1 is all of it; printed in percent.
    Share,
    /// Percent.
    Percent,
    /// Pages of memory.
    Pages,
    /// Anything else.
    Plain,
}

impl Unit {
    fn rungs(self) -> &'static [(f64, &'static str)] {
        const KIB: f64 = 1024.0;
        match self {
            Self::Count | Self::Plain => &[(1.0, "")],
            Self::Share => &[(0.01, "%")],
            Self::Percent => &[(1.0, "%")],
            Self::Pages => &[(1.0, "pages")],
            Self::Bytes => &[
                (1.0, "B"),
                (KIB, "KiB"),
                (KIB * KIB, "MiB"),
                (KIB * KIB * KIB, "GiB"),
                (KIB * KIB * KIB * KIB, "TiB"),
            ],
            Self::Cores => &[(1.0, "cores")],
            Self::Microcores => &[(1.0, "µcore"), (1e3, "mcore"), (1e6, "cores")],
            Self::Micros => &[(1.0, "µs"), (1e3, "ms"), (1e6, "s")],
        }
    }

    /// Factor and name in which `value` is best read.
    pub fn rung(self, value: f64) -> (f64, &'static str) {
        let rungs = self.rungs();
        rungs.iter().rev().find(|(factor, _)| value.abs() >= *factor).copied().unwrap_or(rungs[0])
    }
}

/// `8,000`.
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// `1 trial`, `3 trials`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// `1 connection`, `2,000 connections`.
pub fn connections(value: f64) -> String {
    let number = whole(value);
    format!("{number} {}", if number == "1" { "connection" } else { "connections" })
}

/// Commas between groups of three digits.
fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits: `0.0123`, `3.70`, `36.7`, `512`, `8,000`; a dash where it is not finite.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let size = value.abs();
    let text = match size {
        _ if size == 0.0 => "0".to_owned(),
        _ if !(1e-6..1e15).contains(&size) => return format!("{value:.2e}"),
        // The borders lie where rounding would add a digit.
        _ if size >= 99.95 => group(&format!("{size:.0}")),
        _ if size >= 9.995 => format!("{size:.1}"),
        _ if size >= 0.9995 => format!("{size:.2}"),
        _ => format!("{size:.*}", (2.0 - size.log10().floor()) as usize),
    };
    if value < 0.0 { format!("−{text}") } else { text }
}

/// A whole number from a float, with separators: `8,000`.
pub fn whole(value: f64) -> String {
    if value.is_finite() && value.abs() < 1e15 {
        let text = group(&format!("{:.0}", value.abs()));
        if value <= -0.5 { format!("−{text}") } else { text }
    } else {
        number(value)
    }
}

/// `36.7 KiB`, `12.3 µcore`, `3.70 ms`.
pub fn quantity(unit: Unit, value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    match unit {
        Unit::Count => return whole(value),
        Unit::Share => return percent(value),
        Unit::Pages => return format!("{} pages", whole(value)),
        _ => {}
    }
    let (factor, name) = unit.rung(value);
    let base = matches!(unit, Unit::Bytes | Unit::Micros) && value.abs() < 1e3;
    let whole_ones = base && factor < 1.5 && value.fract().abs() < f64::EPSILON;
    join(&if whole_ones { whole(value) } else { number(value / factor) }, name)
}

/// `35.9 to 37.4 KiB`, in the unit and with the decimals in which `about` is best read.
pub fn range(unit: Unit, (low, high): (f64, f64), about: f64) -> String {
    let (factor, name) = unit.rung(if about.is_finite() { about } else { high });
    let text = number(about / factor);
    let decimals = text.rsplit_once('.').map_or(0, |(_, decimals)| decimals.len());
    let end = |value: f64| {
        let rounded = format!("{:.decimals$}", value / factor);
        let small = value.is_finite() && value.abs() / factor < 1e3 && !text.contains('e');
        if small { rounded.replace('-', "−") } else { number(value / factor) }
    };
    join(&format!("{} to {}", end(low), end(high)), name)
}

fn join(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_owned() } else { format!("{text} {unit}") }
}

/// Bytes: `36.7 KiB`, `512 MiB`.
pub fn bytes(value: f64) -> String {
    quantity(Unit::Bytes, value)
}

/// A duration from microseconds: `312 µs`, `3.70 ms`.
pub fn micros(value: f64) -> String {
    quantity(Unit::Micros, value)
}

/// A duration from milliseconds: `12.3 s`.
pub fn millis(value: f64) -> String {
    micros(value * 1e3)
}

/// A moment of a trial: seconds with two digits, so that rows line up.
pub fn moment(ms: f64) -> String {
    if ms.is_finite() { format!("{:.2} s", ms / 1e3) } else { UNKNOWN.to_owned() }
}

/// A number per second: `3.70/s`, `4,000/s`.
pub fn rate(per_second: f64) -> String {
    if per_second.is_finite() { format!("{}/s", number(per_second)) } else { UNKNOWN.to_owned() }
}

/// `99.9 %` of a ratio; what is below all is never rounded to 100 %, what is above none never to 0 %.
pub fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return UNKNOWN.to_owned();
    }
    let value = ratio * 100.0;
    if value != 0.0 && value.abs() < 0.01 {
        return format!("{} %", number(value));
    }
    let mut text = format!("{value:.2}");
    if value < 100.0 && text == "100.00" {
        "99.99".clone_into(&mut text);
    }
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.').replace('-', "−"))
}

/// A price: two digits, more where it is tiny.
pub fn price(value: f64) -> String {
    if !value.is_finite() {
        UNKNOWN.to_owned()
    } else if value.abs() < 0.1 && value != 0.0 {
        number(value)
    } else {
        let text = format!("{value:.2}");
        let (units, cents) = text.split_once('.').unwrap_or((&text, "00"));
        let (sign, digits) = units.strip_prefix('-').map_or(("", units), |rest| ("−", rest));
        format!("{sign}{}.{cents}", group(digits))
    }
}

/// A duration setting: `250 ms`, `1 s`, `1.5 s`, `90 s`.
pub fn setting(duration: Duration) -> String {
    let (value, unit) =
        if duration.as_secs() == 0 { (duration.as_secs_f64() * 1e3, "ms") } else { (duration.as_secs_f64(), "s") };
    format!("{} {unit}", trimmed(value))
}

/// At most three decimals, without trailing zeros.
pub fn trimmed(value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    if value.abs() >= 1e15 {
        return number(value);
    }
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    let (sign, rest) = short.strip_prefix('-').map_or(("", short), |rest| ("−", rest));
    let (units, decimals) = rest.split_once('.').map_or((rest, ""), |(units, decimals)| (units, decimals));
    let mut out = format!("{sign}{}", group(units));
    if !decimals.is_empty() {
        let _ = write!(out, ".{decimals}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_separators_and_three_digits() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(8_000), "8,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(number(0.012_34), "0.0123");
        assert_eq!(number(3.7), "3.70");
        assert_eq!(number(9.999), "10.0");
        assert_eq!(number(99.99), "100");
        assert_eq!(number(0.999_9), "1.00");
        assert_eq!(number(-12.34), "−12.3");
        assert_eq!(number(123_456.7), "123,457");
    }

    #[test]
    fn what_is_not_finite_is_a_dash_and_never_a_number() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for text in
                [number(value), whole(value), quantity(Unit::Bytes, value), percent(value), price(value), rate(value)]
            {
                assert_eq!(text, UNKNOWN);
            }
            assert_eq!(moment(value), UNKNOWN);
        }
        assert_eq!(number(1e300), "1.00e300");
    }

    #[test]
    fn quantities_climb_to_the_unit_that_reads_best() {
        assert_eq!(quantity(Unit::Bytes, 37_580.8), "36.7 KiB");
        assert_eq!(quantity(Unit::Bytes, 512.0 * 1024.0 * 1024.0), "512 MiB");
        assert_eq!(micros(3_700.0), "3.70 ms");
        assert_eq!([micros(850.0), micros(10_300_000.0)], ["850 µs", "10.3 s"]);
        assert_eq!(bytes(36_700.0), "35.8 KiB");
        assert_eq!(rate(4_000.0), "4,000/s");
        assert_eq!([connections(1.0), connections(2_000.0)], ["1 connection", "2,000 connections"]);
        assert_eq!(quantity(Unit::Microcores, 12.34), "12.3 µcore");
        assert_eq!(range(Unit::Microcores, (6.53, 50.6), 28.6), "6.5 to 50.6 µcore");
        assert_eq!(quantity(Unit::Bytes, 64.0), "64 B");
        assert_eq!(quantity(Unit::Count, 8_000.4), "8,000");
        assert_eq!(range(Unit::Bytes, (900.0, 1_100.0), 1_030.0), "0.88 to 1.07 KiB");
    }

    #[test]
    fn a_share_below_all_is_never_shown_as_all() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_99), "99.99 %");
        assert_eq!(percent(0.999), "99.9 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.1), "10 %");
        assert_eq!(percent(0.041_8), "4.18 %");
        assert_eq!(percent(0.000_012), "0.00120 %");
        assert_eq!(percent(-0.25), "−25 %");
    }

    #[test]
    fn settings_and_prices_read_as_people_write_them() {
        assert_eq!(setting(Duration::from_millis(250)), "250 ms");
        assert_eq!(setting(Duration::from_millis(1_500)), "1.5 s");
        assert_eq!(trimmed(4_000.0), "4,000");
        assert_eq!(price(6.0), "6.00");
        assert_eq!(price(1_234.5), "1,234.50");
        assert_eq!(price(0.001_5), "0.00150");
    }
}

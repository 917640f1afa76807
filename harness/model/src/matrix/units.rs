//! Units in the matrix: durations (`250ms`, `1m30s`), sizes (`512MiB`, `1GB`) and rates (`4000/s`).
//!
//! Every `format_*` writes what its `parse_*` reads back to the same value. How people read numbers elsewhere is in
//! [`crate::format`].

use std::fmt::Write;
use std::time::Duration;

/// Units of time from the longest to the shortest, in nanoseconds.
const TIME: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of memory in bytes: binary ones by IEC 80000-13, decimal ones by SI.
const MEMORY: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// What a duration looks like, for hints.
pub const DURATION_HINT: &str = "write a number and a unit (h, m, s, ms, us): \"250ms\", \"5s\", \"1m30s\"";
/// What a size looks like, for hints.
pub const BYTES_HINT: &str =
    "write a number and a unit (KiB, MiB, GiB, kB, MB, GB): \"512MiB\", \"1GB\", or plain bytes";
/// What a rate looks like, for hints.
pub const RATE_HINT: &str = "write a number per second: \"4000/s\"";
/// What a repository of a registry looks like, for hints.
pub const REGISTRY_HINT: &str =
    "write the registry's address and a name in lower case, without a tag: \"10.0.0.5:5000/wsceiling\"";

/// Whether a text is `HOST[:PORT]/NAME`, as Docker takes it (distribution's `reference` grammar) without a tag.
pub fn is_registry(text: &str) -> bool {
    let Some((address, name)) = text.split_once('/') else { return false };
    let (host, port) = address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
    let is_host = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    host.split('.').all(is_host)
        // Without either of them Docker takes it for a name on its own hub.
        && (port.is_some() || host.contains('.') || host == "localhost")
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && name.split('/').all(|part| part.split(['.', '_', '-']).all(is_word))
}

/// Why a text is not a value with a unit, short enough to stand beside a caret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing but spaces.
    #[error("is empty")]
    Empty,
    /// No digits where a number has to stand.
    #[error("no number before `{0}`")]
    NoNumber(String),
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit that is not known.
    #[error("`{unit}` is not a unit of {of}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// `time`, `memory` or `a rate`.
        of: &'static str,
    },
    /// A unit that is not shorter than the one before it.
    #[error("`{0}` is not shorter than the unit before it")]
    Order(String),
    /// Beyond 64 bits.
    #[error("the number is too large")]
    TooLarge,
}

/// A number with up to nine decimals, exact: `value / 1e9`.
struct Decimal {
    billionths: u128,
}

impl Decimal {
    /// Takes a number off the front of `text`; returns it with the rest.
    fn take(text: &str) -> Result<(Self, &str), UnitError> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || decimals.is_empty() || decimals.contains('.') {
            return Err(UnitError::NoNumber(if number.is_empty() { text } else { number }.to_owned()));
        }
        if whole.len() > 20 || decimals.len() > 9 {
            return Err(UnitError::TooLarge);
        }
        let whole: u128 = whole.parse().map_err(|_| UnitError::TooLarge)?;
        let fraction: u128 = format!("{decimals:0<9}").parse().map_err(|_| UnitError::TooLarge)?;
        Ok((Self { billionths: whole * 1_000_000_000 + fraction }, rest))
    }

    /// The number times `unit`, rounded down.
    fn times(&self, unit: u64) -> Result<u64, UnitError> {
        let product = self.billionths.checked_mul(unit as u128).ok_or(UnitError::TooLarge)?;
        u64::try_from(product / 1_000_000_000).map_err(|_| UnitError::TooLarge)
    }
}

/// Takes the letters of a unit off the front of `text`.
fn take_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(text.len());
    let (unit, rest) = text.split_at(end);
    (unit.trim(), rest)
}

/// Reads `250ms`, `5s`, `1m30s`, `1.5h`. Units go from long to short, each at most once.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(UnitError::Empty);
    }
    let (mut total, mut last) = (0_u64, u64::MAX);
    while !rest.is_empty() {
        let (number, after) = Decimal::take(rest)?;
        if after.is_empty() {
            return Err(UnitError::NoUnit(rest.to_owned()));
        }
        let (unit, after) = take_unit(after);
        let nanos = TIME.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos);
        let nanos = nanos.ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), of: "time" })?;
        if nanos >= last {
            return Err(UnitError::Order(unit.to_owned()));
        }
        last = nanos;
        total = total.checked_add(number.times(nanos)?).ok_or(UnitError::TooLarge)?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// Writes a duration as [`parse_duration`] reads it: `1m30s`, `250ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, nanos) in TIME {
        if rest >= nanos {
            let _ = write!(text, "{}{unit}", rest / nanos);
            rest %= nanos;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `512MiB`, `1.5GB`, `4096B`.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, unit) = Decimal::take(text)?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Err(UnitError::NoUnit(text.to_owned()));
    }
    let bytes = MEMORY.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    number.times(bytes.ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), of: "memory" })?)
}

/// Writes bytes in the largest binary unit that divides them: `512MiB`, `1000B`.
pub fn format_bytes(bytes: u64) -> String {
    MEMORY
        .iter()
        .take(4)
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
        .map_or_else(|| format!("{bytes}B"), |(unit, size)| format!("{}{unit}", bytes / size))
}

/// Reads `4000/s` or `0.5/s` as a number per second.
pub fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, unit) = Decimal::take(text)?;
    match unit {
        "" => Err(UnitError::NoUnit(text.to_owned())),
        // Parsed from the text and not from the billionths, so that `format_rate` gives it back to the last bit.
        "/s" => Ok(text[..text.len() - 2].parse().unwrap_or(number.billionths as f64 / 1e9)),
        _ => Err(UnitError::UnknownUnit { unit: unit.to_owned(), of: "a rate" }),
    }
}

/// Writes a number per second as [`parse_rate`] reads it.
pub fn format_rate(per_second: f64) -> String {
    format!("{per_second}/s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_in_one_or_several_units() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5 h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("500us"), Ok(Duration::from_micros(500)));
    }

    #[test]
    fn durations_that_are_none() {
        assert_eq!(parse_duration(""), Err(UnitError::Empty));
        assert_eq!(parse_duration("500"), Err(UnitError::NoUnit("500".into())));
        assert_eq!(parse_duration("5 sek"), Err(UnitError::UnknownUnit { unit: "sek".into(), of: "time" }));
        assert_eq!(parse_duration("soon"), Err(UnitError::NoNumber("soon".into())));
        assert_eq!(parse_duration("-1s"), Err(UnitError::NoNumber("-1s".into())));
        assert_eq!(parse_duration("1..5s"), Err(UnitError::NoNumber("1..5".into())));
        assert_eq!(parse_duration("1s1m"), Err(UnitError::Order("m".into())));
        assert_eq!(parse_duration("1s1s"), Err(UnitError::Order("s".into())));
        assert_eq!(parse_duration("999999999999999999h"), Err(UnitError::TooLarge));
    }

    #[test]
    fn sizes_are_binary_or_decimal() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1GB"), Ok(1_000_000_000));
        assert_eq!(parse_bytes("1.5 KiB"), Ok(1536));
        assert_eq!(parse_bytes("7B"), Ok(7));
        assert_eq!(parse_bytes("512"), Err(UnitError::NoUnit("512".into())));
        assert_eq!(parse_bytes("512M"), Err(UnitError::UnknownUnit { unit: "M".into(), of: "memory" }));
        assert_eq!(format_bytes(512 << 20), "512MiB");
        assert_eq!(format_bytes(1000), "1000B");
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(parse_rate("4000/s"), Ok(4000.0));
        assert_eq!(parse_rate("0.5/s"), Ok(0.5));
        assert_eq!(parse_rate("4000"), Err(UnitError::NoUnit("4000".into())));
        assert_eq!(parse_rate("1k/m"), Err(UnitError::UnknownUnit { unit: "k/m".into(), of: "a rate" }));
        assert_eq!(parse_rate("/s"), Err(UnitError::NoNumber("/s".into())));
    }

    #[test]
    fn a_repository_has_an_address_and_a_name_without_a_tag() {
        for good in ["10.0.0.5:5000/wsceiling", "localhost:5000/a/b-c", "registry.example.com/x.y_z", "127.0.0.1:1/a"] {
            assert!(is_registry(good), "{good}");
        }
        let bad =
            ["", "wsceiling", "user/name", "10.0.0.5:5000", "h:5000/", "h:5000/A", "h:5000/a:1", "h:0/a", "h:x/a"];
        for bad in bad.into_iter().chain(["-h:1/a", "h:5000/a b", "h:5000/a//b", "http://h:5000/a", "u@h:5000/a"]) {
            assert!(!is_registry(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,24}") {
            let _ = parse_duration(&text);
            let _ = parse_bytes(&text);
            let _ = parse_rate(&text);
            let _ = is_registry(&text);
        }

        #[test]
        fn no_text_of_digits_and_units_makes_a_parser_panic(text in "[0-9./ hmsunKMGTiB]{0,32}") {
            let _ = parse_duration(&text);
            let _ = parse_bytes(&text);
            let _ = parse_rate(&text);
        }

        #[test]
        fn durations_round_trip(nanos in any::<u64>()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn sizes_round_trip(bytes in prop_oneof![0..1_u64 << 60, (0..1_u64 << 20).prop_map(|n| n << 30)]) {
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }

        #[test]
        fn rates_round_trip(thousandths in 1..1_000_000_000_u64) {
            let rate = thousandths as f64 / 1000.0;
            prop_assert_eq!(parse_rate(&format_rate(rate)), Ok(rate));
        }
    }
}

//! From the cells of a row, by name, to a price.

use std::collections::BTreeMap;

use wsceiling_model::matrix::units;
use wsceiling_model::platforms::{PriceRecord, days_between};

/// Cells of a row: name in lower case -> text.
pub type Cells = BTreeMap<String, String>;

/// Names that are read.
pub const KNOWN: [&str; 20] = [
    "cap",
    "cpus",
    "currency",
    "dedicated",
    "id",
    "memory",
    "memory_bytes",
    "method",
    "monthly_cost",
    "plan",
    "price",
    "price_per_hour",
    "provider",
    "ram",
    "region",
    "second_hand",
    "seen",
    "source",
    "tax",
    "valid_from",
];
/// Name of the CPUs in Vultr's list (`GET /v2/plans`), by which it is known.
pub const VULTR: &str = "vcpu_count";

/// Hours of a month, as providers count them.
const HOURS: f64 = 730.0;
/// A price by the hour is rounded to this part of a unit.
const ROUNDED: f64 = 10_000.0;

/// What rows have that do not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Whose plans they are.
    pub provider: Option<String>,
    /// Their currency.
    pub currency: Option<String>,
    /// `included` or `excluded`.
    pub tax: Option<String>,
    /// Where they come from.
    pub source: String,
    /// The day on which they were seen.
    pub seen: String,
    /// This day: nothing was seen after it.
    pub today: String,
}

/// The price of a row.
///
/// # Errors
/// What is wrong with it, with what to do where that is not obvious.
pub fn price(cells: &Cells, defaults: &Defaults) -> Result<PriceRecord, String> {
    let get = |name: &str| cells.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let own = |name: &str| get(name).map(str::to_owned);
    let vultr = cells.contains_key(VULTR);
    let usual = |default: &Option<String>, of_vultr: &str| default.clone().or(vultr.then(|| of_vultr.to_owned()));
    let provider = own("provider").or(usual(&defaults.provider, "vultr"));
    let currency = own("currency").or(usual(&defaults.currency, "USD"));
    let cpus = get("cpus").or(get(VULTR)).ok_or("it has no `cpus`")?;
    let (price, method) = monthly(&get)?;
    let row = PriceRecord {
        provider: provider.ok_or("it has no `provider` (hint: --provider NAME for all rows)")?,
        plan: own("plan").or(own("id")).ok_or("it has no `plan`")?,
        region: own("region"),
        cpus: number("cpus", cpus)?,
        dedicated: get("dedicated").map(|text| yes_or_no("dedicated", text)).transpose()?,
        memory_bytes: memory(&get)?,
        price,
        currency: currency.ok_or("it has no `currency` (hint: --currency EUR for all rows)")?,
        tax: own("tax").or(defaults.tax.clone()),
        cap: own("cap"),
        source: own("source").unwrap_or(defaults.source.clone()),
        seen: own("seen").unwrap_or(defaults.seen.clone()),
        valid_from: own("valid_from"),
        method: own("method").unwrap_or(method.to_owned()),
        second_hand: get("second_hand").map(|text| yes_or_no("second_hand", text)).transpose()?.unwrap_or(false),
    };
    match row.fault() {
        Some(fault) => Err(fault),
        None if days_between(&defaults.today, &row.seen).is_some_and(|days| days > 1) => {
            Err(format!("`seen` is {}, which is still to come", row.seen))
        }
        None => Ok(row),
    }
}

/// Price a month, and how it became one.
fn monthly<'c>(get: &impl Fn(&str) -> Option<&'c str>) -> Result<(f64, &'static str), String> {
    if let Some(price) = get("price").or(get("monthly_cost")) {
        return Ok((number("price", price)?, "price a month as listed"));
    }
    let hour = get("price_per_hour").ok_or("it has no `price`")?;
    let month = (number("price_per_hour", hour)? * HOURS * ROUNDED).round() / ROUNDED;
    Ok((month, "price an hour x 730"))
}

/// `memory` with its unit, `memory_bytes`, or Vultr's `ram` in MiB.
fn memory<'c>(get: &impl Fn(&str) -> Option<&'c str>) -> Result<u64, String> {
    if let Some(text) = get("memory") {
        // AWS writes `1,952 GiB`.
        let parsed = units::parse_bytes(&text.replace(',', ""));
        return parsed.map_err(|error| format!("`memory` is `{}`: {error}", text.escape_debug()));
    }
    let whole = |name: &str, text: &str| {
        text.parse::<u64>().map_err(|_| format!("`{name}` is `{}`, no whole number", text.escape_debug()))
    };
    if let Some(text) = get("memory_bytes") {
        return whole("memory_bytes", text);
    }
    let ram = get("ram").ok_or("it has no `memory`")?;
    Ok(whole("ram", ram)?.saturating_mul(1 << 20))
}

fn number(name: &str, text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("`{name}` is `{}`, no number like `5.49`", text.escape_debug()))
}

fn yes_or_no(name: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(format!("`{name}` is `{}`, neither `true` nor `false`", text.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(&str, &str)]) -> Cells {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn defaults() -> Defaults {
        Defaults {
            provider: Some("acme".into()),
            currency: Some("EUR".into()),
            tax: Some("excluded".into()),
            source: "list.csv".into(),
            seen: "2026-11-01".into(),
            today: "2026-11-29".into(),
        }
    }

    const GOOD: [(&str, &str); 4] = [("plan", "s"), ("cpus", "2"), ("memory", "4GiB"), ("price", "5.49")];

    #[test]
    fn a_row_takes_the_rest_from_the_command_line() {
        let row = price(&cells(&GOOD), &defaults()).unwrap();
        assert_eq!((row.full_name().as_str(), row.memory_bytes, row.price), ("acme/s", 4 << 30, 5.49));
        assert_eq!((row.currency.as_str(), row.tax.as_deref()), ("EUR", Some("excluded")));
        assert_eq!((row.source.as_str(), row.seen.as_str()), ("list.csv", "2026-11-01"));
        let own =
            [&GOOD[..], &[("provider", "other"), ("region", "north"), ("seen", "2026-10-01"), ("dedicated", "yes")]];
        let row = price(&cells(&own.concat()), &defaults()).unwrap();
        assert_eq!((row.full_name().as_str(), row.seen.as_str()), ("other/s@north", "2026-10-01"));
        assert_eq!(row.dedicated, Some(true));
    }

    #[test]
    fn vultr_and_prices_by_the_hour_are_understood() {
        let vultr = [("id", "vc2-2c-4gb"), (VULTR, "2"), ("ram", "4096"), ("monthly_cost", "20")];
        let none = Defaults { provider: None, currency: None, ..defaults() };
        let row = price(&cells(&vultr), &none).unwrap();
        assert_eq!(
            (row.full_name().as_str(), row.memory_bytes, row.currency.as_str()),
            ("vultr/vc2-2c-4gb", 4 << 30, "USD")
        );
        let hourly = [("plan", "c6i.large"), ("cpus", "2"), ("memory", "4 GiB"), ("price_per_hour", "0.085")];
        let row = price(&cells(&hourly), &defaults()).unwrap();
        assert_eq!((row.price, row.method.as_str()), (62.05, "price an hour x 730"));
    }

    #[test]
    fn what_is_missing_or_nonsense_is_named() {
        let with = |name: &str, text: &str| {
            let mut cells = cells(&GOOD);
            cells.insert(name.to_owned(), text.to_owned());
            price(&cells, &defaults()).unwrap_err()
        };
        assert!(with("plan", "").contains("no `plan`"));
        assert!(with("cpus", "two").contains("`cpus` is `two`"));
        assert!(with("memory", "4096").contains("has no unit"));
        assert!(with("price", "5,49").contains("no number"));
        assert!(with("price", "-1").contains("`price` is -1"));
        assert!(with("currency", "euro").contains("ISO 4217"));
        assert!(with("seen", "2062-01-01").contains("still to come"));
        assert!(with("dedicated", "maybe").contains("neither"));
        let none = Defaults { provider: None, ..defaults() };
        assert!(price(&cells(&GOOD), &none).unwrap_err().contains("--provider"));
    }
}

//! What a plan costs.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::age::{Age, days_between};
use crate::format;
use crate::matrix::units::format_bytes;

/// CPUs that a plan can have: what a size can have.
const CPUS: RangeInclusive<f64> = 0.01..=1024.0;
/// Memory that a plan can have in bytes: what a size can have.
const MEMORY_BYTES: RangeInclusive<u64> = 4 << 20..=16 << 40;
/// Price a month that a plan can have: what a size can have.
const PRICE: RangeInclusive<f64> = 0.0..=1e9;
/// Longest name of a provider, a plan or a region.
const LONGEST_NAME: usize = 80;

/// A price, as found; what was not found is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRecord {
    /// Whose plan.
    pub provider: String,
    /// The plan's own name.
    pub plan: String,
    /// Where it costs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// CPUs.
    pub cpus: f64,
    /// Whether nobody else runs on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated: Option<bool>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Price a month.
    pub price: f64,
    /// Its currency (ISO 4217). Currencies are never converted.
    pub currency: String,
    /// Whether tax is in it: `included`, `excluded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<String>,
    /// How a price by the hour ends at a price a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<String>,
    /// Where it was seen.
    pub source: String,
    /// The day on which it was seen: `2026-11-24`.
    pub seen: String,
    /// The day from which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// How it became a price a month.
    pub method: String,
    /// Somebody else reports it, not the provider.
    #[serde(default)]
    pub second_hand: bool,
}

/// What is wrong with a row of a list of prices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RowFault {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    price: Vec<Spanned<PriceRecord>>,
}

/// The rows of a file of `prices/`: tables `[[price]]` with the keys of [`PriceRecord`].
///
/// # Errors
/// What is wrong with the form of the file, or with every row that is wrong.
pub fn read_prices(text: &str) -> Result<Vec<PriceRecord>, Vec<RowFault>> {
    let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let file = toml::from_str::<File>(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![RowFault { line: line(at), what: error.message().to_owned() }]
    })?;
    let fault = |row: &Spanned<PriceRecord>| {
        let what = row.get_ref().fault()?;
        Some(RowFault { line: line(row.span().start), what })
    };
    let faults: Vec<RowFault> = file.price.iter().filter_map(fault).collect();
    if faults.is_empty() { Ok(file.price.into_iter().map(Spanned::into_inner).collect()) } else { Err(faults) }
}

/// The text of a file of `prices/` that [`read_prices`] reads back.
pub fn write_prices(rows: &[PriceRecord]) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File<'r> {
        price: &'r [PriceRecord],
    }
    toml::to_string(&File { price: rows })
}

impl PriceRecord {
    /// `hetzner/cx23`, what a matrix names it by.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.plan)
    }

    /// `hetzner/cx23@fsn1`, or without a region its name.
    pub fn full_name(&self) -> String {
        match &self.region {
            Some(region) => format!("{}@{region}", self.name()),
            None => self.name(),
        }
    }

    /// How old it was when a run started (RFC 3339).
    pub fn age(&self, started: &str) -> Age {
        Age::at(&self.seen, started)
    }

    /// What is wrong with it, if anything is: numbers that no size can have, names that no matrix can name, no dates.
    pub fn fault(&self) -> Option<String> {
        let names = [("provider", Some(&self.provider)), ("plan", Some(&self.plan)), ("region", self.region.as_ref())];
        for (key, name) in names.into_iter().filter_map(|(key, name)| Some((key, name?))) {
            let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '@';
            if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(wrong) {
                let shown = name.escape_debug();
                return Some(format!(
                    "`{key}` is `{shown}`: 1 to {LONGEST_NAME} characters without `/`, `@` and spaces"
                ));
            }
        }
        if !CPUS.contains(&self.cpus) {
            return Some(format!("`cpus` is {}, not from 0.01 to 1,024", self.cpus));
        }
        if !MEMORY_BYTES.contains(&self.memory_bytes) {
            return Some(format!("the memory is {} bytes, not from 4MiB to 16TiB", self.memory_bytes));
        }
        if !PRICE.contains(&self.price) {
            return Some(format!("`price` is {}, not from 0 to 1,000,000,000", self.price));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            let shown = self.currency.escape_debug();
            return Some(format!("`currency` is `{shown}`, not three letters like `EUR` (ISO 4217)"));
        }
        if self.tax.as_ref().is_some_and(|tax| tax != "included" && tax != "excluded") {
            return Some("`tax` is neither `included` nor `excluded`".to_owned());
        }
        let dates = [("seen", Some(&self.seen)), ("valid_from", self.valid_from.as_ref())];
        for (key, date) in dates.into_iter().filter_map(|(key, date)| Some((key, date?))) {
            if date.len() != 10 || days_between(date, date).is_none() {
                return Some(format!("`{key}` is `{}`, not a day like `2026-11-24`", date.escape_debug()));
            }
        }
        let texts = [("source", &self.source), ("method", &self.method)];
        let empty = texts.into_iter().find(|(_, text)| text.trim().is_empty());
        empty.map(|(key, _)| format!("`{key}` is empty: nobody could look it up"))
    }

    /// `5.49 EUR without tax`
    pub fn amount(&self) -> String {
        let tax = match self.tax.as_deref() {
            Some("included") => " with tax",
            Some("excluded") => " without tax",
            _ => "",
        };
        format!("{} {}{tax}", format::price(self.price), self.currency)
    }

    /// `2 dedicated cpus, 4GiB`
    pub fn machine(&self) -> String {
        let kind = match self.dedicated {
            Some(true) => "dedicated ",
            Some(false) => "shared ",
            None => "",
        };
        let ending = if self.cpus > 1.0 { "s" } else { "" };
        format!("{} {kind}cpu{ending}, {}", format::trimmed(self.cpus), format_bytes(self.memory_bytes))
    }

    /// `seen 2026-11-24, 5 days before the run: docs.hetzner.com, second-hand`
    pub fn reference(&self, started: &str) -> String {
        let age = match self.age(started).days() {
            Some(0) => ", on the day of the run".to_owned(),
            Some(days) => format!(", {} before the run", format::counted(days.unsigned_abs(), "day", "days")),
            None => String::new(),
        };
        let hearsay = if self.second_hand { ", second-hand" } else { "" };
        format!("seen {}{age}: {}{hearsay}", self.seen, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn row() -> PriceRecord {
        PriceRecord {
            provider: "acme".into(),
            plan: "small".into(),
            region: None,
            cpus: 2.0,
            dedicated: Some(false),
            memory_bytes: 4 << 30,
            price: 5.49,
            currency: "EUR".into(),
            tax: Some("excluded".into()),
            cap: None,
            source: "acme.example/prices".into(),
            seen: "2026-11-24".into(),
            valid_from: None,
            method: "price a month as listed".into(),
            second_hand: true,
        }
    }

    #[test]
    fn rows_are_written_and_read_back() {
        let rows = vec![row(), PriceRecord { region: Some("north".into()), second_hand: false, ..row() }];
        assert_eq!(read_prices(&write_prices(&rows).unwrap()), Ok(rows));
        assert_eq!(read_prices(""), Ok(Vec::new()));
    }

    #[test]
    fn every_bad_row_is_named_by_its_line() {
        let bad = [PriceRecord { price: -1.0, ..row() }, row(), PriceRecord { seen: "yesterday".into(), ..row() }];
        let text = write_prices(&bad).unwrap();
        let faults = read_prices(&text).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        let lines: Vec<&str> = text.lines().collect();
        let starts: Vec<usize> = (1..=lines.len()).filter(|line| lines[line - 1] == "[[price]]").collect();
        for (fault, start) in faults.iter().zip([starts[0], starts[2]]) {
            // The table begins at its header, or at the first of its keys.
            assert!((start..=start + 1).contains(&fault.line), "{fault}: {starts:?}");
        }
        assert!(faults[0].what.contains("`price`") && faults[1].what.contains("`seen`"), "{faults:?}");
        let unknown = read_prices("\n[[price]]\nprize = 1\n").unwrap_err();
        assert!(unknown[0].line >= 2 && unknown[0].what.contains("prize"), "{unknown:?}");
    }

    #[test]
    fn what_no_size_can_have_and_nobody_could_look_up_is_a_fault() {
        assert_eq!(row().fault(), None);
        let cases: [(&str, PriceRecord); 10] = [
            ("`provider`", PriceRecord { provider: "a/b".into(), ..row() }),
            ("`plan`", PriceRecord { plan: String::new(), ..row() }),
            ("`region`", PriceRecord { region: Some("x y".into()), ..row() }),
            ("`cpus`", PriceRecord { cpus: f64::NAN, ..row() }),
            ("memory", PriceRecord { memory_bytes: 4096, ..row() }),
            ("`price`", PriceRecord { price: f64::INFINITY, ..row() }),
            ("`currency`", PriceRecord { currency: "euro".into(), ..row() }),
            ("`tax`", PriceRecord { tax: Some("yes".into()), ..row() }),
            ("`valid_from`", PriceRecord { valid_from: Some("2026-13-01".into()), ..row() }),
            ("`source`", PriceRecord { source: " ".into(), ..row() }),
        ];
        for (says, row) in cases {
            let fault = row.fault().unwrap();
            assert!(fault.contains(says), "{says}: {fault}");
        }
    }

    #[test]
    fn a_row_is_told_in_words_with_its_age() {
        let row = row();
        assert_eq!(row.amount(), "5.49 EUR without tax");
        assert_eq!(row.machine(), "2 shared cpus, 4GiB");
        let reference = "seen 2026-11-24, 5 days before the run: acme.example/prices, second-hand";
        assert_eq!(row.reference("2026-11-29T10:00:00Z"), reference);
        assert!(row.reference("2026-11-24T10:00:00Z").contains("on the day of the run"));
        assert_eq!(PriceRecord { region: Some("north".into()), ..row }.full_name(), "acme/small@north");
    }
}

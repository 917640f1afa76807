//! The prices that a matrix can name: those of the program, and those that its user has imported.

use super::{Age, PriceRecord, Unknown, built_in_prices, unknown};
use crate::matrix::names;

/// Prices to choose from, and the day on which that is done. The default has those of the program, and no day: then nothing
/// is too old.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    rows: Vec<PriceRecord>,
    today: Option<String>,
    unreadable: Vec<String>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { rows: built_in_prices().to_vec(), today: None, unreadable: Vec::new() }
    }
}

/// Why a plan cannot be taken from the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// There is none of that name.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// It has a price in each of several regions.
    #[error("`{name}` has a price in each of {} regions (hint: {})", .regions.len(), names::listed(.regions.iter().map(String::as_str)))]
    Regions {
        /// The plan.
        name: String,
        /// Its names with the regions: `aws/c6i.large@eu-west-1`.
        regions: Vec<String>,
    },
}

impl Catalogue {
    /// The prices of the program, looked at on a day (`2026-11-24`, or a moment that begins with it).
    pub fn on(today: &str) -> Self {
        Self { today: Some(today.to_owned()), ..Self::default() }
    }

    /// Adds rows. Of two rows for one plan and region the one that was seen later counts, and of two of one day the added one.
    pub fn add(&mut self, rows: impl IntoIterator<Item = PriceRecord>) {
        for row in rows {
            let same = |known: &PriceRecord| known.full_name().eq_ignore_ascii_case(&row.full_name());
            match self.rows.iter_mut().find(|known| same(known)) {
                Some(known) if known.seen <= row.seen => *known = row,
                Some(_) => {}
                None => self.rows.push(row),
            }
        }
    }

    /// Remembers what is wrong with a file of prices: who names a plan is told.
    pub fn add_unreadable(&mut self, fault: String) {
        self.unreadable.push(fault);
    }

    /// What is wrong with files of prices.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// All rows, one for each plan and region.
    pub fn rows(&self) -> &[PriceRecord] {
        &self.rows
    }

    /// The day on which it is looked at; `None`: nobody said.
    pub fn today(&self) -> Option<&str> {
        self.today.as_deref()
    }

    /// How old a row is today; `None`: nobody said what day it is.
    pub fn age(&self, row: &PriceRecord) -> Option<Age> {
        Some(row.age(self.today()?))
    }

    /// Whether the price of a row may be used today.
    pub fn is_usable(&self, row: &PriceRecord) -> bool {
        self.age(row).is_none_or(Age::is_usable)
    }

    /// The row of a plan, in any case: `hetzner/cx23`, with `@REGION` where its price depends on the region. Without a region a
    /// row that has none is preferred, and one that may be used to one that is too old.
    ///
    /// # Errors
    /// When there is none, or one in each of several regions.
    pub fn plan(&self, name: &str) -> Result<&PriceRecord, NoPlan> {
        if let Some(exact) = self.rows.iter().find(|row| row.full_name().eq_ignore_ascii_case(name))
            && (exact.region.is_some() || self.is_usable(exact))
        {
            return Ok(exact);
        }
        let all: Vec<&PriceRecord> = self.rows.iter().filter(|row| row.name().eq_ignore_ascii_case(name)).collect();
        let usable: Vec<&PriceRecord> = all.iter().copied().filter(|row| self.is_usable(row)).collect();
        let among = if usable.is_empty() { all } else { usable };
        let without_region = among.iter().find(|row| row.region.is_none());
        match among.as_slice() {
            [] => Err(self.no_such_plan(name).into()),
            [only] => Ok(*only),
            several => without_region.copied().ok_or_else(|| NoPlan::Regions {
                name: several[0].name(),
                regions: several.iter().map(|row| row.full_name()).collect(),
            }),
        }
    }

    /// An unknown plan, with the nearest: of the same provider, where it is known.
    fn no_such_plan(&self, name: &str) -> Unknown {
        let named: Vec<String> = self.rows.iter().map(PriceRecord::name).collect();
        let provider = |name: &str| name.split('/').next().unwrap_or_default().to_lowercase();
        let same: Vec<&String> = named.iter().filter(|known| provider(known) == provider(name)).collect();
        let among = if same.is_empty() { named.iter().collect() } else { same };
        unknown("plan", name, among.into_iter().map(|known| (known.as_str(), known.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(plan: &str, region: Option<&str>, price: f64, seen: &str) -> PriceRecord {
        PriceRecord {
            provider: "acme".into(),
            plan: plan.into(),
            region: region.map(str::to_owned),
            price,
            seen: seen.into(),
            ..built_in_prices()[0].clone()
        }
    }

    fn price(catalogue: &Catalogue, name: &str) -> f64 {
        catalogue.plan(name).unwrap().price
    }

    #[test]
    fn what_was_seen_later_counts_and_what_was_added_later_of_the_same_day() {
        let mut catalogue = Catalogue::default();
        catalogue.add([row("s", None, 1.0, "2026-05-01"), row("s", None, 2.0, "2026-04-01")]);
        assert_eq!(price(&catalogue, "acme/s").to_bits(), 1.0_f64.to_bits());
        catalogue.add([row("S", None, 3.0, "2026-05-01")]);
        assert_eq!(price(&catalogue, "ACME/s").to_bits(), 3.0_f64.to_bits());
        assert_eq!(catalogue.rows().len(), built_in_prices().len() + 1);
    }

    #[test]
    fn a_plan_of_several_regions_has_to_be_named_with_one() {
        let mut catalogue = Catalogue::on("2026-06-01");
        catalogue.add([row("s", Some("north"), 1.0, "2026-05-01"), row("s", Some("south"), 2.0, "2026-05-01")]);
        let error = catalogue.plan("acme/s").unwrap_err();
        let NoPlan::Regions { regions, .. } = &error else { panic!("{error}") };
        assert_eq!(regions.as_slice(), ["acme/s@north", "acme/s@south"]);
        assert_eq!(price(&catalogue, "acme/s@south").to_bits(), 2.0_f64.to_bits());
        // One for all regions is preferred, unless it is too old.
        catalogue.add([row("s", None, 3.0, "2026-05-01")]);
        assert_eq!(price(&catalogue, "acme/s").to_bits(), 3.0_f64.to_bits());
        let mut later = Catalogue::on("2026-06-01");
        later.add([row("s", None, 3.0, "2024-05-01"), row("s", Some("north"), 1.0, "2026-05-01")]);
        assert_eq!(price(&later, "acme/s").to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn without_a_day_nothing_is_too_old() {
        let old = row("s", None, 1.0, "2001-01-01");
        assert!(Catalogue::default().is_usable(&old));
        let catalogue = Catalogue::on("2026-11-29T19:00:00Z");
        assert!(!catalogue.is_usable(&old) && catalogue.is_usable(&row("s", None, 1.0, "2026-11-24")));
        assert_eq!(catalogue.age(&old), Some(Age::TooOld(9463)));
    }

    #[test]
    fn an_unknown_plan_comes_with_the_nearest_of_its_provider() {
        let nearest = |name: &str| match Catalogue::default().plan(name).unwrap_err() {
            NoPlan::Unknown(unknown) => unknown.nearest,
            other @ NoPlan::Regions { .. } => panic!("{other}"),
        };
        assert_eq!(nearest("hetzner/cx24")[0], "hetzner/cx23");
        assert!(nearest("hetzner/none-of-these").iter().all(|name| name.starts_with("hetzner/")));
        assert!(nearest("cx23").contains(&"hetzner/cx23".to_owned()));
    }
}

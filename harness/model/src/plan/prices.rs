//! What the sizes of a plan cost, and how old that is.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::CellDescription;
use crate::format;
use crate::matrix::{Matrix, Size};
use crate::platforms::PriceRecord;

/// What an instance of a size costs that is named by a plan of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PriceDescription {
    /// The size.
    pub size: String,
    /// Price a month that counts; `None`: that of the plan is too old.
    pub price_per_month: Option<f64>,
    /// Its currency; `None`: it is the user's own price, in his currency.
    pub currency: Option<String>,
    /// Days from the day on which the row was seen to today, where that is known.
    pub age_days: Option<i64>,
    /// The row of the catalogue.
    pub row: PriceRecord,
    #[serde(skip)]
    today: Option<String>,
}

/// The sizes of these cells that have a plan, by name.
pub(super) fn prices(matrix: &Matrix, cells: &[CellDescription]) -> Vec<PriceDescription> {
    let used: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.cell.size.as_deref()).collect();
    let described = |size: &Size| {
        let plan = size.plan.as_ref()?;
        let row = matrix.prices.iter().find(|row| row.full_name() == *plan)?.clone();
        Some(PriceDescription {
            size: size.name.clone(),
            price_per_month: size.price_per_month,
            currency: size.currency.clone(),
            age_days: matrix.today.as_deref().and_then(|today| row.age(today).days()),
            row,
            today: matrix.today.clone(),
        })
    };
    matrix.sizes.values().filter(|size| used.contains(size.name.as_str())).filter_map(described).collect()
}

impl fmt::Display for PriceDescription {
    /// `small: 5.49 EUR without tax, hetzner/cx23, 2 shared cpus, 4GiB, seen 2026-11-24, 5 days before the run: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = &self.row;
        let price = match (self.price_per_month, &self.currency) {
            (Some(_), Some(_)) => row.amount(),
            (Some(own), None) => format!("{} of your own", format::price(own)),
            (None, _) => "no price, since the list's is over a year old".to_owned(),
        };
        let reference = match &self.today {
            Some(today) => row.reference(today),
            None => format!("seen {}: {}", row.seen, row.source),
        };
        write!(f, "{}: {price}, {}, {}, {reference}", self.size, row.full_name(), row.machine())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::matrix::parse_with;
    use crate::plan::tests::MACHINE;
    use crate::plan::{Plan, describe};
    use crate::platforms::Catalogue;

    fn described(size: &str, today: &str) -> String {
        let text = format!(
            "[targets.t.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"t\"]\nsize = [\"s\"]\n[sizes.s]\n{size}\n"
        );
        let matrix = parse_with(&text, Path::new("m.toml"), &Catalogue::on(today)).unwrap().matrix;
        describe(&matrix, &Plan::new(&matrix), &MACHINE)
    }

    #[test]
    fn a_plan_says_what_its_sizes_cost_since_when_and_who_says_so() {
        let said = described("plan = \"hetzner/cx23\"", "2026-11-29");
        let line = "  s: 5.49 EUR without tax, hetzner/cx23, 2 shared cpus, 4GiB, seen 2026-11-24, 5 days before the run: \
                    https://docs.hetzner.com/general/infrastructure-and-availability/price-adjustment/, second-hand\n";
        assert!(said.contains("\nprice a month of an instance\n") && said.contains(line), "{said}");
        assert!(
            described("plan = \"hetzner/cx23\"\nprice = 4", "2026-11-29").contains("s: 4.00 of your own, hetzner/cx23")
        );
        assert!(
            described("plan = \"hetzner/cx23\"", "2028-01-01").contains("no price, since the list's is over a year")
        );
        assert!(!described("cpus = 1\nprice = 4", "2026-11-29").contains("price a month"));
    }
}

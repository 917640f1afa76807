//! What an instance costs, and what there is to say about it: old rows of the catalogue, and currencies side by side.

use std::collections::BTreeSet;

use super::findings::{CellFindings, InstancePrice};
use wsceiling_model::matrix::{Cell, Size};
use wsceiling_model::record::RunHeader;

/// What an instance of a cell costs: as its target says, else as its size does; `None`: nobody says.
pub(super) fn of_instance(header: &RunHeader, cell: &Cell, size: Option<&Size>) -> Option<InstancePrice> {
    let target = header.targets.iter().find(|target| target.name == cell.target);
    if let Some(own) = target.and_then(|target| target.remote.as_ref()?.price_per_month) {
        return Some(InstancePrice { per_month: own, row: None });
    }
    let size = size?;
    let row = || header.prices.iter().find(|row| Some(row.full_name()) == size.plan).cloned();
    Some(InstancePrice { per_month: size.price_per_month?, row: if size.has_own_price() { None } else { row() } })
}

/// Sentences on rows that were old when the run began, and on prices that cannot be compared.
pub(super) fn remarks(header: &RunHeader, cells: &[CellFindings]) -> Vec<String> {
    let mut remarks = Vec::new();
    let used: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.cell.size.as_deref()).collect();
    let needed = |plan: &str| {
        let mut sizes = header.sizes.iter().filter(|size| used.contains(size.name.as_str()));
        sizes.any(|size| !size.has_own_price() && size.plan.as_deref() == Some(plan))
    };
    for row in header.prices.iter().filter(|row| needed(&row.full_name())) {
        let warning = row.age(&header.started).warning();
        remarks.extend(warning.map(|warning| format!("the price of {} was {warning}", row.full_name())));
    }
    remarks.extend(header.platforms.iter().flat_map(|platform| platform.age_warnings(&header.started)));
    let priced = cells.iter().filter_map(|cell| cell.price.as_ref());
    let currencies: BTreeSet<Option<&str>> = priced.map(InstancePrice::currency).collect();
    if currencies.len() > 1 {
        let words: Vec<&str> = currencies.into_iter().map(|currency| currency.unwrap_or("your own")).collect();
        remarks.push(format!(
            "prices are in several currencies ({}) and are not converted: compare them only within one",
            words.join(", ")
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cell_findings, remote_header};
    use wsceiling_model::platforms::Catalogue;
    use wsceiling_model::record::Cause;

    /// A header with a size of this plan.
    fn header(plan: &str, change: impl Fn(&mut Size)) -> RunHeader {
        let mut header = remote_header("shop", None, None);
        let row = Catalogue::default().plan(plan).unwrap().clone();
        let mut size = Size {
            price_per_month: Some(row.price),
            currency: Some(row.currency.clone()),
            plan: Some(row.full_name()),
            ..Size::unlimited("s")
        };
        change(&mut size);
        header.sizes = vec![size];
        header.prices = vec![row];
        header.started = "2026-11-29T00:00:00Z".into();
        header
    }

    fn cell() -> CellFindings {
        let mut found = cell_findings("shop", 100, Cause::None);
        found.cell.size = Some("s".into());
        found
    }

    fn price(header: &RunHeader) -> Option<InstancePrice> {
        of_instance(header, &cell().cell, header.sizes.first())
    }

    #[test]
    fn a_price_has_the_currency_of_its_plan_unless_it_is_the_users_own() {
        let listed = price(&header("hetzner/cx23", |_| {})).unwrap();
        assert_eq!((listed.currency(), listed.per_month.to_bits()), (Some("EUR"), 5.49_f64.to_bits()));
        let own = header("hetzner/cx23", |size| (size.price_per_month, size.currency) = (Some(3.0), None));
        assert_eq!(price(&own).unwrap().currency(), None);
        let mut of_target = header("hetzner/cx23", |_| {});
        if let Some(remote) = &mut of_target.targets[0].remote {
            remote.price_per_month = Some(7.0);
        }
        let found = price(&of_target).unwrap();
        assert_eq!((found.currency(), found.per_month.to_bits()), (None, 7.0_f64.to_bits()));
    }

    #[test]
    fn old_prices_and_platforms_and_several_currencies_are_remarked_on() {
        let cells = |header: &RunHeader| vec![CellFindings { price: price(header), ..cell() }];
        let fresh = header("hetzner/cx23", |_| {});
        assert_eq!(remarks(&fresh, &cells(&fresh)), Vec::<String>::new());
        let mut old = fresh.clone();
        old.started = "2027-03-01T00:00:00Z".into();
        let said = remarks(&old, &cells(&old));
        assert_eq!(said, ["the price of hetzner/cx23 was seen 97 days before the run: it may have changed"]);
        let own = header("hetzner/cx23", |size| size.currency = None);
        let late = RunHeader { started: "2028-01-01T00:00:00Z".into(), ..own };
        assert_eq!(remarks(&late, &cells(&late)), Vec::<String>::new(), "nobody needs the row");
        let mut on_railway = fresh.clone();
        on_railway.platforms = wsceiling_model::platforms::rows(["railway"]);
        let said = remarks(&on_railway, &cells(&fresh));
        assert!(said.len() == 1 && said[0].contains("documentation of Railway"), "{said:?}");
        let mut both = cells(&fresh);
        both.extend(cells(&header("vultr/vc2-2c-4gb", |_| {})));
        let said = remarks(&fresh, &both);
        assert!(said.len() == 1 && said[0].contains("(EUR, USD)"), "{said:?}");
    }
}

//! `[sizes.NAME]`: limits of an instance, and what it costs.

use toml::Spanned;
use toml::de::DeValue;

use super::problem::{Parsed, Problem};
use super::sink::Span;
use super::table::Table;
use super::value::{bytes, filled_text, integer, number};
use crate::matrix::Size;
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::names;
use crate::platforms::{Catalogue, NoPlan, PriceRecord};

/// A size with where it stands.
pub(in crate::matrix) struct DescribedSize {
    pub span: Span,
    pub size: Size,
    /// The row of its plan, where the plan's name stands.
    pub plan: Option<Spanned<PriceRecord>>,
}

/// Reads one. What the table itself says wins over the plan, and so do the limits of a plan over none. A price that is too old
/// is left out; the machine that it was for is not.
pub(super) fn size(name: &str, span: &Span, mut table: Table<'_, '_>, catalogue: &Catalogue) -> DescribedSize {
    let plan = plan(&mut table, catalogue);
    let row = plan.as_ref().map(Spanned::get_ref);
    let price = table.get("price", number(*Size::PRICES.start(), *Size::PRICES.end()));
    let listed = row.filter(|row| price.is_none() && catalogue.is_usable(row));
    let size = Size {
        name: name.to_owned(),
        cpus: table.get("cpus", number(*Size::CPUS.start(), *Size::CPUS.end())).or(row.map(|row| row.cpus)),
        memory_bytes: table
            .get("memory", bytes(*Size::MEMORY_BYTES.start(), *Size::MEMORY_BYTES.end()))
            .or(row.map(|row| row.memory_bytes)),
        // Below 16 nothing that listens starts; 2^30 is the kernel's own end of `fs.nr_open`.
        nofile: table.get("nofile", integer(16, 1 << 30)),
        pids: table.get("pids", integer(1, 4_194_304)),
        price_per_month: price.or(listed.map(|row| row.price)),
        currency: listed.map(|row| row.currency.clone()),
        plan: row.map(PriceRecord::full_name),
    };
    table.finish();
    DescribedSize { span: span.clone(), size, plan }
}

/// The row of the plan that the table names.
fn plan(table: &mut Table<'_, '_>, catalogue: &Catalogue) -> Option<Spanned<PriceRecord>> {
    let plan = table.get_at("plan", |value| row(value, catalogue));
    // Which row it is depends on every file of prices.
    if let (true, Some(place)) = (table.has("plan"), table.key_span("plan")) {
        for fault in catalogue.unreadable() {
            let path = table.path("plan");
            let fault = Diagnostic::new(format!("`{path}` cannot be looked up: {fault}")).at(place.clone());
            table
                .sink()
                .fault(fault.hint("correct that file, or import the list again: `wsceiling prices import FILE`"));
        }
    }
    plan
}

fn row(value: &DeValue<'_>, catalogue: &Catalogue) -> Parsed<PriceRecord> {
    let written = filled_text(value)?;
    let found = catalogue.plan(&written).map_err(|error| match error {
        NoPlan::Unknown(unknown) => {
            let problem = Problem::new(format!("cannot be `{written}`")).label("not in the catalogue of prices");
            let nearest = names::listed(unknown.nearest.iter().map(String::as_str));
            problem.hint(format!(
                "the nearest are {nearest}; `wsceiling prices` lists all, and `wsceiling prices import FILE` adds more"
            ))
        }
        NoPlan::Regions { regions, .. } => {
            let problem = Problem::new(format!("cannot be `{written}` alone")).label("its price depends on the region");
            let shown = names::listed(regions.iter().take(REGIONS_SHOWN).map(String::as_str));
            problem.hint(format!("write one of {} with its region, like {shown}", regions.len()))
        }
    });
    found.cloned()
}

/// Regions that a hint names.
const REGIONS_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::matrix::{Loaded, parse_with};
    use crate::platforms::built_in_prices;

    const TARGET: &str = "[targets.t.process]\ncargo = \"echo\"\n[axes]\ntarget = [\"t\"]\nsize = [\"s\"]\n";

    fn load(size: &str, catalogue: &Catalogue) -> Result<Loaded, String> {
        parse_with(&format!("{TARGET}[sizes.s]\n{size}\n"), Path::new("m.toml"), catalogue)
            .map_err(|faults| faults.to_string())
    }

    fn size(text: &str, catalogue: &Catalogue) -> Size {
        load(text, catalogue).unwrap().matrix.sizes["s"].clone()
    }

    #[test]
    fn a_plan_fills_what_the_table_leaves_out() {
        let catalogue = Catalogue::on("2026-11-29");
        let all = size("plan = \"Hetzner/CX23\"", &catalogue);
        assert_eq!((all.cpus, all.memory_bytes, all.price_per_month), (Some(2.0), Some(4 << 30), Some(5.49)));
        assert_eq!((all.currency.as_deref(), all.plan.as_deref()), (Some("EUR"), Some("hetzner/cx23")));
        assert!(!all.has_own_price());
        let own = size("plan = \"hetzner/cx23\"\ncpus = 1\nmemory = \"1GiB\"\nprice = 3", &catalogue);
        assert_eq!((own.cpus, own.memory_bytes, own.price_per_month), (Some(1.0), Some(1 << 30), Some(3.0)));
        assert!(own.has_own_price() && own.currency.is_none(), "the user's price is in the user's currency");
        let rows = load("plan = \"hetzner/cx23\"", &catalogue).unwrap().matrix.prices;
        assert_eq!(rows.iter().map(PriceRecord::name).collect::<Vec<_>>(), ["hetzner/cx23"]);
        assert!(load("cpus = 1", &catalogue).unwrap().matrix.prices.is_empty());
    }

    #[test]
    fn an_unknown_plan_is_a_fault_at_its_place_with_the_nearest() {
        let said = load("plan = \"hetzner/cx24\"", &Catalogue::default()).unwrap_err();
        assert!(said.contains("`sizes.s.plan` cannot be `hetzner/cx24`") && said.contains("`hetzner/cx23`"), "{said}");
        assert!(said.contains("--> m.toml:7:8"), "{said}");
        assert!(load("plan = 3", &Catalogue::default()).unwrap_err().contains("must be a string"));
    }

    #[test]
    fn a_plan_of_several_regions_asks_for_one() {
        let row = |region: &str| PriceRecord {
            provider: "acme".into(),
            plan: "s".into(),
            region: Some(region.into()),
            ..built_in_prices()[0].clone()
        };
        let mut catalogue = Catalogue::default();
        catalogue.add([row("north"), row("south")]);
        let said = load("plan = \"acme/s\"", &catalogue).unwrap_err();
        assert!(said.contains("`acme/s@north` and `acme/s@south`"), "{said}");
        assert_eq!(size("plan = \"acme/s@south\"", &catalogue).plan.as_deref(), Some("acme/s@south"));
    }

    #[test]
    fn an_old_price_is_warned_about_and_one_over_a_year_old_is_left_out() {
        let on = |day: &str| load("plan = \"hetzner/cx23\"", &Catalogue::on(day)).unwrap();
        assert!(on("2026-11-29").warnings.is_empty());
        let old = on("2027-03-01");
        assert!(old.warnings.to_string().contains("seen 97 days before the run: it may have changed"));
        assert_eq!(old.matrix.sizes["s"].price_per_month, Some(5.49));
        let too_old = on("2027-12-01");
        assert!(too_old.warnings.to_string().contains("not used"), "{}", too_old.warnings);
        let size = &too_old.matrix.sizes["s"];
        assert_eq!((size.price_per_month, size.currency.as_ref(), size.cpus), (None, None, Some(2.0)));
        // Whoever has a price of his own needs none of the list.
        let own = load("plan = \"hetzner/cx23\"\nprice = 4", &Catalogue::on("2027-12-01")).unwrap();
        assert!(own.warnings.is_empty(), "{}", own.warnings);
    }

    #[test]
    fn a_file_of_prices_that_cannot_be_read_matters_to_who_names_a_plan() {
        let mut catalogue = Catalogue::default();
        catalogue.add_unreadable("prices/x.toml, line 3: nonsense".into());
        let said = load("plan = \"hetzner/cx23\"", &catalogue).unwrap_err();
        assert!(said.contains("prices/x.toml, line 3") && said.contains("import the list again"), "{said}");
        assert!(load("cpus = 1", &catalogue).is_ok());
    }
}

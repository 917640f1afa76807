//! The catalogue: what platforms document about their limits, and what plans cost. Data with sources, kept in files
//! (`data/platforms.toml`, and `prices/` at the top of the repository) that are part of the program, so that nothing is fetched
//! for it. A run copies the rows that it uses into its record, so that an old run renders the same when the catalogue has
//! changed.

mod age;
mod catalogue;
mod price;
mod row;

use std::sync::LazyLock;

use serde::Deserialize;

pub use age::{Age, days_between};
pub use catalogue::{Catalogue, NoPlan};
pub use price::{PriceRecord, RowFault, read_prices, write_prices};
pub use row::{EdgeAnswer, LimitKind, LimitUnit, PlatformLimit, PlatformRecord, Scope};

use crate::matrix::names;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Platforms {
    platform: Vec<PlatformRecord>,
}

const PLATFORMS: &str = include_str!("../../data/platforms.toml");
/// The files of `prices/`, a provider each.
const PRICES: [&str; 5] = [
    include_str!("../../../../prices/aws.toml"),
    include_str!("../../../../prices/digitalocean.toml"),
    include_str!("../../../../prices/hetzner.toml"),
    include_str!("../../../../prices/render.toml"),
    include_str!("../../../../prices/vultr.toml"),
];

// A test reads all files, so the defaults are never used.
static ALL_PLATFORMS: LazyLock<Vec<PlatformRecord>> =
    LazyLock::new(|| toml::from_str::<Platforms>(PLATFORMS).unwrap_or_default().platform);
static ALL_PRICES: LazyLock<Vec<PriceRecord>> =
    LazyLock::new(|| PRICES.iter().flat_map(|text| read_prices(text).unwrap_or_default()).collect());

/// A name that the catalogue does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue has no {what} `{name}` (hint: {})", hint(.nearest))]
pub struct Unknown {
    /// `platform` or `plan`.
    pub what: &'static str,
    /// The name that was asked for.
    pub name: String,
    /// The names that come nearest, the best first; all where none is near.
    pub nearest: Vec<String>,
}

fn hint(nearest: &[String]) -> String {
    format!("it knows {}", names::listed(nearest.iter().map(String::as_str)))
}

/// All platforms.
pub fn platforms() -> &'static [PlatformRecord] {
    &ALL_PLATFORMS
}

/// The prices that are part of the program.
pub fn built_in_prices() -> &'static [PriceRecord] {
    &ALL_PRICES
}

/// The platform of a name or an alias, in any case.
///
/// # Errors
/// When the catalogue has none.
pub fn platform(name: &str) -> Result<&'static PlatformRecord, Unknown> {
    platforms().iter().find(|platform| platform.is_named(name)).ok_or_else(|| {
        let all = platforms().iter().flat_map(|platform| platform.names().map(|known| (known, platform.name.as_str())));
        unknown("platform", name, all)
    })
}

/// The rows of these platforms and of those that their traffic passes, each once, for the record of a run. Names that the
/// catalogue does not have are left out: the matrix has been checked.
pub fn rows<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<PlatformRecord> {
    let mut rows: Vec<PlatformRecord> = Vec::new();
    let mut wanted: Vec<&str> = names.into_iter().collect();
    while let Some(name) = wanted.pop() {
        let Ok(platform) = platform(name) else { continue };
        if rows.iter().all(|known| known.name != platform.name) {
            rows.push(platform.clone());
            wanted.extend(platform.edges.iter().map(String::as_str));
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// Most names of a hint, unless none is near.
const NEAREST: usize = 3;
/// Most names of a hint where none is near: imported lists have hundreds.
const NAMES: usize = 20;

/// `known` are names, and what each stands for.
fn unknown<'k>(what: &'static str, name: &str, known: impl Iterator<Item = (&'k str, &'k str)>) -> Unknown {
    let lower = name.to_lowercase();
    let mut ranked: Vec<(usize, &str)> = known
        .map(|(known, stands_for)| {
            let far = strsim::damerau_levenshtein(&lower, &known.to_lowercase());
            let part = known.contains(&lower) && !lower.is_empty() || lower.contains(known);
            (if part { 0 } else { far }, stands_for)
        })
        .collect();
    ranked.sort_unstable();
    let limit = (lower.chars().count() / 2).max(1);
    let is_near = |far: usize| far <= limit;
    let near = ranked.iter().any(|(far, _)| is_near(*far));
    let mut nearest: Vec<String> = Vec::new();
    for (far, stands_for) in ranked {
        let full = nearest.len() >= NAMES || near && (nearest.len() >= NEAREST || !is_near(far));
        if !full && !nearest.iter().any(|known| known == stands_for) {
            nearest.push(stands_for.to_owned());
        }
    }
    Unknown { what, name: name.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_files_are_read_and_every_row_is_whole() {
        let platforms = toml::from_str::<Platforms>(PLATFORMS).unwrap().platform;
        let prices: Vec<PriceRecord> = PRICES.iter().flat_map(|text| read_prices(text).unwrap()).collect();
        assert!(platforms.len() >= 10 && prices.len() >= 20);
        let mut names = BTreeSet::new();
        for platform in &platforms {
            assert!(platform.names().all(|name| names.insert(name.to_owned())), "{}: a name twice", platform.name);
            for sign in &platform.signs {
                assert!(
                    crate::record::answer::HEADERS.iter().any(|(name, _)| name == sign),
                    "{sign} is never recorded"
                );
            }
            assert!(platform.edges.iter().all(|edge| super::platform(edge).is_ok()), "{}", platform.name);
            for limit in &platform.limits {
                assert!(limit.value > 0.0 && limit.unit == limit.kind.unit(), "{}: {limit:?}", platform.name);
                assert!(limit.source.len() > 5 && days_between(&limit.seen, &limit.seen) == Some(0), "{limit:?}");
            }
            for answer in &platform.answers {
                assert!(answer.status.is_some() || answer.code.is_some(), "{}: {answer:?}", platform.name);
                assert!(answer.source.len() > 5 && days_between(&answer.seen, &answer.seen) == Some(0), "{answer:?}");
            }
        }
        let mut plans = BTreeSet::new();
        for price in &prices {
            assert!(plans.insert(price.name()), "{} twice", price.name());
            assert_eq!(price.fault(), None, "{price:?}");
            assert!(price.price > 0.0 && price.memory_bytes >= 1 << 30 && price.source.len() > 5, "{price:?}");
        }
    }

    #[test]
    fn a_platform_is_known_by_any_of_its_names() {
        for name in ["railway", "Railway.app", "RAILWAY"] {
            assert_eq!(platform(name).unwrap().name, "railway");
        }
        let railway = platform("railway").unwrap();
        let most = railway.limits.iter().find(|limit| limit.kind == LimitKind::Connections).unwrap();
        assert_eq!((most.value, most.scope), (10_000.0, Scope::Domain));
    }

    #[test]
    fn a_run_copies_each_row_once_with_the_edges_before_it() {
        let rows = rows(["onrender.com", "render", "nobody"]);
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["cloudflare", "render"]);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_ones() {
        let error = platform("railwy").unwrap_err();
        assert_eq!(error.nearest, ["railway"]);
        assert_eq!(error.to_string(), "the catalogue has no platform `railwy` (hint: it knows `railway`)");
        assert!(platform("zzzzzzzzzzzzzzzzzzzz").unwrap_err().nearest.len() == platforms().len());
    }

    #[test]
    fn a_price_has_what_a_size_needs() {
        let catalogue = Catalogue::default();
        let price = catalogue.plan("hetzner/cx23").unwrap();
        assert_eq!((price.cpus, price.memory_bytes, price.price), (2.0, 4 << 30, 5.49));
        assert_eq!((price.currency.as_str(), price.dedicated), ("EUR", Some(false)));
    }

    #[test]
    fn what_a_record_has_of_the_catalogue_reads_back() {
        for platform in platforms() {
            let json = serde_json::to_string(platform).unwrap();
            assert_eq!(&serde_json::from_str::<PlatformRecord>(&json).unwrap(), platform);
        }
        for price in built_in_prices() {
            let json = serde_json::to_string(price).unwrap();
            assert_eq!(&serde_json::from_str::<PriceRecord>(&json).unwrap(), price);
        }
    }
}

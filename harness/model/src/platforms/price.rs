//! What a plan costs.

use serde::{Deserialize, Serialize};

use super::age::Age;

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

impl PriceRecord {
    /// `hetzner/cx23`
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.plan)
    }

    /// How old it was when a run started (RFC 3339).
    pub fn age(&self, started: &str) -> Age {
        Age::at(&self.seen, started)
    }
}

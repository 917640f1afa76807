//! Latency histograms: recorded by workers, sent whole, merged without loss.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use super::ipc::Histogram;
use wsceiling_model::record::Latency;

/// Largest value in microseconds for which a histogram has its place from the start.
const USUAL_US: u64 = 60_000_000;

/// Significant decimal digits of a recorded value.
const DIGITS: u8 = 3;

/// An empty histogram of microseconds. It grows for what is longer than a minute, so that nothing is cut off. Takes 139 KiB
/// of address space; pages become memory where values fall.
pub fn new() -> hdrhistogram::Histogram<u64> {
    let mut histogram =
        hdrhistogram::Histogram::new_with_bounds(1, USUAL_US, DIGITS).expect("the bounds are constant and valid");
    histogram.auto(true);
    histogram
}

impl From<&hdrhistogram::Histogram<u64>> for Histogram {
    fn from(histogram: &hdrhistogram::Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(histogram, &mut bytes).expect("a vector takes every byte");
        Self(STANDARD.encode(bytes))
    }
}

impl Histogram {
    /// The histogram of values; an empty text is a histogram without values.
    pub fn decode(&self) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
        if self.0.is_empty() {
            return Ok(new());
        }
        let bytes = STANDARD.decode(&self.0).context("read a histogram: not base64")?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| anyhow::anyhow!("read a histogram: not in HdrHistogram's V2 form: {error:?}"))
    }
}

/// The values of all of them in one.
pub fn merge<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
    let mut merged = new();
    for histogram in histograms {
        if !histogram.0.is_empty() {
            merged.add(histogram.decode()?).context("merge histograms of different bounds")?;
        }
    }
    Ok(merged)
}

/// The distribution as the record has it.
pub fn latency(merged: &hdrhistogram::Histogram<u64>) -> Latency {
    if merged.is_empty() {
        return Latency::default();
    }
    let at = |quantile: f64| Some(merged.value_at_quantile(quantile));
    Latency {
        count: merged.len(),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: Some(merged.max()),
        histogram: Some(Histogram::from(merged).0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_loses_no_value() {
        let (mut one, mut other, mut both) = (new(), new(), new());
        for value in (1..5_000).map(|step: u64| step * step) {
            one.saturating_record(value);
            other.saturating_record(value / 7);
            both.saturating_record(value);
            both.saturating_record(value / 7);
        }
        let merged = merge([&Histogram::from(&one), &Histogram::default(), &Histogram::from(&other)]).unwrap();
        assert_eq!(merged, both);
        assert_eq!(latency(&merged).count, 9_998);
        assert_eq!(Histogram(latency(&merged).histogram.unwrap()).decode().unwrap(), both);
    }

    #[test]
    fn what_takes_longer_than_a_minute_is_not_cut_off() {
        let mut long = new();
        long.record(7_200_000_000).unwrap();
        let merged = merge([&Histogram::from(&new()), &Histogram::from(&long)]).unwrap();
        assert!(latency(&merged).max_us.unwrap() >= 7_200_000_000);
    }

    #[test]
    fn no_value_is_an_empty_text_and_no_percentile() {
        assert_eq!(Histogram::from(&new()), Histogram::default());
        assert_eq!(latency(&merge([&Histogram::default()]).unwrap()), Latency::default());
    }

    #[test]
    fn broken_text_is_an_error() {
        assert!(Histogram("?".to_owned()).decode().is_err());
        assert!(Histogram("AAAA".to_owned()).decode().is_err());
        assert!(merge([&Histogram("HISTFAAA".to_owned())]).is_err());
    }
}

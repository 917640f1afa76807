//! Numbers in words, for sentences and evidence.

use wsceiling_model::record::Metric;

pub(crate) use wsceiling_model::format::{bytes, connections, micros, number as short, percent, whole as count};

/// A stage of a front by its kind, as the subject of a sentence.
pub(crate) fn front(kind: &str) -> &str {
    match kind {
        "relay" => "the relay",
        "balancer" => "the balancer",
        "docker-publish" => "Docker's userland proxy",
        program => program,
    }
}

/// A sampled number with its unit.
pub(crate) fn metric(metric: Metric, value: f64) -> String {
    match metric.name() {
        name if name.contains("_bytes") => bytes(value),
        name if name.contains("_us") => micros(value),
        name if name.ends_with("_ratio") => percent(value),
        name if name.ends_with("_percent") => format!("{} %", short(value)),
        name if name.ends_with("_pages") => format!("{} pages", count(value)),
        _ => count(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(metric(Metric::DescriptorLimit, 20_000.0), "20,000");
        assert_eq!(metric(Metric::PsiCpuSome, 38.94), "38.9 %");
    }
}

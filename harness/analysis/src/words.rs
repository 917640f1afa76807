//! Numbers in words, for sentences and evidence.

use wsceiling_model::record::Metric;

/// `12,345`.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

/// `512 MiB`, `36.7 KiB`, `12 B`.
pub(crate) fn bytes(value: f64) -> String {
    let mut scaled = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled.abs() < 1024.0 {
            return format!("{} {unit}", short(scaled));
        }
        scaled /= 1024.0;
    }
    format!("{} TiB", short(scaled))
}

/// `41 %`.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{} %", short(ratio * 100.0))
}

/// Microseconds as `312 us`, `41.5 ms`, `3.2 s`.
pub(crate) fn micros(value: f64) -> String {
    match value.abs() {
        v if v < 1e3 => format!("{} us", short(value)),
        v if v < 1e6 => format!("{} ms", short(value / 1e3)),
        _ => format!("{} s", short(value / 1e6)),
    }
}

/// At most one decimal, and none from 100 on or where it is 0.
pub(crate) fn short(value: f64) -> String {
    let text = if value.abs() >= 100.0 { count(value) } else { format!("{value:.1}") };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

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

/// `1 connection`, `2,000 connections`.
pub(crate) fn connections(value: f64) -> String {
    if count(value) == "1" { "1 connection".into() } else { format!("{} connections", count(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(-999.6), "-1,000");
        assert_eq!(bytes(67_108_864.0), "64 MiB");
        assert_eq!(bytes(36_700.0), "35.8 KiB");
        assert_eq!(percent(0.0418), "4.2 %");
        assert_eq!(micros(41_500.0), "41.5 ms");
        assert_eq!(micros(10_300_000.0), "10.3 s");
        assert_eq!(metric(Metric::DescriptorLimit, 20_000.0), "20,000");
        assert_eq!(metric(Metric::PsiCpuSome, 38.94), "38.9 %");
        assert_eq!(connections(1.0), "1 connection");
    }
}

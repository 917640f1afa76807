//! OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus and the textfile collector
//! of its node exporter read. Written here, since the known crates keep samples in the order of a hash and do not escape
//! labels: the same findings must give the same bytes, and names come from others.

use std::fmt::Write as _;

/// Names and values of labels, in the order in which they are written.
pub type Labels = Vec<(&'static str, String)>;

/// Samples of one name; all are gauges.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name; the unit is its last word.
    pub name: &'static str,
    /// The unit; empty: none.
    pub unit: &'static str,
    /// What it is, a sentence.
    pub help: &'static str,
    /// Labels and values. A value that is no number is left out.
    pub samples: Vec<(Labels, f64)>,
}

/// When a run started.
pub(super) fn start(started: &str, run: &str) -> Family {
    let seconds = started.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond() as f64 / 1e3);
    Family {
        name: "wsceiling_run_start_seconds",
        unit: "seconds",
        help: "Start of the run, since 1970.",
        samples: seconds.map(|seconds| (vec![("run", run.to_owned())], seconds)).into_iter().collect(),
    }
}

/// The text. Families without samples are left out.
pub(super) fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for Family { name, unit, help, samples } in families {
        let samples: Vec<_> = samples.iter().filter(|(_, value)| value.is_finite()).collect();
        if samples.is_empty() {
            continue;
        }
        let _ = writeln!(out, "# TYPE {name} gauge");
        if !unit.is_empty() {
            let _ = writeln!(out, "# UNIT {name} {unit}");
        }
        let _ = writeln!(out, "# HELP {name} {}", escape(help));
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
    out.push_str("# EOF\n");
    out
}

/// Backslash, quote and line feed; a carriage return and other control characters have no escape and become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_quotes_and_what_is_no_number_is_left_out() {
        let family = |name, samples| Family { name, unit: "", help: "What it is.", samples };
        let hostile = vec![("cell", "a\"} 1\nb\\\r".to_owned())];
        let found = text(&[
            family("a", vec![(hostile, 0.5), (vec![], f64::NAN)]),
            family("b", vec![(vec![], f64::INFINITY)]),
            Family { unit: "bytes", ..family("c_bytes", vec![(vec![], 12_345_678_901.0)]) },
        ]);
        let expected = "# TYPE a gauge\n# HELP a What it is.\na{cell=\"a\\\"} 1\\nb\\\\ \"} 0.5\n\
                        # TYPE c_bytes gauge\n# UNIT c_bytes bytes\n# HELP c_bytes What it is.\nc_bytes 12345678901\n# EOF\n";
        assert_eq!(found, expected);
    }

    #[test]
    fn a_start_that_is_no_time_has_no_sample() {
        assert!((start("2026-11-24T03:17:05Z", "a").samples[0].1 - 1_795_490_225.0).abs() < 0.5);
        assert!(start("yesterday", "a").samples.is_empty());
    }
}

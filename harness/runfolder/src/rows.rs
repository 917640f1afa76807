//! Rows of `samples.csv`: `trial,t_ms,component,` and then a column for every [`Metric`]. An empty field is a number that
//! could not be read.

use std::io::Write as _;

use super::{Component, Metric, Sample};
use wsceiling_model::plan::TrialId;

/// Columns before the metrics.
pub(super) const FIXED: [&str; 3] = ["trial", "t_ms", "component"];

/// The header line with its newline.
pub(super) fn header() -> String {
    let mut names: Vec<&str> = FIXED.to_vec();
    names.extend(Metric::ALL.iter().map(|metric| metric.name()));
    names.join(",") + "\n"
}

/// Appends a row for each sample.
pub(super) fn write(out: &mut Vec<u8>, trial: &TrialId, samples: &[Sample]) {
    let trial = trial.to_string();
    let mut row = vec![None; Metric::ALL.len()];
    for sample in samples {
        row.fill(None);
        for (metric, value) in &sample.values {
            row[*metric as usize] = value.is_finite().then_some(*value);
        }
        out.extend_from_slice(trial.as_bytes());
        out.push(b',');
        number(out, sample.t_ms);
        out.push(b',');
        // Writing into a `Vec` cannot fail.
        let _ = write!(out, "{}", sample.component);
        for value in &row {
            out.push(b',');
            if let Some(value) = value {
                number(out, *value);
            }
        }
        out.push(b'\n');
    }
}

/// The shortest text that reads back as the same number, without an exponent.
fn number(out: &mut Vec<u8>, value: f64) {
    // 2^53: above it not every integer is a float, and the general form is right as well.
    let _ = if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value}")
    };
}

/// Which metric each column of a file is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns(Vec<Option<Metric>>);

impl Columns {
    /// Reads a header; columns of unknown names are passed over (the validator reports them).
    pub(super) fn parse<'a>(mut names: impl Iterator<Item = &'a [u8]>) -> Result<Self, String> {
        for expected in FIXED {
            match names.next() {
                Some(name) if name == expected.as_bytes() => {}
                other => {
                    let found = other.map_or_else(|| "nothing".to_owned(), |name| format!("`{}`", lossy(name)));
                    return Err(format!("column `{expected}` expected, found {found}"));
                }
            }
        }
        Ok(Self(names.map(|name| std::str::from_utf8(name).ok().and_then(Metric::from_name)).collect()))
    }

    /// Fields that a row must have.
    pub(super) fn width(&self) -> usize {
        self.0.len() + FIXED.len()
    }

    /// Fills `sample` from a row, reusing its memory.
    pub(super) fn read(&self, row: &csv::ByteRecord, sample: &mut Sample) -> Result<(), String> {
        if row.len() != self.width() {
            return Err(format!("{} fields expected, found {}", self.width(), row.len()));
        }
        sample.t_ms = float(&row[1]).ok_or_else(|| format!("t_ms is not a number: `{}`", lossy(&row[1])))?;
        sample.component = component(&row[2])?;
        sample.values.clear();
        let mut fields = row.iter();
        for _ in FIXED {
            fields.next();
        }
        for (field, metric) in fields.zip(&self.0) {
            let (Some(metric), false) = (metric, field.is_empty()) else { continue };
            let value = float(field).ok_or_else(|| format!("{} is not a number: `{}`", metric.name(), lossy(field)))?;
            sample.values.push((*metric, value));
        }
        Ok(())
    }
}

fn component(field: &[u8]) -> Result<Component, String> {
    std::str::from_utf8(field).map_err(|_| "component is not text".to_owned())?.parse()
}

/// A finite number. Most are counters, for which no general parser is needed: below 10^15 every integer is exact.
fn float(field: &[u8]) -> Option<f64> {
    if (1..=15).contains(&field.len()) && field.iter().all(u8::is_ascii_digit) {
        return Some(field.iter().fold(0, |value: u64, digit| value * 10 + u64::from(digit - b'0')) as f64);
    }
    std::str::from_utf8(field).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// At most 40 characters of a field, for messages.
pub(super) fn lossy(field: &[u8]) -> String {
    String::from_utf8_lossy(field).chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Length of the file up to and including its last newline: what follows was torn off while it was written.
pub(super) fn whole_len(file: &mut std::fs::File) -> std::io::Result<u64> {
    use std::io::{Read, Seek, SeekFrom};
    let mut end = file.metadata()?.len();
    let mut block = vec![0; 64 * 1024];
    while end > 0 {
        let from = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(text: &[u8]) -> Vec<Sample> {
        let mut reader = csv::ReaderBuilder::new().quoting(false).from_reader(text);
        let columns = Columns::parse(reader.byte_headers().unwrap().iter()).unwrap();
        reader
            .byte_records()
            .map(|row| {
                let mut sample = Sample { t_ms: 0.0, component: Component::Host, values: vec![] };
                columns.read(&row.unwrap(), &mut sample).unwrap();
                sample
            })
            .collect()
    }

    #[test]
    fn the_documentation_describes_every_column_as_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/record-format.md");
        let text = std::fs::read_to_string(path).unwrap();
        for metric in Metric::ALL {
            let row = format!("| `{}` | {} |", metric.name(), metric.describe());
            assert!(text.contains(&row), "docs/record-format.md lacks the row {row}");
        }
    }

    #[test]
    fn a_missing_number_is_an_empty_field() {
        let mut out = Vec::new();
        let trial = TrialId::new("echo", 1);
        let values = vec![(Metric::CpuUsage, 1e20), (Metric::BusiestThread, 0.25), (Metric::Lag, f64::NAN)];
        write(&mut out, &trial, &[Sample { t_ms: 250.5, component: Component::Instance(3), values }]);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("echo.1,250.5,instance-3,100000000000000000000,,,,0.25,"), "{text}");
        assert!(text.ends_with(",\n"), "NaN is missing: {text}");
    }

    proptest! {
        #[test]
        fn every_finite_number_reads_back_as_itself(
            t_ms in 0.0..1e9_f64,
            numbers in proptest::collection::btree_map(0..Metric::ALL.len(), any::<f64>(), 0..20),
        ) {
            let values: Vec<_> = numbers.into_iter().filter(|(_, v)| v.is_finite())
                .map(|(at, v)| (Metric::ALL[at], v)).collect();
            let sample = Sample { t_ms, component: Component::Generator, values };
            let mut out = header().into_bytes();
            write(&mut out, &TrialId::new("a", 2), std::slice::from_ref(&sample));
            prop_assert_eq!(read_back(&out), vec![sample]);
        }
    }
}

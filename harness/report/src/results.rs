//! `results.csv`: the verdict table for other programs, a row a cell. Names end in units; what is not known is empty.

use super::{RenderError, describe};
use wsceiling_analysis::{CellFindings, Cost, Findings};

const COLUMNS: [&str; 33] = [
    "cell",
    "target",
    "runtime",
    "instances",
    "size",
    "scenario",
    "outcome",
    "ceiling_connections",
    "ceiling_low_connections",
    "ceiling_high_connections",
    "at_least",
    "peak_connections",
    "trials_valid",
    "trials",
    "cause",
    "confidence",
    "memory_bytes_per_connection",
    "memory_bytes_per_connection_low",
    "memory_bytes_per_connection_high",
    "memory_baseline_bytes",
    "cpu_microcores_per_connection",
    "cpu_microcores_per_connection_low",
    "cpu_microcores_per_connection_high",
    "cpu_baseline_microcores",
    "cpu_us_per_open",
    "cpu_us_per_open_low",
    "cpu_us_per_open_high",
    "price_per_month_of_an_instance",
    "connections_per_price",
    "price_per_month_of_1000_connections",
    "reason",
    "hint",
    "repeat_command",
];

/// The table as text.
pub fn table(findings: &Findings) -> Result<String, RenderError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for cell in &findings.cells {
        writer.write_record(row(findings, cell))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(findings: &Findings, found: &CellFindings) -> Vec<String> {
    let cell = &found.cell;
    let mut row = vec![
        cell.id.clone(),
        text(Some(&cell.target)),
        cell.runtime.to_string(),
        cell.instances.to_string(),
        text(cell.size.as_deref()),
        cell.scenario.to_string(),
        describe::badge(found.outcome).slug.to_owned(),
    ];
    let ceiling = found.ceiling.as_ref();
    row.extend([
        ceiling.map(|ceiling| ceiling.connections.to_string()).unwrap_or_default(),
        ceiling.map(|ceiling| ceiling.low.to_string()).unwrap_or_default(),
        ceiling.and_then(|ceiling| ceiling.high).map(|high| high.to_string()).unwrap_or_default(),
        ceiling.map(|ceiling| ceiling.at_least.to_string()).unwrap_or_default(),
        ceiling.map(|ceiling| ceiling.peak.to_string()).unwrap_or_default(),
        ceiling.map(|ceiling| ceiling.valid.to_string()).unwrap_or_default(),
        found.trials.len().to_string(),
        text(found.verdict.as_ref().map(|verdict| verdict.cause.name())),
        number(found.verdict.as_ref().map(|verdict| verdict.confidence)),
    ]);
    row.extend(cost(found.memory_per_connection.as_ref(), true));
    row.extend(cost(found.cpu_per_connection.as_ref(), true));
    row.extend(cost(found.cpu_per_open.as_ref(), false));
    row.extend([
        number(found.size.as_ref().and_then(|size| size.price_per_month)),
        number(found.connections_per_price),
        number(describe::price_per_thousand(found)),
        text(found.reason.as_deref()),
        text(found.hint.as_ref().map(ToString::to_string).as_deref()),
        text(Some(&describe::command(findings, Some(cell)))),
    ]);
    row
}

fn cost(cost: Option<&Cost>, with_baseline: bool) -> Vec<String> {
    let interval = cost.and_then(|cost| cost.interval);
    let mut row = vec![
        number(cost.map(|cost| cost.per_connection)),
        number(interval.map(|(low, _)| low)),
        number(interval.map(|(_, high)| high)),
    ];
    if with_baseline {
        row.push(number(cost.map(|cost| cost.baseline)));
    }
    row
}

/// The shortest text that reads back as the same number; empty where it is not known.
fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// Text in one line; one that a spreadsheet would take for a formula is quoted, since it may come from a server's log.
fn text(text: Option<&str>) -> String {
    let text = super::text::one_line(text.unwrap_or_default());
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_never_a_formula_and_nonsense_is_empty() {
        assert_eq!(text(Some("=HYPERLINK(\"http://x\")")), "'=HYPERLINK(\"http://x\")");
        assert_eq!(text(Some("plain\ntext")), "plain text");
        assert_eq!(number(Some(f64::NAN)), "");
        assert_eq!(number(Some(0.1)), "0.1");
    }
}

//! `results.csv`: the verdict table for other programs, a row a cell. Names end in units; what is not known is empty.

use super::{RenderError, describe};
use wsceiling_analysis::{CellFindings, Check, CpuCost, Estimate, Findings, MemoryCost};
use wsceiling_model::record::PriceRecord;

const COLUMNS: [&str; 56] = [
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
    "memory_growth_bytes_per_s",
    "memory_growth_bytes_per_message",
    "memory_linear_up_to_connections",
    "memory_held_out_error_ratio",
    "messages_per_s_of_a_connection",
    "cpu_microcores_per_connection",
    "cpu_microcores_per_connection_low",
    "cpu_microcores_per_connection_high",
    "cpu_microcores_per_idle_connection",
    "cpu_microcores_per_idle_connection_low",
    "cpu_microcores_per_idle_connection_high",
    "cpu_us_per_message",
    "cpu_us_per_message_low",
    "cpu_us_per_message_high",
    "cpu_ms_per_1000_openings",
    "cpu_ms_per_1000_openings_low",
    "cpu_ms_per_1000_openings_high",
    "cpu_baseline_microcores",
    "cpu_baseline_microcores_low",
    "cpu_baseline_microcores_high",
    "cpu_microcores_per_connection_as_driven",
    "messages_per_s_of_a_connection_as_driven",
    "cpu_linear_up_to_connections",
    "cpu_held_out_error_ratio",
    "cpu_residual_error_ratio",
    "price_per_month_of_an_instance",
    "connections_per_price",
    "price_per_month_of_1000_connections",
    "price_currency",
    "price_plan",
    "price_seen",
    "trials_agree",
    "endings",
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
        text(Some(&cell.id)),
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
    row.extend(memory(found.memory.as_ref()));
    row.extend(cpu(found.cpu.as_ref()));
    let listed = found.price.as_ref().and_then(|price| price.row.as_ref());
    row.extend([
        number(found.price.as_ref().map(|price| price.per_month)),
        number(found.connections_per_price),
        number(describe::price_per_thousand(found)),
        text(listed.map(|row| row.currency.as_str())),
        text(listed.map(PriceRecord::full_name).as_deref()),
        text(listed.map(|row| row.seen.as_str())),
        describe::agree(found).to_string(),
        text(Some(&describe::endings(found))),
        text(found.reason.as_deref()),
        text(found.hint.as_ref().map(ToString::to_string).as_deref()),
        text(Some(&describe::command(findings, Some(cell)))),
    ]);
    row
}

fn memory(memory: Option<&MemoryCost>) -> Vec<String> {
    let growth = memory.and_then(|memory| memory.growth);
    let check = memory.map(|memory| memory.check);
    let mut row = estimate(memory.map(|memory| memory.per_connection));
    row.extend([
        number(memory.map(|memory| memory.baseline)),
        number(growth.map(|growth| growth.bytes_per_second)),
        number(growth.map(|growth| growth.bytes_per_message)),
        linear_up_to(check),
        number(check.and_then(|check| check.held_out)),
    ]);
    row
}

fn cpu(cpu: Option<&CpuCost>) -> Vec<String> {
    let pick = |pick: fn(&CpuCost) -> Option<Estimate>| estimate(cpu.and_then(pick));
    let (check, together) = (cpu.map(|cpu| cpu.check), cpu.and_then(|cpu| cpu.together));
    let mut row = vec![number(cpu.map(|cpu| cpu.configured.messages_per_s))];
    row.extend(pick(|cpu| cpu.per_connection));
    row.extend(pick(|cpu| cpu.idle));
    row.extend(pick(|cpu| cpu.message));
    // Microseconds of one are milliseconds of a thousand.
    row.extend(pick(|cpu| cpu.opening));
    row.extend(pick(|cpu| cpu.baseline));
    row.extend([
        number(together.map(|together| together.cost.value)),
        number(together.map(|together| together.messages_per_s)),
        linear_up_to(check),
        number(check.and_then(|check| check.held_out)),
        number(check.and_then(|check| check.residual)),
    ]);
    row
}

/// Value, low and high.
fn estimate(found: Option<Estimate>) -> Vec<String> {
    let interval = found.and_then(|found| found.interval);
    vec![
        number(found.map(|found| found.value)),
        number(interval.map(|(low, _)| low)),
        number(interval.map(|(_, high)| high)),
    ]
}

/// Empty where the cost is linear as far as the steps go.
fn linear_up_to(check: Option<Check>) -> String {
    let knee = check.and_then(|check| check.knee);
    knee.map(|knee| knee.linear_up_to.to_string()).unwrap_or_default()
}

/// The shortest text that reads back as the same number; empty where it is not known.
pub fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// Text in one line; one that a spreadsheet would take for a formula is quoted, since it may come from a server's log.
pub fn text(text: Option<&str>) -> String {
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

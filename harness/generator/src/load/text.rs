//! The outcome for a person.

use std::fmt::Write as _;

use super::close::Closing;
use super::outcome::Outcome;
use crate::client::Expect;
use wsceiling_model::format::{self, count as grouped};
use wsceiling_model::matrix::Scenario;

/// Errors that are shown; the JSON form has all.
const ERRORS_MAX: usize = 12;

/// Writes the whole outcome.
pub fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing into memory does not fail.
    let _ = write_all(&mut text, outcome);
    text
}

fn write_all(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(text, "{}", outcome.verdict)?;
    writeln!(text)?;
    line(text, "server", &server(outcome))?;
    match (outcome.assumptions.first(), outcome.request.expect) {
        (Some(assumption), _) => line(text, "answers", assumption.trim_start_matches("answers: "))?,
        (None, Some(expect)) => line(text, "answers", answers(expect))?,
        (None, None) => {}
    }
    let counts = &outcome.connections;
    line(
        text,
        "connections",
        &format!(
            "{} opened of {} asked for, {} failed, {} lost; at the end {} open, {} held",
            grouped(counts.opened),
            grouped(counts.wanted()),
            grouped(counts.failed),
            grouped(counts.lost),
            grouped(counts.open),
            grouped(counts.held)
        ),
    )?;
    if counts.issued < counts.wanted() {
        line(text, "", &format!("{} of the asked for were never tried", grouped(counts.wanted() - counts.issued)))?;
    }
    let also = match outcome.request.scenario {
        Some(Scenario::Churn) => ", replacements included,",
        _ => "",
    };
    let (achieved, requested) = (outcome.rate.achieved_per_s, outcome.rate.requested_per_s);
    line(text, "rate", &format!("{achieved:.0}/s opened{also} of {requested:.0}/s asked for"))?;
    line(text, "messages", &messages(outcome))?;
    if outcome.messages.probes > 0 {
        line(text, "probes", &probes(outcome))?;
    }
    write_latencies(text, outcome)?;
    if outcome.stages.len() > 1 {
        write_stages(text, outcome)?;
    }
    write_errors(text, outcome)?;
    if let Some(closing) = &outcome.closing {
        line(text, "closing", &closed(closing))?;
    }
    for part in &outcome.server {
        line(text, &part.part, &part.to_string())?;
        line(text, "", &format!("  from {}", part.sources.join(", ")))?;
    }
    for note in &outcome.server_notes {
        line(text, "note", note)?;
    }
    line(text, "generator", &outcome.own.statement)?;
    line(text, "", &own_numbers(outcome))?;
    writeln!(text)?;
    for judged in &outcome.gates {
        writeln!(text, "{judged}")?;
    }
    Ok(())
}

fn line(text: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(text, "{name:<12} {value}")
}

fn server(outcome: &Outcome) -> String {
    let mut text = outcome.url.clone();
    let used: Vec<_> = outcome.addresses.iter().filter(|address| address.address.used).collect();
    match used.as_slice() {
        [only] => {
            let _ = write!(text, " at {}", only.address.address);
        }
        several => {
            for one in several {
                let _ = write!(text, ", {} open at {}", grouped(one.open), one.address.address);
            }
        }
    }
    if let Some(tls) = &outcome.tls {
        let _ = write!(text, " ({tls})");
    }
    text
}

fn answers(expect: Expect) -> &'static str {
    match expect {
        Expect::Echo => "the same message, and no other may come",
        Expect::Among => "the same message, among others",
        Expect::Any => "any message",
        Expect::None => "pongs; each message is followed by a ping",
        Expect::Mirror => "none; every message is sent back",
    }
}

fn messages(outcome: &Outcome) -> String {
    let counts = &outcome.messages;
    let mut text = format!(
        "{} answered of {} due ({:.0}/s of {:.0}/s), {} sent",
        grouped(counts.answered),
        grouped(counts.due),
        counts.answered_per_s,
        counts.due_per_s,
        grouped(counts.sent)
    );
    if counts.unasked > 0 {
        let _ = write!(text, "; {} more came unasked", grouped(counts.unasked));
    }
    text
}

fn probes(outcome: &Outcome) -> String {
    let counts = &outcome.messages;
    format!(
        "{} answered of {} sent after the holds, to connections that were not answered in them",
        grouped(counts.probes_answered),
        grouped(counts.probes)
    )
}

fn write_latencies(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let rows = [
        ("connect", &outcome.latency.connect),
        ("tls", &outcome.latency.tls),
        ("handshake", &outcome.latency.handshake),
        ("reply", &outcome.latency.reply),
        ("probe", &outcome.latency.probe),
    ];
    if rows.iter().all(|(_, latency)| latency.count == 0) {
        return Ok(());
    }
    let rows = rows.into_iter().filter(|(name, latency)| !matches!(*name, "tls" | "probe") || latency.count > 0);
    writeln!(text, "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10}", "latency", "p50", "p90", "p99", "p99.9", "max")?;
    for (name, row) in rows {
        let cell = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), latency);
        write!(text, "  {name:<10}")?;
        for value in [row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.max_us] {
            write!(text, " {:>10}", cell(value))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_stages(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    writeln!(
        text,
        "{:<12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "stages", "to", "open", "held", "failed", "lost", "reply p99"
    )?;
    for stage in &outcome.stages {
        let p99 = stage.reply.p99_us.or(stage.probe.p99_us).map_or_else(|| "-".to_owned(), latency);
        let [to, open, held, failed, lost] =
            [u64::from(stage.to), stage.open, stage.held, stage.failed, stage.lost].map(grouped);
        let note = if stage.held_to_its_end { "" } else { "  (ended before its hold)" };
        writeln!(text, "{:<12} {to:>9} {open:>9} {held:>9} {failed:>9} {lost:>9} {p99:>10}{note}", "")?;
    }
    Ok(())
}

fn write_errors(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let (retried, errors): (Vec<_>, Vec<_>) = outcome.errors.iter().partition(|error| error.is_retried());
    for (index, error) in errors.iter().take(ERRORS_MAX).enumerate() {
        let name = if index == 0 { "errors" } else { "" };
        let seconds = error.tally.first_ms as f64 / 1000.0;
        let what = format!("{} x {} (first after {seconds:.1} s)", grouped(error.tally.count), error.describe());
        line(text, name, &what)?;
        if let Some(hint) = error.hint {
            line(text, "", &format!("  hint: {hint}"))?;
        }
    }
    if errors.len() > ERRORS_MAX {
        line(text, "", &format!("and {} other causes (--format json has all)", errors.len() - ERRORS_MAX))?;
    }
    for error in retried {
        line(text, "retried", &format!("{} x {}", grouped(error.tally.count), error.describe()))?;
    }
    Ok(())
}

fn closed(closing: &Closing) -> String {
    let Closing { asked, answered, lost, took_s } = closing;
    let mut text = if answered == asked {
        format!("{} close frames sent, all answered, in {took_s:.1} s", grouped(*asked))
    } else {
        format!(
            "{} close frames sent, {} answered within 1 s, the others cut off, in {took_s:.1} s",
            grouped(*asked),
            grouped(*answered)
        )
    };
    if *lost > 0 {
        let _ = write!(text, "; {} ended before", grouped(*lost));
    }
    text
}

fn own_numbers(outcome: &Outcome) -> String {
    let own = &outcome.own;
    let mut parts = vec![format!("{} worker{}", own.workers.workers, if own.workers.workers == 1 { "" } else { "s" })];
    if let Some(cpu) = own.cpu_s {
        parts.push(format!("{cpu:.2} s of CPU"));
    }
    if let Some(bytes) = own.memory_bytes {
        parts.push(format!("{:.1} MB at most", bytes as f64 / 1e6));
    }
    if let Some(bytes) = own.memory_per_connection_bytes {
        parts.push(format!("{:.2} KB of user memory per connection", bytes / 1000.0));
    }
    if let Some(max) = own.lag.max_us {
        parts.push(format!("lag at most {}", latency(max)));
    }
    parts.join(", ")
}

fn latency(us: u64) -> String {
    format::micros(us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_outcome_is_still_shown() {
        assert!(render(&Outcome::default()).contains("0 opened of 0"));
    }
}

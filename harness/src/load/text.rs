//! The outcome for a person.

use std::fmt::Write as _;

use super::hints::RETRIED;
use super::outcome::{Ended, ErrorSummary, Outcome};
use crate::matrix::units::grouped;
use crate::record::Stage;
use crate::run::drive::client::Expect;

/// Errors that are shown; the JSON form has all.
const ERRORS_MAX: usize = 12;

/// Share of a core from which on a worker has itself to blame for its lag.
const BUSY: f64 = 0.7;

/// Causes that the verdict names.
const CAUSES_MAX: usize = 3;

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
    line(
        text,
        "rate",
        &format!("{:.0}/s opened of {:.0}/s asked for", outcome.rate.achieved_per_s, outcome.rate.requested_per_s),
    )?;
    line(text, "messages", &messages(outcome))?;
    write_latencies(text, outcome)?;
    if outcome.stages.len() > 1 {
        write_stages(text, outcome)?;
    }
    write_errors(text, outcome)?;
    line(text, "generator", &outcome.own.statement)?;
    line(text, "", &own_numbers(outcome))?;
    writeln!(text)?;
    for judged in &outcome.thresholds {
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

fn write_latencies(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let rows = [
        ("connect", &outcome.latency.connect),
        ("handshake", &outcome.latency.handshake),
        ("reply", &outcome.latency.reply),
    ];
    if rows.iter().all(|(_, latency)| latency.count == 0) {
        return Ok(());
    }
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
        let p99 = stage.reply.p99_us.map_or_else(|| "-".to_owned(), latency);
        let [to, open, held, failed, lost] =
            [u64::from(stage.to), stage.open, stage.held, stage.failed, stage.lost].map(grouped);
        let note = if stage.held_to_its_end { "" } else { "  (ended before its hold)" };
        writeln!(text, "{:<12} {to:>9} {open:>9} {held:>9} {failed:>9} {lost:>9} {p99:>10}{note}", "")?;
    }
    Ok(())
}

fn write_errors(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let (retried, errors): (Vec<_>, Vec<_>) = outcome.errors.iter().partition(|error| is_retried(error));
    for (index, error) in errors.iter().take(ERRORS_MAX).enumerate() {
        let name = if index == 0 { "errors" } else { "" };
        let seconds = error.tally.first_ms as f64 / 1000.0;
        let what = format!("{} x {} (first after {seconds:.1} s)", grouped(error.tally.count), named(error));
        line(text, name, &what)?;
        if let Some(hint) = error.hint {
            line(text, "", &format!("  hint: {hint}"))?;
        }
    }
    if errors.len() > ERRORS_MAX {
        line(text, "", &format!("and {} other causes (--format json has all)", errors.len() - ERRORS_MAX))?;
    }
    for error in retried {
        line(text, "retried", &format!("{} x {}", grouped(error.tally.count), named(error)))?;
    }
    Ok(())
}

/// Another source port was taken, and nothing failed.
fn is_retried(error: &ErrorSummary) -> bool {
    error.tally.cause.ends_with(RETRIED)
}

/// A cause with its stage.
fn named(error: &ErrorSummary) -> String {
    let stage = match error.tally.stage {
        Stage::Socket => "socket",
        Stage::Bind => "bind",
        Stage::Connect => "connect",
        Stage::Handshake => "handshake",
        Stage::Open => "open",
    };
    format!("{stage}: {}", error.tally.cause)
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

/// Whether the generator was the limit, in a sentence.
pub fn own_statement(outcome: &Outcome) -> String {
    let own = &outcome.own;
    if let Some(why) = failed_itself(outcome) {
        return format!("the generator itself failed: {why}");
    }
    let mut facts = Vec::new();
    if let Some(ratio) = own.cpu_ratio {
        let busiest = own
            .busiest_worker_ratio
            .map_or_else(String::new, |busiest| format!(" (its busiest worker {:.0} %)", busiest * 100.0));
        facts.push(format!("used {:.0} % of a core{busiest}", ratio * 100.0));
    }
    if let Some(p99) = own.lag.p99_us {
        facts.push(format!("lag p99 {}", latency(p99)));
    }
    if facts.is_empty() {
        facts.push("did nothing that could be measured".to_owned());
    }
    let facts = facts.join(", ");
    if !own.limited_by.is_empty() {
        // Late without being busy: others have the cores, often the server that is measured.
        let starved = own.busiest_worker_ratio.is_some_and(|ratio| ratio < BUSY);
        let advice = if starved {
            "other programs kept it from the cores: fewer of them, or another machine"
        } else {
            "more of --workers, or a lower rate"
        };
        return format!("the generator {facts}: it was a limit itself: {} (hint: {advice})", own.limited_by.join("; "));
    }
    let late =
        own.lag.p99_us.zip(outcome.latency.reply.p99_us).is_some_and(|(lag, reply)| lag * 4 > reply && lag > 1000);
    if late {
        return format!("the generator {facts}: it was not the limit, but its lag is part of the latencies");
    }
    format!("the generator {facts}: it was not the limit")
}

fn failed_itself(outcome: &Outcome) -> Option<&str> {
    match &outcome.ended {
        Ended::GeneratorFailed(why) => Some(why),
        _ => None,
    }
}

/// The outcome in a sentence.
pub fn verdict(outcome: &Outcome) -> String {
    let mut text = match &outcome.ended {
        Ended::Complete => String::new(),
        Ended::Interrupted => "interrupted: ".to_owned(),
        Ended::MaxDuration => "ended by --max-duration: ".to_owned(),
        Ended::GeneratorFailed(why) => format!("the generator itself failed ({why}); what is known: "),
    };
    text.push_str(&what_happened(outcome));
    if !outcome.own.limited_by.is_empty() {
        text.push_str("; the generator was a limit itself");
    }
    let failed: Vec<_> = outcome.thresholds.iter().filter(|judged| !judged.passed).collect();
    if outcome.thresholds.is_empty() {
        return text;
    }
    let _ = match failed.as_slice() {
        [] => write!(text, "; every threshold is met"),
        some => write!(text, "; {} of {} thresholds not met", some.len(), outcome.thresholds.len()),
    };
    text
}

fn what_happened(outcome: &Outcome) -> String {
    let counts = &outcome.connections;
    let wanted = counts.wanted();
    let of = |stages: fn(Stage) -> bool| {
        let causes: Vec<_> =
            outcome.errors.iter().filter(|error| stages(error.tally.stage) && !is_retried(error)).collect();
        match causes.as_slice() {
            [] => "no cause known".to_owned(),
            [only] => only.tally.cause.clone(),
            several => {
                let mut listed: Vec<_> = several
                    .iter()
                    .take(CAUSES_MAX)
                    .map(|error| format!("{} ({})", named(error), grouped(error.tally.count)))
                    .collect();
                if several.len() > CAUSES_MAX {
                    listed.push(format!("and {} more causes", several.len() - CAUSES_MAX));
                }
                listed.join(", ")
            }
        }
    };
    let before = |stage: Stage| stage != Stage::Open;
    let after = |stage: Stage| stage == Stage::Open;
    let mut parts = Vec::new();
    if counts.failed > 0 {
        parts.push(format!("{} of {} connects failed: {}", grouped(counts.failed), grouped(wanted), of(before)));
    } else if counts.opened == wanted && wanted > 0 {
        parts.push(format!("all {} connections opened", grouped(wanted)));
    } else {
        parts.push(format!("{} of {} connections opened", grouped(counts.opened), grouped(wanted)));
    }
    if counts.lost > 0 {
        parts.push(format!("{} of {} were lost: {}", grouped(counts.lost), grouped(counts.opened), of(after)));
    } else if counts.opened > 0 {
        parts.push("none was lost".to_owned());
    }
    if counts.open > 0 && counts.held < counts.open {
        parts.push(format!(
            "{} of {} did not answer their last message",
            grouped(counts.open - counts.held),
            grouped(counts.open)
        ));
    }
    if let (Some(p50), Some(p99)) = (outcome.latency.reply.p50_us, outcome.latency.reply.p99_us) {
        parts.push(format!("replies took {} (p50), {} (p99)", latency(p50), latency(p99)));
    }
    parts.join(", ")
}

/// A latency for a person: `850 us`, `1.25 ms`, `3.20 s`.
pub fn latency(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// A share for a person; never rounded up to 100 %.
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let shown = if percent < 100.0 { (percent * 1000.0).floor() / 1000.0 } else { percent };
    format!("{shown} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_and_not_rounded_to_success() {
        assert_eq!([latency(850), latency(1250), latency(3_200_000)], ["850 us", "1.25 ms", "3.20 s"]);
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999_9), "99.999 %");
        assert_eq!(percent(0.5), "50 %");
    }

    #[test]
    fn nothing_done_is_not_called_a_success() {
        let mut outcome = Outcome::default();
        outcome.connections.requested = 5;
        outcome.ended = Ended::Interrupted;
        assert_eq!(verdict(&outcome), "interrupted: 0 of 5 connections opened");
        assert!(own_statement(&outcome).contains("nothing that could be measured"));
        assert!(!render(&outcome).is_empty());
    }
}
